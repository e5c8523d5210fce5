"""`make demo` where something is wrong: the reason stands on the screen, not in a log of a thousand lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cs_assets_tests.conftest import copy_small_scenario

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("seed", "shown"),
    [
        ("你好，在吗", "60_bad.j2: round trip: no field has a value"),
        ("{{名字 | nofilter", "60_bad.j2, line 1: unexpected end of template"),
    ],
)
def test_a_bad_seed_is_named_with_file_and_reason(tmp_path: Path, seed: str, shown: str) -> None:
    copy_small_scenario(tmp_path / "scenarios")
    human = tmp_path / "scenarios" / "address_extraction" / "templates" / "human"
    (human / "60_bad.j2").write_text(seed, encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    settings = {"CS_SCENARIOS": str(tmp_path / "scenarios"), "PYTHONPATH": str(ROOT), "DAGSTER_HOME": str(tmp_path)}
    finished = subprocess.run(
        [sys.executable, "-m", "cs_assets.demo"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "CS_STORE"} | settings,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert finished.returncode == 1
    head = finished.stdout.partition("the run failed")[0]
    assert shown in head
    assert "[ 1/20] atomic_table" in head
    assert "were not executed" not in head
    assert not (tmp_path / "data" / "out" / "demo.json").exists()


def test_an_unknown_scenario_is_answered_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    finished = subprocess.run(
        [sys.executable, "-m", "cs_assets.demo", "--scenario", "nosuch"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert finished.returncode == 1
    assert "no scenario 'nosuch'" in finished.stdout
    assert "address_extraction" in finished.stdout
