"""Which replies an LLM prefers: the counts, the test, the sample, and how the page tells it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest

from cs_assets.evaluation.preferred import Preferred, preferred
from cs_assets.evaluation.report_page import html_page
from cs_assets.evaluation.reporting import EvaluationReport, make_report
from cs_assets.statistics import Interval, sign_test
from cs_assets_tests.evaluation.test_reporting import row
from cs_assets_tests.evaluation.test_reporting import table as as_table
from cs_assets_tests.llm_endpoint import Endpoint, completion
from cs_assets_tests.reward.test_llm_judge import judge_at, preferring

KIND, COLD = "抱歉，我马上查。", "等着吧。"


class Polite:
    """Wants one thing of every reply."""

    def rubric(self, message: str) -> str:
        return f"1. 对{message}要温和"

    def grade(self, sample: object) -> float:
        return 1.0


def predictions(replies: Mapping[str, Sequence[tuple[str, str]]]) -> pl.DataFrame:
    """Return for each split what base and tuned model replied to its messages."""
    return as_table(
        *(
            row(model, number, split=split) | {"prediction": said, "message": f"{split}的消息{number}"}
            for split, pairs in replies.items()
            for number, pair in enumerate(pairs)
            for model, said in zip(("base", "tuned"), pair, strict=True)
        )
    )


def test_wins_ties_and_losses_are_the_tuned_models(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = preferring("抱歉")
    asked = predictions({"test_iid": [(COLD, KIND)] * 6 + [(KIND, COLD)] + [(KIND, KIND)] + [(COLD, COLD + "！")]})
    [found] = preferred(asked, Polite(), judge_at(endpoint, tmp_path), messages=100)
    assert (found.split, found.wins, found.ties, found.losses, found.n) == ("test_iid", 6, 2, 1, 9)
    assert found.p == sign_test(6, 1) == 0.125
    assert found.first_won is not None
    assert (found.first_won.mean, found.first_won.n) == (0.5, 14)
    assert (found.unparsed, found.left_out) == (0, 0)
    assert len(endpoint.prompts) == 16  # equal replies are not asked about
    assert any("1. 对test_iid的消息0要温和" in prompt for prompt in endpoint.prompts)


def test_a_judge_who_looks_at_the_place_alone_finds_no_winner(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda prompt, nth: completion("A")
    [found] = preferred(predictions({"test_iid": [(COLD, KIND)] * 3}), Polite(), judge_at(endpoint, tmp_path), 100)
    assert (found.wins, found.ties, found.losses, found.p) == (0, 3, 0, 1)
    assert found.first_won == Interval(mean=1, low=1, high=1, n=6)


def test_each_split_is_judged_on_some_of_its_messages_always_the_same(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = preferring("抱歉")
    asked = predictions({"test_iid": [(COLD, KIND)] * 20, "real_style": [(KIND, COLD)] * 2})
    first = preferred(asked, Polite(), judge_at(endpoint, tmp_path), messages=3)
    assert [(found.split, found.wins, found.losses) for found in first] == [("real_style", 0, 2), ("test_iid", 3, 0)]
    calls = len(endpoint.prompts)
    assert calls == 2 * (2 + 3)
    assert preferred(asked.reverse(), Polite(), judge_at(endpoint, tmp_path), messages=3) == first
    assert len(endpoint.prompts) == calls


def test_without_a_base_nothing_is_compared(endpoint: Endpoint, tmp_path: Path) -> None:
    asked = predictions({"test_iid": [(COLD, KIND)]}).filter(pl.col("model") == "tuned")
    assert preferred(asked, Polite(), judge_at(endpoint, tmp_path), messages=3) == []
    assert endpoint.prompts == []


def test_what_the_budget_leaves_out_is_told(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.reply = lambda prompt, nth: completion("都行") if nth == 1 else preferring("抱歉")(prompt, nth)
    asked = predictions({"test_iid": [(COLD, KIND)] * 3})
    [found] = preferred(asked, Polite(), judge_at(endpoint, tmp_path, max_calls=4), messages=3)
    assert (found.wins, found.ties, found.left_out, found.unparsed) == (1, 1, 1, 1)


@pytest.fixture
def report() -> EvaluationReport:
    share = Interval(mean=0.625, low=0.5, high=0.75, n=32)
    judged = Preferred(
        split="test_iid", wins=9, ties=6, losses=1, p=sign_test(9, 1), first_won=share, unparsed=2, left_out=4
    )
    measures = {"test_iid": {"base": {"chrf": share}, "tuned": {"chrf": share, "cosine": share}}}
    asked = predictions({"test_iid": [(COLD, KIND)]})
    return make_report("s", asked, {}, {}, measures=measures, preferred=[judged])


def test_the_page_tells_who_is_preferred_and_how_texts_compare(report: EvaluationReport) -> None:
    page = html_page(report, predictions({"test_iid": [(COLD, KIND)]}), "t")
    cells = ("test_iid", "16", "9", "6", "1", "0.021", "62.5 % <small>[50.0, 75.0]</small>", "2")
    figures = "".join(f'<td class="figure">{cell}</td>' for cell in cells[1:])
    assert f"<td>{cells[0]}</td>{figures}" in page
    assert "The budget ended before 4 messages." in page
    assert "<td>cosine</td>" in page
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_a_page_without_an_llm_says_nothing_of_it(report: EvaluationReport) -> None:
    alone = report.model_copy(update={"preferred": [], "measures": {}})
    page = html_page(alone, predictions({"test_iid": [(COLD, KIND)]}), "t")
    assert "LLM" not in page
    assert "Besides right and wrong" not in page
