"""Direct preference optimisation: an SFT adapter moved towards the chosen answers, kept near where it was."""

from pathlib import Path

from pydantic import Field

from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.reward import Preference
from cs_assets.learning.training import (
    LoopSettings,
    TrainingLog,
    release_memory,
    run_training,
    training_arguments,
)
from cs_assets.profiles import by_profile


class DpoSettings(LoopSettings):
    """Numbers of the alignment. Base and shape of the adapter are those of the adapter it starts at."""

    learning_rate: float = by_profile(demo=5e-5, full=2e-5, description="Peak learning rate, below that of SFT.", gt=0)
    batch_size: int = by_profile(demo=2, full=8, description="Pairs per step; each is two sequences.", ge=1)
    beta: float = Field(
        default=0.1, description="How close to the tuned model the result stays; higher is closer.", gt=0
    )


def align_adapter(
    base: str,
    adapter: str,
    pairs: list[Preference],
    settings: DpoSettings,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> TrainingLog:
    """Continue the training of `adapter` by DPO; its old state is the reference. Arguments as in `sft.train_adapter`.

    Raises:
        ValueError: there are no pairs.
    """
    if not pairs:
        raise ValueError("no preference pairs; look at preference_pairs.")
    from datasets import Dataset
    from peft import PeftModel
    from transformers import set_seed
    from trl import DPOConfig, DPOTrainer

    set_seed(settings.seed)
    model, tokenizer = load_causal_lm(base), load_tokenizer(base)
    arguments = training_arguments(settings, work, model.num_parameters())
    trainer = DPOTrainer(
        model=PeftModel.from_pretrained(model, adapter, is_trainable=True),
        args=DPOConfig(**arguments, beta=settings.beta),
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
    log = run_training(trainer, len(pairs), work, report)
    # TRL adds the reference as a second adapter; only the trained one is the result.
    trainer.model.save_pretrained(folder, selected_adapters=["default"])
    tokenizer.save_pretrained(folder)
    log.save(folder)
    del model, trainer
    release_memory()
    return log
