"""The recorders: the journal's table behind the library's interface, in Postgres and in memory."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    IntegrityError,
    InterfaceError,
    Notification,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.popo import POPOApplicationRecorder
from eventsourcing.postgres import (
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresRecorder,
)
from psycopg_pool import ConnectionPool, PoolTimeout

from zeroinvoice.journal.mapper import GENESIS, StoredFact, link
from zeroinvoice.journal.schema import AWAY, CHANNEL, ORDER_LOCK
from zeroinvoice.journal.subjects import DESTROYED, Subject, Wrapped

# position tenant stream version topic state hash, then whom it is about, and of that subject's
# key, as it is by now, the name of the master key and the key itself, wrapped by it. Of a snapshot:
# the kind of stream for a topic, all it adds up to for a state, and no hash.
Row = tuple[int, UUID, UUID, int, str, str, bytes, UUID | None, str | None, bytes | None]

# Seconds for which a pool goes on by itself to replace a lost connection, ever more rarely;
# after that whoever wants one has it tried at once, so an outage ends for all together.
RECONNECT = 1.0

COLUMNS = "position, tenant_id, stream, version, topic, state, hash, subject"
SHOWN = ", ".join(f"f.{it}" for it in COLUMNS.split(", ")) + ", k.master, k.wrapped"
# The key is read in the same moment as the fact, so one that is destroyed is never used again. It
# is looked up by its index for facts that have a subject, and for no others.
WITH_KEY = (
    " LEFT JOIN LATERAL (SELECT s.master, s.wrapped FROM subject_keys s WHERE f.subject IS NOT NULL"
    " AND s.tenant_id = f.tenant_id AND s.id = f.subject LIMIT 1) AS k ON true"
)
LOCK = f"SELECT pg_advisory_xact_lock({ORDER_LOCK})"
HEAD = "SELECT coalesce(max(position), 0) FROM facts"
SINCE = f"SELECT {SHOWN} FROM facts f{WITH_KEY} WHERE f.position > %s ORDER BY f.position LIMIT %s"
CHAIN = (  # a tenant's facts, a part at a time
    f"SELECT {SHOWN} FROM facts f{WITH_KEY} WHERE f.tenant_id = %s AND f.position > %s"
    " ORDER BY f.position LIMIT %s"
)
NAMED = (  # some of a tenant's facts, by their positions
    f"SELECT {SHOWN} FROM facts f{WITH_KEY} WHERE f.position = ANY(%b::bigint[])"
    " AND f.tenant_id = %s"
)
TOLD = (  # a tenant's facts of some classes, up to a position
    f"SELECT {SHOWN} FROM facts f{WITH_KEY} WHERE f.tenant_id = %s AND f.topic = ANY(%b::text[])"
    " AND f.position <= %s ORDER BY f.position LIMIT %s"
)
STREAM = f"SELECT {SHOWN} FROM facts f{WITH_KEY} WHERE f.stream = %s ORDER BY f.version"
ELSEWHERE = (  # how many positions between two have their facts in another journal
    "SELECT coalesce(sum(last - first + 1), 0)::bigint FROM elsewhere"
    " WHERE first > %s AND last < %s"
)
EVERY_ELSEWHERE = "SELECT first, last FROM elsewhere ORDER BY first"
NEWER = (  # facts of many streams, each after the version already known
    f"SELECT {SHOWN}"
    " FROM unnest(%b::uuid[], %b::uuid[], %b::int[]) AS w (tenant_id, stream, version)"
    " JOIN facts f ON f.stream = w.stream AND f.tenant_id = w.tenant_id"
    f" AND f.version > w.version{WITH_KEY} ORDER BY f.position"
)
# Of many streams the latest snapshot up to a position that this code has written, where it is
# beyond the version already known.
KNOWN = (
    "WITH known AS (SELECT w.tenant_id, w.stream, coalesce(s.version, w.version) AS version,"
    " s.position, s.kind, s.state"
    " FROM unnest(%b::uuid[], %b::uuid[], %b::int[]) AS w (tenant_id, stream, version)"
    " LEFT JOIN LATERAL (SELECT * FROM snapshots n WHERE n.stream = w.stream AND n.code = %b"
    " AND n.tenant_id = w.tenant_id AND n.version > w.version AND n.position <= %s"
    " ORDER BY n.version DESC LIMIT 1) AS s ON true)"
)
AS_ROWS = (  # snapshots as rows, for which `snapshots.is_snapshot` holds
    "SELECT position, tenant_id, stream, version, kind, state, ''::bytea, NULL::uuid, NULL::text,"
    " NULL::bytea"
)
RESUMED = f"{AS_ROWS} FROM known WHERE state IS NOT NULL"
FOLDED = (  # and the facts after each, up to a position
    f"{KNOWN} {RESUMED} UNION ALL SELECT {SHOWN}"
    " FROM known w JOIN facts f ON f.stream = w.stream AND f.tenant_id = w.tenant_id"
    f" AND f.version > w.version AND f.position <= %s{WITH_KEY} ORDER BY 1"
)
PASSED = (  # snapshots that no answer is given again from, once a later one is there
    "DELETE FROM snapshots s WHERE s.at < %s AND EXISTS (SELECT 1 FROM snapshots n"
    " WHERE n.stream = s.stream AND n.version > s.version)"
)
SNAPSHOTS = f"{AS_ROWS} FROM snapshots WHERE code = %s ORDER BY stream, version"
NEWEST = 2**62  # a position that no journal reaches
SPANS = (  # versions of many streams, from one to another
    f"SELECT {SHOWN} FROM unnest(%b::uuid[], %b::int[], %b::int[]) AS w (stream, first, last)"
    " JOIN facts f ON f.stream = w.stream AND f.version BETWEEN w.first AND w.last"
    f"{WITH_KEY} WHERE f.tenant_id = %s ORDER BY f.position"
)
SPEAKING = (  # the streams on which some subjects are spoken of, each with what was said first
    "SELECT DISTINCT ON (f.stream) f.stream, f.topic FROM facts f"
    " WHERE f.tenant_id = %s AND f.subject = ANY(%b::uuid[]) ORDER BY f.stream, f.version"
)
LAST_HASHES = (
    "SELECT t.tenant_id, h.position, h.hash FROM unnest(%b::uuid[]) AS t (tenant_id),"
    " LATERAL (SELECT position, hash FROM facts f WHERE f.tenant_id = t.tenant_id"
    " ORDER BY position DESC LIMIT 1) AS h"
)
INSERT = (
    f"INSERT INTO facts ({COLUMNS}) SELECT * FROM unnest(%b::bigint[], %b::uuid[], %b::uuid[],"
    " %b::int[], %b::text[], %b::text[], %b::bytea[], %b::uuid[])"
)
STORED = len(COLUMNS.split(", "))


def columns_of(rows: Sequence[Row]) -> list[list[Any]]:
    """Rows as the arrays that `INSERT` takes."""
    return [list(column) for column in zip(*(row[:STORED] for row in rows), strict=True)]


class RolePool(PostgresDatastore):
    """The library's datastore over our own pool: one role, short deadlines, plain rows."""

    def __init__(self, conninfo: str, *, size: int = 4, timeout: float = 2.0) -> None:
        super().__init__("", "", "", "", "", enable_db_functions=False)
        self.pool.close()
        # The library reads rows as dicts; ours come as tuples, and only our recorder reads them.
        self.pool: Any = ConnectionPool(
            conninfo,
            kwargs={"autocommit": True},
            min_size=1,
            max_size=size,
            timeout=timeout,
            reconnect_timeout=RECONNECT,
            open=False,
        )

    @contextmanager
    def get_connection(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            self.pool.open()
            with self.pool.connection() as connection:
                yield connection
        except psycopg.IntegrityError as clash:
            raise IntegrityError(str(clash)) from clash
        except psycopg.InterfaceError as broken:
            raise InterfaceError(str(broken)) from broken
        except (*AWAY, PoolTimeout) as lost:
            raise OperationalError(str(lost)) from lost
        except psycopg.Error as other:
            raise PersistenceError(str(other)) from other


class PostgresFactRecorder(PostgresApplicationRecorder):
    """Stored events in the table `facts`: gapless positions, a hash chain a tenant, no retries.

    The library's own methods try ten times over minutes when the database is away; these
    raise at once and leave the answer to the caller, who knows what was promised.
    """

    datastore: RolePool

    def __init__(self, datastore: RolePool) -> None:
        PostgresRecorder.__init__(self, datastore)
        assert not datastore.enable_db_functions, "it drops the order lock and the tracking"
        self.events_table_name = "facts"
        self.channel_name = CHANNEL

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        if not stored_events:
            return []
        with self.datastore.get_connection() as connection, connection.transaction():
            connection.execute(LOCK)
            position = _only(connection.execute(HEAD))
            tenants = {_tenant(event) for event in stored_events}
            known = connection.execute(LAST_HASHES, [list(tenants)]).fetchall()
            rows = chained(stored_events, position, {row[0]: bytes(row[2]) for row in known})
            connection.execute(INSERT, columns_of(rows))
        with self.datastore.get_connection() as connection:
            connection.execute(f"NOTIFY {CHANNEL}")
        return [row[0] for row in rows]

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        with self.datastore.get_connection() as connection:
            rows = connection.execute(
                f"SELECT {SHOWN} FROM facts f{WITH_KEY} WHERE stream = %s"
                " AND (%s::int IS NULL OR version > %s) AND (%s::int IS NULL OR version <= %s)"
                f" ORDER BY version {'DESC' if desc else 'ASC'} LIMIT %s",
                [originator_id, gt, gt, lte, lte, limit],
            ).fetchall()
        return [_stored(row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = (start or 0) - (1 if inclusive_of_start and start else 0)
        with self.datastore.get_connection() as connection:
            rows = connection.execute(
                f"SELECT {COLUMNS} FROM facts WHERE position > %s"
                " AND (%s::bigint IS NULL OR position <= %s)"
                " AND (cardinality(%s::text[]) = 0 OR topic = ANY(%s))"
                " ORDER BY position LIMIT %s",
                [after, stop, stop, list(topics), list(topics), limit],
            ).fetchall()
        return [Notification(row[2], row[3], row[4], row[5].encode(), row[0]) for row in rows]

    def max_notification_id(self) -> int | None:
        with self.datastore.get_connection() as connection:
            return _only(connection.execute(HEAD)) or None

    def rows_since(self, position: int, limit: int) -> list[Row]:
        """The next rows of the journal in their order."""
        with self.datastore.get_connection() as connection:
            return connection.execute(SINCE, [position, limit], binary=True).fetchall()

    def away(self, position: int, last: int) -> int:
        """How many positions between two have their facts in the journal they came from."""
        with self.datastore.get_connection() as connection:
            return _only(connection.execute(ELSEWHERE, [position, last]))

    def elsewhere(self) -> list[tuple[int, int]]:
        """All of those, from one to another."""
        with self.datastore.get_connection() as connection:
            return connection.execute(EVERY_ELSEWHERE).fetchall()

    def snapshots_for(self, code: bytes) -> list[Row]:
        """All snapshots that some code has written, a stream after the other."""
        with self.datastore.get_connection() as connection:
            return connection.execute(SNAPSHOTS, [code], binary=True).fetchall()

    def rows_of(self, stream: UUID) -> list[Row]:
        """All rows of one stream, oldest first."""
        with self.datastore.get_connection() as connection:
            return connection.execute(STREAM, [stream], binary=True).fetchall()


class MemoryFactRecorder(POPOApplicationRecorder):
    """The library's in-memory recorder, with the same positions and chain; for fast tests."""

    def __init__(self) -> None:
        super().__init__()
        self.hashes: dict[UUID, bytes] = defaultdict(lambda: GENESIS)
        self.rows: list[Row] = []
        self.snapshots: list[Row] = []
        self.keys: dict[Subject, Wrapped] = {}

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        rows = chained(stored_events, len(self.rows), self.hashes)
        positions = super().insert_events(stored_events, **kwargs)
        self.rows.extend(rows)
        self.hashes.update({row[1]: row[6] for row in rows})
        return positions

    def rows_since(self, position: int, limit: int) -> list[Row]:
        return self.with_keys(self.rows[position : position + limit])

    def away(self, position: int, last: int) -> int:
        return 0

    def elsewhere(self) -> list[tuple[int, int]]:
        return []

    def snapshots_for(self, code: bytes) -> list[Row]:
        return sorted(self.snapshots, key=lambda row: (row[2], row[3]))

    def rows_of(self, stream: UUID) -> list[Row]:
        return self.with_keys(row for row in self.rows if row[2] == stream)

    def with_keys(self, rows: Iterable[Row]) -> list[Row]:
        """Rows with their subjects' keys as they are by now."""
        if not self.keys:
            return list(rows)
        found = []
        for row in rows:
            key = self.keys.get((row[1], row[7]), DESTROYED) if row[7] else DESTROYED
            found.append((*row[:8], key.master, key.wrapped))
        return found


def chained(events: Sequence[StoredEvent], position: int, hashes: dict[UUID, bytes]) -> list[Row]:
    """The rows to insert: the next positions, each linked to its tenant's last hash."""
    heads = dict(hashes)
    rows: list[Row] = []
    for event in events:
        position += 1
        tenant, stream = _tenant(event), UUID(str(event.originator_id))
        version, topic, state = event.originator_version, event.topic, event.state
        before = heads.get(tenant, GENESIS)
        heads[tenant] = now = link(before, position, tenant, stream, version, topic, state)
        subject = event.subject if isinstance(event, StoredFact) else None
        text = state.decode()
        rows.append((position, tenant, stream, version, topic, text, now, subject, None, None))
    return rows


def _tenant(event: StoredEvent) -> UUID:
    return event.tenant_id if isinstance(event, StoredFact) else StoredFact.tenant_id


def _stored(row: Row) -> StoredFact:
    place = (row[2], row[3], row[4])
    return StoredFact(*place, row[5].encode(), row[1], row[0], bytes(row[6]), row[7])


def _only(cursor: psycopg.Cursor[Any]) -> int:
    row = cursor.fetchone()
    assert row is not None
    return int(row[0])
