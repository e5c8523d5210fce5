"""Blocking checks before the judge is trained and before its choice is trained on."""

import dagster as dg
import polars as pl

from cs_assets.check_results import check_result
from cs_assets.partitions import scenario_partitions
from cs_assets.quality.assets import filtered_samples, labelled_samples
from cs_assets.quality.filtering import MINIMUM_KEPT, kept_share, too_few_kept
from cs_assets.quality.labelling import GATE, PARTS


@dg.asset_check(asset=labelled_samples, blocking=True, partitions_def=scenario_partitions)
def labels_are_balanced(context: dg.AssetCheckExecutionContext, labelled_samples: pl.DataFrame) -> dg.AssetCheckResult:
    """Every part has as many twins as good samples, no message stands in two parts, no good sample breaks a rule."""
    judge = labelled_samples.filter(pl.col("part") != "")
    pairs = judge.filter(pl.col("corruption_family") != GATE)
    parts = pairs.group_by("part").agg(good=pl.col("label").sum(), bad=(~pl.col("label")).sum()).sort("part")
    broken = labelled_samples.filter(pl.col("label") & (pl.col("violations").list.len() > 0)).height
    shared = judge.group_by("message").agg(pl.col("part").n_unique()).filter(pl.col("part") > 1).height
    shown = {row["part"]: f"{row['good']} + {row['bad']}" for row in parts.to_dicts()}
    complaints = []
    if parts.height != len(PARTS) or not parts.select((pl.col("good") == pl.col("bad")).all()).item():
        complaints.append(f"good + bad by part: {shown}; wanted as many of both in each of {', '.join(PARTS)}")
    if shared:
        complaints.append(f"{shared} messages stand in two parts of the judge's data; materialize labelled_samples")
    if broken:
        complaints.append(f"{broken} samples that are good by construction break a rule; look at column `violations`")
    figures = {"parts": shown, "messages_in_two_parts": shared, "good_samples_that_break_a_rule": broken}
    return check_result(context, complaints, figures)


@dg.asset_check(asset=filtered_samples, blocking=True, partitions_def=scenario_partitions)
def filter_keeps_enough(context: dg.AssetCheckExecutionContext, filtered_samples: pl.DataFrame) -> dg.AssetCheckResult:
    """At least half of the training samples are kept: a judge that rejects more does not know the task."""
    metadata = {"kept_share": round(kept_share(filtered_samples), 3), "minimum_kept_share": MINIMUM_KEPT}
    return check_result(context, too_few_kept(filtered_samples), metadata)
