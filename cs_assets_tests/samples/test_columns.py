"""Rendering by column gives what rendering by row gives."""

from typing import Any

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import ColumnFamily
from cs_assets.families.syntax import SentenceTemplate, boundary_is_lost, parse_template
from cs_assets.samples.columns import ColumnRenderer
from cs_assets.scenario import Scenario
from cs_assets_tests.conftest import rendered_alone

VALUES = st.text(st.sampled_from("张三1９3 \x1c\"\\'广东省-转*０"), max_size=12)
SLOTS = (
    "名字.param.输出",
    "电话",
    "邮编",
    "地址.param.省",
    "地址.param.市",
    "地址.param.县",
    "详细地址",
    "含地区的详细地址",
)


def by_row(scenario: Scenario, template: SentenceTemplate, atoms: dict[str, Any]) -> tuple[str, str, bool]:
    rendered = rendered_alone(scenario, template, atoms)
    lost = boundary_is_lost(rendered.turns[0].segments)
    return rendered.message, rendered.answer, not lost and not scenario.family.verify(rendered.sample)


def nested(values: list[str]) -> dict[str, Any]:
    name, phone, postcode, province, city, county, detail, whole = values
    return {
        "名字": {"param": {"输出": name}},
        "电话": phone,
        "邮编": postcode,
        "地址": {"param": {"省": province, "市": city, "县": county}},
        "详细地址": detail,
        "含地区的详细地址": whole,
    }


@given(
    values=st.lists(st.lists(VALUES, min_size=8, max_size=8), min_size=1, max_size=4),
    shown=st.lists(st.sampled_from(SLOTS), min_size=1, max_size=5),
    word=st.text(st.sampled_from("，电话1 "), max_size=3),
)
def test_good_samples_are_those_of_the_rows_whatever_the_values(
    scenario: Scenario, values: list[list[str]], shown: list[str], word: str
) -> None:
    assert isinstance(scenario.family, ColumnFamily)
    template = parse_template(word.join("{{" + slot + "}}" for slot in shown), "t", scenario.slots)
    rows = [nested(row) for row in values]
    picks = np.zeros(len(rows), dtype=np.int64)
    found = ColumnRenderer(scenario.family, [template]).render(picks, pl.DataFrame(rows)).rows()
    for (message, answer, good), atoms in zip(found, rows, strict=True):
        wanted = by_row(scenario, template, atoms)
        assert message == wanted[0]
        if good:
            assert (answer, good) == wanted[1:]
        else:  # broken by row as well, or in need of an escape, which is made by row
            assert not wanted[2] or any(sign in wanted[1] for sign in "\\") or any(ord(sign) < 32 for sign in message)


def test_rows_keep_their_order_and_get_their_own_template(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: pl.DataFrame
) -> None:
    assert isinstance(scenario.family, ColumnFamily)
    picks = np.random.default_rng(1).integers(0, len(seeds), 400)
    table = ColumnRenderer(scenario.family, seeds).render(picks, atoms.head(400))
    wanted = [by_row(scenario, seeds[pick], row) for pick, row in zip(picks, atoms.head(400).to_dicts(), strict=True)]
    assert table.rows() == wanted
    assert 0.9 < table["good"].mean() <= 1  # type: ignore[operator]
