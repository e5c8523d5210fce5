"""Parquet files that tell whether they are as they were written: any program reads them, and ours notices damage.

A damaged file is noticed before it is parsed, because a parser may take a changed value as it is, and may even end its
process. The seal is the SHA-256 of the file, in the file: it stands in the metadata, and counts there as zeros.

What does not belong here: where a file lies, and what is to be done about a damaged one (`store.py`).
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

_KEY: Final = b"cs_assets:sha256"
_ZEROS: Final = b"0" * 64
# What Thrift writes between a key of the metadata and its value: the next field is a string, of 64 bytes.
_BETWEEN: Final = b"\x18\x40"
_MAGIC: Final = b"PAR1"
_BLOCK: Final = 1 << 20


def write_sealed(table: pl.DataFrame, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table, with `metadata` and the seal."""
    table.write_parquet(path, metadata={**(metadata or {}), _KEY.decode(): _ZEROS.decode()})
    with path.open("r+b") as file:
        place = _seal_place(file)
        assert place is not None, "the metadata that were just written"
        digest = _digest(file, place)
        file.seek(place)
        file.write(digest)


def is_as_written(file: BinaryIO) -> bool:
    """Whether a Parquet file is as it was written; one that bears no seal is if it has an end and the metadata before.

    Damage to the name of the seal leaves none, so the parser may still find what is told here to be whole broken.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - len(_MAGIC)))
    if file.read() != _MAGIC or _metadata_place(file) < len(_MAGIC):
        return False
    place = _seal_place(file)
    if place is None:
        return True
    file.seek(place)
    return file.read(len(_ZEROS)) == _digest(file, place)


def _seal_place(file: BinaryIO) -> int | None:
    """Return where the seal stands, None where there is none."""
    begin = _metadata_place(file)
    file.seek(begin)
    found = file.read().find(_KEY + _BETWEEN)
    return None if found < 0 else begin + found + len(_KEY + _BETWEEN)


def _metadata_place(file: BinaryIO) -> int:
    """Return where the metadata stand, the last but their length and the magic: a place < 4 is none."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    return size - 8 - int.from_bytes(file.read(4), "little")


def _digest(file: BinaryIO, place: int) -> bytes:
    """Return the SHA-256 of a file, as text, with zeros where its seal stands."""
    digest = hashlib.sha256()
    file.seek(0)
    before = place
    while before and (block := file.read(min(_BLOCK, before))):
        digest.update(block)
        before -= len(block)
    digest.update(_ZEROS)
    file.seek(place + len(_ZEROS))
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest().encode()
