"""Single look-ups: they agree with the columnar rules of `products.py` on every pair, and with the calendar."""

import itertools
from datetime import timedelta

import polars as pl
import pytest

from cs_assets import catalogue
from cs_assets.atoms import products as columnar
from cs_assets.atoms.times import REFERENCE_INSTANT, isoformat
from cs_assets.catalogue import Moment
from cs_assets.reference import reference_table

PRODUCTS = catalogue.products()


def test_no_product_shares_its_name_or_holds_another_in_it() -> None:
    assert len(PRODUCTS) == len({product.sku for product in PRODUCTS.values()})
    assert not [pair for pair in itertools.permutations(PRODUCTS, 2) if pair[0] in pair[1]]


def test_an_accessory_with_a_measure_has_words_for_it() -> None:
    sized = catalogue.accessories()
    assert list(sized) == ["内存条", "固态硬盘", "机械硬盘", "充电器", "数据线", "存储卡"]
    assert set(sized) < set(catalogue.categories())
    assert all(row["verb"] for row in sized.values())
    assert {product.category for product in PRODUCTS.values()} == set(sized)


def test_what_fits_is_what_the_columnar_rules_say() -> None:
    skus = {product.sku: product for product in PRODUCTS.values()}
    wanted = set(columnar.compatible().filter(pl.col("sku").is_in(list(skus))).select("device_id", "sku").iter_rows())
    owners = {row["device_id"]: row["spoken"].split("|") for row in reference_table("devices").iter_rows(named=True)}
    for device, spoken in owners.items():
        for said in spoken:
            fitting = {p.sku for category in catalogue.accessories() for p in catalogue.fitting(said, category)}
            assert fitting == {sku for owner, sku in wanted if owner == device}


@pytest.mark.parametrize("quantity", [1, 5, 60])
def test_arrivals_are_those_of_the_columnar_rules(quantity: int) -> None:
    pairs = list(itertools.product(PRODUCTS.values(), catalogue.cities()))
    orders = pl.DataFrame(
        {
            "sku": [product.sku for product, _ in pairs],
            "city": [city for _, city in pairs],
            "quantity": [quantity] * len(pairs),
        }
    )
    midnight = REFERENCE_INSTANT.replace(hour=0)
    found = [catalogue.arrival(product, city, quantity) for product, city in pairs]
    texts = [moment and isoformat(midnight + timedelta(days=moment.day, hours=moment.hour)) for moment in found]
    assert texts == columnar.arrivals(orders, REFERENCE_INSTANT).to_list()
    assert any(found)


def test_the_shop_delivers_to_the_mainland() -> None:
    assert len(catalogue.cities()) == len(set(catalogue.cities())) > 300
    assert {"北京", "喀什地区", "三亚"} <= set(catalogue.cities())
    assert not {"香港", "台北", "仙桃", ""} & set(catalogue.cities())


@pytest.mark.parametrize(
    ("said", "end"),
    [
        ("今晚", (0, 24)),
        ("下班前", (0, 18)),
        ("今晚9点前", (0, 21)),
        ("明天之前", (0, 24)),
        ("明天中午前", (1, 12)),
        ("24小时内", (1, 14)),
        ("大后天", (3, 24)),
        ("改天", None),
        ("周五", None),
    ],
)
def test_a_time_ends_on_a_day_at_a_full_hour(said: str, end: tuple[int, int] | None) -> None:
    assert catalogue.deadline(said) == end


def test_every_time_of_the_table_has_an_end() -> None:
    ends = [catalogue.deadline(said) for said in catalogue.time_names()]
    assert len(ends) > 50
    assert all(end and 0 <= end.day <= 3 and 9 <= end.hour <= 24 for end in ends)


@pytest.mark.parametrize(
    ("place", "city"),
    [("杭州", "杭州"), ("杭州市", "杭州"), ("杭州余杭区", "杭州"), ("吉林市", "吉林"), ("纽约", ""), ("", "")],
)
def test_a_place_begins_with_its_city(place: str, city: str) -> None:
    assert catalogue.city_of(place) == city


@pytest.mark.parametrize(
    ("said", "measure"),
    [
        ("16G", "16GB"),
        ("16gb", "16GB"),
        ("1t", "1TB"),
        ("65瓦", "65W"),
        ("1.8米", "1.8米"),
        ("469", ""),
        ("金士顿", ""),
    ],
)
def test_a_measure_is_understood_as_it_is_typed(said: str, measure: str) -> None:
    assert catalogue.specification_of(said) == measure


def test_every_spelling_of_a_measure_is_understood() -> None:
    for product in PRODUCTS.values():
        for said in catalogue.spellings(product.specification):
            assert catalogue.specification_of(said) == product.specification


def test_unknown_words_find_nothing() -> None:
    assert catalogue.fitting("诺基亚3310", "内存条") == ()
    assert catalogue.fitting("拯救者Y7000P", "鱼缸") == ()
    assert catalogue.deadline("改天") is None
    assert catalogue.arrival(PRODUCTS["三星 990 PRO 1TB"], "东京") is None


def test_the_example_of_the_documentation() -> None:
    [module, *_] = catalogue.fitting("拯救者Y7000P", "内存条")
    assert module.name == "金士顿 FURY Impact DDR5 5600 16GB"
    assert (module.price, module.specification) == ("469", "16GB")
    assert catalogue.arrival(module, "杭州余杭区") == Moment(0, 21)
    assert catalogue.deadline("明天中午前") == Moment(1, 12)
