"""Payments: what was received, one row each, and what of it settles which invoice."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    Integer,
    Numeric,
    Select,
    Text,
    Uuid,
    and_,
    or_,
)
from sqlalchemy.dialects.postgresql import ARRAY

from projections.balances_derived import due_on
from projections.clients import client_of, owner_of
from projections.explaining import Explain, shown
from projections.invoices import aware
from projections.owners import belongs, count, follow, moved, owners
from projections.payment_view import PaidTotal, PaymentView
from zeroinvoice.domain.client import PaymentMethod
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.payment import (
    PayerErased,
    Payment,
    PaymentCorrected,
    PaymentReceipted,
    PaymentRecorded,
    PaymentRefunded,
    PaymentVoided,
)
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.money import exact
from zeroinvoice.kernel.refusals import Missing
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.search import Field, ranked
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

# Table

payments = read_table(
    "payments",
    "payments",
    Column("client_id", Uuid, nullable=False),
    Column("status", Text, nullable=False, default="succeeded"),
    Column("currency", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("fee_amount", Numeric, nullable=False),
    Column("worth_currency", Text, nullable=False),
    Column("applied", Numeric, nullable=False),
    Column("unapplied", Numeric, nullable=False),
    Column("amount_overpaid", Numeric, nullable=False),
    Column("refunded", Numeric, nullable=False),
    Column("method", Text, nullable=False),
    Column("received_on", Date, nullable=False),
    Column("reference", Text),
    Column("external_id", Text),
    Column("source", Text, nullable=False),
    Column("note", Text),
    Column("receipt_number", Text),
    Column("invoice_ids", ARRAY(Uuid), nullable=False, default=[]),
    Column("invoice_numbers", ARRAY(Text), nullable=False, default=[]),
    Column("numbers_text", Text, nullable=False, default=""),  # the same, to search in
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("version", Integer, nullable=False),
)
it = payments.c
Index("payments_by_created", it.tenant_id, it.created_at, it.id)
Index("payments_by_received", it.tenant_id, it.received_on)
Index("payments_by_client", it.tenant_id, it.client_id, it.created_at)

names = owners("payments")
moves = moved("payments")

# Fold


def project(rows: Rows, clients: Rows, counts: Rows, fact: Fact) -> None:
    follow(clients, fact)
    count(rows, counts, fact)
    id, event = fact.stream, fact.event
    stamp = {"updated_at": fact.at, "version": fact.version}
    match event:
        case PaymentRecorded():
            before = rows.get(id)
            created_at = before["created_at"] if before else fact.at
            rows.add(id, created_at=created_at, **stamp, **_entered(event))
        case PaymentCorrected():
            beside = {name: getattr(event, name) for name in event.__struct_fields__}
            rows.set(id, **stamp, **beside)
        case PaymentVoided():
            row = rows.get(id)
            assert row is not None
            zeros = dict.fromkeys(("applied", "unapplied", "amount_overpaid"), row["applied"] * 0)
            rows.set(id, status="voided", **zeros, **stamp)
        case PaymentRefunded():
            _refund(rows, fact, event)
        case PayerErased():
            rows.erase(id, "reference", "note", **stamp)
        case PaymentReceipted(receipt=receipt):
            rows.set(id, receipt_number=receipt.number, **stamp)
        case _:
            pass


def _entered(event: PaymentRecorded) -> dict[str, Any]:
    applied = sum((it.amount for it in event.allocations), event.worth.amount * 0)
    rest = event.worth.amount - applied
    overpaid = rest - rest
    if event.overpaid is not None:
        rest, overpaid = rest - event.overpaid.amount, event.overpaid.amount
    elif event.allocations:
        overpaid = rest  # before there were credits, it stayed unapplied
    return {
        "client_id": event.client_id,
        "currency": event.amount.currency,
        "amount": event.amount.amount,
        "fee_amount": event.amount.amount * 0 + event.fee_amount,
        "worth_currency": event.worth.currency,
        "applied": applied,
        "unapplied": rest,
        "amount_overpaid": overpaid,
        "refunded": event.amount.amount * 0,
        "method": event.method,
        "received_on": event.received_on,
        "reference": event.reference,
        "external_id": event.external_id,
        "source": event.source,
        "note": event.note,
        "invoice_ids": [it.invoice_id for it in event.allocations],
        "invoice_numbers": [it.number for it in event.allocations],
        "numbers_text": " ".join([it.number for it in event.allocations]),
    }


def _refund(rows: Rows, fact: Fact, event: PaymentRefunded) -> None:
    row = rows.get(fact.stream)
    assert row is not None
    refunded = row["refunded"] + event.amount.amount
    given = sum((it.amount for it in event.allocations), event.worth * 0)
    rows.set(
        fact.stream,
        status="refunded" if refunded == row["amount"] else "partially_refunded",
        applied=row["applied"] - given,
        unapplied=row["unapplied"] - event.unapplied,
        refunded=refunded,
        updated_at=fact.at,
        version=fact.version,
    )


projector = Projector("payments", 4, (payments, names, moves), project)

# Views


class PaymentItem(Value):
    """A payment as lists show it."""

    id: UUID
    status: str
    client_id: UUID  # after merges
    client_name: str | None
    amount: Decimal  # as received
    currency: str  # of the amount and the fee
    fee_amount: Decimal
    applied: Decimal
    unapplied: Decimal
    amount_overpaid: Decimal  # what its invoices had no use for
    refunded: Decimal  # in the payment's currency
    worth_currency: str  # of what is applied, unapplied and overpaid
    method: str
    received_on: date
    reference: str | None
    external_id: str | None
    source: str
    note: str | None
    receipt_number: str | None
    invoice_ids: list[UUID]
    invoice_numbers: list[str]
    created_at: datetime
    updated_at: datetime
    version: int


class Match(Value):
    field: str
    snippet: str


class PaymentMatch(Value):
    payment: PaymentItem
    score: float | None  # 1 for an exact id or number, else the likeness of the best field
    match: Match | None


class PaymentMatches(Value):
    """What was found: best first for a text, else newest first and a page at a time."""

    items: list[PaymentMatch]
    next_cursor: str | None = None
    total: int | None = None


# Queries

SORTS = {
    "created_at": it.created_at,
    "updated_at": it.updated_at,
    "received_on": it.received_on,
    "amount": it.amount,
}
_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$"
Amount = Annotated[str | None, QueryParameter(pattern=_NUMBER, description="a decimal number")]
Asked = Annotated[str | None, QueryParameter(max_length=200)]
Shown = Literal["succeeded", "partially_refunded", "refunded", "voided"]


class Wanted(Value, kw_only=True):
    """Which payments a list is asked for. Voided ones are shown only to those who ask."""

    status: list[Shown] | None = None
    include_deleted: bool = False
    client_id: UUID | None = None
    invoice_id: UUID | None = None
    method: list[PaymentMethod] | None = None
    currency: str | None = None
    amount_min: str | None = None
    amount_max: str | None = None
    received_from: date | None = None
    received_to: date | None = None
    unapplied_only: bool = False

    def conditions(self, tenant: UUID) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.status:
            found.append(any_of(it.status, sorted(self.status)))
        elif not self.include_deleted:
            found.append(it.status != "voided")
        if self.client_id:
            found.append(belongs(it.client_id, names, tenant, self.client_id))
        if self.invoice_id:
            found.append(it.invoice_ids.contains([self.invoice_id]))
        if self.method:
            found.append(any_of(it.method, sorted(self.method)))
        if self.currency:
            found.append(it.currency == self.currency)
        if self.amount_min:
            found.append(it.amount >= exact(self.amount_min))
        if self.amount_max:
            found.append(it.amount <= exact(self.amount_max))
        if self.received_from:
            found.append(it.received_on >= self.received_from)
        if self.received_to:
            found.append(it.received_on <= self.received_to)
        if self.unapplied_only:
            found.append(it.unapplied > 0)
        return found


def items(reader: Reading, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The tenant's payments as `PaymentItem`s."""
    beside = {"client_id": names.c.owner_id, "client_name": names.c.name}
    columns = [
        beside[name] if name in beside else it[name] for name in PaymentItem.__struct_fields__
    ]
    client = and_(names.c.id == it.client_id, names.c.tenant_id == it.tenant_id)
    return reader.mine(payments, *columns).outerjoin(names, client).where(*conditions)


# Routes


@get("/payments", may="payments:read")
def browse(
    reader: Reading,
    listing: Listing,
    q: Asked = None,
    status: FromQuery[list[Shown] | None] = None,
    client_id: FromQuery[UUID | None] = None,
    invoice_id: FromQuery[UUID | None] = None,
    method: FromQuery[list[PaymentMethod] | None] = None,
    currency: FromQuery[str | None] = None,
    amount_min: Amount = None,
    amount_max: Amount = None,
    received_from: FromQuery[date | None] = None,
    received_to: FromQuery[date | None] = None,
    unapplied_only: FromQuery[bool] = False,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    updated_since: FromQuery[datetime | None] = None,
    include_deleted: FromQuery[bool] = False,
) -> Page[PaymentItem]:
    """List payments, newest first; voided ones only when asked for."""
    conditions = Wanted(
        status=status,
        include_deleted=include_deleted,
        client_id=client_id,
        invoice_id=invoice_id,
        method=method,
        currency=currency,
        amount_min=amount_min,
        amount_max=amount_max,
        received_from=received_from,
        received_to=received_to,
        unapplied_only=unapplied_only,
    ).conditions(reader.tenant)
    if q:
        texts = (it.reference, it.external_id, it.note, it.numbers_text, names.c.name)
        conditions.append(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    if created_from:
        conditions.append(it.created_at >= aware(created_from, "?created_from"))
    if created_to:
        conditions.append(it.created_at <= aware(created_to, "?created_to"))
    if updated_since:
        conditions.append(it.updated_at >= aware(updated_since, "?updated_since"))
    rows = items(reader, *conditions)
    return page(reader, rows, PaymentItem, listing, sorts=SORTS, key=it.id)


@get("/payments/search", may="payments:read")
def search(
    reader: Reading,
    listing: Listing,
    q: Asked = None,
    status: FromQuery[list[Shown] | None] = None,
    client_id: FromQuery[UUID | None] = None,
    method: FromQuery[list[PaymentMethod] | None] = None,
    currency: FromQuery[str | None] = None,
    amount_min: Amount = None,
    amount_max: Amount = None,
    on: Annotated[date | None, QueryParameter(name="date")] = None,
    received_from: FromQuery[date | None] = None,
    received_to: FromQuery[date | None] = None,
    unapplied_only: FromQuery[bool] = False,
    include_deleted: FromQuery[bool] = False,
) -> PaymentMatches:
    """Search payments by reference, client, invoice number or external id."""
    rows = items(
        reader,
        *Wanted(
            status=status,
            include_deleted=include_deleted,
            client_id=client_id,
            method=method,
            currency=currency,
            amount_min=amount_min,
            amount_max=amount_max,
            received_from=on or received_from,
            received_to=on or received_to,
            unapplied_only=unapplied_only,
        ).conditions(reader.tenant),
    )
    asked = (q or "").strip()
    if not asked:
        found = page(reader, rows, PaymentItem, listing, sorts=SORTS, key=it.id)
        matches = [PaymentMatch(item, None, None) for item in found.items]
        return PaymentMatches(matches, found.next_cursor, found.total)
    fields = [
        Field("external_id", it.external_id, asked, "exact"),
        Field("invoice_number", it.numbers_text, asked, "exact"),
        Field("reference", it.reference, asked, "exact"),
        Field("invoice_number", it.numbers_text, asked, "within"),
        Field("external_id", it.external_id, asked, "within"),
        Field("reference", it.reference, asked),
        Field("client_name", names.c.name, asked),
    ]
    best = ranked(reader, rows, fields, key=it.id, limit=listing.limit)
    return PaymentMatches(
        [PaymentMatch(PaymentItem(*b.row), b.score, Match(b.field, b.snippet)) for b in best]
    )


@get("/payments/{payment_id:uuid}", may="payments:read")
def show(payment_id: FromPath[UUID], reader: Reading) -> PaymentView:
    """Show one payment, now or as it was at `as_of`."""
    payment = reader.state(Payment, payment_id)
    return PaymentView.of(payment, owner_of(reader, payment.entry.client_id))


@get("/payments/invoice/{invoice_id:uuid}", may="payments:read")
def of_invoice(
    invoice_id: FromPath[UUID],
    reader: Reading,
    listing: Listing,
    include_deleted: FromQuery[bool] = False,
) -> Page[PaymentItem]:
    """List the payments that settle an invoice, newest first."""
    if not reader.find(Invoice, invoice_id).version:
        raise Missing("There is no such invoice.")
    wanted = Wanted(invoice_id=invoice_id, include_deleted=include_deleted)
    rows = items(reader, *wanted.conditions(reader.tenant))
    return page(reader, rows, PaymentItem, listing, sorts=SORTS, key=it.id)


@get("/payments/client/{client_id:uuid}", may="payments:read")
def of_client(
    client_id: FromPath[UUID],
    reader: Reading,
    listing: Listing,
    include_deleted: FromQuery[bool] = False,
) -> Page[PaymentItem]:
    """List a client's payments, newest first."""
    client = client_of(reader, client_id)
    wanted = Wanted(client_id=client.id, include_deleted=include_deleted)
    rows = items(reader, *wanted.conditions(reader.tenant))
    return page(reader, rows, PaymentItem, listing, sorts=SORTS, key=it.id)


@get("/payments/invoice/{invoice_id:uuid}/total", may="payments:read")
def total(invoice_id: FromPath[UUID], reader: Reading, explain: Explain = False) -> PaidTotal:
    """Show what is paid and what is due on an invoice, now or at `as_of`."""
    invoice = reader.state(Invoice, invoice_id)
    invoice.assert_there()
    view = PaidTotal.of(invoice)
    return view.but(explained=shown(reader, due_on(reader, invoice))) if explain else view


routes = [browse, search, show, of_invoice, of_client, total]
