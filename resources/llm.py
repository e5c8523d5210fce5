"""All that talks to an OpenAI-compatible endpoint: requests, cache, ledger, pace, budget, and reading JSON answers.

What does not belong here: prompts and what a good answer is (the stages), local models (`base_model.py`), and anything
of `cs_assets`. Dagster is met in the class `LLM` only; `ChatClient` works in a notebook:

    client = ChatClient(api_key="sk-...", base_url="https://api.example.com/v1", model="glm-4", cache_path="llm.sqlite")
    request = ChatRequest(messages=[{"role": "user", "content": "换个说法：{{名字}}，{{电话}}"}], purpose="templates")
    [result] = client.complete([request])   # the second time: result.cached is True and nothing is sent

The cache file must lie on a local disk: SQLite's write-ahead log does not work on network file systems.
"""

import hashlib
import json
import math
import random
import re
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import dagster as dg
from filelock import FileLock
from pydantic import BaseModel, Field, JsonValue, field_validator

DEFAULT_BASE_URL: Final = "https://api.openai.com/v1"
# What switches an endpoint on, as messages say it.
SETTINGS: Final = "OPENAI_API_KEY, OPENAI_MODEL and, where the endpoint is not OpenAI's own, OPENAI_BASE_URL"
FIRST_CONCURRENCY = 4
LONGEST_BACKOFF_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 120.0
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
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.executescript(self.SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise LLMError(f"{path} cannot serve as LLM cache ({error}): move it away or set cache_path") from error

    def lookup(self, keys: Iterable[str]) -> dict[str, _Answer]:
        select = "SELECT text, finish_reason, tokens_in, tokens_out, cost FROM answer WHERE key = ?"
        with self._lock:
            rows = {key: self._db.execute(select, (key,)).fetchone() for key in keys}
        return {key: _Answer(*row) for key, row in rows.items() if row}

    def record_answer(self, key: str, purpose: str, answer: _Answer) -> None:
        """Commit a paid answer with its ledger row. The first answer to a key stays, if two processes paid for it."""
        with self._lock, self._db:
            self._db.execute("INSERT OR IGNORE INTO answer VALUES (?, ?, ?, ?, ?, ?)", (key, *answer))
            self._enter([(purpose, key, 0, answer.tokens_in, answer.tokens_out, answer.cost, "ok")])

    def record_failure(self, key: str, purpose: str, status: str) -> None:
        with self._lock, self._db:
            self._enter([(purpose, key, 0, 0, 0, 0.0, status)])

    def record_hits(self, hits: Iterable[tuple[str, str]]) -> None:
        """One ledger row, free of cost, for each (purpose, key)."""
        with self._lock, self._db:
            self._enter((purpose, key, 1, 0, 0, 0.0, "ok") for purpose, key in hits)

    def mark_wasted(self, key: str) -> None:
        """Book what was paid for this answer (`ChatResult.key`) as wasted: it was rejected. The answer stays cached."""
        with self._lock, self._db:
            self._db.execute("UPDATE ledger SET wasted = 1 WHERE key = ? AND NOT hit AND status = 'ok'", (key,))

    def ledger_totals(self, purpose: str | None = None) -> LedgerTotals:
        """The sums of one purpose, or of all, over every run that used this file."""
        select = """SELECT count(*) FILTER (WHERE NOT hit), count(*) FILTER (WHERE status != 'ok'),
            count(*) FILTER (WHERE hit), coalesce(sum(tokens_in), 0), coalesce(sum(tokens_out), 0), total(cost),
            count(*) FILTER (WHERE wasted), total(cost) FILTER (WHERE wasted)
            FROM ledger WHERE ?1 IS NULL OR purpose = ?1"""
        with self._lock:
            row = self._db.execute(select, (purpose,)).fetchone()
        return LedgerTotals(**dict(zip(LedgerTotals.model_fields, row, strict=True)))

    def _enter(self, rows: Iterable[tuple[str, str, int, int, int, float, str]]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        insert = "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)"
        self._db.executemany(insert, ((now, *row) for row in rows))


class Budget:
    """Limits for the life of one client; None means no limit, and `max_calls=0` means answers from the cache only.

    Calls are exact. What a call costs is known when it returns: the calls in flight may overrun tokens and money.
    """

    def __init__(self, max_calls: int | None = None, max_tokens: int | None = None, max_money: float | None = None):
        self._limits = {"calls": max_calls, "tokens": max_tokens, "money": max_money}
        self._spent: dict[str, float] = dict.fromkeys(self._limits, 0)
        self._lock = threading.Lock()

    def reserve_call(self) -> str | None:
        """Count one call, or say which limit forbids it."""
        with self._lock:
            for unit, limit in self._limits.items():
                if limit is not None and self._spent[unit] >= limit:
                    return f"budget exhausted: {self._spent[unit]} of {limit} {unit} spent"
            self._spent["calls"] += 1
            return None

    def spend(self, tokens: int, money: float) -> None:
        with self._lock:
            self._spent["tokens"] += tokens
            self._spent["money"] += money


class _Pace:
    """How many calls may be in flight: one more after a full round of successes, half after a 429 (AIMD)."""

    def __init__(self, maximum: int):
        self.limit = min(FIRST_CONCURRENCY, maximum)
        self._maximum = maximum
        self._in_flight = self._successes = 0
        self._halved_at = self._resume_at = 0.0
        self._changed = threading.Condition()

    def enter(self, stop: threading.Event) -> float:
        """Wait for a free place and return the time of entry.

        Raises:
            _Stopped: `stop` was set.
        """
        with self._changed:
            while not stop.is_set():
                pause = self._resume_at - time.monotonic()
                if pause <= 0 and self._in_flight < self.limit:
                    self._in_flight += 1
                    return time.monotonic()
                self._changed.wait(pause if pause > 0 else None)
            raise _Stopped

    def leave(self, entered: float, outcome: _Answer | _Failure | None) -> None:
        with self._changed:
            self._in_flight -= 1
            if isinstance(outcome, _Answer):
                self._successes += 1
                if self._successes >= self.limit:
                    self.limit, self._successes = min(self.limit + 1, self._maximum), 0
            elif outcome is not None:
                # calls that were under way when the limit was halved tell nothing about the new limit
                if outcome.status == "http_429" and entered > self._halved_at:
                    self.limit, self._successes, self._halved_at = max(1, self.limit // 2), 0, time.monotonic()
                self._resume_at = max(self._resume_at, time.monotonic() + (outcome.retry_after or 0))
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class ChatClient:
    """Chat completions that are cached, paced, budgeted and booked. Safe to use from several threads."""

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
        import openai

        self._openai = openai.OpenAI(api_key=api_key, base_url=base_url, timeout=timeout_seconds, max_retries=0)
        url = urlsplit(base_url)
        shown_url = url._replace(netloc=url.netloc.rpartition("@")[2], query="").geturl()
        self._endpoint, self._api_key, self._model = f"{shown_url} (OPENAI_BASE_URL)", api_key, model
        self.cache = AnswerCache(cache_path)
        self._budget, self._price_in, self._price_out = budget or Budget(), price_in, price_out
        self._concurrency, self._pace = concurrency, _Pace(concurrency)
        self._max_attempts, self._backoff_seconds = max_attempts, backoff_seconds

    def complete(self, requests: Sequence[ChatRequest]) -> list[ChatResult]:
        """Results in the order of `requests`; what the cache knows is not sent, equal requests are sent once.

        A request that the endpoint will not take (too long, filtered) comes back as `rejected`, one that the budget
        forbids as `budget_exhausted`. Every answer is committed to the cache before it is returned.

        Raises:
            LLMError: key, model or base URL is wrong, the quota is used up, or a request failed on every attempt.
            sqlite3.Error: the cache cannot be written, for example because the disk is full.
        """
        resolved = [r if r.model else r.model_copy(update={"model": self._model}) for r in requests]
        keys = [request_key(request) for request in resolved]
        outcomes = {key: _result(key, answer) for key, answer in self.cache.lookup(keys).items()}
        new: dict[str, ChatRequest] = {}
        for key, request in zip(keys, resolved, strict=True):
            if key not in outcomes:
                new.setdefault(key, request)
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
            if outcome.retry_after is None:
                stop.wait(self._backoff(key, attempt))
            attempt += 1
        return outcome

    def _attempt(self, key: str, request: ChatRequest, attempt: int, stop: threading.Event) -> ChatResult | _Failure:
        """One call: its result, or a failure after which another attempt may follow."""
        entered = self._pace.enter(stop)
        outcome: _Answer | _Failure | None = None
        try:
            if refusal := self._budget.reserve_call():
                return ChatResult(key=key, status="budget_exhausted", error=refusal)
            outcome = self._call(request)
            self._book(key, request, outcome)
            if isinstance(outcome, _Answer):
                return _result(key, self.cache.lookup([key])[key])
            if outcome.then == "reject":
                return ChatResult(key=key, status="rejected", error=outcome.reason)
            if outcome.then == "stop":
                raise LLMError(outcome.reason)
            if attempt == self._max_attempts:
                raise LLMError(f"{attempt} attempts failed, the last one because {outcome.reason}")
            return outcome
        except BaseException:
            # set before the place is given free, so that no other call starts
            stop.set()
            raise
        finally:
            self._pace.leave(entered, outcome)

    def _backoff(self, key: str, attempt: int) -> float:
        longest = min(self._backoff_seconds * 2.0 ** (attempt - 1), LONGEST_BACKOFF_SECONDS)
        return longest * random.Random(f"{key}:{attempt}").uniform(0.5, 1.0)

    def _call(self, request: ChatRequest) -> _Answer | _Failure:
        import openai

        body: dict[str, Any] = dict(request.parameters)
        if request.json_schema is not None:
            schema = {"name": "answer", "schema": request.json_schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        messages: Any = request.messages
        try:
            # extra_body, because endpoints know parameters that the client's signature does not
            completion = self._openai.chat.completions.create(model=request.model, messages=messages, extra_body=body)
        except openai.APIStatusError as error:
            return self._refusal(error, request.model)
        except openai.APITimeoutError:
            return _Failure("timeout", f"{self._endpoint} did not answer within timeout_seconds", "retry")
        except openai.APIConnectionError:
            return _Failure("unreachable", f"{self._endpoint} cannot be reached", "retry")
        except (openai.OpenAIError, ValueError):
            return _Failure("malformed", f"{self._endpoint} sent broken JSON", "retry")
        try:
            return self._read(completion, request)
        except (AttributeError, IndexError, TypeError):
            return _Failure("malformed", f"{self._endpoint} sent something that is not a chat completion", "retry")

    def _read(self, completion: Any, request: ChatRequest) -> _Answer:
        choice, usage = completion.choices[0], completion.usage
        # a lone surrogate can be stored neither in SQLite nor in Parquet
        text = (choice.message.content or "").encode("utf-8", "replace").decode()
        # without usage from the endpoint, a token a character: the budget must hold all the same
        tokens_in = usage.prompt_tokens or 0 if usage else sum(len(str(m.get("content", ""))) for m in request.messages)
        tokens_out = usage.completion_tokens or 0 if usage else len(text)
        cost = (tokens_in * self._price_in + tokens_out * self._price_out) / 1e6
        return _Answer(text, choice.finish_reason or "", tokens_in, tokens_out, cost)

    def _book(self, key: str, request: ChatRequest, outcome: _Answer | _Failure) -> None:
        if isinstance(outcome, _Answer):
            self._budget.spend(outcome.tokens_in + outcome.tokens_out, outcome.cost)
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
        said = error.message.replace(self._api_key, "***")[:300]
        if code in (404, 405) or (code == 400 and (error.param == "model" or MODEL_IS_MISSING.search(said))):
            return _Failure(status, f"{answered} for model {model!r}: check OPENAI_MODEL and the URL; {said}", "stop")
        if code in (400, 413, 422):
            return _Failure(status, f"{answered}: {said}", "reject")
        retry_after = _retry_after(error.response.headers)
        is_passing = code in (408, 409, 429) or code >= 500
        if not is_passing or error.code == "insufficient_quota" or (retry_after or 0) > LONGEST_RETRY_AFTER_SECONDS:
            return _Failure(status, f"{answered}, which waiting will not mend: {said}", "stop")
        return _Failure(status, f"{answered}: {said}", "retry", retry_after)


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
    concurrency: int = Field(default=8, ge=1, description="most calls in flight")
    max_calls: int | None = Field(default=None, ge=0, description="budget of one step, retries included")
    max_tokens: int | None = Field(default=None, ge=0, description="budget of one step, prompt and completion")
    max_money: float | None = Field(default=None, ge=0, description="budget of one step, in the currency of the prices")
    price_in: float = Field(default=0.0, ge=0, description="price of a million prompt tokens")
    price_out: float = Field(default=0.0, ge=0, description="price of a million completion tokens")
    timeout_seconds: float = Field(default=120.0, gt=0)
    cache_path: str = Field(default="data/out/llm.sqlite", description="a file on a local disk")

    def configured(self) -> bool:
        """Whether an LLM is wanted: OPENAI_MODEL switches it on.

        A key or a URL alone does not: a shell often holds them for other programs, and calls cost money.

        Raises:
            LLMError: the model is set and the key is not.
        """
        if self.model and not self.api_key:
            raise LLMError(
                "OPENAI_MODEL is set and OPENAI_API_KEY is missing. Set it (an endpoint without keys takes any word), "
                "or unset OPENAI_MODEL to go on without an LLM"
            )
        return bool(self.model)

    def client(self) -> ChatClient:
        """A client with a fresh budget.

        Raises:
            LLMError: key or model is missing, a money budget stands without prices, or the cache is unusable.
        """
        if not self.configured():
            raise LLMError(f"no LLM endpoint is configured: set {SETTINGS}")
        if self.max_money is not None and not (self.price_in or self.price_out):
            raise LLMError("max_money has no effect without prices: set price_in and price_out")
        return ChatClient(
            api_key=self.api_key,
            base_url=self.base_url or DEFAULT_BASE_URL,
            model=self.model,
            cache_path=self.cache_path,
            concurrency=self.concurrency,
            budget=Budget(self.max_calls, self.max_tokens, self.max_money),
            price_in=self.price_in,
            price_out=self.price_out,
            timeout_seconds=self.timeout_seconds,
        )
