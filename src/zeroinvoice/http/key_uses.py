"""Uses of API keys: noted once a day for each, by a fact that no request waits for."""

import asyncio
from datetime import date
from uuid import UUID

from zeroinvoice.domain.api_key import ApiKey
from zeroinvoice.domain.principal import Asking, KeyHolder
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Origin
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Refusal


class KeyUses:
    """What one process knows to be on record of today (UTC)."""

    def __init__(self, committer: Committer, clock: Clock) -> None:
        self._committer = committer
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._day = date.min
        self._noted: set[UUID] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def note(self, asking: Asking) -> None:
        """Tell that somebody was let in; any thread may. It takes no time."""
        if isinstance(asking, KeyHolder) and self._loop is not None:
            today = self._clock().date()
            if asking.key not in self._noted or today != self._day:
                self._loop.call_soon_threadsafe(self._begin, asking, today)

    def _begin(self, holder: KeyHolder, today: date) -> None:
        if today != self._day:
            self._day, self._noted = today, set()
        if holder.key not in self._noted:
            self._noted.add(holder.key)
            task = asyncio.create_task(self._record(holder, today))
            self._tasks.add(task)  # or it might be collected before it is done
            task.add_done_callback(self._tasks.discard)

    async def _record(self, holder: KeyHolder, today: date) -> None:
        def decision(desk: Desk) -> None:
            key = desk.open(ApiKey, holder.key)
            desk.record(key, key.use(today))

        wants = [(ApiKey, (holder.tenant, holder.key))]
        origin = Origin(holder.actor, new_id())
        try:
            await self._committer.submit(Command(holder.tenant, origin, decision, wants=wants))
        except Refusal:
            self._noted.discard(holder.key)  # the next request tries again
