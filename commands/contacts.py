"""Contacts: add, revise and remove them, and choose the primary one."""

from typing import Any
from uuid import UUID

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from projections.contact_view import ContactView
from zeroinvoice.domain.addresses import text_or_none
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.contact_book import (
    CcMode,
    ContactBook,
    Person,
    Receives,
    contact_book_of,
    opened,
)
from zeroinvoice.domain.telephones import dialled
from zeroinvoice.http.routes import delete, patch, post, put
from zeroinvoice.http.writing import Writer, Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.value import Value

PLAIN = Person()  # what a field is when null is sent for it


class ReceivesWritten(Value, kw_only=True, forbid_unknown_fields=True):
    """What shall change of the kinds of documents that are sent to a contact."""

    invoices: bool | UnsetType = UNSET
    estimates: bool | UnsetType = UNSET
    reminders: bool | UnsetType = UNSET
    statements: bool | UnsetType = UNSET

    def on(self, receives: Receives) -> Receives:
        names = self.__struct_fields__
        sent = {name: it for name in names if (it := getattr(self, name)) is not UNSET}
        return receives.but(**sent)


class ContactWritten(Value, kw_only=True, forbid_unknown_fields=True):
    """What a user writes of a contact. A field that is not sent stays; null clears it."""

    first_name: str | None | UnsetType = UNSET
    last_name: str | None | UnsetType = UNSET
    email: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET
    mobile: str | None | UnsetType = UNSET
    role: str | None | UnsetType = UNSET
    department: str | None | UnsetType = UNSET
    locale: str | None | UnsetType = UNSET
    receives: ReceivesWritten | None | UnsetType = UNSET
    cc_mode: CcMode | None | UnsetType = UNSET
    portal_enabled: bool | None | UnsetType = UNSET
    notes: str | None | UnsetType = UNSET
    is_primary: bool | UnsetType = UNSET

    def on(self, person: Person, client: Client) -> Person:
        """The person with what was sent; telephones are read as in the client's country."""
        names = (name for name in self.__struct_fields__ if name in person.__struct_fields__)
        sent: dict[str, Any] = {
            name: it for name in names if (it := getattr(self, name)) is not UNSET
        }
        for name, value in sent.items():
            if value is None:
                sent[name] = getattr(PLAIN, name)
            elif isinstance(value, ReceivesWritten):
                sent[name] = value.on(person.receives)
            elif isinstance(value, str):
                sent[name] = text_or_none(value)
        for name in ("phone", "mobile"):
            if name in sent and sent[name] != getattr(person, name):
                sent[f"{name}_e164"] = dialled(sent[name], client.profile.address.country)
        return person.but(**sent)


class ContactGone(Value):
    """A contact was removed; `promoted` says whether another became the primary one for it."""

    id: UUID
    promoted: bool
    primary_contact_id: UUID | None  # from now on; null when no contact is left


@post("/customers/{client_id:uuid}/contacts", may="clients:write")
async def add(
    client_id: FromPath[UUID], data: JSONBody[ContactWritten], writer: Writing
) -> ContactView:
    """Add a contact; the first of a client is its primary one."""

    def decision(desk: Desk) -> tuple[ContactBook, UUID]:
        book, client = opened(desk, client_id)
        contact_id, person = desk.new_id(), data.on(PLAIN, client)
        added = book.add(client_id, contact_id, person, primary=data.is_primary is True)
        return desk.record(book, added), contact_id

    return ContactView.of(*await writer.commit(decision, wants=_wants(writer, client_id)))


@put("/customers/{client_id:uuid}/contacts/{contact_id:uuid}", may="clients:write")
async def revise(
    client_id: FromPath[UUID],
    contact_id: FromPath[UUID],
    data: JSONBody[ContactWritten],
    writer: Writing,
) -> ContactView:
    """Change some of a contact."""

    def decision(desk: Desk) -> ContactBook:
        book, client = opened(desk, client_id)
        person = data.on(book.contact(contact_id).person, client)
        primary = None if data.is_primary is UNSET else data.is_primary
        return desk.record(book, book.revise(contact_id, person, primary=primary))

    book = await writer.commit(decision, wants=_wants(writer, client_id))
    return ContactView.of(book, contact_id)


@patch("/customers/{client_id:uuid}/contacts/{contact_id:uuid}/primary", may="clients:write")
async def choose(
    client_id: FromPath[UUID], contact_id: FromPath[UUID], writer: Writing
) -> ContactView:
    """Make a contact the primary one; the one before it no longer is."""

    def decision(desk: Desk) -> ContactBook:
        book, _ = opened(desk, client_id)
        return desk.record(book, book.choose(contact_id))

    book = await writer.commit(decision, wants=_wants(writer, client_id))
    return ContactView.of(book, contact_id)


@delete(
    "/customers/{client_id:uuid}/contacts/{contact_id:uuid}", may="clients:write", status_code=200
)
async def remove(
    client_id: FromPath[UUID], contact_id: FromPath[UUID], writer: Writing
) -> ContactGone:
    """Remove a contact; where it was the primary one, the oldest other takes its place."""

    def decision(desk: Desk) -> tuple[ContactBook, bool]:
        book, _ = opened(desk, client_id)
        left = desk.record(book, book.remove(contact_id))
        return left, left.primary not in (None, book.primary)

    book, promoted = await writer.commit(decision, wants=_wants(writer, client_id))
    return ContactGone(contact_id, promoted, book.primary)


def _wants(writer: Writer, client_id: UUID) -> list[tuple[Any, UUID]]:
    return [(ContactBook, contact_book_of(writer.tenant, client_id)), (Client, client_id)]


routes = [add, revise, choose, remove]
