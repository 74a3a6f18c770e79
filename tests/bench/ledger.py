"""A journal of believable business: real decisions, made in bulk and copied into the table."""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

import psycopg
from cluster import cloned, database
from processes import apart

from zeroinvoice.domain import KINDS, billing, collecting
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.collecting import RecordPayment
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.workspace import Settings, Workspace
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.mapper import GENESIS, link
from zeroinvoice.journal.recorder import COLUMNS, STORED, Row
from zeroinvoice.journal.schema import migrate
from zeroinvoice.kernel.desk import Desk, Place
from zeroinvoice.kernel.facts import Actor, Fact, Origin, State
from zeroinvoice.kernel.ids import house_named, new_id

TENANTS = 8
TOGETHER = 20_000  # facts in one COPY
SPAN = timedelta(days=300)  # over which the business went
OF_INVOICES = ("workspace", "client", "invoice")  # the streams that the invoices' model reads
DRAFTS, OPEN = 40, 400  # invoices of a tenant that wait to be sent, and to be paid
PER_CLIENT = 20  # invoices
PER_PROJECT = 5  # invoices whose lines name it

SERVICES = (
    "Workshops with the finance team for",
    "Integration of the order desk with the ledger for",
    "Support on site, evenings included, for",
    "Travel and lodging at cost, receipts attached, for",
    "Licences of the reporting module for",
    "Migration of the archive, checked by sampling, for",
)
FORMS = ("Ltd", "GmbH", "SARL", "Inc", "BV")
NOTE = "Net 30. Please quote the invoice number with your transfer. Thank you for the good work."
ORIGIN_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

_used: dict[tuple[str, int, tuple[str, ...]], str] = {}


def journal(url: str, facts: int, name: str, kinds: tuple[str, ...] = tuple(KINDS)) -> str:
    """The URL of a new database with so many facts in its journal; made once, then cloned."""
    known = f"ledger_{facts}_{len(kinds)}"
    if (url, facts, kinds) not in _used:
        apart(fill, database(url, known), facts, kinds)
        _used[url, facts, kinds] = known
    made = cloned(url, known, name)
    migrate(made)  # a clone has everything but the right to make schemas in it
    return made


def tenant(number: int) -> UUID:
    return house_named("bench", str(number % TENANTS))


def fill(url: str, facts: int, kinds: tuple[str, ...] = tuple(KINDS)) -> None:
    """Make the journal's tables, and put facts of the tenants into them: gapless and chained.

    Of other kinds of streams than those named, nothing is kept.
    """
    migrate(url)
    kept = tuple(KINDS[name] for name in kinds)
    rows = chained(islice(happened(facts, kept), facts))
    with psycopg.connect(url, autocommit=True) as connection:
        while batch := list(islice(rows, TOGETHER)):
            with connection.cursor().copy(f"COPY facts ({COLUMNS}) FROM STDIN".encode()) as copy:
                for row in batch:
                    copy.write_row(row[:STORED])
        connection.execute("VACUUM ANALYZE facts")


def chained(facts: Iterator[Fact]) -> Iterator[Row]:
    """The rows that record some facts, which get their positions here."""
    state_of = Journal().facts_mapper.state_of
    hashes: dict[UUID, bytes] = {}
    for position, fact in enumerate(facts, 1):
        topic, state = type(fact.event).__name__, state_of(fact)
        where = (position, fact.tenant, fact.stream, fact.version, topic)
        hashes[fact.tenant] = digest = link(hashes.get(fact.tenant, GENESIS), *where, state)
        yield (*where, state.decode(), digest, None, None, None)


def happened(facts: int, kept: tuple[type[State[Any]], ...]) -> Iterator[Fact]:
    """What the tenants record in turn, for ever; positions are still to be given."""
    begun, step = datetime.now(UTC) - SPAN, SPAN / facts
    businesses = [Business(tenant(number), facts) for number in range(TENANTS)]
    turn = 0
    while True:
        for business in businesses:
            for decision in business.day():
                turn += 1
                yield from business.decide(decision, begun + step * turn, kept)


class Business:
    """One tenant: its clients, and its invoices that are drafted, sent and paid."""

    def __init__(self, tenant: UUID, facts: int) -> None:
        self.tenant = tenant
        self.user = new_id()
        self.states: dict[Place, State[Any]] = {}  # of what is still worked with
        self.clients: list[UUID] = []
        self.drafts: deque[UUID] = deque()
        self.open: deque[UUID] = deque()
        self.invoices = 0
        self.settings = Settings(f"{word(tenant.int % 7_919)} Consulting")
        # In a small journal, too, some of everything has happened.
        self.most_drafts = min(DRAFTS, facts // 500)
        self.most_open = min(OPEN, facts // 200)

    def day(self) -> Iterator[Callable[[Desk], Any]]:
        """The next invoice's draft, and what has become due of earlier ones."""
        if not self.clients:
            yield self.begin
        if self.invoices % PER_CLIENT == 0:
            yield self.add_client
        yield self.draft
        if len(self.drafts) > self.most_drafts:
            yield self.send
        if len(self.open) > self.most_open:
            yield self.collect

    def decide(
        self, decision: Callable[[Desk], Any], now: datetime, kept: tuple[type[State[Any]], ...]
    ) -> Iterator[Fact]:
        desk = Desk(self.tenant, now, self.look)
        decision(desk)
        origin = Origin(Actor("user", self.user), new_id(), ip="203.0.113.7", agent=ORIGIN_AGENT)
        for place, state in desk.opened.items():
            self.states[place] = state
        for (tenant, stream), version, event, at in desk.recorded:
            if isinstance(desk.opened[tenant, stream], kept):
                yield Fact(event, tenant, stream, version, 0, at, origin)
        for place, state in desk.opened.items():
            if state.version == 0 or KINDS["like_payments"] is type(state) or _done(state):
                del self.states[place]

    def look(self, kind: type[State[Any]], place: Place) -> State[Any]:
        return self.states.get(place) or kind(id=place[1])

    def begin(self, desk: Desk) -> None:
        workspace = desk.new(Workspace, self.tenant)
        desk.record(workspace, workspace.open(self.user, self.settings))

    def add_client(self, desk: Desk) -> None:
        number = len(self.clients)
        name = word(number * 7 + self.tenant.int % 1_000)
        profile = Profile(
            f"{name} {FORMS[number % len(FORMS)]}", "EUR", email=f"billing@{name.lower()}.example"
        )
        client = desk.new(Client)
        self.clients.append(desk.record(client, client.add(profile)).id)

    def draft(self, desk: Desk) -> None:
        self.invoices += 1
        number = self.invoices
        project = word(number // PER_PROJECT * TENANTS + self.tenant.int % TENANTS)
        lines = tuple(
            LineWritten(
                description=f"{SERVICES[(number + at) % len(SERVICES)]} {project}",
                quantity=Decimal(number % 39 + 1) / 2,
                unit_price=Decimal(4_800 + number * 17 % 9_000) / 100,
                tax_rate=Decimal(19),
            )
            for at in range(3)
        )
        asked = DraftInvoice(
            client_id=self.clients[number * 7_919 % len(self.clients)],
            line_items=lines,
            reference=f"{project[:3].upper()}-{number}",
            notes=NOTE if number % 2 else None,
        )
        self.drafts.append(billing.draft(desk, asked).id)

    def send(self, desk: Desk) -> None:
        invoice = billing.issue(desk, self.drafts.popleft())
        self.open.append(invoice.id)

    def collect(self, desk: Desk) -> None:
        """Nine of ten are paid whole, one in ten half."""
        invoice = desk.open(Invoice, self.open.popleft())
        due = invoice.balance_due
        amount = (due / 2).quantize(due) if invoice.content.lines[0].quantity % 10 == 0 else due
        asked = RecordPayment(amount=amount, method="bank_transfer", invoice_id=invoice.id)
        collecting.record(desk, asked, has_key=True)


def _done(state: State[Any]) -> bool:
    return isinstance(state, KINDS["payment"]) or (isinstance(state, Invoice) and bool(state.paid))


SYLLABLES = ("ba", "ki", "lo", "mu", "ne", "ra", "si", "to", "ve", "zu", "da", "fe", "gi", "ho")


def word(number: int) -> str:
    """A name that can be said, another for each number."""
    text = ""
    while number or len(text) < 6:
        number, at = divmod(number, len(SYLLABLES))
        text += SYLLABLES[at]
    return text.capitalize()
