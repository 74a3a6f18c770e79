"""Erase a client over HTTP: when it is refused, what it does, and that it can be done again."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from known_person import CANARIES, Known, built_anew, read_models, seen

from zeroinvoice.domain import erasing
from zeroinvoice.domain.erasing import EraseClient
from zeroinvoice.domain.invoice import Invoice

KEPT = "SELECT wrapped IS NULL, destroyed_at IS NULL FROM subject_keys WHERE id = %s"


def problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    return body


def client(office: Any, **more: Any) -> str:
    return str(office.made("/api/clients", {"name": "Ann Example", **more})["id"])


def erase(office: Any, id: str, *, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return office.post(f"/api/clients/{id}/erase", json=body, headers=headers or {})


def invoiced(office: Any, id: str) -> str:
    body = {"client_id": id, "line_items": [{"description": "Work", "unit_price": "100"}]}
    invoice = str(office.made("/api/invoices", body)["id"])
    sent = office.patch(f"/api/invoices/{invoice}/status", json={"status": "sent"})
    assert sent.status_code == 200
    return invoice


def paid(office: Any, id: str) -> str:
    invoice = invoiced(office, id)
    office.made("/api/payments", {"amount": "100", "method": "cash", "invoice_id": invoice})
    return invoice


def destroyed(office: Any, subject: str) -> bool:
    with psycopg.connect(office.house.database_url) as connection:
        row = connection.execute(KEPT, [subject]).fetchone()
    assert row is not None
    assert row[0] is not row[1]
    return bool(row[0])


def test_a_client_is_kept_until_its_years_are_over(office: Any) -> None:
    """Row 7 beyond the field: 409 with the date while retention runs; then it is erased."""
    id = client(office)
    paid(office, id)
    year = office.house.clock().year
    refused = problem(erase(office, id), 409, "retention")
    assert refused["retained_until"] == f"{year + 10}-12-31"
    assert office.get(f"/api/clients/{id}").json()["name"] == "Ann Example"
    assert not destroyed(office, id)
    shorter = office.patch("/api/workspace", json={"retention_years": 1})
    assert shorter.json()["retention_years"] == 1
    assert problem(erase(office, id), 409, "retention")["retained_until"] == f"{year + 1}-12-31"
    problem(
        office.patch("/api/workspace", json={"retention_years": 31}), 422, "bad_retention_years"
    )
    assert office.patch("/api/workspace", json={"retention_years": 0}).status_code == 200
    assert erase(office, id).json()["erased"] is True
    assert destroyed(office, id)


def test_the_years_end_with_the_calendar_where_the_workspace_is(house: Any) -> None:
    """It is the last second of the year in the workspace's time zone, not of the server's."""
    house.clock.moved = timedelta()
    known = Known(house.office(retention_years=1, time_zone="Pacific/Auckland"))
    try:
        known.void_credit()
        until = problem(known.erase(), 409, "retention")["retained_until"]
        last = f"{until}T10:59:00+00:00"  # a minute before midnight there, in summer time
        now = house.clock()
        known.later_at(last)
        assert problem(known.erase(), 409, "retention")["retained_until"] == until
        known.later_at(f"{until}T11:01:00+00:00")
        assert known.erase().status_code == 200
        assert house.clock() > now
    finally:
        house.clock.moved = timedelta()


def test_drafts_do_not_hold_a_client(office: Any) -> None:
    id = client(office)
    body = {"client_id": id, "line_items": [], "notes": "For Ann's attic"}
    draft = office.made("/api/invoices", body)["id"]
    assert erase(office, id).status_code == 200
    shown = office.get(f"/api/invoices/{draft}").json()
    assert shown["notes"] == "[erased]"
    assert shown["client_id"] == id


def test_what_is_not_settled_holds_a_client(house: Any) -> None:
    office = house.office(retention_years=0)
    id = client(office)
    invoice = invoiced(office, id)
    assert problem(erase(office, id), 409, "balance_open")["balances"] == {"USD": "100.00"}
    office.made("/api/payments", {"amount": "100", "method": "cash", "invoice_id": invoice})
    path = f"/api/customers/{id}/credits"
    credit = office.made(path, {"type": "goodwill", "amount": "9"})["id"]
    problem(erase(office, id), 409, "credits_remain")
    assert office.post(f"{path}/{credit}/void", json={}).status_code == 200
    early = {"amount": "5", "method": "cash", "client_id": id}
    payment = office.made("/api/payments", early)["id"]
    assert problem(erase(office, id), 409, "balance_open")["balances"] == {"USD": "-5.00"}
    assert office.delete(f"/api/payments/{payment}").status_code == 200
    assert erase(office, id).status_code == 200


def test_a_credit_that_nobody_can_use_any_more_does_not_hold_a_client(house: Any) -> None:
    house.clock.moved = timedelta()
    known = Known(house.office(retention_years=0))
    try:
        known.void_credit()
        last = house.clock().date().isoformat()
        kept = {"type": "goodwill", "amount": "7", "expires_on": last}
        known.send("POST", f"{known.home}/credits", **kept)
        problem(known.erase(), 409, "credits_remain")
        known.later(timedelta(days=2))
        assert known.erase().status_code == 200
    finally:
        house.clock.moved = timedelta()


def test_the_name_guards_against_a_mistaken_id(office: Any) -> None:
    id = client(office)
    problem(erase(office, id, confirm_name="Bob Example"), 422, "name_mismatch")
    assert office.get(f"/api/clients/{id}").json()["erased"] is False
    assert erase(office, id, confirm_name="Ann Example").status_code == 200


def test_another_workspaces_client_is_not_there(house: Any, office: Any) -> None:
    """T1: as unknown as a made-up one, and untouched."""
    id = client(house.office())
    problem(erase(office, id), 404, "not_found")
    problem(erase(office, str(uuid4())), 404, "not_found")
    assert not destroyed(office, id)


def test_an_erased_client_takes_nothing_new(office: Any) -> None:
    id = client(office, external_id="crm-1")
    office.made(f"/api/customers/{id}/contacts", {"first_name": "Bo"})
    assert erase(office, id).status_code == 200
    home = f"/api/customers/{id}"
    line = {"description": "Work", "unit_price": "1"}
    account = {"type": "iban", "iban": "DE89370400440532013000", "account_holder": "Ann"}
    for answer in (
        office.put(f"/api/clients/{id}", json={"name": "Ann"}),
        office.put(f"/api/clients/{id}", json={"archived": False}),
        office.delete(f"/api/clients/{id}"),
        office.patch(f"/api/clients/{id}/payment-settings", json={"autopay": True}),
        office.post("/api/invoices", json={"client_id": id, "line_items": [line]}),
        office.post(f"{home}/contacts", json={"first_name": "Ann"}),
        office.post(f"{home}/bank-accounts", json=account),
        office.post(f"{home}/credits", json={"type": "goodwill", "amount": "1"}),
        office.post(
            "/api/clients/merge", json={"primary_id": id, "duplicate_ids": [client(office)]}
        ),
    ):
        problem(answer, 409, "client_erased")
    assert client(office, external_id="crm-1"), "its external id is free again"


def test_erasing_again_is_no_error_and_changes_nothing(office: Any) -> None:
    """R-CMD-1, R-CMD-2: the same key, the same answer; a stale version is refused."""
    id = client(office)
    problem(erase(office, id, headers={"If-Match": '"9"'}), 412, "stale")
    sent = {"headers": {"Idempotency-Key": uuid4().hex, "If-Match": '"1"'}}
    first = erase(office, id, confirm_name="Ann Example", **sent)
    again = erase(office, id, confirm_name="Ann Example", **sent)
    assert first.status_code == 200, first.text
    assert again.json() == first.json()
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["idempotent-replayed"] == "true"
    assert erase(office, id).json() == first.json()
    assert [type(it.event).__name__ for it in office.facts(id)] == [
        "ClientAdded",
        "ClientErasureStarted",
        "ClientErased",
    ]


def test_an_erasure_that_was_interrupted_is_finished_when_it_is_asked_for_again(
    house: Any,
) -> None:
    """Whatever part was the last: nothing new is taken meanwhile, and a rebuild is alike."""
    known = Known(house.office(retention_years=0))
    known.void_credit()
    office, id = known.office, UUID(known.id)
    house.commit(office.tenant, lambda desk: erasing.start(desk, id, EraseClient()))
    problem(office.put(f"/api/clients/{id}", json={"notes": "x"}), 409, "client_erased")
    assert office.get(f"/api/clients/{id}").json()["erased"] is False
    assert not destroyed(office, known.id)
    covered = [(Invoice, UUID(known.invoice))]
    house.commit(office.tenant, partial(erasing.cover, subjects=(id,), speaking=covered))
    assert office.get(f"/api/invoices/{known.invoice}").json()["buyer"]["name"] == "[erased]"
    assert known.erase().status_code == 200
    assert destroyed(office, known.id)
    payment = office.get(f"/api/payments/{known.payment}")
    assert seen({"payment": payment.text}) == {}


def test_a_client_with_hundreds_of_invoices_is_erased_in_parts(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-CMD: at most so many streams in one command, all of one correlation."""
    monkeypatch.setattr(erasing, "PART", 2)
    known = Known(house.office(retention_years=0))
    known.void_credit()
    assert known.erase().status_code == 200
    office = known.office
    (started, erased) = office.facts(known.id)[-2:]
    covered = [
        fact
        for id in (known.invoice, known.payment, known.credit)
        for fact in office.facts(id)[-1:]
    ]
    names = {type(fact.event).__name__ for fact in covered}
    assert names == {"BuyerErased", "PayerErased", "CreditHolderErased"}
    requests = {fact.origin.request for fact in (started, *covered, erased)}
    assert requests == {fact.origin.correlation for fact in (*covered, erased)}
    assert len({fact.at for fact in (started, *covered, erased)}) > 2


def test_what_is_recorded_of_an_erased_client_is_recorded_without_them(house: Any) -> None:
    """Nothing is sealed under a key that is destroyed, and no state keeps what was not stored."""
    known = Known(house.office(retention_years=0))
    known.void_credit()
    assert known.erase().status_code == 200
    office = known.office
    drafted = office.put(f"/api/invoices/{known.invoice}", json={"private_notes": "Was Zephyrine"})
    assert drafted.status_code == 200
    shown = office.get(f"/api/invoices/{known.invoice}").json()
    assert shown["private_notes"] == "[erased]"
    with psycopg.connect(house.database_url) as connection:
        (state,) = connection.execute(
            "SELECT state FROM facts WHERE stream = %s ORDER BY version DESC LIMIT 1",
            [known.invoice],
        ).fetchone() or ("",)
    assert "Zephyrine" not in state
    assert '"sealed"' not in state


def merged(office: Any, keep: str, gone: str) -> str:
    body = {"primary_id": keep, "duplicate_ids": [gone]}
    made = office.post("/api/clients/merge", json=body)
    assert made.status_code == 200, made.text
    return str(made.json()["merge_id"])


def test_clients_that_were_merged_for_good_are_erased_together(house: Any) -> None:
    office = house.office(retention_years=0, merge_undo_days=0)
    keep, known = client(office, name="Keeper"), Known(office)
    known.void_credit()
    made = merged(office, keep, known.id)
    problem(known.erase(), 409, "client_merged")
    assert erase(office, keep).status_code == 200
    undo = {"merge_id": made, "force": True}
    problem(office.post("/api/clients/merge/undo", json=undo), 409, "client_erased")
    for subject in (keep, known.id, made):
        assert destroyed(office, subject)
    for path in (f"/api/clients/{known.id}", f"/api/clients/{keep}/merge-history"):
        assert seen({path: office.get(path).text}) == {}
    assert office.get(f"/api/clients/{known.id}").json()["erased"] is True


def test_a_merge_that_can_still_be_undone_holds_its_clients(house: Any) -> None:
    office = house.office(retention_years=0)
    keep = client(office)
    merged(office, keep, client(office))
    until = problem(erase(office, keep), 409, "merge_undoable")["undo_until"]
    assert until > house.clock().isoformat()


def test_erasing_one_whose_merge_was_undone_leaves_the_other_as_it_was(alone: Any) -> None:
    """A merge's facts speak of both; they are forgotten with either, and nothing else is."""
    office = alone.office(retention_years=0)
    keep = client(office, name="Keeper", notes="Keeps bees")
    office.made(f"/api/customers/{keep}/contacts", {"first_name": "Beekeeper"})
    third = client(office, name="Third", notes="Third of them")
    office.made(f"/api/customers/{third}/contacts", {"first_name": "Trio"})
    known = Known(office)
    known.void_credit()
    body = {"primary_id": keep, "duplicate_ids": [known.id, third], "note": CANARIES["name"]}
    made = office.post("/api/clients/merge", json=body).json()["merge_id"]
    mine = f"/api/customers/{keep}/contacts"
    for it in office.get(mine).json()["items"]:
        said = office.put(f"{mine}/{it['id']}", json={"role": f"Role of {it['first_name']}"})
        assert said.status_code == 200
    assert office.post("/api/clients/merge/undo", json={"merge_id": made}).status_code == 200
    assert known.erase().status_code == 200
    for path in ("invoices", "audit/logs"):
        assert "x-projection-lag" not in office.get(f"/api/{path}").headers
    live = read_models(alone)
    alone.worker.stop()
    assert built_anew(alone) == live
    assert seen({"read models": str(live)}) == {}
    for id, name, contact in ((keep, "Keeper", "Beekeeper"), (third, "Third", "Trio")):
        assert office.get(f"/api/clients/{id}").json()["name"] == name
        (person,) = office.get(f"/api/customers/{id}/contacts").json()["items"]
        assert person["first_name"] == contact
        assert person["role"] == f"Role of {contact}"
        history = office.get(f"/api/audit/resource/client/{id}/history").text
        assert seen({"history": history}) == {}
