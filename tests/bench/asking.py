"""The SQL of our reads, taken from the very code that runs it, for the bare handlers."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Select

from projections.invoices import SORTS, InvoiceItem, items
from projections.invoices import invoices as invoices_table
from zeroinvoice.http.reading import RequestReader
from zeroinvoice.journal.recorder import NEWER
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.readside.paging import Paging, page
from zeroinvoice.readside.reader import PATIENCE
from zeroinvoice.readside.tables import Question, compiled, served


class Overheard(RequestReader):
    """A reader that answers nothing, and keeps what it was asked."""

    def __init__(self, tenant: UUID) -> None:
        self.tenant = tenant
        self.asked: list[Question] = []

    def rows(
        self, statement: Select[Any] | Question, *, patience: float = PATIENCE
    ) -> list[tuple[Any, ...]]:
        question = statement if isinstance(statement, Question) else compiled(statement)
        self.asked.append(question)
        return []


def one_sql(tenant: UUID) -> str:
    """What reading one stream executes, with `%(key)s` for its id."""
    tenants, ids, versions = f"'{{{tenant}}}'", "ARRAY[%(key)s]", "'{0}'"
    text = NEWER
    for array in (tenants, ids, versions):
        text = text.replace("%b", array, 1)
    return text


def list_sql(url: str, tenant: UUID) -> str:
    """What the first page of all invoices executes, with its values in it."""
    reader, today = Overheard(tenant), system_clock().date()
    rows = items(reader, today, ~invoices_table.c.deleted)
    page(reader, rows, InvoiceItem, Paging(), sorts=SORTS, key=invoices_table.c.id)
    text, values, _ = reader.asked[0]
    with psycopg.connect(url) as connection:
        generations = dict(
            connection.execute("SELECT name, generation FROM checkpoints").fetchall()
        )
        inlined = psycopg.ClientCursor(connection)
        told: str = inlined.mogrify(served(text, generations).encode(), values)
    return told.replace("%", "%%")


def invoices(url: str, tenant: UUID, most: int) -> Sequence[UUID]:
    """Some of a tenant's invoices, from all times."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT stream FROM facts WHERE tenant_id = %s AND topic = 'InvoiceDrafted'"
            " ORDER BY md5(stream::text) LIMIT %s",
            [tenant, most],
        )
        return [row[0] for row in found]


def words(url: str, tenant: UUID, most: int) -> Sequence[str]:
    """Words to search for, each of which stands in the lines of a few invoices."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT state::json -> 'event' -> 'content' -> 'lines' -> 0 ->> 'description'"
            " FROM facts WHERE tenant_id = %s AND topic = 'InvoiceDrafted'"
            " ORDER BY md5(stream::text) LIMIT %s",
            [tenant, most],
        )
        return sorted({row[0].rpartition(" ")[2] for row in found})
