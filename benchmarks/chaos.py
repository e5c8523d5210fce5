"""What faults do to the chain: it goes on, or says in a line what a person must do, and no result is lost or wrong.

    python -m benchmarks.chaos --kills 100 --json --output benchmarks/results/chaos.json

The whole chain of one small scenario runs on a tiny model with the executor of one host, beside an endpoint that writes
template variants; first once undisturbed, to be compared with. Then, each with its own name for `--only`:

- kill: `kill -9` of the step that runs, of the server that steps are forked from, or of the run's own process, at a
  random moment of every step: exponential, with the mean of what the step takes undisturbed, so that about two of three
  steps are killed before they end. What is not made yet is asked for again and killed again, in the same store, until
  the chain is done; then the whole chain is asked for once more, and a new store begins.
- full_disk: a stage finds the store's disk (a tmpfs) full, and is asked for again when there is room.
- corrupted_cache: a random file of a cache is cut or has a byte changed; the stage that reads it is asked for again.
- truncated_model: a random file of a model folder is cut or removed; the stage that makes it and one that reads it are
  asked for, and again when the folder is removed, as the line says.
- truncated_table: a table is cut; the stage that reads it is asked for, and again when the one that makes it was.
- endpoint_gone: the endpoint dies amid the answers; the stage is asked for again when there is one.
- mlflow_gone: an MLflow server is killed amid a training, and another one is not there from the start.
- clock_back: the clock jumps back by an hour amid a run: `time.time` does, in the run's process and in its steps; the
  kernel's own clock, by which files bear their times, stays.
- two_runs: two runs make the same stages of one partition at once.
- daemon_killed: `kill -9` of the daemon while a run that it has started is at work; the run goes on to its end.

After each fault these must hold, or it is a violation: what is visible can be read whole; what has the same bytes at
every run has those of the undisturbed one; no process that the run started outlives it, and no GPU lease is held; what
was there (a model, a table under its fingerprint, an answer of the endpoint) was not made or asked for again; a run
that failed says why in one line of the kind that the fault asks for; and the run after the fault is mended succeeds.

The last line of `--json` is one object: for each fault how often it was tried, how often the next run went on by itself
(recovered), or did so after a person had done what the line said (said_a_line), and the violations in words. Where
there is one, the exit code is 1.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.chain_place import CLOCK, SCENARIO, STAGES, Ground, Outcome, Place, Worker, variants, wait_for
from benchmarks.outcome import LEARNING, add_result_options, add_work_option, circumstances, tell, work_folder
from cs_assets_tests.llm_endpoint import Reply, serve
from cs_assets_tests.server_process import running_server

_VICTIMS: Final = {"step": 0.8, "server": 0.1, "run": 0.1}
_RUN_SECONDS: Final = 1800.0  # longer than any run takes, also on a machine that has other things to do
_KILLED: Final = ("signal SIGKILL", "exit code 255")  # the second where the server died, which knew how the step ended
_WITH_QUEUE: Final = """
telemetry: {enabled: false}
run_launcher: {module: resources.run_worker, class: WatchfulRunLauncher}
concurrency: {runs: {max_concurrent_runs: 2}}
"""


@dataclass
class Tally:
    """What became of the trials of one fault."""

    tried: int = 0
    recovered: int = 0
    said_a_line: int = 0
    violations: list[str] = field(default_factory=list)
    skipped: str = ""
    lines: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def expect(self, trial: str, found: Sequence[str]) -> bool:
        """Note what is wrong with a trial; return whether nothing is."""
        for line in found:
            self.violations.append(f"{trial}: {line}")
            print(f"VIOLATION {trial}: {line}", flush=True)
        return not found


@dataclass(frozen=True)
class Trial:
    """What every fault is given."""

    ground: Ground
    reference: Place
    seconds: Mapping[str, float]
    chance: random.Random
    arguments: argparse.Namespace
    until: float

    def is_over(self) -> bool:
        """Whether the time is up for which processes are killed."""
        return time.monotonic() > self.until


def kill(trial: Trial) -> Tally:
    """Kill at random moments until the chain is done, as often as asked for."""
    tally, killed = Tally(), Counter[str]()
    chains = 0
    while tally.tried < trial.arguments.kills and not trial.is_over():
        chains += 1
        place = trial.ground.place("killed")
        _kill_chain(trial, place, tally, killed)
        with place.worker() as worker:
            ended = worker.ran(trial.ground.stages)
        name = f"whole chain {chains}"
        wrong = [f"a run after the kills failed: {ended.reasons}"] * (not ended.success)
        tally.expect(
            name, wrong + place.broken() + place.differing(trial.reference, complete=True) + place.paid_twice()
        )
        print(f"chain {chains} is done after {tally.tried} kills, {len(tally.violations)} violations", flush=True)
    tally.details = {"chains": chains, "killed": dict(sorted(killed.items()))}
    return tally


def _after(trial: Trial, place: Place, ended: Outcome, complete: bool = False) -> list[str]:
    """Return what is wrong after a run that was to succeed."""
    failed = [] if ended.success else [f"the run after the fault failed: {ended.reasons}"]
    return failed + place.broken() + place.differing(trial.reference, complete) + place.paid_twice()


def _kill_chain(trial: Trial, place: Place, tally: Tally, killed: Counter[str]) -> None:
    worker = place.worker()
    try:
        while (assets := place.remaining()) and tally.tried < trial.arguments.kills and not trial.is_over():
            worker.begin(assets)
            if not _moment_has_come(trial, worker):
                ended = worker.outcome()
                place.note_steps()
                tally.expect("a run between kills", [] if ended and ended.success else [f"failed: {ended}"])
                continue
            victim = trial.chance.choices([*_VICTIMS], [*_VICTIMS.values()])[0]
            found, worker = _killed(worker, victim)
            step = place.note_steps()
            if found is None:
                continue
            tally.tried += 1
            killed[f"{victim} during {step or 'the start'}"] += 1
            name = f"kill {tally.tried} ({victim} during {step or 'the start'}, seed {trial.arguments.seed})"
            wait_for(lambda: not place.held_leases(), 10.0)
            found += place.held_leases() + place.broken() + place.differing(trial.reference) + place.paid_twice()
            tally.recovered += tally.expect(name, found)
            print(f"{name}: {len(assets)} assets were left, {len(place.remaining())} are now", flush=True)
    finally:
        worker.end()


def _moment_has_come(trial: Trial, worker: Worker) -> bool:
    """Wait for a random moment of some step; return whether it came before the run ended."""
    while True:
        wait_for(lambda: worker.step() or worker.has_ended(), _RUN_SECONDS)
        step = worker.step()
        if worker.has_ended():
            return False
        usual = trial.seconds.get(worker.place.note_steps(), 1.0)
        try:
            if step is not None:
                step.wait(trial.chance.expovariate(1 / usual))
        except psutil.TimeoutExpired:
            return True


def _killed(worker: Worker, victim: str) -> tuple[list[str] | None, Worker]:
    """Kill, and return what is wrong with how the run ended, and the worker for the next run.

    None where the kill came too late: the step had done its work, and the run went on to its end.
    """
    if victim == "run":
        return worker.kill(), worker.place.worker()
    process = wait_for(worker.step) if victim == "step" else worker.server()
    with contextlib.suppress(psutil.NoSuchProcess):
        if process is not None:
            process.kill()
    ended = worker.outcome(_RUN_SECONDS)
    if ended is None:
        worker.end()
        return ["the run did not end"], worker.place.worker()
    if ended.success:
        return None, worker
    unclear = [line for line in ended.reasons.values() if not any(word in line for word in _KILLED)]
    return [f"a killed step says: {line!r}" for line in unclear], worker


def full_disk(trial: Trial) -> Tally:
    """Let stages meet a full disk, with a random rest of room."""
    tally = Tally()
    for stage in ("template_variants", "kto_judge", "dataset_exports", "predictions", "evaluation_report"):
        place = trial.ground.place("full")
        with _small_disk(place.folder / "data") as disk:
            if disk is None:
                return Tally(skipped="no disk of its own can be mounted: run it as root, or in `unshare -Urm`")
            place.take_over(trial.reference, [stage])
            ballast = disk / "ballast"
            ballast.write_bytes(bytes(shutil.disk_usage(disk).free - trial.chance.randrange(200_000)))
            with place.worker() as worker:
                name = f"full_disk in {stage}"
                said = _said(tally, name, worker.ran([stage]), "no space is left|disk is full|No space left")
                tally.expect(name, place.broken() + place.differing(trial.reference))
                ballast.unlink()
                _mended(trial, tally, name, worker, [stage], said)
    return tally


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """Give a folder on a disk of its own, None where there can be none."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def corrupted_cache(trial: Trial) -> Tally:
    """Damage a file of each cache; of that of the LLM, which tells no changed byte, only its length."""
    tally, place = Tally(), trial.ground.place("corrupted")
    place.take_over(trial.reference)
    caches = {"filtered_samples": "filtered_samples", "predictions": "predictions", "retention": "retention"}
    chunks = {"predictions_chunks": "predictions", "retention_chunks": "retention"}
    with place.worker() as worker:
        for cache, stage in (caches | chunks).items():
            for damage in (_cut, _changed):
                victim = trial.chance.choice(sorted((place.out / "cache" / cache).glob("*.parquet")))
                name = f"corrupted_cache: {cache}, {damage(victim, trial.chance)}"
                if cache in chunks:  # which are read where the whole is not there
                    shutil.rmtree(place.out / "cache" / stage)
                place.forget()
                said = _said(tally, name, worker.ran([stage]), "remove|move it away|again")
                _mended(trial, tally, name, worker, [stage], said)
        cache_file = place.out / "llm.sqlite"
        name = f"corrupted_cache: llm.sqlite, {_cut(cache_file, trial.chance)}"
        said = _said(tally, name, worker.ran(["template_variants"]), "move it away")
        for left in place.out.glob("llm.sqlite*"):
            left.unlink()
        place.forget()
        _mended(trial, tally, name, worker, ["template_variants"], said)
    return tally


def truncated_model(trial: Trial) -> Tally:
    """Damage a file of a model folder, and ask for the stage that makes it and for one that reads it."""
    tally = Tally()
    for stage, reader in (("kto_judge", "filtered_samples"), ("lora_adapter", "predictions")):
        for damage in (_cut, _removed):
            place = trial.ground.place("truncated")
            place.take_over(trial.reference, [reader])
            [folder] = (place.out / "models" / stage).glob("*/[!.]*")
            victim = trial.chance.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
            name = f"truncated_model: {stage}/{damage(victim, trial.chance)}"
            with place.worker() as worker:
                outcomes = [worker.ran([stage]), worker.ran([reader])]
                said = [_said(tally, name, ended, "remove .* and materialize|again") for ended in outcomes]
                if any(said):
                    shutil.rmtree(folder, ignore_errors=True)
                place.forget()
                _mended(trial, tally, name, worker, [stage, reader], any(said))
    return tally


def truncated_table(trial: Trial) -> Tally:
    """Cut a table and a record, and ask for what reads them."""
    tally, place = Tally(), trial.ground.place("truncated")
    place.take_over(trial.reference)
    read = {"tables/rendered_samples": "labelled_samples", "tables/training_splits": "lora_adapter"}
    with place.worker() as worker:
        for kept, reader in (read | {"records/lora_adapter": "predictions"}).items():
            [victim] = (place.out / kept).glob("*")
            name = f"truncated_table: {kept}/{_cut(victim, trial.chance)}"
            made = kept.partition("/")[2]
            said = _said(tally, name, worker.ran([reader]), f"Materialize {made} again")
            _mended(trial, tally, name, worker, [made, reader], said)
    return tally


def endpoint_gone(trial: Trial) -> Tally:
    """Let the endpoint die amid the answers."""
    tally, place = Tally(), trial.ground.place("endpoint")
    place.take_over(trial.reference, ["template_variants"])
    last = trial.chance.randint(5, 50)
    with contextlib.ExitStack() as running:
        dying = running.enter_context(serve())

        def reply(prompt: str, nth: int) -> Reply:
            if nth == last:
                threading.Thread(target=running.close).start()
            return variants(prompt, dying.bodies[nth - 1])

        dying.reply = reply
        with place.worker(OPENAI_BASE_URL=dying.url) as worker:
            name = f"endpoint_gone after {last} requests"
            said = _said(tally, name, worker.ran(["template_variants"]), "cannot be reached")
    tally.expect(name, [] if said and place.answers() else ["no answer was kept, or the stage did not fail"])
    tally.expect(name, place.paid_twice())
    with place.worker() as worker:
        _mended(trial, tally, name, worker, ["template_variants"], said)
    return tally


def mlflow_gone(trial: Trial) -> Tally:
    """Kill an MLflow server amid a training, and name one that is not there."""
    tally, place = Tally(), trial.ground.place("mlflow")
    place.take_over(trial.reference, ["lora_adapter"])
    stores = ("--backend-store-uri", f"sqlite:///{place.folder}/server.db", "--workers", "1")
    with contextlib.ExitStack() as running:
        server = running_server(
            *("mlflow", "server", *stores), log=place.folder / "server.log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"
        )
        url = running.enter_context(server)
        with place.worker(MLFLOW_TRACKING_URI=url) as worker:
            worker.begin(["lora_adapter"])
            came = wait_for(
                lambda: [*place.out.glob("work/lora_adapter/*/*/checkpoints")] or worker.has_ended(), _RUN_SECONDS
            )
            running.close()
            ended = worker.outcome()
        name = "mlflow_gone amid a training"
        tally.tried += 1
        missed = [] if isinstance(came, list) else ["the training had ended before the server was killed"]
        wrong = missed + (_after(trial, place, ended) if ended else ["the run did not end"])
        tally.recovered += tally.expect(name, wrong)
    place = trial.ground.place("mlflow")
    place.take_over(trial.reference, ["lora_adapter"])
    name = "mlflow_gone from the start"
    with place.worker(MLFLOW_TRACKING_URI=url) as worker:
        said = _said(tally, name, worker.ran(["lora_adapter"]), "MLFLOW_TRACKING_URI: no MLflow server answers")
    with place.worker() as worker:
        _mended(trial, tally, name, worker, ["lora_adapter"], said)
    return tally


def clock_back(trial: Trial) -> Tally:
    """Set the clock back by an hour while a training runs."""
    tally, place = Tally(tried=1), trial.ground.place("clock")
    without = ["training_splits", "lora_adapter", "predictions"]
    place.take_over(trial.reference, without)
    clock = place.folder / "clock"
    clock.write_text("0", encoding="utf-8")
    with place.worker(**{CLOCK: str(clock)}) as worker:
        worker.begin(without)
        wait_for(lambda: [*place.out.glob("work/lora_adapter/*/*/checkpoints")] or worker.has_ended(), _RUN_SECONDS)
        late = ["the run had ended before the clock was set"] * worker.has_ended()
        clock.write_text("-3600", encoding="utf-8")
        ended = worker.outcome(_RUN_SECONDS)
    wrong = _after(trial, place, ended, complete=True) if ended else ["the run did not end"]
    began, done = place.steps()
    if not late and began["lora_adapter"] < done.get("lora_adapter", 0.0):
        wrong.append("the event log does not show that the clock went back")
    tally.recovered += tally.expect("clock_back", wrong + late)
    return tally


def two_runs(trial: Trial) -> Tally:
    """Start two runs of the same stages of one partition."""
    tally, place = Tally(), trial.ground.place("two")
    without = ["template_variants", "rendered_samples", "labelled_samples", "kto_judge", "filtered_samples"]
    place.take_over(trial.reference, without)
    before = len(trial.ground.endpoint.bodies)
    place.instance().dispose()
    with place.worker() as one, place.worker() as other:
        for worker in (one, other):
            worker.begin(without)
        ended = [worker.outcome() for worker in (one, other)]
    tally.tried += 1
    asked = [json.dumps(body, sort_keys=True) for body in trial.ground.endpoint.bodies[before:]]
    wrong = [f"{len(asked) - len(set(asked))} requests were paid for twice"] * (len(asked) != len(set(asked)))
    wrong += [line for outcome in ended if outcome for line in _after(trial, place, outcome, complete=True)]
    tally.recovered += tally.expect("two_runs", wrong)
    return tally


def daemon_killed(trial: Trial) -> Tally:
    """Kill the daemon while a run that it has started is at work."""
    import dagster as dg

    tally, place = Tally(tried=1), trial.ground.place("daemon")
    place.take_over(trial.reference, ["rendered_samples", "labelled_samples"])
    (place.folder / "home" / "dagster.yaml").write_text(_WITH_QUEUE, encoding="utf-8")
    dagster, code = [sys.executable, "-m"], ["-m", "cs_assets.definitions"]
    tags = json.dumps({"dagster/partition": SCENARIO})
    options: dict[str, Any] = {"env": place.environment(), "cwd": place.folder, "start_new_session": True}
    with place.instance() as instance:
        with (place.folder / "daemon.log").open("wb") as log:
            daemon = psutil.Popen([*dagster, "dagster._daemon", "run", *code], stdout=log, stderr=log, **options)
            launch = [*dagster, "dagster", "job", "launch", *code, "-j", "twin", "--tags", tags]
            subprocess.run(launch, stdout=log, stderr=log, check=True, **options)
        began = wait_for(lambda: place.steps()[0], _RUN_SECONDS)
        started = daemon.children(recursive=True)
        daemon.kill()
        daemon.wait()
        wait_for(lambda: instance.get_run_records()[0].dagster_run.is_finished, _RUN_SECONDS)
        status = instance.get_run_records()[0].dagster_run.status
    _, alive = psutil.wait_procs(started, timeout=_RUN_SECONDS)
    wrong = [] if began else ["no step had begun when the daemon was killed"]
    wrong += [f"process {process.pid} outlived the daemon and its run" for process in alive]
    ended = Outcome(status is dg.DagsterRunStatus.SUCCESS, {"run": str(status)})
    tally.recovered += tally.expect("daemon_killed", wrong + place.held_leases() + _after(trial, place, ended, True))
    return tally


def _said(tally: Tally, trial: str, ended: Outcome, wanted: str) -> bool:
    """Note the lines of a run that failed, which are to be of the wanted kind; return whether it failed."""
    for step, line in ended.reasons.items():
        tally.lines.append(f"{trial}: {line}")
        if not re.search(wanted, line):
            tally.expect(trial, [f"{step} says: {line!r}"])
    if not ended.success and not ended.reasons:
        tally.expect(trial, ["the run failed without a line"])
    return not ended.success


def _mended(trial: Trial, tally: Tally, name: str, worker: Worker, assets: Sequence[str], said: bool) -> None:
    """Ask again after the fault, and count the trial as one after which a person had something to do, or not."""
    tally.tried += 1
    ended = worker.ran(assets)
    if tally.expect(name, _after(trial, worker.place, ended, complete=True)):
        tally.said_a_line += said
        tally.recovered += not said
    print(f"{name}: {'said a line' if said else 'went on'}", flush=True)


def _cut(path: Path, chance: random.Random) -> str:
    size = chance.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"{path.name} cut to {size} bytes"


def _changed(path: Path, chance: random.Random) -> str:
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return f"{path.name} changed at byte {place}"


def _removed(path: Path, chance: random.Random) -> str:
    path.unlink()
    return f"{path.name} removed"


FAULTS: Final[Mapping[str, Callable[[Trial], Tally]]] = {
    fault.__name__: fault
    for fault in (
        *(kill, full_disk, corrupted_cache, truncated_model, truncated_table),
        *(endpoint_gone, mlflow_gone, clock_back, two_runs, daemon_killed),
    )
}


def _ground(work: Path, until: str) -> contextlib.AbstractContextManager[Ground]:
    return Ground.made(work.resolve(), STAGES[: STAGES.index(until) + 1])


def undisturbed(ground: Ground) -> Place:
    """Return a place in which the whole chain was made without a fault; one that `--work` has kept is taken.

    Raises:
        RuntimeError: it was not.
    """
    kept = Place(ground, ground.folder / "undisturbed")
    if (kept.folder / "home").is_dir() and not kept.note_steps() and not kept.remaining():
        return kept
    place = ground.place("undisturbed")
    began = time.monotonic()
    with place.worker() as worker:
        ended = worker.ran(ground.stages)
    if not ended.success or place.broken():
        raise RuntimeError(f"the undisturbed chain failed: {ended.reasons} {place.broken()}; see {place.folder}")
    print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    return place


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="how many processes are killed")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="kill for so long at most")
    parser.add_argument("--seed", type=int, default=1, help="of every random choice")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="the last stage; kill alone can do without")
    parser.add_argument("--only", choices=FAULTS, action="append", help="this fault alone; may be given again")
    add_work_option(parser)
    add_result_options(parser)
    arguments = parser.parse_args()
    told = circumstances("chaos", "dagster", "polars", "mlflow", *LEARNING)
    with work_folder(arguments.work) as work, _ground(work, arguments.until) as ground:
        reference = undisturbed(ground)
        began, ended = reference.steps()
        seconds = {step: at - began[step] for step, at in ended.items()}
        tallies = {}
        until = time.monotonic() + 60 * arguments.minutes
        for name in arguments.only or FAULTS:
            chance = random.Random(f"{arguments.seed} {name}")
            tallies[name] = FAULTS[name](Trial(ground, reference, seconds, chance, arguments, until))
            print(_row(name, tallies[name]), flush=True)
    found = {name: {k: v for k, v in vars(tally).items() if v not in ("", {}, [])} for name, tally in tallies.items()}
    violations = sum(len(tally.violations) for tally in tallies.values())
    for name, tally in tallies.items():
        print(_row(name, tally))
    tell({"violations": violations, "faults": found} | told, arguments)
    return 1 if violations else 0


def _row(name: str, tally: Tally) -> str:
    if tally.skipped:
        return f"{name:16} skipped: {tally.skipped}"
    return (
        f"{name:16} tried {tally.tried:3}  recovered {tally.recovered:3}  said a line {tally.said_a_line:3}  "
        f"violations {len(tally.violations):3}"
    )


if __name__ == "__main__":
    sys.exit(main())
