"""`reward_model` as Dagster runs it: what trains it again, and what does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from peft import LoraConfig

from cs_assets.learning import models
from cs_assets.learning.reward import RewardSettings
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.reward import assets
from cs_assets.reward.assets import reward_model
from cs_assets.reward.pairs import SCHEMA
from cs_assets_tests.given_asset import given
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, io_managers
from resources.tracking import Tracking

TINY: dict[str, Any] = {"batch_size": 4, "max_length": 512}
NAME = "address_extraction"
PAIRS = pl.DataFrame(
    [
        {
            "sample_id": str(number),
            "part": "train" if number < 8 else "test_seen",
            "message": f"电话 {number}",
            "chosen": f'{{"电话": "{number}"}}',
            "rejected": '{"电话": ""}',
            "margin": 0.5,
            "corruption_kind": "blank_field",
            "corruption_family": "omission",
        }
        for number in range(10)
    ],
    schema=SCHEMA,
)


@pytest.fixture
def lora_adapter(tiny_model: Path, tmp_path: Path) -> ModelFolder:
    """The tuned adapter, as the chain keeps it."""
    store = Store(root=str(tmp_path / "out"))
    settings = FineTuningSettings(**TINY, rank=4)

    def train(folder: Path, work: Path) -> dict[str, float]:
        conversation = [{"role": "user", "content": "电话 1"}, {"role": "assistant", "content": "1"}]
        return train_adapter(str(tiny_model), [conversation], [], settings, folder, work).metrics()

    base = BaseModels().resolve(str(tiny_model), print)
    return store.cached_model("lora_adapter", NAME, "tuned", base.name, train, base_identity=base.identity)[0]


@pytest.fixture
def materialized(tiny_model: Path, lora_adapter: ModelFolder, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Materialize `reward_model` with this config; its metadata."""

    def run(adapter: ModelFolder = lora_adapter, **config: Any) -> dict[str, Any]:
        resources = {
            "store": Store(root=str(tmp_path / "out")),
            "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"),
            "base_models": BaseModels(cache=str(tmp_path / "models")),
            **io_managers(str(tmp_path / "out")),
        }
        numbers = TINY | {"base_model": str(tiny_model)}
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [given("preference_pairs", PAIRS), given("lora_adapter", adapter), reward_model],
                partition_key=NAME,
                resources=resources,
                run_config={"ops": {"reward_model": {"config": numbers | config}}},
                instance=instance,
            )
        [event] = result.asset_materializations_for_node("reward_model")
        return {name: value.value for name, value in event.metadata.items()}

    return run


@pytest.mark.usefixtures("scenarios")
def test_the_margin_trains_again_and_the_batch_of_the_test_does_not(
    materialized: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(base: str, pairs: list[Any], *arguments: Any) -> Any:
        margins.append({pair.margin for pair in pairs})
        return whole(base, pairs, *arguments)

    margins: list[Any] = []
    whole = assets.train_reward_model
    monkeypatch.setattr(assets, "train_reward_model", train)
    changes = ({"score_batch_size": 2}, {"score_batch_size": 5, "strength_repeats": 3}, {"margin": False})
    runs = [materialized(**changed) for changed in changes]
    assert [seen["cache"] for seen in runs] == ["miss", "hit", "miss"]
    assert margins == [{0.5}, {0.0}]
    assert 0.5 <= runs[0]["confidence"] <= 1
    assert 0 <= runs[0]["calibration_error"] <= 1
    assert runs[0]["reliability"].startswith("| confidence | accuracy | n |")
    assert not {"label_agreement", "fit"} & runs[0].keys()


@pytest.mark.usefixtures("scenarios")
def test_a_remedy_for_label_noise_is_trained_on_what_it_made_of_the_pairs(
    materialized: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strengths(base: str, pairs: list[Any], *arguments: Any) -> list[float]:
        return [-3.0] + [3.0] * (len(pairs) - 1)

    def train(base: str, pairs: list[Any], *arguments: Any) -> Any:
        trained.extend(pairs)
        return whole(base, pairs, *arguments)

    trained: list[Any] = []
    whole = assets.train_reward_model
    monkeypatch.setattr(assets, "train_reward_model", train)
    monkeypatch.setattr(assets, "out_of_fold_strengths", strengths)
    seen = materialized(label_noise="flip")
    assert (seen["cache"], seen["label_noise"]) == ("miss", "flip")
    assert seen["label_agreement"] == pytest.approx(7 / 8)
    assert [pair.chosen == '{"电话": ""}' for pair in trained] == [True] + [False] * 7


@pytest.mark.usefixtures("scenarios")
def test_it_starts_at_the_tuned_adapter_unless_it_is_told_or_cannot(materialized: Any) -> None:
    seen = [materialized(**changed) for changed in ({}, {"start": "base"}, {"method": "full"})]
    assert [(run["start"], run["cache"]) for run in seen] == [("tuned", "miss"), ("base", "miss"), ("base", "miss")]
    ranks = [LoraConfig.from_pretrained(run["model_folder"]).r for run in seen[:2]]
    assert ranks == [4, RewardSettings().rank]
    assert materialized(rank=2)["cache"] == "hit"  # the tuned adapter's rank is taken


@pytest.mark.usefixtures("scenarios")
def test_the_base_is_held_in_4_bits_where_that_is_asked_for_whatever_the_tuned_adapter_was_trained_on(
    materialized: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "device_name", lambda: "cpu")
    with pytest.raises(ValueError, match="qlora needs a GPU"):
        materialized(method="qlora")


@pytest.mark.usefixtures("scenarios")
@pytest.mark.parametrize(
    ("changed", "start"), [({"fingerprint": "another"}, "tuned"), ({"base_identity": "of another base"}, "base")]
)
def test_another_adapter_trains_it_again_and_one_of_another_base_is_not_taken(
    materialized: Any, lora_adapter: ModelFolder, changed: dict[str, str], start: str
) -> None:
    first = materialized()
    second = materialized(lora_adapter.model_copy(update=changed))
    assert (first["start"], second["start"], second["cache"]) == ("tuned", start, "miss")
