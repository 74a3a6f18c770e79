"""Receivables over HTTP, rule by rule (A8)."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

from projections.client_ledger import projector
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.readside.projector import rebuild

TODAY = datetime.now(UTC).date()


def ago(days: int) -> str:
    return str(TODAY - timedelta(days))


class Till:
    """An office and one client of it who owes money."""

    def __init__(self, office: Any, **profile: Any) -> None:
        self.office = office
        self.client: str = office.made("/api/clients", {"name": "Acme", **profile})["id"]
        self.settings(allow_overpayment=True)

    @property
    def path(self) -> str:
        return f"/api/customers/{self.client}/receivables"

    def settings(self, **settings: Any) -> None:
        path = f"/api/clients/{self.client}/payment-settings"
        answer = self.office.patch(path, json=settings)
        assert answer.status_code == 200, answer.text

    def draft(self, price: Any, issued: str, due: str, **more: Any) -> str:
        line = {"description": "Work", "unit_price": price}
        body = {"client_id": self.client, "line_items": [line], "issue_date": issued}
        made = self.office.made("/api/invoices", {**body, "due_date": due, **more})
        return str(made["id"])

    def bill(self, price: Any, issued: str, due: str, **more: Any) -> str:
        id = self.draft(price, issued, due, **more)
        self.move(id, "sent")
        return id

    def move(self, invoice_id: str, status: str) -> None:
        answer = self.office.patch(f"/api/invoices/{invoice_id}/status", json={"status": status})
        assert answer.status_code == 200, answer.text

    def pay(self, amount: Any, on: str, **more: Any) -> str:
        body = {"amount": amount, "method": "cash", "received_on": on, "confirm_duplicate": True}
        return str(self.office.made("/api/payments", {**body, **more})["id"])

    def refund(self, payment_id: str, amount: Any, on: str) -> None:
        body = {"amount": amount, "method": "cash", "refunded_on": on}
        answer = self.office.post(f"/api/payments/{payment_id}/refund", json=body)
        assert answer.status_code == 200, answer.text

    def credit(self, **body: Any) -> str:
        path = f"/api/customers/{self.client}/credits"
        return str(self.office.made(path, {"type": "goodwill", **body})["id"])

    def do(self, credit: str, verb: str, **body: Any) -> dict[str, Any]:
        path = f"/api/customers/{self.client}/credits/{credit}/{verb}"
        answer = self.office.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def asked(self, **query: Any) -> dict[str, Any]:
        answer = self.office.get(self.path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def dollars(self, **query: Any) -> dict[str, Any]:
        return self.asked(**query)["by_currency"]["USD"]  # type: ignore[no-any-return]

    def outstanding(self, on: str) -> str:
        return self.dollars(as_of=on)["outstanding"]  # type: ignore[no-any-return]


@pytest.fixture
def till(office: Any) -> Till:
    return Till(office)


def in_buckets(it: dict[str, Any]) -> dict[str, str]:
    return {part["bucket"]: part["amount"] for part in it["buckets"]}


def test_a_client_without_business_owes_nothing(till: Till) -> None:
    it = till.asked()
    assert (it["by_currency"], it["as_of"], it["basis"]) == ({}, str(TODAY), "due_date")
    assert (it["credit_limit"], it["risk_flag"], it["known_at"]) == (None, "none", None)


def test_every_open_amount_is_in_one_bucket(till: Till) -> None:
    """A8-2, test vector T9; D9: due today is not past due."""
    days = ["2026-07-01", "2026-06-30", "2026-06-29", "2026-05-31", "2026-05-30", "2026-05-01",
            "2026-04-30", "2026-04-01", "2026-03-31"]  # fmt: skip
    for place, due in enumerate(days):
        till.bill(2**place, "2026-01-15", due)
    it = till.dollars(as_of="2026-06-30")
    assert in_buckets(it) == {
        "current": "3.00",
        "1-30": "12.00",
        "31-60": "48.00",
        "61-90": "192.00",
        "90+": "256.00",
    }
    assert (it["outstanding"], it["overdue"], it["oldest_days"]) == ("511.00", "508.00", 91)
    assert [row["due_date"] for row in it["invoices"]] == sorted(days)
    assert [row["days"] for row in it["invoices"]] == [91, 90, 61, 60, 31, 30, 1, 0, -1]
    assert it["next_due"] == {"due_date": "2026-06-30", "amount": "2.00"}


def test_the_basis_and_the_buckets_may_be_chosen(till: Till) -> None:
    """A8-1."""
    till.bill(10, ago(20), ago(5))
    it = till.dollars(basis="issue_date", buckets="7,14")
    assert in_buckets(it) == {"current": "0.00", "1-7": "0.00", "8-14": "0.00", "14+": "10.00"}
    assert (it["overdue"], it["oldest_days"], it["invoices"][0]["days"]) == ("10.00", 20, 20)
    assert in_buckets(till.dollars(buckets="7,14"))["1-7"] == "10.00"


def test_a_payment_counts_from_the_day_it_was_received(till: Till) -> None:
    """A8-3 and A8-8: an invoice that was paid later is open until then."""
    invoice = till.bill(100, ago(60), ago(30))
    payment = till.pay(100, ago(10), invoice_id=invoice)
    till.refund(payment, 30, ago(4))
    days = (61, 60, 11, 10, 5, 4, 0)
    seen = [till.asked(as_of=ago(day))["by_currency"].get("USD", {}) for day in days]
    assert [it.get("outstanding") for it in seen] == [
        None, "100.00", "100.00", "0.00", "0.00", "30.00", "30.00",
    ]  # fmt: skip
    assert seen[3]["last_payment"] == {
        "payment_id": payment,
        "received_on": ago(10),
        "amount": "100.00",
    }
    assert seen[2]["last_payment"] is None
    assert seen[-1]["avg_days_to_pay_90d"] == "50.00"


def test_a_payment_that_never_was_counts_on_no_day(till: Till) -> None:
    """A void, and a correction, is known now: the days before it are told anew."""
    invoice = till.bill(100, ago(30), ago(20))
    wrong = till.pay(100, ago(15), invoice_id=invoice)
    assert till.office.delete(f"/api/payments/{wrong}").status_code == 200
    assert till.outstanding(ago(12)) == "100.00"
    right = till.pay(60, ago(15), invoice_id=invoice)
    answer = till.office.put(f"/api/payments/{right}", json={"received_on": ago(9), "amount": 70})
    assert answer.status_code == 200, answer.text
    assert [till.outstanding(ago(day)) for day in (10, 9)] == ["100.00", "30.00"]


def test_what_settles_nothing_yet_stands_beside(till: Till) -> None:
    """A8-3: unapplied payments and open credits are never netted into the buckets."""
    till.bill(100, ago(9), ago(2))
    loose = till.pay(40, ago(6), client_id=till.client)
    till.credit(amount=25)
    it = till.dollars()
    assert it["outstanding"] == in_buckets(it)["1-30"] == "100.00"
    assert (it["unapplied_payments"], it["unapplied_credit"]) == ("-40.00", "-25.00")
    assert (it["unapplied"], it["net_receivable"]) == ("-65.00", "35.00")
    assert till.dollars(as_of=ago(6))["unapplied"] == "-40.00"
    assert till.dollars(as_of=ago(7))["unapplied"] == "0.00"
    till.refund(loose, 10, ago(3))
    assert [till.dollars(as_of=ago(day))["unapplied"] for day in (4, 3)] == ["-40.00", "-30.00"]
    answer = till.office.put(f"/api/payments/{loose}", json={"note": "seen"})
    assert answer.status_code == 200, answer.text
    assert till.dollars(as_of=ago(3))["unapplied"] == "-30.00"


def test_a_payment_that_settles_nothing_may_be_given_another_day(till: Till) -> None:
    loose = till.pay(40, ago(6), client_id=till.client)
    path = f"/api/payments/{loose}"
    assert till.office.put(path, json={"received_on": ago(3)}).status_code == 200
    assert till.asked(as_of=ago(4))["by_currency"] == {}
    assert till.dollars(as_of=ago(3))["unapplied"] == "-40.00"
    assert till.dollars()["last_payment"]["received_on"] == ago(3)


def test_a_payment_before_the_invoice_is_unapplied_until_then(till: Till) -> None:
    """A8-3."""
    invoice = till.bill(100, ago(5), ago(1))
    till.pay(100, ago(8), invoice_id=invoice)
    seen = [till.dollars(as_of=ago(day)) for day in (6, 5)]
    assert [it["outstanding"] for it in seen] == ["0.00", "0.00"]
    assert [it["unapplied_payments"] for it in seen] == ["-100.00", "0.00"]


def test_an_overpayment_becomes_a_credit_and_is_counted_once(till: Till) -> None:
    """A8-3."""
    invoice = till.bill(100, ago(9), ago(1))
    payment = till.pay(130, ago(4), invoice_id=invoice)
    seen = [till.dollars(as_of=ago(day)) for day in (5, 4, 0)]
    assert [it["net_receivable"] for it in seen] == ["100.00", "-30.00", "-30.00"]
    assert [it["unapplied_payments"] for it in seen] == ["0.00", "-30.00", "0.00"]
    assert seen[2]["unapplied_credit"] == "-30.00"
    till.refund(payment, 50, ago(0))  # the credit first, then of the invoice
    it = till.dollars()
    assert (it["unapplied"], it["outstanding"]) == ("0.00", "20.00")


def test_a_credit_counts_from_the_day_it_is_applied(till: Till) -> None:
    """A8-3: and not at all where the application is taken back."""
    till.bill(10, ago(9), ago(9))
    invoice, credit = till.bill(100, ago(0), ago(0)), till.credit(amount=60)
    part = till.do(credit, "apply", invoice_id=invoice, amount=40)["applications"][0]
    assert (till.dollars()["outstanding"], till.dollars()["unapplied"]) == ("70.00", "-20.00")
    assert till.outstanding(ago(1)) == "10.00"
    till.do(credit, "refund", method="cash", amount=5)
    assert till.dollars()["unapplied_credit"] == "-15.00"
    till.do(credit, "unapply", application_id=part["application_id"])
    assert (till.dollars()["outstanding"], till.dollars()["unapplied"]) == ("110.00", "-55.00")
    gone = till.credit(amount=7)
    till.do(gone, "void")
    assert till.dollars()["unapplied"] == "-55.00"


def test_instalments_age_separately(till: Till) -> None:
    """A8-3."""
    deposit = {"type": "percent", "value": 30, "due_date": ago(40)}
    till.bill(100, ago(50), ago(0), deposit=deposit)
    it = till.dollars()
    assert (in_buckets(it)["31-60"], in_buckets(it)["current"]) == ("30.00", "70.00")
    assert [row["part"] for row in it["invoices"]] == ["deposit", "balance"]
    assert (it["outstanding"], it["overdue"]) == ("100.00", "30.00")


def test_what_is_not_owed_is_shown_apart(till: Till) -> None:
    """A8-3 and A8-7: by the day on which that happened, in the workspace's zone."""
    till.draft(5, ago(0), ago(0))
    gone, lost = till.bill(20, ago(9), ago(3)), till.bill(100, ago(9), ago(3))
    till.pay(30, ago(6), invoice_id=lost)
    till.move(gone, "cancelled")
    till.move(lost, "written_off")
    it = till.dollars()
    assert it["apart"] == {"drafts": "5.00", "cancelled": "20.00", "written_off": "70.00"}
    assert (it["outstanding"], it["dso"]["sales"]) == ("0.00", "100.00")
    before = till.dollars(as_of=ago(1))
    assert (before["outstanding"], before["dso"]["sales"]) == ("90.00", "120.00")
    assert before["apart"] == {"drafts": "0.00", "cancelled": "0.00", "written_off": "0.00"}
    till.move(lost, "sent")
    assert till.dollars()["outstanding"] == "70.00"


def test_currencies_stand_side_by_side(till: Till) -> None:
    """A8-4 and R-MON-12."""
    till.bill(10, ago(9), ago(3))
    till.bill(5000, ago(9), ago(3), currency="JPY")
    it = till.asked()["by_currency"]
    assert {code: each["outstanding"] for code, each in it.items()} == {
        "JPY": "5000",
        "USD": "10.00",
    }
    assert list(till.asked(currency="JPY")["by_currency"]) == ["JPY"]
    assert till.asked(currency="CHF")["by_currency"] == {}


def test_dso_is_given_simple_and_counted_back(till: Till) -> None:
    """A8-6, test vector T8: 66.17 days back, and 100 000 of 150 000 sold in 92 days."""
    till.bill(60_000, "2025-07-10", "2025-08-10")
    till.bill(40_000, "2025-08-10", "2025-09-10")
    part = till.bill(50_000, "2025-09-10", "2025-10-10")
    till.pay(50_000, "2025-09-30", invoice_id=part)
    it = till.dollars(as_of="2025-09-30")
    assert it["outstanding"] == "100000.00"
    assert it["dso"] == {
        "days": 90,
        "sales": "150000.00",
        "simple": "60.00",
        "countback": "66.17",
        "best_possible": "0.00",
        "average_days_delinquent": "60.00",
    }


def test_without_sales_there_is_no_dso(till: Till) -> None:
    """A8-6: null, never zero or infinite."""
    till.bill(10, ago(200), ago(170))
    it = till.dollars()["dso"]
    assert (it["sales"], it["simple"], it["best_possible"]) == ("0.00", None, None)
    assert it["average_days_delinquent"] is None
    assert it["countback"] is not None  # it walks back to the sale that is owed


def test_credit_notes_lower_the_sales_of_their_day(till: Till) -> None:
    """A8-7."""
    invoice = till.bill(100, ago(20), ago(0))
    till.credit(type="credit_note", invoice_id=invoice, amount=40)
    it = till.dollars()
    assert (it["outstanding"], it["dso"]["sales"]) == ("60.00", "60.00")
    assert it["unapplied"] == "0.00"
    before = till.dollars(as_of=ago(1))
    assert (before["outstanding"], before["dso"]["sales"]) == ("100.00", "100.00")


def test_the_trend_shows_twelve_months_as_they_ended(till: Till) -> None:
    """A8-5 and A8-8."""
    first = till.bill(100, "2026-01-15", "2026-02-14")
    till.bill(50, "2026-03-10", "2026-04-09")
    till.pay(80, "2026-03-05", invoice_id=first)
    it = till.dollars(as_of="2026-03-20")["trend"]
    assert [row["month"] for row in it][::11] == ["2025-04", "2026-03"]
    assert [list(row.values())[1:] for row in it[-4:]] == [
        ["0.00", "0.00", "0.00", "0.00"],
        ["100.00", "0.00", "100.00", "0.00"],
        ["100.00", "100.00", "0.00", "0.00"],
        ["70.00", "20.00", "50.00", "80.00"],
    ]


def test_promises_and_risk_are_told(till: Till) -> None:
    """A8-5."""
    till.settings(credit_limit="150.00")
    till.bill(100, ago(9), ago(-5), expected_payment_date=ago(-7))
    it = till.asked()
    assert (it["risk_flag"], it["credit_limit"]) == (
        "none",
        {"amount": "150.00", "currency": "USD"},
    )
    (promise,) = it["by_currency"]["USD"]["promise_dates"]
    assert (promise["promised_on"], promise["balance"]) == (ago(-7), "100.00")
    till.bill(40, ago(9), ago(1))
    assert till.asked()["risk_flag"] == "overdue"
    assert till.asked(as_of=ago(1))["risk_flag"] == "none"
    till.settings(credit_limit="120.00")
    assert till.asked()["risk_flag"] == "high"
    till.settings(credit_limit=None)
    till.bill(1, ago(200), ago(91))
    assert till.asked()["risk_flag"] == "high"


def test_the_day_is_that_of_the_workspaces_zone(house: Any) -> None:
    """R-DAT-2: the same moment is two days in two offices."""
    seen = set()
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):  # a day and an hour apart
        office = house.office(time_zone=zone)
        seen.add(date.fromisoformat(Till(office).asked()["as_of"]))
        office.http.close()
    assert len(seen) == 2


def test_an_instant_tells_what_was_known_then(till: Till) -> None:
    """R-CMD-8 beside A8-1: the day forgets what was wrong, the instant does not."""
    invoice = till.bill(100, ago(30), ago(20))
    empty = till.dollars()
    payment = till.pay(100, ago(15), invoice_id=invoice)
    then = datetime.now(UTC).isoformat()
    paid = till.asked()
    assert till.office.delete(f"/api/payments/{payment}").status_code == 200
    assert till.dollars() == empty
    assert till.asked(as_of=then) == {**paid, "known_at": till.asked(as_of=then)["known_at"]}
    assert till.dollars(as_of=then)["outstanding"] == "0.00"
    assert till.outstanding(str(TODAY)) == "100.00"


@pytest.mark.parametrize(
    "query",
    [
        {"as_of": "yesterday"},
        {"as_of": "2026-02-30"},
        {"as_of": "0001-01-01"},
        {"as_of": "2026-03-31T12:00:00"},
        {"as_of": "0001-01-01T00:00:00+14:00"},
        {"as_of": "2099-01-01"},
        {"as_of": "2099-01-01T00:00:00Z"},
        {"basis": "mood"},
        {"buckets": ""},
        {"buckets": "30,20"},
        {"buckets": "0,30"},
        {"buckets": "30,30"},
        {"buckets": "-1"},
        {"buckets": "1e3"},
        {"buckets": "9999"},
        {"buckets": ",".join(map(str, range(1, 14)))},
    ],
)
def test_what_cannot_be_answered_is_bad_input(till: Till, query: dict[str, str]) -> None:
    """A8-1 and R-CMD-4."""
    answer = till.office.get(till.path, params=query)
    assert answer.status_code == 400, answer.text
    code = "as_of_in_future" if "2099" in query.get("as_of", "") else "bad_input"
    assert answer.json()["code"] == code


def test_another_tenants_client_is_not_there(house: Any, till: Till) -> None:
    """R-CMD-4: 404 for what is not yours, and for what did not exist then."""
    other = house.office()
    for office, id, query in (
        (other, till.client, {}),
        (till.office, new_id(), {}),
        (till.office, till.client, {"as_of": "2020-01-01T00:00:00Z"}),
    ):
        answer = office.get(f"/api/customers/{id}/receivables", params=query)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    other.http.close()


def test_the_sums_agree_with_the_lists_and_the_figures(till: Till) -> None:
    """A8-2: one calculation, whoever asks."""
    for place in range(6):
        invoice = till.bill(10 + place, ago(50 - place), ago(20 - 7 * place))
        if place % 2:
            till.pay(place, ago(9), invoice_id=invoice)
    it = till.dollars()
    figures = till.office.get(f"/api/clients/{till.client}/analytics").json()
    listed = till.office.get(f"/api/invoices/client/{till.client}").json()["items"]
    total = sum((Decimal(row["balance_due"]) for row in listed), Decimal(0))
    assert Decimal(it["outstanding"]) == total == Decimal(figures["outstanding"]["USD"])
    assert it["overdue"] == figures["overdue"]["USD"]
    assert sum(Decimal(part["amount"]) for part in it["buckets"]) == total


def stored(url: str, generation: int) -> dict[str, list[Any]]:
    with psycopg.connect(url) as connection:
        found = {}
        for table in projector.tables:
            name = sql.Identifier(f"{projector.name}_{generation}", table.name)
            every = sql.SQL("SELECT * FROM {} ORDER BY 1").format(name)
            found[table.name] = connection.execute(every).fetchall()
    return found


def test_a_rebuild_gives_the_very_same_entries(
    new_database: Callable[[], str], open_house: Callable[..., Any]
) -> None:
    """Design, section 5: the ledger is what the facts say, whenever they are folded."""
    house = open_house(new_database())
    till = Till(house.office())
    invoice, other = till.bill(100, ago(20), ago(3)), till.bill(50, ago(9), ago(0))
    till.office.put(f"/api/invoices/{invoice}", json={"due_date": ago(-9)})
    payment = till.pay(130, ago(8), invoice_id=invoice)
    till.office.put(f"/api/payments/{payment}", json={"amount": 140})
    till.refund(payment, 60, ago(2))
    till.office.delete(f"/api/payments/{till.pay(5, ago(1), client_id=till.client)}")
    till.credit(type="credit_note", invoice_id=other, amount=20)
    till.credit(type="credit_note", invoice_id=invoice, amount=7)
    given = till.credit(amount=9)
    part = till.do(given, "apply", invoice_id=other, amount=4)["applications"][0]
    till.do(given, "unapply", application_id=part["application_id"])
    till.do(given, "refund", method="cash", amount=2)
    till.move(other, "written_off")
    till.move(other, "sent")
    answers, live = till.asked(), stored(house.database_url, 1)
    assert all(live.values())
    house.worker.stop()
    work = conninfo(house.database_url, WORK_ROLE, application="test")
    journal = Journal.at(work, MasterKeys(house.settings.master_keys))
    try:
        with psycopg.connect(work, autocommit=True) as connection:
            rebuild(connection, (projector,), journal)
    finally:
        journal.close()
    assert stored(house.database_url, 2) == live
    assert till.asked() == answers
