"""Retention: both models are asked the same, and a drop is one only where chance does not explain it."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.evaluation import retention
from cs_assets.evaluation.probe import load_probe
from cs_assets.evaluation.retention import Retention, RetentionSettings, ask, forgotten, summarise
from cs_assets.learning.inference import generate
from cs_assets.learning.models import load_causal_lm, load_tokenizer

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def table(pairs: list[tuple[bool, bool]]) -> pl.DataFrame:
    """Return answers that are right or wrong as the pairs (base, tuned) say, of two kinds in turn."""
    rows = [
        (model, f"{number:03d}", f"kind{number % 2}", f"question {number}", f"{model} {number}", float(right))
        for number, pair in enumerate(pairs)
        for model, right in zip(retention.MODELS, pair, strict=True)
    ]
    return pl.DataFrame(rows, schema=retention.SCHEMA, orient="row")


def test_a_model_is_asked_the_question_alone(tiny_model: Path) -> None:
    items = load_probe(5)
    settings = RetentionSettings(max_new_tokens=4, generation_batch_size=2)
    found = ask("base", str(tiny_model), None, items, settings)
    said = generate(
        load_causal_lm(str(tiny_model)),
        load_tokenizer(str(tiny_model)),
        [[{"role": "user", "content": item.question}] for item in items],
        max_new_tokens=4,
        batch_size=5,
    )
    assert found["answer"].to_list() == said
    assert dict(found.schema) == retention.SCHEMA
    assert found["item"].to_list() == [item.id for item in items]
    assert found["right"].to_list() == [float(item.is_right(text)) for item, text in zip(items, said, strict=True)]


def test_shares_are_of_the_same_questions_and_by_kind() -> None:
    found = summarise(table([(True, True), (True, False), (True, True), (False, True)]))
    assert (found.base.mean, found.tuned.mean, found.difference.mean, found.base.n) == (0.75, 0.75, 0.0, 4)
    assert {kind: {m: figure.mean for m, figure in by.items()} for kind, by in found.kinds.items()} == {
        "kind0": {"base": 1.0, "tuned": 1.0},
        "kind1": {"base": 0.5, "tuned": 0.5},
    }
    assert not found.dropped


@pytest.mark.parametrize(("lost", "gained", "dropped"), [(2, 0, False), (8, 0, True), (8, 7, False), (0, 8, False)])
def test_a_drop_is_beyond_its_interval(lost: int, gained: int, dropped: bool) -> None:
    kept = [(True, True)] * (20 - lost - gained)
    assert summarise(table([*kept, *[(True, False)] * lost, *[(False, True)] * gained])).dropped == dropped


@given(pairs=PAIRS)
def test_figures_know_no_order_and_a_model_never_drops_below_itself(pairs: list[tuple[bool, bool]]) -> None:
    answers = table(pairs)
    found = summarise(answers)
    assert summarise(answers.reverse()) == found
    assert found.difference.mean == pytest.approx(found.tuned.mean - found.base.mean)
    assert sum(by["base"].n for by in found.kinds.values()) == len(pairs)
    assert not summarise(table([(base, base) for base, _ in pairs])).dropped
    assert forgotten(answers).height == sum(base and not tuned for base, tuned in pairs)
    assert Retention.model_validate_json(found.model_dump_json()) == found


def test_what_was_forgotten_shows_what_is_said_instead() -> None:
    answers = table([(True, True), (True, False), (False, False)])
    assert forgotten(answers).rows() == [("kind1", "question 1", "tuned 1")]


def test_answers_to_different_questions_are_not_compared() -> None:
    answers = table([(True, True), (True, False)])
    with pytest.raises(ValueError, match="different questions"):
        summarise(answers.filter((pl.col("model") == "base") | (pl.col("item") == "000")))
