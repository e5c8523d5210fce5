"""The chain on a tiny model in a folder of its own: made by a worker that can be killed, and held against another one.

    with Ground.made(folder) as ground:
        place = ground.place("cut")
        with place.worker() as worker:
            worker.begin(place.remaining())
            worker.kill_step()
            print(worker.outcome())
        print(place.broken(), place.differing(reference))

What does not belong here: which faults there are, and what counts as recovered (`chaos.py`).

A worker is the process of a run, as the one that the UI or the command line starts, with the executor of one host; it
executes one run after the other, because starting it takes longer than most steps.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import polars as pl
import psutil
import yaml

from benchmarks.scenario_folders import make_scenarios
from cs_assets_tests.llm_endpoint import Endpoint, Reply, completion, serve
from resources import lease
from resources.model_folders import MANIFEST
from resources.object_store import digests

if TYPE_CHECKING:
    from dagster import DagsterInstance

ROOT: Final = Path(__file__).resolve().parent.parent
SCENARIO: Final = "scenario_0000"
# Names a file with the seconds by which the clock of a run is wrong.
CLOCK: Final = "CS_CHAOS_CLOCK"
# Every asset of the job `chain`, in its order.
STAGES: Final = (
    *("atomic_table", "template_variants", "rendered_samples", "labelled_samples", "kto_judge", "filtered_samples"),
    *("training_splits", "dataset_exports", "lora_adapter", "preference_pairs", "reward_model", "aligned_adapter"),
    *("predictions", "retention", "evaluation_report", "release"),
)
# What has the same bytes at every run; the rest tells run ids, times or how long it took.
_SAME: Final = ("tables/*/*", "exports/**/*", "reviews/*", "cache/*_chunks/*", "models/**/*.safetensors")
# What nobody reads as a result: checkpoints, and what SQLite keeps whole by itself.
_APART: Final = ("work", "mlflow-artifacts")
_PATIENCE_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the reason of each step that failed, in one line, by its name."""

    success: bool
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ground:
    """What all places share: the scenario, the base model, and an endpoint that writes template variants."""

    folder: Path
    endpoint: Endpoint
    stages: Sequence[str] = STAGES

    @classmethod
    @contextlib.contextmanager
    def made(cls, folder: Path, stages: Sequence[str] = STAGES) -> Iterator["Ground"]:
        """Give the ground of a chain of these stages until the block ends."""
        from cs_assets_tests.tiny_model import write_tiny_model

        if not (folder / "scenarios").is_dir():
            make_scenarios(folder / "scenarios", 1)
            write_tiny_model(folder / "tiny")
        with serve() as endpoint:
            endpoint.reply = lambda prompt, nth: variants(prompt, endpoint.bodies[nth - 1])
            yield cls(folder, endpoint, stages)

    def place(self, name: str) -> "Place":
        """Return an empty place; what lay there goes."""
        place = Place(self, self.folder / name)
        shutil.rmtree(place.folder, ignore_errors=True)
        (place.folder / "home").mkdir(parents=True)
        (place.folder / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
        return place

    def config(self, assets: Sequence[str]) -> dict[str, Any]:
        """Return the run config that puts the tiny model in the place of the base, for runs of these assets."""
        trained = {"base_model": str(self.folder / "tiny"), "batch_size": 4, "checkpoint_steps": 1}
        ops: dict[str, dict[str, Any]] = dict.fromkeys(("lora_adapter", "reward_model"), trained)
        ops["kto_judge"] = {**trained, "wanted_precision": 0.01}
        ops["preference_pairs"] = {"train_pairs": 6, "test_pairs": 4}
        ops["aligned_adapter"] = {"method": "dpo", "pairs": 4, "batch_size": 2, "checkpoint_steps": 1}
        ops["predictions"] = {"max_new_tokens": 8, "models": ["base", "base_few_shot", "tuned", "aligned"]}
        ops["retention"] = {"max_new_tokens": 8, "questions": 5}
        return {"ops": {name: {"config": config} for name, config in ops.items() if name in assets}}


def variants(prompt: str, body: dict[str, Any]) -> Reply:
    """Return the same answer to the same request, and which request it was."""
    template = prompt.rpartition("模版：\n")[2]
    texts = [f"{opening}{template}" for opening in ("麻烦发到这里：", "你好，收货信息是 ", "换个地址吧，")]
    return completion(json.dumps({"variants": texts, "asked": _request_id(body)}, ensure_ascii=False))


def _request_id(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


@dataclass
class Place:
    """A folder with a store, a Dagster instance and all that a host has beside them."""

    ground: Ground
    folder: Path
    succeeded: set[str] = field(default_factory=set)
    _seen: dict[str, int] = field(default_factory=dict)
    _paid: set[str] = field(default_factory=set)
    _asked: int = 0

    @property
    def out(self) -> Path:
        return self.folder / "data" / "out"

    def environment(self) -> dict[str, str]:
        """Return what processes in this place find, beside what this one does."""
        kept = {name: value for name, value in os.environ.items() if name not in ("CS_STORE", "MLFLOW_TRACKING_URI")}
        return kept | {
            "CS_SCENARIOS": str(self.ground.folder / "scenarios"),
            "DAGSTER_HOME": str(self.folder / "home"),
            "CS_GPUS": "0,1",  # pretended: a lease is taken, and the step runs on the CPU
            "CS_LEASE_DIR": str(self.folder / "leases"),
            "CS_PRECISION": "float32",
            "OPENAI_API_KEY": "loopback",
            "OPENAI_BASE_URL": self.ground.endpoint.url,
            "OPENAI_MODEL": "loopback",
            "NO_PROXY": "127.0.0.1",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        }

    def worker(self, **environment: str) -> "Worker":
        """Return a worker, which finds `environment` beside what every place has."""
        return Worker(self, self.environment() | environment)

    def take_over(self, made: "Place", without: Sequence[str] = ()) -> None:
        """Copy what another place has made, as if these assets had never been made."""
        shutil.copytree(made.out, self.out, ignore=_left_out(without))
        self.succeeded = {step for step in made.succeeded if not step.startswith(tuple(without) or "/")}
        self.paid_twice()

    def forget(self) -> None:
        """Take what is there now as it is: what a person removed has to be made again."""
        self._seen, self._paid = {}, set()

    def remaining(self) -> list[str]:
        """Return the assets that are not made and checked yet, in the order of the chain."""
        return [stage for stage in self.ground.stages if not self._steps[stage] <= self.succeeded]

    @cached_property
    def _steps(self) -> dict[str, set[str]]:
        from cs_assets.definitions import defs

        found = {stage: {stage} for stage in self.ground.stages}
        for check in defs.resolve_asset_graph().asset_check_keys:
            stage = check.asset_key.to_user_string()
            if stage in found:
                found[stage].add(f"{stage}_{check.name}")
        return found

    def note_steps(self) -> str:
        """Note which steps of the last run succeeded; return the one that did not, empty where there is none."""
        began, ended = self.steps()
        self.succeeded |= ended.keys()
        return next((step for step in reversed(began) if step not in ended), "")

    def steps(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return when the steps of the last run began, and when those that succeeded did."""
        import dagster as dg

        kinds = dg.DagsterEventType.STEP_WORKER_STARTING, dg.DagsterEventType.STEP_SUCCESS
        told: dict[dg.DagsterEventType, dict[str, float]] = {kind: {} for kind in kinds}
        with self.instance() as instance:
            for record in instance.get_run_records(limit=1):
                for entry in instance.all_logs(record.dagster_run.run_id, of_type=set(kinds)):
                    told[entry.get_dagster_event().event_type][entry.step_key or ""] = entry.timestamp
        return told[kinds[0]], told[kinds[1]]

    def files(self) -> Iterator[Path]:
        """Give each file that is visible as a result."""
        for path in sorted(self.out.rglob("*")):
            parts = path.relative_to(self.out).parts
            hidden = any(part.startswith(".") for part in parts) or path.suffix == ".lock"
            if path.is_file() and len(parts) > 1 and parts[0] not in _APART and not hidden:
                yield path

    def broken(self) -> list[str]:
        """Return what is visible and half-written: files that cannot be read, models that are not as their manifest."""
        found = [f"{path.relative_to(self.out)} cannot be read: {why}" for path in self.files() if (why := _flaw(path))]
        for stage in (self.out / "models").glob("*"):
            for model in stage.glob("[!.]*/[!.]*"):
                if not (model / MANIFEST).is_file():
                    found.append(f"{model.relative_to(self.out)} has no manifest")
                elif _as_listed(model) != json.loads((model / MANIFEST).read_text("utf-8"))["files"]:
                    found.append(f"{model.relative_to(self.out)} is not what its manifest lists")
        return found

    def differing(self, reference: "Place", complete: bool = False) -> list[str]:
        """Return the visible files of which a run makes the same bytes each time and that are not those of `reference`.

        Args:
            reference: an undisturbed place.
            complete: whether those that are missing here differ too.
        """
        ours, theirs = self._same(), reference._same()
        names = ours.keys() | (theirs.keys() if complete else set())
        return [
            f"{name} differs from the undisturbed run" for name in sorted(names) if ours.get(name) != theirs.get(name)
        ]

    def instance(self) -> "DagsterInstance":
        """Open Dagster's storage, which is made where it is not yet: two processes that make it at once can fail."""
        import dagster as dg

        return dg.DagsterInstance.from_config(str(self.folder / "home"))

    def _same(self) -> dict[str, str]:
        matched = {path for pattern in _SAME for path in self.out.glob(pattern)}
        return {
            str(path.relative_to(self.out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.files()
            if path in matched
        }

    def paid_twice(self) -> list[str]:
        """Return what was there at the last look and was made or asked again since."""
        dear = [*self.out.glob("models/*/[!.]*/[!.]*/manifest.json"), *self.out.glob("cache/*/[!.]*.parquet")]
        now = {str(path.relative_to(self.out)): path.stat().st_ino for path in dear}
        found = [f"{name} was made again" for name, inode in self._seen.items() if now.get(name) != inode]
        asked = [_request_id(body) for body in self.ground.endpoint.bodies[self._asked :]]
        again = [request for request in asked if request in self._paid]
        if again:
            found.append(f"{len(again)} requests were sent whose answers were in the cache")
        self._seen, self._paid, self._asked = now, self.answers(), self._asked + len(asked)
        return found

    def answers(self) -> set[str]:
        """Return which requests have an answer in the cache."""
        cache = self.out / "llm.sqlite"
        if not cache.is_file():
            return set()
        with contextlib.closing(sqlite3.connect(cache)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'answer'").fetchone():
                return set()
            return {json.loads(text)["asked"] for (text,) in database.execute("SELECT text FROM answer")}

    def held_leases(self) -> list[str]:
        """Return the GPUs that somebody holds."""
        held = []
        for path in (self.folder / "leases").glob("gpu-*.lock"):
            with path.open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held.append(f"{path.name} is held")
        return held


def _left_out(assets: Sequence[str]) -> Callable[[str, list[str]], set[str]]:
    """Tell `copytree` what these assets made."""
    prefixes = tuple(assets)

    def left_out(folder: str, names: list[str]) -> set[str]:
        if "template_variants" in assets and "llm.sqlite" in names:
            return {name for name in names if name.startswith("llm.sqlite")}
        kinds = ("tables", "records", "models", "cache", "work", "mlflow_runs")
        gone = {name for name in names if Path(folder).name in kinds and name.startswith(prefixes)}
        if "dataset_exports" in assets and Path(folder).parent.name == "exports":
            gone |= set(names) - {"lm_eval"}  # which `predictions` wrote
        return gone

    return left_out


def _flaw(path: Path) -> str:
    """Return why a file cannot be read, empty if it can."""
    try:
        if path.suffix == ".parquet":
            pl.read_parquet(path)
        elif path.suffix == ".json":
            json.loads(path.read_text("utf-8"))
        elif path.suffix == ".jsonl":
            [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        elif path.suffix == ".yaml":
            yaml.compose(path.read_text("utf-8"))
        elif path.suffix == ".html" and not path.read_text("utf-8").rstrip().endswith("</html>"):
            return "it has no end"
        return "" if path.stat().st_size else "it is empty"
    except (OSError, ValueError, pl.exceptions.PolarsError, yaml.YAMLError) as error:
        return str(error).splitlines()[0]


def _as_listed(model: Path) -> dict[str, Any]:
    return {name: digest.model_dump() for name, digest in digests(model).items() if name != MANIFEST}


class Worker:
    """The process of runs in a place."""

    def __init__(self, place: Place, environment: dict[str, str]) -> None:
        self.place = place
        spawn = get_context("spawn")
        self._driver, there = spawn.Pipe()
        with mock.patch.dict(os.environ, environment, clear=True):
            self._process = spawn.Process(target=_work, args=(place.folder, os.getpid(), there))
            self._process.start()
        there.close()
        self._started: list[psutil.Process] = []

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def begin(self, assets: Sequence[str]) -> None:
        """Start a run of these assets."""
        self._driver.send((list(assets), self.place.ground.config(assets)))

    def has_ended(self) -> bool:
        """Whether the run has ended, so that `outcome` tells how."""
        return self._driver.poll(0)

    def outcome(self, patience: float | None = None) -> Outcome | None:
        """Return how the run ended; None where it has not ended within so many seconds."""
        return self._driver.recv() if self._driver.poll(patience) else None

    def ran(self, assets: Sequence[str]) -> Outcome:
        """Return how a run of these assets ended."""
        self.begin(assets)
        ended = self.outcome()
        assert ended is not None
        self.place.note_steps()
        return ended

    def server(self) -> psutil.Process | None:
        """The process that steps are forked from."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children():
                if any("multiprocessing.forkserver" in word for word in child.cmdline()):
                    return child
        return None

    def step(self) -> psutil.Process | None:
        """The process of the step that runs."""
        with contextlib.suppress(psutil.NoSuchProcess):
            server = self.server()
            alive = [child for child in server.children() if child.status() != psutil.STATUS_ZOMBIE] if server else []
            return alive[-1] if alive else None
        return None

    def kill(self) -> list[str]:
        """Kill the worker itself; return which of the processes that it had started did not end with it."""
        started = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.join()
        _, alive = psutil.wait_procs(started, timeout=_PATIENCE_SECONDS)
        living = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
        for process in living:
            process.kill()
        return [f"process {process.pid} outlived its run" for process in living]

    def end(self) -> None:
        """Let the worker end; what it started ends with it."""
        if self._process.is_alive():
            self.kill()


def _work(folder: Path, driver: int, requests: Connection) -> None:
    """Execute the runs that are asked for, until the driver is gone."""
    lease.die_with_parent(driver)
    os.chdir(folder)
    log = os.open("worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    import dagster as dg
    from dagster._core.definitions.reconstruct import ReconstructableRepository

    from cs_assets.automation import reason_of

    code = ReconstructableRepository.for_module("benchmarks.loaded_chain", "defs", str(ROOT))
    job, tags = code.get_reconstructable_job("chain"), {"dagster/partition": SCENARIO}
    with dg.DagsterInstance.get() as instance:
        while True:
            assets, config = requests.recv()
            chosen = [dg.AssetKey(name) for name in assets]
            with dg.execute_job(job, instance, run_config=config, tags=tags, asset_selection=chosen) as ran:
                failed = {event.step_key or "": reason_of(event) for event in ran.all_events if event.is_step_failure}
                requests.send(Outcome(ran.success, failed))


def wait_for(condition: Callable[[], Any], seconds: float = _PATIENCE_SECONDS) -> Any:
    """Return what the condition says as soon as that is true of it, and what it says at last where it never is."""
    deadline = time.monotonic() + seconds
    while not (said := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return said
