"""The retention probe: general questions that have nothing to do with customer service, and whether an answer is right.

Here belong the items of `data/retention/probe.jsonl` and the five checks; asking a model, and what its answers say
about it, stand in `retention.py`. A line of the file:

    {"id": "science-01", "kind": "science", "check": "contains", "question": "水的化学式是什么？", "accept": ["H2O"]}

    exact      the answer is one of `accept`; quotes around it and a full stop behind it do not matter
    contains   one of `accept` occurs in it, in capitals or not
    number     the last number in it is one of `accept`
    regex      one of the patterns in `accept` matches all of it
    json       it is JSON, fenced or not, and equals one of `accept`
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cs_assets.samples.folds import spaced_evenly

PROBE_FILE: Final = Path(__file__).resolve().parents[2] / "data" / "retention" / "probe.jsonl"
# What may stand around an answer that is right: quotes, and the marks that end a sentence.
_AROUND: Final = " \n\t\"'`“”‘’「」。.!"
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_BETWEEN_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_FENCE: Final = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)
Check = Literal["exact", "contains", "number", "regex", "json"]


class ProbeItem(BaseModel):
    """One question, and what counts as right."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: str
    check: Check
    question: Annotated[str, Field(min_length=1)]
    accept: Annotated[list[str], Field(min_length=1)]

    def is_right(self, answer: str) -> bool:
        """Tell whether `answer` passes the check; full-width letters and digits count as their usual forms."""
        return _CHECKS[self.check](_plain(answer), [_plain(wanted) for wanted in self.accept])


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def _exact(answer: str, accept: Sequence[str]) -> bool:
    return answer.strip(_AROUND) in accept


def _contains(answer: str, accept: Sequence[str]) -> bool:
    return any(wanted.casefold() in answer.casefold() for wanted in accept)


def _number(answer: str, accept: Sequence[str]) -> bool:
    numbers = _NUMBER.findall(_BETWEEN_THOUSANDS.sub("", answer))
    return bool(numbers) and float(numbers[-1]) in map(float, accept)


def _regex(answer: str, accept: Sequence[str]) -> bool:
    return any(re.fullmatch(pattern, answer.strip(_AROUND)) for pattern in accept)


def _json(answer: str, accept: Sequence[str]) -> bool:
    fenced = _FENCE.fullmatch(answer)
    try:
        found: Any = json.loads(fenced[1] if fenced else answer)
    except (ValueError, RecursionError):
        return False
    return found in map(json.loads, accept)


_CHECKS: Final[Mapping[Check, Callable[[str, Sequence[str]], bool]]] = {
    "exact": _exact,
    "contains": _contains,
    "number": _number,
    "regex": _regex,
    "json": _json,
}


def load_probe(count: int | None = None, path: Path = PROBE_FILE) -> list[ProbeItem]:
    """Return the items of the probe, or `count` of them at even distances, so that every kind is among them.

    Raises:
        ValueError: a line is no item; the message names file and line.
    """
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            items.append(ProbeItem.model_validate_json(line))
        except ValidationError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return [items[place] for place in spaced_evenly(len(items), count)]
