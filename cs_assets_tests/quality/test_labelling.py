"""Labelling: good samples and their corrupted twins, in parts that keep them together."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import Sample
from cs_assets.quality.checks import labels_are_balanced
from cs_assets.quality.filtering import filter_samples
from cs_assets.quality.labelling import GATE, PARTS, SCHEMA, label_samples
from cs_assets.scenario import Scenario
from cs_assets_tests.conftest import evaluated


def holding_out(scenario: Scenario, *families: str) -> Scenario:
    return Scenario(scenario.folder, scenario.spec.model_copy(update={"holdout_corruptions": list(families)}))


def judge_fold(rendered: pl.DataFrame, copies: int = 1) -> pl.DataFrame:
    """The judge's rendered samples, repeated under other ids, each time with one full stop more."""
    rows = rendered.filter((pl.col("fold") == "judge") & pl.col("message").str.contains(r"\d{11}"))
    numbered = [
        rows.with_columns(
            sample_id=pl.format("{}-{}", "sample_id", pl.lit(n)), message=pl.format("{}{}", "message", pl.lit("。" * n))
        )
        for n in range(copies)
    ]
    return pl.concat(numbered)


def twins(labelled: pl.DataFrame) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of a judge's sample and its corrupted twin."""
    rows = labelled.filter(pl.col("fold") == "judge").to_dicts()
    return list(zip(rows[::2], rows[1::2], strict=True))


def test_samples_of_other_folds_are_good_and_have_no_part(rendered: pl.DataFrame, labelled: pl.DataFrame) -> None:
    assert dict(labelled.schema) == SCHEMA
    others = labelled.filter(pl.col("fold") != "judge")
    assert others["label"].all()
    assert set(others["part"]) == {""}
    assert others["sample_id"].equals(rendered.filter(pl.col("fold") != "judge")["sample_id"])


def test_every_judge_sample_is_followed_by_its_wrong_twin(scenario: Scenario, labelled: pl.DataFrame) -> None:
    pairs = twins(labelled)
    assert len(pairs) == scenario.counts.judge
    for good, bad in pairs:
        assert (good["label"], bad["label"]) == (True, False)
        assert bad["sample_id"] == f"{good['sample_id']}-bad"
        assert (bad["message"], bad["part"]) == (good["message"], good["part"])
        assert bad["answer"] != good["answer"]
        assert bad["messages"] == [*good["messages"][:-1], {"role": "assistant", "content": bad["answer"]}]


def test_a_twin_tells_kind_and_family_and_a_good_sample_none(labelled: pl.DataFrame) -> None:
    for good, bad in twins(labelled):
        assert bad["corruption_kind"]
        assert bad["corruption_family"]
        assert (good["corruption_kind"], good["corruption_family"], good["violations"]) == ("", "", [])


def test_violations_are_those_of_the_family(scenario: Scenario, labelled: pl.DataFrame) -> None:
    broken = labelled.filter(pl.col("violations").list.len() > 0)
    assert broken.height
    for row in broken.iter_rows(named=True):
        found = scenario.family.verify(Sample.model_validate(row))
        assert row["violations"] == [f"{v.rule}: {v.detail}" for v in found]


def test_parts_have_their_shares(scenario: Scenario, rendered: pl.DataFrame) -> None:
    labelled = label_samples(scenario, judge_fold(rendered, copies=8))
    shares = dict(labelled.group_by("part").len().iter_rows())
    assert {part: n / labelled.height for part, n in shares.items()} == pytest.approx(PARTS, abs=0.02)


@given(picks=st.lists(st.integers(0, 11), min_size=8, max_size=40))
def test_a_message_stands_in_one_part_only_however_often_it_repeats(
    scenario: Scenario, rendered: pl.DataFrame, picks: list[int]
) -> None:
    ids = pl.Series([f"judge-{number}" for number in range(len(picks))])
    rows = rendered.filter(fold="judge")[picks].with_columns(sample_id=ids)
    labelled = label_samples(scenario, rows)
    assert labelled.group_by("message").agg(pl.col("part").n_unique())["part"].max() == 1
    counts = dict(labelled.filter("label").group_by("part").len().iter_rows())
    frequent = max(picks.count(pick) for pick in picks)
    assert all(count < PARTS[part] * len(picks) + 1 + frequent for part, count in counts.items())
    assert len(counts) == min(len(set(picks)), len(PARTS))
    turned = label_samples(scenario, rows.reverse())
    assert dict(turned.select("sample_id", "part").iter_rows()) == dict(
        labelled.select("sample_id", "part").iter_rows()
    )


def test_what_breaks_a_rule_is_a_bad_case_of_the_training_part(scenario: Scenario, rendered: pl.DataFrame) -> None:
    rows = rendered.filter(fold="judge")
    wrong = rows.tail(2).with_columns(answer=pl.lit("不知道"))
    labelled = label_samples(scenario, pl.concat([rows.head(14), wrong]))
    rejected = labelled.tail(2)
    assert rejected["sample_id"].to_list() == wrong["sample_id"].to_list()
    assert rejected["part"].to_list() == ["train"] * 2
    assert rejected["label"].to_list() == [False] * 2
    assert rejected["corruption_family"].to_list() == [GATE] * 2
    assert rejected.filter(pl.col("violations").list.len() == 0).is_empty()
    assert labelled.height == 2 * 14 + 2
    assert evaluated(labels_are_balanced, labelled).passed
    # A good sample of the same message is trained on as well.
    both = label_samples(
        scenario, pl.concat([rows, wrong.with_columns(sample_id=pl.lit("judge-") + pl.col("sample_id"))])
    )
    assert evaluated(labels_are_balanced, both).passed
    assert set(both.filter(pl.col("message").is_in(wrong["message"].implode()))["part"]) == {"train"}


def test_held_out_corruptions_occur_in_the_test_part_only(scenario: Scenario, rendered: pl.DataFrame) -> None:
    labelled = label_samples(holding_out(scenario, "exchange"), judge_fold(rendered, copies=8))
    by_part = {part: set(group["corruption_family"]) - {""} for (part,), group in labelled.group_by("part")}
    assert "exchange" not in by_part["train"] | by_part["calibration"]
    assert "exchange" in by_part["test"]
    assert by_part["test"] - {"exchange"}


def test_without_held_out_corruptions_every_family_occurs_in_training(
    scenario: Scenario, rendered: pl.DataFrame
) -> None:
    labelled = label_samples(holding_out(scenario), judge_fold(rendered, copies=8))
    found = set(labelled.filter(pl.col("part") == "train")["corruption_family"]) - {""}
    assert found == set(scenario.family.corruption_families)


@pytest.mark.parametrize("families", [("poetry",), ("omission", "boundary", "invention", "exchange", "format")])
def test_unknown_or_all_held_out_corruptions_are_answered_with_those_allowed(
    scenario: Scenario, rendered: pl.DataFrame, families: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="key 'holdout_corruptions': found ") as caught:
        label_samples(holding_out(scenario, *families), rendered)
    assert str(scenario.folder / "scenario.yaml") in str(caught.value)
    assert "allowed are some, not all, of omission, boundary, invention, exchange, format" in str(caught.value)


def test_the_same_seed_gives_identical_frames_and_another_does_not(
    scenario: Scenario, rendered: pl.DataFrame, labelled: pl.DataFrame
) -> None:
    other = Scenario(scenario.folder, scenario.spec.model_copy(update={"seed": 5}))
    assert label_samples(scenario, rendered).equals(labelled)
    assert not label_samples(other, rendered).equals(labelled)


def one_value(rendered: pl.DataFrame) -> pl.DataFrame:
    """The judge's samples as messages of one value with no neighbour: boundary corruptions do not apply to them."""
    rows = judge_fold(rendered, copies=4)
    values = [f"人民路{number}号" for number in range(rows.height)]
    empty = '{"姓名": "", "电话": "", "邮编": "", "省": "", "市": "", "县": "", "详细地址": "'
    answers = [f'{empty}{value}"}}' for value in values]
    return rows.with_columns(message=pl.Series(values), answer=pl.Series(answers))


@pytest.mark.parametrize(("held_out", "applies"), [("exchange", True), ("boundary", False)])
def test_a_message_with_one_value_is_labelled_though_the_held_out_family_may_not_apply(
    scenario: Scenario, rendered: pl.DataFrame, held_out: str, applies: bool
) -> None:
    rows = one_value(rendered)
    labelled = label_samples(holding_out(scenario, held_out), rows)
    assert labelled.height == 2 * rows.height
    assert (held_out in set(labelled["corruption_family"])) is applies


def test_a_sample_that_no_family_of_the_training_applies_to_is_named_with_its_answer(
    scenario: Scenario, rendered: pl.DataFrame
) -> None:
    boundary_only = holding_out(scenario, *(f for f in scenario.family.corruption_families if f != "boundary"))
    with pytest.raises(ValueError, match=r"^judge-\d+-0: no corruption applies to the answer .*人民路\d+号"):
        label_samples(boundary_only, one_value(rendered))


def test_the_blocking_check_wants_twins_in_every_part_and_no_broken_good_sample(labelled: pl.DataFrame) -> None:
    assert evaluated(labels_are_balanced, labelled).passed
    assert not evaluated(labels_are_balanced, labelled.filter(pl.col("label"))).passed
    assert not evaluated(labels_are_balanced, labelled.filter(pl.col("part") != "calibration")).passed
    first = pl.col("sample_id") == labelled.filter(part="test")["sample_id"][0]
    same = labelled.filter(part="train")["message"][0]
    shared = labelled.with_columns(message=pl.when(first).then(pl.lit(same)).otherwise("message"))
    found = evaluated(labels_are_balanced, shared)
    assert (found.passed, "1 messages stand in two parts" in str(found.description)) == (False, True)
    broken = labelled.with_columns(violations=pl.lit(["copied: 姓名"], dtype=pl.List(pl.String)))
    assert not evaluated(labels_are_balanced, broken).passed


def test_two_answers_to_one_message_contradict_each_other_where_one_only_can_be_right(
    scenario: Scenario, rendered: pl.DataFrame
) -> None:
    [first, second, *_] = rendered.filter(fold="train").to_dicts()
    clash = pl.DataFrame([first, second | {"message": first["message"]}], schema=rendered.schema)
    found = label_samples(scenario, clash)
    assert found["contradicts"].to_list() == ["train-00001", "train-00000"]
    assert filter_samples(found, {}, 0.0)["reason"].to_list() == [
        "contradiction: with train-00001",
        "rule: " + found["violations"][1][0] if len(found["violations"][1]) else "contradiction: with train-00000",
    ]
    assert label_samples(scenario, rendered.filter(fold="train"))["contradicts"].unique().to_list() == [""]
