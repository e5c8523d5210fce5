"""Who is champion: a release is compared, test case by test case, with the one that has the alias now.

A released folder keeps what its model answered on the test cases. Of the cases that both models were asked, with the
same message and true answer on the same test split, two things must hold in the headline metric of the family:

- the mean of the new one is not below that of the champion;
- on no split does the 95 % bootstrap interval of the paired difference lie below zero as a whole.

The second keeps a gain on many synthetic messages from hiding a loss on few real ones. Where less than half of the new
one's cases were asked of the champion too, nothing can be said, and the champion stays.

    objections(cases_of(predictions), champion, "exact")    # [] or reasons
"""

from pathlib import Path
from typing import Final

import polars as pl

from cs_assets.evaluation.statistics import bootstrap
from cs_assets.families.base import METRIC_TITLES, METRICS, Metric
from resources.tracking import RegisteredVersion

ALIAS: Final = "champion"
CASES_FILE: Final = "test_cases.parquet"
_CASE: Final = ("split", "message", "answer")
_ENOUGH: Final = 0.5
_ROUNDING: Final = 1e-9


def cases_of(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return the test cases that the tuned model was asked, each once, with what it answered and scored."""
    tuned = predictions.filter(pl.col("model") == "tuned").unique(_CASE, keep="first", maintain_order=True)
    return tuned.select(*_CASE, "prediction", *METRICS)


def objections(candidate: pl.DataFrame, champion: RegisteredVersion, metric: Metric) -> list[str]:
    """Return why a release may not take the champion's place; empty where it may.

    Args:
        candidate: its test cases, from `cases_of`.
        champion: the version that has the alias; its folder keeps its test cases.
        metric: by which the family is judged.
    """
    kept = Path(champion.source) / CASES_FILE
    if not kept.is_file():
        return [
            f"champion is version {champion.number}, and {kept} is not there, so nothing can be compared; bring the "
            "folder back, or set the alias by hand in MLflow"
        ]
    return _worse(candidate, pl.read_parquet(kept), metric)


def _worse(candidate: pl.DataFrame, champion: pl.DataFrame, metric: Metric) -> list[str]:
    """Return in what a release is worse than the champion, by the test cases of both."""
    both = candidate.join(champion, on=_CASE, suffix="_before").with_columns(
        difference=pl.col(metric) - pl.col(f"{metric}_before")
    )
    if both.height < _ENOUGH * candidate.height:
        return [
            f"only {both.height} of its {candidate.height} test cases were asked of the champion too, which is too few "
            "to compare them; look at both reports, and set the alias by hand in MLflow if the new one is the better"
        ]
    reasons = []
    if sum(both["difference"]) < -_ROUNDING:
        after, before = bootstrap(both[metric].to_list()), bootstrap(both[f"{metric}_before"].to_list())
        reasons.append(
            f"{METRIC_TITLES[metric]} on the {both.height} test cases of both: {after}, the champion's {before}"
        )
    for (split,), cases in sorted(both.group_by("split"), key=lambda item: item[0]):
        difference = bootstrap(cases["difference"].to_list())
        if difference.high < 0:
            reasons.append(f"{METRIC_TITLES[metric]} on {split}: {difference} against the champion's")
    return reasons
