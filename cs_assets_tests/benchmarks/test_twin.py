"""The twin benchmark, small: both parts run, and its figures come from what was written."""

import json
import sys

import pytest

from benchmarks import twin


def test_a_small_run_ends_with_one_json_object(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(twin, "LOOP_ROWS", 200)
    monkeypatch.setattr(sys, "argv", ["twin", "--rows", "3000", "--json"])
    twin.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["samples"] == found["rows"] == 3000
    assert (found["incoherent"], found["broken"]) == (0, 0)
    assert found["ratio"] == pytest.approx(found["samples_s"] / found["loop_samples_s"], abs=0.06, rel=0.01)
    assert 100 < found["peak_rss_mb"] <= found["peak_rss_mb_all"]
