"""The bundle `shop_visit`: rows that agree with the tables, blocks of their own, two values for what is corrected."""

from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.blocks import BLOCK_COUNT, CHUNK_ROWS
from cs_assets.atoms.bundles import BUNDLES
from cs_assets.atoms.shop_visit import shop_visit_atoms, shop_visit_faults
from cs_assets.catalogue import accessories, category_of, city_of, fitting
from cs_assets.scenario import ATOM_BUNDLES


@pytest.fixture(scope="module")
def atoms() -> pl.DataFrame:
    return shop_visit_atoms(6_000, seed=7)


def paths(row: dict[str, Any], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in row.items():
        found += paths(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return found


def planted(atoms: pl.DataFrame, slot: str, value: str) -> pl.DataFrame:
    """Put another value into row 5."""
    struct, _, leaf = slot.rpartition(".")
    changed = pl.col(struct).struct.with_fields(pl.lit(value).alias(leaf)) if struct else pl.lit(value).alias(slot)
    return atoms.with_columns(pl.when(pl.col("atom_id") == 5).then(changed).otherwise(pl.col(struct or slot)))


def test_no_row_contradicts_the_tables(atoms: pl.DataFrame) -> None:
    assert shop_visit_faults(atoms).is_empty()
    assert BUNDLES["shop_visit"].faults(BUNDLES["shop_visit"].sample(50, 1, 3)).is_empty()


def test_a_row_has_exactly_the_slots_of_the_bundle(atoms: pl.DataFrame) -> None:
    row = atoms.drop("atom_id", "entity_block", "^_.*$").row(0, named=True)
    assert sorted(paths(row)) == sorted(ATOM_BUNDLES["shop_visit"])


def test_chunks_count_on_and_the_same_seed_gives_the_same_bytes(atoms: pl.DataFrame) -> None:
    assert shop_visit_atoms(6_000, seed=7).equals(atoms)
    assert shop_visit_atoms(3, 7, 2)["atom_id"].to_list() == [2 * CHUNK_ROWS + n for n in range(3)]


@pytest.mark.parametrize(
    ("slot", "value", "reason"),
    [
        ("设备", "诺基亚3310", "is not called 诺基亚3310"),
        ("旧.设备", "诺基亚3310", "is not called 诺基亚3310"),
        ("配件", "鱼缸", "鱼缸 is no"),
        ("旧.配件", "鱼缸", "鱼缸 is no"),
        ("规格", "3T", "3T"),
        ("旧.规格", "3T", "3T"),
        ("_other_accessory.规格", "7米", "7米"),
        ("时间", "改天", "is not in delivery_times.csv"),
        ("旧.时间", "昨天", "is not in delivery_times.csv"),
        ("地点", "月球", "no city of this block"),
        ("旧.地点", "月球", "no city of this block"),
        ("旁.地点", "月球", "no city of this block"),
        ("_entities.device_id", "CM01", "not of this block"),
    ],
)
def test_a_planted_fault_is_found(atoms: pl.DataFrame, slot: str, value: str, reason: str) -> None:
    found = shop_visit_faults(planted(atoms, slot, value))
    assert found["atom_id"].unique().to_list() == [5]
    assert any(reason in text for text in found["reason"])


@pytest.mark.parametrize("name", ["设备", "配件", "规格", "数量", "时间", "地点"])
def test_a_value_that_is_not_corrected_is_found(atoms: pl.DataFrame, name: str) -> None:
    same = atoms.row(5, named=True)[name]
    found = shop_visit_faults(planted(atoms, f"旧.{name}", same)).filter(pl.col("atom_id") == 5)
    assert f"{name} is the same before and after" in found["reason"].to_list()


def test_a_row_of_another_block_is_found(atoms: pl.DataFrame) -> None:
    moved = atoms.with_columns((pl.col("entity_block") + 1) % BLOCK_COUNT)
    assert shop_visit_faults(moved)["atom_id"].n_unique() == atoms.height


def test_blocks_share_no_device_and_no_city(atoms: pl.DataFrame) -> None:
    assert atoms["entity_block"].n_unique() == BLOCK_COUNT
    pairs = {
        "device": [pl.col("_entities").struct.field(name) for name in ("device_id", "other_device_id")],
        "place": [pl.col("地点"), pl.col("旧").struct.field("地点"), pl.col("旁").struct.field("地点")],
    }
    for columns in pairs.values():
        rows = pl.concat([atoms.select("entity_block", value=column) for column in columns])
        cities = rows.with_columns(pl.col("value").map_elements(lambda v: city_of(v) or v, return_dtype=pl.String))
        assert cities.group_by("value").agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1


def test_places_of_a_row_lie_in_three_cities(atoms: pl.DataFrame) -> None:
    rows = atoms.select("地点", old=pl.col("旧").struct.field("地点"), aside=pl.col("旁").struct.field("地点"))
    assert all(len({city_of(place) for place in row}) == 3 for row in rows.iter_rows())


def test_every_kind_of_accessory_and_a_choice_of_products_occur(atoms: pl.DataFrame) -> None:
    assert {category_of(word) for word in atoms["配件"]} == set(accessories())
    choices = [len(fitting(device, word)) for device, word in atoms.select("设备", "配件").iter_rows()]
    assert min(choices) >= 1
    assert sum(choice > 2 for choice in choices) > 0.8 * len(choices)
