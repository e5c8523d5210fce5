"""`rendered_samples`: templates times atoms."""

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets import plots
from cs_assets.automation_conditions import MISSING_OR_OUTDATED
from cs_assets.model_assets import tracked_figures
from cs_assets.partitions import scenario_partitions
from cs_assets.samples.render import render_samples
from cs_assets.scenario import load_scenario
from resources.store import Store, fingerprint
from resources.tracking import Tracking


class RenderedSamplesConfig(dg.Config):
    """How many samples each fold gets; empty: what `counts` in scenario.yaml says for the profile."""

    judge: int | None = Field(default=None, description="Samples for judge and calibration; each gets a bad twin.")
    train: int | None = Field(default=None, description="Samples to train the adapter on.")
    validation: int | None = Field(default=None, description="Samples whose loss is watched while training.")
    test_iid: int | None = Field(default=None, description="Test: known templates, known entity blocks.")
    test_template_ood: int | None = Field(default=None, description="Test: unseen template families.")
    test_entity_ood: int | None = Field(default=None, description="Test: unseen entity blocks.")
    test_noise: int | None = Field(default=None, description="Test: every message with one of the harder noises.")
    holdout_templates: float | None = Field(
        default=None,
        description="Share of the template families that only test_template_ood sees; empty: what scenario.yaml says.",
        gt=0,
        lt=1,
    )


@dg.asset(
    group_name="samples",
    partitions_def=scenario_partitions,
    kinds={"jinja", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="1",
    automation_condition=MISSING_OR_OUTDATED,
)
def rendered_samples(
    context: dg.AssetExecutionContext,
    config: RenderedSamplesConfig,
    store: Store,
    tracking: Tracking,
    template_variants: pl.DataFrame,
    atomic_table: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """样本: every sample with its ground truth by construction, its fold, variation tags, template and entity block."""
    scenario = load_scenario(context.partition_key).with_counts(**config.model_dump(exclude={"holdout_templates"}))
    if config.holdout_templates is not None:
        scenario = scenario.with_held_out(config.holdout_templates)
    table = render_samples(scenario, template_variants, atomic_table)
    tags = table.explode("tags", empty_as_null=True).group_by("tags").len().sort("tags")
    characters = table["message"].str.len_chars().to_list()
    lengths = plots.length_histogram(characters)
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "by_fold": dict(table.group_by("fold", maintain_order=True).len().iter_rows()),
            "tags": {tag or "none": count for tag, count in tags.iter_rows()},
            "message_lengths": dg.MetadataValue.md(plots.markdown_image(lengths, "message lengths")),
            "mean_message_characters": round(sum(characters) / max(table.height, 1), 1),
            **tracked_figures(context, store, tracking, key, {"rows": table.height}),
        },
    )
