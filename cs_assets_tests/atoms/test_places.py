"""Places: every kind of detail is written, in the order of addresses, and only where it belongs."""

import numpy as np
import polars as pl
import pytest

from cs_assets.atoms.divisions import all_divisions, sample_townships
from cs_assets.atoms.places import DEVELOPERS_ESTATE, PART_MARK, sample_details, sample_parted_details


def details(place: pl.Expr, count: int = 3000, district: str = "") -> pl.DataFrame:
    """Return `count` details of the divisions that `place` selects, with their townships.

    What is written in 县 is the county's name, or `district`.
    """
    rng = np.random.default_rng(4)
    rows = rng.choice(np.flatnonzero(all_divisions().select(place).to_series()), count)
    townships = sample_townships(rng, rows)
    districts = pl.Series([district] * count) if district else all_divisions()["county"].gather(rows)
    detail = sample_details(rng, rows, townships, districts)
    return pl.DataFrame({"detail": detail, "township": townships, "code": all_divisions()["code"].gather(rows)})


def test_parts_are_marked_between_and_taken_away_give_the_detail() -> None:
    rows = np.arange(3000) % all_divisions().height
    townships = sample_townships(np.random.default_rng(1), rows)
    arguments = rows, townships, all_divisions()["county"].gather(rows)
    parted = sample_parted_details(np.random.default_rng(2), *arguments)
    assert (parted.str.replace_all(PART_MARK, "") == sample_details(np.random.default_rng(2), *arguments)).all()
    assert not parted.str.contains(f"^{PART_MARK}|{PART_MARK}{PART_MARK}|{PART_MARK}$").any()
    assert parted.str.contains(rf"[路街道巷]{PART_MARK}\d+号{PART_MARK}\p{{Han}}+{PART_MARK}\d").mean() > 0.05  # type: ignore[operator]


def share(table: pl.DataFrame, pattern: str) -> float:
    return table.filter(pl.col("detail").str.contains(pattern)).height / table.height


SHENZHEN, COUNTY = (
    pl.col("city") == "深圳市",
    pl.col("county").str.ends_with("县") & (pl.col("area_code").str.len_bytes() == 4),
)


@pytest.mark.parametrize(
    ("pattern", "low", "high"),
    [
        (r"交叉口|路口|交汇处", 0.01, 0.08),
        (r"家属|宿舍|安置房", 0.01, 0.1),
        (r"[）)]", 0.01, 0.06),
        (r"单元.*[东西中南]户", 0.005, 0.05),
        (r"床|护士站|诊", 0.003, 0.03),
        (r"\d班|）班|\)班|六班", 0.002, 0.02),
        (r"区\d+号$|摊位|号铺|号档", 0.003, 0.04),
        (r"酒店|宾馆", 0.005, 0.04),
        (r"项目部|工地", 0.001, 0.02),
        (r"[甲乙丙丁]单元|\d甲|甲\d|附\d+号|之一", 0.01, 0.12),
        (r"\d+栋\d单元\d+室$", 0.015, 0.08),
        (r"(大厦|写字楼|产业园|科技园)(\d+楼|\d+层|\d{3,4}室?)?$", 0.012, 0.1),
        (r"(菜鸟驿站|丰巢柜|丰巢快递柜)$", 0.01, 0.06),
        (r"深圳市?..(科技|贸易|电子商务).*有限公司", 0.004, 0.05),
        (r"(小学|中学|学校|学院|医院|卫生院)", 0.03, 0.08),
        (r"号(水果店|便利店|五金店)$", 0.005, 0.03),
        (r"(对面|旁边|楼上|隔壁)$", 0.005, 0.04),
    ],
)
def test_a_city_has_every_kind_of_detail(pattern: str, low: float, high: float) -> None:
    assert low < share(details(SHENZHEN), pattern) < high


@pytest.mark.parametrize("district", ["", "高新区"])
def test_a_city_has_no_villages(district: str) -> None:
    assert share(details(SHENZHEN, district=district), r"村(\d+组|村委会|村口|小学|卫生室)") == 0


@pytest.mark.parametrize("end", ["乡", "苏木"])
def test_a_rural_township_has_no_buildings_with_flats(end: str) -> None:
    table = details(pl.col("code") != "", 60_000).filter(pl.col("township").str.ends_with(end))
    rural = table.filter(pl.col("detail").str.starts_with(pl.col("township")) & (pl.col("township") != ""))
    below = rural.select(pl.col("detail").str.strip_prefix(pl.col("township"))).to_series()
    assert rural.height > 20
    assert not below.str.contains(r"[栋幢座层弄]|单元|号楼|\d楼|\d室|\d-\d|#|大厦|花园|小区|有限公司|医院").any()
    assert below.str.contains(r"村.*(\d组|村|小学对面|卫生室|文化广场旁)").mean() > 0.3  # type: ignore[operator]
    assert below.str.contains(r"(路|街)\d+号").mean() > 0.1  # type: ignore[operator]


def test_a_town_has_low_houses_and_no_developers() -> None:
    table = details(pl.col("code") != "", 30_000).filter(pl.col("township").str.ends_with("镇"))
    town = table.filter(pl.col("detail").str.starts_with(pl.col("township")))
    below = town.select(pl.col("detail").str.strip_prefix(pl.col("township"))).to_series()
    floors = below.str.extract(r"(\d{1,2})(?:0\d室?|[楼层])$").drop_nulls().cast(pl.Int64)
    assert floors.len() > 500
    assert floors.max() == 6
    assert not below.str.contains(DEVELOPERS_ESTATE).any()
    assert share(details(SHENZHEN), DEVELOPERS_ESTATE) > 0.025


def test_a_zone_names_no_township() -> None:
    table = details(SHENZHEN, district="高新区")
    assert not table.select(pl.col("detail").str.starts_with(pl.col("township"))).to_series().any()
    assert share(details(SHENZHEN), "街道") > 0.3


def test_regiments_and_farms_are_those_of_the_north() -> None:
    farm = r"^\d+团\d|^\d+团[部一二三四五六七八九十]|^\p{Han}+(?:农场|林场|嘎查|种畜场)"
    assert (
        share(details((pl.col("province") == "新疆维吾尔自治区") & pl.col("county").str.ends_with("县"), 9000), farm)
        > 0.01
    )
    assert share(details(pl.col("province") == "广东省"), farm) == 0


def test_villages_follow_their_township() -> None:
    villages = details(COUNTY).filter(pl.col("detail").str.contains(r"村\d+组"))
    assert villages.height > 150
    assert villages.select(pl.col("detail").str.starts_with(pl.col("township"))).to_series().all()


def test_a_company_bears_the_name_of_its_place() -> None:
    companies = details(pl.col("county") == "仙桃市", 20_000).filter(pl.col("detail").str.contains("有限公司"))
    assert companies.height > 500
    assert companies["detail"].str.contains("仙桃市?..").all()


def test_a_city_without_districts_names_the_township() -> None:
    table = details(pl.col("city") == "东莞市")
    assert table.select(pl.col("detail").str.starts_with(pl.col("township"))).to_series().all()
    assert table["township"].n_unique() > 25


def test_lanes_are_those_of_shanghai() -> None:
    lane = r"\d+弄\d+号\d+室"
    assert 0.15 < share(details(pl.col("province") == "上海市"), lane) < 0.45
    assert 0 < share(details(pl.col("province") == "浙江省"), lane) < 0.06
    assert share(details(~pl.col("province").is_in(["上海市", "浙江省"])), "弄") == 0


@pytest.mark.parametrize("province", ["香港特别行政区", "澳门特别行政区"])
def test_towers_stand_in_the_streets_of_their_district(province: str) -> None:
    table = details(pl.col("province") == province, 500)
    assert (table["township"] != "").all()
    assert table.select(pl.col("detail").str.starts_with(pl.col("township"))).to_series().all()
    assert table["detail"].str.contains(r"^\p{Han}+\d+号\p{Han}+(\d座)?\d+楼([A-H]室?|\d\d室)$").all()


def test_taiwan_has_sections_and_floors() -> None:
    table = details(pl.col("province") == "台湾省", 500)
    assert table["detail"].str.contains(r"^\p{Han}+路([一二三]段)?\d+(号|巷\d+号)(\d+楼(之\d)?)?$").all()
    assert share(table, "段") > 0.3
