"""The shared words: what a family has in common, what is a copy, and that the tables are closed."""

import random
import re

import pytest

from cs_assets.families.syntax import parse_template
from cs_assets.scenario import load_scenario, scenario_names
from cs_assets.templates.gates import signature
from cs_assets.templates.rewrite import rewrites
from cs_assets.templates.wording import EXCHANGES, SLOT, copy_key, kind_of_slot, wording


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("收件人：{{名字.param.输出}} 电话：{{电话}}", "姓名{{名字.param.输出}}，联系方式{{电话}}"),
        ("地址:{{地址.param.市}}{{详细地址}}", "收货地址：{{地址.param.市}}{{详细地址}}"),
        ("发到{{详细地址}}，电话{{电话}}", "亲，麻烦您寄到{{详细地址}}，手机号{{电话}}，谢谢啦~"),
        ("订单{{订单号}}怎么还没发货", "您好，请问单号{{订单号}}为啥还没发货呀"),
        ("{{产品}}{{故障}}能修吗", "老板，{{产品}}{{故障}}能不能修啊"),
        ("{{时间}}有师傅吗", "{{时间}}有没有师傅"),
    ],
)
def test_synonyms_courtesies_and_marks_make_no_family(one: str, other: str) -> None:
    assert wording(one) == wording(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("电话{{电话}}", "邮编{{电话}}"),
        ("{{旧地址}}作废", "{{旧地址}}"),
        ("{{商品}}能退吗", "{{商品}}退了"),
        ("寄到{{详细地址}}", "不要寄到{{详细地址}}"),
        ("在吗", "老板在不在"),
    ],
)
def test_other_words_do(one: str, other: str) -> None:
    assert wording(one) != wording(other)


@pytest.mark.parametrize(("text", "words"), [("在吗", "在吗"), ("你好，谢谢", "你好谢谢"), ("亲，{{电话}}", "")])
def test_a_sentence_of_courtesies_alone_keeps_its_words(text: str, words: str) -> None:
    assert wording(text) == words


@pytest.mark.parametrize("name", scenario_names())
def test_an_exchanged_word_is_exchanged_back(name: str) -> None:
    """Every word of a group is found where it was put, and the family stays the same."""
    for text in (seed.text for seed in load_scenario(name).seeds().values()):
        for exchange in (exchange for exchange in EXCHANGES if exchange.occurs(text)):
            for word in exchange.words:
                put = exchange.put(text, word)
                assert SLOT.findall(put) == SLOT.findall(text)
                assert exchange.occurs(put)
                assert exchange.put(put, exchange.words[0]) == exchange.put(text, exchange.words[0])
                assert wording(put) == wording(text), (exchange.words, put)


@pytest.mark.parametrize("name", scenario_names())
def test_a_rewrite_that_moves_nothing_stays_in_its_family(name: str) -> None:
    for number, seed in enumerate(load_scenario(name).seeds().values()):
        for text, _ in zip(rewrites(seed.text, random.Random(number)), range(5), strict=False):
            template = parse_template(text, "rewrite")
            if template.slots == seed.slots:
                assert signature(template) == signature(seed), text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{{电话}} {{邮编}}", "{{ 电话 | trim }}  {{邮编}}。"),
        ("{{电话}}，{{邮编}}", "{{电话}}；{{邮编}}"),
        ("电话：{{电话}} 邮编：{{邮编}}", "电话{{电话}}，邮编{{邮编}}！"),
        ("{{商品}}怎么还不发", "{{商品}}怎么还不发啊？？"),
    ],
)
def test_marks_spaces_and_particles_make_a_copy(one: str, other: str) -> None:
    assert copy_key(one) == copy_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("{{电话}} {{邮编}}", "{{电话}}/{{邮编}}"),
        ("{{电话}} {{邮编}}", "{{电话}}{{邮编}}"),
        ("电话：{{电话}} 邮编：{{邮编}}", "电话：{{电话}}\n邮编：{{邮编}}"),
        ("电话：{{电话}}", "手机：{{电话}}"),
        ("你好，{{电话}} {{邮编}}", "您好，{{电话}} {{邮编}}"),
        ("{{商品}}能退吗", "{{商品}}能退"),
    ],
)
def test_layout_and_words_do_not(one: str, other: str) -> None:
    assert copy_key(one) != copy_key(other)


@pytest.mark.parametrize(
    ("slot", "kind"),
    [
        ("旧电话", "电话"),
        ("名字.param.输出", "姓名"),
        ("地址.param.省", "省"),
        ("含地区的详细地址", "地址"),
        ("完工单号", "工单号"),
        ("旧.地点", "市"),
        ("下单时间", "时间"),
        ("商品.param.品牌", ""),
        ("乱码", ""),
    ],
)
def test_a_slot_tells_its_kind(slot: str, kind: str) -> None:
    assert kind_of_slot(slot) == kind


def test_a_word_within_a_slot_is_never_exchanged() -> None:
    text = "收件人能改成{{收件人}}吗"
    for exchange in EXCHANGES:
        for word in exchange.words:
            assert re.findall(r"\{\{.*?\}\}", exchange.put(text, word)) == ["{{收件人}}"]
