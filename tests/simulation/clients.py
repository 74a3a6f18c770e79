"""Clients of the API: what they ask for, how often, and what they were told became of it."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

from tests.simulation.chance import Chance
from zeroinvoice.domain import billing, clientele, collecting
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.collecting import AllocationAsked, RecordPayment
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.workspace import NumberPattern, Settings, Workspace
from zeroinvoice.journal.command import Command, Done, Key
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Origin, State
from zeroinvoice.kernel.money import Money, minor_units
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused, Stale, Unavailable
from zeroinvoice.kernel.value import Value

CURRENCIES = ("EUR", "JPY", "KWD")  # of two decimals, of none, of three
Decision = Callable[[Desk], Any]


class Foreign(Value):
    """Something that is not this tenant's."""

    id: UUID


class Intent:
    """One thing somebody wants done: asked once, or again and again under one key."""

    def __init__(self, name: str, tenant: UUID, decision: Decision, key: Key | None) -> None:
        self.name = name
        self.tenant = tenant
        self.decision = decision
        self.key = key
        self.expected: tuple[int, ...] | None = None
        self.foreign = False  # it names what is another tenant's
        self.requests: list[UUID] = []
        self.answer: Done[Any] | Refused | None = None  # what its key will be told for ever
        self.settled = False  # whether anything definite was heard

    @property
    def open(self) -> bool:
        """Whether its outcome is unknown, and asking again will tell."""
        return self.key is not None and not self.settled

    def effects(self, effects: dict[UUID, list[int]]) -> list[int]:
        """The positions of what it recorded. At most one of its requests has an effect."""
        found = [effects[request] for request in self.requests if request in effects]
        assert len(found) <= 1, f"{self.name} took effect {len(found)} times"
        return found[0] if found else []


class Request:
    """One try of an intent, somewhere on its way."""

    def __init__(self, intent: Intent, id: UUID) -> None:
        self.intent = intent
        self.id = id
        self.command = Command(
            intent.tenant,
            Origin(Actor("system"), id),
            intent.decision,
            wants=[(Workspace, (intent.tenant, intent.tenant))],
            key=intent.key,
            expected=intent.expected,
        )
        intent.requests.append(id)

    def give_up(self) -> None:
        """Nobody listens to the answer any more."""
        future = self.command.future
        if not future.cancel() and not future.cancelled():
            future.exception()

    def hear(self, effects: dict[UUID, list[int]]) -> Done[Any] | None:
        """Take the answer, and hold it against what is on record."""
        future, intent = self.command.future, self.intent
        if future.cancelled():
            return None
        fault = future.exception()
        recorded = intent.effects(effects)
        away = isinstance(fault, Unavailable)
        intent.settled = intent.settled or not away
        match fault:
            case None:
                done = future.result()
                assert not intent.foreign, f"{intent.name} was let in to another tenant's"
                last = recorded[-1] if recorded else None
                assert done.position == last, f"{intent.name}: {done.position} is not {last}"
                self._same(done)
                return done
            case Unavailable(code="outcome_unknown"):
                return None
            case Unavailable() | Missing() | Stale():
                assert self.id not in effects, f"{intent.name}: {fault}, but it took effect"
            case Invalid() | Refused():
                assert not recorded, f"{intent.name} was refused, but took effect"
                if intent.key is not None:
                    self._same(fault)
            case RuntimeError():  # the database refused this command alone
                assert self.id not in effects, f"{intent.name} failed, but took effect"
            case _:
                raise fault
        return None

    def _same(self, answer: Any) -> None:
        first = self.intent.answer
        if first is None:
            self.intent.answer = answer
        elif isinstance(first, Done):
            told = isinstance(answer, Done) and (answer.answer, answer.position)
            assert told == (first.answer, first.position), f"{self.intent.name} is told otherwise"
        else:
            code = answer.code if isinstance(answer, Refused) else None
            assert code == first.code, f"{self.intent.name} is told otherwise"


class Business:
    """A workspace as those who work in it know it: only what they were told."""

    def __init__(self, chance: Chance, tenant: UUID) -> None:
        self.tenant = tenant
        self.other: Business | None = None
        self._chance = chance
        self._rng = chance.rng
        self._clients: list[Client] = []
        self._invoices: list[Invoice] = []
        self._payments: list[Payment] = []
        self._asked = 0

    @property
    def beginnings(self) -> list[Callable[[], Intent]]:
        """What is asked for first, one after the other."""
        return [self._found, self._add, self._add, self._draft, self._draft, self._draft]

    def _found(self) -> Intent:
        settings = Settings(
            name="Simulated",
            overpayment=self._rng.choice(("refuse", "credit")),
            numbers={"invoice": NumberPattern("INV-{YYYY}-{SEQ:5}", "yearly")},
        )

        def decision(desk: Desk) -> Workspace:
            workspace = desk.new(Workspace, desk.tenant)
            return desk.record(workspace, workspace.open(desk.tenant, settings))

        return self._intent("open the workspace", decision, keyed=True)

    def next(self) -> Intent:
        """Something to ask for, given what is known."""
        choices = (
            (self._add, 3),
            (self._draft, 17),
            (self._issue, 25),
            (self._pay, 30),
            (self._split, 6),
            (self._void, 6),
            (self._revise, 5),
            (self._close, 8),
        )
        ways, weights = zip(*choices, strict=True)
        return self._rng.choices(ways, weights)[0]()  # type: ignore[no-any-return]

    def heard(self, answer: Any) -> None:
        """Remember what an acknowledged command has made."""
        first = answer[0] if isinstance(answer, tuple) else answer
        known: list[Any] | None = {
            Client: self._clients,
            Invoice: self._invoices,
            Payment: self._payments,
        }.get(type(first))  # type: ignore[call-overload]
        if known is not None:
            known[:] = [*[it for it in known if it.id != first.id][-12:], first]

    def _add(self) -> Intent:
        currency = self._rng.choice(CURRENCIES)

        def named(profile: Profile) -> Profile:
            return profile.but(name="Acme", currency=currency)

        return self._intent("add a client", lambda desk: clientele.add(desk, named))

    def _draft(self) -> Intent:
        client = self._rng.choice(self._clients)
        lines = tuple(
            LineWritten(
                description="Work",
                unit_price=Decimal(self._rng.randint(0, 90_000)).scaleb(-3),
                quantity=Decimal(self._rng.randint(1, 30)).scaleb(-1),
                tax_rate=self._rng.choice((None, Decimal(19), Decimal("7.7"))),
            )
            for _ in range(self._rng.choice((0, 1, 1, 1, 2, 3)))
        )
        asked = DraftInvoice(client_id=client.id, line_items=lines)
        return self._intent("draft an invoice", lambda desk: billing.draft(desk, asked))

    def _issue(self) -> Intent:
        invoice = self._some(lambda it: it._drafts())
        it = self._intent(
            f"issue {short(invoice)}", lambda desk: billing.issue(desk, invoice.id, over_limit=True)
        )
        return self._expecting(it, invoice)

    def _pay(self) -> Intent:
        invoice = self._some(lambda it: it._owed())
        # What the bank's id stands for is found first, whatever else is said.
        told = None if isinstance(invoice, Foreign) else self._told()
        asked = RecordPayment(
            amount=self._part(invoice), method="cash", invoice_id=invoice.id, external_id=told
        )
        return self._recorded(f"pay {short(invoice)}", asked)

    def _split(self) -> Intent:
        """One payment for two invoices."""
        invoices = (self._some(lambda it: it._owed()), self._some(lambda it: it._invoices))
        parts = tuple(AllocationAsked(it.id, self._part(it)) for it in invoices)
        whole = sum((it.amount for it in parts), Decimal(0))
        asked = RecordPayment(amount=whole, method="check", allocations=parts)
        return self._recorded(f"pay {short(invoices[0])} and {short(invoices[1])}", asked)

    def _recorded(self, name: str, asked: RecordPayment) -> Intent:
        has_key = self._rng.random() < 0.8

        def decision(desk: Desk) -> tuple[Payment, bool]:
            return collecting.record(desk, asked, has_key=has_key)

        return self._intent(name, decision, keyed=has_key)

    def _void(self) -> Intent:
        payment = self._some(lambda it: it._payments)
        it = self._intent(
            f"void {short(payment)}", lambda desk: collecting.void(desk, payment.id, None)
        )
        return self._expecting(it, payment)

    def _revise(self) -> Intent:
        payment = self._some(lambda it: it._payments)
        amount = Decimal(self._rng.randint(1, 9_999))
        if isinstance(payment, Payment):
            amount = amount.scaleb(-minor_units(payment.entry.amount.currency))
        changes = {"amount": amount}
        return self._intent(
            f"revise {short(payment)} to {amount}",
            lambda desk: collecting.revise(desk, payment.id, changes),
        )

    def _close(self) -> Intent:
        invoice = self._some(lambda it: it._closable())
        ways: dict[str, Decision] = {
            "cancel": lambda desk: billing.cancel(desk, invoice.id, "for a test"),
            "write off": lambda desk: billing.write_off(desk, invoice.id, "for a test"),
            "reinstate": lambda desk: billing.reinstate(desk, invoice.id),
            "discard": partial(_discard, id=invoice.id),
        }
        given_up = isinstance(invoice, Invoice) and invoice.status is Status.WRITTEN_OFF
        way = "reinstate" if given_up else self._rng.choice(list(ways))
        return self._intent(f"{way} {short(invoice)}", ways[way])

    def _some(self, known: Callable[["Business"], Sequence[Any]]) -> Any:
        """One of the latest things, seldom one of another tenant's, or one that is not there."""
        whose = self.other if self.other and self._rng.random() < 0.03 else self
        things = known(whose)
        if not things:
            return Foreign(id=self._chance.id())
        found = self._rng.choice(things[-4:])
        return found if whose is self else Foreign(id=found.id)

    def _closable(self) -> list[Invoice]:
        """Those given up, which can be taken back, as often as any."""
        given_up = [it for it in self._invoices if it.status is Status.WRITTEN_OFF]
        return given_up if given_up and self._rng.random() < 0.5 else self._invoices

    def _drafts(self) -> list[Invoice]:
        drafts = [it for it in self._invoices if it.status is Status.DRAFT]
        return drafts if self._rng.random() < 0.8 else self._invoices

    def _owed(self) -> list[Invoice]:
        owed = [it for it in self._invoices if it.status is Status.SENT]
        return owed if owed and self._rng.random() < 0.9 else self._invoices

    def _part(self, invoice: Any) -> Decimal:
        """An amount for it: often what is due as far as is known, else any."""
        if not isinstance(invoice, Invoice):
            return Decimal(1)
        due, digits = invoice.balance_due, minor_units(invoice.currency)
        if due > 0 and self._rng.random() < 0.5:
            share = due * self._rng.choice((1, 1, Decimal("0.5"), Decimal("0.6")))
            return Money(share, invoice.currency).rounded().amount or Decimal(1).scaleb(-digits)
        return Decimal(self._rng.randint(1, 99_999)).scaleb(-digits)

    def _told(self) -> str | None:
        return f"bank-{self._rng.randint(1, 30)}" if self._rng.random() < 0.15 else None

    def _expecting(self, intent: Intent, state: State[Any] | Foreign) -> Intent:
        if not isinstance(state, Foreign) and self._rng.random() < 0.3:
            intent.expected = (state.version,)
        return intent

    def _intent(self, name: str, decision: Decision, *, keyed: bool | None = None) -> Intent:
        self._asked += 1
        with_key = self._rng.random() < 0.85 if keyed is None else keyed
        text = f"{self.tenant.hex} {self._asked}".encode()
        key = Key(sha256(text).digest(), sha256(text + b" body").digest()) if with_key else None
        intent = Intent(f"#{self._asked} {name}", self.tenant, decision, key)
        intent.foreign = "foreign" in name
        return intent


def short(state: State[Any] | Foreign) -> str:
    return f"{'foreign ' if isinstance(state, Foreign) else ''}{state.id.hex[:6]}"


def _discard(desk: Desk, id: UUID) -> Invoice:
    invoice = desk.open(Invoice, id)
    return desk.record(invoice, invoice.discard())
