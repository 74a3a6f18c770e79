"""What tests share: a throw-away Postgres, the real API on it, and workspaces to act in."""

import asyncio
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import hypothesis
import psycopg
import pytest
import uvicorn
from psycopg import sql

import projections
from zeroinvoice.app import Parts, create_app
from zeroinvoice.domain.session import Session
from zeroinvoice.domain.workspace import Settings as WorkspaceSettings
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.gateways.vault import Vault
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.fence import READ_ROLE, within
from zeroinvoice.journal.schema import conninfo, migrate
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Fact, Origin
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.policies.runner import Policies
from zeroinvoice.readside.projector import Projector
from zeroinvoice.settings import Settings
from zeroinvoice.worker import Worker

hypothesis.settings.register_profile("ci", max_examples=200, deadline=None, print_blob=True)
hypothesis.settings.register_profile("long", max_examples=5_000, deadline=None, print_blob=True)
hypothesis.settings.register_profile("crash", max_examples=20_000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


# All tests come from one address; those of the limits set their own.
UNLIMITED = dict.fromkeys(("LIMIT_GUESSES", "LIMIT_ADDRESS", "LIMIT_WORKSPACE"), "1000000")
NO_TLS = ssl.create_default_context()  # all is loopback; a client without one takes 20 ms to make


class MovableClock:
    """The real time, moved by as much as a test likes."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.moved


class Office:
    """One workspace and somebody logged in to it, who speaks HTTP."""

    def __init__(self, house: "House", tenant: UUID, user: UUID, session: UUID) -> None:
        self.house = house
        self.tenant, self.user, self.session = tenant, user, session
        parts = house.parts
        token = parts.tokens.access(user, tenant, session, 1, parts.clock())
        bearer = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=house.url, headers=bearer, timeout=10, verify=NO_TLS)
        self.get, self.post, self.put = self.http.get, self.http.post, self.http.put
        self.patch, self.delete = self.http.patch, self.http.delete

    def facts(self, stream: UUID | str) -> list[Fact]:
        """What is on record of one of the tenant's streams."""
        return self.house.parts.journal.history(self.tenant, UUID(str(stream)))

    def fresh(self, path: str, **asked: Any) -> httpx.Response:
        """GET what all read models have, however busy the machine is: until nothing lags."""
        while "x-projection-lag" in (answer := self.get(path, params=asked)).headers:
            continue
        return answer

    def made(self, path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        """POST what must succeed; answers its body."""
        answer = self.post(path, json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


class House:
    """The API, a projector worker and the policies on a Postgres of their own, over real HTTP."""

    def __init__(
        self,
        database_url: str,
        data: Path,
        projectors: tuple[Projector, ...] = projections.projectors,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.database_url = database_url
        self.clock = MovableClock()
        self.settings = Settings.from_env(
            {"ZEROINVOICE_DATA": str(data), "PORT": str(free_port()), **UNLIMITED, **(env or {})}
        )
        migrate(database_url)
        self.app = create_app(self.settings, database_url, clock=self.clock)
        self.parts = Parts(self.settings, database_url, self.clock)
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app,
                port=self.settings.port,
                log_level="warning",
                proxy_headers=False,
                timeout_graceful_shutdown=2,
            )
        )
        self.worker = Worker(database_url, projectors, MasterKeys(self.settings.master_keys))
        self.policies = Policies(self.settings, database_url, self.clock)
        self._threads = [
            threading.Thread(target=run, daemon=True)
            for run in (self._server.run, self.worker.run, self.policies.run)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self._server.started, "the API to start")
        wait_until(self._installed, "the read models to be made")

    def stop(self) -> None:
        self._server.should_exit = True
        self.worker.stop()
        self.policies.stop()
        for thread in self._threads:
            thread.join(10)

    def office(self, **settings: Any) -> Office:
        """A new workspace, its owner logged in; settings as in `domain.workspace.Settings`."""
        tenant, user, session = new_id(), new_id(), new_id()

        def opened(desk: Desk) -> None:
            chosen = WorkspaceSettings(**{"name": "Test", **settings})
            workspace = desk.new(Workspace, tenant)
            desk.record(workspace, workspace.open(user, chosen))
            begun = desk.new(Session, session)
            desk.record(begun, begun.start(user))

        self.commit(tenant, opened, user)
        return Office(self, tenant, user, session)

    def commit(
        self, tenant: UUID, decision: Callable[[Desk], Any], user: UUID | None = None
    ) -> Any:
        """Record something without HTTP, for what a test is given."""
        parts = Parts(self.settings, self.database_url, self.clock)
        actor = Actor("user", user) if user else Actor("system")

        async def run() -> Any:
            parts.committer.start()
            try:
                command = Command(tenant, Origin(actor, new_id()), decision)
                return (await parts.committer.submit(command)).answer
            finally:
                await parts.committer.stop()

        return asyncio.run(run())

    def _installed(self) -> bool:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            rows = connection.execute(
                "SELECT count(*) FROM checkpoints WHERE name NOT LIKE 'policy:%'"
            ).fetchone()
        return rows is not None and rows[0] == len(projections.projectors)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(true: Callable[[], bool], what: str, within: float = 15.0) -> None:
    """Poll for a condition; fails loudly when it does not come."""
    until = time.monotonic() + within
    while not true():
        if time.monotonic() > until:
            raise TimeoutError(f"waited {within} s for {what}")
        time.sleep(0.01)


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A Postgres cluster of this test process alone; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="zi-test-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)
        other = os.environ.get("TEST_POSTGRES_BIN")  # to try another version of Postgres
        binaries = [Path(other)] if other else None
        postgres = EmbeddedPostgres(Path(folder) / "postgres", binaries=binaries)
        url = postgres.start()
        try:
            yield url
        finally:
            postgres.stop()


@pytest.fixture(scope="session")
def house(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The running house; tests share it and keep apart by working in offices of their own."""
    it = House(database_url, tmp_path_factory.mktemp("data"))
    it.start()
    try:
        yield it
    finally:
        it.stop()


@pytest.fixture
def new_database(database_url: str) -> Callable[[], str]:
    """Makes an empty database in the test process's cluster, for what must be alone."""

    def made() -> str:
        name = f"test_{uuid4().hex}"
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return urlsplit(database_url)._replace(path=f"/{name}").geturl()

    return made


@pytest.fixture
def open_house(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Starts a house on a database of its own, with other folds and settings if need be."""
    opened: list[House] = []

    def opening(
        database_url: str,
        projectors: tuple[Projector, ...] = projections.projectors,
        **env: str,
    ) -> House:
        it = House(database_url, tmp_path, projectors, env)
        opened.append(it)
        it.start()
        return it

    yield opening
    for it in opened:
        it.stop()


@pytest.fixture
def office(house: House) -> Iterator[Office]:
    """A workspace with default settings."""
    house.clock.moved = timedelta()
    it = house.office()
    try:
        yield it
    finally:
        it.http.close()
        house.clock.moved = timedelta()


@pytest.fixture
def vault(house: House) -> Vault:
    """The house's vault, as its API reads it."""

    @contextmanager
    def connection(tenant: UUID) -> Iterator[psycopg.Connection[Any]]:
        url = conninfo(house.database_url, READ_ROLE, application="vault test")
        with psycopg.connect(url, autocommit=True) as it, within(it, tenant):
            yield it

    return Vault(MasterKeys(house.settings.master_keys), connection)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits for what is to come by itself."""
    return lambda true: wait_until(true, "what was to come by itself")


@pytest.fixture(scope="session")
def journal(database_url: str) -> Journal:
    return Journal.at(database_url)
