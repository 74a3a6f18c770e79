"""What an invoice is paid with: the parts of payments that stand, and what went back of them."""

from datetime import date, datetime
from decimal import Decimal
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.facts import Event
from zeroinvoice.kernel.money import ZERO
from zeroinvoice.kernel.value import Value

# Events of an invoice


class InvoicePaymentApplied(Event):
    payment_id: UUID
    amount: Decimal  # in the invoice's currency
    received_on: date


class InvoicePaymentReversed(Event):
    payment_id: UUID
    amount: Decimal


class InvoicePaymentRefunded(Event):
    """A part of what a payment had settled here was paid back, and is owed again."""

    payment_id: UUID
    refund_id: UUID
    amount: Decimal
    refunded_on: date


class InvoiceOverpaymentRecorded(Event):
    """A payment was more than was due; the rest became a credit of the client's."""

    payment_id: UUID
    credit_id: UUID
    amount: Decimal


class InvoiceOverpaymentReversed(Event):
    """What was paid too much was paid back, or never came."""

    payment_id: UUID
    amount: Decimal


PaidEvent = (
    InvoicePaymentApplied
    | InvoicePaymentReversed
    | InvoicePaymentRefunded
    | InvoiceOverpaymentRecorded
    | InvoiceOverpaymentReversed
)

# What they add up to


class PaymentPart(Value):
    """What of one payment stands on the invoice."""

    payment_id: UUID
    amount: Decimal
    received_on: date
    at: datetime | None  # when it was recorded


class Paid(Value):
    parts: tuple[PaymentPart, ...] = ()  # as they were applied
    amount: Decimal = ZERO  # of the parts, together
    refunded: Decimal = ZERO  # of payments, in all
    overpaid: Decimal = ZERO  # kept as credits

    def evolve(self, event: PaidEvent, at: datetime | None) -> Self:
        match event:
            case InvoicePaymentApplied(payment_id=payment_id, amount=amount):
                part = PaymentPart(payment_id, amount, event.received_on, at)
                return self.but(parts=(*self.parts, part), amount=self.amount + amount)
            case InvoicePaymentReversed(payment_id=payment_id, amount=amount):
                parts = tuple(it for it in self.parts if it.payment_id != payment_id)
                return self.but(parts=parts, amount=self.amount - amount)
            case InvoicePaymentRefunded(amount=amount):
                return self.but(
                    parts=self._less(event),
                    amount=self.amount - amount,
                    refunded=self.refunded + amount,
                )
            case InvoiceOverpaymentRecorded(amount=amount):
                return self.but(overpaid=self.overpaid + amount)
            case InvoiceOverpaymentReversed(amount=amount):
                return self.but(overpaid=self.overpaid - amount)
            case _:
                assert_never(event)

    def by(self, payment_id: UUID) -> Decimal:
        """What of a payment stands here."""
        return sum((it.amount for it in self.parts if it.payment_id == payment_id), ZERO)

    def _less(self, event: InvoicePaymentRefunded) -> tuple[PaymentPart, ...]:
        """The parts without what was paid back, the latest of a payment first."""
        left, kept = event.amount, []
        for it in reversed(self.parts):
            back = min(left, it.amount) if it.payment_id == event.payment_id else ZERO
            left -= back
            if it.amount > back:
                kept.append(it.but(amount=it.amount - back))
        return tuple(reversed(kept))
