"""The fence: whoever reads for a request is shown rows of the tenant it names, and no others."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

READ_ROLE = "zeroinvoice_read"  # reads for requests, one tenant at a time; owns nothing
SETTING = "zeroinvoice.tenant"
# For this transaction alone, or the next one on the connection would read in this one's name.
NAME_TENANT = f"SELECT set_config('{SETTING}', %s, true)"
# After a transaction that named a tenant the setting is '' and not NULL; both are nobody.
OWN = sql.SQL(f"tenant_id = nullif(current_setting('{SETTING}', true), '')::uuid")

# FORCE binds the owner, too: nothing that reads or writes these tables is without a policy.
FENCE = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_tenant ON {table};
DROP POLICY IF EXISTS every_tenant ON {table};
CREATE POLICY own_tenant ON {table} TO {reader} USING ({own}) WITH CHECK ({own});
CREATE POLICY every_tenant ON {table} TO {others} USING (true) WITH CHECK (true);
"""
FORCE = "ALTER TABLE {table} FORCE ROW LEVEL SECURITY"

UNFENCED = f"""  -- what is half built is not served, and not counted
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^pg_|^information_schema$'
AND (n.nspname = 'public' OR EXISTS (
    SELECT 1 FROM checkpoints s WHERE n.nspname = s.name || '_' || s.generation))
AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
AND NOT (c.relrowsecurity AND c.relforcerowsecurity AND EXISTS (
    SELECT 1 FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd = '*'
    AND p.polroles = ARRAY['{READ_ROLE}'::regrole::oid]
    AND p.polqual IS NOT NULL AND p.polwithcheck IS NOT NULL))
ORDER BY 1, 2
"""

# What search asks with. Behind a fence Postgres lets an index answer only by functions that are
# known to tell nothing of rows that were not shown, and of these it does not know it.
SEARCHED_BY = (
    "pg_catalog.lower(text)",
    "pg_catalog.textcat(text, text)",
    "pg_catalog.textlike(text, text)",
    "pg_catalog.texticlike(text, text)",
    "word_similarity_op(text, text)",
    "word_similarity_commutator_op(text, text)",
)


def fence(
    connection: psycopg.Connection[Any],
    schema: str,
    table: str,
    others: tuple[str, ...],
    *,
    forced: bool = True,
) -> None:
    """Put up a table's fence: readers see a tenant's rows, the `others` those of every tenant.

    Without `forced` its owner may still COPY into it, which Postgres knows no policy for; a
    table is served only after `force`.
    """
    told = {
        "table": sql.Identifier(schema, table),
        "reader": sql.Identifier(READ_ROLE),
        "others": sql.SQL(", ").join(map(sql.Identifier, others)),
        "own": OWN,
    }
    connection.execute(sql.SQL(FENCE).format(**told))
    if forced:
        force(connection, schema, table)


def force(connection: psycopg.Connection[Any], schema: str, table: str) -> None:
    """Bind a table's owner by its fence as well."""
    connection.execute(sql.SQL(FORCE).format(table=sql.Identifier(schema, table)))


def unfenced(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """The tables, each with its schema, whose tenants' rows are served without a whole fence."""
    return connection.execute(UNFENCED.encode()).fetchall()


@contextmanager
def within(connection: psycopg.Connection[Any], tenant: UUID) -> Iterator[psycopg.Connection[Any]]:
    """One transaction of a connection in autocommit, in which a tenant's rows can be read.

    A pipeline's statements are one transaction up to its Sync, so the name goes out together
    with what is asked, and is gone with the block, however it ends.
    """
    with connection.pipeline():
        connection.execute(NAME_TENANT, [str(tenant)], prepare=True)
        yield connection


def let_indexes_search(connection: psycopg.Connection[Any]) -> None:
    """Vouch for the functions that searches use, where this user may: only a superuser does.

    Where it may not, searches give the same answers and look at every row of their tenant.
    """
    row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if row.fetchone() != (True,):
        return
    for name in searched_by_scan(connection):
        connection.execute(f"ALTER FUNCTION {name} LEAKPROOF".encode())


def searched_by_scan(connection: psycopg.Connection[Any]) -> list[str]:
    """The functions that indexes cannot search by, since nobody vouched for them."""
    asked = "SELECT it FROM unnest(%s::text[]) AS it JOIN pg_proc p ON p.oid = it::regprocedure"
    found = connection.execute(f"{asked} WHERE NOT p.proleakproof", [list(SEARCHED_BY)])
    return [row[0] for row in found.fetchall()]
