"""Column expressions say the same as Jinja2, row by row."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.columns import compile_template, slot_columns
from cs_assets.families.syntax import SentenceTemplate, TemplateError, boundary_is_lost, parse_template

SLOTS = ("电话", "邮编", "地址.param.省")
VALUES = st.text(st.sampled_from("张1９Bｂ \n\u3000\x1c\u00b2{}\"'\\<&，"), max_size=4)
WORDS = st.text(st.sampled_from("电话7G \n，：{}%#|\"'\\<&"), max_size=4)
FILTERS = st.sampled_from(["", " | trim", "|trim", " | trim | trim", " | tojson"])


@st.composite
def templates(draw: st.DrawFn) -> SentenceTemplate | None:
    text = draw(WORDS)
    for slot in draw(st.lists(st.sampled_from(SLOTS), min_size=1, max_size=4)):
        text += "{{" + draw(st.sampled_from(["", " "])) + slot + draw(FILTERS) + " }}" + draw(WORDS)
    try:
        return parse_template(text, "drawn", frozenset(SLOTS))
    except TemplateError:
        return None


def rows(values: list[tuple[str, str, str]]) -> list[dict[str, Any]]:
    return [{"电话": a, "邮编": b, "地址": {"param": {"省": c}}} for a, b, c in values]


@given(template=templates(), values=st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=1, max_size=5))
def test_a_plain_template_renders_as_jinja_does(
    template: SentenceTemplate | None, values: list[tuple[str, str, str]]
) -> None:
    compiled = template and compile_template(template)
    if not template or not compiled:
        return
    columns = slot_columns(pl.DataFrame(rows(values)), SLOTS, [compiled])
    found = columns.select(message=compiled.message, lost=compiled.lost).rows()
    segments = [template.render(row) for row in rows(values)]
    assert found == [("".join(s.text for s in row), boundary_is_lost(row)) for row in segments]


@pytest.mark.parametrize("text", ["{{电话}}，{{ 地址.param.省 | trim }}", "{{电话|trim}}\n", '{"电话": "{{电话}}"}'])
def test_text_slots_and_trim_are_plain(text: str) -> None:
    assert compile_template(parse_template(text, "t")) is not None


@pytest.mark.parametrize("text", ["{{(电话 or 邮编)}}", "{{电话 | tojson}}", "{{电话}}}", "a\r\n{{电话}}"])
def test_what_is_richer_is_left_to_jinja(text: str) -> None:
    assert compile_template(parse_template(text, "t")) is None
