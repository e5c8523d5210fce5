"""Kahneman-Tversky optimisation of a tuned adapter: the answers of the pairs one by one, each desirable or not.

The judge is trained by the same method in `kto.py`; there it starts at the base and learns two words.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def align_by_kto(
    base: str,
    adapter: str,
    pairs: Sequence[Preference],
    settings: AlignmentSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> AlignmentLog:
    """Continue the training of `adapter` by KTO; its old state is the reference. Arguments as in `sft.train_adapter`.

    Raises:
        ValueError: there are no pairs, or every prompt is too long; a batch has one pair, or there are too few prompts
            to tell them apart; or what was tuned is not a LoRA adapter.
    """
    if settings.batch_size < 2:
        raise ValueError(
            f"batch_size {settings.batch_size}: kto estimates how far the model has moved from answers to other "
            "prompts of the same batch; give at least 2 pairs, or take dpo."
        )
    from datasets import Dataset
    from transformers import set_seed
    from trl import KTOConfig, KTOTrainer

    tokenizer, a_batch = load_tokenizer(base), 2 * settings.batch_size
    pairs = pairs_within(settings.max_length, pairs, tokenizer)
    rows = _rows(pairs, a_batch, settings.seed)
    set_seed(settings.seed)
    model = load_policy(base, adapter)
    trainer = KTOTrainer(
        model=model,
        # As many desirable as undesirable answers, so that both weights are 1 (KTO, arXiv 2402.01306, section 4.2).
        args=KTOConfig(
            **training_arguments(settings, work, model.num_parameters()) | {"per_device_train_batch_size": a_batch},
            beta=settings.beta,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    project_answers_only(trainer.model)
    return run_alignment(trainer, tokenizer, pairs, PREFERENCE_FIGURES, folder, work, report)


def _rows(pairs: Sequence[Preference], a_batch: int, seed: int) -> list[dict[str, Any]]:
    """Return two unpaired rows a pair, the chosen answer desirable and the rejected one not, in random order.

    TRL estimates the KL term from mismatched answers: within each batch it puts the completion of the row before after
    the prompt of each row, of the last row after that of the first. So these two never have the same prompt here.

    Args:
        pairs: what is learnt from.
        a_batch: rows of a batch; the last batch may have fewer.
        seed: of the order.

    Raises:
        ValueError: so many of the pairs have one prompt that there is no such order.
    """
    rows = [
        {"prompt": pair.prompt, "completion": [{"role": "assistant", "content": answer}], "label": desirable}
        for pair in pairs
        for answer, desirable in ((pair.chosen, True), (pair.rejected, False))
    ]
    random.Random(seed).shuffle(rows)
    places = range(len(rows))
    before = [place - 1 if place % a_batch else min(place + a_batch, len(rows)) - 1 for place in places]
    after = sorted(places, key=before.__getitem__)

    def matched(*some: int) -> bool:
        return any(rows[place]["prompt"] == rows[before[place]]["prompt"] for place in some)

    for place in places:
        others = iter(places)
        while matched(place):
            other = next(others, None)
            if other is None:
                raise ValueError(
                    f"{len(pairs)} pairs with too few different prompts: kto needs answers to other prompts in each "
                    "batch. Take more `pairs`, or dpo."
                )
            rows[place], rows[other] = rows[other], rows[place]
            if matched(place, after[place], other, after[other]):
                rows[place], rows[other] = rows[other], rows[place]
    return rows
