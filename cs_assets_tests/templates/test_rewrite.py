"""The rewriter: new sentences that keep the slots, and only as many as asked for."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.templates.rewrite import rewrite

RANDOM = st.integers(0, 100_000)
LISTING = "{{名字.param.输出}}，{{电话}}，{{地址.param.省}}{{地址.param.市}}{{地址.param.县}}{{详细地址}}，{{邮编}}"


def drawn(data: st.DataObject, seeds: list[SentenceTemplate]) -> tuple[SentenceTemplate, list[SentenceTemplate]]:
    seed = data.draw(st.sampled_from(seeds))
    texts = rewrite(seed.text, 6, random.Random(data.draw(RANDOM)))
    return seed, [parse_template(text, "rewrite") for text in texts]


@given(data=st.data())
def test_slots_are_kept(seeds: list[SentenceTemplate], data: st.DataObject) -> None:
    seed, rewrites = drawn(data, seeds)
    for rewritten in rewrites:
        assert Counter(rewritten.slots) == Counter(seed.slots)


@given(data=st.data())
def test_the_parts_of_the_address_keep_their_order(seeds: list[SentenceTemplate], data: st.DataObject) -> None:
    seed, rewrites = drawn(data, seeds)
    for rewritten in rewrites:
        assert [s for s in rewritten.slots if "地址" in s] == [s for s in seed.slots if "地址" in s]


@given(data=st.data())
def test_rewrites_differ_from_the_seed_and_from_each_other(seeds: list[SentenceTemplate], data: st.DataObject) -> None:
    seed, rewrites = drawn(data, seeds)
    texts = [rewritten.text for rewritten in rewrites]
    assert len(texts) <= 6
    assert len({seed.text, *texts}) == len(texts) + 1


@given(number=RANDOM, count=st.integers(0, 30))
def test_a_listing_has_as_many_rewrites_as_asked_for(number: int, count: int) -> None:
    assert len(rewrite(LISTING, count, random.Random(number))) == count


@given(number=RANDOM)
def test_the_same_seed_gives_the_same_rewrites(number: int) -> None:
    assert rewrite(LISTING, 5, random.Random(number)) == rewrite(LISTING, 5, random.Random(number))


def test_another_seed_gives_other_rewrites() -> None:
    assert rewrite(LISTING, 5, random.Random(1)) != rewrite(LISTING, 5, random.Random(2))


def test_a_sentence_without_anything_to_change_has_no_rewrites() -> None:
    assert rewrite("寄到{{详细地址}}吧", 5, random.Random(1)) == []


@given(number=RANDOM)
def test_a_label_is_replaced_by_one_of_the_same_meaning(number: int) -> None:
    meaning = {
        "名字.param.输出": "姓名|名字|收货人(姓名)?|收件人(姓名)?|联系人",
        "电话": "电话(号码)?|手机(号码?)?|联系(电话|方式)|tel",
    }
    for text in rewrite("姓名：{{名字.param.输出}}\n电话：{{电话}}", 4, random.Random(number)):
        for slot, labels in meaning.items():
            assert re.search(rf"(^|[^\w])({labels})[:： ]+\{{\{{{re.escape(slot)}", text), text


@pytest.mark.parametrize("slot", ["{{ 名字.param.输出 | trim }}", "{{名字.param.输出|trim}}", "{{名字.param.输出}}"])
def test_a_slot_stays_as_it_is_written(slot: str) -> None:
    texts = rewrite(f"{slot} {{{{电话}}}}", 5, random.Random(4))
    assert texts
    assert all(slot in text for text in texts)


def test_all_edits_occur() -> None:
    seed = "收货人：{{名字.param.输出}}\n电话：{{电话}}\n地址：{{详细地址}}"
    found = "\n---\n".join(rewrite(seed, 300, random.Random(1)))
    assert "，谢谢" in found
    assert "地址：{{详细地址}}\n电话" in found  # order
    assert "}}；电话" in found  # separator
    assert "联系人：{{名字" in found  # label
    assert "收货人:{{名字" in found  # colon


def test_a_sentence_without_a_beginning_may_get_a_greeting() -> None:
    assert any(text.startswith("您好，{{") for text in rewrite(LISTING, 100, random.Random(1)))
