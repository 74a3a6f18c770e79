"""External ids: what another system calls a thing of ours; each belongs to one thing at a time."""

from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.refusals import Refused

# Events


class ExternalIdClaimed(Event):
    holder: UUID


class ExternalIdReleased(Event):
    pass


ExternalIdEvent = ExternalIdClaimed | ExternalIdReleased

# State


class ExternalId(State[ExternalIdEvent]):
    holder: UUID | None = None

    def evolve(self, event: ExternalIdEvent) -> Self:
        match event:
            case ExternalIdClaimed(holder=holder):
                return self.but(holder=holder)
            case ExternalIdReleased():
                return self.but(holder=None)
            case _:
                assert_never(event)

    def claim(self, holder: UUID) -> Events:
        """Raises `Refused` `external_id_taken` with the id of who has it."""
        if self.holder == holder:
            return
        if self.holder is not None:
            raise Refused(
                "This external id belongs to another one already.",
                code="external_id_taken",
                holder=str(self.holder),
            )
        yield ExternalIdClaimed(holder)

    def release(self, holder: UUID) -> Events:
        if self.holder == holder:
            yield ExternalIdReleased()


def external_id_of(tenant: UUID, kind: str, text: str) -> UUID:
    """The one stream of an external id; `kind` says of what, such as "client"."""
    return named(tenant, "external-id", kind, text)
