"""`predictions`, `retention`, `evaluation_report`, `leaderboard`, `joint_comparison`."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl

from cs_assets import plots
from cs_assets.alignment.outcome import Alignment
from cs_assets.automation_conditions import MISSING_OR_OUTDATED
from cs_assets.evaluation import joint
from cs_assets.evaluation.chunks import Keep
from cs_assets.evaluation.gate import GATE_SPLIT
from cs_assets.evaluation.general_tasks import load_tasks, task_inputs
from cs_assets.evaluation.lm_eval_files import write_tasks
from cs_assets.evaluation.measuring import Embed, Vectors, measured
from cs_assets.evaluation.predicting import (
    MODELS,
    AnsweringSettings,
    Exam,
    PredictionSettings,
    is_stepwise,
    longest_answer,
    mean_scores,
    test_cases,
)
from cs_assets.evaluation.preferred import Preferred, preferred
from cs_assets.evaluation.probe import load_probe
from cs_assets.evaluation.report_page import html_page
from cs_assets.evaluation.reporting import (
    LEADERBOARD_SCHEMA,
    EvaluationReport,
    answered_by,
    leaderboard_rows,
    make_report,
    markdown,
    outcome,
    worst_failures,
)
from cs_assets.evaluation.retention import RetentionModel, RetentionSettings, ask, forgotten, summarise
from cs_assets.families.base import METRIC_TITLES, SubjectiveFamily
from cs_assets.learning.fit import fit_of
from cs_assets.learning.models import load_tokenizer
from cs_assets.learning.training import TrainingLog
from cs_assets.model_assets import (
    asked_models,
    batch_reporter,
    code_version,
    common_metadata,
    loss_curve,
    settings_of,
    tracked_figures,
    tracked_table,
)
from cs_assets.partitions import scenario_partitions
from cs_assets.profiles import by_profile
from cs_assets.scenario import Scenario, load_scenario, scenario_names
from cs_assets.training.data_page import are_of, data_card
from cs_assets.training.joint import Joint, splits_of
from cs_assets.training.measures import measure, nearest_sentences
from cs_assets.training.splits import families_in, leakage_proof
from resources.base_model import BaseModelFolder, BaseModels
from resources.files import write_whole
from resources.gpu import gpu
from resources.llm import LLM
from resources.store import ModelFolder, Store, fingerprint, preview
from resources.tracking import Tracking

# How models are asked; what was asked under another version is asked again.
_ASKING: Final = "3"


class PredictionsConfig(dg.Config, PredictionSettings):
    """Which models answer, and how."""


@dg.asset(
    group_name="evaluation",
    partitions_def=scenario_partitions,
    kinds={"huggingface", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version=f"{_ASKING}.2",
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
    """模型作答: what base and tuned model answer to every held-out message, scored field by field."""
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
        exam = Exam.of(scenario, model, training_splits, settings)
        if model != "best_of_n":
            return _answers(context, store, tracking, exam, base, adapters.get(model))
        key = fingerprint(
            code=_ASKING,
            base=base.identity,
            adapter=lora_adapter.fingerprint,
            reward_model=reward_model.fingerprint,
            **exam.inputs(),
        )

        def make() -> list[str]:
            judge = base_models.resolve(reward_model.base, context.log.info).path, store.path_of(reward_model)
            tuned = base.path, store.path_of(lora_adapter)
            return exam.chosen(tuned, judge, batch_reporter(context, f"answered by {model}"))

        return _scored(context, store, tracking, exam, key, make)

    # What a server runs cannot be known here: its answers are of no adapter, and open no gate.
    known = {} if settings.endpoint else adapters
    answers = {model: answered(model) for model in config.models}
    asked = not all(hit for _, hit, _ in answers.values())
    if asked and not settings.endpoint:  # which tokens a server's model has is not known
        _warn_of_a_low_limit(context, scenario, test_cases(training_splits), settings, base)
    table, key, metadata = asked_models(answers, known)
    means = mean_scores(table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "figures": dg.MetadataValue.md(preview(means, rows=means.height)),
            "lm_eval_tasks": dg.MetadataValue.path(str(tasks)),
            **metadata,
        },
    )


def _warn_of_a_low_limit(
    context: dg.AssetExecutionContext,
    scenario: Scenario,
    cases: pl.DataFrame,
    settings: PredictionSettings,
    base: BaseModelFolder,
) -> None:
    """Tell where answers are cut before the longest true one ends: such a case counts as wrong, whatever is known."""
    limit, needed = settings.tokens(scenario), longest_answer(scenario, cases, load_tokenizer(base.path))
    if needed > limit:
        key = "max_new_tokens of the run config"
        if settings.max_new_tokens is None:
            key = f"answer_tokens of {scenario.folder / 'scenario.yaml'}"
        context.log.warning(
            f"{key}: found {limit}, needed is {needed} for the longest true answer: it is cut, and cannot be right"
        )


def _answers(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    exam: Exam,
    base: BaseModelFolder,
    adapter: ModelFolder | None,
) -> tuple[pl.DataFrame, bool, str]:
    """Return the scored answers of a model, asked once, whichever asset wants to know."""
    key = fingerprint(code=_ASKING, base=base.identity, adapter=adapter.fingerprint if adapter else "", **exam.inputs())

    def make() -> list[str]:
        folder = store.path_of(adapter) if adapter else None
        report = batch_reporter(context, f"answered by {exam.model}")
        return exam.said(base.path, folder, report, _keeping(store, "predictions", key))

    return _scored(context, store, tracking, exam, key, make)


def _scored(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    exam: Exam,
    key: str,
    make: Callable[[], list[str]],
) -> tuple[pl.DataFrame, bool, str]:
    """Return as `tracked_table` does, scored: kept is what was said, so that another way of scoring asks nobody."""

    def make_table() -> pl.DataFrame:
        return pl.DataFrame({"said": make()})

    kept, hit, url = tracked_table(context, store, tracking, key, make_table, kept_as="predictions")
    return exam.scored(kept["said"].to_list()), hit, url


def _keeping(store: Store, stage: str, key: str) -> Keep:
    """Return what keeps the chunks of the table that is to be kept under `key`, for a run after a kill to go on.

    They lie beside the tables of the stage, in a folder that may be emptied whenever nothing runs.
    """

    def keep(chunk: Any, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        return store.cached_table(f"{stage}_chunks", fingerprint(key=key, chunk=chunk), lambda: (make(), ""))[0]

    return keep


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
    """How much of the probe is asked, which general tasks besides, and how."""


@dg.asset(
    group_name="evaluation",
    partitions_def=scenario_partitions,
    kinds={"huggingface", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="2",
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
    tasks = load_tasks(settings.tasks, settings.task_limit, settings.task_folder)
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
            **({"again": settings.again} if settings.again else {}),
            **task_inputs(tasks, settings.task_folder),
        )

        def make() -> pl.DataFrame:
            folder = store.path_of(adapter) if adapter else None
            report = batch_reporter(context, f"answered by {model}")
            return ask(model, base.path, folder, items, settings, tasks, report, _keeping(store, "retention", key))

        return tracked_table(context, store, tracking, key, make)

    table, key, metadata = asked_models({model: answered(model) for model in adapters}, adapters)
    summary, lost = summarise(table), forgotten(table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "outcome": f"{100 * summary.base.mean:.0f} % before, {100 * summary.tuned.mean:.0f} % after",
            "figures": str(summary),
            "forgotten": dg.MetadataValue.md(preview(lost, rows=lost.height)),
            **metadata,
        },
    )


class EvaluationReportConfig(dg.Config):
    """How much an LLM, where one is configured, judges."""

    judged_messages: int = by_profile(
        demo=8,
        full=100,
        description="Messages of each split to which the LLM compares the replies of base and tuned model (reply); two "
        "calls each.",
        ge=0,
    )


@dg.asset(
    group_name="evaluation",
    partitions_def=scenario_partitions,
    kinds={"openai", "mlflow"},
    owners=["team:cs-assets"],
    code_version="6",
    io_manager_key="record_io_manager",
)
def evaluation_report(
    context: dg.AssetExecutionContext,
    config: EvaluationReportConfig,
    store: Store,
    tracking: Tracking,
    llm: LLM,
    predictions: pl.DataFrame,
    retention: pl.DataFrame,
    training_splits: pl.DataFrame,
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
        headline=scenario.family.headline,
        adapter=answered_by(predictions, retention),
        measures=measured(predictions, scenario.family, _embed(context, llm)),
        preferred=_preferred(llm, scenario, predictions, config.judged_messages),
        fit=str(fit_of(log)),
        retention=summarise(retention),
    )
    bars = _field_bars(report)
    curve = loss_curve(log)
    page = html_page(
        report,
        predictions,
        f"{scenario.spec.title}：评测报告",
        bars=plots.html_image(bars, "field accuracy"),
        curve=plots.html_image(curve, "loss curve"),
        about=_about(training_splits, log, llm),
        stepwise=is_stepwise(scenario, predictions["answer"].unique()),
        card=_data_card(store, scenario, training_splits),
    )
    path = store.location("reports", f"{scenario.name}.html")
    write_whole(path, lambda beside: Path(beside).write_text(page, encoding="utf-8"))
    key = fingerprint(report=report)
    figures = {f"{c.split}.{c.model}.{report.headline}": c.figure(report.headline).mean for c in report.cells}
    failures = worst_failures(predictions).select("message", "answer", "prediction")
    return dg.MaterializeResult(
        value=report,
        data_version=dg.DataVersion(key),
        metadata={
            "outcome": outcome(report),
            "figures": dg.MetadataValue.md(markdown(report)),
            "field_accuracy": dg.MetadataValue.md(plots.markdown_image(bars, "field accuracy")),
            "loss_curve": dg.MetadataValue.md(plots.markdown_image(curve, "loss curve")),
            "worst_failures": dg.MetadataValue.md(preview(failures)),
            "mcnemar_p": {split: f"{p:.2g}" for split, p in report.p_values.items()},
            "html_report": dg.MetadataValue.path(str(path)),
            **tracked_figures(context, store, tracking, key, figures),
        },
    )


def _field_bars(report: EvaluationReport) -> str:
    """Return the plot of the fields, on the split that the gate looks at where there is one, as a data URI."""
    split = GATE_SPLIT if GATE_SPLIT in report.fields else next(iter(report.fields))
    of_split = report.fields[split]
    asked = [model for model in report.models if model in of_split]
    figures = {model: {field: figure.mean for field, figure in of_split[model].items()} for model in asked}
    return plots.field_bars(figures, f"field accuracy: {split}")


def _about(splits: pl.DataFrame, log: TrainingLog, llm: LLM) -> dict[str, str]:
    """Return what the tuned model was made of, and what that cost."""
    train = splits.filter(split="train")
    origins = train.group_by("template_origin").len().sort("template_origin").rows()
    resumed = f", counted from step {log.resumed_at}, where it was resumed" if log.resumed_at else ""
    about = {
        "training samples": f"{train.height:,}, all synthetic: no customer's name, number or address is among them",
        "their sentences": f"{train['template_id'].n_unique():,}, in {len(families_in(train)):,} families; samples by "
        f"origin: {', '.join(f'{origin} {count:,}' for origin, count in origins)}",
        "training": f"{log.steps:,} steps, {log.seconds / 60:,.0f} minutes, {log.tokens:,} tokens{resumed}",
    }
    if not llm.configured():
        return about | {"LLM": "none configured"}
    spent = llm.client().ledger_totals()
    cost = "no prices set"
    if spent.cost or llm.price_in or llm.price_out:
        cost = f"cost {spent.cost:,.2f} at the prices set, {spent.wasted_cost:,.2f} of it for what was rejected"
    told = f"{spent.calls:,} calls, {spent.tokens_in + spent.tokens_out:,} tokens, {cost}"
    return about | {"LLM, for all scenarios and runs so far": told}  # the ledger does not know them: they share answers


def _data_card(store: Store, scenario: Scenario, splits: pl.DataFrame) -> list[str]:
    """Return the data card; what the splits were made of is told where the store still has it."""
    filtered, variants, atoms = (
        store.table(asset, scenario.name) for asset in ("filtered_samples", "template_variants", "atomic_table")
    )
    proof, seed = leakage_proof(splits), scenario.spec.seed
    if filtered is None or variants is None or atoms is None or not are_of(filtered, splits, scenario.real_style()[0]):
        return data_card(splits, proof, seed)
    return data_card(splits, proof, seed, measure(filtered, variants, atoms), nearest_sentences(variants, splits))


def _embed(context: dg.AssetExecutionContext, llm: LLM) -> Embed | None:
    """Return what embeds texts, None where no embedding model is configured."""
    if not llm.embeds():
        return None
    client = llm.embedding_client()

    def embed(texts: Collection[str]) -> Vectors:
        found = client.vectors(texts, purpose="evaluation")
        if missing := len(texts) - len(found):
            context.log.warning(f"{missing} of {len(texts)} texts have no vector: refused, or the budget ended")
        return found

    return embed


def _preferred(llm: LLM, scenario: Scenario, predictions: pl.DataFrame, messages: int) -> list[Preferred]:
    """Return which replies the LLM prefers; nothing where none is configured, or the scenario has right answers."""
    if not isinstance(scenario.family, SubjectiveFamily) or not messages or not llm.configured():
        return []
    return preferred(predictions, scenario.family, llm.client(), messages)


@dg.asset(
    group_name="evaluation",
    deps=[evaluation_report],
    kinds={"polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="2",
    automation_condition=MISSING_OR_OUTDATED,
)
def leaderboard(
    context: dg.AssetExecutionContext, store: Store, tracking: Tracking
) -> dg.MaterializeResult[pl.DataFrame]:
    """排行榜: one row per scenario and split, its headline figure before and after, from the reports that exist."""
    rows: list[tuple[Any, ...]] = []
    for name in scenario_names():
        path = store.location("records", "evaluation_report", f"{name}.json")
        if not path.exists():
            continue
        report = EvaluationReport.model_validate_json(path.read_text(encoding="utf-8"))
        rows += leaderboard_rows(report)
    table = pl.DataFrame(rows, schema=LEADERBOARD_SCHEMA, orient="row")
    figures = {"scenarios": table["scenario"].n_unique()}
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            **figures,
            "standings": dg.MetadataValue.md(preview(table.drop(pl.selectors.matches("_(low|high)$")), table.height)),
            **tracked_figures(context, store, tracking, key, figures),
        },
    )


class JointComparisonConfig(dg.Config, AnsweringSettings):
    """How base and joint adapter answer."""


@dg.asset(
    group_name="evaluation",
    deps=["training_splits", predictions],
    kinds={"huggingface", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="3",
    op_tags=gpu(1),
)
def joint_comparison(
    context: dg.AssetExecutionContext,
    config: JointComparisonConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    joint_adapter: Joint,
) -> dg.MaterializeResult[pl.DataFrame]:
    """合训对比: on each scenario, the joint adapter beside the base and the scenario's own adapter; what interferes."""
    if joint_adapter.model is None:
        context.log.info("there is no joint adapter to compare; name `scenarios` in the run config of joint_adapter")
        return dg.MaterializeResult(value=pl.DataFrame(schema=joint.SCHEMA), metadata={"outcome": "off"})
    settings = PredictionSettings(**settings_of(config, AnsweringSettings).model_dump())
    base = base_models.resolve(joint_adapter.model.base, context.log.info)
    scenarios = [load_scenario(name) for name in joint_adapter.scenarios]
    headlines = {scenario.name: scenario.family.headline for scenario in scenarios}
    compared = [_compared(context, store, tracking, s, base, joint_adapter.model, settings) for s in scenarios]
    table = pl.concat([frame for frame, _ in compared])
    key = fingerprint(table=table)
    drawn = {
        name: plots.field_bars(joint.bars(table.filter(scenario=name), metric), f"{name}: {METRIC_TITLES[metric]}")
        for name, metric in headlines.items()
    }
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "outcome": joint.outcome(table, headlines),
            "figures": dg.MetadataValue.md(preview(table, rows=table.height)),
            **{f"bars_{name}": dg.MetadataValue.md(plots.markdown_image(uri, name)) for name, uri in drawn.items()},
            **tracked_figures(context, store, tracking, key, joint.figures(table, headlines)),
            **common_metadata(all(hit for _, hit in compared), key),
        },
    )


def _compared(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    scenario: Scenario,
    base: BaseModelFolder,
    adapter: ModelFolder,
    settings: PredictionSettings,
) -> tuple[pl.DataFrame, bool]:
    """Return the comparison on one scenario, and whether all of its answers were there."""
    splits = splits_of(store, scenario.name)
    before, after = (
        _answers(context, store, tracking, Exam.of(scenario, model, splits, settings), base, trained)
        for model, trained in (("base", None), ("joint", adapter))
    )
    predicted = store.table("predictions", scenario.name)
    own = None if predicted is None else predicted.filter(model="tuned")
    return joint.compare(scenario.name, before[0], own, after[0]), before[1] and after[1]
