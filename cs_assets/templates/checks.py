"""Blocking check: there is enough to write sentences with."""

import dagster as dg
import polars as pl

from cs_assets.partitions import scenario_partitions
from cs_assets.templates.assets import template_variants


@dg.asset_check(asset=template_variants, blocking=True, partitions_def=scenario_partitions)
def seeds_are_accepted(template_variants: pl.DataFrame) -> dg.AssetCheckResult:
    """Every seed passed its gates, and there are at least two families: one to train on, one to hold out."""
    rejected = template_variants.filter((pl.col("origin") == "seed") & ~pl.col("accepted"))
    families = template_variants.filter("accepted")["family"].n_unique()
    return dg.AssetCheckResult(
        passed=rejected.is_empty() and families >= 2,
        metadata={"families": families, "rejected_seeds": dict(rejected.select("seed_file", "reason").iter_rows())},
    )
