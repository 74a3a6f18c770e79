"""Audit: the journal as an auditor reads it, one row a fact; what each changed is folded anew."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy import BigInteger, DateTime, Integer, Select, Text, Uuid, or_

from projections.audit_changes import Change, changes, event_fields, label, text_of
from zeroinvoice.domain import KIND_OF, KINDS
from zeroinvoice.http.paging import Listing
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import HOUSE, Event, Fact, Personal, State, folded
from zeroinvoice.kernel.refusals import BadInput, Invalid, Missing
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page, Paging, page
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.reader import Reader
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

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


class ResourceHistory(Value):
    """A resource's versions, oldest first."""

    resource: AuditResource
    items: list[AuditEntry]
    next_cursor: str | None
    total: int | None
    compare: Comparison | None


class _Row(Value):
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


# Queries


def _rows(reader: Reader) -> Select[Any]:
    """The tenant's entries, up to `as_of` when the request names an instant."""
    rows = reader.mine(audit, *(it[name] for name in _Row.__struct_fields__))
    return rows if reader.as_of is None else rows.where(it.at <= reader.as_of)


def entries(reader: Reader, rows: Sequence[_Row]) -> list[AuditEntry]:
    """The rows as entries: three queries, however many streams they are about."""
    links = reader.links([row.position for row in rows])
    changed = _changed(reader, rows)
    names = _names(reader, {(row.actor_kind, row.actor_id) for row in rows})
    return [_entry(row, *changed[row.position], links[row.position], names) for row in rows]


def _entry(
    row: _Row,
    label: str | None,
    changes: list[Change],
    link: tuple[bytes, bytes],
    names: dict[UUID, str | None],
) -> AuditEntry:
    known = row.actor_kind in KINDS
    return AuditEntry(
        seq=row.position,
        at=row.at,
        actor=AuditActor(row.actor_kind, row.actor_id if known else None, names.get(row.actor_id)),
        action=row.action,
        resource=AuditResource(row.resource_type, row.resource_id, label),
        version=row.version,
        changes=changes,
        reason=row.reason,
        request_id=row.request_id,
        correlation_id=row.correlation_id,
        causation_id=row.causation_id,
        ip=row.ip,
        user_agent=row.user_agent,
        hash=link[0].hex(),
        prev_hash=link[1].hex(),
    )


def _changed(reader: Reader, rows: Sequence[_Row]) -> dict[int, tuple[str | None, list[Change]]]:
    """By position: what the resource was called then, and what the fact changed of it."""
    asked: dict[UUID, list[_Row]] = {}
    for row in rows:
        asked.setdefault(row.resource_id, []).append(row)
    spans = []
    for stream, mine in asked.items():
        first, last = min(row.version for row in mine), max(row.version for row in mine)
        spans.append((stream, first if last > LONGEST_FOLD else 1, last))
    histories = reader.histories(spans)
    found: dict[int, tuple[str | None, list[Change]]] = {}
    for stream, mine in asked.items():
        facts, wanted = histories[stream], {row.version for row in mine}
        state: State[Any] = KINDS[mine[0].resource_type](id=stream)
        for fact in facts:
            if facts[0].version > 1:
                found[fact.position] = None, event_fields(fact.event)
                continue
            before, state = state, state.told(fact.event, fact.at)
            if fact.version in wanted:
                found[fact.position] = label(state), changes(before, state)
    return found


def _names(reader: Reader, actors: set[tuple[str, UUID]]) -> dict[UUID, str | None]:
    """What people and API keys are called; the house and strangers have no name."""
    known = [(KINDS[kind], id) for kind, id in actors if kind in KINDS]
    return {it.id: label(it) for it in reader.states(known)} if known else {}


def _kind(name: str) -> str:
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
    facts = reader.histories([(id, 1, later)])[id]
    if reader.as_of is not None:
        facts = [fact for fact in facts if fact.at <= reader.as_of]
    if len(facts) < later:
        raise Invalid(
            f"There is no version {later}; the latest is {len(facts)}.", code="unknown_version"
        )
    states = [folded(KINDS[kind], id, facts[:version]) for version in (earlier, later)]
    return Comparison(earlier, later, changes(*states))


# Routes

Since = Annotated[datetime | None, QueryParameter(name="from", description="recorded since")]
Until = Annotated[datetime | None, QueryParameter(name="to", description="recorded before")]
SORTS = {"seq": it.position}


@get("/audit/logs", may="audit:read")
def browse(
    reader: Reading,
    listing: Listing,
    since: Since = None,
    until: Until = None,
    actor: FromQuery[list[str] | None] = None,
    action: FromQuery[list[str] | None] = None,
    resource_type: FromQuery[list[str] | None] = None,
    resource_id: FromQuery[UUID | None] = None,
    ip: FromQuery[str | None] = None,
    q: FromQuery[str | None] = None,
) -> Page[AuditEntry]:
    """List what was done in the workspace, newest first.

    `actor` is the id of a user or an API key, or `system` or `anonymous`; `q` is looked for in
    what was recorded but what it says of clients, in the action's name and in the reason.
    """
    rows = _rows(reader)
    if since:
        rows = rows.where(it.at >= _aware(since, "?from"))
    if until:
        rows = rows.where(it.at < _aware(until, "?to"))
    if actor:
        kinds = [who for who in actor if who in ("system", "anonymous")]
        ids = [_actor(who) for who in actor if who not in kinds]
        rows = rows.where(or_(any_of(it.actor_kind, kinds), any_of(it.actor_id, ids)))
    if action:
        rows = rows.where(any_of(it.action, action))
    if resource_type:
        rows = rows.where(any_of(it.resource_type, [_kind(name) for name in resource_type]))
    if resource_id:
        rows = rows.where(it.resource_id == resource_id)
    if ip:
        rows = rows.where(it.ip == ip)
    if q:
        found = (column.icontains(q, autoescape=True) for column in (it.text, it.action, it.reason))
        rows = rows.where(or_(*found))
    found_page = page(reader, rows, _Row, listing, sorts=SORTS, key=it.position)
    items = entries(reader, found_page.items)
    return Page(items, found_page.next_cursor, found_page.total)


@get("/audit/resource/{resource_type:str}/{resource_id:uuid}/history", may="audit:read")
def history(
    resource_type: FromPath[str],
    resource_id: FromPath[UUID],
    reader: Reading,
    listing: Listing,
    compare: FromQuery[str | None] = None,
) -> ResourceHistory:
    """List a resource's versions with what each changed; `compare=v3..v7` sets two side by side."""
    kind = _kind(resource_type)
    rows = _rows(reader).where(it.resource_id == resource_id, it.resource_type == kind)
    asked = Paging(listing.limit, listing.cursor, listing.sort or "seq", listing.include_total)
    found = page(reader, rows, _Row, asked, sorts=SORTS, key=it.position)
    if not found.items:
        raise Missing(f"There is no such {kind.replace('_', ' ')}.")
    items = entries(reader, found.items)
    return ResourceHistory(
        AuditResource(kind, resource_id, items[-1].resource.label),
        items,
        found.next_cursor,
        found.total,
        _compared(reader, kind, resource_id, compare) if compare else None,
    )


def _aware(at: datetime, pointer: str) -> datetime:
    if at.tzinfo is None:
        raise BadInput("An instant must name its offset, such as Z.", pointer=pointer)
    return at


def _actor(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise BadInput("An actor is an id, system or anonymous.", pointer="?actor") from None


routes = [browse, history]
