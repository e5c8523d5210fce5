"""Bundles: a table grows chunk by chunk, with the same bytes on any number of processes."""

import hashlib
import multiprocessing

import polars as pl
import pytest

from cs_assets.atoms.blocks import CHUNK_ROWS
from cs_assets.atoms.bundles import BUNDLES, sample_atoms, sample_chunks
from cs_assets.atoms.shipping import shipping_atoms


def test_a_table_is_its_chunks_in_order() -> None:
    table = sample_atoms("shipping", CHUNK_ROWS + 100, seed=3)
    assert table["atom_id"].to_list() == list(range(CHUNK_ROWS + 100))
    assert table.head(CHUNK_ROWS).equals(shipping_atoms(CHUNK_ROWS, 3, 0))
    assert table.tail(100).equals(shipping_atoms(100, 3, 1))


def test_a_whole_chunk_is_the_same_whatever_follows() -> None:
    first, *_ = sample_chunks("shipping", 2 * CHUNK_ROWS + 5, seed=3)
    [alone] = sample_chunks("shipping", CHUNK_ROWS, seed=3)
    assert first.equals(alone)


@pytest.mark.parametrize("rows", [1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 4 * CHUNK_ROWS])
def test_chunks_have_the_rows_that_were_asked_for(rows: int) -> None:
    heights = [chunk.height for chunk in sample_chunks("shipping", rows, seed=1)]
    assert sum(heights) == rows
    assert set(heights[:-1]) <= {CHUNK_ROWS}


def test_chunks_differ_from_each_other() -> None:
    first, second = (shipping_atoms(500, 3, chunk).drop("atom_id") for chunk in (0, 1))
    assert not first.equals(second)


def digest(chunk: int) -> str:
    """Return the SHA-256 of a chunk as Arrow bytes. A process of a pool imports this function by its name."""
    table = BUNDLES["shipping"].sample(5_000, 11, chunk)
    return hashlib.sha256(table.write_ipc(None, compat_level=pl.CompatLevel.oldest()).getvalue()).hexdigest()


def test_several_processes_make_the_bytes_of_one() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        elsewhere = pool.map(digest, [0, 1], chunksize=1)
    assert elsewhere == [digest(0), digest(1)]


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="rows: found 0"):
        sample_atoms("shipping", 0, seed=1)
