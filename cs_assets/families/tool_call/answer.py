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

# Where JSON may begin that holds more than numbers, or is empty; [微笑] is none. Without its quotes it is unreadable.
_JSON: Final = re.compile(r"""[\[{](?=\s*(?:[\[\]{}"']|\w+\s*:))""")
# A call as a program has it, whose brackets are empty or begin with a text or a named argument (VIP(会员) is none), or
# as YAML has it.
_PROGRAM: Final = re.compile(
    r"""[A-Za-z_]\w*\ ?[(（]\s*(?:[)）"']|[A-Za-z_]\w*\s*[=:])
    | ^\s*(?:-\ *)?(?:calls|ask|name|arguments)\s*:""",
    re.VERBOSE | re.MULTILINE,
)

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
    """Return what a sloppy prediction says: in fences or prose, a bare list of calls, a bare call.

    Prose without a call, in JSON, YAML or as a program has it, calls nothing, and says that no function fits.
    """
    opening = _JSON.search(prediction)
    if opening is None:
        return None if _PROGRAM.search(prediction) else Answer(calls=[], ask=[])
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

    The functions called and asked about are compared first, in any order; where they differ, there is nothing to
    compare further. `required`: no argument and no question of the truth is missing. `unknown`: no argument is too
    much.
    """
    if found is None or _named(found) != _named(truth):
        return [False] * len(LEVELS)
    asked = _asked(found) == _asked(truth)
    return [True, *map(all, zip((asked, True, True, asked), *_paired(found.calls, truth.calls), strict=True))]


def _named(answer: Answer) -> tuple[list[str], list[str]]:
    return sorted(call.name for call in answer.calls), sorted(ask.name for ask in answer.ask)


def _asked(answer: Answer) -> list[tuple[str, list[str]]]:
    return sorted((ask.name, ask.missing) for ask in answer.ask)


def _paired(found: Sequence[Call], truth: Sequence[Call]) -> list[tuple[bool, ...]]:
    """Return the levels of each call against the true one that it stands for: of its function, the most alike first."""
    alike = [
        (_argument_levels(had.arguments, true.arguments), at, to)
        for at, had in enumerate(found)
        for to, true in enumerate(truth)
        if had.name == true.name
    ]
    paired: dict[int, tuple[bool, ...]] = {}
    left = set(range(len(truth)))
    for passed, at, to in sorted(alike, reverse=True):
        if at not in paired and to in left:
            paired[at] = passed
            left.remove(to)
    return list(paired.values())


def _argument_levels(had: Mapping[str, Any], true: Mapping[str, Any]) -> tuple[bool, ...]:
    shared = [(had[name], true[name]) for name in true.keys() & had.keys()]
    required = true.keys() <= had.keys()
    return (
        required,
        had.keys() <= true.keys(),
        all(same_type(value, expected) for value, expected in shared),
        required and all(same_value(value, expected) for value, expected in shared),
    )


def same_type(value: Any, true: Any) -> bool:
    """Tell whether a value has the type of the true one, at any depth, where true is not 1.

    An integer stands for a whole number (3 for 3.0), a number never for an integer. An item of a list has the type of
    some item of the true list; where that one is empty, nothing is known of its items.
    """
    if isinstance(true, dict):
        return isinstance(value, dict) and all(same_type(value[key], true[key]) for key in true.keys() & value.keys())
    if isinstance(true, list):
        return isinstance(value, list) and (
            not true or all(any(same_type(item, one) for one in true) for item in value)
        )
    return type(value) is type(true) or (type(true) is float and type(value) is int)


def same_value(value: Any, true: Any) -> bool:
    """Tell whether a value is the true one, types included; the order of members does not count, that of items does."""
    if isinstance(true, dict):
        return (
            isinstance(value, dict)
            and value.keys() == true.keys()
            and all(same_value(value[key], true[key]) for key in true)
        )
    if isinstance(true, list):
        return isinstance(value, list) and len(value) == len(true) and all(map(same_value, value, true))
    return same_type(value, true) and bool(value == true)
