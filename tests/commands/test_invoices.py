"""Invoices over HTTP: what a draft may say, and what the server makes of it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

PATH = "/api/invoices"
LINE = {"description": "API integration", "quantity": 10, "unit_price": 150.00}


def body(client_id: str, **more: Any) -> dict[str, Any]:
    return {"client_id": client_id, "line_items": [LINE], "currency": "USD", **more}


@pytest.fixture
def client_id(shop: Any) -> str:
    made: str = shop.client()
    return made


def drafted(office: Any, client_id: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = office.made(PATH, body(client_id, **more))
    return made


def line(**more: Any) -> dict[str, Any]:
    return {"description": "Work", "unit_price": "100", **more}


def test_the_body_of_the_api_document_works_as_printed(office: Any, client_id: str) -> None:
    invoice = office.made("/api/invoices/", body(client_id, due_date="2099-06-01", notes="Net 30"))
    assert invoice["status"] == "draft"
    assert invoice["number"] is None
    assert (invoice["subtotal"], invoice["total"]) == ("1500.00", "1500.00")
    assert (invoice["due_date"], invoice["notes"]) == ("2099-06-01", "Net 30")


def test_a_draft_is_read_back_with_everything_it_was_given(office: Any, client_id: str) -> None:
    """Rules 1 and 2."""
    given = {
        "issue_date": "2026-03-01",
        "due_date": "2026-03-20",
        "notes": "Thank you",
        "private_notes": "Ask Jo",
        "terms": "As agreed",
        "footer": "Registered in Hamburg",
        "reference": "R-7",
        "po_number": "PO 4711",
        "template_id": str(uuid4()),
        "project_id": str(uuid4()),
        "attachments": ["plan.pdf"],
        "language": "de",
        "service_period": {"from": "2026-02-01", "to": "2026-02-28"},
        "tags": ["vip", "north", "vip"],
        "custom": {"segment": {"size": 3, "share": 0.25}},
        "expected_payment_date": "2026-04-01",
        "reminders_enabled": False,
        "fx_rate": "1.25",
        "fx_source": "ECB",
    }
    lines = [
        line(
            unit="h", sku="W-1", quantity="2.5", service_date="2026-02-03", expense_id=str(uuid4())
        ),
        line(discount={"type": "percent", "value": "12.5"}, time_entry_ids=[str(uuid4())]),
    ]
    invoice = drafted(office, client_id, line_items=lines, **given)
    given |= {"tags": ["vip", "north"], "custom": {"segment": {"size": 3, "share": "0.25"}}}
    assert {name: invoice[name] for name in given} == given
    first, second = invoice["line_items"]
    assert {name: first[name] for name in lines[0]} == {**lines[0], "unit_price": "100"}
    assert (first["net"], second["net"]) == ("250.00", "87.50")
    assert second["time_entry_ids"] == lines[1]["time_entry_ids"]
    assert (invoice["payment_state"], invoice["balance_due"]) == ("unpaid", "337.50")
    read = office.get(f"{PATH}/{invoice['id']}/")
    assert read.json() == invoice
    assert read.headers["etag"] == '"1"'


def test_what_is_not_said_comes_from_the_client_and_the_workspace(house: Any, shop_in: Any) -> None:
    """Rule 1."""
    shop = shop_in(house.office(default_terms="net 7"))
    invoice = shop.office.made(PATH, {"client_id": shop.client("EUR")})
    assert (invoice["currency"], invoice["payment_terms"]) == ("EUR", "net 7")
    assert invoice["issue_date"] == shop.today()
    assert (invoice["line_items"], invoice["total"]) == ([], "0.00")
    terms = shop.office.made(PATH, {"client_id": shop.client(default_terms="eom")})
    assert terms["payment_terms"] == "eom"
    own = {"name": "Own", "payment_terms": "net 3", "language": "fr"}
    client = shop.office.made("/api/clients", own)
    of_client = shop.office.made(PATH, {"client_id": client["id"]})
    assert (of_client["payment_terms"], of_client["language"]) == ("net 3", "fr")


@pytest.mark.parametrize(
    ("terms", "due"),
    [
        ("due_on_receipt", "2026-01-30"),
        ("net 30", "2026-03-01"),
        ("Net 0", "2026-01-30"),
        ("eom", "2026-01-31"),
        ("eom + 10", "2026-02-10"),
        ("day 15 of following month", "2026-02-15"),
        ("day 31 of following month", "2026-02-28"),
        ("2% 10 net 30", "2026-03-01"),
    ],
)
def test_the_due_date_follows_from_the_terms(
    office: Any, client_id: str, terms: str, due: str
) -> None:
    """Rule 10."""
    invoice = drafted(office, client_id, payment_terms=terms, issue_date="2026-01-30")
    assert (invoice["due_date"], invoice["payment_terms"]) == (due, terms)


def test_an_amount_may_be_a_number_or_a_text_and_has_the_currencys_digits(
    office: Any, client_id: str
) -> None:
    """R-MON-1 and R-MON-2."""
    for price in (0.1, "0.1", "0.100000"):
        lines = [line(unit_price=price, quantity=3)]
        assert drafted(office, client_id, line_items=lines)["total"] == "0.30"
    yen = drafted(office, client_id, line_items=[line(unit_price="333")], currency="JPY")
    dinar = drafted(office, client_id, line_items=[line(unit_price="1.2345")], currency="KWD")
    assert (yen["total"], dinar["total"]) == ("333", "1.235")


# Taxes


def test_a_line_bears_the_taxes_of_its_codes(office: Any, client_id: str) -> None:
    """Rule 1: what a code means is fixed when the line is written."""
    code = {"code": "VAT20", "name": "VAT", "rate": "20"}
    office.made("/api/workspace/tax-codes", code)
    office.made("/api/workspace/tax-codes", {"code": "IRPF", "name": "IRPF", "rate": "15",
                                             "withholding": True})  # fmt: skip
    lines = [line(tax_codes=["VAT20", "IRPF"])]
    invoice = drafted(office, client_id, line_items=lines)
    assert (invoice["tax_total"], invoice["total"]) == ("20.00", "120.00")
    assert (invoice["withheld"], invoice["balance_due"]) == ("-15.00", "105.00")
    assert [(it["code"], it["tax"]) for it in invoice["tax_breakdown"]] == [
        ("VAT20", "20.00"),
        ("IRPF", "-15.00"),
    ]
    office.put("/api/workspace/tax-codes/VAT20", json={"name": "VAT", "rate": "25"})
    assert office.put(f"{PATH}/{invoice['id']}", json={"notes": "x"}).json()["total"] == "120.00"
    again = office.put(f"{PATH}/{invoice['id']}", json={"line_items": lines}).json()
    assert again["total"] == "125.00"


def test_a_bare_rate_is_a_tax_without_a_code(office: Any, client_id: str) -> None:
    """Rule 1; zero is rated, nothing is untaxed."""
    lines = [line(tax_rate=19), line(tax_rate="0"), line()]
    invoice = drafted(office, client_id, line_items=lines)
    rows = [(it["category"], it["base"], it["tax"]) for it in invoice["tax_breakdown"]]
    assert rows == [("S", "100.00", "19.00"), ("Z", "100.00", "0.00")]
    assert invoice["total"] == "319.00"


@pytest.mark.parametrize("by", ["rate", "code"])
def test_prices_may_contain_the_tax(office: Any, client_id: str, by: str) -> None:
    """R-MON-5: the total stays what was typed, whether a code or a rate says how much tax."""
    office.made("/api/workspace/tax-codes", {"code": "V", "name": "VAT", "rate": "10"})
    tax: dict[str, Any] = {"tax_rate": 10} if by == "rate" else {"tax_codes": ["V"]}
    lines = [line(unit_price="500", **tax)]
    inside = drafted(office, client_id, line_items=lines, tax_mode="inclusive")
    assert (inside["total"], inside["tax_total"]) == ("500.00", "45.45")
    assert (inside["net_total"], inside["tax_breakdown"][0]["inclusive"]) == ("454.55", True)
    assert drafted(office, client_id, line_items=lines)["total"] == "550.00"
    none = drafted(office, client_id, line_items=lines, tax_mode="none")
    assert (none["total"], none["tax_breakdown"]) == ("500.00", [])


@pytest.mark.parametrize(("exempt", "category"), [("exempt", "E"), ("reverse_charge", "AE")])
def test_a_client_may_be_exempt_from_tax(office: Any, exempt: str, category: str) -> None:
    """Rule 1: the breakdown says why there is none (EN 16931)."""
    client = office.made("/api/clients", {"name": "Søren", "tax_exempt": exempt})
    invoice = drafted(office, client["id"], line_items=[line(tax_rate=25)])
    (row,) = invoice["tax_breakdown"]
    assert (row["category"], row["rate"], row["tax"]) == (category, "0", "0.00")
    assert invoice["total"] == "100.00"


def test_rounding_by_line_is_a_setting_that_a_document_keeps(house: Any, shop_in: Any) -> None:
    """R-MON-7; the two lines of T1."""
    shop = shop_in(house.office(tax_rounding="line"))
    lines = [line(unit_price=it, tax_rate=23) for it in ("55.55", "11.11")]
    by_line = drafted(shop.office, shop.client(), line_items=lines)
    assert (by_line["tax_total"], by_line["tax_rounding"]) == ("15.34", "line")
    shop.office.patch("/api/workspace", json={"tax_rounding": "document"})
    path = f"{PATH}/{by_line['id']}"
    assert shop.office.put(path, json={"notes": "x"}).json()["tax_total"] == "15.33"


# Discounts, deposit, totals


def test_discounts_are_taken_off_a_line_and_off_the_document(office: Any, client_id: str) -> None:
    """R-MON-4; the shares of T6."""
    lines = [line(unit_price=it) for it in ("33.33", "33.33", "33.34")]
    invoice = drafted(
        office, client_id, line_items=lines, discount={"type": "amount", "value": "10"}
    )
    assert (invoice["discount_total"], invoice["total"]) == ("10.00", "90.00")
    percent = {"type": "percent", "value": "4"}
    lines = [line(unit_price="348.35", quantity=16, discount=percent, tax_rate=22)]
    assert drafted(office, client_id, line_items=lines)["total"] == "6527.81"  # T2
    half = drafted(office, client_id, discount={"type": "percent", "value": 50})
    assert (half["subtotal"], half["total"]) == ("1500.00", "750.00")


def test_a_total_that_was_sent_along_must_be_right(office: Any, client_id: str) -> None:
    """Rule 1: 422 tells what the server makes of it, and nothing is written."""
    lines = [line(tax_rate=19)]
    right = {"subtotal": 100, "tax_total": "19.00", "total": 119.0}
    assert drafted(office, client_id, line_items=lines, **right)["total"] == "119.00"
    for name, computed in {"subtotal": "100.00", "tax_total": "19.00", "total": "119.00"}.items():
        wrong = {**right, name: "118.99"}
        no = office.post(PATH, json=body(client_id, line_items=lines, **wrong))
        assert (no.status_code, no.json()["code"]) == (422, "total_mismatch")
        assert (no.json()["field"], no.json()["computed"]) == (name, computed)
    assert len(office.get(PATH).json()["items"]) == 1


def test_a_deposit_is_a_part_of_what_is_to_pay(office: Any, client_id: str) -> None:
    """Rule 1."""
    deposit = {"type": "percent", "value": "30", "due_date": "2026-12-01"}
    assert drafted(office, client_id, deposit=deposit)["deposit"] == deposit
    amount = {"type": "amount", "value": "1500.00", "due_date": "2026-12-01"}
    invoice = drafted(office, client_id, deposit=amount)
    assert invoice["deposit"] == amount
    less = office.put(f"{PATH}/{invoice['id']}", json={"line_items": [line()]})
    assert (less.status_code, less.json()["code"]) == (422, "deposit_out_of_range")


def test_a_rounding_to_cash_stands_by_itself(office: Any, client_id: str) -> None:
    """R-MON-9."""
    lines = [line(unit_price="9.98", tax_rate="0")]
    invoice = drafted(office, client_id, line_items=lines, rounding_adjustment="0.02")
    assert (invoice["net_total"], invoice["rounding_adjustment"]) == ("9.98", "0.02")
    assert invoice["total"] == "10.00"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"line_items": [line(tax_codes=["NO"])]}, "unknown_tax_code"),
        ({"line_items": [line(tax_codes=["NO"], tax_rate="1")]}, "two_taxes"),
        (
            {"line_items": [line(tax_codes=["NO"], tax_rate="1")], "tax_mode": "none"},
            "two_taxes",
        ),
        ({"line_items": [line(tax_rate="100.5")]}, "rate_out_of_range"),
        ({"line_items": [line(tax_rate="1.00001")]}, "too_many_decimals"),
        ({"line_items": [line(quantity="-1")]}, "negative_quantity"),
        ({"line_items": [line(unit_price="-1")]}, "negative_total"),
        ({"line_items": [line(description=" ")]}, "description_needed"),
        (
            {"line_items": [line(discount={"type": "amount", "value": "101"})]},
            "discount_out_of_range",
        ),
        ({"discount": {"type": "percent", "value": "100.1"}}, "discount_out_of_range"),
        ({"discount": {"type": "amount", "value": "1500.01"}}, "discount_out_of_range"),
        ({"discount": {"type": "amount", "value": "1.001"}}, "too_many_decimals"),
        (
            {"deposit": {"type": "percent", "value": "101", "due_date": "2026-12-01"}},
            "deposit_out_of_range",
        ),
        (
            {"deposit": {"type": "amount", "value": "0", "due_date": "2026-12-01"}},
            "deposit_out_of_range",
        ),
        ({"rounding_adjustment": "0.001"}, "too_many_decimals"),
        ({"currency": "XYZ"}, "unknown_currency"),
        ({"currency": "HRK"}, "unknown_currency"),
        ({"payment_terms": "soon"}, "unknown_terms"),
        ({"issue_date": "2026-03-02", "due_date": "2026-03-01"}, "due_before_issue"),
        ({"service_period": {"from": "2026-03-02", "to": "2026-03-01"}}, "period_reversed"),
        ({"language": "not a tag"}, "bad_language"),
        ({"fx_rate": "0"}, "bad_fx_rate"),
        ({"tags": [""]}, "bad_tags"),
        ({"custom": {"": 1}}, "bad_custom"),
        ({"reference": "x" * 256}, "text_too_long"),
        ({"series": "x" * 33}, "text_too_long"),
    ],
)
def test_what_no_invoice_can_say_is_refused(
    office: Any, client_id: str, more: dict[str, Any], code: str
) -> None:
    """422, and nothing is written."""
    no = office.post(PATH, json=body(client_id, **more))
    assert (no.status_code, no.json()["code"]) == (422, code), no.text
    assert office.get(PATH).json()["items"] == []


def test_more_is_not_withheld_than_there_is_to_pay(office: Any, client_id: str) -> None:
    """R-MON-8: the balance is never negative."""
    for code in ("A", "B"):
        tax = {"code": code, "name": code, "rate": "60", "withholding": True}
        office.made("/api/workspace/tax-codes", tax)
    no = office.post(PATH, json=body(client_id, line_items=[line(tax_codes=["A", "B"])]))
    assert (no.status_code, no.json()["code"]) == (422, "negative_total")


@pytest.mark.parametrize(
    "more",
    [
        {"client_id": "not-an-id"},
        {"line_items": [{"unit_price": "1"}]},
        {"line_items": [{"description": "x"}]},
        {"line_items": [line(unit_price="1e3")]},
        {"line_items": [line(unit_price="NaN")]},
        {"line_items": [line(total="100.00")]},
        {"line_items": [line()] * 1001},
        {"issue_date": "tomorrow"},
        {"issue_date": "infinity"},
        {"issue_date": "0001-01-01"},
        {"due_date": "9999-12-31"},
        {"deposit": {"type": "percent", "value": "10", "due_date": "1989-12-31"}},
        {"service_period": {"from": "2026-03-01", "to": "2101-01-01"}},
        {"service_period": {"from": "2026-03-01", "to": "2026-03-31", "days": 31}},
        {"line_items": [line(service_date="1000-01-01")]},
        {"tax_mode": "both"},
        {"discount": {"type": "percent"}},
        {"custom": ["a"]},
    ],
)
def test_what_is_not_in_the_bodys_shape_is_malformed(
    office: Any, client_id: str, more: dict[str, Any]
) -> None:
    """T36: days of the years 1990 to 2100; 400, and nothing is written."""
    no = office.post(PATH, json={**body(client_id), **more})
    assert (no.status_code, no.json()["code"]) == (400, "bad_input"), no.text
    assert office.get(PATH).json()["items"] == []


def test_a_day_in_a_text_is_only_a_text(office: Any, client_id: str) -> None:
    """T36: and an escape hides no day."""
    text = json.dumps(body(client_id, due_date="9999-12-31")).replace("9999", "\\u0039999")
    hidden = office.post(PATH, content=text, headers={"Content-Type": "application/json"})
    assert hidden.status_code == 400
    assert hidden.json()["errors"][0]["pointer"] == "/due_date"
    assert drafted(office, client_id, notes="9999-12-31")["notes"] == "9999-12-31"
    assert drafted(office, client_id, due_date="2100-12-31")["due_date"] == "2100-12-31"


@pytest.mark.parametrize(
    "name", ["id", "status", "balance_due", "amount_paid", "sent_at", "version", "seller"]
)
def test_what_the_server_decides_is_not_sent(office: Any, client_id: str, name: str) -> None:
    """T5: on every route."""
    made = drafted(office, client_id)["id"]
    for answer in (
        office.post(PATH, json=body(client_id, **{name: "1"})),
        office.put(f"{PATH}/{made}", json={name: "1"}),
        office.patch(f"{PATH}/{made}/status", json={"status": "sent", f"{name}_": "1"}),
    ):
        assert answer.status_code == 400, answer.text
    assert len(office.facts(made)) == 1


# Whom it is for


def test_an_archived_client_is_not_billed(office: Any) -> None:
    """Rule 12: a draft waits until the client is restored."""
    client = office.made("/api/clients", {"name": "Acme"})
    path = f"/api/clients/{client['id']}"
    invoice = drafted(office, client["id"])
    office.put(path, json={"archived": True})
    no = office.post(PATH, json=body(client["id"]))
    assert (no.status_code, no.json()["code"]) == (409, "archived")
    status = f"{PATH}/{invoice['id']}/status"
    no = office.patch(status, json={"status": "sent"})
    assert (no.status_code, no.json()["code"]) == (409, "archived")
    assert office.put(f"{PATH}/{invoice['id']}", json={"notes": "x"}).status_code == 200
    office.put(path, json={"archived": False})
    assert office.patch(status, json={"status": "sent"}).status_code == 200


def test_a_draft_for_a_deleted_client_is_not_sent_until_it_is_for_another(office: Any) -> None:
    """Rule 12."""
    client, other = (office.made("/api/clients", {"name": it})["id"] for it in ("Acme", "Globex"))
    invoice = drafted(office, client)
    assert office.delete(f"/api/clients/{client}").status_code in (200, 204)
    assert office.post(PATH, json=body(client)).status_code == 404
    path = f"{PATH}/{invoice['id']}"
    no = office.patch(f"{path}/status", json={"status": "sent"})
    assert (no.status_code, no.json()["code"]) == (409, "client_deleted")
    assert office.put(path, json={"client_id": other}).status_code == 200
    assert office.patch(f"{path}/status", json={"status": "sent"}).status_code == 200


def test_ids_of_others_are_not_there(house: Any, shop: Any, shop_in: Any) -> None:
    """T4: nothing is written either."""
    theirs = shop_in(house.office())
    client = theirs.client()
    invoice = theirs.invoice(client)
    assert shop.office.post(PATH, json=body(client)).status_code == 404
    own = shop.client()
    assert shop.office.post(PATH, json=body(own, corrects=invoice)).status_code == 404
    for made in (invoice, str(uuid4()), own):
        path = f"{PATH}/{made}"
        assert shop.office.put(path, json={"notes": "x"}).status_code == 404
        assert shop.office.delete(path).status_code == 404
        assert shop.move(made, status="cancelled").status_code == 404
    mine = shop.draft(own)
    assert shop.office.put(f"{PATH}/{mine}", json={"client_id": client}).status_code == 404
    assert theirs.story(invoice) == ["InvoiceDrafted", "InvoiceSent"]
    assert shop.story(mine) == ["InvoiceDrafted"]


def test_only_what_was_issued_is_corrected(shop: Any) -> None:
    """Rule 7."""
    client = shop.client()
    draft, issued = shop.draft(client), shop.invoice(client)
    no = shop.office.post(PATH, json=body(client, corrects=draft))
    shop.problem(no, 409, "invoice_not_issued")
    assert drafted(shop.office, client, corrects=issued)["links"]["corrects"] == issued


def test_a_draft_may_say_a_day_that_has_passed(shop: Any) -> None:
    """What is issued late is still dated by what was agreed."""
    before = str((datetime.now(UTC) - timedelta(days=40)).date())
    invoice = drafted(shop.office, shop.client(), issue_date=before)
    sent = shop.move(invoice["id"], status="sent").json()
    assert (sent["issue_date"], sent["status"]) == (before, "overdue")
