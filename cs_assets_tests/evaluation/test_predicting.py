"""Predictions: which cases are asked, with which prompt, and how the answers are scored."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.evaluation import predicting
from cs_assets.families.base import Sample
from cs_assets.learning.inference import nobody
from cs_assets.learning.models import load_tokenizer
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.training.splits import TEST_SPLITS
from cs_assets_tests.llm_endpoint import Endpoint, completion
from resources.store import fingerprint


@pytest.fixture(scope="module")
def cases(splits: pl.DataFrame) -> pl.DataFrame:
    return predicting.test_cases(splits)


def test_cases_are_the_test_splits_in_stable_order(splits: pl.DataFrame, cases: pl.DataFrame) -> None:
    assert set(cases["split"]) == set(TEST_SPLITS)
    shuffled = splits.sample(fraction=1, shuffle=True, seed=3)
    assert predicting.test_cases(shuffled).equals(cases)


def test_a_prompt_is_that_of_the_scenario(scenario: Scenario, cases: pl.DataFrame) -> None:
    found = predicting.prompts(scenario, cases, [])
    assert found == [scenario.prompt(message) for message in cases["message"]]
    assert not predicting.is_stepwise(scenario, cases["answer"])


def test_shots_stand_between_system_and_question(scenario: Scenario, cases: pl.DataFrame) -> None:
    shot = {"message": "张三", "answer": '{"姓名": "张三"}'}
    found = predicting.prompts(scenario, cases.head(1), [shot, shot])[0]
    system, question = scenario.prompt(cases["message"][0])
    example = [scenario.prompt("张三")[-1], {"role": "assistant", "content": shot["answer"]}]
    assert found == [system, *example, *example, question]


def test_shots_are_the_real_examples_first_then_training_samples(scenario: Scenario, splits: pl.DataFrame) -> None:
    shots = predicting.few_shots(scenario, splits, 3)
    train = set(splits.filter(pl.col("split") == "train")["message"])
    assert shots[0]["message"].startswith("张三，13800138000")
    assert scenario.family.verify(Sample.model_validate(shots[0])) == []
    assert {shot["message"] for shot in shots[1:]} <= train
    assert len(shots) == 3


def test_only_the_few_shot_exam_shows_examples(scenario: Scenario, splits: pl.DataFrame, cases: pl.DataFrame) -> None:
    settings = predicting.PredictionSettings(shots=2)
    tuned, shown = (predicting.Exam.of(scenario, model, splits, settings) for model in ("tuned", "base_few_shot"))
    assert tuned.asked == predicting.prompts(scenario, cases, [])
    assert shown.asked == predicting.prompts(scenario, cases, predicting.few_shots(scenario, splits, 2))
    assert tuned.cases.equals(shown.cases)


def test_how_many_are_asked_at_a_time_is_no_part_of_what_answers_depend_on(
    scenario: Scenario, splits: pl.DataFrame
) -> None:
    def key(**settings: int) -> str:
        exam = predicting.Exam.of(scenario, "tuned", splits, predicting.PredictionSettings(**settings))  # type: ignore[arg-type]
        return fingerprint(**exam.inputs())

    assert key(generation_batch_size=1) == key(generation_batch_size=9)
    assert key(max_new_tokens=9) != key(max_new_tokens=8)


def test_an_endpoint_gives_the_table_that_transformers_gives(
    scenario: Scenario, splits: pl.DataFrame, cases: pl.DataFrame, talkative: tuple[Path, Path], endpoint: Endpoint
) -> None:
    here = predicting.PredictionSettings(max_new_tokens=8)
    there = here.model_copy(update={"endpoint": endpoint.url, "served_models": {"tuned": "address"}, "concurrency": 3})
    base, adapter = talkative
    wanted = predicting.Exam.of(scenario, "tuned", splits, here).said(str(base), str(adapter), nobody)
    says = dict(zip(cases["message"], wanted, strict=True))
    asked = {scenario.prompt(message)[-1]["content"]: said for message, said in says.items()}
    endpoint.reply = lambda prompt, nth: completion(asked[prompt])
    exam = predicting.Exam.of(scenario, "tuned", splits, there)
    assert exam.said("no such folder", None, nobody) == wanted
    assert sorted((body["messages"] for body in endpoint.bodies), key=str) == sorted(exam.asked, key=str)
    assert {(body["model"], body["max_tokens"]) for body in endpoint.bodies} == {("address", 8)}


def test_another_truth_scores_what_was_said_anew_and_asks_nobody(
    scenario: Scenario, splits: pl.DataFrame, cases: pl.DataFrame
) -> None:
    settings = predicting.PredictionSettings()
    was = predicting.Exam.of(scenario, "tuned", splits, settings)
    now = predicting.Exam.of(scenario, "tuned", splits.with_columns(answer=pl.lit(cases["answer"][0])), settings)
    assert fingerprint(**was.inputs()) == fingerprint(**now.inputs())
    said = cases["answer"].to_list()
    assert was.scored(said)["exact"].to_list() == [1.0] * cases.height
    assert now.scored(said)["exact"].sum() == 1


def test_who_answers_counts_for_the_answers_and_how_fast_does_not(scenario: Scenario, splits: pl.DataFrame) -> None:
    def key(**settings: Any) -> str:
        exam = predicting.Exam.of(scenario, "tuned", splits, predicting.PredictionSettings(**settings))
        return fingerprint(**exam.inputs())

    served = {"endpoint": "http://a/v1", "served_models": {"tuned": "m"}}
    assert key(**served) == key(**served, concurrency=1)
    assert len({key(), key(again="2026-W47"), key(again="2026-W48")}) == 3
    others = ({"served_models": {"tuned": "n"}}, {"served_version": "v2"})
    assert len({key(), key(**served), *(key(**served | other) for other in others)}) == 4
    assert key() == key(served_models={"tuned": "m"}, served_version="v2")


def test_a_model_that_the_endpoint_has_no_name_for_is_told() -> None:
    settings = predicting.PredictionSettings(endpoint="http://a/v1", served_models={"base": "m"})
    with pytest.raises(ValueError, match=r"served_models: tuned is missing; .* http://a/v1 .* Given are: base"):
        settings.served("tuned")


def test_a_broken_example_does_not_cost_the_others(scenarios: Path, splits: pl.DataFrame) -> None:
    path = scenarios / "address_extraction" / "examples.jsonl"
    path.write_text("{\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    shots = predicting.few_shots(load_scenario("address_extraction"), splits, 1)
    assert shots[0]["message"].startswith("张三，13800138000")


def test_predictions_are_scored_in_the_order_of_the_cases(scenario: Scenario, cases: pl.DataFrame) -> None:
    answers = ["没有", *cases["answer"].to_list()[1:]]
    table = predicting.score_predictions(scenario, "tuned", cases, answers)
    assert dict(table.schema) == predicting.SCHEMA
    assert table["exact"].to_list() == [0.0] + [1.0] * (cases.height - 1)
    assert table["prediction"].to_list() == answers
    assert table["sample_id"].equals(cases["sample_id"])
    assert set(json.loads(table["fields"][1])) == set(json.loads(cases["answer"][1]))
    assert set(table["model"]) == {"tuned"}


def test_the_longest_answer_is_that_of_the_models_own_tokens(tiny_model: Path) -> None:
    tokenizer, scenario = load_tokenizer(str(tiny_model)), load_scenario("repair_workflow")
    [example, *_] = scenario.examples()[0]
    cases = pl.DataFrame([example.model_dump()])
    steps = [step["content"] for step in scenario.family.completion(example.answer) if step["role"] == "assistant"]
    longest = max(len(tokenizer.encode(step, add_special_tokens=False)) for step in steps)
    assert predicting.longest_answer(scenario, cases, tokenizer) == longest
    assert longest < len(tokenizer.encode(example.answer, add_special_tokens=False))
    assert predicting.longest_answer(scenario, cases.clear(), tokenizer) == 0


def test_a_missing_prediction_is_an_error(scenario: Scenario, cases: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match="shorter"):
        predicting.score_predictions(scenario, "tuned", cases, ["没有"])


def test_a_trajectory_is_asked_for_step_by_step_and_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load_scenario("repair_workflow")
    [example, *_] = scenario.examples()[0]
    cases = pl.DataFrame([example.model_dump()])
    asked = predicting.prompts(scenario, cases, [])
    steps = scenario.family.completion(example.answer)
    spoken = [step["content"] for step in steps if step["role"] == "assistant"]
    assert len(asked) == len(spoken) > 1
    assert asked[0] == scenario.prompt(example.message, example.tools)
    assert [prompt[len(asked[0]) :] for prompt in asked] == [
        steps[:number] for number, step in enumerate(steps) if step["role"] == "assistant"
    ]
    assert predicting.assembled(scenario, cases, spoken) == [example.answer]
    assert predicting.is_stepwise(scenario, [example.answer])
    [prediction] = predicting.assembled(scenario, cases, ["Thought: 不知道", *spoken[1:]])
    assert scenario.family.score(prediction, example.answer).exact == 0


def test_best_of_n_is_scored_as_any_model_and_depends_on_how_it_is_sampled(
    scenario: Scenario, splits: pl.DataFrame, tiny_model: Path
) -> None:
    few = splits.filter(pl.col("split") == "test_iid").head(2)
    settings = predicting.PredictionSettings(best_of=2, max_new_tokens=8)
    exam = predicting.Exam.of(scenario, "best_of_n", few, settings)
    table = exam.scored(exam.chosen((str(tiny_model), str(tiny_model)), (str(tiny_model), str(tiny_model)), nobody))
    assert table["model"].to_list() == ["best_of_n"] * 2
    assert dict(table.schema) == predicting.SCHEMA
    keys = set()
    for changed in ({}, {"best_of": 3}, {"temperature": 0.9}, {"sampling_seed": 8}):
        other = predicting.Exam.of(scenario, "best_of_n", few, settings.model_copy(update=changed))
        keys.add(fingerprint(**other.inputs()))
    assert len(keys) == 4
    tuned = [
        predicting.Exam.of(scenario, "tuned", few, settings.model_copy(update={"best_of": n})).inputs() for n in (2, 3)
    ]
    assert fingerprint(**tuned[0]) == fingerprint(**tuned[1])
