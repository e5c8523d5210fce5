"""The page about a model: what a reader is told, in which words, and that nothing on it is taken for HTML."""

import json
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.evaluation.report_page import differences, html_page
from cs_assets.evaluation.reporting import EvaluationReport, make_report
from cs_assets.evaluation.retention import summarise
from cs_assets.statistics import Interval
from cs_assets_tests.evaluation.test_reporting import SPLIT, row, table
from cs_assets_tests.evaluation.test_retention import table as answers

COLUMNS = ["n", "exact match, base", "exact match, tuned", "field accuracy, base", "field accuracy, tuned"]
SHARE = Interval(mean=0.5, low=0.25, high=0.75, n=8)


@pytest.fixture
def predictions() -> pl.DataFrame:
    """Base: one of four right. Tuned: three of four, the fourth with both fields wrong."""
    base = [row("base", 0), *(row("base", n, ("电话",)) for n in (1, 2, 3))]
    tuned = [*(row("tuned", n) for n in (0, 1, 2)), row("tuned", 3, ("姓名", "电话"))]
    return table(*base, *tuned)


@pytest.fixture
def report(predictions: pl.DataFrame) -> EvaluationReport:
    return make_report("address_extraction", predictions, {"auc": 0.9}, {"accuracy": 0.8})


def test_the_page_says_before_and_after_and_escapes_what_customers_and_models_wrote(
    report: EvaluationReport, predictions: pl.DataFrame
) -> None:
    page = html_page(report, predictions, "收货 <信息>", curve="<p>plot</p>", about={"LLM": "<none>"})
    assert "<b>25 %</b> before, <b>75 %</b> [25, 100] after tuning (4 messages)" in page
    assert "收货 &lt;信息&gt;" in page
    assert "<p>plot</p>" in page
    assert "<td>LLM</td><td>&lt;none&gt;</td>" in page
    assert "&lt;b&gt;3&lt;/b&gt;" in page
    assert "<b>3</b>" not in page
    assert "<i>tuned</i>" not in page
    assert "姓名, 电话" in page
    assert "http" not in page


def test_the_page_explains_the_names_that_its_main_table_has_and_no_others(
    report: EvaluationReport, predictions: pl.DataFrame
) -> None:
    page = html_page(report, predictions, "t")
    for name in (SPLIT, "exact match", "field accuracy", "base", "tuned"):
        assert f"<b>{name}</b>: " in page
    for name in ("real_style", "aligned"):
        assert f"<b>{name}</b>" not in page
    assert "McNemar's exact test, base against tuned" in page


def test_a_reader_is_told_where_each_message_was_asked_for_after_the_true_ones(
    report: EvaluationReport, predictions: pl.DataFrame
) -> None:
    assert "after the true ones before it" in html_page(report, predictions, "t", stepwise=True)
    assert "after the true ones" not in html_page(report, predictions, "t")


def test_the_worst_failures_are_counted_and_tell_their_case(
    report: EvaluationReport, predictions: pl.DataFrame
) -> None:
    page = html_page(report, predictions, "t")
    assert "Failures of the tuned model: the worst 1 of 1" in page
    assert f'<dd class="case">{SPLIT} · polite</dd>' in page


def test_a_failure_of_format_alone_is_called_so(report: EvaluationReport) -> None:
    assert "format only" in html_page(report, table(row("tuned", 1, strict=0.0)), "t")


@pytest.mark.parametrize(
    ("fields", "strict", "wrong"),
    [
        ({"steps": 1.0, "words": 0.857}, 1.0, "words 0.86"),
        ({"steps": 0.0, "words": 0.857}, 0.0, "steps, words 0.86"),
        ({"steps": 1.0, "words": 1.0}, 1.0, None),
    ],
)
def test_what_is_partly_right_is_told_with_its_share_and_nothing_else_is_named(
    report: EvaluationReport, fields: dict[str, float], strict: float, wrong: str | None
) -> None:
    failed = row("tuned", 1, strict=strict) | {"exact": 0.0, "fields": json.dumps(fields)}
    page = html_page(report, table(failed), "t")
    assert re.findall('<dd class="wrong">(.*?)</dd>', page) == ([wrong] if wrong else [])


def test_where_answers_are_judged_by_degrees_the_weakest_are_not_called_failures(predictions: pl.DataFrame) -> None:
    page = html_page(make_report("s", predictions, {}, {}, headline="field_accuracy"), predictions, "t")
    assert "<h2>The weakest 1 of the tuned model&#x27;s 4 answers, by field accuracy</h2>" in page
    assert "Failures" not in page


def test_what_became_of_the_tuned_model_is_told_where_something_did(
    predictions: pl.DataFrame, report: EvaluationReport
) -> None:
    aligned = predictions.filter(model="tuned").with_columns(model=pl.lit("aligned"))
    changed = make_report("address_extraction", pl.concat([predictions, aligned]), {}, {})
    assert "Against the tuned model" in html_page(changed, predictions, "t")
    assert "Against the tuned model" not in html_page(report, predictions, "t")


def test_a_page_without_failures_says_none(report: EvaluationReport) -> None:
    assert "<p>none</p>" in html_page(report, table(row("tuned", 1)), "t")


def test_an_answer_that_says_nothing_is_called_so(report: EvaluationReport) -> None:
    silent = row("tuned", 1, ("电话",)) | {"prediction": ""}
    assert '<dd class="answered">(nothing)</dd>' in html_page(report, table(silent), "t")


def test_a_page_without_the_headline_split_has_no_headline(predictions: pl.DataFrame) -> None:
    iid = predictions.with_columns(split=pl.lit("test_iid"))
    assert "after tuning" not in html_page(make_report("s", iid, {}, {}), iid, "t")


def test_the_reader_is_told_by_which_metric_a_family_is_judged(predictions: pl.DataFrame) -> None:
    found = make_report("s", predictions, {}, {}, headline="field_accuracy", fit="fits: <level>")
    page = html_page(found, predictions, "t")
    assert "Field accuracy on unseen sentences: <b>62 %</b> before, <b>75 %</b> [25, 100] after" in page
    assert "p: exact sign test on field accuracy" in page
    assert "exact match, tuned" not in page
    assert "Fits: &lt;level&gt;" in page


def test_each_figure_stands_beside_its_number_of_cases(report: EvaluationReport, predictions: pl.DataFrame) -> None:
    fewer = SHARE.model_copy(update={"n": 7})
    measures = {SPLIT: {"base": {"macro_f1": SHARE, "cosine": fewer}, "tuned": {"macro_f1": SHARE, "cosine": SHARE}}}
    page = html_page(report.model_copy(update={"measures": measures}), predictions, "t")
    share = '<td class="figure">50.0 % <small>[25.0, 75.0]</small></td>'
    assert f'<td>macro_f1</td><td class="figure">8</td>{share}{share}' in page
    assert f'<td>cosine</td><td class="figure">7, 8</td>{share}{share}' in page
    assert f'<td>{SPLIT}</td><td>姓名</td><td class="figure">4</td>' in page
    assert '<td>rewrite</td><td class="figure">2</td>' in page


def test_figures_by_tag_and_by_origin_stand_beside_their_split_and_those_without_a_tag_first(
    report: EvaluationReport, predictions: pl.DataFrame
) -> None:
    page = html_page(report, predictions, "t")
    columns = "".join(f'<th class="figure">{name}</th>' for name in COLUMNS)
    assert f"<th>split</th><th>tag</th>{columns}</tr><tr><td>{SPLIT}</td><td>none</td>" in page
    [polite] = re.findall("<td></td><td>polite</td>(.*?)</tr>", page)
    assert re.findall(r'class="figure">([\d.]+)', polite) == ["3", "0.0", "66.7", "50.0", "66.7"]


def test_a_family_judged_by_field_accuracy_has_no_second_figure(predictions: pl.DataFrame) -> None:
    page = html_page(make_report("s", predictions, {}, {}, headline="field_accuracy"), predictions, "t")
    assert "<th>tag</th>" in page
    assert "field accuracy, base" in page
    assert page.count("field accuracy, tuned") == 2  # by tag and by origin
    assert "exact match, tuned" not in page


def test_what_general_questions_say_stands_on_the_page(predictions: pl.DataFrame) -> None:
    kept = summarise(answers([(True, True), (True, False)]))
    page = html_page(make_report("s", predictions, {}, {}, retention=kept), predictions, "t")
    assert "<p>Base 100.0 % [100.0, 100.0], tuned 50.0 %" in page
    assert "more than chance explains" not in page
    lost = summarise(answers([(True, False)] * 6))
    told = html_page(make_report("s", predictions, {}, {}, retention=lost), predictions, "t")
    assert "The tuned model has lost more than chance explains." in told
    figures = ("1", "100.0 % <small>[100.0, 100.0]</small>", "0.0 % <small>[0.0, 0.0]</small>")
    assert "<td>kind1</td>" + "".join(f'<td class="figure">{figure}</td>' for figure in figures) in page


def test_the_data_card_is_folded_into_the_page_which_needs_no_other_file(
    report: EvaluationReport, predictions: pl.DataFrame
) -> None:
    page = html_page(report, predictions, "t", card=["<p>of the data</p>"])
    [folded] = re.findall("<details>.*?</details>", page, re.S)
    assert "<p>of the data</p>" in folded
    assert "href" not in page
    assert ".html" not in page
    assert "<details>" not in html_page(report, predictions, "t")


JUDGE = {
    **{"auc": 0.957, "auc_low": 0.9314, "auc_high": 0.9766, "auc_rules": 0.8, "auc_with_rules": 0.97, "n": 180.0},
    **{"auc_seen": 0.9, "auc_seen_low": 0.8, "auc_seen_high": 1.0, "auc_rules_seen": 0.7, "auc_with_rules_seen": 0.9},
    **{"auc_after_rules": 0.9, "n_after_rules": 90.0, "p_value_after_rules": 0.01, "threshold": 0.4},
    **{"precision": 0.95, "recall": 0.5, "precision_unseen": 1.0, "recall_unseen": 0.25, "n_after_rules_unseen": 40.0},
}
REWARD = {
    **{"n": 12.0, "accuracy": 0.75, "accuracy_low": 0.5, "accuracy_high": 1.0},
    **{"n_seen": 12.0, "accuracy_seen": 0.75, "accuracy_seen_low": 0.5, "accuracy_seen_high": 1.0, "n_unseen": 0.0},
}


def cells(*texts: str) -> str:
    return "".join(f'<td class="figure">{text}</td>' for text in texts)


def test_what_is_known_of_judge_and_reward_model_stands_on_the_page(predictions: pl.DataFrame) -> None:
    page = html_page(make_report("s", predictions, JUDGE, REWARD), predictions, "t")
    assert "The judge adds 0.170 to the rules: on 180 test samples the rules alone reach AUC 0.800" in page
    whole = cells("180", "0.957 <small>[0.931, 0.977]</small>", "0.800", "0.970")
    assert f"<tr><td>all</td>{whole}</tr>" in page
    seen = cells("", "0.900 <small>[0.800, 1.000]</small>", "0.700", "0.900")
    assert f"<tr><td>seen in training</td>{seen}</tr>" in page
    assert f"<tr><td>all</td>{cells('90', '0.900', '95.0 %', '50.0 %')}</tr>" in page
    assert f"<tr><td>unseen</td>{cells('40', '', '100.0 %', '25.0 %')}</tr>" in page
    assert "threshold of 0.40" in page
    right = cells("12", "75.0 % <small>[50.0, 100.0]</small>")
    assert f"<tr><td>all</td>{right}</tr><tr><td>seen in training</td>{right}</tr></table>" in page


def test_of_a_judge_of_an_older_version_the_page_tells_what_is_known(predictions: pl.DataFrame) -> None:
    page = html_page(make_report("s", predictions, {"auc": 0.9, "auc_rules": 0.8}, {}), predictions, "t")
    assert f"<tr><td>all</td>{cells('', '0.900', '0.800', '')}</tr>" in page
    assert "The judge adds" not in page
    assert "threshold" not in page


def test_a_page_without_figures_of_judge_and_reward_model_tells_nothing_of_them(predictions: pl.DataFrame) -> None:
    page = html_page(make_report("s", predictions, {}, {"n": 0.0}), predictions, "t")
    assert "judge" not in page
    assert "reward model" not in page


def test_each_origin_that_the_table_has_is_explained(predictions: pl.DataFrame) -> None:
    told = {
        "seed": "written by a person",
        "history": "a real message",
        "rewrite": "fixed rules",
        "llm": "language model",
    }
    for origin, what in told.items():
        of_one = predictions.with_columns(template_origin=pl.lit(origin))
        page = html_page(make_report("s", of_one, {}, {}), of_one, "t")
        [note] = [line for line in page.splitlines() if f'<p class="note"><b>{origin}</b>: ' in line]
        assert what in note
        assert not any(f"<b>{other}</b>" in page for other in told if other != origin)


@given(wanted=st.text("张三李四省市，"), answered=st.text("张三李四省市，"))
def test_differences_leave_the_texts_as_they_are_and_what_is_not_marked_is_the_same(wanted: str, answered: str) -> None:
    found = differences(wanted, answered)
    assert tuple("".join(piece for piece, _ in pieces) for pieces in found) == (wanted, answered)
    if any(marked for pieces in found for _, marked in pieces):
        one, other = ("".join(piece for piece, marked in pieces if not marked) for pieces in found)
        assert one == other


def test_only_what_differs_is_marked() -> None:
    wanted, answered = differences("张三，省市", "李三，省")
    assert wanted == [("张", True), ("三，省", False), ("市", True)]
    assert answered == [("李", True), ("三，省", False)]
    assert differences("张三，省市", "没有") == ([("张三，省市", False)], [("没有", False)])
