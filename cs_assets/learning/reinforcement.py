"""Reinforcement of a tuned adapter: it answers, its answers are rewarded, and the better ones become more probable.

RLOO (arXiv 2402.14740) and GRPO (arXiv 2402.03300) as TRL has them; both compare the answers to one prompt with one
another, so that no value model is needed. What an answer is worth, the caller says:

    rewards = {"verified": (lambda cases, answers: [float(answer == truth[case]) ...], 1.0)}
    reinforce_adapter(base, adapter, prompts, rewards, "rloo", settings, 128, folder, work)
"""

import functools
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from cs_assets.learning.alignment import AlignmentLog, AlignmentSettings, load_policy, run_alignment
from cs_assets.learning.conversations import Message, prompt_tokens
from cs_assets.learning.models import load_tokenizer
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.training import training_arguments
from cs_assets.profiles import by_profile

# Returns what each answer is worth; a case is the place of its prompt.
RewardFunction = Callable[[Sequence[int], Sequence[str]], list[float]]
Algorithm = Literal["rloo", "grpo"]


class ReinforcementSettings(AlignmentSettings):
    """Numbers of RLOO and GRPO.

    `beta` is the weight of the KL divergence from the tuned adapter, which slows a drift; `max_kl` ends it.
    """

    generations: int = by_profile(
        demo=2, full=8, description="Answers to a prompt, compared with one another; rloo and grpo.", ge=2
    )
    temperature: float = Field(default=1.0, description="Of the sampled answers; rloo and grpo.", gt=0)
    max_kl: float = Field(
        default=0.5,
        description="Training ends once answers are further from the tuned model, in nats per token; rloo and grpo.",
        gt=0,
    )


class ReinforcementLog(AlignmentLog):
    """The story of a reinforcement.

    first, last: `reward`, the weighted sum; the mean of each reward function, by its name; `kl`, the divergence from
    the tuned adapter in nats per token.
    stopped_by_kl: the answers of the last step were further from the tuned model than `max_kl`, so that no step came
    after it; the model is the one that it left.
    """

    stopped_by_kl: bool

    def metrics(self) -> dict[str, float]:
        """Return what the log of an alignment tells, and 1 or 0 for `stopped_by_kl`."""
        return super().metrics() | {"stopped_by_kl": float(self.stopped_by_kl)}


def reinforce_adapter(
    base: str,
    adapter: str,
    prompts: Sequence[list[Message]],
    rewards: Mapping[str, tuple[RewardFunction, float]],
    algorithm: Algorithm,
    settings: ReinforcementSettings,
    max_new_tokens: int,
    folder: Path,
    work: Path,
    report: Report = silent,
) -> ReinforcementLog:
    """Continue the training of `adapter` on its own answers.

    Args:
        base: folder of the base model.
        adapter: folder of the tuned LoRA adapter; its state at the start is the reference.
        prompts: what it is asked.
        rewards: functions by name, with their weights in the sum.
        algorithm: rloo or grpo.
        settings: numbers of the training.
        max_new_tokens: an answer is cut there.
        folder: receives adapter, tokenizer and training log.
        work: receives checkpoints; a second call with the same folder resumes.
        report: is told the progress.

    Raises:
        ValueError: there are no prompts, all are too long, fewer are left than a step takes, or what was tuned is not
            a LoRA adapter.
    """
    if not prompts:
        raise ValueError("no prompts to answer; look at preference_pairs.")
    from datasets import Dataset
    from transformers import set_seed

    tokenizer = load_tokenizer(base)
    fitting = _fitting(tokenizer, prompts, settings, max_new_tokens)
    set_seed(settings.seed)
    model = load_policy(base, adapter)
    asked = [{"prompt": prompts[case], "case": case} for case in _whole_steps(fitting, settings)]
    arguments = _arguments(settings, work, model.num_parameters(), max_new_tokens)
    trainer = _trainer(algorithm, arguments | {"reward_weights": [weight for _, weight in rewards.values()]})(
        model=model,
        reward_funcs=[_named(name, function) for name, (function, _) in rewards.items()],
        train_dataset=Dataset.from_list(asked),
        processing_class=tokenizer,
    )
    trainer.add_callback(_bound(settings.max_kl))
    figures = {f"rewards/{name}/mean": name for name in rewards} | {"reward": "reward", "kl": "kl"}
    log = run_alignment(trainer, tokenizer, fitting, figures, folder, work, report)
    kl = [entry["kl"] for entry in trainer.state.log_history if "kl" in entry]
    told = ReinforcementLog(**dict(log), stopped_by_kl=kl[-1] > settings.max_kl)
    told.save(folder)
    return told


def _fitting(
    tokenizer: Any, prompts: Sequence[list[Message]], settings: ReinforcementSettings, max_new_tokens: int
) -> list[int]:
    """Return, in the order in which they are asked, the places of the prompts that leave room for an answer."""
    room = settings.max_length - max_new_tokens
    fitting = [case for case, prompt in enumerate(prompts) if prompt_tokens(tokenizer, prompt) <= room]
    if not fitting:
        raise ValueError(f"every prompt leaves no room for an answer at max_length {settings.max_length}; raise it.")
    if len(fitting) < _a_step(settings):
        raise ValueError(
            f"{len(fitting)} prompts with room for an answer, and a step takes batch_size {settings.batch_size} x "
            f"gradient_accumulation {settings.gradient_accumulation}; raise `pairs`, or lower these."
        )
    random.Random(settings.seed).shuffle(fitting)
    return fitting


def _a_step(settings: ReinforcementSettings) -> int:
    """Return how many prompts a step takes."""
    return settings.batch_size * settings.gradient_accumulation


def _whole_steps(cases: list[int], settings: ReinforcementSettings) -> list[int]:
    """Return the prompts, and of the first ones again as many as the last step lacks.

    TRL leaves out a step that is not whole, and since every epoch has one order, the same prompts each time.
    """
    return cases + cases[: -len(cases) % _a_step(settings)]


def _arguments(settings: ReinforcementSettings, work: Path, parameters: int, max_new_tokens: int) -> dict[str, Any]:
    """Return what both of TRL's configs take; a batch is counted in answers there."""
    arguments = training_arguments(settings, work, parameters) | {
        "per_device_train_batch_size": settings.batch_size * settings.generations,
        "num_generations": settings.generations,
        "max_completion_length": max_new_tokens,
        "temperature": settings.temperature,
        "beta": settings.beta,
        # After a resume TRL's sampler would repeat the first epoch's order; every epoch has the one it is given.
        "shuffle_dataset": False,
    }
    del arguments["max_length"], arguments["per_device_eval_batch_size"]
    return arguments


def _trainer(algorithm: Algorithm, arguments: dict[str, Any]) -> Callable[..., Any]:
    """Return TRL's trainer of the algorithm, with its arguments."""
    from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

    if algorithm == "rloo":
        return functools.partial(RLOOTrainer, args=RLOOConfig(**arguments))
    return functools.partial(GRPOTrainer, args=GRPOConfig(**arguments))


def _named(name: str, function: RewardFunction) -> Callable[..., list[float]]:
    """Return the function as TRL calls it; TRL tells its mean under its name."""

    def reward(completions: list[list[Message]], case: list[int], **_: Any) -> list[float]:
        return function(case, [completion[-1]["content"] for completion in completions])

    reward.__name__ = name
    return reward


def _bound(max_kl: float) -> Any:
    """Return a Trainer callback that ends the training, with a checkpoint, once the divergence is larger."""
    from transformers import TrainerCallback

    class Callback(TrainerCallback):
        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any
        ) -> None:
            if (logs or {}).get("kl", 0.0) > max_kl:
                control.should_training_stop = control.should_save = True

    return Callback()
