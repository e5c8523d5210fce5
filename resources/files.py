"""Files and folders that appear whole or not at all. What stands in them, and where, is told by who writes them."""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from upath import UPath

# A disk with less room than this takes no file that is worth writing.
_NO_ROOM_BYTES: Final = 64 * 1024


class DiskFull(OSError):
    """No space is left; the message says where, and what to do."""


def user_cache() -> Path:
    """Return our folder in the user's cache: what lies there can be had again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cs-assets"


def scratch_root() -> Path:
    """Return the folder where what is on its way to or from an object store lies on this host."""
    configured = os.environ.get("CS_SCRATCH")
    return Path(configured).absolute() if configured else user_cache() / "scratch"


@contextlib.contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Let the block write `path` or beside it. Many who write say something else where no space is left.

    Raises:
        DiskFull: no space is left; what the error names on another disk, such as a temporary file, is named there.
    """
    try:
        yield
    except DiskFull:
        raise
    except Exception as error:
        if left_no_room(error, path):
            raise DiskFull(
                f"{_without_room(error, path)}: no space is left on its disk. Make room, and run this again: what is "
                "made is kept."
            ) from error
        raise


def left_no_room(error: BaseException, path: Path) -> bool:
    """Whether an error in writing to `path` came of a disk without space, whatever it says itself."""
    return _says_so(error) or shutil.disk_usage(_nearest_folder(path)).free < _NO_ROOM_BYTES


def _says_so(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "database or disk is full" in str(error)  # SQLite, whoever wraps what it says


def _without_room(error: Exception, path: Path) -> Path:
    """Return `path`, or the file that the error names, where that lies on another disk."""
    # Of a copy, the second name is that of what was written.
    name = getattr(error, "filename2", None) or getattr(error, "filename", None)
    if not _says_so(error) or not isinstance(name, str):
        return path
    disks = {_nearest_folder(place).stat().st_dev for place in (path, Path(name))}
    return path if len(disks) == 1 else Path(name)


def _nearest_folder(path: Path) -> Path:
    """Return the folder, or the nearest above it that is there."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())


def write_whole(path: UPath, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, sync it, and put it in its place.

    Raises:
        DiskFull: no space is left.
    """
    if not isinstance(path, Path):
        _upload_whole(path, write)
        return
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with room_for(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(beside)
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _upload_whole(path: UPath, write: Callable[[Path], object]) -> None:
    """Let `write` fill a local file, and upload it: in one request, or in parts that are seen once they are all there.

    It is filled in the scratch folder, since the system's own for temporary files is small in many a container. No
    folder is made for the object: there are none, and s3fs would make a bucket whose name is mistyped.
    """
    local = scratch_root() / "uploads" / uuid.uuid4().hex
    try:
        with room_for(local):
            local.parent.mkdir(parents=True, exist_ok=True)
            write(local)
        path.fs.put_file(str(local), path.path)
    finally:
        local.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside `target`, and rename it there when the block ends well. The first of two writers wins.

    Raises:
        DiskFull: no space is left.
    """
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with room_for(target):
            folder.mkdir(parents=True)
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
