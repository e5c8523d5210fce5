"""`predictions`, `retention`, `evaluation_report`, `leaderboard`."""

from pathlib import Path

import dagster as dg
import polars as pl

from cs_assets import plots
from cs_assets.alignment.outcome import Alignment
from cs_assets.evaluation.lm_eval_files import write_tasks
from cs_assets.evaluation.predicting import MODELS, Exam, PredictionSettings, mean_scores, test_cases
from cs_assets.evaluation.probe import load_probe
from cs_assets.evaluation.reporting import EvaluationReport, html_page, make_report, markdown, worst_failures
from cs_assets.evaluation.retention import RetentionModel, RetentionSettings, ask, forgotten, summarise
from cs_assets.learning.fit import fit_of
from cs_assets.learning.training import TrainingLog
from cs_assets.model_assets import (
    asked_models,
    batch_reporter,
    code_version,
    loss_curve,
    settings_of,
    tracked_figures,
    tracked_table,
)
from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import load_scenario, scenario_names
from resources.base_model import BaseModels
from resources.files import write_whole
from resources.gpu import gpu
from resources.store import ModelFolder, Store, fingerprint, preview
from resources.tracking import Tracking


class PredictionsConfig(dg.Config, PredictionSettings):
    """Which models answer, and how."""


@dg.asset(
    group_name="evaluation",
    partitions_def=scenario_partitions,
    kinds={"huggingface", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="1",
    op_tags=gpu(1),
)
def predictions(
    context: dg.AssetExecutionContext,
    config: PredictionsConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    training_splits: pl.DataFrame,
    lora_adapter: ModelFolder,
    aligned_adapter: Alignment,
    reward_model: ModelFolder,
) -> dg.MaterializeResult[pl.DataFrame]:
    """What base and tuned model answer to every held-out message, scored field by field."""
    _require_models(config, aligned_adapter)
    scenario = load_scenario(context.partition_key)
    settings = settings_of(config, PredictionSettings)
    for model in config.models:
        settings.served(model)  # what is not served is told before anything is asked
    tasks = store.location("exports", scenario.name, "lm_eval")
    write_tasks(scenario, test_cases(training_splits), settings.tokens(scenario), tasks)
    base = base_models.resolve(lora_adapter.base, context.log.info)
    adapters = {"tuned": lora_adapter, "best_of_n": lora_adapter, "aligned": aligned_adapter.model}

    def answered(model: str) -> tuple[pl.DataFrame, bool, str]:
        adapter = adapters.get(model)
        exam = Exam.of(scenario, model, training_splits, settings)
        chooses = {"reward_model": reward_model.fingerprint} if model == "best_of_n" else {}
        key = fingerprint(
            code=code_version(context),
            base=base.identity,
            adapter=adapter.fingerprint if adapter else "",
            **chooses,
            **exam.inputs(),
        )

        def make() -> pl.DataFrame:
            folder = store.path_of(adapter) if adapter else None
            report = batch_reporter(context, f"answered by {model}")
            if chooses and folder:
                judge = base_models.resolve(reward_model.base, context.log.info).path, store.path_of(reward_model)
                return exam.chosen((base.path, folder), judge, report)
            return exam.answered(base.path, folder, report)

        return tracked_table(context, store, tracking, key, make)

    table, key, metadata = asked_models({model: answered(model) for model in config.models})
    means = mean_scores(table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            **metadata,
            "figures": dg.MetadataValue.md(preview(means, rows=means.height)),
            "lm_eval_tasks": dg.MetadataValue.path(str(tasks)),
        },
    )


def _require_models(config: PredictionsConfig, aligned: Alignment) -> None:
    """Stop before anything is loaded where a model is asked for that is not there."""
    models = config.models
    unknown = sorted(set(models) - set(MODELS))
    if unknown:
        raise dg.Failure(f"models: found {', '.join(unknown)}; allowed are {', '.join(MODELS)}.")
    if "aligned" in models and aligned.model is None:
        raise dg.Failure("models: `aligned` is asked for, but aligned_adapter is off; materialize it with method: dpo.")
    if "best_of_n" in models and config.endpoint:
        raise dg.Failure("models: `best_of_n` samples its answers here; leave `endpoint` empty, or `best_of_n` out.")


class RetentionConfig(dg.Config, RetentionSettings):
    """How much of the probe is asked, and how."""


@dg.asset(
    group_name="evaluation",
    partitions_def=scenario_partitions,
    kinds={"huggingface", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="1",
    op_tags=gpu(1),
)
def retention(
    context: dg.AssetExecutionContext,
    config: RetentionConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    lora_adapter: ModelFolder,
) -> dg.MaterializeResult[pl.DataFrame]:
    """能力保持: what base and tuned model answer to general questions that have nothing to do with the scenario."""
    settings = settings_of(config, RetentionSettings)
    items = load_probe(settings.questions)
    base = base_models.resolve(lora_adapter.base, context.log.info)
    adapters: dict[RetentionModel, ModelFolder | None] = {"base": None, "tuned": lora_adapter}

    def answered(model: RetentionModel) -> tuple[pl.DataFrame, bool, str]:
        adapter = adapters[model]
        # The scenario is no part of it: what the base answers is asked once for all scenarios.
        key = fingerprint(
            code=code_version(context),
            base=base.identity,
            adapter=adapter.fingerprint if adapter else "",
            items=[item.model_dump() for item in items],
            max_new_tokens=settings.max_new_tokens,
        )

        def make() -> pl.DataFrame:
            folder = store.path_of(adapter) if adapter else None
            return ask(model, base.path, folder, items, settings, batch_reporter(context, f"answered by {model}"))

        return tracked_table(context, store, tracking, key, make)

    table, key, metadata = asked_models({model: answered(model) for model in adapters})
    summary, lost = summarise(table), forgotten(table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            **metadata,
            "outcome": f"{100 * summary.base.mean:.0f} % before, {100 * summary.tuned.mean:.0f} % after",
            "figures": str(summary),
            "forgotten": dg.MetadataValue.md(preview(lost, rows=lost.height)),
        },
    )


@dg.asset(
    group_name="evaluation",
    partitions_def=scenario_partitions,
    kinds={"mlflow"},
    owners=["team:cs-assets"],
    code_version="1",
    io_manager_key="record_io_manager",
)
def evaluation_report(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    predictions: pl.DataFrame,
    retention: pl.DataFrame,
    lora_adapter: ModelFolder,
    kto_judge: ModelFolder,
    reward_model: ModelFolder,
) -> dg.MaterializeResult[EvaluationReport]:
    """评测报告: base against tuned on every split, with intervals; one HTML page to send on."""
    scenario = load_scenario(context.partition_key)
    log = TrainingLog.load(store.path_of(lora_adapter))
    report = make_report(
        scenario.name,
        predictions,
        kto_judge.metrics,
        reward_model.metrics,
        family=scenario.family,
        fit=str(fit_of(log)),
        retention=summarise(retention),
    )
    bars = plots.field_bars({m: {f: v.mean for f, v in fields.items()} for m, fields in report.per_field.items()})
    page = html_page(
        report,
        predictions,
        f"{scenario.spec.title}：评测报告",
        [plots.html_image(bars, "field accuracy"), plots.html_image(loss_curve(log), "loss curve")],
    )
    path = store.location("reports", f"{scenario.name}.html")
    write_whole(path, lambda beside: Path(beside).write_text(page, encoding="utf-8"))
    key = fingerprint(report=report)
    figures = {f"{c.split}.{c.model}.exact": c.exact.mean for c in report.cells}
    failures = worst_failures(predictions).select("message", "answer", "prediction")
    return dg.MaterializeResult(
        value=report,
        data_version=dg.DataVersion(key),
        metadata={
            "figures": dg.MetadataValue.md(markdown(report)),
            "field_accuracy": dg.MetadataValue.md(plots.markdown_image(bars, "field accuracy")),
            "worst_failures": dg.MetadataValue.md(preview(failures)),
            "mcnemar_p": {split: f"{p:.2g}" for split, p in report.p_values.items()},
            "html_report": dg.MetadataValue.path(str(path)),
            **tracked_figures(context, store, tracking, key, figures),
        },
    )


@dg.asset(
    group_name="evaluation",
    deps=[evaluation_report],
    kinds={"polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="1",
)
def leaderboard(
    context: dg.AssetExecutionContext, store: Store, tracking: Tracking
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per scenario and split: exact match before and after, from the reports that exist."""
    rows = []
    for name in scenario_names():
        path = store.location("records", "evaluation_report", f"{name}.json")
        if not path.exists():
            continue
        report = EvaluationReport.model_validate_json(path.read_text(encoding="utf-8"))
        for cell in report.cells:
            if cell.model == "tuned" and (base := report.cell(cell.split, "base")):
                rows.append(
                    {
                        "scenario": name,
                        "split": cell.split,
                        "n": cell.exact.n,
                        "base_exact": base.exact.mean,
                        "tuned_exact": cell.exact.mean,
                        "gain": cell.exact.mean - base.exact.mean,
                    }
                )
    schema = {"scenario": pl.String, "split": pl.String, "n": pl.Int64, "base_exact": pl.Float64}
    table = pl.DataFrame(rows, schema=schema | {"tuned_exact": pl.Float64, "gain": pl.Float64})
    figures = {"scenarios": table["scenario"].n_unique()}
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={**figures, **tracked_figures(context, store, tracking, key, figures)},
    )
