"""A repair case as it goes: where it stands in the workflow, what was heard, what is known, what the systems answer.

Here belongs how words of the customer are understood and what follows from results. The graph is `flow.py`'s, whole
trajectories are `family.py`'s.

    session = Session(flow, functools.partial(execute, tools=tools))
    session.hear("会员报修，打印机卡纸", {"产品": "打印机", "故障": "卡纸"})
    session.follow(session.outcome_of("会员报修，打印机卡纸"))       # it stands at `search`
    session.run(session.call())                             # {"solution_id": "PR-01", ...}
"""

import datetime
import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from cs_assets.families.json_answers import without_spaces
from cs_assets.families.tools import BOOKABLE_DAYS, TODAY, Call, product_kinds, spoken_day
from cs_assets.families.workflow.flow import Flow, Node, Words
from cs_assets.reference import reference_table

# What follows from results and replies: the solution's steps, the technician's skill, the free times, the time agreed
# on, the number of the ticket.
DERIVED: Final = ("步骤", "技能", "空档", "上门时间", "工单号")
# What a customer must have said for `flow.Words.names` to be there.
SLOTS_OF_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "city": ("城市",),
    "day": ("日期",),
    "free_time": ("时间",),
    "other_time": ("时间",),
    "busy_time": ("时间",),
    "contact": ("姓名", "详细地址"),
}
# How customers say the times at which technicians come.
SPOKEN_TIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "09:00": ("上午9点", "早上9点", "上午九点", "9点", "9:00"),
    "10:30": ("上午10点半", "十点半", "10点半", "10:30"),
    "13:30": ("下午1点半", "下午一点半", "1点半", "13:30"),
    "15:00": ("下午3点", "下午三点", "3点", "15:00"),
    "16:30": ("下午4点半", "下午四点半", "4点半", "16:30"),
    "19:00": ("晚上7点", "晚上七点", "7点", "19:00"),
}
_CLOCKS: Final = {form: clock for clock, forms in SPOKEN_TIMES.items() for form in (clock, *forms)}
_CLOCK: Final = re.compile(rf"(?<!\d)(?:{'|'.join(sorted(_CLOCKS, key=len, reverse=True))})")
_FAR_DAYS: Final = ("月底", "下个月", "下月初", "暑假里")
_CONTACT: Final = re.compile("[区县市旗镇乡]|街道")


def clock_times(text: str) -> list[str]:
    """Return the times that a customer names, in the order of the text: 下午3点 -> 15:00."""
    return [_CLOCKS[match.group()] for match in _CLOCK.finditer(text)]


@functools.lru_cache(maxsize=1)
def bookable_days() -> dict[str, datetime.date]:
    """Return words for every day from tomorrow on that a technician can be booked, and the days that they mean."""
    relative = {1: "明天", 2: "后天", 3: "大后天"}
    found: dict[str, datetime.date] = {}
    for ahead in range(1, BOOKABLE_DAYS):
        day = TODAY + datetime.timedelta(days=ahead)
        weekday = "一二三四五六日"[day.weekday()]
        forms = [relative.get(ahead, ""), f"{day.day}号", f"{day.month}月{day.day}号"]
        forms += [f"{week}{weekday}" for week in ("周", "星期", "下周", "下星期")]
        found |= {form: day for form in forms if form and spoken_day(form) == day}
    return found


@functools.lru_cache(maxsize=1)
def spoken_days() -> tuple[str, ...]:
    """Return what a customer may say for a day: bookable ones, and some that are too far."""
    far = [TODAY + datetime.timedelta(days=BOOKABLE_DAYS + ahead) for ahead in (7, 11, 16, 23)]
    return (*bookable_days(), *(f"{day.month}月{day.day}号" for day in far), *_FAR_DAYS)


@functools.lru_cache(maxsize=4096)
def skill_of(product: str) -> str:
    """Return the skill that a product needs, an empty string for one that nobody repairs."""
    kinds = product_kinds(product)
    return _skills()[kinds[0]] if kinds else ""


@functools.lru_cache(maxsize=1)
def _skills() -> dict[str, str]:
    return dict(reference_table("repairable").select("kind", "skill").iter_rows())


@functools.lru_cache(maxsize=1)
def _outages() -> dict[str, int]:
    return {city: int(failures) for city, failures in reference_table("outages").iter_rows()}


@functools.lru_cache(maxsize=1)
def _cities() -> re.Pattern[str]:
    names = {name.removesuffix("市") for name in reference_table("divisions")["city"] if name}
    return re.compile("|".join(sorted(names, key=lambda name: (-len(name), name))))


@dataclass
class Session:
    """One case.

    flow: the workflow. execute: runs a call. node: where it stands. came_by: the outcome that led there. known: name ->
    what the customer said or what followed from it. heard: the customer's words. free, date: of the last slots found.
    """

    flow: Flow
    execute: Callable[[Call], dict[str, Any]]
    node: str = ""
    came_by: str = ""
    visited: Counter[str] = field(default_factory=Counter)
    known: dict[str, Any] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)
    free: tuple[str, ...] = ()
    date: str = ""
    failed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.node = self.node or self.flow.start

    @property
    def at(self) -> Node:
        return self.flow.nodes[self.node]

    def copy(self) -> "Session":
        """Return a case that goes its own way from here."""
        own = {"visited": Counter(self.visited), "failed": Counter(self.failed)}
        return replace(self, known=dict(self.known), heard=[*self.heard], **own)  # type: ignore[arg-type]

    def follow(self, outcome: str) -> bool:
        """Go on along the outcome's edge; False where there is none."""
        self.visited[self.node] += 1
        target = self.flow.successors(self.node, self.visited).get(outcome)
        if target is None:
            return False
        self.node, self.came_by = target, outcome
        return True

    # --- The customer's words

    def outcome_of(self, text: str) -> str:
        """Return the edge from here that the customer's words take, an empty string where they fit none."""
        if self.at.kind == "decide":
            opening = self.recognise(self.flow.openings, text)
            return self.flow.openings[opening].means if opening else ""
        return self.recognise({n: words for n, words in self.flow.replies.items() if n in self.at.edges}, text)

    def recognise(self, kinds: Mapping[str, Words], text: str) -> str:
        """Return the first kind of words that fits, an empty string where none does."""
        text = without_spaces(text)
        for name, words in kinds.items():
            if re.search(words.says, text) and all(self._names(part, text) for part in words.names):
                return name
        return ""

    def _names(self, name: str, text: str) -> bool:
        """Tell whether the words name what `flow.Words.names` calls so."""
        if name == "city":
            return bool(_cities().search(text))
        if name == "day":
            return bool(spoken_day(text) or any(day in text for day in _FAR_DAYS))
        if name == "contact":
            return bool(_CONTACT.search(text))
        clocks = clock_times(text)
        free = [clock for clock in clocks if clock in self.free]
        if name == "busy_time":
            return bool(clocks) and not free
        agreed = str(self.known.get("上门时间", ""))
        return any(name == "free_time" or not agreed.endswith(clock) for clock in free)

    def hear(self, text: str, said: Mapping[str, str]) -> None:
        """Take in the customer's words; `said` are the values in them, as far as they are known apart."""
        if not self.heard:
            self.known |= {name: bool(re.search(says, text)) for name, says in self.flow.flags.items()}
        self.heard.append(without_spaces(text))
        self.known |= said
        chosen = [clock for clock in clock_times(text) if clock in self.free]
        if chosen:
            self.known["上门时间"] = f"{self.date} {chosen[0]}"

    # --- Calls

    def call(self) -> Call:
        """Return the call that is made here, as far as what is known fills it."""
        if "产品" in self.known and "技能" in self.at.arguments.values():
            self.known["技能"] = skill_of(self.known["产品"])
        arguments = {p: self.known[name] for p, name in self.at.arguments.items() if name in self.known}
        return Call(name=self.at.tool, arguments=arguments)

    def run(self, call: Call) -> dict[str, Any]:
        """Run a call and take its result in. A city's schedule may time out a few times before it answers."""
        city = str(call.arguments.get("city", ""))
        if self.failed[city] < _outages().get(city, 0):
            self.failed[city] += 1
            return {"error": "timeout", "detail": f"{call.name} timed out"}
        result = self.execute(call)
        self.learn(result)
        return result

    def learn(self, result: Mapping[str, Any]) -> None:
        """Take in what a call returned."""
        names = {"steps": "步骤", "ticket_id": "工单号"}
        self.known |= {names[key]: value for key, value in result.items() if key in names}
        if result.get("slots"):
            self.free = tuple(slot["time"] for slot in result["slots"])
            self.date = result["date"]
            self.known["空档"] = "、".join(self.free)
