"""People: phone numbers that can exist, names that differ."""

import re
from collections import Counter

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


def test_the_digits_of_mobiles_are_drawn_before_the_rows_of_the_table() -> None:
    phones = sample_phones(np.random.default_rng(3), ["0755"] * 20_000)
    heads = Counter(p.removeprefix("+86").removeprefix("86-")[:3] for p in phones if not p.startswith("0"))
    share = {series: sum(n for h, n in heads.items() if h[:2] == series) / heads.total() for series in SERIES}
    assert share["13"] + share["15"] + share["18"] > 0.75
    assert 0.07 < share["17"] < 0.13
    assert 0.05 < share["19"] < 0.11
    assert 0.01 < share["16"] < 0.04
    # A range that the table splits in four digits is no more frequent than its neighbour.
    assert 0.6 < heads["134"] / heads["138"] < 1.6
    assert 0.6 < heads["170"] / heads["171"] < 1.6


SERIES = ("13", "15", "16", "17", "18", "19")


def test_no_phone_is_a_data_card_or_a_satellite_phone() -> None:
    phones = sample_phones(np.random.default_rng(3), ["0755"] * 6000)
    assert not [p for p in phones if re.match(r"(\+86|86-)?(14|174|1349|134[ -]9)", p)]


def names(blocks: list[int], seed: int = 5, block_count: int = 10) -> list[str]:
    return sample_names(np.random.default_rng(seed), np.array(blocks), block_count, seed)


def test_names_are_words_without_spaces() -> None:
    assert all(re.fullmatch(r"[\u4e00-\u9fff·]{2,10}", name) for name in names([0, 3, 9] * 100))


def test_the_same_seed_gives_the_same_names() -> None:
    assert names([1, 2, 3] * 10) == names([1, 2, 3] * 10)


def test_full_names_of_different_blocks_never_coincide() -> None:
    in_blocks = [{n for n in names([block] * 500) if not is_short(n)} for block in range(10)]
    assert len(set().union(*in_blocks)) == sum(map(len, in_blocks))


def test_names_of_the_smaller_peoples_keep_the_forms_of_one_people() -> None:
    drawn = {n for block in range(10) for n in names([block] * 2000)}
    dotted = [n.split("·") for n in drawn if "·" in n]
    assert len(dotted) > 30
    assert all(given != father and not TIBETAN & {given, father} for given, father in dotted)
    mixed = re.compile("(?:艾力|巴特尔|买买提|阿依古丽)(?:多吉|央金|旺堆|拉姆)|卓玛旺堆")
    assert not [n for n in drawn if mixed.search(n)]
    assert {"扎西多吉", "次仁央金"} & drawn


TIBETAN = {"扎西", "卓玛", "格桑", "次仁", "多吉", "央金"}


def test_compound_surnames_are_rare_and_take_usual_given_names() -> None:
    drawn = names([0, 4, 9] * 3000)
    compound = [n for n in drawn if n.startswith(COMPOUND)]
    assert 0.004 < len(compound) / len(drawn) < 0.02
    given = {n[1:] for n in drawn}
    # Each given name is one of the vocabulary, so most of them occur behind a plain surname too.
    assert sum(n[2:] in given for n in compound) > 0.5 * len(compound)


COMPOUND = ("欧阳", "上官", "司马", "司徒", "诸葛", "令狐", "慕容", "皇甫", "夏侯")


def is_short(name: str) -> bool:
    """Tell whether a name is a surname with a title (王女士) or a nickname (小王), which many people share."""
    return (len(name) == 2 and name[0] in "小老阿") or bool(
        re.fullmatch("..?(先生|女士|小姐|老师|同学|师傅|经理|总|姐|哥|阿姨)", name)
    )
