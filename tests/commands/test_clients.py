"""Clients over HTTP: added, revised, archived or deleted; and how they pay."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from zeroinvoice.domain.account import account_of

ACME = {
    "name": "Acme Corp",
    "email": "billing@acme.com",
    "phone": "+1-555-0100",
    "address": "123 Main St, San Francisco, CA 94102",
    "currency": "USD",
}


def sent(office: Any, client_id: str, price: Any = 100, **more: Any) -> Any:
    """What sending an invoice of one line is answered with."""
    line = {"description": "Work", "unit_price": price}
    invoice = office.made("/api/invoices", {"client_id": client_id, "line_items": [line]})
    return office.patch(f"/api/invoices/{invoice['id']}/status", json={"status": "sent", **more})


def test_the_body_of_the_api_document_works_as_printed(office: Any) -> None:
    """Rule 1: the address is kept to the letter; a number comes from the client series."""
    client = office.made("/api/clients/", ACME)
    assert {name: client[name] for name in ACME} == ACME
    assert (client["number"], client["status"], client["type"]) == ("C-00001", "active", "company")
    assert client["possible_duplicates"] == []
    assert office.made("/api/clients", {"name": "Globex"})["number"] == "C-00002"


def test_a_client_is_read_back_as_it_was_answered(office: Any) -> None:
    made = office.made(
        "/api/clients",
        {
            "name": "Søren & Co",
            "type": "person",
            "email": "post@soeren.example",
            "phone": "33 12 34 56",
            "address": {
                "address_lines": ["Havnegade 1"], "postal_code": "1058", "city": "København",
                "country": "dk",
            },
            "shipping_address": "Lager 2",
            "language": "da",
            "timezone": "Europe/Copenhagen",
            "tax_id": "DK12345678",
            "tax_id_type": "vat",
            "tax_exempt": "reverse_charge",
            "payment_terms": "net 14",
            "tags": ["nordic", "vip", "nordic"],
            "notes": "Calls on Mondays",
            "custom": {"segment": {"size": 3, "share": 0.25}},
            "peppol_id": "0184:12345678",
            "external_id": "crm-7",
        },
    )  # fmt: skip
    assert made.pop("possible_duplicates") == []
    assert made["address"] == "Havnegade 1\n1058 København\nDK"
    assert (made["city"], made["country"]) == ("København", "DK")
    assert made["shipping_address"]["text"] == "Lager 2"
    assert made["phone_e164"] == "+4533123456"
    assert made["tags"] == ["nordic", "vip"]
    assert made["custom"] == {"segment": {"size": 3, "share": "0.25"}}
    read = office.get(f"/api/clients/{made['id']}/")
    assert read.json() == made
    assert read.headers["etag"] == '"1"'


def test_an_address_is_typed_or_given_by_its_parts(office: Any) -> None:
    parts = {"address_lines": ["1 Elm St"], "city": "Reno", "region": "NV", "postal_code": "89501"}
    client = office.made("/api/clients", {"name": "Elm", **parts, "country": "US"})
    assert client["address"] == "1 Elm St\nReno, NV 89501\nUS"
    path = f"/api/clients/{client['id']}"
    moved = office.put(path, json={"city": "Sparks"}).json()
    assert moved["address"] == "1 Elm St\nSparks, NV 89501\nUS"
    typed = office.put(path, json={"address": "PO Box 7, Reno", "country": "US"}).json()
    assert (typed["address"], typed["city"], typed["country"]) == ("PO Box 7, Reno", None, "US")
    same = office.put(path, json={"address": "PO Box 7, Reno"}).json()
    assert same["version"] == typed["version"]
    gone = office.put(path, json={"address": None}).json()
    assert (gone["address"], gone["country"]) == (None, None)


def test_a_revision_leaves_what_it_does_not_name(office: Any) -> None:
    client = office.made("/api/clients", {**ACME, "tags": ["a"], "notes": "x"})
    path = f"/api/clients/{client['id']}"
    after = office.put(path, json={"name": "Acme Inc", "notes": None}).json()
    assert (after["name"], after["notes"], after["tags"]) == ("Acme Inc", None, ["a"])
    assert after["email"] == ACME["email"]
    assert office.put(path, json={"tags": None}).json()["tags"] == []
    stale = office.put(path, json={"name": "Late"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("name", " ", "bad_name"),
        ("name", "x" * 256, "bad_name"),
        ("email", "nobody", "bad_email"),
        ("email", "a@b.c" + "d" * 250, "bad_email"),
        ("currency", "XYZ", "unknown_currency"),
        ("country", "XX", "unknown_country"),
        ("timezone", "Mars/Olympus", "unknown_time_zone"),
        ("language", "x", "bad_language"),
        ("payment_terms", "some day", "unknown_terms"),
        ("tags", ["x" * 51], "bad_tags"),
        ("tags", [f"t{n}" for n in range(51)], "bad_tags"),
        ("custom", {f"k{n}": n for n in range(51)}, "bad_custom"),
        ("custom", {"k": ["x" * 6000, "y" * 6000]}, "bad_custom"),
        ("phone", "1" * 51, "text_too_long"),
        ("external_id", "x" * 256, "text_too_long"),
    ],
)
def test_what_no_document_could_be_written_with_is_refused(
    office: Any, field: str, value: Any, code: str
) -> None:
    """Rule 1, in making and in revising."""
    answer = office.post("/api/clients", json={**ACME, field: value})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    client = office.made("/api/clients", ACME)
    answer = office.put(f"/api/clients/{client['id']}", json={field: value})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert len(office.facts(client["id"])) == 1
    assert client["number"] == "C-00001"


@pytest.mark.parametrize(
    "field", ["id", "tenant_id", "version", "created_at", "status", "phone_e164", "balance"]
)
def test_what_only_we_write_is_bad_input(office: Any, field: str) -> None:
    """T5."""
    assert office.post("/api/clients", json={**ACME, field: "x"}).status_code == 400
    client = office.made("/api/clients", ACME)
    answer = office.put(f"/api/clients/{client['id']}", json={field: "x"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{field}")


def test_a_chosen_number_follows_the_rules_of_the_series(office: Any) -> None:
    """R-NUM-4: unused and as the pattern writes it; a higher one moves the counter."""
    assert office.made("/api/clients", {**ACME, "number": "C-00007"})["number"] == "C-00007"
    for taken in ("C-00007", "ACME"):
        answer = office.post("/api/clients", json={**ACME, "number": taken})
        assert (answer.status_code, answer.json()["code"]) == (409, "number_taken")
    client = office.made("/api/clients", ACME)
    assert client["number"] == "C-00008"
    path = f"/api/clients/{client['id']}"
    assert office.put(path, json={"number": "C-00003"}).json()["number"] == "C-00003"
    answer = office.put(path, json={"number": None})
    assert (answer.status_code, answer.json()["code"]) == (422, "number_needed")


def test_an_external_id_belongs_to_one_client_at_a_time(office: Any) -> None:
    """Rule 1: unique in the tenant, free again once let go."""
    first = office.made("/api/clients", {**ACME, "external_id": "crm-1"})
    answer = office.post("/api/clients", json={**ACME, "external_id": "crm-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "external_id_taken")
    assert answer.json()["holder"] == first["id"]
    second = office.made("/api/clients", {**ACME, "external_id": "crm-2"})
    path = f"/api/clients/{second['id']}"
    assert office.put(path, json={"external_id": "crm-1"}).status_code == 409
    assert office.put(path, json={"external_id": "crm-3"}).status_code == 200
    assert office.made("/api/clients", {**ACME, "external_id": "crm-2"})["number"] == "C-00003"
    assert office.delete(f"/api/clients/{first['id']}").status_code == 204
    assert office.put(path, json={"external_id": "crm-1"}).status_code == 200
    other = office.house.office()
    assert other.made("/api/clients", {**ACME, "external_id": "crm-1"})["number"] == "C-00001"


def test_those_that_may_be_the_same_client_are_named(office: Any) -> None:
    """Rule 2: same e-mail, same tax id or a similar name; nothing is refused."""
    first = office.made("/api/clients", {**ACME, "tax_id": "DE 123.456.789"})
    office.made("/api/clients", {"name": "Quite another"})
    office.get("/api/clients")  # waits until the list knows them
    cases = {
        "same_email": {"name": "Zebra", "email": "Billing@ACME.com"},
        "same_tax_id": {"name": "Yak", "tax_id": "de123456789"},
        "similar_name": {"name": "ACME Corp."},
    }
    for reason, body in cases.items():
        (found,) = office.made("/api/clients", body)["possible_duplicates"][-1:]
        assert (found["id"], found["reasons"], found["score"]) == (first["id"], [reason], 1.0)
        office.get("/api/clients")
    other = office.house.office()
    assert other.made("/api/clients", ACME)["possible_duplicates"] == []


def test_an_answer_given_again_names_the_same_duplicates(office: Any) -> None:
    """R-CMD-1: not the client itself, nor one that came later."""
    key = {"Idempotency-Key": "once"}
    first = office.post("/api/clients", json=ACME, headers=key)
    office.made("/api/clients", ACME)
    office.get("/api/clients")
    again = office.post("/api/clients", json=ACME, headers=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()


def test_the_currency_is_locked_once_something_was_issued(office: Any) -> None:
    """Rule 3, also for an invoice that asks for nothing."""
    for price in (100, 0):
        client = office.made("/api/clients", {"name": "Acme"})
        path = f"/api/clients/{client['id']}"
        assert office.put(path, json={"currency": "EUR"}).json()["currency"] == "EUR"
        assert sent(office, client["id"], price).status_code == 200
        answer = office.put(path, json={"currency": "USD"})
        assert (answer.status_code, answer.json()["code"]) == (409, "currency_locked")
        assert office.put(path, json={"currency": "EUR", "name": "Acme 2"}).status_code == 200


def test_a_client_without_history_is_deleted(office: Any) -> None:
    """Rule 4: gone from everywhere, by a fact of its own."""
    client = office.made("/api/clients", ACME)
    path = f"/api/clients/{client['id']}"
    gone = office.delete(path)
    assert (gone.status_code, gone.content) == (204, b"")
    assert [type(fact.event).__name__ for fact in office.facts(client["id"])] == [
        "ClientAdded",
        "ClientDeleted",
    ]
    for answer in (
        office.get(path),
        office.put(path, json={"name": "x"}),
        office.delete(path),
        office.get(f"{path}/payment-settings"),
        office.patch(f"{path}/payment-settings", json={"autopay": True}),
        office.get(f"{path}/analytics"),
    ):
        assert answer.status_code == 404
    assert office.get("/api/clients").json()["items"] == []
    deleted = office.get("/api/clients", params={"include_deleted": True}).json()["items"]
    assert [(it["id"], it["deleted"]) for it in deleted] == [(client["id"], True)]


def test_a_client_with_history_is_archived_and_can_be_restored(office: Any) -> None:
    """Rule 4: hidden, refuses new invoices, keeps what it has."""
    client = office.made("/api/clients", ACME)
    path = f"/api/clients/{client['id']}"
    invoice = sent(office, client["id"]).json()
    gone = office.delete(path)
    assert (gone.status_code, gone.json()["archived"]) == (200, True)
    assert office.delete(path).status_code == 200
    read = office.get(path).json()
    assert (read["status"], read["archived"]) == ("archived", True)
    assert office.get("/api/clients").json()["items"] == []
    assert office.get(f"/api/invoices/{invoice['id']}").status_code == 200
    body = {"client_id": client["id"], "line_items": []}
    refused = office.post("/api/invoices", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "archived")
    assert office.put(path, json={"archived": False}).json()["status"] == "active"
    assert office.post("/api/invoices", json=body).status_code == 201
    assert office.put(path, json={"archived": True}).json()["status"] == "archived"


def test_payment_settings_are_inherited_until_they_are_set(office: Any) -> None:
    """Rule 6: each says what holds and whose choice it is; null inherits again."""
    client = office.made("/api/clients", ACME)
    path = f"/api/clients/{client['id']}/payment-settings"
    before = office.get(path).json()
    assert before["default_terms"] == {"effective": "net 30", "source": "workspace"}
    assert before["allow_overpayment"] == {"effective": False, "source": "workspace"}
    assert before["credit_limit"] == {"effective": None, "source": "workspace"}
    office.patch("/api/workspace", json={"overpayment": "credit", "default_terms": "eom"})
    own = {
        "credit_limit": 5000,
        "late_fee": {"type": "amount", "value": "12.5", "grace_days": 3},
        "allowed_methods": ["bank_transfer", "card", "card"],
        "reminders_enabled": False,
    }
    changed = office.patch(path, json=own)
    assert changed.status_code == 200, changed.text
    assert changed.headers["etag"] == '"2"'
    after = changed.json()
    assert after == office.get(path).json()
    assert after["credit_limit"] == {"effective": "5000.00", "source": "client"}
    assert after["late_fee"]["effective"] == {"type": "amount", "value": "12.50", "grace_days": 3}
    assert after["allowed_methods"]["effective"] == ["bank_transfer", "card"]
    assert after["allow_overpayment"] == {"effective": True, "source": "workspace"}
    assert after["default_terms"] == {"effective": "eom", "source": "workspace"}
    again = office.patch(path, json={"credit_limit": None}).json()
    assert again["credit_limit"] == {"effective": None, "source": "workspace"}
    assert again["late_fee"] == after["late_fee"]


def test_the_terms_shown_are_those_an_invoice_gets(office: Any) -> None:
    """Rule 6: those in the client's profile, else its settings', else the workspace's."""
    client = office.made("/api/clients", ACME)
    path = f"/api/clients/{client['id']}"

    def terms() -> tuple[str, str]:
        shown = office.get(f"{path}/payment-settings").json()["default_terms"]["effective"]
        body = {"client_id": client["id"], "line_items": []}
        return shown, office.made("/api/invoices", body)["payment_terms"]

    assert terms() == ("net 30", "net 30")
    office.patch(f"{path}/payment-settings", json={"default_terms": "net 7"})
    assert terms() == ("net 7", "net 7")
    office.put(path, json={"payment_terms": "eom"})
    assert terms() == ("eom", "eom")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"credit_limit": "-1"}, 422),
        ({"credit_limit": "1.001"}, 422),
        ({"min_partial_amount": "0.005"}, 422),
        ({"late_fee": {"type": "percent", "value": "101"}}, 422),
        ({"late_fee": {"type": "amount", "value": "1", "grace_days": -1}}, 422),
        ({"allowed_methods": []}, 422),
        ({"default_terms": "whenever"}, 422),
        ({"allowed_methods": ["barter"]}, 400),
        ({"statement_schedule": "hourly"}, 400),
        ({"credit_limit": "NaN"}, 400),
        ({"source": "client"}, 400),
    ],
)
def test_a_payment_setting_that_could_not_be_used_is_refused(
    office: Any, changes: dict[str, Any], status: int
) -> None:
    client = office.made("/api/clients", ACME)
    answer = office.patch(f"/api/clients/{client['id']}/payment-settings", json=changes)
    assert answer.status_code == status, answer.text
    assert len(office.facts(client["id"])) == 1


def test_the_currency_cannot_leave_amounts_behind_it_cannot_write(office: Any) -> None:
    client = office.made("/api/clients", ACME)
    path = f"/api/clients/{client['id']}"
    office.patch(f"{path}/payment-settings", json={"credit_limit": "10.50"})
    answer = office.put(path, json={"currency": "JPY"})
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_decimals")


def test_a_credit_limit_stops_an_invoice_unless_it_is_overridden(office: Any) -> None:
    """Rule 7: what is owed and this invoice together; an override is on record."""
    client = office.made("/api/clients", ACME)
    path = f"/api/clients/{client['id']}/payment-settings"
    office.patch(path, json={"credit_limit": "150"})
    assert sent(office, client["id"]).status_code == 200
    refused = sent(office, client["id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "credit_limit_exceeded")
    assert refused.json()["exposure"] == "200.00"
    assert sent(office, client["id"], 50).status_code == 200
    assert sent(office, client["id"], override_credit_limit=True).status_code == 200
    assert sent(office, client["id"], 0).status_code == 200
    debits = [
        (str(fact.event.amount.amount), fact.event.over_limit)
        for fact in office.facts(account_of(office.tenant, UUID(client["id"])))
    ]
    assert debits == [("100.00", False), ("50.00", False), ("100.00", True), ("0.00", False)]


def test_another_tenants_clients_are_not_there(office: Any) -> None:
    """T4, T6: a foreign id is as unknown as a made-up one."""
    client = office.made("/api/clients", {**ACME, "tax_id": "DE1"})
    other = office.house.office()
    for id in (client["id"], uuid4()):
        path = f"/api/clients/{id}"
        for answer in (
            other.get(path),
            other.put(path, json={"name": "x"}),
            other.delete(path),
            other.get(f"{path}/payment-settings"),
            other.patch(f"{path}/payment-settings", json={"autopay": True}),
            other.get(f"{path}/analytics"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for q in (client["number"], ACME["email"], "DE1", "Acme", "5550100"):
        assert other.get("/api/clients/search", params={"q": q}).json()["items"] == []
    assert len(office.facts(client["id"])) == 1
