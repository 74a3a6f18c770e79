"""Credit notes over HTTP: what they take back, in whole cents, and what becomes of it."""

from decimal import Decimal
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

T3 = ["68.33", "68.33", "57.50", "85.00"]


def of_line(invoice: dict[str, Any], number: int, **more: Any) -> dict[str, Any]:
    return {"invoice_line_id": invoice["line_items"][number]["id"], **more}


def test_a_credit_note_has_a_number_of_its_own_series(shop: Any) -> None:
    """A7-1: of one issued invoice, by its lines, with its taxes."""
    client = shop.client()
    invoice = shop.lines(client, ["100", "50"], tax_rate="20")
    note = shop.noted(
        client, invoice["id"], lines=[of_line(invoice, 1)], reason="duplicate", note="Sent twice"
    )
    assert note["number"] == f"CN-{shop.today()[:4]}-00001"
    assert (note["type"], note["reason"], note["note"]) == (
        "credit_note",
        "duplicate",
        "Sent twice",
    )
    assert (note["invoice_id"], note["invoice_number"]) == (invoice["id"], invoice["number"])
    assert (note["net_total"], note["tax_total"], note["total"]) == ("50.00", "10.00", "60.00")
    (line,) = note["lines"]
    assert (line["invoice_line_id"], line["amount"]) == (invoice["line_items"][1]["id"], "50.00")
    (row,) = note["tax_breakdown"]
    assert (row["base"], row["rate"], row["tax"]) == ("50.00", "20", "10.00")
    second = shop.noted(client, invoice["id"], lines=[of_line(invoice, 0)])
    assert second["number"].endswith("00002")
    assert shop.shown(note) == note
    notes = shop.seen(invoice["id"])["credit_notes"]
    assert [(it["number"], it["total"]) for it in notes] == [
        (note["number"], "60.00"),
        (second["number"], "120.00"),
    ]


@pytest.mark.parametrize("order", list(permutations(range(4)))[::5])
def test_notes_line_by_line_add_up_to_the_invoice(shop: Any, order: tuple[int, ...]) -> None:
    """T3: the naive sum would be 335.00."""
    client = shop.client()
    invoice = shop.lines(client, T3, tax_rate="20")
    assert invoice["total"] == "334.99"
    totals = [
        shop.noted(client, invoice["id"], lines=[of_line(invoice, number)])["total"]
        for number in order
    ]
    if order == (0, 1, 2, 3):
        assert totals == ["82.00", "81.99", "69.00", "102.00"]
    assert sum(map(Decimal, totals)) == Decimal("334.99")
    assert shop.balance(invoice["id"]) == ("paid", "0.00")
    assert shop.owed(client) == {}
    again = shop.credit(client, type="credit_note", invoice_id=invoice["id"])
    shop.problem(again, 409, "nothing_to_credit")


@pytest.mark.parametrize(
    ("currency", "prices", "more", "total"),
    [
        ("USD", ["19.99", "0.03", "5"], {"tax_mode": "inclusive", "tax_rate": "7"}, "25.02"),
        ("JPY", ["333", "999", "50"], {"tax_rate": "8"}, "1493"),
        ("KWD", ["1.234", "0.001", "7.5"], {"tax_rate": "5"}, "9.172"),
        (
            "USD",
            ["33.33", "33.33", "33.34"],
            {"tax_rate": "19", "discount": {"type": "amount", "value": "10"}},
            "107.10",
        ),
    ],
)
def test_halves_and_rests_add_up_in_every_currency(
    shop: Any, currency: str, prices: list[str], more: dict[str, Any], total: str
) -> None:
    """A7-4: inclusive prices, other digits, a document's discount."""
    client = shop.client(currency)
    invoice = shop.lines(client, prices, **more)
    assert invoice["total"] == total
    first = of_line(invoice, 0, amount=str(Decimal(prices[0]) - Decimal(prices[0]) // 3))
    notes = [shop.noted(client, invoice["id"], lines=[it]) for it in (first, of_line(invoice, 2))]
    notes.append(shop.noted(client, invoice["id"]))  # all that is left
    for name in ("subtotal", "discount_total", "net_total", "tax_total", "total"):
        assert sum(Decimal(it[name]) for it in notes) == Decimal(invoice[name]), name
    assert shop.balance(invoice["id"])[0] == "paid"


def test_what_was_withheld_is_not_credited(shop: Any) -> None:
    """R-MON-8: the customer never paid it, so a note is worth less than its total."""
    office = shop.office
    for code, rate, withholding in (("VAT", "19", False), ("WHT", "15", True)):
        tax = {"code": code, "name": code, "rate": rate, "withholding": withholding}
        office.made("/api/workspace/tax-codes", tax)
    client = shop.client()
    line = {"description": "Work", "unit_price": "100", "tax_codes": ["VAT", "WHT"]}
    made = office.made("/api/invoices", {"client_id": client, "line_items": [line]})
    assert shop.move(made["id"], status="sent").json()["balance_due"] == "104.00"
    note = shop.noted(client, made["id"])
    assert (note["total"], note["withheld"], note["amount"]) == ("119.00", "-15.00", "104.00")
    assert shop.balance(made["id"]) == ("paid", "0.00")
    assert shop.owed(client) == {}


def test_a_quantity_of_a_line_is_credited(shop: Any) -> None:
    """A7-2: three thirds of a line are the line."""
    client = shop.client()
    line = {"description": "Hours", "unit_price": "33.3333", "quantity": 3}
    made = shop.office.made("/api/invoices", {"client_id": client, "line_items": [line]})
    invoice = shop.move(made["id"], status="sent").json()
    assert invoice["total"] == "100.00"
    totals = []
    for _ in range(3):
        note = shop.noted(client, invoice["id"], lines=[of_line(invoice, 0, quantity=1)])
        assert note["lines"][0]["quantity"] == "1"
        totals.append(note["total"])
    assert totals == ["33.33", "33.34", "33.33"]
    assert shop.balance(invoice["id"]) == ("paid", "0.00")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"amount": "100.01"}, "exceeds_line"),
        ({"amount": "0"}, "exceeds_line"),
        ({"amount": "-1"}, "exceeds_line"),
        ({"amount": "0.001"}, "too_many_decimals"),
        ({"quantity": "1.5"}, "exceeds_line"),
        ({"quantity": "0"}, "exceeds_line"),
        ({"quantity": "1", "amount": "1"}, "two_amounts"),
        ({"invoice_line_id": str(uuid4())}, "unknown_line"),
    ],
)
def test_no_more_of_a_line_is_credited_than_it_has(
    shop: Any, line: dict[str, Any], code: str
) -> None:
    """A7-3; a refused note leaves no fact and takes no number."""
    client = shop.client()
    invoice = shop.lines(client, ["100", "50"])
    body = {"type": "credit_note", "invoice_id": invoice["id"]}
    answer = shop.credit(client, lines=[{**of_line(invoice, 0), **line}], **body)
    shop.problem(answer, 422, code)
    twice = shop.credit(client, lines=[of_line(invoice, 0)] * 2, **body)
    shop.problem(twice, 422, "line_twice")
    assert shop.story(invoice["id"]) == ["InvoiceDrafted", "InvoiceSent"]
    assert shop.noted(client, invoice["id"])["number"].endswith("00001")


def test_a_line_is_credited_only_once(shop: Any) -> None:
    """A7-3: less what was credited of it before."""
    client = shop.client()
    invoice = shop.lines(client, ["100", "50"])
    shop.noted(client, invoice["id"], lines=[of_line(invoice, 0, amount="70")])
    body = {"type": "credit_note", "invoice_id": invoice["id"]}
    over = shop.credit(client, lines=[of_line(invoice, 0, amount="30.01")], **body)
    assert shop.problem(over, 422, "exceeds_line")["creditable"] == "30.00"
    assert shop.noted(client, invoice["id"], lines=[of_line(invoice, 0)])["amount"] == "30.00"


def test_a_deduction_does_not_lift_what_can_be_credited(shop: Any) -> None:
    """A7-3: in all, no more than the invoice's total."""
    client = shop.client()
    invoice = shop.lines(client, ["100", "-30"])
    body = {"type": "credit_note", "invoice_id": invoice["id"]}
    over = shop.credit(client, lines=[of_line(invoice, 0)], **body)
    assert shop.problem(over, 422, "exceeds_invoice")["creditable"] == "70.00"
    less = shop.credit(client, lines=[of_line(invoice, 1)], **body)
    shop.problem(less, 422, "amount_not_positive")
    assert shop.noted(client, invoice["id"])["amount"] == "70.00"


def test_an_amount_is_spread_over_the_lines(shop: Any) -> None:
    """A7-2: taxes and all; some amounts cannot be reached, and the rest always can."""
    client = shop.client()
    invoice = shop.lines(client, T3, tax_rate="20")
    body = {"type": "credit_note", "invoice_id": invoice["id"]}
    note = shop.noted(client, invoice["id"], amount="100")
    assert note["amount"] == "100.00"
    assert sum(Decimal(it["amount"]) for it in note["lines"]) == Decimal("83.33")
    shop.problem(shop.credit(client, amount="235", **body), 422, "exceeds_invoice")
    shop.problem(shop.credit(client, amount="0.05", **body), 422, "amount_out_of_reach")
    assert shop.noted(client, invoice["id"], amount="234.99")["amount"] == "234.99"
    assert shop.balance(invoice["id"]) == ("paid", "0.00")


def test_a_note_on_an_unpaid_invoice_lowers_its_balance(shop: Any) -> None:
    """T14: 100, a note of 30, a payment of 70; then at most 70 more, and 70 refundable."""
    client = shop.client()
    invoice = shop.invoice(client)
    note = shop.noted(client, invoice, amount="30")
    assert (note["applied"], note["remaining"], note["status"]) == ("30.00", "0.00", "applied")
    assert shop.balance(invoice) == ("sent", "70.00")
    assert shop.seen(invoice)["amount_credited"] == "30.00"
    shop.paid(invoice_id=invoice, amount="70")
    assert shop.balance(invoice) == ("paid", "0.00")
    body = {"type": "credit_note", "invoice_id": invoice}
    over = shop.problem(shop.credit(client, amount="70.01", **body), 422, "exceeds_invoice")
    assert over["creditable"] == "70.00"
    back = {"refund": "50"}
    more = shop.credit(client, amount="50", distribution=back, refund_method="cash", **body)
    assert more.status_code == 201, more.text
    assert (more.json()["refunded"], more.json()["status"]) == ("50.00", "refunded")
    assert shop.balance(invoice) == ("paid", "0.00")
    last = shop.noted(client, invoice, amount="20")
    assert (last["remaining"], last["status"]) == ("20.00", "issued")
    shop.done(last, "refund", method="bank", amount="20")
    total = shop.office.get(f"/api/payments/invoice/{invoice}/total").json()
    assert (total["paid"], total["credited"], total["refunded"]) == ("70.00", "30.00", "70.00")
    assert shop.owed(client) == {}


def test_no_more_is_refunded_than_payments_brought_in(shop: Any) -> None:
    """A7-3: what a goodwill had settled is not paid out by a credit note."""
    client = shop.client()
    invoice = shop.invoice(client)
    gift = shop.credited(client, amount="60")
    shop.done(gift, "apply", invoice_id=invoice)
    payment = shop.paid(invoice_id=invoice, amount="40")
    body = {"type": "credit_note", "invoice_id": invoice, "amount": "100"}
    over = shop.credit(client, distribution={"refund": "100"}, **body)
    assert shop.problem(over, 422, "exceeds_paid")["refundable"] == "40.00"
    note = shop.noted(client, invoice, distribution={"refund": "30", "keep_as_credit": "70"})
    assert (note["refunded"], note["remaining"]) == ("30.00", "70.00")
    shop.problem(shop.do(note, "refund", method="cash", amount="11"), 422, "exceeds_paid")
    assert shop.done(note, "refund", method="cash", amount="10")["remaining"] == "60.00"
    # What was paid out must stay paid, or it would be paid out twice.
    again = shop.refund(payment["id"], amount="1")
    shop.problem(again, 409, "refunded_by_credit_note")
    path = f"/api/payments/{payment['id']}"
    shop.problem(shop.office.delete(path), 409, "refunded_by_credit_note")
    shop.problem(shop.revise(payment["id"], amount="39"), 409, "refunded_by_credit_note")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"apply_to_invoice": "100"}, "distribution_mismatch"),
        ({"apply_to_invoice": "60", "keep_as_credit": "41"}, "distribution_mismatch"),
        ({"apply_to_invoice": "101", "refund": "-1"}, "distribution_mismatch"),
        ({"keep_as_credit": "100"}, "balance_first"),
        ({"apply_to_invoice": "59", "refund": "41"}, "balance_first"),
        ({"apply_to_invoice": "60.001", "refund": "39.999"}, "too_many_decimals"),
    ],
)
def test_a_distribution_adds_up_and_settles_the_invoice_first(
    shop: Any, parts: dict[str, str], code: str
) -> None:
    """A7-2 and A7-3."""
    client = shop.client()
    invoice = shop.invoice(client)
    shop.paid(invoice_id=invoice, amount="40")
    if code == "distribution_mismatch" and len(parts) == 1:
        parts = {"apply_to_invoice": "99"}
    body = {"type": "credit_note", "invoice_id": invoice, "amount": "100"}
    shop.problem(shop.credit(client, distribution=parts, **body), 422, code)
    assert shop.balance(invoice) == ("sent", "60.00")
    right = {"apply_to_invoice": "60", "keep_as_credit": "30", "refund": "10"}
    note = shop.credit(client, distribution=right, **body).json()
    assert (note["applied"], note["refunded"], note["remaining"]) == ("60.00", "10.00", "30.00")
    assert note["status"] == "partially_applied"
    assert shop.balance(invoice) == ("paid", "0.00")
    assert shop.owed(client) == {"USD": "-30.00"}


@pytest.mark.parametrize(
    ("status", "code"), [(None, "invoice_not_issued"), ("cancelled", "invoice_closed"),
                         ("written_off", "invoice_closed")],
)  # fmt: skip
def test_a_note_is_for_an_issued_invoice(shop: Any, status: str | None, code: str) -> None:
    """A7-1."""
    client = shop.client()
    invoice = shop.draft(client)
    if status:
        shop.move(invoice, status="sent")
        shop.move(invoice, status=status)
    answer = shop.credit(client, type="credit_note", invoice_id=invoice)
    shop.problem(answer, 409, code)


def test_a_credited_invoice_is_not_cancelled(shop: Any) -> None:
    """A4-3, also when the note's money was moved away again."""
    client = shop.client()
    invoice = shop.invoice(client)
    note = shop.noted(client, invoice, amount="30")
    shop.problem(shop.move(invoice, status="cancelled"), 409, "has_payments")
    (part,) = note["applications"]
    shop.done(note, "unapply", application_id=part["application_id"])
    shop.problem(shop.move(invoice, status="cancelled"), 409, "has_payments")
    assert shop.done(note, "void", reason="wrong")["status"] == "void"
    assert shop.move(invoice, status="cancelled").status_code == 200
    assert shop.owed(client) == {}


def test_a_voided_note_gives_its_lines_back(shop: Any) -> None:
    """A7-5 and A7-4."""
    client = shop.client()
    invoice = shop.lines(client, T3, tax_rate="20")
    first = shop.noted(client, invoice["id"], lines=[of_line(invoice, 0)])
    second = shop.noted(client, invoice["id"], lines=[of_line(invoice, 1)])
    assert (first["total"], second["total"]) == ("82.00", "81.99")
    shop.problem(shop.do(first, "void"), 409, "credit_spent")
    shop.done(first, "unapply", application_id=first["applications"][0]["application_id"])
    shop.done(first, "void")
    rest = shop.noted(client, invoice["id"])
    assert rest["total"] == "253.00"  # with 81.99 that is 334.99
    assert shop.balance(invoice["id"]) == ("paid", "0.00")
    assert shop.owed(client) == {}


def test_a_credit_note_s_invoice_is_the_clients_own(shop: Any, house: Any, shop_in: Any) -> None:
    """T4."""
    client, other = shop.client(), shop.client()
    theirs = shop_in(house.office())
    foreign = theirs.invoice(theirs.client())
    body = {"type": "credit_note", "amount": "10"}
    shop.problem(shop.credit(client, invoice_id=foreign, **body), 404, "not_found")
    shop.problem(shop.credit(client, invoice_id=str(uuid4()), **body), 404, "not_found")
    own = shop.invoice(client)
    shop.problem(shop.credit(other, invoice_id=own, **body), 409, "different_client")
    wrong = shop.credit(client, invoice_id=own, currency="EUR", **body)
    shop.problem(wrong, 409, "currency_mismatch")
    assert theirs.story(foreign) == ["InvoiceDrafted", "InvoiceSent"]
