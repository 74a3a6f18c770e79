"""Events, the facts that record them, and the states they add up to."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar, get_args, get_origin
from uuid import UUID

import msgspec

from zeroinvoice.kernel.value import Value

NIL = UUID(int=0)
HOUSE = NIL  # the tenant of what belongs to no workspace: claimed addresses, throttles
ERASED = "[erased]"  # stands where a word about a person stood


class Event(Value):
    """Something that happened, named in the past tense.

    An event holds what the business would write down. Who did it, when, and
    to what belong to the `Fact` that records it. The class name is what is stored.
    """

    VERSION: ClassVar[int] = 1  # of the class; a change of its fields needs another


class Former(Value):
    """What a class of events looked like before it changed: how such facts are still read."""

    TOPIC: ClassVar[str]  # what is stored of it, such as `InvoiceSent` or `InvoiceSent.2`

    def upcast(self) -> Event:
        """The same said in the words of today's class."""
        raise AssertionError(f"{type(self).__name__} has no upcast")


def topic_of(event: type[Event]) -> str:
    """What is stored as the class of a new fact."""
    return event.__name__ if event.VERSION == 1 else f"{event.__name__}.{event.VERSION}"


def topics_of(*events: type[Event]) -> frozenset[str]:
    """What is stored of some classes, in all their versions."""
    later = (f"{it.__name__}.{n}" for it in events for n in range(2, it.VERSION + 1))
    return frozenset((*(it.__name__ for it in events), *later))


class Personal(Event):
    """An event that speaks of a person: it is kept sealed, and so that it can be forgotten.

    Whom it is about, the state of its stream says (`State.subject`).
    """

    def redacted(self) -> Self:
        """What remains of it without the person. Doing it again changes nothing."""
        raise AssertionError(f"{type(self).__name__} does not say what remains")


class Erasure(Event):
    """With this fact some subjects are forgotten: their keys are destroyed in the same commit."""

    subjects: tuple[UUID, ...]


Events = Iterator[Event]
E = TypeVar("E", bound=Event)


class Actor(Value):
    """Who asks: a person with an account, an API key, the house itself, or nobody we know."""

    kind: Literal["user", "system", "anonymous", "api_key"]
    id: UUID = NIL


class Origin(Value, omit_defaults=True):
    """Where a fact came from: who asked, in which request, and why."""

    by: Actor
    request: UUID  # one a command, so a commit can be recognised
    correlation: UUID | None = None
    causation: int | None = None  # the position of the fact that a policy answered
    ip: str | None = None
    agent: str | None = None  # User-Agent, cut to 200 characters
    reason: str | None = None  # X-Reason, as the caller gave it


class Fact(Value):
    """An event on record: one line of the journal."""

    event: Event
    tenant: UUID
    stream: UUID
    version: int  # 1 for the first fact of its stream, then without gaps
    position: int  # 1 for the first fact of the journal, then without gaps
    at: datetime  # UTC
    origin: Origin
    subject: UUID | None = None  # whom it is about, where it speaks of a person


class State(Value, Generic[E]):
    """What one stream's facts add up to. A bare `State()` is before the first.

    `created_at` and `changed_at` are the recorded times of the first and the latest
    fact; `evolve` may read `changed_at` as the moment of the event it is given.
    """

    id: UUID = NIL
    version: int = 0
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @classmethod
    def after(cls, *events: E) -> Self:
        state = cls()
        for event in events:
            state = state.but(version=state.version + 1).evolve(event)
        return state

    def evolve(self, event: E) -> Self:
        raise AssertionError(f"{type(self).__name__} has no evolve")

    def subject(self, event: E) -> UUID | None:
        """Whom a personal event is about, when it has just been told: under whose key it lies."""
        return None

    def told(self, event: Event, at: datetime) -> Self:
        """The state one recorded event later. What a stream is, its first event says."""
        state = self if self.version else _blank(type(self), type(event))(id=self.id)
        return msgspec.structs.replace(  # type: ignore[return-value]  # nearly always of our kind
            state,
            version=self.version + 1,
            created_at=self.created_at or at,
            changed_at=at,
        ).evolve(event)  # type: ignore[arg-type]  # the stream holds only this kind's events


def erased(text: str | None) -> str | None:
    """What remains of a text about a person: that there was one."""
    return ERASED if text else text


def events_of(kind: type[State[Any]]) -> tuple[type[Event], ...]:
    """The event classes a kind of stream is made of, from `State[A | B]`."""
    for base in getattr(kind, "__orig_bases__", ()):
        if get_origin(base) is State:
            (union,) = get_args(base)
            return get_args(union) or (union,)
    raise AssertionError(f"{kind.__name__} does not say its events")


@lru_cache(maxsize=4096)
def _blank(asked: type[State[Any]], event: type[Event]) -> type[State[Any]]:
    """The kind of state whose stream begins with such an event: the one asked for, if it can."""
    if event in events_of(asked):
        return asked
    return next((kind for kind in State.__subclasses__() if event in events_of(kind)), asked)


def folded(kind: type[State[Any]], id: UUID, facts: Iterable[Fact]) -> State[Any]:
    """A stream's state from its facts, oldest first."""
    state = kind(id=id)
    for fact in facts:
        state = state.told(fact.event, fact.at)
    return state
