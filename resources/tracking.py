"""MLflow: one run a materialization of an expensive stage, linked both ways.

Plain mlflow behind a Dagster resource. The default is a SQLite file in the store, an own server comes by
`MLFLOW_TRACKING_URI`. Each run carries the Dagster run id, the partition and the data version as tags.

A server that does not answer when a run is opened is an error at once, before anything is made. One that goes away
later costs its figures and nothing else: what is being made is worth more than what is told of it.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from dagster import ConfigurableResource
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field
from upath import UPath

from resources.files import room_for, write_whole

if TYPE_CHECKING:
    from mlflow import MlflowClient

# Where `make dev` starts the MLflow UI for the SQLite file.
LOCAL_UI = "http://127.0.0.1:5000"
_FOLDER_TAG: Final = "cs_assets.folder"
# Without it the UI takes every run for the evaluation of an agent, and shows traces, of which there are none.
_AS_TRAINING: Final = "?workflowType=machine_learning"
# MLflow tells its makers how it is used unless told not to; who wants that sets the variable to false.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# What the URI of a store begins with that lies on this machine; a plain path has no scheme.
_LOCAL: Final = ("sqlite", "file", "")
_ATTEMPTS: Final = 3
_TIMEOUT_SECONDS: Final = 10
_log = logging.getLogger(__name__)


class TrackingError(RuntimeError):
    """The MLflow server cannot be reached; the message says what to do."""


def default_tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, else a SQLite file in the store's folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('data') / 'out' / 'mlflow.db'}"


def run_id_of(run_url: str) -> str:
    """Return the id of the run that a URL, as `TrackedRun` tells it, leads to."""
    return run_url.rpartition("/")[2].partition("?")[0]


def _shortened(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as MLflow takes them: texts of at most 500 characters."""
    return {key: str(value)[:500] for key, value in parameters.items()}


class TrackedRun:
    """An open MLflow run."""

    def __init__(self, run_id: str, url: str) -> None:
        self.run_id = run_id
        self.url = url
        self._is_lost = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log figures, at a training step if given."""
        import mlflow

        with self._while_reachable():
            mlflow.log_metrics(dict(metrics), step=step, run_id=self.run_id)

    def end(self, status: str) -> None:
        """End the run, which is the innermost one that is open, as FINISHED or FAILED."""
        import mlflow

        with self._while_reachable():
            mlflow.end_run(status)

    @contextlib.contextmanager
    def _while_reachable(self) -> Iterator[None]:
        """Let the block tell the server something; once that is away, nothing more is told of this run but that."""
        from mlflow.exceptions import MlflowException, RestException

        try:
            yield
        except RestException:  # the server's own answer
            raise
        except MlflowException as error:
            if not self._is_lost:
                _log.warning("MLflow cannot be reached; the figures of run %s are lost: %s", self.run_id, error)
            self._is_lost = True

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, beside those that the run was opened with."""
        import mlflow

        for name, value in tags.items():
            mlflow.MlflowClient().set_tag(self.run_id, name, value)

    @contextlib.contextmanager
    def nested(self, name: str, parameters: Mapping[str, Any]) -> Iterator["TrackedRun"]:
        """Open a run within this one, which must be the innermost one that is open; it ends as `Tracking.run` does."""
        import mlflow

        experiment = mlflow.get_run(self.run_id).info.experiment_id
        run = mlflow.start_run(experiment_id=experiment, run_name=name, nested=True, parent_run_id=self.run_id)
        mlflow.log_params(_shortened(parameters))
        with _ended(TrackedRun(run.info.run_id, self.url.replace(self.run_id, run.info.run_id))) as tracked:
            yield tracked


class RegisteredVersion(BaseModel):
    """A version of a registered model, the folder that it is of, and the run that registered it."""

    model_config = ConfigDict(frozen=True)

    number: str
    folder: str
    run_url: str


class Tracking(ConfigurableResource):
    """Opens MLflow runs."""

    uri: str = Field(
        default_factory=default_tracking_uri, description="An MLflow tracking URI, with user and password if need be."
    )

    @property
    def _address(self) -> str:
        """The URI without user and password: MLflow's errors repeat what it is given, and links to runs are for all to
        see.
        """
        url = urlsplit(self.uri)
        if not self.uri.startswith("http"):
            return self.uri
        return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()

    def client(self) -> "MlflowClient":
        """Return MLflow's client, which is told user and password; a SQLite file that is not there is made whole.

        MLflow makes its file in a hundred steps: killed amid them, it could never use the file.
        """
        from mlflow import MlflowClient

        path = self._sqlite_path()
        if path is None:
            url = urlsplit(self.uri)
            told = {"MLFLOW_TRACKING_USERNAME": url.username, "MLFLOW_TRACKING_PASSWORD": url.password}
            os.environ.update({name: unquote(value) for name, value in told.items() if value})
        elif not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"):
                if not path.exists():
                    write_whole(UPath(path), _make_sqlite_file)
        return MlflowClient(self._address)

    def _sqlite_path(self) -> Path | None:
        return Path(self.uri.removeprefix("sqlite:///")) if self.uri.startswith("sqlite:///") else None

    @contextlib.contextmanager
    def run(
        self, stage: str, partition: str, tags: Mapping[str, str], parameters: Mapping[str, Any]
    ) -> Iterator[TrackedRun]:
        """Open a run named after stage and partition in the experiment of that partition.

        It ends as FINISHED or, if the block raises, as FAILED.

        Raises:
            TrackingError: the server does not answer.
            DiskFull: there is no room in the SQLite file's disk.
        """
        import mlflow

        self._reach()
        mlflow.set_tracking_uri(self._address)
        path = self._sqlite_path()
        with room_for(path) if path else contextlib.nullcontext():
            with self._one_at_a_time():
                experiment = self._experiment(partition)
            run = mlflow.start_run(experiment_id=experiment, run_name=f"{stage}/{partition}", tags=dict(tags))
            mlflow.log_params(_shortened(parameters))
        base = self._address.rstrip("/") if self.uri.startswith("http") else LOCAL_UI
        url = f"{base}/#/experiments/{experiment}/runs/{run.info.run_id}{_AS_TRAINING}"
        with _ended(TrackedRun(run.info.run_id, url)) as told:
            yield told

    def _reach(self) -> None:
        """Ask a server whether it is there: MLflow itself asks again for minutes before it says that it is not."""
        import requests

        if not self.uri.startswith("http"):
            return
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(_ATTEMPTS))
        for attempt in range(_ATTEMPTS):
            time.sleep(attempt)
            with contextlib.suppress(requests.RequestException):
                requests.get(f"{self._address.rstrip('/')}/health", timeout=_TIMEOUT_SECONDS)
                return
        raise TrackingError(
            f"MLFLOW_TRACKING_URI: no MLflow server answers at {self._address}. "
            "Start it, or unset the variable to log into data/out/mlflow.db, and run this again: what is made is kept."
        )

    def parameters_of(self, run_url: str) -> dict[str, str]:
        """Return the parameters that a run logged, by the URL that `TrackedRun` told; empty where it is not known."""
        from mlflow.exceptions import MlflowException

        try:
            return dict(self.client().get_run(run_id_of(run_url)).data.params)
        except MlflowException:
            return {}

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Let one process at a time look into a SQLite file and create what is missing; a server refuses the second."""
        self.client()
        path = self._sqlite_path()
        with FileLock(f"{path}.lock") if path else contextlib.nullcontext():
            yield

    def _experiment(self, name: str) -> str:
        import mlflow

        path = self._sqlite_path()
        artifacts = (path.parent / "mlflow-artifacts").resolve().as_uri() if path else None
        if mlflow.get_experiment_by_name(name) is None:
            with _unless_it_exists():
                mlflow.create_experiment(name, artifact_location=artifacts)
        return mlflow.get_experiment_by_name(name).experiment_id

    def version_of(self, name: str, folder: str) -> RegisteredVersion | None:
        """Return the version under which a model folder is registered, None where it is not."""
        versions = map(_registered, self.client().search_model_versions(f"name = '{name}'"))
        found = [version for version in versions if version.folder == folder]
        return max(found, key=lambda version: int(version.number)) if found else None

    def register(self, name: str, folder: str, run: TrackedRun) -> RegisteredVersion:
        """Register a model folder as a new version made by `run`; a folder that has a version keeps it.

        A tag of the version is its folder. So is its source where MLflow's files are on this machine, and by the
        version's name it can be loaded. A server takes no folder outside its own for a source: there it is the run,
        which holds no files.
        """
        client = self.client()
        local = urlsplit(self.uri).scheme in _LOCAL
        source = folder if local else f"runs:/{run.run_id}"
        with self._one_at_a_time():
            known = self.version_of(name, folder)
            if known is not None:
                return known
            with _unless_it_exists():
                client.create_registered_model(name)
            made = client.create_model_version(
                name, source, run_id=run.run_id, run_link=run.url, tags={_FOLDER_TAG: folder}
            )
        return _registered(made)

    def holder(self, name: str, alias: str) -> RegisteredVersion | None:
        """Return the version that has `alias`, None where none has it or there is no such model."""
        client = self.client()
        models = client.search_registered_models(f"name = '{name}'")  # a search of versions tells no aliases
        number = models[0].aliases.get(alias) if models else None
        return _registered(client.get_model_version(name, str(number))) if number is not None else None

    def set_alias(self, name: str, alias: str, version: RegisteredVersion) -> None:
        """Give `alias` to a version. A version that had it keeps existing without it."""
        self.client().set_registered_model_alias(name, alias, version.number)

    def take_alias(
        self,
        name: str,
        alias: str,
        version: RegisteredVersion,
        objections: Callable[[RegisteredVersion], list[str]],
    ) -> list[str]:
        """Give `alias` to a version unless there are objections to its taking it from the one that has it.

        With a SQLite file two runs that ask at once are answered one after the other. MLflow has no lock for those that
        ask a server: the caller sees to it that they do not.

        Args:
            name: the registered model.
            alias: what is asked for.
            version: who asks for it.
            objections: is given the present holder, if that is another version.

        Returns:
            The objections; empty where the version has the alias now.
        """
        with self._one_at_a_time():
            present = self.holder(name, alias)
            if present is None or present.number != version.number:
                if present is not None and (found := objections(present)):
                    return found
                self.set_alias(name, alias, version)
        return []


def _make_sqlite_file(path: Path) -> None:
    """Have MLflow make an empty store."""
    from mlflow import MlflowClient

    MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)


@contextlib.contextmanager
def _ended(run: TrackedRun) -> Iterator[TrackedRun]:
    """Give a run that was started, and end it as the block ends."""
    try:
        yield run
    except BaseException:
        run.end("FAILED")
        raise
    run.end("FINISHED")


@contextlib.contextmanager
def _unless_it_exists() -> Iterator[None]:
    """Let the block create something; that another run was first is as good."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _registered(version: Any) -> RegisteredVersion:
    """Return what there is to know of a version of MLflow's; one that has no tag was registered with its folder."""
    folder = version.tags.get(_FOLDER_TAG, version.source)
    return RegisteredVersion(number=str(version.version), folder=folder, run_url=version.run_link or "")
