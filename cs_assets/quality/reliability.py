"""How far a probability can be believed: how sure somebody is, and how often that comes true.

Here belongs what judge and reward model have in common; what their probabilities are about stands with them.

    bins = reliability([0.9, 0.8, 0.2], [True, True, False])
    calibration_error(bins)    # 0.17
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

_BINS: Final = 10
_COLUMNS: Final = ("confidence", "accuracy")


def reliability(confidences: Sequence[float], outcomes: Sequence[bool], lowest: float = 0.0) -> pl.DataFrame:
    """Return how often something is so by how probable it was said to be, in bins of equal width.

    Args:
        confidences: probabilities in [lowest, 1].
        outcomes: whether it is so.
        lowest: 0.5 for the preferred one of two, which cannot be less probable.

    Returns:
        One row a bin that holds cases, in rising order: confidence (the mean), accuracy (share that is so), n.
    """
    bin_number = ((pl.col("confidence") - lowest) / (1 - lowest) * _BINS).floor().clip(0, _BINS - 1).cast(pl.Int64)
    return (
        pl.DataFrame({"confidence": confidences, "accuracy": outcomes}, schema=dict.fromkeys(_COLUMNS, pl.Float64))
        .group_by(bin=bin_number)
        .agg(pl.col(_COLUMNS).mean(), n=pl.len().cast(pl.Int64))
        .sort("bin")
        .drop("bin")
    )


def calibration_error(bins: pl.DataFrame) -> float:
    """Return the expected calibration error: the mean over the cases of |accuracy - confidence| of their bin.

    Guo et al. 2017, arXiv 1706.04599, equation 3. Without cases it is 0.
    """
    share = pl.col("n") / pl.col("n").sum()
    return float(bins.select(((pl.col("accuracy") - pl.col("confidence")).abs() * share).sum()).item())
