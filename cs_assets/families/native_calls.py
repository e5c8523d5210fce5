"""Answers that call functions, as OpenAI's API has them: `tool_calls` in the assistant's message, results as `tool`.

Here belongs that form alone, for exports and for chat templates that write calls in a way of their own. What our models
are trained to write is the text of `tool_answer.py` and `trajectory.py`.

    {"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function",
     "function": {"name": "TicketQuery", "arguments": "{\"number\": \"WX20310417\"}"}}]}
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cs_assets.families.tool_answer import Answer
from cs_assets.families.tools import Tool
from cs_assets.families.trajectory import FINAL, SENT, Step

NOTHING_FITS: Final = "抱歉，这个我这边处理不了。"
NativeMessage = dict[str, Any]


def of_answer(answer: Answer, offered: Mapping[str, Tool]) -> list[NativeMessage]:
    """Return the one message of a tool call: calls natively; what must be asked, or that nothing fits, as text."""
    asked = [_said(offered, question.name, name) for question in answer.ask for name in question.missing]
    text = f"请您再告诉我{'、'.join(asked)}。" if asked else NOTHING_FITS if answer.is_empty else ""
    message: NativeMessage = {"role": "assistant", "content": text}
    if answer.calls:
        message["tool_calls"] = [_call(n, call.name, call.arguments) for n, call in enumerate(answer.calls, start=1)]
    return [message]


def of_trajectory(steps: Sequence[Step]) -> list[NativeMessage]:
    """Return the messages of a trajectory: a call with its thought, its result, what is said to the customer."""
    messages: list[NativeMessage] = []
    for number, step in enumerate(steps, start=1):
        if step.action.is_call:
            call = _call(number, step.action.name, step.action.arguments() or {})
            messages.append({"role": "assistant", "content": step.thought, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": step.observation})
            continue
        messages.append({"role": "assistant", "content": step.action.input})
        if step.action.name != FINAL and step.observation != SENT:
            messages.append({"role": "user", "content": step.observation})
    return messages


def _call(number: int, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(dict(arguments), ensure_ascii=False)}
    return {"id": f"call_{number}", "type": "function", "function": function}


def _said(offered: Mapping[str, Tool], tool: str, parameter: str) -> str:
    """Return a parameter as its description names it: 上门时间 of 上门时间，照原话."""
    found = offered[tool].parameter(parameter) if tool in offered else None
    return found.description.partition("，")[0] if found else parameter
