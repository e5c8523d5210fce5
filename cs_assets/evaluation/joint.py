"""What a joint adapter gains on each scenario, and what it loses to the adapter of that scenario alone.

Here belongs the comparison of answers that are already scored; who answers, and where it is kept, the asset says.

    compare("address_extraction", base, own, joint)    # a row a split and metric, with intervals of paired differences
"""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from cs_assets.families.base import METRICS
from cs_assets.statistics import SIGNIFICANT, bootstrap, mcnemar

SCHEMA: Final[dict[str, Any]] = {
    "scenario": pl.String,
    "split": pl.String,
    "metric": pl.String,
    "n": pl.Int64,
    "base": pl.Float64,
    "own": pl.Float64,  # the adapter of the scenario alone; null where it was not asked the same cases
    "joint": pl.Float64,
    "gain": pl.Float64,  # joint - base, with its 95 % interval
    "gain_low": pl.Float64,
    "gain_high": pl.Float64,
    "gain_p": pl.Float64,  # of the exact sign test; an interval has no width where few cases agree
    "transfer": pl.Float64,  # joint - own, with its 95 % interval
    "transfer_low": pl.Float64,
    "transfer_high": pl.Float64,
    "transfer_p": pl.Float64,
    "verdict": pl.String,  # of the transfer: gain, interference, undecided; null where there is none
}
_CASE: Final = ("split", "sample_id", "message", "answer")


def compare(scenario: str, base: pl.DataFrame, own: pl.DataFrame | None, joint: pl.DataFrame) -> pl.DataFrame:
    """Compare three models on the same cases, in each split and each of the `METRICS`.

    Args:
        scenario: its name.
        base, joint: their scored answers to the test splits, as `score_predictions` returns them.
        own: those of the scenario's own adapter; None, or without some cases of a split, where it was not asked.
    """
    cases = joint.select(*_CASE, *METRICS).join(base.select(*_CASE, *METRICS), on=_CASE, suffix="_base")
    other = joint.clear() if own is None else own
    wide = cases.join(other.select(*_CASE, *METRICS), on=_CASE, how="left", suffix="_own").sort("sample_id")
    rows = [
        {"scenario": scenario, "split": str(split), "metric": metric, **_figures(group, metric)}
        for (split,), group in sorted(wide.group_by("split", maintain_order=True), key=lambda item: item[0])
        for metric in METRICS
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def _figures(group: pl.DataFrame, metric: str) -> dict[str, Any]:
    base, own, joint = (group[name] for name in (f"{metric}_base", f"{metric}_own", metric))
    gain = bootstrap((joint - base).to_list())
    figures = {"n": group.height, "base": base.mean(), "joint": joint.mean()}
    figures |= {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
    figures["gain_p"] = mcnemar(base.to_list(), joint.to_list())
    if own.has_nulls():
        return figures
    transfer = bootstrap((joint - own).to_list())
    p = mcnemar(own.to_list(), joint.to_list())
    beyond = "gain" if transfer.low > 0 else "interference" if transfer.high < 0 else "undecided"
    transferred = {"transfer": transfer.mean, "transfer_low": transfer.low, "transfer_high": transfer.high}
    verdict = beyond if p < SIGNIFICANT else "undecided"
    return {**figures, "own": own.mean(), **transferred, "transfer_p": p, "verdict": verdict}


def bars(compared: pl.DataFrame, metric: str) -> Mapping[str, Mapping[str, float]]:
    """Return what is drawn of one scenario: model -> split -> its mean; only of models that were asked everything."""
    rows = compared.filter(metric=metric)
    asked = [model for model in ("base", "own", "joint") if not rows[model].has_nulls()]
    return {model: dict(rows.select("split", model).iter_rows()) for model in asked}


def figures(compared: pl.DataFrame, headlines: Mapping[str, str]) -> dict[str, float]:
    """Return the means of the headline metric of each scenario, as `scenario.split.model`."""
    rows = _judged(compared, headlines).to_dicts()
    named = {f"{r['scenario']}.{r['split']}.{model}": r[model] for r in rows for model in ("base", "own", "joint")}
    return {name: mean for name, mean in named.items() if mean is not None}


def outcome(compared: pl.DataFrame, headlines: Mapping[str, str]) -> str:
    """Return in words how often the joint adapter gained or lost against the scenarios' own, by their headline metric.

    Args:
        compared: what `compare` returned for all scenarios.
        headlines: scenario -> the metric that it is judged by.
    """
    judged = _judged(compared, headlines)
    better = judged.filter(pl.col("gain_low") > 0, pl.col("gain_p") < SIGNIFICANT).height
    counts = dict(judged.drop_nulls("verdict").group_by("verdict").len().iter_rows())
    against = ", ".join(f"{name} {counts.get(name, 0)}" for name in ("gain", "interference", "undecided"))
    return f"better than the base in {better} of {judged.height} tests; against the own adapters: {against}"


def _judged(compared: pl.DataFrame, headlines: Mapping[str, str]) -> pl.DataFrame:
    headline = pl.col("scenario").replace_strict(dict(headlines), return_dtype=pl.String)
    return compared.filter(pl.col("metric") == headline)
