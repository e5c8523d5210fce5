"""The bundle `shipping`: rows that are coherent, complete, and the same for the same seed."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.blocks import BLOCK_COUNT
from cs_assets.atoms.coherence import shipping_faults
from cs_assets.atoms.divisions import MUNICIPALITIES, ZONES
from cs_assets.atoms.shipping import shipping_atoms
from cs_assets.scenario import ATOM_BUNDLES, Scenario


def slots_of(row: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in row.items():
        if isinstance(value, Mapping):
            yield from slots_of(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def region(row: Mapping[str, Any]) -> tuple[str, str, str]:
    param = row["地址"]["param"]
    return param["省"], param["市"], param["县"]


def test_no_row_contradicts_itself(atoms: pl.DataFrame) -> None:
    assert shipping_faults(atoms).is_empty()


def test_a_row_has_exactly_the_slots_of_the_bundle(atoms: pl.DataFrame) -> None:
    row = atoms.drop("atom_id", "entity_block", "_official").row(0, named=True)
    assert sorted(slots_of(row)) == sorted(ATOM_BUNDLES["shipping"])


def test_atom_ids_count_from_zero(atoms: pl.DataFrame) -> None:
    assert atoms["atom_id"].to_list() == list(range(3000))


def test_the_same_seed_gives_identical_frames_and_another_does_not(scenario: Scenario, atoms: pl.DataFrame) -> None:
    assert shipping_atoms(3000, scenario.spec.seed).equals(atoms)
    assert not shipping_atoms(3000, scenario.spec.seed + 1).equals(atoms)


def test_blocks_share_no_county_and_are_all_used(atoms: pl.DataFrame) -> None:
    official = atoms.select("entity_block", code=pl.col("_official").struct.field("code"))
    assert official["entity_block"].unique().sort().to_list() == list(range(BLOCK_COUNT))
    assert official.group_by("code").agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1


def share(atoms: pl.DataFrame, condition: pl.Expr) -> float:
    levels = atoms.select(pl.col("地址").struct.field("param").struct.unnest(), pl.col("_official").struct.unnest())
    return levels.filter(condition).height / levels.height


PROVINCE, CITY, COUNTY = pl.col("省") != "", pl.col("市") != "", pl.col("县") != ""
CITY_LEVEL = (pl.col("city") != "") & pl.col("county").str.ends_with("市")


def test_levels_of_the_region_are_left_out_and_never_both_of_the_lower(atoms: pl.DataFrame) -> None:
    assert 0.04 < share(atoms, PROVINCE & ~CITY & COUNTY & (pl.col("city") != "")) < 0.13
    assert 0.03 < share(atoms, ~PROVINCE & ~CITY & COUNTY) < 0.09
    assert 0.01 < share(atoms, CITY & ~COUNTY & (pl.col("county") != "")) < 0.06
    assert share(atoms, ~CITY & ~COUNTY & ~pl.col("area_code").str.starts_with("+")) == 0
    assert share(atoms, CITY_LEVEL & ~CITY) > 0.25 * share(atoms, CITY_LEVEL)


def test_what_is_taken_back_is_another_value_of_the_same_kind(atoms: pl.DataFrame) -> None:
    for row in atoms.iter_rows(named=True):
        assert row["旧名字"] != row["名字"]["param"]["输出"]
        assert row["旧县"] == "" or (row["旧县"] != region(row)[2] != "")
        assert re.sub(r"\d+", "", row["旧门牌"]) == re.sub(r"\d+", "", row["详细地址"]) or not re.search(
            r"\d", row["详细地址"]
        )
    assert (atoms["旧县"] != "").mean() > 0.8  # type: ignore[operator]


def test_a_municipality_stands_in_the_city(atoms: pl.DataFrame) -> None:
    rows = [row for row in atoms.iter_rows(named=True) if row["_official"]["province"] in MUNICIPALITIES]
    assert len(rows) > 50
    for row in rows:
        short = row["_official"]["province"][:2]
        assert region(row)[0] in ("", short, f"{short}市")
        assert region(row)[1] in (short, f"{short}市") or (region(row)[:2] == ("", "") and region(row)[2])


def test_a_county_level_city_without_prefecture_stands_in_the_county(atoms: pl.DataFrame) -> None:
    rows = [row for row in atoms.iter_rows(named=True) if not row["_official"]["city"]]
    assert rows
    assert all(region(row)[1] == "" and region(row)[2] for row in rows)


@pytest.mark.parametrize("city", ["东莞", "中山"])
def test_a_city_without_districts_leaves_the_county_empty(atoms: pl.DataFrame, city: str) -> None:
    rows = [row for row in atoms.iter_rows(named=True) if row["_official"]["city"] == f"{city}市"]
    assert rows
    assert all(region(row)[1] in (city, f"{city}市") and region(row)[2] == "" for row in rows)


def test_a_zone_takes_the_place_of_some_districts(atoms: pl.DataFrame) -> None:
    zones = [row for row in atoms.iter_rows(named=True) if region(row)[2] == "高新区"]
    assert zones
    assert all(region(row)[1] for row in zones)


def test_of_an_urban_district_only_towns_and_rural_townships_have_villages(atoms: pl.DataFrame) -> None:
    villages = [row for row in atoms.iter_rows(named=True) if re.search(r"村\d+组", row["详细地址"])]
    assert len(villages) > 50
    urban = [row for row in villages if row["_official"]["county"].endswith("区") or region(row)[2] in ZONES]
    assert all(re.match(r"\w+(?:镇|乡|苏木)[，、（\s]*\w+村", row["详细地址"]) for row in urban)


def test_no_building_says_its_name_twice(atoms: pl.DataFrame) -> None:
    assert not atoms["详细地址"].str.contains("中心中心|科技科技").any()


def test_details_end_with_no_punctuation_but_a_closing_bracket(atoms: pl.DataFrame) -> None:
    assert atoms["详细地址"].str.contains(r"[\p{Han}\dA-Za-z）)]$").all()


def test_some_details_are_spaced_and_most_are_not(atoms: pl.DataFrame) -> None:
    details = atoms["详细地址"]
    assert 0.25 < details.str.contains(r"\s").mean() < 0.42  # type: ignore[operator]
    assert not details.str.contains(r"^\s|\s$|\x1f").any()
    assert details.str.contains(r"\p{Han} \d+ \p{Han}").any()
    assert details.str.contains("\u3000").any()
    assert details.str.contains(r"(?:街道|镇)，\p{Han}").any()
    assert details.str.contains(r"\d[栋幢]\d单元\d").any()


def test_the_joined_address_begins_with_the_region(atoms: pl.DataFrame) -> None:
    assert all(
        row["含地区的详细地址"] == "".join(region(row)) + row["详细地址"]
        for row in atoms.head(200).iter_rows(named=True)
    )


def test_order_numbers_have_eighteen_digits(atoms: pl.DataFrame) -> None:
    assert atoms["订单号"].str.contains(r"^[1-9]\d{17}$").all()
