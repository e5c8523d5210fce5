"""Trajectories: the strict text of what an assistant thought, did and observed, step by step.

Here belong writing and reading that text, and the same as chat messages. Which step may follow which is said by
`flow.py`; what is true, by `family.py`.

    Thought: 先查知识库。
    Action: SearchSolution
    Action Input: {"problem": "充电器不充电"}
    Observation: {"found": true, ...}
    Thought: 有办法可以先让客户自己试。
    Action: Reply
    Action Input: 您先换个插座试一下，还是不行再告诉我。
    Observation: 好了，谢谢
    Thought: 问题解决了，可以结束。
    Final: 不客气，有问题再找我们。

A step is three lines of the assistant and one of the world; each value is one line. The last step is a thought and
`Final`, what the customer is told at the end.
"""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from cs_assets.families.base import ChatMessage, Value
from cs_assets.families.native_calls import NativeMessage, native_call

REPLY: Final = "Reply"
FINAL: Final = "Final"
# What is observed after a reply that waits for no answer.
SENT: Final = '{"sent": true}'
_OBSERVED: Final = re.compile(
    r"Thought: (?P<thought>\S[^\n]*)\nAction: (?P<action>\w+)\nAction Input: (?P<input>\S[^\n]*)\n"
    r"Observation: (?P<observation>\S[^\n]*)\n"
)
_LAST: Final = re.compile(r"Thought: (?P<thought>\S[^\n]*)\nFinal: (?P<input>\S[^\n]*)")
_LABELLED: Final = re.compile(r"^(Thought|Action|Action Input|Observation|Final):([^\n]*)", re.MULTILINE)


class Action(Value):
    """What the assistant does: calls a tool (`input` is JSON), replies or ends (`input` is what the customer reads)."""

    name: str
    input: str

    @property
    def is_call(self) -> bool:
        return self.name not in (REPLY, FINAL)

    def arguments(self) -> dict[str, Any] | None:
        """Return the arguments of a call; None where `input` is no JSON object."""
        try:
            found = json.loads(self.input)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


class Step(Value):
    """A thought, an action and what came of it; the last step has no observation."""

    thought: str
    action: Action
    observation: str = ""

    @property
    def said(self) -> str:
        """The assistant's part."""
        if self.action.name == FINAL:
            return f"Thought: {self.thought}\nFinal: {self.action.input}"
        return f"Thought: {self.thought}\nAction: {self.action.name}\nAction Input: {self.action.input}"

    @property
    def text(self) -> str:
        return f"{self.said}\nObservation: {self.observation}" if self.observation else self.said


def write(steps: Sequence[Step]) -> str:
    """Return the trajectory's text, which `read` reads back."""
    return "\n".join(step.text for step in steps)


def read(text: str) -> list[Step]:
    """Read a trajectory strictly.

    Raises:
        ValueError: it departs from the format; the message names the line.
    """
    steps: list[Step] = []
    position = 0
    while match := _OBSERVED.match(text, position):
        action = Action(name=match["action"], input=match["input"])
        steps.append(Step(thought=match["thought"], action=action, observation=match["observation"]))
        position = match.end()
    last = _LAST.fullmatch(text, position)
    if last is None:
        line = text.count("\n", 0, position) + 1
        raise ValueError(
            f"line {line}: no step begins here that has Thought, Action, Action Input and Observation, or Thought and "
            "Final at the end, a line each"
        )
    return [*steps, Step(thought=last["thought"], action=Action(name=FINAL, input=last["input"]))]


def read_loosely(text: str) -> list[Step]:
    """Return the steps that can be found in a sloppy text, whatever stands between them; a missing part is empty."""
    steps = []
    for block in re.split(r"^(?=Thought:)", text, flags=re.MULTILINE):
        part = {label: value.strip() for label, value in _LABELLED.findall(block)}
        thought, observation = part.get("Thought", ""), part.get("Observation", "")
        if part.get("Action"):
            action = Action(name=part["Action"], input=part.get("Action Input", ""))
            steps.append(Step(thought=thought, action=action, observation=observation))
        if part.get("Final"):
            steps.append(Step(thought=thought, action=Action(name=FINAL, input=part["Final"])))
    return steps


def chat_messages(text: str) -> list[ChatMessage]:
    """Return the trajectory as chat messages: the assistant's steps, tools' results and the customer's replies.

    A text that breaks the format is one message of the assistant.
    """
    try:
        steps = read(text)
    except ValueError:
        return [{"role": "assistant", "content": text}]
    messages = []
    for step in steps:
        messages.append({"role": "assistant", "content": step.said})
        if step.observation:
            is_result = step.action.is_call or step.observation == SENT
            messages.append({"role": "tool" if is_result else "user", "content": step.observation})
    return messages


def spliced(answer: str, said: Sequence[str]) -> str:
    """Return a prediction that was made step by step, each after the true steps before it, as one trajectory.

    Args:
        answer: the true trajectory, whose observations stand between the predicted messages.
        said: what a model said in the place of each message of the assistant.
    """
    predicted = iter(said)
    parts = [
        next(predicted, "") if message["role"] == "assistant" else f"Observation: {message['content']}"
        for message in chat_messages(answer)
    ]
    return "\n".join(parts)


def native_messages(steps: Sequence[Step]) -> list[NativeMessage]:
    """Return the trajectory in OpenAI's form: a call with its thought, its result, what is said to the customer."""
    messages: list[NativeMessage] = []
    for number, step in enumerate(steps, start=1):
        if step.action.is_call:
            call = native_call(number, step.action.name, step.action.arguments() or {})
            messages.append({"role": "assistant", "content": step.thought, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": step.observation})
            continue
        messages.append({"role": "assistant", "content": step.action.input})
        if step.action.name != FINAL and step.observation != SENT:
            messages.append({"role": "user", "content": step.observation})
    return messages
