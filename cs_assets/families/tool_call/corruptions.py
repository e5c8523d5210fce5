"""How calls go wrong: the ways in which a model misses the right answer, each from a right answer.

Here belongs only the breaking; what is right is said by `family.py`. Some kinds break a rule, others look sound and
are wrong all the same (a neighbouring function, a value cut short), for the judge to learn.
"""

import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from cs_assets.families.base import Corrupter, Sample
from cs_assets.families.tool_call.answer import Answer, Question, read_answer
from cs_assets.families.tool_call.parameters import Parameters
from cs_assets.families.tools import TODAY, Argument, Call, Parameter, Tool, canonical_arguments, read_offer, spoken_day

# What a model adds that no function knows, and what it puts into parameters about which nothing was said.
_UNKNOWN: Final[Mapping[str, Argument]] = {
    "remark": "请尽快处理",
    "priority": "high",
    "source": "chat",
    "user_id": 10086,
}
_INVENTED: Final[Mapping[str, tuple[str, ...]]] = {
    "phone": ("13800138000", "13912345678"),
    "address": ("北京市朝阳区", "客户地址"),
    "reason": ("客户不需要了", "个人原因"),
    "product": ("笔记本电脑", "电脑"),
    "problem": ("设备故障", "无法使用"),
    "UserName": ("客户", "张三", "先生"),
    "ServeTime": ("尽快", "明天上午", "工作日"),
    "date": ("今天", "明天"),
    "city": ("北京", "本地"),
    "ticket_id": ("WX12345678", "12345678"),
    "number": ("WX12345678", "13800138000"),
    "order_id": ("123456789012345678",),
}
_OTHERWISE: Final = ("未知", "无")
_TIMES: Final = ("ServeTime", "date")
_Values = dict[str, Any]
_Breaker = Callable[["_Case"], Answer | str | None]


class _Case:
    """A sample while it is being broken: what it says, what it offers, and the generator."""

    def __init__(self, sample: Sample, rng: random.Random) -> None:
        answer = read_answer(sample.answer)
        assert answer is not None, f"a right answer is strict: {sample.answer}"
        self.answer, self.rng, self.message = answer, rng, sample.message
        self.offered = read_offer(sample.tools)

    def with_arguments(self, at: int, arguments: _Values) -> Answer:
        """Return the answer with other arguments in the call at a position."""
        calls = list(self.answer.calls)
        calls[at] = calls[at].model_copy(update={"arguments": arguments})
        return self.answer.model_copy(update={"calls": calls})

    def pick_argument(self, wanted: Callable[[Parameter, Any], bool]) -> tuple[int, str] | None:
        """Return position and name of an argument that is wanted, None where there is none."""
        found = [
            (at, name)
            for at, call in enumerate(self.answer.calls)
            for name, value in call.arguments.items()
            if (parameter := self.offered[call.name].parameter(name)) and wanted(parameter, value)
        ]
        return self.rng.choice(found) if found else None

    def changed(self, place: tuple[int, str] | None, change: Callable[[Any], Any]) -> Answer | None:
        """Return the answer with one value changed."""
        if place is None:
            return None
        at, name = place
        arguments = self.answer.calls[at].arguments
        return self.with_arguments(at, arguments | {name: change(arguments[name])})


class Corruptions:
    """The kinds of corruption for the functions of one scenario, by family."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def kinds(self) -> dict[str, dict[str, Corrupter]]:
        """Return corruption family -> kind -> corrupter."""
        breakers: dict[str, dict[str, _Breaker]] = {
            "selection": {
                "neighbour_called": self._neighbour_called,
                "called_when_none_fits": self._called_when_none_fits,
                "nothing_called": self._nothing_called,
                "second_call_added": self._second_call_added,
                "call_dropped": self._call_dropped,
            },
            "arguments": {
                "required_dropped": self._required_dropped,
                "optional_dropped": self._optional_dropped,
                "optional_invented": self._optional_invented,
                "unknown_added": self._unknown_added,
            },
            "types": {"typed_as_string": self._typed_as_string, "typed_as_number": self._typed_as_number},
            "values": {
                "value_cut": self._value_cut,
                "values_swapped": self._values_swapped,
                "time_normalised": self._time_normalised,
                "digit_changed": self._digit_changed,
                "other_choice": self._other_choice,
            },
            "asking": {
                "guessed": self._guessed,
                "asked_in_vain": self._asked_in_vain,
                "asked_for_another": self._asked_for_another,
            },
            "format": {
                "wrapped": self._wrapped,
                "other_notation": self._other_notation,
            },
        }
        return {
            family: {name: _corrupter(breaker) for name, breaker in kinds.items()} for family, kinds in breakers.items()
        }

    # --- Selection

    def _neighbour_called(self, case: _Case) -> Answer | None:
        """Call another function on offer with what the right one was given."""
        if not case.answer.calls:
            return None
        at = case.rng.randrange(len(case.answer.calls))
        call = self._other_call(case, case.answer.calls[at].arguments)
        if call is None:
            return None
        calls = [call if number == at else other for number, other in enumerate(case.answer.calls)]
        return case.answer.model_copy(update={"calls": calls})

    def _other_call(self, case: _Case, known: _Values) -> Call | None:
        """Return a call of a function on offer that is not in the answer, complete if `known` allows it."""
        named = {call.name for call in case.answer.calls} | {ask.name for ask in case.answer.ask}
        carried = [
            (tool, arguments)
            for tool in case.offered.values()
            if tool.name not in named and (arguments := self._carried_over(known, tool))
        ]
        complete = [(tool, arguments) for tool, arguments in carried if set(tool.required) <= arguments.keys()]
        if not carried:
            return None
        tool, arguments = case.rng.choice(complete or carried)
        return Call(name=tool.name, arguments=arguments)

    def _carried_over(self, arguments: _Values, tool: Tool) -> _Values:
        """Return those arguments that another function takes, under its names for them (number for ticket_id)."""
        alike = [set(names) for names in self._parameters.slots.values()]
        found = {
            parameter.name: value
            for name, value in arguments.items()
            for parameter in tool.parameters
            if parameter.name == name or any({name, parameter.name} <= names for names in alike)
        }
        return canonical_arguments(found, tool)

    def _called_when_none_fits(self, case: _Case) -> Answer | None:
        if not case.answer.is_empty or not case.offered:
            return None
        tool = case.rng.choice(list(case.offered.values()))
        arguments = {name: self._guess(case, tool, name) for name in tool.required}
        return Answer(calls=[Call(name=tool.name, arguments=arguments)], ask=[])

    def _guess(self, case: _Case, tool: Tool, name: str) -> Argument:
        """Return what a model puts into a parameter that was not mentioned: something from the message, or invented."""
        parameter = tool.parameter(name)
        assert parameter is not None
        spoken, shape = self._parameters.spoken.get(name), self._parameters.shapes.get(name)
        if spoken:
            return spoken.default if spoken.default is not None else case.rng.choice(sorted(set(spoken.words.values())))
        if shape and (match := shape.search(case.message)):
            return match[0]
        pieces = [piece for piece in re.split(r"[\W_]+", case.message) if 2 <= len(piece) <= 12]
        invented = _INVENTED.get(name, _OTHERWISE)
        return case.rng.choice([*invented, *pieces[:2]] if not shape else invented)

    def _nothing_called(self, case: _Case) -> Answer | None:
        return None if case.answer.is_empty else Answer(calls=[], ask=[])

    def _second_call_added(self, case: _Case) -> Answer | None:
        """Call one more function with what is known."""
        known: _Values = {}
        for call in case.answer.calls:
            known |= call.arguments
        extra = self._other_call(case, known)
        return case.answer.model_copy(update={"calls": [*case.answer.calls, extra]}) if extra else None

    def _call_dropped(self, case: _Case) -> Answer | None:
        if len(case.answer.calls) < 2:
            return None
        calls = list(case.answer.calls)
        del calls[case.rng.randrange(len(calls))]
        return case.answer.model_copy(update={"calls": calls})

    # --- Arguments

    def _required_dropped(self, case: _Case) -> Answer | None:
        return _dropped(case, case.pick_argument(lambda parameter, _: parameter.required))

    def _optional_dropped(self, case: _Case) -> Answer | None:
        return _dropped(case, case.pick_argument(lambda parameter, _: not parameter.required))

    def _optional_invented(self, case: _Case) -> Answer | None:
        free = [
            (at, parameter)
            for at, call in enumerate(case.answer.calls)
            for parameter in case.offered[call.name].parameters
            if not parameter.required and parameter.name not in call.arguments
        ]
        if not free:
            return None
        at, parameter = case.rng.choice(free)
        call = case.answer.calls[at]
        value = case.rng.choice(parameter.enum or _INVENTED.get(parameter.name, _OTHERWISE))
        arguments = canonical_arguments(call.arguments | {parameter.name: value}, case.offered[call.name])
        return case.with_arguments(at, arguments)

    def _unknown_added(self, case: _Case) -> Answer | None:
        if not case.answer.calls:
            return None
        at = case.rng.randrange(len(case.answer.calls))
        name = case.rng.choice(sorted(_UNKNOWN))
        return case.with_arguments(at, case.answer.calls[at].arguments | {name: _UNKNOWN[name]})

    # --- Types

    def _typed_as_string(self, case: _Case) -> Answer | None:
        place = case.pick_argument(lambda parameter, _: parameter.type != "string")
        return case.changed(place, lambda value: json.dumps(value))

    def _typed_as_number(self, case: _Case) -> Answer | None:
        return case.changed(case.pick_argument(lambda _, value: isinstance(value, str) and value.isdecimal()), int)

    # --- Values

    def _value_cut(self, case: _Case) -> Answer | None:
        place = case.pick_argument(lambda parameter, value: _is_free(parameter) and len(value) >= 3)
        at_end = case.rng.random() < 0.5
        length = case.rng.randint(1, 2)
        return case.changed(place, lambda value: value[:-length] if at_end else value[length:])

    def _values_swapped(self, case: _Case) -> Answer | None:
        for at, call in enumerate(case.answer.calls):
            tool = case.offered[call.name]
            free = [name for name in call.arguments if (found := tool.parameter(name)) and _is_free(found)]
            if len(free) >= 2:
                one, other = case.rng.sample(free, 2)
                swapped = {one: call.arguments[other], other: call.arguments[one]}
                return case.with_arguments(at, call.arguments | swapped)
        return None

    def _time_normalised(self, case: _Case) -> Answer | None:
        """Write the date that was meant instead of the words: helpful, and against the rule that they are copied."""
        place = case.pick_argument(lambda parameter, _: parameter.name in _TIMES)
        return case.changed(place, lambda value: str(spoken_day(value) or TODAY))

    def _digit_changed(self, case: _Case) -> Answer | None:
        place = case.pick_argument(lambda _, value: isinstance(value, str) and bool(re.search(r"\d{4}", value)))

        def change(value: str) -> str:
            at = case.rng.choice([match.start() for match in re.finditer(r"\d", value)])
            return value[:at] + str((int(value[at]) + case.rng.randint(1, 9)) % 10) + value[at + 1 :]

        return case.changed(place, change)

    def _other_choice(self, case: _Case) -> Answer | None:
        """Take another one of the values that a parameter may have."""
        place = case.pick_argument(lambda parameter, _: not _is_free(parameter))
        if place is None:
            return None
        spoken = self._parameters.spoken.get(place[1])
        choices = sorted(set(spoken.words.values()), key=str) if spoken else []

        def change(value: Argument) -> Argument:
            return case.rng.choice([choice for choice in choices if choice != value] or [value])

        return case.changed(place, change)

    # --- Asking

    def _guessed(self, case: _Case) -> Answer | None:
        """Call the function with something made up instead of asking."""
        if not case.answer.ask:
            return None
        ask = case.answer.ask[0]
        tool = case.offered[ask.name]
        call = Call(name=ask.name, arguments={name: self._guess(case, tool, name) for name in tool.required})
        return Answer(calls=[*case.answer.calls, call], ask=case.answer.ask[1:])

    def _asked_in_vain(self, case: _Case) -> Answer | None:
        """Ask for something that was said."""
        if not case.answer.calls:
            return None
        at = case.rng.randrange(len(case.answer.calls))
        call = case.answer.calls[at]
        calls = [other for other in case.answer.calls if other is not call]
        missing = case.rng.choice(case.offered[call.name].required)
        return Answer(calls=calls, ask=[*case.answer.ask, Question(name=call.name, missing=[missing])])

    def _asked_for_another(self, case: _Case) -> Answer | None:
        """Ask for another parameter, or for one more."""
        if not case.answer.ask:
            return None
        ask = case.answer.ask[0]
        tool = case.offered[ask.name]
        free = [parameter.name for parameter in tool.parameters if parameter.name not in ask.missing]
        if not free:
            return None
        other = case.rng.choice(free)
        kept = ask.missing if case.rng.random() < 0.5 else ask.missing[1:]
        missing = [parameter.name for parameter in tool.parameters if parameter.name in {other, *kept}]
        return case.answer.model_copy(update={"ask": [Question(name=ask.name, missing=missing), *case.answer.ask[1:]]})

    # --- Format

    def _wrapped(self, case: _Case) -> str:
        """Put prose or a fence around it."""
        opening = case.rng.choice(("好的，我来为您处理：\n", "需要调用以下函数：", "根据客户的话，", "```json\n"))
        return opening + case.answer.dump() + ("\n```" if opening.startswith("`") else "")

    def _other_notation(self, case: _Case) -> str:
        """Give the calls alone, as other formats have them, or as a program's text."""
        if not case.answer.calls or case.rng.random() < 0.5:
            return json.dumps([call.model_dump() for call in case.answer.calls], ensure_ascii=False)
        return "\n".join(
            f"{call.name}({', '.join(f'{name}={value!r}' for name, value in call.arguments.items())})"
            for call in case.answer.calls
        )


def _corrupter(breaker: _Breaker) -> Corrupter:
    """Return the corrupter of samples that a breaker of cases stands for."""

    def corrupt(sample: Sample, rng: random.Random) -> str | None:
        broken = breaker(_Case(sample, rng))
        return broken.dump() if isinstance(broken, Answer) else broken

    return corrupt


def _is_free(parameter: Parameter) -> bool:
    """Tell whether a parameter holds any text, and none of a few values."""
    return parameter.type == "string" and not parameter.enum


def _dropped(case: _Case, place: tuple[int, str] | None) -> Answer | None:
    if place is None:
        return None
    at, dropped = place
    arguments = case.answer.calls[at].arguments
    return case.with_arguments(at, {name: value for name, value in arguments.items() if name != dropped})
