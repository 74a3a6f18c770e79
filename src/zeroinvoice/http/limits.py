"""Limits: how often one address and one workspace may ask, by the generic cell rate algorithm."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import anyio.to_thread
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from zeroinvoice.domain.throttle import network_of
from zeroinvoice.gateways.attempts import Attempts
from zeroinvoice.http.edge import AT_ONCE
from zeroinvoice.kernel.refusals import Throttled
from zeroinvoice.kernel.value import Value
from zeroinvoice.settings import Settings

Guess = Literal["login", "refresh", "second_factor", "register", "reset", "invitation"]

REMEMBERED = 50_000  # addresses or workspaces, in one process; the one seen longest ago goes
SECOND = 1_000_000_000  # nanoseconds
STORE = 10.0  # seconds' worth of requests that may come at once after a rest
RARE = 6  # who may try six logins may register, reset or accept an invitation once
SHARES: dict[Guess, int] = {"register": RARE, "reset": RARE, "invitation": RARE}


class Rate(Value):
    """So many a second in the long run, and so many at once after a rest."""

    per_s: float
    burst: int


class Cells:
    """The generic cell rate algorithm (ITU-T I.371, annex A) in this process's memory.

    What is kept of a key is one moment: when all that it has asked for would have come at
    its steady rate.
    """

    def __init__(self, rate: Rate, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._interval = round(SECOND / rate.per_s)
        self._room = rate.burst * self._interval
        self._clock = clock
        self._due: OrderedDict[str, int] = OrderedDict()  # nanoseconds of the clock

    def take(self, key: str, count: int = 1) -> None:
        """Count so many requests of a key. Raises `Throttled`, and counts nothing then."""
        now = self._clock()
        due = max(self._due.get(key, now), now) + count * self._interval
        if due - now > self._room:
            raise Throttled(
                "Too many requests; wait a little before the next.",
                retry_after=max(1, math.ceil((due - now - self._room) / SECOND)),
            )
        self._due[key] = due
        self._due.move_to_end(key)
        if len(self._due) > REMEMBERED:
            self._due.popitem(last=False)


class Limits:
    """All limits of one process of the API.

    What everybody asks for is counted in memory, and each process grants its share, so that no
    ordinary request pays a round trip. Where guessing would pay, all processes count together.
    """

    def __init__(self, settings: Settings, attempts: Attempts) -> None:
        def share(per_s: int) -> Rate:
            mine = per_s / settings.api_processes
            return Rate(mine, max(1, round(mine * STORE)))

        self._addresses = Cells(share(settings.limit_address))
        self.workspaces = Cells(share(settings.limit_workspace))
        self._attempts = attempts
        self._guesses = settings.limit_guesses

    async def admit(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Before each request: count it for its address. Raises `Throttled`.

        Health is never counted: whoever watches us must not be turned away.
        """
        if connection.scope["path"] in AT_ONCE:
            return
        network = _network(connection.client.host if connection.client else None)
        self._addresses.take(network)
        guess: Guess | None = handler.opt.get("guess")
        if guess is not None:
            a_minute = max(1, self._guesses // SHARES.get(guess, 1))
            await anyio.to_thread.run_sync(self._attempts.take, guess, network, a_minute)


@lru_cache(maxsize=4_096)
def _network(ip: str | None) -> str:
    return network_of(ip)
