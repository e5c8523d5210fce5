"""Template variants from an endpoint that limits, fails and garbles: is the permitted rate reached, is anything lost?

    python -m benchmarks.variants --json --output benchmarks/results/variants.json

The real `openai` client through `resources.llm.ChatClient` asks the endpoint of `benchmarks/endpoint.py`, which runs in
its own process on 127.0.0.1, for 2,000 different rewrites. Three scenarios, each with a fresh endpoint and cache:

- rate: all requests in one go. How much of what the endpoint permits is used, and what becomes of every request.
- kill: the client runs in a process of its own, which `kill -9` ends when half of the answers are out; a second client
  does the rest. What had been answered and cached must not be asked again; the endpoint counts, not the client.
- budget: money for half of the requests. It may not be overrun, and what it paid for must be in the cache.

The last line of `--json` is one object. Its words:

- permitted_per_s, reached_per_s, share_of_permitted: the calls that the rate limit would let in during the run (its
  rate x the seconds, plus the full bucket at the start), those that it let in, and their ratio. An error 500 or a reset
  has used its permission; answers_per_s counts the whole answers alone. The seconds run from the first request to the
  last answer, the ramp and the retries at the end included.
- lost: requests that are neither answered nor named as failed. A request that fails at every attempt ends the batch
  with an `LLMError`, and this benchmark with it; what was paid for stays in the cache.
- repaired: answers wrapped in prose whose JSON could safely be taken; unreadable: answers without usable JSON. They are
  whole answers: they are counted, booked as wasted and cached, and are not asked again.
- killed_at: answers that were out when `kill -9` came. repeated_calls_after_kill: calls, after it, for requests whose
  answer was in the cache. answered_but_not_cached: answers that the endpoint had sent in full and that had not reached
  the cache: between the last byte on the socket and the commit lies a moment that no client can close, as wide as the
  calls in flight. These are paid twice.
- budget_money, spent_money: the limit and the ledger's sum. What is left is less than a_call_may_cost, the most that
  the next call could have cost (all of max_tokens), and so too little to start one. unseen_money: what was generated
  for calls that failed before the answer was whole; some endpoints charge for that, and no client can know how much.
"""

import argparse
import itertools
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from benchmarks.endpoint import ANSWERS, Call, Weather, read_calls, running
from benchmarks.outcome import add_result_options, circumstances, tell
from resources.llm import Budget, ChatClient, ChatRequest, ChatResult, ParseFailure, parse_json_object, request_key

MODEL: Final = "loopback"
PURPOSE: Final = "template_variants"
MAX_TOKENS: Final = 320
# Yuan for a million tokens, about what a small hosted model costs.
PRICE_IN, PRICE_OUT = 2.0, 8.0
CONCURRENCY: Final = 64
# The client's time-out, as a share of the time for which the endpoint holds a stalled answer.
PATIENCE: Final = 0.8
_TEMPLATES: Final = (
    "{{名字.param.输出 | trim}}，{{电话}}，{{详细地址}}",
    "{{电话}} {{名字.param.输出 | trim}} {{地址.param.市 | trim}}{{地址.param.县 | trim}}{{详细地址}}",
    "收件人：{{名字.param.输出 | trim}}\n电话：{{电话}}\n地址：{{详细地址}}",
    "麻烦改一下地址，寄到{{详细地址}}，{{名字.param.输出 | trim}}收，{{电话}}",
    "{{详细地址}}　{{名字.param.输出 | trim}}　{{电话}}　{{邮编}}",
    "我搬家了，新地址{{地址.param.省 | trim}}{{地址.param.市 | trim}}{{详细地址}}，电话还是{{电话}}",
    "地址没写全，补一下：{{详细地址}}，找{{名字.param.输出 | trim}}",
    "帮我寄给朋友，{{名字.param.输出 | trim}}，{{电话}}，{{地址.param.县 | trim}}{{详细地址}}",
    "上面那个电话停机了，打{{电话}}，{{名字.param.输出 | trim}}",
    "{{名字.param.输出 | trim}}+{{电话}}+{{详细地址}}，尽快发",
)
_GOODS: Final = (
    *("内存条", "硬盘", "耳机", "充电器", "键盘", "猫粮", "纸尿裤", "运动鞋", "羽绒服", "电饭煲"),
    *("台灯", "书包", "茶叶", "面膜", "手机壳", "行李箱", "奶粉", "自行车", "投影仪", "保温杯"),
)
_TONES: Final = ("随口", "客气", "着急", "不耐烦", "啰嗦", "省略", "语音转写", "像发短信", "像填表", "带点方言味")
_PROMPT: Final = """下面是一条顾客消息的句式模版，双花括号里是模版参数。写三条意思相同、说法不同的句式。
买的是{goods}，语气{tone}。原样保留全部模版参数。只输出json：{{"variants": ["…"]}}

模版：
{template}"""


def variant_requests(count: int) -> list[ChatRequest]:
    """Return the first `count` of 2,000 different requests.

    Raises:
        ValueError: there are not so many.
    """
    prompts = [
        _PROMPT.format(goods=goods, tone=tone, template=template)
        for goods, tone, template in itertools.product(_GOODS, _TONES, _TEMPLATES)
    ]
    if not 1 <= count <= len(prompts):
        raise ValueError(f"--requests {count}: there are 1 to {len(prompts)}")
    parameters = {"temperature": 1.0, "max_tokens": MAX_TOKENS}
    return [
        ChatRequest(messages=[{"role": "user", "content": prompt}], parameters=parameters, purpose=PURPOSE)
        for prompt in prompts[:count]
    ]


def make_client(url: str, cache: Path, weather: Weather, budget: Budget | None = None) -> ChatClient:
    """Return the client that the stages use, with the prices and limits of this benchmark."""
    return ChatClient(
        api_key="loopback",
        base_url=url,
        model=MODEL,
        cache_path=cache,
        concurrency=CONCURRENCY,
        budget=budget,
        price_in=PRICE_IN,
        price_out=PRICE_OUT,
        timeout_seconds=PATIENCE * weather.stall,
    )


class Rate(BaseModel, frozen=True):
    """What one go at all requests reached; calls are counted by the endpoint. The module tells the words."""

    requests: int
    answered: int
    failed: int
    lost: int
    seconds: float
    permitted_per_s: float
    reached_per_s: float
    share_of_permitted: float
    answers_per_s: float
    concurrency_peak: int
    calls: int
    calls_in_ledger: int
    most_calls_for_one_request: int
    http_429: int
    http_500: int
    timeouts: int
    resets: int
    garbage: int
    plain: int
    repaired: int
    unreadable: int
    money: float


class Kill(BaseModel, frozen=True):
    """What `kill -9` cost. The module tells the words."""

    killed_at: int
    cached_at_kill: int
    answered_but_not_cached: int
    repeated_calls_after_kill: int
    answered_after_rerun: int
    from_cache_after_kill: int


class Spending(BaseModel, frozen=True):
    """Where a money budget stopped the client. The module tells the words."""

    budget_money: float
    spent_money: float
    left_money: float
    a_call_may_cost: float
    unseen_money: float
    paid_by_budget: int
    paid_and_cached: int
    refused_by_budget: int


def measure_rate(requests: Sequence[ChatRequest], weather: Weather, folder: Path) -> Rate:
    """Send everything in one go."""
    with running(weather, folder / "calls") as url:
        client = make_client(url, folder / "cache", weather)
        began = time.monotonic()
        results = client.complete(requests)
        seconds = time.monotonic() - began
    calls = read_calls(folder / "calls")
    outcomes = Counter(call.outcome for call in calls)
    let_in = len(calls) - outcomes["http_429"]
    permitted = weather.permitted_per_s + weather.burst / seconds
    answered = sum(result.text is not None for result in results)
    failed = sum(result.text is None and result.error is not None for result in results)
    readable = _read_answers(client, results)
    totals = client.ledger_totals()
    return Rate(
        requests=len(requests),
        answered=answered,
        failed=failed,
        lost=len(requests) - answered - failed,
        seconds=round(seconds, 1),
        permitted_per_s=round(permitted, 2),
        reached_per_s=round(let_in / seconds, 2),
        share_of_permitted=round(let_in / seconds / permitted, 3),
        answers_per_s=round(answered / seconds, 2),
        concurrency_peak=max(call.in_flight for call in calls),
        calls=len(calls),
        calls_in_ledger=totals.calls,
        most_calls_for_one_request=max(Counter(call.prompt for call in calls).values()),
        http_429=outcomes["http_429"],
        http_500=outcomes["http_500"],
        timeouts=outcomes["stalled"],
        resets=outcomes["reset"],
        garbage=outcomes["garbage"],
        plain=readable["plain"],
        repaired=readable["repaired"],
        unreadable=readable["unreadable"],
        money=round(totals.cost, 6),
    )


def _read_answers(client: ChatClient, results: Iterable[ChatResult]) -> Counter[str]:
    """Count the answers by what could be made of them, and book the useless ones as wasted, as the stage does."""
    counts: Counter[str] = Counter()
    for result in results:
        if result.text is None:
            continue
        if isinstance(parse_json_object(result.text, {"variants"}), ParseFailure):
            client.mark_wasted(result.key)
            counts["unreadable"] += 1
        else:
            counts["plain" if result.text.startswith("{") else "repaired"] += 1
    return counts


def _complete(url: str, cache: Path, weather: Weather, requests: Sequence[ChatRequest]) -> None:
    make_client(url, cache, weather).complete(requests)


def measure_kill(requests: Sequence[ChatRequest], weather: Weather, folder: Path) -> Kill:
    """Kill the client when half of the answers are out, and let another one do the rest.

    Raises:
        RuntimeError: the first client ended before it could be killed.
    """
    log, cache = folder / "calls", folder / "cache"
    with running(weather, log) as url:
        first = get_context("spawn").Process(target=_complete, args=(url, cache, weather, requests))
        first.start()
        while len(_answers(read_calls(log))) < len(requests) // 2:
            if not first.is_alive():
                raise RuntimeError(f"the client ended by itself with exit code {first.exitcode}")
            time.sleep(0.1)
        first.kill()
        first.join()
        killed, cached = time.monotonic(), _cached_prompts(cache, requests)
        results = make_client(url, cache, weather).complete(requests)
    calls = read_calls(log)
    out = [call for call in _answers(calls) if call.ended <= killed]
    return Kill(
        killed_at=len(out),
        cached_at_kill=len(cached),
        answered_but_not_cached=len({call.prompt for call in out} - cached),
        repeated_calls_after_kill=repeated_calls(calls, cached, killed),
        answered_after_rerun=sum(result.text is not None for result in results),
        from_cache_after_kill=sum(result.cached for result in results),
    )


def repeated_calls(calls: Iterable[Call], cached: Collection[str], killed: float) -> int:
    """Return how many calls came after `killed` (`time.monotonic`) for prompts whose answer was in the cache by then.

    A call that the endpoint still held at that moment, for a client that had given it up and asked again, is none.
    """
    return sum(call.arrived > killed and call.prompt in cached for call in calls)


def _answers(calls: Iterable[Call]) -> list[Call]:
    return [call for call in calls if call.outcome in ANSWERS]


def _cached_prompts(cache: Path, requests: Iterable[ChatRequest]) -> set[str]:
    with closing(sqlite3.connect(cache)) as database:
        keys = {key for (key,) in database.execute("SELECT key FROM answer")}
    resolved = ((request, request.model_copy(update={"model": MODEL})) for request in requests)
    return {str(request.messages[-1]["content"]) for request, sent in resolved if request_key(sent) in keys}


def measure_budget(requests: Sequence[ChatRequest], weather: Weather, money: float, folder: Path) -> Spending:
    """Send everything with a budget of `money`, then ask the cache alone for what that paid for."""
    log, cache = folder / "calls", folder / "cache"
    with running(weather, log) as url:
        client = make_client(url, cache, weather, Budget(max_money=money))
        results = client.complete(requests)
        paid = [request for request, result in zip(requests, results, strict=True) if result.status == "ok"]
        again = make_client(url, cache, weather, Budget(max_calls=0)).complete(paid)
    spent = client.ledger_totals().cost
    unseen = [call for call in read_calls(log) if call.outcome not in ANSWERS]
    longest = max(len(request.model_dump_json().encode()) for request in requests)
    return Spending(
        budget_money=money,
        spent_money=round(spent, 6),
        left_money=round(money - spent, 6),
        a_call_may_cost=round(_price(longest, MAX_TOKENS), 6),
        unseen_money=round(sum(_price(call.tokens_in, call.tokens_out) for call in unseen), 6),
        paid_by_budget=len(paid),
        paid_and_cached=sum(result.cached for result in again),
        refused_by_budget=sum(result.status == "budget_exhausted" for result in results),
    )


def _price(tokens_in: int, tokens_out: int) -> float:
    return (tokens_in * PRICE_IN + tokens_out * PRICE_OUT) / 1e6


def measure(requests: Sequence[ChatRequest], weather: Weather) -> dict[str, Any]:
    """Run the three scenarios and return all their figures, with a line printed as each is known."""
    with tempfile.TemporaryDirectory() as work:
        rate_folder, kill_folder, budget_folder = (Path(work) / name for name in ("rate", "kill", "budget"))
        for folder in (rate_folder, kill_folder, budget_folder):
            folder.mkdir()
        rate = measure_rate(requests, weather, rate_folder)
        _tell(rate)
        kill = measure_kill(requests, weather, kill_folder)
        _tell(kill)
        spending = measure_budget(requests, weather, round(rate.money / 2, 2), budget_folder)
        _tell(spending)
    return rate.model_dump() | kill.model_dump() | spending.model_dump()


def _tell(figures: Rate | Kill | Spending) -> None:
    words = ", ".join(f"{name} {value}" for name, value in figures.model_dump().items())
    print(f"{type(figures).__name__.lower()}: {words}", flush=True)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=2000)
    add_result_options(parser)
    arguments = parser.parse_args()
    weather, told = Weather(), circumstances("variants", "openai", "pydantic")
    figures = measure(variant_requests(arguments.requests), weather)
    tell(figures | {"endpoint": weather.model_dump()} | told, arguments)


if __name__ == "__main__":
    main()
