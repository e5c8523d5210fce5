"""One training on several GPUs: a process each (a rank), started as torchrun does, which share every batch.

Here belong the processes: how they are started, what they tell while they run, and what is said when one dies. What
they compute is the training's business, which knows itself that others compute with it (`sft.py`, `training.py`).
Where there is no GPU the ranks share the CPU: slower than one process, but the same.

    log = in_ranks(2, train, (base, conversations, settings), work, report)    # what rank 0 returned
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, TypeVar

from cs_assets.learning.progress import Progress, Report, silent
from resources import lease

_START: Final = "spawn"  # CUDA does not survive a fork
_MOMENT_SECONDS: Final = 2.0
# torch would put handlers of its own in the place of those that end a step in order; this one is nobody's.
_SIGNAL_FOR_TORCH: Final = "SIGUSR2"
T = TypeVar("T")


class RankDied(RuntimeError):
    """One of the processes of a training died, and the others were ended; the message says which, and of what."""


def in_ranks(count: int, train: Callable[..., T], arguments: tuple[Any, ...], work: Path, report: Report) -> T:
    """Call `train(*arguments, report)` in `count` processes that find each other; return what the first one returned.

    Args:
        count: how many; where GPUs are visible, as many as there are.
        train: a function of a module. It is given a report of its own, which only that of rank 0 passes on.
        arguments: what can be pickled.
        work: receives what a rank that fails says of it.
        report: is told the progress.

    Raises:
        RankDied: a rank raised something, or was killed.
        ValueError: there are GPUs, and not as many as ranks.
    """
    import torch
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    if torch.cuda.device_count() not in (0, count):
        raise ValueError(
            f"CS_TRAINING_GPUS is {count}, and this step sees {torch.cuda.device_count()} GPUs. Set it alike where the "
            "run and where its steps are started."
        )
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=str(os.getpid()),
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
        start_method=_START,
        logs_specs=DefaultLogsSpecs(log_dir=str(work / "ranks")),
        signals_to_handle=_SIGNAL_FOR_TORCH,
    )
    told, tell = get_context(_START).Pipe(duplex=False)
    with ThreadPoolExecutor(1) as listener:
        listening = listener.submit(_pass_on, told, report)
        try:
            returned = elastic_launch(config, _be_rank)(os.getpid(), count, tell, train, arguments)
        except ChildFailedError as error:
            if listening.done():  # before the end: the report itself raised, and rank 0 had nobody to tell
                listening.result()
            rank, failure = error.get_first_failure()
            raise RankDied(_reason(rank, count, failure)) from error
        finally:
            tell.close()  # the last one that is open, so that the listener finds the end
        listening.result()
    return returned[0]


def _pass_on(told: Connection, report: Report) -> None:
    with told, contextlib.suppress(EOFError):
        while True:
            report(told.recv())


def _be_rank(parent: int, count: int, tell: Connection, train: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """Be one of the processes; torch has written which one into the environment."""
    lease.die_with_parent(parent)
    import torch

    rank = int(os.environ["RANK"])
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    else:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        torch.set_num_threads(max(1, torch.get_num_threads() // count))

    def report(progress: Progress) -> None:
        tell.send(progress)

    try:
        returned = train(*arguments, report if rank == 0 else silent)
    except BaseException:
        # A rank whose partner died fails too, at once. The one that is seen to end first is named as the reason.
        time.sleep(_MOMENT_SECONDS)
        raise
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    return returned


def _reason(rank: int, count: int, failure: Any) -> str:
    """Return in one line why a rank failed, and what to do."""
    raised = failure.message["message"] if isinstance(failure.message, dict) else ""
    cause = " ".join(raised.split()) or f"ended by signal {failure.signal_name()} (process {failure.pid})"
    if failure.exitcode == -signal.SIGKILL:
        cause += "; if nobody killed it, the host ran out of memory: lower batch_size"
    return f"rank {rank} of {count} died: {cause}. Run again: it goes on at the last checkpoint."
