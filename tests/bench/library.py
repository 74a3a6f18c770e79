"""The yardstick `eventsourcing`: its application's commits, and its projection runner.

It runs as its documentation shows it, with a mapper that encodes by msgspec.
"""

import threading
import time
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
import psycopg
from bodies import Drafted, drafted
from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent, Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.utils import get_topic
from psycopg.sql import SQL, Identifier

TOGETHER = 500  # events an insert when the store is filled


class Recorded(msgspec.Struct, frozen=True):
    originator_id: UUID
    originator_version: int
    fact: Drafted


class MsgspecMapper(Mapper[UUID]):
    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=get_topic(type(domain_event)),
            state=msgspec.json.encode(domain_event.fact),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return Recorded(
            cast(UUID, stored_event.originator_id),
            stored_event.originator_version,
            msgspec.json.decode(stored_event.state, type=Drafted),
        )


class Store(Application[UUID]):
    name = "store"


class Totals(PostgresTrackingRecorder):
    """The simplest read model: a row a fact, written in the transaction that tracks it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.check_identifier_length("totals")
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {} "
                "(invoice_id uuid PRIMARY KEY, number text, total numeric)"
            ).format(Identifier("totals"))
        )

    def add(self, event: Recorded, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO totals VALUES (%s, %s, %s)",
                (event.originator_id, event.fact.number, event.fact.total),
                prepare=True,
            )


class Invoices(Projection[Totals]):
    name = "totals"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.add(domain_event, tracking)


def environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts.path.lstrip("/"),
        "POSTGRES_HOST": parts.hostname or "",
        "POSTGRES_PORT": str(parts.port),
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_PASSWORD": parts.password or "",
        "POSTGRES_POOL_SIZE": "16",
        "MAPPER_TOPIC": get_topic(MsgspecMapper),
    }


def commits(url: str, seconds: float, threads: int = 8) -> float:
    """Save one-event streams from some threads; commits/s."""
    with Store(environment(url)) as store:
        done = [0] * threads
        begin = threading.Barrier(threads + 1)
        ending = threading.Event()

        def save(share: int) -> None:
            fact = drafted(share)
            begin.wait()
            while not ending.is_set():
                store.save(Recorded(uuid4(), 1, fact))
                done[share] += 1

        workers = [threading.Thread(target=save, args=(share,)) for share in range(threads)]
        for worker in workers:
            worker.start()
        begin.wait()
        begun = time.perf_counter()
        time.sleep(seconds)
        count, elapsed = sum(done), time.perf_counter() - begun
        ending.set()
        for worker in workers:
            worker.join()
        return count / elapsed


def fill(url: str, facts: int) -> None:
    """Put facts into the store, many at a time, for the runner to project."""
    with Store(environment(url)) as store:
        for first in range(1, facts + 1, TOGETHER):
            batch = range(first, min(first + TOGETHER, facts + 1))
            events: list[Any] = [Recorded(uuid4(), 1, drafted(number)) for number in batch]
            store.save(*events)


def project(url: str) -> float:
    """Run the projection over all facts in the store, from nothing; facts/s."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("totals", "totals_tracking"):
            connection.execute(f"DROP TABLE IF EXISTS {table}".encode())
        row = connection.execute("SELECT count(*), max(notification_id) FROM store_events")
        facts, last = row.fetchone() or (0, 0)
    begun = time.perf_counter()
    with ProjectionRunner(
        application_class=Store,
        projection_class=Invoices,
        view_class=Totals,
        env=environment(url),
    ) as runner:
        runner.wait(last, timeout=120)
        elapsed = time.perf_counter() - begun
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT count(*) FROM totals").fetchone()
    assert rows == (facts,), f"{rows} rows from {facts} facts"
    return float(facts) / elapsed
