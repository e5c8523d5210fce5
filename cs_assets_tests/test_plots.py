"""Plots: SVG that keeps its text, the same bytes for the same figures."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets import plots


def svg(uri: str) -> str:
    head, _, content = uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    return base64.b64decode(content).decode()


def test_field_bars_keep_chinese_labels_as_text() -> None:
    drawn = svg(plots.field_bars({"base": {"姓名": 0.2, "电话": 0.9}, "tuned": {"姓名": 1.0, "电话": 1.0}}))
    assert all(f">{label}<" in drawn for label in ("姓名", "电话", "base", "tuned"))


def test_loss_curve_names_both_curves() -> None:
    drawn = svg(plots.loss_curve([(1, 2.0), (2, 1.0)], [(2, 1.2)]))
    assert ">training<" in drawn
    assert ">validation<" in drawn
    assert ">1.5<" not in drawn, "there is no half of a step"


def test_a_loss_curve_has_a_moving_mean_over_its_steps_once_there_are_enough() -> None:
    drawn = svg(plots.loss_curve([(step, 1 / step) for step in range(1, 101)]))
    assert ">training, each step<" in drawn
    assert ">training, mean of 11 steps<" in drawn
    assert "opacity: 0.3" in drawn
    assert ">training<" in svg(plots.loss_curve([(step, 1 / step) for step in range(1, 11)]))


@given(values=st.lists(st.floats(-9, 9), min_size=1, max_size=60), half=st.integers(0, 70))
def test_a_moving_mean_goes_through_the_middle_of_what_is_around(values: list[float], half: int) -> None:
    found = plots.moving_mean(values, half)
    assert len(found) == len(values)
    assert all(min(values) - 1e-9 <= mean <= max(values) + 1e-9 for mean in found)
    assert plots.moving_mean(values[::-1], half) == pytest.approx(found[::-1])  # looks as far back as ahead
    assert plots.moving_mean(values, 0) == values


def test_a_moving_mean_is_of_fewer_values_at_the_ends() -> None:
    assert plots.moving_mean([0.0, 3.0, 6.0, 0.0, 0.0], 1) == [1.5, 3.0, 3.0, 2.0, 0.0]


def test_loss_curve_without_validation_has_none() -> None:
    assert "validation" not in svg(plots.loss_curve([(1, 2.0), (2, 1.0)]))


def test_score_histogram_shows_the_threshold() -> None:
    assert ">threshold 0.42<" in svg(plots.score_histogram([0.9, 0.8], [0.1, 0.3], 0.42))


def test_bars_have_the_title_they_are_given() -> None:
    drawn = svg(plots.field_bars({"own": {"real_style": 0.5}, "joint": {"real_style": 0.6}}, "地址: exact match"))
    assert all(f">{label}<" in drawn for label in ("地址: exact match", "real_style", "own", "joint"))


def test_trial_panels_show_every_number_and_leave_out_what_has_no_loss() -> None:
    numbers: dict[str, list[float]] = {"learning_rate": [1e-4, 2e-3, 1.0], "rank": [8, 16, 64]}
    drawn = svg(plots.trial_panels(numbers, [0.5, 0.25, None]))
    assert all(f">{label}<" in drawn for label in ("learning_rate", "rank", "validation loss"))
    assert drawn == svg(plots.trial_panels({n: v[:2] for n, v in numbers.items()}, [0.5, 0.25]))
    assert ">validation loss<" in svg(plots.trial_panels(numbers, [None] * 3))


def test_the_same_figures_give_the_same_image() -> None:
    assert plots.loss_curve([(1, 2.0), (2, 1.0)]) == plots.loss_curve([(1, 2.0), (2, 1.0)])


def test_an_image_stands_in_markdown_and_html() -> None:
    assert plots.markdown_image("data:x", "loss") == "![loss](data:x)"
    assert plots.html_image("data:x", "loss") == '<p><img alt="loss" src="data:x"></p>'
