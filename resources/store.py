"""The store: where tables, records and model folders lie, and how results are kept and found again.

Tables are Parquet, small records (a pointer to a model with its metrics) are JSON, models are folders; each of them is
there whole or not at all. Expensive results are kept under a fingerprint of everything they depend on, so that a re-run
finds them (`cache: hit`).

`CS_STORE` is a folder, local or shared by the hosts, or its `file://` URL, or an object store at a URL that fsspec
knows, as `s3://bucket/prefix`. How models get there is told in `resources.model_folders`, what a host keeps of an
object store in `resources.object_store`.
"""

import glob
import hashlib
import io
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import polars as pl
from dagster import (
    ConfigurableResource,
    InputContext,
    MetadataValue,
    OutputContext,
    TableColumn,
    TableMetadataValue,
    TableRecord,
    TableSchema,
)
from dagster import UPathIOManager as _UPathIOManager
from filelock import FileLock
from pydantic import BaseModel, Field, ValidationError
from upath import UPath

from resources.files import write_whole
from resources.model_folders import FolderModels, Make, ModelFolder, ObjectModels
from resources.object_store import StoreError, fetched_file, place_of
from resources.parquet_files import is_as_written, write_sealed

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
# A table of more columns lies on its side: beside one another they are squeezed until a text stands a character a line.
_STANDING_COLUMNS: Final = 6
_LYING_ROWS: Final = 3
_PREVIEW_CHARACTERS: Final = 90
_log = logging.getLogger(__name__)


def default_root() -> str:
    """Return `CS_STORE`, else `data/out` in the working directory."""
    return os.environ.get("CS_STORE") or str(Path("data") / "out")


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


class Store(ConfigurableResource):
    """Cached results and model folders, under one root."""

    root: str = Field(
        default_factory=default_root, description="A folder, local or shared, or an object store: s3://bucket/prefix."
    )

    @property
    def _base(self) -> UPath:
        return place_of(self.root)

    @property
    def _models(self) -> FolderModels | ObjectModels:
        base = self._base
        return FolderModels(base) if isinstance(base, Path) else ObjectModels(base)

    def location(self, *parts: str) -> UPath:
        """Return a place in the store."""
        return self._base.joinpath(*parts)

    def path_of(self, model: ModelFolder) -> str:
        """Return the path of a model folder on this host; of one in an object store, a copy is fetched once.

        Raises:
            FileNotFoundError: it is not in the store any more.
            StoreError: it is damaged there.
        """
        return str(self._models.path_of(model))

    def lock(self, stage: str) -> FileLock:
        """Return a lock for the models of a stage. Everyone who sees the folder waits for it; of those who share an
        object store, everyone on this host.
        """
        return self._models.lock(stage)

    def table(self, asset: str, partition: str) -> pl.DataFrame | None:
        """Return the table that an asset left for a partition, None where there is none yet.

        Raises:
            StoreError: it is not as it was written.
        """
        path = self.location("tables", asset, f"{partition}{TableIOManager.extension}")
        return _table_in(path.read_bytes(), path, asset) if path.exists() else None

    def remove_partition(self, name: str) -> list[str]:
        """Remove all that was made for a partition but the verdicts of people; return what went, sorted.

        Raises:
            ValueError: the name would lead out of the store, or to all that is in it.
        """
        _refuse_paths(name)
        found = [path for pattern in _OF_PARTITION for path in self._base.glob(pattern.format(glob.escape(name)))]
        for path in found:
            path.fs.rm(path.path, recursive=True)
        return sorted(str(path.relative_to(self._base)) for path in found)

    def cached_table(
        self, stage: str, key: str, make: Callable[[], tuple[pl.DataFrame, str]]
    ) -> tuple[pl.DataFrame, bool, str]:
        """Return the table kept under `key`, making and keeping it first if there is none, or a damaged one.

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
            try:
                kept = _table_in(content, path, stage)
            except StoreError:
                _log.warning("%s is not as it was written; it is made again", path)
            else:
                return kept, True, pl.read_parquet_metadata(io.BytesIO(content)).get(_NOTE, "")
        table, note = make()
        write_whole(path, lambda beside: write_sealed(table, beside, {_NOTE: note}))
        return table, False, note

    def cached_model(
        self, stage: str, partition: str, key: str, base: str, make: Make, *, base_identity: str = "", data: str = ""
    ) -> tuple[ModelFolder, bool]:
        """Return the model folder kept under `key`, making it first if needed, and whether it was there.

        Args:
            stage: the asset's name.
            partition: the scenario's name.
            key: fingerprint of everything the model depends on.
            base: name of the base model.
            make: is given an empty folder to fill and a work folder for checkpoints, both on this host or in the shared
                folder, and returns metrics. The work folder survives a killed run, so training resumes from it; it
                goes when the model is complete.
            base_identity: which weights that name stands for, to be kept with the model.
            data: fingerprint of what it learns from, to be kept likewise.
        """
        path = f"models/{stage}/{partition}/{key[:16]}"
        wanted = ModelFolder(path=path, base=base, base_identity=base_identity, data=data, fingerprint=key)
        return self._models.cached(wanted, make)


def _refuse_paths(name: str) -> None:
    """Raise a ValueError for what is no name of a file: Dagster lets any text be a partition, such as `../../x`."""
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{name!r} is no partition: it leads to another folder. Name the scenario's folder alone.")


class _WholeFiles(_UPathIOManager):
    """Files that appear whole or not at all, in folders that are made with them."""

    def make_directory(self, path: UPath) -> None:
        """Leave it to `write_whole`."""

    def make_safe_partition_path(self, base_path: UPath, partition: str) -> UPath:
        """Return the place of a partition's file, which is always in the asset's folder."""
        _refuse_paths(partition)
        return super().make_safe_partition_path(base_path, partition)


class TableIOManager(_WholeFiles):
    """Polars frames as Parquet, one file a partition, with row count, column schema and a preview as metadata.

    An asset whose input is annotated `Path` is given the place of the file instead of the frame, to read it by slices.
    """

    extension = ".parquet"

    def dump_to_path(self, context: OutputContext, obj: pl.DataFrame, path: UPath) -> None:
        write_whole(path, lambda beside: write_sealed(obj, beside))

    def load_from_path(self, context: InputContext, path: UPath) -> pl.DataFrame | Path:
        name = context.asset_key.to_user_string()
        if context.dagster_type.typing_type is not Path:
            return _table_in(_content_of(context, path), path, name)
        place = _file_of(context, path)
        with place.open("rb") as file:
            if not is_as_written(file):
                raise StoreError(_damaged(path, name))
        return place

    def get_metadata(self, context: OutputContext, obj: pl.DataFrame) -> dict[str, MetadataValue]:
        columns = [TableColumn(name, str(dtype)) for name, dtype in obj.schema.items()]
        return {
            "dagster/row_count": MetadataValue.int(obj.height),
            "dagster/column_schema": MetadataValue.table_schema(TableSchema(columns=columns)),
            "preview": first_rows(obj),
        }


class RecordIOManager(_WholeFiles):
    """Pydantic models as JSON, one file a partition; the loading asset's annotation says which model."""

    extension = ".json"

    def dump_to_path(self, context: OutputContext, obj: BaseModel, path: UPath) -> None:
        text = obj.model_dump_json(indent=2)
        write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))

    def load_from_path(self, context: InputContext, path: UPath) -> BaseModel:
        content = _content_of(context, path)
        try:
            return context.dagster_type.typing_type.model_validate_json(content)
        except ValidationError as error:
            raise StoreError(_damaged(path, context.asset_key.to_user_string())) from error


def _table_in(content: bytes, path: UPath, asset: str) -> pl.DataFrame:
    """Return the table that a file holds.

    Raises:
        StoreError: it is not as it was written.
    """
    if not is_as_written(io.BytesIO(content)):
        raise StoreError(_damaged(path, asset))
    try:
        return pl.read_parquet(content)
    except pl.exceptions.PolarsError as error:  # of a table whose seal was damaged in its name
        raise StoreError(_damaged(path, asset)) from error


def _damaged(path: UPath, asset: str) -> str:
    return f"{path}: this is not what {asset} has written, the file is damaged. Materialize {asset} again."


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
    """Return the file of an asset that another one reads by slices; of one in an object store, a copy.

    Raises:
        FileNotFoundError: it was not materialized yet; the message says how to.
    """
    try:
        file = Path(path) if isinstance(path, Path) else fetched_file(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(_not_made(context, path)) from error
    if not file.is_file():
        raise FileNotFoundError(_not_made(context, path))
    return file


def _not_made(context: InputContext, path: UPath) -> str:
    return (
        f"{path}: there is no {context.asset_key.to_user_string()} for this partition yet. Materialize it first; on "
        f"the command line, `--select '*<asset>'` takes all that an asset needs with it."
    )


def preview(table: pl.DataFrame, rows: int = _PREVIEW_ROWS) -> str:
    """Return the first rows as a Markdown table, long cells cut, columns that begin with `_` left out."""
    if table.is_empty():
        return "none"
    shown = _shown(table)
    lines = ["| " + " | ".join(shown.columns) + " |", "|" + " --- |" * shown.width]
    for row in shown.head(rows).iter_rows():
        lines.append("| " + " | ".join(_cell(value).replace("|", "\\|") for value in row) + " |")
    return "\n".join(lines)


def first_rows(table: pl.DataFrame) -> TableMetadataValue:
    """Return the first rows as the UI shows a table; a wide one lies on its side, a line for each column.

    Cells and columns are those of `preview`, but a struct is shown by its fields, under the names that templates use
    for them: `地址.param.省`.
    """
    shown = _shown(table)
    while structs := [name for name, kind in shown.schema.items() if isinstance(kind, pl.Struct)]:
        shown = shown.unnest(structs, separator=".")
    if shown.width > _STANDING_COLUMNS:
        columns = [list(map(_cell, column.to_list())) for column in shown.head(_LYING_ROWS).iter_columns()]
        names = ["column", *(f"row {number + 1}" for number in range(min(shown.height, _LYING_ROWS)))]
        rows = [[name, *cells] for name, cells in zip(shown.columns, columns, strict=True)]
    else:
        names, rows = shown.columns, [list(map(_cell, row)) for row in shown.head(_PREVIEW_ROWS).iter_rows()]
    return MetadataValue.table(
        [TableRecord(dict(zip(names, row, strict=True))) for row in rows],
        schema=TableSchema(columns=[TableColumn(name) for name in names]),
    )


def _shown(table: pl.DataFrame) -> pl.DataFrame:
    return table.select(name for name in table.columns if not name.startswith("_"))


def _cell(value: Any) -> str:
    """Return a value as a person reads it, cut where it is long."""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else str(value)
    text = text.replace("\n", " ↵ ")
    return text if len(text) <= _PREVIEW_CHARACTERS else text[: _PREVIEW_CHARACTERS - 1] + "…"


def io_managers(root: str) -> dict[str, _UPathIOManager]:
    """Return the two IO managers of the store, by the keys that assets name."""
    base = place_of(root)
    return {"io_manager": TableIOManager(base / "tables"), "record_io_manager": RecordIOManager(base / "records")}
