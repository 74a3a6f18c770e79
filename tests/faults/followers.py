"""A projection that checks what it is given: every fact once, and each stream's in order."""

from typing import Any

import psycopg
from sqlalchemy import Integer

from zeroinvoice.kernel.facts import Fact
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, read_table, schema_name

NAME = "in_order"
table = read_table(
    NAME,
    "streams",
    Column("version", Integer, nullable=False),
    Column("facts", Integer, nullable=False),
)


def project(rows: Rows, fact: Fact) -> None:
    before = rows.get(fact.stream)
    version, facts = (before["version"], before["facts"]) if before else (0, 0)
    if fact.version != version + 1:
        raise AssertionError(f"{fact.stream}: version {fact.version} follows {version}")
    rows.add(fact.stream, version=fact.version, facts=facts + 1)


projector = Projector(NAME, 1, (table,), project)


def counted(connection: psycopg.Connection[Any]) -> int:
    """How many facts are in its table."""
    place = f"{schema_name(NAME, 1)}.streams"
    row = connection.execute(f"SELECT coalesce(sum(facts), 0) FROM {place}".encode()).fetchone()
    return int(row[0]) if row else 0


def has_table(connection: psycopg.Connection[Any]) -> bool:
    place = f"{schema_name(NAME, 1)}.streams"
    return connection.execute("SELECT to_regclass(%s)", [place]).fetchone() != (None,)
