"""What an adapter learns from: the table as it is while the buffer holds it, else a stream; through the asset too."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.streaming import Stream, read_conversations
from cs_assets.learning.training import TrainingLog
from cs_assets.partitions import scenario_partitions
from cs_assets.training.assets import lora_adapter
from cs_assets.training.splits import SCHEMA
from cs_assets.training.training_data import TRAIN_FILE, TrainingData, training_data
from cs_assets_tests.learning.conftest import NO_RESERVE, SMALL, incompressible_texts
from cs_assets_tests.learning.killed import KILLED, Kill, in_own_process, watched
from resources.base_model import BaseModels
from resources.store import Store, fingerprint, io_managers
from resources.tracking import Tracking

ROOT = Path(__file__).resolve().parents[2]
PARTITION = "address_extraction"
TRAIN = 12


def conversation(i: int, text: str = "") -> list[dict[str, str]]:
    return [{"role": "user", "content": f"地址 {i}{text}"}, {"role": "assistant", "content": f'{{"电话": "{i}"}}'}]


def split_table(train: int = TRAIN) -> pl.DataFrame:
    """Rows of three splits, one after the other in turn, the ids of which do not rise."""
    rows = [
        {"sample_id": f"{split}-{99 - i}", "split": split, "message": "", "messages": conversation(i)}
        for i in range(train)
        for split in ("train", "validation", "test_iid")[: 3 if i < 2 else 1]
    ]
    return pl.DataFrame(rows, schema_overrides={name: SCHEMA[name] for name in rows[0]})


def write(folder: Path, table: pl.DataFrame, **options: Any) -> Path:
    file = folder / "tables" / "training_splits" / f"{PARTITION}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(file, **options)
    return file


def key(data: TrainingData) -> str:
    return fingerprint(data=data.content)


def taught(numbers: Any) -> list[list[dict[str, str]]]:
    return [conversation(i) for i in numbers]


def test_what_the_buffer_holds_is_in_memory_by_the_order_of_the_ids(tmp_path: Path) -> None:
    table = split_table()
    data = training_data(write(tmp_path, table), most=TRAIN)
    assert isinstance(data.content, pl.DataFrame)
    assert_frame_equal(data.content, table.filter(pl.col("split") != "test_iid").sort("sample_id"))
    assert data.train(tmp_path / "work") == taught(reversed(range(TRAIN)))
    assert data.validation == taught([1, 0])
    assert not (tmp_path / "work").exists()


def test_more_than_the_buffer_holds_is_written_to_a_file_once(tmp_path: Path) -> None:
    data = training_data(write(tmp_path, split_table()), most=TRAIN - 1)
    stream, file = data.train(tmp_path / "work"), tmp_path / "work" / TRAIN_FILE
    assert stream == Stream(file, TRAIN - 1)
    assert list(read_conversations(file)) == taught(range(TRAIN))
    assert data.validation == taught([0, 1])
    written = file.stat().st_mtime_ns
    assert data.train(tmp_path / "work") == stream
    assert file.stat().st_mtime_ns == written


def test_the_fingerprint_of_a_stream_is_that_of_the_rows_that_are_learned(tmp_path: Path) -> None:
    table = split_table(2000)  # of more than one slice
    first = key(training_data(write(tmp_path, table), most=1))
    untested = table.filter(pl.col("split") != "test_iid")
    for same, options in ((table, {"row_group_size": 700}), (untested, {})):
        assert key(training_data(write(tmp_path, same, **options), most=1)) == first
    for other in (table.head(1990), table.filter(pl.col("sample_id") != "validation-99"), table.reverse()):
        assert key(training_data(write(tmp_path, other), most=1)) != first


def settings(**changed: Any) -> dict[str, Any]:
    return {**SMALL, "epochs": 1.0, **changed}


def materialize(root: Path, tiny_model: Path, **changed: Any) -> tuple[dict[str, Any], TrainingLog]:
    """Run the asset on the table that lies in `root`, and return its metadata and the story of the training."""
    resources = {
        "store": Store(root=str(root)),
        "tracking": Tracking(uri=f"sqlite:///{root.parent}/mlflow.db"),
        "base_models": BaseModels(cache=str(root / "models")),
        **io_managers(str(root)),
    }
    config = settings(base_model=str(tiny_model), **changed)
    result = dg.materialize(
        [dg.AssetSpec("training_splits", partitions_def=scenario_partitions), lora_adapter],
        partition_key=PARTITION,
        resources=resources,
        run_config={"ops": {"lora_adapter": {"config": config}}},
    )
    [event] = result.asset_materializations_for_node("lora_adapter")
    metadata = {name: value.value for name, value in event.metadata.items()}
    return metadata, TrainingLog.load(metadata["model_folder"])  # type: ignore[arg-type]


def materialize_and_die(root: Path, tiny_model: Path, buffer: int) -> None:
    with watched(root / "seen", Kill("batch", 4)):
        materialize(root, tiny_model, shuffle_buffer=buffer)


@pytest.mark.parametrize("buffer", [TRAIN, TRAIN - 1], ids=["memory", "stream"])
def test_the_asset_learns_from_memory_or_from_a_stream_and_goes_on_after_a_kill(
    tiny_model: Path, tmp_path: Path, buffer: int
) -> None:
    data = training_data(write(tmp_path, split_table()), most=buffer)
    train = data.train(tmp_path)
    assert isinstance(train, list) == (buffer == TRAIN)
    numbers = FineTuningSettings(**settings())
    expected = train_adapter(
        str(tiny_model), train, data.validation, numbers, tmp_path / "model", tmp_path / "model_work"
    )
    assert in_own_process(materialize_and_die, tmp_path, tiny_model, buffer) == KILLED
    metadata, log = materialize(tmp_path, tiny_model, shuffle_buffer=buffer)
    assert (metadata["samples"], metadata["resumed_at_step"], log.steps) == (TRAIN, 2, 6)
    assert log.curve == expected.curve
    assert not list((tmp_path / "work").rglob(TRAIN_FILE))  # it goes with the checkpoints


FLAT = """
import sys
from pathlib import Path
from cs_assets_tests.learning.conftest import limit_memory
from cs_assets_tests.training.test_training_data import materialize

small, large, tiny_model, room = *map(Path, sys.argv[1:4]), int(sys.argv[4])
numbers = {"epochs": 0.0003, "max_length": 64, "shuffle_buffer": 100}
materialize(small, tiny_model, **numbers)  # what a run needs anyway is allocated now
limit_memory(room)
metadata, log = materialize(large, tiny_model, **numbers)
print(metadata["samples"], log.steps)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's memory is Linux's")
def test_the_asset_trains_on_a_table_that_the_memory_cannot_hold(tiny_model: Path, tmp_path: Path) -> None:
    rows, room = 26_000, 64 * 1024 * 1024
    texts = incompressible_texts(rows, 1750)
    table = pl.DataFrame(
        {
            "sample_id": [f"train-{i:05d}" for i in range(rows)],
            "split": "train",
            "messages": [[*conversation(i), {"role": "tool", "content": text}] for i, text in enumerate(texts)],
        }
    )
    assert table.estimated_size() > 2 * room
    places = [tmp_path / "small", tmp_path / "large"]
    for place, part in zip(places, (table.head(200), table), strict=True):
        write(place, part)
    command = [sys.executable, "-c", FLAT, *map(str, places), str(tiny_model), str(room)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | NO_RESERVE, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == [f"{rows} 4"], done.stderr[-2000:]
