"""Plain templates as column expressions: thousands of messages at a time instead of one.

Here belongs the translation of a template into Polars, and what can be asked of its rows at once. What the rows mean is
a family's business. A template is plain when it holds text and slots with or without `trim`; anything richer is
rendered by Jinja2, row by row, with the same result.

    compiled = compile_template(template)              # None where the template is richer
    slot_columns(atoms, template.slots, [compiled]).select(message=compiled.message)
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from cs_assets.families.syntax import LATIN_OR_DIGIT, SentenceTemplate, is_latin_or_digit

# What `str.strip` removes; Polars would leave the separators U+001C to U+001F.
_WHITE_SPACE: Final = "".join(chr(code) for code in range(0x3001) if chr(code).isspace())
# Braces that are more than a slot's: a single one, as in a message that is JSON, is text.
_RICHER: Final = re.compile(r"\{\{|\}\}|\{[%#]|[%#]\}")
_PIECE: Final = re.compile(r"\{\{\s*([^{}|]*?)\s*(?:\|\s*trim\s*)?\}\}")


def slot_expression(slot: str) -> pl.Expr:
    """Return the column of a dotted slot, reached through its structs, stripped as a rendered value is."""
    head, *rest = slot.split(".")
    column = pl.col(head)
    for part in rest:
        column = column.struct.field(part)
    return column.str.strip_chars(_WHITE_SPACE)


def pieces(template: SentenceTemplate) -> list[tuple[str, str]] | None:
    """Return the template as (literal, slot) pairs, one of the two empty; None where it is not plain."""
    found: list[tuple[str, str]] = []
    position = 0
    for match in _PIECE.finditer(template.text):
        found += [(template.text[position : match.start()], ""), ("", match.group(1))]
        position = match.end()
    # Jinja2 drops one newline at the end.
    found.append((template.text[position:].removesuffix("\n"), ""))
    plain = tuple(slot for _, slot in found if slot) == template.slots
    literal = "".join(text for text, _ in found)
    if not plain or _RICHER.search(literal) or re.search(r"\{{3}|\}{3}", template.text) or "\r" in literal:
        return None
    return [piece for piece in found if any(piece)]


# What `_lost_boundary` asks of a slot's value, in columns named slot:begins and slot:ends.
_EDGES: Final = {"begins": f"^{LATIN_OR_DIGIT}", "ends": f"{LATIN_OR_DIGIT}$"}


def slot_columns(atoms: pl.DataFrame, slots: Sequence[str], compiled: Sequence["ColumnTemplate"]) -> pl.DataFrame:
    """Return what the templates' expressions read: a string column a slot, named by it, and what its edges are."""
    columns = atoms.select(slot_expression(slot).alias(slot) for slot in slots)
    asked = {name for template in compiled for name in template.lost.meta.root_names()} - set(slots)
    edges = [name.rpartition(":") for name in sorted(asked)]
    return columns.with_columns(
        pl.col(slot).str.contains(_EDGES[edge]).alias(f"{slot}:{edge}") for slot, _, edge in edges
    )


@dataclass(frozen=True)
class ColumnTemplate:
    """A plain template as expressions over `slot_columns`.

    message: what it renders. lost: whether a value runs into its neighbour, as `syntax.boundary_is_lost` tells of one
    row.
    """

    message: pl.Expr
    lost: pl.Expr


def compile_template(template: SentenceTemplate) -> ColumnTemplate | None:
    """Return the template as expressions; None where it is not plain."""
    found = pieces(template)
    if found is None:
        return None
    message = pl.concat_str([pl.col(slot) if slot else pl.lit(text) for text, slot in found])
    return ColumnTemplate(message, _lost_boundary(found))


def _lost_boundary(found: list[tuple[str, str]]) -> pl.Expr:
    lost: list[pl.Expr] = []
    # Whether the text so far ends in a letter or digit: a value's, or one of the template's own; None where it cannot.
    value: pl.Expr | None = None
    word: pl.Expr | None = None
    for text, slot in found:
        if slot:
            lost += [before & pl.col(f"{slot}:begins") for before in (value, word) if before is not None]
            empty = pl.col(slot) == ""
            ends = pl.col(f"{slot}:ends")
            value = ends if value is None else ends | (empty & value)
            word = None if word is None else empty & word
        else:
            lost += [value] if value is not None and is_latin_or_digit(text[0]) else []
            value, word = None, pl.lit(True) if is_latin_or_digit(text[-1]) else None
    return pl.any_horizontal(lost) if lost else pl.lit(False)
