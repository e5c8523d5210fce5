"""The template language: slots, segments, and what is refused."""

import json
import traceback
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.syntax import MAX_TEMPLATE_CHARACTERS, Segment, SentenceTemplate, TemplateError, parse_template

SLOTS = frozenset({"电话", "邮编", "地址.param.省"})
# Whatever a customer may type: anything but the characters that mark slots.
TYPED = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ue000\ue001\ue002"))


def parsed(text: str) -> SentenceTemplate:
    return parse_template(text, "01.j2", SLOTS)


def refusal(text: str, slots: frozenset[str] | None = SLOTS) -> str:
    with pytest.raises(TemplateError) as caught:
        parse_template(text, "01.j2", slots)
    assert type(caught.value) is TemplateError
    assert str(caught.value).startswith("01.j2")
    return str(caught.value)


def atoms(phone: str = "13800138000", postcode: str = "518057", province: str = "广东省") -> Mapping[str, Any]:
    return {"电话": phone, "邮编": postcode, "地址": {"param": {"省": province}}, "unused": {"x": 1}}


def test_slots_stand_in_the_order_of_the_text_and_as_often() -> None:
    assert parsed("{{邮编}} {{ 地址.param.省 | trim }}{{邮编}}").slots == ("邮编", "地址.param.省", "邮编")


def test_literals_are_the_words_without_slots() -> None:
    assert parsed("电话 {{电话}}，\n邮编{{邮编\n}}").literals() == "电话 ，\n邮编"


@pytest.mark.parametrize("ending", ["", "\n"])
def test_one_trailing_newline_is_dropped(ending: str) -> None:
    assert parsed("电话 {{电话}}" + ending).text == "电话 {{电话}}"


def test_rendering_tells_words_from_values() -> None:
    assert parsed("{{地址.param.省 | trim}}，电话{{电话}}").render(atoms()) == [
        Segment(text="广东省", slot="地址.param.省"),
        Segment(text="，电话"),
        Segment(text="13800138000", slot="电话"),
    ]


def test_an_empty_value_keeps_its_segment() -> None:
    assert Segment(text="", slot="地址.param.省") in parsed("{{地址.param.省}}{{电话}}").render(atoms(province=""))


@given(phone=TYPED, postcode=TYPED)
def test_any_value_comes_back_whole_and_is_never_evaluated(phone: str, postcode: str) -> None:
    segments = parsed("a{{电话}}{{邮编 | trim}}b").render(atoms(phone, postcode))
    assert {s.slot: s.text for s in segments if s.slot} == {"电话": phone.strip(), "邮编": postcode.strip()}
    assert "".join(s.text for s in segments) == f"a{phone.strip()}{postcode.strip()}b"


@given(phone=TYPED)
def test_tojson_writes_any_value_as_json(phone: str) -> None:
    assert json.loads(parsed('{"电话": {{电话 | tojson}}}').fill(atoms(phone))) == {"电话": phone}


def test_a_value_with_braces_stays_text() -> None:
    assert parsed("{{电话}}").render(atoms("{{邮编}}{% x %}"))[0].text == "{{邮编}}{% x %}"


def test_an_alternative_takes_the_first_value_that_is_there() -> None:
    assert parsed("{{(地址.param.省 or 邮编)}}").fill(atoms(province="")) == "518057"


def test_a_slot_that_the_atoms_lack_is_named() -> None:
    with pytest.raises(TemplateError, match=r"01\.j2: .*邮箱.*Use only slots that the scenario's atoms define"):
        parse_template("{{邮箱}}", "01.j2").render(atoms())


def test_an_unknown_slot_names_line_and_slots() -> None:
    message = refusal("你好\n{{电话}}\n{{邮箱}}")
    assert message.startswith("01.j2, line 3: unknown slot '邮箱'; allowed are ")
    assert all(slot in message for slot in SLOTS)


@pytest.mark.parametrize("text", ["", "\n", " \n\t"])
def test_an_empty_template_is_refused(text: str) -> None:
    assert "the template is empty" in refusal(text)


@pytest.mark.parametrize(
    "text", ["一\n{{电话", "一\n{{电话}", "一\n{{}}", "一\n{% zzz %}", "一\n{{电话 电话}}", "一\n{# x"]
)
def test_a_syntax_error_names_its_line(text: str) -> None:
    assert refusal(text).startswith("01.j2, line 2: ")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{% if 电话 %}x{% endif %}", "if"),
        ("{% for x in 电话 %}{% endfor %}", "for"),
        ("{% set x = 1 %}", "assign"),
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as y %}", "import"),
        ("{% macro f() %}{% endmacro %}", "macro"),
        ("{{ 电话() }}", "call"),
        ("{{ 电话.format(邮编) }}", "call"),
        ("{{ 电话['a'] }}", "getitem"),
        ("{{ 电话 ~ 邮编 }}", "concat"),
        ("{{ 电话 + 邮编 }}", "add"),
        ("{{ 电话 is none }}", "test"),
        ("{{ 电话 == 邮编 }}", "compare"),
        ("{{ 电话 if 邮编 }}", "condexpr"),
        ("{{ '13800138000' }}", "const"),
        ("{{ [电话] }}", "list"),
    ],
)
def test_more_than_text_and_slots_is_refused_with_its_line(text: str, found: str) -> None:
    assert refusal(f"你好\n{text}").startswith(f"01.j2, line 2: found {found}; a template may hold text and slots")


@pytest.mark.parametrize("slots", [SLOTS, None])
@pytest.mark.parametrize(
    "text",
    ["{{ 电话.__class__ }}", "{{ 电话.__class__.__mro__ | trim }}", "{{ _x }}", "{{ self._TemplateReference__c }}"],
)
def test_private_attributes_are_refused_with_their_line(text: str, slots: frozenset[str] | None) -> None:
    message = refusal(f"你好\n{text}", slots)
    assert message.startswith("01.j2, line 2: ")
    assert "reaches for a private attribute; only slots may be named" in message


@pytest.mark.parametrize("name", ["upper", "attr", "map", "nosuch", "safe"])
def test_other_filters_are_answered_with_those_allowed(name: str) -> None:
    assert f"filter {name!r} is not allowed; allowed are tojson, trim." in refusal(f"{{{{电话 | {name}}}}}")


def test_a_template_of_more_than_the_limit_is_refused() -> None:
    assert parsed("好" * MAX_TEMPLATE_CHARACTERS).slots == ()
    assert f"at most {MAX_TEMPLATE_CHARACTERS}" in refusal("好" * (MAX_TEMPLATE_CHARACTERS + 1))


@pytest.mark.parametrize("character", ["\ue000", "\ue001", "\ue002"])
def test_the_characters_that_mark_slots_are_refused(character: str) -> None:
    assert "private-use character" in refusal(f"电话{character}{{{{电话}}}}")


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(TemplateError, match=r"^01\.j2: brackets are nested too deeply") as caught:
        parsed("{{" + "(" * 1900 + "电话" + ")" * 1900 + "}}")
    assert len("".join(traceback.format_exception(caught.value)).splitlines()) < 100


@pytest.mark.parametrize("filter_name", ["tojson", "trim"])
def test_filters_of_filters_end_where_nobody_needs_them(filter_name: str) -> None:
    """One `tojson` of another doubles the value: thirty of them would fill the memory."""
    few = parsed("{{电话" + f" | {filter_name}" * 8 + "}}")
    assert len(few.fill(atoms('"'))) < 1_000
    many = refusal("你好\n{{电话" + f" | {filter_name}" * 30 + "}}")
    assert many == "01.j2, line 2: more than 8 filters or alternatives of one slot. Take some out."


def test_alternatives_of_alternatives_end_where_nobody_needs_them() -> None:
    assert "more than 8 filters or alternatives" in refusal("{{" + " or ".join(["电话"] * 400) + "}}")


@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\ud83d"])
def test_control_characters_are_refused_with_their_line(character: str) -> None:
    assert refusal(f"你好\n{character}[31m{{{{电话}}}}") == (
        f"01.j2, line 2: holds the control character U+{ord(character):04X}. Take it out."
    )


def test_what_people_type_is_no_control_character() -> None:
    text = "你好\t👨\u200d👩\u200d👧 {{电话}}\r\n谢谢"
    assert parsed(text).text == text


@pytest.mark.parametrize(
    "text", ["{% autoescape true %}{{电话}}{% endautoescape %}", "{% filter trim %}{% endfilter %}"]
)
def test_what_has_no_line_of_its_own_is_refused_with_a_line(text: str) -> None:
    assert refusal(text).startswith("01.j2, line 1: found ")


@pytest.mark.parametrize("arguments", ["邮编", "'1'", "chars=邮编", "*邮编", "**邮编"])
def test_a_filter_with_arguments_is_refused_with_its_line(arguments: str) -> None:
    message = refusal(f"你好\n{{{{ 电话 | trim({arguments}) }}}}")
    assert message.startswith("01.j2, line 2: filter 'trim' takes no arguments here")


@given(text=st.text(st.sampled_from("{}%#|.() \n电话邮编_trim'\"")))
def test_whatever_is_written_parses_or_is_refused_with_its_source(text: str) -> None:
    try:
        slots = set(parsed(text).slots)
    except TemplateError as error:
        slots = set()
        source = str(error)[:5]
    else:
        source = parsed(text).source
    assert (source, slots - SLOTS) == ("01.j2", set())
