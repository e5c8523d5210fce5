"""One attempt of a step as a process, forked from a server that has loaded the code already.

A step in a new interpreter spends two seconds on imports, a chain of thirty steps a minute. So the process of a run
starts one server (`multiprocessing`'s, where the system can fork), which imports the code location and nothing of
torch, and each step is a fork of it. Here belong the process, how it ends, and the end of its stderr. Which GPUs it
gets is the lease's business (`lease.py`), what its end means the executor's (`gpu.py`).
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from typing import Any, Final

from resources import lease

TAIL_BYTES: Final = 16_000
_NEEDED: Final = ("dagster._cli.api", "dagster._core.storage.sqlite_storage", "mlflow")
_METHOD: Final = "forkserver" if sys.platform == "linux" else "spawn"


def preload(modules: Sequence[str]) -> None:
    """Say what the server imports before its first step, beside what every step needs; later this changes nothing."""
    multiprocessing.set_forkserver_preload([*_NEEDED, *modules])


class StepProcess:
    """One attempt of a step: its process, which leads a process group of its own, and the end of its stderr."""

    def __init__(self, command: Sequence[str], gpus: int) -> None:
        """Start `dagster api execute_step`.

        Args:
            command: the arguments behind `execute_step`.
            gpus: how many GPUs it waits for before it begins.
        """
        context: Any = multiprocessing.get_context(_METHOD)
        reader, writer = context.Pipe(duplex=False)
        self.process = context.Process(target=_run_step, args=(list(command), gpus, writer))
        self.process.start()
        writer.close()
        self.stderr_tail = b""
        self._reader = threading.Thread(target=self._pass_stderr_on, args=(reader,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def _pass_stderr_on(self, reader: Connection) -> None:
        with reader:
            while chunk := os.read(reader.fileno(), 65536):  # by chunks: a progress bar has no line ends
                self.stderr_tail = (self.stderr_tail + chunk)[-TAIL_BYTES:]
                with contextlib.suppress(OSError):  # a closed terminal must not block the step on a full pipe
                    os.write(2, chunk)

    def has_exited(self) -> bool:
        return self.process.exitcode is not None

    def ask_to_end(self) -> None:
        """Send SIGTERM, upon which Dagster ends the step in order."""
        if not self.has_exited():
            self.process.terminate()

    def end(self, patience: float) -> int:
        """Wait `patience` seconds, then kill what is left of the group; the exit code, -n where signal n ended it."""
        self.process.join(patience)
        if self.has_exited():  # Dagster's own `tail` of a step that was killed takes a second to print the rest
            self._reader.join(timeout=2)
        # The id of a group is given to nobody as long as one of its processes lives.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._reader.join(timeout=1)
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode


def _run_step(command: list[str], gpus: int, stderr: Connection) -> None:
    """Be the step's process: lead a group, die with the run, take the GPUs, execute."""
    os.setsid()
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)
    _die_with_the_run()
    try:
        gpu_ids = lease.lease(gpus)
    except (ValueError, OSError) as error:
        sys.exit(f"cs-assets lease: {error}")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu_ids)
    if gpus:
        lease.keep_memory()
    from dagster._cli.api import execute_step_command

    execute_step_command.main(args=command, prog_name="dagster api execute_step")


def _die_with_the_run() -> None:
    """Have the kernel kill this process when the server dies, and let the server die when the run does.

    Every process that the server starts is given the write end of the pipe by which it sees that nobody is left. A step
    that kept it would keep the server, and with it itself, alive after its run.
    """
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None
    lease.die_with_parent(os.getppid())
    run = multiprocessing.parent_process()
    if run is not None and not run.is_alive():
        sys.exit("cs-assets: the run that started this step is gone")
