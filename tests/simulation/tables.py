"""The read side's database in memory: checkpoints and read tables, changed in transactions."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy.dialects.postgresql import ARRAY

from tests.simulation.chance import Chance, Crashed
from tests.simulation.database import Database
from zeroinvoice.journal.recorder import NEWEST
from zeroinvoice.readside.tables import metadata

GONE: Any = object()  # a key that is not there
Changes = list[tuple[dict[Any, Any], Any, Any]]  # where, which key, what it held before
Table = dict[Any, tuple[Any, ...]]

STATEMENTS = {
    "claim": r"SELECT generation, position, shape FROM checkpoints WHERE name = %s FOR UPDATE SKIP",
    "move": r"UPDATE checkpoints SET position = %s, applied = applied \+ %s",
    "keep": r"UPDATE checkpoints SET position = %s, applied = %s",
    "halt": r"UPDATE checkpoints SET error = %s",
    "swap": r"INSERT INTO checkpoints \(name, shape, generation, position",
    "begin": r"INSERT INTO checkpoints \(name, shape, generation\)",
    "hold": r"SELECT 1 FROM checkpoints WHERE name = %s FOR UPDATE",
    "generation": r"SELECT generation FROM checkpoints",
    "position": r"SELECT position FROM checkpoints",
    "try_lock": r"SELECT pg_try_advisory_lock\(",
    "nothing": r"SELECT (?:pg_advisory_|set_config)|CREATE (?:TABLE|SCHEMA|INDEX)|GRANT|ANALYZE"
    "|ALTER TABLE",
    "schemas": r"SELECT nspname FROM pg_namespace",
    "drop": r'DROP SCHEMA IF EXISTS "(\w+)"',
    "since": r"SELECT f\.position, .* FROM facts f .* WHERE f\.position > %s",
    "folded": r"WITH known AS .* JOIN facts f",
    "select": r'SELECT .* FROM "(\w+)"\."(\w+)" WHERE ',
    "delete": r'DELETE FROM "(\w+)"\."(\w+)" WHERE ',
    "insert": r'INSERT INTO "(\w+)"\."(\w+)" ',
    "copy": r'COPY "(\w+)"\."(\w+)" ',
}


class ReadDatabase:
    """What workers share: their checkpoints, their tables, and who holds which lock."""

    def __init__(self) -> None:
        self.checkpoints: dict[str, dict[str, Any]] = {}
        self.tables: dict[str, dict[str, Table]] = defaultdict(lambda: defaultdict(dict))
        self.held: dict[str, Connection] = {}  # rows of `checkpoints`, until a transaction ends
        self.claims: dict[str, Connection] = {}  # of policies, until a connection ends
        self._unsynced: list[Changes] = []

    def committed(self, changes: Changes, *, durable: bool) -> None:
        if durable:
            self._unsynced.clear()
        elif changes:
            self._unsynced.append(changes)
            del self._unsynced[:-20]

    def restart(self, lost: int) -> None:
        """The last transactions were not on disk yet; each is gone as a whole."""
        for _ in range(min(lost, len(self._unsynced))):
            undo(self._unsynced.pop())
        self._unsynced.clear()
        self.held.clear()
        self.claims.clear()


def undo(changes: Changes) -> None:
    for where, key, before in reversed(changes):
        if before is GONE:
            where.pop(key, None)
        else:
            where[key] = before


class Cursor:
    """What a statement answers."""

    def __init__(self, rows: Iterable[tuple[Any, ...]] = (), rowcount: int | None = None) -> None:
        self._rows = list(rows)
        self.rowcount = len(self._rows) if rowcount is None else rowcount

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None


class Connection:
    """One worker's connection, as far as workers speak to it. Each statement may fail."""

    def __init__(
        self,
        home: ReadDatabase,
        journal: Database,
        chance: Chance,
        interlude: Callable[[], None] = lambda: None,
        *,
        durable: bool = False,
    ) -> None:
        self._home = home
        self._journal = journal
        self._chance = chance
        self._interlude = interlude
        self._durable = durable
        self._changes: Changes = []
        self._inside = False
        self.closed = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        assert not self._inside
        self._inside = True
        try:
            yield
            self._end()
        except BaseException:
            undo(self._changes)
            self._changes = []
            raise
        finally:
            self._inside = False
            self._release()

    def execute(self, query: Any, params: Any = (), **_: Any) -> Cursor:
        self._arrive()
        return self._answer(query, params)

    @contextmanager
    def cursor(self) -> Iterator["Connection"]:
        yield self

    @contextmanager
    def copy(self, query: bytes) -> Iterator["Copy"]:
        self._arrive()
        yield Copy(self, query)

    def close(self) -> None:
        """The connection ends, and with it every lock it has."""
        self.closed = True
        self._release()
        claims = self._home.claims
        for name in [name for name, holder in claims.items() if holder is self]:
            del claims[name]

    def _arrive(self) -> None:
        """Whatever may happen to a statement on its way."""
        if self.closed:
            raise psycopg.OperationalError("the connection is closed")
        if self._chance.strikes("crash before"):
            raise Crashed
        if self._chance.strikes("away"):
            self._lose("the statement did not arrive")
        if self._chance.strikes("stopped"):
            undo(self._changes)
            self._changes = []
            self._release()
            self._interlude()
            self._lose("the server has ended the transaction")

    def _end(self) -> None:
        if self.closed:
            raise psycopg.OperationalError("the connection is closed")
        if self._chance.strikes("crash before"):
            raise Crashed
        if self._chance.strikes("lost before"):
            self._lose("lost before it was stored")
        self._home.committed(self._changes, durable=self._durable)
        self._changes = []
        if self._chance.strikes("crash after"):
            raise Crashed
        if self._chance.strikes("lost after"):
            self._lose("lost after it was stored")

    def _lose(self, why: str) -> None:
        self.close()
        raise psycopg.OperationalError(why)

    def _release(self) -> None:
        held = self._home.held
        for name in [name for name, holder in held.items() if holder is self]:
            del held[name]

    def _put(self, where: dict[Any, Any], key: Any, value: Any) -> None:
        change = (where, key, where.get(key, GONE))
        if self._inside:
            self._changes.append(change)
        else:
            self._home.committed([change], durable=self._durable)
        if value is GONE:
            where.pop(key, None)
        else:
            where[key] = value

    def _answer(self, query: Any, params: Any) -> Cursor:
        if isinstance(query, sql.Composable):
            query = query.as_bytes()
        name, names = understood(query)
        answer: Cursor = getattr(self, f"_{name}")(params, *names)
        return answer

    # Checkpoints

    def _claim(self, params: Sequence[Any]) -> Cursor:
        (name,) = params
        row = self._home.checkpoints.get(name)
        if row is None or self._home.held.get(name, self) is not self:
            return Cursor()
        self._home.held[name] = self
        return Cursor([(row["generation"], row["position"], row["shape"])])

    def _hold(self, params: Sequence[Any]) -> Cursor:
        (name,) = params
        if self._home.held.get(name, self) is not self:
            raise psycopg.errors.LockNotAvailable("the row is locked")
        self._home.held[name] = self
        return Cursor([(1,)])

    def _move(self, params: Sequence[Any]) -> Cursor:
        position, many, name, before = params
        return self._moved(name, before, position, lambda row: row["applied"] + many)

    def _keep(self, params: Sequence[Any]) -> Cursor:
        position, applied, name, before = params
        return self._moved(name, before, position, lambda row: applied)

    def _moved(self, name: str, before: int, position: int, applied: Callable[..., int]) -> Cursor:
        row = self._home.checkpoints[name]
        if row["position"] != before:
            return Cursor(rowcount=0)
        told = {**row, "position": position, "applied": applied(row), "error": None}
        self._put(self._home.checkpoints, name, told)
        return Cursor(rowcount=1)

    def _halt(self, params: Sequence[Any]) -> Cursor:
        error, position, name = params
        row = self._home.checkpoints[name]
        told = {**row, "error": error, "error_at": position}
        self._put(self._home.checkpoints, name, told)
        return Cursor(rowcount=1)

    def _begin(self, params: Sequence[Any]) -> Cursor:
        name, shape = (*params, 1)[:2]
        if name not in self._home.checkpoints:
            self._put(self._home.checkpoints, name, checkpoint(shape))
        return Cursor(rowcount=1)

    def _swap(self, params: dict[str, Any]) -> Cursor:
        told = checkpoint(params["shape"]) | params | {"applied": params["position"]}
        self._put(self._home.checkpoints, params["name"], told)
        return Cursor(rowcount=1)

    def _generation(self, params: Sequence[Any]) -> Cursor:
        return Cursor([(self._home.checkpoints[params[0]]["generation"],)])

    def _position(self, params: Sequence[Any]) -> Cursor:
        return Cursor([(self._home.checkpoints[params[0]]["position"],)])

    def _try_lock(self, params: Sequence[Any]) -> Cursor:
        return Cursor([(self._home.claims.setdefault(params[0], self) is self,)])

    # Schemas and tables

    def _nothing(self, params: Sequence[Any]) -> Cursor:
        return Cursor()

    def _schemas(self, params: Sequence[Any]) -> Cursor:
        return Cursor([(name,) for name in self._home.tables if re.search(params[0], name)])

    def _drop(self, params: Sequence[Any], schema: str) -> Cursor:
        self._put(self._home.tables, schema, GONE)
        if not self._inside:
            self._home.committed([], durable=True)  # files are removed after a sync
        return Cursor()

    def _select(self, params: Sequence[Any], schema: str, table: str) -> Cursor:
        rows = self._home.tables[schema][table]
        return Cursor([rows[id] for id in dict.fromkeys(params[0]) if id in rows])

    def _delete(self, params: Sequence[Any], schema: str, table: str) -> Cursor:
        rows = self._home.tables[schema][table]
        for id in params[0]:
            if id in rows:
                self._put(rows, id, GONE)
        return Cursor()

    def _insert(self, params: Sequence[Any], schema: str, table: str) -> Cursor:
        columns = metadata.tables[f"live_{schema.rpartition('_')[0]}.{table}"].columns
        for row in msgspec.json.decode(params[0]):
            self._copy([stored(row[it.name], it.type) for it in columns], schema, table)
        return Cursor()

    def _copy(self, row: Sequence[Any], schema: str, table: str) -> Cursor:
        rows = self._home.tables[schema][table]
        if row[0] in rows:
            raise psycopg.errors.UniqueViolation(f"{table} has {row[0]} already")
        self._put(rows, row[0], tuple(row))
        return Cursor()

    # The journal

    def _since(self, params: Sequence[Any]) -> Cursor:
        position, limit = params
        return Cursor(self._journal.rows[position : position + limit])

    def _folded(self, params: Sequence[Any]) -> Cursor:
        tenants, streams, *_ = params
        return Cursor(self._journal.as_of(list(zip(tenants, streams, strict=True)), NEWEST))


class Copy:
    """Rows that are streamed into a table."""

    def __init__(self, connection: Connection, query: bytes) -> None:
        self._connection = connection
        self._query = query

    def set_types(self, types: Sequence[str]) -> None:
        return

    def write_row(self, row: tuple[Any, ...]) -> None:
        self._connection._answer(self._query, row)


class Line:
    """The same connection as the policies speak to it: every answer is awaited."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def execute(self, query: Any, params: Any = (), **_: Any) -> Any:
        return Answered(self.connection.execute(query, params))


class Answered:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.rowcount = cursor.rowcount

    async def fetchone(self) -> tuple[Any, ...] | None:
        return self._cursor.fetchone()

    async def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()


def checkpoint(shape: int) -> dict[str, Any]:
    return {"shape": shape, "generation": 1, "position": 0, "applied": 0, "error": None}


def stored(value: Any, kind: Any) -> Any:
    """What Postgres makes of a value in JSON."""
    if value is None or not isinstance(kind, ARRAY):
        return value if value is None else msgspec.convert(value, kind.python_type)
    return [stored(it, kind.item_type) for it in value]


@lru_cache(maxsize=4096)
def understood(query: str | bytes) -> tuple[str, tuple[str, ...]]:
    """Which of the known statements it is, and the schema and table it names."""
    text = query.decode() if isinstance(query, bytes) else query
    for name, pattern in STATEMENTS.items():
        if match := re.match(pattern, text.strip()):
            return name, match.groups()
    raise AssertionError(f"this stand-in for Postgres does not know: {text}")
