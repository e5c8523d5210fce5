"""What every family offers to the stages, and the values that pass between them.

Here belong the protocol and its value types. A family's own rules stand in its own file; this one knows none of
them.

A sample is one training or test case: `message` is what the customer typed (or the transcript of a session), `answer`
is the exact text the model shall return. The truth comes from the atoms, never from a model.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, Protocol, runtime_checkable

import polars as pl
from pydantic import BaseModel, ConfigDict

from cs_assets.families.syntax import Segment, SentenceTemplate

CUSTOMER: Final = "客户"
SHOP: Final = "客服"
# A chat message as every chat template takes it.
ChatMessage = dict[str, str]


class Value(BaseModel):
    """Base of the immutable values below."""

    model_config = ConfigDict(frozen=True)


class Sample(Value):
    """One case. `tools` are the functions on offer as a JSON list in OpenAI's format, empty where there are none."""

    message: str
    answer: str
    tools: str = ""


class Turn(Value):
    """What one side says at a time. A message that is no dialogue is one turn without a speaker."""

    segments: list[Segment]
    speaker: str = ""

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments)


class Rendered(Value):
    """A sample with its turns, before noise. Noise may change the words of the customer's turns, and no value."""

    turns: list[Turn]
    answer: str
    tools: str = ""

    @property
    def message(self) -> str:
        return "\n".join(f"{turn.speaker}：{turn.text}" if turn.speaker else turn.text for turn in self.turns)

    @property
    def sample(self) -> Sample:
        return Sample(message=self.message, answer=self.answer, tools=self.tools)


@dataclass(frozen=True)
class Scene:
    """What a family may draw from while it renders one sample.

    rng: the sample's own generator. pick: returns a template of a unit, from those that the sample's fold may use.
    """

    rng: random.Random
    pick: Callable[[str], SentenceTemplate]


class Violation(Value):
    """A broken rule: `rule` is a stable name, `detail` tells what was found."""

    rule: str
    detail: str


class Corruption(Value):
    """A wrong answer made from a right one. `family` groups kinds that break the answer in the same way."""

    answer: str
    kind: str
    family: str


# The figures of a prediction, by the names that tables have as columns; and what a reader is told.
Metric = Literal["exact", "repaired", "strict_json", "field_accuracy"]
METRIC_TITLES: Final[Mapping[Metric, str]] = {
    "exact": "exact match",
    "repaired": "exact once repaired",
    "strict_json": "strict JSON",
    "field_accuracy": "field accuracy",
}
METRICS: Final = tuple(METRIC_TITLES)


class Score(Value):
    """The metrics of one prediction; all in [0, 1].

    strict_json: the prediction has the wanted format and nothing else.
    exact: everything is right (and strict).
    fields: per part of the answer how right it is, read from a repaired prediction where the strict reading fails.
    """

    strict_json: float
    exact: float
    fields: dict[str, float]

    @property
    def repaired(self) -> float:
        """Whether every part is right, whatever else stands around it: what is known, apart from the format."""
        return float(self.exact == 1 or all(value == 1 for value in self.fields.values()))

    @property
    def field_accuracy(self) -> float:
        return sum(self.fields.values()) / len(self.fields)

    def metrics(self) -> dict[str, float]:
        """Return the `METRICS` by name."""
        return {name: getattr(self, name) for name in METRICS}


class Family(Protocol):
    """The verbs that a family offers. It is built from one scenario's `Definition`.

    answer_is_determined: whether a message has one right answer, so that two different ones contradict each other.
    headline: the metric that a model of the family is judged by.
    """

    answer_is_determined: ClassVar[bool]
    headline: ClassVar[Metric]

    def opens(self, unit: str) -> bool:
        """Tell whether a template of this unit may begin a sample; the others are only picked while one renders."""
        ...

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        """Render one sample that begins with `template`."""
        ...

    def completion(self, answer: str) -> list[ChatMessage]:
        """Return the answer as the chat messages a model is trained on; what is not the assistant's has no loss."""
        ...

    def assembled(self, answer: str, said: Sequence[str]) -> str:
        """Return the prediction that `said` makes: what a model said for each of the assistant's messages."""
        ...

    def verify(self, sample: Sample) -> list[Violation]:
        """Return the rules that the answer breaks for this message; empty means good."""
        ...

    def check_template(self, template: SentenceTemplate, atoms: Mapping[str, Any]) -> list[Violation]:
        """Return what hinders reading the truth back from this one template, rendered with these atoms."""
        ...

    def corrupt(self, sample: Sample, rng: random.Random, families: Sequence[str]) -> Corruption | None:
        """Return a wrong answer of one of the corruption `families`, None where none of their kinds applies."""
        ...

    def score(self, prediction: str, answer: str) -> Score:
        """Compare a model's output with the true answer."""
        ...

    @property
    def corruption_families(self) -> tuple[str, ...]: ...


@runtime_checkable
class CopyingFamily(Protocol):
    """What a family may offer besides whose answers are copied: a value may be typed in another way."""

    def copied_answer(self, segments: Sequence[Segment]) -> str:
        """Return the answer to a message of these segments: what stands in them is what is copied."""
        ...


@runtime_checkable
class CallingFamily(Protocol):
    """What a family may offer besides, whose answers call functions."""

    def native_completion(self, sample: Sample) -> list[dict[str, Any]]:
        """Return the answer as OpenAI's API has it: calls in `tool_calls`, results in messages of the role tool."""
        ...


@runtime_checkable
class ClassifyingFamily(Protocol):
    """What a family may offer besides, whose answer is one class of several: an F1 needs all predictions at once."""

    def classes_named(self, prediction: str, answer: str) -> tuple[str, str]:
        """Return the class that a prediction names, empty where there is none, and the true one."""
        ...


@runtime_checkable
class MeasuringFamily(Protocol):
    """What a family may offer besides: figures of one prediction that are no part of its score."""

    def measures(self, prediction: str, answer: str) -> dict[str, float]:
        """Return figures in [0, 1] by name; one that is not defined on this answer is left out."""
        ...


@runtime_checkable
class ProseFamily(Protocol):
    """What a family may offer besides, some of whose answers are texts: those are compared by their wording, too."""

    def is_prose(self, answer: str) -> bool: ...


@runtime_checkable
class SubjectiveFamily(Protocol):
    """What a family may offer besides, whose answers no truth decides: by what an answer is preferred to another."""

    def rubric(self, message: str) -> str:
        """Return, in Chinese and point by point, what makes a good answer to this message."""
        ...

    def grade(self, sample: Sample) -> float:
        """Return the share of the rubric's points against which no rule says anything, in [0, 1]."""
        ...


@runtime_checkable
class ColumnFamily(Protocol):
    """What a family may offer besides, whose samples are one plain template and one row of atoms: columns at a time."""

    def answer_columns(self, slots: pl.DataFrame) -> pl.DataFrame | None: ...

    def verify_columns(self, messages: pl.Series, answers: pl.DataFrame) -> pl.Series: ...


# A corruption takes the sample and a generator, and returns a wrong answer, or None where it does not apply.
Corrupter = Callable[[Sample, random.Random], str | None]


class SingleMessageFamily:
    """What families have in common whose samples are one message and one answer.

    A family sets `corruptions` (corruption family -> kind -> corrupter) and offers `render` and `verify`.
    """

    answer_is_determined: ClassVar[bool] = True
    headline: ClassVar[Metric] = "exact"
    corruptions: Mapping[str, Mapping[str, Corrupter]]

    def opens(self, unit: str) -> bool:
        return True

    def completion(self, answer: str) -> list[ChatMessage]:
        return [{"role": "assistant", "content": answer}]

    def assembled(self, answer: str, said: Sequence[str]) -> str:
        return said[0]

    def check_template(self: Family, template: SentenceTemplate, atoms: Mapping[str, Any]) -> list[Violation]:
        return self.verify(self.render(template, atoms, Scene(random.Random(0), _no_partner)).sample)

    @property
    def corruption_families(self) -> tuple[str, ...]:
        return tuple(self.corruptions)

    def corrupt(self, sample: Sample, rng: random.Random, families: Sequence[str]) -> Corruption | None:
        kinds = [(family, name, make) for family in families for name, make in self.corruptions[family].items()]
        rng.shuffle(kinds)
        for family, name, make in kinds:
            corrupted = make(sample, rng)
            if corrupted is not None and corrupted != sample.answer:
                return Corruption(answer=corrupted, kind=name, family=family)
        return None


def _no_partner(unit: str) -> SentenceTemplate:
    raise LookupError(f"a template of unit {unit!r} was asked for where one template is rendered alone.")
