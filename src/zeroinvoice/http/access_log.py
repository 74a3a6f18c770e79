"""The access log: whoever reads the audit log is on record before they are answered."""

import asyncio
from collections.abc import Callable
from concurrent.futures import TimeoutError as TooLate

from zeroinvoice.domain.access_day import AccessDay, access_day_of
from zeroinvoice.domain.principal import Asking
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Events, Origin
from zeroinvoice.kernel.refusals import Unavailable

LONGEST = 6.0  # seconds a reader waits until the access is on record

Verb = Callable[[AccessDay, Desk, str], Events]  # the last is the workspace's time zone


class AccessLog:
    """Hands the accesses of one process's readers to its committer."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def record(self, asking: Asking, origin: Origin, verb: Verb) -> None:
        """Put an access on record, from a reader's thread; returns once it is committed.

        It takes no Idempotency-Key: a repetition of what was read is still an access. Raises
        what the decision refuses with, and `Unavailable` when nothing can be committed.
        """
        assert self._loop is not None, "the access log has not begun"
        recording = asyncio.run_coroutine_threadsafe(self._commit(asking, origin, verb), self._loop)
        try:
            recording.result(LONGEST)
        except TooLate:
            recording.cancel()
            raise Unavailable("What you read cannot be put on record; try again.") from None

    async def _commit(self, asking: Asking, origin: Origin, verb: Verb) -> None:
        tenant = asking.tenant

        def decision(desk: Desk) -> None:
            zone_name = desk.open(Workspace, tenant).settings.time_zone
            day = local_day(desk.now, zone_name)
            accesses = desk.find(AccessDay, access_day_of(tenant, asking.actor, day))
            desk.record(accesses, verb(accesses, desk, zone_name))

        wants = [(Workspace, (tenant, tenant))]
        await self._committer.submit(Command(tenant, origin, decision, wants=wants))
