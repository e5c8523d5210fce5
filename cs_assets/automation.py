"""Jobs and sensors. No business logic: what they request is materialized by the assets."""

import hashlib
import json

import dagster as dg

from cs_assets.partitions import scenario_partitions
from cs_assets.scenario import scenario_names, scenarios_folder

chain_job = dg.define_asset_job(
    "chain",
    # Without what is over all scenarios, and without the search, which costs many trainings and is asked for by itself.
    selection=dg.AssetSelection.all()
    - dg.AssetSelection.assets("leaderboard", "joint_adapter", "joint_comparison", "lora_sweep"),
    partitions_def=scenario_partitions,
    description="The whole chain of a scenario, from atoms to release.",
)
twin_job = dg.define_asset_job(
    "twin",
    selection=dg.AssetSelection.assets("labelled_samples").upstream(),
    partitions_def=scenario_partitions,
    description="The data only: atoms, templates, samples, labels. Minutes, no GPU.",
)


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
    description="Makes a partition of every new scenario folder. It starts no run.",
)
def scenario_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Register folders that the instance does not know yet; a partition whose folder is gone stays."""
    requests = _new_partitions(context)
    if not requests:
        return dg.SkipReason("no new scenario folder")
    return dg.SensorResult(dynamic_partitions_requests=requests)


def _new_partitions(context: dg.SensorEvaluationContext) -> list:
    known = set(context.instance.get_dynamic_partitions(scenario_partitions.name or ""))
    new = [name for name in scenario_names() if name not in known]
    return [scenario_partitions.build_add_request(new)] if new else []


def _content_hash(name: str) -> str:
    """Hash what the twin of a scenario is made from: every file of its folder, by path and content."""
    folder = scenarios_folder() / name
    digest = hashlib.sha256()
    # What an editor leaves behind (.#01.j2, 01.j2~) is no part of the scenario.
    files = (path for path in folder.rglob("*") if path.is_file())
    for path in sorted(path for path in files if not path.name.startswith(".") and not path.name.endswith("~")):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
