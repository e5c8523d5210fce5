"""The store: where tables, records and model folders lie, and how they get there whole or not at all.

Tables are Parquet, small records (a pointer to a model with its metrics) are JSON, models are folders. Everything is
written beside its place, synced and renamed; a folder is complete when it is in its place. Expensive results are kept
under a fingerprint of everything they depend on, so that a re-run finds them (`cache: hit`).

`CS_STORE` is a folder, local or shared by the hosts, or the `file://` URL of one: trainers write into folders, and the
rename and the lock that keep models whole are a file system's. Tables and records alone may lie at any fsspec URL, as
an object store gives whole objects anyway: with such a URL the stages that make models refuse before they begin.
"""

import contextlib
import glob
import hashlib
import io
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
from dagster import ConfigurableResource, InputContext, MetadataValue, OutputContext, TableColumn, TableSchema
from dagster import UPathIOManager as _UPathIOManager
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field
from upath import UPath

from resources.files import write_whole

MANIFEST: Final = "manifest.json"
# How long a killed training may be resumed after another one of its stage was started.
KEEP_CHECKPOINTS_SECONDS: Final = 7 * 24 * 3600
# Where what was made for a partition lies. Results kept by fingerprint are nobody's, and verdicts of people stay.
_OF_PARTITION: Final = (
    "tables/*/{}.parquet",
    "records/*/{}.json",
    "models/*/{}",
    "work/*/{}",
    "exports/{}",
    "reports/{}.html",
    "reports/{}-data.html",
    "run_configs/{}.yaml",
    "cache/mlflow_runs/*/{}",
)
_NOTE: Final = "cs_assets:note"
_PREVIEW_ROWS: Final = 8
_PREVIEW_CHARACTERS: Final = 90


class StoreError(RuntimeError):
    """The store cannot hold what is asked for; the message says what was found and what is allowed."""


def default_root() -> str:
    """Return `CS_STORE`, else `data/out` in the working directory."""
    return os.environ.get("CS_STORE") or str(Path("data") / "out")


def _place(root: str) -> UPath:
    """Return the root as a path. A file URL is the folder that it names, so that it is written whole as any folder."""
    place = UPath(root)
    return UPath(place.path) if place.protocol in ("file", "local") else place


def fingerprint(**parts: Any) -> str:
    """Return a SHA-256 over everything a result depends on.

    Frames count by content, pydantic models and plain values by their JSON; the order of the keyword arguments does
    not matter.
    """
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"{name}=".encode())
        digest.update(_content(parts[name]))
    return digest.hexdigest()


def _content(value: Any) -> bytes:
    if isinstance(value, pl.DataFrame):
        # Parquet, not IPC: in IPC the bytes under a null and the chunks count, so equal frames may differ.
        buffer = io.BytesIO()
        value.rechunk().write_parquet(buffer, compression="uncompressed")
        return hashlib.sha256(buffer.getvalue()).digest()
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=_plain).encode()


def _plain(value: Any) -> Any:
    """Return a pydantic model, at whatever depth it stands, as JSON has it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"a fingerprint is of frames, pydantic models and plain values, not of {type(value).__name__}")


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


class Store(ConfigurableResource):
    """Cached results and model folders, under one root."""

    root: str = Field(
        default_factory=default_root, description="A folder, local or shared; for tables alone, any fsspec URL."
    )

    @property
    def _base(self) -> UPath:
        return _place(self.root)

    @property
    def _folder(self) -> Path:
        base = self._base
        if not isinstance(base, Path):
            raise StoreError(
                f"CS_STORE is {self.root!r}: models need a local or shared folder (or its file:// URL), as tables and "
                "records alone may lie at other URLs. Set CS_STORE to a folder that every host of the chain sees."
            )
        return base

    def location(self, *parts: str) -> UPath:
        """Return a place in the store."""
        return self._base.joinpath(*parts)

    def path_of(self, model: ModelFolder) -> str:
        """Return the absolute path of a model folder.

        Raises:
            FileNotFoundError: it is not there any more.
            StoreError: the store is no folder.
        """
        path = self._folder / model.path
        if not (path / MANIFEST).exists():
            raise FileNotFoundError(f"{path}: the model folder is gone. Materialize the asset that makes it again.")
        return str(path)

    def table(self, asset: str, partition: str) -> pl.DataFrame | None:
        """Return the table that an asset left for a partition, None where there is none yet."""
        path = self.location("tables", asset, f"{partition}{TableIOManager.extension}")
        return pl.read_parquet(path.read_bytes()) if path.exists() else None

    def remove_partition(self, name: str) -> list[str]:
        """Remove all that was made for a partition but the verdicts of people; return what went, sorted."""
        found = [path for pattern in _OF_PARTITION for path in self._base.glob(pattern.format(glob.escape(name)))]
        for path in found:
            path.fs.rm(path.path, recursive=True)
        return sorted(str(path.relative_to(self._base)) for path in found)

    def cached_table(
        self, stage: str, key: str, make: Callable[[], tuple[pl.DataFrame, str]]
    ) -> tuple[pl.DataFrame, bool, str]:
        """Return the table kept under `key`, making and keeping it first if needed.

        Args:
            stage: the asset's name.
            key: fingerprint of everything the table depends on.
            make: returns the table and a note that is kept with it (the URL of its MLflow run).

        Returns:
            The table, whether it was there, and the note.
        """
        path = self._base / "cache" / stage / f"{key}.parquet"
        if path.exists():
            content = path.read_bytes()
            return pl.read_parquet(content), True, pl.read_parquet_metadata(io.BytesIO(content)).get(_NOTE, "")
        table, note = make()
        write_whole(path, lambda beside: table.write_parquet(beside, metadata={_NOTE: note}))
        return table, False, note

    def cached_model(
        self,
        stage: str,
        partition: str,
        key: str,
        base: str,
        make: Callable[[Path, Path], Mapping[str, float]],
        *,
        base_identity: str = "",
        data: str = "",
    ) -> tuple[ModelFolder, bool]:
        """Return the model folder kept under `key`, making it first if needed, and whether it was there.

        Args:
            stage: the asset's name.
            partition: the scenario's name.
            key: fingerprint of everything the model depends on.
            base: name of the base model.
            make: is given an empty folder to fill and a work folder for checkpoints, and returns metrics. The work
                folder survives a killed run, so training resumes from it; it goes when the model is complete.
            base_identity: which weights that name stands for, to be kept with the model.
            data: fingerprint of what it learns from, to be kept likewise.

        Raises:
            StoreError: the store is no folder; nothing was made.
        """
        relative = Path("models") / stage / partition / key[:16]
        target = self._folder / relative
        found = self._read_manifest(target, relative, key)
        if found is not None:
            return found, True
        work = self._folder / "work" / stage / partition / key[:16]
        work.mkdir(parents=True, exist_ok=True)
        # One maker at a time: a second run on the same partition waits and finds the result. The kernel frees the lock
        # of a killed one, whose half-filled folder is then nobody's.
        with FileLock(f"{work}.lock"):
            found = self._read_manifest(target, relative, key)
            if found is not None:
                return found, True
            for left_over in target.parent.glob(f".{target.name}.*"):
                shutil.rmtree(left_over, ignore_errors=True)
            _remove_left_overs_of_others(target, work)
            work.mkdir(parents=True, exist_ok=True)
            origin = ModelFolder(path=str(relative), base=base, base_identity=base_identity, data=data, fingerprint=key)
            return self._fill(target, work, origin, make), False

    def _fill(
        self, target: Path, work: Path, origin: ModelFolder, make: Callable[[Path, Path], Mapping[str, float]]
    ) -> ModelFolder:
        """Make a model folder beside its place and put it there; its work folder goes when all is done."""
        with _beside(target) as folder:
            made = ModelFolder.model_validate(origin.model_dump() | {"metrics": dict(make(folder, work))})
            manifest = made.model_dump(exclude={"path"})
            (folder / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")
        shutil.rmtree(work, ignore_errors=True)
        return made

    def _read_manifest(self, target: Path, relative: Path, key: str) -> ModelFolder | None:
        manifest = target / MANIFEST
        if not manifest.is_file():
            return None
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if content["fingerprint"] != key:
            raise RuntimeError(
                f"{manifest}: fingerprint {content['fingerprint']} where {key} was expected; remove the folder."
            )
        return ModelFolder(path=str(relative), **content)


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


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Give a folder beside `target`, and rename it there when the block ends well. The first of two writers wins."""
    folder = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    folder.mkdir(parents=True)
    try:
        yield folder
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else another writer was first
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class TableIOManager(_UPathIOManager):
    """Polars frames as Parquet, one file a partition, with row count, column schema and a preview as metadata.

    An asset whose input is annotated `Path` is given the place of the file instead of the frame, to read it by slices.
    """

    extension = ".parquet"

    def dump_to_path(self, context: OutputContext, obj: pl.DataFrame, path: UPath) -> None:
        write_whole(path, obj.write_parquet)

    def load_from_path(self, context: InputContext, path: UPath) -> pl.DataFrame | Path:
        if context.dagster_type.typing_type is Path:
            return _file_of(context, path)
        return pl.read_parquet(_content_of(context, path))

    def get_metadata(self, context: OutputContext, obj: pl.DataFrame) -> dict[str, MetadataValue]:
        columns = [TableColumn(name, str(dtype)) for name, dtype in obj.schema.items()]
        return {
            "dagster/row_count": MetadataValue.int(obj.height),
            "dagster/column_schema": MetadataValue.table_schema(TableSchema(columns=columns)),
            "preview": MetadataValue.md(preview(obj)),
        }


class RecordIOManager(_UPathIOManager):
    """Pydantic models as JSON, one file a partition; the loading asset's annotation says which model."""

    extension = ".json"

    def dump_to_path(self, context: OutputContext, obj: BaseModel, path: UPath) -> None:
        text = obj.model_dump_json(indent=2)
        write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))

    def load_from_path(self, context: InputContext, path: UPath) -> BaseModel:
        return context.dagster_type.typing_type.model_validate_json(_content_of(context, path))


def _content_of(context: InputContext, path: UPath) -> bytes:
    """Return the bytes of an asset that another one reads.

    Raises:
        FileNotFoundError: it was not materialized yet; the message says how to.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(_not_made(context, path)) from error


def _file_of(context: InputContext, path: UPath) -> Path:
    """Return the file of an asset that another one reads by slices.

    Raises:
        FileNotFoundError: it was not materialized yet; the message says how to.
        StoreError: the store is no folder.
    """
    if not isinstance(path, Path):
        raise StoreError(
            f"{path}: a table that may be larger than memory is read from a local or shared folder. Set CS_STORE to a "
            "folder that every host of the chain sees."
        )
    if not path.is_file():
        raise FileNotFoundError(_not_made(context, path))
    return Path(path)


def _not_made(context: InputContext, path: UPath) -> str:
    return (
        f"{path}: there is no {context.asset_key.to_user_string()} for this partition yet. Materialize it first; on "
        f"the command line, `--select '*<asset>'` takes all that an asset needs with it."
    )


def preview(table: pl.DataFrame, rows: int = _PREVIEW_ROWS) -> str:
    """Return the first rows as a Markdown table, long cells cut, columns that begin with `_` left out."""
    shown = [name for name in table.columns if not name.startswith("_")]
    lines = ["| " + " | ".join(shown) + " |", "|" + " --- |" * len(shown)]
    for row in table.select(shown).head(rows).iter_rows():
        lines.append("| " + " | ".join(_cell(value) for value in row) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)
    text = text.replace("|", "\\|").replace("\n", " ↵ ")
    return text if len(text) <= _PREVIEW_CHARACTERS else text[: _PREVIEW_CHARACTERS - 1] + "…"


def io_managers(root: str) -> dict[str, _UPathIOManager]:
    """Return the two IO managers of the store, by the keys that assets name."""
    base = _place(root)
    return {"io_manager": TableIOManager(base / "tables"), "record_io_manager": RecordIOManager(base / "records")}
