"""Credits: one row each, to list; and what is left of a client's, currency by currency."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET, UnsetType
from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    Numeric,
    Text,
    Uuid,
    and_,
    case,
    literal,
    or_,
)

from projections.balances_derived import left_of
from projections.clients import client_of, owner_of
from projections.credit_view import CreditView
from projections.explaining import Explain, Explained, shown
from projections.invoices import aware, today_of
from projections.owners import belongs, count, follow, moved, owners
from zeroinvoice.domain.credit import (
    Credit,
    CreditApplied,
    CreditHolderErased,
    CreditIssued,
    CreditReassigned,
    CreditRefunded,
    CreditType,
    CreditUnapplied,
    CreditVoided,
)
from zeroinvoice.domain.credit_ledger import CreditLedger, Held, all_held, ledger_of
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.refusals import Missing
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

SOON = timedelta(days=30)

# Tables

credits = read_table(
    "credits",
    "credits",
    Column("client_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("number", Text),
    Column("currency", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("applied", Numeric, nullable=False),
    Column("refunded", Numeric, nullable=False),
    Column("remaining", Numeric, nullable=False),
    Column("reason", Text, nullable=False),
    Column("note", Text),
    Column("issued_on", Date, nullable=False),
    Column("expires_on", Date),
    Column("invoice_id", Uuid),
    Column("invoice_number", Text),
    Column("payment_id", Uuid),
    Column("voided", Boolean, nullable=False, default=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("version", Integer, nullable=False),
)
it = credits.c
Index("credits_by_client", it.tenant_id, it.client_id, it.created_at, it.id)

applications = read_table(
    "credits",
    "applications",
    Column("amount", Numeric, nullable=False),
)

clients = owners("credits")
moves = moved("credits")

# Fold


def project(rows: Rows, parts: Rows, holders: Rows, counts: Rows, fact: Fact) -> None:
    follow(holders, fact)
    count(rows, counts, fact)
    id = fact.stream
    match fact.event:
        case CreditIssued() as event:
            rows.add(id, created_at=fact.at, **_stamp(fact), **_written(event))
        case CreditApplied(application_id=application_id, amount=amount):
            parts.add(application_id, amount=amount)
            _spend(rows, fact, applied=amount)
        case CreditUnapplied(application_id=application_id):
            part = parts.get(application_id)
            assert part is not None
            _spend(rows, fact, applied=-part["amount"])
        case CreditRefunded(amount=amount):
            _spend(rows, fact, refunded=amount)
        case CreditVoided():
            row = rows.get(id)
            assert row is not None
            none = row["remaining"] - row["remaining"]
            rows.set(id, voided=True, remaining=none, **_stamp(fact))
        case CreditHolderErased():
            rows.erase(id, "note", **_stamp(fact))
        case CreditReassigned(client_id=client_id):
            rows.set(id, client_id=client_id, **_stamp(fact))
        case _:
            pass


def _stamp(fact: Fact) -> dict[str, Any]:
    return {"updated_at": fact.at, "version": fact.version}


def _written(event: CreditIssued) -> dict[str, Any]:
    same = (
        "client_id", "type", "number", "reason", "note", "issued_on", "expires_on", "invoice_id",
        "invoice_number", "payment_id",
    )  # fmt: skip
    none = Money.zero(event.amount.currency).amount
    return {
        **{name: getattr(event, name) for name in same},
        "currency": event.amount.currency,
        "amount": event.amount.amount,
        "applied": none,
        "refunded": none,
        "remaining": event.amount.amount,
    }


def _spend(
    rows: Rows, fact: Fact, *, applied: Decimal = Decimal(0), refunded: Decimal = Decimal(0)
) -> None:
    row = rows.get(fact.stream)
    assert row is not None
    rows.set(
        fact.stream,
        applied=row["applied"] + applied,
        refunded=row["refunded"] + refunded,
        remaining=row["remaining"] - applied - refunded,
        **_stamp(fact),
    )


projector = Projector("credits", 3, (credits, applications, clients, moves), project)

# Views


class CreditItem(Value):
    """A credit as lists show it. Amounts are in `currency`."""

    id: UUID
    type: str
    status: str
    number: str | None
    client_id: UUID
    currency: str
    amount: Decimal
    applied: Decimal
    refunded: Decimal
    remaining: Decimal
    reason: str
    note: str | None
    issued_on: date
    expires_on: date | None
    invoice_id: UUID | None
    invoice_number: str | None
    payment_id: UUID | None
    created_at: datetime
    updated_at: datetime
    version: int


class Balance(Value):
    """What is left of a client's credits in one currency."""

    available: Decimal
    pending_refund: Decimal  # on its way back to the client, and available no more
    expiring_30d: Decimal  # of what is available, within thirty days

    @classmethod
    def of(cls, held: list[Held], currency: str, today: date) -> "Balance":
        none = Money.zero(currency).amount
        usable = [it for it in held if it.left.currency == currency and it.usable(today)]
        soon = [it for it in usable if it.expires_on and it.expires_on <= today + SOON]
        return cls(
            sum((it.left.amount for it in usable), none),
            none,
            sum((it.left.amount for it in soon), none),
        )


class Balances(Value):
    by_currency: dict[str, Balance]
    as_of: datetime
    explained: Explained | UnsetType = UNSET  # by figure and currency


# Queries

SORTS = {
    "created_at": it.created_at,
    "updated_at": it.updated_at,
    "issued_on": it.issued_on,
    "amount": it.amount,
    "remaining": it.remaining,
}
Shown = Literal["issued", "partially_applied", "applied", "refunded", "expired", "void"]


def status_on(today: date) -> ColumnElement[str]:
    """`Credit.status` for many."""
    over = and_(it.remaining == 0, it.refunded > 0)
    return case(
        (it.voided, literal("void")),
        (over, literal("refunded")),
        (it.remaining == 0, literal("applied")),
        (it.expires_on < today, literal("expired")),
        (it.applied > 0, literal("partially_applied")),
        else_=literal("issued"),
    )


# Routes


@get("/customers/{client_id:uuid}/credits", may="credits:read")
def browse(
    client_id: FromPath[UUID],
    reader: Reading,
    listing: Listing,
    status: FromQuery[list[Shown] | None] = None,
    types: Annotated[list[CreditType] | None, QueryParameter(name="type")] = None,
    currency: FromQuery[str | None] = None,
    q: FromQuery[str | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    updated_since: FromQuery[datetime | None] = None,
    include_deleted: FromQuery[bool] = False,
) -> Page[CreditItem]:
    """List a client's credits, newest first; void ones only when asked for."""
    client = client_of(reader, client_id)
    shown = status_on(today_of(reader))
    conditions = [belongs(it.client_id, clients, reader.tenant, client.id)]
    if status:
        conditions.append(any_of(shown, sorted(status)))
    elif not include_deleted:
        conditions.append(~it.voided)
    if types:
        conditions.append(any_of(it.type, sorted(types)))
    if currency:
        conditions.append(it.currency == currency)
    if q:
        texts = (it.number, it.invoice_number, it.note)
        conditions.append(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    if created_from:
        conditions.append(it.created_at >= aware(created_from, "?created_from"))
    if created_to:
        conditions.append(it.created_at <= aware(created_to, "?created_to"))
    if updated_since:
        conditions.append(it.updated_at >= aware(updated_since, "?updated_since"))
    beside = {"status": shown.label("shown_status"), "client_id": literal(client.id)}
    columns = [
        beside[name] if name in beside else it[name] for name in CreditItem.__struct_fields__
    ]
    rows = reader.mine(credits, *columns).where(*conditions)
    return page(reader, rows, CreditItem, listing, sorts=SORTS, key=it.id)


@get("/customers/{client_id:uuid}/credits/balance/total", may="credits:read")
def balance(client_id: FromPath[UUID], reader: Reading, explain: Explain = False) -> Balances:
    """Show what is left of a client's credits, now or as it was at `as_of`."""
    client = client_of(reader, client_id)
    ledgers = (reader.then(CreditLedger, ledger_of(reader.tenant, it)) for it in client.homes)
    held = all_held(ledgers)
    codes = sorted({it.left.currency for it in held})
    day = today_of(reader)
    explained = shown(reader, left_of(reader, held, day, day + SOON)) if explain else UNSET
    by_currency = {it: Balance.of(held, it, day) for it in codes}
    return Balances(by_currency, reader.as_of or reader.now, explained)


@get("/customers/{client_id:uuid}/credits/{credit_id:uuid}", may="credits:read")
def show(client_id: FromPath[UUID], credit_id: FromPath[UUID], reader: Reading) -> CreditView:
    """Show one credit, now or as it was at `as_of`."""
    client = client_of(reader, client_id)
    credit = reader.state(Credit, credit_id)
    if owner_of(reader, credit.entry.client_id) != client.id:
        raise Missing("There is no such credit.")
    if credit.entry.expires_on is not None:
        reader.follows_more()  # the calendar decides whether it can still be used
    return CreditView.of(credit, today_of(reader), client.id)


routes = [browse, balance, show]
