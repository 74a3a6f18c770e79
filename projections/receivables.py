"""Receivables: what a client owes on a day, how old it is, and how long it takes to come in."""

from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Annotated, Literal
from uuid import UUID

from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import UNSET, UnsetType

from projections.audit import position_of
from projections.client_ledger import receivables_of
from projections.clients import client_of
from projections.explaining import Explain, Explained, shown
from projections.receivables_derived import derived
from zeroinvoice.domain.aging import Basis, Instalment, Scale, aged
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.days_outstanding import PERIOD, countback, simple
from zeroinvoice.domain.receivable import Receivables, last_months
from zeroinvoice.http.reading import BusinessDay, Reading, RequestReader
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.money import ZERO, Money
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.kernel.value import Value

MOST_LISTED = 500  # instalments that are shown one by one
MONTHS = 12  # of the trend
MOST_BUCKETS, LONGEST = 12, 3_650  # days

# Views


class BucketView(Value):
    bucket: str  # current, 1-30, 31-60, 61-90, 90+
    amount: Decimal


class OpenView(Value):
    """An instalment of an invoice that is open."""

    id: UUID
    number: str
    part: str  # deposit, balance
    issue_date: date
    due_date: date
    days: int  # past its day, by the basis; nothing or less while it is not
    balance: Decimal
    bucket: str


class PromiseView(Value):
    invoice_id: UUID
    number: str
    promised_on: date
    balance: Decimal


class LastPayment(Value):
    payment_id: UUID
    received_on: date
    amount: Decimal  # in the invoices' currency


class NextDue(Value):
    due_date: date
    amount: Decimal  # of all that is due on that day


class DsoView(Value, kw_only=True):
    """Days sales outstanding. Where nothing was sold there are none: null, never zero."""

    days: int  # of the period of the simple figures
    sales: Decimal  # in it, less credit notes
    simple: Decimal | None  # outstanding by sales, times the days
    countback: Decimal | None  # back month by month, until the sales are what is outstanding
    best_possible: Decimal | None  # the simple one with only what is not due yet
    average_days_delinquent: Decimal | None  # simple less best possible


class MonthView(Value):
    """A month of the trend; what was owed at its end, or on the day asked about."""

    month: str  # 2026-03
    outstanding: Decimal
    overdue: Decimal
    sales: Decimal
    collected: Decimal


class ApartView(Value):
    """What is no part of the outstanding."""

    drafts: Decimal
    cancelled: Decimal
    written_off: Decimal


class CurrencyReceivables(Value, kw_only=True):
    """What is owed in one currency."""

    outstanding: Decimal
    overdue: Decimal  # what of it is past its due date
    buckets: list[BucketView]  # together they are what is outstanding
    unapplied_payments: Decimal  # zero or negative, as are the two below
    unapplied_credit: Decimal
    unapplied: Decimal  # both
    net_receivable: Decimal  # outstanding and unapplied
    oldest_days: int | None  # past due, of what is open longest
    invoices: list[OpenView]  # the earliest due first
    invoices_left_off: int  # how many more there are
    avg_days_to_pay_90d: Decimal | None  # from issue, of the last 90 days, weighted by amount
    promise_dates: list[PromiseView]
    last_payment: LastPayment | None
    next_due: NextDue | None
    dso: DsoView
    trend: list[MonthView]  # twelve, the oldest first
    apart: ApartView
    explained: Explained | UnsetType = UNSET  # only on request


class CreditLimit(Value):
    amount: Decimal
    currency: str


class ReceivablesView(Value, kw_only=True):
    """What a client owes on a day. Currencies stand side by side and are never added up."""

    client_id: UUID
    as_of: date  # the business day it is for
    known_at: datetime | None  # the instant up to which facts were taken; null for all
    position: int  # of the last of these facts
    basis: Basis
    by_currency: dict[str, CurrencyReceivables]
    credit_limit: CreditLimit | None
    risk_flag: Literal["none", "overdue", "high"]


# Queries


class Question(Value):
    """What is asked of receivables."""

    day: date
    basis: Basis
    scale: Scale
    explain: bool = False


def scale_of(asked: str) -> Scale:
    """The buckets that are asked for, such as `30,60,90`. Raises `BadInput`."""
    parts = asked.split(",")
    if not all(it.isascii() and it.isdigit() and len(it) <= 4 for it in parts):
        raise BadInput("Give the buckets' last days, such as 30,60,90.", pointer="?buckets")
    bounds = tuple(int(it) for it in parts)
    ascending = all(a < b for a, b in pairwise(bounds))
    if not (ascending and bounds[0] > 0 and bounds[-1] <= LONGEST and len(bounds) <= MOST_BUCKETS):
        raise BadInput(
            f"There are up to {MOST_BUCKETS} buckets, of 1 to {LONGEST} days, in their order.",
            pointer="?buckets",
        )
    return Scale(bounds)


def dashboard(
    reader: RequestReader, client: Client, found: dict[str, Receivables], asked: Question
) -> ReceivablesView:
    """All currencies in which a client had some business by the day."""
    then = {code: it.until(asked.day) for code, it in found.items()}
    by_currency = {code: owed(reader, it, asked) for code, it in then.items() if it}
    limit = client.settings.credit_limit
    return ReceivablesView(
        client_id=client.id,
        as_of=asked.day,
        known_at=reader.as_of,
        position=position_of(reader),
        basis=asked.basis,
        by_currency=by_currency,
        credit_limit=None if limit is None else CreditLimit(limit, client.profile.currency),
        risk_flag=_risk(client, by_currency, asked),
    )


def owed(reader: RequestReader, it: Receivables, asked: Question) -> CurrencyReceivables:
    """What is owed in one currency at the end of a day."""
    day, none = asked.day, Money.zero(it.currency).amount
    open = it.instalments(day)
    sums = aged(open, day, asked.scale, asked.basis)
    outstanding = none + sum(sums)
    late = none + sum((part.amount for part in open if part.due_date < day), ZERO)
    payments, credit = none - it.unapplied(day), none - it.credit(day)
    ages = [part.age(day, asked.basis) for part in open]
    buckets = zip(asked.scale.names, sums, strict=True)
    return CurrencyReceivables(
        outstanding=outstanding,
        overdue=late,
        buckets=[BucketView(name, none + amount) for name, amount in buckets],
        unapplied_payments=payments,
        unapplied_credit=credit,
        unapplied=payments + credit,
        net_receivable=outstanding + payments + credit,
        oldest_days=max(0, *ages) if ages else None,
        invoices=[_shown(part, asked) for part in open[:MOST_LISTED]],
        invoices_left_off=max(0, len(open) - MOST_LISTED),
        avg_days_to_pay_90d=_days_to_pay(it, day),
        promise_dates=_promises(it, day),
        last_payment=_last_payment(it),
        next_due=_next_due(open, day),
        dso=dso_of(it, day, outstanding, outstanding - late),
        trend=[_month(it, first, last) for first, last in last_months(day, MONTHS)],
        apart=ApartView(
            none + sum((bill.payable for bill in it.standing("draft", day)), ZERO),
            none + sum((bill.payable for bill in it.standing("cancelled", day)), ZERO),
            none + sum((bill.left(day) for bill in it.standing("written_off", day)), ZERO),
        ),
        explained=shown(reader, derived(it, day, asked.scale, asked.basis))
        if asked.explain
        else UNSET,
    )


def _shown(part: Instalment, asked: Question) -> OpenView:
    days = part.age(asked.day, asked.basis)
    return OpenView(
        part.invoice_id,
        part.number,
        part.part,
        part.issue_date,
        part.due_date,
        days,
        part.amount,
        asked.scale.name(days),
    )


def _days_to_pay(it: Receivables, day: date) -> Decimal | None:
    days, many = it.days_to_pay(day - timedelta(PERIOD - 1), day)
    return days.quantize(Decimal("0.01"), ROUND_HALF_UP) if many else None


def _promises(it: Receivables, day: date) -> list[PromiseView]:
    """What the client said about what is open, the earliest day first."""
    found = [
        PromiseView(bill.invoice_id, bill.number or "", bill.promised_on, bill.open(day))
        for bill in it.bills
        if bill.promised_on is not None and bill.open(day)
    ]
    return sorted(found, key=lambda it: (it.promised_on, it.number))[:MOST_LISTED]


def _last_payment(it: Receivables) -> LastPayment | None:
    receipts = [good for good in it.goods if good.receipt]
    last = max(receipts, key=lambda good: (good.day, good.document), default=None)
    return LastPayment(last.document, last.day, last.amount) if last else None


def _next_due(open: list[Instalment], day: date) -> NextDue | None:
    due = min((part.due_date for part in open if part.due_date >= day), default=None)
    if due is None:
        return None
    return NextDue(due, sum((part.amount for part in open if part.due_date == due), ZERO))


def dso_of(it: Receivables, day: date, outstanding: Decimal, not_due: Decimal) -> DsoView:
    """Days sales outstanding at the end of a day, in every way of counting them."""
    sales = it.sales(day - timedelta(PERIOD - 1), day, day)
    dso, best = simple(outstanding, sales), simple(not_due, sales)
    return DsoView(
        days=PERIOD,
        sales=Money.zero(it.currency).amount + sales,
        simple=dso,
        countback=countback(outstanding, it.months_back(day)),
        best_possible=best,
        average_days_delinquent=dso - best if dso is not None and best is not None else None,
    )


def _month(it: Receivables, first: date, last: date) -> MonthView:
    open, none = it.instalments(last), Money.zero(it.currency).amount
    return MonthView(
        f"{first:%Y-%m}",
        none + sum((part.amount for part in open), ZERO),
        none + sum((part.amount for part in open if part.due_date < last), ZERO),
        none + it.sales(first, last, last),
        none + it.collected(first, last),
    )


def _risk(
    client: Client, found: dict[str, CurrencyReceivables], asked: Question
) -> Literal["none", "overdue", "high"]:
    """High beyond the credit limit, or when something is late by more than the last bucket."""
    limit, own = client.settings.credit_limit, found.get(client.profile.currency)
    if limit is not None and own is not None and own.net_receivable > limit:
        return "high"
    late = [asked.day - it.invoices[0].due_date for it in found.values() if it.overdue]
    if not late:
        return "none"
    return "high" if max(late).days > asked.scale.bounds[-1] else "overdue"


# Routes


@get("/customers/{client_id:uuid}/receivables", may="clients:read", as_of="day")
def show(
    client_id: FromPath[UUID],
    reader: Reading,
    basis: FromQuery[Basis] = "due_date",
    buckets: Annotated[str, QueryParameter(max_length=100)] = "30,60,90",
    currency: FromQuery[str | None] = None,
    on: BusinessDay = None,
    explain: Explain = False,
) -> ReceivablesView:
    """Show what a client owes, how old it is, and how long it takes to come in.

    There are two times. `date`, such as `2026-03-31`, is the business day: what was open at its
    end by effective dates, so that an invoice that was paid later is still open. `as_of`, such
    as `2026-03-31T12:00:00Z`, is the instant of knowledge: only facts recorded by then count.
    Without `date` it is the day of that instant, or today, in the workspace's time zone;
    without `as_of` it is all that is known now. A day as `as_of` is the same as `date`. The risk
    is `overdue` when something is late, and `high` when that is by more than the last bucket or
    beyond the credit limit.
    """
    client = client_of(reader, client_id)
    asked = Question(reader.day(on), basis, scale_of(buckets), explain)
    found = receivables_of(reader, client.homes, currency)
    return dashboard(reader, client, found, asked)


routes = [show]
