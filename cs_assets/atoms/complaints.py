"""The bundle `complaints`: everything that one message to after-sales may name, in Chinese and, under `en`, in English.

One row is one customer of a general store. What goes wrong goes with the product: a cup's lid cracks, a shoe is a size
too large, a cream brings a rash. A row holds one product for each trouble (`破损`, `缺件`, `错发`, `质量`, `尺码`,
`过敏`, `电器`, `送礼`) and one for all the others (`商品`); a template names the slots of one group.

    table = complaints_atoms(count=3, seed=7)
    table["破损"][0]   # {"商品": "保温杯", "情况": "杯盖裂了一道缝"}

An entity block owns its products, its surnames and its English first names; couriers, cities, spans of time and sums
of money are shared.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT, atom_ids, sample_blocks
from cs_assets.atoms.columns import WeightedPools, draw
from cs_assets.atoms.orders import sample_couriers, sample_order_numbers
from cs_assets.atoms.people import surnames
from cs_assets.atoms.products import destinations
from cs_assets.atoms.vocabularies import Vocabularies
from cs_assets.reference import reference_table

_HOUSEHOLD, _CLOTHES, _SKIN_CARE, _APPLIANCE = ("家居",), ("上衣", "下装", "鞋"), ("护肤",), ("电器",)


class Trouble(NamedTuple):
    """A group of slots that speak of one product: the kinds it is drawn from, and slot -> column of `goods.csv`."""

    kinds: tuple[str, ...]
    slots: dict[str, str]


TROUBLES: Final = {
    "any": Trouble((*_HOUSEHOLD, *_CLOTHES, *_SKIN_CARE, *_APPLIANCE), {"商品": "name", "en.item": "english"}),
    "damaged": Trouble(
        (*_HOUSEHOLD, *_SKIN_CARE, *_APPLIANCE),
        {
            "破损.商品": "name",
            "破损.情况": "damage",
            "en.damaged.item": "english",
            "en.damaged.what": "english_damage",
        },
    ),
    "missing": Trouble(
        (*_HOUSEHOLD, *_APPLIANCE),
        {"缺件.商品": "name", "缺件.少了": "part", "en.missing.item": "english", "en.missing.part": "english_part"},
    ),
    "faulty": Trouble(
        (*_HOUSEHOLD, *_CLOTHES),
        {
            "质量.商品": "name",
            "质量.问题": "trouble",
            "en.faulty.item": "english",
            "en.faulty.trouble": "english_trouble",
        },
    ),
    "allergy": Trouble(
        _SKIN_CARE,
        {
            "过敏.商品": "name",
            "过敏.反应": "trouble",
            "en.allergy.item": "english",
            "en.allergy.reaction": "english_trouble",
        },
    ),
    "device": Trouble(
        _APPLIANCE,
        {
            "电器.商品": "name",
            "电器.故障": "trouble",
            "en.device.item": "english",
            "en.device.fault": "english_trouble",
        },
    ),
    "wrong": Trouble((*_HOUSEHOLD, *_CLOTHES, *_APPLIANCE), {"错发.商品": "name", "en.wrong.item": "english"}),
    "size": Trouble(_CLOTHES, {"尺码.商品": "name", "en.size.item": "english"}),
    "gift": Trouble(
        (*_HOUSEHOLD, *_CLOTHES, *_SKIN_CARE, *_APPLIANCE),
        {"送礼.商品": "name", "送礼.破损": "damage", "送礼.对象": "recipients"},
    ),
}
# Pairs of slots: what was wanted, and what came instead.
_CHOICES: Final = (
    ("错发.要的", "错发.收到的"),
    ("en.wrong.ordered", "en.wrong.received"),
    ("送礼.要的", "送礼.收到的"),
)
OCCASIONS: Final = {
    "爸爸": ("生日", "父亲节"),
    "妈妈": ("生日", "母亲节"),
    "女朋友": ("生日", "情人节", "周年纪念日"),
    "男朋友": ("生日", "情人节", "周年纪念日"),
    "老婆": ("生日", "结婚纪念日"),
    "老公": ("生日", "结婚纪念日"),
    "儿子": ("生日", "六一"),
    "女儿": ("生日", "六一"),
    "闺蜜": ("生日", "乔迁"),
    "同事": ("生日", "乔迁"),
    "弟弟": ("生日", "毕业"),
    "老师": ("教师节",),
    "外婆": ("八十大寿", "生日"),
}
# What does not fit: by kind, then what a customer says of the size above (True) and below his own.
MISFITS: Final = {
    "上衣": {
        True: ("穿着空荡荡的", "袖子长出一截", "大了一圈"),
        False: ("肩膀勒得慌", "胸口绷得紧", "小得套不进去"),
    },
    "下装": {
        True: ("腰那里松垮垮的", "一走路就往下掉", "大了一圈"),
        False: ("腰扣不上", "大腿绷得紧", "提不上去"),
    },
    "鞋": {True: ("一走路就掉跟", "大了一截", "脚在里面晃"), False: ("挤脚", "顶脚趾头", "脚背勒得疼")},
}
ENGLISH_MISFITS: Final = {
    True: ("too loose", "too big", "far too large"),
    False: ("too tight", "too small for me"),
}
# What products of a kind cost, in yuan, from and to: an assumption.
PRICES: Final = {
    "家居": (29, 289),
    "上衣": (59, 499),
    "下装": (59, 299),
    "鞋": (69, 459),
    "护肤": (39, 259),
    "电器": (79, 899),
}
_YUAN_PER_DOLLAR: Final = 7
TITLES: Final = ("先生", "女士", "先生", "女士", "小姐")
WAITS: Final = ("6天", "7天", "8天", "9天", "十天", "十来天", "12天", "一个礼拜", "一周多", "半个月", "两个礼拜")
ORDERED: Final = ("上周二", "上周三", "上周末", "前几天", "上个礼拜", "月初", "双十一", "618那天", "上周一晚上")
SIGNED: Final = ("前天", "大前天", "上周五", "上周日", "周一", "周三下午", "上周六上午")
PROMISED: Final = ("昨天", "前天", "周五前", "上周末", "三天内", "48小时内", "昨天下午", "次日", "周三前")
# Words divided by spaces.
ENGLISH_NAMES: Final = (
    "Emma Oliver Sophie James Priya Daniel Chloe Lucas Hannah Marcus Aisha Thomas Nina Victor Grace Omar Julia Felix "
    "Maya Peter Irene Samuel Leila Hugo Alice Martin Zoe Adrian Clara Simon"
)
ENGLISH_CITIES: Final = (
    "Manchester Leeds Dublin Toronto Vancouver Sydney Brisbane Auckland Chicago Houston Denver Boston Singapore Dubai "
    "Frankfurt Amsterdam Bristol Glasgow Ottawa Perth"
)
ENGLISH_COURIERS: Final = ("DHL", "FedEx", "UPS", "USPS", "Royal Mail", "Evri", "Canada Post", "Australia Post")
ENGLISH_WAITS: Final = ("9 days", "12 days", "two weeks", "three weeks", "16 days", "almost a month", "18 days")
_COMPANY_STEMS: Final = ("云启", "博远", "恒信", "佳禾", "星澜", "众合", "鼎新", "海纳", "卓越", "安泰")
_COMPANY_TRADES: Final = ("科技", "商贸", "文化传媒", "电子", "建筑设计", "教育咨询", "餐饮管理", "物业服务")


@functools.lru_cache(maxsize=1)
def goods() -> pl.DataFrame:
    """Return `goods.csv` with the block of each product; every column but name, kind and english is a list."""
    table = reference_table("goods").with_columns(block=pl.int_range(pl.len()) % BLOCK_COUNT)
    several = pl.exclude("name", "kind", "english", "block").str.split("|")
    return table.with_columns(several.list.eval(pl.element().filter(pl.element() != "")))


def complaints_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make the `count` coherent rows of one chunk.

    Columns: atom_id (u32), entity_block (u8, 0 to 9), and the slots of the bundle, strings, nested in structs as
    templates name them.
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    orders = sample_order_numbers(rng, count)
    told = pl.concat([_told(rng, blocks, trouble) for trouble in TROUBLES], how="horizontal")
    slots = pl.concat(
        [
            told,
            _prices(rng, told["商品"]),
            pl.DataFrame(
                {
                    "称呼": sample_forms_of_address(rng, blocks),
                    "订单号": orders,
                    "订单尾号": orders.str.tail(4),
                    "快递": sample_couriers(rng, count),
                    "城市": draw(rng, _cities(), count),
                    "等待": draw(rng, WAITS, count),
                    "下单时间": draw(rng, ORDERED, count),
                    "签收时间": draw(rng, SIGNED, count),
                    "承诺时间": draw(rng, PROMISED, count),
                    "抬头": _companies(rng, count),
                    "en.name": pl.Series(ENGLISH_NAMES.split()).gather(_owned_names().draw(rng, blocks)),
                    "en.order": pl.Series(rng.integers(10**6, 10**7, count)).cast(pl.String).str.replace("^", "EC"),
                    "en.city": draw(rng, ENGLISH_CITIES.split(), count),
                    "en.courier": draw(rng, ENGLISH_COURIERS, count),
                    "en.wait": draw(rng, ENGLISH_WAITS, count),
                }
            ),
        ],
        how="horizontal",
    )
    return slots.select(
        atom_ids(chunk, count),
        pl.Series("entity_block", blocks),
        *_nested(slots.columns),
    )


def _nested(slots: Sequence[str], prefix: str = "") -> list[pl.Expr]:
    """Return the columns, named by dotted slots, as structs: `en.size.item` becomes en: {size: {item}}."""
    found = []
    for head in dict.fromkeys(slot.removeprefix(prefix).partition(".")[0] for slot in slots):
        inner = [slot for slot in slots if slot.startswith(f"{prefix}{head}.")]
        column = pl.struct(_nested(inner, f"{prefix}{head}.")) if inner else pl.col(f"{prefix}{head}")
        found.append(column.alias(head))
    return found


# --- Products and what is wrong with them


@functools.lru_cache(maxsize=len(TROUBLES))
def _owned_goods(trouble: str) -> WeightedPools:
    """Return the pools, one a block, of the products that the trouble may befall."""
    table = goods()
    usable = pl.col("kind").is_in(TROUBLES[trouble].kinds)
    for column in TROUBLES[trouble].slots.values():
        if table.schema[column] == pl.List(pl.String):
            usable &= pl.col(column).list.len() > 0
    return WeightedPools(table.select(usable.cast(pl.Float64)).to_series().to_numpy(), table["block"].to_numpy())


def _told(rng: np.random.Generator, blocks: np.ndarray, trouble: str) -> pl.DataFrame:
    """Draw a product a row and one of the things that can be said of it; columns are named by the trouble's slots."""
    drawn = goods()[_owned_goods(trouble).draw(rng, blocks)]
    told = drawn.select(_one_of(rng, drawn, column).alias(slot) for slot, column in TROUBLES[trouble].slots.items())
    if trouble == "wrong":
        return told.hstack(_options(rng, drawn))
    if trouble == "size":
        return told.hstack(_sizes(rng, drawn))
    return told.hstack(_gifts(rng, drawn, told["送礼.对象"])) if trouble == "gift" else told


def _one_of(rng: np.random.Generator, drawn: pl.DataFrame, column: str) -> pl.Expr:
    if drawn.schema[column] == pl.String:
        return pl.col(column)
    place = pl.lit(pl.Series(rng.random(drawn.height))) * pl.col(column).list.len()
    return pl.col(column).list.get(place.cast(pl.UInt32))


def _options(rng: np.random.Generator, drawn: pl.DataFrame) -> pl.DataFrame:
    """Draw what was wanted and something else that came."""
    return drawn.select(
        *_two_of(rng, drawn.height, "options", _CHOICES[0]), *_two_of(rng, drawn.height, "english_options", _CHOICES[1])
    )


def _two_of(rng: np.random.Generator, count: int, column: str, names: tuple[str, str]) -> list[pl.Expr]:
    """Draw two options that differ."""
    options = pl.col(column)
    first = (pl.lit(pl.Series(rng.random(count))) * options.list.len()).cast(pl.Int64)
    step = (pl.lit(pl.Series(rng.random(count))) * (options.list.len() - 1)).cast(pl.Int64) + 1
    second = (first + step) % options.list.len()
    return [options.list.get(first).alias(names[0]), options.list.get(second).alias(names[1])]


def _sizes(rng: np.random.Generator, drawn: pl.DataFrame) -> pl.DataFrame:
    """Draw the size bought, its neighbour that is wanted, and a complaint that says in which direction."""
    last = drawn["sizes"].list.len().to_numpy() - 1
    bought = (rng.random(drawn.height) * (last + 1)).astype(np.int64)
    too_large = np.where(bought == 0, False, np.where(bought == last, True, rng.random(drawn.height) < 0.5))
    places = {"买的": pl.Series(bought), "换成": pl.Series(bought + np.where(too_large, -1, 1))}
    sizes = {name: drawn["sizes"].list.get(place) for name, place in places.items()}
    direction = pl.Series(too_large).cast(pl.String)
    said = {f"{kind}{large}".lower(): phrases for kind, both in MISFITS.items() for large, phrases in both.items()}
    english = {f"{large}".lower(): phrases for large, phrases in ENGLISH_MISFITS.items()}
    return pl.DataFrame(
        {
            "尺码.买的": sizes["买的"],
            "尺码.换成": sizes["换成"],
            "尺码.不合身": Vocabularies(said).draw(rng, drawn["kind"] + direction),
            "en.size.bought": sizes["买的"],
            "en.size.wanted": sizes["换成"],
            "en.size.fit": Vocabularies(english).draw(rng, direction),
        }
    )


def _gifts(rng: np.random.Generator, drawn: pl.DataFrame, recipients: pl.Series) -> pl.DataFrame:
    """Draw an occasion that the recipient has, and which option was wanted and which came."""
    options = drawn.select(_two_of(rng, drawn.height, "options", _CHOICES[2]))
    return options.with_columns(Vocabularies(OCCASIONS).draw(rng, recipients).alias("送礼.场合"))


# --- The rest of a row


@functools.lru_cache(maxsize=1)
def _owned_surnames() -> WeightedPools:
    return WeightedPools(surnames()[1], np.arange(len(surnames()[0])) % BLOCK_COUNT)


@functools.lru_cache(maxsize=1)
def _owned_names() -> WeightedPools:
    return WeightedPools(np.ones(len(ENGLISH_NAMES.split())), np.arange(len(ENGLISH_NAMES.split())) % BLOCK_COUNT)


def sample_forms_of_address(rng: np.random.Generator, blocks: np.ndarray) -> pl.Series:
    """Draw how each customer is addressed: 王女士. Surnames belong to the entity block in `blocks`, array (n,)."""
    return pl.Series(surnames()[0]).gather(_owned_surnames().draw(rng, blocks)) + draw(rng, TITLES, len(blocks))


def block_of_address(column: str) -> pl.Expr:
    """Return the entity block that owns the surname of a form of address, -1 where it is none."""
    owners = {name: place % BLOCK_COUNT for place, name in enumerate(surnames()[0])}
    surname = pl.col(column).str.replace("(先生|女士|小姐)$", "")
    return surname.replace_strict(owners, default=-1, return_dtype=pl.Int64)


@functools.lru_cache(maxsize=1)
def _cities() -> list[str]:
    """Return the cities that are short enough to be said as they are: 杭州, not 恩施土家族苗族自治州."""
    return destinations().filter(pl.col("city").str.len_chars() == 2)["city"].to_list()


def _companies(rng: np.random.Generator, count: int) -> pl.Series:
    parts = (draw(rng, words, count) for words in (_cities(), _COMPANY_STEMS, _COMPANY_TRADES, ("有限公司",)))
    return functools.reduce(lambda left, right: left + right, parts)


def _prices(rng: np.random.Generator, products: pl.Series) -> pl.DataFrame:
    """Draw the sum paid for each product, in yuan and dollars, and its price before and after a cut."""
    kinds = products.replace_strict(goods()["name"], goods()["kind"])
    low, high = (kinds.replace_strict({kind: bounds[end] for kind, bounds in PRICES.items()}) for end in (0, 1))
    yuan = rng.integers(low, high, endpoint=True)
    cut = np.maximum(5, (yuan * rng.uniform(0.05, 0.3, len(products))).astype(np.int64))
    sums = pl.DataFrame({"before": yuan, "cut": cut, "cents": draw(rng, ("", "", ".9"), len(products))})
    return sums.select(
        pl.format("{}{}", "before", "cents").alias("金额"),
        pl.col("before").cast(pl.String).alias("原价"),
        (pl.col("before") - pl.col("cut")).cast(pl.String).alias("现价"),
        pl.col("cut").cast(pl.String).alias("差价"),
        pl.format("${}.99", pl.col("before") // _YUAN_PER_DOLLAR).alias("en.amount"),
    )


# --- Coherence


def complaints_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that contradict themselves or `goods.csv`: atom_id and reason, empty when all is well."""
    flat = _flat(atoms).with_columns(pl.col("entity_block").cast(pl.Int64).alias("block"))
    found = [_impossible(flat, ["block", *TROUBLES[trouble].slots], _possible(trouble)) for trouble in TROUBLES]
    found += [
        flat.filter(wrong.fill_null(True)).select("atom_id", reason=reason) for wrong, reason in _contradictions()
    ]
    for slots, phrases in (
        (("尺码.商品", "尺码.买的", "尺码.换成", "尺码.不合身"), MISFITS),
        (("en.size.item", "en.size.bought", "en.size.wanted", "en.size.fit"), dict.fromkeys(MISFITS, ENGLISH_MISFITS)),
    ):
        found.append(_impossible(flat, slots, _fits(slots, phrases)))
    return pl.concat(found).cast({"atom_id": pl.UInt32}).sort("atom_id", "reason")


def _flat(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the table with its structs unnested, columns named by dotted slots."""
    while structs := [name for name, kind in atoms.schema.items() if kind == pl.Struct]:
        for name in structs:
            fields = atoms[name].struct.unnest()
            atoms = atoms.drop(name).hstack(fields.rename({field: f"{name}.{field}" for field in fields.columns}))
    return atoms


def _impossible(flat: pl.DataFrame, slots: Sequence[str], possible: pl.DataFrame) -> pl.DataFrame:
    """Find rows whose `slots` together are no row of `possible`."""
    shown = pl.format(", ".join(["{}"] * len(slots)), *slots)
    wrong = flat.join(possible, on=slots, how="anti")
    return wrong.select("atom_id", reason=pl.lit(f"{', '.join(slots)}: ") + shown + pl.lit(" do not go together"))


def _possible(trouble: str) -> pl.DataFrame:
    """Return all that the trouble's slots may say together, with the block of the product."""
    kinds, slots = TROUBLES[trouble]
    table = goods().filter(pl.col("kind").is_in(kinds))
    said = table.select("block", *(pl.col(column).alias(slot) for slot, column in slots.items()))
    for slot, column in slots.items():
        if table.schema[column] == pl.List(pl.String):
            said = said.explode(slot)
    return said


def _fits(slots: Sequence[str], phrases: Mapping[str, Mapping[bool, Sequence[str]]]) -> pl.DataFrame:
    """Return product, size bought, size wanted and complaint, as far as they go together; named by `slots`."""
    name = "english" if slots[0].startswith("en.") else "name"
    clothes = goods().filter(pl.col("kind").is_in(_CLOTHES)).select(name, "kind", "sizes")
    rows = [
        (product, sizes[place], sizes[place - 1 if too_large else place + 1], phrase)
        for product, kind, sizes in clothes.iter_rows()
        for too_large, said in phrases[kind].items()
        for place in range(1 if too_large else 0, len(sizes) if too_large else len(sizes) - 1)
        for phrase in said
    ]
    return pl.DataFrame(rows, schema=list(slots), orient="row")


def _contradictions() -> list[tuple[pl.Expr, pl.Expr]]:
    """Return what a row may not be, with the reason."""
    number = {name: pl.col(name).cast(pl.Int64) for name in ("原价", "现价", "差价")}
    foreign_name = block_of_address("称呼") != pl.col("block")
    occasion = pl.format("{}:{}", "送礼.对象", "送礼.场合")
    known = [f"{recipient}:{occasion}" for recipient, several in OCCASIONS.items() for occasion in several]
    kind = pl.col("商品").replace_strict(dict(goods().select("name", "kind").iter_rows()), default=None)
    low, high = (kind.replace_strict({kind: bounds[end] for kind, bounds in PRICES.items()}) for end in (0, 1))
    wrong_price = (number["原价"] - number["现价"] != number["差价"]) | (number["差价"] <= 0)
    strange_price = ~number["原价"].is_between(low, high)
    wrong_tail = pl.col("订单号").str.tail(4) != pl.col("订单尾号")
    return [
        (wrong_tail, pl.format("订单尾号: {} does not end {}", "订单尾号", "订单号")),
        (wrong_price, pl.format("差价: {} - {} is not {}", "原价", "现价", "差价")),
        (strange_price, pl.format("原价: {} is no price of {}", "原价", "商品")),
        (~occasion.is_in(known), pl.format("送礼: {} has no {}", "送礼.对象", "送礼.场合")),
        (foreign_name, pl.format("称呼: {} does not belong to block {}", "称呼", "block")),
        *(
            (pl.col(wanted) == pl.col(came), pl.format(f"{came}: {{}} is what was wanted", came))
            for wanted, came in _CHOICES
        ),
    ]
