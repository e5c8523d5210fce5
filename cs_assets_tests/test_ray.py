"""`CS_EXECUTOR=ray`: steps of the chain on a Ray cluster of one node, on loopback, where one loses its worker."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import polars as pl
import psutil
import pytest
import yaml

from cs_assets.learning.training import TrainingLog
from cs_assets_tests.conftest import copy_small_scenario
from cs_assets_tests.test_end_to_end import PARTITION, tiny_config

pytest.importorskip("dagster_ray", reason="pip install -e '.[ray]'")

ROOT = Path(__file__).resolve().parent.parent
RUN_CONFIG = ROOT / "deploy" / "ray" / "run.yaml"
PATIENCE_SECONDS = 300.0
STARTS = 3
T = TypeVar("T")


def wait_for(found: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (result := found()) is None:
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.1)
    return result


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which `CS_EXECUTOR=ray` finds a cluster with two CPUs and two pretended GPUs."""
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16), "PATH": scripts}
    log = tmp_path_factory.mktemp("ray") / "head.log"
    for _ in range(STARTS):
        with running_head(access, log) as address:
            if address:
                yield access | {"CS_EXECUTOR": "ray", "RAY_ADDRESS": address}
                return
    raise AssertionError(log.read_text(encoding="utf-8"))


@contextlib.contextmanager
def running_head(access: dict[str, str], log: Path) -> Iterator[str | None]:
    """Give the address of a head, None where it gave up, since Ray waits no longer than half a minute for its parts."""
    dashboard, client = free_ports(2)
    options = {
        **{"node-ip-address": "127.0.0.1", "port": 0, "num-cpus": 2, "num-gpus": 2, "object-store-memory": 200_000_000},
        **{"dashboard-host": "127.0.0.1", "dashboard-port": dashboard, "dashboard-agent-listen-port": 0},
        **{"ray-client-server-port": client, "min-worker-port": 0, "max-worker-port": 0},
        "temp-dir": tempfile.mkdtemp(prefix="ray-"),  # short, for the names of sockets in it have a limit
    }
    # With this one Ray takes 127.0.0.1 for an address, and does not look for another one of the machine.
    loopback = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    with log.open("wb") as out:
        head = psutil.Popen(
            ["ray", "start", "--head", "--block", "--disable-usage-stats"]
            + [f"--{name}={value}" for name, value in options.items()],
            env=os.environ | access | loopback,
            stdout=out,
            stderr=out,
        )
    try:
        started = wait_for(lambda: head.poll() is None and ("Ray runtime started" in log.read_text() or None))
        yield f"http://127.0.0.1:{dashboard}" if started else None
    finally:
        parts = [head, *head.children(recursive=True)] if head.is_running() else []
        head.terminate()
        _, alive = psutil.wait_procs(parts, timeout=20)
        for process in alive:
            process.kill()
        shutil.rmtree(str(options["temp-dir"]), ignore_errors=True)


class Chain(NamedTuple):
    """A place with a scenario, a base and training splits, and the environment of its runs."""

    place: Path
    environment: dict[str, str]

    def materialize(self, *assets: str) -> subprocess.Popen[str]:
        command = ["dagster", "asset", "materialize", "-m", "cs_assets.definitions", "--partition", PARTITION]
        return subprocess.Popen(
            [sys.executable, "-m", *command, "--select", ",".join(assets), "--config", str(self.place / "run.yaml")],
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def process_of(self, step: str) -> psutil.Process | None:
        """Return the process in which Ray executes a step of this chain; the shell that started it is another."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                told = process.environ()
                of_step = (told.get("DAGSTER_RUN_STEP_KEY"), told.get("CS_STORE")) == (
                    step,
                    self.environment["CS_STORE"],
                )
                if of_step and "execute_step" in process.cmdline():
                    return process
        return None

    def write_config(self, base: Path) -> None:
        """Write the run config of deploy/; steps are told more here, where no image holds what they need."""
        execution = yaml.safe_load(RUN_CONFIG.read_text(encoding="utf-8"))["execution"]
        execution["config"]["ray"]["env_vars"] += ["CS_PRECISION", "CS_SCENARIOS", "OMP_NUM_THREADS", "PYTHONPATH"]
        ops = {"lora_adapter": tiny_config(base)["ops"]["lora_adapter"]}
        content: dict[str, Any] = {"execution": execution, "ops": ops}
        (self.place / "run.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.fixture
def chain(cluster: dict[str, str], tiny_model: Path, splits: pl.DataFrame, tmp_path: Path) -> Chain:
    copy_small_scenario(tmp_path / "scenarios")
    table = tmp_path / "out" / "tables" / "training_splits" / f"{PARTITION}.parquet"
    table.parent.mkdir(parents=True)
    splits.write_parquet(table)
    here = {
        "CS_MODEL_CACHE": str(tmp_path / "models"),
        "CS_PROFILE": "demo",
        "CS_SCENARIOS": str(tmp_path / "scenarios"),
        "CS_STORE": str(tmp_path / "out"),
        "CS_TRAINING_GPUS": "2",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    kept = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    made = Chain(tmp_path, kept | here | cluster)
    made.write_config(tiny_model)
    return made


def test_steps_run_on_ray_with_their_gpus_and_one_whose_worker_was_killed_is_made_by_the_next_run(chain: Chain) -> None:
    first = chain.materialize("atomic_table", "lora_adapter")

    def executing() -> psutil.Process | None:
        assert first.poll() is None, first.communicate()[0]
        return chain.process_of("lora_adapter")

    worker = wait_for(executing)
    assert worker.environ()["CUDA_VISIBLE_DEVICES"] == "0,1"
    worker.send_signal(signal.SIGKILL)
    output, _ = first.communicate(timeout=PATIENCE_SECONDS)
    assert first.returncode == 1, output
    [failure] = [line for line in output.splitlines() if "failed health check: Discovered failed Ray job" in line][:1]
    assert failure.startswith("Step lora_adapter failed")
    assert "exit code" in failure
    assert pl.read_parquet(chain.place / "out" / "tables" / "atomic_table" / f"{PARTITION}.parquet").height > 0
    assert not (chain.place / "out" / "records" / "lora_adapter").exists()

    second = chain.materialize("lora_adapter")
    output, _ = second.communicate(timeout=PATIENCE_SECONDS)
    assert second.returncode == 0, output
    [log] = (chain.place / "out" / "models" / "lora_adapter" / PARTITION).glob("*/training_log.json")
    assert TrainingLog.load(log.parent).ranks == 2
