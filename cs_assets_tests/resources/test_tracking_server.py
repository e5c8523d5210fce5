"""Tracking against a real MLflow server on this machine: what it accepts, and what two runs at once do to it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from cs_assets_tests.server_process import running_server
from resources import tracking as tracking_module
from resources.tracking import Tracking, TrackingError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """A server with a SQLite file behind it."""
    folder = tmp_path_factory.mktemp("server")
    stores = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept")]
    command, log = ["mlflow", "server", *stores, "--workers", "1"], folder / "server.log"
    with running_server(*command, log=log, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false") as url:
        yield Tracking(uri=url)


def test_a_folder_of_the_store_is_registered_found_again_and_holds_the_alias(server: Tracking, tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    assert server.version_of("scenario", first) is None
    assert server.holder("scenario", "champion") is None
    with server.run("release", "scenario", {}, {}) as run:
        made = server.register("scenario", first, run)
        assert server.register("scenario", first, run) == made == server.version_of("scenario", first)
        other = server.register("scenario", second, run)
    assert (made.number, made.folder, other.number, other.folder) == ("1", first, "2", second)
    assert made.run_url == run.url
    assert run.url.startswith(f"{server.uri}/#/experiments/")
    assert server.take_alias("scenario", "champion", made, lambda present: ["never asked"]) == []
    assert server.take_alias("scenario", "champion", other, lambda present: [present.folder]) == [first]
    assert server.holder("scenario", "champion") == made
    version = MlflowClient(server.uri).get_model_version("scenario", "1")
    assert (version.run_id, version.source) == (run.run_id, f"runs:/{run.run_id}")


def test_an_experiment_that_another_run_creates_in_between_is_taken(
    server: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = mlflow.get_experiment_by_name

    def look(name: str) -> Any:
        found = whole(name)
        if found is None:
            mlflow.create_experiment(name)
        return found

    monkeypatch.setattr(mlflow, "get_experiment_by_name", look)
    with server.run("judge", "in between", {}, {}) as run:
        pass
    client = MlflowClient(server.uri)
    assert client.get_experiment(client.get_run(run.run_id).info.experiment_id).name == "in between"


def test_a_server_that_refuses_for_another_reason_is_heard(server: Tracking, tmp_path: Path) -> None:
    with server.run("release", "refused", {}, {}) as run, pytest.raises(MlflowException, match="name"):
        server.register("a/b", str(tmp_path), run)


def test_user_and_password_of_the_uri_reach_the_server_and_nothing_else(
    server: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # so that it is put back
    guarded = Tracking(uri=server.uri.replace("http://", "http://me:sec%40ret@"))
    with guarded.run("judge", "guarded", {}, {"seed": 1}) as run:
        run.log_metrics({"loss": 1.0})
    assert run.url.startswith(f"{server.uri}/#/experiments/")
    assert guarded.parameters_of(run.url) == {"seed": "1"}
    assert mlflow.get_tracking_uri() == server.uri
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("me", "sec@ret")


def test_a_password_that_the_uri_does_not_have_is_not_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "other")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "kept")
    Tracking(uri="http://me@127.0.0.1:9").client()
    assert (os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]) == ("me", "kept")


def test_a_server_that_is_not_there_is_told_in_one_line_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracking_module.time, "sleep", lambda seconds: None)
    made = []
    with pytest.raises(TrackingError) as told, Tracking(uri="http://me:secret@127.0.0.1:9").run("judge", "x", {}, {}):
        made.append("something")
    assert made == []
    assert str(told.value).startswith("MLFLOW_TRACKING_URI: no MLflow server answers at http://127.0.0.1:9. Start it")
    assert "secret" not in str(told.value)


def test_a_server_that_goes_away_costs_its_figures_and_not_what_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    stores = ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--workers", "1"]
    with contextlib.ExitStack() as server:
        command = running_server(
            "mlflow", "server", *stores, log=tmp_path / "log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
        )
        tracking = Tracking(uri=server.enter_context(command))
        made = []
        with tracking.run("judge", "x", {}, {}) as run:
            run.log_metrics({"loss": 1.0}, step=1)
            server.close()
            run.log_metrics({"loss": 0.5}, step=2)
            run.log_metrics({"loss": 0.4}, step=3)
            made.append("a model")
    assert made == ["a model"]
    assert mlflow.active_run() is None
    assert caplog.text.count("MLflow cannot be reached; the figures of run") == 1
