"""Idempotency keys under pressure: one effect a key, whoever asks how often and what dies."""

import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
from barriers import await_lock_waiters
from operations import prepared
from records import Records

from zeroinvoice.journal.schema import ORDER_LOCK

KEYS, EQUALS = 30, 64


def drafted(office: Any, reference: str) -> dict[str, Any]:
    line = {"description": "Work", "unit_price": "10.00"}
    return {
        "client_id": str(office.clients[0]),
        "reference": reference,
        "line_items": [line],
    }


def test_64_equal_requests_under_30_keys_have_30_effects(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G3: each answer is the first one, or a 409 that says to wait."""
    keys = [rng.randbytes(16).hex() for _ in range(KEYS)]
    clients = [office.http() for _ in range(EQUALS)]
    answers: dict[str, list[httpx.Response]] = {}
    gate = threading.Barrier(EQUALS)

    def ask(client: httpx.Client, key: str) -> httpx.Response:
        gate.wait(20)
        own = {"Idempotency-Key": key, "X-Reason": key}
        return client.post("/api/invoices", json=drafted(office, key), headers=own)

    with ThreadPoolExecutor(EQUALS) as pool:
        for key in keys:
            answers[key] = list(pool.map(ask, clients, [key] * EQUALS))
    for client in clients:
        client.close()
    records = Records().read(installation.database())
    for key, given in answers.items():
        assert records.marked[key] == {"InvoiceDrafted": 1}
        told = {it.status_code for it in given}
        assert told <= {201, 409}, told
        assert len({it.text for it in given if it.status_code == 201}) == 1
        assert all("retry-after" in it.headers for it in given if it.status_code == 409)
        first = [it for it in given if it.status_code == 201]
        assert sum("idempotent-replayed" not in it.headers for it in first) == 1


def test_a_key_is_bound_to_its_body_its_user_and_its_tenant(
    installation: Any, office: Any, open_office: Any, rng: random.Random
) -> None:
    """G3: another body is 422; the same key of somebody else is a key of its own."""
    key = rng.randbytes(16).hex()
    other = open_office(installation, "Other")
    with office.http() as ours, other.http() as theirs:
        own = {"Idempotency-Key": key, "X-Reason": key}
        first = ours.post("/api/invoices", json=drafted(office, "one"), headers=own)
        changed = ours.post("/api/invoices", json=drafted(office, "two"), headers=own)
        foreign = theirs.post("/api/invoices", json=drafted(other, "one"), headers=own)
    assert (first.status_code, foreign.status_code) == (201, 201)
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")
    assert first.json()["id"] != foreign.json()["id"]
    assert Records().read(installation.database()).marked[key] == {"InvoiceDrafted": 2}


def test_a_key_in_flight_in_a_process_that_dies_runs_at_once_when_it_is_tried_again(
    install: Any, open_office: Any, rng: random.Random
) -> None:
    """G3: no lock of the dead stands in its way."""
    installation = install(api_processes=1)
    url = installation.database()
    (api,) = installation.start_by_hand("api")
    office = open_office(installation)
    (it,) = prepared(office, rng, 1, "draft invoice")
    with psycopg.connect(url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", [ORDER_LOCK])
        with office.http() as http:
            flying = threading.Thread(target=it.carry_out, args=(http, office.journal))
            flying.start()
            await_lock_waiters(url, 1)
            os.kill(api.pid, signal.SIGKILL)
            flying.join()
    assert it.outcome == "unknown"
    api.wait()
    installation.start_by_hand("api")
    with office.http() as http:
        it.carry_out(http, office.journal)
        assert it.outcome == "acked"
        assert it.answer.elapsed.total_seconds() < 1
        first = it.answer.json()
        it.carry_out(http, office.journal)
    assert it.answer.json() == first
    assert it.operation.effects(Records().read(url).marked[it.mark]) == 1


def test_50_parallel_changes_with_one_if_match_are_one_change(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G4: exactly one 200 and 49 times 412; without If-Match all apply, one after the other."""
    (it,) = prepared(office, rng, 1, "revise draft")
    path, count = f"/api/invoices/{it.need}", 50
    clients = [office.http() for _ in range(count)]
    gate = threading.Barrier(count)

    def change(client: httpx.Client, notes: str, match: str | None) -> httpx.Response:
        gate.wait(20)
        return client.put(
            path, json={"notes": notes}, headers={} if match is None else {"If-Match": match}
        )

    notes = [f"note {n}" for n in range(count)]
    with ThreadPoolExecutor(count) as pool:
        matching = list(pool.map(change, clients, notes, ['"1"'] * count))
        free = list(pool.map(change, clients, [f"again {it}" for it in notes], [None] * count))
        none = list(pool.map(change, clients, notes, ['W/"1"', "1", '"x"', "", '"0"'] * 10))
    shown = clients[0].get(path)
    for client in clients:
        client.close()
    assert sorted(it.status_code for it in matching) == [200] + [412] * (count - 1)
    assert {it.headers["etag"] for it in matching if it.status_code == 412} == {'"2"'}
    assert [it.status_code for it in free] == [200] * count
    assert sorted(int(it.headers["etag"].strip('"')) for it in free) == list(range(3, count + 3))
    assert {it.status_code for it in none} == {412}
    assert shown.headers["etag"] == f'"{count + 2}"'
