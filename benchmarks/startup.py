"""What waits before any work is done: definitions, steps, a chain with nothing to do, a sensor that finds nothing.

    python -m benchmarks.startup --json --output benchmarks/results/startup.json
    python -m benchmarks.startup --scenarios 1000 --json --output benchmarks/results/startup_1000.json

Each figure is the median of several in this run, in seconds of wall time. The last line of `--json` is one object:

- load_s: a new Python that imports `cs_assets.definitions` and resolves them.
- first_step_s: from the start of a run to that of its first step, which waits for the server that steps are forked
  from.
- empty_step_s: from the start of a step that does nothing to that of the next one; both by `dagster asset materialize`.
- unchanged_chain_s: `dagster asset materialize --select '*'` of address_extraction in the demo profile, which was made
  before by the same command and a model of random weights; nothing is asked, trained or answered anew.
- sensor_tick_s: `template_sensor`, when no template has changed since its last look.

With `--scenarios` these are of so many folders of 20 templates each, and the chain is left out.
"""

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from benchmarks.empty_steps import STEPS
from benchmarks.outcome import add_result_options, add_work_option, circumstances, tell, work_folder
from benchmarks.scenario_folders import make_scenarios

_REPEATS: Final = 5
_LOAD: Final = "import cs_assets.definitions as code; code.defs.resolve_all_job_defs()"
_ASSETS: Final = ("kto_judge", "lora_adapter", "reward_model")


def load_seconds(environment: Mapping[str, str]) -> float:
    """Return how long a new process takes to load the definitions."""

    def once() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", _LOAD], env=dict(environment), check=True)
        return time.perf_counter() - began

    once()  # reads the files into the cache of the system
    return statistics.median(once() for _ in range(_REPEATS))


def step_seconds(environment: Mapping[str, str], home: Path) -> tuple[float, float]:
    """Return how long a run waits for its first step, and how long a step takes that does nothing."""
    import dagster as dg

    _materialize("benchmarks.empty_steps", "empty_0*", environment)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [record] = instance.get_run_records(limit=1)
        told = {dg.DagsterEventType.RUN_START, dg.DagsterEventType.STEP_WORKER_STARTING}
        starts = [entry.timestamp for entry in instance.all_logs(record.dagster_run.run_id, of_type=told)]
    assert len(starts) == 1 + STEPS, f"{len(starts) - 1} of {STEPS} steps began"
    first, *later = [after - before for before, after in itertools.pairwise(starts)]
    return first, statistics.median(later)


def unchanged_chain_seconds(environment: Mapping[str, str], work: Path) -> float:
    """Return how long the chain of one scenario takes that has nothing to do; the first time it is made."""
    from cs_assets_tests.tiny_model import write_tiny_model

    base = work / "tiny"
    if not base.is_dir():
        write_tiny_model(base)
    config = work / "run.yaml"
    ops: dict[str, Any] = {name: {"config": {"base_model": str(base)}} for name in _ASSETS}
    ops |= {name: {"config": {"max_new_tokens": 8}} for name in ("predictions", "retention")}
    config.write_text(yaml.safe_dump({"ops": ops}), encoding="utf-8")
    arguments = ("--partition", "address_extraction", "--config", str(config))
    _materialize("cs_assets.definitions", "*", environment, *arguments)
    began = time.perf_counter()
    _materialize("cs_assets.definitions", "*", environment, *arguments)
    return time.perf_counter() - began


def _materialize(module: str, selection: str, environment: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", module, "--select", selection, *arguments]
    made = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
    if made.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {made.returncode}:\n{(made.stderr + made.stdout)[-4000:]}")


def sensor_seconds() -> float:
    """Return how long `template_sensor` looks at scenarios of which none has changed."""
    import dagster as dg

    from cs_assets.automation import template_sensor

    with dg.DagsterInstance.ephemeral() as instance:

        def tick(cursor: str | None) -> dg.SensorResult:
            result = template_sensor(dg.build_sensor_context(instance=instance, cursor=cursor))
            assert isinstance(result, dg.SensorResult)
            for request in result.dynamic_partitions_requests or []:
                instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
            return result

        cursor = tick(None).cursor

        def once() -> float:
            began = time.perf_counter()
            result = tick(cursor)
            assert not result.run_requests, "nothing has changed"
            return time.perf_counter() - began

        return statistics.median(once() for _ in range(_REPEATS))


def measure(scenarios: int, work: Path) -> dict[str, Any]:
    """Return all figures, of the committed scenarios or of so many made ones."""
    home = work / "home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    settings = {
        "DAGSTER_HOME": str(home),
        "CS_STORE": str(work / "out"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{work / 'mlflow.db'}",
        "CS_PROFILE": "demo",
    }
    if scenarios:
        settings["CS_SCENARIOS"] = str(work / "scenarios")
        if not (work / "scenarios").is_dir():
            make_scenarios(work / "scenarios", scenarios)
    os.environ |= settings
    environment = dict(os.environ)
    first, later = step_seconds(environment, home)
    found = {"load_s": load_seconds(environment), "first_step_s": first, "empty_step_s": later}
    if not scenarios:
        found["unchanged_chain_s"] = unchanged_chain_seconds(environment, work)
    found["sensor_tick_s"] = sensor_seconds()
    return {"scenarios": scenarios or "committed", **{name: round(value, 3) for name, value in found.items()}}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", type=int, default=0, help="so many made folders instead of the committed ones")
    add_work_option(parser)
    add_result_options(parser)
    arguments = parser.parse_args()
    told = circumstances("startup", "dagster", "polars")
    with work_folder(arguments.work) as work:
        tell(measure(arguments.scenarios, work.resolve()) | told, arguments)


if __name__ == "__main__":
    main()
