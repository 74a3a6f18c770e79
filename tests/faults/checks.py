"""What must hold after each round, whatever happened in it."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from barriers import wait_for
from offices import Office
from operations import Attempt
from records import Records

import projections
from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.payment import Status as PaymentStatus
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.proof import verify
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.readside.projector import rebuild
from zeroinvoice.readside.tables import schema_name

BEHIND = (
    "SELECT name, position, (SELECT max(position) FROM facts), error, error_at FROM checkpoints"
    " WHERE position < (SELECT max(position) FROM facts)"
)
OLD = (  # transactions that hold something for longer than anything here takes
    "SELECT pid, application_name, state, query FROM pg_stat_activity"
    " WHERE xact_start < now() - interval '10 s' AND backend_type = 'client backend'"
)
UNKNOWN_FOR = 20.0  # seconds for which a request is repeated before its outcome must be known


def everything_holds(
    url: str, office: Office, attempts: Sequence[Attempt], records: Records
) -> None:
    """All of them: effects, money, numbers, order and chain, nothing stuck, equal to a rebuild."""
    effects(url, office, attempts, records)
    settled(url)
    money(records, url)
    numbers(records)
    assert whole(url) == records.position
    rebuilt_alike(url, office.installation.masters)


def effects(url: str, office: Office, attempts: Sequence[Attempt], records: Records) -> None:
    """Acknowledged: exactly one effect. Refused: none. Unknown: one, once its key is repeated.

    What was acknowledged is what the client's own journal says, read back from the disk.
    """
    records.read(url, office.installation.masters)
    outcomes = office.journal.outcomes()
    for it in attempts:
        seen = it.operation.effects(records.marked[it.mark])
        match outcomes[it.mark]:
            case "acked":
                assert seen == 1, f"{it.told} and has {seen} effects"
            case "refused":
                assert seen == 0, f"{it.told} and has {seen} effects"
            case _:
                assert seen <= 1, f"{it.told} and has {seen} effects"
    resolve(office, [it for it in attempts if outcomes[it.mark] not in ("acked", "refused")])
    records.read(url, office.installation.masters)
    for it in attempts:
        expected = 1 if it.operation.effect else 0
        seen = it.operation.effects(records.marked[it.mark])
        assert seen == expected, f"{it.operation.name}: {seen} effects, {expected} meant"
        assert it.operation.holds(records, it), f"{it.operation.name} does not hold"


def resolve(office: Office, unknown: Sequence[Attempt]) -> None:
    """Repeat each under its key until its outcome is known."""
    with office.http() as http:
        for it in unknown:
            until = time.monotonic() + UNKNOWN_FOR
            while True:
                it.carry_out(http, office.journal)
                if it.outcome in ("acked", "refused"):
                    break
                assert time.monotonic() < until, f"{it.told} and does not resolve"
                time.sleep(0.05)


def settled(url: str, within: float = 10.0) -> None:
    """Nothing is stuck: all who follow reach the head, and no transaction is older than 10 s."""
    with psycopg.connect(url, autocommit=True) as connection:

        def behind() -> list[tuple[Any, ...]]:
            return connection.execute(BEHIND).fetchall()

        wait_for(lambda: not behind(), f"all to reach the head: {behind()}", within)
        old = connection.execute(OLD).fetchall()
        assert not old, f"these do not end: {old}"


def whole(url: str) -> int:
    """Positions without gaps, versions without gaps, every link of the chain; how many facts."""
    journal = Journal.at(url, size=1)
    try:
        return verify(journal.every_row()).facts
    finally:
        journal.close()


def money(records: Records, url: str) -> None:
    """Invoices, payments and accounts agree with the legs in the journal, and with each other."""
    with psycopg.connect(url) as connection:
        (generation,) = connection.execute(
            "SELECT generation FROM checkpoints WHERE name = 'invoices'"
        ).fetchone() or (1,)
        table = f"{schema_name('invoices', generation)}.invoices"
        shown = dict(connection.execute(f"SELECT id, balance_due FROM {table}".encode()).fetchall())
    owed: defaultdict[tuple[UUID, str], Decimal] = defaultdict(Decimal)
    tenants = _tenants(url)
    for invoice in records.all(Invoice):
        due = records.due(invoice.id)
        assert invoice.balance_due == due, f"invoice {invoice.id}: {invoice.balance_due}, not {due}"
        assert shown[invoice.id] == due, f"invoice {invoice.id} is listed with {shown[invoice.id]}"
        assert due >= 0, f"invoice {invoice.id} is paid more than once"
        if invoice.status in (Status.SENT, Status.PAID):
            client = account_of(tenants[invoice.id], invoice.content.client_id)
            owed[client, invoice.currency] += due
    allocated: defaultdict[tuple[UUID, UUID], Decimal] = defaultdict(Decimal)
    for payment in records.all(Payment):
        if payment.status is PaymentStatus.VOIDED:
            continue
        for part in payment.allocations:
            allocated[payment.id, part.invoice_id] += part.amount
        client = account_of(tenants[payment.id], payment.entry.client_id)
        owed[client, payment.entry.worth.currency] -= payment.unapplied.amount
    spent = records.all(Credit)
    for credit in spent:
        assert credit.remaining.amount >= 0, f"credit {credit.id} is spent twice"
        client = account_of(tenants[credit.id], credit.entry.client_id)
        owed[client, credit.currency] -= credit.remaining.amount
    assert sum((it.applied for it in spent), Decimal()) == sum(
        (it.credited.amount for it in records.all(Invoice)), Decimal()
    ), "credits and invoices do not agree"
    legs = {key: amount for key, amount in records.settled.items() if amount}
    assert legs == dict(allocated), "payments and invoices do not agree"
    for (account, currency), balance in records.accounts.items():
        assert records.state(Account, account).balances.get(currency).amount == balance
        assert owed[account, currency] == balance, f"account {account}: {balance} {currency}"


def numbers(records: Records) -> None:
    """Each series counts 1 to N in the order of the journal, and each number is its document's."""
    for (series, bucket), taken in records.numbers.items():
        sequences = [it.sequence for it in taken]
        assert sequences == list(range(1, len(taken) + 1)), f"series {series} {bucket}: {sequences}"
        assert len({it.number for it in taken}) == len(taken)
        for it in taken:
            document = records.states[it.document]
            if isinstance(document, Invoice):
                assert document.number == it.number, f"{it.number} is not {document.number}"
            else:
                assert isinstance(document, (Client, Credit, Payment))


def rebuilt_alike(url: str, masters: MasterKeys) -> None:
    """Read models are byte-equal to a rebuild from the journal."""
    before = dump(url)
    work = conninfo(url, WORK_ROLE, application="faults rebuild", statement_ms=0)
    journal = Journal.at(work, masters, size=1)
    with psycopg.connect(work, autocommit=True) as connection:
        rebuild(connection, projections.projectors, journal)
    journal.close()
    after = dump(url)
    for name, rows in before.items():
        if digest(rows) != digest(after[name]):
            differing = set(rows) ^ set(after[name])
            raise AssertionError(f"{name} differs from its rebuild: {sorted(differing)[:5]}")


def dump(url: str) -> dict[str, list[bytes]]:
    """Every read table as `COPY` writes it, in the order of its key."""
    dumps = {}
    with psycopg.connect(url) as connection:
        served = dict(connection.execute("SELECT name, generation FROM checkpoints").fetchall())
        for projector in projections.projectors:
            for table in projector.tables:
                place = f"{schema_name(projector.name, served[projector.name])}.{table.name}"
                key = next(iter(table.columns)).name
                asked = f"COPY (SELECT * FROM {place} ORDER BY {key}) TO STDOUT"
                with connection.cursor().copy(asked.encode()) as copy:
                    dumps[f"{projector.name}.{table.name}"] = list(map(bytes, copy))
    return dumps


def digest(rows: Sequence[bytes]) -> str:
    return hashlib.sha256(b"".join(rows)).hexdigest()


def _tenants(url: str) -> dict[UUID, UUID]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT stream, tenant_id FROM facts WHERE version = 1")
        return dict(rows.fetchall())
