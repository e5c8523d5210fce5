"""Template variants that say something else than their seed did, as an LLM's paraphrase does when it goes wrong.

Here belong the kinds of damage and what becomes of the samples. The message is that of the damaged variant, the answer
stays that of the seed, so that the two no longer agree:

    您好，收件人{{名字}}，电话{{电话}}     张三, 13800138000 in the answer
    lost                 您好，收件人张三
    example_kept         您好，收件人李雷，电话13800138000         in every sample of the variant
    continued            您好，收件人张三先生，电话13800138000     the title belongs to the name
    added                您好，收件人张三，电话13800138000，邮编518057
    roles_exchanged      打13911112222，13800138000已经不用了      the old number is called the new one

The first two break the rule that every value is copied; the others are seen by no rule, but for an added phone number.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cs_assets.families.base import CopyingFamily, Sample
from cs_assets.families.syntax import Segment, parse_template
from cs_assets.scenario import Scenario

SHARE: Final = 0.2
SEED: Final = 23
# The tests stay as they are.
DAMAGED_FOLDS: Final = ("train", "judge")

Atoms = Mapping[str, Any]
# Takes the segments of the undamaged message, the sample's atoms, those of the example that the LLM was shown, and a
# generator that draws the same for all samples of a variant. None: a variant with these slots cannot be damaged so.
Damage = Callable[[list[Segment], Atoms, Atoms, random.Random], list[Segment] | None]
_FIELDS: Final = ("名字.param.输出", "电话", "邮编", "地址.param.省", "地址.param.市", "地址.param.县", "详细地址")
# A name without a title and a number without an extension, and what then belongs to them.
_ENDINGS: Final = {
    "名字.param.输出": (re.compile(r"[\u4e00-\u9fff]{2,3}(?<![生士姐师总哥嫂妈爸姨叔长理])"), ("先生", "女士")),
    "电话": (re.compile(r"1\d{10}"), ("转801", "转2206")),
}
_ADDITIONS: Final = {
    "邮编": "，邮编{{邮编}}",
    "名字.param.输出": "，收件人{{名字.param.输出}}",
    "电话": "，电话{{电话}}",
}
# What does not hold, or only in the second place -> what holds.
_RIVALS: Final = {
    "旧电话": "电话",
    "备用电话": "电话",
    "旧名字": "名字.param.输出",
    "旧县": "地址.param.县",
    "旧门牌": "详细地址",
}


def with_damage(
    scenario: Scenario, variants: pl.DataFrame, rendered: pl.DataFrame, atoms: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, str], frozenset[str]]:
    """Damage `SHARE` of the variants and with them the samples of `DAMAGED_FOLDS`, which must be without noise.

    A sample whose answer would still be right stays as it was: the province that its variant lost was empty anyway.

    Args:
        scenario: one with the atoms `shipping`.
        variants: the accepted ones.
        rendered: samples of these variants.
        atoms: from which they were rendered.

    Returns:
        The samples, the kind of damage of each that is wrong now, by sample_id, and the ids of the damaged variants.

    Raises:
        ValueError: the scenario has other atoms.
    """
    family = scenario.family
    if scenario.spec.atoms != "shipping" or not isinstance(family, CopyingFamily):
        raise ValueError(f"{scenario.name}: found atoms {scenario.spec.atoms!r}, damage is made for 'shipping' only.")
    names = sorted(variants["template_id"])
    damaged = frozenset(random.Random(SEED).sample(names, round(SHARE * len(names))))
    texts = dict(variants.select("template_id", "text").iter_rows())
    by_id = {row["atom_id"]: row for row in atoms.iter_rows(named=True)}
    shown = rendered.filter(fold="train")["atom_id"].to_list()
    kinds: dict[str, str] = {}
    rows = rendered.to_dicts()
    for row in rows:
        if row["template_id"] not in damaged or row["fold"] not in DAMAGED_FOLDS:
            continue
        rng = random.Random(f"{SEED}:{row['template_id']}")
        own, example = by_id[row["atom_id"]], by_id[rng.choice(shown)]
        kind, segments = _damage(_rendered(texts[row["template_id"]], own), own, example, rng)
        message = "".join(segment.text for segment in segments).lstrip("，,、；;+-| \n")
        sample = Sample(message=message, answer=row["answer"])
        if family.copied_answer(segments) != row["answer"]:
            row |= {"message": message, "messages": scenario.conversation(sample)}
            kinds[row["sample_id"]] = kind
    return pl.DataFrame(rows, schema=rendered.schema), kinds, damaged


def _damage(segments: list[Segment], own: Atoms, example: Atoms, rng: random.Random) -> tuple[str, list[Segment]]:
    """Return the first kind that applies, of all in random order, and the damaged message."""
    for kind in rng.sample(sorted(DAMAGES), len(DAMAGES)):
        if (found := DAMAGES[kind](segments, own, example, rng)) is not None:
            return kind, found
    return "", segments


def _lost(segments: list[Segment], own: Atoms, example: Atoms, rng: random.Random) -> list[Segment] | None:
    """Lose a value, and the words before it."""
    slot = _one_of(_FIELDS, segments, rng)
    pairs = zip(segments, [*segments[1:], Segment(text="")], strict=True)
    return [s for s, after in pairs if s.slot != slot and (s.slot or after.slot != slot)] if slot else None


def _example_kept(segments: list[Segment], own: Atoms, example: Atoms, rng: random.Random) -> list[Segment] | None:
    """Write the example's value in the place of a slot."""
    slot = _one_of(_FIELDS, segments, rng)
    return _with_texts(segments, {slot: _rendered(f"{{{{{slot}}}}}", example)[0].text}) if slot else None


def _continued(segments: list[Segment], own: Atoms, example: Atoms, rng: random.Random) -> list[Segment] | None:
    """Put words behind a value that a reader takes for its end."""
    slot = _one_of(tuple(_ENDINGS), segments, rng)
    if not slot:
        return None
    bare, endings = _ENDINGS[slot]
    end, value = rng.choice(endings), next(segment.text for segment in segments if segment.slot == slot)
    return _with_texts(segments, {slot: value + end} if bare.fullmatch(value) else {})


def _added(segments: list[Segment], own: Atoms, example: Atoms, rng: random.Random) -> list[Segment] | None:
    """Say what the seed does not say, so that the field is empty in the answer."""
    absent = sorted(set(_ADDITIONS) - {segment.slot for segment in segments})
    return [*segments, *_rendered(_ADDITIONS[rng.choice(absent)], own)] if absent else None


def _roles_exchanged(segments: list[Segment], own: Atoms, example: Atoms, rng: random.Random) -> list[Segment] | None:
    """Exchange what holds and what does not."""
    said = {segment.slot: segment.text for segment in segments}
    old = _one_of([rival for rival, slot in _RIVALS.items() if slot in said], segments, rng)
    return _with_texts(segments, {old: said[_RIVALS[old]], _RIVALS[old]: said[old]}) if old else None


DAMAGES: Final[Mapping[str, Damage]] = {
    "lost": _lost,
    "example_kept": _example_kept,
    "continued": _continued,
    "added": _added,
    "roles_exchanged": _roles_exchanged,
}


def _one_of(slots: Sequence[str], segments: list[Segment], rng: random.Random) -> str:
    """Draw one of the slots that the message shows, an empty string if it shows none."""
    shown = {segment.slot for segment in segments}
    return rng.choice([slot for slot in slots if slot in shown] or [""])


def _with_texts(segments: list[Segment], texts: Mapping[str, str]) -> list[Segment]:
    return [segment.model_copy(update={"text": texts.get(segment.slot, segment.text)}) for segment in segments]


def _rendered(text: str, atoms: Atoms) -> list[Segment]:
    return parse_template(text, "damage").render(atoms)
