"""A release is compared with the champion case by case: what is worse, and what cannot be compared, does not pass."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import Metric, Score
from cs_assets.release.champion import CASES_FILE, cases_of, objections
from resources.tracking import RegisteredVersion

Scores = dict[str, list[float]]


def graded(headline: Metric = "exact") -> Any:
    """Return a family whose answers are numbers: how right they are."""

    class Graded:
        def score(self, prediction: str, answer: str) -> Score:
            return Score(strict_json=0, exact=float(prediction), fields={"all": float(prediction)})

    family: Any = Graded()
    family.headline = headline
    return family


def cases(scores: Scores, message: str = "message") -> pl.DataFrame:
    """Return test cases by split whose answers are as right as told."""
    rows = [
        {"split": split, "message": f"{message} {n}", "answer": "{}", "prediction": str(score)}
        for split, values in scores.items()
        for n, score in enumerate(values)
    ]
    return pl.DataFrame(rows)


@pytest.fixture
def champion(tmp_path: Path) -> RegisteredVersion:
    return RegisteredVersion(number="3", folder=str(tmp_path), run_url="")


def compared(
    before: Scores | pl.DataFrame,
    after: Scores | pl.DataFrame,
    champion: RegisteredVersion,
    headline: Metric = "exact",
) -> list[str]:
    kept, candidate = (told if isinstance(told, pl.DataFrame) else cases(told) for told in (before, after))
    kept.write_parquet(Path(champion.folder) / CASES_FILE)
    return objections(candidate, champion, graded(headline))


def test_one_that_is_as_good_or_better_may_take_the_place(champion: RegisteredVersion) -> None:
    before = {"test_iid": [1.0, 0.0, 1.0] * 10}
    assert compared(before, {"test_iid": [0.0, 1.0, 1.0] * 10}, champion) == []
    assert compared(before, {"test_iid": [1.0, 1.0, 1.0] * 10}, champion) == []


def test_one_that_is_worse_by_a_single_case_may_not(champion: RegisteredVersion) -> None:
    [reason] = compared({"test_iid": [1.0] * 39 + [0.0]}, {"test_iid": [1.0] * 38 + [0.0] * 2}, champion)
    assert reason.startswith("exact match on the 40 test cases of both: 95.0 % [")
    assert "the champion's 97.5 % [" in reason


def test_a_clear_loss_on_one_split_is_not_made_good_by_another(champion: RegisteredVersion) -> None:
    before = {"test_noise": [1.0] * 12, "test_iid": [0.0] * 40}
    [reason] = compared(before, {"test_noise": [0.0] * 6 + [1.0] * 6, "test_iid": [1.0] * 40}, champion)
    assert reason.startswith("exact match on test_noise: -50.0 % [")
    assert compared(before, {"test_noise": [0.0] + [1.0] * 11, "test_iid": [1.0] * 40}, champion) == []


@pytest.mark.parametrize("lost", [1, 3])
def test_no_loss_on_the_hand_written_messages_is_made_good_by_synthetic_ones(
    champion: RegisteredVersion, lost: int
) -> None:
    before = {"real_style": [1.0] * 30 + [0.0] * 10, "test_iid": [0.0] * 400}
    worse, turned = [0.0] * lost + [1.0] * (30 - lost), [1.0] * lost + [0.0] * (10 - lost)
    [reason] = compared(before, {"real_style": [*worse, *before["real_style"][30:]], "test_iid": [1.0] * 400}, champion)
    assert reason.startswith(f"exact match on real_style: {-100 * lost / 40:.1f} % [")
    assert compared(before, {"real_style": [*worse, *turned], "test_iid": before["test_iid"]}, champion) == []


def test_it_is_compared_in_the_metric_of_the_family(champion: RegisteredVersion) -> None:
    before = {"test_iid": [0.5, 0.5] * 20}
    assert compared(before, {"test_iid": [0.5, 0.6] * 20}, champion, "field_accuracy") == []
    worse = compared(before, {"test_iid": [0.5, 0.4] * 20}, champion, "field_accuracy")
    assert worse[0].startswith("field accuracy on the 40 test cases of both")
    assert compared(before, {"test_iid": [0.5, 0.4] * 20}, champion, "strict_json") == []


def test_the_hand_written_messages_alone_let_an_equal_one_that_learned_other_data_pass_and_no_worse_one(
    champion: RegisteredVersion,
) -> None:
    before = {"real_style": [1.0] * 35 + [0.0] * 5, "test_iid": [1.0] * 400}

    def retrained(right: int) -> pl.DataFrame:
        kept = cases({"real_style": [1.0] * right + [0.0] * (40 - right)})
        return pl.concat([kept, cases({"test_iid": [1.0] * 400}, "another message")])

    assert compared(before, retrained(35), champion) == []
    assert compared(before, retrained(36), champion) == []
    of_both, of_real = compared(before, retrained(34), champion)
    assert of_both.startswith("exact match on the 40 test cases of both: 85.0 % [")
    assert of_real.startswith("exact match on real_style: -2.5 % [")


def test_one_that_was_not_asked_half_of_the_hand_written_messages_may_not(champion: RegisteredVersion) -> None:
    before = {"real_style": [1.0] * 60, "test_iid": [1.0] * 40}
    for asked in (0, 29):
        [reason] = compared(before, {"real_style": [1.0] * asked, "test_iid": [1.0] * 40}, champion)
        assert reason.startswith("less than half of the champion's messages in real_style were asked of it; ")
    assert compared(before, {"real_style": [1.0] * 30, "test_iid": [1.0] * 40}, champion) == []


@pytest.mark.parametrize("champion_asked", [10, 20])
def test_few_cases_of_both_decide_nothing_unless_the_gain_is_clear(
    champion: RegisteredVersion, champion_asked: int
) -> None:
    before = {"test_iid": [0.0] * champion_asked}
    for right in (0, 1, 5):
        [reason] = compared(before, {"test_iid": [1.0] * right + [0.0] * (10 - right)}, champion)
        assert reason.startswith("only 10 test cases can be compared, which show no clear gain; look at both reports")
    assert compared(before, {"test_iid": [1.0] * 6 + [0.0] * 4}, champion) == []


def test_few_cases_that_lose_more_often_than_they_win_show_no_gain(champion: RegisteredVersion) -> None:
    """Two large gains and ten small losses: the mean is above, the sign test (p = 0.039) speaks of a loss."""
    before = {"test_iid": [1 / 6] * 2 + [1.0] * 10}
    [reason] = compared(before, {"test_iid": [1.0] * 2 + [5 / 6] * 10}, champion, "field_accuracy")
    assert reason.startswith("only 12 test cases can be compared, which show no clear gain; ")
    before, after = {"test_iid": [1.0] * 2 + [5 / 6] * 10}, {"test_iid": [5 / 6] * 2 + [1.0] * 10}
    assert compared(before, after, champion, "field_accuracy") == []


def test_few_cases_that_show_a_loss_say_so(champion: RegisteredVersion) -> None:
    [reason] = compared({"test_iid": [1.0, 1.0, 1.0]}, {"test_iid": [1.0, 1.0, 0.0]}, champion)
    assert reason.startswith("exact match on the 3 test cases of both: 66.7 %")


def test_what_a_changed_split_still_shares_by_chance_is_not_compared(champion: RegisteredVersion) -> None:
    before = {"test_iid": [0.0] * 100}
    after = pl.concat([cases({"test_iid": [1.0] * 40}), cases({"test_iid": [1.0] * 60}, "another message")])
    [reason] = compared(before, after, champion)
    assert reason.startswith("only 0 test cases can be compared")


def test_the_same_message_with_another_true_answer_is_another_case(champion: RegisteredVersion) -> None:
    old = cases({"test_iid": [0.0] * 40}).with_columns(answer=pl.lit('{"姓名": ""}'))
    [reason] = compared(old, {"test_iid": [1.0] * 40}, champion)
    assert reason.startswith("only 0 test cases can be compared")


def test_what_the_champion_answered_is_scored_as_the_family_scores_today(champion: RegisteredVersion) -> None:
    old = cases({"test_iid": [1.0] * 40}).with_columns(exact=pl.lit(0.0))
    [reason] = compared(old, {"test_iid": [1.0] * 39 + [0.0]}, champion)
    assert "the champion's 100.0 %" in reason


def test_a_champion_whose_folder_is_gone_stays(champion: RegisteredVersion) -> None:
    [reason] = objections(cases({"test_iid": [1.0]}), champion, graded())
    assert reason.startswith(f"champion is version 3, and {Path(champion.folder) / CASES_FILE} is not there")


@pytest.mark.parametrize("folder", ["runs:/0123/model", "nosuch://bucket/models/release/KEY"])
def test_a_champion_that_lies_where_nobody_can_look_stays(folder: str) -> None:
    champion = RegisteredVersion(number="3", folder=folder, run_url="")
    [reason] = objections(cases({"test_iid": [1.0]}), champion, graded())
    assert reason.startswith(f"champion is version 3, and {folder}/{CASES_FILE} is not there")


def test_cases_are_those_of_the_tuned_model_each_once() -> None:
    rows = [
        {"model": model, "split": "test_iid", "message": message, "answer": "{}", "prediction": model, "exact": 1.0}
        for model, message in [("base", "a"), ("tuned", "a"), ("tuned", "b"), ("tuned", "a")]
    ]
    found = cases_of(pl.DataFrame(rows))
    assert found.columns == ["split", "message", "answer", "prediction"]
    assert found.select("message", "prediction").rows() == [("a", "tuned"), ("b", "tuned")]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=30, max_size=60))
def test_of_two_that_differ_in_their_mean_only_one_way_is_open(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[bool, bool]]
) -> None:
    champion = RegisteredVersion(number="1", folder=str(tmp_path_factory.mktemp("champion")), run_url="")
    before, after = ({"test_iid": [float(pair[side]) for pair in pairs]} for side in (0, 1))
    worse = sum(after["test_iid"]) < sum(before["test_iid"])
    assert bool(compared(before, after, champion)) == worse
