"""Reference tables: read as text, and a missing one is named."""

import polars as pl
import pytest

from cs_assets.reference import REFERENCE, reference_table


def test_every_column_is_text_and_an_empty_cell_an_empty_string() -> None:
    table = reference_table("devices")
    assert set(table.dtypes) == {pl.String}
    assert sum(table.null_count().row(0)) == 0
    assert (table["memory"] == "").any()
    assert reference_table("divisions")["code"][0] == "110101"


def test_every_committed_table_is_read() -> None:
    names = sorted(path.stem for path in REFERENCE.glob("*.csv"))
    assert {"devices", "divisions", "products", "stock"} <= set(names)
    assert all(reference_table(name).height for name in names)


def test_a_missing_table_is_named_with_those_that_exist() -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv.*devices"):
        reference_table("nothing")
