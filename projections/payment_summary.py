"""What payments add up to: by currency, over a time, by day, week, month, method or client."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, assert_never

import msgspec
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import ColumnElement, Date, and_, cast, func, literal

from projections.payments import Wanted, allocations, names, payments
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.money import rounded
from zeroinvoice.kernel.refusals import BadInput, Invalid
from zeroinvoice.kernel.value import Value

it, part = payments.c, allocations.c

# Views

Group = Literal["day", "week", "month", "method", "client"]
MOST_GROUPS = 1_000


class Takings(Value):
    """Payments of one currency, added up."""

    received: Decimal
    refunded: Decimal
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


def takings(
    reader: Reading, group_by: Group | None, *conditions: ColumnElement[bool]
) -> list[tuple[Any, ...]]:
    """Sums by group and currency: group, its name, currency, received, fees, payments,
    days to pay, and for how many invoices those are.
    """
    match group_by:
        case "day":
            key: ColumnElement[Any] = it.received_on
        case "week" | "month":
            key = cast(func.date_trunc(group_by, it.received_on), Date)
        case "method":
            key = it.method
        case "client":
            key = it.client_id
        case None:
            key = literal("")
        case _:
            assert_never(group_by)
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


def _takings(rows: list[tuple[Any, ...]]) -> dict[str, Takings]:
    """Rows of `takings` added up by currency."""
    found = {}
    for currency in sorted({row[2] for row in rows}):
        sums = [row[3:] for row in rows if row[2] == currency]
        received, fees, count = (sum(column) for column in list(zip(*sums, strict=True))[:3])
        days = sum(row[3] or 0 for row in sums)
        invoices = sum(row[4] or 0 for row in sums)
        refunded = received - received
        found[currency] = Takings(
            received=received,
            refunded=refunded,
            fees=fees,
            net=received - refunded - fees,
            count=count,
            average=rounded(received / count, currency),
            avg_days_to_pay=(Decimal(days) / Decimal(invoices)).quantize(
                Decimal("0.1"), ROUND_HALF_UP
            )
            if invoices
            else None,
        )
    return found


# Routes

From = Annotated[date | None, QueryParameter(name="from", description="first day of receipt")]
To = Annotated[date | None, QueryParameter(name="to", description="last day of receipt")]


@get("/payments/summary")
def summarise(
    reader: Reading,
    received_from: From = None,
    received_to: To = None,
    group_by: FromQuery[Group | None] = None,
) -> Summary:
    """Add payments up by currency, and by day, week, month, method or client."""
    if received_from and received_to and received_from > received_to:
        raise BadInput(f"{received_from} is after {received_to}.", pointer="?from")
    period = Wanted(received_from=received_from, received_to=received_to).conditions()
    rows = takings(reader, group_by, *period)
    if len(rows) > MOST_GROUPS:
        raise Invalid(
            f"These are more than {MOST_GROUPS} groups; ask for a shorter time.",
            code="too_many_groups",
        )
    groups = []
    if group_by is not None:
        for key in dict.fromkeys(row[0] for row in rows):
            own = [row for row in rows if row[0] == key]
            groups.append(TakingsOf(str(key), own[0][1] or None, _takings(own)))
    return Summary(received_from, received_to, group_by, _takings(rows), groups)


routes = [summarise]
