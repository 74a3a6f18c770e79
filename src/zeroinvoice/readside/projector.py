"""Projectors: read models that follow the journal, exactly once, and can be rebuilt beside it."""

import gc
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table

from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.fence import fence, force
from zeroinvoice.journal.mapper import Unreadable
from zeroinvoice.journal.schema import WORK_ROLE, grant_reading
from zeroinvoice.kernel.facts import Fact
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.rows import Books, Halted
from zeroinvoice.readside.tables import create, create_indexes, schema_name

LIVE_BATCH = 2_000  # facts in one transaction while following
REBUILD_BATCH = 2_500  # facts in one transaction while rebuilding
HELD = 2_500  # rows of a table that a rebuild keeps back, since they may yet change
INDEX_MEMORY = "256MB"  # of Postgres, while it makes indexes
YOUNG = 200_000  # objects made before the collector looks at them
CLOSE = 1_000  # facts behind the head at which a rebuild takes the checkpoint's lock

CLAIM = "SELECT generation, position, shape FROM checkpoints WHERE name = %s FOR UPDATE SKIP LOCKED"
MOVE = (
    "UPDATE checkpoints SET position = %s, applied = applied + %s, error = NULL, error_at = NULL"
    " WHERE name = %s AND position = %s"
)


class Projector(Value):
    """A read model: its name, its tables, and the fold that fills them.

    Raise `version` when the tables or the fold change: the model is then rebuilt.
    """

    name: str
    version: int
    tables: tuple[Table, ...]
    project: Callable[..., None]  # project(rows, ..., fact): one `Rows` a table

    def books(self, generation: int, *, fresh: bool = False) -> Books:
        schema = schema_name(self.name, generation)
        return Books(self.name, self.tables, self.project, schema, fresh=fresh)


class Window:
    """Facts read and decoded once, for all projections that follow at about the same place."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._facts: list[Fact] = []

    def since(self, position: int, limit: int) -> list[Fact]:
        """The facts after a position, at most `limit`; fewer only at the head or window's end."""
        first = self._facts[0].position if self._facts else 0
        last = self._facts[-1].position if self._facts else 0
        if not first - 1 <= position < last:
            self._facts = self.journal.facts_since(position, limit)
            return self._facts
        start = bisect_right(self._facts, position, key=lambda it: it.position)
        return self._facts[start : start + limit]

    def drop(self) -> None:
        self._facts = []


class Follower:
    """One projection as one worker keeps it: claims it, folds a batch, moves the checkpoint."""

    def __init__(self, projector: Projector, window: Window) -> None:
        self.projector = projector
        self._window = window
        self._books: Books | None = None
        self._generation = 0
        self._position = -1
        self._bad = 0  # the position of the fact that the fold cannot bear, if there is one

    def step(self, connection: psycopg.Connection[Any]) -> int:
        """Apply the next facts in one transaction; answers how many.

        Rows and checkpoint move together, under the checkpoint's row lock: a worker that was
        stopped and wakes up cannot write. Raises `Halted` when the fold does, or when the next
        fact cannot be read; all before that fact is applied first.
        """
        try:
            return self._step(connection)
        except Halted as fault:
            if fault.position <= self._bad:
                raise
            self._bad = fault.position
            return self._step(connection)

    def _step(self, connection: psycopg.Connection[Any]) -> int:
        name = self.projector.name
        try:
            with connection.transaction():
                row = connection.execute(CLAIM, [name], prepare=True).fetchone()
                if row is None or row[2] != self.projector.version:
                    return 0
                generation, position = row[0], row[1]
                facts = self._window.since(position, LIVE_BATCH)
                if not facts:
                    return 0
                facts = [it for it in facts if it.position < self._bad] or facts
                books = self._at(generation, position)
                books.apply(connection, facts)
                self._position = facts[-1].position
                moved = connection.execute(
                    MOVE,
                    [self._position, self._passed(facts, position), name, position],
                    prepare=True,
                )
                assert moved.rowcount == 1
            return len(facts)
        except BaseException as fault:
            self._position = -1
            if self._books is not None:
                self._books.forget()
            if isinstance(fault, Unreadable):
                raise Halted(name, fault.position, fault) from fault
            raise

    def _passed(self, facts: list[Fact], position: int) -> int:
        """How many positions that makes: one a fact, and those whose facts are elsewhere."""
        last = facts[-1].position
        if last - position == len(facts):
            return len(facts)
        return len(facts) + self._window.journal.away(position, last)

    def _at(self, generation: int, position: int) -> Books:
        if self._books is None or generation != self._generation:
            self._books = self.projector.books(generation)
            self._generation = generation
        elif position != self._position:
            self._books.forget()  # another worker wrote meanwhile
        return self._books


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Let Python look for cycles seldom: facts and rows have none, and there are very many.

    As it is set by itself, the collector takes more time than reading and decoding together.
    """
    usual = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def halt(connection: psycopg.Connection[Any], name: str, fault: Halted) -> None:
    """Record that a projection stands still, where and why; health and the CLI show it."""
    connection.execute(
        "UPDATE checkpoints SET error = %s, error_at = %s WHERE name = %s",
        [f"{type(fault.fault).__name__}: {fault.fault}"[:500], fault.position, name],
    )


def install(connection: psycopg.Connection[Any], projectors: tuple[Projector, ...]) -> None:
    """Make the first generation of each projection that has none; run as the working role."""
    for projector in projectors:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [projector.name])
            known = connection.execute(
                "SELECT 1 FROM checkpoints WHERE name = %s", [projector.name]
            ).fetchone()
            if known is None:
                build_tables(connection, projector, 1)
                _force_fences(connection, projector, 1)
                _build_indexes(connection, projector, 1)
                connection.execute(
                    "INSERT INTO checkpoints (name, shape, generation) VALUES (%s, %s, 1)",
                    [projector.name, projector.version],
                )


def build_tables(connection: psycopg.Connection[Any], it: Projector, generation: int) -> None:
    """The empty tables of a generation, without indexes; what was there of it is dropped."""
    schema = schema_name(it.name, generation)
    name = sql.Identifier(schema)
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    for table in it.tables:
        for statement in create(table, schema):
            connection.execute(statement.encode())
        fence(connection, schema, table.name, (WORK_ROLE,), forced=False)
        grant_reading(connection, schema, table.name)


def _force_fences(connection: psycopg.Connection[Any], it: Projector, generation: int) -> None:
    """The last thing before tables are served: while they are filled, it would refuse COPY."""
    for table in it.tables:
        force(connection, schema_name(it.name, generation), table.name)


def _build_indexes(connection: psycopg.Connection[Any], it: Projector, generation: int) -> None:
    connection.execute("SELECT set_config('maintenance_work_mem', %s, true)", [INDEX_MEMORY])
    for table in it.tables:
        for statement in create_indexes(table, schema_name(it.name, generation)):
            connection.execute(statement.encode())
        connection.execute(
            sql.SQL("ANALYZE {}").format(
                sql.Identifier(schema_name(it.name, generation), table.name)
            )
        )


def rebuild(
    connection: psycopg.Connection[Any],
    projectors: tuple[Projector, ...],
    journal: Journal,
    progress: Callable[[int], None] = lambda position: None,
) -> None:
    """Fold the whole journal into new tables beside the live ones, then swap the pointers.

    Reads go on throughout and writes too; a rebuild that is killed starts over, and what it
    had half built is never served. Several projections share one reading of the journal.
    """
    with ExitStack() as locks:
        generations = {}
        for projector in projectors:
            locks.enter_context(rebuild_lock(connection, projector.name))
            row = connection.execute(
                "SELECT generation FROM checkpoints WHERE name = %s", [projector.name]
            ).fetchone()
            generations[projector.name] = (row[0] if row else 0) + 1
        with collecting_rarely():
            _rebuild(connection, projectors, generations, journal, progress)


@contextmanager
def rebuild_lock(connection: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Be the only one who builds a generation of a projection beside its live one."""
    lock = f"rebuild {name}"
    connection.execute("SELECT pg_advisory_lock(hashtext(%s))", [lock])
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", [lock])


def _rebuild(
    connection: psycopg.Connection[Any],
    projectors: tuple[Projector, ...],
    generations: dict[str, int],
    journal: Journal,
    progress: Callable[[int], None],
) -> None:
    books = {}
    for projector in projectors:
        with connection.transaction():
            build_tables(connection, projector, generations[projector.name])
        books[projector.name] = projector.books(generations[projector.name], fresh=True)
    position = 0
    while True:
        facts = journal.facts_since(position, REBUILD_BATCH)
        if facts:
            with connection.transaction():
                for book in books.values():
                    book.apply(connection, facts, held=HELD)
            position = facts[-1].position
            progress(position)
        if len(facts) < CLOSE:
            break
        del facts  # before the next ones take as much memory
    for projector in projectors:
        with connection.transaction():
            books[projector.name].settle()
            _build_indexes(connection, projector, generations[projector.name])
    for projector in projectors:
        _swap(connection, projector, generations, journal, books[projector.name], position)


def _swap(
    connection: psycopg.Connection[Any],
    projector: Projector,
    generations: dict[str, int],
    journal: Journal,
    books: Books,
    position: int,
) -> None:
    generation = generations[projector.name]
    while True:  # catch up without the lock while it is far, then with it
        facts = journal.facts_since(position, REBUILD_BATCH)
        if len(facts) < CLOSE:
            break
        with connection.transaction():
            books.apply(connection, facts)
        position = facts[-1].position
    with connection.transaction():
        connection.execute("SELECT 1 FROM checkpoints WHERE name = %s FOR UPDATE", [projector.name])
        while facts := journal.facts_since(position, REBUILD_BATCH):
            books.apply(connection, facts)
            position = facts[-1].position
        _force_fences(connection, projector, generation)
        connection.execute(
            "INSERT INTO checkpoints (name, shape, generation, position, applied)"
            " VALUES (%(name)s, %(shape)s, %(generation)s, %(position)s, %(position)s)"
            " ON CONFLICT (name) DO UPDATE SET shape = %(shape)s, generation = %(generation)s,"
            " position = %(position)s, applied = %(position)s, error = NULL, error_at = NULL",
            {
                "name": projector.name,
                "shape": projector.version,
                "generation": generation,
                "position": position,
            },
        )
    _sweep(connection, projector.name, generation)


def _sweep(connection: psycopg.Connection[Any], name: str, live: int) -> None:
    """Drop what earlier generations left behind."""
    schemas = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname ~ %s", [f"^{name}_[0-9]+$"]
    ).fetchall()
    for (schema,) in schemas:
        if schema != schema_name(name, live):
            try:
                connection.execute(
                    sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
                )
            except psycopg.errors.LockNotAvailable:
                continue  # a long read still uses it; the next rebuild sweeps again
