"""`release`: the gate, the package, the registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import dagster as dg
import polars as pl

from cs_assets.evaluation.gate import gate
from cs_assets.evaluation.reporting import EvaluationReport
from cs_assets.model_assets import code_version, common_metadata, run_tags, settings_of
from cs_assets.partitions import scenario_partitions
from cs_assets.release.packaging import Release, ReleaseSettings, merge, model_card, pack
from cs_assets.scenario import load_scenario
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, fingerprint
from resources.tracking import Tracking

_ALIAS: Final = "champion"


class ReleaseConfig(dg.Config, ReleaseSettings):
    """What a release holds."""


@dg.asset(
    group_name="release",
    partitions_def=scenario_partitions,
    kinds={"mlflow", "huggingface"},
    owners=["team:cs-assets"],
    code_version="2",
    io_manager_key="record_io_manager",
)
def release(
    context: dg.AssetExecutionContext,
    config: ReleaseConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    evaluation_report: EvaluationReport,
    lora_adapter: ModelFolder,
    training_splits: pl.DataFrame,
) -> dg.MaterializeResult[Release]:
    """发布: if the gate opens, adapter, model card and registry version with the alias `champion`."""
    reasons = gate(evaluation_report, config.minimum_exact)
    if reasons:
        context.log.warning("the gate is closed: %s", "; ".join(reasons))
        closed = Release(passed=False, reasons=reasons)
        return dg.MaterializeResult(value=closed, metadata=_decision(closed))
    scenario = load_scenario(context.partition_key)
    base = base_models.resolve(lora_adapter.base, context.log.info)
    key = fingerprint(
        code=code_version(context),
        adapter=lora_adapter.fingerprint,
        report=evaluation_report,
        settings=settings_of(config, ReleaseSettings),
    )
    samples = training_splits.filter(pl.col("split") == "train").height

    def make(folder: Path, work: Path) -> Mapping[str, float]:
        pack(
            store.path_of(lora_adapter),
            model_card(evaluation_report, scenario.spec.title, base.name, base.licence, samples),
            folder,
        )
        if config.merge:
            merge(base.path, store.path_of(lora_adapter), folder / "merged")
        return {}

    packed, hit = store.cached_model("release", context.partition_key, key, base.name, make)
    folder = Path(store.path_of(packed))
    # Only now, so that no version points at a folder that a kill left unfinished. The registry itself is asked for the
    # version, so that a run after a kill does not register twice. The alias is set at every run: another release may
    # have had it since.
    version = tracking.version_of(scenario.name, str(folder.absolute()))
    if version is None:
        with tracking.run("release", context.partition_key, run_tags(context, key), config.model_dump()) as run:
            version = tracking.register(scenario.name, str(folder.absolute()), run)
    tracking.set_alias(scenario.name, _ALIAS, version)
    made = Release(
        passed=True,
        reasons=[],
        folder=packed.path,
        registered_model=scenario.name,
        version=version.number,
        champion=True,
    )
    return dg.MaterializeResult(
        value=made,
        data_version=dg.DataVersion(key),
        metadata={
            **common_metadata(hit, key),
            **_decision(made),
            "folder": dg.MetadataValue.path(str(folder)),
            "model_card": dg.MetadataValue.md((folder / "README.md").read_text(encoding="utf-8")),
            "mlflow_run": dg.MetadataValue.url(version.run_url),
        },
    )


def _decision(made: Release) -> dict[str, Any]:
    """Return what was decided as metadata, the same keys whether the gate is open or closed."""
    released = f"{made.registered_model} version {made.version} is {_ALIAS}"
    return {
        "outcome": released if made.passed else "gate closed",
        "passed": made.passed,
        "reasons": "; ".join(made.reasons) or "none",
        "registered_model": made.registered_model or "none",
        "version": made.version or "none",
        "champion": made.champion,
    }
