"""The bundle `shop_records`: a product, an order and a review, as the shop's records hold them.

One row holds one of each. The product's price and stock are those of the reference tables; the order's amount is price
x quantity, its tracking number has the shape of its courier, its status goes with its age; the review speaks of the
reviewed category, and as kindly as its stars.

    table = shop_records_atoms(count=3, seed=7)
    table["订单"][0]   # {"param": {"订单号": "4381...", "商品": "希捷 酷狼 机械硬盘 4TB", "单价": "799元", ...}}

The three speak of different products of the same entity block. A block owns whole models (all capacities of one), and
the masked customer's names are not owned: 张** is everyone.
"""

import functools
from datetime import timedelta
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT, atom_ids, sample_blocks
from cs_assets.atoms.columns import WeightedPools, draw
from cs_assets.atoms.orders import order_fits, sample_couriers, sample_orders, sample_tracking, tracking_fits
from cs_assets.atoms.people import sample_names
from cs_assets.atoms.products import products, stock
from cs_assets.atoms.times import REFERENCE_INSTANT
from cs_assets.reference import reference_table

# Of a parcel that was sent, for before it has no courier: in the first days after the order, and later.
UNDER_WAY: Final = ("已发货", "运输中", "派送中", "已签收")
DELIVERED: Final = ("已签收", "退货中", "交易完成")
_UNDER_WAY_DAYS: Final = 7
# How often a review has so many stars: an assumption; most are friendly.
_STARS: Final = {5: 0.44, 4: 0.16, 3: 0.14, 2: 0.10, 1: 0.16}
_QUANTITIES: Final = {1: 0.45, 2: 0.27, 3: 0.12, 4: 0.05, 5: 0.05, 8: 0.02, 10: 0.04}
# How far back orders without a date in their number and reviews go.
_ORDERS_DAYS, _REVIEWS_DAYS = 30, 120


_GOODS_WORD: Final = "壳|膜|套|夹|笔|Pencil|电池|硒鼓|粉盒|墨水|适配器|存储卡"


def polarity_of(stars: pl.Expr) -> pl.Expr:
    """Return what the words of a review with so many stars must be: good, fair or bad."""
    return pl.when(stars >= 4).then(pl.lit("good")).when(stars == 3).then(pl.lit("fair")).otherwise(pl.lit("bad"))


@functools.lru_cache(maxsize=1)
def shelf() -> pl.DataFrame:
    """Return the products: the columns of `products()`, size (capacity or power, may be ""), title, in_stock, block."""
    in_stock = stock().group_by("sku").agg(in_stock=pl.col("quantity").sum())
    power = pl.when(pl.col("watts") != "").then(pl.col("watts") + "W").otherwise(pl.lit(""))
    # A model may name its power (氮化镓 65W) or what it is (iPhone 15 磁吸壳) already.
    sized = pl.col("model").str.contains(pl.col("size"), literal=True)
    named = pl.col("model").str.contains(_GOODS_WORD)
    return (
        products()
        .join(in_stock, on="sku")
        .with_columns(size=pl.when(pl.col("capacity") != "").then("capacity").otherwise(power))
        .with_columns(
            title=pl.concat_str(
                "brand",
                "model",
                pl.when(~named).then("category"),
                pl.when(~sized).then("size"),
                separator=" ",
                ignore_nulls=True,
            ),
            block=pl.concat_str("brand", "model").rank("dense").cast(pl.Int64) % BLOCK_COUNT,
        )
        .sort("sku")
    )


def shop_records_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make the `count` coherent rows of one chunk.

    Columns: atom_id (u32), entity_block (u8), the records 商品, 订单, 评价 (structs {"param": {field: text}}), and
    `_origin`, the products' numbers, courier and platform that `shop_records_faults` compares with.
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    records = pl.concat([_products(rng, blocks), _orders(rng, blocks), _reviews(rng, blocks)], how="horizontal")
    return records.select(
        atom_ids(chunk, count),
        pl.Series("entity_block", blocks),
        _record("商品", "品牌", "品类", "型号", "规格", "价格", "库存"),
        _record("订单", "订单号", "商品", "单价", "数量", "金额", "快递", "运单号", "状态", "下单时间"),
        _record("评价", "用户", "商品", "星级", "时间", "内容"),
        pl.struct("product", "ordered", "reviewed", "platform").alias("_origin"),
    )


def _record(kind: str, *labels: str) -> pl.Expr:
    """Return the struct of a record; its columns are named 订单.单价."""
    return pl.struct(param=pl.struct(pl.col(f"{kind}.{label}").alias(label) for label in labels)).alias(kind)


@functools.lru_cache(maxsize=2)
def _pools(with_size: bool) -> WeightedPools:
    """Return the shelf in pools of its blocks, each category as likely as any; sized ones alone if `with_size`."""
    table = shelf().with_columns(weight=1.0 / pl.len().over("block", "category"))
    weight = pl.when((pl.col("size") != "") | (not with_size)).then("weight").otherwise(0.0)
    return WeightedPools(table.select(weight).to_series().to_numpy(), table["block"].to_numpy())


def _products(rng: np.random.Generator, blocks: np.ndarray) -> pl.DataFrame:
    """Draw products that have a capacity or a power, so that a sentence may name it."""
    drawn = shelf()[_pools(True).draw(rng, blocks)]
    return drawn.select(
        pl.col("brand").alias("商品.品牌"),
        pl.col("category").alias("商品.品类"),
        pl.col("model").alias("商品.型号"),
        pl.col("size").alias("商品.规格"),
        _money(pl.col("fen"), pl.lit(_money_styles(rng, drawn.height))).alias("商品.价格"),
        pl.format("{}件", "in_stock").alias("商品.库存"),
        product="sku",
    )


def _orders(rng: np.random.Generator, blocks: np.ndarray) -> pl.DataFrame:
    count = len(blocks)
    numbers, couriers = sample_orders(rng, count), sample_couriers(rng, count)
    styles = pl.lit(_money_styles(rng, count))
    days = _days_of(numbers["order_number"], _earlier_days(rng, count, _ORDERS_DAYS))
    early = pl.lit(days) >= REFERENCE_INSTANT.date() - timedelta(days=_UNDER_WAY_DAYS)
    drawn = shelf()[_pools(False).draw(rng, blocks)].with_columns(
        quantity=rng.choice(list(_QUANTITIES), count, p=list(_QUANTITIES.values()))
    )
    return drawn.select(
        numbers["order_number"].alias("订单.订单号"),
        pl.col("title").alias("订单.商品"),
        _money(pl.col("fen"), styles).alias("订单.单价"),
        pl.format("{}件", "quantity").alias("订单.数量"),
        _money(pl.col("fen") * pl.col("quantity"), styles).alias("订单.金额"),
        couriers.alias("订单.快递"),
        sample_tracking(rng, couriers).alias("订单.运单号"),
        pl.when(early).then(draw(rng, UNDER_WAY, count)).otherwise(draw(rng, DELIVERED, count)).alias("订单.状态"),
        _times(rng, days).alias("订单.下单时间"),
        numbers["platform"],
        ordered="sku",
    )


def _reviews(rng: np.random.Generator, blocks: np.ndarray) -> pl.DataFrame:
    count = len(blocks)
    drawn = shelf()[_pools(False).draw(rng, blocks)].with_columns(
        stars=rng.choice(list(_STARS), count, p=list(_STARS.values()))
    )
    return drawn.select(
        # As shops mask them: the first character stays.
        pl.format("{}**", sample_names(rng, blocks).str.head(1)).alias("评价.用户"),
        pl.col("title").alias("评价.商品"),
        pl.format("{}星", "stars").alias("评价.星级"),
        _times(rng, _earlier_days(rng, count, _REVIEWS_DAYS)).alias("评价.时间"),
        _words(rng, drawn.select("category", polarity=polarity_of(pl.col("stars")))).alias("评价.内容"),
        reviewed="sku",
    )


# --- Money and times, in one of the spellings of shop systems.


def _money_styles(rng: np.random.Generator, count: int) -> pl.Series:
    return draw(rng, ("339元", "339元", "339.00元", "¥339.00"), count)


def _money(fen: pl.Expr, styles: pl.Expr) -> pl.Expr:
    """Write sums in the spelling that `styles` shows by example; 59.90 stays so where there are cents."""
    exact = pl.format("{}.{}", fen // 100, (fen % 100).cast(pl.String).str.zfill(2))
    whole = (styles == "339元") & (fen % 100 == 0)
    number = pl.when(whole).then((fen // 100).cast(pl.String)).otherwise(exact)
    return pl.when(styles == "¥339.00").then(pl.lit("¥") + number).otherwise(number + "元")


def _earlier_days(rng: np.random.Generator, count: int, within: int) -> pl.Series:
    """Draw days of the `within` days before the reference instant's."""
    today = REFERENCE_INSTANT.date()
    return pl.Series([today - timedelta(days=n + 1) for n in range(within)]).gather(rng.integers(0, within, count))


def _days_of(numbers: pl.Series, others: pl.Series) -> pl.Series:
    """Return the day that a dated order number shows, and the one of `others` where it shows none."""
    dated = ("20" + pl.lit(numbers).str.extract(r"^(\d{6})-")).str.to_date("%Y%m%d", strict=False)
    return pl.select(dated.fill_null(pl.lit(others))).to_series()


def _times(rng: np.random.Generator, days: pl.Series) -> pl.Series:
    """Write days, some with an hour of the waking day."""
    minutes = pl.lit(pl.Series(rng.integers(8 * 60, 24 * 60, len(days))))
    instant = pl.lit(days).cast(pl.Datetime) + pl.duration(minutes=minutes)
    styles = draw(rng, _TIME_STYLES, len(days))
    written = pl.lit("")
    for style in dict.fromkeys(_TIME_STYLES):
        written = pl.when(pl.lit(styles) == style).then(instant.dt.strftime(style)).otherwise(written)
    return pl.select(written).to_series()


_TIME_STYLES: Final = (
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d",
    "%-m月%-d日",
    "%Y/%m/%d %H:%M",
    "%-m月%-d日%H:%M",
)


# --- Reviews


@functools.lru_cache(maxsize=1)
def _phrases() -> tuple[pl.DataFrame, WeightedPools]:
    """Return category, polarity, phrase, with the phrases of no category repeated for each; and their pools.

    A category's own phrases weigh twice as much as a general one.
    """
    table = reference_table("review_phrases")
    general, own = table.filter(pl.col("category") == ""), table.filter(pl.col("category") != "")
    categories = own.select("category").unique().sort("category")
    every = pl.concat(
        [
            own.with_columns(weight=2.0),
            categories.join(general.drop("category"), how="cross").with_columns(weight=1.0),
        ]
    ).with_columns(pool=_pool(categories["category"]))
    return every, WeightedPools(every["weight"].to_numpy(), every["pool"].to_numpy())


def _pool(categories: pl.Series) -> pl.Expr:
    """Return the number of the pool of phrases for the columns category and polarity."""
    position = pl.col("category").replace_strict({name: n for n, name in enumerate(categories)}, return_dtype=pl.Int64)
    return position * 3 + pl.col("polarity").replace_strict({"good": 0, "fair": 1, "bad": 2}, return_dtype=pl.Int64)


def _words(rng: np.random.Generator, wanted: pl.DataFrame) -> pl.Series:
    """Draw one to three phrases for each row of `wanted` (category, polarity), joined by commas."""
    table, pools = _phrases()
    numbers = wanted.select(_pool(table["category"].unique().sort())).to_series().to_numpy()
    drawn = pl.DataFrame({str(n): table["phrase"].gather(pools.draw(rng, numbers)) for n in range(3)})
    length = pl.lit(pl.Series(rng.integers(1, 4, wanted.height)))
    phrases = pl.concat_list(drawn.columns).list.head(length).list.unique(maintain_order=True)
    return drawn.select(words=phrases.list.join("，")).to_series()


# --- Coherence


def shop_records_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that contradict the reference tables or themselves: atom_id and reason; empty when all is well.

    It reads the written texts; of what the sampler claims it takes the products' and the platform's names only.
    """
    row = _with_products(atoms)
    amount = _fen("订单.单价") * pl.col("订单.数量").str.strip_suffix("件").cast(pl.Int64, strict=False)
    tests = {
        "the product does not exist": pl.all_horizontal(pl.col(f"{o}.title").is_not_null() for o in _ORIGINS),
        "商品: not the product's brand, category or model": pl.all_horizontal(
            pl.col(f"商品.{label}") == pl.col(f"product.{name}")
            for label, name in {"品牌": "brand", "品类": "category", "型号": "model", "规格": "size"}.items()
        ),
        "商品: not the product's price": _fen("商品.价格") == pl.col("product.fen"),
        "商品: not what is in stock": pl.col("商品.库存") == pl.format("{}件", "product.in_stock"),
        "订单: not the product's name or price": (pl.col("订单.商品") == pl.col("ordered.title"))
        & (_fen("订单.单价") == pl.col("ordered.fen")),
        "订单: the amount is not price x quantity": _fen("订单.金额") == amount,
        "订单: the number has another platform's shape": order_fits(pl.col("platform"), pl.col("订单.订单号")),
        "订单: the parcel's number has another courier's shape": tracking_fits(
            pl.col("订单.快递"), pl.col("订单.运单号")
        ),
        "订单: the number is of another day": _day_agrees(),
        "订单: the status does not go with the time": _status_agrees(),
        "评价: not the product's name": pl.col("评价.商品") == pl.col("reviewed.title"),
        "评价: the name is not masked": pl.col("评价.用户").str.contains(r"^[\u4e00-\u9fffA-Z]\*\*$"),
    }
    found = [
        row.filter(~test.fill_null(False)).select("atom_id", reason=pl.lit(reason)) for reason, test in tests.items()
    ]
    return pl.concat([*found, _wrong_words(row)]).sort("atom_id", "reason")


_ORIGINS: Final = ("product", "ordered", "reviewed")
_COMPARED: Final = ("title", "brand", "category", "model", "size", "fen", "in_stock")


def _with_products(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the records' fields by dotted name, 订单.单价, and what the shelf says of each product, ordered.fen."""
    row = atoms.select(
        "atom_id",
        *(
            pl.col(kind).struct.field("param").struct.field("*").name.prefix(f"{kind}.")
            for kind in ("商品", "订单", "评价")
        ),
        pl.col("_origin").struct.unnest(),
    )
    for origin in _ORIGINS:
        row = row.join(
            shelf().select(
                pl.col("sku").alias(origin), *(pl.col(name).alias(f"{origin}.{name}") for name in _COMPARED)
            ),
            on=origin,
            how="left",
        )
    return row


def _fen(column: str) -> pl.Expr:
    """Read money as fen, null where it is none."""
    digits = pl.col(column).str.extract(r"^(?:¥(\d+\.\d\d)|(?:\d+(?:\.\d\d)?)元)$", 0).str.replace_all("[¥元]", "")
    yuan, cents = digits.str.extract(r"^(\d+)"), digits.str.extract(r"\.(\d\d)$").fill_null("00")
    return yuan.cast(pl.Int64) * 100 + cents.cast(pl.Int64)


def _month_and_day(column: str) -> list[pl.Expr]:
    """Read month and day of a written time."""
    day = r"(\d{1,2})[-/月](\d{1,2})(?:日|\s|$)"
    return [pl.col(column).str.extract(day, group).str.zfill(2) for group in (1, 2)]


def _day_agrees() -> pl.Expr:
    """Tell whether the order's time names the day that a dated order number shows."""
    month, day = _month_and_day("订单.下单时间")
    number = pl.col("订单.订单号").str.extract(r"^\d\d(\d{4})-")
    return number.is_null() | (number == month + day)


def _status_agrees() -> pl.Expr:
    """Tell whether the parcel can be where the status says so long after the order."""
    month, day = _month_and_day("订单.下单时间")
    placed = (pl.lit(f"{REFERENCE_INSTANT.year}") + month + day).str.to_date("%Y%m%d", strict=False)
    early = placed >= REFERENCE_INSTANT.date() - timedelta(days=_UNDER_WAY_DAYS)
    status = pl.col("订单.状态")
    return pl.when(early).then(status.is_in(UNDER_WAY)).otherwise(status.is_in(DELIVERED))


def _wrong_words(row: pl.DataFrame) -> pl.DataFrame:
    """Find reviews with a phrase that is not their category's, or is kinder or ruder than their stars."""
    stars = pl.col("评价.星级").str.extract(r"^([1-5])星$").cast(pl.Int64)
    phrases = row.select(
        "atom_id",
        category="reviewed.category",
        polarity=polarity_of(stars),
        phrase=pl.col("评价.内容").str.split("，"),
    ).explode("phrase")
    strange = phrases.join(_phrases()[0], on=["category", "polarity", "phrase"], how="anti")
    reason = pl.format("评价: {} does not go with the stars or the product", pl.col("phrase").fill_null("nothing"))
    return strange.select("atom_id", reason=reason)
