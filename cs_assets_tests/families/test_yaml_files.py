"""What families read from YAML: every mistake is named with its file and its line or key."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.registry import FAMILIES
from cs_assets.families.yaml_files import read_options, read_yaml
from cs_assets.scenario import load_scenario
from cs_assets_tests.conftest import SCENARIOS


class Shelf(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str
    width: int = 1


class Shop(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    shelves: dict[str, Shelf] = {}


def complaint_about(folder: Path, text: str) -> str:
    """Read a text as the file of a shop and return what is said of it."""
    (folder / "shop.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as error:
        read_yaml(Definition(folder, frozenset()), "shop.yaml", Shop)
    assert str(folder / "shop.yaml") in str(error.value)
    return str(error.value)


def test_what_fits_is_read(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("title: 店\nshelves: {a: &a {label: 甲}, b: {<<: *a, width: 2}}", "utf-8")
    shop = read_yaml(Definition(tmp_path, frozenset()), "shop.yaml", Shop)
    assert shop == Shop(title="店", shelves={"a": Shelf(label="甲"), "b": Shelf(label="甲", width=2)})


@pytest.mark.parametrize(
    ("scenario", "name", "key"),
    [
        ("shop_knowledge", "schema.yaml", "kinds"),
        ("empathetic_reply", "policy.yaml", "length"),
        ("self_identity", "facts.yaml", "length"),
        ("intent_routing", "classes.yaml", "classes"),
        ("repair_workflow", "workflow.yaml", "max_steps"),
        ("ticket_tools", "parameters.yaml", "shapes"),
    ],
)
def test_a_doubled_key_in_a_file_of_a_family_is_named(tmp_path: Path, scenario: str, name: str, key: str) -> None:
    folder = tmp_path / scenario
    shutil.copytree(SCENARIOS / scenario, folder)
    text = (folder / name).read_text(encoding="utf-8").rstrip("\n") + f"\n{key}: []\n"
    (folder / name).write_text(text, encoding="utf-8")
    known = load_scenario(scenario)
    with pytest.raises(ScenarioError) as error:
        FAMILIES[known.spec.family](Definition(folder, known.slots, known.spec.options))
    assert f"{folder / name}, line {len(text.splitlines())}: not YAML: the key {key!r} stands twice." in str(
        error.value
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("title: 店\nshelves:\n  a: {label: 甲, label: 乙}\n", "line 3: not YAML: the key 'label' stands twice."),
        ("title: 店\nshelves: {{电话}}\n", "line 2: not YAML: found unhashable key"),
        ("title: [店\n", "line 2: not YAML: expected ',' or ']'"),
        ("", "found NoneType, expected keys such as title, shelves."),
        ("- 店\n", "found list, expected keys such as title, shelves."),
        ("shelves: {}\n", "key 'title' is missing."),
        ("title: 店\nowner: 我\n", "unknown key 'owner'; allowed are shelves, title."),
        ("title: 店\nshelves: {a: {label: 甲, with: 2}}\n", "unknown key 'shelves.a.with'; allowed are label, width."),
        ("title: 店\nshelves: {a: {label: 甲, width: 宽}}\n", "key 'shelves.a.width': Input should be a valid integer"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in complaint_about(tmp_path, text)


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    assert len(complaint_about(tmp_path, "owner: 我\nshelves: 3\n").splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"label": 3}, "key 'label': Input should be a valid string"), ({}, "key 'label' is missing")],
)
def test_a_wrong_option_is_named_as_it_stands_in_the_scenarios_file(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        read_options(Definition(Path("shop"), frozenset(), options), Shelf)
    assert f"{Path('shop') / 'scenario.yaml'}: options: {complaint}" in str(error.value)


@pytest.mark.parametrize(
    "name", ["address_extraction", "empathetic_reply", "repair_workflow", "self_identity", "shop_knowledge"]
)
def test_a_family_without_options_refuses_them(name: str) -> None:
    scenario = load_scenario(name)
    with pytest.raises(ScenarioError, match=r"scenario\.yaml: options: unknown key 'forms'; allowed are none"):
        FAMILIES[scenario.spec.family](Definition(scenario.folder, scenario.slots, {"forms": "xml"}))
