"""The shop's rules, and single look-ups: what fits a device, how it is called, when it arrives, what a time means.

Here belongs what the holder of one sample asks, in the words of the sample, and the rules themselves. Whole columns
are drawn and checked by `cs_assets/atoms/products.py` under these rules.

Every order is one of an afternoon before the cut-off, so that times are relative: day 0 is today.

    [product.name for product in fitting("拯救者Y7000P", "内存条")]   # ["金士顿 FURY Impact DDR5 5600 16GB", ...]
    arrival(product, "杭州余杭区")                                    # Moment(day=0, hour=21)
    deadline("明天中午前")                                            # Moment(day=1, hour=12)
"""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple

import polars as pl

from cs_assets.reference import reference_table
from cs_assets.spoken_times import REFERENCE_INSTANT, normalise

# Days on the road. The shop's own promise, an assumption: a warehouse in the city delivers tonight, one of the same
# zone tomorrow, any other the day after tomorrow; the remote provinces of delivery_zones.csv wait longer.
_SAME_CITY, _SAME_ZONE, _OTHER_ZONE = 0, 1, 2
_LOCAL_HOUR, _HOUR = 21, 18
_MEASURED: Final = re.compile(r"\d+(?:\.\d+)?(?:GB|TB|W|米)")
# 笔记本 and 台式机 only say which interface a module has; no shop assistant repeats them.
_KIND_OF_MODULE: Final = re.compile(r" (?:笔记本|台式机)$")


class Moment(NamedTuple):
    """A time that all customers share: days from today, and the hour, up to 24."""

    day: int
    hour: int


@dataclass(frozen=True)
class Product:
    """What the shop sells.

    Attributes:
        name: what the shop calls it; no two products share one.
        specification: capacity, power or length as the table writes it: 16GB, 65W, 1.8米.
        price: yuan, without needless zeros.
    """

    sku: str
    category: str
    brand: str
    name: str
    specification: str
    price: str


@functools.lru_cache(maxsize=1)
def categories() -> Mapping[str, Mapping[str, str]]:
    """Return all that the shop sells: category -> its row of `accessories.csv`."""
    return {row["category"]: row for row in reference_table("accessories").iter_rows(named=True)}


@functools.lru_cache(maxsize=1)
def accessories() -> Mapping[str, Mapping[str, str]]:
    """Return the categories that have a measure (capacity, power, length): category -> its row of the table."""
    return {category: row for category, row in categories().items() if row["sized"]}


@functools.lru_cache(maxsize=1)
def measure_words() -> Mapping[str, tuple[str, ...]]:
    """Return the measure words (量词) of each category; the usual one stands more than once."""
    return {category: tuple(row["measure"].split("|")) for category, row in categories().items()}


@functools.lru_cache(maxsize=1)
def products() -> Mapping[str, Product]:
    """Return the products of `accessories()` by name, in order of their sku."""
    found = [_product(row) for row in _product_rows().values()]
    return {product.name: product for product in found}


@functools.lru_cache(maxsize=1)
def _product_rows() -> Mapping[str, Mapping[str, str]]:
    table = reference_table("products").sort("sku")
    return {row["sku"]: row for row in table.iter_rows(named=True) if row["category"] in accessories()}


def _product(row: Mapping[str, str]) -> Product:
    specification = f"{row['watts']}W" if row["watts"] else row["capacity"]
    model = _KIND_OF_MODULE.sub("", row["model"])
    # 小米 小米14 and 70W 电源 70W would say it twice.
    parts = [row["brand"]] * (not model.startswith(row["brand"])) + [model]
    parts += [specification] * (specification not in model)
    price = row["price"].removesuffix("0").removesuffix(".0")
    return Product(row["sku"], row["category"], row["brand"], " ".join(parts), specification, price)


@functools.lru_cache(maxsize=1)
def _devices() -> Mapping[str, Mapping[str, Any]]:
    """Return what owners call their devices -> the device's row."""
    rows = reference_table("devices").iter_rows(named=True)
    return {said: row for row in rows for said in row["spoken"].split("|")}


def device_names() -> list[str]:
    """Return every word for a device."""
    return list(_devices())


@functools.lru_cache(maxsize=1)
def _category_by_word() -> Mapping[str, str]:
    return {said: category for category, row in accessories().items() for said in row["spoken"].split("|")}


def accessory_names() -> list[str]:
    """Return every word for an accessory."""
    return list(_category_by_word())


def category_of(accessory: str) -> str:
    """Return the category that a customer's word for an accessory means, an empty string for an unknown word."""
    return _category_by_word().get(accessory, "")


def fits(product: Product, device: str) -> bool:
    """Tell whether a product fits a device, named as its owner calls it."""
    return device in _devices() and interfaces_agree(_devices()[device], _product_rows()[product.sku])


def interfaces_agree(device: Mapping[str, Any], product: Mapping[str, Any]) -> bool:
    """Tell whether a row of `products.csv` fits one of `devices.csv`: a common interface, and power enough."""
    owned = device[categories()[product["category"]]["attribute"]]
    common = set(product["interface"].split("|")) & set(filter(None, owned.split("|")))
    return bool(common) and (product["category"] != "充电器" or int(product["watts"]) >= int(device["charge_watts"]))


@functools.lru_cache(maxsize=4096)
def fitting(device: str, accessory: str) -> tuple[Product, ...]:
    """Return the products that a customer means who names these, in order of their sku."""
    category = category_of(accessory)
    return tuple(product for product in products().values() if product.category == category and fits(product, device))


def spellings(specification: str) -> tuple[str, ...]:
    """Return how customers type a measure: 16GB, 16G, 16g; 65W, 65w, 65瓦; 1.8米."""
    if specification.endswith("W"):
        return specification, specification.lower(), f"{specification[:-1]}瓦"
    if specification.endswith("B"):
        return specification, specification[:-1], specification[:-1].lower()
    return (specification,)


def specification_of(said: str) -> str:
    """Return the measure that a customer's spelling means, as the table writes it; empty if it is none."""
    text = re.sub(r"(?<=[GT])$", "B", said.upper().replace("瓦", "W"))
    return text if _MEASURED.fullmatch(text) else ""


@functools.lru_cache(maxsize=1)
def _deadlines() -> Mapping[str, Moment]:
    return {said: _end_of(said) for said in reference_table("delivery_times")["said"]}


def _end_of(said: str) -> Moment:
    """Return the end of a time by the calendar of speech, to the full hour."""
    ahead = normalise(said, REFERENCE_INSTANT)[1] - REFERENCE_INSTANT.replace(hour=0)
    hours = math.ceil(ahead / timedelta(hours=1))
    return Moment((hours - 1) // 24, (hours - 1) % 24 + 1)


def deadline(said: str) -> Moment | None:
    """Return the end of the time that is said (今晚 ends at 24 o'clock), None if it is not one of `time_names()`."""
    return _deadlines().get(said)


def time_names() -> list[str]:
    """Return every word for a time by which a parcel may be wanted."""
    return list(_deadlines())


@functools.lru_cache(maxsize=1)
def _cities() -> Mapping[str, str]:
    """Return each city that the shop delivers to, without 市 -> its province."""
    rows = reference_table("divisions").filter((pl.col("city") != "") & pl.col("province").is_in(list(_zones())))
    return dict(rows.select(pl.col("city").str.strip_suffix("市"), "province").iter_rows())


def cities() -> list[str]:
    """Return the cities that the shop delivers to, without 市.

    Hong Kong, Macao and Taiwan are left out, and so are counties without a city (仙桃, 济源).
    """
    return list(_cities())


@functools.lru_cache(maxsize=1)
def _zones() -> Mapping[str, tuple[str, int]]:
    """Return province -> its zone, and the days that it takes longer than the rest of the zone."""
    rows = reference_table("delivery_zones").iter_rows()
    return {province: (zone, int(extra)) for province, zone, extra in rows}


@functools.lru_cache(maxsize=1)
def _stock() -> Mapping[str, Mapping[str, int]]:
    """Return sku -> warehouse -> how many lie there."""
    rows = reference_table("stock").iter_rows(named=True)
    return {row["sku"]: {city: int(amount) for city, amount in row.items() if city != "sku"} for row in rows}


def warehouses(product: Product, quantity: int = 1) -> list[str]:
    """Return the cities whose warehouse holds that many of a product."""
    return _holding(product.sku, quantity)


def _holding(sku: str, quantity: int) -> list[str]:
    return [city for city, amount in _stock()[sku].items() if amount >= quantity]


@functools.lru_cache(maxsize=4096)
def city_of(place: str) -> str:
    """Return the city, without 市, that a place begins with (杭州 of 杭州余杭区); empty if the shop knows none."""
    return max((city for city in _cities() if place.startswith(city)), key=len, default="")


def arrival(product: Product, place: str, quantity: int = 1) -> Moment | None:
    """Return when an order arrives; None if no warehouse has that many or the shop does not deliver there."""
    city = city_of(place)
    return delivery(product.sku, city, quantity) if city else None


def delivery(sku: str, city: str, quantity: int) -> Moment | None:
    """Return when an order arrives in one of `cities()`; None if no warehouse has that many.

    Raises:
        KeyError: there is no such product or city.
    """
    days = [days_on_road(warehouse, city) for warehouse in _holding(sku, quantity)]
    return arrival_after(min(days)) if days else None


def arrival_after(days: int) -> Moment:
    """Return when a parcel arrives that is so many days on the road."""
    return Moment(days, _LOCAL_HOUR if days == _SAME_CITY else _HOUR)


def days_on_road(warehouse: str, city: str) -> int:
    """Return how many days a parcel takes from one of `cities()` to another, 0 for today."""
    zone, extra = _zones()[_cities()[city]]
    if warehouse == city:
        return _SAME_CITY + extra
    return (_SAME_ZONE if _zones()[_cities()[warehouse]][0] == zone else _OTHER_ZONE) + extra
