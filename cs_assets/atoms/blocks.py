"""Entity blocks: the classes into which every table of atoms is divided, so that splits can hold some of them out.

A held-out test of new entities proves something only if its entities are new. Each row therefore belongs to one block,
and the values that make an entity (a county, a full name, a product) belong to one block alone.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

BLOCK_COUNT: Final = 10
# Rows that are made at a time: a table of any length grows in chunks, each from its own generator.
CHUNK_ROWS: Final = 65_536

T = TypeVar("T")


def sample_blocks(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw the block of each row: u8 array (count,), in [0, BLOCK_COUNT)."""
    return rng.integers(0, BLOCK_COUNT, count).astype(np.uint8)


def of_block(values: Sequence[T], block: int) -> Sequence[T]:
    """Return the values that belong to `block` alone, a stride apart."""
    return values[block::BLOCK_COUNT]
