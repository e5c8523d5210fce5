"""Templates from history: real messages of `examples.jsonl` with slots in the place of their entities.

Here belong finding what is to be replaced (the values of the example's own answer, rules and tables, an LLM's spans)
and the proof that nothing of the original is left. Words are taken from the message alone; nobody writes any. A message
of which something might be left, or whose answer the template would not give again, is skipped with its reason.

    message: 麻烦寄到深圳市南山区科技路8号 李雷 13800138000      answer: {"姓名": "李雷", "电话": "13800138000", ...}
    template: 麻烦寄到{{地址.param.市}}{{地址.param.县}}{{详细地址}} {{名字.param.输出}} {{电话}}
"""

import json
import random
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from cs_assets.families.base import Sample, Scene
from cs_assets.families.json_answers import without_spaces
from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.scenario import Scenario
from cs_assets.templates.entities import Entity, bynames, find_entities, find_regions
from cs_assets.templates.llm_variants import ANSWER_TOKENS, complete_structured
from cs_assets.templates.wording import LABELS, alternatives, copy_key, kind_of_slot
from resources.llm import ChatClient, ChatRequest, ParseFailure, parse_json_object

PURPOSE: Final = "history_spans"
_PHONE: Final = re.compile(
    r"(?:\+?86[- ]?)?1[3-9]\d(?:[- ]?\d){8}(?!\d)|0\d{2,3}[- ]?\d{7,8}(?!\d)|[48]00[- ]?\d{3}[- ]?\d{4}"
)
_LABELLED: Final = re.compile(
    rf"({alternatives(tuple(word for words in LABELS.values() for word in words if len(word) > 1))})"
    r"(?:[是为写填叫改成]|就是)*[\s:：】）)]*$"
)
_NUMBERS: Final = ("订单号", "工单号", "运单号", "邮编", "电话")
_ORDER_DIGITS: Final = 15
# A whole address names a door, and ends where the sentence goes on.
_ADDRESS: Final = re.compile(
    r"(?:(?![，,。；;！!？?\n（）]|不要|不用|作废|别|改|换|停|搬|那|这|了|收(?!发)).){4,}?(?:\d+\s*[号室栋楼院弄]?)+"
    r"(?:(?![，,。；;！!？?\n（）]|不要|不用|作废|别|改|换|停|搬|那|这|了|收(?!发)).)*"
)
_SESSION: Final = re.compile(r"^(?:客户|客服)[:：]", re.MULTILINE)
# A shorter piece of an address says nothing of where it was; of a name, two characters do.
_PIECE: Final = 3
_NAME_PIECE: Final = 2
# No message has so many entities; each is looked for in the whole of it.
_MOST_SPANS: Final = 200
# Harmless where no slot can say them; the gates decide where one can.
_IMPERSONAL: Final = ("time", "quantity")
_SPANS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "entities": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "slot": {"type": "string"}},
                "required": ["text", "slot"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["entities"],
    "additionalProperties": False,
}
_SPANS_PROMPT: Final = """\
下面是一条真实的顾客消息。请找出里面所有会透露是谁、在哪里、是哪一单的文字：姓名、称呼、电话、地址的每一部分、单号、邮编、公司、时间等。
每一段照抄原文，一个字不改，并从下面的参数里选一个来代替它；没有合适的参数时slot写空字符串。
参数：{slots}
只输出一个json对象：{{"entities": [{{"text": "原文片段", "slot": "参数名"}}]}}

消息：
{message}"""


# Rows of the atomic table.
Atoms = Sequence[Mapping[str, Any]]


class Span(NamedTuple):
    """A piece of a message that a slot shall replace."""

    start: int
    end: int
    slot: str


class HistoryTemplates(NamedTuple):
    """What became of the examples, by name: `history/007` is the seventh.

    templates: those that are one. skipped: why the others are none. unreplaced: of these, where the rules found no slot
    for something that must not be left.
    """

    templates: dict[str, SentenceTemplate]
    skipped: dict[str, str]
    unreplaced: frozenset[str]


class _Skipped(Exception):
    """A message that cannot be a template; the text says why."""


class _Unreplaced(_Skipped):
    """The same because no slot stands for something in it: another look might find one."""


def history_templates(
    scenario: Scenario, atoms: Atoms, spans: Mapping[str, Sequence[tuple[str, str]]] | None = None
) -> HistoryTemplates:
    """Make a template of every example that can safely be one.

    Args:
        scenario: its examples and its family.
        atoms: some hundred atom rows: a point in time is replaced by a slot only that says it somewhere.
        spans: per name of an example, what else names an entity there, with its slot (`llm_spans`).
    """
    templates: dict[str, SentenceTemplate] = {}
    skipped: dict[str, str] = {}
    unreplaced: set[str] = set()
    known = {copy_key(seed.text): name for name, seed in scenario.seeds().items()}
    for name, example in _examples(scenario).items():
        try:
            template = _template(scenario, example, atoms, (spans or {}).get(name, ()), name)
        except _Skipped as reason:
            skipped[name] = str(reason)
            unreplaced |= {name} if isinstance(reason, _Unreplaced) else set()
            continue
        holder = known.setdefault(copy_key(template.text), name)
        if holder == name:
            templates[name] = template
        else:
            skipped[name] = f"it is a copy of {holder}"
    return HistoryTemplates(templates, skipped, frozenset(unreplaced))


def example_templates(scenario: Scenario, atoms: Atoms, client: ChatClient | None) -> HistoryTemplates:
    """Make templates of the examples; where the rules alone do not do, with the spans that an LLM, if any, sees."""
    found = history_templates(scenario, atoms)
    if client is None or not found.unreplaced:
        return found
    return history_templates(scenario, atoms, llm_spans(scenario, client, found.unreplaced))


def llm_spans(scenario: Scenario, client: ChatClient, names: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Ask for the entities of the examples `names`, each with its slot, an empty one where none fits.

    Only what stands in the message word by word is returned. The whole message goes to the endpoint.

    Raises:
        LLMError: the endpoint refused or went away; what was paid for is in the cache.
    """
    examples = _examples(scenario)
    wanted = sorted(set(names) & examples.keys())
    requests = [
        ChatRequest(
            messages=[
                {"role": "user", "content": _SPANS_PROMPT.format(slots="、".join(sorted(scenario.slots)), message=m)}
            ],
            parameters={"temperature": 0.0, "max_tokens": ANSWER_TOKENS},
            json_schema=_SPANS_SCHEMA,
            purpose=PURPOSE,
        )
        for m in (examples[name].message for name in wanted)
    ]
    results = complete_structured(requests, client)
    return {
        name: _read_spans(result.text, examples[name].message, scenario.slots)
        for name, result in zip(wanted, results, strict=True)
        if result.text is not None
    }


def _read_spans(text: str, message: str, slots: frozenset[str]) -> list[tuple[str, str]]:
    answer = parse_json_object(text, {"entities"})
    listed = [] if isinstance(answer, ParseFailure) else answer["entities"]
    found = [item for item in listed[:_MOST_SPANS] if isinstance(item, dict)] if isinstance(listed, list) else []
    pairs = [(item.get("text"), item.get("slot")) for item in found]
    return [
        (part, slot if isinstance(slot, str) and slot in slots else "")
        for part, slot in pairs
        if isinstance(part, str) and part and part in message
    ]


def _examples(scenario: Scenario) -> dict[str, Sample]:
    return {f"history/{number:03d}": sample for number, sample in enumerate(scenario.examples()[0], start=1)}


def _template(
    scenario: Scenario, example: Sample, atoms: Atoms, found: Sequence[tuple[str, str]], name: str
) -> SentenceTemplate:
    """Raises _Skipped with the reason."""
    message = example.message
    if _SESSION.search(message):
        raise _Skipped("it is a session of several turns")
    if re.search(r"\{\{|\{%|\{#", message):
        raise _Skipped("it holds the braces of a template")
    spans = _answer_spans(scenario, example)
    for text, slot in sorted(found, key=lambda pair: -len(pair[0])):
        spans += [Span(*match.span(), slot) for match in re.finditer(re.escape(text), message) if slot]
    spans = _disjoint(spans)
    spans = _disjoint([*spans, *_rule_spans(scenario, message, spans, atoms)])
    if named := [text for text, _ in found if text in _masked(message, spans)]:
        raise _Unreplaced(f"no slot stands for {named[0]!r}")
    text, values = _filled(message, spans)
    if left := _left(message, spans):
        raise _Unreplaced(left)
    return _with_unit(scenario, text, values, example, atoms[0], name)


def _answer_spans(scenario: Scenario, example: Sample) -> list[Span]:
    """Find the values of the answer, where the family copies them from the message."""
    sources = getattr(scenario.family, "field_sources", None)
    if not sources:
        return []
    answer = _read(example.answer)
    if not isinstance(answer, dict) or not all(isinstance(value, str) for value in answer.values()):
        raise _Skipped("its answer is no object of texts")
    if unknown := sorted(answer.keys() - sources.keys()):
        raise _Skipped(f"its answer has the unknown key {unknown[0]!r}")
    spans: list[Span] = []
    values = {field: value for field, value in answer.items() if value}
    for field, value in sorted(values.items(), key=lambda item: -len(item[1])):
        # A number is not the beginning of a longer one.
        pattern = (
            r"(?<!\d)" * value[0].isdecimal() + r"\s*".join(map(re.escape, value)) + r"(?!\d)" * value[-1].isdecimal()
        )
        places = [match.span() for match in re.finditer(pattern, example.message)]
        if not places:
            raise _Skipped(f"the answer's {field} does not stand in the message")
        entities = find_entities(value)
        # 详细地址 and 含地区的详细地址 fill the same field; the second begins with a region.
        regional = bool(entities) and entities[0].kind == "region" and entities[0].start == 0
        named = [slot for slot in sources[field] if ("地区" in slot) == regional] or list(sources[field])
        spans += [Span(*place, named[0]) for place in places]
    return _disjoint(spans)


def _rule_spans(scenario: Scenario, message: str, taken: Sequence[Span], atoms: Atoms) -> list[Span]:
    """Find a slot for every other entity that the rules see, where there is just one."""
    spans = [*_addresses(scenario, _masked(message, taken))]
    used = {span.slot for span in taken}
    masked = _masked(message, [*taken, *spans])
    for entity in find_entities(masked):
        kind = _kind(masked, entity)
        slots = [slot for slot in sorted(scenario.slots) if kind and kind_of_slot(slot) == kind]
        if kind == "时间":
            slots = [slot for slot in slots if entity.text in {_value(row, slot) for row in atoms}]
        # The answer says which phone is meant: another one stands for itself, as an old one does.
        free = [slot for slot in slots if slot.startswith("旧")] if used & set(slots) else slots
        best = [slot for slot in free if slot == kind] or free
        if len(best) == 1:
            spans.append(Span(entity.start, entity.end, best[0]))
    return spans


def _addresses(scenario: Scenario, text: str) -> list[Span]:
    """Find whole addresses besides that of the answer: from the region to where the sentence goes on."""
    old = [slot for slot in sorted(scenario.slots) if slot.startswith("旧") and kind_of_slot(slot) == "地址"]
    spans = []
    for region in find_regions(text):
        match = _ADDRESS.match(text, region.start)
        if match and len(old) == 1:
            spans.append(Span(*match.span(), old[0]))
    return _disjoint(spans)


def _value(row: Mapping[str, Any], slot: str) -> str:
    value: Any = row
    for part in slot.split("."):
        value = value[part]
    return str(value)


def _kind(text: str, entity: Entity) -> str:
    """Return the kind of value that an entity is, an empty string if it is none; the label before it decides first."""
    if entity.kind == "time":
        return "时间"
    if entity.kind != "number":
        return ""
    before = text[: entity.start]
    label = _LABELLED.search(before)
    labelled = next((kind for kind, words in LABELS.items() if label and label[1] in words), "")
    if labelled in _NUMBERS:
        return labelled
    digits = unicodedata.normalize("NFKC", entity.text)
    if _PHONE.fullmatch(digits):
        return "电话"
    # Without a label, a long number that stands alone; 身份证 before it would be another one.
    return "订单号" if len(digits) >= _ORDER_DIGITS and digits.isdecimal() and not re.search(r"\w$", before) else ""


def _disjoint(spans: Iterable[Span]) -> list[Span]:
    """Keep what does not overlap: the earlier found, and of those found together the longer, which comes first."""
    kept: list[Span] = []
    for span in spans:
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return kept


def _masked(message: str, spans: Iterable[Span]) -> str:
    for span in spans:
        message = message[: span.start] + "\ue003" * (span.end - span.start) + message[span.end :]
    return message


def _filled(message: str, spans: Sequence[Span]) -> tuple[str, dict[str, str]]:
    """Return the template and the value that each slot had."""
    values: dict[str, str] = {}
    text, end = "", 0
    for span in sorted(spans):
        text += message[end : span.start] + f"{{{{{span.slot}}}}}"
        values.setdefault(span.slot, message[span.start : span.end])
        if without_spaces(values[span.slot]) != without_spaces(message[span.start : span.end]):
            raise _Skipped(f"it has two values for {span.slot}")
        end = span.end
    return text + message[end:], values


def _left(message: str, spans: Sequence[Span]) -> str:
    """Return what of the original might be left outside of the slots, an empty string if nothing is."""
    words = _masked(message, spans)
    for entity in find_entities(words):
        if entity.kind not in _IMPERSONAL:
            return f"no slot stands for the {entity.kind} {entity.text!r}"
    for byname in bynames(words):
        return f"no slot stands for the name {byname!r}"
    for span in spans:
        value = without_spaces(message[span.start : span.end])
        size = _NAME_PIECE if kind_of_slot(span.slot) in ("姓名", "省", "市", "县") else _PIECE
        pieces = {value[i : i + size] for i in range(len(value) - size + 1)}
        if piece := next((piece for piece in sorted(pieces) if piece in without_spaces(words)), ""):
            return f"{piece!r} of {span.slot} stands in the message once more"
    return ""


def _with_unit(
    scenario: Scenario, text: str, values: Mapping[str, str], example: Sample, atoms: Mapping[str, Any], name: str
) -> SentenceTemplate:
    """Return the template of the unit in which it gives the example's answer, rendered with the original values."""
    row = json.loads(json.dumps(atoms, default=str))
    for slot, value in values.items():
        *parents, leaf = slot.split(".")
        node = row
        for parent in parents:
            node = node[parent]
        node[leaf] = value
    for unit in sorted({seed.unit for seed in scenario.seeds().values()}):
        try:
            template = parse_template(text, name, scenario.slots, unit, name)
            rendered = scenario.family.render(template, row, Scene(random.Random(0), _no_partner))
        except (TemplateError, LookupError, ValueError):
            continue
        if rendered.message == example.message and _same(rendered.answer, example.answer):
            return template
    raise _Skipped("as a template of no unit it gives the example's answer")


def _no_partner(unit: str) -> SentenceTemplate:
    raise LookupError(f"a template of unit {unit!r} was asked for where one template is rendered alone.")


def _same(one: str, other: str) -> bool:
    return bool(_read(one) == _read(other))


def _read(answer: str) -> Any:
    """Return what an answer in JSON holds, the text itself where it is none."""
    try:
        return json.loads(answer)
    except ValueError:
        return answer
