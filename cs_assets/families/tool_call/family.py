"""The family `tool_call`: which calls are true, which functions are on offer, what breaks a rule, the score.

Here belongs what holds of a message and its calls. The form of the answer is `answer.py`'s, functions are `tools.py`'s.

    family = ToolCallFamily(definition)
    family.render(template, atoms, scene).answer        # {"calls": [{"name": "TicketCancel", ...}], "ask": []}
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cs_assets.families.base import Rendered, Sample, Scene, Score, SingleMessageFamily, Turn, Violation
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.syntax import Segment, SentenceTemplate, TemplateError
from cs_assets.families.tool_call.answer import (
    LEVELS,
    Answer,
    Question,
    levels,
    native_messages,
    read_answer,
    read_repaired,
    same_value,
)
from cs_assets.families.tool_call.corruptions import Corruptions
from cs_assets.families.tool_call.parameters import Parameters
from cs_assets.families.tools import (
    EXECUTORS,
    Argument,
    Call,
    Tool,
    canonical_arguments,
    check_call,
    execute,
    masked,
    offer,
    read_offer,
    read_tools,
    unmasked,
)
from cs_assets.families.yaml_files import read_options, read_yaml

TOOLS_FILE: Final = "tools.json"
PARAMETERS_FILE: Final = "parameters.yaml"
# The unit of templates that no function serves.
NONE_UNIT: Final = "none"
# What masked functions are called; a number follows.
ALIASES: Final = ("func_", "tool_", "api_", "f", "action")


class Settings(BaseModel):
    """The key `options` of `scenario.yaml`.

    masked_share: of samples whose functions bear names that say nothing. withheld_share: of samples where the function
    that is asked for is not offered. fewest, most: how many functions are offered. longest: of the offer, in
    characters; distractors are left out where it would grow beyond.
    """

    model_config = ConfigDict(extra="forbid")

    masked_share: Annotated[float, Field(ge=0, le=1)] = 0.15
    withheld_share: Annotated[float, Field(ge=0, le=1)] = 0.03
    fewest: Annotated[int, Field(ge=1)] = 2
    most: Annotated[int, Field(ge=1)] = 4
    longest: Annotated[int, Field(ge=200)] = 1200

    @model_validator(mode="after")
    def _ordered(self) -> "Settings":
        if self.fewest > self.most:
            raise ValueError(f"fewest: found {self.fewest}, allowed is at most `most`, {self.most}")
        return self


class ToolCallFamily(SingleMessageFamily):
    """The verbs of `base.Family` for the functions of one scenario.

    Raises:
        ScenarioError: `tools.json`, `parameters.yaml` or an option is missing or malformed.
    """

    def __init__(self, definition: Definition) -> None:
        self.tools = read_tools(definition.read(TOOLS_FILE), str(definition.folder / TOOLS_FILE))
        self.parameters = read_yaml(definition, PARAMETERS_FILE, Parameters)
        self.settings = read_options(definition, Settings)
        self._check_parameters(definition)
        self.corruptions = Corruptions(self.parameters).kinds()

    def _check_parameters(self, definition: Definition) -> None:
        path = definition.folder / PARAMETERS_FILE
        known = {parameter.name for tool in self.tools.values() for parameter in tool.parameters}
        used = {
            "slots": {name for names in self.parameters.slots.values() for name in names},
            "spoken": set(self.parameters.spoken),
            "shapes": set(self.parameters.shapes),
        }
        for key, names in used.items():
            if unknown := sorted(names - known):
                raise ScenarioError(
                    f"{path}: key {key!r}: no function has the parameter {unknown[0]!r}; there are "
                    f"{', '.join(sorted(known))}."
                )
        if unknown := sorted(set(self.parameters.slots) - definition.slots):
            raise ScenarioError(
                f"{path}: key 'slots': the atoms have no slot {unknown[0]!r}; there are "
                f"{', '.join(sorted(definition.slots))}."
            )

    def native_completion(self, sample: Sample) -> list[dict[str, Any]]:
        answer = read_answer(sample.answer)
        if answer is None:
            raise ValueError(f"not an answer of this family: {sample.answer!r}")
        return native_messages(answer, read_offer(sample.tools))

    # --- Rendering

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        segments = template.render(atoms)
        needed = self._needed(template)
        truth = self._truth(template, needed, segments)
        offered = self._offered(needed, scene.rng)
        if any(tool not in offered for tool in needed):
            truth = Answer(calls=[], ask=[])
        names = self._names(offered, scene.rng)
        shown = [masked(tool, names[tool.name]) for tool in offered]
        return Rendered(turns=[Turn(segments=segments)], answer=_renamed(truth, names).dump(), tools=offer(shown))

    def check_template(self, template: SentenceTemplate, atoms: Mapping[str, Any]) -> list[Violation]:
        """Check with the functions that are needed, all on offer under their own names."""
        segments = template.render(atoms)
        needed = self._needed(template)
        truth = self._truth(template, needed, segments)
        message = "".join(segment.text for segment in segments)
        return self.verify(Sample(message=message, answer=truth.dump(), tools=offer(needed)))

    def _needed(self, template: SentenceTemplate) -> list[Tool]:
        """Return the functions that a template asks for, in its order.

        Raises:
            TemplateError: its folder names something else.
        """
        unit = template.unit.split("/")[0]
        names = [] if unit == NONE_UNIT else unit.split("+")
        unknown = [name for name in names if name not in self.tools]
        if unknown:
            raise TemplateError(
                f"{template.source}: stands in the folder {template.unit!r}; allowed are {NONE_UNIT} and functions of "
                f"{TOOLS_FILE}, several with + between: {', '.join(self.tools)}."
            )
        return [self.tools[name] for name in names]

    def _truth(self, template: SentenceTemplate, needed: Sequence[Tool], segments: Sequence[Segment]) -> Answer:
        """Return the calls in the order of the message: a rewrite may have turned the sentence round."""
        calls, ask = [], []
        for tool in sorted(needed, key=lambda tool: self._begins(tool, segments)):
            arguments = self._arguments(template, tool, segments)
            missing = [name for name in tool.required if name not in arguments]
            if missing:
                ask.append(Question(name=tool.name, missing=missing))
            else:
                calls.append(Call(name=tool.name, arguments=canonical_arguments(arguments, tool)))
        return Answer(calls=calls, ask=ask)

    def _begins(self, tool: Tool, segments: Sequence[Segment]) -> int:
        """Return the number of the segment that first gives a function an argument."""
        names = {parameter.name for parameter in tool.parameters}
        fills = (at for at, segment in enumerate(segments) if names & set(self.parameters.slots.get(segment.slot, ())))
        return next(fills, len(segments))

    def _arguments(self, template: SentenceTemplate, tool: Tool, segments: Sequence[Segment]) -> dict[str, Argument]:
        """Return what the slots of a message say about the parameters of a function.

        Raises:
            TemplateError: two slots fill one parameter, or no word of `parameters.yaml` stands in a slot.
        """
        found: dict[str, Argument] = {}
        for segment in segments:
            for name in self.parameters.slots.get(segment.slot, ()):
                if tool.parameter(name) is None:
                    continue
                if name in found:
                    raise TemplateError(f"{template.source}: two slots fill {name} of {tool.name}; keep one of them.")
                found[name] = self._value(template, name, segment.text)
        for name, spoken in self.parameters.spoken.items():
            if spoken.default is not None and name in tool.required:
                found.setdefault(name, spoken.default)
        return found

    def _value(self, template: SentenceTemplate, name: str, text: str) -> Argument:
        if name not in self.parameters.spoken:
            return text
        said = self.parameters.spoken[name].said(text)
        if not said:
            raise TemplateError(f"{template.source}: {text!r} is no word for {name}; add it to {PARAMETERS_FILE}.")
        return said[0]

    def _offered(self, needed: Sequence[Tool], rng: random.Random) -> list[Tool]:
        """Choose the functions on offer and their order; now and then the one that is needed is not among them."""
        others = [tool for tool in self.tools.values() if tool not in needed]
        rng.shuffle(others)
        if rng.random() < 0.5:
            others.sort(key=lambda tool: not _are_similar(tool, needed))
        withheld = len(needed) == 1 and rng.random() < self.settings.withheld_share
        chosen = [] if withheld else list(needed)
        wanted = rng.randint(self.settings.fewest, self.settings.most)
        for tool in others:
            if len(chosen) < wanted and len(offer([*chosen, tool])) <= self.settings.longest:
                chosen.append(tool)
        rng.shuffle(chosen)
        return chosen

    def _names(self, offered: Sequence[Tool], rng: random.Random) -> dict[str, str]:
        """Return under which name each function is offered: its own, or one that says nothing."""
        if rng.random() >= self.settings.masked_share:
            return {tool.name: tool.name for tool in offered}
        alias = rng.choice(ALIASES)
        numbers = rng.sample(range(1, len(offered) + 6), len(offered))
        return {tool.name: f"{alias}{number}" for tool, number in zip(offered, numbers, strict=True)}

    # --- Rules

    def verify(self, sample: Sample) -> list[Violation]:
        answer = read_answer(sample.answer)
        if answer is None:
            return [Violation(rule="strict_json", detail='not one JSON object {"calls": [...], "ask": [...]}')]
        offered = read_offer(sample.tools)
        found = [violation for call in answer.calls for violation in self._call_faults(call, offered, sample.message)]
        found += [violation for ask in answer.ask for violation in self._question_faults(ask, offered, sample.message)]
        names = [call.name for call in answer.calls] + [ask.name for ask in answer.ask]
        found += [
            Violation(rule="doubled", detail=f"{name} stands {names.count(name)} times")
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
        if not found and answer.dump() != sample.answer:
            found.append(
                Violation(rule="canonical", detail="white space or escapes differ from the canonical spelling")
            )
        return found

    def _call_faults(self, call: Call, offered: Mapping[str, Tool], message: str) -> list[Violation]:
        """Check a call from cheap to dear: by its schema, against the message, by running it."""
        found = check_call(call, offered)
        if found:
            return found
        arguments = canonical_arguments(call.arguments, offered[call.name])
        if list(arguments) != list(call.arguments):
            found.append(Violation(rule="canonical", detail=f"{call.name}: arguments not in the order of the schema"))
        found += [
            fault for name, value in arguments.items() for fault in self._value_faults(call.name, name, value, message)
        ]
        if found:
            return found
        (real,) = unmasked([call], offered, self.tools)
        # A function of the user's own has no executor here; its calls are checked up to this point.
        result = execute(real, self.tools) if real.name in EXECUTORS else {}
        if "error" in result:
            return [Violation(rule="execution", detail=f"{call.name}: {result['error']}: {result['detail']}")]
        return []

    def _value_faults(self, function: str, name: str, value: Argument, message: str) -> list[Violation]:
        if name in self.parameters.spoken:
            spoken = self.parameters.spoken[name]
            said: list[Argument | None] = [*spoken.said(message)]
            if value in (said or [spoken.default]):
                return []
            return [Violation(rule="spoken", detail=f"{function}: {name}={value!r} is not what the message says")]
        if not isinstance(value, str):
            return []
        if value not in message or value != value.strip():
            return [Violation(rule="copied", detail=f"{function}: {name}={value!r} does not stand in the message")]
        shape = self.parameters.shapes.get(name)
        if shape and not shape.fullmatch(value):
            return [Violation(rule="shape", detail=f"{function}: {name}={value!r} does not look like one")]
        return []

    def _question_faults(self, ask: Question, offered: Mapping[str, Tool], message: str) -> list[Violation]:
        tool = offered.get(ask.name)
        if tool is None:
            return [Violation(rule="function", detail=f"{ask.name} is not among {', '.join(offered) or 'none'}")]
        wanted = [name for name in tool.required if name in ask.missing]
        if wanted != ask.missing:
            required = ", ".join(tool.required)
            return [Violation(rule="ask", detail=f"{ask.name}: asks for {ask.missing}; it requires {required}")]
        return [
            Violation(rule="asked_in_vain", detail=f"{ask.name}: {name} stands in the message or has a default")
            for name in ask.missing
            if self._is_said(name, message)
        ]

    def _is_said(self, name: str, message: str) -> bool:
        spoken, shape = self.parameters.spoken.get(name), self.parameters.shapes.get(name)
        return bool(
            (spoken and (spoken.default is not None or spoken.said(message))) or (shape and shape.search(message))
        )

    # --- Scoring

    def score(self, prediction: str, answer: str) -> Score:
        truth = Answer.model_validate_json(answer)
        strict = read_answer(prediction)
        found = strict if strict is not None else read_repaired(prediction)
        return Score(
            strict_json=float(strict is not None),
            exact=float(strict is not None and same_value(strict.model_dump(), truth.model_dump())),
            fields=dict(zip(LEVELS, map(float, levels(found, truth)), strict=True)),
        )

    def measures(self, prediction: str, answer: str) -> dict[str, float]:
        """Return failed_at_LEVEL, 1 where it fell first; where no function fits irrelevance, 1 if that was seen."""
        fields = self.score(prediction, answer).fields
        fell = next((level for level in LEVELS if not fields[level]), "")
        figures = {f"failed_at_{level}": float(level == fell) for level in LEVELS}
        return figures if any(json.loads(answer).values()) else figures | {"irrelevance": fields["function"]}


def _are_similar(tool: Tool, needed: Iterable[Tool]) -> bool:
    """Tell whether a function shares a parameter with a needed one: the likelier it is mistaken for it."""
    names = {parameter.name for other in needed for parameter in other.parameters}
    return any(parameter.name in names for parameter in tool.parameters)


def _renamed(answer: Answer, names: Mapping[str, str]) -> Answer:
    return Answer(
        calls=[call.model_copy(update={"name": names[call.name]}) for call in answer.calls],
        ask=[ask.model_copy(update={"name": names[ask.name]}) for ask in answer.ask],
    )
