"""Credits as lists, balances, summaries and figures show them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest


class Desk:
    """An office with a client who has credits."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.client = self.new_client()

    def new_client(self) -> str:
        client = self.office.made("/api/clients", {"name": "Acme"})["id"]
        settings = {"allow_overpayment": True}
        path = f"/api/clients/{client}/payment-settings"
        assert self.office.patch(path, json=settings).status_code == 200
        return str(client)

    @property
    def base(self) -> str:
        return f"/api/customers/{self.client}/credits"

    def credit(self, amount: str, **more: Any) -> dict[str, Any]:
        body = {"type": "goodwill", "amount": amount, **more}
        return self.office.made(self.base, body)  # type: ignore[no-any-return]

    def invoice(self, price: str = "100", **more: Any) -> dict[str, Any]:
        line = {"description": "Work", "unit_price": price}
        body = {"client_id": self.client, "line_items": [line], **more}
        made = self.office.made("/api/invoices", body)
        path = f"/api/invoices/{made['id']}/status"
        return self.office.patch(path, json={"status": "sent"}).json()  # type: ignore[no-any-return]

    def do(self, credit: str, verb: str, **body: Any) -> dict[str, Any]:
        answer = self.office.post(f"{self.base}/{credit}/{verb}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def paid(self, **body: Any) -> dict[str, Any]:
        asked = {"method": "cash", "confirm_duplicate": True, **body}
        return self.office.made("/api/payments", asked)  # type: ignore[no-any-return]

    def refund(self, payment: str, **body: Any) -> None:
        path = f"/api/payments/{payment}/refund"
        answer = self.office.post(path, json={"method": "cash", **body})
        assert answer.status_code == 200, answer.text

    def asked(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.office.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def listed(self, **query: Any) -> list[str]:
        return [it["id"] for it in self.asked(self.base, **query)["items"]]

    def figures(self, **query: Any) -> dict[str, Any]:
        return self.asked(f"/api/clients/{self.client}/analytics", **query)


def ahead(days: int) -> str:
    return str((datetime.now(UTC) + timedelta(days)).date())


@pytest.fixture
def desk(office: Any) -> Desk:
    return Desk(office)


def test_a_list_shows_a_credit_as_it_is_seen_alone(desk: Desk) -> None:
    """Through all that may happen to it."""
    credit = desk.credit("100", note="Sorry", expires_on=ahead(9))
    invoice = desk.invoice()

    def same() -> None:
        alone = desk.asked(f"{desk.base}/{credit['id']}")
        (item,) = desk.asked(desk.base, include_deleted=True)["items"]
        assert item.keys() < alone.keys()
        assert item == {name: alone[name] for name in item}

    same()
    part = desk.do(credit["id"], "apply", invoice_id=invoice["id"], amount="60")
    same()
    desk.do(credit["id"], "refund", method="cash", amount="40")
    same()
    application = part["applications"][0]["application_id"]
    desk.do(credit["id"], "unapply", application_id=application)
    same()
    other = desk.credit("5")
    desk.do(other["id"], "void")
    assert desk.listed() == [credit["id"]]
    assert desk.listed(status="void") == [other["id"]]
    assert desk.listed(include_deleted=True) == [other["id"], credit["id"]]


def test_lists_are_filtered(desk: Desk) -> None:
    """R-CMD-7."""
    gift = desk.credit("10", note="for the delay")["id"]
    euro = desk.credit("20", currency="EUR", type="prepayment")["id"]
    invoice = desk.invoice()
    note = desk.office.made(desk.base, {"type": "credit_note", "invoice_id": invoice["id"]})
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({}, [note["id"], euro, gift]),
        ({"type": "goodwill"}, [gift]),
        ({"type": ["goodwill", "credit_note"]}, [note["id"], gift]),
        ({"currency": "EUR"}, [euro]),
        ({"status": "issued"}, [euro, gift]),
        ({"status": ["applied", "void"]}, [note["id"]]),
        ({"q": "delay"}, [gift]),
        ({"q": note["number"].lower()}, [note["id"]]),
        ({"sort": "amount"}, [gift, euro, note["id"]]),
        ({"updated_since": "2020-01-01T00:00:00Z", "limit": 1}, [note["id"]]),
        ({"created_to": "2020-01-01T00:00:00Z"}, []),
    ]
    for query, expected in cases:
        assert desk.listed(**query) == expected, query
    for wrong in ({"status": "open"}, {"type": "gift"}, {"sort": "note"}, {"limit": 0}):
        assert desk.office.get(desk.base, params=wrong).status_code == 400


def test_a_balance_is_told_by_currency(desk: Desk) -> None:
    """A7-9: static, and never taken for a credit's id."""
    path = f"{desk.base}/balance/total"
    assert desk.asked(path)["by_currency"] == {}
    desk.credit("10", expires_on=ahead(30))
    desk.credit("5", expires_on=ahead(31))
    desk.credit("7")
    desk.credit("9", currency="JPY")
    used = desk.credit("3")
    desk.do(used["id"], "void")
    balance = desk.asked(path)
    assert balance["by_currency"] == {
        "JPY": {"available": "9", "pending_refund": "0", "expiring_30d": "0"},
        "USD": {"available": "22.00", "pending_refund": "0.00", "expiring_30d": "10.00"},
    }
    assert balance["as_of"] <= datetime.now(UTC).isoformat()
    assert desk.asked(path + "/")["by_currency"] == balance["by_currency"]


def test_a_credit_and_a_balance_are_shown_as_they_were(desk: Desk) -> None:
    """R-CMD-8."""
    before = datetime.now(UTC).isoformat()
    credit = desk.credit("10")
    then = datetime.now(UTC).isoformat()
    desk.do(credit["id"], "refund", method="cash", amount="4")
    path, balance = f"{desk.base}/{credit['id']}", f"{desk.base}/balance/total"
    assert desk.asked(path, as_of=then) == credit
    assert desk.asked(path)["remaining"] == "6.00"
    assert desk.office.get(path, params={"as_of": before}).status_code == 404
    assert desk.asked(balance, as_of=then)["by_currency"]["USD"]["available"] == "10.00"
    assert desk.asked(balance, as_of=before)["by_currency"] == {}
    assert desk.asked(balance)["by_currency"]["USD"]["available"] == "6.00"


def test_what_is_not_there_is_missing(desk: Desk) -> None:
    assert desk.office.get(f"{desk.base}/{uuid4()}").status_code == 404
    assert desk.office.get(f"{desk.base}/balance").status_code == 404
    assert desk.office.get(f"/api/customers/{uuid4()}/credits").status_code == 404
    credit = desk.credit("1")["id"]
    other = desk.new_client()
    assert desk.office.get(f"/api/customers/{other}/credits/{credit}").status_code == 404


def test_an_invoice_in_a_list_is_settled_by_credits(desk: Desk) -> None:
    """A4-2."""
    invoice = desk.invoice()
    credit = desk.credit("100")
    path = f"/api/invoices/{invoice['id']}"

    def same(status: str) -> None:
        alone = desk.asked(path)
        (item,) = desk.asked("/api/invoices")["items"]
        assert item["status"] == status
        names = item.keys() & alone.keys()
        assert {"amount_credited", "balance_due", "paid_at", "version"} <= names
        assert {it: item[it] for it in names} == {it: alone[it] for it in names}

    part = desk.do(credit["id"], "apply", invoice_id=invoice["id"])["applications"][0]
    same("paid")
    desk.do(credit["id"], "unapply", application_id=part["application_id"])
    same("sent")
    desk.office.made(desk.base, {"type": "credit_note", "invoice_id": invoice["id"]})
    same("paid")
    payment = desk.paid(invoice_id=invoice["id"], amount="5")
    same("paid")
    desk.refund(payment["id"])
    same("paid")


def test_payments_in_a_list_tell_what_was_paid_back(desk: Desk) -> None:
    """A10-3."""
    invoice = desk.invoice()
    payment = desk.paid(invoice_id=invoice["id"], amount="130")

    def same() -> dict[str, Any]:
        alone = desk.asked(f"/api/payments/{payment['id']}")
        (item,) = desk.asked("/api/payments")["items"]
        names = item.keys() & alone.keys()
        assert {it: item[it] for it in names} == {it: alone[it] for it in names}
        return item

    assert same()["amount_overpaid"] == "30.00"
    desk.refund(payment["id"], amount="50")
    assert (same()["status"], same()["applied"]) == ("partially_refunded", "80.00")
    assert desk.asked("/api/payments", status="partially_refunded")["items"] == [same()]
    desk.refund(payment["id"])
    assert (same()["status"], same()["refunded"]) == ("refunded", "130.00")


def test_the_summary_tells_refunds_by_their_day(desk: Desk) -> None:
    """A10-10: net is received less refunded and fees; a refund counts once."""
    payment = desk.paid(
        client_id=desk.client, amount="100", received_on="2026-01-10", fee_amount="2"
    )
    desk.refund(payment["id"], amount="30", refunded_on="2026-01-20")
    desk.refund(payment["id"], amount="20", refunded_on="2026-02-05")
    over = desk.paid(invoice_id=desk.invoice()["id"], amount="110", received_on="2026-01-10")
    desk.do(over["credit_id"], "refund", method="bank", refunded_on="2026-01-21")
    usd = desk.asked("/api/payments/summary")["currencies"]["USD"]
    assert (usd["received"], usd["refunded"], usd["net"]) == ("210.00", "60.00", "148.00")
    months = desk.asked("/api/payments/summary", group_by="month")["groups"]
    told = [(it["key"], it["currencies"]["USD"]) for it in months]
    assert [(key, it["refunded"], it["net"], it["count"]) for key, it in told] == [
        ("2026-01-01", "40.00", "168.00", 2),
        ("2026-02-01", "20.00", "-20.00", 0),
    ]
    february = desk.asked("/api/payments/summary", **{"from": "2026-02-01", "to": "2026-02-28"})
    assert february["currencies"]["USD"]["refunded"] == "20.00"
    for group in ("method", "client"):
        (one,) = desk.asked("/api/payments/summary", group_by=group)["groups"]
        assert one["currencies"]["USD"]["refunded"] == "60.00"


def test_figures_tell_what_credits_settle_and_what_is_left_of_them(desk: Desk) -> None:
    """Rule 8 of clients: what a gift settles is owed no more, and was never collected."""
    invoice = desk.invoice("200", due_date=ahead(0))
    gift = desk.credit("80")
    prepaid = desk.credit("50", type="prepayment")
    desk.credit("30", expires_on=ahead(1))
    desk.do(gift["id"], "apply", invoice_id=invoice["id"], amount="60")
    part = desk.do(prepaid["id"], "apply", invoice_id=invoice["id"])["applications"][0]
    payment = desk.paid(invoice_id=invoice["id"], amount="40", received_on=ahead(-5))
    it = desk.figures()
    assert it["outstanding"] == {"USD": "50.00"}
    assert it["collected"] == it["lifetime_value"] == {"USD": "90.00"}
    assert it["credits_available"] == {"USD": "50.00"}
    months = [Decimal(month["collected"].get("USD", 0)) for month in it["monthly"]]
    assert sum(months) == 90
    desk.refund(payment["id"], amount="15")
    desk.do(prepaid["id"], "unapply", application_id=part["application_id"])
    it = desk.figures()
    assert (it["outstanding"], it["collected"]) == ({"USD": "115.00"}, {"USD": "25.00"})
    assert it["credits_available"] == {"USD": "100.00"}
    assert desk.figures(to=ahead(-1))["credits_available"] == {"USD": "0.00"}
    assert desk.figures(to=ahead(2))["credits_available"] == {"USD": "70.00"}
    desk.refund(payment["id"], amount="5", refunded_on=ahead(-3))
    before = desk.figures(to=ahead(-2))
    assert (before["outstanding"], before["collected"]) == ({"USD": "0.00"}, {"USD": "35.00"})
    assert desk.figures()["collected"] == {"USD": "20.00"}
    assert desk.figures(currency="EUR")["credits_available"] == {}


def test_an_invoice_is_on_time_when_a_credit_settles_it(desk: Desk) -> None:
    """Rule 8 of clients."""
    invoice = desk.invoice()
    desk.office.made(desk.base, {"type": "credit_note", "invoice_id": invoice["id"]})
    it = desk.figures()
    assert (it["paid_on_time_pct"], it["avg_days_to_pay"]) == ("100.00", None)
    assert (it["collected"], it["outstanding"]) == ({"USD": "0.00"}, {"USD": "0.00"})
