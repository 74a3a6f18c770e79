"""Drafts rewritten and deleted; issued invoices locked; versions and keys."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

PATH = "/api/invoices"
LINE = {"description": "Work", "unit_price": "100"}


@pytest.fixture
def client_id(shop: Any) -> str:
    made: str = shop.client()
    return made


def drafted(office: Any, client_id: str, **more: Any) -> dict[str, Any]:
    body = {"client_id": client_id, "line_items": [LINE], **more}
    made: dict[str, Any] = office.made(PATH, body)
    return made


def put(office: Any, invoice_id: str, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return office.put(f"{PATH}/{invoice_id}", json=body, headers=headers or {})


# Drafts


def test_a_field_that_is_not_sent_stays_and_null_clears_it(office: Any, client_id: str) -> None:
    """Rule 5."""
    given = {
        "notes": "N",
        "reference": "R",
        "po_number": "P",
        "private_notes": "Ask Jo",
        "discount": {"type": "percent", "value": "10"},
        "deposit": {"type": "percent", "value": "30", "due_date": "2026-12-01"},
        "service_period": {"from": "2026-02-01", "to": "2026-02-28"},
        "expected_payment_date": "2026-12-24",
        "fx_rate": "1.1",
        "due_date": "2099-01-01",
        "payment_terms": "net 5",
        "language": "de",
    }
    invoice = drafted(office, client_id, tags=["a"], custom={"x": 1}, **given)
    changed = put(office, invoice["id"], notes="M")
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    differing = {name for name, value in changed.json().items() if value != invoice[name]}
    assert differing == {"notes", "version", "updated_at"}
    cleared = put(office, invoice["id"], **dict.fromkeys(given), tags=[], custom={}).json()
    for name in given.keys() - {"due_date", "payment_terms"}:
        assert cleared[name] is None, name
    assert (cleared["payment_terms"], cleared["total"]) == ("net 30", "100.00")
    issued = date.fromisoformat(cleared["issue_date"])
    assert cleared["due_date"] == str(issued + timedelta(days=30))
    assert office.get(f"{PATH}/{invoice['id']}").json() == cleared


def test_everything_of_a_draft_may_change(office: Any, shop: Any, client_id: str) -> None:
    """Rule 5: also whom it is for, and the currency."""
    invoice, other = drafted(office, client_id), shop.client("EUR")
    lines = [LINE, {**LINE, "quantity": 3}]
    body = {"client_id": other, "currency": "EUR", "line_items": lines, "total": "400"}
    changed = put(office, invoice["id"], **body).json()
    assert (changed["client_id"], changed["currency"]) == (other, "EUR")
    assert (changed["total"], len(changed["line_items"])) == ("400.00", 2)
    no = put(office, invoice["id"], total="399")
    assert (no.status_code, no.json()["code"]) == (422, "total_mismatch")


def test_nothing_to_change_is_no_event(office: Any, client_id: str) -> None:
    """Numbers in custom fields included."""
    invoice = drafted(office, client_id, custom={"share": 0.25, "parts": [1.5, {"of": 2.0}]})
    assert invoice["custom"] == {"share": "0.25", "parts": ["1.5", {"of": "2.0"}]}
    for body in ({}, {"custom": {"share": 0.25, "parts": [1.5, {"of": 2.0}]}}, {"notes": None}):
        assert put(office, invoice["id"], **body).headers["etag"] == '"1"'


def test_lines_that_stay_are_taxed_anew_when_the_way_of_taxing_changes(
    office: Any, client_id: str
) -> None:
    """Rule 1: what an invoice says of its taxes is what it computes."""
    office.made("/api/workspace/tax-codes", {"code": "V", "name": "VAT", "rate": "25"})
    lines = [
        {**LINE, "tax_rate": 25, "unit": "h", "discount": {"type": "amount", "value": "50"}},
        {**LINE, "unit_price": "50", "tax_codes": ["V"]},
    ]
    invoice = drafted(office, client_id, line_items=lines)
    assert invoice["total"] == "125.00"
    shown = {}
    for mode in ("inclusive", "exclusive", "none"):
        shown[mode] = put(office, invoice["id"], tax_mode=mode).json()
    totals = {mode: (it["total"], it["tax_total"]) for mode, it in shown.items()}
    assert totals == {
        "inclusive": ("100.00", "20.00"),
        "exclusive": ("125.00", "25.00"),
        "none": ("100.00", "0.00"),
    }
    kept = shown["none"]["line_items"][0]
    assert (kept["unit"], kept["discount"]) == ("h", {"type": "amount", "value": "50"})


def test_lines_that_stay_are_taxed_as_the_new_client_is(office: Any) -> None:
    """Rule 1: from an exempt client on, the lines must be told again."""
    usual = office.made("/api/clients", {"name": "Acme"})["id"]
    exempt = office.made("/api/clients", {"name": "Søren", "tax_exempt": "exempt"})["id"]
    invoice = drafted(office, usual, line_items=[{**LINE, "tax_rate": 20}])
    free = put(office, invoice["id"], client_id=exempt).json()
    assert (free["total"], free["tax_breakdown"][0]["category"]) == ("100.00", "E")
    no = put(office, invoice["id"], client_id=usual)
    assert (no.status_code, no.json()["code"]) == (422, "line_items_needed")
    again = put(office, invoice["id"], client_id=usual, line_items=[{**LINE, "tax_rate": 20}])
    assert again.json()["total"] == "120.00"


def test_a_draft_is_deleted_and_its_number_is_not_burned(office: Any, client_id: str) -> None:
    """Rule 5: 204, then 404; its facts stay."""
    invoice, other = (drafted(office, client_id)["id"] for _ in range(2))
    path = f"{PATH}/{invoice}"
    assert office.delete(path).status_code == 204
    assert office.get(path).status_code == 404
    assert office.delete(path).status_code == 404
    assert put(office, invoice, notes="x").status_code == 404
    for status in ("sent", "cancelled", "draft", "paid"):
        assert office.patch(f"{path}/status", json={"status": status}).status_code == 404
    assert [type(it.event).__name__ for it in office.facts(invoice)] == [
        "InvoiceDrafted",
        "InvoiceDiscarded",
    ]
    sent = office.patch(f"{PATH}/{other}/status", json={"status": "sent"}).json()
    assert sent["number"].endswith("-00001")


# Issued invoices


@pytest.mark.parametrize(
    "body",
    [
        {"notes": "x"},
        {"line_items": []},
        {"line_items": [{**LINE, "tax_rate": 1}]},
        {"currency": "EUR"},
        {"issue_date": "2026-01-01"},
        {"payment_terms": "net 1"},
        {"discount": {"type": "percent", "value": 1}},
        {"tax_mode": "none"},
        {"tax_mode": "inclusive"},
        {"number": "INV-1"},
        {"series": "B"},
        {"deposit": {"type": "percent", "value": 1, "due_date": "2026-12-01"}},
        {"service_period": {"from": "2026-01-01", "to": "2026-01-31"}},
        {"rounding_adjustment": "0.01"},
        {"language": "fr"},
    ],
)
def test_what_an_issued_invoice_says_is_locked(shop: Any, body: dict[str, Any]) -> None:
    """Rule 5: 409 with the fields and what to do instead; beside a free field, too."""
    client = shop.client()
    invoice = drafted(shop.office, client, line_items=[{**LINE, "tax_rate": 20}])["id"]
    shop.move(invoice, status="sent")
    no = shop.problem(put(shop.office, invoice, private_notes="y", **body), 409, "invoice_locked")
    (name,) = body
    assert {"line_items": "lines"}.get(name, name) in no["fields"]
    assert no["hint"] == "issue a credit note or duplicate"
    assert shop.story(invoice) == ["InvoiceDrafted", "InvoiceSent"]


def test_how_an_issued_invoice_is_handled_stays_free(shop: Any) -> None:
    """Rule 5: whatever became of it."""
    free = {
        "private_notes": "Ask Jo",
        "tags": ["late"],
        "custom": {"x": 1},
        "attachments": ["a.pdf"],
        "expected_payment_date": "2026-12-24",
        "reminders_enabled": False,
    }
    client = shop.client()
    sent, paid, cancelled, off = (shop.invoice(client) for _ in range(4))
    shop.paid(invoice_id=paid, amount="100")
    shop.move(cancelled, status="cancelled")
    shop.move(off, status="written_off")
    for invoice in (sent, paid, cancelled, off):
        before = shop.seen(invoice)
        answer = put(shop.office, invoice, **free)
        assert answer.status_code == 200, answer.text
        after = answer.json()
        assert {name: after[name] for name in free} == free
        differing = {name for name, value in after.items() if value != before[name]}
        assert differing == free.keys() | {"version", "updated_at"}
        assert shop.story(invoice)[-1] == "InvoiceAmended"
        assert put(shop.office, invoice, **free).json()["version"] == after["version"]


def test_a_due_date_is_put_off_but_never_brought_forward(shop: Any) -> None:
    """Rule 5."""
    invoice = shop.invoice(shop.client())
    due = date.fromisoformat(shop.seen(invoice)["due_date"])
    later = str(due + timedelta(days=9))
    assert put(shop.office, invoice, due_date=later).json()["due_date"] == later
    for earlier in (due, due + timedelta(days=8)):
        no = shop.problem(put(shop.office, invoice, due_date=str(earlier)), 409, "invoice_locked")
        assert no["fields"] == ["due_date"]


def test_a_cancelled_draft_is_handled_on_any_later_day(house: Any, shop: Any) -> None:
    """The day it is dated moves no more."""
    invoice = shop.draft(shop.client())
    assert shop.move(invoice, status="cancelled").status_code == 200
    house.clock.moved = timedelta(days=3)
    it = shop.office
    later = type(it)(house, it.tenant, it.user, it.session)  # with a token of that day
    answer = put(later, invoice, private_notes="Twice")
    assert answer.status_code == 200, answer.text
    shop.problem(put(later, invoice, notes="x"), 409, "invoice_locked")
    later.http.close()


def test_an_issued_invoice_is_not_deleted(shop: Any) -> None:
    """Rule 5."""
    client = shop.client()
    sent, cancelled, paid = (shop.invoice(client) for _ in range(3))
    shop.move(cancelled, status="cancelled")
    shop.paid(invoice_id=paid, amount="100")
    for invoice in (sent, cancelled, paid):
        answer = shop.office.delete(f"{PATH}/{invoice}")
        shop.problem(answer, 409, "use_cancel_or_credit_note")
        assert shop.seen(invoice)["number"]


# Versions and keys


def test_g4_of_fifty_who_saw_the_same_version_one_writes(office: Any, client_id: str) -> None:
    """G4: 49 learn that someone else changed it first."""
    invoice = drafted(office, client_id)["id"]
    with ThreadPoolExecutor(50) as pool:
        answers = list(
            pool.map(lambda n: put(office, invoice, {"If-Match": '"1"'}, notes=f"{n}"), range(50))
        )
    assert Counter(it.status_code for it in answers) == {200: 1, 412: 49}
    assert {it.headers["etag"] for it in answers} == {'"2"'}
    assert len(office.facts(invoice)) == 2


def test_g4_without_a_version_all_write_one_after_the_other(office: Any, client_id: str) -> None:
    """G4: no 500, none lost."""
    invoice = drafted(office, client_id)["id"]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: put(office, invoice, notes=f"{n}"), range(20)))
    assert Counter(it.status_code for it in answers) == {200: 20}
    assert sorted(it.json()["version"] for it in answers) == list(range(2, 22))


@pytest.mark.parametrize(
    ("tag", "status"),
    [('"1"', 200), ("*", 200), ('"7", "1"', 200), ('"2"', 412), ('W/"1"', 412), ("1", 412)],
)
def test_if_match_names_versions_exactly(
    office: Any, client_id: str, tag: str, status: int
) -> None:
    """R-CMD-2: a weak or malformed tag matches nothing; on every verb."""
    kept = {"If-Match": tag}
    for write in (
        lambda path: office.put(path, json={"notes": "x"}, headers=kept),
        lambda path: office.patch(f"{path}/status", json={"status": "sent"}, headers=kept),
        lambda path: office.delete(path, headers=kept),
    ):
        invoice = drafted(office, client_id)["id"]
        answer = write(f"{PATH}/{invoice}")
        done = 204 if answer.request.method == "DELETE" else 200
        assert answer.status_code == (412 if status == 412 else done)
        if status == 412:
            assert (answer.json()["code"], answer.headers["etag"]) == ("stale", '"1"')


def test_one_key_is_one_effect_on_every_verb(office: Any, client_id: str) -> None:
    """R-CMD-1: POST, PUT, PATCH and DELETE answer as the first time, though things moved on."""

    def twice(send: Any, key: str) -> Any:
        first, again = (send({"Idempotency-Key": key}) for _ in range(2))
        assert first.status_code < 300, first.text
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert "idempotent-replayed" not in first.headers
        assert again.headers["idempotent-replayed"] == "true"
        return first

    body = {"client_id": client_id, "line_items": [LINE]}
    post = twice(lambda key: office.post(PATH, json=body, headers=key), "a")
    path = f"{PATH}/{post.json()['id']}"
    twice(lambda key: office.put(path, json={"notes": "x"}, headers=key), "a")
    sent = twice(
        lambda key: office.patch(f"{path}/status", json={"status": "sent"}, headers=key), "a"
    )
    assert sent.json()["number"].endswith("-00001")
    assert office.post(PATH, json=body, headers={"Idempotency-Key": "a"}).json() == post.json()
    other = f"{PATH}/{drafted(office, client_id)['id']}"
    twice(lambda key: office.delete(other, headers=key), "a")
    reused = office.post(PATH, json={**body, "notes": "x"}, headers={"Idempotency-Key": "a"})
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert len(office.get(PATH).json()["items"]) == 1
    assert len(office.facts(post.json()["id"])) == 3


def test_a_key_from_many_at_once_drafts_one_invoice(office: Any, client_id: str) -> None:
    """R-CMD-1."""
    body = {"client_id": client_id, "line_items": [LINE]}
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda _: office.post(PATH, json=body, headers={"Idempotency-Key": "k"}), range(16)
            )
        )
    made = [it.text for it in answers if it.status_code == 201]
    assert {it.status_code for it in answers} <= {201, 409}
    assert len(set(made)) == 1
    assert len(office.get(PATH).json()["items"]) == 1
