"""Days sales outstanding, simple and counted back."""

from datetime import date
from decimal import Decimal

import pytest

from zeroinvoice.domain.days_outstanding import (
    MonthSales,
    countback,
    month_end,
    month_start,
    simple,
)

MONTHS = [  # September, August, July
    MonthSales(30, Decimal(50_000)),
    MonthSales(31, Decimal(40_000)),
    MonthSales(31, Decimal(60_000)),
]


def test_simple_is_what_is_owed_by_what_was_sold_in_the_days() -> None:
    """A8-6, test vector T8."""
    assert simple(Decimal(50_000), Decimal(120_000), 90) == Decimal("37.50")


@pytest.mark.parametrize(
    ("owed", "days"),
    [
        (100_000, "66.17"),  # 30 + 31 + 31 · 10/60
        (90_000, "61.00"),  # exactly two months
        (25_000, "15.00"),  # half of the latest
        (0, "0.00"),
        (150_000, "92.00"),
        (999_999, "92.00"),  # beyond all sales there are no more days
    ],
)
def test_countback_walks_back_until_the_sales_are_what_is_owed(owed: int, days: str) -> None:
    """A8-6, test vector T8."""
    assert countback(Decimal(owed), MONTHS) == Decimal(days)


def test_a_month_without_sales_counts_its_days() -> None:
    quiet = [MonthSales(15, Decimal(0)), MonthSales(31, Decimal(-5)), MonthSales(30, Decimal(60))]
    assert countback(Decimal(30), quiet) == Decimal("61.00")
    assert countback(Decimal(0), quiet) == 0


def test_without_sales_there_is_no_figure() -> None:
    """A8-6: null, never zero or infinite; nor where credit notes are more than was sold."""
    assert simple(Decimal(5), Decimal(0)) is None
    assert simple(Decimal(5), Decimal(-1)) is None
    assert countback(Decimal(5), []) is None
    assert countback(Decimal(5), [MonthSales(30, Decimal(0)), MonthSales(31, Decimal(-1))]) is None


def test_months_begin_and_end_where_the_calendar_says() -> None:
    assert month_start(date(2026, 3, 31)) == date(2026, 3, 1)
    assert month_start(date(2026, 1, 31), 13) == date(2024, 12, 1)
    assert month_end(date(2024, 2, 1)) == date(2024, 2, 29)
    assert month_end(date(2025, 12, 31)) == date(2025, 12, 31)
