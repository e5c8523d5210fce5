"""`aligned_adapter`: off by default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets.alignment.outcome import Alignment
from cs_assets.alignment.rewarding import RewardingSettings, rewards_of, tasks_of
from cs_assets.learning.alignment import AlignmentSettings
from cs_assets.learning.dpo import align_by_dpo
from cs_assets.learning.progress import Report
from cs_assets.learning.reinforcement import Algorithm, ReinforcementSettings, reinforce_adapter
from cs_assets.learning.unpaired import align_by_kto
from cs_assets.model_assets import settings_of, trained_model
from cs_assets.partitions import scenario_partitions
from cs_assets.reward.pairs import preferences
from cs_assets.scenario import Scenario, load_scenario
from resources.base_model import BaseModels
from resources.gpu import gpu
from resources.store import ModelFolder, Store
from resources.tracking import Tracking


class AlignedAdapterConfig(dg.Config, ReinforcementSettings, RewardingSettings):
    """Numbers of the alignment."""

    method: Literal["off", "dpo", "kto", "rloo", "grpo"] = Field(
        default="off",
        description="off; dpo (pairs against one another); kto (their answers one by one, each good or bad); rloo, "
        "grpo (answers of the model's own, rewarded by the family's score and the reward model). Where an answer has "
        "several messages, such as a trajectory, rloo or grpo.",
    )
    pairs: int = Field(default=32, description="Training pairs to take; of rloo and grpo, prompts.", ge=1)


@dg.asset(
    group_name="alignment",
    partitions_def=scenario_partitions,
    kinds={"trl", "huggingface", "mlflow"},
    owners=["team:cs-assets"],
    code_version="5",
    op_tags=gpu(1),
    io_manager_key="record_io_manager",
)
def aligned_adapter(
    context: dg.AssetExecutionContext,
    config: AlignedAdapterConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    lora_adapter: ModelFolder,
    preference_pairs: pl.DataFrame,
    reward_model: ModelFolder,
) -> dg.MaterializeResult[Alignment]:
    """对齐: the adapter moved on by preferences. Off unless the run config names a method."""
    if config.method == "off":
        context.log.info("alignment is off; set `method: dpo`, kto, rloo or grpo in the run config to switch it on")
        return dg.MaterializeResult(value=Alignment(method="off"), metadata={"method": "off"})
    scenario = load_scenario(context.partition_key)
    base = base_models.resolve(lora_adapter.base, context.log.info)
    chosen = preference_pairs.filter(pl.col("part") == "train").head(config.pairs)
    adapter = store.path_of(lora_adapter)
    inputs: dict[str, Any] = {"data": chosen, "adapter": lora_adapter.fingerprint, "method": config.method}

    if config.method in ("dpo", "kto"):
        _require_single_messages(scenario, chosen, config.method)
        settings = settings_of(config, AlignmentSettings)
        align = {"dpo": align_by_dpo, "kto": align_by_kto}[config.method]

        def train(folder: Path, work: Path, report: Report) -> Mapping[str, float]:
            pairs = preferences(scenario, chosen)
            return align(base.path, adapter, pairs, settings, folder, work, report).metrics()
    else:
        settings = settings_of(config, ReinforcementSettings)
        algorithm: Algorithm = "rloo" if config.method == "rloo" else "grpo"
        inputs |= {"scenario": scenario.spec, "reward_weight": config.reward_weight}
        inputs |= {"reward_model": reward_model.fingerprint if config.reward_weight else ""}

        def train(folder: Path, work: Path, report: Report) -> Mapping[str, float]:
            tasks = tasks_of(scenario, chosen)
            judge = (base_models.resolve(reward_model.base, context.log.info).path, store.path_of(reward_model))
            rewards = rewards_of(scenario, tasks, settings_of(config, RewardingSettings), *judge)
            prompts, tokens = [task.prompt for task in tasks], scenario.spec.answer_tokens
            return reinforce_adapter(
                base.path, adapter, prompts, rewards, algorithm, settings, tokens, folder, work, report
            ).metrics()

    result = trained_model(context, store, tracking, base, settings, inputs, train)
    if result.value.metrics.get("stopped_by_kl"):
        context.log.warning(
            f"the training ended at max_kl {config.max_kl}, beyond which its last step was; raise beta or lower "
            "learning_rate to stay nearer to the tuned model"
        )
    # A reward model without test pairs has no accuracy.
    accuracy = {f"reward_{name}": value for name, value in reward_model.metrics.items() if name == "accuracy"}
    metadata = {**(result.metadata or {}), "method": config.method, **accuracy}
    return result._replace(value=Alignment(method=config.method, model=result.value), metadata=metadata)


def _require_single_messages(scenario: Scenario, pairs: pl.DataFrame, method: str) -> None:
    """Stop where the answer is no single message of the assistant, which is what `method` makes it."""
    for answer in pairs["chosen"]:
        if scenario.family.completion(answer) != [{"role": "assistant", "content": answer}]:
            raise dg.Failure(
                f"method: {method} takes an answer as one message, and those of {scenario.name} are several, with "
                "observations between them. Take rloo or grpo, which reward each message on its own."
            )
