"""Blocks and chunks: a table is divided without a gap, and no value belongs to two blocks."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.blocks import BLOCK_COUNT, CHUNK_ROWS, atom_ids, chunks, of_block


@given(rows=st.integers(0, 5 * CHUNK_ROWS) | st.integers(0, 5).map(lambda number: number * CHUNK_ROWS))
def test_chunks_are_numbered_and_full_but_for_the_last(rows: int) -> None:
    found = list(chunks(rows))
    assert [number for number, _ in found] == list(range(len(found)))
    assert sum(count for _, count in found) == rows
    assert all(count == CHUNK_ROWS for _, count in found[:-1])
    assert all(0 < count <= CHUNK_ROWS for _, count in found)


def test_ids_count_through_the_chunks() -> None:
    ids = pl.concat([atom_ids(chunk, count) for chunk, count in chunks(CHUNK_ROWS + 3)])
    assert (ids.name, ids.dtype) == ("atom_id", pl.UInt32)
    assert ids.to_list() == list(range(CHUNK_ROWS + 3))


def test_every_value_belongs_to_one_block() -> None:
    values = range(3 * BLOCK_COUNT + 4)
    assert sorted(value for block in range(BLOCK_COUNT) for value in of_block(values, block)) == list(values)
