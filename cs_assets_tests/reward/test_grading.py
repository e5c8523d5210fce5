"""Graded preference pairs: by the rules of `reply`, and by an LLM over HTTP."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.families.reply.family import ReplyFamily
from cs_assets.reward.grading import graded
from cs_assets.reward.pairs import SCHEMA, PairSettings, make_pairs
from cs_assets_tests.families.conftest import committed
from cs_assets_tests.llm_endpoint import Endpoint, completion
from cs_assets_tests.reward.test_llm_judge import judge_at, preferring

MESSAGE = "半个月了保温杯还没到，物流一直停在杭州不动"
GOOD = (
    "让您等了半个月，真的很抱歉。保温杯的物流停在杭州没更新，我这就联系快递网点核实，24小时内把结果发给您；"
    "不想再等的话，也可以在订单页申请退款。"
)
BLAMING = GOOD.replace("真的很抱歉。", "是您自己没看清预计时间。")
GENERIC = "您好，您反馈的物流问题我们已经收到，会尽快安排专人为您处理，请您耐心等待，感谢您的支持与理解，祝您生活愉快。"
TWO_FAULTS = BLAMING.replace("24小时内", "明天")


@pytest.fixture(scope="module")
def family() -> ReplyFamily:
    found = committed("empathetic_reply").family
    assert isinstance(found, ReplyFamily)
    return found


def pairs(*answers: tuple[str, str]) -> pl.DataFrame:
    """Return pairs of (chosen, rejected) answers to the same message."""
    rows: list[dict[str, Any]] = [
        {"sample_id": str(n), "part": "train", "message": MESSAGE, "tools": "", "chosen": chosen, "rejected": rejected}
        for n, (chosen, rejected) in enumerate(answers)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def scores(table: pl.DataFrame) -> list[tuple[float, ...]]:
    columns = pl.col("chosen_score", "rejected_score", "margin").round(6)
    return table.select(columns).rows()


def test_the_rules_alone_grade_and_the_margin_is_the_difference(family: ReplyFamily) -> None:
    found = graded(pairs((GOOD, BLAMING), (GOOD, TWO_FAULTS), (GOOD, GENERIC)), family, None)
    assert scores(found.pairs) == [(1.0, 0.8, 0.2), (1.0, 0.6, 0.4), (1.0, 1.0, 0.0)]
    assert found.figures == {"dropped_by_rules": 0}


def test_a_pair_that_the_rules_see_the_other_way_is_dropped(family: ReplyFamily) -> None:
    found = graded(pairs((BLAMING, GOOD), (GOOD, BLAMING)), family, None)
    assert found.pairs["sample_id"].to_list() == ["1"]
    assert found.figures == {"dropped_by_rules": 1}


def test_a_verdict_counts_as_much_as_the_rules(family: ReplyFamily, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = preferring("真的很抱歉")
    found = graded(pairs((GOOD, BLAMING), (GOOD, GENERIC)), family, judge_at(endpoint, tmp_path))
    assert scores(found.pairs) == [(1.0, 0.4, 0.6), (1.0, 0.5, 0.5)]
    assert found.figures == {
        "dropped_by_rules": 0,
        "dropped_by_judge": 0,
        "judged": 2,
        "judge_agrees": 2,
        "judge_undecided": 0,
        "judge_unparsed": 0,
        "judge_first_won": 0.5,
    }
    assert family.rubric(MESSAGE) in endpoint.prompts[0]


def test_a_pair_that_the_judge_sees_the_other_way_is_dropped(
    family: ReplyFamily, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.reply = preferring("感谢您的支持")
    found = graded(pairs((GOOD, BLAMING), (GOOD, GENERIC)), family, judge_at(endpoint, tmp_path))
    assert found.pairs["rejected"].to_list() == [BLAMING]
    assert scores(found.pairs) == [(0.75, 0.65, 0.1)]
    assert (found.figures["dropped_by_judge"], found.figures["judge_undecided"]) == (1, 1)


def test_pairs_that_the_budget_does_not_reach_are_graded_by_the_rules(
    family: ReplyFamily, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.reply = preferring("真的很抱歉")
    found = graded(pairs((GOOD, BLAMING), (GOOD, TWO_FAULTS)), family, judge_at(endpoint, tmp_path, max_calls=2))
    assert scores(found.pairs) == [(1.0, 0.4, 0.6), (1.0, 0.6, 0.4)]
    assert found.figures["judged"] == 1


def test_an_answer_that_is_no_verdict_is_counted(family: ReplyFamily, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda prompt, nth: completion("都行")
    found = graded(pairs((GOOD, BLAMING)), family, judge_at(endpoint, tmp_path))
    assert scores(found.pairs) == [(0.75, 0.65, 0.1)]
    assert found.figures["judge_unparsed"] == 2
    assert "judge_first_won" not in found.figures


def test_made_pairs_can_be_graded(family: ReplyFamily) -> None:
    scenario = committed("empathetic_reply")
    numbers = [f"s{n}" for n in range(12)]
    samples = pl.DataFrame(
        {"sample_id": numbers, "split": "train", "message": MESSAGE, "tools": "", "answer": GOOD}
    ).with_columns(template_family="sample_id")
    made = make_pairs(scenario, samples, PairSettings(train_pairs=8, test_pairs=4))
    assert set(made.select("chosen_score", "rejected_score").rows()) == {(1.0, 0.0)}
    found = graded(made, family, None).pairs
    assert dict(found.schema) == SCHEMA
    assert found.height == made.height
    assert (found["chosen_score"] == 1).all()
    assert 0 < found["margin"].mean() < 1  # type: ignore[operator]
