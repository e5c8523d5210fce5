"""Blocking checks before the judge is trained and before its choice is trained on."""

import dagster as dg
import polars as pl

from cs_assets.partitions import scenario_partitions
from cs_assets.quality.assets import filtered_samples, labelled_samples

MINIMUM_KEPT = 0.5


@dg.asset_check(asset=labelled_samples, blocking=True, partitions_def=scenario_partitions)
def labels_are_balanced(labelled_samples: pl.DataFrame) -> dg.AssetCheckResult:
    """Every part of the judge's data holds as many good samples as bad ones, and no good one breaks a rule."""
    judge = labelled_samples.filter(pl.col("part") != "")
    parts = judge.group_by("part").agg(good=pl.col("label").sum(), bad=(~pl.col("label")).sum()).sort("part")
    broken = labelled_samples.filter(pl.col("label") & (pl.col("violations").list.len() > 0)).height
    balanced = parts.height == 3 and parts.select((pl.col("good") == pl.col("bad")).all()).item()
    return dg.AssetCheckResult(
        passed=bool(balanced and not broken),
        metadata={
            "parts": {row["part"]: f"{row['good']} + {row['bad']}" for row in parts.to_dicts()},
            "broken": broken,
        },
    )


@dg.asset_check(asset=filtered_samples, blocking=True, partitions_def=scenario_partitions)
def filter_keeps_enough(filtered_samples: pl.DataFrame) -> dg.AssetCheckResult:
    """At least half of the training samples are kept: a judge that rejects more does not know the task."""
    train = filtered_samples.filter(pl.col("fold") == "train")
    share = float(train["kept"].sum()) / max(train.height, 1)
    return dg.AssetCheckResult(
        passed=share >= MINIMUM_KEPT, metadata={"kept_share": round(share, 3), "wanted": MINIMUM_KEPT}
    )
