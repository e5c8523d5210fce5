"""The bundle `complaints`: troubles that go with the product, blocks of their own, the same rows for the same seed."""

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.blocks import BLOCK_COUNT, CHUNK_ROWS
from cs_assets.atoms.bundles import BUNDLES
from cs_assets.atoms.complaints import PRICES, TROUBLES, complaints_atoms, complaints_faults, goods
from cs_assets.scenario import ATOM_BUNDLES


@pytest.fixture(scope="module")
def atoms() -> pl.DataFrame:
    return complaints_atoms(4_000, seed=7)


def slots_of(row: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from slots_of(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def with_slot(row: Mapping[str, Any], slot: str, value: str) -> dict[str, Any]:
    head, _, rest = slot.partition(".")
    return {**row, head: with_slot(row[head], rest, value) if rest else value}


def test_no_row_contradicts_itself(atoms: pl.DataFrame) -> None:
    assert complaints_faults(atoms).is_empty()
    assert BUNDLES["complaints"].faults(BUNDLES["complaints"].sample(50, 1, 3)).is_empty()


@pytest.mark.parametrize(
    ("slot", "value", "reason"),
    [
        ("破损.情况", "飞走了", "破损.情况"),
        ("破损.商品", "连衣裙", "破损.商品"),  # clothes do not break on the way
        ("质量.问题", "不出雾", "质量.问题"),
        ("过敏.商品", "台灯", "过敏.商品"),
        ("电器.故障", "起球", "电器.故障"),
        ("缺件.少了", "方向盘", "缺件.少了"),
        ("en.device.fault", "it is late", "en.device.fault"),
        ("en.item", "unicorn", "en.item"),
        ("错发.要的", None, "is what was wanted"),  # what came
        ("送礼.要的", None, "is what was wanted"),
        ("en.wrong.ordered", None, "is what was wanted"),
        ("尺码.换成", None, "尺码.换成"),  # the size bought
        ("尺码.不合身", "飞走了", "尺码.不合身"),
        ("en.size.fit", "too blue", "en.size.fit"),
        ("送礼.场合", "春分", "has no"),
        ("订单尾号", "00x0", "does not end"),
        ("差价", "9999", "is not"),
        ("原价", "99999", "is no price of"),
        ("称呼", "龘先生", "does not belong to block"),
    ],
)
def test_a_planted_fault_is_found(atoms: pl.DataFrame, slot: str, value: str | None, reason: str) -> None:
    rows = atoms.head(20).to_dicts()
    row = rows[5]
    planted = (
        value
        or {
            "错发.要的": row["错发"]["收到的"],
            "送礼.要的": row["送礼"]["收到的"],
            "en.wrong.ordered": row["en"]["wrong"]["received"],
            "尺码.换成": row["尺码"]["买的"],
        }[slot]
    )
    rows[5] = with_slot(row, slot, planted)
    found = complaints_faults(pl.DataFrame(rows, schema=atoms.schema))
    assert found["atom_id"].unique().to_list() == [5]
    assert any(reason in text for text in found["reason"])


def test_a_product_of_another_block_is_found(atoms: pl.DataFrame) -> None:
    moved = atoms.with_columns((pl.col("entity_block") + 1) % BLOCK_COUNT)
    assert set(complaints_faults(moved)["atom_id"]) == set(atoms["atom_id"])


def test_a_row_has_exactly_the_slots_of_the_bundle(atoms: pl.DataFrame) -> None:
    row = atoms.drop("atom_id", "entity_block").row(0, named=True)
    assert sorted(slots_of(row)) == sorted(ATOM_BUNDLES["complaints"])


def test_every_value_is_a_text_that_says_something(atoms: pl.DataFrame) -> None:
    def texts(row: Mapping[str, Any]) -> Iterator[object]:
        for value in row.values():
            yield from texts(value) if isinstance(value, Mapping) else [value]

    rows = atoms.drop("atom_id", "entity_block").head(300).to_dicts()
    assert all(isinstance(value, str) and value == value.strip() != "" for row in rows for value in texts(row))


def test_chunks_differ_and_the_same_seed_gives_identical_frames(atoms: pl.DataFrame) -> None:
    assert complaints_atoms(4_000, seed=7).equals(atoms)
    assert not complaints_atoms(4_000, seed=8).equals(atoms)
    second = complaints_atoms(10, seed=7, chunk=1)
    assert second["atom_id"].to_list() == list(range(CHUNK_ROWS, CHUNK_ROWS + 10))
    assert not second.drop("atom_id").equals(atoms.head(10).drop("atom_id"))


@pytest.mark.parametrize("slot", ["商品", "称呼"])
def test_blocks_share_no_product_and_no_surname(atoms: pl.DataFrame, slot: str) -> None:
    entity = pl.col(slot).str.replace("(先生|女士|小姐)$", "")
    owners = atoms.group_by(entity).agg(pl.col("entity_block").n_unique())
    assert owners["entity_block"].max() == 1
    assert atoms["entity_block"].n_unique() == BLOCK_COUNT


def test_every_block_can_tell_every_trouble() -> None:
    for kinds, slots in TROUBLES.values():
        usable = goods().filter(
            pl.col("kind").is_in(kinds),
            *(pl.col(column).list.len() > 0 for column in slots.values() if goods().schema[column] == pl.List),
        )
        assert usable["block"].n_unique() == BLOCK_COUNT


def test_the_table_of_goods_is_complete() -> None:
    table = goods()
    assert table["name"].is_unique().all()
    assert table["english"].is_unique().all()
    assert set(table["kind"]) == set(PRICES)
    assert (table["options"].list.len() >= 2).all()
    assert (table["english_options"].list.len() >= 2).all()
    sized = table.filter(pl.col("kind").is_in(["上衣", "下装", "鞋"]))
    assert (sized["sizes"].list.len() >= 3).all()
