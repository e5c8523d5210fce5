"""The LLM as judge, asked over HTTP: both orders, strict reading, one more try, and what is paid for once."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cs_assets.reward.llm_judge import PURPOSE, Duel, Verdict, first_won, read_verdict, unparsed, verdicts
from cs_assets_tests.llm_endpoint import Endpoint, Reply, completion, failure
from resources.llm import LLM, ChatClient

KIND, COLD = "抱歉让您久等了，我马上查物流，24小时内回您。", "等着吧。"
DUEL = Duel(message="保温杯还没到", rubric="1. 温和", one=KIND, other=COLD)


@pytest.fixture
def client(endpoint: Endpoint, tmp_path: Path) -> ChatClient:
    return judge_at(endpoint, tmp_path)


def judge_at(endpoint: Endpoint, tmp_path: Path, max_calls: int | None = None) -> ChatClient:
    cache = str(tmp_path / "llm.sqlite")
    return LLM(
        api_key="sk-1", base_url=endpoint.url, model="m", cache_path=cache, concurrency=1, max_calls=max_calls
    ).client()


def shown(prompt: str) -> tuple[str, str]:
    """Return the replies that stand as A and as B in a prompt."""
    first, second = re.findall(r"回复[AB]：\n<<<\n(.*?)\n>>>", prompt, re.DOTALL)
    return first, second


def preferring(words: str) -> Callable[[str, int], Reply]:
    """Return a judge who prefers the reply with these words, wherever it stands."""

    def reply(prompt: str, nth: int) -> Reply:
        first, second = (words in text for text in shown(prompt))
        return completion("平局" if first == second else "A" if first else "B")

    return reply


def test_the_better_answer_is_better_in_both_orders(endpoint: Endpoint, client: ChatClient) -> None:
    endpoint.reply = preferring("抱歉")
    swapped = DUEL.model_copy(update={"one": COLD, "other": KIND})
    found = verdicts([DUEL, swapped], client)
    assert [verdict and verdict.better for verdict in found] == ["one", "other"]
    assert first_won(found) == [1, 0, 0, 1]


def test_each_duel_is_asked_in_both_orders_with_message_and_rubric(endpoint: Endpoint, client: ChatClient) -> None:
    endpoint.reply = preferring("抱歉")
    verdicts([DUEL], client)
    assert [shown(prompt) for prompt in endpoint.prompts] == [(KIND, COLD), (COLD, KIND)]
    for body, prompt in zip(endpoint.bodies, endpoint.prompts, strict=True):
        assert "顾客消息：\n<<<\n保温杯还没到\n>>>" in prompt
        assert "标准：\n1. 温和\n" in prompt
        assert body["temperature"] == 0


@pytest.mark.parametrize(("always", "share"), [("A", 1.0), ("B", 0.0)])
def test_a_judge_who_looks_at_the_place_alone_makes_ties(
    endpoint: Endpoint, client: ChatClient, always: str, share: float
) -> None:
    endpoint.reply = lambda prompt, nth: completion(always)
    [verdict] = verdicts([DUEL], client)
    assert verdict is not None
    assert verdict.better == "neither"
    assert first_won([verdict]) == [share, share]


def test_a_win_in_one_order_and_a_tie_in_the_other_is_a_tie(endpoint: Endpoint, client: ChatClient) -> None:
    endpoint.reply = lambda prompt, nth: completion("A" if nth == 1 else "平局")
    [verdict] = verdicts([DUEL], client)
    assert verdict == Verdict(one_first="A", other_first="平局")
    assert verdict.better == "neither"
    assert first_won([verdict]) == [1]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("A", "A"),
        (" B\n", "B"),
        ("平局。", "平局"),
        ("<think>A温和，B冷淡</think>\n\nA", "A"),
        ("a", None),
        ("A更好", None),
        ("回复A", None),
        ("A或B", None),
        ("平", None),
        ("<think>A</think>", None),
        ("", None),
    ],
)
def test_a_verdict_is_one_word_and_nothing_else(text: str, word: str | None) -> None:
    assert read_verdict(text) == word


def test_what_is_no_verdict_is_asked_once_more(endpoint: Endpoint, client: ChatClient) -> None:
    endpoint.reply = lambda prompt, nth: completion("我认为A更好") if nth <= 2 else preferring("抱歉")(prompt, nth)
    [verdict] = verdicts([DUEL], client)
    assert verdict == Verdict(one_first="A", other_first="B")
    assert len(endpoint.prompts) == 4
    assert all(again.startswith(first) for first, again in zip(endpoint.prompts, endpoint.prompts[2:], strict=False))
    assert client.ledger_totals(PURPOSE).wasted_calls == 2


@pytest.mark.parametrize("reply", [completion("两条都不错"), completion(""), failure(400, "filtered")])
def test_what_is_no_verdict_twice_is_a_tie_and_counted(endpoint: Endpoint, client: ChatClient, reply: Reply) -> None:
    endpoint.reply = lambda prompt, nth: reply if shown(prompt)[0] == KIND else completion("B")
    [verdict] = verdicts([DUEL], client)
    assert verdict == Verdict(one_first=None, other_first="B")
    assert verdict.better == "neither"
    assert unparsed([verdict, None]) == 1
    assert len(endpoint.prompts) == 3


def test_a_second_run_pays_for_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda prompt, nth: completion("嗯" if nth == 1 else "B")
    first = verdicts([DUEL], judge_at(endpoint, tmp_path))
    assert len(endpoint.prompts) == 3
    assert verdicts([DUEL], judge_at(endpoint, tmp_path)) == first
    assert len(endpoint.prompts) == 3


def test_equal_answers_are_a_tie_that_nobody_is_asked(endpoint: Endpoint, client: ChatClient) -> None:
    [verdict] = verdicts([DUEL.model_copy(update={"other": KIND})], client)
    assert verdict is not None
    assert verdict.better == "neither"
    assert endpoint.prompts == []


def test_what_the_budget_does_not_reach_has_no_verdict(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = preferring("抱歉")
    duels = [DUEL, DUEL.model_copy(update={"message": "发票呢"})]
    found = verdicts(duels, judge_at(endpoint, tmp_path, max_calls=3))
    assert [verdict and verdict.better for verdict in found] == ["one", None]
