"""Several scenarios for one adapter: which samples of theirs it learns.

Here belong the choice and the balance. It is trained as every adapter is; how it does beside the adapters of the
scenarios stands in `cs_assets/evaluation/joint.py`.

    tables = {name: splits_of(store, name) for name in ("address_extraction", "intent_routing")}
    joint_samples(tables, JointSettings(samples_per_scenario=500))    # scenario, split, sample_id, message, messages
"""

from collections.abc import Mapping

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from cs_assets.samples.folds import spaced_evenly
from cs_assets.scenario import load_scenario
from cs_assets.training.splits import LEARNED, TEST_SPLITS
from resources.store import ModelFolder, Store


class JointSettings(BaseModel):
    """Which scenarios, and how much of each."""

    scenarios: list[str] = Field(
        default=[], description="Scenarios that are learnt together, each with its training_splits; empty: none."
    )
    samples_per_scenario: int | None = Field(
        default=None, description="Training samples of each at most, at even distances; empty: all.", ge=1
    )
    balanced: bool = Field(default=True, description="Take as many of each as there are of the scenario with fewest.")


class Joint(BaseModel):
    """What `joint_adapter` hands on; no model where it is off."""

    model_config = ConfigDict(frozen=True)

    scenarios: list[str] = []
    model: ModelFolder | None = None


def splits_of(store: Store, name: str) -> pl.DataFrame:
    """Return the training splits of a scenario.

    Raises:
        ScenarioError: there is no such scenario.
        FileNotFoundError: its splits were not made yet.
    """
    scenario = load_scenario(name)
    table = store.table("training_splits", scenario.name)
    if table is None:
        raise FileNotFoundError(
            f"scenarios: {name} has no training_splits yet. Materialize them first (`--select '*training_splits' "
            f"--partition {name}`), or leave it out."
        )
    return table


def joint_samples(tables: Mapping[str, pl.DataFrame], settings: JointSettings) -> pl.DataFrame:
    """Return the training and validation samples of several scenarios.

    Args:
        tables: scenario -> its `training_splits`.
        settings: how much of each.

    Returns:
        Columns scenario, split, sample_id, message, messages. A message that one scenario is tested on is learned from
        none of them.

    Raises:
        ValueError: a scenario has no training samples.
    """
    columns = ("split", "sample_id", "message", "messages")
    everything = pl.concat(table.select(pl.lit(name).alias("scenario"), *columns) for name, table in tables.items())
    tested = everything.filter(pl.col("split").is_in(TEST_SPLITS))["message"]
    untested = everything.filter(~pl.col("message").is_in(tested.implode())).sort("sample_id")
    train, validation = ({name: untested.filter(scenario=name, split=split) for name in tables} for split in LEARNED)
    empty = [name for name, samples in train.items() if samples.is_empty()]
    if empty:
        raise ValueError(f"scenarios: {', '.join(empty)} have no training samples; leave them out.")
    return pl.concat([*_taken(train, settings.samples_per_scenario, settings), *_taken(validation, None, settings)])


def _taken(samples: Mapping[str, pl.DataFrame], most: int | None, settings: JointSettings) -> list[pl.DataFrame]:
    """Return the part of each scenario's samples that is learned; one that has none does not empty the others."""
    heights = [most, *(table.height for table in samples.values() if settings.balanced)]
    limit = min((height for height in heights if height), default=None)
    return [table[spaced_evenly(table.height, limit)] for table in samples.values()]
