"""General tasks of lm-eval: which questions are asked, and that a model says to them what it says everywhere else."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from cs_assets.evaluation import retention
from cs_assets.evaluation.general_tasks import load_tasks, task_inputs
from cs_assets.evaluation.probe import load_probe
from cs_assets.evaluation.retention import RetentionSettings, ask, summarise
from cs_assets.learning.inference import generate
from cs_assets.learning.models import load_causal_lm, load_tokenizer

TOKENS = 6
QUESTIONS = [f"{a}加{b}等于几？" for a in (1, 3) for b in (2, 4, 6)]
CHOICES = [first + second for first in "AB7e" for second in "xy"]
CHOOSE = {"output_type": "multiple_choice", "doc_to_choice": CHOICES, "metric_list": [{"metric": "acc"}]}
SAY = {
    "output_type": "generate_until",
    # As a task may have it, and greedy all the same.
    "generation_kwargs": {"until": [], "max_gen_toks": TOKENS, "do_sample": True, "temperature": 0.9},
    "metric_list": [{"metric": "exact_match"}],
    "filter_list": [
        {"name": "whole", "filter": [{"function": "take_first"}]},
        {"name": "digits", "filter": [{"function": "regex", "regex_pattern": "([0-9]+)"}, {"function": "take_first"}]},
    ],
}


def write_task(folder: Path, name: str, settings: dict[str, Any], answers: list[Any]) -> None:
    """Write a task of lm-eval: YAML, of which JSON is a part, and the questions beside it."""
    data = folder / f"{name}.jsonl"
    rows = [{"question": q, "answer": a} for q, a in zip(QUESTIONS, answers, strict=True)]
    data.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder.parent / "data_sets")},
        "test_split": "test",
        "doc_to_text": "question",
        "doc_to_target": "answer",
        **settings,
    }
    (folder / f"{name}.yaml").write_text(json.dumps(task, ensure_ascii=False), encoding="utf-8")


def said_by(base: Path, adapter: Path | None) -> list[str]:
    lm, tokenizer = load_causal_lm(str(base), str(adapter) if adapter else None), load_tokenizer(str(base))
    prompts = [[{"role": "user", "content": question}] for question in QUESTIONS]
    return generate(lm, tokenizer, prompts, max_new_tokens=TOKENS, batch_size=4)


def likeliest(base: Path, adapter: Path | None) -> list[str]:
    """Return the choice whose tokens are the likeliest reply to each question, counted one after the other."""
    import torch

    lm, tokenizer = load_causal_lm(str(base), str(adapter) if adapter else None), load_tokenizer(str(base))
    found = []
    for question in QUESTIONS:
        chat = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        start = tokenizer(prompt, add_special_tokens=False)["input_ids"]

        def log_likelihood(choice: str, start: list[int] = start) -> float:
            reply = tokenizer(choice, add_special_tokens=False)["input_ids"]
            with torch.inference_mode():
                logits = lm(torch.tensor([start + reply], device=lm.device)).logits[0, len(start) - 1 : -1]
            return float(logits.log_softmax(-1).gather(1, torch.tensor(reply, device=lm.device)[:, None]).sum())

        found.append(max(CHOICES, key=log_likelihood))
    return found


@pytest.fixture(scope="module")
def base(talkative: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The talkative model with a generation config as many bases ship it, which greedy answers must not heed."""
    folder = tmp_path_factory.mktemp("penalty") / "base"
    shutil.copytree(talkative[0], folder)
    config = folder / "generation_config.json"
    shipped = {"repetition_penalty": 1.8, "do_sample": True, "temperature": 0.7, "top_k": 5}
    config.write_text(json.dumps({**json.loads(config.read_text()), **shipped}))
    return folder


@pytest.fixture(scope="module")
def folder(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks, half of whose right answers are what the base says, their group, and one without right and wrong."""
    path = tmp_path_factory.mktemp("lm_eval") / "tasks"
    path.mkdir()
    said, chosen = said_by(base, None), [CHOICES.index(choice) for choice in likeliest(base, None)]
    write_task(path, "choose", CHOOSE, [(place + number % 2) % len(CHOICES) for number, place in enumerate(chosen)])
    write_task(path, "say", SAY, ["不知道" if number % 2 else text for number, text in enumerate(said)])
    write_task(path, "rolling", {"output_type": "loglikelihood_rolling", "doc_to_text": ""}, list(QUESTIONS))
    (path / "both.yaml").write_text(json.dumps({"group": "both", "task": ["choose", "say"]}))
    return path


@pytest.fixture
def lm_eval() -> Any:
    return pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")


def test_base_and_tuned_model_are_asked_tasks_in_plain_chat_and_compared(
    lm_eval: Any, folder: Path, base: Path, talkative: tuple[Path, Path]
) -> None:
    items, tasks = load_probe(2), load_tasks(["choose", "say"], None, str(folder))
    settings, adapter = RetentionSettings(max_new_tokens=2), talkative[1]
    before = ask("base", str(base), None, items, settings, tasks)
    after = ask("tuned", str(base), str(adapter), items, settings, tasks)
    for table in (before, after):
        assert dict(table.schema) == retention.SCHEMA
        numbers = range(len(QUESTIONS))
        of_tasks = [f"{kind}/{number}" for kind in ("choose", "say") for number in numbers]
        assert table["item"].to_list() == [*(item.id for item in items), *of_tasks]
        assert table["question"][2:].to_list() == QUESTIONS * 2
    for kind, said in (("choose", likeliest(base, adapter)), ("say", said_by(base, adapter))):
        known, tuned = before.filter(kind=kind), after.filter(kind=kind)
        assert known["right"].to_list() == [1.0, 0.0] * 3
        assert tuned["answer"].to_list() == said
        assert tuned["right"].to_list()[::2] == [float(a == b) for a, b in zip(known["answer"], said, strict=True)][::2]
        assert said != known["answer"].to_list()
    found = summarise(before.vstack(after))
    assert (found.base.n, found.kinds["choose"]["tuned"].n, found.kinds["say"]["base"].mean) == (14, 6, 0.5)


def test_a_limit_is_of_the_name_and_goes_over_all_its_tasks(lm_eval: Any, folder: Path) -> None:
    parts = load_tasks(["both"], 4, str(folder))
    assert [(part.kind, part.task.task_name, part.places, part.right) for part in parts] == [
        ("both", "choose", [0, 3], "acc"),
        ("both", "say", [0, 3], "exact_match"),
    ]
    [part] = load_tasks(["both"], 1, str(folder))
    assert (part.task.task_name, part.places) == ("choose", [0])


def test_only_the_questions_chosen_are_asked(lm_eval: Any, folder: Path, base: Path) -> None:
    table = ask("base", str(base), None, [], RetentionSettings(), load_tasks(["both"], 3, str(folder)))
    assert table["item"].to_list() == ["choose/0", "choose/4", "say/2"]
    assert table["question"].to_list() == [QUESTIONS[0], QUESTIONS[4], QUESTIONS[2]]
    assert set(table["kind"]) == {"both"}
    assert table.equals(ask("base", str(base), None, [], RetentionSettings(), load_tasks(["both"], 3, str(folder))))


def test_answers_depend_on_questions_and_on_how_they_are_scored(lm_eval: Any, folder: Path, tmp_path: Path) -> None:
    def inputs(limit: int, path: Path) -> dict[str, Any]:
        return task_inputs(load_tasks(["say"], limit, str(path)), str(path))

    copied = shutil.copytree(folder, tmp_path / "tasks")
    assert inputs(3, folder) == inputs(3, copied)
    assert inputs(3, folder) != inputs(2, folder)
    changed = (
        (copied / "say.yaml").read_text(encoding="utf-8").replace('"exact_match"', '"exact_match", "ignore_case": 1')
    )
    (copied / "say.yaml").write_text(changed, encoding="utf-8")
    assert inputs(3, folder) != inputs(3, copied)


def test_without_tasks_nothing_is_loaded_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    settings = RetentionSettings()
    tasks = load_tasks(settings.tasks, settings.task_limit, settings.task_folder)
    assert (tasks, task_inputs(tasks, settings.task_folder)) == ([], {})


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["chose"], r"has no task chose; it has: both, choose, rolling, say\.$"),
        (["both", "say"], r"say would be asked twice"),
        (["say", "say"], r"say would be asked twice"),
        (["rolling"], r"rolling is loglikelihood_rolling with .*perplexity.*; asked can be .* acc or exact_match\.$"),
    ],
)
def test_what_cannot_be_asked_is_named(lm_eval: Any, folder: Path, names: list[str], told: str) -> None:
    with pytest.raises(ValueError, match=told) as error:
        load_tasks(names, None, str(folder))
    assert "\n" not in str(error.value)


def test_where_lm_eval_is_not_installed_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    with pytest.raises(ImportError, match=r"^tasks: arc_easy need lm-eval: pip install 'cs-assets\[lm-eval\]'.*probe"):
        load_tasks(["arc_easy"], 10)


def test_where_the_hub_cannot_be_reached_the_message_says_what_to_do(
    lm_eval: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    write_task(tmp_path, "far", {**SAY, "dataset_path": "nobody/has_this", "dataset_kwargs": None}, list(QUESTIONS))
    with pytest.raises(ConnectionError, match=r"^tasks: the data of far are not here.*leave `tasks` empty"):
        load_tasks(["far"], None, str(tmp_path))
