"""The yardstick reading: facts out of the table and decoded in order, and nothing else."""

import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from bodies import FACTS, Drafted, drafted
from psycopg import sql
from uuid_utils import uuid7

STREAMS = {"Drafted": Drafted}
IN_ORDER = "SELECT topic, state FROM facts ORDER BY position"
NEXT_PAGE = (
    "SELECT position, topic, state FROM facts WHERE position > %s ORDER BY position LIMIT %s"
)
PAGE = 5_000  # facts


def fill(url: str, facts: int) -> None:
    """Make the table and put facts of eight tenants into it."""
    tenants = [UUID(int=0x7000_8000_0000_0000_0000 + number) for number in range(8)]
    digest = bytes(32)
    with psycopg.connect(url) as connection:
        connection.execute(FACTS)
        columns = "position, tenant_id, stream, version, topic, state, hash"
        into = sql.SQL("COPY facts ({}) FROM STDIN").format(sql.SQL(columns))
        with connection.cursor().copy(into) as copy:
            for position in range(1, facts + 1):
                state = msgspec.json.encode(drafted(position)).decode()
                stream = UUID(int=uuid7().int)
                tenant = tenants[position % 8]
                copy.write_row((position, tenant, stream, 1, "Drafted", state, digest))
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE facts")


def by_copy(url: str, query: str = IN_ORDER, types: Mapping[str, Any] = STREAMS) -> float:
    """Stream `topic, state` out by COPY and decode each state by its topic; facts/s."""
    decode = {topic.encode(): msgspec.json.Decoder(type).decode for topic, type in types.items()}
    read = 0
    with psycopg.connect(url) as connection:
        begun = time.perf_counter()
        with connection.cursor().copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
            for row in copy:
                topic, _, state = bytes(row).partition(b"\t")
                decode[topic](unescaped(state) if b"\\" in state else state)
                read += 1
        return read / (time.perf_counter() - begun)


def by_keyset(url: str, query: str = NEXT_PAGE, types: Mapping[str, Any] = STREAMS) -> float:
    """Page through `position, topic, state` and decode each state by its topic; facts/s."""
    decode = {topic: msgspec.json.Decoder(type).decode for topic, type in types.items()}
    read = last = 0
    with psycopg.connect(url) as connection, connection.cursor(binary=True) as cursor:
        begun = time.perf_counter()
        while rows := cursor.execute(query.encode(), (last, PAGE)).fetchall():
            for _, topic, state in rows:
                decode[topic](state)
            last = rows[-1][0]
            read += len(rows)
        return read / (time.perf_counter() - begun)


def unescaped(field: bytes) -> bytes:
    """COPY doubles a backslash; JSON has no raw tab or newline that it would have to escape."""
    return field.replace(b"\\\\", b"\\")
