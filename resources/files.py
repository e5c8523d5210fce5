"""Files and folders that appear whole or not at all. What stands in them, and where, is told by who writes them."""

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from upath import UPath


def user_cache() -> Path:
    """Return our folder in the user's cache: what lies there can be had again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cs-assets"


def write_whole(path: UPath, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, sync it, and put it in its place."""
    if not isinstance(path, Path):
        _upload_whole(path, write)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _upload_whole(path: UPath, write: Callable[[Path], object]) -> None:
    """Let `write` fill a local file, and upload it: in one request, or in parts that are seen once they are all there.

    No folder is made for it: there are none, and s3fs would make a bucket whose name is mistyped.
    """
    with tempfile.TemporaryDirectory() as work:
        local = Path(work) / "object"
        write(local)
        path.fs.put_file(str(local), path.path)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside `target`, and rename it there when the block ends well. The first of two writers wins."""
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    folder.mkdir(parents=True)
    try:
        yield folder
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        put_in_place(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(folder: Path, target: Path) -> None:
    """Rename a folder; where another writer was first, what it put there stays, and the folder goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(folder)
