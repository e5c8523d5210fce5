"""How far the reward model's probabilities can be believed.

The difference of two rewards says how probable it is that the first answer is the better one: sigmoid(difference).
Here that is compared with how often it is. Which answers are compared stands in `pairs.py`.

    calibration([2.0, 0.1, -0.3])    # {"confidence": 0.66, "calibration_error": 0.4}
"""

import math
from collections.abc import Sequence

import polars as pl

from cs_assets.quality.reliability import calibration_error
from cs_assets.quality.reliability import reliability as reliability_of


def reliability(differences: Sequence[float]) -> pl.DataFrame:
    """Return how often the reward model is right by how sure it is, as `quality.reliability` does.

    Args:
        differences: reward of the chosen less that of the rejected answer, a pair each.
    """
    confidences = [1 / (1 + math.exp(-abs(difference))) for difference in differences]
    return reliability_of(confidences, [difference > 0 for difference in differences], lowest=0.5)


def calibration(differences: Sequence[float]) -> dict[str, float]:
    """Return confidence, the mean probability of the answer that is preferred, and the expected calibration error.

    A confidence above the accuracy means that the rewards lie too far apart. Without pairs there is neither.
    """
    bins = reliability(differences)
    if not bins.height:
        return {}
    mean = bins.select((pl.col("confidence") * pl.col("n")).sum() / pl.col("n").sum()).item()
    return {"confidence": float(mean), "calibration_error": calibration_error(bins)}
