"""The gate: open for a clear gain only."""

import pytest

from cs_assets.evaluation.checks import general_ability_is_kept, tuned_beats_base
from cs_assets.evaluation.gate import GATE_SPLIT, gate
from cs_assets.evaluation.reporting import Cell, EvaluationReport
from cs_assets.evaluation.retention import Retention, summarise
from cs_assets.evaluation.statistics import Interval
from cs_assets_tests.conftest import evaluated
from cs_assets_tests.evaluation.test_retention import table

ANSWERS_KEPT, ANSWERS_LOST = table([(True, True)] * 12), table([(True, False)] * 12)
KEPT = summarise(ANSWERS_KEPT)


def cell(model: str, mean: float, low: float, high: float, split: str = GATE_SPLIT) -> Cell:
    figures = Interval(mean=mean, low=low, high=high, n=40)
    return Cell(split=split, model=model, exact=figures, strict_json=figures, field_accuracy=figures)


def report(*cells: Cell, retention: Retention | None = KEPT) -> EvaluationReport:
    return EvaluationReport(
        scenario="s", cells=list(cells), p_values={}, per_field={}, retention=retention, judge={}, reward={}
    )


BASE = cell("base", 0.3, 0.2, 0.4)


def test_a_clear_gain_opens_the_gate() -> None:
    assert gate(report(BASE, cell("tuned", 0.8, 0.7, 0.9)), minimum_exact=0.8) == []


@pytest.mark.parametrize("low", [0.4, 0.35])
def test_intervals_that_touch_keep_it_closed(low: float) -> None:
    [reason] = gate(report(BASE, cell("tuned", 0.5, low, 0.6)), minimum_exact=0.0)
    assert "does not clear base 30.0 % [20.0, 40.0]" in reason


def test_a_gain_below_the_wanted_accuracy_keeps_it_closed() -> None:
    [reason] = gate(report(BASE, cell("tuned", 0.8, 0.7, 0.9)), minimum_exact=0.81)
    assert reason == f"exact match on {GATE_SPLIT}: 0.800 is below the wanted 0.81"


def test_both_reasons_are_told() -> None:
    assert len(gate(report(BASE, cell("tuned", 0.2, 0.1, 0.3)), minimum_exact=0.5)) == 2


@pytest.mark.parametrize(
    "cells", [(), (BASE,), (cell("tuned", 0.8, 0.7, 0.9),), (BASE, cell("tuned", 0.8, 0.7, 0.9, split="test_iid"))]
)
def test_missing_figures_keep_it_closed(cells: tuple[Cell, ...]) -> None:
    assert gate(report(*cells), minimum_exact=0.0) == [f"no base or tuned figures on {GATE_SPLIT}"]


@pytest.mark.parametrize(
    ("retention", "reason"),
    [
        (summarise(ANSWERS_LOST), "general questions: the tuned model dropped"),
        (None, "no figures on general questions"),
    ],
)
def test_a_model_that_forgets_or_was_not_asked_stays(retention: Retention | None, reason: str) -> None:
    [found] = gate(report(BASE, cell("tuned", 0.8, 0.7, 0.9), retention=retention), minimum_exact=0.0)
    assert found.startswith(reason)


def test_a_drop_on_general_questions_is_a_failed_check_that_says_what_to_do() -> None:
    assert evaluated(general_ability_is_kept, ANSWERS_KEPT).passed
    failed = evaluated(general_ability_is_kept, ANSWERS_LOST)
    assert not failed.passed
    assert "difference -100.0 %" in (failed.description or "")
    assert "lower learning rate" in (failed.description or "")


def test_the_check_warns_does_not_block_and_says_what_to_do() -> None:
    passed = evaluated(tuned_beats_base, report(BASE, cell("tuned", 0.8, 0.7, 0.9)))
    assert passed.passed
    assert passed.metadata["reasons"].value == "none"
    failed = evaluated(tuned_beats_base, report(BASE))
    assert not failed.passed
    assert failed.severity.value == "WARN"
    reason, advice = (failed.description or "").splitlines()
    assert reason == failed.metadata["reasons"].value == f"no base or tuned figures on {GATE_SPLIT}"
    assert "`counts` in scenario.yaml" in advice
