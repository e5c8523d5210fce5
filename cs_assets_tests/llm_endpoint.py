"""An OpenAI-compatible endpoint on this machine: a real HTTP server whose answers a test decides.

It stands where the network begins, so that nothing is mocked between the caller and the socket.
"""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

PAID = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


class Reply(NamedTuple):
    status: int = 200
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012
    delay: float = 0.0


def completion(text: str | None, finish_reason: str = "stop", usage: dict[str, int] | None = PAID) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    return Reply(body={"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage})


def embedding(*vector: float) -> Reply:
    item = {"object": "embedding", "index": 0, "embedding": vector}
    return Reply(
        body={"object": "list", "model": "e", "data": [item], "usage": {"prompt_tokens": 3, "total_tokens": 3}}
    )


def failure(status: int, message: str = "broken", **fields: str) -> Reply:
    return Reply(status, {"error": {"message": message, **fields}})


def echo(prompt: str, nth: int) -> Reply:
    return completion(f"answer to {prompt}")


def asked(body: dict[str, Any]) -> str:
    """Return the last message of a chat, or the text to embed."""
    return body["messages"][-1]["content"] if "messages" in body else body["input"]


class Endpoint:
    """What the server answers (`reply`, by prompt and number of the call), and what it was asked."""

    def __init__(self) -> None:
        self.reply: Callable[[str, int], Reply] = echo
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.in_flight = self.most_in_flight = 0
        self.lock = threading.Lock()
        self.url = ""

    @property
    def prompts(self) -> list[str]:
        return [asked(body) for body in self.bodies]

    def handle(self, body: dict[str, Any]) -> Reply:
        with self.lock:
            self.bodies.append(body)
            self.times.append(time.monotonic())
            nth = len(self.bodies)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        reply = self.reply(asked(body), nth)
        time.sleep(reply.delay)
        with self.lock:
            self.in_flight -= 1
        return reply


@contextlib.contextmanager
def serve() -> Iterator[Endpoint]:
    """Answer on a free port until the block ends."""
    state = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            reply = state.handle(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that timed out or was killed is part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def dripping() -> Iterator[str]:
    """Answer for ever, at a URL: each byte comes in time, so that no single read waits too long."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b" ")
                    time.sleep(0.05)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
