"""All that talks to an OpenAI-compatible endpoint: requests, cache, ledger, pace, budget, and reading JSON answers.

What does not belong here: prompts and what a good answer is (the stages), local models (`base_model.py`), and anything
of `cs_assets`. Dagster is met in the class `LLM` only; `ChatClient` works in a notebook:

    client = ChatClient(api_key="sk-...", base_url="https://api.example.com/v1", model="glm-4", cache_path="llm.sqlite")
    request = ChatRequest(messages=[{"role": "user", "content": "换个说法：{{名字}}，{{电话}}"}], purpose="templates")
    [result] = client.complete([request])   # the second time: result.cached is True and nothing is sent

`EmbeddingClient` asks the same endpoint for the vectors of texts, under the same cache, pace and budget.

The cache file may lie in a folder that hosts share, if that has file locks (NFS from version 4 has them): SQLite
has no write-ahead log here, which would share memory between those who write.
"""

import base64
import contextlib
import hashlib
import json
import math
import random
import re
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeVar

import dagster as dg
from filelock import FileLock
from pydantic import BaseModel, Field, JsonValue, field_validator

from resources.endpoints import (
    Oversized,
    bounded_http_client,
    is_one_word,
    one_line,
    secrets_of,
    shown_address,
    without_secrets,
)
from resources.files import left_no_room

Client = TypeVar("Client", bound="ChatClient")
DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
# What switches an endpoint on, as messages say it.
SETTINGS: Final = "OPENAI_API_KEY, OPENAI_MODEL and, where the endpoint is not OpenAI's own, OPENAI_BASE_URL"
FIRST_CONCURRENCY = 4
LONGEST_BACKOFF_SECONDS = 30.0
LONGEST_REFUSAL_SECONDS = 120.0
# After a 429 the limit doubles every round up to this share of what was refused, and calls are spread over this share
# of a round trip: a bucket that holds less than a round is not emptied in one burst.
REGAINED_SHARE, SPREAD_SHARE = 0.8, 0.8
_LOCKS: Final = 64
MODEL_IS_MISSING = re.compile(r"model.{0,80}\bnot\b.{0,9}(exist|found)|(unknown|valid) model|模型不存在", re.I)


class LLMError(RuntimeError):
    """The endpoint cannot be used; the message says what to change. Answers already paid for stay in the cache."""


class ChatRequest(BaseModel, frozen=True):
    """One chat completion. An empty `model` means the client's; `purpose` is its account in the ledger."""

    messages: Sequence[Mapping[str, JsonValue]]
    model: str = ""
    parameters: Mapping[str, JsonValue] = {}
    json_schema: Mapping[str, JsonValue] | None = None
    purpose: str = ""

    @field_validator("parameters")
    @classmethod
    def _leave_one_plain_answer(cls, parameters: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        if reserved := {"model", "messages", "stream", "n"} & parameters.keys():
            raise ValueError(f"parameters may not set {', '.join(sorted(reserved))}")
        return parameters


class ChatResult(BaseModel, frozen=True):
    """The answer to one request: `text`, or `error` with the reason why there is none.

    Tokens and cost are what the answer cost when it was paid for; `cached` says that this was not now.
    """

    key: str
    status: Literal["ok", "empty", "rejected", "budget_exhausted"]
    text: str | None = None
    error: str | None = None
    finish_reason: str = ""
    cached: bool = False
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0


class LedgerTotals(BaseModel, frozen=True):
    """What one purpose, or everything, has cost. Every HTTP request is a call, so each retry is one."""

    calls: int
    failed_calls: int
    cache_hits: int
    tokens_in: int
    tokens_out: int
    cost: float
    wasted_calls: int
    wasted_cost: float


class ParseFailure(BaseModel, frozen=True):
    """Why an answer holds no usable JSON object."""

    reason: str


class _Answer(NamedTuple):
    text: str
    finish_reason: str
    tokens_in: int
    tokens_out: int
    cost: float


class _Failure(NamedTuple):
    status: str
    reason: str
    then: Literal["retry", "reject", "stop"]
    retry_after: float | None = None


class _Stopped(Exception):
    """The batch ends: another request failed for good, or the run was interrupted."""


class _Exhausted(Exception):
    """The budget does not allow another call; the message says which limit."""


def request_key(request: ChatRequest) -> str:
    """SHA-256 of the canonical JSON of model, messages, parameters and schema; the order of dict keys does not matter.

    Raises:
        ValueError: a parameter is NaN or infinite.
    """
    identity = request.model_dump(exclude={"purpose"})
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def parse_json_object(text: str, keys: Collection[str]) -> dict[str, Any] | ParseFailure:
    """The one JSON object with all `keys` in a model's answer, which may be fenced or wrapped in prose.

    An object inside something cut or malformed is never taken, and neither is one of two that differ.
    """
    thinking, _, answer = text.partition("</think>")
    if answer and not thinking.lstrip().startswith("{"):
        text = answer
    try:
        found, problem = _top_level_objects(text)
    except RecursionError:
        return ParseFailure(reason="the JSON is nested too deeply")
    if problem or not found:
        return ParseFailure(reason=problem or "no JSON object in the answer")
    complete = [item for item in found if all(key in item for key in keys)]
    if not complete:
        missing = [key for key in keys if key not in found[-1]]
        return ParseFailure(reason=f"the JSON object misses {', '.join(missing)}")
    if any(item != complete[0] for item in complete):
        return ParseFailure(reason=f"{len(complete)} different JSON objects have the keys")
    return complete[0]


def _top_level_objects(text: str) -> tuple[list[dict[str, Any]], str]:
    """All complete objects outside of any bracket of the prose, and what is wrong ("" if nothing is)."""
    # strict=False: models put real line breaks into strings, which is harmless
    decoder = json.JSONDecoder(object_pairs_hook=_without_duplicates, strict=False)
    found: list[dict[str, Any]] = []
    depth, position, first_error = 0, 0, "a bracket stays open"
    while bracket := re.compile(r"[{}\[\]]").search(text, position):
        position = bracket.end()
        if bracket[0] in "}]":
            depth = max(0, depth - 1)
            continue
        if bracket[0] == "{" and depth == 0:
            try:
                item, position = decoder.raw_decode(text, bracket.start())
                # NaN and lone surrogates pass the decoder and break every table later on
                json.dumps(item, ensure_ascii=False, allow_nan=False).encode()
                found.append(item)
                continue
            except ValueError as error:
                first_error = str(error)
        depth += 1
    return found, f"the JSON is cut off or malformed: {first_error}" if depth else ""


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


class AnswerCache:
    """Answers and ledger in one SQLite file, shared by threads and processes.

    Raises:
        LLMError: the file cannot be opened or is not a database.
    """

    SCHEMA = """
        CREATE TABLE IF NOT EXISTS answer (key TEXT PRIMARY KEY, text TEXT, finish_reason TEXT, tokens_in INTEGER,
            tokens_out INTEGER, cost REAL);
        CREATE TABLE IF NOT EXISTS ledger (time TEXT, purpose TEXT, key TEXT, hit INTEGER, tokens_in INTEGER,
            tokens_out INTEGER, cost REAL, status TEXT, wasted INTEGER);
        CREATE INDEX IF NOT EXISTS ledger_key ON ledger (key);
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._lock = threading.Lock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
            # SQLite's own time-out does not cover two processes that make the same file at once
            with FileLock(f"{path}.lock", timeout=60):
                self._db.executescript(self.SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise self._unusable(error) from error

    def lookup(self, keys: Iterable[str]) -> dict[str, _Answer]:
        select = "SELECT text, finish_reason, tokens_in, tokens_out, cost FROM answer WHERE key = ?"
        with self._database():
            rows = {key: self._db.execute(select, (key,)).fetchone() for key in keys}
        return {key: _Answer(*row) for key, row in rows.items() if row}

    def one_at_a_time(self, keys: Iterable[str]) -> FileLock:
        """Return a lock for which everyone waits who asks for the same answers; a killed one leaves it free.

        Few share a lock with others: one a batch would leave a file for each batch that ever was.
        """
        batch = hashlib.sha256(",".join(sorted(set(keys))).encode()).digest()
        return FileLock(self.path.with_name(f"{self.path.name}.{batch[0] % _LOCKS:02}.lock"))

    def record_answer(self, key: str, purpose: str, answer: _Answer) -> None:
        """Commit a paid answer with its ledger row. The first answer to a key stays, if two processes paid for it."""
        with self._database():
            self._db.execute("INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?, ?, ?)", (key, *answer))
            self._enter([(purpose, key, 0, answer.tokens_in, answer.tokens_out, answer.cost, "ok")])

    def record_failure(self, key: str, purpose: str, status: str) -> None:
        with self._database():
            self._enter([(purpose, key, 0, 0, 0, 0.0, status)])

    def record_hits(self, hits: Iterable[tuple[str, str]]) -> None:
        """One ledger row, free of cost, for each (purpose, key)."""
        with self._database():
            self._enter((purpose, key, 1, 0, 0, 0.0, "ok") for purpose, key in hits)

    def mark_wasted(self, key: str) -> None:
        """Book what was paid for this answer (`ChatResult.key`) as wasted: it was rejected. The answer stays cached."""
        with self._database():
            self._db.execute("UPDATE ledger SET wasted = 1 WHERE key = ? AND NOT hit AND status = 'ok'", (key,))

    def ledger_totals(self, purpose: str | None = None) -> LedgerTotals:
        """The sums of one purpose, or of all, over every run that used this file."""
        select = """SELECT count(*) FILTER (WHERE NOT hit), count(*) FILTER (WHERE status != 'ok'),
            count(*) FILTER (WHERE hit), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0), total(cost),
            count(*) FILTER (WHERE wasted), total(cost) FILTER (WHERE wasted)
            FROM ledger WHERE ?1 IS NULL OR purpose = ?1"""
        with self._database():
            row = self._db.execute(select, (purpose,)).fetchone()
        return LedgerTotals(**dict(zip(LedgerTotals.model_fields, row, strict=True)))

    @contextlib.contextmanager
    def _database(self) -> Iterator[None]:
        """Let the block alone use the database, and commit.

        Raises:
            LLMError: the file is damaged, or the disk is full.
        """
        try:
            with self._lock, self._db:
                yield
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> LLMError:
        is_full = left_no_room(error, self.path)
        remedy = "make room on its disk" if is_full else "move it away, if it is damaged, or set cache_path"
        return LLMError(f"{self.path} cannot serve as LLM cache ({error}): {remedy}, and run this again")

    def _enter(self, rows: Iterable[tuple[str, str, int, int, int, float, str]]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        insert = "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
        self._db.executemany(insert, ((now, *row) for row in rows))


class Budget:
    """Limits for the life of one client; None means no limit, and `max_calls=0` means answers from the cache only.

    No limit is overrun, whatever is in flight: the most that a call may use is set aside before it starts, and a call
    waits where only the settling of others can tell whether it fits. So less than the most of one call is left over.
    For tokens and money this holds where requests set `max_tokens`; nothing else bounds an answer beforehand. What an
    endpoint charges for a call whose answer never arrived is not known here and not counted.
    """

    def __init__(self, max_calls: int | None = None, max_tokens: int | None = None, max_money: float | None = None):
        self._limits = {"calls": max_calls, "tokens": max_tokens, "money": max_money}
        self._spent: dict[str, float] = dict.fromkeys(self._limits, 0)
        self._reserved: dict[str, float] = dict.fromkeys(self._limits, 0)
        self._lock = threading.Lock()

    def reserve(self, tokens: int, money: float) -> bool:
        """Set aside one call and the most that it may use; False while calls in flight may yet leave enough.

        Raises:
            _Exhausted: it does not fit, however little the calls in flight turn out to use.
        """
        most = {"calls": 1, "tokens": tokens, "money": money}
        with self._lock:
            for unit, limit in self._limits.items():
                if limit is not None and _exceeds(self._spent[unit] + most[unit], limit):
                    spent = f"{self._spent[unit]:.6g} of {limit:.6g} {unit} spent"
                    raise _Exhausted(f"budget exhausted: {spent}, and a call may take {most[unit]:.6g}")
            for unit, limit in self._limits.items():
                if limit is not None and _exceeds(self._spent[unit] + self._reserved[unit] + most[unit], limit):
                    return False
            for unit in self._limits:
                self._reserved[unit] += most[unit]
            return True

    def settle(self, reserved: tuple[int, float], outcome: _Answer | _Failure | None) -> None:
        """Book what a call used in place of the (tokens, money) that were set aside for it."""
        used = (outcome.tokens_in + outcome.tokens_out, outcome.cost) if isinstance(outcome, _Answer) else (0, 0.0)
        with self._lock:
            for unit, set_aside, spent in zip(self._limits, (1, *reserved), (1, *used), strict=True):
                self._reserved[unit] -= set_aside
                self._spent[unit] += spent


def _exceeds(amount: float, limit: float) -> bool:
    # three times 0.1 is more than 0.3 in floating point: a billionth decides nothing
    return round(amount - limit, 9) > 0


class _Pace:
    """When a call may start. How many are in flight follows the endpoint's word (additive increase, halved on 429).

    The limit doubles every round until the first 429. That halves it; it doubles again to just below what was refused,
    and probes from there by one more a round. Where one call at a time is refused, all wait, twice as long each time.
    """

    def __init__(self, maximum: int, backoff_seconds: float):
        self.limit = min(FIRST_CONCURRENCY, maximum)
        self._maximum, self._backoff_seconds = maximum, backoff_seconds
        self._in_flight = self._successes = 0
        self._refused_limit = math.inf
        self._refused_since: float | None = None
        self._round_trip = self._halved_at = self._resume_at = 0.0
        self._pause = backoff_seconds
        self._changed = threading.Condition()

    def enter(self, stop: threading.Event, reserve: Callable[[], bool]) -> float:
        """Wait for a free place that the budget (`reserve`) allows to be taken, and return the time of entry.

        Raises:
            _Stopped: `stop` was set.
            _Exhausted: the budget never will.
        """
        with self._changed:
            while not stop.is_set():
                now = time.monotonic()
                if now < self._resume_at:
                    self._changed.wait(self._resume_at - now)
                elif self._in_flight < self.limit and reserve():
                    self._in_flight += 1
                    if self._refused_limit < math.inf:
                        self._resume_at = now + SPREAD_SHARE * self._round_trip / self.limit
                    return now
                else:
                    self._changed.wait()
            raise _Stopped

    def leave(self, entered: float, outcome: _Answer | _Failure | None) -> None:
        with self._changed:
            self._in_flight -= 1
            now = time.monotonic()
            if isinstance(outcome, _Answer):
                self._grow(now - entered)
            elif outcome is not None:
                if outcome.status == "http_429":
                    self._shrink(entered, now)
                self._resume_at = max(self._resume_at, now + (outcome.retry_after or 0))
            self._changed.notify_all()

    def _grow(self, round_trip: float) -> None:
        self._refused_since, self._pause = None, self._backoff_seconds
        self._round_trip += (round_trip - self._round_trip) / 8
        self._successes += 1
        if self.limit < REGAINED_SHARE * self._refused_limit or self._successes >= self.limit:
            self.limit, self._successes = min(self.limit + 1, self._maximum), 0

    def _shrink(self, entered: float, now: float) -> None:
        if self._refused_since is None:
            self._refused_since = now
        if entered <= self._halved_at:
            return  # calls that were under way when the limit was halved tell nothing about the new limit
        if self.limit == 1:
            self._resume_at = max(self._resume_at, now + self._pause)
            self._pause = min(2 * self._pause, LONGEST_BACKOFF_SECONDS)
        self._refused_limit, self._halved_at = self.limit, now
        self.limit, self._successes = max(1, self.limit // 2), 0

    def refused_seconds(self) -> float:
        """How long 429 has been the only answer."""
        with self._changed:
            return 0.0 if self._refused_since is None else time.monotonic() - self._refused_since

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class ChatClient:
    """Chat completions that are cached, paced, budgeted and booked. Safe to use from several threads."""

    # What a message about a model that is not there tells to check.
    model_setting: ClassVar[str] = "OPENAI_MODEL"

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str,
        model: str,
        cache_path: str | Path,
        concurrency: int = 8,
        budget: Budget | None = None,
        price_in: float = 0.0,
        price_out: float = 0.0,
        timeout_seconds: float = 120.0,
        max_attempts: int = 6,
        backoff_seconds: float = 1.0,
    ):
        """Open the cache; nothing is sent.

        Raises:
            LLMError: the cache is unusable, the URL is none, or the key holds what no key has.
        """
        import openai

        shown = shown_address(base_url)
        if shown is None:
            # The address is not repeated: a part of it may be a secret.
            raise LLMError(
                f"OPENAI_BASE_URL is no address: expected http(s)://host:port/path, such as {DEFAULT_BASE_URL}. In a "
                "password, # is written %23 and / is %2F"
            )
        if not (api_key and api_key.isascii() and is_one_word(api_key)):
            raise LLMError("OPENAI_API_KEY is empty or holds a space, a line break or such: copy it once more")
        self._openai = openai.OpenAI(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout_seconds,
            max_retries=0,
            http_client=bounded_http_client(timeout_seconds),
        )
        self._endpoint, self._model = f"{shown} (OPENAI_BASE_URL)", model
        self._secrets = secrets_of(api_key, base_url)
        self.cache = AnswerCache(cache_path)
        self._budget, self._price_in, self._price_out = budget or Budget(), price_in, price_out
        self._concurrency, self._pace = concurrency, _Pace(concurrency, backoff_seconds)
        self._max_attempts, self._backoff_seconds = max_attempts, backoff_seconds
        self._longest_answer = 0

    def complete(self, requests: Sequence[ChatRequest]) -> list[ChatResult]:
        """Results in the order of `requests`; what the cache knows is not sent, equal requests are sent once.

        A request that the endpoint will not take (too long, filtered) comes back as `rejected`, one that the budget
        forbids as `budget_exhausted`. Every answer is committed to the cache before it is returned.

        Raises:
            LLMError: key, model or base URL is wrong, the quota is used up, a request failed on every attempt, the
                endpoint answered nothing but 429 for two minutes, or the cache cannot be read or written.
        """
        resolved = [r if r.model else r.model_copy(update={"model": self._model}) for r in requests]
        keys = [request_key(request) for request in resolved]
        outcomes, new = self._known(keys, resolved)
        if new:
            # Of two runs that want the same at once, the second finds it paid for.
            with self.cache.one_at_a_time(keys):
                outcomes, new = self._known(keys, resolved)
                outcomes |= self._send_all(new)
        results, hits = [], []
        for key, request in zip(keys, resolved, strict=True):
            result = outcomes[key]
            if result.status in ("ok", "empty") and new.pop(key, None) is None:
                result = result.model_copy(update={"cached": True})
                hits.append((request.purpose, key))
            results.append(result)
        self.cache.record_hits(hits)
        return results

    def _known(
        self, keys: Sequence[str], requests: Sequence[ChatRequest]
    ) -> tuple[dict[str, ChatResult], dict[str, ChatRequest]]:
        """Return what the cache knows, and the requests that it does not know."""
        known = {key: _result(key, answer) for key, answer in self.cache.lookup(keys).items()}
        return known, {key: request for key, request in zip(keys, requests, strict=True) if key not in known}

    def mark_wasted(self, key: str) -> None:
        """See `AnswerCache.mark_wasted`."""
        self.cache.mark_wasted(key)

    def ledger_totals(self, purpose: str | None = None) -> LedgerTotals:
        """See `AnswerCache.ledger_totals`."""
        return self.cache.ledger_totals(purpose)

    def _send_all(self, requests: Mapping[str, ChatRequest]) -> dict[str, ChatResult]:
        stop = threading.Event()
        with ThreadPoolExecutor(self._concurrency) as pool:
            futures = {key: pool.submit(self._send, key, request, stop) for key, request in requests.items()}
            try:
                wait(futures.values(), return_when=FIRST_EXCEPTION)
            finally:
                # calls in flight are paid for: leaving the pool waits for them, and for nothing else
                stop.set()
                self._pace.wake()
                pool.shutdown(wait=False, cancel_futures=True)
        self._raise_first_error([future for future in futures.values() if not future.cancelled()])
        return {key: future.result() for key, future in futures.items()}

    def _raise_first_error(self, done: Iterable[Future[ChatResult]]) -> None:
        errors = [e for future in done if (e := future.exception()) and not isinstance(e, _Stopped)]
        if errors and isinstance(errors[0], LLMError):
            kept = sum(not future.exception() and future.result().text is not None for future in done)
            remedy = f"{kept} new answers are kept in {self.cache.path}; a re-run does not pay for them again"
            raise LLMError(f"{errors[0]}. {remedy}")
        if errors:
            raise errors[0]

    def _send(self, key: str, request: ChatRequest, stop: threading.Event) -> ChatResult:
        attempt = 1
        while isinstance(outcome := self._attempt(key, request, attempt, stop), _Failure):
            # a 429 is about all requests: the pace heeds it, and it costs this one no attempt
            if outcome.status != "http_429":
                if outcome.retry_after is None:
                    stop.wait(self._backoff(key, attempt))
                attempt += 1
        return outcome

    def _attempt(self, key: str, request: ChatRequest, attempt: int, stop: threading.Event) -> ChatResult | _Failure:
        """One call: its result, or a failure after which another attempt may follow."""
        most = self._most(request)
        try:
            entered = self._pace.enter(stop, lambda: self._budget.reserve(*most))
        except _Exhausted as refusal:
            return ChatResult(key=key, status="budget_exhausted", error=str(refusal))
        outcome: _Answer | _Failure | None = None
        try:
            outcome = self._call(request)
            self._book(key, request, outcome)
            return self._conclude(key, outcome, attempt)
        except BaseException:
            # set before the place is given free, so that no other call starts
            stop.set()
            raise
        finally:
            self._budget.settle(most, outcome)
            self._pace.leave(entered, outcome)

    def _conclude(self, key: str, outcome: _Answer | _Failure, attempt: int) -> ChatResult | _Failure:
        """The result of a call that ends its request, or the failure after which another attempt may follow.

        Raises:
            LLMError: the batch ends.
        """
        if isinstance(outcome, _Answer):
            return _result(key, self.cache.lookup([key])[key])
        if outcome.then == "reject":
            return ChatResult(key=key, status="rejected", error=outcome.reason)
        if outcome.then == "stop":
            raise LLMError(outcome.reason)
        if outcome.status == "http_429":
            if self._pace.refused_seconds() > LONGEST_REFUSAL_SECONDS:
                raise LLMError(f"{outcome.reason}; 429 was the only answer for {LONGEST_REFUSAL_SECONDS:g} s")
        elif attempt == self._max_attempts:
            raise LLMError(f"{attempt} attempts failed, the last one because {outcome.reason}")
        return outcome

    def _most(self, request: ChatRequest) -> tuple[int, float]:
        """The most that one call may use, as (tokens, money).

        No tokenizer makes more tokens than the text has bytes. The answer is bounded by max_tokens; without it, the
        longest answer so far is all there is to go by, and a longer one may overrun the budget.
        """
        tokens_in = len(request.model_dump_json(exclude={"purpose"}).encode())
        allowed = request.parameters.get("max_completion_tokens", request.parameters.get("max_tokens"))
        tokens_out = allowed if isinstance(allowed, int) else self._longest_answer
        return tokens_in + tokens_out, self._price(tokens_in, tokens_out)

    def _price(self, tokens_in: int, tokens_out: int) -> float:
        return (tokens_in * self._price_in + tokens_out * self._price_out) / 1e6

    def _backoff(self, key: str, attempt: int) -> float:
        longest = min(self._backoff_seconds * 2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS)
        return longest * random.Random(f"{key}:{attempt}").uniform(0.5, 1.0)

    def _call(self, request: ChatRequest) -> _Answer | _Failure:
        import openai

        try:
            response = self._ask(request)
        except openai.APIStatusError as error:
            return self._refusal(error, request.model)
        except (openai.APITimeoutError, TimeoutError):
            return _Failure("timeout", f"{self._endpoint} did not answer within timeout_seconds", "retry")
        except Oversized as error:  # paid for, and as long when it is asked for again
            return _Failure("oversized", f"{self._endpoint} sent {error}", "reject")
        except openai.APIConnectionError:
            return _Failure("unreachable", f"{self._endpoint} cannot be reached", "retry")
        except (openai.OpenAIError, ValueError, RecursionError):
            return _Failure("malformed", f"{self._endpoint} sent broken JSON", "retry")
        try:
            return self._read(response, request)
        except (AttributeError, IndexError, TypeError, ValueError):
            return _Failure("malformed", f"{self._endpoint} sent something that is no answer to the request", "retry")

    def _ask(self, request: ChatRequest) -> Any:
        body: dict[str, Any] = dict(request.parameters)
        if request.json_schema is not None:
            schema = {"name": "answer", "schema": request.json_schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        messages: Any = request.messages
        # extra_body, because endpoints know parameters that the client's signature does not
        return self._openai.chat.completions.create(model=request.model, messages=messages, extra_body=body)

    def _read(self, completion: Any, request: ChatRequest) -> _Answer:
        choice, usage = completion.choices[0], completion.usage
        # a lone surrogate can be stored neither in SQLite nor in Parquet
        text = without_secrets(choice.message.content or "", self._secrets).encode("utf-8", "replace").decode()
        # without usage from the endpoint, a token a character: the budget must hold all the same
        asked = sum(len(str(message.get("content", ""))) for message in request.messages)
        tokens_in = _tokens(usage.prompt_tokens) if usage else asked
        tokens_out = _tokens(usage.completion_tokens) if usage else len(text)
        self._longest_answer = max(self._longest_answer, tokens_out)
        return _Answer(text, str(choice.finish_reason or ""), tokens_in, tokens_out, self._price(tokens_in, tokens_out))

    def _book(self, key: str, request: ChatRequest, outcome: _Answer | _Failure) -> None:
        if isinstance(outcome, _Answer):
            self.cache.record_answer(key, request.purpose, outcome)
        else:
            self.cache.record_failure(key, request.purpose, outcome.status)

    def _refusal(self, error: Any, model: str) -> _Failure:
        """What an HTTP error (`openai.APIStatusError`) means for the request and for the batch."""
        code, status = error.status_code, f"http_{error.status_code}"
        answered = f"{self._endpoint} answered HTTP {code}"
        if code in (401, 403):
            # the endpoint's own words are left out: some repeat the key
            return _Failure(status, f"{answered}: check OPENAI_API_KEY", "stop")
        said = one_line(error.message, self._secrets)
        if code in (404, 405) or (code == 400 and (error.param == "model" or MODEL_IS_MISSING.search(said))):
            return _Failure(
                status, f"{answered} for model {model!r}: check {self.model_setting} and the URL; {said}", "stop"
            )
        if code in (400, 413, 422):
            return _Failure(status, f"{answered}: {said}", "reject")
        retry_after = _retry_after(error.response.headers)
        is_passing = code in (408, 409, 429) or code >= 500
        if not is_passing or error.code == "insufficient_quota" or (retry_after or 0) > LONGEST_REFUSAL_SECONDS:
            return _Failure(status, f"{answered}, which waiting will not mend: {said}", "stop")
        return _Failure(status, f"{answered}: {said}", "retry", retry_after)


class EmbeddingClient(ChatClient):
    """The vectors of texts, with all that holds of a `ChatClient`: each text is a request, paid for once."""

    model_setting: ClassVar[str] = "OPENAI_EMBEDDING_MODEL"

    def vectors(self, texts: Collection[str], purpose: str) -> dict[str, tuple[float, ...]]:
        """Return the vector of each text; one that the endpoint refuses or the budget forbids is left out.

        Raises:
            LLMError: as `complete`.
        """
        asked = sorted(set(texts))
        # float: not every server knows base64, the client's own choice
        form: dict[str, JsonValue] = {"encoding_format": "float"}
        results = self.complete(
            [ChatRequest(messages=[{"content": text}], parameters=form, purpose=purpose) for text in asked]
        )
        found = zip(asked, results, strict=True)
        return {text: _unpacked(result.text) for text, result in found if result.text is not None}

    def _ask(self, request: ChatRequest) -> Any:
        body: Any = {"input": request.messages[0]["content"], **request.parameters}
        return self._openai.embeddings.create(model=request.model, **body)

    def _read(self, response: Any, request: ChatRequest) -> _Answer:
        [item] = response.data
        usage = response.usage
        tokens_in = _tokens(usage.prompt_tokens) if usage else len(str(request.messages[0]["content"]))
        return _Answer(_packed(item.embedding), "", tokens_in, 0, self._price(tokens_in, 0))


def _tokens(told: Any) -> int:
    """Return a number of tokens as the endpoint tells it.

    Raises:
        ValueError: it is none; a negative one would fill the budget up again.
    """
    if not isinstance(told or 0, int) or not 0 <= (told or 0) < 2**31:
        raise ValueError("no number of tokens")
    return told or 0


def _packed(vector: Sequence[float]) -> str:
    """Write a vector as the cache keeps it, in 32 bits a number as embedding models have them.

    Raises:
        ValueError: it is empty, or has what is no number of 32 bits.
    """
    if not vector or not all(abs(number) <= 3.4e38 for number in vector):
        raise ValueError("no vector")
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _unpacked(text: str) -> tuple[float, ...]:
    packed = base64.b64decode(text)
    return struct.unpack(f"<{len(packed) // 4}f", packed)


def _result(key: str, answer: _Answer) -> ChatResult:
    if answer.text:
        return ChatResult(key=key, status="ok", **answer._asdict())
    error = f"the model answered with no text (finish reason: {answer.finish_reason or 'none'})"
    return ChatResult(key=key, status="empty", error=error, **{**answer._asdict(), "text": None})


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait by the Retry-After header, which holds seconds or a date."""
    value = headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


class LLM(dg.ConfigurableResource["LLM"]):
    """The endpoint as a Dagster resource. Where nothing of it is set, the stages do without an LLM."""

    api_key: str = Field(default="", repr=False, description="OPENAI_API_KEY")
    base_url: str = Field(default="", description=f"OPENAI_BASE_URL; empty means {DEFAULT_BASE_URL}")
    model: str = Field(default="", description="OPENAI_MODEL")
    embedding_model: str = Field(default="", description="OPENAI_EMBEDDING_MODEL; served at the same URL")
    concurrency: int = Field(default=8, ge=1, description="most calls in flight")
    max_calls: int | None = Field(default=None, ge=0, description="budget of one step, retries included")
    max_tokens: int | None = Field(default=None, ge=0, description="budget of one step, prompt and completion")
    max_money: float | None = Field(default=None, ge=0, description="budget of one step, in the currency of the prices")
    price_in: float = Field(default=0.0, ge=0, description="price of a million prompt tokens")
    price_out: float = Field(default=0.0, ge=0, description="price of a million completion tokens")
    price_embedding: float = Field(default=0.0, ge=0, description="price of a million tokens embedded")
    timeout_seconds: float = Field(default=120.0, gt=0)
    cache_path: str = Field(default="data/out/llm.sqlite", description="CS_LLM_CACHE; where there are file locks")

    def configured(self) -> bool:
        """Whether an LLM is wanted: OPENAI_MODEL switches it on.

        A key or a URL alone does not: a shell often holds them for other programs, and calls cost money.

        Raises:
            LLMError: the model is set and the key is not.
        """
        return self._wanted(self.model, ChatClient.model_setting)

    def embeds(self) -> bool:
        """Whether texts are embedded: OPENAI_EMBEDDING_MODEL switches it on.

        Raises:
            LLMError: the model is set and the key is not.
        """
        return self._wanted(self.embedding_model, EmbeddingClient.model_setting)

    def _wanted(self, model: str, setting: str) -> bool:
        if model and not self.api_key:
            raise LLMError(
                f"{setting} is set and OPENAI_API_KEY is missing. Set it (an endpoint without keys takes any word), "
                f"or unset {setting} to go on without it"
            )
        return bool(model)

    def client(self) -> ChatClient:
        """A client with a fresh budget.

        Raises:
            LLMError: key or model is missing, a money budget stands without prices, or the cache is unusable.
        """
        if not self.configured():
            raise LLMError(f"no LLM endpoint is configured: set {SETTINGS}")
        return self._opened(ChatClient, self.model, self.price_in, self.price_out)

    def embedding_client(self) -> EmbeddingClient:
        """A client for embeddings, with a fresh budget of its own.

        Raises:
            LLMError: as `client`.
        """
        if not self.embeds():
            raise LLMError("no embedding model is configured: set OPENAI_API_KEY and OPENAI_EMBEDDING_MODEL")
        return self._opened(EmbeddingClient, self.embedding_model, self.price_embedding, 0.0)

    def _opened(self, kind: type[Client], model: str, price_in: float, price_out: float) -> Client:
        if self.max_money is not None and not (price_in or price_out):
            raise LLMError("max_money has no effect without prices: set price_in and price_out, or price_embedding")
        return kind(
            api_key=self.api_key,
            base_url=self.base_url or DEFAULT_BASE_URL,
            model=model,
            cache_path=self.cache_path,
            concurrency=self.concurrency,
            budget=Budget(self.max_calls, self.max_tokens, self.max_money),
            price_in=price_in,
            price_out=price_out,
            timeout_seconds=self.timeout_seconds,
        )
