"""Moving: a workspace's journal and keys, carried to a server where every answer is the same."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql

from zeroinvoice.domain.mailbox import AddressClaimed, mailbox_id
from zeroinvoice.domain.user import User
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.gateways.vault import CarriedKey, Table, pack_keys, unpack_keys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.broken import Broken
from zeroinvoice.journal.fence import NAME_TENANT, READ_ROLE
from zeroinvoice.journal.heads import Growing, Signer, read_heads
from zeroinvoice.journal.proof import Exported, export, verify
from zeroinvoice.journal.recorder import HEAD, INSERT, LOCK, Row, chained, columns_of
from zeroinvoice.journal.schema import API_ROLE, KEEPER_ROLE, conninfo
from zeroinvoice.kernel.facts import HOUSE, Actor, Fact, Origin, events_of, folded, topics_of
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Missing, Refused
from zeroinvoice.kernel.value import Value

FACTS, KEYS, HEADS = "journal.jsonl", "keys.jsonl", "head.jsonl"
PIECE = 5_000  # facts stored with one statement
ELSEWHERE = "INSERT INTO elsewhere SELECT * FROM unnest(%s::bigint[], %s::bigint[])"
ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
PASSED = (  # what policies did with these facts, they did where the facts come from
    "INSERT INTO checkpoints (name, shape, generation, position, applied) VALUES (%s, 1, 1, %s, %s)"
    " ON CONFLICT (name) DO UPDATE SET position = excluded.position, applied = excluded.applied"
)


MAKERS: dict[Table, str] = {"subject_keys": API_ROLE, "vault_keys": READ_ROLE}  # who adds keys


class Moved(Value):
    tenant: UUID
    facts: int
    members: int  # who can log in there


def pack(
    url: str,
    tenant: UUID,
    folder: Path,
    signer: Signer,
    masters: MasterKeys,
    transfer: MasterKeys,
    at: datetime,
) -> int:
    """Write a workspace's facts, a signed head of them, and its keys, wrapped by a transfer key.

    Answers how many facts; the folder is made. Raises `Missing` for a workspace that is not here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    growing, journal = Growing(), Journal.at(url, size=1)

    def seen() -> Iterator[Row]:
        for row in journal.every_row():
            if row[1] == tenant:
                growing.add(row[0], row[1], bytes(row[6]))
                yield row

    try:
        with (folder / FACTS).open("wb") as file:
            count = export(seen(), file, tenant)
    finally:
        journal.close()
    if not count:
        raise Missing("There is no such workspace.")
    head = signer.sign(growing.head(tenant, at))
    (folder / HEADS).write_bytes(msgspec.json.encode(head) + b"\n")
    keeper = conninfo(url, KEEPER_ROLE, application="zeroinvoice move")
    with psycopg.connect(keeper) as connection, (folder / KEYS).open("wb") as file:
        for key in pack_keys(connection, tenant, masters, transfer):
            file.write(msgspec.json.encode(key) + b"\n")
    return count


def unpack(
    url: str,
    folder: Path,
    trusted: Sequence[str],
    masters: MasterKeys,
    transfer: MasterKeys,
    policies: Sequence[str],
    at: datetime,
) -> Moved:
    """Take a workspace over into an empty journal, all of it or nothing, at its own positions.

    Everything is verified first; `trusted` are the keys that may have signed its head, any if
    there are none. `url` names a database whose user owns it. Raises `Broken` for what does not
    hold, `Unsound` for another transfer key, and `Refused` for a journal that is not empty or that
    policies are following.
    """
    tenant, ranges, claims = _verified(folder, trusted)
    with psycopg.connect(url) as connection:
        connection.execute(LOCK)
        if connection.execute(HEAD).fetchone() != (0,):
            raise Refused("This journal is not empty.", code="journal_not_empty")
        for name in policies:
            if connection.execute(ALONE, [name]).fetchone() != (True,):
                raise Refused("Stop `zeroinvoice policies` first.", code="policies_running")
        connection.execute(ELSEWHERE, [list(it) for it in zip(*ranges, strict=True)] or [[], []])
        _become(connection, API_ROLE)
        count, last = _store(connection, folder)
        claimed = _claimed(claims, tenant, last, at)
        connection.execute(INSERT, columns_of(claimed))
        keys = list(_keys(folder))
        connection.execute(NAME_TENANT, [str(tenant)])
        for table, maker in MAKERS.items():
            _become(connection, maker)
            theirs = (it for it in keys if it.table == table)
            unpack_keys(connection, tenant, theirs, masters, transfer)
        connection.execute("RESET ROLE")
        for name in policies:
            end = last + len(claimed)
            connection.execute(PASSED, [name, end, end])
    return Moved(tenant, count, len(claimed))


def _become(connection: psycopg.Connection[Any], role: str) -> None:
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))


def _verified(
    folder: Path, trusted: Sequence[str]
) -> tuple[UUID, list[tuple[int, int]], dict[str, UUID]]:
    """Whose facts these are, the positions between them, and the members by their addresses."""
    heads = [it.check(trusted) for it in read_heads((folder / HEADS).read_bytes().splitlines())]
    if not heads:
        raise Broken(0, "there is no signed head beside it")
    told, read = topics_of(*events_of(Workspace), *events_of(User)), Journal().facts_mapper.read
    ranges: list[tuple[int, int]] = []
    streams: dict[UUID, list[Fact]] = defaultdict(list)

    def seen(rows: Iterable[Row]) -> Iterator[Row]:
        last = 0
        for row in rows:
            if row[0] > last + 1:
                ranges.append((last + 1, row[0] - 1))
            last = row[0]
            if row[4] in told:
                streams[row[2]].append(read(row))
            yield row

    with (folder / FACTS).open("rb") as file:
        exported = Exported(file)
        tenant = exported.heading.tenant
        if tenant is None:
            raise Broken(0, "this is a whole journal, not that of one workspace")
        verify(seen(exported.rows()), heads, gapless=False)
    workspace = cast(Workspace, folded(Workspace, tenant, streams[tenant]))
    users = [cast(User, folded(User, id, streams[id])) for id in workspace.membership.members]
    return tenant, ranges, {user.email: user.id for user in users}


def _store(connection: psycopg.Connection[Any], folder: Path) -> tuple[int, int]:
    """Store the facts as they are; answers how many, and the position of the last."""
    count = last = 0
    with (folder / FACTS).open("rb") as file:
        for rows in _pieces(Exported(file).rows()):
            connection.execute(INSERT, columns_of(rows))
            count, last = count + len(rows), rows[-1][0]
    return count, last


def _pieces(rows: Iterable[Row]) -> Iterator[list[Row]]:
    piece: list[Row] = []
    for row in rows:
        piece.append(row)
        if len(piece) == PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


def _claimed(claims: dict[str, UUID], tenant: UUID, last: int, at: datetime) -> list[Row]:
    """The facts by which addresses lead to their users here; they are the installation's own."""
    origin, stored = Origin(Actor("system"), new_id()), Journal().facts_mapper.to_stored_event
    facts = [
        Fact(AddressClaimed(user, tenant), HOUSE, mailbox_id(email), 1, last + n, at, origin)
        for n, (email, user) in enumerate(claims.items(), 1)
    ]
    return chained([stored(fact) for fact in facts], last, {})


def _keys(folder: Path) -> Iterator[CarriedKey]:
    decode = msgspec.json.Decoder(CarriedKey).decode
    for line in (folder / KEYS).read_bytes().splitlines():
        try:
            yield decode(line)
        except msgspec.DecodeError as wrong:
            raise Broken(0, f"a key cannot be read: {wrong}") from None
