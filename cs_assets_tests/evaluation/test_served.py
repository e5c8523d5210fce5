"""A model behind a real server, `transformers serve`, gets the same table as the same model asked here."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from cs_assets.evaluation.predicting import Exam, PredictionSettings
from cs_assets.learning.inference import nobody
from cs_assets.scenario import Scenario

_PATIENCE_SECONDS = 120.0
_MISSING = [name for name in ("fastapi", "uvicorn", "rich") if importlib.util.find_spec(name) is None]


@pytest.fixture
def server(talkative: tuple[Path, Path], tmp_path: Path) -> Iterator[str]:
    """The base URL of a server of the tiny model; its log is shown where it does not start."""
    base, _ = talkative
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(base), "--host", "127.0.0.1"]
    options = ["--port", str(port), "--dtype", "float32", "--device", "cpu"]
    log = tmp_path / "serve.log"
    with log.open("wb") as out:
        offline = os.environ | {"HF_HUB_OFFLINE": "1"}
        process = subprocess.Popen([*command, *options], stdout=out, stderr=out, env=offline)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _is_healthy(port):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError):
        return False


@pytest.mark.skipif(bool(_MISSING), reason=f"transformers serve needs {', '.join(_MISSING)}")
def test_a_served_model_gets_the_same_table(
    scenario: Scenario, splits: pl.DataFrame, talkative: tuple[Path, Path], server: str
) -> None:
    base = str(talkative[0])
    here = PredictionSettings(max_new_tokens=8)
    there = here.model_copy(update={"endpoint": server, "served_models": {"base": base}})
    mine, served = (Exam.of(scenario, "base", splits, how).answered(base, None, nobody) for how in (here, there))
    assert mine["prediction"].n_unique() > mine.height / 2
    # transformers serve takes blanks from both ends of an answer.
    assert served["prediction"].to_list() == [said.strip() for said in mine["prediction"]]
    assert served.drop("prediction").equals(mine.drop("prediction"))
