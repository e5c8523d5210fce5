"""The gates: good variants are kept, each kind of bad one is rejected for its reason."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.scenario import Scenario, load_scenario, scenario_names
from cs_assets.templates.gates import family_ids, rejection, signature
from cs_assets.templates.rewrite import rewrites

SEED = "{{名字.param.输出 | trim}}，{{电话}}，{{地址.param.市}}{{详细地址}}，{{邮编}}"
Reject = Callable[..., str]


@pytest.fixture(scope="module")
def reject(scenario: Scenario, probes: list[dict[str, Any]]) -> Reject:
    """Return why a text may not stand beside a seed."""

    def rejected(text: str, seed: str = SEED) -> str:
        return rejection(text, parse_template(seed, "seed"), scenario.family, scenario.slots, probes)

    return rejected


@pytest.mark.parametrize(
    "text",
    [
        SEED,
        "{{邮编}} {{电话}} {{名字.param.输出}}\n{{地址.param.市}}{{详细地址}}",
        "您好，麻烦寄到{{地址.param.市}}{{详细地址}}，邮编{{邮编}}，{{名字.param.输出}}收，电话{{电话}}，谢谢啦",
        "省份不用写，{{地址.param.市}}{{详细地址}}，{{名字.param.输出}}，{{电话}}，{{邮编}}",
        "省市区都对 {{地址.param.市}}{{详细地址}}，{{名字.param.输出}}，{{电话}}，{{邮编}}",
    ],
)
def test_a_good_variant_is_kept(reject: Reject, text: str) -> None:
    assert reject(text) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "parse: variant: the template is empty"),
        (SEED + "{{电话", "parse: variant, line 1: "),
        (SEED + "{{邮箱}}", "parse: variant, line 1: unknown slot '邮箱'"),
        ("{% if 电话 %}" + SEED + "{% endif %}", "parse: variant, line 1: found if"),
        (SEED + "{{电话.__class__}}", "parse: variant, line 1: '电话.__class__' reaches for a private attribute"),
        (SEED.replace("，{{邮编}}", ""), "slots: lost 邮编"),
        (SEED + "{{电话}}", "slots: added 电话"),
        (SEED.replace("邮编", "订单号"), "slots: lost 邮编, added 订单号"),
        (SEED + "好" * 200, "length: "),
        (SEED + "，打13912345678", "literal entity: '13912345678'"),
        (SEED + "，邮编518057", "literal entity: '518057'"),
        (SEED.replace("{{地址.param.市}}", "广东省{{地址.param.市}}"), "literal entity: '广东省'"),
        (SEED + "，收件人不是我", "meaning: '收件人不是'"),
        (SEED + "，地址并非这里", "meaning: '地址并非'"),
    ],
)
def test_a_bad_variant_is_rejected_for_its_reason(reject: Reject, text: str, reason: str) -> None:
    assert reject(text).startswith(reason)


def test_a_value_that_cannot_be_read_back_is_named(scenario: Scenario, probes: list[dict[str, Any]]) -> None:
    seed = parse_template("{{电话}} {{邮编}}", "seed")
    probe = probes[0] | {"邮编": "51805", "电话": "13800138000"}
    found = rejection(seed.text, seed, scenario.family, scenario.slots, [probe])
    assert found == "round trip: 邮编: '51805' is neither six digits nor Taiwan's three"


def test_what_the_seed_says_itself_is_no_fault(reject: Reject) -> None:
    seed = "满100元的，电话不是这个，{{电话}}"
    assert reject("满100元的亲，电话不是这个，是{{电话}}", seed) == ""


def test_a_short_seed_may_grow_to_a_sentence(reject: Reject) -> None:
    assert reject("您好，我的电话号码是{{电话}}，麻烦快递到的时候打这个，谢谢", "{{电话}}") == ""


@given(data=st.data())
def test_a_seed_passes_its_own_gates(
    scenario: Scenario, probes: list[dict[str, Any]], seeds: list[SentenceTemplate], data: st.DataObject
) -> None:
    seed = data.draw(st.sampled_from(seeds))
    assert rejection(seed.text, seed, scenario.family, scenario.slots, probes) == ""


@pytest.mark.parametrize("literal", ["，北京市朝阳区", "，人民路5号", "，我是张三"])
def test_a_literal_city_street_or_name_is_rejected(reject: Reject, literal: str) -> None:
    assert reject(SEED + literal).startswith("literal entity")


def test_a_literal_entity_behind_one_of_the_seed_is_rejected(reject: Reject) -> None:
    assert reject("满100元的，打13912345678，{{电话}}", "满100元的，{{电话}}").startswith("literal entity")


def test_numbers_that_run_into_each_other_are_rejected(reject: Reject) -> None:
    assert reject("{{名字.param.输出}}{{邮编}}{{电话}}，{{地址.param.市}}{{详细地址}}").startswith("boundary: ")


def test_slots_that_some_atoms_keep_apart_may_stand_side_by_side(
    scenario: Scenario, probes: list[dict[str, Any]]
) -> None:
    """Rendering takes the atoms that suit a sentence; which ones are probed must not decide about the sentence."""
    doors = ["1号楼203", "9组17", "12栋4", "B座1802", "人民路8号"]
    rows = [probes[0] | {"详细地址": door} for door in doors]
    glued = parse_template("{{地址.param.市}}{{详细地址}}{{电话}}{{名字.param.输出}}", "seed")
    assert rejection(glued.text, glued, scenario.family, scenario.slots, rows) == ""
    assert rejection(glued.text, glued, scenario.family, scenario.slots, rows[:-1]).startswith("boundary: ")


@pytest.mark.parametrize(
    ("seed", "text"),
    [
        ("电话不用{{旧电话}}了，改{{电话}}", "电话不用{{电话}}了，改{{旧电话}}"),
        ("姓名{{名字.param.输出}}，电话{{电话}}", "姓名{{电话}}，电话{{名字.param.输出}}"),
    ],
)
def test_slots_that_changed_their_roles_are_rejected(reject: Reject, seed: str, text: str) -> None:
    assert reject(text, seed).startswith("roles: ")


# --- template families


@pytest.mark.parametrize(
    "text", ["{{电话}} {{邮编}}", "{{电话}}，{{邮编}}", "{{ 电话 | trim }}\n{{邮编}}", "（{{电话}}）{{邮编 | trim}}！"]
)
def test_punctuation_and_spaces_do_not_found_a_family(text: str) -> None:
    template = parse_template(text, "t")
    assert signature(template) == "电话|邮编|"
    plain = parse_template("{{电话}}{{邮编}}", "t")
    assert family_ids({"02_other": template, "01_plain": plain}) == {
        "02_other": "01_plain",
        "01_plain": "01_plain",
    }


@pytest.mark.parametrize("text", ["{{邮编}}{{电话}}", "{{电话}}邮编{{邮编}}", "{{电话}}{{邮编}}{{邮编}}"])
def test_other_words_or_another_order_found_one(text: str) -> None:
    seeds = {"01_plain": parse_template("{{电话}}{{邮编}}", "t"), "02_other": parse_template(text, "t")}
    assert family_ids(seeds) == {"01_plain": "01_plain", "02_other": "02_other"}


# --- What the seed says itself


@pytest.mark.parametrize(
    ("seed", "text"),
    [
        ('{"电话": "{{电话}}"} 转表格', '转成表格 {"电话": "{{电话}}"}'),
        ("“{{商品}}”打{{电话}}", "打{{电话}}，“{{商品}}”"),
        ("Call {{电话}} please, I am waiting", "Please call {{电话}}, waiting for you"),
        ("打12315，{{电话}}", "我打12315了啊，号{{电话}}"),
        ("明天送，打{{电话}}", "打{{电话}}，明天送哈"),
    ],
)
def test_what_the_seed_does_itself_its_variant_may_do(reject: Reject, seed: str, text: str) -> None:
    assert reject(text, seed) == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("电话{{电话 or 邮编}}，{{邮编}}", "parse: '电话 or 邮编' is more than a slot"),
        ("电话{{电话}}{# 注释 #}，{{邮编}}", "parse: a brace stands outside of a slot"),
        ("打{{电话}}转8001，{{邮编}}", "literal entity: '8001'"),
        ("打{{电话}}转1，{{邮编}}", "boundary: '转1' behind 电话 reads as a part of its value"),
        ("電話{{电话}}，郵編{{邮编}}", "language: "),
        ("My phone is {{电话}}, postcode {{邮编}}", "language: it is written in another language"),
    ],
)
def test_what_a_plain_seed_does_not_do_its_variant_may_not(reject: Reject, text: str, reason: str) -> None:
    assert reject(text, "电话{{电话}}，邮编{{邮编}}").startswith(reason)


def test_an_english_seed_is_not_translated(reject: Reject) -> None:
    assert reject("请打{{电话}}，我在等", "Call {{电话}} please, I am waiting").startswith("language: ")


@pytest.mark.parametrize("name", scenario_names())
def test_seeds_and_rewrites_of_every_scenario_pass_the_gates_that_see_words(name: str) -> None:
    """The round trip is each family's own affair, and tested there."""
    scenario = load_scenario(name)
    for number, seed in enumerate(scenario.seeds().values()):
        for text in (seed.text, *itertools.islice(rewrites(seed.text, random.Random(number)), 4)):
            reason = rejection(text, seed, scenario.family, scenario.slots, ())
            assert reason == "", f"{text}: {reason}"
