"""People: phone numbers that can exist, names that differ."""

import re
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.blocks import BLOCK_COUNT
from cs_assets.atoms.people import (
    TITLES,
    coined_given_names,
    familiar_names,
    given_names,
    minority_names,
    mobile_prefixes,
    sample_names,
    sample_phones,
    surnames,
)

EXTENSION = r" ?(转|转接|转分机|分机|ext\.?|[-#,]) ?\d{2,4}"
COUNTRY = r"(\+86[- ]?|86-?|0086|\(\+86\))"
MOBILE = (
    rf"{COUNTRY}?1\d{{2}}([ .—－-]?)\d{{4}}\2\d{{4}}|1\d{{2}}(\*{{4}}|x{{4}}|X{{4}}|×{{4}})\d{{4}}|1\d{{10}}{EXTENSION}"
    r"|[零〇O一二三四五六七八九]{11}|[０-９]{11}|[48]00[- ]?\d{3}[- ]?\d{4}(转\d| 转 \d 再转 0)?|1( \d){10}"
)


@given(seed=st.integers(0, 1000), area_code=st.sampled_from(["010", "0755", "0391"]))
def test_phones_are_mobiles_or_landlines_of_the_area(seed: int, area_code: str) -> None:
    area = rf"((86-)?{area_code}( - |[- —－])?|\+86-{area_code[1:]}-|[(（]{area_code}[)）])?"
    landline = rf"{area}[2-8]\d{{{2 if area_code == '0391' else 3}}}[- ]?\d{{4}}({EXTENSION})?"
    for phone in phones(area_code, 20, seed):
        assert re.fullmatch(f"{MOBILE}|{landline}", phone), phone


def phones(area_code: str, count: int, seed: int = 3) -> list[str]:
    return sample_phones(np.random.default_rng(seed), pl.Series([area_code] * count)).to_list()


@pytest.mark.parametrize(
    ("area_code", "shapes"),
    [
        ("+852", {r"\+852 [569]\d{3} \d{4}", r"\+8526\d{7}", r"852-9\d{7}", r"\+852 2\d{3} \d{4}"}),
        ("+853", {r"\+853 6\d{3} \d{4}", r"\+8536\d{7}", r"853-6\d{7}", r"\+853 28\d{2} \d{4}"}),
        ("+886", {r"\+886 9\d{2} \d{3} \d{3}", r"\+8869\d{8}", r"886-9\d{8}"}),
    ],
)
def test_phones_outside_the_mainland_have_the_shapes_of_their_place(area_code: str, shapes: set[str]) -> None:
    drawn = phones(area_code, 300)
    assert all(any(re.fullmatch(shape, phone) for phone in drawn) for shape in shapes)
    assert all(re.fullmatch(r"\+?85[23][ -]?\d{4} ?\d{4}|\+?886[ -]?9\d{2} ?\d{3} ?\d{3}", phone) for phone in drawn)


def test_every_row_gets_a_phone_of_its_own_place() -> None:
    areas = ["010", "+852", "0755", "+886", "0391", "+853"] * 500
    drawn = sample_phones(np.random.default_rng(3), pl.Series(areas))
    for area, phone in zip(areas, drawn, strict=True):
        if area.startswith("+"):
            assert phone.removeprefix("+").startswith(area[1:])
        else:
            assert phone[0] not in "0(（" or phone.startswith(("0086", "(+86)")) or area in phone, phone
            assert not phone.startswith(("+852", "+853", "+886", "852", "853", "886"))


def test_prefixes_are_of_three_or_four_digits() -> None:
    assert len(mobile_prefixes()) > 40
    assert all(re.fullmatch(r"1[3-9]\d{1,2}", prefix) for prefix in mobile_prefixes())


def test_the_digits_of_mobiles_are_drawn_before_the_rows_of_the_table() -> None:
    drawn = phones("0755", 20_000)
    heads = Counter(p[:3] for p in drawn if re.match(r"1\d{2}", p))
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
    assert not [p for p in phones("0755", 6000) if re.match(r"(\+86|86-)?(14|174|1349|134[ -]9)", p)]


def names(blocks: list[int], seed: int = 5) -> list[str]:
    return sample_names(np.random.default_rng(seed), np.array(blocks, dtype=np.uint8)).to_list()


def test_names_are_words_without_spaces() -> None:
    assert all(re.fullmatch(r"[\u4e00-\u9fff·A-Za-z*]{2,12}", name) for name in names([0, 3, 9] * 100))


def test_the_same_seed_gives_the_same_names() -> None:
    assert names([1, 2, 3] * 10) == names([1, 2, 3] * 10)
    assert names([1, 2, 3] * 10) != names([1, 2, 3] * 10, seed=6)


def test_full_names_of_different_blocks_never_coincide() -> None:
    in_blocks = [{n for n in names([block] * 5000) if not is_short(n)} for block in range(BLOCK_COUNT)]
    assert len(set().union(*in_blocks)) == sum(map(len, in_blocks))


def test_no_two_ways_to_compose_a_name_give_the_same() -> None:
    """Else one full name could belong to two blocks: 欧 with 阳明, 欧阳 with 明."""
    given = {*given_names()[0], *coined_given_names()}
    assert len(given) == len(given_names()[0]) + len(coined_given_names()) > 15_000
    known = {*surnames()[0]}
    compound = [name for name in known if len(name) == 2 and name[0] in known]
    assert not [name for name in compound for other in given if other[0] == name[1] and other[1:] in given]
    assert not [name for name in minority_names() for cut in (1, 2) if name[:cut] in known and name[cut:] in given]


def test_surnames_are_as_frequent_as_in_life() -> None:
    counts = Counter(name[0] for name in names(list(range(BLOCK_COUNT)) * 5000) if not is_short(name))
    shares = {surname: counts[surname] / counts.total() for surname in "王李张刘陈于肖"}
    assert all(0.06 < shares[surname] < 0.08 for surname in "王李张")
    assert 0.04 < shares["刘"] < 0.06
    assert 0.035 < shares["陈"] < 0.055
    assert all(0.003 < shares[surname] < 0.007 for surname in "于肖")


def test_most_full_names_have_three_characters() -> None:
    drawn = [n for n in names(list(range(BLOCK_COUNT)) * 2000) if not is_short(n) and n not in set(minority_names())]
    plain = Counter(len(n) for n in drawn if not n.startswith(COMPOUND))
    assert set(plain) == {2, 3}
    assert 0.83 < plain[3] / plain.total() < 0.88


def test_names_of_the_smaller_peoples_keep_the_forms_of_one_people() -> None:
    drawn = {n for block in range(BLOCK_COUNT) for n in names([block] * 6000)}
    dotted = [n.split("·") for n in drawn if "·" in n]
    assert len(dotted) > 30
    assert all(given != father and not TIBETAN & {given, father} for given, father in dotted)
    mixed = re.compile("(?:艾力|巴特尔|买买提|阿依古丽)(?:多吉|央金|旺堆|拉姆)|卓玛旺堆")
    assert not [n for n in drawn if mixed.search(n)]
    assert {"扎西多吉", "次仁央金"} & drawn
    assert {"吉克阿依", "沙马木呷", "曲比阿支"} & drawn


TIBETAN = {"扎西", "卓玛", "格桑", "次仁", "多吉", "央金"}


def test_compound_surnames_are_rare_and_take_usual_given_names() -> None:
    drawn = names([0, 4, 9] * 3000)
    compound = [n for n in drawn if n.startswith(COMPOUND) and not is_short(n)]
    assert 0.004 < len(compound) / len(drawn) < 0.02
    assert all(n[2:] in {*given_names()[0], *coined_given_names()} for n in compound)


def test_many_given_names_are_coined_of_thousands_of_characters() -> None:
    drawn = [n[1:] for n in names(list(range(BLOCK_COUNT)) * 2000) if not is_short(n) and not n.startswith(COMPOUND)]
    coined = {*coined_given_names()}
    assert 0.35 < sum(n in coined for n in drawn) / len(drawn) < 0.5
    assert len(set("".join(drawn))) > 2000


COMPOUND = tuple(name for name in surnames()[0] if len(name) == 2)


def test_short_names_are_those_that_customers_use() -> None:
    drawn = Counter(n for n in names([2, 5] * 4000) if is_short(n))
    assert {"小王", "老李", "阿强", "王女士", "李先生"} <= set(drawn)
    assert {"静静", "豆豆妈妈", "Amy", "王*"} & set(drawn)
    assert 0.2 < drawn.total() / 8000 < 0.3


def test_latin_names_are_capitalised_and_rare() -> None:
    latin = [n for n in names([2, 5] * 4000) if re.match("[A-Za-z]", n)]
    assert 0.01 < len(latin) / 8000 < 0.04
    assert all(re.fullmatch(r"[A-Z][a-z]+([A-Z][a-z]+|[\u4e00-\u9fff]{1,2})?", n) for n in latin)


def is_short(name: str) -> bool:
    """Tell whether a name is no full one: 王女士, 小王, 阿强, which many people share."""
    titles = "|".join(sorted(set(TITLES)))
    nickname = name[0] in "小老" and name[1:] in surnames()[0]
    return nickname or name in familiar_names() or bool(re.fullmatch(f"..?({titles})|[A-Z].*|..?[*]+", name))
