"""Predictions: what each model answers to each held-out message, scored by the family."""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import polars as pl
from pydantic import BaseModel, Field

from cs_assets.evaluation.chunks import Keep, answered, generated, keep_nothing
from cs_assets.families.base import METRICS
from cs_assets.learning.best_of_n import SamplingSettings, best, sampled
from cs_assets.learning.conversations import Message, prompt_completion_pairs
from cs_assets.learning.endpoint import Served, generate_at
from cs_assets.learning.inference import ReportBatch
from cs_assets.learning.models import load_causal_lm, load_reward_lm, load_tokenizer
from cs_assets.profiles import by_profile
from cs_assets.scenario import Scenario
from cs_assets.training.splits import TEST_SPLITS

MODELS: Final = ("base", "base_few_shot", "tuned", "aligned", "best_of_n")
SCHEMA: Final[dict[str, Any]] = {
    "model": pl.String,
    "split": pl.String,
    "sample_id": pl.String,
    "message": pl.String,
    "answer": pl.String,
    "prediction": pl.String,
    "strict_json": pl.Float64,
    "exact": pl.Float64,
    "repaired": pl.Float64,
    "field_accuracy": pl.Float64,
    "fields": pl.String,  # JSON: field -> how right it is, in [0, 1]
    "tags": pl.List(pl.String),
    "template_family": pl.String,
    "template_origin": pl.String,
}


_OF_THE_CASE: Final = ("split", "sample_id", "message", "answer", "tags", "template_family", "template_origin")


class AnsweringSettings(BaseModel):
    """How a model answers."""

    max_new_tokens: int | None = Field(
        default=None, description="An answer is cut there; empty: `answer_tokens` of scenario.yaml.", ge=8
    )
    generation_batch_size: int = by_profile(demo=30, full=64, description="Cases at a time.", ge=1)


class PredictionSettings(SamplingSettings, AnsweringSettings):
    """Which models answer, and how."""

    models: list[str] = by_profile(
        demo=["base", "tuned"],
        full=["base", "base_few_shot", "tuned"],
        description=f"Which of {', '.join(MODELS)} answer; `aligned` needs an aligned_adapter that is not off; "
        "`best_of_n` samples answers of the tuned one, of which the reward model chooses.",
    )
    shots: int = Field(default=3, description="Examples in the few-shot prompt.", ge=1)
    endpoint: str = Field(
        default="",
        description="Base URL of an OpenAI-compatible endpoint that answers; empty: transformers does, here.",
    )
    served_models: dict[str, str] = Field(
        default={}, description="Where `endpoint` is set: the name under which it serves each of `models`."
    )
    served_version: str = Field(
        default="",
        description="Tells what `endpoint` serves from what it served under the same names before, with other weights "
        "or options. Answers of another version are not taken for its own.",
    )
    again: str = Field(
        default="", description="Another word than before asks all models anew; weekly_evaluation writes the week."
    )
    concurrency: int = Field(default=8, description="Requests that `endpoint` gets at a time.", ge=1)

    def tokens(self, scenario: Scenario) -> int:
        """Return where an answer is cut."""
        return self.max_new_tokens or scenario.spec.answer_tokens

    def served(self, model: str) -> Served | None:
        """Return where a model is asked, None where it answers here.

        Raises:
            ValueError: there is an endpoint, and the name of the model there is not given.
        """
        if not self.endpoint:
            return None
        if model not in self.served_models:
            raise ValueError(
                f"served_models: {model} is missing; give the name under which {self.endpoint} serves it. "
                f"Given are: {', '.join(sorted(self.served_models)) or 'none'}."
            )
        return Served(self.endpoint, self.served_models[model], self.concurrency)


@dataclass(frozen=True)
class Exam:
    """What one model is asked.

    Attributes:
        scenario: whose family scores.
        model: one of `MODELS`, or `joint`.
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
        """Return what is fingerprinted: what is said depends on it and on the weights. How it is scored is no part."""
        served = self.settings.served(self.model)
        return {
            "prompts": self.asked,
            "max_new_tokens": self.settings.tokens(self.scenario),
            **(self._sampling().model_dump() | {"drawn": "gumbel"} if self.model == "best_of_n" else {}),
            **({"again": self.settings.again} if self.settings.again else {}),
            **({"served": [served.url, served.model, self.settings.served_version]} if served else {}),
        }

    def said(self, base: str, adapter: str | None, report: ReportBatch, keep: Keep = keep_nothing) -> list[str]:
        """Return what the model in the folder `base`, with the adapter in its folder, if any, says to each prompt.

        Where the settings name an endpoint, it answers, and the folders are not read. `keep` keeps what was said chunk
        by chunk.

        Raises:
            EndpointError: the endpoint does not answer.
        """
        served, tokens = self.settings.served(self.model), self.settings.tokens(self.scenario)
        if served:
            ask = partial(generate_at, served, max_new_tokens=tokens)
            return answered(self.asked, lambda prompts, tell: ask(prompts, report=tell), keep, report=report)
        return generated(
            load_causal_lm(base, adapter),
            load_tokenizer(base),
            self.asked,
            max_new_tokens=tokens,
            batch_size=self.settings.generation_batch_size,
            keep=keep,
            report=report,
        )

    def chosen(self, tuned: tuple[str, str], reward_model: tuple[str, str], report: ReportBatch) -> list[str]:
        """Return the favourite of the reward model among sampled answers of the tuned one, for each prompt.

        Args:
            tuned: folders of its base and adapter.
            reward_model: the same of the reward model.
            report: is told (done, total) answers.
        """
        answers = sampled(
            load_causal_lm(*tuned),
            load_tokenizer(tuned[0]),
            self.asked,
            self._sampling(),
            max_new_tokens=self.settings.tokens(self.scenario),
            batch_size=self.settings.generation_batch_size,
            report=report,
        )
        tokenizer, size = load_tokenizer(reward_model[0]), self.settings.generation_batch_size
        return best(load_reward_lm(*reward_model), tokenizer, self.asked, answers, batch_size=size)

    def scored(self, said: Sequence[str]) -> pl.DataFrame:
        """Return the scored answers of what was said to each prompt."""
        predicted = assembled(self.scenario, self.cases, said)
        return score_predictions(self.scenario, self.model, self.cases, predicted)

    def _sampling(self) -> SamplingSettings:
        return SamplingSettings.model_validate(self.settings.model_dump(include=set(SamplingSettings.model_fields)))


def test_cases(splits: pl.DataFrame) -> pl.DataFrame:
    """Return the samples of the test splits, in stable order."""
    return splits.filter(pl.col("split").is_in(list(TEST_SPLITS))).sort("split", "sample_id")


def longest_answer(scenario: Scenario, cases: pl.DataFrame, tokenizer: Any) -> int:
    """Return the tokens of the longest message that a model must say to be right; 0 where there are no cases."""
    said = {text for answer in cases["answer"].unique() for text in _said_by_assistant(scenario, answer)}
    return max((len(tokenizer.encode(text, add_special_tokens=False)) for text in said), default=0)


def prompts(scenario: Scenario, cases: pl.DataFrame, shots: list[dict[str, str]]) -> list[list[Message]]:
    """Return the chat prompts of the cases, in their order; `shots` (message, answer, tools) go before them as turns.

    A case has a prompt for each message of the assistant in its true answer: one for most families, one a step for a
    trajectory, each with the true steps before it.
    """
    turns = [turn for shot in shots for turn in (_shown(scenario, shot), *scenario.family.completion(shot["answer"]))]
    found = []
    for message, tools, answer in cases.select("message", "tools", "answer").iter_rows():
        *system, user = scenario.prompt(message, tools)
        pairs = prompt_completion_pairs([user, *scenario.family.completion(answer)])
        found += [[*system, *turns, *pair["prompt"]] for pair in pairs]
    return found


def assembled(scenario: Scenario, cases: pl.DataFrame, said: Sequence[str]) -> list[str]:
    """Return one prediction a case of what was said to each of `prompts`."""
    rest = iter(said)
    found = []
    for answer in cases["answer"]:
        steps = len(_said_by_assistant(scenario, answer))
        found.append(scenario.family.assembled(answer, list(itertools.islice(rest, steps))))
    return found


def is_stepwise(scenario: Scenario, answers: Iterable[str]) -> bool:
    """Tell whether true answers have several messages, each of which is asked for after the true ones before it."""
    return any(len(_said_by_assistant(scenario, answer)) > 1 for answer in answers)


def _said_by_assistant(scenario: Scenario, answer: str) -> list[str]:
    return [turn["content"] for turn in scenario.family.completion(answer) if turn["role"] == "assistant"]


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
                **score.metrics(),
                "fields": json.dumps(score.fields, ensure_ascii=False),
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def mean_scores(predictions: pl.DataFrame) -> pl.DataFrame:
    """Return the mean scores of each model on each split."""
    means = pl.col(METRICS).mean().round(3)
    return predictions.group_by("split", "model").agg(pl.len().alias("n"), means).sort("split", "model")
