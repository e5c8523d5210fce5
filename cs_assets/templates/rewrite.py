"""The deterministic rewriter: new sentences from a seed without an LLM.

It changes what a customer changes without thinking: order of the parts, labels, separators, politeness. It moves the
parts of bare listings only and swaps words only where the table below says they mean the same; a sentence keeps its
order. It knows no grammar, so a new seed's rewrites deserve a reading; the gates see slots, not style.

    rewrite("{{电话}}，{{名字.param.输出}}", count=2, rng=random.Random(7))
"""

import random
import re
from collections.abc import Callable
from typing import Final

_SLOT = re.compile(r"\{\{.*?\}\}")
# Tried in this order: the first that a text holds is the one between its parts.
_DIVIDERS: Final = ("\n", "；", "，", ", ", ",", "/", "+", " ")
_SEPARATORS: Final = ("，", " ", "\n", ",", "；", "  ", ", ")
# Between values without labels only, as 张三/13800138000.
_BARE_SEPARATORS: Final = (*_SEPARATORS, "、", "。", "/")
# No label is longer (收票人姓名); a part with more words is a piece of a sentence.
_LABEL_CHARACTERS: Final = 5
_FIRST: Final = re.compile("订单号|商品")
_LAST: Final = re.compile("配送备注|送达时间")
_NO_HURRY: Final = re.compile("配送备注|送达时间|旧")
_GREETINGS: Final = ("你好，", "亲，", "您好，", "在吗，", "老板，", "客服你好，", "hi，", "亲亲，", "嗯，")
_LISTING_GREETINGS: Final = (*_GREETINGS, "就这个地址：", "地址发你：")
_THANKS: Final = (
    "，谢谢",
    "，谢谢啦",
    "，麻烦尽快",
    "，辛苦了",
    " 谢谢",
    "，多谢",
    "，快点发哦",
    "，拜托了",
    "，就这些",
    " 收到回复一下",
)
_LABEL_END: Final = r"(?=[:：】])"
# Where a pattern matches, any of the words may stand.
_SYNONYMS: Final = (
    (
        rf"(?<!\w)(?:收货人姓名|收件人姓名|收货人|收件人|联系人|姓名|名字){_LABEL_END}",
        ("收货人", "收件人", "联系人", "姓名", "名字", "收货人姓名", "收件人姓名"),
    ),
    (
        rf"(?<!\w)(?:手机号码|联系电话|联系方式|电话号码|手机号|电话|手机){_LABEL_END}",
        ("手机号码", "手机号", "电话", "联系电话", "手机", "联系方式", "电话号码", "tel"),
    ),
    (
        r"(?<!\w)(?:详细|收货|收件)?地址(?=[:：】 ] ?\{\{地址)",
        ("详细地址", "收货地址", "收件地址", "地址"),
    ),
    (r"(?<!\w)详细地址(?=[:：】] ?\{\{(?:详细|含地区))", ("详细地址", "街道地址", "具体地址")),
    (rf"(?<!\w)(?:所在地区|所在区域|省市区|地区){_LABEL_END}", ("所在地区", "地区", "省市区", "所在区域")),
    (rf"(?<!\w)(?:邮政编码|邮编){_LABEL_END}", ("邮编", "邮政编码")),
    (r"收[件货]人", ("收件人", "收货人")),
    (r"(?:联系电话|手机号|电话|手机)(?=(?:是|改成)?\{\{电话|就写|跟)", ("电话", "手机", "手机号", "联系电话")),
    (r"(?:收货|收件)?地址(?=\{\{地址)", ("地址", "收货地址", "收件地址")),
    (r"^(?:亲亲|亲|老板|客服你好|你好|您好)(?=，)", ("亲亲", "亲", "老板", "客服你好", "你好", "您好")),
    (r"^在吗(?=\n)", ("在吗", "在不在", "你好", "亲")),
    (r"(?:谢谢啦|谢谢啊|谢谢|辛苦您了)(?=[~。]?$)", ("谢谢", "谢谢啦", "谢谢了", "多谢", "辛苦了")),
    (r"(?:麻烦|帮我|请)(?=[改转]?寄到|[发送]到)", ("麻烦", "麻烦帮我", "请", "帮我")),
    (r"(?<![改转])[寄发送]到(?=\{\{)", ("寄到", "发到", "送到")),
    (r"[寄发]给(?=\{\{)", ("寄给", "发给")),
    (r"[寄发](?=这个地址)", ("寄", "发")),
    (r"改成(?=：?\{\{)", ("改成", "改为", "换成")),
    (r"邮编(?=\{\{邮编)", ("邮编", "邮政编码")),
    (r"刚才", ("刚才", "刚刚")),
    (r"作废", ("作废", "不用了")),
    (r"都几天了怎么", ("都几天了怎么", "好几天了怎么", "都几天了为什么")),
    (r"我再发一遍", ("我再发一遍", "再给你发一遍", "再发一次")),
    (r"不好意思", ("不好意思", "抱歉", "对不起")),
    (r"给你发下地址", ("给你发下地址", "发下地址", "地址发你")),
    (r"收到回我一下", ("收到回我一下", "收到回复一下", "收到说一声")),
)


def rewrite(text: str, count: int, rng: random.Random) -> list[str]:
    """Return up to `count` distinct rewrites of `text`, never the text itself.

    Short seeds have few rewrites; fewer come back then.
    """
    found: dict[str, None] = {}
    for _ in range(count * 25):
        candidate = text
        # In the order of the list: a greeting that is moved with the first part would end up in the middle.
        for edit in sorted(rng.sample(range(len(_EDITS)), rng.choice((1, 1, 2, 2, 3)))):
            candidate = _EDITS[edit](candidate, rng)
        if candidate != text:
            found.setdefault(candidate)
        if len(found) == count:
            break
    return list(found)


def _words(text: str) -> str:
    """Return the letters outside the slots."""
    return re.sub(r"[\W_]", "", _SLOT.sub("", text))


def _parts(text: str) -> tuple[list[str], str] | None:
    """Split a listing at its separator; None where the text is a sentence rather than a listing."""
    outside = _SLOT.sub("", text)
    for separator in _DIVIDERS:
        if separator in outside:
            masked = _SLOT.sub(lambda match: match.group().replace(" ", "\ue003"), text)
            parts = [part.replace("\ue003", " ") for part in masked.split(separator)]
            listing = all(_SLOT.search(part) and len(_words(part)) <= _LABEL_CHARACTERS for part in parts)
            return (parts, separator) if listing else None
    return None


def _region(part: str) -> bool:
    return "地址" in "".join(_SLOT.findall(part))


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
    if any(other in _SLOT.sub("", part) for part in parts for other in _BARE_SEPARATORS):
        return text  # it has separators of another kind inside its parts, and both would read oddly
    bare = not _words(text) and sum(map(_region, parts)) < 2
    return rng.choice([s for s in (_BARE_SEPARATORS if bare else _SEPARATORS) if s != separator]).join(parts)


def _join_lines(text: str, rng: random.Random) -> str:
    if re.search(r"[:：] *\n", text):
        return text
    return re.sub("\n(?=（)", "", text).replace("\n", rng.choice((" ", "，")))


def _reword(text: str, rng: random.Random) -> str:
    """Put other words of the same meaning, in some places or all."""
    present = [(pattern, words) for pattern, words in _SYNONYMS if re.search(pattern, text)]
    for pattern, words in rng.sample(present, rng.randint(0, len(present))):
        text = re.sub(pattern, rng.choice(words), text)
    return text


def _change_colon(text: str, rng: random.Random) -> str:
    """Change the colons; one at the end of a line gets no space, which nobody would see."""
    if "：" not in text:
        return re.sub(": ?", "：", text)
    colon = rng.choice((":", ": ", " "))
    return re.sub(r"：(?=\S)", colon, text).replace("：", colon.strip() or "：")


def _greet(text: str, rng: random.Random) -> str:
    if re.match(r"[^{]{2}", text):
        return text
    listing = len(_words(text)) <= _LABEL_CHARACTERS
    return rng.choice(_LISTING_GREETINGS if listing else _GREETINGS) + text


def _thank(text: str, rng: random.Random) -> str:
    """Add thanks or a wish: no second thanks, no hurry beside a date or a correction."""
    if not text.endswith("}"):
        return text
    unwanted = ("快" if _NO_HURRY.search(text) else "") + ("谢辛" if "谢" in _words(text) else "")
    return text + rng.choice([thanks for thanks in _THANKS if not set(thanks) & set(unwanted)])


_EDITS: Final[list[Callable[[str, random.Random], str]]] = [
    _reorder,
    _reorder,
    _change_separator,
    _change_separator,
    _join_lines,
    _reword,
    _reword,
    _reword,
    _change_colon,
    _greet,
    _thank,
]
