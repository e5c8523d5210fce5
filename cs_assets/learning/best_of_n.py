"""Best of n: a model answers several times, and the reward model's favourite is its answer.

What the reward model is worth shows here without any further training: the gain over the greedy answer. Here belong
sampling and choosing; greedy answers stand in `inference.py`.

    answers = sampled(model, tokenizer, prompts, SamplingSettings(), max_new_tokens=128)
    best(reward_model, tokenizer, prompts, answers, batch_size=8)
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from cs_assets.learning.conversations import Message
from cs_assets.learning.inference import ReportBatch, nobody, rewards
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
    report: ReportBatch = nobody,
) -> list[list[str]]:
    """Return `best_of` answers to each prompt, drawn from the whole distribution at the temperature.

    The answers to one prompt are one batch with a seed of its own, so that they depend on no other prompt before it and
    on no batch size.

    Args:
        model, tokenizer: as `learning.models` loads them.
        prompts: chat messages, one list per case.
        settings: how many answers, how free, which seed.
        max_new_tokens: an answer is cut there.
        report: is told (done, total) prompts.

    Raises:
        ValueError: a prompt holds earlier messages of the assistant. They are steps of one answer, and the reward model
            knows whole answers only.
    """
    if any(message["role"] == "assistant" for prompt in prompts for message in prompt):
        raise ValueError(
            "best_of_n chooses among whole answers, and here an answer is made of several messages, each asked for "
            "alone; leave `best_of_n` out of `models`."
        )
    import torch

    model.eval()
    found = []
    devices = [model.device] if model.device.type == "cuda" else []
    for place, prompt in enumerate(prompts):
        text = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        inputs = tokenizer([text], return_tensors="pt", add_special_tokens=False).to(model.device)
        with torch.random.fork_rng(devices), torch.inference_mode():
            torch.manual_seed(settings.sampling_seed + place)
            output = model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=True,
                num_return_sequences=settings.best_of,
                temperature=settings.temperature,
                top_p=1.0,
                top_k=0,
                repetition_penalty=1.0,
                pad_token_id=tokenizer.pad_token_id,
            )
        found.append(tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
        report(place + 1, len(prompts))
    return found


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
