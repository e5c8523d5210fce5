"""The gates a variant must pass, from cheap to dear, each with a reason for the one it rejects.

A variant keeps the slots of its seed and what is said of them, adds no literal entity, stays the message of a customer
in the same language and of the same meaning, parses in the sandbox, renders, and every true value can be read back from
the rendered text (slot round-trip). What each gate looks for stands in its own module; here is their order.

The name before the colon of a reason is stable: parse, prose, slots, literal entity, language, roles, meaning, length,
boundary, round trip, and, from `variants.py`, duplicate and family.
"""

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cs_assets.families.base import Family
from cs_assets.families.syntax import SentenceTemplate, TemplateError, boundary_is_lost, parse_template
from cs_assets.templates.entities import find_entities
from cs_assets.templates.meaning import turned_round
from cs_assets.templates.roles import role_change
from cs_assets.templates.wording import SLOT, kind_of_slot, slot_name, wording

# A variant may say this much more than its seed, in characters outside the slots: a bare listing may become a sentence.
MAX_ADDED: Final = 60
MAX_GROWTH: Final = 2.0
# An entity must not be read across a slot.
_GAP: Final = "\ue003"
# What an LLM says around its answer.
_PROSE: Final = re.compile(
    r"以下|如下[：:是]|改写|变[体种]|句式|模[版板]|版本[一二三四五六七八九十\d]|仿写|同义|意思(?:相同|不变|一样)|占位符?|花括号"
    r"|保留.{0,6}(?:参数|槽位|变量|格式)|希望(?:这|对您|能帮)|这是.{0,8}(?:说法|表达|写法)|供您?参考|翻译|根据(?:您的)?要求|我写了|(?:这样|这么|也可以|可以)说[：:]|换(?:一?种|个)说法|(?<!备)注[：:]|[说解]明[：:]"
    r"|(?:当然|好的|没问题)[，,！!](?:我来|我会|我将|这里|请看|为您|这)|(?:输出|回答|答案|结果|示例|例子|例句|句子|说法)\s*[一二三\d]?[：:]"
    r"|（[^（）]*(?:语气|口吻|口语|礼貌|正式|简洁)[^（）]*）|^(?:答|问|客户|顾客|用户|客服|[AQ])[：:]"
    r"|(?i:here (?:is|are)|sure[,!]|variant|rewrit|paraphras|template)"
)
_MARKUP: Final = re.compile(
    r"^\s*(?:\d{1,2}\s*[.、)）．:：]|[一二三四五六七八九十]、|[（(]\d+[)）]|第[一二三四五\d]+[条种个句]|[-*•#>]\s|[①②③④⑤⑥⑦⑧⑨])"
    r"|```|\*\*|</?\w+>|^\s*[\[{]\s*[\"“]"
)
_QUOTED: Final = re.compile(r"^\s*([\"'“「『‘《]).*([\"'”」』’》])[。.]?\s*$", re.DOTALL)
# Chinese customers write as much in Latin letters without leaving their language: hi, ok, tel.
_FEW_LETTERS: Final = 5
_LETTER: Final = re.compile(r"[A-Za-z]")
_CHINESE: Final = re.compile(r"[\u4e00-\u9fff]")
# What a reader would take for a piece of the value, right behind or before a slot of the kind.
_CONTINUED: Final[dict[str, re.Pattern[str]]] = {
    "姓名": re.compile(r"^(?:先生|女士|小姐|老师|师傅|经理|总(?!是|共|之)|同学|阿姨|大哥|大姐|哥(?!们)|姐)"),
    "省": re.compile(r"^(?:省|自治区)"),
    "市": re.compile(r"^市(?!区|里|内|中心)"),
    "县": re.compile(r"^[区县](?!别|分)"),
    "地址": re.compile(r"^(?:号|室|栋|单元|楼|附近|旁边|对面|隔壁)"),
    "电话": re.compile(r"^(?:转\d|分机|-\d)"),
}


def signature(template: SentenceTemplate) -> str:
    """Return what all sentences of a template family share: the slots in order, and the words that matter.

    Sentences that differ in punctuation, particles, greetings, courtesies and synonyms of labels only share it.
    """
    return "|".join([*template.slots, wording(template.text)])


def family_ids(seeds: Mapping[str, SentenceTemplate]) -> dict[str, str]:
    """Return, for each seed, the id of its template family: the name of the first seed with the same signature.

    Splits keep families apart, so near-copies share one. The id is a name and no hash of the text, so that a changed
    word changes the samples of its template and no others.
    """
    founders: dict[str, str] = {}
    for name in sorted(seeds):
        founders.setdefault(signature(seeds[name]), name)
    return {name: founders[signature(seed)] for name, seed in seeds.items()}


def rejection(
    text: str,
    seed: SentenceTemplate,
    family: Family,
    allowed_slots: frozenset[str],
    probes: Sequence[Mapping[str, Any]],
) -> str:
    """Return why `text` may not stand beside `seed`, an empty string if it may.

    What the seed says itself is no fault of its variant, except that it must parse and be readable.

    Args:
        text: the variant.
        seed: the human-written template it comes from.
        family: the scenario's family.
        allowed_slots: what the atoms define.
        probes: atom rows for the round trip; a few with awkward values say more than many plain ones.
    """
    try:
        variant = parse_template(text, "variant", allowed_slots, seed.unit, seed.seed, seed.answer)
    except TemplateError as error:
        return f"parse: {error}"
    gates: dict[str, Callable[[], str]] = {
        "parse": lambda: _stray_code(seed, variant),
        "prose": lambda: _prose(seed, variant),
        "literal entity": lambda: literal_entity(variant, allowed_slots, seed),
        "slots": lambda: _other_slots(seed, variant),
        "language": lambda: _other_language(seed, variant),
        "roles": lambda: role_change(seed, variant),
        "meaning": lambda: turned_round(seed, variant),
        "length": lambda: _too_long(seed, variant),
        "boundary": lambda: _lost_boundary(seed, variant, probes),
        "round trip": lambda: unreadable(variant, family, probes),
    }
    return next((f"{name}: {reason}" for name, gate in gates.items() if (reason := gate())), "")


def rejected_by_gate(table: pl.DataFrame, passed: str) -> dict[str, int]:
    """Return how many rows of any table each gate rejected, by the gate's name, with which its `reason` begins.

    Args:
        table: has the columns `reason` and `passed`.
        passed: name of the column that is true where no gate rejected the row.
    """
    gates = table.filter(~pl.col(passed)).select(pl.col("reason").str.split(":").list.first()).to_series()
    return dict(gates.value_counts().sort("reason").iter_rows())


def unreadable(template: SentenceTemplate, family: Family, probes: Sequence[Mapping[str, Any]]) -> str:
    """Return why the truth cannot be read back from the template rendered with one of the atom rows."""
    violations = (violation for atoms in probes for violation in family.check_template(template, atoms))
    return next((violation.detail for violation in violations), "")


def plain_words(template: SentenceTemplate) -> str:
    """Return the template's own words with a mark for each slot, so that nothing is read across one."""
    return SLOT.sub(_GAP, template.text)


def _stray_code(seed: SentenceTemplate, variant: SentenceTemplate) -> str:
    """Find braces outside of slots, comments, and slots in an expression that the seed does not have."""
    if re.search(r"\{#|#\}|[{}｛｝]", plain_words(variant)) and not re.search(r"[{}]", plain_words(seed)):
        return "a brace stands outside of a slot"
    expressions, known = (
        {re.sub(r"\s*\|\s*trim$", "", match[1]) for match in SLOT.finditer(template.text)}
        for template in (variant, seed)
    )
    rich = sorted(found for found in expressions - known if not re.fullmatch(r"[\w.]+", found))
    return f"{rich[0]!r} is more than a slot" if rich else ""


def _prose(seed: SentenceTemplate, variant: SentenceTemplate) -> str:
    words, said = plain_words(variant), plain_words(seed)
    for pattern in (_MARKUP, _PROSE):
        match = pattern.search(words)
        if match and match[0].strip() not in said:
            return f"{match[0].strip()!r} is about the sentence, not of it"
    quoted = _QUOTED.match(words)
    return f"the sentence stands in {quoted[1]}{quoted[2]}" if quoted and not _QUOTED.match(said) else ""


def literal_entity(
    template: SentenceTemplate, allowed_slots: frozenset[str] = frozenset(), seed: SentenceTemplate | None = None
) -> str:
    """Return what is wrong with an entity that stands for itself, and not in the seed as well, if one is given.

    A time or a number of pieces is one only where a slot of `allowed_slots` could say it.
    """
    said = re.sub(r"\s", "", plain_words(seed)) if seed else ""
    kinds = {kind_of_slot(slot) for slot in allowed_slots}
    for entity in find_entities(plain_words(template)):
        if entity.kind == "time" and "时间" not in kinds:
            continue
        if entity.kind == "quantity" and not any(re.search("数量|件数", slot) for slot in allowed_slots):
            continue
        if re.sub(r"\s", "", entity.text) not in said:
            return f"{entity.text!r} stands where a slot should"
    return ""


def _other_slots(seed: SentenceTemplate, variant: SentenceTemplate) -> str:
    missing = Counter(seed.slots) - Counter(variant.slots)
    added = Counter(variant.slots) - Counter(seed.slots)
    words = [f"lost {slot}" for slot in missing.elements()] + [f"added {slot}" for slot in added.elements()]
    return ", ".join(words)


def _other_language(seed: SentenceTemplate, variant: SentenceTemplate) -> str:
    words, said = plain_words(variant), plain_words(seed)
    if _is_latin(words) != _is_latin(said) and (_is_latin(words) or _LETTER.search(said)):
        return "it is written in another language than the seed"
    foreign = traditional(words) - traditional(said)
    if len(foreign) > 1 or (foreign and 3 * len(foreign) > len(_CHINESE.findall(words))):
        return f"{''.join(sorted(foreign))!r} is written in traditional characters"
    return ""


def _is_latin(words: str) -> bool:
    """Tell whether a sentence is mostly of Latin letters; two of them take the room of one Chinese character."""
    letters = len(_LETTER.findall(words))
    return letters > _FEW_LETTERS and letters > 2 * len(_CHINESE.findall(words))


@functools.lru_cache(maxsize=4096)
def traditional(words: str) -> frozenset[str]:
    """Return the characters that are written in another way in mainland China."""
    return frozenset(char for char in set(_CHINESE.findall(words)) if _simplified().convert(char) != char)


@functools.lru_cache(maxsize=1)
def _simplified() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def _too_long(seed: SentenceTemplate, variant: SentenceTemplate) -> str:
    length, base = len(variant.literals()), len(seed.literals())
    most = MAX_GROWTH * base + MAX_ADDED
    return f"{length} characters of its own against {base} of the seed" if length > most else ""


def _lost_boundary(seed: SentenceTemplate, variant: SentenceTemplate, probes: Sequence[Mapping[str, Any]]) -> str:
    # Where some atoms keep their neighbours apart, rendering takes those.
    if probes and all(boundary_is_lost(variant.render(atoms)) for atoms in probes):
        return "a value runs into what stands beside it: letters or digits on both sides"
    for match in SLOT.finditer(variant.text):
        slot = slot_name(match[1])
        pattern = _CONTINUED.get(kind_of_slot(slot))
        words = pattern.match(variant.text[match.end() :]) if pattern else None
        if words and f"}}}}{words[0]}" not in seed.text:
            return f"{words[0]!r} behind {slot} reads as a part of its value"
    return ""
