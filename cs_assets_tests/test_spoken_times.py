"""Spoken times: a day is found in any text. What `normalise` reads is proved in `atoms/test_times.py`."""

from datetime import date

import pytest

from cs_assets.spoken_times import named_day

WEDNESDAY = date(2026, 6, 10)


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("明早", "06-11"),
        ("大后日上午", "06-13"),
        ("下周三上午行吗", "06-17"),
        ("下个月15号", "07-15"),
        ("那就６月１２号吧", "06-12"),
        ("2月30号不行就15号", "06-15"),
        ("改成2026-06-19", "06-19"),
        ("周末", "06-13"),
        ("这两天", None),
        ("下周", None),
        ("618", None),
        ("2026-13-40", None),
        ("随时都行", None),
    ],
)
def test_a_day_is_found_in_a_text(said: str, day: str | None) -> None:
    assert named_day(said, WEDNESDAY) == (date.fromisoformat(f"2026-{day}") if day else None)
