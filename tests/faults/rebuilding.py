"""A rebuild while others write and read: what they see of it."""

import random
import threading
import time
from dataclasses import dataclass, field

import psycopg
from barriers import head
from checks import dump, everything_holds
from installation import Installation
from offices import Office, at_once
from operations import prepared
from records import Records

import projections
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.readside.projector import rebuild

PER_S = 50  # writes meanwhile
LONGEST_LOCK = 1.0  # seconds for which a checkpoint may be held while the tables are swapped
HELD = (
    "SELECT extract(epoch FROM clock_timestamp() - xact_start) FROM pg_stat_activity"
    " WHERE application_name = 'faults rebuild' AND state <> 'idle' AND pid IN"
    " (SELECT pid FROM pg_locks WHERE relation = 'checkpoints'::regclass AND granted"
    "  AND mode = 'RowShareLock')"
)


@dataclass
class Rebuilt:
    facts: int = 0
    took: float = 0.0  # seconds
    longest_lock: float = 0.0  # seconds
    statuses: dict[int, int] = field(default_factory=dict)  # answers by status
    reads: int = 0
    backwards: int = 0  # times a reader saw an older version after a newer one
    writes: int = 0


def fill(office: Office, rng: random.Random, url: str, facts: int) -> None:
    """Bring the journal to so many facts."""
    while head(url) < facts:
        prepared(office, rng, 1_000)


def rebuilding(
    installation: Installation, office: Office, rng: random.Random, facts: int
) -> Rebuilt:
    """Rebuild everything with so many facts, with 50 writes a second, and readers throughout."""
    url = installation.database()
    fill(office, rng, url, facts)
    names = ("draft invoice", "record payment", "revise draft")
    attempts = prepared(office, rng, PER_S * max(10, facts // 1_000), *names)
    (kept,) = prepared(office, rng, 1, "draft invoice")
    with office.http() as http:
        kept.carry_out(http, office.journal)
    assert kept.answer is not None
    id = kept.answer.json()["id"]
    seen, over = Rebuilt(facts=head(url)), threading.Event()
    sent: list[int] = []

    def change() -> None:  # one invoice gets an ever higher version, which one reader follows
        with office.http() as http:
            while not over.is_set():
                http.put(f"/api/invoices/{id}", json={"notes": str(time.monotonic())})
                time.sleep(0.05)

    def read() -> None:
        last = ""
        asked = {"limit": 200, "client_id": str(kept.need), "sort": "-updated_at"}
        with office.http() as http:
            while not over.is_set():
                answer = http.get("/api/invoices", params=asked)
                status = answer.status_code
                seen.statuses[status] = seen.statuses.get(status, 0) + 1
                seen.reads += 1
                found = [it for it in answer.json().get("items", ()) if it["id"] == id]
                if found:
                    seen.backwards += found[0]["updated_at"] < last
                    last = found[0]["updated_at"]
                time.sleep(0.01)

    def write() -> None:
        begun = time.monotonic()

        def due(http: object, number: int) -> None:
            time.sleep(max(0.0, begun + number / PER_S - time.monotonic()))
            if not over.is_set():
                attempts[number].carry_out(http, office.journal)  # type: ignore[arg-type]
                sent.append(number)

        at_once([lambda http, n=n: due(http, n) for n in range(len(attempts))], office, 4)

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not over.is_set():
                for (held,) in connection.execute(HELD).fetchall():
                    seen.longest_lock = max(seen.longest_lock, float(held))
                time.sleep(0.005)

    threads = [threading.Thread(target=it) for it in (change, read, read, write, watch)]
    for thread in threads:
        thread.start()
    try:
        work = conninfo(url, WORK_ROLE, application="faults rebuild", statement_ms=0)
        journal = Journal.at(work, office.installation.masters, size=1)
        begun = time.monotonic()
        with psycopg.connect(work, autocommit=True) as connection:
            rebuild(connection, projections.projectors, journal)
        seen.took = time.monotonic() - begun
        journal.close()
        time.sleep(0.5)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    seen.writes = len(sent)
    everything_holds(url, office, [attempts[number] for number in sent], Records())
    assert dump(url)
    return seen
