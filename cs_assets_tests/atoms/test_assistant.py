"""The bundle `assistant`: what goes together in a row, blocks of their own, the same rows for the same seed."""

from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.assistant import assistant_atoms, assistant_faults
from cs_assets.atoms.blocks import BLOCK_COUNT, CHUNK_ROWS
from cs_assets.atoms.bundles import BUNDLES
from cs_assets.scenario import ATOM_BUNDLES


@pytest.fixture(scope="module")
def atoms() -> pl.DataFrame:
    return assistant_atoms(3_000, seed=7)


def test_no_row_contradicts_itself(atoms: pl.DataFrame) -> None:
    assert assistant_faults(atoms).is_empty()
    assert BUNDLES["assistant"].faults(BUNDLES["assistant"].sample(50, 1, 3)).is_empty()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"模型": {"名字": "ChatGPT", "公司": "阿里"}}, "does not make"),
        ({"时段": {"问候": "早上好", "感叹": "大半夜的"}}, "at once"),
        ({"商品": "飞机"}, "商品: 飞机 does not belong"),
        ({"角色": "谁也不是"}, "角色"),
        ({"助手": {"名字": "小谁"}}, "助手.名字"),
        ({"称呼": "龘先生"}, "称呼"),
    ],
)
def test_a_planted_fault_is_found(atoms: pl.DataFrame, changes: dict[str, Any], reason: str) -> None:
    rows = atoms.head(20).to_dicts()
    rows[5] |= changes
    found = assistant_faults(pl.DataFrame(rows, schema=atoms.schema))
    assert found["atom_id"].unique().to_list() == [5]
    assert any(reason in text for text in found["reason"])


def test_entities_of_another_block_are_found(atoms: pl.DataFrame) -> None:
    moved = atoms.with_columns((pl.col("entity_block") + 1) % BLOCK_COUNT)
    assert set(assistant_faults(moved)["atom_id"]) == set(atoms["atom_id"])


def test_a_row_has_exactly_the_slots_of_the_bundle(atoms: pl.DataFrame) -> None:
    slots = []
    for name, kind in atoms.drop("atom_id", "entity_block").schema.items():
        slots += [f"{name}.{field.name}" for field in kind.fields] if isinstance(kind, pl.Struct) else [name]
    assert sorted(slots) == sorted(ATOM_BUNDLES["assistant"])


def test_an_opening_speaks_of_its_own_row(atoms: pl.DataFrame) -> None:
    openings = atoms.filter(pl.col("招呼").str.contains("先不聊|刚下单|老顾客"))
    assert openings.height > 100
    for row in openings.iter_rows(named=True):
        assert row["商品"] in row["招呼"] or row["称呼"] in row["招呼"]
    assert not atoms["招呼"].str.contains("{", literal=True).any()
    assert 0.1 < (atoms["招呼"] == "").mean() < 0.2  # type: ignore[operator]


def test_chunks_differ_and_the_same_seed_gives_identical_frames(atoms: pl.DataFrame) -> None:
    assert assistant_atoms(3_000, seed=7).equals(atoms)
    second = assistant_atoms(10, seed=7, chunk=1)
    assert second["atom_id"].to_list() == list(range(CHUNK_ROWS, CHUNK_ROWS + 10))
    assert not second.drop("atom_id").equals(atoms.head(10).drop("atom_id"))
