"""Identity: a question to the assistant about itself in, an answer that states fixed facts and no others out.

Here belong the rules about facts: which a question asks for, which an answer keeps, what contradicts them, how an
answer goes wrong. The facts are not named here; they stand in the scenario's `facts.yaml`, and so do the units, the
kinds of question. An answer template names them as slots of the group 事实:

    templates/human/maker/01.j2     你是{{模型.公司}}开发的吗
    templates/bot/maker/04.j2       不是{{模型.公司}}，我是{{事实.开发者}}开发的。

An answer is exact when every fact of the true answer stands in it letter by letter, hardly any other fact, and nothing
false: the words around them are free.
"""

import random
import re
from collections.abc import Mapping, Sequence
from string import Template
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from cs_assets.families.base import Corrupter, Rendered, Sample, Scene, Score, SingleMessageFamily, Turn, Violation
from cs_assets.families.definition import Definition, ScenarioError, read_templates
from cs_assets.families.plain_text import DRESSED, ENDED, Pattern, addressed, found, numbers, plain, squeezed
from cs_assets.families.short_answers import tells
from cs_assets.families.syntax import SentenceTemplate, TemplateError
from cs_assets.families.yaml_files import read_yaml, refuse_options
from cs_assets.reference import reference_table

FACTS_FILE: Final = "facts.yaml"
# The group of slots under which an answer template names the facts.
FACTS: Final = "事实"
_DENIED: Final = re.compile(r"[不没别非无]|也好")
_PART: Final = re.compile(r"[^，。！？；,!?;\n]+[，。！？；,!?;\n]?")
Texts = Annotated[list[str], Field(min_length=1)]


class Fact(BaseModel):
    """One fact: its wordings, and what a model says instead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    said: Texts
    wrong: Texts = Field(default_factory=list)


class Unit(BaseModel):
    """One kind of question: how it shows, and the facts that its answer must state."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signs: Pattern
    requires: Texts


class Worse(BaseModel):
    """What worse answers are made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    other_model: Texts
    human: Texts
    power: Texts
    refusal: Texts
    dress: Texts


class Facts(BaseModel):
    """The content of `facts.yaml`; its comments say what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facts: dict[str, Fact]
    length: tuple[int, int]
    units: dict[str, Unit]
    claims: dict[str, Pattern]
    denials: dict[str, Pattern]
    worse: Worse


class IdentityFamily(SingleMessageFamily):
    """The verbs of `base.Family` for the facts of one scenario.

    Raises:
        ScenarioError: `facts.yaml` is missing or malformed; a unit has no answer, or one that misses a fact.
        TemplateError: a template of an answer is malformed.
    """

    # The facts are fixed, the words around them are not.
    answer_is_determined: ClassVar[bool] = False

    def __init__(self, definition: Definition) -> None:
        refuse_options(definition)
        self._file = definition.folder / FACTS_FILE
        self.content = read_yaml(definition, FACTS_FILE, Facts)
        # The longest first: 青禾生活馆的技术团队 is one fact, and no mention of the shop.
        self._said = sorted(
            ((wording, name) for name, fact in self.content.facts.items() for wording in fact.said),
            key=lambda pair: (-len(pair[0]), pair),
        )
        self._wording = re.compile("|".join(re.escape(wording) for wording, _ in self._said))
        self._fact_of = dict(self._said)
        slots = definition.slots | {f"{FACTS}.{name}" for name in self.content.facts}
        answers = read_templates(definition.folder / "templates" / "bot", slots)
        self._answers = {
            unit: [answer for answer in answers.values() if answer.unit == unit] for unit in self.content.units
        }
        self._check_units()
        # By so many facts do two answers to one kind of question differ; who states more besides answers no question.
        counts = [[len(_facts_of(answer)) for answer in answers] for answers in self._answers.values()]
        self._besides = max(max(stated) - min(stated) for stated in counts)
        rivals = "|".join(map(re.escape, _rival_names()))
        makers = "|".join(sorted(set(map(re.escape, reference_table("assistants")["maker"]))))
        made = "开发|研发|训练|打造"
        self._rivals = re.compile(
            f"{rivals}|(?:{makers}).{{0,8}}(?:{made})|(?:{made}).{{0,8}}(?:{makers})", re.IGNORECASE
        )
        self._signs = {name: unit.signs.replace("<model>", rivals) for name, unit in self.content.units.items()}
        self.corruptions = self._corruptions()

    def _check_units(self) -> None:
        for name, unit in self.content.units.items():
            if unknown := sorted(set(unit.requires) - set(self.content.facts)):
                raise ScenarioError(
                    f"{self._file}: key 'units.{name}.requires': found {unknown[0]!r}; allowed are "
                    f"{', '.join(self.content.facts)}."
                )
            if not any(self._fitting(name, frozenset())):
                raise ScenarioError(
                    f"{self._file.parent / 'templates' / 'bot' / name}: no answer without slots of the question; write "
                    "one that suits every question of the unit."
                )
            for answer in self._answers[name]:
                if missing := [slot for fact in unit.requires if (slot := f"{FACTS}.{fact}") not in answer.slots]:
                    raise ScenarioError(f"{answer.source}: must state {{{{{missing[0]}}}}}, as the unit requires.")

    def _fitting(self, unit: str, told: frozenset[str]) -> list[SentenceTemplate]:
        """Return the unit's answers that name nothing but facts and what the question told."""
        return [
            answer
            for answer in self._answers[unit]
            if all(slot in told or slot.startswith(f"{FACTS}.") for slot in answer.slots)
        ]

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        if template.unit not in self._answers:
            raise TemplateError(
                f"{template.source}: stands in the folder {template.unit!r}; allowed are the units of {FACTS_FILE}: "
                f"{', '.join(self._answers)}."
            )
        answer = scene.rng.choice(self._fitting(template.unit, frozenset(template.slots)))
        worded = {name: scene.rng.choice(fact.said) for name, fact in self.content.facts.items()}
        return Rendered(turns=[Turn(segments=template.render(atoms))], answer=answer.fill({**atoms, FACTS: worded}))

    # --- Rules

    def kept(self, text: str) -> dict[str, list[str]]:
        """Return the facts that stand in a text, with the wordings found, in the order of the text."""
        kept: dict[str, list[str]] = {}
        for wording in self._wording.findall(text):
            kept.setdefault(self._fact_of[wording], []).append(wording)
        return kept

    def false_claim(self, text: str) -> str:
        """Return what a text says of the assistant that is not so; empty where nothing is."""
        for part in _PART.findall(text):
            rival = self._rivals.search(part)
            affirmed = [rival[0] if rival else "", *(found(pattern, part) for pattern in self.content.claims.values())]
            if not _DENIED.search(part) and any(affirmed):
                return next(filter(None, affirmed))
        return next(filter(None, (found(pattern, text) for pattern in self.content.denials.values())), "")

    def verify(self, sample: Sample) -> list[Violation]:
        message, answer = plain(sample.message), sample.answer
        known = set(numbers(message)) | {number for wording in self._fact_of for number in numbers(wording)}
        fewest, most = self.content.length
        rules = {
            "facts": self._missing(squeezed(message), self.kept(answer)),
            "claim": self.false_claim(answer),
            "number": next((number for number in numbers(answer) if number not in known), ""),
            "name": next((name for name in addressed(answer) if name not in message), ""),
            "length": "" if fewest <= len(answer) <= most else f"{len(answer)} characters, not {fewest} to {most}",
            "plain": "it is more than the plain text" if DRESSED.search(answer) else "",
            "cut": "" if ENDED.search(answer) else f"it breaks off: {answer[-12:]!r}",
        }
        return [Violation(rule=rule, detail=detail) for rule, detail in rules.items() if detail]

    def _missing(self, words: str, kept: Mapping[str, Sequence[str]]) -> str:
        """Return a fact that is asked for and not kept; of several units that a question shows, one must be served."""
        asked = [unit.requires for name, unit in self.content.units.items() if found(self._signs[name], words)]
        missing = [[fact for fact in requires if fact not in kept] for requires in asked]
        if missing and all(missing):
            return f"{min(missing, key=len)[0]} is not said"
        return "" if kept else "no fact is said"

    def score(self, prediction: str, answer: str) -> Score:
        """Compare the facts. `exact`: every fact of `answer` is kept, nothing false is said, and it is plain text.

        fields: each fact of `answer`, whether the prediction keeps it; of one that heaps up other facts, none. 无虚假:
        whether nothing false is said; of one that states no fact, it is not.
        """
        kept, wanted = self.kept(prediction), self.kept(answer)
        heaped = len(kept.keys() - wanted) > self._besides
        fields = {fact: float(fact in kept and not heaped) for fact in wanted}
        fields["无虚假"] = float(bool(kept) and not self.false_claim(prediction))
        strict = float(bool(prediction.strip()) and not DRESSED.search(prediction))
        return Score(strict_json=strict, exact=float(all([strict, *fields.values()])), fields=fields)

    def measures(self, prediction: str, answer: str) -> dict[str, float]:
        """Return facts_told: the share of the facts of `answer` that are told, be it in other words or spellings."""
        kept, wanted = self.kept(prediction), self.kept(answer)
        told = [
            fact in kept or any(tells(prediction, wording) for wording in self.content.facts[fact].said)
            for fact in wanted
        ]
        return {"facts_told": sum(told) / len(told)} if told else {}

    # --- Corruptions. Each takes a sample and a generator, and returns a worse answer, or None where it does not apply.

    def _corruptions(self) -> dict[str, dict[str, Corrupter]]:
        return {
            "facts": {
                f"wrong_{name}": self._replacing(name) for name, fact in self.content.facts.items() if fact.wrong
            },
            "omission": {"fact_dropped": self._fact_dropped, "refusal": self._refusal},
            "claims": {
                "other_model": self._adding(self.content.worse.other_model),
                "human": self._adding(self.content.worse.human),
                "power": self._adding(self.content.worse.power),
            },
            "format": {"dressed": self._dressed, "cut": self._cut},
        }

    def _replacing(self, name: str) -> Corrupter:
        """Return the corrupter that says something else wherever a fact is said."""

        def replace(sample: Sample, rng: random.Random) -> str | None:
            if name not in self.kept(sample.answer):
                return None
            wrong = rng.choice(self.content.facts[name].wrong)
            return self._wording.sub(lambda m: wrong if self._fact_of[m[0]] == name else m[0], sample.answer)

        return replace

    def _adding(self, lines: Sequence[str]) -> Corrupter:
        """Return the corrupter that adds a false line, before or behind what was said."""

        def add(sample: Sample, rng: random.Random) -> str:
            line = Template(rng.choice(lines)).substitute(model=rng.choice(_rival_names()))
            return rng.choice((line + sample.answer, sample.answer + line))

        return add

    def _fact_dropped(self, sample: Sample, rng: random.Random) -> str | None:
        """Leave out a part of a sentence that states a fact which is not stated again."""
        parts = _PART.findall(sample.answer)
        wanted = set(self.kept(sample.answer))
        shorter = ["".join([*parts[:n], *parts[n + 1 :]]) for n in range(len(parts))]
        fewer = [_closed(text) for text in shorter if text and set(self.kept(text)) < wanted]
        return rng.choice(fewer) if fewer else None

    def _refusal(self, sample: Sample, rng: random.Random) -> str:
        return rng.choice(self.content.worse.refusal)

    def _dressed(self, sample: Sample, rng: random.Random) -> str:
        return Template(rng.choice(self.content.worse.dress)).substitute(answer=sample.answer)

    def _cut(self, sample: Sample, rng: random.Random) -> str | None:
        """Break off inside a fact that is not said before."""
        facts = list(self._wording.finditer(sample.answer))
        if not facts or facts[-1][0] in sample.answer[: facts[-1].start()]:
            return None
        return sample.answer[: rng.randrange(facts[-1].start() + 1, facts[-1].end())]


def _facts_of(answer: SentenceTemplate) -> set[str]:
    return {slot for slot in answer.slots if slot.startswith(f"{FACTS}.")}


def _rival_names() -> list[str]:
    return sorted(reference_table("assistants")["name"])


def _closed(text: str) -> str:
    return re.sub("[，；,;]$", "。", text)
