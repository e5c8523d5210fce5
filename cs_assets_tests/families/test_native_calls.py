"""Calls in OpenAI's form: from an answer, and from a trajectory."""

import json

from cs_assets.families.native_calls import NOTHING_FITS, of_answer, of_trajectory
from cs_assets.families.tool_answer import Answer, Question
from cs_assets.families.tools import Call, Parameter, Tool
from cs_assets.families.trajectory import FINAL, REPLY, SENT, Action, Step

TIME = Parameter(name="ServeTime", type="string", description="上门时间，照原话", required=True)
OFFERED = {"TicketCreate": Tool(name="TicketCreate", description="新建工单", parameters=(TIME,))}


def test_calls_are_native_in_their_order() -> None:
    calls = [
        Call(name="TicketQuery", arguments={"number": "WX1"}),
        Call(name="TicketCreate", arguments={"isVIP": True}),
    ]
    [message] = of_answer(Answer(calls=calls, ask=[]), OFFERED)
    assert message["content"] == ""
    assert [
        (c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message["tool_calls"]
    ] == [
        ("call_1", "TicketQuery", {"number": "WX1"}),
        ("call_2", "TicketCreate", {"isVIP": True}),
    ]


def test_what_is_missing_is_asked_for_in_words() -> None:
    ask = [Question(name="TicketCreate", missing=["ServeTime"]), Question(name="func_9", missing=["phone"])]
    assert of_answer(Answer(calls=[], ask=ask), OFFERED) == [
        {"role": "assistant", "content": "请您再告诉我上门时间、phone。"}
    ]
    assert of_answer(Answer(calls=[], ask=[]), OFFERED) == [{"role": "assistant", "content": NOTHING_FITS}]


def test_a_trajectory_has_calls_with_results_replies_with_answers_and_an_end() -> None:
    steps = [
        Step(
            thought="先查", action=Action(name="SearchSolution", input='{"problem": "不充电"}'), observation='{"n": 0}'
        ),
        Step(thought="要问", action=Action(name=REPLY, input="什么时候方便？"), observation="明天上午"),
        Step(thought="先安抚", action=Action(name=REPLY, input="稍等"), observation=SENT),
        Step(thought="结束", action=Action(name=FINAL, input="好的")),
    ]
    call, result, *rest = of_trajectory(steps)
    assert call["content"] == "先查"
    assert call["tool_calls"][0]["function"] == {"name": "SearchSolution", "arguments": '{"problem": "不充电"}'}
    assert result == {"role": "tool", "tool_call_id": call["tool_calls"][0]["id"], "content": '{"n": 0}'}
    assert [(message["role"], message["content"]) for message in rest] == [
        ("assistant", "什么时候方便？"),
        ("user", "明天上午"),
        ("assistant", "稍等"),
        ("assistant", "好的"),
    ]
