"""Bank accounts: one row each, masked, and which of them is the default for its purpose."""

from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from litestar.params import FromPath, FromQuery
from sqlalchemy import Boolean, ColumnElement, DateTime, Integer, Text, Uuid, and_, func, or_

from projections.bank_account_view import BankAccountView
from projections.clients import client_of
from projections.invoices import aware
from zeroinvoice.domain.bank_accounts import (
    BankAccountAdded,
    BankAccountEvent,
    BankAccountRemoved,
    BankAccountRevised,
    BankAccountsAdopted,
    BankAccountsErased,
    BankAccountsReleased,
    BankAccountsReturned,
    DefaultBankAccountChosen,
    Purpose,
    bank_accounts_of,
)
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import ERASED, Fact
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

# Table

accounts = read_table(
    "bank_accounts",
    "accounts",
    Column("list_id", Uuid, nullable=False),
    Column("type", Text, nullable=False),
    Column("account_holder", Text, nullable=False),
    Column("iban", Text),  # masked, as are the four below
    Column("account_number", Text),
    Column("routing_number", Text),
    Column("sort_code", Text),
    Column("bsb", Text),
    Column("last4", Text, nullable=False),
    Column("bic", Text),
    Column("bank_name", Text),
    Column("currency", Text, nullable=False),
    Column("country", Text),
    Column("purpose", Text, nullable=False),
    Column("mandate_ref", Text),
    Column("mandate_signed_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted", Boolean, nullable=False, default=False),
)
it = accounts.c
Index("accounts_by_list", it.tenant_id, it.list_id, it.created_at, it.id)

lists = read_table(
    "bank_accounts",
    "lists",
    Column("client_id", Uuid, nullable=False),
    Column("refunds", Uuid),  # the default account for each purpose
    Column("direct_debit", Uuid),
    Column("info", Uuid),
    Column("version", Integer, nullable=False),
)
whole = lists.c

# Fold


def project(rows: Rows, wholes: Rows, fact: Fact) -> None:
    event = fact.event
    if not isinstance(event, BankAccountEvent):
        return
    if isinstance(event, BankAccountAdded | BankAccountsAdopted) and fact.version == 1:
        wholes.add(fact.stream, client_id=event.client_id, version=1)
    chosen = {default.purpose: default.account_id for default in event.defaults}
    wholes.set(fact.stream, version=fact.version, **chosen)
    match event:
        case BankAccountAdded(account_id=id, details=details, number=number):
            rows.add(
                id,
                list_id=fact.stream,
                type=number.type,
                last4=number.last4,
                created_at=fact.at,
                updated_at=fact.at,
                **_fields(number.masked),
                **{**_fields(details), "country": number.country or details.country},
            )
        case BankAccountRevised(account_id=id, details=details):
            row = rows.get(id)
            assert row is not None
            written = _fields(details)
            if row["type"] != "other":
                written.pop("country")  # its number tells
            rows.set(id, updated_at=fact.at, **written)
        case DefaultBankAccountChosen():
            pass
        case BankAccountRemoved(account_id=id):
            rows.set(id, updated_at=fact.at, deleted=True)
        case BankAccountsAdopted(accounts=accounts):
            for it in accounts:
                rows.set(it.id, list_id=fact.stream)
        case BankAccountsReturned(accounts=accounts, removed=removed):
            for it in accounts:  # as they are by now, whoever changed them meanwhile
                written = {**_fields(it.details), "country": it.country}
                rows.set(it.id, list_id=fact.stream, updated_at=it.revised_at, **written)
            for id in removed:
                rows.set(id, list_id=fact.stream)
        case BankAccountsReleased():
            pass
        case BankAccountsErased():
            rows.where(list_id=fact.stream).set(**_FORGOTTEN)
        case _:
            assert_never(event)


def _fields(of: Value) -> dict[str, Any]:
    return {name: getattr(of, name) for name in of.__struct_fields__}


_FORGOTTEN: dict[str, Any] = {  # as `BankAccount.redacted` leaves them
    **dict.fromkeys(("iban", "account_number", "routing_number", "sort_code", "bsb")),
    **dict.fromkeys(("bic", "bank_name", "mandate_ref")),
    "account_holder": ERASED,
    "last4": "",
}

projector = Projector("bank_accounts", 3, (accounts, lists), project)

# Views


class BankAccountItem(BankAccountView):
    """A bank account as lists show it."""

    deleted: bool


# Queries

BESIDE: dict[str, ColumnElement[Any]] = {
    "is_default": func.coalesce(
        or_(whole.refunds == it.id, whole.direct_debit == it.id, whole.info == it.id), False
    ),
    "version": whole.version,
}
COLUMNS = [
    BESIDE[name] if name in BESIDE else it[name] for name in BankAccountItem.__struct_fields__
]
SORTS = {
    "created_at": it.created_at,
    "updated_at": it.updated_at,
    "account_holder": func.lower(it.account_holder),
}


# Routes


@get("/customers/{client_id:uuid}/bank-accounts", may="bank_accounts:read")
def browse(
    client_id: FromPath[UUID],
    reader: Reading,
    listing: Listing,
    q: FromQuery[str | None] = None,
    purpose: FromQuery[list[Purpose] | None] = None,
    created_from: FromQuery[datetime | None] = None,
    created_to: FromQuery[datetime | None] = None,
    updated_since: FromQuery[datetime | None] = None,
    include_deleted: FromQuery[bool] = False,
) -> Page[BankAccountItem]:
    """List a client's bank accounts, masked, newest first; removed ones only when asked for."""
    client = client_of(reader, client_id)
    conditions = [it.list_id == bank_accounts_of(reader.tenant, client.id)]
    if not include_deleted:
        conditions.append(~it.deleted)
    if q:
        texts = (it.account_holder, it.bank_name, it.bic, it.mandate_ref, it.last4)
        conditions.append(or_(*(text.icontains(q, autoescape=True) for text in texts)))
    if purpose:
        conditions.append(any_of(it.purpose, purpose))
    if created_from:
        conditions.append(it.created_at >= aware(created_from, "?created_from"))
    if created_to:
        conditions.append(it.created_at <= aware(created_to, "?created_to"))
    if updated_since:
        conditions.append(it.updated_at >= aware(updated_since, "?updated_since"))
    here = and_(whole.id == it.list_id, whole.tenant_id == it.tenant_id)
    rows = reader.mine(accounts, *COLUMNS).join(lists, here).where(*conditions)
    return page(reader, rows, BankAccountItem, listing, sorts=SORTS, key=it.id)


routes = [browse]
