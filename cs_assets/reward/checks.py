"""Blocking check before the reward model is trained."""

import dagster as dg
import polars as pl

from cs_assets.check_results import check_result
from cs_assets.partitions import scenario_partitions
from cs_assets.reward.assets import preference_pairs
from cs_assets.reward.pairs import TEST_SPLIT


@dg.asset_check(asset=preference_pairs, blocking=True, partitions_def=scenario_partitions)
def pairs_are_sound(context: dg.AssetCheckExecutionContext, preference_pairs: pl.DataFrame) -> dg.AssetCheckResult:
    """There are pairs to train on and to test on, which share no message and no template family; answers differ."""
    same = preference_pairs.filter(pl.col("chosen") == pl.col("rejected")).height
    train = preference_pairs.filter(pl.col("part") == "train")
    tested = preference_pairs.filter(pl.col("part") != "train")
    shared = tested.join(train, on="message", how="semi").height
    families = tested.join(train, on="template_family", how="semi")["template_family"].n_unique()
    complaints = []
    if train.is_empty():
        complaints.append("there are no training pairs: raise `train` in the counts of scenario.yaml")
    if tested.is_empty():
        complaints.append(
            f"there are no test pairs: raise `{TEST_SPLIT}` in the counts of scenario.yaml, or look at its samples in "
            "training_splits, for which there may be no corruption"
        )
    if same:
        complaints.append(f"{same} pairs have the same answer twice: the family's `corrupt` did not change it")
    if shared:
        complaints.append(f"{shared} test pairs repeat a message of the training: training_splits holds it twice")
    if families:
        complaints.append(f"{families} template families of the test are trained on: make preference_pairs again")
    metadata = {
        "pairs": preference_pairs.height,
        "identical_answers": same,
        "messages_in_both": shared,
        "families_in_both": families,
    }
    return check_result(context, complaints, metadata)
