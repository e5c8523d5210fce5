"""How trajectories go wrong: the corruptions of the family `workflow`.

Here is only what changes a true trajectory; each corruption takes its steps, a generator and the functions on offer.
Some give an answer that no rule catches (a shortened argument with all that follows from it, a thought or a reply of
another step): those are for the judge.
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cs_assets.families.base import Corrupter
from cs_assets.families.tools import Call, Tool, execute
from cs_assets.families.workflow.trajectory import FINAL, REPLY, Action, Step, read, write

Tools = Mapping[str, Tool]
Steps = list[Step]
StepCorrupter = Callable[[Steps, random.Random, Tools], Steps | str | None]
_TIMES: Final = ("09:00", "10:30", "13:30", "15:00", "16:30", "19:00")
_CITIES: Final = ("北京", "上海", "杭州", "成都", "武汉", "广州")
_DAYS: Final = ("明天", "后天", "周六", "下周一", "20号")
_NUMBER: Final = re.compile(r"WX\d{8}")


def corruptions(tools: Tools) -> dict[str, dict[str, Corrupter]]:
    """Return corruption family -> kind -> corrupter."""
    return {family: {name: _of_steps(make, tools) for name, make in kinds.items()} for family, kinds in _KINDS.items()}


def _of_steps(make: StepCorrupter, tools: Tools) -> Corrupter:
    def corrupt(sample: Any, rng: random.Random) -> str | None:
        wrong = make(read(sample.answer), rng, tools)
        return write(wrong) if isinstance(wrong, list) else wrong

    return corrupt


def _calls(steps: Sequence[Step], name: str = "") -> list[int]:
    """Return where calls stand, those of one function or all."""
    return [i for i, step in enumerate(steps) if step.action.is_call and name in ("", step.action.name)]


def _replies(steps: Sequence[Step]) -> list[int]:
    return [i for i, step in enumerate(steps) if step.action.name == REPLY]


def _changed(step: Step, **change: Any) -> Step:
    return step.model_copy(update=change)


def _put(steps: Steps, at: int, step: Step) -> Steps:
    return [*steps[:at], step, *steps[at + 1 :]]


def _called_again(steps: Steps, at: int, arguments: Mapping[str, Any], tools: Tools) -> Steps:
    """Return the trajectory with another call, what it really returns, and its ticket in all that follows."""
    action = steps[at].action
    result = json.dumps(execute(Call(name=action.name, arguments=dict(arguments)), tools), ensure_ascii=False)
    action = action.model_copy(update={"input": json.dumps(arguments, ensure_ascii=False)})
    before, after = _NUMBER.search(steps[at].observation), _NUMBER.search(result)
    steps = _put(steps, at, _changed(steps[at], action=action, observation=result))
    if not before or not after:
        return steps
    return [*steps[: at + 1], *(_told(step, before.group(), after.group()) for step in steps[at + 1 :])]


def _told(step: Step, old: str, new: str) -> Step:
    """Return the step with another word in what the customer reads."""
    return _changed(step, action=step.action.model_copy(update={"input": step.action.input.replace(old, new)}))


# --- Order


def _skipped_step(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Leave a step out: a ticket without a look at the slots, or without the customer's word."""
    if len(steps) < 2:
        return None
    at = rng.randrange(len(steps) - 1)
    return steps[:at] + steps[at + 1 :]


def _repeated_step(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    if len(steps) < 2:
        return None
    at = rng.randrange(len(steps) - 1)
    return [*steps[: at + 1], *[steps[at]] * rng.randint(1, 2), *steps[at + 1 :]]


def _premature_end(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Tell the end before the work is done."""
    if len(steps) < 3:
        return None
    return [*steps[: rng.randint(1, len(steps) - 2)], steps[-1]]


def _needless_question(steps: Steps, rng: random.Random, tools: Tools) -> Steps:
    """Ask once more before the end."""
    thought, text, reply = rng.choice(
        (
            ("再问问还有没有别的事。", "请问您还有其他问题吗？", "没有了"),
            ("先确认一下客户的意思。", "您的意思是要维修对吗？", "我说得不清楚吗"),
            ("再核对一遍。", "麻烦您再确认一下可以吗？", "不是都说过了吗"),
        )
    )
    question = Step(thought=thought, action=Action(name=REPLY, input=text), observation=reply)
    return [*steps[:-1], question, steps[-1]]


# --- Calls


def _wrong_tool(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Call another function, with the arguments of the right one."""
    at = _calls(steps)
    if not at:
        return None
    place = rng.choice(at)
    action = steps[place].action
    other = rng.choice([name for name in tools if name != action.name])
    return _put(steps, place, _changed(steps[place], action=action.model_copy(update={"name": other})))


def _changed_argument(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Change an argument; what follows is as the other call returns it."""
    at = _calls(steps)
    if not at:
        return None
    place = rng.choice(at)
    arguments = steps[place].action.arguments() or {}
    name = rng.choice(sorted(arguments))
    return _called_again(steps, place, arguments | {name: _other_value(name, arguments[name], rng)}, tools)


def _other_value(name: str, value: Any, rng: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if name == "ServeTime":
        return f"{value[:-5]}{rng.choice([time for time in _TIMES if not value.endswith(time)])}"
    pools = {"city": _CITIES, "date": _DAYS, "skill": ("computer", "printer", "network", "phone", "projector")}
    if name in pools:
        return rng.choice([other for other in pools[name] if other != value])
    return f"{value}{rng.choice(('了', '吧', '那个', '（急）'))}"


def _shortened_argument(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Cut the end off something that the customer said; what follows is as the other call returns it."""
    names = ("UserName", "problem", "address", "product")
    places = [
        (i, name)
        for i in _calls(steps)
        for name, value in (steps[i].action.arguments() or {}).items()
        if name in names and len(value) > 2
    ]
    if not places:
        return None
    place, name = rng.choice(places)
    arguments = steps[place].action.arguments() or {}
    cut = arguments[name][: -rng.randint(1, min(4, len(arguments[name]) - 2) or 1)]
    wrong = _called_again(steps, place, arguments | {name: cut}, tools)
    # Where nothing is found any more, the rest would make no sense.
    return None if "error" in wrong[place].observation else wrong


# --- What was observed


def _ignored_observation(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Book a time at which nobody is free."""
    ticket, slots = _calls(steps, "TicketCreate"), _calls(steps, "QueryTechnicianSlots")
    if not ticket or not slots:
        return None
    taken = [time for time in _TIMES if time not in steps[slots[-1]].observation]
    if not taken:
        return None
    arguments = steps[ticket[-1]].action.arguments() or {}
    time = rng.choice(taken)
    wrong = _called_again(steps, ticket[-1], arguments | {"ServeTime": f"{arguments['ServeTime'][:-5]}{time}"}, tools)
    return [*wrong[:-1], _told(wrong[-1], arguments["ServeTime"][-5:], time)]


def _invented_observation(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Change what a call returned."""
    places = [i for i in _calls(steps) if "error" not in steps[i].observation]
    if not places:
        return None
    at = rng.choice(places)
    result = json.loads(steps[at].observation)
    if result.get("slots"):
        result["slots"][0]["time"] = rng.choice([time for time in _TIMES if time != result["slots"][0]["time"]])
    elif "slots" in result:
        result["slots"] = [{"technician": "王师傅", "skill": "computer", "time": rng.choice(_TIMES)}]
    elif "steps" in result:
        result["steps"] = rng.choice(("重启一下就好", "恢复出厂设置", "更新到最新系统", "拔掉电源等十分钟再试"))
    else:
        result["ticket_id"] = _other_number(result["ticket_id"], rng)
    return _put(steps, at, _changed(steps[at], observation=json.dumps(result, ensure_ascii=False)))


def _other_number_told(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Tell the customer another number than the ticket's."""
    number = _NUMBER.search(steps[-1].action.input)
    if not number:
        return None
    return [*steps[:-1], _told(steps[-1], number.group(), _other_number(number.group(), rng))]


def _other_number(number: str, rng: random.Random) -> str:
    at = rng.randrange(3, len(number))
    return number[:at] + rng.choice([digit for digit in "0123456789" if digit != number[at]]) + number[at + 1 :]


# --- Words


def _contradicting_thought(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Think what belongs to another step."""
    pairs = [(i, j) for i in range(len(steps)) for j in range(len(steps)) if steps[i].action != steps[j].action]
    if not pairs:
        return None
    at, other = rng.choice(pairs)
    return _put(steps, at, _changed(steps[at], thought=steps[other].thought))


def _misplaced_reply(steps: Steps, rng: random.Random, tools: Tools) -> Steps | None:
    """Say what belongs to another step."""
    spoken = [*_replies(steps), len(steps) - 1]
    if len(spoken) < 2:
        return None
    at, other = rng.sample(spoken, 2)
    text = steps[other].action.input
    return _put(steps, at, _changed(steps[at], action=steps[at].action.model_copy(update={"input": text})))


# --- Format


def _missing_label(steps: Steps, rng: random.Random, tools: Tools) -> str:
    label = rng.choice(("Thought: ", "Final: ")) if len(steps) < 2 else rng.choice(("Thought: ", "Action Input: "))
    places = [match.start() for match in re.finditer(f"^{label}", write(steps), re.MULTILINE)]
    at = rng.choice(places)
    return write(steps)[:at] + write(steps)[at + len(label) :]


def _cut_off(steps: Steps, rng: random.Random, tools: Tools) -> str:
    """Break off before the end, as at the limit of tokens."""
    text = write(steps)
    last = text.rindex(f"\n{FINAL}: ")
    return text[: rng.randint(last // 2, last)].rstrip()


def _prose_around(steps: Steps, rng: random.Random, tools: Tools) -> str:
    return rng.choice(("好的，我按流程处理：\n", "以下是处理过程：\n", "```\n")) + write(steps)


_KINDS: Final[dict[str, dict[str, StepCorrupter]]] = {
    "order": {
        "skipped_step": _skipped_step,
        "repeated_step": _repeated_step,
        "premature_end": _premature_end,
        "needless_question": _needless_question,
    },
    "call": {
        "wrong_tool": _wrong_tool,
        "changed_argument": _changed_argument,
        "shortened_argument": _shortened_argument,
    },
    "observation": {
        "ignored_observation": _ignored_observation,
        "invented_observation": _invented_observation,
        "other_number_told": _other_number_told,
    },
    "words": {"contradicting_thought": _contradicting_thought, "misplaced_reply": _misplaced_reply},
    "format": {"missing_label": _missing_label, "cut_off": _cut_off, "prose_around": _prose_around},
}
