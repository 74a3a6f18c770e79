"""Comparison: a live read model held against the same journal, folded anew beside it."""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table

from zeroinvoice.journal.application import Journal
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.projector import (
    HELD,
    REBUILD_BATCH,
    Projector,
    build_tables,
    collecting_rarely,
    rebuild_lock,
)
from zeroinvoice.readside.rows import Books
from zeroinvoice.readside.tables import schema_name

SHOWN = 20  # differences of one table
STANDS = "SELECT generation, position, shape FROM checkpoints WHERE name = %s"
DIFFERENT = """
WITH live AS (SELECT t::text AS row, {key} AS key FROM {live} t),
    fresh AS (SELECT t::text AS row, {key} AS key FROM {fresh} t)
SELECT coalesce(live.key, fresh.key)::text, live.key IS NOT NULL, fresh.key IS NOT NULL
FROM live FULL JOIN fresh ON live.key = fresh.key
WHERE live.row IS DISTINCT FROM fresh.row ORDER BY 1 LIMIT %s
"""
COLUMNS = """
SELECT a.key FROM (SELECT to_jsonb(t) AS row FROM {live} t WHERE {key}::text = %s) l,
    (SELECT to_jsonb(t) AS row FROM {fresh} t WHERE {key}::text = %s) f,
    LATERAL jsonb_each_text(l.row) AS a JOIN LATERAL jsonb_each_text(f.row) AS b ON a.key = b.key
WHERE a.value IS DISTINCT FROM b.value ORDER BY 1
"""


class Difference(Value):
    """A row that is not what the journal says. Its values are not told: they may be personal."""

    table: str
    key: str
    why: str  # `missing`, `not of the journal`, or the columns that differ


class Compared(Value):
    position: int  # of the journal's last fact that is in both
    differences: list[Difference]  # at most 20 a table


def compare(
    connection: psycopg.Connection[Any],
    projector: Projector,
    journal: Journal,
    progress: Callable[[int], None] = lambda position: None,
) -> Compared:
    """Fold the journal up to where the live tables are, and compare every row, byte by byte.

    Reads, writes and the live projector go on. Raises `RuntimeError` when there are no live
    tables of this version.
    """
    with rebuild_lock(connection, projector.name):
        row = connection.execute(STANDS, [projector.name]).fetchone()
        if row is None or row[2] != projector.version:
            raise RuntimeError(f"{projector.name} is not built for this version of the program.")
        generation, goal = row[0] + 1, row[1]
        try:
            with collecting_rarely():
                with connection.transaction():
                    build_tables(connection, projector, generation)
                books = projector.books(generation, fresh=True)
                _fold(connection, books, journal, 0, goal, progress)
                with connection.transaction():
                    # From here on all is seen as it is now: the live rows, and how far they are.
                    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                    now = connection.execute(STANDS, [projector.name]).fetchone()
                    assert now is not None
                    assert now[0] == row[0], "nobody rebuilds while we hold the lock"
                    _fold(connection, books, journal, goal, now[1], progress)
                    books.settle()
                    return Compared(now[1], _differences(connection, projector, row[0]))
        finally:
            with connection.transaction():
                fresh = sql.Identifier(schema_name(projector.name, generation))
                connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(fresh))


def _fold(
    connection: psycopg.Connection[Any],
    books: Books,
    journal: Journal,
    position: int,
    goal: int,
    progress: Callable[[int], None],
) -> None:
    while position < goal:
        facts = journal.facts_since(position, min(REBUILD_BATCH, goal - position))
        with connection.transaction():
            books.apply(connection, facts, held=HELD)
        position = facts[-1].position
        progress(position)


def _differences(
    connection: psycopg.Connection[Any], projector: Projector, live: int
) -> list[Difference]:
    found = []
    for table in projector.tables:
        told = {
            "key": sql.Identifier(next(iter(table.columns)).name),
            "live": sql.Identifier(schema_name(projector.name, live), table.name),
            "fresh": sql.Identifier(schema_name(projector.name, live + 1), table.name),
        }
        asked = connection.execute(sql.SQL(DIFFERENT).format(**told), [SHOWN])
        for key, is_live, is_fresh in asked.fetchall():
            why = "missing" if is_fresh else "not of the journal"
            if is_live and is_fresh:
                names = connection.execute(sql.SQL(COLUMNS).format(**told), [key, key]).fetchall()
                why = ", ".join(name for (name,) in names)
            found.append(Difference(_name(projector, table), key, why))
    return found


def _name(projector: Projector, table: Table) -> str:
    return table.name if table.name == projector.name else f"{projector.name}.{table.name}"
