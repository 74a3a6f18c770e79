"""A journal that others have filled, and new committers on it: for tests of long streams."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any
from uuid import UUID

import psycopg

from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.series import Numbering, NumberSeries, NumberTaken, series_id
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.mapper import StoredFact
from zeroinvoice.journal.memory import MemoryStore
from zeroinvoice.journal.recorder import INSERT, Row, chained, columns_of
from zeroinvoice.journal.schema import API_ROLE, conninfo, migrate
from zeroinvoice.journal.snapshots import EVERY
from zeroinvoice.journal.store import PostgresStore, Store
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk, Place
from zeroinvoice.kernel.facts import Actor, Fact, Origin
from zeroinvoice.kernel.ids import new_id

TENANT = new_id()
ORIGIN = Origin(Actor("system"), new_id())
DAY = date(2026, 3, 1)
NUMBERS = series_id(TENANT, "invoice")
SERIES: Place = (TENANT, NUMBERS)
MAPPER = Journal().facts_mapper


def taken(many: int, stream: UUID = NUMBERS) -> Iterator[StoredFact]:
    """A series of so many numbers, as stored."""
    document, at = new_id(), system_clock()
    for n in range(1, many + 1):
        number = f"INV-2026-{n:05}"
        event = NumberTaken(number, n, "2026", "INV-2026-{SEQ}", document, DAY)
        fact = Fact(event, TENANT, stream, n, 0, at, ORIGIN)
        yield StoredFact(stream, n, "NumberTaken", MAPPER.state_of(fact), TENANT)


def take(desk: Desk) -> str:
    series = desk.find(NumberSeries, NUMBERS)
    events = list(series.take(new_id(), DAY, Numbering()))
    desk.record(series, events)
    return events[0].number


def add(desk: Desk) -> Client:
    client = desk.new(Client)
    return desk.record(client, client.add(Profile("Acme Corp", "USD")))


def command(decision: Callable[[Desk], Any], **options: Any) -> Command:
    return Command(TENANT, ORIGIN, decision, **options)


class Watched:
    """A store that counts the pieces, and lets something happen after each."""

    pieces = 0

    def between(self) -> None:
        """Nothing, unless a test says otherwise."""

    def newer(self, place: Place, version: int, most: int) -> list[Row]:
        rows: list[Row] = super().newer(place, version, most)  # type: ignore[misc]
        self.pieces += 1
        self.between()
        return rows


class WatchedMemory(Watched, MemoryStore):
    pass


class WatchedPostgres(Watched, PostgresStore):
    pass


class Shelf:
    """A journal that others have filled, and new committers on it."""

    def __init__(self, store: Callable[[], Any], fill: Callable[[list[StoredFact]], Any]) -> None:
        self.store, self.fill = store, fill
        self._stores: list[Store] = []

    def committer(self, piece: int, every: int = EVERY) -> tuple[Committer, Any]:
        store = self.store()
        self._stores.append(store)
        return Committer(store, MAPPER, system_clock, piece=piece, every=every), store

    def close(self) -> None:
        for store in self._stores:
            store.close()


def in_postgres(url: str) -> Shelf:
    migrate(url)

    def fill(facts: list[StoredFact]) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(INSERT, columns_of(chained(facts, 0, {})))

    api = conninfo(url, API_ROLE, application="test of long streams")
    return Shelf(lambda: WatchedPostgres(api), fill)


def decided(committer: Committer, *commands: Command) -> None:
    """Carry commands out to their end, as the committer's thread would."""
    committer.carry_out(list(commands))
    for _ in range(100):
        if not committer.behind:
            return
        committer.carry_out([])
    raise AssertionError("it reads on without end")
