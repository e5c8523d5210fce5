"""Corruptions of an object of texts: they apply or say so, change what they say, and keep the fields."""

import functools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import Sample
from cs_assets.families.json_answers import dump_answer, read_repaired, read_strict
from cs_assets.families.json_corruptions import (
    ValueCorrupter,
    Values,
    blanked,
    changed_character,
    cut,
    fenced,
    filled,
    invented,
    missing_key,
    moved,
    of_values,
    prose_before,
    swapped,
)

FIELDS = ("姓名", "电话", "省", "市")
FULL = dict(zip(FIELDS, ("张三丰来了", "13800138000", "广东省", "深圳市"), strict=True))
EMPTY = dict.fromkeys(FIELDS, "")
SEEDS = st.integers(0, 10_000)
OF_VALUES: dict[str, ValueCorrupter] = {
    "blanked": blanked,
    "cut": cut,
    "changed_character": functools.partial(changed_character, letters="明华"),
    "swapped": swapped,
    "moved": moved,
    "invented": functools.partial(invented, inventions={"市": ("杭州市",), "品牌": ("绿联",)}),
}
OF_FORM: dict[str, ValueCorrupter] = {"fenced": fenced, "prose_before": prose_before(("好的：",))}
values = st.lists(st.text(st.sampled_from("明a1 "), max_size=6), min_size=4, max_size=4).map(
    lambda texts: dict(zip(FIELDS, texts, strict=True))
)


@given(values=values, seed=SEEDS, name=st.sampled_from(sorted(OF_VALUES)))
def test_wrong_values_have_the_same_fields_and_depend_on_the_seed_alone(values: Values, seed: int, name: str) -> None:
    first, second = (OF_VALUES[name](values, random.Random(seed)) for _ in range(2))
    assert first == second
    assert first is None or list(first) == list(FIELDS)


@pytest.mark.parametrize("name", sorted(OF_VALUES))
def test_where_nothing_was_said_nothing_but_an_invention_applies(name: str) -> None:
    wrong = OF_VALUES[name](EMPTY, random.Random(1))
    assert wrong == (EMPTY | {"市": "杭州市"} if name == "invented" else None)


@pytest.mark.parametrize("name", sorted(set(OF_VALUES) - {"moved", "invented"}))
def test_where_all_was_said_nothing_is_left_to_fill(name: str) -> None:
    assert moved(FULL, random.Random(1)) is None
    assert OF_VALUES["invented"](FULL, random.Random(1)) is None
    assert OF_VALUES[name](FULL, random.Random(1)) not in (None, FULL)


@given(seed=SEEDS)
def test_each_changes_what_it_says(seed: int) -> None:
    rng = random.Random(seed)
    some = FULL | {"市": ""}
    blank, short, typo = blanked(FULL, rng), cut(FULL, rng), changed_character(FULL, rng, "明华")
    assert blank is not None
    assert len(filled(blank)) == 3
    assert short is not None
    [name] = [name for name in FIELDS if short[name] != FULL[name]]
    assert FULL[name].startswith(short[name])
    assert len(FULL[name]) - len(short[name]) <= len(FULL[name]) // 3
    assert typo is not None
    assert sum(a != b for name in FIELDS for a, b in zip(FULL[name], typo[name], strict=True)) == 1
    for wrong in (swapped(FULL, rng), moved(some, rng)):
        assert wrong is not None
        assert wrong != some
    assert sorted((swapped(FULL, rng) or {}).values()) == sorted(FULL.values())
    assert sorted((moved(some, rng) or {}).values()) == sorted(some.values())


@given(seed=SEEDS)
def test_only_the_fields_that_are_named_change(seed: int) -> None:
    for corrupter in (blanked, cut, swapped):
        wrong = corrupter(FULL, random.Random(seed), ["姓名", "电话"])
        assert wrong is not None
        assert (wrong["省"], wrong["市"]) == ("广东省", "深圳市")


def test_what_would_end_a_cut_value_goes_too() -> None:
    found = {json.dumps(cut({"内容": "很好，，，，"}, random.Random(seed), end="，")) for seed in range(20)}
    assert found == {json.dumps({"内容": "很好"})}


@given(seed=SEEDS, name=st.sampled_from(sorted(OF_FORM)))
def test_the_right_values_in_a_wrong_form_can_be_repaired(seed: int, name: str) -> None:
    answer = dump_answer(FULL)
    wrong = of_values(OF_FORM[name])(Sample(message="", answer=answer), random.Random(seed))
    assert wrong is not None
    assert read_strict(wrong, FIELDS) is None
    assert read_repaired(wrong, FIELDS) == FULL


@given(seed=SEEDS)
def test_a_missing_key_is_the_only_loss(seed: int) -> None:
    wrong = missing_key(FULL, random.Random(seed))
    assert len(wrong) == 3
    assert wrong.items() <= FULL.items()
