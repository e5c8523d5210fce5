"""Times: what is drawn and what is read meet from opposite directions, at any reference."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cs_assets.atoms.times import (
    REFERENCE_INSTANT,
    SHANGHAI,
    Kind,
    isoformat,
    mistimed,
    normalise,
    sample_times,
    spoken_times,
)

KINDS: tuple[Kind, ...] = ("deadline", "slot", "date")
references = st.datetimes(datetime(2024, 1, 1), datetime(2032, 12, 31), timezones=st.just(SHANGHAI)).map(
    lambda instant: instant.replace(microsecond=0)
)


def at(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=SHANGHAI)


@pytest.mark.parametrize("kind", KINDS)
def test_all_expressions_mean_what_they_were_made_for(kind: Kind) -> None:
    table = spoken_times(REFERENCE_INSTANT, kind)
    assert table.height > 300
    assert table["said"].is_unique().all()
    assert mistimed(table, REFERENCE_INSTANT).is_empty()


@settings(max_examples=6, deadline=None)
@given(reference=references, seed=st.integers(0, 99))
@example(reference=at(12, 31, 23, 59), seed=1)  # the last minute of a year
@example(reference=at(6, 14, 10), seed=2)  # a Sunday
@example(reference=at(6, 13, 10), seed=3)  # a Saturday
@example(reference=at(1, 31, 9), seed=4)  # the end of a month, before a shorter one
@example(reference=at(2, 28, 12, year=2028), seed=5)  # the day before the 29th
@example(reference=at(6, 1, 0), seed=6)  # midnight, the first of a month, a Monday
def test_at_any_reference_expressions_are_read_as_they_were_drawn(reference: datetime, seed: int) -> None:
    for kind in KINDS:
        drawn = sample_times(np.random.default_rng(seed), 300, reference, kind)
        assert mistimed(drawn, reference).to_dicts() == []
        assert (drawn["earliest"] <= drawn["latest"]).all()
        assert (drawn["earliest"] >= isoformat(reference)).all()
        assert spoken_times(reference, kind)["said"].is_unique().all()


@pytest.mark.parametrize(
    ("said", "earliest", "latest"),
    [
        ("今晚", at(6, 10, 18), at(6, 10, 23, 59, 59)),
        ("明天上午", at(6, 11, 8), at(6, 11, 11, 59, 59)),
        ("后天下午3点", at(6, 12, 15), at(6, 12, 15)),
        ("周五前", at(6, 10, 14), at(6, 11, 23, 59, 59)),
        ("下周一", at(6, 15), at(6, 15, 23, 59, 59)),
        ("这周末", at(6, 13), at(6, 14, 23, 59, 59)),
        ("月底前", at(6, 10, 14), at(6, 30, 23, 59, 59)),
        ("晚上七点以后", at(6, 10, 19), at(6, 10, 23, 59, 59)),
        ("中午12点前", at(6, 10, 14), at(6, 11, 12)),
        ("11月25号", at(11, 25), at(11, 25, 23, 59, 59)),
        ("今天", at(6, 10, 14), at(6, 10, 23, 59, 59)),
        ("三天内", at(6, 10, 14), at(6, 13, 23, 59, 59)),
        ("48小时内", at(6, 10, 14), at(6, 12, 14)),
        ("国庆前", at(6, 10, 14), at(9, 30, 23, 59, 59)),
        ("今晚十二点前", at(6, 10, 14), at(6, 11)),
    ],
)
def test_expressions_at_the_default_reference(said: str, earliest: datetime, latest: datetime) -> None:
    assert normalise(said, REFERENCE_INSTANT) == (earliest, latest)


@pytest.mark.parametrize(
    "spellings",
    [
        ("明天下午3点半", "明天下午三点半", "明天下午 3:30", "明天15:30", "11号下午3点30分", "６月１１日下午３点半"),
        ("周日晚上8点", "星期天晚上八点", "礼拜日晚8点", "6月14号20点", "六月十四号晚上八点", "6.14晚8点"),
        ("下周二前", "下星期二之前", "下个礼拜二以前", "16号前", "十六号之前", "6月16日前"),
        ("明早9点到11点", "明天早上九点到十一点", "明天上午9点-11点", "明天9:00~11:00"),
        ("后天中午一点", "后天中午1点", "后天13点", "后天下午一点"),
        ("两天内", "2天之内", "二天以内"),
        ("明晚七八点", "明天晚上七八点", "明晚7点到8点"),
    ],
)
def test_spellings_of_one_time(spellings: tuple[str, ...]) -> None:
    assert len({normalise(said, REFERENCE_INSTANT) for said in spellings}) == 1


def test_next_monday_said_on_a_sunday_is_tomorrow() -> None:
    sunday = at(6, 14, 10)
    assert normalise("下周一", sunday)[0] == at(6, 15)
    assert normalise("周一", sunday)[0] == at(6, 15)
    assert normalise("周末", sunday) == (sunday, at(6, 14, 23, 59, 59))
    assert normalise("下周末", sunday)[0] == at(6, 20)


def test_a_day_of_the_month_is_the_next_one() -> None:
    assert normalise("5号", at(12, 20))[0] == at(1, 5, year=2027)
    assert normalise("1月5号", at(12, 20))[0] == at(1, 5, year=2027)
    assert normalise("下个月5号", at(12, 2))[0] == at(1, 5, year=2027)


@pytest.mark.parametrize(
    "said",
    ["", "随便", "尽快", "昨天", "今天上午", "这周一", "周三前", "7点前", "2月30号", "31号", "下午前", "周五以后",
     "这周末下午3点", "下午5点到3点", "晚上3点", "明天3点70分", "五三点"],
)  # fmt: skip
def test_what_is_unclear_or_past_is_refused(said: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has a message of its own
        normalise(said, REFERENCE_INSTANT)


def test_a_reference_without_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        normalise("明天", datetime(2026, 6, 10))


def test_the_check_finds_planted_faults() -> None:
    drawn = sample_times(np.random.default_rng(1), 400, REFERENCE_INSTANT, "slot")
    row = pl.int_range(pl.len())
    later = isoformat(REFERENCE_INSTANT + timedelta(days=400))
    wrong = drawn.with_columns(
        latest=pl.when(row == 3).then(pl.lit(later)).otherwise("latest"),
        said=pl.when(row == 8).then(pl.lit("改天")).otherwise("said"),
    )
    assert mistimed(wrong, REFERENCE_INSTANT)["row"].to_list() == [3, 8]


def test_draws_follow_the_seed() -> None:
    first, second, third = (sample_times(np.random.default_rng(seed), 50) for seed in (1, 1, 2))
    assert first.equals(second)
    assert not first.equals(third)
