"""How the figures of receivables come about: of each the formula, its parts and its terms."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from zeroinvoice.domain.aging import Basis, Instalment, Scale
from zeroinvoice.domain.days_outstanding import PERIOD, countback, counted_back, month_start, simple
from zeroinvoice.domain.derivation import (
    Derivation,
    Term,
    added_up,
    of_bills,
    of_credit,
    of_paid,
    of_sales,
    of_unapplied,
    taken_off,
    worked_out,
)
from zeroinvoice.domain.receivable import Bill, Receivables
from zeroinvoice.kernel.money import ZERO, Money

OPEN = "of each open invoice, what it asks for less what settles it"


def derived(it: Receivables, day: date, scale: Scale, basis: Basis) -> dict[str, Derivation]:
    """Of what is owed in one currency at the end of a day, by the name of each figure."""
    return {**_open(it, day, scale, basis), **_beside(it, day), **_dso(it, day), **_paid(it, day)}


def _open(it: Receivables, day: date, scale: Scale, basis: Basis) -> dict[str, Derivation]:
    none = Money.zero(it.currency).amount

    def of(formula: str, which: Callable[[Instalment], bool]) -> Derivation:
        def share(bill: Bill) -> Decimal:
            return sum((part.amount for part in bill.instalments(day) if which(part)), ZERO)

        return added_up(formula, of_bills(it.bills, day, share), none)

    def bucket(name: str) -> Derivation:
        return of(f"{OPEN}: instalments {name} days", lambda part: _in(part, name))

    def _in(part: Instalment, name: str) -> bool:
        return scale.name(part.age(day, basis)) == name

    return {
        "outstanding": of(OPEN, lambda part: True),
        "overdue": of(f"{OPEN}: instalments past due", lambda part: part.due_date < day),
        **{f"buckets.{name}": bucket(name) for name in scale.names},
    }


def _beside(it: Receivables, day: date) -> dict[str, Derivation]:
    none = Money.zero(it.currency).amount
    outstanding, payments, credit = it.open(day), none - it.unapplied(day), none - it.credit(day)
    own = (Term("unapplied_payments", payments), Term("unapplied_credit", credit))
    return {
        "unapplied_payments": added_up(
            "less what was received and settles nothing yet", taken_off(of_unapplied(it, day)), none
        ),
        "unapplied_credit": added_up(
            "less what is left of credits that can be used", taken_off(of_credit(it, day)), none
        ),
        "unapplied": worked_out("unapplied_payments + unapplied_credit", payments + credit, *own),
        "net_receivable": worked_out(
            "outstanding + unapplied_payments + unapplied_credit",
            outstanding + payments + credit,
            Term("outstanding", none + outstanding),
            *own,
        ),
    }


def _dso(it: Receivables, day: date) -> dict[str, Derivation]:
    none, first = Money.zero(it.currency).amount, day - timedelta(PERIOD - 1)
    outstanding = none + it.open(day)
    late = sum((part.amount for part in it.instalments(day) if part.due_date < day), none)
    sales = none + it.sales(first, day, day)
    dso, best = simple(outstanding, sales), simple(outstanding - late, sales)
    by = (Term("dso.sales", sales), Term("dso.days", Decimal(PERIOD)))
    months = counted_back(outstanding, it.months_back(day)) or []
    walked = (
        Term(f"days of {month_start(day, back):%Y-%m}", counted)
        for back, counted in enumerate(months)
    )
    return {
        "dso.sales": added_up(
            "invoiced less credit notes, by the days of issue", of_sales(it, first, day, day), none
        ),
        "dso.simple": worked_out(
            "outstanding × days ÷ sales", dso, Term("outstanding", outstanding), *by
        ),
        "dso.countback": worked_out(
            "the days of the latest months whose sales are still owed, a share of the last",
            countback(outstanding, it.months_back(day)),
            *walked,
        ),
        "dso.best_possible": worked_out(
            "(outstanding − overdue) × days ÷ sales",
            best,
            Term("outstanding", outstanding),
            Term("overdue", late),
            *by,
        ),
        "dso.average_days_delinquent": worked_out(
            "simple − best possible",
            dso - best if dso is not None and best is not None else None,
            Term("dso.simple", dso),
            Term("dso.best_possible", best),
        ),
    }


def _paid(it: Receivables, day: date) -> dict[str, Derivation]:
    parts = list(it.paid(day - timedelta(PERIOD - 1), day))
    paid = added_up("what was paid of invoices in the last 90 days", of_paid(parts, weighted=False))
    weighted = added_up("each amount × its days since the issue", of_paid(parts, weighted=True))
    assert paid.value is not None
    assert weighted.value is not None
    days = weighted.value / paid.value if paid.value else None
    return {
        "avg_days_to_pay_90d": worked_out(
            "Σ (amount × days) ÷ Σ amount",
            None if days is None else days.quantize(Decimal("0.01"), ROUND_HALF_UP),
            Term("weighted_days_90d", weighted.value),
            Term("paid_90d", paid.value),
        ),
        "weighted_days_90d": weighted,
        "paid_90d": paid,
    }
