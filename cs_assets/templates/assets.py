"""`template_variants`: every sentence of a scenario, accepted or rejected with its reason."""

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets.model_assets import tracked_figures
from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import load_scenario
from cs_assets.templates.llm_variants import LLMVariants, llm_variants
from cs_assets.templates.variants import template_variants as make_variants
from resources.llm import LLM, SETTINGS
from resources.store import Store, fingerprint
from resources.tracking import Tracking

_PROBES = 6


class TemplateVariantsConfig(dg.Config):
    """How many variants there are of each seed."""

    variants_per_seed: int | None = Field(
        default=None, description="Rewrites of each seed; empty: what `counts` in scenario.yaml says for the profile."
    )
    llm_variants_per_seed: int = Field(
        default=5, description="Asked of the LLM for each seed, where one is configured."
    )


@dg.asset(
    group_name="templates",
    partitions_def=scenario_partitions,
    kinds={"jinja", "openai", "parquet"},
    owners=["team:cs-assets"],
    code_version="1",
)
def template_variants(
    context: dg.AssetExecutionContext,
    config: TemplateVariantsConfig,
    store: Store,
    tracking: Tracking,
    llm: LLM,
    atomic_table: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """句式变种: human-written seeds, rewrites and, with an endpoint, what an LLM wrote; rejected rows stay."""
    scenario = load_scenario(context.partition_key).with_counts(variants_per_seed=config.variants_per_seed)
    written = LLMVariants({}, {}, [], 0, 0.0)
    if llm.configured():
        written = llm_variants(scenario, llm.client(), config.llm_variants_per_seed)
    else:
        context.log.info(f"no LLM endpoint is configured: seeds and the rewriter only. To switch it on, set {SETTINGS}")
    for problem in written.problems:
        context.log.warning(f"LLM: {problem}")
    _, broken_examples = scenario.examples()
    for message in broken_examples:
        context.log.warning(message)
    table = make_variants(scenario, atomic_table.head(_PROBES).to_dicts(), written.texts)
    counts = table.group_by("origin", "accepted").len().sort("origin", "accepted")
    reasons = table.filter(~pl.col("accepted")).select(pl.col("reason").str.split(":").list.first()).to_series()
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            **tracked_figures(context, store, tracking, key, {"rows": table.height}),
            "accepted": int(table["accepted"].sum()),
            "families": table["family"].n_unique(),
            "by_origin": {f"{o}, {'accepted' if a else 'rejected'}": n for o, a, n in counts.iter_rows()},
            "rejected_for": dict(reasons.value_counts().sort("reason").iter_rows()),
            "broken_examples": broken_examples,
            "llm_answers": written.answers,
            "llm_answers_from_cache": written.from_cache,
            "llm_cost": float(table["cost"].sum()) + written.wasted,
            "llm_cost_wasted": written.wasted,
        },
    )
