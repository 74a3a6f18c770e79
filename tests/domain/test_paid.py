"""What an invoice is paid with: a refund takes back the part that came last."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.paid import InvoicePaymentApplied, InvoicePaymentRefunded, Paid

ONE, OTHER, REFUND = UUID(int=1), UUID(int=2), UUID(int=3)
DAY = date(2026, 3, 1)


def after(*events: InvoicePaymentApplied | InvoicePaymentRefunded) -> Paid:
    paid = Paid()
    for event in events:
        paid = paid.evolve(event, None)
    return paid


def test_a_refund_takes_back_the_latest_part_of_its_payment_first() -> None:
    """R-MON-11: the parts always add up to the amount, also where a payment has two."""
    paid = after(
        InvoicePaymentApplied(ONE, Decimal("0.25"), DAY),
        InvoicePaymentApplied(ONE, Decimal("0.25"), DAY),
        InvoicePaymentApplied(OTHER, Decimal("0.10"), DAY),
        InvoicePaymentRefunded(ONE, REFUND, Decimal("0.30"), DAY),
    )
    assert [(it.payment_id, it.amount) for it in paid.parts] == [
        (ONE, Decimal("0.20")),
        (OTHER, Decimal("0.10")),
    ]
    assert paid.amount == sum(it.amount for it in paid.parts)
    assert paid.refunded == Decimal("0.30")
