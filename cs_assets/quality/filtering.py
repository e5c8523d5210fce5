"""The filter: what rules and judge let through, and for what they did not, the reason.

Gates stand from cheap to dear: rules, contradictions, near-duplicates, the judge; where a person has decided, the judge
is not heard. Held-out tests do not pass the judge:
a model that picked the questions of the test would pick the easy ones.
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from cs_assets.quality import labelling

JUDGED_FOLDS: Final = ("train", "validation")
# Of the training samples; a judge that rejects more does not know the task.
MINIMUM_KEPT: Final = 0.5
DECIDED: Final[dict[str, Any]] = {"message": pl.String, "tools": pl.String, "answer": pl.String, "right": pl.Boolean}
_NOBODY: Final = pl.DataFrame(schema=DECIDED)
SCHEMA: Final[dict[str, Any]] = labelling.SCHEMA | {"score": pl.Float64, "kept": pl.Boolean, "reason": pl.String}


def candidates(labelled: pl.DataFrame) -> pl.DataFrame:
    """Return the samples that may become training or test data: all but the judge's own."""
    return labelled.filter(pl.col("fold") != "judge")


def to_judge(labelled: pl.DataFrame) -> pl.DataFrame:
    """Return the candidates that the judge must look at: of its folds, and not already rejected."""
    return candidates(labelled).filter(
        pl.col("fold").is_in(list(JUDGED_FOLDS))
        & (pl.col("violations").list.len() == 0)
        & (pl.col("duplicate_of") == "")
        & (pl.col("contradicts") == "")
    )


def filter_samples(
    labelled: pl.DataFrame, scores: Mapping[str, float], threshold: float, decided: pl.DataFrame = _NOBODY
) -> pl.DataFrame:
    """Mark each candidate as kept or not.

    Args:
        labelled: the table of `labelled_samples`.
        scores: the judge's score per sample_id, for those of `to_judge`.
        threshold: a score below it rejects.
        decided: what people say of samples, with the columns `DECIDED`, each sample once.
    """
    scored = candidates(labelled).with_columns(
        score=pl.col("sample_id").replace_strict(dict(scores), default=None, return_dtype=pl.Float64)
    )
    table = scored.join(decided, on=["message", "tools", "answer"], how="left", maintain_order="left")
    broken = pl.col("violations").list.len() > 0
    doubted = pl.col("score").is_not_null() & (pl.col("score") < threshold) & pl.col("right").is_null()
    reason = (
        pl.when(broken)
        .then(pl.lit("rule: ") + pl.col("violations").list.first())
        .when(pl.col("contradicts") != "")
        .then(pl.lit("contradiction: with ") + pl.col("contradicts"))
        .when(pl.col("duplicate_of") != "")
        .then(pl.lit("near-duplicate: of ") + pl.col("duplicate_of"))
        .when(~pl.col("right"))
        .then(pl.lit("review: a person called the answer wrong"))
        .when(doubted)
        .then(pl.format("judge: score {} below {}", pl.col("score").round(3), pl.lit(round(threshold, 3))))
        .otherwise(pl.lit(""))
    )
    return table.with_columns(reason=reason).with_columns(kept=pl.col("reason") == "").select(list(SCHEMA))


def kept_share(filtered: pl.DataFrame) -> float:
    """Return the share of the training samples that are kept, 0 where there are none."""
    train = filtered.filter(pl.col("fold") == "train")
    return float(train["kept"].sum()) / max(train.height, 1)


def too_few_kept(filtered: pl.DataFrame) -> list[str]:
    """Return what is wrong with a filter that rejects most of what it sees, in words; empty where it does not."""
    share = kept_share(filtered)
    if share >= MINIMUM_KEPT:
        return []
    return [
        f"{share:.0%} of {filtered.filter(pl.col('fold') == 'train').height} training samples are kept, "
        f"{MINIMUM_KEPT:.0%} wanted; column `reason` of filtered_samples says why each was rejected. Where it was the "
        "judge, give it more samples (`judge` in the scenario's counts)."
    ]
