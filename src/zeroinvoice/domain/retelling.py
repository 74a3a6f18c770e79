"""Retelling: facts as they would have been, had something before them been different.

What was decided stays decided as far as it still can be: money that came in is there, a credit
that was applied is applied. Where there is less room for it than there was, it is told up to that
room, and the rest is a conflict.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from zeroinvoice.domain import KIND_OF
from zeroinvoice.domain.credit import (
    Credit,
    CreditApplied,
    CreditIssued,
    CreditRefunded,
    CreditUnapplied,
)
from zeroinvoice.domain.credit_note import further
from zeroinvoice.domain.credited import (
    InvoiceCredited,
    InvoiceCreditNoteIssued,
    InvoiceCreditNoteRefunded,
    InvoiceCreditReversed,
)
from zeroinvoice.domain.history import History
from zeroinvoice.domain.invoice import (
    Invoice,
    InvoiceAmended,
    InvoiceDrafted,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceSent,
    InvoiceWrittenOff,
    Status,
)
from zeroinvoice.domain.lines import reckon
from zeroinvoice.domain.paid import (
    InvoiceOverpaymentRecorded,
    InvoiceOverpaymentReversed,
    InvoicePaymentApplied,
    InvoicePaymentRefunded,
    InvoicePaymentReversed,
)
from zeroinvoice.domain.payment import Allocation, Payment, PaymentRecorded, PaymentRefunded
from zeroinvoice.domain.supposing import Supposed
from zeroinvoice.domain.terms import due_date
from zeroinvoice.kernel.facts import Event, Fact
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import ZERO, Money
from zeroinvoice.kernel.value import Value

E = TypeVar("E", bound=Event)


class Conflict(Value, kw_only=True):
    """A fact that could not have been recorded as it is."""

    seq: int  # the fact's position in the journal
    resource_type: str  # invoice, payment, credit
    resource_id: UUID
    code: str
    detail: str
    amount: Decimal | None = None  # for which there is no room
    currency: str | None = None


class Retold(Value):
    facts: list[Fact]  # some of them changed, and without those that would not be
    history: History  # what they add up to
    conflicts: list[Conflict]


def retell(facts: Sequence[Fact], past: History, supposed: Supposed) -> Retold:
    """Facts as they would have been; `past` is what they add up to as they are."""
    telling = _Telling(past, supposed, _settled_at_once(facts))
    for fact in facts:
        telling.tell(fact)
    return Retold(telling.facts, telling.history, telling.conflicts)


def _settled_at_once(facts: Iterable[Fact]) -> dict[UUID, UUID]:
    """The application by which each credit note settled its own invoice when it was issued."""
    issued: dict[UUID, UUID] = {}
    found: dict[UUID, UUID] = {}
    for fact in facts:
        match fact.event:
            case InvoiceCreditNoteIssued(note=note):
                issued[note.credit_id] = fact.origin.request
            case InvoiceCredited(credit_id=id, application_id=application_id):
                if issued.get(id) == fact.origin.request:
                    found[id] = application_id
            case _:
                pass
    return found


class _Telling:
    """One pass over the facts, in their order."""

    def __init__(self, past: History, supposed: Supposed, at_once: dict[UUID, UUID]) -> None:
        self.history = History()
        self.facts: list[Fact] = []
        self.conflicts: list[Conflict] = []
        self._past = past
        self._supposed = supposed
        self._due: dict[UUID, date] = {}  # as it was recorded, of invoices due on another day
        self._repriced: set[UUID] = set()  # invoices with another tax
        self._at_once = at_once
        self._paid_out: dict[UUID, Decimal] = {}  # of a note, by the fact just told

    def tell(self, fact: Fact) -> None:
        event = self._instead(fact, fact.event)
        if event is not None:
            self._told(fact if event == fact.event else fact.but(event=event))
        if isinstance(event, CreditIssued) and fact.stream not in self._at_once:
            self._settle(fact, event)

    def _told(self, fact: Fact) -> None:
        self.history.tell(fact)
        self.facts.append(fact)

    def _instead(self, fact: Fact, event: Event) -> Event | None:
        """What would have been recorded; None for nothing."""
        if fact.stream in self._supposed.payments or fact.stream in self._supposed.credits:
            return None
        match event:
            case InvoiceDrafted() | InvoiceRevised():
                return self._written(fact.stream, event)
            case InvoiceSent():
                return self._sent(fact, event)
            case InvoiceAmended():
                return self._amended(fact, event)
            case InvoiceWrittenOff():
                return self._written_off(fact, event)
            case InvoiceReinstated():
                given_up = self._invoice(fact.stream).status is Status.WRITTEN_OFF
                return event if given_up else None
            case InvoicePaymentApplied(payment_id=id):
                parts = self.history.find(Payment, id).entry.allocations
                return _of(event, _part(parts, fact.stream))
            case InvoicePaymentReversed(payment_id=id):
                return _of(event, self._invoice(fact.stream).paid_by(id))
            case InvoicePaymentRefunded(payment_id=id, refund_id=refund_id):
                refunds = self.history.find(Payment, id).refunds
                parts = next((it.allocations for it in refunds if it.refund_id == refund_id), ())
                return _of(event, _part(parts, fact.stream))
            case InvoiceOverpaymentRecorded() | InvoiceOverpaymentReversed():
                return None if event.payment_id in self._supposed.payments else event
            case PaymentRecorded():
                return self._received(fact, event)
            case PaymentRefunded():
                return self._paid_back(fact.stream, event)
            case _:
                return self._of_credits(fact, event)

    def _of_credits(self, fact: Fact, event: Event) -> Event | None:
        """The same for what is recorded of credits, on their own streams and on invoices."""
        match event:
            case InvoiceCredited():
                return self._applied(fact, event)
            case InvoiceCreditReversed(application_id=id):
                part = self._invoice(fact.stream).credited.part(id)
                return _of(event, part.amount if part else ZERO)
            case InvoiceCreditNoteIssued():
                return self._noting(fact, event)
            case InvoiceCreditNoteRefunded(credit_id=id):
                return _of(event, self._paid_out.pop(id, ZERO))
            case CreditIssued():
                return self._issued(fact.stream, event)
            case CreditApplied(application_id=id, invoice_id=invoice_id):
                part = self._invoice(invoice_id).credited.part(id)
                return _of(event, part.amount if part else ZERO)
            case CreditUnapplied(application_id=id):
                applied = self.history.find(Credit, fact.stream).applications
                return event if any(it.application_id == id for it in applied) else None
            case CreditRefunded():
                return self._credit_paid_out(fact, event)
            case _:
                return event

    # Invoices

    def _written(
        self, id: UUID, event: InvoiceDrafted | InvoiceRevised
    ) -> InvoiceDrafted | InvoiceRevised:
        """With other taxes, if that is what it was issued with in the end."""
        issued, content = self._past.find(Invoice, id), event.content
        if not issued.issued:
            return event
        day = issued.content.issue_date
        lines = tuple(self._supposed.line(it, day) for it in content.lines)
        if lines == content.lines:
            return event
        self._repriced.add(id)
        totals = reckon(
            lines,
            content.currency,
            discount=content.discount,
            tax_rounding=event.totals.tax_rounding,
            rounding_adjustment=content.rounding_adjustment,
        )
        return event.but(content=content.but(lines=lines), totals=totals)

    def _sent(self, fact: Fact, event: InvoiceSent) -> InvoiceSent:
        invoice = self._invoice(fact.stream)
        least = min(invoice.totals.total, invoice.totals.payable)
        if least < 0:
            why = f"Invoice {event.number} would come to less than nothing."
            self._conflict(fact, "negative_total", why, Money(-least, invoice.currency))
        terms = self._supposed.due_terms(invoice.content.client_id, event.issue_date)
        due = event.due_date if terms is None else due_date(terms, event.issue_date)
        if due == event.due_date:
            return event
        self._due[fact.stream] = event.due_date
        return event.but(due_date=due)

    def _amended(self, fact: Fact, event: InvoiceAmended) -> InvoiceAmended:
        """A due date that was put off stays so, unless it would be later already."""
        was = self._due.get(fact.stream)
        if was is None:
            return event
        self._due[fact.stream], now = event.due_date, self._invoice(fact.stream).content.due_date
        if event.due_date == was or event.due_date < now:
            if event.due_date != was:
                why = f"The due date was put off to {event.due_date}, and would be {now} already."
                self._conflict(fact, "due_date_later", why)
            return event.but(due_date=now)
        return event

    def _written_off(self, fact: Fact, event: InvoiceWrittenOff) -> InvoiceWrittenOff | None:
        """What is given up is the balance, whatever that is."""
        invoice = self._invoice(fact.stream)
        if invoice.status is Status.SENT:
            return event.but(amount=invoice.balance_due)
        why = f"Of invoice {invoice.number} nothing would be left to write off."
        given_up = Money(event.amount, invoice.currency)
        self._conflict(fact, "nothing_to_write_off", why, given_up)
        return None

    # Payments

    def _received(self, fact: Fact, event: PaymentRecorded) -> PaymentRecorded:
        """What its invoices have no room for stays unapplied: the money is there."""
        parts: list[Allocation] = []
        for it in event.allocations:
            invoice = self._invoice(it.invoice_id)
            amount = min(it.amount, max(invoice.balance_due, ZERO))
            if amount < it.amount:
                left = Money(it.amount - amount, event.worth.currency)
                why = f"Invoice {it.number} would have no room for {left}; it stays unapplied."
                self._conflict(fact, "exceeds_balance", why, left)
            if amount:
                parts.append(it.but(amount=amount))
        return event.but(allocations=tuple(parts))

    def _paid_back(self, id: UUID, event: PaymentRefunded) -> PaymentRefunded:
        """What an invoice was not paid with is paid back of what is unapplied instead."""
        standing = self.history.find(Payment, id).allocations
        parts = (
            it.but(amount=min(it.amount, _part(standing, it.invoice_id)))
            for it in event.allocations
        )
        kept = tuple(it for it in parts if it.amount)
        rest = event.worth - event.overpaid - sum((it.amount for it in kept), ZERO)
        return event if kept == event.allocations else event.but(allocations=kept, unapplied=rest)

    # Credits

    def _noting(self, fact: Fact, event: InvoiceCreditNoteIssued) -> InvoiceCreditNoteIssued:
        """A note of a repriced invoice takes the same of its lines, with their taxes of then."""
        if fact.stream not in self._repriced:
            return event
        it, note = self._invoice(fact.stream), event.note
        totals = further(it.content.lines, it.totals, it.credited.notes, note.lines)
        return event.but(note=note.but(totals=totals))

    def _issued(self, id: UUID, event: CreditIssued) -> CreditIssued:
        if event.type != "credit_note" or event.invoice_id not in self._repriced:
            return event
        notes = self._invoice(event.invoice_id).credited.notes
        note = next(it for it in notes if it.credit_id == id)
        amount = event.amount.but(amount=note.totals.payable)
        return event.but(totals=note.totals, amount=amount)

    def _settle(self, fact: Fact, event: CreditIssued) -> None:
        """Let a note settle what is due of its invoice first, though nothing was when it came.

        No user decides that: where something would have been due, it would have been applied.
        """
        if event.type != "credit_note" or event.invoice_id is None:
            return
        invoice = self._invoice(event.invoice_id)
        amount = min(event.amount.amount, max(invoice.balance_due, ZERO))
        if amount:
            part, day = named(fact.stream, "settled at once"), event.issued_on
            credited = InvoiceCredited(fact.stream, part, event.type, amount, day)
            applied = CreditApplied(part, invoice.id, invoice.number or "", amount, day)
            self._told(fact.but(stream=invoice.id, event=credited, version=invoice.version + 1))
            self._told(fact.but(event=applied, version=fact.version + 1))

    def _applied(self, fact: Fact, event: InvoiceCredited) -> InvoiceCredited | None:
        """As much as the credit has and the invoice owes; of a note at its issue always all."""
        if event.credit_id in self._supposed.credits:
            return None
        credit, invoice = self.history.find(Credit, event.credit_id), self._invoice(fact.stream)
        most = min(credit.remaining.amount, max(invoice.balance_due, ZERO))
        if self._at_once.get(credit.id) == event.application_id:
            return _of(event, most)
        if event.amount > most:
            left = Money(event.amount - most, invoice.currency)
            if credit.remaining.amount == most:
                code, why = "exceeds_remaining", f"Of this credit {left} would not be there."
            else:
                code, why = "exceeds_balance", f"The invoice would have no room for {left}."
            self._conflict(fact, code, why, left)
        return _of(event, min(event.amount, most))

    def _credit_paid_out(self, fact: Fact, event: CreditRefunded) -> CreditRefunded | None:
        """Of a note no more than was paid on its invoice, of any credit no more than is left."""
        credit = self.history.find(Credit, fact.stream)
        most, code = credit.remaining.amount, "exceeds_remaining"
        if credit.entry.type == "credit_note" and credit.entry.invoice_id is not None:
            invoice = self._invoice(credit.entry.invoice_id)
            paid = max(invoice.paid - invoice.credited.refunded, ZERO)
            if paid < most:
                most, code = paid, "exceeds_paid"
        amount = min(event.amount, most)
        if amount < event.amount:
            left = Money(event.amount - amount, credit.currency)
            why = f"Of what was paid out {left} would not have been the client's."
            self._conflict(fact, code, why, left)
        self._paid_out[fact.stream] = amount
        return _of(event, amount)

    def _invoice(self, id: UUID) -> Invoice:
        return self.history.find(Invoice, id)

    def _conflict(self, fact: Fact, code: str, detail: str, left: Money | None = None) -> None:
        self.conflicts.append(
            Conflict(
                seq=fact.position,
                resource_type=KIND_OF[type(fact.event)],
                resource_id=fact.stream,
                code=code,
                detail=detail,
                amount=left.amount if left else None,
                currency=left.currency if left else None,
            )
        )


def _of(event: E, amount: Decimal) -> E | None:
    """The same event about so much; none about nothing."""
    return event.but(amount=amount) if amount else None


def _part(parts: Iterable[Allocation], invoice_id: UUID) -> Decimal:
    """What of a payment goes to an invoice."""
    return next((it.amount for it in parts if it.invoice_id == invoice_id), ZERO)
