"""JSON lines that people or other programs wrote: examples, verdicts.

Here belongs what any such line may hold, so that one line can break nothing but itself. What its keys mean is the
business of who reads it; what a model answered is read in `json_answers`.

    row = read_line('{"message": "张三，13800138000", "answer": {"姓名": "张三"}}')
"""

import json
from typing import Any, Final

from cs_assets.families.json_answers import parse_answer

# A long session with the schemas of fifty functions takes half of it.
MAX_LINE_CHARACTERS: Final = 200_000
# How deep Python reads depends on how deep its own calls are: a stage could not read again what was read here.
_MAX_OPEN_BRACKETS: Final = 100


def read_line(line: str) -> Any:
    """Return what a line holds.

    Raises:
        ValueError: it is too long, nested too deeply, no JSON, has a key twice, or holds what no table can keep: NaN,
            an infinite number, or half of a surrogate pair.
    """
    if len(line) > MAX_LINE_CHARACTERS:
        raise ValueError(f"{len(line)} characters; at most {MAX_LINE_CHARACTERS} are allowed")
    too_deep = f"more than {_MAX_OPEN_BRACKETS} brackets are open at once"
    try:
        found = parse_answer(line)
        open_at_once = _open_brackets(found)
    except RecursionError:  # its thousand lines say no more
        raise ValueError(too_deep) from None
    if open_at_once > _MAX_OPEN_BRACKETS:
        raise ValueError(too_deep)
    try:
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"holds half of a surrogate pair, {error.object[error.start]!a}") from error
    return found


def _open_brackets(value: Any) -> int:
    """Return how many brackets of a value are open at once; those in its texts open nothing."""
    if not isinstance(value, (dict, list)):
        return 0
    parts = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_open_brackets, parts), default=0)
