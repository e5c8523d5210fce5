"""Grading preference pairs where no truth decides: by the family's rules and, where there is one, an LLM as judge.

A corrupted answer is wrong by construction where an answer is determined. Of a reply it may only be worse, or, as
corruptions are made blindly, not even that. So both answers are graded; a pair that a grader disagrees with is dropped.

    graded(pairs, family, client).figures      # {"judged": 40, "judge_agrees": 33, "dropped_by_judge": 2, ...}
"""

from typing import Any, Final, NamedTuple

import polars as pl

from cs_assets.families.base import Sample, SubjectiveFamily
from cs_assets.reward.llm_judge import Duel, Verdict, first_won, unparsed, verdicts
from resources.llm import ChatClient

# What a verdict is worth to the chosen answer; the rejected one has the rest.
_WORTH: Final = {"one": 1.0, "neither": 0.5, "other": 0.0}


class Graded(NamedTuple):
    """The pairs that are left, with their scores and margin, and how many went which way."""

    pairs: pl.DataFrame
    figures: dict[str, float]


def graded(pairs: pl.DataFrame, family: SubjectiveFamily, client: ChatClient | None) -> Graded:
    """Grade both answers of each pair, and drop the pairs whose rejected answer is the better one.

    A grade is the share of the rubric's points that the rules find nothing against; with a verdict it is the mean of
    that share and what the verdict is worth. The margin is the difference: 0 where the graders see none.

    Args:
        pairs: what `make_pairs` returned.
        family: grades by its rules, and states the rubric.
        client: of the LLM that judges; None: the rules alone.

    Raises:
        LLMError: the endpoint refused or went away; what was paid for is in the cache.
    """
    rows = pairs.to_dicts()
    found: list[Verdict | None] = [None] * len(rows)
    if client:
        found = verdicts([_duel(row, family) for row in rows], client)
    for row, verdict in zip(rows, found, strict=True):
        row |= _scores(row, family, verdict)
    by_judge = [verdict is not None and verdict.better == "other" for verdict in found]
    kept = [row for row, dropped in zip(rows, by_judge, strict=True) if not dropped and row["margin"] >= 0]
    figures = {"dropped_by_rules": float(len(rows) - sum(by_judge) - len(kept))}
    if client:
        figures |= {"dropped_by_judge": float(sum(by_judge)), **_judge_figures(found)}
    return Graded(pl.DataFrame(kept, schema=pairs.schema), figures)


def _duel(row: dict[str, Any], family: SubjectiveFamily) -> Duel:
    message = row["message"]
    return Duel(message=message, rubric=family.rubric(message), one=row["chosen"], other=row["rejected"])


def _scores(row: dict[str, Any], family: SubjectiveFamily, verdict: Verdict | None) -> dict[str, float]:
    """Return both scores and the margin of a pair."""
    chosen, rejected = (
        family.grade(Sample(message=row["message"], answer=row[side], tools=row["tools"]))
        for side in ("chosen", "rejected")
    )
    if verdict:
        worth = _WORTH[verdict.better]
        chosen, rejected = (chosen + worth) / 2, (rejected + 1 - worth) / 2
    return {"chosen_score": chosen, "rejected_score": rejected, "margin": chosen - rejected}


def _judge_figures(found: list[Verdict | None]) -> dict[str, float]:
    """Return how many pairs were judged and how, answers that were no verdict, and how often the first answer won."""
    sides = [verdict.better for verdict in found if verdict]
    first = first_won(found)
    return {
        "judged": float(len(sides)),
        "judge_agrees": float(sides.count("one")),
        "judge_undecided": float(sides.count("neither")),
        "judge_unparsed": float(unparsed(found)),
        **({"judge_first_won": sum(first) / len(first)} if first else {}),
    }
