"""The reward noise benchmark at a small size: every cell is measured, and a second run repeats no training."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import reward_noise
from cs_assets.learning.reward import Preference, train_reward_model


def test_a_small_run_ends_with_one_json_object_and_a_second_trains_nothing(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def train(base: str, pairs: list[Preference], *arguments: Any) -> None:
        trained[arguments[2].name] = {pair.margin for pair in pairs}
        starts.add(arguments[4])
        train_reward_model(base, pairs, *arguments)

    trained: dict[str, set[float]] = {}
    starts: set[str] = set()
    monkeypatch.setattr(reward_noise, "train_reward_model", train)
    # Strengths of eight untaught pairs know nothing; these change every pair that a remedy may change.
    monkeypatch.setattr(reward_noise, "out_of_fold_strengths", lambda *arguments: [-3.0, 0.1, *[3.0] * 6])
    monkeypatch.setattr(reward_noise, "SHARES", (0.25,))
    monkeypatch.setattr(reward_noise, "pairs_of", functools.cache(reward_noise.pairs_of))
    command = (
        f"reward_noise --base {tiny_model} --pairs 8 --test-pairs 4 --tuned 4 --batch-size 8 --work {tmp_path} --json"
    )
    monkeypatch.setattr(sys, "argv", command.split())
    reward_noise.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["pairs"], found["test_pairs"]) == (8, 4)
    assert {cell["flipped"] for cell in found["curve"]} == {0.25}
    assert [cell["remedy"] for cell in found["curve"]] == ["none", "flip", "smooth", "margin"]
    for cell in found["curve"]:
        assert cell["accuracy_low"] <= cell["accuracy"] <= cell["accuracy_high"]
        assert cell["n"] == 4
        assert {"accuracy_seen", "accuracy_unseen", "confidence", "calibration_error"} <= cell.keys()
    assert found["curve"][0]["wrong"] == 0.25
    assert found["tuned"] == 4
    assert [Path(start).name for start in starts] == ["tuned"]
    assert found["noise"] == {"strength_repeats": 1}
    assert found["command"].startswith("python -m benchmarks.reward_noise --base ")

    # A margin is computed from the truth, which nobody knows of a pair whose label is wrong.
    assert {remedy: margins == {0.0} for remedy, margins in trained.items()} == {
        "none": True, "flip": True, "smooth": True, "margin": False,
    }  # fmt: skip

    monkeypatch.setattr(reward_noise, "train_reward_model", None)
    reward_noise.main()
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["curve"] == found["curve"]

    for changed in ("--epochs 2", "--pairs 6"):  # else old figures would stand under new numbers
        monkeypatch.setattr(sys, "argv", f"{command} {changed}".split())
        with pytest.raises(TypeError, match="'NoneType' object is not callable"):
            reward_noise.main()


def test_what_the_strengths_tell_of_the_planted_labels() -> None:
    strengths = [-1.0, -2.0, 0.5, 1.0]
    assert reward_noise._detection("flip", strengths, {0, 2, 3}) == {"found": 1 / 3, "rightly": 1 / 2}
    assert reward_noise._detection("flip", strengths, set()) == {"found": None, "rightly": 0.0}
    assert reward_noise._detection("none", strengths, {0}) == {"found": None, "rightly": None}
