"""Jobs, schedules and sensors: what they request, on a real ephemeral instance."""

import contextlib
import json
import os
import re
import shutil
import threading
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from cs_assets.automation import (
    JOBS,
    SCHEDULES,
    SENSORS,
    remove_scenario,
    run_failure,
    scenario_sensor,
    template_sensor,
    weekly_evaluation,
)
from cs_assets.definitions import build_defs
from cs_assets.scenario import scenario_names
from resources.store import Store
from resources.webhook import Webhook

RUN_CONFIGS = Path(__file__).resolve().parent.parent / "docs" / "examples" / "run_configs"
NAME, OTHER = "address_extraction", "second"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as fresh:
        yield fresh


@pytest.fixture
def two_scenarios(scenarios: Path) -> Path:
    shutil.copytree(scenarios / NAME, scenarios / OTHER)
    return scenarios


class Ticks:
    """Evaluates the template sensor again and again, as the daemon does, which keeps the cursor and adds partitions."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult:
        result = template_sensor(dg.build_sensor_context(instance=self.instance, cursor=self.cursor))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        carry_out(self.instance, result)
        return result

    def requested(self) -> list[str]:
        return [str(request.partition_key) for request in self.tick().run_requests or []]


def carry_out(instance: dg.DagsterInstance, result: dg.SensorResult) -> None:
    for request in result.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))


def registered(instance: dg.DagsterInstance) -> list[str]:
    return sorted(instance.get_dynamic_partitions("scenario"))


def template(scenarios: Path, name: str = "90_new.j2", scenario: str = NAME) -> Path:
    return scenarios / scenario / "templates" / "human" / name


def test_first_look_requests_every_scenario_once(two_scenarios: Path, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance)
    assert ticks.requested() == [NAME, OTHER]
    assert registered(instance) == [NAME, OTHER]


def test_nothing_changed_requests_nothing(two_scenarios: Path, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance)
    ticks.tick()
    second = ticks.tick()
    assert second.run_requests == []
    assert second.dynamic_partitions_requests == []


def test_a_new_template_requests_its_scenario_only(two_scenarios: Path, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance)
    ticks.tick()
    template(two_scenarios).write_text("喂 {{电话}}", encoding="utf-8")
    assert ticks.requested() == [NAME]


@pytest.mark.parametrize("file", ["templates/human/01_comma_separated.j2", "templates/bot.j2", "scenario.yaml"])
def test_a_changed_file_requests_its_scenario_only(
    two_scenarios: Path, instance: dg.DagsterInstance, file: str
) -> None:
    ticks = Ticks(instance)
    ticks.tick()
    path = two_scenarios / OTHER / file
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert ticks.requested() == [OTHER]


def test_a_deleted_or_renamed_template_requests_its_scenario(two_scenarios: Path, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance)
    ticks.tick()
    template(two_scenarios, "01_comma_separated.j2").rename(template(two_scenarios, "00_first.j2"))
    assert ticks.requested() == [NAME]
    template(two_scenarios, "00_first.j2").unlink()
    assert ticks.requested() == [NAME]


def test_a_template_put_back_to_its_old_text_gets_a_run_key_of_its_own(
    scenarios: Path, instance: dg.DagsterInstance
) -> None:
    ticks = Ticks(instance)
    path = template(scenarios, "01_comma_separated.j2")
    texts = [path.read_text(encoding="utf-8"), "改了 {{电话}}"]
    keys = []
    for text in (texts[0], texts[1], texts[0], texts[1]):
        path.write_text(text, encoding="utf-8")
        keys += [request.run_key for request in ticks.tick().run_requests or []]
    assert len(keys) == 4
    assert len(set(keys)) == 4


def test_a_new_folder_becomes_a_partition_and_is_requested(scenarios: Path, instance: dg.DagsterInstance) -> None:
    ticks = Ticks(instance)
    ticks.tick()
    shutil.copytree(scenarios / NAME, scenarios / OTHER)
    result = ticks.tick()
    assert [request.partition_key for request in result.run_requests or []] == [OTHER]
    assert [list(r.partition_keys) for r in result.dynamic_partitions_requests or []] == [[OTHER]]


def test_a_folder_that_went_and_came_back_is_requested_with_a_new_run_key(
    two_scenarios: Path, instance: dg.DagsterInstance
) -> None:
    ticks = Ticks(instance)
    [first] = [r.run_key for r in ticks.tick().run_requests or [] if r.partition_key == OTHER]
    (two_scenarios / OTHER).rename(two_scenarios.parent / "aside")
    assert ticks.requested() == []
    assert ticks.requested() == []
    (two_scenarios.parent / "aside").rename(two_scenarios / OTHER)
    [request] = ticks.tick().run_requests or []
    assert request.partition_key == OTHER
    assert request.run_key != first
    assert registered(instance) == [NAME, OTHER]


def test_a_folder_without_a_spec_is_left_alone(scenarios: Path, instance: dg.DagsterInstance) -> None:
    (scenarios / "half_made").mkdir()
    assert Ticks(instance).requested() == [NAME]


def test_scenario_sensor_registers_new_folders_once(two_scenarios: Path, instance: dg.DagsterInstance) -> None:
    result = scenario_sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    carry_out(instance, result)
    assert registered(instance) == scenario_names()
    again = scenario_sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(again, dg.SkipReason)


def test_a_folder_that_cannot_be_a_scenario_is_named_and_stops_no_other(
    two_scenarios: Path, instance: dg.DagsterInstance
) -> None:
    for name in (b"two words", b"a...b", b"\xff"):
        (two_scenarios / OTHER).rename(os.fsdecode(os.fsencode(two_scenarios) + b"/" + name))
        shutil.copytree(two_scenarios / NAME, two_scenarios / OTHER)
    assert Ticks(instance).requested() == [NAME, OTHER]
    skipped = scenario_sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(skipped, dg.SkipReason)
    assert "cannot be scenarios by their names: ['a...b', 'two words', '\\udcff']" in str(skipped.skip_message)


@pytest.mark.parametrize("name", [b"\xff.txt", b"50MB.jsonl", b"link"])
def test_no_file_of_a_folder_stops_the_sensor(two_scenarios: Path, instance: dg.DagsterInstance, name: bytes) -> None:
    ticks = Ticks(instance)
    ticks.tick()
    path = Path(os.fsdecode(os.fsencode(two_scenarios / OTHER) + b"/" + name))
    if name == b"link":
        path.symlink_to(two_scenarios)
        assert ticks.requested() == []
    else:
        path.write_text("x" * 50_000_000, encoding="utf-8")
        assert ticks.requested() == [OTHER]


def test_a_large_file_of_a_folder_does_not_fill_the_memory(two_scenarios: Path, instance: dg.DagsterInstance) -> None:
    (two_scenarios / OTHER / "recordings.bin").touch()
    os.truncate(two_scenarios / OTHER / "recordings.bin", 200_000_000)
    tracemalloc.start()
    Ticks(instance).tick()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


def test_what_vanishes_while_a_folder_is_looked_at_stops_no_tick_and_is_no_change(
    two_scenarios: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = Ticks(instance)
    ticks.tick()
    folder, file = two_scenarios / OTHER / "vanishing", two_scenarios / NAME / "vanishing.txt"
    folder.mkdir()
    file.touch()
    listed, opened = os.scandir, Path.open

    def list_late(path: str | Path) -> Any:
        if Path(path) == folder:
            folder.rmdir()
        return listed(path)

    def open_late(path: Path, *arguments: Any, **options: Any) -> Any:
        if path == file:
            file.unlink()
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "scandir", list_late)
    monkeypatch.setattr(Path, "open", open_late)
    assert ticks.requested() == []
    assert not folder.exists()
    assert not file.exists()


def test_scenario_sensor_keeps_the_partition_of_a_folder_that_is_gone_and_says_so(
    scenarios: Path, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("scenario", [NAME, "gone"])
    skipped = scenario_sensor(dg.build_sensor_context(instance=instance))
    assert isinstance(skipped, dg.SkipReason)
    assert "gone: gone. What was made for them is kept" in str(skipped.skip_message)
    assert registered(instance) == [NAME, "gone"]


def remove(instance: dg.DagsterInstance, store: Path, name: str) -> dg.ExecuteInProcessResult:
    return remove_scenario.execute_in_process(
        run_config={"ops": {"forget_scenario": {"config": {"scenario": name}}}},
        resources={"store": Store(root=str(store))},
        instance=instance,
        raise_on_error=False,
    )


def test_remove_scenario_removes_what_was_made_for_it_and_nothing_else(
    scenarios: Path, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    instance.add_dynamic_partitions("scenario", [NAME, "gone", "gone_too"])
    store = tmp_path / "store"
    of_one = [
        "tables/atomic_table/{}.parquet",
        "records/lora_adapter/{}.json",
        "models/lora_adapter/{}/0123/manifest.json",
        "exports/{}/train.jsonl",
        "reports/{}.html",
        "reports/{}-data.html",
        "reviews/{}.jsonl",
    ]
    for name in ("gone", "gone_too", NAME):
        for pattern in of_one:
            path = store / pattern.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x", encoding="utf-8")
    assert remove(instance, store, "gone").success
    left = {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}
    assert left == {p.format(name) for p in of_one for name in ("gone_too", NAME)} | {"reviews/gone.jsonl"}
    assert registered(instance) == [NAME, "gone_too"]


@pytest.mark.parametrize("name", ["../../mine", "..", ".", "models/..", "/etc"])
def test_remove_scenario_follows_no_path(
    scenarios: Path, instance: dg.DagsterInstance, tmp_path: Path, name: str
) -> None:
    store = tmp_path / "a" / "store"
    kept = [
        store / "models" / "lora_adapter" / NAME / "manifest.json",
        tmp_path / "a" / "mine" / "x",
        tmp_path / "mine",
    ]
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    instance.add_dynamic_partitions("scenario", [name])
    assert remove(instance, store, name).success
    assert all(path.is_file() for path in kept)
    assert registered(instance) == []


@pytest.mark.parametrize(("name", "said"), [(NAME, "is still there"), ("typo", "folder is gone: gone")])
def test_remove_scenario_refuses_what_is_still_there_or_unknown(
    scenarios: Path, instance: dg.DagsterInstance, tmp_path: Path, name: str, said: str
) -> None:
    instance.add_dynamic_partitions("scenario", [NAME, "gone"])
    result = remove(instance, tmp_path, name)
    assert not result.success
    [failure] = result.filter_events(lambda event: event.is_step_failure)
    told = failure.step_failure_data.user_failure_data
    assert told is not None
    assert said in str(told.description)
    assert registered(instance) == [NAME, "gone"]


class Received(BaseHTTPRequestHandler):
    """Keeps what is posted, and answers with the status that the server says."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.posts.append(json.loads(self.rfile.read(length)))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextlib.contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[dict]]]:
    with HTTPServer(("127.0.0.1", 0), Received) as server:
        server.posts, server.status = [], status  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/secret-path", server.posts  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


def fail_and_tell(instance: dg.DagsterInstance, webhook: Webhook) -> None:
    @dg.op
    def breaks() -> None:
        raise ValueError("60_bad.j2, line 1: no such slot\nand more") from KeyError("what led to it")

    @dg.job
    def breaking() -> None:
        breaks()

    result = breaking.execute_in_process(instance=instance, raise_on_error=False, tags={"dagster/partition": NAME})
    [event] = result.filter_events(lambda event: event.event_type == dg.DagsterEventType.PIPELINE_FAILURE)
    context = dg.build_run_status_sensor_context(
        sensor_name="run_failure",
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        resources={"failure_webhook": webhook},
    ).for_run_failure()
    run_failure(context)


def test_a_failed_run_is_told_to_the_webhook(instance: dg.DagsterInstance) -> None:
    with receiver() as (url, posts):
        fail_and_tell(instance, Webhook(url=url))
    [told] = posts
    assert told["job"] == "breaking"
    assert told["scenario"] == NAME
    assert told["steps"] == ["breaks"]
    assert told["text"].endswith("breaks: ValueError: 60_bad.j2, line 1: no such slot")


def test_without_a_webhook_a_failed_run_is_told_in_the_log_alone(
    instance: dg.DagsterInstance, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_and_tell(instance, Webhook())
    assert "breaking of address_extraction failed" in capsys.readouterr().err


@pytest.mark.parametrize("status", [500, 404])
def test_a_webhook_that_refuses_is_a_warning_without_its_address(caplog: pytest.LogCaptureFixture, status: int) -> None:
    with receiver(status) as (url, posts):
        assert not Webhook(url=url).post({"text": "x"})
    assert len(posts) == 1
    assert f"it answered {status}" in caplog.text
    assert "secret-path" not in caplog.text


def test_a_webhook_that_is_away_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert not Webhook(url="http://127.0.0.1:9/secret-path").post({"text": "x"})
    assert not Webhook(url="nonsense").post({"text": "x"})
    assert caplog.text.count("could not be told") == 2
    assert "secret-path" not in caplog.text


def test_the_weekly_evaluation_asks_for_scenarios_that_have_an_adapter(two_scenarios: Path, tmp_path: Path) -> None:
    monday = datetime(2026, 11, 23, 3, tzinfo=UTC)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def requested() -> list[dg.RunRequest]:
            context = dg.build_schedule_context(instance=instance, scheduled_execution_time=monday)
            result = weekly_evaluation(context)
            return result if isinstance(result, list) else []

        assert requested() == []
        for name in (OTHER, "gone"):
            instance.report_runless_asset_event(dg.AssetMaterialization("lora_adapter", partition=name))
        [request] = requested()
    assert (request.partition_key, request.run_key) == (OTHER, f"{OTHER}:2026-W48")
    assert request.run_config == {
        "ops": {name: {"config": {"again": "2026-W48"}} for name in ("predictions", "retention")}
    }


def test_the_cheap_stages_are_made_where_they_are_missing_once(
    two_scenarios: Path, instance: dg.DagsterInstance
) -> None:
    defs = build_defs()
    instance.add_dynamic_partitions("scenario", [OTHER, NAME])
    first = dg.evaluate_automation_conditions(defs, instance)
    assert first.get_requested_partitions(dg.AssetKey("atomic_table")) == {NAME, OTHER}
    assert first.get_requested_partitions(dg.AssetKey("labelled_samples")) == {NAME, OTHER}
    assert first.get_num_requested(dg.AssetKey("kto_judge")) == 0
    again = dg.evaluate_automation_conditions(defs, instance, cursor=first.cursor)
    assert again.total_requested == 0


def test_what_starts_runs_by_itself_is_off_until_it_is_switched_on() -> None:
    running = {s.name for s in SENSORS if s.default_status == dg.DefaultSensorStatus.RUNNING}
    assert running == {"scenario_sensor", "run_failure"}, "neither starts a run"
    assert all(schedule.default_status == dg.DefaultScheduleStatus.STOPPED for schedule in SCHEDULES)


def test_jobs_hold_the_stages_that_their_names_promise() -> None:
    defs = build_defs()
    held = {
        job.name: {key.to_user_string() for key in defs.resolve_job_def(job.name).asset_layer.selected_asset_keys}
        for job in JOBS
        if job is not remove_scenario
    }
    assert held["twin"] == {"atomic_table", "template_variants", "rendered_samples", "labelled_samples"}
    assert held["twin"] < held["train"] < held["chain"]
    assert {"kto_judge", "lora_adapter", "reward_model", "aligned_adapter"} < held["train"]
    assert held["evaluate"] == {"predictions", "retention", "evaluation_report"}
    assert held["release_model"] == {"release"}
    assert not {"leaderboard", "joint_adapter", "joint_comparison", "lora_sweep"} & held["chain"]
    assert "release" in held["chain"]


@pytest.mark.parametrize("path", sorted(RUN_CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_example_of_a_run_config_fits_the_job_that_it_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    [job] = re.findall(r"^# job: (\w+)$", text, re.MULTILINE)
    config = yaml.safe_load(text)
    assert config["ops"]
    assert dg.validate_run_config(build_defs().resolve_job_def(job), config)


def test_there_is_an_example_of_a_run_config_for_every_job() -> None:
    named = {
        job
        for path in RUN_CONFIGS.glob("*.yaml")
        for job in re.findall(r"^# job: (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named == {job.name for job in JOBS}
