"""The gates a variant must pass, from cheap to dear, each with a reason for the one it rejects.

A variant keeps the slots of its seed, adds no literal entity, parses in the sandbox, renders, and every true value can
be read back from the rendered text (slot round-trip).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cs_assets.families.base import Family
from cs_assets.families.syntax import SentenceTemplate, TemplateError, boundary_is_lost, parse_template

MAX_GROWTH: Final = 3.0
_SLOT = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_LITERAL_ENTITY: Final = re.compile(
    r"\d{3,}"
    r"|[\u4e00-\u9fff]{2,7}(?:省|自治区)(?!市区|份)"
    r"|[\u4e00-\u9fff]{2,6}[市州][\u4e00-\u9fff]{1,6}[区县]"
    r"|[\u4e00-\u9fff]{2,4}(?:路|街|大道|巷)\d+号"
    r"|我(?:是|叫)[\u4e00-\u9fff]{2,3}(?![\u4e00-\u9fff])"
)
_TURNED_ROUND: Final = re.compile(r"(?:收件人|收货人|地址|电话|姓名|联系人)(?:并)?(?:不是|不叫|非)")


def signature(template: SentenceTemplate) -> str:
    """Return what two templates share that differ in punctuation and white space only: slots in order, and words."""
    words = re.sub(r"[\W_]+", "", _SLOT.sub("", template.text))
    return "|".join([*template.slots, words])


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

    Args:
        text: the variant.
        seed: the human-written template it comes from.
        family: the scenario's family.
        allowed_slots: what the atoms define.
        probes: atom rows for the round trip; a few with awkward values say more than many plain ones.
    """
    try:
        variant = parse_template(text, "variant", allowed_slots, seed.unit)
    except TemplateError as error:
        return f"parse: {error}"
    if Counter(variant.slots) != Counter(seed.slots):
        return f"slots: {_difference(variant.slots, seed.slots)}"
    if len(text) > MAX_GROWTH * max(len(seed.text), 40):
        return f"length: {len(text)} characters against {len(seed.text)} of the seed"
    for pattern, what in (
        (_LITERAL_ENTITY, "literal entity: {} stands where a slot should"),
        (_TURNED_ROUND, "meaning: {} turns the sentence round"),
    ):
        for match in pattern.finditer(variant.literals()):
            if match.group() not in seed.literals():
                return what.format(repr(match.group()))
    if all(boundary_is_lost(variant.render(atoms)) for atoms in probes):
        return "boundary: two numbers run into each other"
    for atoms in probes:
        for violation in family.check_template(variant, atoms):
            return f"round trip: {violation.detail}"
    return ""


def _difference(found: Sequence[str], wanted: Sequence[str]) -> str:
    missing = Counter(wanted) - Counter(found)
    added = Counter(found) - Counter(wanted)
    words = [f"lost {slot}" for slot in missing.elements()] + [f"added {slot}" for slot in added.elements()]
    return ", ".join(words)
