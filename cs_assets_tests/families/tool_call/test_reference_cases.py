"""The five levels against the field's reference, the AST check of the Berkeley Function Calling Leaderboard.

What the reference says was recorded by `reference_verdicts.py`; it is not needed here. A case is right if all levels
are, and else falls at the first that is not. Where we want something else, the case says so in `differs`, by a name of
DIFFERENCES. Every other case must fall where the reference lets it fall.
"""

import itertools
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from cs_assets.families.tool_call.answer import LEVELS, Answer, levels
from cs_assets.families.tools import Call

FOLDER: Final = Path(__file__).resolve().parent
RIGHT: Final = "right"
# stricter: right for the reference, wrong for us. laxer: the other way round. level: wrong for both, at another level.
Direction = Literal["stricter", "laxer", "level"]

DIFFERENCES: Final[Mapping[str, tuple[set[Direction], str]]] = {
    "text_is_exact": (
        {"stricter"},
        "The reference ignores case, spaces and ,./-_*^ in texts, and which quotes they have, since it judges free "
        "wording. Here text is copied as typed; 3.5元 is not 35元, and -5度 not 5度.",
    ),
    "one_truth": (
        {"stricter"},
        "The reference is told several values that are right. Here a message has one right answer, in the customer's "
        "words.",
    ),
    "what_is_left_out": (
        {"stricter", "level"},
        "The reference lets an optional argument be filled with its default. Here one that was not mentioned is left "
        "out; whatever it holds, it is unknown.",
    ),
    "types_of_the_truth": (
        {"stricter", "level"},
        "The reference reads types in the schema, we in the true answer: a number that it writes as an integer, 3, is "
        "an integer, so that 3.0 is wrong; an empty list says nothing of its items.",
    ),
    "types_anywhere": (
        {"stricter", "level"},
        "The reference checks types of arguments and of the items of a list. In objects and in lists of lists it "
        "compares values alone, and True equals 1. Here a wrong type is one at any depth.",
    ),
    "whole_numbers_anywhere": (
        {"laxer"},
        "An integer stands for a whole number: for the reference where it is an argument, not as the item of a list. "
        "JSON has one kind of number.",
    ),
    "lowest_level_first": (
        {"level"},
        "The reference names the first fault that it meets, argument by argument, call by call. Here a level is tested "
        "in all of them before the next one.",
    ),
    "best_pairs": (
        {"level"},
        "Of calls of one function that fail, the reference holds all against the first true one without a match. Here "
        "the most alike are compared, so that a call is not measured against what another one stands for.",
    ),
}

# The reference's error -> the level. `unclear` and the like, its words for what cannot happen, are missing on purpose.
LEVEL_OF_ERROR: Final[Mapping[str, str]] = {
    "irrelevance_error:decoder_success": "function",
    "simple_function_checker:wrong_count": "function",
    "multiple_function_checker:wrong_count": "function",
    "parallel_function_checker_no_order:wrong_count": "function",
    "simple_function_checker:wrong_func_name": "function",
    "simple_function_checker:missing_required": "required",
    "simple_function_checker:missing_optional": "required",
    "simple_function_checker:unexpected_param": "unknown",
    "type_error:simple": "types",
    "type_error:nested": "types",
    "value_error:string": "values",
    "value_error:list/tuple": "values",
    "value_error:list_dict_count": "values",
    "value_error:dict_key": "values",
    "value_error:dict_value": "values",
    "value_error:others": "values",
}


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    valid: bool
    error_type: str = ""
    attempts: list[str] = []

    @property
    def level(self) -> str:
        """Return where the case falls; of several attempts at one true call, where the one falls that gets furthest."""
        if self.valid:
            return RIGHT
        return max((LEVEL_OF_ERROR[error] for error in self.attempts or [self.error_type]), key=LEVELS.index)


class Case(BaseModel):
    model_config = ConfigDict(extra="forbid")

    case: str
    offered: list[str]
    true: list[dict[str, Any]]
    predicted: list[Call]
    differs: str = ""
    oracle: Verdict

    @property
    def level(self) -> str:
        """Return where the case falls by our own check."""
        calls = [Call(name=call["name"], arguments=call["arguments"]) for call in self.true]
        passed = levels(Answer(calls=self.predicted, ask=[]), Answer(calls=calls, ask=[]))
        return next((level for level, right in zip(LEVELS, passed, strict=True) if not right), RIGHT)


def read_cases() -> list[Case]:
    lines = (FOLDER / "reference_cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [Case.model_validate_json(line) for line in lines]


CASES: Final = read_cases()


def direction(ours: str, reference: str) -> Direction:
    if RIGHT not in (ours, reference):
        return "level"
    return "stricter" if reference == RIGHT else "laxer"


@pytest.mark.parametrize("case", CASES, ids=[case.case for case in CASES])
def test_a_case_falls_where_the_reference_lets_it_fall(case: Case) -> None:
    ours, reference = case.level, case.oracle.level
    if not case.differs:
        assert ours == reference
    else:
        assert ours != reference
        assert direction(ours, reference) in DIFFERENCES[case.differs][0]


def test_the_order_of_the_calls_does_not_count() -> None:
    for case in CASES:
        for turned in itertools.permutations(case.predicted):
            assert case.model_copy(update={"predicted": list(turned)}).level == case.level, case.case


def test_the_cases_cover_what_can_go_wrong() -> None:
    assert len({case.case for case in CASES}) == len(CASES) >= 200
    fell = Counter(case.oracle.level for case in CASES)
    assert set(fell) == {RIGHT, *LEVELS}
    assert min(fell.values()) >= 20
    met = {error for case in CASES for error in [*case.oracle.attempts, case.oracle.error_type]}
    assert met >= set(LEVEL_OF_ERROR)
    seen: dict[str, set[Direction]] = {name: set() for name in DIFFERENCES}
    for case in CASES:
        if case.differs:
            seen[case.differs].add(direction(case.level, case.oracle.level))
    assert seen == {name: directions for name, (directions, _) in DIFFERENCES.items()}
    # Most cases are there to agree.
    assert sum(bool(case.differs) for case in CASES) <= 0.2 * len(CASES)


def test_the_oracle_is_named() -> None:
    oracle = json.loads((FOLDER / "reference_oracle.json").read_text(encoding="utf-8"))
    assert oracle["package"] == "bfcl-eval"
    assert oracle["version"]
