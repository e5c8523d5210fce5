"""Many scenarios at once: the page of a thousand partitions, and a backfill of the data stages over fifty of them.

    python -m benchmarks.backfill --json --output benchmarks/results/backfill_sqlite.json
    python -m benchmarks.backfill --storage postgres --json --output benchmarks/results/backfill_postgres.json

A real `dagster dev`, with UI, daemon and code server, on made scenario folders of 20 templates each: with the
`dagster.yaml` of the repository, or with docs/examples/dagster_postgres.yaml and a PostgreSQL server that is started
for it. The backfill is asked for as the UI does, by GraphQL. The last line of `--json` is one object:

- registered_s: from the first answer of the UI until `scenario_sensor` has made a partition of every folder.
- runs: how the runs of the backfill ended, by status. wanted: all of them SUCCESS.
- backfill_s: from asking for it to its end.
- page_s: how long the UI's question takes which partitions of an asset are there: the median before any run, and median
  and maximum while the backfill is at work.
- partitions: how many keys that page has.
- troubles: how often what a storage under load says stands in any log, file or database of the run. wanted: 0 each.
"""

import argparse
import collections
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.outcome import add_result_options, add_work_option, circumstances, tell, work_folder
from benchmarks.postgres import running_postgres
from benchmarks.scenario_folders import make_scenarios

_ROOT: Final = Path(__file__).resolve().parent.parent
CONFIGS: Final = {
    "sqlite": _ROOT / "dagster.yaml",
    "postgres": _ROOT / "docs" / "examples" / "dagster_postgres.yaml",
}
STAGES: Final = ("atomic_table", "template_variants", "rendered_samples", "labelled_samples")
TROUBLES: Final = ("database is locked", "too many clients", "deadlock detected")
_START_SECONDS: Final = 180.0
_END_SECONDS: Final = 60.0
_PATIENCE_SECONDS: Final = 7200.0
_REPEATS: Final = 5
_POLL_SECONDS: Final = 2.0
_PAGE: Final = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionKeysByDimension { name partitionKeys }
  assetPartitionStatuses { ... on DefaultPartitionStatuses {
    materializedPartitions failedPartitions materializingPartitions unmaterializedPartitions } } } } }"""
_LAUNCH: Final = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
_BACKFILL: Final = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status error { message } } } }"""
_RUNS: Final = """query ($id: String!) { runsOrError(filter: {tags: [{key: "dagster/backfill", value: $id}]}) {
  ... on Runs { results { status } } } }"""


class UI:
    """The GraphQL of a running `dagster dev`."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the one field that a query asks for.

        Raises:
            RuntimeError: the query is refused.
        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            found = json.load(answer)
        if "errors" in found:
            raise RuntimeError(f"GraphQL: {found['errors']}")
        [value] = found["data"].values()
        return value

    def page(self) -> tuple[float, dict[str, Any]]:
        """Return how long the partitions of the last stage take, and what is told of them."""
        began = time.perf_counter()
        found = self.ask(_PAGE, key={"path": [STAGES[-1]]})
        return time.perf_counter() - began, found

    def registered(self, count: int) -> float:
        """Wait until there are so many partitions, which `scenario_sensor` makes of new folders; return how long.

        Raises:
            RuntimeError: they do not come.
        """
        began = time.perf_counter()
        while (there := len(self.page()[1]["partitionKeysByDimension"][0]["partitionKeys"])) < count:
            if time.perf_counter() - began > _START_SECONDS:
                raise RuntimeError(f"there are {there} of {count} partitions after {_START_SECONDS} s")
            time.sleep(1)
        return time.perf_counter() - began

    def launch(self, names: Sequence[str]) -> str:
        """Ask for the data stages of so many partitions; return the backfill's id."""
        selection = [{"path": [stage]} for stage in STAGES]
        told = self.ask(_LAUNCH, params={"assetSelection": selection, "partitionNames": list(names)})
        if told["__typename"] != "LaunchBackfillSuccess":
            raise RuntimeError(f"the backfill was refused: {told}")
        return told["backfillId"]


@contextlib.contextmanager
def running_dagster(work: Path, storage: str, **environment: str) -> Iterator[UI]:
    """Start `dagster dev` on a free port, with all that it keeps in `work`, and end it with the block.

    Raises:
        RuntimeError: it does not start; the message has the end of its log.
    """
    home = work / "home"
    home.mkdir(exist_ok=True)
    config = CONFIGS[storage].read_text(encoding="utf-8").replace("data/out/dagster", str(work / "dagster"))
    (home / "dagster.yaml").write_text(config, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)]
    settings = {
        "DAGSTER_HOME": str(home),
        "CS_STORE": str(work / "out"),
        "CS_SCENARIOS": str(work / "scenarios"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{work / 'mlflow.db'}",
        "PYTHONPATH": str(_ROOT),
    }
    log = work / "dagster_dev.log"
    with log.open("wb") as out:
        # A session of its own, which ends as a whole: UI, daemon, code server and the runs are processes of theirs.
        server = subprocess.Popen(
            [*command, "-m", "cs_assets.definitions"],
            env=os.environ | settings | environment,
            cwd=work,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        ui = UI(f"http://127.0.0.1:{port}")
        _wait(server, ui, log)
        yield ui
    finally:
        _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the session of a `dagster dev`. Asked to, it waits for its children, and these at times for each other."""
    for word in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, word)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_END_SECONDS)


def _wait(server: subprocess.Popen[bytes], ui: UI, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError, RuntimeError):
            if ui.page()[1]:
                return
        time.sleep(0.5)
    raise RuntimeError(f"dagster dev does not answer: {log.read_text(encoding='utf-8')[-4000:]}")


def backfill(ui: UI, names: Sequence[str]) -> dict[str, Any]:
    """Make the data stages of these partitions, and look at the page of partitions meanwhile.

    Raises:
        RuntimeError: it does not end in time.
    """
    idle = [ui.page()[0] for _ in range(_REPEATS)]
    began = time.perf_counter()
    identifier = ui.launch(names)
    busy: list[float] = []
    while (found := ui.ask(_BACKFILL, id=identifier))["status"] in ("REQUESTED", "CANCELING", "FAILING"):
        if time.perf_counter() - began > _PATIENCE_SECONDS:
            raise RuntimeError(f"the backfill is not at its end after {_PATIENCE_SECONDS} s: {found}")
        busy.append(ui.page()[0])
        time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - began
    _, page = ui.page()
    statuses = page["assetPartitionStatuses"]
    return {
        "backfill": found["status"],
        "backfill_s": round(seconds, 1),
        "runs": dict(collections.Counter(run["status"] for run in ui.ask(_RUNS, id=identifier)["results"])),
        "partitions": len(page["partitionKeysByDimension"][0]["partitionKeys"]),
        "materialized": len(statuses["materializedPartitions"]),
        "page_s": {
            "idle": round(statistics.median(idle), 3),
            "busy": round(statistics.median(busy), 3),
            "busy_max": round(max(busy), 3),
        },
    }


def troubles(work: Path) -> dict[str, int]:
    """Return how often each trouble stands in what was written under `work`: logs, databases, outputs."""
    files = [path.read_bytes() for path in work.rglob("*") if path.is_file()]
    return {trouble: sum(content.count(trouble.encode()) for content in files) for trouble in TROUBLES}


def measure(scenarios: int, partitions: int, storage: str, work: Path) -> dict[str, Any]:
    """Return all figures."""
    folder = work / "scenarios"
    if not folder.is_dir():
        make_scenarios(folder, scenarios)
    names = sorted(path.name for path in folder.iterdir())[:partitions]
    with contextlib.ExitStack() as stack:
        environment = {}
        if storage == "postgres":
            environment["DAGSTER_POSTGRES_URL"] = stack.enter_context(running_postgres())
        ui = stack.enter_context(running_dagster(work, storage, **environment))
        found = {"registered_s": round(ui.registered(scenarios), 1), **backfill(ui, names)}
    return {"storage": storage, "scenarios": scenarios, **found, "troubles": troubles(work)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", type=int, default=1000, help="how many folders there are")
    parser.add_argument("--partitions", type=int, default=50, help="how many of them are made")
    parser.add_argument("--storage", choices=sorted(CONFIGS), default="sqlite")
    add_work_option(parser)
    add_result_options(parser)
    arguments = parser.parse_args()
    told = circumstances("backfill", "dagster", "polars")
    with work_folder(arguments.work) as work:
        tell(measure(arguments.scenarios, arguments.partitions, arguments.storage, work.resolve()) | told, arguments)


if __name__ == "__main__":
    main()
