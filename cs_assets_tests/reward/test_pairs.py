"""Preference pairs: the true answer against a corrupted one, train and test apart."""

import polars as pl
import pytest

from cs_assets.quality.filtering import filter_samples
from cs_assets.reward.checks import pairs_are_sound
from cs_assets.reward.pairs import SCHEMA, PairSettings, make_pairs, pairwise_accuracy, preferences
from cs_assets.scenario import Scenario
from cs_assets.training.splits import make_splits
from cs_assets_tests.conftest import evaluated

SETTINGS = PairSettings(train_pairs=6, test_pairs=4)


@pytest.fixture(scope="module")
def splits(labelled: pl.DataFrame) -> pl.DataFrame:
    """Splits whose training messages name a phone, so that every corruption applies."""
    return make_splits(filter_samples(labelled, {}, 0.0)).filter(pl.col("message").str.contains(r"\d{11}"))


@pytest.fixture(scope="module")
def pairs(scenario: Scenario, splits: pl.DataFrame) -> pl.DataFrame:
    return make_pairs(scenario, splits, SETTINGS)


def holding_out(scenario: Scenario, *families: str) -> Scenario:
    return Scenario(scenario.folder, scenario.spec.model_copy(update={"holdout_corruptions": list(families)}))


def samples_of(splits: pl.DataFrame, split: str) -> set[str]:
    return set(splits.filter(pl.col("split") == split)["sample_id"])


def test_training_pairs_are_made_of_training_samples_those_of_the_test_of_other_templates(
    splits: pl.DataFrame, pairs: pl.DataFrame
) -> None:
    assert dict(pairs.schema) == SCHEMA
    train = pairs.filter(pl.col("part") == "train")
    tested = pairs.filter(pl.col("part") != "train")
    assert set(train["sample_id"]) <= samples_of(splits, "train")
    assert set(tested["sample_id"]) <= samples_of(splits, "test_template_ood")
    assert not set(train["template_family"]) & set(tested["template_family"])


@pytest.mark.parametrize(("train", "test"), [(2, 2), (6, 3), (1000, 1000)])
def test_there_are_as_many_pairs_as_wanted_or_as_there_are_samples(
    scenario: Scenario, splits: pl.DataFrame, train: int, test: int
) -> None:
    made = make_pairs(scenario, splits, PairSettings(train_pairs=train, test_pairs=test))
    assert made.filter(pl.col("part") == "train").height == min(train, len(samples_of(splits, "train")))
    assert made.filter(pl.col("part") != "train").height == min(test, len(samples_of(splits, "test_template_ood")))


def test_the_chosen_answer_is_the_true_one_and_the_rejected_is_wrong(
    scenario: Scenario, splits: pl.DataFrame, pairs: pl.DataFrame
) -> None:
    truth = dict(splits.select("sample_id", "answer").iter_rows())
    for row in pairs.iter_rows(named=True):
        assert row["chosen"] == truth[row["sample_id"]]
        assert scenario.family.score(row["rejected"], row["chosen"]).exact == 0


def test_the_margin_is_the_share_of_broken_fields(scenario: Scenario, pairs: pl.DataFrame) -> None:
    for row in pairs.iter_rows(named=True):
        score = scenario.family.score(row["rejected"], row["chosen"])
        assert row["margin"] == pytest.approx(1 - score.field_accuracy)
        assert 0 <= row["margin"] <= 1


def test_the_trainers_are_given_the_margin(scenario: Scenario, pairs: pl.DataFrame) -> None:
    assert [pair.margin for pair in preferences(scenario, pairs)] == pairs["margin"].to_list()


def test_held_out_corruptions_occur_in_their_test_only(scenario: Scenario, pairs: pl.DataFrame) -> None:
    held_out = set(scenario.spec.holdout_corruptions)
    unseen = pl.col("part") == "test_unseen"
    assert set(pairs.filter(unseen)["corruption_family"]) == held_out
    assert not set(pairs.filter(~unseen)["corruption_family"]) & held_out


def test_train_and_test_share_no_message(pairs: pl.DataFrame) -> None:
    assert set(pairs["part"]) == {"train", "test_seen", "test_unseen"}
    assert pairs["message"].is_unique().all()


def test_without_samples_of_other_templates_there_are_training_pairs_alone_and_the_check_says_what_is_missing(
    scenario: Scenario, splits: pl.DataFrame
) -> None:
    made = make_pairs(scenario, splits.filter(pl.col("split") != "test_template_ood"), SETTINGS)
    assert made["part"].to_list() == ["train"] * 6
    found = evaluated(pairs_are_sound, made)
    assert not found.passed
    assert "raise `test_template_ood` in the counts" in (found.description or "")


def test_without_held_out_corruptions_there_is_no_unseen_part(scenario: Scenario, splits: pl.DataFrame) -> None:
    assert set(make_pairs(holding_out(scenario), splits, SETTINGS)["part"]) == {"train", "test_seen"}


def test_the_same_seed_gives_identical_frames_and_another_does_not(
    scenario: Scenario, splits: pl.DataFrame, pairs: pl.DataFrame
) -> None:
    other = Scenario(scenario.folder, scenario.spec.model_copy(update={"seed": 5}))
    assert make_pairs(scenario, splits.sample(fraction=1, shuffle=True, seed=1), SETTINGS).equals(pairs)
    assert not make_pairs(other, splits, SETTINGS).equals(pairs)


def test_too_few_training_samples_are_refused(scenario: Scenario, splits: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="1 training samples: too few"):
        make_pairs(scenario, splits.filter(pl.col("sample_id").is_in([*samples_of(splits, "train")][:1])), SETTINGS)


def test_accuracy_counts_pairs_in_the_right_order_by_part() -> None:
    pairs = pl.DataFrame({"part": ["test_seen", "test_seen", "test_unseen", "test_unseen", "test_unseen"]})
    found = pairwise_accuracy(pairs, [1.0, 0.0, 0.4, -0.4, -0.1])
    expected = {"accuracy": 0.4, "accuracy_seen": 0.5, "accuracy_unseen": 1 / 3, "n": 5, "n_seen": 2, "n_unseen": 3}
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    for name in ("accuracy", "accuracy_seen", "accuracy_unseen"):
        assert found[f"{name}_low"] < found[name] < found[f"{name}_high"]


def test_accuracy_of_a_part_that_is_missing_is_left_out() -> None:
    found = pairwise_accuracy(pl.DataFrame({"part": ["test_seen"]}), [1.0])
    assert "accuracy_unseen" not in found
    assert found["n_unseen"] == 0


def test_a_tie_is_never_right() -> None:
    assert pairwise_accuracy(pl.DataFrame({"part": ["test_seen"] * 2}), [0.0, -0.0])["accuracy"] == 0


def test_the_blocking_check_finds_equal_answers_and_shared_messages(pairs: pl.DataFrame) -> None:
    assert evaluated(pairs_are_sound, pairs).passed
    for broken, complaint in (
        (pairs.with_columns(rejected="chosen"), "same answer twice"),
        (pairs.with_columns(message=pl.lit("张三")), "repeat a message of the training"),
        (pairs.with_columns(template_family=pl.lit("f")), "1 template families of the test are trained on"),
        (pairs.filter(pl.col("part") != "train"), "no training pairs"),
        (pairs.filter(pl.col("part") == "train"), "no test pairs"),
    ):
        result = evaluated(pairs_are_sound, broken)
        assert not result.passed
        assert complaint in (result.description or "")


def one_value(splits: pl.DataFrame) -> pl.DataFrame:
    """The samples as messages of one value with no neighbour: boundary corruptions do not apply to them."""
    answer = '{"姓名": "", "电话": "", "邮编": "", "省": "", "市": "", "县": "", "详细地址": "人民路5号"}'
    return splits.with_columns(message=pl.lit("人民路5号"), answer=pl.lit(answer))


@pytest.mark.parametrize(
    ("held_out", "parts"),
    [("exchange", {"train", "test_seen", "test_unseen"}), ("boundary", {"train", "test_seen"})],
)
def test_messages_with_one_value_make_pairs_though_the_held_out_family_may_not_apply(
    scenario: Scenario, splits: pl.DataFrame, pairs: pl.DataFrame, held_out: str, parts: set[str]
) -> None:
    made = make_pairs(holding_out(scenario, held_out), one_value(splits), SETTINGS)
    assert made.height == pairs.height
    assert set(made["part"]) == parts


def test_a_sample_that_no_family_of_the_training_applies_to_makes_no_pair(
    scenario: Scenario, splits: pl.DataFrame
) -> None:
    boundary_only = holding_out(scenario, *(f for f in scenario.family.corruption_families if f != "boundary"))
    assert set(make_pairs(boundary_only, one_value(splits), SETTINGS)["part"]) == {"test_unseen"}
