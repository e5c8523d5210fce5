"""Tracking against a real MLflow in a SQLite file."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from resources.files import DiskFull
from resources.tracking import LOCAL_UI, RegisteredVersion, Tracking

ROOT = Path(__file__).resolve().parents[2]


class Broken(Exception):
    """The training failed."""


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Tracking:
    return Tracking(uri=f"sqlite:///{tmp_path_factory.mktemp('tracking')}/store/mlflow.db")


@pytest.fixture(scope="module")
def client(tracking: Tracking) -> MlflowClient:
    return MlflowClient(tracking.uri)


def test_a_run_keeps_tags_parameters_and_metrics_and_ends_finished(tracking: Tracking, client: MlflowClient) -> None:
    parameters: dict[str, Any] = {"learning_rate": 0.01, "base_model": "tiny", "long": "x" * 2000}
    with tracking.run("judge", "地址", {"dagster.run_id": "abc"}, parameters) as tracked:
        tracked.log_metrics({"loss": 2.0}, step=1)
        tracked.log_metrics({"loss": 1.0}, step=2)
        assert client.get_run(tracked.run_id).info.status == "RUNNING"
    run = client.get_run(tracked.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "judge/地址"
    assert run.data.tags["dagster.run_id"] == "abc"
    assert run.data.params == {"learning_rate": "0.01", "base_model": "tiny", "long": "x" * 500}
    assert [(m.step, m.value) for m in client.get_metric_history(tracked.run_id, "loss")] == [(1, 2.0), (2, 1.0)]
    assert client.get_experiment(run.info.experiment_id).name == "地址"
    page = f"{LOCAL_UI}/#/experiments/{run.info.experiment_id}/runs/{tracked.run_id}"
    assert tracked.url == f"{page}?workflowType=machine_learning", "it opens as a training"
    assert tracking.parameters_of(tracked.url) == tracking.parameters_of(page) == run.data.params


def test_an_exception_marks_the_run_as_failed_and_goes_on_up(tracking: Tracking, client: MlflowClient) -> None:
    def fail() -> None:
        with tracking.run("judge", "地址", {}, {}) as tracked:
            opened.append(tracked.run_id)
            tracked.log_metrics({"loss": 2.0})
            raise Broken

    opened: list[str] = []
    with pytest.raises(Broken):
        fail()
    assert client.get_run(opened[0]).info.status == "FAILED"
    assert client.get_run(opened[0]).data.metrics == {"loss": 2.0}
    with tracking.run("judge", "地址", {}, {}) as next_one:
        pass
    assert client.get_run(next_one.run_id).info.status == "FINISHED"


def test_a_nested_run_belongs_to_its_parent_and_logs_for_itself(tracking: Tracking, client: MlflowClient) -> None:
    with tracking.run("sweep", "地址", {}, {}) as parent:
        with parent.nested("trial 0", {"rank": 8}) as child:
            child.log_metrics({"loss": 0.5})
            child.set_tags({"state": "pruned"})
            parent.log_metrics({"trials": 1.0})
        with pytest.raises(Broken), parent.nested("trial 1", {}) as failed:
            raise Broken
        assert client.get_run(parent.run_id).info.status == "RUNNING"
    run, above = client.get_run(child.run_id), client.get_run(parent.run_id)
    assert run.data.tags["mlflow.parentRunId"] == parent.run_id
    assert (run.info.run_name, run.info.status, run.data.tags["state"]) == ("trial 0", "FINISHED", "pruned")
    assert (run.data.params, run.data.metrics, above.data.metrics) == ({"rank": "8"}, {"loss": 0.5}, {"trials": 1.0})
    assert run.info.experiment_id == above.info.experiment_id
    assert child.url == parent.url.replace(parent.run_id, child.run_id)
    assert client.get_run(failed.run_id).info.status == "FAILED"


def test_the_runs_of_a_partition_share_its_experiment(tracking: Tracking, client: MlflowClient) -> None:
    ids = []
    for partition in ("地址", "地址", "other"):
        with tracking.run("judge", partition, {}, {}) as tracked:
            ids.append(client.get_run(tracked.run_id).info.experiment_id)
    assert ids[0] == ids[1] != ids[2]


def test_registering_counts_versions_and_moves_the_alias(
    tracking: Tracking, client: MlflowClient, tmp_path: Path
) -> None:
    with tracking.run("release", "地址", {}, {}) as tracked:
        first = tracking.register("cs-地址", str(tmp_path / "a"), tracked)
        tracking.set_alias("cs-地址", "champion", first)
        assert client.get_model_version_by_alias("cs-地址", "champion").version == 1
        second = tracking.register("cs-地址", str(tmp_path / "b"), tracked)
        tracking.set_alias("cs-地址", "champion", second)
    assert (first.number, second.number) == ("1", "2")
    champion = client.get_model_version_by_alias("cs-地址", "champion")
    assert (champion.version, champion.run_id) == (2, tracked.run_id)
    assert champion.source == str(tmp_path / "b")
    assert tracking.holder("cs-地址", "champion") == second
    assert client.get_model_version("cs-地址", "1").aliases == []


def test_the_champion_of_a_local_registry_is_downloaded_by_its_name(tracking: Tracking, tmp_path: Path) -> None:
    folder = tmp_path / "模型 1"
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("a card", encoding="utf-8")
    with tracking.run("release", "downloaded", {}, {}) as tracked:
        version = tracking.register("downloaded", str(folder), tracked)
    tracking.set_alias("downloaded", "champion", version)
    uri = "models:/downloaded@champion"
    loaded = Path(download_artifacts(uri, dst_path=str(tmp_path / "loaded"), tracking_uri=tracking.uri))
    files = {str(path.relative_to(loaded)): path.read_bytes() for path in loaded.rglob("*") if path.is_file()}
    assert files == {"adapter/adapter_model.safetensors": b"weights", "README.md": b"a card"}
    assert download_artifacts(uri, tracking_uri=tracking.uri).rstrip("/") == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "adapter"]


def test_a_registered_folder_keeps_its_version(tracking: Tracking, client: MlflowClient, tmp_path: Path) -> None:
    assert tracking.version_of("kept", str(tmp_path)) is None
    with tracking.run("release", "地址", {}, {}) as first_run:
        first = tracking.register("kept", str(tmp_path), first_run)
    with tracking.run("release", "地址", {}, {}) as second_run:
        again = tracking.register("kept", str(tmp_path), second_run)
    assert again == first == tracking.version_of("kept", str(tmp_path))
    assert first.run_url == first_run.url
    assert tracking.version_of("kept", str(tmp_path / "other")) is None
    assert len(client.search_model_versions("name = 'kept'")) == 1


def test_a_version_that_was_registered_with_its_folder_as_source_is_found_by_it(
    tracking: Tracking, client: MlflowClient, tmp_path: Path
) -> None:
    client.create_registered_model("older")
    client.create_model_version("older", source=str(tmp_path))
    found = tracking.version_of("older", str(tmp_path))
    assert found is not None
    assert (found.number, found.folder) == ("1", str(tmp_path))


def test_an_alias_is_taken_unless_its_holder_is_the_better_one(
    tracking: Tracking, client: MlflowClient, tmp_path: Path
) -> None:
    asked: list[RegisteredVersion] = []

    def objections(*reasons: str) -> Callable[[RegisteredVersion], list[str]]:
        def told(holder: RegisteredVersion) -> list[str]:
            asked.append(holder)
            return list(reasons)

        return told

    assert tracking.holder("taken", "champion") is None
    with tracking.run("release", "地址", {}, {}) as tracked:
        first, second = (tracking.register("taken", str(tmp_path / name), tracked) for name in "ab")
    assert tracking.holder("taken", "champion") is None
    assert tracking.take_alias("taken", "champion", first, objections("never asked")) == []
    assert tracking.take_alias("taken", "champion", first, objections("never asked")) == []
    assert asked == []
    assert tracking.take_alias("taken", "champion", second, objections("worse")) == ["worse"]
    assert asked == [first]
    assert tracking.holder("taken", "champion") == first
    assert tracking.take_alias("taken", "champion", second, objections()) == []
    assert tracking.holder("taken", "champion") == second
    assert second.folder == str(tmp_path / "b")
    assert client.get_model_version("taken", "1").aliases == []


def test_the_parameters_of_a_run_are_found_by_its_url(tracking: Tracking) -> None:
    with tracking.run("sft", "地址", {}, {"seed": 17}) as tracked:
        pass
    assert tracking.parameters_of(tracked.url) == {"seed": "17"}
    assert tracking.parameters_of(f"{LOCAL_UI}/#/experiments/1/runs/{'0' * 32}") == {}
    assert tracking.parameters_of("") == {}


def test_the_uri_comes_from_the_environment_else_a_file_in_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000/")
    assert Tracking().uri == "http://tracking.example:5000/"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert Tracking().uri == "sqlite:///data/out/mlflow.db"


# Run as `python -c RUN place name`. They begin as nearly at once as a barrier of files allows.
RUN = """
import sys, time
from pathlib import Path
import mlflow
from resources.tracking import Tracking

place, name = Path(sys.argv[1]), sys.argv[2]
(place / f"ready-{name}").touch()
deadline = time.monotonic() + 30
while len(list(place.glob("ready-*"))) < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
with Tracking(uri=f"sqlite:///{place}/mlflow.db").run("judge", name, {}, {}) as tracked:
    tracked.log_metrics({"loss": 1.0})
"""


def test_the_first_runs_in_a_new_store_may_begin_at_once(tmp_path: Path) -> None:
    runs = [subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), name], cwd=ROOT) for name in "ab"]
    assert [run.wait(timeout=90) for run in runs] == [0, 0]


@pytest.mark.parametrize("small_disk", ["8m"], indirect=True)
@pytest.mark.parametrize("rest", [0, 100_000])
def test_a_full_disk_under_the_file_is_told_as_one(small_disk: Path, rest: int) -> None:
    tracking = Tracking(uri=f"sqlite:///{small_disk}/mlflow.db")
    tracking.client()
    (small_disk / "ballast").write_bytes(bytes(shutil.disk_usage(small_disk).free - rest))
    parameters = {f"parameter_{number:03}": "x" * 500 for number in range(400)}
    with (
        pytest.raises(DiskFull, match=f"{small_disk}/mlflow.db: no space is left on its disk"),
        tracking.run("judge", "a", {}, parameters),
    ):
        pass
    mlflow.end_run()
    (small_disk / "ballast").unlink()
    with tracking.run("judge", "a", {}, {"rank": 16}) as run:
        pass
    assert tracking.parameters_of(run.url)["rank"] == "16"


KILLED = """
import os, sys
from alembic import op
from resources.tracking import Tracking

whole = op.add_column

def killed(*column, **options):  # amid MLflow's making of its tables
    whole(*column, **options)
    os.kill(os.getpid(), 9)

op.add_column = killed
Tracking(uri=f"sqlite:///{sys.argv[1]}/mlflow.db").FIRST
"""


@pytest.mark.parametrize("first", ['run("judge", "a", {}, {}).__enter__()', "client()", 'holder("a", "champion")'])
def test_a_store_whose_making_was_killed_is_made_by_the_next_run(tmp_path: Path, first: str) -> None:
    killed = KILLED.replace("FIRST", first)
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)], cwd=ROOT).returncode == -9
    assert not (tmp_path / "mlflow.db").exists()
    tracking = Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db")
    with tracking.run("judge", "a", {}, {"rank": 16}) as run:
        pass
    assert tracking.parameters_of(run.url)["rank"] == "16"
