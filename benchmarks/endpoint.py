"""An OpenAI-compatible endpoint in a process of its own that limits, fails, stalls and garbles as real ones do.

What a request meets is decided by a hash of its prompt and of how often it was let in, so that every run meets the same
faults; when a 429 comes is decided by the client's pace alone.
Every call ends as one line of the log, which is the endpoint's own account: what the client says is held against it.

    with running(Weather(), log) as url:    # http://127.0.0.1:41873/v1
        ...
    calls = read_calls(log)

What does not belong here: the client and what is measured (`variants.py`).
"""

import contextlib
import json
import math
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel

Outcome = Literal["prose", "cut", "no_json", "no_key", "http_500", "stalled", "reset", "garbage", "http_429", "plain"]
# Outcomes with a whole chat completion: the client has to pay for them, whatever they say.
ANSWERS: Final = frozenset({"plain", "prose", "cut", "no_json", "no_key"})
# Chinese text makes about six tokens of ten characters in the tokenizers of today.
TOKENS_PER_CHARACTER: Final = 0.6


class Weather(BaseModel, frozen=True):
    """How the endpoint behaves: rates in calls a second, times in seconds, the rest as shares of the calls let in.

    permitted_per_s, burst: the token bucket; a call that finds it empty gets a 429.
    retry_after: the share of the 429s that say when to come back, in whole seconds as HTTP has it.
    latency: shortest and longest time to an answer; stall: how long an answer is held to outlast the client's time-out.
    prose, cut, no_json, no_key: answers wrapped in prose, cut at max_tokens, without JSON, without the key asked for.
    """

    permitted_per_s: float = 40.0
    burst: int = 40
    retry_after: float = 0.5
    latency: tuple[float, float] = (0.3, 0.9)
    stall: float = 2.5
    http_500: float = 0.02
    stalled: float = 0.005
    reset: float = 0.01
    garbage: float = 0.005
    prose: float = 0.06
    cut: float = 0.015
    no_json: float = 0.01
    no_key: float = 0.01

    def outcome(self, chance: random.Random) -> Outcome:
        """Draw what becomes of a call that was let in."""
        faults: list[Outcome] = ["http_500", "stalled", "reset", "garbage", "prose", "cut", "no_json", "no_key"]
        shares = [getattr(self, fault) for fault in faults]
        return chance.choices([*faults, "plain"], [*shares, 1 - sum(shares)])[0]


class Call(BaseModel, frozen=True):
    """One HTTP request: when it came and ended (`time.monotonic`), how, among how many, what was generated for it."""

    prompt: str
    arrived: float
    ended: float
    outcome: Outcome
    in_flight: int
    tokens_in: int = 0
    tokens_out: int = 0


def read_calls(log: Path) -> list[Call]:
    """Return the calls in the order in which they ended, without the line that is being written."""
    return [Call.model_validate_json(line) for line in log.read_bytes().split(b"\n")[:-1]]


@contextlib.contextmanager
def running(weather: Weather, log: Path) -> Iterator[str]:
    """Start the endpoint on a free port of 127.0.0.1, give its base URL, and end it with the block."""
    log.touch()
    spawn = get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(weather, log, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/v1"
    finally:
        process.kill()  # whatever signals whoever started this ignores
        process.join()


def _serve(weather: Weather, log: Path, parent: Connection) -> None:
    with _Server(weather, log) as server:
        parent.send(server.server_port)
        server.serve_forever()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the default of 5 would refuse the connections of a concurrent client

    def __init__(self, weather: Weather, log: Path):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.weather = weather
        self._log = log.open("a", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self._came: Counter[tuple[str, bool]] = Counter()
        self._in_flight = 0
        self._tokens, self._filled_at = float(weather.burst), time.monotonic()

    def admit(self, prompt: str) -> tuple[int, random.Random, float]:
        """Count a call in; return how many are under way, its chance, and the seconds until the bucket lets it in."""
        with self._lock:
            self._in_flight += 1
            now, weather = time.monotonic(), self.weather
            filled = self._tokens + (now - self._filled_at) * weather.permitted_per_s
            self._tokens, self._filled_at = min(filled, weather.burst), now
            wait = max(0.0, (1 - self._tokens) / weather.permitted_per_s)
            if not wait:
                self._tokens -= 1
            self._came[prompt, wait > 0] += 1
            return self._in_flight, random.Random(f"{prompt}:{self._came[prompt, wait > 0]}"), wait

    def end(self, call: Call) -> None:
        with self._lock:
            self._in_flight -= 1
            self._log.write(f"{call.model_dump_json()}\n")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that timed out or was killed is what is measured here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"  # connections are kept open, as every real endpoint does
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        arrived = time.monotonic()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt, weather = body["messages"][-1]["content"], self.server.weather
        in_flight, chance, wait = self.server.admit(prompt)
        outcome: Outcome = "http_429" if wait else weather.outcome(chance)
        tokens: dict[str, int] = {}
        try:
            if outcome == "http_429":
                self._refuse(wait, chance)
            elif outcome == "http_500":
                self._send(500, _error("the server had an error"))
            else:
                answer = _completion(prompt, outcome, int(body["max_tokens"]))
                tokens = {"tokens_in": answer["usage"]["prompt_tokens"]}
                tokens["tokens_out"] = answer["usage"]["completion_tokens"]
                time.sleep(weather.stall if outcome == "stalled" else chance.uniform(*weather.latency))
                self._answer(outcome, json.dumps(answer, ensure_ascii=False).encode())
        finally:
            ended = time.monotonic()
            call = Call(prompt=prompt, arrived=arrived, ended=ended, outcome=outcome, in_flight=in_flight, **tokens)
            self.server.end(call)

    def _refuse(self, wait: float, chance: random.Random) -> None:
        says_when = chance.random() < self.server.weather.retry_after
        headers = {"Retry-After": str(math.ceil(wait))} if says_when else {}
        self._send(429, _error("rate limit reached"), **headers)

    def _answer(self, outcome: Outcome, content: bytes) -> None:
        if outcome == "garbage":
            self._send(200, b"<html><body>upstream is busy</body></html>")
        elif outcome == "reset":
            self._send(200, content[: len(content) // 2], **{"Content-Length": str(len(content))})
            # a connection that is closed without lingering is reset: the client sees ECONNRESET, not an end
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        else:
            self._send(200, content)

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "server_error"}}).encode()


def _completion(prompt: str, outcome: Outcome, max_tokens: int) -> dict[str, Any]:
    """Three variants of the template that ends the prompt, told as `outcome` says."""
    template = prompt.rpartition("模版：\n")[2]
    variants = [f"{opening}{template}" for opening in ("麻烦发到这里：", "你好，收货信息是 ", "换个地址吧，")]
    plain = json.dumps({"variants": variants}, ensure_ascii=False)
    texts = {
        "prose": f"好的，改写如下：\n```json\n{plain}\n```\n每条都保留了 {{{{电话}}}} 等参数。",
        "cut": plain[: len(plain) * 2 // 3],
        "no_json": "抱歉，我不能处理个人信息。",
        "no_key": json.dumps({"results": variants}, ensure_ascii=False),
    }
    text = texts.get(outcome, plain)
    used = {"prompt_tokens": math.ceil(len(prompt) * TOKENS_PER_CHARACTER)}
    used["completion_tokens"] = max_tokens if outcome == "cut" else math.ceil(len(text) * TOKENS_PER_CHARACTER)
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "length" if outcome == "cut" else "stop"}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": used}
