"""Model folders: each made once, under the fingerprint of all it was made from, and there whole or not at all.

Here belongs how a folder gets to its place, through kills and rivals, in a folder or in an object store. What it holds,
beside the manifest, is the business of who makes it.

    ROOT/models/STAGE/PARTITION/KEY/            in a folder
    ROOT/models/STAGE/PARTITION/KEY/CONTENT/    in an object store

In a folder, a model is made beside its place and renamed, and who wants the same one waits for a lock. An object store
has neither, so there a folder is named after its content too: of two hosts that make the same model at once, neither
can write into the other's folder, both are right, and the one that was complete first is found.
"""

import contextlib
import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError
from upath import UPath

from resources.files import put_in_place, room_for, whole_folder
from resources.object_store import FileDigest, StoreError, check_sizes, digests, fetch_folder, scratch_of, upload_folder

MANIFEST: Final = "manifest.json"
# How long a killed training may be resumed after another one of its stage was started.
KEEP_CHECKPOINTS_SECONDS: Final = 7 * 24 * 3600
# Given an empty folder to fill and a work folder for checkpoints; returns metrics.
Make = Callable[[Path, Path], Mapping[str, float]]
_log = logging.getLogger(__name__)


class ModelFolder(BaseModel):
    """A finished model folder: what an asset hands on instead of the weights.

    path is relative to the store; base is the name of the base model, and base_identity says which weights bore it
    then; data is the fingerprint of what it learned from, and fingerprint that of everything it was made from; metrics
    are what its training or test measured. Where base_identity or data is empty, nobody kept it.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    base: str
    base_identity: str = ""
    data: str = ""
    fingerprint: str
    metrics: dict[str, float] = {}


class _Manifest(ModelFolder):
    """What is kept of a model beside its files, which it vouches for. Its path is where it lies."""

    path: str = ""
    files: dict[str, FileDigest] = {}


class FolderModels:
    """Models in a folder, of this host or shared by several."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def cached(self, wanted: ModelFolder, make: Make) -> tuple[ModelFolder, bool]:
        """Return the model, which is made first if needed, and whether it was there.

        Args:
            wanted: all that is known of it before it is made.
            make: fills its folder. The work folder survives a killed run, so training resumes from it; it goes when the
                model is complete.

        Raises:
            StoreError: it was there, but a file of it is not as long as it was written.
        """
        target = self._root / wanted.path
        found = self._found(wanted)
        if found is not None:
            return found, True
        work = self.work_of(wanted)
        with room_for(work):
            work.mkdir(parents=True, exist_ok=True)
        # One maker at a time: a second run on the same partition waits and finds the result. The kernel frees the lock
        # of a killed one, whose half-filled folder is then nobody's.
        with FileLock(f"{work}.lock"):
            found = self._found(wanted)
            if found is not None:
                return found, True
            # A folder in its place that has lost its manifest would stay there, and be no model.
            for left_over in (target, *target.parent.glob(f".{target.name}.*")):
                shutil.rmtree(left_over, ignore_errors=True)
            _remove_left_overs_of_others(target, work)
            work.mkdir(parents=True, exist_ok=True)
            return _fill(target, work, wanted, make), False

    def work_of(self, wanted: ModelFolder) -> Path:
        """Return where the checkpoints of a model lie while it is made."""
        return self._root / "work" / PurePosixPath(wanted.path).relative_to("models")

    def path_of(self, model: ModelFolder) -> Path:
        """Return the folder.

        Raises:
            FileNotFoundError: it is not there any more.
            StoreError: a file of it is not as long as it was written.
        """
        path = self._root / model.path
        if not (path / MANIFEST).exists():
            raise FileNotFoundError(_gone(path))
        check_sizes(path, _manifest(path).files)
        return path

    def lock(self, stage: str) -> FileLock:
        """Return a lock that everyone who sees the folder has to wait for."""
        return FileLock(self._root / "models" / stage / ".lock")

    def _found(self, wanted: ModelFolder) -> ModelFolder | None:
        found = _read_manifest(self._root / wanted.path, wanted)
        if found is not None:
            self.path_of(found)  # one that was cut is told here, not by who loads it, an hour later
        return found


class ObjectModels:
    """Models in an object store, made in the scratch folder of this host, where copies of them lie too."""

    def __init__(self, root: UPath) -> None:
        self._root = root
        self._made = FolderModels(scratch_of(root) / "made")

    def cached(self, wanted: ModelFolder, make: Make) -> tuple[ModelFolder, bool]:
        """Return as `FolderModels` does. A run that is killed while it uploads leaves nothing to be trained again."""
        found = self._found(wanted)
        if found is not None:
            return found, True
        uploading = Path(f"{self._made.work_of(wanted)}.upload.lock")
        uploading.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(uploading):
            found = self._found(wanted)
            if found is not None:
                return found, True
            made, hit = self._made.cached(wanted, make)
            first = self._found(wanted)  # of another host, which began later or was faster
            if first is None:
                return self._uploaded(made), hit
            shutil.rmtree(self._made.path_of(made))
            return first, hit

    def path_of(self, model: ModelFolder) -> Path:
        """Return a copy of the folder, which is fetched if there is none, or one with a file that is not long enough.

        Raises:
            FileNotFoundError: it is not in the store any more.
            StoreError: what is there is not what was written.
        """
        place = self._root / model.path
        try:
            manifest = _manifest(place)
        except FileNotFoundError as error:
            raise FileNotFoundError(_gone(place)) from error
        copy = scratch_of(place)
        if _is_whole(copy, manifest.files):
            return copy
        with room_for(copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
        # Of two who find a damaged copy, the second would remove what the first has fetched.
        with FileLock(f"{copy}.lock"):
            if not _is_whole(copy, manifest.files):
                if copy.is_dir():
                    _log.warning("%s is not as it was written; it is fetched again", copy)
                    shutil.rmtree(copy)
                fetch_folder(place, copy, manifest.files)
        return copy

    def lock(self, stage: str) -> FileLock:
        """Return a lock that everyone on this host has to wait for; other hosts know nothing of it."""
        return self._made.lock(stage)

    def _found(self, wanted: ModelFolder) -> ModelFolder | None:
        """Return the complete folder, of several the oldest."""
        key = self._root / wanted.path
        folders = list(key.iterdir()) if key.is_dir() else []
        # A store that was a folder once, and was copied as it was, has the manifest in the key's folder itself.
        complete = [found for folder in (key, *folders) if (found := folder / MANIFEST).is_file()]
        if not complete:
            return None
        first = min(complete, key=lambda manifest: (manifest.stat().st_mtime, manifest.path)).parent
        path = first.path.removeprefix(self._root.path).lstrip("/")
        return _read_manifest(first, wanted.model_copy(update={"path": path}))

    def _uploaded(self, made: ModelFolder) -> ModelFolder:
        """Upload a folder that was made here; it becomes the local copy."""
        folder = self._made.path_of(made)
        content = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()[:16]
        model = made.model_copy(update={"path": f"{made.path}/{content}"})
        place = self._root / model.path
        upload_folder(folder, place, last=MANIFEST)
        put_in_place(folder, scratch_of(place))
        return model


def _fill(target: Path, work: Path, wanted: ModelFolder, make: Make) -> ModelFolder:
    """Make a model folder beside its place and put it there; its work folder goes when all is done."""
    with whole_folder(target) as folder:
        made = ModelFolder.model_validate(wanted.model_dump() | {"metrics": dict(make(folder, work))})
        files = digests(folder)
        files.pop(MANIFEST, None)  # that of a folder which this one is a copy of
        manifest = _Manifest(**made.model_dump(), files=files).model_dump(exclude={"path"})
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")
    shutil.rmtree(work, ignore_errors=True)
    return made


def _read_manifest(folder: UPath | Path, wanted: ModelFolder) -> ModelFolder | None:
    if not (folder / MANIFEST).is_file():
        return None
    kept = _manifest(folder)
    if kept.fingerprint != wanted.fingerprint:
        raise RuntimeError(
            f"{folder / MANIFEST}: fingerprint {kept.fingerprint} where {wanted.fingerprint} was expected; remove the "
            "folder."
        )
    return ModelFolder.model_validate(kept.model_dump(exclude={"files"}) | {"path": wanted.path})


def _manifest(folder: UPath | Path) -> _Manifest:
    path = folder / MANIFEST
    text = path.read_text(encoding="utf-8")
    try:
        return _Manifest.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"{path}: no manifest ({error.errors()[0]['msg']}). The folder is damaged: remove {folder} and materialize "
            "the asset that makes it again."
        ) from error


def _is_whole(copy: Path, written: Mapping[str, FileDigest]) -> bool:
    try:
        check_sizes(copy, written)
    except StoreError:
        return False
    return copy.is_dir()


def _gone(place: UPath | Path) -> str:
    return f"{place}: the model folder is gone. Materialize the asset that makes it again."


def _remove_left_overs_of_others(target: Path, work: Path) -> None:
    """Remove what killed makers of the same stage and partition left under other keys.

    A half-filled folder is of no use to anyone. Checkpoints are: their run may be started again, so they stay for a
    while, unless their model is complete. Whose lock is held is at work, and is left alone; so is what belongs to
    another user of a shared store.
    """
    keys = {path.name.split(".")[1] for path in target.parent.glob(".*.*")}
    keys |= {path.name for path in work.parent.iterdir() if path.is_dir()}
    for key in keys - {target.name}:
        with contextlib.suppress(Timeout, OSError), FileLock(work.with_name(f"{key}.lock"), timeout=0):
            checkpoints = work.with_name(key)
            if (target.with_name(key) / MANIFEST).is_file() or _idle_seconds(checkpoints) > KEEP_CHECKPOINTS_SECONDS:
                shutil.rmtree(checkpoints, ignore_errors=True)
            for half_filled in target.parent.glob(f".{key}.*"):
                shutil.rmtree(half_filled, ignore_errors=True)


def _idle_seconds(folder: Path) -> float:
    """Return the time since something in the folder was written, 0 if it is not there."""
    written = [path.stat().st_mtime for path in (folder, *folder.rglob("*")) if path.exists()]
    return time.time() - max(written, default=time.time())
