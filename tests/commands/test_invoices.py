"""Invoices over HTTP: drafted, rewritten, sent under a number, cancelled."""

from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain.client import Client, Profile


@pytest.fixture
def client_id(office: Any) -> str:
    def added(desk: Any) -> UUID:
        client = desk.new(Client)
        return desk.record(client, client.add(Profile("Acme Corp", "USD"))).id

    return str(office.house.commit(office.tenant, added))


def body(client_id: str, **more: Any) -> dict[str, Any]:
    line = {"description": "API integration", "quantity": 10, "unit_price": 150.00}
    return {"client_id": client_id, "line_items": [line], "currency": "USD", **more}


def test_the_body_of_the_api_document_works_as_printed(office: Any, client_id: str) -> None:
    invoice = office.made("/api/invoices/", body(client_id, due_date="2026-06-01", notes="Net 30"))
    assert invoice["status"] == "draft"
    assert invoice["number"] is None
    assert (invoice["subtotal"], invoice["total"]) == ("1500.00", "1500.00")
    assert invoice["due_date"] == "2026-06-01"


def test_a_sent_invoice_has_the_next_number_and_is_read_back_alike(
    office: Any, client_id: str
) -> None:
    """R-NUM-2: the number is given at issue."""
    first, second = (office.made("/api/invoices", body(client_id)) for _ in range(2))
    numbers = []
    for invoice in (first, second):
        sent = office.patch(f"/api/invoices/{invoice['id']}/status", json={"status": "sent"})
        assert sent.status_code == 200, sent.text
        numbers.append(sent.json()["number"][-5:])
        read = office.get(f"/api/invoices/{invoice['id']}")
        assert read.json() == sent.json()
        assert read.headers["etag"] == '"2"'
    assert numbers == ["00001", "00002"]
