"""The reward model: it prefers what was chosen, and head and adapter come back from the folder."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file

from cs_assets.learning import models, reward
from cs_assets.learning.adapters import AdapterSettings, Method
from cs_assets.learning.inference import rewards
from cs_assets.learning.models import load_reward_lm, load_tokenizer, load_trainable_reward_lm
from cs_assets.learning.reward import (
    Preference,
    RewardSettings,
    pair_loss,
    settings_to_start_at,
    train_reward_model,
)
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets_tests.learning.conftest import SMALL, losses
from cs_assets_tests.tiny_model import write_tiny_model

SETTINGS = RewardSettings(**SMALL)
PAIRS = [
    Preference(prompt=[{"role": "user", "content": f"地址 {i}"}], chosen=f"正确 {i}", rejected=f"错误 {i}")
    for i in range(8)
]


def conversations(answer: str) -> list[list[dict[str, str]]]:
    return [[*pair.prompt, {"role": "assistant", "content": getattr(pair, answer)}] for pair in PAIRS]


def test_the_saved_model_gives_the_rewards_of_the_trained_one_and_prefers_the_chosen(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(model: Any, tokenizer: Any, folder: Path) -> None:
        trained.extend(rewards(model, tokenizer, conversations("chosen"), batch_size=3))
        original(model, tokenizer, folder)

    trained: list[float] = []
    original = reward.save_adapter
    monkeypatch.setattr(reward, "save_adapter", save)
    folder = tmp_path / "reward"
    log = train_reward_model(str(tiny_model), PAIRS, SETTINGS, folder, tmp_path / "work")
    model, tokenizer = load_reward_lm(str(tiny_model), str(folder)), load_tokenizer(str(folder))
    chosen, rejected = (rewards(model, tokenizer, conversations(a), batch_size=3) for a in ("chosen", "rejected"))
    assert chosen == pytest.approx(trained, abs=1e-4)
    assert all(good > bad for good, bad in zip(chosen, rejected, strict=True))
    assert losses(log)[-1] < losses(log)[0]


@pytest.fixture
def tuned(tiny_model: Path, tmp_path: Path) -> Path:
    """An adapter that has learnt the chosen answers, of another shape than the settings have."""
    learning = FineTuningSettings(**SMALL | {"rank": 2, "method": "dora"})
    train_adapter(str(tiny_model), conversations("chosen"), [], learning, tmp_path / "tuned", tmp_path / "tuned_work")
    return tmp_path / "tuned"


def test_it_starts_with_the_weights_of_the_tuned_adapter_and_trains_them_on(
    tiny_model: Path, tuned: Path, tmp_path: Path
) -> None:
    before = load_file(tuned / "adapter_model.safetensors")
    untouched = SETTINGS.model_copy(update={"learning_rate": 1e-12, "epochs": 0.25})
    found = {}
    for name, settings in (("untouched", untouched), ("trained", SETTINGS)):
        folder = tmp_path / name
        train_reward_model(str(tiny_model), PAIRS, settings, folder, tmp_path / f"{name}_work", start=str(tuned))
        found[name] = load_file(folder / "adapter_model.safetensors")
    assert {name for name in found["trained"] if "score" not in name} == set(before)
    assert all(torch.allclose(found["untouched"][name], weights, atol=1e-9) for name, weights in before.items())
    assert not any(torch.allclose(found["trained"][name], weights, atol=1e-4) for name, weights in before.items())
    model, tokenizer = load_reward_lm(str(tiny_model), str(tmp_path / "trained")), load_tokenizer(str(tiny_model))
    chosen, rejected = (rewards(model, tokenizer, conversations(a), batch_size=3) for a in ("chosen", "rejected"))
    assert all(good > bad for good, bad in zip(chosen, rejected, strict=True))


@pytest.mark.parametrize(
    ("tuned_by", "asked", "shaped"),
    [
        ({}, "lora", ("lora", 2)),
        ({"use_dora": True}, "lora", ("dora", 2)),
        ({}, "qlora", ("qlora", 2)),
        ({"use_dora": True}, "qlora", None),
        ({"use_rslora": True}, "qlora", None),
        ({}, "full", None),
    ],
)
def test_the_adapter_it_starts_at_decides_the_shape_and_not_whether_the_base_is_held_in_4_bits(
    tmp_path: Path, tuned_by: dict[str, bool], asked: Method, shaped: tuple[str, int] | None
) -> None:
    LoraConfig(r=2, target_modules=["q_proj"], **tuned_by).save_pretrained(str(tmp_path))
    found = settings_to_start_at(str(tmp_path), SETTINGS.model_copy(update={"method": asked}))
    assert (found and (found.method, found.rank)) == shaped


def test_an_adapter_of_another_base_is_refused(tuned: Path, tmp_path: Path) -> None:
    other = write_tiny_model(tmp_path / "other", shape="glm")
    with pytest.raises(ValueError, match="has no place in the base, so the adapter is of another one"):
        train_reward_model(str(other), PAIRS, SETTINGS, tmp_path / "m", tmp_path / "w", start=str(tuned))


def test_a_margin_asks_for_a_wider_gap(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 0.25})
    wide = [pair.model_copy(update={"margin": 2.0}) for pair in PAIRS]
    first = [
        losses(train_reward_model(str(tiny_model), pairs, settings, tmp_path / name, tmp_path / f"{name}_work"))[0]
        for name, pairs in (("plain", PAIRS), ("wide", wide))
    ]
    assert first == pytest.approx([0.693, 2.127], abs=0.05)


def log_sigmoid(value: float) -> float:
    return -math.log1p(math.exp(-value))


@pytest.mark.parametrize(("margin", "smoothing"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.3), (-0.4, 0.5), (1.5, 1.0)])
def test_the_loss_is_that_of_the_formula(margin: float, smoothing: float) -> None:
    chosen, rejected = [1.2, -0.3], [0.4, 0.9]
    expected = -sum(
        (1 - smoothing) * log_sigmoid(c - r - margin) + smoothing * log_sigmoid(r - c - margin)
        for c, r in zip(chosen, rejected, strict=True)
    )
    of_both = torch.full((2,), margin), torch.full((2,), smoothing)
    assert float(pair_loss(torch.tensor(chosen), torch.tensor(rejected), *of_both)) == pytest.approx(expected / 2)


def first_loss(tiny_model: Path, work: Path, pairs: list[Preference]) -> float:
    """The loss of one step over all pairs."""
    settings = SETTINGS.model_copy(update={"epochs": 1, "batch_size": len(pairs)})
    return losses(train_reward_model(str(tiny_model), pairs, settings, work / "model", work))[0]


def test_the_trainer_smooths_each_pair_by_its_own_number(tiny_model: Path, tmp_path: Path) -> None:
    def of(name: str, *smoothings: float) -> float:
        pairs = [
            pair.model_copy(update={"smoothing": smoothing, "margin": 2.0})
            for pair, smoothing in zip(PAIRS, smoothings * 4, strict=True)
        ]
        return first_loss(tiny_model, tmp_path / name, pairs)

    plain, opposite, half = of("plain", 0.0, 0.0), of("opposite", 1.0, 1.0), of("half", 0.5, 0.5)
    assert plain != pytest.approx(opposite, abs=1e-4)
    assert half == pytest.approx((plain + opposite) / 2, abs=1e-5)
    assert of("mixed", 1.0, 0.0) + of("mixed the other way", 0.0, 1.0) == pytest.approx(plain + opposite, abs=1e-5)


def test_a_pair_with_a_surely_wrong_label_is_the_swapped_pair(tiny_model: Path, tmp_path: Path) -> None:
    wrong = [pair.model_copy(update={"smoothing": 1.0}) for pair in PAIRS]
    swapped = [pair.model_copy(update={"chosen": pair.rejected, "rejected": pair.chosen}) for pair in PAIRS]
    found = [first_loss(tiny_model, tmp_path / str(place), pairs) for place, pairs in enumerate((wrong, swapped))]
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_full_trains_every_weight_in_float32_and_the_whole_model_comes_back(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"method": "full", "epochs": 6, "learning_rate": 3e-3})
    folder = tmp_path / "reward"
    train_reward_model(str(tiny_model), PAIRS, settings, folder, tmp_path / "work")
    start, tuned = load_reward_lm(str(tiny_model)), load_reward_lm(str(tiny_model), str(folder))
    embeddings = [model.get_input_embeddings().weight for model in (start, tuned)]
    assert not (folder / "adapter_config.json").exists()
    assert not embeddings[0].equal(embeddings[1])
    chosen, rejected = (
        rewards(tuned, load_tokenizer(str(folder)), conversations(answer), batch_size=3)
        for answer in ("chosen", "rejected")
    )
    assert all(good > bad for good, bad in zip(chosen, rejected, strict=True))


@pytest.mark.parametrize(("method", "dtype"), [("full", torch.float32), ("lora", torch.bfloat16)])
def test_where_there_is_bfloat16_only_what_is_trained_as_a_whole_is_float32(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, method: Method, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(models, "_dtype", lambda: torch.bfloat16)
    model = load_trainable_reward_lm(str(tiny_model), AdapterSettings(method=method))
    assert {weights.dtype for name, weights in model.named_parameters() if "score" not in name} == {dtype}


def test_qlora_without_a_gpu_is_refused_and_not_trained_as_lora(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "device_name", lambda: "cpu")
    settings = SETTINGS.model_copy(update={"method": "qlora"})
    with pytest.raises(ValueError, match="qlora needs a GPU"):
        train_reward_model(str(tiny_model), PAIRS, settings, tmp_path / "model", tmp_path / "work")


def test_rewards_of_a_bfloat16_model_do_not_tie(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "_dtype", lambda: torch.bfloat16)
    settings = SETTINGS.model_copy(update={"epochs": 1})
    train_reward_model(str(tiny_model), PAIRS, settings, tmp_path / "model", tmp_path / "work")
    model = load_reward_lm(str(tiny_model), str(tmp_path / "model"))
    values = rewards(model, load_tokenizer(str(tiny_model)), conversations("chosen"), batch_size=3)
    assert model.score.weight.dtype == torch.float32
    assert [value for value in values if torch.tensor(value).bfloat16().item() == value] == []


def test_pairs_that_are_all_too_long_are_an_error_that_names_the_setting(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="longer than max_length 16; raise it"):
        train_reward_model(
            str(tiny_model),
            PAIRS,
            SETTINGS.model_copy(update={"max_length": 16}),
            tmp_path / "model",
            tmp_path / "work",
        )


def test_the_log_counts_the_pairs_that_were_trained_on(tiny_model: Path, tmp_path: Path) -> None:
    long = PAIRS[0].model_copy(update={"rejected": "很长" * 80})
    settings = SETTINGS.model_copy(update={"epochs": 1})
    log = train_reward_model(str(tiny_model), [long, *PAIRS], settings, tmp_path / "model", tmp_path / "work")
    assert (log.samples, log.steps) == (8, 4)


def test_a_cut_training_resumes_and_ends_as_an_undisturbed_one(
    tiny_model: Path, resumed_equals_undisturbed: Any
) -> None:
    resumed_equals_undisturbed(
        lambda folder, work, report: train_reward_model(str(tiny_model), PAIRS, SETTINGS, folder, work, report)
    )


def test_no_pairs_are_an_error_that_says_where_to_look(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="preference_pairs"):
        train_reward_model(str(tiny_model), [], SETTINGS, tmp_path / "reward", tmp_path / "work")
