"""The report: per split and model each metric with interval and n, by field, tag and origin, and the failures to read.

Here belong the figures and their tables. The page that shows them is in `report_page.py`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

from cs_assets.evaluation.measuring import Measures
from cs_assets.evaluation.predicting import MODELS
from cs_assets.evaluation.preferred import Preferred
from cs_assets.evaluation.retention import Retention
from cs_assets.families.base import METRIC_TITLES, METRICS, Metric
from cs_assets.statistics import Interval, bootstrap, mcnemar

# Head and rows.
Table = tuple[list[str], list[list[str]]]
_WORST: Final = 20
# What a reader asks about first, and what it is.
FIRST_SPLITS: Final = {"real_style": "messages as people write them", "test_template_ood": "unseen sentences"}
# What a judge or a reward model is tested on, and how its metrics of these cases end.
_TESTED: Final = {"all": "", "seen in training": "_seen", "unseen": "_unseen"}


class Cell(BaseModel):
    """The figures of one model on one split."""

    split: str
    model: str
    exact: Interval
    repaired: Interval
    strict_json: Interval
    field_accuracy: Interval

    def figure(self, metric: Metric) -> Interval:
        """Return one of the `METRICS`."""
        return getattr(self, metric)


class Group(BaseModel):
    """The figures of one model on cases of a split that have a tag or an origin (`by`) in common.

    name: what they have in common, empty for those without a tag. A report of an older run is of all splits together
    (`split` is empty), and knows the headline figure alone.
    """

    split: str = ""
    by: str
    name: str
    model: str
    headline: Interval
    field_accuracy: Interval | None = None


class Change(BaseModel):
    """The headline figure of a model that was made of the tuned one, less that of the tuned one, message by message."""

    split: str
    model: str
    difference: Interval
    p_value: float


class EvaluationReport(BaseModel):
    """What `evaluation_report` hands on.

    headline: the metric by which the scenario's family is judged; adapter: the fingerprint of the one that answered as
    `tuned`, empty where it is not known. p_values: McNemar's test base against tuned on the headline metric, per split
    (of one that is not only right or wrong, the sign test). gain_p_values: the same of the figures that the gate
    compares: the base's `base_metric` against the tuned model's headline metric. changes: what became of the tuned
    model by alignment, or by choosing among its answers. fields: the accuracy of each field. groups: the figures by
    variation tag, or format of a message, and by origin of the template. measures: the figures besides right and wrong.
    preferred: which replies an LLM prefers, empty where none is configured. fit: what the loss curve of the tuned model
    says. retention: what general questions say. judge, reward: the metrics of those models.
    """

    scenario: str
    headline: Metric = "exact"
    adapter: str = ""
    cells: list[Cell]
    p_values: dict[str, float]
    gain_p_values: dict[str, float] = {}  # a report of an older run has none
    changes: list[Change] = []
    fields: Measures = {}  # a report of an older run has none
    groups: list[Group] = []
    measures: Measures = {}
    preferred: list[Preferred] = []
    fit: str = ""
    retention: Retention | None = None
    judge: dict[str, float]
    reward: dict[str, float]

    def cell(self, split: str, model: str) -> Cell | None:
        return next((c for c in self.cells if c.split == split and c.model == model), None)

    @property
    def models(self) -> list[str]:
        """Those that were asked, in the order of `MODELS`."""
        return sorted({cell.model for cell in self.cells}, key=MODELS.index)

    @property
    def headline_title(self) -> str:
        """What a reader is told that the headline figure is."""
        return METRIC_TITLES[self.headline]


def make_report(
    scenario: str,
    predictions: pl.DataFrame,
    judge: Mapping[str, float],
    reward: Mapping[str, float],
    *,
    headline: Metric = "exact",
    adapter: str = "",
    measures: Measures | None = None,
    preferred: Sequence[Preferred] = (),
    fit: str = "",
    retention: Retention | None = None,
) -> EvaluationReport:
    """Summarise the predictions.

    Args:
        scenario: its name.
        predictions: the table of `predictions`.
        judge, reward: the metrics of those models.
        headline: the metric by which the scenario is judged.
        adapter: the fingerprint of the adapter whose answers are those of `tuned`.
        measures: figures besides right and wrong.
        preferred: which replies an LLM prefers, split by split.
        fit: what the loss curve of the tuned model says.
        retention: what general questions say.

    Raises:
        ValueError: there are no predictions.
    """
    if predictions.is_empty():
        raise ValueError("no predictions: the test splits are empty; raise their counts in scenario.yaml.")
    cells = [
        Cell(
            split=str(split),
            model=str(model),
            **{metric: bootstrap(group[metric].to_list()) for metric in METRICS},
        )
        for (split, model), group in sorted(predictions.group_by("split", "model"), key=lambda item: item[0])
    ]
    tagged = predictions.explode("tags", empty_as_null=True)
    return EvaluationReport(
        scenario=scenario,
        cells=cells,
        headline=headline,
        adapter=adapter,
        p_values=_p_values(predictions, headline, headline),
        gain_p_values=_p_values(predictions, base_metric(headline), headline),
        changes=_changes(predictions, headline),
        fields=_fields(predictions),
        groups=[
            *_groups(tagged.with_columns(pl.col("tags").fill_null("")), "tag", "tags", headline),
            *_groups(predictions, "origin", "template_origin", headline),
        ],
        measures=measures or {},
        preferred=list(preferred),
        fit=fit,
        retention=retention,
        judge=dict(judge),
        reward=dict(reward),
    )


def base_metric(headline: Metric) -> Metric:
    """Return the metric of the base that a gain in the headline metric is measured from.

    Where that is exact match, the base may write what it likes around its answer: to learn the format alone is no gain.
    """
    return "repaired" if headline == "exact" else headline


def answered_by(*tables: pl.DataFrame) -> str:
    """Return the fingerprint of the adapter that answered as `tuned` in all of the tables.

    Empty where a table does not tell, or two of them disagree: then their figures are of no one adapter.
    """
    found = {
        adapter
        for table in tables
        for adapter in (table.filter(pl.col("model") == "tuned")["adapter"] if "adapter" in table.columns else [""])
    }
    return found.pop() if len(found) == 1 else ""


def _p_values(predictions: pl.DataFrame, before: Metric, after: Metric) -> dict[str, float]:
    """Return the p-value of each split: `before` of the base against `after` of the tuned model, case by case."""
    found = {}
    compared = predictions.with_columns(figure=pl.when(model="base").then(before).otherwise(after))
    for (split,), group in sorted(compared.group_by("split"), key=lambda item: item[0]):
        wide = group.pivot(on="model", index="sample_id", values="figure").sort("sample_id")
        if {"base", "tuned"} <= set(wide.columns):
            found[str(split)] = mcnemar(wide["base"].to_list(), wide["tuned"].to_list())
    return found


def _changes(predictions: pl.DataFrame, headline: Metric) -> list[Change]:
    """Compare each model that was made of the tuned one with it, on the messages that both were asked."""
    found = []
    for (split,), group in sorted(predictions.group_by("split"), key=lambda item: item[0]):
        wide = group.pivot(on="model", index="sample_id", values=headline).sort("sample_id")
        for model in MODELS[MODELS.index("tuned") + 1 :]:
            if {"tuned", model} <= set(wide.columns):
                if (both := wide.select("tuned", model).drop_nulls()).is_empty():
                    continue
                before, after = both["tuned"].to_list(), both[model].to_list()
                difference = bootstrap((both[model] - both["tuned"]).to_list())
                found.append(
                    Change(split=str(split), model=model, difference=difference, p_value=mcnemar(before, after))
                )
    return found


def _groups(predictions: pl.DataFrame, by: str, column: str, headline: Metric) -> list[Group]:
    groups = predictions.filter(pl.col(column).is_not_null()).group_by("split", column, "model")
    return [
        Group(
            split=str(split),
            by=by,
            name=str(name),
            model=str(model),
            headline=bootstrap(group[headline].to_list()),
            field_accuracy=bootstrap(group["field_accuracy"].to_list()),
        )
        for (split, name, model), group in sorted(groups, key=lambda item: item[0])
    ]


def _fields(predictions: pl.DataFrame) -> Measures:
    found: Measures = {}
    for (split, model), group in sorted(predictions.group_by("split", "model"), key=lambda item: item[0]):
        scores: dict[str, list[float]] = {}
        for text in group.sort("sample_id")["fields"]:
            for field, score in json.loads(text).items():  # records of different kinds have different fields
                scores.setdefault(field, []).append(score)
        figures = {field: bootstrap(values) for field, values in scores.items()}
        found.setdefault(str(split), {})[str(model)] = figures
    return found


def main_table(report: EvaluationReport) -> Table:
    """Return head and rows of the main table: on each split each figure, the models side by side."""
    rows = []
    for split in dict.fromkeys(cell.split for cell in report.cells):
        cells = [report.cell(split, model) for model in report.models]
        n = next(cell.exact.n for cell in cells if cell)
        for number, metric in enumerate(METRICS):
            figures = [str(cell.figure(metric)) if cell else "" for cell in cells]
            p = p_value(report.p_values[split]) if metric == report.headline and split in report.p_values else ""
            rows.append(["" if number else split, METRIC_TITLES[metric], str(n), *figures, p])
    return ["split", "figure", "n", *report.models, "p"], rows


def changes_table(report: EvaluationReport) -> Table:
    """Return the table of what became of the tuned model; no rows where nothing was made of it."""
    rows = [
        [change.split, change.model, str(change.difference.n), str(change.difference), p_value(change.p_value)]
        for change in report.changes
    ]
    return ["split", "model", "n", f"{report.headline_title}, less that of tuned", "p"], rows


def judge_tables(judge: Mapping[str, float]) -> tuple[Table, Table]:
    """Return two tables: the judge on all of its test samples, and on those that break no rule.

    A line of which no figure is known is left out.

    Args:
        judge: its metrics.
    """
    whole, passed = [], []
    for name, of in _TESTED.items():
        areas = [_figure(judge, f"{figure}{of}") for figure in ("auc", "auc_rules", "auc_with_rules")]
        whole.append([name, _count(judge, f"n{of}"), *areas])
        shares = [_figure(judge, f"{figure}{of}", percent=True) for figure in ("precision", "recall")]
        passed.append([name, _count(judge, f"n_after_rules{of}"), _figure(judge, f"auc_after_rules{of}"), *shares])
    return (
        (["corruptions", "n", "AUC: judge alone", "rules alone", "rules and judge"], _told(whole)),
        (["corruptions", "n", "AUC", "precision", "recall"], _told(passed)),
    )


def reward_table(reward: Mapping[str, float]) -> Table:
    """Return the table of how often the reward model prefers the better answer of a pair; no rows where not known.

    Args:
        reward: its metrics.
    """
    rows = [
        [name, _count(reward, f"n{of}"), _figure(reward, f"accuracy{of}", percent=True)] for name, of in _TESTED.items()
    ]
    return ["corruptions", "n", "pairs ranked right"], _told(rows)


def _told(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows that have a figure besides their number of cases."""
    return [row for row in rows if any(row[2:])]


def _count(metrics: Mapping[str, float], name: str) -> str:
    return f"{metrics[name]:,.0f}" if name in metrics else ""


def _figure(metrics: Mapping[str, float], name: str, *, percent: bool = False) -> str:
    """Return a figure with its interval, as far as they are known."""
    if name not in metrics:
        return ""
    known = [metrics[key] for key in (name, f"{name}_low", f"{name}_high") if key in metrics]
    mean, *bounds = (f"{100 * value:.1f}" if percent else f"{value:.3f}" for value in known)
    interval = f" [{', '.join(bounds)}]" if bounds else ""
    return f"{mean}{' %' if percent else ''}{interval}"


def p_value(value: float) -> str:
    """Return a p-value as it is printed."""
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


LEADERBOARD_SCHEMA: Final[dict[str, Any]] = {
    "scenario": pl.String,
    "split": pl.String,
    "n": pl.Int64,
    "metric": pl.String,
    "base": pl.Float64,
    "base_low": pl.Float64,
    "base_high": pl.Float64,
    "tuned": pl.Float64,
    "tuned_low": pl.Float64,
    "tuned_high": pl.Float64,
    "gain": pl.Float64,
}


def leaderboard_rows(report: EvaluationReport) -> list[tuple[Any, ...]]:
    """Return a row a split that base and tuned model were asked: its headline figure before and after."""
    rows = []
    for tuned in report.cells:
        base = report.cell(tuned.split, "base")
        if tuned.model == "tuned" and base:
            before, after = base.figure(report.headline), tuned.figure(report.headline)
            named = (report.scenario, tuned.split, after.n, report.headline_title)
            intervals = (edge for figure in (before, after) for edge in (figure.mean, figure.low, figure.high))
            rows.append((*named, *intervals, after.mean - before.mean))
    return rows


def outcome(report: EvaluationReport) -> str:
    """Return in one line the headline figure before and after, on each split that a reader asks about first."""
    told = []
    for split, what in FIRST_SPLITS.items():
        base, tuned = report.cell(split, "base"), report.cell(split, "tuned")
        if base and tuned:
            told.append(f"{what}: {base.figure(report.headline)} before, {tuned.figure(report.headline)} after")
    return f"{report.headline_title} on {'; on '.join(told)}" if told else "base and tuned model were not both asked"


def markdown(report: EvaluationReport) -> str:
    """Return the main table as Markdown, and what became of the tuned model."""
    lines = _markdown_table(*main_table(report))
    if report.changes:
        lines += ["", *_markdown_table(*changes_table(report))]
    return "\n".join([*lines, *([f"\nGeneral questions: {report.retention}."] if report.retention else [])])


def _markdown_table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def worst_failures(predictions: pl.DataFrame, model: str = "tuned") -> pl.DataFrame:
    """Return the failures of a model that get the most fields wrong, worst first."""
    return failures(predictions, model).sort("field_accuracy", "sample_id").head(_WORST)


def failures(predictions: pl.DataFrame, model: str = "tuned") -> pl.DataFrame:
    """Return what a model got wrong."""
    return predictions.filter((pl.col("model") == model) & (pl.col("exact") < 1))
