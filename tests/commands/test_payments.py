"""Payments over HTTP: recorded, split, corrected, voided; and invoices that are paid by them."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from zeroinvoice.domain import collecting
from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.client import Client, PaymentSettings, Profile
from zeroinvoice.domain.collecting import RecordPayment


class Shop:
    """An office with clients who owe it money."""

    def __init__(self, office: Any) -> None:
        self.office = office

    def client(self, currency: str = "USD", **settings: Any) -> str:
        def added(desk: Any) -> UUID:
            client = desk.new(Client)
            client = desk.record(client, client.add(Profile("Acme Corp", currency)))
            if settings:
                client = desk.record(client, client.set_payment(PaymentSettings(**settings)))
            return client.id

        return str(self.office.house.commit(self.office.tenant, added))

    def draft(self, client_id: str, total: str = "100.00", currency: str = "USD") -> str:
        line = {"description": "Work", "unit_price": total}
        body = {"client_id": client_id, "line_items": [line], "currency": currency}
        return str(self.office.made("/api/invoices", body)["id"])

    def invoice(self, client_id: str, total: str = "100.00", currency: str = "USD") -> str:
        invoice_id = self.draft(client_id, total, currency)
        assert self.move(invoice_id, status="sent").status_code == 200
        return invoice_id

    def move(self, invoice_id: str, **body: Any) -> Any:
        return self.office.patch(f"/api/invoices/{invoice_id}/status", json=body)

    def pay(self, _key: str | None = None, **body: Any) -> Any:
        headers = {"Idempotency-Key": _key} if _key else {}
        asked = {"amount": "60.00", "method": "bank_transfer", **body}
        return self.office.post("/api/payments", json=asked, headers=headers)

    def paid(self, **body: Any) -> dict[str, Any]:
        answer = self.pay(confirm_duplicate=True, **body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def revise(self, payment_id: str, **body: Any) -> Any:
        return self.office.put(f"/api/payments/{payment_id}", json=body)

    def seen(self, invoice_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.office.get(f"/api/invoices/{invoice_id}").json()
        return found

    def balance(self, invoice_id: str) -> tuple[str, str]:
        it = self.seen(invoice_id)
        return it["status"], it["balance_due"]

    def owed(self, client_id: str) -> dict[str, str]:
        """What the client's account says, without currencies that are even."""
        tenant = self.office.tenant
        account = account_of(tenant, UUID(client_id))
        facts = self.office.facts(account)
        sums = Account.after(*(fact.event for fact in facts)).balances
        return {code: sums.get(code).text for code, it in sums.by_currency.items() if it}

    def story(self, stream: str) -> list[str]:
        return [type(fact.event).__name__ for fact in self.office.facts(stream)]

    def today(self) -> str:
        return str(datetime.now(UTC).date())


@pytest.fixture
def shop(office: Any) -> Shop:
    return Shop(office)


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    return body


# Recording


def test_a_payment_settles_a_part_of_an_invoice(shop: Shop) -> None:
    """Rule 1, and rule 8 of invoices: a part payment leaves the invoice sent."""
    client = shop.client()
    invoice = shop.invoice(client)
    made = shop.paid(
        invoice_id=invoice, reference="TRX-1", fee_amount="0.5", note="by wire", currency="USD"
    )
    assert made["status"] == "succeeded"
    assert made["client_id"] == client
    assert made["received_on"] == shop.today()
    assert (made["amount"], made["applied"], made["unapplied"]) == ("60.00", "60.00", "0.00")
    assert made["fee_amount"] == "0.50"
    assert made["source"] == "manual"
    (part,) = made["allocations"]
    assert (part["invoice_id"], part["amount"], part["currency"]) == (invoice, "60.00", "USD")
    seen = shop.seen(invoice)
    assert (seen["status"], seen["payment_state"], seen["balance_due"]) == (
        "sent",
        "partial",
        "40.00",
    )
    assert shop.owed(client) == {"USD": "40.00"}


def test_the_whole_balance_makes_the_invoice_paid(shop: Shop) -> None:
    """Rule 3 of invoices."""
    client = shop.client()
    invoice = shop.invoice(client)
    shop.paid(invoice_id=invoice, amount=100)
    assert shop.balance(invoice) == ("paid", "0.00")
    assert shop.seen(invoice)["paid_at"] is not None
    assert shop.owed(client) == {}


def test_a_payment_is_read_back_as_it_was_answered(shop: Shop) -> None:
    invoice = shop.invoice(shop.client())
    made = shop.paid(invoice_id=invoice)
    read = shop.office.get(f"/api/payments/{made['id']}")
    assert read.json() == made
    assert read.headers["etag"] == '"1"'
    assert shop.office.get(f"/api/payments/{made['id']}/").json() == made


def test_one_payment_is_split_over_several_invoices(shop: Shop) -> None:
    """Rule 1: the allocations add up to no more than the amount."""
    client = shop.client(allow_overpayment=True)
    first, second = shop.invoice(client), shop.invoice(client, "50.00")
    parts = [{"invoice_id": first, "amount": "70"}, {"invoice_id": second, "amount": "50"}]
    made = shop.paid(amount="130", allocations=parts)
    assert (made["applied"], made["unapplied"], made["amount_overpaid"]) == (
        "120.00",
        "10.00",
        "10.00",
    )
    assert shop.balance(first) == ("sent", "30.00")
    assert shop.balance(second) == ("paid", "0.00")
    assert shop.owed(client) == {"USD": "20.00"}  # 30 still due less 10 unapplied
    over = shop.pay(amount="119.99", allocations=parts)
    problem(over, 422, "exceeds_amount")


def test_allocations_that_leave_a_rest_follow_the_rule_of_overpayments(shop: Shop) -> None:
    """Rule 1: the rest is unapplied only where the client may overpay."""
    invoice = shop.invoice(shop.client())
    answer = shop.pay(amount="80", allocations=[{"invoice_id": invoice, "amount": "50"}])
    assert problem(answer, 422, "exceeds_balance")["balance_due"] == "100.00"


def test_an_invoice_stands_once_among_the_allocations(shop: Shop) -> None:
    invoice = shop.invoice(shop.client())
    part = {"invoice_id": invoice, "amount": "10"}
    problem(shop.pay(amount="20", allocations=[part, part]), 422, "invoice_twice")
    both = shop.pay(amount="10", invoice_id=invoice, allocations=[part])
    problem(both, 422, "two_targets")
    assert shop.story(invoice) == ["InvoiceDrafted", "InvoiceSent"]


def test_a_payment_for_no_invoice_is_the_clients_until_it_is_allocated(shop: Shop) -> None:
    """Rule 1: wholly unapplied, and later allocated by a correction."""
    client = shop.client()
    made = shop.paid(client_id=client)
    assert (made["unapplied"], made["amount_overpaid"]) == ("60.00", "0.00")
    assert shop.owed(client) == {"USD": "-60.00"}
    invoice = shop.invoice(client)
    allocated = shop.revise(made["id"], invoice_id=invoice)
    assert allocated.status_code == 200, allocated.text
    assert allocated.json()["unapplied"] == "0.00"
    assert shop.balance(invoice) == ("sent", "40.00")
    assert shop.owed(client) == {"USD": "40.00"}
    problem(shop.pay(), 422, "client_needed")


# Targets


def test_a_draft_takes_no_payment(shop: Shop) -> None:
    """Rule 2."""
    invoice = shop.draft(shop.client())
    problem(shop.pay(invoice_id=invoice), 409, "invoice_not_issued")
    assert shop.story(invoice) == ["InvoiceDrafted"]


@pytest.mark.parametrize("status", ["cancelled", "written_off"])
def test_a_closed_invoice_takes_no_payment(shop: Shop, status: str) -> None:
    """Rule 2."""
    invoice = shop.invoice(shop.client())
    assert shop.move(invoice, status=status).status_code == 200
    problem(shop.pay(invoice_id=invoice), 409, "invoice_closed")


def test_a_payment_is_for_one_client(shop: Shop) -> None:
    """Rule 2."""
    client, other = shop.client(), shop.client()
    invoice, others = shop.invoice(client), shop.invoice(other)
    problem(shop.pay(invoice_id=invoice, client_id=other), 422, "different_client")
    parts = [{"invoice_id": invoice, "amount": "1"}, {"invoice_id": others, "amount": "1"}]
    problem(shop.pay(amount="2", allocations=parts), 422, "different_client")


def test_another_currency_needs_its_rate(shop: Shop) -> None:
    """Rule 2: the rate says what one of the payment's currency is in the invoice's."""
    client = shop.client("EUR")
    invoice = shop.invoice(client, "100.00", "EUR")
    problem(shop.pay(invoice_id=invoice, currency="USD"), 422, "currency_mismatch")
    made = shop.paid(invoice_id=invoice, currency="USD", amount="60.05", fx_rate="0.9")
    assert (made["amount"], made["currency"]) == ("60.05", "USD")
    # 54.045 is rounded half away from zero
    assert (made["worth"], made["worth_currency"], made["applied"]) == ("54.05", "EUR", "54.05")
    assert (made["fx_rate"], made["fx_currency"]) == ("0.9", "EUR")
    assert shop.balance(invoice) == ("sent", "45.95")
    assert shop.owed(client) == {"EUR": "45.95"}
    problem(shop.pay(invoice_id=invoice, currency="USD", fx_rate="0"), 422, "bad_fx_rate")
    small = shop.pay(invoice_id=invoice, currency="USD", amount="0.01", fx_rate="0.1")
    problem(small, 422, "amount_not_positive")


def test_a_rate_to_the_base_currency_is_kept(shop: Shop) -> None:
    """R-MON-12: in the invoice's own currency the rate is to the workspace's."""
    client = shop.client("EUR")
    made = shop.paid(client_id=client, fx_rate="1.1")
    assert (made["currency"], made["worth"], made["fx_currency"]) == ("EUR", "60.00", "USD")
    problem(shop.pay(client_id=shop.client(), fx_rate="1.1"), 422, "bad_fx_rate")


def test_invoices_in_two_currencies_are_not_paid_at_once(shop: Shop) -> None:
    client = shop.client()
    invoices = shop.invoice(client), shop.invoice(client, "100", "EUR")
    parts = [{"invoice_id": it, "amount": "1"} for it in invoices]
    problem(shop.pay(amount="2", allocations=parts), 422, "currency_mismatch")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount": "0"}, "amount_not_positive"),
        ({"amount": "-5"}, "amount_not_positive"),
        ({"amount": "1.234"}, "too_many_decimals"),
        ({"amount": "100.01"}, "exceeds_balance"),
        ({"currency": "XXQ"}, "unknown_currency"),
        ({"currency": "usd"}, "unknown_currency"),
        ({"fee_amount": "60.01"}, "fee_out_of_range"),
        ({"fee_amount": "-1"}, "fee_out_of_range"),
        ({"reference": "x" * 256}, "text_too_long"),
        ({"external_id": "x" * 256}, "text_too_long"),
    ],
)
def test_an_amount_is_more_than_nothing_in_whole_units(
    shop: Shop, body: dict[str, Any], code: str
) -> None:
    """Rule 1 and R-MON-1; a refused payment leaves no fact."""
    invoice = shop.invoice(shop.client())
    problem(shop.pay(invoice_id=invoice, **body), 422, code)
    assert shop.story(invoice) == ["InvoiceDrafted", "InvoiceSent"]
    assert shop.office.get("/api/payments").json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"method": "barter"},
        {"amount": "NaN"},
        {"amount": "1e3"},
        {"amount": None},
        {"received_on": "yesterday"},
        {"status": "pending"},
        {"source": "stripe"},
        {"unapplied": "1"},
        {"invoice_id": "1"},
        {"allocations": [{"invoice_id": str(uuid4())}]},
    ],
)
def test_what_is_not_in_the_body_s_shape_is_malformed(shop: Shop, body: dict[str, Any]) -> None:
    answer = shop.pay(**{"client_id": str(uuid4()), **body})
    assert answer.status_code == 400, answer.text


def test_money_is_not_received_in_the_future(shop: Shop) -> None:
    """R-DAT-2: the future begins after today in the workspace's zone."""
    client = shop.client()
    tomorrow = str((datetime.now(UTC) + timedelta(days=2)).date())
    problem(shop.pay(client_id=client, received_on=tomorrow), 422, "received_in_future")
    made = shop.paid(client_id=client, received_on="2026-01-31")
    assert made["received_on"] == "2026-01-31"


def test_today_is_the_workspaces(house: Any) -> None:
    """R-DAT-2."""
    east, west = (
        Shop(house.office(time_zone=zone)) for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago")
    )
    days = [it.paid(client_id=it.client())["received_on"] for it in (east, west)]
    assert days[0] > days[1]


def test_ids_of_others_are_not_there(shop: Shop, house: Any) -> None:
    """T4: nothing is written either."""
    theirs = Shop(house.office())
    client = theirs.client()
    invoice = theirs.invoice(client)
    payment = theirs.paid(invoice_id=invoice)["id"]
    part = {"invoice_id": invoice, "amount": "1"}
    for body in ({"invoice_id": invoice}, {"client_id": client}, {"allocations": [part]}):
        problem(shop.pay(**body), 404, "not_found")
    assert shop.office.get(f"/api/payments/{payment}").status_code == 404
    assert shop.revise(payment, note="x").status_code == 404
    assert shop.office.delete(f"/api/payments/{payment}").status_code == 404
    own = shop.paid(client_id=shop.client())["id"]
    assert shop.revise(own, invoice_id=invoice).status_code == 404
    assert theirs.story(payment) == ["PaymentRecorded"]


def test_an_id_of_another_kind_is_not_there(shop: Shop) -> None:
    client = shop.client()
    assert shop.pay(invoice_id=client).status_code == 404
    assert shop.pay(client_id=shop.invoice(client)).status_code == 404


# Overpayment and part payments


def test_more_than_is_due_is_refused(shop: Shop) -> None:
    """Rule 9 of invoices."""
    invoice = shop.invoice(shop.client())
    no = problem(shop.pay(invoice_id=invoice, amount="100.01"), 422, "exceeds_balance")
    assert (no["balance_due"], no["currency"]) == ("100.00", "USD")
    shop.paid(invoice_id=invoice, amount="100")
    again = shop.pay(invoice_id=invoice, amount="1")
    assert problem(again, 422, "exceeds_balance")["balance_due"] == "0.00"


def test_an_overpayment_stays_the_clients(shop: Shop) -> None:
    """Rule 9 of invoices: never a negative balance."""
    client = shop.client(allow_overpayment=True)
    invoice = shop.invoice(client)
    made = shop.paid(invoice_id=invoice, amount="130")
    assert (made["applied"], made["amount_overpaid"]) == ("100.00", "30.00")
    assert shop.balance(invoice) == ("paid", "0.00")
    assert shop.owed(client) == {"USD": "-30.00"}
    more = shop.paid(invoice_id=invoice, amount="5")
    assert (more["allocations"], more["unapplied"]) == ([], "5.00")


def test_a_client_inherits_whether_it_may_overpay(house: Any) -> None:
    """Rule 6 of clients: what is unset is the workspace's."""
    shop = Shop(house.office(overpayment="credit"))
    assert shop.paid(invoice_id=shop.invoice(shop.client()), amount="101")["unapplied"] == "1.00"
    strict = shop.invoice(shop.client(allow_overpayment=False))
    problem(shop.pay(invoice_id=strict, amount="101"), 422, "exceeds_balance")


def test_a_client_may_have_to_pay_whole(shop: Shop) -> None:
    invoice = shop.invoice(shop.client(allow_partial=False))
    problem(shop.pay(invoice_id=invoice), 422, "partial_not_allowed")
    shop.paid(invoice_id=invoice, amount="100")


def test_a_part_payment_may_have_a_least_amount(shop: Shop) -> None:
    invoice = shop.invoice(shop.client(min_partial_amount=Decimal("50.00")))
    problem(shop.pay(invoice_id=invoice, amount="49.99"), 422, "below_min_partial_amount")
    shop.paid(invoice_id=invoice, amount="60")
    shop.paid(invoice_id=invoice, amount="40")  # the rest is whole


# The same payment twice


def test_an_external_id_finds_its_payment_again(shop: Shop) -> None:
    """Rule 4: 200 with the first one, for ever."""
    invoice = shop.invoice(shop.client())
    first = shop.pay(invoice_id=invoice, external_id="bank-77")
    assert first.status_code == 201
    again = shop.pay(invoice_id=invoice, external_id="bank-77")
    assert again.status_code == 200
    assert again.json() == first.json()
    assert shop.balance(invoice) == ("sent", "40.00")
    shop.office.delete(f"/api/payments/{first.json()['id']}")
    voided = shop.pay(invoice_id=invoice, external_id="bank-77")
    assert (voided.status_code, voided.json()["status"]) == (200, "voided")


def test_an_external_id_of_a_refused_payment_is_still_free(shop: Shop) -> None:
    invoice = shop.invoice(shop.client())
    problem(shop.pay(invoice_id=invoice, amount="500", external_id="A"), 422, "exceeds_balance")
    assert shop.pay(invoice_id=invoice, external_id="A").status_code == 201


def test_an_empty_external_id_is_none(shop: Shop) -> None:
    client = shop.client()
    ids = {shop.paid(client_id=client, external_id="")["id"] for _ in range(2)}
    assert len(ids) == 2


def test_parallel_deliveries_of_one_external_id_make_one_payment(shop: Shop) -> None:
    """Rule 4."""
    invoice = shop.invoice(shop.client())
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: shop.pay(invoice_id=invoice, external_id="E", amount="5"), range(16))
        )
    assert Counter(it.status_code for it in answers) == {201: 1, 200: 15}
    assert shop.balance(invoice) == ("sent", "95.00")


def test_a_slip_of_the_hand_is_caught(shop: Shop, house: Any) -> None:
    """Rule 4: same client, amount, date and reference within ten minutes."""
    client = shop.client()
    invoice = shop.invoice(client)
    body = {"invoice_id": invoice, "amount": "10", "reference": "R"}
    first = shop.pay(**body).json()
    no = problem(shop.pay(**body), 409, "possible_duplicate")
    assert no["payment_id"] == first["id"]
    assert shop.pay(**body, confirm_duplicate=True).status_code == 201
    assert shop.pay("a-key", **body).status_code == 201
    assert shop.pay(**{**body, "reference": "S"}).status_code == 201
    assert shop.pay(**{**body, "amount": "11"}).status_code == 201
    assert shop.balance(invoice) == ("sent", "49.00")


def test_ten_minutes_later_it_is_another_payment(shop: Shop, house: Any) -> None:
    """Rule 4."""
    client = shop.client()
    body = {"client_id": client, "received_on": "2026-01-02"}
    assert shop.pay(**body).status_code == 201
    house.clock.moved = timedelta(minutes=9, seconds=50)
    problem(shop.pay(**body), 409, "possible_duplicate")
    house.clock.moved = timedelta(minutes=10, seconds=10)
    assert shop.pay(**body).status_code == 201


def test_a_voided_payment_may_be_entered_again(shop: Shop) -> None:
    client = shop.client()
    first = shop.pay(client_id=client).json()
    shop.office.delete(f"/api/payments/{first['id']}")
    assert shop.pay(client_id=client).status_code == 201


def test_a_retried_whole_payment_is_named_a_duplicate_not_an_overpayment(shop: Shop) -> None:
    """Rule 4: the answer leads to the payment that was made."""
    invoice = shop.invoice(shop.client())
    first = shop.pay(invoice_id=invoice, amount="100").json()
    no = problem(shop.pay(invoice_id=invoice, amount="100"), 409, "possible_duplicate")
    assert no["payment_id"] == first["id"]


def test_one_key_is_one_payment(shop: Shop) -> None:
    """R-CMD-1: sixteen at once under one key."""
    invoice = shop.invoice(shop.client())
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: shop.pay("one", invoice_id=invoice, amount="5"), range(16))
        )
    assert {it.status_code for it in answers} <= {201, 409}
    made = [it.json() for it in answers if it.status_code == 201]
    assert all(it == made[0] for it in made)
    assert shop.balance(invoice) == ("sent", "95.00")
    again = shop.pay("one", invoice_id=invoice, amount="5")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == made[0]
    other = shop.pay("one", invoice_id=invoice, amount="6")
    problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("told_apart", ["key", "reference", "nothing"])
def test_t16_twenty_parallel_payments_of_60_on_100(shop: Shop, told_apart: str) -> None:
    """T16: one succeeds, 19 are refused, 40 is left; G13."""
    invoice = shop.invoice(shop.client())

    def one(n: int) -> Any:
        if told_apart == "key":
            return shop.pay(f"key-{n}", invoice_id=invoice)
        reference = f"REF-{n}" if told_apart == "reference" else None
        return shop.pay(invoice_id=invoice, reference=reference)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(one, range(20)))
    refused = 409 if told_apart == "nothing" else 422
    assert Counter(it.status_code for it in answers) == {201: 1, refused: 19}
    assert shop.balance(invoice) == ("sent", "40.00")
    assert shop.story(invoice).count("InvoicePaymentApplied") == 1


def test_payment_and_cancellation_exclude_each_other(shop: Shop) -> None:
    """Rule 15 of invoices: exactly one wins, the other gets 409."""
    client = shop.client()
    for _ in range(6):
        invoice = shop.invoice(client)
        with ThreadPoolExecutor(2) as pool:
            paying = pool.submit(shop.pay, invoice_id=invoice, confirm_duplicate=True)
            cancelling = pool.submit(shop.move, invoice, status="cancelled")
            codes = {"paid": paying.result().status_code, "gone": cancelling.result().status_code}
        assert codes in ({"paid": 201, "gone": 409}, {"paid": 409, "gone": 200}), codes
        status = shop.balance(invoice)[0]
        assert status == ("sent" if codes["paid"] == 201 else "cancelled")


def test_the_deposit_is_satisfied_first(shop: Shop) -> None:
    """Rule 8 of invoices: the first instalment that is unpaid decides what is overdue."""
    today = datetime.now(UTC).date()
    body = {
        "client_id": shop.client(),
        "line_items": [{"description": "Work", "unit_price": "100"}],
        "issue_date": str(today - timedelta(days=9)),
        "due_date": str(today + timedelta(days=9)),
        "deposit": {"type": "percent", "value": 30, "due_date": str(today - timedelta(days=1))},
    }
    invoice = str(shop.office.made("/api/invoices", body)["id"])
    shop.move(invoice, status="sent")
    shop.paid(invoice_id=invoice, amount="29.99")
    assert shop.balance(invoice) == ("overdue", "70.01")
    last = shop.paid(invoice_id=invoice, amount="0.01")
    assert shop.balance(invoice) == ("sent", "70.00")
    shop.office.delete(f"/api/payments/{last['id']}")
    assert shop.balance(invoice) == ("overdue", "70.01")


# Corrections


def test_what_is_beside_the_money_is_corrected(shop: Shop) -> None:
    """Rule 5: reference, note, method; null clears, what is not sent stays."""
    invoice = shop.invoice(shop.client())
    made = shop.paid(invoice_id=invoice, reference="A", note="B")
    put = shop.revise(made["id"], reference="C", note=None, method="cash", fee_amount="1")
    assert put.status_code == 200
    changed = put.json()
    assert (changed["reference"], changed["note"], changed["method"]) == ("C", None, "cash")
    assert changed["fee_amount"] == "1.00"
    assert put.headers["etag"] == '"2"'
    assert shop.story(made["id"]) == ["PaymentRecorded", "PaymentCorrected"]
    assert shop.story(invoice)[-1] == "InvoicePaymentApplied"
    assert shop.revise(made["id"], reference="C").headers["etag"] == '"2"'  # nothing to do
    problem(shop.revise(made["id"], reference="x" * 256), 422, "text_too_long")
    problem(shop.revise(made["id"], fee_amount="61"), 422, "fee_out_of_range")


def test_a_new_amount_is_a_reversal_and_a_new_entry(shop: Shop) -> None:
    """Rule 5: both are visible in the history of the payment and of the invoice."""
    client = shop.client()
    invoice = shop.invoice(client)
    made = shop.paid(invoice_id=invoice, amount="100")
    put = shop.revise(made["id"], amount="90")
    assert put.status_code == 200, put.text
    assert (put.json()["amount"], put.json()["applied"]) == ("90.00", "90.00")
    assert shop.story(made["id"]) == ["PaymentRecorded", "PaymentRetracted", "PaymentRecorded"]
    assert shop.story(invoice)[2:] == [
        "InvoicePaymentApplied",
        "InvoicePaymentReversed",
        "InvoicePaymentApplied",
    ]
    assert shop.balance(invoice) == ("sent", "10.00")
    assert shop.owed(client) == {"USD": "10.00"}
    problem(shop.revise(made["id"], amount="100.01"), 422, "exceeds_balance")
    problem(shop.revise(made["id"], amount="0"), 422, "amount_not_positive")
    assert shop.balance(invoice) == ("sent", "10.00")
    assert shop.revise(made["id"], amount="90").headers["etag"] == '"3"'  # nothing to do


def test_a_payment_moves_to_another_invoice(shop: Shop) -> None:
    """Rule 5."""
    client = shop.client()
    wrong, right = shop.invoice(client), shop.invoice(client, "50")
    made = shop.paid(invoice_id=wrong, amount="50")
    put = shop.revise(made["id"], invoice_id=right)
    assert put.status_code == 200, put.text
    assert [it["invoice_id"] for it in put.json()["allocations"]] == [right]
    assert shop.balance(wrong) == ("sent", "100.00")
    assert shop.balance(right) == ("paid", "0.00")
    assert shop.owed(client) == {"USD": "100.00"}
    parts = [{"invoice_id": wrong, "amount": "20"}, {"invoice_id": right, "amount": "30"}]
    assert shop.revise(made["id"], allocations=parts).status_code == 200
    assert (shop.balance(wrong)[1], shop.balance(right)[1]) == ("80.00", "20.00")
    problem(shop.revise(made["id"], amount="40"), 422, "exceeds_amount")


def test_a_payment_moves_to_another_client(shop: Shop) -> None:
    client, other = shop.client(), shop.client()
    wrong, right = shop.invoice(client), shop.invoice(other)
    made = shop.paid(invoice_id=wrong)
    problem(shop.revise(made["id"], invoice_id=right), 422, "different_client")
    put = shop.revise(made["id"], invoice_id=right, client_id=other)
    assert put.status_code == 200, put.text
    assert shop.owed(client) == {"USD": "100.00"}
    assert shop.owed(other) == {"USD": "40.00"}


def test_the_invoice_learns_the_right_day(shop: Shop) -> None:
    """Rule 5: received_on may change; the rest of a split is not touched by it."""
    client = shop.client(allow_overpayment=True)
    invoice = shop.invoice(client)
    parts = [{"invoice_id": invoice, "amount": "30"}]
    made = shop.paid(amount="50", allocations=parts)
    put = shop.revise(made["id"], received_on="2026-02-03")
    assert put.status_code == 200, put.text
    assert (put.json()["applied"], put.json()["unapplied"]) == ("30.00", "20.00")
    total = shop.office.get(f"/api/payments/invoice/{invoice}/total").json()
    assert total["last_payment_on"] == "2026-02-03"
    assert shop.balance(invoice) == ("sent", "70.00")


def test_a_stale_copy_corrects_nothing(shop: Shop) -> None:
    """R-CMD-2."""
    made = shop.paid(client_id=shop.client())
    path = f"/api/payments/{made['id']}"
    stale = shop.office.put(path, json={"note": "x"}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    assert stale.headers["etag"] == '"1"'
    right = shop.office.put(path, json={"note": "x"}, headers={"If-Match": '"1"'})
    assert right.status_code == 200


@pytest.mark.parametrize("body", [{"external_id": "x"}, {"status": "voided"}, {"amount": None}])
def test_some_fields_of_a_payment_are_not_edited(shop: Shop, body: dict[str, Any]) -> None:
    """T5."""
    made = shop.paid(client_id=shop.client())
    assert shop.revise(made["id"], **body).status_code == 400


# Voiding


def test_a_voided_payment_is_owed_again(shop: Shop) -> None:
    """Rule 6: paid becomes sent; the payment stays readable; twice is once."""
    client = shop.client(allow_overpayment=True)
    first, second = shop.invoice(client), shop.invoice(client)
    parts = [{"invoice_id": it, "amount": "100"} for it in (first, second)]
    made = shop.paid(amount="230", allocations=parts)
    path = f"/api/payments/{made['id']}"
    gone = shop.office.delete(path, params={"reason": "entered twice"})
    assert gone.status_code == 200, gone.text
    voided = gone.json()
    assert (voided["status"], voided["void_reason"]) == ("voided", "entered twice")
    assert (voided["applied"], voided["unapplied"]) == ("0.00", "0.00")
    assert [it["invoice_id"] for it in voided["allocations"]] == [first, second]
    for invoice in (first, second):
        assert shop.balance(invoice) == ("sent", "100.00")
        assert shop.seen(invoice)["paid_at"] is None
    assert shop.owed(client) == {"USD": "200.00"}
    assert shop.office.get(path).json() == voided
    again = shop.office.delete(path)
    assert again.json() == voided
    problem(shop.revise(made["id"], note="x"), 409, "payment_voided")
    assert shop.story(made["id"]) == ["PaymentRecorded", "PaymentVoided"]


def test_the_reason_may_come_as_a_header(shop: Shop) -> None:
    made = shop.paid(client_id=shop.client())
    gone = shop.office.delete(f"/api/payments/{made['id']}", headers={"X-Reason": "typing error"})
    assert gone.json()["void_reason"] == "typing error"


def test_a_payment_on_a_written_off_invoice_is_not_voided(shop: Shop) -> None:
    """What was given up would no longer be the balance."""
    invoice = shop.invoice(shop.client())
    made = shop.paid(invoice_id=invoice)
    assert shop.move(invoice, status="written_off").status_code == 200
    path = f"/api/payments/{made['id']}"
    problem(shop.office.delete(path), 409, "invoice_written_off")
    assert shop.revise(made["id"], note="still free").status_code == 200
    assert shop.move(invoice, status="sent").status_code == 200
    assert shop.office.delete(path).status_code == 200
    assert shop.balance(invoice) == ("sent", "100.00")


def test_what_a_gateway_moved_is_only_refunded(shop: Shop) -> None:
    """Rules 5 and 6."""
    client = shop.client()

    def charged(desk: Any) -> str:
        asked = RecordPayment(
            amount=Decimal(60), method="card", client_id=UUID(client), external_id="pi_1"
        )
        payment, _ = collecting.record(desk, asked, source="stripe")
        return str(payment.id)

    payment = shop.office.house.commit(shop.office.tenant, charged)
    assert shop.office.house.commit(shop.office.tenant, charged) == payment
    problem(shop.office.delete(f"/api/payments/{payment}"), 409, "use_refund")
    for change in ({"amount": "50"}, {"currency": "EUR"}, {"fee_amount": "1"}):
        problem(shop.revise(payment, **change), 409, "gateway_payment")
    assert shop.revise(payment, reference="ours", amount="60.00").status_code == 200
    assert shop.pay(client_id=client, external_id="pi_1").status_code == 201  # ours, not theirs


# Receipts


def test_a_receipt_has_a_number_of_its_own_series(shop: Shop) -> None:
    """Rule 7: it shows the invoice's total and what remains."""
    client = shop.client()
    invoice = shop.invoice(client)
    made = shop.paid(invoice_id=invoice, send_receipt=True)
    receipt = made["receipt"]
    assert receipt["number"] == f"RCT-{shop.today()[:4]}-00001"
    (said,) = receipt["invoices"]
    assert (said["total"], said["paid"], said["balance_due"]) == ("100.00", "60.00", "40.00")
    plain = shop.paid(invoice_id=invoice, amount="10")
    assert plain["receipt"] is None
    later = shop.revise(plain["id"], send_receipt=True).json()
    assert later["receipt"]["number"].endswith("00002")
    assert shop.revise(plain["id"], send_receipt=True).json() == later  # it has one
    anew = shop.revise(plain["id"], amount="20").json()
    assert anew["receipt"] is None  # what it said is no longer so


# Invoices that are paid


def test_an_invoice_is_paid_by_recording_the_payment(shop: Shop) -> None:
    """Rule 3 of invoices: `record_payment` pays the balance."""
    client = shop.client()
    invoice = shop.invoice(client)
    shop.paid(invoice_id=invoice, amount="30")
    problem(shop.move(invoice, status="paid"), 409, "wrong_state")
    answer = shop.move(invoice, status="paid", record_payment={"method": "cash"})
    assert answer.status_code == 200, answer.text
    paid = answer.json()
    assert (paid["status"], paid["amount_paid"], paid["balance_due"]) == ("paid", "100.00", "0.00")
    assert answer.headers["etag"] == f'"{paid["version"]}"'
    payments = shop.office.get(f"/api/payments/invoice/{invoice}").json()["items"]
    assert [(it["amount"], it["method"]) for it in payments] == [
        ("70.00", "cash"),
        ("30.00", "bank_transfer"),
    ]
    again = shop.move(invoice, status="paid", record_payment={"method": "cash"})
    assert (again.status_code, again.json()) == (200, paid)
    assert shop.move(invoice, status="paid").json() == paid
    assert shop.owed(client) == {}


def test_two_clicks_with_one_key_are_one_payment(shop: Shop) -> None:
    """Rule 15 of invoices."""
    invoice = shop.invoice(shop.client())
    body = {"status": "paid", "record_payment": {"method": "cash"}}

    def click(_: int) -> Any:
        path = f"/api/invoices/{invoice}/status"
        return shop.office.patch(path, json=body, headers={"Idempotency-Key": "click"})

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(click, range(2)))
    assert {it.status_code for it in answers} <= {200, 409}
    assert shop.story(invoice).count("InvoicePaymentApplied") == 1


def test_a_draft_is_issued_and_paid_at_once(shop: Shop) -> None:
    """Rule 3 of invoices."""
    client = shop.client()
    invoice = shop.draft(client)
    pay = {"method": "cash", "reference": "till 4"}
    problem(shop.move(invoice, status="paid", record_payment=pay), 409, "invoice_not_issued")
    problem(shop.move(invoice, status="paid"), 409, "wrong_state")
    assert shop.story(invoice) == ["InvoiceDrafted"]
    problem(shop.move(invoice, status="paid", issue_and_pay=True), 409, "wrong_state")
    assert shop.story(invoice) == ["InvoiceDrafted"]
    answer = shop.move(invoice, status="paid", issue_and_pay=True, record_payment=pay)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "paid"
    assert answer.json()["number"] is not None
    assert shop.story(invoice) == ["InvoiceDrafted", "InvoiceSent", "InvoicePaymentApplied"]


def test_an_invoice_of_nothing_is_paid_when_it_is_issued(shop: Shop) -> None:
    """Rule 4 of invoices: no payment is made for it."""
    invoice = shop.draft(shop.client(), "0")
    answer = shop.move(invoice, status="paid", issue_and_pay=True)
    assert answer.json()["status"] == "paid"
    other = shop.draft(shop.client(), "0")
    pay = {"method": "cash"}
    answer = shop.move(other, status="paid", issue_and_pay=True, record_payment=pay)
    assert answer.json()["status"] == "paid"
    assert shop.office.get("/api/payments").json()["items"] == []


def test_less_than_the_balance_does_not_make_it_paid(shop: Shop) -> None:
    invoice = shop.invoice(shop.client())
    pay = {"method": "cash", "amount": "99.99"}
    no = problem(shop.move(invoice, status="paid", record_payment=pay), 422, "balance_left")
    assert no["balance_due"] == "0.01"
    more = {"method": "cash", "amount": "100.01"}
    problem(shop.move(invoice, status="paid", record_payment=more), 422, "exceeds_balance")
    assert shop.balance(invoice) == ("sent", "100.00")


def test_an_invoice_is_paid_in_another_currency(shop: Shop) -> None:
    invoice = shop.invoice(shop.client("EUR"), "100", "EUR")
    pay: dict[str, Any] = {"method": "cash", "currency": "USD", "fx_rate": "0.8"}
    problem(shop.move(invoice, status="paid", record_payment=pay), 422, "amount_needed")
    pay["amount"] = "125"
    assert shop.move(invoice, status="paid", record_payment=pay).json()["status"] == "paid"


def test_a_payment_is_recorded_only_with_the_status_paid(shop: Shop) -> None:
    invoice = shop.draft(shop.client())
    answer = shop.move(invoice, status="sent", record_payment={"method": "cash"})
    problem(answer, 422, "payment_without_paid")
    answer = shop.move(invoice, status="overdue")
    problem(answer, 422, "derived_status")
    assert shop.story(invoice) == ["InvoiceDrafted"]


@pytest.mark.parametrize("status", ["cancelled", "written_off"])
def test_a_closed_invoice_does_not_become_paid(shop: Shop, status: str) -> None:
    invoice = shop.invoice(shop.client())
    shop.move(invoice, status=status)
    problem(shop.move(invoice, status="paid"), 409, "wrong_state")
    pay = {"method": "cash"}
    answer = shop.move(invoice, status="paid", record_payment=pay)
    assert answer.status_code == 409, answer.text
