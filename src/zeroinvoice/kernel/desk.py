"""A decision's desk: the streams it asked for, and what it records on them."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from zeroinvoice.kernel.facts import Event, Personal, State
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Missing, Stale

S = TypeVar("S", bound=State[Any])
T = TypeVar("T")
Place = tuple[UUID, UUID]  # tenant, stream

LARGEST = 500  # facts in one command; larger work is cut into parts under one correlation id


class Wanted(Exception):
    """The decision needs a stream that is not loaded yet; it is run again when it is."""

    def __init__(self, kind: type[State[Any]], place: Place) -> None:
        super().__init__(f"{kind.__name__} {place[1]}")
        self.kind = kind
        self.place = place


class Desk:
    """What a decision may do: open streams of its tenant, record events on them, draw ids.

    A decision is a pure function of what it opens here: it may be run more than once, and
    only its last run counts. The first stream it opens is the one `If-Match` speaks of.
    """

    def __init__(
        self,
        tenant: UUID,
        now: datetime,
        look: Callable[[type[State[Any]], Place], State[Any]],
        expected: tuple[int, ...] | None = None,
        ids: list[UUID] | None = None,
        draw: Callable[[], UUID] = new_id,
        reason: str | None = None,
    ) -> None:
        self.tenant = tenant
        self.now = now  # the moment all of this command's facts are recorded at
        self.reason = reason  # why it is asked for, as the caller gave it
        self.opened: dict[Place, State[Any]] = {}
        self.recorded: list[tuple[Place, int, Event, datetime]] = []
        self.subjects: dict[int, UUID] = {}  # whom what was recorded is about, by its place there
        self._look = look
        self._expected = expected
        self._ids = [] if ids is None else ids  # of an earlier run; those of this one join them
        self._taken = 0
        self._draw = draw

    def find(self, kind: type[S], id: UUID, *, tenant: UUID | None = None) -> S:
        """A stream's state, blank (`version` 0) when nothing is recorded on it yet.

        Raises `Stale` when it is the first and not at the version the caller named, and
        `Missing` when the id is that of something else.
        """
        place = (self.tenant if tenant is None else tenant, id)
        state = self.opened.get(place)
        if state is None:
            state = self._look(kind, place)
            if not self.opened:
                self._check(state)
            self.opened[place] = state
        if not isinstance(state, kind):  # an id of something else
            raise Missing(f"There is no such {kind.__name__.lower()}.")
        return state

    def open(self, kind: type[S], id: UUID, *, tenant: UUID | None = None) -> S:
        """A stream that exists. Raises `Missing` for one that does not, or is another tenant's."""
        state = self.find(kind, id, tenant=tenant)
        if state.version == 0:
            raise Missing(f"There is no such {kind.__name__.lower()}.")
        return state

    def new_id(self) -> UUID:
        """A fresh id; the same one when the decision runs again, or its answer is given again."""
        if self._taken == len(self._ids):
            self._ids.append(self._draw())
        self._taken += 1
        return self._ids[self._taken - 1]

    @property
    def drawn(self) -> tuple[UUID, ...]:
        """The ids of this run, in the order in which they were asked for."""
        return tuple(self._ids[: self._taken])

    def new(self, kind: type[S], id: UUID | None = None, *, tenant: UUID | None = None) -> S:
        """A blank state of a stream that cannot exist yet: its id has just been drawn."""
        place = (self.tenant if tenant is None else tenant, id or self.new_id())
        state = kind(id=place[1])
        if not self.opened:
            self._check(state)
        self.opened[place] = state
        return state

    def record(self, state: S, events: Iterable[Event], *, tenant: UUID | None = None) -> S:
        """Append events to an opened stream; answers what it is now."""
        place = (self.tenant if tenant is None else tenant, state.id)
        assert self.opened.get(place) is state, "record on what was opened, as it is now"
        at = max(self.now, state.changed_at) if state.changed_at else self.now
        for event in events:
            state = state.told(event, at)
            if isinstance(event, Personal) and (subject := state.subject(event)) is not None:
                self.subjects[len(self.recorded)] = subject
            self.recorded.append((place, state.version, event, at))
        if len(self.recorded) > LARGEST:
            raise AssertionError(f"a command of more than {LARGEST} facts must be cut into parts")
        self.opened[place] = state
        return state

    def rehearsal(self) -> "Desk":
        """A desk with the same streams at the same moment, of which nothing is recorded."""
        return Desk(
            self.tenant,
            self.now,
            self._look,
            self._expected,
            draw=self._draw,
            reason=self.reason,
        )

    def _check(self, state: State[Any]) -> None:
        if self._expected is not None and state.version not in self._expected:
            raise Stale(
                f"This is at version {state.version} now; your copy is older.",
                version=state.version,
            )
