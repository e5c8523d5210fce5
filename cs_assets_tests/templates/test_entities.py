"""Literal entities: what is one, and everyday words that are none."""

import itertools

import pytest

from cs_assets.scenario import load_scenario, scenario_names
from cs_assets.templates.entities import bynames, find_entities
from cs_assets.templates.wording import SLOT


@pytest.mark.parametrize(
    ("text", "kind", "entity"),
    [
        ("打13800138000", "number", "13800138000"),
        ("打138 0013 8000吧", "number", "138 0013 8000"),
        ("１３８－００１３－８０００", "number", "１３８－００１３－８０００"),
        ("一三八零零一三八零零零", "number", "一三八零零一三八零零零"),
        ("打138OO138OOO", "number", "138OO138OOO"),
        ("单号SF12A8B9", "number", "SF12A8B9"),
        ("发到a.b@qq.com", "contact", "a.b@qq.com"),
        ("加微信kefu_lily", "contact", "微信kefu_lily"),
        ("在深圳", "region", "深圳"),
        ("雁塔区的", "region", "雁塔区"),
        ("3栋502", "place", "3栋502"),
        ("放阳光花园", "place", "阳光花园"),
        ("我叫张三", "name", "张三"),
        ("收件人李娜，", "name", "李娜"),
        ("王女士收", "name", "王女士"),
        ("叫刘建国来", "name", "刘建国"),
        ("下周三前到", "time", "下周三"),
        ("要2条", "quantity", "2条"),
    ],
)
def test_an_entity_is_found_with_its_kind(text: str, kind: str, entity: str) -> None:
    assert (kind, entity) in [(found.kind, found.text) for found in find_entities(text)]


@pytest.mark.parametrize(
    "text",
    [
        "谢谢马上发", "我是会员", "麻烦师傅快点", "和师傅说一声", "快递还在路上", "我们小区门口", "还没开封", "高兴",
        "时间别错", "六楼没电梯", "48小时内", "所在省市区", "一点消息都没有", "三三两两",
        "我找商家", "两三天了", "你们学校",
    ],
)  # fmt: skip
def test_everyday_words_are_none(text: str) -> None:
    assert find_entities(text) == []


def test_no_entity_lies_within_another() -> None:
    found = find_entities("张建国 138-0013-8000 广东省深圳市南山区科技路8号")
    assert [entity.text for entity in found] == ["张建国", "138-0013-8000", "广东省", "深圳市", "南山区", "科技路8号"]
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))


@pytest.mark.parametrize("text", ["给小刘打电话", "找老王", "阿强在家"])
def test_a_byname_is_found(text: str) -> None:
    assert bynames(text)


def test_few_seeds_name_an_entity() -> None:
    """What a person writes into a seed on purpose (12315, 明天) is no fault; more would make the gate useless."""
    seeds = [seed.text for name in scenario_names() for seed in load_scenario(name).seeds().values()]
    named = [text for text in seeds if any(e.kind != "time" for e in find_entities(SLOT.sub("\ue003", text)))]
    assert len(seeds) > 500
    assert len(named) < 0.01 * len(seeds)
