"""Blocking check: no row of `atomic_table` contradicts itself."""

import dagster as dg
import polars as pl

from cs_assets.atoms.assets import atomic_table
from cs_assets.atoms.coherence import incoherent_rows
from cs_assets.partitions import scenario_partitions
from resources.store import preview


@dg.asset_check(asset=atomic_table, blocking=True, partitions_def=scenario_partitions)
def atoms_are_coherent(atomic_table: pl.DataFrame) -> dg.AssetCheckResult:
    """Division, postcode, landline code and mobile prefix of every row agree."""
    faults = incoherent_rows(atomic_table)
    return dg.AssetCheckResult(
        passed=atomic_table.height > 0 and faults.is_empty(),
        metadata={
            "rows": atomic_table.height,
            "incoherent": faults.height,
            "first": dg.MetadataValue.md(preview(faults)),
        },
    )
