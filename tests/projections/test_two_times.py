"""The two times of a report: the business day it is for, and the instant of what was known."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

TODAY = datetime.now(UTC).date()


def ago(days: int) -> str:
    return str(TODAY - timedelta(days))


def now() -> str:
    return datetime.now(UTC).isoformat()


class Office:
    """A client that owes for one invoice; their payment is recorded late."""

    def __init__(self, office: Any) -> None:
        self.office = office
        self.client = office.made("/api/clients", {"name": "Acme"})["id"]
        line = {"description": "Work", "unit_price": 100}
        body = {"client_id": self.client, "line_items": [line], "issue_date": ago(60)}
        self.invoice = office.made("/api/invoices", {**body, "due_date": ago(50)})["id"]
        sent = office.patch(f"/api/invoices/{self.invoice}/status", json={"status": "sent"})
        assert sent.status_code == 200, sent.text
        self.then = now()
        paid = {"invoice_id": self.invoice, "amount": 30, "method": "cash", "fee_amount": "0.50"}
        self.payment = office.made("/api/payments", {**paid, "received_on": ago(20)})["id"]
        self.receivables = f"/api/customers/{self.client}/receivables"
        self.analytics = f"/api/clients/{self.client}/analytics"
        self.summary = "/api/payments/summary"

    def asked(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.office.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def refused(self, path: str, **query: Any) -> str:
        answer = self.office.get(path, params=query)
        assert answer.status_code == 400, answer.text
        return answer.json()["code"]  # type: ignore[no-any-return]


@pytest.fixture
def late(office: Any) -> Office:
    return Office(office)


def test_back_dating_a_payment_makes_two_reports_differ_by_just_that(late: Office) -> None:
    """Row 2: as it is now known for a day, and as we knew it then."""
    day = ago(10)
    known, knew = (
        late.asked(late.receivables, date=day, explain=1, **more)["by_currency"]["USD"]
        for more in ({}, {"as_of": late.then})
    )
    assert Decimal(knew["outstanding"]) - Decimal(known["outstanding"]) == Decimal(30)
    assert Decimal(knew["overdue"]) - Decimal(known["overdue"]) == Decimal(30)
    parts, before = (it["explained"]["outstanding"]["parts"] for it in (known, knew))
    assert [part for part in before if part not in parts] == []
    (added,) = [part for part in parts if part not in before]
    assert (added["amount"], added["day"]) == ("-30.00", ago(20))
    assert added["action"] == "InvoicePaymentApplied"
    early = [late.asked(late.receivables, date=ago(21), **it) for it in ({}, {"as_of": late.then})]
    assert early[0]["by_currency"] == early[1]["by_currency"]  # it was not paid by then anyhow


def test_a_clients_figures_tell_the_two_times_apart(late: Office) -> None:
    """Row 2 and A3-8."""
    day = ago(10)
    known = late.asked(late.analytics, date=day)
    knew = late.asked(late.analytics, date=day, as_of=late.then)
    assert (known["outstanding"], knew["outstanding"]) == ({"USD": "70.00"}, {"USD": "100.00"})
    assert (known["collected"], knew["collected"]) == ({"USD": "30.00"}, {"USD": "0.00"})
    assert (known["date"], known["to"], known["known_at"]) == (day, day, None)
    assert (knew["date"], knew["to"]) == (day, day)
    assert late.asked(late.analytics, date=ago(21))["collected"] == {"USD": "0.00"}


def test_a_summary_tells_the_two_times_apart(late: Office) -> None:
    """Row 2 and A10-10: `from` and `to` are business days, `as_of` is what was known."""
    days = {"from": ago(25), "to": ago(15)}
    known, knew = (
        late.asked(late.summary, **days),
        late.asked(late.summary, **days, as_of=late.then),
    )
    assert (known["currencies"]["USD"]["received"], knew["currencies"]) == ("30.00", {})
    assert late.asked(late.summary, to=ago(21))["currencies"] == {}


def test_a_report_states_both_times_and_its_position(late: Office) -> None:
    """Row 2: seq by seq, an answer is of the facts up to its position."""
    last = late.office.facts(late.invoice)
    head = max(fact.position for fact in late.office.facts(late.payment))
    for path in (late.receivables, late.analytics, late.summary):
        it = late.asked(path)
        assert it["known_at"] is None
        assert it["position"] >= head
        at = datetime.fromisoformat(late.then)
        then = late.asked(path, as_of=late.then)
        assert datetime.fromisoformat(then["known_at"]) == at
        known = [fact.position for fact in last if fact.at <= at]
        assert max(known) <= then["position"] < min(f.position for f in last if f.at > at)
    it = late.asked(late.receivables, date=ago(10), as_of=late.then)
    assert it["as_of"] == ago(10)


def test_days_that_cannot_be_are_bad_input(late: Office) -> None:
    """R-CMD-8: no day after what is known, none twice, none of another age."""
    for path in (late.receivables, late.analytics):
        assert late.refused(path, date=ago(-1)) == "date_in_future"
        assert late.refused(path, date=ago(1), as_of=ago(1)) == "bad_input"
        assert late.refused(path, date="1066-10-14") == "bad_input"
        assert late.refused(path, date="soon") == "bad_input"
    assert late.refused(late.analytics, date=ago(5), to=ago(4)) == "bad_input"
    assert late.refused(late.receivables, date=ago(0), as_of="2020-01-01") == "bad_input"


def test_a_summary_of_an_instant_is_what_was_answered_then(late: Office) -> None:
    """R-CMD-8: corrected, refunded, voided or not; by client as clients stood then."""
    office, asked = late.office, {"group_by": "client"}
    other = office.made("/api/clients", {"name": "Beta"})["id"]
    loose = office.made(
        "/api/payments", {"client_id": other, "amount": 7, "method": "cash", "received_on": ago(3)}
    )["id"]
    seen: list[tuple[str, dict[str, Any]]] = []

    def answered() -> None:
        seen.append((now(), late.asked(late.summary, **asked)))

    answered()
    changes: list[Any] = [
        lambda: office.put(f"/api/payments/{loose}", json={"method": "card", "fee_amount": "0.2"}),
        lambda: office.post(f"/api/payments/{late.payment}/refund",
                            json={"amount": 5, "method": "cash", "refunded_on": ago(1)}),
        lambda: office.post("/api/clients/merge",
                            json={"primary_id": other, "duplicate_ids": [late.client]}),
        lambda: office.put(f"/api/clients/{other}", json={"name": "Gamma"}),
        lambda: office.delete(f"/api/payments/{loose}"),
    ]  # fmt: skip
    for change in changes:
        answer = change()
        assert answer.status_code in (200, 201, 204), answer.text
        answered()
    assert len({str(body["groups"]) for _, body in seen}) == len(seen)
    assert [len(body["groups"]) for _, body in seen] == [2, 2, 2, 1, 1, 1]
    for then, body in seen:
        found = late.asked(late.summary, **asked, as_of=then)
        assert {**found, "known_at": None} == body, then
