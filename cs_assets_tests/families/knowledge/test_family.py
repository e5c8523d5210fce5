"""Knowledge: records in three forms, the truth of a sample, the rules, the corruptions, the scores."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.shop_records import shop_records_atoms
from cs_assets.families.base import Sample
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.knowledge.family import RECORD, KnowledgeFamily, source_record
from cs_assets.families.knowledge.records import FORMS
from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.scenario import Scenario
from cs_assets_tests.conftest import SCENARIOS, rendered_alone
from cs_assets_tests.families.conftest import committed

SEEDS = st.integers(0, 10_000)
PRODUCT = {"品牌": "金士顿", "品类": "内存条", "型号": "", "规格": "16GB", "价格": "339元", "库存": "62件"}
ORDER = {
    "订单号": "341472146052",
    "商品": "绿联 氮化镓 65W 充电器",
    "单价": "119元",
    "数量": "2件",
    "金额": "238元",
    "快递": "圆通",
    "运单号": "YT8820193374651",
    "状态": "已签收",
    "下单时间": "2026-06-01",
}
REVIEW = {
    "用户": "张**",
    "商品": "安克 Prime 67W 充电器",
    "星级": "5星",
    "时间": "6月1日",
    "内容": "充电很快，包装严实",
}
RECORDS = {"product": PRODUCT, "order": ORDER, "review": REVIEW}
TITLES = {"product": "商品", "order": "订单", "review": "评价"}
IN_WORDS = "帮我整理成json：金士顿的内存条，16GB的，339元，还剩62件"


@pytest.fixture(scope="module")
def knowledge() -> Scenario:
    return committed("shop_knowledge")


@pytest.fixture(scope="module")
def family(knowledge: Scenario) -> KnowledgeFamily:
    assert isinstance(knowledge.family, KnowledgeFamily)
    return knowledge.family


@pytest.fixture(scope="module")
def sentences(knowledge: Scenario) -> list[SentenceTemplate]:
    return list(knowledge.seeds().values())


@pytest.fixture(scope="module")
def records(knowledge: Scenario) -> pl.DataFrame:
    return shop_records_atoms(400, knowledge.spec.seed)


def atoms(kind: str, **changes: str) -> dict[str, Any]:
    return {TITLES[kind]: {"param": RECORDS[kind] | changes}}


def truth(scenario: Scenario, text: str, unit: str, **changes: str) -> str:
    template = parse_template(text, "t", scenario.slots, unit=unit)
    return rendered_alone(scenario, template, atoms(unit.split("_")[0], **changes)).answer


def rules(family: KnowledgeFamily, message: str, answer: str) -> set[str]:
    return {violation.rule for violation in family.verify(Sample(message=message, answer=answer))}


def written(family: KnowledgeFamily, kind: str, form: str, **changes: str) -> str:
    return family.forms[kind, form].write(RECORDS[kind] | changes)


# --- the scenario


def test_every_direction_has_its_seeds(family: KnowledgeFamily, sentences: list[SentenceTemplate]) -> None:
    seeds = Counter(template.unit for template in sentences)
    assert len(seeds) >= 6
    assert min(seeds.values()) >= 4
    assert seeds.total() >= 24
    directions = [family.direction(unit) for unit in seeds]
    assert {d.kind.id for d in directions if d} == set(RECORDS)
    assert {d.target for d in directions if d} == set(FORMS)


def test_the_instruction_names_every_field(knowledge: Scenario, family: KnowledgeFamily) -> None:
    for kind in family.kinds.values():
        assert f"{kind.title}的字段：{'、'.join(kind.labels)}" in knowledge.spec.instruction


# --- forms


def test_a_record_as_json(family: KnowledgeFamily) -> None:
    assert written(family, "product", "json") == json.dumps(PRODUCT, ensure_ascii=False)


def test_a_record_as_a_table_leaves_out_what_is_absent(family: KnowledgeFamily) -> None:
    assert written(family, "product", "markdown", 价格="", 库存="") == (
        "| 字段 | 内容 |\n| --- | --- |\n| 品牌 | 金士顿 |\n| 品类 | 内存条 |\n| 规格 | 16GB |"
    )


def test_a_record_as_a_sentence_leaves_out_what_is_absent(family: KnowledgeFamily) -> None:
    assert written(family, "product", "text") == "【金士顿】这款内存条，规格16GB，售价339元，库存62件。"
    assert written(family, "order", "text", 订单号="") == (
        "买的是绿联 氮化镓 65W 充电器，单价119元，数量2件，合计238元，快递公司圆通，运单号YT8820193374651，"
        "状态：已签收，下单时间：2026-06-01。"
    )


@given(data=st.data())
def test_each_form_reads_back_what_it_wrote(
    family: KnowledgeFamily, records: pl.DataFrame, data: st.DataObject
) -> None:
    kind = data.draw(st.sampled_from(list(family.kinds.values())))
    row = records.row(data.draw(st.integers(0, records.height - 1)), named=True)
    kept = data.draw(st.sets(st.sampled_from(kind.labels), min_size=1))
    record = {label: value if label in kept else "" for label, value in row[kind.title]["param"].items()}
    for form in FORMS:
        text = family.forms[kind.id, form].write(record)
        assert family.forms[kind.id, form].read(text) == record, text


@pytest.mark.parametrize(
    "table",
    [
        "| 品牌 | 金士顿 |",
        "| 字段 | 内容 |\n| 品牌 | 金士顿 |",
        "| 字段 | 内容 |\n| --- | --- |",
        "| 字段 | 内容 |\n| --- | --- |\n| 品牌 | 金士顿",
        "| 字段 | 内容 |\n| --- | --- |\n| 颜色 | 黑 |",
        "| 字段 | 内容 |\n| --- | --- |\n| 品牌 |  |",
        "| 字段 | 内容 |\n| --- | --- |\n| 品牌 | 金士顿 |\n| 品牌 | 三星 |",
        "| 字段 | 内容 |\n| --- | --- |\n| 规格 | 16GB |\n| 品牌 | 金士顿 |",
        "| 品牌 | 规格 |\n| --- | --- |\n| 金士顿 | 16GB |",
        "好的：\n| 字段 | 内容 |\n| --- | --- |\n| 品牌 | 金士顿 |",
    ],
)
def test_what_is_no_such_table_is_not_read(family: KnowledgeFamily, table: str) -> None:
    assert family.forms["product", "markdown"].read(table) is None


# --- render


def test_the_example_of_the_module_renders_exactly(knowledge: Scenario, sentences: list[SentenceTemplate]) -> None:
    [seed] = [t for t in sentences if t.source.endswith("product_text_to_json/01_short_note.j2")]
    rendered = rendered_alone(knowledge, seed, atoms("product"))
    assert rendered.message == IN_WORDS
    assert json.loads(rendered.answer) == PRODUCT


def test_a_field_that_the_message_does_not_name_is_absent(knowledge: Scenario) -> None:
    text = "转json {{商品.param.品牌}} {{商品.param.价格}}"
    answer = json.loads(truth(knowledge, text, "product_text_to_json"))
    assert answer == dict.fromkeys(PRODUCT, "") | {"品牌": "金士顿", "价格": "339元"}


def test_a_record_in_a_form_is_one_value_that_noise_keeps_off(knowledge: Scenario) -> None:
    text = '转成表格：{"品牌": "{{商品.param.品牌}}", "价格": "{{商品.param.价格}}"}，谢谢'
    template = parse_template(text, "t", knowledge.slots, unit="product_json_to_markdown")
    segments = rendered_alone(knowledge, template, atoms("product")).turns[0].segments
    assert [segment.slot for segment in segments] == ["", RECORD, ""]
    assert segments[1].text == '{"品牌": "金士顿", "价格": "339元"}'


def test_a_sentence_keeps_its_values_apart(knowledge: Scenario) -> None:
    template = parse_template("{{商品.param.品牌}}卖{{商品.param.价格}}，转json", "t", unit="product_text_to_json")
    segments = rendered_alone(knowledge, template, atoms("product")).turns[0].segments
    assert [segment.slot for segment in segments] == ["商品.param.品牌", "", "商品.param.价格", ""]


@pytest.mark.parametrize("unit", ["", "product", "parcel_text_to_json", "product_json_to_json", "product_text_to_xml"])
def test_a_folder_that_is_no_direction_is_told(knowledge: Scenario, unit: str) -> None:
    with pytest.raises(TemplateError, match=r"t: stands in the folder.*KIND_SOURCE_to_TARGET"):
        rendered_alone(knowledge, parse_template("x", "t", unit=unit), {})


@given(data=st.data())
def test_what_is_rendered_breaks_no_rule(
    knowledge: Scenario, sentences: list[SentenceTemplate], records: pl.DataFrame, data: st.DataObject
) -> None:
    template = data.draw(st.sampled_from(sentences))
    row = records.row(data.draw(st.integers(0, records.height - 1)), named=True)
    first, second = (rendered_alone(knowledge, template, row) for _ in range(2))
    assert first == second
    assert knowledge.family.verify(first.sample) == []
    assert knowledge.family.check_template(template, row) == []
    assert knowledge.family.score(first.answer, first.answer).exact == 1


@pytest.mark.parametrize("record", ['{"品牌"："{{商品.param.品牌}}"}', "| 品牌 | {{商品.param.品牌}}"])
def test_a_rewrite_that_breaks_the_record_is_rejected(knowledge: Scenario, record: str) -> None:
    template = parse_template(f"一句话：{record}", "t", knowledge.slots, unit="product_json_to_text")
    assert "source" in {v.rule for v in knowledge.family.check_template(template, atoms("product"))}


# --- verify


def test_the_true_answer_breaks_no_rule(family: KnowledgeFamily) -> None:
    assert rules(family, IN_WORDS, json.dumps(PRODUCT, ensure_ascii=False)) == set()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"价格": "399元"}, "copied"),
        ({"品牌": "三星"}, "copied"),
        ({"价格": "62件", "库存": "339元"}, "type"),
        ({"价格": "339"}, "type"),
        ({"型号": "新款"}, "copied"),
    ],
)
def test_a_wrong_value_is_found(family: KnowledgeFamily, changes: dict[str, str], rule: str) -> None:
    assert rule in rules(family, IN_WORDS, json.dumps(PRODUCT | changes, ensure_ascii=False))


@pytest.mark.parametrize("answer", ["", "不知道", "[]", "{}", '{"品牌": "金士顿"}', "| 品牌 | 金士顿 |"])
def test_what_is_no_record_is_found(family: KnowledgeFamily, answer: str) -> None:
    assert rules(family, IN_WORDS, answer) == {"format"}


@pytest.mark.parametrize("form", ["markdown", "text"])
def test_another_form_than_the_wanted_one_is_found(family: KnowledgeFamily, form: str) -> None:
    assert rules(family, IN_WORDS, written(family, "product", form)) == {"target_form"}
    # Who types full-width letters wants the same.
    assert rules(family, IN_WORDS.replace("json", "ｊｓｏｎ"), written(family, "product", form)) == {"target_form"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, set()),
        ({"金额": "357元"}, {"amount"}),
        ({"单价": "119.00元", "金额": "238.00元"}, set()),
        ({"单价": "119.05元", "金额": "238.09元"}, {"amount"}),
        ({"单价": "119.05元", "金额": "238.10元"}, set()),
        ({"单价": ""}, set()),
    ],
)
def test_the_amount_is_price_times_quantity(family: KnowledgeFamily, changes: dict[str, str], found: set[str]) -> None:
    # The message says what the answer says: only the arithmetic can tell.
    message = "转成表格 " + " ".join((ORDER | changes).values())
    assert rules(family, message, written(family, "order", "markdown", **changes)) == found


def test_the_record_in_the_message_decides(family: KnowledgeFamily) -> None:
    message = f"{written(family, 'order', 'json')}\n转成表格"
    assert rules(family, message, written(family, "order", "markdown")) == set()
    assert rules(family, message, written(family, "order", "markdown", 快递="")) == {"source"}
    assert "source" in rules(family, message, written(family, "order", "markdown", 状态=ORDER["快递"]))


@pytest.mark.parametrize("label", ["订单号", "运单号"])
def test_a_number_that_was_missed_is_found(family: KnowledgeFamily, label: str) -> None:
    message = "转json：" + "，".join(ORDER.values())
    assert rules(family, message, written(family, "order", "json", **{label: ""})) == {"missed"}


@pytest.mark.parametrize(
    ("message", "record"),
    [
        ('嗯 {"品牌": "三星"}，谢谢', {"品牌": "三星"}),
        ("嗯| 项目 | 值 |\n|---|---|\n| 品牌 | 三星 |😊", {"项目": "值", "品牌": "三星"}),
        ("品牌三星", None),
        ('{"品牌": 3}', None),
        ('{"品牌"："三星"}', None),
        ("| 品牌 | 型号 | 规格 |\n| 三星 | 990 | 1TB |", None),
    ],
)
def test_a_record_is_found_in_a_message(message: str, record: dict[str, str] | None) -> None:
    assert source_record(message) == record


# --- corrupt


def cases(family: KnowledgeFamily) -> list[Sample]:
    words = "、".join(ORDER.values())
    return [
        Sample(message=IN_WORDS, answer=written(family, "product", "json")),
        Sample(message=f"转json {words}", answer=written(family, "order", "json", 状态="")),
        Sample(message=f"列个表格：{words}", answer=written(family, "order", "markdown", 快递="")),
        Sample(message=f"{written(family, 'review', 'json')} 一句话", answer=written(family, "review", "text")),
        Sample(message="表格 张**打了5星", answer="| 字段 | 内容 |\n| --- | --- |\n| 用户 | 张** |\n| 星级 | 5星 |"),
    ]


@given(seed=SEEDS, number=st.integers(0, 4), data=st.data())
def test_a_corruption_is_of_the_wanted_family_and_never_exact(
    family: KnowledgeFamily, seed: int, number: int, data: st.DataObject
) -> None:
    case = cases(family)[number]
    wanted = data.draw(st.sampled_from(family.corruption_families))
    corruption = family.corrupt(case, random.Random(seed), [wanted])
    assert corruption == family.corrupt(case, random.Random(seed), [wanted])
    if corruption is not None:
        assert corruption.family == wanted
        assert family.score(corruption.answer, case.answer).exact == 0


def test_there_are_kinds_enough_and_each_occurs(family: KnowledgeFamily) -> None:
    kinds = {kind for members in family.corruptions.values() for kind in members}
    assert len(kinds) >= 6
    assert len(family.corruptions) >= 3
    rng = random.Random(0)
    made = [
        family.corrupt(case, rng, [name]) for name in family.corruptions for case in cases(family) for _ in range(40)
    ]
    assert {found.kind for found in made if found} == kinds


def test_a_text_cut_or_dropped_in_a_sentence_is_not_caught_by_a_rule(family: KnowledgeFamily) -> None:
    case = cases(family)[1]
    for family_name, kind in (("boundary", "cut_text"), ("omission", "dropped_text"), ("exchange", "swapped_texts")):
        answer = family.corruptions[family_name][kind](case, random.Random(1))
        assert answer
        assert rules(family, case.message, answer) == set()


def test_wrong_arithmetic_changes_the_total_alone(family: KnowledgeFamily) -> None:
    case = cases(family)[1]
    make = family.corruptions["value"]["wrong_arithmetic"]
    found = [json.loads(make(case, random.Random(seed)) or "{}") for seed in range(20)]
    assert {record["金额"] for record in found} == {"357元", "119元"}
    assert all(record | {"金额": ""} == ORDER | {"状态": "", "金额": ""} for record in found)


# --- score


def score_of(family: KnowledgeFamily, prediction: str, form: str) -> tuple[float, float, float]:
    score = family.score(prediction, written(family, "product", form))
    return score.strict_json, score.exact, score.field_accuracy


@pytest.mark.parametrize("form", FORMS)
def test_the_answer_itself_is_exact(family: KnowledgeFamily, form: str) -> None:
    assert score_of(family, written(family, "product", form), form) == (1, 1, 1)
    assert score_of(family, written(family, "product", form) + "\n", form) == (1, 1, 1)


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_value_costs_its_field(family: KnowledgeFamily, form: str) -> None:
    assert score_of(family, written(family, "product", form, 价格="399元"), form) == (1, 0, pytest.approx(5 / 6))


@pytest.mark.parametrize("form", FORMS)
def test_words_around_cost_the_form_and_no_field(family: KnowledgeFamily, form: str) -> None:
    assert score_of(family, f"好的，结果如下：\n{written(family, 'product', form)}\n", form) == (0, 0, 1)


def test_a_table_without_its_head_is_read_for_the_fields(family: KnowledgeFamily) -> None:
    assert score_of(family, "| 品牌 | 金士顿 |\n| 价格 | 339元 |", "markdown") == (0, 0, pytest.approx(3 / 6))


def test_clauses_are_read_where_the_sentence_is_another(family: KnowledgeFamily) -> None:
    # The brand stands in no clause, and the last clause has a word too much.
    strict, exact, fields = score_of(family, "金士顿的这款内存条，规格16GB，售价339元，库存62件哦。", "text")
    assert (strict, exact) == (0, 0)
    assert fields == pytest.approx(3 / 6)


@pytest.mark.parametrize("form", FORMS)
def test_another_form_scores_nothing(family: KnowledgeFamily, form: str) -> None:
    other = FORMS[(FORMS.index(form) + 1) % 3]
    strict, exact, _ = score_of(family, written(family, "product", other), form)
    assert (strict, exact) == (0, 0)


@given(
    prediction=st.text() | st.text(alphabet='{}":,|- \n【】，。品牌价格339元金士顿'),
    kind=st.sampled_from(list(RECORDS)),
)
def test_a_score_never_fails(family: KnowledgeFamily, prediction: str, kind: str) -> None:
    for form in FORMS:
        score = family.score(prediction, written(family, kind, form))
        assert {score.strict_json, score.exact, *score.fields.values()} <= {0.0, 1.0}
        assert list(score.fields) == list(RECORDS[kind])
        assert score.exact <= score.strict_json


# --- measures


def same_values(family: KnowledgeFamily, prediction: str, form: str, kind: str = "product") -> float:
    return family.measures(prediction, written(family, kind, form))["same_values"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", RECORDS)
def test_values_are_the_same_in_any_form_spelling_and_dress(family: KnowledgeFamily, kind: str, form: str) -> None:
    other = FORMS[(FORMS.index(form) + 1) % 3]
    assert same_values(family, written(family, kind, other), form, kind) == 1
    assert same_values(family, f"好的：\n{written(family, kind, form)}\n", form, kind) == 1
    spelled = written(family, "product", form, 价格="¥339.00", 规格="16 gb")
    assert same_values(family, spelled, form) == 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("wrong", [{"价格": "399元"}, {"价格": "339"}, {"品类": "硬盘"}, {"型号": "Pro"}, {"库存": ""}])
def test_a_wrong_value_is_not_the_same(family: KnowledgeFamily, form: str, wrong: dict[str, str]) -> None:
    assert same_values(family, written(family, "product", form, **wrong), form) == pytest.approx(5 / 6)


@pytest.mark.parametrize("prediction", ["", "不知道", "{}", "{"])
def test_what_tells_no_record_has_no_value(family: KnowledgeFamily, prediction: str) -> None:
    assert same_values(family, prediction, "json") == 0


def test_sentences_are_prose_and_other_forms_are_not(family: KnowledgeFamily) -> None:
    assert {form: family.is_prose(written(family, "review", form)) for form in FORMS} == {
        "json": False,
        "markdown": False,
        "text": True,
    }


# --- bad input


def changed(tmp_path: Path, name: str, old: str, new: str) -> Definition:
    """Return the committed scenario with one text replaced in one file."""
    folder = tmp_path / "shop_knowledge"
    shutil.copytree(SCENARIOS / "shop_knowledge", folder)
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    slots = {f"{TITLES[kind]}.param.{label}" for kind, record in RECORDS.items() for label in record}
    return Definition(folder, frozenset(slots))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("type: money", "type: gold", "type"),
        ("label: 库存", "label: 价格", "label stands twice"),
        ("total: 金额", "total: 总价", "'总价'"),
        ("title: 订单", "title: 商品", "title of two kinds"),
        ("kinds:", "kinds: [", "not YAML"),
    ],
)
def test_a_bad_schema_is_told_with_its_name(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(ScenarioError, match=r"schema\.yaml") as error:
        KnowledgeFamily(changed(tmp_path, "schema.yaml", old, new))
    assert told in str(error.value)


def test_a_kind_without_a_sentence_is_told(tmp_path: Path) -> None:
    definition = changed(tmp_path, "schema.yaml", "id: review", "id: comment")
    with pytest.raises(ScenarioError, match=r"comment\.j2: missing"):
        KnowledgeFamily(definition)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("，规格{{商品.param.规格}}\n", "", "规格"),
        ("，规格{{商品.param.规格}}", "，规格{{商品.param.规格}}{{商品.param.库存}}", "line 4"),
        ("，规格{{商品.param.规格}}", "，{{商品.param.规格}}", "line 4"),
        ("{{商品.param.规格}}", "{{订单.param.金额}}", "line 4"),
    ],
)
def test_a_bad_sentence_is_told_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(TemplateError, match=r"product\.j2") as error:
        KnowledgeFamily(changed(tmp_path, "templates/bot/product.j2", old, new))
    assert told in str(error.value)
