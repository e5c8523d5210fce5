"""An answer that is one JSON object: written in one spelling, read strictly or as far as it can be read.

Here belong the form and the comparison of values. Which members an answer has, and which are true, is the business of
the families.

    dump_answer({"姓名": "张三", "电话": ""})                         # {"姓名": "张三", "电话": ""}
    read_strict('{"姓名": "张三"}', ("姓名",))                        # {"姓名": "张三"}
    read_repaired('好的：{"姓名": "张三", "电话": "13', ("姓名", "电话"))   # {"姓名": "张三"}
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cs_assets.families.base import Score

_SPACE = re.compile(r"\s+")
_MEMBER = re.compile(r'"([^"]+)"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|null)')


def without_spaces(text: str) -> str:
    """Return `text` without any white space: the form in which words of a message and values are compared."""
    return _SPACE.sub("", text)


def dump_answer(members: Mapping[str, Any]) -> str:
    """Write the answer in its one canonical spelling."""
    return json.dumps(dict(members), ensure_ascii=False)


def parse_answer(prediction: str) -> Any:
    """Return what `prediction` is as JSON, white space around it aside.

    Raises:
        ValueError: it is not JSON, or a key is doubled.
        RecursionError: it is nested too deeply.
    """
    return json.loads(prediction.strip(), object_pairs_hook=_without_doubles)


def _without_doubles(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members as a mapping. Of a doubled key `json` keeps the last value, and readers differ in which.

    Raises:
        ValueError: a key is doubled.
    """
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a key is doubled")
    return found


def read_strict(prediction: str, fields: Sequence[str]) -> dict[str, str] | None:
    """Return the fields if `prediction` is one JSON object with these keys, each once, and string values, else None."""
    try:
        parsed = parse_answer(prediction)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict) or set(parsed) != set(fields):
        return None
    return parsed if all(isinstance(value, str) for value in parsed.values()) else None


def read_repaired(prediction: str, fields: Sequence[str]) -> dict[str, str]:
    """Return what can be read from a sloppy prediction: fences, prose around it, other keys, a cut end.

    A field that cannot be read is missing in the result. A null reads as an empty string.
    """
    start = prediction.find("{")
    text = prediction[start : prediction.rfind("}") + 1] if start >= 0 else ""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = {key: _unescaped(value) for key, value in _MEMBER.findall(prediction)}
    if not isinstance(parsed, dict):
        return {}
    return {key: "" if parsed[key] is None else str(parsed[key]).strip() for key in fields if key in parsed}


def score_values(prediction: str, answer: str, fields: Sequence[str]) -> Score:
    """Compare the values of `fields`, which are texts; `exact` asks for the form, too."""
    truth = json.loads(answer)
    strict = read_strict(prediction, fields)
    values = strict if strict is not None else read_repaired(prediction, fields)
    return Score(
        strict_json=float(strict is not None),
        exact=float(strict == truth),
        fields={name: float(values.get(name) == truth[name]) for name in fields},
    )


def _unescaped(text: str) -> str:
    """Return the text of a JSON string's inside; as it stands where its escapes are broken."""
    try:
        return json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
