"""Payments and invoices together: whatever is recorded, corrected and voided, the money adds up."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from zeroinvoice.domain import billing, collecting
from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, PaymentSettings, Profile
from zeroinvoice.domain.collecting import AllocationAsked, RecordPayment
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.invoice import Invoice, InvoicePaymentApplied, InvoicePaymentReversed
from zeroinvoice.domain.invoice import Status as InvoiceStatus
from zeroinvoice.domain.payment import Payment, Status
from zeroinvoice.domain.workspace import Settings, Workspace
from zeroinvoice.kernel.desk import Desk, Place
from zeroinvoice.kernel.facts import State
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Refusal

cents = st.integers(1, 30_000).map(lambda it: Decimal(it) / 100)
few = st.integers(0, 5)
rates = st.sampled_from([None, Decimal("0.5"), Decimal("1.1"), Decimal("0.333333")])


class Ledger:
    """A journal in memory: a decision that is refused leaves nothing behind."""

    def __init__(self) -> None:
        self.tenant = new_id()
        self.states: dict[Place, State[Any]] = {}
        self.facts: list[tuple[UUID, Any]] = []
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def decide(self, decision: Callable[[Desk], Any]) -> Any:
        self.now += timedelta(seconds=1)
        desk = Desk(self.tenant, self.now, self._look)
        answer = decision(desk)
        for place, state in desk.opened.items():
            if state.version:
                self.states[place] = state
        self.facts += [(place[1], event) for place, _, event, _ in desk.recorded]
        return answer

    def attempt(self, decision: Callable[[Desk], Any]) -> Any:
        try:
            return self.decide(decision)
        except Refusal:
            return None

    def all(self, kind: type[State[Any]]) -> list[Any]:
        return [state for state in self.states.values() if isinstance(state, kind)]

    def _look(self, kind: type[State[Any]], place: Place) -> State[Any]:
        return self.states.get(place) or kind(id=place[1])


class Payments(RuleBasedStateMachine):
    """One client, a few invoices, and everything that may happen to their payments."""

    @initialize(overpays=st.booleans(), partial=st.sampled_from([None, Decimal("20.00")]))
    def open(self, overpays: bool, partial: Decimal | None) -> None:
        self.ledger = Ledger()

        def opened(desk: Desk) -> UUID:
            workspace = desk.new(Workspace, desk.tenant)
            desk.record(workspace, workspace.open(new_id(), Settings(name="Test")))
            client = desk.new(Client)
            client = desk.record(client, client.add(Profile("Acme Corp", "USD")))
            chosen = PaymentSettings(allow_overpayment=overpays, min_partial_amount=partial)
            return desk.record(client, client.set_payment(chosen)).id

        self.client = self.ledger.decide(opened)

    @rule(total=cents)
    def issue(self, total: Decimal) -> None:
        if len(self.ledger.all(Invoice)) > 5:
            return
        lines = (LineWritten(description="Work", unit_price=total),)

        def issued(desk: Desk) -> Invoice:
            draft = billing.draft(desk, DraftInvoice(client_id=self.client, line_items=lines))
            return billing.issue(desk, draft.id)

        self.ledger.decide(issued)

    @rule(which=few, amount=cents, fx_rate=rates)
    def pay(self, which: int, amount: Decimal, fx_rate: Decimal | None) -> None:
        invoice = self._one(Invoice, which)
        self._record(
            amount=amount,
            invoice_id=invoice.id if invoice else None,
            currency="EUR" if fx_rate else None,
            fx_rate=fx_rate,
        )

    @rule(amount=cents)
    def prepay(self, amount: Decimal) -> None:
        self._record(amount=amount)

    @rule(first=few, second=few, amount=cents, parts=st.tuples(cents, cents))
    def split(
        self, first: int, second: int, amount: Decimal, parts: tuple[Decimal, Decimal]
    ) -> None:
        chosen = [self._one(Invoice, it) for it in (first, second)]
        asked = [
            AllocationAsked(invoice.id, part)
            for invoice, part in zip(chosen, parts, strict=True)
            if invoice
        ]
        self._record(amount=amount, allocations=tuple(asked))

    @rule(which=few, amount=cents)
    def change_the_amount(self, which: int, amount: Decimal) -> None:
        self._revise(which, {"amount": amount})

    @rule(which=few, onto=few)
    def change_the_invoice(self, which: int, onto: int) -> None:
        invoice = self._one(Invoice, onto)
        if invoice:
            self._revise(which, {"invoice_id": invoice.id})

    @rule(which=few, back=st.integers(0, 40))
    def change_the_day(self, which: int, back: int) -> None:
        self._revise(which, {"received_on": (self.ledger.now - timedelta(days=back)).date()})

    @rule(which=few)
    def void(self, which: int) -> None:
        payment = self._one(Payment, which)
        if payment:
            self.ledger.attempt(lambda desk: collecting.void(desk, payment.id, None))

    @rule(which=few, what=st.sampled_from([billing.cancel, billing.write_off]))
    def close(self, which: int, what: Callable[..., Invoice]) -> None:
        invoice = self._one(Invoice, which)
        if invoice:
            self.ledger.attempt(lambda desk: what(desk, invoice.id, None))

    @rule(which=few)
    def reinstate(self, which: int) -> None:
        invoice = self._one(Invoice, which)
        if invoice:
            self.ledger.attempt(lambda desk: billing.reinstate(desk, invoice.id))

    @invariant()
    def what_is_due_follows_from_the_facts(self) -> None:
        """R-MON-11."""
        for invoice in self._all(Invoice):
            due = invoice.totals.payable - invoice.written_off
            for stream, event in self.ledger.facts:
                if stream == invoice.id and isinstance(event, InvoicePaymentApplied):
                    due -= event.amount
                if stream == invoice.id and isinstance(event, InvoicePaymentReversed):
                    due += event.amount
            assert invoice.balance_due == due >= 0
            if invoice.status in (InvoiceStatus.SENT, InvoiceStatus.PAID):
                assert (invoice.status is InvoiceStatus.PAID) == (due == 0)

    @invariant()
    def a_payment_is_what_is_applied_and_what_is_not(self) -> None:
        for payment in self._all(Payment):
            entry = payment.entry
            assert payment.unapplied.amount >= 0
            if payment.status is Status.VOIDED:
                assert not payment.applied
                assert not payment.unapplied
            else:
                kept = entry.overpaid.amount if entry.overpaid else Decimal(0)
                left = payment.unapplied.amount + kept
                assert payment.applied.amount + left == entry.worth.amount
            for part in entry.allocations:
                invoice = self.ledger.states[(self.ledger.tenant, part.invoice_id)]
                assert isinstance(invoice, Invoice)
                stands = part.amount if payment.status is Status.SUCCEEDED else 0
                assert invoice.paid_by(payment.id) == stands

    @invariant()
    def invoices_are_paid_by_payments_alone(self) -> None:
        applied = sum(it.applied.amount for it in self._all(Payment))
        assert applied == sum(it.paid for it in self._all(Invoice))

    @invariant()
    def the_account_is_what_is_open_less_what_is_unapplied_or_kept(self) -> None:
        owed = {"USD": Decimal(0)}
        for invoice in self._all(Invoice):
            if invoice.status in (InvoiceStatus.SENT, InvoiceStatus.PAID):
                owed["USD"] += invoice.balance_due
        for payment in self._all(Payment):
            left = payment.unapplied
            owed[left.currency] = owed.get(left.currency, Decimal(0)) - left.amount
        for credit in self._all(Credit):
            left = credit.remaining
            owed[left.currency] = owed.get(left.currency, Decimal(0)) - left.amount
        place = (self.ledger.tenant, account_of(self.ledger.tenant, self.client))
        account = self.ledger.states.get(place) or Account()
        assert isinstance(account, Account)
        for currency, amount in owed.items():
            assert account.balances.get(currency).amount == amount

    def _record(self, **asked: Any) -> None:
        if len(self._all(Payment)) > 5:
            return
        body = RecordPayment(method="cash", client_id=self.client, confirm_duplicate=True, **asked)
        self.ledger.attempt(lambda desk: collecting.record(desk, body))

    def _revise(self, which: int, changes: dict[str, Any]) -> None:
        payment = self._one(Payment, which)
        if payment:
            self.ledger.attempt(lambda desk: collecting.revise(desk, payment.id, changes))

    def _all(self, kind: type[State[Any]]) -> list[Any]:
        return self.ledger.all(kind)

    def _one(self, kind: type[State[Any]], which: int) -> Any:
        found = self._all(kind)
        return found[which % len(found)] if found else None


TestPayments = Payments.TestCase
TestPayments.settings = settings(stateful_step_count=40)
TestPayments.pytestmark = [pytest.mark.timeout(3_600)]  # for five thousand examples
