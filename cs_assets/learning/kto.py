"""The judge: an adapter that says 正确 or 错误, trained by KTO on single labelled verdicts.

A labelled sample becomes one verdict: half of them the right one, which is desirable, half the wrong one, which is
undesirable. So both words are learnt in both directions, at the price of one sequence per sample.
"""

import random
from pathlib import Path

from pydantic import BaseModel, Field

from cs_assets.learning.adapters import peft_config
from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.conversations import Message
from cs_assets.learning.models import load_tokenizer, load_trainable, save_adapter
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.training import (
    TrainingLog,
    TrainingSettings,
    release_memory,
    run_training,
    training_arguments,
)
from cs_assets.profiles import by_profile


class Verdict(BaseModel):
    """A labelled case for the judge: what it is asked, and whether 正确 is the right word."""

    prompt: list[Message]
    correct: bool


class JudgeSettings(TrainingSettings):
    """Numbers of the judge's training."""

    learning_rate: float = by_profile(
        demo=2e-4, full=1e-4, description="Peak learning rate; TRL's 1e-6 is for full tuning.", gt=0
    )
    epochs: float = by_profile(demo=1.0, full=2.0, description="Passes over the labelled samples.", gt=0)
    top_layers: float = by_profile(demo=0.5, full=1.0, description="Share of the layers with an adapter.", gt=0, le=1)
    batch_size: int = by_profile(demo=4, full=16, description="Samples per step; KTO needs two at least.", ge=2)
    beta: float = Field(default=0.5, description="How close to the base model the judge stays; higher is closer.", gt=0)
    loss: str = Field(
        default="apo_zero_unpaired",
        description="apo_zero_unpaired needs no KL pass, which would cost a third of the time; kto estimates the KL.",
    )


def train_judge(
    base: str,
    cases: list[Verdict],
    words: tuple[str, str],
    settings: JudgeSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> TrainingLog:
    """Train the judge's adapter.

    Args:
        base: folder of the base model.
        cases: labelled cases of both kinds.
        words: what it says for a good and for a bad answer.
        settings: numbers of the training.
        folder: receives adapter, tokenizer and training log.
        work: receives checkpoints.
        report: is told the progress.

    Raises:
        ValueError: one of the two labels is missing.
    """
    if len({case.correct for case in cases}) < 2:
        raise ValueError("the judge needs both good and bad samples; look at labelled_samples.")
    from datasets import Dataset
    from transformers import set_seed
    from trl import KTOConfig, KTOTrainer

    set_seed(settings.seed)
    rows = _verdict_rows(cases, words, settings.seed)
    desirable, undesirable = _weights([bool(row["label"]) for row in rows])
    model, tokenizer = load_trainable(base, settings), load_tokenizer(base)
    trainer = KTOTrainer(
        model=model,
        args=KTOConfig(
            **training_arguments(settings, work, model.num_parameters()),
            beta=settings.beta,
            loss_type=settings.loss,
            desirable_weight=desirable,
            undesirable_weight=undesirable,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=peft_config(model, settings, "CAUSAL_LM"),
    )
    if not len(trainer.train_dataset):
        raise ValueError(f"every verdict is longer than max_length {settings.max_length}; raise it.")
    project_answers_only(trainer.model)
    log = run_training(trainer, len(cases), work, report)
    save_adapter(trainer.model, tokenizer, folder)
    log.save(folder)
    del model, trainer
    release_memory()
    return log


def _verdict_rows(cases: list[Verdict], words: tuple[str, str], seed: int) -> list[dict[str, object]]:
    """Turn cases into KTO rows: alternately the right verdict (label True) and the wrong one (label False)."""
    ordered = list(cases)
    random.Random(seed).shuffle(ordered)
    rows = []
    turn = {True: 0, False: 0}
    for case in ordered:
        desirable = turn[case.correct] % 2 == 0
        turn[case.correct] += 1
        word = words[0] if case.correct == desirable else words[1]
        rows.append({"prompt": case.prompt, "completion": [{"role": "assistant", "content": word}], "label": desirable})
    return rows


def _weights(labels: list[bool]) -> tuple[float, float]:
    """Return weights such that desirable weight * count is 1 to 1.5 times the undesirable one (KTO, section 4.2)."""
    good, bad = sum(labels), len(labels) - sum(labels)
    if not good or not bad:
        return 1.0, 1.0
    return (1.0, 1.0) if 1.0 <= good / bad <= 1.5 else (1.25 * bad / good, 1.0)
