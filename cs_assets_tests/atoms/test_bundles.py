"""Bundles: a table grows chunk by chunk, with the same bytes on any number of processes."""

import hashlib
import multiprocessing
from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.blocks import CHUNK_ROWS
from cs_assets.atoms.bundles import BUNDLES, sample_atoms, sample_chunks
from cs_assets.atoms.shipping import shipping_atoms


def string_slots(atoms: pl.DataFrame) -> list[str]:
    """Return every visible string slot, those in structs with dots: 地址.param.省."""
    slots = {name: kind for name, kind in atoms.schema.items() if not name.startswith("_")}
    while nested := [name for name, kind in slots.items() if kind == pl.Struct]:
        for name in nested:
            slots |= {f"{name}.{field.name}": field.dtype for field in slots.pop(name).fields}  # type: ignore[attr-defined]
    return [name for name, kind in slots.items() if kind == pl.String]


def nulled(value: Any, path: list[str]) -> Any:
    return {**value, path[0]: nulled(value[path[0]], path[1:])} if path else None


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


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_null_in_any_visible_slot_is_a_fault(bundle: str) -> None:
    atoms = sample_atoms(bundle, 120, seed=5)
    slots = string_slots(atoms)
    rows = atoms.to_dicts()
    planted = [nulled(row, slot.split(".")) for row, slot in zip(rows, slots, strict=False)]
    table = pl.DataFrame(planted + rows[len(slots) :], schema=atoms.schema)
    found = BUNDLES[bundle].faults(table)
    assert found.schema == {"atom_id": pl.UInt32, "reason": pl.String}
    assert found["atom_id"].to_list() == list(range(len(slots)))
    named = zip(slots, found["reason"], strict=True)
    assert all(reason == f"{slot} is null" for slot, reason in named)


def test_beside_a_null_the_other_rows_are_held_against_the_rules() -> None:
    rows = sample_atoms("shipping", 30, seed=5).to_dicts()
    planted = [rows[0] | {"邮编": None}, rows[1] | {"电话": "12"}, *rows[2:]]
    found = BUNDLES["shipping"].faults(pl.DataFrame(planted, schema=shipping_atoms(1, 5).schema))
    assert found["atom_id"].unique().to_list() == [0, 1]
    assert found["reason"][0] == "邮编 is null"


def test_a_null_in_a_hidden_slot_is_a_fault() -> None:
    atoms = sample_atoms("inquiries", 3, seed=5)
    rows = atoms.to_dicts()
    planted = [rows[0], nulled(rows[1], ["_shipping", "地址", "param", "市"]), rows[2]]
    found = BUNDLES["inquiries"].faults(pl.DataFrame(planted, schema=atoms.schema))
    assert found.rows() == [(1, "_shipping.地址.param.市 is null")]
