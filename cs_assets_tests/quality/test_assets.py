"""`kto_judge` as Dagster runs it: what people have decided is learnt, and what it adds to the rules is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.learning.kto import Verdict
from cs_assets.partitions import scenario_partitions
from cs_assets.quality import assets
from cs_assets.quality.assets import kto_judge
from cs_assets.quality.judging import judge_prompt
from cs_assets.quality.review import ReviewLine, write_review
from cs_assets.scenario import Scenario
from resources.base_model import BaseModels
from resources.store import Store, io_managers
from resources.tracking import Tracking

NAME = "address_extraction"


@pytest.fixture
def materialized(labelled: pl.DataFrame, tiny_model: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Materialize `kto_judge` on the labelled samples of the tests; its metadata."""

    @dg.asset(partitions_def=scenario_partitions)
    def labelled_samples() -> pl.DataFrame:
        return labelled

    def run(**changed: Any) -> dict[str, Any]:
        resources = {
            "store": Store(root=str(tmp_path / "out")),
            "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"),
            "base_models": BaseModels(cache=str(tmp_path / "models")),
            **io_managers(str(tmp_path / "out")),
        }
        config = {"base_model": str(tiny_model), "batch_size": 8, **changed}
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [labelled_samples, kto_judge],
                partition_key=NAME,
                resources=resources,
                run_config={"ops": {"kto_judge": {"config": config}}},
                instance=instance,
            )
        [event] = result.asset_materializations_for_node("kto_judge")
        return {name: value.value for name, value in event.metadata.items()}

    return run


@pytest.mark.usefixtures("scenarios")
def test_a_verdict_put_into_the_review_file_is_a_training_row_of_the_next_judge(
    materialized: Callable[..., dict[str, Any]], scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(base: str, cases: list[Verdict], task: list[Any], *arguments: Any) -> Any:
        learnt.append(cases)
        tasks.append(task)
        return whole(base, cases, task, *arguments)

    learnt: list[list[Verdict]] = []
    tasks: list[list[Any]] = []
    whole = assets.train_judge
    monkeypatch.setattr(assets, "train_judge", train)
    first = materialized()
    decided = ReviewLine(sample_id="train-1", message="人民路6号", answer="{}", score=0.5, verdict="正确")
    waiting = ReviewLine(sample_id="train-2", message="人民路7号", answer="{}", score=0.5)
    review = Store(root=str(tmp_path / "out")).location("reviews", f"{NAME}.jsonl")
    write_review(review, [decided, waiting])
    second, third = materialized(), materialized()
    assert [run["cache"] for run in (first, second, third)] == ["miss", "miss", "hit"]
    assert [run["verdicts_of_people"] for run in (first, second)] == [0, 1]
    assert second["samples"] == first["samples"] + 1
    assert learnt[1] == [*learnt[0], Verdict(prompt=judge_prompt(scenario, decided), correct=True)]
    assert tasks[1] == [*tasks[0], scenario.conversation(decided)]
    assert first["added_to_rules"].startswith(("The judge adds nothing to the rules", "The judge adds 0."))
    assert first["weight_verdict"] + first["weight_surprise"] > 0
    for plot in ("score_distribution", "reliability"):
        assert first[plot].startswith("![")
        assert "data:image/" in first[plot]


@pytest.mark.usefixtures("scenarios")
def test_another_precision_is_another_judge_and_trains_nothing(
    materialized: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = materialized(minimum_recall=0.2)
    monkeypatch.setattr(assets, "train_judge", None)
    monkeypatch.setattr(assets, "read_samples", None)
    second = materialized(minimum_recall=0.9)
    assert (first["cache"], second["cache"]) == ("miss", "miss")
    assert second["model_folder"] != first["model_folder"]
    for name in ("samples", "auc", "train_loss", "weight_surprise"):
        assert second[name] == first[name]
    with pytest.raises(TypeError, match="'NoneType' object is not callable"):
        materialized(minimum_recall=0.9, epochs=0.5)
