"""The API: routes of both sides under one roof, and what they share while it runs."""

import gc
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio.to_thread
import psycopg
import structlog
import uvicorn
from litestar import Litestar, Request, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.types import ASGIApp

import commands
import projections
from zeroinvoice.gateways.attempts import Attempts
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.gateways.vault import Vault, needed
from zeroinvoice.http import pages
from zeroinvoice.http.access_log import AccessLog
from zeroinvoice.http.auth import Tokens, authenticate
from zeroinvoice.http.connections import Connections
from zeroinvoice.http.edge import Edge
from zeroinvoice.http.key_uses import KeyUses
from zeroinvoice.http.limits import Limits
from zeroinvoice.http.paging import paging
from zeroinvoice.http.passwords import Passwords
from zeroinvoice.http.problems import handlers
from zeroinvoice.http.reading import RequestReader
from zeroinvoice.http.routes import ApiRequest
from zeroinvoice.http.schema import ExactSchema, described
from zeroinvoice.http.writing import Writer
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.fence import READ_ROLE, searched_by_scan
from zeroinvoice.journal.schema import API_ROLE, assert_safe, conninfo
from zeroinvoice.journal.store import PostgresStore
from zeroinvoice.kernel.clock import Clock, system_clock
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.readside.pulse import Pulse
from zeroinvoice.readside.reader import LONGEST, Books
from zeroinvoice.settings import Settings

log = structlog.get_logger()

# Headers that scripts on such pages may send and read.
ASKING = ["idempotency-key", "if-match", "if-none-match", "x-min-position", "x-reason"]
TELLING = ["ETag", "Idempotent-Replayed", "Retry-After", "X-Position", "X-Projection-Lag",
           "X-Request-Id"]  # fmt: skip
LARGEST_BODY = 1_000_000  # bytes
READERS = 16  # threads and connections a process reads with


class Parts:
    """What one process of the API is put together from."""

    def __init__(self, settings: Settings, database_url: str, clock: Clock) -> None:
        longest = round(LONGEST * 1000)
        reads = conninfo(
            database_url, READ_ROLE, application="zeroinvoice api", statement_ms=longest
        )
        self.settings = settings
        self.clock = clock
        self.keyring = Keyring(*settings.secret_keys)
        lasts = timedelta(minutes=settings.access_token_minutes)
        self.tokens = Tokens(self.keyring, clock, lasts)
        self.passwords = Passwords()
        # By its own name one sees in the database who holds the journal's lock.
        writes = conninfo(database_url, API_ROLE, application="zeroinvoice committer")
        masters = MasterKeys(settings.master_keys)
        self.journal = Journal.at(writes, masters)
        self.committer = Committer(PostgresStore(writes), self.journal.facts_mapper, clock)
        self.key_uses = KeyUses(self.committer, clock)
        self.connections = Connections(clock)
        self.accesses = AccessLog(self.committer)
        shapes = {it.name: it.version for it in projections.projectors}
        self.books = Books(reads, self.journal, self.keyring, shapes, size=READERS)
        self.vault = Vault(masters, self.books.within)
        self.limits = Limits(settings, Attempts(self.books.connection))
        looks = conninfo(
            database_url, API_ROLE, application="zeroinvoice health", statement_ms=longest
        )
        self.pulse = Pulse(looks, shapes, lambda: self.committer.accepting, settings.data)


def run(settings: Settings, database_url: str) -> None:
    """One process of the API, sharing its port with the others; returns after SIGTERM.

    Raises `RuntimeError` when the database could lose what it acknowledges.
    """
    api_url = conninfo(database_url, API_ROLE, application="zeroinvoice api")
    with psycopg.connect(api_url, autocommit=True) as connection:
        assert_safe(connection)
        masters = MasterKeys(settings.master_keys)
        for it in needed(connection):
            if it.master not in masters:
                log.error("master key missing", master=it.master, unreadable_keys=it.keys)
        if slow := searched_by_scan(connection):
            log.warning("searches look at every row of their tenant", not_leakproof=slow)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((settings.host, settings.port))
        config = uvicorn.Config(
            create_app(settings, database_url),
            loop="uvloop",
            http="httptools",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            backlog=2048,
            # Longer than clients and proxies keep idle connections, so that it is they who close
            # them: a request on one that we close at the same moment would be lost.
            timeout_keep_alive=75,
            timeout_graceful_shutdown=4,
        )
        uvicorn.Server(config).run(sockets=[bound])


def create_app(settings: Settings, database_url: str, *, clock: Clock = system_clock) -> ASGIApp:
    """The whole API on one database, as an ASGI application."""
    parts = Parts(settings, database_url, clock)

    @asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = READERS
        parts.books.pool.open()
        parts.committer.start()
        parts.key_uses.start()
        parts.accesses.start()
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            await parts.committer.stop()
            await parts.pulse.close()
            parts.books.pool.close()
            parts.journal.close()

    async def writer(request: Request[Any, Any, Any]) -> Writer:
        principal = authenticate(request, parts.tokens)
        parts.limits.workspaces.take(principal.tenant.hex)
        return Writer(request, parts.committer, principal, parts.key_uses.note)

    async def anyone(request: Request[Any, Any, Any]) -> Writer:
        return Writer(request, parts.committer, None)

    async def reader(request: Request[Any, Any, Any]) -> RequestReader:
        principal = authenticate(request, parts.tokens)
        parts.limits.workspaces.take(principal.tenant.hex)
        noted = parts.key_uses.note
        return RequestReader(parts.books, principal, parts.clock(), request, noted, parts.accesses)

    api = Router("/api", route_handlers=[*commands.routes, *projections.routes])
    app = Litestar(
        [api, *pages.routes, *(pages.described if settings.api_docs else ())],
        guards=[parts.limits.admit],
        cors_config=elsewhere(settings.cors_origins),
        request_class=ApiRequest,
        dependencies={
            "writer": Provide(writer),
            "anyone": Provide(anyone),
            "reader": Provide(reader),
            "listing": Provide(paging, sync_to_thread=False),
            "parts": Provide(lambda: parts, sync_to_thread=False),
        },
        exception_handlers=handlers,
        lifespan=[running],
        request_max_body_size=LARGEST_BODY,
        openapi_config=described() if settings.api_docs else None,
        plugins=[ExactSchema()],
        logging_config=None,
    )
    return Edge(app, settings.trusted_proxies)


def elsewhere(origins: tuple[str, ...]) -> CORSConfig | None:
    """Which pages elsewhere may ask (Fetch, CORS). With a token, never with our cookies."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["authorization", "content-type", *ASKING],
        expose_headers=TELLING,
        allow_credentials=False,
        max_age=600,
    )
