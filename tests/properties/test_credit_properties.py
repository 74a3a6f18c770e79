"""Credits, payments and invoices together: whatever is done, no cent is made and none is lost."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import reject, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zeroinvoice.domain import billing, collecting, crediting, refunding
from zeroinvoice.domain.account import Account
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, PaymentSettings, Profile
from zeroinvoice.domain.collecting import RecordPayment
from zeroinvoice.domain.credit import Credit, CreditApplied, CreditRefunded, CreditUnapplied
from zeroinvoice.domain.credit_ledger import CreditLedger
from zeroinvoice.domain.credited import InvoiceCredited, InvoiceCreditReversed
from zeroinvoice.domain.crediting import ApplyCredit, IssueCredit
from zeroinvoice.domain.invoice import (
    Invoice,
    InvoicePaymentApplied,
    InvoicePaymentReversed,
    InvoiceReinstated,
    InvoiceWrittenOff,
    Status,
)
from zeroinvoice.domain.paid import InvoicePaymentRefunded
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.payment import Status as PaymentStatus
from zeroinvoice.domain.refunding import RefundCredit, RefundPayment
from zeroinvoice.domain.workspace import Settings, Workspace
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.memory import MemoryStore
from zeroinvoice.journal.recorder import MemoryFactRecorder
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Fact, Origin, State
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Refusal, Unavailable

cents = st.integers(1, 12_000).map(lambda it: Decimal(it) / 100)
few = st.integers(0, 5)
rates = st.sampled_from([None, Decimal("19"), Decimal("33.3333")])
NONE = Decimal(0)
LIMIT = 6  # of each kind of thing
S = TypeVar("S", bound=State[Any])


class Journaled:
    """The real committer, on a journal in memory; what is in it is read back and folded."""

    def __init__(self) -> None:
        self.tenant = new_id()
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)
        self.facts: dict[UUID, list[Fact]] = {}
        self.states: dict[UUID, State[Any]] = {}
        self._recorder = MemoryFactRecorder()
        self._mapper = Journal(self._recorder).facts_mapper
        self._committer = Committer(MemoryStore(self._recorder), self._mapper, lambda: self.now)
        self._loop = asyncio.new_event_loop()
        self._read = 0
        self._loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self._committer.start()

    async def _submitted(self, decision: Callable[[Desk], Any]) -> Any:
        command = Command(self.tenant, Origin(Actor("system"), new_id()), decision)
        try:
            return (await self._committer.submit(command)).answer
        except Unavailable:  # the machine stood still for seconds, which tells nothing of credits
            reject()

    def close(self) -> None:
        self._loop.run_until_complete(self._committer.stop())
        self._loop.close()

    def decide(self, decision: Callable[[Desk], Any]) -> Any:
        self.now += timedelta(seconds=1)
        answer = self._loop.run_until_complete(self._submitted(decision))
        for row in self._recorder.rows[self._read :]:
            fact = self._mapper.fact(*row[:6])
            self.facts.setdefault(fact.stream, []).append(fact)
            before = self.states.get(fact.stream) or Client(id=fact.stream)
            self.states[fact.stream] = before.told(fact.event, fact.at)
        self._read = len(self._recorder.rows)
        return answer

    def attempt(self, decision: Callable[[Desk], Any]) -> None:
        """A refused command leaves no fact."""
        try:
            self.decide(decision)
        except Refusal:
            assert len(self._recorder.rows) == self._read

    def all(self, kind: type[S]) -> list[S]:
        return [it for it in self.states.values() if isinstance(it, kind)]


class Money(RuleBasedStateMachine):
    """One client, and everything that may happen to what it owes and is owed."""

    def __init__(self) -> None:
        super().__init__()
        self.books = Journaled()

    def teardown(self) -> None:
        self.books.close()

    @initialize(overpays=st.sampled_from([True, True, False]), by_itself=st.booleans())
    def open(self, overpays: bool, by_itself: bool) -> None:
        def opened(desk: Desk) -> UUID:
            workspace = desk.new(Workspace, self.books.tenant)
            desk.record(workspace, workspace.open(new_id(), Settings(name="Test")))
            client = desk.new(Client)
            client = desk.record(client, client.add(Profile("Acme Corp", "USD")))
            chosen = PaymentSettings(allow_overpayment=overpays, auto_apply_credits=by_itself)
            return desk.record(client, client.set_payment(chosen)).id

        self.client = self.books.decide(opened)
        for total in (100, 60):  # so that there is something to do from the first step on
            self.invoice([Decimal(total)], None)

    @rule(prices=st.lists(cents, min_size=1, max_size=3), rate=rates)
    def invoice(self, prices: list[Decimal], rate: Decimal | None) -> None:
        if len(self.books.all(Invoice)) == LIMIT:
            return
        lines = tuple(
            LineWritten(description="Work", unit_price=it, tax_rate=rate) for it in prices
        )

        def issued(desk: Desk) -> Invoice:
            draft = billing.draft(desk, DraftInvoice(client_id=self.client, line_items=lines))
            return billing.issue(desk, draft.id)

        self.books.decide(issued)

    @rule(which=few, amount=cents, whole=st.booleans())
    def pay(self, which: int, amount: Decimal, whole: bool) -> None:
        invoice = self._one(Invoice, which)
        if invoice:
            due = invoice.balance_due
            self._pay(amount=due if whole and due else amount, invoice_id=invoice.id)

    @rule(amount=cents)
    def prepay(self, amount: Decimal) -> None:
        self._pay(amount=amount, client_id=self.client)

    @rule(which=few, amount=cents)
    def correct_a_payment(self, which: int, amount: Decimal) -> None:
        it = self._one(Payment, which)
        if it:
            self.books.attempt(lambda desk: collecting.revise(desk, it.id, {"amount": amount}))

    @rule(which=few)
    def void_a_payment(self, which: int) -> None:
        it = self._one(Payment, which)
        if it:
            self.books.attempt(lambda desk: collecting.void(desk, it.id, None))

    @rule(which=few, amount=st.none() | cents, whole=st.booleans())
    def refund_a_payment(self, which: int, amount: Decimal | None, whole: bool) -> None:
        it = self._one(Payment, which)
        if it:
            amount = it.entry.amount.amount if whole else amount
            asked = RefundPayment(method="cash", amount=amount)
            self.books.attempt(lambda desk: refunding.refund_payment(desk, it.id, asked))

    @rule(kind=st.sampled_from(["goodwill", "prepayment", "overpayment"]), amount=cents)
    def give(self, kind: Any, amount: Decimal) -> None:
        self._issue(IssueCredit(type=kind, amount=amount))

    @rule(which=few, amount=st.none() | cents)
    def note(self, which: int, amount: Decimal | None) -> None:
        it = self._one(Invoice, which)
        if it:
            self._issue(IssueCredit(type="credit_note", invoice_id=it.id, amount=amount))

    @rule(credit=few, invoice=few, amount=st.none() | cents)
    def apply(self, credit: int, invoice: int, amount: Decimal | None) -> None:
        it, onto = self._one(Credit, credit), self._one(Invoice, invoice)
        if it and onto:
            asked = ApplyCredit(invoice_id=onto.id, amount=amount)
            self.books.attempt(lambda desk: crediting.apply(desk, self.client, it.id, asked))

    @rule(credit=few, part=few)
    def unapply(self, credit: int, part: int) -> None:
        it = self._one(Credit, credit)
        if it and it.applications:
            id = it.applications[part % len(it.applications)].application_id
            self.books.attempt(lambda desk: crediting.unapply(desk, self.client, it.id, id))

    @rule(credit=few, amount=st.none() | cents)
    def refund_a_credit(self, credit: int, amount: Decimal | None) -> None:
        it, asked = self._one(Credit, credit), RefundCredit(method="cash", amount=amount)
        if it:
            self.books.attempt(
                lambda desk: refunding.refund_credit(desk, self.client, it.id, asked)
            )

    @rule(credit=few)
    def void_a_credit(self, credit: int) -> None:
        it = self._one(Credit, credit)
        if it:
            self.books.attempt(lambda desk: crediting.void(desk, self.client, it.id, None))

    @rule(which=few, what=st.sampled_from([billing.cancel, billing.write_off]))
    def close(self, which: int, what: Callable[..., Invoice]) -> None:
        it = self._one(Invoice, which)
        if it:
            self.books.attempt(lambda desk: what(desk, it.id, None))

    @rule(which=few)
    def reinstate(self, which: int) -> None:
        it = self._one(Invoice, which)
        if it:
            self.books.attempt(lambda desk: billing.reinstate(desk, it.id))

    @invariant()
    def a_credit_is_what_was_applied_refunded_and_is_left(self) -> None:
        """Σ applied + refunded + remaining = issued, told from the facts alone."""
        for credit in self.books.all(Credit):
            parts: dict[UUID, Decimal] = {}
            refunded = Decimal(0)
            for event in (it.event for it in self.books.facts[credit.id]):
                match event:
                    case CreditApplied(application_id=part, amount=amount):
                        parts[part] = amount
                    case CreditUnapplied(application_id=part):
                        del parts[part]
                    case CreditRefunded(amount=amount):
                        refunded += amount
            applied, left = sum(parts.values(), Decimal(0)), credit.remaining.amount
            assert (credit.applied, credit.refunded) == (applied, refunded)
            assert min(applied, refunded, left) >= 0
            issued = Decimal(0) if credit.voided else credit.entry.amount.amount
            assert applied + refunded + left == issued

    @invariant()
    def what_is_due_follows_from_the_facts(self) -> None:
        """R-MON-11: total − payments − credits − write-offs + reversals, and never negative."""
        for invoice in self.books.all(Invoice):
            due, given_up = invoice.totals.payable, Decimal(0)
            for event in (it.event for it in self.books.facts[invoice.id]):
                match event:
                    case InvoicePaymentApplied(amount=it) | InvoiceCredited(amount=it):
                        due -= it
                    case (
                        InvoicePaymentReversed(amount=it)
                        | InvoicePaymentRefunded(amount=it)
                        | InvoiceCreditReversed(amount=it)
                    ):
                        due += it
                    case InvoiceWrittenOff(amount=it):
                        given_up = it
                    case InvoiceReinstated():
                        given_up = Decimal(0)
            assert invoice.balance_due == due - given_up >= 0
            if invoice.status in (Status.SENT, Status.PAID):
                assert (invoice.status is Status.PAID) == (not invoice.balance_due)
            assert 0 <= invoice.credited.refunded <= max(invoice.paid, Decimal(0))
            noted = sum(it.totals.payable for it in invoice.credited.notes)
            assert noted <= invoice.totals.payable

    @invariant()
    def both_legs_say_the_same(self) -> None:
        """G15: of every application, and of every credit note."""
        invoices, credits = self.books.all(Invoice), self.books.all(Credit)
        assert {
            (credit.id, part.application_id, part.invoice_id, part.amount)
            for credit in credits
            for part in credit.applications
            if not part.unapplied
        } == {
            (part.credit_id, part.application_id, invoice.id, part.amount)
            for invoice in invoices
            for part in invoice.credited.parts
        }
        notes = {it.id for it in credits if it.entry.type == "credit_note" and not it.voided}
        assert notes == {note.credit_id for it in invoices for note in it.credited.notes}

    @invariant()
    def a_payment_is_what_is_applied_kept_paid_back_and_left(self) -> None:
        """G13: and no more is paid back than was received."""
        for payment in self.books.all(Payment):
            if payment.status is PaymentStatus.VOIDED:
                continue
            entry = payment.entry
            kept = entry.overpaid.amount if entry.overpaid else Decimal(0)
            kept -= sum((it.overpaid for it in payment.refunds), Decimal(0))
            parts = (payment.applied.amount, payment.unapplied.amount, kept, payment.worth_refunded)
            assert sum(parts) == entry.worth.amount
            assert min(parts) >= 0
            assert payment.refunded <= entry.amount
            if entry.overpaid:
                credit = self.books.states[entry.overpaid.credit_id]
                assert isinstance(credit, Credit)
                assert credit.applied + credit.remaining.amount == kept
            for part in payment.allocations:
                invoice = self.books.states[part.invoice_id]
                assert isinstance(invoice, Invoice)
                assert invoice.paid_by(payment.id) == part.amount

    @invariant()
    def the_account_is_what_is_due_less_what_the_client_has_to_its_good(self) -> None:
        open_ = (Status.SENT, Status.PAID)
        owed = sum((it.balance_due for it in self.books.all(Invoice) if it.status in open_), NONE)
        owed -= sum((it.unapplied.amount for it in self.books.all(Payment)), NONE)
        left = {it.id: it.remaining for it in self.books.all(Credit) if it.remaining}
        owed -= sum((it.amount for it in left.values()), NONE)
        for account in self.books.all(Account):
            assert account.balances.get("USD").amount == owed
        for ledger in self.books.all(CreditLedger):
            assert {it.credit_id: it.left for it in ledger.held} == left

    def _pay(self, **asked: Any) -> None:
        if len(self.books.all(Payment)) < LIMIT:
            body = RecordPayment(method="cash", confirm_duplicate=True, **asked)
            self.books.attempt(lambda desk: collecting.record(desk, body))

    def _issue(self, asked: IssueCredit) -> None:
        if len(self.books.all(Credit)) < LIMIT:
            self.books.attempt(lambda desk: crediting.issue(desk, self.client, asked))

    def _one(self, kind: type[S], which: int) -> S | None:
        found = self.books.all(kind)
        return found[which % len(found)] if found else None


TestMoney = Money.TestCase
TestMoney.settings = settings(stateful_step_count=40)
TestMoney.pytestmark = [pytest.mark.timeout(3_600)]  # for five thousand examples
