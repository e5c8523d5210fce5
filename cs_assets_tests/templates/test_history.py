"""Templates from history: what is replaced, what is skipped, and that nothing of a person is left."""

import json
import re
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.divisions import all_divisions, short_province
from cs_assets.atoms.people import given_names, surnames
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.templates.history import HistoryTemplates, history_templates, llm_spans
from cs_assets.templates.variants import template_variants
from cs_assets_tests.llm_endpoint import Endpoint, completion, failure
from cs_assets_tests.templates.conftest import small_scenario
from resources.llm import ChatClient

MESSAGES = Path(__file__).parent / "corpus" / "history.jsonl"
EXAMPLES = [json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()]
NAMED = {f"history/{number:03d}": example for number, example in enumerate(EXAMPLES, start=1)}


@pytest.fixture(scope="module")
def rows(atoms: pl.DataFrame) -> list[dict[str, Any]]:
    return atoms.head(300).to_dicts()


@pytest.fixture(scope="module")
def past(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """`address_extraction` with one seed, which no message is a copy of, and the messages."""
    made = small_scenario(scenario, tmp_path_factory.mktemp("past") / "past", {"01": "备注{{配送备注}}，打{{电话}}"})
    shutil.copy(MESSAGES, made.folder / "examples.jsonl")
    return made


@pytest.fixture(scope="module")
def made(past: Scenario, rows: list[dict[str, Any]]) -> HistoryTemplates:
    return history_templates(past, rows)


def test_most_messages_become_templates(made: HistoryTemplates) -> None:
    assert len(EXAMPLES) >= 30
    assert set(made.templates) | set(made.skipped) == set(NAMED)
    assert len(made.templates) >= 20


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "002",
            "麻烦寄到{{地址.param.省}}{{地址.param.市}}{{地址.param.县}}{{详细地址}}，{{名字.param.输出}}收，电话{{电话}}",
        ),
        (
            "003",
            "电话填错了，不是{{旧电话}}，是{{电话}}\n"
            "其他不变，{{名字.param.输出}}，{{地址.param.市}}{{地址.param.县}}{{详细地址}}",
        ),
        ("007", "{{名字.param.输出}} {{电话}} {{地址.param.省}}{{地址.param.市}}{{地址.param.县}}{{详细地址}}"),
        ("008", "{{名字.param.输出}} {{电话}} {{地址.param.市}}{{详细地址}}"),
        (
            "010",
            "订单号{{订单号}}发货了吗，收件人{{名字.param.输出}}，手机{{电话}}，"
            "{{地址.param.省}}{{地址.param.市}}{{地址.param.县}}{{详细地址}}",
        ),
        (
            "011",
            "原来填的{{旧地址}}不要了，麻烦改寄到{{地址.param.市}}{{地址.param.县}}{{详细地址}}，{{名字.param.输出}}收，电话{{电话}}",
        ),
        (
            "012",
            "能{{送达时间}}送到吗？急用\n"
            "地址 {{地址.param.市}}{{地址.param.县}}{{详细地址}}\n{{名字.param.输出}} {{电话}}",
        ),
        (
            "020",
            "收 货 人：{{名字.param.输出}}\n电 话：{{电话}}\n"
            "地 址：{{地址.param.省}}{{地址.param.市}}{{地址.param.县}}{{详细地址}}",
        ),
    ],
)
def test_entities_become_slots(made: HistoryTemplates, name: str, text: str) -> None:
    assert made.templates[f"history/{name}"].text == text


def test_a_repeated_region_is_told_by_the_slot_that_has_one(made: HistoryTemplates) -> None:
    assert "详细地址：{{含地区的详细地址}}" in made.templates["history/009"].text


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("021", "no slot stands for the name '蒋总'"),
        ("022", "no slot stands for the number 'SF1402288990011'"),
        ("023", "no slot stands for the contact"),
        ("024", "no slot stands for the place"),
        ("025", "no slot stands for the name '张伟'"),
        ("028", "it is a session of several turns"),
        ("029", "it holds the braces of a template"),
        ("030", "the answer's 电话 does not stand in the message"),
        ("031", "no slot stands for the number '6688'"),
        ("033", "no slot stands for the region '北京'"),
        ("036", "no slot stands for the number '650102199001011234'"),
    ],
)
def test_what_cannot_be_replaced_safely_is_skipped(made: HistoryTemplates, name: str, reason: str) -> None:
    assert made.skipped[f"history/{name}"].startswith(reason)


def left_of(words: str, example: dict[str, Any]) -> list[str]:
    """Return what of a message's person stands in the words, by means of this test's own."""
    plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", words))
    message = re.sub(r"\s", "", unicodedata.normalize("NFKC", example["message"]))
    table = all_divisions()
    regions = set(table["province"]) | set(table["city"]) | {name for name in table["county"] if len(name) > 2}
    regions |= {short_province(name) for name in table["province"]} | {
        name.removesuffix("市") for name in table["city"]
    }
    pieces = {value for value in example["answer"].values() if value}
    pieces |= {part for value in (example["answer"]["姓名"],) for part in (value[-2:], value[:2]) if len(part) == 2}
    pieces |= {
        value[start : start + 4]
        for key, value in example["answer"].items()
        if key in ("详细地址", "电话")
        for start in range(len(value) - 3)
    }
    pieces |= set(re.findall(r"\d{3,}", message)) | {name for name in regions if name and name in message}
    pieces |= {
        surname + given
        for surname in surnames()[0]
        if surname in message
        for given in given_names()[0]
        if surname + given in message
    }
    return sorted(piece for piece in pieces if unicodedata.normalize("NFKC", piece) in plain)


def test_nothing_of_a_person_survives(made: HistoryTemplates) -> None:
    for name, template in made.templates.items():
        assert left_of(re.sub(r"\{\{.*?\}\}", "\n", template.text), NAMED[name]) == [], template.text


def test_the_check_of_survival_can_fail() -> None:
    for example in EXAMPLES[:8]:
        assert left_of(example["message"], example)


def test_a_template_gives_the_answer_of_its_example(past: Scenario, made: HistoryTemplates) -> None:
    """Each slot filled with what it replaced, message and answer are the example's."""
    for name, template in made.templates.items():
        example = NAMED[name]
        pattern = re.escape(template.text)
        for slot in dict.fromkeys(template.slots):
            pattern = pattern.replace(re.escape(f"{{{{{slot}}}}}"), "(.+?)", 1)
            pattern = pattern.replace(re.escape(f"{{{{{slot}}}}}"), ".+?")
        assert re.fullmatch(pattern, example["message"], re.DOTALL), template.text
        filled = {source for sources in past.family.field_sources.values() for source in sources}  # type: ignore[attr-defined]
        shown = {field for field, sources in past.family.field_sources.items() if set(sources) & set(template.slots)}  # type: ignore[attr-defined]
        assert shown == {field for field, value in example["answer"].items() if value}
        assert set(template.slots) - filled <= {"旧电话", "旧地址", "订单号", "送达时间"}


def test_they_pass_the_gates_and_stand_in_the_table(
    past: Scenario, made: HistoryTemplates, probes: list[dict[str, Any]]
) -> None:
    table = template_variants(past, probes, None, made.templates).filter(pl.col("origin") == "history")
    assert table.height == len(made.templates)
    assert table["accepted"].all(), table.filter(~pl.col("accepted")).rows()


def test_a_copy_of_a_seed_is_no_new_template(scenario: Scenario, rows: list[dict[str, Any]]) -> None:
    assert history_templates(scenario, rows).skipped == {"history/001": "it is a copy of 01_comma_separated"}


def test_a_message_belongs_to_the_unit_that_gives_its_answer() -> None:
    from cs_assets.atoms.bundles import sample_atoms

    scenario = load_scenario("intent_routing")
    found = history_templates(scenario, sample_atoms(scenario.spec.atoms, 20, 1).to_dicts()).templates
    assert found["history/001"].unit == "track_parcel"
    assert found["history/002"].unit == "return_goods"


# --- With an LLM


@pytest.fixture
def client(endpoint: Endpoint, tmp_path: Path) -> ChatClient:
    return ChatClient(
        api_key="k", base_url=endpoint.url, model="m", cache_path=tmp_path / "llm.sqlite", backoff_seconds=0.01
    )


def entities(*pairs: tuple[str, str]) -> Any:
    listed = [{"text": text, "slot": slot} for text, slot in pairs]
    return completion(json.dumps({"entities": listed}, ensure_ascii=False))


def test_an_llms_spans_replace_what_the_rules_do_not_know(
    past: Scenario, rows: list[dict[str, Any]], endpoint: Endpoint, client: ChatClient
) -> None:
    endpoint.reply = lambda prompt, nth: entities(("SF1402288990011", "订单号"), ("不在信里的字", "电话"))
    spans = llm_spans(past, client, ["history/022"])
    assert spans == {"history/022": [("SF1402288990011", "订单号")]}
    [prompt] = endpoint.prompts
    assert NAMED["history/022"]["message"] in prompt
    found = history_templates(past, rows, spans).templates["history/022"]
    assert found.text.startswith("快递{{订单号}}我人不在，帮我转寄到")


@pytest.mark.parametrize("slot", ["", "不存在的参数"])
def test_what_an_llm_names_without_a_slot_keeps_the_message_out(
    past: Scenario, rows: list[dict[str, Any]], endpoint: Endpoint, client: ChatClient, slot: str
) -> None:
    endpoint.reply = lambda prompt, nth: entities(("软件园", slot), ("发货", slot))
    spans = llm_spans(past, client, ["history/010"])
    assert history_templates(past, rows, spans).skipped["history/010"] == "no slot stands for '发货'"


@pytest.mark.parametrize("reply", [completion("好的"), completion('{"entities": 5}'), completion('{"entities": [7]}')])
def test_an_answer_that_says_nothing_changes_nothing(
    past: Scenario, endpoint: Endpoint, client: ChatClient, reply: Any
) -> None:
    endpoint.reply = lambda prompt, nth: reply
    assert llm_spans(past, client, ["history/022"]) == {"history/022": []}


def test_an_endpoint_that_takes_no_schema_is_asked_without(
    past: Scenario, endpoint: Endpoint, client: ChatClient
) -> None:
    endpoint.reply = lambda prompt, nth: failure(400, "response_format is not supported") if nth == 1 else entities()
    assert llm_spans(past, client, ["history/022"]) == {"history/022": []}
    assert [("response_format" in body) for body in endpoint.bodies] == [True, False]
