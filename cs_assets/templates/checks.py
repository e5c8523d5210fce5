"""Blocking check: there is enough to write sentences with."""

from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl

from cs_assets.check_results import check_result
from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import scenarios_folder
from cs_assets.templates.assets import template_variants

MINIMUM_FAMILIES: Final = 2
# What to do about a rejected seed, by the gate that rejected it.
_REMEDIES: Final = {
    "round trip": "Write the scenario's slots, such as {{电话}}, into the sentence so that each can be told apart.",
    "boundary": "Put a comma or a word in Chinese characters between the slot and what stands beside it.",
    "duplicate": "Delete one of the two files.",
}


@dg.asset_check(asset=template_variants, blocking=True, partitions_def=scenario_partitions)
def seeds_are_accepted(context: dg.AssetCheckExecutionContext, template_variants: pl.DataFrame) -> dg.AssetCheckResult:
    """Every seed passed its gates, and each unit has at least two families: one to train on, one to hold out."""
    folder = scenarios_folder() / context.partition_key / "templates" / "human"
    rejected = _rejected_seeds(template_variants)
    return check_result(
        context,
        complaints(template_variants, folder),
        {
            "families": template_variants.filter("accepted")["family"].n_unique(),
            "rejected_seeds": dict(rejected.select("seed_file", "reason").iter_rows()),
        },
    )


def complaints(variants: pl.DataFrame, folder: Path) -> list[str]:
    """Return what is wrong with the seeds, each with its file in `folder`, the reason and what to do."""
    found = []
    for row in _rejected_seeds(variants).iter_rows(named=True):
        remedy = _REMEDIES.get(row["reason"].partition(":")[0], "Mend the sentence, or delete the file.")
        found.append(f"{folder / row['seed_file']}: {row['reason']}. {remedy}")
    for (unit,), group in sorted(variants.group_by("unit"), key=lambda item: str(item[0])):
        families = group.filter("accepted")["family"].n_unique()
        if families < MINIMUM_FAMILIES:
            found.append(
                f"{folder / str(unit)}: the accepted sentences form {families} template families, at least "
                f"{MINIMUM_FAMILIES} are needed: one to train on, one to hold out. Add a sentence with other words or "
                "another order of slots."
            )
    return found


def _rejected_seeds(variants: pl.DataFrame) -> pl.DataFrame:
    return variants.filter((pl.col("origin") == "seed") & ~pl.col("accepted"))
