"""Products, accessories and the devices they are for (商品与配件), what is in stock where, and when it arrives.

Here belongs what is drawn and checked a column at a time. Which accessory fits which device is computed from their
attributes and never listed; so is the arrival; both by the rules of `cs_assets/catalogue.py`. What the columns mean,
and where prices and stock come from: `data/reference/SHOP.md`.

    devices() -> DataFrame[device_id, kind, brand, model, spoken, memory, storage, charge_port, charge_watts, ...]
    products() -> DataFrame[sku, category, brand, model, capacity, price, interface, watts, fen]
    stock() -> DataFrame[sku, city, quantity]
    destinations() -> DataFrame[city]
    fits(devices, products) -> DataFrame[device_id, category, sku]
    compatible() -> DataFrame[device_id, category, sku]      # fits() of everything
    arrival(sku, city, ordered_at, quantity=1) -> datetime | None
    arrivals(orders: DataFrame[sku, city, quantity], ordered_at) -> Series[str | null]    # ISO 8601
    sample_devices(rng, count, kinds=None) -> DataFrame[device_id, kind, brand, model, said]
    sample_products(rng, count) -> DataFrame[sku, category, brand, model, capacity, price, fen, said]
    sample_pairs(rng, count, pairs=None) -> DataFrame[device_id, device_kind, device_said, sku, category, ..., said]
    say_products(rng, skus) -> Series        # how customers call them: "16G内存", "致态的固态硬盘", "手机壳"
    misfits(pairs: DataFrame[device_id, sku]) -> DataFrame[row, reason]

Example: the memory module for a laptop, and whether it arrives tonight.

    compatible().filter(device_id="NB01", category="内存条")      # MEM07, MEM08, ...: DDR5 SO-DIMM
    arrival("MEM07", "北京", datetime(2026, 6, 10, 14, tzinfo=SHANGHAI))    # 2026-06-10 21:00
"""

import functools
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Final

import numpy as np
import polars as pl

from cs_assets import catalogue
from cs_assets.atoms.times import SHANGHAI, in_shanghai, isoformat
from cs_assets.atoms.vocabularies import Vocabularies
from cs_assets.catalogue import Moment
from cs_assets.reference import reference_table

# An order after the cut-off counts as one of the next day.
CUT_OFF: Final = time(16)


@functools.lru_cache(maxsize=1)
def devices() -> pl.DataFrame:
    """Return the devices that customers own: all text; attributes may hold several values, divided by `|`."""
    return reference_table("devices").sort("device_id")


@functools.lru_cache(maxsize=1)
def products() -> pl.DataFrame:
    """Return what the shop sells: all text, `price` in yuan with two decimals; `fen`, the price as int64."""
    fen = pl.col("price").str.replace(".", "", literal=True).cast(pl.Int64)
    return reference_table("products").with_columns(fen=fen).sort("sku")


@functools.lru_cache(maxsize=1)
def stock() -> pl.DataFrame:
    """Return how much of each product lies in each warehouse: sku, city (北京, without 市), quantity (int64)."""
    wide = reference_table("stock").sort("sku")
    return wide.unpivot(index="sku", variable_name="city", value_name="quantity").with_columns(
        pl.col("quantity").cast(pl.Int64)
    )


@functools.lru_cache(maxsize=1)
def destinations() -> pl.DataFrame:
    """Return the cities that the shop delivers to: city (without 市), sorted."""
    return pl.DataFrame({"city": catalogue.cities()}).sort("city")


def fits(some_devices: pl.DataFrame, some_products: pl.DataFrame) -> pl.DataFrame:
    """Compute which product fits which device.

    A product fits if one of its interfaces is one of the device's, and a charger gives at least the power needed.

    Returns:
        device_id, category, sku, sorted.
    """
    goods = some_products.to_dicts()
    pairs = [
        (device["device_id"], product["category"], product["sku"])
        for device in some_devices.iter_rows(named=True)
        for product in goods
        if catalogue.interfaces_agree(device, product)
    ]
    return pl.DataFrame(pairs, schema=["device_id", "category", "sku"], orient="row").sort(pl.all())


@functools.lru_cache(maxsize=1)
def compatible() -> pl.DataFrame:
    """Return `fits` of all devices and all products."""
    return fits(devices(), products())


def misfits(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `pairs` (device_id, sku) that cannot be right: row, reason; empty when all is well."""
    known = compatible().select("device_id", "sku", fit=pl.lit(True))
    reason = (
        pl.when(~pl.col("device_id").is_in(devices()["device_id"].to_list()))
        .then(pl.format("device {} does not exist", "device_id"))
        .when(~pl.col("sku").is_in(products()["sku"].to_list()))
        .then(pl.format("product {} does not exist", "sku"))
        .when(pl.col("fit").is_null())
        .then(pl.format("{} does not fit {}", "sku", "device_id"))
    )
    joined = pairs.select("device_id", "sku").with_row_index("row").join(known, on=["device_id", "sku"], how="left")
    return joined.select("row", reason=reason).drop_nulls().sort("row")


def arrival(sku: str, city: str, ordered_at: datetime, quantity: int = 1) -> datetime | None:
    """Return when an order arrives, or None if no warehouse has that many.

    Args:
        sku: of `products()`.
        city: of `destinations()`, with or without 市.
        ordered_at: with its time zone.
        quantity: all from one warehouse.

    Raises:
        ValueError: there is no such product or destination.
    """
    if sku not in products()["sku"]:
        raise ValueError(f"product {sku!r} does not exist; see data/reference/products.csv")
    name = city.removesuffix("市")
    if name not in catalogue.cities():
        raise ValueError(f"the shop does not deliver to {city!r}; see destinations() in cs_assets/atoms/products.py")
    moment = catalogue.delivery(sku, name, quantity)
    return _arrives(ordered_at, moment) if moment else None


def arrivals(orders: pl.DataFrame, ordered_at: datetime) -> pl.Series:
    """Return `arrival` of each row of `orders` (sku, city, quantity) as ISO 8601 text, null where there is none.

    Products and destinations that do not exist give null, too: check them before.
    """
    wanted = orders.select("sku", pl.col("city").str.strip_suffix("市"), "quantity").with_row_index("row")
    reached = (
        wanted.join(_reach(), on=["sku", "city"])
        .filter(pl.col("in_stock") >= pl.col("quantity"))
        .group_by("row")
        .agg(pl.col("days").min())
    )
    texts = {days: isoformat(_arrives(ordered_at, catalogue.arrival_after(days))) for days in _reach()["days"].unique()}
    text = pl.col("days").replace_strict(texts, return_dtype=pl.String)
    return wanted.join(reached, on="row", how="left").sort("row").select(arrival=text).to_series()


def _arrives(ordered_at: datetime, moment: Moment) -> datetime:
    local = in_shanghai(ordered_at)
    late = local.time() >= CUT_OFF
    midnight = datetime.combine(local.date() + timedelta(days=moment.day + late), time(), SHANGHAI)
    return midnight + timedelta(hours=moment.hour)


@functools.lru_cache(maxsize=1)
def _reach() -> pl.DataFrame:
    """Return sku, city, days and the most that one warehouse at that distance holds (in_stock)."""
    roads = [
        (start, city, catalogue.days_on_road(start, city))
        for start in stock()["city"].unique().sort()
        for city in catalogue.cities()
    ]
    distances = pl.DataFrame(roads, schema=["warehouse", "city", "days"], orient="row")
    joined = stock().rename({"city": "warehouse"}).join(distances, on="warehouse")
    return joined.group_by("sku", "city", "days").agg(in_stock=pl.col("quantity").max())


def sample_devices(rng: np.random.Generator, count: int, kinds: Sequence[str] | None = None) -> pl.DataFrame:
    """Draw devices, each as often as any other: device_id, kind, brand, model, said (what its owner calls it).

    Args:
        rng: the generator to draw from.
        count: how many.
        kinds: of `devices()["kind"]`; all by default.

    Raises:
        ValueError: there is no device of these kinds.
    """
    wanted = np.arange(devices().height) if kinds is None else np.flatnonzero(devices()["kind"].is_in(list(kinds)))
    if not len(wanted):
        raise ValueError(f"no device of the kinds {kinds}; there are {sorted(devices()['kind'].unique())}")
    return _said_devices(rng, devices()[rng.choice(wanted, count)])


def sample_products(rng: np.random.Generator, count: int) -> pl.DataFrame:
    """Draw products: sku, category, brand, model, capacity, price, fen, said. Each category is as likely as any."""
    return _said_products(rng, products()[_weighted_rows(rng, count, products(), 1 / pl.len().over("category"))])


def sample_pairs(rng: np.random.Generator, count: int, pairs: pl.DataFrame | None = None) -> pl.DataFrame:
    """Draw a device and a product that fits it, each device and each of its categories as often as any other.

    Args:
        rng: the generator to draw from.
        count: how many.
        pairs: the rows of `compatible()` to draw from, as those of one entity block; all by default.

    Returns:
        device_id, device_kind, device_brand, device_model, device_said, then the columns of `sample_products`.
    """
    pairs = compatible() if pairs is None else pairs
    categories = pl.col("category").n_unique().over("device_id")
    drawn = pairs[_weighted_rows(rng, count, pairs, 1 / categories / pl.len().over("device_id", "category"))]
    owned = _said_devices(rng, drawn.select("device_id").join(devices(), on="device_id", maintain_order="left"))
    owned = owned.rename(lambda name: name if name == "device_id" else f"device_{name}")
    fitting = _said_products(rng, drawn.select("sku").join(products(), on="sku", maintain_order="left"))
    return pl.concat([owned, fitting], how="horizontal")


def say_products(rng: np.random.Generator, skus: pl.Series) -> pl.Series:
    """Draw what customers call each product: 内存条, 16G内存, 金士顿的内存条.

    Raises:
        ValueError: a product does not exist.
    """
    return _spoken_products().draw(rng, skus)


def _weighted_rows(rng: np.random.Generator, count: int, table: pl.DataFrame, weight: pl.Expr) -> np.ndarray:
    """Draw row numbers of `table`, each as often as its weight says."""
    bounds = np.cumsum(table.select(weight).to_series().to_numpy())
    return np.searchsorted(bounds, rng.random(count) * bounds[-1], side="right")


def _said_devices(rng: np.random.Generator, drawn: pl.DataFrame) -> pl.DataFrame:
    said = _spoken_devices().draw(rng, drawn["device_id"])
    return drawn.select("device_id", "kind", "brand", "model", said=said)


def _said_products(rng: np.random.Generator, drawn: pl.DataFrame) -> pl.DataFrame:
    said = _spoken_products().draw(rng, drawn["sku"])
    return drawn.select("sku", "category", "brand", "model", "capacity", "price", "fen", said=said)


@functools.lru_cache(maxsize=1)
def _spoken_devices() -> Vocabularies:
    return Vocabularies({row["device_id"]: row["spoken"].split("|") for row in devices().iter_rows(named=True)})


@functools.lru_cache(maxsize=1)
def _spoken_products() -> Vocabularies:
    return Vocabularies({row["sku"]: _names_of(row) for row in products().iter_rows(named=True)})


def _names_of(product: dict) -> list[str]:
    """Return what customers call a product. The bare word comes twice: most say no more."""
    words = catalogue.categories()[product["category"]]["spoken"].split("|")
    brand = product["brand"].replace("西部数据", "西数")
    names = [words[0], words[0], *words[1:], f"{brand}{words[0]}", f"{brand}的{words[0]}"]
    size = product["capacity"] if product["capacity"].endswith(("GB", "TB")) else ""
    size = f"{product['watts']}W" if product["watts"] else size
    for spelling in (size, size.removesuffix("B"), size.removesuffix("B").lower()) if size else ():
        names += [f"{spelling}{words[0]}", f"{spelling}的{words[-1]}", f"{brand}{spelling}{words[0]}"]
    return names
