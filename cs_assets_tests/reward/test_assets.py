"""`reward_model` as Dagster runs it: what trains it again, and what does not."""

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
            "part": "train" if number < 4 else "test_seen",
            "message": f"电话 {number}",
            "chosen": f'{{"电话": "{number}"}}',
            "rejected": '{"电话": ""}',
            "margin": 0.5,
            "corruption_kind": "blank_field",
            "corruption_family": "omission",
        }
        for number in range(6)
    ],
    schema=SCHEMA,
)


@dg.asset(partitions_def=scenario_partitions)
def preference_pairs() -> pl.DataFrame:
    return PAIRS


@pytest.mark.usefixtures("scenarios")
def test_the_margin_trains_again_and_the_batch_of_the_test_does_not(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(**config: Any) -> str:
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
        return str(event.metadata["cache"].value)

    def train(base: str, pairs: list[Any], *arguments: Any) -> Any:
        margins.append({pair.margin for pair in pairs})
        return whole(base, pairs, *arguments)

    margins: list[set[float]] = []
    whole = assets.train_reward_model
    monkeypatch.setattr(assets, "train_reward_model", train)
    assert [run(score_batch_size=2), run(score_batch_size=5), run(margin=False)] == ["miss", "hit", "miss"]
    assert margins == [{0.5}, {0.0}]
