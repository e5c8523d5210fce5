"""The test splits as tasks of the stock `lm_eval` program, so that others can repeat the figures with a tool they know.

Here belongs what is written: for each split the cases as JSONL and the task as YAML, and one small Python file that
finds the cases beside it, so that the folder may be moved. What `lm_eval` runs of ours is `lm_eval_task.py`.

    lm_eval run --model hf --model_args pretrained=BASE,peft=ADAPTER --apply_chat_template \
        --include_path data/out/exports/address_extraction/lm_eval --tasks address_extraction
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl
from upath import UPath

from cs_assets.evaluation.predicting import prompts
from cs_assets.families.base import METRICS
from cs_assets.scenario import Scenario
from cs_assets.training.exports import Row, write_jsonl
from resources.files import write_whole

_TASK: Final = """\
task: {scenario}_{split}
tag: {scenario}
class: !function cs_assets.evaluation.lm_eval_task.ScenarioTask
custom_dataset: !function cases.cases
dataset_kwargs: {{split: {split}}}
test_split: test
output_type: generate_until
doc_to_text: message
doc_to_target: answer
process_results: !function cs_assets.evaluation.lm_eval_task.process_results
generation_kwargs: {{until: [], do_sample: false, repetition_penalty: 1.0, max_gen_toks: {max_new_tokens}}}
metric_list:
{metrics}
metadata: {{version: 1.0}}
"""
_CASES: Final = '''\
"""The cases of a split, which lie beside this file; `lm_eval` calls it. Needs cs-assets in the same environment."""

from pathlib import Path

from cs_assets.evaluation.lm_eval_task import read_cases


def cases(split, **metadata):
    return read_cases(Path(__file__).with_name(f"{split}.jsonl"))
'''


def write_tasks(scenario: Scenario, cases: pl.DataFrame, max_new_tokens: int, folder: UPath) -> dict[str, int]:
    """Write a task for each split; return the number of cases by the task's name. Tasks of other splits are removed.

    Args:
        scenario: whose prompts and family they are.
        cases: what `test_cases` returned.
        max_new_tokens: an answer is cut there, as in `predictions`.
        folder: receives `test_iid.yaml`, `test_iid.jsonl` and so on, and `cases.py`. A file appears whole or not at
            all, the YAML after what it names.
    """
    write_whole(folder / "cases.py", lambda path: path.write_text(_CASES, encoding="utf-8"))
    metrics = "\n".join(f"  - {{metric: {name}, aggregation: mean, higher_is_better: true}}" for name in METRICS)
    written = {}
    for (split,), rows in cases.group_by("split", maintain_order=True):
        written[f"{scenario.name}_{split}"] = write_jsonl(folder / f"{split}.jsonl", scenario, rows, case)
        task = _TASK.format(scenario=scenario.name, split=split, max_new_tokens=max_new_tokens, metrics=metrics)
        write_whole(folder / f"{split}.yaml", functools.partial(Path.write_text, data=task, encoding="utf-8"))
    for path in folder.glob("*.yaml"):
        if f"{scenario.name}_{path.stem}" not in written:
            path.unlink()
            path.with_suffix(".jsonl").unlink(missing_ok=True)
    return written


def case(scenario: Scenario, row: Row) -> Iterator[Row]:
    """Return a case with its chat prompts: one, or for a trajectory one a step."""
    asked = prompts(scenario, pl.DataFrame([{key: row[key] for key in ("message", "tools", "answer")}]), [])
    known = {key: row[key] for key in ("sample_id", "message", "answer")}
    yield {"scenario": scenario.name, **known, "prompts": asked}
