"""The variants benchmark at a small size: the same endpoint, client, kill and budget, on 60 requests."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import variants
from benchmarks.endpoint import Call, Weather
from resources.llm import request_key

# Faster than the benchmark's own, and so bad that 60 requests meet everything.
ROUGH = Weather(
    permitted_per_s=60,
    burst=12,
    retry_after=0.0,
    latency=(0.02, 0.06),
    stall=0.7,
    http_500=0.05,
    stalled=0.02,
    reset=0.05,
    garbage=0.05,
    prose=0.1,
    cut=0.05,
    no_json=0.05,
    no_key=0.05,
)


def test_nothing_is_lost_repeated_or_overspent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results" / "variants.json"
    monkeypatch.setattr(variants, "Weather", lambda: ROUGH)
    monkeypatch.setattr(sys, "argv", ["variants.py", "--json", "--requests", "60", "--output", str(output)])
    variants.main()
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures == json.loads(output.read_text(encoding="utf-8"))

    assert (figures["requests"], figures["answered"], figures["failed"], figures["lost"]) == (60, 60, 0, 0)
    assert figures["plain"] + figures["repaired"] + figures["unreadable"] == 60
    assert figures["calls"] == figures["calls_in_ledger"]
    faults = ("http_429", "http_500", "timeouts", "resets", "garbage", "plain", "repaired", "unreadable")
    assert {fault: figures[fault] for fault in faults if not figures[fault]} == {}
    assert 0 < figures["share_of_permitted"] <= 1

    assert figures["killed_at"] >= 30
    assert figures["killed_at"] - figures["answered_but_not_cached"] <= figures["cached_at_kill"] < 60
    assert figures["from_cache_after_kill"] == figures["cached_at_kill"]
    assert figures["repeated_calls_after_kill"] == 0
    assert figures["answered_after_rerun"] == 60

    assert 0 < figures["spent_money"] <= figures["budget_money"]
    assert 0 <= figures["left_money"] < figures["a_call_may_cost"]
    assert figures["paid_by_budget"] + figures["refused_by_budget"] == 60
    assert figures["paid_and_cached"] == figures["paid_by_budget"]


def test_a_repeated_call_would_be_counted() -> None:
    def call(prompt: str, arrived: float, ended: float) -> Call:
        return Call(prompt=prompt, arrived=arrived, ended=ended, outcome="plain", in_flight=1)

    # "b" was held by the endpoint when the client was killed, "c" was never answered
    calls = [call("a", 1, 2), call("b", 2, 9), call("c", 6, 7), call("a", 6, 8)]
    assert variants.repeated_calls(calls, {"a", "b"}, killed=5) == 1


def test_the_requests_differ_and_their_number_is_checked() -> None:
    assert len({request_key(request) for request in variants.variant_requests(2000)}) == 2000
    with pytest.raises(ValueError, match="--requests 2001: there are 1 to 2000"):
        variants.variant_requests(2001)
