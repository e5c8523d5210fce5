"""Chinese numerals: what is written can be read back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.chinese_numerals import LARGEST, chinese_numeral, ordinal_numeral, read_chinese_numeral


@given(st.one_of(st.integers(0, 12_000), st.integers(0, LARGEST)))
def test_a_numeral_is_read_as_the_number_that_was_written(n: int) -> None:
    assert read_chinese_numeral(chinese_numeral(n)) == n
    assert read_chinese_numeral(ordinal_numeral(n)) == n
    assert read_chinese_numeral(str(n)) == n


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (0, "零"),
        (2, "两"),
        (10, "十"),
        (12, "十二"),
        (22, "二十二"),
        (110, "一百一十"),
        (202, "两百零二"),
        (1010, "一千零一十"),
        (1200, "一千二百"),
        (10_500, "一万零五百"),
        (20_105, "两万零一百零五"),
        (105_000, "十万五千"),
        (20_000_000, "两千万"),
        (LARGEST, "一亿"),
    ],
)
def test_numerals_as_spoken(n: int, said: str) -> None:
    assert chinese_numeral(n) == said


@pytest.mark.parametrize(
    ("said", "n"),
    [
        ("两百五", 250),
        ("二百五", 250),
        ("一千二", 1200),
        ("三万二", 32_000),
        ("一百十二", 112),
        ("一千〇五", 1005),
        ("廿五", 25),
    ],
)
def test_short_and_other_spellings(said: str, n: int) -> None:
    assert read_chinese_numeral(said) == n


@pytest.mark.parametrize("said", ["", "三百多", "五六", "十百", "零五", "一百零五十", "两两", "几十", "-3", "1.5"])
def test_what_is_no_numeral_is_refused(said: str) -> None:
    with pytest.raises(ValueError, match="numeral"):
        read_chinese_numeral(said)


@pytest.mark.parametrize("n", [-1, LARGEST + 1])
def test_numbers_out_of_range_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match=str(n)):
        chinese_numeral(n)
