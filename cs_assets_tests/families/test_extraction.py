"""Extraction: the truth of a sample, the rules, the corruptions, the scores."""

import json
import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import Sample
from cs_assets.families.extraction import CORRUPTIONS, ExtractionFamily
from cs_assets.families.json_answers import dump_answer, without_spaces
from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.scenario import Scenario
from cs_assets_tests.conftest import rendered_alone

FIELDS = ("姓名", "电话", "邮编", "省", "市", "县", "详细地址")
MESSAGE = "张三，13800138000，广东省深圳市南山区高新技术园区创新大厦，518057"
TRUTH = dict(
    zip(FIELDS, ("张三", "13800138000", "518057", "广东省", "深圳市", "南山区", "高新技术园区创新大厦"), strict=True)
)
ANSWER = (
    '{"姓名": "张三", "电话": "13800138000", "邮编": "518057", "省": "广东省", "市": "深圳市", "县": "南山区", '
    '"详细地址": "高新技术园区创新大厦"}'
)
FAMILIES = tuple(CORRUPTIONS)
KINDS = {kind for kinds in CORRUPTIONS.values() for kind in kinds}
SEEDS = st.integers(0, 10_000)


def atoms(**changes: str) -> dict[str, Any]:
    values = TRUTH | {"订单号": "123456789123456789", "旧地址": "北京市朝阳区人民路1号"} | changes
    region = {key: values[key] for key in ("省", "市", "县")}
    return {
        "名字": {"param": {"输出": values["姓名"]}},
        "地址": {"param": region},
        "含地区的详细地址": "".join(region.values()) + values["详细地址"],
        **{key: values[key] for key in ("电话", "邮编", "详细地址", "订单号", "旧地址")},
    }


def truth_of(scenario: Scenario, text: str, **changes: str) -> tuple[str, dict[str, str]]:
    rendered = rendered_alone(scenario, parse_template(text, "t", scenario.slots), atoms(**changes))
    return rendered.message, json.loads(rendered.answer)


# --- render


def test_the_example_of_the_documentation_renders_exactly(scenario: Scenario) -> None:
    [path] = [p for p in scenario.seed_paths() if p.name == "01_comma_separated.j2"]
    template = parse_template(path.read_text(encoding="utf-8"), str(path), scenario.slots)
    rendered = rendered_alone(scenario, template, atoms())
    assert rendered.message == MESSAGE
    assert rendered.answer == ANSWER


def test_the_example_of_the_documentation_is_the_committed_one(scenario: Scenario) -> None:
    assert scenario.examples()[0][0] == Sample(message=MESSAGE, answer=ANSWER)


def test_fields_are_the_keys_of_the_answer_template(scenario: Scenario) -> None:
    assert isinstance(scenario.family, ExtractionFamily)
    assert scenario.family.fields == FIELDS


def test_a_field_that_the_message_does_not_name_is_empty(scenario: Scenario) -> None:
    _, truth = truth_of(scenario, "{{名字.param.输出}} {{电话}}")
    assert truth == dict.fromkeys(FIELDS, "") | {"姓名": "张三", "电话": "13800138000"}


def test_values_are_answered_without_spaces_and_typed_with_them(scenario: Scenario) -> None:
    message, truth = truth_of(scenario, "{{电话}} {{详细地址}}", 电话="138 0013 8000", 详细地址="A座 1201")
    assert message == "138 0013 8000 A座 1201"
    assert (truth["电话"], truth["详细地址"]) == ("13800138000", "A座1201")


@pytest.mark.parametrize("phone", ["0755-12345678转801", "86-13800138000", "+8613800138000", "138****8000"])
def test_a_phone_is_answered_as_typed(scenario: Scenario, phone: str) -> None:
    assert truth_of(scenario, "打{{电话}}", 电话=phone)[1]["电话"] == phone


def test_a_title_stays_in_the_name_and_a_received_goes(scenario: Scenario) -> None:
    message, truth = truth_of(scenario, "{{名字.param.输出}} 收 {{电话}}", 姓名="王女士")
    assert message == "王女士 收 13800138000"
    assert truth["姓名"] == "王女士"


def test_a_repeated_region_stays_in_the_detail(scenario: Scenario) -> None:
    _, truth = truth_of(scenario, "{{地址.param.省}}{{地址.param.市}}{{地址.param.县}}{{含地区的详细地址}}")
    assert (truth["省"], truth["市"], truth["县"]) == ("广东省", "深圳市", "南山区")
    assert truth["详细地址"] == "广东省深圳市南山区高新技术园区创新大厦"


def test_distractors_fill_no_field(scenario: Scenario) -> None:
    _, truth = truth_of(scenario, "订单{{订单号}}，不是{{旧地址}}，{{名字.param.输出}}")
    assert truth == dict.fromkeys(FIELDS, "") | {"姓名": "张三"}


@pytest.mark.parametrize("name", ['张"三', "张\\三", "张'三", "<b>&张", "张\t三"])
def test_awkward_characters_survive_in_the_answer(scenario: Scenario, name: str) -> None:
    assert truth_of(scenario, "{{名字.param.输出}}", 姓名=name)[1]["姓名"] == without_spaces(name)


@given(data=st.data())
def test_what_is_rendered_breaks_no_rule(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: pl.DataFrame, data: st.DataObject
) -> None:
    template = data.draw(st.sampled_from(seeds))
    row = atoms.row(data.draw(st.integers(0, atoms.height - 1)), named=True)
    rendered = rendered_alone(scenario, template, row)
    assert scenario.family.verify(rendered.sample) == []


# --- verify


def rules(scenario: Scenario, answer: str, message: str = MESSAGE) -> set[str]:
    return {violation.rule for violation in scenario.family.verify(Sample(message=message, answer=answer))}


def test_the_true_answer_breaks_no_rule(scenario: Scenario) -> None:
    assert scenario.family.verify(Sample(message=MESSAGE, answer=ANSWER)) == []


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "不知道",
        "[]",
        "null",
        f"好的：{ANSWER}",
        f"```json\n{ANSWER}\n```",
        ANSWER[:-1],
        dump_answer({key: value for key, value in TRUTH.items() if key != "邮编"}),
        dump_answer(TRUTH | {"备注": ""}),
        json.dumps(TRUTH | {"邮编": 518057}, ensure_ascii=False),
        json.dumps(TRUTH | {"邮编": None}, ensure_ascii=False),
    ],
)
def test_anything_but_the_wanted_object_breaks_strict_json(scenario: Scenario, answer: str) -> None:
    [violation] = scenario.family.verify(Sample(message=MESSAGE, answer=answer))
    assert violation.rule == "strict_json"
    assert all(field in violation.detail for field in FIELDS)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"姓名": "李四"}, "copied"),
        ({"县": "南山 区"}, "no_space"),
        (dict.fromkeys(FIELDS, ""), "empty"),
        ({"电话": "518057"}, "phone"),
        ({"电话": ""}, "phone_missed"),
        ({"邮编": "13800138000"}, "postcode"),
    ],
)
def test_a_broken_rule_is_found(scenario: Scenario, changes: dict[str, str], rule: str) -> None:
    assert rule in rules(scenario, dump_answer(TRUTH | changes))


def test_a_value_split_by_spaces_in_the_message_counts_as_copied(scenario: Scenario) -> None:
    assert rules(scenario, ANSWER, MESSAGE.replace("13800138000", "138 0013 8000")) == set()


def test_a_postcode_of_taiwan_has_three_digits(scenario: Scenario) -> None:
    assert rules(scenario, dump_answer(TRUTH | {"邮编": "518"})) == set()
    assert rules(scenario, dump_answer(TRUTH | {"邮编": "5180"})) == {"postcode"}


def test_an_order_number_is_no_missed_phone(scenario: Scenario) -> None:
    answer = dump_answer(dict.fromkeys(FIELDS, "") | {"姓名": "张三"})
    assert rules(scenario, answer, "订单913800138000123456，张三") == set()


# --- corrupt


def samples(rendered: pl.DataFrame) -> st.SearchStrategy[dict[str, Any]]:
    """Samples that name a person and a phone: every corruption family applies to them."""
    rows = [
        row for row in rendered.to_dicts() if json.loads(row["answer"])["姓名"] and json.loads(row["answer"])["电话"]
    ]
    return st.sampled_from(rows)


@given(data=st.data(), seed=SEEDS, family=st.sampled_from(FAMILIES))
def test_a_corruption_is_wrong_and_of_the_family_asked_for(
    scenario: Scenario, rendered: pl.DataFrame, data: st.DataObject, seed: int, family: str
) -> None:
    sample = data.draw(samples(rendered))
    message = sample["message"] + "，谢谢"  # so that every value has a neighbour to swallow
    found = scenario.family.corrupt(Sample(message=message, answer=sample["answer"]), random.Random(seed), [family])
    assert found is not None
    assert found.answer != sample["answer"]
    assert scenario.family.score(found.answer, sample["answer"]).exact == 0
    assert found.family == family
    assert found.kind in CORRUPTIONS[family]


@given(data=st.data(), seed=SEEDS)
def test_the_same_seed_gives_the_same_corruption(
    scenario: Scenario, rendered: pl.DataFrame, data: st.DataObject, seed: int
) -> None:
    sample = data.draw(samples(rendered))
    first, second = (
        scenario.family.corrupt(Sample.model_validate(sample), random.Random(seed), FAMILIES) for _ in range(2)
    )
    assert first is not None
    assert first == second


def test_every_kind_of_corruption_occurs(scenario: Scenario) -> None:
    short = dump_answer(TRUTH | {"省": "广东", "邮编": ""})
    message = MESSAGE.replace("广东省", "广东").replace("，518057", "")
    case = Sample(message=message, answer=short)
    found = [scenario.family.corrupt(case, random.Random(seed), FAMILIES) for seed in range(200)]
    assert {corruption.kind for corruption in found if corruption is not None} == KINDS
    assert None not in found


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_that_applies_changes_the_example(scenario: Scenario, kind: str) -> None:
    [make] = [kinds[kind] for kinds in CORRUPTIONS.values() if kind in kinds]
    values = TRUTH | {"省": "广东", "邮编": ""}
    corrupted = make(Sample(message=MESSAGE, answer=dump_answer(values)), random.Random(3))
    assert corrupted is not None
    assert scenario.family.score(corrupted, dump_answer(values)).exact == 0


def test_a_family_that_does_not_apply_corrupts_nothing(scenario: Scenario) -> None:
    answer = dump_answer(dict.fromkeys(FIELDS, "") | {"姓名": "张三"})
    assert scenario.family.corrupt(Sample(message="张三", answer=answer), random.Random(1), ["boundary"]) is None


# --- score


@given(values=st.lists(st.text(), min_size=7, max_size=7))
def test_the_true_answer_scores_full(scenario: Scenario, values: list[str]) -> None:
    answer = dump_answer(dict(zip(FIELDS, values, strict=True)))
    score = scenario.family.score(answer, answer)
    assert (score.exact, score.strict_json, score.field_accuracy) == (1, 1, 1)


def test_the_order_of_the_keys_does_not_matter(scenario: Scenario) -> None:
    assert scenario.family.score(dump_answer(dict(reversed(TRUTH.items()))), ANSWER).exact == 1


@pytest.mark.parametrize(
    "prediction", [f"```json\n{ANSWER}\n```", f"好的，解析结果如下：\n{ANSWER}", f"{ANSWER}\n请查收"]
)
def test_a_right_answer_in_a_wrong_dress_has_its_fields_but_is_not_exact(scenario: Scenario, prediction: str) -> None:
    score = scenario.family.score(prediction, ANSWER)
    assert (score.exact, score.strict_json, score.field_accuracy) == (0, 0, 1)


def test_one_wrong_field_costs_its_share(scenario: Scenario) -> None:
    score = scenario.family.score(dump_answer(TRUTH | {"县": "福田区"}), ANSWER)
    assert (score.exact, score.strict_json) == (0, 1)
    assert score.fields == {field: float(field != "县") for field in FIELDS}
    assert score.field_accuracy == pytest.approx(6 / 7)


def test_a_cut_answer_keeps_the_fields_before_the_cut(scenario: Scenario) -> None:
    score = scenario.family.score(ANSWER[: ANSWER.index("广东省") + 1], ANSWER)
    assert (score.exact, score.strict_json) == (0, 0)
    assert score.fields == {field: float(field in ("姓名", "电话", "邮编")) for field in FIELDS}


@given(prediction=st.text() | st.text(st.sampled_from('{}[]":,姓名电话\\null 1')))
def test_any_prediction_gets_a_score(scenario: Scenario, prediction: str) -> None:
    score = scenario.family.score(prediction, ANSWER)
    assert score.exact == 0
    assert 0 <= score.field_accuracy <= 1
    assert set(score.fields) == set(FIELDS)


def test_a_model_that_only_opens_brackets_gets_a_score(scenario: Scenario) -> None:
    assert scenario.family.score("[" * 5000, ANSWER).field_accuracy == 0


@pytest.mark.parametrize("first", ["李四", "张三"])
def test_a_doubled_key_is_not_strict_and_its_last_value_counts(scenario: Scenario, first: str) -> None:
    score = scenario.family.score(ANSWER.replace('{"姓名"', f'{{"姓名": "{first}", "姓名"'), ANSWER)
    assert (score.exact, score.strict_json, score.field_accuracy) == (0, 0, 1)
