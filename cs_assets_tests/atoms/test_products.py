"""Products: the committed tables are whole, what fits follows from attributes, and arrivals from stock."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.products import (
    arrival,
    arrivals,
    compatible,
    destinations,
    devices,
    fits,
    misfits,
    products,
    sample_devices,
    sample_pairs,
    sample_products,
    say_products,
    stock,
)
from cs_assets.atoms.times import REFERENCE_INSTANT, SHANGHAI, isoformat, normalise
from cs_assets.catalogue import categories


def test_the_tables_are_whole() -> None:
    assert devices().height >= 40
    assert products().height >= 120
    assert devices()["device_id"].is_unique().all()
    assert products()["sku"].is_unique().all()
    assert set(products()["category"]) == set(categories())
    assert products()["price"].str.contains(r"^\d+\.\d\d$").all()
    assert products().filter(sku="CHG15").row(0, named=True)["fen"] == 5990
    assert set(stock()["sku"]) == set(products()["sku"])
    assert stock()["quantity"].min() == 0
    assert set(stock()["city"]) <= set(destinations()["city"])
    assert destinations()["city"].is_unique().all()


def test_no_two_devices_share_a_name() -> None:
    names = devices().select("device_id", pl.col("spoken").str.split("|")).explode("spoken")
    plain = pl.col("spoken").str.replace_all(" ", "").str.to_lowercase()
    assert names.group_by(plain).agg(pl.col("device_id").n_unique())["device_id"].max() == 1
    assert names["spoken"].str.len_chars().min() > 0  # type: ignore[operator]


def test_each_device_has_a_choice_in_each_category_that_it_takes() -> None:
    """A category that suits one device of a kind suits them all, unless their attribute is empty."""
    found = compatible().group_by("device_id", "category").len()
    assert set(found["device_id"]) == set(devices()["device_id"])
    kinds = found.join(devices(), on="device_id").select("kind", "category").unique()
    for kind, category in kinds.iter_rows():
        attribute = categories()[category]["attribute"]
        owners = devices().filter(pl.col("kind") == kind, pl.col(attribute) != "")["device_id"]
        choice = found.filter(pl.col("category") == category, pl.col("device_id").is_in(owners.to_list()))
        if attribute != "storage":  # a device may have no SATA bay
            assert set(choice["device_id"]) == set(owners), (kind, category)
        assert choice["len"].is_between(2, products().filter(category=category).height - 1).all(), (kind, category)


def test_only_two_products_fit_nothing() -> None:
    """A charger that is too weak, a disk for servers."""
    assert set(products()["sku"]) - set(compatible()["sku"]) == {"CHG13", "HDD07"}


@pytest.mark.parametrize(
    ("device_id", "sku", "fit"),
    [
        ("NB01", "MEM07", True),  # DDR5 SO-DIMM
        ("NB01", "MEM01", False),  # DDR4
        ("NB01", "MEM17", False),  # for desktops
        ("NB03", "MEM07", False),  # soldered
        ("NB04", "SSD09", True),  # the second of its slots
        ("NB01", "CHG11", True),
        ("NB01", "CHG13", False),  # right plug, 135 of 230 W
        ("PH06", "CAS10", True),
        ("PH05", "CAS10", False),
        ("PH02", "CAS02", True),  # a case for two models
    ],
)
def test_what_fits(device_id: str, sku: str, fit: bool) -> None:
    assert (compatible().filter(device_id=device_id, sku=sku).height == 1) is fit


def test_fits_reads_the_attributes_and_no_list() -> None:
    device = devices().filter(device_id="NB01").with_columns(memory=pl.lit("DDR4 SO-DIMM"))
    found = fits(device, products()).filter(category="内存条")["sku"].to_list()
    assert found == ["MEM01", "MEM02", "MEM03", "MEM04", "MEM05", "MEM06"]
    assert fits(device.with_columns(memory=pl.lit("")), products()).filter(category="内存条").is_empty()


def test_misfits_finds_planted_faults() -> None:
    pairs = sample_pairs(np.random.default_rng(1), 300).select("device_id", "sku")
    assert misfits(pairs).is_empty()
    planted = pl.DataFrame({"device_id": ["NB01", "XX99", "NB01"], "sku": ["MEM01", "MEM01", "MEM99"]})
    found = misfits(pl.concat([pairs, planted]))
    assert found["row"].to_list() == [300, 301, 302]
    assert found["reason"].to_list() == [
        "MEM01 does not fit NB01",
        "device XX99 does not exist",
        "product MEM99 does not exist",
    ]


def test_the_reference_case() -> None:
    """Which memory module fits my 拯救者Y7000P, and does it arrive in Beijing tonight?"""
    modules = compatible().filter(device_id="NB01", category="内存条")["sku"].to_list()
    tonight = normalise("今晚", REFERENCE_INSTANT)[1]
    reached = {sku: arrival(sku, "北京", REFERENCE_INSTANT) for sku in modules}
    assert {sku for sku, when in reached.items() if when and when <= tonight} == {
        row["sku"]
        for row in stock().filter(pl.col("city") == "北京", pl.col("quantity") > 0).iter_rows(named=True)
        if row["sku"] in modules
    }
    assert reached["MEM07"] == datetime(2026, 6, 10, 21, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("city", "ordered_at", "arrives"),
    [
        ("北京", (10, 15, 59), (10, 21)),
        ("北京", (10, 16, 0), (11, 21)),
        ("北京市", (10, 14, 0), (10, 21)),
        ("天津", (10, 14, 0), (11, 18)),
        ("天津", (10, 20, 0), (12, 18)),
        ("西宁", (10, 14, 0), (12, 18)),
        ("乌鲁木齐", (10, 14, 0), (14, 18)),
    ],
)
def test_arrival_by_distance_and_cut_off(
    city: str, ordered_at: tuple[int, int, int], arrives: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cs_assets.catalogue._stock", lambda: {"MEM07": {"北京": 3, "沈阳": 0}})
    day, hour, minute = ordered_at
    ordered = datetime(2026, 6, day, hour, minute, tzinfo=SHANGHAI)
    assert arrival("MEM07", city, ordered) == datetime(2026, 6, *arrives, tzinfo=SHANGHAI)
    assert arrival("MEM07", city, ordered, quantity=4) is None


def test_some_products_are_out_of_stock() -> None:
    gone = stock().group_by("sku").agg(pl.col("quantity").sum()).filter(pl.col("quantity") == 0)["sku"].to_list()
    assert 5 < len(gone) < products().height / 5
    assert all(arrival(sku, "上海", REFERENCE_INSTANT) is None for sku in gone)


@pytest.mark.parametrize(("sku", "city"), [("MEM99", "北京"), ("MEM07", "香港"), ("MEM07", "哥谭")])
def test_an_unknown_product_or_destination_is_refused(sku: str, city: str) -> None:
    with pytest.raises(ValueError, match=sku if sku == "MEM99" else city):
        arrival(sku, city, REFERENCE_INSTANT)


@given(seed=st.integers(0, 10_000), minutes=st.integers(0, 60 * 24 * 30))
def test_a_column_of_arrivals_is_what_each_row_would_give(seed: int, minutes: int) -> None:
    rng, ordered_at = np.random.default_rng(seed), REFERENCE_INSTANT + timedelta(minutes=minutes)
    orders = pl.DataFrame(
        {
            "sku": products()["sku"][rng.integers(0, products().height, 30)],
            "city": destinations()["city"][rng.integers(0, destinations().height, 30)],
            "quantity": rng.integers(1, 40, 30),
        }
    )
    each = [arrival(sku, city, ordered_at, quantity) for sku, city, quantity in orders.iter_rows()]
    assert arrivals(orders, ordered_at).to_list() == [when and isoformat(when) for when in each]


def test_draws_are_even_and_follow_the_seed() -> None:
    first, second, third = (sample_pairs(np.random.default_rng(seed), 4000) for seed in (1, 1, 2))
    assert first.equals(second)
    assert not first.equals(third)
    by_device = first["device_id"].value_counts()["count"]
    assert by_device.len() == devices().height
    assert by_device.min() > 15  # type: ignore[operator]
    by_category = sample_products(np.random.default_rng(1), 4000)["category"].value_counts()["count"]
    assert by_category.min() > 0.7 * 4000 / len(categories())  # type: ignore[operator]


def test_devices_of_one_kind() -> None:
    drawn = sample_devices(np.random.default_rng(1), 200, kinds=["打印机"])
    assert set(drawn["kind"]) == {"打印机"}
    names = {row["device_id"]: row["spoken"].split("|") for row in devices().iter_rows(named=True)}
    assert all(row["said"] in names[row["device_id"]] for row in drawn.iter_rows(named=True))
    with pytest.raises(ValueError, match="冰箱"):
        sample_devices(np.random.default_rng(1), 2, kinds=["冰箱"])


def test_products_are_called_by_category_brand_and_size() -> None:
    said = say_products(np.random.default_rng(1), pl.Series(["MEM07"] * 500))
    assert {"内存条", "内存", "16G内存条", "16g的内存", "金士顿的内存条", "金士顿16G内存条"} <= set(said)
