"""Aging: what is open, instalment by instalment, put into buckets by the days it is past due."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from zeroinvoice.kernel.money import ZERO
from zeroinvoice.kernel.value import Value

Basis = Literal["due_date", "issue_date"]  # from which day the age is counted


class Instalment(Value):
    """An open part of an invoice that is due on one day."""

    invoice_id: UUID
    number: str
    part: Literal["deposit", "balance"]
    issue_date: date
    due_date: date
    amount: Decimal  # more than nothing

    def age(self, on: date, basis: Basis = "due_date") -> int:
        """Whole calendar days past its day; nothing or less while it is not."""
        return (on - (self.due_date if basis == "due_date" else self.issue_date)).days


class Scale(Value):
    """The buckets: the last day of each, in days past due; the one before them is not yet due."""

    bounds: tuple[int, ...] = (30, 60, 90)  # ascending, each at least 1

    @property
    def names(self) -> tuple[str, ...]:
        """Such as current, 1-30, 31-60, 61-90, 90+."""
        firsts = [1, *(it + 1 for it in self.bounds)]
        spans = [f"{first}-{last}" for first, last in zip(firsts, self.bounds, strict=False)]
        return ("current", *spans, f"{self.bounds[-1]}+")

    def place(self, days: int) -> int:
        """Which bucket an age falls into; due today is not past due."""
        return 0 if days <= 0 else 1 + bisect_left(self.bounds, days)

    def name(self, days: int) -> str:
        return self.names[self.place(days)]


def aged(
    items: Iterable[Instalment], on: date, scale: Scale, basis: Basis = "due_date"
) -> tuple[Decimal, ...]:
    """What falls into each bucket of the scale; together it is all that is open."""
    sums = [ZERO] * len(scale.names)
    for it in items:
        sums[scale.place(it.age(on, basis))] += it.amount
    return tuple(sums)
