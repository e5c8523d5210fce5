"""`release`: the gate, the package, the registry."""

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import polars as pl

from cs_assets.evaluation.gate import gate
from cs_assets.evaluation.reporting import Report
from cs_assets.model_assets import code_version, common_metadata, run_tags, settings_of
from cs_assets.partitions import scenario_partitions
from cs_assets.release.packaging import Release, ReleaseSettings, merge, model_card, pack
from cs_assets.scenario import load_scenario
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, fingerprint
from resources.tracking import Tracking


class ReleaseConfig(dg.Config, ReleaseSettings):
    """What a release holds."""


@dg.asset(
    group_name="release",
    partitions_def=scenario_partitions,
    kinds={"mlflow", "huggingface"},
    owners=["team:cs-assets"],
    code_version="1",
    io_manager_key="record_io_manager",
)
def release(
    context: dg.AssetExecutionContext,
    config: ReleaseConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    evaluation_report: Report,
    lora_adapter: ModelFolder,
    training_splits: pl.DataFrame,
) -> dg.MaterializeResult[Release]:
    """发布: if the gate opens, adapter, model card and registry version with the alias `champion`."""
    reasons = gate(evaluation_report, config.minimum_exact)
    if reasons:
        context.log.warning("the gate is closed: %s", "; ".join(reasons))
        return dg.MaterializeResult(
            value=Release(passed=False, reasons=reasons), metadata={"passed": False, "reasons": reasons}
        )
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
        with tracking.run("release", context.partition_key, run_tags(context, key), config.model_dump()) as run:
            source = store.location("models", "release", context.partition_key, key[:16])
            version = tracking.register(scenario.name, str(source.absolute()), run.run_id, alias="champion")
            (folder / "registry.txt").write_text(f"{version}\n{run.url}", encoding="utf-8")
        return {}

    packed, hit = store.cached_model("release", context.partition_key, key, base.name, make)
    folder = Path(store.path_of(packed))
    version, url = (folder / "registry.txt").read_text(encoding="utf-8").split("\n")
    made = Release(
        passed=True, reasons=[], folder=packed.path, registered_model=scenario.name, version=version, champion=True
    )
    return dg.MaterializeResult(
        value=made,
        data_version=dg.DataVersion(key),
        metadata={
            **common_metadata(hit, key),
            "passed": True,
            "registered_model": f"{scenario.name} version {version} (champion)",
            "folder": dg.MetadataValue.path(str(folder)),
            "model_card": dg.MetadataValue.md((folder / "README.md").read_text(encoding="utf-8")),
            "mlflow_run": dg.MetadataValue.url(url),
        },
    )
