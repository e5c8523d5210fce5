"""The report: figures per split and model, and the failures worth reading."""

import json

import polars as pl
import pytest

from cs_assets.evaluation.predicting import SCHEMA
from cs_assets.evaluation.reporting import (
    LEADERBOARD_SCHEMA,
    EvaluationReport,
    answered_by,
    changes_table,
    leaderboard_rows,
    main_table,
    make_report,
    markdown,
    outcome,
    p_value,
    worst_failures,
)
from cs_assets.evaluation.retention import summarise
from cs_assets.families.base import METRIC_TITLES, METRICS
from cs_assets_tests.evaluation.test_retention import table as answers

SPLIT = "test_template_ood"


def row(model: str, number: int, wrong: tuple[str, ...] = (), split: str = SPLIT, strict: float = 1.0) -> dict:
    fields = {field: float(field not in wrong) for field in ("姓名", "电话")}
    return {
        "model": model,
        "split": split,
        "sample_id": f"{split}-{number}",
        "message": f"<b>{number}</b>",
        "answer": "{}",
        "prediction": f"<i>{model}</i>",
        "strict_json": strict,
        "exact": float(not wrong and strict == 1),
        "repaired": float(not wrong),
        "field_accuracy": sum(fields.values()) / 2,
        "fields": json.dumps(fields, ensure_ascii=False),
        "tags": ["polite"] if number else [],
        "template_family": "f",
        "template_origin": "rewrite" if number > 1 else "seed",
    }


def table(*rows: dict) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=list(SCHEMA))


@pytest.fixture
def predictions() -> pl.DataFrame:
    """Base: one of four right. Tuned: three of four, the fourth with both fields wrong."""
    base = [row("base", 0), *(row("base", n, ("电话",)) for n in (1, 2, 3))]
    tuned = [*(row("tuned", n) for n in (0, 1, 2)), row("tuned", 3, ("姓名", "电话"))]
    return table(*base, *tuned, row("base", 0, split="test_iid"), row("tuned", 0, split="test_iid"))


@pytest.fixture
def report(predictions: pl.DataFrame) -> EvaluationReport:
    return make_report("address_extraction", predictions, {"auc": 0.9}, {"accuracy": 0.8})


def test_each_split_and_model_has_a_cell(report: EvaluationReport) -> None:
    assert [(c.split, c.model) for c in report.cells] == [
        ("test_iid", "base"),
        ("test_iid", "tuned"),
        (SPLIT, "base"),
        (SPLIT, "tuned"),
    ]
    base, tuned = report.cell(SPLIT, "base"), report.cell(SPLIT, "tuned")
    assert base is not None
    assert tuned is not None
    assert (base.exact.mean, base.field_accuracy.mean, base.exact.n) == (0.25, 0.625, 4)
    assert (tuned.exact.mean, tuned.strict_json.mean) == (0.75, 1.0)


def test_a_cell_that_is_not_there_is_none(report: EvaluationReport) -> None:
    assert report.cell("test_noise", "tuned") is None
    assert report.cell(SPLIT, "aligned") is None


def test_base_and_tuned_are_compared_pair_by_pair(report: EvaluationReport) -> None:
    assert report.p_values == {"test_iid": 1.0, SPLIT: 0.5}


def test_a_gain_in_exact_match_is_tested_against_what_the_base_knows_in_any_form() -> None:
    base = [row("base", n, ("电话",) if n > 3 else (), strict=0.0) for n in range(10)]
    rows = table(*base, *(row("tuned", n) for n in range(10)))
    exact, fields = (make_report("s", rows, {}, {}, headline=metric) for metric in ("exact", "field_accuracy"))
    assert (exact.p_values, exact.gain_p_values) == ({SPLIT: 2 / 2**10}, {SPLIT: 2 / 2**6})
    assert fields.gain_p_values == fields.p_values == {SPLIT: 2 / 2**6}


def test_what_was_made_of_the_tuned_model_is_compared_with_it_message_by_message() -> None:
    tuned = [row("tuned", number, ("电话",) if number < 2 else ()) for number in range(9)]
    aligned = [row("aligned", number, ("电话",) if number == 8 else ()) for number in range(9)]
    found = make_report("address_extraction", table(*tuned, *aligned, row("best_of_n", 1)), {}, {})
    first, second = found.changes
    assert (first.split, first.model, first.difference.n) == (SPLIT, "aligned", 9)
    assert first.difference.mean == pytest.approx(1 / 9)
    assert first.difference.low < 0 < first.difference.high
    assert first.p_value == 1.0  # two gained, one lost
    assert (second.model, second.difference.n, second.difference.mean) == ("best_of_n", 1, 1.0)
    columns, rows = changes_table(found)
    assert columns[3] == f"{METRIC_TITLES['exact']}, less that of tuned"
    assert [line[:3] for line in rows] == [[SPLIT, "aligned", "9"], [SPLIT, "best_of_n", "1"]]
    assert f"| {SPLIT} | aligned | 9 | " in markdown(found)


def test_where_nothing_was_made_of_the_tuned_model_nothing_is_told(report: EvaluationReport) -> None:
    assert report.changes == changes_table(report)[1] == []


def test_without_a_base_there_is_no_comparison(predictions: pl.DataFrame) -> None:
    found = make_report("s", predictions.filter(pl.col("model") == "tuned"), {}, {})
    assert (found.p_values, found.gain_p_values) == ({}, {})


def test_accuracy_by_field_is_of_each_split(report: EvaluationReport) -> None:
    means = {
        split: {model: {field: found.mean for field, found in by.items()} for model, by in models.items()}
        for split, models in report.fields.items()
    }
    right = {"姓名": 1.0, "电话": 1.0}
    assert means == {
        "test_iid": {"base": right, "tuned": right},
        SPLIT: {"base": {"姓名": 1.0, "电话": 0.25}, "tuned": {"姓名": 0.75, "电话": 0.75}},
    }
    assert {found.n for by in report.fields[SPLIT].values() for found in by.values()} == {4}


def test_the_order_of_the_predictions_does_not_matter(predictions: pl.DataFrame, report: EvaluationReport) -> None:
    again = make_report("address_extraction", predictions.reverse(), {"auc": 0.9}, {"accuracy": 0.8})
    assert again.p_values == report.p_values
    assert [c.exact.mean for c in again.cells] == [c.exact.mean for c in report.cells]


def test_a_report_survives_its_json(report: EvaluationReport) -> None:
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_no_predictions_are_answered_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"raise their counts in scenario\.yaml"):
        make_report("s", table(), {}, {})


def test_the_main_table_has_the_models_side_by_side_and_p_at_the_headline_figure(report: EvaluationReport) -> None:
    head, rows = main_table(report)
    assert head == ["split", "figure", "n", "base", "tuned", "p"]
    assert [row[:3] for row in rows] == [
        [split if metric == "exact" else "", METRIC_TITLES[metric], n]
        for split, n in (("test_iid", "1"), (SPLIT, "4"))
        for metric in METRICS
    ]
    whole = "100.0 % [100.0, 100.0]"
    assert rows[0] == ["test_iid", "exact match", "1", whole, whole, "1.000"]
    first = rows[len(METRICS)]
    assert [figure.split()[0] for figure in first[3:5]] == ["25.0", "75.0"]
    assert [row[5] for row in rows[len(METRICS) :]] == ["0.500", *[""] * (len(METRICS) - 1)]


def test_models_stand_in_the_order_in_which_they_are_made(predictions: pl.DataFrame) -> None:
    asked = pl.concat(
        [predictions, *(table(row(model, 0, split="test_iid")) for model in ("best_of_n", "aligned", "base_few_shot"))]
    )
    found = make_report("s", asked, {}, {})
    assert found.models == ["base", "base_few_shot", "tuned", "aligned", "best_of_n"]
    head, rows = main_table(found)
    assert {len(line) for line in (head, *rows)} == {len(head)}
    assert rows[-1][head.index("aligned")] == ""  # was not asked on that split


def test_a_tiny_p_value_is_told_as_a_bound() -> None:
    told = {1.0: "1.000", 0.0213: "0.021", 0.001: "0.001", 0.00099: "<0.001", 1e-40: "<0.001", 0.0: "<0.001"}
    assert {p: p_value(p) for p in told} == told


def test_markdown_has_a_line_a_figure(report: EvaluationReport) -> None:
    lines = markdown(report).splitlines()
    assert len(lines) == 2 + 2 * len(METRICS)
    assert lines[2] == "| test_iid | exact match | 1 | 100.0 % [100.0, 100.0] | 100.0 % [100.0, 100.0] | 1.000 |"


def test_the_outcome_is_told_in_a_line_of_the_splits_that_base_and_tuned_were_asked(report: EvaluationReport) -> None:
    cells = [report.cell(SPLIT, model) for model in ("base", "tuned")]
    before, after = (cell.exact for cell in cells if cell)
    assert outcome(report) == f"exact match on unseen sentences: {before} before, {after} after"
    alone = report.model_copy(update={"cells": [cell for cell in report.cells if cell.model == "tuned"]})
    assert outcome(alone) == "base and tuned model were not both asked"


def test_what_general_questions_say_stands_below_the_table(predictions: pl.DataFrame) -> None:
    kept = summarise(answers([(True, True), (True, False)]))
    found = make_report("s", predictions, {}, {}, retention=kept)
    assert "base 100.0 % [100.0, 100.0], tuned 50.0 %" in markdown(found)


def test_failures_come_worst_first_and_of_one_model_only() -> None:
    rows = [row("tuned", n, ("电话",)) for n in range(30)] + [
        row("tuned", 99, ("姓名", "电话")),
        row("base", 5, ("电话",)),
    ]
    found = worst_failures(table(*rows, row("tuned", 98)))
    assert found.height == 20
    assert found["sample_id"][0] == f"{SPLIT}-99"
    assert set(found["model"]) == {"tuned"}
    assert (found["exact"] == 0).all()


def test_a_field_is_averaged_over_the_samples_that_have_it() -> None:
    rows = [row("tuned", 1), row("tuned", 2) | {"fields": '{"姓名": 0.0}'}]
    found = make_report("s", pl.DataFrame(rows, schema=SCHEMA), {}, {}).fields[SPLIT]["tuned"]
    assert {field: (figure.mean, figure.n) for field, figure in found.items()} == {"姓名": (0.5, 2), "电话": (1.0, 1)}


def test_each_split_is_told_by_tag_and_by_origin_of_the_template_those_without_a_tag_as_well(
    report: EvaluationReport,
) -> None:
    found = {
        (group.split, group.by, group.name, group.model): (
            group.headline.mean,
            group.field_accuracy.mean,
            group.headline.n,
        )
        for group in report.groups
        if group.field_accuracy
    }
    assert found == {
        ("test_iid", "tag", "", "base"): (1.0, 1.0, 1),
        ("test_iid", "tag", "", "tuned"): (1.0, 1.0, 1),
        ("test_iid", "origin", "seed", "base"): (1.0, 1.0, 1),
        ("test_iid", "origin", "seed", "tuned"): (1.0, 1.0, 1),
        (SPLIT, "tag", "", "base"): (1.0, 1.0, 1),
        (SPLIT, "tag", "", "tuned"): (1.0, 1.0, 1),
        (SPLIT, "tag", "polite", "base"): (0.0, 0.5, 3),
        (SPLIT, "tag", "polite", "tuned"): (2 / 3, 2 / 3, 3),
        (SPLIT, "origin", "seed", "base"): (0.5, 0.75, 2),
        (SPLIT, "origin", "seed", "tuned"): (1.0, 1.0, 2),
        (SPLIT, "origin", "rewrite", "base"): (0.0, 0.5, 2),
        (SPLIT, "origin", "rewrite", "tuned"): (0.5, 0.5, 2),
    }


def test_a_report_of_an_older_run_is_read(report: EvaluationReport) -> None:
    share = report.cells[0].exact
    older = report.model_dump(exclude={"fields", "groups"}) | {
        "per_field": {"tuned": {"姓名": share}},
        "groups": [{"by": "tag", "name": "polite", "model": "tuned", "headline": share}],
    }
    found = EvaluationReport.model_validate(older)
    assert (found.fields, found.groups[0].split, found.groups[0].headline) == ({}, "", share)
    assert leaderboard_rows(found) == leaderboard_rows(report)


def test_a_family_may_be_judged_by_another_metric(predictions: pl.DataFrame) -> None:
    found = make_report("s", predictions, {}, {}, headline="field_accuracy")
    by_tag = {(group.name, group.model): group.headline.mean for group in found.groups if group.name == "polite"}
    assert by_tag == {("polite", "base"): 0.5, ("polite", "tuned"): 2 / 3}
    assert found.p_values == {"test_iid": 1.0, SPLIT: 1.0}  # two gained half, one lost half: 2 of 3, two-sided


def test_the_leaderboard_names_the_metric(predictions: pl.DataFrame) -> None:
    rows = leaderboard_rows(make_report("s", predictions, {}, {}, headline="field_accuracy"))
    board = pl.DataFrame(rows, schema=LEADERBOARD_SCHEMA, orient="row")
    figures = board.filter(split=SPLIT).select("scenario", "n", "metric", "base", "tuned", "gain")
    assert figures.rows() == [("s", 4, "field accuracy", 0.625, 0.75, 0.125)]
    found = make_report("s", predictions, {}, {})
    tuned = found.cell(SPLIT, "tuned")
    assert tuned is not None
    exact = pl.DataFrame(leaderboard_rows(found), schema=LEADERBOARD_SCHEMA, orient="row").row(1, named=True)
    assert (exact["metric"], exact["split"], exact["base"], exact["gain"]) == ("exact match", SPLIT, 0.25, 0.5)
    assert [exact[f"tuned{edge}"] for edge in ("", "_low", "_high")] == [0.75, tuned.exact.low, tuned.exact.high]


def test_the_adapter_is_told_where_all_tables_agree_on_it(predictions: pl.DataFrame) -> None:
    def of(adapter: str) -> pl.DataFrame:
        return predictions.with_columns(adapter=pl.when(pl.col("model") == "tuned").then(pl.lit(adapter)))

    assert answered_by(of("a"), of("a")) == "a"
    assert answered_by(of("a"), of("b")) == ""
    assert answered_by(of("a"), predictions) == ""
    assert answered_by(predictions) == ""
