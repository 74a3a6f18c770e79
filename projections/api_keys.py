"""API keys: one row each, with what it may and when it was last used; never the key itself."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar.params import FromQuery
from sqlalchemy import Date, DateTime, Text
from sqlalchemy.dialects.postgresql import ARRAY

from zeroinvoice.domain.api_key import ApiKey, ApiKeyIssued, ApiKeyRevoked, ApiKeyUsed
from zeroinvoice.domain.roles import Permission
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, read_table

# Table

keys = read_table(
    "api_keys",
    "api_keys",
    Column("name", Text, nullable=False),
    Column("permissions", ARRAY(Text), nullable=False),
    Column("ends_with", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("last_used_on", Date),
    Column("revoked_at", DateTime(timezone=True)),
)
it = keys.c
Index("api_keys_by_age", it.tenant_id, it.created_at, it.id)

# Fold


def project(rows: Rows, fact: Fact) -> None:
    match fact.event:
        case ApiKeyIssued() as issued:
            rows.add(
                fact.stream,
                name=issued.name,
                permissions=list(issued.permissions),
                ends_with=issued.ends_with,
                created_at=fact.at,
                expires_at=issued.expires_at,
            )
        case ApiKeyUsed(used_on=used_on):
            rows.set(fact.stream, last_used_on=used_on)
        case ApiKeyRevoked():
            rows.set(fact.stream, revoked_at=fact.at)
        case _:
            pass


projector = Projector("api_keys", 1, (keys,), project)

# Views


class ApiKeyView(Value):
    """What is known of a key; its token was shown once."""

    id: UUID
    name: str
    permissions: list[Permission]
    ends_with: str  # the last characters of its token
    created_at: datetime | None
    expires_at: datetime
    last_used_on: date | None  # UTC
    revoked_at: datetime | None

    @classmethod
    def fields(cls, key: ApiKey) -> dict[str, Any]:
        """What the view shows of a key's own stream."""
        own = {name: getattr(key, name) for name in ApiKeyView.__struct_fields__}
        return {**own, "permissions": sorted(key.permissions)}


# Routes

SORTS = {"created_at": it.created_at, "name": it.name, "expires_at": it.expires_at}


@get("/workspace/api-keys", may="keys:read")
def browse(
    reader: Reading, listing: Listing, include_deleted: FromQuery[bool] = False
) -> Page[ApiKeyView]:
    """List the API keys, the newest first; those that were revoked only if asked for."""
    rows = reader.mine(keys, *(it[name] for name in ApiKeyView.__struct_fields__))
    if not include_deleted:
        rows = rows.where(it.revoked_at.is_(None))
    return page(reader, rows, ApiKeyView, listing, sorts=SORTS, key=it.id)


routes = [browse]
