"""The fault harness: the installation as real processes, a client that keeps a journal."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

import projections
from zeroinvoice.app import Parts
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.workspace import Settings as WorkspaceSettings
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.committer import Command
from zeroinvoice.journal.proof import verify
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Origin
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.readside.projector import rebuild
from zeroinvoice.readside.tables import schema_name
from zeroinvoice.settings import Settings

SEED = int(os.environ.get("FAULT_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)


class Installation:
    """`zeroinvoice serve` on data of its own, with its children's process ids."""

    def __init__(self, data: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data = data
        self.env = {
            **os.environ,
            "ZEROINVOICE_DATA": str(data),
            "PORT": str(self.port),
            "DATABASE_URL": "",
            "LOG_LEVEL": "error",
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = Settings.from_env(self.env)
        self.process: subprocess.Popen[bytes] | None = None
        self._postgres = EmbeddedPostgres(self.settings.postgres_dir)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zeroinvoice", "serve"],
            env=self.env,
            stderr=(self.data / "serve.log").open("ab"),
            start_new_session=True,
        )
        until = time.monotonic() + 60
        while not self.healthy():
            assert self.process.poll() is None, (self.data / "serve.log").read_text()[-2000:]
            assert time.monotonic() < until, "it does not become healthy"
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(20) == 0

    def healthy(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/api/health", timeout=1).status_code == 200
        return False

    def database(self) -> str:
        return self._postgres.start()

    def release(self) -> None:
        self._postgres.stop()

    def children(self, word: str) -> list[int]:
        """Process ids of our own children, by the command they run."""
        assert self.process is not None
        found = []
        for path in Path("/proc").glob("[0-9]*/status"):
            with contextlib.suppress(OSError):
                status = path.read_text()
                if f"\nPPid:\t{self.process.pid}\n" in status:
                    command = (path.parent / "cmdline").read_bytes().split(b"\0")
                    if word.encode() in command:
                        found.append(int(path.parent.name))
        return found

    def postmaster(self) -> int:
        lines = (self.settings.postgres_dir / "cluster" / "postmaster.pid").read_text().split("\n")
        return int(lines[0])

    def backend(self, rng: random.Random) -> int | None:
        """The process id of one of our Postgres' sessions, an API writer's or reader's."""
        with psycopg.connect(self.database(), autocommit=True) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'zeroinvoice%'"
                " ORDER BY pid"
            ).fetchall()
        return rng.choice(rows)[0] if rows else None


@dataclass
class Operation:
    """One intended write: what was sent, and what is known of it."""

    id: str  # also the invoice's reference, by which its effect is found
    body: bytes
    outcome: str = "unknown"  # acked, refused, unknown
    answer: dict[str, Any] = field(default_factory=dict)


class ClientJournal:
    """What a careful client writes down before and after each request, synced to disk."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def note(self, **entry: Any) -> None:
        with self._lock:
            self._file.write(json.dumps(entry).encode() + b"\n")
            os.fdatasync(self._file.fileno())


class Office:
    """A workspace with a client to bill, acted for over HTTP with a token of its owner."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.journal = ClientJournal(installation.data / "client.journal")
        url = installation.database()
        parts = Parts(installation.settings, url, system_clock)
        self.tenant, user, session = new_id(), new_id(), new_id()

        def opened(desk: Desk) -> UUID:
            workspace = desk.new(Workspace, self.tenant)
            desk.record(workspace, workspace.open(user, WorkspaceSettings("Faults")))
            begun = desk.new(Session, session)
            desk.record(begun, begun.start(user))
            client = desk.new(Client)
            return desk.record(client, client.add(Profile("Acme Corp", "USD"))).id

        async def seed() -> UUID:
            parts.committer.start()
            origin = Origin(Actor("system"), new_id())
            done = await parts.committer.submit(Command(self.tenant, origin, opened))
            await parts.committer.stop()
            made: UUID = done.answer
            return made

        self.client_id = asyncio.run(seed())
        token = parts.tokens.access(user, self.tenant, session, 1, system_clock())
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def operation(self) -> Operation:
        id = new_id().hex
        line = {"description": "Work", "quantity": 3, "unit_price": 33.33, "tax_rate": "20"}
        body = {"client_id": str(self.client_id), "line_items": [line], "reference": id}
        return Operation(id, json.dumps(body).encode())

    def carry_out(self, http: httpx.Client, it: Operation) -> None:
        """Send it once, under its key, and write down what became of it."""
        self.journal.note(op=it.id, state="sent")
        try:
            answer = http.post(
                f"{self.installation.url}/api/invoices",
                content=it.body,
                headers={**self.headers, "Idempotency-Key": it.id},
            )
        except httpx.HTTPError:
            it.outcome = "unknown"
        else:
            assert answer.status_code in (201, 409, 422, 429, 503), answer.text
            if answer.status_code == 201:
                it.outcome, it.answer = "acked", answer.json()
            else:
                it.outcome = "unknown" if answer.status_code == 503 else "refused"
        self.journal.note(op=it.id, state=it.outcome)

    def carry_out_all(
        self, operations: list[Operation], *, threads: int = 8, meanwhile: Callable[[], None]
    ) -> None:
        """All operations from several threads, while something else happens."""
        waiting = iter(operations)
        lock = threading.Lock()

        def work() -> None:
            with httpx.Client(timeout=8) as http:
                while True:
                    with lock:
                        it = next(waiting, None)
                    if it is None:
                        return
                    self.carry_out(http, it)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        meanwhile()
        for worker in workers:
            worker.join()


@pytest.fixture
def rng() -> random.Random:
    print(f"FAULT_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A served installation of this test module alone."""
    data = tmp_path_factory.mktemp("installation")
    for folder in (data, *data.parents):  # as root, Postgres is another user
        with contextlib.suppress(PermissionError):
            if str(folder).startswith("/tmp/"):
                folder.chmod(folder.stat().st_mode | 0o011)
    it = Installation(data)
    it.start()
    try:
        yield it
    finally:
        it.stop()
        it.release()


@pytest.fixture(scope="module")
def office(installation: Installation) -> Office:
    return Office(installation)


def _effects(url: str, tenant: UUID) -> dict[str, int]:
    """How often each reference was drafted, from the journal itself."""
    journal = Journal.at(url)
    counts: dict[str, int] = {}
    for row in journal.every_row():
        if row[1] == tenant and row[4] == "InvoiceDrafted":
            reference = json.loads(row[5])["event"]["content"].get("reference")
            counts[reference] = counts.get(reference, 0) + 1
    journal.close()
    return counts


def _dump(url: str) -> dict[str, str]:
    """Every read table as text, in the order of its key."""
    dumps = {}
    with psycopg.connect(url) as connection:
        served = dict(connection.execute("SELECT name, generation FROM checkpoints").fetchall())
        for projector in projections.projectors:
            for table in projector.tables:
                place = f"{schema_name(projector.name, served[projector.name])}.{table.name}"
                key = next(iter(table.columns)).name
                rows = connection.execute(f"SELECT t::text FROM {place} t ORDER BY {key}".encode())
                dumps[table.name] = "\n".join(row[0] for row in rows)
    return dumps


def _behind(url: str) -> list[tuple[Any, ...]]:
    """The read models that are not at the journal's head, with why if it is known."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT name, position, (SELECT max(position) FROM facts), error, error_at"
            " FROM checkpoints WHERE name = ANY(%s)"
            " AND position < (SELECT max(position) FROM facts)",
            [[it.name for it in projections.projectors]],
        ).fetchall()


@dataclass
class Checks:
    """What must hold after each round, whatever happened in it."""

    effects: Callable[[str, UUID], dict[str, int]] = _effects
    dump: Callable[[str], dict[str, str]] = _dump

    def settled(self, url: str) -> None:
        """Nothing is stuck: the read models reach the head within 10 s (G1, check 8)."""
        until = time.monotonic() + 10
        while behind := _behind(url):
            assert time.monotonic() < until, f"these do not reach the head: {behind}"
            time.sleep(0.05)

    def whole(self, url: str) -> int:
        """Positions without gaps, versions without gaps, every link of the chain."""
        journal = Journal.at(url)
        try:
            return verify(journal.every_row()).facts
        finally:
            journal.close()

    def rebuilt_alike(self, url: str) -> None:
        """Read models are byte-equal to a rebuild from the journal."""
        before = _dump(url)
        work = conninfo(url, WORK_ROLE, application="faults rebuild", statement_ms=0)
        journal = Journal.at(work)
        with psycopg.connect(work, autocommit=True) as connection:
            rebuild(connection, projections.projectors, journal)
        journal.close()
        after = _dump(url)
        for name, rows in before.items():
            assert rows == after[name], f"{name} differs from its rebuild"


@pytest.fixture
def checks() -> Checks:
    return Checks()
