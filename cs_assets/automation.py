"""Jobs, schedules and sensors: what asks for assets, and when.

No business logic: what they request is materialized by the assets. Which cheap assets Dagster may make by itself stands
at the assets (`automation_condition`); the sensor that looks for them stands here.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import SCENARIO_NAME, misnamed_folders, scenario_names, scenarios_folder
from resources.store import Store
from resources.webhook import Webhook


def _job(name: str, selection: dg.AssetSelection, description: str) -> UnresolvedAssetJobDefinition:
    """Return a job of one scenario at a time; a backfill runs it for many."""
    return dg.define_asset_job(name, selection=selection, partitions_def=scenario_partitions, description=description)


# What is over all scenarios, and the search, which costs many trainings: asked for by themselves.
_APART = dg.AssetSelection.assets("leaderboard", "joint_adapter", "joint_comparison", "lora_sweep")

chain_job = _job(
    "chain", dg.AssetSelection.all() - _APART, "The whole chain of a scenario, from the atoms to the release."
)
twin_job = _job(
    "twin",
    dg.AssetSelection.assets("labelled_samples").upstream(),
    "The data only: atoms, templates, samples, labels. Minutes, no GPU.",
)
train_job = _job(
    "train",
    dg.AssetSelection.assets("lora_adapter", "reward_model", "aligned_adapter").upstream(),
    "Adapter, reward model and aligned adapter, with all that they need. What is made and unchanged is taken as it is.",
)
evaluate_job = _job(
    "evaluate",
    dg.AssetSelection.assets("predictions", "retention", "evaluation_report"),
    "Asks the models that are there what they were not asked yet, and writes the report.",
)
# Dagster lets no job bear the name of an asset.
release_job = _job(
    "release_model",
    dg.AssetSelection.assets("release"),
    "Puts the model of the report through the gate, and releases it.",
)


class RemovedScenario(dg.Config):
    """Which scenario's data go."""

    scenario: str = Field(description="Name of a scenario whose folder is gone.")


@dg.op(description="Removes a scenario's partition and all that was made for it; the verdicts of people stay.")
def forget_scenario(context: dg.OpExecutionContext, config: RemovedScenario, store: Store) -> None:
    """Remove what a scenario left, once its folder is gone.

    Raises:
        Failure: the folder is still there, or nobody knows such a scenario.
    """
    name, partitions = config.scenario, scenario_partitions.name or ""
    if name in scenario_names():
        raise dg.Failure(f"{scenarios_folder() / name} is still there: remove the folder first, or nothing is.")
    if not context.instance.has_dynamic_partition(partitions, name):
        gone = ", ".join(_gone(context.instance)) or "none"
        raise dg.Failure(f"no scenario {name!r}; those whose folder is gone: {gone}.")
    # Of what can be no scenario nothing was ever made, and its name may lead anywhere.
    removed = store.remove_partition(name) if SCENARIO_NAME.fullmatch(name) else []
    context.instance.delete_dynamic_partition(partitions, name)
    context.log.info(f"{name}: the partition is removed, and {len(removed)} files and folders: {', '.join(removed)}")


@dg.job(description="Removes the data of a scenario whose folder is gone. Asks for its name; cannot be undone.")
def remove_scenario() -> None:
    """Remove a scenario for good."""
    forget_scenario()


@dg.sensor(
    job=twin_job,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Requests the data stages of a scenario when one of its templates is new, changed or gone.",
)
def template_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Compare the templates of every scenario with what the cursor remembers.

    The cursor holds, per scenario, the content hash and how often it changed. The count goes into the run key, since
    Dagster remembers run keys for ever and would drop a template that is put back to its old text.
    """
    before: dict[str, dict] = json.loads(context.cursor) if context.cursor else {}
    now: dict[str, dict] = {}
    requests = []
    for name in scenario_names():
        content = _content_hash(name)
        known = before.get(name)
        changes = known["changes"] if known else 0
        if known is None or known["content"] != content:
            changes += 1
            requests.append(dg.RunRequest(run_key=f"{name}:{content[:12]}:{changes}", partition_key=name))
        now[name] = {"content": content, "changes": changes}
    # A scenario whose folder is gone keeps its count, so that its return is a change as well.
    gone = {name: {**known, "content": ""} for name, known in before.items() if name not in now}
    return dg.SensorResult(
        run_requests=requests,
        cursor=json.dumps(now | gone, sort_keys=True),
        dynamic_partitions_requests=_new_partitions(context),
    )


@dg.sensor(
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Makes a partition of every new scenario folder, and tells whose folder is gone. It starts no run.",
)
def scenario_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Register folders that the instance does not know yet; a partition whose folder is gone stays, with its data."""
    requests = _new_partitions(context)
    if requests:
        return dg.SensorResult(dynamic_partitions_requests=requests)
    told = "no new scenario folder"
    if misnamed := misnamed_folders():
        told += f"; cannot be scenarios by their names: {misnamed}. Letters, digits, _ and - make a name, 64 at most."
    if gone := _gone(context.instance):
        told += f"; gone: {', '.join(gone)}. What was made for them is kept; the job remove_scenario removes it."
    return dg.SkipReason(told)


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Writes a failed run into the log, and to CS_FAILURE_WEBHOOK if that is set.",
)
def run_failure(context: dg.RunFailureSensorContext, failure_webhook: Webhook) -> None:
    """Tell that a run failed: which, of which scenario, at which step, and why."""
    steps = {event.step_key: event for event in context.get_step_failure_events() if event.step_key}
    reasons = [f"{key}: {reason_of(event)}" for key, event in steps.items()] or [context.failure_event.message or ""]
    scenario = context.dagster_run.tags.get("dagster/partition", "all")
    text = f"{context.dagster_run.job_name} of {scenario} failed (run {context.dagster_run.run_id[:8]}). " + "; ".join(
        reasons
    )
    context.log.error(text)
    failure_webhook.post(
        {
            "text": text,
            "job": context.dagster_run.job_name,
            "scenario": scenario,
            "run_id": context.dagster_run.run_id,
            "steps": sorted(steps),
        }
    )


def reason_of(event: dg.DagsterEvent) -> str:
    """Return the error that a failed step raised, its first line; Dagster's own errors around it tell nothing."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None and (error.cls_name or "").startswith("Dagster"):
        error = error.cause
    message = error.message if error is not None else event.message or ""
    return message.strip().split("\n")[0]


@dg.schedule(
    job=evaluate_job,
    cron_schedule="0 3 * * 1",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Mondays at three (UTC): for every scenario that has an adapter, all models are asked anew.",
)
def weekly_evaluation(context: dg.ScheduleEvaluationContext) -> Sequence[dg.RunRequest] | dg.SkipReason:
    """Request the evaluation of each scenario that is there and has an adapter."""
    trained = context.instance.get_materialized_partitions(dg.AssetKey("lora_adapter"))
    names = [name for name in scenario_names() if name in trained]
    if not names:
        return dg.SkipReason("no scenario has an adapter yet")
    week = context.scheduled_execution_time.strftime("%G-W%V")
    anew = {"ops": {name: {"config": {"again": week}} for name in ("predictions", "retention")}}
    return [dg.RunRequest(run_key=f"{name}:{week}", partition_key=name, run_config=anew) for name in names]


cheap_stages = dg.AutomationConditionSensorDefinition(
    "cheap_stages",
    target=dg.AssetSelection.assets("labelled_samples").upstream() | dg.AssetSelection.assets("leaderboard"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Switched on, it makes the data stages where they are missing or older than what they are made of.",
)


def _gone(instance: dg.DagsterInstance) -> list[str]:
    """Return the registered scenarios that have no folder, sorted."""
    return sorted(set(instance.get_dynamic_partitions(scenario_partitions.name or "")) - set(scenario_names()))


def _new_partitions(context: dg.SensorEvaluationContext) -> list:
    known = set(context.instance.get_dynamic_partitions(scenario_partitions.name or ""))
    new = [name for name in scenario_names() if name not in known]
    return [scenario_partitions.build_add_request(new)] if new else []


def _content_hash(name: str) -> str:
    """Hash what the twin of a scenario is made from: every file of its folder, by path and content."""
    folder = scenarios_folder() / name
    digest = hashlib.sha256()
    for path in _files(folder):
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
        except FileNotFoundError:  # gone since
            continue
        except OSError as error:  # not for us to read: no reason to leave the other scenarios alone
            content = f"errno {error.errno}".encode()
        digest.update(os.fsencode(path.relative_to(folder)) + b"\0" + content + b"\0")
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder, sorted, but for what an editor leaves behind (.#01.j2, 01.j2~)."""
    # Not `rglob`, which ends with an error where a folder vanishes that it has just seen.
    found = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.is_file() and path.name[0] != "." and path.name[-1] != "~")


JOBS: Final[list[dg.JobDefinition | UnresolvedAssetJobDefinition]] = [
    chain_job,
    twin_job,
    train_job,
    evaluate_job,
    release_job,
    remove_scenario,
]
SCHEDULES: Final = [weekly_evaluation]
SENSORS: Final = [template_sensor, scenario_sensor, run_failure, cheap_stages]
