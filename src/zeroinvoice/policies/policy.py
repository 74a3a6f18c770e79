"""Policies and their actions: what is to happen because of a fact, and until when."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

from zeroinvoice.kernel.facts import Fact, State
from zeroinvoice.kernel.value import Value

S = TypeVar("S", bound=State[Any])


class Action(Value):
    """Something to do at least once: it may be done again after a crash, so it has a key.

    `do` raises `Unavailable` when trying later may help, another `Refusal` when it never will.
    """

    key: str
    until: datetime | None  # after which it is given up; None is never
    do: Callable[[], Awaitable[None]]


class Look(Protocol):
    """A stream's state as the journal has it by now, which may be later than the fact."""

    async def __call__(self, kind: type[S], tenant: UUID, id: UUID) -> S: ...


class Policy(Protocol):
    name: str  # of its checkpoint; never changed, or it would begin again
    topics: frozenset[str]  # the events it reacts to; others are not even read

    async def react(self, fact: Fact, look: Look) -> list[Action]:
        """What a fact calls for. Changes nothing itself."""
