"""What-if replay over HTTP and from the command line (beyond the field, row 6)."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

import projections.simulations

TODAY = datetime.now(UTC).date()
PATH = "/api/simulate"
AS_JSON = {"content-type": "application/json"}

NOBODY = UUID(int=4711)  # no id of anything


def ago(days: int) -> str:
    return str(TODAY - timedelta(days))


class Shop:
    """An office with a tax of 19 % and a client, and what may be supposed of it."""

    def __init__(self, office: Any) -> None:
        self.office = office
        office.made("/api/workspace/tax-codes", {"code": "VAT", "name": "VAT", "rate": "19"})
        self.client = self.new_client("Acme")

    def new_client(self, name: str) -> str:
        id: str = self.office.made("/api/clients", {"name": name})["id"]
        path = f"/api/clients/{id}/payment-settings"
        assert self.office.patch(path, json={"allow_overpayment": True}).status_code == 200
        return id

    def bill(self, price: int, issued: str, due: str, client: str | None = None) -> str:
        line = {"description": "Work", "unit_price": price, "tax_codes": ["VAT"]}
        body = {"client_id": client or self.client, "line_items": [line], "due_date": due}
        id: str = self.office.made("/api/invoices", {**body, "issue_date": issued})["id"]
        sent = self.office.patch(f"/api/invoices/{id}/status", json={"status": "sent"})
        assert sent.status_code == 200, sent.text
        return id

    def pay(self, amount: str, on: str, **more: Any) -> str:
        body = {"amount": amount, "method": "cash", "received_on": on, "confirm_duplicate": True}
        return str(self.office.made("/api/payments", {**body, **more})["id"])

    def credit(self, **body: Any) -> str:
        return str(self.office.made(f"/api/customers/{self.client}/credits", body)["id"])

    def do(self, credit: str, verb: str, **body: Any) -> None:
        path = f"/api/customers/{self.client}/credits/{credit}/{verb}"
        answer = self.office.post(path, json=body)
        assert answer.status_code == 200, answer.text

    def asked(self, *changes: dict[str, Any], **more: Any) -> Any:
        return self.office.post(PATH, json={"changes": list(changes), **more})

    def told(self, *changes: dict[str, Any], **more: Any) -> dict[str, Any]:
        answer = self.asked(*changes, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def seq(self, action: str, resource: str | UUID) -> int:
        query = {"action": action, "resource_id": str(resource)}
        found = self.office.get("/api/audit/logs", params=query).json()["items"]
        return int(found[0]["seq"])


@pytest.fixture
def shop(office: Any) -> Shop:
    return Shop(office)


def rate(percent: Any, since: str, **tax: str) -> dict[str, Any]:
    return {"type": "tax_rate", "rate": percent, "from": since, **(tax or {"code": "VAT"})}


def without(payment: Any) -> dict[str, Any]:
    return {"type": "without_payment", "payment_id": str(payment)}


def terms(**more: Any) -> dict[str, Any]:
    return {"type": "terms", **more}


def figure(actual: str, simulated: str, difference: str) -> dict[str, str]:
    return {"actual": actual, "simulated": simulated, "difference": difference}


def everything(url: str) -> dict[str, Any]:
    """Every table there is, but for how often each API key was used: a digest of all its rows."""
    tables = (
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%'"
        " AND schemaname <> 'information_schema' ORDER BY 1, 2"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        found = {}
        for schema, table in connection.execute(tables).fetchall():
            digest = sql.SQL(
                "SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t"
            )
            rows = connection.execute(digest.format(sql.Identifier(schema, table))).fetchone()
            found[f"{schema}.{table}"] = rows
    return found


def test_another_rate_from_a_day_changes_what_was_issued_since(shop: Shop) -> None:
    """Row 6: "VAT 21 % from 1 Jan". The total, the tax, the balance and the DSO follow."""
    shop.bill(100, ago(40), ago(10))
    later = shop.bill(200, ago(20), ago(0))
    it = shop.told(rate("21", ago(20)))
    dollars = it["by_currency"]["USD"]
    assert dollars["invoiced"] == figure("357.00", "361.00", "4.00")
    assert dollars["tax"] == figure("57.00", "61.00", "4.00")
    assert dollars["balance"] == figure("357.00", "361.00", "4.00")
    assert dollars["overdue"] == figure("119.00", "119.00", "0.00")
    assert [(row["rate"], row["base"], row["tax"]) for row in dollars["taxes"]] == [
        ("19", figure("300.00", "100.00", "-200.00"), figure("57.00", "19.00", "-38.00")),
        ("21", figure("0.00", "200.00", "200.00"), figure("0.00", "42.00", "42.00")),
    ]
    assert dollars["dso"]["days"] == 90
    assert dollars["dso"]["simple"] == figure("90.00", "90.00", "0.00")
    assert it["clients"][0]["client_id"] == shop.client
    assert it["clients"][0]["by_currency"] == it["by_currency"]
    (document,) = it["documents"]
    assert (document["type"], document["id"]) == ("invoice", later)
    assert document["actual"] == {
        "status": "sent", "total": "238.00", "tax": "38.00", "balance": "238.00",
        "due_date": ago(0),
    }  # fmt: skip
    assert document["simulated"] == {
        **document["actual"], "total": "242.00", "tax": "42.00", "balance": "242.00",
    }  # fmt: skip
    assert it["conflicts"] == []


def test_its_credit_notes_bear_the_other_rate_too(shop: Shop) -> None:
    """A7-4: a note takes the same of the lines, with their taxes; it settles its invoice first."""
    invoice = shop.bill(100, ago(10), ago(5))
    note = shop.credit(type="credit_note", invoice_id=invoice)
    it = shop.told(rate("21", ago(10)))
    dollars = it["by_currency"]["USD"]
    assert dollars["credit_notes"] == figure("119.00", "121.00", "2.00")
    for nothing in ("tax", "balance", "open_credit"):
        assert dollars[nothing] == figure("0.00", "0.00", "0.00")
    assert {row["id"]: row["simulated"]["status"] for row in it["documents"]} == {
        invoice: "paid",
        note: "applied",
    }


def test_a_bare_rate_is_changed_by_its_name(shop: Shop) -> None:
    line = {"description": "Work", "unit_price": 100, "tax_rate": "7"}
    body = {"client_id": shop.client, "line_items": [line], "issue_date": ago(3)}
    id = shop.office.made("/api/invoices", body)["id"]
    shop.office.patch(f"/api/invoices/{id}/status", json={"status": "sent"})
    it = shop.told(rate("5.5", ago(3), name="7 %", category="S"))
    assert it["by_currency"]["USD"]["tax"] == figure("7.00", "5.50", "-1.50")
    assert [row["name"] for row in it["by_currency"]["USD"]["taxes"]] == ["5.5 %", "7 %"]


def test_a_payment_beyond_the_new_balance_is_a_conflict_and_stays_unapplied(shop: Shop) -> None:
    """What was received is there; for what the invoice has no use, the fact is named."""
    invoice = shop.bill(100, ago(10), ago(5))
    payment = shop.pay("119.00", ago(4), invoice_id=invoice)
    it = shop.told(rate("7", ago(10)))
    dollars = it["by_currency"]["USD"]
    assert dollars["paid"] == figure("119.00", "107.00", "-12.00")
    assert dollars["unapplied"] == figure("0.00", "12.00", "12.00")
    assert dollars["balance"] == figure("0.00", "0.00", "0.00")
    (conflict,) = it["conflicts"]
    assert (conflict["code"], conflict["amount"], conflict["currency"]) == (
        "exceeds_balance", "12.00", "USD",
    )  # fmt: skip
    assert (conflict["resource_type"], conflict["resource_id"]) == ("payment", payment)
    assert conflict["seq"] == shop.seq("PaymentRecorded", payment)


def test_without_a_payment_its_invoice_is_owed(shop: Shop) -> None:
    """Row 6: "without payment P", and nothing that came of it: here a credit that was used."""
    invoice, other = shop.bill(100, ago(20), ago(10)), shop.bill(100, ago(9), ago(0))
    payment = shop.pay("150.00", ago(8), invoice_id=invoice)
    shown = shop.office.get(f"/api/payments/{payment}").json()
    shop.do(shown["credit_id"], "apply", invoice_id=other)
    it = shop.told(without(payment))
    dollars = it["by_currency"]["USD"]
    assert dollars["paid"] == figure("150.00", "0.00", "-150.00")
    assert dollars["balance"] == figure("88.00", "238.00", "150.00")
    assert dollars["overdue"] == figure("0.00", "119.00", "119.00")
    assert dollars["dso"]["simple"] == figure("33.28", "90.00", "56.72")
    told = {row["id"]: row["simulated"] for row in it["documents"]}
    assert told[payment] is told[shown["credit_id"]] is None
    assert (told[invoice]["status"], told[invoice]["balance"]) == ("overdue", "119.00")
    assert (told[other]["status"], told[other]["balance"]) == ("sent", "119.00")


def test_what_was_paid_back_through_a_payment_stands_in_the_way(shop: Shop) -> None:
    """A goodwill that went back through it could not have, so it is named."""
    payment = shop.pay("50.00", ago(3), client_id=shop.client)
    gift = shop.credit(type="goodwill", amount="20.00")
    shop.do(gift, "refund", amount="20.00", method="cash", payment_id=payment)
    answer = shop.asked(without(payment))
    assert (answer.status_code, answer.json()["code"]) == (422, "payment_needed")
    assert answer.json()["credit_id"] == gift


def test_other_terms_make_other_due_dates(shop: Shop) -> None:
    """Row 6: "terms net 14"; of one client, or from a day on, or of all."""
    other = shop.new_client("Beta")
    mine = shop.bill(100, ago(20), ago(-10))
    theirs = shop.bill(100, ago(20), ago(-10), client=other)
    it = shop.told(terms(net_days=14))
    assert it["by_currency"]["USD"]["overdue"] == figure("0.00", "238.00", "238.00")
    assert it["by_currency"]["USD"]["balance"]["difference"] == "0.00"
    assert {row["id"]: row["simulated"]["due_date"] for row in it["documents"]} == {
        mine: ago(6),
        theirs: ago(6),
    }
    it = shop.told(terms(terms="net 14", client_id=other))
    assert [row["id"] for row in it["documents"]] == [theirs]
    assert [row["name"] for row in it["clients"]] == ["Beta", "Acme"]
    assert shop.told(terms(net_days=14, **{"from": ago(19)}))["documents"] == []


def test_a_client_that_stands_for_another_has_its_documents_too(shop: Shop) -> None:
    """Merges are followed: the terms of the primary, and one line in the answer."""
    gone = shop.new_client("Acme Ltd")
    invoice = shop.bill(100, ago(20), ago(-10), client=gone)
    body = {"primary_id": shop.client, "duplicate_ids": [gone]}
    assert shop.office.post("/api/clients/merge", json=body).status_code == 200
    it = shop.told(terms(net_days=1, client_id=shop.client))
    assert [(row["id"], row["client_id"]) for row in it["documents"]] == [(invoice, shop.client)]
    assert [row["client_id"] for row in it["clients"]] == [shop.client]


def test_with_no_change_nothing_differs_and_figures_are_those_of_the_reports(shop: Shop) -> None:
    """The folds are those of receivables, so the same is told of a client."""
    invoice = shop.bill(100, ago(40), ago(10))
    shop.bill(50, ago(20), ago(1))
    shop.pay("30.00", ago(4), invoice_id=invoice)
    shop.pay("7.00", ago(4), client_id=shop.client)
    it = shop.told()
    assert (it["documents"], it["conflicts"]) == ([], [])
    dollars = it["by_currency"]["USD"]
    shown = shop.office.get(f"/api/customers/{shop.client}/receivables").json()
    owed = shown["by_currency"]["USD"]
    for ours, theirs in (("balance", "outstanding"), ("overdue", "overdue")):
        assert dollars[ours] == figure(owed[theirs], owed[theirs], "0.00")
    assert dollars["unapplied"]["actual"] == owed["unapplied_payments"].removeprefix("-")
    for way in ("simple", "countback"):
        assert dollars["dso"][way] == figure(owed["dso"][way], owed["dso"][way], "0.00")


def test_it_speaks_of_the_position_or_the_instant_that_is_named(shop: Shop) -> None:
    invoice = shop.bill(100, ago(10), ago(5))
    sent = shop.seq("InvoiceSent", invoice)
    before = datetime.now(UTC).isoformat()
    payment = shop.pay("119.00", ago(4), invoice_id=invoice)
    for until in (sent, before):
        it = shop.told(until=until)
        assert it["by_currency"]["USD"]["balance"]["actual"] == "119.00"
        assert it["position"] == sent
        assert shop.asked(without(payment), until=until).status_code == 404  # it had not come yet
    assert shop.told(until=before)["until"].replace("Z", "+00:00") == before
    half = shop.told(until=shop.seq("PaymentRecorded", payment))  # a command is told whole
    assert half["by_currency"]["USD"]["balance"]["actual"] == "0.00"
    assert half["position"] == shop.seq("InvoicePaymentApplied", invoice)
    now = shop.told()
    assert now["by_currency"]["USD"]["balance"]["actual"] == "0.00"
    assert now["position"] > sent
    assert now["day"] == str(TODAY)
    assert shop.told(until=shop.seq("WorkspaceOpened", shop.office.tenant))["by_currency"] == {}
    for too_early in (1, "2026-01-01T00:00:00Z"):
        assert shop.asked(until=too_early).status_code == 404


def test_of_long_lists_the_rest_is_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    other = shop.new_client("Beta")
    for client in (shop.client, other):
        shop.pay("119.00", ago(4), invoice_id=shop.bill(100, ago(10), ago(5), client=client))
    monkeypatch.setattr(projections.simulations, "MOST_LISTED", 1)
    it = shop.told(rate("7", ago(10)))
    lists = ("clients", "documents", "conflicts")
    assert [len(it[name]) for name in lists] == [1, 1, 1]
    assert [it[f"{name}_left_off"] for name in lists] == [1, 3, 1]
    assert it["by_currency"]["USD"]["unapplied"]["simulated"] == "24.00"


def test_nothing_is_written(shop: Shop, house: Any, eventually: Any) -> None:
    """Row 6: live data untouched: every table is byte for byte what it was."""
    invoice = shop.bill(100, ago(10), ago(5))
    payment = shop.pay("119.00", ago(4), invoice_id=invoice)
    changes = [rate("7", ago(10)), without(payment), terms(net_days=3)]
    shop.office.get("/api/audit/logs")
    seen: list[dict[str, Any]] = []

    def still() -> bool:  # the workers have caught up with all that was written before
        seen.append(everything(house.database_url))
        return len(seen) > 1 and seen[-1] == seen[-2]

    eventually(still)
    answers = [
        shop.office.post(PATH, json={"changes": changes}, headers={"Idempotency-Key": "one"}),
        shop.office.post(PATH, json={"changes": []}, headers={"Idempotency-Key": "one"}),
    ]
    assert [it.status_code for it in answers] == [200, 200]  # it is a read: a key means nothing
    assert all("idempotent-replayed" not in it.headers for it in answers)
    assert all("x-position" not in it.headers and "etag" not in it.headers for it in answers)
    assert everything(house.database_url) == seen[-1]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (without(NOBODY), 404, "not_found"),
        (terms(net_days=14, client_id=str(NOBODY)), 404, "not_found"),
        (terms(), 422, "terms_needed"),
        (terms(net_days=14, terms="net 14"), 422, "terms_needed"),
        (terms(net_days=1000), 422, "unknown_terms"),
        (terms(terms="whenever"), 422, "unknown_terms"),
        (rate("21", ago(0), code="GST"), 422, "unknown_tax"),
        (rate("21", ago(0), code="VAT", category="Z"), 422, "unknown_tax"),
        (rate("21", ago(0), category="S"), 422, "tax_needed"),
        (rate("100.01", ago(0)), 422, "rate_out_of_range"),
        (rate("-1", ago(0)), 422, "rate_out_of_range"),
        (rate("0.00001", ago(0)), 422, "too_many_decimals"),
        (rate("NaN", ago(0)), 400, "bad_input"),
        (rate("21", "1789-07-14"), 400, "bad_input"),
        ({"type": "tax_rate", "code": "VAT", "rate": "21"}, 400, "bad_input"),
        ({"type": "weather"}, 400, "bad_input"),
        ({**terms(net_days=14), "sender": "me"}, 400, "bad_input"),
    ],
    ids=str,
)
def test_a_change_that_makes_no_sense_is_refused(
    shop: Shop, change: dict[str, Any], status: int, code: str
) -> None:
    answer = shop.asked(change)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_an_exempt_line_bears_no_rate(shop: Shop) -> None:
    """EN 16931: the rate of an exemption is always 0."""
    shop.office.made(
        "/api/workspace/tax-codes", {"code": "EX", "name": "Exempt", "rate": "0", "category": "E"}
    )
    answer = shop.asked(rate("5", ago(0), code="EX"))
    assert (answer.status_code, answer.json()["code"]) == (422, "rate_out_of_range")


def test_a_question_that_makes_no_sense_is_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    future = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for until, code in (
        (future, "until_in_future"),
        ("2026-03-31T12:00:00", "bad_input"),
        ("yesterday", "bad_input"),
        (0, "bad_input"),
        (1 << 62, "bad_input"),
        (True, "bad_input"),
    ):
        answer = shop.asked(until=until)
        assert (answer.status_code, answer.json()["code"]) == (400, code), until
        assert answer.json()["errors"][0]["pointer"] == "/until"
    many = shop.asked(*[terms(net_days=1)] * 51)
    assert (many.status_code, many.json()["code"]) == (422, "too_many_changes")
    past = shop.office.post(f"{PATH}?as_of=2026-01-01T00:00:00Z", json={})
    assert past.status_code == 400
    assert shop.office.post(PATH, content=b"{}").status_code == 415
    assert shop.office.post(PATH, content=b"[", headers=AS_JSON).status_code == 400
    monkeypatch.setattr(projections.simulations, "MOST_FACTS", 2)
    long = shop.asked()
    assert (long.status_code, long.json()["code"]) == (422, "journal_too_long")
    first = shop.seq("WorkspaceOpened", shop.office.tenant)
    assert shop.asked(until=first).status_code == 200  # there is less to replay


def test_it_takes_leave_to_read_both_the_journal_and_invoices(shop: Shop) -> None:
    for permissions, status in (
        (["audit:read", "invoices:read"], 200),
        (["audit:read"], 403),
        (["invoices:read"], 403),
    ):
        body = {"name": "Key", "permissions": permissions}
        key = shop.office.made("/api/workspace/api-keys", body)["token"]
        answer = shop.office.post(PATH, json={}, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status, permissions


def test_only_a_few_histories_are_replayed_at_once(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asks for many at once does not keep everybody else waiting."""
    turns = BoundedSemaphore(1)
    monkeypatch.setattr(projections.simulations, "TURNS", turns)
    with turns:
        answer = shop.asked()
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
        assert answer.headers["retry-after"] == "2"
    assert shop.asked().status_code == 200
    assert shop.asked(without(uuid4())).status_code == 404  # and gives its turn back
    assert shop.asked().status_code == 200


def test_the_command_line_tells_the_same(shop: Shop, house: Any, tmp_path: Path) -> None:
    """As JSON, or as tables with every conflict in them."""
    invoice = shop.bill(100, ago(10), ago(5))
    shop.pay("119.00", ago(4), invoice_id=invoice)
    file, env = tmp_path / "change.json", {"ZEROINVOICE_DATA": str(house.settings.data)}
    file.write_text(json.dumps({"changes": [rate("7", ago(10))]}))
    here = shop.told(rate("7", ago(10)))

    def run(*words: object, tenant: UUID | str = shop.office.tenant) -> Any:
        program = [sys.executable, "-P", "-m", "zeroinvoice", "journal", "replay", "--tenant",
                   str(tenant), "--change", str(file), *map(str, words)]  # fmt: skip
        env["DATABASE_URL"] = house.database_url
        return subprocess.run(program, env=env, capture_output=True, text=True, check=False)

    told = run("--until", here["position"])
    assert told.returncode == 0, told.stderr
    assert {**json.loads(told.stdout), "until": ""} == {**here, "until": ""}
    told = run("--until", here["until"])
    assert json.loads(told.stdout) == here
    tables = run("--table")
    assert tables.returncode == 0, tables.stderr
    for text in ("Unapplied payments USD", "12.00", "2 documents would be others", "no room for"):
        assert text in tables.stdout
    for words, tenant, why in (
        (("--until", "soon"), shop.office.tenant, "RFC 3339"),
        ((), NOBODY, "no such workspace"),
    ):
        no = run(*words, tenant=tenant)
        assert (no.returncode, no.stdout) == (1, "")
        assert why in no.stderr
    file.write_text("[")
    assert run().returncode == 1
