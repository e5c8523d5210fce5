"""Sensors: what a changed folder requests, on a real ephemeral instance."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cs_assets.automation import chain_job, scenario_sensor, template_sensor, twin_job
from cs_assets.definitions import build_defs
from cs_assets.scenario import scenario_names

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


def test_scenario_sensor_keeps_the_partition_of_a_folder_that_is_gone(
    scenarios: Path, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("scenario", [NAME, "gone"])
    assert isinstance(scenario_sensor(dg.build_sensor_context(instance=instance)), dg.SkipReason)
    assert registered(instance) == [NAME, "gone"]


def test_jobs_hold_the_stages_that_their_names_promise() -> None:
    defs = build_defs()
    held = {
        job.name: {key.to_user_string() for key in defs.resolve_job_def(job.name).asset_layer.selected_asset_keys}
        for job in (chain_job, twin_job)
    }
    assert held["twin"] == {"atomic_table", "template_variants", "rendered_samples", "labelled_samples"}
    assert held["twin"] < held["chain"]
    assert not {"leaderboard", "joint_adapter", "joint_comparison", "lora_sweep"} & held["chain"]
    assert "release" in held["chain"]
