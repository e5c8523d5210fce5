"""Administrative divisions (行政区划): the reference tables and how customers write a region.

Here belongs what is true of places: which county lies in which city, which postcode and landline code agree with
it. Streets and doors are in `places.py`.
"""

import functools
import re
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

REFERENCE: Final = Path(__file__).resolve().parents[2] / "data" / "reference"
MUNICIPALITIES: Final = ("北京市", "天津市", "上海市", "重庆市")
# Ways to write a region, with how often customers use them (our estimate from the copy formats of shop apps, which
# write names in full, and typed messages, which drop 省 and 市 more often than 区).
REGION_STYLES: Final = {"full": 0.62, "short": 0.2, "short_city": 0.18}
# What stands in the place of a district where a development zone owns the land.
ZONES: Final = ("高新区", "经济开发区", "开发区", "工业园区", "经开区")
# What no one shortens: without the last character it names no place.
_WHOLE: Final = (*ZONES, "新区", "市区", "矿区", "特区", "神农架林区", "族区", "族自治县")
# Shops ship where people live: districts of cities, and the four municipalities most of all.
_WEIGHTS: Final = {"municipality": 5.0, "district": 2.0, "other": 1.0}
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


@functools.lru_cache(maxsize=1)
def divisions() -> pl.DataFrame:
    """Return the committed table: code, province, city, county, area_code, postcode (all strings, may be empty).

    Places without a postcode or landline code (Hong Kong, Macao, Taiwan) are left out: a parcel of a mainland shop
    needs both.
    """
    table = pl.read_csv(REFERENCE / "divisions.csv", infer_schema=False).with_columns(pl.all().fill_null(""))
    return table.filter((pl.col("postcode") != "") & (pl.col("area_code") != "")).sort("code")


@functools.lru_cache(maxsize=1)
def townships() -> pl.DataFrame:
    """Return the committed table county_code -> list of township names."""
    table = pl.read_csv(REFERENCE / "townships.csv", infer_schema=False)
    return table.sort("county_code", "name").group_by("county_code", maintain_order=True).agg("name")


def sample_divisions(rng: np.random.Generator, blocks: np.ndarray, block_count: int) -> pl.DataFrame:
    """Draw one division a row, such that rows of different entity blocks never share a county.

    Args:
        rng: the generator to draw from.
        blocks: int array (n,), the entity block of each row, in [0, block_count).
        block_count: how many blocks there are.

    Returns:
        n rows of `divisions()`, with `township` (may be empty).
    """
    table = divisions().with_row_index("row")
    weights = _weights(table)
    pools = [np.flatnonzero(np.arange(table.height) % block_count == block) for block in range(block_count)]
    bounds = [np.cumsum(weights[pool]) / weights[pool].sum() for pool in pools]
    positions = rng.random(len(blocks))
    rows = np.array([pools[b][np.searchsorted(bounds[b], p)] for b, p in zip(blocks, positions, strict=True)])
    drawn = table.drop("row")[rows].join(townships(), left_on="code", right_on="county_code", how="left")
    names = drawn["name"].to_list()
    picks = rng.random(len(blocks))
    chosen = [n[int(p * len(n))] if n else "" for n, p in zip(names, picks, strict=True)]
    return drawn.drop("name").with_columns(pl.Series("township", chosen, dtype=pl.String))


def _weights(table: pl.DataFrame) -> np.ndarray:
    """Return how often each division is drawn, relative to a plain county."""
    kind = (
        pl.when(pl.col("province").is_in(list(MUNICIPALITIES)))
        .then(pl.lit(_WEIGHTS["municipality"]))
        .when(pl.col("county").str.ends_with("区"))
        .then(pl.lit(_WEIGHTS["district"]))
        .otherwise(pl.lit(_WEIGHTS["other"]))
    )
    return table.select(kind).to_series().to_numpy()


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
    if province in MUNICIPALITIES:
        province = short_province(province) if names_level else ""
    if style == "full":
        return province, city, county
    short_city = _without_suffix(city, "市")
    if f"{short_city}省" == province:
        short_city = city  # 吉林市 of 吉林省
    if style == "short" and (short := _without_suffix(county, "区县市")) != short_city:
        county = short  # but 新乡县 beside 新乡, as 新乡新乡 names nothing
    return short_province(province), short_city, county


def _without_suffix(name: str, suffixes: str) -> str:
    """Shorten where the rest still names the place; zones stay.

    南山区 -> 南山, 恩施土家族苗族自治州 -> 恩施州, but 北区 -> 北区.
    """
    shorter = _AUTONOMOUS_PLACE.sub(r"\1", name)
    if shorter != name and len(shorter) >= 3:
        return shorter
    return name[:-1] if len(name) >= 3 and name[-1] in suffixes and not name.endswith(_WHOLE) else name
