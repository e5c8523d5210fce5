"""The judge: an adapter that says 正确 or 错误, trained by KTO on single verdicts, and one that knows the task.

A labelled sample becomes one verdict: half of them the right one, which is desirable, half the wrong one, which is
undesirable. So both words are learnt in both directions, at the price of one sequence per sample.

A good sample and its corrupted twin are shown the same word in the same batch: it is desirable for the one and not for
the other. What the two have in common cancels out, and what tells them apart is learnt. With twins in different
batches the judge swings between saying one word to everything and saying the other.

By some hundred verdicts a small model learns to see what is wrong with the form of an answer, and hardly what is wrong
with its content. A wrong content surprises a model that can give the right one; so a second adapter learns the task
from the good answers alone, and tells how surprising an answer is. What the two say together stands in
`quality/judging.py`.
"""

import itertools
import random
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, Field

from cs_assets.learning.adapters import peft_config
from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.conversations import Message, prompt_tokens
from cs_assets.learning.inference import answer_tokens
from cs_assets.learning.models import load_tokenizer, load_trainable, release_memory, save_adapter
from cs_assets.learning.progress import Progress, Report, silent
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import (
    TrainingLog,
    TrainingSettings,
    run_training,
    training_arguments,
)
from cs_assets.profiles import by_profile

TASK: Final = "task"  # the other adapter: its folder in that of the judge, and its name in logs


class Verdict(BaseModel):
    """A labelled case for the judge: what it is asked, and whether 正确 is the right word.

    Cases with the same `twins` are shown together; one without it stands alone.
    """

    prompt: list[Message]
    correct: bool
    twins: str = ""


class JudgeSettings(TrainingSettings):
    """Numbers of the judge's training."""

    learning_rate: float = by_profile(
        demo=4e-4, full=2e-4, description="Peak learning rate; TRL's 1e-6 is for full tuning.", gt=0
    )
    epochs: float = by_profile(demo=1.0, full=2.0, description="Passes over the labelled samples.", gt=0)
    task_epochs: float = Field(
        default=1.0,
        description="Passes over the good samples' answers, by an adapter of its own that tells how surprising an "
        "answer is; 0: none.",
        ge=0,
    )
    top_layers: float = by_profile(
        demo=0.5, full=1.0, description="Share of the layers with the adapter of the verdicts.", gt=0, le=1
    )
    batch_size: int = by_profile(demo=4, full=16, description="Samples per step, twins together.", ge=2, multiple_of=2)
    beta: float = Field(
        default=0.1,
        description="How soon a verdict counts as learnt, and is left alone: at 0.5 also a wrong one, which stays.",
        gt=0,
    )


def train_judge(
    base: str,
    cases: list[Verdict],
    task: list[list[Message]],
    words: tuple[str, str],
    settings: JudgeSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> TrainingLog:
    """Train the adapter that knows the task, and the one that gives the verdicts, of which the log tells.

    Args:
        base: folder of the base model.
        cases: labelled cases of both kinds.
        task: conversations that end with a good answer.
        words: what it says for a good and for a bad answer.
        settings: numbers of the training.
        folder: receives adapter, tokenizer and training log, and below `TASK` the other adapter.
        work: receives checkpoints.
        report: is told the progress.

    Raises:
        ValueError: one of the two labels is missing, every verdict is too long, there is no task to learn, or the
            base's chat template does not tell an answer from what is asked.
    """
    if len({case.correct for case in cases}) < 2:
        raise ValueError("the judge needs both good and bad samples; look at labelled_samples.")
    from datasets import Dataset
    from transformers import set_seed
    from trl import KTOConfig, KTOTrainer

    if settings.task_epochs and not task:
        raise ValueError("the judge learns its task from good samples, and has none to train on; raise `judge`.")
    tokenizer = load_tokenizer(base)
    cases = _within(settings.max_length, cases, tokenizer)
    if settings.task_epochs:
        answer_tokens(tokenizer, task[0])  # raises now, not after hours, where no surprise can be told
        _learn_task(base, task, settings, folder / TASK, work / TASK, report)
    rows = _verdict_rows(cases, words, settings.seed)
    desirable, undesirable = _weights([bool(row["label"]) for row in rows])
    set_seed(settings.seed)
    model = load_trainable(base, settings)
    trainer = KTOTrainer(
        model=model,
        args=KTOConfig(
            **training_arguments(settings, work, model.num_parameters()),
            beta=settings.beta,
            # It needs no KL. The loss kto estimates it from the answer of the row before, and twins have one word.
            loss_type="apo_zero_unpaired",
            desirable_weight=desirable,
            undesirable_weight=undesirable,
            train_sampling_strategy="sequential",
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=peft_config(model, settings, "CAUSAL_LM"),
    )
    project_answers_only(trainer.model)
    log = run_training(trainer, len(cases), work, report)
    save_adapter(trainer.model, tokenizer, folder)
    log.save(folder)
    del model, trainer
    release_memory()
    return log


def _learn_task(
    base: str, task: list[list[Message]], settings: JudgeSettings, folder: Path, work: Path, report: Report
) -> None:
    shared = settings.model_dump(include=set(TrainingSettings.model_fields))
    own = {"epochs": settings.task_epochs, "top_layers": 1.0, "patience": 0, "packing": False}

    def tell(progress: Progress) -> None:
        report(progress.model_copy(update={"training": TASK}))

    train_adapter(base, task, [], FineTuningSettings(**shared | own), folder, work, tell)


def _within(max_length: int, cases: list[Verdict], tokenizer: Any) -> list[Verdict]:
    """Return the cases whose prompt leaves room for a word; of twins of which one does not, none.

    TRL drops the long ones without a word, and the gap that one of two twins leaves parts all that come after it.
    """
    long = {place for place, case in enumerate(cases) if prompt_tokens(tokenizer, case.prompt) >= max_length}
    parted = {cases[place].twins for place in long} - {""}
    left = [case for place, case in enumerate(cases) if place not in long and case.twins not in parted]
    if not left:
        raise ValueError(f"every verdict is longer than max_length {max_length}; raise it.")
    return left


def _verdict_rows(cases: list[Verdict], words: tuple[str, str], seed: int) -> list[dict[str, object]]:
    """Turn cases into KTO rows: of twins both, else a good and a bad one, alternately with either word.

    What is no pair comes last, so that a batch of an even size parts none.
    """
    chance = random.Random(seed)
    twins: dict[str, list[Verdict]] = {}
    for case in cases:
        if case.twins:
            twins.setdefault(case.twins, []).append(case)
    good, bad = ([case for case in cases if not case.twins and case.correct is label] for label in (True, False))
    chance.shuffle(good)
    chance.shuffle(bad)
    paired = min(len(good), len(bad))
    alone = [*itertools.chain(*zip(good, bad, strict=False)), *good[paired:], *bad[paired:]]
    groups = [*twins.values(), *(alone[place : place + 2] for place in range(0, len(alone), 2))]
    chance.shuffle(groups)
    groups.sort(key=lambda group: len(group) % 2)
    return [
        {
            "prompt": case.prompt,
            "completion": [{"role": "assistant", "content": word}],
            "label": case.correct == (word == words[0]),
        }
        for group, word in zip(groups, itertools.cycle(words), strict=False)
        for case in group
    ]


def _weights(labels: list[bool]) -> tuple[float, float]:
    """Return weights such that desirable weight * count is 1 to 1.5 times the undesirable one (KTO, section 4.2)."""
    good, bad = sum(labels), len(labels) - sum(labels)
    if not good or not bad:
        return 1.0, 1.0
    return (1.0, 1.0) if 1.0 <= good / bad <= 1.5 else (1.25 * bad / good, 1.0)
