"""The truth: a second, plainer account of what the journal says, checked after each step."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.account import AccountCredited, AccountDebited, account_of
from zeroinvoice.domain.client import ClientAdded
from zeroinvoice.domain.invoice import (
    InvoiceCancelled,
    InvoiceDrafted,
    InvoicePaymentApplied,
    InvoicePaymentReversed,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceSent,
    InvoiceWrittenOff,
)
from zeroinvoice.domain.payment import PaymentRecorded, PaymentRetracted, PaymentVoided
from zeroinvoice.journal.mapper import GENESIS, FactMapper, link
from zeroinvoice.journal.recorder import Row
from zeroinvoice.kernel.facts import Fact

ZERO = Decimal(0)
Sums = dict[str, Decimal]  # by currency


@dataclass
class Bill:
    client: UUID
    currency: str
    payable: Decimal
    owed: bool = False  # issued, and not cancelled
    written_off: Decimal = ZERO
    parts: dict[UUID, Decimal] = field(default_factory=dict)  # by payment


@dataclass
class Receipt:
    client: UUID
    currency: str
    worth: Decimal
    allocations: dict[UUID, Decimal]
    stands: bool = True
    parts: dict[UUID, Decimal] = field(default_factory=dict)  # the legs on invoices


class Truth:
    """Follows the journal row by row. Raises `AssertionError` at the first thing that is wrong."""

    def __init__(self, mapper: FactMapper) -> None:
        self._mapper = mapper
        self.position = 0
        self.facts: list[Fact] = []
        self.effects: dict[UUID, list[int]] = {}  # positions, by request
        self.letters: list[tuple[int, str]] = []  # what policies owe, and since which position
        self._hashes: dict[UUID, bytes] = defaultdict(lambda: GENESIS)
        self._versions: dict[UUID, int] = defaultdict(int)
        self._latest: dict[UUID, datetime] = {}
        self._numbers: dict[tuple[UUID, str], int] = defaultdict(int)  # the last of a form
        self._bills: dict[UUID, Bill] = {}
        self._receipts: dict[UUID, Receipt] = {}
        self._accounts: dict[UUID, Sums] = defaultdict(lambda: defaultdict(lambda: ZERO))
        self._account_of: dict[UUID, UUID] = {}  # by client

    def follow(self, rows: list[Row]) -> None:
        """Take in what was committed since, then check whatever that touched."""
        bills: dict[UUID, None] = {}
        receipts: dict[UUID, None] = {}
        clients: dict[UUID, None] = {}
        for row in rows[self.position :]:
            self._link(row)
            fact = self._mapper.fact(*row[:6])
            self.facts.append(fact)
            self._effect(fact)
            self._tell(fact, bills, receipts, clients)
        for id in bills:
            self._check_bill(id)
        for id in receipts:
            self._check_receipt(id)
        for id in clients:
            self._check_account(id)

    def _link(self, row: Row) -> None:
        position, tenant, stream, version, topic, state, kept, *_ = row
        assert position == self.position + 1, f"position {position} follows {self.position}"
        known = self._versions[stream]
        assert version == known + 1, f"version {version} follows {known} of {stream}"
        made = link(self._hashes[tenant], position, tenant, stream, version, topic, state.encode())
        assert made == kept, f"the chain is broken at {position}"
        self.position, self._versions[stream], self._hashes[tenant] = position, version, made

    def _effect(self, fact: Fact) -> None:
        before = self._latest.get(fact.stream, fact.at)
        assert fact.at >= before, f"{fact.position} is dated before its predecessor"
        self._latest[fact.stream] = fact.at
        positions = self.effects.setdefault(fact.origin.request, [])
        whole = not positions or positions[-1] == fact.position - 1
        assert whole, f"the command of {fact.position} took effect in two parts"
        positions.append(fact.position)

    def _tell(
        self,
        fact: Fact,
        bills: dict[UUID, None],
        receipts: dict[UUID, None],
        clients: dict[UUID, None],
    ) -> None:
        id = fact.stream
        match fact.event:
            case ClientAdded(profile=profile):
                self._account_of[id] = account_of(fact.tenant, id)
                self._count(fact.tenant, profile.number or "")
            case InvoiceDrafted() | InvoiceRevised() as it:
                client, currency = it.content.client_id, it.content.currency
                self._bills[id] = Bill(client, currency, it.totals.payable)
            case InvoiceSent(number=number):
                self._count(fact.tenant, number)
                self._bills[id].owed = True
                self.letters.append((fact.position, f"{id.hex}.{fact.version}"))
            case InvoiceCancelled():
                self._bills[id].owed = False
            case InvoiceWrittenOff(amount=amount):
                self._bills[id].written_off = amount
            case InvoiceReinstated():
                self._bills[id].written_off = ZERO
            case InvoicePaymentApplied(payment_id=payment, amount=amount):
                self._bills[id].parts[payment] = self._bills[id].parts.get(payment, ZERO) + amount
                self._receipts[payment].parts[id] = self._bills[id].parts[payment]
                receipts[payment] = None
            case InvoicePaymentReversed(payment_id=payment, amount=amount):
                assert self._bills[id].parts.pop(payment) == amount, "another sum is given back"
                del self._receipts[payment].parts[id]
                receipts[payment] = None
            case PaymentRecorded() as it:
                parts = self._receipts[id].parts if id in self._receipts else {}
                allocations = {part.invoice_id: part.amount for part in it.allocations}
                worth = it.worth
                self._receipts[id] = Receipt(
                    it.client_id, worth.currency, worth.amount, allocations, True, parts
                )
                receipts[id] = clients[it.client_id] = None
            case PaymentRetracted() | PaymentVoided():
                self._receipts[id].stands = False
                receipts[id] = clients[self._receipts[id].client] = None
            case AccountDebited(amount=money):
                self._accounts[id][money.currency] += money.amount
            case AccountCredited(amount=money):
                self._accounts[id][money.currency] -= money.amount
            case _:
                return
        if id in self._bills:
            bills[id] = clients[self._bills[id].client] = None

    def _count(self, tenant: UUID, number: str) -> None:
        """Numbers of one form follow each other, without a gap, in the order of the journal."""
        form, _, digits = number.rpartition("-")
        last = self._numbers[tenant, form]
        assert int(digits) == last + 1, f"number {number} follows {form}-{last:05}"
        self._numbers[tenant, form] = last + 1

    def _check_bill(self, id: UUID) -> None:
        bill = self._bills[id]
        balance = bill.payable - bill.written_off - sum(bill.parts.values(), ZERO)
        assert balance >= 0, f"invoice {id} has a balance of {balance}"

    def _check_receipt(self, id: UUID) -> None:
        receipt = self._receipts[id]
        expected = receipt.allocations if receipt.stands else {}
        assert receipt.parts == expected, f"payment {id} and its invoices do not agree"
        assert sum(expected.values(), ZERO) <= receipt.worth, f"payment {id} settles too much"

    def _check_account(self, client: UUID) -> None:
        expected: Sums = defaultdict(lambda: ZERO)
        for bill in self._bills.values():
            if bill.client == client and bill.owed:
                expected[bill.currency] += bill.payable - bill.written_off
        for receipt in self._receipts.values():
            if receipt.client == client and receipt.stands:
                expected[receipt.currency] -= receipt.worth
        account = self._accounts[self._account_of[client]]
        for currency in {*expected, *account}:
            kept, due = account[currency], expected[currency]
            assert kept == due, f"the account of {client} says {kept} {currency}, not {due}"
