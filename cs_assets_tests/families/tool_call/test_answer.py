"""The answer of a tool call in OpenAI's form."""

import json

from cs_assets.families.tool_call.answer import NOTHING_FITS, Answer, Question, native_messages
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
