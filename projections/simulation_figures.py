"""The two sides of a simulation: what is owed, taxed and waited for, as it is and would be."""

from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Self, TypeVar
from uuid import UUID

from projections.receivables import dso_of
from projections.simulation_view import (
    DaysFigure,
    DocumentThen,
    DsoFigure,
    Figure,
    SimulatedClient,
    SimulatedDocument,
    SimulatedFigures,
    TaxFigure,
)
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.history import History
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.receivable import Receivables
from zeroinvoice.domain.taxes import TaxRow
from zeroinvoice.kernel.money import ZERO, Money
from zeroinvoice.kernel.value import Value

# Both sides, made ready to be compared


TaxKey = tuple[str | None, str, str, Decimal, bool]  # code, name, category, rate, withheld
Taxes = dict[TaxKey, tuple[Decimal, Decimal]]  # base and tax


class Side(Value):
    """What is told by the end of a day, by the clients that stand for others and by currency."""

    history: History
    ledger: dict[UUID, dict[str, list[Receivables]]]
    taxes: dict[UUID, dict[str, Taxes]]

    @classmethod
    def of(cls, history: History, ledger: dict[tuple[UUID, str], Receivables], day: date) -> Self:
        by_owner: dict[UUID, dict[str, list[Receivables]]] = {}
        for (home, currency), found in ledger.items():
            if then := found.until(day):
                owned = by_owner.setdefault(history.owner(home).id, {})
                owned.setdefault(currency, []).append(then)
        return cls(history, by_owner, _taxes(history, day))


def _taxes(history: History, day: date) -> dict[UUID, dict[str, Taxes]]:
    """What was charged of each tax by a day, by owner and currency."""
    found: dict[UUID, dict[str, Taxes]] = {}

    def count(home: UUID, currency: str, rows: Iterable[TaxRow], sign: int) -> None:
        taxes = found.setdefault(history.owner(home).id, {}).setdefault(currency, {})
        for it in rows:
            key = (it.code, it.name, it.category, it.rate, it.withholding)
            base, tax = taxes.get(key, (ZERO, ZERO))
            taxes[key] = (base + sign * it.base, tax + sign * it.tax)

    for invoice in history.all(Invoice):
        cancelled = invoice.status is Status.CANCELLED
        if invoice.issued and not cancelled and invoice.content.issue_date <= day:
            rows = invoice.totals.tax_breakdown
            count(invoice.content.client_id, invoice.currency, rows, 1)
    for credit in history.all(Credit):
        entry = credit.entry
        if entry.totals is not None and not credit.voided and entry.issued_on <= day:
            count(entry.client_id, credit.currency, entry.totals.tax_breakdown, -1)
    return found


# Comparisons


def in_all(actual: Side, simulated: Side, day: date) -> dict[str, SimulatedFigures]:
    """The whole workspace, by currency."""
    return _compared(actual, simulated, list(actual.ledger), day)


def by_client(actual: Side, simulated: Side, day: date) -> list[SimulatedClient]:
    """Client by client; those for whom something would differ first."""
    found = []
    for id in actual.ledger:
        figures = _compared(actual, simulated, [id], day)
        found.append(SimulatedClient(id, actual.history.owner(id).profile.name, figures))
    return sorted(found, key=lambda it: (not _differ(it.by_currency), it.name, it.client_id))


def _compared(
    actual: Side, simulated: Side, owners: list[UUID], day: date
) -> dict[str, SimulatedFigures]:
    codes = sorted({code for id in owners for code in actual.ledger[id]})
    return {
        code: _figures(
            _together(actual, owners, code),
            _together(simulated, owners, code),
            _taxed(actual, owners, code),
            _taxed(simulated, owners, code),
            day,
        )
        for code in codes
    }


def _together(side: Side, owners: list[UUID], currency: str) -> Receivables:
    parts = [it for id in owners for it in side.ledger.get(id, {}).get(currency, ())]
    return Receivables(
        currency=currency,
        bills=tuple(it for part in parts for it in part.bills),
        goods=tuple(it for part in parts for it in part.goods),
        notes=tuple(it for part in parts for it in part.notes),
        payouts=tuple(it for part in parts for it in part.payouts),
    )


def _taxed(side: Side, owners: list[UUID], currency: str) -> Taxes:
    sums: Taxes = {}
    for id in owners:
        for key, (base, tax) in side.taxes.get(id, {}).get(currency, {}).items():
            more, taxed = sums.get(key, (ZERO, ZERO))
            sums[key] = (more + base, taxed + tax)
    return sums


def _figures(
    actual: Receivables,
    simulated: Receivables,
    taxes: Taxes,
    other_taxes: Taxes,
    day: date,
) -> SimulatedFigures:
    none = Money.zero(actual.currency).amount

    def figure(of: Callable[[Receivables], Decimal]) -> Figure:
        return Figure.of(none + of(actual), none + of(simulated))

    balance, overdue = figure(lambda it: _owed(it, day)), figure(lambda it: _late(it, day))
    dso = dso_of(actual, day, balance.actual, balance.actual - overdue.actual)
    other = dso_of(simulated, day, balance.simulated, balance.simulated - overdue.simulated)
    return SimulatedFigures(
        invoiced=figure(lambda it: sum((bill.payable for bill in it.sold(day)), ZERO)),
        credit_notes=figure(lambda it: sum((note.amount for note in it.notes), ZERO)),
        tax=Figure.of(none + _taxed_in_all(taxes), none + _taxed_in_all(other_taxes)),
        taxes=_rows(taxes, other_taxes, none),
        paid=figure(lambda it: it.collected(date.min, day)),
        credited=figure(_credited),
        written_off=figure(
            lambda it: sum((bill.left(day) for bill in it.standing("written_off", day)), ZERO)
        ),
        balance=balance,
        overdue=overdue,
        unapplied=figure(lambda it: it.unapplied(day)),
        open_credit=figure(lambda it: it.credit(day)),
        dso=DsoFigure(
            dso.days,
            DaysFigure.of(dso.simple, other.simple),
            DaysFigure.of(dso.countback, other.countback),
        ),
    )


def _owed(it: Receivables, day: date) -> Decimal:
    return sum((bill.open(day) for bill in it.bills), ZERO)


def _late(it: Receivables, day: date) -> Decimal:
    return sum((part.amount for part in it.instalments(day) if part.due_date < day), ZERO)


def _credited(it: Receivables) -> Decimal:
    parts = (part for bill in it.bills for part in bill.settlements)
    return sum((part.amount for part in parts if not part.in_money), ZERO)


def _taxed_in_all(taxes: Taxes) -> Decimal:
    return sum((tax for (*_, withheld), (_, tax) in taxes.items() if not withheld), ZERO)


def _rows(actual: Taxes, simulated: Taxes, none: Decimal) -> list[TaxFigure]:
    """A row for each rate of a tax that is or would be charged."""
    rows, nothing = [], (ZERO, ZERO)
    for key in {**actual, **simulated}:
        (base, tax), (other_base, other_tax) = actual.get(key, nothing), simulated.get(key, nothing)
        bases = Figure.of(none + base, none + other_base)
        rows.append(TaxFigure(*key, bases, Figure.of(none + tax, none + other_tax)))
    return sorted(rows, key=lambda it: (it.code or it.name, it.category, it.rate, it.withheld))


def _differ(found: dict[str, SimulatedFigures]) -> bool:
    """Whether anything is another than it was."""
    for it in found.values():
        figures = [getattr(it, name) for name in it.__struct_fields__ if name not in _NESTED]
        figures += [it.dso.simple, it.dso.countback]
        figures += [part for row in it.taxes for part in (row.base, row.tax)]
        if any(one.actual != one.simulated for one in figures):
            return True
    return False


_NESTED = ("taxes", "dso")


def by_document(actual: History, simulated: History, day: date) -> list[SimulatedDocument]:
    """Every document that would be another: invoices, then payments, then credits."""
    return [
        *_changed(Invoice, actual, simulated, day),
        *_changed(Payment, actual, simulated, day),
        *_changed(Credit, actual, simulated, day),
    ]


D = TypeVar("D", Invoice, Payment, Credit)


def _changed(
    kind: type[D], actual: History, simulated: History, day: date
) -> Iterable[SimulatedDocument]:
    for it in sorted(actual.all(kind), key=lambda it: it.id):
        other = simulated.find(kind, it.id)
        then = DocumentThen.of(it, day)
        instead = DocumentThen.of(other, day) if other.version else None
        if then != instead:
            yield SimulatedDocument.of(it, actual, then, instead)
