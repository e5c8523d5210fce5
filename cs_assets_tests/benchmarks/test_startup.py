"""The startup benchmark on two scenarios: every figure is there, and what it makes is what it says."""

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import startup
from benchmarks.scenario_folders import make_scenarios
from cs_assets.scenario import load_scenario, scenario_names


def test_two_scenarios_end_with_one_json_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(startup, "_REPEATS", 1)
    command = f"startup --scenarios 2 --work {tmp_path} --json"
    monkeypatch.setattr(sys, "argv", command.split())
    startup.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["scenarios"] == 2
    assert all(found[name] > 0 for name in ("load_s", "first_step_s", "empty_step_s", "sensor_tick_s"))
    assert found["command"] == "python -m benchmarks.startup --scenarios 2 --json"


def test_made_scenarios_are_valid_and_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CS_SCENARIOS", str(tmp_path))
    assert make_scenarios(tmp_path, 3, templates=4) == scenario_names() == [f"scenario_000{n}" for n in range(3)]
    texts = [seed.text for name in scenario_names() for seed in load_scenario(name).seeds().values()]
    assert len(texts) == 12
    assert len(set(texts)) == 3 + 3
