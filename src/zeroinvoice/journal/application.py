"""The journal as an application of the library: its mapper, its recorder, and reads in order."""

from collections.abc import Collection, Iterable, Iterator
from itertools import groupby, islice, takewhile
from operator import itemgetter
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import ApplicationRecorder, Mapper, PersistenceError
from eventsourcing.utils import strtobool

from zeroinvoice.domain import EVENTS, FORMER
from zeroinvoice.journal.mapper import FactMapper, Unreadable
from zeroinvoice.journal.recorder import (
    MemoryFactRecorder,
    PostgresFactRecorder,
    RolePool,
    Row,
)
from zeroinvoice.journal.snapshots import code, differing
from zeroinvoice.journal.store import Lost
from zeroinvoice.journal.subjects import Masters
from zeroinvoice.kernel.facts import HOUSE, Event, Fact

Recorder = PostgresFactRecorder | MemoryFactRecorder


class Journal(Application[UUID]):
    """All facts, in the one order in which they were committed."""

    name = "zeroinvoice"

    def __init__(
        self,
        recorder: Recorder | None = None,
        events: Iterable[type[Event]] = EVENTS,
        masters: Masters | None = None,
    ) -> None:
        self._masters = masters
        self._recorder = recorder or MemoryFactRecorder()
        self._events = tuple(events)
        super().__init__(env={"PERSISTENCE_MODULE": "eventsourcing.popo"})
        if strtobool(self.env.get("POSTGRES_ENABLE_DB_FUNCTIONS", "no")):
            raise RuntimeError("POSTGRES_ENABLE_DB_FUNCTIONS would drop the order of the journal.")

    @classmethod
    def at(cls, conninfo: str, masters: Masters | None = None, *, size: int = 4) -> "Journal":
        """The journal in a Postgres database; without master keys it speaks of no person."""
        return cls(PostgresFactRecorder(RolePool(conninfo, size=size)), masters=masters)

    def construct_mapper(self) -> Mapper[UUID]:
        return FactMapper(self.construct_transcoder(), self._events, self._masters, FORMER)

    def construct_recorder(self) -> ApplicationRecorder:
        return self._recorder

    @property
    def facts_mapper(self) -> FactMapper:
        assert isinstance(self.mapper, FactMapper)
        return self.mapper

    def head(self) -> int:
        """The position of the last fact; 0 before the first."""
        return self.recorder.max_notification_id() or 0

    def rows_since(self, position: int, limit: int) -> list[Row]:
        """At most `limit` rows after a position, none skipped: positions have no gaps.

        But for those whose facts are known to be elsewhere. Raises `Lost` when the database is
        away.
        """
        try:
            rows = self._recorder.rows_since(position, limit)
            missing = rows[-1][0] - position - len(rows) if rows else 0
            if missing and missing != self._recorder.away(position, rows[-1][0]):
                raise AssertionError(f"the journal has a gap after position {position}")
        except PersistenceError as lost:
            raise Lost(str(lost)) from lost
        return rows

    def away(self, position: int, last: int) -> int:
        """How many positions between two have their facts in the journal they came from."""
        return self._recorder.away(position, last)

    def elsewhere(self) -> list[tuple[int, int]]:
        """The positions, from one to another, whose facts are in the journal they came from."""
        return self._recorder.elsewhere()

    def facts_since(self, position: int, limit: int) -> list[Fact]:
        """At most `limit` facts after a position, in the journal's order.

        Those before one that cannot be read; raises `Unreadable` once that is the first.
        """
        read, rows = self.facts_mapper.read, self.rows_since(position, limit)
        try:
            return [read(row) for row in rows]
        except Unreadable as newer:
            readable = [row for row in rows if row[0] < newer.position]
            if not readable:
                raise
            return [read(row) for row in readable]

    def history(self, tenant: UUID, stream: UUID) -> list[Fact]:
        """All facts of one of the tenant's streams, oldest first; empty when it is not theirs."""
        read = self.facts_mapper.read
        return [read(row) for row in self._recorder.rows_of(stream) if row[1] == tenant]

    def facts_of(self, tenant: UUID, topics: Collection[str], upto: int, most: int) -> list[Fact]:
        """The tenant's first facts of some classes up to a position, at most so many."""
        rows = takewhile(lambda row: row[0] <= upto, self.every_row())
        theirs = (row for row in rows if row[1] == tenant and row[4] in topics)
        return [self.facts_mapper.read(row) for row in islice(theirs, most)]

    def check_snapshots(self) -> tuple[int, list[UUID]]:
        """How many snapshots there are for us, and the streams of which one is wrong."""
        count, wrong = 0, []
        for stream, rows in groupby(self._recorder.snapshots_for(code()), key=itemgetter(2)):
            kept = list(rows)
            count += len(kept)
            if differing(kept, self._facts_of_stream(stream)):
                wrong.append(stream)
        return count, wrong

    def _facts_of_stream(self, stream: UUID, page: int = 5_000) -> Iterator[Fact]:
        version = 0
        while events := self._recorder.select_events(stream, gt=version, limit=page):
            for event in events:
                yield self.facts_mapper.to_domain_event(event)
            version = events[-1].originator_version

    def chain_of(self, position: int) -> tuple[UUID, list[tuple[int, bytes]]]:
        """The tenant of the fact at a position, and the hashes of its facts by position.

        That of nobody, and none, when there is no such fact.
        """
        found = self.rows_since(position - 1, 1) if 0 < position <= self.head() else []
        if not found:
            return HOUSE, []
        tenant = found[0][1]
        return tenant, [(row[0], bytes(row[6])) for row in self.every_row() if row[1] == tenant]

    def every_row(self, page: int = 5_000) -> Iterator[Row]:
        """The whole journal, a page at a time."""
        position = 0
        while rows := self.rows_since(position, page):
            yield from rows
            position = rows[-1][0]
