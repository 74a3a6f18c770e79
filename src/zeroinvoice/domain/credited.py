"""What an invoice is credited with: the credits that settle it, the notes that correct it."""

from datetime import date
from decimal import Decimal
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.credit import CreditType
from zeroinvoice.domain.credit_note import Note, NoteLine, credited_nets
from zeroinvoice.domain.lines import Totals
from zeroinvoice.kernel.facts import Event, Events
from zeroinvoice.kernel.money import ZERO
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

# Events of an invoice


class InvoiceCredited(Event):
    """A part of a credit settles what is due."""

    credit_id: UUID
    application_id: UUID
    type: CreditType
    amount: Decimal
    applied_on: date


class InvoiceCreditReversed(Event):
    """What a credit had settled is due again."""

    credit_id: UUID
    application_id: UUID
    amount: Decimal


class InvoiceCreditNoteIssued(Event):
    """A credit note takes back some of what the invoice charges."""

    note: Note


class InvoiceCreditNoteRefunded(Event):
    """A part of a credit note was paid out in money."""

    credit_id: UUID
    amount: Decimal


class InvoiceCreditNoteVoided(Event):
    credit_id: UUID


CreditedEvent = (
    InvoiceCredited
    | InvoiceCreditReversed
    | InvoiceCreditNoteIssued
    | InvoiceCreditNoteRefunded
    | InvoiceCreditNoteVoided
)

# What they add up to


class CreditPart(Value):
    """What of a credit settles the invoice, since one application."""

    credit_id: UUID
    application_id: UUID
    amount: Decimal
    applied_on: date


class Credited(Value):
    parts: tuple[CreditPart, ...] = ()  # as they were applied
    notes: tuple[Note, ...] = ()  # that stand, as they were issued

    @property
    def amount(self) -> Decimal:
        """What credits settle of the balance."""
        return sum((it.amount for it in self.parts), ZERO)

    @property
    def refunded(self) -> Decimal:
        """What of the notes was paid out in money."""
        return sum((it.refunded for it in self.notes), ZERO)

    def rests(self, totals: Totals) -> list[Decimal]:
        """What may still be credited of each line's net."""
        nets = credited_nets(totals, self.lines)
        return [net - off for net, off in zip(totals.line_nets, nets, strict=True)]

    def quantity(self, line: int) -> Decimal:
        """What was credited of a line by quantity."""
        return sum((it.quantity or ZERO for it in self.lines if it.line == line), ZERO)

    @property
    def lines(self) -> list[NoteLine]:
        return [line for note in self.notes for line in note.lines]

    def part(self, application_id: UUID) -> CreditPart | None:
        return next((it for it in self.parts if it.application_id == application_id), None)

    def evolve(self, event: CreditedEvent) -> Self:
        match event:
            case InvoiceCredited():
                part = CreditPart(
                    event.credit_id, event.application_id, event.amount, event.applied_on
                )
                return self.but(parts=(*self.parts, part))
            case InvoiceCreditReversed(application_id=id):
                return self.but(parts=tuple(it for it in self.parts if it.application_id != id))
            case InvoiceCreditNoteIssued(note=note):
                return self.but(notes=(*self.notes, note))
            case InvoiceCreditNoteRefunded(credit_id=id, amount=amount):
                notes = (
                    it.but(refunded=it.refunded + amount) if it.credit_id == id else it
                    for it in self.notes
                )
                return self.but(notes=tuple(notes))
            case InvoiceCreditNoteVoided(credit_id=id):
                return self.but(notes=tuple(it for it in self.notes if it.credit_id != id))
            case _:
                assert_never(event)

    # Decisions

    def correct(self, note: Note, totals: Totals) -> Events:
        """Let one more note stand. Raises `Invalid` `exceeds_invoice`."""
        total = totals.total - sum((it.totals.total for it in self.notes), ZERO)
        payable = totals.payable - sum((it.totals.payable for it in self.notes), ZERO)
        if note.totals.total > total or note.totals.payable > payable:
            raise Invalid(
                f"Only {payable} {totals.currency} of this invoice is left to credit.",
                code="exceeds_invoice",
                creditable=str(payable),
                currency=totals.currency,
            )
        yield InvoiceCreditNoteIssued(note)

    def void(self, credit_id: UUID) -> Events:
        yield InvoiceCreditNoteVoided(credit_id)

    def pay_out(self, credit_id: UUID, amount: Decimal, paid: Decimal) -> Events:
        """Pay a note out. Raises `Invalid` `exceeds_paid` for more than payments brought in."""
        rest = max(paid - self.refunded, paid - paid)
        if amount > rest:
            raise Invalid(
                f"Only {rest} was paid on its invoice and is not refunded yet.",
                code="exceeds_paid",
                refundable=str(rest),
            )
        yield InvoiceCreditNoteRefunded(credit_id, amount)

    def assert_covered(self, paid: Decimal) -> None:
        """Raises `Refused` when less is paid now than the notes have paid out."""
        if self.refunded > paid:
            raise Refused(
                f"Credit notes on the invoice have paid out {self.refunded}; "
                "that much must stay paid.",
                code="refunded_by_credit_note",
                refunded=str(self.refunded),
            )
