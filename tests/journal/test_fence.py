"""The fence: no table with tenants' rows is without one, and no role gets round it."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

import projections
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.fence import READ_ROLE, SEARCHED_BY, searched_by_scan, within
from zeroinvoice.journal.mapper import StoredFact
from zeroinvoice.journal.recorder import PostgresFactRecorder, RolePool
from zeroinvoice.journal.schema import (
    API_ROLE,
    KEEPER_ROLE,
    ROLES,
    WORK_ROLE,
    assert_safe,
    conninfo,
    migrate,
)
from zeroinvoice.readside.projector import install, rebuild

OURS, THEIRS = UUID(int=1), UUID(int=2)
FENCES = """
SELECT n.nspname, c.relname, c.relrowsecurity, c.relforcerowsecurity, ARRAY(
    SELECT p.polname || ' ' || p.polroles::regrole[]::text FROM pg_policy p
    WHERE p.polrelid = c.oid AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL ORDER BY 1)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'm', 'f', 'v') AND n.nspname !~ '^pg_|^information_schema$'
"""
KEY = "INSERT INTO vault_keys (tenant_id, id, master, wrapped) VALUES (%s, %s, 'm', 'w')"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """A database with a fact and a key of two tenants."""
    made = new_database()
    migrate(made)
    pool = RolePool(made)
    for tenant in (OURS, THEIRS):
        fact = StoredFact(uuid4(), 1, "Something", b"{}", tenant)
        PostgresFactRecorder(pool).insert_events([fact])
        with psycopg.connect(made, autocommit=True) as connection:
            connection.execute(KEY, [tenant, tenant])
    pool.close()
    return made


@pytest.fixture
def installed(new_database: Callable[[], str]) -> str:
    """A database with all read models, one of them rebuilt."""
    made = new_database()
    migrate(made)
    work = conninfo(made, WORK_ROLE, application="test")
    journal = Journal.at(work)
    one = tuple(it for it in projections.projectors if it.name == "clients")
    with psycopg.connect(work, autocommit=True) as connection:
        install(connection, projections.projectors)
        rebuild(connection, one, journal)
    journal.close()
    return made


def asked(url: str, role: str, statement: str, tenant: UUID | None = None) -> list[Any]:
    """What a statement answers, said by a role that names a tenant, or none."""
    with psycopg.connect(conninfo(url, role, application="test"), autocommit=True) as connection:
        if tenant is None:
            return connection.execute(statement.encode()).fetchall()
        with within(connection, tenant):
            return connection.execute(statement.encode()).fetchall()


def test_every_table_with_tenants_rows_has_a_whole_fence(installed: str) -> None:
    """T1: FORCE and a policy with USING and WITH CHECK, after `migrate` and after a rebuild."""
    with psycopg.connect(installed) as connection:
        rows = connection.execute(FENCES).fetchall()
    tables = {(schema, table) for schema, table, *_ in rows}
    ours = {("public", name) for name in ("facts", "snapshots", "vault_keys", "subject_keys")}
    assert ours < tables
    assert len(tables) == len(ours) + sum(len(it.tables) for it in projections.projectors)
    assert any(schema.endswith("_2") for schema, _ in tables), "one was rebuilt"
    for schema, table, enabled, forced, policies in rows:
        assert (enabled, forced) == (True, True), f"{schema}.{table}"
        assert f"own_tenant {{{READ_ROLE}}}" in policies, f"{schema}.{table}"
        assert len(policies) == 2, f"{schema}.{table}"


def test_the_reading_role_owns_nothing_and_is_bound_by_every_policy(installed: str) -> None:
    """T1: no superuser, no BYPASSRLS, no table, schema or function of its own, in no other role."""
    with psycopg.connect(installed) as connection:
        for role in ROLES:
            found = connection.execute(
                "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles"
                " WHERE rolname = %s",
                [role],
            ).fetchone()
            assert found == (False, False, False, False), role
        for owned in ("pg_class WHERE relowner", "pg_namespace WHERE nspowner",
                      "pg_proc WHERE proowner", "pg_auth_members WHERE member"):  # fmt: skip
            count = connection.execute(
                f"SELECT count(*) FROM {owned} = '{READ_ROLE}'::regrole".encode()
            )
            assert count.fetchone() == (0,), owned


@pytest.mark.parametrize("table", ["facts", "vault_keys"])
def test_a_reader_is_shown_the_tenant_it_names_and_without_one_nothing(
    url: str, table: str
) -> None:
    """T1: without a tenant it is 0 rows and no error."""
    statement = f"SELECT DISTINCT tenant_id FROM {table}"
    assert asked(url, READ_ROLE, statement, OURS) == [(OURS,)]
    assert asked(url, READ_ROLE, statement, THEIRS) == [(THEIRS,)]
    assert asked(url, READ_ROLE, statement, uuid4()) == []
    assert asked(url, READ_ROLE, statement) == []


def test_a_reader_adds_no_key_of_another_tenant(url: str) -> None:
    """T1: the fence holds for what is written, too."""
    reads = conninfo(url, READ_ROLE, application="test")
    with psycopg.connect(reads, autocommit=True) as connection:
        with within(connection, OURS):
            connection.execute(KEY, [OURS, uuid4()])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), within(connection, OURS):
            connection.execute(KEY, [THEIRS, uuid4()])
    assert asked(url, READ_ROLE, "SELECT count(*) FROM vault_keys", THEIRS) == [(1,)]


FORBIDDEN = [
    "UPDATE facts SET state = '{}'",
    "DELETE FROM facts",
    "TRUNCATE facts",
    "ALTER TABLE facts DISABLE TRIGGER ALL",
    "ALTER TABLE facts NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE facts DISABLE ROW LEVEL SECURITY",
    "DROP POLICY own_tenant ON facts",
    "ALTER POLICY own_tenant ON vault_keys USING (true)",
    "CREATE POLICY mine ON facts TO PUBLIC USING (true)",
    "DROP TABLE facts",
    "DROP FUNCTION facts_in_order() CASCADE",
    "UPDATE vault_keys SET wrapped_by = id",
    "DELETE FROM vault_keys",
    "TRUNCATE vault_keys",
    "ALTER TABLE vault_keys DISABLE TRIGGER ALL",
    "UPDATE answers SET outcome = ''",
]
OF_ROLE = {
    READ_ROLE: [
        "INSERT INTO facts SELECT * FROM facts",
        "SELECT * FROM answers",
        "UPDATE vault_keys SET wrapped = ''",
        "UPDATE checkpoints SET position = 0",
        "CREATE SCHEMA mine",
        "CREATE TABLE mine (id uuid)",
    ],
    API_ROLE: [
        "SELECT wrapped FROM vault_keys",
        "SELECT * FROM vault_keys",
        "INSERT INTO vault_keys (tenant_id, id) VALUES (gen_random_uuid(), NULL)",
        "UPDATE checkpoints SET position = 0",
        "DELETE FROM answers",
        "CREATE TABLE mine (id uuid)",
    ],
    WORK_ROLE: [
        "INSERT INTO facts SELECT * FROM facts",
        "SELECT wrapped FROM vault_keys",
        "UPDATE vault_keys SET wrapped = ''",
        "INSERT INTO answers SELECT * FROM answers",
        "CREATE TABLE mine (id uuid)",
    ],
    KEEPER_ROLE: [
        "SELECT * FROM facts",
        "SELECT * FROM answers",
        "SELECT * FROM checkpoints",
        "UPDATE vault_keys SET destroyed_at = now()",
        "INSERT INTO vault_keys (tenant_id, id) VALUES (gen_random_uuid(), NULL)",
    ],
}


@pytest.mark.parametrize("role", OF_ROLE)
def test_what_a_role_is_not_for_is_denied(url: str, role: str) -> None:
    """T43: each role and each statement that is forbidden to it."""
    with psycopg.connect(conninfo(url, role, application="test"), autocommit=True) as connection:
        for statement in (*FORBIDDEN, *OF_ROLE[role]):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


@pytest.mark.parametrize("role", [READ_ROLE, API_ROLE])
def test_neither_role_of_the_api_can_change_a_read_model(installed: str, role: str) -> None:
    """T43: what requests are answered from is the workers' alone to write."""
    with psycopg.connect(installed, autocommit=True) as connection:
        schema, table, *_ = connection.execute(f"{FENCES} AND n.nspname <> 'public'").fetchone()
    for statement in ("DELETE FROM", "TRUNCATE", "DROP TABLE", "DROP POLICY own_tenant ON"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(installed, role, f'{statement} "{schema}"."{table}"')


def test_serving_is_refused_where_a_served_table_lacks_its_fence(installed: str) -> None:
    """T1: said by name; `migrate` puts it up again, and what is half built does not count."""
    with psycopg.connect(installed, autocommit=True) as connection:
        assert_safe(connection)
        connection.execute("CREATE SCHEMA invoices_7; CREATE TABLE invoices_7.x (tenant_id uuid)")
        assert_safe(connection)
        for broken in (
            "ALTER TABLE facts NO FORCE ROW LEVEL SECURITY",
            "ALTER TABLE vault_keys DISABLE ROW LEVEL SECURITY",
            "DROP POLICY own_tenant ON invoices_1.invoices",
            f"ALTER POLICY own_tenant ON invoices_1.invoices TO {READ_ROLE}, {API_ROLE}",
        ):
            connection.execute(broken)
            table = broken.split(" ON ")[-1].split()[0] if "POLICY" in broken else broken.split()[2]
            with pytest.raises(RuntimeError, match=table):
                assert_safe(connection)
            migrate(installed)
            assert_safe(connection)
    assert asked(installed, READ_ROLE, "SELECT count(*) FROM invoices_1.invoices", OURS) == [(0,)]


def test_what_searches_ask_with_is_vouched_for(url: str) -> None:
    """Without that no index would answer them behind the fence."""
    with psycopg.connect(url, autocommit=True) as connection:
        assert searched_by_scan(connection) == []
        connection.execute(f"ALTER FUNCTION {SEARCHED_BY[0]} NOT LEAKPROOF".encode())
        assert searched_by_scan(connection) == [SEARCHED_BY[0]]
