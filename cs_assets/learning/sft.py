"""Supervised fine-tuning of an adapter: loss on the answer's tokens only."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cs_assets.learning.adapters import peft_config
from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.conversations import Message, conversation_tokens, prompt_completion_pairs
from cs_assets.learning.models import load_tokenizer, load_trainable, release_memory, save_adapter
from cs_assets.learning.packing import IGNORED, PackedRows, require_samples_apart
from cs_assets.learning.progress import LossPoint, Progress, Report, Watch, silent, unwatched, validation_callback
from cs_assets.learning.ranks import in_ranks
from cs_assets.learning.streaming import Stream, epochs, read_conversations
from cs_assets.learning.training import (
    TrainingLog,
    TrainingSettings,
    run_training,
    share_of,
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
    packing: bool = by_profile(
        demo=False,
        full=True,
        description="Lay the samples of a batch end to end instead of padding each; what is learned stays the same.",
    )


def train_adapter(
    base: str,
    conversations: list[list[Message]] | Stream,
    validation: list[list[Message]],
    settings: FineTuningSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
    watch: Watch = unwatched,
    ranks: int = 1,
) -> TrainingLog:
    """Train a LoRA adapter on conversations; what the assistant says in them is the answer, the rest has no loss.

    Args:
        base: folder of the base model.
        conversations: training samples; each ends with the assistant's message and may hold earlier ones. A stream is
            for data larger than memory (see `streaming.py`).
        validation: samples for the validation loss; may be empty, then nothing stops the training early.
        settings: numbers of the training.
        folder: receives adapter, tokenizer and training log.
        work: receives checkpoints; a second call with the same folder resumes.
        report: is told the progress.
        watch: is told each validation loss; what it raises ends the training, and nothing is saved.
        ranks: processes that share each batch, one a GPU (see `ranks.py`). Each of them has a watch of its own.

    Raises:
        ValueError: there is nothing to train on; every sample of a split is too long; samples of a packed row would
            see each other in this model; or batches cannot be shared out to the ranks.
        RankDied: one of several ranks failed.
    """
    tokenizer = load_tokenizer(base)
    training, validating = (_counted(split, tokenizer, settings.max_length) for split in (conversations, validation))
    if not training.samples:
        raise ValueError("no training samples: look at filtered_samples, which says why each one was rejected.")
    for split, counted in (("training", training), ("validation", validating)):
        if counted.samples and not counted.fitting:
            raise ValueError(f"every {split} sample is longer than max_length {settings.max_length}; raise it.")

    share_of(settings, ranks)
    arguments = (base, conversations, training, validation, settings, folder, work, watch, ranks)
    return _train(*arguments, report) if ranks == 1 else in_ranks(ranks, _train, arguments, work, report)


class _Count(NamedTuple):
    """How many conversations there are, and how many of their answers fit with all that is before them, or do not."""

    samples: int
    fitting: int
    too_long: int


def _train(
    base: str,
    conversations: list[list[Message]] | Stream,
    counted: _Count,
    validation: list[list[Message]],
    settings: FineTuningSettings,
    folder: Path,
    work: Path,
    watch: Watch,
    ranks: int,
    report: Report,
) -> TrainingLog:
    """Train in this process, which may be one of several; the arguments are those of `train_adapter`."""

    def tell(progress: Progress) -> None:
        report(progress.model_copy(update={"too_long": counted.too_long}))

    trainer = _trainer(base, conversations, counted.fitting, validation, settings, work, ranks)
    trainer.add_callback(validation_callback(watch))
    log = run_training(trainer, counted.samples, work, tell)
    log.too_long = counted.too_long
    if validation and not settings.patience:
        log.curve.append(LossPoint(step=log.steps, validation=trainer.evaluate()["eval_loss"]))
    if trainer.is_world_process_zero():
        save_adapter(trainer.model, trainer.processing_class, folder)
        log.save(folder)
    del trainer
    release_memory()
    return log


def _trainer(
    base: str,
    conversations: list[list[Message]] | Stream,
    answers: int,
    validation: list[list[Message]],
    settings: FineTuningSettings,
    work: Path,
    ranks: int,
) -> Any:
    """Return TRL's trainer, with an adapter on the base; `answers` is how many of the conversations' are learnt."""
    from transformers import EarlyStoppingCallback, set_seed
    from trl import SFTConfig, SFTTrainer

    set_seed(settings.seed)
    model, tokenizer = load_trainable(base, settings), load_tokenizer(base)
    stops_early = bool(validation) and settings.patience > 0
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            # TRL would cut what is longer, and teach an answer without its end.
            **training_arguments(settings, work, model.num_parameters(), ranks) | {"max_length": None},
            **_order(conversations, answers, settings, ranks),
            completion_only_loss=True,
            packing=False,
            **_stopping(settings, stops_early),
        ),
        data_collator=PackedRows(tokenizer.pad_token_id) if settings.packing else None,
        train_dataset=_dataset(conversations, settings),
        eval_dataset=_dataset(validation, settings) if validation else None,
        processing_class=tokenizer,
        peft_config=peft_config(model, settings, "CAUSAL_LM"),
        callbacks=[EarlyStoppingCallback(settings.patience)] if stops_early else [],
    )
    trainer.train_dataset = _within(settings.max_length, trainer.train_dataset)
    if validation:
        trainer.eval_dataset = _within(settings.max_length, trainer.eval_dataset)
    if settings.packing:
        require_samples_apart(trainer.model)
    if isinstance(conversations, Stream):
        _fill_the_last_step(trainer)
    project_answers_only(trainer.model)
    return trainer


def _counted(conversations: list[list[Message]] | Stream, tokenizer: Any, max_length: int) -> _Count:
    """Count what there is to learn; a stream is read, and checked, for it."""
    samples = fitting = too_long = 0
    for messages in read_conversations(conversations.path) if isinstance(conversations, Stream) else conversations:
        samples += 1
        for pair in prompt_completion_pairs(messages):
            if conversation_tokens(tokenizer, pair["prompt"] + pair["completion"]) <= max_length:
                fitting += 1
            else:
                too_long += 1
    return _Count(samples, fitting, too_long)


def _within(max_length: int, dataset: Any) -> Any:
    """Return those of the tokenised samples that are not too long."""
    return dataset.filter(lambda row: len(row["input_ids"]) <= max_length)


def _dataset(conversations: list[list[Message]] | Stream, settings: FineTuningSettings) -> Any:
    """Return the pairs to learn; of a stream, those of all epochs, one after the other."""
    from datasets import Dataset, IterableDataset

    if isinstance(conversations, Stream):
        # One iteration for the whole run: the Trainer's own epochs forget, when it resumes, which one it was in.
        return IterableDataset.from_generator(
            _streamed_pairs,
            gen_kwargs={
                "path": conversations.path,
                "count": math.ceil(settings.epochs),
                "buffer": conversations.buffer,
                "seed": settings.seed,
            },
        )
    return Dataset.from_list(list(_all_pairs(conversations)))


def _streamed_pairs(**stream: Any) -> Iterator[dict[str, list[Message]]]:
    return _all_pairs(epochs(**stream))


def _fill_the_last_step(trainer: Any) -> None:
    """Let a stream end within a step, which the Trainer drops where batches are missing to it.

    Blank ones, without labels, take their place: they change neither the loss, which is a mean over the answers'
    tokens, nor the gradients.
    """
    import torch

    fetch = trainer.get_batch_samples

    def fetch_whole_step(batches: Iterator[Any], count: int, device: Any) -> tuple[list[Any], Any]:
        found, items = fetch(batches, count, device)
        blank = [{**batch, "labels": torch.full_like(batch["labels"], IGNORED)} for batch in found[-1:]]
        return found + blank * (count - len(found)), items

    trainer.get_batch_samples = fetch_whole_step


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


def _order(
    conversations: list[list[Message]] | Stream, answers: int, settings: FineTuningSettings, ranks: int
) -> dict[str, Any]:
    """Return in which order the samples come, and of a stream, which nobody else can count, how many steps it makes.

    Padding is work that teaches nothing, so samples of one length stand together where nothing else avoids it and a cut
    training can repeat that order. The length-grouped sampler draws each epoch's order from the global generator,
    which the Trainer restores only after the first batch of a resumed epoch: within the second or a later epoch it
    would repeat the order of the first. The random sampler is seeded with the epoch's number; from its order, several
    ranks take the samples of a step that one process would take, which of groups made for each rank they would not.
    """
    if isinstance(conversations, Stream):
        a_step = settings.batch_size * settings.gradient_accumulation
        # Each rank reads the stream; else the first would read for all, and send batches as one, of unlike widths.
        alone = {"accelerator_config": {"dispatch_batches": False}}
        return {"max_steps": math.ceil(settings.epochs * answers / a_step), **alone}
    grouped = settings.epochs <= 1 and not settings.packing and ranks == 1
    return {"train_sampling_strategy": "group_by_length" if grouped else "random"}


def _all_pairs(conversations: Iterable[list[Message]]) -> Iterator[dict[str, list[Message]]]:
    return (pair for messages in conversations for pair in prompt_completion_pairs(messages))
