"""Reply: the pairs, the policy, the rules, the corruptions, the scores, and new pairs by an LLM."""

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.complaints import complaints_atoms
from cs_assets.families.base import Sample, Violation
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.reply.family import POINT_OF, Pair, ReplyFamily, pair_prompt, read_pair
from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.samples.render import render_samples
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
MESSAGE = "半个月了保温杯还没到，物流一直停在杭州不动"
REPLY = (
    "让您等了半个月，真的很抱歉。保温杯的物流停在杭州没更新，我这就联系快递网点核实，24小时内把结果发给您；"
    "不想再等的话，也可以在订单页申请退款。"
)
ENGLISH = "where is my desk lamp??? DHL was supposed to deliver it days ago"
ENGLISH_REPLY = (
    "I understand how frustrating this is, and I'm sorry your desk lamp is late. I'm contacting DHL right now to find "
    "out where the parcel is, and I'll send you an update within 24 hours. Please keep an eye on your messages."
)


@pytest.fixture(scope="module")
def reply() -> Scenario:
    return committed("empathetic_reply")


@pytest.fixture(scope="module")
def family(reply: Scenario) -> ReplyFamily:
    assert isinstance(reply.family, ReplyFamily)
    return reply.family


@pytest.fixture(scope="module")
def queries(reply: Scenario) -> list[SentenceTemplate]:
    return list(reply.seeds().values())


@pytest.fixture(scope="module")
def complaints(reply: Scenario) -> pl.DataFrame:
    return complaints_atoms(300, reply.spec.seed)


@pytest.fixture(scope="module")
def samples(reply: Scenario, queries: list[SentenceTemplate], complaints: pl.DataFrame) -> st.SearchStrategy[Sample]:
    return drawn_samples(reply, queries, complaints)


def verified(family: ReplyFamily, answer: str) -> list[Violation]:
    return family.verify(Sample(message=MESSAGE, answer=answer))


def rules(family: ReplyFamily, answer: str, message: str = MESSAGE) -> set[str]:
    return broken_rules(family, answer, message)


# --- the scenario


def test_there_are_enough_pairs_in_both_languages(queries: list[SentenceTemplate]) -> None:
    english = [query for query in queries if query.seed.endswith("english") or "english" in query.seed]
    assert len(queries) - len(english) >= 60
    assert len(english) >= 15
    assert min(Counter(query.unit for query in queries).values()) >= 4


def test_every_topic_has_its_pairs_and_every_folder_its_topic(
    family: ReplyFamily, queries: list[SentenceTemplate]
) -> None:
    assert {query.unit for query in queries} == set(family.policy.topics)


# --- pairs


def test_every_wording_of_every_pair_keeps_the_rules(
    family: ReplyFamily, queries: list[SentenceTemplate], complaints: pl.DataFrame
) -> None:
    rows = complaints.to_dicts()
    for number, query in enumerate(queries):
        for turn in range(6):
            row = rows[(number * 6 + turn) % len(rows)]
            sample = family.render(query, row, lone_scene(turn)).sample
            assert family.verify(sample) == [], (query.seed, sample)


def test_a_pair_may_have_several_replies(reply: Scenario, complaints: pl.DataFrame) -> None:
    query, row = reply.seeds()["late/01_stuck"], complaints.row(0, named=True)
    replies = {reply.family.render(query, row, lone_scene(n)).answer for n in range(20)}
    assert len(replies) == 2
    assert all(row["商品"] in text and row["城市"] in text for text in replies)


def test_a_variant_is_answered_by_the_reply_of_its_pair(reply: Scenario, complaints: pl.DataFrame) -> None:
    row = complaints.row(0, named=True)
    variant = parse_template("在吗 {{商品}}的发票咋开 抬头{{抬头}}哈", "invoice/01_how-03", seed="invoice/01_how")
    answer = rendered_alone(reply, variant, row).answer
    assert f"抬头填{row['抬头']}" in answer


def test_every_rendered_sample_is_answered_by_a_reply_of_its_pair(reply: Scenario) -> None:
    small = reply.with_counts(
        variants_per_seed=1,
        judge=8,
        train=100,
        validation=0,
        test_iid=0,
        test_template_ood=30,
        test_entity_ood=0,
        test_noise=0,
    )
    atoms = complaints_atoms(600, seed=5)
    table = template_variants(small, atoms.head(4).to_dicts())
    rendered = render_samples(small, table, atoms)
    bot = SCENARIOS / "empathetic_reply" / "templates" / "bot"
    for template_id, answer in rendered.select("template_id", "answer").iter_rows():
        pair = template_id.rpartition("-")[0]
        replies = [path.read_text(encoding="utf-8").strip() for path in bot.glob(f"{pair}*.j2")]
        patterns = [".+".join(map(re.escape, re.split(r"\{\{.*?\}\}", text))) for text in replies]
        assert any(re.fullmatch(pattern, answer) for pattern in patterns), (pair, answer)


def test_the_table_of_variants_keeps_every_seed(reply: Scenario, complaints: pl.DataFrame) -> None:
    table = template_variants(reply.with_counts(variants_per_seed=0), complaints.head(4).to_dicts())
    assert table.filter(~pl.col("accepted")).select("template_id", "reason").to_dicts() == []


def test_a_template_of_no_pair_is_refused(reply: Scenario, complaints: pl.DataFrame) -> None:
    stranger = parse_template("{{商品}}呢", "t", seed="late/99")
    with pytest.raises(TemplateError, match=r"late/99.*no reply"):
        rendered_alone(reply, stranger, complaints.row(0, named=True))


def test_a_reply_may_not_know_more_than_the_query(reply: Scenario, complaints: pl.DataFrame) -> None:
    query = parse_template("发票怎么开", "t", seed="invoice/01_how")
    with pytest.raises(TemplateError, match="does not stand in the query"):
        rendered_alone(reply, query, complaints.row(0, named=True))


# --- the files of the folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A writable copy of the scenario."""
    return Path(shutil.copytree(SCENARIOS / "empathetic_reply", tmp_path / "empathetic_reply"))


def broken_family(folder: Path, slots: frozenset[str]) -> Callable[[], ReplyFamily]:
    return lambda: ReplyFamily(Definition(folder, slots))


@pytest.mark.parametrize(("side", "other"), [("human", "bot"), ("bot", "human")])
def test_a_pair_without_a_partner_is_named(folder: Path, reply: Scenario, side: str, other: str) -> None:
    (folder / "templates" / side / "late" / "99_alone.j2").write_text("{{商品}}", encoding="utf-8")
    with pytest.raises(ScenarioError, match=rf"{side}/late/99_alone.j2: has no partner.*{other}/late/99_alone.j2"):
        broken_family(folder, reply.slots)()


@pytest.mark.parametrize(
    ("found", "replaced", "told"),
    [
        ("may: [price_difference]", "may: [gold]", r"topics.price_drop.may.*'gold'; allowed are refund"),
        ("signs: 漏发", "signs: (漏发", "is no regular expression"),
        ("length:", "lengths:", "lengths"),
    ],
)
def test_a_broken_policy_is_explained(folder: Path, reply: Scenario, found: str, replaced: str, told: str) -> None:
    replace_once(folder / "policy.yaml", found, replaced)
    with pytest.raises(ScenarioError, match=told) as error:
        broken_family(folder, reply.slots)()
    assert "policy.yaml" in str(error.value)


# --- rules


def test_good_replies_keep_the_rules(family: ReplyFamily) -> None:
    assert rules(family, REPLY) == set()
    assert rules(family, ENGLISH_REPLY, ENGLISH) == set()


@pytest.mark.parametrize(
    ("found", "replaced", "rule"),
    [
        ("24小时内", "2小时内", "span"),
        ("24小时内", "明天", "span"),
        ("半个月", "一个月", "span"),
        ("真的很抱歉。", "真的很抱歉，先退您20元。", "span"),
        ("保温杯的", "台灯的", "contradiction"),
        ("让您", "李女士，让您", "contradiction"),
        ("24小时内", "24小时内补偿您，", "compensation"),
        ("24小时内", "保证24小时内", "guarantee"),
        ("不想再等的话，也可以在订单页申请退款", "我现在就给您全额退款", "granted_refund"),
        ("真的很抱歉。", "是您自己没看清预计时间。", "blame"),
        ("让您", "作为一个AI语言模型，让您", "machine"),
        ("真的很抱歉", "加我微信细说", "contact"),
        ("申请退款", "申请换货", "commitment"),
        ("让您", "客服：让您", "plain"),
        ("申请退款。", "申请", "cut"),
        ("真的很抱歉。", "真的很抱歉。真的很抱歉。真的很抱歉。", "repeated"),
    ],
)
def test_a_broken_rule_is_found(family: ReplyFamily, found: str, replaced: str, rule: str) -> None:
    assert found in REPLY
    assert rule in rules(family, REPLY.replace(found, replaced, 1))


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        (ENGLISH_REPLY, "language"),
        (MESSAGE, "echo"),
        (f"您好，您说的是：{MESSAGE}。", "echo"),
        ("抱歉。", "length"),
        ("抱歉" * 200 + "。", "length"),
        ("您好，谢谢您对本店的支持和理解，祝您生活愉快，欢迎下次光临本店，我们将竭诚为您服务。", "issue"),
        ("您好，您的保温杯的物流确实很慢，我们感到非常抱歉，这样的事情让人很不愉快，我们深有同感。", "next_step"),
        ("", "length"),
    ],
)
def test_a_reply_that_is_none_is_found(family: ReplyFamily, answer: str, rule: str) -> None:
    assert rule in rules(family, answer)


@pytest.mark.parametrize("broken", ["a discount", "a guarantee", "it by Friday", "it within 2 hours", "a $5 voucher"])
def test_english_promises_are_found(family: ReplyFamily, broken: str) -> None:
    assert rules(family, ENGLISH_REPLY.replace("an update within 24 hours", broken), ENGLISH) & {
        "span",
        "compensation",
        "guarantee",
    }


def test_what_the_query_says_may_be_said_again(family: ReplyFamily) -> None:
    message = MESSAGE.replace("半个月", "说好周五前，") + "，花了159块"
    assert rules(family, REPLY.replace("半个月", "过了周五前的时间，159元的东西"), message) == set()


def test_full_width_and_voice_to_text_messages_are_understood(family: ReplyFamily) -> None:
    spoken = MESSAGE.replace("，", "")
    assert family.topics_of(spoken) == family.topics_of(MESSAGE) == ["late"]
    wide = "Ｗｈｅｒｅ ｉｓ ｍｙ desk lamp？？？ DHL ｗａｓ ｓｕｐｐｏｓｅｄ ｔｏ ｄｅｌｉｖｅｒ ｉｔ"
    assert rules(family, ENGLISH_REPLY, wide) == set()


def test_where_no_topic_is_recognised_any_policy_may_be_kept(family: ReplyFamily) -> None:
    message = "保温杯，唉"
    assert family.topics_of(message) == []
    assert rules(family, REPLY.replace("半个月", "很久").replace("杭州", "路上"), message) == set()


# --- corrupt


@given(data=st.data(), seed=SEEDS)
def test_a_corruption_is_never_exact_and_is_of_the_family_asked_for(
    family: ReplyFamily, samples: st.SearchStrategy[Sample], data: st.DataObject, seed: int
) -> None:
    sample = data.draw(samples)
    wanted = data.draw(st.sampled_from(family.corruption_families))
    made = family.corrupt(sample, random.Random(seed), [wanted])
    if made is None:
        assert wanted == "facts"
        return
    score = family.score(made.answer, sample.answer)
    assert made.family == wanted
    assert made.kind in family.corruptions[wanted]
    assert score.exact == 0
    assert not any(name in made.answer for name in ("$product", "$about", "$query", "$reply"))
    assert family.corrupt(sample, random.Random(seed), [wanted]) == made


def test_there_are_six_kinds_in_three_families_and_all_occur(
    reply: Scenario, family: ReplyFamily, queries: list[SentenceTemplate], complaints: pl.DataFrame
) -> None:
    rows = complaints.head(200).to_dicts()
    samples = [rendered_alone(reply, queries[n % len(queries)], row).sample for n, row in enumerate(rows)]
    made, caught = counted_corruptions(family, samples)
    assert len(family.corruptions) >= 3
    assert set(made) == {kind for kinds in family.corruptions.values() for kind in kinds}
    for obvious in (
        "invented_refund",
        "invented_compensation",
        "invented_date",
        "guarantee",
        "echo",
        "cut",
        "dressed",
        "wrong_language",
    ):
        assert caught[obvious] == made[obvious]
    for subtle in ("cold", "blaming", "generic", "end_missing"):
        assert caught[subtle] < made[subtle] * 0.7


@pytest.mark.parametrize(
    ("kind", "there"),
    [("other_product", "保温杯"), ("other_name", "王女士"), ("other_number", "159"), ("other_term", "24小时内")],
)
def test_a_contradiction_takes_the_place_of_the_fact(family: ReplyFamily, kind: str, there: str) -> None:
    sample = Sample(
        message="我是王女士，保温杯扣了我两次159元，处理一下",
        answer="王女士，保温杯这单扣了两次159元，抱歉。我马上请财务核对扣款，24小时内回您；多扣的1-3个工作日原路退回。",
    )
    assert family.verify(sample) == []
    [make] = [kinds[kind] for kinds in family.corruptions.values() if kind in kinds]
    answers = [make(sample, random.Random(seed)) for seed in range(20)]
    assert all(answer is not None and answer != sample.answer for answer in answers)
    if kind != "other_term":
        assert all(answer is not None and there not in answer for answer in answers)
    assert any(family.verify(Sample(message=sample.message, answer=answer or "")) for answer in answers)


# --- rubric


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        (REPLY, 1.0),
        (REPLY.replace("真的很抱歉。", "是您自己没看清预计时间。"), 0.8),
        (REPLY.replace("24小时内", "明天"), 0.8),
        (REPLY.replace("24小时内", "24小时内补偿您，保证"), 0.8),
        (REPLY.replace("保温杯的", "台灯的").replace("24小时内", "明天"), 0.6),
        (ENGLISH_REPLY, 0.4),
        ("", 0.4),
    ],
)
def test_a_grade_is_the_share_of_points_that_nothing_speaks_against(
    family: ReplyFamily, answer: str, grade: float
) -> None:
    assert family.grade(Sample(message=MESSAGE, answer=answer)) == pytest.approx(grade)


def test_every_rule_that_a_reply_can_break_belongs_to_a_point(family: ReplyFamily) -> None:
    named = {violation.rule for answer in ("", ENGLISH_REPLY, MESSAGE) for violation in verified(family, answer)}
    assert named - set(family.policy.forbidden) <= set(POINT_OF)


def test_the_rubric_says_what_this_query_allows(family: ReplyFamily) -> None:
    rubric = family.rubric(MESSAGE)
    assert len(rubric.splitlines()) == 6
    assert all(words in rubric for words in ("（物流）", "refund", "24小时", "40到200个字符", "用中文回复"))
    assert "补发" not in rubric
    assert "24 hours" not in rubric


def test_the_rubric_of_an_english_query_wants_english(family: ReplyFamily) -> None:
    rubric = family.rubric(ENGLISH)
    assert "用英文（English）回复，120到560个字符" in rubric
    assert "24 hours" in rubric


def test_where_no_topic_is_recognised_the_rubric_allows_what_any_topic_allows(family: ReplyFamily) -> None:
    rubric = family.rubric("保温杯，唉")
    assert "顾客说的那件事" in rubric
    assert "price_difference" in rubric


# --- score


@given(data=st.data())
def test_the_answer_itself_scores_full(
    family: ReplyFamily, samples: st.SearchStrategy[Sample], data: st.DataObject
) -> None:
    sample = data.draw(samples)
    score = family.score(sample.answer, sample.answer)
    assert score.exact == score.strict_json == 1
    assert score.fields == pytest.approx({"chrf": 1, "policy": 1, "language": 1, "issue": 1})


@given(prediction=st.text() | st.text('保温杯24小时内退款明天 $%{}[]\\"AI元'))
def test_any_text_gets_a_score(family: ReplyFamily, prediction: str) -> None:
    score = family.score(prediction, REPLY)
    assert score.exact in (0, 1)
    assert all(0 <= value <= 1 for value in (score.strict_json, score.field_accuracy, *score.fields.values()))


@pytest.mark.parametrize(
    ("prediction", "fields"),
    [
        (ENGLISH_REPLY, {"language": 0, "issue": 0}),
        (REPLY.replace("24小时内", "明天"), {"policy": 0, "language": 1, "issue": 1}),
        (REPLY.replace("保温杯", "台灯"), {"issue": 0, "policy": 0, "language": 0}),
        (REPLY * 2, {"issue": 0, "policy": 0, "language": 0}),
        ("送您一张优惠券。", {"policy": 0, "issue": 0}),
        ("", {"chrf": 0, "policy": 0, "language": 0, "issue": 0}),
    ],
)
def test_the_fields_say_what_is_wrong(family: ReplyFamily, prediction: str, fields: dict[str, float]) -> None:
    found = family.score(prediction, REPLY).fields
    assert {name: found[name] for name in fields} == fields


# What is polite and says nothing, of one length or another.
EMPTY = (
    "好",
    "您好。",
    "抱歉。",
    "Sorry.",
    "您好，您反馈的物流问题我们已经收到，会尽快安排专人为您处理，给您带来的不便敬请谅解，感谢您的支持与理解。",
    "亲，非常抱歉给您带来不好的购物体验，退款和发货的问题我们会高度重视，马上帮您核实处理，请您耐心等待，祝您生活愉快。",
    "Dear customer, we have received your message about the delivery and will handle it as soon as possible. "
    "Please accept our apology for any inconvenience, thank you for your patience.",
)


@pytest.fixture(scope="module")
def replies(family: ReplyFamily, queries: list[SentenceTemplate], complaints: pl.DataFrame) -> dict[str, list[str]]:
    """All replies of each pair, filled with one row of atoms a pair."""
    rows = zip(queries, complaints.to_dicts(), strict=False)
    filled = {
        query.seed: sorted({family.render(query, row, lone_scene(n)).answer for n in range(8)}) for query, row in rows
    }
    assert sum(len(wordings) > 1 for wordings in filled.values()) >= 20
    return filled


def test_an_empty_phrase_and_a_dressed_reply_are_below_every_fitting_reply(
    family: ReplyFamily, replies: dict[str, list[str]]
) -> None:
    for wordings in replies.values():
        for answer in wordings:
            dressed = (json.dumps({"reply": answer}, ensure_ascii=False), f"```\n{answer}\n```", f"客服：{answer}")
            empty = {text: family.score(text, answer).field_accuracy for text in (*EMPTY, *dressed, answer * 2)}
            fitting = {text: family.score(text, answer).field_accuracy for text in wordings}
            assert max(empty.values()) < min(fitting.values()), (answer, empty, fitting)


def test_the_reply_of_another_pair_is_far_below_a_fitting_one(
    family: ReplyFamily, replies: dict[str, list[str]]
) -> None:
    pairs = list(replies.values())
    fitting = [
        family.score(text, answer).field_accuracy
        for texts in pairs
        for answer in texts
        for text in texts
        if text != answer
    ]
    others = [
        family.score(pairs[(number + step) % len(pairs)][0], texts[0]).field_accuracy
        for number, texts in enumerate(pairs)
        for step in (7, 20, 45)
    ]
    assert mean(fitting) > 0.6
    assert mean(others) < 0.15


@given(data=st.data(), phrase=st.sampled_from(EMPTY) | st.text("您好抱歉亲的请稍等。，", max_size=80))
def test_what_names_nothing_of_the_query_earns_nothing_but_likeness(
    family: ReplyFamily, samples: st.SearchStrategy[Sample], data: st.DataObject, phrase: str
) -> None:
    score = family.score(phrase, data.draw(samples).answer)
    assert score.fields["policy"] <= score.fields["issue"]
    assert score.fields["language"] <= score.fields["issue"]
    assert score.field_accuracy < 0.5


# --- new pairs by an LLM

SLOTS = frozenset({"商品", "等待", "城市"})
GOOD = {"query": "{{商品}}买了{{等待}}了，人呢", "reply": "让您等了{{等待}}，抱歉。{{商品}}我马上催。"}


def test_the_prompt_states_task_topic_policy_slots_and_examples(family: ReplyFamily) -> None:
    seeds = [Pair(query="{{商品}}呢", reply="抱歉，马上查{{商品}}。"), Pair(query="还没到", reply="抱歉，这就查。")]
    prompt = pair_prompt(family.policy, "lost", seeds, ["商品", "城市"])
    for wanted in ("丢件", "refund、replacement", "3个工作日", "{{商品}}  {{城市}}", '{"query": "…", "reply"', "中文"):
        assert wanted in prompt
    assert all(seed.model_dump_json() in prompt for seed in seeds)
    assert "business days" not in prompt
    assert prompt == pair_prompt(family.policy, "lost", seeds, ["商品", "城市"])
    assert prompt != pair_prompt(family.policy, "late", seeds, ["商品", "城市"])


def test_the_prompt_asks_for_english_by_english_seeds(family: ReplyFamily) -> None:
    prompt = pair_prompt(family.policy, "lost", [Pair(query=ENGLISH, reply=ENGLISH_REPLY)], ["en.item"])
    assert "English" in prompt
    assert "3 business days" in prompt
    assert "工作日" not in prompt


def test_the_prompt_needs_seeds_of_one_language_and_a_known_topic(family: ReplyFamily) -> None:
    both = [Pair(query=MESSAGE, reply=REPLY), Pair(query=ENGLISH, reply=ENGLISH_REPLY)]
    with pytest.raises(ValueError, match="in one language"):
        pair_prompt(family.policy, "late", both, [])
    with pytest.raises(ValueError, match="found 0"):
        pair_prompt(family.policy, "late", [], [])
    with pytest.raises(KeyError):
        pair_prompt(family.policy, "weather", both[:1], [])


@pytest.mark.parametrize("around", ["{}", "```json\n{}\n```", "好的，这是一组新的：\n{}\n希望有帮助。"])
def test_a_pair_is_read_from_any_dress(around: str) -> None:
    assert read_pair(around.replace("{}", json.dumps(GOOD, ensure_ascii=False)), SLOTS) == Pair(**GOOD)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"reply": None}, "a text was wanted"),
        ({"reply": "  "}, "a text was wanted"),
        ({"reply": ["抱歉"]}, "a text was wanted"),
        ({"query": "{{商品}}{{价格}}"}, "unknown slot '价格'"),
        ({"query": "{{商品"}, "query"),
        ({"query": "{% for x in y %}{% endfor %}"}, "may hold text and slots"),
        ({"reply": "抱歉，{{城市}}那边我催一下。"}, "does not stand in the query"),
        ({"reply": "Sorry about {{商品}}, we will check it now."}, "different languages"),
    ],
)
def test_a_bad_pair_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    found = read_pair(json.dumps(GOOD | changes, ensure_ascii=False), SLOTS)
    assert isinstance(found, str)
    assert reason in found


@pytest.mark.parametrize("text", ["", "抱歉，我做不到", '{"query": "只有一个键"}', '{"query": "断在这', "[]"])
def test_an_answer_without_a_pair_is_refused(text: str) -> None:
    assert isinstance(read_pair(text, SLOTS), str)


@given(text=st.text())
def test_any_answer_is_read_or_refused(text: str) -> None:
    assert isinstance(read_pair(text, SLOTS), str | Pair)
