"""RLOO and GRPO: the reward moves, beta holds the model back, and the result is an adapter as any."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.reinforcement import (
    Algorithm,
    ReinforcementLog,
    ReinforcementSettings,
    reinforce_adapter,
)
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets_tests.learning.conftest import SMALL, adapter_weights
from cs_assets_tests.tiny_model import write_tiny_model

PROMPTS = [[{"role": "user", "content": f"地址 {i}"}] for i in range(8)]
ANSWER_TOKENS = 8
CHANGED = {
    "learning_rate": 2e-2,
    "batch_size": 4,
    "generations": 8,
    "beta": 0.01,
    "checkpoint_steps": 100,
    "max_kl": 99,
}
SETTINGS = ReinforcementSettings(**SMALL | CHANGED)
Start = tuple[Path, Path]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A tiny base whose large embeddings let it prefer one token to another, and a hardly tuned adapter of it."""
    import torch
    from transformers import AutoModelForCausalLM

    place = tmp_path_factory.mktemp("start")
    base = write_tiny_model(place / "base")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(15)
    model.save_pretrained(base)
    return base, tune(base, place / "adapter", learning_rate=1e-6, epochs=1)


def tune(base: Path, folder: Path, **numbers: float) -> Path:
    """Return the folder of an adapter that says one thing, trained with these numbers."""
    samples = [[*PROMPTS[0], {"role": "assistant", "content": "请说"}]]
    train_adapter(str(base), samples, [], FineTuningSettings(**SMALL | numbers), folder, folder.with_name("tuning"))
    return folder


def divergence_from_the_base(base: Path, adapter: Path) -> float:
    """Return the mean KL divergence of the tuned model from the base, in nats per token of a prompt."""
    import torch

    ids = load_tokenizer(str(base)).apply_chat_template(
        PROMPTS[1], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        tuned, plain = (
            load_causal_lm(str(base), folder)(**ids).logits.log_softmax(-1) for folder in (str(adapter), None)
        )
    return float((tuned.exp() * (tuned - plain)).sum(-1).mean())


def readable(cases: Sequence[int], answers: Sequence[str]) -> list[float]:
    """A reward that a model which says any byte can find and move: the share of plain letters."""
    return [sum(letter.isascii() and letter.isalpha() for letter in answer) / ANSWER_TOKENS for answer in answers]


def number(cases: Sequence[int], answers: Sequence[str]) -> list[float]:
    """A reward that no answer changes."""
    return [float(case) for case in cases]


def reinforce(
    start: Start,
    folder: Path,
    work: Path,
    algorithm: Algorithm = "rloo",
    prompts: Sequence[list[dict[str, str]]] = PROMPTS,
    report: Report = silent,
    **changed: Any,
) -> ReinforcementLog:
    base, adapter = map(str, start)
    rewards = {"readable": (readable, 1.0), "number": (number, 0.5)}
    settings = SETTINGS.model_copy(update=changed)
    return reinforce_adapter(base, adapter, prompts, rewards, algorithm, settings, ANSWER_TOKENS, folder, work, report)


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_the_reward_rises_and_the_result_is_an_adapter_as_its_start(
    start: Start, tmp_path: Path, algorithm: Algorithm
) -> None:
    found = reinforce(start, tmp_path / "aligned", tmp_path / "work", algorithm, epochs=8)
    assert found.first["readable"] < 0.2
    assert found.last["readable"] > 0.6
    assert found.first["kl"] < 0.05 < found.last["kl"]
    assert found.last["reward"] == pytest.approx(found.last["readable"] + 0.5 * found.last["number"], abs=1e-3)
    assert found.metrics().items() >= {"readable_last": found.last["readable"], "stopped_by_kl": 0.0}.items()
    assert found.tokens > 8 * 64 * ANSWER_TOKENS  # epochs x answers; their prompts count too
    assert not [path for path in (tmp_path / "aligned").iterdir() if path.is_dir()]
    assert adapter_weights(tmp_path / "aligned").keys() == adapter_weights(start[1]).keys()


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_the_reference_is_the_tuned_adapter_and_not_the_base(
    start: Start, tmp_path: Path, algorithm: Algorithm
) -> None:
    tuned = tune(start[0], tmp_path / "tuned", learning_rate=2e-2, epochs=10)
    far = reinforce((start[0], tuned), tmp_path / "aligned", tmp_path / "work", algorithm, epochs=1, batch_size=8)
    assert far.steps == 1
    assert far.first["kl"] == pytest.approx(0, abs=1e-4)
    assert divergence_from_the_base(start[0], tuned) > 1  # what the KL would be with the base as the reference


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_a_high_beta_keeps_the_model_where_it_was(start: Start, tmp_path: Path, algorithm: Algorithm) -> None:
    found = reinforce(start, tmp_path / "aligned", tmp_path / "work", algorithm, epochs=4, beta=5.0)
    assert found.last["kl"] < 0.05


@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_the_training_ends_where_the_model_has_moved_too_far(
    start: Start, tmp_path: Path, algorithm: Algorithm
) -> None:
    first, again = (
        reinforce(start, tmp_path / "aligned", tmp_path / "work", algorithm, epochs=8, max_kl=0.05) for _ in range(2)
    )
    assert 1 < first.steps < 16
    assert first.last["kl"] > 0.05  # of the last step alone, as they are so few
    assert first.metrics()["stopped_by_kl"] == again.metrics()["stopped_by_kl"] == 1
    assert (again.resumed_at, again.steps, again.tokens) == (first.steps, first.steps, 0)
    assert again.last == first.last


def test_every_prompt_is_asked_though_the_last_step_is_not_full_of_them(start: Start, tmp_path: Path) -> None:
    def noting(cases: Sequence[int], answers: Sequence[str]) -> list[float]:
        asked.extend(cases)
        return number(cases, answers)

    asked: list[int] = []
    settings = SETTINGS.model_copy(update={"epochs": 1, "batch_size": 2, "gradient_accumulation": 2, "generations": 2})
    places = tmp_path / "aligned", tmp_path / "work"
    base, adapter = map(str, start)
    rewards = {"noting": (noting, 1.0)}
    log = reinforce_adapter(base, adapter, PROMPTS[:6], rewards, "rloo", settings, ANSWER_TOKENS, *places)
    assert (log.samples, log.steps) == (6, 2)
    assert sorted(Counter(asked).values()) == [2] * 4 + [4] * 2  # two answers a prompt; two stand in both steps


def test_fewer_prompts_than_a_step_takes_are_an_error_that_names_the_numbers(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"2 prompts .* batch_size 4 x gradient_accumulation 1.* raise `pairs`"):
        reinforce(start, tmp_path / "aligned", tmp_path / "work", prompts=PROMPTS[:2])
    assert not (tmp_path / "work").exists()


def test_a_cut_reinforcement_resumes_and_ends_as_an_undisturbed_one(
    start: Start, resumed_equals_undisturbed: Any
) -> None:
    changed: Any = {"batch_size": 2, "generations": 2, "epochs": 3, "checkpoint_steps": 2}
    resumed_equals_undisturbed(lambda folder, work, report: reinforce(start, folder, work, report=report, **changed))


def test_a_prompt_that_leaves_no_room_for_an_answer_is_not_asked(start: Start, tmp_path: Path) -> None:
    long = [{"role": "user", "content": "地址" * 60}]
    with pytest.raises(ValueError, match="max_length 128; raise it"):
        reinforce(start, tmp_path / "aligned", tmp_path / "work", prompts=[long])
    found = reinforce(start, tmp_path / "a", tmp_path / "w", prompts=[long, PROMPTS[1]], epochs=1, batch_size=1)
    assert found.samples == 1
    assert found.first["number"] == 1.0  # the case keeps its place


def test_no_prompts_are_an_error_that_says_where_to_look(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="preference_pairs"):
        reinforce(start, tmp_path / "aligned", tmp_path / "work", prompts=[])
