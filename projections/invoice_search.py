"""Invoice search: an exact number first, then what resembles the words, within what was meant."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from litestar.params import QueryParameter
from sqlalchemy import ColumnElement, Select, literal

from projections.clients import matching
from projections.invoice_question import Understood, understood
from projections.invoices import (
    InvoiceItem,
    all_text,
    having_status,
    invoices,
    items,
    names,
    today_of,
)
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.search import Field, ranked
from zeroinvoice.readside.tables import any_of

MOST_CLIENTS = 20  # whose names answer the question
it = invoices.c

# Views


class InvoiceMatchField(Value):
    field: str  # where it was found; `filters` when only those were asked
    snippet: str


class InvoiceMatch(Value):
    invoice: InvoiceItem
    score: float  # 1 for an exact number or filters alone, else the likeness of the best field
    match: InvoiceMatchField


class InvoiceMatches(Value):
    """What was found, best first, and how the question was understood."""

    items: list[InvoiceMatch]
    interpreted: Understood


# Queries


def search_invoices(reader: Reading, question: str, limit: int) -> InvoiceMatches:
    """The invoices that answer a question. A number is never taken for a filter."""
    today = today_of(reader)
    numbered = _ranked(reader, items(reader, today, ~it.deleted), _numbers(question), limit)
    if numbered:
        return InvoiceMatches(numbered, Understood(text=question))
    meant = understood(question, today)
    rows = items(reader, today, ~it.deleted, *_conditions(meant, today))
    if not meant.text:
        newest = rows.order_by(it.created_at.desc(), it.id.desc()).limit(limit)
        found = [
            InvoiceMatch(InvoiceItem(*row), 1.0, InvoiceMatchField("filters", ""))
            for row in reader.rows(newest)
        ]
        return InvoiceMatches(found, meant)
    asked = meant.text
    holds = all_text.icontains(asked, autoescape=True)
    resembles = literal(asked).op("<%", precedence=15, is_comparison=True)(all_text)
    # Likeness is for slips of the pen: it costs a look at every text that shares a few letters.
    own = _ranked(reader, rows.where(holds), _texts(asked), limit)
    own = own or _ranked(reader, rows.where(resembles), _texts(asked), limit)
    best: dict[Any, InvoiceMatch] = {}
    for match in [*own, *_by_client(reader, rows, asked, limit)]:
        known = best.get(match.invoice.id)
        if known is None or known.score < match.score:
            best[match.invoice.id] = match
    ordered = sorted(best.values(), key=lambda match: match.score, reverse=True)
    return InvoiceMatches(ordered[:limit], meant)


def _numbers(asked: str) -> list[Field]:
    return [
        Field("number", it.number, asked, "exact"),
        Field("reference", it.reference, asked, "exact"),
        Field("po_number", it.po_number, asked, "exact"),
    ]


def _texts(asked: str) -> list[Field]:
    return [
        Field("number", it.number, asked),
        Field("reference", it.reference, asked),
        Field("po_number", it.po_number, asked),
        Field("line_items", it.lines_text, asked),
        Field("notes", it.notes, asked),
    ]


def _ranked(
    reader: Reading, rows: Select[Any], fields: Sequence[Field], limit: int
) -> list[InvoiceMatch]:
    return [
        InvoiceMatch(
            InvoiceItem(*found.row), found.score, InvoiceMatchField(found.field, found.snippet)
        )
        for found in ranked(reader, rows, fields, key=it.id, limit=limit)
    ]


def _by_client(reader: Reading, rows: Select[Any], asked: str, limit: int) -> list[InvoiceMatch]:
    """The newest invoices of clients that answer to the words, with their client's score."""
    clients = {
        found.client.id: found
        for found in matching(reader, asked, MOST_CLIENTS, include_archived=True)
    }
    if not clients:
        return []
    theirs = rows.where(any_of(names.c.owner_id, clients))
    newest = theirs.order_by(it.created_at.desc(), it.id.desc()).limit(limit)
    return [
        InvoiceMatch(
            invoice,
            clients[invoice.client_id].score,
            InvoiceMatchField("client", clients[invoice.client_id].match.snippet),
        )
        for invoice in reader.views(newest, InvoiceItem)
    ]


def _conditions(meant: Understood, today: date) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if meant.status:
        conditions.append(having_status(meant.status, today))
    if meant.amount_gt is not None:
        conditions.append(it.total > meant.amount_gt)
    if meant.amount_gte is not None:
        conditions.append(it.total >= meant.amount_gte)
    if meant.amount_lt is not None:
        conditions.append(it.total < meant.amount_lt)
    if meant.amount_lte is not None:
        conditions.append(it.total <= meant.amount_lte)
    if meant.currency:
        conditions.append(it.currency == meant.currency)
    if meant.issued_from:
        conditions.append(it.issue_date >= meant.issued_from)
    if meant.issued_to:
        conditions.append(it.issue_date <= meant.issued_to)
    return conditions


# Routes


@get("/invoices/search", may="invoices:read", as_of="never")
def search(
    reader: Reading,
    q: Annotated[str, QueryParameter(min_length=1, max_length=200)],
    limit: Annotated[int, QueryParameter(ge=1, le=100)] = 20,
) -> InvoiceMatches:
    """Search invoices by number, client, reference, line texts and notes, best first.

    Amounts ("over 500 EUR"), months ("in March") and statuses ("overdue") in the question
    narrow it; `interpreted` tells what was understood. Only where no invoice holds the words are
    those found whose words resemble them.
    """
    asked = q.strip()
    if not asked:
        raise BadInput("Ask for something.", pointer="?q")
    return search_invoices(reader, asked, limit)


routes = [search]
