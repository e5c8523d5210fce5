"""What both READMEs list is what the code has, and no page of the documentation is left unfinished."""

import re
from pathlib import Path

import pytest

from cs_assets.scenario import load_scenario

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_slots_of_shipping_are_all_listed(name: str) -> None:
    [listed] = re.findall(
        r"^> 名字\.param\.输出 .*(?:\n> .*)*", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(listed.replace(">", "").split()) == sorted(load_scenario("address_extraction").slots)


def test_no_page_holds_a_placeholder() -> None:
    folders = ("benchmarks", "data/reference", "data/scenarios", "docs")
    ours = [*ROOT.glob("*.md"), *(path for folder in folders for path in (ROOT / folder).rglob("*.md"))]
    placeholder = re.compile(r"^\W*(FIGURES|TODO|TBD)\W*$", re.MULTILINE)
    assert len(ours) > 10
    assert [str(path) for path in ours if placeholder.search(path.read_text(encoding="utf-8"))] == []
