"""Supervised fine-tuning of an adapter: loss on the answer's tokens only."""

from pathlib import Path
from typing import Any

from cs_assets.learning.adapters import peft_config
from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.models import Message, load_tokenizer, load_trainable, save_adapter
from cs_assets.learning.progress import LossPoint, Report, silent
from cs_assets.learning.training import (
    TrainingLog,
    TrainingSettings,
    release_memory,
    run_training,
    training_arguments,
)
from cs_assets.profiles import by_profile


class FineTuningSettings(TrainingSettings):
    """Numbers of the fine-tuning."""

    patience: int = by_profile(
        demo=0,
        full=3,
        description="Checkpoints in a row without a better validation loss after which training stops; the best one "
        "is kept. 0: no stop, and the validation loss is measured at the end only.",
        ge=0,
    )


def train_adapter(
    base: str,
    conversations: list[list[Message]],
    validation: list[list[Message]],
    settings: FineTuningSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> TrainingLog:
    """Train a LoRA adapter on conversations; what the assistant says in them is the answer, the rest has no loss.

    Args:
        base: folder of the base model.
        conversations: training samples; each ends with the assistant's message and may hold earlier ones.
        validation: samples for the validation loss; may be empty, then nothing stops the training early.
        settings: numbers of the training.
        folder: receives adapter, tokenizer and training log.
        work: receives checkpoints; a second call with the same folder resumes.
        report: is told the progress.

    Raises:
        ValueError: there is nothing to train on.
    """
    if not conversations:
        raise ValueError("no training samples: look at filtered_samples, which says why each one was rejected.")
    from datasets import Dataset
    from transformers import EarlyStoppingCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    set_seed(settings.seed)
    model, tokenizer = load_trainable(base, settings), load_tokenizer(base)
    arguments = training_arguments(settings, work, model.num_parameters())
    stops_early = bool(validation) and settings.patience > 0
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            **arguments,
            completion_only_loss=True,
            packing=False,
            train_sampling_strategy=_sampling(settings.epochs),
            **_stopping(settings, stops_early),
        ),
        train_dataset=Dataset.from_list([pair for messages in conversations for pair in _pairs(messages)]),
        eval_dataset=(
            Dataset.from_list([pair for messages in validation for pair in _pairs(messages)]) if validation else None
        ),
        processing_class=tokenizer,
        peft_config=peft_config(model, settings, "CAUSAL_LM"),
        callbacks=[EarlyStoppingCallback(settings.patience)] if stops_early else [],
    )
    if not len(trainer.train_dataset):
        raise ValueError(f"every training sample loses its answer at max_length {settings.max_length}; raise it.")
    project_answers_only(trainer.model)
    log = run_training(trainer, len(conversations), work, report)
    if validation and not stops_early:
        log.curve.append(LossPoint(step=log.steps, validation=trainer.evaluate()["eval_loss"]))
    save_adapter(trainer.model, tokenizer, folder)
    log.save(folder)
    del model, trainer
    release_memory()
    return log


def _stopping(settings: FineTuningSettings, stops_early: bool) -> dict[str, Any]:
    """Return when the validation loss is measured: with each checkpoint, so that the best one can be gone back to."""
    if not stops_early:
        return {"eval_strategy": "no"}
    return {
        "eval_strategy": "steps",
        "eval_steps": settings.checkpoint_steps,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
    }


def _sampling(epochs: float) -> str:
    """Return the order of the samples: those of one length together, where a cut training can repeat that order.

    Padding is work that teaches nothing. But the length-grouped sampler draws each epoch's order from the global
    generator, which the Trainer restores only after the first batch of a resumed epoch: within the second or a later
    epoch it would repeat the order of the first. The random sampler is seeded with the epoch's number.
    """
    return "group_by_length" if epochs <= 1 else "random"


def _pairs(messages: list[Message]) -> list[dict[str, list[Message]]]:
    """Return prompt and completion for each of the assistant's messages.

    A trajectory becomes a pair a step: what was observed stands in the prompt, where no token has a loss.
    """
    return [
        {"prompt": messages[:number], "completion": [message]}
        for number, message in enumerate(messages)
        if message["role"] == "assistant"
    ]
