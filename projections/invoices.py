"""Invoices: every document with what it says and what it owes, one row each."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache, reduce
from typing import Any, Literal
from uuid import UUID

from litestar.params import FromPath, FromQuery
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    Numeric,
    Select,
    Text,
    Uuid,
    and_,
    case,
    func,
    literal,
    or_,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from projections.balances_derived import due_on
from projections.clients import client_of, owner_of
from projections.explaining import Explain, shown
from projections.invoice_view import InvoiceView
from projections.owners import belongs, count, follow, moved, owners
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credited import (
    InvoiceCredited,
    InvoiceCreditNoteIssued,
    InvoiceCreditNoteRefunded,
    InvoiceCreditNoteVoided,
    InvoiceCreditReversed,
)
from zeroinvoice.domain.invoice import (
    BuyerErased,
    Deposit,
    Invoice,
    InvoiceAmended,
    InvoiceCancelled,
    InvoiceDiscarded,
    InvoiceDrafted,
    InvoicePaymentApplied,
    InvoicePaymentReversed,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceSent,
    InvoiceSentAgain,
    InvoiceWrittenOff,
    Status,
)
from zeroinvoice.domain.paid import (
    InvoiceOverpaymentRecorded,
    InvoiceOverpaymentReversed,
    InvoicePaymentRefunded,
)
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.money import ZERO, rounded
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

# Table

invoices = read_table(
    "invoices",
    "invoices",
    Column("client_id", Uuid, nullable=False),
    Column("number", Text),
    Column("status", Text, nullable=False, default="draft"),
    Column("currency", Text, nullable=False),
    Column("issue_date", Date, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("subtotal", Numeric, nullable=False),
    Column("discount_total", Numeric, nullable=False),
    Column("tax_total", Numeric, nullable=False),
    Column("total", Numeric, nullable=False),
    Column("amount_paid", Numeric, nullable=False),
    Column("amount_credited", Numeric, nullable=False),
    Column("amount_written_off", Numeric, nullable=False),
    Column("balance_due", Numeric, nullable=False),
    Column("deposit_amount", Numeric),
    Column("deposit_due_date", Date),
    Column("reference", Text),
    Column("po_number", Text),
    Column("notes", Text),
    Column("tags", ARRAY(Text), nullable=False, default=[]),
    Column("project_id", Uuid),
    Column("lines_text", Text, nullable=False, default=""),
    Column("line_count", Integer, nullable=False, default=0),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("paid_at", DateTime(timezone=True)),
    Column("version", Integer, nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
)
it = invoices.c
Index("invoices_by_created", it.tenant_id, it.created_at, it.id)
Index("invoices_by_client", it.tenant_id, it.client_id, it.created_at)
Index("invoices_by_due", it.tenant_id, it.status, it.due_date)
Index("invoices_by_number", it.tenant_id, func.lower(it.number))
for _name in ("reference", "po_number"):  # search looks for all three at once
    Index(
        f"invoices_by_{_name}",
        it.tenant_id,
        func.lower(it[_name]),
        postgresql_where=it[_name].is_not(None),
    )

_texts = (it.number, it.reference, it.po_number, it.lines_text, it.notes)
# Text, not parameters: a query must hold the very expression of the index.
# CASE, for behind a fence no index answers what is said with COALESCE.
_line, _none = text("E'\\n'"), text("''")


def _told(column: Column[Any]) -> ColumnElement[str]:
    return case((column.is_(None), _none), else_=column)


all_text: ColumnElement[str] = reduce(
    lambda above, column: above.concat(_line).concat(_told(column)),
    _texts[1:],
    _told(_texts[0]),
)
"""All that search reads of an invoice, one under the other, so that one index serves it."""
Index(
    "invoices_like",
    all_text.label("all_text"),
    postgresql_using="gin",
    postgresql_ops={"all_text": "gin_trgm_ops"},
)


names = owners("invoices")
moves = moved("invoices")

# Fold


def project(rows: Rows, clients: Rows, counts: Rows, fact: Fact) -> None:
    follow(clients, fact)
    count(rows, counts, fact, deleted=False)
    id, at, version = fact.stream, fact.at, fact.version
    match fact.event:
        case InvoiceDrafted() as event:
            rows.add(id, created_at=at, updated_at=at, version=version, **_written(event))
        case InvoiceRevised() as event:
            rows.set(id, updated_at=at, version=version, **_written(event))
        case InvoiceSent(number=number, issue_date=issued, due_date=due):
            rows.set(
                id,
                status="sent",
                number=number,
                issue_date=issued,
                due_date=due,
                sent_at=at,
                updated_at=at,
                version=version,
            )
            _settle(rows, fact)
        case InvoiceSentAgain():
            rows.set(id, updated_at=at, version=version)
        case InvoiceAmended(handling=handling, due_date=due):
            rows.set(id, tags=list(handling.tags), due_date=due, updated_at=at, version=version)
        case BuyerErased(subjects=subjects):
            row = rows.get(id)
            assert row is not None
            if row["client_id"] in subjects:
                rows.erase(id, "reference", "po_number", "notes", tags=[])
            rows.set(id, updated_at=at, version=version)
        case InvoiceDiscarded():
            rows.set(id, deleted=True, updated_at=at, version=version)
        case InvoiceCancelled():
            rows.set(id, status="cancelled", updated_at=at, version=version)
        case InvoiceWrittenOff(amount=amount):
            rows.set(
                id,
                status="written_off",
                amount_written_off=amount,
                balance_due=ZERO * amount,
                updated_at=at,
                version=version,
            )
        case InvoiceReinstated():
            row = rows.get(id)
            assert row is not None
            amount = row["amount_written_off"]
            rows.set(
                id,
                status="sent",
                amount_written_off=ZERO * amount,
                balance_due=amount,
                updated_at=at,
                version=version,
            )
        case InvoicePaymentApplied(amount=amount):
            _settle(rows, fact, paid=amount)
        case InvoicePaymentReversed(amount=amount) | InvoicePaymentRefunded(amount=amount):
            _settle(rows, fact, paid=-amount)
        case InvoiceCredited(amount=amount):
            _settle(rows, fact, credited=amount)
        case InvoiceCreditReversed(amount=amount):
            _settle(rows, fact, credited=-amount)
        case (
            InvoiceOverpaymentRecorded()
            | InvoiceOverpaymentReversed()
            | InvoiceCreditNoteIssued()
            | InvoiceCreditNoteRefunded()
            | InvoiceCreditNoteVoided()
        ):
            rows.set(id, updated_at=at, version=version)
        case _:
            pass


def _written(event: InvoiceDrafted | InvoiceRevised) -> dict[str, Any]:
    content, totals = event.content, event.totals
    deposit = content.deposit
    none = totals.total - totals.total  # zero, with the currency's digits
    return {
        "client_id": content.client_id,
        "number": content.number,
        "currency": content.currency,
        "issue_date": content.issue_date,
        "due_date": content.due_date,
        "subtotal": totals.subtotal,
        "discount_total": totals.discount_total,
        "tax_total": totals.tax_total,
        "total": totals.total,
        "amount_paid": none,
        "amount_credited": none,
        "amount_written_off": none,
        "balance_due": totals.payable,
        "deposit_amount": _deposit(deposit, totals.payable, content.currency) if deposit else None,
        "deposit_due_date": deposit.due_date if deposit else None,
        "reference": content.reference,
        "po_number": content.po_number,
        "notes": content.notes,
        "tags": list(event.handling.tags),
        "project_id": content.project_id,
        "lines_text": "\n".join([line.description for line in content.lines]),
        "line_count": len(content.lines),
    }


def _deposit(deposit: Deposit, payable: Decimal, currency: str) -> Decimal:
    if deposit.type == "amount":
        return deposit.value
    return rounded(payable * deposit.value / 100, currency)


def _settle(rows: Rows, fact: Fact, *, paid: Decimal = ZERO, credited: Decimal = ZERO) -> None:
    row = rows.get(fact.stream)
    assert row is not None
    left = row["balance_due"] - paid - credited
    settled = not left and row["status"] in ("sent", "paid")
    rows.set(
        fact.stream,
        amount_paid=row["amount_paid"] + paid,
        amount_credited=row["amount_credited"] + credited,
        balance_due=left,
        status="paid" if settled else "sent",
        paid_at=(row["paid_at"] or fact.at) if settled else None,
        updated_at=fact.at,
        version=fact.version,
    )


projector = Projector("invoices", 7, (invoices, names, moves), project)

# Views


class InvoiceItem(Value):
    """An invoice as lists show it. Amounts are in `currency`."""

    id: UUID
    number: str | None
    status: str
    client_id: UUID  # after merges
    client_name: str | None
    billed_to: UUID  # as it was drafted
    currency: str
    issue_date: date
    due_date: date
    subtotal: Decimal
    tax_total: Decimal
    total: Decimal
    amount_paid: Decimal
    amount_credited: Decimal
    balance_due: Decimal
    days_overdue: int
    reference: str | None
    po_number: str | None
    tags: list[str]
    line_count: int
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None
    paid_at: datetime | None
    version: int
    deleted: bool


class Overdue(Value):
    """Invoices past their due day, the longest overdue first, with what they owe together."""

    items: list[InvoiceItem]
    totals: dict[str, Decimal]  # of all parts: balance due by currency, never added up
    next_cursor: str | None
    total: int | None


# Queries

SORTS = {
    "created_at": it.created_at,
    "updated_at": it.updated_at,
    "issue_date": it.issue_date,
    "due_date": it.due_date,
    "total": it.total,
    "balance_due": it.balance_due,
}


def late_since(today: date) -> ColumnElement[Any]:
    """The due day that has passed unpaid, or null: `Invoice.overdue_since` for many."""
    settled = it.amount_paid + it.amount_credited
    deposit = and_(settled < it.deposit_amount, it.deposit_due_date < today)
    late = case((deposit, it.deposit_due_date), (it.due_date < today, it.due_date), else_=None)
    return case((and_(it.status == "sent", it.balance_due > 0), late), else_=None)


def shown_status(today: date) -> ColumnElement[str]:
    return case((late_since(today).is_not(None), literal("overdue")), else_=it.status)


def having_status(wanted: Iterable[str], today: date) -> ColumnElement[bool]:
    """Whether an invoice is shown under one of these, `overdue` among them."""
    stored = {"sent" if status == "overdue" else status for status in wanted}
    return and_(any_of(it.status, sorted(stored)), any_of(shown_status(today), sorted(wanted)))


def aware(at: datetime, pointer: str) -> datetime:
    """The same instant. Raises `BadInput` for one without its offset."""
    if at.tzinfo is None:
        raise BadInput("An instant must name its offset, such as Z.", pointer=pointer)
    return at


def items(reader: Reading, today: date, *conditions: ColumnElement[bool]) -> Select[Any]:
    """The tenant's invoices as `InvoiceItem`s; deleted drafts are among them."""
    client = and_(names.c.id == it.client_id, names.c.tenant_id == it.tenant_id)
    return reader.mine(invoices, *_shown(today)).outerjoin(names, client).where(*conditions)


@lru_cache(maxsize=4)  # days; it is called for every list
def _shown(today: date) -> tuple[ColumnElement[Any], ...]:
    days = func.coalesce(literal(today) - late_since(today), 0)
    computed = {
        "status": shown_status(today).label("shown_status"),
        "client_id": names.c.owner_id.label("owner_id"),
        "client_name": names.c.name.label("client_name"),
        "billed_to": it.client_id,
        "days_overdue": days.label("days_overdue"),
    }
    return tuple(
        [computed[name] if name in computed else it[name] for name in InvoiceItem.__struct_fields__]
    )


def today_of(reader: Reading) -> date:
    """The calendar day in the workspace's time zone."""
    return reader.today(reader.workspace.settings.time_zone)


# Routes

Shown = Literal["draft", "sent", "overdue", "paid", "cancelled", "written_off"]


@get("/invoices", may="invoices:read")
def browse(
    reader: Reading,
    listing: Listing,
    status: FromQuery[list[Shown] | None] = None,
    client_id: FromQuery[UUID | None] = None,
    q: FromQuery[str | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    updated_since: FromQuery[datetime | None] = None,
    include_deleted: FromQuery[bool] = False,
) -> Page[InvoiceItem]:
    """List invoices, newest first.

    `overdue` is a status of its own here: `sent` lists what is not due yet. `q` is looked
    for in numbers, references, line texts and clients' names.
    """
    today = today_of(reader)
    conditions: list[ColumnElement[bool]] = [] if include_deleted else [~it.deleted]
    if status:
        conditions.append(having_status(status, today))
    if client_id:
        conditions.append(belongs(it.client_id, names, reader.tenant, client_id))
    if q:
        fields = (it.number, it.reference, it.po_number, it.lines_text, names.c.name)
        conditions.append(or_(*(field.icontains(q, autoescape=True) for field in fields)))
    if created_from:
        conditions.append(it.created_at >= aware(created_from, "?created_from"))
    if created_to:
        conditions.append(it.created_at <= aware(created_to, "?created_to"))
    if updated_since:
        conditions.append(it.updated_at >= aware(updated_since, "?updated_since"))
    rows = items(reader, today, *conditions)
    return page(reader, rows, InvoiceItem, listing, sorts=SORTS, key=it.id)


@get("/invoices/overdue", may="invoices:read")
def overdue(reader: Reading, listing: Listing, client_id: FromQuery[UUID | None] = None) -> Overdue:
    """List what is past its due day, the longest overdue first, with totals by currency."""
    today = today_of(reader)
    late = late_since(today)
    conditions: list[ColumnElement[bool]] = [late.is_not(None)]
    if client_id:
        conditions.append(belongs(it.client_id, names, reader.tenant, client_id))
    sums = reader.mine(invoices, it.currency, func.sum(it.balance_due)).where(*conditions)
    totals = dict(reader.rows(sums.group_by(it.currency).order_by(it.currency)))
    sorts = {
        "days_overdue": literal(today) - late,
        "balance_due": it.balance_due,
        "due_date": it.due_date,
    }
    rows = items(reader, today, *conditions)
    found = page(reader, rows, InvoiceItem, listing, sorts=sorts, key=it.id)
    return Overdue(found.items, totals, found.next_cursor, found.total)


@get("/invoices/{invoice_id:uuid}", may="invoices:read")
def show(invoice_id: FromPath[UUID], reader: Reading, explain: Explain = False) -> InvoiceView:
    """Show one invoice, now or as it was at `as_of`."""
    reader.foresee(Invoice, invoice_id, lambda it: (Client, it.content.client_id))
    invoice = reader.state(Invoice, invoice_id)
    invoice.assert_there()
    if invoice.status is Status.SENT:
        reader.follows_more()  # the calendar decides whether it is overdue
    view = InvoiceView.of(invoice, today_of(reader), owner_of(reader, invoice.content.client_id))
    return view.but(explained=shown(reader, due_on(reader, invoice))) if explain else view


@get("/invoices/client/{client_id:uuid}", may="invoices:read")
def of_client(client_id: FromPath[UUID], reader: Reading, listing: Listing) -> Page[InvoiceItem]:
    """List a client's invoices, newest first."""
    client = client_of(reader, client_id)
    theirs = belongs(it.client_id, names, reader.tenant, client.id)
    rows = items(reader, today_of(reader), theirs, ~it.deleted)
    return page(reader, rows, InvoiceItem, listing, sorts=SORTS, key=it.id)


routes = [browse, overdue, show, of_client]
