"""`training_splits`, `dataset_exports`, `lora_adapter`, `lora_sweep`, `joint_adapter`."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets import plots
from cs_assets.learning.conversations import Message
from cs_assets.learning.progress import Report
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.model_assets import (
    code_version,
    common_metadata,
    progress_reporter,
    settings_of,
    tracked_figures,
    tracked_folder,
    trained_model,
)
from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import load_scenario
from cs_assets.training.data_page import data_page
from cs_assets.training.exports import export_splits
from cs_assets.training.joint import Joint, JointSettings, joint_samples, splits_of
from cs_assets.training.measures import measure, nearest_sentences, plain_figures
from cs_assets.training.splits import LEARNED, leakage_proof, make_splits, real_style_split, without_tested
from cs_assets.training.sweep import SCHEMA, SEARCHED, Sweep, SweepSettings, best_trial, outcome, run_config
from cs_assets.training.training_data import LoraSettings, training_data
from resources.base_model import BaseModels
from resources.files import write_whole
from resources.gpu import gpu, training_gpus
from resources.store import ModelFolder, Store, fingerprint, preview
from resources.tracking import TrackedRun, Tracking


class TrainingSplitsConfig(dg.Config):
    """How many of the hand-labelled messages are asked."""

    real_style: int | None = Field(
        default=None,
        description="Messages of real_style.jsonl to test on, taken at even distances; empty: what `counts` in "
        "scenario.yaml says, and all of them where it says nothing.",
    )


@dg.asset(
    group_name="training",
    partitions_def=scenario_partitions,
    kinds={"polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="3",
)
def training_splits(
    context: dg.AssetExecutionContext,
    config: TrainingSplitsConfig,
    store: Store,
    tracking: Tracking,
    filtered_samples: pl.DataFrame,
    template_variants: pl.DataFrame,
    atomic_table: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """数据划分: train, validation and tests, by template family x entity block and as people write; no leak, proven."""
    scenario = load_scenario(context.partition_key).with_counts(real_style=config.real_style)
    real, broken = scenario.real_style()
    for line in broken:
        context.log.warning(line)
    rendered = make_splits(filtered_samples)
    learned = without_tested(rendered, real)
    table = pl.concat([learned, real_style_split(scenario, real, scenario.counts.real_style)])
    proof, measures = leakage_proof(table), measure(filtered_samples, template_variants, atomic_table)
    sentences = nearest_sentences(template_variants, table)
    page = data_page(f"{scenario.spec.title}: the data", measures, table, proof, sentences, scenario.spec.seed)
    path = store.location("reports", f"{scenario.name}-data.html")
    write_whole(path, lambda beside: Path(beside).write_text(page, encoding="utf-8"))
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "by_split": dict(table.group_by("split", maintain_order=True).len().iter_rows()),
            "leakage_proof": dg.MetadataValue.md(preview(proof)),
            "nearest_sentences": dg.MetadataValue.md(preview(sentences)),
            **plain_figures(measures),
            "slot_coverage": measures.coverage,
            "rejected_share_by_gate": measures.gates,
            "variation_tags": dg.MetadataValue.md(
                plots.markdown_image(plots.share_bars("samples by variation tag", measures.tags), "variation tags")
            ),
            "broken_lines": len(broken),
            "left_out_because_tested_on": rendered.height - learned.height,
            "data_page": dg.MetadataValue.path(str(path)),
            **tracked_figures(context, store, tracking, key, {"rows": table.height}),
        },
    )


@dg.asset(
    group_name="training",
    partitions_def=scenario_partitions,
    kinds={"json", "huggingface"},
    owners=["team:cs-assets"],
    code_version="1",
)
def dataset_exports(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    training_splits: pl.DataFrame,
    labelled_samples: pl.DataFrame,
) -> dg.MaterializeResult[None]:
    """数据导出: JSONL for other programs: Alpaca, ShareGPT, OpenAI, TRL, KTO, preference; `dataset_info.json`."""
    scenario = load_scenario(context.partition_key)
    folder = store.location("exports", scenario.name)
    written = export_splits(scenario, training_splits, labelled_samples, folder)
    key = fingerprint(splits=training_splits, labelled=labelled_samples, scenario=scenario.spec)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(key),
        metadata={
            "rows_by_file": written,
            "folder": dg.MetadataValue.path(str(folder)),
            **tracked_figures(context, store, tracking, key, {"rows": sum(written.values())}),
        },
    )


class LoraAdapterConfig(dg.Config, LoraSettings):
    """Numbers of the fine-tuning."""


@dg.asset(
    group_name="training",
    partitions_def=scenario_partitions,
    kinds={"trl", "huggingface", "mlflow"},
    owners=["team:cs-assets"],
    code_version="3",
    op_tags=gpu(training_gpus()),
    io_manager_key="record_io_manager",
)
def lora_adapter(
    context: dg.AssetExecutionContext,
    config: LoraAdapterConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    training_splits: Path,
) -> dg.MaterializeResult[ModelFolder]:
    """微调: the LoRA adapter, trained on the train split with loss on the answers only."""
    settings = settings_of(config, LoraSettings)
    base = base_models.resolve(config.base_model, context.log.info)
    data = training_data(training_splits, most=settings.shuffle_buffer)

    def train(folder: Path, work: Path, report: Report) -> Mapping[str, float]:
        split = data.train(work), data.validation
        return train_adapter(base.path, *split, settings, folder, work, report, ranks=training_gpus()).metrics()

    return trained_model(context, store, tracking, base, settings, {"data": data.content}, train)


def _conversations(data: pl.DataFrame) -> tuple[list[list[Message]], list[list[Message]]]:
    """Return those to learn, and those to validate with."""
    train, validation = (data.filter(pl.col("split") == split)["messages"].to_list() for split in LEARNED)
    return train, validation


class LoraSweepConfig(dg.Config, FineTuningSettings, SweepSettings):
    """The numbers to begin with, how many trials, and the space they are drawn from."""


_TRIALS_FILE: Final = "trials.parquet"


@dg.asset(
    group_name="training",
    partitions_def=scenario_partitions,
    kinds={"optuna", "trl", "mlflow"},
    owners=["team:cs-assets"],
    code_version="2",
    op_tags=gpu(1),
)
def lora_sweep(
    context: dg.AssetExecutionContext,
    config: LoraSweepConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    training_splits: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """超参搜索: trainings with other learning rates, ranks, batches and epochs; the best as a run config."""
    space = settings_of(config, SweepSettings)
    if not space.trials:
        context.log.info("the sweep is off; set `trials` in the run config, to 10 or more, to switch it on")
        return dg.MaterializeResult(value=pl.DataFrame(schema=SCHEMA), metadata={"outcome": "off"})
    base = base_models.resolve(config.base_model, context.log.info)
    data = training_splits.filter(pl.col("split").is_in(LEARNED)).sort("sample_id")
    sweep = Sweep(base.path, *_conversations(data), settings_of(config, FineTuningSettings), space)
    key = fingerprint(
        code=code_version(context), base=base.identity, settings=sweep.fine_tuning, space=space, data=data
    )

    def make(folder: Path, work: Path, run: TrackedRun) -> Mapping[str, float]:
        trials = sweep.run(work, run, functools.partial(progress_reporter, context), context.log.info)
        trials.write_parquet(folder / _TRIALS_FILE)
        return {"validation_loss": best_trial(trials)["validation_loss"], "trials": trials.height}

    kept, hit, url = tracked_folder(context, store, tracking, base, config, key, make)
    trials = pl.read_parquet(Path(store.path_of(kept)) / _TRIALS_FILE)
    chosen = run_config(sweep.settled(best_trial(trials)))
    path = store.location("run_configs", f"{context.partition_key}.yaml")
    write_whole(path, lambda beside: Path(beside).write_text(chosen, encoding="utf-8"))
    panels = plots.trial_panels(trials.select(SEARCHED).to_dict(as_series=False), trials["validation_loss"].to_list())
    return dg.MaterializeResult(
        value=trials,
        data_version=dg.DataVersion(key),
        metadata={
            "outcome": outcome(trials),
            "by_state": dict(trials.group_by("state").len().sort("state").iter_rows()),
            "seconds": round(float(trials["seconds"].sum()), 1),
            "trials": dg.MetadataValue.md(preview(trials.sort("validation_loss"), rows=trials.height)),
            "losses": dg.MetadataValue.md(plots.markdown_image(panels, "validation loss by number")),
            "run_config": dg.MetadataValue.path(str(path)),
            "best": dg.MetadataValue.md(f"```yaml\n{chosen}```"),
            "mlflow_run": dg.MetadataValue.url(url),
            **common_metadata(hit, key),
        },
    )


class JointAdapterConfig(dg.Config, FineTuningSettings, JointSettings):
    """Which scenarios are learnt together, and the numbers of the fine-tuning."""


@dg.asset(
    group_name="training",
    deps=[training_splits],
    kinds={"trl", "huggingface", "mlflow"},
    owners=["team:cs-assets"],
    code_version="2",
    op_tags=gpu(training_gpus()),
    io_manager_key="record_io_manager",
)
def joint_adapter(
    context: dg.AssetExecutionContext,
    config: JointAdapterConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
) -> dg.MaterializeResult[Joint]:
    """合训: one adapter, trained on several scenarios together. Off unless the run config names them."""
    chosen = settings_of(config, JointSettings)
    if not chosen.scenarios:
        context.log.info("no joint adapter; name `scenarios` in the run config to switch it on")
        return dg.MaterializeResult(value=Joint(), metadata={"outcome": "off"})
    data = joint_samples({name: splits_of(store, name) for name in chosen.scenarios}, chosen)
    settings = settings_of(config, FineTuningSettings)
    base = base_models.resolve(config.base_model, context.log.info)

    def train(folder: Path, work: Path, report: Report) -> Mapping[str, float]:
        split = _conversations(data)
        return train_adapter(base.path, *split, settings, folder, work, report, ranks=training_gpus()).metrics()

    result = trained_model(context, store, tracking, base, settings, {"data": data}, train)
    learned = data.filter(split="train").group_by("scenario").len().sort("scenario")
    metadata = {**(result.metadata or {}), "samples_by_scenario": dict(learned.iter_rows())}
    return result._replace(value=Joint(scenarios=chosen.scenarios, model=result.value), metadata=metadata)
