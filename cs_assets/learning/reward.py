"""The reward model: a base with a one-number head, trained on pairs of a chosen and a rejected answer.

It may start at an adapter that can do the task (InstructGPT, arXiv 2203.02155, section 3.5): what is wrong in an answer
surprises a model that can give the right one.

What to do about pairs whose label may be wrong stands in `label_noise.py`; here each pair says how sure its label is.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from cs_assets.learning.adapters import LOW_RANK, peft_config, shape_of, with_head_on
from cs_assets.learning.conversations import Message
from cs_assets.learning.inference import ReportBatch, nobody, rewards
from cs_assets.learning.models import (
    load_reward_lm,
    load_tokenizer,
    load_trainable_reward_lm,
    release_memory,
    save_adapter,
    trained_form,
)
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.training import (
    TrainingLog,
    TrainingSettings,
    run_training,
    training_arguments,
)
from cs_assets.profiles import by_profile


class Preference(BaseModel):
    """Two answers to one prompt.

    margin: how much better the chosen one is, in reward units. smoothing: the probability that the label is wrong, and
    the rejected answer the better one.
    """

    prompt: list[Message]
    chosen: str
    rejected: str
    margin: float = 0.0
    smoothing: float = Field(default=0.0, ge=0, le=1)


class RewardSettings(TrainingSettings):
    """Numbers of the reward model's training."""

    learning_rate: float = by_profile(demo=5e-4, full=1e-4, description="Peak learning rate.", gt=0)
    epochs: float = Field(default=1.0, description="Passes over the pairs.", gt=0)
    batch_size: int = by_profile(demo=4, full=16, description="Pairs per step; each is two sequences.", ge=1)


def train_reward_model(
    base: str,
    pairs: list[Preference],
    settings: RewardSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
    start: str | None = None,
) -> TrainingLog:
    """Train head and adapter on pairs; arguments as in `sft.train_adapter`.

    Args:
        start: folder of an adapter of the same base, whose shape takes the place of that in the settings; see
            `settings_to_start_at`. None: a new one.

    Raises:
        ValueError: there are no pairs, or every one is too long; or qlora without a GPU.
    """
    if not pairs:
        raise ValueError("no preference pairs; look at preference_pairs.")
    from datasets import Dataset
    from transformers import set_seed
    from trl import RewardConfig

    set_seed(settings.seed)
    model, tokenizer = load_trainable_reward_lm(base, settings), load_tokenizer(base)
    rows = [
        {
            "prompt": pair.prompt,
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
            "margin": pair.margin,
            "smoothing": pair.smoothing,
        }
        for pair in pairs
    ]
    trainer = _smoothed_trainer(
        model=with_head_on(model, start) if start else model,
        args=RewardConfig(**training_arguments(settings, work, model.num_parameters())),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=None if start else peft_config(model, settings, "SEQ_CLS"),
    )
    if not len(trainer.train_dataset):
        raise ValueError(f"every pair is longer than max_length {settings.max_length}; raise it.")
    log = run_training(trainer, len(trainer.train_dataset), work, report)
    save_adapter(trainer.model, tokenizer, folder)
    log.save(folder)
    del model, trainer
    release_memory()
    return log


def settings_to_start_at(adapter: str, settings: RewardSettings) -> RewardSettings | None:
    """Return the settings with the shape of an adapter that a reward model can take over, None where it cannot.

    It takes over a low-rank adapter, by a method that trains one. With qlora the base stays in 4 bits; no method names
    DoRA or rsLoRA on such a base, so these are not taken over there.
    """
    if trained_form(adapter) != "lora" or settings.method not in LOW_RANK:
        return None
    shaped = settings.model_copy(update=shape_of(adapter))
    if settings.method != "qlora":
        return shaped
    return shaped.model_copy(update={"method": "qlora"}) if shaped.method == "lora" else None


def reward_differences(
    base: str, model: str, pairs: Sequence[Preference], *, batch_size: int, report: ReportBatch = nobody
) -> list[float]:
    """Return, for each pair, the reward of the chosen less that of the rejected answer.

    Args:
        base: folder of the base model.
        model: folder of the reward model trained on it.
        pairs: what it judges.
        batch_size: answers at a time.
        report: is told (done, total) answers.
    """
    conversations = [
        [*pair.prompt, {"role": "assistant", "content": answer}]
        for pair in pairs
        for answer in (pair.chosen, pair.rejected)
    ]
    loaded = load_reward_lm(base, model)
    values = rewards(loaded, load_tokenizer(base), conversations, batch_size=batch_size, report=report)
    del loaded
    release_memory()
    return [chosen - rejected for chosen, rejected in zip(values[::2], values[1::2], strict=True)]


def pair_loss(chosen: Any, rejected: Any, margin: Any, smoothing: Any) -> Any:
    """Return the mean loss of pairs, as tensors of rewards: Bradley-Terry with margin and smoothed labels.

    -(1 - p) * log sigmoid(chosen - rejected - margin) - p * log sigmoid(rejected - chosen - margin), where p is the
    smoothing: the loss of the label as it stands and of the opposite one, each by its probability (Secrets of RLHF II,
    arXiv 2401.06080).
    """
    from torch.nn.functional import logsigmoid

    difference = chosen - rejected
    return -((1 - smoothing) * logsigmoid(difference - margin) + smoothing * logsigmoid(-difference - margin)).mean()


def _smoothed_trainer(**arguments: Any) -> Any:
    """Return a RewardTrainer whose pairs have a `smoothing`, which TRL 1.16 does not know; its metrics stay TRL's."""
    import torch
    from trl import RewardTrainer
    from trl.trainer.reward_trainer import DataCollatorForPreference

    class Collator(DataCollatorForPreference):
        def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
            smoothing = torch.tensor([example["smoothing"] for example in examples], dtype=torch.float)
            return {**super().torch_call(examples), "smoothing": smoothing}

    class SmoothedRewardTrainer(RewardTrainer):
        def _set_signature_columns_if_needed(self) -> None:
            super()._set_signature_columns_if_needed()
            if "smoothing" not in self._signature_columns:
                self._signature_columns.append("smoothing")

        def compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, **kwargs: Any) -> Any:
            inputs = dict(inputs)
            smoothing = inputs.pop("smoothing")
            _, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
            chosen, rejected = outputs.logits.squeeze(-1).chunk(2)
            loss = pair_loss(chosen, rejected, inputs["margin"], smoothing)
            return (loss, outputs) if return_outputs else loss

    padding = arguments["processing_class"].pad_token_id
    return SmoothedRewardTrainer(**arguments, data_collator=Collator(pad_token_id=padding))
