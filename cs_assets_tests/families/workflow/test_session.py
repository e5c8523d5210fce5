"""A case as it goes: how words are understood, what follows from results, when the systems time out."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.tools import BOOKABLE_DAYS, TODAY, Call, execute, spoken_day
from cs_assets.families.workflow.family import WorkflowFamily
from cs_assets.families.workflow.session import SPOKEN_TIMES, Session, bookable_days, clock_times, skill_of, spoken_days
from cs_assets.reference import reference_table
from cs_assets.scenario import load_scenario


@pytest.fixture(scope="module")
def family() -> WorkflowFamily:
    family = load_scenario("repair_workflow").family
    assert isinstance(family, WorkflowFamily)
    return family


@pytest.fixture
def session(family: WorkflowFamily) -> Session:
    return Session(family.flow, functools.partial(execute, tools=family.tools))


@given(data=st.data())
def test_a_time_is_understood_however_it_is_said(data: st.DataObject) -> None:
    clock = data.draw(st.sampled_from(sorted(SPOKEN_TIMES)))
    said = data.draw(st.sampled_from(SPOKEN_TIMES[clock]))
    assert clock_times(f"那就{said}吧") == [clock]


def test_two_times_are_found_in_order_and_other_numbers_are_none() -> None:
    assert clock_times("3点不行，16:30可以，3栋1702") == ["15:00", "16:30"]
    assert clock_times("早一点来，110:30也不是，23点") == []


def test_every_bookable_day_can_be_said() -> None:
    ahead = {(day - TODAY).days for day in bookable_days().values()}
    assert ahead == set(range(1, BOOKABLE_DAYS))
    assert all(spoken_day(said) == day for said, day in bookable_days().items())
    far = set(spoken_days()) - set(bookable_days())
    assert far
    assert all((day := spoken_day(said)) is None or (day - TODAY).days >= BOOKABLE_DAYS for said in far)


@pytest.mark.parametrize(("product", "skill"), [("笔记本充电器", "computer"), ("惠普打印机", "printer"), ("雨伞", "")])
def test_the_skill_follows_from_the_product(product: str, skill: str) -> None:
    assert skill_of(product) == skill


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("打印机卡纸怎么办", "repair"),
        ("打印机卡纸，直接转人工", "human"),
        ("打印机怎么还没发货", "outside"),
    ],
)
def test_an_opening_is_understood(session: Session, text: str, outcome: str) -> None:
    assert session.outcome_of(text) == outcome


@pytest.mark.parametrize(
    ("node", "text", "outcome"),
    [
        ("advise", "还是没好", "unsolved"),
        ("advise", "好了谢谢", "solved"),
        ("advise", "呃", ""),
        ("ask_day", "杭州 周六", "place_and_day"),
        ("ask_day", "周六", ""),
        ("ask_day", "算了不修了", "refuse"),
        ("offer", "下午3点", "time_only"),
        ("offer", "下午3点，西湖区文三路1号，王芳", "time_and_contact"),
        ("offer", "10点半行不行", "busy_time"),
        ("ask_contact", "不方便给", "no_contact"),
        ("confirm", "嗯对", "agreed"),
        ("confirm", "对，就下午3点", "agreed"),
        ("confirm", "改成4点半", "change_time"),
    ],
)
def test_a_reply_is_understood_where_it_stands(session: Session, node: str, text: str, outcome: str) -> None:
    session.node, session.free, session.date = node, ("15:00", "16:30"), "2026-06-13"
    session.known["上门时间"] = "2026-06-13 15:00"
    assert session.outcome_of(text) == outcome


def test_the_time_agreed_on_is_the_free_one_that_was_said_last(session: Session) -> None:
    session.learn({"city": "杭州", "date": "2026-06-13", "slots": [{"time": "10:30"}, {"time": "16:30"}]})
    for said, agreed in [("9点", None), ("十点半", "2026-06-13 10:30"), ("还是16:30", "2026-06-13 16:30")]:
        session.hear(said, {})
        assert session.known.get("上门时间") == agreed
    assert session.known["空档"] == "10:30、16:30"


@pytest.mark.parametrize(("message", "member"), [("我是VIP，打印机卡纸", True), ("打印机卡纸", False)])
def test_a_member_is_one_who_said_so_in_the_opening(session: Session, message: str, member: bool) -> None:
    session.hear(message, {})
    session.hear("会员有优惠吗", {})
    assert session.known["会员"] is member


def test_a_schedule_times_out_as_often_as_the_table_says(session: Session) -> None:
    outages = dict(reference_table("outages").iter_rows())
    assert set(outages.values()) == {"1", "2"}
    for city, failures in outages.items():
        call = Call(name="QueryTechnicianSlots", arguments={"city": city, "date": "周六"})
        results = [session.run(call) for _ in range(4)]
        assert [result.get("error") for result in results] == ["timeout"] * int(failures) + [None] * (4 - int(failures))


def test_a_copy_goes_its_own_way(session: Session) -> None:
    copy = session.copy()
    copy.hear("打印机卡纸", {"故障": "卡纸"})
    copy.follow("repair")
    copy.run(Call(name="QueryTechnicianSlots", arguments={"city": "北京", "date": "周六"}))
    assert (session.node, session.heard, session.known) == ("opening", [], {})
    assert not session.failed
    assert not session.visited


def test_an_outcome_without_an_edge_leads_nowhere(session: Session) -> None:
    assert not session.follow("happy")
    assert session.node == "opening"


def test_outages_name_cities_with_technicians() -> None:
    served = set(reference_table("technicians")["city"])
    assert set(reference_table("outages")["city"]) <= served
