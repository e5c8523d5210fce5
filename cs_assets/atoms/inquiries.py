"""The bundle `inquiries`: everything that a short question to a shop may name, and what has nothing to do with a shop.

One row is one customer: name, phone and address as in `shipping`, and beside them goods with their faults, a device
with a part that fits it, an order, a parcel with its courier, times, sums, a company, and small talk.

    table = inquiries_atoms(count=3, seed=7)
    table.select("百货", "款式", "破损").row(0)      # ("保温杯", "墨绿色的", "杯盖裂了一道缝")
    table.select("设备", "配件").row(0)              # ("Y7000P", "16G内存条")

Entity blocks own counties and full names (as in `shipping`), cities, goods, whole models of parts, problems of devices
and the words of small talk. What customers call a part (内存条), couriers, days and reasons are everyone's.
"""

import functools
from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT
from cs_assets.atoms.coherence import shipping_faults
from cs_assets.atoms.columns import WeightedPools, draw
from cs_assets.atoms.numbers import sample_money
from cs_assets.atoms.orders import (
    COURIERS,
    misshapen,
    sample_couriers,
    sample_order_numbers,
    sample_tracking,
    say_couriers,
)
from cs_assets.atoms.products import compatible, destinations, devices, misfits, products, say_products
from cs_assets.atoms.shipping import shipping_atoms
from cs_assets.atoms.shop_records import shelf
from cs_assets.atoms.times import REFERENCE_INSTANT, sample_times
from cs_assets.catalogue import categories
from cs_assets.reference import reference_table

_MAILBOXES: Final = ("@qq.com", "@qq.com", "@163.com", "@126.com", "@foxmail.com")
# What a sum is written with, and how large its second number may be.
_OPERATIONS: Final = (("+", 900), ("加", 900), ("-", 90), ("减", 90), ("×", 90), ("乘以", 90), ("*", 90), ("除以", 9))


# The slots whose words stand in `data/reference/inquiry_words.csv` as they are said.
WORDS: Final = (
    *("招呼", "标点", "天数", "时限", "月数", "下单时间", "件数", "活动", "退货原因"),
    *("别家", "症状", "代码", "菜", "外语", "影视", "作文", "家务"),
)


def inquiries_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make the `count` coherent rows of one chunk.

    Columns: atom_id (u32), entity_block (u8), the slots of the bundle (strings), and what `inquiries_faults` compares
    with the reference tables: the names of what was drawn (`_origin`), the customer's row of `shipping` (`_shipping`).
    """
    shipping = shipping_atoms(count, seed, chunk)
    # Another stream than the one of the rows above.
    rng = np.random.default_rng([seed, chunk, 1])
    blocks = shipping["entity_block"].to_numpy()
    couriers = sample_couriers(rng, count)
    pairs, goods, problems = _pairs(rng, blocks), _goods(rng, blocks), _problems(rng, blocks)
    cities = _owned(rng, _cities(), blocks)
    either = pl.Series(rng.random(count) < 0.5)
    return shipping.select(
        "atom_id",
        "entity_block",
        **{slot: _words(rng, slot, blocks) for slot in WORDS},
        **goods,
        **pairs.select("设备", "配件", "品类").to_dict(),
        **problems.select("报修设备", "故障").to_dict(),
        商品=pl.when(either).then(pairs["配件"]).otherwise(goods["百货"]),
        订单号=sample_order_numbers(rng, count),
        快递=say_couriers(rng, couriers),
        运单号=sample_tracking(rng, couriers),
        期限=sample_times(rng, count, REFERENCE_INSTANT, "date")["said"],
        金额=sample_money(rng, count, 20, 900)["said"],
        差价=pl.Series(rng.integers(1, 17, count) * 5).cast(pl.String) + draw(rng, ("块", "块钱", "元", ""), count),
        乱码=_mashed(rng, blocks),
        算式=_sums(rng, count),
        城市=cities,
        新地址="含地区的详细地址",
        电话="电话",
        收件人=pl.col("名字").struct.field("param").struct.field("输出"),
        抬头=cities + _words(rng, "字号", blocks) + _words(rng, "行业", blocks) + "有限公司",
        邮箱=_mailboxes(rng, blocks),
        _origin=pl.struct(couriers.alias("courier"), pairs["device_id"], pairs["sku"], problems["kind"]),
        _shipping=pl.struct(pl.all()),
    )


@functools.lru_cache(maxsize=1)
def _vocabulary() -> dict[str, tuple[tuple[str, ...], bool, float]]:
    """Return, for each row of `inquiry_words.csv`: words, whether blocks own them, and how often there is none."""
    table = reference_table("inquiry_words")
    return {
        slot: (tuple(words.split("|")), owned == "yes", float(absent))
        for slot, owned, absent, words in table.select("slot", "owned", "absent", "words").iter_rows()
    }


def _words(rng: np.random.Generator, slot: str, blocks: np.ndarray) -> pl.Series:
    """Draw the words of a slot, "" where there is none."""
    words, owned, absent = _vocabulary()[slot]
    drawn = _owned(rng, words, blocks) if owned else draw(rng, words, len(blocks))
    return drawn.set(pl.Series(rng.random(len(blocks)) < absent), "")


def _owned(rng: np.random.Generator, options: Sequence[str], blocks: np.ndarray) -> pl.Series:
    """Draw for each row one of the options that its block owns: those a stride apart."""
    own = (len(options) - blocks.astype(np.int64) + BLOCK_COUNT - 1) // BLOCK_COUNT
    return pl.Series(list(options)).gather(blocks + BLOCK_COUNT * (rng.random(len(blocks)) * own).astype(np.int64))


def _mashed(rng: np.random.Generator, blocks: np.ndarray) -> pl.Series:
    """Draw what a cat types: four to ten of the block's keys."""
    keys = pl.DataFrame({"keys": _words(rng, "键盘", blocks)})
    key = pl.col("keys")
    presses = [
        key.str.slice((pl.lit(pl.Series(rng.random(len(blocks)))) * key.str.len_chars()).cast(pl.Int64), 1)
        for _ in range(10)
    ]
    lengths = pl.lit(pl.Series(rng.integers(4, 11, len(blocks))))
    return keys.select(mashed=pl.concat_str(presses).str.head(lengths)).to_series()


def _sums(rng: np.random.Generator, count: int) -> pl.Series:
    signs = pl.DataFrame(_OPERATIONS, schema=["sign", "limit"], orient="row")[rng.integers(0, len(_OPERATIONS), count)]
    left = pl.Series(rng.integers(100, 1000, count))
    right = (pl.lit(pl.Series(rng.random(count))) * pl.col("limit")).cast(pl.Int64) + 2
    return signs.select(sum=pl.format("{}{}{}", left, "sign", right)).to_series()


def _mailboxes(rng: np.random.Generator, blocks: np.ndarray) -> pl.Series:
    count = len(blocks)
    digits = pl.Series(rng.integers(10**6, 10**10, count)).cast(pl.String)
    named = _words(rng, "拼音", blocks) + digits.str.tail(3)
    users = pl.select(pl.when(pl.Series(rng.random(count) < 0.6)).then(digits).otherwise(named)).to_series()
    return users + draw(rng, _MAILBOXES, count)


@functools.lru_cache(maxsize=1)
def _cities() -> tuple[str, ...]:
    """Return the cities with a short name: nobody asks how long a parcel takes to 恩施土家族苗族自治州."""
    name = pl.col("city")
    short = destinations().filter((name.str.len_chars() <= 4) & ~name.str.contains("(?:地区|盟)$"))
    return tuple(short["city"].unique().sort())


# --- Goods and their faults, parts and the devices that they fit, devices and their problems


@functools.lru_cache(maxsize=1)
def _shop_goods() -> pl.DataFrame:
    """Return name, block, and what may be said of the goods: choices (sizes or colours), damages and troubles."""
    table = reference_table("goods").sort("name").with_row_index("row")
    chosen = pl.when(pl.col("sizes") != "").then(pl.col("sizes") + "|" + pl.col("options")).otherwise("options")
    return table.select(
        "name",
        block=pl.col("row").cast(pl.Int64) % BLOCK_COUNT,
        choices=chosen.str.split("|").list.eval(pl.element().str.strip_suffix("的") + "的"),
        damages=pl.col("damage").str.split("|"),
        troubles=pl.col("trouble").str.split("|"),
    )


def _goods(rng: np.random.Generator, blocks: np.ndarray) -> dict[str, pl.Series]:
    table = _shop_goods()
    drawn = table[WeightedPools(np.ones(table.height), table["block"].to_numpy()).draw(rng, blocks)]
    return {
        "百货": drawn["name"],
        "款式": _one_of(rng, drawn["choices"]),
        "破损": _one_of(rng, drawn["damages"]),
        "毛病": _one_of(rng, drawn["troubles"]),
    }


def _one_of(rng: np.random.Generator, lists: pl.Series) -> pl.Series:
    """Draw one of the values of each list."""
    drawn = pl.DataFrame({"values": lists, "draw": rng.random(len(lists))})
    values = pl.col("values").list
    return drawn.select(value=values.get((pl.col("draw") * values.len()).cast(pl.Int64))).to_series()


@functools.lru_cache(maxsize=1)
def _fitting() -> tuple[pl.DataFrame, WeightedPools]:
    """Return device_id, spoken names of the device, sku and category of what fits it; with pools of the parts' blocks.

    Each category is as likely as any.
    """
    names = devices().select("device_id", pl.col("spoken").str.split("|"))
    table = compatible().join(names, on="device_id").join(shelf().select("sku", "block"), on="sku")
    table = table.sort("device_id", "sku").with_columns(weight=1.0 / pl.len().over("block", "category"))
    return table, WeightedPools(table["weight"].to_numpy(), table["block"].to_numpy())


def _pairs(rng: np.random.Generator, blocks: np.ndarray) -> pl.DataFrame:
    table, pools = _fitting()
    drawn = table[pools.draw(rng, blocks)]
    return drawn.select(
        "device_id",
        "sku",
        _one_of(rng, drawn["spoken"]).alias("设备"),
        say_products(rng, drawn["sku"]).alias("配件"),
        pl.col("category").alias("品类"),
    )


@functools.lru_cache(maxsize=1)
def _repairs() -> pl.DataFrame:
    """Return kind, words for the device, and one way each to name a problem, with the block that owns it."""
    # A forgotten password is no case for repair.
    broken = reference_table("solutions").filter(pl.col("problem") != "忘记密码")
    said = broken.select("kind", said=pl.col("said").str.split("|")).explode("said")
    words = reference_table("repairable").select("kind", pl.col("words").str.split("|"))
    table = said.join(words, on="kind").sort("kind", "said").with_row_index("row")
    return table.with_columns(block=pl.col("row").cast(pl.Int64) % BLOCK_COUNT)


def _problems(rng: np.random.Generator, blocks: np.ndarray) -> pl.DataFrame:
    table = _repairs()
    drawn = table[WeightedPools(np.ones(table.height), table["block"].to_numpy()).draw(rng, blocks)]
    return drawn.select("kind", pl.col("said").alias("故障"), _one_of(rng, drawn["words"]).alias("报修设备"))


# --- Coherence


def inquiries_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return atom_id and reason of each row that contradicts the reference tables or itself; empty when all is well."""
    row = atoms.with_columns(pl.col("_origin").struct.unnest())
    spoken = {name: list(courier.spoken) for name, courier in COURIERS.items()}
    courier = pl.col("courier").replace_strict(spoken, return_dtype=pl.List(pl.String), default=[])
    goods = row.join(_shop_goods(), left_on="百货", right_on="name", how="left", maintain_order="left")
    tests = {
        "百货: no such goods, choice or fault": pl.all_horizontal(
            pl.col(column).list.contains(pl.col(slot))
            for slot, column in {"款式": "choices", "破损": "damages", "毛病": "troubles"}.items()
        ),
        "快递: not what the courier is called": courier.list.contains(pl.col("快递")),
        "商品: neither the part nor the goods": (pl.col("商品") == pl.col("配件")) | (pl.col("商品") == pl.col("百货")),
        "抬头: no company of the city": pl.col("抬头").str.starts_with(pl.col("城市"))
        & pl.col("抬头").str.ends_with("有限公司"),
        "邮箱: no mailbox": pl.col("邮箱").str.contains(r"^[a-z]*\d+@[a-z0-9]+\.com$"),
        "新地址: not the customer's": pl.col("新地址") == pl.col("_shipping").struct.field("含地区的详细地址"),
        "电话: not the customer's": pl.col("电话") == pl.col("_shipping").struct.field("电话"),
    }
    found = [
        goods.filter(~test.fill_null(False)).select("atom_id", reason=pl.lit(reason)) for reason, test in tests.items()
    ]
    customers = atoms.select(pl.col("_shipping").struct.unnest())
    strange = (_strange_pairs(row), _strange_problems(row), _strange_parcels(row))
    return pl.concat([shipping_faults(customers), *found, *strange]).sort("atom_id", "reason")


def _strange_pairs(row: pl.DataFrame) -> pl.DataFrame:
    """Find parts that do not fit the device, and names that are not the device's or the part's category's."""
    wrong = misfits(row.select("device_id", "sku"))
    unfit = wrong.select(row["atom_id"].gather(wrong["row"]), pl.format("设备: {}", "reason").alias("reason"))
    named = row.join(devices().select("device_id", "spoken"), on="device_id", how="left").join(
        products().select("sku", "category"), on="sku", how="left"
    )
    called = pl.col("category").replace_strict(
        {category: row["spoken"] for category, row in categories().items()}, default=None, return_dtype=pl.String
    )
    right = (
        pl.col("spoken").str.split("|").list.contains(pl.col("设备"))
        & (pl.col("品类") == pl.col("category"))
        & pl.col("配件").str.contains(pl.format("(?:{})$", called), strict=False)
    )
    misnamed = named.filter(~right.fill_null(False)).select(
        "atom_id", reason=pl.lit("设备: another name, or 品类 or 配件")
    )
    return pl.concat([unfit, misnamed])


def _strange_problems(row: pl.DataFrame) -> pl.DataFrame:
    """Find problems that a device of the kind does not have, and words for another kind."""
    known = _repairs().explode("words").select("kind", 故障="said", 报修设备="words")
    strange = row.join(known, on=["kind", "故障", "报修设备"], how="anti")
    return strange.select("atom_id", reason=pl.format("故障: {} is no problem of {}", "故障", "报修设备"))


def _strange_parcels(row: pl.DataFrame) -> pl.DataFrame:
    wrong = misshapen(row.select("courier", tracking_number="运单号"))
    return wrong.select(row["atom_id"].gather(wrong["row"]), pl.format("运单号: {}", "reason").alias("reason"))
