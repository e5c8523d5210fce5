"""`aligned_adapter` as Dagster runs it, by each method: what it tells, and what trains it again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.alignment import assets
from cs_assets.alignment.assets import aligned_adapter
from cs_assets.learning.reward import Preference, RewardSettings, train_reward_model
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.reward.pairs import SCHEMA
from cs_assets_tests.families.conftest import committed
from cs_assets_tests.given_asset import given
from cs_assets_tests.learning.conftest import SMALL
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, io_managers
from resources.tracking import Tracking

NAME = "address_extraction"
FIELDS = ("姓名", "电话", "邮编", "省", "市", "县", "详细地址")
PAIRS = pl.DataFrame(
    [
        {
            "sample_id": str(number),
            "part": "train",
            "message": f"电话 {number}",
            "tools": "",
            "chosen": json.dumps({**dict.fromkeys(FIELDS, ""), "电话": str(number)}, ensure_ascii=False),
            "rejected": json.dumps(dict.fromkeys(FIELDS, ""), ensure_ascii=False),
            "margin": 0.5,
            "corruption_kind": "blank_field",
            "corruption_family": "omission",
        }
        for number in range(4)
    ],
    schema=SCHEMA,
)


@pytest.fixture
def aligned(tiny_model: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Materialize `aligned_adapter` with this config from a tuned adapter; its metadata."""
    store = Store(root=str(tmp_path / "out"))

    def tune(folder: Path, work: Path) -> dict[str, float]:
        settings = FineTuningSettings(**SMALL | {"epochs": 1})
        sample = [{"role": "user", "content": "电话 1"}, {"role": "assistant", "content": "好"}]
        train_adapter(str(tiny_model), [sample], [], settings, folder, work)
        return {"accuracy": 0.5}

    tuned, _ = store.cached_model("lora_adapter", NAME, "a" * 64, str(tiny_model), tune)

    def run(pairs: pl.DataFrame = PAIRS, judged: ModelFolder = tuned, **config: Any) -> dict[str, Any]:
        inputs = {"lora_adapter": tuned, "preference_pairs": pairs, "reward_model": judged}
        numbers = {"batch_size": 2, "checkpoint_steps": 100, "max_length": 1024}
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [*(given(name, value) for name, value in inputs.items()), aligned_adapter],
                partition_key=NAME,
                resources={
                    "store": store,
                    "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"),
                    "base_models": BaseModels(cache=str(tmp_path / "models")),
                    **io_managers(str(tmp_path / "out")),
                },
                run_config={"ops": {"aligned_adapter": {"config": numbers | config}}},
                instance=instance,
            )
        [event] = result.asset_materializations_for_node("aligned_adapter")
        return {name: value.value for name, value in event.metadata.items()}

    return run


@pytest.fixture
def untested(tmp_path: Path) -> ModelFolder:
    """A reward model that there were no pairs to test on."""
    store = Store(root=str(tmp_path / "out"))
    return store.cached_model("reward_model", NAME, "b" * 64, "nowhere", lambda folder, work: {"n": 0.0})[0]


@pytest.fixture
def preferring(tiny_model: Path, tmp_path: Path) -> Callable[[str], ModelFolder]:
    """Train a reward model that is kept under the letter it is asked for."""
    store = Store(root=str(tmp_path / "out"))
    pair = Preference(prompt=[{"role": "user", "content": "电话 1"}], chosen="好", rejected="坏")

    def train(folder: Path, work: Path) -> dict[str, float]:
        settings = RewardSettings(**SMALL | {"epochs": 1})
        train_reward_model(str(tiny_model), [pair, pair], settings, folder, work)
        return {"n": 0.0}

    return lambda letter: store.cached_model("reward_model", NAME, letter * 64, str(tiny_model), train)[0]


pytestmark = pytest.mark.usefixtures("scenarios")


def test_it_is_off_unless_a_method_is_named(aligned: Any) -> None:
    assert aligned()["method"] == "off"


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_by_pairs_it_does_not_depend_on_what_only_reinforcement_takes(aligned: Any, method: str) -> None:
    first, second = aligned(method=method), aligned(method=method, generations=3, reward_weight=0.1)
    assert (first["cache"], second["cache"], first["method"]) == ("miss", "hit", method)
    assert {"reward_margin_first", "reward_margin_last"} <= first.keys()


@pytest.mark.parametrize("method", ["dpo", "kto"])
def test_by_pairs_an_answer_of_several_messages_is_refused_with_what_to_take_instead(
    aligned: Any, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = committed("repair_workflow")
    monkeypatch.setattr(assets, "load_scenario", lambda name: workflow)
    trajectories = PAIRS.with_columns(chosen=pl.lit(workflow.examples()[0][0].answer))
    with pytest.raises(dg.Failure, match=f"method: {method} .* repair_workflow are several.* Take rloo or grpo"):
        aligned(trajectories, method=method)


def test_the_accuracy_of_the_reward_model_is_told_where_it_was_tested(aligned: Any, untested: ModelFolder) -> None:
    assert aligned(method="dpo")["reward_accuracy"] == 0.5
    assert "reward_accuracy" not in aligned(method="dpo", judged=untested)


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_by_answers_it_tells_the_rewards_and_a_changed_weight_trains_again(
    aligned: Any, method: str, short_answers: None
) -> None:
    first = aligned(method=method, reward_weight=0.0, generations=2)
    assert {"reward_first", "reward_last", "verified_first", "verified_last", "kl_last"} <= first.keys()
    assert "preferred_last" not in first
    assert (first["steps"], first["stopped_by_kl"]) == (2, 0)
    assert aligned(method=method, reward_weight=0.0, generations=2)["cache"] == "hit"
    assert aligned(method=method, reward_weight=0.0, generations=3)["cache"] == "miss"


@pytest.mark.parametrize("method", ["rloo", "grpo"])
def test_by_answers_with_a_weight_the_reward_model_has_its_say(
    aligned: Any, method: str, short_answers: None, preferring: Callable[[str], ModelFolder]
) -> None:
    first = aligned(judged=preferring("a"), method=method, reward_weight=0.5, generations=2)
    assert {"preferred_first", "preferred_last"} <= first.keys()
    for step in ("first", "last"):
        both = first[f"verified_{step}"] + 0.5 * first[f"preferred_{step}"]
        assert first[f"reward_{step}"] == pytest.approx(both, abs=1e-3)
    assert aligned(judged=preferring("a"), method=method, reward_weight=0.5, generations=2)["cache"] == "hit"
    assert aligned(judged=preferring("b"), method=method, reward_weight=0.5, generations=2)["cache"] == "miss"
    assert aligned(judged=preferring("a"), method=method, reward_weight=0.25, generations=2)["cache"] == "miss"


@pytest.fixture
def short_answers(scenarios: Path) -> None:
    """Cut answers at eight tokens: an untaught model ends none by itself."""
    spec = scenarios / NAME / "scenario.yaml"
    text = spec.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("answer_tokens:")]
    spec.write_text("\n".join(["answer_tokens: 8", *lines]), encoding="utf-8")
