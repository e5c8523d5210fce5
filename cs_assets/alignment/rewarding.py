"""What a model is asked while it is reinforced, and what its answers are worth.

A task is one message of the assistant: one a sample for most families, one a step for a trajectory, with the true steps
before it. Two rewards, both in [0, 1]: what the family verifies, and what the reward model prefers. How they move a
model stands in `cs_assets.learning.reinforcement`.

    tasks = tasks_of(scenario, pairs)
    verified(scenario, tasks)([0, 1], ['{"姓名": "张三"}', "好的"])    # [1.0, 0.0]
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
from pydantic import BaseModel, Field

from cs_assets.learning.conversations import Message, prompt_completion_pairs
from cs_assets.learning.inference import rewards
from cs_assets.learning.models import load_reward_lm, load_tokenizer
from cs_assets.learning.reinforcement import RewardFunction
from cs_assets.scenario import Scenario

_BATCH: Final = 16  # answers that the reward model reads at a time: about as many as a step makes on a CPU


class RewardingSettings(BaseModel):
    """How the two rewards are weighed."""

    reward_weight: float = Field(
        default=0.5,
        description="Weight of the reward model beside the family's own score, which has 1; 0 leaves it out. "
        "rloo and grpo.",
        ge=0,
    )


@dataclass(frozen=True)
class Task:
    """One message to be written.

    Attributes:
        question: the scenario's prompt, without earlier steps.
        earlier: the true steps before the message, as chat messages.
        said: what the assistant truly says in the whole answer, message by message.
        place: which of `said` is to be written.
        truth: the whole true answer.
    """

    question: list[Message]
    earlier: list[Message]
    said: list[str]
    place: int
    truth: str

    @property
    def prompt(self) -> list[Message]:
        return [*self.question, *self.earlier]

    def whole(self, scenario: Scenario, written: str) -> str:
        """Return the whole answer with `written` in its place, and the truth in all others."""
        said = [*self.said[: self.place], written, *self.said[self.place + 1 :]]
        return scenario.family.assembled(self.truth, said)


def tasks_of(scenario: Scenario, pairs: pl.DataFrame) -> list[Task]:
    """Return the tasks of the pairs' prompts, whose true answers are the chosen ones."""
    found = []
    for message, tools, truth in pairs.select("message", "tools", "chosen").iter_rows():
        steps = prompt_completion_pairs(scenario.family.completion(truth))
        said = [step["completion"][0]["content"] for step in steps]
        question = scenario.prompt(message, tools)
        found += [Task(question, step["prompt"], said, place, truth) for place, step in enumerate(steps)]
    return found


def rewards_of(
    scenario: Scenario, tasks: Sequence[Task], settings: RewardingSettings, base: str, model: str
) -> dict[str, tuple[RewardFunction, float]]:
    """Return the rewards by name with their weights; a reward model without weight is not loaded.

    Args:
        scenario: whose family verifies.
        tasks: what the cases stand for.
        settings: the weight.
        base: folder of the reward model's base.
        model: folder of the reward model.
    """
    rewards = {"verified": (verified(scenario, tasks), 1.0)}
    if settings.reward_weight:
        rewards["preferred"] = (preferred(scenario, tasks, base, model), settings.reward_weight)
    return rewards


def verified(scenario: Scenario, tasks: Sequence[Task]) -> RewardFunction:
    """Return the family's verifiable score: the mean of exact match and field accuracy.

    Exact match alone would tell nothing where all answers to a prompt are wrong, field accuracy alone nothing of an
    answer whose format had to be repaired.
    """

    def score(cases: Sequence[int], answers: Sequence[str]) -> list[float]:
        found = []
        for case, answer in zip(cases, answers, strict=True):
            task = tasks[case]
            result = scenario.family.score(task.whole(scenario, answer), task.truth)
            found.append((result.exact + result.field_accuracy) / 2)
        return found

    return score


def preferred(scenario: Scenario, tasks: Sequence[Task], base: str, model: str) -> RewardFunction:
    """Return how probable it is, to the reward model, that an answer is better than the true one.

    That is sigmoid(reward of the answer - reward of the truth): 1/2 for the truth itself. It is bounded, so that no
    weakness of the reward model can outweigh what is verified, and free of the rewards' arbitrary zero.

    Args:
        scenario: whose family puts the answers together.
        tasks: what the cases stand for.
        base: folder of the reward model's base.
        model: folder of the reward model.
    """
    loaded, tokenizer = load_reward_lm(base, model), load_tokenizer(base)

    def rewarded(cases: Sequence[int], answers: Sequence[str]) -> list[float]:
        conversations = [
            [*tasks[case].question, {"role": "assistant", "content": answer}]
            for case, answer in zip(cases, answers, strict=True)
        ]
        return rewards(loaded, tokenizer, conversations, batch_size=_BATCH)

    places = list(range(len(tasks)))
    of_truth = rewarded(places, [task.truth for task in tasks])

    def score(cases: Sequence[int], answers: Sequence[str]) -> list[float]:
        whole = [tasks[case].whole(scenario, answer) for case, answer in zip(cases, answers, strict=True)]
        return [
            1 / (1 + math.exp(min(of_truth[case] - value, 700.0)))  # math.exp knows no infinity
            for case, value in zip(cases, rewarded(cases, whole), strict=True)
        ]

    return score
