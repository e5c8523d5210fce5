"""Whether a variant turns its seed's meaning round: what it refuses, asks for, reports as done, or calls wrong.

Here belong the cues, words of the trade in a table. It is no understanding of language: what is not in the table goes
unseen, and two sentences are compared, never one judged alone.

    turned_round(seed, variant)    # seed: 寄到{{详细地址}}; variant: 别寄了，{{详细地址}}
    # "'别寄' refuses what the seed does not"
"""

import re
from typing import Final

from cs_assets.families.syntax import SentenceTemplate
from cs_assets.templates.roles import given_up, superseded
from cs_assets.templates.wording import LABELS, SLOT, alternatives, slot_name

# What a customer wants done, or tells of: act -> its words.
_ACTS: Final[dict[str, str]] = {
    "send": (
        r"发货|补发|寄|发(?!票|现|错|生|火|抖|烫|黄|霉|黑|烧|热|出.?(?:声|响))|送(?!人|的|礼)|邮(?!编|政|箱|件|费)"
        r"|配送|派送"
    ),
    "call": r"打(?!折|印|错|开|包|扰|算|分|字|扫|理|听)|拨|联系|致电|来电|接电话",
    "return": r"退(?!出|后|休|.{0,2}差价)",
    "exchange": r"换货|换一[个件台双条]|换个?新|换[成个]?别的|调换",
    "cancel": r"取消|撤(?:单|销|掉|了)?",
    "change": r"改(?!天|善)|变更|修改",
    "arrive": r"收到(?!回|请回)|签收|送达|到货|送到|到(?=[了吗没不啊呢]|$)",
    "repair": r"(?:维修|报修)(?!单)|(?<![维报])修(?!改|好了)",
    "come": r"上门|派[个人]|来人|来(?=[一了修看吧]|$)",
    "invoice": r"发票|开票|专票|普票",
    "complain": r"投诉|举报|曝光|差评|12315|告你|消协",
    "want": r"想?要(?=[了的]|$)|想买|买(?!了|的|错|家|贵)|下单",
    "agree": r"同意|答应|接受|愿意",
    "use": r"(?:能|好|可以)用",
}
# Which acts a paraphrase may not bring in: it asks for nothing that the seed does not.
_WEIGHTY: Final = ("return", "exchange", "cancel", "invoice", "complain", "repair")
_REFUSAL: Final = (
    r"(?<![能会可行要是用好])(?:别|不要|不用|不必|勿|甭|不想|不准|不许|不需要|无需|停止|暂停|拒绝|不愿意?"
    r"|不(?=同意|答应|接受|愿意)|(?<![退换修改])不(?=退|换|修(?!好)|取消|投诉|举报))"
)
_FILLER: Final = (
    r"(?:再|继续|帮|给|我|你|您|们|往|去|来|把|按|麻烦|先|这么|直接|随便|急着|着急|这里|这边|人|货|东西|任何|到|在|跟|让|叫"
    r"|照|那里|那边|这个|那个|转|改|开|做){0,4}"
)
_DONE: Final = r"(?:已经?|早就|早已|都已经?|刚刚?)(?:给|帮|我|你|都|经|有|人){0,2}"
_OPEN: Final = r"(?:没有?|未|还不|一直不|就是不|迟迟不|怎么不|总不)(?:给|帮|我|人|见|能|让|有|肯){0,2}"
_UNWANTED: Final = re.compile(r"不想?要了|不想要|不要(?=[，。！!\s]|$)|不想?买了?(?=[，。！!\s]|$)")
# Ways to call an order off, of which one stands for the other: 别发了, 不要了, 取消.
_DECLINED: Final = frozenset({"send", "want", "come", "cancel"})
# Cautions, courtesies and the like: what is refused there is not what the customer came for.
_HARMLESS: Final = re.compile(
    r"(?:千万)?(?:别|不要|勿)再?[寄发送打写填弄搞看](?:错|漏|丢|坏|混|乱)了?|不好意思|不客气|别忘了?|没错|不错|差不多|别(?:着)?急(?!着)"
    r"|不[急怕]|不着急|不赶|没事|没关系|没问题|不变|不动|(?:不用|别|不要)(?:动|改(?![成为到寄约送\ue003\ue004])|变|管|回|谢)了?|打扰|(?:别|不要)放|不用写"
    r"|([\u4e00-\u9fff])[不没]\1|不要紧"
)
# Said of the value itself: 收件人不是, 电话打不通的是.
_LABELS: Final = frozenset(word for words in LABELS.values() for word in words)
_LABEL_WORDS: Final = alternatives(
    (*(word for words in LABELS.values() for word in words if len(word) > 1), "门牌", "号码")
)
_WRONG: Final = re.compile(
    rf"(?:{_LABEL_WORDS})(?:这个|那个|现在|也|都|就|并|可|已经?|全|根本|早){{0,3}}"
    r"(?:(?<!是)不是|并?非|不叫|不对(?!吗)|(?:写|填|打|发|弄|搞|给|输|留)错|错了|有误|作废|无效|打不通|停机|停用|用不了|(?:不用|不要)了)"
    r"|(?:打不通|停机|作废|无效|错误?|过期|不用|没用|用不了)了?的(?:是|(?:那个)?(?:电话|手机|地址|号码?|收件人))"
)
_CORRECTED: Final = re.compile(r"应该是|改成|改为|换成|正确的?是|改一?下")
_NEGATION: Final = re.compile(r"[不没未别勿非甭]|拒绝")
_DENIED: Final = re.compile(r"(?:不是|不用|不要|不能|没有|[不没未别勿])(?=([\u4e00-\u9fff]{2}))")
_CLAUSE: Final = re.compile(r"[，。；！,;!\n\ue003\ue004]|(?<=[？?])")
# Two that exclude each other.
_OPPOSITES: Final = (
    (
        r"(?<!不)(?:急用|着急|很急|加急|赶时间|尽快|快点|急着)",
        r"不急|不着急|不赶|慢慢|不用急|别急|随便什么时候|什么时候都行",
    ),
    (r"(?<![不没])(?:满意|喜欢|好用)", r"不满意|不喜欢|不好用"),
    (r"坏了|用不了|不能用|没反应|不行了|出毛病|出问题", r"没坏|好好的|能正常|没问题|好了(?!吗)|修好了|恢复了"),
    (r"太贵|便宜(?:点|些)", r"太便宜|不贵|贵点"),
    (r"差评|没影|太差|很差", r"好评|五星|点个?赞|准时|不错"),
    (r"什么质量|质量.{0,2}差|用.{0,3}就坏", r"质量.{0,2}(?:好|不错)|好用"),
    (r"能(?:送|寄|发)?到|(?:送|寄|发)?到得了|能(?:修|退|换)", r"(?:送|寄|发)?到不了|送不到|(?:修|退|换)不了"),
    (r"不对|错了|写错|填错|打错|说错", r"没错|没写错|没填错|是对的|都正确"),
    (r"真的|正品", r"假的|假货|仿品"),
    (r"(?<!不)新(?:地址|电话|号码|的)(?!吗)", r"旧(?:地址|电话|号码|的)|老地址|原(?:来|先)的?(?:地址|电话)"),
    (
        r"(?<![不别])(?:不变|不动|不用改|别改|跟上次一样|照旧)",
        r"(?<![不别没])(?:都?变了|也?要改|都要?换|跟上次不一样|和上次不同)",
    ),
)
_QUESTION: Final = re.compile(
    r"[?？吗呢么]|什么|啥|几|哪|多少|多久|多长|怎么|咋|为什么|为何|谁|([\u4e00-\u9fff])[不没]\1|有没有|是否|可否|如何"
    r"|[没不](?=[，。,.!！~\s]|$)"
)
_ASSERTED: Final = re.compile(r"(?<![不没])(?:能|可以|会|肯定|一定|已经?)")


def turned_round(seed: SentenceTemplate, variant: SentenceTemplate) -> str:
    """Return how the variant turns the seed's meaning round, an empty string if it does not."""
    gained = sorted(given_up(variant) - given_up(seed))
    if gained:
        return f"{gained[0]} is given up"
    before, after = _own_words(seed, seed), _own_words(variant, seed)
    plain_before, plain_after = SLOT.sub("", seed.text), SLOT.sub("", variant.text)
    return (
        _called_wrong(before, after)
        or _other_acts(before, after, seed)
        or _flipped(before, after)
        or _opposed(plain_before, plain_after)
        or _stated(plain_before, plain_after)
    )


def _own_words(template: SentenceTemplate, seed: SentenceTemplate) -> str:
    """Return a sentence without harmless negations and without the clauses about values that the seed gives up."""
    old = superseded(seed)
    marked = SLOT.sub(lambda match: "\ue004" if slot_name(match[1]) in old else "\ue003", template.text)
    told = re.sub("[^，。；\\n！？,（）]*\ue004[^，。；\\n！？,（）]*", "", marked)
    # A question stays one without its 能不能.
    return _HARMLESS.sub(lambda match: "吗，" if match[1] else "，", told)


def _called_wrong(before: str, after: str) -> str:
    found = _WRONG.search(after)
    if not found or _WRONG.search(before):
        return ""
    corrected = _CORRECTED.search(after, found.end()) and _CORRECTED.search(before)
    return "" if corrected else f"{found[0]!r} turns the sentence round"


def _flipped(before: str, after: str) -> str:
    """Find a word that is negated in one of the two sentences only: 我不在家, 我在家.

    A question may do without the negation: 怎么还没发货, 什么时候发货.
    """
    denied_before, denied = _denied(before), _denied(after)
    for word in sorted(denied - denied_before - _LABELS):
        if _affirmed(word, before):
            return f"{word!r} is denied, in the seed it is not"
    for word in sorted(denied_before - denied - _LABELS):
        if _affirmed(word, after):
            return f"{word!r} is denied in the seed"
    return ""


def _denied(words: str) -> set[str]:
    return {match[1] for match in _DENIED.finditer(words)}


def _affirmed(word: str, words: str) -> bool:
    """Tell whether a clause says the word without a negation, and does not ask."""
    clauses = (clause for clause in _CLAUSE.split(words) if word in clause)
    return any(not _NEGATION.search(clause) and not _QUESTION.search(clause) for clause in clauses)


def _other_acts(before: str, after: str, seed: SentenceTemplate) -> str:
    refused_before, refused = _refused(before), _refused(after)
    # A slot's name tells of what the seed is about: 取消原因.
    named_before, named = _matches(f"{before} {' '.join(seed.slots)}"), _matches(after)
    declines = bool(_DECLINED & refused_before.keys()) or "cancel" in named_before
    for act, words in refused.items():
        if act not in refused_before and not (declines and act in _DECLINED - {"cancel"}):
            return f"{words!r} refuses what the seed does not"
    for act, words in refused_before.items():
        if act in named and not refused and "cancel" not in named:
            return f"{named[act]!r} is wanted, the seed says {words!r}"
    for act in _WEIGHTY:
        if act in named and act not in named_before and not (act == "cancel" and declines):
            return f"{named[act]!r} is nothing that the seed asks for"
    missed, missed_still = _matches(before, _OPEN), _matches(after, _OPEN)
    for act, words in _matches(after, _DONE).items():
        if act not in missed_still and (act in missed or (_QUESTION.search(before) and not _QUESTION.search(after))):
            return f"{words!r} tells as done what the seed misses"
    return ""


def _refused(words: str) -> dict[str, str]:
    unwanted = _UNWANTED.search(words)
    return _matches(words, _REFUSAL + _FILLER) | ({"want": unwanted[0]} if unwanted else {})


def _matches(words: str, cue: str = "") -> dict[str, str]:
    """Return the acts that the words name behind the cue, each with its words."""
    found = {act: re.search(f"{cue}(?:{verbs})", words) for act, verbs in _ACTS.items()}
    return {act: match[0] for act, match in found.items() if match}


def _opposed(before: str, after: str) -> str:
    for one, other in _OPPOSITES:
        for wanted, unwanted in ((one, other), (other, one)):
            match = re.search(unwanted, after)
            if match and re.search(wanted, before) and not re.search(unwanted, before) and not re.search(wanted, after):
                return f"{match[0]!r} says the opposite"
    return ""


def _stated(before: str, after: str) -> str:
    """Find a question that became a statement: 能到吗, 能到."""
    stated = _ASSERTED.search(after)
    if stated and _QUESTION.search(before) and _ASSERTED.search(before) and not _QUESTION.search(after):
        return f"{stated[0]!r} states what the seed asks"
    return ""
