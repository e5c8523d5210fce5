"""Judging: what is asked, where the threshold lies, how good the judge is."""

import itertools
import json
from pathlib import Path
from statistics import fmean

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import Sample
from cs_assets.learning.inference import answer_surprises
from cs_assets.learning.kto import TASK, JudgeSettings, train_judge
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.quality.judging import (
    CALIBRATION_FILE,
    WORDS,
    Calibration,
    CalibrationSettings,
    Scaling,
    added_to_rules,
    after_rules,
    auc,
    calibrate,
    calibrated,
    calibration_cases,
    chance_of,
    conversation_surprises,
    fit_scaling,
    judge_metrics,
    judge_prompt,
    read_samples,
    task_to_learn,
    verdicts_to_learn,
    with_unseen,
)
from cs_assets.scenario import Scenario

NONE_BROKEN = pl.lit([], dtype=pl.List(pl.String))
SCORED = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=4, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def kept_at(labels: list[bool], scores: list[float], threshold: float) -> list[bool]:
    return [label for label, score in zip(labels, scores, strict=True) if score >= threshold]


def test_the_judge_reads_instruction_message_and_answer(scenario: Scenario) -> None:
    system, user = judge_prompt(scenario, Sample(message="张三", answer='{"姓名": "张三"}'))
    assert system["content"] == scenario.spec.system
    head, answer, question = user["content"].rsplit("\n", 2)
    assert head == scenario.prompt("张三")[-1]["content"]
    assert answer == '{"姓名": "张三"}'
    assert all(word in question for word in WORDS)


@given(rows=SCORED, wanted=st.floats(0.1, 1), least=st.floats(0.1, 0.99))
def test_threshold_is_the_lowest_of_the_wanted_precision_that_keeps_enough(
    rows: list[tuple[bool, float]], wanted: float, least: float
) -> None:
    labels, scores = [label for label, _ in rows], [score for _, score in rows]
    found = chosen(labels, scores, wanted_precision=wanted, minimum_recall=least)
    if found.p_value > 0.05 or least ** sum(labels) > 0.05:
        assert (found.threshold, found.recall) == (0.0, 1.0)
        return
    kept = kept_at(labels, scores, found.threshold)
    assert found.threshold in scores
    assert found.precision == pytest.approx(sum(kept) / len(kept))
    assert found.recall == pytest.approx(sum(kept) / sum(labels))
    assert found.recall >= least
    kept_by = {t: kept_at(labels, scores, t) for t in scores}
    precisions = {t: sum(k) / len(k) for t, k in kept_by.items() if sum(k) / sum(labels) >= least}
    if found.precision >= wanted:
        assert all(precision < wanted for t, precision in precisions.items() if t < found.threshold)
    else:
        assert found.precision == max(precisions.values())
        assert all(precision < found.precision for t, precision in precisions.items() if t < found.threshold)


def chosen(labels: list[bool], scores: list[float], **wanted: float) -> Calibration:
    return calibrate(labels, scores, chance_of(labels, scores), CalibrationSettings(**wanted))


def threshold_for(labels: list[bool], scores: list[float], least: float) -> float:
    return chosen(labels, scores, wanted_precision=0.95, minimum_recall=least).threshold


def test_a_judge_that_is_unsure_rejects_little() -> None:
    labels, scores = [True] * 18 + [False] * 6, [0.9, 0.9, *[0.6] * 14, 0.3, 0.3, 0.7, 0.4, 0.2, 0.2, 0.2, 0.2]
    assert threshold_for(labels, scores, 0.1) == 0.9  # precise, and eight of nine good ones are gone
    assert threshold_for(labels, scores, 0.8) == 0.6
    assert threshold_for(2 * labels, 2 * scores, 0.9) == 0.3


def test_a_judge_that_may_rank_by_chance_rejects_nothing() -> None:
    guessing = chosen([True, False] * 6, [0.1, 0.9, 0.8, 0.2, 0.5, 0.4] * 2)
    assert (guessing.threshold, guessing.precision, guessing.recall) == (0.0, 0.5, 1.0)
    assert guessing.p_value > 0.05


def test_a_judge_that_parts_the_labels_keeps_all_good_ones() -> None:
    found = chosen([True] * 4 + [False] * 4, [1.0, 0.9, 0.8, 0.7, 0.4, 0.1, 0.1, 0.0], minimum_recall=0.4)
    assert (found.threshold, found.precision, found.recall) == (0.7, 1.0, 1.0)
    assert found.p_value < 0.05


@pytest.mark.parametrize(("least", "needed"), [(0.9, 29), (0.5, 5), (0.95, 59)])
def test_a_judge_rejects_nothing_before_enough_good_cases_show_that_it_keeps_as_many_as_it_must(
    least: float, needed: int
) -> None:
    for good, asked in ((needed - 1, False), (needed, True)):
        found = chosen([True] * good + [False] * 9, [0.9] * good + [0.1] * 9, minimum_recall=least)
        assert found.p_value < 0.05
        assert (found.threshold > 0) == asked


def test_a_figure_that_may_be_chance_has_no_weight_and_need_not_be_read() -> None:
    verdicts = [0.1, -0.2, 0.3, -0.1] * 10 + [0.0, 0.2, -0.3, 0.05] * 10
    cases = readings(verdicts, [0.01] * 40 + [0.5] * 40).with_columns(
        label=pl.Series([True] * 40 + [False] * 40), part=pl.lit("calibration"), violations=NONE_BROKEN
    )
    found, _ = calibrated(cases, CalibrationSettings())
    assert found.scaling.weighed == ["surprise"]
    assert found.threshold > 0
    told = cases.with_columns(log_odds=pl.Series([1.0] * 40 + [-1.0] * 40))
    assert calibrated(told, CalibrationSettings())[0].scaling.weighed == ["verdict", "surprise"]


@pytest.mark.parametrize("labels", [[True] * 3, [False] * 3, []])
def test_a_judge_that_was_not_put_to_the_test_rejects_nothing(labels: list[bool]) -> None:
    found = chosen(labels, [0.1, 0.5, 0.9][: len(labels)])
    assert (found.threshold, found.recall, found.p_value) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize("figures", [1, 2])
def test_figures_that_know_nothing_are_seldom_trusted_though_their_weights_are_fitted(figures: int) -> None:
    chance = np.random.default_rng(5)
    labels, trusted = [True] * 12 + [False] * 12, 0
    for _ in range(400):
        verdicts, surprises = chance.normal(size=24).tolist(), chance.gamma(1.0, size=24).tolist()
        noise = readings(verdicts, surprises if figures == 2 else None)
        cases = noise.with_columns(label=pl.Series(labels), part=pl.lit("calibration"), violations=NONE_BROKEN)
        trusted += calibrated(cases, CalibrationSettings(minimum_recall=0.5))[0].threshold > 0
    assert trusted <= 400 * 0.07  # 0.05, and twice the standard error


def test_the_threshold_is_chosen_on_what_the_rules_let_through(labelled: pl.DataFrame) -> None:
    cases = calibration_cases(labelled)
    assert set(cases["part"]) == {"calibration"}
    assert cases["violations"].list.len().max() == 0
    caught = labelled.filter((pl.col("part") == "calibration") & (pl.col("violations").list.len() > 0))
    assert caught.height
    assert cases.height == labelled.filter(pl.col("part") == "calibration").height - caught.height


def readings(log_odds: list[float], surprise: list[float] | None = None) -> pl.DataFrame:
    return pl.DataFrame(
        {"log_odds": log_odds, "surprise": surprise or pl.repeat(None, len(log_odds), eager=True)},
        schema={"log_odds": pl.Float64, "surprise": pl.Float64},
    )


@given(rows=st.lists(st.tuples(st.booleans(), st.floats(-20, 20), st.floats(0, 5)), min_size=2, max_size=40))
def test_an_answer_that_is_better_in_both_figures_is_not_less_probable(rows: list[tuple[bool, float, float]]) -> None:
    labels, verdicts, surprises = ([*column] for column in zip(*rows, strict=True))
    scaled = fit_scaling(labels, readings(verdicts, surprises)).probabilities(readings(verdicts, surprises))
    assert all(0 <= probability <= 1 for probability in scaled)
    for (one, other), (v, w), (s, t) in zip(
        itertools.permutations(scaled, 2),
        itertools.permutations(verdicts, 2),
        itertools.permutations(surprises, 2),
        strict=True,
    ):
        assert one >= other or not (v >= w and s <= t)


def test_scaling_tells_an_overconfident_judge_how_often_it_is_right() -> None:
    sure = readings([7.0] * 200 + [-7.0] * 200)
    scaled = fit_scaling(([True] * 3 + [False]) * 50 + ([False] * 3 + [True]) * 50, sure)
    assert scaled.probabilities(readings([7.0, -7.0])) == pytest.approx([0.75, 0.25], abs=0.01)
    assert scaled.surprise == 0


def test_a_surprise_tells_what_the_verdict_does_not() -> None:
    labels, same = [True] * 20 + [False] * 20, [0.3] * 40
    scaled = fit_scaling(labels, readings(same, [0.01] * 20 + [0.5] * 20))
    good, bad = scaled.probabilities(readings([0.3, 0.3], [0.01, 0.5]))
    assert good > 0.9 > 0.1 > bad


def test_a_figure_that_would_turn_the_ranking_around_has_no_weight() -> None:
    labels = [True] * 20 + [False] * 20
    scaled = fit_scaling(labels, readings([-1.0] * 20 + [1.0] * 20, [0.01] * 20 + [0.5] * 20))
    assert scaled.verdict == 0
    assert scaled.surprise > 0


@pytest.mark.parametrize(
    ("labels", "log_odds"), [([True] * 3, [-1.0, 0.0, 1.0]), ([True, False], [-1.0, 1.0]), ([], [])]
)
def test_verdicts_without_two_labels_or_turned_around_stay_as_they_are(
    labels: list[bool], log_odds: list[float]
) -> None:
    assert fit_scaling(labels, readings(log_odds)) == Scaling()
    assert Scaling().probabilities(readings([-2000.0, 0.0, 1.0])) == pytest.approx([0, 0.5, 0.731], abs=1e-3)


def test_all_parts_are_scaled_by_the_calibration_part() -> None:
    parts = pl.DataFrame({"part": ["calibration", "test"]})
    turned = pl.col("label") == (pl.col("part") == "calibration")  # in the test part all labels are wrong
    cases = readings([2.0, 1.0, 2.0, 1.0, -0.4, -0.8, -0.4, -0.8]).with_columns(
        label=pl.Series([True] * 4 + [False] * 4)
    )
    raw = parts.join(cases, how="cross").with_columns(label=turned, violations=NONE_BROKEN)
    calibration, scaled = calibrated(raw, CalibrationSettings(minimum_recall=0.4))
    assert calibration.scaling == fit_scaling(cases["label"].to_list(), cases, ["verdict"]) != Scaling()
    assert scaled["score"].to_list() == calibration.scaling.probabilities(raw)
    assert calibration.threshold == scaled.filter("label", part="calibration")["score"].min()
    assert (calibration.precision, calibration.recall) == (1.0, 1.0)


@pytest.mark.parametrize("learnt", [True, False])
def test_samples_are_read_by_both_adapters_of_the_judge(
    scenario: Scenario, labelled: pl.DataFrame, tiny_model: Path, tmp_path: Path, learnt: bool
) -> None:
    settings = JudgeSettings(
        base_model="tiny", batch_size=8, max_length=512, rank=4, learning_rate=1e-2, task_epochs=4 * learnt
    )
    train_judge(
        str(tiny_model),
        verdicts_to_learn(scenario, labelled),
        task_to_learn(labelled),
        WORDS,
        settings,
        tmp_path / "judge",
        tmp_path / "work",
    )
    told: list[tuple[str, int, int]] = []
    held_back = labelled.filter(part="test")
    base, judge = str(tiny_model), str(tmp_path / "judge")
    found = read_samples(scenario, held_back, base, judge, batch_size=4, report=lambda *done: told.append(done))
    assert found.drop("log_odds", "surprise").equals(held_back)
    assert found["log_odds"].null_count() == 0
    assert {what for what, _, _ in told} == {"verdicts", *(["surprises"] if learnt else [])}
    assert found["surprise"].null_count() == (0 if learnt else held_back.height)
    tokenizer, said = load_tokenizer(base), held_back["messages"].to_list()
    for adapter, same in ((str(tmp_path / "judge" / TASK), True), (None, False)) if learnt else ():
        of_adapter = answer_surprises(load_causal_lm(base, adapter), tokenizer, said, batch_size=4)
        assert (found["surprise"].to_list() == pytest.approx(of_adapter)) is same
    for name, column in (("verdict", "log_odds"), ("surprise", "surprise")):
        alone = read_samples(scenario, held_back, base, judge, batch_size=4, wanted=[name])
        other = {"log_odds": "surprise", "surprise": "log_odds"}[column]
        assert alone[column].equals(found[column])
        assert alone[other].null_count() == held_back.height


def test_what_the_assistant_was_told_in_between_surprises_nobody(tiny_model: Path, tmp_path: Path) -> None:
    steps = [("assistant", "查一下"), ("tool", "库存 3"), ("assistant", "有货")]
    asked = [{"role": "user", "content": "有货吗"}]
    messages = [*asked, *({"role": role, "content": text} for role, text in steps)]
    model, tokenizer = load_causal_lm(str(tiny_model)), load_tokenizer(str(tiny_model))
    turns = [messages[:2], messages]
    [surprise] = conversation_surprises([messages], model, tokenizer, 4, lambda *done: None)
    assert surprise == pytest.approx(fmean(answer_surprises(model, tokenizer, turns, batch_size=1)), abs=1e-4)


def test_a_calibration_comes_back_from_its_file(tmp_path: Path) -> None:
    scaling = Scaling(verdict=0.5, surprise=2.0, intercept=-1.0)
    calibration = Calibration(threshold=0.4, precision=0.9, recall=0.8, p_value=0.01, scaling=scaling)
    calibration.save(tmp_path)
    assert Calibration.load(tmp_path) == calibration


@pytest.mark.parametrize("version", [None, 1, 99])
def test_a_calibration_of_a_judge_that_read_otherwise_is_refused(tmp_path: Path, version: int | None) -> None:
    told = {"threshold": 0.4, "precision": 0.9, "recall": 0.8, "p_value": 0.01, "scaling": {"slope": 0.3}}
    given = told if version is None else told | {"version": version}
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps(given), encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"calibration\.json: version \d+, wanted is \d+: .* Materialize kto_judge again"
    ):
        Calibration.load(tmp_path)


def test_what_has_no_weight_need_not_be_read() -> None:
    scaling = Scaling(verdict=0.0, surprise=2.0, intercept=0.5)
    both = readings([0.3, -0.2], [0.01, 0.5])
    assert scaling.weighed == ["surprise"]
    alone = both.with_columns(log_odds=pl.lit(None, dtype=pl.Float64))
    assert scaling.probabilities(alone) == scaling.probabilities(both)
    assert Scaling().weighed == ["verdict"]


def scored(rows: list[tuple[bool, float, list[str], bool]]) -> pl.DataFrame:
    table = pl.DataFrame(rows, schema=["label", "score", "violations", "unseen"], orient="row")
    return table.cast({"violations": pl.List(pl.String)})


def test_metrics_tell_seen_from_unseen_and_judge_from_rules() -> None:
    table = scored(
        [
            (True, 0.9, [], False),
            (False, 0.4, ["copied: 姓名"], False),
            (True, 0.3, [], True),
            (False, 0.8, [], True),
        ]
    )
    assert judge_metrics(table, threshold=0.5) == {
        "auc": 0.5,
        "auc_low": 0.0,
        "auc_high": 1.0,
        **{f"auc_seen{bound}": 1.0 for bound in ("", "_low", "_high")},
        **{f"auc_unseen{bound}": 0.0 for bound in ("", "_low", "_high")},
        "auc_rules": 0.75,
        "auc_rules_seen": 1.0,
        "auc_rules_unseen": 0.5,
        "auc_with_rules": 0.75,
        "auc_with_rules_seen": 1.0,
        "auc_with_rules_unseen": 0.0,
        "auc_after_rules": 0.5,
        "auc_after_rules_unseen": 0.0,
        "p_value_after_rules": pytest.approx(2 / 3),
        "precision": 0.5,
        "precision_seen": 1.0,
        "precision_unseen": 0.0,
        "recall": 0.5,
        "recall_seen": 1.0,
        "recall_unseen": 0.0,
        "calibration_error": pytest.approx((0.1 + 0.7 + 0.8) / 3),
        "n": 4.0,
        "n_seen": 2.0,
        "n_unseen": 2.0,
        "n_after_rules": 3.0,
        "n_after_rules_seen": 1.0,
        "n_after_rules_unseen": 2.0,
    }


CASES = st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(rows=CASES)
def test_what_the_rules_reject_moves_no_figure_of_the_judge_s_decisions(
    rows: list[tuple[bool, float, bool, bool]],
) -> None:
    table = scored([(label, score, ["format: x"] * broken, unseen) for label, score, broken, unseen in rows])
    all_cases, passed = judge_metrics(table, 0.5), judge_metrics(after_rules(table), 0.5)
    decisions = [name for name in {**all_cases, **passed} if name.startswith(("precision", "recall", "calibration"))]
    assert decisions
    assert {name: all_cases.get(name) for name in decisions} == {name: passed.get(name) for name in decisions}
    assert all_cases["n_after_rules"] == passed["n"]


MEASURED = {"auc_rules": 0.82, "auc_with_rules": 0.9, "p_value_after_rules": 0.01, "n": 22.0, "threshold": 0.4}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "The judge adds 0.080 to the rules: on 22 test samples the rules alone reach AUC 0.820, "),
        ({"auc_with_rules": 0.8}, "The judge adds nothing to the rules: "),
        ({"p_value_after_rules": 0.2}, "The judge adds nothing to the rules that could not be chance (p = 0.20): "),
        ({"threshold": 0.0}, "The judge adds nothing to the rules, for it rejects nothing: "),
    ],
)
def test_one_sentence_says_what_the_judge_adds_to_the_rules(changed: dict[str, float], said: str) -> None:
    assert added_to_rules({**MEASURED, **changed}).startswith(said)


def test_what_was_not_measured_is_not_claimed() -> None:
    assert "was not measured" in added_to_rules({"threshold": 0.5, "n": 3.0})


def test_a_good_sample_is_unseen_where_the_family_of_its_twin_was_held_out() -> None:
    table = pl.DataFrame(
        {
            "sample_id": ["judge-1", "judge-1-bad", "judge-2", "judge-2-bad", "judge-3", "judge-3-bad"],
            "corruption_family": ["", "exchange", "", "omission", "", "gate"],
        }
    )
    assert with_unseen(table, ["exchange"])["unseen"].to_list() == [True, True, False, False, False, False]
    assert with_unseen(table, ["exchange", "omission"])["unseen"].to_list() == [True] * 4 + [False] * 2
    assert not with_unseen(table, [])["unseen"].any()


def test_a_figure_that_cannot_be_measured_is_left_out() -> None:
    figures = judge_metrics(scored([(True, 0.9, [], False), (False, 0.2, [], False)]), threshold=0.95)
    assert "auc_unseen" not in figures
    assert "precision" not in figures
    assert figures["recall"] == 0


@given(rows=SCORED)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[bool, float]]) -> None:
    good, bad = ([score for label, score in rows if label is wanted] for wanted in (True, False))
    order = [1.0 if g > b else 0.5 if g == b else 0.0 for g in good for b in bad]
    found = auc(pl.DataFrame(rows, schema={"label": pl.Boolean, "score": pl.Float64}, orient="row"))
    assert found == pytest.approx(sum(order) / len(order))


def test_auc_of_one_label_is_none() -> None:
    assert auc(pl.DataFrame({"label": [True, True], "score": [0.1, 0.2]})) is None
