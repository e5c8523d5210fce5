"""Blocking check before the reward model is trained."""

import dagster as dg
import polars as pl

from cs_assets.partitions import scenario_partitions
from cs_assets.reward.assets import preference_pairs


@dg.asset_check(asset=preference_pairs, blocking=True, partitions_def=scenario_partitions)
def pairs_are_sound(preference_pairs: pl.DataFrame) -> dg.AssetCheckResult:
    """Chosen and rejected differ, and no message stands in both train and test."""
    same = preference_pairs.filter(pl.col("chosen") == pl.col("rejected")).height
    train = preference_pairs.filter(pl.col("part") == "train")["message"]
    shared = preference_pairs.filter((pl.col("part") != "train") & pl.col("message").is_in(train.implode())).height
    return dg.AssetCheckResult(
        passed=train.len() > 0 and same == 0 and shared == 0,
        metadata={"pairs": preference_pairs.height, "identical_answers": same, "messages_in_both": shared},
    )
