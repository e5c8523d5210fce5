"""The bundle `shipping`: everything that one message about where to send a parcel may name.

One row is one customer: name, phone, postcode, region and detail agree with each other. Distractors (order number,
product, delivery note, the old address ...) stand beside them, for templates that mention what must not be
extracted.

    table = shipping_atoms(count=3, seed=7)
    table["地址"][0]   # {"param": {"省": "广东省", "市": "深圳市", "县": "南山区"}}
"""

from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import atom_ids, sample_blocks
from cs_assets.atoms.columns import draw, joined
from cs_assets.atoms.divisions import all_divisions, sample_divisions, sample_regions, sample_townships
from cs_assets.atoms.people import sample_names, sample_phones
from cs_assets.atoms.places import sample_details

_PRODUCTS: Final = [
    "保温杯",
    "蓝牙耳机",
    "充电宝",
    "电饭煲",
    "运动鞋",
    "连衣裙",
    "键盘",
    "台灯",
    "书包",
    "洗发水",
    "奶粉",
    "羽绒服",
    "手机壳",
    "投影仪",
    "空气炸锅",
    "四件套",
    "猫粮",
    "茶叶",
    "雨伞",
    "行李箱",
    "电动牙刷",
    "内存条",
    "显示器",
    "儿童座椅",
    "瑜伽垫",
]
_NOTES: Final = [
    "放门口就行",
    "到了打电话",
    "放门卫那里",
    "送货上门",
    "放快递柜",
    "周末再送",
    "不要放驿站",
    "发顺丰",
    "包装好一点",
    "尽快发货",
    "放菜鸟驿站",
    "别按门铃宝宝在睡觉",
    "提前联系",
    "工作日送",
    "易碎轻放",
]
_TIMES: Final = [
    "今晚",
    "明天上午",
    "明天下午",
    "后天",
    "周五前",
    "这周末",
    "下周一",
    "月底前",
    "中午12点前",
    "晚上7点以后",
]
# How many details have a space behind the township only, one between all parts, or a comma behind the township.
_TOWNSHIP_APART: Final = 0.06
_PARTS_APART: Final = 0.08
_COMMA: Final = 0.02
_TOWNSHIP: Final = r"^(\p{Han}{1,8}(?:街道|镇|乡))([^镇街路]..)"
_PART_END: Final = (
    r"(街道|[路街]\d+号院?|小区|花园|家园|公寓|大厦|广场|\d[栋幢座]|号楼|单元|产业园|村)([\p{Han}\dA-Z]{2})"
)


def shipping_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make the `count` coherent rows of one chunk.

    Columns: atom_id (u32), entity_block (u8, 0 to 9: blocks share no county and no full name), the slots of the
    bundle (strings, nested in structs as templates name them), and the official division (struct `_official`) that
    the coherence check compares with. Phones, names and addresses may hold spaces, as typed.

    Args:
        count: rows, at most `CHUNK_ROWS`.
        seed: the scenario's.
        chunk: which part of the table; its first row has the atom_id chunk * CHUNK_ROWS.
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    divisions = sample_divisions(rng, blocks)
    official = all_divisions()[divisions]
    places = _places(rng, divisions)
    # The old address is drawn from the same block: it is as plausible as the new one, and leaks no held-out county.
    old = _places(rng, sample_divisions(rng, blocks))
    return pl.DataFrame(
        {
            "atom_id": atom_ids(chunk, count),
            "entity_block": blocks,
            "名字": _nested("输出", _spaced_names(sample_names(rng, blocks))),
            "电话": sample_phones(rng, official["area_code"]),
            "邮编": _delivery_postcodes(rng, official["postcode"]),
            "地址": places.select(param=pl.struct("省", "市", "县")).to_struct(),
            "详细地址": places["detail"],
            "含地区的详细地址": _joined(places),
            "订单号": pl.Series(rng.integers(10**17, 10**18, count)).cast(pl.String),
            "商品": draw(rng, _PRODUCTS, count),
            "配送备注": draw(rng, _NOTES, count),
            "送达时间": draw(rng, _TIMES, count),
            "旧电话": sample_phones(rng, official["area_code"]),
            "旧地址": _joined(old),
            "_official": official.to_struct(),
        }
    )


def _nested(name: str, values: pl.Series) -> pl.Series:
    """Nest as templates name it: {"param": {name: value}}."""
    return pl.select(pl.struct(param=pl.struct(values.alias(name)))).to_series()


def _places(rng: np.random.Generator, divisions: np.ndarray) -> pl.DataFrame:
    """Draw how the region of each division is written, 省 市 县, and a detail within it."""
    regions = sample_regions(rng, divisions)
    details = sample_details(rng, divisions, sample_townships(rng, divisions), regions["县"])
    return regions.with_columns(detail=_spaced(rng, details))


def _spaced(rng: np.random.Generator, details: pl.Series) -> pl.Series:
    """Put the spaces that people type into some details: behind the township, or between all its parts."""
    drawn, detail = pl.lit(pl.Series(rng.random(len(details)))), pl.lit(details)
    spaced = (
        pl.when(drawn < _TOWNSHIP_APART)
        .then(detail.str.replace(_TOWNSHIP, "$1 $2"))
        .when(drawn < _TOWNSHIP_APART + _PARTS_APART)
        .then(detail.str.replace_all(_PART_END, "$1 $2"))
        .when(drawn > 1 - _COMMA)
        .then(detail.str.replace(_TOWNSHIP, "$1，$2"))
        .otherwise(detail)
    )
    return pl.select(spaced).to_series()


def _spaced_names(names: pl.Series) -> pl.Series:
    """Put the space into KevinLau."""
    return names.str.replace("([a-z])([A-Z])", "$1 $2")


def _joined(places: pl.DataFrame) -> pl.Series:
    return places.select(joined("省", "市", "县", "detail")).to_series()


def _delivery_postcodes(rng: np.random.Generator, postcodes: pl.Series) -> pl.Series:
    """Vary the last two digits, the delivery office: the first four, province, zone and county, stay the place's.

    Half of the customers in Taiwan, whose postcodes have three digits, leave it out.
    """
    offices = draw(rng, [f"{office:02d}" for office in range(60)], len(postcodes))
    left_out = pl.Series(rng.random(len(postcodes)) < 0.5)
    postcode = pl.lit(postcodes)
    written = (
        pl.when(postcode.str.len_bytes() == 6)
        .then(postcode.str.head(4) + offices)
        .when(left_out)
        .then(pl.lit(""))
        .otherwise(postcode)
    )
    return pl.select(written).to_series()
