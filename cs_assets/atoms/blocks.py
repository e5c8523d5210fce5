"""How every table of atoms is divided: into entity blocks, of which splits hold some out, and into chunks.

A held-out test of new entities proves something only if its entities are new. Each row therefore belongs to one block,
and the values that make an entity (a county, a full name, a product) belong to one block alone.
A table of any length is made chunk by chunk, each from its own generator.

    for chunk, count in chunks(rows=100_000):        # (0, 65_536), (1, 34_464)
        atom_ids(chunk, count), sample_blocks(rng, count)
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
import polars as pl

BLOCK_COUNT: Final = 10
# Rows that are made at a time.
CHUNK_ROWS: Final = 65_536

T = TypeVar("T")


def chunks(rows: int) -> Iterator[tuple[int, int]]:
    """Yield the number of each chunk of a table of `rows` rows, and how many rows it has; only the last is not full."""
    for number, start in enumerate(range(0, rows, CHUNK_ROWS)):
        yield number, min(CHUNK_ROWS, rows - start)


def atom_ids(chunk: int, count: int) -> pl.Series:
    """Return the column atom_id (u32) of a chunk's `count` rows: the ids count through the chunks of a table."""
    first = chunk * CHUNK_ROWS
    return pl.Series("atom_id", np.arange(first, first + count, dtype=np.uint32))


def sample_blocks(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw the block of each row: u8 array (count,), in [0, BLOCK_COUNT)."""
    return rng.integers(0, BLOCK_COUNT, count).astype(np.uint8)


def of_block(values: Sequence[T], block: int) -> Sequence[T]:
    """Return the values that belong to `block` alone, a stride apart."""
    return values[block::BLOCK_COUNT]
