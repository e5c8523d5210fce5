"""`atomic_table`: the atoms of a scenario."""

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets.atoms.bundles import sample_atoms
from cs_assets.automation_conditions import MISSING_OR_OUTDATED
from cs_assets.model_assets import tracked_figures
from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import load_scenario
from resources.store import Store, fingerprint
from resources.tracking import Tracking


class AtomicTableConfig(dg.Config):
    """Size of the table."""

    rows: int | None = Field(
        default=None, description="Rows; by default eight times the samples that the profile wants."
    )


@dg.asset(
    group_name="atoms",
    partitions_def=scenario_partitions,
    kinds={"polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="2",
    automation_condition=MISSING_OR_OUTDATED,
)
def atomic_table(
    context: dg.AssetExecutionContext,
    config: AtomicTableConfig,
    store: Store,
    tracking: Tracking,
) -> dg.MaterializeResult[pl.DataFrame]:
    """原子数据: one row is one coherent bundle of values (of a customer: name, phone, postcode, region, door)."""
    scenario = load_scenario(context.partition_key)
    rows = config.rows or scenario.counts.atoms
    table = sample_atoms(scenario.spec.atoms, rows, scenario.spec.seed)
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "entity_blocks": table["entity_block"].n_unique(),
            "different_values": {
                name: table[name].n_unique()
                for name, kind in table.schema.items()
                if kind == pl.String and not name.startswith("_")
            },
            **tracked_figures(context, store, tracking, key, {"rows": table.height}),
        },
    )
