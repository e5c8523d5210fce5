"""Alignment by pairs: it starts at the tuned adapter, stays comparable to it, and its result is an adapter as any."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cs_assets.learning.adapters import Method
from cs_assets.learning.alignment import AlignmentSettings, load_policy
from cs_assets.learning.dpo import align_by_dpo
from cs_assets.learning.models import load_causal_lm
from cs_assets.learning.reward import Preference
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import TrainingLog
from cs_assets.learning.unpaired import _rows, align_by_kto
from cs_assets_tests.learning.conftest import SMALL, adapter_weights, losses

SETTINGS = AlignmentSettings(**SMALL)
PAIRS = [
    Preference(prompt=[{"role": "user", "content": f"地址 {i}"}], chosen=f"正确 {i}", rejected=f"错误 {i}")
    for i in range(8)
]
Align = Callable[..., TrainingLog]
both = pytest.mark.parametrize("align", [align_by_dpo, align_by_kto])


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


def test_kto_takes_each_answer_of_a_pair_once() -> None:
    rows = _rows(PAIRS)
    assert [(row["completion"][0]["content"], row["label"]) for row in rows[:2]] == [
        ("正确 0", True),
        ("错误 0", False),
    ]
    assert sum(row["label"] for row in rows) == len(rows) / 2 == len(PAIRS)


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


@pytest.mark.parametrize(("method", "found"), [("prefix", "PREFIX_TUNING"), ("full", "a full model")])
def test_only_a_lora_adapter_can_be_aligned(tiny_model: Path, tmp_path: Path, method: Method, found: str) -> None:
    settings = FineTuningSettings(**{**SMALL, "method": method, "epochs": 1})
    samples = [[*pair.prompt, {"role": "assistant", "content": "请说"}] for pair in PAIRS[:2]]
    train_adapter(str(tiny_model), samples, [], settings, tmp_path / "tuned", tmp_path / "work")
    with pytest.raises(ValueError, match=f"starts at a LoRA adapter, found {found}.*method: lora"):
        load_policy(str(tiny_model), str(tmp_path / "tuned"))


def test_a_folder_without_a_model_is_no_lora_adapter(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    shutil.copytree(tuned, tmp_path / "broken", ignore=shutil.ignore_patterns("adapter_config.json"))
    with pytest.raises(ValueError, match="found a full model"):
        load_policy(str(tiny_model), str(tmp_path / "broken"))
