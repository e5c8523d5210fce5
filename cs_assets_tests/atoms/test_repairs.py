"""The bundle `repairs`: rows that fit the tables, each with what every way through a repair needs."""

from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.blocks import BLOCK_COUNT, CHUNK_ROWS
from cs_assets.atoms.repairs import PLACES, PROBLEMS, repairs_atoms, repairs_faults
from cs_assets.families.workflow.session import spoken_days
from cs_assets.scenario import ATOM_BUNDLES

SEED = 7


@pytest.fixture(scope="module")
def atoms() -> pl.DataFrame:
    return repairs_atoms(2000, SEED)


def test_no_row_contradicts_itself(atoms: pl.DataFrame) -> None:
    assert repairs_faults(atoms).rows() == []


def test_a_row_has_exactly_the_slots_of_the_bundle(atoms: pl.DataFrame) -> None:
    names = [name for name in atoms.columns if not name.startswith("_") and name not in ("atom_id", "entity_block")]
    assert sorted(names) == sorted(ATOM_BUNDLES["repairs"])
    assert all(atoms[name].dtype == pl.String and (atoms[name].str.len_chars() > 0).all() for name in names)


def test_a_row_has_a_problem_and_a_place_of_every_kind(atoms: pl.DataFrame) -> None:
    assert set(atoms["_problems"].list.len()) == {len(PROBLEMS)}
    assert set(atoms["_places"].list.len()) == {len(PLACES)}


def test_the_same_seed_gives_the_same_rows_and_another_chunk_others() -> None:
    assert repairs_atoms(50, SEED).equals(repairs_atoms(50, SEED))
    other = repairs_atoms(50, SEED, chunk=2)
    assert other["atom_id"].to_list() == list(range(2 * CHUNK_ROWS, 2 * CHUNK_ROWS + 50))
    assert other["姓名"].to_list() != repairs_atoms(50, SEED)["姓名"].to_list()


def test_blocks_share_no_district(atoms: pl.DataFrame) -> None:
    places = atoms.explode("_places").unnest("_places", separator=".")
    district = pl.col("_places.详细地址").str.extract("^(..*?[区县市旗])").fill_null("")
    districts = places.select("entity_block", where=pl.col("_places.城市") + district)
    assert districts["entity_block"].n_unique() == BLOCK_COUNT
    assert districts.group_by("where").agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1


def test_no_technician_is_sent_where_no_door_is(atoms: pl.DataFrame) -> None:
    assert not atoms["详细地址"].str.contains("驿站|丰巢|对面|门口").any()


def planted(row: dict[str, Any], path: tuple[str | int, ...], value: str) -> pl.DataFrame:
    """Return the row with one value replaced."""
    node: Any = row
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return pl.DataFrame([row])


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("_problems", 0, "故障"), "后盖翘起来了", "is unknown, not advice"),
        (("_problems", 2, "故障"), "卡纸", "is advice, not unknown"),
        (("故障",), "别的毛病", "is none of the row's problems"),
        (("_problems", 0, "产品"), "雨伞", "needs another skill than"),
        (("_places", 0, "城市"), "太原", "is down, not open"),
        (("_places", 1, "城市"), "杭州", "not shaky"),
        (("_places", 3, "城市"), "杭州", "not unserved"),
        (("_places", 3, "详细地址"), "西湖区文三路1号", "does not lie in"),
        (("详细地址",), "西湖区文三路1号", "is not the row's open place"),
        (("日期",), spoken_days()[-1], "nobody is free"),
        (("时间",), "23点", "nobody is free"),
    ],
)
def test_a_planted_fault_is_found(atoms: pl.DataFrame, path: tuple[str | int, ...], value: str, reason: str) -> None:
    row = atoms.filter(产品="打印机").row(0, named=True)
    if path == ("_problems", 2, "故障"):
        row["_problems"][2]["产品"] = "打印机"
    found = repairs_faults(planted(row, path, value))
    assert reason in " ".join(found["reason"])
    assert set(found["atom_id"]) == {row["atom_id"]}
