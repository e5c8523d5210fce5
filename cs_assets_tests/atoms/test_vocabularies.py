"""Vocabularies: every row is drawn from the list of its own key."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.vocabularies import Vocabularies

lists = st.dictionaries(st.text(min_size=1), st.lists(st.text(), min_size=1, max_size=5), min_size=1, max_size=6)


@given(options=lists, seed=st.integers(0, 1000))
def test_each_row_gets_an_option_of_its_key(options: dict[str, list[str]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys = pl.Series(list(options), dtype=pl.String)[rng.integers(0, len(options), 40)]
    drawn = Vocabularies(options).draw(rng, keys)
    assert all(value in options[key] for key, value in zip(keys, drawn, strict=True))


def test_options_are_drawn_as_often_as_they_stand_there() -> None:
    words = Vocabularies({"a": ("x", "x", "x", "y"), "b": ("z",)})
    drawn = words.draw(np.random.default_rng(1), pl.Series(["a"] * 4000))
    assert 0.7 < (drawn == "x").mean() < 0.8  # type: ignore[operator]
    assert set(drawn) == {"x", "y"}


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="'c' is not known; known are a, b"):
        Vocabularies({"a": ("x",), "b": ("y",)}).draw(np.random.default_rng(1), pl.Series(["a", "c"]))
