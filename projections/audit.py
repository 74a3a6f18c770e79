"""Audit: the journal as an auditor reads it, one row a fact; what each changed is folded anew."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from litestar.params import FromPath, FromQuery
from msgspec import UNSET, UnsetType
from sqlalchemy import BigInteger, DateTime, Integer, Select, Text, Uuid

from projections.audit_blame import Blamed, blamed
from projections.audit_changes import Change, changes, effective_on, event_fields, label, text_of
from projections.audit_readings import put_on_record
from zeroinvoice.domain import KIND_OF, KINDS
from zeroinvoice.domain.access_day import AccessDay, Question
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import HOUSE, Event, Fact, Personal, State, folded
from zeroinvoice.kernel.refusals import BadInput, Invalid, Missing
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Paging, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.reader import Reader
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, read_table

LONGEST_FOLD = 1_000  # versions; of a longer stream an entry shows what its fact says
LONGEST_TEXT = 2_000  # characters of a fact, without persons, that can be searched

# Table

audit = read_table(
    "audit",
    "audit",
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("action", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("request_id", Uuid, nullable=False),
    Column("correlation_id", Uuid),
    Column("causation_id", BigInteger),
    Column("ip", Text),
    Column("user_agent", Text),
    Column("reason", Text),
    Column("text", Text, nullable=False),
    key=Column("position", BigInteger, primary_key=True),
)
it = audit.c
Index("audit_by_position", it.tenant_id, it.position)
Index("audit_by_resource", it.tenant_id, it.resource_id, it.position)
Index("audit_by_time", it.tenant_id, it.at, it.position)
Index("audit_by_actor", it.tenant_id, it.actor_id, it.position)

# Fold


def project(rows: Rows, fact: Fact) -> None:
    if fact.tenant == HOUSE:
        return
    origin, event = fact.origin, fact.event
    rows.add(
        fact.position,
        at=fact.at,
        actor_kind=origin.by.kind,
        actor_id=origin.by.id,
        action=type(event).__name__,
        resource_type=KIND_OF[type(event)],
        resource_id=fact.stream,
        version=fact.version,
        request_id=origin.request,
        correlation_id=origin.correlation,
        causation_id=origin.causation,
        ip=origin.ip,
        user_agent=origin.agent,
        reason=origin.reason,
        text=text_of(_impersonal(event))[:LONGEST_TEXT],
    )


def _impersonal(event: Event) -> Event:
    """What may be kept of an event beside the journal, which alone forgets by itself."""
    return event.redacted() if isinstance(event, Personal) else event


projector = Projector("audit", 3, (audit,), project)

# Views


class AuditActor(Value):
    type: str  # user, api_key, system, anonymous
    id: UUID | None
    name: str | None


class AuditResource(Value):
    type: str
    id: UUID
    label: str | None  # what people call it, as of this entry


class AuditEntry(Value, kw_only=True):
    """One fact: who did what to which resource, what it changed, and its link in the chain."""

    seq: int  # the fact's position in the journal
    at: datetime
    effective_on: date | None  # the business day it counts for, where it has one of its own
    actor: AuditActor
    action: str  # the event's name
    resource: AuditResource
    version: int  # of the resource, after it
    changes: list[Change]
    reason: str | None
    request_id: UUID
    correlation_id: UUID | None
    causation_id: int | None  # `seq` of the fact it answers
    ip: str | None
    user_agent: str | None
    hash: str  # SHA-256 in hex, over `prev_hash` and the whole fact
    prev_hash: str  # of the workspace's fact before; zeros at the first


class Comparison(Value):
    """What differs between two versions of one resource."""

    earlier: int
    later: int
    changes: list[Change]


class BlameView(Value):
    """A field as it stands, and the fact that set it."""

    path: str  # such as content.lines.0.unit_price
    value: Any  # null where it was cleared
    seq: int
    version: int
    at: datetime
    actor: AuditActor
    action: str
    reason: str | None


class ResourceHistory(Value):
    """A resource's versions, oldest first."""

    resource: AuditResource
    items: list[AuditEntry]
    next_cursor: str | None
    total: int | None
    compare: Comparison | None
    blame: list[BlameView] | UnsetType = UNSET  # of every field that was ever set; on request


class AuditRow(Value):
    position: int
    tenant_id: UUID
    at: datetime
    actor_kind: str
    actor_id: UUID
    action: str
    resource_type: str
    resource_id: UUID
    version: int
    request_id: UUID
    correlation_id: UUID | None
    causation_id: int | None
    ip: str | None
    user_agent: str | None
    reason: str | None


class _Told(Value):
    """What a fact itself says of its entry."""

    label: str | None  # what the resource was called then
    effective_on: date | None
    changes: list[Change]


# Queries


def rows_of(reader: Reader) -> Select[Any]:
    """The tenant's entries, up to `as_of` when the request names an instant."""
    rows = reader.mine(audit, *(it[name] for name in AuditRow.__struct_fields__))
    return rows if reader.as_of is None else rows.where(it.at <= reader.as_of)


def position_of(reader: Reader) -> int:
    """The position a report answers for: every fact up to it is in what was read.

    At an instant it is that of the last fact recorded by then. To be asked after reading.
    """
    if reader.as_of is None:
        return reader.reached or 0
    last = reader.mine(audit, it.position).where(it.at <= reader.as_of)
    return reader.scalar(last.order_by(it.at.desc(), it.position.desc()).limit(1)) or 0


def entries(reader: Reader, rows: Sequence[AuditRow]) -> list[AuditEntry]:
    """The rows as entries: three queries, however many streams they are about."""
    links = reader.links([row.position for row in rows])
    changed = _changed(reader, rows)
    who = actors(reader, [(row.actor_kind, row.actor_id) for row in rows])
    return [_entry(row, changed[row.position], links[row.position], who) for row in rows]


def _entry(
    row: AuditRow,
    told: _Told,
    link: tuple[bytes, bytes],
    who: dict[tuple[str, UUID], AuditActor],
) -> AuditEntry:
    return AuditEntry(
        seq=row.position,
        at=row.at,
        effective_on=told.effective_on,
        actor=who[row.actor_kind, row.actor_id],
        action=row.action,
        resource=AuditResource(row.resource_type, row.resource_id, told.label),
        version=row.version,
        changes=told.changes,
        reason=row.reason,
        request_id=row.request_id,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        ip=row.ip,
        user_agent=row.user_agent,
        hash=link[0].hex(),
        prev_hash=link[1].hex(),
    )


def _changed(reader: Reader, rows: Sequence[AuditRow]) -> dict[int, _Told]:
    """What the facts themselves say, by position."""
    asked: dict[UUID, list[AuditRow]] = {}
    for row in rows:
        asked.setdefault(row.resource_id, []).append(row)
    spans = []
    for stream, mine in asked.items():
        first, last = min(row.version for row in mine), max(row.version for row in mine)
        spans.append((stream, 1 if _is_folded(mine[0].resource_type, last) else first, last))
    histories = reader.histories(spans)
    found: dict[int, _Told] = {}
    for stream, mine in asked.items():
        facts, wanted = histories[stream], {row.version for row in mine}
        kind = mine[0].resource_type
        state: State[Any] = KINDS[kind](id=stream)
        for fact in facts:
            day = effective_on(fact.event)
            if not _is_folded(kind, facts[-1].version):
                found[fact.position] = _Told(None, day, event_fields(fact.event))
                continue
            before, state = state, state.told(fact.event, fact.at)
            if fact.version in wanted:
                found[fact.position] = _Told(label(state), day, changes(before, state))
    return found


def _is_folded(kind: str, last: int) -> bool:
    """Whether entries show what became of a stream; a short one, and no access changes anything."""
    return KINDS[kind] is not AccessDay and last <= LONGEST_FOLD


def actors(reader: Reader, who: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], AuditActor]:
    """Actors with what they are called; the house and strangers have neither id nor name."""
    known = [(KINDS[kind], id) for kind, id in set(who) if kind in KINDS]
    names = {it.id: label(it) for it in reader.states(known)} if known else {}
    return {
        (kind, id): AuditActor(kind, id if kind in KINDS else None, names.get(id))
        for kind, id in who
    }


def kind_of(name: str) -> str:
    if name not in KINDS:
        raise Invalid(
            f"The audit log knows no {name!r}.",
            code="unknown_resource_type",
            accepted=sorted(KINDS),
        )
    return name


_VERSIONS = re.compile(r"v?([0-9]{1,9})\.\.v?([0-9]{1,9})")


def _compared(reader: Reader, kind: str, id: UUID, asked: str) -> Comparison:
    """What differs between the two versions of `v3..v7`; version 0 is before the first."""
    match = _VERSIONS.fullmatch(asked)
    if match is None:
        raise BadInput("Compare two versions such as v3..v7.", pointer="?compare")
    earlier, later = sorted(map(int, match.groups()))
    facts = list(filter(reader.knows, reader.histories([(id, 1, later)])[id]))
    if len(facts) < later:
        raise Invalid(
            f"There is no version {later}; the latest is {len(facts)}.", code="unknown_version"
        )
    states = [folded(KINDS[kind], id, facts[:version]) for version in (earlier, later)]
    return Comparison(earlier, later, changes(*states))


def _blame(reader: Reader, kind: str, id: UUID) -> list[BlameView]:
    """Who set each field, when and why. Raises `Invalid` for a stream that is too long."""
    found = reader.histories([(id, 1, LONGEST_FOLD + 1)])[id]
    facts = list(filter(reader.knows, found))
    if len(facts) > LONGEST_FOLD:
        raise Invalid(
            f"It has more than {LONGEST_FOLD} versions, too many to tell who set each field; "
            "ask for an earlier instant with as_of.",
            code="history_too_long",
            longest=LONGEST_FOLD,
        )
    fields = blamed(KINDS[kind], id, facts)
    who = actors(reader, [(it.by.origin.by.kind, it.by.origin.by.id) for it in fields])
    return [_blame_view(it, who) for it in fields]


def _blame_view(it: Blamed, who: dict[tuple[str, UUID], AuditActor]) -> BlameView:
    fact, actor = it.by, it.by.origin.by
    return BlameView(
        path=it.path,
        value=it.value,
        seq=fact.position,
        version=fact.version,
        at=fact.at,
        actor=who[actor.kind, actor.id],
        action=type(fact.event).__name__,
        reason=fact.origin.reason,
    )


# Routes

SORTS = {"seq": it.position}


@get(
    "/audit/resource/{resource_type:str}/{resource_id:uuid}/history",
    may="audit:read",
    as_of="instant",
)
def history(
    resource_type: FromPath[str],
    resource_id: FromPath[UUID],
    reader: Reading,
    listing: Listing,
    compare: FromQuery[str | None] = None,
    blame: FromQuery[bool] = False,
) -> ResourceHistory:
    """List a resource's versions with what each changed.

    `compare=v3..v7` sets two side by side. `blame=1` says of every field as it stands, or stood
    at `as_of`, who set it, when, by which fact and why; an element of a list is followed to
    wherever it moves.
    """
    kind = kind_of(resource_type)
    rows = rows_of(reader).where(it.resource_id == resource_id, it.resource_type == kind)
    asked = Paging(listing.limit, listing.cursor, listing.sort or "seq", listing.include_total)
    found = page(reader, rows, AuditRow, asked, sorts=SORTS, key=it.position)
    if not found.items:
        raise Missing(f"There is no such {kind.replace('_', ' ')}.")
    items = entries(reader, found.items)
    both = _compared(reader, kind, resource_id, compare) if compare else None
    fields = _blame(reader, kind, resource_id) if blame else UNSET
    put_on_record(
        reader, "resource_history", Question(resource_types=(kind,), resource_id=resource_id)
    )
    resource = AuditResource(kind, resource_id, items[-1].resource.label)
    return ResourceHistory(resource, items, found.next_cursor, found.total, both, fields)


routes = [history]
