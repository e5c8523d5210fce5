"""The answer of a tool call: its one JSON text, strict and lenient reading, and how two answers are compared.

Here belongs the form of the answer, whatever the functions are. Which answer is true is said by `family.py`.

    {"calls": [{"name": "TicketCancel", "arguments": {"ticket_id": "WX20310417"}}], "ask": []}
    {"calls": [], "ask": [{"name": "TicketCancel", "missing": ["ticket_id"]}]}
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, ValidationError

from cs_assets.families.base import Value
from cs_assets.families.json_answers import dump_answer, parse_answer
from cs_assets.families.native_calls import NativeMessage, native_call
from cs_assets.families.tools import Call, Tool

# What is compared on the syntax tree, in this order.
LEVELS: Final = ("function", "required", "unknown", "types", "values")

NOTHING_FITS: Final = "抱歉，这个我这边处理不了。"


class Question(Value):
    """What must be asked before a function can be called: its required parameters that the message leaves out."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    missing: Annotated[list[str], Field(min_length=1)]


class Answer(Value):
    """The answer's JSON: calls in the order asked for, and the functions that lack an argument."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    calls: list[Call]
    ask: list[Question]

    @property
    def is_empty(self) -> bool:
        return not self.calls and not self.ask

    def dump(self) -> str:
        """Write the answer in its one canonical spelling."""
        return dump_answer(self.model_dump())


def read_answer(prediction: str) -> Answer | None:
    """Return the answer if `prediction` is one JSON object of its form and nothing else, None otherwise."""
    try:
        return Answer.model_validate(parse_answer(prediction))
    except (ValueError, RecursionError):  # pydantic's ValidationError is a ValueError
        return None


def read_repaired(prediction: str) -> Answer | None:
    """Return what a sloppy prediction says: in fences or prose, a bare list of calls, a bare call."""
    opening = re.search(r"[\[{]", prediction)
    if opening is None:
        return None
    end = prediction.rfind("]" if opening[0] == "[" else "}") + 1
    try:
        parsed = json.loads(prediction[opening.start() : end])
    except (ValueError, RecursionError):
        return None
    if isinstance(parsed, list):
        parsed = {"calls": parsed}
    elif "name" in parsed:
        parsed = {"calls": [parsed]}
    if not parsed.keys() & {"calls", "ask"}:
        return None
    try:
        return Answer.model_validate({"calls": parsed.get("calls", []), "ask": parsed.get("ask", [])})
    except ValidationError:
        return None


def native_messages(answer: Answer, offered: Mapping[str, Tool]) -> list[NativeMessage]:
    """Return the one message of an answer: calls natively; what must be asked, or that nothing fits, as text."""
    asked = [_said(offered, question.name, name) for question in answer.ask for name in question.missing]
    text = f"请您再告诉我{'、'.join(asked)}。" if asked else NOTHING_FITS if answer.is_empty else ""
    message: NativeMessage = {"role": "assistant", "content": text}
    if answer.calls:
        calls = enumerate(answer.calls, start=1)
        message["tool_calls"] = [native_call(number, call.name, call.arguments) for number, call in calls]
    return [message]


def _said(offered: Mapping[str, Tool], tool: str, parameter: str) -> str:
    """Return a parameter as its description names it: 上门时间 of 上门时间，照原话."""
    found = offered[tool].parameter(parameter) if tool in offered else None
    return found.description.partition("，")[0] if found else parameter


def levels(found: Answer | None, truth: Answer) -> Sequence[bool]:
    """Compare on the syntax tree: function, required, unknown, types, values.

    The functions called and asked about are compared first; where they differ, there is nothing to compare further.
    `required`: no argument and no question of the truth is missing. `unknown`: no argument is too much.
    """
    if found is None or _named(found) != _named(truth):
        return [False] * len(LEVELS)
    pairs = [(had.arguments, true.arguments) for had, true in zip(found.calls, truth.calls, strict=True)]
    shared = [(had[name], true[name]) for had, true in pairs for name in true.keys() & had.keys()]
    required = all(true.keys() <= had.keys() for had, true in pairs) and found.ask == truth.ask
    return [
        True,
        required,
        all(had.keys() <= true.keys() for had, true in pairs),
        all(type(value) is type(true) for value, true in shared),
        required and all(same_json(value, true) for value, true in shared),
    ]


def _named(answer: Answer) -> tuple[list[str], list[str]]:
    return [call.name for call in answer.calls], [ask.name for ask in answer.ask]


def same_json(one: Any, other: Any) -> bool:
    """Compare as JSON, where true is not 1; the order of members does not count."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
