"""What the committer needs of a database, and Postgres behind it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus

from zeroinvoice.journal.recorder import (
    FOLDED,
    HEAD,
    INSERT,
    KNOWN,
    LAST_HASHES,
    LOCK,
    NEWEST,
    RESUMED,
    SHOWN,
    SINCE,
    WITH_KEY,
    Row,
    columns_of,
)
from zeroinvoice.journal.schema import AWAY, CHANNEL
from zeroinvoice.journal.snapshots import code
from zeroinvoice.journal.subjects import Held, Subject, Wrapped
from zeroinvoice.kernel.desk import Place
from zeroinvoice.kernel.value import Value

INTRANS = TransactionStatus.INTRANS
LONGEST = 10  # seconds of one transaction; it is a matter of milliseconds
TAIL = 4_000  # rows of other processes that a committer catches up on; beyond, it starts afresh

ANSWERS = "SELECT key, fingerprint, outcome FROM answers WHERE key = ANY(%b::bytea[])"
INSERT_ANSWERS = (
    "INSERT INTO answers (key, fingerprint, outcome, at) SELECT k, f, o, %s"
    " FROM unnest(%b::bytea[], %b::bytea[], %b::text[]) AS a (k, f, o)"
)
# How far each of some streams has come beyond what is known of it, by its snapshot or before;
# shortest first, and the running sum.
# A stream is one tenant's, so its last fact says whose it is. Nothing else asks by tenant: a
# planner with old figures would read the index of all the tenant's facts for it.
BEHIND = (
    f"{KNOWN}, behind AS (SELECT w.tenant_id, w.stream, w.version,"
    " sum(l.version - w.version) OVER (ORDER BY l.version - w.version, w.stream) AS upto"
    " FROM known w, LATERAL (SELECT f.tenant_id, f.version FROM facts f WHERE f.stream = w.stream"
    " ORDER BY f.version DESC LIMIT 1) AS l"
    " WHERE l.tenant_id = w.tenant_id AND l.version > w.version)"
)
WITHIN = (
    f"{BEHIND} {RESUMED} UNION ALL SELECT {SHOWN}"
    f" FROM behind b JOIN facts f ON f.stream = b.stream AND f.version > b.version{WITH_KEY}"
    " WHERE b.upto <= %s ORDER BY 1"
)
BEYOND = f"{BEHIND} SELECT tenant_id, stream FROM behind WHERE upto > %s"
PIECE = (
    f"SELECT {SHOWN} FROM (SELECT * FROM facts WHERE stream = %s AND version > %s"
    f" ORDER BY version LIMIT %s) AS f{WITH_KEY} WHERE f.tenant_id = %s ORDER BY f.version"
)
AT = "SELECT hash FROM facts WHERE position = %s"
KEYS = (
    "SELECT s.tenant_id, s.id, s.master, s.wrapped FROM unnest(%b::uuid[], %b::uuid[])"
    " AS w (tenant_id, id) JOIN subject_keys s ON s.tenant_id = w.tenant_id AND s.id = w.id"
)
INSERT_KEYS = (
    "INSERT INTO subject_keys (tenant_id, id, master, wrapped)"
    " SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::bytea[])"
)
INSERT_SNAPSHOTS = (
    "INSERT INTO snapshots (at, code, position, tenant_id, stream, version, kind, state)"
    " SELECT %s, %b, * FROM unnest(%b::bigint[], %b::uuid[], %b::uuid[], %b::int[], %b::text[],"
    " %b::text[]) ON CONFLICT DO NOTHING"
)
DESTROY_KEYS = (  # one that there never was will not be made either
    "INSERT INTO subject_keys AS s (tenant_id, id, destroyed_at)"
    " SELECT d.tenant_id, d.id, %s FROM unnest(%b::uuid[], %b::uuid[]) AS d (tenant_id, id)"
    " ON CONFLICT (tenant_id, id) DO UPDATE SET destroyed_at = excluded.destroyed_at"
    " WHERE s.destroyed_at IS NULL"
)


class Answer(Value):
    """What is kept of a request's outcome under its idempotency key."""

    key: bytes
    fingerprint: bytes
    outcome: str  # JSON of `outcome.Outcome`


class Loaded(Value):
    """The facts of some streams after the versions already known, all of them or none.

    Before them the snapshots of these and of the rest, where there are any.
    """

    rows: list[Row] = []
    beyond: list[Place] = []  # streams that would have made it too many; the longest


class Opening(Value):
    """What a batch finds when it has the lock."""

    position: int  # of the journal's last fact
    tail: list[Row] | None  # what others appended since, or None when that is too much
    loaded: Loaded  # of the streams that were asked for
    answers: list[Answer]


class Lost(Exception):
    """The database went away before anything could have been committed."""


class Ambiguous(Exception):
    """The database went away while it committed: it may have, or not."""


class Rejected(Exception):
    """The database refused the batch; nothing of it is stored."""


class Store(Protocol):
    """One transaction at a time: begin, look, then commit or roll back."""

    def begin(
        self, after: int, streams: Mapping[Place, int], keys: Sequence[bytes], most: int
    ) -> Opening: ...
    def load(self, streams: Mapping[Place, int], most: int) -> Loaded: ...
    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]: ...
    def keys(self, subjects: Sequence[Subject]) -> dict[Subject, Wrapped]: ...
    def commit(
        self,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        at: datetime,
        keys: Held,
        snapshots: Sequence[Row],
    ) -> None: ...
    def rollback(self) -> None: ...
    def newer(self, place: Place, version: int, most: int) -> list[Row]: ...
    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]: ...
    def hash_at(self, position: int) -> bytes | None: ...
    def close(self) -> None: ...


class PostgresStore:
    """The committer's one connection. Two round trips a batch: look under the lock, commit.

    It stays in pipeline mode, and every turn ends with a Sync, with nothing after it: the
    database counts how long a session is idle in a transaction only from a Sync to the next
    message. (psycopg ends a pipeline with a Sync and a Flush, after which it counts no more, and
    a process that is stopped there would keep the lock for ever.)
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection[Any] | None = None
        self._pipeline: psycopg.Pipeline | None = None
        self._leaving = ExitStack()  # the pipeline
        self._wrote = False  # something, in this transaction

    def begin(
        self, after: int, streams: Mapping[Place, int], keys: Sequence[bytes], most: int
    ) -> Opening:
        """Take the order lock and read, in one round trip, what the batch needs.

        Of the streams, each with the version already known, at most so many facts.
        Raises `Lost` when the database is away or the lock is not to be had in time.
        """
        try:
            connection, pipeline = self._connected()
            self._wrote = False
            connection.execute("BEGIN", prepare=True)
            connection.execute(LOCK, prepare=True)
            head = connection.execute(HEAD, prepare=True)
            tail = connection.execute(SINCE, [after, TAIL], prepare=True, binary=True)
            found = loading = None
            if streams:
                loading = _load(connection, streams, most)
            if keys:
                found = connection.execute(ANSWERS, [list(keys)], prepare=True, binary=True)
            pipeline.sync()
        except AWAY as lost:
            self._drop()
            raise Lost(str(lost)) from lost
        position = (head.fetchone() or (0,))[0]
        return Opening(
            position,
            None if position - after > TAIL else tail.fetchall(),
            _loaded(loading) if loading else Loaded(),
            [Answer(*row) for row in found.fetchall()] if found else [],
        )

    def load(self, streams: Mapping[Place, int], most: int) -> Loaded:
        """The facts of some streams after the versions already known, under the lock."""
        try:
            connection, pipeline = self._connected()
            loading = _load(connection, streams, most)
            pipeline.sync()
            return _loaded(loading)
        except AWAY as lost:
            self._drop()
            raise Lost(str(lost)) from lost

    def heads(self, tenants: Sequence[UUID]) -> dict[UUID, bytes]:
        """The last hash of each tenant that has one."""
        rows = self._read(LAST_HASHES, [list(tenants)])
        return {row[0]: bytes(row[2]) for row in rows}

    def keys(self, subjects: Sequence[Subject]) -> dict[Subject, Wrapped]:
        """The keys of some subjects, of those that have one or had one."""
        rows = self._read(KEYS, _columns(subjects))
        return {(row[0], row[1]): Wrapped(row[2], row[3]) for row in rows}

    def commit(
        self,
        rows: Sequence[Row],
        answers: Sequence[Answer],
        at: datetime,
        keys: Held,
        snapshots: Sequence[Row],
    ) -> None:
        """Insert everything, destroy keys, commit and wake who follows, in one round trip.

        Raises `Rejected` when the database refused it, `Ambiguous` when its answer was lost.
        """
        assert self._connection is not None
        assert self._pipeline is not None
        self._wrote = True
        try:
            if keys.made:
                made = [(*it, key.master, key.wrapped) for it, key in keys.made.items()]
                self._connection.execute(INSERT_KEYS, _columns(made), prepare=True)
            if keys.destroyed:
                gone = [at, *_columns([*keys.destroyed])]
                self._connection.execute(DESTROY_KEYS, gone, prepare=True)
            if rows:
                self._connection.execute(INSERT, columns_of(rows), prepare=True)
            if snapshots:
                told = [at, code(), *_columns([row[:6] for row in snapshots])]
                self._connection.execute(INSERT_SNAPSHOTS, told, prepare=True)
            if answers:
                kept = _columns([(a.key, a.fingerprint, a.outcome) for a in answers])
                self._connection.execute(INSERT_ANSWERS, [at, *kept], prepare=True)
            self._connection.execute("COMMIT", prepare=True)
            if rows:  # a hint to projectors and policies, in a transaction of its own
                self._connection.execute(f"NOTIFY {CHANNEL}", prepare=True)
            self._pipeline.sync()
        except AWAY as lost:
            self._drop()
            raise Ambiguous(str(lost)) from lost
        except psycopg.Error as refused:
            self.rollback()
            raise Rejected(str(refused)) from refused

    def rollback(self) -> None:
        """Give the lock back. The connection is given up where anything was written or failed.

        Else nothing is there to be taken back, and a COMMIT does: after a ROLLBACK psycopg
        would prepare every statement anew, and in a pipeline in the wrong order.
        """
        if self._connection is None or self._pipeline is None:
            return
        if self._wrote or self._connection.info.transaction_status is not INTRANS:
            self._drop()
            return
        try:
            self._connection.execute("COMMIT", prepare=True)
            self._pipeline.sync()
        except psycopg.Error:
            self._drop()

    def newer(self, place: Place, version: int, most: int) -> list[Row]:
        """The next facts of one stream after a version; outside any transaction."""
        tenant, stream = place
        return self._read(PIECE, [stream, version, most, tenant])

    def as_of(self, streams: Sequence[Place], position: int) -> list[Row]:
        """What some streams were at a position: snapshots and the facts after them.

        Outside any transaction.
        """
        asked = _known(dict.fromkeys(streams, 0), position)
        return self._read(FOLDED, [*asked, position])

    def hash_at(self, position: int) -> bytes | None:
        """The hash of the fact at a position, if there is one."""
        rows = self._read(AT, [position])
        return bytes(rows[0][0]) if rows else None

    def close(self) -> None:
        self._drop()

    def _read(self, query: str, params: Sequence[Any]) -> list[Any]:
        try:
            connection, pipeline = self._connected()
            found = connection.execute(query, params, prepare=True, binary=True)
            pipeline.sync()
            return found.fetchall()
        except AWAY as lost:
            self._drop()
            raise Lost(str(lost)) from lost

    def _connected(self) -> tuple[psycopg.Connection[Any], psycopg.Pipeline]:
        if self._connection is None or self._pipeline is None or self._connection.closed:
            self._drop()
            self._connection = _connect(self._conninfo)
            self._pipeline = self._leaving.enter_context(self._connection.pipeline())
        return self._connection, self._pipeline

    def _drop(self) -> None:
        broken, self._connection, self._pipeline = self._connection, None, None
        if broken is not None:
            broken.close()  # first, so that leaving the pipeline waits for nobody
        with suppress(psycopg.Error):
            self._leaving.close()


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _connect(conninfo: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(conninfo, autocommit=True)
    # All its statements look rows up by index. A plan that was made while the journal was
    # small is kept, and would read the whole of it later.
    for other_way in ("seqscan", "hashjoin", "mergejoin"):
        connection.execute(f"SET enable_{other_way} = off")
    if connection.info.server_version >= 170_000:  # which can end what is stopped anywhere
        connection.execute(f"SET transaction_timeout = '{LONGEST}s'")
    return connection


def _known(streams: Mapping[Place, int], position: int) -> list[Any]:
    """What `KNOWN` asks for."""
    tenants, ids = zip(*streams, strict=True)
    return [list(tenants), list(ids), list(streams.values()), code(), position]


def _load(
    connection: psycopg.Connection[Any], streams: Mapping[Place, int], most: int
) -> tuple[psycopg.Cursor[Any], psycopg.Cursor[Any]]:
    asked = [*_known(streams, NEWEST), most]
    within = connection.execute(WITHIN, asked, prepare=True, binary=True)
    return within, connection.execute(BEYOND, asked, prepare=True, binary=True)


def _loaded(loading: tuple[psycopg.Cursor[Any], psycopg.Cursor[Any]]) -> Loaded:
    within, beyond = loading
    return Loaded(within.fetchall(), beyond.fetchall())
