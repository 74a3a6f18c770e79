"""What a simulation answers: figures, clients and documents as they are and as they would be."""

from datetime import date, datetime
from decimal import Decimal
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.history import History
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.retelling import Conflict
from zeroinvoice.kernel.value import Value


class Figure(Value):
    actual: Decimal
    simulated: Decimal
    difference: Decimal  # simulated less actual

    @classmethod
    def of(cls, actual: Decimal, simulated: Decimal) -> Self:
        return cls(actual, simulated, simulated - actual)


class DaysFigure(Value):
    """Null where nothing was sold, as is a difference from that."""

    actual: Decimal | None
    simulated: Decimal | None
    difference: Decimal | None

    @classmethod
    def of(cls, actual: Decimal | None, simulated: Decimal | None) -> Self:
        both = actual is not None and simulated is not None
        return cls(actual, simulated, simulated - actual if both else None)  # type: ignore[operator]  # both are there


class TaxFigure(Value):
    """What was charged at one rate of a tax, less what credit notes took back."""

    code: str | None
    name: str
    category: str
    rate: Decimal  # percent
    withheld: bool  # kept back by the customer; no part of the tax in all
    base: Figure
    tax: Figure


class DsoFigure(Value):
    """Days sales outstanding, in both ways of counting them."""

    days: int  # of the period of the simple one
    simple: DaysFigure
    countback: DaysFigure


class SimulatedFigures(Value, kw_only=True):
    """What a workspace or a client has in one currency, at the end of the day.

    What was invoiced was paid, credited or written off, or is owed. What credit notes paid out is
    taken off what was paid.
    """

    invoiced: Figure  # what was issued and not cancelled, as it is to be paid
    credit_notes: Figure
    tax: Figure  # in what was invoiced, less credit notes
    taxes: list[TaxFigure]
    paid: Figure  # money that settles invoices, less what was paid back
    credited: Figure  # credits that settle them and were not paid for
    written_off: Figure
    balance: Figure  # what is owed
    overdue: Figure  # what of it is past its due date
    unapplied: Figure  # of payments: what settles nothing
    open_credit: Figure  # what is left of credits
    dso: DsoFigure


class SimulatedClient(Value):
    """A client, with those that were merged into it."""

    client_id: UUID
    name: str
    by_currency: dict[str, SimulatedFigures]


class DocumentThen(Value):
    """A document as it is, or would be."""

    status: str
    total: Decimal
    tax: Decimal | None  # none of a payment, and of most credits
    balance: Decimal  # due of an invoice, unapplied of a payment, left of a credit
    due_date: date | None = None  # of an invoice

    @classmethod
    def of(cls, it: Invoice | Payment | Credit, day: date) -> Self:
        match it:
            case Invoice(totals=totals):
                status = "overdue" if it.overdue_since(day) else it.status.value
                due = it.content.due_date
                return cls(status, totals.total, totals.tax_total, it.balance_due, due)
            case Payment(entry=received):
                worth = received.worth.amount
                return cls(it.status.value, worth, None, it.unapplied.amount)
            case Credit(entry=entry):
                tax = entry.totals.tax_total if entry.totals else None
                amount = entry.amount.amount
                return cls(it.status(day).value, amount, tax, it.remaining.amount)
            case _:
                assert_never(it)


class SimulatedDocument(Value):
    """A document that would be another; null where it would not be at all."""

    type: str  # invoice, payment, credit
    id: UUID
    number: str | None
    client_id: UUID  # after merges
    currency: str
    actual: DocumentThen
    simulated: DocumentThen | None

    @classmethod
    def of(
        cls,
        it: Invoice | Payment | Credit,
        history: History,
        actual: DocumentThen,
        simulated: DocumentThen | None,
    ) -> Self:
        match it:
            case Invoice(number=number, currency=currency):
                kind, home = "invoice", it.content.client_id
            case Payment(entry=received):
                kind, number, currency = "payment", None, received.worth.currency
                home = received.client_id
            case Credit(entry=entry):
                kind, number, currency, home = "credit", entry.number, it.currency, entry.client_id
            case _:
                assert_never(it)
        owner = history.owner(home).id
        return cls(kind, it.id, number, owner, currency, actual, simulated)


class Simulation(Value, kw_only=True):
    """What would be otherwise. Currencies stand side by side and are never added up."""

    position: int  # of the last fact that was replayed
    until: datetime  # the instant it speaks of
    day: date  # of it, in the workspace's time zone
    facts: int  # that were replayed
    by_currency: dict[str, SimulatedFigures]
    clients: list[SimulatedClient]  # those for whom something differs come first
    clients_left_off: int
    documents: list[SimulatedDocument]
    documents_left_off: int
    conflicts: list[Conflict]  # what was recorded and could not have been
    conflicts_left_off: int
