"""Identity: the facts file, the truth of a sample, the rules, the corruptions, the scores."""

import itertools
import random
import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.assistant import assistant_atoms
from cs_assets.families.base import Sample
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.identity import IdentityFamily
from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.scenario import Scenario
from cs_assets.templates.variants import template_variants
from cs_assets_tests.conftest import SCENARIOS, lone_scene, rendered_alone
from cs_assets_tests.families.conftest import (
    broken_rules,
    committed,
    counted_corruptions,
    drawn_samples,
    replace_once,
)

SEEDS = st.integers(0, 10_000)
WHO = "你是谁啊"
ANSWER = "您好，我叫小象，是青禾生活馆的AI客服。"


@pytest.fixture(scope="module")
def identity() -> Scenario:
    return committed("self_identity")


@pytest.fixture(scope="module")
def family(identity: Scenario) -> IdentityFamily:
    assert isinstance(identity.family, IdentityFamily)
    return identity.family


@pytest.fixture(scope="module")
def questions(identity: Scenario) -> list[SentenceTemplate]:
    return list(identity.seeds().values())


@pytest.fixture(scope="module")
def customers(identity: Scenario) -> pl.DataFrame:
    return assistant_atoms(300, identity.spec.seed)


@pytest.fixture(scope="module")
def samples(
    identity: Scenario, questions: list[SentenceTemplate], customers: pl.DataFrame
) -> st.SearchStrategy[Sample]:
    return drawn_samples(identity, questions, customers)


def rules(family: IdentityFamily, answer: str, message: str = WHO) -> set[str]:
    return broken_rules(family, answer, message)


# --- the scenario


def test_there_are_enough_units_and_seeds(family: IdentityFamily, questions: list[SentenceTemplate]) -> None:
    seeds = Counter(template.unit for template in questions)
    assert set(seeds) == set(family.content.units)
    assert len(seeds) >= 8
    assert min(seeds.values()) >= 4


def test_the_table_of_variants_keeps_every_seed(identity: Scenario, customers: pl.DataFrame) -> None:
    table = template_variants(identity.with_counts(variants_per_seed=0), customers.head(6).to_dicts())
    assert table.filter(~pl.col("accepted")).select("template_id", "reason").to_dicts() == []


# --- render


def test_every_wording_of_every_unit_keeps_the_rules_and_states_its_facts(
    family: IdentityFamily, questions: list[SentenceTemplate], customers: pl.DataFrame
) -> None:
    rows = customers.to_dicts()
    for number, question in enumerate(questions):
        for turn in range(8):
            row = rows[(number * 8 + turn) % len(rows)]
            sample = family.render(question, row, lone_scene(turn)).sample
            assert family.verify(sample) == [], (question.seed, sample)
            assert set(family.content.units[question.unit].requires) <= set(family.kept(sample.answer))


def test_an_answer_names_only_what_the_question_told(identity: Scenario, customers: pl.DataFrame) -> None:
    row = customers.row(0, named=True)
    plain = parse_template("你叫什么", "t", unit="name")
    named = parse_template("我是{{称呼}}，你叫什么", "t", unit="name")
    plain_answers = {identity.family.render(plain, row, lone_scene(n)).answer for n in range(40)}
    named_answers = {identity.family.render(named, row, lone_scene(n)).answer for n in range(40)}
    assert len(plain_answers) >= 3
    assert not any(row["称呼"] in answer or row["商品"] in answer for answer in plain_answers)
    assert any(row["称呼"] in answer for answer in named_answers)
    assert plain_answers < named_answers


def test_a_fact_with_several_wordings_is_said_in_each(identity: Scenario, customers: pl.DataFrame) -> None:
    hours = parse_template("几点下班", "t", unit="hours")
    answers = [identity.family.render(hours, customers.row(0, named=True), lone_scene(n)).answer for n in range(20)]
    assert any("每天9点到22点" in answer for answer in answers)
    assert any("每天早上9点到晚上10点" in answer for answer in answers)


def test_a_question_of_no_unit_is_refused(identity: Scenario, customers: pl.DataFrame) -> None:
    with pytest.raises(TemplateError, match=r"'weather'; allowed are the units of facts.yaml: who"):
        rendered_alone(identity, parse_template("下雨吗", "t", unit="weather"), customers.row(0, named=True))


# --- facts.yaml and the answers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A writable copy of the scenario."""
    return Path(shutil.copytree(SCENARIOS / "self_identity", tmp_path / "self_identity"))


@pytest.mark.parametrize(
    ("found", "replaced", "told"),
    [
        ("requires: [上线时间]", "requires: [血型]", r"units.age.requires.*'血型'; allowed are 名字"),
        ('age: {signs: "', 'age: {signs: "(', "is no regular expression"),
        ("said: [AI客服]", "said: []", r"facts.身份.said"),
        ("\nlength:", "\nlengths:", "lengths"),
    ],
)
def test_a_broken_file_is_explained(folder: Path, identity: Scenario, found: str, replaced: str, told: str) -> None:
    replace_once(folder / "facts.yaml", found, replaced)
    with pytest.raises(ScenarioError, match=told) as error:
        IdentityFamily(Definition(folder, identity.slots))
    assert "facts.yaml" in str(error.value)


def test_an_answer_that_misses_a_required_fact_is_named(folder: Path, identity: Scenario) -> None:
    (folder / "templates" / "bot" / "who" / "09.j2").write_text("我是{{事实.名字}}。", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"who/09.j2: must state \{\{事实.身份\}\}"):
        IdentityFamily(Definition(folder, identity.slots))


def test_a_unit_needs_an_answer_that_suits_every_question(folder: Path, identity: Scenario) -> None:
    answers = folder / "templates" / "bot" / "age"
    for path in answers.iterdir():
        path.unlink()
    (answers / "01.j2").write_text("{{称呼}}，我{{事实.上线时间}}。", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"age: no answer without slots of the question"):
        IdentityFamily(Definition(folder, identity.slots))


def test_an_answer_may_name_known_facts_only(folder: Path, identity: Scenario) -> None:
    (folder / "templates" / "bot" / "who" / "09.j2").write_text("我是{{事实.星座}}。", encoding="utf-8")
    with pytest.raises(TemplateError, match=r"unknown slot '事实\.星座'"):
        IdentityFamily(Definition(folder, identity.slots))


# --- facts


def test_the_longest_fact_counts(family: IdentityFamily) -> None:
    assert set(family.kept("我由青禾生活馆的技术团队开发。")) == {"开发者"}
    assert set(family.kept("青禾生活馆的小象，青禾生活馆的技术团队开发")) == {"店铺", "名字", "开发者"}
    assert family.kept("你好") == {}


@pytest.mark.parametrize(
    "text",
    [
        "我就是ChatGPT。",
        "我叫小爱同学",
        "我由OpenAI开发。",
        "开发我的是阿里。",
        "我是真人客服。",
        "我是一名真人",
        "我不是机器人。",
        "我可以直接退款。",
        "我马上帮您改价",
    ],
)
def test_a_false_claim_is_found(family: IdentityFamily, text: str) -> None:
    assert family.false_claim(text)
    assert rules(family, ANSWER + text + "。") == {"claim"}


@pytest.mark.parametrize(
    "text",
    [
        "我不是ChatGPT，我是小象。",
        "我和天猫精灵没有关系。",
        "我不是真人。",
        "我不能直接退款，也不能改价。",
        "想找人工同事的话，回复“转人工”就行。",
        "我不会变成DeepSeek。",
        "您买的苹果手机我帮您查物流。",
    ],
)
def test_a_denial_of_what_is_false_is_none(family: IdentityFamily, text: str) -> None:
    assert family.false_claim(text) == ""


# --- rules


@pytest.mark.parametrize(
    ("answer", "message", "rule"),
    [
        (ANSWER.replace("小象", "小鹿"), WHO, "facts"),
        ("我是青禾生活馆的AI客服，有事您说。", WHO, "facts"),
        ("好的，请问有什么可以帮您的呢，欢迎光临。", "嗯", "facts"),
        (ANSWER + "人工每天9点到23点在。", WHO, "number"),
        (ANSWER.replace("您好", "李女士"), WHO, "name"),
        (ANSWER * 8, WHO, "length"),
        ("小象", "你叫什么", "length"),
        (f"客服：{ANSWER}", WHO, "plain"),
        (f'{{"answer": "{ANSWER}"}}', WHO, "plain"),
        (ANSWER[:-4], WHO, "cut"),
    ],
)
def test_a_broken_rule_is_found(family: IdentityFamily, answer: str, message: str, rule: str) -> None:
    assert rules(family, ANSWER) == set()
    assert rule in rules(family, answer, message)


def test_a_question_of_two_units_is_served_by_either(family: IdentityFamily) -> None:
    message = "不想跟机器人聊，转人工"
    assert rules(family, "我是AI客服小象，不是真人。", message) == set()
    assert rules(family, "好的，您回复“转人工”就可以。", message) == set()
    assert rules(family, "我叫小象，很高兴认识您。", message) == {"facts"}


def test_the_name_of_another_model_shows_its_unit(family: IdentityFamily) -> None:
    assert rules(family, "我是小象，很高兴认识您。", "你是不是Kimi") == {"facts"}
    assert rules(family, "我是小象，由青禾生活馆的技术团队开发。", "你是不是Kimi") == set()


# --- corrupt


@given(data=st.data(), seed=SEEDS)
def test_a_corruption_is_never_exact_and_is_of_the_family_asked_for(
    family: IdentityFamily, samples: st.SearchStrategy[Sample], data: st.DataObject, seed: int
) -> None:
    sample = data.draw(samples)
    wanted = data.draw(st.sampled_from(family.corruption_families))
    made = family.corrupt(sample, random.Random(seed), [wanted])
    assert made is not None
    assert made.family == wanted
    assert made.kind in family.corruptions[wanted]
    assert family.score(made.answer, sample.answer).exact == 0
    assert family.corrupt(sample, random.Random(seed), [wanted]) == made


def test_there_are_six_kinds_in_three_families_and_all_occur(
    family: IdentityFamily, questions: list[SentenceTemplate], customers: pl.DataFrame
) -> None:
    samples = [
        family.render(questions[number % len(questions)], row, lone_scene(number)).sample
        for number, row in enumerate(customers.to_dicts())
    ]
    made, caught = counted_corruptions(family, samples)
    assert len(family.corruptions) >= 3
    assert set(made) == {kind for kinds in family.corruptions.values() for kind in kinds}
    for obvious in ("other_model", "human", "power", "refusal", "dressed", "cut"):
        assert caught[obvious] == made[obvious]
    for subtle in ("wrong_店铺", "wrong_在线时间", "wrong_名字"):
        assert 0 < caught[subtle] < made[subtle]


def test_every_line_of_false_claims_is_one(family: IdentityFamily) -> None:
    worse = family.content.worse
    for line in (*worse.human, *worse.power, *(line.replace("$model", "Kimi") for line in worse.other_model)):
        assert family.false_claim(line), line


# --- score


@given(data=st.data())
def test_the_answer_itself_scores_full(
    family: IdentityFamily, samples: st.SearchStrategy[Sample], data: st.DataObject
) -> None:
    sample = data.draw(samples)
    score = family.score(sample.answer, sample.answer)
    assert score.exact == score.strict_json == score.field_accuracy == 1


@given(prediction=st.text() | st.text("小象青禾生活馆AI客服不是真人能退款0123 {}[]*：\n"))
def test_any_text_gets_a_score(family: IdentityFamily, prediction: str) -> None:
    score = family.score(prediction, ANSWER)
    assert set(score.fields) == {"名字", "店铺", "身份", "无虚假"}
    assert score.exact in (0, 1)
    assert all(0 <= value <= 1 for value in (score.strict_json, score.field_accuracy, *score.fields.values()))


def test_exact_means_the_facts_and_not_the_words(family: IdentityFamily) -> None:
    score = family.score("哈喽～我是青禾生活馆的小象，一个AI客服，很高兴见到您！", ANSWER)
    assert score.exact == 1


@given(data=st.data())
def test_all_facts_at_once_are_no_answer(
    family: IdentityFamily, samples: st.SearchStrategy[Sample], data: st.DataObject
) -> None:
    answer = data.draw(samples).answer
    score = family.score("，".join(fact.said[0] for fact in family.content.facts.values()) + "。", answer)
    assert score.exact == 0
    assert {name for name, value in score.fields.items() if value} == {"无虚假"}


def test_an_answer_may_state_as_much_as_another_to_its_question(
    family: IdentityFamily, questions: list[SentenceTemplate], customers: pl.DataFrame
) -> None:
    row = customers.row(0, named=True)
    for question in questions:
        answers = {family.render(question, row, lone_scene(n)).answer for n in range(6)}
        for answer, other in itertools.permutations(answers, 2):
            if family.kept(answer).keys() <= family.kept(other).keys():
                assert family.score(other, answer).exact == 1, (answer, other)


@pytest.mark.parametrize(
    ("prediction", "wrong"),
    [
        ("我叫小鹿，是青禾生活馆的AI客服。", {"名字"}),
        ("我叫小象，是青禾生活馆的真人客服，我是真人。", {"身份", "无虚假"}),
        ("我是通义千问。", {"名字", "店铺", "身份", "无虚假"}),
        (ANSWER + "其实我就是ChatGPT。", {"无虚假"}),
        ("好的，请问有什么可以帮您？", {"名字", "店铺", "身份", "无虚假"}),
        ("", {"名字", "店铺", "身份", "无虚假"}),
    ],
)
def test_the_fields_say_what_is_wrong(family: IdentityFamily, prediction: str, wrong: set[str]) -> None:
    score = family.score(prediction, ANSWER)
    assert {name for name, value in score.fields.items() if not value} == wrong
    assert score.exact == 0


def test_the_right_facts_in_a_wrong_dress_are_not_exact(family: IdentityFamily) -> None:
    score = family.score(f"客服：{ANSWER}", ANSWER)
    assert (score.exact, score.strict_json, score.field_accuracy) == (0, 0, 1)


# --- measures


@pytest.mark.parametrize(
    ("prediction", "answer", "told"),
    [
        (ANSWER, ANSWER, 1),
        ("我是 ａｉ 客服，叫小象，在青禾生活馆", ANSWER, 1),
        ("我叫小鹿，是青禾生活馆的AI客服。", ANSWER, 2 / 3),
        ("我是2024年六月正式上线的哦", "我2024年6月上线，您算算我多大，哈哈。", 1),
        ("人工客服每天9:00-22:00都在", "好的，人工同事每天早上9点到晚上10点在。", 1),
        ("人工客服每天9:00-21:00都在", "好的，人工同事每天早上9点到晚上10点在。", 0),
        ("这个我没办法退款，您回复转人工吧", "我不能直接退款，请回复“转人工”。", 1),
        ("可以退款的，您回复转人工吧", "我不能直接退款，请回复“转人工”。", 1 / 2),
        ("", ANSWER, 0),
    ],
)
def test_a_fact_may_be_told_in_other_words(family: IdentityFamily, prediction: str, answer: str, told: float) -> None:
    assert family.measures(prediction, answer)["facts_told"] == pytest.approx(told)


@given(data=st.data())
def test_every_answer_tells_its_own_facts(
    family: IdentityFamily, samples: st.SearchStrategy[Sample], data: st.DataObject
) -> None:
    sample = data.draw(samples)
    assert family.measures(sample.answer, sample.answer) == {"facts_told": 1}
