"""Receivables of any history: buckets hold all that is open, and a day is a replay up to it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain.aging import Scale, aged
from zeroinvoice.domain.days_outstanding import MonthSales, countback
from zeroinvoice.domain.receivable import Bill, Closing, Good, Receivables, Settlement
from zeroinvoice.kernel.facts import NIL
from zeroinvoice.kernel.ids import new_id

FIRST = date(2026, 1, 1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
days = st.integers(0, 200).map(lambda it: FIRST + timedelta(it))
cents = st.integers(1, 50_000).map(lambda it: Decimal(it) / 100)
scales = st.sets(st.integers(1, 400), min_size=1, max_size=8).map(lambda it: Scale((*sorted(it),)))
bases = st.sampled_from(["due_date", "issue_date"])


@st.composite
def bills(draw: Any) -> Bill:
    """An invoice with parts that settle it, go back, and days on which it is given up."""
    issued, payable = draw(days), draw(cents)
    deposit = draw(st.none() | st.integers(1, 99))
    parts = []
    for amount in draw(st.lists(cents, max_size=4)):
        part, on = new_id(), draw(days)
        parts.append(Settlement(amount, on, True, part, NOON))
        if draw(st.booleans()):
            back = min(amount, draw(cents))
            parts.append(Settlement(-back, max(on, draw(days)), True, part, NOON))
    closed = sorted(draw(st.lists(days, max_size=2)))
    return Bill(
        invoice_id=new_id(),
        number="INV-1",
        payable=payable,
        issue_date=issued,
        due_date=issued + timedelta(draw(st.integers(0, 90))),
        drafted_on=issued,
        deposit=(payable * deposit / 100).quantize(Decimal("0.01")) if deposit else Decimal(0),
        deposit_due=draw(days) if deposit else None,
        settlements=tuple(parts),
        closings=tuple(
            Closing(on, what)
            for on, what in zip(closed, ("written_off", "reinstated"), strict=False)
        ),
    )


@given(st.lists(bills(), max_size=5), days, scales, bases)
def test_the_buckets_add_up_to_what_is_outstanding(
    found: list[Bill], on: date, scale: Scale, basis: Any
) -> None:
    """A8-2: every open amount sits in exactly one bucket."""
    book = Receivables(currency="USD", bills=tuple(found))
    sums = aged(book.instalments(on), on, scale, basis)
    assert sum(sums) == sum((it.open(on) for it in found), Decimal(0))
    assert len(sums) == len(scale.names)
    assert min(sums) >= 0


@given(bills(), days)
def test_a_day_is_a_replay_of_what_had_happened_by_then(bill: Bill, on: date) -> None:
    """A8-8: day by day, what happened is put on or taken off; nothing later matters."""
    events: list[tuple[date, int, Decimal | str]] = [(bill.issue_date, 0, bill.payable)]
    events += [(it.day, 1, -it.amount) for it in bill.settlements]
    events += [(it.day, 2, it.what) for it in bill.closings]
    owed, given_up = Decimal(0), False
    for day, _, what in sorted(events, key=lambda it: it[:2]):
        if day > on:
            break
        if isinstance(what, str):
            given_up = what == "written_off"
        else:
            owed += what
    issued = bill.issue_date <= on
    assert bill.open(on) == (max(owed, Decimal(0)) if issued and not given_up else 0)
    assert bill.beyond(on) == (max(-owed, Decimal(0)) if issued else 0)
    book = Receivables(currency="USD", bills=(bill,))
    kept = book.until(on)
    assert kept.instalments(on) == book.instalments(on)
    assert kept.collected(FIRST, on) == book.collected(FIRST, on)
    assert kept.sales(FIRST, on, on) == book.sales(FIRST, on, on)


@given(st.lists(st.tuples(cents, days, st.none() | days), max_size=6), days)
def test_what_stands_to_the_clients_good_is_what_came_less_what_went(
    moves: list[tuple[Decimal, date, date | None]], on: date
) -> None:
    goods = []
    for amount, came, went in moves:
        goods.append(Good("payment", NIL, amount, came))
        if went is not None:
            goods.append(Good("payment", NIL, -amount, max(came, went)))
    book = Receivables(currency="USD", goods=tuple(goods))
    standing = [a for a, came, went in moves if came <= on and not (went and max(came, went) <= on)]
    assert book.unapplied(on) == sum(standing, Decimal(0))
    assert book.until(on).unapplied(on) == book.unapplied(on)


@given(cents, cents, st.lists(st.tuples(st.integers(1, 31), cents), min_size=1, max_size=12))
def test_counting_back_more_debt_takes_no_fewer_days(
    one: Decimal, other: Decimal, months: list[tuple[int, Decimal]]
) -> None:
    sales = [MonthSales(days, amount) for days, amount in months]
    fewer, more = countback(min(one, other), sales), countback(max(one, other), sales)
    assert fewer is not None
    assert more is not None
    assert 0 <= fewer <= more <= sum(it.days for it in sales)
