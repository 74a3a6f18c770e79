"""Invoices: whatever is done to one, in whatever order, its balance follows from its facts."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from zeroinvoice.domain.credit_note import Note, NoteLine, further
from zeroinvoice.domain.credited import InvoiceCredited, InvoiceCreditReversed
from zeroinvoice.domain.custom import kept
from zeroinvoice.domain.invoice import (
    Buyer,
    Content,
    Deposit,
    Handling,
    Invoice,
    InvoicePaymentApplied,
    InvoicePaymentReversed,
    InvoiceReinstated,
    InvoiceSent,
    InvoiceWrittenOff,
    Period,
    Status,
)
from zeroinvoice.domain.lines import Discount, Line, Tax, assert_en16931, price
from zeroinvoice.domain.paid import InvoicePaymentRefunded
from zeroinvoice.domain.workspace import Seller
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.mapper import StoredFact
from zeroinvoice.kernel.facts import Actor, Event, Fact, Origin, folded
from zeroinvoice.kernel.money import Money, digits_and_unit
from zeroinvoice.kernel.refusals import Invalid, Refusal

TENANT, INVOICE, REQUEST = (UUID(int=it) for it in (1, 2, 3))
PAYMENTS = [UUID(int=it) for it in range(10, 14)]
CREDITS = [UUID(int=it) for it in range(20, 24)]
DAY = date(2026, 3, 1)
ORIGIN = Origin(Actor("user", TENANT), REQUEST)
MAPPER = Journal().facts_mapper

days = st.dates(date(2026, 1, 1), date(2027, 12, 31))
texts = st.none() | st.text(max_size=12)
prices = st.decimals(-50, 2_000, places=4)
quantities = st.decimals(0, 50, places=3)
rates = st.sampled_from(["0", "5.5", "7", "19", "33.3333"]).map(Decimal)
taxes = st.builds(
    lambda code, rate, inclusive: Tax(
        code, f"{rate} %", rate, "S" if rate else "Z", inclusive=inclusive
    ),
    st.none() | st.just("VAT"),
    rates,
    st.booleans(),
)
withheld = Tax("WHT", "Withheld", Decimal(15), withholding=True)
lines = st.builds(
    lambda price, quantity, tax, held, off, sku: Line(
        description="Work",
        unit_price=price,
        quantity=quantity,
        taxes=(tax, withheld) if held else (tax,),
        discount=Discount("percent", off) if off else None,
        sku=sku,
        service_date=DAY,
    ),
    prices,
    quantities,
    taxes,
    st.booleans(),
    st.sampled_from([Decimal(0), Decimal("12.5"), Decimal(100)]),
    texts,
)
plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8) | prices
customs = st.dictionaries(
    st.text(min_size=1, max_size=8), plain | st.lists(plain, max_size=3), max_size=3
)
handlings = st.builds(
    lambda note, tags, custom, on, reminded: Handling(
        private_notes=note,
        tags=tuple(tags),
        custom=kept(custom),
        expected_payment_date=on,
        reminders_enabled=reminded,
    ),
    texts,
    st.lists(st.text(min_size=1, max_size=5), max_size=3),
    customs,
    st.none() | days,
    st.booleans(),
)


class Books(RuleBasedStateMachine):
    """One invoice, every verb, and a journal that keeps what they yield."""

    def __init__(self) -> None:
        super().__init__()
        self.invoice = Invoice(id=INVOICE)
        self.facts: list[Fact] = []
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def record(self, verb: Iterable[Event]) -> None:
        """All that a verb yields, or nothing when it refuses, as a desk does."""
        self.now += timedelta(minutes=7)
        before, facts = self.invoice, []
        try:
            for event in verb:
                self.invoice = self.invoice.told(event, self.now)
                version = self.invoice.version
                place = (TENANT, INVOICE, version, len(self.facts) + len(facts) + 1)
                facts.append(Fact(event, *place, self.now, ORIGIN))
        except Refusal:
            assert not facts, "a verb refuses before it yields"
            self.invoice = before
        self.facts += facts

    @initialize(total=st.integers(100, 90_000), issued=st.sampled_from([False, True, True]))
    def begin(self, total: int, issued: bool) -> None:
        """Mostly with something that is owed, so that there is much to do."""
        line = Line(description="Work", unit_price=Decimal(total) / 100)
        content = Content(
            client_id=TENANT,
            currency="USD",
            lines=(line,),
            issue_date=DAY,
            due_date=DAY,
            payment_terms="due_on_receipt",
        )
        self.record(self.invoice.draft(content, Handling(), price((line,), "USD")))
        if issued:
            self.send(number=1, due=DAY)

    @rule(
        written=st.lists(lines, min_size=1, max_size=4),
        currency=st.sampled_from(["USD", "JPY", "KWD"]),
        off=st.none() | st.sampled_from([Decimal("2.5"), Decimal(50)]),
        rounding=st.sampled_from(["document", "line"]),
        handling=handlings,
        due=days,
        share=st.none() | st.integers(1, 100),
        notes=texts,
    )
    def write(
        self,
        written: list[Line],
        currency: str,
        off: Decimal | None,
        rounding: Literal["document", "line"],
        handling: Handling,
        due: date,
        share: int | None,
        notes: str | None,
    ) -> None:
        discount = Discount("percent", off) if off else None
        try:
            totals = price(written, currency, discount=discount, tax_rounding=rounding)
        except Invalid:
            return
        content = Content(
            client_id=TENANT,
            currency=currency,
            lines=tuple(written),
            issue_date=DAY,
            due_date=due,
            payment_terms="net 30",
            discount=discount,
            deposit=Deposit("percent", Decimal(share), due) if share else None,
            service_period=Period(DAY, due) if due >= DAY else None,
            notes=notes,
        )
        self.record(self.invoice.revise(content, handling, totals))

    @rule(handling=handlings, due=days)
    def handle(self, handling: Handling, due: date) -> None:
        content = self.invoice.content.but(due_date=due)
        self.record(self.invoice.revise(content, handling, self.invoice.totals))

    @rule(number=st.integers(1, 9), due=days)
    def send(self, number: int, due: date) -> None:
        seller, buyer = Seller("Test Ltd"), Buyer("Acme Corp", email="billing@acme.example")
        self.record(self.invoice.send(f"INV-2026-{number:05}", DAY, due, seller, buyer))

    @rule(payment=st.sampled_from(PAYMENTS), part=st.sampled_from([1, 30, 50, 100, 101]))
    def receive(self, payment: UUID, part: int) -> None:
        currency = self.invoice.currency
        share = Money(self.invoice.balance_due * part / 100, currency).rounded()
        least = Money(digits_and_unit(currency)[1], currency)
        self.record(self.invoice.receive(payment, max(share, least), DAY))

    @rule(payment=st.sampled_from(PAYMENTS))
    def give_back(self, payment: UUID) -> None:
        self.record(self.invoice.give_back(payment))

    @rule(payment=st.sampled_from(PAYMENTS), part=st.sampled_from([1, 50, 100]))
    def pay_back(self, payment: UUID, part: int) -> None:
        share = Money(self.invoice.paid_by(payment) * part / 100, self.invoice.currency).rounded()
        if share:
            back = InvoicePaymentRefunded(payment, REQUEST, share.amount, DAY)
            self.record(self.invoice.pay_back(back))

    @rule(credit=st.sampled_from(CREDITS), part=st.sampled_from([1, 30, 100, 101]))
    def credit(self, credit: UUID, part: int) -> None:
        currency = self.invoice.currency
        share = Money(self.invoice.balance_due * part / 100, currency).rounded()
        if share and not self.invoice.credited.part(credit):
            applied = InvoiceCredited(credit, credit, "goodwill", share.amount, DAY)
            self.record(self.invoice.credit(applied, currency))

    @rule(credit=st.sampled_from(CREDITS))
    def reverse_credit(self, credit: UUID) -> None:
        self.record(self.invoice.reverse_credit(credit))

    @rule(credit=st.sampled_from(CREDITS), parts=st.lists(st.integers(0, 100), min_size=4))
    def correct(self, credit: UUID, parts: list[int]) -> None:
        """A credit note of a part of what is left of each line."""
        invoice = self.invoice
        rests = invoice.credited.rests(invoice.totals)
        taken = tuple(
            NoteLine(number, "Work", Money(rest * part / 100, invoice.currency).rounded().amount)
            for number, (rest, part) in enumerate(zip(rests, parts, strict=False), 1)
        )
        totals = further(invoice.content.lines, invoice.totals, invoice.credited.notes, taken)
        self.record(invoice.correct(Note(credit, "CN-1", taken, totals)))

    @rule(reason=texts)
    def write_off(self, reason: str | None) -> None:
        self.record(self.invoice.write_off(reason))

    @precondition(lambda self: self.invoice.version > 4)
    @rule(reason=texts)
    def cancel(self, reason: str | None) -> None:
        self.record(self.invoice.cancel(reason))

    @rule(what=st.sampled_from(["reinstate", "send_again"]))
    def go_on(self, what: str) -> None:
        self.record(getattr(self.invoice, what)())

    @precondition(lambda self: self.invoice.version > 6)
    @rule()
    def discard(self) -> None:
        self.record(self.invoice.discard())

    @invariant()
    def what_is_due_follows_from_the_facts(self) -> None:
        """R-MON-11: and it is never negative."""
        paid = credited = written_off = Decimal(0)
        for fact in self.facts:
            match fact.event:
                case InvoicePaymentApplied(amount=amount):
                    paid += amount
                case InvoicePaymentReversed(amount=amount) | InvoicePaymentRefunded(amount=amount):
                    paid -= amount
                case InvoiceCredited(amount=amount):
                    credited += amount
                case InvoiceCreditReversed(amount=amount):
                    credited -= amount
                case InvoiceWrittenOff(amount=amount):
                    written_off += amount
                case InvoiceReinstated():
                    written_off = Decimal(0)
        invoice = self.invoice
        due = invoice.totals.payable - paid - credited - written_off
        assert invoice.balance_due == due >= 0
        assert invoice.credited.amount == credited >= 0
        assert sum((it.amount for it in invoice.payments), Decimal(0)) == paid >= 0
        if invoice.status in (Status.SENT, Status.PAID):
            assert (invoice.status is Status.PAID) == (not invoice.balance_due)
        if invoice.status is Status.WRITTEN_OFF:
            assert not invoice.balance_due
            assert written_off > 0
        if invoice.status in (Status.DRAFT, Status.CANCELLED):
            assert paid == credited == written_off == 0

    @invariant()
    def credit_notes_never_take_back_more_than_was_charged(self) -> None:
        """A7-3: of the whole, and of no line."""
        invoice = self.invoice
        notes = invoice.credited.notes
        for whole, rest in zip(
            invoice.totals.line_nets, invoice.credited.rests(invoice.totals), strict=True
        ):
            assert min(whole, Decimal(0)) <= rest <= max(whole, Decimal(0))
        assert sum(it.totals.total for it in notes) <= invoice.totals.total
        assert sum(it.totals.payable for it in notes) <= invoice.totals.payable

    @invariant()
    def what_is_issued_adds_up_and_never_changes(self) -> None:
        """R-MON-10 and rule 5: from the issue on, only the due date moves, and only later."""
        invoice = self.invoice
        if not invoice.issued:
            return
        settled = invoice.settled + invoice.written_off
        assert_en16931(invoice.totals, paid=settled, due=invoice.balance_due)
        at = next(n for n, it in enumerate(self.facts, 1) if isinstance(it.event, InvoiceSent))
        then = Invoice.after(*(it.event for it in self.facts[:at]))
        due = invoice.content.due_date
        assert due >= then.content.due_date >= then.content.issue_date
        assert invoice.content == then.content.but(due_date=due)
        assert invoice.totals == then.totals
        assert (invoice.number, invoice.seller, invoice.buyer) == (
            then.number,
            then.seller,
            then.buyer,
        )

    @invariant()
    def the_journal_gives_back_what_it_was_told(self) -> None:
        """Every event survives being stored, and the stored ones add up to the same state."""
        read = [stored(fact) for fact in self.facts]
        assert read == self.facts
        assert folded(Invoice, INVOICE, read) == self.invoice

    @invariant()
    def events_alone_tell_the_state(self) -> None:
        assert timeless(Invoice.after(*(it.event for it in self.facts))) == timeless(self.invoice)


def stored(fact: Fact) -> Fact:
    """A fact as it is read after it was written."""
    written = MAPPER.to_stored_event(fact)
    assert isinstance(written, StoredFact)
    read: Fact = MAPPER.to_domain_event(written)
    return read


def timeless(invoice: Invoice) -> Invoice:
    """A state without its id and instants, which are the facts', not the events'."""
    no: dict[str, Any] = dict.fromkeys(
        ("created_at", "changed_at", "sent_at", "paid_at", "cancelled_at")
    )
    parts = tuple(it.but(at=None) for it in invoice.payments)
    return invoice.but(id=INVOICE, received=invoice.received.but(parts=parts), **no)


TestBooks = Books.TestCase
TestBooks.settings = settings(stateful_step_count=25)
TestBooks.pytestmark = [pytest.mark.timeout(3_600)]  # for five thousand examples
