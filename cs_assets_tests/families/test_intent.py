"""Intent: the classes file, the truth of a sample, the rules, the corruptions, the scores, the figures of a table."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.inquiries import inquiries_atoms
from cs_assets.families.base import Sample
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.intent import IntentFamily, confusion, dump_label, read_label
from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.scenario import Scenario
from cs_assets_tests.conftest import SCENARIOS, rendered_alone
from cs_assets_tests.families.conftest import committed

SEEDS = st.integers(0, 10_000)
OUT = "无关问题"


@pytest.fixture(scope="module")
def intent() -> Scenario:
    return committed("intent_routing")


@pytest.fixture(scope="module")
def family(intent: Scenario) -> IntentFamily:
    assert isinstance(intent.family, IntentFamily)
    return intent.family


@pytest.fixture(scope="module")
def sentences(intent: Scenario) -> list[SentenceTemplate]:
    return list(intent.seeds().values())


@pytest.fixture(scope="module")
def inquiries(intent: Scenario) -> pl.DataFrame:
    return inquiries_atoms(400, intent.spec.seed)


def sample(message: str, title: str) -> Sample:
    return Sample(message=message, answer=dump_label(title))


# --- the scenario


def test_every_class_has_its_seeds(family: IntentFamily, sentences: list[SentenceTemplate]) -> None:
    seeds = Counter(template.unit for template in sentences)
    assert set(seeds) == {found.id for found in family.classes.values()}
    assert min(seeds.values()) >= 8
    assert seeds["out_of_scope"] >= 12
    assert seeds.total() >= 110


def test_the_instruction_names_every_class_and_no_other(intent: Scenario, family: IntentFamily) -> None:
    _, listed, _ = intent.spec.instruction.replace("：", "。").split("。", 2)
    assert listed.split("、") == list(family.classes)


# --- classes.yaml


def definition(tmp_path: Path, classes: str, **options: object) -> Definition:
    (tmp_path / "classes.yaml").write_text(classes, encoding="utf-8")
    return Definition(tmp_path, frozenset(), options)


def one_class(id_: str, neighbour: str, extra: str = "") -> str:
    return f"  - {{id: {id_}, title: {id_}, workflow: w, neighbours: [{neighbour}]{extra}}}\n"


TWO = "classes:\n" + one_class("a", "b") + one_class("b", "a", ", out_of_scope: true")


def test_a_small_classes_file_is_read(tmp_path: Path) -> None:
    assert IntentFamily(definition(tmp_path, TWO)).out_of_scope == "b"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("classes: [", "line 1"),
        ("classes: []", "'classes'"),
        (TWO.replace("title: b", "title: a"), "title 'a' stands twice"),
        (TWO.replace("[a]", "[c]"), "neighbour 'c'"),
        (TWO.replace("[a]", "[b]"), "neighbour 'b'"),
        (TWO.replace(", out_of_scope: true", ""), "exactly one"),
        (TWO.replace("workflow: w, neighbours: [b]", "workflow: w, neighbours: [b], phrases: ['(']"), "phrases"),
        (TWO.replace("workflow: w, neighbours: [b]", "workflow: w, neighbours: [b], colour: red"), "colour"),
    ],
)
def test_a_bad_classes_file_is_told_with_its_name(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(ScenarioError, match=r"classes\.yaml") as error:
        IntentFamily(definition(tmp_path, content))
    assert told in str(error.value)


def test_a_missing_classes_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"classes\.yaml: missing"):
        IntentFamily(Definition(tmp_path, frozenset()))


def test_an_unknown_option_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"scenario\.yaml: options: unknown key 'greetings'; .* ending, greeting"):
        IntentFamily(definition(tmp_path, TWO, greetings="招呼"))


def test_an_option_that_names_no_slot_is_told(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="'招呼' is no slot"):
        IntentFamily(definition(tmp_path, TWO, greeting="招呼"))


# --- render


def test_the_class_is_the_folder_of_the_template(intent: Scenario) -> None:
    template = parse_template("{{招呼}}东西呢", "t", intent.slots, unit="track_parcel")
    rendered = rendered_alone(intent, template, {"招呼": "亲，"})
    assert (rendered.message, rendered.answer) == ("亲，东西呢", '{"intent": "查物流"}')


def test_a_template_of_no_class_is_told(intent: Scenario) -> None:
    with pytest.raises(TemplateError, match=r"t: stands in the folder 'refund'.*track_parcel"):
        rendered_alone(intent, parse_template("东西呢", "t", unit="refund"), {})


def test_a_greeting_is_a_word_of_the_sentence_and_an_order_number_a_value(intent: Scenario) -> None:
    template = parse_template("{{招呼}}催一下 {{订单号}}", "t", intent.slots, unit="urge_shipping")
    rendered = rendered_alone(intent, template, {"招呼": "在吗，", "订单号": "341472146052"})
    assert [segment.slot for segment in rendered.turns[0].segments] == ["", "", "订单号"]


@given(data=st.data())
def test_what_is_rendered_breaks_no_rule(
    intent: Scenario, sentences: list[SentenceTemplate], inquiries: pl.DataFrame, data: st.DataObject
) -> None:
    template = data.draw(st.sampled_from(sentences))
    row = inquiries.row(data.draw(st.integers(0, inquiries.height - 1)), named=True)
    first, second = (rendered_alone(intent, template, row) for _ in range(2))
    assert first == second
    assert intent.family.verify(first.sample) == []
    assert intent.family.check_template(template, row) == []


@pytest.mark.parametrize("text", ["你好，{{招呼}}东西呢", "{{订单号}} {{招呼}}东西呢", "东西呢{{标点}}，谢谢"])
def test_a_rewrite_that_moves_greeting_or_ending_inside_is_rejected(intent: Scenario, text: str) -> None:
    template = parse_template(text, "t", intent.slots, unit="track_parcel")
    [violation] = intent.family.check_template(template, {"招呼": "亲，", "订单号": "341472146052", "标点": "？"})
    assert violation.rule == "edge"


# --- verify


@pytest.mark.parametrize(
    "answer", ["", "退货", '{"intent": 3}', '{"意图": "退货"}', '{"intent": ["退货"]}', "[]", "好的"]
)
def test_anything_but_one_label_is_no_strict_json(family: IntentFamily, answer: str) -> None:
    [violation] = family.verify(Sample(message="能退吗", answer=answer))
    assert violation.rule == "strict_json"


@pytest.mark.parametrize("title", ["售后", "return_goods", "退货、换货", ""])
def test_a_class_that_is_not_on_the_list_is_found(family: IntentFamily, title: str) -> None:
    [violation] = family.verify(sample("能退吗", title))
    assert violation.rule == "unknown_class"


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ("转人工", "投诉"),
        ("能开发票吗", "商品咨询"),
        ("五天了还是待发货", "查物流"),
        ("杭州明天下雨吗", "库存到货"),
        ("我的耳机到哪了", OUT),
    ],
)
def test_an_unmistakable_phrase_contradicts_another_class(family: IntentFamily, message: str, wrong: str) -> None:
    [violation] = family.verify(sample(message, wrong))
    assert violation.rule == "phrase"


def test_a_message_with_phrases_of_two_classes_may_belong_to_either(family: IntentFamily) -> None:
    message = "我要退货，转人工"
    assert family.verify(sample(message, "转人工")) == family.verify(sample(message, "退货")) == []
    assert family.verify(sample(message, "发票"))


# --- corrupt


@given(seed=SEEDS, data=st.data())
def test_a_corruption_is_of_the_wanted_family_and_never_exact(
    family: IntentFamily, seed: int, data: st.DataObject
) -> None:
    true = data.draw(st.sampled_from(list(family.classes)))
    wanted = data.draw(st.sampled_from(family.corruption_families))
    corruption = family.corrupt(sample("能退吗", true), random.Random(seed), [wanted])
    if corruption is None:
        assert (true, wanted) == (OUT, "confusion")
        return
    assert corruption == family.corrupt(sample("能退吗", true), random.Random(seed), [wanted])
    assert corruption.family == wanted
    assert family.score(corruption.answer, dump_label(true)).exact == 0


def test_there_are_kinds_enough_and_each_occurs(family: IntentFamily) -> None:
    kinds = {kind for members in family.corruptions.values() for kind in members}
    assert len(kinds) >= 6
    assert len(family.corruptions) >= 3
    rng = random.Random(0)
    made = [
        family.corrupt(sample("能退吗", title), rng, [name])
        for name in family.corruptions
        for title in family.classes
        for _ in range(20)
    ]
    assert {found.kind for found in made if found} == kinds


def test_a_neighbour_is_not_caught_by_a_rule(family: IntentFamily) -> None:
    case = sample("杯子用两天就漏水，退了吧", "退货")
    kinds = family.corruptions["confusion"]
    answers = [kinds[name](case, random.Random(0)) for name in ("nearest_neighbour", "other_neighbour")]
    assert [family.verify(case.model_copy(update={"answer": answer})) for answer in answers] == [[], []]


# --- score


@pytest.mark.parametrize(
    ("prediction", "strict", "exact", "label"),
    [
        ('{"intent": "退货"}', 1, 1, 1),
        (' {"intent":"退货"}\n', 1, 1, 1),
        ('{"intent": "换货"}', 1, 0, 0),
        ('```json\n{"intent": "退货"}\n```', 0, 0, 1),
        ('{"intent": "退货"', 0, 0, 1),
        ("退货", 0, 0, 1),
        ("“退货”。", 0, 0, 1),
        ('{"意图": "退货"}', 0, 0, 0),
        ('{"intent": ["退货"]}', 0, 0, 0),
        ("可能是退货 也可能是换货", 0, 0, 0),
        ("", 0, 0, 0),
    ],
)
def test_scores(family: IntentFamily, prediction: str, strict: float, exact: float, label: float) -> None:
    score = family.score(prediction, dump_label("退货"))
    assert (score.strict_json, score.exact, score.fields) == (strict, exact, {"intent": label})


@given(prediction=st.text() | st.text(alphabet='{}[]":,intent退货 \n'))
def test_a_score_never_fails(family: IntentFamily, prediction: str) -> None:
    score = family.score(prediction, dump_label("退货"))
    assert {score.strict_json, score.exact, *score.fields.values()} <= {0.0, 1.0}
    assert score.exact <= score.strict_json


# --- the figures of a table, by hand

# true:      退货 退货 退货 换货 换货 无关问题 无关问题
# predicted: 退货 退货 换货 换货 ?    无关问题 退货
ANSWERS = [dump_label(title) for title in ("退货", "退货", "退货", "换货", "换货", OUT, OUT)]
PREDICTED = [*(dump_label(title) for title in ("退货", "退货", "换货", "换货")), "不 知道", dump_label(OUT), "退货"]


def test_confusion_counts_pairs() -> None:
    assert confusion(PREDICTED, ANSWERS).rows() == sorted(
        [
            ("退货", "退货", 2),
            ("退货", "换货", 1),
            ("换货", "换货", 1),
            ("换货", "", 1),
            (OUT, OUT, 1),
            (OUT, "退货", 1),
        ]
    )


def test_the_measures_are_of_one_answer_and_recall_is_of_what_is_out_of_scope_alone(family: IntentFamily) -> None:
    found = [family.measures(prediction, answer) for prediction, answer in zip(PREDICTED, ANSWERS, strict=True)]
    assert [figures["accuracy"] for figures in found] == [1, 1, 0, 1, 0, 1, 0]
    assert [figures.get("out_of_scope_recall") for figures in found] == [None] * 5 + [1, 0]


def test_the_class_that_is_named_stands_before_the_true_one(family: IntentFamily) -> None:
    assert family.classes_named("退货。", dump_label("换货")) == ("退货", "换货")
    assert family.classes_named("不 知道", dump_label("换货")) == ("", "换货")


def test_an_empty_table_has_no_pairs() -> None:
    assert confusion([], []).is_empty()


def test_tables_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        confusion(PREDICTED, ANSWERS[:3])


@given(title=st.text(min_size=1).map(str.strip).filter(bool))
def test_a_label_is_read_back(title: str) -> None:
    assert read_label(dump_label(title)) == title
    assert json.loads(dump_label(title)) == {"intent": title}


def test_the_folder_can_be_copied_and_changed(tmp_path: Path) -> None:
    folder = tmp_path / "intent_routing"
    shutil.copytree(SCENARIOS / "intent_routing", folder)
    classes = folder / "classes.yaml"
    classes.write_text(classes.read_text(encoding="utf-8").replace("title: 查物流", "title: 物流"), encoding="utf-8")
    assert "物流" in IntentFamily(Definition(folder, frozenset())).classes
