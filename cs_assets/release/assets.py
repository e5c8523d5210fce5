"""`release`: the gate, the package, the registry."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
from upath import UPath

from cs_assets.evaluation.gate import gate
from cs_assets.evaluation.reporting import EvaluationReport
from cs_assets.families.base import Family
from cs_assets.learning.models import trained_form
from cs_assets.model_assets import code_version, common_metadata, run_tags, run_url
from cs_assets.partitions import scenario_partitions
from cs_assets.release.champion import ALIAS, cases_of, folder_of, objections
from cs_assets.release.evidence import mismatches
from cs_assets.release.model_card import Origin, model_card
from cs_assets.release.packaging import (
    CARD,
    Package,
    Release,
    ReleaseSettings,
    base_identity_of,
    write_card,
    write_vllm_script,
)
from cs_assets.scenario import load_scenario, scenario_names
from resources.base_model import BaseModelFolder, BaseModels, hub_repository, is_quantised_copy
from resources.store import ModelFolder, Store, fingerprint
from resources.tracking import Tracking


class ReleaseConfig(dg.Config, ReleaseSettings):
    """What a release must reach, and holds."""


@dg.asset(
    group_name="release",
    partitions_def=scenario_partitions,
    kinds={"mlflow", "huggingface"},
    owners=["team:cs-assets"],
    code_version="5",
    io_manager_key="record_io_manager",
)
def release(
    context: dg.AssetExecutionContext,
    config: ReleaseConfig,
    store: Store,
    tracking: Tracking,
    base_models: BaseModels,
    evaluation_report: EvaluationReport,
    predictions: pl.DataFrame,
    lora_adapter: ModelFolder,
    training_splits: Path,
    filtered_samples: pl.DataFrame,
    atomic_table: pl.DataFrame,
) -> dg.MaterializeResult[Release]:
    """发布: if the gate opens, a folder to serve and a registry version; `champion` if it is no worse than that one."""
    scenario = load_scenario(context.partition_key)
    base, splits = base_models.resolve(lora_adapter.base, context.log.info), pl.read_parquet(training_splits)
    if not (lora_adapter.base_identity and lora_adapter.data):
        context.log.warning("the adapter was trained before its base and data were kept with it: these go unchecked")
    reasons = [
        *mismatches(scenario, lora_adapter, base, evaluation_report, predictions, training_splits),
        *gate(
            evaluation_report,
            adapter=lora_adapter.fingerprint,
            splits=splits,
            filtered=filtered_samples,
            minimum=config.minimum,
        ),
    ]
    if reasons:
        context.log.warning("the gate is closed: %s", "; ".join(reasons))
        closed = Release(passed=False, reasons=reasons)
        return dg.MaterializeResult(value=closed, metadata=_decision(closed))
    trained = Path(store.path_of(lora_adapter))
    origin = _origin(base, trained, config.merge, tracking)
    card = model_card(scenario, evaluation_report, origin, splits, atomic_table)
    package = Package(scenario.spec.system, trained, base.path, origin, cases_of(predictions))
    # Not the card: a figure measured again, or what MLflow tells of the training today, makes no other model.
    key = fingerprint(
        code=code_version(context), adapter=lora_adapter.fingerprint, cases=package.cases, merge=config.merge
    )

    def make(folder: Path, work: Path) -> Mapping[str, float]:
        package.fill(folder)
        return {}

    packed, hit = store.cached_model("release", scenario.name, key, base.name, make, base_identity=base.identity)
    folder = store.location(packed.path).absolute()
    write_card(folder, card)
    # One release at a time asks who is champion and writes down what follows; a tracking server has no lock for that.
    with store.lock("release"):
        write_vllm_script(scenario.name, folder, base.path, _champions(tracking, base, folder))
        made, url = _registered(context, tracking, packed, folder, package.cases, scenario.family)
        _serve_together(tracking, base, folder)
    metadata = {**_decision(made), **_shown(folder, url), **common_metadata(hit, key)}
    return dg.MaterializeResult(value=made, data_version=dg.DataVersion(key), metadata=metadata)


def _origin(base: BaseModelFolder, trained: Path, merge: bool, tracking: Tracking) -> Origin:
    """Return where the model comes from, in names that say something elsewhere."""
    repository = hub_repository(base.name)
    form = trained_form(trained)
    return Origin(
        base=repository or Path(base.name).name,
        on_hub=bool(repository),
        quantised=is_quantised_copy(base.name),
        licence=base.licence,
        form=form,
        # A model whose every weight was trained is one already; a prefix cannot be merged.
        merged=form == "full" or (form == "lora" and merge),
        training=tracking.parameters_of(run_url(trained)),
    )


def _registered(
    context: dg.AssetExecutionContext,
    tracking: Tracking,
    packed: ModelFolder,
    folder: UPath,
    cases: pl.DataFrame,
    family: Family,
) -> tuple[Release, str]:
    """Return the registry's version of a released folder, champion where it may be, and the URL of its run.

    It is registered once the folder is whole, so that no version points at one that a kill left unfinished. The
    registry itself is asked for it, so that a run after a kill does not register twice.
    """
    name = context.partition_key
    version = tracking.version_of(name, str(folder))
    if version is None:
        with tracking.run("release", name, run_tags(context, packed.fingerprint), {}) as run:
            version = tracking.register(name, str(folder), run)
    objected = tracking.take_alias(name, ALIAS, version, lambda present: objections(cases, present, family))
    if objected:
        context.log.warning("version %s does not become %s: %s", version.number, ALIAS, "; ".join(objected))
    made = Release(
        passed=True,
        reasons=objected,
        folder=packed.path,
        registered_model=name,
        version=version.number,
        champion=not objected,
    )
    return made, version.run_url


def _champions(tracking: Tracking, base: BaseModelFolder, beside: UPath) -> dict[str, UPath]:
    """Return the folder of each scenario's champion on a base, as far as it is in its place.

    Scripts name each other's folders by relative paths, so one in another bucket than `beside`, or on a disk where that
    is in a bucket, is not among them.
    """
    versions = {name: tracking.holder(name, ALIAS) for name in scenario_names()}
    folders = {name: folder_of(version) for name, version in versions.items() if version}
    near = {name: folder for name, folder in folders.items() if folder and _top_of(folder) == _top_of(beside)}
    return {name: folder for name, folder in near.items() if base_identity_of(folder) == base.identity}


def _top_of(folder: UPath) -> tuple[str, str]:
    """Return the kind of place and, of an object store, the bucket."""
    return folder.protocol, folder.drive


def _serve_together(tracking: Tracking, base: BaseModelFolder, beside: UPath) -> None:
    """Write the vLLM script of each champion on a base anew: it serves the champions of all scenarios."""
    champions = _champions(tracking, base, beside)
    for name, folder in champions.items():
        write_vllm_script(name, folder, base.path, champions)


def _shown(folder: UPath, run: str) -> dict[str, Any]:
    """Return what a person looks at first, as metadata."""
    return {
        "folder": dg.MetadataValue.path(str(folder)),
        "holds": ", ".join(sorted(path.name for path in folder.iterdir())),
        "model_card": dg.MetadataValue.md((folder / CARD).read_text(encoding="utf-8")),
        "mlflow_run": dg.MetadataValue.url(run),
    }


def _decision(made: Release) -> dict[str, Any]:
    """Return what was decided as metadata, the same keys whether the gate is open or closed."""
    released = f"{made.registered_model} version {made.version} is {'' if made.champion else 'not '}{ALIAS}"
    return {
        "outcome": released if made.passed else "gate closed",
        "passed": made.passed,
        "reasons": "; ".join(made.reasons) or "none",
        "registered_model": made.registered_model or "none",
        "version": made.version or "none",
        "champion": made.champion,
    }
