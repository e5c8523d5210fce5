"""The gate open and closed, as Dagster runs it: folder, registered version, alias, and what a kill leaves."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from mlflow import MlflowClient

from cs_assets.evaluation.gate import GATE_SPLIT
from cs_assets.evaluation.reporting import Cell, EvaluationReport
from cs_assets.evaluation.retention import Retention
from cs_assets.evaluation.statistics import Interval
from cs_assets.partitions import scenario_partitions
from cs_assets.release.assets import release
from cs_assets.release.packaging import Release
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, io_managers
from resources.tracking import Tracking

NAME = "address_extraction"


class Killed(Exception):
    """The machine went away."""


def report(tuned: float) -> EvaluationReport:
    cells = []
    for model, mean in (("base", 0.3), ("tuned", tuned)):
        figures = Interval(mean=mean, low=mean - 0.05, high=mean + 0.05, n=60)
        cells.append(Cell(split=GATE_SPLIT, model=model, exact=figures, strict_json=figures, field_accuracy=figures))
    share = Interval(mean=0.9, low=0.8, high=1.0, n=20)
    kept = Retention(base=share, tuned=share, difference=Interval(mean=0, low=0, high=0, n=20), kinds={})
    return EvaluationReport(scenario=NAME, cells=cells, p_values={}, per_field={}, retention=kept, judge={}, reward={})


class Releases:
    """Materializes `release` for adapters and reports made by hand, in one store with one registry."""

    def __init__(self, root: Path, base: Path) -> None:
        self.store = Store(root=str(root / "out"))
        self.tracking = Tracking(uri=f"sqlite:///{root}/mlflow.db")
        self.client = MlflowClient(self.tracking.uri)
        self._resources = {
            "store": self.store,
            "tracking": self.tracking,
            "base_models": BaseModels(cache=str(root / "models")),
            **io_managers(str(root / "out")),
        }
        self._base = str(base)

    def adapter(self, name: str) -> ModelFolder:
        def make(folder: Path, work: Path) -> dict[str, float]:
            (folder / "adapter_model.safetensors").write_text(name, encoding="utf-8")
            return {}

        return self.store.cached_model("lora_adapter", NAME, f"{name:0<64}", self._base, make)[0]

    def run(self, adapter: str = "a", tuned: float = 0.8, **config: Any) -> dg.ExecuteInProcessResult:
        values = {
            "evaluation_report": report(tuned),
            "lora_adapter": self.adapter(adapter),
            "training_splits": pl.DataFrame({"split": ["train", "train", "test_iid"]}),
        }
        inputs = [given(name, value) for name, value in values.items()]
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [*inputs, release],
                partition_key=NAME,
                resources=self._resources,
                run_config={"ops": {"release": {"config": config}}},
                instance=instance,
                raise_on_error=False,
            )

    def champion(self) -> Any:
        return self.client.get_model_version_by_alias(NAME, "champion")

    def versions(self) -> int:
        return len(self.client.search_model_versions(f"name = '{NAME}'"))


def given(name: str, value: Any) -> dg.AssetsDefinition:
    """Return an asset that is `value`."""
    kept_as = "io_manager" if isinstance(value, pl.DataFrame) else "record_io_manager"

    @dg.asset(name=name, partitions_def=scenario_partitions, io_manager_key=kept_as)
    def made() -> Any:
        return value

    return made


def seen(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [event] = result.asset_materializations_for_node("release")
    return {name: value.value for name, value in event.metadata.items()}


def decided(result: dg.ExecuteInProcessResult) -> Release:
    return result.output_for_node("release")


@pytest.fixture
def releases(tmp_path: Path, tiny_model: Path, scenarios: Path) -> Releases:
    return Releases(tmp_path, tiny_model)


def test_a_gain_is_packed_registered_and_champion(releases: Releases) -> None:
    result = releases.run()
    made, metadata = decided(result), seen(result)
    folder = Path(metadata["folder"])
    assert (folder / "adapter_model.safetensors").read_text(encoding="utf-8") == "a"
    assert "2 synthetic samples" in (folder / "README.md").read_text(encoding="utf-8")
    champion = releases.champion()
    assert Path(champion.source) == folder.absolute()
    assert made == Release(
        passed=True,
        reasons=[],
        folder=made.folder,
        registered_model=NAME,
        version=str(champion.version),
        champion=True,
    )
    assert releases.store.location(made.folder) == folder
    told = {key: metadata[key] for key in ("passed", "reasons", "registered_model", "version", "champion", "outcome")}
    assert told == {
        "passed": True,
        "reasons": "none",
        "registered_model": NAME,
        "version": "1",
        "champion": True,
        "outcome": f"{NAME} version 1 is champion",
    }
    assert metadata["mlflow_run"].endswith(champion.run_id)


@pytest.mark.parametrize(("tuned", "minimum"), [(0.35, 0.0), (0.8, 0.9)])
def test_a_closed_gate_registers_nothing_and_leaves_the_champion(
    releases: Releases, tuned: float, minimum: float
) -> None:
    releases.run("a")
    result = releases.run("b", tuned, minimum_exact=minimum)
    metadata = seen(result)
    [reason] = decided(result).reasons
    assert reason.startswith(f"exact match on {GATE_SPLIT}")
    assert (metadata["passed"], metadata["champion"], metadata["reasons"]) == (False, False, reason)
    assert (metadata["version"], metadata["outcome"]) == ("none", "gate closed")
    assert (releases.versions(), releases.champion().version) == (1, 1)


def test_a_release_that_is_materialized_again_takes_the_alias_back(releases: Releases) -> None:
    versions = []
    for adapter in ("a", "b", "a"):
        result = releases.run(adapter)
        versions.append(decided(result).version)
        assert seen(result)["champion"]
        assert str(releases.champion().version) == versions[-1]
        assert (Path(releases.champion().source) / "adapter_model.safetensors").read_text(encoding="utf-8") == adapter
    assert versions == ["1", "2", "1"]
    assert seen(result)["cache"] == "hit"
    assert releases.versions() == 2


@pytest.mark.parametrize("step", ["register", "set_alias"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_release_killed_after_its_folder_is_registered_once_by_the_next_run(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    def killed(*arguments: Any) -> None:
        if moment == "after":
            whole(*arguments)
        raise Killed

    whole = getattr(Tracking, step)
    with monkeypatch.context() as patch:
        patch.setattr(Tracking, step, killed)
        assert not releases.run().success
    for version in releases.client.search_model_versions(f"name = '{NAME}'"):
        assert Path(version.source).is_dir()
    result = releases.run()
    assert (seen(result)["cache"], decided(result).version) == ("hit", "1")
    assert (releases.versions(), releases.champion().version) == (1, 1)


def test_a_release_killed_before_its_folder_is_whole_registers_nothing(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, target: Path) -> None:
        raise Killed

    releases.adapter("a")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        assert not releases.run().success
    assert releases.versions() == 0
    assert decided(releases.run()).version == "1"


def test_a_version_that_was_deleted_from_the_registry_is_registered_again(releases: Releases) -> None:
    releases.run()
    releases.client.delete_registered_model(NAME)
    result = releases.run()
    assert (seen(result)["cache"], decided(result).version, releases.champion().version) == ("hit", "1", 1)
