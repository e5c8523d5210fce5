"""The chain with its store in an S3 bucket: made on one host, read and gone on with on another."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from cs_assets.definitions import build_defs
from cs_assets.learning.training import TrainingLog
from cs_assets_tests.test_end_to_end import PARTITION, metadata, tiny_config
from resources.base_model import BaseModels
from resources.object_store import place_of
from resources.store import default_root
from resources.tracking import Tracking

ASSETS = (
    *("atomic_table", "template_variants", "rendered_samples", "labelled_samples", "kto_judge", "filtered_samples"),
    *("training_splits", "dataset_exports", "lora_adapter"),
)
MODELS = ("kto_judge", "lora_adapter")


def run(root: Path, tiny_model: Path, *assets: str) -> dg.ExecuteInProcessResult:
    """Materialize assets with their checks, in the store that the environment names."""
    tracking, models = Tracking(uri=f"sqlite:///{root}/mlflow.db"), BaseModels(cache=str(root / "models"))
    defs = build_defs({"tracking": tracking, "base_models": models})
    chain: list[Any] = [*(defs.assets or []), *(defs.asset_checks or [])]
    config = tiny_config(tiny_model)
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            chain,
            selection=list(assets),
            partition_key=PARTITION,
            resources=dict(defs.resources or {}),
            run_config={"ops": {name: value for name, value in config["ops"].items() if name in assets}},
            instance=instance,
        )


@pytest.mark.usefixtures("scenarios")
def test_what_one_host_made_another_reads_and_trains_nothing(
    bucket: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CS_STORE", f"{bucket}/prefix")
    first = run(tmp_path, tiny_model, *ASSETS)
    root = place_of(default_root())
    made = {name.removeprefix(f"{root.path}/") for name in root.fs.find(root.path)}
    assert {
        *(f"reviews/{PARTITION}.jsonl", f"reports/{PARTITION}-data.html", f"exports/{PARTITION}/dataset_info.json"),
        *(f"tables/training_splits/{PARTITION}.parquet", f"records/lora_adapter/{PARTITION}.json"),
    } <= made
    assert {name.split("/")[1] for name in made if name.startswith("models/")} == {*MODELS, "kto_judge_learnt"}
    assert not (tmp_path / "data").exists()
    monkeypatch.setenv("CS_SCRATCH", str(tmp_path / "another_host"))
    second = run(tmp_path, tiny_model, *MODELS, "filtered_samples")
    for asset in (*MODELS, "filtered_samples"):
        assert (metadata(first, asset)["cache"], metadata(second, asset)["cache"]) == ("miss", "hit")
    folder = Path(metadata(second, "lora_adapter")["model_folder"])
    assert folder.is_relative_to(tmp_path / "another_host")
    assert TrainingLog.load(folder).steps == metadata(first, "lora_adapter")["steps"]
