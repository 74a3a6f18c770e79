"""Merges: each merge of clients and each undoing, one row each, for the history of a client."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar.params import FromPath
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    Table,
    Text,
    Uuid,
    func,
    or_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from projections import credits, invoices, payments
from projections.merge_view import Counts, Moved
from zeroinvoice.domain import merging
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.merge import MergedClientsErased, MergeRecorded, MergeUndone
from zeroinvoice.domain.merging import Entangled, UndoMerge
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.refusals import Refused, Unavailable
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Index, any_of, read_table

PATIENCE = 3.0  # seconds for which a merge waits for the count of what it moved

# Tables

merges = read_table(
    "merges",
    "merges",
    Column("primary_id", Uuid, nullable=False),
    Column("duplicate_ids", ARRAY(Uuid), nullable=False),
    Column("note", Text),
    Column("contacts", Integer, nullable=False),
    Column("bank_accounts", Integer, nullable=False),
)
entries = read_table(
    "merges",
    "entries",
    Column("merge_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("kept_changes", ARRAY(Text), nullable=False, default=[]),
    key=Column("position", BigInteger, primary_key=True),
)
merge, it = merges.c, entries.c
Index("merges_by_primary", merge.tenant_id, merge.primary_id)
Index("merges_by_duplicate", merge.duplicate_ids, postgresql_using="gin")
Index("entries_by_merge", it.tenant_id, it.merge_id)

# Fold


def project(rows: Rows, log: Rows, fact: Fact) -> None:
    match fact.event:
        case MergeRecorded() as made:
            none = Moved.of(made, Counts())
            rows.add(
                fact.stream,
                primary_id=made.primary_id,
                duplicate_ids=list(made.duplicates),
                note=made.note,
                contacts=none.contacts,
                bank_accounts=none.bank_accounts,
            )
            _enter(log, fact, "merge")
        case MergedClientsErased():
            rows.erase(fact.stream, "note")
        case MergeUndone(kept_changes=kept):
            _enter(log, fact, "undo", kept)
        case _:
            pass


def _enter(log: Rows, fact: Fact, action: str, kept: tuple[str, ...] = ()) -> None:
    log.add(
        fact.position,
        merge_id=fact.stream,
        action=action,
        at=fact.at,
        actor_kind=fact.origin.by.kind,
        actor_id=fact.origin.by.id,
        kept_changes=list(kept),
    )


projector = Projector("merges", 2, (merges, entries), project)

# Views


class Blocked(Value):
    """Why a merge cannot be undone as it is."""

    code: str  # merge_undone, later_merge_exists, undo_expired, merge_entangled
    detail: str
    entangled: list[Entangled]


class MergeEntry(Value, kw_only=True):
    """A merge, or its undoing."""

    seq: int  # the fact's position in the journal
    action: str  # merge, undo
    merge_id: UUID
    at: datetime
    actor: str  # user, api_key, system
    actor_id: UUID
    primary_id: UUID
    duplicate_ids: list[UUID]
    moved: Moved
    note: str | None
    kept_changes: list[str]
    undoable: bool
    blocked_by: Blocked | None


class _Row(Value):
    position: int
    action: str
    merge_id: UUID
    at: datetime
    actor_kind: str
    actor_id: UUID
    primary_id: UUID
    duplicate_ids: list[UUID]
    note: str | None
    kept_changes: list[str]
    contacts: int
    bank_accounts: int
    invoices: int | None
    payments: int | None
    credits: int | None


# Queries

COUNTS = {
    "invoices": invoices.moves.c.records,
    "payments": payments.moves.c.records,
    "credits": credits.moves.c.records,
}
SORTS = {"seq": it.position}


def counted(reader: RequestReader, merge_id: UUID) -> Counts:
    """What a merge moved, as the read models counted it at its very fact."""
    first, second, third = invoices.moves, payments.moves, credits.moves
    rows = (
        reader.mine(first, *COUNTS.values())
        .join(second, second.c.id == first.c.id)
        .join(third, third.c.id == first.c.id)
        .where(first.c.id == merge_id)
    )
    try:
        found = reader.rows(rows, patience=PATIENCE)
    except Unavailable:
        return Counts()  # the merge is made all the same
    return Counts(*found[0]) if found else Counts()


def expected(reader: RequestReader, homes: tuple[UUID, ...]) -> Counts:
    """What a merge of these clients would move."""

    def many(table: Table, *conditions: ColumnElement[bool]) -> int:
        theirs = any_of(table.c.client_id, homes)
        return int(reader.scalar(reader.mine(table, func.count()).where(theirs, *conditions)))

    drafts_and_issued = many(invoices.invoices, ~invoices.invoices.c.deleted)
    return Counts(drafts_and_issued, many(payments.payments), many(credits.credits))


def blocked(reader: RequestReader, merge_id: UUID) -> Blocked | None:
    """What the undoing of a merge would be refused for now."""
    desk = Desk(reader.tenant, reader.now, lambda kind, place: reader.find(kind, place[1]))
    try:
        merging.undoable(desk, UndoMerge(merge_id=merge_id))
    except Refused as no:
        return Blocked(no.code, no.message, no.details.get("entangled", []))
    return None


def _rows(reader: RequestReader, client_id: UUID) -> Select[Any]:
    columns = []
    for name in _Row.__struct_fields__:
        own = it if name in it else merge
        columns.append(COUNTS[name] if name in COUNTS else own[name])
    rows = reader.mine(entries, *columns).join(merges, merge.id == it.merge_id)
    for table in (invoices.moves, payments.moves, credits.moves):
        rows = rows.outerjoin(table, table.c.id == it.merge_id)
    takes_part = or_(merge.primary_id == client_id, merge.duplicate_ids.contains([client_id]))
    return rows.where(takes_part)


# Routes


@get("/clients/{client_id:uuid}/merge-history", may="clients:read")
def history(client_id: FromPath[UUID], reader: Reading, listing: Listing) -> Page[MergeEntry]:
    """List the merges a client took part in and their undoings, the latest first."""
    reader.state(Client, client_id).assert_known()
    reader.shows(None, 0)
    found = page(reader, _rows(reader, client_id), _Row, listing, sorts=SORTS, key=it.position)
    undoing = {row.merge_id: blocked(reader, row.merge_id) for row in found.items}
    items = [_entry(row, undoing[row.merge_id]) for row in found.items]
    return Page(items, found.next_cursor, found.total)


def _entry(row: _Row, blocked_by: Blocked | None) -> MergeEntry:
    counts = (row.invoices, row.payments, row.credits, row.contacts, row.bank_accounts)
    return MergeEntry(
        seq=row.position,
        action=row.action,
        merge_id=row.merge_id,
        at=row.at,
        actor=row.actor_kind,
        actor_id=row.actor_id,
        primary_id=row.primary_id,
        duplicate_ids=row.duplicate_ids,
        moved=Moved(*counts),
        note=row.note,
        kept_changes=row.kept_changes,
        undoable=row.action == "merge" and blocked_by is None,
        blocked_by=blocked_by,
    )


routes = [history]
