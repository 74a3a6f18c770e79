"""Payments over HTTP: recorded, split, and refused where they do not fit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

# Recording


def test_a_payment_settles_a_part_of_an_invoice(shop: Any) -> None:
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


def test_the_whole_balance_makes_the_invoice_paid(shop: Any) -> None:
    """Rule 3 of invoices."""
    client = shop.client()
    invoice = shop.invoice(client)
    shop.paid(invoice_id=invoice, amount=100)
    assert shop.balance(invoice) == ("paid", "0.00")
    assert shop.seen(invoice)["paid_at"] is not None
    assert shop.owed(client) == {}


def test_a_payment_is_read_back_as_it_was_answered(shop: Any) -> None:
    invoice = shop.invoice(shop.client())
    made = shop.paid(invoice_id=invoice)
    read = shop.office.get(f"/api/payments/{made['id']}")
    assert read.json() == made
    assert read.headers["etag"] == '"1"'
    assert shop.office.get(f"/api/payments/{made['id']}/").json() == made


def test_one_payment_is_split_over_several_invoices(shop: Any) -> None:
    """Rule 1: the allocations add up to no more than the amount."""
    client = shop.client(allow_overpayment=True)
    first, second = shop.invoice(client), shop.invoice(client, "50.00")
    parts = [{"invoice_id": first, "amount": "70"}, {"invoice_id": second, "amount": "50"}]
    made = shop.paid(amount="130", allocations=parts)
    assert (made["applied"], made["unapplied"], made["amount_overpaid"]) == (
        "120.00",
        "0.00",
        "10.00",
    )
    assert shop.balance(first) == ("sent", "30.00")
    assert shop.balance(second) == ("paid", "0.00")
    assert shop.owed(client) == {"USD": "20.00"}  # 30 still due less a credit of 10
    over = shop.pay(amount="119.99", allocations=parts)
    shop.problem(over, 422, "exceeds_amount")


def test_allocations_that_leave_a_rest_follow_the_rule_of_overpayments(shop: Any) -> None:
    """Rule 1: the rest becomes a credit only where the client may overpay."""
    invoice = shop.invoice(shop.client())
    answer = shop.pay(amount="80", allocations=[{"invoice_id": invoice, "amount": "50"}])
    assert shop.problem(answer, 422, "exceeds_balance")["balance_due"] == "100.00"


def test_an_invoice_stands_once_among_the_allocations(shop: Any) -> None:
    invoice = shop.invoice(shop.client())
    part = {"invoice_id": invoice, "amount": "10"}
    shop.problem(shop.pay(amount="20", allocations=[part, part]), 422, "invoice_twice")
    both = shop.pay(amount="10", invoice_id=invoice, allocations=[part])
    shop.problem(both, 422, "two_targets")
    assert shop.story(invoice) == ["InvoiceDrafted", "InvoiceSent"]


def test_a_payment_for_no_invoice_is_the_clients_until_it_is_allocated(shop: Any) -> None:
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
    shop.problem(shop.pay(), 422, "client_needed")


# Targets


def test_a_draft_takes_no_payment(shop: Any) -> None:
    """Rule 2."""
    invoice = shop.draft(shop.client())
    shop.problem(shop.pay(invoice_id=invoice), 409, "invoice_not_issued")
    assert shop.story(invoice) == ["InvoiceDrafted"]


@pytest.mark.parametrize("status", ["cancelled", "written_off"])
def test_a_closed_invoice_takes_no_payment(shop: Any, status: str) -> None:
    """Rule 2."""
    invoice = shop.invoice(shop.client())
    assert shop.move(invoice, status=status).status_code == 200
    shop.problem(shop.pay(invoice_id=invoice), 409, "invoice_closed")


def test_a_payment_is_for_one_client(shop: Any) -> None:
    """Rule 2."""
    client, other = shop.client(), shop.client()
    invoice, others = shop.invoice(client), shop.invoice(other)
    shop.problem(shop.pay(invoice_id=invoice, client_id=other), 422, "different_client")
    parts = [{"invoice_id": invoice, "amount": "1"}, {"invoice_id": others, "amount": "1"}]
    shop.problem(shop.pay(amount="2", allocations=parts), 422, "different_client")


def test_another_currency_needs_its_rate(shop: Any) -> None:
    """Rule 2: the rate says what one of the payment's currency is in the invoice's."""
    client = shop.client("EUR")
    invoice = shop.invoice(client, "100.00", "EUR")
    shop.problem(shop.pay(invoice_id=invoice, currency="USD"), 422, "currency_mismatch")
    made = shop.paid(invoice_id=invoice, currency="USD", amount="60.05", fx_rate="0.9")
    assert (made["amount"], made["currency"]) == ("60.05", "USD")
    # 54.045 is rounded half away from zero
    assert (made["worth"], made["worth_currency"], made["applied"]) == ("54.05", "EUR", "54.05")
    assert (made["fx_rate"], made["fx_currency"]) == ("0.9", "EUR")
    assert shop.balance(invoice) == ("sent", "45.95")
    assert shop.owed(client) == {"EUR": "45.95"}
    shop.problem(shop.pay(invoice_id=invoice, currency="USD", fx_rate="0"), 422, "bad_fx_rate")
    small = shop.pay(invoice_id=invoice, currency="USD", amount="0.01", fx_rate="0.1")
    shop.problem(small, 422, "amount_not_positive")


def test_a_rate_to_the_base_currency_is_kept(shop: Any) -> None:
    """R-MON-12: in the invoice's own currency the rate is to the workspace's."""
    client = shop.client("EUR")
    made = shop.paid(client_id=client, fx_rate="1.1")
    assert (made["currency"], made["worth"], made["fx_currency"]) == ("EUR", "60.00", "USD")
    shop.problem(shop.pay(client_id=shop.client(), fx_rate="1.1"), 422, "bad_fx_rate")


def test_invoices_in_two_currencies_are_not_paid_at_once(shop: Any) -> None:
    client = shop.client()
    invoices = shop.invoice(client), shop.invoice(client, "100", "EUR")
    parts = [{"invoice_id": it, "amount": "1"} for it in invoices]
    shop.problem(shop.pay(amount="2", allocations=parts), 422, "currency_mismatch")


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
    shop: Any, body: dict[str, Any], code: str
) -> None:
    """Rule 1 and R-MON-1; a refused payment leaves no fact."""
    invoice = shop.invoice(shop.client())
    shop.problem(shop.pay(invoice_id=invoice, **body), 422, code)
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
def test_what_is_not_in_the_body_s_shape_is_malformed(shop: Any, body: dict[str, Any]) -> None:
    answer = shop.pay(**{"client_id": str(uuid4()), **body})
    assert answer.status_code == 400, answer.text


def test_money_is_not_received_in_the_future(shop: Any) -> None:
    """R-DAT-2: the future begins after today in the workspace's zone."""
    client = shop.client()
    tomorrow = str((datetime.now(UTC) + timedelta(days=2)).date())
    shop.problem(shop.pay(client_id=client, received_on=tomorrow), 422, "received_in_future")
    made = shop.paid(client_id=client, received_on="2026-01-31")
    assert made["received_on"] == "2026-01-31"


def test_today_is_the_workspaces(house: Any, shop_in: Any) -> None:
    """R-DAT-2."""
    east, west = (
        shop_in(house.office(time_zone=zone))
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago")
    )
    days = [it.paid(client_id=it.client())["received_on"] for it in (east, west)]
    assert days[0] > days[1]


def test_ids_of_others_are_not_there(shop: Any, house: Any, shop_in: Any) -> None:
    """T4: nothing is written either."""
    theirs = shop_in(house.office())
    client = theirs.client()
    invoice = theirs.invoice(client)
    payment = theirs.paid(invoice_id=invoice)["id"]
    part = {"invoice_id": invoice, "amount": "1"}
    for body in ({"invoice_id": invoice}, {"client_id": client}, {"allocations": [part]}):
        shop.problem(shop.pay(**body), 404, "not_found")
    assert shop.office.get(f"/api/payments/{payment}").status_code == 404
    assert shop.revise(payment, note="x").status_code == 404
    assert shop.office.delete(f"/api/payments/{payment}").status_code == 404
    own = shop.paid(client_id=shop.client())["id"]
    assert shop.revise(own, invoice_id=invoice).status_code == 404
    assert theirs.story(payment) == ["PaymentRecorded"]


def test_an_id_of_another_kind_is_not_there(shop: Any) -> None:
    client = shop.client()
    assert shop.pay(invoice_id=client).status_code == 404
    assert shop.pay(client_id=shop.invoice(client)).status_code == 404


# Overpayment and part payments


def test_more_than_is_due_is_refused(shop: Any) -> None:
    """Rule 9 of invoices."""
    invoice = shop.invoice(shop.client())
    no = shop.problem(shop.pay(invoice_id=invoice, amount="100.01"), 422, "exceeds_balance")
    assert (no["balance_due"], no["currency"]) == ("100.00", "USD")
    shop.paid(invoice_id=invoice, amount="100")
    again = shop.pay(invoice_id=invoice, amount="1")
    assert shop.problem(again, 422, "exceeds_balance")["balance_due"] == "0.00"


def test_an_overpayment_stays_the_clients(shop: Any) -> None:
    """Rule 9 of invoices: never a negative balance."""
    client = shop.client(allow_overpayment=True)
    invoice = shop.invoice(client)
    made = shop.paid(invoice_id=invoice, amount="130")
    assert (made["applied"], made["amount_overpaid"]) == ("100.00", "30.00")
    assert shop.balance(invoice) == ("paid", "0.00")
    assert shop.owed(client) == {"USD": "-30.00"}
    more = shop.paid(invoice_id=invoice, amount="5")
    assert (more["allocations"], more["amount_overpaid"]) == ([], "5.00")


def test_a_client_inherits_whether_it_may_overpay(house: Any, shop_in: Any) -> None:
    """Rule 6 of clients: what is unset is the workspace's."""
    shop = shop_in(house.office(overpayment="credit"))
    assert shop.paid(invoice_id=shop.invoice(shop.client()), amount="101")["credit_id"] is not None
    strict = shop.invoice(shop.client(allow_overpayment=False))
    shop.problem(shop.pay(invoice_id=strict, amount="101"), 422, "exceeds_balance")


def test_a_client_may_have_to_pay_whole(shop: Any) -> None:
    invoice = shop.invoice(shop.client(allow_partial=False))
    shop.problem(shop.pay(invoice_id=invoice), 422, "partial_not_allowed")
    shop.paid(invoice_id=invoice, amount="100")


def test_a_part_payment_may_have_a_least_amount(shop: Any) -> None:
    invoice = shop.invoice(shop.client(min_partial_amount=Decimal("50.00")))
    shop.problem(shop.pay(invoice_id=invoice, amount="49.99"), 422, "below_min_partial_amount")
    shop.paid(invoice_id=invoice, amount="60")
    shop.paid(invoice_id=invoice, amount="40")  # the rest is whole
