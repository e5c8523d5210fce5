"""The LLM client against a real HTTP server on this machine: nothing is mocked between `complete` and the socket.

What does not belong here: prompts and the stages that send them.
"""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import resources.llm
from cs_assets_tests.llm_endpoint import PAID, Endpoint, Reply, completion, dripping, echo, failure
from resources.llm import LLM, Budget, ChatClient, ChatRequest, LLMError, ParseFailure, parse_json_object, request_key

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-marker-7f3a91"


@pytest.fixture
def cache_path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "llm.sqlite"


@pytest.fixture
def make_client(endpoint: Endpoint, cache_path: Path) -> Callable[..., ChatClient]:
    def make(**settings: Any) -> ChatClient:
        where = {"api_key": KEY, "base_url": endpoint.url, "model": "m", "cache_path": cache_path}
        pace = {"concurrency": 1, "max_attempts": 3, "backoff_seconds": 0.01, "timeout_seconds": 5}
        return ChatClient(**{**where, **pace, **settings})

    return make


MakeClient = Callable[..., ChatClient]


def ask(*prompts: str, purpose: str = "test") -> list[ChatRequest]:
    return [ChatRequest(messages=[{"role": "user", "content": prompt}], purpose=purpose) for prompt in prompts]


def test_a_rerun_makes_no_calls(endpoint: Endpoint, make_client: MakeClient) -> None:
    first = make_client(price_in=1.0, price_out=2.0).complete(ask("甲", "乙"))
    again = make_client(price_in=1.0, price_out=2.0).complete(ask("甲", "乙"))
    assert [r.text for r in first] == ["answer to 甲", "answer to 乙"]
    assert len(endpoint.bodies) == 2
    assert [r.cached for r in first + again] == [False, False, True, True]
    assert again == [r.model_copy(update={"cached": True}) for r in first]
    assert first[0].cost == pytest.approx((10 * 1.0 + 5 * 2.0) / 1e6)


def test_the_request_arrives_as_asked(endpoint: Endpoint, make_client: MakeClient) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"甲": {"type": "string"}}}
    parameters = {"temperature": 0.5, "top_k": 20}
    request = ChatRequest(messages=[{"role": "user", "content": "x"}], parameters=parameters, json_schema=schema)
    make_client().complete([request])
    body = endpoint.bodies[0]
    assert (body["model"], body["temperature"], body["top_k"]) == ("m", 0.5, 20)
    assert body["response_format"]["json_schema"]["schema"] == schema


def test_duplicates_are_sent_once(endpoint: Endpoint, make_client: MakeClient) -> None:
    client = make_client(concurrency=4)
    results = client.complete(ask("a", "b", "a", "a"))
    assert sorted(endpoint.prompts) == ["a", "b"]
    assert [r.text for r in results] == ["answer to a", "answer to b", "answer to a", "answer to a"]
    assert [r.cached for r in results] == [False, False, True, True]


def test_order_is_kept_and_concurrency_grows_to_its_limit(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: echo(prompt, nth)._replace(delay=0.002 * (7 - int(prompt) % 7))
    prompts = [str(i) for i in range(40)]
    client = make_client(concurrency=6)
    assert [r.text for r in client.complete(ask(*prompts))] == [f"answer to {p}" for p in prompts]
    assert client._pace.limit == 6
    assert 1 < endpoint.most_in_flight <= 6


def in_rounds(*sizes: int) -> Callable[[int], object]:
    """Let a call wait, by its number, until its whole round is in flight; too small a limit breaks the round."""
    rounds = [barrier for size in sizes for barrier in [threading.Barrier(size)] * size]
    return lambda nth: rounds[nth - 1].wait(5)


def test_concurrency_doubles_every_round_until_it_is_refused(endpoint: Endpoint, make_client: MakeClient) -> None:
    wait = in_rounds(4, 8, 16)

    def reply(prompt: str, nth: int) -> Reply:
        wait(nth)
        return echo(prompt, nth)

    endpoint.reply = reply
    make_client(concurrency=32).complete(ask(*map(str, range(4 + 8 + 16))))
    assert len(endpoint.bodies) == 4 + 8 + 16


def test_429_is_retried_and_halves_the_concurrency(endpoint: Endpoint, make_client: MakeClient) -> None:
    # 8 are refused; 4 may try, and after their answers 6: near what was refused, not one more
    wait = in_rounds(4, 8, 4, 6)
    in_flight: list[int] = []

    def reply(prompt: str, nth: int) -> Reply:
        in_flight.append(endpoint.in_flight)
        wait(nth)
        return failure(429) if 4 < nth <= 12 else echo(prompt, nth)

    endpoint.reply = reply
    client = make_client(concurrency=8)
    assert [r.status for r in client.complete(ask(*"abcdefghijklmn"))] == ["ok"] * 14
    # one burst of 429s halves the limit once
    assert client.ledger_totals().failed_calls == 8
    assert max(in_flight[12:16]) == 4


def test_a_slow_endpoint_costs_no_request_its_attempts(endpoint: Endpoint, make_client: MakeClient) -> None:
    let_in: list[float] = []

    def reply(prompt: str, nth: int) -> Reply:
        with endpoint.lock:
            if let_in and time.monotonic() - let_in[-1] < 0.1:
                return failure(429)
            let_in.append(time.monotonic())
        return echo(prompt, nth)

    endpoint.reply = reply
    client = make_client(concurrency=8, max_attempts=2)
    assert [r.status for r in client.complete(ask(*map(str, range(16))))] == ["ok"] * 16
    assert client.ledger_totals().failed_calls > 0


def test_an_endpoint_that_only_refuses_is_given_up(
    endpoint: Endpoint, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.llm, "LONGEST_REFUSAL_SECONDS", 0.2)
    endpoint.reply = lambda prompt, nth: failure(429, "slow down")
    with pytest.raises(LLMError, match=r"HTTP 429: .*slow down; 429 was the only answer for 0\.2 s"):
        make_client(concurrency=2).complete(ask(*"abcd"))


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_pauses_every_request(endpoint: Endpoint, make_client: MakeClient, as_date: bool) -> None:
    def reply(prompt: str, nth: int) -> Reply:
        until = format_datetime(datetime.now(UTC) + timedelta(seconds=1.4), usegmt=True)
        headers = {"Retry-After": until if as_date else "0.3"}
        return failure(429)._replace(headers=headers) if nth == 1 else echo(prompt, nth)

    endpoint.reply = reply
    assert [r.status for r in make_client().complete(ask("a", "b"))] == ["ok", "ok"]
    assert endpoint.times[1] - endpoint.times[0] >= 0.3


def test_a_retry_after_of_an_hour_is_not_waited_for(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: failure(429)._replace(headers={"Retry-After": "3600"})
    with pytest.raises(LLMError, match="waiting will not mend"):
        make_client().complete(ask("a"))


def test_a_used_up_quota_stops_at_once(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: failure(429, "You exceeded your quota", code="insufficient_quota")
    with pytest.raises(LLMError, match="quota"):
        make_client().complete(ask("a", "b"))
    assert len(endpoint.bodies) == 1


def test_exhausted_500s_say_what_was_kept(endpoint: Endpoint, make_client: MakeClient, cache_path: Path) -> None:
    endpoint.reply = lambda prompt, nth: failure(500) if prompt == "c" else echo(prompt, nth)
    with pytest.raises(LLMError, match=r"3 attempts failed.*HTTP 500.*2 new answers are kept in .*llm\.sqlite"):
        make_client().complete(ask(*"abcde"))
    assert endpoint.prompts == ["a", "b", "c", "c", "c"]


def test_after_500s_only_the_rest_is_paid(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: failure(503) if prompt == "c" else echo(prompt, nth)
    with pytest.raises(LLMError):
        make_client(concurrency=3).complete(ask(*"abc"))
    paid = [p for p in endpoint.prompts if p != "c"]
    endpoint.reply = echo
    assert all(r.status == "ok" for r in make_client().complete(ask(*"abc")))
    assert [p for p in endpoint.prompts if p != "c"] == paid


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_stops_at_once_and_is_not_shown(
    endpoint: Endpoint, make_client: MakeClient, cache_path: Path, status: int
) -> None:
    endpoint.reply = lambda prompt, nth: failure(status, f"Incorrect API key provided: {KEY}")
    client = make_client()
    with pytest.raises(LLMError, match="OPENAI_API_KEY") as caught:
        client.complete(ask(*"abcdef"))
    assert len(endpoint.bodies) == 1
    assert KEY not in "".join(map(str, [caught.value, caught.value.__cause__, caught.value.__context__]))
    assert all(KEY.encode() not in file.read_bytes() for file in cache_path.parent.iterdir())


@pytest.mark.parametrize(
    "reply",
    [
        failure(404, "The model `m` does not exist", code="model_not_found"),
        failure(404, "page not found"),
        failure(400, "Model Not Exist", code="invalid_request_error"),
        failure(400, "m is not a valid model ID"),
        failure(400, "no", param="model"),
        failure(400, "模型不存在，请检查模型代码。", code="1211"),
    ],
)
def test_an_unknown_model_names_the_settings(endpoint: Endpoint, make_client: MakeClient, reply: Reply) -> None:
    endpoint.reply = lambda prompt, nth: reply
    with pytest.raises(LLMError) as caught:
        make_client().complete(ask("a", "b"))
    assert all(word in str(caught.value) for word in ("OPENAI_MODEL", "OPENAI_BASE_URL", endpoint.url, "'m'"))
    assert len(endpoint.bodies) == 1


def test_one_request_that_is_refused_does_not_stop_the_others(endpoint: Endpoint, make_client: MakeClient) -> None:
    too_long = f"This model's maximum context length is 4096 tokens, key {KEY}"
    endpoint.reply = lambda prompt, nth: failure(400, too_long) if prompt == "b" else echo(prompt, nth)
    results = make_client().complete(ask(*"abc"))
    assert [r.status for r in results] == ["ok", "rejected", "ok"]
    assert "maximum context length" in str(results[1].error)
    assert KEY not in str(results[1].error)


def test_an_answer_that_would_fill_the_memory_is_rejected_and_not_asked_for_again(
    endpoint: Endpoint, make_client: MakeClient
) -> None:
    bodies = {"long": completion("x" * 50_000_000), "refused": failure(400, "x" * 50_000_000)}
    bomb = gzip.compress(b" " * 500_000_000, compresslevel=1)
    bodies["bomb"] = Reply(body=bomb, headers={"Content-Encoding": "gzip"})
    endpoint.reply = lambda prompt, nth: bodies.get(prompt) or echo(prompt, nth)
    results = make_client().complete(ask("long", "refused", "bomb", "good"))
    assert [result.status for result in results] == ["rejected"] * 3 + ["ok"]
    assert [str(result.error).rpartition(" sent ")[2] for result in results[:3]] == [
        "an answer of more than 4000000 bytes",
        "an answer of more than 4000000 bytes",
        "an answer of more than 64000 bytes",
    ]
    assert len(endpoint.bodies) == 4


def test_an_answer_that_never_ends_times_out(tmp_path: Path) -> None:
    with dripping() as url:
        client = ChatClient(
            api_key=KEY, base_url=url, model="m", cache_path=tmp_path / "c", timeout_seconds=0.3, max_attempts=1
        )
        with pytest.raises(LLMError, match="did not answer within timeout_seconds"):
            client.complete(ask("a"))


NO_TOKENS: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"[" * 500_000),
        completion("x", usage=NO_TOKENS | {"completion_tokens": -(10**6)}),
        completion("x", usage=NO_TOKENS | {"prompt_tokens": 10**30}),
        completion("x", usage=NO_TOKENS | {"prompt_tokens": "many"}),
    ],
    ids=["deep", "negative", "huge", "text"],
)
def test_a_hostile_answer_is_a_malformed_one(endpoint: Endpoint, make_client: MakeClient, reply: Reply) -> None:
    """A negative number of tokens would fill the budget up again."""
    endpoint.reply = lambda prompt, nth: reply
    with pytest.raises(LLMError, match=r"3 attempts failed.*sent (broken JSON|something that is no answer)"):
        make_client().complete(ask("a"))


def test_a_finish_reason_of_another_type_costs_no_answer(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: completion("x", finish_reason=["stop"])  # type: ignore[arg-type]
    [result] = make_client().complete(ask("a"))
    assert (result.text, result.finish_reason) == ("x", "['stop']")


def test_what_the_endpoint_says_forges_no_line_of_the_log(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: failure(400, "no\x1b[2J\n2026-01-01 - dagster - INFO - all is well\x00")
    [result] = make_client().complete(ask("a"))
    assert str(result.error).isprintable()
    assert "no [2J 2026-01-01 - dagster" in str(result.error)


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{KEY}#@127.0.0.1:1/v1",
        f"http://127.0.0.1:{KEY}/v1",
        f"http://[{KEY}/v1",
        f"{KEY}@127.0.0.1:9/v1",
        f"ftp://user:{KEY}@127.0.0.1/v1",
        f"http://127.0.0.1:9/v1 {KEY}",
        f"http://127.0.0.1:9/v1\n{KEY}",
        "",
    ],
)
def test_an_address_that_is_none_is_not_repeated(make_client: MakeClient, url: str) -> None:
    with pytest.raises(LLMError, match=r"^OPENAI_BASE_URL is no address: expected") as told:
        make_client(base_url=url)
    assert KEY not in "".join(traceback.format_exception(told.value))


@pytest.mark.parametrize("key", [f"{KEY}\n", f"Bearer {KEY}", f"{KEY}中", ""])
def test_a_key_that_was_copied_wrongly_is_not_repeated(make_client: MakeClient, key: str) -> None:
    with pytest.raises(LLMError, match=r"^OPENAI_API_KEY is empty or holds") as told:
        make_client(api_key=key)
    assert KEY not in "".join(traceback.format_exception(told.value))


@pytest.mark.parametrize("status", [200, 400, 401, 404, 422, 429, 500])
def test_secrets_that_the_endpoint_repeats_go_no_further(
    endpoint: Endpoint, make_client: MakeClient, cache_path: Path, status: int
) -> None:
    told = f"{KEY} at http://{KEY}-user:{KEY}-p%40ss@host/?token={KEY}-token, which is {KEY}-p@ss"
    refused = failure(status, told, code="insufficient_quota")  # a 429 that waiting will not mend
    endpoint.reply = lambda prompt, nth: completion(told) if status == 200 else refused
    url = endpoint.url.replace("http://", f"http://{KEY}-user:{KEY}-p%40ss@") + f"?token={KEY}-token#{KEY}"
    try:
        said = repr(make_client(base_url=url, max_attempts=1).complete(ask("a")))
    except LLMError as error:
        said = "".join(traceback.format_exception(error))
    assert endpoint.bodies
    assert KEY not in said
    assert KEY.encode() not in cache_path.read_bytes()
    assert status == 401 or "*** at http://***:***@host/?token=***, which is ***" in said


def test_timeouts_are_retried_then_raised(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: echo(prompt, nth)._replace(delay=0.7 if nth == 1 or prompt == "b" else 0)
    client = make_client(timeout_seconds=0.3, max_attempts=2)
    assert client.complete(ask("a"))[0].status == "ok"
    with pytest.raises(LLMError, match=r"2 attempts failed.*timeout_seconds"):
        client.complete(ask("b"))


def test_an_endpoint_that_is_not_there(make_client: MakeClient) -> None:
    with pytest.raises(LLMError, match=r"127\.0\.0\.1:9/v1 \(OPENAI_BASE_URL\) cannot be reached"):
        make_client(base_url="http://user:secret@127.0.0.1:9/v1", max_attempts=1).complete(ask("a"))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>welcome</html>", headers={"Content-Type": "text/html"}),
        Reply(body=b'{"choices": ['),
        Reply(body={"error": {"message": "upstream"}, "choices": None}),
        Reply(body={"choices": [{"index": 0, "message": None}]}),
        Reply(body={"choices": [{"index": 0, "message": {"content": ["a"]}}]}),
    ],
)
def test_a_200_without_an_answer_is_retried(endpoint: Endpoint, make_client: MakeClient, reply: Reply) -> None:
    endpoint.reply = lambda prompt, nth: reply if nth == 1 else echo(prompt, nth)
    assert make_client().complete(ask("a"))[0].text == "answer to a"


@pytest.mark.parametrize(("text", "expected"), [(None, None), ("", None), ("半\ud83d", "半?")])
def test_odd_answers_are_kept_too(
    endpoint: Endpoint, make_client: MakeClient, text: str | None, expected: str | None
) -> None:
    endpoint.reply = lambda prompt, nth: completion(text, "content_filter")
    result = make_client().complete(ask("a"))[0]
    assert (result.text, result.status) == (expected, "ok" if expected else "empty")
    assert expected or "content_filter" in str(result.error)
    assert make_client().complete(ask("a"))[0].cached
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize(
    ("budget", "calls"),
    [
        (Budget(max_calls=3), 3),
        (Budget(max_calls=0), 0),
        (Budget(), 5),
    ],
)
def test_the_budget_stops_at_the_right_call(
    endpoint: Endpoint, make_client: MakeClient, budget: Budget, calls: int
) -> None:
    client = make_client(budget=budget, price_in=1.0, price_out=2.0)
    results = client.complete(ask(*"abcde"))
    assert len(endpoint.bodies) == calls
    assert [r.status for r in results] == ["ok"] * calls + ["budget_exhausted"] * (5 - calls)
    assert client.ledger_totals().calls == calls


def test_the_call_budget_is_exact_with_concurrency_and_counts_retries(
    endpoint: Endpoint, make_client: MakeClient
) -> None:
    endpoint.reply = lambda prompt, nth: failure(500) if nth == 1 else echo(prompt, nth)._replace(delay=0.01)
    results = make_client(concurrency=8, budget=Budget(max_calls=7)).complete(ask(*"abcdefghijklmno"))
    assert len(endpoint.bodies) == 7
    assert sum(r.status == "ok" for r in results) == 6


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(concurrency=st.integers(1, 8), money=st.integers(0, 999), tokens=st.integers(0, 999))
def test_tokens_and_money_are_used_up_and_never_overrun(
    endpoint: Endpoint, make_client: MakeClient, tmp_path: Path, concurrency: int, money: int, tokens: int
) -> None:
    endpoint.reply = lambda prompt, nth: echo(prompt, nth)._replace(delay=0.003)
    parameters: dict[str, Any] = {"max_tokens": PAID["completion_tokens"]}
    requests = [request.model_copy(update={"parameters": parameters}) for request in ask(*map(str, range(70)))]
    # a call costs 15 tokens and 20 units of money; the endpoint may count as many prompt tokens as there are bytes
    bytes_sent = len(json.dumps(requests[-1].model_dump(), ensure_ascii=False).encode())
    client = make_client(
        cache_path=tmp_path / uuid.uuid4().hex,
        concurrency=concurrency,
        budget=Budget(max_money=money / 1e6, max_tokens=tokens),
        price_in=1.0,
        price_out=2.0,
    )
    results, totals = client.complete(requests), client.ledger_totals()
    left_tokens, left_money = tokens - totals.tokens_in - totals.tokens_out, round(money - totals.cost * 1e6, 3)
    assert min(left_tokens, left_money) >= 0
    assert left_tokens < bytes_sent + 5 or left_money < bytes_sent + 2 * 5
    assert [r.status for r in results].count("ok") == totals.calls
    assert {r.status for r in results} <= {"ok", "budget_exhausted"}


def test_a_budget_is_used_to_the_last_cent() -> None:
    budget = Budget(max_money=0.3)
    # 0.1 + 0.1 + 0.1 is more than 0.3 in floating point
    for _ in range(3):
        assert budget.reserve(0, 0.1)
        budget.settle((0, 0.1), resources.llm._Answer("", "stop", 0, 0, 0.1))
    with pytest.raises(resources.llm._Exhausted, match=r"0\.3 of 0\.3 money spent, and a call may take 0\.1"):
        budget.reserve(0, 0.1)


def test_a_spent_budget_still_serves_the_cache(endpoint: Endpoint, make_client: MakeClient) -> None:
    make_client().complete(ask("a"))
    results = make_client(budget=Budget(max_calls=0)).complete(ask("a", "b"))
    assert [r.status for r in results] == ["ok", "budget_exhausted"]
    assert "0 of 0 calls" in str(results[1].error)


def test_an_endpoint_without_usage_still_uses_up_the_budget(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: completion("五十汉字" * 12, usage=None)
    results = make_client(budget=Budget(max_tokens=100)).complete(ask("a", "b"))
    assert [r.status for r in results] == ["ok", "budget_exhausted"]


def test_the_ledger_adds_up(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: failure(500) if nth == 1 else echo(prompt, nth)
    client = make_client(price_in=1e6)
    _, wasted = client.complete(ask("a", "b", purpose="templates"))
    client.complete(ask("a", purpose="templates") + ask("c", purpose="replies"))
    client.mark_wasted(wasted.key)
    templates, everything = client.ledger_totals("templates"), client.ledger_totals()
    assert (templates.calls, templates.failed_calls, templates.cache_hits) == (3, 1, 1)
    assert (templates.tokens_in, templates.tokens_out, templates.cost) == (20, 10, 20.0)
    assert (templates.wasted_calls, templates.wasted_cost) == (1, wasted.cost)
    assert (everything.calls, everything.cost) == (4, 30.0)
    assert client.ledger_totals("nothing").cost == 0.0
    assert client.complete(ask("b"))[0].cached


SCRIPT = """
import sys
from resources.llm import ChatClient, ChatRequest
url, path, *prompts = sys.argv[1:]
client = ChatClient(api_key="k", base_url=url, model="m", cache_path=path, concurrency=1)
requests = [ChatRequest(messages=[{"role": "user", "content": p}]) for p in prompts]
print(sum(result.cached for result in client.complete(requests)))
"""


def start_process(endpoint: Endpoint, cache_path: Path, *prompts: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, endpoint.url, str(cache_path), *prompts]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_processes_share_a_cache(endpoint: Endpoint, make_client: MakeClient, cache_path: Path) -> None:
    other = start_process(endpoint, cache_path, *"abcdef")
    assert not any(r.cached for r in make_client().complete(ask(*"ghijkl")))
    assert other.communicate(timeout=30)[0].strip() == "0"
    assert all(r.cached for r in make_client().complete(ask(*"abcdefghijkl")))
    assert len(endpoint.bodies) == make_client().ledger_totals().calls == 12


def test_two_runs_that_want_the_same_at_once_pay_once(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda prompt, nth: echo(prompt, nth)._replace(delay=0.05)
    clients, together = [make_client(), make_client()], threading.Barrier(2)

    def complete(client: ChatClient) -> list[str | None]:
        together.wait(10)
        return [result.text for result in client.complete(ask(*"abcdefgh"))]

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(complete, clients)
    assert one == other
    assert sorted(endpoint.prompts) == [*"abcdefgh"]


def test_kill_9_loses_nothing_that_was_paid(endpoint: Endpoint, make_client: MakeClient, cache_path: Path) -> None:
    reached, go_on = threading.Event(), threading.Event()

    def reply(prompt: str, nth: int) -> Reply:
        if nth == 4:
            reached.set()
            go_on.wait(10)
        return echo(prompt, nth)

    endpoint.reply = reply
    process = start_process(endpoint, cache_path, *"abcdef")
    assert reached.wait(20)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    go_on.set()
    assert [r.cached for r in make_client().complete(ask(*"abcdef"))] == [True] * 3 + [False] * 3


def test_an_answer_that_cannot_be_stored_is_an_error(
    endpoint: Endpoint, make_client: MakeClient, cache_path: Path
) -> None:
    client = make_client()
    with sqlite3.connect(cache_path) as database:
        database.execute("DROP TABLE ledger")
    with pytest.raises(LLMError, match=f"{cache_path} cannot serve as LLM cache .no such table: ledger.: move it away"):
        client.complete(ask("a", "b", "c"))
    assert len(endpoint.bodies) == 1


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cache_that_was_cut_is_named_with_what_to_do(make_client: MakeClient, cache_path: Path, share: float) -> None:
    client = make_client()
    client.complete(ask(*(f"{number} {'字' * 400}" for number in range(20))))
    client.cache._db.close()
    os.truncate(cache_path, cache_path.stat().st_size // 2)
    with pytest.raises(LLMError, match=f"{cache_path}.*move it away"):
        make_client().complete(ask(*(f"{number} {'字' * 400}" for number in range(20))))


@pytest.mark.parametrize("rest", [20_000, 120_000], ids=["to open it", "to keep an answer"])
def test_a_full_disk_is_told_with_what_to_do(
    endpoint: Endpoint, make_client: MakeClient, small_disk: Path, rest: int
) -> None:
    endpoint.reply = lambda prompt, nth: completion("字" * 60_000)
    (small_disk / "ballast").write_bytes(bytes(512 * 1024 - rest))
    with pytest.raises(LLMError, match=f"{small_disk}.* cannot serve as LLM cache .*: make room on its disk"):
        make_client(cache_path=small_disk / "llm.sqlite").complete(ask("a", "b", "c"))
    (small_disk / "ballast").unlink()
    assert make_client(cache_path=small_disk / "llm.sqlite").complete(ask("a"))[0].text


def test_a_file_that_is_no_cache_is_named(make_client: MakeClient, cache_path: Path) -> None:
    cache_path.parent.mkdir()
    cache_path.write_text("this is not a database, but long enough to look like a file " * 20)
    with pytest.raises(LLMError, match=r"llm\.sqlite cannot serve as LLM cache"):
        make_client()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def reversed_dicts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reversed_dicts(item) for key, item in reversed(value.items())}
    return [reversed_dicts(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(min_size=6, max_size=9), JSON_VALUES, max_size=4))
def test_the_key_does_not_depend_on_dict_order(mapping: dict[str, Any]) -> None:
    def request(values: dict[str, Any]) -> ChatRequest:
        message = {"role": "user", "content": "x", **values}
        return ChatRequest(messages=[message], parameters={"a" * 9: values}, json_schema=values, purpose=str(values))

    assert request_key(request(mapping)) == request_key(request(reversed_dicts(mapping)))


def test_the_key_depends_on_everything_that_is_sent() -> None:
    messages = [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]
    requests = [
        ChatRequest(messages=messages),
        ChatRequest(messages=messages[::-1]),
        ChatRequest(messages=messages, model="m"),
        ChatRequest(messages=messages, parameters={"seed": 1}),
        ChatRequest(messages=messages, json_schema={}),
    ]
    assert len({request_key(r) for r in requests}) == len(requests)


@pytest.mark.parametrize("name", ["model", "messages", "stream", "n"])
def test_parameters_cannot_change_the_kind_of_answer(name: str) -> None:
    with pytest.raises(ValidationError, match=f"parameters may not set {name}"):
        ChatRequest(messages=[], parameters={name: 2})


@pytest.mark.parametrize(
    "text",
    [
        '{"问": "甲", "答": "乙"}',
        '\n```json\n{"问": "甲", "答": "乙"}\n```\n',
        '好的，按 {名字} 和 {{电话}} 改写：\n{"问": "甲", "答": "乙"}\n希望有帮助 [1]。',
        '<think>先试 {"问": "错", "答": "错"}</think>{"问": "甲", "答": "乙"}',
        '还没想好 {"问": </think>{"问": "甲", "答": "乙"}',
        '{"问": "甲", "答": "乙"} 或者 {"问": "甲", "答": "乙"}',
        '格式是 {"例": 1}，答案是 {"问": "甲", "答": "乙"}',
        '{"问": "甲", "答": "乙"}}',
    ],
)
def test_json_is_taken_where_that_is_safe(text: str) -> None:
    assert parse_json_object(text, ["问", "答"]) == {"问": "甲", "答": "乙"}


def test_line_breaks_braces_and_tags_inside_values_are_kept() -> None:
    parsed = parse_json_object('{"问": "第一行\n{{名字}} ]", "答": "</think>{"}', ["问", "答"])
    assert parsed == {"问": "第一行\n{{名字}} ]", "答": "</think>{"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON object"),
        ("抱歉，我不能回答。", "no JSON object"),
        ('["问", "答"]', "no JSON object"),
        ('{"问": "甲"}', "misses 答"),
        ('{"问": "甲", "答": "乙', "cut off"),
        ('{"问": "甲", "答": "乙"', "cut off"),
        ('```json\n{"问": "甲", ', "cut off"),
        ('{"问": "甲", "答": "乙", "内": {"问": "丙", "答": "丁"}, "尾', "cut off"),
        ('{\'外\': {"问": "甲", "答": "乙"}', "cut off"),
        ('[{"问": "甲", "答": "乙"}, {"问": "丙"', "cut off"),
        ('{"问": "甲", "答": "乙"} {"问": "丙", "答": ', "cut off"),
        ('{"问": "甲", "答": "乙"} {"问": "丙", "答": "丁"}', "2 different"),
        ('{"问": "甲", "问": "乙", "答": "丙"', "cut off"),
        ('{"问": "甲", "答": NaN', "cut off"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_json_is_refused_with_a_reason(text: str, reason: str) -> None:
    parsed = parse_json_object(text, ["问", "答"])
    assert isinstance(parsed, ParseFailure)
    assert reason in parsed.reason


@pytest.mark.parametrize(
    "text", ['{"问": "甲", "问": "乙"}', '{"问": NaN}', '{"问": "\\ud83d"}', "{问: 甲}", "{'问': '甲'}"]
)
def test_json_that_would_break_later_is_refused(text: str) -> None:
    assert isinstance(parse_json_object(text, ["问"]), ParseFailure)


@settings(deadline=None)
@given(st.text(alphabet='{}[]"\\:,问答a1 \n', max_size=60))
def test_parsing_never_fails(text: str) -> None:
    parsed = parse_json_object(text, ["问"])
    assert isinstance(parsed, ParseFailure) or "问" in parsed


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, min_size=1, max_size=4), st.data())
def test_a_cut_answer_is_never_taken(answer: dict[str, Any], data: st.DataObject) -> None:
    whole = json.dumps(answer, ensure_ascii=False)
    assert parse_json_object(whole, list(answer)) == answer
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert isinstance(parse_json_object(cut, list(answer)), ParseFailure)


def test_the_resource_builds_a_client(endpoint: Endpoint, cache_path: Path) -> None:
    llm = LLM(api_key=KEY, base_url=endpoint.url, model="m", cache_path=str(cache_path), max_calls=1)
    assert llm.configured()
    assert KEY not in repr(llm)
    assert [r.status for r in llm.client().complete(ask("a", "b"))] == ["ok", "budget_exhausted"]


def test_a_key_in_the_shell_alone_switches_nothing_on() -> None:
    llm = LLM(api_key=KEY, base_url="http://127.0.0.1:9/v1")
    assert not llm.configured()
    with pytest.raises(LLMError, match="no LLM endpoint is configured"):
        llm.client()


def test_a_model_without_a_key_is_an_error_that_names_it() -> None:
    llm = LLM(model="m", base_url="http://127.0.0.1:9/v1")
    for use in (llm.configured, llm.client):
        with pytest.raises(LLMError, match="OPENAI_API_KEY is missing"):
            use()


def test_no_endpoint_is_no_error_until_it_is_asked_for() -> None:
    assert not LLM().configured()
    with pytest.raises(LLMError, match=r"OPENAI_API_KEY, OPENAI_MODEL.*OPENAI_BASE_URL"):
        LLM().client()


def test_without_a_url_the_endpoint_is_openais(cache_path: Path) -> None:
    llm = LLM(api_key=KEY, model="m", cache_path=str(cache_path))
    assert llm.configured()
    assert str(llm.client()._openai.base_url) == "https://api.openai.com/v1/"


def test_a_money_budget_needs_prices() -> None:
    with pytest.raises(LLMError, match="price_in"):
        LLM(api_key=KEY, base_url="http://127.0.0.1:9/v1", model="m", max_money=1.0).client()
