"""What every asset that trains a model does around the training: fingerprint, cache, MLflow run, metadata.

Dagster is known here and in each stage's assets.py; the trainings themselves stand in `cs_assets.learning`.
"""

import resource
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from pydantic import BaseModel

from cs_assets import plots
from cs_assets.learning.fit import fit_of
from cs_assets.learning.progress import Progress, Report
from cs_assets.learning.sft import FineTuningSettings
from cs_assets.learning.training import LoopSettings, TrainingLog
from resources.base_model import BaseModelFolder
from resources.files import write_whole
from resources.store import ModelFolder, Store, fingerprint
from resources.tracking import TrackedRun, Tracking

_RUN_FILE = "mlflow_run.txt"
Train = Callable[[Path, Path, Report], Mapping[str, float]]
Fill = Callable[[Path, Path, TrackedRun], Mapping[str, float]]


def code_version(context: dg.AssetExecutionContext) -> str:
    """Return the code version declared at the asset; it is part of every fingerprint."""
    return context.assets_def.code_versions_by_key[context.asset_key] or "0"


def peak_memory_mb() -> float:
    """Return the peak resident memory in MB of this process, which is the step's own, or of the largest it started."""
    of = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return round(max(resource.getrusage(who).ru_maxrss for who in of) / 1024, 1)


def common_metadata(hit: bool, key: str) -> dict[str, Any]:
    """Return what every expensive stage tells: cache, fingerprint, memory."""
    return {"cache": "hit" if hit else "miss", "fingerprint": key[:16], "peak_rss_mb": peak_memory_mb()}


def partition_of(context: dg.AssetExecutionContext) -> str:
    """Return the scenario, `all` for an asset over all of them, also where it is made in a scenario's run."""
    return context.partition_key if context.assets_def.partitions_def else "all"


def run_tags(context: dg.AssetExecutionContext, key: str) -> dict[str, str]:
    """Return the tags that tie an MLflow run to Dagster."""
    return {
        "dagster.run_id": context.run_id,
        "dagster.partition": partition_of(context),
        "dagster.asset": context.asset_key.to_user_string(),
        "dagster.data_version": key,
    }


def trained_model(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    base: BaseModelFolder,
    settings: LoopSettings,
    inputs: Mapping[str, Any],
    train: Train,
) -> dg.MaterializeResult:
    """Return the model kept under the fingerprint of `inputs`, base, settings and code, training it if there is none.

    Its metadata tell what the training log says.

    Args:
        context, store, tracking: of the asset.
        base: the base model, whose identity counts.
        settings: numbers of the training; logged as MLflow parameters.
        inputs: everything else that the model depends on.
        train: is given the folder to fill, a work folder for checkpoints and a progress reporter; returns metrics.
    """
    key = fingerprint(code=code_version(context), base=base.identity, settings=settings, **inputs)

    def make(folder: Path, work: Path, run: TrackedRun) -> Mapping[str, float]:
        return train(folder, work, progress_reporter(context, run))

    model, hit, url = tracked_folder(context, store, tracking, base, settings, key, make, data=fingerprint(**inputs))
    path = Path(store.path_of(model))
    log = TrainingLog.load(path)
    metadata: dict[str, Any] = {
        # The others measure no validation loss, whatever samples there are.
        **({"fit": str(fit_of(log))} if isinstance(settings, FineTuningSettings) else {}),
        "loss_curve": dg.MetadataValue.md(plots.markdown_image(loss_curve(log), "loss curve")),
        "mlflow_run": dg.MetadataValue.url(url),
        "base_model": f"{base.name} ({base.licence})",
        "samples": log.samples,
        "training_seconds": round(log.seconds, 1),
        "resumed_at_step": log.resumed_at,
        "computed_in": log.precision,  # `precision` is a figure of the judge
        "ranks": log.ranks,
        **{name: round(value, 4) for name, value in model.metrics.items()},
        "model_folder": dg.MetadataValue.path(str(path)),
        **common_metadata(hit, key),
    }
    return dg.MaterializeResult(value=model, metadata=metadata, data_version=dg.DataVersion(key))


def tracked_folder(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    base: BaseModelFolder,
    settings: BaseModel,
    key: str,
    make: Fill,
    data: str = "",
) -> tuple[ModelFolder, bool, str]:
    """Return the folder kept under `key`, filling it within an MLflow run if there is none.

    Args:
        context, store, tracking: of the asset.
        base: the base model that is trained on.
        settings: logged as MLflow parameters.
        key: fingerprint of everything the folder depends on.
        make: is given the folder to fill, a work folder that survives a kill, and the run; returns metrics.
        data: fingerprint of what is learnt from; kept with the folder.

    Returns:
        The folder, whether it was there, and the URL of the run that filled it.
    """
    stage, partition = context.asset_key.to_user_string(), partition_of(context)

    def make_tracked(folder: Path, work: Path) -> Mapping[str, float]:
        context.log.info(f"nothing is kept under {key[:16]}: training on {base.name}, which is loaded first")
        with tracking.run(stage, partition, run_tags(context, key), settings.model_dump()) as run:
            metrics = dict(make(folder, work, run))
            run.log_metrics(metrics)
            (folder / _RUN_FILE).write_text(run.url, encoding="utf-8")
        return metrics

    kept, hit = store.cached_model(
        stage, partition, key, base.name, make_tracked, base_identity=base.identity, data=data
    )
    return kept, hit, (Path(store.path_of(kept)) / _RUN_FILE).read_text(encoding="utf-8")


def run_url(folder: Path) -> str:
    """Return the URL of the MLflow run that filled a model folder, empty where none is told."""
    path = folder / _RUN_FILE
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def tracked_table(
    context: dg.AssetExecutionContext,
    store: Store,
    tracking: Tracking,
    key: str,
    make: Callable[[], pl.DataFrame],
    kept_as: str = "",
) -> tuple[pl.DataFrame, bool, str]:
    """Return the table kept under `key`, making it within an MLflow run if there is none.

    Args:
        context, store, tracking: of the asset.
        key: fingerprint of everything the table depends on.
        make: returns it.
        kept_as: the asset with which this one shares its tables; empty: with none.

    Returns:
        The table, whether it was there, and the URL of the run that made it.
    """
    stage, partition = context.asset_key.to_user_string(), partition_of(context)

    def make_tracked() -> tuple[pl.DataFrame, str]:
        context.log.info(f"nothing is kept under {key[:16]}: computing it")
        with tracking.run(stage, partition, run_tags(context, key), {}) as run:
            table = make()
            run.log_metrics({"rows": table.height})
        return table, run.url

    return store.cached_table(kept_as or stage, key, make_tracked)


def asked_models(
    made: Mapping[str, tuple[pl.DataFrame, bool, str]], adapters: Mapping[Any, ModelFolder | None]
) -> tuple[pl.DataFrame, str, dict[str, Any]]:
    """Return the tables of several models as one, its fingerprint, and the metadata with a link to each one's run.

    Args:
        made: what `tracked_table` returned for each model.
        adapters: that of each model that has one; the column `adapter` tells its fingerprint, empty for a base.
    """
    told = {model: adapter.fingerprint for model, adapter in adapters.items() if adapter}
    table = pl.concat(
        [frame.with_columns(adapter=pl.lit(told.get(model, ""))) for model, (frame, _, _) in made.items()]
    )
    key = fingerprint(table=table)
    links = {f"mlflow_run_{model}": dg.MetadataValue.url(url) for model, (_, _, url) in made.items()}
    return table, key, {**links, **common_metadata(all(hit for _, hit, _ in made.values()), key)}


def tracked_figures(
    context: dg.AssetExecutionContext, store: Store, tracking: Tracking, key: str, figures: Mapping[str, float]
) -> dict[str, dg.MetadataValue]:
    """Log the figures of a cheap stage to MLflow once for each data version; its link and the memory, as metadata."""
    stage, partition = context.asset_key.to_user_string(), partition_of(context)
    note = store.location("cache", "mlflow_runs", stage, partition, f"{key[:16]}.txt")
    if not note.exists():
        with tracking.run(stage, partition, run_tags(context, key), {}) as run:
            run.log_metrics(figures)
            write_whole(note, lambda beside: beside.write_text(run.url, encoding="utf-8"))
    return {
        "mlflow_run": dg.MetadataValue.url(note.read_text(encoding="utf-8")),
        "peak_rss_mb": dg.MetadataValue.float(peak_memory_mb()),
    }


def progress_reporter(context: dg.AssetExecutionContext, run: TrackedRun) -> Report:
    """Return a reporter that writes to the run's log in the UI and to MLflow."""

    def report(progress: Progress) -> None:
        context.log.info(str(progress))
        told = {"loss": progress.loss, "tokens_per_second": progress.tokens_per_second}
        of = f"{progress.training}_" if progress.training else ""
        run.log_metrics({f"{of}{name}": value for name, value in told.items()}, step=progress.step)

    return report


def batch_reporter(context: dg.AssetExecutionContext, what: str) -> Callable[[int, int], None]:
    """Return a reporter for inference: how many cases are done."""

    def report(done: int, total: int) -> None:
        context.log.info(f"{what}: {done}/{total}")

    return report


def loss_curve(log: TrainingLog) -> str:
    """Return the plot of the losses as a data URI."""
    train = [(p.step, p.loss) for p in log.curve if p.loss is not None]
    validation = [(p.step, p.validation) for p in log.curve if p.validation is not None]
    return plots.loss_curve(train, validation)


def settings_of(config: BaseModel, model: type[BaseModel]) -> Any:
    """Return the part of a Launchpad config that a plain function takes, as the plain settings it knows."""
    return model.model_validate(config.model_dump(include=set(model.model_fields)))
