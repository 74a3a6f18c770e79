"""How a client's figures come about: of each, by currency, the formula, its parts and its terms."""

from datetime import date
from decimal import Decimal

from zeroinvoice.domain.days_outstanding import ratio
from zeroinvoice.domain.derivation import (
    Derivation,
    Part,
    Term,
    added_up,
    of_bills,
    of_credit,
    of_dated,
    of_invoiced,
    of_paid,
    of_sales,
    worked_out,
)
from zeroinvoice.domain.receivable import Bill, Receivables
from zeroinvoice.kernel.money import Money

OPEN = "of each open invoice, what it asks for less what settles it"
MONEY = "money that settles invoices, less what was paid back"


def of_currency(
    it: Receivables, start: date, end: date, dso: Decimal | None, days: int
) -> dict[str, Derivation]:
    """Of the figures in one currency over a period; each name ends in the currency's code."""
    none, sold = Money.zero(it.currency).amount, it.sold(end)

    def late(bill: Bill) -> Decimal:
        return bill.open(end)

    overdue = [bill for bill in it.bills if bill.overdue(end)]
    open = added_up(OPEN, of_bills(it.bills, end, late), none)
    sales = added_up(
        "invoiced less credit notes, by the days of issue", of_sales(it, start, end, end), none
    )
    found = {
        "invoiced": added_up("what invoices ask for", of_invoiced(sold, start, end), none),
        "credit_notes": added_up("credit notes issued", of_dated(it.notes, start, end), none),
        "collected": added_up(MONEY, of_dated(it.money(), start, end), none),
        "lifetime_value": added_up(MONEY, of_dated(it.money(), date.min, date.max), none),
        "outstanding": open,
        "overdue": added_up(f"{OPEN}: if it is late", of_bills(overdue, end, late), none),
        "credits_available": added_up(
            "what is left of credits that can be used", of_credit(it, end), none
        ),
        "sales": sales,
        "dso": worked_out(
            "outstanding × days ÷ sales",
            dso,
            Term(f"outstanding.{it.currency}", open.value),
            Term(f"sales.{it.currency}", sales.value),
            Term("days", Decimal(days)),
        ),
        **_paid(it, start, end),
    }
    return {f"{name}.{it.currency}": derivation for name, derivation in found.items()}


def _paid(it: Receivables, start: date, end: date) -> dict[str, Derivation]:
    parts, days = list(it.paid(start, end)), it.days_to_pay(start, end)[0]
    paid = added_up("what was paid of invoices", of_paid(parts, weighted=False))
    weighted = added_up("each amount × its days since the issue", of_paid(parts, weighted=True))
    return {
        "paid": paid,
        "weighted_days": weighted,
        "avg_days_to_pay": worked_out(
            "Σ (amount × days) ÷ Σ amount",
            days if parts else None,
            Term(f"weighted_days.{it.currency}", weighted.value),
            Term(f"paid.{it.currency}", paid.value),
        ),
    }


def of_all(
    found: dict[str, Receivables],
    issued: list[Bill],
    start: date,
    end: date,
    avg_days_to_pay: Decimal | None,
) -> dict[str, Derivation]:
    """Of the figures that are no amounts: they count, or weigh, over all currencies."""
    in_full = [(day, it.due_date) for it in issued if (day := it.paid_on) is not None]
    on_time, many = sum(day <= due for day, due in in_full), len(in_full)
    terms = []
    for code, it in found.items():
        days, payments = it.days_to_pay(start, end)
        if payments:
            terms += [
                Term(f"avg_days_to_pay.{code}", days),
                Term(f"payments.{code}", Decimal(payments)),
            ]
    return {
        "invoice_count": added_up(
            "one for each invoice issued",
            (Part(it.seq, Decimal(1), it.issue_date) for it in issued),
        ),
        "paid_on_time_pct": worked_out(
            "paid on time × 100 ÷ paid in full",
            ratio(Decimal(on_time * 100), Decimal(many)),
            Term("paid on time", Decimal(on_time)),
            Term("paid in full", Decimal(many)),
        ),
        "avg_days_to_pay": worked_out(
            "Σ (days of a currency × its payments) ÷ Σ payments", avg_days_to_pay, *terms
        ),
    }
