"""Facts to stored events and back; the hash that chains them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent, Transcoder

from zeroinvoice.kernel.facts import HOUSE, Event, Fact, Origin
from zeroinvoice.kernel.value import Value

GENESIS = bytes(32)  # the hash before a tenant's first fact


@dataclass(frozen=True)
class StoredFact(StoredEvent):
    """A stored event with its place in the journal and its link in the tenant's chain."""

    tenant_id: UUID = HOUSE
    position: int = 0
    hash: bytes = GENESIS


class Record(Value):
    """What is written down of a fact beside the columns: the JSON text of `state`."""

    at: datetime
    origin: Origin
    event: Event


class _Read(Value):
    at: datetime
    origin: Origin
    event: msgspec.Raw  # the topic says what it is


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

    Nothing is imported because a row names it: an unknown topic raises `UnknownTopic`.
    """

    def __init__(self, transcoder: Transcoder, events: Iterable[type[Event]]) -> None:
        super().__init__(transcoder)
        self._encode = msgspec.json.Encoder().encode
        self._record = msgspec.json.Decoder(_Read).decode
        self._decoders = {event.__name__: msgspec.json.Decoder(event).decode for event in events}

    def state_of(self, fact: Fact) -> bytes:
        """The canonical JSON of a fact: always the same bytes for the same fact."""
        return self._encode(Record(fact.at, fact.origin, fact.event))

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        fact: Fact = domain_event
        return StoredFact(
            fact.stream,
            fact.version,
            type(fact.event).__name__,
            self.state_of(fact),
            fact.tenant,
            fact.position,
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
    ) -> Fact:
        """The fact that a row of the journal records."""
        record = self._record(state)
        try:
            event = self._decoders[topic](record.event)
        except KeyError:
            raise UnknownTopic(topic, position) from None
        return Fact(event, tenant, stream, version, position, record.at, record.origin)


class UnknownTopic(Exception):
    """The journal holds a fact that this version of the program does not know."""

    def __init__(self, topic: str, position: int) -> None:
        super().__init__(f"fact {position} is a {topic}, which this version does not know")
