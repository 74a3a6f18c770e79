"""Receivables: what was open of each invoice on a day, and what stands to the client's good.

A day is answered by effective dates: a payment counts from the day it was received, a refund
from the day it was paid back. What was taken back as an error was never there.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

from zeroinvoice.domain.aging import Instalment
from zeroinvoice.domain.days_outstanding import MonthSales, month_end, month_start
from zeroinvoice.kernel.money import ZERO
from zeroinvoice.kernel.value import Value

Standing = Literal["none", "draft", "issued", "cancelled", "written_off"]


class Settlement(Value):
    """What settles an invoice from a day on; negative where it was paid back."""

    amount: Decimal
    day: date
    in_money: bool  # else a gift, or a correction
    part: UUID  # of one payment or credit on one invoice
    at: datetime  # when it was recorded
    seq: int = 0  # the fact that says so


class Closing(Value):
    """A day on which an invoice was given up, or taken up again."""

    day: date
    what: Literal["cancelled", "written_off", "reinstated"]


class Bill(Value, kw_only=True):
    """An invoice as far as it is owed."""

    invoice_id: UUID
    number: str | None  # None for a draft
    payable: Decimal
    issue_date: date
    due_date: date
    drafted_on: date
    sent_at: datetime | None = None
    deposit: Decimal = ZERO
    deposit_due: date | None = None
    promised_on: date | None = None  # when the client said they would pay
    settlements: tuple[Settlement, ...] = ()
    closings: tuple[Closing, ...] = ()  # as they were recorded
    seq: int = 0  # the fact that last said what it asks for

    @property
    def began(self) -> date:
        """The first day that it says anything of; a payment may be dated before the issue."""
        return min(self.drafted_on, self.issue_date, *(it.day for it in self.settlements))

    def standing(self, on: date) -> Standing:
        closed = ""
        for it in self.closings:
            if it.day <= on:
                closed = it.what
        if closed == "cancelled":
            return "cancelled" if self.number else "none"
        if closed == "written_off":
            return "written_off"
        if self.number and self.issue_date <= on:
            return "issued"
        return "draft" if self.drafted_on <= on else "none"

    def settled(self, on: date) -> Decimal:
        return sum((it.amount for it in self.settlements if it.day <= on), ZERO)

    def open(self, on: date) -> Decimal:
        """What is owed at the end of a day; later payments do not matter."""
        return self.left(on) if self.standing(on) == "issued" else ZERO

    def left(self, on: date) -> Decimal:
        """What is not settled on a day, owed or given up."""
        return max(self.payable - self.settled(on), ZERO)

    def beyond(self, on: date) -> Decimal:
        """What is settled of it on a day beyond what it asks for, as back-dating makes possible."""
        if not self.number or self.issue_date > on:
            return ZERO
        return max(self.settled(on) - self.payable, ZERO)

    def instalments(self, on: date) -> list[Instalment]:
        """What is open of the deposit, which is settled first, and of the rest."""
        left = self.open(on)
        if not left:
            return []
        assert self.number is not None, "what is owed was issued"
        first = min(max(self.deposit - self.settled(on), ZERO), left)
        parts: list[Instalment] = []
        if first and self.deposit_due is not None:
            parts.append(self._part("deposit", self.deposit_due, first))
            left -= first
        if left:
            parts.append(self._part("balance", self.due_date, left))
        return parts

    def overdue(self, on: date) -> bool:
        """Whether an instalment is past due; due today is not."""
        return any(it.due_date < on for it in self.instalments(on))

    def _part(self, part: Literal["deposit", "balance"], due: date, amount: Decimal) -> Instalment:
        number = self.number or ""
        return Instalment(self.invoice_id, number, part, self.issue_date, due, amount)

    @property
    def paid_on(self) -> date | None:
        """The day on which it had been settled in full, if it is."""
        if not self.number or sum((it.amount for it in self.settlements), ZERO) < self.payable:
            return None
        return max((it.day for it in self.settlements), default=self.issue_date)


class Good(Value):
    """A change of what stands to the client's good, from a day on: it grows, or is used."""

    kind: Literal["payment", "credit"]  # unapplied, or open
    document: UUID
    amount: Decimal
    day: date
    receipt: bool = False  # whether a payment came with it
    expires_on: date | None = None  # the last day on which it can be used
    seq: int = 0

    def usable(self, on: date) -> bool:
        return self.day <= on and (self.expires_on is None or on <= self.expires_on)


class Dated(Value):
    """An amount that counts from a day on."""

    amount: Decimal
    day: date
    seq: int = 0


class Receivables(Value, kw_only=True):
    """All that is owed in one currency, by one client or by many."""

    currency: str
    bills: tuple[Bill, ...] = ()
    goods: tuple[Good, ...] = ()
    notes: tuple[Dated, ...] = ()  # credit notes: they lower what was sold
    payouts: tuple[Dated, ...] = ()  # credit notes paid out: they lower what was collected

    def __bool__(self) -> bool:
        return bool(self.bills or self.goods or self.notes or self.payouts)

    def until(self, day: date) -> "Receivables":
        """Without what counts from a later day on."""
        return self.but(
            bills=tuple(
                it.but(
                    settlements=tuple(part for part in it.settlements if part.day <= day),
                    closings=tuple(part for part in it.closings if part.day <= day),
                )
                for it in self.bills
                if it.began <= day
            ),
            goods=tuple(it for it in self.goods if it.day <= day),
            notes=tuple(it for it in self.notes if it.day <= day),
            payouts=tuple(it for it in self.payouts if it.day <= day),
        )

    def open(self, on: date) -> Decimal:
        """What is owed at the end of a day."""
        return sum((bill.open(on) for bill in self.bills), ZERO)

    def instalments(self, on: date) -> list[Instalment]:
        """All that is open at the end of a day, the earliest due first."""
        found = [part for it in self.bills for part in it.instalments(on)]
        return sorted(found, key=lambda it: (it.due_date, it.issue_date, it.number, it.part))

    def standing(self, which: Standing, on: date) -> list[Bill]:
        return [it for it in self.bills if it.standing(on) == which]

    def sold(self, on: date) -> list[Bill]:
        """What was issued by a day; a cancelled invoice was, until the day of that."""
        return [
            it
            for it in self.bills
            if it.number and it.issue_date <= on and it.standing(on) != "cancelled"
        ]

    def sales(self, first: date, last: date, on: date) -> Decimal:
        """What was invoiced in some days less credit notes of those days, as it stood on a day."""
        invoiced = sum((it.payable for it in self.sold(on) if first <= it.issue_date <= last), ZERO)
        return invoiced - sum((it.amount for it in self.notes if first <= it.day <= last), ZERO)

    def money(self) -> Iterable[Dated]:
        """What came in as money for invoices, and, less than nothing, what went back."""
        for it in self.bills:
            for part in it.settlements:
                if part.in_money:
                    yield Dated(part.amount, part.day, part.seq)
        for back in self.payouts:
            yield Dated(-back.amount, back.day, back.seq)

    def collected(self, first: date, last: date) -> Decimal:
        return sum((it.amount for it in self.money() if first <= it.day <= last), ZERO)

    def unapplied(self, on: date) -> Decimal:
        """What was received by a day and settled nothing yet."""
        amounts = (it.amount for it in self.goods if it.kind == "payment" and it.day <= on)
        return sum(amounts, ZERO) + sum((it.beyond(on) for it in self.bills), ZERO)

    def credit(self, on: date) -> Decimal:
        """What was left of credits on a day, and could be used on it."""
        usable = (it.amount for it in self.goods if it.kind == "credit" and it.usable(on))
        return sum(usable, ZERO)

    def months_back(self, on: date) -> Iterable[MonthSales]:
        """What was sold by month, latest first, from a day back to the first sale."""
        totals: dict[date, Decimal] = {}
        for it in self.sold(on):
            start = month_start(it.issue_date)
            totals[start] = totals.get(start, ZERO) + it.payable
        for note in self.notes:
            start = month_start(note.day)
            if note.day <= on:
                totals[start] = totals.get(start, ZERO) - note.amount
        last, first = on, min(totals, default=on)
        while last >= first:
            start = month_start(last)
            yield MonthSales((last - start).days + 1, totals.get(start, ZERO))
            last = start - timedelta(1)

    def days_to_pay(self, first: date, last: date) -> tuple[Decimal, int]:
        """Days from issue to payment, of what was paid in some days, weighted by amount.

        And how many payments that were; no days where there were none.
        """
        weights, days, many = ZERO, ZERO, 0
        for paid in self.paid(first, last):
            weights += paid.amount
            days += paid.amount * paid.days
            many += 1
        return (days / weights if weights else ZERO), many

    def paid(self, first: date, last: date) -> Iterable["PaidPart"]:
        """What came in some days as money for invoices, as far as it was not paid back."""
        for bill in self.bills:
            parts: dict[UUID, list[Settlement]] = {}
            for it in bill.settlements:
                if it.in_money:
                    parts.setdefault(it.part, []).append(it)
            for made in parts.values():
                amount, day = sum((it.amount for it in made), ZERO), min(it.day for it in made)
                if amount > 0 and first <= day <= last:
                    yield PaidPart(amount, (day - bill.issue_date).days, tuple(made))


class PaidPart(Value):
    """What of one payment or credit stands on one invoice, and how long after the issue it came."""

    amount: Decimal
    days: int
    made: tuple[Settlement, ...]  # and what went back of it


def last_months(on: date, many: int) -> list[tuple[date, date]]:
    """The first and last day of the latest months, the day's own, up to it, among them."""
    starts = [month_start(on, back) for back in reversed(range(many))]
    return [(start, min(month_end(start), on)) for start in starts]
