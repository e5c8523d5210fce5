"""The gate: open for a clear gain only."""

from typing import Any

import polars as pl
import pytest

from cs_assets.evaluation.checks import general_ability_is_kept, tuned_beats_base
from cs_assets.evaluation.gate import GATE_SPLIT, gate
from cs_assets.evaluation.reporting import Cell, EvaluationReport, make_report
from cs_assets.evaluation.retention import Retention, summarise
from cs_assets.scenario import load_scenario, scenario_names
from cs_assets.statistics import Interval
from cs_assets.training.splits import SCHEMA
from cs_assets_tests.conftest import evaluated
from cs_assets_tests.evaluation import test_reporting
from cs_assets_tests.evaluation.test_retention import table

ANSWERS_KEPT, ANSWERS_LOST = table([(True, True)] * 12), table([(True, False)] * 12)
KEPT = summarise(ANSWERS_KEPT)


def cell(model: str, mean: float, low: float, high: float, split: str = GATE_SPLIT) -> Cell:
    figures = Interval(mean=mean, low=low, high=high, n=40)
    return Cell(split=split, model=model, exact=figures, repaired=figures, strict_json=figures, field_accuracy=figures)


def report(*cells: Cell, retention: Retention | None = KEPT) -> EvaluationReport:
    return EvaluationReport(
        scenario="s",
        cells=list(cells),
        p_values={GATE_SPLIT: 0.001},
        gain_p_values={GATE_SPLIT: 0.001},
        retention=retention,
        judge={},
        reward={},
    )


BASE = cell("base", 0.3, 0.2, 0.4)
FILTERED = pl.DataFrame({"fold": ["train"] * 4, "kept": [True, True, False, False]})


def judged_by(figures: EvaluationReport, minimum: float = 0.0, **evidence: Any) -> list[str]:
    """Return the reasons against a release of which all that is not named is as it should be."""
    clean: dict[str, Any] = {"adapter": "c0ffee", "splits": pl.DataFrame(schema=SCHEMA), "filtered": FILTERED}
    return gate(figures.model_copy(update={"adapter": "c0ffee"}), **clean | evidence, minimum=minimum)


def test_a_clear_gain_opens_the_gate() -> None:
    assert judged_by(report(BASE, cell("tuned", 0.8, 0.7, 0.9)), minimum=0.8) == []


@pytest.mark.parametrize("low", [0.4, 0.35])
def test_intervals_that_touch_keep_it_closed(low: float) -> None:
    [reason] = judged_by(report(BASE, cell("tuned", 0.5, low, 0.6)))
    assert "does not clear base 30.0 % [20.0, 40.0]" in reason


def test_what_the_base_knows_in_a_form_of_its_own_counts_for_it() -> None:
    talkative = BASE.model_copy(update={"exact": Interval(mean=0.0, low=0.0, high=0.0, n=40)})
    [reason] = judged_by(report(talkative, cell("tuned", 0.5, 0.35, 0.6)))
    assert "does not clear base 30.0 % [20.0, 40.0]" in reason


def test_a_few_cases_that_all_agree_keep_it_closed() -> None:
    few = report(cell("base", 0.0, 0.0, 0.0), cell("tuned", 1.0, 1.0, 1.0))
    [reason] = judged_by(few.model_copy(update={"gain_p_values": {GATE_SPLIT: 0.125}}))
    assert reason.endswith("40 cases do not tell tuned from base, p = 0.12")


def test_a_report_without_the_p_value_of_the_gain_keeps_it_closed() -> None:
    older = report(BASE, cell("tuned", 0.8, 0.7, 0.9)).model_copy(update={"gain_p_values": {}})
    [reason] = judged_by(older)
    assert reason == f"the report has no p-value of the gain on {GATE_SPLIT}; materialize evaluation_report again"


@pytest.mark.parametrize(("known", "p"), [(20, "0.12"), (18, "")])
def test_the_test_is_of_the_same_figures_as_the_intervals(known: int, p: str) -> None:
    """A base that writes around its answers is exact in none of 24; what it knows is what a gain is measured from."""
    rows = [
        *(test_reporting.row("base", n, () if n < known else ("电话",), strict=0.0) for n in range(24)),
        *(test_reporting.row("tuned", n) for n in range(24)),
    ]
    found = make_report("s", test_reporting.table(*rows), {}, {}, retention=KEPT)
    base, tuned = found.cell(GATE_SPLIT, "base"), found.cell(GATE_SPLIT, "tuned")
    assert base is not None
    assert tuned is not None
    assert (base.exact.mean, base.repaired.mean, tuned.exact.mean) == (0.0, known / 24, 1.0)
    assert tuned.exact.low > base.repaired.high
    assert found.p_values[GATE_SPLIT] < 1e-6
    wanted = [f"exact match on {GATE_SPLIT}: 24 cases do not tell tuned from base, p = {p}"] if p else []
    assert judged_by(found) == wanted


@pytest.mark.parametrize(("mean", "closed"), [(0.29, True), (0.3, False)])
def test_a_model_that_answers_people_worse_than_the_base_stays(mean: float, closed: bool) -> None:
    written = [cell(model, figure, 0.1, 0.5, split="real_style") for model, figure in (("base", 0.3), ("tuned", mean))]
    reasons = judged_by(report(BASE, cell("tuned", 0.8, 0.7, 0.9), *written))
    assert [reason.startswith("exact match on real_style: tuned 29.0 %") for reason in reasons] == [True] * closed


def test_a_gain_below_the_wanted_figure_keeps_it_closed() -> None:
    [reason] = judged_by(report(BASE, cell("tuned", 0.8, 0.7, 0.9)), minimum=0.81)
    assert reason == f"exact match on {GATE_SPLIT}: 0.800 is below the wanted 0.81"


def test_both_reasons_are_told() -> None:
    assert len(judged_by(report(BASE, cell("tuned", 0.2, 0.1, 0.3)), minimum=0.5)) == 2


@pytest.mark.parametrize(
    "cells", [(), (BASE,), (cell("tuned", 0.8, 0.7, 0.9),), (BASE, cell("tuned", 0.8, 0.7, 0.9, split="test_iid"))]
)
def test_missing_figures_keep_it_closed(cells: tuple[Cell, ...]) -> None:
    assert judged_by(report(*cells)) == [f"no base or tuned figures on {GATE_SPLIT}"]


def test_the_metric_of_the_family_decides() -> None:
    nothing = Interval(mean=0.0, low=0.0, high=0.0, n=40)
    cells = [found.model_copy(update={"exact": nothing}) for found in (BASE, cell("tuned", 0.8, 0.7, 0.9))]
    in_words = report(*cells).model_copy(update={"headline": "field_accuracy"})
    assert judged_by(in_words) == []
    assert judged_by(in_words, minimum=0.9) == [f"field accuracy on {GATE_SPLIT}: 0.800 is below the wanted 0.9"]
    assert judged_by(report(*cells))[0].startswith(f"exact match on {GATE_SPLIT}: tuned 0.0 %")


def test_a_reply_is_judged_by_its_fields_and_what_has_one_right_answer_by_exact_match() -> None:
    judged = {name: load_scenario(name).family.headline for name in scenario_names()}
    assert judged.pop("empathetic_reply") == "field_accuracy"
    assert set(judged.values()) == {"exact"}


@pytest.mark.parametrize(
    ("retention", "reason"),
    [
        (summarise(ANSWERS_LOST), "general questions: the tuned model dropped"),
        (summarise(table([(True, True)] * 3 + [(False, False)] * 9)), "general questions: the base answers 3 of 12"),
        (None, "no figures on general questions"),
    ],
)
def test_a_model_that_forgets_or_was_not_asked_stays(retention: Retention | None, reason: str) -> None:
    [found] = judged_by(report(BASE, cell("tuned", 0.8, 0.7, 0.9), retention=retention))
    assert found.startswith(reason)


GOOD = report(BASE, cell("tuned", 0.8, 0.7, 0.9))


@pytest.mark.parametrize(
    ("adapter", "reason"), [("decaf", "the report is of the adapter c0ffee, not of decaf"), ("c0ffee", "")]
)
def test_a_report_of_another_adapter_keeps_it_closed(adapter: str, reason: str) -> None:
    assert "".join(judged_by(GOOD, adapter=adapter)).startswith(reason)
    assert bool(judged_by(GOOD, adapter=adapter)) == bool(reason)


def test_a_report_that_does_not_tell_its_adapter_keeps_it_closed() -> None:
    [reason] = gate(GOOD, adapter="c0ffee", splits=pl.DataFrame(schema=SCHEMA), filtered=FILTERED, minimum=0.0)
    assert reason.startswith("the report is of no adapter, or of several")


def test_a_filter_that_rejects_most_keeps_it_closed() -> None:
    [reason] = judged_by(GOOD, filtered=FILTERED.with_columns(kept=pl.Series([True, False, False, False])))
    assert reason.startswith("25% of 4 training samples are kept")


@pytest.mark.parametrize(
    ("judge", "closed"),
    [
        ({"auc": 0.8, "auc_after_rules": 0.6, "p_value_after_rules": 0.06, "threshold": 0.4}, True),
        ({"auc": 0.8, "auc_after_rules": 0.3, "p_value_after_rules": 0.01, "threshold": 0.4}, True),
        ({"auc": 0.8, "auc_after_rules": 0.6, "p_value_after_rules": 0.01, "threshold": 0.4}, False),
        ({"auc": 0.4, "auc_after_rules": 0.4, "p_value_after_rules": 0.9, "threshold": 0.0}, False),
        ({"auc": 0.8, "threshold": 0.4}, True),
    ],
)
def test_a_judge_that_chooses_must_be_better_than_chance(judge: dict[str, float], closed: bool) -> None:
    reasons = judged_by(GOOD.model_copy(update={"judge": judge}))
    assert [reason.startswith("the judge rejects samples") for reason in reasons] == [True] * closed


def test_splits_that_leak_keep_it_closed(splits: pl.DataFrame) -> None:
    assert judged_by(GOOD, splits=splits) == []
    repeated = splits.filter(split="train").head(2).with_columns(split=pl.lit("test_noise"))
    [reason] = judged_by(GOOD, splits=pl.concat([splits, repeated]))
    assert reason == "test_noise: 2 messages stand in train word for word"


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
