"""What every benchmark tells beside its figures: the command without places, a whole file, numbers made once."""

import argparse
import json
import sys
from pathlib import Path

import pytest

from benchmarks.outcome import add_result_options, circumstances, kept, tell, work_folder


def test_the_command_can_be_given_again_and_names_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["judge", "--base", "embedded", "--work", "/a/b", "--stock=--x y", "--output=/c.json", "--json"]
    monkeypatch.setattr(sys, "argv", given)
    found = circumstances("judge", "torch")
    assert found["command"] == "python -m benchmarks.judge --base embedded '--stock=--x y' --json"
    assert set(found["versions"]) == {"python", "torch"}
    assert found["machine"]["cores"] >= 1
    assert found["precision"] == "float32"
    assert "precision" not in circumstances("twin", "polars")


def test_a_result_is_written_whole_and_printed_in_the_last_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_result_options(parser)
    file = tmp_path / "results" / "found.json"
    found = {"损伤": 0.5}
    tell(found, parser.parse_args(["--json", "--output", str(file)]))
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(file.read_text(encoding="utf-8")) == found
    assert "损伤" in file.read_text(encoding="utf-8")
    tell(found, parser.parse_args([]))
    assert capsys.readouterr().out == ""


def test_numbers_are_made_once_and_a_given_folder_stays(tmp_path: Path) -> None:
    with work_folder(tmp_path / "work") as work:
        assert kept(work / "a" / "numbers.json", lambda: [1, 2.5]) == [1.0, 2.5]
    with work_folder(tmp_path / "work") as work:
        assert kept(work / "a" / "numbers.json", lambda: pytest.fail("made again")) == [1.0, 2.5]
    with work_folder(None) as passing:
        assert passing.is_dir()
    assert not passing.exists()
