"""A release is compared with the champion case by case: what is worse, and what cannot be compared, does not pass."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import Metric
from cs_assets.release.champion import CASES_FILE, cases_of, objections
from resources.tracking import RegisteredVersion


def cases(scores: dict[str, list[float]], metric: Metric = "exact") -> pl.DataFrame:
    """Return test cases by split with these scores in one metric, and 0 in the others."""
    rows = [
        {"split": split, "message": f"{split} {n}", "answer": "{}", "prediction": "", "exact": 0.0}
        | {"strict_json": 0.0, "field_accuracy": 0.0}
        | {metric: score}
        for split, values in scores.items()
        for n, score in enumerate(values)
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def champion(tmp_path: Path) -> RegisteredVersion:
    return RegisteredVersion(number="3", source=str(tmp_path), run_url="")


def compared(
    before: dict[str, list[float]], after: dict[str, list[float]], champion: RegisteredVersion, metric: Metric = "exact"
) -> list[str]:
    cases(before, metric).write_parquet(Path(champion.source) / CASES_FILE)
    return objections(cases(after, metric), champion, metric)


def test_one_that_is_as_good_or_better_may_take_the_place(champion: RegisteredVersion) -> None:
    assert compared({"test_iid": [1, 0, 1]}, {"test_iid": [0, 1, 1]}, champion) == []
    assert compared({"test_iid": [1, 0, 1]}, {"test_iid": [1, 1, 1]}, champion) == []


def test_one_that_is_worse_by_a_single_case_may_not(champion: RegisteredVersion) -> None:
    [reason] = compared({"test_iid": [1, 0, 1]}, {"test_iid": [1, 0, 0]}, champion)
    assert reason.startswith("exact match on the 3 test cases of both: 33.3 % [")
    assert "the champion's 66.7 % [" in reason


def test_a_clear_loss_on_one_split_is_not_made_good_by_another(champion: RegisteredVersion) -> None:
    before = {"real_style": [1.0] * 12, "test_iid": [0.0] * 40}
    [reason] = compared(before, {"real_style": [0.0] * 6 + [1.0] * 6, "test_iid": [1.0] * 40}, champion)
    assert reason.startswith("exact match on real_style: -50.0 % [")
    assert compared(before, {"real_style": [0.0] + [1.0] * 11, "test_iid": [1.0] * 40}, champion) == []


def test_it_is_compared_in_the_metric_of_the_family(champion: RegisteredVersion) -> None:
    better = compared({"test_iid": [0.5, 0.5]}, {"test_iid": [0.5, 0.6]}, champion, "field_accuracy")
    worse = compared({"test_iid": [0.5, 0.5]}, {"test_iid": [0.5, 0.4]}, champion, "field_accuracy")
    assert better == []
    assert worse[0].startswith("field accuracy on the 2 test cases of both")


def test_only_cases_of_both_count(champion: RegisteredVersion) -> None:
    assert compared({"test_iid": [1, 1]}, {"test_iid": [1, 1, 0, 0]}, champion) == []
    [reason] = compared({"test_iid": [1]}, {"test_iid": [1, 1, 1]}, champion)
    assert reason.startswith("only 1 of its 3 test cases were asked of the champion too")


def test_the_same_message_with_another_true_answer_is_another_case(champion: RegisteredVersion) -> None:
    old = cases({"test_iid": [1, 1]}).with_columns(answer=pl.lit('{"姓名": ""}'))
    old.write_parquet(Path(champion.source) / CASES_FILE)
    [reason] = objections(cases({"test_iid": [1, 1]}), champion, "exact")
    assert reason.startswith("only 0 of its 2 test cases")


def test_a_champion_whose_folder_is_gone_stays(champion: RegisteredVersion) -> None:
    [reason] = objections(cases({"test_iid": [1]}), champion, "exact")
    assert reason.startswith(f"champion is version 3, and {Path(champion.source) / CASES_FILE} is not there")


def test_cases_are_those_of_the_tuned_model_each_once() -> None:
    rows = [
        {"model": model, "split": "test_iid", "message": message, "answer": "{}", "prediction": model, "exact": 1.0}
        | {"strict_json": 1.0, "field_accuracy": 1.0, "sample_id": str(n)}
        for n, (model, message) in enumerate([("base", "a"), ("tuned", "a"), ("tuned", "b"), ("tuned", "a")])
    ]
    found = cases_of(pl.DataFrame(rows))
    assert found.select("message", "prediction").rows() == [("a", "tuned"), ("b", "tuned")]
    assert "sample_id" not in found.columns


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_of_two_that_differ_in_their_mean_only_one_way_is_open(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[bool, bool]]
) -> None:
    champion = RegisteredVersion(number="1", source=str(tmp_path_factory.mktemp("champion")), run_url="")
    before, after = ({"test_iid": [float(pair[side]) for pair in pairs]} for side in (0, 1))
    worse = sum(after["test_iid"]) < sum(before["test_iid"])
    assert bool(compared(before, after, champion)) == worse
