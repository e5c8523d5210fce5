"""Intervals and the paired test."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.evaluation.statistics import Interval, bootstrap, mcnemar, sign_test

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
