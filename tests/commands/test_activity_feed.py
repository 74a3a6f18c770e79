"""Activity over HTTP: what happened, in words, in one order, for whoever may see it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest


def feed(office: Any, **query: Any) -> dict[str, Any]:
    headers = query.pop("headers", {})
    answer = office.get("/api/activity", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def items(office: Any, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = feed(office, **query)["items"]
    return found


def verbs(office: Any, **query: Any) -> list[str]:
    return [it["verb"] for it in items(office, **query)]


def days_ago(days: int) -> str:
    return str((datetime.now(UTC) - timedelta(days=days)).date())


def test_an_activity_tells_who_did_what_to_whom(office: Any, shop: Any) -> None:
    """A26-1."""
    client_id = shop.client()
    invoice_id = shop.invoice(client_id, "1500.00")
    number = shop.seen(invoice_id)["number"]
    sent, drafted = items(office, client_id=client_id)[:2]
    assert (drafted["verb"], sent["verb"]) == ("invoice_created", "invoice_sent")
    assert sent["id"] > drafted["id"]
    assert sent["actor"] == {"type": "user", "id": str(office.user), "name": None}
    assert sent["subject"] == {"type": "invoice", "id": invoice_id, "label": number}
    assert sent["object"] == {"type": "client", "id": client_id, "label": "Acme Corp"}
    assert sent["amount"] == {"amount": "1500.00", "currency": "USD"}
    assert sent["importance"] == "high"
    assert drafted["importance"] == "low"
    assert sent["icon"] == "send"
    assert sent["links"] == {
        "invoice": f"/api/invoices/{invoice_id}",
        "client": f"/api/clients/{client_id}",
    }
    assert sent["text"].endswith(f"sent invoice {number} of USD 1,500.00 to Acme Corp")
    for link in sent["links"].values():
        assert office.get(link).status_code == 200


def test_a_payment_is_one_piece_of_news_though_it_has_many_legs(office: Any, shop: Any) -> None:
    """A26-2: what the machinery records beside is no news."""
    client_id = shop.client()
    first, second = shop.invoice(client_id), shop.invoice(client_id)
    before = feed(office)["next_after"]
    parts = [{"invoice_id": id, "amount": "30.00"} for id in (first, second)]
    paid = shop.paid(amount="60.00", allocations=parts)
    news = feed(office, after=before)["items"]
    assert [it["verb"] for it in news] == ["payment_received"]
    assert news[0]["subject"]["id"] == paid["id"]
    assert "USD 60.00 from Acme Corp for 2 invoices" in news[0]["text"]
    assert paid["id"] in [it["subject"]["id"] for it in items(office, invoice_id=first)]
    assert paid["id"] in [it["subject"]["id"] for it in items(office, invoice_id=second)]


def test_a_refund_is_told_once_whatever_it_was_taken_from(office: Any, shop: Any) -> None:
    """A26-2: it has a fact on the payment and one on the credit; people hear of it once."""
    client_id = shop.client(allow_overpayment=True)
    paid = shop.paid(amount="130.00", invoice_id=shop.invoice(client_id))
    before = feed(office)["next_after"]
    assert shop.refund(paid["id"], amount="30.00").status_code == 200
    credit = shop.credited(client_id, amount="10.00")
    shop.done(credit, "refund", method="cash")
    told = [(it["verb"], it["amount"]["amount"]) for it in items(office, after=before)]
    assert told == [
        ("payment_refunded", "30.00"),
        ("credit_issued", "10.00"),
        ("credit_refunded", "10.00"),
    ]


def test_everything_money_does_is_told(office: Any, shop: Any) -> None:
    """A26-1: each verb has its sentence in both languages, with nothing left open."""
    client_id = shop.client()
    first, second = shop.invoice(client_id), shop.invoice(client_id)
    shop.move(first, status="sent")
    paid = shop.paid(amount="40.00", invoice_id=first, send_receipt=True)
    shop.revise(paid["id"], amount="30.00")
    shop.revise(paid["id"], note="seen")
    shop.office.delete(f"/api/payments/{paid['id']}")
    credit = shop.credited(client_id, amount="10.00")
    applied = shop.done(credit, "apply", invoice_id=first)
    shop.done(credit, "unapply", application_id=applied["applications"][0]["application_id"])
    shop.done(credit, "void")
    shop.noted(client_id, first, amount="5.00")
    shop.move(second, status="written_off")
    shop.move(second, status="sent")
    shop.move(second, status="cancelled")
    shop.office.put(f"/api/invoices/{first}", json={"private_notes": "seen"})
    draft = shop.draft(client_id)
    line = {"description": "Work", "unit_price": "7.00"}
    shop.office.put(f"/api/invoices/{draft}", json={"line_items": [line]})
    shop.office.delete(f"/api/invoices/{draft}")
    english, german = (items(office, lang=lang, limit=200) for lang in ("en", "de"))
    assert {it["verb"] for it in english} >= {
        "invoice_created", "invoice_revised", "invoice_sent", "invoice_sent_again",
        "invoice_amended", "invoice_deleted", "invoice_cancelled", "invoice_written_off",
        "invoice_reinstated", "payment_received", "payment_reentered", "payment_corrected",
        "payment_voided", "receipt_written", "credit_issued", "credit_applied",
        "credit_unapplied", "credit_voided",
    }  # fmt: skip
    for it in [*english, *german]:
        assert "…" not in it["text"]
        assert not set("[]{}") & set(it["text"])
    assert [it["id"] for it in english] == [it["id"] for it in german]
    assert not {it["text"] for it in english} & {it["text"] for it in german}


def test_people_and_houses_are_told_of_too(office: Any) -> None:
    """A26-1: clients, contacts, members, settings."""
    client_id = office.made("/api/clients", {"name": "Acme"})["id"]
    gone = office.made("/api/clients", {"name": "Acme Ltd"})["id"]
    contacts = f"/api/customers/{client_id}/contacts"
    contact_id = office.made(contacts, {"first_name": "Ann", "last_name": "Lee"})["id"]
    office.put(f"{contacts}/{contact_id}", json={"notes": "seen"})
    office.put(f"/api/clients/{client_id}", json={"notes": "seen"})
    merge = {"primary_id": client_id, "duplicate_ids": [gone]}
    made = office.post("/api/clients/merge", json=merge).json()
    office.post("/api/clients/merge/undo", json={"merge_id": made["merge_id"]})
    invited = office.made("/api/workspace/members", {"email": "a@b.example", "role": "member"})
    office.delete(f"/api/workspace/members/{invited['id']}")
    office.patch("/api/workspace", json={"name": "Nordlicht"})
    told = {it["verb"]: it for it in items(office, limit=200)}
    assert set(told) >= {
        "workspace_opened", "client_added", "contact_added", "contact_revised", "client_revised",
        "clients_merged", "client_merge_undone", "member_invited", "invitation_revoked",
        "workspace_revised",
    }  # fmt: skip
    assert told["contact_added"]["text"].endswith("added Ann Lee to the contacts of Acme")
    assert told["member_invited"]["text"].endswith("invited somebody as member")
    assert "a@b.example" not in str(told)


def test_the_feed_can_be_filtered(office: Any, shop: Any) -> None:
    """A26-1: by client, invoice, project, user and type."""
    one, other, project = shop.client(), shop.client(), str(uuid4())
    line = {"description": "Work", "unit_price": "10.00"}
    body = {"client_id": one, "line_items": [line], "project_id": project}
    invoice_id = office.made("/api/invoices", body)["id"]
    shop.move(invoice_id, status="sent")
    shop.invoice(other)
    assert verbs(office, client_id=one) == ["invoice_sent", "invoice_created", "client_added"]
    assert verbs(office, invoice_id=invoice_id) == ["invoice_sent", "invoice_created"]
    assert verbs(office, project_id=project) == ["invoice_sent", "invoice_created"]
    assert set(verbs(office, type="client")) == {"client_added"}
    assert set(verbs(office, type=["client", "workspace"])) == {"client_added", "workspace_opened"}
    assert len(items(office, user_id=str(office.user))) == 5
    assert items(office, user_id=str(uuid4())) == []
    unknown = office.get("/api/activity", params={"type": "spaceship"})
    assert shop.problem(unknown, 422, "unknown_resource_type")["accepted"]


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=-1", f"before={2**70}", "limit=0", "limit=201", "client_id=me"],
)
def test_a_bad_question_is_400(office: Any, query: str) -> None:
    assert office.get(f"/api/activity?{query}").status_code == 400


def test_the_feed_is_read_in_both_directions_without_gap_or_double(office: Any, shop: Any) -> None:
    """A26-1, A26-5, A26-7: positions are the cursor, in the order of the journal."""
    for _ in range(4):
        shop.invoice(shop.client())
    whole = [it["id"] for it in items(office, limit=200)]
    assert whole == sorted(whole, reverse=True)
    older: list[int] = []
    before: dict[str, Any] = {}
    while True:
        part = feed(office, limit=3, **before)
        older += [it["id"] for it in part["items"]]
        if part["next_before"] is None:
            break
        before = {"before": part["next_before"]}
    assert older == whole
    newer: list[int] = []
    after = 0
    while part := feed(office, limit=3, after=after)["items"]:
        newer += [it["id"] for it in part]
        after = part[-1]["id"]
    assert newer == whole[::-1]
    assert feed(office, after=after)["next_after"] == after
    shop.client()
    assert verbs(office, after=after) == ["client_added"]


def test_repetitions_are_one_item_that_counts_them(office: Any, shop: Any) -> None:
    """A26-1: and the last of them is where it stands."""
    client_id = shop.client()
    for n in range(3):
        office.put(f"/api/clients/{client_id}", json={"notes": f"Note {n}"})
    (revised,) = (it for it in items(office) if it["verb"] == "client_revised")
    assert revised["count"] == 3
    assert revised["text"].endswith("revised Acme Corp (3 times)")
    assert revised["first_id"] < revised["id"]
    assert verbs(office, after=revised["first_id"]) == ["client_revised"]
    shop.later(hours=2)
    office.put(f"/api/clients/{client_id}", json={"notes": "Later"})
    assert [it["count"] for it in items(office) if it["verb"] == "client_revised"] == [1, 3]


def test_nothing_is_an_amount_too(office: Any, shop: Any) -> None:
    """A26-1: a draft of nothing says so."""
    shop.draft(shop.client(), "0.00")
    told = items(office)[0]
    assert told["amount"] == {"amount": "0.00", "currency": "USD"}
    assert "an invoice of USD 0.00 for" in told["text"]


def test_money_is_never_grouped(office: Any, shop: Any) -> None:
    """A26-1: two equal payments are two."""
    invoice_id = shop.invoice(shop.client())
    for _ in range(2):
        shop.paid(amount="10.00", invoice_id=invoice_id)
    assert verbs(office).count("payment_received") == 2


def test_what_is_backdated_shows_both_dates(office: Any, shop: Any) -> None:
    """A26-5: its place is where it was recorded, whatever day it is of."""
    client_id = shop.client()
    old = shop.paid(amount="5.00", client_id=client_id, received_on=days_ago(7))
    new = shop.paid(amount="6.00", client_id=client_id)
    latest, before = items(office)[:2]
    assert (latest["subject"]["id"], before["subject"]["id"]) == (new["id"], old["id"])
    assert (latest["backdated"], before["backdated"]) == (False, True)
    assert before["effective_on"] == days_ago(7)
    past, today = (datetime.fromisoformat(it) for it in (days_ago(7), days_ago(0)))
    shown = f"(of {past.day} {past:%B} {past.year}, recorded {today.day} {today:%B} {today.year})"
    assert before["text"].endswith(shown)
    assert "recorded 2" not in latest["text"]


@pytest.mark.parametrize(
    ("lang", "header", "language"),
    [
        ("de", "en", "de"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "fr, en;q=0.5, de;q=0.7", "de"),
        (None, "de;q=0, en", "en"),
        (None, "fr", "en"),
        ("fr", None, "en"),
        (None, ";;;q=x,,", "en"),
    ],
)
def test_the_text_is_in_the_readers_language(
    office: Any, shop: Any, lang: str | None, header: str | None, language: str
) -> None:
    """A26-6: chosen at read time; the rest of the answer is the same."""
    shop.client()
    headers = {} if header is None else {"Accept-Language": header}
    query = {} if lang is None else {"lang": lang}
    body = feed(office, headers=headers, **query)
    assert body["language"] == language
    ends = {"de": "hat Acme Corp angelegt", "en": "added Acme Corp"}
    assert body["items"][0]["text"].endswith(ends[language])


def test_a_workspace_has_a_language_of_its_own(house: Any) -> None:
    """A26-6: where nobody asks for another."""
    office = house.office(language="de-DE")
    answer = office.get("/api/activity", headers={"Accept-Language": ""})
    assert answer.json()["language"] == "de"
    assert (
        answer.json()["items"][0]["text"] == "(früheres Mitglied) hat den Arbeitsbereich eröffnet"
    )


def test_names_are_those_of_today_and_gone_with_the_client(office: Any, shop: Any) -> None:
    """A26-6: no row has a name, so what is deleted is nowhere."""
    client_id = shop.client()
    shop.paid(amount="5.00", client_id=client_id)
    office.put(f"/api/clients/{client_id}", json={"name": "Globex"})
    assert "from Globex" in items(office, type="payment")[0]["text"]
    other = shop.client()
    contacts = f"/api/customers/{other}/contacts"
    office.made(contacts, {"first_name": "Ann"})
    gone = office.made(contacts, {"first_name": "Bob", "last_name": "Secret"})
    office.delete(f"{contacts}/{gone['id']}")
    told = next(it for it in items(office) if it["verb"] == "contact_added")
    assert told["subject"]["label"] is None
    assert told["text"].endswith("added (deleted contact) to the contacts of Acme Corp")
    assert office.delete(f"/api/clients/{other}").status_code == 204
    left = items(office, client_id=other)
    assert left
    assert all("Acme" not in str(it) and "Ann" not in str(it) for it in left)
    assert "(deleted client)" in str(left)


def test_after_a_merge_the_feed_of_the_one_is_that_of_both(office: Any, shop: Any) -> None:
    """A26-1: whose a document is, is looked up."""
    keep, gone = shop.client(), shop.client()
    paid = shop.paid(amount="5.00", client_id=gone)
    body = {"primary_id": keep, "duplicate_ids": [gone]}
    made = office.post("/api/clients/merge", json=body).json()
    assert paid["id"] in [it["subject"]["id"] for it in items(office, client_id=keep)]
    (told,) = items(office, type="payment")
    assert told["object"]["id"] == keep
    office.post("/api/clients/merge/undo", json={"merge_id": made["merge_id"]})
    assert paid["id"] not in [it["subject"]["id"] for it in items(office, client_id=keep)]


def test_the_feed_holds_no_secret_and_no_noise(office: Any, shop: Any) -> None:
    """A26-2: no bank account, session, key or address is told of."""
    client_id = shop.client()
    before = feed(office)["next_after"]
    account = {"type": "iban", "iban": "DE89370400440532013000", "account_holder": "Acme"}
    answer = office.post(f"/api/customers/{client_id}/bank-accounts", json=account)
    assert answer.status_code == 201, answer.text
    office.made("/api/workspace/api-keys", {"name": "Key", "permissions": ["clients:read"]})
    assert items(office, after=before) == []


def test_another_workspace_sees_nothing_of_it(house: Any, office: Any, shop: Any) -> None:
    """T4: and a client or an invoice of another is as unknown as any."""
    client_id = shop.client()
    invoice_id = shop.invoice(client_id)
    other = house.office()
    assert verbs(other) == ["workspace_opened"]
    assert items(other, client_id=client_id) == items(other, invoice_id=invoice_id) == []


def test_a_credit_is_looked_at_under_its_client(office: Any, shop: Any) -> None:
    """A26-1: every link leads somewhere."""
    client_id = shop.client()
    credit = shop.credited(client_id, amount="10.00")
    (told,) = items(office, type="credit")
    assert office.get(told["links"]["credit"]).json()["id"] == credit["id"]
