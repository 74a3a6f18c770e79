"""Client figures: what a client was invoiced, what it paid, when, and what it owes."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.params import FromPath, FromQuery, QueryParameter
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
    func,
    literal_column,
    or_,
    true,
)

from projections.clients import client_of
from projections.owners import belongs, follow, owners
from zeroinvoice.domain.credit_ledger import CreditEntered
from zeroinvoice.domain.credited import InvoiceCredited, InvoiceCreditReversed
from zeroinvoice.domain.invoice import (
    InvoiceAmended,
    InvoiceCancelled,
    InvoiceDrafted,
    InvoicePaymentApplied,
    InvoicePaymentReversed,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceSent,
    InvoiceWrittenOff,
)
from zeroinvoice.domain.paid import InvoicePaymentRefunded
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.clock import zone
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import ZERO, rounded, text
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, read_table

# Tables

bills = read_table(
    "client_figures",
    "bills",
    Column("client_id", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("payable", Numeric, nullable=False),
    Column("paid", Numeric, nullable=False),  # in money or by credits
    Column("issue_date", Date, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("deposit_amount", Numeric, nullable=False),
    Column("deposit_due_date", Date),
    Column("sent_at", DateTime(timezone=True)),  # null for a draft
    Column("cancelled_at", DateTime(timezone=True)),
    Column("written_off_at", DateTime(timezone=True)),
    Column("paid_on", Date),  # the day on which it had been settled in full
)
receipts = read_table(
    "client_figures",
    "receipts",
    Column("invoice_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("received_on", Date, nullable=False),
    Column("days", Integer, nullable=False),  # from the issue date
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("in_money", Boolean, nullable=False, default=True),  # else a gift, or a correction
    key=Column("part", Uuid, primary_key=True),  # of an invoice, settled by one payment or credit
)
moves = read_table(
    "client_figures",
    "credit_moves",
    Column("client_id", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount", Numeric, nullable=False),  # by which a credit became more, or less
    Column("expires_on", Date),
    Column("at", DateTime(timezone=True), nullable=False),
    key=Column("move", Uuid, primary_key=True),
)
lefts = read_table("client_figures", "credits_left", Column("amount", Numeric, nullable=False))
clients = owners("client_figures")
bill, receipt, move = bills.c, receipts.c, moves.c
Index("bills_by_client", bill.tenant_id, bill.client_id, bill.issue_date)
Index("receipts_by_client", receipt.tenant_id, receipt.client_id, receipt.received_on)
Index("credit_moves_by_client", move.tenant_id, move.client_id)

IN_MONEY = ("overpayment", "prepayment")  # credits that the client paid for

# Fold


def project(rows: Rows, parts: Rows, moved: Rows, left: Rows, whose: Rows, fact: Fact) -> None:
    follow(whose, fact)
    id = fact.stream
    match fact.event:
        case InvoiceDrafted() as event:
            rows.add(id, paid=ZERO, **_written(event))
        case InvoiceRevised() as event:
            rows.set(id, **_written(event))
        case InvoiceSent(issue_date=issued, due_date=due):
            rows.set(id, issue_date=issued, due_date=due, sent_at=fact.at)
        case InvoiceAmended(due_date=due):
            rows.set(id, due_date=due)
        case InvoiceCancelled():
            rows.set(id, cancelled_at=fact.at)
        case InvoiceWrittenOff():
            rows.set(id, written_off_at=fact.at)
        case InvoiceReinstated():
            rows.set(id, written_off_at=None)
        case InvoicePaymentApplied(payment_id=payment_id) as event:
            part = named(id, str(payment_id))
            _receive(rows, parts, fact, part, event.amount, event.received_on)
        case InvoicePaymentReversed(payment_id=payment_id, amount=amount):
            _take_back(rows, parts, fact, named(id, str(payment_id)), amount)
        case InvoicePaymentRefunded(payment_id=payment_id, amount=amount):
            _take_back(rows, parts, fact, named(id, str(payment_id)), amount)
        case InvoiceCredited(application_id=application_id) as event:
            _receive(rows, parts, fact, application_id, event.amount, event.applied_on)
            parts.set(application_id, in_money=event.type in IN_MONEY)
        case InvoiceCreditReversed(application_id=application_id, amount=amount):
            _take_back(rows, parts, fact, application_id, amount)
        case CreditEntered() as event:
            _move(moved, left, fact, event)
        case _:
            pass


def _written(event: InvoiceDrafted | InvoiceRevised) -> dict[str, Any]:
    content, payable, deposit = event.content, event.totals.payable, event.content.deposit
    share = ZERO
    if deposit is not None:
        part = payable * deposit.value / 100
        share = deposit.value if deposit.type == "amount" else rounded(part, content.currency)
    return {
        "client_id": content.client_id,
        "currency": content.currency,
        "payable": payable,
        "issue_date": content.issue_date,
        "due_date": content.due_date,
        "deposit_amount": share,
        "deposit_due_date": deposit.due_date if deposit else None,
    }


def _move(moved: Rows, left: Rows, fact: Fact, event: CreditEntered) -> None:
    before = left.get(event.credit_id)
    moved.add(
        named(fact.stream, str(fact.version)),
        client_id=event.client_id,
        currency=event.left.currency,
        amount=event.left.amount - (before["amount"] if before else ZERO),
        expires_on=event.expires_on,
        at=fact.at,
    )
    left.add(event.credit_id, amount=event.left.amount)


def _receive(rows: Rows, parts: Rows, fact: Fact, part: UUID, amount: Decimal, on: date) -> None:
    row = rows.get(fact.stream)
    assert row is not None
    known = parts.get(part)
    parts.add(
        part,
        invoice_id=fact.stream,
        client_id=row["client_id"],
        currency=row["currency"],
        amount=amount + (known["amount"] if known else ZERO),
        received_on=on,
        days=(on - row["issue_date"]).days,
        recorded_at=fact.at,
    )
    paid = row["paid"] + amount
    rows.set(fact.stream, paid=paid, paid_on=on if paid >= row["payable"] else None)


def _take_back(rows: Rows, parts: Rows, fact: Fact, part: UUID, amount: Decimal) -> None:
    row, known = rows.get(fact.stream), parts.get(part)
    assert row is not None
    assert known is not None
    left = known["amount"] - amount
    if left:
        parts.set(part, amount=left)
    else:
        parts.remove(part)
    rows.set(fact.stream, paid=row["paid"] - amount, paid_on=None)


projector = Projector("client_figures", 3, (bills, receipts, moves, lefts, clients), project)

# Views


class MonthFigures(Value):
    month: str  # 2026-03
    invoiced: dict[str, str]
    collected: dict[str, str]


class ClientFigures(Value, kw_only=True):
    """What a client means to the business. Amounts are by currency and are never added up.

    Invoiced, collected, the counts and the months are those of the period; what is owed, and
    what is left of credits, is that of its end. Cancelled invoices count nowhere, written-off
    ones as invoiced but not as owed. What a credit settles is owed no more; it is collected
    only where the client had paid for the credit, and less what was paid back.
    """

    client_id: UUID
    start: date | None = msgspec.field(name="from")
    end: date = msgspec.field(name="to")
    invoiced: dict[str, str]
    collected: dict[str, str]
    outstanding: dict[str, str]
    overdue: dict[str, str]
    credits_available: dict[str, str]
    lifetime_value: dict[str, str]  # everything the client ever paid
    dso: dict[str, Decimal | None]  # outstanding by invoiced, in days of the period
    invoice_count: int
    paid_on_time_pct: Decimal | None  # of the invoices that were paid in full
    avg_days_to_pay: Decimal | None  # from the issue date, weighted by the amounts paid
    monthly: list[MonthFigures]  # those in which something happened
    first_invoice_at: datetime | None
    last_invoice_at: datetime | None
    last_payment_at: datetime | None


class Period(Value):
    """The days asked about, both included, and the instant at which the last one ends."""

    start: date | None
    end: date
    until: datetime

    @classmethod
    def asked(cls, reader: RequestReader, start: date | None, end: date | None) -> "Period":
        """Raises `BadInput` for days out of order, or of another age."""
        zone_name = reader.workspace.settings.time_zone
        last = end or reader.today(zone_name)
        for name, day in (("from", start), ("to", end)):
            if day is not None and not 1990 <= day.year <= 2100:
                raise BadInput("Give a day of the years 1990 to 2100.", pointer=f"?{name}")
        if start is not None and start > last:
            raise BadInput(f"The period would end on {last}, before it begins.", pointer="?from")
        midnight = datetime.combine(last + timedelta(days=1), time(), zone(zone_name))
        return cls(start, last, midnight.astimezone(UTC))

    def holds(self, column: Column[Any]) -> ColumnElement[bool]:
        before = column <= self.end
        return before if self.start is None else and_(column >= self.start, before)


# Queries


class _Whose(Value):
    """Whose figures: a client's, in all currencies or one."""

    reader: RequestReader
    client_id: UUID
    currency: str | None

    def theirs(self, column: Column[Any]) -> ColumnElement[bool]:
        return belongs(column, clients, self.reader.tenant, self.client_id)

    def bills(self, *columns: Any) -> Any:
        rows = self.reader.mine(bills, *columns).where(
            self.theirs(bill.client_id), bill.sent_at.is_not(None), bill.cancelled_at.is_(None)
        )
        return rows if self.currency is None else rows.where(bill.currency == self.currency)

    def receipts(self, *columns: Any) -> Any:
        rows = self.reader.mine(receipts, *columns).where(self.theirs(receipt.client_id))
        return rows if self.currency is None else rows.where(receipt.currency == self.currency)

    def moves(self, *columns: Any) -> Any:
        rows = self.reader.mine(moves, *columns).where(self.theirs(move.client_id))
        return rows if self.currency is None else rows.where(move.currency == self.currency)


def _invoiced(of: _Whose, period: Period) -> list[tuple[Any, ...]]:
    """By currency: invoiced, how many, how many paid, paid on time; and the first and last."""
    within, paid = period.holds(bill.issue_date), bill.paid_on.is_not(None)
    return of.reader.rows(
        of.bills(
            bill.currency,
            func.coalesce(func.sum(bill.payable).filter(within), 0),
            func.count().filter(within),
            func.count().filter(within, paid),
            func.count().filter(within, paid, bill.paid_on <= bill.due_date),
            func.min(bill.issue_date),
            func.min(bill.sent_at),
            func.max(bill.sent_at),
        ).group_by(bill.currency)
    )


def _collected(of: _Whose, period: Period) -> list[tuple[Any, ...]]:
    """By currency: collected, amounts times days, how many payments; ever; and the latest."""
    within = period.holds(receipt.received_on)
    return of.reader.rows(
        of.receipts(
            receipt.currency,
            func.coalesce(func.sum(receipt.amount).filter(within), 0),
            func.coalesce(func.sum(receipt.amount * receipt.days).filter(within), 0),
            func.count().filter(within),
            func.sum(receipt.amount),
            func.max(receipt.recorded_at),
        )
        .where(receipt.in_money)
        .group_by(receipt.currency)
    )


def _credits(of: _Whose, period: Period) -> list[tuple[Any, ...]]:
    """By currency: what was left of credits at the end of the period."""
    usable = or_(move.expires_on.is_(None), move.expires_on >= period.end)
    return of.reader.rows(
        of.moves(move.currency, func.coalesce(func.sum(move.amount).filter(usable), 0))
        .where(move.at < period.until)
        .group_by(move.currency)
    )


def _owed(of: _Whose, period: Period) -> list[tuple[Any, ...]]:
    """By currency: outstanding and overdue at the end of the period."""
    by_then = of.receipts(receipt.invoice_id, func.sum(receipt.amount).label("amount"))
    by_then = by_then.where(receipt.received_on <= period.end).group_by(receipt.invoice_id)
    settled = by_then.subquery("settled")
    paid = func.coalesce(settled.c.amount, 0)
    balance = bill.payable - paid
    late = or_(
        bill.due_date < period.end,
        and_(bill.deposit_due_date < period.end, paid < bill.deposit_amount),
    )
    stood = or_(bill.written_off_at.is_(None), bill.written_off_at >= period.until)
    columns = (
        bill.currency,
        func.coalesce(func.sum(balance), 0),
        func.coalesce(func.sum(balance).filter(late), 0),
    )
    rows = of.bills(*columns).outerjoin(settled, settled.c.invoice_id == bill.id)
    return of.reader.rows(
        rows.where(stood, bill.issue_date <= period.end, balance > 0).group_by(bill.currency)
    )


def _monthly(of: _Whose, period: Period) -> list[MonthFigures]:
    months: dict[str, tuple[dict[str, str], dict[str, str]]] = {}
    asked = (
        (0, of.bills, bill.issue_date, bill.payable, bill.currency, true()),
        (1, of.receipts, receipt.received_on, receipt.amount, receipt.currency, receipt.in_money),
    )
    for place, rows_of, day, amount, currency, counts in asked:
        month = func.to_char(day, literal_column("'YYYY-MM'"))  # else it differs from itself
        rows = rows_of(month, currency, func.sum(amount)).where(period.holds(day), counts)
        for name, code, total in of.reader.rows(rows.group_by(month, currency)):
            months.setdefault(name, ({}, {}))[place][code] = text(total, code)
    return [MonthFigures(name, *months[name]) for name in sorted(months)]


def figures(of: _Whose, period: Period) -> ClientFigures:
    """A client's figures over a period."""
    invoiced, collected = _invoiced(of, period), _collected(of, period)
    owed = {row[0]: row[1:] for row in _owed(of, period)}
    left = dict(_credits(of, period))
    codes = sorted({row[0] for row in (*invoiced, *collected)} | left.keys())
    sales = {row[0]: row[1] for row in invoiced}
    income = {row[0]: row[1:] for row in collected}
    starts = [period.start] if period.start else [row[5] for row in invoiced]
    days = (period.end - min(starts, default=period.end)).days + 1
    paid, on_time = (sum(row[i] for row in invoiced) for i in (3, 4))

    def sums(amounts: dict[str, Decimal]) -> dict[str, str]:
        return {code: text(amounts.get(code, ZERO), code) for code in codes}

    return ClientFigures(
        client_id=of.client_id,
        start=period.start,
        end=period.end,
        invoiced=sums(sales),
        collected=sums({code: it[0] for code, it in income.items()}),
        outstanding=sums({code: it[0] for code, it in owed.items()}),
        overdue=sums({code: it[1] for code, it in owed.items()}),
        credits_available=sums(left),
        lifetime_value=sums({code: it[3] for code, it in income.items()}),
        dso={
            code: _ratio(owed.get(code, (ZERO,))[0] * days, sales.get(code, ZERO)) for code in codes
        },
        invoice_count=sum(row[2] for row in invoiced),
        paid_on_time_pct=_ratio(Decimal(on_time * 100), Decimal(paid)),
        avg_days_to_pay=_days_to_pay([row[1:4] for row in collected]),
        monthly=_monthly(of, period),
        first_invoice_at=min((row[6] for row in invoiced), default=None),
        last_invoice_at=max((row[7] for row in invoiced), default=None),
        last_payment_at=max((row[5] for row in collected), default=None),
    )


def _days_to_pay(currencies: list[tuple[Decimal, Decimal, int]]) -> Decimal | None:
    """Days weighted by amount within a currency; the currencies by how many payments each had."""
    many = sum(it[2] for it in currencies)
    days = sum((it[1] / it[0] * it[2] for it in currencies if it[0]), ZERO)
    return _ratio(days, Decimal(many))


def _ratio(above: Decimal, below: Decimal) -> Decimal | None:
    return (above / below).quantize(Decimal("0.01")) if below else None


# Routes


@get("/clients/{client_id:uuid}/analytics")
def analytics(
    client_id: FromPath[UUID],
    reader: Reading,
    start: Annotated[date | None, QueryParameter(name="from")] = None,
    end: Annotated[date | None, QueryParameter(name="to")] = None,
    currency: FromQuery[str | None] = None,
) -> ClientFigures:
    """Show what a client was invoiced, paid and owes; all of its time unless asked."""
    if reader.as_of is not None:
        raise BadInput("These figures cannot be had as of an instant.", pointer="?as_of")
    client = client_of(reader, client_id)
    period = Period.asked(reader, start, end)
    return figures(_Whose(reader, client.id, currency), period)


routes = [analytics]
