"""Payments as a state: recorded, corrected, retracted, voided, receipted."""

from datetime import date
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from zeroinvoice.domain.payment import (
    Allocation,
    Payment,
    PaymentCorrected,
    PaymentReceipted,
    PaymentRecorded,
    PaymentRetracted,
    PaymentVoided,
    Receipt,
    Status,
    likeness,
)
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.refusals import Refused

TENANT, CLIENT, INVOICE = (UUID(int=it) for it in (1, 2, 3))
DAY = date(2026, 3, 1)
sixty = Money(Decimal("60.00"), "USD")
recorded = PaymentRecorded(
    client_id=CLIENT,
    amount=sixty,
    worth=sixty,
    method="cash",
    received_on=DAY,
    reference="R",
    allocations=(Allocation(INVOICE, "INV-1", Decimal("45.00")),),
)
receipt = PaymentReceipted(Receipt("RCT-1", DAY, ()))


def test_a_payment_is_applied_and_unapplied() -> None:
    payment = Payment.after(recorded)
    assert payment.status is Status.SUCCEEDED
    assert (payment.applied.text, payment.unapplied.text) == ("45.00", "15.00")


def test_a_payment_is_never_allocated_beyond_its_worth() -> None:
    too_much = recorded.but(allocations=(Allocation(INVOICE, "INV-1", Decimal("60.01")),))
    with pytest.raises(AssertionError):
        list(Payment().record(too_much))


def test_a_correction_that_changes_nothing_is_no_event() -> None:
    payment = Payment.after(recorded)
    assert list(payment.correct(recorded)) == []
    right = PaymentCorrected("S", None, "check", DAY, Decimal("1.00"))
    entry = recorded.but(reference="S", method="check", fee_amount=Decimal("1.00"))
    assert list(payment.correct(entry)) == [right]
    assert Payment.after(recorded, right).entry == entry


def test_a_voided_payment_settles_nothing_and_stays_voided() -> None:
    """Rule 6."""
    voided = Payment.after(recorded, PaymentVoided("twice"))
    assert (voided.status, voided.void_reason) == (Status.VOIDED, "twice")
    assert not voided.applied
    assert not voided.unapplied
    assert list(voided.void("again")) == []
    for refused in (voided.correct(recorded), voided.retract(), voided.record(recorded)):
        with pytest.raises(Refused) as no:
            list(refused)
        assert no.value.code == "payment_voided"


def test_a_gateways_payment_is_not_voided() -> None:
    """Rule 6."""
    payment = Payment.after(recorded.but(source="stripe"))
    with pytest.raises(Refused) as no:
        list(payment.void(None))
    assert no.value.code == "use_refund"


def test_a_receipt_is_of_one_entry() -> None:
    """Rule 7: what is entered anew has none yet."""
    assert Payment.after(recorded, receipt).receipt == receipt.receipt
    assert Payment.after(recorded, receipt, PaymentRetracted(), recorded).receipt is None


def test_payments_are_alike_in_client_amount_day_and_reference() -> None:
    """Rule 4: 60 and 60.00 are one amount; a missing reference is an empty one."""
    alike = likeness(TENANT, CLIENT, sixty, DAY, None)
    assert alike == likeness(TENANT, CLIENT, Money(Decimal(60), "USD"), DAY, "")
    others = {
        likeness(TENANT, uuid4(), sixty, DAY, None),
        likeness(TENANT, CLIENT, Money(Decimal(60), "EUR"), DAY, None),
        likeness(TENANT, CLIENT, Money(Decimal(61), "USD"), DAY, None),
        likeness(TENANT, CLIENT, sixty, date(2026, 3, 2), None),
        likeness(TENANT, CLIENT, sixty, DAY, "R"),
    }
    assert len(others) == 5
    assert alike not in others
