"""What times mean as customers say them (今晚, 后天下午3点, 周五前): the calendar of speech, read.

Here belongs which words name a day, a part of a day, an end. How times are drawn is in `cs_assets/atoms/times.py`, when
parcels arrive in `catalogue.py`.

    normalise("周五前", REFERENCE_INSTANT)     # (2026-06-10 14:00, 2026-06-11 23:59:59), both at +08:00
    named_day("下周三上午行吗", date(2026, 6, 10))    # 2026-06-17

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
import re
import unicodedata
from datetime import date, datetime, time, timedelta, timezone
from typing import Final, NamedTuple

from cs_assets.chinese_numerals import read_chinese_numeral

SHANGHAI: Final = timezone(timedelta(hours=8))
REFERENCE_INSTANT: Final = datetime(2026, 6, 10, 14, tzinfo=SHANGHAI)
Interval = tuple[datetime, datetime]
SECOND: Final = timedelta(seconds=1)


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
WEEKDAYS: Final = "一二三四五六日"
_RELATIVE: Final = {
    "今天": 0,
    "今日": 0,
    "今儿": 0,
    "明天": 1,
    "明日": 1,
    "明儿": 1,
    "后天": 2,
    "后日": 2,
    "大后天": 3,
    "大后日": 3,
}
_SPANS: Final = {"今明两天": (0, 1), "明后天": (1, 2), "明后两天": (1, 2), "这两天": (0, 1)}


def in_shanghai(instant: datetime) -> datetime:
    """Return the instant at +08:00.

    Raises:
        ValueError: it has no time zone, and this machine's would be no answer.
    """
    if instant.tzinfo is None:
        raise ValueError(f"the instant {instant} has no time zone; use SHANGHAI of cs_assets/spoken_times.py")
    return instant.astimezone(SHANGHAI)


def isoformat(instant: datetime) -> str:
    """Write an instant as ISO 8601 to the second, at +08:00."""
    return in_shanghai(instant).isoformat(timespec="seconds")


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
_ISO_DAY: Final = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
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
CLOSING: Final = time(18)
# X前 where X is a part of the day: by these hours.
BEFORE_PART: Final = {"中午": 12, "晚上": 18}


def normalise(said: str, reference: datetime) -> Interval:
    """Return the interval that is meant by what was said at `reference`, both ends included.

    Numerals may be Chinese or Arabic, full-width too; spaces do not count.

    Raises:
        ValueError: it is not understood, is ambiguous, has passed, or `reference` has no time zone.
    """
    now = in_shanghai(reference)
    text = _plain(said)
    earliest, latest = _within(text, now) or _end_of(text, now) or _composed(text, now)
    if latest <= now:
        raise ValueError(f"{said!r} has passed at {isoformat(now)}")
    return max(earliest, now), latest


def named_day(said: str, today: date) -> date | None:
    """Return the day that a text names first, said on `today`: 明天下午, 下周三上午, 6月8号, 2026-06-11; None if none.

    Of a weekend it is the Saturday. Other spans name no day, nor do holidays, as 618 reads like a number, nor what the
    calendar does not have (2月30号).
    """
    for match in _ISO_DAY.finditer(said):
        try:
            return date(*map(int, match.groups()))
        except ValueError:
            continue
    for match in _DAY.finditer(_plain(said)):
        if match["holiday"] or match["span"] or match["week"]:
            continue
        try:
            return _days(match, today)[0]
        except ValueError:
            continue
    return None


def _plain(said: str) -> str:
    """Write a time without spaces, half-width, and with 天 in 今早 and 明晚."""
    text = re.sub(r"\s", "", unicodedata.normalize("NFKC", said))
    return re.sub(r"([今明后])(?=[早晚])", r"\1天", text)


def _within(text: str, now: datetime) -> Interval | None:
    if not (match := _WITHIN.fullmatch(text)):
        return None
    number, unit = read_chinese_numeral(match[1]), match[2]
    if unit.endswith("小时"):
        return now, now + timedelta(hours=number)
    return now, evening_of(now.date() + timedelta(days=number if unit == "天" else 7 * number))


def _end_of(text: str, now: datetime) -> Interval | None:
    if not (match := _END_OF.fullmatch(text)):
        return None
    today = now.date()
    if match["month"]:
        return now, evening_of(month_end(today))
    if match["year"]:
        return now, evening_of(date(today.year, 12, 31))
    if match["work"]:
        return now, datetime.combine(today, CLOSING, SHANGHAI)
    return now, evening_of(monday_of(today) + timedelta(days=6) if match["week"] else today)


def _composed(text: str, now: datetime) -> Interval:
    """Read day, part of the day, hour and end, each of which may be missing."""
    match = _SAID.fullmatch(text)
    if not match or not (match["day"] or match["part"] or match["pair"] or match["clock"]):
        raise ValueError(f"{text!r} is no time that is understood here; see cs_assets/spoken_times.py")
    if match["day"] and (said := _DAY.fullmatch(match["day"])):
        return _interval(match, *_days(said, now.date()), now)
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
        earliest, latest = at_hour(first, PARTS[part].start), at_hour(first, PARTS[part].end) - SECOND
    else:
        earliest, latest = at_hour(first, 0), evening_of(last)
    if not said["end"]:
        return earliest, latest
    if hours and earliest != latest:
        raise ValueError(f"{said[0]!r} names an interval and its end")
    if said["end"].endswith("后"):
        if not hours:
            raise ValueError(f"{said[0]!r} has no end; say an hour, as in 晚上七点以后")
        return earliest, evening_of(first)
    if hours:
        return now, earliest
    if part:
        if part not in BEFORE_PART:
            raise ValueError(f"{said[0]!r} is ambiguous; say an hour")
        return now, at_hour(first, BEFORE_PART[part])
    return now, earliest - SECOND


def _hours(said: re.Match[str], part: str | None, day: date) -> Interval | None:
    if pair := said["pair"]:
        first, second = (read_chinese_numeral(digit) for digit in pair)
        if second != first + 1:
            raise ValueError(f"{said[0]!r}: {pair} are no two hours in a row")
        return at_hour(day, _hour(first, part)), at_hour(day, _hour(second, part))
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
    return at_hour(day, _hour(read_chinese_numeral(hour), part)) + timedelta(minutes=minutes)


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


def _days(said: re.Match[str], today: date) -> tuple[date, date]:
    """Return the first and the last day of what `_DAY` matched.

    Raises:
        ValueError: the calendar has no such day.
    """
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
    monday = monday_of(today) + timedelta(weeks=which.count("下"))
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
        month = month_end(today) + timedelta(days=1) if later else today
        return month.replace(day=number)
    if said["holiday"]:
        month_number, number = HOLIDAYS[said["holiday"]]
    else:
        month_number = read_chinese_numeral(said["month"] or said["dotted_month"])
        number = read_chinese_numeral(said["month_day"] or said["dotted_day"])
    year = today.year + ((month_number, number) < (today.month, today.day))
    return date(year, month_number, number)


def at_hour(day: date, hour: int) -> datetime:
    """Return the full hour; 24 is midnight at the end of the day."""
    return datetime.combine(day, time(), SHANGHAI) + timedelta(hours=hour)


def evening_of(day: date) -> datetime:
    return at_hour(day, 24) - SECOND


def monday_of(day: date) -> date:
    return day - timedelta(days=day.weekday())


def month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])
