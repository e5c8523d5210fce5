"""What holds for every endpoint that is asked: its answers are bounded, and no secret is in what is shown of it.

What does not belong here: what is asked, and what an answer means (`llm.py`, `cs_assets/learning/endpoint.py`).
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

_Chunks = Callable[..., Iterator[bytes]]
# The longest answer is a twentieth. A compressed one may be a thousand times as long as what arrives.
_MAX_ANSWER_BYTES: Final = 4_000_000
_MAX_COMPRESSED_BYTES: Final = 64_000
_SHOWN_CHARACTERS: Final = 300


class Oversized(Exception):
    """The endpoint sent more than any answer is; the message says than what."""


def bounded_http_client(seconds: float) -> Any:
    """Return an HTTP client for `openai.OpenAI`: a response ends by then, and before it fills the memory.

    Who reads a response that does not meets TimeoutError or Oversized, which `openai` wraps in nothing of its own.
    """
    import openai

    def bound(response: Any) -> None:
        compressed = response.headers.get("content-encoding", "identity") != "identity"
        most = _MAX_COMPRESSED_BYTES if compressed else _MAX_ANSWER_BYTES
        response.iter_raw = _bounded_chunks(response.iter_raw, most, time.monotonic() + seconds)

    return openai.DefaultHttpxClient(event_hooks={"response": [bound]})


def _bounded_chunks(chunks: _Chunks, most: int, deadline: float) -> _Chunks:
    def bounded(chunk_size: int | None = None) -> Iterator[bytes]:
        arrived = 0
        for chunk in chunks(chunk_size):
            arrived += len(chunk)
            if arrived > most:
                raise Oversized(f"an answer of more than {most} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError("the answer did not end in time")
            yield chunk

    return bounded


def shown_address(url: str) -> str | None:
    """Return an endpoint's address without user, password and query; None where it is no http(s) address."""
    with contextlib.suppress(ValueError):  # of a port that is none, and its message quotes it
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and is_one_word(url):
            return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return None


def is_one_word(text: str) -> bool:
    """Whether nothing in it could end a header or a line."""
    return text.isprintable() and " " not in text


def secrets_of(api_key: str, url: str) -> list[str]:
    """Return what no message and no answer may repeat, the longest first. A word such as `none` is no secret."""
    parts = urlsplit(url)
    query = (value for _, value in parse_qsl(parts.query))
    found = {api_key.strip(), parts.username or "", parts.password or "", *query}
    return sorted({form for secret in found for form in (secret, unquote(secret)) if len(form) >= 8}, key=len)[::-1]


def without_secrets(text: str, secrets: Sequence[str]) -> str:
    """Return a text with stars in the place of secrets; a longer one comes before a shorter that is part of it."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def one_line(text: str, secrets: Sequence[str]) -> str:
    """Return the beginning of what an endpoint said, as a message may have it.

    A line break in it would forge a line of the log, and an escape sequence would reach the terminal.
    """
    return "".join(c if c.isprintable() else " " for c in without_secrets(text, secrets))[:_SHOWN_CHARACTERS]
