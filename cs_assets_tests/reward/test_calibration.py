"""Calibration: how sure the reward model is against how often it is right."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.reward.calibration import calibration, reliability

DIFFERENCES = st.lists(st.floats(-30, 30), min_size=1, max_size=40)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_four_right_of_five_at_eight_tenths_is_calibrated() -> None:
    sure = logit(0.8)
    assert calibration([sure] * 4 + [-sure]) == pytest.approx({"confidence": 0.8, "calibration_error": 0.0})


def test_the_error_is_the_mean_distance_by_bin() -> None:
    # Half of four pairs right at 0.9: 0.4 apart; the only pair at 0.6 right: 0.4 apart; one at 0.7 wrong: 0.7 apart.
    differences = [logit(0.9)] * 2 + [-logit(0.9)] * 2 + [logit(0.6001), -logit(0.7001)]
    found = calibration(differences)
    assert found["calibration_error"] == pytest.approx((4 * 0.4 + 0.4 + 0.7) / 6, abs=1e-3)
    bins = reliability(differences)
    assert bins["n"].to_list() == [1, 1, 4]
    assert bins["accuracy"].to_list() == [1.0, 0.0, 0.5]


def test_without_pairs_there_is_no_figure() -> None:
    assert calibration([]) == {}


@given(DIFFERENCES)
def test_figures_are_shares_and_every_pair_is_in_a_bin(differences: list[float]) -> None:
    found, bins = calibration(differences), reliability(differences)
    assert bins["n"].sum() == len(differences)
    assert bins["confidence"].is_sorted()
    assert 0.5 <= found["confidence"] <= 1 + 1e-12
    assert 0 <= found["calibration_error"] <= 1


@given(DIFFERENCES)
def test_the_order_of_the_pairs_does_not_matter(differences: list[float]) -> None:
    assert calibration(differences[::-1]) == pytest.approx(calibration(differences))
