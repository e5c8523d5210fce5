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
from cs_assets.atoms.columns import compose, draw, joined
from cs_assets.atoms.divisions import (
    ZONE_NAMES,
    all_divisions,
    sample_divisions,
    sample_neighbours,
    sample_regions,
    sample_townships,
    without_levels,
)
from cs_assets.atoms.numbers import sample_money
from cs_assets.atoms.people import sample_names, sample_phones
from cs_assets.atoms.places import PART_MARK, sample_details, sample_parted_details

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
    "下午2点半以后送",
    "12号之前先别发",
    "小区不让进车，到门口打我电话",
    "外面再套个袋子",
    "到付的话先跟我说",
    "要先拆开看了再签收",
    "只能周一到周五送",
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
    "15号前",
    "20号之前",
    "8月10号前",
]
# How people keep the parts of a detail apart, with how often (our estimate): what is replaced, one after the other;
# marks that are left vanish.
_MARK: Final = PART_MARK
_PART: Final = f"[^{PART_MARK}]*"
_FIRST: Final = (rf"^({_PART}){_MARK}", "${1} ")
_LAST: Final = (rf"{_MARK}({_PART})$", " ${1}")
_ROUND_NUMBERS: Final = ((r"(\p{Han})(\d)", "${1} ${2}"), (r"(\d)(\p{Han})", "${1} ${2}"))
_GAPS: Final[tuple[tuple[float, tuple[tuple[str, str], ...]], ...]] = (
    (0.585, ()),
    (0.04, (_FIRST,)),
    (0.04, (_LAST,)),
    (0.03, (_FIRST, _LAST)),
    (0.035, ((rf"{_MARK}(\p{{Han}})", " ${1}"),)),
    (0.025, ((rf"{_MARK}([\dA-Z])", " ${1}"),)),
    (0.035, ((rf"{_MARK}({_PART}){_MARK}", "${1} "),)),
    (0.035, ((rf"{_MARK}({_PART}){_MARK}", " ${1}"),)),
    (0.08, ((_MARK, " "),)),
    (0.02, ((_MARK, " "), *_ROUND_NUMBERS)),
    (0.015, (_FIRST, (_MARK, ""), *_ROUND_NUMBERS)),
    (0.015, ((_MARK, ""), *_ROUND_NUMBERS)),
    (0.005, ((_MARK, "\u3000"),)),
    (0.005, ((_MARK, "  "),)),
    (0.015, ((rf"^({_PART}){_MARK}", "${1}，"),)),
    (0.01, ((rf"^({_PART}){_MARK}", "${1}，"), (_MARK, " "))),
    (0.005, ((_MARK, "，"),)),
    (0.005, ((rf"^({_PART}){_MARK}", "${1}、"),)),
)
_UNITS: Final = "打 箱 箱 盒 盒 件 件 个 个 袋 袋 包 套"
_LAST_NUMBER: Final = r"^(.*?)(\d+)(\D*)$"


def shipping_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make the `count` coherent rows of one chunk.

    Columns: atom_id (u32), entity_block (u8, 0 to 9: blocks share no county but in 旧县, and no full name), the slots
    of the bundle (strings, nested in structs as templates name them), and the official division (struct `_official`)
    that the coherence check compares with. Phones, names and addresses may hold spaces, as typed.

    Args:
        count: rows, at most `CHUNK_ROWS`.
        seed: the scenario's.
        chunk: which part of the table; its first row has the atom_id chunk * CHUNK_ROWS.
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    divisions = sample_divisions(rng, blocks)
    official = all_divisions()[divisions]
    regions = without_levels(rng, divisions, sample_regions(rng, divisions))
    places = _places(rng, divisions, regions)
    names = sample_names(rng, blocks)
    orders = pl.Series(rng.integers(10**17, 10**18, count)).cast(pl.String)
    # The old address is drawn from the same block: it is as plausible as the new one, and leaks no held-out county.
    moved = sample_divisions(rng, blocks)
    old = _places(rng, moved, sample_regions(rng, moved))
    return pl.DataFrame(
        {
            "atom_id": atom_ids(chunk, count),
            "entity_block": blocks,
            "名字": _nested("输出", _spaced_names(names)),
            "电话": sample_phones(rng, official["area_code"]),
            "邮编": _delivery_postcodes(rng, official["postcode"]),
            "地址": places.select(param=pl.struct("省", "市", "县")).to_struct(),
            "详细地址": places["detail"],
            "含地区的详细地址": _joined(places),
            "订单号": orders,
            "商品": draw(rng, _PRODUCTS, count),
            "配送备注": draw(rng, _NOTES, count),
            "送达时间": draw(rng, _TIMES, count),
            "旧电话": sample_phones(rng, official["area_code"]),
            "旧地址": _joined(old),
            "备用电话": sample_phones(rng, official["area_code"]),
            "旧名字": _spaced_names(_other_names(rng, blocks, names)),
            "旧县": _wrong_counties(rng, divisions, regions),
            "旧门牌": _wrong_details(rng, divisions, places),
            "订单尾号": orders.str.tail(4),
            "身份证号": _identity_numbers(rng, official["code"]),
            "数量": pl.Series(rng.integers(1, 60, count)).cast(pl.String) + draw(rng, _UNITS.split(), count),
            "金额": sample_money(rng, count, 5, 3000)["said"],
            "_official": official.to_struct(),
        }
    )


def _nested(name: str, values: pl.Series) -> pl.Series:
    """Nest as templates name it: {"param": {name: value}}."""
    return pl.select(pl.struct(param=pl.struct(values.alias(name)))).to_series()


def _places(rng: np.random.Generator, divisions: np.ndarray, regions: pl.DataFrame) -> pl.DataFrame:
    """Return 省 市 县 as written, and a detail within each, with the gaps that people type."""
    details = sample_parted_details(rng, divisions, sample_townships(rng, divisions), regions["县"])
    return regions.with_columns(detail=_with_gaps(rng, details))


def _with_gaps(rng: np.random.Generator, parted: pl.Series) -> pl.Series:
    """Keep the parts of each detail apart in one of the ways of `_GAPS`."""
    shares = np.array([share for share, _ in _GAPS])
    ways = rng.choice(len(_GAPS), len(parted), p=shares / shares.sum()).astype(np.uint8)
    spellings = []
    for _, replacements in _GAPS:
        written = pl.col("detail")
        for pattern, replacement in (*replacements, (_MARK, "")):
            written = written.str.replace_all(pattern, replacement)
        spellings.append(written)
    return compose(pl.DataFrame({"detail": parted}), ways, spellings)


def _other_names(rng: np.random.Generator, blocks: np.ndarray, names: pl.Series) -> pl.Series:
    """Draw names until each is another than the row's."""
    others = sample_names(rng, blocks)
    while (again := (others == names).arg_true()).len():
        others = others.scatter(again, sample_names(rng, blocks[again.to_numpy()]))
    return others


def _wrong_counties(rng: np.random.Generator, divisions: np.ndarray, regions: pl.DataFrame) -> pl.Series:
    """Draw what was written first by mistake: another county of the city, empty where none is written or there is none.

    It may be a county of a held-out block: it is never an answer.
    """
    others = sample_neighbours(rng, divisions)
    wrong = sample_regions(rng, others)["县"]
    none = (regions["县"] == "") | pl.Series(others == divisions) | (wrong == regions["县"])
    return wrong.set(none | wrong.is_in(ZONE_NAMES), "")


def _wrong_details(rng: np.random.Generator, divisions: np.ndarray, places: pl.DataFrame) -> pl.Series:
    """Return each detail as it was typed first: with another last number, or where it has none, another detail."""
    others = sample_details(rng, divisions, sample_townships(rng, divisions), places["县"])
    number = pl.col("detail").str.extract(_LAST_NUMBER, 2)
    value = number.cast(pl.Int64)
    # Neither room 1500 nor 119 metres.
    step = pl.when((value % 10 == 0) & (value > 10)).then(10).otherwise(1)
    neighbour = pl.when(value % 10 < 2).then(value + step).otherwise(value - step)
    padded = neighbour.cast(pl.String).str.pad_start(number.str.len_bytes(), "0")
    renumbered = pl.col("detail").str.extract(_LAST_NUMBER, 1) + padded + pl.col("detail").str.extract(_LAST_NUMBER, 3)
    same = pl.lit(others) == pl.col("detail")
    other = pl.when(same).then(pl.lit(others) + "旁边").otherwise(pl.lit(others))
    return places.select(pl.coalesce(renumbered, other)).to_series()


def _identity_numbers(rng: np.random.Generator, codes: pl.Series) -> pl.Series:
    """Draw county, birthday, serial number and any check digit: most numbers are nobody's."""
    days = pl.Series(rng.integers(-7300, 13_000, len(codes)).astype(np.int32)).cast(pl.Date).dt.strftime("%Y%m%d")
    serials = pl.Series(rng.integers(1000, 2000, len(codes))).cast(pl.String).str.tail(3)
    return codes.str.head(6).str.pad_end(6, "0") + days + serials + draw(rng, list("0123456789X"), len(codes))


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
