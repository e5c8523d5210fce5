"""Blocking check: the splits do not leak."""

import dagster as dg
import polars as pl

from cs_assets.check_results import check_result
from cs_assets.partitions import scenario_partitions
from cs_assets.training.assets import training_splits
from cs_assets.training.splits import leakage_proof, leaks
from resources.store import preview


@dg.asset_check(asset=training_splits, blocking=True, partitions_def=scenario_partitions)
def splits_do_not_leak(context: dg.AssetCheckExecutionContext, training_splits: pl.DataFrame) -> dg.AssetCheckResult:
    """No message, held-out template family or held-out entity block of a test occurs in train."""
    proof = leakage_proof(training_splits)
    found = leaks(proof)
    nothing = [] if proof.height else ["there is no split beside train, so nothing was compared"]
    return check_result(context, nothing + found, {"proof": dg.MetadataValue.md(preview(proof)), "leaks": found})
