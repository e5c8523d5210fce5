"""Every format is read back by the library that people read it with, and says the same."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from upath import UPath

from cs_assets.scenario import Scenario, load_scenario
from cs_assets.training import exports
from cs_assets.training.splits import SCHEMA, SPLITS

TRAJECTORY = [
    {"role": "system", "content": "你是客服"},
    {"role": "user", "content": "充电器坏了"},
    {"role": "assistant", "content": "Action: 查方案"},
    {"role": "tool", "content": "换一个"},
    {"role": "assistant", "content": "Final"},
]


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
    assert [(row["instruction"], row["output"]) for row in rows] == [
        (scenario.prompt(sample["message"])[-1]["content"], sample["answer"]) for sample in of_split(splits, split)
    ]
    assert {(row["input"], row["system"], str(row["history"])) for row in rows} == {("", scenario.spec.system, "[]")}


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
    [last] = exports.alpaca(scenario, row)
    assert (last["instruction"], last["output"]) == ("换一个", "Final")
    assert last["history"] == [["充电器坏了", "Action: 查方案"]]
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


@pytest.fixture(scope="module", params=["ticket_tools", "repair_workflow"])
def calling(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, Path]:
    """The splits of a scenario that calls functions, made of its examples, and their exports."""
    scenario = load_scenario(request.param)
    blank = {name: "" for name, kind in SCHEMA.items() if kind == pl.String}
    lists: dict[str, Any] = {name: [] for name, kind in SCHEMA.items() if isinstance(kind, pl.List)}
    rows = [
        blank | lists | sample.model_dump() | {"messages": scenario.conversation(sample), "split": "train"}
        for sample in scenario.examples()[0]
    ]
    splits = pl.DataFrame(rows, schema=SCHEMA)
    folder = tmp_path_factory.mktemp(request.param)
    for name, make in exports.SPLIT_FORMATS.items():
        exports.write_jsonl(UPath(folder / f"{name}_train.jsonl"), scenario, splits, make)
    return splits, folder


@pytest.mark.parametrize("name", exports.SPLIT_FORMATS)
def test_functions_and_calls_are_read_back_by_datasets(
    calling: tuple[pl.DataFrame, Path], name: str, tmp_path: Path
) -> None:
    _, folder = calling
    file = folder / f"{name}_train.jsonl"
    written = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert without_blanks(read(file, tmp_path)) == without_blanks(written)


def test_calls_are_texts_for_openai_and_objects_for_chat_templates(calling: tuple[pl.DataFrame, Path]) -> None:
    splits, folder = calling
    for name, kind in (("openai", str), ("transformers", dict)):
        rows = [json.loads(line) for line in (folder / f"{name}_train.jsonl").read_text("utf-8").splitlines()]
        assert [row["tools"] for row in rows] == [json.loads(tools) for tools in splits["tools"]]
        calls = [call for row in rows for message in row["messages"] for call in message.get("tool_calls", [])]
        assert calls
        assert {type(call["function"]["arguments"]) for call in calls} == {kind}


def without_blanks(value: Any) -> Any:
    """Leave out what a table of columns must fill in where rows differ: nulls, and objects that hold nothing else."""
    if isinstance(value, dict):
        return {key: kept for key, inner in value.items() if (kept := without_blanks(inner)) not in (None, {}, [])}
    return [without_blanks(inner) for inner in value] if isinstance(value, list) else value
