"""Our side of the races: the whole service as its own processes, with a workspace in it."""

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from load import drive, request
from processes import await_listeners, free_port, start, stop

import projections
from zeroinvoice.app import Parts
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.workspace import Settings as WorkspaceSettings
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.schema import WORK_ROLE, conninfo, migrate
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Origin
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.readside import projector
from zeroinvoice.settings import Settings

MASTER = secrets.token_hex(32)  # of every service, since two may serve one database
SENT = b'{"status":"sent"}'
PROGRAM = [sys.executable, "-P", "-m", "zeroinvoice"]
LOWERED = [sys.executable, str(Path(__file__).with_name("lowered.py"))]


@dataclass(frozen=True)
class Service:
    """A running service: where it listens, and on whose behalf requests are made."""

    port: int
    url: str  # of its database
    settings: Settings
    tenant: UUID
    client: UUID
    token: str

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        return request(method, path, body, Authorization=f"Bearer {self.token}")

    def created(self, body: bytes, count: int, path: str = "/api/invoices/") -> list[str]:
        """Ids of what was made over HTTP: drafts of invoices, unless a path says otherwise."""
        made = drive(
            self.port, [self.request("POST", path, body)], connections=64, count=count, keep=True
        )
        made.only(201)
        ids = [msgspec.json.decode(answer)["id"] for answer in made.bodies]
        assert len(ids) == count
        return ids

    def sent(self, body: bytes, count: int) -> list[str]:
        """Ids of invoices that were drafted and sent over HTTP."""
        ids = self.created(body, count)
        moves = [self.request("PATCH", f"/api/invoices/{id}/status", SENT) for id in ids]
        drive(self.port, moves, connections=64, count=count).only(200)
        return ids


@contextlib.contextmanager
def service(
    url: str,
    *,
    workers: Sequence[str] = ("work",),
    processes: int = 2,
    tenant: UUID | None = None,
    without: str = "",
) -> Iterator[Service]:
    """Serve a database with some API processes and the workers that always run beside them.

    Requests are made on behalf of a new workspace, unless one that is there is named. `without`
    leaves away what `lowered` says.
    """
    migrate(url)
    with tempfile.TemporaryDirectory(prefix="zeroinvoice-bench-") as folder:
        secret, port = secrets.token_hex(32), free_port()
        env = {
            **os.environ,
            "DATABASE_URL": url,
            "PORT": str(port),
            "ZEROINVOICE_DATA": folder,
            "ZEROINVOICE_SECRET": secret,
            "ZEROINVOICE_MASTER_KEY": MASTER,
            "ACCESS_TOKEN_MINUTES": "15",
            "LOWERED": without,
            # Limits are looked at as ever; one address that drives everything reaches none.
            **dict.fromkeys(("LIMIT_GUESSES", "LIMIT_ADDRESS", "LIMIT_WORKSPACE"), "1000000"),
        }
        settings = Settings.from_env(env)
        log = Path(folder, "log")
        started = [start([*PROGRAM, word], log=log, env=env) for word in workers]
        program = LOWERED if without else PROGRAM
        started += [start([*program, "api"], log=log, env=env) for _ in range(processes)]
        try:
            await_listeners(port, log, started, count=processes)
            yield seeded(url, port, settings, tenant or new_id())
        finally:
            for process in started:
                stop(process)


def seeded(url: str, port: int, settings: Settings, tenant: UUID) -> Service:
    """A workspace with a new client, and a token for somebody in it."""
    parts = Parts(settings, url, system_clock)
    user, session = new_id(), new_id()

    def opened(desk: Desk) -> tuple[UUID, UUID]:
        workspace = desk.find(Workspace, tenant)
        if not workspace.version:
            opening = workspace.open(user, WorkspaceSettings("Bench"))
            workspace = desk.record(workspace, opening)
        owner = next(iter(workspace.membership.members))
        begun = desk.new(Session, session)
        desk.record(begun, begun.start(owner))
        client = desk.new(Client)
        desk.record(client, client.add(Profile("Acme Corp", "USD")))
        return owner, client.id

    owner, client = asyncio.run(_committed(parts.committer, tenant, opened))
    parts.journal.close()
    token = parts.tokens.access(owner, tenant, session, 1, system_clock())
    return Service(port, url, settings, tenant, client, token)


async def _committed(committer: Committer, tenant: UUID, decision: Callable[[Desk], Any]) -> Any:
    committer.start()
    try:
        done = await committer.submit(Command(tenant, Origin(Actor("system"), new_id()), decision))
        return done.answer
    finally:
        await committer.stop()


def commits(url: str, seconds: float, concurrent: int = 64, tenants: int = 8) -> float:
    """One-fact commits/s through the journal, from `concurrent` callers over some tenants."""
    settings = Settings.from_env(
        {"ZEROINVOICE_DATA": tempfile.mkdtemp(prefix="zeroinvoice-bench-")}
    )
    parts = Parts(settings, url, system_clock)
    return asyncio.run(_commits(parts.committer, seconds, concurrent, tenants))


async def _commits(committer: Committer, seconds: float, concurrent: int, tenants: int) -> float:
    homes = [new_id() for _ in range(tenants)]
    profile = Profile("Acme Corp", "USD", email="billing@acme.com", notes="x" * 250)
    committer.start()
    until, count = time.monotonic() + seconds, 0

    def add(desk: Desk) -> None:
        client = desk.new(Client)
        desk.record(client, client.add(profile))

    async def caller(home: UUID) -> None:
        nonlocal count
        while time.monotonic() < until:
            await committer.submit(Command(home, Origin(Actor("system"), new_id()), add))
            count += 1

    begun = time.monotonic()
    await asyncio.gather(*(caller(homes[n % tenants]) for n in range(concurrent)))
    took = time.monotonic() - begun
    await committer.stop()
    return count / took


def rebuild(url: str, *names: str) -> float:
    """Rebuild some read models together, or all of them; facts of the journal/s."""
    work = conninfo(url, WORK_ROLE, application="zeroinvoice bench", statement_ms=0)
    chosen = tuple(it for it in projections.projectors if not names or it.name in names)
    journal = Journal.at(work)
    facts = journal.head()
    with psycopg.connect(work, autocommit=True) as connection:
        begun = time.perf_counter()
        projector.rebuild(connection, chosen, journal)
        took = time.perf_counter() - begun
    journal.close()
    return facts / took
