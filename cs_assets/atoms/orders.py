"""Order numbers, couriers and tracking numbers (订单号, 快递公司, 运单号) of the shapes that are really in use.

    sample_order_numbers(rng, count, before=REFERENCE_INSTANT) -> Series
    sample_orders(rng, count, before=REFERENCE_INSTANT) -> DataFrame[platform, order_number]
    order_fits(platform: Expr, order_number: Expr) -> Expr[bool]
    sample_couriers(rng, count) -> Series                # 中通, 顺丰, ... as in COURIERS
    say_couriers(rng, couriers) -> Series                # what customers call them: 中通快递, 顺丰, EMS
    sample_tracking(rng, couriers) -> Series             # each in the shape of its courier
    tracking_fits(courier: Expr, number: Expr) -> Expr[bool]
    misshapen(table: DataFrame[courier, tracking_number]) -> DataFrame[row, reason]
    s10_check_digit(serial: str) -> int

Example: sample_tracking(rng, pl.Series(["顺丰", "圆通"])) gives SF3471928405512 and YT8820193374651.

The shapes are read off parcels and shop apps, not taken from a specification, except the international EMS number
(UPU standard S10); the digits mean nothing. What is in a parcel and where it goes: `products.py`, `shipping.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from cs_assets.atoms.times import REFERENCE_INSTANT, in_shanghai
from cs_assets.atoms.vocabularies import Vocabularies


class Shape(NamedTuple):
    """A number: `prefix`, then `digits` random digits, then `suffix`."""

    prefix: str
    digits: int
    suffix: str = ""


class Courier(NamedTuple):
    """A courier: its share of the parcels, the shapes of its numbers and what customers call it."""

    share: float
    shapes: tuple[Shape, ...]
    spoken: tuple[str, ...]


# International EMS: two letters, eight digits, a check digit, the country. The check digit replaces the ninth.
_S10: Final = tuple(Shape(prefix, 9, "CN") for prefix in ("EA", "EB", "EZ"))
# Shares: an assumption, in the order of the couriers' sizes.
COURIERS: Final = {
    "中通": Courier(0.23, (Shape("76", 12), Shape("78", 12), Shape("75", 13)), ("中通", "中通", "中通快递")),
    "圆通": Courier(0.17, (Shape("YT", 13),), ("圆通", "圆通", "圆通快递", "圆通速递")),
    "韵达": Courier(0.15, (Shape("43", 13), Shape("46", 13), Shape("10", 11)), ("韵达", "韵达", "韵达快递")),
    "申通": Courier(0.13, (Shape("773", 12), Shape("777", 12)), ("申通", "申通", "申通快递")),
    "极兔": Courier(0.10, (Shape("JT", 13),), ("极兔", "极兔", "极兔快递", "极兔速递")),
    "顺丰": Courier(0.09, (Shape("SF", 13),), ("顺丰", "顺丰", "顺丰快递", "顺丰速运")),
    "京东": Courier(0.06, (Shape("JD", 13), Shape("JD", 15)), ("京东", "京东", "京东快递", "京东物流")),
    "EMS": Courier(0.05, (Shape("10", 11), Shape("11", 11), Shape("12", 11), *_S10), ("EMS", "EMS", "邮政", "邮政EMS")),
    "德邦": Courier(0.02, (Shape("DPK", 12),), ("德邦", "德邦", "德邦快递", "德邦物流")),
}


class Platform(NamedTuple):
    """A platform: its share of the orders and the shapes of its numbers; `dated` ones begin with yymmdd and a dash."""

    share: float
    shapes: tuple[Shape, ...]
    dated: bool = False


# Shares: an assumption.
PLATFORMS: Final = {
    "淘宝": Platform(0.40, (Shape("2", 18), Shape("3", 18), Shape("4", 18))),
    "京东": Platform(0.22, (Shape("3", 11), Shape("2", 11))),
    "拼多多": Platform(0.22, (Shape("", 15),), dated=True),
    "抖音": Platform(0.16, (Shape("69", 17),)),
}
_ORDERS_DAYS: Final = 60


def sample_order_numbers(rng: np.random.Generator, count: int, before: datetime = REFERENCE_INSTANT) -> pl.Series:
    """Draw order numbers of the large platforms: see `sample_orders`."""
    return sample_orders(rng, count, before)["order_number"]


def sample_orders(rng: np.random.Generator, count: int, before: datetime = REFERENCE_INSTANT) -> pl.DataFrame:
    """Draw orders of the 60 days before `before`, which a dated number shows: platform, order_number."""
    shares = [platform.share for platform in PLATFORMS.values()]
    platforms = pl.Series(list(PLATFORMS))[rng.choice(len(PLATFORMS), count, p=shares)]
    days = [in_shanghai(before) - timedelta(days=n) for n in range(_ORDERS_DAYS)]
    dates = pl.Series([f"{day:%y%m%d}-" for day in days])[rng.integers(0, _ORDERS_DAYS, count)]
    numbers = _numbers(rng, {name: platform.shapes for name, platform in PLATFORMS.items()}, platforms)
    dated = pl.col("platform").is_in([name for name, platform in PLATFORMS.items() if platform.dated])
    number = pl.when(dated).then(pl.lit(dates) + pl.lit(numbers)).otherwise(pl.lit(numbers))
    return pl.DataFrame({"platform": platforms}).with_columns(order_number=number)


def order_fits(platform: pl.Expr, order_number: pl.Expr) -> pl.Expr:
    """Tell whether the number has the shape of the platform's; false for an unknown platform."""
    patterns = {
        name: (r"\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])-" if platform.dated else "") + _pattern(platform.shapes)
        for name, platform in PLATFORMS.items()
    }
    return _fits(platform, order_number, patterns)


def sample_couriers(rng: np.random.Generator, count: int) -> pl.Series:
    """Draw couriers by their share."""
    shares = [courier.share for courier in COURIERS.values()]
    return pl.Series(list(COURIERS))[rng.choice(len(COURIERS), count, p=shares)]


def say_couriers(rng: np.random.Generator, couriers: pl.Series) -> pl.Series:
    """Draw what customers call each courier.

    Raises:
        ValueError: a courier is not in `COURIERS`.
    """
    return Vocabularies({name: courier.spoken for name, courier in COURIERS.items()}).draw(rng, couriers)


def sample_tracking(rng: np.random.Generator, couriers: pl.Series) -> pl.Series:
    """Draw a tracking number for each courier, in one of its shapes.

    Raises:
        ValueError: a courier is not in `COURIERS`.
    """
    number = pl.col("number")
    with_check = number.str.head(10) + _s10_check(number) + pl.lit("CN")
    corrected = pl.when(number.str.ends_with("CN")).then(with_check).otherwise(number)
    drawn = _numbers(rng, {name: courier.shapes for name, courier in COURIERS.items()}, couriers)
    return pl.DataFrame({"number": drawn}).select(tracking_number=corrected).to_series()


def _numbers(rng: np.random.Generator, shapes: Mapping[str, Sequence[Shape]], issuers: pl.Series) -> pl.Series:
    """Write a number of each issuer, in one of its shapes. 18 digits are the most that a draw of int64 covers."""
    options = {issuer: [shape._asdict() for shape in some] for issuer, some in shapes.items()}
    chosen = Vocabularies(options).draw(rng, issuers).struct.unnest()
    drawn = pl.Series(rng.integers(0, 10**18, len(issuers))).cast(pl.String).str.zfill(18)
    digits = pl.lit(drawn).str.tail(pl.col("digits"))
    return chosen.select(number=pl.col("prefix") + digits + pl.col("suffix")).to_series()


def tracking_fits(courier: pl.Expr, number: pl.Expr) -> pl.Expr:
    """Tell whether the number has a shape of the courier's, and the right check digit; false for an unknown courier."""
    shaped = _fits(courier, number, {name: _pattern(c.shapes) for name, c in COURIERS.items()})
    checked = pl.when(number.str.ends_with("CN")).then(number.str.slice(10, 1) == _s10_check(number)).otherwise(True)
    return shaped & checked


def misshapen(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose tracking_number is not one of their courier: row, reason; empty when all is well."""
    fits = tracking_fits(pl.col("courier"), pl.col("tracking_number"))
    wrong = table.with_row_index("row").filter(~fits.fill_null(False))
    return wrong.select("row", reason=pl.format("{} is no tracking number of {}", "tracking_number", "courier"))


def s10_check_digit(serial: str) -> int:
    """Return the check digit of eight digits, as UPU standard S10 defines it."""
    return int(pl.select(_s10_check(pl.lit(f"EA{serial}"))).item())


def _s10_check(number: pl.Expr) -> pl.Expr:
    """Compute the check digit of a number whose digits begin at position 2, as text."""
    weights = (8, 6, 4, 2, 3, 5, 9, 7)
    digits = [number.str.slice(2 + n, 1).cast(pl.Int64, strict=False) * weight for n, weight in enumerate(weights)]
    check = 11 - pl.sum_horizontal(digits) % 11
    return check.replace({10: 0, 11: 5}).cast(pl.String)


def _pattern(shapes: tuple[Shape, ...]) -> str:
    return "|".join(rf"{shape.prefix}\d{{{shape.digits}}}{shape.suffix}" for shape in shapes)


def _fits(name: pl.Expr, number: pl.Expr, patterns: dict[str, str]) -> pl.Expr:
    return pl.any_horizontal((name == key) & number.str.contains(f"^(?:{p})$") for key, p in patterns.items())
