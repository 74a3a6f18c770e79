"""Pages: a stable order, an opaque cursor that is good for one tenant and one question only."""

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, func, select, tuple_

from zeroinvoice.kernel.refusals import BadInput
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader
from zeroinvoice.readside.tables import Question, compiled

V = TypeVar("V")
LIMIT = 50  # rows of a page unless asked
MOST = 200  # rows of a page at most


class Page(Value, Generic[V]):
    """A part of a list. `next_cursor` asks for the part after it; null at the end."""

    items: list[V]
    next_cursor: str | None = None
    total: int | None = None  # of all parts; only on request


class Paging(Value):
    """What a caller asked of a list: how much, from where, in which order."""

    limit: int = LIMIT
    cursor: str | None = None
    sort: str | None = None  # a column's name, "-" before it for the largest first
    include_total: bool = False


class _Place(Value):
    asked: str
    value: Any
    id: Any


def page(
    reader: Reader,
    statement: Select[Any],
    view: type[V],
    paging: Paging,
    *,
    sorts: Mapping[str, ColumnElement[Any]],
    key: ColumnElement[Any],
) -> Page[V]:
    """One page of a statement's rows, as views whose fields are its columns.

    The first of `sorts` is the order unless asked, largest first; the key breaks ties. Raises
    `BadInput` for an unknown order, or a cursor that belongs to another question or tenant.
    """
    name = paging.sort or f"-{next(iter(sorts))}"
    column = sorts.get(name.removeprefix("-"))
    if column is None:
        choices = ", ".join(sorts)
        raise BadInput(f"Lists can be sorted by {choices}.", pointer="?sort", code="bad_sort")
    falling = name.startswith("-")
    total = None
    if paging.include_total:
        total = reader.scalar(select(func.count()).select_from(statement.subquery()))
    order = (column.desc(), key.desc()) if falling else (column.asc(), key.asc())
    rows_of = statement.add_columns(column.label("zi_sort"), key.label("zi_key")).order_by(*order)
    question = compiled(rows_of.limit(paging.limit + 1))
    asked = _asked(reader, question)
    if paging.cursor is not None:
        place = _read(reader, paging.cursor, asked, column, key)
        edge, here = tuple_(place.value, place.id), tuple_(column, key)
        rows_of = rows_of.where(here < edge if falling else here > edge)
        question = compiled(rows_of.limit(paging.limit + 1))
    rows = reader.rows(question)
    more, rows = len(rows) > paging.limit, rows[: paging.limit]
    cursor = None
    if more:
        cursor = _write(reader, _Place(asked, rows[-1][-2], rows[-1][-1]))
    return Page([view(*row[:-2]) for row in rows], cursor, total)


def _asked(reader: Reader, first: Question) -> str:
    """A name for the question: the same rows in the same order, for the same tenant.

    Of the first part's values all count but the last, which says how many rows it has.
    """
    shown = f"{reader.tenant} {first.text} {first.values[:-1]}"
    return hashlib.sha256(shown.encode()).hexdigest()[:16]


def _write(reader: Reader, place: _Place) -> str:
    text = msgspec.json.encode(place).hex()
    return f"{text}.{reader.books.keyring.seal('cursor', text)[:22]}"


def _read(
    reader: Reader, cursor: str, asked: str, column: ColumnElement[Any], key: ColumnElement[Any]
) -> _Place:
    text, _, seal = cursor.partition(".")
    wrong = BadInput("This cursor is not one of this list's.", pointer="?cursor", code="bad_cursor")
    if seal not in [it[:22] for it in reader.books.keyring.seals("cursor", text)]:
        raise wrong
    place = msgspec.json.decode(bytes.fromhex(text), type=_Place)
    if place.asked != asked:
        raise wrong
    return _Place(asked, _typed(place.value, column), _typed(place.id, key))


def _typed(value: Any, column: ColumnElement[Any]) -> Any:
    kind = column.type.python_type
    if kind in (Decimal, datetime, date, UUID):
        return msgspec.convert(value, kind)
    return value
