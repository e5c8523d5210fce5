"""Vocabularies by key: the names of each courier, the measure words of each category, drawn a column at a time.

What stands in a vocabulary belongs to the module that knows it; here is only how it is drawn. For one vocabulary that
serves all rows see `columns.py`.

    words = Vocabularies({"内存条": ("条", "条", "根"), "存储卡": ("张",)})
    words.draw(rng, pl.Series(["存储卡", "内存条"]))      # 张, 条
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl


class Vocabularies:
    """A list of options for each key; an option that shall be more frequent stands there more than once."""

    def __init__(self, options: Mapping[str, Sequence[Any]]) -> None:
        """Take key -> options; values of a kind that a Series holds: text, numbers, dicts of them."""
        self._keys = pl.Series(list(options), dtype=pl.String)
        self._values = pl.Series([value for values in options.values() for value in values])
        self._lengths = np.array([len(values) for values in options.values()])
        self._starts = np.cumsum(self._lengths) - self._lengths

    def draw(self, rng: np.random.Generator, keys: pl.Series) -> pl.Series:
        """Draw one option for each of `keys`.

        Raises:
            ValueError: there is no such key.
        """
        rows = keys.replace_strict(self._keys, np.arange(len(self._keys)), default=None, return_dtype=pl.UInt32)
        if rows.null_count():
            known = ", ".join(self._keys.head(12)) + (", ..." if len(self._keys) > 12 else "")
            raise ValueError(f"{keys.filter(rows.is_null())[0]!r} is not known; known are {known}")
        places = rows.to_numpy()
        return self._values[self._starts[places] + (rng.random(len(places)) * self._lengths[places]).astype(np.int64)]
