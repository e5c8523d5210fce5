"""What an LLM is asked for variants, and how its answers are read."""

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from cs_assets.scenario import Scenario
from cs_assets.templates.llm_variants import PURPOSE, LLMVariants, llm_variants
from resources.llm import ChatClient, ChatRequest, ChatResult


class Endpoint:
    """Answers every request with the same text, for 0.6 money; stands where the network begins."""

    def __init__(self, text: str | None, status: str = "ok", error: str | None = None) -> None:
        self.text, self.status, self.error = text, status, error
        self.asked: list[ChatRequest] = []
        self.wasted: list[str] = []

    def complete(self, requests: Sequence[ChatRequest]) -> list[ChatResult]:
        self.asked = list(requests)
        fields: dict[str, Any] = {"status": self.status, "text": self.text, "error": self.error}
        cost = 0.6 if self.status in ("ok", "empty") else 0.0
        return [ChatResult(key=str(number), cost=cost, cached=number == 0, **fields) for number in range(len(requests))]

    def mark_wasted(self, key: str) -> None:
        self.wasted.append(key)


def ask(scenario: Scenario, text: str | None, **refusal: Any) -> tuple[LLMVariants, Endpoint]:
    endpoint = Endpoint(text, **refusal)
    return llm_variants(scenario, cast(ChatClient, endpoint), per_seed=3), endpoint


def answer(*variants: Any) -> str:
    return json.dumps({"variants": list(variants)}, ensure_ascii=False)


def test_each_seed_is_asked_about_once_with_its_text_and_the_count(scenario: Scenario) -> None:
    _, endpoint = ask(scenario, answer("{{电话}}"))
    contents = [str(request.messages[0]["content"]) for request in endpoint.asked]
    assert len(contents) == len(scenario.seed_paths())
    assert all("写出3条" in content for content in contents)
    assert all(c.endswith(seed.text) for c, seed in zip(contents, scenario.seeds().values(), strict=True))
    assert {request.purpose for request in endpoint.asked} == {PURPOSE}


def test_variants_share_the_cost_of_their_answer(scenario: Scenario) -> None:
    written, endpoint = ask(scenario, answer("喂 {{电话}}", "打{{电话}}"))
    assert set(written.texts) == set(scenario.seeds())
    assert written.texts["01_comma_separated"] == [("喂 {{电话}}", 0.3), ("打{{电话}}", 0.3)]
    assert written.answers == {"ok": len(scenario.seed_paths())}
    assert (written.from_cache, written.wasted, written.problems, endpoint.wasted) == (1, 0.0, [], [])


@pytest.mark.parametrize("text", ["抱歉，我不能", '{"variants": "x"}', '{"texts": []}', '{"variants": ["a', answer(5)])
def test_an_answer_that_cannot_be_read_is_counted_and_marked_as_wasted(scenario: Scenario, text: str) -> None:
    written, endpoint = ask(scenario, text)
    seeds = len(scenario.seed_paths())
    assert written.texts == {}
    assert written.answers == {"unreadable": seeds}
    assert written.wasted == pytest.approx(0.6 * seeds)
    assert len(endpoint.wasted) == seeds
    [problem] = written.problems
    assert problem.startswith(f"{seeds} of {seeds} seeds: unreadable (01_comma_separated, ")


def test_why_an_answer_could_not_be_read_is_told(scenario: Scenario) -> None:
    assert "the JSON object misses variants" in ask(scenario, '{"texts": []}')[0].problems[0]
    assert "no text in `variants`" in ask(scenario, answer(5))[0].problems[0]


@pytest.mark.parametrize("status", ["rejected", "budget_exhausted", "empty"])
def test_what_was_refused_is_counted_by_its_status_and_its_reason_kept(scenario: Scenario, status: str) -> None:
    written, endpoint = ask(scenario, None, status=status, error="the endpoint's own words")
    seeds = len(scenario.seed_paths())
    assert written.texts == {}
    assert written.answers == {status: seeds}
    assert len(endpoint.wasted) == (seeds if status == "empty" else 0)  # the others cost nothing
    [problem] = written.problems
    assert status in problem
    assert problem.endswith(": the endpoint's own words")


def test_an_answer_in_prose_is_read(scenario: Scenario) -> None:
    written, _ = ask(scenario, f"好的：\n```json\n{answer('喂 {{电话}}')}\n```")
    assert set(written.answers) == {"ok"}
    assert written.texts["01_comma_separated"] == [("喂 {{电话}}", 0.6)]


def test_what_is_no_text_is_left_out(scenario: Scenario) -> None:
    written, _ = ask(scenario, answer("喂 {{电话}}", 5, None))
    assert written.texts["01_comma_separated"] == [("喂 {{电话}}", 0.6)]
