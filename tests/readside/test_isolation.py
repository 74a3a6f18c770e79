"""Isolation: whatever happens to a request on a shared connection, it saw its own tenant alone."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import select

import projections
from projections.clients import clients
from zeroinvoice.domain.session import Session
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.fence import READ_ROLE, SETTING
from zeroinvoice.journal.mapper import StoredFact
from zeroinvoice.journal.recorder import PostgresFactRecorder, RolePool
from zeroinvoice.journal.schema import conninfo, migrate
from zeroinvoice.kernel.refusals import Unauthenticated, Unavailable
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.readside.reader import Books, Reader
from zeroinvoice.readside.tables import compiled, served

REQUESTS = 5_000
IMPATIENT = 15  # milliseconds of a statement
SEEN = f"SELECT tenant_id, current_setting('{SETTING}', true) FROM facts"
FORGETFUL = f"SELECT count(*), coalesce(current_setting('{SETTING}', true), '') FROM facts"
TENANTS = (UUID(int=1), UUID(int=2))
ROWS = 5_000  # a tenant's


@pytest.fixture
def books(new_database: Callable[[], str]) -> Iterator[Books]:
    """One connection for all who read, and a journal with facts of two tenants."""
    url = new_database()
    migrate(url)
    pool = RolePool(url)
    facts = [StoredFact(uuid4(), 1, "Something", b"{}", TENANTS[n % 2]) for n in range(5)]
    PostgresFactRecorder(pool).insert_events(facts)
    pool.close()
    reads = conninfo(url, READ_ROLE, application="test", statement_ms=IMPATIENT)
    it = Books(reads, Journal(), Keyring(b"k" * 32), {}, size=1)
    it.pool.open()
    yield it
    it.pool.close()


def disturbed(connection: psycopg.Connection[Any], how: str) -> None:
    """Something goes wrong while the request is being answered."""
    if how == "error":
        connection.execute("SELECT 1 / 0").fetchall()
    elif how == "timeout":
        connection.execute("SELECT pg_sleep(5)").fetchall()
    elif how == "cancel":
        cancelling = threading.Timer(0.002, connection.cancel)
        cancelling.start()
        try:
            connection.execute("SELECT pg_sleep(5)").fetchall()
        finally:
            cancelling.join()
    elif how == "left":
        raise LookupError("the handler itself gave up")


def test_no_request_sees_another_tenant_on_a_connection_they_share(books: Books) -> None:
    """T2: 5,000 in turn, with errors, cancels and timeouts mid-query; and some name nobody."""
    rng = random.Random(2)
    calm, wild = [""] * 90, ["error", "timeout", "cancel", "left"]
    disturbances = dict.fromkeys(wild, 0)
    for n in range(REQUESTS):
        tenant = TENANTS[n % 2]
        how = rng.choice([*calm, *wild])
        rows: Any = None
        try:
            with books.within(tenant) as connection:
                found = connection.execute(SEEN, prepare=True)
                if how:
                    rows = found.fetchall()
                    disturbed(connection, how)
            rows = found.fetchall()
        except (LookupError, Unavailable, psycopg.errors.DivisionByZero):
            disturbances[how] += 1
        assert rows == [(tenant, str(tenant))] * (3 - n % 2), how
        with books.connection() as connection:
            assert connection.execute(FORGETFUL).fetchone() == (0, ""), how
    assert min(disturbances.values()) > 10


def test_one_transaction_shows_one_tenant(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """T2: a read that names another tenant, as a login does, first settles its own."""
    seen = []
    within = Books.within

    def recorded(self: Books, tenant: UUID, asked_at: float | None = None) -> Any:
        seen.append(tenant)
        return within(self, tenant, asked_at)

    monkeypatch.setattr(Books, "within", recorded)
    ours, theirs = TENANTS
    standing = [(Session, uuid4())]
    reader = Reader(books, ours, datetime.now(UTC), standing=standing)
    reader.find(Session, uuid4(), tenant=theirs)
    reader.find(Session, uuid4())
    assert seen == [ours, theirs, ours]


def test_a_query_that_fails_lets_nobody_in(house: Any, office: Any) -> None:
    """T2: a read model is swapped while a session that has ended reads: it is still refused."""

    def refuse(reader: Reader) -> None:
        raise Unauthenticated("This session has ended.")

    parts = house.parts
    shapes = {it.name: it.version for it in projections.projectors}
    reads = conninfo(house.database_url, READ_ROLE, application="test")
    books = Books(reads, parts.journal, parts.keyring, shapes, size=2)
    books.generations["clients"] = 9_999
    books.pool.open()
    try:
        standing = [(Session, office.session)]
        reader = Reader(books, office.tenant, datetime.now(UTC), standing=standing, admit=refuse)
        with pytest.raises(Unauthenticated):
            reader.rows(reader.mine(clients, clients.c.id))
    finally:
        books.pool.close()
    assert books.generations["clients"] != 9_999


FILL = """
INSERT INTO {table} SELECT (jsonb_populate_record(r, jsonb_build_object('id', gen_random_uuid())
    || jsonb_object_agg(c, 'row ' || g))).*
FROM {table} r, generate_series(1, {rows}) g, unnest(%s::text[]) c
WHERE r.id = %s GROUP BY g, r.*
"""


def used_by(plan: psycopg.Cursor[Any]) -> list[str]:
    """The indexes that a plan looks things up in, and the tables it reads through."""
    text = "\n".join(row[0] for row in plan.fetchall())
    return sorted(re.findall(r"(?:Index (?:Only )?Scan|Seq Scan).* on (\w+)", text))


def test_searches_use_their_indexes_behind_the_fence(
    new_database: Any, open_house: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T1: 10,000 rows of two tenants; what is asked is looked up, not looked for."""
    house = open_house(new_database())
    offices = [house.office(), house.office()]
    for office in offices:
        client = office.made("/api/clients", {"name": "Acme Corp", "number": "C-00001"})
        lines = [{"description": "Plumbing", "unit_price": "1.00"}]
        draft = {"client_id": client["id"], "line_items": lines, "reference": "R-1"}
        invoice = office.made("/api/invoices", draft)
        eventually(lambda it=office: len(it.get("/api/invoices").json()["items"]) == 1)
        with psycopg.connect(house.database_url, autocommit=True) as connection:
            for table, id, texts in (
                ("clients_1.clients", client["id"], ["name", "name_order", "number", "email"]),
                ("invoices_1.invoices", invoice["id"], ["reference", "lines_text", "notes"]),
            ):
                connection.execute(FILL.format(table=table, rows=ROWS).encode(), [texts, id])
                connection.execute(f"VACUUM ANALYZE {table}".encode())
    plans: list[tuple[list[str], list[str]]] = []
    answered = Reader.rows

    def explained(self: Reader, statement: Any, **options: Any) -> Any:
        question = compiled(statement) if not isinstance(statement, tuple) else statement
        text = served(question.text, dict.fromkeys(question.projections, 1))
        with self.books.within(self.tenant) as connection:
            plan = connection.execute(f"EXPLAIN {text}".encode(), question.values)
        with psycopg.connect(house.database_url) as unbound:  # who is no reader sees all
            open_plan = unbound.execute(f"EXPLAIN {text}".encode(), question.values)
            plans.append((used_by(plan), used_by(open_plan)))
        return answered(self, statement, **options)

    monkeypatch.setattr(Reader, "rows", explained)
    for path, index in {
        "/api/clients/search?q=Acme": "clients_like_name",
        "/api/invoices/search?q=Plumbing": "invoices_like",
        "/api/invoices/search?q=R-1": "invoices_by_reference",
    }.items():
        plans.clear()
        assert len(offices[0].get(path).json()["items"]) == 1, path
        assert any(index in behind for behind, _ in plans), plans
        for behind, without in plans:
            assert behind == without


def test_the_plan_of_a_list_asks_for_the_tenant_once(house: Any, office: Any) -> None:
    """T1: the fence is one comparison before the rows, not one with each of them."""
    question = compiled(select(clients.c.id).where(clients.c.tenant_id == office.tenant))
    text = served(question.text, dict.fromkeys(question.projections, 1))
    reads = conninfo(house.database_url, READ_ROLE, application="test")
    with psycopg.connect(reads, autocommit=True) as connection:
        rows = connection.execute(f"EXPLAIN {text}".encode(), question.values).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "One-Time Filter" in plan.splitlines()[1], plan
    assert plan.count(SETTING) == 1, plan
