"""Intent: a customer's message in, the one question class out that chooses the workflow.

Here belong reading and scoring a class label, the rules that contradict one, and how a label goes wrong. The classes
are not named here; they stand in the scenario's `classes.yaml`, and a template belongs to the class whose id its folder
bears.

Example (`intent_routing`):

    咋还没到啊都三天了
    {"intent": "查物流"}
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cs_assets.families.base import Corrupter, Rendered, Sample, Scene, Score, SingleMessageFamily, Turn, Violation
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.json_answers import dump_answer, read_repaired, read_strict
from cs_assets.families.syntax import Segment, SentenceTemplate, TemplateError
from cs_assets.families.yaml_files import read_options, read_yaml

CLASSES_FILE: Final = "classes.yaml"
FIELD: Final = "intent"


class QuestionClass(BaseModel):
    """One class of `classes.yaml`; the file's head says what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")]
    title: Annotated[str, Field(min_length=1)]
    workflow: Annotated[str, Field(min_length=1)]
    neighbours: Annotated[list[str], Field(min_length=1)]
    phrases: list[str] = []
    out_of_scope: bool = False

    @field_validator("phrases")
    @classmethod
    def _compile(cls, value: list[str]) -> list[str]:
        for phrase in value:
            try:
                re.compile(phrase)
            except re.error as error:
                raise ValueError(f"{phrase!r} is no regular expression: {error}") from error
        return value


class Classes(BaseModel):
    """The content of `classes.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: Annotated[list[QuestionClass], Field(min_length=2)]

    @model_validator(mode="after")
    def _belong_together(self) -> "Classes":
        ids = [found.id for found in self.classes]
        for what, values in (("id", ids), ("title", [found.title for found in self.classes])):
            doubled = [value for value, count in Counter(values).items() if count > 1]
            if doubled:
                raise ValueError(f"the {what} {doubled[0]!r} stands twice")
        for found in self.classes:
            unknown = sorted(set(found.neighbours) - set(ids) | {found.id} & set(found.neighbours))
            if unknown:
                raise ValueError(
                    f"class {found.id!r}: neighbour {unknown[0]!r}; allowed are the other classes: {', '.join(ids)}"
                )
        outside = [found.id for found in self.classes if found.out_of_scope]
        if len(outside) != 1:
            raise ValueError(f"out_of_scope: found in {outside or 'no class'}, it must stand in exactly one")
        return self


def dump_label(title: str) -> str:
    """Write the answer in its one canonical spelling."""
    return dump_answer({FIELD: title})


def read_label(prediction: str) -> str:
    """Return the class that a prediction names, also from sloppy JSON or where it is the title alone; "" for none."""
    named = read_repaired(prediction, (FIELD,)).get(FIELD)
    if named is not None:
        return named
    bare = prediction.strip().strip("\"'“”。.")
    return "" if re.search(r"[\s{}]", bare) else bare


class IntentOptions(BaseModel):
    """The key `options` of `scenario.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # The slot of a greeting, and the one of what stands at the very end. They stay there whatever a rewriter does.
    greeting: str = ""
    ending: str = ""


class IntentFamily(SingleMessageFamily):
    """The verbs of `base.Family` for the classes of one scenario.

    Raises:
        ScenarioError: `classes.yaml` is missing or malformed, or an option is.
    """

    def __init__(self, definition: Definition) -> None:
        self._options = read_options(definition, IntentOptions)
        for slot in (self._options.greeting, self._options.ending):
            if slot and slot not in definition.slots:
                raise ScenarioError(
                    f"{definition.folder / 'scenario.yaml'}: options: {slot!r} is no slot of the scenario's atoms; "
                    f"allowed are {', '.join(sorted(definition.slots))}."
                )
        classes = read_yaml(definition, CLASSES_FILE, Classes).classes
        self.classes: dict[str, QuestionClass] = {found.title: found for found in classes}
        self.out_of_scope: str = next(found.title for found in classes if found.out_of_scope)
        self._titles: dict[str, str] = {found.id: found.title for found in classes}
        self._phrases = {found.title: [re.compile(phrase) for phrase in found.phrases] for found in classes}
        self.corruptions = self._corruptions()

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        if template.unit not in self._titles:
            raise TemplateError(
                f"{template.source}: stands in the folder {template.unit!r}; allowed are the classes of "
                f"{CLASSES_FILE}: {', '.join(self._titles)}."
            )
        # A greeting is the customer's own word: noise shall see that the message has a beginning.
        segments = [
            Segment(text=segment.text) if segment.slot == self._options.greeting else segment
            for segment in template.render(atoms)
        ]
        told = [segment for segment in segments if segment.text]
        return Rendered(turns=[Turn(segments=told)], answer=dump_label(self._titles[template.unit]))

    def verify(self, sample: Sample) -> list[Violation]:
        read = read_strict(sample.answer, (FIELD,))
        if read is None:
            return [Violation(rule="strict_json", detail=f'not one JSON object of the form {{"{FIELD}": "..."}}')]
        title = read[FIELD]
        if title not in self.classes:
            allowed = "、".join(self.classes)
            return [Violation(rule="unknown_class", detail=f"{title!r} is no class; allowed are {allowed}")]
        named = {
            other: match[0]
            for other, phrases in self._phrases.items()
            for phrase in phrases
            if (match := phrase.search(sample.message))
        }
        if not named or title in named:
            return []
        other, words = next(iter(named.items()))
        return [Violation(rule="phrase", detail=f"{words!r} says {other}, the answer {title}")]

    def check_template(self, template: SentenceTemplate, atoms: Mapping[str, Any]) -> list[Violation]:
        """Besides the rules: the greeting still begins the sentence, and the ending ends it."""
        found = super().check_template(template, atoms)
        for slot, edge in ((self._options.greeting, "^{}"), (self._options.ending, "{}$")):
            if slot in template.slots and not re.search(edge.format(rf"\{{\{{\s*{slot}\s*\}}\}}"), template.text):
                found.append(Violation(rule="edge", detail=f"{slot} stands within the sentence"))
        return found

    def score(self, prediction: str, answer: str) -> Score:
        truth = json.loads(answer)[FIELD]
        strict = read_strict(prediction, (FIELD,))
        return Score(
            strict_json=float(strict is not None),
            exact=float(strict is not None and strict[FIELD] == truth),
            fields={FIELD: float(read_label(prediction) == truth)},
        )

    def measures(self, prediction: str, answer: str) -> dict[str, float]:
        """Return accuracy, and of an answer out of scope out_of_scope_recall."""
        named, true = self.classes_named(prediction, answer)
        right = float(named == true)
        return {"accuracy": right, "out_of_scope_recall": right} if true == self.out_of_scope else {"accuracy": right}

    def classes_named(self, prediction: str, answer: str) -> tuple[str, str]:
        return read_label(prediction), json.loads(answer)[FIELD]

    # --- Corruptions. Each takes the true class and a generator, and returns a wrong answer, or None where it does not
    # apply.

    def _corruptions(self) -> dict[str, dict[str, Corrupter]]:
        kinds: dict[str, dict[str, Callable[[QuestionClass, random.Random], str | None]]] = {
            "confusion": {
                "nearest_neighbour": self._nearest_neighbour,
                "other_neighbour": self._other_neighbour,
                "far_class": self._far_class,
            },
            "scope": {"called_out_of_scope": self._called_out_of_scope, "taken_in": self._taken_in},
            "label": {
                "invented_class": self._invented_class,
                "id_for_title": lambda true, rng: dump_label(true.id),
                "several_classes": self._several_classes,
            },
            "format": {"words_around": _words_around, "other_key": _other_key},
        }
        return {
            family: {name: self._of_class(make) for name, make in members.items()} for family, members in kinds.items()
        }

    def _of_class(self, make: Callable[[QuestionClass, random.Random], str | None]) -> Corrupter:
        return lambda sample, rng: make(self.classes[json.loads(sample.answer)[FIELD]], rng)

    def _inside(self) -> list[QuestionClass]:
        return [found for found in self.classes.values() if not found.out_of_scope]

    def _nearest_neighbour(self, true: QuestionClass, rng: random.Random) -> str | None:
        return None if true.out_of_scope else dump_label(self._titles[true.neighbours[0]])

    def _other_neighbour(self, true: QuestionClass, rng: random.Random) -> str | None:
        others = true.neighbours[1:]
        return None if true.out_of_scope or not others else dump_label(self._titles[rng.choice(others)])

    def _far_class(self, true: QuestionClass, rng: random.Random) -> str | None:
        far = [found for found in self._inside() if found.id not in {true.id, *true.neighbours}]
        return None if true.out_of_scope or not far else dump_label(rng.choice(far).title)

    def _called_out_of_scope(self, true: QuestionClass, rng: random.Random) -> str | None:
        return None if true.out_of_scope else dump_label(self.out_of_scope)

    def _taken_in(self, true: QuestionClass, rng: random.Random) -> str | None:
        return dump_label(self._titles[rng.choice(true.neighbours)]) if true.out_of_scope else None

    def _invented_class(self, true: QuestionClass, rng: random.Random) -> str | None:
        """Name a class that sounds right and is not on the list."""
        unknown = [title for title in _INVENTIONS if title not in self.classes]
        return dump_label(rng.choice(unknown)) if unknown else None

    def _several_classes(self, true: QuestionClass, rng: random.Random) -> str:
        both = [true.title, self._titles[rng.choice(true.neighbours)]]
        rng.shuffle(both)
        return rng.choice((dump_label("、".join(both)), dump_answer({FIELD: both})))


_INVENTIONS: Final = ("物流", "退款", "售后", "订单查询", "咨询", "其他", "闲聊", "发货", "维修", "价格", "地址修改")


def _words_around(true: QuestionClass, rng: random.Random) -> str:
    """Give the right class in another form than the one that a program can read: in prose, in a fence, bare."""
    label = dump_label(true.title)
    return rng.choice((f"该用户的意图是：{label}", f"意图：{true.title}", f"```json\n{label}\n```", true.title))


def _other_key(true: QuestionClass, rng: random.Random) -> str:
    return dump_answer({rng.choice(("意图", "类别", "label", "category")): true.title})


# --- The whole table, as texts as `predictions` holds them: what the model wrote, the true answers.


def confusion(predictions: Sequence[str], answers: Sequence[str]) -> pl.DataFrame:
    """Count how often each class was taken for each: answer, predicted ("" where nothing can be read), count; sorted.

    Raises:
        ValueError: there are not as many predictions as answers.
    """
    pairs = Counter(
        (json.loads(answer)[FIELD], read_label(prediction))
        for prediction, answer in zip(predictions, answers, strict=True)
    )
    rows = [(answer, predicted, count) for (answer, predicted), count in sorted(pairs.items())]
    return pl.DataFrame(rows, schema={"answer": pl.String, "predicted": pl.String, "count": pl.Int64}, orient="row")
