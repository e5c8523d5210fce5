"""Columns of strings: drawn from vocabularies and put together a whole column at a time, never row by row.

What is drawn belongs to the module that knows it (people, places); here is only how.

    drawn = pl.DataFrame({"street": rng.random(9), "number": rng.random(9)})
    drawn.select(part(("人民路", "中山路"), "street") + part(("1号", "2号"), "number"))
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl


def draw(rng: np.random.Generator, options: Sequence[str], count: int) -> pl.Series:
    """Draw `count` strings, each option alike; one that shall be more frequent stands there more than once."""
    return pl.Series(options, dtype=pl.String).gather(rng.integers(0, len(options), count))


def draw_kinds(rng: np.random.Generator, shares: Mapping[str, float], count: int) -> np.ndarray:
    """Draw a kind a row: its position in `shares`, u8 array (count,)."""
    return rng.choice(len(shares), count, p=list(shares.values())).astype(np.uint8)


def part(options: Iterable[str] | pl.Series, drawn: str) -> pl.Expr:
    """Return the option that the column `drawn`, floats in [0, 1), picks."""
    vocabulary = options if isinstance(options, pl.Series) else pl.Series(options, dtype=pl.String)
    return pl.lit(vocabulary).gather((pl.col(drawn) * len(vocabulary)).cast(pl.UInt32))


def optional_part(options: Iterable[str], drawn: str, given: pl.Expr) -> pl.Expr:
    """Return the option that the column `drawn` picks where `given` is true, else an empty string."""
    vocabulary = pl.Series(["", *options], dtype=pl.String)
    picked = (pl.col(drawn) * (len(vocabulary) - 1)).cast(pl.UInt32) + 1
    return pl.lit(vocabulary).gather(pl.when(given).then(picked).otherwise(pl.lit(0, dtype=pl.UInt32)))


def joined(*parts: pl.Expr | str) -> pl.Expr:
    """Return the strings of all parts (a plain string names a column) in one. `concat_str` takes twice the time."""
    return pl.format("{}" * len(parts), *parts)


def compose(columns: pl.DataFrame, kinds: np.ndarray, spellings: Sequence[pl.Expr]) -> pl.Series:
    """Spell each row by the expression of its kind; an expression is given the rows of its kind alone.

    Args:
        columns: n rows, whatever the expressions read.
        kinds: integer array (n,), positions in `spellings`.
        spellings: one string expression a kind.

    Returns:
        n strings.
    """
    order = np.argsort(kinds, kind="stable")
    ends = np.cumsum(np.bincount(kinds, minlength=len(spellings)))
    ordered = columns[order]
    spelled = [
        ordered[start:end].with_columns(text=spelling)["text"]
        for start, end, spelling in zip([0, *ends[:-1]], ends, spellings, strict=True)
    ]
    texts = pl.concat([pl.Series("text", [], dtype=pl.String), *spelled])
    return texts.gather(np.argsort(order, kind="stable"))


class WeightedPools:
    """Weighted draws of rows, each from a numbered pool: the rows that an entity block owns, for one.

    A pool is a row of slots, as many a member as its weight earns, so that a column of draws is one look-up.
    """

    _SLOTS: Final = 1 << 16

    def __init__(self, weights: np.ndarray, pools: np.ndarray) -> None:
        """Take the weight and the pool of each row, float and integer arrays (n,); pools are numbered from 0."""
        members = [np.flatnonzero(pools == pool) for pool in range(pools.max() + 1)]
        self._slots = np.stack([self._filled(rows, weights[rows]) for rows in members])

    def _filled(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        middles = (np.arange(self._SLOTS) + 0.5) / self._SLOTS
        return rows[np.searchsorted(np.cumsum(weights) / weights.sum(), middles)]

    def draw(self, rng: np.random.Generator, pools: np.ndarray) -> np.ndarray:
        """Draw one row from each of `pools`: integer array, as long as `pools`."""
        return self._slots[pools, rng.integers(0, self._SLOTS, len(pools))]
