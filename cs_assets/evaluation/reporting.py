"""The report: per split and model each metric with interval and n, per field, per tag, and the failures to read."""

import html
import json
from collections.abc import Mapping
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

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


def markdown(report: EvaluationReport) -> str:
    """Return the main table as Markdown."""
    lines = ["| split | model | n | exact match | strict JSON | field accuracy |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {c.split} | {c.model} | {c.exact.n} | {c.exact} | {c.strict_json} | {c.field_accuracy} |"
        for c in report.cells
    ]
    return "\n".join(lines)


def worst_failures(predictions: pl.DataFrame, model: str = "tuned") -> pl.DataFrame:
    """Return the failures of a model that get the most fields wrong, worst first."""
    failures = predictions.filter((pl.col("model") == model) & (pl.col("exact") < 1))
    return failures.sort("field_accuracy", "sample_id").head(_WORST)


def html_page(report: EvaluationReport, predictions: pl.DataFrame, title: str, plots: list[str]) -> str:
    """Return one self-contained page: headline, table, plots, failures. It loads nothing from a network."""
    head = report.cell("test_template_ood", "base"), report.cell("test_template_ood", "tuned")
    headline = ""
    if head[0] and head[1]:
        headline = (
            f"<p class='headline'>Exact match on unseen templates: <b>{100 * head[0].exact.mean:.0f} %</b> before, "
            f"<b>{100 * head[1].exact.mean:.0f} %</b> after tuning ({head[1].exact.n} messages).</p>"
        )
    rows = "".join(
        f"<tr><td>{c.split}</td><td>{c.model}</td><td>{c.exact.n}</td><td>{c.exact}</td><td>{c.strict_json}</td>"
        f"<td>{c.field_accuracy}</td></tr>"
        for c in report.cells
    )
    failures = "".join(_failure(row) for row in worst_failures(predictions).iter_rows(named=True))
    return _PAGE.format(
        title=html.escape(title),
        data=f"{report.scenario}-data.html",
        headline=headline,
        rows=rows,
        plots="".join(plots),
        failures=failures or "<p>none</p>",
    )


def _failure(row: Mapping[str, Any]) -> str:
    parts = (("message", "message"), ("wanted", "answer"), ("answered", "prediction"))
    cells = "".join(f"<dt>{label}</dt><dd>{html.escape(row[key])}</dd>" for label, key in parts)
    wrong = ", ".join(field for field, right in json.loads(row["fields"]).items() if not right) or "format only"
    return f"<dl>{cells}<dt>wrong</dt><dd class='wrong'>{html.escape(wrong)}</dd></dl>"


_PAGE: Final = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2433; }}
h1 {{ font-size: 1.6rem; }} .headline {{ font-size: 1.15rem; background: #eef4ff; padding: .8rem 1rem; }}
table {{ border-collapse: collapse; width: 100%; }} td, th {{ padding: .35rem .6rem; border-bottom: 1px solid #dde; }}
th {{ text-align: left; }} dl {{ border-left: 3px solid #ccd; padding-left: 1rem; margin: 1.2rem 0; }}
dt {{ color: #678; font-size: .85rem; }} dd {{ margin: 0 0 .3rem; white-space: pre-wrap; overflow-wrap: anywhere; }}
.wrong {{ color: #b3261e; }} img {{ max-width: 100%; }}
</style></head><body><h1>{title}</h1>{headline}
<p><a href="{data}">What it was trained on</a>: the figures of the data set, and samples to read.</p>
<h2>Base against tuned</h2><table><tr><th>split</th><th>model</th><th>n</th><th>exact match</th><th>strict JSON</th>
<th>field accuracy</th></tr>{rows}</table>
<p>Intervals: 95 % bootstrap.</p>{plots}<h2>Worst failures of the tuned model</h2>{failures}</body></html>
"""
