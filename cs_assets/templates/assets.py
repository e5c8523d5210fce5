"""`template_variants`: every sentence of a scenario, accepted or rejected with its reason."""

from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets.automation_conditions import MISSING_OR_OUTDATED
from cs_assets.families.reply.family import ReplyFamily
from cs_assets.model_assets import tracked_figures
from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import load_scenario
from cs_assets.templates.history import example_templates
from cs_assets.templates.llm_pairs import LLMPairs, llm_pairs
from cs_assets.templates.llm_variants import LLMVariants, llm_variants, mark_rejected
from cs_assets.templates.variants import PROBES, variant_figures
from cs_assets.templates.variants import template_variants as make_variants
from resources.llm import LLM, SETTINGS
from resources.store import Store, fingerprint
from resources.tracking import Tracking

# Enough that every value of a short list, such as the times, occurs.
_SAMPLED_ATOMS = 500


class TemplateVariantsConfig(dg.Config):
    """How many variants there are of each seed."""

    variants_per_seed: int | None = Field(
        default=None, description="Rewrites of each seed; empty: what `counts` in scenario.yaml says for the profile."
    )
    llm_variants_per_seed: int = Field(
        default=15, description="Asked of the LLM for each seed, where one is configured; five in one call."
    )
    llm_pairs_per_topic: int = Field(
        default=3, description="New pairs of query and reply asked of the LLM for each topic and language (reply)."
    )
    llm_reads_examples: bool = Field(
        default=True,
        description="Whether the LLM, where one is configured, is sent the messages of examples.jsonl whose names and "
        "numbers the rules cannot all find.",
    )


@dg.asset(
    group_name="templates",
    partitions_def=scenario_partitions,
    kinds={"jinja", "openai", "parquet"},
    owners=["team:cs-assets"],
    code_version="2",
    automation_condition=MISSING_OR_OUTDATED,
)
def template_variants(
    context: dg.AssetExecutionContext,
    config: TemplateVariantsConfig,
    store: Store,
    tracking: Tracking,
    llm: LLM,
    atomic_table: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """句式变种: human-written seeds, rewrites, templates from history and, with an endpoint, what an LLM wrote."""
    scenario = load_scenario(context.partition_key).with_counts(variants_per_seed=config.variants_per_seed)
    client = llm.client() if llm.configured() else None
    if client is None:
        context.log.info(f"no LLM endpoint is configured: seeds and the rewriter only. To switch it on, set {SETTINGS}")
    atoms = atomic_table.head(_SAMPLED_ATOMS).to_dicts()
    history = example_templates(scenario, atoms, client if config.llm_reads_examples else None)
    for name, reason in history.skipped.items():
        context.log.info(f"examples.jsonl: {name} is no template: {reason}")
    written = LLMVariants.none()
    if client is not None:
        written = llm_variants(scenario, client, config.llm_variants_per_seed, history.templates)
    paired = LLMPairs({}, [], 0.0)
    if client is not None and isinstance(scenario.family, ReplyFamily):
        paired = llm_pairs(scenario, scenario.family, client, config.llm_pairs_per_topic)
    _, broken_examples = scenario.examples()
    for problem in [*(f"LLM: {problem}" for problem in (*written.problems, *paired.problems)), *broken_examples]:
        context.log.warning(problem)
    table = make_variants(scenario, atoms[:PROBES], written.texts, history.templates, paired.pairs)
    wasted = written.wasted + paired.wasted + (mark_rejected(written, table, client) if client is not None else 0.0)
    key = fingerprint(table=table)
    llm_figures: dict[str, Any] = {"llm": "none configured"}
    if client is not None:
        llm_figures = {
            "llm_answers": written.answers,
            "llm_answers_from_cache": written.from_cache,
            "llm_pairs": len(paired.pairs),
            "llm_cost": float(table["cost"].sum()) + written.wasted + paired.wasted,
            "llm_cost_wasted": wasted,
        }
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            **variant_figures(table),
            "broken_examples": broken_examples,
            "examples_without_template": history.skipped,
            **llm_figures,
            **tracked_figures(context, store, tracking, key, {"rows": table.height}),
        },
    )
