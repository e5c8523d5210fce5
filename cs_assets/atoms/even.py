"""Even samples of a full product: every value of every field equally often, and as far as possible every pair.

Ten names, eight problems, six times and two flags make 960 requests. Here is how 200 of them are chosen, so that no
name, problem, time or flag is preferred. What the values are is the business of the bundle that asks.

    even_sample([10, 8, 6, 2], count=200, rng=np.random.default_rng(7))[0]      # array([3, 7, 0, 1])
"""

from collections.abc import Sequence

import numpy as np


def even_sample(domains: Sequence[int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Sample `count` rows of the full product of fields that have `domains` values each.

    Fields are dealt one after the other, like cards: the rows are sorted by what they hold so far and get the values of
    the next field in turn. Rows that agree so far are neighbours, so they differ from then on as long as there are
    values left. Therefore, for any two values of a field, and for any two combinations of the first k fields, or of
    the first and any other one, the numbers of their rows differ by at most 1. A full product comes back whole, and
    a smaller sample repeats nothing. Pairs of other fields are even up to chance; name the field first whose pairs
    matter.

    Args:
        domains: how many values each field has, each at least 1.
        count: rows wanted, also more than the product has.
        rng: decides which combinations are taken, and their order.

    Returns:
        Integer array (count, len(domains)): the position of a value in its domain.

    Raises:
        ValueError: a domain is empty.
    """
    if any(size < 1 for size in domains):
        raise ValueError(f"domains: found {list(domains)}; every field needs at least one value.")
    columns = np.empty((count, len(domains)), dtype=np.int64)
    if not count:
        return columns
    # For each field dealt, the number of a row's combination up to there.
    combinations: list[np.ndarray] = []
    for field, size in enumerate(domains):
        # Neighbours stand in another order each time; else values a common divisor apart would always meet.
        keys = [rng.permutation(numbers.max() + 1)[numbers] for numbers in combinations]
        order = np.lexsort((rng.random(count), *reversed(keys)))
        columns[order, field] = rng.permutation(size)[np.arange(count) % size]
        before = combinations[-1] if combinations else np.zeros(count, dtype=np.int64)
        combinations.append(np.unique(before * size + columns[:, field], return_inverse=True)[1])
    return columns
