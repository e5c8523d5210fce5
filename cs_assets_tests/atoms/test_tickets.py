"""The bundle `tickets`: rows that agree with the tables, blocks of their own, even values."""

import polars as pl
import pytest

from cs_assets.atoms.blocks import BLOCK_COUNT
from cs_assets.atoms.bundles import BUNDLES
from cs_assets.atoms.tickets import tickets_atoms, tickets_faults
from cs_assets.scenario import ATOM_BUNDLES


@pytest.fixture(scope="module")
def atoms() -> pl.DataFrame:
    return tickets_atoms(6_000, seed=7)


def test_no_row_contradicts_the_tables(atoms: pl.DataFrame) -> None:
    assert tickets_faults(atoms).is_empty()
    assert BUNDLES["tickets"].faults(BUNDLES["tickets"].sample(50, 1, 3)).is_empty()


@pytest.mark.parametrize(
    ("slot", "value", "reason"),
    [
        ("电话", "13800138000", "工单号"),
        ("工单号", "WX00000000", "is not such a ticket"),
        ("工单号", "不记得", "is not such a ticket"),
        ("完工单号", None, "完工单号"),  # the open ticket
        ("称呼", "王不是", "no ticket has"),
        ("地址", "北京市朝阳区人民路1号", "no ticket has"),
        ("订单号", "123456789012345678", "no ticket has"),
        ("城市", "拉萨", "no technician in"),
        ("故障", "会飞", "SearchSolution finds nothing"),
        ("产品", "洗衣机", "SearchSolution finds nothing"),
        ("师傅专长", "洗衣机", "the skill does not fit"),
        ("日期", "昨天", "no bookable day"),
        ("上门时间", "8月1号", "no bookable time"),
        ("旧上门时间", None, "moved to the same time"),  # the new time
    ],
)
def test_a_planted_fault_is_found(atoms: pl.DataFrame, slot: str, value: str | None, reason: str) -> None:
    row = atoms.row(5, named=True)
    planted = value or {"完工单号": row["工单号"], "旧上门时间": row["上门时间"]}[slot]
    wrong = atoms.with_columns(
        pl.when(pl.col("atom_id") == 5).then(pl.lit(planted)).otherwise(pl.col(slot)).alias(slot)
    )
    found = tickets_faults(wrong)
    assert found["atom_id"].unique().to_list() == [5]
    assert any(reason in text for text in found["reason"])


def test_a_ticket_of_another_block_is_found(atoms: pl.DataFrame) -> None:
    moved = atoms.with_columns((pl.col("entity_block") + 1) % BLOCK_COUNT)
    assert tickets_faults(moved).height >= atoms.height


def test_blocks_share_no_customer_no_number_and_no_wording_of_a_fault(atoms: pl.DataFrame) -> None:
    blocks = atoms.with_columns(
        pl.col("城市").str.strip_suffix("市"),
        *(pl.col(slot).str.to_uppercase().str.strip_prefix("WX") for slot in ("工单号", "完工单号")),
    )
    for slot in ("电话", "地址", "城市", "工单号", "完工单号", "订单号", "故障"):
        assert blocks.group_by(slot).agg(pl.col("entity_block").n_unique())["entity_block"].max() == 1, slot


def test_values_occur_equally_often_in_a_block(atoms: pl.DataFrame) -> None:
    block = atoms.filter(pl.col("entity_block") == 3)
    for slots in (["产品", "故障"], ["电话"], ["会员身份"], ["取消原因"], ["日期"], ["上门时间"]):
        counts = block.group_by(slots).len()["len"]
        assert counts.max() - counts.min() <= 1, slots  # type: ignore[operator]


def test_the_slots_are_those_of_the_bundle(atoms: pl.DataFrame) -> None:
    assert sorted(atoms.columns) == sorted(["atom_id", "entity_block", *ATOM_BUNDLES["tickets"]])
    assert atoms.drop("atom_id", "entity_block").null_count().sum_horizontal().item() == 0


def test_seed_and_chunk_decide(atoms: pl.DataFrame) -> None:
    assert tickets_atoms(6_000, seed=7).equals(atoms)
    assert not tickets_atoms(6_000, seed=8).equals(atoms)
    later = tickets_atoms(10, seed=7, chunk=2)
    assert later["atom_id"].to_list() == list(range(2 * 65_536, 2 * 65_536 + 10))
    assert later["电话"].to_list() != atoms["电话"].head(10).to_list()
