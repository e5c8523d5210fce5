"""Direct preference optimisation: an SFT adapter moved towards the chosen answers, kept near where it was."""

from collections.abc import Sequence
from pathlib import Path

from cs_assets.learning.alignment import (
    PREFERENCE_FIGURES,
    AlignmentLog,
    AlignmentSettings,
    load_policy,
    pairs_within,
    run_alignment,
)
from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.models import load_tokenizer
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.reward import Preference
from cs_assets.learning.training import training_arguments


def align_by_dpo(
    base: str,
    adapter: str,
    pairs: Sequence[Preference],
    settings: AlignmentSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> AlignmentLog:
    """Continue the training of `adapter` by DPO; its old state is the reference. Arguments as in `sft.train_adapter`.

    Raises:
        ValueError: there are no pairs, or every prompt is too long; or what was tuned is not a LoRA adapter.
    """
    from datasets import Dataset
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer

    tokenizer = load_tokenizer(base)
    pairs = pairs_within(settings.max_length, pairs, tokenizer)
    set_seed(settings.seed)
    model = load_policy(base, adapter)
    trainer = DPOTrainer(
        model=model,
        args=DPOConfig(**training_arguments(settings, work, model.num_parameters()), beta=settings.beta),
        train_dataset=Dataset.from_list(
            [
                {
                    "prompt": pair.prompt,
                    "chosen": [{"role": "assistant", "content": pair.chosen}],
                    "rejected": [{"role": "assistant", "content": pair.rejected}],
                }
                for pair in pairs
            ]
        ),
        processing_class=tokenizer,
    )
    project_answers_only(trainer.model)
    return run_alignment(trainer, tokenizer, pairs, PREFERENCE_FIGURES, folder, work, report)
