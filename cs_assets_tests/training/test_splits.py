"""Splits: disjoint, and the proof finds a planted leak of each kind."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.quality.filtering import filter_samples
from cs_assets.scenario import RealStyleSample, Scenario
from cs_assets.training.checks import splits_do_not_leak
from cs_assets.training.splits import (
    REAL_STYLE,
    SCHEMA,
    SPLITS,
    leakage_proof,
    leaks,
    make_splits,
    nearest,
    real_style_split,
    without_tested,
)
from cs_assets_tests.conftest import evaluated

MESSAGES = st.lists(
    st.text(st.sampled_from("张三李四138 0，。省市县"), min_size=3, max_size=12), min_size=1, max_size=6
)


def planted(splits: pl.DataFrame, split: str, *columns: str) -> pl.DataFrame:
    """Put values of the first training row into the first row of a split."""
    values = splits.filter(pl.col("split") == "train").row(0, named=True)
    first = pl.col("sample_id") == splits.filter(pl.col("split") == split)["sample_id"][0]
    return splits.with_columns(
        pl.when(first).then(pl.lit(values[column], dtype=splits.schema[column])).otherwise(column).alias(column)
        for column in columns
    )


def trigrams(text: str) -> set[str]:
    return {text[i : i + 3] for i in range(len(text) - 2)}


def test_splits_are_the_kept_samples_without_the_judge_s(labelled: pl.DataFrame, splits: pl.DataFrame) -> None:
    assert dict(splits.schema) == SCHEMA
    assert set(splits["split"]) == set(SPLITS)
    rendered = splits.filter(pl.col("split") != REAL_STYLE)
    assert rendered.height == labelled.filter(pl.col("fold") != "judge").height


def test_a_rejected_sample_is_in_no_split(labelled: pl.DataFrame) -> None:
    table = filter_samples(labelled, {"train-00003": 0.1}, 0.5)
    assert "train-00003" not in set(make_splits(table)["sample_id"])


@pytest.mark.parametrize(("count", "numbers"), [(None, [0, 1, 2, 3, 4]), (2, [0, 2]), (9, [0, 1, 2, 3, 4]), (0, [])])
def test_messages_as_people_write_them_are_a_split_taken_at_even_distances(
    scenario: Scenario, count: int | None, numbers: list[int]
) -> None:
    real = [RealStyleSample(message=f"地址{n}", answer='{"姓名": ""}', format="chat" if n else "") for n in range(5)]
    found = real_style_split(scenario, real, count)
    assert dict(found.schema) == SCHEMA
    assert found["sample_id"].to_list() == [f"real_style-{number:05d}" for number in numbers]
    assert found["message"].to_list() == [f"地址{number}" for number in numbers]
    assert found["tags"].to_list() == [["chat"] if number else [] for number in numbers]
    assert found["messages"].to_list() == [scenario.conversation(real[number]) for number in numbers]


def test_a_message_that_is_tested_on_is_not_trained_on(splits: pl.DataFrame) -> None:
    rendered = splits.filter(pl.col("split") != REAL_STYLE)
    named = {split: rendered.filter(pl.col("split") == split)["message"][0] for split in rendered["split"].unique()}
    real = [RealStyleSample(message=message, answer="{}") for message in named.values()]
    left = without_tested(rendered, real)
    gone = rendered.join(left, on="sample_id", how="anti")
    assert set(gone["split"]) == {"train", "validation"}
    assert set(gone["message"]) == {named["train"], named["validation"]}
    assert without_tested(rendered, []).equals(rendered)


def test_splits_share_no_sample_and_no_message(splits: pl.DataFrame) -> None:
    assert splits["sample_id"].is_unique().all()
    assert splits["message"].is_unique().all()


def test_clean_splits_have_a_proof_without_leaks(splits: pl.DataFrame) -> None:
    proof = leakage_proof(splits)
    assert proof["split"].to_list() == [name for name in SPLITS if name != "train"]
    assert leaks(proof) == []
    assert proof.filter(pl.col("split") == "test_template_ood")["shared_families"].item() == 0
    assert proof.filter(pl.col("split") == "test_entity_ood")["shared_blocks"].item() == 0
    assert proof["identical"].sum() == 0
    assert evaluated(splits_do_not_leak, splits).passed


@pytest.mark.parametrize(
    ("split", "columns", "found"),
    [
        ("validation", ("message",), "validation: 1 messages stand in train word for word"),
        ("test_iid", ("message",), "test_iid: 1 messages stand in train word for word"),
        ("test_template_ood", ("unit_families",), "test_template_ood: 1 template families are trained on"),
        ("test_entity_ood", ("entity_block",), "test_entity_ood: 1 entity blocks are trained on"),
    ],
)
def test_a_planted_leak_is_found(splits: pl.DataFrame, split: str, columns: tuple[str, ...], found: str) -> None:
    leaking = planted(splits, split, *columns)
    assert leaks(leakage_proof(leaking)) == [found]
    assert not evaluated(splits_do_not_leak, leaking).passed


@pytest.mark.parametrize("column", ["template_family", "entity_block"])
def test_what_test_iid_shares_with_train_is_no_leak(splits: pl.DataFrame, column: str) -> None:
    assert leaks(leakage_proof(planted(splits, "test_iid", column))) == []


def test_an_identical_message_has_similarity_one(splits: pl.DataFrame) -> None:
    proof = leakage_proof(planted(splits, "test_iid", "message"))
    assert proof.filter(pl.col("split") == "test_iid")["max_similarity"].item() == pytest.approx(1)


def test_the_check_fails_where_there_is_nothing_to_compare(splits: pl.DataFrame) -> None:
    assert not evaluated(splits_do_not_leak, splits.filter(pl.col("split") == "train")).passed


@given(messages=MESSAGES, others=MESSAGES)
def test_similarity_is_the_best_jaccard_of_trigrams(messages: list[str], others: list[str]) -> None:
    messages, others = (["".join(text.split()) + "abc" for text in texts] for texts in (messages, others))
    wanted = [max(len(trigrams(m) & trigrams(o)) / len(trigrams(m) | trigrams(o)) for o in others) for m in messages]
    assert nearest(messages, others)[1] == pytest.approx(wanted)


def test_texts_shorter_than_what_is_compared_are_like_no_other() -> None:
    assert nearest(["别的", "好"], ["转人"]) == ([0, 0], [0.0, 0.0])


def test_similarity_needs_no_more_memory_than_a_slice() -> None:
    many = [f"收件人张三电话{number:011d}" for number in range(600)]
    places, similarity = nearest(many, many[:3])
    assert (places[:3], similarity[:3]) == ([0, 1, 2], pytest.approx([1, 1, 1]))
    assert len(similarity) == 600


@pytest.mark.parametrize(("messages", "others"), [([], ["张三李四"]), (["张三李四"], [])])
def test_similarity_to_nothing_is_empty(messages: list[str], others: list[str]) -> None:
    assert nearest(messages, others) == ([], [])
