"""The bundle `shop_records`: its slots, its blocks, and a check that finds planted faults."""

from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.bundles import BUNDLES
from cs_assets.atoms.products import products
from cs_assets.atoms.shop_records import shop_records_atoms, shop_records_faults
from cs_assets.reference import reference_table
from cs_assets.scenario import ATOM_BUNDLES

SEED = 7
KINDS = ("商品", "订单", "评价")


@pytest.fixture(scope="module")
def records() -> pl.DataFrame:
    return shop_records_atoms(3000, SEED)


def of(records: pl.DataFrame, slot: str) -> pl.Series:
    kind, label = slot.split(".")
    return records[kind].struct.field("param").struct.field(label)


def test_the_columns_are_the_slots(records: pl.DataFrame) -> None:
    slots = {f"{kind}.param.{label}" for kind in KINDS for label in records[kind][0]["param"]}
    assert slots == set(ATOM_BUNDLES["shop_records"])
    assert set(records.columns) == {"atom_id", "entity_block", *KINDS, "_origin"}


def test_the_bundle_is_registered() -> None:
    assert BUNDLES["shop_records"].sample is shop_records_atoms
    assert BUNDLES["shop_records"].rules is shop_records_faults


def test_the_same_seed_gives_the_same_rows(records: pl.DataFrame) -> None:
    assert shop_records_atoms(3000, SEED).equals(records)
    assert not shop_records_atoms(3000, SEED + 1).equals(records)


def test_chunks_go_on_counting_and_differ() -> None:
    first, second = (shop_records_atoms(50, SEED, chunk) for chunk in (0, 1))
    assert second["atom_id"].min() == 65_536
    assert not of(first, "订单.订单号").equals(of(second, "订单.订单号"))


def test_no_field_is_empty_or_spoils_a_form(records: pl.DataFrame) -> None:
    """A bar would break a table, a quotation mark JSON, a comma the sentence; a review may have commas."""
    for slot in ATOM_BUNDLES["shop_records"]:
        values = of(records, slot.replace(".param", ""))
        assert (values.str.strip_chars() == values).all()
        assert not values.str.contains(r'^$|[|"\\\n“”]' if slot.endswith("内容") else r'^$|[|"\\\n“”，]').any(), slot


def test_blocks_share_no_model(records: pl.DataFrame) -> None:
    models = records.select("entity_block", brand=of(records, "商品.品牌"), model=of(records, "商品.型号"))
    assert models.group_by("brand", "model").agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1
    named = pl.concat(records.select("entity_block", name=of(records, slot)) for slot in ("订单.商品", "评价.商品"))
    assert named.group_by("name").agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1


def test_every_category_has_words_for_every_number_of_stars() -> None:
    phrases = reference_table("review_phrases").filter(pl.col("category") != "")
    assert set(phrases["category"]) == set(products()["category"])
    assert phrases.group_by("category").agg(pl.col("polarity").n_unique())["polarity"].min() == 3


def test_every_block_has_products(records: pl.DataFrame) -> None:
    assert records["entity_block"].n_unique() == 10


def test_what_is_made_is_coherent(records: pl.DataFrame) -> None:
    assert shop_records_faults(records).is_empty()


def planted(records: pl.DataFrame, slot: str, value: str, number: int = 41) -> list[str]:
    """Change a field of one row and return the reasons that are found there; every other row stays good."""
    kind, label = slot.split(".")
    row: dict[str, Any] = records.row(number, named=True)
    row |= {kind: {"param": row[kind]["param"] | {label: value}}}
    table = pl.concat([records.head(number), pl.DataFrame([row], schema=records.schema)])
    found = shop_records_faults(table)
    assert set(found["atom_id"]) <= {number}
    return found["reason"].to_list()


@pytest.mark.parametrize(
    ("slot", "value", "told"),
    [
        ("商品.品牌", "飞鸽", "商品: not the product's brand"),
        ("商品.规格", "3英里", "商品: not the product's brand"),
        ("商品.价格", "1元", "商品: not the product's price"),
        ("商品.价格", "三百", "商品: not the product's price"),
        ("商品.库存", "99999件", "商品: not what is in stock"),
        ("订单.商品", "火箭", "订单: not the product's name"),
        ("订单.单价", "1元", "订单: the amount"),
        ("订单.数量", "7件", "订单: the amount"),
        ("订单.数量", "两件", "订单: the amount"),
        ("订单.金额", "1.01元", "订单: the amount"),
        ("订单.订单号", "12", "订单: the number has another platform's shape"),
        ("订单.运单号", "XX12", "订单: the parcel's number"),
        ("订单.快递", "飞鸽", "订单: the parcel's number"),
        ("订单.状态", "待付款", "订单: the status"),
        ("评价.商品", "火箭", "评价: not the product's name"),
        ("评价.用户", "张三丰", "评价: the name is not masked"),
        ("评价.内容", "轮胎不错", "评价: 轮胎不错"),
        ("评价.星级", "满星", "评价:"),
    ],
)
def test_a_planted_fault_is_found(records: pl.DataFrame, slot: str, value: str, told: str) -> None:
    assert any(reason.startswith(told) for reason in planted(records, slot, value))


def test_stars_that_contradict_the_words_are_found(records: pl.DataFrame) -> None:
    happy = records.with_row_index("row").filter(of(records, "评价.星级") == "5星")["row"][0]
    assert any("does not go with the stars" in reason for reason in planted(records, "评价.星级", "1星", happy))


def test_a_dated_number_of_another_day_is_found(records: pl.DataFrame) -> None:
    dated = records.with_row_index("row").filter(of(records, "订单.订单号").str.contains("-"))["row"][0]
    reasons = planted(records, "订单.下单时间", "2026-01-31", dated)
    assert "订单: the number is of another day" in reasons


def test_a_status_that_is_too_early_is_found(records: pl.DataFrame) -> None:
    old = records.with_row_index("row").filter(of(records, "订单.状态") == "交易完成")["row"][0]
    assert "订单: the status does not go with the time" in planted(records, "订单.状态", "派送中", old)
