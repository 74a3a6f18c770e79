"""The pulse: whether writes are taken and how far each read model is, in one round trip."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import disk_usage
from typing import Any

import psycopg

from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.deadlines import shut

PATIENCE = 0.4  # seconds for the one round trip; a database that is slower than that is away
FRESH = 0.1  # seconds for which one look serves everybody who asks
LATE = 0.05  # seconds by which a busy event loop is late itself, which says nothing of others
STANDS = 2.0  # seconds for which it will do when the next one takes its time
SOON = 0.01  # seconds for which the next one is waited for, then
LEAST_DISK = 100_000_000  # bytes that must be free where this machine keeps its data

LOOK = (
    "SELECT j.head, j.standby, c.name, c.shape, c.position, c.error, c.error_at"
    " FROM (SELECT coalesce(max(position), 0) AS head, pg_is_in_recovery() AS standby FROM facts)"
    " AS j LEFT JOIN checkpoints AS c ON true"
)


class Progress(Value, omit_defaults=True):
    """How far one read model is behind the journal, and why it stands still if it does."""

    lag: int | None  # facts; null while it is being built
    error: str | None = None  # the kind of fault; what it says may be somebody's data
    error_at: int | None = None  # the position of the fact that stopped it


class Checks(Value):
    db: str  # up, read_only, down
    writes: str  # accepted, refused
    projections: dict[str, Progress]
    disk: str  # ok, low

    @property
    def accepting(self) -> bool:
        """Whether a command could be committed now."""
        return self.writes == "accepted"

    @property
    def sound(self) -> bool:
        """Whether nothing stands still and nothing is running out."""
        going = all(it.error is None and it.lag is not None for it in self.projections.values())
        return self.accepting and going and self.disk == "ok"


class Pulse:
    """Looks with a connection of its own, so that it never queues behind reads or logins."""

    def __init__(
        self, conninfo: str, shapes: dict[str, int], accepts: Callable[[], bool], data: Path
    ) -> None:
        self._conninfo = conninfo
        self._shapes = shapes
        self._accepts = accepts
        self._data = data
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._looking: asyncio.Task[Checks] | None = None
        self._asking: asyncio.Task[list[tuple[Any, ...]]] | None = None
        self._seen_at = 0.0
        self._last: Checks | None = None

    async def checks(self) -> Checks:
        """How things are. All who ask within a tenth of a second share one look.

        When all are busy, the last look is shown; it is never older than two seconds.
        """
        looking, age = self._looking, time.monotonic() - self._seen_at
        if looking is None or (looking.done() and age > FRESH):
            looking = self._looking = asyncio.create_task(self._look())
        if self._last is not None and age < STANDS:
            await asyncio.wait({looking}, timeout=SOON)
            return self._last
        return await asyncio.shield(looking)

    async def close(self) -> None:
        if self._looking is not None:
            with suppress(asyncio.CancelledError):
                self._looking.cancel()
                await self._looking
        if self._asking is not None and not self._asking.done():
            if self._connection is not None:
                shut(self._connection)
            await asyncio.wait({self._asking}, timeout=PATIENCE)
        await self._drop()

    async def _look(self) -> Checks:
        rows = await self._rows()
        disk = "ok" if disk_usage(self._data).free >= LEAST_DISK else "low"
        db = "down" if not rows else "read_only" if rows[0][1] else "up"
        writes = "accepted" if db == "up" and self._accepts() else "refused"
        progress = self._progress(rows) if rows else {}
        self._seen_at = time.monotonic()
        self._last = Checks(db, writes, progress, disk)
        return self._last

    async def _rows(self) -> list[tuple[Any, ...]]:
        """What the database says; nothing when that does not come in time.

        A question that is late is not cancelled: that would wait for the database once more.
        """
        asking = self._asking
        if asking is None or asking.done():
            asking = self._asking = asyncio.create_task(self._ask())
            # Nobody hears of one that fails later, and nobody needs to.
            asking.add_done_callback(lambda it: it.cancelled() or it.exception())
        for _ in range(2):
            begun = time.monotonic()
            await asyncio.wait({asking}, timeout=PATIENCE)
            if asking.done() or time.monotonic() - begun < PATIENCE + LATE:
                break
        if not asking.done():
            if self._connection is not None:
                shut(self._connection)
            return []
        try:
            return asking.result()
        except psycopg.Error:
            await self._drop()
            return []

    async def _ask(self) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo, autocommit=True
            )
        cursor = await self._connection.execute(LOOK, prepare=True)
        return await cursor.fetchall()

    def _progress(self, rows: list[tuple[Any, ...]]) -> dict[str, Progress]:
        found = {row[2]: row for row in rows}
        progress = {}
        for name, shape in self._shapes.items():
            head, _, _, built_for, position, error, error_at = found.get(name, (0,) * 7)
            built = name in found and built_for == shape
            kind = error.partition(":")[0] if error else None
            lag = max(0, head - position) if built else None
            progress[name] = Progress(lag, kind, error_at if kind else None)
        return progress

    async def _drop(self) -> None:
        broken, self._connection = self._connection, None
        if broken is not None:
            with suppress(psycopg.Error):
                await broken.close()
