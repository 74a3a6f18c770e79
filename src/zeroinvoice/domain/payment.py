"""Payments: money received from a client, the invoices it settles, and what of it is left over."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.client import PaymentMethod
from zeroinvoice.domain.credit import RefundMethod
from zeroinvoice.domain.way import Station, Way
from zeroinvoice.kernel.facts import NIL, Event, Events, Personal, State, erased
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import EXACT, ROUNDING, ZERO, Money, digits_and_unit
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

MANUAL = "manual"  # the source of what somebody entered
GATEWAYS = frozenset({"stripe"})  # sources that moved the money themselves


class Status(StrEnum):
    SUCCEEDED = "succeeded"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    VOIDED = "voided"


class Allocation(Value):
    """A part of a payment that settles an invoice, in the invoice's currency."""

    invoice_id: UUID
    number: str  # the invoice's
    amount: Decimal


class Overpaid(Value):
    """What its invoices had no use for: a credit of the client's since then."""

    amount: Decimal  # in the invoices' currency
    credit_id: UUID
    invoice_id: UUID | None  # that is overpaid; None where one of several is not settled yet


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


class PaymentRecorded(Personal, kw_only=True, omit_defaults=True):
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
    allocations: tuple[Allocation, ...] = ()  # no more than it is worth
    overpaid: Overpaid | None = None  # what is left beside both is unapplied
    entered_for: UUID | None = None  # where what it settles makes it a merged client's instead
    since: int = 0  # that client's version at its latest merge that stood
    since_there: int = 0  # the same of the client whose it is
    via: Way = ()  # between the two, from the latter up to the former

    def redacted(self) -> Self:
        return self.but(reference=erased(self.reference), note=erased(self.note))


class PaymentCorrected(Personal):
    """What is written beside the money was put right; whole, as it is from now on."""

    reference: str | None
    note: str | None
    method: PaymentMethod
    received_on: date
    fee_amount: Decimal

    def redacted(self) -> Self:
        return self.but(reference=erased(self.reference), note=erased(self.note))


class PaymentRetracted(Event):
    """The entry was wrong: all it settled is owed again, and it is entered anew at once."""


class PaymentVoided(Personal):
    """It should never have been recorded: all it settled is owed again."""

    reason: str | None = None

    def redacted(self) -> Self:
        return self.but(reason=erased(self.reason))


class PaymentRefunded(Personal, kw_only=True, omit_defaults=True):
    """A part was paid back: of what was unapplied, else kept as a credit, else settling invoices.

    The three add up to `worth`.
    """

    refund_id: UUID
    amount: Money  # as received
    worth: Decimal  # of it, in the invoices' currency
    method: RefundMethod
    refunded_on: date
    unapplied: Decimal = ZERO
    overpaid: Decimal = ZERO
    allocations: tuple[Allocation, ...] = ()  # what each invoice gives back
    reference: str | None = None
    note: str | None = None

    def redacted(self) -> Self:
        return self.but(reference=erased(self.reference), note=erased(self.note))


class PaymentReceipted(Event):
    """A receipt was written for the client, under a number of its own series."""

    receipt: Receipt


class PayerErased(Event):
    """Who paid is forgotten; how much, when and for what stays."""


PaymentEvent = (
    PaymentRecorded
    | PaymentCorrected
    | PaymentRetracted
    | PaymentVoided
    | PaymentRefunded
    | PaymentReceipted
    | PayerErased
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
    refunds: tuple[PaymentRefunded, ...] = ()
    receipt: Receipt | None = None
    void_reason: str | None = None
    voided_at: datetime | None = None

    def subject(self, event: PaymentEvent) -> UUID:
        return self.entry.client_id

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
            case PaymentRefunded():
                refunds = (*self.refunds, event)
                back = sum((it.amount.amount for it in refunds), ZERO)
                whole = back == self.entry.amount.amount
                status = Status.REFUNDED if whole else Status.PARTIALLY_REFUNDED
                return self.but(status=status, refunds=refunds)
            case PaymentReceipted(receipt=receipt):
                return self.but(receipt=receipt)
            case PayerErased():
                return self.but(
                    entry=self.entry.redacted(),
                    refunds=tuple(it.redacted() for it in self.refunds),
                    void_reason=erased(self.void_reason),
                )
            case _:
                assert_never(event)

    @property
    def way(self) -> Way:
        """From whose it is up to the client it was entered for."""
        entry = self.entry
        if entry.entered_for is None:
            return (Station(entry.client_id, entry.since),)
        first = Station(entry.client_id, entry.since_there)
        return (first, *entry.via, Station(entry.entered_for, entry.since))

    @property
    def applied(self) -> Money:
        """What of its worth settles invoices now."""
        worth = self.entry.worth
        if self.status is Status.VOIDED:
            return Money.zero(worth.currency)
        parts = (Money(it.amount, worth.currency) for it in self.allocations)
        return sum(parts, Money.zero(worth.currency))

    @property
    def unapplied(self) -> Money:
        """What of its worth is left over: the client's, until it is allocated."""
        worth = self.entry.worth
        if self.status is Status.VOIDED:
            return Money.zero(worth.currency)
        back = sum((it.unapplied for it in self.refunds), ZERO)
        whole = sum((it.amount for it in self.entry.allocations), back)
        kept = self.entry.overpaid.amount if self.entry.overpaid else ZERO
        return worth - Money(whole + kept, worth.currency)

    @property
    def allocations(self) -> tuple[Allocation, ...]:
        """What of each invoice it settles, less what was paid back of it."""
        left = {it.invoice_id: it.amount for it in self.entry.allocations}
        for back in (it for refund in self.refunds for it in refund.allocations):
            left[back.invoice_id] -= back.amount
        return tuple(
            it.but(amount=left[it.invoice_id])
            for it in self.entry.allocations
            if left[it.invoice_id]
        )

    @property
    def refunded(self) -> Money:
        """What was paid back, as received."""
        return sum((it.amount for it in self.refunds), Money.zero(self.entry.amount.currency))

    @property
    def worth_refunded(self) -> Decimal:
        return sum((it.worth for it in self.refunds), ZERO)

    @property
    def from_gateway(self) -> bool:
        return self.entry.source in GATEWAYS

    # Decisions

    def record(self, entry: PaymentRecorded) -> Events:
        used = sum((it.amount for it in entry.allocations), ZERO)
        used += entry.overpaid.amount if entry.overpaid else ZERO
        assert used <= entry.worth.amount, "allocations are no more than the payment is worth"
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
        self._assert_not_refunded()
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
        self._assert_not_refunded()
        yield PaymentVoided(reason)

    def refund(self, refund: PaymentRefunded) -> Events:
        """Pay a part back. Raises `Invalid` `exceeds_refundable` beyond what was received."""
        self.assert_standing()
        parts = sum((it.amount for it in refund.allocations), refund.unapplied + refund.overpaid)
        assert parts == refund.worth, "a refund is taken from somewhere"
        left = self.refundable(self.entry.worth.amount)
        if refund.amount > left:
            raise self.beyond(left)
        yield refund

    def refundable(self, free: Decimal) -> Money:
        """What can be paid back, as received, where so much of its worth is still free."""
        rest = self.entry.amount - self.refunded
        worth = self.entry.worth.amount - self.worth_refunded
        if free >= worth:
            return rest
        unit = digits_and_unit(rest.currency)[1]
        units = ROUNDING.divide(EXACT.multiply(rest.amount, free), EXACT.multiply(worth, unit))
        return Money(unit * int(units), rest.currency)

    def worth_of(self, amount: Money) -> Decimal:
        """What a further refund is worth, so that all refunds together are worth the payment."""
        worth = self.entry.worth
        parts = EXACT.multiply(worth.amount, (self.refunded + amount).amount)
        whole = Money(ROUNDING.divide(parts, self.entry.amount.amount), worth.currency)
        return max(whole.rounded().amount - self.worth_refunded, ZERO)

    def amount_of(self, worth: Decimal) -> Money:
        """What a further refund of so much worth comes to in the currency received."""
        amount = self.entry.amount
        parts = EXACT.multiply(amount.amount, self.worth_refunded + worth)
        whole = Money(ROUNDING.divide(parts, self.entry.worth.amount), amount.currency)
        return max(whole.rounded() - self.refunded, Money.zero(amount.currency))

    def beyond(self, left: Money) -> Invalid:
        return Invalid(
            f"Only {left} of this payment can be paid back.",
            code="exceeds_refundable",
            refundable=left.text,
            currency=left.currency,
        )

    def write_receipt(self, receipt: Receipt) -> Events:
        self.assert_standing()
        assert self.receipt is None, "an entry has one receipt"
        yield PaymentReceipted(receipt)

    def erase(self) -> Events:
        """Forget who paid."""
        if self.evolve(PayerErased()) != self:
            yield PayerErased()

    def assert_standing(self) -> None:
        if self.status is Status.VOIDED:
            raise Refused("This payment is voided.", code="payment_voided")

    def _assert_not_refunded(self) -> None:
        if self.refunds:
            raise Refused(
                f"Of this payment {self.refunded} is refunded; what it settles is fixed.",
                code="payment_refunded",
                refunded=self.refunded.text,
                currency=self.refunded.currency,
            )

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
