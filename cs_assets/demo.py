"""`make demo`: the whole chain of one scenario through Dagster, one line a stage, and the table at the end.

It runs the command that a user would run (`dagster asset materialize --select '*'`) and watches its event log; the
full log goes to a file. What it prints and writes to `demo.json` is read from what the run materialized.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import dagster as dg
import psutil
from dagster import DagsterEventType, EventLogEntry

from cs_assets.evaluation.reporting import EvaluationReport
from resources.lease import die_with_parent
from resources.run_worker import WORKER_TAG, worker_tag
from resources.store import Store, default_root

_POLL_SECONDS: Final = 0.5
_BAR: Final = "─" * 100
# How Dagster's message begins that a step was not run because another one failed.
_SKIPPED: Final = "Dependencies for step "
_BESIDE_JUDGE: Final = (("auc_rules", "rules alone"), ("auc_with_rules", "rules and judge"))
# What a stage's line shows of its metadata: key, label, format.
_FIGURES: Final = (
    ("dagster/row_count", "rows", "d"),
    ("kept", "kept", "d"),
    ("steps", "steps", ".0f"),
    ("train_loss", "loss", ".3f"),
    ("auc", "AUC", ".3f"),
    ("accuracy", "accuracy", ".3f"),
    ("method", "method", "s"),
    ("outcome", "", "s"),
    ("cache", "cache", "s"),
)


class Stage:
    """What the demo knows of one asset: when it ran, what it said, what it cost."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began = 0.0
        self.seconds = 0.0
        self.metadata: dict[str, Any] = {}
        self.failed = False

    def line(self, number: int, total: int, remark: str) -> str:
        """Return the stage's line: its number among all, name, seconds and memory, and what there is to say."""
        memory = self.metadata.get("peak_rss_mb")
        used = f"{memory / 1000:4.1f} GB" if memory else " " * 7
        return f"[{number:2d}/{total}] {self.name:<18} {self.seconds:7.1f} s {used}  {remark}"

    def summary(self) -> str:
        """Return the most telling figures of the stage, short enough for its line."""
        shown = [f"{label} {self.metadata[key]:{form}}" for key, label, form in _FIGURES if key in self.metadata]
        return "  ".join(shown)


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="address_extraction")
    scenario = parser.parse_args().scenario
    os.environ.setdefault("DAGSTER_HOME", os.getcwd())
    out = Path("data") / "out"
    out.mkdir(parents=True, exist_ok=True)
    log = out / "demo.log"
    began, started = time.monotonic(), datetime.now(UTC)
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "cs_assets.definitions"]
    print(f"materializing the whole chain for {scenario}; the full log is in {log}\n", flush=True)
    with log.open("w", encoding="utf-8") as file, dg.DagsterInstance.get() as instance:
        parent = os.getpid()
        process = subprocess.Popen(
            [*command, "--select", "*", "--partition", scenario],
            stdout=file,
            stderr=file,
            preexec_fn=lambda: die_with_parent(parent),  # a demo that is killed leaves no run behind
        )
        try:
            mine = dg.RunsFilter(tags={WORKER_TAG: worker_tag(process.pid)}, created_after=started)
            stages, peak = _watch(instance, process, mine)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            print("\nstopped; run `make demo` again: finished stages are kept and training resumes.")
            return 130
    if process.returncode != 0:
        print(f"\nthe run failed (exit code {process.returncode}); the end of {log}:\n")
        print("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]))
        return 1
    seconds = time.monotonic() - began
    report = _report(scenario)
    result = _result(report, stages, seconds, peak)
    (out / "demo.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(_table(report, result))
    return 0


def _asset_names() -> list[str]:
    """Return the chain's assets in the order in which Dagster may run them."""
    from cs_assets.definitions import defs

    return [key.to_user_string() for key in defs.resolve_asset_graph().toposorted_asset_keys]


def _watch(
    instance: dg.DagsterInstance, process: subprocess.Popen, mine: dg.RunsFilter
) -> tuple[dict[str, Stage], float]:
    """Print a line a stage until the run's process ends; return the stages and the peak memory of all processes, MB.

    Args:
        instance: where the run's events are read.
        process: executes the run.
        mine: finds the run that `process` executes.
    """
    stages = {name: Stage(name) for name in _asset_names()}
    done: list[str] = []
    peak = 0.0
    cursor: str | None = None
    run_id: str | None = None
    while True:
        ended = process.poll() is not None
        peak = max(peak, _memory_mb(process.pid))
        if run_id is None:
            runs = instance.get_runs(mine, limit=1)
            run_id = runs[0].run_id if runs else None
        if run_id is not None:
            connection = instance.get_records_for_run(run_id, cursor=cursor)
            cursor = connection.cursor
            for record in connection.records:
                _show(record.event_log_entry, stages, done)
        if ended:
            return stages, peak
        time.sleep(_POLL_SECONDS)


def _show(entry: EventLogEntry, stages: dict[str, Stage], done: list[str]) -> None:
    """Take one event in: remember it, and print what a person wants to see of it."""
    if entry.dagster_event is None and entry.level == logging.ERROR and not entry.user_message.startswith(_SKIPPED):
        _print_over("")
        print(entry.user_message, flush=True)
        return
    stage = stages.get(entry.step_key or "")
    if stage is None:
        return
    event = entry.dagster_event
    if event is None:
        stage.seconds = entry.timestamp - stage.began
        _print_over(stage.line(len(done) + 1, len(stages), entry.user_message.partition("\n")[0][:60]))
    elif event.event_type == DagsterEventType.STEP_START:
        stage.began = entry.timestamp
    elif event.event_type == DagsterEventType.ASSET_MATERIALIZATION:
        metadata = event.step_materialization_data.materialization.metadata
        stage.metadata = {name: value.value for name, value in metadata.items()}
    elif event.event_type in (DagsterEventType.STEP_SUCCESS, DagsterEventType.STEP_FAILURE):
        stage.seconds = entry.timestamp - stage.began
        stage.failed = event.event_type == DagsterEventType.STEP_FAILURE
        done.append(stage.name)
        _print_over("")
        print(stage.line(len(done), len(stages), _cause(event) if stage.failed else stage.summary()), flush=True)


def _cause(event: dg.DagsterEvent) -> str:
    """Return why a step failed: what its code raised, without Dagster's words around it."""
    error = event.step_failure_data.error
    if error is None:
        return "FAILED without a message; look into the log"
    return f"FAILED: {(error.cause or error).message.strip()}"


def _print_over(text: str) -> None:
    """Rewrite the current line on a terminal; elsewhere keep progress out of the log."""
    if sys.stdout.isatty():
        print(f"\r\033[K{text}", end="", flush=True)


def _memory_mb(pid: int) -> float:
    """Return the resident memory of a process and all its descendants, MB."""
    total = 0
    for process in _family(pid):
        try:
            total += process.memory_info().rss
        except psutil.Error:
            continue  # it ended between the two calls
    return total / 1e6


def _family(pid: int) -> Iterator[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        yield parent
        yield from parent.children(recursive=True)
    except psutil.Error:
        return


def _report(scenario: str) -> EvaluationReport:
    path = Store(root=default_root()).location("records", "evaluation_report", f"{scenario}.json")
    return EvaluationReport.model_validate_json(path.read_text(encoding="utf-8"))


def _result(report: EvaluationReport, stages: dict[str, Stage], seconds: float, peak: float) -> dict[str, Any]:
    splits: dict[str, Any] = {}
    for cell in report.cells:
        split = splits.setdefault(cell.split, {"n": cell.exact.n})
        split[cell.model] = {
            "exact": cell.exact.mean,
            "exact_interval": [cell.exact.low, cell.exact.high],
            "strict_json": cell.strict_json.mean,
            "field_accuracy": cell.field_accuracy.mean,
        }
    return {
        "splits": splits,
        "judge_auc": report.judge["auc"],
        "reward_accuracy": report.reward["accuracy"],
        "seconds": {**{name: round(s.seconds, 1) for name, s in stages.items()}, "total": round(seconds, 1)},
        "peak_rss_mb": round(peak, 1),
        "stage_peak_rss_mb": {n: s.metadata["peak_rss_mb"] for n, s in stages.items() if "peak_rss_mb" in s.metadata},
        "release": stages["release"].metadata.get("outcome", ""),
        "cache_hits": sum(1 for s in stages.values() if s.metadata.get("cache") == "hit"),
    }


def _table(report: EvaluationReport, result: dict[str, Any]) -> str:
    lines = [
        "",
        _BAR,
        f"{'split':<20}{'model':<8}{'n':>4}  {'exact match':<24}{'strict JSON':<24}{'field accuracy':<22}",
        _BAR,
    ]
    for c in report.cells:
        lines.append(
            f"{c.split:<20}{c.model:<8}{c.exact.n:>4}  {c.exact!s:<24}{c.strict_json!s:<24}{c.field_accuracy!s:<22}"
        )
    judge, reward, seconds = report.judge, report.reward, result["seconds"]["total"]
    rules = [f"{label} {judge[key]:.3f}" for key, label in _BESIDE_JUDGE if key in judge]
    lines += [
        _BAR,
        f"judge AUC {judge['auc']:.3f} ({', '.join(rules)})   reward accuracy {reward['accuracy']:.3f}   "
        "intervals: 95 % bootstrap",
        f"release {result['release']}",
        f"{seconds / 60:.1f} minutes, peak memory {result['peak_rss_mb'] / 1000:.1f} GB, "
        f"{result['cache_hits']} cache hits",
        "",
        f"report     {Store(root=default_root()).location('reports', f'{report.scenario}.html')}",
        "figures    data/out/demo.json",
        "look at    make dev   then http://127.0.0.1:3000 (Dagster) and http://127.0.0.1:5000 (MLflow)",
        "next       README.md, section “Your own scenario”",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
