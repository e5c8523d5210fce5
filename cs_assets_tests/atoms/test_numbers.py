"""Numbers: what is said can be read back."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.numbers import (
    miscounted,
    read_money,
    read_quantity,
    sample_money,
    sample_quantities,
)
from cs_assets.atoms.products import products
from cs_assets.catalogue import measure_words
from cs_assets.chinese_numerals import LARGEST


@given(seed=st.integers(0, 10_000), low=st.integers(1, 500), width=st.integers(0, 100_000))
def test_money_lies_within_its_bounds_and_is_read_back(seed: int, low: int, width: int) -> None:
    money = sample_money(np.random.default_rng(seed), 60, low, low + width)
    assert [read_money(said) for said in money["said"]] == money["fen"].to_list()
    assert money["fen"].is_between(low * 100, (low + width) * 100).all()


def test_money_is_said_in_every_way() -> None:
    said = sample_money(np.random.default_rng(1), 5000, 10, 3000)["said"]
    for shape in (
        "元$",
        "块$",
        "块钱$",
        r"^\d+$",
        r"^¥\d+\.\d\d$",
        r"^\d+\.9$",
        r"块9$",
        "^[一两三四五六七八九十百千零]+$",
        "[百千].$",
    ):
        assert said.str.contains(shape).any(), shape


@pytest.mark.parametrize(
    ("said", "fen"),
    [
        ("128块", 12_800),
        ("99.9", 9990),
        ("¥128.00", 12_800),
        ("九十九块九", 9990),
        ("三百五", 35_000),
        ("12块8毛", 1280),
    ],
)
def test_money_as_customers_write_it(said: str, fen: int) -> None:
    assert read_money(said) == fen


@pytest.mark.parametrize("said", ["三百多", "几十块", "", "块", "1.234", "100左右", "九块零"])
def test_what_is_no_single_sum_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        read_money(said)


@pytest.mark.parametrize("bounds", [(0, 5), (9, 8), (1, LARGEST + 1)])
def test_bad_bounds_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        sample_money(np.random.default_rng(1), 3, *bounds)


def test_the_check_finds_planted_faults() -> None:
    money = sample_money(np.random.default_rng(2), 500, 10, 900)
    assert miscounted(money).is_empty()
    wrong = money.with_columns(
        fen=pl.when(pl.int_range(pl.len()) == 7).then(pl.col("fen") + 10).otherwise("fen"),
        said=pl.when(pl.int_range(pl.len()) == 40).then(pl.lit("三百多")).otherwise("said"),
    )
    assert miscounted(wrong)["row"].to_list() == [7, 40]


def test_every_category_of_the_shop_has_measure_words() -> None:
    assert set(products()["category"]) == set(measure_words())


def test_quantities_are_read_back() -> None:
    categories = pl.Series(list(measure_words()) * 50)
    drawn = sample_quantities(np.random.default_rng(3), categories)
    read = [read_quantity(said, category) for said, category in zip(drawn["said"], categories, strict=True)]
    assert read == drawn["quantity"].to_list()
    assert {"一条", "两条", "2条"} <= set(drawn["said"])


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(ValueError, match="冰箱"):
        sample_quantities(np.random.default_rng(1), pl.Series(["内存条", "冰箱"]))


def test_a_wrong_measure_word_is_refused() -> None:
    with pytest.raises(ValueError, match="内存条 is counted in 条"):
        read_quantity("两张", "内存条")
