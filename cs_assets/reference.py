"""The committed reference tables of `data/reference`: facts that no generator invents.

Only the reading is here; what a table means is said by the module that uses it, and by the notes beside the tables
(`README.md` for places and numbers, `SHOP.md` for the shop).

    reference_table("devices")["model"]
"""

import functools
from pathlib import Path
from typing import Final

import polars as pl

REFERENCE: Final = Path(__file__).resolve().parents[1] / "data" / "reference"


@functools.lru_cache
def reference_table(name: str) -> pl.DataFrame:
    """Return `data/reference/{name}.csv`: every column is text, an empty cell an empty string.

    Raises:
        FileNotFoundError: there is no such table.
    """
    path = REFERENCE / f"{name}.csv"
    if not path.is_file():
        known = ", ".join(sorted(table.stem for table in REFERENCE.glob("*.csv"))) or "none"
        raise FileNotFoundError(f"{path}: no such reference table. There are: {known}.")
    return pl.read_csv(path, infer_schema=False).with_columns(pl.all().fill_null(""))
