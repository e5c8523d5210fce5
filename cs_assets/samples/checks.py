"""Blocking check: the truth of every sample can be read back from its message."""

import dagster as dg
import polars as pl

from cs_assets.check_results import check_result
from cs_assets.families.base import Sample
from cs_assets.partitions import scenario_partitions
from cs_assets.samples.assets import rendered_samples
from cs_assets.scenario import load_scenario


@dg.asset_check(asset=rendered_samples, blocking=True, partitions_def=scenario_partitions)
def truth_is_recoverable(context: dg.AssetCheckExecutionContext, rendered_samples: pl.DataFrame) -> dg.AssetCheckResult:
    """The family's rules hold for every sample, noise included."""
    family = load_scenario(context.partition_key).family
    broken = {
        row["sample_id"]: violations[0].detail
        for row in rendered_samples.iter_rows(named=True)
        if (violations := family.verify(Sample.model_validate(row)))
    }
    complaints = [] if rendered_samples.height else ["there is no sample; look at the scenario's counts"]
    complaints += [f"{sample_id}: {detail}" for sample_id, detail in broken.items()]
    return check_result(
        context,
        complaints,
        {
            "samples": rendered_samples.height,
            "samples_that_break_a_rule": len(broken),
            "first_faults": dict(list(broken.items())[:5]),
        },
    )
