"""Records of the trade (a product, an order, a review) and the three forms in which they are written.

Here belong the schema (`schema.yaml` of a scenario) and writing and reading each form. What a conversion may do wrong
is the business of `family.py`.

    JSON       {"品牌": "金士顿", "品类": "内存条", "型号": "", ...}     every field, an absent one as ""
    Markdown   | 字段 | 内容 |                                           a row for each field that is there
    sentence   【金士顿】这款内存条，售价339元，库存35件。               the kind's pattern, absent clauses left out

A record is a mapping of all its kind's labels, in order, to texts; "" is absent. `read` of a form is strict: the form
and nothing else, or None. `salvage` reads what it can from a sloppy text; a field it cannot tell is missing.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cs_assets.families.json_answers import dump_answer, read_repaired, read_strict
from cs_assets.families.syntax import SentenceTemplate, TemplateError

Values = dict[str, str]
FORMS: Final = ("json", "markdown", "text")
# What a value of each type looks like. 11 digits and more are too long for a price; a courier's number may begin with
# letters.
TYPES: Final = {
    "text": re.compile(r"[^|\n]+"),
    "money": re.compile(r"[¥￥]\d+(?:\.\d{2})?|\d+(?:\.\d{1,2})?元"),
    "count": re.compile(r"\d+[件个条根块张片支盒]"),
    "stars": re.compile(r"[1-5]星"),
    "order_number": re.compile(r"\d{6}-\d{15}|\d{12,19}"),
    "tracking": re.compile(r"[A-Z]{0,3}\d{11,15}|[A-Z]{2}\d{9}CN"),
    "status": re.compile(r"[\u4e00-\u9fff]{2,5}"),
    "time": re.compile(r"[^|\n]*\d[^|\n]*"),
    "masked_name": re.compile(r"[^\s*]?\*{1,3}[^\s*]?"),
}
# Types whose look tells them apart from everything else in a message.
DISTINCTIVE: Final = ("stars", "order_number", "tracking")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_HEAD: Final = ("字段", "内容")
_ROW: Final = re.compile(r"\s*\|\s*([^|\n]*?)\s*\|\s*([^|\n]*?)\s*\|\s*")
_RULE: Final = re.compile(r"\s*\|\s*:?-{3,}:?\s*\|\s*:?-{3,}:?\s*\|\s*")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RecordField(_Strict):
    """One field of a kind."""

    label: Annotated[str, Field(pattern=r"^[^\s|\".]+$")]
    type: Literal["text", "money", "count", "stars", "order_number", "tracking", "status", "time", "masked_name"]


class Amount(_Strict):
    """Which labels hold the factors and the product of an order's arithmetic."""

    price: str
    quantity: str
    total: str


class RecordKind(_Strict):
    """One kind of record; `title` is the first part of its slots."""

    id: Annotated[str, Field(pattern=r"^[a-z]+$")]
    title: str
    fields: Annotated[list[RecordField], Field(min_length=2)]
    amount: Amount | None = None

    @model_validator(mode="after")
    def _belong_together(self) -> "RecordKind":
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"kind {self.id!r}: a label stands twice among {', '.join(self.labels)}")
        unknown = sorted(set(self.amount.model_dump().values()) - set(self.labels)) if self.amount else []
        if unknown:
            raise ValueError(f"kind {self.id!r}: amount names {unknown[0]!r}; allowed are {', '.join(self.labels)}")
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(field.label for field in self.fields)

    def record(self, known: Mapping[str, str]) -> Values:
        """Return the record of what is known: all labels in order, "" for the rest."""
        return {label: known.get(label, "") for label in self.labels}


class Schema(_Strict):
    """The content of `schema.yaml`."""

    kinds: Annotated[list[RecordKind], Field(min_length=1)]

    @model_validator(mode="after")
    def _differ(self) -> "Schema":
        for what, values in (("id", [k.id for k in self.kinds]), ("title", [k.title for k in self.kinds])):
            if len(set(values)) < len(values):
                raise ValueError(f"the {what} of two kinds is the same: {', '.join(values)}")
        return self


def number_of(value: str) -> Decimal | None:
    """Return the number in a value (339元 and ¥339.00 are both 339), None where there is none."""
    match = _NUMBER.search(value)
    return Decimal(match[0]) if match else None


class Form(Protocol):
    """One way of writing the records of one kind."""

    def write(self, record: Mapping[str, str]) -> str: ...

    def read(self, text: str) -> Values | None: ...

    def salvage(self, text: str) -> Values: ...


class JsonForm:
    """A JSON object of all fields, in the order of the schema."""

    def __init__(self, kind: RecordKind) -> None:
        self._kind = kind

    def write(self, record: Mapping[str, str]) -> str:
        return dump_answer(record)

    def read(self, text: str) -> Values | None:
        found = read_strict(text, self._kind.labels)
        return None if found is None else self._kind.record(found)

    def salvage(self, text: str) -> Values:
        return read_repaired(text, self._kind.labels)


class TableForm:
    """A Markdown table of two columns, a row for each field that is there."""

    def __init__(self, kind: RecordKind) -> None:
        self._kind = kind

    def write(self, record: Mapping[str, str]) -> str:
        rows = [_HEAD, ("---", "---"), *((label, value) for label, value in record.items() if value)]
        return "\n".join(f"| {left} | {right} |" for left, right in rows)

    def read(self, text: str) -> Values | None:
        lines = text.strip().split("\n")
        cells = table_cells(lines)
        if cells is None or len(cells) < 2 or cells[0] != _HEAD or not _RULE.fullmatch(lines[1]):
            return None
        rows = cells[2:]
        found = dict(rows)
        ordered = [label for label in self._kind.labels if label in found]
        if not rows or [label for label, _ in rows] != ordered or not all(found.values()):
            return None
        return self._kind.record(found)

    def salvage(self, text: str) -> Values:
        found = {match[1]: match[2] for line in text.split("\n") if (match := _ROW.fullmatch(line))}
        known = {label: value for label, value in found.items() if label in self._kind.labels}
        return self._kind.record(known) if known else {}


def table_cells(lines: Sequence[str]) -> list[tuple[str, str]] | None:
    """Return the cells of lines that are all rows of two columns, else None."""
    rows = [_ROW.fullmatch(line) for line in lines]
    return [(row[1], row[2]) for row in rows if row] if rows and all(rows) else None


class SentenceForm:
    """The kind's sentence: a clause a line, each with one slot; a line without a slot always stands.

    A clause whose value is absent is left out, and so is a comma at the beginning. Each clause begins with words of its
    own, by which it is known again.

    Raises:
        TemplateError: a line has no words before its slot, or several slots, or one of another kind; or a field has no
            line.
    """

    def __init__(self, kind: RecordKind, template: SentenceTemplate) -> None:
        self._kind = kind
        clauses = [
            _clause(line, number, kind, template.source) for number, line in enumerate(template.text.split("\n"), 1)
        ]
        told = [label for _, label, _ in clauses if label]
        if sorted(told) != sorted(kind.labels):
            raise TemplateError(
                f"{template.source}: tells {', '.join(told)}; each field of {kind.title!r} must have one line: "
                f"{', '.join(kind.labels)}."
            )
        self._clauses = clauses
        self._told = told
        self._pattern = re.compile("".join(_clause_pattern(*clause) for clause in clauses))

    def write(self, record: Mapping[str, str]) -> str:
        present = [clause for clause in self._clauses if not clause[1] or record[clause[1]]]
        return "".join(f"{before}{record.get(label, '')}{after}" for before, label, after in present).removeprefix("，")

    def read(self, text: str) -> Values | None:
        text = text.strip()
        for candidate in (text, f"，{text}"):
            match = self._pattern.fullmatch(candidate)
            if match and any(match.groups()):
                return self._kind.record(dict(zip(self._told, match.groups(default=""), strict=True)))
        return None

    def salvage(self, text: str) -> Values:
        """Read the first line that is such a sentence; without one, each clause by the words that it begins with."""
        for line in text.split("\n"):
            if (found := self.read(line)) is not None:
                return found
        found = {}
        for before, label, after in self._clauses:
            end = re.escape(after[:1]) or "[，。\n]|$"
            if label and (match := re.search(rf"{re.escape(before.strip('，'))}(.+?)(?:{end})", text)):
                found[label] = match[1]
        return found


Clause = tuple[str, str, str]


def _clause_pattern(before: str, label: str, after: str) -> str:
    """Return the pattern of a clause; a comma ends its value, unless the clause has an end of its own."""
    value = r"([^\n]+?)" if after else r"([^，\n]+?)"
    return f"(?:{re.escape(before)}{value}{re.escape(after)})?" if label else re.escape(before)


def _clause(line: str, number: int, kind: RecordKind, source: str) -> Clause:
    """Return the words before the slot, the label, and the words after it."""
    before, *rest = re.split(r"\{\{\s*(.*?)\s*\}\}", line)
    if not rest:
        return before, "", ""
    slot, after = rest[0], rest[1]
    title, *_, label = slot.split(".")
    if len(rest) > 2 or title != kind.title or label not in kind.labels or not before.strip("，"):
        raise TemplateError(
            f"{source}, line {number}: found {line!r}; a line holds some words and one slot of {kind.title!r}, such as "
            f"{kind.labels[0]}{{{{{kind.title}.param.{kind.labels[0]}}}}}."
        )
    return before, label, after
