"""The reader: one thing from its stream, many things from a projection, never stale by accident."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import Select, Table, select

from zeroinvoice.domain import KIND_OF
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.cache import evolved
from zeroinvoice.journal.fence import within
from zeroinvoice.journal.mapper import GENESIS, FactMapper
from zeroinvoice.journal.recorder import (
    CHAIN,
    FOLDED,
    NAMED,
    NEWER,
    NEWEST,
    RECONNECT,
    SPANS,
    SPEAKING,
    TOLD,
    Row,
)
from zeroinvoice.journal.schema import AWAY
from zeroinvoice.journal.snapshots import code, keeps
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.facts import Fact, State, folded, topics_of
from zeroinvoice.kernel.refusals import BadInput, Missing, Unavailable
from zeroinvoice.kernel.secrets import Keyring
from zeroinvoice.readside.deadlines import Deadlines, assert_open
from zeroinvoice.readside.tables import Question, compiled, served

log = structlog.get_logger()
S = TypeVar("S", bound=State[Any])
V = TypeVar("V")
Place = tuple[UUID, UUID]

PART = 1_000  # facts of a chain in memory at a time
CACHED = 20_000  # states kept in memory
LONGEST = 6.0  # seconds from when a read was asked for to its answer, whatever the database does
FOR_CONNECTION = 2.0  # of them, in which a connection must be had
LAST = 2**31 - 1  # a version that no stream has
PATIENCE = 1.0  # seconds a read waits for the projections it uses
MIN_POSITION_PATIENCE = 2.0  # seconds when the caller named a position
LINKS = (  # the hash of some facts, and that of the tenant's fact before each
    "SELECT f.position, f.hash, (SELECT b.hash FROM facts b WHERE b.tenant_id = f.tenant_id"
    " AND b.position < f.position ORDER BY b.position DESC LIMIT 1)"
    " FROM facts f WHERE f.position = ANY(%b::bigint[]) AND f.tenant_id = %s"
)
HASHES = (  # the hashes of a tenant's first facts
    "SELECT position, hash FROM facts WHERE tenant_id = %s ORDER BY position LIMIT %s"
)
CHECKPOINTS = "SELECT name, generation, position, shape FROM checkpoints WHERE name = ANY(%s)"
STANDING = (  # checkpoints, and beside each the tenant's head
    "SELECT name, generation, position, shape, (SELECT coalesce(max(position), 0) FROM facts"
    " WHERE tenant_id = %s) FROM checkpoints WHERE name = ANY(%s)"
)


class Books:
    """What readers share in a process: connections, cached states, which tables are served."""

    def __init__(
        self,
        conninfo: str,
        journal: Journal,
        keyring: Keyring,
        shapes: dict[str, int],
        *,
        size: int = 16,
    ) -> None:
        self.journal = journal
        self.keyring = keyring
        self.mapper: FactMapper = journal.facts_mapper
        self.shapes = shapes  # the version of each projection this program was written for
        self.generations: dict[str, int] = dict.fromkeys(shapes, 1)
        self.pool: ConnectionPool[psycopg.Connection[Any]] = ConnectionPool(
            conninfo,
            kwargs={"autocommit": True},
            min_size=min(2, size),
            max_size=size,
            reconnect_timeout=RECONNECT,
            check=assert_open,
            open=False,
        )
        self._deadlines = Deadlines()
        self._states: OrderedDict[Place, State[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def known(self, kind: type[S], place: Place) -> S:
        state = self._states.get(place)
        return state if isinstance(state, kind) else kind(id=place[1])

    def keep(self, place: Place, state: State[Any]) -> None:
        with self._lock:
            known = self._states.get(place)
            if known is None or known.version < state.version:
                self._states[place] = state
            self._states.move_to_end(place)
            if len(self._states) > CACHED:
                self._states.popitem(last=False)

    @contextmanager
    def connection(self, asked_at: float | None = None) -> Iterator[psycopg.Connection[Any]]:
        """A pooled connection for a read asked for just now, or at a time of the monotonic clock.

        Time spent in a queue counts, so that many who wait do not wait one after the other.
        Raises `Unavailable` when Postgres is away, or silent for too long.
        """
        asked_at = time.monotonic() if asked_at is None else asked_at
        if time.monotonic() > asked_at + LONGEST:
            raise Unavailable("The database does not answer in time; try again.")
        left = max(0.05, asked_at + FOR_CONNECTION - time.monotonic())
        try:
            with (
                self.pool.connection(timeout=left) as connection,
                self._deadlines.cut(connection, asked_at + LONGEST),
            ):
                yield connection
        except (*AWAY, PoolTimeout) as lost:
            log.warning("the database is away", error=type(lost).__name__)
            raise Unavailable("The database cannot be reached; try again.") from lost

    @contextmanager
    def within(
        self, tenant: UUID, asked_at: float | None = None
    ) -> Iterator[psycopg.Connection[Any]]:
        """A connection that shows one tenant's rows, in one transaction; raises as `connection`.

        What is asked is sent as one, and best fetched after the block: it costs one round trip.
        """
        with self.connection(asked_at) as connection, within(connection, tenant):
            yield connection


class Reader:
    """What one request may see: its tenant's streams and its tenant's rows."""

    def __init__(
        self,
        books: Books,
        tenant: UUID,
        now: datetime,
        *,
        standing: Sequence[tuple[type[State[Any]], UUID]] = (),
        admit: Callable[["Reader"], None] | None = None,
        min_position: int = 0,
        as_of: datetime | None = None,
    ) -> None:
        self.books = books
        self.tenant = tenant
        self.now = now
        self.as_of = as_of
        self._standing = standing  # streams read along with the first query, such as the session
        self._admit = admit
        self._min_position = min_position
        self._states: dict[Place, State[Any]] = {}
        self._past: dict[Place, State[Any]] = {}  # at `as_of`
        self._asked_at = time.monotonic()
        self.reached: int | None = None  # every fact of the tenant's up to here is in the rows

    def shows(self, version: int | None, lag: int) -> None:
        """Told what the answer is: a single resource at a version, or rows behind by `lag`."""

    # One thing, from its stream

    def state(self, kind: type[S], id: UUID, *, tenant: UUID | None = None) -> S:
        """A stream's state, at `as_of` when the request names an instant.

        Raises `Missing` when it does not exist, is another tenant's, or did not exist then.
        """
        state = self.then(kind, id, tenant=tenant)
        if state.version == 0:
            raise Missing(f"There is no such {kind.__name__.lower()}.")
        self.shows(state.version, 0)
        return state

    def then(self, kind: type[S], id: UUID, *, tenant: UUID | None = None) -> S:
        """A stream's state, at `as_of` when the request names an instant; blank before it began."""
        if self.as_of is None:
            return self.find(kind, id, tenant=tenant)
        place = (self.tenant, id)
        then = self._past.get(place)
        if then is None:
            then = folded(kind, id, filter(self.knows, self.history(id)))
            self._past[place] = then
        return then if isinstance(then, kind) else kind(id=id)

    def knows(self, fact: Fact) -> bool:
        """Whether a fact had been recorded at `as_of`."""
        return self.as_of is None or fact.at <= self.as_of

    def recall(self, wanted: Sequence[tuple[type[State[Any]], UUID]]) -> None:
        """Read several streams of the tenant in one query, for `then` to be asked of each."""
        if self.as_of is None:
            self.states(wanted)
            return
        kinds = {id: kind for kind, id in wanted if (self.tenant, id) not in self._past}
        found = self.histories([(id, 1, LAST) for id in kinds])
        for id, facts in found.items():
            self._past[(self.tenant, id)] = folded(kinds[id], id, filter(self.knows, facts))

    def find(self, kind: type[S], id: UUID, *, tenant: UUID | None = None) -> S:
        """A stream's state now, blank when nothing is recorded on it."""
        place = (tenant or self.tenant, id)
        if place not in self._states:
            self.states([(kind, id)], tenant=tenant)
        state = self._states[place]
        return state if isinstance(state, kind) else kind(id=id)

    def foresee(
        self, kind: type[S], id: UUID, beside: Callable[[S], tuple[type[State[Any]], UUID]]
    ) -> None:
        """Read a stream together with another that it named when it was last seen here.

        It saves a round trip for what is read again, and is a guess: ask for both as ever.
        """
        known = self.books.known(kind, (self.tenant, id))
        if self.as_of is None and known.version:
            self.states([(kind, id), beside(known)])

    def states(
        self, wanted: Sequence[tuple[type[State[Any]], UUID]], *, tenant: UUID | None = None
    ) -> list[State[Any]]:
        """Several streams' states, in one query."""
        tenant = tenant or self.tenant
        if tenant != self.tenant:
            self._enter()  # for one transaction shows one tenant
        places = [(kind, (tenant, id)) for kind, id in wanted]
        with self.books.within(tenant, self._asked_at) as connection:
            settle = self._ask(connection, places)
        settle()
        found = ((kind, place, self._states[place]) for kind, place in places)
        return [it if isinstance(it, kind) else kind(id=place[1]) for kind, place, it in found]

    def history(self, id: UUID) -> list[Fact]:
        """All facts of one of the tenant's streams, oldest first."""
        self._enter()
        with self.books.within(self.tenant, self._asked_at) as connection:
            found = connection.execute(NEWER, [[self.tenant], [id], [0]], prepare=True, binary=True)
        return [self.books.mapper.read(row) for row in found.fetchall()]

    def histories(self, spans: Sequence[tuple[UUID, int, int]]) -> dict[UUID, list[Fact]]:
        """Facts of several of the tenant's streams, each from one version to another."""
        self._enter()
        found: dict[UUID, list[Fact]] = {stream: [] for stream, _, _ in spans}
        if not spans:
            return found
        columns = [list(column) for column in zip(*spans, strict=True)]
        with self.books.within(self.tenant, self._asked_at) as connection:
            rows = connection.execute(SPANS, [*columns, self.tenant], prepare=True, binary=True)
        for row in rows.fetchall():
            found[row[2]].append(self.books.mapper.read(row))
        return found

    def recorded(self, positions: Iterable[int]) -> dict[int, Fact]:
        """Some of the tenant's facts, by position."""
        self._enter()
        with self.books.within(self.tenant, self._asked_at) as connection:
            found = connection.execute(
                NAMED, [list(positions), self.tenant], prepare=True, binary=True
            )
        return {row[0]: self.books.mapper.read(row) for row in found.fetchall()}

    def facts(self, topics: Collection[str], upto: int, most: int) -> list[Fact]:
        """The tenant's first facts of some classes up to a position, at most so many."""
        self._enter()
        asked = [self.tenant, list(topics), upto, most]
        with self.books.within(self.tenant, self._asked_at) as connection:
            found = connection.execute(TOLD, asked, prepare=True, binary=True)
        return [self.books.mapper.read(row) for row in found.fetchall()]

    def speaking(self, subjects: Sequence[UUID]) -> list[tuple[UUID, str]]:
        """The tenant's streams that speak of some subjects, and of what kind each is."""
        self._enter()
        with self.books.within(self.tenant, self._asked_at) as connection:
            found = connection.execute(SPEAKING, [self.tenant, list(subjects)], prepare=True)
        kinds = {topic: kind for event, kind in KIND_OF.items() for topic in topics_of(event)}
        return [(stream, kinds[topic]) for stream, topic in found.fetchall()]

    def links(self, positions: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
        """The hash of each of the tenant's facts, and of its fact before; by position."""
        self._enter()
        with self.books.within(self.tenant, self._asked_at) as connection:
            found = connection.execute(
                LINKS, [list(positions), self.tenant], prepare=True, binary=True
            )
        return {row[0]: (bytes(row[1]), bytes(row[2] or GENESIS)) for row in found.fetchall()}

    def hashes(self, most: int) -> list[tuple[int, bytes]]:
        """The position and the hash of the tenant's first facts, at most so many."""
        self._enter()
        with self.books.within(self.tenant, self._asked_at) as connection:
            found = connection.execute(HASHES, [self.tenant, most], prepare=True, binary=True)
        return [(position, bytes(kept)) for position, kept in found.fetchall()]

    def chain(self) -> Iterator[Row]:
        """All the tenant's facts as they are stored; each part is read in a time of its own."""
        self._enter()
        position = 0
        while True:
            with self.books.within(self.tenant) as connection:
                asked = [self.tenant, position, PART]
                found = connection.execute(CHAIN, asked, prepare=True, binary=True)
            rows = found.fetchall()
            yield from rows
            if len(rows) < PART:
                return
            position = rows[-1][0]

    def anew(self, min_position: int = 0) -> "Reader":
        """A reader of the same rows whose time begins now, for what is handed out bit by bit.

        Ask for it once this one has let the caller in.
        """
        self._enter()
        return Reader(
            self.books, self.tenant, self.now, min_position=min_position, as_of=self.as_of
        )

    # Many things, from a projection

    def mine(self, table: Table, *columns: Any) -> Select[Any]:
        """Where every query starts: this tenant's rows of a table."""
        return _chosen(table, columns).where(table.c.tenant_id == self.tenant)

    def rows(
        self, statement: Select[Any] | Question, *, patience: float = PATIENCE
    ) -> list[tuple[Any, ...]]:
        """The rows of a statement, once its projections have reached the tenant's head.

        The head is that of the first look: what is written while we wait is not waited for.
        Sent together with the question how far they are, so an answer that is up to date
        costs one round trip. `patience` is in seconds; after it, rows that lag will do. Raises
        `Unavailable` when a named position is not reached.
        """
        text, params, names = statement if isinstance(statement, Question) else compiled(statement)
        begun, goal, pause = time.monotonic(), 0, 0.004
        while True:
            try:
                goal, behind, here, rows = self._try(names, text, params, goal)
            except psycopg.errors.UndefinedTable:  # swapped and dropped since we last looked
                self._look_again(names)
                continue
            if behind == 0 and rows is not None:
                self._reach(here)
                return rows
            waited = time.monotonic() - begun
            if self._min_position and waited > MIN_POSITION_PATIENCE:
                raise Unavailable(
                    "The read model has not reached X-Min-Position yet.",
                    code="projection_lagging",
                )
            if not self._min_position and waited > patience and rows is not None:
                self.shows(None, behind)
                self._reach(here)
                return rows
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)  # who waits long must not keep the database busy

    def views(self, statement: Select[Any], view: type[V]) -> list[V]:
        """The rows as views; the columns fill their fields in order."""
        return [view(*row) for row in self.rows(statement)]

    def scalar(self, statement: Select[Any]) -> Any:
        rows = self.rows(statement)
        return rows[0][0] if rows else None

    def today(self, zone_name: str) -> date:
        return local_day(self.as_of or self.now, zone_name)

    def _try(
        self, names: Sequence[str], text: str, params: list[Any], goal: int
    ) -> tuple[int, int, int, list[tuple[Any, ...]] | None]:
        books = self.books
        generations = {name: books.generations[name] for name in names}
        with books.within(self.tenant, self._asked_at) as connection:
            settle = self._ask(connection, ())
            marks = connection.execute(
                STANDING, [self.tenant, list(names)], prepare=True, binary=True
            )
            found = connection.execute(
                served(text, generations).encode(), params, prepare=True, binary=True
            )
        settle()
        current = {row[0]: row[1:] for row in marks.fetchall()}
        rows = found.fetchall()
        if len(current) < len(names) or any(
            current[name][2] != books.shapes[name] for name in names
        ):
            raise Unavailable("A read model is being built anew.", code="projection_rebuilding")
        goal = goal or max(current[names[0]][3], self._min_position)
        stale = False
        for name in names:
            if current[name][0] != generations[name]:
                books.generations[name] = current[name][0]
                stale = True
        behind = max(0, *(goal - current[name][1] for name in names))
        here = min(current[names[0]][3], *(current[name][1] for name in names))
        return goal, behind, here, None if stale else rows

    def _reach(self, position: int) -> None:
        self.reached = position if self.reached is None else min(position, self.reached)

    def _look_again(self, names: Sequence[str]) -> None:
        with self.books.connection(self._asked_at) as connection:
            for row in connection.execute(CHECKPOINTS, [list(names)]).fetchall():
                self.books.generations[row[0]] = row[1]

    def _enter(self) -> None:
        """See that the caller's session still stands, before anything is shown."""
        if self._standing:
            self.states(())

    def _ask(
        self,
        connection: psycopg.Connection[Any],
        wanted: Sequence[tuple[type[State[Any]], Place]],
    ) -> Callable[[], None]:
        """Queue the query for what is new on some streams; call the answer to take it in."""
        standing = self._standing
        places = [*wanted, *((kind, (self.tenant, id)) for kind, id in standing)]
        if not places:
            return lambda: None
        states = {place: self.books.known(kind, place) for kind, place in places}
        asked: list[Any] = [
            [place[0] for place in states],
            [place[1] for place in states],
            [state.version for state in states.values()],
        ]
        if all(it.version or not keeps(type(it)) for it in states.values()):
            cursor = connection.execute(NEWER, asked, prepare=True, binary=True)
        else:  # what is not known at all may have a snapshot
            asked += [code(), NEWEST, NEWEST]
            cursor = connection.execute(FOLDED, asked, prepare=True, binary=True)

        def settle() -> None:
            for row in cursor.fetchall():
                place = (row[1], row[2])
                states[place] = evolved(self.books.mapper, states[place], row)
            for place, state in states.items():
                self.books.keep(place, state)
            self._states.update(states)
            self._standing = ()  # only now: a query that failed lets nobody in
            if standing and self._admit is not None:
                self._admit(self)

        return settle


@lru_cache(maxsize=64)
def _chosen(table: Table, columns: tuple[Any, ...]) -> Select[Any]:
    """Some columns of a table; made once for columns that are kept, which takes a while."""
    return select(*columns or table.columns).select_from(table)


def instant(text: str, now: datetime) -> datetime:
    """An RFC 3339 instant that has passed, such as `2026-03-31T23:59:59Z`. Raises `BadInput`."""
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise BadInput("as_of must be an RFC 3339 instant.", pointer="?as_of") from None
    return passed(at, now, "as_of", "?as_of")


def passed(at: datetime, now: datetime, name: str, pointer: str) -> datetime:
    """An instant in UTC. Raises `BadInput` for one without its offset, or that is still to come."""
    if at.tzinfo is None:
        raise BadInput(f"{name} must name its offset, such as Z.", pointer=pointer)
    try:
        at = at.astimezone(UTC)
    except OverflowError:
        raise BadInput(f"{name} must be in the years 1 to 9999.", pointer=pointer) from None
    if at > now:
        raise BadInput(
            f"{name} is still to come; nothing is known of it yet.",
            pointer=pointer,
            code=f"{name}_in_future",
        )
    return at


def not_yet(message: str, name: str = "as_of") -> BadInput:
    return BadInput(message, pointer=f"?{name}", code=f"{name}_in_future")
