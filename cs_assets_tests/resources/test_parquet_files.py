"""A table in a file that tells whether it is as it was written."""

import io
import random
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from resources.parquet_files import is_as_written, write_sealed

TABLE = pl.DataFrame({"姓名": ["张三", "李四"] * 50, "tags": [["a"], []] * 50, "score": [0.5, None] * 50})


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    write_sealed(TABLE, tmp_path / "table.parquet", {"note": "http://127.0.0.1/#/runs/1"})
    return tmp_path / "table.parquet"


def test_any_program_reads_it_with_its_metadata(sealed: Path) -> None:
    assert_frame_equal(pl.read_parquet(sealed), TABLE)
    assert pl.read_parquet_metadata(sealed)["note"] == "http://127.0.0.1/#/runs/1"
    with sealed.open("rb") as file:
        assert is_as_written(file)


def test_the_same_table_has_the_same_bytes(sealed: Path, tmp_path: Path) -> None:
    write_sealed(TABLE, tmp_path / "again", {"note": "http://127.0.0.1/#/runs/1"})
    assert (tmp_path / "again").read_bytes() == sealed.read_bytes()


def test_a_changed_byte_is_noticed_wherever_a_reader_would_take_it_for_data(sealed: Path) -> None:
    whole = sealed.read_bytes()
    metadata = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    for place in random.Random(1).sample(range(metadata), 200):
        changed = bytearray(whole)
        changed[place] ^= 1
        assert not is_as_written(io.BytesIO(changed)), place


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_file_that_was_cut_is_noticed(sealed: Path, share: float) -> None:
    whole = sealed.read_bytes()
    assert not is_as_written(io.BytesIO(whole[: int(len(whole) * share)]))
    assert not is_as_written(io.BytesIO(whole[: int(len(whole) * share)] + bytes(len(whole) - int(len(whole) * share))))


def test_what_is_too_short_for_a_table_is_none(sealed: Path) -> None:
    end = sealed.read_bytes()[-8:]
    for left in (b"PAR1", b"PAR1PAR1", end, b"PAR1" + end, bytes(4) + b"PAR1"):
        assert not is_as_written(io.BytesIO(left)), left


def test_a_file_of_another_program_is_taken_as_it_is(tmp_path: Path) -> None:
    TABLE.write_parquet(tmp_path / "other.parquet")
    with (tmp_path / "other.parquet").open("rb") as file:
        assert is_as_written(file)
