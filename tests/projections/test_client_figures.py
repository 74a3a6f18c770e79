"""What a client was invoiced, paid and owes: rule 8 of clients."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.money import Money

TODAY = date.today()  # noqa: DTZ011  # the house's clock is the real one, in UTC


def ago(days: int) -> str:
    return str(TODAY - timedelta(days))


@pytest.fixture
def client_id(office: Any) -> str:
    id: str = office.made("/api/clients", {"name": "Acme"})["id"]
    return id


def sent(office: Any, client_id: str, price: Any, issued: str, **more: Any) -> str:
    line = {"description": "Work", "unit_price": price}
    body = {"client_id": client_id, "line_items": [line], "issue_date": issued, **more}
    invoice = office.made("/api/invoices", body)
    moved(office, invoice["id"], "sent")
    id: str = invoice["id"]
    return id


def moved(office: Any, invoice_id: str, status: str) -> None:
    answer = office.patch(f"/api/invoices/{invoice_id}/status", json={"status": status})
    assert answer.status_code == 200, answer.text


def paid(office: Any, invoice_id: str, amount: str, received: str, currency: str = "USD") -> UUID:
    payment = new_id()

    def decision(desk: Any) -> None:
        invoice = desk.open(Invoice, UUID(invoice_id))
        money = Money(Decimal(amount), currency)
        desk.record(invoice, invoice.receive(payment, money, date.fromisoformat(received)))

    office.house.commit(office.tenant, decision, office.user)
    return payment


def taken_back(office: Any, invoice_id: str, payment: UUID) -> None:
    def decision(desk: Any) -> None:
        invoice = desk.open(Invoice, UUID(invoice_id))
        desk.record(invoice, invoice.give_back(payment))

    office.house.commit(office.tenant, decision, office.user)


def figures(office: Any, client_id: str, **params: Any) -> dict[str, Any]:
    answer = office.get(f"/api/clients/{client_id}/analytics", params=params)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_a_new_client_has_no_figures(office: Any, client_id: str) -> None:
    it = figures(office, client_id)
    assert (it["invoiced"], it["collected"], it["monthly"], it["dso"]) == ({}, {}, [], {})
    assert (it["invoice_count"], it["paid_on_time_pct"], it["avg_days_to_pay"]) == (0, None, None)
    assert (it["from"], it["to"]) == (None, str(TODAY))
    assert it["first_invoice_at"] is it["last_invoice_at"] is it["last_payment_at"] is None


def test_what_was_invoiced_is_collected_or_outstanding(office: Any, client_id: str) -> None:
    sent(office, client_id, 100, ago(100), due_date=ago(70))
    part = sent(office, client_id, 200, ago(40), due_date=ago(0))
    office.made("/api/invoices", {"client_id": client_id, "line_items": []})
    paid(office, part, "80", ago(30))
    it = figures(office, client_id)
    assert it["invoiced"] == {"USD": "300.00"}
    assert it["collected"] == it["lifetime_value"] == {"USD": "80.00"}
    assert it["outstanding"] == {"USD": "220.00"}
    assert it["overdue"] == {"USD": "100.00"}  # due today is not overdue
    assert it["credits_available"] == {"USD": "0.00"}
    assert (it["invoice_count"], it["paid_on_time_pct"]) == (2, None)
    assert it["avg_days_to_pay"] == "10.00"
    assert it["first_invoice_at"] < it["last_invoice_at"] < it["last_payment_at"]


def test_two_currencies_are_never_added(office: Any, client_id: str) -> None:
    """R-MON-12."""
    sent(office, client_id, 100, ago(10))
    yen = sent(office, client_id, 5000, ago(10), currency="JPY")
    paid(office, yen, "2000", ago(4), "JPY")
    it = figures(office, client_id)
    assert it["invoiced"] == {"JPY": "5000", "USD": "100.00"}
    assert it["outstanding"] == {"JPY": "3000", "USD": "100.00"}
    assert it["collected"] == {"JPY": "2000", "USD": "0.00"}
    only = figures(office, client_id, currency="JPY")
    assert (only["invoiced"], only["invoice_count"]) == ({"JPY": "5000"}, 1)


def test_a_period_bounds_what_happened_and_ends_what_was_owed(office: Any) -> None:
    client_id = office.made("/api/clients", {"name": "Acme"})["id"]
    early = sent(office, client_id, 100, "2026-01-20", due_date="2026-02-10")
    sent(office, client_id, 50, "2026-02-20", due_date="2026-03-10")
    paid(office, early, "100", "2026-03-05")
    february = figures(office, client_id, **{"from": "2026-02-01", "to": "2026-02-28"})
    assert february["invoiced"] == {"USD": "50.00"}
    assert february["collected"] == {"USD": "0.00"}
    assert february["outstanding"] == {"USD": "150.00"}
    assert february["overdue"] == {"USD": "100.00"}
    assert february["lifetime_value"] == {"USD": "100.00"}
    assert february["monthly"] == [
        {"month": "2026-02", "invoiced": {"USD": "50.00"}, "collected": {}}
    ]
    march = figures(office, client_id, **{"from": "2026-03-01", "to": "2026-03-31"})
    assert (march["collected"], march["outstanding"]) == ({"USD": "100.00"}, {"USD": "50.00"})
    assert [it["month"] for it in figures(office, client_id)["monthly"]] == [
        "2026-01",
        "2026-02",
        "2026-03",
    ]


def test_dso_is_what_is_owed_by_what_was_sold_in_the_days(office: Any, client_id: str) -> None:
    """Test vector T8: 50 000 owed, 120 000 sold in 90 days is 37.5."""
    first = sent(office, client_id, 70000, "2026-01-01")
    sent(office, client_id, 50000, "2026-03-31")
    paid(office, first, "70000", "2026-03-31")
    it = figures(office, client_id, **{"from": "2026-01-01", "to": "2026-03-31"})
    assert it["dso"] == {"USD": "37.50"}


def test_days_to_pay_weigh_by_amount_and_on_time_counts_invoices(
    office: Any, client_id: str
) -> None:
    early = sent(office, client_id, 300, ago(50), due_date=ago(20))
    late = sent(office, client_id, 100, ago(50), due_date=ago(20))
    third = sent(office, client_id, 100, ago(50), due_date=ago(20))
    paid(office, early, "300", ago(40))
    paid(office, late, "40", ago(40))
    paid(office, late, "60", ago(10))
    bounced = paid(office, third, "100", ago(45))
    it = figures(office, client_id)
    assert it["paid_on_time_pct"] == "66.67"
    assert it["avg_days_to_pay"] == "12.60"  # (300·10 + 40·10 + 60·40 + 100·5) / 500
    taken_back(office, third, bounced)
    it = figures(office, client_id)
    assert it["paid_on_time_pct"] == "50.00"
    assert it["avg_days_to_pay"] == "14.50"
    assert it["outstanding"] == {"USD": "100.00"}


def test_a_cancelled_invoice_counts_nowhere_and_a_bad_debt_is_not_owed(
    office: Any, client_id: str
) -> None:
    moved(office, sent(office, client_id, 100, ago(9)), "cancelled")
    lost = sent(office, client_id, 70, ago(9), due_date=ago(5))
    moved(office, lost, "written_off")
    it = figures(office, client_id)
    assert (it["invoiced"], it["outstanding"]) == ({"USD": "70.00"}, {"USD": "0.00"})
    assert (it["overdue"], it["invoice_count"]) == ({"USD": "0.00"}, 1)
    yesterday = figures(office, client_id, to=ago(1))
    assert yesterday["outstanding"] == {"USD": "170.00"}  # by then it was not cancelled yet
    moved(office, lost, "sent")
    assert figures(office, client_id)["overdue"] == {"USD": "70.00"}


def test_a_deposit_that_is_late_makes_the_balance_overdue(office: Any, client_id: str) -> None:
    deposit = {"type": "percent", "value": 30, "due_date": ago(3)}
    id = sent(office, client_id, 100, ago(9), due_date=str(TODAY), deposit=deposit)
    assert figures(office, client_id)["overdue"] == {"USD": "100.00"}
    paid(office, id, "30", ago(1))
    assert figures(office, client_id)["overdue"] == {"USD": "0.00"}


@pytest.mark.parametrize(
    "params",
    [
        {"from": "2026-02-01", "to": "2026-01-31"},
        {"from": "0001-01-01"},
        {"to": "9999-12-31"},
        {"to": "infinity"},
        {"as_of": "2026-02-30"},
        {"as_of": "2026-01-31", "to": "2026-02-01"},
        {"as_of": "2026-01-01T00:00:00"},
        {"as_of": "2099-01-01T00:00:00Z"},
        {"as_of": "2099-01-01"},
    ],
)
def test_figures_that_cannot_be_had_are_bad_input(
    office: Any, client_id: str, params: dict[str, str]
) -> None:
    """T36 and R-CMD-8."""
    answer = office.get(f"/api/clients/{client_id}/analytics", params=params)
    assert answer.status_code == 400, answer.text


def test_what_is_paid_back_lowers_what_was_collected_on_its_own_day(
    office: Any, client_id: str
) -> None:
    """A3-8: the month of the payment keeps what came in it."""
    invoice = sent(office, client_id, 100, "2026-01-20", due_date="2026-02-10")
    body = {"invoice_id": invoice, "amount": 100, "method": "cash", "received_on": "2026-02-05"}
    payment = office.made("/api/payments", body)["id"]
    back = {"amount": 30, "method": "cash", "refunded_on": "2026-03-02"}
    assert office.post(f"/api/payments/{payment}/refund", json=back).status_code == 200
    it = figures(office, client_id)
    assert it["collected"] == it["lifetime_value"] == {"USD": "70.00"}
    assert [month["collected"] for month in it["monthly"]] == [
        {},
        {"USD": "100.00"},
        {"USD": "-30.00"},
    ]
    february = figures(office, client_id, **{"from": "2026-02-01", "to": "2026-02-28"})
    assert (february["collected"], february["outstanding"]) == ({"USD": "100.00"}, {"USD": "0.00"})
    assert it["outstanding"] == {"USD": "30.00"}


def test_a_credit_note_lowers_the_sales_and_its_payout_what_was_collected(
    office: Any, client_id: str
) -> None:
    """A3-8 and A8-7: a credit is no money, what is paid out of one is."""
    invoice = sent(office, client_id, 100, ago(9), due_date=ago(0))
    body = {"invoice_id": invoice, "amount": 100, "method": "cash", "received_on": ago(4)}
    office.made("/api/payments", body)
    note = {"type": "credit_note", "invoice_id": invoice, "amount": 40}
    credit = office.made(f"/api/customers/{client_id}/credits", note)["id"]
    it = figures(office, client_id)
    assert (it["invoiced"], it["credit_notes"]) == ({"USD": "100.00"}, {"USD": "40.00"})
    assert (it["collected"], it["credits_available"]) == ({"USD": "100.00"}, {"USD": "40.00"})
    path = f"/api/customers/{client_id}/credits/{credit}/refund"
    assert office.post(path, json={"method": "cash", "amount": 15}).status_code == 200
    it = figures(office, client_id)
    assert (it["collected"], it["credits_available"]) == ({"USD": "85.00"}, {"USD": "25.00"})
    assert it["lifetime_value"] == {"USD": "85.00"}


def test_figures_of_a_day_know_nothing_of_a_later_one(office: Any, client_id: str) -> None:
    """A3-8: `as_of` as a day goes by effective dates."""
    invoice = sent(office, client_id, 100, "2026-01-20", due_date="2026-02-10")
    paid(office, invoice, "100", "2026-03-05")
    then = figures(office, client_id, as_of="2026-02-28")
    assert (then["to"], then["known_at"]) == ("2026-02-28", None)
    assert (then["collected"], then["lifetime_value"]) == ({"USD": "0.00"}, {"USD": "0.00"})
    assert (then["overdue"], then["paid_on_time_pct"]) == ({"USD": "100.00"}, None)
    assert then["last_payment_at"] is None
    assert figures(office, client_id, as_of="2026-03-05")["paid_on_time_pct"] == "0.00"
    early = figures(office, client_id, as_of="2026-01-19")
    assert (early["invoiced"], early["invoice_count"]) == ({}, 0)


def test_figures_of_an_instant_are_those_that_were_known_then(office: Any, client_id: str) -> None:
    """R-CMD-8."""
    invoice = sent(office, client_id, 100, ago(9), due_date=ago(5))
    wrong = paid(office, invoice, "60", ago(3))
    then, seen = datetime.now(UTC).isoformat(), figures(office, client_id)
    taken_back(office, invoice, wrong)
    assert figures(office, client_id)["collected"] == {"USD": "0.00"}
    past = figures(office, client_id, as_of=then)
    assert datetime.fromisoformat(past.pop("known_at")) == datetime.fromisoformat(then)
    assert past == {name: it for name, it in seen.items() if name != "known_at"}
