"""What an LLM is asked for variants, and how its answers are read."""

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from cs_assets.scenario import Scenario
from cs_assets.templates.llm_variants import PURPOSE, llm_variants
from resources.llm import ChatClient, ChatRequest, ChatResult


class Endpoint:
    """Answers every request with the same text, for 0.6 money; stands where the network begins."""

    def __init__(self, text: str | None) -> None:
        self.text = text
        self.asked: list[ChatRequest] = []
        self.wasted: list[str] = []

    def complete(self, requests: Sequence[ChatRequest]) -> list[ChatResult]:
        self.asked = list(requests)
        status = "ok" if self.text else "rejected"
        return [
            ChatResult(key=str(number), status=cast(Any, status), text=self.text, cost=0.6)
            for number in range(len(self.asked))
        ]

    def mark_wasted(self, key: str) -> None:
        self.wasted.append(key)


def ask(scenario: Scenario, text: str | None) -> tuple[dict[str, list[tuple[str, float]]], int, Endpoint]:
    endpoint = Endpoint(text)
    found, unreadable = llm_variants(scenario, cast(ChatClient, endpoint), per_seed=3)
    return found, unreadable, endpoint


def answer(*variants: Any) -> str:
    return json.dumps({"variants": list(variants)}, ensure_ascii=False)


def test_each_seed_is_asked_about_once_with_its_text_and_the_count(scenario: Scenario) -> None:
    _, _, endpoint = ask(scenario, answer("{{电话}}"))
    contents = [str(request.messages[0]["content"]) for request in endpoint.asked]
    assert len(contents) == len(scenario.seed_paths())
    assert all("写出3条" in content for content in contents)
    assert all(c.endswith(seed.text) for c, seed in zip(contents, scenario.seed_templates(), strict=True))
    assert {request.purpose for request in endpoint.asked} == {PURPOSE}


def test_variants_share_the_cost_of_their_answer(scenario: Scenario) -> None:
    found, unreadable, endpoint = ask(scenario, answer("喂 {{电话}}", "打{{电话}}"))
    assert set(found) == {path.name for path in scenario.seed_paths()}
    assert found["01_comma_separated.j2"] == [("喂 {{电话}}", 0.3), ("打{{电话}}", 0.3)]
    assert (unreadable, endpoint.wasted) == (0, [])


@pytest.mark.parametrize("text", [None, "", "抱歉，我不能", '{"variants": "x"}', '{"texts": []}', '{"variants": ["a'])
def test_an_answer_that_cannot_be_read_is_counted_and_marked_as_wasted(scenario: Scenario, text: str | None) -> None:
    found, unreadable, endpoint = ask(scenario, text)
    assert found == {}
    assert unreadable == len(endpoint.wasted) == len(scenario.seed_paths())


def test_an_answer_in_prose_is_read(scenario: Scenario) -> None:
    found, unreadable, _ = ask(scenario, f"好的：\n```json\n{answer('喂 {{电话}}')}\n```")
    assert unreadable == 0
    assert found["01_comma_separated.j2"] == [("喂 {{电话}}", 0.6)]


def test_what_is_no_text_is_left_out(scenario: Scenario) -> None:
    found, _, _ = ask(scenario, answer("喂 {{电话}}", 5, None))
    assert found["01_comma_separated.j2"] == [("喂 {{电话}}", 0.6)]


def test_an_answer_without_any_text_is_wasted(scenario: Scenario) -> None:
    _, unreadable, endpoint = ask(scenario, answer(5))
    assert unreadable == len(endpoint.wasted) == len(scenario.seed_paths())
