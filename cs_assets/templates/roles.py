"""What a sentence says of each slot: the label that it bears, and whether the value is to be used or no longer.

Here belongs the comparison of a variant's slots with those of its seed. A paraphrase may move a slot and put other
words around it; it may not call the phone a name, nor the old number the new one.

    role_change(seed, variant)    # seed: 电话不用{{旧电话}}了，改{{电话}}; variant: 电话不用{{电话}}了，改{{旧电话}}
    # "电话 is given up, in the seed it is used"
"""

import re
from collections import Counter
from typing import Final, NamedTuple

from cs_assets.families.syntax import SentenceTemplate
from cs_assets.templates.wording import LABELS, SLOT, alternatives, kind_of_slot, slot_name

_PLACES: Final = frozenset({"地址", "地区", "省", "市", "县"})
# What a word before a slot says of the kind of its value; labels say it themselves.
_VERBS: Final[dict[str, frozenset[str]]] = {
    "打|拨|拨打|致电": frozenset({"电话"}),
    "寄到|发到|送到|寄往|发往|邮寄到|住在": _PLACES,
    "寄给|发给|我叫": frozenset({"姓名"}),
}
# Labels that name several kinds of value.
_WIDE: Final[dict[str, frozenset[str]]] = {
    "地址": _PLACES,
    "地区": _PLACES,
    "单号": frozenset({"订单号", "工单号", "运单号", "单号"}),
    "订单号": frozenset({"订单号", "单号"}),
    "工单号": frozenset({"工单号", "单号"}),
    "运单号": frozenset({"运单号", "单号"}),
    "收货信息": frozenset({"姓名", "电话"}) | _PLACES,
}
# 省 alone is a label before a colon only; behind a slot it continues the value.
_LABEL_WORDS: Final = "|".join(
    [
        alternatives(tuple(word for words in LABELS.values() for word in words if len(word) > 1)),
        r"(?:省|市|县|区)(?=\s*[:：])",
    ]
)
# The labels right before a slot, several of them in a row (姓名、电话：), and the verbs.
_LABELLED: Final = re.compile(
    rf"((?:(?:{_LABEL_WORDS})[、/和跟及与]?)+)(?:还)?(?:[是为写填叫留用改成]|就是|就写)*[\s:：】）)]*$"
)
_GOVERNED: Final = re.compile(rf"({'|'.join(_VERBS)})$")

# What is said of a value that is no longer to be used, before it and behind it.
_NOT: Final = (
    "(?<![能会可行要是用])(?:不是|并非|不叫|不再是|不用|不要|别|甭|勿|不能|不可以?|不许|无需|不必|停止"
    "|不(?=[看买送发寄打填写找去]))"
)
_ACT: Final = "再|继续|往|给|按|照|打|拨|寄|发|送|到|写|填|用|联系|留|派|去|找|来|放|看|买|这个|那个|原来|之前"
_THING: Final = (
    "号码?|电话号?码?|手机号?码?|地址|地方|人|名字|收[件货]人|单号?|那个|这个|填|写|留|登记|寄|发|用|约|说|的"
)
_OLD: Final = "(?<![照仍依])旧|原来|原先|之前|以前|从前|错误|老(?!家)|过期|作废|停机|打不通|用不了|写错|填错|打错"
_GIVEN_UP_BEFORE: Final = re.compile(rf"(?:{_NOT}(?:{_ACT})*|(?:{_OLD})了?(?:{_THING})*(?:是|就是)?)[\s:：]*$")
_SUBJECT: Final = (
    r"^(?:[这那]个?(?:号码?|电话|手机号?|地址|地方|人|单)?|号码?|的)?"
    r"(?:已经|已|现在|都|就|也|早就?|先|我|是(?!不是)){0,3}"
)
_GIVEN_UP_BEHIND: Final = re.compile(
    rf"{_SUBJECT}(?:不[用要买看]了|别用|作废|停机|停用|打不通|用不了|不能用|[写填打发弄输说记讲]错|[少多漏][写打输填]|错[了的]|无效|过期"
    r"|注销|弃用|换掉|搬走|不住了|旧的|老的|以前的|原来的)"
)
# The same where the clause ends behind it: else it is said of the next slot (是{{电话}}不是{{旧电话}}).
_GIVEN_UP_AT_LAST: Final = re.compile(
    rf"{_SUBJECT}(?:(?<!是)不是|不对(?!吗)|(?:别|不用|不要|不能)再?(?:用|打|寄|发|送|填|写|联系|来|去|往)*了?[啊吧哈哦]?$)"
)
_TAKEN_BEFORE: Final = re.compile(
    r"(?:(?<!不)(?:改成|改为|换成|换为|改到|换到|改寄到?|改送到?|改发到?|转寄到|转到|改打|改用|改|变成|更新为|应该是|而是|就?用)|新的?|现在的?|最新的?)"
    rf"(?:{_THING})*[是为]?[\s:：]*$"
)
_CLAUSE: Final = re.compile(r"[，。；！？,;!?\n（）()]")


class Place(NamedTuple):
    """Where a slot stands: the words right before it, and the clauses before and behind its group.

    A group are slots with nothing but marks between them: what is said of one is said of all. `ends` tells that no
    other slot stands behind `right` in its clause.
    """

    slot: str
    before: str
    left: str
    right: str
    ends: bool
    group: int


def role_change(seed: SentenceTemplate, variant: SentenceTemplate) -> str:
    """Return which slot changed its role from seed to variant, and how; an empty string if none did."""
    wanted, found = _places(seed), _places(variant)
    return _mislabelled(wanted, found) or _reversed(seed, found) or _exchanged(wanted, found)


def given_up(template: SentenceTemplate) -> frozenset[str]:
    """Return the slots whose values the sentence says are not to be used."""
    return frozenset(place.slot for place in _places(template) if _use(place) == "given up")


def superseded(template: SentenceTemplate) -> frozenset[str]:
    """Return the slots whose values are given up for another of the kind: 旧电话 beside 电话."""
    kinds = Counter(kind_of_slot(slot) for slot in set(template.slots))
    return frozenset(
        slot
        for slot in given_up(template)
        if slot.startswith("旧") or (kind_of_slot(slot) and kinds[kind_of_slot(slot)] > 1)
    )


def _places(template: SentenceTemplate) -> list[Place]:
    matches = list(SLOT.finditer(template.text))
    slots = [slot_name(match[1]) for match in matches]
    starts = [0, *(match.end() for match in matches)]
    ends = [*(match.start() for match in matches), len(template.text)]
    gaps = [template.text[start:end] for start, end in zip(starts, ends, strict=True)]
    gaps[-1] += "\n"  # the text's end closes a clause as well
    lefts, rights = list(gaps[:-1]), list(gaps[1:])
    groups = [0] * len(slots)
    for i in range(1, len(slots)):
        groups[i] = groups[i - 1] + bool(re.search(r"\w|\n", gaps[i]))
        if groups[i] == groups[i - 1]:
            lefts[i] = lefts[i - 1]
    for i in reversed(range(len(slots) - 1)):
        # Behind a list, only what points back to all of it: {{旧地址}}，{{旧电话}}，这个别用了.
        if groups[i] == groups[i + 1] and (not gaps[i + 1] or re.match(r"\W|[都全这那]", rights[i + 1])):
            rights[i] = rights[i + 1]
    return [
        Place(slot, gap, _CLAUSE.split(left)[-1].strip(), *_behind(right), group)
        for slot, gap, left, right, group in zip(slots, gaps, lefts, rights, groups, strict=False)
    ]


def _behind(words: str) -> tuple[str, bool]:
    """Return the clause behind a slot, and whether a mark or the end of the text closes it.

    A clause of its own counts where it is closed: {{旧电话}}，这个停机了，but not {{电话}}，不是{{旧电话}}.
    """
    first, *others = _CLAUSE.split(words.lstrip(" ）)"))
    if first.strip() or not others:
        return first.strip(), bool(others)
    return (others[0].strip(), True) if len(others) > 1 else ("", True)


def _kinds_said(place: Place) -> tuple[frozenset[str], str]:
    """Return the kinds of value that the label or verb right before a slot allows, and its words."""
    before = place.before.rstrip("\n")
    if match := _LABELLED.search(before):
        words = re.findall(_LABEL_WORDS, match[0])
        kinds = {kind for kind, known in LABELS.items() if any(word in known for word in words)}
        return frozenset().union(*(_WIDE.get(kind, frozenset({kind})) for kind in kinds)), match[1]
    if match := _GOVERNED.search(before):
        return next(kinds for verbs, kinds in _VERBS.items() if match[1] in verbs.split("|")), match[1]
    return frozenset(), ""


def _mislabelled(wanted: list[Place], found: list[Place]) -> str:
    """Return the slot whose label names another kind of value, unless the seed says so too."""
    said = {(place.slot, _kinds_said(place)[0]) for place in wanted}
    for place in found:
        kinds, words = _kinds_said(place)
        kind = kind_of_slot(place.slot)
        # 地址 may stand before all that goes on a parcel: 地址：{{名字}} {{电话}} {{详细地址}}.
        headed = kinds >= _PLACES and any(kind_of_slot(p.slot) in _PLACES for p in found if p.group == place.group)
        if kinds and kind and kind not in kinds and not headed and (place.slot, kinds) not in said:
            return f"{words!r} stands before {place.slot}"
    return ""


def _use(place: Place) -> str:
    if _GIVEN_UP_BEFORE.search(place.left) or _GIVEN_UP_BEHIND.search(place.right):
        return "given up"
    if place.ends and _GIVEN_UP_AT_LAST.search(place.right):
        return "given up"
    return "taken up" if _TAKEN_BEFORE.search(place.left) else "given"


def _reversed(seed: SentenceTemplate, found: list[Place]) -> str:
    """Return the slot that was given up for another and is not any more, or an old value that is taken up.

    Where there is nothing else to take, as in {{工单号}}不用来了, the words may say it without the slot.
    """
    uses: dict[str, set[str]] = {}
    for place in found:
        uses.setdefault(place.slot, set()).add(_use(place))
    for slot in sorted(superseded(seed) & uses.keys()):
        if "given up" not in uses[slot]:
            return f"{slot} is {min(uses[slot])}, in the seed it is given up"
    taken = {place.slot for place in _places(seed) if _use(place) == "taken up"}
    for slot, said in uses.items():
        if slot.startswith("旧") and "taken up" in said and slot not in taken:
            return f"{slot} is taken up, in the seed it is not"
    return ""


def _exchanged(wanted: list[Place], found: list[Place]) -> str:
    """Return the two slots each of which stands where the other stood in the seed."""
    seed = {place.slot: place for place in wanted}
    variant = {place.slot: place for place in found}
    if len(seed) != len(wanted) or len(variant) != len(found):
        return ""
    slots = [slot for slot in seed if slot in variant]
    for i, a in enumerate(slots):
        for b in slots[i + 1 :]:
            if variant[a].group == variant[b].group or seed[a].group == seed[b].group:
                continue
            kept = _likeness(variant[a], seed[a]) + _likeness(variant[b], seed[b])
            crossed = _likeness(variant[a], seed[b]), _likeness(variant[b], seed[a])
            if min(crossed) > 0.5 and sum(crossed) > kept + 0.5:
                return f"{a} and {b} changed places"
    return ""


def _likeness(one: Place, other: Place) -> float:
    """Return the share of the words around two slots that they have in common, 0 where neither has any."""
    pairs = [(one.left, other.left, "left"), (one.right, other.right, "right")]
    mine = {(side, gram) for words, _, side in pairs for gram in _bigrams(words)}
    others = {(side, gram) for _, words, side in pairs for gram in _bigrams(words)}
    return len(mine & others) / len(mine | others) if mine and others else 0.0


def _bigrams(words: str) -> set[str]:
    plain = re.sub(r"[\W_]+", "", words)
    return {plain[i : i + 2] for i in range(max(1, len(plain) - 1))} if plain else set()
