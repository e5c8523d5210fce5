"""How far the reward model's probabilities can be believed.

The difference of two rewards says how probable it is that the first answer is the better one: sigmoid(difference).
Here that is compared with how often it is. Which answers are compared stands in `pairs.py`.

    calibration([2.0, 0.1, -0.3])    # {"confidence": 0.66, "calibration_error": 0.4}
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

# Equal widths over the confidences that a choice between two can have, 0.5 to 1.
_BINS: Final = 10


def reliability(differences: Sequence[float]) -> pl.DataFrame:
    """Return how often the reward model is right by how sure it is.

    Args:
        differences: reward of the chosen less that of the rejected answer, a pair each.

    Returns:
        One row a bin that holds pairs, in rising order: confidence (mean of sigmoid(|difference|)), accuracy (share of
        pairs whose chosen answer has the higher reward) and n.
    """
    confidence = 1 / (1 + (-pl.col("difference").abs()).exp())
    bin_number = ((pl.col("confidence") - 0.5) * 2 * _BINS).floor().clip(0, _BINS - 1).cast(pl.Int64)
    return (
        pl.DataFrame({"difference": differences}, schema={"difference": pl.Float64})
        .with_columns(confidence=confidence, accuracy=(pl.col("difference") > 0).cast(pl.Float64))
        .group_by(bin=bin_number)
        .agg(pl.col("confidence", "accuracy").mean(), n=pl.len().cast(pl.Int64))
        .sort("bin")
        .drop("bin")
    )


def calibration(differences: Sequence[float]) -> dict[str, float]:
    """Return confidence, the mean probability of the answer that is preferred, and the expected calibration error.

    The error is the mean over the pairs of |accuracy - confidence| of their bin (Guo et al. 2017, arXiv 1706.04599,
    equation 3). A confidence above the accuracy means that the rewards lie too far apart. Without pairs there is
    neither.
    """
    bins = reliability(differences)
    if not bins.height:
        return {}
    share = pl.col("n") / pl.col("n").sum()
    error = ((pl.col("accuracy") - pl.col("confidence")).abs() * share).sum()
    found = bins.select(confidence=(pl.col("confidence") * share).sum(), calibration_error=error).row(0, named=True)
    return {name: float(value) for name, value in found.items()}
