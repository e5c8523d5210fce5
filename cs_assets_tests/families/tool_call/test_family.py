"""Tool calls: the truth of a sample, the functions on offer, the rules, the corruptions, the scores."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.tickets import tickets_atoms
from cs_assets.families.base import Sample, Scene
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.families.tool_call.answer import LEVELS, Answer, read_answer, read_repaired
from cs_assets.families.tool_call.family import ToolCallFamily
from cs_assets.families.tools import offer, read_offer
from cs_assets.scenario import Scenario, load_scenario
from cs_assets_tests.conftest import SCENARIOS

FOLDER = SCENARIOS / "ticket_tools"
SEEDS = st.integers(0, 10_000)
PLAIN = {"masked_share": 0.0, "withheld_share": 0.0}
NOTHING = '{"calls": [], "ask": []}'


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario("ticket_tools")


@pytest.fixture(scope="module")
def family(scenario: Scenario) -> ToolCallFamily:
    """The family with all functions known by name, none withheld."""
    return ToolCallFamily(Definition(FOLDER, scenario.slots, scenario.spec.options | PLAIN))


@pytest.fixture(scope="module")
def seeds(scenario: Scenario) -> list[SentenceTemplate]:
    return list(scenario.seeds().values())


@pytest.fixture(scope="module")
def atoms() -> list[dict[str, Any]]:
    return tickets_atoms(300, seed=5).to_dicts()


def rendered(family: ToolCallFamily, template: SentenceTemplate, row: dict[str, Any], seed: int = 0) -> Sample:
    return family.render(template, row, Scene(random.Random(seed), lambda unit: template)).sample


def sentence(scenario: Scenario, unit: str, text: str) -> SentenceTemplate:
    return parse_template(text, f"{unit}/t.j2", scenario.slots, unit)


def truth_of(
    scenario: Scenario, family: ToolCallFamily, unit: str, text: str, row: dict[str, Any], **changes: str
) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(rendered(family, sentence(scenario, unit, text), row | changes).answer)
    return answer


def sample_of(family: ToolCallFamily, message: str, answer: Any, *names: str) -> Sample:
    """Return a case that offers the functions named, all where none is."""
    tools = offer(family.tools[name] for name in (names or family.tools))
    return Sample(message=message, answer=json.dumps(answer, ensure_ascii=False), tools=tools)


def calls(*pairs: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"calls": [{"name": name, "arguments": arguments} for name, arguments in pairs], "ask": []}


# --- the truth


def test_arguments_are_copied_and_spoken_words_become_values(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    text = "{{会员身份}}，{{产品}}{{故障}}，{{上门时间}}来，{{称呼}}"
    row = {"会员身份": "我是VIP", "产品": "oppo reno 11", "故障": "屏碎了", "上门时间": "后天下午3点", "称呼": "王女士"}
    said = {"UserName": "王女士", "product": "oppo reno 11", "problem": "屏碎了", "ServeTime": "后天下午3点"}
    truth = truth_of(scenario, family, "TicketCreate", text, atoms[0], **row)
    assert truth == calls(("TicketCreate", said | {"isVIP": True}))
    # In the order of the schema, whatever the order of the message.
    assert list(truth["calls"][0]["arguments"]) == ["UserName", "product", "problem", "ServeTime", "isVIP"]
    denied = truth_of(scenario, family, "TicketCreate", text, atoms[0], **row | {"会员身份": "我还不是会员"})
    assert denied == calls(("TicketCreate", said | {"isVIP": False}))


def test_membership_that_is_not_mentioned_is_false_and_other_optional_arguments_are_left_out(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    text = "{{故障}}，{{上门时间}}，{{称呼}}"
    arguments = truth_of(scenario, family, "TicketCreate", text, atoms[0])["calls"][0]["arguments"]
    assert list(arguments) == ["UserName", "problem", "ServeTime", "isVIP"]
    assert arguments["isVIP"] is False


def test_one_slot_fills_the_parameter_that_the_function_has(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    row = atoms[0] | {"工单号": "wx11654890"}
    cancel = truth_of(scenario, family, "TicketCancel", "取消{{工单号}}", row)
    assert cancel == calls(("TicketCancel", {"ticket_id": "wx11654890"}))
    query = truth_of(scenario, family, "TicketQuery", "查{{工单号}}", row)
    assert query == calls(("TicketQuery", {"number": "wx11654890"}))


def test_what_is_required_and_missing_is_asked_for_and_nothing_called(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    truth = truth_of(scenario, family, "TicketCreate", "{{产品}}坏了，{{电话}}", atoms[0])
    missing = ["UserName", "problem", "ServeTime"]
    assert truth == {"calls": [], "ask": [{"name": "TicketCreate", "missing": missing}]}


def test_the_old_time_is_not_the_new_one(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    text = "{{旧上门时间}}没空，{{工单号}}换个时间"
    truth = truth_of(scenario, family, "TicketReschedule", text, atoms[0])
    assert truth["ask"] == [{"name": "TicketReschedule", "missing": ["ServeTime"]}]


def test_several_calls_stand_in_the_order_of_the_message(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    for text, names in (
        ("{{工单号}}到哪了，{{订单号}}呢", ["TicketQuery", "OrderStatus"]),
        ("{{订单号}}到哪了，{{工单号}}呢", ["OrderStatus", "TicketQuery"]),
    ):
        truth = truth_of(scenario, family, "TicketQuery+OrderStatus", text, atoms[0])
        assert [call["name"] for call in truth["calls"]] == names


def test_a_message_for_no_function_has_an_empty_answer(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    assert truth_of(scenario, family, "none", "订单{{订单号}}开张发票", atoms[0]) == json.loads(NOTHING)


def test_a_template_in_the_wrong_folder_or_with_two_numbers_is_an_error(
    scenario: Scenario, family: ToolCallFamily, atoms: list[dict[str, Any]]
) -> None:
    with pytest.raises(TemplateError, match=r"allowed are none and functions of tools\.json"):
        rendered(family, sentence(scenario, "TicketMake", "取消{{工单号}}"), atoms[0])
    with pytest.raises(TemplateError, match="two slots fill number of TicketQuery"):
        rendered(family, sentence(scenario, "TicketQuery", "查{{工单号}}，{{电话}}"), atoms[0])
    with pytest.raises(TemplateError, match="'十星' is no word for score"):
        rendered(family, sentence(scenario, "TicketRate", "{{完工单号}}{{评分}}"), atoms[0] | {"评分": "十星"})


# --- the offer


def test_the_offer_holds_what_is_needed_within_the_bounds(
    family: ToolCallFamily, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]]
) -> None:
    sizes = set()
    for number, template in enumerate(seeds):
        sample = rendered(family, template, atoms[number], seed=number)
        offered = read_offer(sample.tools)
        answer = Answer.model_validate_json(sample.answer)
        assert {call.name for call in answer.calls} | {ask.name for ask in answer.ask} <= set(offered)
        assert len(sample.tools) <= family.settings.longest
        sizes.add(len(offered))
    assert sizes == {2, 3, 4}


def test_masked_names_are_used_in_the_call_too(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]]
) -> None:
    masked = ToolCallFamily(Definition(FOLDER, scenario.slots, {"masked_share": 1.0, "withheld_share": 0.0}))
    for number, template in enumerate(seeds):
        sample = rendered(masked, template, atoms[number], seed=number)
        assert not set(read_offer(sample.tools)) & set(masked.tools)
        assert masked.verify(sample) == []


def test_a_function_that_is_withheld_is_not_called(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]]
) -> None:
    withheld = ToolCallFamily(Definition(FOLDER, scenario.slots, {"masked_share": 0.0, "withheld_share": 1.0}))
    for number, template in enumerate(seeds):
        sample = rendered(withheld, template, atoms[number], seed=number)
        assert (sample.answer == NOTHING) == ("+" not in template.unit)
        assert template.unit not in read_offer(sample.tools)


def test_the_scenario_s_shares(scenario: Scenario, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]]) -> None:
    """About a tenth fits no function, a tenth asks for several, 10 to 15 % lack an argument."""
    family = scenario.family
    assert isinstance(family, ToolCallFamily)
    answers = [
        Answer.model_validate_json(rendered(family, template, atoms[number], seed=turn * 1_000 + number).answer)
        for turn in range(6)
        for number, template in enumerate(seeds)
    ]
    assert 0.08 <= sum(answer.is_empty for answer in answers) / len(answers) <= 0.13
    assert 0.10 <= sum(bool(answer.ask) for answer in answers) / len(answers) <= 0.15
    assert 0.08 <= sum(len(answer.calls) > 1 for answer in answers) / len(answers) <= 0.14


# --- the rules


def test_every_seed_gives_samples_that_keep_the_rules(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]]
) -> None:
    family = scenario.family
    assert len(seeds) >= 40
    for number, template in enumerate(seeds):
        for row in atoms[number::150]:
            assert family.check_template(template, row) == [], template.source
            assert isinstance(family, ToolCallFamily)
            assert family.verify(rendered(family, template, row, seed=number)) == [], template.source


def test_each_example_offers_functions(scenario: Scenario) -> None:
    assert all(read_offer(example.tools) for example in scenario.examples()[0])


MESSAGE = "我是vip客户，联想笔记本花屏，后天下午3点来，王女士13575759478，单号WX11654890"
CREATE = {"UserName": "王女士", "problem": "花屏", "ServeTime": "后天下午3点", "isVIP": True}


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("好的", "strict_json"),
        ([], "strict_json"),
        ({"calls": [], "ask": [], "thought": "无"}, "strict_json"),
        (calls(("TicketMake", CREATE)), "function"),
        (calls(("TicketCreate", CREATE | {"isVIP": "true"})), "type"),
        (calls(("TicketCreate", CREATE | {"isVIP": False})), "spoken"),
        (calls(("TicketCreate", CREATE | {"UserName": "王小姐"})), "copied"),
        (calls(("TicketCreate", CREATE | {"ServeTime": "2026-06-12"})), "copied"),
        (calls(("TicketCreate", CREATE | {"address": "深圳"})), "copied"),
        (calls(("TicketCreate", CREATE | {"remark": "快"})), "unknown"),
        (calls(("TicketCreate", {"UserName": "王女士", "problem": "花屏", "isVIP": True})), "required"),
        (calls(("TicketCreate", dict(reversed(CREATE.items())))), "canonical"),
        (calls(("TicketCreate", CREATE | {"ServeTime": "花屏"})), "execution"),
        (calls(("SearchSolution", {"problem": "联想笔记本", "product": "花屏"})), "execution"),
        (calls(("TicketRate", {"ticket_id": "WX11654890", "score": 3})), "spoken"),
        (calls(("TicketCancel", {"ticket_id": "WX1165489"})), "shape"),
        (calls(("TicketCreate", CREATE), ("TicketCreate", CREATE)), "doubled"),
        ({"calls": [], "ask": [{"name": "TicketMake", "missing": ["ServeTime"]}]}, "function"),
        ({"calls": [], "ask": [{"name": "TicketCreate", "missing": ["phone"]}]}, "ask"),
        ({"calls": [], "ask": [{"name": "TicketCreate", "missing": ["isVIP"]}]}, "asked_in_vain"),
        ({"calls": [], "ask": [{"name": "TicketCancel", "missing": ["ticket_id"]}]}, "asked_in_vain"),
        ({"calls": [], "ask": [{"name": "TicketRate", "missing": ["score", "ticket_id"]}]}, "ask"),
    ],
)
def test_a_broken_rule_is_named(family: ToolCallFamily, answer: Any, rule: str) -> None:
    assert rule in [violation.rule for violation in family.verify(sample_of(family, MESSAGE, answer))]


def test_the_right_answer_breaks_no_rule(family: ToolCallFamily) -> None:
    assert family.verify(sample_of(family, MESSAGE, calls(("TicketCreate", CREATE)))) == []
    # Sound by the rules, and wrong: what the judge is for.
    assert family.verify(sample_of(family, MESSAGE, calls(("TicketCancel", {"ticket_id": "WX11654890"})))) == []


def test_a_function_that_is_not_offered_must_not_be_called(family: ToolCallFamily) -> None:
    sample = sample_of(family, MESSAGE, calls(("TicketCreate", CREATE)), "TicketQuery", "OrderStatus")
    assert [violation.rule for violation in family.verify(sample)] == ["function"]
    assert family.verify(sample.model_copy(update={"tools": ""}))[0].rule == "function"


def test_white_space_that_is_not_canonical_is_a_violation(family: ToolCallFamily) -> None:
    sample = sample_of(family, MESSAGE, calls(("TicketCreate", CREATE)))
    spaced = sample.model_copy(update={"answer": sample.answer.replace(", ", ",")})
    assert [violation.rule for violation in family.verify(spaced)] == ["canonical"]


# --- corruptions


@given(SEEDS)
def test_a_corruption_is_never_exact(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]], seed: int
) -> None:
    family = scenario.family
    assert isinstance(family, ToolCallFamily)
    rng = random.Random(seed)
    sample = rendered(family, rng.choice(seeds), rng.choice(atoms), seed)
    for corruption_family, kinds in family.corruptions.items():
        for kind, make in kinds.items():
            broken = make(sample, rng)
            if broken is not None and broken != sample.answer:
                assert family.score(broken, sample.answer).exact == 0, (corruption_family, kind, broken)
    some = family.corrupt(sample, rng, family.corruption_families)
    assert some is not None
    assert family.score(some.answer, sample.answer).exact == 0


def test_every_kind_of_corruption_occurs_and_some_keep_the_rules(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]]
) -> None:
    family = scenario.family
    assert isinstance(family, ToolCallFamily)
    kinds = {kind for found in family.corruptions.values() for kind in found}
    met: dict[str, set[bool]] = {kind: set() for kind in kinds}
    for number, template in enumerate(seeds * 2):
        sample = rendered(family, template, atoms[number], seed=number)
        rng = random.Random(number)
        for found in family.corruptions.values():
            for kind, make in found.items():
                broken = make(sample, rng)
                if broken is not None and broken != sample.answer:
                    met[kind].add(bool(family.verify(sample.model_copy(update={"answer": broken}))))
    assert all(met.values()), met
    sound = {kind for kind, caught in met.items() if False in caught}
    assert sound >= {"nothing_called", "call_dropped", "neighbour_called", "second_call_added", "optional_dropped"}
    assert not sound & {"wrapped", "typed_as_string", "required_dropped", "unknown_added", "digit_changed"}


def test_corruptions_are_the_same_for_the_same_seed(
    family: ToolCallFamily, seeds: list[SentenceTemplate], atoms: list[dict[str, Any]]
) -> None:
    for number, template in enumerate(seeds[::10]):
        sample = rendered(family, template, atoms[number], seed=number)
        assert sample == rendered(family, template, atoms[number], seed=number)
        one, same = (family.corrupt(sample, random.Random(7), family.corruption_families) for _ in range(2))
        assert one == same


# --- scores

TRUTH = json.dumps(calls(("TicketRate", {"ticket_id": "WX11654890", "score": 1})), ensure_ascii=False)
ASKS = '{"calls": [], "ask": [{"name": "TicketRate", "missing": ["ticket_id", "score"]}]}'


@pytest.mark.parametrize(
    ("truth", "prediction", "wrong"),
    [
        (TRUTH, TRUTH, []),
        (TRUTH, TRUTH.replace(", ", ","), []),
        (TRUTH, TRUTH.replace("TicketRate", "TicketQuery"), list(LEVELS)),
        (TRUTH, NOTHING, list(LEVELS)),
        (TRUTH, TRUTH.replace('"ticket_id": "WX11654890", ', ""), ["required", "values"]),
        (TRUTH, TRUTH.replace('"score": 1', '"score": 1, "comment": "好"'), ["unknown"]),
        (TRUTH, TRUTH.replace('"score": 1', '"score": "1"'), ["types", "values"]),
        (TRUTH, TRUTH.replace('"score": 1', '"score": true'), ["types", "values"]),
        (TRUTH, TRUTH.replace('"score": 1', '"score": 5'), ["values"]),
        (ASKS, ASKS, []),
        (ASKS, ASKS.replace('"ticket_id", ', ""), ["required", "values"]),
        (ASKS, TRUTH, list(LEVELS)),
        (NOTHING, NOTHING, []),
        (NOTHING, TRUTH, list(LEVELS)),
    ],
)
def test_the_levels_tell_what_is_wrong(family: ToolCallFamily, truth: str, prediction: str, wrong: list[str]) -> None:
    score = family.score(prediction, truth)
    assert [level for level in LEVELS if score.fields[level] == 0] == wrong
    assert score.strict_json == 1
    assert score.exact == float(not wrong)


def test_the_measures_tell_at_which_level_an_answer_fell_and_whether_it_was_seen_that_nothing_fits(
    family: ToolCallFamily,
) -> None:
    right = {f"failed_at_{level}": 0.0 for level in LEVELS}
    no_function, wrong_type = right | {"failed_at_function": 1.0}, right | {"failed_at_types": 1.0}
    assert family.measures(TRUTH, TRUTH) == right
    assert family.measures(NOTHING, TRUTH) == no_function
    assert family.measures(TRUTH.replace('"score": 1', '"score": "1"'), TRUTH) == wrong_type
    assert family.measures(NOTHING, NOTHING) == right | {"irrelevance": 1.0}
    assert family.measures(TRUTH, NOTHING) == no_function | {"irrelevance": 0.0}


@pytest.mark.parametrize(
    "sloppy",
    [
        f"```json\n{TRUTH}\n```",
        f"好的：{TRUTH}",
        json.dumps(json.loads(TRUTH)["calls"]),
        json.dumps(json.loads(TRUTH)["calls"][0]),
        TRUTH.replace(', "ask": []', ""),
    ],
)
def test_a_sloppy_prediction_is_read_but_not_exact(family: ToolCallFamily, sloppy: str) -> None:
    score = family.score(sloppy, TRUTH)
    assert (score.strict_json, score.exact, score.field_accuracy) == (0, 0, 1)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "好的",
        "[" * 100_000,
        "null",
        "[null]",
        '{"calls": null, "ask": []}',
        '{"calls": [], "calls": [], "ask": []}',
        '{"calls": [{"name": "a", "arguments": []}], "ask": []}',
        '{"calls": [{"name": 1, "arguments": {}}], "ask": []}',
        '{"calls": [], "ask": [{"name": "TicketRate", "missing": []}]}',
        '{"calls": [{"name": "a", "arguments": {"b": ' + "[" * 900 + "]" * 900 + "}}]",
        "1" * 6_000,
    ],
)
def test_garbage_is_no_answer(family: ToolCallFamily, garbage: str) -> None:
    assert read_answer(garbage) is None
    assert family.score(garbage, TRUTH).exact == 0
    assert family.score(garbage, NOTHING).strict_json == 0


@pytest.mark.parametrize(
    "refused",
    [
        "",
        "抱歉，这个我处理不了。",
        "抱歉[微笑]，这个我处理不了（VIP也一样）",
        "{抱歉}",
        "OK(好的)，这个处理不了",
        "抱歉，VIP(会员)也一样处理不了",
    ],
)
def test_a_text_without_a_call_says_that_no_function_fits(family: ToolCallFamily, refused: str) -> None:
    score = family.score(refused, NOTHING)
    assert (score.strict_json, score.exact, score.repaired) == (0, 0, 1)
    assert family.measures(refused, NOTHING)["irrelevance"] == 1
    for truth in (TRUTH, ASKS):
        assert family.score(refused, truth).field_accuracy == 0


@pytest.mark.parametrize(
    "called",
    [
        f"好的：{TRUTH}",
        TRUTH[:40],
        "好的，[TicketQuery(number='WX1')]",
        "TicketQuery (number='WX1')",
        "[{'name': 'TicketQuery', 'arguments': {}}]",
        '<tool_call>{ "name": "TicketQuery"}</tool_call>',
        '{"TicketQuery": {"number": "WX1"}}',
        '["TicketQuery"]',
        '{name: TicketQuery, arguments: {ticket_id: "WX1"}}',
        "TicketQuery（ticket_id=WX1）",
        "TicketQuery()",
        "TicketQuery('WX1')",
        "calls:\n- name: TicketQuery",
    ],
)
def test_a_text_with_a_call_in_whatever_notation_does_not(family: ToolCallFamily, called: str) -> None:
    assert family.score(called, NOTHING).repaired == 0
    assert family.measures(called, NOTHING)["irrelevance"] == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["calls", "ask", "name", "arguments", "missing", "x"]), inner, max_size=3)
    ),
)


@given(st.text(max_size=60) | JSON.map(json.dumps), st.sampled_from([TRUTH, ASKS, NOTHING]))
def test_scoring_and_checking_never_raise(family: ToolCallFamily, prediction: str, truth: str) -> None:
    score = family.score(prediction, truth)
    assert all(0 <= value <= 1 for value in (score.strict_json, score.exact, *score.fields.values()))
    assert (score.exact == 1) == (
        (answer := read_answer(prediction)) is not None and answer == Answer.model_validate_json(truth)
    )
    family.verify(Sample(message=MESSAGE, answer=prediction, tools=offer(family.tools.values())))
    read_repaired(prediction)


# --- the scenario's files


def test_a_folder_that_cannot_be_used_is_explained(tmp_path: Path, scenario: Scenario) -> None:
    folder = tmp_path / "ticket_tools"
    shutil.copytree(FOLDER, folder)
    parameters = (folder / "parameters.yaml").read_text(encoding="utf-8")
    for text, message in (
        (parameters.replace("[UserName]", "[Username]"), "key 'slots': no function has the parameter 'Username'"),
        (parameters.replace("称呼:", "名字:"), "key 'slots': the atoms have no slot '名字'"),
        (parameters + "\nmore: 1\n", "more"),
        (parameters.replace("(?!", "(?", 1), "shapes"),
    ):
        (folder / "parameters.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ScenarioError, match=r"parameters\.yaml") as error:
            ToolCallFamily(Definition(folder, scenario.slots, {}))
        assert message in str(error.value)
    (folder / "parameters.yaml").write_text(parameters, encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"scenario\.yaml: options: unknown key 'masked'; .*masked_share"):
        ToolCallFamily(Definition(folder, scenario.slots, {"masked": 0.2}))
    with pytest.raises(ScenarioError, match="fewest: found 5"):
        ToolCallFamily(Definition(folder, scenario.slots, {"fewest": 5}))
    (folder / "tools.json").unlink()
    with pytest.raises(ScenarioError, match=r"tools\.json: missing"):
        ToolCallFamily(Definition(folder, scenario.slots, {}))


def test_each_unit_has_templates_to_train_on_and_to_hold_out(seeds: list[SentenceTemplate]) -> None:
    counts = pl.Series([seed.unit for seed in seeds]).value_counts()
    assert counts["count"].min() >= 3  # type: ignore[operator]
