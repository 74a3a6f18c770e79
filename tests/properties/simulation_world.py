"""Histories to simulate: the same decisions taken again, with one left out or at another rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from projections.client_ledger import replayed
from projections.simulation_figures import Side
from tests.properties.merge_world import TENANT, Decision, World
from zeroinvoice.domain import billing, collecting, crediting, refunding
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, PaymentSettings, Profile
from zeroinvoice.domain.collecting import RecordPayment
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.credit_note import line_id
from zeroinvoice.domain.crediting import ApplyCredit, IssueCredit
from zeroinvoice.domain.history import History
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.lines import Tax
from zeroinvoice.domain.noting import LineCredited
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.refunding import RefundCredit, RefundPayment
from zeroinvoice.domain.retelling import Retold, retell
from zeroinvoice.domain.supposing import Change, Supposed
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.refusals import Refusal

FIRST = date(2026, 3, 1)
DAY = date(2026, 3, 2)  # on which all is compared, with everything in it
FIRST_STEP = 10
CLIENT = UUID(int=1 * 1000 + 1)


@dataclass(frozen=True)
class Step:
    """Something somebody does: what, to which of the things there are, and how much."""

    verb: str
    which: int
    other: int
    amount: Decimal
    whole: bool


class Life:
    """A workspace with one client, and steps taken in it, each at its time and with its ids."""

    def __init__(self, rate: str = "19") -> None:
        self.world = World()
        self.world.decide(1, self._opened)
        self.world.decide(2, self._taxed(Decimal(rate)))
        self.did: list[bool] = []

    @staticmethod
    def _opened(desk: Desk) -> None:
        client = desk.new(Client)
        client = desk.record(client, client.add(Profile("Acme", "USD")))
        desk.record(client, client.set_payment(PaymentSettings(allow_overpayment=True)))

    @staticmethod
    def _taxed(rate: Decimal) -> Decision:
        def decision(desk: Desk) -> None:
            workspace = desk.open(Workspace, TENANT)
            desk.record(workspace, workspace.define_tax(Tax("VAT", "VAT", rate)))

        return decision

    def close(self) -> None:
        self.world.close()

    @property
    def facts(self) -> list[Fact]:
        """Those a history is made of."""
        kinds = (Workspace, Client, Invoice, Payment, Credit)
        return [it for it in self.world.facts if isinstance(self.world.states[it.stream], kinds)]

    def live(self, steps: Sequence[Step]) -> list[Decision]:
        """Take these steps; answers what each came to, to be decided elsewhere again."""
        found: list[Decision] = []
        for step in steps:
            found.append(self.decision(step))
            self._decide(found[-1])
        return found

    def live_like(self, decisions: Sequence[Decision | None]) -> None:
        """Decide the same as in another life, but for what is left out."""
        for it in decisions:
            self._decide(it)

    def _decide(self, decision: Decision | None) -> None:
        """As the next step, at its time and with its ids; what is refused did not happen."""
        try:
            if decision is not None:
                self.world.decide(FIRST_STEP + len(self.did), decision)
            self.did.append(decision is not None)
        except Refusal:
            self.did.append(False)

    def one(self, kind: type[Any], which: int) -> Any:
        there = [it for it in self.world.states.values() if isinstance(it, kind)]
        ordered = sorted(there, key=lambda it: it.id)
        return ordered[which % len(ordered)] if ordered else kind()

    def decision(self, step: Step) -> Decision:
        """What a step comes to here: ids and amounts are those of this life."""
        invoice, payment = self.one(Invoice, step.which), self.one(Payment, step.which)
        credit, amount = self.one(Credit, step.other), step.amount
        match step.verb:
            case "bill":
                return billed(amount, step.other)
            case "pay":
                due = invoice.balance_due
                part = due if step.whole and due > 0 else amount
                return paid(part, invoice.id)
            case "prepay":
                return paid(amount, None)
            case "void":
                return lambda desk: collecting.void(desk, payment.id, None)
            case "refund":
                asked = RefundPayment(method="cash", amount=amount)
                return lambda desk: refunding.refund_payment(desk, payment.id, asked)
            case "correct":
                return lambda desk: collecting.revise(desk, payment.id, {"amount": amount})
            case "give":
                gift = IssueCredit(type="goodwill", amount=amount)
                return lambda desk: crediting.issue(desk, CLIENT, gift)
            case "note":
                return noted(invoice, None if step.whole else amount)
            case "apply":
                spent = ApplyCredit(invoice_id=invoice.id, amount=amount)
                return lambda desk: crediting.apply(desk, CLIENT, credit.id, spent)
            case "unapply":
                id = credit.applications[-1].application_id if credit.applications else CLIENT
                return lambda desk: crediting.unapply(desk, CLIENT, credit.id, id)
            case "pay out":
                back = RefundCredit(method="cash", amount=amount)
                return lambda desk: refunding.refund_credit(desk, CLIENT, credit.id, back)
            case "write off":
                return lambda desk: billing.write_off(desk, invoice.id, None)
            case "reinstate":
                return lambda desk: billing.reinstate(desk, invoice.id)
            case "cancel":
                return lambda desk: billing.cancel(desk, invoice.id, None)
            case _:
                raise AssertionError(step.verb)


def billed(price: Decimal, days: int) -> Decision:
    lines = (
        LineWritten(description="Work", unit_price=price, tax_codes=("VAT",)),
        LineWritten(description="Books", unit_price=price / 2),
    )
    due = FIRST + timedelta(days)

    def decision(desk: Desk) -> Invoice:
        asked = DraftInvoice(client_id=CLIENT, line_items=lines, issue_date=FIRST, due_date=due)
        return billing.issue(desk, billing.draft(desk, asked).id)

    return decision


def paid(amount: Decimal, invoice_id: UUID | None) -> Decision:
    asked = RecordPayment(
        amount=amount,
        method="cash",
        client_id=CLIENT,
        invoice_id=invoice_id,
        received_on=FIRST,
        confirm_duplicate=True,
    )
    return lambda desk: collecting.record(desk, asked)


def noted(invoice: Invoice, amount: Decimal | None) -> Decision:
    """A credit note for all that is left, or for a part of the first line."""
    line = LineCredited(line_id(invoice.id, 1), amount=amount)
    lines = () if amount is None else (line,)
    asked = IssueCredit(type="credit_note", invoice_id=invoice.id, lines=lines)
    return lambda desk: crediting.issue(desk, CLIENT, asked)


def told_again(facts: list[Fact], *changes: Change) -> Retold:
    past = History.after(facts)
    return retell(facts, past, Supposed.of(changes, past))


def side(facts: list[Fact]) -> Side:
    return Side.of(History.after(facts), replayed(facts, "UTC"), DAY)
