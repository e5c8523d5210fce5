"""Every format is read back by the library that people read it with, and says the same."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from upath import UPath

from cs_assets.quality.filtering import filter_samples
from cs_assets.scenario import Scenario
from cs_assets.training import exports
from cs_assets.training.splits import SPLITS, make_splits

TRAJECTORY = [
    {"role": "system", "content": "你是客服"},
    {"role": "user", "content": "充电器坏了"},
    {"role": "assistant", "content": "Action: 查方案"},
    {"role": "tool", "content": "换一个"},
    {"role": "assistant", "content": "Final"},
]


@pytest.fixture(scope="module")
def splits(labelled: pl.DataFrame) -> pl.DataFrame:
    return make_splits(filter_samples(labelled, {}, 0.0))


@pytest.fixture(scope="module")
def folder(
    scenario: Scenario, splits: pl.DataFrame, labelled: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("exports") / "address_extraction"
    written = exports.export_splits(scenario, splits, labelled, UPath(path))
    assert set(written) == {file.name for file in path.iterdir()} - {"dataset_info.json"}
    assert all(written.values())
    return path


def read(file: Path, tmp_path: Path) -> list[dict[str, Any]]:
    from datasets import load_dataset

    return list(load_dataset("json", data_files=str(file), split="train", cache_dir=str(tmp_path)))


def of_split(splits: pl.DataFrame, name: str) -> list[dict[str, Any]]:
    return splits.filter(pl.col("split") == name).to_dicts()


@pytest.mark.parametrize("split", SPLITS)
def test_alpaca_holds_every_sample_of_a_split(
    folder: Path, scenario: Scenario, splits: pl.DataFrame, split: str, tmp_path: Path
) -> None:
    rows = read(folder / f"alpaca_{split}.jsonl", tmp_path)
    assert [(row["input"], row["output"]) for row in rows] == [
        (sample["message"], sample["answer"]) for sample in of_split(splits, split)
    ]
    assert {(row["instruction"], row["system"]) for row in rows} == {(scenario.spec.instruction, scenario.spec.system)}


def test_sharegpt_alternates_between_human_and_gpt(folder: Path, splits: pl.DataFrame, tmp_path: Path) -> None:
    rows = read(folder / "sharegpt_train.jsonl", tmp_path)
    assert [[turn["from"] for turn in row["conversations"]] for row in rows] == [["human", "gpt"]] * len(rows)
    assert [row["conversations"][-1]["value"] for row in rows] == [s["answer"] for s in of_split(splits, "train")]


def test_openai_messages_are_those_of_the_sample(folder: Path, splits: pl.DataFrame, tmp_path: Path) -> None:
    rows = read(folder / "openai_train.jsonl", tmp_path)
    assert [row["messages"] for row in rows] == [sample["messages"] for sample in of_split(splits, "train")]


def test_trl_prompt_and_completion_make_the_conversation(folder: Path, splits: pl.DataFrame, tmp_path: Path) -> None:
    rows = read(folder / "trl_train.jsonl", tmp_path)
    assert [row["prompt"] + row["completion"] for row in rows] == [s["messages"] for s in of_split(splits, "train")]


def test_kto_and_preference_tell_good_answers_from_bad_ones(
    folder: Path, labelled: pl.DataFrame, tmp_path: Path
) -> None:
    judged = labelled.filter(pl.col("part") == "train")
    rows = read(folder / "kto_train.jsonl", tmp_path)
    assert [(row["completion"][0]["content"], row["label"]) for row in rows] == judged.select("answer", "label").rows()
    pairs = read(folder / "preference_train.jsonl", tmp_path)
    good, bad = judged.filter("label")["answer"].to_list(), judged.filter(~pl.col("label"))["answer"].to_list()
    assert [(row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in pairs] == list(
        zip(good, bad, strict=True)
    )


def test_llama_factory_is_told_of_files_and_columns_that_exist(folder: Path) -> None:
    info = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    assert len(info) == 2 * len(SPLITS)
    for entry in info.values():
        [first, *_] = (folder / entry["file_name"]).read_text(encoding="utf-8").splitlines()
        assert set(entry["columns"].values()) <= set(json.loads(first))


def test_a_trajectory_is_a_row_a_step_for_trl_and_its_results_are_observations_for_sharegpt(scenario: Scenario) -> None:
    row = {"messages": TRAJECTORY, "tools": ""}
    steps = list(exports.trl(scenario, row))
    assert [step["completion"][0]["content"] for step in steps] == ["Action: 查方案", "Final"]
    assert steps[1]["prompt"] == TRAJECTORY[:4]
    [shared] = exports.sharegpt(scenario, row)
    assert [turn["from"] for turn in shared["conversations"]] == ["human", "gpt", "observation", "gpt"]
    assert shared["system"] == "你是客服"


def test_nothing_half_written_is_visible(scenario: Scenario, splits: pl.DataFrame, tmp_path: Path) -> None:
    def broken(scenario: Scenario, row: exports.Row) -> Any:
        yield {"message": row["message"]}
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        exports.write_jsonl(UPath(tmp_path / "x.jsonl"), scenario, splits, broken)
    assert list(tmp_path.iterdir()) == []
