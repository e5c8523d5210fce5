"""Predictions: what each model answers to each held-out message, scored by the family."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
from pydantic import BaseModel, Field

from cs_assets.learning.inference import ReportBatch, generate
from cs_assets.learning.models import Message, load_causal_lm, load_tokenizer
from cs_assets.profiles import by_profile
from cs_assets.scenario import Scenario
from cs_assets.training.splits import TEST_SPLITS

MODELS: Final = ("base", "base_few_shot", "tuned", "aligned")
SCHEMA: Final[dict[str, Any]] = {
    "model": pl.String,
    "split": pl.String,
    "sample_id": pl.String,
    "message": pl.String,
    "answer": pl.String,
    "prediction": pl.String,
    "strict_json": pl.Float64,
    "exact": pl.Float64,
    "field_accuracy": pl.Float64,
    "fields": pl.String,  # JSON: field -> 1.0 or 0.0
    "tags": pl.List(pl.String),
    "template_family": pl.String,
    "template_origin": pl.String,
}


_OF_THE_CASE: Final = ("split", "sample_id", "message", "answer", "tags", "template_family", "template_origin")


class PredictionSettings(BaseModel):
    """Which models answer, and how."""

    models: list[str] = by_profile(
        demo=["base", "tuned"],
        full=["base", "base_few_shot", "tuned"],
        description=f"Which of {', '.join(MODELS)} answer; `aligned` needs an aligned_adapter that is not off.",
    )
    max_new_tokens: int | None = Field(
        default=None, description="An answer is cut there; empty: `answer_tokens` of scenario.yaml.", ge=8
    )
    generation_batch_size: int = by_profile(demo=30, full=64, description="Cases at a time.", ge=1)
    shots: int = Field(default=3, description="Examples in the few-shot prompt.", ge=1)


@dataclass(frozen=True)
class Exam:
    """What one model is asked.

    Attributes:
        scenario: whose family scores.
        model: one of `MODELS`.
        cases: what `test_cases` returned.
        asked: the `prompts` of the cases.
        settings: how the model answers.
    """

    scenario: Scenario
    model: str
    cases: pl.DataFrame
    asked: list[list[Message]]
    settings: PredictionSettings

    @classmethod
    def of(cls, scenario: Scenario, model: str, splits: pl.DataFrame, settings: PredictionSettings) -> "Exam":
        """Return the exam of a model on the test splits; `base_few_shot` is shown examples."""
        cases = test_cases(splits)
        shots = few_shots(scenario, splits, settings.shots) if model == "base_few_shot" else []
        return cls(scenario, model, cases, prompts(scenario, cases, shots), settings)

    def inputs(self) -> dict[str, Any]:
        """Return what the answers depend on besides the weights, to be fingerprinted."""
        return {
            "model": self.model,
            "cases": self.cases,
            "prompts": self.asked,
            "generation": self.settings.model_dump(exclude={"models", "generation_batch_size"}),
            "scenario": self.scenario.spec,
        }

    def answered(self, base: str, adapter: str | None, report: ReportBatch) -> pl.DataFrame:
        """Return the scored answers of the model in the folder `base`, with the adapter in its folder, if any."""
        said = generate(
            load_causal_lm(base, adapter),
            load_tokenizer(base),
            self.asked,
            max_new_tokens=self.settings.max_new_tokens or self.scenario.spec.answer_tokens,
            batch_size=self.settings.generation_batch_size,
            report=report,
        )
        predicted = assembled(self.scenario, self.cases, said)
        return score_predictions(self.scenario, self.model, self.cases, predicted)


def test_cases(splits: pl.DataFrame) -> pl.DataFrame:
    """Return the samples of the test splits, in stable order."""
    return splits.filter(pl.col("split").is_in(list(TEST_SPLITS))).sort("split", "sample_id")


def prompts(scenario: Scenario, cases: pl.DataFrame, shots: list[dict[str, str]]) -> list[list[Message]]:
    """Return the chat prompts of the cases, in their order; `shots` (message, answer, tools) go before them as turns.

    A case has a prompt for each message of the assistant in its true answer: one for most families, one a step for a
    trajectory, each with the true steps before it.
    """
    turns = [turn for shot in shots for turn in (_shown(scenario, shot), *scenario.family.completion(shot["answer"]))]
    found = []
    for message, tools, answer in cases.select("message", "tools", "answer").iter_rows():
        *system, user = scenario.prompt(message, tools)
        steps = scenario.family.completion(answer)
        found += [
            [*system, *turns, user, *steps[:number]] for number, step in enumerate(steps) if step["role"] == "assistant"
        ]
    return found


def assembled(scenario: Scenario, cases: pl.DataFrame, said: Sequence[str]) -> list[str]:
    """Return one prediction a case of what was said to each of `prompts`."""
    rest = iter(said)
    found = []
    for answer in cases["answer"]:
        steps = sum(step["role"] == "assistant" for step in scenario.family.completion(answer))
        found.append(scenario.family.assembled(answer, list(itertools.islice(rest, steps))))
    return found


def _shown(scenario: Scenario, shot: dict[str, str]) -> dict[str, str]:
    """Return a shot's question, with the functions on offer in it where it has its own."""
    question = scenario.prompt(shot["message"])[-1]
    offer = f"可用的函数：{shot['tools']}\n" if shot.get("tools") else ""
    return {"role": "user", "content": f"{offer}{question['content']}"}


def few_shots(scenario: Scenario, splits: pl.DataFrame, count: int) -> list[dict[str, str]]:
    """Return examples for the few-shot prompt: the scenario's real ones first, then training samples."""
    real = [example.model_dump() for example in scenario.examples()[0]]
    train = splits.filter(pl.col("split") == "train").sort("sample_id").select("message", "answer", "tools").to_dicts()
    return (real + train)[:count]


def score_predictions(scenario: Scenario, model: str, cases: pl.DataFrame, predicted: list[str]) -> pl.DataFrame:
    """Score one model's answers; `predicted` stands in the order of `cases`."""
    rows: list[dict[str, Any]] = []
    for case, prediction in zip(cases.iter_rows(named=True), predicted, strict=True):
        score = scenario.family.score(prediction, case["answer"])
        rows.append(
            {key: case[key] for key in _OF_THE_CASE}
            | {
                "model": model,
                "prediction": prediction,
                "strict_json": score.strict_json,
                "exact": score.exact,
                "field_accuracy": score.field_accuracy,
                "fields": json.dumps(score.fields, ensure_ascii=False),
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def mean_scores(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return the mean scores of each model on each split."""
    means = pl.col("exact", "strict_json", "field_accuracy").mean().round(3)
    return predictions.group_by("split", "model").agg(pl.len().alias("n"), means).sort("split", "model")
