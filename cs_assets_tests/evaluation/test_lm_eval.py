"""The tasks written for the stock `lm_eval`: their files, and that it finds the figures that `predictions` finds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from upath import UPath

from cs_assets.evaluation import predicting
from cs_assets.evaluation.lm_eval_files import METRICS, write_tasks
from cs_assets.families.base import Sample
from cs_assets.learning.inference import nobody
from cs_assets.learning.models import device_name
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.training.splits import TEST_SPLITS

TOKENS = 12


class Named(yaml.SafeLoader):
    """Reads `!function` as the name that stands behind it."""


def name_of_function(loader: Named, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


Named.add_constructor("!function", name_of_function)


@pytest.fixture(scope="module")
def cases(splits: pl.DataFrame) -> pl.DataFrame:
    return predicting.test_cases(splits)


@pytest.fixture(scope="module")
def folder(scenario: Scenario, cases: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lm_eval")
    written = write_tasks(scenario, cases, TOKENS, UPath(path))
    assert written == {f"address_extraction_{split}": cases.filter(split=split).height for split in TEST_SPLITS}
    return path


def trajectories() -> tuple[Scenario, pl.DataFrame]:
    """Return a scenario whose answers have several steps, and its examples as cases."""
    scenario = load_scenario("repair_workflow")
    blank: dict[str, Any] = {"tags": [], "template_family": "", "template_origin": ""}
    rows = [
        {**sample.model_dump(), **blank, "split": "test_iid", "sample_id": f"{number}"}
        for number, sample in enumerate(scenario.examples()[0])
    ]
    return scenario, pl.DataFrame(rows)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("split", TEST_SPLITS)
def test_a_task_names_its_cases_prompts_and_figures(
    folder: Path, scenario: Scenario, cases: pl.DataFrame, split: str
) -> None:
    task = yaml.load((folder / f"{split}.yaml").read_text(encoding="utf-8"), Named)
    assert (task["task"], task["tag"]) == (f"address_extraction_{split}", "address_extraction")
    greedy = {"do_sample": False, "repetition_penalty": 1.0}
    assert task["generation_kwargs"] == {"until": [], **greedy, "max_gen_toks": TOKENS}
    assert [metric["metric"] for metric in task["metric_list"]] == list(METRICS)
    assert (task["dataset_kwargs"], task["custom_dataset"]) == ({"split": split}, "cases.cases")
    compile((folder / "cases.py").read_text(encoding="utf-8"), "cases.py", "exec")
    rows, of_split = read(folder / f"{split}.jsonl"), cases.filter(split=split)
    assert [row["prompts"] for row in rows] == [[prompt] for prompt in predicting.prompts(scenario, of_split, [])]
    for column in ("sample_id", "message", "answer"):
        assert [row[column] for row in rows] == of_split[column].to_list()


def test_tasks_of_splits_that_are_gone_are_removed(scenario: Scenario, cases: pl.DataFrame, tmp_path: Path) -> None:
    write_tasks(scenario, cases, TOKENS, UPath(tmp_path))
    write_tasks(scenario, cases.filter(split="test_iid"), TOKENS, UPath(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"cases.py", "test_iid.jsonl", "test_iid.yaml"}


def test_a_trajectory_has_a_prompt_a_step(tmp_path: Path) -> None:
    scenario, cases = trajectories()
    write_tasks(scenario, cases, TOKENS, UPath(tmp_path))
    rows = read(tmp_path / "test_iid.jsonl")
    assert [prompt for row in rows for prompt in row["prompts"]] == predicting.prompts(scenario, cases, [])
    assert max(len(row["prompts"]) for row in rows) > 1


def command(folder: Path, task: str, output: Path, model_args: str) -> dict[str, Any]:
    """Run the stock program as a user does (docs/evaluation.md); return figures and samples."""
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    asked = ["--model", "hf", "--model_args", model_args, "--device", device_name(), "--batch_size", "4"]
    asked += ["--apply_chat_template", "--include_path", str(folder), "--tasks", task]
    told = ["--output_path", str(output), "--log_samples"]
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", "run", *asked, *told],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    [results] = output.rglob("results_*.json")
    samples = {split: read(path) for split in TEST_SPLITS for path in output.rglob(f"samples_{task}_{split}_*.jsonl")}
    return {"results": json.loads(results.read_text(encoding="utf-8"))["results"], "samples": samples}


def run(model: Any, folder: Path, task: str) -> dict[str, Any]:
    """Ask a model of our own the tasks of a folder through the library."""
    lm_eval = pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return lm_eval.simple_evaluate(
        model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, apply_chat_template=True
    )


def figures(result: dict[str, Any], task: str) -> dict[str, float]:
    return {metric: result["results"][task][f"{metric},none"] for metric in METRICS}


def means(table: pl.DataFrame) -> dict[str, Any]:
    return {metric: pytest.approx(table[metric].mean()) for metric in METRICS}


@pytest.mark.parametrize("tuned", [False, True])
def test_stock_lm_eval_hears_and_scores_what_predictions_does(
    folder: Path,
    scenario: Scenario,
    splits: pl.DataFrame,
    talkative: tuple[Path, Path],
    tuned: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    monkeypatch.setenv("CS_SCENARIOS", str(scenario.folder.parent))
    base, adapter = talkative
    exam = predicting.Exam.of(scenario, "tuned", splits, predicting.PredictionSettings(max_new_tokens=TOKENS))
    mine = exam.scored(exam.said(str(base), str(adapter) if tuned else None, nobody))
    assert mine["prediction"].n_unique() > mine.height / 2
    arguments = f"pretrained={base},dtype=float32" + (f",peft={adapter}" if tuned else "")
    result = command(folder, "address_extraction", tmp_path, arguments)
    for split in TEST_SPLITS:
        of_split = mine.filter(split=split)
        said = {s["doc"]["sample_id"]: s["filtered_resps"] for s in result["samples"][split]}
        assert said == {row["sample_id"]: [row["prediction"]] for row in of_split.to_dicts()}
        assert figures(result, f"address_extraction_{split}") == means(of_split)


def test_right_and_wrong_steps_of_a_trajectory_count_as_they_do_in_predictions(tmp_path: Path) -> None:
    """A model that is right on every other case is half right: with each of its steps asked for apart."""
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    from lm_eval.api.model import LM

    scenario, cases = trajectories()
    cases = cases.head(2)

    class Oracle(LM):
        tokenizer_name = "none"

        def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
            return json.dumps(chat_history, ensure_ascii=False)

        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            return [self._said(request) for request in requests]

        def _said(self, request: Any) -> str:
            steps = scenario.family.completion(request.doc["answer"])
            spoken = [step["content"] for step in steps if step["role"] == "assistant"]
            return spoken[request.idx] if request.doc["sample_id"] == "0" else "不知道"

        def loglikelihood(self, requests: list[Any]) -> Any:
            pytest.fail("an answer is generated, and no likelihood asked for")

        loglikelihood_rolling = loglikelihood

    write_tasks(scenario, cases, TOKENS, UPath(tmp_path))
    result = run(Oracle(), tmp_path, "repair_workflow_test_iid")
    wrong = scenario.family.assembled(cases["answer"][1], ["不知道"] * 99)
    mine = predicting.score_predictions(scenario, "tuned", cases, [cases["answer"][0], wrong])
    assert mine["exact"].to_list() == [1.0, 0.0]
    assert figures(result, "repair_workflow_test_iid") == means(mine)


def test_a_prompt_without_the_chat_template_is_refused(folder: Path) -> None:
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    [task] = manager.load(["address_extraction_test_iid"])["tasks"].values()
    with pytest.raises(ValueError, match="--apply_chat_template"):
        task.fewshot_context(task.task_docs[0], 0)


def test_an_answer_of_one_message_is_scored_by_the_family() -> None:
    pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")
    from cs_assets.evaluation.lm_eval_task import process_results

    scenario = load_scenario("address_extraction")
    example: Sample = scenario.examples()[0][0]
    doc = {"scenario": "address_extraction", "answer": example.answer}
    assert process_results(doc, [example.answer]) == dict.fromkeys(METRICS, 1.0)
    assert process_results(doc, ["没有"])["exact"] == 0.0
