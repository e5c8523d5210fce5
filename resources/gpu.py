"""The GPUs of a host: what a step needs, and the executor that gives it them.

Here belong the tags of a step (`gpu`), the executor of one host (`gpu_executor`) and the choice of another one
(`executor_for`). Who holds which GPU is the lease's business (`lease.py`); what a step computes is the assets'. Neither
torch nor `cs_assets` is imported, so that the process that watches over a run stays small.

    @dg.asset(op_tags=gpu(1))
    def lora_adapter(): ...

    defs = dg.Definitions(assets=[lora_adapter], executor=executor_for())
"""

import importlib
import os
import signal
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import dagster as dg
from dagster._core.code_pointer import CodePointer, ModuleCodePointer
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode, get_retries_config
from dagster._core.executor.step_delegating import (
    CheckStepHealthResult,
    StepDelegatingExecutor,
    StepHandler,
    StepHandlerContext,
)

from resources import run_worker
from resources.step_process import StepProcess, preload

GPUS_TAG = "cs_assets/gpus"
GRACE_SECONDS = 10.0
TAIL_LINES = 30
STEP_ENDS = {
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_UP_FOR_RETRY,
    dg.DagsterEventType.STEP_SKIPPED,
    dg.DagsterEventType.RESOURCE_INIT_FAILURE,
}
CLUSTER_EXECUTORS = {"ray": ("dagster_ray", "ray_executor"), "k8s": ("dagster_k8s", "k8s_job_executor")}


def gpu(n: int) -> dict[str, str | dict]:
    """The `op_tags` of a step that needs `n` GPUs, for the local executor, dagster-ray and dagster-k8s.

    Raises:
        ValueError: `n` is negative.
    """
    if n < 0:
        raise ValueError(f"gpu({n}): a step needs 0 or more GPUs")
    return {GPUS_TAG: str(n), "dagster-ray/config": {"num_gpus": n}, "dagster-k8s/config": _pod_of(n)}


def _pod_of(n: int) -> dict[str, dict]:
    """What Kubernetes is told of a step that needs `n` GPUs, beside what the run and its executor say of all steps."""
    container: dict[str, Any] = {"resources": {"limits": {"nvidia.com/gpu": str(n)}}}
    pod: dict[str, Any] = {}
    if n:
        # Nodes with GPUs are usually closed to whoever does not say that he knows.
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        pod["node_selector"] = _labels("CS_GPU_NODES")
    if n > 1:  # GPUs hand each other gradients through shared memory, of which a container has 64 MiB
        pod["volumes"] = [{"name": "shared-memory", "empty_dir": {"medium": "Memory"}}]
        container["volume_mounts"] = [{"name": "shared-memory", "mount_path": "/dev/shm"}]
    return {"container_config": container, "pod_spec_config": pod}


def _labels(variable: str) -> dict[str, str]:
    """Return what an environment variable like `label=value,label=value` says."""
    listed = [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]
    for part in listed:
        if not all(part.partition("=")):
            raise ValueError(f"{variable} holds {part!r}; wanted is label=value, or several with commas between them.")
    return {label: value for label, _, value in (part.partition("=") for part in listed)}


def training_gpus() -> int:
    """Return how many GPUs train one adapter together: what CS_TRAINING_GPUS says, by default 1.

    Raises:
        ValueError: it says no number of GPUs.
    """
    asked = os.environ.get("CS_TRAINING_GPUS") or "1"
    if not asked.isdecimal() or not int(asked):
        raise ValueError(f"CS_TRAINING_GPUS is {asked!r}; wanted is a number of GPUs, 1 or more.")
    return int(asked)


class _Attempt(NamedTuple):
    """A process that executes a step, and how many earlier ones of the same step have reported how they ended."""

    process: StepProcess
    ends_before: int


class _ProcessStepHandler(StepHandler):
    """Starts each step as a process under a lease, and explains how a process ended that reported nothing."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempt] = {}

    @property
    def name(self) -> str:
        return "ProcessStepHandler"

    def launch_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        step_key = _step_key(step_handler_context)
        if step_key in self._attempts:  # a retry: what an earlier attempt holds must be free first
            self._attempts[step_key].process.end(GRACE_SECONDS)
        gpus = int(step_handler_context.step_tags[step_key].get(GPUS_TAG, "0"))
        arguments = step_handler_context.execute_step_args
        preload(_modules_of(arguments.job_origin.repository_origin.code_pointer))
        command = list(arguments.get_command_args())
        ends_before = _reported_ends(step_handler_context)
        step = StepProcess(command[command.index("execute_step") + 1 :], gpus)
        self._attempts[step_key] = _Attempt(step, ends_before)
        yield dg.DagsterEvent.step_worker_starting(
            step_handler_context.get_step_context(step_key),
            message=f'Starting step "{step_key}" in process {step.pid}; GPUs it needs: {gpus}.',
            metadata={"pid": step.pid, "gpus": gpus},
        )

    def check_step_health(self, step_handler_context: StepHandlerContext) -> CheckStepHealthResult:
        attempt = self._attempts.get(_step_key(step_handler_context))
        if attempt is None:
            return CheckStepHealthResult.unhealthy("its process ended with the run worker that had started it")
        step = attempt.process
        # The executor may not have read yet what was reported.
        if not step.has_exited() or _reported_ends(step_handler_context) > attempt.ends_before:
            return CheckStepHealthResult.healthy()
        cause = _cause_of_death(step.end(patience=0))
        lines = step.stderr_tail.decode(errors="replace").splitlines()
        own = [line for line in lines if " - dagster - DEBUG - " not in line]  # the events stand in the log already
        tail = "\n".join(own[-TAIL_LINES:]) or "(empty)"
        return CheckStepHealthResult.unhealthy(f"{cause}\nEnd of its stderr:\n{tail}")

    def terminate_step(self, step_handler_context: StepHandlerContext) -> Iterator[dg.DagsterEvent]:
        """Ask the step to end; `close` waits for all of them together, and kills what does not."""
        attempt = self._attempts.get(_step_key(step_handler_context))
        if attempt is not None:
            attempt.process.ask_to_end()
        return iter(())

    def close(self) -> None:
        """Let the processes end, or kill them: a step reports before its process is through with its exit handlers."""
        deadline = time.monotonic() + GRACE_SECONDS
        for attempt in self._attempts.values():
            attempt.process.end(max(0.0, deadline - time.monotonic()))


def _modules_of(pointer: CodePointer) -> list[str]:
    """Return what can be imported before a step begins; a file is loaded by each step anew."""
    return [pointer.module] if isinstance(pointer, ModuleCodePointer) else []


def _step_key(context: StepHandlerContext) -> str:
    [step_key] = context.execute_step_args.step_keys_to_execute or []
    return step_key


def _reported_ends(context: StepHandlerContext) -> int:
    """Return how often the step wrote into the event log how it ended; by number, as a clock may be set back."""
    logged = context.instance.all_logs(context.execute_step_args.run_id, of_type=STEP_ENDS)
    return sum(entry.step_key == _step_key(context) for entry in logged)


def _cause_of_death(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code} before it reported a result."
    names = {known.value: known.name for known in signal.Signals}
    cause = f"its process was ended by signal {names.get(-code, -code)}."
    if -code == signal.SIGKILL:
        cause += (
            " If nobody killed it, the host ran out of memory (`dmesg` tells): lower the batch size or the sequence"
            " length of the step, or `max_concurrent` of the executor."
        )
    return cause


class _ProcessExecutor(StepDelegatingExecutor):
    """Leaves no process behind, however the run ends."""

    _step_handler: _ProcessStepHandler

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        run_worker.note_worker(plan_context.instance, plan_context.run_id)
        try:
            yield from super().execute(plan_context, execution_plan)
        finally:
            self._step_handler.close()


@dg.executor(
    name="gpu",
    config_schema={
        "max_concurrent": dg.Field(
            dg.IntSource,
            default_value=1,
            description="Steps at a time. More only pay off with several GPUs, or cores and memory to spare.",
        ),
        "check_step_health_interval_seconds": dg.Field(
            dg.IntSource, default_value=2, description="How often to look for steps that died without a word."
        ),
        "retries": get_retries_config(),
    },
    requirements=dg.multiple_process_executor_requirements(),
)
def gpu_executor(init_context: dg.InitExecutorContext) -> dg.Executor:
    """Runs each step in a process of its own, with as many GPUs of this host as its tags ask for."""
    config: dict[str, Any] = dict(init_context.executor_config)
    [retry_mode] = config["retries"]
    return _ProcessExecutor(
        _ProcessStepHandler(),
        retries=RetryMode(retry_mode),
        sleep_seconds=0.2,
        check_step_health_interval_seconds=config["check_step_health_interval_seconds"],
        max_concurrent=config["max_concurrent"],
    )


def executor_for(name: str | None = None) -> dg.ExecutorDefinition:
    """The executor called `name`, or by default what CS_EXECUTOR says: local (also when unset), in_process, ray, k8s.

    Raises:
        ValueError: no executor has that name.
        ImportError: the package of the executor is not installed.
    """
    name = name or os.environ.get("CS_EXECUTOR") or "local"
    local = {"local": gpu_executor, "in_process": dg.in_process_executor}
    if name in local:
        return local[name]
    if name not in CLUSTER_EXECUTORS:
        raise ValueError(f"CS_EXECUTOR={name!r} is not known, allowed are: {', '.join([*local, *CLUSTER_EXECUTORS])}")
    module, attribute = CLUSTER_EXECUTORS[name]
    try:
        return getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise ImportError(f"CS_EXECUTOR={name} needs {module}: pip install 'cs-assets[{name}]' ({error})") from error
