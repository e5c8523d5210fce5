"""The rewards of reinforcement: the truth is worth most, every step is a task of its own, all lies in [0, 1]."""

from pathlib import Path

import polars as pl
import pytest

from cs_assets.alignment.rewarding import RewardingSettings, rewards_of, tasks_of, verified
from cs_assets.learning.reward import Preference, RewardSettings, train_reward_model
from cs_assets.scenario import Scenario
from cs_assets_tests.families.conftest import committed
from cs_assets_tests.learning.conftest import SMALL

TRUTH = '{"姓名": "张三", "电话": "13800138000", "邮编": "", "省": "", "市": "", "县": "", "详细地址": ""}'
WORSE = TRUTH.replace("13800138000", "13800138001")


def pairs(message: str, truth: str, tools: str = "") -> pl.DataFrame:
    return pl.DataFrame({"message": [message], "tools": [tools], "chosen": [truth]})


def test_a_sample_with_one_answer_is_one_task_and_its_truth_is_worth_one(scenario: Scenario) -> None:
    [task] = tasks_of(scenario, pairs("张三 13800138000", TRUTH))
    assert task.prompt == scenario.prompt("张三 13800138000")
    assert verified(scenario, [task])([0, 0, 0], [TRUTH, WORSE, "好的"]) == pytest.approx([1.0, 6 / 14, 0.0])


def test_the_truth_wrapped_in_words_is_worth_less(scenario: Scenario) -> None:
    tasks = tasks_of(scenario, pairs("张三 13800138000", TRUTH))
    [strict, wrapped] = verified(scenario, tasks)([0, 0], [TRUTH, f"结果如下：{TRUTH}"])
    assert wrapped <= strict / 2


def test_each_step_of_a_trajectory_is_a_task_with_the_true_steps_before_it() -> None:
    scenario = committed("repair_workflow")
    sample = max(scenario.real_style()[0], key=lambda sample: len(scenario.family.completion(sample.answer)))
    steps = scenario.family.completion(sample.answer)
    tasks = tasks_of(scenario, pairs(sample.message, sample.answer, sample.tools))
    assert len(tasks) == sum(step["role"] == "assistant" for step in steps) > 1
    assert [*tasks[-1].prompt, steps[-1]] == scenario.conversation(sample)
    truths = [task.said[task.place] for task in tasks]
    places = range(len(tasks))
    assert verified(scenario, tasks)(places, truths) == [1.0] * len(tasks)
    assert max(verified(scenario, tasks)(places, ["不知道"] * len(tasks))) < 1.0


@pytest.fixture(scope="module")
def reward_model(tiny_model: Path, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model that prefers the truth."""
    place = tmp_path_factory.mktemp("reward")
    settings = RewardSettings(**SMALL | {"epochs": 6, "max_length": 1024, "learning_rate": 2e-2})
    pair = Preference(prompt=scenario.prompt("张三 13800138000"), chosen=TRUTH, rejected="好的")
    train_reward_model(str(tiny_model), [pair] * 4, settings, place / "model", place / "work")
    return place / "model"


def test_the_reward_model_gives_the_truth_one_half_and_less_to_what_it_likes_less(
    tiny_model: Path, scenario: Scenario, reward_model: Path
) -> None:
    tasks = tasks_of(scenario, pairs("张三 13800138000", TRUTH))
    rewards = rewards_of(scenario, tasks, RewardingSettings(reward_weight=0.3), str(tiny_model), str(reward_model))
    function, weight = rewards["preferred"]
    [truth, worse] = function([0, 0], [TRUTH, "好的"])
    assert (truth, weight) == (pytest.approx(0.5, abs=1e-4), 0.3)
    assert 0 < worse < 0.45


def test_a_reward_model_without_weight_is_not_loaded(scenario: Scenario) -> None:
    tasks = tasks_of(scenario, pairs("张三 13800138000", TRUTH))
    assert list(rewards_of(scenario, tasks, RewardingSettings(reward_weight=0), "nowhere", "nowhere")) == ["verified"]
