"""A newer program has been here: what it wrote stops those who cannot read it, and nobody else."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
from barriers import head, wait_for
from checks import settled
from eventsourcing.persistence import StoredEvent
from figures import say
from operations import prepared
from rounds import send

import projections
from zeroinvoice.domain.client import ClientAdded
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.mapper import GENESIS, StoredFact
from zeroinvoice.journal.recorder import HEAD, INSERT, LAST_HASHES, LOCK, chained, columns_of
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.worker import Worker

STANDING = "SELECT name, position, error, error_at FROM checkpoints WHERE name NOT LIKE 'policy:%'"


NEWER = (
    '{"at":"2026-11-26T12:00:00Z","origin":{"by":{"kind":"system"},'
    '"request":"00000000-0000-0000-0000-000000000001"},"event":{"to":"Mars"}}'
)


def append_newer(url: str, tenant: UUID, stream: UUID) -> int:
    """What a newer version would append to a stream: a fact of a kind that is unknown here."""
    with psycopg.connect(url) as connection:
        connection.execute(LOCK)
        (position,) = connection.execute(HEAD).fetchone() or (0,)
        (version,) = connection.execute(
            "SELECT coalesce(max(version), 0) FROM facts WHERE stream = %s", [stream]
        ).fetchone() or (0,)
        known = connection.execute(LAST_HASHES, [[tenant]]).fetchone()
        before = {tenant: bytes(known[2]) if known else GENESIS}
        event: StoredEvent = StoredFact(
            stream, version + 1, "InvoiceTeleported", NEWER.encode(), tenant
        )
        rows = chained([event], position, before)
        connection.execute(INSERT, columns_of(rows))
    return position + 1


def test_what_a_newer_version_wrote_stops_the_read_models_loudly_and_its_own_stream_alone(
    install: Any, open_office: Any, rng: random.Random
) -> None:
    """G18: workers halt at it and live on; its aggregate is 503; the rest of the API goes on."""
    installation = install()
    url = installation.database()
    installation.start_by_hand("api", "policies")
    (work,) = installation.start_by_hand("work")
    office = open_office(installation)
    with office.http() as http:
        drafts = prepared(office, rng, 3, "draft invoice")
        send(office, drafts)
        touched, cached, other = (it.answer.json()["id"] for it in drafts)
        settled(url)
        http.put(f"/api/invoices/{cached}", json={"notes": "so that it is in the cache"})
        settled(url)
        ends_at = append_newer(url, office.tenant, UUID(touched))
        append_newer(url, office.tenant, UUID(cached))

        def standing() -> bool:
            with psycopg.connect(url) as connection:
                rows = connection.execute(STANDING.encode()).fetchall()
            return (
                bool(rows)
                and all(
                    position == ends_at - 1 and error_at == ends_at and "UnknownTopic" in error
                    for _, position, error, error_at in rows
                    if error
                )
                and all(row[2] for row in rows)
            )

        took = wait_for(standing, "all read models to stand still at it", 5)
        shown = http.get("/api/health?verbose=1")
        assert shown.json()["status"] == "degraded"
        assert all(
            (it["error"], it["error_at"]) == ("UnknownTopic", ends_at)
            for it in shown.json()["checks"]["projections"].values()
        )
        for newer in (touched, cached):
            for answer in (
                http.get(f"/api/invoices/{newer}"),
                http.put(f"/api/invoices/{newer}", json={"notes": "x"}),
                http.patch(f"/api/invoices/{newer}/status", json={"status": "sent"}),
            ):
                assert (answer.status_code, answer.json()["code"]) == (503, "newer_version")
                assert int(answer.headers["retry-after"]) >= 1
                assert "Teleported" not in answer.text
        assert http.get(f"/api/invoices/{other}").status_code == 200
        more = prepared(office, rng, 100)
        send(office, more)
        assert {it.outcome for it in more} == {"acked", "refused"}, "the rest goes on"
    time.sleep(2)
    assert work.poll() is None, "it does not crash and start again"
    say(f"stood still after {took:.1f} s")


def test_neighbours_in_a_batch_are_not_touched_by_a_stream_that_cannot_be_read(
    installation: Any, open_house: Any, new_database: Any
) -> None:
    """G18: 20 commands at once, one of them on a stream of a newer version."""
    url = new_database()
    house = open_house(url)
    office = house.office()
    clients = [office.made("/api/clients", {"name": f"Client {n}"})["id"] for n in range(20)]
    append_newer(url, office.tenant, UUID(clients[7]))
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(
                lambda id: office.put(f"/api/clients/{id}", json={"notes": "all at once"}), clients
            )
        )
    assert [it.status_code for it in answers] == [503 if n == 7 else 200 for n in range(20)]


def test_a_worker_that_begins_on_a_journal_it_cannot_read_waits_and_rebuilds_nothing(
    new_database: Any, open_house: Any
) -> None:
    """G18: no crash loop either where the tables are to be rebuilt; what is served stays."""
    url = new_database()
    house = open_house(url)
    office = house.office()
    office.made("/api/clients", {"name": "Acme"})
    wait_for(lambda: office.get("/api/clients").json()["items"], "the list")
    house.stop()
    position = append_newer(url, office.tenant, office.tenant)
    raised = tuple(it.but(version=it.version + 1) for it in projections.projectors)
    worker = Worker(url, raised, None)
    thread = threading.Thread(target=worker.run)
    thread.start()

    def standing() -> bool:
        with psycopg.connect(url) as connection:
            rows = connection.execute(STANDING.encode()).fetchall()
        return all(error_at == position for _, _, _, error_at in rows)

    wait_for(standing, "all to stand still", 5)
    assert thread.is_alive()
    worker.stop()
    thread.join(5)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM clients_1.clients").fetchone() == (1,)


def test_a_rebuild_whose_fold_raises_stands_still_alone(new_database: Any, open_house: Any) -> None:
    """G19: the others are rebuilt and go on; the worker lives."""
    url = new_database()
    house = open_house(url)
    office = house.office()
    office.made("/api/clients", {"name": "Poison"})
    wait_for(lambda: head(url) and office.get("/api/clients").json()["items"], "the list")
    house.stop()

    def poisoned(*tables_and_fact: Any) -> None:
        fact: Fact = tables_and_fact[-1]
        if isinstance(fact.event, ClientAdded):
            raise ValueError("this fold cannot bear it")

    raised = tuple(it.but(version=it.version + 1) for it in projections.projectors)
    folds = tuple(it.but(project=poisoned) if it.name == "clients" else it for it in raised)
    worker = Worker(url, folds, None)
    thread = threading.Thread(target=worker.run)
    thread.start()
    shapes = {it.name: it.version for it in raised if it.name != "clients"}

    def rebuilt() -> bool:
        with psycopg.connect(url) as connection:
            rows = connection.execute(
                "SELECT name, shape, error FROM checkpoints WHERE name NOT LIKE 'policy:%'"
            ).fetchall()
        found = {name: shape for name, shape, error in rows if error is None}
        halted = [name for name, _, error in rows if error and "ValueError" in error]
        return found == shapes and halted == ["clients"]

    wait_for(rebuilt, "the others to be rebuilt", 10)
    assert thread.is_alive()
    worker.stop()
    thread.join(5)
    assert Journal.at(url, size=1).head() == head(url)
