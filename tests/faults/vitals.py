"""Vitals of our processes: memory and open files, and how they change."""

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from http.client import HTTPConnection
from pathlib import Path

from installation import Installation

WORDS = ("api", "work", "policies")


def rss(pid: int) -> float:
    """Resident memory, in MB; 0 when it is gone."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(it for it in lines if it.startswith("VmRSS:")).split()[1]) / 1_000
    return 0.0


def descriptors(pid: int) -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


def memory(installation: Installation) -> float:
    """Of all its processes but the database, in MB."""
    return sum(rss(pid) for word in WORDS for pid in installation.pids(word))


def slope(points: Iterable[tuple[float, float]]) -> float:
    """The rise a unit, by least squares."""
    known = list(points)
    count = len(known)
    x, y = sum(it[0] for it in known) / count, sum(it[1] for it in known) / count
    square = sum((it[0] - x) ** 2 for it in known)
    return sum((it[0] - x) * (it[1] - y) for it in known) / square if square else 0.0


class Repeating:
    """Something that is done again and again beside the block, and what it answered when."""

    def __init__(self, every: float, act: Callable[[], float]) -> None:
        self.seen: list[tuple[float, float]] = []  # seconds since the start, and the answer
        self.faults: list[BaseException] = []
        self._every = every
        self._act = act
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Repeating":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def largest(self) -> float:
        return max((it for _, it in self.seen), default=0.0)

    def _run(self) -> None:
        begun = time.monotonic()
        while not self._over.wait(self._every):
            try:
                self.seen.append((time.monotonic() - begun, self._act()))
            except OSError as fault:
                self.faults.append(fault)


def health(port: int) -> float:
    """How long health takes, in seconds; raises `OSError` when it is not well."""
    begun = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/health")
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"health is {answer.status}")
    finally:
        connection.close()
    return time.perf_counter() - begun


class Vitals:
    """Memory and open files of some processes, looked at from time to time."""

    def __init__(self) -> None:
        self._memory: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        self._files: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)

    def look(self, minute: float, pids: Iterable[int]) -> None:
        for pid in pids:
            if used := rss(pid):
                self._memory[pid].append((minute, used))
                self._files[pid].append((minute, float(descriptors(pid))))

    def memory_slope(self, pid: int, after: float) -> float:
        """MB a minute, of what was seen after that minute."""
        return slope([it for it in self._memory[pid] if it[0] >= after])

    def memory(self, pid: int) -> float:
        return self._memory[pid][-1][1] if self._memory[pid] else 0.0

    def files_grown(self, pid: int, after: float) -> float:
        """By how many open files the last quarter exceeds the first, in the median."""
        counts = [count for minute, count in self._files[pid] if minute >= after]
        part = max(1, len(counts) // 4)
        return sorted(counts[-part:])[part // 2] - sorted(counts[:part])[part // 2]
