"""MLflow: one run a materialization of an expensive stage, linked both ways.

Plain mlflow behind a Dagster resource. The default is a SQLite file in the store, an own server comes by
`MLFLOW_TRACKING_URI`. Each run carries the Dagster run id, the partition and the data version as tags.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import ConfigurableResource
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

# Where `make dev` starts the MLflow UI for the SQLite file.
LOCAL_UI = "http://127.0.0.1:5000"


def default_tracking_uri() -> str:
    """Return `MLFLOW_TRACKING_URI`, else a SQLite file in the store's folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('data') / 'out' / 'mlflow.db'}"


class TrackedRun:
    """An open MLflow run."""

    def __init__(self, run_id: str, url: str) -> None:
        self.run_id = run_id
        self.url = url

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log figures, at a training step if given."""
        import mlflow

        mlflow.log_metrics(dict(metrics), step=step)


class RegisteredVersion(BaseModel):
    """A version of a registered model, and the run that registered it."""

    model_config = ConfigDict(frozen=True)

    number: str
    run_url: str


class Tracking(ConfigurableResource):
    """Opens MLflow runs."""

    uri: str = Field(default_factory=default_tracking_uri, description="An MLflow tracking URI.")

    @contextlib.contextmanager
    def run(
        self, stage: str, partition: str, tags: Mapping[str, str], parameters: Mapping[str, Any]
    ) -> Iterator[TrackedRun]:
        """Open a run named after stage and partition in the experiment of that partition.

        It ends as FINISHED or, if the block raises, as FAILED.
        """
        import mlflow

        mlflow.set_tracking_uri(self.uri)
        with self._one_at_a_time():
            experiment = self._experiment(partition)
        with mlflow.start_run(experiment_id=experiment, run_name=f"{stage}/{partition}", tags=dict(tags)) as run:
            mlflow.log_params({key: str(value)[:500] for key, value in parameters.items()})
            base = self.uri.rstrip("/") if self.uri.startswith("http") else LOCAL_UI
            yield TrackedRun(run.info.run_id, f"{base}/#/experiments/{experiment}/runs/{run.info.run_id}")

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Let one process at a time look into a SQLite file and create what is missing; a server sees to it itself."""
        if not self.uri.startswith("sqlite:///"):
            yield
            return
        path = Path(self.uri.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            yield

    def _experiment(self, name: str) -> str:
        import mlflow

        if self.uri.startswith("sqlite:///"):
            path = Path(self.uri.removeprefix("sqlite:///"))
            artifacts = (path.parent / "mlflow-artifacts").resolve().as_uri()
        else:
            artifacts = None
        found = mlflow.get_experiment_by_name(name)
        return found.experiment_id if found else mlflow.create_experiment(name, artifact_location=artifacts)

    def version_of(self, name: str, source: str) -> RegisteredVersion | None:
        """Return the version under which a model folder is registered, None where it is not."""
        from mlflow import MlflowClient

        found = [v for v in MlflowClient(self.uri).search_model_versions(f"name = '{name}'") if v.source == source]
        if not found:
            return None
        newest = max(found, key=lambda version: int(version.version))
        return RegisteredVersion(number=str(newest.version), run_url=newest.run_link or "")

    def register(self, name: str, source: str, run: TrackedRun) -> RegisteredVersion:
        """Register a model folder as a new version made by `run`; a folder that has a version keeps it."""
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        client = MlflowClient(self.uri)
        with self._one_at_a_time():
            known = self.version_of(name, source)
            if known is not None:
                return known
            try:
                client.get_registered_model(name)
            except MlflowException:
                client.create_registered_model(name)
            made = client.create_model_version(name, source=source, run_id=run.run_id, run_link=run.url)
        return RegisteredVersion(number=str(made.version), run_url=run.url)

    def set_alias(self, name: str, alias: str, version: RegisteredVersion) -> None:
        """Give `alias` to a version. A version that had it keeps existing without it."""
        from mlflow import MlflowClient

        MlflowClient(self.uri).set_registered_model_alias(name, alias, version.number)
