"""The judge: balanced verdicts, weights in KTO's range, and a training that teaches it the difference."""

import functools
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.learning import kto, training
from cs_assets.learning.inference import answer_surprises, verdict_log_odds
from cs_assets.learning.kto import TASK, JudgeSettings, Verdict, _verdict_rows, _weights, train_judge
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.learning.progress import Progress, progress_callback
from cs_assets.learning.training import TrainingLog
from cs_assets_tests.learning.conftest import SMALL, Interrupted, adapter_weights, losses

WORDS = ("正确", "错误")


def case(i: int, correct: bool) -> Verdict:
    text = f"{'{}' if correct else '##'} {i}"
    return Verdict(prompt=[{"role": "user", "content": text}], correct=correct, twins=str(i))


CASES = [case(i, correct) for i in range(8) for correct in (True, False)]
TASK_SAMPLES = [[*case.prompt, {"role": "assistant", "content": "好"}] for case in CASES if case.correct]


def judge_settings(**changed: Any) -> JudgeSettings:
    return JudgeSettings(**{**SMALL, **changed})


def test_each_kind_of_case_is_shown_with_the_right_and_the_wrong_word_equally_often() -> None:
    rows: list[Any] = list(_verdict_rows(CASES, WORDS, seed=17))
    truth = {str(case.prompt): case.correct for case in CASES}
    kinds = Counter((truth[str(row["prompt"])], row["completion"][0]["content"], row["label"]) for row in rows)
    assert kinds == {
        (True, "正确", True): 4,
        (True, "错误", False): 4,
        (False, "错误", True): 4,
        (False, "正确", False): 4,
    }


SMALL_JUDGE = judge_settings(batch_size=2, epochs=1)


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c"]), st.booleans()), max_size=20), st.integers(0, 9))
def test_every_case_is_shown_once_and_twins_beside_each_other_with_one_word(
    drawn: list[tuple[str, bool]], seed: int
) -> None:
    cases = [
        Verdict(prompt=[{"role": "user", "content": str(place)}], correct=correct, twins=twins)
        for place, (twins, correct) in enumerate(drawn)
    ]
    rows: list[Any] = list(_verdict_rows(cases, WORDS, seed))
    shown = [int(row["prompt"][0]["content"]) for row in rows]
    assert sorted(shown) == list(range(len(cases)))
    for twins in {case.twins for case in cases} - {""}:
        places = [place for place, number in enumerate(shown) if cases[number].twins == twins]
        assert places == list(range(places[0], places[0] + len(places)))
        assert len({rows[place]["completion"][0]["content"] for place in places}) == 1
    assert all(
        row["label"] == (cases[number].correct == (row["completion"][0]["content"] == WORDS[0]))
        for row, number in zip(rows, shown, strict=True)
    )


def test_a_batch_of_an_even_size_parts_no_twins_whatever_stands_alone() -> None:
    alone = [Verdict(prompt=[{"role": "user", "content": f"x{i}"}], correct=False) for i in range(5)]
    rows: list[Any] = list(_verdict_rows([alone[0], *CASES, *alone[1:]], WORDS, seed=3))
    content = [row["prompt"][0]["content"].split()[-1] for row in rows]
    pairs = list(zip(content[::2], content[1::2], strict=False))
    assert sum(one == other for one, other in pairs) == len(CASES) / 2
    assert content[-1].startswith("x")


@pytest.mark.parametrize("good", [2, 3, 7, 40])
@pytest.mark.parametrize("bad", [1, 2, 9, 40])
def test_weights_balance_desirable_and_undesirable_rows(good: int, bad: int) -> None:
    cases = [case(i, correct=i < good).model_copy(update={"twins": ""}) for i in range(good + bad)]
    labels = [bool(row["label"]) for row in _verdict_rows(cases, WORDS, seed=17)]
    desirable, undesirable = _weights(labels)
    assert 1.0 <= desirable * sum(labels) / (undesirable * labels.count(False)) <= 1.5


def test_twins_stay_in_one_batch_though_one_of_others_is_too_long(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(trainer: Any, *arguments: Any) -> Any:
        trained.extend(row[-1]["content"].split()[-1] for row in trainer.train_dataset["prompt"])
        return whole(trainer, *arguments)

    trained: list[str] = []
    whole = kto.run_training
    monkeypatch.setattr(kto, "run_training", run)
    # Of the first twins in the order of the training one is too long, so that a gap would part all others.
    rows: list[Any] = list(_verdict_rows(CASES, WORDS, SMALL_JUDGE.seed))
    first = rows[0]["prompt"][0]["content"].split()[-1]
    long = [{"role": "user", "content": "很长" * 40 + f" {first}"}]
    cases = [c.model_copy(update={"prompt": long}) if c.twins == first and c.correct else c for c in CASES]
    log = train_judge(str(tiny_model), cases, TASK_SAMPLES, WORDS, SMALL_JUDGE, tmp_path / "judge", tmp_path / "work")
    assert trained[::2] == trained[1::2]
    assert sorted({*trained}) == sorted({case.twins for case in CASES} - {first})
    assert log.samples == len(CASES) - 2


def test_verdicts_that_are_all_too_long_are_an_error_that_names_the_setting(tiny_model: Path, tmp_path: Path) -> None:
    settings = judge_settings(base_model=str(tiny_model), max_length=16)
    long = [Verdict(prompt=[{"role": "user", "content": "很长" * 40}], correct=c) for c in (True, False)]
    with pytest.raises(ValueError, match="longer than max_length 16; raise it"):
        train_judge(str(tiny_model), long, TASK_SAMPLES, WORDS, settings, tmp_path / "model", tmp_path / "work")


def test_one_case_of_each_kind_is_shown_with_the_same_word_and_weighs_the_same() -> None:
    rows: list[Any] = list(_verdict_rows([case(0, True), case(0, False)], WORDS, seed=17))
    assert sorted((row["completion"][0]["content"], row["label"]) for row in rows) == [("正确", False), ("正确", True)]
    assert _weights([row["label"] for row in rows]) == (1.0, 1.0)


@pytest.mark.parametrize("label", [True, False])
def test_a_missing_label_is_an_error(tiny_model: Path, tmp_path: Path, label: bool) -> None:
    cases = [case(i, label) for i in range(4)]
    with pytest.raises(ValueError, match="both good and bad"):
        train_judge(
            str(tiny_model), cases, TASK_SAMPLES, WORDS, judge_settings(), tmp_path / "judge", tmp_path / "work"
        )


def test_the_trained_judge_scores_good_above_bad(tiny_model: Path, tmp_path: Path) -> None:
    settings = judge_settings(learning_rate=2e-2, epochs=10, batch_size=4, rank=8, checkpoint_steps=100)
    folder = tmp_path / "judge"
    log = train_judge(str(tiny_model), CASES, TASK_SAMPLES, WORDS, settings, folder, tmp_path / "work")
    judge, tokenizer = load_causal_lm(str(tiny_model), str(folder)), load_tokenizer(str(folder))
    scores = verdict_log_odds(judge, tokenizer, [case.prompt for case in CASES], WORDS, batch_size=4)
    good = [score for score, case in zip(scores, CASES, strict=True) if case.correct]
    bad = [score for score, case in zip(scores, CASES, strict=True) if not case.correct]
    assert min(good) > max(bad)
    assert losses(log)[-1] < losses(log)[0]


def test_a_cut_training_resumes_and_ends_as_an_undisturbed_one(
    tiny_model: Path, resumed_equals_undisturbed: Any
) -> None:
    settings = judge_settings(epochs=2)
    resumed_equals_undisturbed(
        lambda folder, work, report: train_judge(
            str(tiny_model), CASES[:8], TASK_SAMPLES, WORDS, settings, folder, work, report
        )
    )


def test_a_training_cut_within_the_task_goes_on_there(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(progress: Progress) -> None:
        if progress.training == TASK and progress.step > 4:
            raise Interrupted

    settings = judge_settings(task_epochs=2)
    given = str(tiny_model), CASES, TASK_SAMPLES, WORDS, settings
    train_judge(*given, tmp_path / "whole", tmp_path / "whole_work")
    monkeypatch.setattr(training, "progress_callback", functools.partial(progress_callback, every=0.0))
    with pytest.raises(Interrupted):
        train_judge(*given, tmp_path / "cut", tmp_path / "cut_work", cut)
    train_judge(*given, tmp_path / "cut", tmp_path / "cut_work")
    assert TrainingLog.load(tmp_path / "cut" / TASK).resumed_at > 0
    for below in (TASK, ""):
        whole, resumed = (adapter_weights(tmp_path / name / below) for name in ("whole", "cut"))
        assert max(float((whole[name] - resumed[name]).abs().max()) for name in whole) < 1e-4


def test_a_judge_without_good_samples_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has none to train on"):
        train_judge(str(tiny_model), CASES, [], WORDS, judge_settings(), tmp_path / "judge", tmp_path / "work")


def test_the_task_is_learnt_by_an_adapter_of_its_own_that_no_verdict_changes(tiny_model: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    for name, epochs in (("short", 0.5), ("long", 2.0)):
        settings = judge_settings(task_epochs=2, epochs=epochs, top_layers=0.5)
        folders = tmp_path / name, tmp_path / f"{name}_work"
        log = train_judge(str(tiny_model), CASES, TASK_SAMPLES, WORDS, settings, *folders, told.append)
        assert TrainingLog.load(tmp_path / name).steps == log.steps == 8 * epochs
        assert TrainingLog.load(tmp_path / name / TASK).steps == 8
    tasks, verdicts = ([adapter_weights(tmp_path / name / below) for name in ("short", "long")] for below in (TASK, ""))
    assert all((tasks[0][name] == tasks[1][name]).all() for name in tasks[0])
    assert not all((verdicts[0][name] == verdicts[1][name]).all() for name in verdicts[0])
    assert {
        name for name in tasks[0] if ".layers.0." in name
    }  # it stands on every layer, the verdicts on the upper half
    assert not {name for name in verdicts[0] if ".layers.0." in name}


def test_the_task_makes_its_right_answers_less_surprising(tiny_model: Path, tmp_path: Path) -> None:
    settings = judge_settings(task_epochs=8)
    train_judge(str(tiny_model), CASES, TASK_SAMPLES, WORDS, settings, tmp_path / "judge", tmp_path / "work")
    tokenizer = load_tokenizer(str(tiny_model))
    wrong = [[*said[:-1], {"role": "assistant", "content": "坏"}] for said in TASK_SAMPLES]
    before, after = (
        [fmean(answer_surprises(model, tokenizer, said, batch_size=4)) for said in (TASK_SAMPLES, wrong)]
        for model in (load_causal_lm(str(tiny_model)), load_causal_lm(str(tiny_model), str(tmp_path / "judge" / TASK)))
    )
    assert after[0] < before[0]
    assert after[1] - after[0] > before[1] - before[0] + 0.2


def test_without_epochs_of_the_task_there_are_the_verdicts_alone(tiny_model: Path, tmp_path: Path) -> None:
    settings = judge_settings(task_epochs=0, epochs=0.5)
    train_judge(str(tiny_model), CASES, [], WORDS, settings, tmp_path / "judge", tmp_path / "work")
    assert not (tmp_path / "judge" / TASK).exists()
