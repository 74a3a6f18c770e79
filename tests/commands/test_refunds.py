"""Money paid back over HTTP, of payments and of credits; and what is kept when too much is paid."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain import collecting
from zeroinvoice.domain.collecting import RecordPayment

# Credits


def test_a_credit_is_paid_out(shop: Any) -> None:
    """A7-7: the client is owed less."""
    client = shop.client()
    credit = shop.credited(client, type="prepayment", amount="100")
    part = shop.done(
        credit, "refund", method="bank", amount="40", reference="SEPA-1", note="as agreed"
    )
    assert (part["refunded"], part["remaining"], part["status"]) == ("40.00", "60.00", "issued")
    (refund,) = part["refunds"]
    assert (refund["amount"], refund["method"], refund["reference"]) == ("40.00", "bank", "SEPA-1")
    assert (refund["refunded_on"], refund["note"]) == (shop.today(), "as agreed")
    assert shop.owed(client) == {"USD": "-60.00"}
    whole = shop.done(credit, "refund", method="cash", refunded_on="2026-01-31")
    assert (whole["remaining"], whole["status"]) == ("0.00", "refunded")
    assert whole["refunds"][1]["refunded_on"] == "2026-01-31"
    assert shop.owed(client) == {}
    shop.problem(shop.do(credit, "refund", method="cash"), 409, "credit_used")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount": "50.01"}, "exceeds_remaining"),
        ({"amount": "0"}, "amount_not_positive"),
        ({"amount": "1.001"}, "too_many_decimals"),
        ({"refunded_on": "2099-01-01"}, "refunded_in_future"),
        ({"reference": "x" * 256}, "text_too_long"),
        ({"method": "stripe"}, "not_paid_through_stripe"),
    ],
)
def test_a_refund_of_a_credit_that_does_not_fit_is_refused(
    shop: Any, body: dict[str, Any], code: str
) -> None:
    """A7-7; a refused refund leaves no fact."""
    client = shop.client()
    credit = shop.credited(client, amount="50")
    shop.problem(shop.do(credit, "refund", **{"method": "cash", **body}), 422, code)
    assert shop.story(credit["id"]) == ["CreditIssued"]
    assert shop.owed(client) == {"USD": "-50.00"}


@pytest.mark.parametrize("body", [{}, {"method": "card"}, {"method": "cash", "bank_account_id": 1}])
def test_a_refund_names_its_method(shop: Any, body: dict[str, Any]) -> None:
    client = shop.client()
    credit = shop.credited(client, amount="50")
    assert shop.do(credit, "refund", **body).status_code == 400
    payment = shop.paid(client_id=client)["id"]
    path = f"/api/payments/{payment}/refund"
    assert shop.office.post(path, json=body).status_code == 400


def test_a_refund_of_a_credit_may_name_the_clients_payment(shop: Any) -> None:
    """A7-7."""
    client = shop.client()
    credit = shop.credited(client, amount="50")
    own = shop.paid(client_id=client)["id"]
    others = shop.paid(client_id=shop.client())["id"]
    body = {"method": "bank", "amount": "1"}
    wrong = shop.do(credit, "refund", payment_id=others, **body)
    shop.problem(wrong, 409, "different_payment")
    done = shop.done(credit, "refund", payment_id=own, **body)
    assert done["refunds"][0]["payment_id"] == own


# Payments


def test_what_is_unapplied_is_paid_back_first(shop: Any) -> None:
    """A10-3: then the status says how much of it is back."""
    client = shop.client()
    payment = shop.paid(client_id=client, amount="60")
    part = shop.refund(payment["id"], amount="20", reference="R").json()
    assert (part["status"], part["refunded"], part["unapplied"]) == (
        "partially_refunded",
        "20.00",
        "40.00",
    )
    (refund,) = part["refunds"]
    assert (refund["amount"], refund["unapplied"], refund["allocations"]) == ("20.00", "20.00", [])
    whole = shop.refund(payment["id"]).json()
    assert (whole["status"], whole["refunded"], whole["unapplied"]) == ("refunded", "60.00", "0.00")
    assert shop.office.get(f"/api/payments/{payment['id']}").json() == whole
    shop.problem(shop.refund(payment["id"]), 409, "nothing_to_refund")
    shop.problem(shop.refund(payment["id"], amount="1"), 409, "nothing_to_refund")
    assert shop.owed(client) == {}


def test_the_latest_allocations_are_given_back(shop: Any) -> None:
    """A10-6 and A4-3: their invoices are owed again, paid becomes sent."""
    client = shop.client(allow_overpayment=True)
    first, second = shop.invoice(client), shop.invoice(client)
    parts = [{"invoice_id": it, "amount": "100"} for it in (first, second)]
    payment = shop.paid(amount="200", allocations=parts)
    part = shop.refund(payment["id"], amount="130").json()
    assert shop.balance(first) == ("sent", "30.00")
    assert shop.balance(second) == ("sent", "100.00")
    assert [(it["invoice_id"], it["amount"]) for it in part["allocations"]] == [(first, "70.00")]
    assert [it["amount"] for it in part["refunds"][0]["allocations"]] == ["100.00", "30.00"]
    assert part["applied"] == "70.00"
    total = shop.office.get(f"/api/payments/invoice/{first}/total").json()
    assert (total["paid"], total["refunded"], total["balance_due"]) == ("70.00", "30.00", "30.00")
    assert total["payments_count"] == 1
    assert shop.seen(second)["amount_refunded"] == "100.00"
    assert shop.owed(client) == {"USD": "130.00"}
    over = shop.refund(payment["id"], amount="70.01")
    assert shop.problem(over, 422, "exceeds_refundable")["refundable"] == "70.00"
    assert shop.refund(payment["id"]).json()["status"] == "refunded"
    assert shop.balance(first) == ("sent", "100.00")
    assert shop.move(first, status="cancelled").status_code == 200


def test_a_refunded_payment_is_neither_voided_nor_entered_anew(shop: Any) -> None:
    """A10-5 and A10-6: only what is written beside the money may change."""
    client = shop.client()
    invoice = shop.invoice(client)
    payment = shop.paid(invoice_id=invoice)["id"]
    shop.refund(payment, amount="10")
    shop.problem(shop.office.delete(f"/api/payments/{payment}"), 409, "payment_refunded")
    for change in ({"amount": "50"}, {"received_on": "2026-01-01"}):
        shop.problem(shop.revise(payment, **change), 409, "payment_refunded")
    assert shop.revise(payment, note="still free").json()["refunded"] == "10.00"
    voided = shop.paid(client_id=client)["id"]
    shop.office.delete(f"/api/payments/{voided}")
    shop.problem(shop.refund(voided), 409, "payment_voided")


def test_a_written_off_invoice_gives_nothing_back(shop: Any) -> None:
    invoice = shop.invoice(shop.client())
    payment = shop.paid(invoice_id=invoice)["id"]
    shop.move(invoice, status="written_off")
    shop.problem(shop.refund(payment), 409, "invoice_written_off")
    assert shop.story(payment) == ["PaymentRecorded"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"amount": "60.01"}, "exceeds_refundable"),
        ({"amount": "0"}, "amount_not_positive"),
        ({"amount": "1.001"}, "too_many_decimals"),
        ({"refunded_on": "2099-01-01"}, "refunded_in_future"),
        ({"refunded_on": "2020-01-01"}, "refunded_before_received"),
        ({"reference": "x" * 256}, "text_too_long"),
        ({"method": "stripe"}, "not_paid_through_stripe"),
    ],
)
def test_a_refund_of_a_payment_that_does_not_fit_is_refused(
    shop: Any, body: dict[str, Any], code: str
) -> None:
    invoice = shop.invoice(shop.client())
    payment = shop.paid(invoice_id=invoice)["id"]
    shop.problem(shop.refund(payment, **body), 422, code)
    assert shop.story(payment) == ["PaymentRecorded"]
    assert shop.balance(invoice) == ("sent", "40.00")


def test_what_came_in_through_stripe_needs_stripe_to_go_back_there(shop: Any) -> None:
    """A7-7: a refund goes to the original charge, or by another way."""
    client = shop.client()

    def charged(desk: Any) -> str:
        asked = RecordPayment(
            amount=Decimal(60), method="card", client_id=UUID(client), external_id="pi_9"
        )
        payment, _ = collecting.record(desk, asked, source="stripe")
        return str(payment.id)

    payment = shop.office.house.commit(shop.office.tenant, charged)
    shop.problem(shop.refund(payment, method="stripe"), 422, "stripe_not_connected")
    assert shop.refund(payment, method="bank").json()["status"] == "refunded"


def test_refunds_of_a_payment_in_another_currency_are_worth_it_together(shop: Any) -> None:
    """R-MON-3: each is rounded so that all of them are worth what was received."""
    client = shop.client("EUR")
    invoice = shop.invoice(client, "100.00", "EUR")
    payment = shop.paid(invoice_id=invoice, currency="USD", amount="100", fx_rate="0.33333")
    assert payment["worth"] == "33.33"
    worths = [
        shop.refund(payment["id"], amount=amount).json()["refunds"][-1]["worth"]
        for amount in ("33.34", "33.33", "33.33")
    ]
    assert worths == ["11.11", "11.11", "11.11"]
    assert shop.balance(invoice) == ("sent", "100.00")
    assert shop.owed(client) == {"EUR": "100.00"}


# Overpayments


def test_what_is_paid_too_much_becomes_a_credit(shop: Any) -> None:
    """A4-9: in the same commit, shown on the payment and on the invoice."""
    client = shop.client(allow_overpayment=True)
    invoice = shop.invoice(client)
    payment = shop.paid(invoice_id=invoice, amount="130")
    assert (payment["applied"], payment["unapplied"]) == ("100.00", "0.00")
    assert payment["amount_overpaid"] == "30.00"
    seen = shop.seen(invoice)
    assert (seen["payment_state"], seen["amount_overpaid"]) == ("overpaid", "30.00")
    assert (seen["status"], seen["amount_paid"], seen["balance_due"]) == ("paid", "100.00", "0.00")
    credit = shop.shown({"client_id": client, "id": payment["credit_id"]})
    assert (credit["type"], credit["remaining"], credit["number"]) == ("overpayment", "30.00", None)
    assert (credit["payment_id"], credit["invoice_id"]) == (payment["id"], invoice)
    assert shop.owed(client) == {"USD": "-30.00"}  # lifted once, by the payment
    other = shop.invoice(client, "50")
    shop.done(credit, "apply", invoice_id=other)
    assert shop.balance(other) == ("sent", "20.00")
    assert shop.owed(client) == {"USD": "20.00"}


def test_a_payment_goes_with_its_credit_unless_that_is_spent(shop: Any) -> None:
    """A10-6."""
    client = shop.client(allow_overpayment=True)
    invoice, other = shop.invoice(client), shop.invoice(client)
    payment = shop.paid(invoice_id=invoice, amount="130")
    credit = {"client_id": client, "id": payment["credit_id"]}
    path = f"/api/payments/{payment['id']}"
    shop.problem(shop.do(credit, "void"), 409, "credit_of_payment")
    part = shop.done(credit, "apply", invoice_id=other, amount="1")["applications"][0]
    for answer in (shop.office.delete(path), shop.revise(payment["id"], amount="120")):
        shop.problem(answer, 409, "credit_spent")
    assert shop.balance(invoice) == ("paid", "0.00")
    shop.done(credit, "unapply", application_id=part["application_id"])
    put = shop.revise(payment["id"], amount="120")
    assert put.status_code == 200, put.text
    assert put.json()["amount_overpaid"] == "20.00"
    assert put.json()["credit_id"] != credit["id"]
    assert shop.shown(credit)["status"] == "void"
    assert shop.seen(invoice)["amount_overpaid"] == "20.00"
    assert shop.available(client) == {"USD": "20.00"}
    assert shop.office.delete(path).json()["amount_overpaid"] == "0.00"
    assert shop.seen(invoice)["amount_overpaid"] == "0.00"
    assert shop.available(client) == {}
    assert shop.owed(client) == {"USD": "200.00"}


def test_a_correction_of_the_day_leaves_a_spent_credit_alone(shop: Any) -> None:
    """A10-5: the money stays where it is."""
    client = shop.client(allow_overpayment=True)
    payment = shop.paid(invoice_id=shop.invoice(client), amount="130")
    credit = {"client_id": client, "id": payment["credit_id"]}
    shop.done(credit, "apply", invoice_id=shop.invoice(client))
    put = shop.revise(payment["id"], received_on="2026-01-05")
    assert put.status_code == 200, put.text
    assert (put.json()["credit_id"], put.json()["received_on"]) == (credit["id"], "2026-01-05")
    assert shop.shown(credit)["status"] == "applied"


def test_a_payment_of_what_is_paid_keeps_its_invoice_in_corrections(shop: Any) -> None:
    """A4-9: nothing was due, so all of it is a credit."""
    client = shop.client(allow_overpayment=True)
    invoice = shop.invoice(client)
    shop.paid(invoice_id=invoice, amount="100")
    more = shop.paid(invoice_id=invoice, amount="5")
    assert shop.seen(invoice)["amount_overpaid"] == "5.00"
    put = shop.revise(more["id"], amount="7")
    assert put.json()["amount_overpaid"] == "7.00"
    assert shop.seen(invoice)["amount_overpaid"] == "7.00"
    other = shop.invoice(client)
    moved = shop.revise(more["id"], allocations=[{"invoice_id": other, "amount": "7"}])
    assert (moved.json()["applied"], moved.json()["credit_id"]) == ("7.00", None)
    assert shop.seen(invoice)["amount_overpaid"] == "0.00"
    assert shop.available(client) == {}


def test_a_refund_takes_what_is_left_of_the_credit(shop: Any) -> None:
    """G13: what the credit has paid elsewhere cannot be paid back as well."""
    client = shop.client(allow_overpayment=True)
    invoice, other = shop.invoice(client), shop.invoice(client)
    payment = shop.paid(invoice_id=invoice, amount="130")
    credit = {"client_id": client, "id": payment["credit_id"]}
    shop.done(credit, "apply", invoice_id=other, amount="10")
    over = shop.refund(payment["id"], amount="120.01")
    assert shop.problem(over, 422, "exceeds_refundable")["refundable"] == "120.00"
    back = shop.refund(payment["id"]).json()
    assert (back["refunded"], back["status"]) == ("120.00", "partially_refunded")
    refund = back["refunds"][0]
    assert (refund["overpaid"], refund["allocations"][0]["amount"]) == ("20.00", "100.00")
    assert shop.shown(credit)["remaining"] == "0.00"
    assert shop.balance(invoice) == ("sent", "100.00")
    assert shop.seen(invoice)["amount_overpaid"] == "10.00"
    assert shop.owed(client) == {"USD": "190.00"}
    shop.problem(shop.refund(payment["id"]), 409, "nothing_to_refund")


def test_an_overpayment_that_is_paid_out_is_paid_back_of_its_payment(shop: Any) -> None:
    """A7-7: both tell of it, and it is paid back once."""
    client = shop.client(allow_overpayment=True)
    invoice = shop.invoice(client)
    payment = shop.paid(invoice_id=invoice, amount="130")
    credit = {"client_id": client, "id": payment["credit_id"]}
    shop.done(credit, "refund", method="bank", amount="12")
    seen = shop.office.get(f"/api/payments/{payment['id']}").json()
    assert (seen["status"], seen["refunded"]) == ("partially_refunded", "12.00")
    assert seen["refunds"][0]["overpaid"] == "12.00"
    assert shop.seen(invoice)["amount_overpaid"] == "18.00"
    over = shop.refund(payment["id"], amount="118.01")
    assert shop.problem(over, 422, "exceeds_refundable")["refundable"] == "118.00"
    assert shop.owed(client) == {"USD": "-18.00"}
