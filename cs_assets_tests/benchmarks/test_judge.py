"""The judge's benchmark at a small size: everything is measured, trained alike, and a second run trains nothing."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import judge
from cs_assets.learning.kto import JudgeSettings
from cs_assets.learning.reward import RewardSettings
from cs_assets.learning.training import TrainingLog

KEPT = ("judge", "reward_head")
RESULTS = Path(judge.__file__).parent / "results"


def test_the_committed_picture_is_of_the_committed_result(tmp_path: Path) -> None:
    judge.draw_reliability(json.loads((RESULTS / "judge.json").read_text(encoding="utf-8")), tmp_path / "judge.svg")
    assert (tmp_path / "judge.svg").read_text(encoding="utf-8") == (RESULTS / "judge.svg").read_text(encoding="utf-8")


def test_a_small_run_ends_with_one_json_object_and_a_second_trains_nothing(
    tiny_model: Path,
    scenarios: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = (
        f"judge --base {tiny_model} --labelled 16 --new-templates 6 --epochs 2 --batch-size 4 --top-layers 1 "
        f"--task-epochs 1 --reward-head --work {tmp_path / 'work'} --json"
    )
    monkeypatch.setattr(sys, "argv", command.split())
    judge.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["train"] + found["calibration"] + found["test"] == 32
    assert (found["labelled"], found["new_templates"]["n"]) == (32, 12)
    assert found["judge"]["n"] == found["test"]
    for name in ("base", "verdict", "surprise", "implicit", "reward_head"):
        assert 0 <= found[name]["auc"] <= 1
    assert 0 <= found["reward_head"]["pairs"] <= 1
    assert found["judge"]["added_to_rules"].startswith("The judge adds ")
    assert sum(row["n"] for row in found["judge"]["reliability"]) == found["judge"]["n_after_rules"]
    used, head = found["settings"]["judge"], found["settings"]["reward_head"]
    assert (used["epochs"], used["batch_size"], used["top_layers"]) == (2, 4, 1)
    assert {name: head[name] for name in ("epochs", "top_layers", "seed", "rank")}.items() <= used.items()
    assert head["batch_size"] == 2  # pairs, of two sequences each
    [judge_log], [head_log] = (
        list(map(TrainingLog.load, (tmp_path / "work").glob(f"{name}-*/model"))) for name in KEPT
    )
    assert judge_log.steps == head_log.steps

    assert used["task_epochs"] == 1
    assert set(found["judge"]["scaling"]) == {"verdict", "surprise", "intercept"}

    monkeypatch.setattr(judge, "train_judge", None)
    monkeypatch.setattr(judge, "train_reward_model", None)
    monkeypatch.setattr(sys, "argv", f"{command} --output {tmp_path / 'judge.json'}".split())
    judge.main()
    judge.draw_reliability(found, tmp_path / "again.svg")
    assert (tmp_path / "judge.svg").read_bytes() == (tmp_path / "again.svg").read_bytes()
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert again | {"date": "", "machine": ""} == found | {"date": "", "machine": ""}

    monkeypatch.setattr(sys, "argv", f"{command} --epochs 1".split())  # else old figures would stand under new numbers
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        judge.main()


def test_a_learning_rate_given_is_that_of_both_and_else_each_has_its_own() -> None:
    settings = JudgeSettings(base_model="tiny", learning_rate=3e-4)
    assert judge.trained_alike(settings, 3e-4).learning_rate == 3e-4
    assert judge.trained_alike(settings, None).learning_rate == RewardSettings().learning_rate


def test_the_implicit_reward_ranks_where_probabilities_have_rounded_to_one() -> None:
    assert judge.implicit_rewards([60.0, -50.0, 60.0], [70.0, -45.0, 62.0], 0.5) == [5.0, 2.5, 1.0]
