"""The workspace over HTTP: its settings, and the tax codes that lines are written with."""

from typing import Any

import pytest


def revised(office: Any, **changes: Any) -> dict[str, Any]:
    answer = office.patch("/api/workspace", json=changes)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_settings_are_revised_in_part_and_read_back_alike(office: Any) -> None:
    before = office.get("/api/workspace").json()
    after = revised(
        office,
        name="Nordlicht",
        seller={"legal_name": "Nordlicht GmbH", "address": "Hafen 1\n20457 Hamburg"},
        time_zone="Europe/Berlin",
        fiscal_year_start=4,
        overpayment="credit",
    )
    assert after["seller"]["legal_name"] == "Nordlicht GmbH"
    assert after["seller"]["address"]["text"] == "Hafen 1\n20457 Hamburg"
    assert (after["name"], after["time_zone"]) == ("Nordlicht", "Europe/Berlin")
    assert after["base_currency"] == before["base_currency"]
    read = office.get("/api/workspace/")
    assert read.json() == after
    assert read.headers["etag"] == f'"{after["version"]}"'
    later = revised(office, seller={"email": "kontor@nordlicht.example"})
    assert later["seller"]["legal_name"] == "Nordlicht GmbH"
    assert revised(office, seller={"legal_name": None})["seller"]["legal_name"] is None


def test_the_base_currency_may_change_though_something_was_issued(office: Any) -> None:
    """Every document has its own currency, and totals are kept by currency (R-MON-12)."""
    client = office.made("/api/clients", {"name": "Acme"})
    sent(office, client["id"])
    assert revised(office, base_currency="EUR")["base_currency"] == "EUR"
    assert office.made("/api/clients", {"name": "Globex"})["currency"] == "EUR"
    assert office.get(f"/api/clients/{client['id']}").json()["currency"] == "USD"


def test_how_documents_are_numbered_can_be_chosen(office: Any) -> None:
    """R-NUM-1: the pattern and the reset of each kind."""
    body = revised(office, numbers={"client": {"pattern": "K{SEQ:3}"}})
    assert body["numbers"]["client"] == {"pattern": "K{SEQ:3}", "reset": "never"}
    assert office.made("/api/clients", {"name": "Acme"})["number"] == "K001"
    monthly = {"pattern": "R{YY}{MM}-{SEQ:3}", "reset": "monthly"}
    body = revised(office, numbers={"invoice": monthly, "client": None})
    assert body["numbers"]["invoice"] == monthly
    assert body["numbers"]["client"]["pattern"] == "C-{SEQ:5}"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"base_currency": "XYZ"}, "unknown_currency"),
        ({"time_zone": "Mars/Olympus"}, "unknown_time_zone"),
        ({"time_zone": "../etc/passwd"}, "unknown_time_zone"),
        ({"fiscal_year_start": 13}, "bad_month"),
        ({"default_terms": "soon"}, "unknown_terms"),
        ({"language": "not a tag"}, "bad_language"),
        ({"name": " "}, "bad_name"),
        ({"seller": {"email": "nobody"}}, "bad_email"),
        ({"seller": {"address": {"country": "XX"}}}, "unknown_country"),
        ({"numbers": {"invoice": {"pattern": "INV"}}}, "bad_number_pattern"),
        ({"numbers": {"invoice": {"pattern": "{SEQ}", "reset": "yearly"}}}, "bad_number_pattern"),
        ({"numbers": {"client": {"pattern": "{CLIENT}-{SEQ}"}}}, "bad_number_pattern"),
        ({"numbers": {"yacht": {"pattern": "{SEQ}"}}}, "unknown_number_kind"),
        ({"numbers": {"yacht": None}}, "unknown_number_kind"),
    ],
)
def test_a_setting_that_could_not_be_used_is_refused(
    office: Any, changes: dict[str, Any], code: str
) -> None:
    answer = office.patch("/api/workspace", json=changes)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert len(office.facts(office.tenant)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"tax_rounding": "sometimes"},
        {"owner": "me"},
        {"version": 3},
        {"seller": {"iban": "x"}},
        {"name": None},
    ],
)
def test_what_is_no_setting_is_bad_input(office: Any, changes: dict[str, Any]) -> None:
    """T5: a field that only we write is refused."""
    assert office.patch("/api/workspace", json=changes).status_code == 400
    assert len(office.facts(office.tenant)) == 1


def test_a_revision_of_an_older_copy_is_refused(office: Any) -> None:
    """R-CMD-2."""
    revised(office, name="Second")
    stale = office.patch("/api/workspace", json={"name": "Third"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"2"')


VAT = {"code": "vat.19", "name": "VAT 19 %", "rate": "19"}


def test_a_tax_code_is_defined_replaced_and_retired(office: Any) -> None:
    made = office.made("/api/workspace/tax-codes", VAT)
    assert made == {
        **VAT, "category": "S", "inclusive": False, "compound": False, "withholding": False,
    }  # fmt: skip
    assert office.get("/api/workspace/tax-codes/vat.19").json() == made
    assert office.post("/api/workspace/tax-codes", json=VAT).json()["code"] == "tax_code_taken"
    changed = {"name": "VAT, in the price", "rate": 19.5, "inclusive": True}
    put = office.put("/api/workspace/tax-codes/vat.19", json=changed)
    assert (put.status_code, put.json()["rate"], put.json()["inclusive"]) == (200, "19.5", True)
    assert office.get("/api/workspace/tax-codes/").json()["items"] == [put.json()]
    assert office.delete("/api/workspace/tax-codes/vat.19").status_code == 204
    for call in (office.get, office.delete):
        assert call("/api/workspace/tax-codes/vat.19").status_code == 404
    assert office.put("/api/workspace/tax-codes/vat.19", json=changed).status_code == 404


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code": "a b"}, "bad_tax_code"),
        ({"code": "x" * 33}, "bad_tax_code"),
        ({"name": ""}, "bad_name"),
        ({"rate": "100.01"}, "rate_out_of_range"),
        ({"rate": "-1"}, "rate_out_of_range"),
        ({"rate": "19.00001"}, "too_many_decimals"),
        ({"category": "Q"}, "unknown_tax_category"),
        ({"category": "AE"}, "rate_out_of_range"),
        ({"compound": True, "inclusive": True}, "compound_inclusive"),
    ],
)
def test_a_tax_no_line_could_bear_is_refused(
    office: Any, changes: dict[str, Any], code: str
) -> None:
    answer = office.post("/api/workspace/tax-codes", json={**VAT, **changes})
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert len(office.facts(office.tenant)) == 1


def test_lines_bear_the_tax_codes_of_the_workspace(office: Any) -> None:
    office.made("/api/workspace/tax-codes", VAT)
    client = office.made("/api/clients", {"name": "Acme"})
    line = {"description": "Work", "unit_price": 100, "tax_codes": ["vat.19"]}
    body = {"client_id": client["id"], "line_items": [line]}
    invoice = office.made("/api/invoices", body)
    assert (invoice["tax_total"], invoice["total"]) == ("19.00", "119.00")
    office.delete("/api/workspace/tax-codes/vat.19")
    assert office.get(f"/api/invoices/{invoice['id']}").json()["total"] == "119.00"
    refused = office.post("/api/invoices", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown_tax_code")


def test_another_workspace_has_its_own_settings_and_tax_codes(office: Any) -> None:
    office.made("/api/workspace/tax-codes", VAT)
    revised(office, name="Mine")
    other = office.house.office()
    assert other.get("/api/workspace").json()["name"] == "Test"
    assert other.get("/api/workspace/tax-codes/vat.19").status_code == 404


def sent(office: Any, client_id: str, price: Any = 100, **more: Any) -> dict[str, Any]:
    override = more.pop("override_credit_limit", False)
    line = {"description": "Work", "unit_price": price}
    invoice = office.made("/api/invoices", {"client_id": client_id, "line_items": [line], **more})
    body = {"status": "sent", "override_credit_limit": override}
    answer = office.patch(f"/api/invoices/{invoice['id']}/status", json=body)
    assert answer.status_code == 200, answer.text
    issued: dict[str, Any] = answer.json()
    return issued
