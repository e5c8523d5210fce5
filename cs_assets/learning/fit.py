"""What a loss curve says: whether the training fits, overfits or underfits.

Here belongs the reading of a finished curve; what to do about it is said with it, done by nobody.

    fit_of(log)    # Fit(verdict="underfitting", reason="the training loss still falls: 0.42, then 0.31 ...")
"""

import math
import statistics
from collections.abc import Sequence
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from cs_assets.learning.training import TrainingLog

# Rules of thumb, generous on purpose: loss curves of a few hundred steps are noisy.
_RISEN: Final = 1.05  # validation loss at the end, as a multiple of its lowest
_APART: Final = 1.5  # validation loss as a multiple of the training loss at the end
_FALLING: Final = 0.9  # training loss of the last fifth of the steps, as a multiple of the fifth before
_BEYOND_NOISE: Final = 2  # the fall between these two, in standard errors: of level losses 2 % fall as far by chance


class Fit(BaseModel):
    """The verdict, and the figures that it rests on with what to do."""

    model_config = ConfigDict(frozen=True)

    verdict: Literal["fits", "overfitting", "underfitting", "unknown"]
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


def fit_of(log: TrainingLog) -> Fit:
    """Name what the relation of training to validation loss says.

    Overfitting: the validation loss has risen from its lowest, or stands far above the training loss. Underfitting: the
    mean training loss of the last fifth of the steps is well below that of the fifth before, and by more than twice the
    standard error of their difference (Welch's, from the spread of the steps' losses within each fifth). The losses of
    small batches scatter about as widely as they are high: of level curves with sixty steps a fifth, every third one
    falls by a tenth for nothing.
    """
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
    before, latest, error = _fifths(training)
    if latest < _FALLING * before and before - latest > _BEYOND_NOISE * error:
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
    return Fit(
        verdict="fits", reason=f"validation loss {last:.3f}, training loss {end:.3f}, both level within their noise."
    )


def _fifths(losses: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean losses of the last but one and the last fifth of the steps, and their difference's error."""
    size = max(1, len(losses) // 5)
    latest, before = losses[-size:], losses[-2 * size : -size] or losses[:1]
    spread = statistics.variance(before) + statistics.variance(latest) if size > 1 else math.inf
    return statistics.fmean(before), statistics.fmean(latest), math.sqrt(spread / size)
