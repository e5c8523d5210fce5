"""`make scenario`: for every family a folder that validates and materializes; a bad name makes nothing."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from cs_assets.automation import twin_job
from cs_assets.definitions import build_defs
from cs_assets.families.definition import ScenarioError
from cs_assets.families.registry import FAMILIES
from cs_assets.new_scenario import EXAMPLES, new_scenario
from cs_assets.scenario import load_scenario, scenario_names
from resources.store import Store, io_managers
from resources.tracking import Tracking


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CS_SCENARIOS", str(tmp_path / "scenarios"))
    return tmp_path / "scenarios"


def test_every_family_has_an_example_of_its_own() -> None:
    assert set(EXAMPLES) == set(FAMILIES)
    committed = Path(__file__).resolve().parent.parent / "data" / "scenarios"
    families = {
        name: yaml.safe_load((committed / name / "scenario.yaml").read_text(encoding="utf-8"))["family"]
        for name in EXAMPLES.values()
    }
    assert families == {example: family for family, example in EXAMPLES.items()}


@pytest.mark.parametrize("family", sorted(EXAMPLES))
def test_the_data_of_a_new_scenario_materialize(folder: Path, tmp_path: Path, family: str) -> None:
    made = new_scenario("order_return", family)
    text = (made / "scenario.yaml").read_text(encoding="utf-8")
    assert text.startswith("# order_return: begun with what ")
    head, body = text.partition("family:")[::2]
    assert all(len(line) <= 120 for line in head.splitlines())
    assert all((made / word.rstrip(":")).exists() for word in re.findall(r"^# \d+\. (\S+):", head, re.MULTILINE)[:-1])
    comments = [line for line in body.splitlines() if "# " in line]
    assert comments, "the example's comments are kept"
    scenario = load_scenario("order_return")
    assert scenario.spec.title == "order_return"
    assert scenario.real_style() == ([], [])
    assert not scenario.examples()[1]
    store = str(tmp_path / "out")
    defs = build_defs(
        {"store": Store(root=store), "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"), **io_managers(store)}
    )
    few = {"judge": 8, "train": 24, "validation": 4, "test_iid": 4, "test_template_ood": 4} | {
        "test_entity_ood": 4,
        "test_noise": 4,
    }
    config = {
        "ops": {
            "atomic_table": {"config": {"rows": 600}},
            "template_variants": {"config": {"variants_per_seed": 1}},
            "rendered_samples": {"config": few},
        }
    }
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_job_def(twin_job.name)
        result = job.execute_in_process(partition_key="order_return", run_config=config, instance=instance)
    assert result.success
    assert result.output_for_node("labelled_samples").height >= sum(few.values())


def test_a_folder_without_units_begins_with_a_few_seeds(folder: Path) -> None:
    new_scenario("order_return", "extraction")
    assert [seed.partition("_")[0] for seed in sorted(load_scenario("order_return").seeds())] == [
        f"{number:02}" for number in range(1, 13)
    ]


@pytest.mark.parametrize("name", ["2024", "no", "null", "1e3", "订单退货", "_", "0x1F"])
def test_a_name_that_yaml_would_read_otherwise_is_one(folder: Path, name: str) -> None:
    new_scenario(name, "extraction")
    assert load_scenario(name).spec.title == name


@pytest.mark.parametrize("name", ["../../x", "a/b", "", ".hidden", "a" * 65, "two words", "-x", "x\n"])
def test_a_name_that_is_none_makes_nothing(folder: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ScenarioError, match=r"^NAME=.*: letters, digits"):
        new_scenario(name, "extraction")
    assert not list(tmp_path.rglob("*"))


def test_a_taken_name_and_an_unknown_family_are_told(folder: Path) -> None:
    new_scenario("收货", "intent")
    assert scenario_names() == ["收货"]
    with pytest.raises(ScenarioError, match="is there already"):
        new_scenario("收货", "intent")
    with pytest.raises(ScenarioError, match="FAMILY='extract' is none; there are: dialogue, extraction,"):
        new_scenario("other", "extract")
    assert sorted(path.name for path in folder.iterdir()) == ["收货"]


def test_the_command_tells_what_comes_next_or_what_is_wrong(folder: Path) -> None:
    command = [sys.executable, "-m", "cs_assets.new_scenario", "order_return", "--family"]
    made = subprocess.run([*command, "extraction"], capture_output=True, text=True, timeout=60)
    assert made.returncode == 0
    assert "--partition order_return" in made.stdout
    wrong = subprocess.run([*command, "nosuch"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 1
    assert "Traceback" not in wrong.stderr
