"""Clients: one row each, to list, to search and to find those that are there twice."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy import Boolean, ColumnElement, DateTime, Integer, Text, Uuid, func, literal, or_
from sqlalchemy.dialects.postgresql import ARRAY

from projections.client_view import ClientView, Duplicate, PaymentSettingsView
from zeroinvoice.domain import KIND_OF
from zeroinvoice.domain.client import (
    Client,
    ClientAbsorbed,
    ClientAdded,
    ClientArchived,
    ClientDeleted,
    ClientErased,
    ClientMergeUndone,
    ClientRestored,
    ClientReturned,
    ClientRevised,
    ClientsMerged,
    Profile,
)
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import ERASED, Fact
from zeroinvoice.kernel.refusals import BadInput, Unavailable
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.search import Field, ranked
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

# Table

clients = read_table(
    "clients",
    "clients",
    Column("number", Text),
    Column("name", Text, nullable=False),
    Column("legal_name", Text),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False, default="active"),
    Column("email", Text),
    Column("phone", Text),
    Column("phone_e164", Text),
    Column("address", Text),
    Column("city", Text),
    Column("country", Text),
    Column("currency", Text, nullable=False),
    Column("language", Text),
    Column("tax_id", Text),
    Column("tax_exempt", Text, nullable=False),
    Column("payment_terms", Text),
    Column("external_id", Text),
    Column("tags", ARRAY(Text), nullable=False, default=[]),
    Column("name_order", Text, nullable=False),  # the name without case, to sort by
    Column("phone_digits", Text, nullable=False),  # as typed and in E.164, digits only
    Column("tax_id_code", Text),  # letters and digits only
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("version", Integer, nullable=False),
    Column("merged_into", Uuid),
    Column("deleted", Boolean, nullable=False, default=False),
)
it = clients.c
Index("clients_by_created", it.tenant_id, it.created_at, it.id)
Index("clients_by_name", it.tenant_id, it.name_order, it.id)
Index("clients_by_number", it.tenant_id, func.lower(it.number))
Index("clients_by_email", it.tenant_id, func.lower(it.email))
Index("clients_by_tax_id", it.tenant_id, func.lower(it.tax_id_code))
for _column in (it.name, it.number, it.email, it.tax_id, it.phone_digits):
    Index(
        f"clients_like_{_column.name}",
        _column,
        postgresql_using="gin",
        postgresql_ops={_column.name: "gin_trgm_ops"},
    )

# Fold


def project(rows: Rows, fact: Fact) -> None:
    if KIND_OF[type(fact.event)] != "client":
        return
    id, changed = fact.stream, {"updated_at": fact.at, "version": fact.version}
    match fact.event:
        case ClientAdded(profile=profile):
            rows.add(id, created_at=fact.at, **changed, **_written(profile))
        case (
            ClientRevised(profile=profile)
            | ClientsMerged(profile=profile)
            | ClientMergeUndone(profile=profile)
        ):
            rows.set(id, **changed, **_written(profile))
        case ClientAbsorbed(into=into):
            rows.set(id, merged_into=into, **changed)
        case ClientReturned():
            rows.set(id, merged_into=None, **changed)
        case ClientArchived():
            rows.set(id, status="archived", **changed)
        case ClientRestored():
            rows.set(id, status="active", **changed)
        case ClientDeleted():
            rows.set(id, deleted=True, **changed)
        case ClientErased():
            row = rows.get(id)
            assert row is not None
            address = row["country"]  # all that is left of it
            rows.set(id, status="archived", address=address, **changed, **_FORGOTTEN)
        case _:
            rows.set(id, **changed)


def _written(profile: Profile) -> dict[str, Any]:
    same = (
        "number", "name", "legal_name", "type", "email", "phone", "phone_e164", "currency",
        "language", "tax_id", "tax_exempt", "payment_terms", "external_id",
    )  # fmt: skip
    phones = [digits(it) for it in (profile.phone, profile.phone_e164) if it]
    return {
        **{name: getattr(profile, name) for name in same},
        "address": profile.address.block,
        "city": profile.address.city,
        "country": profile.address.country,
        "tags": list(profile.tags),
        "name_order": profile.name.casefold(),
        "phone_digits": " ".join(dict.fromkeys(phones)),
        "tax_id_code": code(profile.tax_id or "") or None,
    }


_FORGOTTEN: dict[str, Any] = {  # as `Profile.redacted` leaves it
    **dict.fromkeys(("legal_name", "email", "phone", "phone_e164", "tax_id", "external_id")),
    "name": ERASED,
    "name_order": ERASED,
    "city": None,
    "tags": [],
    "phone_digits": "",
    "tax_id_code": None,
}


def digits(phone: str) -> str:
    """A telephone number's digits, without the zeros that stand for a country or an area."""
    return re.sub(r"[^0-9]", "", phone).lstrip("0")


def code(text: str) -> str:
    """The letters and digits of a code that people write with dots, dashes and blanks."""
    return "".join(c for c in text if c.isalnum()).upper()


projector = Projector("clients", 3, (clients,), project)

# Views


class ClientItem(Value):
    """A client as lists show it."""

    id: UUID
    number: str | None
    name: str
    legal_name: str | None
    type: str
    status: str  # active, archived
    email: str | None
    phone: str | None
    phone_e164: str | None
    address: str | None
    city: str | None
    country: str | None
    currency: str
    language: str | None
    tax_id: str | None
    tax_exempt: str
    payment_terms: str | None
    external_id: str | None
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    version: int
    deleted: bool


class Match(Value):
    field: str
    snippet: str


class ClientMatch(Value):
    client: ClientItem
    score: float  # 1 for an exact number, e-mail or tax id, else the likeness of the best field
    match: Match


class ClientMatches(Value):
    items: list[ClientMatch]


# Queries

ITEM = [it[name] for name in ClientItem.__struct_fields__]
SORTS = {
    "created_at": it.created_at,
    "updated_at": it.updated_at,
    "name": it.name_order,
}
ALIKE = 0.9  # the likeness of names from which two clients may be one
MOST_DUPLICATES = 10
_PHONE = re.compile(r"[0-9 ()+./-]+")


def matching(
    reader: RequestReader, q: str, limit: int, *, include_archived: bool = False
) -> list[ClientMatch]:
    """The clients that answer a question, best first."""
    fields = [
        Field("number", it.number, q, "exact"),
        Field("email", it.email, q, "exact"),
        Field("tax_id", it.tax_id_code, code(q), "exact", it.tax_id),
        Field("name", it.name, q),
        Field("number", it.number, q),
        Field("email", it.email, q),
        Field("tax_id", it.tax_id, q),
    ]
    if _PHONE.fullmatch(q) and len(digits(q)) >= 3:
        fields.append(Field("phone", it.phone_digits, digits(q), "within", it.phone))
    rows = reader.mine(clients, *ITEM).where(~it.deleted, it.merged_into.is_(None))
    if not include_archived:
        rows = rows.where(it.status == "active")
    return [
        ClientMatch(ClientItem(*found.row), found.score, Match(found.field, found.snippet))
        for found in ranked(reader, rows, fields, key=it.id, limit=limit)
    ]


def duplicates(
    reader: RequestReader, name: str, email: str | None, tax_id: str | None
) -> list[tuple[Duplicate, datetime]] | None:
    """Clients that may be the same as one of this name, and since when they are there.

    A hint from what is in the table by now, never waited for; None when it cannot be had.
    """
    same_email = func.lower(it.email) == (email or "").strip().lower()
    same_tax_id = func.lower(it.tax_id_code) == code(tax_id or "").lower()
    likeness = func.similarity(it.name, name)
    similar = (literal(name).op("%", is_comparison=True)(it.name)) & (likeness >= ALIKE)
    wanted = (
        reader.mine(
            clients,
            it.id,
            it.created_at,
            func.coalesce(same_email, False),
            func.coalesce(same_tax_id, False),
            likeness,
        )
        .where(~it.deleted, it.merged_into.is_(None), or_(same_email, same_tax_id, similar))
        .order_by(likeness.desc(), it.id)
        .limit(MOST_DUPLICATES)
    )
    try:
        rows = reader.rows(wanted, patience=0)
    except Unavailable:
        return None
    found = []
    for id, since, by_email, by_tax_id, alike in rows:
        told = {
            "same_email": by_email,
            "same_tax_id": by_tax_id,
            "similar_name": alike >= ALIKE,
        }
        reasons = [reason for reason, holds in told.items() if holds]
        score = 1.0 if by_email or by_tax_id else round(float(alike), 4)
        found.append((Duplicate(id, score, reasons), since))
    return sorted(found, key=lambda it: it[0].score, reverse=True)


def client_of(reader: RequestReader, client_id: UUID) -> Client:
    """A client that is there, or the one it was merged into.

    Raises `Missing`; the answer gets no ETag of the client's.
    """
    client = reader.state(Client, client_id)
    client.assert_known()
    reader.shows(None, 0)
    return _followed(reader, client)


def owner_of(reader: RequestReader, client_id: UUID) -> UUID:
    """Whose a document is that was written for this client, now or as it was at `as_of`."""
    client = reader.then(Client, client_id)
    if client.merges:
        reader.follows_more()  # a merge gives the document no new version
    return _followed(reader, client).id


def _followed(reader: RequestReader, client: Client) -> Client:
    while client.merged_into is not None:
        client = reader.then(Client, client.merged_into)
    return client


# Routes


@get("/clients", may="clients:read")
def browse(
    reader: Reading,
    listing: Listing,
    status: FromQuery[list[Literal["active", "archived"]] | None] = None,
    q: FromQuery[str | None] = None,
    currency: FromQuery[str | None] = None,
    tag: FromQuery[list[str] | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    updated_since: FromQuery[datetime | None] = None,
    include_archived: FromQuery[bool] = False,
    include_deleted: FromQuery[bool] = False,
) -> Page[ClientItem]:
    """List clients, newest first; archived ones only when asked for."""
    conditions: list[ColumnElement[bool]] = [it.merged_into.is_(None)]
    if not include_deleted:
        conditions.append(~it.deleted)
    if status:
        conditions.append(any_of(it.status, status))
    elif not include_archived:
        conditions.append(it.status == "active")
    if q:
        texts = (it.name, it.legal_name, it.email, it.number, it.tax_id)
        conditions.append(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    if currency:
        conditions.append(it.currency == currency)
    if tag:
        conditions.append(it.tags.contains(tag))
    if created_from:
        conditions.append(it.created_at >= created_from)
    if created_to:
        conditions.append(it.created_at <= created_to)
    if updated_since:
        conditions.append(it.updated_at >= updated_since)
    rows = reader.mine(clients, *ITEM).where(*conditions)
    return page(reader, rows, ClientItem, listing, sorts=SORTS, key=it.id)


@get("/clients/search", may="clients:read", as_of="never")
def search(
    reader: Reading,
    q: Annotated[str, QueryParameter(min_length=1, max_length=200)],
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
    include_archived: FromQuery[bool] = False,
) -> ClientMatches:
    """Search clients by name, number, e-mail, tax id or telephone, best first."""
    asked = q.strip()
    if not asked:
        raise BadInput("Ask for something.", pointer="?q")
    return ClientMatches(matching(reader, asked, limit, include_archived=include_archived))


@get("/clients/{client_id:uuid}", may="clients:read")
def show(client_id: FromPath[UUID], reader: Reading) -> ClientView:
    """Show one client, now or as it was at `as_of`; one that was merged says into whom."""
    client = reader.state(Client, client_id)
    client.assert_known()
    return ClientView.of(client)


@get("/clients/{client_id:uuid}/payment-settings", may="clients:read")
def payment_settings(client_id: FromPath[UUID], reader: Reading) -> PaymentSettingsView:
    """Show how a client pays, now or at `as_of`, and which of it the workspace decides."""
    client = client_of(reader, client_id)
    reader.shows(client.version, 0)
    reader.follows_more()  # what is inherited changes with the workspace
    return PaymentSettingsView.of(client, reader.workspace.settings)


routes = [browse, search, show, payment_settings]
