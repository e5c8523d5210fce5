"""The rewriter: new sentences that keep the slots, and only as many as asked for."""

import itertools
import random
import re
from collections import Counter
from collections.abc import Collection

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.scenario import load_scenario, scenario_names
from cs_assets.templates.rewrite import COURTESIES, is_record, rewrites

RANDOM = st.integers(0, 100_000)
LISTING = "{{名字.param.输出}}，{{电话}}，{{地址.param.省}}{{地址.param.市}}{{地址.param.县}}{{详细地址}}，{{邮编}}"


def first(text: str, count: int, rng: random.Random, courtesies: Collection[str] = COURTESIES) -> list[str]:
    return list(itertools.islice(rewrites(text, rng, courtesies), count))


def drawn(data: st.DataObject, seeds: list[SentenceTemplate]) -> tuple[SentenceTemplate, list[SentenceTemplate]]:
    seed = data.draw(st.sampled_from(seeds))
    texts = first(seed.text, 6, random.Random(data.draw(RANDOM)))
    return seed, [parse_template(text, "rewrite") for text in texts]


@given(data=st.data())
def test_slots_are_kept(seeds: list[SentenceTemplate], data: st.DataObject) -> None:
    seed, found = drawn(data, seeds)
    for rewritten in found:
        assert Counter(rewritten.slots) == Counter(seed.slots)


@given(data=st.data())
def test_the_parts_of_the_address_keep_their_order(seeds: list[SentenceTemplate], data: st.DataObject) -> None:
    seed, found = drawn(data, seeds)
    for rewritten in found:
        assert [s for s in rewritten.slots if "地址" in s] == [s for s in seed.slots if "地址" in s]


@given(data=st.data())
def test_rewrites_differ_from_the_seed_and_from_each_other(seeds: list[SentenceTemplate], data: st.DataObject) -> None:
    seed, found = drawn(data, seeds)
    texts = [rewritten.text for rewritten in found]
    assert len(texts) <= 6
    assert len({seed.text, *texts}) == len(texts) + 1


@given(number=RANDOM, count=st.integers(0, 30))
def test_a_listing_has_as_many_rewrites_as_asked_for(number: int, count: int) -> None:
    assert len(first(LISTING, count, random.Random(number))) == count


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


@pytest.fixture(scope="module")
def many(seeds: list[SentenceTemplate]) -> list[tuple[SentenceTemplate, list[str]]]:
    """Every seed with 40 rewrites."""
    return [(seed, first(seed.text, 40, random.Random(3))) for seed in seeds]


@pytest.mark.parametrize("wrong", WRONG)
def test_rewrites_of_the_seeds_read_right(many: list[tuple[SentenceTemplate, list[str]]], wrong: str) -> None:
    found = [
        text
        for seed, texts in many
        for text in texts
        if re.search(WRONG[wrong], text) and not re.search(WRONG[wrong], seed.text)
    ]
    assert found == []


def test_every_sentence_has_variants_and_most_have_those_of_the_full_profile(seeds: list[SentenceTemplate]) -> None:
    found = [len(first(seed.text, 12, random.Random(3))) for seed in seeds if not is_record(seed.text)]
    assert min(found) >= 6
    assert sum(count == 12 for count in found) >= 50


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
    assert {parse_template(t, "rewrite").slots for t in first(text, 40, random.Random(1))} == {slots}


def test_a_note_comes_last_and_an_order_number_first() -> None:
    seed = "订单{{订单号}}\n{{名字.param.输出}}\n{{电话}}\n{{详细地址}}\n{{配送备注}}"
    orders = {parse_template(t, "rewrite").slots for t in first(seed, 40, random.Random(1))}
    assert len(orders) == 6
    assert {(order[0], order[-1]) for order in orders} == {("订单号", "配送备注")}


@given(number=RANDOM)
def test_the_same_seed_gives_the_same_rewrites(number: int) -> None:
    assert first(LISTING, 5, random.Random(number)) == first(LISTING, 5, random.Random(number))


def test_another_seed_gives_other_rewrites() -> None:
    assert first(LISTING, 5, random.Random(1)) != first(LISTING, 5, random.Random(2))


def test_a_sentence_without_anything_to_change_has_no_rewrites() -> None:
    assert first("就在{{详细地址}}吧", 5, random.Random(1)) == []


@given(number=RANDOM)
def test_a_label_is_replaced_by_one_of_the_same_meaning(number: int) -> None:
    meaning = {
        "名字.param.输出": "姓名|名字|收货人(姓名)?|收件人(姓名)?|联系人",
        "电话": "电话(号码)?|手机(号码?)?|联系(电话|方式)|tel",
    }
    for text in first("姓名：{{名字.param.输出}}\n电话：{{电话}}", 4, random.Random(number)):
        for slot, labels in meaning.items():
            assert re.search(rf"(^|[^\w])({labels})[:： ]+\{{\{{{re.escape(slot)}", text), text


@pytest.mark.parametrize("slot", ["{{ 名字.param.输出 | trim }}", "{{名字.param.输出|trim}}", "{{名字.param.输出}}"])
def test_a_slot_stays_as_it_is_written(slot: str) -> None:
    texts = first(f"{slot} {{{{电话}}}}", 5, random.Random(4))
    assert texts
    assert all(slot in text for text in texts)


def test_all_edits_occur() -> None:
    seed = "收货人：{{名字.param.输出}}\n电话：{{电话}}\n地址：{{详细地址}}"
    found = "\n---\n".join(first(seed, 300, random.Random(1)))
    assert "，谢谢" in found
    assert "地址：{{详细地址}}\n电话" in found  # order
    assert "}}；电话" in found  # separator
    assert "联系人：{{名字" in found  # label
    assert "收货人:{{名字" in found  # colon


def test_a_sentence_without_a_beginning_may_get_a_greeting() -> None:
    assert any(text.startswith("您好，{{") for text in first(LISTING, 100, random.Random(1)))


@pytest.mark.parametrize(
    "text",
    [
        '{"订单号": "{{订单号}}"}\n转表格，谢谢',
        "| 字段 | 内容 |\n| 电话 | {{电话}} |\n转json",
        "Where is my order {{订单号}}, please check",
        "```\n{{电话}}\n```",
    ],
)
def test_records_and_english_stay_as_they_are(text: str) -> None:
    assert is_record(text)
    assert first(text, 5, random.Random(1)) == []


@pytest.mark.parametrize(
    "text",
    [
        "都几天了{{商品}}怎么还没到，我要投诉",
        "{{商品}}是假货吧！！给我退了",
        "{{订单号}} 帮我查下到哪了？",
        "{{产品}}{{故障}}，能派人来修吗",
        "再不发货我退款了，{{订单号}}",
    ],
)
def test_complaints_and_questions_get_no_thanks(text: str) -> None:
    added = [found for found in first(text, 60, random.Random(2)) if re.search("谢|辛苦|拜托|快点发|尽快$", found)]
    assert added == []


def test_a_request_may_get_thanks() -> None:
    found = first("帮我把{{工单号}}取消掉", 60, random.Random(1))
    assert any(re.search("谢|辛苦|拜托", text) for text in found)


@pytest.mark.parametrize(
    "text", ["都几天了{{商品}}怎么还没到！！", "{{招呼}}{{商品}}有货吗", "哎 发错了 找{{姓名}}", "那{{时间}}呢"]
)
def test_no_greeting_where_one_reads_oddly(text: str) -> None:
    assert not [found for found in first(text, 60, random.Random(1)) if re.match("你好|您好|亲|在吗|老板|请问", found)]


@pytest.mark.parametrize(
    ("text", "courtesies", "pattern"),
    [
        ("取消工单{{工单号}}", {"thanks"}, "^(?:你好|亲|麻烦|帮我)"),
        ("取消工单{{工单号}}", {"greeting"}, "谢|辛苦|拜托"),
        ("{{姓名}}，{{电话}}，{{详细地址}}", set(), "你好|亲|谢|辛苦|快点"),
    ],
)
def test_courtesies_that_are_not_allowed_are_not_added(text: str, courtesies: set[str], pattern: str) -> None:
    assert not [found for found in first(text, 80, random.Random(1), courtesies) if re.search(pattern, found)]


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("{{产品}}能修吗", {"{{产品}}能不能修", "{{产品}}能修不"}),
        ("{{时间}}有师傅吗", {"{{时间}}有没有师傅"}),
        ("这是正品吗", {"这是不是正品"}),
    ],
)
def test_a_question_is_asked_in_another_form(text: str, forms: set[str]) -> None:
    assert forms <= set(first(text, 80, random.Random(1)))


@pytest.mark.parametrize("text", ["表格形式：{{型号}}，规格{{规格}}，现货{{库存}}", "改期：{{工单号}}，{{上门时间}}"])
def test_what_bears_no_known_label_is_no_listing(text: str) -> None:
    order = parse_template(text, "seed").slots
    assert {parse_template(found, "rewrite").slots for found in first(text, 40, random.Random(1))} <= {order}


@pytest.mark.parametrize("name", scenario_names())
def test_rewrites_of_every_scenario_keep_their_slots_and_beginnings(name: str) -> None:
    greeting = re.compile(r"(?s).{4,}(?:亲亲，|您好，|你好，|在吗，|请问下，)")
    for number, seed in enumerate(load_scenario(name).seeds().values()):
        for text in first(seed.text, 6, random.Random(number)):
            assert Counter(parse_template(text, "rewrite").slots) == Counter(seed.slots)
            assert not greeting.search(text) or greeting.search(seed.text), text
