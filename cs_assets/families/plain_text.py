"""What can be read from a message or a spoken answer, Chinese or English, without understanding it.

For the rules of families whose answers are plain words, `reply` and `identity`.

Here belong languages, spans of time, sums, products and names in a text. Whether they may stand there is the business
of the family.

    spans("24小时内回复您，1-3个工作日到账")     # ["24小时", "1-3个工作日"]
"""

import difflib
import functools
import re
import unicodedata
from typing import Annotated, Final, Generic, Literal, TypeVar

import regex
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cs_assets.families.definition import ScenarioError
from cs_assets.reference import reference_table

Language = Literal["zh", "en"]
T = TypeVar("T")
ENDED: Final = re.compile(r"[。！？!?.~～）)”\"]\s*$")
# What no spoken answer looks like: JSON, a code fence, a line of a transcript, a heading.
DRESSED: Final = re.compile(r"^\s*[{\[`*#]|```|^\s*(?:客服|回复|回答|答|Reply|Agent|Assistant)\s*[:：]", re.IGNORECASE)
HAN: Final = re.compile(r"[\u4e00-\u9fff]")
_LATIN: Final = re.compile("[A-Za-z]")
_NUMERAL: Final = "[一二两三四五六七八九十半]"
_SPAN: Final = re.compile(
    rf"(?:\d+(?:-\d+)?|{_NUMERAL}+)[来多]?个?(?:分钟|小时|工作日|天|礼拜|星期|周|月)多?"
    r"|\b(?:\d+(?:-\d+)?|an?|one|two|three|four|five|six) (?:business |working )?(?:minute|hour|day|week|month)s?\b",
    re.IGNORECASE,
)
_DAY: Final = re.compile(
    r"[今明后](?:天|晚|早)|次日|[本这下上]?个?(?:周|星期|礼拜)[一二三四五六日天末]|[本这下上]个?(?:周|月|礼拜)|月[初底]"
    r"|\d+[月号日]"
    r"|\b(?:today|tonight|tomorrow|(?:next|this|last) (?:week|month)|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b",
    re.IGNORECASE,
)
_MONEY: Final = re.compile(
    rf"[¥￥$€£]\s*\d+(?:\.\d+)?|\d+(?:\.\d+)?\s*(?:元|块|dollars|pounds|bucks)|{_NUMERAL}+百?(?:元|块钱)", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_ADDRESSED: Final = re.compile(
    r"(?:^|[\s，。！？、：“])([\u4e00-\u9fff]{1,2}(?:先生|女士|小姐))(?!姐)"
    r"|\b(?:Hi|Hello|Dear|Thank you|Thanks|Sorry),? ([A-Z][a-z]+)"
)
# A point between digits ends no sentence: 89.9元.
_SENTENCE: Final = re.compile(r"(?:[^。！？!?；;\n.]|\.(?=\d))+[。！？!?；;\n.]*")
# How much of a reply may be one run of the query: who repeats a complaint repeats nearly all of it.
_ECHO: Final = 0.6
_PATTERN_SECONDS: Final = 10.0


def _compilable(pattern: str) -> str:
    try:
        _searcher(pattern)
    except regex.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
    return pattern


# Not `re`, which nothing ends: a slip such as (甲+)+乙 would keep a run busy for years.
@functools.lru_cache(maxsize=1024)
def _searcher(pattern: str) -> "regex.Pattern[str]":
    return regex.compile(pattern, regex.IGNORECASE)


# A regular expression in a scenario's file.
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_compilable)]


def found(pattern: str, text: str) -> str:
    """Return what a pattern finds first, whatever the case of its letters; empty where it finds nothing.

    Raises:
        ScenarioError: it takes too long; the message has the pattern.
    """
    try:
        match = _searcher(pattern).search(text, timeout=_PATTERN_SECONDS)
    except TimeoutError:
        raise ScenarioError(
            f"the pattern {pattern!r} is at no end after {_PATTERN_SECONDS:g} s on a text of {len(text)} characters. "
            "A repetition within a repetition does that, such as (甲+)+; write it without."
        ) from None
    return match[0] if match else ""


class Both(BaseModel, Generic[T]):
    """Something for each of the languages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    zh: T
    en: T

    def of(self, language: Language) -> T:
        return self.zh if language == "zh" else self.en


def plain(text: str) -> str:
    """Return the text with full-width letters, digits and punctuation in half width."""
    return unicodedata.normalize("NFKC", text)


def language_of(text: str) -> Language:
    """Return the language that most of the letters are of; a Chinese character counts as three letters."""
    text = plain(text)
    return "zh" if 3 * len(HAN.findall(text)) >= len(_LATIN.findall(text)) else "en"


def squeezed(text: str) -> str:
    """Return the words alone: no punctuation and, in Chinese, no spaces; in small letters."""
    return re.sub(r"[\W_]+", "" if language_of(text) == "zh" else " ", plain(text)).strip().lower()


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, at least one."""
    return [sentence.strip() for sentence in _SENTENCE.findall(text) if sentence.strip()] or [text]


def spans(text: str) -> list[str]:
    """Return the spans of time and the days that a text names."""
    return [*_SPAN.findall(text), *_DAY.findall(text)]


def sums(text: str) -> list[str]:
    """Return the sums of money that a text names, with what marks them as such."""
    return _MONEY.findall(text)


def numbers(text: str) -> list[str]:
    """Return the numbers that a text names in digits."""
    return _NUMBER.findall(text)


@functools.lru_cache(maxsize=1)
def _products() -> re.Pattern[str]:
    """Return what finds the names of products, Chinese and English, the longest first."""
    names = {name for column in ("name", "english") for name in reference_table("goods")[column]}
    return re.compile("|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name))), re.I)


def products(text: str) -> list[str]:
    """Return the products of `goods.csv` that a text names, in small letters, each once."""
    return list(dict.fromkeys(name.lower() for name in _products().findall(text)))


def addressed(text: str) -> list[str]:
    """Return the people whom a text addresses: 王女士, Emma."""
    return [chinese or english for chinese, english in _ADDRESSED.findall(text)]


def key_values(text: str) -> set[str]:
    """Return what makes a reply about this customer: products, names, sums, numbers of four digits or more."""
    amounts = {number for money in sums(text) for number in numbers(money)}
    return {*products(text), *addressed(text), *amounts, *re.findall(r"\d{4,}", text)}


def alike(term: str) -> str:
    """Return a span of time as it is compared: 3个工作日 is 3工作日."""
    return re.sub(r"[\s个]", "", term).lower()


def foreign_span(reply: str, query: str, allowed: set[str]) -> str:
    """Return a span, a day, a sum or a number of the reply that neither the query names nor `allowed` holds.

    Args:
        reply, query: the texts. A sum may lose or gain its 元: 159 in the query, 159元 in the reply.
        allowed: spans of time, as `alike` writes them.
    """
    known = allowed | {alike(said) for said in (*spans(query), *sums(query))}
    told = {number for said in (query, *allowed) for number in numbers(said)}
    said = [*spans(reply), *(money for money in sums(reply) if not numbers(money))]
    strange = [words for words in said if alike(words) not in known]
    return next(iter([*strange, *(number for number in numbers(reply) if number not in told)]), "")


def foreign_value(reply: str, query: str) -> str:
    """Return a product or a name that the reply has and the query has not."""
    return next((value for value in (*products(reply), *addressed(reply)) if value.lower() not in query.lower()), "")


def echoes(query: str, reply: str) -> bool:
    """Tell whether most of the reply is a run of the query's words."""
    asked, said = squeezed(query), squeezed(reply)
    run = difflib.SequenceMatcher(None, asked, said, autojunk=False).find_longest_match()
    return run.size > _ECHO * len(said)


def repeated(reply: str) -> str:
    """Return a sentence that stands twice."""
    said = [squeezed(sentence) for sentence in sentences(reply)]
    return next((text for number, text in enumerate(said) if len(text) > 4 and text in said[:number]), "")
