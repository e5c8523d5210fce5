"""Who is champion: a release is compared, test case by test case, with the one that has the alias now.

A released folder keeps what its model answered on the test cases. What both were asked, with the same message and true
answer, is scored anew by the family as it is today. A split is compared where that is at least half of the champion's
cases in it: once its templates have changed, what a synthetic split still shares is chance, and the easy part of it.
The hand-written split does not change; it must be among them if the champion was asked it. In the headline metric of
the family, the new one may take the alias if

- the mean over the compared cases is not below that of the champion;
- nor is the mean over the hand-written ones alone;
- on no split the 95 % bootstrap interval of the paired difference lies below zero as a whole;
- these are 30 cases or more, or the gain is clear (more cases won than lost, exact sign test, p < 0.05).

The second keeps a gain on many synthetic messages from hiding a loss on few real ones. The fourth lets a tie count only
where a worse one would have shown it: one that spoils every tenth message spoils none of 30 in 4 % of the comparisons
(0.9^30), but none of 10 in 35 %. So an equal one, trained on new data, may take the alias by the hand-written messages
alone, of which a scenario has 40 or more.

    objections(cases_of(predictions), champion, scenario.family)    # [] or reasons
"""

from collections.abc import Iterable, Sequence
from typing import Final

import polars as pl
from upath import UPath

from cs_assets.families.base import METRIC_TITLES, Family
from cs_assets.statistics import SIGNIFICANT, bootstrap, sign_test
from cs_assets.training.splits import REAL_STYLE
from resources.object_store import StoreError, place_of
from resources.tracking import RegisteredVersion

ALIAS: Final = "champion"
CASES_FILE: Final = "test_cases.parquet"
_CASE: Final = ("split", "message", "answer")
_SAME_TEST: Final = 0.5
_ENOUGH: Final = 30
_ROUNDING: Final = 1e-9
_BY_HAND: Final = "look at both reports, and set the alias by hand in MLflow if the new one is the better"


def cases_of(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return the test cases that the tuned model was asked, each once, with what it answered."""
    tuned = predictions.filter(pl.col("model") == "tuned").unique(_CASE, keep="first", maintain_order=True)
    return tuned.select(*_CASE, "prediction")


def objections(candidate: pl.DataFrame, champion: RegisteredVersion, family: Family) -> list[str]:
    """Return why a release may not take the champion's place; empty where it may.

    Args:
        candidate: its test cases, from `cases_of`.
        champion: the version that has the alias; its folder keeps its test cases.
        family: the scenario's, which scores.
    """
    folder = folder_of(champion)
    if folder is None or not (folder / CASES_FILE).is_file():
        return [
            f"champion is version {champion.number}, and {champion.folder}/{CASES_FILE} is not there, so nothing can "
            "be compared; bring the folder back, or set the alias by hand in MLflow"
        ]
    before = pl.read_parquet((folder / CASES_FILE).read_bytes())
    both = _compared(candidate, before)
    if REAL_STYLE in set(before["split"]) - set(both["split"]):
        return [f"less than half of the champion's messages in {REAL_STYLE} were asked of it; {_BY_HAND}"]
    return _worse(both, family)


def folder_of(version: RegisteredVersion) -> UPath | None:
    """Return the folder of a version, None where it lies where this host cannot look."""
    try:
        return place_of(version.folder)
    except StoreError:
        return None


def _compared(candidate: pl.DataFrame, champion: pl.DataFrame) -> pl.DataFrame:
    """Return the cases of both, in the splits that are still the same test, in stable order."""
    both = candidate.join(champion, on=_CASE, suffix="_before").sort(_CASE)
    asked, shared = (dict(cases.group_by("split").len().iter_rows()) for cases in (champion, both))
    same = [split for split, count in shared.items() if count >= _SAME_TEST * asked[split]]
    return both.filter(pl.col("split").is_in(same))


def _worse(both: pl.DataFrame, family: Family) -> list[str]:
    """Return in what a release is worse than the champion, or not shown to be as good, by the test cases of both."""
    title = METRIC_TITLES[family.headline]
    after, before = (_scores(family, both[said], both["answer"]) for said in ("prediction", "prediction_before"))
    reasons = []
    if sum(after) < sum(before) - _ROUNDING:
        means = f"{bootstrap(after)}, the champion's {bootstrap(before)}"
        reasons.append(f"{title} on the {both.height} test cases of both: {means}")
    elif both.height < _ENOUGH and not _clear_gain(before, after):
        reasons.append(f"only {both.height} test cases can be compared, which show no clear gain; {_BY_HAND}")
    differences = both.select("split", difference=pl.Series(after) - pl.Series(before))
    for (split,), cases in sorted(differences.group_by("split", maintain_order=True), key=lambda item: item[0]):
        difference = bootstrap(cases["difference"].to_list())
        if difference.high < 0 or (split == REAL_STYLE and difference.mean < -_ROUNDING):
            reasons.append(f"{title} on {split}: {difference} against the champion's")
    return reasons


def _clear_gain(before: Sequence[float], after: Sequence[float]) -> bool:
    """Tell whether more cases were won than lost than chance explains; the test alone, being two-sided, does not."""
    changes = [a - b for b, a in zip(before, after, strict=True)]
    won, lost = sum(change > _ROUNDING for change in changes), sum(change < -_ROUNDING for change in changes)
    return won > lost and sign_test(won, lost) < SIGNIFICANT


def _scores(family: Family, said: Iterable[str], answers: Iterable[str]) -> list[float]:
    """Return the headline figure of each answer."""
    scored = (family.score(text, answer) for text, answer in zip(said, answers, strict=True))
    return [score.metrics()[family.headline] for score in scored]
