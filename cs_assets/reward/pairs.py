"""Preference pairs: the same prompt, the true answer (score 1) and a corrupted one (score 0).

Training pairs are made of training samples, those of the test of `test_template_ood`: messages that nobody was trained
on, of sentences that do not occur in training. The tuned adapter, at which the reward model may start, has learnt the
answers of all training samples.

Where no truth decides which answer is the better one, `grading.py` grades both and says otherwise.
"""

import random
from collections.abc import Sequence
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

from cs_assets.families.base import Sample
from cs_assets.learning.reward import Preference
from cs_assets.profiles import by_profile
from cs_assets.scenario import Scenario
from cs_assets.statistics import bootstrap

TEST_SPLIT: Final = "test_template_ood"
SCHEMA: Final[dict[str, Any]] = {
    "sample_id": pl.String,
    "part": pl.String,  # train, test_seen, test_unseen
    "template_family": pl.String,  # of the template that the message begins with
    "message": pl.String,
    "tools": pl.String,
    "chosen": pl.String,
    "rejected": pl.String,
    "chosen_score": pl.Float64,
    "rejected_score": pl.Float64,
    "margin": pl.Float64,
    "corruption_kind": pl.String,
    "corruption_family": pl.String,
}


class PairSettings(BaseModel):
    """How many pairs."""

    train_pairs: int = by_profile(demo=24, full=2000, description="Pairs to train the reward model on.", ge=2)
    test_pairs: int = by_profile(demo=12, full=400, description="Pairs to test it on, half of unseen families.", ge=2)


def make_pairs(scenario: Scenario, splits: pl.DataFrame, settings: PairSettings) -> pl.DataFrame:
    """Make training pairs of `train`, and test pairs of `test_template_ood`, as many as are wanted and there.

    The margin is the share of fields that the corruption breaks: the worse the rejected answer, the larger.

    Raises:
        ValueError: there are fewer than two training samples.
    """
    held_out = list(scenario.spec.holdout_corruptions)
    seen = [family for family in scenario.family.corruption_families if family not in held_out]
    rng = random.Random(f"{scenario.spec.seed}:preference pairs")
    trained = _drawn(splits, "train", settings.train_pairs, rng)
    if len(trained) < 2:
        raise ValueError(f"{len(trained)} training samples: too few to make preference pairs of.")
    tested = _drawn(splits, TEST_SPLIT, settings.test_pairs, rng)
    rows: list[dict[str, Any]] = []
    for number, sample in enumerate([*tested, *trained]):
        part = "train" if number >= len(tested) else "test_unseen" if held_out and number % 2 else "test_seen"
        corruption, case = None, Sample.model_validate(sample)
        if part == "test_unseen":
            corruption = scenario.family.corrupt(case, rng, held_out)
        if corruption is None:
            part = "test_seen" if part == "test_unseen" else part
            corruption = scenario.family.corrupt(case, rng, seen)
        if corruption is None:
            continue
        rows.append(
            {
                "sample_id": sample["sample_id"],
                "part": part,
                "template_family": sample["template_family"],
                "message": sample["message"],
                "tools": sample["tools"],
                "chosen": sample["answer"],
                "rejected": corruption.answer,
                "chosen_score": 1.0,
                "rejected_score": 0.0,
                "margin": 1.0 - scenario.family.score(corruption.answer, sample["answer"]).field_accuracy,
                "corruption_kind": corruption.kind,
                "corruption_family": corruption.family,
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def _drawn(splits: pl.DataFrame, split: str, count: int, rng: random.Random) -> list[dict[str, Any]]:
    """Return `count` samples of a split at random, all of them where there are fewer."""
    samples = splits.filter(pl.col("split") == split).sort("sample_id").to_dicts()
    return rng.sample(samples, min(count, len(samples)))


def pairwise_accuracy(pairs: pl.DataFrame, differences: Sequence[float]) -> dict[str, float]:
    """Return the share of pairs whose chosen answer has the higher reward: over all, on seen and on unseen families.

    Beside each share stand its 95 % bootstrap interval, _low and _high, and its number of pairs, n. Where there are no
    pairs, the share and its interval are left out.

    Args:
        pairs: the table of test pairs.
        differences: reward of the chosen less that of the rejected answer, in their order.
    """
    right = pairs.select("part").with_columns(
        right=pl.Series([float(difference > 0) for difference in differences], dtype=pl.Float64)
    )
    figures: dict[str, float] = {}
    for suffix, part in (("", ["test_seen", "test_unseen"]), ("_seen", ["test_seen"]), ("_unseen", ["test_unseen"])):
        of_part = right.filter(pl.col("part").is_in(part))["right"].to_list()
        figures[f"n{suffix}"] = float(len(of_part))
        if of_part:
            share = bootstrap(of_part)
            name = f"accuracy{suffix}"
            figures |= {name: share.mean, f"{name}_low": share.low, f"{name}_high": share.high}
    return figures


def preferences(scenario: Scenario, pairs: pl.DataFrame) -> list[Preference]:
    """Return the table's rows as the trainers take them."""
    return [
        Preference(
            prompt=scenario.prompt(row["message"], row["tools"]),
            chosen=row["chosen"],
            rejected=row["rejected"],
            margin=row["margin"],
        )
        for row in pairs.iter_rows(named=True)
    ]
