"""People: phone numbers that can exist, names that differ."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.people import mobile_prefixes, sample_names, sample_phones

MOBILE = r"(1\d{2} \d{4} \d{4}|1\d{2}-\d{4}-\d{4}|(\+86|86-)?1\d{10}|1\d{2}\*{4}\d{4}|1\d{10}(转|-)\d{4})"


@given(seed=st.integers(0, 1000), area_code=st.sampled_from(["010", "0755", "0391"]))
def test_phones_are_mobiles_or_landlines_of_the_area(seed: int, area_code: str) -> None:
    landline = rf"{area_code}-[2-8]\d{{{7 if len(area_code) == 3 else 6}}}((转|-)\d{{3}})?"
    for phone in sample_phones(np.random.default_rng(seed), [area_code] * 20):
        assert re.fullmatch(f"{MOBILE}|{landline}", phone), phone


def test_prefixes_are_of_three_or_four_digits() -> None:
    assert len(mobile_prefixes()) > 40
    assert all(re.fullmatch(r"1[3-9]\d{1,2}", prefix) for prefix in mobile_prefixes())


def names(blocks: list[int], seed: int = 5, block_count: int = 10) -> list[str]:
    return sample_names(np.random.default_rng(seed), np.array(blocks), block_count, seed)


def test_names_are_words_without_spaces() -> None:
    assert all(re.fullmatch(r"[\u4e00-\u9fff·]{2,10}", name) for name in names([0, 3, 9] * 100))


def test_the_same_seed_gives_the_same_names() -> None:
    assert names([1, 2, 3] * 10) == names([1, 2, 3] * 10)


def test_full_names_of_different_blocks_never_coincide() -> None:
    in_blocks = [{n for n in names([block] * 500) if not is_short(n)} for block in range(10)]
    assert len(set().union(*in_blocks)) == sum(map(len, in_blocks))


def is_short(name: str) -> bool:
    """Tell whether a name is a surname with a title (王女士) or a nickname (小王), which many people share."""
    return (len(name) == 2 and name[0] in "小老阿") or bool(
        re.fullmatch("..?(先生|女士|小姐|老师|同学|师傅|经理|总|姐|哥|阿姨)", name)
    )
