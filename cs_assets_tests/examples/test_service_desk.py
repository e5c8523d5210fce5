"""The example of docs/examples: routed, read and looked up, with models behind a real server and with models here."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cs_assets.scenario import load_scenario
from cs_assets_tests.llm_endpoint import Endpoint, Reply, completion

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "examples" / "service_desk.py"
HAND_OVER = "客服：这个我帮您转人工客服，请稍等。"
PLACE = {"省": "", "市": "杭州市", "县": "西湖区", "详细地址": "文三路8号"}
ADDRESS = {"姓名": "李敏", "电话": "13900139000", "邮编": "", **PLACE}
Desk = Callable[..., list[str]]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("service_desk", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def desk(example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Call the script with arguments; return the lines that it writes."""

    def call(*arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["service_desk.py", *arguments])
        example.main()
        return capsys.readouterr().out.splitlines()

    return call


def scripted(endpoint: Endpoint, **said: str) -> None:
    """Let each model, by the name it is served under, say one thing."""

    def reply(prompt: str, nth: int) -> Reply:
        return completion(said[endpoint.bodies[nth - 1]["model"]])

    endpoint.reply = reply


def calls(*called: tuple[str, dict[str, Any]], ask: Any = ()) -> str:
    return json.dumps({"calls": [{"name": name, "arguments": given} for name, given in called], "ask": list(ask)})


def test_an_order_is_routed_called_and_looked_up(endpoint: Endpoint) -> None:
    """The script as a person runs it, in a process of its own."""
    order = "698181323714346491"
    said = calls(("OrderStatus", {"order_id": order}))
    scripted(endpoint, intent_routing='{"intent": "查物流"}', ticket_tools=said)
    command = [sys.executable, str(SCRIPT), "--endpoint", endpoint.url, f"{order} 到哪了"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"客户：{order} 到哪了",
        '  intent_routing       {"intent": "查物流"}',
        f"  ticket_tools         {said}",
        f'  table                OrderStatus: {{"order_id": "{order}", "status": "运输中"}}',
        f"客服：订单{order}现在是运输中。",
        "",
    ]
    assert [body["model"] for body in endpoint.bodies] == ["intent_routing", "ticket_tools"]
    routed, called = endpoint.bodies
    assert routed["messages"] == load_scenario("intent_routing").prompt(f"{order} 到哪了")
    assert '"name":"OrderStatus"' in called["messages"][0]["content"]
    assert {body["temperature"] for body in endpoint.bodies} == {0}


def test_a_new_address_is_read_and_its_way_looked_up(endpoint: Endpoint, desk: Desk) -> None:
    message = "地址改到杭州市西湖区文三路8号 李敏 13900139000"
    scripted(endpoint, intent_routing='{"intent": "改地址"}', reads=json.dumps(ADDRESS, ensure_ascii=False))
    lines = desk("--endpoint", endpoint.url, "--model", "address_extraction=reads", message)
    assert lines[3:5] == [
        "  table                杭州 -> 杭州: 0 days, 21:00",
        "客服：收货信息改成：李敏 13900139000 杭州市西湖区文三路8号。现在发货的话，今天21点前送到。",
    ]


@pytest.mark.parametrize(
    ("intent", "said", "reply"),
    [
        (
            "报修",
            calls(("SearchSolution", {"product": "笔记本", "problem": "充不进电"})),
            "客服：充不进电可以先这样试试：换插座和充电线，清理接口灰尘。",
        ),
        (
            "报修",
            calls(ask=[{"name": "TicketCreate", "missing": ["ServeTime"]}]),
            "客服：请您再告诉我上门时间。",
        ),
        ("报修", calls(), "客服：抱歉，这个我这边处理不了。"),
        ("催发货", calls(("OrderStatus", {"order_id": "1"})), "客服：没有查到，麻烦您核对一下号码。"),
        ("催发货", calls(("TicketCancel", {"ticket_id": "WX10061732"})), "客服：没有查到，麻烦您核对一下号码。"),
        ("催发货", "您的订单在路上了", HAND_OVER),
        ("投诉", "", HAND_OVER),
        ("没有这一类", "", HAND_OVER),
    ],
)
def test_what_comes_out_is_said_and_what_cannot_be_done_goes_to_a_person(
    endpoint: Endpoint, desk: Desk, intent: str, said: str, reply: str
) -> None:
    scripted(endpoint, intent_routing=json.dumps({"intent": intent}), ticket_tools=said)
    assert desk("--endpoint", endpoint.url, "message")[-2] == reply


@pytest.mark.parametrize("routed", ["查物流", '{"意图": "查物流"}', "[]", '{"intent": ["查物流"]}'])
def test_a_model_that_answers_in_a_form_of_its_own_is_relieved_by_a_person(
    endpoint: Endpoint, desk: Desk, routed: str
) -> None:
    scripted(endpoint, intent_routing=routed)
    assert desk("--endpoint", endpoint.url, "message")[-2] == HAND_OVER


@pytest.mark.parametrize("address", [ADDRESS | {"市": ""}, ADDRESS | {"市": "亚特兰蒂斯市"}, PLACE, [], "杭州"])
def test_an_address_that_says_no_city_goes_to_a_person(endpoint: Endpoint, desk: Desk, address: Any) -> None:
    scripted(endpoint, intent_routing='{"intent": "改地址"}', address_extraction=json.dumps(address))
    assert desk("--endpoint", endpoint.url, "message")[-2] == HAND_OVER


def test_models_that_run_here_are_asked_the_same_way(example: ModuleType, desk: Desk, tiny_model: Path) -> None:
    models = [part for name in example.SCENARIOS for part in ("--model", f"{name}={tiny_model}")]
    lines = desk("--base", str(tiny_model), *models, "你好")
    assert lines[0] == "客户：你好"
    assert lines[1].startswith("  intent_routing ")
    assert lines[-2] == HAND_OVER  # random weights say nothing that a desk understands


def test_a_model_that_is_forgotten_is_told_before_any_is_loaded(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        desk("--base", "no such folder", "--model", "intent_routing=nor this one", "你好")
    assert "the folder of address_extraction, ticket_tools is missing" in capsys.readouterr().err


@pytest.mark.parametrize("where", [("--base", "no such folder"), ("--endpoint", "http://127.0.0.1:9/v1")])
@pytest.mark.parametrize("wrong", ["ticket_tools", "ticket_tools=", "ticket_tool=folder"])
def test_a_model_that_is_given_wrongly_is_told_before_any_is_asked(
    desk: Desk, capsys: pytest.CaptureFixture[str], where: tuple[str, str], wrong: str
) -> None:
    with pytest.raises(SystemExit):
        desk(*where, "--model", wrong, "你好")
    assert f"--model {wrong.partition('=')[0]}: give SCENARIO=NAME_OR_FOLDER" in capsys.readouterr().err
