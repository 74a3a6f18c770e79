"""Credits over HTTP: issued, applied, taken back, voided, expired, used by themselves."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest


def ahead(days: int) -> str:
    return str((datetime.now(UTC) + timedelta(days)).date())


# Issuing


def test_a_goodwill_is_a_clients_to_spend(shop: Any) -> None:
    """A7-1: no invoice, no number; the client is owed it at once."""
    client = shop.client()
    made = shop.credited(client, amount="25", reason="goodwill", note="Sorry")
    assert (made["type"], made["status"], made["number"]) == ("goodwill", "issued", None)
    assert (made["amount"], made["remaining"], made["applied"]) == ("25.00", "25.00", "0.00")
    assert (made["currency"], made["issued_on"]) == ("USD", shop.today())
    assert shop.owed(client) == {"USD": "-25.00"}
    assert shop.available(client) == {"USD": "25.00"}
    path = f"/api/customers/{client}/credits/{made['id']}"
    read = shop.office.get(path)
    assert (read.json(), read.headers["etag"]) == (made, '"1"')
    assert shop.office.get(path + "/").json() == made
    assert shop.office.get(path, headers={"If-None-Match": '"1"'}).status_code == 304


def test_a_prepayment_may_carry_tax(shop: Any) -> None:
    """A7-1: the taxes are inside what was paid."""
    tax = {"code": "VAT", "name": "VAT", "rate": "20"}
    shop.office.made("/api/workspace/tax-codes", tax)
    made = shop.credited(shop.client(), type="prepayment", amount="120", tax_codes=["VAT"])
    (row,) = made["tax_breakdown"]
    assert (row["base"], row["tax"], row["inclusive"]) == ("100.00", "20.00", True)
    unknown = shop.credit(shop.client(), type="prepayment", amount="1", tax_codes=["GST"])
    shop.problem(unknown, 422, "unknown_tax_code")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "amount_needed"),
        ({"amount": "0"}, "amount_not_positive"),
        ({"amount": "-1"}, "amount_not_positive"),
        ({"amount": "0.001"}, "too_many_decimals"),
        ({"amount": "1", "currency": "XXQ"}, "unknown_currency"),
        ({"amount": "1", "invoice_id": str(uuid4())}, "not_a_credit_note"),
        ({"amount": "1", "distribution": {"refund": "1"}}, "not_a_credit_note"),
        ({"amount": "1", "tax_codes": ["VAT"]}, "taxes_not_taken"),
        ({"amount": "1", "expires_on": "2020-01-01"}, "expires_in_past"),
        ({"type": "prepayment", "amount": "1", "expires_on": "2099-01-01"}, "expires_not"),
        ({"type": "credit_note", "amount": "1"}, "invoice_needed"),
    ],
)
def test_a_credit_has_only_what_belongs_to_its_type(
    shop: Any, body: dict[str, Any], code: str
) -> None:
    """A7-1 and A7-2; a refused credit leaves no fact."""
    client = shop.client()
    shop.problem(shop.credit(client, **body), 422, code)
    assert shop.owed(client) == {}
    assert shop.office.get(f"/api/customers/{client}/credits").json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"amount": "NaN"},
        {"amount": "1e2"},
        {"type": "gift"},
        {"reason": "bored"},
        {"status": "applied"},
        {"remaining": "1"},
        {"payment_id": str(uuid4())},
        {"number": "CN-1"},
        {"expires_on": "soon"},
        {"lines": [{"amount": "1"}]},
        {"lines": {"invoice_line_id": str(uuid4())}},
    ],
)
def test_what_is_not_in_the_bodys_shape_is_malformed(shop: Any, body: dict[str, Any]) -> None:
    answer = shop.credit(shop.client(), **{"amount": "1", **body})
    assert answer.status_code == 400, answer.text


def test_an_archived_client_gets_no_credit_and_keeps_its_own(shop: Any) -> None:
    """A3-4."""
    client = shop.client()
    invoice = shop.invoice(client)
    gift = shop.credited(client, amount="10")
    assert shop.office.delete(f"/api/clients/{client}").status_code == 200
    shop.problem(shop.credit(client, amount="10"), 409, "archived")
    assert shop.done(gift, "apply", invoice_id=invoice)["status"] == "applied"


# Applying


def test_a_credit_settles_what_is_due(shop: Any) -> None:
    """A7-6: the lesser of what is left and what is due; the account does not move."""
    client = shop.client()
    small, large = shop.invoice(client, "30"), shop.invoice(client, "100")
    credit = shop.credited(client, amount="100")
    first = shop.done(credit, "apply", invoice_id=small)
    assert (first["applied"], first["remaining"]) == ("30.00", "70.00")
    assert (first["status"], first["version"]) == ("partially_applied", 2)
    assert shop.balance(small) == ("paid", "0.00")
    second = shop.done(credit, "apply", invoice_id=large)
    assert (second["remaining"], second["status"]) == ("0.00", "applied")
    assert shop.balance(large) == ("sent", "30.00")
    seen = shop.seen(large)
    assert (seen["payment_state"], seen["amount_credited"]) == ("partial", "70.00")
    assert [it["amount"] for it in second["applications"]] == ["30.00", "70.00"]
    assert shop.owed(client) == {"USD": "30.00"}
    assert shop.available(client) == {}
    shop.problem(shop.do(credit, "apply", invoice_id=large), 409, "credit_used")


def test_an_application_may_have_its_day(shop: Any) -> None:
    """A7-6: from the credit's day to today."""
    client = shop.client()
    invoice, credit = shop.invoice(client), shop.credited(client, amount="10")
    for day in (ahead(2), "2020-01-01"):
        answer = shop.do(credit, "apply", invoice_id=invoice, date=day)
        shop.problem(answer, 422, "applied_on_out_of_range")
    done = shop.done(credit, "apply", invoice_id=invoice, amount="4", date=shop.today())
    assert done["applications"][0]["applied_on"] == shop.today()
    assert shop.do(credit, "apply", invoice_id=invoice, date="later").status_code == 400


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"amount": "100.01"}, 422, "exceeds_balance"),
        ({"amount": "80.01"}, 422, "exceeds_remaining"),
        ({"amount": "0"}, 422, "amount_not_positive"),
        ({"amount": "1.001"}, 422, "too_many_decimals"),
        ({"invoice_id": str(uuid4())}, 404, "not_found"),
    ],
)
def test_no_more_is_applied_than_is_left_and_due(
    shop: Any, body: dict[str, Any], status: int, code: str
) -> None:
    """A7-6; a refused application leaves no fact on either."""
    client = shop.client()
    invoice, credit = shop.invoice(client), shop.credited(client, amount="80")
    shop.problem(shop.do(credit, "apply", **{"invoice_id": invoice, **body}), status, code)
    assert shop.story(invoice) == ["InvoiceDrafted", "InvoiceSent"]
    assert shop.story(credit["id"]) == ["CreditIssued"]


def test_a_credit_is_for_open_invoices_of_its_client_in_its_currency(shop: Any) -> None:
    """A7-6: else 409."""
    client = shop.client()
    credit = shop.credited(client, amount="10")

    def refused(invoice: str, code: str) -> None:
        shop.problem(shop.do(credit, "apply", invoice_id=invoice), 409, code)

    refused(shop.draft(client), "invoice_not_issued")
    refused(shop.invoice(shop.client()), "different_client")
    refused(shop.invoice(client, currency="EUR"), "currency_mismatch")
    for status in ("cancelled", "written_off"):
        closed = shop.invoice(client)
        shop.move(closed, status=status)
        refused(closed, "invoice_closed")
    settled = shop.invoice(client)
    shop.paid(invoice_id=settled, amount="100")
    refused(settled, "invoice_paid")


def test_an_application_is_taken_back(shop: Any) -> None:
    """A7-6: paid becomes sent again; a second time changes nothing."""
    client = shop.client()
    invoice, credit = shop.invoice(client), shop.credited(client, amount="100")
    applied = shop.done(credit, "apply", invoice_id=invoice)
    assert shop.balance(invoice) == ("paid", "0.00")
    part = applied["applications"][0]["application_id"]
    back = shop.done(credit, "unapply", application_id=part)
    assert (back["remaining"], back["status"]) == ("100.00", "issued")
    assert back["applications"][0]["unapplied_at"] is not None
    assert shop.balance(invoice) == ("sent", "100.00")
    assert shop.seen(invoice)["paid_at"] is None
    assert shop.done(credit, "unapply", application_id=part) == back
    unknown = shop.do(credit, "unapply", application_id=str(uuid4()))
    shop.problem(unknown, 404, "not_found")
    assert shop.story(invoice)[2:] == ["InvoiceCredited", "InvoiceCreditReversed"]
    assert shop.owed(client) == {}
    assert shop.available(client) == {"USD": "100.00"}


def test_a_written_off_invoice_keeps_its_credit(shop: Any) -> None:
    client = shop.client()
    invoice, credit = shop.invoice(client), shop.credited(client, amount="60")
    part = shop.done(credit, "apply", invoice_id=invoice)["applications"][0]["application_id"]
    shop.move(invoice, status="written_off")
    assert shop.seen(invoice)["amount_written_off"] == "40.00"
    body = {"application_id": part}
    shop.problem(shop.do(credit, "unapply", **body), 409, "invoice_written_off")
    shop.move(invoice, status="sent")
    shop.done(credit, "unapply", **body)
    assert shop.balance(invoice) == ("sent", "100.00")


def test_a_credited_invoice_is_not_cancelled(shop: Any) -> None:
    """A4-3."""
    client = shop.client()
    invoice, credit = shop.invoice(client), shop.credited(client, amount="1")
    part = shop.done(credit, "apply", invoice_id=invoice)["applications"][0]["application_id"]
    shop.problem(shop.move(invoice, status="cancelled"), 409, "has_payments")
    shop.done(credit, "unapply", application_id=part)
    assert shop.move(invoice, status="cancelled").status_code == 200


def test_a_deposit_may_be_settled_by_a_credit(shop: Any) -> None:
    """A4-8."""
    client = shop.client()
    deposit = {"type": "amount", "value": "30", "due_date": shop.today()}
    invoice = shop.lines(client, ["100"], deposit=deposit, due_date=ahead(30))
    shop.later(days=5)
    assert shop.seen(invoice["id"])["is_overdue"]
    shop.done(shop.credited(client, amount="30"), "apply", invoice_id=invoice["id"])
    assert not shop.seen(invoice["id"])["is_overdue"]
    (item,) = shop.office.get("/api/invoices").json()["items"]
    assert (item["status"], item["amount_credited"]) == ("sent", "30.00")


# Voiding and expiry


def test_an_unused_credit_is_voided(shop: Any) -> None:
    """A7-5: only if nothing of it is applied or refunded."""
    client = shop.client()
    invoice, credit = shop.invoice(client), shop.credited(client, amount="50")
    part = shop.done(credit, "apply", invoice_id=invoice, amount="1")["applications"][0]
    assert shop.problem(shop.do(credit, "void"), 409, "credit_spent")["applied"] == "1.00"
    shop.done(credit, "unapply", application_id=part["application_id"])
    gone = shop.done(credit, "void", reason="a slip")
    assert (gone["status"], gone["void_reason"], gone["remaining"]) == ("void", "a slip", "0.00")
    assert shop.done(credit, "void") == gone
    for verb, body in (("apply", {"invoice_id": invoice}), ("refund", {"method": "cash"})):
        shop.problem(shop.do(credit, verb, **body), 409, "credit_void")
    assert shop.owed(client) == {"USD": "100.00"}
    assert shop.available(client) == {}


def test_a_refund_by_bank_goes_to_an_account_of_the_client(shop: Any) -> None:
    """A7-7: one that is there, is theirs, and only where a bank carries the money."""
    client, other = shop.client(), shop.client()
    accounts = [
        shop.office.made(
            f"/api/customers/{it}/bank-accounts",
            {"type": "other", "account_number": "0012345678", "account_holder": "Acme"},
        )["id"]
        for it in (client, other)
    ]
    credit = shop.credited(client, amount="25")
    to = {"bank_account_id": accounts[0], "amount": "10"}
    shop.problem(shop.do(credit, "refund", method="cash", **to), 422, "account_not_taken")
    foreign = {"bank_account_id": accounts[1], "amount": "10"}
    assert shop.do(credit, "refund", method="bank", **foreign).status_code == 404
    done = shop.do(credit, "refund", method="bank", **to)
    assert done.status_code == 200, done.text
    (refund,) = done.json()["refunds"]
    assert (refund["bank_account_id"], done.json()["remaining"]) == (accounts[0], "15.00")


def test_a_goodwill_is_good_until_the_end_of_its_last_day(shop: Any) -> None:
    """A7-5 and R-DAT-5: no job writes it."""
    client = shop.client()
    invoice = shop.invoice(client)
    credit = shop.credited(client, amount="50", expires_on=shop.today())
    assert shop.done(credit, "apply", invoice_id=invoice, amount="10")["status"] == (
        "partially_applied"
    )
    shop.later(days=1)
    assert shop.shown(credit)["status"] == "expired"
    for verb, body in (("apply", {"invoice_id": invoice}), ("refund", {"method": "cash"})):
        shop.problem(shop.do(credit, verb, **body), 409, "credit_expired")
    assert shop.available(client) == {"USD": "0.00"}
    listed = f"/api/customers/{client}/credits"
    (item,) = shop.office.get(listed, params={"status": "expired"}).json()["items"]
    assert item["id"] == credit["id"]


# By themselves


def test_open_credits_settle_an_invoice_when_it_is_issued(shop: Any) -> None:
    """A7-8: those that expire first, then the oldest, as normal applications."""
    client = shop.client(auto_apply_credits=True)
    old, euro = (
        shop.credited(client, amount="40"),
        shop.credited(client, amount="9", currency="EUR"),
    )
    young = shop.credited(client, amount="40")
    late = shop.credited(client, amount="30", expires_on=ahead(20))
    soon = shop.credited(client, amount="10", expires_on=ahead(3))
    invoice = shop.invoice(client)
    assert shop.balance(invoice) == ("paid", "0.00")
    assert shop.seen(invoice)["amount_credited"] == "100.00"
    left = [shop.shown(it)["remaining"] for it in (soon, late, old, young, euro)]
    assert left == ["0.00", "0.00", "0.00", "20.00", "9.00"]
    part = shop.shown(old)["applications"][0]
    assert (part["invoice_id"], part["amount"]) == (invoice, "40.00")
    shop.done(old, "unapply", application_id=part["application_id"])
    assert shop.balance(invoice) == ("sent", "40.00")
    assert shop.balance(shop.invoice(client, "70")) == ("sent", "10.00")
    assert shop.available(client) == {"EUR": "9.00"}


def test_credits_wait_where_the_client_does_not_want_them_applied(shop: Any) -> None:
    """A7-8 is a setting."""
    client = shop.client()
    shop.credited(client, amount="40")
    assert shop.balance(shop.invoice(client)) == ("sent", "100.00")


def test_an_expired_credit_is_not_applied_by_itself(shop: Any) -> None:
    client = shop.client(auto_apply_credits=True)
    shop.credited(client, amount="40", expires_on=shop.today())
    shop.later(days=1)
    assert shop.balance(shop.invoice(client)) == ("sent", "100.00")


def test_a_credit_leaves_room_within_the_credit_limit(shop: Any) -> None:
    """A3-7: what the client has to their good is no debt."""
    client = shop.client(credit_limit=Decimal(100))
    shop.credited(client, amount="20")
    assert shop.balance(shop.invoice(client, "120")) == ("sent", "120.00")


# Of others


def test_ids_of_others_are_not_there(shop: Any, house: Any, shop_in: Any) -> None:
    """T3 and T4: nothing is written either."""
    theirs = shop_in(house.office())
    client, own = theirs.client(), shop.client()
    credit, invoice = theirs.credited(client, amount="50"), theirs.invoice(client)
    mine = shop.credited(own, amount="50")
    base = f"/api/customers/{client}/credits"
    for path in (base, f"{base}/{credit['id']}", f"{base}/balance/total"):
        assert shop.office.get(path).status_code == 404
    assert shop.credit(client, amount="1").status_code == 404
    bodies = {
        "apply": {"invoice_id": invoice},
        "unapply": {"application_id": str(uuid4())},
        "refund": {"method": "cash"},
        "void": {},
    }
    payment = theirs.paid(invoice_id=invoice, amount="1")["id"]
    for verb, body in bodies.items():
        assert shop.do(credit, verb, **body).status_code == 404
        assert shop.do({**credit, "client_id": own}, verb, **body).status_code == 404
        assert shop.do({**mine, "client_id": shop.client()}, verb, **body).status_code == 404
    assert shop.do(mine, "apply", invoice_id=invoice).status_code == 404
    assert shop.do(mine, "refund", method="cash", payment_id=payment).status_code == 404
    assert shop.refund(payment).status_code == 404
    assert theirs.story(credit["id"]) == ["CreditIssued"]
    assert shop.story(mine["id"]) == ["CreditIssued"]


def test_a_stale_copy_spends_nothing(shop: Any) -> None:
    """R-CMD-2."""
    client = shop.client()
    invoice, credit = shop.invoice(client), shop.credited(client, amount="50")
    path = f"/api/customers/{client}/credits/{credit['id']}/apply"
    body = {"invoice_id": invoice, "amount": "10"}
    stale = shop.office.post(path, json=body, headers={"If-Match": '"7"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"1"')
    key = {"Idempotency-Key": "once", "If-Match": '"1"'}
    first, second = (shop.office.post(path, json=body, headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert shop.balance(invoice) == ("sent", "90.00")


def test_the_audit_log_tells_of_credits(shop: Any) -> None:
    """A25: the resource type is `credit`."""
    client = shop.client()
    credit = shop.credited(client, amount="50")
    shop.done(credit, "apply", invoice_id=shop.invoice(client))
    path = f"/api/audit/resource/credit/{credit['id']}/history"
    history = shop.office.get(path).json()
    assert [it["action"] for it in history["items"]] == ["CreditIssued", "CreditApplied"]
    changed = {it["path"]: (it["old"], it["new"]) for it in history["items"][1]["changes"]}
    assert changed["applied"] == ("0", "50.00")
