"""A real server of OpenAI's API on this machine: `transformers serve`, a process of its own on a free port."""

import contextlib
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

# What the command needs besides what the package installs.
MISSING = [name for name in ("fastapi", "uvicorn", "rich") if importlib.util.find_spec(name) is None]
_PATIENCE_SECONDS = 120.0


@contextlib.contextmanager
def serving(model: Path, log: Path) -> Iterator[str]:
    """Give the base URL of a server of the model in a folder; its log is shown where it does not start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--host", "127.0.0.1"]
    options = ["--port", str(port), "--dtype", "float32", "--device", "cpu"]
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
