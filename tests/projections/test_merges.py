"""Read models of merged clients: row for row what they were, live as in a rebuild."""

from typing import Any

import psycopg

import projections
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.readside.projector import rebuild
from zeroinvoice.readside.tables import schema_name

# What tells of the merge itself, and how often a client and its books were changed.
ASIDE = ("audit.audit", "activity.activity", "merges.merges", "merges.entries", "moved")
COUNTED = {"clients.clients", "contacts.books", "bank_accounts.lists"}


def rows_of(office: Any) -> dict[str, list[Any]]:
    """Every row of the office in every read model, as the database holds it."""
    found: dict[str, list[Any]] = {}
    with psycopg.connect(office.house.database_url) as connection:
        served = dict(connection.execute("SELECT name, generation FROM checkpoints").fetchall())
        for it in projections.projectors:
            for table in it.tables:
                name = f"{it.name}.{table.name}"
                if name.endswith(ASIDE):
                    continue
                hidden = {"version", "updated_at"} if name in COUNTED else set()
                columns = ", ".join(c.name for c in table.columns if c.name not in hidden)
                place = f"{schema_name(it.name, served[it.name])}.{table.name}"
                key = next(iter(table.columns)).name
                asked = f"SELECT {columns} FROM {place} WHERE tenant_id = %s ORDER BY {key}"
                found[name] = connection.execute(asked.encode(), [office.tenant]).fetchall()
    return found


def filled(office: Any) -> tuple[str, str]:
    """Two clients with some of everything."""
    keep, gone = (office.made("/api/clients", {"name": it})["id"] for it in ("Keep", "Gone"))
    for client in (keep, gone):
        line = {"description": "Work", "unit_price": "100"}
        body = {"client_id": client, "line_items": [line]}
        office.made("/api/invoices", body)
        invoice = office.made("/api/invoices", body)["id"]
        sent = office.patch(f"/api/invoices/{invoice}/status", json={"status": "sent"})
        assert sent.status_code == 200
        paid = {"amount": "30", "method": "cash", "invoice_id": invoice}
        office.made("/api/payments", paid)
        path = f"/api/customers/{client}"
        credit = office.made(f"{path}/credits", {"type": "goodwill", "amount": "9"})["id"]
        asked = {"invoice_id": invoice, "amount": "4"}
        applied = office.post(f"{path}/credits/{credit}/apply", json=asked)
        assert applied.status_code == 200
        for person in ({"email": "ann@example.com"}, {"first_name": "Bo"}):
            office.made(f"{path}/contacts", person)
    return keep, gone


def settled(office: Any) -> None:
    """Every read model has what is on record by now."""
    for path in ("invoices", "payments", "clients", "audit/logs"):
        assert "x-projection-lag" not in office.get(f"/api/{path}").headers


def test_merge_and_undo_leave_every_row_as_it_was(office: Any) -> None:
    """A3-15: with nothing between, byte for byte."""
    keep, gone = filled(office)
    office.get(f"/api/customers/{keep}/contacts")
    office.get(f"/api/customers/{keep}/bank-accounts")
    office.get(f"/api/customers/{keep}/credits")
    office.get(f"/api/clients/{keep}/analytics")
    settled(office)
    before = rows_of(office)
    body = {"primary_id": keep, "duplicate_ids": [gone]}
    made = office.post("/api/clients/merge", json=body).json()
    assert made["moved"] == {
        "invoices": 2, "payments": 1, "credits": 1, "contacts": 1, "bank_accounts": 0,
    }  # fmt: skip
    undo = {"merge_id": made["merge_id"]}
    assert office.post("/api/clients/merge/undo", json=undo).status_code == 200
    for path in ("contacts", "bank-accounts", "credits"):
        office.get(f"/api/customers/{keep}/{path}")
    office.get(f"/api/clients/{keep}/analytics")
    settled(office)
    after = rows_of(office)
    lists = {name: rows for name, rows in after.items() if rows != before[name]}
    assert lists == {}


def test_a_rebuild_counts_what_each_merge_moved(new_database: Any, open_house: Any) -> None:
    """A3-10: at the merge's own position, whatever has come since."""
    house = open_house(new_database())
    office = house.office()
    keep, gone = filled(office)
    body = {"primary_id": keep, "duplicate_ids": [gone]}
    made = office.post("/api/clients/merge", json=body).json()
    line = {"description": "Work", "unit_price": "1"}
    office.made("/api/invoices", {"client_id": keep, "line_items": [line]})
    undo = {"merge_id": made["merge_id"]}
    assert office.post("/api/clients/merge/undo", json=undo).status_code == 200
    office.made("/api/invoices", {"client_id": gone, "line_items": [line]})
    again = office.post("/api/clients/merge", json=body).json()
    path = f"/api/clients/{keep}/merge-history"
    seen = office.get(path).json()["items"]
    assert [it["moved"]["invoices"] for it in seen] == [3, 2, 2]
    assert [it["moved"]["payments"] for it in seen] == [1, 1, 1]
    assert again["moved"]["invoices"] == 3
    settled(office)
    before = rows_of(office)
    house.worker.stop()
    work = conninfo(house.database_url, WORK_ROLE, application="test")
    journal = Journal.at(work, MasterKeys(house.settings.master_keys))
    with psycopg.connect(work, autocommit=True) as connection:
        rebuild(connection, projections.projectors, journal)
    journal.close()
    assert rows_of(office) == before
    assert office.get(path).json()["items"] == seen
