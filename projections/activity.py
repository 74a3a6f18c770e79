"""Activity: the feed of what happened, one row a piece of news, in the order of the journal."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from anyio import to_thread
from litestar.params import FromQuery, HeaderParameter, QueryParameter
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Integer,
    Numeric,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from projections.activity_facts import VERBS, News, Thing, learned, news
from projections.activity_view import ActivityView, Row, views
from projections.activity_wording import accepted, spoken
from projections.owners import belongs, follow, owners
from zeroinvoice.domain.activity import (
    ActivityMarker,
    ActivityTracked,
    TrackedErased,
    Tracking,
    marker_of,
)
from zeroinvoice.domain.principal import Principal
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.http.paging import Limit
from zeroinvoice.http.parts import Sharing
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.facts import HOUSE, Fact
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import LIMIT
from zeroinvoice.readside.projector import Projector
from zeroinvoice.readside.rows import Rows
from zeroinvoice.readside.tables import Column, Index, any_of, read_table

TOGETHER = timedelta(hours=1)  # between repetitions that are one item
MOST_UNREAD = 1_000  # that are counted; more are not told apart
FURTHEST = 2**62  # a position that no journal reaches
KINDS = sorted({verb.subject for verb in VERBS.values()})

# Tables

activity = read_table(
    "activity",
    "activity",
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Uuid, nullable=False),
    Column("verb", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("client_id", Uuid),
    Column("project_id", Uuid),
    Column("number", Text),
    Column("invoice_number", Text),
    Column("invoice_id", Uuid),
    Column("currency", Text),
    Column("amount", Numeric),
    Column("effective_on", Date),
    Column("detail", Text),
    Column("repeats", Integer, nullable=False, default=1),
    Column("first_position", BigInteger, nullable=False),
    Column("repeated", Boolean, nullable=False, default=False),  # a later one stands for it
    Column("told_source", Text),
    Column("told_note", Text),
    Column("told_at", DateTime(timezone=True)),
    key=Column("position", BigInteger, primary_key=True),
)
it = activity.c
Index("activity_by_position", it.tenant_id, it.position)
Index("activity_by_client", it.tenant_id, it.client_id, it.position)
Index("activity_by_actor", it.tenant_id, it.actor_id, it.position)
Index("activity_by_project", it.tenant_id, it.project_id, it.position)

mentions = read_table(
    "activity",
    "mentions",
    Column("position", BigInteger, nullable=False),
    Column("invoice_id", Uuid, nullable=False),
    key=Column("place", Text, primary_key=True),  # position and invoice
)
Index("mentions_by_invoice", mentions.c.tenant_id, mentions.c.invoice_id, mentions.c.position)

things = read_table(
    "activity",
    "things",
    Column("client_id", Uuid),
    Column("project_id", Uuid),
    Column("number", Text),
    Column("currency", Text),
    Column("amount", Numeric),
    Column("invoice_ids", ARRAY(Uuid), nullable=False, default=[]),
    Column("invoice_number", Text),
    Column("entries", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)
latest = read_table(
    "activity",
    "latest",
    Column("position", BigInteger, nullable=False),
    key=Column("place", Text, primary_key=True),  # verb, subject and actor
)
clients = owners("activity")

# Fold


def project(rows: Rows, about: Rows, known: Rows, recent: Rows, owning: Rows, fact: Fact) -> None:
    if fact.tenant == HOUSE:
        return
    follow(owning, fact)

    def thing(id: UUID) -> Thing | None:
        row = known.get(id)
        if row is None:
            return None
        fields = {name: row[name] for name in Thing.__struct_fields__}
        return Thing(**{**fields, "invoice_ids": tuple(row["invoice_ids"])})

    if (more := learned(fact, thing)) is not None:
        id, made = more
        fields = {name: getattr(made, name) for name in Thing.__struct_fields__}
        known.add(id, **{**fields, "invoice_ids": list(made.invoice_ids)})
    match fact.event:
        case ActivityTracked() as told:
            first = thing(told.object_id)
            assert first is not None, "only what is there can be told of"
            heard = {"told_source": told.source, "told_note": told.note, "told_at": fact.at}
            rows.set(first.position, **heard)
        case TrackedErased(object_id=id):
            first = thing(id)
            assert first is not None, "it was told of before"
            rows.erase(first.position, "told_note")
        case _:
            if (found := news(fact, thing)) is not None:
                _add(rows, about, recent, fact, found)


def _add(rows: Rows, about: Rows, recent: Rows, fact: Fact, found: News) -> None:
    verb, by, position = VERBS[found.verb], fact.origin.by, fact.position
    repeats, first = 1, position
    if verb.groups:
        place = f"{found.verb} {found.subject_id} {by.id}"
        before = recent.get(place)
        last = rows.get(before["position"]) if before else None
        if last is not None and fact.at - last["at"] < TOGETHER:
            repeats, first = last["repeats"] + 1, last["first_position"]
            rows.set(last["position"], repeated=True)
        recent.add(place, position=position)
    for invoice_id in found.invoice_ids:
        about.add(f"{position} {invoice_id}", position=position, invoice_id=invoice_id)
    rows.add(
        position,
        at=fact.at,
        actor_kind=by.kind,
        actor_id=by.id,
        verb=found.verb,
        subject_kind=verb.subject,
        subject_id=found.subject_id,
        client_id=found.client_id,
        project_id=found.project_id,
        number=found.number,
        invoice_number=found.invoice_number,
        invoice_id=found.invoice_ids[0] if len(found.invoice_ids) == 1 else None,
        currency=found.currency,
        amount=found.amount,
        effective_on=found.effective_on,
        detail=found.detail,
        repeats=repeats,
        first_position=first,
    )


projector = Projector("activity", 1, (activity, mentions, things, latest, clients), project)

# Views


class ActivityFeed(Value, kw_only=True):
    """A part of the feed, newest first; with `after`, oldest first."""

    items: list[ActivityView]
    language: str  # of the texts
    next_before: int | None  # asks for what is older; null at the beginning
    next_after: int  # asks for what is newer, now or later
    read_up_to: int | None  # a position; null for an API key, which reads nothing
    unread: int | None  # by others, after it; at most 1000 are counted


class StreamStats(Value, kw_only=True):
    """The live connections of the workspace, at the process that answers."""

    connections: int
    yours: int
    users: int  # who are connected
    messages_sent: int
    messages_dropped: int
    oldest_connection_at: datetime | None
    lag: int | None  # facts by which the feed is behind; null while it is being built
    uptime_seconds: int


# Queries


def _rows(reader: RequestReader) -> Select[Any]:
    """The tenant's activities as `Row`s, but for those that a later repetition stands for."""
    owner = and_(clients.c.id == it.client_id, clients.c.tenant_id == it.tenant_id)
    columns = [
        func.coalesce(clients.c.owner_id, it.client_id) if name == "client_id" else it[name]
        for name in Row.__struct_fields__
    ]
    return reader.mine(activity, *columns).outerjoin(clients, owner).where(~it.repeated)


def _mentioning(tenant: UUID, invoice_id: UUID) -> ColumnElement[bool]:
    """Whether an activity is about an invoice, as its subject or beside others."""
    found = select(mentions.c.position).where(
        mentions.c.tenant_id == tenant, mentions.c.invoice_id == invoice_id
    )
    return it.position == any_(func.array(found.scalar_subquery(), type_=ARRAY(BigInteger)))


class Wanted(Value, kw_only=True):
    """Which part of the feed is asked for."""

    after: int | None
    before: int | None
    client_id: UUID | None
    invoice_id: UUID | None
    project_id: UUID | None
    user_id: UUID | None
    kind: list[str] | None

    def conditions(self, tenant: UUID) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.after is not None:
            found.append(it.position > self.after)
        if self.before is not None:
            found.append(it.position < self.before)
        if self.client_id:
            found.append(belongs(it.client_id, clients, tenant, self.client_id))
        if self.invoice_id:
            found.append(_mentioning(tenant, self.invoice_id))
        if self.project_id:
            found.append(it.project_id == self.project_id)
        if self.user_id:
            found.append(it.actor_id == self.user_id)
        if self.kind:
            found.append(any_of(it.subject_kind, [_kind(name) for name in self.kind]))
        return found

    def found(self, reader: RequestReader, limit: int) -> list[Row]:
        """The next rows in the direction that is asked for, and one more if there is one."""
        order = it.position.desc() if self.after is None else it.position.asc()
        rows = _rows(reader).where(*self.conditions(reader.tenant))
        return reader.views(rows.order_by(order).limit(limit + 1), Row)


def _kind(name: str) -> str:
    if name not in KINDS:
        raise Invalid(f"The feed knows no {name!r}.", code="unknown_resource_type", accepted=KINDS)
    return name


def _unread(reader: RequestReader, user: UUID, since: int) -> int:
    mine = reader.mine(activity, it.position).where(
        ~it.repeated, it.position > since, it.actor_id != user
    )
    counted = mine.limit(MOST_UNREAD).subquery()
    return int(reader.scalar(select(func.count()).select_from(counted)) or 0)


def language_of(reader: RequestReader, lang: str | None, header: str | None) -> str:
    """The language to answer in: as asked, as the browser prefers, as the workspace's own."""
    return spoken(lang, *accepted(header), reader.workspace.settings.language)


def first_activity(
    reader: RequestReader, tracking: Tracking, object_id: UUID, client_id: UUID, language: str
) -> ActivityView:
    """What the feed shows of a record's beginning, told from its own first fact."""
    (fact,) = reader.histories([(object_id, 1, 1)])[object_id]
    found = learned(fact, lambda _: None)
    assert found is not None, "a record's first fact says what it is"
    told = news(fact, lambda _: found[1])
    assert told is not None, "that a record is there is news"
    row = Row(
        position=fact.position,
        at=fact.at,
        actor_kind=fact.origin.by.kind,
        actor_id=fact.origin.by.id,
        verb=told.verb,
        subject_id=told.subject_id,
        client_id=client_id,
        number=told.number,
        invoice_number=told.invoice_number,
        invoice_id=told.invoice_ids[0] if len(told.invoice_ids) == 1 else None,
        currency=told.currency,
        amount=told.amount,
        effective_on=told.effective_on,
        detail=told.detail,
        repeats=1,
        first_position=fact.position,
        told_source=tracking.heard.source if tracking.heard else None,
        told_note=tracking.heard.note if tracking.heard else None,
        told_at=tracking.created_at,
    )
    (view,) = views(reader, [row], reader.workspace.settings.time_zone, language)
    return view


def assert_position(reader: RequestReader, position: int) -> None:
    """Raises `Invalid` `unknown_position` for one at which the workspace has no fact."""
    if not reader.links([position]):
        raise Invalid(f"There is nothing at position {position}.", code="unknown_position")


# Routes

Place = Annotated[int | None, QueryParameter(ge=0, le=FURTHEST, description="a position")]
Lang = Annotated[str | None, QueryParameter(max_length=35, description="of the texts: en, de")]
AcceptLanguage = Annotated[str | None, HeaderParameter(name="Accept-Language")]


@get("/activity", may="activity:read", as_of="never")
def browse(
    reader: Reading,
    limit: Limit = LIMIT,
    after: Place = None,
    before: Place = None,
    client_id: FromQuery[UUID | None] = None,
    invoice_id: FromQuery[UUID | None] = None,
    project_id: FromQuery[UUID | None] = None,
    user_id: FromQuery[UUID | None] = None,
    kind: Annotated[list[str] | None, QueryParameter(name="type")] = None,
    lang: Lang = None,
    accept_language: AcceptLanguage = None,
) -> ActivityFeed:
    """List what happened in the workspace, newest first; with `after`, oldest first.

    `after` and `before` are positions, which never change; `type` is the kind of thing.
    """
    wanted = Wanted(
        after=after,
        before=before,
        client_id=client_id,
        invoice_id=invoice_id,
        project_id=project_id,
        user_id=user_id,
        kind=kind,
    )
    found = wanted.found(reader, limit)
    return _feed(reader, found, limit, after, language_of(reader, lang, accept_language))


def _feed(
    reader: RequestReader, found: list[Row], limit: int, after: int | None, language: str
) -> ActivityFeed:
    shown, more = found[:limit], len(found) > limit
    positions = [row.position for row in shown]
    read = unread = None
    if isinstance(reader.principal, Principal):
        user = reader.principal.user
        read = reader.find(ActivityMarker, marker_of(reader.tenant, user)).position
        unread = _unread(reader, user, read)
    older = more if after is None else bool(positions)
    return ActivityFeed(
        items=views(reader, shown, reader.workspace.settings.time_zone, language),
        language=language,
        next_before=min(positions) if older else None,
        next_after=max(positions, default=after or 0),
        read_up_to=read,
        unread=unread,
    )


@get("/activity/ws-stats", may="activity:read", as_of="never")
async def ws_stats(reader: Reading, parts: Sharing) -> StreamStats:
    """Count the live connections of the workspace at the process that answers."""
    user = await to_thread.run_sync(_whose, reader)
    standing, checks = parts.connections.of(reader.tenant), await parts.pulse.checks()
    feed = checks.projections.get(projector.name)
    return StreamStats(
        connections=standing.connections,
        yours=standing.by_user.get(user, 0) if user else 0,
        users=len(standing.by_user),
        messages_sent=standing.sent,
        messages_dropped=standing.dropped,
        oldest_connection_at=standing.oldest,
        lag=feed.lag if feed else None,
        uptime_seconds=int(parts.connections.up_for.total_seconds()),
    )


def _whose(reader: RequestReader) -> UUID | None:
    """The person who asks, once they are let in; none for an API key."""
    reader.find(Workspace, reader.tenant)
    return reader.principal.user if isinstance(reader.principal, Principal) else None


routes = [browse, ws_stats]
