"""What an LLM is asked for variants, and how its answers are read: the real client against a server on this machine."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.families.registry import FAMILIES
from cs_assets.families.syntax import parse_template
from cs_assets.scenario import Scenario
from cs_assets.templates.llm_variants import ANSWER_TOKENS, PURPOSE, LLMVariants, llm_variants, mark_rejected
from cs_assets.templates.prompts import TEMPERATURES, Call, variant_prompt
from cs_assets.templates.variants import template_variants
from cs_assets_tests.llm_endpoint import Endpoint, Reply, completion, failure
from cs_assets_tests.templates.conftest import CHAT, COMMA, small_scenario, write
from resources.llm import Budget, ChatClient

# Prices that make every call of the server's 10 + 5 tokens cost 2.
CALL = 2.0


def client_at(endpoint: Endpoint, folder: Path, **options: Any) -> ChatClient:
    return ChatClient(
        api_key="k",
        base_url=endpoint.url,
        model="m",
        cache_path=folder / "llm.sqlite",
        backoff_seconds=0.01,
        price_in=1e5,
        price_out=2e5,
        **options,
    )


@pytest.fixture
def client(endpoint: Endpoint, tmp_path: Path) -> ChatClient:
    return client_at(endpoint, tmp_path)


def answer(*variants: Any) -> Reply:
    return completion(json.dumps({"variants": list(variants)}, ensure_ascii=False))


def ask(scenario: Scenario, client: ChatClient, endpoint: Endpoint, reply: Reply, per_seed: int = 3) -> LLMVariants:
    endpoint.reply = lambda prompt, nth: reply
    return llm_variants(scenario, client, per_seed)


# --- What is asked


def test_each_seed_is_asked_about_with_its_text_and_the_count(
    two_seeds: Scenario, client: ChatClient, endpoint: Endpoint
) -> None:
    ask(two_seeds, client, endpoint, answer("{{电话}}"))
    assert len(endpoint.prompts) == 2
    assert all("写出3条" in prompt for prompt in endpoint.prompts)
    endings = {seed.text for seed in two_seeds.seeds().values()}
    assert {text for text in endings for prompt in endpoint.prompts if prompt.endswith(f"模版：\n{text}")} == endings
    assert client.ledger_totals(PURPOSE).calls == 2


def test_many_variants_are_asked_in_calls_of_other_mood_and_temperature(
    two_seeds: Scenario, client: ChatClient, endpoint: Endpoint
) -> None:
    ask(two_seeds, client, endpoint, answer("{{电话}}"), per_seed=13)
    assert len(set(endpoint.prompts)) == 6
    assert Counter(body["temperature"] for body in endpoint.bodies) == dict.fromkeys(TEMPERATURES, 2)
    assert {body["max_tokens"] for body in endpoint.bodies} == {ANSWER_TOKENS}
    shares = Counter(count for prompt in endpoint.prompts for count in (4, 5) if f"写出{count}条" in prompt)
    assert shares == {5: 2, 4: 4}


def test_the_examples_are_two_others_of_the_unit(
    scenario: Scenario, tmp_path: Path, client: ChatClient, endpoint: Endpoint
) -> None:
    seeds = {f"{unit}/{number}": f"{unit}{number}，{{{{电话}}}}" for unit in ("甲", "乙") for number in range(4)}
    ask(small_scenario(scenario, tmp_path / "units", seeds), client, endpoint, answer("{{电话}}"))
    for prompt in endpoint.prompts:
        asked = prompt.rpartition("模版：\n")[2]
        shown = [text for text in seeds.values() if f"- {text}" in prompt]
        assert len(shown) == 2
        assert asked not in shown
        assert {text[0] for text in shown} == {asked[0]}


def test_the_answer_is_asked_for_by_schema(two_seeds: Scenario, client: ChatClient, endpoint: Endpoint) -> None:
    ask(two_seeds, client, endpoint, answer("{{电话}}"))
    formats = [body["response_format"] for body in endpoint.bodies]
    assert all(form["type"] == "json_schema" for form in formats)
    assert formats[0]["json_schema"]["schema"]["required"] == ["variants"]


def test_an_endpoint_that_takes_no_schema_is_asked_without(
    two_seeds: Scenario, client: ChatClient, endpoint: Endpoint
) -> None:
    def reply(prompt: str, nth: int) -> Reply:
        with_schema = "response_format" in endpoint.bodies[nth - 1]
        return failure(400, "response_format is not supported") if with_schema else answer("喂 {{电话}}")

    endpoint.reply = reply
    written = llm_variants(two_seeds, client, 3)
    assert written.answers == {"ok": 2}
    assert [("response_format" in body) for body in endpoint.bodies] == [True, False, False]


def test_the_same_seeds_make_the_same_requests(two_seeds: Scenario, client: ChatClient, endpoint: Endpoint) -> None:
    first = ask(two_seeds, client, endpoint, answer("喂 {{电话}}"), per_seed=10)
    second = ask(two_seeds, client, endpoint, failure(500), per_seed=10)
    assert (first.from_cache, second.from_cache) == (0, 4)
    assert first.texts == second.texts
    assert len(endpoint.bodies) == 4


def test_templates_from_history_are_asked_about_as_well(
    two_seeds: Scenario, client: ChatClient, endpoint: Endpoint
) -> None:
    endpoint.reply = lambda prompt, nth: answer("{{电话}}")
    history = {"history/001": parse_template("到了打{{电话}}", "h")}
    assert set(llm_variants(two_seeds, client, 1, history).texts) == {COMMA, CHAT, "history/001"}


# --- Prompts


@pytest.mark.parametrize("family", [*FAMILIES, "one that is new"])
def test_every_family_is_told_to_keep_the_slots_and_to_answer_in_json(family: str) -> None:
    prompt = variant_prompt(family, "{{订单号}}到哪了", ["{{商品}}发了吗\n急"], 4, Call(0, 0))
    assert prompt.endswith("模版：\n{{订单号}}到哪了")
    assert '{"variants": ["…", "…"]}' in prompt
    assert "原样保留" in prompt
    assert "- {{商品}}发了吗 ⏎ 急" in prompt
    assert "$" not in prompt


def test_families_are_told_different_things() -> None:
    prompts = {family: variant_prompt(family, "{{电话}}", [], 4, Call(0, 0)) for family in FAMILIES}
    assert len(set(prompts.values())) == len(FAMILIES)


def test_calls_for_one_seed_differ_in_mood_and_temperature() -> None:
    calls = [Call(5, number) for number in range(3)]
    assert [call.temperature for call in calls] == list(TEMPERATURES)
    assert len({variant_prompt("intent", "{{电话}}", [], 4, call) for call in calls}) == 3


# --- What is made of the answers


def test_variants_share_the_cost_of_their_answer(two_seeds: Scenario, client: ChatClient, endpoint: Endpoint) -> None:
    written = ask(two_seeds, client, endpoint, answer("喂 {{电话}}", " 打{{电话}}\n"))
    shared = [("喂 {{电话}}", CALL / 2), ("打{{电话}}", CALL / 2)]
    assert written.texts == {COMMA: shared, CHAT: shared}
    assert (written.answers, written.wasted, written.problems) == ({"ok": 2}, 0.0, [])
    assert client.ledger_totals(PURPOSE).wasted_calls == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("抱歉，我不能", "no JSON object in the answer"),
        ('{"variants": "x"}', "no text in `variants`"),
        ('{"texts": []}', "the JSON object misses variants"),
        ('{"variants": ["a', "the JSON is cut off or malformed"),
        ('{"variants": [5]}', "no text in `variants`"),
    ],
)
def test_an_answer_that_cannot_be_read_is_counted_told_and_marked_as_wasted(
    two_seeds: Scenario, client: ChatClient, endpoint: Endpoint, text: str, reason: str
) -> None:
    written = ask(two_seeds, client, endpoint, completion(text))
    assert (written.texts, written.answers, written.wasted) == ({}, {"unreadable": 2}, 2 * CALL)
    totals = client.ledger_totals(PURPOSE)
    assert (totals.wasted_calls, totals.wasted_cost) == (2, 2 * CALL)
    [problem] = written.problems
    assert problem.startswith(f"2 of 2 requests: unreadable ({COMMA}, {CHAT}): {reason}")


@pytest.mark.parametrize(
    "text",
    [
        '好的：\n```json\n{"variants": ["喂 {{电话}}"]}\n```',
        '<think>想一想</think>{"variants": ["喂 {{电话}}", 5, null]}',
    ],
)
def test_an_answer_in_prose_is_read(two_seeds: Scenario, client: ChatClient, endpoint: Endpoint, text: str) -> None:
    assert ask(two_seeds, client, endpoint, completion(text)).texts[COMMA] == [("喂 {{电话}}", CALL)]


def test_what_the_endpoint_refuses_is_counted_and_told(
    two_seeds: Scenario, client: ChatClient, endpoint: Endpoint
) -> None:
    written = ask(two_seeds, client, endpoint, failure(400, "filtered by policy"))
    assert (written.answers, written.wasted) == ({"rejected": 2}, 0.0)
    assert written.problems[0].endswith("filtered by policy")


def test_an_empty_answer_was_paid_for(two_seeds: Scenario, client: ChatClient, endpoint: Endpoint) -> None:
    written = ask(two_seeds, client, endpoint, completion(None, "length"))
    assert (written.answers, written.wasted) == ({"empty": 2}, 2 * CALL)


def test_the_budget_ends_it_and_keeps_what_was_paid_for(
    two_seeds: Scenario, endpoint: Endpoint, tmp_path: Path
) -> None:
    poor = client_at(endpoint, tmp_path, concurrency=1, budget=Budget(max_calls=1))
    written = ask(two_seeds, poor, endpoint, answer("喂 {{电话}}"))
    assert written.answers == {"ok": 1, "budget_exhausted": 1}
    assert set(written.texts) == {COMMA}


def test_what_the_gates_reject_is_booked_as_wasted(
    two_seeds: Scenario, client: ChatClient, endpoint: Endpoint, probes: list[dict[str, Any]]
) -> None:
    good = "打{{电话}}找{{名字.param.输出}}就行"
    texts = {COMMA: (good, "打{{电话}}"), CHAT: ("打{{电话}}", "叫{{名字.param.输出}}")}
    seeds = {name: seed.text for name, seed in two_seeds.seeds().items()}
    endpoint.reply = lambda prompt, nth: answer(*texts[COMMA if prompt.endswith(seeds[COMMA]) else CHAT])
    written = llm_variants(two_seeds, client, 2)
    table = template_variants(two_seeds, probes, written.texts)
    assert table.filter(pl.col("origin") == "llm")["accepted"].to_list() == [True, False, False, False]
    assert mark_rejected(written, table, client) == pytest.approx(1.5 * CALL)
    totals = client.ledger_totals(PURPOSE)
    assert (totals.wasted_calls, totals.wasted_cost) == (1, CALL)


def test_a_new_seed_is_paid_for_with_those_that_it_is_an_example_of(
    scenario: Scenario, tmp_path: Path, client: ChatClient, endpoint: Endpoint
) -> None:
    seeds = {f"{number:02d}": f"第{name}种，{{{{电话}}}}" for number, name in enumerate("甲乙丙丁戊己")}
    small = small_scenario(scenario, tmp_path / "six", seeds)
    ask(small, client, endpoint, answer("喂 {{电话}}"))
    write(small.folder, "99.j2", "最后一种，{{电话}}")
    assert ask(small, client, endpoint, answer("喂 {{电话}}")).from_cache == 4
    assert len(endpoint.bodies) == 6 + 3
