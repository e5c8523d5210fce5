"""A training in a process of its own that is killed with SIGKILL at a chosen moment, and what it had seen until then.

process = in_own_process(train, place, Kill("batch", 5))    # before the fifth batch is learned
process.exitcode                                            # -9
"""

import contextlib
import hashlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple
from unittest import mock

from cs_assets.learning import sft
from cs_assets.learning.training import run_training

KILLED = -signal.SIGKILL
Seen = list[tuple[int, str]]


class Kill(NamedTuple):
    """A moment to die at.

    batch: before the n-th batch of the process is learned. The others are moments in the writing of the checkpoint of
    step n: weights and half of the optimizer are there; half of the Trainer's state; everything but the loss curve.
    """

    moment: Literal["batch", "optimizer", "state", "curve"]
    number: int


def in_own_process(function: Callable[..., None], *arguments: Any) -> int:
    """Call a function in a new process and return its exit code. What takes long to import is imported once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trl.trainer.sft_trainer", "peft", __name__])
    process = context.Process(target=function, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def seen_by(runs: list[Path]) -> Seen:
    """Return step and content of the batches that a chain of runs learned from; what a kill undid is left out."""
    kept: Seen = []
    for path in runs:
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        seen = [(int(step), content) for step, content in lines]
        kept = [line for line in kept if not seen or line[0] < seen[0][0]] + seen
    return kept


@contextlib.contextmanager
def watched(seen: Path, kill: Kill | None) -> Iterator[None]:
    """Write down the batches that a training within learns from, and die when it is time."""
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(sft, "run_training", _watching(seen, kill)))
        if kill is not None and kill.moment != "batch":
            patches.enter_context(_dying_in_checkpoint(kill))
        yield


def _watching(seen: Path, kill: Kill | None) -> Callable[..., Any]:
    def run(trainer: Any, *arguments: Any) -> Any:
        step, batches = trainer.training_step, 0

        def training_step(model: Any, inputs: dict[str, Any], *others: Any) -> Any:
            nonlocal batches
            batches += 1
            if kill == Kill("batch", batches):
                _die()
            content = hashlib.sha256(b"".join(inputs[name].numpy().tobytes() for name in ("input_ids", "labels")))
            with seen.open("a", encoding="utf-8") as lines:
                lines.write(f"{trainer.state.global_step} {content.hexdigest()}\n")
            return step(model, inputs, *others)

        trainer.training_step = training_step
        return run_training(trainer, *arguments)

    return run


def _dying_in_checkpoint(kill: Kill) -> Any:
    import torch
    from transformers import TrainerState

    save, write = torch.save, TrainerState.save_to_json

    def dying_save(content: Any, path: Any, *arguments: Any, **options: Any) -> None:
        save(content, path, *arguments, **options)
        if f"checkpoint-{kill.number}/optimizer" in str(path):
            _tear(path)

    def dying_write(state: Any, path: str) -> None:
        write(state, path)
        if state.global_step == kill.number:
            if kill.moment == "state":
                _tear(path)
            _die()

    if kill.moment == "optimizer":
        return mock.patch.object(torch, "save", dying_save)
    return mock.patch.object(TrainerState, "save_to_json", dying_write)


def _tear(path: str) -> None:
    """Leave half of a file, and die."""
    os.truncate(path, os.path.getsize(path) // 2)
    _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
