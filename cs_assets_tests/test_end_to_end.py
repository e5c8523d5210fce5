"""The whole chain on a tiny model: through `dg.materialize`, and through the real CLI in processes of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from cs_assets.definitions import build_defs
from cs_assets.quality.assets import FilteredSamplesConfig, filtered_samples
from cs_assets.quality.filtering import to_judge
from cs_assets.quality.judging import Calibration
from cs_assets.quality.review import read_review
from cs_assets.training.splits import TEST_SPLITS
from cs_assets_tests.conftest import copy_small_scenario
from resources.base_model import BaseModels
from resources.model_folders import MANIFEST
from resources.store import Store, fingerprint, io_managers
from resources.tracking import Tracking

ROOT = Path(__file__).resolve().parent.parent
PARTITION = "address_extraction"
MODEL_ASSETS = ("kto_judge", "lora_adapter", "reward_model")


def tiny_config(base: Path) -> dict[str, Any]:
    """Run config that puts the tiny model in the place of the base, and lets the untaught judge keep samples."""
    numbers = {"base_model": str(base), "batch_size": 4, "checkpoint_steps": 1}
    ops: dict[str, Any] = {name: {"config": dict(numbers)} for name in MODEL_ASSETS}
    ops["kto_judge"]["config"]["wanted_precision"] = 0.01
    ops["preference_pairs"] = {"config": {"train_pairs": 6, "test_pairs": 4}}
    ops["predictions"] = {"config": {"max_new_tokens": 8, "models": ["base", "base_few_shot", "tuned", "aligned"]}}
    ops["retention"] = {"config": {"max_new_tokens": 8, "questions": 5}}
    ops["aligned_adapter"] = {"config": {"method": "dpo", "pairs": 4, "batch_size": 2, "checkpoint_steps": 1}}
    return {"ops": ops}


@pytest.fixture(scope="module")
def materialized(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Any:
    """Materialize the chain twice in one instance: (result, second result, store root)."""
    root = tmp_path_factory.mktemp("chain")
    copy_small_scenario(root / "scenarios")
    patch = pytest.MonkeyPatch()
    patch.setenv("CS_SCENARIOS", str(root / "scenarios"))
    store = str(root / "out")
    overrides = {
        "store": Store(root=store),
        "tracking": Tracking(uri=f"sqlite:///{root}/mlflow.db"),
        "base_models": BaseModels(cache=str(root / "models")),
        **io_managers(store),
    }
    assets: list[Any] = [*(build_defs(overrides).assets or []), *(build_defs(overrides).asset_checks or [])]
    resources = dict(build_defs(overrides).resources or {})
    with dg.DagsterInstance.ephemeral() as instance:
        results = [
            dg.materialize(
                assets,
                partition_key=PARTITION,
                resources=resources,
                run_config=tiny_config(tiny_model),
                instance=instance,
            )
            for _ in range(2)
        ]
    yield results[0], results[1], Path(store)
    patch.undo()


def metadata(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    [event] = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def test_every_asset_and_check_of_the_chain_succeeds(materialized: Any) -> None:
    first, _, _ = materialized
    assert first.success
    failed = {check.check_name for check in first.get_asset_check_evaluations() if not check.passed}
    assert failed == {"tuned_beats_base", "general_ability_is_kept"}, "a model of random weights knows nothing"
    assert len(first.get_asset_check_evaluations()) == 9


def test_tables_tell_rows_columns_and_a_preview(materialized: Any) -> None:
    first, _, _ = materialized
    for asset in ("atomic_table", "template_variants", "rendered_samples", "labelled_samples", "filtered_samples"):
        seen = metadata(first, asset)
        assert seen["dagster/row_count"] > 0
        assert len(seen["dagster/column_schema"].columns) > 3
        assert len(seen["preview"].records) >= 3
    assert "data:image/svg+xml;base64," in metadata(first, "rendered_samples")["message_lengths"]


def test_models_show_a_loss_curve_and_link_to_their_mlflow_run(materialized: Any) -> None:
    first, _, _ = materialized
    for asset in MODEL_ASSETS:
        seen = metadata(first, asset)
        assert "data:image/svg+xml;base64," in seen["loss_curve"]
        assert "/runs/" in seen["mlflow_run"]
        assert seen["cache"] == "miss"
        assert seen["computed_in"] == "float32"
    assert 0 <= metadata(first, "kto_judge")["precision"] <= 1


def test_report_covers_every_test_split_and_model(materialized: Any) -> None:
    first, _, store = materialized
    report = first.output_for_node("evaluation_report")
    assert {(c.split, c.model) for c in report.cells} == {
        (split, model) for split in TEST_SPLITS for model in ("base", "base_few_shot", "tuned", "aligned")
    }
    assert report.retention.base.n == report.retention.tuned.n == 5
    assert metadata(first, "leaderboard")["standings"].count("\n") == 1 + len(TEST_SPLITS)
    page = (store / "reports" / f"{PARTITION}.html").read_text(encoding="utf-8")
    assert "Failures of the tuned model" in page
    assert "General questions" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_the_data_set_has_a_page_and_is_exported_for_other_programs(materialized: Any) -> None:
    first, _, store = materialized
    seen = metadata(first, "training_splits")
    page = Path(seen["data_page"]).read_text(encoding="utf-8")
    assert "What each gate rejected" in page
    assert 0 < seen["distinct_2"] < 1
    assert 0 < seen["least_covered_slot"] < 1
    written = metadata(first, "dataset_exports")["rows_by_file"]
    assert written["alpaca_train.jsonl"] == first.output_for_node("training_splits").filter(split="train").height
    assert (store / "exports" / PARTITION / "dataset_info.json").is_file()


def test_the_test_splits_are_written_as_tasks_of_lm_eval(materialized: Any) -> None:
    first, _, store = materialized
    assert Path(metadata(first, "predictions")["lm_eval_tasks"]) == store / "exports" / PARTITION / "lm_eval"
    written = {path.name for path in (store / "exports" / PARTITION / "lm_eval").iterdir()}
    assert written == {"cases.py", *(f"{split}.{kind}" for split in TEST_SPLITS for kind in ("jsonl", "yaml"))}


def test_a_second_run_reuses_every_expensive_stage(materialized: Any) -> None:
    first, second, _ = materialized
    for asset in (*MODEL_ASSETS, "filtered_samples", "predictions", "retention", "aligned_adapter"):
        assert metadata(second, asset)["cache"] == "hit", asset
    for asset in ("atomic_table", "rendered_samples", "predictions"):
        assert first.output_for_node(asset).equals(second.output_for_node(asset))


@pytest.mark.parametrize(("threshold", "asked"), [(0.5, True), (0.0, False)])
def test_a_judge_is_asked_about_what_the_rules_let_through_if_it_may_reject(
    materialized: Any, threshold: float, asked: bool
) -> None:
    first, _, root = materialized
    judge, labelled = first.output_for_node("kto_judge"), first.output_for_node("labelled_samples")
    store = Store(root=str(root))

    def with_threshold(folder: Path, work: Path) -> dict[str, float]:
        shutil.copytree(store.path_of(judge), folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        Calibration.load(folder).model_copy(update={"threshold": threshold}).save(folder)
        return judge.metrics

    key = fingerprint(judge=judge, threshold=threshold)
    changed, _ = store.cached_model(
        "kto_judge", PARTITION, key, judge.base, with_threshold, base_identity=judge.base_identity
    )
    result: Any = filtered_samples(
        dg.build_asset_context(partition_key=PARTITION),
        FilteredSamplesConfig(review=5),
        store,
        Tracking(uri=f"sqlite:///{root.parent}/mlflow.db"),
        BaseModels(),
        labelled,
        changed,
    )
    assert result.value["score"].is_not_null().sum() == (to_judge(labelled).height if asked else 0)
    waiting, _ = read_review(store.location("reviews", f"{PARTITION}.jsonl"))
    assert len(waiting) == min(to_judge(labelled).height, 5)
    assert all((line.score is not None) == asked for line in waiting)


def test_the_gate_stays_closed_for_a_model_that_did_not_gain(materialized: Any) -> None:
    first, _, _ = materialized
    assert first.output_for_node("release").passed is False
    *gain, general = first.output_for_node("release").reasons
    assert all(reason.startswith("exact match on test_template_ood: ") for reason in gain)
    assert len(gain) == 2
    assert general == "general questions: the base answers 0 of 5, too few to see a drop; ask more"


def test_the_report_tells_of_which_adapter_its_figures_are(materialized: Any) -> None:
    first, _, _ = materialized
    adapter = first.output_for_node("lora_adapter").fingerprint
    assert first.output_for_node("evaluation_report").adapter == adapter
    answered = first.output_for_node("predictions").group_by("model").agg(pl.col("adapter").unique())
    told = dict(answered.iter_rows())
    assert told["tuned"] == [adapter]
    assert told["base"] == told["base_few_shot"] == [""]
    assert told["aligned"] == [first.output_for_node("aligned_adapter").model.fingerprint]


def cli(arguments: list[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "MLFLOW_TRACKING_URI")}
    environment |= {
        "CS_SCENARIOS": str(tmp_path / "scenarios"),
        "CS_STORE": str(tmp_path / "out"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "cs_assets.definitions", *arguments]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)


def test_the_whole_chain_through_the_command_line(tmp_path: Path, tiny_model: Path) -> None:
    copy_small_scenario(tmp_path / "scenarios")
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(tiny_config(tiny_model)), encoding="utf-8")
    finished = cli(["--select", "*", "--partition", PARTITION, "--config", str(config)], tmp_path)
    assert finished.returncode == 0, finished.stderr[-3000:]
    report = json.loads((tmp_path / "out" / "records" / "evaluation_report" / f"{PARTITION}.json").read_text("utf-8"))
    assert report["judge"]["n"] > 0
    assert pl.read_parquet(tmp_path / "out" / "tables" / "leaderboard.parquet").height == len(TEST_SPLITS)


def test_stage_by_stage_and_an_unknown_partition_through_the_command_line(tmp_path: Path) -> None:
    copy_small_scenario(tmp_path / "scenarios")
    for asset in ("atomic_table", "template_variants"):
        finished = cli(["--select", asset, "--partition", PARTITION], tmp_path)
        assert finished.returncode == 0, finished.stderr[-3000:]
    unknown = cli(["--select", "atomic_table", "--partition", "nosuch"], tmp_path)
    assert unknown.returncode != 0
    [line] = [text for text in unknown.stderr.splitlines() if "nosuch" in text]
    assert PARTITION in line
    assert "Traceback" not in unknown.stderr
