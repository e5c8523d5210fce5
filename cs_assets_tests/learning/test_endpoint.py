"""A served model is asked in parallel, answered in order, and patiently; what cannot be answered is said clearly."""

import traceback

import pytest

from cs_assets.learning.endpoint import KEY_VARIABLE, EndpointError, Served, generate_at
from cs_assets_tests.llm_endpoint import Endpoint, Reply, completion, dripping, failure

PROMPTS = [[{"role": "system", "content": "简短"}, {"role": "user", "content": f"问题{n}"}] for n in range(9)]


def test_answers_stand_in_the_order_of_the_prompts(endpoint: Endpoint) -> None:
    endpoint.reply = lambda prompt, nth: completion(f"答{prompt}")._replace(delay=0.02 * (nth % 3))
    seen: list[tuple[int, int]] = []
    found = generate_at(
        Served(endpoint.url, "tuned", concurrency=3), PROMPTS, max_new_tokens=7, report=lambda *done: seen.append(done)
    )
    assert found == [f"答问题{n}" for n in range(9)]
    assert 1 < endpoint.most_in_flight <= 3
    assert seen == [(3, 9), (6, 9), (9, 9)]
    assert sorted((body["messages"] for body in endpoint.bodies), key=str) == PROMPTS
    assert {(b["model"], b["temperature"], b["max_tokens"]) for b in endpoint.bodies} == {("tuned", 0, 7)}


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(endpoint: Endpoint, status: int) -> None:
    endpoint.reply = lambda prompt, nth: failure(status) if nth == 1 else completion("好")
    assert generate_at(Served(endpoint.url, "m"), PROMPTS[:1], max_new_tokens=7) == ["好"]
    assert len(endpoint.bodies) == 2


def test_no_text_is_an_empty_answer(endpoint: Endpoint) -> None:
    endpoint.reply = lambda prompt, nth: completion(None, finish_reason="length")
    assert generate_at(Served(endpoint.url, "m"), PROMPTS[:1], max_new_tokens=7) == [""]


@pytest.mark.parametrize(
    ("status", "message"), [(404, "The model `m` does not exist."), (401, "bad key s3cret"), (500, "out of memory")]
)
def test_what_cannot_be_answered_ends_the_batch_and_names_endpoint_and_reason_but_no_key(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int, message: str
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "s3cret")
    endpoint.reply = lambda prompt, nth: failure(status, message)._replace(delay=0.05)
    with pytest.raises(EndpointError) as caught:
        generate_at(Served(endpoint.url, "m", concurrency=1), PROMPTS, max_new_tokens=7, attempts=1)
    assert f"{endpoint.url}, model 'm': " in str(caught.value)
    assert message.replace("s3cret", "***") in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert len(endpoint.bodies) < len(PROMPTS)


def test_neither_a_password_nor_a_forged_line_is_told(endpoint: Endpoint) -> None:
    endpoint.reply = lambda prompt, nth: failure(400, "no\x1b[2J\n2026-01-01 - dagster - INFO - all is well")
    url = endpoint.url.replace("http://", "http://me:s3cret@")
    with pytest.raises(EndpointError) as caught:
        generate_at(Served(url, "m"), PROMPTS[:1], max_new_tokens=7, attempts=1)
    assert str(caught.value).startswith(f"{endpoint.url}, model 'm': ")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert str(caught.value).isprintable()


def test_an_endpoint_that_is_not_there_is_named() -> None:
    with pytest.raises(EndpointError, match=r"http://127\.0\.0\.1:9/v1, model 'm': Connection error"):
        generate_at(Served("http://127.0.0.1:9/v1", "m"), PROMPTS[:1], max_new_tokens=7, attempts=1)


def test_an_answer_that_is_no_completion_is_an_endpoint_error(endpoint: Endpoint) -> None:
    endpoint.reply = lambda prompt, nth: Reply(body={"hello": "world"})
    with pytest.raises(EndpointError, match="no chat completion"):
        generate_at(Served(endpoint.url, "m"), PROMPTS[:1], max_new_tokens=7, attempts=1)


def test_an_answer_that_never_ends_ends_the_batch() -> None:
    with dripping() as url, pytest.raises(EndpointError, match=r"model 'm': the answer did not end in time\. Look at"):
        generate_at(Served(url, "m"), PROMPTS[:1], max_new_tokens=7, attempts=1, timeout_seconds=0.3)


def test_an_answer_that_would_fill_the_memory_ends_the_batch(endpoint: Endpoint) -> None:
    endpoint.reply = lambda prompt, nth: completion("x" * 50_000_000)
    with pytest.raises(EndpointError, match=r"model 'm': an answer of more than 4000000 bytes\. Look at"):
        generate_at(Served(endpoint.url, "m"), PROMPTS[:1], max_new_tokens=7, attempts=1)


def test_nothing_to_ask_asks_nothing(endpoint: Endpoint) -> None:
    assert generate_at(Served(endpoint.url, "m"), [], max_new_tokens=7) == []
    assert endpoint.bodies == []
