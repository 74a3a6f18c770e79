"""What payments add up to: by currency, over a time, by day, week, month, method or client."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, assert_never

import msgspec
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import ColumnElement, Date, and_, cast, func, literal

from projections.payments import Wanted, allocations, names, payments, refunds
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.money import Money, rounded
from zeroinvoice.kernel.refusals import BadInput, Invalid
from zeroinvoice.kernel.value import Value

it, part, back = payments.c, allocations.c, refunds.c

# Views

Group = Literal["day", "week", "month", "method", "client"]
MOST_GROUPS = 1_000


class Takings(Value):
    """Payments of one currency, added up."""

    received: Decimal
    refunded: Decimal  # of any payments, by the day on which it was paid back
    fees: Decimal
    net: Decimal  # received less refunded and fees
    count: int
    average: Decimal
    avg_days_to_pay: Decimal | None  # from issue to receipt, one for each invoice a payment settles


class TakingsOf(Value):
    key: str  # the first day of the day, week or month; the method; the client's id
    name: str | None  # the client's
    currencies: dict[str, Takings]


class Summary(Value):
    """Takings by currency: of all, and of each group. Voided payments do not count."""

    received_from: date | None = msgspec.field(name="from")
    received_to: date | None = msgspec.field(name="to")
    group_by: Group | None
    currencies: dict[str, Takings]
    groups: list[TakingsOf]


# Queries


def _group(group_by: Group | None, day: ColumnElement[Any]) -> ColumnElement[Any]:
    match group_by:
        case "day":
            return day
        case "week" | "month":
            return cast(func.date_trunc(group_by, day), Date)
        case "method":
            return it.method
        case "client":
            return names.c.owner_id
        case None:
            return literal("")
        case _:
            assert_never(group_by)


def takings(
    reader: Reading, group_by: Group | None, *conditions: ColumnElement[bool]
) -> list[tuple[Any, ...]]:
    """Sums by group and currency: group, its name, currency, received, fees, payments,
    days to pay, and for how many invoices those are.
    """
    key = _group(group_by, it.received_on)
    named = names.c.name if group_by == "client" else literal("")
    days = (
        reader.mine(
            allocations,
            part.payment_id,
            func.sum(part.days).label("days"),
            func.count(part.days).label("invoices"),
        )
        .group_by(part.payment_id)
        .subquery()
    )
    client = and_(names.c.id == it.client_id, names.c.tenant_id == it.tenant_id)
    wanted = (
        reader.mine(
            payments,
            key.label("zi_group"),
            func.max(named),
            it.currency,
            func.sum(it.amount),
            func.sum(it.fee_amount),
            func.count(),
            func.sum(days.c.days),
            func.sum(days.c.invoices),
        )
        .outerjoin(names, client)
        .outerjoin(days, days.c.payment_id == it.id)
        .where(it.status != "voided", *conditions)
        .group_by("zi_group", it.currency)
        .order_by("zi_group", it.currency)
        .limit(MOST_GROUPS + 1)
    )
    return reader.rows(wanted)


def paid_back(
    reader: Reading, group_by: Group | None, *conditions: ColumnElement[bool]
) -> list[tuple[Any, ...]]:
    """Refunds by group and currency: group, its name, currency, amount."""
    key = _group(group_by, back.refunded_on)
    named = names.c.name if group_by == "client" else literal("")
    client = and_(names.c.id == it.client_id, names.c.tenant_id == it.tenant_id)
    own = and_(it.id == back.payment_id, it.tenant_id == back.tenant_id)
    wanted = (
        reader.mine(
            refunds, key.label("zi_group"), func.max(named), back.currency, func.sum(back.amount)
        )
        .join(payments, own)
        .outerjoin(names, client)
        .where(*conditions)
        .group_by("zi_group", back.currency)
        .order_by("zi_group", back.currency)
        .limit(MOST_GROUPS + 1)
    )
    return reader.rows(wanted)


def _takings(rows: list[tuple[Any, ...]], back: list[tuple[Any, ...]]) -> dict[str, Takings]:
    """Rows of `takings` and of `paid_back` added up by currency."""
    found = {}
    for currency in sorted({row[2] for row in (*rows, *back)}):
        none = Money.zero(currency).amount
        sums = [row[3:] for row in rows if row[2] == currency]
        received = sum((row[0] for row in sums), none)
        fees = sum((row[1] for row in sums), none)
        count = sum(row[2] for row in sums)
        days = sum(row[3] or 0 for row in sums)
        invoices = sum(row[4] or 0 for row in sums)
        refunded = sum((row[3] for row in back if row[2] == currency), none)
        found[currency] = Takings(
            received=received,
            refunded=refunded,
            fees=fees,
            net=received - refunded - fees,
            count=count,
            average=rounded(received / count, currency) if count else none,
            avg_days_to_pay=(Decimal(days) / Decimal(invoices)).quantize(
                Decimal("0.1"), ROUND_HALF_UP
            )
            if invoices
            else None,
        )
    return found


# Routes

From = Annotated[date | None, QueryParameter(name="from", description="first day")]
To = Annotated[date | None, QueryParameter(name="to", description="last day")]


@get("/payments/summary", may="payments:read")
def summarise(
    reader: Reading,
    received_from: From = None,
    received_to: To = None,
    group_by: FromQuery[Group | None] = None,
) -> Summary:
    """Add payments up by currency, and by day, week, month, method or client."""
    if received_from and received_to and received_from > received_to:
        raise BadInput(f"{received_from} is after {received_to}.", pointer="?from")
    period = Wanted(received_from=received_from, received_to=received_to).conditions(reader.tenant)
    rows = takings(reader, group_by, *period)
    since = [back.refunded_on >= received_from] if received_from else []
    until = [back.refunded_on <= received_to] if received_to else []
    returned = paid_back(reader, group_by, *since, *until)
    if max(len(rows), len(returned)) > MOST_GROUPS:
        raise Invalid(
            f"These are more than {MOST_GROUPS} groups; ask for a shorter time.",
            code="too_many_groups",
        )
    groups = []
    if group_by is not None:
        for key in sorted({row[0] for row in (*rows, *returned)}):
            own, gone = ([row for row in part if row[0] == key] for part in (rows, returned))
            name = (*own, *gone)[0][1] or None
            groups.append(TakingsOf(str(key), name, _takings(own, gone)))
    return Summary(received_from, received_to, group_by, _takings(rows, returned), groups)


routes = [summarise]
