"""The search on a tiny model: what is tried, stopped, resumed, taken over; and the asset, with its nested runs."""

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml
from mlflow import MlflowClient

from cs_assets.definitions import build_defs
from cs_assets.learning import progress
from cs_assets.learning import training as loop
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import Untrainable
from cs_assets.model_assets import settings_of
from cs_assets.training import sweep as searching
from cs_assets.training.assets import JointAdapterConfig, LoraAdapterConfig, LoraSweepConfig
from cs_assets.training.sweep import SEARCHED, Sweep, SweepSettings, best_trial, outcome, run_config
from cs_assets_tests.learning.conftest import SMALL, Interrupted
from resources.store import Store, io_managers
from resources.tracking import TrackedRun, Tracking, run_id_of

NAME = "address_extraction"
CONVERSATIONS = [
    [{"role": "user", "content": f"电话 {i}"}, {"role": "assistant", "content": "正确" if i % 2 else "错误"}]
    for i in range(12)
]
FIRST = FineTuningSettings(**SMALL | {"epochs": 1})
SPACE: dict[str, Any] = {
    "trials": 4,
    "startup_trials": 1,
    "measures": 2,
    "lowest_learning_rate": 1e-6,
    "highest_learning_rate": 1e-2,
    "ranks": [2, 8],
    "batch_sizes": [2],
    "epoch_counts": [1.0],
}


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    return Tracking(uri=f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db")


@pytest.fixture(autouse=True)
def every_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "progress_callback", functools.partial(progress.progress_callback, every=0.0))


def a_sweep(tiny_model: Path, first: FineTuningSettings = FIRST, **space: Any) -> Sweep:
    return Sweep(str(tiny_model), CONVERSATIONS, CONVERSATIONS[:4], first, SweepSettings(**SPACE | space))


def silent(run: TrackedRun) -> progress.Report:
    return progress.silent


Go = Callable[..., pl.DataFrame]


@pytest.fixture
def go(tracking: Tracking, tmp_path: Path) -> Go:
    """Run a sweep in the folder of that name, within a run of its own."""

    def run(sweep: Sweep, folder: str = "work", reporter: Any = silent) -> pl.DataFrame:
        with tracking.run("lora_sweep", NAME, {}, {}) as parent:
            return sweep.run(tmp_path / folder, parent, reporter, lambda line: None)

    return run


def test_the_first_trial_has_the_numbers_as_they_are_and_the_others_come_from_the_space(
    tiny_model: Path, go: Go
) -> None:
    trials = go(a_sweep(tiny_model, trials=3, startup_trials=5))
    assert trials["trial"].to_list() == [0, 1, 2]
    assert trials.row(0, named=True).items() >= {n: getattr(FIRST, n) for n in SEARCHED}.items()
    assert trials["state"].to_list() == ["complete"] * 3
    assert trials["learning_rate"].is_between(1e-6, 1e-2).all()
    assert trials["learning_rate"].n_unique() == 3
    assert set(trials["rank"]) <= {2, 4, 8}
    assert trials["validation_loss"].is_between(0, 20).all()


def test_a_trial_that_learns_less_than_the_median_is_stopped(tiny_model: Path, go: Go) -> None:
    steps: dict[str, int] = {}

    def counting(run: TrackedRun) -> progress.Report:
        return lambda told: steps.update({run.run_id: told.step})

    trials = go(a_sweep(tiny_model), reporter=counting)
    ended = {state: [steps for steps, s in zip(steps.values(), trials["state"], strict=True) if s == state]
             for state in ("complete", "pruned")}  # fmt: skip
    assert set(ended["complete"]) == {6}
    assert set(ended["pruned"]) == {3}
    stopped, best = trials.filter(state="pruned"), best_trial(trials)
    assert (stopped["validation_loss"] > best["validation_loss"]).all()
    assert best["state"] == "complete"


def test_a_killed_sweep_goes_on_within_its_trial_and_ends_as_an_undisturbed_one(
    tiny_model: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed: list[int] = []

    def noting(*args: Any) -> Any:
        log = train_adapter(*args)
        resumed.append(log.resumed_at)
        return log

    def cut_in_the_second(run: TrackedRun) -> progress.Report:
        begun.append(run.run_id)

        def report(told: progress.Progress) -> None:
            if len(begun) == 2 and told.step == 4:
                raise Interrupted

        return report

    begun: list[str] = []
    sweep = a_sweep(tiny_model, startup_trials=3)
    whole = go(sweep, "whole")
    monkeypatch.setattr(searching, "train_adapter", noting)
    with pytest.raises(Interrupted):
        go(sweep, "cut", cut_in_the_second)
    again = go(sweep, "cut")
    assert resumed == [0, 3, 0, 0][: len(resumed)]
    assert len(resumed) >= 3  # the first trial before the kill, at least two after it; the last may be stopped
    exact = [name for name in whole.columns if name not in ("validation_loss", "seconds")]
    assert again.select(exact).equals(whole.select(exact))
    assert again["validation_loss"].to_list() == pytest.approx(whole["validation_loss"].to_list(), abs=1e-3)


def test_a_finished_sweep_trains_nothing_again(tiny_model: Path, go: Go, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> None:
        raise AssertionError("trained again")

    sweep = a_sweep(tiny_model, trials=1)
    trials = go(sweep)
    monkeypatch.setattr(searching, "train_adapter", never)
    assert go(sweep).equals(trials)


def test_numbers_that_cannot_be_trained_with_are_a_trial_without_a_loss(tiny_model: Path, go: Go) -> None:
    diverging = FIRST.model_copy(update={"learning_rate": 1e10})
    trials = go(a_sweep(tiny_model, diverging, trials=1))
    assert trials.select("state", "validation_loss").row(0) == ("untrainable", None)
    with pytest.raises(ValueError, match="highest_learning_rate"):
        best_trial(trials)


def test_what_fails_for_another_reason_fails_the_sweep(
    tiny_model: Path, go: Go, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(searching, "train_adapter", broken)
    with pytest.raises(OSError, match="disk full"):
        go(a_sweep(tiny_model, trials=2))


def test_a_validation_loss_that_is_not_a_number_ends_the_trial(tiny_model: Path) -> None:
    trial: Any = None
    with pytest.raises(Untrainable, match="lower learning_rate"):
        a_sweep(tiny_model)._measured(trial, 3, 6, math.nan)


def test_without_validation_samples_there_is_nothing_to_compare(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="`validation` is empty"):
        Sweep(str(tiny_model), CONVERSATIONS, [], FIRST, SweepSettings(**SPACE))


def test_alpha_goes_with_the_rank_and_checkpoints_with_the_number_of_samples(tiny_model: Path) -> None:
    row = {"learning_rate": 1e-3, "rank": 8, "batch_size": 4, "epochs": 2.0}
    settings = a_sweep(tiny_model, measures=3).settled(row)
    assert {name: getattr(settings, name) for name in SEARCHED} == row
    assert settings.alpha == 8 * FIRST.alpha / FIRST.rank
    assert settings.checkpoint_steps == 2  # 12 samples twice, four a step: six steps, measured three times
    assert settings.patience > 0


def test_a_method_without_a_rank_does_not_search_one(tiny_model: Path, go: Go) -> None:
    prefix = FIRST.model_copy(update={"method": "prefix", "prefix_tokens": 4})
    assert set(go(a_sweep(tiny_model, prefix, trials=3, startup_trials=5))["rank"]) == {FIRST.rank}


def test_a_share_of_the_samples_is_taken_at_even_distances(tiny_model: Path) -> None:
    assert a_sweep(tiny_model, share=0.25)._share() == CONVERSATIONS[::4]


def test_the_outcome_tells_what_was_gained_over_the_numbers_as_they_were() -> None:
    rows: dict[str, list[Any]] = {"trial": [0, 1, 2], "validation_loss": [0.5, 0.25, 0.1]}
    trials = pl.DataFrame(rows | {"state": ["complete", "complete", "pruned"]})
    assert outcome(trials) == "validation loss 0.2500 in trial 1, 0.5000 in the first"
    rows = {"trial": [0, 1], "validation_loss": [None, 0.25], "state": ["untrainable", "complete"]}
    assert outcome(pl.DataFrame(rows)).endswith("none in the first")


def test_the_run_config_is_the_one_of_the_adapter() -> None:
    read = yaml.safe_load(run_config(FIRST))
    assert settings_of(LoraAdapterConfig(**read["ops"]["lora_adapter"]["config"]), FineTuningSettings) == FIRST


def test_numbers_of_a_stream_are_asked_for_only_where_there_is_one() -> None:
    configs = (LoraAdapterConfig, LoraSweepConfig, JointAdapterConfig)
    assert ["shuffle_buffer" in config.model_fields for config in configs] == [True, False, False]


class Chain:
    """Materializes one asset of the real definitions in a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(root=str(folder / "out"))
        self.tracking = Tracking(uri=f"sqlite:///{folder}/mlflow.db")

        self.defs = build_defs({"store": self.store, "tracking": self.tracking, **io_managers(self.store.root)})

    def run(self, asset: str, config: dict[str, Any]) -> dict[str, Any]:
        """Return the metadata."""
        assets: list[Any] = [*(self.defs.assets or [])]
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                assets,
                selection=[asset],
                partition_key=NAME,
                resources=dict(self.defs.resources or {}),
                run_config=config,
                instance=instance,
            )
        [event] = result.asset_materializations_for_node(asset)
        return {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def chain(tmp_path: Path, scenarios: Path, splits: pl.DataFrame) -> Chain:
    made = Chain(tmp_path)
    path = Path(str(made.store.location("tables", "training_splits", f"{NAME}.parquet")))
    path.parent.mkdir(parents=True)
    splits.write_parquet(path)
    return made


def test_the_asset_is_off_in_the_demo(chain: Chain) -> None:
    seen = chain.run("lora_sweep", {})
    assert (seen["outcome"], seen["dagster/row_count"]) == ("off", 0)
    assert not Path(str(chain.store.location("run_configs"))).exists()
    assert not (chain.folder / "mlflow.db").exists()


def test_the_asset_keeps_its_trials_and_the_adapter_takes_the_best_config_as_it_is(
    chain: Chain, tiny_model: Path
) -> None:
    numbers = {"base_model": str(tiny_model), "rank": 4, "learning_rate": 1e-2}
    space = SPACE | {"trials": 2, "batch_sizes": [4, 8], "epoch_counts": [0.5, 1]}
    config = {"ops": {"lora_sweep": {"config": numbers | space}}}
    first, second = chain.run("lora_sweep", config), chain.run("lora_sweep", config)
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    assert first["dagster/row_count"] == sum(first["by_state"].values()) == 2
    assert "data:image/svg+xml;base64," in first["losses"]
    nested = nested_runs(chain.tracking, first["mlflow_run"])
    assert [run.data.tags["mlflow.runName"] for run in nested] == ["trial 0", "trial 1"]
    assert all(set(run.data.params) == set(SEARCHED) for run in nested)
    assert all("seconds" in run.data.metrics for run in nested)
    assert [run.info.status for run in nested] == ["FINISHED"] * 2

    best = yaml.safe_load(Path(first["run_config"]).read_text(encoding="utf-8"))
    assert dg.validate_run_config(chain.defs.resolve_job_def("chain"), best)
    trials = chain.store.table("lora_sweep", NAME)
    assert trials is not None
    tuned = chain.run("lora_adapter", best)
    assert tuned["validation_loss"] == pytest.approx(best_trial(trials)["validation_loss"], abs=1e-3)


def nested_runs(tracking: Tracking, parent_url: str) -> list[Any]:
    client, parent = MlflowClient(tracking.uri), run_id_of(parent_url)
    found = client.search_runs(
        [client.get_run(parent).info.experiment_id], f"tags.mlflow.parentRunId = '{parent}'", order_by=["start_time"]
    )
    return list(found)
