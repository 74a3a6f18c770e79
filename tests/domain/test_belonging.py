"""Whose a credit or a payment is, while clients are merged, parted and merged again."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.properties.merge_world import TENANT, World
from zeroinvoice.domain import billing, collecting, crediting, merging
from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.collecting import AllocationAsked, RecordPayment
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.crediting import ApplyCredit, IssueCredit
from zeroinvoice.domain.merging import MergeClients, UndoMerge
from zeroinvoice.domain.payment import Payment
from zeroinvoice.kernel.desk import Desk

TEN = Decimal(10)


class Clientele:
    """Three clients, each with an invoice of a hundred, and what may happen to them."""

    def __init__(self) -> None:
        self.world, self.steps = World(), 0
        self.ann, self.bob, self.cid = (self._client(it) for it in ("Ann", "Bob", "Cid"))
        self.invoices = {it: self._invoice(it) for it in (self.ann, self.bob, self.cid)}

    def did(self, decision: Any) -> Any:
        self.steps += 1
        return self.world.decide(self.steps, decision)

    def _client(self, name: str) -> UUID:
        def added(desk: Desk) -> UUID:
            client = desk.new(Client)
            return desk.record(client, client.add(Profile(name, "USD"))).id

        id: UUID = self.did(added)
        return id

    def _invoice(self, client: UUID) -> UUID:
        line = LineWritten(description="Work", unit_price=Decimal(100))
        asked = DraftInvoice(client_id=client, line_items=(line,))
        id: UUID = self.did(lambda desk: billing.issue(desk, billing.draft(desk, asked).id).id)
        return id

    def merge(self, primary: UUID, duplicate: UUID) -> UUID:
        asked = MergeClients(primary_id=primary, duplicate_ids=(duplicate,))
        id: UUID = self.did(lambda desk: merging.merge(desk, asked))[1].id
        return id

    def undo(self, merge_id: UUID) -> None:
        self.did(lambda desk: merging.undo(desk, UndoMerge(merge_id=merge_id)))

    def credit(self, client: UUID) -> UUID:
        asked = IssueCredit(type="goodwill", amount=TEN)
        id: UUID = self.did(lambda desk: crediting.issue(desk, client, asked).id)
        return id

    def apply(self, client: UUID, credit: UUID, owner: UUID) -> UUID:
        asked = ApplyCredit(invoice_id=self.invoices[owner], amount=Decimal(1))
        applied = self.did(lambda desk: crediting.apply(desk, client, credit, asked))
        part: UUID = applied.applications[-1].application_id
        return part

    def unapply(self, client: UUID, credit: UUID, part: UUID) -> None:
        self.did(lambda desk: crediting.unapply(desk, client, credit, part))

    def pay(self, owner: UUID) -> UUID:
        part = AllocationAsked(self.invoices[owner], TEN)
        asked = RecordPayment(amount=TEN, method="cash", allocations=(part,))
        made = self.did(lambda desk: collecting.record(desk, asked, has_key=True))[0]
        id: UUID = made.id
        return id

    def settle_nothing(self, payment: UUID) -> None:
        self.did(lambda desk: collecting.revise(desk, payment, {"allocations": ()}))

    def owner(self, kind: Any, record: UUID) -> UUID:
        """The home of a credit or a payment."""
        id: UUID = self.world.state(kind, record).entry.client_id
        return id

    def owed(self, client: UUID) -> Decimal:
        balances = self.world.state(Account, account_of(TENANT, client)).balances
        amount: Decimal = balances.get("USD").amount
        return amount


@pytest.fixture
def all_three() -> Iterator[Clientele]:
    it = Clientele()
    try:
        yield it
    finally:
        it.world.close()


def test_a_credit_that_was_parted_from_whom_it_was_issued_to_stays_when_they_merge_again(
    all_three: Clientele,
) -> None:
    """A3-13, 14: it went back with what it settled; a later merge does not make that undone."""
    it = all_three
    it.merge(it.ann, it.bob)
    first = it.merge(it.cid, it.ann)
    credit = it.credit(it.cid)
    part = it.apply(it.cid, credit, it.ann)
    it.undo(first)
    it.merge(it.cid, it.ann)
    it.unapply(it.cid, credit, part)
    assert it.owner(Credit, credit) == it.ann
    assert (it.owed(it.ann), it.owed(it.cid)) == (Decimal(90), Decimal(100))


def test_a_payment_that_was_parted_from_whom_it_was_for_stays_when_they_merge_again(
    all_three: Clientele,
) -> None:
    """A3-13, 14: what is left of it, once it settles nothing, is where the undoing put it."""
    it = all_three
    first = it.merge(it.cid, it.ann)
    payment = it.pay(it.ann)
    it.undo(first)
    it.merge(it.cid, it.ann)
    it.settle_nothing(payment)
    assert it.owner(Payment, payment) == it.ann
    assert (it.owed(it.ann), it.owed(it.cid)) == (Decimal(90), Decimal(100))


def test_a_credit_goes_back_with_a_client_that_others_are_still_one_with(
    all_three: Clientele,
) -> None:
    """A3-14: as if it had been issued to the client that returned, whom both invoices concern."""
    it = all_three
    older = it.merge(it.ann, it.bob)
    later = it.merge(it.cid, it.ann)
    credit = it.credit(it.cid)
    part = it.apply(it.cid, credit, it.bob)
    assert it.owner(Credit, credit) == it.bob
    it.undo(later)
    it.unapply(it.ann, credit, part)
    assert it.owner(Credit, credit) == it.ann
    it.apply(it.ann, credit, it.bob)
    it.undo(older)
    assert it.owner(Credit, credit) == it.bob
    assert (it.owed(it.ann), it.owed(it.bob)) == (Decimal(100), Decimal(90))


def test_a_payment_goes_back_with_a_client_that_others_are_still_one_with(
    all_three: Clientele,
) -> None:
    """A3-14: the same for a payment."""
    it = all_three
    it.merge(it.ann, it.bob)
    later = it.merge(it.cid, it.ann)
    payment = it.pay(it.bob)
    it.undo(later)
    it.settle_nothing(payment)
    assert it.owner(Payment, payment) == it.ann


def test_what_joined_a_client_since_does_not_draw_a_credit_that_went_back_with_it(
    all_three: Clientele,
) -> None:
    """A3-14: it was there before that merge, so the merge waits for it to be taken back."""
    it = all_three
    first = it.merge(it.cid, it.ann)
    credit = it.credit(it.cid)
    part = it.apply(it.cid, credit, it.ann)
    it.undo(first)
    it.unapply(it.ann, credit, part)
    it.merge(it.ann, it.bob)
    it.apply(it.ann, credit, it.bob)
    assert it.owner(Credit, credit) == it.ann
