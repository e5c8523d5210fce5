"""What the ways to align a tuned adapter share: their settings, the model they start at, and how the result is kept.

The ways themselves stand in `dpo.py` (pairs), `unpaired.py` (KTO, the answers of the pairs one by one) and
`reinforcement.py` (RLOO and GRPO, answers of the model's own). Each keeps the result near the tuned adapter, its
reference, by `beta`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from pydantic import Field

from cs_assets.learning.conversations import prompt_tokens
from cs_assets.learning.models import load_causal_lm, save_adapter, trained_form
from cs_assets.learning.progress import Report
from cs_assets.learning.reward import Preference
from cs_assets.learning.training import LoopSettings, TrainingLog, run_training
from cs_assets.profiles import by_profile


class AlignmentSettings(LoopSettings):
    """Numbers of the alignment. Base and shape of the adapter are those of the adapter it starts at."""

    learning_rate: float = by_profile(demo=5e-5, full=2e-5, description="Peak learning rate, below that of SFT.", gt=0)
    batch_size: int = by_profile(
        demo=2, full=8, description="Pairs per step, each two sequences; of rloo and grpo, prompts.", ge=1
    )
    beta: float = Field(
        default=0.1, description="How close to the tuned model the result stays; higher is closer.", gt=0
    )


# What DPO and KTO log of a step's pairs, and its name here; KTO, which has answers and no pairs, logs the margin alone.
PREFERENCE_FIGURES: Final = {"rewards/margins": "reward_margin", "rewards/accuracies": "preference_accuracy"}


class AlignmentLog(TrainingLog):
    """The story of an alignment, and how far it got: means over the first and the last fifth of its steps, by name."""

    first: dict[str, float]
    last: dict[str, float]

    def metrics(self) -> dict[str, float]:
        """Return what a training log tells, and each figure at the start and at the end."""
        moved = {f"{name}_first": value for name, value in self.first.items()}
        return super().metrics() | moved | {f"{name}_last": value for name, value in self.last.items()}


def pairs_within(max_length: int, pairs: Sequence[Preference], tokenizer: Any) -> list[Preference]:
    """Return the pairs whose prompt leaves room for an answer; TRL drops the others without a word.

    Args:
        max_length: longest sequence in tokens; an answer is cut there.
        pairs: what is learnt from.
        tokenizer: of the base model.

    Raises:
        ValueError: no pair is left.
    """
    if not pairs:
        raise ValueError("no preference pairs; look at preference_pairs.")
    left = [pair for pair in pairs if prompt_tokens(tokenizer, pair.prompt) < max_length]
    if not left:
        raise ValueError(f"every prompt alone is as long as max_length {max_length}; raise it.")
    return left


def load_policy(base: str, adapter: str) -> Any:
    """Load the base with the tuned adapter, to be trained on; TRL takes a copy of the adapter as the reference.

    The base is never in 4 bits, also where qlora trained the adapter: it takes the memory of lora.

    Raises:
        ValueError: what was tuned is not a LoRA adapter, so that no copy of it can stand beside it.
    """
    if (form := trained_form(adapter)) != "lora":
        raise ValueError(
            f"{adapter}: alignment starts at a LoRA adapter, found the form {form}. Train lora_adapter with method: "
            "lora, dora, rslora or qlora (whose base is not in 4 bits here), or set method: off in aligned_adapter."
        )
    from peft import PeftModel

    return PeftModel.from_pretrained(load_causal_lm(base), adapter, is_trainable=True)


def run_alignment(
    trainer: Any,
    tokenizer: Any,
    cases: Sequence[Any],
    figures: Mapping[str, str],
    folder: Path,
    work: Path,
    report: Report,
) -> AlignmentLog:
    """Train and save: adapter, tokenizer and log in `folder`, checkpoints in `work`.

    Args:
        trainer: TRL's, of any of the ways.
        tokenizer: saved beside the adapter.
        cases: what is learnt from; counted.
        figures: what the trainer logs of its steps, under its key there -> its name in the log that is returned.
        folder, work, report: as in `sft.train_adapter`.
    """
    log = run_training(trainer, len(cases), work, report)
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    fifth = max(1, len(steps) // 5)
    first, last = _means(steps[:fifth], figures), _means(steps[-fifth:], figures)
    save_adapter(trainer.model, tokenizer, folder)
    told = AlignmentLog(**dict(log), first=first, last=last)
    told.save(folder)
    return told


def _means(steps: Sequence[Mapping[str, float]], figures: Mapping[str, str]) -> dict[str, float]:
    """Return the mean of each figure by its name, over the steps that tell it; where none does, it is left out."""
    told = {name: [step[key] for step in steps if key in step] for key, name in figures.items()}
    return {name: fmean(values) for name, values in told.items() if values}
