"""What a loss curve says: whether the training fits, overfits or underfits.

Here belongs the reading of a finished curve; what to do about it is said with it, done by nobody.

    fit_of(log)    # Fit(verdict="underfitting", reason="the training loss still falls: 0.42, then 0.31 ...")
"""

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from cs_assets.learning.training import TrainingLog

# Rules of thumb, generous on purpose: loss curves of a few hundred steps are noisy.
_RISEN: Final = 1.05  # validation loss at the end, as a multiple of its lowest
_APART: Final = 1.5  # validation loss as a multiple of the training loss at the end
_FALLING: Final = 0.9  # training loss of the last fifth of the steps, as a multiple of the fifth before


class Fit(BaseModel):
    """The verdict, and the figures that it rests on with what to do."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["fits", "overfitting", "underfitting", "unknown"]
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


def fit_of(log: TrainingLog) -> Fit:
    """Name what the relation of training to validation loss says."""
    validation = [(p.step, p.validation) for p in log.curve if p.validation is not None]
    training = [p.loss for p in log.curve if p.loss is not None]
    if not validation or not training:
        return Fit(verdict="unknown", reason="no validation loss; give the split `validation` some samples.")
    (best_step, lowest), (_, last) = min(validation, key=lambda point: point[1]), validation[-1]
    end = log.final_loss
    if last > _RISEN * lowest:
        return Fit(
            verdict="overfitting",
            reason=f"the validation loss rose from {lowest:.3f} at step {best_step} to {last:.3f}; "
            f"the state of step {log.kept_step} is kept. Fewer epochs, or more samples.",
        )
    before, latest = _fifths(training)
    if latest < _FALLING * before:
        return Fit(
            verdict="underfitting",
            reason=f"the training loss still falls: {before:.3f}, then {latest:.3f} in the last two fifths of the "
            "steps. More epochs or samples, or a higher learning rate.",
        )
    if last > _APART * end:
        return Fit(
            verdict="overfitting",
            reason=f"validation loss {last:.3f} against training loss {end:.3f}. More templates and samples, fewer "
            "epochs, or a lower rank.",
        )
    return Fit(verdict="fits", reason=f"validation loss {last:.3f}, training loss {end:.3f}, both level.")


def _fifths(losses: Sequence[float]) -> tuple[float, float]:
    """Return the mean losses of the last but one and the last fifth of the steps."""
    size = max(1, len(losses) // 5)
    latest, before = losses[-size:], losses[-2 * size : -size] or losses[:1]
    return sum(before) / len(before), sum(latest) / len(latest)
