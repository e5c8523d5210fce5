"""Progress of a training run: step, loss, speed and time left, told every few seconds."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from transformers import TrainerCallback


class Progress(BaseModel):
    """A moment of a training run.

    loss: the mean since the last report. training: names one of several. too_long: answers that are left out.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    steps: int
    loss: float
    tokens_per_second: float
    seconds_left: float
    training: str = ""
    too_long: int = 0

    def __str__(self) -> str:
        minutes, seconds = divmod(round(self.seconds_left), 60)
        named = f"{self.training}: " if self.training else ""
        left_out = f"  {self.too_long} answers too long" if self.too_long else ""
        return (
            f"{named}step {self.step}/{self.steps}  loss {self.loss:.4f}  {self.tokens_per_second:.0f} tokens/s  "
            f"ETA {minutes}:{seconds:02d}{left_out}"
        )


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Report to nobody."""


# Is told each validation loss as it is measured: step, steps of the whole training, loss. What it raises ends the run.
Watch = Callable[[int, int, float], None]


def unwatched(step: int, steps: int, loss: float) -> None:
    """Let the training go on."""


class LossPoint(BaseModel):
    """One point of the loss curve; `validation` is None where none was measured."""

    model_config = ConfigDict(frozen=True)

    step: int
    loss: float | None = None
    validation: float | None = None


def progress_callback(
    report: Report, tokens: Callable[[], int], history: list[LossPoint], every: float = 4.0
) -> "TrainerCallback":
    """Return a Trainer callback that reports at most every `every` seconds and keeps the loss curve in `history`.

    Args:
        report: is told the progress.
        tokens: returns how many tokens the trainer has seen so far.
        history: is filled with one point a logged step, and one a measured validation loss.
        every: seconds between reports. Each report may become a row in Dagster's event log.
    """
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.began = self.told = time.monotonic()
            self.first_step = state.global_step
            self.losses: list[float] = []

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any
        ) -> None:
            logs = logs or {}
            if "loss" not in logs:
                return
            history.append(LossPoint(step=state.global_step, loss=logs["loss"]))
            self.losses.append(logs["loss"])
            now = time.monotonic()
            if now - self.told < every and state.global_step < state.max_steps:
                return
            elapsed = max(now - self.began, 1e-9)
            done = max(state.global_step - self.first_step, 1)
            report(
                Progress(
                    step=state.global_step,
                    steps=state.max_steps,
                    loss=sum(self.losses) / len(self.losses),
                    tokens_per_second=tokens() / elapsed,
                    seconds_left=elapsed / done * (state.max_steps - state.global_step),
                )
            )
            self.told, self.losses = now, []

        def on_evaluate(
            self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any
        ) -> None:
            history.append(LossPoint(step=state.global_step, validation=(metrics or {})["eval_loss"]))

    return Callback()


def validation_callback(watch: Watch) -> "TrainerCallback":
    """Return a Trainer callback that tells `watch` each validation loss."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_evaluate(
            self, args: Any, state: Any, control: Any, metrics: dict[str, float] | None = None, **kwargs: Any
        ) -> None:
            watch(state.global_step, state.max_steps, (metrics or {})["eval_loss"])

    return Callback()
