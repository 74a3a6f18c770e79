"""What the journal says, read from its rows: marks, states, and sums made without them."""

from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

import psycopg

from zeroinvoice.domain.account import AccountCredited, AccountDebited
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credited import InvoiceCredited, InvoiceCreditReversed
from zeroinvoice.domain.invoice import (
    InvoiceDrafted,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceWrittenOff,
)
from zeroinvoice.domain.paid import (
    InvoicePaymentApplied,
    InvoicePaymentRefunded,
    InvoicePaymentReversed,
)
from zeroinvoice.domain.series import NumberTaken
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.recorder import HEAD
from zeroinvoice.journal.snapshots import code, resumed
from zeroinvoice.kernel.facts import Fact, State

S = TypeVar("S", bound=State[Any])
PAGE = 5_000  # facts read at a time
WRITTEN = (
    "SELECT position, tenant_id, stream, version, kind, state FROM snapshots"
    " WHERE position > %s AND position <= %s AND code = %s"
)

# What each event does to what is due on its invoice. An area with a leg of its own adds it here.
DUE: dict[type, Callable[[Any], Decimal]] = {
    InvoicePaymentApplied: lambda it: -it.amount,
    InvoicePaymentReversed: lambda it: it.amount,
    InvoicePaymentRefunded: lambda it: it.amount,
    InvoiceCredited: lambda it: -it.amount,
    InvoiceCreditReversed: lambda it: it.amount,
}


class Records:
    """The whole journal as its facts have it; `read` takes in what came since."""

    def __init__(self) -> None:
        self.position = 0
        self.marked: defaultdict[str, Counter[str]] = defaultdict(Counter)  # topics by reason
        self.states: dict[UUID, State[Any]] = {}
        self.written: dict[tuple[UUID, int], Any] = {}  # snapshots ahead, by stream and version
        self.payable: dict[UUID, Decimal] = {}  # by invoice
        self.moved: defaultdict[UUID, Decimal] = defaultdict(Decimal)  # on it, by its legs
        self.given_up: defaultdict[UUID, Decimal] = defaultdict(Decimal)  # by write-off
        self.settled: defaultdict[tuple[UUID, UUID], Decimal] = defaultdict(Decimal)
        self.accounts: defaultdict[tuple[UUID, str], Decimal] = defaultdict(Decimal)
        self.numbers: defaultdict[tuple[UUID, str], list[NumberTaken]] = defaultdict(list)

    def read(self, url: str, masters: MasterKeys | None = None) -> "Records":
        """Without master keys nobody is named in them."""
        with psycopg.connect(url) as connection:
            (head,) = connection.execute(HEAD).fetchone() or (0,)
            found = connection.execute(WRITTEN, [self.position, head, code()]).fetchall()
        self.written = {(it[2], it[3]): it for it in found}
        journal = Journal.at(url, masters, size=1)
        try:
            while self.position < head:
                for fact in journal.facts_since(self.position, min(PAGE, head - self.position)):
                    self._take(fact)
        finally:
            journal.close()
        assert not self.written, f"snapshots of what never was: {list(self.written)}"
        return self

    def state(self, kind: type[S], id: UUID) -> S:
        state = self.states[id]
        assert isinstance(state, kind)
        return state

    def all(self, kind: type[S]) -> list[S]:
        return [it for it in self.states.values() if isinstance(it, kind)]

    def _take(self, fact: Fact) -> None:
        assert fact.position == self.position + 1, f"a gap after {self.position}"
        before = self.states.get(fact.stream) or Client(id=fact.stream)  # or what it begins as
        assert fact.version == before.version + 1, f"{fact.stream} skips to {fact.version}"
        assert before.changed_at is None or before.changed_at <= fact.at, "time runs backwards"
        self.position = fact.position
        self.states[fact.stream] = state = before.told(fact.event, fact.at)
        if (written := self.written.pop((fact.stream, fact.version), None)) is not None:
            assert resumed(written) == state, f"a wrong snapshot of {state}"
        if fact.origin.reason:
            self.marked[fact.origin.reason][type(fact.event).__name__] += 1
        self._add(fact)

    def _add(self, fact: Fact) -> None:
        """Sums by our own reckoning, so that a fold that is wrong does not check itself."""
        event, stream = fact.event, fact.stream
        if type(event) in DUE:
            self.moved[stream] += DUE[type(event)](event)
        match event:
            case InvoiceDrafted(totals=totals) | InvoiceRevised(totals=totals):
                self.payable[stream] = totals.payable
            case InvoicePaymentApplied(payment_id=payment, amount=amount):
                self.settled[payment, stream] += amount
            case (
                InvoicePaymentReversed(payment_id=payment, amount=amount)
                | InvoicePaymentRefunded(payment_id=payment, amount=amount)
            ):
                self.settled[payment, stream] -= amount
            case InvoiceWrittenOff(amount=amount):
                self.given_up[stream] = amount
            case InvoiceReinstated():
                self.given_up[stream] = Decimal()
            case AccountDebited(amount=amount):
                self.accounts[stream, amount.currency] += amount.amount
            case AccountCredited(amount=amount):
                self.accounts[stream, amount.currency] -= amount.amount
            case NumberTaken(bucket=bucket):
                self.numbers[stream, bucket].append(event)

    def due(self, invoice: UUID) -> Decimal:
        """What is due on an invoice, by the legs of the journal."""
        return self.payable[invoice] + self.moved[invoice] - self.given_up[invoice]
