"""Merges: clients that became one, what changed by it, and what has grown together since."""

from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.domain.bank_accounts import DefaultAccount
from zeroinvoice.domain.client import Profile
from zeroinvoice.kernel.facts import NIL, Event, Events, Personal, State, erased
from zeroinvoice.kernel.refusals import Refused
from zeroinvoice.kernel.value import Value

ContactStrategy = Literal["dedupe_by_email", "keep_all"]
Linked = Literal["payment", "credit"]


class FieldFilled(Value):
    """A field of the primary's profile, and the client whose value it has since the merge."""

    field: str
    client_id: UUID


class Brought(Value):
    """What one duplicate brought along besides its documents."""

    client_id: UUID
    contacts: tuple[UUID, ...] = ()
    known_contacts: tuple[UUID, ...] = ()  # that had an e-mail address the primary knew
    bank_accounts: tuple[UUID, ...] = ()
    known_bank_accounts: tuple[UUID, ...] = ()  # that the primary had as well


class Link(Value):
    """A record of one home that settles an invoice of another."""

    kind: Linked
    record_id: UUID  # the payment, or the application of a credit
    source_id: UUID  # the payment, or the credit
    home: UUID
    invoice_id: UUID
    invoice_home: UUID


# Events


class MergeRecorded(Personal, kw_only=True):
    """Clients were merged; the profiles are the primary's before and since."""

    primary_id: UUID
    duplicates: tuple[UUID, ...]
    contact_strategy: ContactStrategy
    note: str | None
    before: Profile
    after: Profile
    filled: tuple[FieldFilled, ...]
    brought: tuple[Brought, ...]
    primary_contact: UUID | None  # the primary's before
    defaults: tuple[DefaultAccount, ...]  # of its bank accounts before

    def redacted(self) -> Self:
        return self.but(
            note=erased(self.note), before=self.before.redacted(), after=self.after.redacted()
        )


class MergeEntangled(Event):
    """Money was moved between records of clients that are one only by this merge."""

    links: tuple[Link, ...]


class MergeDisentangled(Event):
    """Such a payment, or application of a credit, was taken back."""

    record_id: UUID


class MergeUndone(Event):
    """The clients stand for themselves again."""

    kept_changes: tuple[str, ...]  # fields that were changed since and stay as they are
    kept_links: tuple[Link, ...]  # what stays with the primary although it settles an invoice


class MergedClientsErased(Event):
    """Who was merged is forgotten, since one of them is."""


MergeEvent = MergeRecorded | MergeEntangled | MergeDisentangled | MergeUndone | MergedClientsErased

# State

_BLANK = MergeRecorded(
    primary_id=NIL,
    duplicates=(),
    contact_strategy="keep_all",
    note=None,
    before=Profile(name="", currency=""),
    after=Profile(name="", currency=""),
    filled=(),
    brought=(),
    primary_contact=None,
    defaults=(),
)


class Merge(State[MergeEvent]):
    made: MergeRecorded = _BLANK
    links: tuple[Link, ...] = ()
    undone: MergeUndone | None = None

    def subject(self, event: MergeEvent) -> UUID:
        """The merge itself: it speaks of several clients, and is forgotten with any of them."""
        return self.id

    def evolve(self, event: MergeEvent) -> Self:
        match event:
            case MergeRecorded():
                return self.but(made=event)
            case MergeEntangled(links=links):
                return self.but(links=(*self.links, *links))
            case MergeDisentangled(record_id=record_id):
                return self.but(links=tuple(it for it in self.links if it.record_id != record_id))
            case MergeUndone():
                return self.but(undone=event)
            case MergedClientsErased():
                return self.but(made=self.made.redacted())
            case _:
                assert_never(event)

    def changes(self) -> tuple[str, ...]:
        """The fields of the primary's profile that the merge changed."""
        before, after = self.made.before, self.made.after
        names = before.__struct_fields__
        return tuple(name for name in names if getattr(before, name) != getattr(after, name))

    def restored(self, profile: Profile) -> tuple[Profile, tuple[str, ...]]:
        """A profile without what the merge filled in, and the fields that were changed since."""
        before, after = self.made.before, self.made.after
        kept = tuple(
            name for name in self.changes() if getattr(profile, name) != getattr(after, name)
        )
        back = {name: getattr(before, name) for name in self.changes() if name not in kept}
        return profile.but(**back), kept

    # Decisions

    def make(self, made: MergeRecorded) -> Events:
        assert self.version == 0, "a merge is made once"
        yield made

    def entangle(self, links: tuple[Link, ...]) -> Events:
        assert self.undone is None, "only a merge that stands joins clients"
        yield MergeEntangled(links)

    def disentangle(self, record_id: UUID) -> Events:
        if any(it.record_id == record_id for it in self.links):
            yield MergeDisentangled(record_id)

    def undo(self, kept_changes: tuple[str, ...], kept_links: tuple[Link, ...]) -> Events:
        self.assert_standing()
        yield MergeUndone(kept_changes, kept_links)

    def erase(self) -> Events:
        """Forget who was merged."""
        if self.made.redacted() != self.made:
            yield MergedClientsErased()

    def assert_standing(self) -> None:
        if self.undone is not None:
            raise Refused("This merge is undone already.", code="merge_undone")
