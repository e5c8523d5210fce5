"""The bundle `inquiries`: its slots, its blocks, and a check that finds planted faults."""

from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.bundles import BUNDLES
from cs_assets.atoms.inquiries import inquiries_atoms, inquiries_faults
from cs_assets.scenario import ATOM_BUNDLES

SEED = 7


@pytest.fixture(scope="module")
def inquiries() -> pl.DataFrame:
    return inquiries_atoms(3000, SEED)


def test_the_columns_are_the_slots(inquiries: pl.DataFrame) -> None:
    slots = [name for name in inquiries.columns if not name.startswith("_")]
    assert set(slots) == {"atom_id", "entity_block", *ATOM_BUNDLES["inquiries"]}
    assert all(inquiries.schema[slot] == pl.String for slot in ATOM_BUNDLES["inquiries"])


def test_the_bundle_is_registered() -> None:
    assert BUNDLES["inquiries"].sample is inquiries_atoms
    assert BUNDLES["inquiries"].rules is inquiries_faults


def test_the_same_seed_gives_the_same_rows(inquiries: pl.DataFrame) -> None:
    assert inquiries_atoms(3000, SEED).equals(inquiries)
    assert not inquiries_atoms(3000, SEED + 1).equals(inquiries)


def test_chunks_go_on_counting_and_differ() -> None:
    first, second = (inquiries_atoms(50, SEED, chunk) for chunk in (0, 1))
    assert second["atom_id"].min() == 65_536
    assert not first["订单号"].equals(second["订单号"])


def test_no_slot_is_empty_but_greeting_and_mark(inquiries: pl.DataFrame) -> None:
    empty = {slot for slot in ATOM_BUNDLES["inquiries"] if (inquiries[slot] == "").any()}
    assert empty == {"招呼", "标点"}
    assert (inquiries["招呼"] == "").mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("slot", ["百货", "城市", "症状", "代码", "菜", "外语", "影视", "作文", "家务", "别家"])
def test_blocks_share_no_goods_cities_or_small_talk(inquiries: pl.DataFrame, slot: str) -> None:
    owners = inquiries.group_by(slot).agg(pl.col("entity_block").n_unique())
    assert owners["entity_block"].max() == 1


def test_blocks_share_no_part_and_no_problem(inquiries: pl.DataFrame) -> None:
    parts = inquiries.select("entity_block", sku=pl.col("_origin").struct.field("sku"))
    assert parts.group_by("sku").agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1
    problems = inquiries.select("entity_block", "故障", kind=pl.col("_origin").struct.field("kind"))
    assert problems.group_by("kind", "故障").agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1


def test_what_is_made_is_coherent(inquiries: pl.DataFrame) -> None:
    assert inquiries_faults(inquiries).is_empty()


def planted(inquiries: pl.DataFrame, **changes: Any) -> list[str]:
    """Change row 41 and return the reasons that are found there; every other row stays good."""
    row = inquiries.row(41, named=True) | changes
    table = pl.concat([inquiries.head(41), pl.DataFrame([row], schema=inquiries.schema), inquiries[42:60]])
    found = inquiries_faults(table)
    assert set(found["atom_id"]) <= {41}
    return found["reason"].to_list()


@pytest.mark.parametrize(
    ("slot", "value", "told"),
    [
        ("款式", "透明彩虹色的", "百货"),
        ("破损", "轮胎漏气", "百货"),
        ("毛病", "不下蛋", "百货"),
        ("百货", "火箭", "百货"),
        ("商品", "火箭", "商品"),
        ("快递", "飞鸽", "快递"),
        ("运单号", "SF1", "运单号"),
        ("配件", "火箭", "设备"),
        ("品类", "火箭", "设备"),
        ("设备", "诺亚方舟", "设备"),
        ("故障", "不下蛋", "故障"),
        ("报修设备", "挖掘机", "故障"),
        ("抬头", "纽约恒信科技有限公司", "抬头"),
        ("邮箱", "不告诉你", "邮箱"),
        ("新地址", "火星", "新地址"),
        ("电话", "110", "电话"),
    ],
)
def test_a_planted_fault_is_found(inquiries: pl.DataFrame, slot: str, value: str, told: str) -> None:
    assert any(reason.startswith(told) for reason in planted(inquiries, **{slot: value}))


def test_a_part_that_does_not_fit_is_found(inquiries: pl.DataFrame) -> None:
    origin = inquiries["_origin"][41]
    other = "INK01" if not origin["sku"].startswith("INK") else "MEM01"
    assert any("does not fit" in reason for reason in planted(inquiries, _origin=origin | {"sku": other}))


def test_a_number_of_another_courier_is_found(inquiries: pl.DataFrame) -> None:
    origin = inquiries["_origin"][41] | {"courier": "顺丰"}
    reasons = planted(inquiries, _origin=origin, 快递="顺丰", 运单号="YT1234567890123")
    assert reasons == ["运单号: YT1234567890123 is no tracking number of 顺丰"]


def test_a_wrong_region_of_the_customer_is_found(inquiries: pl.DataFrame) -> None:
    customer = inquiries["_shipping"][41]
    customer = customer | {"地址": {"param": customer["地址"]["param"] | {"市": "哥谭市"}}}
    assert any("哥谭市" in reason for reason in planted(inquiries, _shipping=customer))
