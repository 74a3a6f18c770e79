"""The main job over HTTP, every answer checked: register, bill, get paid, read it back.

    python tests/journey/main_job.py http://127.0.0.1:8000

Rebuilds the read models by the command line on the way, so run it with the environment
(`ZEROINVOICE_DATA` or `DATABASE_URL`) of the server it talks to.
"""

import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

SENDS, PAYERS, REPEATS = 200, 20, 64


class Session:
    """Somebody who is logged in."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.email = f"owner-{secrets.token_hex(6)}@example.com"
        self.password = secrets.token_urlsafe(18)
        limits = httpx.Limits(max_connections=SENDS, max_keepalive_connections=SENDS)
        self.http = httpx.Client(base_url=url, timeout=30, limits=limits)

    def ask(self, method: str, path: str, status: int, **request: Any) -> Any:
        answer = self.http.request(method, path, **request)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


def say(line: str) -> None:
    print(f"  {line}", flush=True)


def at_once(count: int, act: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """The same act from many threads, let go together."""
    gate = threading.Barrier(count)

    def one(n: int) -> httpx.Response:
        gate.wait()
        return act(n)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def register_and_log_in(me: Session) -> None:
    body = {"email": me.email, "password": me.password, "full_name": "Main Job"}
    me.ask("POST", "/api/auth/register", 201, json=body)
    me.ask("POST", "/api/auth/register", 409, json=body)
    form = {"username": (None, me.email), "password": (None, me.password)}
    token = me.ask("POST", "/api/auth/login", 200, files=form)["access_token"]
    me.http.headers["Authorization"] = f"Bearer {token}"
    assert me.ask("GET", "/api/auth/me", 200)["email"] == me.email
    say("registered and logged in, by multipart as the API document prints it")


def create_client(me: Session) -> str:
    client = me.ask("POST", "/api/clients/", 201, json={
        "name": "Acme Corp", "email": "billing@acme.com", "phone": "+1-555-0100",
        "address": "123 Main St, San Francisco, CA 94102", "currency": "USD",
    })  # fmt: skip
    found = me.ask("GET", "/api/clients/search?q=acme", 200)["items"]
    assert [hit["client"]["id"] for hit in found] == [client["id"]]
    say("created a client and found it")
    id: str = client["id"]
    return id


def draft(me: Session, client_id: str, price: float = 150.00, **more: Any) -> dict[str, Any]:
    line = {"description": "API integration", "quantity": 10, "unit_price": price}
    body = {"client_id": client_id, "line_items": [line], "currency": "USD", "notes": "Net 30"}
    invoice: dict[str, Any] = me.ask("POST", "/api/invoices/", 201, json={**body, **more})
    return invoice


def pay(me: Session, invoice_id: str, amount: str, **headers: str) -> httpx.Response:
    body = {"invoice_id": invoice_id, "amount": amount, "currency": "USD",
            "method": "bank_transfer", "confirm_duplicate": True}  # fmt: skip
    return me.http.post("/api/payments/", json=body, headers=headers)


def send(me: Session, invoice_id: str, **headers: str) -> httpx.Response:
    path = f"/api/invoices/{invoice_id}/status"
    return me.http.patch(path, json={"status": "sent"}, headers=headers)


def bill_and_get_paid(me: Session, client_id: str) -> str:
    invoice = draft(me, client_id, due_date="2099-06-01")
    assert (invoice["number"], invoice["total"]) == (None, "1500.00")
    sent = send(me, invoice["id"])
    assert sent.status_code == 200, sent.text
    assert sent.json()["number"].endswith("-00001")
    for amount, left, status in (("500.00", "1000.00", "sent"), ("1000", "0.00", "paid")):
        assert pay(me, invoice["id"], amount).status_code == 201
        now = me.ask("GET", f"/api/invoices/{invoice['id']}", 200)
        assert (now["balance_due"], now["status"]) == (left, status), now
    listed = me.ask("GET", f"/api/invoices/client/{client_id}", 200)["items"]
    assert [it["status"] for it in listed] == ["paid"]
    found = me.ask("GET", "/api/invoices/search", 200, params={"q": now["number"]})["items"]
    assert found[0]["invoice"]["id"] == invoice["id"]
    total = me.ask("GET", f"/api/payments/invoice/{invoice['id']}/total", 200)
    assert (total["paid"], total["balance_due"]) == ("1500.00", "0.00")
    say("drafted, sent, paid in two parts, listed, searched and read")
    id: str = invoice["id"]
    return id


def in_the_audit_log(me: Session, invoice_id: str) -> None:
    history = me.ask("GET", f"/api/audit/resource/invoice/{invoice_id}/history", 200)
    versions = history["items"]
    assert [it["action"] for it in versions] == [
        "InvoiceDrafted", "InvoiceSent", "InvoicePaymentApplied", "InvoicePaymentApplied",
    ]  # fmt: skip
    logs = me.ask("GET", "/api/audit/logs", 200)["items"]
    assert logs[0]["seq"] > logs[-1]["seq"]
    say("seen in the audit log, step by step")


def parallel_sends(me: Session, client_id: str) -> None:
    """T15: consecutive numbers and no error."""
    drafts = [draft(me, client_id)["id"] for _ in range(SENDS)]
    answers = at_once(SENDS, lambda n: send(me, drafts[n]))
    assert [a.status_code for a in answers] == [200] * SENDS
    numbers = sorted(int(a.json()["number"][-5:]) for a in answers)
    assert numbers == list(range(2, SENDS + 2)), numbers
    say(f"{SENDS} parallel sends in one series: consecutive numbers, no error")


def parallel_payments(me: Session, client_id: str) -> None:
    """T16: one of twenty payments of 60 on a balance of 100 succeeds."""
    invoice = draft(me, client_id, price=10.00)["id"]
    assert send(me, invoice).status_code == 200
    statuses = [a.status_code for a in at_once(PAYERS, lambda _: pay(me, invoice, "60.00"))]
    assert sorted(statuses) == [201, *[422] * (PAYERS - 1)], statuses
    assert me.ask("GET", f"/api/invoices/{invoice}", 200)["balance_due"] == "40.00"
    say(f"{PAYERS} parallel payments on one balance: one wins")


def one_key_many_times(me: Session, client_id: str) -> None:
    """G3: one effect, and the same answer for all."""
    invoice = draft(me, client_id)["id"]
    assert send(me, invoice).status_code == 200
    key = {"Idempotency-Key": secrets.token_hex(16)}
    answers = at_once(REPEATS, lambda _: pay(me, invoice, "1.00", **key))
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    assert sum("idempotent-replayed" in a.headers for a in answers) == REPEATS - 1
    assert me.ask("GET", f"/api/invoices/{invoice}", 200)["amount_paid"] == "1.00"
    other = me.http.post("/api/payments/", json={"amount": "2.00"}, headers=key)
    assert other.status_code in (400, 422)
    say(f"one Idempotency-Key {REPEATS} times in parallel: one effect, one answer")


def stale_if_match(me: Session, client_id: str) -> None:
    invoice = draft(me, client_id)
    path = f"/api/invoices/{invoice['id']}"
    assert me.http.put(path, json={"notes": "a"}, headers={"If-Match": '"1"'}).status_code == 200
    stale = me.http.put(path, json={"notes": "b"}, headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"2"')
    say("a stale If-Match is 412")


def rebuild_under_load(me: Session, client_id: str) -> None:
    """All answers are the same before and after, while another client keeps writing."""
    paths = (
        "/api/invoices?limit=200&sort=created_at", "/api/payments?limit=200", "/api/clients",
        f"/api/invoices/client/{client_id}?limit=200", "/api/invoices/overdue",
        f"/api/clients/{client_id}/analytics", "/api/payments/summary",
        "/api/clients/search?q=acme", "/api/invoices/search?q=integration",
    )  # fmt: skip
    before = {path: me.ask("GET", path, 200) for path in paths}
    other = Session(me.url)
    register_and_log_in(other)
    elsewhere = create_client(other)
    done, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        while not done.is_set():
            draft(other, elsewhere)
            written += 1

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    try:
        command = [sys.executable, "-P", "-m", "zeroinvoice", "projections", "rebuild", "--all"]
        subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    finally:
        done.set()
        for writer in writers:
            writer.join()
    for path, answer in before.items():
        assert me.ask("GET", path, 200) == answer, f"{path} answers differently"
    listed = other.ask("GET", "/api/invoices?include_total=true&limit=1", 200)
    assert listed["total"] == written > 0
    say(f"rebuilt all read models during {written} writes: every answer is the same")


def play(url: str) -> None:
    me = Session(url)
    assert me.ask("GET", "/api/health", 200) == {"status": "healthy", "service": "ZeroInvoice API"}
    register_and_log_in(me)
    client_id = create_client(me)
    invoice_id = bill_and_get_paid(me, client_id)
    in_the_audit_log(me, invoice_id)
    parallel_sends(me, client_id)
    parallel_payments(me, client_id)
    one_key_many_times(me, client_id)
    stale_if_match(me, client_id)
    rebuild_under_load(me, client_id)
    assert me.http.post("/api/auth/logout").status_code in (200, 204)
    me.ask("GET", "/api/invoices", 401)
    say("logged out: the token is dead at once")


if __name__ == "__main__":
    play(sys.argv[1])
    print("The main job is done.")
