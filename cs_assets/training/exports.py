"""The data set in the formats that other programs read, as JSONL, one file a format and split.

Here belongs the shape of each format; what a sample says is settled before. Rows are written one by one, so that a
table of any size needs the memory of one slice.

    alpaca        {"instruction", "input", "output", "system", "history"}           LLaMA-Factory, Stanford Alpaca
    sharegpt      {"conversations": [{"from", "value"}], "system"}                  LLaMA-Factory, FastChat
    openai        {"messages", "tools"}: functions called natively                  OpenAI fine-tuning
    transformers  {"messages", "tools"}: the same, arguments as objects             tokenizer.apply_chat_template
    trl           {"prompt": messages, "completion": messages}                      TRL SFTTrainer, one row a reply
    kto           {"prompt": messages, "completion": messages, "label": bool}       TRL KTOTrainer
    preference    {"prompt": messages, "chosen": messages, "rejected": messages}    TRL RewardTrainer, DPOTrainer

`dataset_info.json` beside them describes what LLaMA-Factory can read of them; it is written last.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import polars as pl
from upath import UPath

from cs_assets.families.base import CallingFamily, Sample
from cs_assets.learning.conversations import prompt_completion_pairs
from cs_assets.scenario import Scenario
from resources.files import write_whole

_SLICE: Final = 4_096
_SHAREGPT_ROLES: Final = {"user": "human", "assistant": "gpt", "tool": "observation"}
Row = dict[str, Any]
Format = Callable[[Scenario, Row], Iterator[Row]]


def alpaca(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return the last reply as output, what it answers as instruction, and what was said before as history.

    `input` is empty: readers put it behind the instruction, and our models are asked the other way round.
    """
    system, turns = _apart(row["messages"])
    history = [[said["content"], reply["content"]] for said, reply in zip(turns[:-2:2], turns[1:-2:2], strict=True)]
    yield {
        "instruction": turns[-2]["content"],
        "input": "",
        "output": turns[-1]["content"],
        "system": system,
        "history": history,
    }


def _apart(messages: list[Row]) -> tuple[str, list[Row]]:
    """Return the system prompt, empty where there is none, and the turns after it."""
    return (messages[0]["content"], messages[1:]) if messages[0]["role"] == "system" else ("", messages)


def sharegpt(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return the conversation turn by turn, with the system prompt, where functions on offer stand, apart."""
    system, turns = _apart(row["messages"])
    yield {
        "conversations": [{"from": _SHAREGPT_ROLES[turn["role"]], "value": turn["content"]} for turn in turns],
        "system": system,
    }


def openai(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return the conversation as OpenAI's API has it: functions in `tools`, calls in `tool_calls`."""
    family = scenario.family
    if not row["tools"] or not isinstance(family, CallingFamily):
        yield {"messages": row["messages"]}
        return
    system = [{"role": "system", "content": scenario.spec.system}] if scenario.spec.system else []
    question = {"role": "user", "content": row["message"]}
    yield {
        "messages": [*system, question, *family.native_completion(Sample.model_validate(row))],
        "tools": json.loads(row["tools"]),
    }


def transformers(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return the conversation as chat templates read it: as for OpenAI, but the arguments of a call are an object."""
    for line in openai(scenario, row):
        yield {**line, "messages": [_with_objects(message) for message in line["messages"]]}


def _with_objects(message: Row) -> Row:
    calls = [
        {**call, "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
        for call in message.get("tool_calls", [])
    ]
    return {**message, "tool_calls": calls} if calls else message


def trl(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return prompt and completion for each of the assistant's messages; only the completion has a loss."""
    yield from prompt_completion_pairs(row["messages"])


def kto(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return a labelled answer, good or corrupted."""
    prompt = scenario.prompt(row["message"], row["tools"])
    yield {"prompt": prompt, "completion": [_assistant(row["answer"])], "label": row["label"]}


def preference(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return the true answer and its corrupted twin to one prompt."""
    prompt = scenario.prompt(row["message"], row["tools"])
    yield {"prompt": prompt, "chosen": [_assistant(row["answer"])], "rejected": [_assistant(row["rejected"])]}


def _assistant(answer: str) -> dict[str, str]:
    return {"role": "assistant", "content": answer}


SPLIT_FORMATS: Final[Mapping[str, Format]] = {
    "alpaca": alpaca,
    "sharegpt": sharegpt,
    "openai": openai,
    "transformers": transformers,
    "trl": trl,
}
# What LLaMA-Factory is told of a file; the other formats are for TRL alone.
_DATASET_INFO: Final[Mapping[str, Mapping[str, Any]]] = {
    "alpaca": {
        "formatting": "alpaca",
        "columns": {
            "prompt": "instruction",
            "query": "input",
            "response": "output",
            "system": "system",
            "history": "history",
        },
    },
    "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations", "system": "system"}},
}


def export_splits(scenario: Scenario, splits: pl.DataFrame, labelled: pl.DataFrame, folder: UPath) -> dict[str, int]:
    """Write every format of every split into `folder`; return the rows of each file.

    Args:
        scenario: whose prompts and family they are.
        splits: the table of `training_splits`.
        labelled: the table of `labelled_samples`; the judge's part gives labels and pairs.
        folder: receives `alpaca_train.jsonl` and so on. A file appears whole or not at all.
    """
    written: dict[str, int] = {}
    info: dict[str, Any] = {}
    for (split,), rows in splits.group_by("split", maintain_order=True):
        for name, make in SPLIT_FORMATS.items():
            file = f"{name}_{split}.jsonl"
            written[file] = write_jsonl(folder / file, scenario, rows, make)
            if name in _DATASET_INFO:
                info[f"{scenario.name}_{name}_{split}"] = {"file_name": file, **_DATASET_INFO[name]}
    judged = labelled.filter(pl.col("part") == "train")
    written["kto_train.jsonl"] = write_jsonl(folder / "kto_train.jsonl", scenario, judged, kto)
    pairs = judged.filter("label").join(
        judged.filter(~pl.col("label")).select(
            pl.col("sample_id").str.strip_suffix("-bad"), pl.col("answer").alias("rejected")
        ),
        on="sample_id",
        maintain_order="left",
    )
    written["preference_train.jsonl"] = write_jsonl(folder / "preference_train.jsonl", scenario, pairs, preference)
    text = json.dumps(info, ensure_ascii=False, indent=2)
    write_whole(folder / "dataset_info.json", lambda path: path.write_text(text, encoding="utf-8"))
    return written


def write_jsonl(path: UPath, scenario: Scenario, table: pl.DataFrame, make: Format) -> int:
    """Write what `make` makes of each row, a line each; return how many lines there are."""
    count = 0

    def write(beside: Path) -> None:
        nonlocal count
        with beside.open("w", encoding="utf-8") as file:
            for part in table.iter_slices(_SLICE):
                for row in part.iter_rows(named=True):
                    for line in make(scenario, row):
                        file.write(json.dumps(line, ensure_ascii=False) + "\n")
                        count += 1

    write_whole(path, write)
    return count
