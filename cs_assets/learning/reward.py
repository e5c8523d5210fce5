"""The reward model: a base with a one-number head, trained on pairs of a chosen and a rejected answer."""

from pathlib import Path

from pydantic import BaseModel, Field

from cs_assets.learning.adapters import peft_config
from cs_assets.learning.models import Message, load_reward_lm, load_tokenizer, save_adapter
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.training import (
    TrainingLog,
    TrainingSettings,
    release_memory,
    run_training,
    training_arguments,
)
from cs_assets.profiles import by_profile


class Preference(BaseModel):
    """Two answers to one prompt; `margin` is how much better the chosen one is, in reward units."""

    prompt: list[Message]
    chosen: str
    rejected: str
    margin: float = 0.0


class RewardSettings(TrainingSettings):
    """Numbers of the reward model's training."""

    learning_rate: float = by_profile(demo=5e-4, full=1e-4, description="Peak learning rate.", gt=0)
    epochs: float = Field(default=1.0, description="Passes over the pairs.", gt=0)
    top_layers: float = by_profile(demo=0.5, full=1.0, description="Share of the layers with an adapter.", gt=0, le=1)
    batch_size: int = by_profile(demo=4, full=16, description="Pairs per step; each is two sequences.", ge=1)


def train_reward_model(
    base: str,
    pairs: list[Preference],
    settings: RewardSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> TrainingLog:
    """Train head and adapter on pairs; arguments as in `sft.train_adapter`.

    Raises:
        ValueError: there are no pairs.
    """
    if not pairs:
        raise ValueError("no preference pairs; look at preference_pairs.")
    from datasets import Dataset
    from transformers import set_seed
    from trl import RewardConfig, RewardTrainer

    set_seed(settings.seed)
    model, tokenizer = load_reward_lm(base), load_tokenizer(base)
    rows = [
        {
            "prompt": pair.prompt,
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
            "margin": pair.margin,
        }
        for pair in pairs
    ]
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(**training_arguments(settings, work, model.num_parameters())),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=peft_config(model, settings, "SEQ_CLS"),
    )
    log = run_training(trainer, len(pairs), work, report)
    save_adapter(trainer.model, tokenizer, folder)
    log.save(folder)
    del model, trainer
    release_memory()
    return log
