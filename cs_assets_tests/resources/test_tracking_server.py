"""Tracking against a real MLflow server on this machine: what it accepts, and what two runs at once do to it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from resources.tracking import Tracking

_PATIENCE_SECONDS = 180.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """A server with a SQLite file behind it, on a free port; its log is shown where it does not start."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept")]
    log = folder / "server.log"
    with log.open("wb") as out:
        command = [str(Path(sys.executable).with_name("mlflow")), "server", *options, *stores]
        # In a group of its own, which ends as a whole: the command has its workers in processes of theirs.
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env=environment, start_new_session=True)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _is_healthy(port):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        yield Tracking(uri=f"http://127.0.0.1:{port}")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError):
        return False


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
