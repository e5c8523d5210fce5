"""Administrative divisions (行政区划): the reference tables and how customers write a region.

Here belongs what is true of places: which county lies in which city, which postcode and landline code agree with
it. Streets and doors are in `places.py`.

    rows = sample_divisions(rng, blocks)      # row numbers of all_divisions()
    sample_regions(rng, rows)                 # 省 市 县 as customers write them
"""

import functools
import re
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT
from cs_assets.atoms.columns import WeightedPools, draw, draw_kinds
from cs_assets.reference import reference_table

MUNICIPALITIES: Final = ("北京市", "天津市", "上海市", "重庆市")
# Ways to write a region, with how often customers use them (our estimate from the copy formats of shop apps, which
# write names in full, and typed messages, which drop 省 and 市 more often than 区).
REGION_STYLES: Final = {
    "full": 0.3,
    "app": 0.24,
    "short": 0.14,
    "short_city": 0.14,
    "short_province": 0.07,
    "city_short": 0.03,
    "county_short": 0.03,
    "spoken": 0.05,
}
# Which levels each style shortens; `app`, as shop apps do, only the province of a municipality (上海 上海市); `spoken`
# has the names of every day besides (内蒙, 锡盟, 恩施, 彭水县).
_SHORT_LEVELS: Final = {
    "full": "",
    "app": "",
    "short": "省市县",
    "short_city": "省市",
    "short_province": "省",
    "city_short": "市",
    "county_short": "县",
    "spoken": "省市县",
}
# What stands in the place of a district where a development zone owns the land.
ZONES: Final = (
    "高新区",
    "高新区",
    "高新区",
    "经开区",
    "经开区",
    "开发区",
    "开发区",
    "经济开发区",
    "工业园区",
    "经济技术开发区",
    "高新技术产业开发区",
    "高新技术开发区",
)
# Zones that have a name of their own, or a short one, by city; a customer of such a city names one of them as often as
# one of `ZONES`.
NAMED_ZONES: Final = {
    "珠海市": "横琴新区 横琴 横琴粤澳深度合作区",
    "深圳市": "大鹏新区 前海",
    "成都市": "天府新区 高新南区 东部新区",
    "西安市": "西咸新区 曲江新区 航天基地 沣东新城 浐灞生态区",
    "郑州市": "郑东新区 航空港区",
    "合肥市": "滨湖新区 新站区 政务区",
    "武汉市": "东湖高新区 武汉开发区",
    "长沙市": "湘江新区",
    "兰州市": "兰州新区",
    "贵阳市": "贵安新区 观山湖新区",
    "保定市": "雄安新区",
    "南京市": "江北新区",
    "苏州市": "苏州工业园区 园区 新区",
    "杭州市": "钱塘新区 下沙",
    "大连市": "金普新区 高新园区",
    "长春市": "净月区 汽开区 净月高新区",
    "青岛市": "西海岸新区 红岛经济区",
    "哈尔滨市": "松北新区",
    "赣州市": "蓉江新区",
    "昆明市": "滇池度假区",
    "洛阳市": "伊滨区",
    "海口市": "江东新区",
}
ZONE_NAMES: Final = frozenset((*ZONES, *" ".join(NAMED_ZONES.values()).split()))
# What no one shortens: without the last character it names no place.
_WHOLE: Final = (*ZONES, "新区", "市区", "矿区", "特区", "神农架林区", "族区", "族自治县")
# Shops ship where people live: districts of cities, the four municipalities most of all, and the two large cities
# without districts as much as the districts of others together.
_WEIGHTS: Final = {"municipality": 5.0, "district": 2.0, "other": 1.0}
_CITY_WEIGHTS: Final = {"东莞市": 12.0, "中山市": 6.0, "三沙市": 0.02}
# Parcels that leave the mainland, as a share of all: few mainland shops send any.
_OUTSIDE: Final = {"香港特别行政区": 0.003, "澳门特别行政区": 0.0005, "台湾省": 0.0015}
# A zone owns the land in about one address of fifteen in the districts of a city, but not in Shanghai.
_ZONE_SHARE: Final = 1 / 15
# How many regions are written without a level: usual ones, and those of county-level cities (江苏昆山, 义乌市).
_LEFT_OUT: Final = {"city": (0.08, 0.25), "county": (0.06, 0.0), "above": (0.05, 0.12)}
_NATIONS: Final = (
    "土家族|苗族|侗族|布依族|壮族|瑶族|彝族|藏族|羌族|傣族|景颇族|傈僳族|白族|哈尼族|回族|蒙古族?|哈萨克族?|朝鲜族|满族|畲族|"
    "黎族|柯尔克孜|独龙族|怒族|纳西族|普米族|拉祜族|佤族|布朗族|达斡尔族|各族|仡佬族|水族|仫佬族|毛南族|东乡族|保安族|撒拉族|土族|裕固族|锡伯|塔吉克"
)
_AUTONOMOUS_PLACE: Final = re.compile(f"(?:{_NATIONS})+自治(州|县|旗)$")
_AUTONOMOUS: Final = {
    "内蒙古自治区": "内蒙古",
    "广西壮族自治区": "广西",
    "西藏自治区": "西藏",
    "宁夏回族自治区": "宁夏",
    "新疆维吾尔自治区": "新疆",
    "香港特别行政区": "香港",
    "澳门特别行政区": "澳门",
}
# How people shorten a league or a banner; the rest of the names of every day follows from the official ones.
_SPOKEN: Final = {
    "内蒙古自治区": "内蒙",
    "锡林郭勒盟": "锡盟",
    "阿拉善盟": "阿盟",
    "昆都仑区": "昆区",
    "东乌珠穆沁旗": "东乌旗",
    "西乌珠穆沁旗": "西乌旗",
    "苏尼特右旗": "苏右旗",
    "苏尼特左旗": "苏左旗",
    "土默特右旗": "土右旗",
    "土默特左旗": "土左旗",
    "克什克腾旗": "克旗",
    "科尔沁左翼中旗": "科左中旗",
    "科尔沁左翼后旗": "科左后旗",
    "科尔沁右翼前旗": "科右前旗",
    "达尔罕茂明安联合旗": "达茂旗",
    "鄂温克族自治旗": "鄂温克旗",
}


@functools.lru_cache(maxsize=1)
def divisions() -> pl.DataFrame:
    """Return the mainland: code, province, city, county, area_code, postcode (strings; city or county may be empty)."""
    table = reference_table("divisions")
    return table.filter((pl.col("postcode") != "") & (pl.col("area_code") != "")).sort("code")


@functools.lru_cache(maxsize=1)
def all_divisions() -> pl.DataFrame:
    """Return the mainland, then Taiwan, Hong Kong and Macao, whose area_code is that of the country call (+852)."""
    outside = reference_table("outside_mainland").sort("code")
    return pl.concat([divisions(), outside.select(divisions().columns)])


@functools.lru_cache(maxsize=1)
def townships() -> pl.DataFrame:
    """Return county_code -> list of township names; in Hong Kong and Macao, of streets (旺角弥敦道)."""
    table = reference_table("townships").sort("county_code", "name")
    lists = table.group_by("county_code", maintain_order=True).agg("name")
    outside = reference_table("outside_mainland").sort("code").filter(pl.col("streets") != "")
    return pl.concat([lists, outside.select(county_code="code", name=pl.col("streets").str.split(" "))])


def sample_divisions(rng: np.random.Generator, blocks: np.ndarray) -> np.ndarray:
    """Draw one division a row, such that rows of different entity blocks never share a county.

    Args:
        rng: the generator to draw from.
        blocks: integer array (n,), the entity block of each row.

    Returns:
        integer array (n,), row numbers of `all_divisions()`.
    """
    return _owned_divisions().draw(rng, blocks)


@functools.lru_cache(maxsize=1)
def _owned_divisions() -> WeightedPools:
    table = all_divisions()
    return WeightedPools(_weights(table), np.arange(table.height) % BLOCK_COUNT)


def _weights(table: pl.DataFrame) -> np.ndarray:
    """Return how often each division is drawn; the mainland's weights sum to 1."""
    kind = (
        pl.when(pl.col("province").is_in(list(MUNICIPALITIES)))
        .then(_WEIGHTS["municipality"])
        .when(pl.col("city").is_in(list(_CITY_WEIGHTS)))
        .then(pl.col("city").replace_strict(_CITY_WEIGHTS, default=None, return_dtype=pl.Float64))
        .when(pl.col("county").str.ends_with("区"))
        .then(_WEIGHTS["district"])
        .otherwise(_WEIGHTS["other"])
    )
    share = pl.col("province").replace_strict(_OUTSIDE, default=None, return_dtype=pl.Float64)
    mainland = kind / kind.filter(share.is_null()).sum()
    return table.select(pl.coalesce(share / pl.len().over("province"), mainland)).to_series().to_numpy()


def sample_townships(rng: np.random.Generator, rows: np.ndarray) -> pl.Series:
    """Draw one of the `townships()` of each division, empty where none is known.

    Args:
        rng: the generator to draw from.
        rows: integer array (n,), row numbers of `all_divisions()`.
    """
    names, starts, counts = _townships_by_row()
    return names.gather(starts[rows] + (rng.random(len(rows)) * counts[rows]).astype(np.int64))


@functools.lru_cache(maxsize=1)
def _townships_by_row() -> tuple[pl.Series, np.ndarray, np.ndarray]:
    """Return all names, division by division (an empty one for none), where each division's begin, and how many."""
    lists = all_divisions().join(townships(), left_on="code", right_on="county_code", how="left", maintain_order="left")
    names = lists["name"].fill_null([""])
    counts = names.list.len().to_numpy().astype(np.int64)
    return names.explode(), np.cumsum(counts) - counts, counts


def sample_regions(rng: np.random.Generator, rows: np.ndarray) -> pl.DataFrame:
    """Draw how each region is written: 省, 市, 县 (each may be empty).

    Args:
        rng: the generator to draw from.
        rows: integer array (n,), row numbers of `all_divisions()`.
    """
    styles = draw_kinds(rng, REGION_STYLES, len(rows))
    levels = rng.random(len(rows)) < 0.25
    written = written_regions()[(rows * len(REGION_STYLES) + styles) * 2 + levels]
    zoned = pl.Series(rng.random(len(rows)) < _ZONE_SHARE) & pl.col("zonable")
    return written.select("省", "市", 县=pl.when(zoned).then(_sample_zones(rng, rows)).otherwise("县"))


def without_levels(rng: np.random.Generator, rows: np.ndarray, regions: pl.DataFrame) -> pl.DataFrame:
    """Leave out levels of some regions: the city, the district, or all above the county; see `_LEFT_OUT`.

    A zone names no place without its city, and outside the mainland regions are short as they are.

    Args:
        rng: the generator to draw from.
        rows: integer array (n,), row numbers of `all_divisions()`.
        regions: what `sample_regions` gave for them.
    """
    at = all_divisions()[rows].select("province", "city", "county", abroad=pl.col("area_code").str.starts_with("+"))
    told = pl.concat([regions, at], how="horizontal").with_columns(drawn=pl.Series(rng.random(len(rows))))
    whole = (pl.col("市") != "") & (pl.col("县") != "") & ~pl.col("abroad") & ~pl.col("县").is_in(ZONE_NAMES)
    city_level, district = pl.col("county").str.ends_with("市"), pl.col("county").str.ends_with("区")
    municipal = pl.col("province").is_in(list(MUNICIPALITIES))
    city_share, county_share, above_share = (
        pl.when(city_level).then(pl.lit(often)).otherwise(pl.lit(usual)) for usual, often in _LEFT_OUT.values()
    )
    no_above = whole & (pl.col("drawn") < above_share)
    no_city = whole & ~municipal & pl.col("drawn").is_between(0.3, 0.3 + city_share, closed="left")
    no_county = whole & district & pl.col("drawn").is_between(0.9, 0.9 + county_share, closed="left")
    return told.select(
        省=pl.when(no_above).then(pl.lit("")).otherwise("省"),
        市=pl.when(no_above | no_city).then(pl.lit("")).otherwise("市"),
        县=pl.when(no_county).then(pl.lit("")).otherwise("县"),
    )


def sample_neighbours(rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
    """Draw another county of the same city for each row, the row itself where there is none.

    Args:
        rng: the generator to draw from.
        rows: integer array (n,), row numbers of `all_divisions()`.

    Returns:
        integer array (n,), row numbers of `all_divisions()`.
    """
    ordered, starts, counts, positions = _rows_by_city()
    steps = 1 + (rng.random(len(rows)) * (counts[rows] - 1)).astype(np.int64)
    return ordered[starts[rows] + (positions[rows] + steps) % counts[rows]]


@functools.lru_cache(maxsize=1)
def _rows_by_city() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return all rows city by city, and of each row where its city's begin, how many they are and which it is."""
    table = all_divisions().with_row_index("row").sort("province", "city", "row")
    own = pl.col("row").cum_count().over("province", "city") - 1
    table = table.with_columns(at=pl.int_range(pl.len()) - own, count=pl.len().over("province", "city"), own=own)
    by_row = table.sort("row").select(pl.col("at", "count", "own").cast(pl.Int64))
    starts, counts, positions = (by_row[name].to_numpy() for name in ("at", "count", "own"))
    return table["row"].to_numpy().astype(np.int64), starts, counts, positions


def _sample_zones(rng: np.random.Generator, rows: np.ndarray) -> pl.Series:
    """Draw a zone for the city of each row."""
    named = all_divisions()[rows].select(pl.col("city").replace_strict(NAMED_ZONES, default="").str.split(" "))
    own = named.select(pl.col("city").list.get(pl.lit(rng.integers(0, 60, len(rows))) % pl.col("city").list.len()))
    own_chosen = pl.Series(rng.random(len(rows)) < 0.5) & (pl.col("city") != "")
    return own.select(pl.when(own_chosen).then("city").otherwise(draw(rng, ZONES, len(rows)))).to_series()


@functools.lru_cache(maxsize=1)
def written_regions() -> pl.DataFrame:
    """Return each row of `all_divisions()` in each style of `REGION_STYLES`, a municipality on one level, then on two.

    Columns: 省, 市, 县, and `zonable`, whether a zone may stand in the place of 县.
    """
    written = [
        (
            *written_region(province, city, county, style, names_level),
            city.endswith("市") and county.endswith("区") and province not in (*_OUTSIDE, "上海市"),
        )
        for province, city, county in all_divisions().select("province", "city", "county").iter_rows()
        for style in REGION_STYLES
        for names_level in (False, True)
    ]
    return pl.DataFrame(written, schema=["省", "市", "县", "zonable"], orient="row")


def short_province(name: str) -> str:
    """Return the province without its suffix: 广东省 -> 广东, 广西壮族自治区 -> 广西."""
    return _AUTONOMOUS.get(name, name.removesuffix("省").removesuffix("市"))


def written_region(province: str, city: str, county: str, style: str, names_level: bool) -> tuple[str, str, str]:
    """Write a region as a customer would.

    Args:
        province, city, county: official names; city or county may be empty.
        style: a key of `REGION_STYLES`.
        names_level: whether a municipality is named on both levels, as shop apps do (北京 北京市 朝阳区).

    Returns:
        (省, 市, 县) as written; 省 is empty for a municipality unless `names_level`.
    """
    if province in _OUTSIDE:
        return _written_outside(province, city, county, style)
    levels, spoken = _SHORT_LEVELS[style], style == "spoken"
    official, short_city = province, _spoken(city) if spoken else _without_suffix(city, "市")
    if f"{short_city}省" == province:
        short_city = city  # 吉林市 of 吉林省
    if "省" in levels or (province in MUNICIPALITIES and style == "app"):
        province = _SPOKEN.get(province, short_province(province)) if spoken else short_province(province)
    if official in MUNICIPALITIES and not names_level:
        province = ""
    if "市" in levels:
        city = short_city
    if "县" in levels:
        short = _spoken(county) if spoken else _without_suffix(county, "区县市")
        county = county if short == short_city else short  # 新乡县 beside 新乡, as 新乡新乡 names nothing
    return province, city, county


def _written_outside(province: str, city: str, county: str, style: str) -> tuple[str, str, str]:
    """Write Hong Kong, Macao or Taiwan.

    Apps name every level (香港特别行政区九龙油尖旺区), people fewer (香港九龙旺角). The main island and the
    peninsula go without saying: 香港中西区, 澳门黑沙环马路.
    """
    if style in ("full", "app"):
        return province, city, county
    short = short_province(province)
    if province == "台湾省":
        return short, city if style == "short" else _without_suffix(city, "市"), county
    return short, "" if city in ("港岛", "澳门半岛") else city, county if style == "short_city" else ""


def _spoken(name: str) -> str:
    """Shorten as in talk: 恩施土家族苗族自治州 -> 恩施, 喀什地区 -> 喀什, 彭水苗族土家族自治县 -> 彭水县."""
    if (stem := _AUTONOMOUS_PLACE.sub("", name)) != name and len(stem) > 1 and name.endswith("州"):
        return stem
    return _SPOKEN.get(name) or _without_suffix(name.removesuffix("地区"), "区县市")


def _without_suffix(name: str, suffixes: str) -> str:
    """Shorten where the rest still names the place; zones stay.

    南山区 -> 南山, 恩施土家族苗族自治州 -> 恩施州, but 北区 -> 北区.
    """
    shorter = _AUTONOMOUS_PLACE.sub(r"\1", name)
    if shorter != name and len(shorter) >= 3:
        return shorter
    return name[:-1] if len(name) >= 3 and name[-1] in suffixes and not name.endswith(_WHOLE) else name
