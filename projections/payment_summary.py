"""What payments add up to: by currency, over a time, by day, week, month, method or client."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal, assert_never
from uuid import UUID

import msgspec
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import ColumnElement, Date, cast, func, literal

from projections.audit import position_of
from projections.clients import owner_of
from projections.payment_ledger import entries
from zeroinvoice.domain.client import Client
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.money import Money, rounded
from zeroinvoice.kernel.refusals import BadInput, Invalid
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.ledgers import standing

it = entries.c

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
    known_at: datetime | None  # the instant up to which facts were taken; null for all
    position: int  # of the last of these facts
    group_by: Group | None
    currencies: dict[str, Takings]
    groups: list[TakingsOf]


# Queries


class _Sum(Value):
    """Entries of one group, currency and kind, added up."""

    group: Any
    currency: str
    kind: str  # receipt, refund
    amount: Decimal
    fees: Decimal
    count: int
    days: int
    invoices: int


def _group(group_by: Group | None) -> ColumnElement[Any]:
    match group_by:
        case "day":
            return it.day
        case "week" | "month":
            return cast(func.date_trunc(group_by, it.day), Date)
        case "method":
            return it.method
        case "client":
            return it.client_id
        case None:
            return literal("")
        case _:
            assert_never(group_by)


def sums(reader: Reading, group_by: Group | None, *conditions: ColumnElement[bool]) -> list[_Sum]:
    """What stands in the ledger, now or at `as_of`. Raises `Invalid` for too many groups."""
    totals = (it.amount, it.fee_amount, None, it.days, it.invoices)
    columns = (func.count() if total is None else func.sum(total) for total in totals)
    key = _group(group_by).label("zi_group")
    wanted = (
        reader.mine(entries, key, it.currency, it.kind, *columns)
        .where(*standing(reader, it), *conditions)
        .group_by("zi_group", it.currency, it.kind)
        .order_by("zi_group", it.currency)
        .limit(2 * MOST_GROUPS + 1)
    )
    found = reader.views(wanted, _Sum)
    if len(found) > 2 * MOST_GROUPS or len({row.group for row in found}) > MOST_GROUPS:
        raise Invalid(
            f"These are more than {MOST_GROUPS} groups; ask for a shorter time.",
            code="too_many_groups",
        )
    return found


def _takings(rows: Iterable[_Sum]) -> dict[str, Takings]:
    """Sums added up by currency."""
    by_currency: dict[str, list[_Sum]] = {}
    for row in rows:
        by_currency.setdefault(row.currency, []).append(row)
    return {code: _taken(code, by_currency[code]) for code in sorted(by_currency)}


def _taken(currency: str, rows: list[_Sum]) -> Takings:
    none = Money.zero(currency).amount
    receipts = [row for row in rows if row.kind == "receipt"]
    received = sum((row.amount for row in receipts), none)
    refunded = sum((row.amount for row in rows if row.kind == "refund"), none)
    fees = sum((row.fees for row in receipts), none)
    count = sum(row.count for row in receipts)
    days, invoices = sum(row.days for row in receipts), sum(row.invoices for row in receipts)
    took = Decimal(days) / invoices if invoices else None
    return Takings(
        received=received,
        refunded=refunded,
        fees=fees,
        net=received - refunded - fees,
        count=count,
        average=rounded(received / count, currency) if count else none,
        avg_days_to_pay=took.quantize(Decimal("0.1"), ROUND_HALF_UP) if took is not None else None,
    )


def _groups(reader: Reading, rows: list[_Sum], by_client: bool) -> list[TakingsOf]:
    """Each group by itself; that of a client has what was entered for those merged into it."""
    owners = _owners(reader, {row.group for row in rows}) if by_client else {}
    names = {it.id: it.profile.name for it in owners.values()}
    found: dict[Any, list[_Sum]] = {}
    for row in rows:
        owner = owners.get(row.group)
        found.setdefault(owner.id if owner else row.group, []).append(row)
    return [TakingsOf(str(key), names.get(key), _takings(found[key])) for key in sorted(found)]


def _owners(reader: Reading, clients: set[UUID]) -> dict[UUID, Client]:
    """Who stands for each client, now or as it was at `as_of`."""
    reader.recall([(Client, id) for id in clients])
    return {id: reader.then(Client, owner_of(reader, id)) for id in clients}


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
    """Add payments up by currency, and by day, week, month, method or client.

    `from` and `to` are the business days on which money came or went; with an instant as
    `as_of`, only what was recorded by then counts.
    """
    if received_from and received_to and received_from > received_to:
        raise BadInput(f"{received_from} is after {received_to}.", pointer="?from")
    since = [it.day >= received_from] if received_from else []
    until = [it.day <= received_to] if received_to else []
    rows = sums(reader, group_by, *since, *until)
    groups = _groups(reader, rows, group_by == "client") if group_by else []
    known = (reader.as_of, position_of(reader))
    return Summary(received_from, received_to, *known, group_by, _takings(rows), groups)


routes = [summarise]
