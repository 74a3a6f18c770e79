"""The calendar of a workspace: its days begin and end where it is, in every zone there is."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import example, given
from hypothesis import strategies as st

from zeroinvoice.domain.invoice import (
    Buyer,
    Content,
    Handling,
    Invoice,
    InvoiceDrafted,
    InvoiceSent,
)
from zeroinvoice.domain.lines import Line, price
from zeroinvoice.domain.terms import Terms, due_date, parse
from zeroinvoice.domain.workspace import Seller
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.facts import NIL

ZONES = sorted(available_timezones())
days = st.dates(date(2024, 1, 1), date(2030, 12, 31))
zones = st.sampled_from(ZONES)


def sent(due: date) -> Invoice:
    """An invoice over 10.00 that is due on a day."""
    lines = (Line(description="Work", unit_price=Decimal(10), quantity=Decimal(1)),)
    totals = price(lines, "USD")
    content = Content(
        client_id=NIL,
        currency="USD",
        lines=lines,
        issue_date=due,
        due_date=due,
        payment_terms="net 0",
    )
    drafted = InvoiceDrafted(content, Handling(), totals)
    return Invoice.after(drafted, InvoiceSent("INV-1", due, due, Seller(), Buyer("Acme")))


def midnight(day: date, zone: str) -> datetime:
    """The first instant at which it is that day, or a later one, in the zone; in UTC.

    Found by halving, since midnight itself may not exist, or come twice.
    """
    before = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=30)
    after = before + timedelta(hours=60)
    while after - before > timedelta(microseconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(ZoneInfo(zone)).date() >= day:
            after = middle
        else:
            before = middle
    return after


@given(due=days, zone=zones)
@example(due=date(2024, 3, 30), zone="Africa/Cairo")
@example(due=date(2026, 9, 5), zone="America/Santiago")  # the next day begins at one o'clock
@example(due=date(2026, 12, 31), zone="Pacific/Kiritimati")
def test_an_invoice_becomes_overdue_at_the_midnight_after_its_due_day(due: date, zone: str) -> None:
    """G26, R-DAT-4: not a microsecond earlier or later, wherever the workspace is."""
    invoice, turn = sent(due), midnight(due + timedelta(days=1), zone)
    just_before = turn - timedelta(microseconds=1)
    assert invoice.overdue_since(local_day(just_before, zone)) is None
    assert invoice.overdue_since(local_day(turn, zone)) == due


def test_an_invoice_becomes_overdue_at_midnight_in_every_zone_and_year() -> None:
    """G26: all zones, on the last days of all years from 2024 to 2030 and around their leaps."""
    chosen = [date(year, 12, 31) for year in range(2024, 2031)]
    chosen += [
        date(year, month, day) for year in (2024, 2026) for month, day in ((3, 29), (10, 25))
    ]
    for zone in ZONES:
        for due in chosen:
            turn = midnight(due + timedelta(days=1), zone)
            invoice = sent(due)
            assert invoice.overdue_since(local_day(turn, zone)) == due, (zone, due)
            before = local_day(turn - timedelta(microseconds=1), zone)
            assert invoice.overdue_since(before) is None, (zone, due)


@given(issued=days, day=st.integers(28, 31))
def test_a_day_of_the_following_month_is_that_day_or_the_months_last(
    issued: date, day: int
) -> None:
    """G26: 31 becomes 28, 29 or 30 where there is no 31st, and never drifts."""
    due = due_date(parse(f"day {day} of following month"), issued)
    first = (issued.replace(day=1) + timedelta(days=32)).replace(day=1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    assert (due.year, due.month) == (first.year, first.month)
    assert due.day == min(day, last.day)


@given(issued=days, days_=st.integers(0, 365))
def test_net_days_are_calendar_days(issued: date, days_: int) -> None:
    assert due_date(Terms("net", days_), issued) == issued + timedelta(days=days_)
