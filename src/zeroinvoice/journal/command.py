"""Commands: decisions that wait for their turn at the committer, and what becomes of them."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from zeroinvoice.kernel.desk import Desk, Place
from zeroinvoice.kernel.facts import Fact, Origin, State
from zeroinvoice.kernel.value import Value

T = TypeVar("T")
Decision = Callable[[Desk], T]


class Key(Value):
    """An idempotency key: whose it is, and what it was first used for (SHA-256 each)."""

    scope: bytes
    fingerprint: bytes
    formerly: tuple[bytes, ...] = ()  # what it may have been kept as, under former secrets


class Done(Value, Generic[T]):
    """A command that was carried out: what its decision answered, and where it stands."""

    answer: T
    position: int | None  # of its last fact; None when nothing had to be recorded
    at: datetime
    replayed: bool = False


class Command:
    """One decision that waits for its turn."""

    __slots__ = (
        "decision", "done", "expected", "facts", "future", "guard", "ids", "key", "loop",
        "origin", "since", "tenant", "wants",
    )  # fmt: skip

    def __init__(
        self,
        tenant: UUID,
        origin: Origin,
        decision: Decision[Any],
        *,
        wants: Sequence[tuple[type[State[Any]], Place]] = (),
        guard: Decision[None] | None = None,
        key: Key | None = None,
        expected: tuple[int, ...] | None = None,
    ) -> None:
        self.tenant = tenant
        self.origin = origin
        self.decision = decision
        self.wants = wants  # streams it will open; a hint that saves a round trip
        self.guard = guard  # checked as things are now, also when an answer is given again
        self.key = key
        self.expected = expected
        self.since = time.monotonic()
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Done[Any]] = self.loop.create_future()
        self.done: Done[Any] | Exception | None = None
        self.facts: list[Fact] = []
        self.ids: list[UUID] = []  # drawn so far, so that each run of the decision draws the same


def resolve(commands: Iterable[Command]) -> None:
    """Answer commands that were decided; in their own event loop."""
    for command in commands:
        if command.future.done() or command.done is None:
            continue
        if isinstance(command.done, Exception):
            command.future.set_exception(command.done)
        else:
            command.future.set_result(command.done)
