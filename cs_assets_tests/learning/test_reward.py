"""The reward model: it prefers what was chosen, and head and adapter come back from the folder."""

from pathlib import Path
from typing import Any

import pytest

from cs_assets.learning import reward
from cs_assets.learning.inference import rewards
from cs_assets.learning.models import load_reward_lm, load_tokenizer
from cs_assets.learning.reward import Preference, RewardSettings, train_reward_model
from cs_assets_tests.learning.conftest import SMALL, losses

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


def test_a_margin_asks_for_a_wider_gap(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 0.25})
    wide = [pair.model_copy(update={"margin": 2.0}) for pair in PAIRS]
    first = [
        losses(train_reward_model(str(tiny_model), pairs, settings, tmp_path / name, tmp_path / f"{name}_work"))[0]
        for name, pairs in (("plain", PAIRS), ("wide", wide))
    ]
    assert first == pytest.approx([0.693, 2.127], abs=0.05)


def test_a_cut_training_resumes_and_ends_as_an_undisturbed_one(
    tiny_model: Path, resumed_equals_undisturbed: Any
) -> None:
    resumed_equals_undisturbed(
        lambda folder, work, report: train_reward_model(str(tiny_model), PAIRS, SETTINGS, folder, work, report)
    )


def test_no_pairs_are_an_error_that_says_where_to_look(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="preference_pairs"):
        train_reward_model(str(tiny_model), [], SETTINGS, tmp_path / "reward", tmp_path / "work")
