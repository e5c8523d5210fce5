"""Numbers as customers say them: money, and quantities with their measure words (量词).

    sample_money(rng, count, low, high) -> DataFrame[said, fen]      # low and high in yuan
    read_money(said) -> int                        # fen; ValueError if it is no sum of money
    sample_quantities(rng, categories) -> DataFrame[said, quantity]  # 两条, 3块, by category of product
    read_quantity(said, category) -> int           # ValueError if the measure word does not go with the category
    miscounted(table: DataFrame[said, fen]) -> DataFrame[row, reason]

Example: read_money("九十九块九") is 9990.

Not here: the numerals themselves (`cs_assets/chinese_numerals.py`), dates and hours (`times.py`), phone and order
numbers.
"""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.columns import compose
from cs_assets.atoms.vocabularies import Vocabularies
from cs_assets.catalogue import measure_words
from cs_assets.chinese_numerals import LARGEST, chinese_numeral, ordinal_numeral, read_chinese_numeral

# How often a customer buys so many: an assumption; most buy one.
_QUANTITIES: Final = {1: 0.55, 2: 0.24, 3: 0.08, 4: 0.05, 5: 0.04, 6: 0.01, 8: 0.01, 10: 0.02}


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
    tenth_said = tenth.replace_strict({n: ordinal_numeral(n) for n in range(10)}, return_dtype=pl.String)
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
        ValueError: a category is not in `measure_words()`.
    """
    count = len(categories)
    drawn = pl.DataFrame(
        {
            "quantity": rng.choice(list(_QUANTITIES), count, p=list(_QUANTITIES.values())),
            "word": Vocabularies(measure_words()).draw(rng, categories),
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
    words = measure_words()[category]
    for word in words:
        if said.endswith(word):
            return read_chinese_numeral(said.removesuffix(word))
    raise ValueError(f"{said!r}: {category} is counted in {', '.join(dict.fromkeys(words))}")
