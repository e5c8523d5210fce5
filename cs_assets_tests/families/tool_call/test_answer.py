"""The answer of a tool call: in OpenAI's form, and two answers compared where `test_reference_cases.py` has no case."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.tool_call.answer import (
    NOTHING_FITS,
    Answer,
    Question,
    levels,
    native_messages,
    same_type,
    same_value,
)
from cs_assets.families.tools import Call, Parameter, Tool

TIME = Parameter(name="ServeTime", type="string", description="上门时间，照原话", required=True)
OFFERED = {"TicketCreate": Tool(name="TicketCreate", description="新建工单", parameters=(TIME,))}


def test_calls_are_native_in_their_order() -> None:
    calls = [
        Call(name="TicketQuery", arguments={"number": "WX1"}),
        Call(name="TicketCreate", arguments={"isVIP": True}),
    ]
    [message] = native_messages(Answer(calls=calls, ask=[]), OFFERED)
    assert message["content"] == ""
    assert [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message["tool_calls"]
    ] == [
        ("call_1", "TicketQuery", {"number": "WX1"}),
        ("call_2", "TicketCreate", {"isVIP": True}),
    ]


def test_what_is_missing_is_asked_for_in_words() -> None:
    ask = [Question(name="TicketCreate", missing=["ServeTime"]), Question(name="func_9", missing=["phone"])]
    assert native_messages(Answer(calls=[], ask=ask), OFFERED) == [
        {"role": "assistant", "content": "请您再告诉我上门时间、phone。"}
    ]
    assert native_messages(Answer(calls=[], ask=[]), OFFERED) == [{"role": "assistant", "content": NOTHING_FITS}]


# --- two answers compared

ALL_RIGHT = [True] * 5
VALUES: list[Any] = [None, True, False, 0, 1, 1.0, 2.5, "", "1", [], [1], [1.0], [True], [1, 1], [[1]], {}]
VALUES += [{"a": 1}, {"a": 1.0}, {"a": True}, {"a": 1, "b": 1}]
# A parameter has one type: none of them is written now as an integer, now as a number.
ARGUMENTS: list[dict[str, Any]] = [{}, {"x": 1}, {"x": 2}, {"x": "1"}, {"x": 2, "y": [1.0]}, {"y": []}]
CALLS = [Call(name=name, arguments=arguments) for name in "fg" for arguments in ARGUMENTS]
QUESTIONS = [Question(name="h", missing=missing) for missing in (["x"], ["x", "y"])]
ANSWERS = st.builds(
    Answer,
    calls=st.lists(st.sampled_from(CALLS), max_size=4),
    ask=st.lists(st.sampled_from(QUESTIONS), max_size=2),
)


@given(ANSWERS, st.integers(0, 100))
def test_an_answer_is_right_in_any_order(truth: Answer, seed: int) -> None:
    rng = random.Random(seed)
    turned = Answer(calls=rng.sample(truth.calls, len(truth.calls)), ask=rng.sample(truth.ask, len(truth.ask)))
    assert list(levels(turned, truth)) == ALL_RIGHT


@given(ANSWERS, ANSWERS)
def test_values_are_right_only_where_all_before_them_is(found: Answer, truth: Answer) -> None:
    function, required, _, types, values = levels(found, truth)
    assert not values or (function and required and types)


def test_a_value_is_the_same_only_as_itself_and_as_a_whole_number() -> None:
    assert all(same_value(value, value) and same_type(value, value) for value in VALUES)
    same = [
        (a, b) for a, one in enumerate(VALUES) for b, other in enumerate(VALUES) if same_value(one, other) and a != b
    ]
    assert [(VALUES[a], json.dumps(VALUES[b])) for a, b in same] == [
        (1, "1.0"),
        ([1], "[1.0]"),
        ({"a": 1}, '{"a": 1.0}'),
    ]


def rate(**arguments: Any) -> Call:
    return Call(name="TicketRate", arguments=arguments)


@pytest.mark.parametrize("turned", [False, True])
def test_a_call_is_compared_with_the_true_one_that_it_resembles(turned: bool) -> None:
    truth = Answer(calls=[rate(ticket="A", score=4), rate(ticket="B", score=5)], ask=[])
    found = [rate(ticket="B", score=5), rate(ticket="A")]
    passed = levels(Answer(calls=found[::-1] if turned else found, ask=[]), truth)
    assert list(passed) == [True, False, True, True, False]


def test_a_question_that_differs_is_an_argument_missing() -> None:
    truth = Answer(calls=[], ask=[Question(name="f", missing=["x", "y"]), Question(name="g", missing=["x"])])
    turned = Answer(calls=[], ask=truth.ask[::-1])
    assert list(levels(turned, truth)) == ALL_RIGHT
    shorter = Answer(calls=[], ask=[Question(name="f", missing=["x"]), truth.ask[1]])
    assert list(levels(shorter, truth)) == [True, False, True, True, False]
