"""How a reply goes wrong: cold, blaming, promising, about something else, cut; each from a good reply.

Here belongs only the breaking; what is good is said by `family.py`. The sentences that worse replies are made of stand
in the scenario's `worse.yaml`. Some kinds break a rule; others (cold, generic, a soft promise, a missing end) only a
reader notices, for the judge to learn.
"""

import random
import re
from collections.abc import Callable, Sequence
from string import Template
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from cs_assets.families.base import Corrupter, Sample
from cs_assets.families.plain_text import (
    HAN,
    Both,
    Language,
    addressed,
    language_of,
    numbers,
    products,
    sentences,
)
from cs_assets.families.syntax import SentenceTemplate
from cs_assets.reference import reference_table

WORSE_FILE: Final = "worse.yaml"
_SLOT: Final = re.compile(r"\{\{.*?\}\}")
_TITLES: Final = ("先生", "女士")
_ANY_PRODUCT: Final = Both(zh="商品", en="item")
Lines = Annotated[list[str], Field(min_length=2)]


class Worse(BaseModel):
    """The sentences of one language in `worse.yaml`; the file's comments say what may stand in them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cold: Lines
    generic: Lines
    blame: Lines
    regret: Lines
    refund: Lines
    compensation: Lines
    date: Lines
    guarantee: Lines
    echo: Lines
    dress: Lines
    machine: Lines
    term: Lines
    name: Lines


class ReplyCorruptions:
    """The corruptions of one scenario's replies."""

    def __init__(
        self,
        worse: Both[Worse],
        replies: Sequence[SentenceTemplate],
        terms: Sequence[str],
        topics_of: Callable[[str], list[str]],
        about: Callable[[str, Language], str],
    ) -> None:
        """Take what a worse reply is made of.

        Args:
            worse: the content of `worse.yaml`.
            replies: every reply template; its unit is its topic.
            terms: the spans of time that the policy names.
            topics_of: returns the topics of a query.
            about: returns what the topic of a query is called in a language.
        """
        self._worse = worse
        self._replies = replies
        self._terms = terms
        self._topics_of = topics_of
        self._about = about

    def kinds(self) -> dict[str, dict[str, Corrupter]]:
        """Return corruption family -> kind -> corrupter."""
        return {
            "tone": {
                "cold": lambda sample, rng: self._filled(self._lines(sample).cold, sample, rng),
                "blaming": self._blaming,
                "over_apologising": self._over_apologising,
            },
            "promise": {
                "invented_refund": self._inserting(lambda worse: worse.refund),
                "invented_compensation": self._inserting(lambda worse: worse.compensation),
                "invented_date": self._inserting(lambda worse: worse.date),
                "guarantee": self._inserting(lambda worse: worse.guarantee),
                "other_term": self._other_term,
            },
            "facts": {
                "other_product": _other_product,
                "other_name": self._other_name,
                "other_number": _other_number,
            },
            "relevance": {
                "off_topic": self._off_topic,
                "generic": lambda sample, rng: self._filled(self._lines(sample).generic, sample, rng),
                "echo": lambda sample, rng: self._filled(self._lines(sample).echo, sample, rng),
            },
            "format": {
                "wrong_language": self._wrong_language,
                "cut": _cut,
                "end_missing": _end_missing,
                "dressed": lambda sample, rng: self._filled(self._lines(sample).dress, sample, rng),
                "machine": self._machine,
            },
        }

    def _lines(self, sample: Sample) -> Worse:
        return self._worse.of(language_of(sample.message))

    def _filled(self, lines: Sequence[str], sample: Sample, rng: random.Random) -> str:
        line = rng.choice(lines)
        language = language_of(line)
        there = [product for product in products(sample.message) if language_of(product) == language]
        product = there[0] if there else _ANY_PRODUCT.of(language)
        about = self._about(sample.message, language)
        return Template(line).substitute(product=product, about=about, query=sample.message, reply=sample.answer)

    def _inserting(self, lines: Callable[[Worse], Lines]) -> Corrupter:
        """Return the corrupter that puts one of the lines behind the first sentence."""

        def insert(sample: Sample, rng: random.Random) -> str:
            first, *rest = sentences(sample.answer)
            return _joined([first, self._filled(lines(self._lines(sample)), sample, rng), *rest])

        return insert

    def _blaming(self, sample: Sample, rng: random.Random) -> str:
        """Put the blame where the reply showed feeling: in the place of its first sentence."""
        return _joined([self._filled(self._lines(sample).blame, sample, rng), *sentences(sample.answer)[1:]])

    def _over_apologising(self, sample: Sample, rng: random.Random) -> str:
        """Apologise on and on, in the same words or in others, until nothing is said of what will be done."""
        regrets = rng.sample(self._lines(sample).regret, 4)
        return _joined([sentences(sample.answer)[0], *rng.choice((regrets, [regrets[0]] * 3))])

    def _machine(self, sample: Sample, rng: random.Random) -> str:
        return _joined([rng.choice(self._lines(sample).machine), *sentences(sample.answer)])

    def _other_term(self, sample: Sample, rng: random.Random) -> str | None:
        """Name another span of time than the policy's; another topic's is the harder to see."""
        there = sorted(term for term in self._terms if term in sample.answer)
        if not there:
            return None
        term = rng.choice(there)
        others = [other for other in self._terms if language_of(other) == language_of(term) and other not in there]
        return sample.answer.replace(term, rng.choice([*others, *self._lines(sample).term]))

    def _other_name(self, sample: Sample, rng: random.Random) -> str | None:
        """Address somebody else, or the customer by the wrong title."""
        there = addressed(sample.answer)
        if not there:
            return None
        name = there[0]
        others = [other for other in self._lines(sample).name if other != name]
        if HAN.search(name):
            others += [name[:-2] + title for title in _TITLES if title != name[-2:]]
        return sample.answer.replace(name, rng.choice(others))

    def _off_topic(self, sample: Sample, rng: random.Random) -> str | None:
        """Answer another question about the same product."""
        language = language_of(sample.message)
        topics = self._topics_of(sample.message)
        product = next(iter(products(sample.message)), "")
        others = [
            reply
            for reply in self._replies
            if reply.unit not in topics
            and language_of(reply.literals()) == language
            and all(slot.endswith(("商品", "item")) for slot in reply.slots)
            and (product or not reply.slots)
        ]
        return _SLOT.sub(product, rng.choice(others).text) if others else None

    def _wrong_language(self, sample: Sample, rng: random.Random) -> str:
        other = self._worse.en if language_of(sample.message) == "zh" else self._worse.zh
        return self._filled(other.generic, sample, rng)


def _joined(parts: Sequence[str]) -> str:
    return ("" if language_of("".join(parts)) == "zh" else " ").join(parts)


def _other_product(sample: Sample, rng: random.Random) -> str | None:
    there = products(sample.answer)
    if not there:
        return None
    column = "name" if language_of(sample.answer) == "zh" else "english"
    others = [name for name in reference_table("goods")[column] if name.lower() not in sample.message.lower()]
    return re.sub(re.escape(there[0]), rng.choice(others), sample.answer, flags=re.IGNORECASE)


def _other_number(sample: Sample, rng: random.Random) -> str | None:
    """Change a number that the reply takes from the query: a sum, an order, a span of time."""
    there = sorted(set(numbers(sample.message)) & set(numbers(sample.answer)))
    if not there:
        return None
    number = rng.choice(there)
    changed = number[:-1] + rng.choice([digit for digit in "123456789" if digit != number[-1]])
    return re.sub(rf"(?<![\d.]){re.escape(number)}(?![\d.]*\d)", changed, sample.answer)


def _cut(sample: Sample, rng: random.Random) -> str:
    """Break off in the middle of a sentence, as a model does at its last token."""
    kept = sample.answer[: int(len(sample.answer) * rng.uniform(0.4, 0.85))]
    return re.sub(r"[\W_]+$", "", kept)


def _end_missing(sample: Sample, rng: random.Random) -> str | None:
    """Leave out the end, where it is said what happens next."""
    said = sentences(sample.answer)
    return re.sub("[；;]$", "。", _joined(said[:-1])) if len(said) > 1 else None
