"""The same payment twice: keys, external ids and slips of the hand have one effect."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

# The same payment twice


def test_an_external_id_finds_its_payment_again(shop: Any) -> None:
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


@pytest.mark.parametrize("named", ["invoice_id", "client_id", "allocations"])
def test_what_a_repeat_names_is_there(shop: Any, house: Any, named: str) -> None:
    """Rule 4 and T4: an id of another tenant, or of nobody, is 404 as in any other payment."""
    invoice = shop.invoice(shop.client())
    first = shop.paid(invoice_id=invoice, external_id="bank-77")

    def again(of_client: Any, of_invoice: Any) -> Any:
        ids = {
            "client_id": str(of_client),
            "invoice_id": str(of_invoice),
            "allocations": [{"invoice_id": str(of_invoice), "amount": "1.00"}],
        }
        return shop.pay(external_id="bank-77", **{named: ids[named]})

    other = type(shop)(house.office())
    theirs = other.client()
    shop.problem(again(theirs, other.invoice(theirs)), 404, "not_found")
    shop.problem(again(uuid4(), uuid4()), 404, "not_found")
    mine = shop.client()
    known = again(mine, shop.invoice(mine))
    assert (known.status_code, known.json()["id"]) == (200, first["id"])
    other.office.http.close()


def test_a_repeat_finds_its_payment_whatever_became_of_the_invoice(shop: Any) -> None:
    """Rule 4: it is paid by now, and a new payment of as much would be refused."""
    invoice = shop.invoice(shop.client())
    first = shop.paid(invoice_id=invoice, amount="100", external_id="bank-77")
    again = shop.pay(invoice_id=invoice, amount="100", external_id="bank-77")
    assert (again.status_code, again.json()["id"]) == (200, first["id"])


def test_an_external_id_of_a_refused_payment_is_still_free(shop: Any) -> None:
    invoice = shop.invoice(shop.client())
    shop.problem(
        shop.pay(invoice_id=invoice, amount="500", external_id="A"), 422, "exceeds_balance"
    )
    assert shop.pay(invoice_id=invoice, external_id="A").status_code == 201


def test_an_empty_external_id_is_none(shop: Any) -> None:
    client = shop.client()
    ids = {shop.paid(client_id=client, external_id="")["id"] for _ in range(2)}
    assert len(ids) == 2


def test_parallel_deliveries_of_one_external_id_make_one_payment(shop: Any) -> None:
    """Rule 4."""
    invoice = shop.invoice(shop.client())
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: shop.pay(invoice_id=invoice, external_id="E", amount="5"), range(16))
        )
    assert Counter(it.status_code for it in answers) == {201: 1, 200: 15}
    assert shop.balance(invoice) == ("sent", "95.00")


def test_a_slip_of_the_hand_is_caught(shop: Any, house: Any) -> None:
    """Rule 4: same client, amount, date and reference within ten minutes."""
    client = shop.client()
    invoice = shop.invoice(client)
    body = {"invoice_id": invoice, "amount": "10", "reference": "R"}
    first = shop.pay(**body).json()
    no = shop.problem(shop.pay(**body), 409, "possible_duplicate")
    assert no["payment_id"] == first["id"]
    assert shop.pay(**body, confirm_duplicate=True).status_code == 201
    assert shop.pay("a-key", **body).status_code == 201
    assert shop.pay(**{**body, "reference": "S"}).status_code == 201
    assert shop.pay(**{**body, "amount": "11"}).status_code == 201
    assert shop.balance(invoice) == ("sent", "49.00")


def test_ten_minutes_later_it_is_another_payment(shop: Any, house: Any) -> None:
    """Rule 4."""
    client = shop.client()
    body = {"client_id": client, "received_on": "2026-01-02"}
    assert shop.pay(**body).status_code == 201
    house.clock.moved = timedelta(minutes=9, seconds=50)
    shop.problem(shop.pay(**body), 409, "possible_duplicate")
    house.clock.moved = timedelta(minutes=10, seconds=10)
    assert shop.pay(**body).status_code == 201


def test_a_voided_payment_may_be_entered_again(shop: Any) -> None:
    client = shop.client()
    first = shop.pay(client_id=client).json()
    shop.office.delete(f"/api/payments/{first['id']}")
    assert shop.pay(client_id=client).status_code == 201


def test_a_retried_whole_payment_is_named_a_duplicate_not_an_overpayment(shop: Any) -> None:
    """Rule 4: the answer leads to the payment that was made."""
    invoice = shop.invoice(shop.client())
    first = shop.pay(invoice_id=invoice, amount="100").json()
    no = shop.problem(shop.pay(invoice_id=invoice, amount="100"), 409, "possible_duplicate")
    assert no["payment_id"] == first["id"]


def test_one_key_is_one_payment(shop: Any) -> None:
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
    shop.problem(other, 422, "idempotency_key_reused")


@pytest.mark.parametrize("told_apart", ["key", "reference", "nothing"])
def test_t16_twenty_parallel_payments_of_60_on_100(shop: Any, told_apart: str) -> None:
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


def test_payment_and_cancellation_exclude_each_other(shop: Any) -> None:
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


def test_the_deposit_is_satisfied_first(shop: Any) -> None:
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
