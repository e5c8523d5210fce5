"""`make scenario`: a folder to begin a scenario with.

It is what the family's own example begins with: its `scenario.yaml` with the comments, its tables, and some of its seed
templates. So it validates and materializes at once, and is changed from there. What people wrote for the example's test
(`real_style.jsonl`) is not taken along.

    python -m cs_assets.new_scenario order_return --family extraction
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cs_assets.families.definition import ScenarioError
from cs_assets.scenario import (
    REAL_STYLE_FILE,
    SCENARIO_FILE,
    SCENARIO_NAME,
    scenario_names,
    scenarios_folder,
)

# Of a folder without units; a unit's own folder holds few and is taken whole.
_SEEDS: Final = 12
_SCENARIOS: Final = Path(__file__).resolve().parent.parent / "data" / "scenarios"
# The committed scenario that each family begins with.
EXAMPLES: Final = {
    "dialogue": "delivery_time_product_query",
    "extraction": "address_extraction",
    "identity": "self_identity",
    "intent": "intent_routing",
    "knowledge": "shop_knowledge",
    "reply": "empathetic_reply",
    "tool_call": "ticket_tools",
    "workflow": "repair_workflow",
}


def new_scenario(name: str, family: str) -> Path:
    """Make the folder of a scenario, whole or not at all; return it.

    Raises:
        ScenarioError: the name is taken or no name, or there is no such family; the message says what is allowed.
    """
    if not SCENARIO_NAME.fullmatch(name):
        raise ScenarioError(f"NAME={name!r}: letters, digits, _ and - make a name, 64 at most (order_return).")
    if name in scenario_names() or (scenarios_folder() / name).exists():
        raise ScenarioError(f"NAME={name!r}: {scenarios_folder() / name} is there already; choose another name.")
    if family not in EXAMPLES:
        raise ScenarioError(f"FAMILY={family!r} is none; there are: {', '.join(EXAMPLES)}.")
    example = _SCENARIOS / EXAMPLES[family]
    target = scenarios_folder() / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as beside:
        folder = Path(beside) / name
        shutil.copytree(example, folder, ignore=_left_out(example))
        spec = folder / SCENARIO_FILE
        spec.write_text(_renamed(spec.read_text(encoding="utf-8"), folder, example.name), encoding="utf-8")
        folder.rename(target)
    return target


def _left_out(example: Path) -> Callable[[str, list[str]], list[str]]:
    """Return what `shutil.copytree` is to leave out: the frozen test, and most seeds of a folder without units."""

    def names(folder: str, entries: list[str]) -> list[str]:
        if Path(folder) == example:
            return [REAL_STYLE_FILE]
        if Path(folder) == example / "templates" / "human":
            return sorted((entry for entry in entries if entry.endswith(".j2")), key=_by_number)[_SEEDS:]
        return []

    return names


def _by_number(entry: str) -> tuple[int, str]:
    """Sort 9 before 100."""
    number = re.match(r"\d+", entry)
    return int(number[0]) if number else 0, entry


def _renamed(spec: str, folder: Path, example: str) -> str:
    """Return the text of `scenario.yaml` with a title of its own and a word on what to change."""
    body = spec.partition("\n")[2] if spec.startswith("#") else spec
    tables = sorted(file.name for file in folder.iterdir() if file.suffix in (".yaml", ".json"))
    answers = sorted(file.name for file in (folder / "templates").iterdir() if file.name != "human")
    steps = [
        "title, owners, instruction",
        *(f"{file}: what the family asks and answers" for file in tables if file != SCENARIO_FILE),
        "templates/human: how customers write",
        *(f"templates/{file}: how they are answered" for file in answers),
        "examples.jsonl: real messages with their answers, or an empty file",
        f"{REAL_STYLE_FILE}: what people wrote, labelled by someone who has not read the templates; it only tests",
    ]
    head = [f"# {folder.name}: begun with what {example} has. Yours to change, in this order:"]
    head += [f"# {number}. {step}" for number, step in enumerate(steps, start=1)]
    return "\n".join([*head, re.sub(r"^title:.*$", f'title: "{folder.name}"', body, count=1, flags=re.MULTILINE)])


def main() -> int:
    """Make a scenario and say what comes next; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cs_assets.new_scenario", description="Make a scenario's folder.")
    parser.add_argument("name", help="of the folder, which is the partition")
    parser.add_argument("--family", required=True, help=", ".join(EXAMPLES))
    options = parser.parse_args()
    try:
        folder = new_scenario(options.name, options.family)
    except ScenarioError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{folder} is there, and valid. Change it, then:")
    print(
        "  .venv/bin/dagster asset materialize -m cs_assets.definitions --select '*labelled_samples'"
        f" --partition {options.name}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
