"""Invoices: drafted, sent under a number, paid; what they owe always follows from their facts."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.credit_note import Note
from zeroinvoice.domain.credited import (
    Credited,
    CreditedEvent,
    InvoiceCredited,
    InvoiceCreditNoteIssued,
    InvoiceCreditNoteRefunded,
    InvoiceCreditNoteVoided,
    InvoiceCreditReversed,
)
from zeroinvoice.domain.invoice_content import Buyer as Buyer
from zeroinvoice.domain.invoice_content import Content as Content
from zeroinvoice.domain.invoice_content import Deposit as Deposit
from zeroinvoice.domain.invoice_content import Handling as Handling
from zeroinvoice.domain.invoice_content import Period as Period
from zeroinvoice.domain.invoice_written import BuyerErased as BuyerErased
from zeroinvoice.domain.invoice_written import InvoiceAmended as InvoiceAmended
from zeroinvoice.domain.invoice_written import InvoiceDrafted as InvoiceDrafted
from zeroinvoice.domain.invoice_written import InvoiceRevised as InvoiceRevised
from zeroinvoice.domain.invoice_written import InvoiceSent as InvoiceSent
from zeroinvoice.domain.invoice_written import WrittenEvent
from zeroinvoice.domain.lines import Totals, assert_en16931
from zeroinvoice.domain.paid import (
    InvoiceOverpaymentRecorded,
    InvoiceOverpaymentReversed,
    InvoicePaymentRefunded,
    Paid,
    PaidEvent,
    PaymentPart,
)
from zeroinvoice.domain.paid import InvoicePaymentApplied as InvoicePaymentApplied
from zeroinvoice.domain.paid import InvoicePaymentReversed as InvoicePaymentReversed
from zeroinvoice.domain.workspace import Seller
from zeroinvoice.kernel.facts import NIL, Event, Events, Personal, State, erased
from zeroinvoice.kernel.money import ZERO, Money
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused


class Status(StrEnum):
    DRAFT = "draft"
    SENT = "sent"
    PAID = "paid"
    CANCELLED = "cancelled"
    WRITTEN_OFF = "written_off"


REACHABLE: dict[Status, tuple[str, ...]] = {
    Status.DRAFT: ("sent", "cancelled"),
    Status.SENT: ("sent", "paid", "cancelled", "written_off"),
    Status.PAID: (),
    Status.CANCELLED: (),
    Status.WRITTEN_OFF: ("sent",),
}


# Events


class InvoiceSentAgain(Event):
    pass


class InvoiceDiscarded(Event):
    """A draft was deleted; it never had a number."""


class InvoiceCancelled(Personal):
    reason: str | None = None

    def redacted(self) -> Self:
        return self.but(reason=erased(self.reason))


class InvoiceWrittenOff(Personal):
    amount: Decimal  # the balance given up
    reason: str | None = None

    def redacted(self) -> Self:
        return self.but(reason=erased(self.reason))


class InvoiceReinstated(Event):
    """A write-off was taken back."""


InvoiceEvent = (
    WrittenEvent
    | InvoiceSentAgain
    | InvoiceDiscarded
    | InvoiceCancelled
    | InvoiceWrittenOff
    | InvoiceReinstated
    | PaidEvent
    | CreditedEvent
)

# State

_NO_DAY = date(1970, 1, 1)
_BLANK = Content(
    client_id=NIL, currency="USD", lines=(), issue_date=_NO_DAY, due_date=_NO_DAY, payment_terms=""
)
_NOTHING = Totals("USD", (), (), (), ZERO, ZERO, ZERO, (), ZERO, ZERO)


class Invoice(State[InvoiceEvent]):
    status: Status = Status.DRAFT
    content: Content = _BLANK
    handling: Handling = Handling()
    totals: Totals = _NOTHING
    number: str | None = None
    seller: Seller = Seller()
    buyer: Buyer | None = None
    written_off: Decimal = ZERO
    received: Paid = Paid()
    credited: Credited = Credited()
    discarded: bool = False
    sent_at: datetime | None = None
    paid_at: datetime | None = None
    cancelled_at: datetime | None = None

    def subject(self, event: InvoiceEvent) -> UUID:
        """Whom it was written for; of what names the buyer, the client they were then."""
        home = self.content.client_id
        return event.buyer.client_id or home if isinstance(event, InvoiceSent) else home

    def evolve(self, event: InvoiceEvent) -> Self:
        match event:
            case InvoiceDrafted() | InvoiceRevised():
                return self.but(content=event.content, handling=event.handling, totals=event.totals)
            case InvoiceSent(number=number, issue_date=issued, due_date=due):
                content = self.content.but(
                    issue_date=issued, issue_date_chosen=True, due_date=due, due_date_chosen=True
                )
                sent = self.but(
                    status=Status.SENT,
                    number=number,
                    content=content,
                    seller=event.seller,
                    buyer=event.buyer,
                    sent_at=self.changed_at,
                )
                return sent._settled()
            case InvoiceSentAgain():
                return self
            case InvoiceAmended(handling=handling, due_date=due):
                return self.but(handling=handling, content=self.content.but(due_date=due))
            case InvoiceDiscarded():
                return self.but(discarded=True)
            case InvoiceCancelled():
                return self.but(status=Status.CANCELLED, cancelled_at=self.changed_at)
            case InvoiceWrittenOff(amount=amount):
                return self.but(status=Status.WRITTEN_OFF, written_off=amount)
            case InvoiceReinstated():
                return self.but(status=Status.SENT, written_off=ZERO)
            case BuyerErased(subjects=subjects):
                return self._without(subjects)
            case (
                InvoicePaymentApplied()
                | InvoicePaymentReversed()
                | InvoicePaymentRefunded()
                | InvoiceOverpaymentRecorded()
                | InvoiceOverpaymentReversed()
            ):
                return self.but(received=self.received.evolve(event, self.changed_at))._settled()
            case (
                InvoiceCredited()
                | InvoiceCreditReversed()
                | InvoiceCreditNoteIssued()
                | InvoiceCreditNoteRefunded()
                | InvoiceCreditNoteVoided()
            ):
                return self.but(credited=self.credited.evolve(event))._settled()
            case _:
                assert_never(event)

    def _without(self, subjects: tuple[UUID, ...]) -> Self:
        it = self
        if self.content.client_id in subjects:
            it = it.but(content=it.content.redacted(), handling=it.handling.redacted())
        if self.buyer is not None and (self.buyer.client_id or self.content.client_id) in subjects:
            it = it.but(buyer=self.buyer.redacted())
        return it

    def _settled(self) -> Self:
        """Paid when nothing is left, sent when something is."""
        if self.status is Status.SENT and not self.balance_due:
            return self.but(status=Status.PAID, paid_at=self.changed_at)
        if self.status is Status.PAID and self.balance_due:
            return self.but(status=Status.SENT, paid_at=None)
        return self

    @property
    def currency(self) -> str:
        return self.content.currency

    @property
    def balance_due(self) -> Decimal:
        """Total less what the customer withholds, what settles it and what is written off."""
        return self.totals.payable - self.settled - self.written_off

    @property
    def paid(self) -> Decimal:
        return self.received.amount

    @property
    def payments(self) -> tuple[PaymentPart, ...]:
        return self.received.parts

    @property
    def refunded(self) -> Decimal:
        """What of it was paid back, with its payments and by its credit notes."""
        return self.received.refunded + self.credited.refunded

    @property
    def settled(self) -> Decimal:
        """What payments and credits settle of it."""
        return self.paid + self.credited.amount

    @property
    def issued(self) -> bool:
        return self.number is not None

    def overdue_since(self, today: date) -> date | None:
        """The due day that has passed with something unpaid; due today is not overdue.

        With a deposit, the first instalment that is not covered decides.
        """
        if self.status is not Status.SENT or self.balance_due <= 0:
            return None
        deposit = self.content.deposit
        if deposit is not None and self.settled < self.deposit_amount and deposit.due_date < today:
            return deposit.due_date
        return self.content.due_date if self.content.due_date < today else None

    @property
    def deposit_amount(self) -> Decimal:
        deposit = self.content.deposit
        if deposit is None:
            return ZERO
        if deposit.type == "amount":
            return deposit.value
        share = self.totals.payable * deposit.value / 100
        return Money(share, self.currency).rounded().amount

    # Decisions

    def draft(self, content: Content, handling: Handling, totals: Totals) -> Events:
        assert self.version == 0, "an invoice is drafted once"
        yield InvoiceDrafted(content, handling, totals)

    def revise(self, content: Content, handling: Handling, totals: Totals) -> Events:
        """Rewrite a draft; of an issued invoice, only its handling and a later due date.

        Raises `Refused` `invoice_locked` with the fields that may not change any more.
        """
        self.assert_there()
        if self.status is Status.DRAFT:
            if (content, handling, totals) != (self.content, self.handling, self.totals):
                yield InvoiceRevised(content, handling, totals)
            return
        due = content.due_date
        settled = self.content.but(
            due_date=due,  # of which only the day counts now, not who chose it
            due_date_chosen=content.due_date_chosen,
            issue_date_chosen=content.issue_date_chosen,
        )
        if content != settled or due < self.content.due_date:
            raise Refused(
                f"This invoice is {self.status.replace('_', ' ')}; what it says cannot change.",
                code="invoice_locked",
                fields=_differing(self.content, content),
                hint="issue a credit note or duplicate",
            )
        if handling != self.handling or due != self.content.due_date:
            yield InvoiceAmended(handling, due)

    def send(
        self, number: str, issue_date: date, due_date: date, seller: Seller, buyer: Buyer
    ) -> Events:
        """Issue a draft under its number: from here on it is a legal document."""
        self.assert_sendable()
        if due_date < issue_date:
            raise Invalid(
                f"It would be due on {due_date}, before its issue date {issue_date}.",
                code="due_before_issue",
            )
        assert_en16931(self.totals, paid=self.paid, due=self.balance_due)
        yield InvoiceSent(number, issue_date, due_date, seller, buyer)

    def send_again(self) -> Events:
        self.assert_there()
        if self.status is not Status.SENT:
            raise self._refusal("sent")
        yield InvoiceSentAgain()

    def assert_sendable(self) -> None:
        self.assert_there()
        if self.status is not Status.DRAFT:
            raise self._refusal("sent")
        if not self.content.lines:
            raise Invalid("An invoice needs a line before it can be sent.", code="no_lines")

    def discard(self) -> Events:
        """Delete a draft. An issued invoice stays; it can only be cancelled or credited."""
        self.assert_there()
        if self.issued:
            raise Refused(
                f"Invoice {self.number} is issued and cannot be deleted.",
                code="use_cancel_or_credit_note",
            )
        yield InvoiceDiscarded()

    def cancel(self, reason: str | None) -> Events:
        """Take an unpaid invoice back; it keeps its number."""
        self.assert_there()
        if self.status is Status.CANCELLED:
            return
        if self.payments or self.credited.parts or self.credited.notes:
            raise Refused(
                f"Invoice {self.number} is paid or credited in part "
                f"({self.settled} {self.currency}); issue a credit note instead.",
                code="has_payments",
                allowed_transitions=list(REACHABLE[self.status]),
            )
        if self.status not in (Status.DRAFT, Status.SENT):
            raise self._refusal("cancelled")
        yield InvoiceCancelled(reason)

    def write_off(self, reason: str | None) -> Events:
        """Give up what is still owed as a bad debt."""
        self.assert_there()
        if self.status is Status.WRITTEN_OFF:
            return
        if self.status is not Status.SENT:
            raise self._refusal("written_off")
        yield InvoiceWrittenOff(self.balance_due, reason)

    def reinstate(self) -> Events:
        """Take a write-off back: the balance is owed again."""
        self.assert_there()
        if self.status is not Status.WRITTEN_OFF:
            raise self._refusal("sent")
        yield InvoiceReinstated()

    def receive(self, payment_id: UUID, amount: Money, received_on: date) -> Events:
        """Apply a payment, or a part of one, to what is due.

        Raises `Refused` for an invoice that takes no payment and `Invalid` `exceeds_balance`.
        """
        self.assert_payable()
        assert amount.amount > 0, "what is applied lowers the balance"
        if amount.currency != self.currency:
            raise Invalid(
                f"Invoice {self.number} is in {self.currency}, not {amount.currency}.",
                code="currency_mismatch",
            )
        self._assert_due(amount.amount)
        yield InvoicePaymentApplied(payment_id, amount.amount, received_on)

    def give_back(self, payment_id: UUID) -> Events:
        """Take back what a payment had settled here; the balance is due again."""
        amount = self.paid_by(payment_id)
        if not amount:
            return
        self._assert_not_written_off()
        yield InvoicePaymentReversed(payment_id, amount)

    def paid_by(self, payment_id: UUID) -> Decimal:
        """What of a payment stands here."""
        return self.received.by(payment_id)

    def pay_back(self, refunded: InvoicePaymentRefunded) -> Events:
        """Let go of a part of a payment that is paid back to the client; it is due again."""
        assert 0 < refunded.amount <= self.paid_by(refunded.payment_id), "it was paid"
        self._assert_not_written_off()
        yield refunded

    def overpay(self, payment_id: UUID, credit_id: UUID, amount: Decimal) -> Events:
        yield InvoiceOverpaymentRecorded(payment_id, credit_id, amount)

    def reverse_overpayment(self, payment_id: UUID, amount: Decimal) -> Events:
        yield InvoiceOverpaymentReversed(payment_id, amount)

    def credit(self, credited: InvoiceCredited, currency: str) -> Events:
        """Settle a part of what is due with a credit.

        Raises `Refused` for an invoice that takes none and `Invalid` `exceeds_balance`.
        """
        self.assert_payable("credit")
        assert credited.amount > 0, "what is applied lowers the balance"
        if currency != self.currency:
            raise Refused(
                f"Invoice {self.number} is in {self.currency}, not {currency}.",
                code="currency_mismatch",
            )
        if self.status is Status.PAID:
            raise Refused(f"Invoice {self.number} is paid.", code="invoice_paid")
        self._assert_due(credited.amount)
        yield credited

    def reverse_credit(self, application_id: UUID) -> Events:
        """Take back what an application of a credit had settled here."""
        part = self.credited.part(application_id)
        if part is None:
            return
        self._assert_not_written_off()
        yield InvoiceCreditReversed(part.credit_id, application_id, part.amount)

    def correct(self, note: Note) -> Events:
        """Take back some of what it charges, by a credit note."""
        self.assert_payable("credit note")
        yield from self.credited.correct(note, self.totals)

    def assert_payable(self, what: str = "payment") -> None:
        """Raises `Refused` when the invoice takes no payment, whatever is due on it."""
        self.assert_there()
        if self.status is Status.DRAFT:
            raise Refused("This invoice is a draft; send it first.", code="invoice_not_issued")
        if self.status in (Status.CANCELLED, Status.WRITTEN_OFF):
            raise Refused(
                f"Invoice {self.number} is {self.status.replace('_', ' ')} and takes no {what}.",
                code="invoice_closed",
                invoice_status=str(self.status),
            )

    def stay(self, goal: str) -> Events:
        """No step leads to `draft`, and none to `paid` but payments: only being there will do."""
        self.assert_there()
        if self.status != goal:
            raise self._refusal(goal)
        yield from ()

    def erase(self, subjects: tuple[UUID, ...]) -> Events:
        """Forget who these clients were."""
        if self._without(subjects) != self:
            yield BuyerErased(subjects)

    def assert_there(self) -> None:
        if self.discarded:
            raise Missing("There is no such invoice.")

    def _assert_due(self, amount: Decimal) -> None:
        if amount > self.balance_due:
            raise Invalid(
                f"Only {self.balance_due} {self.currency} is due on invoice {self.number}.",
                code="exceeds_balance",
                balance_due=str(self.balance_due),
                currency=self.currency,
            )

    def _assert_not_written_off(self) -> None:
        if self.status is Status.WRITTEN_OFF:
            raise Refused(
                f"Invoice {self.number} is written off; reinstate it first.",
                code="invoice_written_off",
            )

    def _refusal(self, goal: str) -> Refused:
        allowed = list(REACHABLE[self.status])
        return Refused(
            f"This invoice is {self.status.replace('_', ' ')} and cannot become {goal}.",
            code="wrong_state",
            invoice_status=str(self.status),
            allowed_transitions=allowed,
        )


def _differing(now: Content, then: Content) -> list[str]:
    return [name for name in Content.__struct_fields__ if getattr(now, name) != getattr(then, name)]
