"""Merging clients over HTTP: refused, filled in, followed by every read, closed to writes."""

from typing import Any
from uuid import uuid4

import pytest

IBAN, OTHER_IBAN = "DE89370400440532013000", "FR1420041010050500013M02606"


def test_documents_move_and_are_counted(pair: Any) -> None:
    """A3-10 and A3-12: whatever was the duplicate's is the primary's, nothing is rewritten."""
    shop, keep, gone = pair.shop, pair.keep, pair.gone
    invoice, draft = shop.invoice(gone), shop.draft(gone)
    payment = shop.paid(client_id=gone, amount="10.00")
    credit = shop.credited(gone, amount="5.00")
    before = {id: shop.story(id) for id in (invoice, draft, payment["id"], credit["id"])}
    made = pair.merged(note="The same company")
    assert made["moved"] == {
        "invoices": 2, "payments": 1, "credits": 1, "contacts": 0, "bank_accounts": 0,
    }  # fmt: skip
    assert (made["primary"]["id"], made["duplicate_ids"], made["note"]) == (
        keep,
        [gone],
        "The same company",
    )
    assert made["undo_until"] is not None
    assert before == {id: shop.story(id) for id in before}
    for id in (keep, gone):
        for path in (f"/api/invoices/client/{id}", f"/api/invoices?client_id={id}"):
            items = pair.get(path)["items"]
            assert {it["id"] for it in items} == {invoice, draft}
            assert {(it["client_id"], it["billed_to"]) for it in items} == {(keep, gone)}
        assert [it["client_id"] for it in pair.get(f"/api/payments/client/{id}")["items"]] == [keep]
        assert [it["client_id"] for it in pair.get(f"/api/customers/{id}/credits")["items"]] == [
            keep
        ]
        assert shop.available(id) == {"USD": "5.00"}
        assert pair.get(f"/api/clients/{id}/analytics")["outstanding"] == {"USD": "100.00"}
    seen = shop.seen(invoice)
    assert (seen["client_id"], seen["billed_to"]) == (keep, gone)
    assert pair.get(f"/api/payments/{payment['id']}")["client_id"] == keep
    assert pair.get(f"/api/customers/{gone}/credits/{credit['id']}")["client_id"] == keep


def test_a_merged_client_says_into_whom_and_lists_show_only_the_primary(pair: Any) -> None:
    """A3-12: the id is never 404, also along a chain."""
    pair.merged()
    seen = pair.get(f"/api/clients/{pair.gone}")
    assert (seen["status"], seen["merged_into"]) == ("merged", pair.keep)
    for query in ("", "?include_archived=true", "?include_deleted=true"):
        assert [it["id"] for it in pair.get(f"/api/clients{query}")["items"]] == [pair.keep]
    assert [it["client"]["id"] for it in pair.get("/api/clients/search?q=Acme")["items"]] == [
        pair.keep
    ]
    top = pair.client("Top")
    pair.merged(primary_id=top, duplicate_ids=[pair.keep])
    invoice = pair.shop.invoice(top)
    for id in (pair.gone, pair.keep, top):
        assert [it["id"] for it in pair.get(f"/api/invoices/client/{id}")["items"]] == [invoice]
    assert pair.get(f"/api/clients/{pair.gone}")["merged_into"] == pair.keep


def test_a_merged_client_takes_nothing_new(pair: Any) -> None:
    """A3-12: every write to it is 409 `client_merged` and names the primary."""
    credit = pair.shop.credited(pair.gone, amount="5.00")
    pair.merged()
    gone, office = pair.gone, pair.office
    line = {"description": "Work", "unit_price": "1"}
    answers = [
        office.put(f"/api/clients/{gone}", json={"name": "Other"}),
        office.delete(f"/api/clients/{gone}"),
        office.patch(f"/api/clients/{gone}/payment-settings", json={"autopay": True}),
        office.post("/api/invoices", json={"client_id": gone, "line_items": [line]}),
        pair.shop.pay(client_id=gone),
        pair.shop.credit(gone, amount="1"),
        office.post(f"/api/customers/{gone}/credits/{credit['id']}/void", json={}),
        office.post(f"/api/customers/{gone}/contacts", json={"email": "a@example.com"}),
        office.post(f"/api/customers/{gone}/bank-accounts", json=pair.account(IBAN)),
        pair.merge(duplicate_ids=[gone]),
        pair.merge(primary_id=gone, duplicate_ids=[pair.keep]),
    ]
    for answer in answers:
        problem = pair.shop.problem(answer, 409, "client_merged")
        assert problem["merged_into"] == pair.keep


def test_drafts_are_issued_and_invoices_paid_as_the_primarys(pair: Any) -> None:
    """A3-10: old documents keep their buyer; what is issued later names the primary."""
    shop = pair.shop
    old, draft = shop.invoice(pair.gone), shop.draft(pair.gone)
    buyer = shop.seen(old)["buyer"]["name"]
    pair.merged()
    sent = shop.move(draft, status="sent").json()
    assert (sent["client_id"], sent["buyer"]["name"]) == (pair.keep, "Acme")
    assert shop.seen(old)["buyer"]["name"] == buyer == "Acme Ltd"
    paid = shop.paid(invoice_id=old, amount="100.00")
    assert (paid["client_id"], shop.balance(old)) == (pair.keep, ("paid", "0.00"))
    credit = shop.credited(pair.keep, amount="30.00")
    assert shop.done(credit, "apply", invoice_id=draft)["status"] == "applied"
    assert shop.balance(draft) == ("sent", "70.00")
    again = pair.office.put(f"/api/invoices/{shop.draft(pair.keep)}", json={"client_id": pair.gone})
    shop.problem(again, 409, "client_merged")


def test_a_draft_sent_back_as_it_was_shown_keeps_where_it_came_from(pair: Any) -> None:
    """A3-13: naming the primary for what is the primary's by now changes nothing."""
    draft = pair.shop.draft(pair.gone)
    made = pair.merged()
    body = {"client_id": pair.keep, "notes": "As shown"}
    revised = pair.office.put(f"/api/invoices/{draft}", json=body).json()
    assert (revised["client_id"], revised["billed_to"]) == (pair.keep, pair.gone)
    pair.undone(made)
    assert pair.shop.seen(draft)["client_id"] == pair.gone


def test_the_limit_is_that_of_all_accounts_together(pair: Any) -> None:
    """A3-7 after A3-10: what the duplicate owes counts towards the primary's credit limit."""
    settings = {"credit_limit": "150.00"}
    path = f"/api/clients/{pair.keep}/payment-settings"
    assert pair.office.patch(path, json=settings).status_code == 200
    pair.shop.invoice(pair.gone)
    draft = pair.shop.draft(pair.keep)
    pair.merged()
    problem = pair.shop.problem(pair.shop.move(draft, status="sent"), 409, "credit_limit_exceeded")
    assert problem["exposure"] == "200.00"
    locked = pair.office.put(f"/api/clients/{pair.keep}", json={"currency": "EUR"})
    pair.shop.problem(locked, 409, "currency_locked")
    kept = pair.office.delete(f"/api/clients/{pair.keep}")
    assert (kept.status_code, kept.json()["archived"]) == (200, True)


def test_empty_fields_are_filled_and_conflicts_follow_the_choice(pair: Any) -> None:
    """A3-11: in the order of the duplicates; tags are united, external ids kept as aliases."""
    other = pair.client("Acme Inc", phone="+49 30 123456", notes="Second", tags=["b", "c"])
    pair.office.put(
        f"/api/clients/{pair.gone}",
        json={"tax_id": "T1", "notes": "First", "tags": ["a", "b"], "external_id": "x-1"},
    )
    made = pair.merged(duplicate_ids=[pair.gone, other], field_choices={"name": pair.gone})
    primary = made["primary"]
    assert (primary["name"], primary["tax_id"], primary["notes"]) == ("Acme Ltd", "T1", "First")
    assert (primary["phone"], primary["phone_e164"]) == ("+49 30 123456", "+4930123456")
    assert (primary["tags"], primary["external_id_aliases"]) == (["a", "b", "c"], ["x-1"])
    assert primary["external_id"] is None
    changed = {it["field"]: (it["client_id"], it["old"], it["new"]) for it in made["field_changes"]}
    assert changed["name"] == (pair.gone, "Acme", "Acme Ltd")
    assert changed["phone"] == (other, None, "+49 30 123456")
    taken = pair.office.post("/api/clients", json={"name": "New", "external_id": "x-1"})
    pair.shop.problem(taken, 409, "external_id_taken")


def test_contacts_are_taken_over_and_deduped_by_email(pair: Any) -> None:
    """A3-11: one primary contact remains; contacts without an address are all kept."""
    first = pair.contact(pair.keep, email="Ann@example.com")
    same = pair.contact(pair.gone, email="ann@EXAMPLE.com")
    nameless = [pair.contact(pair.gone, first_name="Bo"), pair.contact(pair.gone, first_name="Bo")]
    made = pair.merged()
    assert made["moved"]["contacts"] == 2
    assert made["deduped_contact_ids"] == [same]
    for id in (pair.keep, pair.gone):
        items = pair.get(f"/api/customers/{id}/contacts")["items"]
        assert {it["id"] for it in items} == {first, *nameless}
        assert [it["id"] for it in items if it["is_primary"]] == [first]
    path = f"/api/customers/{pair.keep}/contacts/{nameless[0]}"
    assert pair.office.put(path, json={"role": "Owner"}).json()["role"] == "Owner"
    pair.undone(made)
    theirs = pair.get(f"/api/customers/{pair.gone}/contacts")["items"]
    assert {it["id"]: it["role"] for it in theirs} == {
        same: None, nameless[0]: "Owner", nameless[1]: None,
    }  # fmt: skip
    assert [it["id"] for it in theirs if it["is_primary"]] == [same]
    assert [it["id"] for it in pair.get(f"/api/customers/{pair.keep}/contacts")["items"]] == [first]


def test_all_contacts_are_kept_when_asked_for(pair: Any) -> None:
    """A3-11: two then share an address, and each can still be changed."""
    pair.contact(pair.keep, email="ann@example.com")
    same = pair.contact(pair.gone, email="ann@example.com")
    made = pair.merged(contact_strategy="keep_all")
    assert (made["moved"]["contacts"], made["deduped_contact_ids"]) == (1, [])
    path = f"/api/customers/{pair.keep}/contacts/{same}"
    assert pair.office.put(path, json={"role": "Owner"}).status_code == 200
    assert pair.office.delete(path).status_code == 200
    pair.undone(made)
    assert pair.get(f"/api/customers/{pair.gone}/contacts")["items"] == []


def test_bank_accounts_are_taken_over_sealed_as_they_are(pair: Any, vault: Any) -> None:
    """A3-10: one that the primary has as well stays where it is; numbers can still be read."""
    kept = pair.bank(pair.keep, IBAN)
    same, new = pair.bank(pair.gone, IBAN), pair.bank(pair.gone, OTHER_IBAN, purpose="refunds")
    made = pair.merged()
    assert (made["moved"]["bank_accounts"], made["deduped_bank_account_ids"]) == (1, [same])
    items = pair.get(f"/api/customers/{pair.gone}/bank-accounts")["items"]
    assert {it["id"]: it["is_default"] for it in items} == {kept: True, new: True}
    path = f"/api/customers/{pair.keep}/bank-accounts/{new}"
    assert pair.office.patch(path, json={"bank_name": "Banque"}).json()["bank_name"] == "Banque"
    pair.undone(made)
    theirs = pair.get(f"/api/customers/{pair.gone}/bank-accounts")["items"]
    assert {it["id"]: it["bank_name"] for it in theirs} == {same: None, new: "Banque"}
    assert [it["id"] for it in pair.get(f"/api/customers/{pair.keep}/bank-accounts")["items"]] == [
        kept
    ]


def test_a_dry_run_tells_and_changes_nothing(pair: Any) -> None:
    """A3-9: the answer is that of the merge but for its id."""
    pair.shop.invoice(pair.gone)
    pair.contact(pair.gone, email="ann@example.com")
    facts = len(pair.shop.story(pair.keep))
    told = pair.merged(dry_run=True)
    assert (told["merge_id"], told["undo_until"], told["dry_run"]) == (None, None, True)
    assert len(pair.shop.story(pair.keep)) == facts
    assert pair.get(f"/api/clients/{pair.gone}")["status"] == "active"
    made = pair.merged()
    assert (told["moved"], told["field_changes"]) == (made["moved"], made["field_changes"])
    assert pair.get(f"/api/clients/{pair.keep}/merge-history")["items"][0]["moved"] == told["moved"]


def test_who_cannot_be_merged_is_refused(pair: Any, house: Any) -> None:
    """A3-9: each reason has its code, and nothing is recorded."""
    problem = pair.shop.problem
    problem(pair.merge(duplicate_ids=[pair.keep]), 409, "same_client")
    problem(pair.merge(duplicate_ids=[pair.gone, pair.gone]), 409, "same_client")
    problem(pair.merge(duplicate_ids=[]), 422, "bad_duplicates")
    problem(pair.merge(duplicate_ids=[str(uuid4()) for _ in range(21)]), 422, "bad_duplicates")
    problem(pair.merge(duplicate_ids=[str(uuid4())]), 404, "not_found")
    problem(pair.merge(field_choices={"number": pair.gone}), 422, "unknown_field")
    problem(pair.merge(field_choices={"name": str(uuid4())}), 422, "not_among_clients")
    problem(pair.merge(note="x" * 2001), 422, "text_too_long")
    other = house.office()
    theirs = other.made("/api/clients", {"name": "Theirs"})["id"]
    problem(pair.merge(duplicate_ids=[theirs]), 404, "not_found")
    problem(pair.merge(primary_id=theirs), 404, "not_found")
    archived = pair.client("Old")
    pair.office.put(f"/api/clients/{archived}", json={"archived": True})
    problem(pair.merge(duplicate_ids=[archived]), 409, "archived")
    deleted = pair.client("Gone")
    assert pair.office.delete(f"/api/clients/{deleted}").status_code == 204
    problem(pair.merge(duplicate_ids=[deleted]), 404, "not_found")
    euro = pair.client("Euro", currency="EUR")
    assert pair.merge(duplicate_ids=[euro], dry_run=True).status_code == 200
    pair.shop.invoice(euro, currency="EUR")
    problem(pair.merge(duplicate_ids=[euro]), 409, "currency_mismatch")
    stale = pair.office.post("/api/clients/merge", json=pair.asked(), headers={"If-Match": '"9"'})
    problem(stale, 412, "stale")
    assert pair.shop.story(pair.keep) == ["ClientAdded"]
    other.http.close()


@pytest.mark.parametrize(
    "body",
    [{"primary_id": "x"}, {"contact_strategy": "best"}, {"tenant_id": str(uuid4())}, {"moved": 1}],
)
def test_a_merge_takes_only_its_own_fields(pair: Any, body: dict[str, Any]) -> None:
    """R-CMD-4: anything else is 400 and changes nothing."""
    assert pair.merge(**body).status_code == 400
    assert pair.shop.story(pair.gone) == ["ClientAdded"]


def test_a_key_makes_one_merge(pair: Any) -> None:
    """R-CMD-1: the same request again is answered as it was."""
    pair.shop.invoice(pair.gone)
    send = {"json": pair.asked(), "headers": {"Idempotency-Key": "once"}}
    first = pair.office.post("/api/clients/merge", **send)
    again = pair.office.post("/api/clients/merge", **send)
    assert (first.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert pair.shop.story(pair.keep).count("ClientsMerged") == 1


def test_what_was_read_as_of_then_is_as_it_was(pair: Any) -> None:
    """R-CMD-8: before the merge the duplicate stood for itself."""
    invoice = pair.shop.invoice(pair.gone)
    then = pair.get(f"/api/clients/{pair.gone}")["updated_at"]
    at = pair.shop.seen(invoice)["updated_at"]
    pair.merged()
    assert pair.get(f"/api/clients/{pair.gone}?as_of={then}")["status"] == "active"
    assert pair.get(f"/api/invoices/{invoice}?as_of={at}")["client_id"] == pair.gone
    assert pair.get(f"/api/invoices/{invoice}")["client_id"] == pair.keep


def test_both_sides_and_the_merge_are_in_the_audit_log(pair: Any) -> None:
    """A3-15: whoever looks at either client sees what was done."""
    made = pair.merged()
    pair.undone(made)
    kinds = (("client", pair.keep), ("client", pair.gone), ("merge", made["merge_id"]))
    actions = [
        [it["action"] for it in pair.get(f"/api/audit/resource/{kind}/{id}/history")["items"]]
        for kind, id in kinds
    ]
    assert actions == [
        ["ClientAdded", "ClientsMerged", "ClientMergeUndone"],
        ["ClientAdded", "ClientAbsorbed", "ClientReturned"],
        ["MergeRecorded", "MergeUndone"],
    ]
