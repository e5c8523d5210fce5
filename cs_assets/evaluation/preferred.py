"""Which reply an LLM prefers, the tuned model's or the base's, where no truth decides.

Here belongs which replies are compared and what is counted; the judge is `reward/llm_judge.py`.

    [on_ood] = preferred(predictions, family, client, messages=100)
    on_ood.wins, on_ood.ties, on_ood.losses       # 61, 30, 9: the tuned model's
"""

import itertools
import random
from collections.abc import Sequence

import polars as pl
from pydantic import BaseModel

from cs_assets.families.base import SubjectiveFamily
from cs_assets.reward.llm_judge import Duel, Verdict, first_won, unparsed, verdicts
from cs_assets.statistics import Interval, bootstrap, sign_test
from resources.llm import ChatClient


class Preferred(BaseModel):
    """The comparison on one split.

    wins, ties, losses: of the tuned model against the base; a win is one in both orders. p: the exact sign test on wins
    and losses. first_won: how often the reply that was shown first won, of the answers that preferred one, half without
    a bias; None if none did. unparsed: answers that were no verdict, asked twice; each makes a tie. left_out: messages
    that the budget did not reach.
    """

    split: str
    wins: int
    ties: int
    losses: int
    p: float
    first_won: Interval | None
    unparsed: int
    left_out: int

    @property
    def n(self) -> int:
        """How many messages were judged."""
        return self.wins + self.ties + self.losses


def preferred(
    predictions: pl.DataFrame, family: SubjectiveFamily, client: ChatClient, messages: int
) -> list[Preferred]:
    """Compare base and tuned model on up to `messages` messages of each split that both were asked; two calls each.

    Raises:
        LLMError: the endpoint refused or went away; what was paid for is in the cache.
    """
    duels = {
        str(split): _duels(group, family, random.Random(f"judged replies:{split}"), messages)
        for (split,), group in sorted(predictions.group_by("split"), key=lambda item: item[0])
    }
    said = iter(verdicts([duel for asked in duels.values() for duel in asked], client))
    return [_counted(split, list(itertools.islice(said, len(asked)))) for split, asked in duels.items() if asked]


def _counted(split: str, found: Sequence[Verdict | None]) -> Preferred:
    sides = [verdict.better for verdict in found if verdict]
    wins, losses, first = sides.count("one"), sides.count("other"), first_won(found)
    return Preferred(
        split=split,
        wins=wins,
        ties=sides.count("neither"),
        losses=losses,
        p=sign_test(wins, losses),
        first_won=bootstrap(first) if first else None,
        unparsed=unparsed(found),
        left_out=len(found) - len(sides),
    )


def _duels(group: pl.DataFrame, family: SubjectiveFamily, rng: random.Random, messages: int) -> list[Duel]:
    """Return tuned against base on some of the messages of a split, always the same ones."""
    wide = group.pivot(on="model", index=["sample_id", "message"], values="prediction").sort("sample_id")
    if not {"base", "tuned"} <= set(wide.columns):
        return []
    rows = wide.drop_nulls(["base", "tuned"]).select("message", "tuned", "base").rows()
    drawn = sorted(rng.sample(range(len(rows)), min(messages, len(rows))))
    return [
        Duel(message=message, rubric=family.rubric(message), one=tuned, other=base)
        for message, tuned, base in (rows[number] for number in drawn)
    ]
