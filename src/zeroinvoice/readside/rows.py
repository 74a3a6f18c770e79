"""A unit of work over read tables: a batch of facts is folded in memory, then written at once."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, LiteralString
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import Table

from zeroinvoice.journal.schema import AWAY
from zeroinvoice.kernel.facts import Fact, erased
from zeroinvoice.readside.tables import DIALECT

Row = dict[str, Any]
CACHED = 1_000  # rows of a table kept between batches
BY_COPY = 40  # rows from which COPY pays, into a table that is not served yet
AS_JSON = msgspec.json.Encoder(decimal_format="string").encode
UNKNOWN: Row = {}  # no row: it has not been looked for


class Rows:
    """One table as `project` sees it: rows by id, changed in memory until the batch ends."""

    def __init__(self, table: Table, schema: str, *, fresh: bool = False) -> None:
        self._columns = [column.name for column in table.columns]
        self._types = [column.type.compile(DIALECT).lower() for column in table.columns]
        self._blank: Row = {
            column.name: column.default.arg if column.default is not None else None  # type: ignore[attr-defined]
            for column in table.columns
        }
        self._key = self._columns[0]
        self.by_stream = self._key == "id"  # else its rows are not the streams'
        self._name = sql.Identifier(schema, table.name)
        self._texts = _Texts(self._name, self._columns, self._types[0])
        self._cache: OrderedDict[Any, Row | None] = OrderedDict()  # None: known to be absent
        self._dirty: dict[Any, None] = {}  # ids, in the order in which they were first touched
        self._expected: Sequence[Fact] = ()  # this batch, until the first row is asked for
        self._stored: set[Any] = set()  # cached ids that have a row in the table, or may have
        self._written = Written() if fresh else None  # instead of it: all that ever had one
        self._connection: psycopg.Connection[Any] | None = None
        self.tenant = UUID(int=0)

    def begin(self, connection: psycopg.Connection[Any], facts: Sequence[Fact]) -> None:
        """Be told what a batch is about: all its rows are read when the first is asked for."""
        self._connection = connection
        self._expected = facts if self.by_stream else ()

    def add(self, id: Any, **values: Any) -> None:
        """A new row; what is not named has its column's default. Replaces a row of that id."""
        if self.by_stream and self._written is None and id not in self._cache:
            self._stored.add(id)
        self._cache[id] = {**self._blank, self._key: id, "tenant_id": self.tenant, **values}
        self._dirty[id] = None

    def set(self, id: Any, **values: Any) -> None:
        """Change a row that exists; one that does not is left alone."""
        row = self.get(id)
        if row is not None:
            row.update(values)
            self._dirty[id] = None

    def erase(self, id: Any, *texts: str, **values: Any) -> None:
        """Let of some texts only be seen that there was one; change other values besides."""
        row = self.get(id)
        if row is not None:
            self.set(id, **{name: erased(row[name]) for name in texts}, **values)

    def get(self, id: Any) -> Row | None:
        """A row as it is now, this batch's changes included. Change it by `set` only."""
        row = self._cache.get(id, UNKNOWN)
        if row is UNKNOWN:
            streams = {fact.stream for fact in self._expected}
            self._expected = ()
            self._load([it for it in {*streams, id} if it not in self._cache])
            row = self._cache[id]
        return row

    def remove(self, id: Any) -> None:
        if self.get(id) is not None:
            self._cache[id] = None
            self._dirty[id] = None

    def where(self, **equal: Any) -> "Many":
        """Rows of this tenant by what their columns hold: flushes, then one statement."""
        return Many(self, equal)

    def flush(self, held: int = 0) -> None:
        """Write what changed, in at most two statements; keep no more than a part of it.

        Of streams' rows, up to `held` that were touched last may wait for a later flush: who
        rebuilds writes a row once when it is complete, not once in every batch.
        """
        held = held if self.by_stream else 0
        if len(self._dirty) > held:
            self._write_dirty(list(islice(self._dirty, len(self._dirty) - held // 2)))
        for id in list(islice(self._cache, max(0, len(self._cache) - CACHED - held))):
            if id not in self._dirty:
                del self._cache[id]
                self._stored.discard(id)

    def forget(self) -> None:
        """Drop what is in memory: the transaction was lost or someone else wrote."""
        self._cache.clear()
        self._dirty.clear()
        self._stored.clear()
        self._expected = ()

    def _write_dirty(self, ids: list[Any]) -> None:
        connection = self._connection
        assert connection is not None
        if self._written is None:
            stored = [id for id in ids if id in self._stored]
        else:
            stored = self._written.among(ids)
        if stored:
            connection.execute(self._texts.delete, [stored])
        kept = [(id, row) for id in ids if (row := self._cache[id]) is not None]
        self._write(connection, [row for _, row in kept])
        if self._written is None:
            self._stored.difference_update(ids)
            self._stored.update([id for id, _ in kept])
        else:
            self._written.add([id for id, _ in kept])
        for id in ids:
            del self._dirty[id]

    def _write(self, connection: psycopg.Connection[Any], rows: list[Row]) -> None:
        # Every row began as a blank or a stored one, so its values stand in the table's order.
        if self._written is not None and len(rows) >= BY_COPY:
            with connection.cursor() as cursor, cursor.copy(self._texts.copy) as copy:
                copy.set_types(self._types)
                for row in rows:
                    copy.write_row(tuple(row.values()))
        elif rows:  # Postgres has no COPY through a fence
            connection.execute(self._texts.insert, [AS_JSON(rows).decode()], prepare=True)

    def _load(self, ids: list[Any]) -> None:
        if not ids:
            return
        assert self._connection is not None
        self._cache.update(dict.fromkeys(ids))
        if self._written is not None:
            ids = self._written.among(ids)
        if not ids:
            return
        for values in self._connection.execute(self._texts.select, [ids], binary=True):
            self._cache[values[0]] = dict(zip(self._columns, values, strict=True))
            if self._written is None:
                self._stored.add(values[0])


class Written:
    """Ids that were written to a table that was empty, remembered in little memory.

    A Bloom filter: it may take an id for one of them, and never overlooks one. A rebuild asks
    the database for few rows that are not there.
    """

    BITS = 22  # of a place in the filter, which takes half a megabyte
    LAST = (1 << BITS) - 1
    SPREAD = 0x9E3779B97F4A7C15  # the golden ratio parts numbers that follow each other

    def __init__(self) -> None:
        self._bits = bytearray(1 << self.BITS - 3)

    def add(self, ids: Iterable[Any]) -> None:
        bits, last, spread = self._bits, self.LAST, self.SPREAD
        for id in ids:
            mixed = hash(id) * spread
            for place in (mixed >> 20 & last, mixed >> 40 & last, mixed >> 60 & last):
                bits[place >> 3] |= 1 << (place & 7)

    def among(self, ids: Iterable[Any]) -> list[Any]:
        """Those of some ids that may have been written."""
        bits, last, spread = self._bits, self.LAST, self.SPREAD
        found = []
        for id in ids:
            mixed = hash(id) * spread
            for place in (mixed >> 20 & last, mixed >> 40 & last, mixed >> 60 & last):
                if not bits[place >> 3] & 1 << (place & 7):
                    break
            else:
                found.append(id)
        return found


class _Texts:
    """What is said to the database about one table, put together once."""

    def __init__(self, name: sql.Identifier, columns: list[str], key_type: str) -> None:
        told = {
            "name": name,
            "columns": sql.SQL(", ").join(map(sql.Identifier, columns)),
            "ids": sql.SQL("{} = ANY(%s::{}[])").format(
                sql.Identifier(columns[0]), sql.SQL(key_type)
            ),
        }
        self.select = self._text("SELECT {columns} FROM {name} WHERE {ids}", told)
        self.delete = self._text("DELETE FROM {name} WHERE {ids}", told)
        self.insert = self._text(
            "INSERT INTO {name} ({columns}) SELECT {columns}"
            " FROM json_populate_recordset(NULL::{name}, %s::json)",
            told,
        )
        self.copy = self._text("COPY {name} ({columns}) FROM STDIN (FORMAT BINARY)", told)

    def _text(self, template: LiteralString, told: dict[str, sql.Composable]) -> bytes:
        return sql.SQL(template).format(**told).as_bytes()


class Many:
    """Rows named by what they hold; see `Rows.where`."""

    def __init__(self, rows: Rows, equal: dict[str, Any]) -> None:
        self._rows = rows
        self._equal = equal

    def count(self) -> int:
        """How many there are at this fact."""
        rows = self._rows
        rows.flush()
        assert rows._connection is not None
        asked = sql.SQL("SELECT count(*) FROM {} WHERE {}")
        found = rows._connection.execute(
            asked.format(rows._name, self._conditions()), self._values()
        ).fetchone()
        assert found is not None
        return int(found[0])

    def set(self, **values: Any) -> None:
        rows = self._rows
        rows.flush()
        assert rows._connection is not None
        changes = sql.SQL(", ").join(
            sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values
        )
        rows._connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE {}").format(rows._name, changes, self._conditions()),
            [*values.values(), *self._values()],
        )
        rows.forget()

    def _conditions(self) -> sql.Composed:
        return sql.SQL(" AND ").join(
            sql.SQL("{} = ANY(%s)").format(sql.Identifier(name))
            for name in (*self._equal, "tenant_id")
        )

    def _values(self) -> list[list[Any]]:
        return [*map(many, self._equal.values()), [self._rows.tenant]]


def many(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


class Books:
    """All tables of one generation of a projection, and the fold over them."""

    def __init__(
        self,
        name: str,
        tables: tuple[Table, ...],
        project: Callable[..., None],
        schema: str,
        *,
        fresh: bool = False,  # its tables are empty, and nobody else writes to them
    ) -> None:
        self.name = name
        self.schema = schema
        self._project = project
        self._units = [Rows(table, schema, fresh=fresh) for table in tables]

    def apply(
        self, connection: psycopg.Connection[Any], facts: list[Fact], *, held: int = 0
    ) -> None:
        """Fold a batch of facts and write what changed, but for up to `held` rows a table."""
        project, units = self._project, self._units
        for unit in units:
            unit.begin(connection, facts)
        for fact in facts:
            for unit in units:
                unit.tenant = fact.tenant
            try:
                project(*units, fact)
            except Exception as fault:
                raise Halted(self.name, fact.position, fault) from fault
        try:
            for unit in units:
                unit.flush(held)
        except AWAY:
            raise  # the database is away; the facts are not to blame
        except psycopg.Error as fault:
            raise Halted(self.name, facts[0].position, fault) from fault

    def settle(self) -> None:
        """Write what was held back."""
        for unit in self._units:
            unit.flush()

    def forget(self) -> None:
        for unit in self._units:
            unit.forget()


class Halted(Exception):
    """A projection's fold raised: it stands still at this fact until it is mended."""

    def __init__(self, name: str, position: int, fault: Exception) -> None:
        super().__init__(f"{name} halts at {position}: {type(fault).__name__}: {fault}")
        self.name = name
        self.position = position
        self.fault = fault
