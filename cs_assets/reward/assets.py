"""`preference_pairs`, `reward_model`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets.families.base import SubjectiveFamily
from cs_assets.learning.label_noise import NoiseSettings, out_of_fold_strengths, remedied
from cs_assets.learning.progress import Report
from cs_assets.learning.reward import (
    RewardSettings,
    reward_differences,
    settings_to_start_at,
    train_reward_model,
)
from cs_assets.model_assets import batch_reporter, settings_of, tracked_figures, trained_model
from cs_assets.partitions import scenario_partitions
from cs_assets.profiles import by_profile
from cs_assets.reward.calibration import calibration, reliability
from cs_assets.reward.grading import graded
from cs_assets.reward.pairs import PairSettings, make_pairs, pairwise_accuracy, preferences
from cs_assets.scenario import load_scenario
from resources.base_model import BaseModels
from resources.gpu import gpu
from resources.llm import LLM
from resources.store import ModelFolder, Store, fingerprint, preview
from resources.tracking import Tracking

RELIABILITY_FILE = "reliability.parquet"


class PreferencePairsConfig(dg.Config, PairSettings):
    """How many pairs, and who grades them."""

    llm_judge: bool = Field(
        default=True,
        description="Whether the LLM, where one is configured, compares the two replies of each pair (reply); two "
        "calls a pair.",
    )


@dg.asset(
    group_name="reward",
    partitions_def=scenario_partitions,
    kinds={"openai", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="4",
)
def preference_pairs(
    context: dg.AssetExecutionContext,
    config: PreferencePairsConfig,
    store: Store,
    tracking: Tracking,
    llm: LLM,
    training_splits: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """偏好对: the same prompt with its true answer (chosen, 1) and a corrupted one (rejected, 0), and the margin."""
    scenario = load_scenario(context.partition_key)
    table = make_pairs(scenario, training_splits, settings_of(config, PairSettings))
    figures: dict[str, float] = {}
    if isinstance(scenario.family, SubjectiveFamily):
        client = llm.client() if config.llm_judge and llm.configured() else None
        table, figures = graded(table, scenario.family, client)
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            **figures,
            "by_part": dict(table.group_by("part").len().sort("part").iter_rows()),
            **tracked_figures(context, store, tracking, key, {"rows": table.height, **figures}),
        },
    )


class RewardModelConfig(dg.Config, RewardSettings, NoiseSettings):
    """Numbers of the reward model's training."""

    score_batch_size: int = by_profile(demo=8, full=64, description="Sequences per forward pass in the test.", ge=1)
    start: Literal["tuned", "base"] = Field(
        default="tuned",
        description="tuned: with the scenario's adapter, which keeps its shape (method, rank, alpha, layers), and a "
        "new head; with method qlora on a base in 4 bits. Where it is no low-rank adapter of the same base, or with "
        "qlora no plain LoRA: as base. base: with a new adapter.",
    )
    margin: bool = Field(default=True, description="Ask the loss for the pair's margin between the two rewards.")


@dg.asset(
    group_name="reward",
    partitions_def=scenario_partitions,
    kinds={"trl", "huggingface", "mlflow"},
    owners=["team:cs-assets"],
    code_version="5",
    op_tags=gpu(1),
    io_manager_key="record_io_manager",
)
def reward_model(
    context: dg.AssetExecutionContext,
    config: RewardModelConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    lora_adapter: ModelFolder,
    preference_pairs: pl.DataFrame,
) -> dg.MaterializeResult[ModelFolder]:
    """奖励模型: a one-number head on the tuned model, or on the base; higher for the better answer."""
    # `score_batch_size` is left out of what the model is kept under: beyond rounding it changes the test's speed alone.
    scenario = load_scenario(context.partition_key)
    settings, noise = settings_of(config, RewardSettings), settings_of(config, NoiseSettings)
    base = base_models.resolve(config.base_model, context.log.info)
    start = None
    if config.start == "tuned" and lora_adapter.base_identity == base.identity:
        tuned = store.path_of(lora_adapter)
        if shaped := settings_to_start_at(tuned, settings):
            start, settings = tuned, shaped

    def train(folder: Path, work: Path, report: Report) -> Mapping[str, float]:
        pairs = preferences(scenario, preference_pairs.filter(pl.col("part") == "train"))
        if not config.margin:
            pairs = [pair.model_copy(update={"margin": 0.0}) for pair in pairs]
        figures: dict[str, float] = {}
        if noise.label_noise != "none":
            # At the base: the tuned adapter has learnt the labels of all training samples, wrong ones too.
            strengths = out_of_fold_strengths(base.path, pairs, settings, noise, work, report)
            figures["label_agreement"] = sum(strength > 0 for strength in strengths) / len(strengths)
            pairs = remedied(pairs, strengths, noise)
        log = train_reward_model(base.path, pairs, settings, folder, work, report, start)
        tested = preference_pairs.filter(pl.col("part") != "train")
        differences = reward_differences(
            base.path,
            str(folder),
            preferences(scenario, tested),
            batch_size=config.score_batch_size,
            report=batch_reporter(context, "answers rewarded"),
        )
        reliability(differences).write_parquet(folder / RELIABILITY_FILE)
        return log.metrics() | pairwise_accuracy(tested, differences) | calibration(differences) | figures

    inputs = {
        "data": preference_pairs,
        "scenario": scenario.spec,
        "margin": config.margin,
        "start": lora_adapter.fingerprint if start else "",
        "noise": noise.model_dump() if noise.label_noise != "none" else {},
    }
    result = trained_model(context, store, tracking, base, settings, inputs, train)
    bins = pl.read_parquet(Path(store.path_of(result.value)) / RELIABILITY_FILE).with_columns(
        pl.col("confidence", "accuracy").round(3)
    )
    return result._replace(
        metadata={
            **(result.metadata or {}),
            "label_noise": noise.label_noise,
            "start": "tuned" if start else "base",
            "reliability": dg.MetadataValue.md(preview(bins, rows=bins.height)),
        }
    )
