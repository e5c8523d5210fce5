"""What an asset reads, given by the test: an asset that stands for the one that makes it in the chain.

dg.materialize([given("training_splits", splits), predictions], partition_key="address_extraction", ...)
"""

from typing import Any

import dagster as dg
import polars as pl

from cs_assets.partitions import scenario_partitions


def given(name: str, value: Any) -> dg.AssetsDefinition:
    """Return an asset that is `value`."""
    kept_as = "io_manager" if isinstance(value, pl.DataFrame) else "record_io_manager"

    @dg.asset(name=name, partitions_def=scenario_partitions, io_manager_key=kept_as)
    def made() -> Any:
        return value

    return made
