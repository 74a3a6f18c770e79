"""A merge as one sees it: what it moved and filled in, and what came of undoing it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from projections.client_view import ClientView
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.merge import Merge, MergeRecorded
from zeroinvoice.domain.merging import Entangled, undo_until
from zeroinvoice.kernel.value import Value


class Counts(Value):
    """How many documents were the duplicates'; null where the read models are not there yet."""

    invoices: int | None = None
    payments: int | None = None
    credits: int | None = None


class Moved(Value):
    """How many records a merge moved to the primary, as they were when it was made."""

    invoices: int | None  # drafts and issued ones; null: still being counted, as the two below
    payments: int | None
    credits: int | None
    contacts: int
    bank_accounts: int

    @classmethod
    def of(cls, made: MergeRecorded, counts: Counts) -> "Moved":
        return cls(
            counts.invoices,
            counts.payments,
            counts.credits,
            sum(len(it.contacts) for it in made.brought),
            sum(len(it.bank_accounts) for it in made.brought),
        )


class FieldChange(Value):
    """A field of the primary that a merge filled in, and whose value it is."""

    field: str
    client_id: UUID
    old: Any
    new: Any


class MergeReceipt(Value, kw_only=True):
    """What a merge did, or would do."""

    merge_id: UUID | None  # null for a dry run
    dry_run: bool
    primary: ClientView
    duplicate_ids: tuple[UUID, ...]
    moved: Moved
    field_changes: list[FieldChange]
    deduped_contact_ids: list[UUID]  # they stay with their duplicate, out of sight
    deduped_bank_account_ids: list[UUID]
    note: str | None
    undo_until: datetime | None

    @classmethod
    def of(
        cls, primary: Client, it: Merge, counts: Counts, days: int, *, dry_run: bool
    ) -> "MergeReceipt":
        made = it.made
        return cls(
            merge_id=None if dry_run else it.id,
            dry_run=dry_run,
            primary=ClientView.of(primary),
            duplicate_ids=made.duplicates,
            moved=Moved.of(made, counts),
            field_changes=[
                FieldChange(
                    one.field,
                    one.client_id,
                    getattr(made.before, one.field),
                    getattr(made.after, one.field),
                )
                for one in made.filled
            ],
            deduped_contact_ids=[id for one in made.brought for id in one.known_contacts],
            deduped_bank_account_ids=[id for one in made.brought for id in one.known_bank_accounts],
            note=made.note,
            undo_until=None if dry_run else undo_until(it, days),
        )


class MergeUndoReceipt(Value, kw_only=True):
    """What undoing a merge did."""

    merge_id: UUID
    primary: ClientView
    returned_ids: tuple[UUID, ...]  # the clients that stand for themselves again
    kept_changes: tuple[str, ...]  # fields of the primary that were changed since the merge
    kept_with_primary: list[Entangled]

    @classmethod
    def of(cls, it: Merge, primary: Client) -> "MergeUndoReceipt":
        assert it.undone is not None
        return cls(
            merge_id=it.id,
            primary=ClientView.of(primary),
            returned_ids=it.made.duplicates,
            kept_changes=it.undone.kept_changes,
            kept_with_primary=[Entangled.of(link) for link in it.undone.kept_links],
        )
