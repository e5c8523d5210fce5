"""The training loop that all trainers share: arguments, checkpoints, resume, the loss curve.

What differs between fine-tuning, judge and reward model stands in `sft.py`, `kto.py` and `reward.py`.
"""

import json
import math
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from cs_assets.learning.adapters import AdapterSettings
from cs_assets.learning.models import device_name, precision
from cs_assets.learning.packing import packed_tokens
from cs_assets.learning.progress import LossPoint, Report, progress_callback
from cs_assets.profiles import by_profile

TRAINING_LOG = "training_log.json"


class Untrainable(RuntimeError):
    """With these numbers nothing is learned; the message says which to lower."""


class LoopSettings(BaseModel):
    """What every training has; each stage's settings say their own learning rate and size."""

    learning_rate: float = by_profile(
        demo=5e-4, full=2e-4, description="Peak learning rate; LoRA takes about ten times that of full tuning.", gt=0
    )
    epochs: float = by_profile(demo=1.0, full=2.0, description="Passes over the training samples.", gt=0)
    batch_size: int = by_profile(demo=4, full=16, description="Samples per device and step.", ge=1)
    gradient_accumulation: int = Field(default=1, description="Steps whose gradients are added up.", ge=1)
    warmup: float = Field(default=0.1, description="Share of the steps over which the rate rises.", ge=0, lt=1)
    max_length: int = Field(
        default=2048,
        description="Longest sample in tokens. Longer ones are left out; in an alignment their answers are cut.",
        ge=16,
    )
    checkpoint_steps: int = by_profile(
        demo=10, full=100, description="Steps between checkpoints; a killed run resumes.", ge=1
    )
    seed: int = Field(default=17, description="Seed of shuffling and adapter initialisation.")


class TrainingSettings(AdapterSettings, LoopSettings):
    """A training that starts at a base model, with a new adapter. Alignment starts at an adapter, and asks for none."""

    base_model: str = by_profile(
        demo="embedded", full="qwen2.5-0.5b", description="A name of data/base_models.yaml, a folder, or a hub id."
    )


class TrainingLog(BaseModel):
    """The story of one training, kept beside the model. `kept_step` is the step whose state the model has.

    `samples` are the rows that were given: conversations in fine-tuning, of which each may have several answers, pairs
    in a reward model.
    """

    samples: int
    steps: int
    kept_step: int
    seconds: float
    tokens: int
    resumed_at: int
    curve: list[LossPoint]
    precision: str = ""  # of the last of its processes
    ranks: int = 1  # processes that shared its batches, at the end
    too_long: int | None = None  # answers that max_length left out; counted in fine-tuning, where samples may have many

    @property
    def final_loss(self) -> float:
        losses = [point.loss for point in self.curve if point.loss is not None] or [float("nan")]
        tail = losses[-max(1, len(losses) // 5) :]
        return sum(tail) / len(tail)

    def metrics(self) -> dict[str, float]:
        """Return the figures that a reader wants first."""
        validation = [p.validation for p in self.curve if p.validation is not None and p.step == self.kept_step]
        figures = {
            "train_loss": self.final_loss,
            "steps": float(self.steps),
            "kept_step": float(self.kept_step),
            "tokens_per_second": self.tokens / max(self.seconds, 1e-9),
        }
        if validation:
            figures["validation_loss"] = validation[-1]
        if self.too_long is not None:
            figures["too_long"] = float(self.too_long)
        return figures

    def save(self, folder: Path) -> None:
        (folder / TRAINING_LOG).write_text(self.model_dump_json(indent=1), encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> "TrainingLog":
        return cls.model_validate_json((Path(folder) / TRAINING_LOG).read_text(encoding="utf-8"))


def share_of(settings: LoopSettings, ranks: int) -> tuple[int, int]:
    """Return batch size and gradient accumulation of each of several ranks that together take the steps of one.

    What is added up is shared out first, since fewer and larger batches are faster, then the batch itself.

    Raises:
        ValueError: they cannot be shared out evenly.
    """
    together = math.gcd(settings.gradient_accumulation, ranks)
    batch_size, left_over = divmod(settings.batch_size, ranks // together)
    if left_over:
        raise ValueError(
            f"batch_size {settings.batch_size} with gradient_accumulation {settings.gradient_accumulation} cannot be "
            f"shared out to CS_TRAINING_GPUS={ranks}; make one of them a multiple of {ranks}."
        )
    return batch_size, settings.gradient_accumulation // together


def training_arguments(settings: LoopSettings, work: Path, parameters: int, ranks: int = 1) -> dict[str, Any]:
    """Return the arguments that SFT, KTO and reward configs share.

    Args:
        settings: the stage's settings.
        work: where checkpoints go.
        parameters: size of the model; gradient checkpointing pays from about a billion on.
        ranks: processes that share each step; this is one of them.
    """
    on_gpu = device_name() == "cuda"
    batch_size, gradient_accumulation = share_of(settings, ranks)
    return {
        "output_dir": str(work / "checkpoints"),
        "per_device_train_batch_size": batch_size,
        "per_device_eval_batch_size": settings.batch_size,
        "gradient_accumulation_steps": gradient_accumulation,
        "learning_rate": settings.learning_rate,
        "num_train_epochs": settings.epochs,
        "lr_scheduler_type": "cosine",
        "warmup_steps": settings.warmup,
        "max_length": settings.max_length,
        "seed": settings.seed,
        "data_seed": settings.seed,
        "bf16": precision() == "bfloat16",
        "use_cpu": not on_gpu,
        "gradient_checkpointing": parameters > 1_000_000_000,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps",
        "save_steps": settings.checkpoint_steps,
        "save_total_limit": 2,
        "restore_callback_states_from_checkpoint": True,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": on_gpu,
        "ddp_find_unused_parameters": False,
    }


def run_training(trainer: Any, samples: int, work: Path, report: Report) -> TrainingLog:
    """Train, resuming from the last whole checkpoint in `work` if there is one.

    Each of several ranks calls it; files beside its part of the checkpoints are written by the first one alone.

    Raises:
        Untrainable: the loss is not a number, or the memory of the GPU does not suffice.
    """
    import torch

    history_file = work / "history.json"
    checkpoint = last_whole_checkpoint(work / "checkpoints")
    resumed_at = int(checkpoint.name.rsplit("-", 1)[-1]) if checkpoint else 0
    history = _history_until(history_file, resumed_at)
    # The curve must not be ahead: else a checkpoint that is cut later on would pass for one that it knows as whole.
    if trainer.is_world_process_zero():
        _write_curve(history, history_file)
    counted = _count_tokens(trainer)
    ranks = trainer.accelerator.num_processes
    # While it trains, the others are taken to see as many.
    trainer.add_callback(progress_callback(report, lambda: ranks * counted["tokens"], history))
    trainer.add_callback(_keep_history(trainer, history, history_file))
    if checkpoint and _had_stopped(checkpoint):
        _leave_nothing_to_train(trainer)
    began = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError as error:
        raise Untrainable("the memory of the GPU is full; lower batch_size or max_length and run again.") from error
    log = TrainingLog(
        samples=samples,
        steps=trainer.state.global_step,
        kept_step=(trainer.args.load_best_model_at_end and trainer.state.best_global_step) or trainer.state.global_step,
        seconds=time.monotonic() - began,
        tokens=int(trainer.accelerator.reduce(torch.tensor(counted["tokens"], device=trainer.args.device))),
        resumed_at=resumed_at,
        curve=history,
        precision=precision(),
        ranks=ranks,
    )
    if log.final_loss != log.final_loss:
        raise Untrainable("the training loss is not a number; lower learning_rate and run again.")
    return log


def last_whole_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end, None if there is none.

    The Trainer writes `trainer_state.json` last, and the loss curve is written after it; a checkpoint that lacks either
    was cut by a kill and is passed over.
    """
    curve = folder.parent / "history.json"
    known = (
        max((point["step"] for point in json.loads(curve.read_text(encoding="utf-8"))), default=0)
        if curve.is_file()
        else 0
    )
    found = {int(path.name.rsplit("-", 1)[-1]): path for path in folder.glob("checkpoint-*")}
    whole = [step for step, path in found.items() if step <= known and (path / "trainer_state.json").is_file()]
    return found[max(whole)] if whole else None


def _had_stopped(checkpoint: Path) -> bool:
    """Tell whether the training was to end at this checkpoint: all steps were done, or its patience was exhausted."""
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    return bool(state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"])


def _leave_nothing_to_train(trainer: Any) -> None:
    """Let the Trainer take no step; by itself it forgets, when it resumes, that it had stopped, and goes on."""
    if hasattr(trainer.train_dataset, "__len__"):
        trainer.args.num_train_epochs = 0
    else:
        trainer.train_dataset = trainer.train_dataset.take(0)


def _count_tokens(trainer: Any) -> dict[str, int]:
    """Count the tokens that are not padding, as they pass the trainer."""
    counted = {"tokens": 0}
    step = trainer.training_step

    def counting_step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, list):  # prompts: RLOO and GRPO make the tokens within the step, and count them
            before = trainer.state.num_input_tokens_seen
            loss = step(model, inputs, *args, **kwargs)
            counted["tokens"] += trainer.state.num_input_tokens_seen - before
            return loss
        mask = inputs.get("attention_mask", inputs.get("completion_attention_mask"))
        if mask is not None:
            counted["tokens"] += int(mask.sum())
        elif "position_ids" in inputs:
            counted["tokens"] += packed_tokens(inputs["position_ids"])
        else:
            counted["tokens"] += int(inputs["input_ids"].numel())
        return step(model, inputs, *args, **kwargs)

    trainer.training_step = counting_step
    return counted


def _history_until(path: Path, step: int) -> list[LossPoint]:
    if step == 0 or not path.is_file():
        return []
    points = [LossPoint.model_validate(point) for point in json.loads(path.read_text(encoding="utf-8"))]
    return [point for point in points if point.step <= step]


def _write_curve(history: list[LossPoint], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps([point.model_dump() for point in history]), encoding="utf-8")
    beside.replace(path)


def _keep_history(trainer: Any, history: list[LossPoint], path: Path) -> Any:
    """Write the curve with every checkpoint, so that a resumed run tells the whole story."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            trainer.accelerator.wait_for_everyone()  # each rank has written its part, or the checkpoint is not whole
            if trainer.is_world_process_zero():
                _write_curve(history, path)

    return Callback()
