"""The report: per split and model each metric with interval and n, per field, per tag, and the failures to read."""

import html
import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

from cs_assets import pages
from cs_assets.evaluation.retention import Retention
from cs_assets.evaluation.statistics import Interval, bootstrap, mcnemar
from cs_assets.families.base import METRICS, SummarisingFamily

_WORST: Final = 20


class Cell(BaseModel):
    """The figures of one model on one split."""

    split: str
    model: str
    exact: Interval
    strict_json: Interval
    field_accuracy: Interval


class Group(BaseModel):
    """Exact match of one model on the cases that have something in common: `by` is tag or origin, `name` its value."""

    by: str
    name: str
    model: str
    exact: Interval


class EvaluationReport(BaseModel):
    """What `evaluation_report` hands on.

    p_values: McNemar's test base against tuned on exact match, per split. per_field: model -> field -> accuracy over
    all test splits. groups: exact match by variation tag, or format of a message, and by origin of the template.
    summaries: split -> model -> figures of the family's own. fit: what the loss curve of the tuned model says.
    retention: what general questions say. judge, reward: the metrics of those models.
    """

    scenario: str
    cells: list[Cell]
    p_values: dict[str, float]
    per_field: dict[str, dict[str, Interval]]
    groups: list[Group] = []
    summaries: dict[str, dict[str, dict[str, float]]] = {}
    fit: str = ""
    retention: Retention | None = None
    judge: dict[str, float]
    reward: dict[str, float]

    def cell(self, split: str, model: str) -> Cell | None:
        return next((c for c in self.cells if c.split == split and c.model == model), None)


def make_report(
    scenario: str,
    predictions: pl.DataFrame,
    judge: Mapping[str, float],
    reward: Mapping[str, float],
    *,
    family: object = None,
    fit: str = "",
    retention: Retention | None = None,
) -> EvaluationReport:
    """Summarise the predictions.

    Args:
        scenario: its name.
        predictions: the table of `predictions`.
        judge, reward: the metrics of those models.
        family: the scenario's; a `SummarisingFamily` adds figures of its own.
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
    return EvaluationReport(
        scenario=scenario,
        cells=cells,
        p_values=_p_values(predictions),
        per_field=_per_field(predictions),
        groups=[
            *_groups(predictions.explode("tags"), "tag", "tags"),
            *_groups(predictions, "origin", "template_origin"),
        ],
        summaries=_summaries(predictions, family) if isinstance(family, SummarisingFamily) else {},
        fit=fit,
        retention=retention,
        judge=dict(judge),
        reward=dict(reward),
    )


def _p_values(predictions: pl.DataFrame) -> dict[str, float]:
    found = {}
    for (split,), group in sorted(predictions.group_by("split"), key=lambda item: item[0]):
        wide = group.pivot(on="model", index="sample_id", values="exact").sort("sample_id")
        if {"base", "tuned"} <= set(wide.columns):
            found[str(split)] = mcnemar(wide["base"].to_list(), wide["tuned"].to_list())
    return found


def _groups(predictions: pl.DataFrame, by: str, column: str) -> list[Group]:
    groups = predictions.filter(pl.col(column).is_not_null()).group_by(column, "model")
    return [
        Group(by=by, name=str(name), model=str(model), exact=bootstrap(group["exact"].to_list()))
        for (name, model), group in sorted(groups, key=lambda item: item[0])
    ]


def _summaries(predictions: pl.DataFrame, family: SummarisingFamily) -> dict[str, dict[str, dict[str, float]]]:
    found: dict[str, dict[str, dict[str, float]]] = {}
    for (split, model), group in sorted(predictions.group_by("split", "model"), key=lambda item: item[0]):
        figures = family.summary(group["prediction"].to_list(), group["answer"].to_list())
        found.setdefault(str(split), {})[str(model)] = figures
    return found


def _per_field(predictions: pl.DataFrame) -> dict[str, dict[str, Interval]]:
    found: dict[str, dict[str, Interval]] = {}
    for (model,), group in sorted(predictions.group_by("model"), key=lambda item: item[0]):
        scores: dict[str, list[float]] = {}
        for text in group.sort("sample_id")["fields"]:
            for field, score in json.loads(text).items():  # records of different kinds have different fields
                scores.setdefault(field, []).append(score)
        found[str(model)] = {field: bootstrap(values) for field, values in scores.items()}
    return found


_HEAD: Final = ("split", "model", "n", "exact match", "strict JSON", "field accuracy", "p")


def _table(report: EvaluationReport) -> list[tuple[str, ...]]:
    """Return the rows of the main table, as `_HEAD` names their cells."""
    return [
        (c.split, c.model, str(c.exact.n), str(c.exact), str(c.strict_json), str(c.field_accuracy), _p(report, c))
        for c in report.cells
    ]


def _p(report: EvaluationReport, cell: Cell) -> str:
    """Return the p-value of the comparison with the base, in the line of the tuned model."""
    known = cell.model == "tuned" and cell.split in report.p_values
    return f"{report.p_values[cell.split]:.2g}" if known else ""


def markdown(report: EvaluationReport) -> str:
    """Return the main table as Markdown."""
    rows = [_HEAD, ["---"] * len(_HEAD), *_table(report)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, *([f"\nGeneral questions: {report.retention}."] if report.retention else [])])


def worst_failures(predictions: pl.DataFrame, model: str = "tuned") -> pl.DataFrame:
    """Return the failures of a model that get the most fields wrong, worst first."""
    failures = predictions.filter((pl.col("model") == model) & (pl.col("exact") < 1))
    return failures.sort("field_accuracy", "sample_id").head(_WORST)


def html_page(report: EvaluationReport, predictions: pl.DataFrame, title: str, plots: list[str]) -> str:
    """Return the page: headline, tables, plots (HTML), failures."""
    failures = [_failure(row) for row in worst_failures(predictions).iter_rows(named=True)]
    return pages.page(
        title,
        [
            *_headlines(report),
            f'<p><a href="{report.scenario}-data.html">What it was trained on</a>: the figures of the data set, and '
            "samples to read.</p>",
            pages.heading("Base against tuned"),
            pages.table(_HEAD, _table(report)),
            "<p>Intervals: 95 % bootstrap. p: McNemar's exact test, base against tuned on the same messages.</p>",
            *plots,
            *_kept(report.retention),
            *_details(report),
            pages.heading("Worst failures of the tuned model"),
            *(failures or ["<p>none</p>"]),
        ],
    )


def _headlines(report: EvaluationReport) -> list[str]:
    """Return exact match before and after, on each split that has both and that a reader asks about first."""
    found = []
    for split, what in (("real_style", "messages as people write them"), ("test_template_ood", "unseen templates")):
        base, tuned = report.cell(split, "base"), report.cell(split, "tuned")
        if base and tuned:
            found.append(
                f'<p class="headline">Exact match on {what}: <b>{100 * base.exact.mean:.0f} %</b> before, '
                f"<b>{100 * tuned.exact.mean:.0f} %</b> after tuning ({tuned.exact.n} messages).</p>"
            )
    return found


def _kept(retention: Retention | None) -> list[str]:
    """Return what the tuned model can still do besides its task."""
    if retention is None:
        return []
    rows = [(kind, str(by["base"].n), str(by["base"]), str(by["tuned"])) for kind, by in retention.kinds.items()]
    return [
        pages.heading("General questions, which have nothing to do with the task"),
        f"<p>{html.escape(str(retention))}. The interval of the difference is of paired answers.</p>",
        pages.table(("kind", "n", "base", "tuned"), rows),
    ]


def _details(report: EvaluationReport) -> list[str]:
    """Return the figures behind the main table: of the family's own, by field, by tag and origin, and of training."""
    models = list(report.per_field)
    fields = dict.fromkeys(field for figures in report.per_field.values() for field in figures)
    parts = []
    if report.fit:
        parts += [pages.heading("How the training went"), f"<p>{html.escape(report.fit)}</p>"]
    for split, by_model in report.summaries.items():
        names = dict.fromkeys(name for figures in by_model.values() for name in figures)
        rows = [
            (model, *(f"{100 * figures[name]:.1f} %" if name in figures else "" for name in names))
            for model, figures in by_model.items()
        ]
        parts += [pages.heading(f"Of this kind of task: {split}"), pages.table(("model", *names), rows)]
    by_field = [(field, *(str(report.per_field[model].get(field, "")) for model in models)) for field in fields]
    parts += [pages.heading("By field, over all splits"), pages.table(("field", *models), by_field)]
    for by in dict.fromkeys(group.by for group in report.groups):
        parts += [pages.heading(f"Exact match by {by}"), pages.table((by, "n", *models), _by_group(report, by, models))]
    return parts


def _by_group(report: EvaluationReport, by: str, models: list[str]) -> list[tuple[str, ...]]:
    groups = {(group.name, group.model): group.exact for group in report.groups if group.by == by}
    sizes = {name: str(exact.n) for (name, _), exact in groups.items()}
    return [(name, size, *(str(groups.get((name, model), "")) for model in models)) for name, size in sizes.items()]


def _failure(row: Mapping[str, Any]) -> str:
    wrong = ", ".join(field for field, right in json.loads(row["fields"]).items() if not right) or "format only"
    return pages.entry(
        {"message": row["message"], "wanted": row["answer"], "answered": row["prediction"], "wrong": wrong}
    )
