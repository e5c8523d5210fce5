"""What every family offers to the stages, and the values that pass between them.

Here belong the protocol and its value types. A family's own rules stand in its own file; this one knows none of
them.

A sample is one training or test case: `message` is what the customer typed, `answer` is the exact text the model
shall return. The truth comes from the atoms, never from a model.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from cs_assets.families.syntax import Segment, SentenceTemplate


class Value(BaseModel):
    """Base of the immutable values below."""

    model_config = ConfigDict(frozen=True)


class Rendered(Value):
    """A message with its ground truth, before noise."""

    segments: list[Segment]
    answer: str

    @property
    def message(self) -> str:
        return "".join(segment.text for segment in self.segments)


class Violation(Value):
    """A broken rule: `rule` is a stable name, `detail` tells what was found."""

    rule: str
    detail: str


class Corruption(Value):
    """A wrong answer made from a right one. `family` groups kinds that break the answer in the same way."""

    answer: str
    kind: str
    family: str


class Score(Value):
    """The metrics of one prediction; all in [0, 1].

    strict_json: the prediction is the wanted JSON object and nothing else.
    exact: every field is right (and strict).
    fields: per field 1.0 or 0.0, read from repaired JSON where the strict reading fails.
    """

    strict_json: float
    exact: float
    fields: dict[str, float]

    @property
    def field_accuracy(self) -> float:
        return sum(self.fields.values()) / len(self.fields)


class Family(Protocol):
    """The verbs that a family offers. It is built from one scenario's answer template."""

    fields: tuple[str, ...]

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any]) -> Rendered:
        """Render one sample; a field that the template does not mention is absent in the answer."""
        ...

    def verify(self, message: str, answer: str) -> list[Violation]:
        """Return the rules that the answer breaks for this message; empty means good."""
        ...

    def corrupt(self, message: str, answer: str, rng: random.Random, families: Sequence[str]) -> Corruption | None:
        """Return a wrong answer of one of the corruption `families`, None where none of their kinds applies."""
        ...

    def score(self, prediction: str, answer: str) -> Score:
        """Compare a model's output with the true answer."""
        ...

    @property
    def corruption_families(self) -> tuple[str, ...]: ...
