"""Connections: who listens to the live feed at this process, and what became of what was sent."""

import threading
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.value import Value


class Connection(Value):
    tenant: UUID
    user: UUID
    since: datetime


class Standing(Value):
    """How one workspace's connections stand at this process."""

    connections: int
    by_user: dict[UUID, int]
    sent: int  # messages, since the process began
    dropped: int  # of those, whose receiver was too slow or gone
    oldest: datetime | None  # when the connection began that is open the longest


class Connections:
    """The register that a live connection enters when it opens and leaves when it closes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_at = clock()
        self._open: dict[UUID, Connection] = {}
        self._sent: Counter[UUID] = Counter()  # by tenant
        self._dropped: Counter[UUID] = Counter()
        self._lock = threading.Lock()  # it is read from the threads that answer requests

    @property
    def up_for(self) -> timedelta:
        return self._clock() - self._began_at

    def enter(self, tenant: UUID, user: UUID) -> UUID:
        """Note a connection; answers the id under which it leaves."""
        id, connection = new_id(), Connection(tenant, user, self._clock())
        with self._lock:
            self._open[id] = connection
        return id

    def leave(self, id: UUID) -> None:
        with self._lock:
            self._open.pop(id, None)

    def note(self, tenant: UUID, *, sent: int = 0, dropped: int = 0) -> None:
        """Count messages of a workspace's connections."""
        with self._lock:
            self._sent[tenant] += sent
            self._dropped[tenant] += dropped

    def of(self, tenant: UUID) -> Standing:
        with self._lock:
            mine = [it for it in self._open.values() if it.tenant == tenant]
            sent, dropped = self._sent[tenant], self._dropped[tenant]
        by_user = dict(Counter(it.user for it in mine))
        return Standing(
            len(mine), by_user, sent, dropped, min((it.since for it in mine), default=None)
        )
