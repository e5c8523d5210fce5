"""Blocking check: the splits do not leak."""

import dagster as dg
import polars as pl

from cs_assets.partitions import scenario_partitions
from cs_assets.training.assets import training_splits
from cs_assets.training.splits import leakage_proof, leaks
from resources.store import preview


@dg.asset_check(asset=training_splits, blocking=True, partitions_def=scenario_partitions)
def splits_do_not_leak(training_splits: pl.DataFrame) -> dg.AssetCheckResult:
    """No message, held-out template family or held-out entity block of a test occurs in train."""
    proof = leakage_proof(training_splits)
    found = leaks(proof)
    return dg.AssetCheckResult(
        passed=proof.height > 0 and not found,
        metadata={"proof": dg.MetadataValue.md(preview(proof)), "leaks": found},
    )
