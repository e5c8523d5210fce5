"""A session as text: whose turn each line is, and which values of a field a turn names.

Here belongs reading what stands in a transcript, for the rules and for making wrong answers. It looks words up in the
shop's tables and knows neither units nor states.

    talk = read_transcript("客户：今晚能送到杭州吗\\n客服：能的")
    mentioned("地点", talk.customer[0])     # ["杭州"]
"""

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from cs_assets import catalogue
from cs_assets.families.base import CUSTOMER, SHOP

_SPEAKER: Final = re.compile(rf"^({CUSTOMER}|{SHOP})：", re.MULTILINE)
_NUMERALS: Final = {
    "两": 2,
    **{text: number for number, text in enumerate("一二三四五六七八九十", 1)},
    "二十": 20,
    "五十": 50,
}
_NUMBER: Final = rf"\d+|{'|'.join(sorted(_NUMERALS, key=len, reverse=True))}"


@dataclass(frozen=True)
class Transcript:
    """What each side said, turn by turn."""

    customer: tuple[str, ...]
    shop: tuple[str, ...]


def read_transcript(message: str) -> Transcript:
    """Divide a message into turns; a line that names no speaker goes on with the turn before it."""
    _, *parts = _SPEAKER.split(message)
    turns = list(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
    return Transcript(
        tuple(text for speaker, text in turns if speaker == CUSTOMER),
        tuple(text for speaker, text in turns if speaker == SHOP),
    )


def mentioned(name: str, text: str) -> list[str]:
    """Return the words in a text that may be a value of the field, in their order, the longest reading of each."""
    return [match.group() for match in _pattern(name).finditer(text)]


def is_value(name: str, text: str) -> bool:
    """Tell whether a text has the shape of a value of the field: a known device, a time that is understood ..."""
    if name == "地点":
        return bool(catalogue.city_of(text))
    return bool(_pattern(name).fullmatch(text))


def amount(quantity: str) -> int:
    """Return how many a customer wants who says 2条 or 两条; 1 where nothing is said."""
    number = re.match(_NUMBER, quantity)
    if not number:
        return 1
    return int(number[0]) if number[0].isdigit() else _NUMERALS[number[0]]


@functools.lru_cache
def _pattern(name: str) -> re.Pattern[str]:
    words: dict[str, Callable[[], Iterable[str]]] = {
        "设备": catalogue.device_names,
        "配件": catalogue.accessory_names,
        "时间": catalogue.time_names,
        "地点": catalogue.cities,
        "商品": catalogue.products,
    }
    if name in words:
        # A name of letters and digits ends where they end: R5 is not in R50.
        known = "|".join(re.escape(word) for word in sorted(words[name](), key=len, reverse=True))
        return re.compile(rf"(?<![A-Za-z0-9])(?:{known})(?![A-Za-z0-9])" if name == "设备" else f"(?:{known})")
    if name == "规格":
        return re.compile(r"\d+(?:\.\d+)?(?:[GgTt][Bb]?|[Ww瓦]|米)(?![A-Za-z0-9])")
    measures = sorted({measure for row in catalogue.accessories().values() for measure in row["measure"].split("|")})
    return re.compile(rf"(?:{_NUMBER})(?:{'|'.join(measures)})")
