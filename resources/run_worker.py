"""The process of a run: who it is, and whether it still lives.

Dagster's own launcher cannot tell whether a run's process was killed: such a run stays STARTED for ever and holds its
place in the queue. Here every run notes its process in its tags, whether the UI, a sensor or the command line started
it, and the launcher below lets Dagster's run monitoring end those whose process is gone. What a run's steps do is
`gpu.py`'s business.

    run_launcher:            # dagster.yaml
      module: resources.run_worker
      class: WatchfulRunLauncher
"""

import socket

import dagster as dg
import psutil
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

WORKER_TAG = ".dagster/cs_assets/worker"  # Dagster hides tags with its dotted prefix in the UI


def note_worker(instance: dg.DagsterInstance, run_id: str) -> None:
    """Write this process into the tags of the run that it executes."""
    instance.add_run_tags(run_id, {WORKER_TAG: _worker(psutil.Process())})


def worker_tag(pid: int) -> str:
    """Return the tag's value for a process of this host: host, id and start, because ids are given again.

    Raises:
        psutil.NoSuchProcess: there is none.
    """
    return _worker(psutil.Process(pid))


def _worker(process: psutil.Process) -> str:
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.1f}"


class WatchfulRunLauncher(dg.DefaultRunLauncher):
    """Dagster's launcher, and an answer to the question whether a run's process lives."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say that the worker failed only where that is certain: it ran on this host, and is gone."""
        noted = run.tags.get(WORKER_TAG, "")
        host, _, process = noted.partition(":")
        pid = process.partition(":")[0]
        if not noted or host != socket.gethostname():
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            alive = worker_tag(int(pid)) == noted and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            alive = False
        if alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {pid} of the run is gone; it was killed")
