"""Undoing a merge over HTTP: what goes back, what stays, what is refused, and the history."""

from typing import Any
from uuid import uuid4


def test_undoing_at_once_is_as_if_nothing_had_been(pair: Any) -> None:
    """A3-13 and A3-15: both clients and all lists are what they were."""
    shop = pair.shop
    invoice = shop.invoice(pair.gone)
    shop.paid(invoice_id=invoice, amount="40.00")
    shop.credited(pair.gone, amount="5.00")
    pair.office.put(f"/api/clients/{pair.gone}", json={"tax_id": "T1", "tags": ["a"]})
    before = pair.everything()
    back = pair.undone(pair.merged())
    assert (back["returned_ids"], back["kept_changes"], back["kept_with_primary"]) == (
        [pair.gone],
        [],
        [],
    )
    assert back["primary"]["tax_id"] is None
    assert pair.everything() == before


def test_an_invoice_paid_since_goes_back_with_its_payment(pair: Any) -> None:
    """A3-13 and A3-14: so do credits and notes for it; what is new stays with the primary."""
    shop = pair.shop
    invoice = shop.invoice(pair.gone)
    made = pair.merged()
    payment = shop.paid(invoice_id=invoice, amount="20.00")
    note = shop.noted(pair.keep, invoice, amount="30.00")
    credit = shop.credited(pair.keep, amount="15.00")
    shop.done(credit, "apply", invoice_id=invoice, amount="10.00")
    new, free = shop.invoice(pair.keep), shop.credited(pair.keep, amount="7.00")
    unapplied = shop.paid(client_id=pair.keep, amount="3.00")
    pair.undone(made)
    assert {it["id"] for it in pair.invoices(pair.gone)} == {invoice}
    assert {it["id"] for it in pair.invoices(pair.keep)} == {new}
    assert {it["id"] for it in pair.payments(pair.gone)} == {payment["id"]}
    assert {it["id"] for it in pair.payments(pair.keep)} == {unapplied["id"]}
    assert {it["id"] for it in pair.credits(pair.gone)} == {note["id"], credit["id"]}
    assert {it["id"] for it in pair.credits(pair.keep)} == {free["id"]}
    assert shop.balance(invoice) == ("sent", "40.00")
    assert (shop.available(pair.gone), shop.available(pair.keep)) == (
        {"USD": "5.00"},
        {"USD": "7.00"},
    )
    assert (shop.owed(pair.gone), shop.owed(pair.keep)) == ({"USD": "35.00"}, {"USD": "90.00"})


def test_an_overpayment_goes_back_with_its_credit(pair: Any) -> None:
    """A3-14: the rest of a payment belongs to whom the invoice belongs to."""
    settings = {"allow_overpayment": True}
    pair.office.patch(f"/api/clients/{pair.keep}/payment-settings", json=settings)
    invoice = pair.shop.invoice(pair.gone)
    made = pair.merged()
    payment = pair.shop.paid(invoice_id=invoice, amount="120.00")
    pair.undone(made)
    assert [it["id"] for it in pair.credits(pair.gone)] == [payment["credit_id"]]
    assert pair.shop.available(pair.gone) == {"USD": "20.00"}
    assert pair.shop.owed(pair.gone) == {"USD": "-20.00"}


def test_a_payment_of_both_is_entangled_unless_it_is_kept(pair: Any) -> None:
    """A3-14: refused with the list; kept, the payment stays and the invoices part."""
    shop = pair.shop
    mine, theirs = shop.invoice(pair.keep), shop.invoice(pair.gone)
    made = pair.merged()
    parts = [{"invoice_id": it, "amount": "60.00"} for it in (mine, theirs)]
    payment = shop.paid(amount="120.00", allocations=parts)
    facts = len(shop.story(made["merge_id"]))
    problem = shop.problem(pair.undo(made), 409, "merge_entangled")
    assert problem["entangled"] == [
        {
            "kind": "payment",
            "id": payment["id"],
            "client_id": pair.keep,
            "invoice_id": theirs,
            "invoice_client_id": pair.gone,
        }
    ]
    (entry,) = pair.history(pair.keep)
    assert (entry["undoable"], entry["blocked_by"]["code"]) == (False, "merge_entangled")
    assert entry["blocked_by"]["entangled"] == problem["entangled"]
    assert len(shop.story(made["merge_id"])) == facts
    back = pair.undone(made, on_entangled="keep_with_primary")
    assert back["kept_with_primary"] == problem["entangled"]
    assert [it["id"] for it in pair.payments(pair.keep)] == [payment["id"]]
    assert pair.payments(pair.gone) == []
    assert [it["id"] for it in pair.invoices(pair.gone)] == [theirs]
    assert (shop.owed(pair.keep), shop.owed(pair.gone)) == ({"USD": "40.00"}, {"USD": "40.00"})
    voided = pair.office.delete(f"/api/payments/{payment['id']}")
    assert voided.status_code == 200
    assert (shop.owed(pair.keep), shop.owed(pair.gone)) == ({"USD": "100.00"}, {"USD": "100.00"})


def test_what_joins_two_duplicates_of_one_merge_is_entangled(pair: Any) -> None:
    """A3-14: both go back, each its own way."""
    other = pair.client("Acme Inc")
    invoice, payment = pair.shop.invoice(other), pair.shop.paid(client_id=pair.gone)
    made = pair.merged(duplicate_ids=[pair.gone, other])
    assert pair.shop.revise(payment["id"], invoice_id=invoice).status_code == 200
    problem = pair.shop.problem(pair.undo(made), 409, "merge_entangled")
    assert problem["entangled"][0]["invoice_client_id"] == other


def test_a_credit_of_one_on_the_others_invoice_is_entangled_until_it_is_taken_back(
    pair: Any,
) -> None:
    """A3-14: one that was there before the merge does not follow."""
    shop = pair.shop
    credit, invoice = shop.credited(pair.keep, amount="30.00"), shop.invoice(pair.gone)
    made = pair.merged()
    applied = shop.done(credit, "apply", invoice_id=invoice)
    problem = shop.problem(pair.undo(made), 409, "merge_entangled")
    assert [it["kind"] for it in problem["entangled"]] == ["credit"]
    part = applied["applications"][0]["application_id"]
    shop.done(credit, "unapply", application_id=part)
    pair.undone(made)
    assert (shop.owed(pair.keep), shop.owed(pair.gone)) == ({"USD": "-30.00"}, {"USD": "100.00"})


def test_a_payment_from_before_does_not_follow(pair: Any) -> None:
    """A3-14: the primary's money on the duplicate's invoice is entangled, voided it is not."""
    shop = pair.shop
    payment, invoice = shop.paid(client_id=pair.keep, amount="30.00"), shop.invoice(pair.gone)
    made = pair.merged()
    assert shop.revise(payment["id"], invoice_id=invoice).status_code == 200
    shop.problem(pair.undo(made), 409, "merge_entangled")
    assert shop.revise(payment["id"], invoice_id=None).status_code == 200
    pair.undone(made)
    assert [it["id"] for it in pair.payments(pair.keep)] == [payment["id"]]
    assert shop.balance(invoice) == ("sent", "100.00")


def test_a_credit_comes_and_goes_with_what_it_settles(pair: Any) -> None:
    """A3-14: issued after the merge, it is whose invoices it settles."""
    shop = pair.shop
    mine, theirs = shop.invoice(pair.keep), shop.invoice(pair.gone)
    made = pair.merged()
    credit = shop.credited(pair.keep, amount="50.00")
    first = shop.done(credit, "apply", invoice_id=theirs, amount="10.00")
    shop.done(credit, "apply", invoice_id=mine, amount="10.00")
    shop.problem(pair.undo(made), 409, "merge_entangled")
    part = first["applications"][0]["application_id"]
    shop.done(credit, "unapply", application_id=part)
    pair.undone(made)
    assert [it["id"] for it in pair.credits(pair.keep)] == [credit["id"]]
    assert shop.available(pair.keep) == {"USD": "40.00"}
    assert (shop.owed(pair.keep), shop.owed(pair.gone)) == ({"USD": "50.00"}, {"USD": "100.00"})


def test_fields_go_back_unless_they_were_changed_since(pair: Any) -> None:
    """A3-13: what was changed is listed and stays."""
    path = f"/api/clients/{pair.gone}"
    pair.office.put(path, json={"tax_id": "T1", "notes": "Theirs", "tags": ["a"]})
    made = pair.merged()
    pair.office.put(f"/api/clients/{pair.keep}", json={"notes": "Mine", "legal_name": "Acme LLC"})
    back = pair.undone(made)
    primary = back["primary"]
    assert back["kept_changes"] == ["notes"]
    assert (primary["tax_id"], primary["notes"], primary["tags"]) == (None, "Mine", [])
    assert primary["legal_name"] == "Acme LLC"
    assert pair.get(path)["notes"] == "Theirs"


def test_a_merge_is_undone_once_and_the_newest_first(pair: Any) -> None:
    """A3-15 and G14: A into B, B into C; then the first cannot be undone."""
    first = pair.merged()
    top = pair.client("Top")
    second = pair.merged(primary_id=top, duplicate_ids=[pair.keep])
    problem = pair.shop.problem(pair.undo(first), 409, "later_merge_exists")
    assert problem["merge_id"] == second["merge_id"]
    pair.undone(second)
    third = pair.merged(duplicate_ids=[top])
    problem = pair.shop.problem(pair.undo(first), 409, "later_merge_exists")
    assert problem["merge_id"] == third["merge_id"]
    pair.undone(third)
    pair.undone(first)
    pair.shop.problem(pair.undo(first), 409, "merge_undone")
    pair.shop.problem(pair.undo({"merge_id": str(uuid4())}), 404, "not_found")
    assert pair.merged()["merge_id"] != first["merge_id"]


def test_a_merge_is_undone_within_its_days_or_by_force(pair: Any) -> None:
    """A3-13: `merge_undo_days` is the workspace's choice."""
    answer = pair.office.patch("/api/workspace", json={"merge_undo_days": 2})
    assert answer.json()["merge_undo_days"] == 2
    made = pair.merged()
    pair.shop.later(days=3)
    pair.shop.problem(pair.undo(made), 409, "undo_expired")
    (entry,) = pair.history(pair.gone)
    assert entry["blocked_by"]["code"] == "undo_expired"
    pair.undone(made, force=True)
    bad = pair.office.patch("/api/workspace", json={"merge_undo_days": -1})
    pair.shop.problem(bad, 422, "bad_merge_undo_days")


def test_another_tenants_merge_is_not_there(pair: Any, house: Any) -> None:
    """R-CMD-4: 404, in the path and in the body."""
    made = pair.merged()
    other = house.office()
    body = {"merge_id": made["merge_id"]}
    pair.shop.problem(other.post("/api/clients/merge/undo", json=body), 404, "not_found")
    seen = other.get(f"/api/clients/{pair.keep}/merge-history")
    pair.shop.problem(seen, 404, "not_found")
    other.http.close()


def test_the_history_shows_merges_and_undoings_to_all_who_took_part(pair: Any) -> None:
    """A3-15: with actor, counts, note, and whether it can be undone."""
    pair.shop.invoice(pair.gone)
    made = pair.merged(note="Twice")
    (entry,) = pair.history(pair.gone)
    assert entry == pair.history(pair.keep)[0]
    assert (entry["action"], entry["merge_id"], entry["note"]) == (
        "merge",
        made["merge_id"],
        "Twice",
    )
    assert (entry["actor"], entry["actor_id"]) == ("user", str(pair.office.user))
    assert (entry["moved"], entry["undoable"], entry["blocked_by"]) == (made["moved"], True, None)
    pair.undone(made)
    undo, merge = pair.history(pair.keep)
    assert [it["action"] for it in (undo, merge)] == ["undo", "merge"]
    assert (merge["undoable"], merge["blocked_by"]["code"]) == (False, "merge_undone")
    assert pair.history(pair.client("Other")) == []
    paged = pair.get(f"/api/clients/{pair.keep}/merge-history?limit=1")
    assert ([it["action"] for it in paged["items"]], bool(paged["next_cursor"])) == (["undo"], True)
