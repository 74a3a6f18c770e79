"""Payments as lists, search, totals and summaries show them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from zeroinvoice.domain.client import Client, PaymentSettings, Profile


class Shop:
    """An office with clients who paid."""

    def __init__(self, office: Any) -> None:
        self.office = office

    def client(self, name: str = "Acme Corp", currency: str = "USD") -> str:
        def added(desk: Any) -> UUID:
            client = desk.new(Client)
            client = desk.record(client, client.add(Profile(name, currency)))
            return desk.record(
                client, client.set_payment(PaymentSettings(allow_overpayment=True))
            ).id

        return str(self.office.house.commit(self.office.tenant, added))

    def invoice(self, client_id: str, total: str = "100.00", **more: Any) -> dict[str, Any]:
        line = {"description": "Work", "unit_price": total}
        body = {"client_id": client_id, "line_items": [line], **more}
        made = self.office.made("/api/invoices", body)
        sent = self.office.patch(f"/api/invoices/{made['id']}/status", json={"status": "sent"})
        assert sent.status_code == 200, sent.text
        found: dict[str, Any] = sent.json()
        return found

    def paid(self, **body: Any) -> dict[str, Any]:
        asked = {"amount": "60.00", "method": "bank_transfer", "confirm_duplicate": True, **body}
        return self.office.made("/api/payments", asked)  # type: ignore[no-any-return]

    def void(self, payment_id: str) -> None:
        assert self.office.delete(f"/api/payments/{payment_id}").status_code == 200

    def listed(self, path: str = "/api/payments", **query: Any) -> list[str]:
        return [it["id"] for it in self.asked(path, **query)["items"]]

    def found(self, **query: Any) -> list[str]:
        return [it["payment"]["id"] for it in self.asked("/api/payments/search", **query)["items"]]

    def asked(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.office.get(path, params=query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def shop(office: Any) -> Shop:
    return Shop(office)


def test_a_list_shows_a_payment_as_it_is_seen_alone(shop: Shop) -> None:
    client = shop.client()
    invoice = shop.invoice(client)
    made = shop.paid(invoice_id=invoice["id"], amount="130", reference="R", send_receipt=True)
    (item,) = shop.asked("/api/payments")["items"]
    assert item["client_name"] == "Acme Corp"
    assert item["invoice_ids"] == [invoice["id"]]
    assert item["invoice_numbers"] == [invoice["number"]]
    assert item["receipt_number"] == made["receipt"]["number"]
    alone = item.keys() & made.keys()
    assert len(alone) == 20
    assert {name: item[name] for name in alone} == {name: made[name] for name in alone}


def test_a_row_follows_corrections_new_entries_and_voids(shop: Shop) -> None:
    client = shop.client()
    first, second = (shop.invoice(client) for _ in range(2))
    made = shop.paid(invoice_id=first["id"], amount="130")
    path = f"/api/payments/{made['id']}"
    changes: list[dict[str, Any]] = [
        {"reference": "new", "method": "cash", "fee_amount": "2"},
        {"amount": "90"},
        {"invoice_id": second["id"]},
        {"received_on": "2026-01-05"},
        {"send_receipt": True},
    ]
    for change in changes:
        alone = shop.office.put(path, json=change)
        assert alone.status_code == 200, alone.text
        (item,) = shop.asked("/api/payments")["items"]
        same = item.keys() & alone.json().keys()
        assert {name: item[name] for name in same} == {name: alone.json()[name] for name in same}
    assert shop.listed(f"/api/payments/invoice/{first['id']}") == []
    assert shop.listed(f"/api/payments/invoice/{second['id']}") == [made["id"]]
    shop.void(made["id"])
    (item,) = shop.asked("/api/payments", include_deleted=True)["items"]
    assert (item["status"], item["applied"], item["unapplied"]) == ("voided", "0.00", "0.00")


def test_voided_payments_are_shown_to_those_who_ask(shop: Shop) -> None:
    """R-CMD-7."""
    client = shop.client()
    invoice = shop.invoice(client)
    kept, gone = (shop.paid(invoice_id=invoice["id"], amount="10")["id"] for _ in range(2))
    shop.void(gone)
    for path in (
        "/api/payments",
        f"/api/payments/client/{client}",
        f"/api/payments/invoice/{invoice['id']}",
    ):
        assert shop.listed(path) == [kept]
        assert shop.listed(path, include_deleted=True) == [gone, kept]
    assert shop.listed(status="voided") == [gone]
    assert shop.listed(status=["voided", "succeeded"]) == [gone, kept]
    assert shop.found(status="voided") == [gone]


def test_lists_are_filtered(shop: Shop) -> None:
    """R-CMD-7 and rule 9."""
    client, other = shop.client(), shop.client("Beta Ltd", "EUR")
    invoice = shop.invoice(client)
    a = shop.paid(client_id=client, amount="10", received_on="2026-01-10", method="cash")["id"]
    b = shop.paid(invoice_id=invoice["id"], amount="20", received_on="2026-02-10")["id"]
    c = shop.paid(client_id=other, amount="30", received_on="2026-03-10", reference="R-30")["id"]
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [c, b, a]),
        ({"client_id": client}, [b, a]),
        ({"method": "cash"}, [a]),
        ({"method": ["cash", "bank_transfer"]}, [c, b, a]),
        ({"currency": "EUR"}, [c]),
        ({"amount_min": "20"}, [c, b]),
        ({"amount_max": "20.00"}, [b, a]),
        ({"amount_min": "15", "amount_max": "25"}, [b]),
        ({"received_from": "2026-02-10"}, [c, b]),
        ({"received_to": "2026-02-10"}, [b, a]),
        ({"unapplied_only": True}, [c, a]),
    ]
    for query, expected in cases:
        assert shop.listed(**query) == expected, query
        assert shop.found(**query) == expected, query
    assert shop.found(date="2026-02-10") == [b]
    assert shop.listed(invoice_id=invoice["id"]) == [b]
    assert shop.listed(q="beta") == [c]
    assert shop.listed(sort="amount") == [a, b, c]
    now = datetime.now(UTC) - timedelta(hours=1)
    assert shop.listed(updated_since=now.isoformat()) == [c, b, a]
    assert shop.listed(created_to=now.isoformat()) == []


def test_lists_come_in_pages(shop: Shop) -> None:
    client = shop.client()
    made = [shop.paid(client_id=client)["id"] for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        answer = shop.asked("/api/payments/search", **query)
        seen += [it["payment"]["id"] for it in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "query",
    [
        {"amount_min": "NaN"},
        {"amount_min": "1e9"},
        {"amount_max": "1" * 16},
        {"method": "barter"},
        {"status": "pending"},
        {"received_from": "soon"},
        {"date": "2026-02-30"},
        {"limit": 0},
        {"limit": 201},
        {"sort": "note"},
        {"cursor": "x"},
        {"client_id": "1"},
        {"q": "x" * 201},
    ],
)
def test_a_question_that_makes_no_sense_is_malformed(shop: Shop, query: dict[str, Any]) -> None:
    """T36, T39."""
    for path in ("/api/payments", "/api/payments/search"):
        if "date" in query and path == "/api/payments":
            continue
        assert shop.office.get(path, params=query).status_code == 400, path


def test_search_looks_in_reference_client_number_and_external_id(shop: Shop) -> None:
    """Rule 9."""
    client = shop.client("Harbour Bakery")
    invoice = shop.invoice(client)
    a = shop.paid(invoice_id=invoice["id"], amount="1", reference="TRX-2026-0001")["id"]
    b = shop.paid(client_id=client, amount="2", external_id="bank:998877")["id"]
    other = shop.client("Lighthouse")
    c = shop.paid(client_id=other, amount="3", reference="cheque 12")["id"]
    assert shop.found(q="harbour") == [b, a]
    assert shop.found(q="TRX-2026-0001") == [a]
    assert shop.found(q="998877") == [b]
    assert shop.found(q=invoice["number"].lower()) == [a]
    assert shop.found(q="harbor bakery", amount_min="2") == [b]
    assert shop.found(q="cheque", unapplied_only=True) == [c]
    assert shop.found(q="100%") == []
    (best,) = shop.asked("/api/payments/search", q=invoice["number"])["items"]
    assert best["score"] == 1
    assert best["match"] == {"field": "invoice_number", "snippet": invoice["number"]}


def test_lists_are_one_tenants(shop: Shop, house: Any) -> None:
    """T3."""
    theirs = Shop(house.office())
    client = theirs.client()
    invoice = theirs.invoice(client)
    theirs.paid(invoice_id=invoice["id"], reference="secret")
    assert shop.listed() == []
    assert shop.found(q="secret") == []
    assert shop.listed(client_id=client) == []
    assert shop.asked("/api/payments/summary")["currencies"] == {}
    for path in (f"invoice/{invoice['id']}", f"client/{client}", f"invoice/{invoice['id']}/total"):
        assert shop.office.get(f"/api/payments/{path}").status_code == 404
    for path in (f"invoice/{uuid4()}", f"client/{uuid4()}", f"{uuid4()}"):
        assert shop.office.get(f"/api/payments/{path}").status_code == 404


def test_the_total_of_an_invoice(shop: Shop) -> None:
    """Rule 8."""
    client = shop.client()
    invoice = shop.invoice(client, "100.00")
    path = f"/api/payments/invoice/{invoice['id']}/total"
    before = shop.asked(path)
    assert (before["paid"], before["balance_due"], before["payments_count"]) == (
        "0.00",
        "100.00",
        0,
    )
    assert before["last_payment_at"] is None
    late = shop.paid(invoice_id=invoice["id"], amount="30", received_on="2026-02-01")
    shop.paid(invoice_id=invoice["id"], amount="20", received_on="2026-01-01")
    total = shop.asked(path)
    assert total == {
        "invoice_id": invoice["id"],
        "currency": "USD",
        "total": "100.00",
        "paid": "50.00",
        "credited": "0.00",
        "processing": "0.00",
        "refunded": "0.00",
        "written_off": "0.00",
        "balance_due": "50.00",
        "payments_count": 2,
        "last_payment_on": "2026-02-01",
        "last_payment_at": total["last_payment_at"],
    }
    shop.void(late["id"])
    after = shop.asked(path)
    assert (after["paid"], after["payments_count"]) == ("20.00", 1)
    assert after["last_payment_on"] == "2026-01-01"
    yen = shop.invoice(shop.client("Kumo", "JPY"), "100")
    assert shop.asked(f"/api/payments/invoice/{yen['id']}/total")["processing"] == "0"


def test_a_payment_is_shown_as_it_was(shop: Shop) -> None:
    """R-CMD-8."""
    made = shop.paid(client_id=shop.client())
    then = datetime.now(UTC).isoformat()
    path = f"/api/payments/{made['id']}"
    shop.void(made["id"])
    assert shop.asked(path)["status"] == "voided"
    assert shop.asked(path, as_of=then) == made
    assert shop.office.get(path, params={"as_of": "2020-01-01T00:00:00Z"}).status_code == 404


def test_an_unchanged_payment_is_not_sent_again(shop: Shop) -> None:
    """R-CMD-2."""
    made = shop.paid(client_id=shop.client())
    path = f"/api/payments/{made['id']}"
    assert shop.office.get(path, headers={"If-None-Match": '"1"'}).status_code == 304


def test_the_summary_adds_up_each_currency_by_itself(shop: Shop) -> None:
    """Rule 10."""
    client, other = shop.client(), shop.client("Beta Ltd", "EUR")
    days = {"issue_date": "2026-01-01", "due_date": "2026-01-31"}
    first, second = shop.invoice(client, **days), shop.invoice(client, **days)
    parts = [{"invoice_id": it["id"], "amount": "10"} for it in (first, second)]
    shop.paid(amount="20", allocations=parts, received_on="2026-01-11", fee_amount="0.35")
    shop.paid(invoice_id=first["id"], amount="5.01", received_on="2026-01-12", method="cash")
    shop.paid(client_id=other, amount="7", received_on="2026-02-01", method="cash")
    shop.void(shop.paid(client_id=client, amount="1000", received_on="2026-01-12")["id"])
    summary = shop.asked("/api/payments/summary")
    assert summary["groups"] == []
    assert summary["currencies"] == {
        "EUR": {
            "received": "7.00",
            "refunded": "0.00",
            "fees": "0.00",
            "net": "7.00",
            "count": 1,
            "average": "7.00",
            "avg_days_to_pay": None,
        },
        "USD": {
            "received": "25.01",
            "refunded": "0.00",
            "fees": "0.35",
            "net": "24.66",
            "count": 2,
            "average": "12.51",
            "avg_days_to_pay": "10.3",  # 10, 10 and 11 days
        },
    }
    january = shop.asked("/api/payments/summary", **{"from": "2026-01-12", "to": "2026-01-31"})
    assert (january["from"], january["to"]) == ("2026-01-12", "2026-01-31")
    assert list(january["currencies"]) == ["USD"]
    assert january["currencies"]["USD"]["received"] == "5.01"


@pytest.mark.parametrize(
    ("group_by", "keys"),
    [
        ("day", ["2026-01-11", "2026-01-12", "2026-02-01"]),
        ("week", ["2026-01-05", "2026-01-12", "2026-01-26"]),
        ("month", ["2026-01-01", "2026-02-01"]),
        ("method", ["bank_transfer", "cash"]),
    ],
)
def test_the_summary_is_grouped(shop: Shop, group_by: str, keys: list[str]) -> None:
    """Rule 10: weeks begin on Monday (ISO 8601)."""
    client = shop.client()
    for day, method in (("01-11", "cash"), ("01-12", "bank_transfer"), ("02-01", "cash")):
        shop.paid(client_id=client, received_on=f"2026-{day}", method=method)
    summary = shop.asked("/api/payments/summary", group_by=group_by)
    assert [it["key"] for it in summary["groups"]] == keys
    counts = [it["currencies"]["USD"]["count"] for it in summary["groups"]]
    assert sum(counts) == summary["currencies"]["USD"]["count"] == 3


def test_the_summary_by_client_names_them(shop: Shop) -> None:
    """Rule 10."""
    clients = {shop.client(name): name for name in ("Acme Corp", "Beta Ltd")}
    for client in clients:
        shop.paid(client_id=client)
    summary = shop.asked("/api/payments/summary", group_by="client")
    assert {it["key"]: it["name"] for it in summary["groups"]} == clients


def test_a_summary_ends_after_it_begins(shop: Shop) -> None:
    path = "/api/payments/summary"
    assert (
        shop.office.get(path, params={"from": "2026-02-01", "to": "2026-01-31"}).status_code == 400
    )
    assert shop.office.get(path, params={"group_by": "year"}).status_code == 400
