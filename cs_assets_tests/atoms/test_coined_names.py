"""Coined names: their characters, their share, and that the same seed gives the same."""

import re

from cs_assets.atoms.coined_names import COINED_SHARE, coinable_characters, coined, crossed, named
from cs_assets.atoms.divisions import all_divisions

LENGTHS = {1: 0.1, 2: 0.7, 3: 0.2}


def test_the_characters_are_thousands_and_end_no_part_of_an_address() -> None:
    assert len(coinable_characters()) > 2500
    assert coinable_characters() == sorted(set(coinable_characters()))
    assert not set("省市县区镇乡街道路村号楼栋室死坟") & set(coinable_characters())


def test_stems_are_distinct_of_the_given_lengths_and_the_same_for_the_same_seed() -> None:
    stems = coined(5000, "路", LENGTHS)
    assert stems == coined(5000, "路", LENGTHS) != coined(5000, "街", LENGTHS)
    assert len(set(stems)) == len(stems) > 4000
    assert {len(stem) for stem in stems} == {1, 2, 3}
    assert len(set("".join(stems))) > 2000


def test_no_stem_begins_with_a_city_or_a_county() -> None:
    places = {name[:-1] for level in ("city", "county") for name in all_divisions()[level] if len(name) > 2}
    assert not [stem for stem in coined(50_000, "路", LENGTHS) if stem[:2] in places or stem[:3] in places]


def test_no_name_says_its_last_word_twice() -> None:
    assert crossed("时代 中心", "大厦 中心") == ["时代大厦", "时代中心", "中心大厦"]


def test_coined_names_have_their_share_and_an_end() -> None:
    names = named("人民 解放", "路 大街")
    usual = re.compile("(?:人民|解放)(?:路|大街)")
    assert abs(sum(not usual.fullmatch(name) for name in names) / len(names) - COINED_SHARE) < 0.01
    assert all(name.endswith(("路", "大街")) for name in names)
    assert {"宏达", "顺发"} < set(named("宏达 顺发"))
