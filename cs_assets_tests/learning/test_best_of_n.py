"""Best of n: seeded samples that no other prompt changes, and the one that the reward model gives most."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from cs_assets.learning.best_of_n import SamplingSettings, best, sampled
from cs_assets.learning.inference import generate, rewards
from cs_assets.learning.models import load_causal_lm, load_reward_lm, load_tokenizer

PROMPTS = [[{"role": "user", "content": f"地址 {i}"}] for i in range(3)]
SETTINGS = SamplingSettings(best_of=4, temperature=1.0, sampling_seed=3)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> tuple[Any, Any]:
    return load_causal_lm(str(tiny_model)), load_tokenizer(str(tiny_model))


def answers(
    model: tuple[Any, Any], prompts: Any = PROMPTS, tokens: int = 6, batch: int = 2, **changed: Any
) -> list[list[str]]:
    return sampled(*model, prompts, SETTINGS.model_copy(update=changed), max_new_tokens=tokens, batch_size=batch)


def test_as_many_different_answers_as_asked_for_and_the_same_at_every_run(model: Any) -> None:
    found = answers(model)
    assert [len(group) for group in found] == [4, 4, 4]
    assert len({answer for group in found for answer in group}) > 6
    assert answers(model) == found
    assert answers(model, sampling_seed=99) != found


def test_the_answers_to_a_prompt_do_not_depend_on_the_others(model: Any) -> None:
    other = [{"role": "user", "content": "别的"}]
    assert answers(model, [other, PROMPTS[1]])[1] == answers(model)[1]
    assert answers(model, batch=1) == answers(model, batch=3) == answers(model)


def test_the_first_token_is_drawn_as_often_as_it_is_likely(model: Any) -> None:
    count, temperature = 600, 0.5
    [drawn] = answers(model, PROMPTS[:1], tokens=1, best_of=count, temperature=temperature)
    text = model[1].apply_chat_template(PROMPTS[0], tokenize=False, add_generation_prompt=True)
    asked = model[1](text, return_tensors="pt", add_special_tokens=False)
    with torch.inference_mode():
        likely = (model[0](**asked).logits[0, -1].float() / temperature).softmax(-1)
    words = model[1].batch_decode([[token] for token in range(len(likely))], skip_special_tokens=True)
    expected: dict[str, float] = {}
    for word, share in zip(words, likely.tolist(), strict=True):
        expected[word] = expected.get(word, 0.0) + share
    for word, share in sorted(expected.items(), key=lambda item: -item[1])[:3]:
        assert drawn.count(word) / count == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))


def test_a_step_of_a_longer_answer_is_refused_before_anything_is_sampled() -> None:
    step = [*PROMPTS[0], {"role": "assistant", "content": "查空闲时段"}, {"role": "tool", "content": "周五上午"}]
    with pytest.raises(ValueError, match=r"several messages.* leave `best_of_n` out of `models`"):
        sampled(None, None, [PROMPTS[0], step], SETTINGS, max_new_tokens=6, batch_size=2)


def test_the_global_generator_is_left_alone(model: Any) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3).tolist()
    torch.manual_seed(1)
    answers(model)
    assert torch.rand(3).tolist() == expected


def test_hardly_any_temperature_is_the_greedy_answer(model: Any) -> None:
    greedy = generate(model[0], model[1], PROMPTS, max_new_tokens=6, batch_size=1)
    assert answers(model, temperature=1e-4) == [[answer] * 4 for answer in greedy]


def test_the_answer_with_the_highest_reward_is_taken(tiny_model: Path, model: Any) -> None:
    reward_model, tokenizer = load_reward_lm(str(tiny_model)), model[1]
    found = answers(model)
    chosen = best(reward_model, tokenizer, PROMPTS, found, batch_size=5)
    for prompt, group, answer in zip(PROMPTS, found, chosen, strict=True):
        conversations = [[*prompt, {"role": "assistant", "content": text}] for text in group]
        values = rewards(reward_model, tokenizer, conversations, batch_size=1)
        assert values[group.index(answer)] == pytest.approx(max(values), abs=1e-4)


def test_one_answer_is_the_best_and_equal_answers_are_read_once(tiny_model: Path, model: Any) -> None:
    told: list[tuple[int, int]] = []
    found = best(
        load_reward_lm(str(tiny_model)),
        model[1],
        PROMPTS,
        [["甲"], ["乙", "乙"], ["丙"]],
        batch_size=8,
        report=lambda done, total: told.append((done, total)),
    )
    assert (found, told) == (["甲", "乙", "丙"], [(3, 3)])
