"""What the committer needs of a database, and Postgres behind it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import psycopg

from zeroinvoice.journal.recorder import (
    COLUMNS,
    HEAD,
    INSERT,
    LAST_HASHES,
    LOCK,
    NEWER,
    SINCE,
    Row,
    columns_of,
)
from zeroinvoice.journal.schema import CHANNEL
from zeroinvoice.kernel.desk import Place
from zeroinvoice.kernel.value import Value

TAIL = 4_000  # rows of other processes that a committer catches up on; beyond, it starts afresh

ANSWERS = "SELECT key, fingerprint, outcome FROM answers WHERE key = ANY(%b::bytea[])"
INSERT_ANSWERS = (
    "INSERT INTO answers (key, fingerprint, outcome, at) SELECT k, f, o, %s"
    " FROM unnest(%b::bytea[], %b::bytea[], %b::text[]) AS a (k, f, o)"
)
AS_OF = (
    f"SELECT {', '.join(f'f.{c}' for c in COLUMNS.split(', '))}"
    " FROM unnest(%b::uuid[], %b::uuid[]) AS w (tenant_id, stream)"
    " JOIN facts f ON f.stream = w.stream AND f.tenant_id = w.tenant_id"
    " AND f.position <= %s ORDER BY f.position"
)
AT = "SELECT hash FROM facts WHERE position = %s"


class Answer(Value):
    """What is kept of a request's outcome under its idempotency key."""

    key: bytes
    fingerprint: bytes
    outcome: str  # JSON of `committer.Outcome`


class Opening(Value):
    """What a batch finds when it has the lock."""

    position: int  # of the journal's last fact
    tail: list[Row] | None  # what others appended since, or None when that is too much
    rows: list[Row]  # of the streams that were asked for
    answers: list[Answer]


class Lost(Exception):
    """The database went away before anything could have been committed."""


class Ambiguous(Exception):
    """The database went away while it committed: it may have, or not."""


class Rejected(Exception):
    """The database refused the batch; nothing of it is stored."""


class Store(Protocol):
    """One transaction at a time: begin, look, then commit or roll back."""

    def begin(self, after: int, streams: Sequence[Place], keys: Sequence[bytes]) -> Opening: ...
    def load(self, streams: Sequence[Place]) -> list[Row]: ...
    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]: ...
    def commit(self, rows: Sequence[Row], answers: Sequence[Answer], at: datetime) -> None: ...
    def rollback(self) -> None: ...
    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]: ...
    def hash_at(self, position: int) -> bytes | None: ...
    def close(self) -> None: ...


class PostgresStore:
    """The committer's one connection. Two round trips a batch: look under the lock, commit."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection[Any] | None = None

    def begin(self, after: int, streams: Sequence[Place], keys: Sequence[bytes]) -> Opening:
        """Take the order lock and read, in one round trip, what the batch needs.

        Raises `Lost` when the database is away or the lock is not to be had in time.
        """
        try:
            connection = self._connected()
            with connection.pipeline():
                connection.execute("BEGIN", prepare=True)
                connection.execute(LOCK, prepare=True)
                head = connection.execute(HEAD, prepare=True)
                tail = connection.execute(SINCE, [after, TAIL], prepare=True, binary=True)
                found = rows = None
                if streams:
                    rows = connection.execute(NEWER, _wanted(streams), prepare=True, binary=True)
                if keys:
                    found = connection.execute(ANSWERS, [list(keys)], prepare=True, binary=True)
                position = (head.fetchone() or (0,))[0]
                return Opening(
                    position,
                    None if position - after > TAIL else tail.fetchall(),
                    rows.fetchall() if rows else [],
                    [Answer(*row) for row in found.fetchall()] if found else [],
                )
        except (psycopg.OperationalError, psycopg.InterfaceError) as lost:
            self._drop()
            raise Lost(str(lost)) from lost

    def load(self, streams: Sequence[Place]) -> list[Row]:
        """All facts of some streams, as they are under the lock."""
        return self._read(NEWER, _wanted(streams))

    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]:
        """The last hash of each tenant that has one."""
        rows = self._read(LAST_HASHES, [list(tenants)])
        return {row[0]: bytes(row[2]) for row in rows}

    def commit(self, rows: Sequence[Row], answers: Sequence[Answer], at: datetime) -> None:
        """Insert everything, commit and wake who follows, in one round trip.

        Raises `Rejected` when the database refused it, `Ambiguous` when its answer was lost.
        """
        assert self._connection is not None
        try:
            with self._connection.pipeline():
                if rows:
                    self._connection.execute(INSERT, columns_of(rows), prepare=True)
                if answers:
                    keys, prints, outcomes = zip(
                        *((a.key, a.fingerprint, a.outcome) for a in answers), strict=True
                    )
                    self._connection.execute(
                        INSERT_ANSWERS, [at, list(keys), list(prints), list(outcomes)], prepare=True
                    )
                self._connection.execute("COMMIT", prepare=True)
                if rows:  # a hint to projectors and policies, in a transaction of its own
                    self._connection.execute(f"NOTIFY {CHANNEL}", prepare=True)
        except (psycopg.OperationalError, psycopg.InterfaceError) as lost:
            self._drop()
            raise Ambiguous(str(lost)) from lost
        except psycopg.Error as refused:
            self.rollback()
            raise Rejected(str(refused)) from refused

    def rollback(self) -> None:
        """Give up the transaction and the lock; a broken connection is given up with it."""
        if self._connection is None:
            return
        try:
            self._connection.execute("ROLLBACK", prepare=True)
        except psycopg.Error:
            self._drop()

    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]:
        """All facts of some streams up to a position; outside any transaction."""
        tenants, ids = zip(*streams, strict=True)
        return self._read(AS_OF, [list(tenants), list(ids), position])

    def hash_at(self, position: int) -> bytes | None:
        """The hash of the fact at a position, if there is one."""
        rows = self._read(AT, [position])
        return bytes(rows[0][0]) if rows else None

    def close(self) -> None:
        self._drop()

    def _read(self, query: str, params: Sequence[Any]) -> list[Any]:
        try:
            connection = self._connected()
            return connection.execute(query, params, prepare=True, binary=True).fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError) as lost:
            self._drop()
            raise Lost(str(lost)) from lost

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = _connect(self._conninfo)
        return self._connection

    def _drop(self) -> None:
        broken, self._connection = self._connection, None
        if broken is not None:
            broken.close()


def _connect(conninfo: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(conninfo, autocommit=True)
    # All its statements look rows up by index. A plan that was made while the journal was
    # small is kept, and would read the whole of it later.
    for other_way in ("seqscan", "hashjoin", "mergejoin"):
        connection.execute(f"SET enable_{other_way} = off")
    return connection


def _wanted(streams: Sequence[Place]) -> list[list[Any]]:
    tenants, ids = zip(*streams, strict=True)
    return [list(tenants), list(ids), [0] * len(ids)]
