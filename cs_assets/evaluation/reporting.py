"""The report: per split and model each metric with interval and n, per field, per tag, and the failures to read."""

import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

from cs_assets import pages
from cs_assets.evaluation.statistics import Interval, bootstrap, mcnemar

METRICS: Final = ("exact", "strict_json", "field_accuracy")
_WORST: Final = 20


class Cell(BaseModel):
    """The figures of one model on one split."""

    split: str
    model: str
    exact: Interval
    strict_json: Interval
    field_accuracy: Interval


class EvaluationReport(BaseModel):
    """What `evaluation_report` hands on.

    p_values: McNemar's test base against tuned on exact match, per split. per_field: model -> field -> accuracy over
    all test splits. judge, reward: the metrics of those models.
    """

    scenario: str
    cells: list[Cell]
    p_values: dict[str, float]
    per_field: dict[str, dict[str, float]]
    judge: dict[str, float]
    reward: dict[str, float]

    def cell(self, split: str, model: str) -> Cell | None:
        return next((c for c in self.cells if c.split == split and c.model == model), None)


def make_report(
    scenario: str, predictions: pl.DataFrame, judge: Mapping[str, float], reward: Mapping[str, float]
) -> EvaluationReport:
    """Summarise the predictions.

    Raises:
        ValueError: there are none.
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


def _per_field(predictions: pl.DataFrame) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for (model,), group in sorted(predictions.group_by("model"), key=lambda item: item[0]):
        scores: dict[str, list[float]] = {}
        for text in group.sort("sample_id")["fields"]:
            for field, score in json.loads(text).items():  # records of different kinds have different fields
                scores.setdefault(field, []).append(score)
        found[str(model)] = {field: sum(values) / len(values) for field, values in scores.items()}
    return found


_HEAD: Final = ("split", "model", "n", "exact match", "strict JSON", "field accuracy")


def _table(report: EvaluationReport) -> list[tuple[str, ...]]:
    """Return the rows of the main table, as `_HEAD` names their cells."""
    return [
        (c.split, c.model, str(c.exact.n), str(c.exact), str(c.strict_json), str(c.field_accuracy))
        for c in report.cells
    ]


def markdown(report: EvaluationReport) -> str:
    """Return the main table as Markdown."""
    rows = [_HEAD, ["---"] * len(_HEAD), *_table(report)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def worst_failures(predictions: pl.DataFrame, model: str = "tuned") -> pl.DataFrame:
    """Return the failures of a model that get the most fields wrong, worst first."""
    failures = predictions.filter((pl.col("model") == model) & (pl.col("exact") < 1))
    return failures.sort("field_accuracy", "sample_id").head(_WORST)


def html_page(report: EvaluationReport, predictions: pl.DataFrame, title: str, plots: list[str]) -> str:
    """Return the page: headline, table, plots (HTML), failures."""
    failures = [_failure(row) for row in worst_failures(predictions).iter_rows(named=True)]
    return pages.page(
        title,
        [
            _headline(report),
            f'<p><a href="{report.scenario}-data.html">What it was trained on</a>: the figures of the data set, and '
            "samples to read.</p>",
            pages.heading("Base against tuned"),
            pages.table(_HEAD, _table(report)),
            "<p>Intervals: 95 % bootstrap.</p>",
            *plots,
            pages.heading("Worst failures of the tuned model"),
            *(failures or ["<p>none</p>"]),
        ],
    )


def _headline(report: EvaluationReport) -> str:
    """Return exact match on unseen templates before and after, an empty string where one was not measured."""
    base, tuned = report.cell("test_template_ood", "base"), report.cell("test_template_ood", "tuned")
    if base is None or tuned is None:
        return ""
    return (
        f'<p class="headline">Exact match on unseen templates: <b>{100 * base.exact.mean:.0f} %</b> before, '
        f"<b>{100 * tuned.exact.mean:.0f} %</b> after tuning ({tuned.exact.n} messages).</p>"
    )


def _failure(row: Mapping[str, Any]) -> str:
    wrong = ", ".join(field for field, right in json.loads(row["fields"]).items() if not right) or "format only"
    return pages.entry(
        {"message": row["message"], "wanted": row["answer"], "answered": row["prediction"], "wrong": wrong}
    )
