"""Client figures: what a client was invoiced, what it paid, when, and what it owes."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET, UnsetType

from projections.audit import position_of
from projections.client_figures_derived import of_all, of_currency
from projections.client_ledger import receivables_of
from projections.clients import client_of
from projections.explaining import Explain, Explained, shown
from zeroinvoice.domain.days_outstanding import month_start, ratio, simple
from zeroinvoice.domain.derivation import Derivation
from zeroinvoice.domain.receivable import Bill, Dated, Receivables
from zeroinvoice.http.reading import BusinessDay, Reading, RequestReader, check_day
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.money import ZERO, text
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.kernel.value import Value

# Views


class MonthFigures(Value):
    month: str  # 2026-03
    invoiced: dict[str, str]
    collected: dict[str, str]


class ClientFigures(Value, kw_only=True):
    """What a client means to the business. Amounts are by currency and are never added up.

    Invoiced, collected, the counts and the months are those of the period; what is owed, and
    what is left of credits, is that of its end. A cancelled invoice counts until the day it was
    cancelled, a written-off one as invoiced but not as owed.

    Collected is money that settles invoices, on the day it was received, less what was paid
    back, on the day of that. A credit is no money: one that is applied counts only where the
    client had paid for it (prepayment, overpayment), on the day it is applied; a credit note
    that is paid out lowers what was collected. What a payment leaves unapplied is not counted
    until it settles something.
    """

    client_id: UUID
    start: date | None = msgspec.field(name="from")
    end: date = msgspec.field(name="to")
    day: date | None = msgspec.field(name="date")  # the business day after which nothing counts
    known_at: datetime | None  # the instant up to which facts were taken; null for all
    position: int  # of the last of these facts
    invoiced: dict[str, str]
    credit_notes: dict[str, str]  # that lower what was sold, by the day of issue
    collected: dict[str, str]
    outstanding: dict[str, str]
    overdue: dict[str, str]  # invoices of which an instalment is late, with all they owe
    credits_available: dict[str, str]
    lifetime_value: dict[str, str]  # everything ever collected
    dso: dict[str, Decimal | None]  # outstanding by sales, in days of the period; null without
    invoice_count: int
    paid_on_time_pct: Decimal | None  # of the invoices that were paid in full
    avg_days_to_pay: Decimal | None  # from the issue date, weighted by the amounts paid
    monthly: list[MonthFigures]  # those in which something happened
    first_invoice_at: datetime | None
    last_invoice_at: datetime | None
    last_payment_at: datetime | None
    explained: Explained | UnsetType = (
        UNSET  # by figure and currency, such as outstanding.EUR; on request
    )


class Period(Value):
    """The days asked about, both included; nothing counts that is of a later day."""

    start: date
    end: date
    day: date | None = None  # the business day that is asked about, if one is

    @classmethod
    def asked(
        cls, reader: RequestReader, start: date | None, end: date | None, on: date | None
    ) -> "Period":
        """Raises `BadInput` for days out of order, of another age, or after the day asked about."""
        day, named = reader.day(on), on or reader.as_of_day
        last = end or day
        for name, given in (("from", start), ("to", end)):
            if given is not None:
                check_day(given, f"?{name}")
        if start is not None and start > last:
            raise BadInput(f"The period would end on {last}, before it begins.", pointer="?from")
        if named is not None and last > day:
            raise BadInput(f"The period would end after {day}, the day asked about.", pointer="?to")
        return cls(start or date.min, last, named)

    def holds(self, day: date) -> bool:
        return self.start <= day <= self.end


# Queries


def figures(
    reader: RequestReader, client_id: UUID, found: dict[str, Receivables], period: Period
) -> ClientFigures:
    """A client's figures over a period, from what stands in each currency."""
    sold = {code: it.sold(period.end) for code, it in found.items()}
    codes = [code for code in found if sold[code] or _alive(found[code])]
    issued = [it for code in codes for it in sold[code] if period.holds(it.issue_date)]
    paid = [(day, it.due_date) for it in issued if (day := it.paid_on) is not None]
    on_time = sum(day <= due for day, due in paid)
    sent = [it.sent_at for code in codes for it in sold[code] if it.sent_at]
    return ClientFigures(
        client_id=client_id,
        start=None if period.start == date.min else period.start,
        end=period.end,
        day=period.day,
        known_at=reader.as_of,
        position=position_of(reader),
        invoiced=_sums(codes, lambda code: _payable(sold[code], period)),
        credit_notes=_sums(codes, lambda code: _noted(found[code], period)),
        collected=_sums(codes, lambda code: found[code].collected(period.start, period.end)),
        outstanding=_sums(codes, lambda code: found[code].open(period.end)),
        overdue=_sums(codes, lambda code: _late(found[code], period.end)),
        credits_available=_sums(codes, lambda code: found[code].credit(period.end)),
        lifetime_value=_sums(codes, lambda code: found[code].collected(date.min, date.max)),
        dso={code: _dso(found[code], period) for code in codes},
        invoice_count=len(issued),
        paid_on_time_pct=ratio(Decimal(on_time * 100), Decimal(len(paid))),
        avg_days_to_pay=_days_to_pay(found, period),
        monthly=_monthly(found, sold, period),
        first_invoice_at=min(sent, default=None),
        last_invoice_at=max(sent, default=None),
        last_payment_at=max((at for it in found.values() for at in _paid_at(it)), default=None),
        explained=UNSET,
    )


def derived(found: dict[str, Receivables], period: Period) -> dict[str, Derivation]:
    """How the figures come about."""
    first, last = period.start, period.end
    of_each: dict[str, Derivation] = {}
    issued: list[Bill] = []
    for it in found.values():
        if it.sold(last) or _alive(it):
            of_each |= of_currency(it, first, last, _dso(it, period), _days(it, period))
            issued += [bill for bill in it.sold(last) if period.holds(bill.issue_date)]
    return {**of_each, **of_all(found, issued, first, last, _days_to_pay(found, period))}


def _sums(codes: list[str], of: Callable[[str], Decimal]) -> dict[str, str]:
    return {code: text(of(code), code) for code in codes}


def _alive(it: Receivables) -> bool:
    """Whether there is more than drafts and cancelled invoices."""
    return bool(it.goods or it.payouts or any(bill.settlements for bill in it.bills))


def _payable(bills: list[Bill], period: Period) -> Decimal:
    return sum((it.payable for it in bills if period.holds(it.issue_date)), ZERO)


def _noted(it: Receivables, period: Period) -> Decimal:
    return sum((note.amount for note in it.notes if period.holds(note.day)), ZERO)


def _late(it: Receivables, day: date) -> Decimal:
    return sum((bill.open(day) for bill in it.bills if bill.overdue(day)), ZERO)


def _days(it: Receivables, period: Period) -> int:
    """Of the period, or since the first invoice where it has no beginning."""
    first = min((bill.issue_date for bill in it.sold(period.end)), default=period.end)
    start = first if period.start == date.min else period.start
    return (period.end - start).days + 1


def _dso(it: Receivables, period: Period) -> Decimal | None:
    sales = it.sales(period.start, period.end, period.end)
    return simple(it.open(period.end), sales, _days(it, period))


def _days_to_pay(found: dict[str, Receivables], period: Period) -> Decimal | None:
    """Weighted by amount within a currency; the currencies by how many payments each had."""
    parts = [it.days_to_pay(period.start, period.end) for it in found.values()]
    return ratio(
        sum((days * many for days, many in parts), ZERO), Decimal(sum(many for _, many in parts))
    )


def _monthly(
    found: dict[str, Receivables], sold: dict[str, list[Bill]], period: Period
) -> list[MonthFigures]:
    months: dict[date, MonthFigures] = {}

    def of(start: date) -> MonthFigures:
        return months.setdefault(start, MonthFigures(f"{start:%Y-%m}", {}, {}))

    for code, it in found.items():
        billed = (Dated(bill.payable, bill.issue_date) for bill in sold[code])
        for start, amount in _by_month(billed, period).items():
            of(start).invoiced[code] = text(amount, code)
        for start, amount in _by_month(it.money(), period).items():
            of(start).collected[code] = text(amount, code)
    return [months[start] for start in sorted(months)]


def _by_month(amounts: Iterable[Dated], period: Period) -> dict[date, Decimal]:
    sums: dict[date, Decimal] = {}
    for it in amounts:
        if period.holds(it.day):
            start = month_start(it.day)
            sums[start] = sums.get(start, ZERO) + it.amount
    return sums


def _paid_at(it: Receivables) -> list[datetime]:
    return [
        part.at
        for bill in it.bills
        for part in bill.settlements
        if part.in_money and part.amount > 0
    ]


# Routes


@get("/clients/{client_id:uuid}/analytics", may="clients:read", as_of="day")
def analytics(
    client_id: FromPath[UUID],
    reader: Reading,
    start: Annotated[date | None, QueryParameter(name="from")] = None,
    end: Annotated[date | None, QueryParameter(name="to")] = None,
    currency: FromQuery[str | None] = None,
    on: BusinessDay = None,
    explain: Explain = False,
) -> ClientFigures:
    """Show what a client was invoiced, paid and owes; all of its time unless asked.

    There are two times. With a business day as `date`, the period ends on it and nothing counts
    that is of a later day. With an instant as `as_of`, only facts recorded by then count;
    without, all that is known now. A day as `as_of` is the same as `date`.
    """
    client = client_of(reader, client_id)
    period = Period.asked(reader, start, end, on)
    found = receivables_of(reader, client.homes, currency)
    if period.day is not None:
        found = {code: it.until(period.day) for code, it in found.items()}
    it = figures(reader, client.id, found, period)
    return it.but(explained=shown(reader, derived(found, period))) if explain else it


routes = [analytics]
