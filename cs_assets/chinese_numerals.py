"""Chinese numerals, written as they are spoken and read back (两百五 is 250).

Here belongs the numeral alone; what is counted or paid is in `cs_assets/atoms/numbers.py`, dates and hours in
`spoken_times.py`.

    chinese_numeral(20105)           # 两万零一百零五
    read_chinese_numeral("两百五")   # 250
"""

import re
from typing import Final

LARGEST: Final = 10**8
_DIGITS: Final = "零一二三四五六七八九"
_UNITS: Final = {"千": 1000, "百": 100, "十": 10}
_SPELLINGS: Final = str.maketrans({"〇": "零", "两": "二", "廿": "二十", "卅": "三十"})
_ELIDED: Final = re.compile(r"([百千万])([一二三四五六七八九])$")
_NEXT_UNIT: Final = {"百": "十", "千": "百", "万": "千"}
_BARE_TEN: Final = re.compile(r"(?<![一二三四五六七八九])十")


def chinese_numeral(n: int) -> str:
    """Write `n` as it is spoken before a measure word: 2 两, 12 十二, 200 两百, 1005 一千零五.

    Raises:
        ValueError: `n` lies outside 0 to 10^8.
    """
    if not 0 <= n <= LARGEST:
        raise ValueError(f"{n} lies outside 0 to {LARGEST}, the numbers that are spoken here")
    if n in (0, 2, LARGEST):
        return {0: "零", 2: "两", LARGEST: "一亿"}[n]
    high, low = divmod(n, 10_000)
    gap = "零" if high and 0 < low < 1000 else ""
    text = (f"{_section(high)}万" if high else "") + gap + _section(low)
    return re.sub("^二(?=[百千万])", "两", re.sub("^一十", "十", text))


def _section(n: int) -> str:
    """Write 0 to 9999, 0 as nothing."""
    text = ""
    for unit, power in (*_UNITS.items(), ("", 1)):
        digit = n // power % 10
        if digit:
            text += _DIGITS[digit] + unit
        elif text and text[-1] != "零":
            text += "零"
    return text.rstrip("零")


def ordinal_numeral(n: int) -> str:
    """Write `n` as in dates and ordinals, where 2 is 二: 二号, 第二个."""
    return "二" if n == 2 else chinese_numeral(n)


def read_chinese_numeral(text: str) -> int:
    """Return the number, also in short (两百五 is 250) and in Arabic digits.

    Raises:
        ValueError: it is no numeral, or not well formed, as 一百零五十 or 三百多.
    """
    if text.isascii() and text.isdecimal():
        return int(text)
    full = _ELIDED.sub(lambda match: match[0] + _NEXT_UNIT[match[1]], _plain(text))
    number = _value(full)
    # What is not written as the number would be is no numeral: 一百零五十, 十百, 五六.
    if (
        number is None
        or number > LARGEST
        or _BARE_TEN.sub("一十", chinese_numeral(number).translate(_SPELLINGS)) != full
    ):
        raise ValueError(f"{text!r} is no Chinese numeral from 0 to {LARGEST}, such as 十五, 两百五 or 一千零五")
    return number


def _plain(text: str) -> str:
    """Write a numeral in the one spelling that spells all out: 二 for 两, 一十 for 十."""
    return _BARE_TEN.sub("一十", text.translate(_SPELLINGS))


def _value(text: str) -> int | None:
    total = section = digit = 0
    for character in text:
        if character in _DIGITS:
            digit = _DIGITS.index(character)
        elif character in _UNITS:
            section, digit = section + digit * _UNITS[character], 0
        elif character in "万亿":
            total, section, digit = (total + section + digit) * (10_000 if character == "万" else LARGEST), 0, 0
        else:
            return None
    return total + section + digit if text else None
