"""Contacts and bank accounts as lists: paged, filtered, and the same from any replay."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from projections import bank_accounts, contacts
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.readside.projector import Projector, rebuild


@pytest.fixture
def client(office: Any) -> str:
    return str(office.made("/api/clients", {"name": "Acme Corp"})["id"])


def names(office: Any, path: str, **query: Any) -> list[str]:
    answer = office.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [it["first_name"] for it in answer.json()["items"]]


def test_contacts_are_listed_newest_first_and_a_page_at_a_time(office: Any, client: str) -> None:
    """R-CMD-7."""
    path = f"/api/customers/{client}/contacts"
    for name in ("Bob", "ann", "Cy"):
        office.made(path, {"first_name": name})
    assert names(office, path) == ["Cy", "ann", "Bob"]
    assert names(office, path, sort="created_at") == ["Bob", "ann", "Cy"]
    assert names(office, path, sort="name") == ["ann", "Bob", "Cy"]
    first = office.get(path, params={"limit": 2, "include_total": True}).json()
    assert (len(first["items"]), first["total"]) == (2, 3)
    assert names(office, path, limit=2, cursor=first["next_cursor"]) == ["Bob"]
    assert office.get(path, params={"sort": "notes"}).status_code == 400
    assert office.get(path, params={"limit": 201}).status_code == 400


def test_contacts_are_found_by_what_is_written_of_them(office: Any, client: str) -> None:
    """R-CMD-7."""
    path = f"/api/customers/{client}/contacts"
    ann = office.made(path, {"first_name": "Ann", "email": "a@acme.example", "role": "CFO"})
    bob = office.made(path, {"first_name": "Bob", "portal_enabled": True})
    for q, found in (("acme", ["Ann"]), ("cfo", ["Ann"]), ("BO", ["Bob"]), ("%", [])):
        assert names(office, path, q=q) == found
    assert names(office, path, portal_enabled=True) == ["Bob"]
    assert names(office, path, created_from=bob["created_at"]) == ["Bob"]
    assert names(office, path, created_to=ann["created_at"]) == ["Ann"]
    office.put(f"{path}/{ann['id']}", json={"role": "CEO"})
    assert names(office, path, updated_since=bob["updated_at"]) == ["Bob", "Ann"]
    naive = office.get(path, params={"updated_since": "2026-01-01T00:00:00"})
    assert naive.status_code == 400


@pytest.mark.parametrize("area", ["contacts", "bank-accounts"])
def test_a_client_without_any_has_an_empty_list(office: Any, client: str, area: str) -> None:
    answer = office.get(f"/api/customers/{client}/{area}")
    assert answer.json() == {"items": [], "next_cursor": None, "total": None}


def test_lists_are_each_clients_own(office: Any, client: str) -> None:
    other = office.made("/api/clients", {"name": "Other"})["id"]
    office.made(f"/api/customers/{client}/contacts", {"first_name": "Ann"})
    office.made(f"/api/customers/{other}/contacts", {"first_name": "Bob"})
    assert names(office, f"/api/customers/{client}/contacts") == ["Ann"]
    account = {"type": "iban", "iban": "DE89370400440532013000", "account_holder": "A"}
    office.made(f"/api/customers/{other}/bank-accounts", account)
    mine = office.get(f"/api/customers/{client}/bank-accounts").json()["items"]
    assert (mine, UUID(client) == UUID(other)) == ([], False)


def test_accounts_are_found_by_purpose_and_time(office: Any, client: str) -> None:
    """R-CMD-7."""
    path = f"/api/customers/{client}/bank-accounts"
    body = {"type": "iban", "account_holder": "A"}
    one = office.made(path, {**body, "iban": "DE89370400440532013000", "purpose": "refunds"})
    two = office.made(path, {**body, "iban": "FR1420041010050500013M02606"})

    def found(**query: Any) -> list[str]:
        return [it["id"] for it in office.get(path, params=query).json()["items"]]

    assert found() == [two["id"], one["id"]]
    assert found(purpose=["refunds"]) == [one["id"]]
    assert found(purpose=["refunds", "info"], sort="created_at") == [one["id"], two["id"]]
    assert found(created_from=two["created_at"]) == [two["id"]]
    assert found(created_to=one["created_at"]) == [one["id"]]
    assert found(updated_since=two["created_at"]) == [two["id"]]
    assert office.get(path, params={"purpose": "fun"}).status_code == 400


def stored(url: str, projector: Projector, generation: int) -> dict[str, list[Any]]:
    with psycopg.connect(url) as connection:
        found = {}
        for table in projector.tables:
            name = sql.Identifier(f"{projector.name}_{generation}", table.name)
            every = sql.SQL("SELECT * FROM {} ORDER BY id").format(name)
            found[table.name] = connection.execute(every).fetchall()
    return found


@pytest.mark.parametrize("projector", [contacts.projector, bank_accounts.projector])
def test_a_rebuild_gives_the_very_same_rows(
    projector: Projector,
    new_database: Callable[[], str],
    open_house: Callable[..., Any],
) -> None:
    """Design, section 5: the tables are what the facts say, whenever they are folded."""
    house = open_house(new_database())
    office = house.office()
    client = office.made("/api/clients", {"name": "Acme Corp"})["id"]
    people, banks = (f"/api/customers/{client}/{it}" for it in ("contacts", "bank-accounts"))
    ids = [office.made(people, {"first_name": name})["id"] for name in ("A", "B", "C")]
    office.patch(f"{people}/{ids[2]}/primary")
    office.delete(f"{people}/{ids[2]}")
    office.put(f"{people}/{ids[1]}", json={"receives": {"invoices": False}})
    body = {"type": "iban", "account_holder": "A"}
    one = office.made(banks, {**body, "iban": "DE89370400440532013000"})["id"]
    two = office.made(banks, {**body, "iban": "FR1420041010050500013M02606"})["id"]
    office.patch(f"{banks}/{two}", json={"is_default": True})
    office.delete(f"{banks}/{one}")
    lists = [office.get(path, params={"include_deleted": True}).json() for path in (people, banks)]
    live = stored(house.database_url, projector, 1)
    assert all(live.values())
    house.worker.stop()
    work = conninfo(house.database_url, WORK_ROLE, application="test")
    journal = Journal.at(work, MasterKeys(house.settings.master_keys))
    try:
        with psycopg.connect(work, autocommit=True) as connection:
            rebuild(connection, (projector,), journal, lambda position: None)
    finally:
        journal.close()
    assert stored(house.database_url, projector, 2) == live
    assert lists == [
        office.get(path, params={"include_deleted": True}).json() for path in (people, banks)
    ]
