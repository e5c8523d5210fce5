"""Divisions: the reference tables, how they are drawn and how a region is written."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.blocks import sample_blocks
from cs_assets.atoms.divisions import (
    MUNICIPALITIES,
    NAMED_ZONES,
    REGION_STYLES,
    ZONE_NAMES,
    ZONES,
    all_divisions,
    divisions,
    sample_divisions,
    sample_neighbours,
    sample_regions,
    sample_townships,
    short_province,
    townships,
    without_levels,
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


@given(seed=st.integers(0, 1000))
def test_blocks_share_no_county(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = sample_blocks(rng, 500)
    drawn = pl.DataFrame({"row": sample_divisions(rng, blocks), "block": blocks})
    assert drawn.group_by("row").agg(pl.col("block").n_unique())["block"].max() == 1


def drawn_rows(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return sample_divisions(rng, sample_blocks(rng, count))


def test_every_division_is_drawn() -> None:
    assert len(np.unique(drawn_rows(300_000))) > 0.99 * all_divisions().height


def test_divisions_are_drawn_by_weight() -> None:
    drawn = all_divisions()[drawn_rows(200_000)]
    outside = drawn["area_code"].str.starts_with("+").mean()
    assert 0.004 < outside < 0.006  # type: ignore[operator]
    municipality = drawn["province"].is_in(list(MUNICIPALITIES)).mean()
    assert 0.07 < municipality < 0.12  # type: ignore[operator]
    assert drawn.filter(pl.col("city") == "东莞市").height > 5 * drawn.filter(pl.col("county") == "昆山市").height


def test_the_divisions_hold_every_province() -> None:
    assert all_divisions()["province"].n_unique() == 34
    assert all_divisions()["code"].is_unique().all()
    assert divisions().height == all_divisions().filter(~pl.col("area_code").str.starts_with("+")).height


def test_hong_kong_has_its_districts_and_the_places_outside_their_codes() -> None:
    outside = all_divisions().filter(pl.col("area_code").str.starts_with("+"))
    counties = dict(outside.group_by("province").agg(pl.col("county")).iter_rows())
    assert len(counties["香港特别行政区"]) == 18
    assert {"油尖旺区", "沙田区", "中西区"} < set(counties["香港特别行政区"])
    assert len(counties["澳门特别行政区"]) == 7
    assert set(outside.filter(pl.col("area_code") != "+886")["postcode"]) == {""}
    assert outside.filter(pl.col("area_code") == "+886")["postcode"].str.contains(r"^\d{3}$").all()


def test_a_township_lies_in_its_county() -> None:
    rows = drawn_rows(1000)
    names = sample_townships(np.random.default_rng(2), rows)
    known = dict(townships().iter_rows())
    drawn = list(zip(all_divisions()[rows]["code"], names, strict=True))
    assert sum(bool(name) for _, name in drawn) > 800
    assert all(name in known[code] if name else code not in known for code, name in drawn)


def test_a_region_is_one_of_the_ways_to_write_its_division() -> None:
    rows = drawn_rows(2000)
    official = all_divisions()[rows]
    for place, region in zip(
        official.iter_rows(named=True), sample_regions(np.random.default_rng(2), rows).iter_rows(), strict=True
    ):
        ways = {
            written_region(place["province"], place["city"], place["county"], style, names_level=level)
            for style in REGION_STYLES
            for level in (False, True)
        }
        zones = {*ZONES, *NAMED_ZONES.get(place["city"], "").split()}
        assert region in ways or (region[2] in zones and region[:2] in {way[:2] for way in ways})


def test_levels_are_left_out_of_places_of_the_mainland_that_the_rest_still_names() -> None:
    rows = drawn_rows(20_000)
    regions = sample_regions(np.random.default_rng(2), rows)
    shorter = without_levels(np.random.default_rng(3), rows, regions)
    left = shorter.rename(lambda name: f"left {name}")
    both = pl.concat([regions, left, all_divisions()[rows]], how="horizontal")
    changed = both.filter(pl.any_horizontal(pl.col(level) != pl.col(f"left {level}") for level in "省市县"))
    assert 0.1 < changed.height / both.height < 0.25
    assert not changed["area_code"].str.starts_with("+").any()
    assert not changed["县"].is_in(ZONE_NAMES).any()
    assert ((changed["left 市"] != "") | (changed["left 县"] != "")).all()
    # A municipality is never its province alone.
    municipal = changed.filter(pl.col("province").is_in(list(MUNICIPALITIES)), pl.col("left 市") == "")
    assert municipal.height > 20
    assert (municipal["left 省"] == "").all()


def test_neighbours_lie_in_the_same_city() -> None:
    rows = drawn_rows(20_000)
    others = sample_neighbours(np.random.default_rng(2), rows)
    here, there = all_divisions()[rows], all_divisions()[others]
    assert (here["province"] == there["province"]).all()
    assert (here["city"] == there["city"]).all()
    alone = here.join(
        all_divisions().group_by("province", "city").len(), on=["province", "city"], maintain_order="left"
    )
    assert ((others == rows) == (alone["len"] == 1).to_numpy()).all()


def test_zones_and_styles_have_their_shares() -> None:
    rows = drawn_rows(100_000)
    regions = sample_regions(np.random.default_rng(2), rows)
    official = all_divisions()[rows]
    zoned = official.filter(regions["县"].is_in(ZONE_NAMES))
    assert 0.025 < zoned.height / len(rows) < 0.045
    assert zoned["county"].str.ends_with("区").all()
    assert zoned["city"].str.ends_with("市").all()
    assert "上海市" not in zoned["province"].to_list()
    full = regions.filter(pl.col("省").str.ends_with("省")).height / regions.filter(pl.col("省") != "").height
    assert 0.45 < full < 0.58


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
        (("香港特别行政区", "九龙", "油尖旺区"), "full", ("香港特别行政区", "九龙", "油尖旺区")),
        (("香港特别行政区", "九龙", "油尖旺区"), "short", ("香港", "九龙", "")),
        (("香港特别行政区", "新界", "沙田区"), "short_city", ("香港", "新界", "沙田区")),
        (("香港特别行政区", "港岛", "中西区"), "short_city", ("香港", "", "中西区")),
        (("澳门特别行政区", "澳门半岛", "大堂区"), "short", ("澳门", "", "")),
        (("澳门特别行政区", "氹仔", "嘉模堂区"), "short", ("澳门", "氹仔", "")),
        (("广东省", "深圳市", "南山区"), "short_province", ("广东", "深圳市", "南山区")),
        (("广东省", "深圳市", "南山区"), "city_short", ("广东省", "深圳", "南山区")),
        (("广东省", "深圳市", "南山区"), "county_short", ("广东省", "深圳市", "南山")),
        (("内蒙古自治区", "锡林郭勒盟", "苏尼特右旗"), "spoken", ("内蒙", "锡盟", "苏右旗")),
        (("内蒙古自治区", "包头市", "昆都仑区"), "spoken", ("内蒙", "包头", "昆区")),
        (("湖北省", "恩施土家族苗族自治州", "恩施市"), "spoken", ("湖北", "恩施", "恩施市")),
        (("贵州省", "黔东南苗族侗族自治州", "凯里市"), "spoken", ("贵州", "黔东南", "凯里")),
        (("新疆维吾尔自治区", "喀什地区", "叶城县"), "spoken", ("新疆", "喀什", "叶城")),
        (("重庆市", "重庆市", "彭水苗族土家族自治县"), "spoken", ("", "重庆", "彭水县")),
        (("台湾省", "台北市", "信义区"), "full", ("台湾省", "台北市", "信义区")),
        (("台湾省", "台北市", "信义区"), "short", ("台湾", "台北市", "信义区")),
        (("台湾省", "新竹县", "竹北市"), "short_city", ("台湾", "新竹县", "竹北市")),
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
    shortened = name[:2] if style not in ("full", "city_short", "county_short") else name
    assert named == (shortened, *unnamed[1:])


def test_a_short_form_never_ends_in_a_kind_of_place() -> None:
    for row in divisions().iter_rows(named=True):
        written = written_region(row["province"], row["city"], row["county"], "short", names_level=False)
        assert not written[2].endswith(("自治", "族", "矿", "架林", "枝特")), written
        assert len({*written} - {""}) == sum(map(bool, written)), written


def test_the_zones_of_a_city_are_only_its_own() -> None:
    rows = drawn_rows(60_000)
    regions = sample_regions(np.random.default_rng(2), rows)
    city = all_divisions()[rows]["city"]
    named = regions.with_columns(city=city).filter(pl.col("县") == "横琴新区")
    assert set(named["city"]) == {"珠海市"}


def test_no_zone_is_a_bare_new_district() -> None:
    assert "新区" not in ZONES


@pytest.mark.parametrize("style", REGION_STYLES)
@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_keeps_its_name(zone: str, style: str) -> None:
    assert written_region("四川省", "成都市", zone, style, names_level=False)[2] == zone
