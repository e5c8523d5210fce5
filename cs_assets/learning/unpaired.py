"""Kahneman-Tversky optimisation of a tuned adapter: the answers of the pairs one by one, each desirable or not.

The judge is trained by the same method in `kto.py`; there it starts at the base and learns two words.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cs_assets.learning.alignment import AlignmentSettings, load_policy, run_alignment
from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.models import load_tokenizer
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.reward import Preference
from cs_assets.learning.training import TrainingLog, training_arguments


def align_by_kto(
    base: str,
    adapter: str,
    pairs: Sequence[Preference],
    settings: AlignmentSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> TrainingLog:
    """Continue the training of `adapter` by KTO; its old state is the reference. Arguments as in `sft.train_adapter`.

    Raises:
        ValueError: there are no pairs, every answer is too long, or what was tuned is not a LoRA adapter.
    """
    if not pairs:
        raise ValueError("no preference pairs; look at preference_pairs.")
    from datasets import Dataset
    from transformers import set_seed
    from trl import KTOConfig, KTOTrainer

    set_seed(settings.seed)
    model, tokenizer = load_policy(base, adapter), load_tokenizer(base)
    arguments = training_arguments(settings, work, model.num_parameters())
    trainer = KTOTrainer(
        model=model,
        # As many desirable as undesirable answers, so that both weights are 1 (KTO, arXiv 2402.01306, section 4.2).
        args=KTOConfig(**arguments | {"per_device_train_batch_size": 2 * settings.batch_size}, beta=settings.beta),
        train_dataset=Dataset.from_list(_rows(pairs)),
        processing_class=tokenizer,
    )
    if not len(trainer.train_dataset):
        raise ValueError(f"every answer is longer than max_length {settings.max_length}; raise it.")
    project_answers_only(trainer.model)
    return run_alignment(trainer, tokenizer, pairs, folder, work, report)


def _rows(pairs: Sequence[Preference]) -> list[dict[str, Any]]:
    """Return two unpaired rows a pair: the chosen answer is desirable, the rejected one is not."""
    return [
        {"prompt": pair.prompt, "completion": [{"role": "assistant", "content": answer}], "label": desirable}
        for pair in pairs
        for answer, desirable in ((pair.chosen, True), (pair.rejected, False))
    ]
