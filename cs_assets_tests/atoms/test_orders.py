"""Orders: every number has the shape of its issuer, and a wrong one is found."""

import re

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.orders import (
    COURIERS,
    PLATFORMS,
    misshapen,
    order_fits,
    s10_check_digit,
    sample_couriers,
    sample_order_numbers,
    sample_orders,
    sample_tracking,
    say_couriers,
)
from cs_assets.atoms.times import REFERENCE_INSTANT

TRACKING = {
    "顺丰": r"SF\d{13}",
    "中通": r"7[68]\d{12}|75\d{13}",
    "圆通": r"YT\d{13}",
    "申通": r"77[37]\d{12}",
    "韵达": r"4[36]\d{13}|10\d{11}",
    "京东": r"JD(\d{13}|\d{15})",
    "EMS": r"1[012]\d{11}|E[ABZ]\d{9}CN",
    "极兔": r"JT\d{13}",
    "德邦": r"DPK\d{12}",
}


def tracked(seed: int, count: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    couriers = sample_couriers(rng, count)
    return pl.DataFrame({"courier": couriers, "tracking_number": sample_tracking(rng, couriers)})


@given(seed=st.integers(0, 10_000))
def test_a_tracking_number_has_the_shape_of_its_courier(seed: int) -> None:
    table = tracked(seed, 100)
    assert all(re.fullmatch(TRACKING[courier], number) for courier, number in table.iter_rows())
    assert misshapen(table).is_empty()


def test_all_couriers_and_shapes_occur() -> None:
    table = tracked(1, 5000)
    assert set(table["courier"]) == set(COURIERS) == set(TRACKING)
    assert table.filter(courier="EMS")["tracking_number"].str.ends_with("CN").sum() > 50


def test_planted_faults_are_found() -> None:
    table = pl.DataFrame(
        [
            ("顺丰", "SF1234567890123"),
            ("圆通", "SF1234567890123"),
            ("顺丰", "SF123456789012"),
            ("EMS", "EA473124829CN"),
            ("EMS", "EA473124828CN"),
            ("EMS", "EA47312A829CN"),
            ("某某", "SF1234567890123"),
            (None, "SF1234567890123"),
            ("顺丰", None),
        ],
        schema=["courier", "tracking_number"],
        orient="row",
    )
    assert misshapen(table)["row"].to_list() == [1, 2, 4, 5, 6, 7, 8]


# 47312482-9 is the example of the standard; the others meet its two special cases, by hand.
@pytest.mark.parametrize(("serial", "digit"), [("47312482", 9), ("00000000", 5), ("00000006", 2), ("00000008", 0)])
def test_s10_check_digits(serial: str, digit: int) -> None:
    assert s10_check_digit(serial) == digit


def test_an_unknown_courier_is_refused() -> None:
    with pytest.raises(ValueError, match="某某"):
        sample_tracking(np.random.default_rng(1), pl.Series(["某某"]))


def test_order_numbers_have_the_shape_of_their_platform() -> None:
    orders = sample_orders(np.random.default_rng(1), 4000)
    shapes = {"淘宝": r"\d{19}", "京东": r"\d{12}", "拼多多": r"26(0[456])\d\d-\d{15}", "抖音": r"69\d{17}"}
    assert set(orders["platform"]) == set(PLATFORMS)
    assert all(re.fullmatch(shapes[platform], number) for platform, number in orders.iter_rows())
    assert orders.select(order_fits(pl.col("platform"), pl.col("order_number")).all()).item()


def test_a_dated_order_is_not_from_the_future() -> None:
    numbers = sample_order_numbers(np.random.default_rng(2), 4000)
    dated = numbers.filter(numbers.str.contains("-"))
    assert dated.str.head(6).max() == f"{REFERENCE_INSTANT:%y%m%d}"


@pytest.mark.parametrize(
    ("platform", "number"),
    [
        ("拼多多", "261310-123456789012345"),
        ("拼多多", "260610123456789012345"),
        ("京东", "3123"),
        ("某宝", "312345678901"),
    ],
)
def test_wrong_order_numbers_are_told(platform: str, number: str) -> None:
    assert not pl.select(order_fits(pl.lit(platform), pl.lit(number))).item()


def test_couriers_are_called_by_their_names() -> None:
    rng = np.random.default_rng(1)
    couriers = sample_couriers(rng, 2000)
    said = say_couriers(rng, couriers)
    assert all(name in COURIERS[courier].spoken for courier, name in zip(couriers, said, strict=True))
    assert {"顺丰", "顺丰快递", "EMS", "邮政"} <= set(said)
