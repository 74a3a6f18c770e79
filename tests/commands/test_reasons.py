"""Reasons over HTTP: any write may say why, and a workspace may insist on it."""

from typing import Any

import pytest

ACTS = ["cancel", "credit", "refund", "reopen", "erasure"]


@pytest.fixture
def strict(office: Any, shop: Any) -> Any:
    """A shop whose workspace wants a reason for all that can want one."""
    answer = office.patch("/api/workspace", json={"reason_required_for": ACTS})
    assert answer.status_code == 200, answer.text
    return shop


def because(shop: Any, reason: str) -> Any:
    """The same shop, each of whose requests says why."""
    shop.office.http.headers["X-Reason"] = reason
    return shop


def test_a_workspace_chooses_what_wants_a_reason(office: Any) -> None:
    """A25-10: nothing by default; a set, so each once and in one order."""
    assert office.get("/api/workspace").json()["reason_required_for"] == []
    asked = {"reason_required_for": ["refund", "cancel", "refund"]}
    assert office.patch("/api/workspace", json=asked).status_code == 200
    assert office.get("/api/workspace").json()["reason_required_for"] == ["cancel", "refund"]
    again = office.patch("/api/workspace", json={"reason_required_for": ["refund", "cancel"]})
    assert "x-position" not in again.headers
    other = office.patch("/api/workspace", json={"reason_required_for": ["lunch"]})
    assert other.status_code == 400


def test_without_a_reason_nothing_is_cancelled_credited_or_refunded(strict: Any) -> None:
    """A25-10: 422 `reason_required`, and nothing is recorded."""
    client_id = strict.client()
    invoice_id = strict.invoice(client_id)
    paid = strict.paid(amount="40.00", client_id=client_id)
    given = because(strict, "given").credited(client_id, amount="5.00")
    del strict.office.http.headers["X-Reason"]
    for _ in range(2):  # the first look is an entry itself
        before = strict.office.get("/api/audit/logs?limit=1").json()["items"][0]["seq"]
    answers = {
        "cancel": [
            strict.move(invoice_id, status="cancelled"),
            strict.move(invoice_id, status="written_off", reason=" "),
            strict.office.delete(f"/api/payments/{paid['id']}"),
        ],
        "credit": [
            strict.credit(client_id, amount="10.00"),
            strict.credit(client_id, type="credit_note", invoice_id=invoice_id),
            strict.do(given, "void"),
        ],
        "refund": [
            strict.refund(paid["id"]),
            strict.do(given, "refund", method="cash"),
        ],
    }
    for act, refused in answers.items():
        for answer in refused:
            assert strict.problem(answer, 422, "reason_required")["act"] == act
    after = strict.office.get("/api/audit/logs?limit=1").json()["items"][0]["seq"]
    assert after == before


def test_with_a_reason_all_of_it_is_done(strict: Any) -> None:
    """A25-10: the header says why, and the audit log keeps it."""
    client_id = strict.client()
    first, second = strict.invoice(client_id), strict.invoice(client_id)
    paid = strict.paid(amount="40.00", client_id=client_id)
    wrong = strict.paid(amount="7.00", client_id=client_id)
    because(strict, "agreed by phone")
    assert strict.move(first, status="cancelled").status_code == 200
    assert strict.move(second, status="written_off").status_code == 200
    credit = strict.credited(client_id, amount="10.00")
    assert strict.do(credit, "refund", method="cash", amount="4.00").status_code == 200
    assert strict.refund(paid["id"], amount="1.00").status_code == 200
    voided = strict.office.delete(f"/api/payments/{wrong['id']}")
    assert voided.json()["void_reason"] == "agreed by phone"
    entries = strict.office.get("/api/audit/logs").json()["items"]
    done = {entry["action"]: entry["reason"] for entry in entries}
    for action in ("InvoiceCancelled", "InvoiceWrittenOff", "CreditIssued", "PaymentRefunded"):
        assert done[action] == "agreed by phone"


def test_a_reason_in_the_body_will_do(strict: Any) -> None:
    """A25-10: whoever says why has said it, wherever the request has room for it."""
    invoice_id = strict.invoice(strict.client())
    answer = strict.move(invoice_id, status="cancelled", reason="Entered twice.")
    assert answer.json()["status"] == "cancelled"


def test_a_note_that_is_paid_out_at_once_wants_the_reason_of_a_refund(
    office: Any, shop: Any
) -> None:
    """A25-10: a refund is one by whichever way it comes about."""
    office.patch("/api/workspace", json={"reason_required_for": ["refund"]})
    client_id = shop.client()
    invoice_id = shop.invoice(client_id)
    shop.paid(amount="100.00", invoice_id=invoice_id)
    asked = {"invoice_id": invoice_id, "amount": "10.00", "type": "credit_note"}
    refunded = {**asked, "distribution": {"refund": "10.00"}, "refund_method": "cash"}
    assert shop.problem(shop.credit(client_id, **refunded), 422, "reason_required")
    assert shop.credit(client_id, **asked).status_code == 201


def test_an_answer_is_given_again_without_its_reason(strict: Any) -> None:
    """R-CMD-1: a repetition is told what was done; nobody asks it why."""
    invoice_id = strict.invoice(strict.client())
    path, body = f"/api/invoices/{invoice_id}/status", {"status": "cancelled"}
    key = {"Idempotency-Key": "once"}
    first = strict.office.patch(path, json=body, headers={**key, "X-Reason": "Wrong client."})
    again = strict.office.patch(path, json=body, headers=key)
    assert (first.status_code, again.status_code) == (200, 200), again.text
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()


def test_what_wants_no_reason_goes_on_without_one(strict: Any) -> None:
    client_id = strict.client()
    assert strict.pay(invoice_id=strict.invoice(client_id)).status_code == 201


def test_a_stranger_learns_nothing_from_what_wants_a_reason(strict: Any, house: Any) -> None:
    """T4: another workspace's invoice is not there, with or without a reason."""
    invoice_id = strict.invoice(strict.client())
    other = house.office(reason_required_for=("cancel",))
    answer = other.patch(f"/api/invoices/{invoice_id}/status", json={"status": "cancelled"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
