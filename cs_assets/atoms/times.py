"""Times as customers say them (今晚, 后天下午3点, 周五前), drawn with the interval that each means.

Here belongs the way from the calendar to words. `cs_assets/spoken_times.py` reads them, by the conventions that it
states: the other direction, so that each proves the other. Delivery times are in `products.py`.

    sample_times(rng, count, reference, kind) -> DataFrame[said, earliest, latest]
    spoken_times(reference, kind) -> DataFrame[said, earliest, latest, weight]     # all that can be drawn
    mistimed(times: DataFrame[said, earliest, latest], reference) -> DataFrame[row, reason]

`kind` is "date" (a day or several), "slot" (a part of a day, an hour), or "deadline" (by when). `earliest` and
`latest` are ISO 8601 texts with +08:00, so they compare as texts; both belong to the interval.

Example: said on Wednesday, 2026-06-10 at 14:00,

    今晚         2026-06-10T18:00:00+08:00   2026-06-10T23:59:59+08:00
    周五前       2026-06-10T14:00:00+08:00   2026-06-11T23:59:59+08:00
    后天下午3点  2026-06-12T15:00:00+08:00   2026-06-12T15:00:00+08:00
"""

import functools
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final, Literal

import numpy as np
import polars as pl

from cs_assets.chinese_numerals import chinese_numeral, ordinal_numeral
from cs_assets.spoken_times import (
    BEFORE_PART,
    CLOSING,
    HOLIDAYS,
    PARTS,
    REFERENCE_INSTANT,
    SECOND,
    SHANGHAI,
    WEEKDAYS,
    at_hour,
    evening_of,
    in_shanghai,
    isoformat,
    monday_of,
    month_end,
    normalise,
)

Kind = Literal["deadline", "slot", "date"]
Said = tuple[str, datetime, datetime, float]
_RELATIVE_NAMES: Final = (
    (("今天", 6.0), ("今日", 0.2)),
    (("明天", 6.0), ("明日", 0.2), ("明儿", 0.2)),
    (("后天", 6.0),),
    (("大后天", 2.0),),
)
_CLOCK_HOURS: Final = {
    "早上": (7, 8, 9),
    "上午": (9, 10, 11),
    "中午": (12, 13),
    "下午": (13, 14, 15, 16, 17, 18),
    "晚上": (18, 19, 20, 21),
}
_FAR: Final = 46
_NEAR: Final = 14


def sample_times(
    rng: np.random.Generator, count: int, reference: datetime = REFERENCE_INSTANT, kind: Kind = "slot"
) -> pl.DataFrame:
    """Draw times as customers say them at `reference`, near ones more often: said, earliest, latest (ISO 8601)."""
    table = spoken_times(reference, kind)
    bounds = np.cumsum(table["weight"].to_numpy())
    return table.drop("weight")[np.searchsorted(bounds, rng.random(count) * bounds[-1], side="right")]


@functools.lru_cache(maxsize=32)
def spoken_times(reference: datetime, kind: Kind) -> pl.DataFrame:
    """Return all that `sample_times` draws from, each expression once: said, earliest, latest, weight (relative)."""
    now = in_shanghai(reference)
    makers = {"date": _said_dates, "slot": _said_slots, "deadline": _said_deadlines}
    rows = [
        (said, isoformat(max(earliest, now)), isoformat(latest), weight)
        for said, earliest, latest, weight in makers[kind](now)
        if latest > now
    ]
    table = pl.DataFrame(rows, schema=["said", "earliest", "latest", "weight"], orient="row")
    return table.group_by("said", "earliest", "latest", maintain_order=True).agg(pl.col("weight").sum())


def mistimed(times: pl.DataFrame, reference: datetime) -> pl.DataFrame:
    """Return the rows whose interval is not what was said at `reference`: row, reason; empty when all is well."""
    distinct = times.select("said", "earliest", "latest").unique()
    found = [
        (said, earliest, latest, reason)
        for said, earliest, latest in distinct.iter_rows()
        if (reason := _time_fault(said, earliest, latest, reference))
    ]
    wrong = pl.DataFrame(found, schema=dict.fromkeys(["said", "earliest", "latest", "reason"], pl.String), orient="row")
    joined = times.with_row_index("row").join(wrong, on=["said", "earliest", "latest"])
    return joined.select("row", "reason").sort("row")


def _time_fault(said: str, earliest: str, latest: str, reference: datetime) -> str | None:
    try:
        meant = tuple(map(isoformat, normalise(said, reference)))
    except ValueError as error:
        return str(error)
    return None if meant == (earliest, latest) else f"{said} means {' to '.join(meant)}, not {earliest} to {latest}"


def _day_names(day: date, today: date) -> Iterator[tuple[str, float]]:
    """Yield the names of a day from today on, with weights (assumptions)."""
    ahead = (day - today).days
    if ahead < len(_RELATIVE_NAMES):
        yield from _RELATIVE_NAMES[ahead]
    if day == today:
        return
    yield from _weekday_names(day, today)
    if day.month == today.month:
        yield f"{day.day}号", 0.8
        yield f"{ordinal_numeral(day.day)}号", 0.1
    elif day <= month_end(month_end(today) + timedelta(days=1)):
        yield f"下个月{day.day}号", 0.3
        if day.day < today.day:
            yield f"{day.day}号", 0.5
    yield f"{day.month}月{day.day}号", 0.6
    yield f"{day.month}月{day.day}日", 0.3
    yield f"{day.month}.{day.day}", 0.15
    yield f"{ordinal_numeral(day.month)}月{ordinal_numeral(day.day)}号", 0.1
    yield from ((name, 2.0) for name, (month, number) in HOLIDAYS.items() if (day.month, day.day) == (month, number))


def _nearness(days_ahead: int) -> float:
    """Return how often a day is spoken of, relative to today (an assumption)."""
    return (1 + days_ahead) ** -1.5


def _weekday_names(day: date, today: date) -> Iterator[tuple[str, float]]:
    weeks = (monday_of(day) - monday_of(today)).days // 7
    names = ["日", "天"] if day.weekday() == 6 else [WEEKDAYS[day.weekday()]]
    if weeks > 1:
        return
    for name in names:
        for week, weight in (("周", 1.0), ("星期", 0.2), ("礼拜", 0.15)):
            if (day - today).days < 7:
                yield f"{week}{name}", 2.0 * weight
            yield f"{'这' if weeks == 0 else '下'}{week}{name}", 1.2 * weight


def _said_dates(now: datetime) -> Iterator[Said]:
    today = now.date()
    for ahead in range(_FAR):
        day = today + timedelta(days=ahead)
        for name, weight in _day_names(day, today):
            yield name, at_hour(day, 0), evening_of(day), weight * _nearness(ahead)
    saturday = monday_of(today) + timedelta(days=5)
    for name, first, days, weight in (
        ("周末", saturday, 2, 0.5),
        ("这周末", saturday, 2, 1.0),
        ("下周末", saturday + timedelta(days=7), 2, 0.4),
        ("下周", saturday + timedelta(days=2), 7, 0.5),
        ("这两天", today, 2, 0.3),
        ("明后天", today + timedelta(days=1), 2, 0.5),
    ):
        yield name, at_hour(first, 0), evening_of(first + timedelta(days=days - 1)), weight


def _said_slots(now: datetime) -> Iterator[Said]:
    today = now.date()
    for ahead in range(_NEAR):
        day = today + timedelta(days=ahead)
        for part, hours in _CLOCK_HOURS.items():
            said_hours = [said for hour in hours for said in _said_hours(at_hour(day, hour), part) if said[1] > now]
            for name, weight in _part_names(day, today, part):
                near = weight * _nearness(ahead)
                yield name, at_hour(day, PARTS[part].start), at_hour(day, PARTS[part].end) - SECOND, 4 * near
                for said, earliest, latest, share in said_hours:
                    yield name + said, earliest, latest, near * share
            if day == today:
                yield from ((part + said, earliest, latest, share) for said, earliest, latest, share in said_hours)


def _part_names(day: date, today: date, part: str) -> Iterator[tuple[str, float]]:
    for name, weight in _day_names(day, today):
        if name in ("今天", "明天") and part in ("早上", "晚上"):
            yield name[0] + part[0], weight
        yield name + part, weight


def _said_hours(start: datetime, part: str) -> Iterator[Said]:
    """Yield the hour and what lies around it, as said behind a part of the day."""
    evening = evening_of(start.date())
    half, hours = timedelta(minutes=30), [start + timedelta(hours=n) for n in range(3)]
    for names, weight in ((_hour_digits, 1.0), (_hour_numeral, 0.5)):
        this, _, later = (names(hour.hour) for hour in hours)
        yield f"{this}点", start, start, weight
        yield f"{this}点半", start + half, start + half, 0.25 * weight
        yield f"{this}点左右", start - half, start + half, 0.3 * weight
        yield f"{this}点以后", start, evening, 0.3 * weight
        yield f"{this}点之后", start, evening, 0.2 * weight
        if hours[2].hour <= PARTS[part].last:
            yield f"{this}点到{later}点", start, hours[2], 0.3 * weight
    if start.hour % 12 in range(1, 9) and hours[1].hour <= PARTS[part].last:
        yield f"{_hour_numeral(start.hour)}{_hour_numeral(hours[1].hour)}点", start, hours[1], 0.3


def _hour_digits(hour: int) -> str:
    return str(hour - 12 if hour > 12 else hour)


def _hour_numeral(hour: int) -> str:
    return chinese_numeral(int(_hour_digits(hour)))


def _said_deadlines(now: datetime) -> Iterator[Said]:
    today = now.date()
    yield from ((said, now, latest, weight) for said, latest, weight in _ends(now))
    for ahead in range(_FAR):
        day = today + timedelta(days=ahead)
        for name, weight in _day_names(day, today) if ahead else ():
            for end, share in (("前", 0.5), ("之前", 0.4), ("以前", 0.1)):
                yield name + end, now, at_hour(day, 0) - SECOND, 3 * weight * share * _nearness(ahead)
        for part, hours in _CLOCK_HOURS.items() if ahead < _NEAR else ():
            for name, weight in _part_names(day, today, part):
                for hour in hours:
                    yield from _said_before(name, at_hour(day, hour), now, 0.08 * weight * _nearness(ahead))
    for part, hours in _CLOCK_HOURS.items():
        for hour in hours:
            start = at_hour(today, hour)
            yield from _said_before(part, start if start > now else start + timedelta(days=1), now, 0.1)


def _said_before(name: str, start: datetime, now: datetime, weight: float) -> Iterator[Said]:
    yield f"{name}{_hour_digits(start.hour)}点前", now, start, weight
    yield f"{name}{_hour_numeral(start.hour)}点之前", now, start, weight / 2


def _ends(now: datetime) -> Iterator[tuple[str, datetime, float]]:
    """Yield ends that name no day: 三天内, 月底前, 下班前."""
    today = now.date()
    for days in (2, 3, 4, 5, 7, 10, 15):
        evening = evening_of(today + timedelta(days=days))
        yield f"{days}天内", evening, 1 / days
        yield f"{chinese_numeral(days)}天之内", evening, 0.5 / days
    for week in ("一周内", "一个星期内"):
        yield week, evening_of(today + timedelta(days=7)), 0.3
    for hours, weight in ((1, 0.2), (2, 0.5), (24, 0.5), (48, 0.6), (72, 0.3)):
        yield f"{hours}小时内", now + timedelta(hours=hours), weight
    yield "两个小时之内", now + timedelta(hours=2), 0.4
    for name, weight in (("月底前", 1.0), ("月底之前", 0.6), ("这个月底前", 0.3)):
        yield name, evening_of(month_end(today)), weight
    yield "年底前", evening_of(date(today.year, 12, 31)), 0.3
    for name, weight in (("这周内", 0.8), ("本周内", 0.6)):
        yield name, evening_of(monday_of(today) + timedelta(days=6)), weight
    for name, weight in (("今天之内", 0.6), ("今天内", 0.5)):
        yield name, evening_of(today), weight
    yield "下班前", datetime.combine(today, CLOSING, SHANGHAI), 0.8
    yield "周末前", at_hour(monday_of(today) + timedelta(days=5), 0) - SECOND, 0.6
    yield "下周前", at_hour(monday_of(today) + timedelta(days=7), 0) - SECOND, 0.4
    tomorrow = today + timedelta(days=1)
    yield "明天中午前", at_hour(tomorrow, BEFORE_PART["中午"]), 1.2
