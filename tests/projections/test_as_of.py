"""As-of reads: each single resource at an instant, and what is said of one it cannot have."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest


class Past:
    """An office with one of everything, and the instant before any of it was changed."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.empty = _now()
        office.made("/api/workspace/tax-codes", {"code": "VAT", "name": "VAT", "rate": 19})
        client = office.made("/api/clients", {"name": "Acme"})["id"]
        self.client, line = client, {"description": "Work", "unit_price": 100}
        invoice = office.made("/api/invoices", {"client_id": client, "line_items": [line]})["id"]
        self.done(office.patch(f"/api/invoices/{invoice}/status", json={"status": "sent"}))
        paid = {"invoice_id": invoice, "amount": 30, "method": "cash"}
        self.payment = office.made("/api/payments", paid)["id"]
        given = {"type": "goodwill", "amount": 9}
        credit = office.made(f"/api/customers/{client}/credits", given)["id"]
        self.paths = {
            "client": f"/api/clients/{client}",
            "settings": f"/api/clients/{client}/payment-settings",
            "analytics": f"/api/clients/{client}/analytics",
            "receivables": f"/api/customers/{client}/receivables",
            "invoice": f"/api/invoices/{invoice}",
            "paid": f"/api/payments/invoice/{invoice}/total",
            "payment": f"/api/payments/{self.payment}",
            "credit": f"/api/customers/{client}/credits/{credit}",
            "balance": f"/api/customers/{client}/credits/balance/total",
            "tax code": "/api/workspace/tax-codes/VAT",
        }
        self.then = _now()

    def change(self) -> None:
        office, client = self.office, self.paths["client"]
        self.done(office.put(client, json={"name": "Acme Two"}))
        self.done(office.patch(f"{client}/payment-settings", json={"autopay": True}))
        self.done(office.patch("/api/workspace", json={"time_zone": "Pacific/Kiritimati"}))
        self.done(office.put("/api/workspace/tax-codes/VAT", json={"name": "New", "rate": 7}))
        self.done(office.delete(f"/api/payments/{self.payment}"))
        self.done(office.post(f"{self.paths['credit']}/void", json={}))
        given = {"type": "goodwill", "amount": 5}
        office.made(f"/api/customers/{self.client}/credits", given)

    def asked(self, path: str, **query: str) -> dict[str, Any]:
        answer = self.office.get(path, params=query)
        assert answer.status_code == 200, (path, answer.text)
        body: dict[str, Any] = answer.json()
        return {name: it for name, it in body.items() if name not in ("as_of", "known_at")}

    @staticmethod
    def done(answer: Any) -> None:
        assert answer.status_code in (200, 204), answer.text


def _now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.fixture
def past(office: Any) -> Past:
    return Past(office)


def test_everything_is_shown_as_it_was(past: Past) -> None:
    """R-CMD-8."""
    paths = [*past.paths.values(), "/api/workspace", "/api/workspace/tax-codes"]
    before = {path: past.asked(path) for path in paths}
    past.change()
    for path in paths:
        assert past.asked(path) != before[path], path
        assert past.asked(path, as_of=past.then) == before[path], path


def test_what_did_not_exist_then_is_not_there(past: Past) -> None:
    """R-CMD-8: as if it had been asked for then."""
    for path in past.paths.values():
        answer = past.office.get(path, params={"as_of": past.empty})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
    assert past.asked("/api/workspace/tax-codes", as_of=past.empty)["items"] == []
    answer = past.office.get("/api/workspace", params={"as_of": "2020-01-01T00:00:00Z"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("as_of", "code"),
    [
        ("yesterday", "bad_input"),
        ("2026-01-01T00:00:00", "bad_input"),  # no offset
        ("2026-13-01T00:00:00Z", "bad_input"),
        ("0001-01-01T00:00:00+14:00", "bad_input"),
        ("2099-01-01T00:00:00Z", "as_of_in_future"),
    ],
)
def test_an_instant_that_cannot_be_is_bad_input(past: Past, as_of: str, code: str) -> None:
    """R-CMD-8 and R-CMD-4."""
    for path in [*past.paths.values(), "/api/workspace"]:
        answer = past.office.get(path, params={"as_of": as_of})
        assert (answer.status_code, answer.json()["code"]) == (400, code), path


def test_a_day_is_for_receivables_and_analytics_alone(past: Past) -> None:
    """A8-1: one thing has no effective dates, so a day would not say when in it."""
    day = str(datetime.now(UTC).date())
    for name, path in past.paths.items():
        answer = past.office.get(path, params={"as_of": day})
        by_day = name in ("analytics", "receivables")
        assert answer.status_code == (200 if by_day else 400), (path, answer.text)


def test_an_instant_is_judged_on_its_own_day(office: Any) -> None:
    """R-DAT-2: overdue then, in the zone that the workspace had then, whatever it is now."""
    now = datetime.now(UTC)
    zones = ("Pacific/Kiritimati", "Pacific/Pago_Pago")  # a day and an hour apart
    Past.done(office.patch("/api/workspace", json={"time_zone": zones[0]}))
    client = office.made("/api/clients", {"name": "Acme"})["id"]
    due = str((now + timedelta(hours=14)).date() - timedelta(1))
    line = {"description": "Work", "unit_price": 100}
    body = {"client_id": client, "line_items": [line], "issue_date": due, "due_date": due}
    path = f"/api/invoices/{office.made('/api/invoices', body)['id']}"
    Past.done(office.patch(f"{path}/status", json={"status": "sent"}))
    then = _now()
    assert office.get(path).json()["status"] == "overdue"
    Past.done(office.patch("/api/workspace", json={"time_zone": zones[1]}))
    assert office.get(path).json()["status"] == "sent"
    assert office.get(path, params={"as_of": then}).json()["status"] == "overdue"
    owed = f"/api/customers/{client}/receivables"
    seen = office.get(owed, params={"as_of": then}).json()
    assert seen["by_currency"]["USD"]["overdue"] == "100.00"
    assert office.get(owed).json()["by_currency"]["USD"]["overdue"] == "0.00"
