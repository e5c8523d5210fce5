"""Times as customers say them (今晚, 后天下午3点, 周五前), and the interval that each means.

Here belongs the calendar of speech: which words name a day, a part of a day, an end. Delivery times are in
`products.py`.

    REFERENCE_INSTANT: datetime                    # 2026-06-10 14:00 +08:00, a Wednesday
    SHANGHAI: timezone                             # +08:00
    sample_times(rng, count, reference, kind) -> DataFrame[said, earliest, latest]
    spoken_times(reference, kind) -> DataFrame[said, earliest, latest, weight]     # all that can be drawn
    normalise(said, reference) -> (earliest, latest)                               # ValueError if not understood
    mistimed(times: DataFrame[said, earliest, latest], reference) -> DataFrame[row, reason]
    isoformat(instant) -> str                      # "2026-06-10T14:00:00+08:00"
    in_shanghai(instant) -> datetime               # at +08:00; ValueError without a time zone

`kind` is "date" (a day or several), "slot" (a part of a day, an hour), or "deadline" (by when). `earliest` and
`latest` are ISO 8601 texts with +08:00, so they compare as texts; both belong to the interval.

Example: said on Wednesday, 2026-06-10 at 14:00,

    今晚         2026-06-10T18:00:00+08:00   2026-06-10T23:59:59+08:00
    周五前       2026-06-10T14:00:00+08:00   2026-06-11T23:59:59+08:00
    后天下午3点  2026-06-12T15:00:00+08:00   2026-06-12T15:00:00+08:00

Conventions, where speech leaves room:

- Requests look ahead. What lies before the reference is cut off; what has wholly passed is refused with ValueError.
- A week begins on Monday. 这周X and 本周X are of this week, 下周X of the next: said on a Sunday, 下周一 is tomorrow.
  A bare 周X is the next one, today included. 周末 is Saturday and Sunday of this week.
- X前 ends before X begins, the reading that a promise can rest on: 周五前 ends on Thursday at 23:59:59, and
  12点前 at 12:00:00. But 月底前 and 年底前 end with the month and the year.
- A day of the month is the next one (25号 said on the 26th is next month's); a date without a year likewise.
- Without a day, an hour is the next one: 中午12点前 said at 14:00 is tomorrow's.
- Without a part of the day, 1 to 6 o'clock is in the afternoon, 7 is refused as ambiguous, 8 to 24 as on the clock.
"""

import calendar
import functools
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from typing import Final, Literal, NamedTuple

import numpy as np
import polars as pl

from cs_assets.atoms.numbers import chinese_numeral, ordinal_numeral, read_chinese_numeral

SHANGHAI: Final = timezone(timedelta(hours=8))
REFERENCE_INSTANT: Final = datetime(2026, 6, 10, 14, tzinfo=SHANGHAI)
Kind = Literal["deadline", "slot", "date"]
Interval = tuple[datetime, datetime]
_SECOND: Final = timedelta(seconds=1)


class Part(NamedTuple):
    """A part of the day, in hours: [start, end); an hour said with it lies in [first, last]."""

    start: int
    end: int
    first: int
    last: int


PARTS: Final = {
    "凌晨": Part(0, 6, 0, 5),
    "早上": Part(6, 10, 5, 11),
    "上午": Part(8, 12, 6, 12),
    "中午": Part(11, 14, 11, 14),
    "下午": Part(12, 18, 12, 18),
    "傍晚": Part(17, 19, 16, 19),
    "晚上": Part(18, 24, 17, 24),
}
_PART_SPELLINGS: Final = {"早晨": "早上", "一早": "早上", "早": "早上", "晚间": "晚上", "夜里": "晚上", "晚": "晚上"}
# Days with a name and a fixed date.
HOLIDAYS: Final = {
    "元旦": (1, 1),
    "情人节": (2, 14),
    "五一": (5, 1),
    "六一": (6, 1),
    "618": (6, 18),
    "国庆": (10, 1),
    "双十一": (11, 11),
    "双11": (11, 11),
    "双十二": (12, 12),
    "双12": (12, 12),
    "圣诞": (12, 25),
}
_WEEKDAYS: Final = "一二三四五六日"
_RELATIVE: Final = {"今天": 0, "今日": 0, "今儿": 0, "明天": 1, "明日": 1, "明儿": 1, "后天": 2, "大后天": 3}
_SPANS: Final = {"今明两天": (0, 1), "明后天": (1, 2), "明后两天": (1, 2), "这两天": (0, 1)}


def in_shanghai(instant: datetime) -> datetime:
    """Return the instant at +08:00.

    Raises:
        ValueError: it has no time zone, and this machine's would be no answer.
    """
    if instant.tzinfo is None:
        raise ValueError(f"the instant {instant} has no time zone; use SHANGHAI of cs_assets/atoms/times.py")
    return instant.astimezone(SHANGHAI)


def isoformat(instant: datetime) -> str:
    """Write an instant as ISO 8601 to the second, at +08:00."""
    return in_shanghai(instant).isoformat(timespec="seconds")


# --- Reading

_NUMBER: Final = r"(?:\d{1,2}|[零〇一二两三四五六七八九十廿]{1,4})"
_DAY: Final = re.compile(
    rf"(?P<relative>{'|'.join(sorted(_RELATIVE, key=len, reverse=True))})"
    rf"|(?P<span>{'|'.join(_SPANS)})"
    r"|(?P<which>这个?|本|下下个?|下个?)?(?:周|星期|礼拜)(?:(?P<weekday>[一二三四五六日天1-6])|(?P<weekend>末))"
    r"|(?P<week>这周|本周|这个?星期|下周|下个?星期|下个?礼拜)"
    rf"|(?P<month>{_NUMBER})月(?P<month_day>{_NUMBER})[号日]?"
    r"|(?P<dotted_month>\d{1,2})[./](?P<dotted_day>\d{1,2})"
    rf"|(?P<next_month>下个?月)?(?P<bare_day>{_NUMBER})[号日]"
    rf"|(?P<holiday>{'|'.join(HOLIDAYS)})节?"
)
_PART: Final = "|".join(sorted({*PARTS, *_PART_SPELLINGS}, key=len, reverse=True))
_CLOCK: Final = rf"(?:{_NUMBER}(?:点(?:半|一刻|三刻|整|{_NUMBER}分?)?|:\d\d))"
_SAID: Final = re.compile(
    rf"(?P<day>{re.sub('[?]P<[a-z_]+>', '?:', _DAY.pattern)})?的?"
    rf"(?P<part>{_PART})?"
    rf"(?:(?P<pair>[一二两三四五六七八九]{{2}})点"
    rf"|(?P<clock>{_CLOCK})(?:[到至~-](?P<until_part>{_PART})?(?P<until>{_CLOCK})|(?P<about>左右|前后))?)?"
    r"(?:之间)?(?P<end>之前|以前|前|之后|以后|后)?"
)
_WITHIN: Final = re.compile(rf"({_NUMBER})(天|个?小时|周|个?星期)(?:之内|以内|内)")
_END_OF: Final = re.compile(
    r"(?:(?P<month>(?:这个?月|本月)?月底|这个?月底)|(?P<year>年底)|(?P<work>下班))(?:之前|以前|前)"
    r"|(?P<week>这周|本周|这个?星期)(?:之内|以内|内)|(?P<day>今天|当天)(?:之内|以内|内)"
)
_CLOSING: Final = time(18)
# X前 where X is a part of the day: by these hours.
_BEFORE_PART: Final = {"中午": 12, "晚上": 18}


def normalise(said: str, reference: datetime) -> Interval:
    """Return the interval that is meant by what was said at `reference`, both ends included.

    Numerals may be Chinese or Arabic, full-width too; spaces do not count.

    Raises:
        ValueError: it is not understood, is ambiguous, has passed, or `reference` has no time zone.
    """
    now = in_shanghai(reference)
    text = re.sub(r"\s", "", unicodedata.normalize("NFKC", said))
    text = re.sub(r"([今明后])(?=[早晚])", r"\1天", text)
    earliest, latest = _within(text, now) or _end_of(text, now) or _composed(text, now)
    if latest <= now:
        raise ValueError(f"{said!r} has passed at {isoformat(now)}")
    return max(earliest, now), latest


def _within(text: str, now: datetime) -> Interval | None:
    if not (match := _WITHIN.fullmatch(text)):
        return None
    number, unit = read_chinese_numeral(match[1]), match[2]
    if unit.endswith("小时"):
        return now, now + timedelta(hours=number)
    return now, _evening(now.date() + timedelta(days=number if unit == "天" else 7 * number))


def _end_of(text: str, now: datetime) -> Interval | None:
    if not (match := _END_OF.fullmatch(text)):
        return None
    today = now.date()
    if match["month"]:
        return now, _evening(_month_end(today))
    if match["year"]:
        return now, _evening(date(today.year, 12, 31))
    if match["work"]:
        return now, datetime.combine(today, _CLOSING, SHANGHAI)
    return now, _evening(_monday(today) + timedelta(days=6) if match["week"] else today)


def _composed(text: str, now: datetime) -> Interval:
    """Read day, part of the day, hour and end, each of which may be missing."""
    match = _SAID.fullmatch(text)
    if not match or not (match["day"] or match["part"] or match["pair"] or match["clock"]):
        raise ValueError(f"{text!r} is no time that is understood here; see cs_assets/atoms/times.py")
    if match["day"]:
        return _interval(match, *_days(match["day"], now.date()), now)
    interval = _interval(match, now.date(), now.date(), now)
    tomorrow = now.date() + timedelta(days=1)
    return interval if interval[1] > now else _interval(match, tomorrow, tomorrow, now)


def _interval(said: re.Match[str], first: date, last: date, now: datetime) -> Interval:
    part = _PART_SPELLINGS.get(said["part"], said["part"])
    hours = _hours(said, part, first)
    if (part or hours) and first != last:
        raise ValueError(f"{said[0]!r} names an hour of several days")
    if hours:
        earliest, latest = hours
    elif part:
        earliest, latest = _at(first, PARTS[part].start), _at(first, PARTS[part].end) - _SECOND
    else:
        earliest, latest = _at(first, 0), _evening(last)
    if not said["end"]:
        return earliest, latest
    if hours and earliest != latest:
        raise ValueError(f"{said[0]!r} names an interval and its end")
    if said["end"].endswith("后"):
        if not hours:
            raise ValueError(f"{said[0]!r} has no end; say an hour, as in 晚上七点以后")
        return earliest, _evening(first)
    if hours:
        return now, earliest
    if part:
        if part not in _BEFORE_PART:
            raise ValueError(f"{said[0]!r} is ambiguous; say an hour")
        return now, _at(first, _BEFORE_PART[part])
    return now, earliest - _SECOND


def _hours(said: re.Match[str], part: str | None, day: date) -> Interval | None:
    if pair := said["pair"]:
        first, second = (read_chinese_numeral(digit) for digit in pair)
        if second != first + 1:
            raise ValueError(f"{said[0]!r}: {pair} are no two hours in a row")
        return _at(day, _hour(first, part)), _at(day, _hour(second, part))
    if not said["clock"]:
        return None
    start = _clock(said["clock"], part, day)
    if said["about"]:
        return start - timedelta(minutes=30), start + timedelta(minutes=30)
    if not said["until"]:
        return start, start
    stop = _clock(said["until"], _PART_SPELLINGS.get(said["until_part"], said["until_part"]) or part, day)
    if stop <= start:
        raise ValueError(f"{said[0]!r} ends before it begins")
    return start, stop


def _clock(text: str, part: str | None, day: date) -> datetime:
    hour, minute = re.split("[点:]", text)
    spoken = {"": 0, "整": 0, "半": 30, "一刻": 15, "三刻": 45}
    minutes = spoken[minute] if minute in spoken else read_chinese_numeral(minute.removesuffix("分"))
    if minutes > 59:
        raise ValueError(f"{text!r}: an hour has 60 minutes")
    return _at(day, _hour(read_chinese_numeral(hour), part)) + timedelta(minutes=minutes)


def _hour(said: int, part: str | None) -> int:
    """Return the hour on the 24-hour clock."""
    if part is None:
        if said in (0, 7) or said > 24:
            raise ValueError(f"{said} o'clock is ambiguous; say 早上 or 晚上")
        return said + 12 if said < 7 else said
    for hour in (said, said + 12, said - 12):
        if PARTS[part].first <= hour <= PARTS[part].last:
            return hour
    raise ValueError(f"{part} has no {said} o'clock")


def _days(text: str, today: date) -> tuple[date, date]:
    said = _DAY.fullmatch(text)
    assert said  # _SAID matched it with the same pattern
    if said["relative"]:
        first, last = _RELATIVE[said["relative"]], _RELATIVE[said["relative"]]
    elif said["span"]:
        first, last = _SPANS[said["span"]]
    elif said["weekday"] or said["weekend"] or said["week"]:
        return _week_days(said, today)
    else:
        return (_calendar_day(said, today),) * 2
    return today + timedelta(days=first), today + timedelta(days=last)


def _week_days(said: re.Match[str], today: date) -> tuple[date, date]:
    which = said["which"] or said["week"] or ""
    monday = _monday(today) + timedelta(weeks=which.count("下"))
    if said["week"]:
        return monday, monday + timedelta(days=6)
    if said["weekend"]:
        return monday + timedelta(days=5), monday + timedelta(days=6)
    weekday = "一二三四五六日".find(said["weekday"].replace("天", "日"))
    day = monday + timedelta(days=weekday if weekday >= 0 else int(said["weekday"]) - 1)
    if not which and day < today:
        day += timedelta(weeks=1)
    return day, day


def _calendar_day(said: re.Match[str], today: date) -> date:
    """Return the next such day.

    Raises:
        ValueError: the calendar has no such day.
    """
    if said["bare_day"]:
        number = read_chinese_numeral(said["bare_day"])
        later = bool(said["next_month"]) or number < today.day
        month = _month_end(today) + timedelta(days=1) if later else today
        return month.replace(day=number)
    if said["holiday"]:
        month_number, number = HOLIDAYS[said["holiday"]]
    else:
        month_number = read_chinese_numeral(said["month"] or said["dotted_month"])
        number = read_chinese_numeral(said["month_day"] or said["dotted_day"])
    year = today.year + ((month_number, number) < (today.month, today.day))
    return date(year, month_number, number)


def _at(day: date, hour: int) -> datetime:
    """Return the full hour; 24 is midnight at the end of the day."""
    return datetime.combine(day, time(), SHANGHAI) + timedelta(hours=hour)


def _evening(day: date) -> datetime:
    return _at(day, 24) - _SECOND


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


# --- Saying. From the calendar to words: the other direction, so that each proves the other.

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
    elif day <= _month_end(_month_end(today) + timedelta(days=1)):
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
    weeks = (_monday(day) - _monday(today)).days // 7
    names = ["日", "天"] if day.weekday() == 6 else [_WEEKDAYS[day.weekday()]]
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
            yield name, _at(day, 0), _evening(day), weight * _nearness(ahead)
    saturday = _monday(today) + timedelta(days=5)
    for name, first, days, weight in (
        ("周末", saturday, 2, 0.5),
        ("这周末", saturday, 2, 1.0),
        ("下周末", saturday + timedelta(days=7), 2, 0.4),
        ("下周", saturday + timedelta(days=2), 7, 0.5),
        ("这两天", today, 2, 0.3),
        ("明后天", today + timedelta(days=1), 2, 0.5),
    ):
        yield name, _at(first, 0), _evening(first + timedelta(days=days - 1)), weight


def _said_slots(now: datetime) -> Iterator[Said]:
    today = now.date()
    for ahead in range(_NEAR):
        day = today + timedelta(days=ahead)
        for part, hours in _CLOCK_HOURS.items():
            said_hours = [said for hour in hours for said in _said_hours(_at(day, hour), part) if said[1] > now]
            for name, weight in _part_names(day, today, part):
                near = weight * _nearness(ahead)
                yield name, _at(day, PARTS[part].start), _at(day, PARTS[part].end) - _SECOND, 4 * near
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
    evening = _evening(start.date())
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
                yield name + end, now, _at(day, 0) - _SECOND, 3 * weight * share * _nearness(ahead)
        for part, hours in _CLOCK_HOURS.items() if ahead < _NEAR else ():
            for name, weight in _part_names(day, today, part):
                for hour in hours:
                    yield from _said_before(name, _at(day, hour), now, 0.08 * weight * _nearness(ahead))
    for part, hours in _CLOCK_HOURS.items():
        for hour in hours:
            start = _at(today, hour)
            yield from _said_before(part, start if start > now else start + timedelta(days=1), now, 0.1)


def _said_before(name: str, start: datetime, now: datetime, weight: float) -> Iterator[Said]:
    yield f"{name}{_hour_digits(start.hour)}点前", now, start, weight
    yield f"{name}{_hour_numeral(start.hour)}点之前", now, start, weight / 2


def _ends(now: datetime) -> Iterator[tuple[str, datetime, float]]:
    """Yield ends that name no day: 三天内, 月底前, 下班前."""
    today = now.date()
    for days in (2, 3, 4, 5, 7, 10, 15):
        evening = _evening(today + timedelta(days=days))
        yield f"{days}天内", evening, 1 / days
        yield f"{chinese_numeral(days)}天之内", evening, 0.5 / days
    for week in ("一周内", "一个星期内"):
        yield week, _evening(today + timedelta(days=7)), 0.3
    for hours, weight in ((1, 0.2), (2, 0.5), (24, 0.5), (48, 0.6), (72, 0.3)):
        yield f"{hours}小时内", now + timedelta(hours=hours), weight
    yield "两个小时之内", now + timedelta(hours=2), 0.4
    for name, weight in (("月底前", 1.0), ("月底之前", 0.6), ("这个月底前", 0.3)):
        yield name, _evening(_month_end(today)), weight
    yield "年底前", _evening(date(today.year, 12, 31)), 0.3
    for name, weight in (("这周内", 0.8), ("本周内", 0.6)):
        yield name, _evening(_monday(today) + timedelta(days=6)), weight
    for name, weight in (("今天之内", 0.6), ("今天内", 0.5)):
        yield name, _evening(today), weight
    yield "下班前", datetime.combine(today, _CLOSING, SHANGHAI), 0.8
    yield "周末前", _at(_monday(today) + timedelta(days=5), 0) - _SECOND, 0.6
    yield "下周前", _at(_monday(today) + timedelta(days=7), 0) - _SECOND, 0.4
    tomorrow = today + timedelta(days=1)
    yield "明天中午前", _at(tomorrow, _BEFORE_PART["中午"]), 1.2
