"""Label noise: no model judges what it was trained on, and each remedy does what its formula says."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.learning import label_noise
from cs_assets.learning.label_noise import (
    NoiseSettings,
    out_of_fold_strengths,
    remedied,
    with_planted_noise,
)
from cs_assets.learning.reward import Preference, RewardSettings, reward_differences, train_reward_model
from cs_assets_tests.learning.conftest import SMALL

SETTINGS = RewardSettings(**SMALL)


def pair(number: int, prompt: int | None = None) -> Preference:
    text = f"地址 {number if prompt is None else prompt}"
    return Preference(prompt=[{"role": "user", "content": text}], chosen=f"正确 {number}", rejected=f"错误 {number}")


PAIRS = [pair(number) for number in range(12)]
# Clearly negative is below -1, clearly positive above 1: half of the median of the absolute values, which is 2.
STRENGTHS = [-2.0, -0.5, 0.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 4.0]


def remedy(name: Any) -> list[Preference]:
    return remedied(PAIRS, STRENGTHS, NoiseSettings(label_noise=name))


def test_no_remedy_leaves_the_pairs_as_they_are() -> None:
    assert remedy("none") == PAIRS


def test_flip_swaps_what_is_clearly_the_other_way() -> None:
    found = remedy("flip")
    assert (found[0].chosen, found[0].rejected) == (PAIRS[0].rejected, PAIRS[0].chosen)
    assert found[1:] == PAIRS[1:]


def test_smooth_gives_the_doubtful_their_probability_to_be_wrong_and_at_most_one_half() -> None:
    smoothing = [pair.smoothing for pair in remedy("smooth")]
    assert smoothing[:3] == pytest.approx([0.5, 0.5, 1 / (1 + math.exp(0.5))])
    assert smoothing[3:] == [0.0] * 9


def test_margin_is_the_strength() -> None:
    assert [pair.margin for pair in remedy("margin")] == STRENGTHS


@pytest.mark.parametrize("name", label_noise.REMEDIES)
def test_strengths_that_agree_with_the_labels_by_chance_change_nothing(name: Any) -> None:
    assert remedied(PAIRS, [-3.0, 3.0] * 6, NoiseSettings(label_noise=name)) == PAIRS


@given(share=st.floats(0, 1), seed=st.integers(0, 99))
def test_planted_noise_swaps_that_share_and_nothing_else(share: float, seed: int) -> None:
    noisy, places = with_planted_noise(PAIRS, share, seed)
    assert len(places) == round(share * len(PAIRS))
    for place, (before, after) in enumerate(zip(PAIRS, noisy, strict=True)):
        assert (after.chosen == before.rejected and after.rejected == before.chosen) == (place in places)
    assert with_planted_noise(PAIRS, share, seed) == (noisy, places)
    assert places <= with_planted_noise(PAIRS, 1.0, seed)[1]


def test_a_share_above_one_is_an_error() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        with_planted_noise(PAIRS, 1.2, 1)


def test_pairs_of_one_prompt_cannot_be_judged_out_of_fold(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same prompt"):
        out_of_fold_strengths(
            str(tiny_model), [pair(n, prompt=1) for n in range(4)], SETTINGS, NoiseSettings(), tmp_path
        )


def test_no_model_judges_a_prompt_that_it_was_trained_on(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[set[str]] = []
    judged: list[set[str]] = []

    def train(base: str, pairs: list[Preference], *rest: Any) -> Any:
        trained.append({str(pair.prompt) for pair in pairs})
        return train_reward_model(base, pairs, *rest)

    def differences(base: str, model: str, pairs: list[Preference], **sizes: Any) -> list[float]:
        judged.append({str(pair.prompt) for pair in pairs})
        return reward_differences(base, model, pairs, **sizes)

    monkeypatch.setattr(label_noise, "train_reward_model", train)
    monkeypatch.setattr(label_noise, "reward_differences", differences)
    twice = [pair(number, prompt=number // 2) for number in range(12)]
    noise, settings = NoiseSettings(strength_repeats=2), SETTINGS.model_copy(update={"epochs": 1})
    found = out_of_fold_strengths(str(tiny_model), twice, settings, noise, tmp_path)
    assert len(trained) == 4
    for seen, unseen in zip(trained, judged, strict=True):
        assert not seen & unseen
        assert seen | unseen == {str(pair.prompt) for pair in twice}
    assert trained[0] != trained[2]
    again = out_of_fold_strengths(str(tiny_model), twice, settings, noise, tmp_path)
    assert again == found
    assert len(trained) == 4  # what a cut run has judged stands in its work folder


def test_strengths_find_the_planted_noise_and_flip_mends_it(tiny_model: Path, tmp_path: Path) -> None:
    right = [pair(number) for number in range(32)]
    noisy, places = with_planted_noise(right, 0.2, seed=1)
    changed = {"epochs": 3, "batch_size": 8, "learning_rate": 2e-2, "checkpoint_steps": 100}
    settings = SETTINGS.model_copy(update=changed)
    noise = NoiseSettings(label_noise="flip", strength_repeats=1)
    strengths = out_of_fold_strengths(str(tiny_model), noisy, settings, noise, tmp_path)
    assert {place for place, strength in enumerate(strengths) if strength < 0} == places
    assert remedied(noisy, strengths, noise) == right
