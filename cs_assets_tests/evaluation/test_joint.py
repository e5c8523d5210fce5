"""Joint adapter against base and own adapters: the comparison, and both assets on a tiny model."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.alignment.outcome import Alignment
from cs_assets.definitions import build_defs
from cs_assets.evaluation import joint, predicting
from cs_assets.evaluation.assets import PredictionsConfig, predictions
from cs_assets.evaluation.predicting import SCHEMA, score_predictions
from cs_assets.families.base import METRICS
from cs_assets.scenario import load_scenario
from cs_assets.training.splits import TEST_SPLITS
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, io_managers
from resources.tracking import Tracking

NAME, OTHER = "address_extraction", "second"


def scored(model: str, **right: list[float]) -> pl.DataFrame:
    """Return scored answers: split -> how right each one is, in every metric."""
    rows = [
        {"model": model, "split": split, "sample_id": f"{number:03d}", "message": f"{split} {number}", "answer": "好"}
        | dict.fromkeys(METRICS, value)
        for split, values in right.items()
        for number, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


BASE = scored("base", test_iid=[0.0] * 20, real_style=[0.0] * 20)
JOINT = scored("joint", test_iid=[1.0] * 16 + [0.0] * 4, real_style=[1.0] * 10 + [0.0] * 10)


def row(table: pl.DataFrame, split: str, metric: str = "exact") -> dict[str, Any]:
    return table.filter(split=split, metric=metric).row(0, named=True)


def test_gain_and_interference_are_told_with_intervals_of_paired_differences() -> None:
    own = scored("tuned", test_iid=[0.0] * 20, real_style=[1.0] * 20)
    table = joint.compare("a", BASE, own, JOINT)
    assert set(table["metric"]) == set(METRICS)
    learned, lost = row(table, "test_iid"), row(table, "real_style")
    assert (learned["n"], learned["base"], learned["own"], learned["joint"]) == (20, 0.0, 0.0, 0.8)
    assert learned["gain"] == learned["transfer"] == pytest.approx(0.8)
    assert 0 < learned["gain_low"] < 0.8 < learned["gain_high"] <= 1
    assert (learned["verdict"], lost["verdict"]) == ("gain", "interference")
    assert lost["transfer"] == pytest.approx(-0.5)
    assert lost["transfer_low"] < lost["transfer_high"] < 0


def test_differences_are_of_the_same_cases_whatever_their_order() -> None:
    own = scored("tuned", test_iid=[1.0] * 16 + [0.0] * 4, real_style=[1.0] * 10 + [0.0] * 10)
    table = joint.compare("a", BASE, own.reverse(), JOINT)
    assert row(table, "test_iid")["transfer_low"] == row(table, "test_iid")["transfer_high"] == 0.0
    assert set(table["verdict"]) == {"undecided"}


@pytest.mark.parametrize("own", [None, scored("tuned", test_iid=[1.0] * 19, real_style=[1.0] * 20)])
def test_an_adapter_that_was_not_asked_all_cases_of_a_split_is_not_compared_there(own: pl.DataFrame | None) -> None:
    table = joint.compare("a", BASE, own, JOINT)
    missing = row(table, "test_iid")
    assert (missing["own"], missing["transfer"], missing["verdict"], missing["gain"]) == (None, None, None, 0.8)
    assert (row(table, "real_style")["own"] is None) == (own is None)
    assert list(joint.bars(table, "exact")) == ["base", "joint"]


def test_another_answer_to_the_same_message_is_another_case() -> None:
    stale = scored("tuned", test_iid=[1.0] * 20, real_style=[1.0] * 20).with_columns(answer=pl.lit("不好"))
    assert joint.compare("a", BASE, stale, JOINT)["own"].null_count() == 2 * len(METRICS)


def test_outcome_and_figures_go_by_the_headline_metric_of_each_scenario() -> None:
    own = scored("tuned", test_iid=[0.0] * 20, real_style=[1.0] * 20)
    table = pl.concat([joint.compare("a", BASE, own, JOINT), joint.compare("b", BASE, None, JOINT)])
    headlines = {"a": "exact", "b": "field_accuracy"}
    told = "better than the base in 4 of 4 tests; against the own adapters: gain 1, interference 1, undecided 0"
    assert joint.outcome(table, headlines) == told
    figures = joint.figures(table, headlines)
    assert figures["a.real_style.own"] == 1.0
    assert "b.real_style.own" not in figures
    assert len(figures) == 6 + 4
    assert joint.bars(table.filter(scenario="a"), "exact")["own"] == {"real_style": 1.0, "test_iid": 0.0}


def test_few_cases_decide_nothing_however_they_agree() -> None:
    right, wrong = scored("joint", test_iid=[1.0] * 5), scored("tuned", test_iid=[0.0] * 5)
    table = joint.compare("a", wrong, wrong, right)
    assert row(table, "test_iid")["transfer_low"] == 1.0
    assert set(table["verdict"]) == {"undecided"}
    assert joint.outcome(table, {"a": "exact"}).startswith("better than the base in 0 of 1 tests")


class Chain:
    """Materializes the joint assets in a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(root=str(folder / "out"))
        self.tracking = Tracking(uri=f"sqlite:///{folder}/mlflow.db")

    def put(self, asset: str, name: str, table: pl.DataFrame) -> None:
        path = Path(str(self.store.location("tables", asset, f"{name}.parquet")))
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_parquet(path)

    def run(self, config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], pl.DataFrame]:
        """Return the metadata of adapter and comparison, and the comparison."""
        defs = build_defs({"store": self.store, "tracking": self.tracking, **io_managers(self.store.root)})
        assets: list[Any] = [*(defs.assets or [])]
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                assets,
                selection=["joint_adapter", "joint_comparison"],
                resources=dict(defs.resources or {}),
                run_config={"ops": config},
                instance=instance,
            )
        seen = [
            {name: value.value for name, value in event.metadata.items()}
            for asset in ("joint_adapter", "joint_comparison")
            for event in result.asset_materializations_for_node(asset)
        ]
        return seen[0], seen[1], result.output_for_node("joint_comparison")

    def answers_kept(self) -> int:
        return len(list(Path(str(self.store.location("cache", "predictions"))).glob("*.parquet")))


def test_both_are_off_unless_scenarios_are_named(tmp_path: Path) -> None:
    adapter, comparison, table = Chain(tmp_path).run({})
    assert (adapter["outcome"], comparison["outcome"], table.height) == ("off", "off", 0)
    assert not (tmp_path / "mlflow.db").exists()


def test_two_scenarios_are_learnt_together_and_compared_with_the_adapter_of_one(
    tmp_path: Path, scenarios: Path, splits: pl.DataFrame, tiny_model: Path
) -> None:
    shutil.copytree(scenarios / NAME, scenarios / OTHER)
    chain = Chain(tmp_path)
    renamed = splits.with_columns(message=pl.concat_str(pl.lit("另"), "message"))
    for name, table in ((NAME, splits), (OTHER, renamed)):
        chain.put("training_splits", name, table)
    cases = predicting.test_cases(splits)
    right = score_predictions(load_scenario(NAME), "tuned", cases, cases["answer"].to_list())
    chain.put("predictions", NAME, right)
    unused = ModelFolder(path="none", base=str(tiny_model), fingerprint="none")
    asked: Any = predictions(
        dg.build_asset_context(partition_key=NAME),
        PredictionsConfig(models=["base"], max_new_tokens=8),
        chain.store,
        chain.tracking,
        BaseModels(),
        splits,
        unused,
        Alignment(method="off"),
        unused,
    )
    assert chain.answers_kept() == 1
    config = {
        "joint_adapter": {
            "config": {"base_model": str(tiny_model), "scenarios": [NAME, OTHER], "samples_per_scenario": 4}
        },
        "joint_comparison": {"config": {"max_new_tokens": 8}},
    }
    adapter, comparison, table = chain.run(config)
    assert adapter["samples_by_scenario"] == {NAME: 4, OTHER: 4}
    assert adapter["samples"] == 8
    assert chain.answers_kept() == 4  # what the base says of the first scenario was asked by `predictions` already
    assert asked.value["exact"].sum() == 0
    tested = set(cases["split"])
    assert tested == set(TEST_SPLITS)
    assert table.height == 2 * len(tested) * len(METRICS)
    first = table.filter(scenario=NAME, metric="exact")
    assert first["own"].to_list() == [1.0] * len(tested)
    # Six losses in a row are the fewest that chance makes in less than one of twenty comparisons.
    assert first["verdict"].to_list() == ["interference" if cases >= 6 else "undecided" for cases in first["n"]]
    assert table.filter(scenario=OTHER)["own"].null_count() == table.filter(scenario=OTHER).height
    assert "data:image/svg+xml;base64," in comparison[f"bars_{NAME}"]
    lost = (first["n"] >= 6).sum()
    assert comparison["outcome"].endswith(f"gain 0, interference {lost}, undecided {len(tested) - lost}")
    again_adapter, again, same = chain.run(config)
    assert (adapter["cache"], again_adapter["cache"], comparison["cache"], again["cache"]) == (
        "miss", "hit", "miss", "hit"
    )  # fmt: skip
    assert same.equals(table)


def test_a_scenario_without_splits_stops_it_before_anything_is_trained(
    tmp_path: Path, scenarios: Path, tiny_model: Path
) -> None:
    config = {"joint_adapter": {"config": {"base_model": str(tiny_model), "scenarios": [NAME]}}}
    with pytest.raises(FileNotFoundError, match="has no training_splits yet"):
        Chain(tmp_path).run(config)
