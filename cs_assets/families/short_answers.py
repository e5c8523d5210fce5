"""What a short answer says, whatever its wording: numbers with units, dates, times, yes or no, and names.

Extraction, then comparison. Here belongs reading such things in Chinese as shops and customers write it, and telling
whether two texts agree in them. Which answers are short, and which part of one is asked for, is the families' business;
that an exact wording was wanted, their `exact`.

    same_value("2026/6/1 晚上9点半", "2026-06-01 21:30")          # True
    tells("我这边不能给您退款，抱歉", "不能直接退款")              # True
    tells("人工客服每天9:00-22:00在", "每天早上9点到晚上10点")     # True
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, NamedTuple

from cs_assets.chinese_numerals import read_chinese_numeral
from cs_assets.families.plain_text import plain


class Quantity(NamedTuple):
    """A number with its unit; "" where it has none. 339元, ¥339.00 and 三百三十九块 are one."""

    number: Decimal
    unit: str


class Day(NamedTuple):
    """A date as far as it is told."""

    year: int | None
    month: int
    day: int | None


class Clock(NamedTuple):
    """A time of the day, in minutes since midnight."""

    minutes: int


Told = Quantity | Day | Clock


class Extract(NamedTuple):
    """What a text tells: what can be counted, and the words besides; each in the order of the text."""

    values: list[Told]
    words: list[str]


def same_value(said: str, wanted: str) -> bool:
    """Tell whether two values are the same: numbers and units, dates as far as `wanted` tells them, times, words.

    Width, case, spaces and punctuation do not count; order does: 18:00-9:00 is not 9:00-18:00. A number without its
    unit is another value.
    """
    one, other = extract(said), extract(wanted)
    return (
        len(one.values) == len(other.values)
        and all(map(_agree, one.values, other.values))
        and "".join(one.words) == "".join(other.words)
    )


def tells(text: str, wanted: str) -> bool:
    """Tell whether `text` says what the short answer `wanted` says, in whatever words stand around it.

    All its numbers, dates and times must be there in their order, and its words in any: in clauses that deny, if it
    denies, and in clauses that do not, if it does not. A bare yes or no is compared with the first clause that says
    either.
    """
    answer = yes_or_no(wanted)
    if answer is not None:
        return _first_answer(text) is answer
    # An iterator goes on behind the value that was found last: what is needed next must follow it.
    there = iter(extract(text).values)
    values, words = extract(_DENIAL.sub(" ", wanted))
    denies = bool(_DENIAL.search(wanted))
    clauses = [_squeezed(clause) for clause in _CLAUSE.findall(plain(text)) if bool(_DENIAL.search(clause)) == denies]
    # Beside others one character says nothing, such as 到 in 9点到22点.
    needed_words = [word for word in words if len(word) > 1] or ([] if values else words)
    return (
        bool(values or needed_words)
        and all(any(_agree(value, needed) for value in there) for needed in values)
        and all(any(word in clause for clause in clauses) for word in needed_words)
    )


def yes_or_no(answer: str) -> bool | None:
    """Return True for an answer that is a bare yes, False for a bare no, None for any other."""
    said = _squeezed(answer)
    return True if _YES.fullmatch(said) else False if _NO.fullmatch(said) else None


def extract(text: str) -> Extract:
    """Return the values that a text tells, and its other words in small letters."""
    values: dict[int, Told] = {}

    def taken(read: Callable[[re.Match[str]], Told | None]) -> Callable[[re.Match[str]], str]:
        def take(match: re.Match[str]) -> str:
            value = read(match)
            if value is None:
                return match[0]
            values[match.start()] = value
            # As long as what was taken: what follows keeps its place.
            return " " * len(match[0])

        return take

    rest = plain(text).lower()
    for pattern, read in _READERS:
        rest = pattern.sub(taken(read), rest)
    return Extract([value for _, value in sorted(values.items())], _WORD.findall(rest))


# --- Reading. What a pattern finds and its reader cannot take (25点, 13月) stays a word.

_SMALL: Final = r"(?:\d{1,2}|[零〇一二两三四五六七八九十]{1,3})"
_DIGITS: Final = r"(?:\d{1,3}(?:,\d{3})+|\d{1,7})(?:\.\d+)?"
_SPOKEN: Final = "[零〇一二两三四五六七八九十百千万]+"
# Spellings of one unit; the others have one each.
_UNITS: Final = {
    "块钱": "元",
    "块": "元",
    "圆": "元",
    "rmb": "元",
    "个小时": "小时",
    "个工作日": "工作日",
    "个月": "月",
}
_COUNTED: Final = "工作日|小时|分钟|[元角天周年件个条根张片支盒台只瓶双套箱包份次位星折%]"
_MEASURED: Final = "[gtm]b|mah|kg|cm|mm|[gwvl](?![a-z])"
_UNIT: Final = "|".join((*_UNITS, _COUNTED, _MEASURED))
_ISO_DAY: Final = re.compile(r"(?<!\d)((?:19|20)\d\d)([-/.])(\d{1,2})\2(\d{1,2})(?!\d)")
_DAY: Final = re.compile(rf"(?:((?:19|20)\d\d)年)?(?<!\d)({_SMALL})月(?:({_SMALL})(?![\d:点])[日号]?)?")
_CLOCK: Final = re.compile(
    r"(凌晨|早上|早晨|上午|中午|下午|傍晚|晚上|[早晚])?"
    rf"(?<!\d)({_SMALL})(?:点(半|整|一刻|三刻|{_SMALL}分?)?|:(\d\d)(?::\d\d)?)(?!\d)"
)
_MONEY: Final = re.compile(rf"¥\s*({_DIGITS})(?!\d)")
# Eight digits and more, or digits at a Latin letter or a star, are a name: of an order, a parcel, a model, a person.
_COUNT: Final = re.compile(rf"(?<![a-z\d.*])({_DIGITS}(?![.,]?\d)|{_SPOKEN}(?={_UNIT}))\s*({_UNIT})?(?![a-z*])")
_AFTERNOON: Final = ("下午", "傍晚", "晚上", "晚")
_MINUTES: Final = {"": 0, "整": 0, "半": 30, "一刻": 15, "三刻": 45}


def _number(text: str) -> int:
    return read_chinese_numeral(text.lstrip("0") or "0")


def _read_iso_day(match: re.Match[str]) -> Day | None:
    return _day(int(match[1]), int(match[3]), int(match[4]))


def _read_day(match: re.Match[str]) -> Day | None:
    try:
        return _day(int(match[1]) if match[1] else None, _number(match[2]), _number(match[3]) if match[3] else None)
    except ValueError:
        return None


def _day(year: int | None, month: int, day: int | None) -> Day | None:
    return Day(year, month, day) if 1 <= month <= 12 and (day is None or 1 <= day <= 31) else None


def _read_clock(match: re.Match[str]) -> Clock | None:
    part, said, spoken, digits = match.groups(default="")
    try:
        hour = _number(said)
        minute = int(digits) if digits else _MINUTES[spoken] if spoken in _MINUTES else _number(spoken.rstrip("分"))
    except ValueError:
        return None
    hour += 12 if part in _AFTERNOON and hour < 12 else 0
    return Clock(60 * hour + minute) if hour <= 24 and minute < 60 else None


def _read_money(match: re.Match[str]) -> Quantity:
    return Quantity(Decimal(match[1].replace(",", "")), "元")


def _read_count(match: re.Match[str]) -> Quantity | None:
    digits, unit = match[1].replace(",", ""), match[2] or ""
    try:
        number = Decimal(digits) if digits[0].isascii() else Decimal(read_chinese_numeral(digits))
    except ValueError:
        return None
    return Quantity(number, _UNITS.get(unit, unit))


# In this order: what is longer and surer first.
_READERS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Told | None]], ...]] = (
    (_ISO_DAY, _read_iso_day),
    (_DAY, _read_day),
    (_CLOCK, _read_clock),
    (_MONEY, _read_money),
    (_COUNT, _read_count),
)


# --- Comparing.

_WORD: Final = re.compile(r"\w+")
_CLAUSE: Final = re.compile(r"(?:[^，。！？；,!?;\n]|(?<=\d),(?=\d))+")
_DENIAL: Final = re.compile(
    "(?:不能|不可以|不会|不支持|无法|没办法|没法|没有|没(?!问题)|[不无非别])(?:直接|马上|随时)?"
)
_YES: Final = re.compile(r"(?:是|对|可以|能|行|好|有|支持|没问题)(?:的|呀|啊|哦)?|yes")
_NO: Final = re.compile(r"(?:不是|不对|不可以|不能|不行|不支持|没有|[没否无不])(?:的|呀|啊|哦)?|no")
_AFFIRMED: Final = re.compile(r"没问题|可以|[能行是对有]|支持|\byes\b", re.IGNORECASE)
_REFUSED: Final = re.compile(r"不|没(?!问题)|无法|\bno\b|\bnot\b", re.IGNORECASE)


def _agree(said: Told, wanted: Told) -> bool:
    """Tell whether a value is the wanted one; a date may tell more than was wanted."""
    if isinstance(said, Day) and isinstance(wanted, Day):
        return all(needed is None or there == needed for there, needed in zip(said, wanted, strict=True))
    return type(said) is type(wanted) and said == wanted


def _first_answer(text: str) -> bool | None:
    for clause in _CLAUSE.findall(plain(text)):
        if _REFUSED.search(clause):
            return False
        if _AFFIRMED.search(clause):
            return True
    return None


def _squeezed(text: str) -> str:
    """Return the letters and digits alone, half-width and small."""
    return "".join(_WORD.findall(plain(text))).lower()
