"""A PostgreSQL server of its own on this machine, as Debian installs it (`apt-get install postgresql`).

It takes a free port of the loopback interface, lies in a new folder that goes with it, and never runs as root.

    with running_postgres() as url:  # postgresql+psycopg2://dagster:...@127.0.0.1:40123/postgres
"""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

_PATIENCE_SECONDS: Final = 60.0
# Whom a root starts the server as: Debian's package makes the first one.
_USERS: Final = ("postgres", "nobody")


def postgres_folder() -> Path | None:
    """Return where the server's programs lie, None where it is not installed. Debian keeps them out of the PATH."""
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    return max((path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")), default=None)


@contextlib.contextmanager
def running_postgres() -> Iterator[str]:
    """Give the URL of an empty database; the server ends with the block.

    Raises:
        RuntimeError: PostgreSQL is not installed, or does not start.
    """
    programs = postgres_folder()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        as_user = _as_user(Path(folder))
        data, log, password = Path(folder) / "data", Path(folder) / "log", secrets.token_hex(16)
        password_file = Path(folder) / "password"
        password_file.write_text(password, encoding="utf-8")
        password_file.chmod(0o644)  # the folder itself is the server's user's alone
        make = [str(programs / "initdb"), "-D", str(data), "-U", "dagster", "-E", "UTF8", "--auth=scram-sha-256"]
        made = subprocess.run([*make, f"--pwfile={password_file}"], capture_output=True, text=True, **as_user)
        if made.returncode != 0:
            raise RuntimeError(f"initdb ended with {made.returncode}: {made.stderr.strip()}")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", folder, "-h", "127.0.0.1"]
        with log.open("wb") as out:
            server = subprocess.Popen(command, stdout=out, stderr=out, **as_user)
        try:
            _wait(server, programs, port, log)
            yield f"postgresql+psycopg2://dagster:{password}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # its word for: end all connections, and then yourself
            server.wait()


def _as_user(folder: Path) -> dict[str, Any]:
    """Return how a process is started that owns the folder and is not root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next(known[name] for name in _USERS if name in known)
    shutil.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}


def _wait(server: subprocess.Popen[bytes], programs: Path, port: int, log: Path) -> None:
    asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while subprocess.run(asked).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL does not start: {log.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(0.1)
