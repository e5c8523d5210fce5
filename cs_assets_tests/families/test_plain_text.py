"""Patterns of a scenario's files: found whatever the case, and given up in time."""

import pytest
from pydantic import TypeAdapter, ValidationError

from cs_assets.families import plain_text
from cs_assets.families.definition import ScenarioError
from cs_assets.families.plain_text import Pattern, found


def test_a_pattern_finds_what_comes_first_whatever_the_case() -> None:
    assert found("sorry|抱歉", "很抱歉，Sorry") == "抱歉"
    assert found("sorry", "很抱歉，SORRY") == "SORRY"
    assert found("sorry", "很抱歉") == ""


@pytest.mark.parametrize("pattern", ["(a|aa)+[bc]$", "^(?:a|b|ab)*[cd]$"])
def test_a_pattern_that_never_ends_is_named(monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    monkeypatch.setattr(plain_text, "_PATTERN_SECONDS", 0.2)
    with pytest.raises(ScenarioError) as caught:
        found(pattern, "ab" * 40 + "a" * 60 + "!")
    assert str(caught.value).startswith(f"the pattern {pattern!r} is at no end after 0.2 s on a text of 141 characters")


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{2,1}", ""])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Pattern).validate_python(pattern)
    assert TypeAdapter(Pattern).validate_python("24小时|\\d+天") == "24小时|\\d+天"
