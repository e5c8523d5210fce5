"""A loss curve is named by what it shows."""

import random

import pytest

from cs_assets.learning.fit import fit_of
from cs_assets.learning.progress import LossPoint
from cs_assets.learning.training import TrainingLog

LEVEL = [1.0] * 10


def log_of(training: list[float], validation: dict[int, float]) -> TrainingLog:
    curve = [LossPoint(step=step, loss=loss) for step, loss in enumerate(training, start=1)]
    curve += [LossPoint(step=step, validation=loss) for step, loss in validation.items()]
    last = len(training)
    return TrainingLog(samples=8, steps=last, kept_step=last, seconds=1, tokens=1, resumed_at=0, curve=curve)


@pytest.mark.parametrize(
    ("training", "validation", "verdict"),
    [
        (LEVEL, {5: 1.1, 10: 1.0}, "fits"),
        (LEVEL, {5: 1.0, 10: 1.2}, "overfitting"),
        (LEVEL, {10: 1.6}, "overfitting"),
        ([2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.9, 0.8, 0.6, 0.5], {10: 0.5}, "underfitting"),
        ([2.0, 1.8, 1.6, 1.4, 1.2, 1.0, 0.2, 1.4, 1.4, 0.0], {10: 0.7}, "fits"),  # 0.8, then 0.7, give or take 0.9
        ([2.0, 1.0], {2: 1.0}, "fits"),  # of two steps nobody knows their noise
        (LEVEL, {}, "unknown"),
        ([1.0], {1: 1.0}, "fits"),
    ],
)
def test_the_verdict_follows_the_two_curves(training: list[float], validation: dict[int, float], verdict: str) -> None:
    assert fit_of(log_of(training, validation)).verdict == verdict


def test_the_reason_names_the_figures_and_what_to_do() -> None:
    reason = str(fit_of(log_of(LEVEL, {5: 1.0, 10: 1.25})))
    assert reason.startswith("overfitting: the validation loss rose from 1.000 at step 5 to 1.250")
    assert "Fewer epochs" in reason


def noisy(seed: int, levels: tuple[float, ...]) -> list[float]:
    """Return 60 steps at each level, as skewed and as far apart as those of batches of four."""
    rng = random.Random(seed)
    return [rng.gammavariate(1.5, level / 1.5) for level in levels for _ in range(60)]


def underfitting(levels: tuple[float, ...]) -> int:
    """Return of how many of 100 noisy curves of these levels the verdict is underfitting."""
    logs = [log_of(noisy(seed, levels), {300: levels[-1]}) for seed in range(100)]
    return sum(fit_of(log).verdict == "underfitting" for log in logs)


def test_noise_is_no_fall() -> None:
    assert underfitting((0.07, 0.04, 0.02, 0.02, 0.02)) <= 5
    assert underfitting((0.4, 0.3, 0.2, 0.1, 0.05)) >= 95
