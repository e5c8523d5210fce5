"""Alignment by pairs: it starts at the tuned adapter, stays comparable to it, and its result is an adapter as any."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.learning import unpaired
from cs_assets.learning.adapters import Method
from cs_assets.learning.alignment import PREFERENCE_FIGURES, AlignmentLog, AlignmentSettings, _means, load_policy
from cs_assets.learning.dpo import align_by_dpo
from cs_assets.learning.models import load_causal_lm
from cs_assets.learning.reward import Preference
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.unpaired import _rows, align_by_kto
from cs_assets_tests.learning.conftest import SMALL, adapter_weights, losses

SETTINGS = AlignmentSettings(**SMALL)
Align = Callable[..., AlignmentLog]
both = pytest.mark.parametrize("align", [align_by_dpo, align_by_kto])


def pair(number: int) -> Preference:
    return Preference(
        prompt=[{"role": "user", "content": f"地址 {number}"}], chosen=f"正确 {number}", rejected=f"错误 {number}"
    )


PAIRS = [pair(number) for number in range(8)]


@both
def test_the_result_loads_like_an_sft_adapter_and_prefers_the_chosen_more_than_its_start(
    tiny_model: Path, tuned: Path, tmp_path: Path, align: Align
) -> None:
    folder = tmp_path / "aligned"
    log = align(str(tiny_model), str(tuned), PAIRS, SETTINGS, folder, tmp_path / "work")
    assert not [path for path in folder.iterdir() if path.is_dir()]
    assert adapter_weights(folder).keys() == adapter_weights(tuned).keys()
    start, aligned = (load_causal_lm(str(tiny_model), str(adapter)) for adapter in (tuned, folder))
    assert preference(aligned) > preference(start) + 0.1
    assert losses(log)[-1] < losses(log)[0]
    assert log.metrics().items() >= {"reward_margin_first": log.first["reward_margin"]}.items()
    assert log.last["reward_margin"] > log.first["reward_margin"] + 0.05
    assert AlignmentLog.load(folder) == log


def test_dpo_tells_how_many_of_its_pairs_are_ranked_right(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    log = align_by_dpo(str(tiny_model), str(tuned), PAIRS, SETTINGS, tmp_path / "aligned", tmp_path / "work")
    assert log.first["preference_accuracy"] < log.last["preference_accuracy"] == 1


def test_what_no_step_of_the_first_or_the_last_fifth_tells_is_left_out() -> None:
    steps = [{"loss": 1.0}, {"loss": 3.0, "rewards/margins": 0.5}]
    assert _means(steps, {"loss": "loss", **PREFERENCE_FIGURES}) == {"loss": 2.0, "reward_margin": 0.5}


def preference(model: Any) -> float:
    """Return how much more probable 正确 than 错误 is as the reply to the first pair, in nats."""
    from cs_assets.learning.models import load_tokenizer

    tokenizer = load_tokenizer(model.config.name_or_path)
    prompt = tokenizer.apply_chat_template(PAIRS[0].prompt, add_generation_prompt=True, return_dict=False)
    words = [tokenizer.encode(word, add_special_tokens=False)[0] for word in ("正确", "错误")]
    with torch.inference_mode():
        logits = model(torch.tensor([prompt])).logits[0, -1]
    return float(logits[words[0]] - logits[words[1]])


def test_the_reference_of_dpo_is_the_tuned_adapter(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 0.25, "beta": 5.0})
    log = align_by_dpo(str(tiny_model), str(tuned), PAIRS, settings, tmp_path / "aligned", tmp_path / "work")
    assert losses(log)[0] == pytest.approx(0.693147, abs=1e-5)  # ln 2: policy and reference agree


def test_the_reference_of_kto_is_the_tuned_adapter(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 0.25, "beta": 5.0})
    log = align_by_kto(str(tiny_model), str(tuned), PAIRS, settings, tmp_path / "aligned", tmp_path / "work")
    assert losses(log)[0] == pytest.approx(0.5, abs=1e-5)  # 1 - sigmoid(0): policy and reference agree


@given(pairs=st.integers(2, 12), a_batch=st.integers(2, 6).map(lambda half: 2 * half), seed=st.integers(0, 99))
def test_kto_takes_each_answer_once_and_never_estimates_the_kl_with_an_answer_to_the_same_prompt(
    pairs: int, a_batch: int, seed: int
) -> None:
    rows = _rows([pair(number) for number in range(pairs)], a_batch, seed)
    answers = {(row["completion"][0]["content"], row["label"]) for row in rows}
    assert len(rows) == len(answers) == 2 * pairs
    assert answers == {(f"{word} {number}", word == "正确") for word in ("正确", "错误") for number in range(pairs)}
    for start in range(0, len(rows), a_batch):
        prompts = [row["prompt"] for row in rows[start : start + a_batch]]
        assert all(own != other for own, other in zip(prompts, prompts[-1:] + prompts[:-1], strict=True))


def test_the_answers_come_in_an_order_of_the_seed() -> None:
    assert _rows(PAIRS, 4, 17) == _rows(PAIRS, 4, 17) != _rows(PAIRS, 4, 18)


def test_what_kto_estimates_the_kl_with_is_no_answer_to_the_prompt(
    tiny_model: Path, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(trainer: Any, tokenizer: Any, *arguments: Any) -> None:
        for row in trainer.train_dataset:
            prompt, mismatched = (tokenizer.decode(row[name]) for name in ("prompt_ids", "KL_completion_ids"))
            numbers.append([re.findall(r"\d+", text)[0] for text in (prompt, mismatched)])

    numbers: list[list[str]] = []
    monkeypatch.setattr(unpaired, "run_alignment", run)
    align_by_kto(str(tiny_model), str(tuned), PAIRS, SETTINGS, tmp_path / "aligned", tmp_path / "work")
    assert len(numbers) == 16
    assert all(own != other for own, other in numbers)


def test_kto_refuses_what_leaves_only_answers_to_the_same_prompt(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    places = str(tiny_model), str(tuned)
    with pytest.raises(ValueError, match=r"batch_size 1: .* at least 2 pairs, or take dpo"):
        align_by_kto(*places, PAIRS, SETTINGS.model_copy(update={"batch_size": 1}), tmp_path / "a", tmp_path / "w")
    with pytest.raises(ValueError, match="3 pairs with too few different prompts"):
        align_by_kto(*places, [pair(1)] * 3, SETTINGS, tmp_path / "a", tmp_path / "w")


@both
def test_prompts_that_are_all_too_long_are_an_error_that_names_the_setting(
    tiny_model: Path, tuned: Path, tmp_path: Path, align: Align
) -> None:
    settings = SETTINGS.model_copy(update={"max_length": 16})
    with pytest.raises(ValueError, match="max_length 16; raise it"):
        align(str(tiny_model), str(tuned), PAIRS, settings, tmp_path / "aligned", tmp_path / "work")


@both
def test_a_prompt_that_is_too_long_is_left_out(tiny_model: Path, tuned: Path, tmp_path: Path, align: Align) -> None:
    long = pair(8).model_copy(update={"prompt": [{"role": "user", "content": "很长" * 80}]})
    settings = SETTINGS.model_copy(update={"epochs": 1})
    log = align(str(tiny_model), str(tuned), [long, *PAIRS], settings, tmp_path / "aligned", tmp_path / "work")
    assert log.samples == 8


@both
def test_a_cut_alignment_resumes_and_ends_as_an_undisturbed_one(
    tiny_model: Path, tuned: Path, resumed_equals_undisturbed: Any, align: Align
) -> None:
    resumed_equals_undisturbed(
        lambda folder, work, report: align(str(tiny_model), str(tuned), PAIRS, SETTINGS, folder, work, report)
    )


@both
def test_no_pairs_are_an_error_that_says_where_to_look(
    tiny_model: Path, tuned: Path, tmp_path: Path, align: Align
) -> None:
    with pytest.raises(ValueError, match="preference_pairs"):
        align(str(tiny_model), str(tuned), [], SETTINGS, tmp_path / "aligned", tmp_path / "work")


@pytest.mark.parametrize(("method", "found"), [("prefix", "prefix"), ("full", "full")])
def test_only_a_lora_adapter_can_be_aligned(tiny_model: Path, tmp_path: Path, method: Method, found: str) -> None:
    settings = FineTuningSettings(**{**SMALL, "method": method, "epochs": 1})
    samples = [[*pair.prompt, {"role": "assistant", "content": "请说"}] for pair in PAIRS[:2]]
    train_adapter(str(tiny_model), samples, [], settings, tmp_path / "tuned", tmp_path / "work")
    with pytest.raises(ValueError, match=f"starts at a LoRA adapter, found the form {found}.*method: lora"):
        load_policy(str(tiny_model), str(tmp_path / "tuned"))


def test_a_folder_without_a_model_is_no_lora_adapter(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    shutil.copytree(tuned, tmp_path / "broken", ignore=shutil.ignore_patterns("adapter_config.json"))
    with pytest.raises(ValueError, match="found the form full"):
        load_policy(str(tiny_model), str(tmp_path / "broken"))
