"""Functions on offer: reading their schemas, checking a call, running it on the tables, masking names."""

import datetime
import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.times import REFERENCE_INSTANT, Kind, spoken_times
from cs_assets.families.definition import ScenarioError
from cs_assets.families.tools import (
    ERRORS,
    EXECUTORS,
    TODAY,
    Call,
    Tool,
    check_call,
    execute,
    masked,
    offer,
    product_kinds,
    read_tools,
    spoken_day,
    unmasked,
)
from cs_assets.reference import reference_table
from cs_assets_tests.conftest import SCENARIOS

TOOLS = read_tools((SCENARIOS / "ticket_tools" / "tools.json").read_text(encoding="utf-8"), "tools.json")
OPEN = reference_table("tickets").row(by_predicate=pl.col("ticket_id") == "WX11654890", named=True)
OVER = reference_table("tickets").filter(pl.col("status") == "已完成").row(0, named=True)


def call(name: str, **arguments: Any) -> Call:
    return Call(name=name, arguments=arguments)


def run(name: str, **arguments: Any) -> dict[str, Any]:
    return execute(call(name, **arguments), TOOLS)


# --- schemas


def test_an_offer_reads_back() -> None:
    assert read_tools(offer(TOOLS.values()), "offer") == TOOLS
    assert len(TOOLS) == 8
    assert {parameter.type for tool in TOOLS.values() for parameter in tool.parameters} == {
        "string",
        "boolean",
        "integer",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "tools.json: "),
        ("{}", "found dict, expected a list"),
        ('[{"type": "function"}]', "function 1: KeyError"),
        (offer([*TOOLS.values(), TOOLS["TicketQuery"]]), "function 9: the name 'TicketQuery' stands twice"),
        (offer([TOOLS["TicketRate"]]).replace('"integer"', '"number"'), "function 1: ValidationError"),
        (offer([TOOLS["TicketRate"]]).replace('["ticket_id"', '["ticket"'), "required names no parameter: ticket"),
    ],
)
def test_malformed_functions_are_named(text: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message.replace("[", r"\[")):
        read_tools(text, "tools.json")


# --- check_call

GOOD = {"UserName": "王女士", "problem": "花屏", "ServeTime": "明天下午3点", "isVIP": True}


@pytest.mark.parametrize(
    ("name", "arguments", "rules"),
    [
        ("TicketCreate", GOOD, []),
        ("TicketMake", GOOD, ["function"]),
        ("TicketCreate", GOOD | {"isVIP": "true"}, ["type"]),
        ("TicketCreate", GOOD | {"isVIP": 1}, ["type"]),
        ("TicketCreate", GOOD | {"color": "红"}, ["unknown"]),
        ("TicketCreate", {"UserName": "王女士", "problem": " ", "color": "红", "isVIP": 0},
         ["required", "unknown", "type", "value"]),
        ("TicketRate", {"ticket_id": "WX11654890", "score": True}, ["type"]),
        ("QueryTechnicianSlots", {"city": "深圳", "date": "明天", "skill": "plumber"}, ["value"]),
    ],
)  # fmt: skip
def test_a_call_is_checked_level_by_level(name: str, arguments: dict[str, Any], rules: list[str]) -> None:
    assert [violation.rule for violation in check_call(call(name, **arguments), TOOLS)] == rules


# --- execute


def test_a_solution_is_found_by_a_model_s_name_and_by_a_kind() -> None:
    assert run("SearchSolution", problem="花屏", product="拯救者 Y7000P")["solution_id"] == "NB-06"
    assert run("SearchSolution", problem="老卡纸", product="打印机")["needs_technician"] is False
    assert run("SearchSolution", problem="会飞", product="打印机")["error"] == "not_found"
    assert product_kinds("电脑") == ["笔记本"]


def test_slots_are_those_of_the_day_and_the_skill() -> None:
    found = run("QueryTechnicianSlots", city="深圳", date="周六上午", skill="computer")
    assert found["date"] == "2026-06-13"
    technicians = reference_table("technicians").filter(city="深圳", skill="computer")
    names = [row["technician"] for row in technicians.iter_rows(named=True) if "6" in row["weekdays"].split("|")]
    assert names
    assert {slot["technician"] for slot in found["slots"]} == set(names)
    assert run("QueryTechnicianSlots", city="深圳市", date="周六", skill="computer")["slots"] == found["slots"]
    assert run("QueryTechnicianSlots", city="拉萨", date="周六")["error"] == "not_served"
    assert run("QueryTechnicianSlots", city="深圳", date="7月10号")["error"] == "not_a_time"
    assert run("QueryTechnicianSlots", city="深圳", date="尽量早")["error"] == "not_a_time"


def test_a_new_ticket_is_the_same_for_the_same_request_and_no_old_one() -> None:
    one, same, other = run("TicketCreate", **GOOD), run("TicketCreate", **GOOD), run("TicketCreate", **GOOD, phone="1")
    assert one == same != other
    assert one["ticket_id"] not in reference_table("tickets")["ticket_id"]
    assert one["priority"] == "优先"
    assert run("TicketCreate", **GOOD | {"ServeTime": "花屏"})["error"] == "not_a_time"


@pytest.mark.parametrize("number", [OPEN["ticket_id"], OPEN["ticket_id"].lower(), OPEN["ticket_id"][2:]])
def test_a_ticket_is_found_however_it_is_typed(number: str) -> None:
    assert run("TicketQuery", number=number)["ticket_id"] == OPEN["ticket_id"]
    assert run("TicketCancel", ticket_id=number)["status"] == "已取消"


def test_the_phone_finds_the_open_ticket_and_no_other_number_does() -> None:
    assert run("TicketQuery", number=OPEN["phone"])["ticket_id"] == OPEN["ticket_id"]
    assert run("TicketQuery", number=OPEN["order_id"])["error"] == "not_found"
    assert run("TicketCancel", ticket_id=OPEN["phone"])["error"] == "not_found"


def test_what_is_over_cannot_be_moved_and_what_is_open_not_rated() -> None:
    assert run("TicketReschedule", ticket_id=OVER["ticket_id"], ServeTime="明天")["error"] == "closed"
    assert run("TicketCancel", ticket_id=OVER["ticket_id"])["error"] == "closed"
    assert run("TicketRate", ticket_id=OPEN["ticket_id"], score=5)["error"] == "closed"
    assert run("TicketRate", ticket_id=OVER["ticket_id"], score=5)["score"] == 5
    assert run("TicketRate", ticket_id=OVER["ticket_id"], score=6)["error"] == "bad_call"
    assert run("OrderStatus", order_id=OVER["order_id"])["status"] == "已签收"


def test_nothing_is_written() -> None:
    before = run("TicketQuery", number=OPEN["ticket_id"])
    run("TicketCancel", ticket_id=OPEN["ticket_id"])
    assert run("TicketQuery", number=OPEN["ticket_id"]) == before


@given(st.sampled_from(sorted(TOOLS)), st.dictionaries(st.text(max_size=6), st.text(max_size=12) | st.integers()))
def test_any_call_has_a_result(name: str, arguments: dict[str, Any]) -> None:
    assert execute(Call(name=name, arguments=arguments), TOOLS)["error"] in ERRORS


@given(st.sampled_from(sorted(TOOLS)), st.text(min_size=1, max_size=12), st.booleans(), st.integers())
def test_any_well_formed_call_has_a_result(name: str, text: str, flag: bool, number: int) -> None:
    filled = {"string": text, "boolean": flag, "integer": number}
    arguments = {parameter.name: filled[parameter.type] for parameter in TOOLS[name].parameters}
    json.dumps(execute(Call(name=name, arguments=arguments), TOOLS))


def test_every_function_of_the_scenario_can_be_run() -> None:
    assert set(TOOLS) == set(EXECUTORS)
    with pytest.raises(LookupError, match="no executor for 'Fly'"):
        execute(call("Fly"), {"Fly": Tool(name="Fly", description="", parameters=())})


# --- days


@pytest.mark.parametrize("kind", ["date", "slot"])
def test_the_day_is_that_of_the_spoken_times(kind: Kind) -> None:
    """`spoken_day` reads a part of what `atoms.times` says: whatever names a day; both must mean the same."""
    assert REFERENCE_INSTANT.date() == TODAY
    day = pl.col("earliest").str.head(10)
    without_day = "^(618|[早晚]|[上中下]午)|下个月"
    times = spoken_times(REFERENCE_INSTANT, kind).filter(
        day == pl.col("latest").str.head(10), ~pl.col("said").str.contains(without_day)
    )
    assert times.height > 250
    for said, expected in times.select("said", day).gather_every(max(1, times.height // 2_000)).iter_rows():
        assert str(spoken_day(said)) == expected, said


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("今晚", "06-10"),
        ("大后天上午", "06-13"),
        ("周三", "06-10"),
        ("周二", "06-16"),
        ("下周三", "06-17"),
        ("这周末", "06-13"),
        ("6月30日", "06-30"),
        ("六月二十一号", "06-21"),
        ("3号", "07-03"),
        ("6.18", "06-18"),
        ("2026-06-11", "06-11"),
        ("随时", None),
        ("2月30号", None),
    ],
)
def test_days_are_read_as_said(said: str, day: str | None) -> None:
    assert spoken_day(said) == (datetime.date.fromisoformat(f"2026-{day}") if day else None)


# --- masks


def test_a_masked_call_finds_its_function() -> None:
    offered = {name: masked(TOOLS[real], name) for name, real in (("func_2", "TicketQuery"), ("func_1", "OrderStatus"))}
    (found,) = unmasked([call("func_2", number="1")], offered, TOOLS)
    assert found == call("TicketQuery", number="1")
    assert check_call(call("TicketQuery", number="1"), offered)[0].rule == "function"
