"""Merging and undoing, in any order with anything between: as if it had never happened."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.properties.merge_model import Clientele, Merged, Record
from tests.properties.merge_world import TENANT, Decision, World, is_empty
from zeroinvoice.domain import banking, billing, collecting, crediting, merging
from zeroinvoice.domain.bank_numbers import KeptNumber, Masked
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.collecting import AllocationAsked, RecordPayment
from zeroinvoice.domain.contact_book import ContactBook, Person, contact_book_of, opened
from zeroinvoice.domain.crediting import ApplyCredit, IssueCredit
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.merging import MergeClients, UndoMerge
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.refusals import Refusal, Refused

CLIENTS = 3
CENT = Decimal("0.01")
few = st.integers(0, 7)
seldom = st.sampled_from([False, False, False, True])
cents = st.integers(1, 6_000).map(lambda it: Decimal(it) / 100)
NUMBERS = ["1001", "1002", "1003"]
EMAILS = [None, "ann@example.com", "bo@example.com"]


@dataclass
class Step:
    number: int
    decide: Callable[["Step"], Decision]
    client: int = 0  # for whom, where merges never happened
    record: Record | None = None
    part: UUID | None = None  # the application or allocation that it makes


class Merging(RuleBasedStateMachine):
    """Clients with everything they may have, merged and parted; and the same without merges."""

    def __init__(self) -> None:
        super().__init__()
        self.world, self.number = World(), 0
        self.clients: list[UUID] = []
        self.model = Clientele(CLIENTS)
        self.merges, self.billed = self.model.merges, self.model.billed
        self.script: list[Step] = []
        self.payments: list[Record] = []
        self.credits: list[Record] = []

    # What happens

    @initialize(into=few, chained=st.sampled_from([None, None, 0, 1]))
    def open(self, into: int, chained: int | None) -> None:
        for n in range(CLIENTS):
            name = f"Client {n}"

            def added(desk: Desk, name: str = name) -> UUID:
                client = desk.new(Client)
                return desk.record(client, client.add(Profile(name, "USD"))).id

            self.clients.append(self._did(lambda step, it=added: it))
        for n in range(CLIENTS):  # something to settle, so that few steps lead far
            self._bill(n, Decimal(1_000), issue=True)
        if chained is not None:
            self._merge(into % CLIENTS, [(into + 1) % CLIENTS], dedupe=True)
            if chained:
                self._merge((into + 2) % CLIENTS, [into % CLIENTS], dedupe=True)

    @rule(which=few, field=st.sampled_from(["tax_id", "notes", "legal_name"]))
    def edit(self, which: int, field: str) -> None:
        client, value = self.clients[self.model.one(which)], f"{field} {self.number}"

        def edited(desk: Desk) -> None:
            it = desk.open(Client, client)
            profile = it.profile.but(**{field: value})
            desk.record(it, it.revise(profile, None, has_history=True))

        self._did(lambda step: edited)

    @rule(which=few, total=cents, issue=st.booleans())
    def invoice(self, which: int, total: Decimal, issue: bool) -> None:
        self._bill(self.model.one(which), total, issue=issue)

    def _bill(self, n: int, total: Decimal, *, issue: bool) -> None:
        line = LineWritten(description="Work", unit_price=total)
        asked = DraftInvoice(client_id=self.clients[n], line_items=(line,))

        def drafted(desk: Desk) -> UUID:
            id = billing.draft(desk, asked).id
            return billing.issue(desk, id).id if issue else id

        self.billed[self._did(lambda step: drafted)] = n

    @precondition(lambda self: self.billed)
    @rule(which=few)
    def send(self, which: int) -> None:
        id = self._any(self.billed, which)
        self._did(lambda step: lambda desk: billing.issue(desk, id))

    @precondition(lambda self: self.billed)
    @rule(which=few, other=few, amount=cents, both=st.booleans())
    def pay(self, which: int, other: int, amount: Decimal, both: bool) -> None:
        ids = [self._any(self.billed, which)]
        more = self._any(self.billed, other)
        if both and more != ids[0]:
            ids.append(more)
        parts = tuple(AllocationAsked(id, amount) for id in ids)
        asked = RecordPayment(amount=amount * len(ids), method="cash", allocations=parts)
        record = Record(UUID(int=0), self.number + 1, self.model.top(self.billed[ids[0]]))
        record.invoices = {id: id for id in ids}
        made = self._did(lambda step: lambda desk: self._paid(desk, asked), record)
        if made is not None:
            record.id = made
            self.payments.append(record)

    @rule(which=few, amount=cents)
    def pay_ahead(self, which: int, amount: Decimal) -> None:
        record = Record(UUID(int=0), self.number + 1, self.model.one(which))

        def decide(step: Step) -> Decision:
            client = self.clients[step.client]
            asked = RecordPayment(amount=amount, method="cash", client_id=client)
            return lambda desk: self._paid(desk, asked)

        record.id = self._did(decide, record)
        self.payments.append(record)

    @staticmethod
    def _paid(desk: Desk, asked: RecordPayment) -> UUID:
        return collecting.record(desk, asked, has_key=True)[0].id

    @precondition(lambda self: self.billed and any(not it.invoices for it in self.payments))
    @rule(which=few, other=few)
    def allocate(self, which: int, other: int) -> None:
        free = [it for it in self.payments if not it.invoices and not it.gone]
        if not free:
            return
        record, invoice = free[which % len(free)], self._any(self.billed, other)
        changes = {"invoice_id": invoice}
        done = self._did(
            lambda step: lambda desk: collecting.revise(desk, record.id, changes), record
        )
        if done is not None and done.allocations:
            record.invoices = {invoice: invoice}
            record.ahead = True
            self.script[-1].part = invoice

    @precondition(lambda self: any(it.ahead and it.invoices for it in self.payments))
    @rule(which=few)
    def take_off(self, which: int) -> None:
        """A payment settles nothing again: in the other world it never did."""
        settling = [it for it in self.payments if it.ahead and it.invoices]
        self._take_off(settling[which % len(settling)])

    @precondition(lambda self: self.payments)
    @rule(which=few)
    def void(self, which: int) -> None:
        self._void(self.payments[which % len(self.payments)])

    @rule(which=few, amount=cents, spend=st.lists(few, max_size=2))
    def credit(self, which: int, amount: Decimal, spend: list[int]) -> None:
        record = Record(UUID(int=0), self.number + 1, self.model.one(which))

        def decide(step: Step) -> Decision:
            asked = IssueCredit(type="goodwill", amount=amount)
            return lambda desk: crediting.issue(desk, self.clients[step.client], asked).id

        record.id = self._did(decide, record)
        self.credits.append(record)
        for other in spend:
            asked_for = ApplyCredit(invoice_id=self._any(self.billed, other), amount=CENT)
            self._apply(record, asked_for)

    @precondition(lambda self: self.billed)
    @rule(which=few, amount=cents)
    def note(self, which: int, amount: Decimal) -> None:
        invoice = self._any(self.billed, which)
        owner = self.billed[invoice]
        if amount > self.world.state(Invoice, invoice).balance_due:
            return  # what it settles would depend on payments that may be voided later
        asked = IssueCredit(type="credit_note", invoice_id=invoice, amount=amount)

        def decide(step: Step) -> Decision:
            client = self.clients[step.client]
            return lambda desk: crediting.issue(desk, client, asked).id

        self._did(decide, None, named=self.model.top(owner), client=owner)

    @precondition(lambda self: self.billed and self.credits)
    @rule(which=few, other=few, amount=cents)
    def apply(self, which: int, other: int, amount: Decimal) -> None:
        record, invoice = self._of(self.credits, which), self._any(self.billed, other)
        self._apply(record, ApplyCredit(invoice_id=invoice, amount=amount))

    def _apply(self, record: Record, asked: ApplyCredit) -> None:
        top = self.model.top(self.model.home(record))

        def decide(step: Step) -> Decision:
            client = self.clients[step.client]
            return lambda desk: crediting.apply(desk, client, record.id, asked)

        credit = self._did(decide, record, named=top)
        if credit is not None:
            part = credit.applications[-1].application_id
            record.invoices[part] = asked.invoice_id
            self.script[-1].part = part

    @precondition(lambda self: any(it.invoices for it in self.credits))
    @rule(which=few)
    def unapply(self, which: int) -> None:
        parts = [(it, part) for it in self.credits for part in it.invoices]
        self._unapply(*parts[which % len(parts)])

    @rule(which=few, email=st.sampled_from(EMAILS))
    def meet(self, which: int, email: str | None) -> None:
        client = self.clients[self.model.one(which)]
        person = Person(first_name=f"Person {self.number}", email=email)

        def met(desk: Desk) -> None:
            book, _ = opened(desk, client)
            desk.record(book, book.add(client, desk.new_id(), person, primary=False))

        self._did(lambda step: met)

    @rule(which=few, other=few, gone=st.booleans())
    def change_contact(self, which: int, other: int, gone: bool) -> None:
        client = self.clients[self.model.one(which)]
        book = self.world.state(ContactBook, contact_book_of(TENANT, client))
        if not book.contacts:
            return
        contact, role = book.contacts[other % len(book.contacts)], f"Role {self.number}"
        id, person = contact.id, contact.person.but(role=role)

        def changed(desk: Desk) -> None:
            owner = self._owner_of(desk, ContactBook, contact_book_of, id, "contacts")
            book, _ = opened(desk, owner)
            desk.record(book, book.remove(id) if gone else book.revise(id, person))

        self._did(lambda step: changed)

    @rule(which=few, number=st.sampled_from(NUMBERS))
    def bank(self, which: int, number: str) -> None:
        client = self.clients[self.model.one(which)]
        kept = KeptNumber("other", Masked(), number, None, number, "", TENANT, TENANT)

        def banked(desk: Desk) -> None:
            change = lambda it: it.but(account_holder="Acme")  # noqa: E731
            banking.add(desk, client, change, lambda id: kept, default=False)

        self._did(lambda step: banked)

    @rule(which=few, other=few, gone=st.booleans())
    def change_bank(self, which: int, other: int, gone: bool) -> None:
        client = self.clients[self.model.one(which)]
        of = banking.bank_accounts_of
        known = self.world.state(banking.BankAccounts, of(TENANT, client))
        if not known.accounts:
            return
        id, name = known.accounts[other % len(known.accounts)].id, f"Bank {self.number}"

        def changed(desk: Desk) -> None:
            owner = self._owner_of(desk, banking.BankAccounts, of, id, "accounts")
            if gone:
                banking.remove(desk, owner, id)
            else:
                banking.revise(desk, owner, id, lambda it: it.but(bank_name=name), default=None)

        self._did(lambda step: changed)

    def _owner_of(self, desk: Desk, kind: Any, of: Any, id: UUID, name: str) -> UUID:
        """The client that has this contact or account and may be written to."""
        for client in self.clients:
            there = getattr(desk.find(kind, of(TENANT, client)), name)
            if id in {it.id for it in there} and desk.open(Client, client).merged_into is None:
                return client
        raise Refused("Nobody has it.")

    @rule(which=few, other=few, more=st.none() | few, dedupe=st.booleans())
    def merge(self, which: int, other: int, more: int | None, dedupe: bool) -> None:
        primary, duplicates = self.model.one(which), [self.model.one(other)]
        if more is not None:
            duplicates.append(self.model.one(more))
        if len({primary, *duplicates}) > len(duplicates):
            self._merge(primary, duplicates, dedupe=dedupe)

    def _merge(self, primary: int, duplicates: list[int], *, dedupe: bool) -> None:
        asked = MergeClients(
            primary_id=self.clients[primary],
            duplicate_ids=tuple(self.clients[it] for it in duplicates),
            contact_strategy="dedupe_by_email" if dedupe else "keep_all",
        )
        self.number += 1
        _, made = self.world.decide(self.number, lambda desk: merging.merge(desk, asked))
        groups = {it: self.model.group(it) for it in duplicates}
        merged = Merged(made.id, self.number, primary, groups, self.model.group(primary))
        self.model.merge(merged, (*self.payments, *self.credits))
        moved = {
            name: self.world.tables[name][place].rows[made.id]["records"]
            for name, place in (("invoices", 2), ("payments", 2), ("credits", 3))
        }
        theirs = set().union(*groups.values())
        assert moved["invoices"] == sum(it in theirs for it in self.billed.values())

    @precondition(lambda self: self.merges)
    @rule(which=few, take_back=st.booleans(), now=seldom)
    def undo(self, which: int, take_back: bool, now: bool) -> None:
        """Whichever is asked for: only the newest of its clients is undone, and nothing parted."""
        if not now:
            return
        merged = self.merges[which % len(self.merges)]
        self._undo(merged, take_back=take_back)

    @rule(which=few, other=few, now=seldom)
    def merge_and_undo(self, which: int, other: int, now: bool) -> None:
        """A3-15: with nothing between, every read model is what it was, row for row."""
        if not now:
            return
        before = self.world.dump(exactly=True)
        primary, duplicate = self.model.one(which), self.model.one(other)
        if primary != duplicate:
            self._merge(primary, [duplicate], dedupe=True)
            self._undo(self.merges[-1], take_back=False)
            after = self.world.dump(exactly=True)
            for rows in (before, after):
                for name in ("contacts.books", "bank_accounts.lists"):
                    rows[name] = {id: it for id, it in rows[name].items() if not is_empty(it)}
            assert after == before

    @precondition(lambda self: self.merges)
    @rule(which=few, now=seldom)
    def merge_again(self, which: int, now: bool) -> None:
        """The same clients once more: what went back is older than this merge."""
        merged = self.merges[which % len(self.merges)]
        if not now or not self.model.is_latest(merged):
            return
        self._undo(merged, take_back=False)
        if merged not in self.merges:
            self._merge(merged.primary, list(merged.groups), dedupe=True)

    # What must hold

    def teardown(self) -> None:
        try:
            if self.clients:
                if self.number % 2:
                    self._free_all()
                while self.merges:
                    self._undo(self.merges[-1], take_back=True)
                self._compare()
        finally:
            self.world.close()

    def _free_all(self) -> None:
        """Where money lies that settles nothing tells most of whose it is."""
        for record in self.credits:
            for part in list(record.invoices):
                self._unapply(record, part)
        for record in self.payments:
            if record.ahead and record.invoices:
                self._take_off(record)

    def _undo(self, merged: Merged, *, take_back: bool) -> None:
        if not self.model.is_latest(merged):
            assert self._refused(merged) == "later_merge_exists"
            return
        parted = [it for it in (*self.payments, *self.credits) if self.model.tears(merged, it)]
        if parted:
            assert self._refused(merged) == "merge_entangled", parted
            if not take_back:
                return
            for record in parted:
                if record.ahead:
                    self._take_off(record)
                elif record in self.payments:
                    self._void(record)
                else:
                    for part in list(record.invoices):
                        self._unapply(record, part)
        self.number += 1
        asked = UndoMerge(merge_id=merged.id)
        self.world.decide(self.number, lambda desk: merging.undo(desk, asked))
        self.model.part(merged, (*self.payments, *self.credits))

    def _refused(self, merged: Merged) -> str:
        asked = UndoMerge(merge_id=merged.id)
        with pytest.raises(Refused) as no:
            self.world.decide(self.number + 1, lambda desk: merging.undo(desk, asked))
        return no.value.code

    def _compare(self) -> None:
        """A3-15: both clients are as in a world where no merge ever happened."""
        other = World()
        try:
            for step in self.script:
                self._repeat(other, step)
            assert other.owed(self.clients) == self.world.owed(self.clients)
            theirs, ours = other.dump(exactly=False), self.world.dump(exactly=False)
            for name, rows in theirs.items():
                assert ours[name] == rows, name
        finally:
            other.close()

    def _repeat(self, other: World, step: Step) -> None:
        record = step.record
        if record is not None:
            if record.gone or (step.part and step.part not in record.invoices):
                return
            step.client = self.model.home(record)
        other.decide(step.number, step.decide(step))

    # How it is done

    def _did(
        self,
        decide: Callable[[Step], Decision],
        record: Record | None = None,
        *,
        named: int | None = None,
        client: int = 0,
    ) -> Any:
        """Do something, and remember how; nothing where it is refused."""
        self.number += 1
        step = Step(self.number, decide, record.named if record else client, record)
        if named is not None:
            step.client = named
        try:
            answer = self.world.decide(self.number, decide(step))
        except Refusal:
            return None
        step.client = client
        self.script.append(step)
        return answer

    def _void(self, record: Record) -> None:
        self.number += 1
        self.world.decide(self.number, lambda desk: collecting.void(desk, record.id, None))
        record.gone = True
        record.invoices = {}

    def _take_off(self, record: Record) -> None:
        changes: dict[str, Any] = {"allocations": ()}
        self.number += 1
        self.world.decide(self.number, lambda desk: collecting.revise(desk, record.id, changes))
        record.invoices = {}

    def _unapply(self, record: Record, part: UUID) -> None:
        client = self.clients[self.model.top(self.model.home(record))]
        self.number += 1
        self.world.decide(
            self.number, lambda desk: crediting.unapply(desk, client, record.id, part)
        )
        del record.invoices[part]

    @staticmethod
    def _any(found: dict[UUID, Any], which: int) -> UUID:
        return list(found)[which % len(found)]

    @staticmethod
    def _of(found: list[Record], which: int) -> Record:
        return found[which % len(found)]


TestMerging = Merging.TestCase
TestMerging.settings = settings(stateful_step_count=25)
TestMerging.pytestmark = pytest.mark.timeout(7_200)  # for the long profile
