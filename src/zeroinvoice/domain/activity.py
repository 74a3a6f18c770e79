"""The activity feed: what others tell of our records, and how far each person has read."""

from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.domain.addresses import check_length
from zeroinvoice.domain.belonging import standing
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.payment import Payment
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Event, Events, Personal, State, erased
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.value import Value

Tracked = Literal["invoice_created", "payment_received"]
LONGEST = {"source": 255, "note": 500}  # characters


class TrackRecord(Value, forbid_unknown_fields=True):
    """A record of ours that another system knows as well: which one, who says so, and what."""

    id: UUID
    source: str | None = None  # the other system
    note: str | None = None


# Events of what is told


class ActivityTracked(Personal, omit_defaults=True):
    """Another system told of a record that is there; it is taken down once and changes nothing."""

    type: Tracked
    object_id: UUID  # the invoice or the payment
    client_id: UUID  # whom it was entered for
    source: str | None = None
    note: str | None = None

    def redacted(self) -> Self:
        return self.but(note=erased(self.note))


class TrackedErased(Event):
    """What was told of a client's record is forgotten; that it was stays."""

    object_id: UUID


class Tracking(State[ActivityTracked | TrackedErased]):
    heard: ActivityTracked | None = None

    def evolve(self, event: ActivityTracked | TrackedErased) -> Self:
        match event:
            case ActivityTracked():
                return self.but(heard=event)
            case TrackedErased():
                return self.but(heard=self.heard.redacted() if self.heard else None)
            case _:
                assert_never(event)

    def subject(self, event: ActivityTracked | TrackedErased) -> UUID | None:
        return self.heard.client_id if self.heard else None

    def erase(self) -> Events:
        """Forget what was told."""
        if self.heard and self.heard.redacted() != self.heard:
            yield TrackedErased(self.heard.object_id)

    def track(self, it: ActivityTracked) -> Events:
        """Take it down, unless the same record was told of before."""
        if self.heard is None:
            yield it


def tracking_of(tenant: UUID, type: Tracked, object_id: UUID) -> UUID:
    """The one stream of what is told of a record."""
    return named(tenant, "tracked", type, str(object_id))


def track(desk: Desk, type: Tracked, asked: TrackRecord) -> tuple[Tracking, UUID]:
    """Take down what another system tells of a record; answers it, and whose the record is.

    Raises `Missing` for a record that is not there: none is ever made here.
    """
    for name, longest in LONGEST.items():
        check_length(name, getattr(asked, name), longest)
    tracking = desk.find(Tracking, tracking_of(desk.tenant, type, asked.id))
    client_id = _client(desk, type, asked.id)
    told = ActivityTracked(type, asked.id, client_id, asked.source or None, asked.note or None)
    return desk.record(tracking, tracking.track(told)), standing(desk, client_id).id


def _client(desk: Desk, type: Tracked, id: UUID) -> UUID:
    match type:
        case "invoice_created":
            invoice = desk.open(Invoice, id)
            invoice.assert_there()
            return invoice.content.client_id
        case "payment_received":
            return desk.open(Payment, id).entry.client_id
        case _:
            assert_never(type)


# How far somebody has read


class ActivityMarked(Event):
    """All up to this position has been read."""

    position: int


class ActivityMarker(State[ActivityMarked]):
    position: int = 0  # of the journal

    def evolve(self, event: ActivityMarked) -> Self:
        return self.but(position=event.position)

    def mark(self, position: int) -> Events:
        """Read on; what has been read stays read."""
        if position > self.position:
            yield ActivityMarked(position)


def marker_of(tenant: UUID, user: UUID) -> UUID:
    """The one marker of a person."""
    return named(tenant, "activity-marker", str(user))
