"""What an invoice is paid with: the parts that stand, and what went back of them."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.paid import (
    InvoiceOverpaymentRecorded,
    InvoiceOverpaymentReversed,
    InvoicePaymentApplied,
    InvoicePaymentRefunded,
    InvoicePaymentReversed,
    Paid,
    PaidEvent,
)

FIRST, SECOND, REFUND, CREDIT = (UUID(int=it) for it in range(1, 5))
DAY = date(2026, 3, 1)


def after(*events: PaidEvent) -> Paid:
    paid = Paid()
    for event in events:
        paid = paid.evolve(event, None)
    return paid


def applied(payment: UUID, amount: str) -> InvoicePaymentApplied:
    return InvoicePaymentApplied(payment, Decimal(amount), DAY)


def refunded(payment: UUID, amount: str) -> InvoicePaymentRefunded:
    return InvoicePaymentRefunded(payment, REFUND, Decimal(amount), DAY)


def test_a_refund_takes_from_the_latest_part_of_its_payment() -> None:
    """A part that is wholly paid back stands no more."""
    parts = applied(FIRST, "30"), applied(SECOND, "20"), applied(FIRST, "10")
    paid = after(*parts, refunded(FIRST, "15"))
    assert [(it.payment_id, it.amount) for it in paid.parts] == [(FIRST, 25), (SECOND, 20)]
    assert (paid.amount, paid.refunded, paid.by(FIRST)) == (45, 15, 25)
    assert after(*parts, refunded(FIRST, "40")).by(FIRST) == 0


def test_a_reversal_takes_all_of_a_payment() -> None:
    """It never was, so nothing is refunded."""
    reversed_ = InvoicePaymentReversed(FIRST, Decimal(30))
    paid = after(applied(FIRST, "30"), applied(SECOND, "20"), reversed_)
    assert (paid.amount, paid.refunded, len(paid.parts)) == (20, 0, 1)


def test_what_is_paid_too_much_is_no_part_of_it() -> None:
    over = InvoiceOverpaymentRecorded(FIRST, CREDIT, Decimal(5))
    paid = after(applied(FIRST, "30"), over)
    assert (paid.amount, paid.overpaid) == (30, 5)
    assert paid.evolve(InvoiceOverpaymentReversed(FIRST, Decimal(2)), None).overpaid == 3
