"""Files that appear whole or not at all. What stands in them, and where, is the business of who writes them."""

import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

from upath import UPath


def write_whole(path: UPath, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, sync it, and put it in its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(path, Path):
        _upload_whole(path, write)
        return
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _upload_whole(path: UPath, write: Callable[[Path], object]) -> None:
    with tempfile.TemporaryDirectory() as work:
        local = Path(work) / "object"
        write(local)
        path.write_bytes(local.read_bytes())
