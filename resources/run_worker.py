"""The process of a run: who it is, and whether it still lives.

Dagster's own launcher cannot tell whether a run's process was killed: such a run stays STARTED for ever and holds its
place in the queue. Here every run notes its process in its tags, whether the UI, a sensor or the command line started
it, and the launcher below lets Dagster's run monitoring end those whose process is gone. What a run's steps do is
`gpu.py`'s business.

    run_launcher:            # dagster.yaml
      module: resources.run_worker
      class: WatchfulRunLauncher
"""

import os
import socket

import dagster as dg
import psutil
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

# Dagster hides tags with its dotted prefix in the UI.
WORKER_TAG = ".dagster/cs_assets/worker"
STARTED_TAG = ".dagster/cs_assets/worker_started_since_boot"
# Linux tells whole seconds of when it was booted, so that the start of one process, read twice, differs by one.
TOLERANCE_SECONDS = 2.0


def note_worker(instance: dg.DagsterInstance, run_id: str) -> None:
    """Write this process into the tags of the run that it executes."""
    started = seconds_since_boot(psutil.Process())
    instance.add_run_tags(run_id, {WORKER_TAG: worker_tag(os.getpid()), STARTED_TAG: str(started)})


def worker_tag(pid: int) -> str:
    """Return the value of `WORKER_TAG` for a process of this host."""
    return f"{socket.gethostname()}:{pid}"


def seconds_since_boot(process: psutil.Process) -> float:
    """Return when a process began. By the clock it would be another moment as soon as the clock is set."""
    return process.create_time() - psutil.boot_time()


class WatchfulRunLauncher(dg.DefaultRunLauncher):
    """Dagster's launcher, and an answer to the question whether a run's process lives."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say that the worker failed only where that is certain: it ran on this host, and is gone."""
        host, _, pid = run.tags.get(WORKER_TAG, "").rpartition(":")
        started = run.tags.get(STARTED_TAG)
        if host != socket.gethostname() or started is None or _lives(int(pid), float(started)):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid} of the run is gone; it was killed")


def _lives(pid: int, started: float) -> bool:
    """Whether the process that began `started` seconds after the boot runs; its id may have been given again."""
    try:
        process = psutil.Process(pid)
        same = abs(seconds_since_boot(process) - started) <= TOLERANCE_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
