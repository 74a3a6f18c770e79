"""Contacts: the persons of every client, one row each, and which of them is the primary one."""

from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from litestar.params import FromPath, FromQuery
from sqlalchemy import Boolean, ColumnElement, DateTime, Integer, Text, Uuid, and_, func, or_

from projections.clients import client_of
from projections.contact_view import ContactView
from projections.invoices import aware
from zeroinvoice.domain.contact_book import (
    ContactAdded,
    ContactBook,
    ContactEvent,
    ContactRemoved,
    ContactRevised,
    ContactsAdopted,
    ContactsErased,
    ContactsReleased,
    ContactsReturned,
    Person,
    PrimaryContactChosen,
    Receives,
    contact_book_of,
)
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import ERASED, Fact
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, read_table

# Table

contacts = read_table(
    "contacts",
    "contacts",
    Column("book_id", Uuid, nullable=False),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("email", Text),
    Column("phone", Text),
    Column("phone_e164", Text),
    Column("mobile", Text),
    Column("mobile_e164", Text),
    Column("role", Text),
    Column("department", Text),
    Column("locale", Text),
    Column("invoices", Boolean, nullable=False),  # the four kinds of documents it receives
    Column("estimates", Boolean, nullable=False),
    Column("reminders", Boolean, nullable=False),
    Column("statements", Boolean, nullable=False),
    Column("cc_mode", Text, nullable=False),
    Column("portal_enabled", Boolean, nullable=False),
    Column("notes", Text),
    Column("name_order", Text, nullable=False),  # last name first, without case, to sort by
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
)
it = contacts.c
Index("contacts_by_book", it.tenant_id, it.book_id, it.created_at, it.id)

books = read_table(
    "contacts",
    "books",
    Column("client_id", Uuid, nullable=False),
    Column("primary_id", Uuid),
    Column("version", Integer, nullable=False),
)
book = books.c

# Fold


def project(rows: Rows, shelf: Rows, fact: Fact) -> None:
    event = fact.event
    if not isinstance(event, ContactEvent):
        return
    if isinstance(event, ContactAdded | ContactsAdopted) and fact.version == 1:
        shelf.add(fact.stream, client_id=event.client_id, version=1)
    shelf.set(fact.stream, version=fact.version)
    match event:
        case ContactAdded(contact_id=id, person=person, primary=primary):
            if primary:
                shelf.set(fact.stream, primary_id=id)
            since = {"created_at": fact.at, "updated_at": fact.at}
            rows.add(id, book_id=fact.stream, **since, **_written(person))
        case ContactRevised(contact_id=id, person=person):
            rows.set(id, updated_at=fact.at, **_written(person))
        case PrimaryContactChosen(contact_id=id):
            shelf.set(fact.stream, primary_id=id)
        case ContactRemoved(contact_id=id, promoted=promoted):
            rows.set(id, updated_at=fact.at, deleted=True)
            known = shelf.get(fact.stream)
            if known is not None and known["primary_id"] == id:
                shelf.set(fact.stream, primary_id=promoted)
        case ContactsAdopted(contacts=contacts, primary=primary):
            for each in contacts:
                rows.set(each.id, book_id=fact.stream)
            shelf.set(fact.stream, primary_id=primary)
        case ContactsReturned(contacts=contacts, primary=primary):
            for each in contacts:  # as they are by now, whoever changed them meanwhile
                changed = {"updated_at": each.revised_at, **_written(each.person)}
                rows.set(each.id, book_id=fact.stream, **changed)
            shelf.set(fact.stream, primary_id=primary)
            for id in event.removed:
                rows.set(id, book_id=fact.stream)
        case ContactsReleased(primary=primary):
            shelf.set(fact.stream, primary_id=primary)
        case ContactsErased():
            rows.where(book_id=fact.stream).set(**_FORGOTTEN)
        case _:
            assert_never(event)


def _written(person: Person) -> dict[str, Any]:
    written = {name: getattr(person, name) for name in person.__struct_fields__}
    kinds = written.pop("receives")
    names = (person.last_name, person.first_name, person.email)
    return {
        **written,
        **{name: getattr(kinds, name) for name in kinds.__struct_fields__},
        "name_order": " ".join(name for name in names if name).casefold(),
    }


_FORGOTTEN: dict[str, Any] = {  # as `Person.redacted` leaves them
    **dict.fromkeys(("last_name", "email", "phone", "phone_e164", "mobile", "mobile_e164")),
    **dict.fromkeys(("role", "department", "locale", "notes")),
    "first_name": ERASED,
    "name_order": ERASED,
}

projector = Projector("contacts", 3, (contacts, books), project)

# Views


class ContactItem(ContactView, kw_only=True):
    """A contact as lists show it."""

    deleted: bool


class _Row(Value):
    id: UUID
    is_primary: bool
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    phone_e164: str | None
    mobile: str | None
    mobile_e164: str | None
    role: str | None
    department: str | None
    locale: str | None
    invoices: bool
    estimates: bool
    reminders: bool
    statements: bool
    cc_mode: str
    portal_enabled: bool
    notes: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    deleted: bool


def _item(row: _Row) -> ContactItem:
    kinds = Receives.__struct_fields__
    shown = {name: getattr(row, name) for name in row.__struct_fields__ if name not in kinds}
    receives = Receives(*(getattr(row, name) for name in kinds))
    return ContactItem(**shown, receives=receives)


# Queries

BESIDE: dict[str, ColumnElement[Any]] = {
    "is_primary": func.coalesce(book.primary_id == it.id, False),
    "version": book.version,
}
COLUMNS = [BESIDE[name] if name in BESIDE else it[name] for name in _Row.__struct_fields__]
SORTS = {
    "created_at": it.created_at,
    "updated_at": it.updated_at,
    "name": it.name_order,
}


# Routes


@get("/customers/{client_id:uuid}/contacts", may="clients:read")
def browse(
    client_id: FromPath[UUID],
    reader: Reading,
    listing: Listing,
    q: FromQuery[str | None] = None,
    portal_enabled: FromQuery[bool | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    updated_since: FromQuery[datetime | None] = None,
    include_deleted: FromQuery[bool] = False,
) -> Page[ContactItem]:
    """List a client's contacts, newest first; removed ones only when asked for."""
    client = client_of(reader, client_id)
    conditions = [it.book_id == contact_book_of(reader.tenant, client.id)]
    if not include_deleted:
        conditions.append(~it.deleted)
    if q:
        texts = (it.first_name, it.last_name, it.email, it.phone, it.mobile, it.role, it.department)
        conditions.append(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    if portal_enabled is not None:
        conditions.append(it.portal_enabled.is_(portal_enabled))
    if created_from:
        conditions.append(it.created_at >= aware(created_from, "?created_from"))
    if created_to:
        conditions.append(it.created_at <= aware(created_to, "?created_to"))
    if updated_since:
        conditions.append(it.updated_at >= aware(updated_since, "?updated_since"))
    here = and_(book.id == it.book_id, book.tenant_id == it.tenant_id)
    rows = reader.mine(contacts, *COLUMNS).join(books, here).where(*conditions)
    found = page(reader, rows, _Row, listing, sorts=SORTS, key=it.id)
    return Page([_item(row) for row in found.items], found.next_cursor, found.total)


@get("/customers/{client_id:uuid}/contacts/{contact_id:uuid}", may="clients:read")
def show(client_id: FromPath[UUID], contact_id: FromPath[UUID], reader: Reading) -> ContactView:
    """Show one contact, now or as it was at `as_of`."""
    client = client_of(reader, client_id)
    known = reader.then(ContactBook, contact_book_of(reader.tenant, client.id))
    view = ContactView.of(known, contact_id)
    reader.shows(known.version, 0)
    return view


routes = [browse, show]
