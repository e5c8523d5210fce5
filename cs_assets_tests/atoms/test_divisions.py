"""Divisions: the reference tables, how they are drawn and how a region is written."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.divisions import (
    MUNICIPALITIES,
    REGION_STYLES,
    ZONES,
    divisions,
    sample_divisions,
    short_province,
    townships,
    written_region,
)


def test_every_division_has_postcode_and_landline_code() -> None:
    table = divisions()
    assert table.height > 2500
    assert table["code"].is_unique().all()
    assert table["postcode"].str.contains(r"^\d{6}$").all()
    assert table["area_code"].str.contains(r"^0\d{2,3}$").all()


def test_a_municipality_is_its_own_city() -> None:
    table = divisions().filter(pl.col("province").is_in(list(MUNICIPALITIES)))
    assert table["province"].n_unique() == 4
    assert (table["city"] == table["province"]).all()


@pytest.mark.parametrize(("city", "county"), [("东莞市", ""), ("中山市", "")])
def test_a_city_without_districts_has_none(city: str, county: str) -> None:
    assert divisions().filter(pl.col("city") == city)["county"].to_list() == [county]


@pytest.mark.parametrize(("county", "city"), [("仙桃市", ""), ("济源市", ""), ("昆山市", "苏州市")])
def test_a_county_level_city_stands_in_the_county(county: str, city: str) -> None:
    assert divisions().filter(pl.col("county") == county)["city"].to_list() == [city]


def test_townships_belong_to_counties() -> None:
    assert townships()["county_code"].is_unique().all()
    assert townships()["name"].list.len().min() > 0  # type: ignore[operator]


@given(seed=st.integers(0, 1000), block_count=st.integers(1, 12))
def test_blocks_share_no_county(seed: int, block_count: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, block_count, 200)
    drawn = sample_divisions(rng, blocks, block_count).with_columns(block=pl.Series(blocks))
    assert drawn.height == 200
    assert drawn.group_by("code").agg(pl.col("block").n_unique())["block"].max() == 1


def test_a_township_lies_in_its_county() -> None:
    rng = np.random.default_rng(1)
    drawn = sample_divisions(rng, rng.integers(0, 10, 300), 10).filter(pl.col("township") != "")
    known = {row["county_code"]: row["name"] for row in townships().iter_rows(named=True)}
    assert drawn.height > 200
    assert all(row["township"] in known[row["code"]] for row in drawn.iter_rows(named=True))


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("广东省", "广东"),
        ("北京市", "北京"),
        ("广西壮族自治区", "广西"),
        ("内蒙古自治区", "内蒙古"),
        ("新疆维吾尔自治区", "新疆"),
    ],
)
def test_short_province(name: str, short: str) -> None:
    assert short_province(name) == short


@pytest.mark.parametrize(
    ("region", "style", "written"),
    [
        (("广东省", "深圳市", "南山区"), "full", ("广东省", "深圳市", "南山区")),
        (("广东省", "深圳市", "南山区"), "short", ("广东", "深圳", "南山")),
        (("广东省", "深圳市", "南山区"), "short_city", ("广东", "深圳", "南山区")),
        (("湖北省", "恩施土家族苗族自治州", "恩施市"), "short", ("湖北", "恩施州", "恩施")),
        (("湖北省", "", "仙桃市"), "short_city", ("湖北", "", "仙桃市")),
        (("广东省", "东莞市", ""), "short", ("广东", "东莞", "")),
        (("天津市", "天津市", "滨海新区"), "short", ("", "天津", "滨海新区")),
        (("四川省", "成都市", "高新区"), "short", ("四川", "成都", "高新区")),
        (("江苏省", "南通市", "北区"), "short", ("江苏", "南通", "北区")),
        (("甘肃省", "临夏回族自治州", "东乡族自治县"), "short", ("甘肃", "临夏州", "东乡族自治县")),
        (("湖北省", "", "神农架林区"), "short", ("湖北", "", "神农架林区")),
        (("陕西省", "西安市", "碑林区"), "short", ("陕西", "西安", "碑林")),
        (("贵州省", "六盘水市", "六枝特区"), "short", ("贵州", "六盘水", "六枝特区")),
        (("河北省", "邯郸市", "峰峰矿区"), "short", ("河北", "邯郸", "峰峰矿区")),
        (("辽宁省", "营口市", "西市区"), "short", ("辽宁", "营口", "西市区")),
        (("河南省", "洛阳市", "瀍河回族区"), "short", ("河南", "洛阳", "瀍河回族区")),
        (("山东省", "东营市", "东营区"), "short", ("山东", "东营", "东营区")),
        (("河南省", "新乡市", "新乡县"), "short", ("河南", "新乡", "新乡县")),
        (("吉林省", "吉林市", "船营区"), "short_city", ("吉林", "吉林市", "船营区")),
    ],
)
def test_written_region(region: tuple[str, str, str], style: str, written: tuple[str, str, str]) -> None:
    assert written_region(*region, style, names_level=False) == written


@pytest.mark.parametrize("style", REGION_STYLES)
@pytest.mark.parametrize("name", MUNICIPALITIES)
def test_a_municipality_stands_in_the_city_and_in_the_province_only_if_named(name: str, style: str) -> None:
    unnamed = written_region(name, name, "某某区", style, names_level=False)
    named = written_region(name, name, "某某区", style, names_level=True)
    assert unnamed[0] == ""
    assert unnamed[1].startswith(name[:2])
    assert named == (name[:2], *unnamed[1:])


def test_a_short_form_never_ends_in_a_kind_of_place() -> None:
    for row in divisions().iter_rows(named=True):
        written = written_region(row["province"], row["city"], row["county"], "short", names_level=False)
        assert not written[2].endswith(("自治", "族", "矿", "架林", "枝特")), written
        assert len({*written} - {""}) == sum(map(bool, written)), written


def test_no_zone_is_a_bare_new_district() -> None:
    assert "新区" not in ZONES


@pytest.mark.parametrize("style", REGION_STYLES)
@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_keeps_its_name(zone: str, style: str) -> None:
    assert written_region("四川省", "成都市", zone, style, names_level=False)[2] == zone
