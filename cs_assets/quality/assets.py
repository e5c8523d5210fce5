"""`labelled_samples`, `kto_judge`, `filtered_samples`."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import polars as pl
from pydantic import Field

from cs_assets import plots
from cs_assets.automation_conditions import MISSING_OR_OUTDATED
from cs_assets.learning.kto import JudgeSettings, train_judge
from cs_assets.learning.progress import Report
from cs_assets.model_assets import (
    batch_reporter,
    code_version,
    common_metadata,
    settings_of,
    tracked_figures,
    tracked_table,
    trained_model,
)
from cs_assets.partitions import scenario_partitions
from cs_assets.quality.filtering import filter_samples, to_judge
from cs_assets.quality.gate_rejects import gate_rejects
from cs_assets.quality.judging import (
    WORDS,
    Calibration,
    CalibrationSettings,
    ScoringSettings,
    added_to_rules,
    cases_to_show,
    judge_of,
    read_samples,
    task_to_learn,
    verdicts_to_learn,
)
from cs_assets.quality.labelling import PARTS, label_samples
from cs_assets.quality.reliability import reliability
from cs_assets.quality.review import decisions, near_threshold, read_review, reviewed_cases, write_review
from cs_assets.scenario import load_scenario
from cs_assets.statistics import SIGNIFICANT
from cs_assets.templates.gates import rejected_by_gate
from resources.base_model import BaseModels
from resources.gpu import gpu
from resources.model_folders import MANIFEST
from resources.store import ModelFolder, Store, fingerprint
from resources.tracking import Tracking

SCORES_FILE = "test_scores.parquet"
READINGS_FILE = "readings.parquet"  # of calibration and test part, as `read_samples` returns them
LEARNT = "kto_judge_learnt"  # beside the judges in the store: adapters and readings, whatever precision is wanted


@dg.asset(
    group_name="quality",
    partitions_def=scenario_partitions,
    kinds={"polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="5",
    automation_condition=MISSING_OR_OUTDATED,
)
def labelled_samples(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    rendered_samples: pl.DataFrame,
    template_variants: pl.DataFrame,
    atomic_table: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """坏样本: rendered samples, corruptions and gate rejects, labelled good or bad, with the rules each one breaks."""
    scenario = load_scenario(context.partition_key)
    labelled = label_samples(scenario, rendered_samples)
    table = pl.concat([labelled, gate_rejects(scenario, labelled, template_variants, atomic_table)])
    bad = table.filter(~pl.col("label"))
    caught = bad.filter(pl.col("violations").list.len() > 0).height
    key = fingerprint(table=table)
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "good": table.height - bad.height,
            "bad": bad.height,
            "contradictions": table.filter(pl.col("contradicts") != "").height,
            "near_duplicates": table.filter(pl.col("duplicate_of") != "").height,
            "corruption_kinds": dict(bad.group_by("corruption_kind").len().sort("corruption_kind").iter_rows()),
            "corruptions_caught_by_rules": round(caught / max(bad.height, 1), 3),
            **tracked_figures(context, store, tracking, key, {"rows": table.height}),
        },
    )


class KtoJudgeConfig(dg.Config, JudgeSettings, CalibrationSettings, ScoringSettings):
    """Numbers of the judge's training and calibration."""


@dg.asset(
    group_name="quality",
    partitions_def=scenario_partitions,
    kinds={"trl", "huggingface", "mlflow"},
    owners=["team:cs-assets"],
    code_version="10",
    op_tags=gpu(1),
    io_manager_key="record_io_manager",
)
def kto_judge(
    context: dg.AssetExecutionContext,
    config: KtoJudgeConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    labelled_samples: pl.DataFrame,
) -> dg.MaterializeResult[ModelFolder]:
    """评估专家: says 正确 or 错误 (KTO), and how surprising an answer is; its threshold gives a wanted precision."""
    scenario = load_scenario(context.partition_key)
    training, wanted = settings_of(config, JudgeSettings), settings_of(config, CalibrationSettings)
    base = base_models.resolve(config.base_model, context.log.info)
    judge_data = labelled_samples.filter(pl.col("part") != "")
    reviewed, broken = read_review(store.location("reviews", f"{scenario.name}.jsonl"))
    for line in broken:
        context.log.warning(line)
    held_back = set(judge_data.filter(pl.col("part") != "train")["message"])
    decided = reviewed_cases(scenario, reviewed, held_back)
    judge_data = pl.concat([judge_data, decided])

    inputs = {"data": judge_data, "scenario": scenario.spec}
    key = fingerprint(code=code_version(context), base=base.identity, settings=training, **inputs)

    def train(folder: Path, _: Path, report: Report) -> Mapping[str, float]:
        def learn(learnt: Path, work: Path) -> Mapping[str, float]:
            cases, task = verdicts_to_learn(scenario, judge_data), task_to_learn(judge_data)
            log = train_judge(base.path, cases, task, WORDS, training, learnt, work, report)
            to_read = judge_data.filter(pl.col("part") != "train")
            size, told = config.score_batch_size, _report(context)
            read = read_samples(scenario, to_read, base.path, str(learnt), batch_size=size, report=told)
            read.write_parquet(learnt / READINGS_FILE)
            return log.metrics()

        # Another precision is asked for in vain where it means hours of training: what was learnt is kept apart.
        learnt, _hit = store.cached_model(LEARNT, scenario.name, key, base.name, learn, base_identity=base.identity)
        shutil.copytree(store.path_of(learnt), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        readings = pl.read_parquet(folder / READINGS_FILE)
        figures, tested = judge_of(readings, wanted, scenario.spec.holdout_corruptions, folder)
        tested.write_parquet(folder / SCORES_FILE)
        return learnt.metrics | figures

    result = trained_model(context, store, tracking, base, training, inputs | {"calibration": wanted}, train)
    _warn(context, result.value.metrics, wanted)
    tested = pl.read_parquet(Path(store.path_of(result.value)) / SCORES_FILE)
    good = tested.filter("label")["score"].to_list()
    bad = tested.filter(~pl.col("label"))["score"].to_list()
    plot = plots.score_histogram(good, bad, result.value.metrics["threshold"])
    diagram = plots.reliability_diagram(reliability(tested["score"].to_list(), tested["label"].to_list()).rows())
    metadata = {
        "added_to_rules": added_to_rules(result.value.metrics),
        "score_distribution": dg.MetadataValue.md(plots.markdown_image(plot, "scores")),
        "reliability": dg.MetadataValue.md(plots.markdown_image(diagram, "reliability")),
        "verdicts_of_people": decided.height,
        **(result.metadata or {}),
    }
    return result._replace(metadata=metadata)


def _warn(context: dg.AssetExecutionContext, metrics: Mapping[str, float], wanted: CalibrationSettings) -> None:
    """Say where the judge is not asked, or is less precise than wanted, and what to do about it."""
    good, needed = metrics["calibration_good"], cases_to_show(wanted.minimum_recall)
    precision, p_value = metrics["calibration_precision"], metrics["calibration_p_value"]
    if metrics["threshold"] > 0:
        if precision < wanted.wanted_precision:
            context.log.warning(
                f"precision is {precision:.3f} on the calibration part, wanted is {wanted.wanted_precision}: lower "
                f"`minimum_recall` ({wanted.minimum_recall}), or raise `judge` in the counts, so that it learns more."
            )
        return
    why = f"its ranking may be chance (p = {p_value:.2g})"
    if p_value <= SIGNIFICANT:
        why = f"{good:.0f} good samples of the calibration part cannot show that it keeps {wanted.minimum_recall:.0%}"
    context.log.warning(
        f"the judge rejects nothing: {why}. Raise `judge` in the counts: {needed / PARTS['calibration']:.0f} or more "
        f"leave {needed} good ones for calibration."
    )


def _report(context: dg.AssetExecutionContext) -> Callable[[str, int, int], None]:
    """Return what tells the run's log how far the judge has read."""
    return lambda what, done, total: batch_reporter(context, f"{what} of samples")(done, total)


class FilteredSamplesConfig(dg.Config, ScoringSettings):
    """How the filter scores; its threshold was chosen with the judge."""

    review: int = Field(
        default=50,
        description="Samples nearest to the threshold that are written to reviews/SCENARIO.jsonl for a person; a "
        "`verdict` put there is a label of the next judge.",
        ge=0,
    )


@dg.asset(
    group_name="quality",
    partitions_def=scenario_partitions,
    kinds={"huggingface", "polars", "parquet"},
    owners=["team:cs-assets"],
    code_version="6",
    op_tags=gpu(1),
)
def filtered_samples(
    context: dg.AssetExecutionContext,
    config: FilteredSamplesConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    labelled_samples: pl.DataFrame,
    kto_judge: ModelFolder,
) -> dg.MaterializeResult[pl.DataFrame]:
    """筛选: what rules and judge let through, with scores; what they did not stays, with the reason."""
    scenario = load_scenario(context.partition_key)
    to_read = store.location("reviews", f"{scenario.name}.jsonl")
    decided = decisions(read_review(to_read)[0])
    inputs = {"data": labelled_samples, "decided": decided, "scenario": scenario.spec}
    key = fingerprint(code=code_version(context), judge=kto_judge.fingerprint, **inputs)

    def make() -> pl.DataFrame:
        judge = store.path_of(kto_judge)
        calibration = Calibration.load(Path(judge))
        scores: dict[str, float] = {}
        if calibration.threshold > 0:  # a judge that rejects nothing is not asked: that is a forward pass a sample
            candidates, scaling = to_judge(labelled_samples), calibration.scaling
            base = base_models.resolve(kto_judge.base, context.log.info).path
            size, told = config.score_batch_size, _report(context)
            readings = read_samples(
                scenario, candidates, base, judge, batch_size=size, wanted=scaling.weighed, report=told
            )
            scores = dict(zip(candidates["sample_id"], scaling.probabilities(readings), strict=True))
        return filter_samples(labelled_samples, scores, calibration.threshold, decided)

    table, hit, url = tracked_table(context, store, tracking, key, make)
    kept = int(table["kept"].sum())
    threshold = kto_judge.metrics["threshold"]
    if threshold == 0:
        context.log.warning("the judge rejects nothing (the log of kto_judge says why), so the rules alone choose")
    lines = write_review(to_read, near_threshold(table, threshold, config.review, decided))
    return dg.MaterializeResult(
        value=table,
        data_version=dg.DataVersion(key),
        metadata={
            "kept": kept,
            "kept_share": round(kept / max(table.height, 1), 3),
            "rejected_for": rejected_by_gate(table, "kept"),
            "judge_threshold": threshold,
            "judged": int(table["score"].is_not_null().sum()),
            "review": dg.MetadataValue.path(str(to_read)),
            "waiting_for_a_verdict": sum(not line.verdict for line in lines),
            "mlflow_run": dg.MetadataValue.url(url),
            **common_metadata(hit, key),
        },
    )
