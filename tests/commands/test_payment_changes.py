"""Payments corrected, voided and receipted; invoices that become paid by them."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain import collecting
from zeroinvoice.domain.collecting import RecordPayment

# Corrections


def test_what_is_beside_the_money_is_corrected(shop: Any) -> None:
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
    shop.problem(shop.revise(made["id"], reference="x" * 256), 422, "text_too_long")
    shop.problem(shop.revise(made["id"], fee_amount="61"), 422, "fee_out_of_range")


def test_a_new_amount_is_a_reversal_and_a_new_entry(shop: Any) -> None:
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
    shop.problem(shop.revise(made["id"], amount="100.01"), 422, "exceeds_balance")
    shop.problem(shop.revise(made["id"], amount="0"), 422, "amount_not_positive")
    assert shop.balance(invoice) == ("sent", "10.00")
    assert shop.revise(made["id"], amount="90").headers["etag"] == '"3"'  # nothing to do


def test_a_payment_moves_to_another_invoice(shop: Any) -> None:
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
    shop.problem(shop.revise(made["id"], amount="40"), 422, "exceeds_amount")


def test_a_payment_moves_to_another_client(shop: Any) -> None:
    client, other = shop.client(), shop.client()
    wrong, right = shop.invoice(client), shop.invoice(other)
    made = shop.paid(invoice_id=wrong)
    shop.problem(shop.revise(made["id"], invoice_id=right), 422, "different_client")
    put = shop.revise(made["id"], invoice_id=right, client_id=other)
    assert put.status_code == 200, put.text
    assert shop.owed(client) == {"USD": "100.00"}
    assert shop.owed(other) == {"USD": "40.00"}


def test_the_invoice_learns_the_right_day(shop: Any) -> None:
    """Rule 5: received_on may change; the rest of a split is not touched by it."""
    client = shop.client(allow_overpayment=True)
    invoice = shop.invoice(client)
    parts = [{"invoice_id": invoice, "amount": "30"}]
    made = shop.paid(amount="50", allocations=parts)
    put = shop.revise(made["id"], received_on="2026-02-03")
    assert put.status_code == 200, put.text
    assert (put.json()["applied"], put.json()["amount_overpaid"]) == ("30.00", "20.00")
    assert put.json()["credit_id"] == made["credit_id"]
    total = shop.office.get(f"/api/payments/invoice/{invoice}/total").json()
    assert total["last_payment_on"] == "2026-02-03"
    assert shop.balance(invoice) == ("sent", "70.00")


def test_a_stale_copy_corrects_nothing(shop: Any) -> None:
    """R-CMD-2."""
    made = shop.paid(client_id=shop.client())
    path = f"/api/payments/{made['id']}"
    stale = shop.office.put(path, json={"note": "x"}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    assert stale.headers["etag"] == '"1"'
    right = shop.office.put(path, json={"note": "x"}, headers={"If-Match": '"1"'})
    assert right.status_code == 200


@pytest.mark.parametrize("body", [{"external_id": "x"}, {"status": "voided"}, {"amount": None}])
def test_some_fields_of_a_payment_are_not_edited(shop: Any, body: dict[str, Any]) -> None:
    """T5."""
    made = shop.paid(client_id=shop.client())
    assert shop.revise(made["id"], **body).status_code == 400


# Voiding


def test_a_voided_payment_is_owed_again(shop: Any) -> None:
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
    shop.problem(shop.revise(made["id"], note="x"), 409, "payment_voided")
    assert shop.story(made["id"]) == ["PaymentRecorded", "PaymentVoided"]


def test_the_reason_may_come_as_a_header(shop: Any) -> None:
    made = shop.paid(client_id=shop.client())
    gone = shop.office.delete(f"/api/payments/{made['id']}", headers={"X-Reason": "typing error"})
    assert gone.json()["void_reason"] == "typing error"


def test_a_payment_on_a_written_off_invoice_is_not_voided(shop: Any) -> None:
    """What was given up would no longer be the balance."""
    invoice = shop.invoice(shop.client())
    made = shop.paid(invoice_id=invoice)
    assert shop.move(invoice, status="written_off").status_code == 200
    path = f"/api/payments/{made['id']}"
    shop.problem(shop.office.delete(path), 409, "invoice_written_off")
    assert shop.revise(made["id"], note="still free").status_code == 200
    assert shop.move(invoice, status="sent").status_code == 200
    assert shop.office.delete(path).status_code == 200
    assert shop.balance(invoice) == ("sent", "100.00")


def test_what_a_gateway_moved_is_only_refunded(shop: Any) -> None:
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
    shop.problem(shop.office.delete(f"/api/payments/{payment}"), 409, "use_refund")
    for change in ({"amount": "50"}, {"currency": "EUR"}, {"fee_amount": "1"}):
        shop.problem(shop.revise(payment, **change), 409, "gateway_payment")
    assert shop.revise(payment, reference="ours", amount="60.00").status_code == 200
    assert shop.pay(client_id=client, external_id="pi_1").status_code == 201  # ours, not theirs


# Receipts


def test_a_receipt_has_a_number_of_its_own_series(shop: Any) -> None:
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


def test_an_invoice_is_paid_by_recording_the_payment(shop: Any) -> None:
    """Rule 3 of invoices: `record_payment` pays the balance."""
    client = shop.client()
    invoice = shop.invoice(client)
    shop.paid(invoice_id=invoice, amount="30")
    shop.problem(shop.move(invoice, status="paid"), 409, "wrong_state")
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


def test_two_clicks_with_one_key_are_one_payment(shop: Any) -> None:
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


def test_a_draft_is_issued_and_paid_at_once(shop: Any) -> None:
    """Rule 3 of invoices."""
    client = shop.client()
    invoice = shop.draft(client)
    pay = {"method": "cash", "reference": "till 4"}
    shop.problem(shop.move(invoice, status="paid", record_payment=pay), 409, "invoice_not_issued")
    shop.problem(shop.move(invoice, status="paid"), 409, "wrong_state")
    assert shop.story(invoice) == ["InvoiceDrafted"]
    shop.problem(shop.move(invoice, status="paid", issue_and_pay=True), 409, "wrong_state")
    assert shop.story(invoice) == ["InvoiceDrafted"]
    answer = shop.move(invoice, status="paid", issue_and_pay=True, record_payment=pay)
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "paid"
    assert answer.json()["number"] is not None
    assert shop.story(invoice) == ["InvoiceDrafted", "InvoiceSent", "InvoicePaymentApplied"]


def test_an_invoice_of_nothing_is_paid_when_it_is_issued(shop: Any) -> None:
    """Rule 4 of invoices: no payment is made for it."""
    invoice = shop.draft(shop.client(), "0")
    answer = shop.move(invoice, status="paid", issue_and_pay=True)
    assert answer.json()["status"] == "paid"
    other = shop.draft(shop.client(), "0")
    pay = {"method": "cash"}
    answer = shop.move(other, status="paid", issue_and_pay=True, record_payment=pay)
    assert answer.json()["status"] == "paid"
    assert shop.office.get("/api/payments").json()["items"] == []


def test_less_than_the_balance_does_not_make_it_paid(shop: Any) -> None:
    invoice = shop.invoice(shop.client())
    pay = {"method": "cash", "amount": "99.99"}
    no = shop.problem(shop.move(invoice, status="paid", record_payment=pay), 422, "balance_left")
    assert no["balance_due"] == "0.01"
    more = {"method": "cash", "amount": "100.01"}
    shop.problem(shop.move(invoice, status="paid", record_payment=more), 422, "exceeds_balance")
    assert shop.balance(invoice) == ("sent", "100.00")


def test_an_invoice_is_paid_in_another_currency(shop: Any) -> None:
    invoice = shop.invoice(shop.client("EUR"), "100", "EUR")
    pay: dict[str, Any] = {"method": "cash", "currency": "USD", "fx_rate": "0.8"}
    shop.problem(shop.move(invoice, status="paid", record_payment=pay), 422, "amount_needed")
    pay["amount"] = "125"
    assert shop.move(invoice, status="paid", record_payment=pay).json()["status"] == "paid"


def test_a_payment_is_recorded_only_with_the_status_paid(shop: Any) -> None:
    invoice = shop.draft(shop.client())
    answer = shop.move(invoice, status="sent", record_payment={"method": "cash"})
    shop.problem(answer, 422, "payment_without_paid")
    answer = shop.move(invoice, status="overdue")
    shop.problem(answer, 422, "derived_status")
    assert shop.story(invoice) == ["InvoiceDrafted"]


@pytest.mark.parametrize("status", ["cancelled", "written_off"])
def test_a_closed_invoice_does_not_become_paid(shop: Any, status: str) -> None:
    invoice = shop.invoice(shop.client())
    shop.move(invoice, status=status)
    shop.problem(shop.move(invoice, status="paid"), 409, "wrong_state")
    pay = {"method": "cash"}
    answer = shop.move(invoice, status="paid", record_payment=pay)
    assert answer.status_code == 409, answer.text
