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

from cs_assets.atoms.divisions import REGION_STYLES, ZONES, sample_divisions, written_region
from cs_assets.atoms.people import sample_names, sample_phones
from cs_assets.atoms.places import sample_details

BLOCK_COUNT: Final = 10
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


def shipping_atoms(count: int, seed: int) -> pl.DataFrame:
    """Make `count` coherent rows.

    Columns: atom_id (u32), entity_block (u8, 0 to 9: blocks share no county and no full name), the slots of the
    bundle (strings, nested in structs as templates name them), and the official division (struct `_official`) that
    the coherence check compares with.
    """
    rng = np.random.default_rng([seed, count])
    blocks = rng.integers(0, BLOCK_COUNT, count).astype(np.uint8)
    places, regions, details = _places(rng, blocks)
    # The old address is drawn from the same block: it is as plausible as the new one, and leaks no held-out county.
    _, old_regions, old_details = _places(rng, blocks)
    area_codes = places["area_code"].to_list()
    return pl.DataFrame(
        {
            "atom_id": np.arange(count, dtype=np.uint32),
            "entity_block": blocks,
            "名字": [{"param": {"输出": name}} for name in sample_names(rng, blocks, BLOCK_COUNT, seed)],
            "电话": sample_phones(rng, area_codes),
            "邮编": _delivery_postcodes(rng, places["postcode"].to_list()),
            "地址": [{"param": {"省": p, "市": c, "县": d}} for p, c, d in regions],
            "详细地址": details,
            "含地区的详细地址": _joined(regions, details),
            "订单号": ["".join(map(str, row)) for row in rng.integers(1, 10, (count, 18))],
            "商品": _draw(rng, _PRODUCTS, count),
            "配送备注": _draw(rng, _NOTES, count),
            "送达时间": _draw(rng, _TIMES, count),
            "旧电话": sample_phones(rng, area_codes),
            "旧地址": _joined(old_regions, old_details),
            "_official": places.select("code", "province", "city", "county", "area_code", "postcode").to_dicts(),
        }
    )


Region = tuple[str, str, str]


def _places(rng: np.random.Generator, blocks: np.ndarray) -> tuple[pl.DataFrame, list[Region], list[str]]:
    """Draw divisions, how their regions are written, and details within them."""
    places = sample_divisions(rng, blocks, BLOCK_COUNT)
    regions = _written_regions(rng, places)
    urban = [c.endswith("区") or r[2] in ZONES for c, r in zip(places["county"], regions, strict=True)]
    return places, regions, sample_details(rng, places["township"].to_list(), urban)


def _joined(regions: list[Region], details: list[str]) -> list[str]:
    return ["".join(region) + detail for region, detail in zip(regions, details, strict=True)]


def _written_regions(rng: np.random.Generator, places: pl.DataFrame) -> list[Region]:
    count = places.height
    styles = rng.choice(list(REGION_STYLES), count, p=list(REGION_STYLES.values()))
    levels = rng.random(count) < 0.25
    zones = rng.random(count)
    regions = []
    for row, style, names_level, zone in zip(places.iter_rows(named=True), styles, levels, zones, strict=True):
        # A zone replaces the district in about one address of thirty, where a city is there to own it.
        district = (
            ZONES[int(zone * 30 * len(ZONES))] if zone < 1 / 30 and row["city"] and row["county"] else row["county"]
        )
        regions.append(written_region(row["province"], row["city"], district, style, bool(names_level)))
    return regions


def _delivery_postcodes(rng: np.random.Generator, postcodes: list[str]) -> list[str]:
    """Vary the last two digits, the delivery office: the first four, province, zone and county, stay the place's."""
    offices = rng.integers(0, 60, len(postcodes))
    return [f"{postcode[:4]}{office:02d}" for postcode, office in zip(postcodes, offices, strict=True)]


def _draw(rng: np.random.Generator, options: list[str], count: int) -> list[str]:
    return [options[i] for i in rng.integers(0, len(options), count)]
