"""Payments: money received from a client, the invoices it settles, and what of it is left over."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.client import PaymentMethod
from zeroinvoice.kernel.facts import NIL, Event, Events, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import ZERO, Money
from zeroinvoice.kernel.refusals import Refused
from zeroinvoice.kernel.value import Value

MANUAL = "manual"  # the source of what somebody entered
GATEWAYS = frozenset({"stripe"})  # sources that moved the money themselves


class Status(StrEnum):
    SUCCEEDED = "succeeded"
    VOIDED = "voided"


class Allocation(Value):
    """A part of a payment that settles an invoice, in the invoice's currency."""

    invoice_id: UUID
    number: str  # the invoice's
    amount: Decimal


class Receipted(Value):
    """What a receipt says of one invoice: its total, what of it was paid here, what remains."""

    invoice_id: UUID
    number: str
    total: Decimal
    paid: Decimal  # by this payment
    balance_due: Decimal  # after it
    currency: str


class Receipt(Value):
    number: str
    issued_on: date
    invoices: tuple[Receipted, ...]


# Events


class PaymentRecorded(Event, kw_only=True, omit_defaults=True):
    """Money was received. After a `PaymentRetracted` it is entered again, put right."""

    client_id: UUID
    amount: Money  # as received
    worth: Money  # in the currency of the invoices: another only where `fx_rate` made it so
    method: PaymentMethod
    received_on: date
    source: str = MANUAL
    external_id: str | None = None  # what the source calls it
    reference: str | None = None
    note: str | None = None
    fee_amount: Decimal = ZERO  # of `amount`, kept by who carried the money; in its currency
    fx_rate: Decimal | None = None  # `fx_currency` for one of the amount's currency
    fx_currency: str | None = None
    allocations: tuple[Allocation, ...] = ()  # no more than it is worth; the rest is unapplied


class PaymentCorrected(Event):
    """What is written beside the money was put right; whole, as it is from now on."""

    reference: str | None
    note: str | None
    method: PaymentMethod
    received_on: date
    fee_amount: Decimal


class PaymentRetracted(Event):
    """The entry was wrong: all it settled is owed again, and it is entered anew at once."""


class PaymentVoided(Event):
    """It should never have been recorded: all it settled is owed again."""

    reason: str | None = None


class PaymentReceipted(Event):
    """A receipt was written for the client, under a number of its own series."""

    receipt: Receipt


PaymentEvent = (
    PaymentRecorded | PaymentCorrected | PaymentRetracted | PaymentVoided | PaymentReceipted
)

# State

_BLANK = PaymentRecorded(
    client_id=NIL,
    amount=Money(ZERO, "USD"),
    worth=Money(ZERO, "USD"),
    method="other",
    received_on=date(1970, 1, 1),
)


class Payment(State[PaymentEvent]):
    status: Status = Status.SUCCEEDED
    entry: PaymentRecorded = _BLANK  # as it was last entered, with its corrections
    receipt: Receipt | None = None
    void_reason: str | None = None
    voided_at: datetime | None = None

    def evolve(self, event: PaymentEvent) -> Self:
        match event:
            case PaymentRecorded():
                return self.but(entry=event)
            case PaymentCorrected():
                return self.but(entry=_corrected(self.entry, event))
            case PaymentRetracted():
                return self.but(receipt=None)
            case PaymentVoided(reason=reason):
                return self.but(status=Status.VOIDED, void_reason=reason, voided_at=self.changed_at)
            case PaymentReceipted(receipt=receipt):
                return self.but(receipt=receipt)
            case _:
                assert_never(event)

    @property
    def applied(self) -> Money:
        """What of its worth settles invoices now."""
        worth = self.entry.worth
        if self.status is Status.VOIDED:
            return Money.zero(worth.currency)
        parts = (Money(it.amount, worth.currency) for it in self.entry.allocations)
        return sum(parts, Money.zero(worth.currency))

    @property
    def unapplied(self) -> Money:
        """What of its worth is left over: the client's, until it is allocated."""
        worth = self.entry.worth
        if self.status is Status.VOIDED:
            return Money.zero(worth.currency)
        return worth - self.applied

    @property
    def from_gateway(self) -> bool:
        return self.entry.source in GATEWAYS

    # Decisions

    def record(self, entry: PaymentRecorded) -> Events:
        settled = sum((it.amount for it in entry.allocations), ZERO)
        assert settled <= entry.worth.amount, "allocations are no more than the payment is worth"
        self.assert_standing()
        yield entry

    def correct(self, entry: PaymentRecorded) -> Events:
        """Put what is written beside the money right, as this entry has it."""
        self.assert_standing()
        beside = PaymentCorrected.__struct_fields__
        right = PaymentCorrected(*[getattr(entry, name) for name in beside])
        if _corrected(self.entry, right) != self.entry:
            yield right

    def retract(self) -> Events:
        self.assert_standing()
        yield PaymentRetracted()

    def void(self, reason: str | None) -> Events:
        """Declare a recording error. Money that a gateway moved can only be moved back."""
        if self.status is Status.VOIDED:
            return
        if self.from_gateway:
            raise Refused(
                f"This payment was made through {self.entry.source}; refund it instead.",
                code="use_refund",
                source=self.entry.source,
            )
        yield PaymentVoided(reason)

    def write_receipt(self, receipt: Receipt) -> Events:
        self.assert_standing()
        assert self.receipt is None, "an entry has one receipt"
        yield PaymentReceipted(receipt)

    def assert_standing(self) -> None:
        if self.status is Status.VOIDED:
            raise Refused("This payment is voided.", code="payment_voided")

    def assert_amount_free(self) -> None:
        if self.from_gateway:
            raise Refused(
                f"This payment was made through {self.entry.source}; its amount cannot be edited.",
                code="gateway_payment",
                source=self.entry.source,
            )


def _corrected(entry: PaymentRecorded, right: PaymentCorrected) -> PaymentRecorded:
    """An entry with what is written beside its money put right."""
    return entry.but(**{name: getattr(right, name) for name in right.__struct_fields__})


# What a payment that is entered twice is recognised by


class LikePaymentRecorded(Event):
    payment_id: UUID


class LikePayments(State[LikePaymentRecorded]):
    """Payments of one client, amount, day and reference; it speaks of the latest."""

    latest: UUID = NIL

    def evolve(self, event: LikePaymentRecorded) -> Self:
        return self.but(latest=event.payment_id)

    def remember(self, payment_id: UUID) -> Events:
        yield LikePaymentRecorded(payment_id)


def likeness(
    tenant: UUID, client_id: UUID, amount: Money, received_on: date, reference: str | None
) -> UUID:
    """The one stream of all payments that look like this one."""
    parts = (str(client_id), amount.currency, amount.text, str(received_on))
    return named(tenant, "like-payments", *parts, reference or "")
