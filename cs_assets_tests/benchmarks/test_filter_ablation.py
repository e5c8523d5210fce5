"""The filter's ablation at a small size: equal steps, one test, the right shares, and no training twice."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks import filter_ablation
from benchmarks.filter_ablation import ARMS, arms, catches
from cs_assets.evaluation.predicting import Exam


def test_a_small_run_ends_with_one_json_object_and_a_second_trains_nothing(
    tiny_model: Path,
    scenarios: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[list[str]] = []
    said = Exam.said

    def recorded(self: Exam, *arguments: Any) -> list[str]:
        asked.append(self.cases["message"].to_list())
        return said(self, *arguments)

    monkeypatch.setattr(Exam, "said", recorded)
    monkeypatch.setattr(filter_ablation, "damaged_twin", functools.cache(filter_ablation.damaged_twin))
    command = f"filter_ablation --base {tiny_model} --train 8 --test 4 --judge 16 --seeds 2 --work {tmp_path} --json"
    monkeypatch.setattr(sys, "argv", command.split())
    filter_ablation.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["damaged_variants"] == round(0.2 * found["variants"])
    assert found["pool"] == 24
    assert 0 < found["wrong"] == sum(kind["wrong"] for kind in found["damage"])
    assert len(asked) == len(ARMS) * 2
    assert all(messages == asked[0] for messages in asked)
    for arm in ARMS:
        assert [cell["seed"] for cell in found["arms"][arm]["seeds"]] == [17, 18]
        for cell in (found["arms"][arm], *found["arms"][arm]["seeds"]):
            assert cell["n"] == len(asked[0]) == 4
            assert cell["low"] <= cell["mean"] <= cell["high"]
    cells = {arm: found["arms"][arm]["seeds"] for arm in ARMS}
    assert {cell["steps"] for arm in ARMS for cell in cells[arm]} == {2}
    assert all(cell["rejected"] == 0 for cell in cells["kept"])
    assert all(0 < cell["rejected"] <= 0.5 for cell in cells["kept_rejected"])
    assert set(found["differences"]) == {"kept - kept_rejected", "kept - unfiltered", "kept_rejected - unfiltered"}

    monkeypatch.setattr(filter_ablation, "train_judge", None)
    monkeypatch.setattr(filter_ablation, "train_adapter", None)
    filter_ablation.main()
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(asked) == len(ARMS) * 2
    assert again | {"date": "", "machine": ""} == found | {"date": "", "machine": ""}

    for changed in (
        command.replace("--judge 16", "--judge 20"),
        f"{command} --task-epochs 2",
        f"{command} --batch-size 2",
    ):
        monkeypatch.setattr(sys, "argv", changed.split())
        with pytest.raises(TypeError, match="'NoneType' object is not callable"):  # another judge, not there yet
            filter_ablation.main()


def pool_of(kept: int, rejected: int) -> pl.DataFrame:
    """Return a pool of so many kept and rejected samples."""
    flags = [True] * kept + [False] * rejected
    names = [f"train-{number:05d}" for number in range(len(flags))]
    return pl.DataFrame({"sample_id": names, "kept": flags, "reason": ["" if flag else "rule: x" for flag in flags]})


def test_the_arms_have_equal_size_and_the_shares_that_they_are_named_for() -> None:
    found = arms(pool_of(40, 20), 20, seed=3)
    assert {arm: samples.height for arm, samples in found.items()} == dict.fromkeys(ARMS, 20)
    assert all(samples["sample_id"].is_unique().all() for samples in found.values())
    assert [found[arm]["kept"].sum() for arm in ("kept", "kept_rejected")] == [20, 10]
    assert 0 < found["unfiltered"]["kept"].sum() < 20
    assert set(found["kept_rejected"].filter("kept")["sample_id"]) < set(found["kept"]["sample_id"])
    again, other = (arms(pool_of(40, 20), 20, seed)["kept_rejected"] for seed in (3, 4))
    assert found["kept_rejected"].equals(again)
    assert not found["kept_rejected"].equals(other)


def test_where_few_were_rejected_all_of_them_are_added() -> None:
    assert arms(pool_of(40, 3), 20, seed=3)["kept_rejected"]["kept"].sum() == 17


def test_a_filter_that_keeps_too_few_is_named() -> None:
    with pytest.raises(ValueError, match=r"kept 10 of 60 samples, an arm needs 20; it rejected for: \{'rule': 50\}"):
        arms(pool_of(10, 50), 20, seed=3)


def test_what_rules_and_judge_caught() -> None:
    rows = [  # sample_id, violations, score, kept, reason
        ("train-0", [], 0.9, True, ""),
        ("train-1", [], 0.2, False, "judge: score 0.2 below 0.5"),
        ("train-2", ["copied: x"], 0.8, False, "rule: copied: x"),
        ("train-3", [], 0.1, False, "judge: score 0.1 below 0.5"),
        ("train-4", [], 0.7, True, ""),
    ]
    columns = ["sample_id", "violations", "score", "kept", "reason"]
    filtered = pl.DataFrame(rows, schema=columns, orient="row").with_columns(fold=pl.lit("train"))
    found = catches(filtered, {"train-2": "lost", "train-3": "added", "train-4": "added", "judge-9": "lost"}, 0.5)
    assert (found["pool"], found["wrong"]) == (5, 3)
    assert found["caught"] == {
        "rules": {"precision": 1.0, "recall": pytest.approx(1 / 3)},
        "judge": {"precision": 0.5, "recall": pytest.approx(1 / 3)},
        "either": {"precision": pytest.approx(2 / 3), "recall": pytest.approx(2 / 3)},
    }
    # Right ones of 0.9 and 0.2 against wrong ones of 0.1 and 0.7: three of four pairs stand right.
    assert found["judge_auc"] == pytest.approx(0.75)
    assert found["damage"] == [
        {"damage": "added", "wrong": 2, "rules": 0.0, "judge": 0.5, "either": 0.5},
        {"damage": "lost", "wrong": 1, "rules": 1.0, "judge": 0.0, "either": 1.0},
    ]
    nothing = catches(filtered.with_columns(score=pl.lit(1.0)), {"train-4": "added"}, 0.0)
    assert nothing["caught"]["judge"] == {"precision": None, "recall": 0.0}
