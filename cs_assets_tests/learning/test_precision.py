"""Every way of training runs in bfloat16 on a machine that has it; all other tests compute in float32."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cs_assets.learning.alignment import AlignmentSettings
from cs_assets.learning.dpo import align_by_dpo
from cs_assets.learning.inference import generate, verdict_log_odds
from cs_assets.learning.kto import JudgeSettings, Verdict, train_judge
from cs_assets.learning.models import load_causal_lm, load_tokenizer, precision
from cs_assets.learning.reinforcement import ReinforcementSettings, reinforce_adapter
from cs_assets.learning.reward import Preference, RewardSettings, reward_differences, train_reward_model
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import TrainingLog
from cs_assets_tests.learning.conftest import SMALL, losses

PAIRS = [
    Preference(prompt=[{"role": "user", "content": f"地址 {i}"}], chosen=f"正确 {i}", rejected=f"错误 {i}")
    for i in range(4)
]
CONVERSATIONS = [[*pair.prompt, {"role": "assistant", "content": pair.chosen}] for pair in PAIRS]
Train = Callable[[str, str, Path], TrainingLog]


@pytest.fixture(autouse=True)
def bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CS_PRECISION", "auto")
    if precision() != "bfloat16":
        pytest.skip("this machine has no bfloat16")


@pytest.fixture
def tuned(tiny_model: Path, tmp_path: Path) -> str:
    settings = FineTuningSettings(**SMALL)
    train_adapter(str(tiny_model), CONVERSATIONS, [], settings, tmp_path / "tuned", tmp_path / "tuned_work")
    return str(tmp_path / "tuned")


def by_judge(base: str, _: str, place: Path) -> TrainingLog:
    cases = [Verdict(prompt=pair.prompt, correct=number % 2 == 0) for number, pair in enumerate(PAIRS)]
    return train_judge(
        base, cases, CONVERSATIONS, ("正确", "错误"), JudgeSettings(**SMALL), place / "model", place / "work"
    )


def by_reward(base: str, start: str, place: Path) -> TrainingLog:
    settings = RewardSettings(**SMALL)
    log = train_reward_model(base, PAIRS, settings, place / "model", place / "work", start=start)
    assert all(d > 0 for d in reward_differences(base, str(place / "model"), PAIRS, batch_size=4))
    return log


def by_dpo(base: str, start: str, place: Path) -> TrainingLog:
    return align_by_dpo(base, start, PAIRS, AlignmentSettings(**SMALL), place / "model", place / "work")


def by_reinforcement(base: str, start: str, place: Path) -> TrainingLog:
    def length(asked: Sequence[int], answers: Sequence[str]) -> list[float]:
        return [float(len(answer)) for answer in answers]

    prompts, settings = [pair.prompt for pair in PAIRS], ReinforcementSettings(**SMALL)
    folders = place / "model", place / "work"
    reinforce_adapter(base, start, prompts, {"length": (length, 1.0)}, "rloo", settings, 8, *folders)
    return TrainingLog.load(place / "model")


@pytest.mark.parametrize("train", [by_judge, by_reward, by_dpo, by_reinforcement])
def test_it_trains_and_what_it_trained_answers(tiny_model: Path, tuned: str, tmp_path: Path, train: Train) -> None:
    log = train(str(tiny_model), tuned, tmp_path)
    assert log.precision == "bfloat16"
    assert losses(log)
    if train is not by_reward:
        model, tokenizer = load_causal_lm(str(tiny_model), str(tmp_path / "model")), load_tokenizer(str(tiny_model))
        prompts = [pair.prompt for pair in PAIRS]
        assert len(generate(model, tokenizer, prompts, max_new_tokens=4, batch_size=2)) == 4
        assert len(set(verdict_log_odds(model, tokenizer, prompts, ("正确", "错误"), batch_size=2))) > 1
