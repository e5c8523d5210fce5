"""Figures with their uncertainty: bootstrap intervals and the paired test of base against tuned."""

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

RESAMPLES = 2_000


class Interval(BaseModel):
    """A mean with its 95 % percentile bootstrap interval and the number of cases."""

    model_config = ConfigDict(frozen=True)

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"


def bootstrap(values: Sequence[float], seed: int = 7) -> Interval:
    """Return the mean of `values` with its interval: scores in [0, 1], or paired differences of them.

    Raises:
        ValueError: there are no values.
    """
    import numpy as np

    if not values:
        raise ValueError("no cases: an interval needs at least one.")
    data = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(data), (RESAMPLES, len(data)))
    low, high = np.quantile(data[draws].mean(axis=1), [0.025, 0.975])
    return Interval(mean=float(data.mean()), low=float(low), high=float(high), n=len(data))


def mcnemar(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the exact two-sided p-value of McNemar's test on paired right (1.0) and wrong (0.0) answers."""
    gained = sum(1 for b, a in zip(before, after, strict=True) if a > b)
    lost = sum(1 for b, a in zip(before, after, strict=True) if a < b)
    return sign_test(gained, lost)


def sign_test(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of so many wins and losses, where both are as likely; ties do not count."""
    n = wins + losses
    if n == 0:
        return 1.0
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(min(wins, losses) + 1)) / 2**n)
