"""Best of n: a model answers several times, and the reward model's favourite is its answer.

What the reward model is worth shows here without any further training: the gain over the greedy answer. Here belong
sampling and choosing; greedy answers stand in `inference.py`.

    answers = sampled(model, tokenizer, prompts, SamplingSettings(), max_new_tokens=128)
    best(reward_model, tokenizer, prompts, answers, batch_size=8)
"""

import random
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from cs_assets.learning.conversations import Message
from cs_assets.learning.inference import ReportBatch, generate, nobody, rewards
from cs_assets.profiles import by_profile


class SamplingSettings(BaseModel):
    """How often, and how freely, a model answers."""

    best_of: int = by_profile(demo=4, full=16, description="Answers that best_of_n chooses from.", ge=1)
    temperature: float = Field(default=0.7, description="Of the answers that best_of_n chooses from.", gt=0)
    sampling_seed: int = Field(default=5, description="Seed of the answers that best_of_n chooses from.", ge=0)


def sampled(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[Message]],
    settings: SamplingSettings,
    *,
    max_new_tokens: int,
    batch_size: int,
    report: ReportBatch = nobody,
) -> list[list[str]]:
    """Return `best_of` answers to each prompt, drawn from the whole distribution at the temperature.

    The token with the highest sum of its logit over the temperature and a number of the standard Gumbel distribution
    is a draw from the softmax (Maddison et al. 2014, arXiv 1411.0030). So an answer is greedy once the numbers are
    added, which each answer draws from a generator of its own: it depends on no other prompt, and on the batch size no
    more than a greedy one.

    Args:
        model, tokenizer: as `learning.models` loads them.
        prompts: chat messages, one list per case.
        settings: how many answers, how free, which seed.
        max_new_tokens: an answer is cut there.
        batch_size: prompts at a time; each is as many rows as it has answers.
        report: is told (done, total) answers.

    Raises:
        ValueError: a prompt holds earlier messages of the assistant. They are steps of one answer, and the reward model
            knows whole answers only.
    """
    if any(message["role"] == "assistant" for prompt in prompts for message in prompt):
        raise ValueError(
            "best_of_n chooses among whole answers, and here an answer is made of several messages, each asked for "
            "alone; leave `best_of_n` out of `models`."
        )
    count = settings.best_of
    said = generate(
        model,
        tokenizer,
        [prompt for prompt in prompts for _ in range(count)],
        max_new_tokens=max_new_tokens,
        batch_size=batch_size * count,
        processor=lambda places: _gumbel_noise(places, settings, model.device),
        report=report,
    )
    return [said[start : start + count] for start in range(0, len(said), count)]


def _gumbel_noise(places: Sequence[int], settings: SamplingSettings, device: Any) -> Any:
    """Return a logits processor that makes the likeliest token of each row a draw, from a generator a row."""
    import torch
    from transformers import LogitsProcessor

    # torch takes 32 bits of a seed on a CPU: the seed and the place are mixed into them.
    seeds = [random.Random(f"{settings.sampling_seed}:{place}").getrandbits(32) for place in places]
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    class GumbelNoise(LogitsProcessor):
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            noise = torch.empty_like(scores, dtype=torch.float32)
            for row, generator in zip(noise, generators, strict=True):
                row.exponential_(generator=generator)
            return scores.float() / settings.temperature - noise.log_()

    return GumbelNoise()


def best(
    reward_model: Any,
    tokenizer: Any,
    prompts: Sequence[list[Message]],
    answers: Sequence[Sequence[str]],
    *,
    batch_size: int,
    report: ReportBatch = nobody,
) -> list[str]:
    """Return the answer to each prompt that the reward model gives most; of equal ones the first.

    Args:
        reward_model, tokenizer: as `learning.models` loads them.
        prompts: what was asked.
        answers: for each prompt, at least one answer; equal ones are read once.
        batch_size: answers at a time.
        report: is told (done, total) answers.
    """
    different = [list(dict.fromkeys(group)) for group in answers]
    conversations = [
        [*prompt, {"role": "assistant", "content": answer}]
        for prompt, group in zip(prompts, different, strict=True)
        for answer in group
    ]
    values = iter(rewards(reward_model, tokenizer, conversations, batch_size=batch_size, report=report))
    # `max` keeps the first of equals.
    return [max([(next(values), answer) for answer in group], key=lambda pair: pair[0])[1] for group in different]
