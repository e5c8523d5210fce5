"""Numbers as customers say them: Chinese numerals, money, quantities with their measure words (量词).

    chinese_numeral(n) -> str                      # 0 to 10^8, as spoken before a measure word: 两, 十二, 两百五十
    ordinal_numeral(n) -> str                      # the same, but 二 for 2: 二号, 二月
    read_chinese_numeral(text) -> int              # also 两百五, 一千零五, 三万二, 128; ValueError if it is none
    sample_money(rng, count, low, high) -> DataFrame[said, fen]      # low and high in yuan
    read_money(said) -> int                        # fen; ValueError if it is no sum of money
    sample_quantities(rng, categories) -> DataFrame[said, quantity]  # 两条, 3块, by category of product
    read_quantity(said, category) -> int           # ValueError if the measure word does not go with the category
    miscounted(table: DataFrame[said, fen]) -> DataFrame[row, reason]

Example: chinese_numeral(20105) is 两万零一百零五; read_money("九十九块九") is 9990.

Not here: dates and hours (`times.py`), phone and order numbers.
"""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.columns import compose
from cs_assets.atoms.vocabularies import Vocabularies

LARGEST: Final = 10**8
_DIGITS: Final = "零一二三四五六七八九"
_UNITS: Final = {"千": 1000, "百": 100, "十": 10}
_SPELLINGS: Final = str.maketrans({"〇": "零", "两": "二", "廿": "二十", "卅": "三十"})
_ELIDED: Final = re.compile(r"([百千万])([一二三四五六七八九])$")
_NEXT_UNIT: Final = {"百": "十", "千": "百", "万": "千"}
_BARE_TEN: Final = re.compile(r"(?<![一二三四五六七八九])十")
# Measure words by category of product; the usual one stands more than once.
MEASURE_WORDS: Final = {
    "内存条": ("条", "条", "根", "个"),
    "固态硬盘": ("块", "块", "个"),
    "机械硬盘": ("块", "块", "个"),
    "充电器": ("个",),
    "数据线": ("根", "根", "条"),
    "存储卡": ("张", "张", "个"),
    "墨盒": ("个", "个", "支"),
    "硒鼓": ("个", "个", "支"),
    "电池": ("块", "块", "个"),
    "手机壳": ("个",),
    "钢化膜": ("张", "张", "片"),
    "平板壳": ("个",),
    "触控笔": ("支", "支", "个"),
}
# How often a customer buys so many: an assumption; most buy one.
_QUANTITIES: Final = {1: 0.55, 2: 0.24, 3: 0.08, 4: 0.05, 5: 0.04, 6: 0.01, 8: 0.01, 10: 0.02}


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


# --- Money

_DECIMAL_MONEY: Final = re.compile(r"[¥￥]?(\d+)(?:\.(\d{1,2}))?(?:元|块钱|块)?")
_SPOKEN_MONEY: Final = re.compile(
    r"(\d+|[零〇一二两三四五六七八九十百千万亿]+)(?:[元块]([\d一二两三四五六七八九])[毛角]?|元|块钱|块)?"
)
# Cents of shop prices and how often they occur: an assumption.
_CENTS: Final = {0: 0.70, 90: 0.12, 99: 0.05, 50: 0.06, 80: 0.05, 60: 0.02}


def sample_money(rng: np.random.Generator, count: int, low: int, high: int) -> pl.DataFrame:
    """Draw sums of money as customers say them: said (128块, 一百二十八, 99.9, ¥128.00, 三百五), fen (int64).

    Args:
        rng: the generator to draw from.
        count: how many.
        low, high: bounds in yuan, both included.

    Raises:
        ValueError: the bounds are not 1 <= low <= high <= 10^8.
    """
    if not 1 <= low <= high <= LARGEST:
        raise ValueError(f"bounds of {low} and {high} yuan; they must be 1 <= low <= high <= {LARGEST}")
    yuan = rng.integers(low, high, count, endpoint=True)
    cents = np.where(yuan < high, rng.choice(list(_CENTS), count, p=list(_CENTS.values())), 0)
    distinct, places = np.unique(yuan, return_inverse=True)
    chinese = pl.Series([chinese_numeral(int(n)) for n in distinct], dtype=pl.String)[places]
    drawn = pl.DataFrame({"yuan": yuan, "cents": cents, "chinese": chinese})
    said = compose(drawn, _money_kinds(rng, cents), list(_money_spellings()))
    return drawn.select(said=said, fen=pl.col("yuan") * 100 + pl.col("cents"))


# How often a sum is spelled in each way, by what is behind the point; in the order of `_money_spellings`.
_SPELLED_WHOLE: Final = (0.26, 0.30, 0.14, 0.08, 0.10, 0.06, 0.03, 0.03)
_SPELLED_TENTHS: Final = (0.40, 0.15, 0.08, 0.25, 0.12)
_SPELLED_HUNDREDTHS: Final = (0.60, 0.25, 0.15)


def _money_kinds(rng: np.random.Generator, cents: np.ndarray) -> np.ndarray:
    """Draw the spelling of each sum: a position in `_money_spellings`."""
    count = len(cents)
    whole = rng.choice(len(_SPELLED_WHOLE), count, p=_SPELLED_WHOLE)
    tenths = rng.choice(len(_SPELLED_TENTHS), count, p=_SPELLED_TENTHS) + len(_SPELLED_WHOLE)
    hundredths = rng.choice(len(_SPELLED_HUNDREDTHS), count, p=_SPELLED_HUNDREDTHS)
    hundredths += len(_SPELLED_WHOLE) + len(_SPELLED_TENTHS)
    return np.select([cents == 0, cents % 10 == 0], [whole, tenths], hundredths)


def _money_spellings() -> Iterator[pl.Expr]:
    yuan, chinese, cents = pl.col("yuan"), pl.col("chinese"), pl.col("cents")
    yield pl.format("{}元", yuan)
    yield pl.format("{}块", yuan)
    yield yuan.cast(pl.String)
    yield pl.format("{}块钱", yuan)
    yield pl.format("{}块", chinese)
    # 一百五 for 一百五十; a lone 两 or 八 names no sum, 八块 does.
    elided = chinese.str.replace("(百.)十$|(千.)百$|(万.)千$", "$1$2$3")
    yield pl.when(yuan < 10).then(pl.format("{}块", chinese)).otherwise(elided)
    yield pl.format("¥{}.00", yuan)
    yield pl.format("{}.00元", yuan)
    tenth, hundredths = cents // 10, cents.cast(pl.String).str.zfill(2)
    yield pl.format("{}.{}", yuan, tenth)
    yield pl.format("{}.{}元", yuan, tenth)
    yield pl.format("¥{}.{}", yuan, hundredths)
    yield pl.format("{}块{}", yuan, tenth)
    tenth_said = tenth.replace_strict(dict(enumerate(_DIGITS)), return_dtype=pl.String)
    yield pl.format("{}块{}", chinese, tenth_said)
    yield pl.format("{}.{}", yuan, hundredths)
    yield pl.format("{}.{}元", yuan, hundredths)
    yield pl.format("¥{}.{}", yuan, hundredths)


def read_money(said: str) -> int:
    """Return the sum in fen.

    Raises:
        ValueError: it is no single sum, as 三百多 or 几十块.
    """
    if decimal := _DECIMAL_MONEY.fullmatch(said):
        return int(decimal[1]) * 100 + int((decimal[2] or "").ljust(2, "0"))
    if spoken := _SPOKEN_MONEY.fullmatch(said):
        tenth = read_chinese_numeral(spoken[2]) if spoken[2] else 0
        return read_chinese_numeral(spoken[1]) * 100 + tenth * 10
    raise ValueError(f"{said!r} is no sum of money, such as 128元, 99.9, 九十九块九 or 三百五")


def miscounted(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose `said` is not their `fen`: row, reason; empty when all is well."""
    distinct = table.select("said").unique().with_columns(read=pl.col("said").map_elements(_fen_or_none, pl.Int64))
    joined = table.with_row_index("row").join(distinct, on="said", how="left")
    wrong = joined.filter(pl.col("read").ne_missing(pl.col("fen"))).sort("row")
    return wrong.select("row", reason=pl.format("{} is {} fen, not {}", "said", pl.col("read").fill_null("no"), "fen"))


def _fen_or_none(said: str) -> int | None:
    try:
        return read_money(said)
    except ValueError:
        return None


# --- Quantities


def sample_quantities(rng: np.random.Generator, categories: pl.Series) -> pl.DataFrame:
    """Draw how many of a product of each category: said (两条, 3块), quantity (int64, 1 to 10).

    Raises:
        ValueError: a category is not in `MEASURE_WORDS`.
    """
    count = len(categories)
    drawn = pl.DataFrame(
        {
            "quantity": rng.choice(list(_QUANTITIES), count, p=list(_QUANTITIES.values())),
            "word": Vocabularies(MEASURE_WORDS).draw(rng, categories),
            "typed": rng.random(count) < 0.35,
        }
    )
    numerals = {n: chinese_numeral(n) for n in _QUANTITIES}
    numeral = pl.col("quantity").replace_strict(numerals, return_dtype=pl.String)
    number = pl.when("typed").then(pl.col("quantity").cast(pl.String)).otherwise(numeral)
    return drawn.select(said=number + pl.col("word"), quantity="quantity")


def read_quantity(said: str, category: str) -> int:
    """Return how many of `category` are meant.

    Raises:
        ValueError: no such quantity, or the measure word is not one of the category's.
    """
    for word in MEASURE_WORDS[category]:
        if said.endswith(word):
            return read_chinese_numeral(said.removesuffix(word))
    raise ValueError(f"{said!r}: {category} is counted in {', '.join(dict.fromkeys(MEASURE_WORDS[category]))}")
