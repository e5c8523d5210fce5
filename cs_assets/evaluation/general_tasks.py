"""General tasks of the stock lm-evaluation-harness, asked of a model besides the retention probe.

Here belongs what `retention` needs of `lm_eval`: finding tasks by name, choosing their questions, asking a loaded model
and telling of each question whether it was answered rightly. Needs the extra `lm-eval` where there are tasks. The tasks
that this project writes for others stand in `lm_eval_files.py`.

    parts = load_tasks(["ceval-valid", "arc_easy"], limit=100)
    ask_tasks(load_causal_lm(base), load_tokenizer(base), parts)    # Answer("arc_easy/0", "arc_easy", ..., right=1.0)
"""

import importlib.metadata
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple

from cs_assets.samples.folds import spaced_evenly

# What tells of one question whether it is answered rightly; the first that a task has.
_RIGHT: Final = ("acc", "exact_match")
_OUTPUT_TYPES: Final = ("multiple_choice", "generate_until")
# Whatever a task or the generation config of the base says; see `learning.inference.generate`.
_GREEDY: Final = {"do_sample": False, "repetition_penalty": 1.0}
# lm-eval holds the logits of whole prompts: 8 of 300 tokens over 150,000 words take 1.4 GB in float32, twice.
_BATCH_SIZE: Final = 8


class Answer(NamedTuple):
    """What a model says to one question; kind is the name by which its task was asked for."""

    item: str
    kind: str
    question: str
    answer: str
    right: float


@dataclass(frozen=True)
class Part:
    """A task of lm-eval with its data, and which of its questions are asked; a group of tasks has many.

    Attributes:
        kind: the name that was asked for: of the task, or of its group.
        task: an `lm_eval.api.task.Task`.
        places: of the questions, among all of the task.
        right: the figure that tells whether a question is answered rightly.
    """

    kind: str
    task: Any
    places: Sequence[int]
    right: str

    def answer(self, sample: Mapping[str, Any]) -> Answer:
        """Return a sample that lm-eval logged, as answer."""
        doc = sample["doc"]
        question = self.task.doc_to_text(doc)
        if not isinstance(question, str):  # the choices stand in the prompts, which are the question then
            question = sample["arguments"][0][0]
        said = [response[0] for response in sample["resps"]]
        if self.task.OUTPUT_TYPE == "generate_until":
            answer = said[0]
        else:
            choices = self.task.doc_to_choice(doc)
            answer = choices[max(range(len(choices)), key=lambda place: said[place][0])]
        item = f"{self.task.task_name}/{sample['doc_id']}"
        return Answer(item, self.kind, question, answer, float(sample[self.right]))


def load_tasks(names: Sequence[str], limit: int | None, folder: str = "") -> list[Part]:
    """Return the tasks of these names with their data, which come from a hub where they do not lie here.

    Args:
        names: of tasks, groups or tags; there may be none.
        limit: questions of each name, taken at even distances over all its tasks; None: all.
        folder: where the YAML files of the tasks are; empty: the tasks that come with lm-eval.

    Raises:
        ImportError: lm-eval is not installed.
        ValueError: a name is unknown, a task would be asked twice, or does not tell right from wrong by the question.
        ConnectionError: the hub cannot be reached.
    """
    if not names:
        return []
    try:
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise ImportError(
            f"tasks: {', '.join(names)} need lm-eval: pip install 'cs-assets[lm-eval]' ({error}); leave `tasks` empty "
            "to ask the probe alone"
        ) from error
    manager = TaskManager(include_path=folder or None, include_defaults=not folder)
    if unknown := sorted(set(names) - set(manager.all_tasks)):
        known = f"it has: {', '.join(manager.all_tasks) or 'none'}" if folder else "`lm-eval ls tasks` lists them"
        raise ValueError(f"tasks: {folder or 'lm-eval'} has no task {', '.join(unknown)}; {known}.")
    parts = [part for name in names for part in _parts(name, _with_data(manager, name), limit)]
    times = Counter(part.task.task_name for part in parts)
    if twice := sorted(name for name, count in times.items() if count > 1):
        raise ValueError(f"tasks: {', '.join(twice)} would be asked twice; name a group or its tasks, and each once.")
    return parts


def _with_data(manager: Any, name: str) -> dict[str, Any]:
    try:
        return manager.load([name])["tasks"]
    except ConnectionError as error:
        raise ConnectionError(
            f"tasks: the data of {name} are not here, and the hub cannot be reached ({error}); leave `tasks` empty to "
            "ask the probe alone"
        ) from error


def _parts(name: str, tasks: Mapping[str, Any], limit: int | None) -> list[Part]:
    everything = [(task, place) for task in tasks.values() for place in range(len(task.eval_docs))]
    chosen: dict[str, list[int]] = defaultdict(list)
    for number in spaced_evenly(len(everything), limit):
        task, place = everything[number]
        chosen[task.task_name].append(place)
    return [Part(name, tasks[task], places, _right(tasks[task])) for task, places in chosen.items()]


def _right(task: Any) -> str:
    figures = sorted(task.aggregation())
    right = [figure for figure in _RIGHT if figure in figures]
    if not right or task.OUTPUT_TYPE not in _OUTPUT_TYPES:
        raise ValueError(
            f"tasks: {task.task_name} is {task.OUTPUT_TYPE} with {', '.join(figures)}; asked can be "
            f"{' or '.join(_OUTPUT_TYPES)} with {' or '.join(_RIGHT)}."
        )
    return right[0]


def task_inputs(parts: Sequence[Part], folder: str = "") -> dict[str, Any]:
    """Return what the answers depend on besides the model, for a fingerprint; nothing where no tasks are asked.

    The questions count themselves, for a hub may change them; how they are asked and scored is the version of lm-eval,
    or stands in the files of the folder.
    """
    if not parts:
        return {}
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []
    return {
        "lm_eval": importlib.metadata.version("lm_eval"),
        "task_files": [sha256(path.read_bytes()).hexdigest() for path in files if path.suffix != ".pyc"],
        "tasks": [[part.kind, part.task.task_name, _questions(part)] for part in parts],
    }


def _questions(part: Part) -> list[str]:
    docs = part.task.eval_docs
    return [json.dumps(docs[place], ensure_ascii=False, default=str) for place in part.places]


def ask_tasks(model: Any, tokenizer: Any, parts: Sequence[Part]) -> list[Answer]:
    """Return what a model says to the questions of the tasks: greedily, in the chat template, shots as the task wants.

    Where a task reads the answer in several ways (filters), its first one counts.

    Args:
        model, tokenizer: as `learning.models` loads them.
        parts: what `load_tasks` returned.
    """
    if not parts:
        return []
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    samples = lm_eval.simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=_BATCH_SIZE),
        tasks=[part.task for part in parts],
        samples={part.task.task_name: list(part.places) for part in parts},
        task_manager=TaskManager(include_defaults=False),  # the tasks are loaded; finding all others takes long
        gen_kwargs=dict(_GREEDY),
        apply_chat_template=True,
        log_samples=True,
        bootstrap_iters=0,
    )["samples"]
    return [part.answer(sample) for part in parts for sample in _once(samples[part.task.task_name])]


def _once(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [sample for sample in samples if sample["filter"] == samples[0]["filter"]]
