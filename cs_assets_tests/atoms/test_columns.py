"""Columns: what is composed by kind is what a loop would give, and draws keep to weights and pools."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.columns import WeightedPools, compose, draw, draw_kinds, joined, optional_part, part


@given(kinds=st.lists(st.integers(0, 3), max_size=60))
def test_each_row_is_spelled_by_its_kind(kinds: list[int]) -> None:
    columns = pl.DataFrame({"word": [f"w{row}" for row in range(len(kinds))]}, schema={"word": pl.String})
    spellings = [pl.col("word"), pl.format("<{}>", "word"), pl.lit("none"), pl.col("word") + "!"]
    expected = [(f"w{row}", f"<w{row}>", "none", f"w{row}!")[kind] for row, kind in enumerate(kinds)]
    assert compose(columns, np.array(kinds, dtype=np.uint8), spellings).to_list() == expected


@given(draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=30))
def test_a_part_is_the_option_that_was_drawn(draws: list[float]) -> None:
    columns = pl.DataFrame({"u": draws, "given": [u < 0.5 for u in draws]})
    options = ["a", "b", "c"]
    drawn = [options[int(u * 3)] for u in draws]
    assert columns.select(part(options, "u")).to_series().to_list() == drawn
    sometimes = columns.select(optional_part(options, "u", pl.col("given"))).to_series()
    assert sometimes.to_list() == [word if u < 0.5 else "" for word, u in zip(drawn, draws, strict=True)]


def test_parts_are_joined_in_order() -> None:
    columns = pl.DataFrame({"a": ["1", "", "{}"], "b": ["x", "y", ""]})
    assert columns.select(joined("a", pl.lit("-"), "b")).to_series().to_list() == ["1-x", "-y", "{}-"]


def test_a_draw_takes_every_option() -> None:
    assert set(draw(np.random.default_rng(1), ("a", "b", "c"), 200)) == {"a", "b", "c"}


def test_kinds_have_their_shares() -> None:
    counts = np.bincount(draw_kinds(np.random.default_rng(1), {"often": 0.75, "never": 0.0, "rarely": 0.25}, 10_000))
    assert counts[0] / 10_000 == pytest.approx(0.75, abs=0.02)
    assert counts[1] == 0


@given(pools=st.lists(st.integers(0, 4), min_size=1, max_size=40), seed=st.integers(0, 100))
def test_a_pool_gives_only_its_own_rows(pools: list[int], seed: int) -> None:
    owners = np.array([0, 1, 2, 3, 4, *pools])
    rng = np.random.default_rng(seed)
    drawn = WeightedPools(rng.random(len(owners)) + 0.01, owners).draw(rng, np.array(pools))
    assert owners[drawn].tolist() == pools


def test_rows_are_drawn_by_weight_within_their_pool() -> None:
    pools = WeightedPools(np.array([1.0, 5.0, 3.0, 5.0]), np.array([0, 1, 0, 1]))
    drawn = pools.draw(np.random.default_rng(1), np.repeat([0, 1], 50_000))
    counts = np.bincount(drawn) / 50_000
    assert counts == pytest.approx([0.25, 0.5, 0.75, 0.5], abs=0.01)
