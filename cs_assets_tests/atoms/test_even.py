"""Even samples: the counts that the docstring promises, for any domains and any number of rows."""

from collections import Counter
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cs_assets.atoms.even import even_sample

DOMAINS = st.lists(st.integers(1, 12), min_size=1, max_size=5)


def spread(rows: np.ndarray, combinations: int) -> int:
    """Return by how much the numbers of rows of any two combinations differ, those that do not occur included."""
    found = Counter(map(tuple, rows.tolist()))
    lowest = min(found.values()) if len(found) == combinations else 0
    return max(found.values()) - lowest


@settings(deadline=None)
@given(DOMAINS, st.integers(1, 600), st.integers(0, 2**32 - 1))
def test_values_pairs_with_the_first_field_and_leading_combinations_are_even(
    domains: list[int], count: int, seed: int
) -> None:
    rows = even_sample(domains, count, np.random.default_rng(seed))
    assert rows.shape == (count, len(domains))
    for field, size in enumerate(domains):
        assert set(rows[:, field]) <= set(range(size))
        assert spread(rows[:, [field]], size) <= 1
        assert spread(rows[:, : field + 1], prod(domains[: field + 1])) <= 1
        if field:
            assert spread(rows[:, [0, field]], domains[0] * size) <= 1


def test_the_whole_product_comes_back_whole() -> None:
    rows = even_sample([10, 8, 6, 2], 960, np.random.default_rng(7))
    assert len(set(map(tuple, rows.tolist()))) == 960


def test_a_part_of_the_product_is_even_in_every_pair() -> None:
    """Other pairs are even up to chance: a quarter of the product leaves none out, and prefers none by much."""
    rows = even_sample([10, 8, 6, 2], 240, np.random.default_rng(7))
    assert len(set(map(tuple, rows.tolist()))) == 240
    sizes = [10, 8, 6, 2]
    for first in range(4):
        for second in range(first):
            expected = 240 / (sizes[first] * sizes[second])
            counts = Counter(map(tuple, rows[:, [first, second]].tolist()))
            assert len(counts) == sizes[first] * sizes[second]
            assert max(counts.values()) <= 2 * expected + 2


def test_the_seed_decides() -> None:
    one, same, other = (even_sample([5, 7], 20, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_a_field_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        even_sample([3, 0], 5, np.random.default_rng(1))
