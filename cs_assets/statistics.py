"""Figures with their uncertainty: bootstrap intervals and the paired test of base against tuned."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

RESAMPLES = 2_000
SIGNIFICANT: Final = 0.05  # the usual level of significance


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


def area_under_curve(good: Sequence[float], bad: Sequence[float], seed: int = 7) -> Interval:
    """Return the area under the ROC curve of scores, with its interval over the cases, each label drawn by itself.

    It is the share of pairs of a good and a bad case in which the good one has the higher score, a tie being half
    (Hanley and McNeil 1982), here by the sum of the ranks.

    Raises:
        ValueError: there are no good cases, or no bad ones.
    """
    import numpy as np
    from scipy.stats import rankdata

    if not good or not bad:
        raise ValueError(f"{len(good)} good and {len(bad)} bad cases: needed is one of each at least.")
    chance = np.random.default_rng(seed)
    # The first line takes each case once.
    drawn = [
        np.vstack([scores, scores[chance.integers(0, len(scores), (RESAMPLES, len(scores)))]])
        for scores in (np.asarray(good, dtype=np.float64), np.asarray(bad, dtype=np.float64))
    ]
    ranks = rankdata(np.hstack(drawn), axis=1)[:, : len(good)].sum(axis=1)
    area, *resampled = (ranks - len(good) * (len(good) + 1) / 2) / (len(good) * len(bad))
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(mean=float(area), low=float(low), high=float(high), n=len(good) + len(bad))


def macro_f1(predicted: Sequence[str], true: Sequence[str], seed: int = 7) -> Interval:
    """Return the F1 of a class, averaged over the classes that occur in `true`, with its interval over the cases.

    F1 = 2 TP / (2 TP + FP + FN), with TP + FN what is of the class and TP + FP what is said to be.

    Raises:
        ValueError: there are no cases, or not as many predictions as true classes.
    """
    import numpy as np

    if not true or len(predicted) != len(true):
        raise ValueError(f"{len(predicted)} predictions of {len(true)} cases: needed is one a case, of at least one.")
    classes = np.asarray(sorted(set(true)))
    of, said = (np.asarray(names)[:, None] == classes for names in (true, predicted))
    cases = np.full(len(true), 1 / len(true))
    # How often each case is drawn; the first line takes each once.
    drawn = np.vstack([np.ones_like(cases), np.random.default_rng(seed).multinomial(len(true), cases, RESAMPLES)])
    hits, actual, named = (drawn @ flags.astype(np.float64) for flags in (of & said, of, said))
    f1 = np.divide(2 * hits, actual + named, out=np.zeros_like(hits), where=actual > 0)
    mean, *resampled = f1.sum(axis=1) / (actual > 0).sum(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Interval(mean=float(mean), low=float(low), high=float(high), n=len(true))


def mcnemar(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the exact two-sided p-value of McNemar's test on paired right (1.0) and wrong (0.0) answers."""
    gained = sum(1 for b, a in zip(before, after, strict=True) if a > b)
    lost = sum(1 for b, a in zip(before, after, strict=True) if a < b)
    return sign_test(gained, lost)


def sign_test(wins: int, losses: int) -> float:
    """Return the exact two-sided p-value of so many wins and losses, where both are as likely; ties do not count."""
    from scipy.stats import binomtest

    if wins + losses == 0:
        return 1.0
    return float(binomtest(wins, wins + losses).pvalue)
