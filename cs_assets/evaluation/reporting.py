"""The report: per split and model each metric with interval and n, per field, per tag, and the failures to read."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

from cs_assets import pages
from cs_assets.evaluation.measuring import Measures
from cs_assets.evaluation.preferred import Preferred
from cs_assets.evaluation.retention import Retention
from cs_assets.evaluation.statistics import Interval, bootstrap, mcnemar
from cs_assets.families.base import METRIC_TITLES, METRICS, Metric, SummarisingFamily

_WORST: Final = 20


class Cell(BaseModel):
    """The figures of one model on one split."""

    split: str
    model: str
    exact: Interval
    strict_json: Interval
    field_accuracy: Interval

    def figure(self, metric: Metric) -> Interval:
        """Return one of the `METRICS`."""
        return getattr(self, metric)


class Group(BaseModel):
    """The headline figure of one model on cases that have a tag or an origin (`by`) in common; `name` is its value."""

    by: str
    name: str
    model: str
    headline: Interval


class EvaluationReport(BaseModel):
    """What `evaluation_report` hands on.

    headline: the metric by which the scenario's family is judged; adapter: the fingerprint of the one that answered as
    `tuned`, empty where it is not known. p_values: McNemar's test base against tuned on the headline metric, per split
    (of one that is not only right or wrong, the sign test). per_field: model -> field -> accuracy over all test splits.
    groups: the headline figure by variation tag, or format of a message, and by origin of the template. summaries:
    split -> model -> figures of the family's own. measures: those besides right and wrong, with their intervals.
    preferred: which replies an LLM prefers, empty where none is configured. fit: what the loss curve of the tuned model
    says. retention: what general questions say. judge, reward: the metrics of those models.
    """

    scenario: str
    headline: Metric = "exact"
    adapter: str = ""
    cells: list[Cell]
    p_values: dict[str, float]
    per_field: dict[str, dict[str, Interval]]
    groups: list[Group] = []
    summaries: dict[str, dict[str, dict[str, float]]] = {}
    measures: Measures = {}
    preferred: list[Preferred] = []
    fit: str = ""
    retention: Retention | None = None
    judge: dict[str, float]
    reward: dict[str, float]

    def cell(self, split: str, model: str) -> Cell | None:
        return next((c for c in self.cells if c.split == split and c.model == model), None)

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
    family: object = None,
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
        family: the scenario's; a `SummarisingFamily` adds figures of its own.
        headline: the metric by which it is judged.
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
    return EvaluationReport(
        scenario=scenario,
        cells=cells,
        headline=headline,
        adapter=adapter,
        p_values=_p_values(predictions, headline),
        per_field=_per_field(predictions),
        groups=[
            *_groups(predictions.explode("tags"), "tag", "tags", headline),
            *_groups(predictions, "origin", "template_origin", headline),
        ],
        summaries=_summaries(predictions, family) if isinstance(family, SummarisingFamily) else {},
        measures=measures or {},
        preferred=list(preferred),
        fit=fit,
        retention=retention,
        judge=dict(judge),
        reward=dict(reward),
    )


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


def _p_values(predictions: pl.DataFrame, headline: Metric) -> dict[str, float]:
    found = {}
    for (split,), group in sorted(predictions.group_by("split"), key=lambda item: item[0]):
        wide = group.pivot(on="model", index="sample_id", values=headline).sort("sample_id")
        if {"base", "tuned"} <= set(wide.columns):
            found[str(split)] = mcnemar(wide["base"].to_list(), wide["tuned"].to_list())
    return found


def _groups(predictions: pl.DataFrame, by: str, column: str, headline: Metric) -> list[Group]:
    groups = predictions.filter(pl.col(column).is_not_null()).group_by(column, "model")
    return [
        Group(by=by, name=str(name), model=str(model), headline=bootstrap(group[headline].to_list()))
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


_HEAD: Final = ("split", "model", "n", *METRIC_TITLES.values(), "p")


def _table(report: EvaluationReport) -> list[tuple[str, ...]]:
    """Return the rows of the main table, as `_HEAD` names their cells."""
    return [
        (c.split, c.model, str(c.exact.n), *(str(c.figure(metric)) for metric in METRICS), _p(report, c))
        for c in report.cells
    ]


def _p(report: EvaluationReport, cell: Cell) -> str:
    """Return the p-value of the comparison with the base, in the line of the tuned model."""
    known = cell.model == "tuned" and cell.split in report.p_values
    return f"{report.p_values[cell.split]:.2g}" if known else ""


LEADERBOARD_SCHEMA: Final[dict[str, Any]] = {
    "scenario": pl.String,
    "split": pl.String,
    "n": pl.Int64,
    "metric": pl.String,
    "base": pl.Float64,
    "tuned": pl.Float64,
    "gain": pl.Float64,
}


def leaderboard_rows(report: EvaluationReport) -> list[tuple[Any, ...]]:
    """Return a row a split that base and tuned model were asked: the headline figure, named, before and after."""
    rows = []
    for tuned in report.cells:
        base = report.cell(tuned.split, "base")
        if tuned.model == "tuned" and base:
            before, after = base.figure(report.headline), tuned.figure(report.headline)
            named = (report.scenario, tuned.split, after.n, report.headline_title)
            rows.append((*named, before.mean, after.mean, after.mean - before.mean))
    return rows


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
            f"<p>Intervals: 95 % bootstrap. p: {_test(report)}, base against tuned on the same messages.</p>",
            *plots,
            *_preferred(report.preferred),
            *_kept(report.retention),
            *_details(report),
            pages.heading("Worst failures of the tuned model"),
            *(failures or ["<p>none</p>"]),
        ],
    )


def _test(report: EvaluationReport) -> str:
    """Return the name of the test behind the p-values."""
    return "McNemar's exact test" if report.headline == "exact" else f"exact sign test on {report.headline_title}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _headlines(report: EvaluationReport) -> list[str]:
    """Return the headline figure before and after, on each split that has both and that a reader asks about first."""
    title = _capital(report.headline_title)
    found = []
    for split, what in (("real_style", "messages as people write them"), ("test_template_ood", "unseen templates")):
        base, tuned = report.cell(split, "base"), report.cell(split, "tuned")
        if base and tuned:
            before, after = base.figure(report.headline), tuned.figure(report.headline)
            found.append(
                f'<p class="headline">{title} on {what}: <b>{100 * before.mean:.0f} %</b> before, '
                f"<b>{100 * after.mean:.0f} %</b> after tuning ({after.n} messages).</p>"
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
    for split, measures in report.measures.items():
        parts += [pages.heading(f"Besides right and wrong: {split}"), pages.table(*_measures(measures))]
    by_field = [(field, *(str(report.per_field[model].get(field, "")) for model in models)) for field in fields]
    parts += [pages.heading("By field, over all splits"), pages.table(("field", *models), by_field)]
    for by in dict.fromkeys(group.by for group in report.groups):
        title = f"{_capital(report.headline_title)} by {by}"
        parts += [pages.heading(title), pages.table((by, "n", *models), _by_group(report, by, models))]
    return parts


def _measures(measures: Mapping[str, Mapping[str, Interval]]) -> tuple[Sequence[str], list[tuple[str, ...]]]:
    """Return head and rows: a figure each with its number of cases, a model a column."""
    sizes = {name: figure.n for figures in measures.values() for name, figure in figures.items()}
    rows = [(name, str(n), *(str(of.get(name, "")) for of in measures.values())) for name, n in sizes.items()]
    return ("figure", "n", *measures), rows


def _preferred(found: Sequence[Preferred]) -> list[str]:
    """Return which replies an LLM prefers."""
    if not found:
        return []
    rows = [
        (p.split, *map(str, (p.n, p.wins, p.ties, p.losses)), f"{p.p:.2g}", str(p.first_won or ""), str(p.unparsed))
        for p in found
    ]
    left_out = sum(p.left_out for p in found)
    return [
        pages.heading("Which reply an LLM prefers"),
        "<p>It was shown both replies to a message in both orders, and one is better if it is in both. p: exact sign "
        "test on better and worse. First won: how often the reply that stood first was preferred, 50 % without a bias."
        f"{f' The budget ended before {left_out} messages.' if left_out else ''}</p>",
        pages.table(("split", "n", "tuned is better", "tie", "base is better", "p", "first won", "no verdict"), rows),
    ]


def _by_group(report: EvaluationReport, by: str, models: list[str]) -> list[tuple[str, ...]]:
    groups = {(group.name, group.model): group.headline for group in report.groups if group.by == by}
    sizes = {name: str(figure.n) for (name, _), figure in groups.items()}
    return [(name, size, *(str(groups.get((name, model), "")) for model in models)) for name, size in sizes.items()]


def _failure(row: Mapping[str, Any]) -> str:
    wrong = ", ".join(field for field, right in json.loads(row["fields"]).items() if not right) or "format only"
    return pages.entry(
        {"message": row["message"], "wanted": row["answer"], "answered": row["prediction"], "wrong": wrong}
    )
