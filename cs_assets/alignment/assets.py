"""`aligned_adapter`: off by default."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets.alignment.outcome import Alignment
from cs_assets.learning.dpo import DpoSettings, align_adapter
from cs_assets.learning.progress import Report
from cs_assets.model_assets import settings_of, trained_model
from cs_assets.partitions import scenario_partitions
from cs_assets.reward.pairs import preferences
from cs_assets.scenario import load_scenario
from resources.base_model import BaseModels
from resources.gpu import gpu
from resources.store import ModelFolder, Store
from resources.tracking import Tracking


class AlignedAdapterConfig(dg.Config, DpoSettings):
    """Numbers of the alignment."""

    method: str = Field(default="off", description="off or dpo.", pattern="^(off|dpo)$")
    pairs: int = Field(default=32, description="Training pairs to take.", ge=1)


@dg.asset(
    group_name="alignment",
    partitions_def=scenario_partitions,
    kinds={"trl", "huggingface", "mlflow"},
    owners=["team:cs-assets"],
    code_version="1",
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
        context.log.info("alignment is off; set `method: dpo` in the run config to switch it on")
        return dg.MaterializeResult(value=Alignment(method="off"), metadata={"method": "off"})
    scenario = load_scenario(context.partition_key)
    base = base_models.resolve(lora_adapter.base, context.log.info)
    chosen = preference_pairs.filter(pl.col("part") == "train").head(config.pairs)
    settings = settings_of(config, DpoSettings)

    def train(folder: Path, work: Path, report: Report) -> Mapping[str, float]:
        pairs = preferences(scenario, chosen)
        log = align_adapter(base.path, store.path_of(lora_adapter), pairs, settings, folder, work, report)
        return log.metrics()

    inputs: dict[str, Any] = {"data": chosen, "adapter": lora_adapter.fingerprint, "method": config.method}
    result = trained_model(context, store, tracking, base, settings, inputs, train)
    metadata = {**(result.metadata or {}), "method": config.method, "reward_accuracy": reward_model.metrics["accuracy"]}
    return result._replace(value=Alignment(method=config.method, model=result.value), metadata=metadata)
