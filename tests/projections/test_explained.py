"""Explain this number: each figure with its formula and the facts that made it what it is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import zeroinvoice.domain.derivation

TODAY = datetime.now(UTC).date()


def ago(days: int) -> str:
    return str(TODAY - timedelta(days))


class Books:
    """An office with one client, an invoice that was paid in part, and a credit."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.client = office.made("/api/clients", {"name": "Acme"})["id"]
        self.invoice = self.billed(100, ago(60), ago(31))
        self.payment = self.paid(self.invoice, 30, ago(40))
        self.empty = datetime.now(UTC).isoformat()
        given = {"type": "goodwill", "amount": 9}
        self.credit = office.made(f"/api/customers/{self.client}/credits", given)["id"]
        body = {"invoice_id": self.invoice, "amount": 4}
        path = f"/api/customers/{self.client}/credits/{self.credit}/apply"
        assert office.post(path, json=body).status_code == 200

    def billed(self, price: Any, issued: str, due: str) -> str:
        line = {"description": "Work", "unit_price": price}
        body = {"client_id": self.client, "line_items": [line], "issue_date": issued}
        id = str(self.office.made("/api/invoices", {**body, "due_date": due})["id"])
        sent = self.office.patch(f"/api/invoices/{id}/status", json={"status": "sent"})
        assert sent.status_code == 200, sent.text
        return id

    def paid(self, invoice: str, amount: Any, on: str) -> str:
        body = {"invoice_id": invoice, "amount": amount, "method": "cash", "received_on": on}
        made = self.office.made("/api/payments", {**body, "confirm_duplicate": True})
        return str(made["id"])

    def asked(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.office.get(path, params={"explain": 1, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def receivables(self, **query: Any) -> dict[str, Any]:
        path = f"/api/customers/{self.client}/receivables"
        return self.asked(path, **query)["by_currency"]["USD"]  # type: ignore[no-any-return]


@pytest.fixture
def books(office: Any) -> Books:
    return Books(office)


def told(derivation: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(it["action"], it["amount"], it["day"]) for it in derivation["parts"]]


def adds_up(derivation: dict[str, Any]) -> bool:
    parts = sum((Decimal(it["amount"]) for it in derivation["parts"]), Decimal(0))
    return parts + Decimal(derivation["sum_omitted"]) == Decimal(derivation["value"])


def test_what_is_due_on_an_invoice_is_told_by_its_facts(books: Books) -> None:
    """Row 10: seq, what it is, the amount with its sign, its date and the stream."""
    for path in (f"/api/invoices/{books.invoice}", f"/api/payments/invoice/{books.invoice}/total"):
        it = books.asked(path)
        due = it["explained"]["balance_due"]
        assert (it["balance_due"], due["value"]) == ("66.00", "66.00")
        assert told(due) == [
            ("InvoicePaymentApplied", "-30.00", ago(40)),
            ("InvoiceDrafted", "100.00", str(TODAY)),
            ("InvoiceCredited", "-4.00", str(TODAY)),
        ]
        assert adds_up(due)
        assert [(it["name"], it["value"]) for it in due["terms"]] == [
            ("payable", "100.00"),
            ("amount_paid", "30.00"),
            ("amount_credited", "4.00"),
            ("amount_written_off", "0.00"),
        ]
        for part in due["parts"]:
            assert part["stream"] == {"type": "invoice", "id": books.invoice}
        facts = {fact.position: fact for fact in books.office.facts(books.invoice)}
        for part in due["parts"]:
            assert type(facts[part["seq"]].event).__name__ == part["action"]


def test_what_is_due_is_explained_as_of_an_instant(books: Books) -> None:
    """Rows 1 and 10: what was recorded later explains nothing."""
    due = books.asked(f"/api/invoices/{books.invoice}", as_of=books.empty)["explained"]
    assert [it["amount"] for it in due["balance_due"]["parts"]] == ["-30.00", "100.00"]
    path = f"/api/customers/{books.client}/credits/balance/total"
    assert books.asked(path, as_of=books.empty)["explained"] == {}


def test_nothing_is_explained_unless_asked(books: Books) -> None:
    """The answers of those who do not ask stay as they were."""
    base = f"/api/customers/{books.client}"
    for path in (
        f"/api/invoices/{books.invoice}",
        f"/api/payments/invoice/{books.invoice}/total",
        f"{base}/credits/balance/total",
        f"{base}/receivables",
        f"/api/clients/{books.client}/analytics",
    ):
        assert "explained" not in books.office.get(path).text, path
        assert books.office.get(path, params={"explain": "maybe"}).status_code == 400


def test_what_is_left_of_credits_is_told_by_their_facts(books: Books) -> None:
    """Row 10."""
    it = books.asked(f"/api/customers/{books.client}/credits/balance/total")
    available = it["explained"]["available.USD"]
    assert available["value"] == it["by_currency"]["USD"]["available"] == "5.00"
    assert [part[:2] for part in told(available)] == [
        ("CreditIssued", "9.00"),
        ("CreditApplied", "-4.00"),
    ]
    assert it["explained"]["expiring_30d.USD"]["parts"] == []


def test_receivables_are_told_by_the_facts_that_are_open(books: Books) -> None:
    """Row 10: totals, buckets and DSO; of DSO the parts are its terms."""
    done = books.billed(50, ago(20), ago(10))
    books.paid(done, 50, ago(5))
    it = books.receivables()
    explained = it["explained"]
    assert told(explained["outstanding"]) == [
        ("InvoiceSent", "100.00", ago(60)),
        ("InvoicePaymentApplied", "-30.00", ago(40)),
        ("InvoiceCredited", "-4.00", str(TODAY)),
    ]
    assert explained["overdue"]["parts"] == explained["outstanding"]["parts"]
    assert explained["buckets.31-60"]["parts"] == explained["outstanding"]["parts"]
    assert explained["buckets.90+"]["parts"] == []
    assert told(explained["unapplied_credit"]) == [
        ("CreditIssued", "-9.00", str(TODAY)),
        ("CreditApplied", "4.00", str(TODAY)),
    ]
    terms = explained["dso.simple"]["terms"]
    assert {term["name"]: term["value"] for term in terms} == {
        "outstanding": "66.00",
        "dso.sales": "150.00",
        "dso.days": "90",
    }
    assert explained["dso.simple"]["value"] == it["dso"]["simple"] == "39.60"
    assert explained["avg_days_to_pay_90d"]["value"] == it["avg_days_to_pay_90d"]


def test_a_number_of_many_parts_still_adds_up(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 10: what is left off is counted and added up."""
    monkeypatch.setattr(zeroinvoice.domain.derivation, "MOST_PARTS", 2)
    for path in (
        f"/api/invoices/{books.invoice}",
        f"/api/payments/invoice/{books.invoice}/total",
    ):
        due = books.asked(path)["explained"]["balance_due"]
        assert (len(due["parts"]), due["parts_omitted"], due["sum_omitted"]) == (2, 1, "-4.00")
        assert adds_up(due)


def test_another_workspaces_numbers_are_not_explained(books: Books, house: Any) -> None:
    """R-CMD-4."""
    stranger = house.office()
    for path in (f"/api/invoices/{books.invoice}", f"/api/customers/{books.client}/receivables"):
        assert stranger.get(path, params={"explain": 1}).status_code == 404
