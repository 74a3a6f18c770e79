"""The projector worker: keeps the read models at the journal's head; any number may run."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import structlog

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.mapper import Unreadable
from zeroinvoice.journal.schema import AWAY, CHANNEL, WORK_ROLE, conninfo
from zeroinvoice.journal.store import Lost
from zeroinvoice.journal.subjects import Masters
from zeroinvoice.readside.projector import (
    LIVE_BATCH,
    Follower,
    Projector,
    Window,
    collecting_rarely,
    halt,
    install,
    rebuild,
)
from zeroinvoice.readside.rows import Halted

log = structlog.get_logger()

REST = 4  # times as long as a round took, before the next
LONGEST_REST = 0.010  # seconds
POLL = 1.0  # seconds without a hint after which a worker looks for itself
LONGEST_WAIT = 1.0  # seconds between tries while the database is away
TRIES = 3  # of a fact whose fold raises, before its projection is said to stand still
LONGEST_PAUSE = 30.0  # seconds between tries after that


class Worker:
    """Follows the journal for all projections, each in its own transactions."""

    def __init__(
        self, database_url: str, projectors: tuple[Projector, ...], masters: Masters | None
    ) -> None:
        self._url = conninfo(database_url, WORK_ROLE, application="zeroinvoice work", durable=False)
        self._projectors = projectors
        self._journal = Journal.at(self._url, masters, size=2)
        self._stop = threading.Event()
        self._faults: dict[str, tuple[int, float]] = {}  # tries and when to try again

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Work until stopped; while the database is away, wait for it."""
        pause = 0.1
        while not self._stop.is_set():
            try:
                with (
                    collecting_rarely(),
                    psycopg.connect(self._url, autocommit=True) as connection,
                    psycopg.connect(self._url, autocommit=True) as ear,
                ):
                    ear.execute(f"LISTEN {CHANNEL}")
                    self._refresh(connection)
                    pause = 0.1
                    self._follow(connection, ear)
            except (*AWAY, Lost) as lost:
                log.warning("database away", reason=str(lost).strip(), retry_in=pause)
                self._stop.wait(pause)
                pause = min(pause * 2, LONGEST_WAIT)
        self._journal.close()

    def _refresh(self, connection: psycopg.Connection[Any]) -> None:
        """Make and rebuild what must be. What cannot be rebuilt stands still; the rest goes on.

        It is not tried again here: the same program would read the same facts the same way.
        """
        going = self._projectors
        while going:
            try:
                refresh(connection, going, self._journal)
                return
            except Halted as fault:
                log.error("rebuild halts", projection=fault.name, position=fault.position,
                          exc_info=fault.fault)  # fmt: skip
                halt(connection, fault.name, fault)
                going = tuple(it for it in going if it.name != fault.name)
            except Unreadable as newer:
                names = stale(connection, going)
                log.error("rebuild halts", projections=names, reason=newer.why)
                for name in names:
                    halt(connection, name, Halted(name, newer.position, newer))
                return

    def _follow(self, connection: psycopg.Connection[Any], ear: psycopg.Connection[Any]) -> None:
        window = Window(self._journal)
        followers = [Follower(projector, window) for projector in self._projectors]
        while not self._stop.is_set():
            begun = time.monotonic()
            applied = sum(self._step(connection, follower) for follower in followers)
            if not applied:
                for _ in ear.notifies(timeout=POLL, stop_after=1):
                    pass
            elif applied < len(followers) * LIVE_BATCH // 2:
                # Facts that come meanwhile share the next round's transactions.
                self._stop.wait(min(REST * (time.monotonic() - begun), LONGEST_REST))

    def _step(self, connection: psycopg.Connection[Any], follower: Follower) -> int:
        """One batch of one projection. A fold that raises stops that projection alone."""
        name = follower.projector.name
        tries, again = self._faults.get(name, (0, 0.0))
        if time.monotonic() < again:
            return 0
        try:
            applied = follower.step(connection)
        except Halted as fault:
            tries += 1
            pause = min(0.1 * 2**tries, LONGEST_PAUSE)
            self._faults[name] = (tries, time.monotonic() + pause)
            log.error("projection halts", projection=name, position=fault.position, tries=tries,
                      exc_info=fault.fault)  # fmt: skip
            if tries >= TRIES:
                halt(connection, name, fault)
            return 0
        self._faults.pop(name, None)
        return applied


def refresh(
    connection: psycopg.Connection[Any],
    projectors: tuple[Projector, ...],
    journal: Journal,
    progress: Callable[[int], None] = lambda position: None,
) -> tuple[str, ...]:
    """Make what is missing and rebuild what was made for another version; answers its names."""
    install(connection, projectors)
    names = stale(connection, projectors)
    if names:
        chosen = tuple(it for it in projectors if it.name in names)
        rebuild(connection, chosen, journal, progress)
    return names


def stale(
    connection: psycopg.Connection[Any], projectors: tuple[Projector, ...]
) -> tuple[str, ...]:
    """The names of those whose tables were made for another version of the program."""
    shapes = dict(connection.execute("SELECT name, shape FROM checkpoints").fetchall())
    return tuple(it.name for it in projectors if shapes[it.name] != it.version)
