"""The one partitions definition: a scenario folder IS a partition.

A plain dynamic definition knows only what was registered on its instance, so the CLI fails on a fresh one; a static
one needs a code reload for each new folder. This one adds the folders on disk to the registered keys, at every look.
A registered key whose folder is gone stays, so that its history does.
"""

import warnings
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

import click
import dagster as dg
from dagster._core.definitions.partitions.context import PartitionLoadingContext, partition_loading_context
from dagster._core.types.pagination import PaginatedResults

from cs_assets.scenario import SCENARIO_NAME, is_scenario, no_such_scenario, scenario_names

# `partitions_def` of asset checks is in preview in 1.13. The version is pinned and tests cover what we use; without the
# filter every step would print one warning a check.
warnings.filterwarnings(
    "ignore", message="Specifying a partitions_def on an AssetCheckSpec", category=dg.PreviewWarning
)


class UnknownScenario(click.ClickException):
    """Asked for a partition that does not exist. A click exception prints as one line in the CLI."""


class ScenarioPartitionsDefinition(dg.DynamicPartitionsDefinition):
    """Dynamic partitions that also hold every scenario folder on disk.

    The registered keys come first, in their order: Dagster keeps ranges of keys, which it reads as a plain dynamic
    definition has them.
    """

    def get_partition_keys(
        self, current_time: datetime | None = None, dynamic_partitions_store: Any = None
    ) -> Sequence[str]:
        registered = [
            key for key in super().get_partition_keys(current_time, dynamic_partitions_store) if _allowed(key)
        ]
        known = set(registered)
        return [*registered, *(name for name in scenario_names() if name not in known)]

    def has_partition_key(
        self, partition_key: str, current_time: datetime | None = None, dynamic_partitions_store: Any = None
    ) -> bool:
        return _allowed(partition_key) and (
            is_scenario(partition_key)
            or super().has_partition_key(partition_key, current_time, dynamic_partitions_store)
        )

    def filter_valid_partition_keys(self, partition_keys: set[str]) -> AbstractSet[str]:
        allowed = {key for key in partition_keys if _allowed(key)}
        unregistered = {key for key in allowed if not is_scenario(key)}
        return (allowed - unregistered) | super().filter_valid_partition_keys(unregistered)

    def validate_partition_key(self, partition_key: str, context: PartitionLoadingContext) -> None:
        with partition_loading_context(new_ctx=context):
            if not self.has_partition_key(partition_key):
                raise UnknownScenario(no_such_scenario(partition_key))

    def get_paginated_partition_keys(
        self, context: PartitionLoadingContext, limit: int, ascending: bool, cursor: str | None = None
    ) -> PaginatedResults[str]:
        keys = self.get_partition_keys(context.effective_dt, context.dynamic_partitions_store)
        return PaginatedResults.create_from_sequence(keys, limit=limit, ascending=ascending, cursor=cursor)

    def get_serializable_unique_identifier(self, dynamic_partitions_store: Any = None) -> str:
        registered = super().get_serializable_unique_identifier(dynamic_partitions_store)
        return f"{registered}:{'|'.join(scenario_names())}"

    def __hash__(self) -> int:
        return hash(self.name)


def _allowed(key: str) -> bool:
    """Tell whether a key can be a scenario: whoever reaches the UI can register any text, such as `../../x`."""
    return bool(SCENARIO_NAME.fullmatch(key))


scenario_partitions = ScenarioPartitionsDefinition(name="scenario")
