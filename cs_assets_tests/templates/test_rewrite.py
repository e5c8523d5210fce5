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


WRONG = {
    "a greeting inside": r"(?<=[^亲服])(?:亲亲|亲|您好|你好|客服你好|在吗|嗯|hi)，|.就这个地址：|.地址发你：",
    "a comma at an end": r"[,，；、/](?:\n|$)|^[,，；、/]",
    "a comma behind a colon": r"[:：] *[，,；、。]",
    "white space at an end": r"[ ]+(?:\n|$)|： ",
    "thanks inside": r"(?:，多谢|，谢谢啦|，就这些|收到回复一下|，拜托了)(?![~。]?$)",
    "an order number among the person's data": r"\{\{电话\}\}.*订单",
    "a hurry beside a date": r"(?s)(?:配送备注|送达时间|旧).*(?:尽快|快点)",
    "a street where a region stands": r"街道地址[:：]?\{\{地址",
    "a label twice": r"(收货|收件|联系)\1",
    "a comma before a bracket": r"，（",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_rewrites_of_the_seeds_read_right(seeds: list[SentenceTemplate], wrong: str) -> None:
    found = [
        text
        for seed in seeds
        for text in rewrite(seed.text, 40, random.Random(3))
        if re.search(WRONG[wrong], text) and not re.search(WRONG[wrong], seed.text)
    ]
    assert found == []


def test_every_seed_has_the_variants_of_the_full_profile(seeds: list[SentenceTemplate]) -> None:
    few = {seed.source: len(rewrite(seed.text, 12, random.Random(3))) for seed in seeds}
    assert {source: n for source, n in few.items() if n < 12} == {}


@pytest.mark.parametrize(
    "text",
    [
        "都几天了怎么还不发货，{{订单号}}，{{电话}}，{{名字.param.输出}}",
        "新地址：{{详细地址}} 邮编{{邮编}}\n（原来那个{{旧地址}}作废，千万别发错了）",
        "{{旧电话}}这个号停机了，快递到了打{{电话}}，收件人还是{{名字.param.输出}}",
    ],
)
def test_a_sentence_keeps_its_order(text: str) -> None:
    slots = parse_template(text, "seed").slots
    assert {parse_template(t, "rewrite").slots for t in rewrite(text, 40, random.Random(1))} == {slots}


def test_a_note_comes_last_and_an_order_number_first() -> None:
    seed = "订单{{订单号}}\n{{名字.param.输出}}\n{{电话}}\n{{详细地址}}\n{{配送备注}}"
    orders = {parse_template(t, "rewrite").slots for t in rewrite(seed, 40, random.Random(1))}
    assert len(orders) == 6
    assert {(order[0], order[-1]) for order in orders} == {("订单号", "配送备注")}


@given(number=RANDOM)
def test_the_same_seed_gives_the_same_rewrites(number: int) -> None:
    assert rewrite(LISTING, 5, random.Random(number)) == rewrite(LISTING, 5, random.Random(number))


def test_another_seed_gives_other_rewrites() -> None:
    assert rewrite(LISTING, 5, random.Random(1)) != rewrite(LISTING, 5, random.Random(2))


def test_a_sentence_without_anything_to_change_has_no_rewrites() -> None:
    assert rewrite("就在{{详细地址}}吧", 5, random.Random(1)) == []


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
