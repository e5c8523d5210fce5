"""Writes into `reference_cases.jsonl` what the field's reference says, the Berkeley Function Calling Leaderboard.

Run by hand, when cases are added or the reference changes, in an environment of its own; its pins are not ours:

    python -m venv /tmp/oracle
    /tmp/oracle/bin/pip install --no-deps bfcl-eval==2026.3.23 filelock
    /tmp/oracle/bin/python cs_assets_tests/families/tool_call/reference_verdicts.py

Here belongs only the translation of a case into the reference's words. A case has the functions on offer, by their
names in `reference_functions.jsonl`; the true calls, with what the reference shall accept besides in `allowed` (null:
left out); the predicted calls. What our own check says of it is the business of `test_reference_cases.py`.

A verdict is {"valid": true} or {"valid": false, "error_type": ...}; of several calls `attempts` has the errors of those
that were held against the first true call without a match.
"""

import importlib
import json
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Final

FOLDER: Final = Path(__file__).resolve().parent
CASES: Final = FOLDER / "reference_cases.jsonl"
FUNCTIONS: Final = FOLDER / "reference_functions.jsonl"
ORACLE: Final = FOLDER / "reference_oracle.json"
PACKAGE: Final = "bfcl-eval"
# JSON Schema's names of types -> the reference's, where they differ.
_TYPES: Final[Mapping[str, str]] = {"number": "float", "object": "dict"}


def load_oracle() -> tuple[ModuleType, ModuleType]:
    """Return the reference's modules that check calls and tell an empty answer, without the models that it can ask.

    Their table is looked up for function names with a dot alone; there are none here.
    """
    models = ModuleType("bfcl_eval.constants.model_config")
    models.__dict__["MODEL_CONFIG_MAPPING"] = {}
    sys.modules[models.__name__] = models
    checker = importlib.import_module("bfcl_eval.eval_checker.ast_eval.ast_checker")
    return checker, importlib.import_module("bfcl_eval.utils")


def verdict(case: Mapping[str, Any], functions: Mapping[str, Any], checker: Any, utils: Any) -> dict[str, Any]:
    """Ask the reference about one case."""
    offered = [functions[name] for name in case["offered"]]
    predicted = [{call["name"]: call["arguments"]} for call in case["predicted"]]
    true = [{call["name"]: _possible(call, functions[call["name"]])} for call in case["true"]]
    if not true:
        empty = utils.is_empty_output(predicted)
        return {"valid": True} if empty else {"valid": False, "error_type": "irrelevance_error:decoder_success"}
    category = "parallel_multiple" if len(true) > 1 else "multiple" if len(offered) > 1 else "simple"
    shown = [_in_its_types(function) for function in offered]
    result = checker.ast_checker(shown, predicted, true, checker.Language.PYTHON, category, "any")
    if result["valid"]:
        return {"valid": True}
    found = {"valid": False, "error_type": result["error_type"]}
    attempts = [tried for error in result["error"] if isinstance(error, dict) for tried in error.values()]
    return found | ({"attempts": [tried["sub_error_type"] for tried in attempts]} if attempts else {})


def _possible(call: Mapping[str, Any], function: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return parameter -> what it may be, the empty text meaning that it may be left out."""
    properties = function["parameters"]["properties"]
    allowed = {name: [value] for name, value in call["arguments"].items()}
    for name, values in call.get("allowed", {}).items():
        allowed[name] = allowed.get(name, []) + values
    return {
        name: ["" if value is None else _possible_value(value, properties[name]) for value in values]
        for name, values in allowed.items()
    }


def _possible_value(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value as the reference's truths have it: each member of an object is a list of what it may be."""
    if schema["type"] == "object":
        return {name: [member] for name, member in value.items()}
    if schema["type"] == "array" and schema["items"]["type"] == "object":
        return [_possible_value(item, schema["items"]) for item in value]
    return value


def _in_its_types(schema: Any) -> Any:
    """Return a schema, or a part of one, with the reference's names of types."""
    if isinstance(schema, list):
        return [_in_its_types(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _in_its_types(part) for name, part in schema.items()}
    return found | ({"type": _TYPES.get(schema["type"], schema["type"])} if isinstance(schema.get("type"), str) else {})


def main() -> None:
    checker, utils = load_oracle()
    listed = [json.loads(line)["function"] for line in FUNCTIONS.read_text(encoding="utf-8").splitlines()]
    functions = {function["name"]: function for function in listed}
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    judged = [case | {"oracle": verdict(case, functions, checker, utils)} for case in cases]
    CASES.write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in judged), encoding="utf-8")
    ORACLE.write_text(json.dumps({"package": PACKAGE, "version": version(PACKAGE)}) + "\n", encoding="utf-8")
    valid = sum(case["oracle"]["valid"] for case in judged)
    print(f"{len(judged)} cases, {valid} of them valid, by {PACKAGE} {version(PACKAGE)}")


if __name__ == "__main__":
    main()
