"""The pages of the documentation are true of the code: what they list, name, link to and tell a person to type."""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import dagster as dg
import pytest
import yaml

from cs_assets.definitions import defs
from cs_assets.families.dialogue.family import Options
from cs_assets.families.intent import IntentOptions
from cs_assets.families.tool_call.family import Settings
from cs_assets.scenario import ATOM_BUNDLES, Counts, ScenarioSpec, load_scenario, scenario_names

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "data/reference", "data/scenarios", "docs")
PAGES = [*ROOT.glob("*.md"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md"))]
# Read where a process starts, so that .env is too late for them.
OF_THE_SHELL = {"DAGSTER_HOME", "PATH"}
IN_CHINESE = {
    ROOT / "README.md": ROOT / "README.zh-CN.md",
    ROOT / "CONTRIBUTING.md": ROOT / "docs" / "zh" / "contributing.md",
    **{
        page: ROOT / "docs" / "zh" / page.relative_to(ROOT / "docs")
        for pattern in ("*.md", "scenarios/*.md", "examples/README.md")
        for page in (ROOT / "docs").glob(pattern)
    },
}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path, kind: str = "") -> list[str]:
    """Return what stands between the fences of a page."""
    found = re.findall(r"^```(\S*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for of, text in found if of == kind]


def commands(page: Path) -> Iterator[list[str]]:
    """Return the commands of a page, as a shell splits them."""
    for block in blocks(page):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"\s*(\.venv/bin/|make |export )", line):
                yield shlex.split(line.strip(), comments=True)


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_slots_of_shipping_are_all_listed(name: str) -> None:
    [listed] = re.findall(
        r"^> 名字\.param\.输出 .*(?:\n> .*)*", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed.replace(">", "").split()) == sorted(load_scenario("address_extraction").slots)


@pytest.mark.parametrize(("name", "required"), [("docs/scenario.md", "required"), ("docs/zh/scenario.md", "必填")])
def test_the_keys_of_scenario_yaml_and_the_slots_of_every_bundle_are_all_listed(name: str, required: str) -> None:
    page = (ROOT / name).read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", page, re.MULTILINE)) == {
        key: required if field.is_required() else f"`{json.dumps(field.default)}`"
        for model in (ScenarioSpec, Counts, Options, IntentOptions, Settings)
        for key, field in model.model_fields.items()
    }
    listed = re.findall(r"^### `(\w+)`\n\n.+\n\n((?:> .+\n)+)", page, re.MULTILINE)
    assert {bundle: sorted(slots.replace(">", "").split()) for bundle, slots in listed} == {
        bundle: sorted(slots) for bundle, slots in ATOM_BUNDLES.items()
    }


def test_no_page_holds_a_placeholder() -> None:
    placeholder = re.compile(r"^\W*(FIGURES|TODO|TBD)\W*$", re.MULTILINE)
    assert len(PAGES) > 10
    assert [named(path) for path in PAGES if placeholder.search(path.read_text(encoding="utf-8"))] == []


def anchors(page: Path) -> set[str]:
    """Return what can be linked to within a page, as GitHub names it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize(("english", "chinese"), IN_CHINESE.items(), ids=lambda path: named(path))
def test_a_page_and_its_chinese_twin_tell_a_person_to_type_the_same(english: Path, chinese: Path) -> None:
    assert chinese.is_file()
    assert list(commands(english)) == list(commands(chinese))
    for kind in ("yaml", "python", "json"):
        assert [bare(block) for block in blocks(english, kind)] == [bare(block) for block in blocks(chinese, kind)]


def bare(block: str) -> str:
    """Return code without its comments, which are in the page's language."""
    return re.sub(r"\s*#.*$", "", block, flags=re.MULTILINE)


def test_the_picture_of_the_chain_is_of_the_assets() -> None:
    graph = defs.resolve_asset_graph()
    pictures = [blocks(ROOT / name, "mermaid") for name in ("README.md", "README.zh-CN.md")]
    assert [len(found) for found in pictures] == [1, 1]
    for [picture] in pictures:
        drawn = re.sub(r'\["[^"]*"\]', "", picture)
        lines = [line.strip() for line in drawn.splitlines() if "-->" in line and "data -->" not in line]
        edges = [pair for line in lines for pair in zip(line.split(" --> "), line.split(" --> ")[1:], strict=False)]
        assert len(edges) == 9
        for above, below in edges:
            earlier = dg.AssetSelection.assets(below).upstream().resolve(graph)
            assert dg.AssetKey(above) in earlier, f"{above} --> {below}"


def test_every_command_of_the_pages_names_what_there_is() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    settings = (ROOT / ".env.example").read_text(encoding="utf-8")
    seen = 0
    for page in PAGES:
        for command in commands(page):
            seen += 1
            said = f"{named(page)}: {shlex.join(command)}"
            if command[0] == "make":
                assert {word for word in command[1:] if "=" not in word} <= targets, said
            elif command[0] == "export":
                names = {word.partition("=")[0] for word in command[1:]} - OF_THE_SHELL
                assert all(name in settings for name in names), said
            elif command[1:3] == ["asset", "materialize"]:
                check_materialize(page, command[3:], said)
            elif command[1] == "-m" and command[2].split(".")[0] in ("cs_assets", "cs_assets_tests", "benchmarks"):
                assert (ROOT / f"{command[2].replace('.', '/')}.py").is_file(), said
            elif command[1].endswith(".py"):
                assert (ROOT / command[1]).is_file(), said
    assert seen > 20


def check_materialize(page: Path, arguments: list[str], said: str) -> None:
    """The assets, the scenario and the run config that a command names are there, or stand on the page."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    for option in ("-m", "--select", "--partition", "--config"):
        parser.add_argument(option)
    asked = parser.parse_args(arguments)
    assert asked.m == "cs_assets.definitions", said
    selection = dg.AssetSelection.from_coercible(asked.select.split(","))
    assert selection.resolve(defs.resolve_asset_graph()), said
    assert asked.partition in (None, "$scenario", *scenario_names()), said  # $scenario: within a loop of the shell
    if asked.config and (ROOT / asked.config).is_file():
        keys = yaml.safe_load((ROOT / asked.config).read_text(encoding="utf-8"))
        assert set(keys) in ({"ops"}, {"execution"}, {"ops", "execution"}), said
    elif asked.config and not asked.config.startswith("data/out/"):
        written = [block for block in blocks(page, "yaml") if block.startswith(f"# {asked.config}")]
        assert written, f"{said}: no example on the page begins with # {asked.config}"
        for block in written:
            assert dg.validate_run_config(defs.resolve_implicit_global_asset_job_def(), yaml.safe_load(block)), said
