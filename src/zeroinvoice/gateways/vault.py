"""The vault: a key for each subject, outside the journal, so that it can be destroyed for good."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Literal, get_args
from uuid import UUID

import psycopg
from psycopg import sql

from zeroinvoice.gateways.sealing import DataKey, MasterKeys, new_key
from zeroinvoice.kernel.clock import Clock
from zeroinvoice.kernel.refusals import Refused, Unavailable
from zeroinvoice.kernel.value import Value

FIND = "SELECT wrapped_by, master, wrapped FROM vault_keys WHERE tenant_id = %s AND id = %s"
ADD = (
    "INSERT INTO vault_keys (tenant_id, id, wrapped_by, master, wrapped)"
    " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
DESTROY = (
    "UPDATE vault_keys SET destroyed_at = %s"
    " WHERE tenant_id = %s AND id = %s AND destroyed_at IS NULL"
)
Table = Literal["vault_keys", "subject_keys"]
TABLES: tuple[Table, ...] = get_args(Table)  # of keys that master keys wrap
OLDER = (  # some keys that a former master key wraps, and that nobody else is at
    "SELECT tenant_id, id, master, wrapped FROM {table}"
    " WHERE master = ANY(%s) AND destroyed_at IS NULL"
    " ORDER BY tenant_id, id LIMIT %s FOR UPDATE SKIP LOCKED"
)
REWRAP = "UPDATE {table} SET master = %s, wrapped = %s WHERE tenant_id = %s AND id = %s"
NEEDED = (
    "SELECT master, count(*) FROM (SELECT master, destroyed_at FROM vault_keys"
    " UNION ALL SELECT master, destroyed_at FROM subject_keys) AS k"
    " WHERE master IS NOT NULL AND destroyed_at IS NULL GROUP BY master ORDER BY master"
)
PACKED: dict[Table, str] = {
    "vault_keys": "SELECT id, wrapped_by, master, wrapped, destroyed_at FROM vault_keys"
    " WHERE tenant_id = %s ORDER BY id",
    "subject_keys": "SELECT id, NULL::uuid, master, wrapped, destroyed_at FROM subject_keys"
    " WHERE tenant_id = %s ORDER BY id",
}
UNPACKED: dict[Table, str] = {
    "vault_keys": "INSERT INTO vault_keys (tenant_id, id, wrapped_by, master, wrapped,"
    " destroyed_at) VALUES (%(tenant)s, %(id)s, %(wrapped_by)s, %(master)s, %(wrapped)s,"
    " %(destroyed_at)s)",
    "subject_keys": "INSERT INTO subject_keys (tenant_id, id, master, wrapped, destroyed_at)"
    " VALUES (%(tenant)s, %(id)s, %(master)s, %(wrapped)s, %(destroyed_at)s)",
}
AT_ONCE = 500  # keys in one transaction of a rotation

# A connection that reads and adds keys of one tenant; what was added is stored after the block.
Connect = Callable[[UUID], AbstractContextManager[psycopg.Connection[Any]]]


class Vault:
    """Keys as the API needs them. Nothing is kept in memory: what is destroyed is gone at once."""

    def __init__(self, masters: MasterKeys, connect: Connect) -> None:
        self._masters = masters
        self._connect = connect

    def key(self, tenant: UUID, subject: UUID) -> DataKey:
        """The key of a workspace or a client; made when it is asked for the first time.

        Raises `Refused` `erased` when it was destroyed, `Unavailable` when its master key is
        not known here.
        """
        found = self.existing(tenant, subject)
        if found is None:
            key = new_key(subject)
            wrapped = self._masters.wrap(tenant, key)
            self._add(tenant, subject, None, self._masters.current, wrapped)
            found = self.existing(tenant, subject)  # ours, or somebody was quicker
        assert found is not None
        return found

    def key_under(self, tenant: UUID, id: UUID, owner: DataKey) -> DataKey:
        """A new key that is readable as long as its owner's is."""
        key = new_key(id)
        self._add(tenant, id, owner.id, None, owner.wrap(tenant, key))
        return key

    def existing(self, tenant: UUID, id: UUID) -> DataKey | None:
        """A key that was made before, and those it is wrapped by; raises as `key` does."""
        with self._connect(tenant) as connection:
            return self._find(connection, tenant, id)

    def _add(
        self, tenant: UUID, id: UUID, wrapped_by: UUID | None, master: str | None, wrapped: bytes
    ) -> None:
        # Alone in its transaction, so that nobody waits for a process that is stopped in one.
        with self._connect(tenant) as connection:
            connection.execute(ADD, [tenant, id, wrapped_by, master, wrapped])

    def _find(self, connection: psycopg.Connection[Any], tenant: UUID, id: UUID) -> DataKey | None:
        row = connection.execute(FIND, [tenant, id]).fetchone()
        if row is None:
            return None
        wrapped_by, master, wrapped = row
        if wrapped is None:
            raise Refused("What this was sealed with is destroyed.", code="erased")
        if wrapped_by is None:
            return self._masters.unwrap(tenant, id, master, wrapped)
        owner = self._find(connection, tenant, wrapped_by)
        assert owner is not None, "keys are never deleted, only destroyed"
        return owner.unwrap(tenant, id, wrapped)


class Shredder:
    """Destroys keys, in the name of the role that can do nothing else with them."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock

    async def destroy(self, tenant: UUID, id: UUID) -> None:
        """See that a key is no more; doing it again changes nothing. Raises `Unavailable`."""
        try:
            async with await psycopg.AsyncConnection.connect(self._url) as connection:
                await connection.execute(DESTROY, [self._clock(), tenant, id])
        except psycopg.OperationalError as away:
            raise Unavailable(f"The vault cannot be reached: {away}") from away


class Needed(Value):
    """A master key by its name, and how many keys it wraps."""

    master: str
    keys: int


class Rotated(Value):
    """What a rotation did, and which master keys are needed after it."""

    rewrapped: int
    needed: tuple[Needed, ...]


def needed(connection: psycopg.Connection[Any]) -> tuple[Needed, ...]:
    """The master keys without which something that is sealed could not be read."""
    return tuple(Needed(*row) for row in connection.execute(NEEDED).fetchall())


def rotate(
    connection: psycopg.Connection[Any],
    masters: MasterKeys,
    progress: Callable[[int], None] = lambda done: None,
) -> Rotated:
    """Wrap every key that a former master key wraps under the current one.

    Each batch commits by itself: one that is stopped goes on where it was when it is run again.
    Only the wrapping changes, so what is sealed stays sealed, and requests go on meanwhile.
    """
    done = 0
    for table in TABLES:
        while rewrapped := _rewrap(connection, masters, table):
            done += rewrapped
            progress(done)
    return Rotated(done, needed(connection))


def _rewrap(connection: psycopg.Connection[Any], masters: MasterKeys, table: str) -> int:
    name = sql.Identifier(table)
    with connection.transaction():
        older = sql.SQL(OLDER).format(table=name)
        rows = connection.execute(older, [masters.former, AT_ONCE]).fetchall()
        for tenant, id, master, wrapped in rows:
            fresh = masters.wrap(tenant, masters.unwrap(tenant, id, master, wrapped))
            rewrap = sql.SQL(REWRAP).format(table=name)
            connection.execute(rewrap, [masters.current, fresh, tenant, id])
    return len(rows)


class CarriedKey(Value):
    """A key on its way to another installation."""

    table: Table
    id: UUID
    wrapped_by: UUID | None  # another key of the tenant; None: the transfer key
    wrapped: bytes | None  # None: it is destroyed
    destroyed_at: datetime | None


def pack_keys(
    connection: psycopg.Connection[Any], tenant: UUID, masters: MasterKeys, transfer: MasterKeys
) -> Iterator[CarriedKey]:
    """A tenant's keys, of which those that a master key wraps are wrapped by the transfer key.

    Read as the role that rotates keys. Raises `Unavailable` when a master key is not known here.
    """
    for table, query in PACKED.items():
        for id, wrapped_by, master, wrapped, destroyed_at in connection.execute(query, [tenant]):
            if wrapped is not None and wrapped_by is None:
                wrapped = transfer.wrap(tenant, masters.unwrap(tenant, id, master, wrapped))
            yield CarriedKey(table, id, wrapped_by, wrapped, destroyed_at)


def unpack_keys(
    connection: psycopg.Connection[Any],
    tenant: UUID,
    keys: Iterable[CarriedKey],
    masters: MasterKeys,
    transfer: MasterKeys,
) -> None:
    """Store keys that were packed elsewhere, under this installation's master key.

    Raises `Unsound` when they were packed with another transfer key, or changed.
    """
    for it in keys:
        master, wrapped = (masters.current if it.wrapped_by is None else None), it.wrapped
        if wrapped is not None and it.wrapped_by is None:
            key = transfer.unwrap(tenant, it.id, transfer.current, wrapped)
            wrapped = masters.wrap(tenant, key)
        row = {"tenant": tenant, "id": it.id, "wrapped_by": it.wrapped_by, "master": master}
        connection.execute(
            UNPACKED[it.table], {**row, "wrapped": wrapped, "destroyed_at": it.destroyed_at}
        )
