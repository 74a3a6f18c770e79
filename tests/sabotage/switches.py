"""Sabotages: each breaks one promise of the running program, so that a test can show it notices.

A switch is told how to put something in another's place: `setattr`, or a test's own that is
undone. Where a second defence would refuse the sabotage, the switch disarms that as well.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID

import psycopg

from zeroinvoice.domain import billing, collecting, lines, taxes, two_factor
from zeroinvoice.domain.billing import DraftInvoice
from zeroinvoice.domain.invoice import Invoice, InvoicePaymentApplied
from zeroinvoice.domain.lines import Line
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.series import NumberEvent, Numbering, NumberSeries, NumberTaken, series_id
from zeroinvoice.domain.two_factor import TwoFactor
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.journal import fence, schema
from zeroinvoice.journal.cache import NOTHING, Cache
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import _Batch
from zeroinvoice.journal.subjects import Held
from zeroinvoice.kernel.desk import Desk, Place
from zeroinvoice.kernel.facts import Events, Fact
from zeroinvoice.kernel.money import Money, digits_and_unit
from zeroinvoice.readside.projector import CLAIM, LIVE_BATCH, MOVE, Follower
from zeroinvoice.readside.rows import Books, Rows

Patch = Callable[[Any, str, Any], None]  # where, which name, what stands there instead


def order_by_nobody(patch: Patch) -> None:
    """S1: positions are given without the order lock, and gaps are not refused."""
    lock = f"PERFORM pg_advisory_xact_lock({schema.ORDER_LOCK});"
    gap = "IF upto <> before + many + away OR"
    assert lock in schema.TRIGGERS
    assert gap in schema.TRIGGERS
    disarmed = schema.TRIGGERS.replace(lock, "").replace(gap, "IF false AND")
    patch(schema, "TRIGGERS", disarmed)


def checkpoint_apart(patch: Patch) -> None:
    """S2: a projector's rows are committed first, and its checkpoint afterwards.

    A row that is there already is replaced, or else a primary key would be what notices.
    """
    written = Rows._write_dirty

    def step(self: Follower, connection: psycopg.Connection[Any]) -> int:
        name = self.projector.name
        with connection.transaction():
            row = connection.execute(CLAIM, [name], prepare=True).fetchone()
            if row is None or row[2] != self.projector.version:
                return 0
            generation, position = row[0], row[1]
            facts = self._window.since(position, LIVE_BATCH)
            if not facts:
                return 0
            self._at(generation, position).apply(connection, facts)
        with connection.transaction():
            self._position = position + len(facts)
            connection.execute(MOVE, [self._position, len(facts), name, position], prepare=True)
        return len(facts)

    def write_dirty(self: Rows, ids: list[Any]) -> None:
        self._stored.update(ids)
        written(self, ids)

    patch(Follower, "step", step)
    patch(Rows, "_write_dirty", write_dirty)


def key_apart(patch: Patch) -> None:
    """S3: the facts are committed first, and what their idempotency keys stand for afterwards."""

    def commit(self: _Batch) -> None:
        store = self._committer._store
        if self.rows:
            store.commit(self.rows, [], self._at, self.sealer.keys, ())
            if self._new_answers:
                store.begin(NOTHING, {}, (), 0)
        if self._new_answers:
            store.commit([], self._new_answers, self._at, Held({}), ())
        elif not self.rows:
            store.rollback()

    patch(_Batch, "commit", commit)


def number_from_a_sequence(patch: Patch) -> None:
    """S5: the next number is drawn from a counter that knows of no rollback."""
    sequences: dict[tuple[UUID, str], Iterator[int]] = defaultdict(lambda: count(1))

    def take(
        self: NumberSeries,
        document: UUID,
        issued_on: date,
        rules: Numbering,
        *,
        chosen: str | None = None,
        client: str = "",
        series: str = "",
    ) -> Iterator[NumberEvent]:
        bucket, form = rules.bucket(issued_on), rules.form(issued_on, series)
        sequence = next(sequences[self.id, bucket])
        number = rules.number(sequence, issued_on, client, series)
        yield NumberTaken(number, sequence, bucket, form, document, issued_on)

    patch(NumberSeries, "take", take)


def number_at_draft(patch: Patch) -> None:
    """S6: an invoice has its number from the draft on, whether or not it is ever issued."""
    drafted, taken = billing.draft, NumberSeries.take

    def draft(desk: Desk, asked: DraftInvoice) -> Invoice:
        invoice = drafted(desk, asked)
        numbering = desk.open(Workspace, desk.tenant).settings.numbering("invoice")
        series = desk.find(NumberSeries, series_id(desk.tenant, "invoice"))
        (number,) = taken(series, invoice.id, billing.today(desk), numbering)
        desk.record(series, [number])
        content = invoice.content.but(number=number.number)
        return desk.record(invoice, invoice.revise(content, invoice.handling, invoice.totals))

    def take(
        self: NumberSeries,
        document: UUID,
        issued_on: date,
        rules: Numbering,
        *,
        chosen: str | None = None,
        client: str = "",
        series: str = "",
    ) -> Iterator[NumberEvent]:
        if chosen is None:
            yield from taken(self, document, issued_on, rules, client=client, series=series)
            return
        bucket, form = rules.bucket(issued_on), rules.form(issued_on, series)
        sequence = rules.sequence(chosen, issued_on, client, series)
        yield NumberTaken(chosen, sequence, bucket, form, document, issued_on)

    patch(billing, "draft", draft)
    patch(NumberSeries, "take", take)


def balance_looked_up_before(patch: Patch) -> None:
    """S7: what is due is looked up when a request arrives, not where it is decided."""
    latest: dict[UUID, Invoice] = {}  # as last committed by this process
    seen: list[dict[UUID, Invoice]] = [{}]  # by the request that is being decided
    keep, begin = Cache.keep, Command.__init__

    def kept(self: Cache, position: int, states: Mapping[Place, Any], *more: Any) -> None:
        keep(self, position, states, *more)
        latest.update({place[1]: it for place, it in states.items() if isinstance(it, Invoice)})

    def arrive(self: Command, *args: Any, **options: Any) -> None:
        begin(self, *args, **options)
        decision, looked_up = self.decision, dict(latest)

        def decide(desk: Desk) -> Any:
            seen[0] = looked_up
            return decision(desk)

        self.decision = decide

    def due(invoice: Invoice, payment: Payment) -> Decimal:
        return seen[0].get(invoice.id, invoice).balance_due + invoice.paid_by(payment.id)

    def receive(self: Invoice, payment_id: UUID, amount: Money, received_on: date) -> Events:
        self.assert_payable()
        yield InvoicePaymentApplied(payment_id, amount.amount, received_on)

    patch(Cache, "keep", kept)
    patch(Command, "__init__", arrive)
    patch(collecting, "_open", due)
    patch(Invoice, "receive", receive)


def money_in_floats(patch: Patch) -> None:
    """S8: lines and taxes are reckoned in binary floats."""

    def nets(written: Sequence[Line], currency: str) -> list[int]:
        units = 10.0 ** digits_and_unit(currency)[0]
        found = []
        for line in written:
            gross = float(line.quantity) * float(line.unit_price)
            if line.discount is not None and line.discount.type == "percent":
                gross *= 1 - float(line.discount.value) / 100
            elif line.discount is not None:
                gross -= float(line.discount.value)
            found.append(round(gross * units))
        return found

    patch(lines, "_nets", nets)
    patch(taxes, "half_away", lambda above, below: round(above / below))


def code_known_by_its_text(patch: Patch) -> None:
    """S13: a code is spent when it reads like the last one, whatever the step it stands for."""

    def fresh_step(self: TwoFactor, secret: str, code: str, now: datetime) -> int | None:
        if code == two_factor.code_of(secret, self.step):
            return None
        current = two_factor.step_of(now)
        near = range(current - 1, current + 2)
        return next((it for it in near if two_factor.code_of(secret, it) == code), None)

    patch(TwoFactor, "fresh_step", fresh_step)


def errors_passed_over(patch: Patch) -> None:
    """S14: a fact whose fold raises is left out, and the projection goes on."""

    def apply(
        self: Books, connection: psycopg.Connection[Any], facts: list[Fact], *, held: int = 0
    ) -> None:
        for unit in self._units:
            unit.begin(connection, facts)
        for fact in facts:
            for unit in self._units:
                unit.tenant = fact.tenant
            try:
                self._project(*self._units, fact)
            except Exception:
                continue
        for unit in self._units:
            unit.flush(held)

    patch(Books, "apply", apply)


def commits_not_on_disk(patch: Patch) -> None:
    """S15: a commit is acknowledged before it is on disk, and no start-up check minds."""
    careful = schema.conninfo

    def conninfo(url: str, role: str, **options: Any) -> str:
        return careful(url, role, **{**options, "durable": False})

    patch(schema, "conninfo", conninfo)
    patch(schema, "SAFE_SETTINGS", ("fsync", "full_page_writes"))
    assert "synchronous_commit" not in schema.SAFE_SETTINGS


def owner_let_through(patch: Patch) -> None:
    """S10: the fences stand, and do not bind the tables' owner."""
    patch(fence, "FORCE", "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")


def tenant_left_behind(patch: Patch) -> None:
    """S11: the tenant is named for the session, so it outlives its request on the connection."""
    assert fence.NAME_TENANT.endswith("true)")
    patch(fence, "NAME_TENANT", fence.NAME_TENANT.replace("true)", "false)"))


@dataclass(frozen=True)
class Sabotage:
    breaks: str
    guarantee: str
    switch: Callable[[Patch], None]
    test: str  # the one that must catch it
    processes: bool = False  # whether it is applied in processes of their own


SIMULATION = (
    "tests/simulation/test_simulation.py::"
    "test_nothing_is_lost_doubled_or_skipped_and_all_comes_to_rest"
)
SABOTAGES = {
    "S1": Sabotage(
        "the order trigger is dropped",
        "G5",
        order_by_nobody,
        "tests/faults/test_order.py::test_followers_skip_and_repeat_nothing",
    ),
    "S2": Sabotage(
        "the checkpoint has a transaction of its own", "G6", checkpoint_apart, SIMULATION
    ),
    "S3": Sabotage("the key has a transaction of its own", "G2", key_apart, SIMULATION),
    "S5": Sabotage("numbers come from a sequence", "G11", number_from_a_sequence, SIMULATION),
    "S6": Sabotage("a draft has a number", "G11", number_at_draft, SIMULATION),
    "S7": Sabotage(
        "the balance is checked before the transaction",
        "T16",
        balance_looked_up_before,
        "tests/commands/test_payments_twice.py::test_t16_twenty_parallel_payments_of_60_on_100",
    ),
    "S8": Sabotage(
        "money is reckoned in floats",
        "G27",
        money_in_floats,
        "tests/properties/test_money_properties.py::test_the_calculation_is_the_one_of_the_rules",
    ),
    "S10": Sabotage(
        "row-level security without FORCE",
        "T1",
        owner_let_through,
        "tests/journal/test_fence.py::test_every_table_with_tenants_rows_has_a_whole_fence",
    ),
    "S11": Sabotage(
        "the tenant is named for the whole session",
        "T2",
        tenant_left_behind,
        "tests/readside/test_isolation.py::"
        "test_no_request_sees_another_tenant_on_a_connection_they_share",
    ),
    "S13": Sabotage(
        "a code of a second factor is known by its text",
        "T11",
        code_known_by_its_text,
        "tests/commands/test_two_factor_login.py::"
        "test_no_code_of_an_earlier_step_is_taken_after_a_later_one",
    ),
    "S14": Sabotage(
        "a fact whose fold raises is skipped",
        "G19",
        errors_passed_over,
        "tests/readside/test_worker.py::test_a_fold_that_raises_halts_alone_and_health_names_it",
    ),
    "S15": Sabotage(
        "commits are acknowledged before they are on disk",
        "G1",
        commits_not_on_disk,
        "tests/faults/test_immediate_stop.py::"
        "test_an_immediate_stop_of_the_database_loses_nothing_acknowledged",
        processes=True,
    ),
}
