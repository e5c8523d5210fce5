"""What both READMEs list is what the code has."""

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
