"""The language of sentence templates: Jinja2 as the field writes it, in a sandbox, with its slots known.

Here belong parsing, the slots of a template and rendering into segments. What a slot means for the answer is a
family's business; which variants of a template exist is the business of the `templates` stage.

    template = parse_template("{{名字.param.输出 | trim}}，{{电话}}", source="templates/human/01.j2")
    template.slots                                   # ("名字.param.输出", "电话")
    "".join(s.text for s in template.render(atoms))  # 张三，13800138000

Rendered text comes as segments, literal or from a slot, so that noise may touch the sentence and never a value.
"""

import functools
import itertools
import re
from collections.abc import Mapping
from typing import Any, Final

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict

MAX_TEMPLATE_CHARACTERS: Final = 4_000
# Filters of a slot, or alternatives in a row. `tojson` of a `tojson` doubles the value, so that thirty fill the memory.
MAX_NESTING: Final = 8
ALLOWED_FILTERS: Final = frozenset({"trim", "tojson"})
# Expressions only: no statements, calls, arithmetic or tests, so a template can neither loop nor reach an attribute
# that is not a slot.
_ALLOWED_NODES: Final = (nodes.Output, nodes.TemplateData, nodes.Filter, nodes.Getattr, nodes.Name, nodes.Or)
# Private-use characters: no customer types them, so they mark where a slot's value begins and ends.
_OPEN, _CLOSE = "\ue000", "\ue001"
# Control characters but tab and line breaks, and those that turn the direction of the text round.
_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKED = re.compile(f"{_OPEN}([^{_OPEN}]*)\ue002([^{_CLOSE}]*){_CLOSE}")


# What no reader can part where two stand together: 518057 and 13800138000, B and 256GB. A pattern for Polars too.
LATIN_OR_DIGIT: Final = r"[\dA-Za-zＡ-Ｚａ-ｚ]"
_LATIN_OR_DIGIT: Final = re.compile(LATIN_OR_DIGIT)


class TemplateError(ValueError):
    """A template that cannot be used; the message names source, line, what was found and what is allowed."""


class Segment(BaseModel):
    """A piece of rendered text; `slot` is empty for the template's own words."""

    model_config = ConfigDict(frozen=True)

    text: str
    slot: str = ""


@functools.lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": False}
    return environment


def _slot_of(node: nodes.Node) -> str | None:
    """Return the dotted path of `a.b.c`, None for anything else."""
    parts: list[str] = []
    while isinstance(node, nodes.Getattr):
        parts.append(node.attr)
        node = node.node
    if not isinstance(node, nodes.Name):
        return None
    return ".".join([node.name, *reversed(parts)])


def _collect_slots(node: nodes.Node, source: str, found: list[tuple[str, int]], depth: int = 0) -> None:
    for child in node.iter_child_nodes():
        # Some nodes, as the scope of a block, know no line.
        line = f"{source}, line {child.lineno or node.lineno or 1}"
        if depth > MAX_NESTING + 1:  # the outermost is the output itself
            raise TemplateError(f"{line}: more than {MAX_NESTING} filters or alternatives of one slot. Take some out.")
        if not isinstance(child, _ALLOWED_NODES):
            raise TemplateError(
                f"{line}: found {type(child).__name__.lower()}; a template may hold text and slots such as "
                f"{{{{电话}}}} or {{{{地址.param.省 | trim}}}} only. Take the rest out."
            )
        if isinstance(child, nodes.Filter) and child.name not in ALLOWED_FILTERS:
            raise TemplateError(
                f"{line}: filter {child.name!r} is not allowed; allowed are {', '.join(sorted(ALLOWED_FILTERS))}."
            )
        if isinstance(child, nodes.Filter) and (child.args or child.kwargs or child.dyn_args or child.dyn_kwargs):
            raise TemplateError(
                f"{line}: filter {child.name!r} takes no arguments here; write {{{{电话 | {child.name}}}}}."
            )
        slot = _slot_of(child)
        if slot is None:
            _collect_slots(child, source, found, depth + 1)
        elif any(part.startswith("_") for part in slot.split(".")):
            raise TemplateError(f"{line}: {slot!r} reaches for a private attribute; only slots may be named.")
        else:
            found.append((slot, child.lineno))


class SentenceTemplate:
    """A parsed template. `slots` are dotted paths in the order of the text, repeated as often as they occur.

    `unit` is the folder it stands in: the class, the tool or the step that its sentence is for; empty where a scenario
    has one kind of sentence only. `seed` is the human-written template that it is or comes from (`refund/01`), for
    families whose answer depends on it. `answer` is the text of the answer's template, where an LLM wrote the two
    together.
    """

    def __init__(
        self, text: str, source: str, slots: tuple[str, ...], unit: str = "", seed: str = "", answer: str = ""
    ) -> None:
        self.text = text
        self.source = source
        self.slots = slots
        self.unit = unit
        self.seed = seed
        self.answer = answer

    @functools.cached_property
    def _compiled(self) -> Template:
        return _environment().from_string(self.text)

    def literals(self) -> str:
        """Return the template's own words, slots left out."""
        return re.sub(r"\{\{.*?\}\}", "", self.text, flags=re.DOTALL)

    def render(self, atoms: Mapping[str, Any]) -> list[Segment]:
        """Render with one atom row (nested mappings) into segments; joined, their texts are the message.

        Raises:
            TemplateError: a slot is missing in `atoms`.
        """
        marked = _marked_atoms(atoms, set(self.slots))
        try:
            text = self._compiled.render(marked)
        except (UndefinedError, SecurityError) as error:
            raise TemplateError(f"{self.source}: {error}. Use only slots that the scenario's atoms define.") from error
        segments: list[Segment] = []
        position = 0
        for match in _MARKED.finditer(text):
            segments.append(Segment(text=text[position : match.start()]))
            segments.append(Segment(text=match.group(2), slot=match.group(1)))
            position = match.end()
        segments.append(Segment(text=text[position:]))
        return [segment for segment in segments if segment.text or segment.slot]

    def fill(self, atoms: Mapping[str, Any]) -> str:
        """Render without marks, filters such as `tojson` applied to the plain values."""
        return self._compiled.render(atoms)


def is_latin_or_digit(character: str) -> bool:
    """Tell whether a character runs into another of its kind: a Latin letter or a digit, in full width too."""
    return bool(_LATIN_OR_DIGIT.match(character))


def boundary_is_lost(segments: list[Segment]) -> bool:
    """Tell whether a value runs into its neighbour and no reader could part them: letters or digits on both sides."""
    shown = [segment for segment in segments if segment.text]
    return any(
        (left.slot or right.slot) and is_latin_or_digit(left.text[-1]) and is_latin_or_digit(right.text[0])
        for left, right in itertools.pairwise(shown)
    )


def _marked_atoms(atoms: Mapping[str, Any], slots: set[str], prefix: str = "") -> dict[str, Any]:
    marked: dict[str, Any] = {}
    for key, value in atoms.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            marked[key] = _marked_atoms(value, slots, f"{path}.")
        else:
            marked[key] = f"{_OPEN}{path}\ue002{str(value).strip()}{_CLOSE}" if path in slots else value
    return marked


@functools.lru_cache(maxsize=10_000)  # a variant meets several gates, and each of them parses its text
def parse_template(
    text: str,
    source: str,
    allowed_slots: frozenset[str] | None = None,
    unit: str = "",
    seed: str = "",
    answer: str = "",
) -> SentenceTemplate:
    """Parse and check a template.

    Args:
        text: the Jinja2 text; one trailing newline is dropped, as editors add it.
        source: where it comes from, for error messages: a file or the id of a variant.
        allowed_slots: the slots that the scenario's atoms define; None allows any.
        unit: the folder that it stands in.
        seed: the name of the human-written template that it is or comes from.
        answer: the text of the answer's template, where the two were written together.

    Raises:
        TemplateError: it is empty, too long, not Jinja2, holds more than text and slots, or names an unknown slot.
    """
    text = text.removesuffix("\n")
    if not text.strip():
        raise TemplateError(f"{source}: the template is empty. Write a sentence with slots, or delete the file.")
    if len(text) > MAX_TEMPLATE_CHARACTERS:
        raise TemplateError(f"{source}: {len(text)} characters; at most {MAX_TEMPLATE_CHARACTERS} are allowed.")
    if re.search("[\ue000-\ue002]", text):
        raise TemplateError(f"{source}: holds a private-use character (U+E000 to U+E002). Take it out.")
    if match := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise TemplateError(f"{source}, line {line}: holds the control character U+{ord(match[0]):04X}. Take it out.")
    slots: list[tuple[str, int]] = []
    try:
        _collect_slots(_environment().parse(text), source, slots)
    except TemplateSyntaxError as error:
        raise TemplateError(f"{source}, line {error.lineno}: {error.message}. Check the braces there.") from error
    except RecursionError:  # its thousand lines say no more
        raise TemplateError(f"{source}: brackets are nested too deeply. A slot needs none.") from None
    for slot, line in slots:
        if allowed_slots is not None and slot not in allowed_slots:
            raise TemplateError(
                f"{source}, line {line}: unknown slot {slot!r}; allowed are {', '.join(sorted(allowed_slots))}."
            )
    return SentenceTemplate(text, source, tuple(slot for slot, _ in slots), unit, seed, answer)
