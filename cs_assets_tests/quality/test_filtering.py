"""Filtering: what rules and judge let through, and the reason for the rest."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.quality.checks import filter_keeps_enough
from cs_assets.quality.filtering import JUDGED_FOLDS, SCHEMA, candidates, filter_samples, to_judge
from cs_assets_tests.conftest import evaluated


@pytest.fixture(scope="module")
def with_broken(labelled: pl.DataFrame) -> pl.DataFrame:
    """The labelled samples, the first of training and of the noise test breaking a rule."""
    bad = pl.col("sample_id").is_in(["train-00000", "test_noise-00000"])
    rule = pl.lit(["copied: 姓名: '李四'", "empty: x"], dtype=pl.List(pl.String))
    return labelled.with_columns(violations=pl.when(bad).then(rule).otherwise("violations"))


def judged(table: pl.DataFrame, score: float) -> dict[str, float]:
    return dict.fromkeys(to_judge(table)["sample_id"], score)


def test_the_judge_s_own_samples_are_no_candidates(labelled: pl.DataFrame) -> None:
    assert "judge" not in set(candidates(labelled)["fold"])
    assert candidates(labelled).height == labelled.filter(pl.col("fold") != "judge").height


def test_the_judge_looks_at_training_and_validation_that_keep_the_rules(with_broken: pl.DataFrame) -> None:
    found = to_judge(with_broken)
    assert set(found["fold"]) == set(JUDGED_FOLDS)
    assert "train-00000" not in set(found["sample_id"])


def test_a_broken_rule_rejects_in_every_fold_with_the_first_rule_as_reason(with_broken: pl.DataFrame) -> None:
    table = filter_samples(with_broken, judged(with_broken, 1.0), 0.5)
    assert dict(table.schema) == SCHEMA
    rejected = table.filter(~pl.col("kept"))
    assert rejected["sample_id"].to_list() == ["train-00000", "test_noise-00000"]
    assert set(rejected["reason"]) == {"rule: copied: 姓名: '李四'"}
    assert rejected["score"].to_list() == [None, None]


def test_a_low_score_rejects_training_and_never_a_test(labelled: pl.DataFrame) -> None:
    table = filter_samples(labelled, judged(labelled, 0.2), 0.5)
    assert set(table.filter(~pl.col("kept"))["fold"]) == set(JUDGED_FOLDS)
    assert set(table.filter(~pl.col("kept"))["reason"]) == {"judge: score 0.2 below 0.5"}
    assert table.filter(pl.col("fold").str.starts_with("test_"))["kept"].all()


@given(threshold=st.floats(0, 1), score=st.floats(0, 1))
def test_a_score_is_kept_exactly_at_or_above_the_threshold(
    labelled: pl.DataFrame, threshold: float, score: float
) -> None:
    table = filter_samples(labelled, judged(labelled, score), threshold)
    assert table.filter(pl.col("fold").is_in(JUDGED_FOLDS))["kept"].all() == (score >= threshold)
    assert (table["kept"] == (table["reason"] == "")).all()


def test_order_and_content_of_the_candidates_stay(labelled: pl.DataFrame) -> None:
    table = filter_samples(labelled, judged(labelled, 0.9), 0.5)
    assert table.select(candidates(labelled).columns).equals(candidates(labelled))


def test_the_blocking_check_wants_half_of_the_training_samples(labelled: pl.DataFrame) -> None:
    good, bad = (filter_samples(labelled, judged(labelled, score), 0.5) for score in (0.9, 0.1))
    assert evaluated(filter_keeps_enough, good).passed
    assert not evaluated(filter_keeps_enough, bad).passed
    assert not evaluated(filter_keeps_enough, good.head(0)).passed


def test_a_near_duplicate_is_rejected_before_the_judge_sees_it(labelled: pl.DataFrame) -> None:
    first = pl.col("sample_id") == "train-00002"
    marked = labelled.with_columns(duplicate_of=pl.when(first).then(pl.lit("train-00001")).otherwise("duplicate_of"))
    assert "train-00002" not in set(to_judge(marked)["sample_id"])
    rejected = filter_samples(marked, {}, 0.5).filter(~pl.col("kept"))
    assert dict(rejected.select("sample_id", "reason").rows())["train-00002"] == "near-duplicate: of train-00001"
