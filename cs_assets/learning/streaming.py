"""Conversations in files that are larger than memory: read again in every epoch, each time in another order.

The column `messages` holds a conversation (`[{"role": ..., "content": ...}, ...]`). A path is one file, `.jsonl` or
`.parquet`, or a folder of such files, which are read in the order of their names.

    for messages in epochs(Path("data/train.jsonl"), count=2, buffer=100_000, seed=17):
        ...

    train_adapter(base, Stream(Path("data/train.jsonl"), buffer=100_000), validation, settings, folder, work)

Memory holds the buffer and no more. The order depends on seed and epoch alone, so that a run that was cut finds the
sample at which it stopped by passing over those before it.
"""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from cs_assets.learning.conversations import Message

_SUFFIXES: Final = (".jsonl", ".parquet")
_ROWS_AT_ONCE: Final = 1024
T = TypeVar("T")


@dataclass(frozen=True)
class Stream:
    """Conversations to train on that stay in files; `buffer` of them wait in memory to be drawn from."""

    path: Path
    buffer: int


def epochs(path: Path, count: int, buffer: int, seed: int) -> Iterator[list[Message]]:
    """Yield the conversations of `path` `count` times, shuffled anew each time.

    Args:
        path: see the module.
        count: how often the data is read.
        buffer: how many conversations wait to be drawn from; below the number of rows, the order stays a little what
            it was in the files.
        seed: of the whole run; the epoch's number is added to it.

    Raises:
        ValueError: as `read_conversations`.
    """
    for epoch in range(count):
        yield from shuffled(read_conversations(path), buffer, random.Random(f"{seed}:{epoch}"))


def shuffled(items: Iterable[T], buffer: int, rng: random.Random) -> Iterator[T]:
    """Yield the items in another order: each is drawn from `buffer` that wait, and the next one takes its place."""
    waiting: list[T] = []
    for item in items:
        if len(waiting) < buffer:
            waiting.append(item)
            continue
        drawn = rng.randrange(buffer)
        yield waiting[drawn]
        waiting[drawn] = item
    rng.shuffle(waiting)
    yield from waiting


def read_conversations(path: Path) -> Iterator[list[Message]]:
    """Yield the conversations in the order of the files; empty lines of a JSONL file are passed over.

    Raises:
        ValueError: there is no such file, or a row is no conversation; the message names file and row.
    """
    for file in _files(path):
        yield from _read_jsonl(file) if file.suffix == ".jsonl" else _read_parquet(file)


def _files(path: Path) -> list[Path]:
    files = sorted(found for found in path.iterdir() if found.suffix in _SUFFIXES) if path.is_dir() else [path]
    if not files or not all(file.is_file() and file.suffix in _SUFFIXES for file in files):
        raise ValueError(f"{path}: no training data; wanted is a {' or '.join(_SUFFIXES)} file, or a folder of them.")
    return files


def _read_jsonl(file: Path) -> Iterator[list[Message]]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{file}, line {number}: no JSON ({error}). Write one object a line.") from error
            yield _conversation(row.get("messages") if isinstance(row, dict) else None, f"{file}, line {number}")


def _read_parquet(file: Path) -> Iterator[list[Message]]:
    import pyarrow.parquet as pq

    # Mapped, since otherwise the columns of a row group, which may be the whole file, are read at once.
    with pq.ParquetFile(file, memory_map=True) as table:
        if "messages" not in table.schema_arrow.names:
            raise ValueError(f"{file}: columns {', '.join(table.schema_arrow.names)}; a column `messages` is wanted.")
        number = 0
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=["messages"]):
            for messages in batch.column(0).to_pylist():
                number += 1
                yield _conversation(messages, f"{file}, row {number}")


def _conversation(messages: Any, where: str) -> list[Message]:
    """Return role and content of each turn, and see that somebody is answered."""
    try:
        turns = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
    except (TypeError, KeyError) as error:
        raise ValueError(f"{where}: `messages` must be a list of objects with `role` and `content`.") from error
    if not all(isinstance(text, str) for turn in turns for text in turn.values()):
        raise ValueError(f"{where}: `role` and `content` must be text, in every message.")
    if not any(turn["role"] == "assistant" for turn in turns):
        raise ValueError(f"{where}: no message of the assistant, so that there is nothing to learn.")
    return turns
