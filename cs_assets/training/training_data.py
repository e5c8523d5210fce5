"""What an adapter learns from: the splits `train` and `validation` of a table that may be larger than memory.

Here belong the choice between memory and a file, and the reading by slices. How a file is streamed and trained on
is the business of `cs_assets.learning`.

    data = training_data(Path("data/out/tables/training_splits/address_extraction.parquet"), most=100_000)
    train_adapter(base, data.train(work), data.validation, settings, folder, work)
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import Field
from upath import UPath

from cs_assets.learning.conversations import Message
from cs_assets.learning.sft import FineTuningSettings
from cs_assets.learning.streaming import Stream
from cs_assets.training.splits import LEARNED
from resources.files import write_whole

TRAIN_FILE: Final = "train.jsonl"
_ROWS_AT_ONCE: Final = 256


class LoraSettings(FineTuningSettings):
    """Numbers of the fine-tuning, and how much of its data may be in memory."""

    shuffle_buffer: int = Field(
        default=100_000,
        description="Conversations in memory to draw from; of more, the training data is streamed.",
        ge=1,
    )


@dataclass(frozen=True)
class TrainingData:
    """Conversations to learn, and to validate with.

    Attributes:
        content: what a fingerprint of them is made of.
        train: is given a work folder; returns the conversations, or a stream of the file there that holds them.
        validation: always few: they are asked again with every checkpoint.
    """

    content: pl.DataFrame | Mapping[str, Any]
    train: Callable[[Path], list[list[Message]] | Stream]
    validation: list[list[Message]]


def training_data(splits: Path, most: int) -> TrainingData:
    """Read the table of splits; more than `most` training rows stay in files, and are never in memory together.

    Args:
        splits: the Parquet file of `training_splits`.
        most: the shuffle buffer; what it holds may as well be there at once.
    """
    rows = pl.scan_parquet(splits).filter(split="train").select(pl.len()).collect().item()
    if rows > most:
        return _streamed(splits, most)
    data = pl.read_parquet(splits).filter(pl.col("split").is_in(LEARNED)).sort("sample_id")
    train, validation = (data.filter(split=split)["messages"].to_list() for split in LEARNED)
    return TrainingData(data, lambda work: train, validation)


def _streamed(splits: Path, buffer: int) -> TrainingData:
    """Read the training rows twice, slice by slice: for the fingerprint, and into a file that a resumed run finds."""
    digest = hashlib.sha256()
    for lines in _lines(splits):
        digest.update(lines)
    validation = [messages for table in _slices(splits, "validation") for messages in table["messages"].to_list()]

    def written(work: Path) -> Stream:
        file = work / TRAIN_FILE
        if not file.exists():
            write_whole(UPath(file), lambda beside: _write(beside, _lines(splits)))
        return Stream(file, buffer)

    return TrainingData({"train": digest.hexdigest(), "validation": validation}, written, validation)


def _write(file: Path, parts: Iterator[bytes]) -> None:
    with file.open("wb") as out:
        out.writelines(parts)


def _lines(splits: Path) -> Iterator[bytes]:
    """Yield the training rows as JSONL; how the table is cut into row groups does not matter."""
    return (table.write_ndjson().encode() for table in _slices(splits, "train"))


def _slices(splits: Path, split: str) -> Iterator[pl.DataFrame]:
    """Yield the column `messages` of a split, slice by slice, in the order of the table."""
    import pyarrow.parquet as pq

    # Polars decodes whole row groups, of 262,144 rows each as it writes them; Arrow decodes page by page, and does not
    # copy the file if it is mapped.
    with pq.ParquetFile(splits, memory_map=True) as table:
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=["split", "messages"]):
            yield pl.DataFrame(batch).filter(split=split).select("messages")
