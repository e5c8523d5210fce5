"""Embeddings by the real client over HTTP: order, cache, refusals, and what switches them on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cs_assets_tests.llm_endpoint import Endpoint, Reply, completion, embedding, failure
from resources.llm import LLM, ChatRequest, EmbeddingClient, LLMError

KEY = "sk-marker-2f8c"


@pytest.fixture
def make_client(endpoint: Endpoint, tmp_path: Path) -> Callable[..., EmbeddingClient]:
    def make(**settings: Any) -> EmbeddingClient:
        where = {"api_key": KEY, "base_url": endpoint.url, "model": "e", "cache_path": tmp_path / "llm.sqlite"}
        pace = {"concurrency": 4, "max_attempts": 3, "backoff_seconds": 0.01, "timeout_seconds": 5}
        return EmbeddingClient(**{**where, **pace, **settings})

    return make


MakeClient = Callable[..., EmbeddingClient]


def by_length(text: str, nth: int) -> Reply:
    return embedding(float(len(text)), 0.5)


def test_each_text_has_its_vector_and_is_paid_for_once(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = by_length
    wanted = {"甲": (1.0, 0.5), "乙乙": (2.0, 0.5)}
    client = make_client(price_in=1.0)
    assert client.vectors(["乙乙", "甲", "甲"], "test") == wanted
    assert make_client().vectors(["甲", "乙乙"], "test") == wanted
    assert sorted(endpoint.prompts) == ["乙乙", "甲"]
    assert all(body["model"] == "e" and body["encoding_format"] == "float" for body in endpoint.bodies)
    totals = client.ledger_totals("test")
    assert (totals.calls, totals.cache_hits, totals.tokens_in, totals.cost) == (2, 2, 6, pytest.approx(6e-6))


def test_a_vector_keeps_32_bits_a_number(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda text, nth: embedding(0.1, -1e-8, 3e4)
    assert make_client().vectors(["甲"], "test")["甲"] == pytest.approx((0.1, -1e-8, 3e4), rel=1e-6)


def test_an_embedding_is_never_taken_for_a_chat_answer(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = by_length
    make_client().vectors(["甲"], "test")
    endpoint.reply = lambda text, nth: completion("你好")
    chat = LLM(api_key=KEY, base_url=endpoint.url, model="e", cache_path=str(make_client().cache.path)).client()
    [result] = chat.complete([ChatRequest(messages=[{"role": "user", "content": "甲"}])])
    assert (result.text, result.cached) == ("你好", False)


def test_a_text_that_is_refused_is_left_out(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda text, nth: failure(400, "too long") if text == "长" else by_length(text, nth)
    assert make_client().vectors(["长", "短"], "test") == {"短": (1.0, 0.5)}


def test_passing_failures_are_tried_again(endpoint: Endpoint, make_client: MakeClient) -> None:
    endpoint.reply = lambda text, nth: failure(500) if nth == 1 else by_length(text, nth)
    assert make_client().vectors(["甲"], "test") == {"甲": (1.0, 0.5)}


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": []},
        {"data": [{"embedding": []}]},
        {"data": [{"embedding": "AAAA"}]},
        {"data": [{"embedding": [1e99]}]},
        {},
    ],
)
def test_what_is_no_vector_ends_in_an_error(endpoint: Endpoint, make_client: MakeClient, body: dict[str, Any]) -> None:
    endpoint.reply = lambda text, nth: Reply(body=body)
    with pytest.raises(LLMError, match="no answer to the request"):
        make_client().vectors(["甲"], "test")


@pytest.mark.parametrize(("status", "told"), [(401, "OPENAI_API_KEY"), (404, "OPENAI_EMBEDDING_MODEL")])
def test_a_refusal_names_what_to_check_and_not_the_key(
    endpoint: Endpoint, make_client: MakeClient, status: int, told: str
) -> None:
    endpoint.reply = lambda text, nth: failure(status, f"no: {KEY}")
    with pytest.raises(LLMError, match=told) as error:
        make_client().vectors(["甲"], "test")
    assert KEY not in str(error.value)
    assert len(endpoint.bodies) == 1


def test_the_budget_holds_for_embeddings(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = by_length
    cache = str(tmp_path / "llm.sqlite")
    llm = LLM(api_key=KEY, base_url=endpoint.url, embedding_model="e", cache_path=cache, max_calls=1)
    assert llm.embeds()
    assert not llm.configured()
    assert len(llm.embedding_client().vectors(["甲", "乙"], "test")) == 1


def test_nothing_is_embedded_without_a_model_or_without_a_key() -> None:
    assert not LLM(api_key=KEY, model="m").embeds()
    with pytest.raises(LLMError, match="OPENAI_EMBEDDING_MODEL"):
        LLM(api_key=KEY, model="m").embedding_client()
    with pytest.raises(LLMError, match="OPENAI_EMBEDDING_MODEL is set and OPENAI_API_KEY is missing"):
        LLM(embedding_model="e").embeds()
    with pytest.raises(LLMError, match="price_embedding"):
        LLM(api_key=KEY, embedding_model="e", max_money=1.0).embedding_client()
