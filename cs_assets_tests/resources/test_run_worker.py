"""A run whose process was killed: Dagster's own monitoring ends it, and leaves every other run alone."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
from dagster._core.launcher.base import WorkerStatus
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from resources.run_worker import STARTED_TAG, WORKER_TAG, WatchfulRunLauncher, note_worker, worker_tag

STARTED = psutil.Process().create_time() - psutil.boot_time()
ROOT = Path(__file__).resolve().parents[2]
INSTANCE = """
run_launcher:
  module: resources.run_worker
  class: WatchfulRunLauncher
telemetry:
  enabled: false
"""
DEFINITIONS = """
import time
from pathlib import Path
import dagster as dg
from resources.gpu import gpu_executor

@dg.asset
def endless():
    Path("began").touch()
    time.sleep(60)

defs = dg.Definitions(assets=[endless], executor=gpu_executor)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A Dagster home with this launcher, and definitions beside it."""
    (tmp_path / "dagster.yaml").write_text(INSTANCE)
    (tmp_path / "tiny.py").write_text(DEFINITIONS)
    return tmp_path


def monitored(instance: dg.DagsterInstance) -> dg.DagsterRunStatus:
    """Let the monitoring look at the only run once; its status afterwards."""
    [record] = instance.get_run_records()
    workspace: Any = None  # needed to resume runs only
    monitor_started_run(instance, workspace, record, logging.getLogger("monitoring"))
    return instance.get_run_records()[0].dagster_run.status


def test_a_killed_run_is_ended_and_a_living_one_is_not(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dagster", "asset", "materialize", "-f", "tiny.py", "--select", "endless"],
        env=os.environ | {"DAGSTER_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (home / "began").exists():
            assert time.monotonic() < deadline, "the step did not begin"
            assert process.poll() is None, "the run ended"
            time.sleep(0.1)
        with dg.DagsterInstance.from_config(str(home)) as instance:
            assert monitored(instance) is dg.DagsterRunStatus.STARTED
            process.kill()
            process.wait()
            assert monitored(instance) is dg.DagsterRunStatus.FAILURE
            [run] = instance.get_runs()
            messages = [entry.get_dagster_event().message or "" for entry in instance.all_logs(run.run_id)]
            assert any(f"process {process.pid} of the run is gone; it was killed" in text for text in messages)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("tags", "status"),
    [
        ({}, WorkerStatus.RUNNING),  # it has not noted itself yet
        ({WORKER_TAG: "another-host:1", STARTED_TAG: "1.0"}, WorkerStatus.RUNNING),  # nobody here can know
        ({WORKER_TAG: worker_tag(os.getpid()), STARTED_TAG: str(STARTED)}, WorkerStatus.RUNNING),
        ({WORKER_TAG: worker_tag(os.getpid()), STARTED_TAG: str(STARTED - 1)}, WorkerStatus.RUNNING),  # as it is told
        ({WORKER_TAG: worker_tag(os.getpid()), STARTED_TAG: "1.0"}, WorkerStatus.FAILED),  # its id was given again
    ],
)
def test_the_worker_is_called_dead_only_where_that_is_certain(tags: dict[str, str], status: WorkerStatus) -> None:
    run = dg.DagsterRun(job_name="chain", tags=tags)
    assert WatchfulRunLauncher().check_run_worker_health(run).status is status


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_worker_lives_on_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(dg.JobDefinition(graph_def=dg.GraphDefinition("chain"), name="chain"))
        note_worker(instance, run.run_id)
        noted = instance.get_run_by_id(run.run_id)
    assert noted is not None
    told = psutil.boot_time()  # by the clock, too: the kernel subtracts from it how long it has been running
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: told + 3600 * hours)
    assert WatchfulRunLauncher().check_run_worker_health(noted).status is WorkerStatus.RUNNING
