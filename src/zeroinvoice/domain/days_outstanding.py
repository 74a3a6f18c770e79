"""Days sales outstanding: how many days of sales are still to be paid for."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from zeroinvoice.kernel.money import ZERO
from zeroinvoice.kernel.value import Value

PERIOD = 90  # days

_CENT = Decimal("0.01")


class MonthSales(Value):
    """What was sold in a month, or in the part of it that has passed."""

    days: int
    sales: Decimal


def ratio(above: Decimal, below: Decimal) -> Decimal | None:
    """A quotient of two decimals; None where there is nothing to divide by."""
    return (above / below).quantize(_CENT, ROUND_HALF_UP) if below > 0 else None


def simple(receivables: Decimal, sales: Decimal, days: int = PERIOD) -> Decimal | None:
    """What is owed at the end of a period by what was sold in it, in days. None without sales."""
    return ratio(receivables * days, sales)


def countback(receivables: Decimal, months: Iterable[MonthSales]) -> Decimal | None:
    """The days back to the oldest sale that is still owed, were the latest sales paid last.

    The months come latest first. One whose sales are all owed counts its days, the last one a
    share of them. What is owed beyond all sales adds no days. None when nothing was ever sold.
    """
    counted = counted_back(receivables, months)
    return None if counted is None else sum(counted, ZERO).quantize(_CENT)


def counted_back(receivables: Decimal, months: Iterable[MonthSales]) -> list[Decimal] | None:
    """How many days of each month are counted, latest first; only the last is rounded."""
    left, sold = receivables, False
    counted: list[Decimal] = []
    for it in months:
        sold = sold or it.sales > 0
        if left <= 0 and sold:
            break
        if it.sales > left > 0:
            counted.append((it.days * left / it.sales).quantize(_CENT, ROUND_HALF_UP))
            left = ZERO
        elif left > 0:
            counted.append(Decimal(it.days))
            left -= max(it.sales, ZERO)
    return counted if sold else None


def month_start(day: date, back: int = 0) -> date:
    """The first day of a day's month, or of one that lies months before it."""
    months = day.year * 12 + day.month - 1 - back
    return date(months // 12, months % 12 + 1, 1)


def month_end(day: date) -> date:
    """The last day of a day's month."""
    return month_start(day, -1) - timedelta(1)
