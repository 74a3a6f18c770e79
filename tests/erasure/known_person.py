"""A client of whom something is written wherever something can be, and where all of it may lie."""

import io
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

import projections
from zeroinvoice.domain.session import Session
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.proof import export
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.readside.projector import rebuild
from zeroinvoice.readside.tables import schema_name

BEHIND = (
    "SELECT name FROM checkpoints WHERE name NOT LIKE 'policy:%'"
    " AND position < (SELECT max(position) FROM facts)"
)
YEARS = timedelta(days=11 * 366)  # after which nothing needs to be kept

CANARIES = {
    "name": "Zephyrine Quillfeather",
    "legal name": "Quillfeather Oddments Ltd",
    "e-mail": "zephyrine@quillfeather.example",
    "telephone": "+44 20 7946 0991",
    "address": "77 Marmalade Crescent",
    "tax id": "GB771199553",
    "external id": "crm-quillfeather-771",
    "client's notes": "Prefers violet ink",
    "contact": "Barnabus Thistlewood",
    "contact's e-mail": "barnabus@thistlewood.example",
    "invoice's notes": "For the attic at Thistle House",
    "invoice's reference": "Order by Aunt Ottoline",
    "private notes": "Haggles like a magpie",
    "reason": "Typed in for cousin Peregrine",
    "payment's reference": "Transfer from Hepzibah Q",
    "payment's note": "Paid by the uncle in Reykjahlid",
    "refund's note": "Back to the account of Lucasta",
    "credit's note": "Sorry for the broken samovar",
    "account holder": "Lady Hortensia Quill",
    "mandate": "MNDT-QUILL-4471",
    "told from outside": "Heard from Ermintrude at the bazaar",
}


class Known:
    """The client, all that is written of them, and the ids of what they were billed."""

    def __init__(self, office: Any, name: str = CANARIES["name"]) -> None:
        self.office, it = office, CANARIES
        self.answers: list[str] = []
        self.id = self.send(
            "POST",
            "/api/clients",
            name=name,
            legal_name=it["legal name"],
            email=it["e-mail"],
            phone=it["telephone"],
            address_lines=[it["address"]],
            city="Bath",
            country="GB",
            tax_id=it["tax id"],
            external_id=it["external id"],
            notes=it["client's notes"],
            tags=[it["client's notes"]],
            custom={"who": it["client's notes"]},
        )["id"]
        self.home = f"/api/customers/{self.id}"
        person = {"first_name": it["contact"], "email": it["contact's e-mail"]}
        self.contact = self.send("POST", f"{self.home}/contacts", **person)["id"]
        removed = {"last_name": it["contact"], "notes": it["client's notes"]}
        gone = self.send("POST", f"{self.home}/contacts", **removed)["id"]
        self.send("DELETE", f"{self.home}/contacts/{gone}")
        self.account = self.send(
            "POST",
            f"{self.home}/bank-accounts",
            type="iban",
            iban="DE89370400440532013000",
            account_holder=it["account holder"],
            mandate_ref=it["mandate"],
            purpose="refunds",
        )["id"]
        self.invoice = self.draft(name)
        self.send("PATCH", f"/api/invoices/{self.invoice}/status", status="sent")
        self.send("PUT", f"/api/invoices/{self.invoice}", private_notes=it["private notes"])
        other = self.draft(name)
        self.send("PATCH", f"/api/invoices/{other}/status", status="sent")
        said = {"status": "cancelled", "reason": it["reason"]}
        self.send("PATCH", f"/api/invoices/{other}/status", **said)
        self.draft(name)
        self.payment = self.send(
            "POST",
            "/api/payments",
            amount="100.00",
            method="bank_transfer",
            invoice_id=self.invoice,
            reference=it["payment's reference"],
            note=it["payment's note"],
        )["id"]
        told = {"id": self.payment, "source": "shop", "note": it["told from outside"]}
        self.send("POST", "/api/activity/track/payment-received", **told)
        early = {"amount": "50.00", "method": "cash", "client_id": self.id}
        early_id = self.send("POST", "/api/payments", **early)["id"]
        back = {"amount": "50.00", "method": "cash", "note": it["refund's note"]}
        self.send("POST", f"/api/payments/{early_id}/refund", **back)
        kept = {"type": "goodwill", "amount": "5.00", "note": it["credit's note"]}
        self.credit = self.send("POST", f"{self.home}/credits", **kept)["id"]

    def draft(self, name: str) -> str:
        it = CANARIES
        drafted = self.send(
            "POST",
            "/api/invoices",
            client_id=self.id,
            line_items=[{"description": "Work", "unit_price": "100"}],
            notes=it["invoice's notes"],
            reference=it["invoice's reference"],
            private_notes=it["private notes"],
            tags=[it["invoice's reference"]],
        )
        return str(drafted["id"])

    def void_credit(self) -> None:
        said = {"reason": CANARIES["reason"]}
        self.send("POST", f"{self.home}/credits/{self.credit}/void", **said)

    def send(self, method: str, path: str, /, **body: Any) -> dict[str, Any]:
        key = {"Idempotency-Key": uuid4().hex}
        answer = self.office.http.request(method, path, json=body or None, headers=key)
        assert answer.status_code < 300, (path, answer.text)
        self.answers.append(answer.text)
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def erase(self, **body: Any) -> Any:
        headers = body.pop("headers", {})
        return self.office.post(f"/api/clients/{self.id}/erase", json=body, headers=headers)

    def later(self, by: timedelta = YEARS) -> None:
        """Move the clock, and begin a session: the one before is over by then."""
        office, session = self.office, new_id()
        office.house.clock.moved += by

        def begin(desk: Desk) -> None:
            begun = desk.new(Session, session)
            desk.record(begun, begun.start(office.user))

        office.house.commit(office.tenant, begin, office.user)
        parts, now = office.house.parts, office.house.clock()
        token = parts.tokens.access(office.user, office.tenant, session, 1, now)
        office.http.headers["Authorization"] = f"Bearer {token}"

    def later_at(self, instant: str) -> None:
        self.later(datetime.fromisoformat(instant) - self.office.house.clock())


def seen(places: dict[str, str]) -> dict[str, list[str]]:
    """The canaries that places hold, in any case, as text or in hexadecimal."""
    found = {}
    for name, place in places.items():
        text = place.casefold()
        hits = [
            what
            for what, canary in CANARIES.items()
            if canary.casefold() in text or canary.encode().hex() in text
        ]
        if hits:
            found[name] = hits
    return found


def dump(url: str) -> dict[str, str]:
    """Every row of every table, as text; bytes are hexadecimal."""
    named = (
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    with psycopg.connect(url) as connection:
        found = {}
        for schema, table in connection.execute(named).fetchall():
            every = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table))
            found[f"{schema}.{table}"] = "\n".join(row[0] for row in connection.execute(every))
    return found


def exported(url: str) -> bytes:
    journal, file = Journal.at(url), io.BytesIO()
    try:
        assert export(journal.every_row(), file)
    finally:
        journal.close()
    return file.getvalue()


def read_models(house: Any) -> dict[str, list[Any]]:
    """Every row of every read model, as the database holds it once all facts are in."""
    found: dict[str, list[Any]] = {}
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        until = time.monotonic() + 10
        while connection.execute(BEHIND).fetchall():
            assert time.monotonic() < until, "the read models do not reach the head"
            time.sleep(0.02)
        served = dict(connection.execute("SELECT name, generation FROM checkpoints").fetchall())
        for it in projections.projectors:
            for table in it.tables:
                place = f"{schema_name(it.name, served[it.name])}.{table.name}"
                key = next(iter(table.columns)).name
                asked = f"SELECT t::text FROM {place} t ORDER BY {key}"
                found[f"{it.name}.{table.name}"] = connection.execute(asked.encode()).fetchall()
    return found


def built_anew(house: Any) -> dict[str, list[Any]]:
    """The read models after all of them were rebuilt from the journal."""
    work = conninfo(house.database_url, WORK_ROLE, application="test")
    journal = Journal.at(work, MasterKeys(house.settings.master_keys))
    with psycopg.connect(work, autocommit=True) as connection:
        rebuild(connection, projections.projectors, journal)
    journal.close()
    return read_models(house)
