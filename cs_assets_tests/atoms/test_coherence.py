"""The coherence check finds planted faults of each kind, and leaves usual spellings alone."""

import copy
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.checks import atoms_are_coherent
from cs_assets.atoms.coherence import incoherent_rows
from cs_assets.atoms.divisions import divisions
from cs_assets_tests.conftest import evaluated

Row = dict[str, Any]
Change = Callable[[Row], object]


@pytest.fixture(scope="module")
def shenzhen(atoms: pl.DataFrame) -> Row:
    """A row in 南山区 that is coherent."""
    official = divisions().row(by_predicate=pl.col("code") == "440305", named=True)
    return atoms.row(0, named=True) | {
        "atom_id": 41,
        "_official": official,
        "地址": {"param": {"省": "广东省", "市": "深圳市", "县": "南山区"}},
        "邮编": official["postcode"],
        "电话": "13800138000",
    }


def reasons(atoms: pl.DataFrame, row: Row, change: Change = lambda row: None) -> list[str]:
    changed = copy.deepcopy(row)
    change(changed)
    found = incoherent_rows(pl.DataFrame([changed], schema=atoms.schema))
    assert set(found["atom_id"]) <= {41}
    return found["reason"].to_list()


def written(**levels: str) -> Change:
    return lambda row: row["地址"]["param"].update(levels)


def with_phone(phone: str) -> Change:
    return lambda row: row.update(电话=phone)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row["_official"].update(code="999999"), "division 999999 does not exist"),
        (written(省="湖南省"), "省 '湖南省' is not 广东省"),
        (written(市="广州市"), "市 '广州市' is not 深圳市"),
        (written(县="朝阳区"), "县 '朝阳区' is not 南山区"),
        (lambda row: row.update(邮编="100020"), "邮编 100020 does not lie in 南山区"),
        (with_phone("010-62345678"), "landline 010-62345678 lies outside 0755"),
        (with_phone("0757-2345678"), "landline 0757-2345678 lies outside 0755"),
        (with_phone("12000138000"), "mobile prefix 1200 is not allotted"),
        (with_phone("+8612000138000"), "mobile prefix 1200 is not allotted"),
        (with_phone("86-12000138000"), "mobile prefix 1200 is not allotted"),
        (with_phone("120 0013 8000"), "mobile prefix 1200 is not allotted"),
        (with_phone("120-0013-8000"), "mobile prefix 1200 is not allotted"),
    ],
)
def test_a_planted_fault_is_found(atoms: pl.DataFrame, shenzhen: Row, change: Change, reason: str) -> None:
    [found] = reasons(atoms, shenzhen, change)
    assert found.startswith(reason)


@pytest.mark.parametrize(
    "change",
    [
        written(),
        written(省="广东", 市="深圳", 县="南山"),
        written(省=""),
        written(县="高新区"),
        lambda row: row.update(邮编=row["邮编"][:4] + "99"),
        with_phone("0755-23456789转801"),
        with_phone("138****8000"),
        with_phone("13800138000转1234"),
        with_phone("+8613800138000"),
    ],
)
def test_a_usual_spelling_is_no_fault(atoms: pl.DataFrame, shenzhen: Row, change: Change) -> None:
    assert reasons(atoms, shenzhen, change) == []


def test_every_fault_of_a_row_is_told(atoms: pl.DataFrame, shenzhen: Row) -> None:
    assert len(reasons(atoms, shenzhen, written(省="湖南省", 市="长沙市", 县="岳麓区"))) == 3


def test_the_row_of_a_fault_is_named_among_many(atoms: pl.DataFrame, shenzhen: Row) -> None:
    bad = copy.deepcopy(shenzhen) | {"邮编": "100020"}
    table = pl.concat([atoms.filter(pl.col("atom_id") != 41).head(50), pl.DataFrame([bad], schema=atoms.schema)])
    assert incoherent_rows(table)["atom_id"].to_list() == [41]


def test_the_blocking_check_fails_on_a_fault_and_on_an_empty_table(atoms: pl.DataFrame, shenzhen: Row) -> None:
    bad = pl.DataFrame([shenzhen | {"邮编": "100020"}], schema=atoms.schema)
    assert evaluated(atoms_are_coherent, atoms.head(100)).passed
    assert not evaluated(atoms_are_coherent, bad).passed
    assert not evaluated(atoms_are_coherent, atoms.head(0)).passed
