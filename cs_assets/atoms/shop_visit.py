"""The bundle `shop_visit`: what one customer wants of an accessory shop, and what else that customer might say.

One row is one customer: a device, an accessory that the shop sells for such devices, a specification, a quantity, a
time and a place, each as it is said. Beside each stands another value of the same kind (旧), for what is corrected or
changed, and things that are named and not wanted (旁). What the shop answers is looked up when a session is composed.

    table = shop_visit_atoms(count=3, seed=7)
    table["设备"][0], table["旧"][0]["设备"]     # 拯救者Y7000P, 天选4

Entity blocks own their devices and cities. Accessories, times and quantities are few, and shared by all.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import polars as pl

from cs_assets import catalogue
from cs_assets.atoms.blocks import BLOCK_COUNT, atom_ids, sample_blocks
from cs_assets.atoms.columns import WeightedPools, draw
from cs_assets.atoms.products import compatible, destinations, devices, stock
from cs_assets.reference import reference_table

# 主板 are bought for desktops.
_KINDS: Final = {"主板": "台式机"}
_WAREHOUSE_SHARE: Final = 0.45
# How a place is said: the bare city, with 市, with a district.
_PLACE_STYLES: Final = (0.75, 0.1, 0.15)
# How many pieces are wanted, how often (assumptions); a company wants more than some warehouses hold.
_QUANTITIES: Final = {1: 0.22, 2: 0.36, 3: 0.14, 4: 0.08, 5: 0.07, 10: 0.06, 20: 0.05, 50: 0.02}
_NUMERALS: Final = ("一", "两", "三", "四", "五", "十", "二十", "五十")
_THINGS: Final = (
    "键盘",
    "鼠标",
    "音箱",
    "耳机",
    "路由器",
    "摄像头",
    "台灯",
    "鼠标垫",
    "插线板",
    "散热器",
    "手柄",
    "麦克风",
)
_POINTERS: Final = ("第一个", "第二款", "便宜的那个", "最贵的那款")


def shop_visit_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make `count` coherent rows.

    Columns: atom_id (u32), entity_block (u8, 0 to 9: blocks share no device and no city), the slots of the bundle
    (strings; 旧 and 旁 are structs), `_other_accessory` (specification, quantity and verb that go with the accessory in
    旧), and `_entities` (device_id, other_device_id, category, other_category: what the words stand for).
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    owned = _devices_and_accessories(rng, blocks)
    sizes = _specifications(rng, owned)
    times = _two_times(rng, count)
    places = _three_places(rng, blocks)
    quantities = _quantities(rng, owned["category"], owned["other_category"])
    verbs = [_said_for(rng, owned[name], "verb") for name in ("category", "other_category")]
    accessories = _said_accessories(rng, owned)
    spoken = {"配件": accessories, "规格": sizes, "数量": quantities, "时间": times, "地点": places}
    said, old = (
        pl.DataFrame({"设备": owned[device], **{slot: values[which] for slot, values in spoken.items()}})
        for which, device in enumerate(("said", "other_said"))
    )
    other = pl.DataFrame({"规格": sizes[2], "数量": quantities[2], "动作": verbs[1]})
    return pl.DataFrame(
        {
            "atom_id": atom_ids(chunk, count),
            "entity_block": blocks,
            **said.to_dict(),
            "动作": verbs[0],
            "指代": draw(rng, _POINTERS, count),
            "旧": old.to_struct(),
            "旁": pl.DataFrame({"物品": draw(rng, _THINGS, count), "地点": places[2]}).to_struct(),
            "_other_accessory": other.to_struct(),
            "_entities": owned.select("device_id", "other_device_id", "category", "other_category").to_struct(),
        }
    )


# --- Devices and accessories


@lru_cache(maxsize=1)
def _owned() -> pl.DataFrame:
    """Return every device that takes two kinds of accessory, dealt to blocks by twos of a kind.

    Columns: device_id, spoken (list), block, sibling (row of another device of the same kind and block), categories.
    """
    kinds = compatible().filter(pl.col("category").is_in(list(catalogue.accessories())))
    takes = kinds.group_by("device_id").agg(categories=pl.col("category").unique().sort())
    table = (
        devices()
        .select("device_id", pl.col("spoken").str.split("|"), kind=pl.col("kind").replace(_KINDS))
        .join(takes.filter(pl.col("categories").list.len() > 1), on="device_id")
        .filter(pl.len().over("kind") > 1)
        .sort("kind", "device_id")
        .with_columns(number=pl.int_range(pl.len()).over("kind"), size=pl.len().over("kind"))
        # The last of an odd number joins the two before it.
        .with_columns(pair=pl.min_horizontal(pl.col("number") // 2, pl.col("size") // 2 - 1))
        .with_columns(group=pl.struct("kind", "pair").rank("dense") - 1)
        .with_row_index("row")
    )
    first, last = pl.col("row").min().over("group"), pl.col("row").max().over("group")
    sibling = pl.when(pl.col("row") == last).then(first).otherwise(pl.col("row") + 1)
    return table.with_columns(sibling=sibling, block=pl.col("group") % BLOCK_COUNT)


def _devices_and_accessories(rng: np.random.Generator, blocks: np.ndarray) -> pl.DataFrame:
    table = _owned()
    pools = WeightedPools(np.ones(table.height), table["block"].to_numpy())
    rows = pools.draw(rng, blocks)
    main, other = table[rows], table[table["sibling"].to_numpy()[rows]]
    count = len(blocks)
    first = (rng.random(count) * main["categories"].list.len().to_numpy()).astype(np.int64)
    step = 1 + (rng.random(count) * (main["categories"].list.len().to_numpy() - 1)).astype(np.int64)
    second = (first + step) % main["categories"].list.len().to_numpy()
    return pl.DataFrame(
        {
            "device_id": main["device_id"],
            "other_device_id": other["device_id"],
            "said": _one_of(rng, main["spoken"]),
            "other_said": _one_of(rng, other["spoken"]),
            "category": main["categories"].list.get(pl.Series(first)),
            "other_category": main["categories"].list.get(pl.Series(second)),
        }
    )


def _one_of(rng: np.random.Generator, lists: pl.Series) -> pl.Series:
    """Draw one string of each list."""
    return lists.list.get(pl.Series((rng.random(len(lists)) * lists.list.len().to_numpy()).astype(np.int64)))


def _said_for(rng: np.random.Generator, categories: pl.Series, column: str) -> pl.Series:
    """Draw a word of a column of the accessories' table for each category."""
    words = {category: row[column].split("|") for category, row in catalogue.accessories().items()}
    return _one_of(rng, categories.replace_strict(words, return_dtype=pl.List(pl.String)))


def _said_accessories(rng: np.random.Generator, owned: pl.DataFrame) -> list[pl.Series]:
    """Draw the words for both accessories; a bare 硬盘 beside the other kind of disk would be no contrast."""
    both = pl.DataFrame({name: _said_for(rng, owned[name], "spoken") for name in ("category", "other_category")})
    disks = owned.select(pl.all_horizontal(pl.col("category", "other_category").str.ends_with("硬盘"))).to_series()
    clear = [
        pl.when(disks).then(pl.col(name).replace("硬盘", "固态硬盘")).otherwise(pl.col(name)) for name in both.columns
    ]
    return both.select(*clear).get_columns()


# --- Specifications and quantities


@lru_cache(maxsize=1)
def _sizes() -> dict[str, list[str]]:
    """Return, for device_id and category as one key, the specifications that fit, each once."""
    measures = {product.sku: product.specification for product in catalogue.products().values()}
    fitting = compatible().filter(pl.col("sku").is_in(list(measures)))
    table = fitting.select(
        key=pl.concat_str("device_id", "category"), measure=pl.col("sku").replace_strict(measures)
    ).unique(maintain_order=True)
    return dict(table.group_by("key", maintain_order=True).agg("measure").iter_rows())


def _specifications(rng: np.random.Generator, owned: pl.DataFrame) -> list[pl.Series]:
    """Draw two specifications for the accessory, the second empty where there is but one, and one for the other."""
    fitting = [
        owned.select(pl.concat_str("device_id", name))
        .to_series()
        .replace_strict(_sizes(), return_dtype=pl.List(pl.String))
        for name in ("category", "other_category")
    ]
    lengths = fitting[0].list.len().to_numpy().astype(np.int64)
    first = (rng.random(owned.height) * lengths).astype(np.int64)
    second = (first + 1 + (rng.random(owned.height) * (lengths - 1)).astype(np.int64)) % lengths
    second_drawn = fitting[0].list.get(pl.Series(second))
    drawn = [
        fitting[0].list.get(pl.Series(first)),
        second_drawn.zip_with(pl.Series(lengths > 1), pl.repeat("", owned.height, eager=True)),
        _one_of(rng, fitting[1]),
    ]
    spelt = {"": [""]} | {measure: list(catalogue.spellings(measure)) for row in _sizes().values() for measure in row}
    return [_one_of(rng, s.replace_strict(spelt, return_dtype=pl.List(pl.String))) for s in drawn]


def _quantities(rng: np.random.Generator, category: pl.Series, other: pl.Series) -> list[pl.Series]:
    """Draw two different quantities of the accessory, and one of the other: 两条, 3块."""
    count, most = len(category), len(_QUANTITIES)
    first, third = (rng.choice(most, count, p=list(_QUANTITIES.values())) for _ in range(2))
    second = (first + 1 + rng.integers(0, most - 1, count)) % most
    measures, other_measures = _said_for(rng, category, "measure"), _said_for(rng, other, "measure")
    spelt = pl.Series([*_NUMERALS, *map(str, _QUANTITIES)])
    return [
        spelt.gather(number + most * rng.integers(0, 2, count)) + measure
        for number, measure in ((first, measures), (second, measures), (third, other_measures))
    ]


# --- Times and places


def _two_times(rng: np.random.Generator, count: int) -> list[pl.Series]:
    """Draw two times of which none holds the other's words: 明天 and 明天上午 would be no contrast."""
    said = reference_table("delivery_times")["said"].to_list()
    pairs = [(one, other) for one in said for other in said if one not in other and other not in one]
    ends = {pair: catalogue.deadline(pair[0]) != catalogue.deadline(pair[1]) for pair in pairs}
    table = pl.DataFrame([pair for pair in pairs if ends[pair]], schema=["one", "other"], orient="row")
    drawn = table[rng.integers(0, table.height, count)]
    return [drawn["one"], drawn["other"]]


@lru_cache(maxsize=1)
def _cities() -> pl.DataFrame:
    """Return the cities with 市 in their name: city, block, weight, county (list; null where there is none to say)."""
    official = (
        reference_table("divisions")
        .filter(pl.col("city").str.ends_with("市"))
        .with_columns(
            pl.col("city").str.strip_suffix("市"),
            # 苏州昆山 and 杭州余杭区, but 金华武义县.
            pl.when(pl.col("county").str.ends_with("市"))
            .then(pl.col("county").str.strip_suffix("市"))
            .otherwise("county"),
        )
    )
    said = official.filter(pl.col("county").str.len_chars().is_between(2, 4))
    counties = said.group_by("city", maintain_order=True).agg("county")
    table = (
        official.select("city")
        .unique()
        .join(destinations().select("city"), on="city")
        # Hardly anyone lives there to order.
        .filter(pl.col("city") != "三沙")
        .with_columns(warehouse=pl.col("city").is_in(stock()["city"].unique().to_list()))
        .sort("warehouse", "city", descending=[True, False])
        .with_columns(block=pl.int_range(pl.len()) % BLOCK_COUNT)
        .join(counties, on="city", how="left", maintain_order="left")
    )
    share = pl.when("warehouse").then(_WAREHOUSE_SHARE).otherwise(1 - _WAREHOUSE_SHARE)
    return table.with_columns(weight=share / pl.len().over("block", "warehouse"))


def _three_places(rng: np.random.Generator, blocks: np.ndarray) -> list[pl.Series]:
    """Draw three places in different cities of the block, each as it is said."""
    table = _cities()
    pools = WeightedPools(table["weight"].to_numpy(), table["block"].to_numpy())
    drawn: list[np.ndarray] = []
    for _ in range(3):
        rows = pools.draw(rng, blocks)
        # The cities of a block lie `BLOCK_COUNT` rows apart: step on until it is another than those before.
        while (taken := np.any([rows == others for others in drawn], axis=0) if drawn else np.array(False)).any():
            rows = np.where(taken, rows + BLOCK_COUNT, rows)
            rows = np.where(rows >= table.height, blocks.astype(np.int64), rows)
        drawn.append(rows)
    return [_said_place(rng, table[rows]) for rows in drawn]


def _said_place(rng: np.random.Generator, cities: pl.DataFrame) -> pl.Series:
    count = cities.height
    district = cities["county"].list.get(
        pl.Series((rng.random(count) * cities["county"].list.len().fill_null(0).to_numpy()).astype(np.int64)),
        null_on_oob=True,
    )
    endings = pl.DataFrame({"city": cities["city"], "district": district.fill_null("")})
    style = pl.Series(rng.choice(len(_PLACE_STYLES), count, p=_PLACE_STYLES))
    ending = pl.when(style == 1).then(pl.lit("市")).when(style == 2).then(pl.col("district")).otherwise(pl.lit(""))
    return endings.select(pl.col("city") + ending).to_series()


# --- Coherence


def shop_visit_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose words contradict the tables: atom_id and reason, empty when all is well."""
    checks: Sequence[pl.DataFrame] = [
        _device_faults(atoms),
        _accessory_faults(atoms),
        _distinct_faults(atoms),
        _word_faults(atoms),
    ]
    return pl.concat(checks).sort("atom_id", "reason")


def _reasons(rows: pl.DataFrame, wrong: pl.Expr, reason: pl.Expr) -> pl.DataFrame:
    return rows.filter(wrong.fill_null(True)).select(pl.col("atom_id").cast(pl.UInt32), reason=reason)


def _device_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Check that a device's words are its own, and that a device belongs to one block."""
    spoken = devices().select("device_id", said=pl.col("spoken").str.split("|")).explode("said")
    entities = atoms.select("atom_id", "entity_block", pl.col("_entities").struct.unnest(), "设备", old=_old("设备"))
    block_of = _owned().select("device_id", owner="block")
    found = []
    for name, said in (("device_id", "设备"), ("other_device_id", "old")):
        rows = entities.select("atom_id", "entity_block", device_id=name, said=said)
        known = rows.join(spoken.with_columns(known=True), on=["device_id", "said"], how="left")
        known = known.join(block_of, on="device_id", how="left")
        found.append(_reasons(known, pl.col("known").is_null(), pl.format("{} is not called {}", "device_id", "said")))
        strays = pl.col("owner").is_null() | (pl.col("owner") != pl.col("entity_block"))
        found.append(_reasons(known, strays, pl.format("{} is not of this block", "device_id")))
    return pl.concat(found)


def _accessory_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Check that the shop has the accessory for the device, in the specification that is said."""
    rows = atoms.select(
        "atom_id",
        pl.col("_entities").struct.unnest(),
        "配件",
        "规格",
        old_accessory=_old("配件"),
        old_size=_old("规格"),
        other_size=pl.col("_other_accessory").struct.field("规格"),
    )
    fitting = {key: set(measures) for key, measures in _sizes().items()}
    spoken = {word: category for category, row in catalogue.accessories().items() for word in row["spoken"].split("|")}
    found = []
    for category, word, sizes in (
        ("category", "配件", ("规格", "old_size")),
        ("other_category", "old_accessory", ("other_size",)),
    ):
        meant = pl.col(word).replace_strict(spoken, default="")
        found.append(_reasons(rows, meant != pl.col(category), pl.format("{} is no {}", word, category)))
        for size in sizes:
            distinct = rows.select("device_id", category, size).unique().iter_rows()
            wrong = [
                {"device_id": device, category: kind, size: said}
                for device, kind, said in distinct
                if said and catalogue.specification_of(said) not in fitting.get(device + kind, ())
            ]
            strange = pl.DataFrame(wrong, schema=dict.fromkeys(("device_id", category, size), pl.String))
            joined = rows.join(strange, on=["device_id", category, size])
            found.append(_reasons(joined, pl.lit(True), pl.format("no {} of {} fits {}", category, size, "device_id")))
    return pl.concat(found)


def _distinct_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Check that what was said before differs from what is said now."""
    names = ("设备", "配件", "规格", "数量", "时间", "地点")
    return pl.concat(
        [_reasons(atoms, pl.col(name) == _old(name), pl.lit(f"{name} is the same before and after")) for name in names]
    )


def _word_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Check that times are of the table, and that places are cities of the row's block."""
    owner = dict(_cities().select("city", "block").iter_rows())
    found = []
    for time in (pl.col("时间"), _old("时间")):
        found.append(
            _reasons(atoms, ~time.is_in(catalogue.time_names()), pl.format("{} is not in delivery_times.csv", time))
        )
    for place in (pl.col("地点"), _old("地点"), pl.col("旁").struct.field("地点")):
        block = place.replace_strict(
            {p: owner.get(catalogue.city_of(p)) for p in atoms.select(place).to_series().unique()}
        )
        strays = block.is_null() | (block != pl.col("entity_block"))
        found.append(_reasons(atoms, strays, pl.format("{} is no city of this block", place)))
    return pl.concat(found)


def _old(name: str) -> pl.Expr:
    return pl.col("旧").struct.field(name)
