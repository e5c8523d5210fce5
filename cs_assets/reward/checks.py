"""Blocking check before the reward model is trained."""

import dagster as dg
import polars as pl

from cs_assets.check_results import check_result
from cs_assets.partitions import scenario_partitions
from cs_assets.reward.assets import preference_pairs


@dg.asset_check(asset=preference_pairs, blocking=True, partitions_def=scenario_partitions)
def pairs_are_sound(context: dg.AssetCheckExecutionContext, preference_pairs: pl.DataFrame) -> dg.AssetCheckResult:
    """There are pairs to train on and to test on, chosen and rejected differ, and no message stands in both parts."""
    same = preference_pairs.filter(pl.col("chosen") == pl.col("rejected")).height
    train = preference_pairs.filter(pl.col("part") == "train")["message"]
    tested = preference_pairs.filter(pl.col("part") != "train")
    shared = tested.filter(pl.col("message").is_in(train.implode())).height
    complaints = []
    if train.is_empty():
        complaints.append("there are no training pairs: raise `train` in the counts of scenario.yaml")
    if tested.is_empty():
        complaints.append(
            "there are no test pairs, a third of the training samples at most: raise `train` in the counts of "
            "scenario.yaml"
        )
    if same:
        complaints.append(f"{same} pairs have the same answer twice: the family's `corrupt` did not change it")
    if shared:
        complaints.append(f"{shared} test pairs repeat a message of the training: training_splits holds it twice")
    metadata = {"pairs": preference_pairs.height, "identical_answers": same, "messages_in_both": shared}
    return check_result(context, complaints, metadata)
