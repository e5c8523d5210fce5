"""The report: figures per split and model, the failures worth reading, one page."""

import json
from collections.abc import Sequence

import polars as pl
import pytest

from cs_assets.evaluation.predicting import SCHEMA
from cs_assets.evaluation.reporting import (
    LEADERBOARD_SCHEMA,
    EvaluationReport,
    answered_by,
    html_page,
    leaderboard_rows,
    make_report,
    markdown,
    worst_failures,
)
from cs_assets.evaluation.retention import summarise
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


def test_without_a_base_there_is_no_comparison(predictions: pl.DataFrame) -> None:
    tuned = predictions.filter(pl.col("model") == "tuned")
    assert make_report("s", tuned, {}, {}).p_values == {}


def test_accuracy_by_field_goes_over_all_splits(report: EvaluationReport) -> None:
    means = {model: {field: found.mean for field, found in by.items()} for model, by in report.per_field.items()}
    assert means == {"base": {"姓名": 1.0, "电话": 0.4}, "tuned": {"姓名": 0.8, "电话": 0.8}}
    assert {found.n for by in report.per_field.values() for found in by.values()} == {5}


def test_the_order_of_the_predictions_does_not_matter(predictions: pl.DataFrame, report: EvaluationReport) -> None:
    again = make_report("address_extraction", predictions.reverse(), {"auc": 0.9}, {"accuracy": 0.8})
    assert again.p_values == report.p_values
    assert [c.exact.mean for c in again.cells] == [c.exact.mean for c in report.cells]


def test_a_report_survives_its_json(report: EvaluationReport) -> None:
    assert EvaluationReport.model_validate_json(report.model_dump_json()) == report


def test_no_predictions_are_answered_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"raise their counts in scenario\.yaml"):
        make_report("s", table(), {}, {})


def test_markdown_has_a_line_a_cell(report: EvaluationReport) -> None:
    lines = markdown(report).splitlines()
    assert len(lines) == 2 + len(report.cells)
    assert lines[2].startswith("| test_iid | base | 1 | 100.0 % [100.0, 100.0] |")


def test_what_general_questions_say_stands_in_table_and_page(predictions: pl.DataFrame) -> None:
    kept = summarise(answers([(True, True), (True, False)]))
    found = make_report("s", predictions, {}, {}, retention=kept)
    told = "base 100.0 % [100.0, 100.0], tuned 50.0 %"
    assert told in markdown(found)
    page = html_page(found, predictions, "t", [])
    assert told in page
    assert "<td>kind1</td><td>1</td><td>100.0 % [100.0, 100.0]</td><td>0.0 % [0.0, 0.0]</td>" in page


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


def test_the_page_says_before_and_after_and_escapes_what_customers_and_models_wrote(
    report: EvaluationReport, predictions: pl.DataFrame
) -> None:
    page = html_page(report, predictions, "收货 <信息>", ["<p>plot</p>"])
    assert "<b>25 %</b> before, <b>75 %</b> after tuning (4 messages)" in page
    assert "收货 &lt;信息&gt;" in page
    assert "<p>plot</p>" in page
    assert "&lt;b&gt;3&lt;/b&gt;" in page
    assert "<b>3</b>" not in page
    assert "<i>tuned</i>" not in page
    assert "姓名, 电话" in page
    assert "http" not in page


def test_a_failure_of_format_alone_is_called_so(report: EvaluationReport) -> None:
    page = html_page(report, table(row("tuned", 1, strict=0.0)), "t", [])
    assert "format only" in page


def test_a_page_without_failures_says_none(report: EvaluationReport) -> None:
    assert "<p>none</p>" in html_page(report, table(row("tuned", 1)), "t", [])


def test_a_page_without_the_headline_split_has_no_headline(predictions: pl.DataFrame) -> None:
    iid = predictions.filter(pl.col("split") == "test_iid")
    assert "after tuning" not in html_page(make_report("s", iid, {}, {}), iid, "t", [])


def test_a_field_is_averaged_over_the_samples_that_have_it() -> None:
    rows = [row("tuned", 1), row("tuned", 2) | {"fields": '{"姓名": 0.0}'}]
    found = make_report("s", pl.DataFrame(rows, schema=SCHEMA), {}, {}).per_field["tuned"]
    assert {field: (figure.mean, figure.n) for field, figure in found.items()} == {"姓名": (0.5, 2), "电话": (1.0, 1)}


def test_the_headline_figure_is_told_by_tag_and_by_origin_of_the_template(report: EvaluationReport) -> None:
    found = {(group.by, group.name, group.model): (group.headline.mean, group.headline.n) for group in report.groups}
    assert found == {
        ("tag", "polite", "base"): (0.0, 3),
        ("tag", "polite", "tuned"): (2 / 3, 3),
        ("origin", "seed", "base"): (2 / 3, 3),
        ("origin", "seed", "tuned"): (1.0, 3),
        ("origin", "rewrite", "base"): (0.0, 2),
        ("origin", "rewrite", "tuned"): (0.5, 2),
    }


def test_a_family_adds_figures_of_its_own_and_the_page_shows_them(predictions: pl.DataFrame) -> None:
    class Counting:
        def summary(self, predictions: Sequence[str], answers: Sequence[str]) -> dict[str, float]:
            return {"cases": len(predictions) / 4}

    found = make_report("s", predictions, {}, {}, family=Counting(), fit="fits: <level>")
    assert found.summaries == {
        "test_iid": {"base": {"cases": 0.25}, "tuned": {"cases": 0.25}},
        SPLIT: {"base": {"cases": 1.0}, "tuned": {"cases": 1.0}},
    }
    page = html_page(found, predictions, "t", [])
    assert "<td>base</td><td>25.0 %</td>" in page
    assert "fits: &lt;level&gt;" in page
    assert make_report("s", predictions, {}, {}, family=object()).summaries == {}


def test_a_family_may_be_judged_by_another_metric_and_the_reader_is_told_which(predictions: pl.DataFrame) -> None:
    found = make_report("s", predictions, {}, {}, headline="field_accuracy")
    by_tag = {(group.name, group.model): group.headline.mean for group in found.groups if group.by == "tag"}
    assert by_tag == {("polite", "base"): 0.5, ("polite", "tuned"): 2 / 3}
    assert found.p_values == {"test_iid": 1.0, SPLIT: 1.0}  # two gained half, one lost half: 2 of 3, two-sided
    page = html_page(found, predictions, "t", [])
    assert "Field accuracy on unseen templates: <b>62 %</b> before, <b>75 %</b> after" in page
    assert "p: exact sign test on field accuracy" in page
    assert "Field accuracy by tag" in page
    assert "Exact match by" not in page


def test_the_leaderboard_names_the_metric(predictions: pl.DataFrame) -> None:
    rows = leaderboard_rows(make_report("s", predictions, {}, {}, headline="field_accuracy"))
    board = pl.DataFrame(rows, schema=LEADERBOARD_SCHEMA, orient="row")
    assert board.filter(split=SPLIT).rows() == [("s", SPLIT, 4, "field accuracy", 0.625, 0.75, 0.125)]
    exact = leaderboard_rows(make_report("s", predictions, {}, {}))
    assert ("s", SPLIT, 4, "exact match", 0.25, 0.75, 0.5) in exact


def test_the_adapter_is_told_where_all_tables_agree_on_it(predictions: pl.DataFrame) -> None:
    def of(adapter: str) -> pl.DataFrame:
        return predictions.with_columns(adapter=pl.when(pl.col("model") == "tuned").then(pl.lit(adapter)))

    assert answered_by(of("a"), of("a")) == "a"
    assert answered_by(of("a"), of("b")) == ""
    assert answered_by(of("a"), predictions) == ""
    assert answered_by(predictions) == ""
