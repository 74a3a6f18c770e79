"""The journal's table guards itself: in order, without gaps, for ever."""

import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from psycopg import sql

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.proof import Exported, export, verify
from zeroinvoice.journal.recorder import INSERT, PostgresFactRecorder, RolePool, columns_of
from zeroinvoice.journal.schema import ROLES, assert_safe, conninfo, migrate


@pytest.fixture
def url(database_url: str) -> str:
    """An empty database with the journal's tables."""
    name = f"schema_{uuid4().hex}"
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    made = psycopg.conninfo.make_conninfo(database_url, dbname=name)
    migrate(made)
    migrate(made)  # at every start, so it must be harmless
    return made


@pytest.fixture
def recorder(url: str) -> Iterator[PostgresFactRecorder]:
    pool = RolePool(url)
    yield PostgresFactRecorder(pool)
    pool.close()


REST = ("Something", "{}", bytes(32), None, None, None)  # of a row, beside its place


def written(recorder: PostgresFactRecorder, count: int = 5) -> list[Any]:
    stream = uuid4()
    recorder.insert_events(
        [StoredEvent(stream, n + 1, "Something", b'{"n":%d}' % n) for n in range(count)]
    )
    return recorder.rows_since(0, 100)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE facts SET state = '{}'",
        "UPDATE facts SET hash = hash",
        "DELETE FROM facts",
        "DELETE FROM facts WHERE position = 1",
        "TRUNCATE facts",
        "MERGE INTO facts f USING (SELECT 1 AS p) s ON f.position = s.p WHEN MATCHED THEN DELETE",
        "INSERT INTO facts SELECT * FROM facts ON CONFLICT (position) DO UPDATE SET state = '{}'",
        "ALTER TABLE facts DISABLE TRIGGER ALL",
        "ALTER TABLE facts DISABLE TRIGGER facts_for_ever",
        "ALTER TABLE facts ENABLE REPLICA TRIGGER facts_for_ever",
        "ALTER TABLE facts RENAME TO facts_then",
        "ALTER TABLE facts ADD COLUMN note text",
        "ALTER TABLE facts DROP COLUMN hash",
        "ALTER TABLE facts ALTER COLUMN state SET DEFAULT '{}'",
        "ALTER TABLE facts DROP CONSTRAINT facts_pkey",
        "ALTER TABLE facts NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE facts DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE facts OWNER TO CURRENT_USER",
        "DROP TABLE facts",
        "DROP TRIGGER facts_for_ever ON facts",
        "DROP INDEX facts_of_stream",
        "DROP FUNCTION facts_for_ever CASCADE",
        "CREATE RULE forgotten AS ON INSERT TO facts DO INSTEAD NOTHING",
        "CREATE TRIGGER bent BEFORE INSERT ON facts EXECUTE FUNCTION facts_in_order()",
        "ALTER FUNCTION facts_for_ever() RENAME TO facts_for_a_while",
        "CREATE OR REPLACE FUNCTION facts_for_ever() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END'",
        "SET session_replication_role = replica",
    ],
)
def test_no_role_of_the_application_can_change_the_journal(
    url: str, recorder: PostgresFactRecorder, role: str, statement: str
) -> None:
    """A25-9: the API's role has INSERT and SELECT only, the others less; each by itself."""
    before = written(recorder)
    with psycopg.connect(conninfo(url, role, application="test"), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
    assert recorder.rows_since(0, 100) == before


@pytest.mark.parametrize(
    "statement", ["UPDATE facts SET topic = 'x'", "DELETE FROM facts", "TRUNCATE facts"]
)
def test_even_the_owner_is_refused_by_the_trigger(
    url: str, recorder: PostgresFactRecorder, statement: str
) -> None:
    written(recorder)
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            connection.execute(statement.encode())


def test_a_position_that_does_not_follow_is_refused(
    url: str, recorder: PostgresFactRecorder
) -> None:
    rows = written(recorder)
    gap = (rows[-1][0] + 2, rows[-1][1], uuid4(), 1, *REST)
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation):
            connection.execute(INSERT, columns_of([gap]))


def test_an_insert_waits_for_whoever_holds_the_order_lock(
    url: str, recorder: PostgresFactRecorder
) -> None:
    """Reliability 0.3: the trigger takes the lock, whatever the writer forgot."""
    rows = written(recorder)
    row = (rows[-1][0] + 1, rows[-1][1], uuid4(), 1, *REST)
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as other:
        holder.execute("SELECT pg_advisory_xact_lock(4711)")
        inserting = threading.Thread(target=other.execute, args=(INSERT, columns_of([row])))
        inserting.start()
        with psycopg.connect(url, autocommit=True) as watcher:
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            until = time.monotonic() + 10
            while watcher.execute(waiting).fetchone() != (1,):
                assert time.monotonic() < until, "the insert did not wait"
        assert inserting.is_alive()
        holder.rollback()
        inserting.join(10)
    assert len(recorder.rows_since(0, 100)) == len(rows) + 1


def test_a_journal_from_before_facts_were_sealed_is_read_on_as_it_is(
    url: str, recorder: PostgresFactRecorder
) -> None:
    rows = written(recorder)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE facts DROP COLUMN subject")
        connection.execute("DROP TABLE subject_keys")
    migrate(url)
    assert recorder.rows_since(0, 100) == rows
    assert written(recorder)[-1][7] is None
    assert verify(recorder.rows_since(0, 100)).facts == 2 * len(rows)


def test_serving_is_refused_without_durability_or_triggers(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        assert_safe(connection)
        connection.execute("SET synchronous_commit = off")
        with pytest.raises(RuntimeError, match="synchronous_commit"):
            assert_safe(connection)
        connection.execute("RESET synchronous_commit")
        connection.execute("DROP TRIGGER facts_in_order ON facts")
        with pytest.raises(RuntimeError, match="facts_in_order"):
            assert_safe(connection)


def test_the_option_that_would_drop_the_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reliability 0.1: the library's fast path skips the lock and the tracking."""
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "yes")
    with pytest.raises(RuntimeError, match="POSTGRES_ENABLE_DB_FUNCTIONS"):
        Journal()


TAMPERED = {
    "one byte": lambda rows: [*rows[:2], (*rows[2][:5], rows[2][5] + " ", *rows[2][6:]), *rows[3:]],
    "one row": lambda rows: [*rows[:2], *rows[3:]],
    "the order": lambda rows: [*rows[:2], rows[3], rows[2], *rows[4:]],
    "the topic": lambda rows: [*rows[:2], (*rows[2][:4], "Other", *rows[2][5:]), *rows[3:]],
    "the tenant": lambda rows: [*rows[:2], (rows[2][0], uuid4(), *rows[2][2:]), *rows[3:]],
    "the hash": lambda rows: [*rows[:2], (*rows[2][:6], bytes(32), *rows[2][7:]), *rows[3:]],
    "the subject": lambda rows: [*rows[:2], (*rows[2][:7], uuid4(), None, None), *rows[3:]],
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_found_at_its_first_position(
    recorder: PostgresFactRecorder, what: str
) -> None:
    rows = written(recorder)
    assert verify(rows).facts == 5
    with pytest.raises(Broken) as found:
        verify(TAMPERED[what](rows))
    assert found.value.position == 3


def test_an_export_verifies_without_a_database(
    recorder: PostgresFactRecorder, tmp_path: Any
) -> None:
    rows = written(recorder)
    with open(tmp_path / "journal", "wb") as file:
        assert export(rows, file) == 5
    with open(tmp_path / "journal", "rb") as file:
        assert Exported(file).verify().facts == 5
    text = (tmp_path / "journal").read_bytes().replace(b'\\"n\\":3', b'\\"n\\":4')
    (tmp_path / "journal").write_bytes(text)
    with open(tmp_path / "journal", "rb") as file, pytest.raises(Broken, match="position 4"):
        Exported(file).verify()
