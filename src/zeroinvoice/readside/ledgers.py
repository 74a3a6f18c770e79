"""Ledgers: tables whose entries are never changed, but to say since when they are gone.

So what was known at an instant is what had been entered by then and was not gone yet.
"""

from typing import Any

from sqlalchemy import ColumnElement, DateTime, or_

from zeroinvoice.readside.reader import Reader
from zeroinvoice.readside.tables import Column


def stamps() -> tuple[Column[Any], Column[Any]]:
    """The columns that every entry of a ledger has."""
    return (
        Column("at", DateTime(timezone=True), nullable=False),
        Column("gone_at", DateTime(timezone=True)),
    )


def standing(reader: Reader, entry: Any) -> list[ColumnElement[bool]]:
    """Of a ledger's columns: that an entry stood at `as_of`, or stands now."""
    if reader.as_of is None:
        return [entry.gone_at.is_(None)]
    return [
        entry.at <= reader.as_of,
        or_(entry.gone_at.is_(None), entry.gone_at > reader.as_of),
    ]
