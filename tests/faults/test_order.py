"""The journal's order: whoever writes however, a reader that follows misses and repeats nothing."""

import os
import random
import signal
import threading
import time
from collections import defaultdict
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from barriers import await_blocked, wait_for
from checks import resolve
from eventsourcing.persistence import StoredEvent
from figures import say
from operations import prepared
from records import Records
from rounds import send

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.mapper import GENESIS, StoredFact
from zeroinvoice.journal.recorder import HEAD, INSERT, LAST_HASHES, LOCK, chained, columns_of
from zeroinvoice.journal.schema import API_ROLE, ORDER_LOCK, conninfo, migrate
from zeroinvoice.journal.store import Lost

WRITERS, READERS, SECONDS = 16, 3, 30
LARGEST = 60  # facts in one commit
ROLLED_BACK = 0.1
NAME = "faults writer"
HOLDS_ORDER = (
    "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'"
    f" AND objid = {ORDER_LOCK} AND granted"
)


class Writer:
    """Appends batches to streams of its own, and remembers what it knows to be committed.

    A careful one takes the order lock before it looks; a careless one leaves that to the
    database, and is turned away by it whenever somebody else was quicker.
    """

    def __init__(self, url: str, rng: random.Random, *, careful: bool) -> None:
        self._url = conninfo(url, API_ROLE, application=NAME)
        self._rng = rng
        self._careful = careful
        self.tenant = uuid4()
        self.streams = [uuid4() for _ in range(3)]
        self.acked: list[tuple[UUID, int]] = []  # stream and version
        self.turned_away = self.broken = 0
        self.unordered: list[str] = []

    def run(self, done: threading.Event, slow: threading.Event) -> None:
        while not done.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    while not done.is_set():
                        self._append(connection, slow)
            except psycopg.IntegrityError:
                self.turned_away += 1
            except psycopg.Error:
                self.broken += 1

    def _append(self, connection: psycopg.Connection[Any], slow: threading.Event) -> None:
        stream = self._rng.choice(self.streams)
        with connection.transaction(force_rollback=self._rng.random() < ROLLED_BACK) as whole:
            if self._careful:
                connection.execute(LOCK)
            (head,) = connection.execute(HEAD).fetchone() or (0,)
            known = connection.execute(LAST_HASHES, [[self.tenant]]).fetchall()
            (version,) = connection.execute(
                "SELECT coalesce(max(version), 0) FROM facts WHERE stream = %s", [stream]
            ).fetchone() or (0,)
            count = self._rng.randint(1, LARGEST)
            events: list[StoredEvent] = [
                StoredFact(stream, version + n, "Something", b"{}", self.tenant)
                for n in range(1, count + 1)
            ]
            hashes = {self.tenant: bytes(known[0][2]) if known else GENESIS}
            connection.execute(INSERT, columns_of(chained(events, head, hashes)))
            (held,) = connection.execute(HOLDS_ORDER).fetchone() or (0,)
            if not held:
                self.unordered.append("it was given positions without holding the order lock")
            if slow.is_set():
                slow.clear()
                connection.execute("SELECT pg_sleep(0.3)")
        if not whole.force_rollback:
            self.acked += [(stream, version + n) for n in range(1, count + 1)]


class Follower:
    """Follows the journal as a projector does: what comes after what it has."""

    def __init__(self, url: str) -> None:
        self._journal = Journal.at(url, size=1)
        self.versions: defaultdict[UUID, int] = defaultdict(int)
        self.position = 0
        self.wrong: list[str] = []

    def run(self, done: threading.Event) -> None:
        while not self.wrong:
            last = done.is_set()
            try:
                rows = self._journal.rows_since(self.position, 500)
            except Lost:
                continue
            except AssertionError as gap:
                self.wrong.append(str(gap))
                break
            for row in rows:
                if (row[0], row[3]) != (self.position + 1, self.versions[row[2]] + 1):
                    self.wrong.append(f"{row[:4]} follows {self.position}")
                self.position = row[0]
                self.versions[row[2]] = row[3]
            if last and not rows:
                break
        self._journal.close()


@pytest.fixture
def url(new_database: Any) -> str:
    made = new_database()
    migrate(made)
    return made


def test_followers_skip_and_repeat_nothing(url: str, rng: random.Random) -> None:
    """G5: 16 writers with batches of 1 to 60, rollbacks, delays and terminated sessions."""
    done, written, slow = threading.Event(), threading.Event(), threading.Event()
    seeds = [random.Random(rng.random()) for _ in range(WRITERS)]
    writers = [Writer(url, it, careful=n % 2 == 0) for n, it in enumerate(seeds)]
    followers = [Follower(url) for _ in range(READERS)]
    writing = [threading.Thread(target=it.run, args=(done, slow)) for it in writers]
    following = [threading.Thread(target=it.run, args=(written,)) for it in followers]
    for thread in (*writing, *following):
        thread.start()
    until = time.monotonic() + SECONDS
    ended = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < until and not any(it.unordered for it in writers):
            time.sleep(0.5)
            slow.set()
            sessions = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [NAME]
            ).fetchall()
            if sessions:
                (pid,) = rng.choice(sessions)
                connection.execute("SELECT pg_terminate_backend(%s)", [pid])
                ended += 1
    done.set()
    for thread in writing:
        thread.join()
    written.set()
    for thread in following:
        thread.join()
    for writer in writers:
        assert not writer.unordered, writer.unordered[0]
    stored = {(row[2], row[3]) for row in Journal.at(url, size=1).every_row()}
    acked = {it for writer in writers for it in writer.acked}
    for follower in followers:
        assert not follower.wrong, follower.wrong[0]
        assert follower.position == len(stored)
        assert sum(follower.versions.values()) == len(stored)
    assert acked <= stored
    assert sum(len(it.acked) for it in writers) == len(acked)
    turned_away = sum(it.turned_away for it in writers)
    say(
        f"{len(stored)} facts, {len(acked)} acknowledged, {turned_away} batches turned away,"
        f" {ended} sessions ended: 0 skipped, 0 repeated"
    )
    assert len(stored) > 1_000
    assert turned_away


def test_the_lock_outlives_no_writer(url: str) -> None:
    """G5: a writer that stops while it holds the order lock is ended, and the next one goes on."""
    held = conninfo(url, API_ROLE, application=NAME)
    stopped = psycopg.connect(held)
    stopped.execute(LOCK)
    with psycopg.connect(held, autocommit=True) as next_one:

        def free() -> bool:
            return bool(
                next_one.execute(f"SELECT pg_try_advisory_xact_lock({ORDER_LOCK})").fetchone()
                == (True,)
            )

        assert not free()
        assert wait_for(free, "the lock of a writer that stopped", 6) > 4
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        stopped.commit()
    stopped.close()


def test_a_process_that_stops_with_the_lock_in_its_hands_is_nobodys_error(
    install: Any, open_office: Any, rng: random.Random
) -> None:
    """G5, G22: its session is ended; when it wakes, what it had begun is decided once more."""
    installation = install(api_processes=1)
    url = installation.database()
    (api,) = installation.start_by_hand("api")
    office = open_office(installation)
    (first, second) = prepared(office, rng, 2, "send invoice")
    send(office, [first])
    (it,) = prepared(office, rng, 1, "record payment")
    with psycopg.connect(url) as obstacle:
        obstacle.execute("LOCK TABLE answers IN ACCESS EXCLUSIVE MODE")
        sending = threading.Thread(target=send, args=(office, [it, second]))
        sending.start()
        await_blocked(url, "zeroinvoice committer")  # it holds the journal's lock
        os.kill(api.pid, signal.SIGSTOP)
    with psycopg.connect(conninfo(url, API_ROLE, application=NAME), autocommit=True) as other:
        free = f"SELECT pg_try_advisory_xact_lock({ORDER_LOCK})"
        wait_for(lambda: other.execute(free).fetchone() == (True,), "the lock", 7)
    os.kill(api.pid, signal.SIGCONT)
    sending.join()  # a 500 would have raised
    resolve(office, [one for one in (it, second) if one.outcome == "unknown"])
    records = Records().read(url)
    for one in (first, second, it):
        assert one.operation.effects(records.marked[one.mark]) == 1
