"""What the gate looked at is of the model that would go out, or the release says what is not."""

from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.evaluation import predicting
from cs_assets.evaluation.reporting import make_report
from cs_assets.families.base import Sample
from cs_assets.partitions import scenario_partitions
from cs_assets.release.evidence import mismatches
from cs_assets.scenario import Scenario
from cs_assets.training.assets import lora_adapter
from resources.base_model import BaseModelFolder, BaseModels
from resources.store import ModelFolder, Store, io_managers
from resources.tracking import Tracking

NAME = "address_extraction"
BASE = BaseModelFolder(name="owner/model", path="/models/model", identity="owner/model@2", licence="MIT")
MODEL = ModelFolder(path="p", base=BASE.name, fingerprint="a" * 64)


@pytest.fixture
def table(tmp_path: Path, splits: pl.DataFrame) -> Path:
    return written(splits, tmp_path)


def written(splits: pl.DataFrame, root: Path) -> Path:
    """Write the splits to their place in a store, and return it."""
    path = Path(str(Store(root=str(root)).location("tables", "training_splits", f"{NAME}.parquet")))
    path.parent.mkdir(parents=True, exist_ok=True)
    splits.write_parquet(path)
    return path


def answers(scenario: Scenario, splits: pl.DataFrame, adapter: str) -> pl.DataFrame:
    cases = predicting.test_cases(splits)
    scored = predicting.score_predictions(scenario, "tuned", cases, ["{}"] * cases.height)
    return scored.with_columns(adapter=pl.lit(adapter))


def found(
    scenario: Scenario, model: ModelFolder, base: BaseModelFolder, predictions: pl.DataFrame, splits: Path
) -> list[str]:
    """Return the mismatches where the report is of the predictions."""
    return mismatches(scenario, model, base, make_report(NAME, predictions, {}, {}), predictions, splits)


def train(root: Path, base: Path, **config: Any) -> ModelFolder:
    """Return what the asset makes of the splits that lie in a store."""
    resources = {
        "store": Store(root=str(root)),
        "tracking": Tracking(uri=f"sqlite:///{root}/mlflow.db"),
        "base_models": BaseModels(cache=str(root / "models")),
        **io_managers(str(root)),
    }
    numbers = {"base_model": str(base), "epochs": 0.5, "batch_size": 4, **config}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [dg.AssetSpec("training_splits", partitions_def=scenario_partitions), lora_adapter],
            partition_key=NAME,
            resources=resources,
            run_config={"ops": {"lora_adapter": {"config": numbers}}},
            instance=instance,
        )
    return result.output_for_node("lora_adapter")


@pytest.mark.parametrize("shuffle_buffer", [100_000, 1], ids=["memory", "stream"])
def test_a_training_keeps_what_it_learned_from_and_on_which_base(
    scenarios: Path,
    scenario: Scenario,
    splits: pl.DataFrame,
    table: Path,
    tiny_model: Path,
    tmp_path: Path,
    shuffle_buffer: int,
) -> None:
    base = BaseModels().resolve(str(tiny_model), print)
    model = train(tmp_path, tiny_model, shuffle_buffer=shuffle_buffer)
    predictions = answers(scenario, splits, model.fingerprint)
    assert (model.base_identity, bool(model.data)) == (base.identity, True)
    assert found(scenario, model, base, predictions, table) == []
    first = splits.filter(split="train")["sample_id"].min()
    changed = written(splits.filter(pl.col("sample_id") != first), tmp_path)
    [reason] = found(scenario, model, base, predictions, changed)
    assert reason.startswith("it learned from other samples than training_splits holds; materialize lora_adapter")


def test_a_base_that_was_exchanged_since_is_named(scenario: Scenario, splits: pl.DataFrame, table: Path) -> None:
    predictions = answers(scenario, splits, MODEL.fingerprint)
    moved = MODEL.model_copy(update={"base_identity": "owner/model@1"})
    [reason] = found(scenario, moved, BASE, predictions, table)
    assert reason.startswith("the base owner/model is owner/model@2 now, and it was trained on owner/model@1; ")
    assert found(scenario, moved.model_copy(update={"base_identity": BASE.identity}), BASE, predictions, table) == []


@pytest.mark.parametrize(
    ("adapter", "told"), [("b" * 64, f"of the adapter {'b' * 16}"), ("", "of no adapter, or of several")]
)
def test_answers_of_another_adapter_are_named(
    scenario: Scenario, splits: pl.DataFrame, table: Path, adapter: str, told: str
) -> None:
    [reason] = found(scenario, MODEL, BASE, answers(scenario, splits, adapter), table)
    assert reason.startswith(f"the predictions are {told}, not of {'a' * 16}; materialize predictions")


def test_answers_to_other_test_messages_are_named(scenario: Scenario, splits: pl.DataFrame, table: Path) -> None:
    other = splits.with_columns(pl.when(split="test_iid").then(pl.lit("在吗")).otherwise("message").alias("message"))
    fewer = splits.filter(pl.col("split") != "test_noise")
    for asked in (other, fewer):
        reason, *_ = found(scenario, MODEL, BASE, answers(scenario, asked, MODEL.fingerprint), table)
        assert reason.startswith("the predictions are not of the test messages that training_splits holds; ")


def test_a_report_of_other_answers_is_named(scenario: Scenario, splits: pl.DataFrame, table: Path) -> None:
    predictions = answers(scenario, splits, MODEL.fingerprint)
    first = pl.int_range(pl.len()) == 0
    better = predictions.with_columns(exact=pl.when(first).then(1.0).otherwise("exact"))
    for other in (better, predictions.tail(-1)):
        [reason] = mismatches(scenario, MODEL, BASE, make_report(NAME, other, {}, {}), predictions, table)
        assert reason.startswith("the report is of other answers than predictions holds; ")


def test_a_report_of_other_answers_of_the_base_is_named(scenario: Scenario, splits: pl.DataFrame, table: Path) -> None:
    tuned = answers(scenario, splits, MODEL.fingerprint)
    predictions = pl.concat([tuned.with_columns(model=pl.lit("base"), adapter=pl.lit("")), tuned])
    assert found(scenario, MODEL, BASE, predictions, table) == []
    first = pl.int_range(pl.len()) == 0
    better = predictions.with_columns(repaired=pl.when(first).then(1.0).otherwise("repaired"))
    for other in (better, tuned):
        [reason] = mismatches(scenario, MODEL, BASE, make_report(NAME, other, {}, {}), predictions, table)
        assert reason.startswith("the report is of other answers than predictions holds; ")


def test_what_was_not_kept_is_not_compared(scenario: Scenario, splits: pl.DataFrame, table: Path) -> None:
    assert found(scenario, MODEL, BASE, answers(scenario, splits, MODEL.fingerprint), table) == []


@pytest.mark.parametrize("changed", [{"instruction": "抽取地址。"}, {"system": "你是客服。"}])
def test_a_prompt_that_was_changed_since_is_named(
    scenario: Scenario, splits: pl.DataFrame, table: Path, changed: dict[str, str]
) -> None:
    today = Scenario(scenario.folder, scenario.spec.model_copy(update=changed))
    predictions = answers(scenario, splits, MODEL.fingerprint)
    [reason] = found(today, MODEL, BASE, predictions, table)
    assert reason == (
        "scenario.yaml gives another prompt (`system`, `instruction`) than training_splits holds in real_style, "
        "test_entity_ood, test_iid, test_noise, test_template_ood, train, validation; undo the change, or materialize "
        "rendered_samples and all that follows again"
    )


def test_a_prompt_that_is_new_in_one_split_alone_is_named(
    scenario: Scenario, splits: pl.DataFrame, table: Path
) -> None:
    """As where the hand-written messages were read again, and the samples were not rendered again."""
    before = Scenario(scenario.folder, scenario.spec.model_copy(update={"instruction": "抽取地址。"}))
    first = splits.filter(split="train").row(0, named=True)
    old = before.conversation(Sample(message=first["message"], answer=first["answer"]))
    rows = [row | ({"messages": old} if row["split"] == "train" else {}) for row in splits.to_dicts()]
    changed = written(pl.DataFrame(rows, schema=splits.schema), table.parents[2])
    [reason] = found(scenario, MODEL, BASE, answers(scenario, splits, MODEL.fingerprint), changed)
    assert "than training_splits holds in train; " in reason
