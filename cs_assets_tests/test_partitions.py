"""A scenario folder is a partition, on any instance and without a reload."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from cs_assets.partitions import UnknownScenario, scenario_partitions

NAME = "address_extraction"


@dg.asset(partitions_def=scenario_partitions)
def told(context: dg.AssetExecutionContext) -> str:
    return context.partition_key


def test_a_fresh_instance_materializes_a_folder(scenarios: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([told], partition_key=NAME, instance=instance)
    assert result.output_for_node("told") == NAME


def test_an_unknown_partition_is_answered_in_one_line_with_those_there_are(scenarios: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(UnknownScenario) as caught:
        dg.materialize([told], partition_key="nosuch", instance=instance)
    message = caught.value.format_message()
    assert message == f"no scenario 'nosuch' in {scenarios}; there are: {NAME}."


def test_a_new_folder_is_a_partition_at_once(scenarios: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        before = scenario_partitions.get_serializable_unique_identifier(instance)
        assert scenario_partitions.get_partition_keys(dynamic_partitions_store=instance) == [NAME]
        shutil.copytree(scenarios / NAME, scenarios / "second")
        assert scenario_partitions.get_partition_keys(dynamic_partitions_store=instance) == [NAME, "second"]
        assert scenario_partitions.has_partition_key("second", dynamic_partitions_store=instance)
        assert scenario_partitions.get_serializable_unique_identifier(instance) != before


def test_a_registered_partition_stays_when_its_folder_is_gone(scenarios: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("scenario", ["gone", NAME])
        assert scenario_partitions.get_partition_keys(dynamic_partitions_store=instance) == ["gone", NAME]
        assert scenario_partitions.has_partition_key("gone", dynamic_partitions_store=instance)
        assert not scenario_partitions.has_partition_key("never", dynamic_partitions_store=instance)


@pytest.mark.parametrize("key", ["../../x", "..", "/etc/x", "a\\b", "x" * 300, "two words", "."])
def test_a_registered_key_that_is_a_path_is_no_partition(scenarios: Path, key: str) -> None:
    """Whoever reaches the UI may register any text."""
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("scenario", [key, "gone"])
        assert not scenario_partitions.has_partition_key(key, dynamic_partitions_store=instance)
        assert scenario_partitions.get_partition_keys(dynamic_partitions_store=instance) == ["gone", NAME]
        with pytest.raises(UnknownScenario) as caught:
            dg.materialize([told], partition_key=key, instance=instance)
    assert len(caught.value.format_message().splitlines()) == 1


@pytest.mark.parametrize("key", ["", "..", "../scenarios/address_extraction", "/", "address_extraction/"])
def test_a_path_is_no_partition(scenarios: Path, key: str) -> None:
    (scenarios / "scenario.yaml").write_text("", encoding="utf-8")
    (scenarios.parent / "scenario.yaml").write_text("", encoding="utf-8")
    with dg.DagsterInstance.ephemeral() as instance:
        assert not scenario_partitions.has_partition_key(key, dynamic_partitions_store=instance)
