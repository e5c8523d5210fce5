"""The gate open and closed, and who is champion, as Dagster runs it: folder, version, alias, and what a kill leaves."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from filelock import FileLock, Timeout
from huggingface_hub import ModelCard
from mlflow import MlflowClient

from cs_assets.evaluation import predicting
from cs_assets.evaluation.gate import GATE_SPLIT
from cs_assets.evaluation.reporting import EvaluationReport, make_report
from cs_assets.evaluation.retention import Retention
from cs_assets.quality.filtering import filter_samples
from cs_assets.release import assets
from cs_assets.release.assets import release
from cs_assets.release.packaging import Release
from cs_assets.scenario import Scenario
from cs_assets.statistics import Interval
from cs_assets.training.splits import TEST_SPLITS
from cs_assets_tests.conftest import copy_small_scenario
from cs_assets_tests.given_asset import given
from cs_assets_tests.release.conftest import Train
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, io_managers
from resources.tracking import Tracking, run_id_of

NAME, OTHER = "address_extraction", "another_extraction"
SHARE = Interval(mean=0.9, low=0.8, high=1.0, n=20)
KEPT = Retention(base=SHARE, tuned=SHARE, difference=Interval(mean=0, low=0, high=0, n=20), kinds={})
TRUSTED = {"auc": 0.9, "auc_after_rules": 0.8, "p_value_after_rules": 0.001, "threshold": 0.5}
FORGOTTEN = KEPT.model_copy(update={"difference": Interval(mean=-0.5, low=-0.6, high=-0.4, n=20)})


class Killed(Exception):
    """The machine went away."""


class Releases:
    """Materializes `release` for adapters and answers made by hand, in one store with one registry."""

    def __init__(
        self,
        root: Path,
        base: Path,
        trained: Path,
        scenario: Scenario,
        splits: pl.DataFrame,
        labelled: pl.DataFrame,
        store: str = "",
    ) -> None:
        self.store = Store(root=store or str(root / "out"))
        self.tracking = Tracking(uri=f"sqlite:///{root}/mlflow.db")
        self.client = MlflowClient(self.tracking.uri)
        self._resources = {
            "store": self.store,
            "tracking": self.tracking,
            "base_models": BaseModels(cache=str(root / "models")),
            **io_managers(self.store.root),
        }
        self.base, self._trained = base, trained
        self._scenario, self.splits = scenario, with_more_cases(splits)
        self.filtered = filter_samples(labelled, {}, 0.0)

    def adapter(self, name: str, scenario: str = NAME) -> ModelFolder:
        """Return the model folder of an adapter that bears a name in itself."""

        def make(folder: Path, work: Path) -> dict[str, float]:
            for path in self._trained.iterdir():
                (folder / path.name).write_bytes(path.read_bytes())
            (folder / "name.txt").write_text(name, encoding="utf-8")
            return {}

        base = BaseModels().resolve(str(self.base), print)
        return self.store.cached_model(
            "lora_adapter", scenario, f"{name:0<64}", base.name, make, base_identity=base.identity
        )[0]

    def answers(self, adapter: ModelFolder, wrong: dict[str, int]) -> pl.DataFrame:
        """Return predictions: the base is always wrong, the tuned model in so many cases of a split."""
        cases = predicting.test_cases(self.splits)
        place = pl.int_range(pl.len()).over("split")
        said = cases.with_columns(
            said=pl.when(place < pl.col("split").replace_strict(wrong, default=0))
            .then(pl.lit("{}"))
            .otherwise(pl.col("answer"))
        )["said"]
        tables = [
            predicting.score_predictions(self._scenario, "base", cases, ["{}"] * cases.height),
            predicting.score_predictions(self._scenario, "tuned", cases, said.to_list()),
        ]
        told = pl.when(pl.col("model") == "tuned").then(pl.lit(adapter.fingerprint)).otherwise(pl.lit(""))
        return pl.concat(tables).with_columns(adapter=told)

    def run(
        self,
        adapter: str = "a",
        wrong: dict[str, int] | None = None,
        scenario: str = NAME,
        changed: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **config: Any,
    ) -> dg.ExecuteInProcessResult:
        """Materialize the release of an adapter.

        Args:
            adapter: its name.
            wrong: in how many cases of each split it is wrong; None: in none.
            scenario: the partition.
            changed: what the report says otherwise.
            inputs: what the stages before made otherwise.
            config: run config.
        """
        model = self.adapter(adapter, scenario)
        predictions = self.answers(model, wrong or {})
        report = make_report(scenario, predictions, TRUSTED, {}, adapter=model.fingerprint, retention=KEPT)
        values: dict[str, Any] = {
            "evaluation_report": report.model_copy(update=changed or {}),
            "predictions": predictions,
            "lora_adapter": model,
            "training_splits": self.splits,
            "filtered_samples": self.filtered,
            "atomic_table": pl.DataFrame({"电话": ["1", "2"]}),
        }
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [*(given(name, value) for name, value in (values | (inputs or {})).items()), release],
                partition_key=scenario,
                resources=self._resources,
                run_config={"ops": {"release": {"config": config}}},
                instance=instance,
                raise_on_error=False,
            )

    def champion(self, scenario: str = NAME) -> Any:
        return self.client.get_model_version_by_alias(scenario, "champion")

    def folder(self, version: Any) -> Path:
        """Return the released folder of a version of MLflow's."""
        return Path(version.tags["cs_assets.folder"])

    def versions(self) -> int:
        return len(self.client.search_model_versions(f"name = '{NAME}'"))


def with_more_cases(splits: pl.DataFrame) -> pl.DataFrame:
    """Return the splits with each test message a second time, a bit changed: enough to compare two models by."""
    tested = splits.filter(pl.col("split").is_in(TEST_SPLITS))
    again = tested.with_columns(pl.col("message") + "。。", pl.col("sample_id") + "-again")
    return pl.concat([splits, again])


def seen(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    [event] = result.asset_materializations_for_node("release")
    return {name: value.value for name, value in event.metadata.items()}


def decided(result: dg.ExecuteInProcessResult) -> Release:
    return result.output_for_node("release")


def named(folder: str | Path) -> str:
    """Return the name of the adapter in a released folder."""
    return (Path(folder) / "adapter" / "name.txt").read_text(encoding="utf-8")


@pytest.fixture
def releases(
    tmp_path: Path,
    base: Path,
    train: Train,
    scenarios: Path,
    scenario: Scenario,
    splits: pl.DataFrame,
    labelled: pl.DataFrame,
) -> Releases:
    own = Path(shutil.copytree(base, tmp_path / "base"))
    return Releases(tmp_path, own, train(), scenario, splits, labelled)


@pytest.fixture
def in_bucket(
    bucket: str, releases: Releases, tmp_path: Path, scenario: Scenario, splits: pl.DataFrame, labelled: pl.DataFrame
) -> Releases:
    """The same with the store in an object store."""
    return Releases(tmp_path, releases.base, tmp_path / "trained", scenario, splits, labelled, f"{bucket}/prefix")


def test_a_gain_is_packed_registered_and_champion(releases: Releases) -> None:
    result = releases.run(merge=True)
    made, metadata = decided(result), seen(result)
    folder = Path(metadata["folder"])
    assert named(folder) == "a"
    assert metadata["holds"] == "Modelfile, README.md, adapter, manifest.json, merged, test_cases.parquet, vllm.sh"
    card = ModelCard.load(folder / "README.md")
    assert card.data.language == "zh"
    assert metadata["model_card"] == card.content
    champion = releases.champion()
    assert releases.folder(champion) == folder.absolute()
    assert made == Release(
        passed=True,
        reasons=[],
        folder=made.folder,
        registered_model=NAME,
        version=str(champion.version),
        champion=True,
    )
    assert releases.store.location(made.folder) == folder
    told = {key: metadata[key] for key in ("passed", "reasons", "registered_model", "version", "champion", "outcome")}
    assert told == {
        "passed": True,
        "reasons": "none",
        "registered_model": NAME,
        "version": "1",
        "champion": True,
        "outcome": f"{NAME} version 1 is champion",
    }
    assert run_id_of(metadata["mlflow_run"]) == champion.run_id


def test_a_release_in_a_bucket_is_registered_by_its_url_and_served_from_a_copy(
    in_bucket: Releases, scenarios: Path, tmp_path: Path
) -> None:
    copy_small_scenario(scenarios / "copy")
    (scenarios / "copy" / NAME).rename(scenarios / OTHER)
    (scenarios / "copy").rmdir()
    other, first = in_bucket.run("c", scenario=OTHER), in_bucket.run("a", {"test_iid": 1})
    better, worse, again = in_bucket.run("b"), in_bucket.run("d", {"test_iid": 1}), in_bucket.run("b")
    told = [(decided(result).version, decided(result).champion) for result in (first, better, worse, again)]
    assert told == [("1", True), ("2", True), ("3", False), ("2", True)]
    folder = in_bucket.store.location(decided(better).folder)
    assert seen(better)["folder"] == in_bucket.champion().tags["cs_assets.folder"] == str(folder)
    assert seen(better)["holds"] == "README.md, adapter, manifest.json, test_cases.parquet, vllm.sh"
    assert seen(again)["cache"] == "hit"
    folder.fs.get(f"{in_bucket.store.location('models', 'release').path}/", f"{tmp_path}/here/", recursive=True)
    for result in (other, better, worse):
        copy = tmp_path / "here" / Path(decided(result).folder).relative_to("models/release")
        script = (copy / "vllm.sh").read_text(encoding="utf-8")
        served = [line.strip(" \\") for line in script.splitlines() if '="$here"/' in line]
        places = {name: copy / path for name, path in (entry.split('="$here"/') for entry in served)}
        mine = "d" if result is worse else "b"
        assert {name: named(place.resolve().parent) for name, place in places.items()} == {NAME: mine, OTHER: "c"}


def test_a_closed_gate_registers_nothing_and_leaves_the_champion(releases: Releases) -> None:
    releases.run("a")
    moved = releases.adapter("b").model_copy(update={"base_identity": "another"})
    answers = releases.answers(moved.model_copy(update={"fingerprint": "c" * 64}), {})
    tested = releases.splits.filter(split="test_iid").head(1)
    leaking = pl.concat([releases.splits, tested.with_columns(split=pl.lit("train"))])
    closed = [
        (releases.run("b", {GATE_SPLIT: 8}), f"exact match on {GATE_SPLIT}: tuned 0.0 %"),
        (releases.run("b", {GATE_SPLIT: 1}, minimum=0.9), f"exact match on {GATE_SPLIT}: 0.875 is below"),
        (releases.run("b", changed={"retention": FORGOTTEN}), "general questions: the tuned model dropped"),
        (releases.run("b", changed={"judge": TRUSTED | {"auc_after_rules": 0.45}}), "the judge rejects samples"),
        (releases.run("b", changed={"adapter": "c" * 64}), "the report is of the adapter cccc"),
        (releases.run("b", inputs={"filtered_samples": releases.filtered.head(0)}), "0% of 0 training samples"),
        (releases.run("b", inputs={"training_splits": leaking}), "test_iid: "),
        (releases.run("b", inputs={"predictions": answers}), f"the predictions are of the adapter {'c' * 16}"),
        (releases.run("b", inputs={"lora_adapter": moved}), f"the base {releases.base} is "),
    ]
    for result, wanted in closed:
        metadata, reasons = seen(result), decided(result).reasons
        assert reasons[0].startswith(wanted)
        told = (metadata["passed"], metadata["champion"], metadata["reasons"])
        assert told == (False, False, "; ".join(reasons))
        assert (metadata["version"], metadata["outcome"]) == ("none", "gate closed")
    assert (releases.versions(), releases.champion().version) == (1, 1)


def test_a_prompt_that_the_model_never_saw_is_not_released(releases: Releases, scenarios: Path) -> None:
    spec = scenarios / NAME / "scenario.yaml"
    changed = spec.read_text(encoding="utf-8").replace("\ninstruction: ", "\ninstruction: 你好，")
    spec.write_text(changed, encoding="utf-8")
    [reason] = decided(releases.run()).reasons
    assert reason.startswith("scenario.yaml gives another prompt")
    assert releases.versions() == 0


def test_one_that_is_worse_than_the_champion_gets_a_version_and_no_alias(releases: Releases) -> None:
    releases.run("a")
    result = releases.run("b", {"test_iid": 1})
    made, metadata = decided(result), seen(result)
    [reason] = made.reasons
    assert reason.startswith("exact match on the 38 test cases of both: 97.4 %")
    assert (made.passed, made.champion, made.version) == (True, False, "2")
    assert metadata["outcome"] == f"{NAME} version 2 is not champion"
    assert (releases.versions(), releases.champion().version) == (2, 1)
    assert named(metadata["folder"]) == "b"


def test_a_better_one_takes_the_alias_and_the_old_one_keeps_its_version(releases: Releases) -> None:
    releases.run("a", {"test_iid": 1})
    result = releases.run("b")
    assert (decided(result).version, decided(result).champion) == ("2", True)
    assert (releases.versions(), releases.champion().version) == (2, 2)
    [old] = [v for v in releases.client.search_model_versions(f"name = '{NAME}'") if v.version == 1]
    assert named(releases.folder(old)) == "a"


def test_a_champion_that_cannot_be_compared_stays(releases: Releases) -> None:
    first = releases.run("a")
    (Path(seen(first)["folder"]) / "test_cases.parquet").unlink()
    result = releases.run("b")
    assert not decided(result).champion
    assert "nothing can be compared" in seen(result)["reasons"]
    assert releases.champion().version == 1


def test_releases_that_are_as_good_take_turns_and_keep_their_versions(releases: Releases) -> None:
    versions = []
    for adapter in ("a", "b", "a"):
        result = releases.run(adapter)
        versions.append(decided(result).version)
        assert seen(result)["champion"]
        assert str(releases.champion().version) == versions[-1]
        assert named(releases.folder(releases.champion())) == adapter
    assert versions == ["1", "2", "1"]
    assert seen(result)["cache"] == "hit"
    assert releases.versions() == 2


def test_every_champion_is_served_with_the_newest_of_the_others(releases: Releases, scenarios: Path) -> None:
    copy_small_scenario(scenarios / "copy")
    (scenarios / "copy" / NAME).rename(scenarios / OTHER)
    (scenarios / "copy").rmdir()
    folders = {}
    for scenario, adapter in ((NAME, "a"), (OTHER, "c"), (NAME, "b")):
        folders[adapter] = Path(seen(releases.run(adapter, scenario=scenario))["folder"])
    for adapter in ("b", "c"):
        script = (folders[adapter] / "vllm.sh").read_text(encoding="utf-8")
        served = [line.strip(" \\") for line in script.splitlines() if '="$here"/' in line]
        places = {name: folders[adapter] / path for name, path in (entry.split('="$here"/') for entry in served)}
        assert {name: named(place.resolve().parent) for name, place in places.items()} == {NAME: "b", OTHER: "c"}


def test_champions_on_weights_that_were_exchanged_since_are_not_served_together(
    releases: Releases, scenarios: Path
) -> None:
    copy_small_scenario(scenarios / "copy")
    (scenarios / "copy" / NAME).rename(scenarios / OTHER)
    (scenarios / "copy").rmdir()
    releases.run("a", scenario=OTHER)
    os.utime(releases.base / "model.safetensors", (1, 1))
    script = (Path(seen(releases.run("b"))["folder"]) / "vllm.sh").read_text(encoding="utf-8")
    assert f'{NAME}="$here"/' in script
    assert f'{OTHER}="$here"/' not in script


def test_what_mlflow_tells_of_the_training_and_what_the_gate_asks_make_no_other_release(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = releases.run()
    monkeypatch.setattr(Tracking, "parameters_of", lambda self, url: {"seed": "18"})
    second = releases.run(minimum=0.5)
    assert (seen(second)["cache"], decided(second)) == ("hit", decided(first))
    assert releases.versions() == 1
    assert seen(releases.run(merge=True))["cache"] == "miss"


def test_a_release_that_was_there_tells_the_newest_figures(releases: Releases) -> None:
    first = releases.run()
    half = KEPT.model_copy(update={"tuned": Interval(mean=0.85, low=0.75, high=0.95, n=20)})
    second = releases.run(changed={"retention": half})
    assert (seen(second)["cache"], seen(second)["folder"]) == ("hit", seen(first)["folder"])
    card = (Path(seen(second)["folder"]) / "README.md").read_text(encoding="utf-8")
    assert f"General questions: {half}." in card
    assert f"General questions: {KEPT}." in seen(first)["model_card"]
    assert card == seen(second)["model_card"]
    assert seen(second)["holds"] == seen(first)["holds"]


def test_one_release_at_a_time_asks_who_is_champion_and_writes_what_is_served(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = Path(releases.store.root) / "models" / "release" / ".lock"
    held = []

    def watched(step: str, whole: Any) -> Any:
        def watching(*arguments: Any) -> Any:
            try:
                with FileLock(lock, timeout=0):
                    held.append((step, False))
            except Timeout:
                held.append((step, True))
            return whole(*arguments)

        return watching

    for step in ("version_of", "take_alias"):
        monkeypatch.setattr(Tracking, step, watched(step, getattr(Tracking, step)))
    monkeypatch.setattr(assets, "write_vllm_script", watched("serve", assets.write_vllm_script))
    assert decided(releases.run()).champion
    assert {step for step, _ in held} == {"version_of", "take_alias", "serve"}
    assert all(locked for _, locked in held)
    with FileLock(lock, timeout=0):
        pass


@pytest.mark.parametrize("step", ["register", "set_alias"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_release_killed_after_its_folder_is_registered_once_by_the_next_run(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    def killed(*arguments: Any) -> None:
        if moment == "after":
            whole(*arguments)
        raise Killed

    whole = getattr(Tracking, step)
    with monkeypatch.context() as patch:
        patch.setattr(Tracking, step, killed)
        assert not releases.run().success
    for version in releases.client.search_model_versions(f"name = '{NAME}'"):
        assert releases.folder(version).is_dir()
    result = releases.run()
    assert (seen(result)["cache"], decided(result).version) == ("hit", "1")
    assert (releases.versions(), releases.champion().version) == (1, 1)


def test_a_release_killed_before_its_folder_is_whole_registers_nothing(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path, target: Path) -> None:
        raise Killed

    releases.adapter("a")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        assert not releases.run().success
    assert releases.versions() == 0
    assert list((Path(releases.store.root) / "models" / "release" / NAME).iterdir()) == []
    assert decided(releases.run()).version == "1"


def test_a_version_that_was_deleted_from_the_registry_is_registered_again(releases: Releases) -> None:
    releases.run()
    releases.client.delete_registered_model(NAME)
    result = releases.run()
    assert (seen(result)["cache"], decided(result).version, releases.champion().version) == ("hit", "1", 1)


def test_a_released_adapter_names_no_place_of_this_machine(releases: Releases) -> None:
    folder = Path(seen(releases.run())["folder"])
    config = json.loads((folder / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == releases.base.name
    assert str(releases.base) not in (folder / "README.md").read_text(encoding="utf-8")


def test_a_family_that_is_judged_otherwise_opens_the_gate_with_its_own_metric(releases: Releases) -> None:
    """Not one answer is exact, as in `reply`; field accuracy is what counts, and it is clear."""
    adapter = releases.adapter("a")
    answers = releases.answers(adapter, {})
    tuned = pl.col("model") == "tuned"
    answers = answers.with_columns(
        exact=pl.lit(0.0), field_accuracy=pl.when(tuned).then(pl.lit(0.8)).otherwise(pl.lit(0.3))
    )
    report: EvaluationReport = make_report(
        NAME, answers, {}, {}, headline="field_accuracy", adapter=adapter.fingerprint, retention=KEPT
    )
    opened = releases.run(inputs={"predictions": answers, "evaluation_report": report})
    assert decided(opened).champion
    assert "It is judged by its field accuracy." in seen(opened)["model_card"]
    exact = report.model_copy(update={"headline": "exact"})
    closed = releases.run(inputs={"predictions": answers, "evaluation_report": exact})
    assert decided(closed).reasons[0].startswith(f"exact match on {GATE_SPLIT}: tuned 0.0 %")
