"""What families read from YAML: every mistake is named with its file and its line or key."""

import itertools
import shutil
import traceback
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
    assert len("".join(traceback.format_exception(error.value)).splitlines()) < 100
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


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("!!float ''", "'' is no float"),
        ("!!int ''", "'' is no int"),
        ("!!int many", "'many' is no int"),
        ("!!timestamp abc", "'abc' is no timestamp"),
        ("!!timestamp {=: ''}", "is no timestamp"),
        ("!!bool abc", "'abc' is no bool"),
        ("2024-13-45", "'2024-13-45' is no timestamp"),
        ("1:" * 200 + "0.5", "is no float"),
    ],
)
def test_a_value_that_is_not_of_its_tag_is_named_with_its_line(tmp_path: Path, value: str, complaint: str) -> None:
    said = complaint_about(tmp_path, f"shelves: {{}}\ntitle: {value}\n")
    assert "shop.yaml, line 2: not YAML: " in said
    assert f"{complaint}. Put quotes around what is a text." in said


def test_an_escape_that_stands_for_no_character_is_named(tmp_path: Path) -> None:
    assert "not YAML" in complaint_about(tmp_path, r'title: "\U00110000"')
    assert "not YAML" in complaint_about(tmp_path, r'title: "\UFFFFFFFF"')


# Nine of nine of nine ...: as text, four billion characters.
LAUGHS = "a: &a [" + ",".join(["x"] * 9) + "]\n"
LAUGHS += "".join(f"{name}: &{name} [{','.join([f'*{of}'] * 9)}]\n" for of, name in itertools.pairwise("abcdefghi"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (LAUGHS, "not YAML: more than 1000000 characters, each alias counted as what it stands for."),
        (f"{LAUGHS}title: *i\n", "not YAML: more than 1000000 characters"),
        ("title: 店\nshelves: &all {a: *all}\n", "line 2: not YAML: an alias stands for what it is a part of."),
        ("title: 店\nshelves: &all [*all]\n", "line 2: not YAML: an alias stands for what it is a part of."),
        ("title: " + "x" * 50_000_000, "50000007 characters; at most 200000 are allowed."),
        ("title: 店\n# " + "x" * 50_000_000, "characters; at most 200000 are allowed."),
        ("[" * 20_000, "values are nested too deeply."),
        ("title: " + "[" * 3_000 + "]" * 3_000, "values are nested too deeply."),
        ("\n".join(" " * depth + "a:" for depth in range(600)), "values are nested too deeply."),
        (f"title: {'9' * 5_000}\n", "99 is no int. Put quotes around what is a text."),
        (f"title: 0x{'f' * 5_000}\n", "key 'title': Input should be a valid string (found a number of thousands of"),
        ("!!python/object/apply:os.system ['touch executed']", "line 1: not YAML: could not determine a constructor"),
        ("title: !!python/name:os.system", "line 1: not YAML: could not determine a constructor"),
        ("title: '\x1b[31m'", "not YAML: unacceptable character #x001b"),
    ],
    ids=lambda text: text[:24],
)
def test_what_would_fill_the_memory_or_run_something_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    said = complaint_about(tmp_path, text)
    assert complaint in said
    assert len(said) < 500


def test_a_large_value_in_the_wrong_place_is_not_shown_whole(tmp_path: Path) -> None:
    said = complaint_about(tmp_path, f"title: [{'甲' * 90_000}]\n" + "".join(f"k{n}: 1\n" for n in range(5_000)))
    assert "key 'title': Input should be a valid string (found ['甲甲" in said
    assert said.endswith("and 4981 more.")
    assert len(said) < 5_000


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
