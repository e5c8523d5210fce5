"""Intervals and the paired test."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cs_assets.statistics import Interval, bootstrap, macro_f1, mcnemar, sign_test

VALUES = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30)
PAIRED = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), max_size=40)


@given(values=VALUES)
def test_the_interval_holds_the_mean_and_stays_within_the_values(values: list[float]) -> None:
    found = bootstrap(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert min(values) <= found.low <= found.mean + 1e-9
    assert found.mean - 1e-9 <= found.high <= max(values)


def test_equal_values_have_no_width() -> None:
    assert bootstrap([1.0] * 20) == Interval(mean=1, low=1, high=1, n=20)


def test_more_cases_narrow_the_interval() -> None:
    few, many = bootstrap([0.0, 1.0] * 5), bootstrap([0.0, 1.0] * 200)
    assert many.high - many.low < (few.high - few.low) / 3


def test_the_interval_is_about_that_of_the_normal_approximation() -> None:
    found = bootstrap([1.0] * 30 + [0.0] * 70)
    assert (found.low, found.high) == pytest.approx((0.21, 0.39), abs=0.015)


def test_the_same_values_give_the_same_interval() -> None:
    assert bootstrap([0.0, 1.0, 1.0]) == bootstrap([0.0, 1.0, 1.0])


def test_no_values_are_refused() -> None:
    with pytest.raises(ValueError, match="no cases"):
        bootstrap([])


def test_an_interval_reads_as_percent() -> None:
    assert str(Interval(mean=0.5, low=0.25, high=0.755, n=8)) == "50.0 % [25.0, 75.5]"


# 退货: precision 2/3, recall 2/3, F1 2/3. 换货: 1/2, 1/2, 1/2. 无关: 1, 1/2, 2/3.
TRUE = ("退货", "退货", "退货", "换货", "换货", "无关", "无关")
PREDICTED = ("退货", "退货", "换货", "换货", "", "无关", "退货")


def test_macro_f1_is_what_the_hand_computes() -> None:
    found = macro_f1(PREDICTED, TRUE)
    assert (found.mean, found.n) == (pytest.approx((2 / 3 + 1 / 2 + 2 / 3) / 3), 7)
    assert found.low < found.mean < found.high
    assert macro_f1(PREDICTED, TRUE) == found


def test_a_class_that_is_only_predicted_has_no_part_in_macro_f1() -> None:
    assert macro_f1(("投诉", "退货"), ("退货", "退货")).mean == pytest.approx(2 / 3)


def test_a_perfect_table_has_macro_f1_one_without_width() -> None:
    assert macro_f1(TRUE, TRUE) == Interval(mean=1, low=1, high=1, n=7)


def test_more_cases_narrow_the_interval_of_macro_f1() -> None:
    few, many = macro_f1(PREDICTED * 4, TRUE * 4), macro_f1(PREDICTED * 100, TRUE * 100)
    assert many.mean == pytest.approx(few.mean)
    assert many.high - many.low < (few.high - few.low) / 3


@settings(max_examples=20)
@given(pairs=st.lists(st.tuples(st.sampled_from("ab甲 "), st.sampled_from("ab甲")), min_size=1, max_size=20))
def test_macro_f1_agrees_with_that_of_sklearn(pairs: list[tuple[str, str]]) -> None:
    from sklearn.metrics import f1_score

    predicted, true = zip(*pairs, strict=True)
    found = macro_f1(predicted, true)
    expected = f1_score(true, predicted, labels=sorted(set(true)), average="macro", zero_division=0)
    assert found.mean == pytest.approx(expected)
    assert 0 <= found.low <= found.high <= 1


def test_macro_f1_wants_one_prediction_a_case() -> None:
    for predicted, true in (((), ()), (("a",), ("a", "b"))):
        with pytest.raises(ValueError, match=f"{len(predicted)} predictions of {len(true)} cases"):
            macro_f1(predicted, true)


@pytest.mark.parametrize(
    ("gained", "lost", "p"), [(0, 0, 1.0), (1, 0, 1.0), (5, 5, 1.0), (6, 0, 0.03125), (10, 1, 24 / 2048)]
)
def test_mcnemar_is_exact(gained: int, lost: int, p: float) -> None:
    before = [0.0] * gained + [1.0] * lost + [1.0] * 7 + [0.0] * 3
    after = [1.0] * gained + [0.0] * lost + [1.0] * 7 + [0.0] * 3
    assert mcnemar(before, after) == pytest.approx(p)


@given(pairs=PAIRED)
def test_mcnemar_is_a_probability_and_knows_no_direction(pairs: list[tuple[float, float]]) -> None:
    before, after = [b for b, _ in pairs], [a for _, a in pairs]
    assert 0 < mcnemar(before, after) <= 1
    assert mcnemar(before, after) == mcnemar(after, before)


def test_mcnemar_of_thousands_of_changes_is_a_number() -> None:
    assert mcnemar([0.0] * 3000, [1.0] * 3000) < 1e-300


def test_mcnemar_wants_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mcnemar([0.0, 1.0], [0.0])


@pytest.mark.parametrize(("wins", "losses", "p"), [(0, 0, 1.0), (5, 5, 1.0), (6, 0, 0.03125), (1, 10, 24 / 2048)])
def test_the_sign_test_is_exact(wins: int, losses: int, p: float) -> None:
    assert sign_test(wins, losses) == pytest.approx(p)
