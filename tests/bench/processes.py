"""Processes that the benches start: none outlives the run."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_libc = ctypes.CDLL(None)
_PARENT_DEATH_SIGNAL = 1  # prctl(2), PR_SET_PDEATHSIG


def tie() -> None:
    """Let the calling process be killed once its parent is gone, however that ended."""
    _libc.prctl(_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))


def start(
    argv: Sequence[object],  # each is told as `str` tells it
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to `log`."""
    owner: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            start_new_session=True,  # Ctrl-C is for the bench, which then stops them in order
            preexec_fn=tie,
            **owner,
        )


def stop(
    process: subprocess.Popen[bytes],
    ending: signal.Signals = signal.SIGTERM,
    within: float = 10,  # seconds
) -> None:
    if process.poll() is not None:
        return
    process.send_signal(ending)
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(
    argv: Sequence[object],  # each is told as `str` tells it
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    ending: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    process = start(argv, log=log, env=env, user=user)
    try:
        yield process
    finally:
        stop(process, ending)


def pool(processes: int) -> ProcessPoolExecutor:
    """Fresh processes, which inherit nothing from this one."""
    fresh = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=fresh, initializer=tie)


def apart(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a module's function in a fresh process and return what it returns."""
    with pool(1) as one:
        return one.submit(function, *args, **kwargs).result()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def listeners(port: int) -> int:
    """How many sockets listen on the port; processes that share it by SO_REUSEPORT count each."""
    sockets = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(
        1
        for local, state in ((line.split()[1], line.split()[3]) for line in sockets)
        if state == "0A" and int(local.rpartition(":")[2], 16) == port
    )


def await_listeners(
    port: int,
    log: Path,
    processes: Sequence[subprocess.Popen[bytes]],
    *,
    count: int = 1,
    within: float = 20,  # seconds
) -> None:
    deadline = time.monotonic() + within
    while listeners(port) < count:
        if any(process.poll() is not None for process in processes):
            raise RuntimeError(f"it ended before it listened:\n{log.read_text()[-4000:]}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing listens after {within} s:\n{log.read_text()[-4000:]}")
        time.sleep(0.02)
