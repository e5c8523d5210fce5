"""The family `knowledge`: its rules of conversion, corruptions and score.

Here belongs what holds of a conversion. What a record is, and how each form is written and read, is in `records.py`.

    family = KnowledgeFamily(definition)
    family.read("| 字段 | 内容 |\\n| --- | --- |\\n| 品牌 | 金士顿 |").form       # markdown
"""

import json
import random
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cs_assets.families.base import Corrupter, Rendered, Sample, Scene, Score, SingleMessageFamily, Turn, Violation
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.json_answers import dump_answer
from cs_assets.families.json_corruptions import (
    blanked,
    changed_character,
    cut,
    filled,
    invented,
    missing_key,
    moved,
    of_values,
    swapped,
)
from cs_assets.families.knowledge.records import (
    DISTINCTIVE,
    FORMS,
    TYPES,
    Form,
    JsonForm,
    RecordKind,
    Schema,
    SentenceForm,
    TableForm,
    Values,
    number_of,
    table_cells,
)
from cs_assets.families.short_answers import same_value
from cs_assets.families.syntax import Segment, SentenceTemplate, TemplateError
from cs_assets.families.yaml_files import read_yaml, refuse_options

SCHEMA_FILE: Final = "schema.yaml"
# The slot of a record that is written in a form: noise must not touch a brace or a table's bar.
RECORD: Final = "record"
_UNIT: Final = re.compile(r"([a-z]+)_(json|markdown|text)_to_(json|markdown|text)")
# How a request line names the target form.
_REQUESTS: Final = {
    "json": re.compile(r"json", re.IGNORECASE),
    "markdown": re.compile(r"markdown|md表|表格", re.IGNORECASE),
    "text": re.compile(r"一句话|一段话|一句|文字|话术"),
}
_OBJECT: Final = re.compile(r"\{.*\}", re.DOTALL)
# What is typed before the first bar or behind the last one is no part of the table.
_TABLE: Final = re.compile(r"\|.*\|(?:[ ]*\n[ ]*\|.*\|)*")

_WRITTEN: Final = {"json": _OBJECT, "markdown": _TABLE}


@dataclass(frozen=True)
class Direction:
    """What a unit stands for."""

    kind: RecordKind
    source: str
    target: str


@dataclass(frozen=True)
class Reading:
    """An answer as read: its kind, its form, and the record."""

    kind: RecordKind
    form: str
    record: Values


class KnowledgeFamily(SingleMessageFamily):
    """The verbs of `base.Family` for the records of one scenario.

    Raises:
        ScenarioError: `schema.yaml` is missing or malformed, or a kind has no sentence.
        TemplateError: a sentence is malformed.
    """

    def __init__(self, definition: Definition) -> None:
        refuse_options(definition)
        self.kinds: dict[str, RecordKind] = {kind.id: kind for kind in read_yaml(definition, SCHEMA_FILE, Schema).kinds}
        sentences = definition.answer_templates()
        missing = sorted(set(self.kinds) - set(sentences))
        if missing:
            raise ScenarioError(
                f"{definition.folder / 'templates' / 'bot' / f'{missing[0]}.j2'}: missing. It holds the sentence of "
                f"the kind {missing[0]!r} of {SCHEMA_FILE}, a clause a line."
            )
        self.forms: dict[tuple[str, str], Form] = {}
        for kind in self.kinds.values():
            forms: tuple[Form, ...] = (JsonForm(kind), TableForm(kind), SentenceForm(kind, sentences[kind.id]))
            self.forms |= {(kind.id, name): form for name, form in zip(FORMS, forms, strict=True)}
        self.corruptions = self._corruptions()

    def direction(self, unit: str) -> Direction | None:
        """Return what a unit stands for, None where its name is no direction between two forms."""
        match = _UNIT.fullmatch(unit)
        if match is None or match[1] not in self.kinds or match[2] == match[3]:
            return None
        return Direction(self.kinds[match[1]], match[2], match[3])

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        direction = self.direction(template.unit)
        if direction is None:
            raise TemplateError(
                f"{template.source}: stands in the folder {template.unit!r}; a folder is named KIND_SOURCE_to_TARGET, "
                f"with a kind of {', '.join(self.kinds)} and two different forms of {', '.join(FORMS)}."
            )
        segments = template.render(atoms)
        told = {s.slot.split(".")[-1]: s.text for s in segments if s.slot.split(".")[0] == direction.kind.title}
        answer = self.forms[direction.kind.id, direction.target].write(direction.kind.record(told))
        return Rendered(turns=[Turn(segments=_protected(segments, direction.source))], answer=answer)

    def read(self, answer: str) -> Reading | None:
        """Return the answer as strictly read, None where it is no record in one of the forms and nothing else."""
        for (kind, name), form in self.forms.items():
            if (record := form.read(answer)) is not None:
                return Reading(self.kinds[kind], name, record)
        return None

    def _truth(self, answer: str) -> Reading:
        reading = self.read(answer)
        if reading is None:
            raise ValueError(f"not an answer of this scenario: {answer!r}")
        return reading

    def check_template(self, template: SentenceTemplate, atoms: Mapping[str, Any]) -> list[Violation]:
        """Besides the rules: a record that is written in a form must still be one after rewriting."""
        found = super().check_template(template, atoms)
        direction = self.direction(template.unit)
        message = "".join(segment.text for segment in template.render(atoms))
        if direction and direction.source != "text" and source_record(message) is None:
            found.append(Violation(rule="source", detail=f"the message holds no record in {direction.source}"))
        return found

    # --- Rules

    def verify(self, sample: Sample) -> list[Violation]:
        reading = self.read(sample.answer)
        if reading is None:
            return [Violation(rule="format", detail="no record in JSON, as a table or in the fixed sentence")]
        return [
            *_form_rule(sample.message, reading),
            *_copy_rule(sample.message, reading),
            *_source_rule(sample.message, reading),
            *_type_rule(reading),
            *_amount_rule(reading),
            *_missed_rule(sample.message, reading),
        ]

    # --- Scores

    def score(self, prediction: str, answer: str) -> Score:
        truth = self._truth(answer)
        form = self.forms[truth.kind.id, truth.form]
        strict = form.read(prediction)
        found = strict if strict is not None else form.salvage(prediction)
        return Score(
            strict_json=float(strict is not None),
            exact=float(strict is not None and strict == truth.record),
            fields={label: float(found.get(label) == value) for label, value in truth.record.items()},
        )

    def is_prose(self, answer: str) -> bool:
        return self._truth(answer).form == "text"

    def measures(self, prediction: str, answer: str) -> dict[str, float]:
        """Return same_values: the share of the fields whose value is the same, in whatever form and spelling."""
        truth = self._truth(answer)
        found = self._read_in_any_form(prediction, truth.kind)
        same = [bool(found) and same_value(found.get(label, ""), value) for label, value in truth.record.items()]
        return {"same_values": sum(same) / len(same)}

    def _read_in_any_form(self, prediction: str, kind: RecordKind) -> Values:
        forms = [self.forms[kind.id, name] for name in FORMS]
        strict = (record for form in forms if (record := form.read(prediction)) is not None)
        # In the order of FORMS: a sentence's clauses are found in the members of an object, too, and wrongly.
        repaired = (record for form in forms if (record := form.salvage(prediction)))
        return next(strict, None) or next(repaired, {})

    # --- Corruptions

    def _corruptions(self) -> dict[str, dict[str, Corrupter]]:
        of_record: dict[str, dict[str, RecordCorrupter]] = {
            "value": {
                "changed_character": lambda truth, rng: changed_character(truth.record, rng, "新大中天明华品"),
                "unit_lost": _unit_lost,
                "wrong_arithmetic": _wrong_arithmetic,
            },
            "boundary": {
                "cut_value": lambda truth, rng: cut(truth.record, rng, end=" ，"),
                "cut_text": lambda truth, rng: cut(truth.record, rng, _texts(truth), end=" ，"),
            },
            "exchange": {
                "swapped_fields": lambda truth, rng: swapped(truth.record, rng),
                "swapped_texts": lambda truth, rng: swapped(truth.record, rng, _texts(truth)),
                "moved_value": lambda truth, rng: moved(truth.record, rng),
            },
            "omission": {
                "dropped_field": lambda truth, rng: blanked(truth.record, rng),
                "dropped_text": lambda truth, rng: blanked(truth.record, rng, _texts(truth)),
            },
            "invention": {"invented_value": lambda truth, rng: invented(truth.record, rng, _INVENTIONS)},
        }
        found = {
            family: {name: self._of_record(make) for name, make in kinds.items()} for family, kinds in of_record.items()
        }
        found["boundary"]["neighbour_swallowed"] = self._neighbour_swallowed
        found["invention"]["extra_field"] = self._extra_field
        found["format"] = {
            "other_form": self._other_form,
            "broken_table": _broken_table,
            "missing_key": _missing_key,
            "fenced": lambda sample, rng: f"```\n{sample.answer}\n```",
            "prose_around": _prose_around,
        }
        return found

    def _of_record(self, make: "RecordCorrupter") -> Corrupter:
        def corrupt(sample: Sample, rng: random.Random) -> str | None:
            truth = self._truth(sample.answer)
            record = make(truth, rng)
            if record is None or record == truth.record or not any(record.values()):
                return None
            return self.forms[truth.kind.id, truth.form].write(record)

        return corrupt

    def _other_form(self, sample: Sample, rng: random.Random) -> str:
        truth = self._truth(sample.answer)
        return self.forms[truth.kind.id, rng.choice([form for form in FORMS if form != truth.form])].write(truth.record)

    def _neighbour_swallowed(self, sample: Sample, rng: random.Random) -> str | None:
        """Extend a value over what stands next to it in a sentence, as a model does that misses a boundary."""
        truth = self._truth(sample.answer)
        if source_record(sample.message) is not None:
            return None
        found = [
            truth.record | {label: match[0]}
            for label in filled(truth.record)
            if (match := re.search(rf"{re.escape(truth.record[label])}[^\n|“”]{{1,3}}", sample.message))
        ]
        return self.forms[truth.kind.id, truth.form].write(rng.choice(found)) if found else None

    def _extra_field(self, sample: Sample, rng: random.Random) -> str | None:
        """Add what no schema has and nobody asked for."""
        truth = self._truth(sample.answer)
        label, value = rng.choice(_EXTRAS)
        if truth.form == "json":
            return dump_answer(truth.record | {label: value})
        return (
            f"{sample.answer}\n| {label} | {value} |"
            if truth.form == "markdown"
            else f"{sample.answer}{label}：{value}。"
        )


def _protected(segments: list[Segment], source: str) -> list[Segment]:
    """Make a record in JSON or Markdown one segment, so that noise keeps off; a sentence may be mistyped."""
    text = "".join(segment.text for segment in segments)
    match = _WRITTEN[source].search(text) if source in _WRITTEN else None
    if match is None:
        return segments
    outside: tuple[list[Segment], list[Segment]] = ([], [])
    at = 0
    for segment in segments:
        before, after = segment.text[: max(0, match.start() - at)], segment.text[max(0, match.end() - at) :]
        at += len(segment.text)
        for pieces, piece in zip(outside, (before, after), strict=True):
            pieces += [Segment(text=piece, slot=segment.slot)] if piece else []
    return [*outside[0], Segment(text=match[0], slot=RECORD), *outside[1]]


def source_record(message: str) -> Values | None:
    """Return what a record in JSON or a table within the message tells, by label; None where there is none."""
    if match := _OBJECT.search(message):
        try:
            parsed = json.loads(match[0])
        except (ValueError, RecursionError):
            return None
        return parsed if isinstance(parsed, dict) and all(isinstance(v, str) for v in parsed.values()) else None
    match = _TABLE.search(message)
    cells = table_cells(match[0].split("\n")) if match else None
    return None if cells is None else {label: value for label, value in cells if set(label) - set(":- ")}


# --- Rules: each takes the message and the answer as read.


def _form_rule(message: str, reading: Reading) -> list[Violation]:
    # Some type ｊｓｏｎ.
    request = unicodedata.normalize("NFKC", _TABLE.sub("", _OBJECT.sub("", message)))
    wanted = [form for form, words in _REQUESTS.items() if words.search(request)]
    if len(wanted) != 1 or reading.form == wanted[0]:
        return []
    return [Violation(rule="target_form", detail=f"{wanted[0]} is wanted, the answer is {reading.form}")]


def _copy_rule(message: str, reading: Reading) -> list[Violation]:
    return [
        Violation(rule="copied", detail=f"{label}: {value!r} does not stand in the message")
        for label, value in reading.record.items()
        if value not in message
    ]


def _source_rule(message: str, reading: Reading) -> list[Violation]:
    """Compare with the record in the message, where it is written in the schema's labels."""
    source = source_record(message)
    if source is None or not set(source) & set(reading.kind.labels):
        return []
    known = {label: value for label, value in source.items() if label in reading.kind.labels}
    return [
        Violation(rule="source", detail=f"{label}: the message has {known.get(label, '')!r}, the answer {value!r}")
        for label, value in reading.record.items()
        if value != known.get(label, "")
    ]


def _type_rule(reading: Reading) -> list[Violation]:
    return [
        Violation(rule="type", detail=f"{field.label}: {reading.record[field.label]!r} is no {field.type}")
        for field in reading.kind.fields
        if reading.record[field.label] and not TYPES[field.type].fullmatch(reading.record[field.label])
    ]


def _amount_rule(reading: Reading) -> list[Violation]:
    factors = _amount(reading)
    if factors is None or factors[0] * factors[1] == factors[2]:
        return []
    return [Violation(rule="amount", detail=f"{factors[0]} x {factors[1]} is not {factors[2]}")]


def _amount(reading: Reading) -> tuple[Decimal, Decimal, Decimal] | None:
    """Return price, quantity and total; None where the kind has none, or one is absent or no number."""
    amount = reading.kind.amount
    if amount is None:
        return None
    price, quantity, total = (number_of(reading.record[label]) for label in amount.model_dump().values())
    return None if price is None or quantity is None or total is None else (price, quantity, total)


def _missed_rule(message: str, reading: Reading) -> list[Violation]:
    """Find what can only be a value of an absent field: a courier's number, an order's number, stars."""
    found = []
    for field in reading.kind.fields:
        if field.type not in DISTINCTIVE or reading.record[field.label]:
            continue
        for match in re.finditer(rf"(?<![0-9A-Za-z]){TYPES[field.type].pattern}(?![0-9A-Za-z])", message):
            if not any(match[0] in value for value in reading.record.values()):
                found.append(Violation(rule="missed", detail=f"{field.label} is absent, the message has {match[0]}"))
                break
    return found


# --- Corruptions of a record: each takes the true answer as read and a generator, and returns a wrong record, or None
# where it does not apply.

RecordCorrupter = Callable[[Reading, random.Random], Values | None]


def _texts(truth: Reading) -> list[str]:
    """Return the present labels of free texts: no rule can tell a wrong one that stands in a sentence."""
    return [field.label for field in truth.kind.fields if field.type == "text" and truth.record[field.label]]


def _unit_lost(truth: Reading, rng: random.Random) -> Values | None:
    """Keep the bare number, as one does who takes a record for a calculation."""
    measured = [field.label for field in truth.kind.fields if field.type in ("money", "count", "stars")]
    labels = [label for label in measured if truth.record[label]]
    if not labels:
        return None
    label = rng.choice(labels)
    return truth.record | {label: str(number_of(truth.record[label]))}


def _wrong_arithmetic(truth: Reading, rng: random.Random) -> Values | None:
    """Work the total out anew and be wrong: once too often, once too few, or the price itself."""
    factors = _amount(truth)
    if factors is None or truth.kind.amount is None:
        return None
    price, quantity, total = factors
    wrong = rng.choice(
        [sum_ for sum_ in (price * (quantity + 1), price * (quantity - 1), price) if sum_ not in (0, total)]
    )
    label = truth.kind.amount.total
    return truth.record | {label: re.sub(r"\d+(?:\.\d+)?", str(wrong), truth.record[label])}


_INVENTIONS: Final = {
    "品牌": ("华为", "小米", "绿联"),
    "品类": ("配件", "数据线", "充电器"),
    "型号": ("标准版", "新款", "Pro"),
    "规格": ("16GB", "1TB", "标准"),
    "价格": ("99元", "199元", "¥59.00"),
    "库存": ("100件", "50件", "1件"),
    "单价": ("99元", "199元"),
    "数量": ("1件", "2件"),
    "金额": ("99元", "398元"),
    "快递": ("顺丰", "中通", "圆通"),
    "状态": ("已签收", "运输中", "已发货"),
    "下单时间": ("2026-06-10", "6月1日"),
    "用户": ("李**", "匿**"),
    "星级": ("5星", "4星"),
    "时间": ("2026-06-10", "6月1日"),
    "内容": ("很好", "好评"),
}
_EXTRAS: Final = (("备注", "无"), ("颜色", "黑色"), ("发货地", "深圳"), ("售后", "七天无理由"))


# --- Corruptions of the written answer.


def _broken_table(sample: Sample, rng: random.Random) -> str | None:
    """Lose the rule, a bar or the head of a table."""
    if not sample.answer.startswith("|"):
        return None
    lines = sample.answer.split("\n")
    at = rng.randrange(2, len(lines))
    return "\n".join(
        rng.choice(
            (
                [lines[0], *lines[2:]],
                lines[2:],
                [*lines[:at], lines[at].replace(" | ", " ", 1), *lines[at + 1 :]],
                [line.strip("| ") for line in lines],
            )
        )
    )


def _missing_key(sample: Sample, rng: random.Random) -> str | None:
    return of_values(missing_key)(sample, rng) if sample.answer.startswith("{") else None


def _prose_around(sample: Sample, rng: random.Random) -> str:
    return rng.choice(("好的，转换结果如下：\n", "转换后：\n", "这是您要的内容：\n\n")) + sample.answer
