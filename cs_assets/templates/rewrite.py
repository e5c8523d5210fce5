"""The deterministic rewriter: new sentences from a seed without an LLM.

It changes what a customer changes without thinking: the order of a bare listing, labels, separators, politeness, the
form of a question, a colloquial word. It moves the parts of listings only and swaps words only where the tables of
`wording.py` say that they mean the same; a sentence keeps its order. It knows no grammar, so a new seed's rewrites
deserve a reading; the gates see slots and cues, not style. Records (JSON, tables) and English stay as they are.

    list(itertools.islice(rewrites("{{电话}}，{{名字.param.输出}}", rng=random.Random(7)), 2))
"""

import random
import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

from cs_assets.templates.wording import (
    ASKING,
    EXCHANGES,
    GREETINGS,
    HURRY,
    LABELS,
    LISTING_GREETINGS,
    OPENERS,
    PLEADING,
    SLOT,
    THANKS,
    alternatives,
    copy_key,
)

# So many edits in a row that make nothing new, and no more is to be had.
_PATIENCE: Final = 60
# Tried in this order: the first that a text holds is the one between its parts.
_DIVIDERS: Final = ("\n", "；", "，", ", ", ",", "/", "+", " ")
_SEPARATORS: Final = ("，", " ", "\n", ",", "；", "  ", ", ")
# Between values without labels only, as 张三/13800138000.
_BARE_SEPARATORS: Final = (*_SEPARATORS, "、", "。", "/")
_FIRST: Final = re.compile("订单号|商品")
_LAST: Final = re.compile("配送备注|送达时间")
# No hurry beside a date, a note or a correction.
_NO_HURRY: Final = re.compile("时间|日期|配送备注|旧")
_PERSONAL: Final = re.compile("地址|电话|姓名|名字")
_LABEL_WORDS: Final = {word for words in LABELS.values() for word in words} | {"收", "订单", "固定电话"}
_RECORD: Final = re.compile(r"[{}|]|```|\\n")
# Who writes so neither greets nor thanks.
_ANGRY: Final = re.compile(
    r"[?？!！]{2}|[!！]$|投诉|举报|曝光|骗|假货|差评|态度|什么店|再不|垃圾|无语|服了|坑|凭什么|怎么还|咋还|为[什啥]么?还|还不|还没|都几天|烂|气|"
    r"搞不懂|答非所问|别机器人|什么质量|太差|失望|退一赔|12315|人工|没人|说话不算|不管用|没用|爬|假单号|割韭菜|糊弄|没法用|扔|弄丢|不然|笨|傻|非得|废物|答不明白"
)
_QUESTION: Final = re.compile(
    r"[吗呢么?？]|什么|啥|几|哪|多少|多久|怎么|咋|为什么|为啥|谁|有没有|([\u4e00-\u9fff])[不没]\1|[没不](?=[，。\s]|$)"
)
# A beginning that stands in the middle of a talk, or has a greeting already.
_BEGUN: Final = re.compile(
    r"[^{\n]{0,6}(?:你好|您好|在吗|在不在|亲|老板|客服|掌柜|哈[喽啰]|有人吗|请问|请教|问[一]?下|咨询|不好意思|抱歉|对不起)|嗯|哦|哎|啊|额|行|好|那|对|是|就|再|还|等|算|不|别"
    r"|可以|没|OK|原来|打错|说错|哈|急|没货|谢|先|忘|[^{\n]{1,8}[：:]\s|\{\{[^{}]*(?:招呼|问候|感叹)"
)
_REQUEST: Final = re.compile(
    r"麻烦(?!了)|帮|请(?!求)|劳驾|取消|撤|改[到成约期]|换[到成]|寄[到给]|发[到给]|送到|登记|派|报修|评价一下|查下|查一下|看下|看一下|安排|来就行|上门|转寄"
)
_FIRST_CLAUSE: Final = re.compile(r"(?:\{\{[^{}]*\}\}|[^，。？?！!\n])*[?？]?")
_URGING: Final = re.compile(r"^(?:快|赶|要(?!多)|这都|发错)|给我|帮我|让")
_VERB_FIRST: Final = re.compile(r"^(?:取消|查(?:下|一下|查|两)|看(?:看|下|一下)|催|登记|派|安排)(?!的|了|吧)")

COURTESIES: Final = frozenset({"greeting", "thanks"})
Edit = Callable[[str, random.Random], str]


def rewrites(text: str, rng: random.Random, courtesies: Collection[str] = COURTESIES) -> Iterator[str]:
    """Yield rewrites of which none is a copy of another or of `text`, until nothing new comes; a short seed has few.

    Args:
        text: the sentence.
        rng: decides which edits are tried.
        courtesies: which of `COURTESIES` may be added: no greeting to what stands in the middle of a talk.
    """
    if is_record(text):
        return
    unwanted = {edit for courtesy, edit in (("greeting", _greet), ("thanks", _thank)) if courtesy not in courtesies}
    edits = [edit for edit in _EDITS if edit not in unwanted]
    tried, seen = {text}, {copy_key(text)}
    idle = 0
    while idle < _PATIENCE:
        idle += 1
        candidate = text
        # In the order of the list: a greeting that is moved with the first part would end up in the middle.
        for number in sorted(rng.sample(range(len(edits)), rng.choice((1, 1, 2, 2, 3)))):
            candidate = edits[number](candidate, rng)
        if candidate in tried:
            continue
        tried.add(candidate)
        if (key := copy_key(candidate)) not in seen:
            seen.add(key)
            idle = 0
            yield candidate


def is_record(text: str) -> bool:
    """Tell whether a text is no sentence of a Chinese customer: JSON, a table, code, or mostly Latin letters."""
    words = SLOT.sub("", text)
    return bool(_RECORD.search(words)) or 2 * len(re.findall("[A-Za-z]", words)) > len(re.findall(r"[^\W\d_]", words))


def _words(text: str) -> str:
    """Return the letters outside the slots."""
    return re.sub(r"[\W_]", "", SLOT.sub("", text))


def _parts(text: str) -> tuple[list[str], str] | None:
    """Split a listing at its separator; None where the text is a sentence rather than a listing."""
    outside = SLOT.sub("", text)
    for separator in _DIVIDERS:
        if separator in outside:
            masked = SLOT.sub(lambda match: match.group().replace(" ", "\ue003"), text)
            parts = [part.replace("\ue003", " ") for part in masked.split(separator)]
            return (parts, separator) if all(map(_is_listed, parts)) else None
    return None


def _is_listed(part: str) -> bool:
    """Tell whether a part is values with no more than their labels: 电话：{{电话}}, {{名字}} 收."""
    names = {name for match in SLOT.finditer(part) for name in re.split(r"[.\s|]+", match[1])}
    labels = re.split(r"[\W_]+", SLOT.sub(" ", part))
    return bool(names) and all(label in _LABEL_WORDS | names for label in labels if label)


def _is_listing(text: str) -> bool:
    return _parts(text) is not None or (len(SLOT.findall(text)) > 1 and _is_listed(text))


def _region(part: str) -> bool:
    return "地址" in "".join(SLOT.findall(part))


def _reorder(text: str, rng: random.Random) -> str:
    """Move the parts around; those of the address stay together and in order, notes stay last."""
    split = _parts(text)
    if split is None:
        return text
    parts, separator = split
    address = [part for part in parts if _region(part)]
    units = [[part] for part in parts if not _region(part)] + ([address] if address else [])
    rng.shuffle(units)
    units.sort(key=lambda unit: bool(_LAST.search(unit[0])) - bool(_FIRST.search(unit[0])))
    return separator.join(part for unit in units for part in unit)


def _change_separator(text: str, rng: random.Random) -> str:
    split = _parts(text)
    if split is None:
        return text
    parts, separator = split
    if any(other in SLOT.sub("", part) for part in parts for other in _BARE_SEPARATORS):
        return text  # it has separators of another kind inside its parts, and both would read oddly
    bare = not _words(text) and sum(map(_region, parts)) < 2
    return rng.choice([s for s in (_BARE_SEPARATORS if bare else _SEPARATORS) if s != separator]).join(parts)


def _join_lines(text: str, rng: random.Random) -> str:
    if re.search(r"[:：] *\n", text):
        return text
    return re.sub("\n(?=（)", "", text).replace("\n", rng.choice((" ", "，")))


def _reword(text: str, rng: random.Random) -> str:
    """Put other words of the same meaning, in some places or all."""
    present = [exchange for exchange in EXCHANGES if exchange.occurs(text)]
    for exchange in rng.sample(present, rng.randint(min(1, len(present)), len(present))):
        text = exchange.put(text, rng.choice(exchange.words))
    return text


def _turn_question(text: str, rng: random.Random) -> str:
    """Ask in another form: 能修吗, 能不能修, 能修不."""
    pattern, forms = rng.choice(_QUESTION_FORMS)
    match = pattern.search(text)
    if match is None:
        return text
    form = rng.choice(forms).replace("…", match["what"])
    return text[: match.start()] + form + text[match.end() :]


_PIECE: Final = r"(?:\{\{[^{}]*\}\}|[^，。,？?！!\s不没吗呢能了])"
_THING: Final = rf"(?P<what>{_PIECE}{{1,12}}?)"
_ACTION: Final = rf"(?P<what>{_PIECE.replace('了', '了的')}{{1,12}}?)"
_ENDS: Final = r"(?=[，。,？?！!~\s]|$)"
_QUESTION_FORMS: Final = (
    (re.compile(rf"(?<![不只才可性功智节技效])能{_ACTION}[吗不]{_ENDS}"), ("能…吗", "能不能…", "能…不")),
    (re.compile(rf"(?<![不只才可性功智节技效])能不能{_ACTION}{_ENDS}"), ("能…吗", "能…不")),
    (re.compile(rf"(?<![不没])可以(?!吗){_ACTION}吗{_ENDS}"), ("可以…吗", "能…吗", "可不可以…")),
    (re.compile(rf"(?<![不没拥含具另只仅])有(?!意思|人){_THING}吗{_ENDS}"), ("有…吗", "有没有…")),
    (re.compile(rf"有没有{_THING}{_ENDS}"), ("有…吗", "有没有…")),
    (re.compile(rf"(?<![不还就只算要于但])是(?!不是){_THING}吗{_ENDS}"), ("是…吗", "是不是…")),
)


def _change_colon(text: str, rng: random.Random) -> str:
    """Change the colons; one at the end of a line gets no space, which nobody would see."""
    if "：" not in text:
        return re.sub(": ?", "：", text)
    colon = rng.choice((":", ": ", " "))
    return re.sub(r"：(?=\S)", colon, text).replace("：", colon.strip() or "：")


def _greet(text: str, rng: random.Random) -> str:
    """Begin with a greeting, a question with 请问, a request with 麻烦: what has no beginning yet and is not angry."""
    if _VERB_FIRST.match(text) and not _ANGRY.search(text) and rng.random() < 0.6:
        return rng.choice(ASKING) + text
    if _BEGUN.match(text) or _ANGRY.search(text):
        return text
    first = _FIRST_CLAUSE.match(text)
    if first and _QUESTION.search(first[0]) and not _URGING.search(text) and rng.random() < 0.6:
        return rng.choice(OPENERS) + text
    addressed = _is_listing(text) and _region(text)
    return rng.choice(LISTING_GREETINGS if addressed else GREETINGS) + text


def _thank(text: str, rng: random.Random) -> str:
    """Add thanks to a request, and to an address thanks or a wish; never to a question or a complaint."""
    listing = _is_listing(text) and bool(_PERSONAL.search(text))
    asked = bool(_REQUEST.search(SLOT.sub("", text)))
    if not (listing or asked) or _ANGRY.search(text) or _QUESTION.search(SLOT.sub("", text)):
        return text
    if re.search(rf"谢|辛苦|拜托|快|{alternatives(HURRY)}", text) or re.search(r"[^\w}]$", text):
        return text
    hurried = listing and _region(text) and "电话" in text and not _NO_HURRY.search(text)
    return text + rng.choice((*THANKS, *PLEADING) if asked else (*THANKS, *HURRY) if hurried else THANKS)


_EDITS: Final[list[Edit]] = [
    _reorder,
    _reorder,
    _change_separator,
    _change_separator,
    _join_lines,
    _reword,
    _reword,
    _reword,
    _turn_question,
    _change_colon,
    _greet,
    _thank,
]
