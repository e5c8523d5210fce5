"""`reward_model` as Dagster runs it: what trains it again, and what does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.partitions import scenario_partitions
from cs_assets.reward import assets
from cs_assets.reward.assets import reward_model
from cs_assets.reward.pairs import SCHEMA
from resources.base_model import BaseModels
from resources.store import Store, io_managers
from resources.tracking import Tracking

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


@dg.asset(partitions_def=scenario_partitions)
def preference_pairs() -> pl.DataFrame:
    return PAIRS


@pytest.fixture
def materialized(tiny_model: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Materialize `reward_model` with this config; its metadata."""

    def run(**config: Any) -> dict[str, Any]:
        resources = {
            "store": Store(root=str(tmp_path / "out")),
            "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"),
            "base_models": BaseModels(cache=str(tmp_path / "models")),
            **io_managers(str(tmp_path / "out")),
        }
        numbers = {"base_model": str(tiny_model), "batch_size": 4, "max_length": 512}
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [preference_pairs, reward_model],
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
