"""Reliability: bins of equal width, and the mean distance from the diagonal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.quality.reliability import calibration_error, reliability

SAID = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)


def test_bins_tell_how_often_what_was_said_came_true() -> None:
    bins = reliability([0.92, 0.98, 0.12, 0.18], [True, False, False, False])
    assert bins.rows() == [(pytest.approx(0.15), 0.0, 2), (pytest.approx(0.95), 0.5, 2)]
    assert calibration_error(bins) == pytest.approx((0.15 + 0.45) / 2)


def test_the_width_of_a_bin_depends_on_the_lowest_confidence() -> None:
    assert reliability([0.51, 0.56], [True, True], lowest=0.5)["n"].to_list() == [1, 1]
    assert reliability([0.51, 0.56], [True, True])["n"].to_list() == [2]


@given(said=SAID)
def test_every_case_is_in_one_bin_and_the_error_is_a_probability(said: list[tuple[float, bool]]) -> None:
    bins = reliability([confidence for confidence, _ in said], [outcome for _, outcome in said])
    assert bins["n"].sum() == len(said)
    assert bins["confidence"].is_sorted()
    assert 0 <= calibration_error(bins) <= 1
