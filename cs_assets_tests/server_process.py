"""A server as a process of its own on this machine: started on a free port, waited for, and ended with all it started.

It is a command of this environment that takes `--host` and `--port` and answers at `/health` once it is ready.

    with running_server("mlflow", "server", log=tmp_path / "server.log") as url:  # http://127.0.0.1:40123
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

_PATIENCE_SECONDS = 180.0


@contextlib.contextmanager
def running_server(*command: str, log: Path, **environment: str) -> Iterator[str]:
    """Give the URL of a server, without a path.

    Args:
        command: name of the command, and its options but for host and port.
        log: receives what the server prints, and is shown where it does not start; the server runs in its folder.
        environment: what it finds there otherwise than this process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name, *options = command
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name(name)), *options, "--host", "127.0.0.1", "--port", str(port)],
            stdout=out,
            stderr=out,
            cwd=log.parent,
            env=os.environ | environment,
            start_new_session=True,  # a group, which ends as a whole: a server may have workers in processes of theirs
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _is_healthy(url):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.2)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):  # one that did not start has ended
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, TimeoutError):
        return False
