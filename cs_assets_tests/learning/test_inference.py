"""Generation, verdicts and rewards do not depend on how the cases are batched."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GraniteConfig, GraniteForCausalLM

from cs_assets.learning import inference
from cs_assets.learning.inference import answer_surprises, generate, rewards, verdict_log_odds, verdict_probability
from cs_assets.learning.models import load_causal_lm, load_reward_lm, load_tokenizer

PROMPTS = [[{"role": "user", "content": text}] for text in ("电话 138", "省" * 20, "a", "正确" * 9, "{}", "北京市 12")]
CONVERSATIONS = [[*prompt, {"role": "assistant", "content": "正确"}] for prompt in PROMPTS]
WORDS = ("正确", "错误")


def opinionated(model: Any) -> Any:
    """Scale the random weights up, so that different inputs give clearly different outputs."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(12)
    return model


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Any:
    return opinionated(load_causal_lm(str(tiny_model)))


@pytest.fixture(scope="module")
def reward_model(tiny_model: Path) -> Any:
    torch.manual_seed(4)
    return opinionated(load_reward_lm(str(tiny_model)))


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(str(tiny_model))


def test_generation_keeps_the_order_of_the_prompts_at_any_batch_size(model: Any, tokenizer: Any) -> None:
    seen: list[tuple[int, int]] = []
    one, four = (
        generate(model, tokenizer, PROMPTS, max_new_tokens=8, batch_size=size, report=lambda *done: seen.append(done))
        for size in (1, 4)
    )
    assert one == four
    assert len(set(one)) == len(PROMPTS)
    assert seen[-2:] == [(4, 6), (6, 6)]
    alone = [generate(model, tokenizer, [prompt], max_new_tokens=8, batch_size=4)[0] for prompt in PROMPTS]
    assert alone == one


def test_answers_that_end_before_their_batch_does_are_reported(
    model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tokenizer.apply_chat_template(PROMPTS[0], tokenize=False, add_generation_prompt=True)
    asked = tokenizer(text, return_tensors="pt", add_special_tokens=False)
    first = int(model.generate(**asked, max_new_tokens=1, do_sample=False)[0, -1])
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(inference, "_SECONDS_BETWEEN_REPORTS", 0.0)
    monkeypatch.setattr(model.generation_config, "eos_token_id", first)  # the first prompt's answer ends at once
    generate(model, tokenizer, PROMPTS, max_new_tokens=8, batch_size=6, report=lambda *done: seen.append(done))
    assert 0 < seen[0][0] < 6
    assert seen[-1] == (6, 6)
    assert seen == sorted(seen)


def test_verdicts_do_not_depend_on_the_batch_size_and_turn_round_with_the_words(model: Any, tokenizer: Any) -> None:
    one, four = (verdict_log_odds(model, tokenizer, PROMPTS, WORDS, batch_size=size) for size in (1, 4))
    assert one == pytest.approx(four, abs=1e-3)
    assert max(one) - min(one) > 0.1
    swapped = verdict_log_odds(model, tokenizer, PROMPTS, WORDS[::-1], batch_size=4)
    assert [-log_odds for log_odds in swapped] == pytest.approx(four)


def test_log_odds_are_those_of_the_model_s_own_logits(model: Any, tokenizer: Any) -> None:
    found = verdict_log_odds(model, tokenizer, PROMPTS, WORDS, batch_size=1)
    good, bad = (tokenizer.encode(word, add_special_tokens=False)[0] for word in WORDS)
    for prompt, log_odds in zip(PROMPTS, found, strict=True):
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        logits = model(**ids).logits[0, -1]
        assert float(logits[good] - logits[bad]) == pytest.approx(log_odds, abs=1e-3)
    assert [verdict_probability(log_odds) for log_odds in (-2000.0, 0.0, 2000.0)] == [0.0, 0.5, 1.0]


def loss_of_the_answer(model: Any, tokenizer: Any, conversation: list[dict[str, str]]) -> float:
    """Return what transformers itself computes of the last message."""
    whole, head = (
        tokenizer.apply_chat_template(messages, add_generation_prompt=asked, return_dict=False)
        for messages, asked in ((conversation, False), (conversation[:-1], True))
    )
    labels = torch.tensor([[-100] * len(head) + whole[len(head) :]])
    return float(model(torch.tensor([whole]), labels=labels).loss)


def test_a_surprise_is_the_loss_of_the_answer_at_any_batch_size(model: Any, tokenizer: Any) -> None:
    said = [[*prompt, {"role": "assistant", "content": "确" * length}] for length, prompt in enumerate(PROMPTS, 1)]
    one, four = (answer_surprises(model, tokenizer, said, batch_size=size) for size in (1, 4))
    assert one == pytest.approx(four, abs=1e-3)
    for conversation, surprise in zip(said, one, strict=True):
        assert loss_of_the_answer(model, tokenizer, conversation) == pytest.approx(surprise, abs=1e-3)


SAID = [[*prompt, {"role": "assistant", "content": "确认地址"}] for prompt in PROMPTS]


def test_surprises_of_a_bfloat16_model_are_those_of_its_states_in_float32(tiny_model: Path, tokenizer: Any) -> None:
    model = opinionated(load_causal_lm(str(tiny_model)).bfloat16())
    found = answer_surprises(model, tokenizer, SAID, batch_size=1)
    exact = load_causal_lm(str(tiny_model)).lm_head.float()
    exact.weight.data.copy_(model.get_output_embeddings().weight.float())
    model.set_output_embeddings(torch.nn.Identity())
    for said, surprise in zip(SAID, found, strict=True):
        whole, head = (
            tokenizer.apply_chat_template(messages, add_generation_prompt=asked, return_dict=False)
            for messages, asked in ((said, False), (said[:-1], True))
        )
        states = model(torch.tensor([whole])).logits[0, len(head) - 1 : -1].float()
        told = torch.log_softmax(exact(states), dim=-1).gather(-1, torch.tensor(whole[len(head) :])[:, None])
        assert surprise == pytest.approx(-float(told.mean()), abs=1e-5)


def test_a_surprise_is_told_by_the_model_s_own_logits_where_its_head_is_not_all(tokenizer: Any) -> None:
    torch.manual_seed(3)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = GraniteConfig(vocab_size=len(tokenizer), num_key_value_heads=2, logits_scaling=0.1, **shape)
    model = GraniteForCausalLM(config).eval()
    one, four = (answer_surprises(model, tokenizer, SAID, batch_size=size) for size in (1, 4))
    assert one == pytest.approx(four, abs=1e-3)
    for said, surprise in zip(SAID, one, strict=True):
        assert loss_of_the_answer(model, tokenizer, said) == pytest.approx(surprise, abs=1e-3)


@pytest.mark.parametrize(
    "template", ["{% for m in messages %}{{ m.content }}|{% endfor %}{{ 'A:' if add_generation_prompt }}"]
)
def test_a_template_that_does_not_ask_before_the_answer_is_named(model: Any, tiny_model: Path, template: str) -> None:
    tokenizer = load_tokenizer(str(tiny_model))
    tokenizer.chat_template = template
    with pytest.raises(ValueError, match=r"asks with .*A:.* set task_epochs: 0"):
        answer_surprises(model, tokenizer, SAID, batch_size=4)


def test_log_odds_of_a_bfloat16_model_do_not_tie(tiny_model: Path, tokenizer: Any) -> None:
    model = opinionated(load_causal_lm(str(tiny_model)).bfloat16())
    found = verdict_log_odds(model, tokenizer, PROMPTS, WORDS, batch_size=4)
    assert [value for value in found if torch.tensor(value).bfloat16().item() == value] == []


def test_words_with_the_same_first_token_are_an_error(model: Any, tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="begin with the same token"):
        verdict_log_odds(model, tokenizer, PROMPTS, ("a1", "a2"), batch_size=4)


def test_rewards_do_not_depend_on_the_batch_size(reward_model: Any, tokenizer: Any) -> None:
    one, four = (rewards(reward_model, tokenizer, CONVERSATIONS, batch_size=size) for size in (1, 4))
    assert one == pytest.approx(four, abs=1e-4)
    assert max(one) - min(one) > 0.1


def test_nothing_to_do_gives_nothing(model: Any, tokenizer: Any) -> None:
    assert generate(model, tokenizer, [], max_new_tokens=8, batch_size=4) == []
    assert verdict_log_odds(model, tokenizer, [], WORDS, batch_size=4) == []
    assert answer_surprises(model, tokenizer, [], batch_size=4) == []
    assert rewards(model, tokenizer, [], batch_size=4) == []


def test_greedy_is_greedy_whatever_the_generation_config_says(tiny_model: Path, tokenizer: Any) -> None:
    told = [generate(opinionated(load_causal_lm(str(tiny_model))), tokenizer, PROMPTS, max_new_tokens=8, batch_size=6)]
    shy = opinionated(load_causal_lm(str(tiny_model)))
    shy.generation_config.repetition_penalty = 1.5
    told.append(generate(shy, tokenizer, PROMPTS, max_new_tokens=8, batch_size=6))
    assert told[0] == told[1]


@pytest.mark.parametrize("use", ["generate", "verdict_log_odds", "answer_surprises", "rewards"])
def test_a_full_gpu_is_an_error_that_says_what_to_lower(
    model: Any, reward_model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    def full(*arguments: Any, **options: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    uses = {
        "generate": lambda: generate(model, tokenizer, PROMPTS, max_new_tokens=2, batch_size=3),
        "verdict_log_odds": lambda: verdict_log_odds(model, tokenizer, PROMPTS, WORDS, batch_size=3),
        "answer_surprises": lambda: answer_surprises(model, tokenizer, CONVERSATIONS, batch_size=3),
        "rewards": lambda: rewards(reward_model, tokenizer, CONVERSATIONS, batch_size=3),
    }
    for whole in (model, reward_model):
        monkeypatch.setattr(whole, "forward", full)
    with pytest.raises(MemoryError, match=r"GPU is full with 3 cases at a time: lower .*_batch_size") as told:
        uses[use]()
    assert "\n" not in str(told.value)
