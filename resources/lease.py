"""The lease: a command gets N of the host's GPUs, and no death can leak them.

Standard library only: every step starts by it, so it must cost nothing. The locks are file locks, which the kernel
frees when the process that holds them dies, however it dies.

    python -m resources.lease --gpus 2 -- python train.py

Two environment variables steer it: CS_GPUS names the GPUs of the host ("0,1"; empty: none), CS_LEASE_DIR the folder of
the lock files (on a local disk; the default is one a user, so users who share GPUs need to agree on one).
"""

import argparse
import ctypes
import fcntl
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

POLL_SECONDS = 0.3
PR_SET_PDEATHSIG = 1
# A training step takes and frees gigabytes in large blocks. glibc gives each one back to the kernel, which clears it
# again page by page at the next use: a sixth of a step on two cores. Blocks that are kept, and large pages, spare that.
# The first two are glibc's names, the last one torch's; where they mean nothing they change nothing.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36), "THP_MEM_ALLOC_ENABLE": "1"}
# glibc reads its two when a program starts; later they are parameter and value of its `mallopt` (malloc.h).
_MALLOPT = {"MALLOC_MMAP_MAX_": (-4, 0), "MALLOC_TRIM_THRESHOLD_": (-1, -1)}


def visible_gpus() -> tuple[str, ...]:
    """The ids of the GPUs that this process may use: by CS_GPUS, else CUDA_VISIBLE_DEVICES, else `nvidia-smi`."""
    for variable in ("CS_GPUS", "CUDA_VISIBLE_DEVICES"):
        if (listed := os.environ.get(variable)) is not None:
            ids = [gpu_id.strip() for gpu_id in listed.split(",")]
            ids = ids[: ids.index("-1")] if "-1" in ids else ids  # CUDA ends the list there too
            return tuple(dict.fromkeys(filter(None, ids)))
    return tuple(_nvidia_uuids())


@functools.cache
def _nvidia_uuids() -> dict[str, str]:
    """Id -> UUID. Ids are indices, which every library can read; a MIG slice has no other id than its UUID."""
    if not (nvidia_smi := shutil.which("nvidia-smi")):
        return {}
    try:
        listing = subprocess.run([nvidia_smi, "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        print(f"cs-assets lease: no GPU can be listed: {error}", file=sys.stderr, flush=True)
        return {}
    found = re.findall(r"^(?:GPU (\d+)|[ \t]+MIG .*?): .*\(UUID: (\S+)\)", listing, re.MULTILINE)
    return {uuid: uuid for index, uuid in found if not index} or dict(found)


def lease(n: int) -> tuple[str, ...]:
    """Take `n` GPUs of the host for as long as this process lives, or what it execs; their ids.

    Waits until `n` are free at the same time. Without any GPU on the host the answer is (): run on the CPU.

    Raises:
        ValueError: `n` is negative or more than a host with GPUs has.
        OSError: the lock files cannot be written.
    """
    gpus = visible_gpus() if n else ()
    if n < 0 or (gpus and n > len(gpus)):
        raise ValueError(f"{n} GPUs are asked for, this host has {len(gpus)} ({', '.join(gpus)})")
    if not gpus:
        if n:
            print("cs-assets lease: no GPU on this host, running on the CPU", file=sys.stderr, flush=True)
        return ()
    default = Path(tempfile.gettempdir(), f"cs-assets-leases-{os.getuid()}")
    folder = Path(os.environ.get("CS_LEASE_DIR") or default)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    held, holders = _try_lease(n, gpus, folder)
    if not held:
        holding = ", ".join(f"{gpu_id} by process {pid}" for gpu_id, pid in holders.items())
        print(f"cs-assets lease: waiting for {n} of {len(gpus)} GPUs (held: {holding})", file=sys.stderr, flush=True)
    while not held:
        time.sleep(POLL_SECONDS)
        held, _ = _try_lease(n, gpus, folder)
    return held


def _try_lease(n: int, gpus: Sequence[str], folder: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """All or nothing, so that two that wait cannot hold half each. The GPUs taken, and the holders of the others."""
    taken: dict[str, int] = {}
    holders: dict[str, str] = {}
    # By UUID: within containers and Slurm jobs, index 0 is not the same GPU everywhere.
    names = {gpu_id: _nvidia_uuids().get(gpu_id, gpu_id).replace("/", "_") for gpu_id in gpus}
    # One attempt at a time, or two could fail on each other's half for ever. Closed, hence free, before the exec.
    with open(folder / "attempt.lock", "w") as attempt:
        fcntl.flock(attempt, fcntl.LOCK_EX)
        for gpu_id in gpus:
            lock = os.open(folder / f"gpu-{names[gpu_id]}.lock", os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holders[gpu_id] = os.pread(lock, 20, 0).decode(errors="replace").strip() or "?"
                os.close(lock)
                continue
            taken[gpu_id] = lock
            if len(taken) == n:
                break
        if len(taken) < n:
            for lock in taken.values():
                os.close(lock)
            return (), holders
    for lock in taken.values():
        os.pwrite(lock, f"{os.getpid():20}".encode(), 0)
        os.set_inheritable(lock, True)  # the lock lives on in the program that this one becomes
    return tuple(taken), holders


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process, and what it execs, when the process `parent` dies (Linux only).

    SIGKILL, not SIGTERM: when the parent is gone nobody is left to insist, and a step that went on would write into a
    run that has ended. Nothing half-written shows, since tables and models are renamed into place.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit(f"cs-assets lease: process {parent}, which started this one, is gone")


def keep_memory() -> None:
    """Have this process, and what it starts, keep the memory it frees, unless the environment says otherwise."""
    libc = ctypes.CDLL(None)
    for name, value in KEEP_MEMORY.items():
        if name not in os.environ:
            os.environ[name] = value
            if name in _MALLOPT and hasattr(libc, "mallopt"):
                libc.mallopt(*_MALLOPT[name])


def main() -> int:
    """Run a command with a lease; this process becomes the command, so its id, signals and exit code are the same."""
    parser = argparse.ArgumentParser(
        prog="python -m resources.lease", description="Run a command with GPUs of its own."
    )
    parser.add_argument("--gpus", type=int, required=True, help="how many; with 0 the command sees none")
    parser.add_argument("--parent", type=int, default=os.getppid(), help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    die_with_parent(options.parent)
    try:
        gpus = lease(options.gpus)
    except (ValueError, OSError) as error:
        print(f"cs-assets lease: {error}", file=sys.stderr)
        return 1
    try:
        environment = (KEEP_MEMORY if options.gpus else {}) | os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)}
        os.execvpe(options.command[0], options.command, environment)
    except OSError as error:
        print(f"cs-assets lease: cannot start {options.command[0]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
