"""Leases and the GPU executor, with real processes and pretended GPUs (CS_GPUS); no test needs a GPU."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from resources import gpu as gpu_module
from resources import lease as lease_module
from resources.gpu import executor_for, gpu, gpu_executor, training_gpus
from resources.lease import visible_gpus
from resources.step_process import StepProcess

ROOT = Path(gpu_module.__file__).resolve().parents[1]
SEE = "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"
# Claims each of its GPUs by creating a file that must not be there yet, so a double lease fails.
CLAIM = """
import os, sys, time
ids = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
for i in ids:
    os.close(os.open(os.path.join(sys.argv[1], i), os.O_CREAT | os.O_EXCL))
time.sleep(0.2)
for i in ids:
    os.remove(os.path.join(sys.argv[1], i))
print(*ids)
"""


def environment(folder: Path, **changes: str) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in {"CUDA_VISIBLE_DEVICES", "CS_EXECUTOR", "DAGSTER_HOME", "PYTHONPATH"}
    }
    return kept | {"CS_GPUS": "0,1", "CS_LEASE_DIR": str(folder / "leases"), "PYTHONPATH": str(ROOT)} | changes


def start(folder: Path, gpus: int, *command: str, **changes: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "resources.lease", "--gpus", str(gpus), "--", *command],
        env=environment(folder, **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return out.strip(), err


def is_running(pid: int) -> bool:
    """A zombie does not run; where no init process collects orphans it stays in the table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # the second where it goes while its file is read
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)


# --- what a step needs, and what the host has ---


def test_tags_reach_all_three_executors():
    @dg.asset(op_tags=gpu(2))
    def trained(): ...

    tags = trained.op.tags
    assert tags["cs_assets/gpus"] == "2"
    assert json.loads(tags["dagster-ray/config"]) == {"num_gpus": 2}
    limits = json.loads(tags["dagster-k8s/config"])["container_config"]["resources"]["limits"]
    assert limits == {"nvidia.com/gpu": "2"}
    with pytest.raises(ValueError, match="0 or more"):
        gpu(-1)


def test_how_many_gpus_train_together(monkeypatch):
    monkeypatch.delenv("CS_TRAINING_GPUS", raising=False)
    assert training_gpus() == 1
    monkeypatch.setenv("CS_TRAINING_GPUS", "4")
    assert training_gpus() == 4
    for wrong in ("0", "-1", "all"):
        monkeypatch.setenv("CS_TRAINING_GPUS", wrong)
        with pytest.raises(ValueError, match=f"CS_TRAINING_GPUS is '{wrong}'; wanted is a number of GPUs, 1 or more"):
            training_gpus()


def test_a_node_label_without_a_value_is_an_error(monkeypatch):
    monkeypatch.setenv("CS_GPU_NODES", "zone=a,h200")
    with pytest.raises(ValueError, match="CS_GPU_NODES holds 'h200'; wanted is label=value"):
        gpu(1)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"CS_GPUS": "0, 1"}, ("0", "1")),
        ({"CS_GPUS": ""}, ()),
        ({"CS_GPUS": "", "CUDA_VISIBLE_DEVICES": "3"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, ("2", "0")),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1a2b,GPU-1a2b"}, ("GPU-1a2b",)),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, ("1",)),
    ],
)
def test_visible_gpus_by_environment(monkeypatch, variables, expected):
    for name in ("CS_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert visible_gpus() == expected


GPU_LINES = "GPU 0: NVIDIA H200 (UUID: GPU-aa)\nGPU 1: NVIDIA H200 (UUID: GPU-bb)\n"
MIG_LINES = GPU_LINES + "  MIG 1g.18gb     Device  0: (UUID: MIG-cc)\n  MIG 1g.18gb     Device  1: (UUID: MIG-dd)\n"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f"cat <<'E'\n{GPU_LINES}E", ("0", "1")),
        (f"cat <<'E'\n{MIG_LINES}E", ("MIG-cc", "MIG-dd")),
        ("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18", ()),
        (None, ()),
    ],
)
def test_visible_gpus_by_nvidia_smi(monkeypatch, tmp_path, script, expected):
    for name in ("CS_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    if script:
        (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-smi").chmod(0o755)
    lease_module._nvidia_uuids.cache_clear()
    try:
        assert visible_gpus() == expected
    finally:
        lease_module._nvidia_uuids.cache_clear()


# --- the lease ---


def test_leases_never_overlap(tmp_path):
    claims = tmp_path / "claims"
    claims.mkdir()
    needs = [1, 2, 1, 1, 2, 1, 2]
    processes = [start(tmp_path, n, sys.executable, "-c", CLAIM, str(claims)) for n in needs]
    got = [finish(process)[0].split() for process in processes]
    assert [len(ids) for ids in got] == needs
    assert {gpu_id for ids in got for gpu_id in ids} <= {"0", "1"}


def test_waiting_is_told_and_sigkill_frees_the_lock(tmp_path):
    holder = start(tmp_path, 2, sys.executable, "-uc", SEE + "; import time; time.sleep(60)")
    assert holder.stdout is not None
    assert holder.stdout.readline().strip() == "0,1"
    waiter = start(tmp_path, 1, sys.executable, "-c", SEE)
    assert waiter.stderr is not None
    line = waiter.stderr.readline()
    assert "waiting for 1 of 2 GPUs" in line
    assert f"0 by process {holder.pid}" in line
    assert waiter.poll() is None
    holder.kill()
    holder.communicate()
    assert finish(waiter) == ("0", "")  # one line, however long the wait


def test_a_forked_worker_that_outlives_the_command_keeps_its_gpu(tmp_path):
    forks = "import os, time\nif os.fork() == 0:\n    os.close(1); os.close(2); time.sleep(1.5)"
    finish(start(tmp_path, 2, sys.executable, "-c", forks))
    _, err = finish(start(tmp_path, 1, sys.executable, "-c", SEE))
    assert "waiting for 1 of 2 GPUs" in err


def test_more_gpus_than_the_host_has_is_an_error(tmp_path):
    process = start(tmp_path, 3, "true")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err == "cs-assets lease: 3 GPUs are asked for, this host has 2 (0, 1)\n"


def test_a_host_without_gpus_runs_on_the_cpu(tmp_path):
    out, err = finish(start(tmp_path, 1, sys.executable, "-c", SEE, CS_GPUS=""))
    assert out == ""
    assert "running on the CPU" in err


def test_a_step_without_gpus_sees_none(tmp_path):
    assert finish(start(tmp_path, 0, sys.executable, "-c", SEE)) == ("", "")


def test_a_step_that_trains_keeps_its_memory_unless_told_otherwise(tmp_path):
    see = "import os; print(*(os.environ.get(n) for n in ('MALLOC_MMAP_MAX_', 'THP_MEM_ALLOC_ENABLE')))"
    assert finish(start(tmp_path, 1, sys.executable, "-c", see))[0] == "0 1"
    assert finish(start(tmp_path, 1, sys.executable, "-c", see, MALLOC_MMAP_MAX_="9"))[0] == "9 1"
    assert finish(start(tmp_path, 0, sys.executable, "-c", see))[0] == "None None"


def test_exit_code_and_unknown_command(tmp_path):
    process = start(tmp_path, 1, sys.executable, "-c", "raise SystemExit(7)")
    assert process.wait(timeout=30) == 7
    process = start(tmp_path, 1, "no-such-command")
    assert process.wait(timeout=30) == 127
    assert "cannot start no-such-command" in process.communicate()[1]


def test_the_command_dies_with_its_parent(tmp_path):
    parent_code = (
        "import subprocess, sys\n"
        "command = [sys.executable, '-m', 'resources.lease', '--gpus', '2', '--', *sys.argv[1:]]\n"
        "subprocess.run(command)"
    )
    command = [sys.executable, "-uc", "import os, time; print(os.getpid()); time.sleep(60)"]
    parent = subprocess.Popen(
        [sys.executable, "-c", parent_code, *command], env=environment(tmp_path), stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    parent.kill()
    wait_until(lambda: not is_running(child))
    assert finish(start(tmp_path, 2, sys.executable, "-c", SEE))[0] == "0,1"
    parent.communicate()


def test_a_parent_that_is_already_gone_stops_the_lease(tmp_path):
    wrapper = [sys.executable, "-IS", lease_module.__file__, "--gpus", "0", "--parent", "999999999"]
    result = subprocess.run(
        [*wrapper, "--", "echo", "ran"], env=environment(tmp_path), capture_output=True, text=True, timeout=30
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert "is gone" in result.stderr


# --- the choice of the executor ---


def test_executor_for(monkeypatch):
    monkeypatch.delenv("CS_EXECUTOR", raising=False)
    assert executor_for() is gpu_executor
    assert executor_for("in_process") is dg.in_process_executor
    monkeypatch.setenv("CS_EXECUTOR", "slurm")
    with pytest.raises(ValueError, match="'slurm' is not known, allowed are: local, in_process, ray, k8s"):
        executor_for()


@pytest.mark.parametrize(("name", "module"), [("ray", "dagster_ray"), ("k8s", "dagster_k8s")])
def test_executor_without_its_package_names_the_extra(monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{module}: pip install 'cs-assets\[{name}\]'"):
        executor_for(name)


def test_the_module_needs_neither_torch_nor_the_project(tmp_path):
    code = "import sys, resources.gpu; print({'torch', 'cs_assets'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], env=environment(tmp_path), capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr


# --- how a step ended ---


@pytest.mark.parametrize(("ends_before", "healthy"), [(0, True), (1, False)], ids=["reported", "by an earlier attempt"])
def test_an_exit_after_the_result_was_reported_is_no_failure(ends_before: int, healthy: bool) -> None:
    handler, step = gpu_module._ProcessStepHandler(), StepProcess(["--help"], gpus=0)
    handler._attempts["train"] = gpu_module._Attempt(step, ends_before)
    entry = SimpleNamespace(step_key="train", timestamp=time.time() - 3600)  # the clock was set back meanwhile
    context: Any = SimpleNamespace(
        instance=SimpleNamespace(all_logs=lambda run_id, of_type: [entry]),
        execute_step_args=SimpleNamespace(run_id="run", step_keys_to_execute=["train"]),
    )
    wait_until(step.has_exited)
    health = handler.check_step_health(context)
    assert health.is_healthy is healthy
    if not healthy:
        assert "exit code 0 before it reported a result" in (health.unhealthy_reason or "")
    list(handler.terminate_step(context))  # a run may be cancelled right after
    handler.close()
    assert step.process.exitcode == 0


# --- runs ---

DEFINITIONS = """
import json, os, sys, time
from pathlib import Path
import dagster as dg
from resources.gpu import executor_for, gpu

def note(name):
    seen = {"gpus": os.environ["CUDA_VISIBLE_DEVICES"], "pid": os.getpid()}
    path = Path(os.environ["NOTES"], name)
    path.write_text(json.dumps(seen))
    path.rename(path.with_suffix(".json"))

@dg.asset
def tables():
    print("a line of tables on stdout")
    note("tables")

@dg.asset(op_tags=gpu(1), deps=[tables])
def adapter(): note("adapter")

@dg.asset_check(asset=adapter, op_tags=gpu(2), blocking=True)
def adapter_check():
    note("adapter_check")
    return dg.AssetCheckResult(passed=True)

@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def out_of_memory():
    os.kill(os.getpid(), 9)

@dg.asset
def silent():
    print("the last words of silent", file=sys.stderr, flush=True)
    os._exit(3)

@dg.asset(op_tags=gpu(2))
def endless():
    note("endless")
    try:
        time.sleep(60)
    finally:
        time.sleep(2.5)
        note("tidied_up")

defs = dg.Definitions(
    assets=[tables, adapter, out_of_memory, silent, endless],
    asset_checks=[adapter_check],
    executor=executor_for(),
)
"""


def materialize(folder: Path, selection: str) -> subprocess.Popen[str]:
    (folder / "tiny.py").write_text(DEFINITIONS)
    # Dagster's copy of a step's output to the console loses what was printed just before the end (dagster #23336).
    settings = {
        "NOTES": str(folder),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DAGSTER_COMPUTE_LOG_TAIL_WAIT_AFTER_FINISH": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-f", "tiny.py", "--select", selection],
        env=environment(folder, **settings),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a group, as a terminal makes one of what it starts
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One run without DAGSTER_HOME of assets that succeed and of some that die; its notes and its output."""
    folder = tmp_path_factory.mktemp("run")
    process = materialize(folder, "tables,adapter,out_of_memory,silent")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1, output
    return folder, output


def notes(folder: Path) -> dict[str, dict]:
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def failure_of(step: str, output: str) -> str:
    """The text of the step's failure event, up to the next event."""
    found = re.search(rf" - {step} - STEP_FAILURE - (.*?)\n\d{{4}}-\d\d-\d\d ", output, re.DOTALL)
    assert found, output
    return found[1]


def test_steps_see_the_gpus_they_asked_for(run):
    seen = notes(run[0])
    assert {name: step["gpus"] for name, step in seen.items()} == {
        "tables": "",
        "adapter": "0",
        "adapter_check": "0,1",
    }
    assert len({step["pid"] for step in seen.values()}) == 3


def test_the_output_of_a_step_is_passed_through(run):
    assert "a line of tables on stdout" in run[1]


def test_a_step_killed_by_the_kernel_says_so_and_what_to_lower(run):
    failure = failure_of("out_of_memory", run[1])
    assert "ended by signal SIGKILL" in failure
    assert "ran out of memory" in failure
    assert "batch size" in failure
    assert "max_concurrent" in failure


def test_a_step_that_died_is_retried(run):
    assert run[1].count(" - out_of_memory - STEP_UP_FOR_RETRY - ") == 1
    assert run[1].count(" - out_of_memory - STEP_START") == 1  # the second attempt is a STEP_RESTARTED
    assert run[1].count(" - out_of_memory - STEP_RESTARTED - ") == 1


def test_a_failure_shows_the_end_of_the_stderr(run):
    failure = failure_of("silent", run[1])
    assert "exit code 3" in failure
    assert "the last words of silent" in failure
    assert "dagster - DEBUG" not in failure


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_ended_run_leaves_no_step_and_no_lease(tmp_path: Path, number: signal.Signals) -> None:
    process = materialize(tmp_path, "endless")
    wait_until(lambda: "endless" in notes(tmp_path), seconds=40)
    step = notes(tmp_path)["endless"]
    assert step["gpus"] == "0,1"
    if number == signal.SIGINT:  # Ctrl-C reaches all that the terminal started
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    wait_until(lambda: not is_running(step["pid"]))
    process.communicate(timeout=30)
    assert ("tidied_up" in notes(tmp_path)) is (number != signal.SIGKILL)  # when asked to end, a step has time to
    assert finish(start(tmp_path, 2, sys.executable, "-c", SEE))[0] == "0,1"


SHARED = """
import os, time
from pathlib import Path
import dagster as dg
from resources.gpu import executor_for, gpu

PARTITIONS = dg.StaticPartitionsDefinition(["a", "b"])

def claim(context):
    ids = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    for gpu_id in ids:  # fails where somebody has it
        os.close(os.open(Path("claims", gpu_id), os.O_CREAT | os.O_EXCL))
    time.sleep(0.3)
    for gpu_id in ids:
        Path("claims", gpu_id).unlink()
    Path(f"{context.run_id} {context.op_execution_context.op.name}").write_text(str(len(ids)))

def asset(name, gpus):
    @dg.asset(name=name, partitions_def=PARTITIONS, op_tags=gpu(gpus))
    def claiming(context): claim(context)
    return claiming

defs = dg.Definitions(
    assets=[asset("one", 1), asset("another", 1), asset("both", 2)],
    executor=executor_for().configured({"max_concurrent": 3}),
)
"""


def test_two_runs_share_the_gpus_and_none_is_held_twice(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text(SHARED)
    (tmp_path / "claims").mkdir()
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-f", "shared.py", "--select", "*"]
    runs = [
        subprocess.Popen(
            [*command, "--partition", partition],
            env=environment(tmp_path, DAGSTER_DISABLE_TELEMETRY="1"),
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for partition in ("a", "b")
    ]
    for process in runs:
        output, _ = process.communicate(timeout=180)
        assert process.returncode == 0, output
    told = sorted((path.name.split()[1], path.read_text()) for path in tmp_path.glob("* *"))
    assert told == [("another", "1")] * 2 + [("both", "2")] * 2 + [("one", "1")] * 2
