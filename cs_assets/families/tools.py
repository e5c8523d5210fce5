"""Functions that a model may call: their schemas, the check of a call against them, and running it on the twin.

Here belongs what the families `tool_call` and `workflow` share. Which call a message asks for is theirs.

    tools = read_tools(definition.read("tools.json"), "tools.json")    # name -> Tool, in the order of the file
    offer(tools.values())                                              # compact JSON list, OpenAI's `tools` format
    call = Call(name="TicketQuery", arguments={"number": "WX20310417"})
    check_call(call, tools)                                            # [] or Violations, in the order below
    execute(call, tools)                                               # {"ticket_id": "WX20310417", "status": ...}

`check_call` looks at the syntax tree in the order function, required, unknown, type, value. `execute` checks, then runs
the call on the tables repairable, solutions, technicians and tickets of `data/reference`: the same call gives the same
result, nothing is written, and a refusal is a result with the keys `error` (one of ERRORS) and `detail`, never an
exception. Days are read as said on TODAY. Adding a function that can be run is adding it to EXECUTORS.

Masked names: `masked(tool, "func_1")` is the same function under another name; `unmasked(calls, offered, tools)` gives
the calls back under their real names, which are found by description and parameters.
"""

import datetime
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import polars as pl
from pydantic import ConfigDict, ValidationError

from cs_assets.families.base import Value, Violation
from cs_assets.families.definition import ScenarioError
from cs_assets.reference import reference_table
from cs_assets.spoken_times import REFERENCE_INSTANT, named_day

# The day on which the twin's customers write, a Wednesday. Tickets and technicians are of this day.
TODAY: Final = REFERENCE_INSTANT.date()
# How far ahead a technician can be booked.
BOOKABLE_DAYS: Final = 14
ERRORS: Final = ("bad_call", "not_found", "not_served", "not_a_time", "closed")

JsonType = Literal["string", "boolean", "integer"]
Argument = str | bool | int
_PYTHON_TYPES: Final[Mapping[str, type]] = {"string": str, "boolean": bool, "integer": int}


class Parameter(Value):
    """One parameter of a function; `enum` lists what a string may be, empty where it is free."""

    name: str
    type: JsonType
    description: str
    enum: tuple[str, ...] = ()
    required: bool


class Tool(Value):
    """One function on offer."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters if parameter.required)

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def openai(self) -> dict[str, Any]:
        """Return the function in OpenAI's `tools` format."""
        properties = {}
        for parameter in self.parameters:
            enum = {"enum": list(parameter.enum)} if parameter.enum else {}
            properties[parameter.name] = {"type": parameter.type, **enum, "description": parameter.description}
        schema = {"type": "object", "properties": properties, "required": list(self.required)}
        function = {"name": self.name, "description": self.description, "parameters": schema}
        return {"type": "function", "function": function}


class Call(Value):
    """A call as the model writes it. Arguments may be of any JSON type: `check_call` says which are wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    arguments: dict[str, Any]


def read_tools(text: str, source: str) -> dict[str, Tool]:
    """Parse functions in OpenAI's `tools` format: name -> tool, in the order of the text.

    Raises:
        ScenarioError: not JSON, not that format, or a name stands twice; the message names source and function.
    """
    try:
        listed = json.loads(text)
        if not isinstance(listed, list):
            raise ValueError(f"found {type(listed).__name__}, expected a list of functions")
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{source}: {error}.") from error
    tools: dict[str, Tool] = {}
    for number, entry in enumerate(listed, start=1):
        try:
            tool = _read_tool(entry["function"])
        except (KeyError, TypeError, AttributeError, ValidationError) as error:
            raise ScenarioError(
                f"{source}, function {number}: {type(error).__name__}: {error}. Write each as "
                '{"type": "function", "function": {"name", "description", "parameters": {"type": "object", '
                '"properties", "required"}}}, with parameters of type string, boolean or integer.'
            ) from error
        if tool.name in tools:
            raise ScenarioError(f"{source}, function {number}: the name {tool.name!r} stands twice.")
        unknown = sorted(set(entry["function"]["parameters"].get("required", ())) - {p.name for p in tool.parameters})
        if unknown:
            raise ScenarioError(f"{source}, function {tool.name}: required names no parameter: {', '.join(unknown)}.")
        tools[tool.name] = tool
    return tools


def _read_tool(function: Mapping[str, Any]) -> Tool:
    schema = function["parameters"]
    parameters = tuple(
        Parameter(name=name, required=name in schema.get("required", ()), **detail)
        for name, detail in schema["properties"].items()
    )
    return Tool(name=function["name"], description=function["description"], parameters=parameters)


def offer(tools: Iterable[Tool]) -> str:
    """Write functions as one compact JSON list, in OpenAI's `tools` format."""
    return json.dumps([tool.openai() for tool in tools], ensure_ascii=False, separators=(",", ":"))


@functools.lru_cache(maxsize=4096)
def read_offer(text: str) -> Mapping[str, Tool]:
    """Return the functions that a sample offers, remembered; a sample without any offers none."""
    return read_tools(text, "the offered functions") if text else {}


def masked(tool: Tool, name: str) -> Tool:
    """Return the function under another name: what it does must then be read from its description."""
    return tool.model_copy(update={"name": name})


def real_names(offered: Mapping[str, Tool], tools: Mapping[str, Tool]) -> dict[str, str]:
    """Return the name in `tools` of each offered function; masked ones are known by all but the name."""
    known = {(tool.description, tool.parameters): name for name, tool in tools.items()}
    return {
        name: known[tool.description, tool.parameters]
        for name, tool in offered.items()
        if (tool.description, tool.parameters) in known
    }


def unmasked(calls: Sequence[Call], offered: Mapping[str, Tool], tools: Mapping[str, Tool]) -> list[Call]:
    """Return the calls under the functions' real names; a name that is not offered stays as it is."""
    names = real_names(offered, tools)
    return [call.model_copy(update={"name": names.get(call.name, call.name)}) for call in calls]


def canonical_arguments(arguments: Mapping[str, Argument], tool: Tool) -> dict[str, Argument]:
    """Return the arguments in the order of the schema: the one spelling in which an answer writes them."""
    return {p.name: arguments[p.name] for p in tool.parameters if p.name in arguments}


def check_call(call: Call, tools: Mapping[str, Tool]) -> list[Violation]:
    """Return what is wrong with a call by the schema alone: function, then required, unknown, type and value."""
    tool = tools.get(call.name)
    if tool is None:
        return [Violation(rule="function", detail=f"{call.name} is not among {', '.join(tools) or 'none'}")]
    found = [
        Violation(rule="required", detail=f"{call.name}: {name} is missing")
        for name in tool.required
        if name not in call.arguments
    ]
    known = {p.name: p for p in tool.parameters}
    found += [
        Violation(rule="unknown", detail=f"{call.name}: {name} is no parameter of it")
        for name in call.arguments
        if name not in known
    ]
    for name, value in call.arguments.items():
        parameter = known.get(name)
        # `is`, because a boolean is an int to Python and none to JSON.
        if parameter and type(value) is not _PYTHON_TYPES[parameter.type]:
            found.append(Violation(rule="type", detail=f"{call.name}: {name}={value!r} is no {parameter.type}"))
        elif parameter and parameter.enum and value not in parameter.enum:
            allowed = ", ".join(parameter.enum)
            found.append(Violation(rule="value", detail=f"{call.name}: {name}={value!r}; allowed are {allowed}"))
        elif parameter and isinstance(value, str) and not value.strip():
            found.append(Violation(rule="value", detail=f"{call.name}: {name} is empty"))
    order = ("required", "unknown", "type", "value")
    return sorted(found, key=lambda violation: order.index(violation.rule))


# --- Execution on the twin's tables.


def execute(call: Call, tools: Mapping[str, Tool]) -> dict[str, Any]:
    """Run a call, under its real name, and return its result as a JSON object.

    Raises:
        LookupError: the function is in `tools` but has no executor.
    """
    violations = check_call(call, tools)
    if violations:
        return _refusal("bad_call", violations[0].detail)
    if call.name not in EXECUTORS:
        raise LookupError(f"no executor for {call.name!r}; there are {', '.join(EXECUTORS)}. Add one to EXECUTORS.")
    return EXECUTORS[call.name](**call.arguments)


def _refusal(error: str, detail: str) -> dict[str, Any]:
    return {"error": error, "detail": detail}


@functools.lru_cache(maxsize=3)
def _tickets(key: str) -> dict[str, dict[str, str]]:
    """Return the tickets by number, order or phone; of a phone's tickets the open one."""
    return {row[key]: row for row in reference_table("tickets").sort("serve_time").iter_rows(named=True)}


def _ticket(typed: str) -> dict[str, str] | None:
    """Find a ticket by its number as customers type it: WX20310417, wx20310417 or 20310417."""
    digits = re.fullmatch(r"(?:WX)?(\d{8})", _unspaced(typed), re.IGNORECASE)
    return _tickets("ticket_id").get(f"WX{digits[1]}") if digits else None


def _unspaced(typed: str) -> str:
    return re.sub(r"[\s-]", "", typed)


def spoken_day(said: str) -> datetime.date | None:
    """Return the day meant by 明天下午, 周六, 下周三上午, 6月8号 or 15号, said on TODAY; None where none is named."""
    return named_day(said, TODAY)


_TIME_WORDS: Final = re.compile(
    r"今|明|后[天日]|周|星期|礼拜|[早中下]午|[早晚]|点|[号日月]|随时|尽快|现在|马上|\d[:：]\d\d|\d[./]\d"
)


def product_kinds(product: str) -> list[str]:
    """Return the kinds of `repairable.csv` that a customer's words for a product may mean: those of the longest match.

    电脑 alone may be a 笔记本 or a 台式机; 拯救者Y7000P is found by its name in `devices.csv`.
    """
    typed = re.sub(r"\s", "", product).lower()
    matches = [(len(word), kind) for word, kind in _product_words() if word in typed]
    longest = max((length for length, _ in matches), default=0)
    return list(dict.fromkeys(kind for length, kind in matches if length == longest))


@functools.lru_cache(maxsize=1)
def _product_words() -> list[tuple[str, str]]:
    kinds = reference_table("repairable")
    devices = reference_table("devices").filter(pl.col("kind").is_in(kinds["kind"].implode()))
    spellings = [*devices.select("spoken", "kind").iter_rows(), *kinds.select("words", "kind").iter_rows()]
    return [(re.sub(r"\s", "", word).lower(), kind) for words, kind in spellings for word in words.split("|")]


def _search_solution(problem: str, product: str) -> dict[str, Any]:
    kinds = product_kinds(product)
    for row in reference_table("solutions").iter_rows(named=True):
        if row["kind"] in kinds and any(said in problem for said in row["said"].split("|")):
            found = {key: row[key] for key in ("solution_id", "problem", "steps")}
            return {**found, "needs_technician": row["needs_technician"] == "yes"}
    return _refusal("not_found", f"no solution for {product}: {problem}")


def _query_technician_slots(city: str, date: str, skill: str = "") -> dict[str, Any]:
    day = spoken_day(date)
    if day is None or not 0 <= (day - TODAY).days < BOOKABLE_DAYS:
        return _refusal("not_a_time", f"{date!r} is no day of the next {BOOKABLE_DAYS}")
    served = [row for row in reference_table("technicians").iter_rows(named=True) if _same_city(row["city"], city)]
    if not served:
        return _refusal("not_served", f"no technician in {city}")
    slots = [
        {"technician": row["technician"], "skill": row["skill"], "time": time}
        for row in served
        if not skill or row["skill"] == skill
        if str(day.isoweekday()) in row["weekdays"].split("|")
        for time in row["times"].split("|")
    ]
    return {"city": served[0]["city"], "date": day.isoformat(), "slots": slots}


def _same_city(listed: str, said: str) -> bool:
    return listed.removesuffix("市") == said.strip().removesuffix("市")


def _ticket_create(
    UserName: str,
    problem: str,
    ServeTime: str,
    isVIP: bool,
    product: str = "",
    phone: str = "",
    address: str = "",
) -> dict[str, Any]:
    if not _TIME_WORDS.search(ServeTime):
        return _refusal("not_a_time", f"ServeTime: {ServeTime!r} names no time")
    # The same request always gets the same number; those of the table begin with another digit.
    key = json.dumps([UserName, problem, ServeTime, isVIP, product, phone, address], ensure_ascii=False)
    number = int.from_bytes(hashlib.blake2s(key.encode(), digest_size=8).digest()) % 10**7
    return {"ticket_id": f"WX9{number:07d}", "status": "待派单", "priority": "优先" if isVIP else "普通"}


def _ticket_query(number: str) -> dict[str, Any]:
    ticket = _ticket(number) or _tickets("phone").get(_unspaced(number))
    if ticket is None:
        return _refusal("not_found", f"no ticket of {number}")
    return {key: ticket[key] for key in ("ticket_id", "status", "product", "problem", "serve_time")}


def _ticket_reschedule(ticket_id: str, ServeTime: str) -> dict[str, Any]:
    if not _TIME_WORDS.search(ServeTime):
        return _refusal("not_a_time", f"ServeTime: {ServeTime!r} names no time")
    return _changed(ticket_id, ("待派单", "已派单"), {"serve_time": ServeTime})


def _ticket_cancel(ticket_id: str, reason: str = "") -> dict[str, Any]:
    return _changed(ticket_id, ("待派单", "已派单"), {"status": "已取消"})


def _ticket_rate(ticket_id: str, score: int) -> dict[str, Any]:
    if not 1 <= score <= 5:
        return _refusal("bad_call", f"score: {score}; allowed are 1 to 5")
    return _changed(ticket_id, ("已完成",), {"score": score})


def _changed(ticket_id: str, allowed: Sequence[str], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ticket as the change leaves it, or why it cannot be changed."""
    ticket = _ticket(ticket_id)
    if ticket is None:
        return _refusal("not_found", f"no ticket {ticket_id}")
    if ticket["status"] not in allowed:
        return _refusal("closed", f"ticket {ticket_id} is {ticket['status']}")
    return {"ticket_id": ticket["ticket_id"], "status": ticket["status"], **change}


def _order_status(order_id: str) -> dict[str, Any]:
    ticket = _tickets("order_id").get(_unspaced(order_id))
    if ticket is None:
        return _refusal("not_found", f"no order {order_id}")
    return {"order_id": ticket["order_id"], "status": ticket["order_status"]}


EXECUTORS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {
    "SearchSolution": _search_solution,
    "QueryTechnicianSlots": _query_technician_slots,
    "TicketCreate": _ticket_create,
    "TicketQuery": _ticket_query,
    "TicketReschedule": _ticket_reschedule,
    "TicketCancel": _ticket_cancel,
    "TicketRate": _ticket_rate,
    "OrderStatus": _order_status,
}
