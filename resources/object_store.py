"""Object stores: how what needs a folder is done where there is none.

An object is there whole or not at all, but nothing can be renamed or locked, and a folder is only what the names of
objects begin with. So a folder is filled on this host and uploaded when it is complete, the file that vouches for it
last; and what is read as a file or a folder is fetched first.

Both happen in the scratch folder: `CS_SCRATCH`, by default `scratch` in the user's cache. It belongs to one host, so it
is no part of a run's configuration. It may be emptied whenever nothing runs: a killed training then begins anew, and
what is read is fetched again.
"""

import contextlib
import hashlib
import importlib.util
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fsspec.registry import known_implementations
from pydantic import BaseModel, ConfigDict
from upath import UPath

from resources.files import scratch_root, whole_folder, write_whole

# How long the copy of an older table stays: another process may be about to read it.
_KEEP_COPIES_SECONDS: Final = 7 * 24 * 3600


class StoreError(RuntimeError):
    """The store cannot hold, or does not hold, what is asked for; the message says what was found and what to do."""


def place_of(root: str) -> UPath:
    """Return a folder's name or URL as a path. A file URL is the folder that it names, so it is written as any folder.

    What an object store holds is asked anew each time, as other hosts write there too.

    Raises:
        StoreError: nothing is known of such a URL, or the package that reaches the store is not installed.
    """
    if "::" in root:
        raise StoreError(f"{root!r}: a chain of file systems keeps nothing whole; name the last of them alone.")
    try:
        path = UPath(root)
    except ValueError as error:
        raise StoreError(f"{root!r}: {error}; a folder, file:// or s3:// will do.") from error
    if isinstance(path, Path):
        return path
    if path.protocol in ("file", "local"):
        return UPath(path.path)
    package = known_implementations.get(path.protocol, {"class": "fsspec"})["class"].partition(".")[0]
    if importlib.util.find_spec(package) is None:
        wanted = "'cs-assets[s3]'" if package == "s3fs" else package
        raise StoreError(f"{root!r}: the package {package} is not installed; pip install {wanted}")
    return UPath(root, use_listings_cache=False)


def scratch_of(place: UPath) -> Path:
    """Return where on this host a copy of something in an object store lies, and what becomes it is made."""
    return scratch_root() / place.protocol / place.path.strip("/")


def fetched_file(place: UPath) -> Path:
    """Return a local copy of an object as it is now, fetching it if there is none.

    Raises:
        FileNotFoundError: there is no such object.
    """
    version = place.fs.ukey(place.path)[:16]
    name = scratch_of(place)
    copy = name.with_name(f"{name.stem}.{version}{name.suffix}")
    if not copy.is_file():
        write_whole(UPath(copy), lambda beside: place.fs.get_file(place.path, str(beside)))
    with contextlib.suppress(OSError):
        copy.touch()  # it is in use
        for other in copy.parent.glob("*"):
            if time.time() - other.stat().st_mtime > _KEEP_COPIES_SECONDS:
                other.unlink()
    return copy


class FileDigest(BaseModel):
    """What a file must be to be the one that was written."""

    model_config = ConfigDict(frozen=True)

    size: int
    sha256: str


def digests(folder: Path) -> dict[str, FileDigest]:
    """Return the digest of each file in a folder, by its name there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _digest(path: Path) -> FileDigest:
    with path.open("rb") as file:
        return FileDigest(size=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def upload_folder(folder: Path, place: UPath, last: str) -> None:
    """Upload every file of a folder, and the one that vouches for the others when they are all there."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    names.remove(last)
    place.fs.put([str(folder / name) for name in names], [(place / name).path for name in names])
    place.fs.put_file(str(folder / last), (place / last).path)


def fetch_folder(place: UPath, target: Path, expected: Mapping[str, FileDigest]) -> None:
    """Put a copy of all objects whose names begin with `place` into `target`, which appears whole or not at all.

    Raises:
        StoreError: what was fetched is not what is expected.
    """
    with whole_folder(target) as folder:
        objects = place.fs.find(place.path)
        local = [folder / found.removeprefix(place.path).lstrip("/") for found in objects]
        for parent in {path.parent for path in local}:
            parent.mkdir(parents=True, exist_ok=True)
        place.fs.get(objects, [str(path) for path in local])
        for name, wanted in expected.items():
            found = _digest(folder / name) if (folder / name).is_file() else None
            if found != wanted:
                raise StoreError(_damaged(place, name, _told(found), _told(wanted)))


def check_sizes(folder: Path, written: Mapping[str, FileDigest]) -> None:
    """Look whether the files of a folder are as long as they were written. To read them would take as long as to use
    them.

    Raises:
        StoreError: one is not.
    """
    for name, digest in written.items():
        size = (folder / name).stat().st_size if (folder / name).is_file() else None
        if size != digest.size:
            found = "nothing" if size is None else f"{size:,} bytes"
            raise StoreError(_damaged(folder, name, found, f"{digest.size:,} bytes"))


def _damaged(folder: UPath | Path, name: str, found: str, written: str) -> str:
    return (
        f"{folder / name}: found {found}, was written as {written}. The folder is damaged: remove {folder} and "
        "materialize the asset that makes it again."
    )


def _told(digest: FileDigest | None) -> str:
    return f"{digest.size:,} bytes with SHA-256 {digest.sha256[:16]}" if digest else "nothing"
