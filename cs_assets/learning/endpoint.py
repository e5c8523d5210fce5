"""Generation by a model that is served elsewhere: vLLM, `transformers serve`, anything with OpenAI's chat API.

Here belongs asking a served model greedily and in order, so that its answers stand where those of `inference.generate`
would. `resources/llm.py` is another matter: it buys texts from a large model, keeps them by model name and watches a
budget; what is evaluated must be asked anew whenever its weights changed, whatever its name.

    served = Served("http://127.0.0.1:8000/v1", "address_extraction")
    generate_at(served, [[{"role": "user", "content": "你好"}]], max_new_tokens=64)
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final

from cs_assets.learning.conversations import Message
from cs_assets.learning.inference import ReportBatch, nobody
from resources.endpoints import Oversized, bounded_http_client, one_line, secrets_of, shown_address

# Not OPENAI_API_KEY: that one is OpenAI's business, and an endpoint of one's own has none of it.
KEY_VARIABLE: Final = "CS_ENDPOINT_KEY"


class EndpointError(RuntimeError):
    """The endpoint gave no answer; the message says which one, what it said, and what to look at."""


@dataclass(frozen=True)
class Served:
    """A served model: base URL of the API, the name it is served under, and how many requests it gets at a time."""

    url: str
    model: str
    concurrency: int = 8


def generate_at(
    served: Served,
    prompts: Sequence[list[Message]],
    *,
    max_new_tokens: int,
    attempts: int = 6,
    timeout_seconds: float = 600.0,
    report: ReportBatch = nobody,
) -> list[str]:
    """Answer each prompt greedily, as far as the endpoint does at temperature 0.

    Args:
        served: where.
        prompts: chat messages, one list per case.
        max_new_tokens: an answer is cut there.
        attempts: how often a request is sent that meets 429, a server's error or silence, waiting longer each time.
        timeout_seconds: a request that is not answered in full by then counts as silence, or ends the batch.
        report: is told (done, total).

    Returns:
        One text per prompt, in the order of the prompts.

    Raises:
        EndpointError: a request was refused, or failed at every attempt; those not yet sent are not.
    """
    import openai

    key = os.environ.get(KEY_VARIABLE, "")
    client = openai.OpenAI(
        base_url=served.url,
        api_key=key or "none",
        timeout=timeout_seconds,
        max_retries=attempts - 1,
        http_client=bounded_http_client(timeout_seconds),
    )

    def answer(prompt: list[Message]) -> str:
        messages: Any = prompt
        completion = client.chat.completions.create(
            model=served.model, messages=messages, max_tokens=max_new_tokens, temperature=0
        )
        if not completion.choices:
            raise openai.OpenAIError("It sent something that is no chat completion.")
        return completion.choices[0].message.content or ""

    with ThreadPoolExecutor(served.concurrency) as pool:
        futures = [pool.submit(answer, prompt) for prompt in prompts]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                if done % served.concurrency == 0 or done == len(prompts):
                    report(done, len(prompts))
        except (openai.OpenAIError, TimeoutError, Oversized) as error:
            # Without its cause, which Dagster would keep: some endpoints repeat the key in what they say.
            raise EndpointError(_told(served, str(error), key)) from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [future.result() for future in futures]


def _told(served: Served, said: str, key: str) -> str:
    """Return what went wrong and where to look, in one line, without the key or a password in the address."""
    # The key however short it is: it is one's own endpoint, and a word as good as any.
    secrets = [*secrets_of(key, served.url), *([key] if key else [])]
    shown = shown_address(served.url) or "The endpoint"
    return (
        f"{shown}, model {served.model!r}: {one_line(said, secrets).rstrip('. ')}. Look at `endpoint` and "
        f"`served_models` in the run config, and at {KEY_VARIABLE} if the endpoint wants a key."
    )
