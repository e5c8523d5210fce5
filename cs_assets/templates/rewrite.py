"""The deterministic rewriter: new sentences from a seed without an LLM.

It changes what a customer changes without thinking: order of the parts, labels, separators, politeness. It only makes
edits that leave grammatical Chinese; whatever it makes still passes the gates.

    rewrite("{{电话}}，{{名字.param.输出}}", count=2, rng=random.Random(7))
"""

import random
import re
from collections.abc import Callable
from typing import Final

_SLOT = re.compile(r"\{\{.*?\}\}")
_SEPARATORS: Final = ("，", " ", "\n", ",", "；", "、", "。", "/", "  ", ", ")
_GREETINGS: Final = (
    "你好，",
    "亲，",
    "您好，",
    "在吗，",
    "麻烦了，",
    "老板，",
    "客服你好，",
    "hi，",
    "亲亲，",
    "嗯，",
    "就这个地址：",
    "地址发你：",
)
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
# Labels that mean the same in front of a value.
_LABELS: Final = (
    ("收货人", "收件人", "联系人", "姓名", "名字", "收货人姓名", "收件人姓名"),
    ("手机号码", "手机号", "电话", "联系电话", "手机", "联系方式", "电话号码", "tel"),
    ("详细地址", "收货地址", "地址", "街道地址", "收件地址"),
    ("所在地区", "地区", "省市区", "所在区域"),
    ("邮编", "邮政编码"),
)


def rewrite(text: str, count: int, rng: random.Random) -> list[str]:
    """Return up to `count` distinct rewrites of `text`, never the text itself.

    Short seeds have few rewrites; fewer come back then.
    """
    found: dict[str, None] = {}
    for _ in range(count * 8):
        candidate = text
        for edit in rng.sample(_EDITS, rng.choice((1, 1, 2, 2, 3))):
            candidate = edit(candidate, rng)
        if candidate != text:
            found.setdefault(candidate)
        if len(found) == count:
            break
    return list(found)


def _parts(text: str) -> tuple[list[str], str] | None:
    """Split a plain listing at its separator; None where the text is a sentence rather than a listing."""
    for separator in ("\n", "，", " ", ",", "；", "/"):
        parts = (
            text.split(separator) if separator not in "".join(_SLOT.findall(text)) else _split_outside(text, separator)
        )
        if len(parts) >= 2 and all(_SLOT.search(part) for part in parts):
            return parts, separator
    return None


def _split_outside(text: str, separator: str) -> list[str]:
    """Split at separators that stand outside the braces."""
    masked = _SLOT.sub(lambda match: match.group().replace(separator, "\ue003"), text)
    return [part.replace("\ue003", separator) for part in masked.split(separator)]


def _region(part: str) -> bool:
    return "地址" in "".join(_SLOT.findall(part))


def _reorder(text: str, rng: random.Random) -> str:
    """Move the parts around; those of the address stay together and in order."""
    split = _parts(text)
    if split is None:
        return text
    parts, separator = split
    address = [part for part in parts if _region(part)]
    units = [[part] for part in parts if not _region(part)] + ([address] if address else [])
    rng.shuffle(units)
    return separator.join(part for unit in units for part in unit)


def _change_separator(text: str, rng: random.Random) -> str:
    split = _parts(text)
    if split is None:
        return text
    parts, separator = split
    if any(other in _SLOT.sub("", part) for part in parts for other in _SEPARATORS):
        return text  # it has separators of another kind inside its parts, and both would read oddly
    return rng.choice([s for s in _SEPARATORS if s != separator]).join(parts)


def _greet(text: str, rng: random.Random) -> str:
    return text if re.match(r"[^{]{2}", text) else rng.choice(_GREETINGS) + text


def _thank(text: str, rng: random.Random) -> str:
    return text + rng.choice(_THANKS) if text.endswith("}") else text


def _relabel(text: str, rng: random.Random) -> str:
    for labels in rng.sample(_LABELS, len(_LABELS)):
        present = [
            label
            for label in sorted(labels, key=len, reverse=True)
            if re.search(f"(?<![^\\n ，,{{}}]){label}[:：]", text)
        ]
        if present:
            other = rng.choice([label for label in labels if label != present[0]])
            return re.sub(f"(?<![^\\n ，,{{}}]){present[0]}(?=[:：])", other, text, count=1)
    return text


def _change_colon(text: str, rng: random.Random) -> str:
    if "：" in text:
        return text.replace("：", rng.choice((":", ": ", " ")))
    return text.replace(":", "：") if ":" in text else text


def _join_lines(text: str, rng: random.Random) -> str:
    return text.replace("\n", rng.choice((" ", "，"))) if "\n" in text and "：\n" not in text else text


_EDITS: Final[list[Callable[[str, random.Random], str]]] = [
    _reorder,
    _reorder,
    _change_separator,
    _change_separator,
    _greet,
    _thank,
    _relabel,
    _change_colon,
    _join_lines,
]
