"""The yardstick reading: facts out of the journal and decoded in order, and nothing else."""

import gc
import time

import psycopg

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo

IN_ORDER = (
    "COPY (SELECT position, tenant_id, stream, version, topic, state FROM facts"
    " ORDER BY position) TO STDOUT (FORMAT BINARY)"
)
TYPES = ["bigint", "uuid", "uuid", "integer", "text", "text"]
PAGE = 5_000  # facts


def by_copy(url: str) -> float:
    """Stream all facts out by COPY and decode each; facts/s."""
    gc.disable()
    fact, read = Journal().facts_mapper.fact, 0
    with psycopg.connect(url) as connection:
        begun = time.perf_counter()
        with connection.cursor().copy(IN_ORDER.encode()) as copy:
            copy.set_types(TYPES)
            for row in copy.rows():
                fact(*row)
                read += 1
        return read / (time.perf_counter() - begun)


def by_keyset(url: str) -> float:
    """Page through all facts as projectors do, and decode each; facts/s."""
    gc.disable()
    journal = Journal.at(conninfo(url, WORK_ROLE, application="zeroinvoice bench", statement_ms=0))
    read, begun = journal.head() * 0, time.perf_counter()
    while facts := journal.facts_since(read, PAGE):
        read = facts[-1].position
    took = time.perf_counter() - begun
    journal.close()
    return read / took
