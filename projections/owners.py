"""Owners: the client that stands for another by now, beside the rows of a read model.

A row keeps the client it was written for; whose it is now, is looked up. So a merge changes as
many rows as it has clients, however many documents these have, and undoing it changes them back.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Table, Text, Uuid, any_, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from zeroinvoice.domain.client import (
    ClientAdded,
    ClientErased,
    ClientMergeUndone,
    ClientReturned,
    ClientRevised,
    ClientsMerged,
)
from zeroinvoice.kernel.facts import ERASED, Fact
from zeroinvoice.readside.rows import Row, Rows
from zeroinvoice.readside.tables import Column, Index, read_table

# Tables


def owners(projection: str, name: str = "owners") -> Table:
    """Every client, with the one that stands for it and that one's name."""
    table = read_table(
        projection,
        name,
        Column("owner_id", Uuid, nullable=False),  # itself, unless it was merged
        Column("name", Text, nullable=False),  # the owner's
        Column("own_name", Text, nullable=False),
        Column("homes", ARRAY(Uuid), nullable=False, default=[]),  # others that it stands for
    )
    Index(f"{name}_by_owner", table.c.tenant_id, table.c.owner_id)
    return table


def moved(projection: str) -> Table:
    """How many records of this kind each merge has moved, as they were when it was made."""
    return read_table(projection, "moved", Column("records", Integer, nullable=False))


# Fold


def follow(clients: Rows, fact: Fact) -> None:
    """Keep owners as the facts about clients have it; any other fact is none of its business."""
    id = fact.stream
    match fact.event:
        case ClientAdded(profile=profile):
            clients.add(id, owner_id=id, name=profile.name, own_name=profile.name)
        case ClientRevised(profile=profile):
            _name(clients, id, profile.name)
        case ClientsMerged(homes=homes, profile=profile):
            clients.set(id, homes=[*_row(clients, id)["homes"], *homes])
            _own(clients, id, homes)
            _name(clients, id, profile.name)
        case ClientMergeUndone(homes=homes, profile=profile):
            clients.set(id, homes=[it for it in _row(clients, id)["homes"] if it not in homes])
            _name(clients, id, profile.name)
        case ClientReturned(homes=homes):
            _own(clients, id, homes)
            _name(clients, id, _row(clients, id)["own_name"])
        case ClientErased():
            clients.set(id, own_name=ERASED, name=ERASED)
        case _:
            pass


def count(rows: Rows, counts: Rows, fact: Fact, **equal: Any) -> None:
    """Note how many rows a merge moves, at the very fact by which they are moved."""
    match fact.event:
        case ClientsMerged(merge_id=merge_id, homes=homes):
            counts.add(merge_id, records=rows.where(client_id=homes, **equal).count())
        case _:
            pass


def _own(clients: Rows, owner: UUID, homes: Iterable[UUID]) -> None:
    for home in homes:
        clients.set(home, owner_id=owner)


def _name(clients: Rows, id: UUID, name: str) -> None:
    clients.set(id, own_name=name)
    for home in (id, *_row(clients, id)["homes"]):
        clients.set(home, name=name)


def _row(clients: Rows, id: UUID) -> Row:
    row = clients.get(id)
    assert row is not None
    return row


# Queries


def belongs(
    column: ColumnElement[Any], clients: Table, tenant: UUID, client_id: UUID
) -> ColumnElement[bool]:
    """Whether a row's client is one with this client now, whichever of them is named."""
    named = clients.alias()
    owner = (
        select(named.c.owner_id)
        .where(named.c.tenant_id == tenant, named.c.id == client_id)
        .scalar_subquery()
    )
    theirs = select(clients.c.id).where(clients.c.tenant_id == tenant, clients.c.owner_id == owner)
    return column == any_(func.array(theirs.scalar_subquery(), type_=ARRAY(Uuid)))
