"""Blocking check: no row of `atomic_table` contradicts itself."""

import dagster as dg
import polars as pl

from cs_assets.atoms.assets import atomic_table
from cs_assets.atoms.bundles import BUNDLES
from cs_assets.check_results import check_result
from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import load_scenario
from resources.store import preview


@dg.asset_check(asset=atomic_table, blocking=True, partitions_def=scenario_partitions)
def atoms_are_coherent(context: dg.AssetCheckExecutionContext, atomic_table: pl.DataFrame) -> dg.AssetCheckResult:
    """Division, postcode, landline code and mobile prefix of every row agree."""
    faults = BUNDLES[load_scenario(context.partition_key).spec.atoms].faults(atomic_table)
    complaints = [] if atomic_table.height else ["the table is empty"]
    complaints += [f"atom {row['atom_id']}: {row['reason']}" for row in faults.iter_rows(named=True)]
    return check_result(
        context,
        complaints,
        {
            "rows": atomic_table.height,
            "incoherent": faults.height,
            "first_faults": dg.MetadataValue.md(preview(faults)),
        },
    )
