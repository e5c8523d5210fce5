"""Streams: every conversation once an epoch, in an order that seed and epoch decide, in memory that does not grow."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.streaming import Stream, epochs, read_conversations, shuffled
from cs_assets_tests.learning.conftest import NO_RESERVE, SMALL, adapter_weights, incompressible_texts, losses

SETTINGS = FineTuningSettings(**SMALL)


def conversation(i: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"地址 {i}" + "路" * (i % 4)},
        {"role": "assistant", "content": json.dumps({"电话": str(i)}, ensure_ascii=False)},
    ]


def write_jsonl(file: Path, conversations: Sequence[Any], end: str = "\n") -> Path:
    lines = [json.dumps({"messages": messages, "id": 1}, ensure_ascii=False) for messages in conversations]
    file.write_text("\n".join(lines) + end, encoding="utf-8")
    return file


@given(st.lists(st.integers(), max_size=60), st.integers(1, 70), st.integers(0, 3))
def test_a_shuffled_stream_holds_the_same_items_in_an_order_that_the_seed_decides(
    items: list[int], buffer: int, seed: int
) -> None:
    found = list(shuffled(items, buffer, random.Random(seed)))
    assert Counter(found) == Counter(items)
    assert found == list(shuffled(iter(items), buffer, random.Random(seed)))
    if buffer == 1:
        assert found == items


def test_no_item_comes_before_the_buffer_has_reached_it() -> None:
    found = list(shuffled(range(1000), 50, random.Random(1)))
    assert all(item < place + 50 for place, item in enumerate(found))
    assert found != list(range(1000))


def test_each_epoch_has_its_own_order_and_holds_everything(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "train.jsonl", [conversation(i) for i in range(30)])
    drawn = [messages[0]["content"] for messages in epochs(file, 2, buffer=10, seed=3)]
    first, second = drawn[:30], drawn[30:]
    assert sorted(first) == sorted(second)
    assert first != second
    again = [messages[0]["content"] for messages in epochs(file, 2, buffer=10, seed=3)]
    assert again == drawn


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n  \n"])
def test_the_end_of_a_jsonl_file_may_be_empty_lines_or_none(tmp_path: Path, end: str) -> None:
    taught = [conversation(i) for i in range(3)]
    assert list(read_conversations(write_jsonl(tmp_path / "train.jsonl", taught, end))) == taught


def test_a_folder_is_read_file_by_file_in_the_order_of_the_names(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "b.jsonl", [conversation(2), conversation(3)])
    pl.DataFrame({"messages": [conversation(0), conversation(1)], "fold": ["train"] * 2}).write_parquet(
        tmp_path / "a.parquet"
    )
    (tmp_path / "README.md").write_text("read by nobody", encoding="utf-8")
    assert list(read_conversations(tmp_path)) == [conversation(i) for i in range(4)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: no JSON"),
        ("[1]", "line 2: `messages` must be a list"),
        ('{"text": "你好"}', "line 2: `messages` must be a list"),
        ('{"messages": [{"role": "user"}]}', "line 2: `messages` must be a list"),
        ('{"messages": [{"role": "user", "content": null}]}', "line 2: `role` and `content` must be text"),
        ('{"messages": [{"role": "user", "content": "你好"}]}', "line 2: no message of the assistant"),
    ],
)
def test_a_row_that_is_no_conversation_is_named(tmp_path: Path, line: str, said: str) -> None:
    file = write_jsonl(tmp_path / "train.jsonl", [conversation(0)], end=f"\n{line}\n")
    with pytest.raises(ValueError, match=said):
        list(read_conversations(file))


def test_what_holds_no_conversations_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no training data"):
        list(read_conversations(tmp_path))
    with pytest.raises(ValueError, match="no training data"):
        list(read_conversations(tmp_path / "missing.jsonl"))
    pl.DataFrame({"text": ["你好"]}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"columns text; a column `messages` is wanted"):
        list(read_conversations(tmp_path / "other.parquet"))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_fewer_rows_than_a_batch_train(tiny_model: Path, tmp_path: Path, accumulation: int) -> None:
    file = write_jsonl(tmp_path / "train.jsonl", [conversation(0)], end="\n\n")
    settings = SETTINGS.model_copy(update={"batch_size": 8, "epochs": 1, "gradient_accumulation": accumulation})
    log = train_adapter(str(tiny_model), Stream(file, 5), [], settings, tmp_path / "model", tmp_path / "work")
    assert (log.samples, log.steps, len(losses(log))) == (1, 1, 1)


@pytest.mark.parametrize("packing", [False, True])
def test_a_stream_that_ends_within_a_step_learns_what_larger_batches_would(
    tiny_model: Path, tmp_path: Path, packing: bool
) -> None:
    """Nine samples: two steps of four, and one of a single sample, for which three batches are missing."""
    file = write_jsonl(tmp_path / "train.jsonl", [conversation(i) for i in range(9)])
    logs = []
    for batch_size, accumulation in ((4, 1), (1, 4)):
        changed = {"epochs": 1, "packing": packing, "batch_size": batch_size, "gradient_accumulation": accumulation}
        place = tmp_path / str(batch_size)
        settings = SETTINGS.model_copy(update=changed)
        logs.append(train_adapter(str(tiny_model), Stream(file, 5), [], settings, place / "model", place / "work"))
    assert [log.steps for log in logs] == [3, 3]
    assert losses(logs[0]) == pytest.approx(losses(logs[1]), abs=1e-4)
    one, two = (adapter_weights(tmp_path / size / "model") for size in ("4", "1"))
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-4


LONG_PROMPT = [{"role": "user", "content": "路" * 200}, {"role": "assistant", "content": "好"}]
LONG_ANSWER = [{"role": "user", "content": "路"}, {"role": "assistant", "content": "好" * 200}]


def test_samples_that_are_too_long_are_left_out_and_told(tiny_model: Path, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "train.jsonl", [LONG_PROMPT, *[conversation(i) for i in range(6)], LONG_ANSWER])
    settings = SETTINGS.model_copy(update={"epochs": 2})
    log, again = (
        train_adapter(str(tiny_model), Stream(file, 5), [], settings, tmp_path / "model", tmp_path / "work")
        for _ in range(2)
    )
    assert (log.samples, log.steps, log.too_long) == (8, 6, 2)
    assert (again.resumed_at, again.tokens, again.curve) == (6, 0, log.curve)
    alone = write_jsonl(tmp_path / "long.jsonl", [LONG_PROMPT, LONG_ANSWER])
    with pytest.raises(ValueError, match="max_length"):
        train_adapter(str(tiny_model), Stream(alone, 5), [], settings, tmp_path / "other", tmp_path / "other_work")


def test_a_stream_without_those_that_are_too_long_is_measured_and_saved_at_its_last_step(
    tiny_model: Path, tmp_path: Path
) -> None:
    file = write_jsonl(tmp_path / "train.jsonl", [LONG_PROMPT, *[conversation(i) for i in range(6)], LONG_PROMPT])
    settings = SETTINGS.model_copy(update={"epochs": 2, "patience": 9, "checkpoint_steps": 4})
    log = train_adapter(
        str(tiny_model), Stream(file, 5), [conversation(9)], settings, tmp_path / "model", tmp_path / "work"
    )
    assert [point.step for point in log.curve if point.validation is not None] == [4, 6]
    assert (tmp_path / "work" / "checkpoints" / "checkpoint-6").is_dir()
    assert log.metrics()["validation_loss"] == min(point.validation for point in log.curve if point.validation)


def test_a_cut_stream_resumes_at_the_next_sample(
    tiny_model: Path, tmp_path: Path, resumed_equals_undisturbed: Any
) -> None:
    """Cut at the end of the first epoch and in the middle of the second, whose order is another one; packed."""
    file = write_jsonl(tmp_path / "train.jsonl", [conversation(i) for i in range(8)])
    settings = SETTINGS.model_copy(update={"packing": True})
    resumed_equals_undisturbed(
        lambda folder, work, report: train_adapter(
            str(tiny_model), Stream(file, 5), [conversation(9)], settings, folder, work, report
        )
    )


def test_a_finished_stream_that_was_not_saved_is_not_repeated(tiny_model: Path, tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "train.jsonl", [conversation(i) for i in range(4)])
    first, again = (
        train_adapter(str(tiny_model), Stream(file, 5), [], SETTINGS, tmp_path / "model", tmp_path / "work")
        for _ in range(2)
    )
    assert (again.resumed_at, again.steps, again.tokens, again.curve) == (6, 6, 0, first.curve)


FLAT = """
import sys
from pathlib import Path
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.streaming import Stream, epochs, read_conversations
from cs_assets_tests.learning.conftest import limit_memory

def train(name, epochs):
    settings = FineTuningSettings(rank=2, batch_size=2, max_length=64, epochs=epochs)
    return train_adapter(base, Stream(data, 500), [], settings, work / name, work / name / "work")

base, data, work, room = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
train("first", 0.0001)  # what a training needs anyway is allocated now
limit_memory(room)
log = train("second", 0.0002)
drawn = sum(1 for _ in epochs(data, 1, 500, 1))
try:
    list(read_conversations(data))
except MemoryError:
    print(log.samples, log.steps, drawn, "too large for a list")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's memory is Linux's")
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_data_that_no_list_could_hold_trains_in_the_memory_of_the_buffer(
    tiny_model: Path, tmp_path: Path, suffix: str
) -> None:
    rows = 30_000
    turns = [{"role": "user", "content": "地址"}, {"role": "assistant", "content": "好"}]
    conversations = [[*turns, {"role": "tool", "content": text}] for text in incompressible_texts(rows, 1350)]
    file = tmp_path / f"train{suffix}"
    if suffix == ".jsonl":
        write_jsonl(file, conversations)
    else:
        pl.DataFrame({"messages": conversations}).write_parquet(file)  # as a single row group
    room = 64 * 1024 * 1024
    command = [sys.executable, "-c", FLAT, str(tiny_model), str(file), str(tmp_path), str(room)]
    done = subprocess.run(command, env=os.environ | NO_RESERVE, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == [f"{rows} 3 {rows} too large for a list"], done.stderr[-2000:]
