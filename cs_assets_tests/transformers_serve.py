"""A real server of OpenAI's API on this machine: `transformers serve`, a process of its own on a free port."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from cs_assets_tests.server_process import running_server

# What the command needs besides what the package installs.
MISSING = [name for name in ("fastapi", "uvicorn", "rich") if importlib.util.find_spec(name) is None]


@contextlib.contextmanager
def serving(model: Path, log: Path) -> Iterator[str]:
    """Give the base URL of a server of the model in a folder; its log is shown where it does not start."""
    command = ["transformers", "serve", str(model), "--dtype", "float32", "--device", "cpu"]
    with running_server(*command, log=log, HF_HUB_OFFLINE="1") as url:
        yield f"{url}/v1"
