"""The gates: good variants are kept, each kind of bad one is rejected for its reason."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.scenario import Scenario
from cs_assets.templates.gates import family_ids, rejection, signature

SEED = "{{名字.param.输出 | trim}}，{{电话}}，{{地址.param.市}}{{详细地址}}，{{邮编}}"
Reject = Callable[..., str]


@pytest.fixture(scope="module")
def probes(atoms: pl.DataFrame) -> list[dict[str, Any]]:
    return atoms.head(6).to_dicts()


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
    assert found == "round trip: 邮编: '51805' is not six digits"


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


@pytest.mark.xfail(strict=True, reason="slots are compared as a multiset: that two of them changed places goes unseen")
@pytest.mark.parametrize(
    ("seed", "text"),
    [
        ("电话不用{{旧电话}}了，改{{电话}}", "电话不用{{电话}}了，改{{旧电话}}"),
        ("姓名{{名字.param.输出}}，电话{{电话}}", "姓名{{电话}}，电话{{名字.param.输出}}"),
    ],
)
def test_slots_that_changed_their_roles_are_rejected(reject: Reject, seed: str, text: str) -> None:
    assert reject(text, seed)


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
