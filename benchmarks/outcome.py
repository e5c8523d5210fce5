"""What every benchmark tells beside its figures, and where figures lie: while it runs, and at its end.

What is measured, and how, stands in the module of each.

    parser = argparse.ArgumentParser(...)
    add_result_options(parser)
    arguments = parser.parse_args()
    told = circumstances("judge", "torch", "trl")
    with work_folder(arguments.work) as work:
        tell(measure(arguments, work) | told, arguments)
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from upath import UPath

from cs_assets.learning.models import precision
from resources.files import write_whole

# What a training depends on.
LEARNING: Final = ("torch", "transformers", "trl", "peft")
# Where a result is kept is the reader's own affair, and a path of one machine.
_PLACES: Final = ("--work", "--output")


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that `tell` reads."""
    parser.add_argument("--json", action="store_true", help="print one JSON object in the last line")
    parser.add_argument("--output", type=Path, help="write the JSON object there, too")


def add_work_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that `work_folder` is given."""
    parser.add_argument("--work", type=Path, help="keeps models and figures, so that a killed run goes on")


def circumstances(benchmark: str, *packages: str) -> dict[str, Any]:
    """Return machine, versions, command and date; to be taken before the run, as the load is to be that of others."""
    return {
        "machine": {
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)),
            "load_before": round(os.getloadavg()[0], 2),
        },
        **({"precision": precision()} if "torch" in packages else {}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "command": shlex.join(["python", "-m", f"benchmarks.{benchmark}", *_without_places(sys.argv[1:])]),
        "date": datetime.now(UTC).date().isoformat(),
    }


def processor() -> str:
    """Return the processor's name, or its architecture where Linux does not tell a name."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    name = next((line for line in lines if line.startswith("model name")), "")
    return name.partition(":")[2].strip() or platform.machine()


@contextmanager
def work_folder(given: Path | None) -> Iterator[Path]:
    """Yield the folder that was asked for, or one that goes with the run."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def kept(path: Path, make: Callable[[], Sequence[float]]) -> list[float]:
    """Return the numbers in a file, made and written first if it is not there."""
    if not path.is_file():
        text = json.dumps(list(make()))
        write_whole(UPath(path), lambda beside: beside.write_text(text, encoding="utf-8"))
    return [float(value) for value in json.loads(path.read_text(encoding="utf-8"))]


def tell(found: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    """Write and print the result as `--output` and `--json` ask for it."""
    if arguments.output:
        text = json.dumps(found, ensure_ascii=False, indent=2) + "\n"
        write_whole(arguments.output, lambda beside: beside.write_text(text, encoding="utf-8"))
    if arguments.json:
        print(json.dumps(found, ensure_ascii=False))


def _without_places(words: Sequence[str]) -> list[str]:
    left, given = [], iter(words)
    for word in given:
        name, equals, _ = word.partition("=")
        if name not in _PLACES:
            left.append(word)
        elif not equals:
            next(given, None)
    return left
