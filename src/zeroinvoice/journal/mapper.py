"""Facts to stored events and back; the hash that chains them."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

from zeroinvoice.journal.subjects import Key, Keys, Masters, Wrapped
from zeroinvoice.kernel.facts import (
    HOUSE,
    Erasure,
    Event,
    Fact,
    Former,
    Origin,
    Personal,
    topic_of,
    topics_of,
)
from zeroinvoice.kernel.refusals import Unavailable
from zeroinvoice.kernel.value import Value

GENESIS = bytes(32)  # the hash before a tenant's first fact


@dataclass(frozen=True)
class StoredFact(StoredEvent):
    """A stored event with its place in the journal and its link in the tenant's chain."""

    tenant_id: UUID = HOUSE
    position: int = 0
    hash: bytes = GENESIS
    subject: UUID | None = None


class Record(Value, omit_defaults=True):
    """What is written down of a fact beside the columns: the JSON text of `state`.

    An event that speaks of a person is written without them; whole it is only in `sealed`.
    """

    at: datetime
    origin: Origin
    event: Event
    subject: UUID | None = None
    sealed: str | None = None  # the whole event's JSON under the subject's key, in base64


class _Read(Value):
    at: datetime
    origin: Origin
    event: msgspec.Raw  # the topic says what it is
    subject: UUID | None = None
    sealed: str | None = None


class _Told(Value):
    subject: UUID | None = None


_told = msgspec.json.Decoder(_Told).decode


def subject_of(state: str | bytes) -> UUID | None:
    """Whom a stored fact says that it is about."""
    return _told(state).subject


def link(
    before: bytes,
    position: int,
    tenant: UUID,
    stream: UUID,
    version: int,
    topic: str,
    state: bytes,
) -> bytes:
    """SHA-256 over the tenant's previous hash and the whole fact, in its stored bytes."""
    digest = hashlib.sha256(b"\x00")
    digest.update(before)
    digest.update(position.to_bytes(8, "big"))
    digest.update(tenant.bytes)
    digest.update(stream.bytes)
    digest.update(version.to_bytes(4, "big"))
    digest.update(topic.encode())
    digest.update(b"\x00")
    digest.update(state)
    return digest.digest()


class FactMapper(Mapper[UUID]):
    """Writes facts as JSON text and reads them back through an allow-list of event classes.

    Nothing is imported because a row names it: an unknown topic raises `UnknownTopic`, and
    what cannot be read for another reason `Unreadable`.
    """

    def __init__(
        self,
        transcoder: Transcoder,
        events: Iterable[type[Event]],
        masters: Masters | None = None,
        former: Iterable[type[Former]] = (),
    ) -> None:
        super().__init__(transcoder)
        self.keys = Keys(masters)
        events = tuple(events)
        self.erasing = topics_of(*(it for it in events if issubclass(it, Erasure)))
        self._encode = msgspec.json.Encoder().encode
        self._record = msgspec.json.Decoder(_Read).decode
        self._decoders: dict[str, Callable[[msgspec.Raw | str], Event]] = {
            topic: decode
            for event, decode in ((it, msgspec.json.Decoder(it).decode) for it in events)
            for topic in topics_of(event)  # what it can still read of earlier versions, too
        }
        self._decoders.update((shape.TOPIC, _upcast(shape)) for shape in former)

    def state_of(self, fact: Fact) -> bytes:
        """The canonical JSON of a fact in clear: always the same bytes for the same fact."""
        return self._encode(Record(fact.at, fact.origin, fact.event))

    def sealed_state_of(self, fact: Fact, remains: Event, key: Key | None) -> bytes:
        """The JSON of a fact about somebody: what remains without them, and the whole sealed.

        Without a key, which is when it was destroyed, the rest is not written at all.
        """
        assert fact.subject is not None
        sealed = None
        if key is not None:
            topic = topic_of(type(fact.event))
            about = _about(fact.tenant, fact.stream, fact.version, topic, fact.subject)
            sealed = key.seal(self._encode(fact.event).decode(), *about)
        return self._encode(Record(fact.at, fact.origin, remains, fact.subject, sealed))

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        fact: Fact = domain_event
        return StoredFact(
            fact.stream,
            fact.version,
            topic_of(type(fact.event)),
            self.state_of(fact),
            fact.tenant,
            fact.position,
            subject=fact.subject,
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        assert isinstance(stored_event, StoredFact)
        return self.fact(
            stored_event.position,
            stored_event.tenant_id,
            UUID(str(stored_event.originator_id)),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )

    def fact(
        self,
        position: int,
        tenant: UUID,
        stream: UUID,
        version: int,
        topic: str,
        state: str | bytes,
        master: str | None = None,
        wrapped: bytes | None = None,
    ) -> Fact:
        """The fact that a row of the journal records; without its subject's key, what remains.

        Raises `Unreadable`, also when the master key it needs is not known here.
        """
        try:
            record = self._record(state)
            whole: msgspec.Raw | str = record.event
            if record.sealed is not None and wrapped is not None:
                assert record.subject is not None
                key = self.keys.key((tenant, record.subject), Wrapped(master, bytes(wrapped)))
                if key is not None:
                    about = _about(tenant, stream, version, topic, record.subject)
                    whole = key.open(record.sealed, *about)
            event = self._decoders[topic](whole)
        except KeyError:
            raise UnknownTopic(topic, position) from None
        except (msgspec.DecodeError, ValueError, Unavailable) as wrong:
            raise Unreadable(topic, position, str(wrong)) from wrong
        return Fact(
            event, tenant, stream, version, position, record.at, record.origin, record.subject
        )

    def read(self, row: Sequence[Any]) -> Fact:
        """The fact of a row as the recorders give it, with its subject's key where there is one."""
        return self.fact(*row[:6], *row[8:10])


def remaining(event: Event) -> Event | None:
    """What must be kept of an event without the person it speaks of; None when that is all."""
    if isinstance(event, Personal) and (remains := event.redacted()) != event:
        return remains
    return None


def _about(
    tenant: UUID, stream: UUID, version: int, topic: str, subject: UUID
) -> tuple[str, str, str, str, str]:
    """To what a sealed event is bound, so that it opens nowhere else."""
    return str(tenant), str(stream), str(version), topic, str(subject)


def _upcast(shape: type[Former]) -> Callable[[msgspec.Raw | str], Event]:
    decode = msgspec.json.Decoder(shape).decode
    return lambda stored: decode(stored).upcast()


class Unreadable(Unavailable):
    """The journal holds a fact that this version of the program cannot read.

    It concerns the fact's own stream, and whatever must follow the whole journal; who asks
    for that stream is told to come back, most likely to a newer version.
    """

    code = "newer_version"

    def __init__(self, topic: str, position: int, why: str) -> None:
        super().__init__("This was changed by another version of the program; try again later.")
        self.position = position
        self.why = f"fact {position}, {topic}: {why}"

    def __str__(self) -> str:
        return self.why


class UnknownTopic(Unreadable):
    """Its very kind is unknown."""

    def __init__(self, topic: str, position: int) -> None:
        super().__init__(topic, position, "this version does not know its kind")
