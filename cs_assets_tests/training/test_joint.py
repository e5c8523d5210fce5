"""Which samples a joint adapter learns: balanced, spread, and none that a scenario is tested on."""

from pathlib import Path

import polars as pl
import pytest

from cs_assets.scenario import ScenarioError
from cs_assets.training.joint import JointSettings, joint_samples, splits_of
from cs_assets.training.splits import SCHEMA
from resources.store import Store

NAME = "address_extraction"


def table(name: str, **counts: int) -> pl.DataFrame:
    """Return splits of so many samples, which no other name shares."""
    rows = [
        {
            "sample_id": f"{split}-{number:03d}",
            "split": split,
            "message": f"{name} {split} {number}",
            "answer": "好",
            "messages": [
                {"role": "user", "content": f"{name} {split} {number}"},
                {"role": "assistant", "content": "好"},
            ],
        }
        for split, count in counts.items()
        for number in range(count)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


TABLES = {
    "large": table("large", train=12, validation=4, test_iid=3),
    "small": table("small", train=6, validation=0, real_style=2),
}


def counted(samples: pl.DataFrame) -> dict[tuple[str, str], int]:
    return {(scenario, split): n for scenario, split, n in samples.group_by("scenario", "split").len().iter_rows()}


@pytest.mark.parametrize(
    ("settings", "large", "small"),
    [
        (JointSettings(), 6, 6),
        (JointSettings(balanced=False), 12, 6),
        (JointSettings(samples_per_scenario=3), 3, 3),
        (JointSettings(samples_per_scenario=8), 6, 6),
        (JointSettings(samples_per_scenario=8, balanced=False), 8, 6),
    ],
)
def test_so_many_training_samples_are_taken_of_each(settings: JointSettings, large: int, small: int) -> None:
    found = counted(joint_samples(TABLES, settings))
    assert found == {("large", "train"): large, ("small", "train"): small, ("large", "validation"): 4}


def test_they_are_taken_at_even_distances() -> None:
    taken = joint_samples(TABLES, JointSettings(samples_per_scenario=3)).filter(scenario="large", split="train")
    assert taken["sample_id"].to_list() == ["train-000", "train-004", "train-008"]


def test_what_one_scenario_is_tested_on_no_other_learns() -> None:
    tested = TABLES["small"].filter(split="real_style")["message"][0]
    leaking = TABLES["large"].with_columns(
        message=pl.when(pl.col("sample_id") == "train-005").then(pl.lit(tested)).otherwise("message")
    )
    learned = joint_samples({**TABLES, "large": leaking}, JointSettings(balanced=False))
    assert tested not in learned["message"]
    assert counted(learned)["large", "train"] == 11


def test_a_scenario_without_training_samples_is_named() -> None:
    with pytest.raises(ValueError, match="empty have no training samples"):
        joint_samples({**TABLES, "empty": table("empty", test_iid=2)}, JointSettings())


def test_splits_that_were_not_made_are_an_error_that_says_how_to_make_them(scenarios: Path, tmp_path: Path) -> None:
    store = Store(root=str(tmp_path / "out"))
    with pytest.raises(FileNotFoundError, match=rf"{NAME} has no training_splits yet.*--partition {NAME}"):
        splits_of(store, NAME)
    with pytest.raises(ScenarioError, match="no scenario 'nosuch'"):
        splits_of(store, "nosuch")
