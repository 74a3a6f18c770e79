"""Audit questions: which entries are asked for, and how they are found."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from ipaddress import ip_address
from typing import Annotated, Any
from uuid import UUID

from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import ColumnElement, Select, or_

from projections.audit import SORTS, AuditEntry, AuditRow, audit, entries, kind_of, rows_of
from projections.audit_changes import Change
from projections.audit_readings import put_on_record
from zeroinvoice.domain import EVENTS, KINDS
from zeroinvoice.domain.access_day import Question, View
from zeroinvoice.http.reading import RequestReader
from zeroinvoice.kernel.refusals import BadInput, Invalid
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import MOST, Page, Paging, page
from zeroinvoice.readside.reader import Reader
from zeroinvoice.readside.tables import any_of

MOST_SIFTED = 2_000  # entries looked at for one page of those that changed a field
NOBODY = ("system", "anonymous")  # actors without an id

it = audit.c
_PATH = re.compile(r"[A-Za-z0-9_*-]{1,64}(\.[A-Za-z0-9_*-]{1,64}){0,9}")


class AuditQuestion(Value):
    """Entries of a time, of actors, actions, resources, an address, a field or a text."""

    since: datetime | None = None
    until: datetime | None = None
    actors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    resource_types: tuple[str, ...] = ()
    resource_id: UUID | None = None
    ip: str | None = None
    path: str | None = None
    text: str | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """All that can be asked of rows; what a fact changed is not written there."""
        found: list[ColumnElement[bool]] = []
        if self.since:
            found.append(it.at >= self.since)
        if self.until:
            found.append(it.at < self.until)
        if self.actors:
            ids = [UUID(who) for who in self.actors if who not in NOBODY]
            kinds = [who for who in self.actors if who in NOBODY]
            found.append(or_(any_of(it.actor_kind, kinds), any_of(it.actor_id, ids)))
        if self.actions:
            found.append(any_of(it.action, self.actions))
        if self.resource_types:
            found.append(any_of(it.resource_type, self.resource_types))
        if self.resource_id:
            found.append(it.resource_id == self.resource_id)
        if self.ip:
            found.append(it.ip == self.ip)
        if self.text:
            columns = (it.text, it.action, it.reason)
            found.append(or_(*(c.icontains(self.text, autoescape=True) for c in columns)))
        return found

    def rows(self, reader: Reader) -> Select[Any]:
        return rows_of(reader).where(*self.conditions)

    def keeps(self, entry: AuditEntry) -> bool:
        """Whether an entry changed the field that is asked for, or anything below it."""
        if self.path is None:
            return True
        steps = self.path.split(".")
        return any(_is_below(change, steps) for change in entry.changes)

    def assert_of_rows(self, what: str) -> None:
        """Raises `Invalid` where a field is asked for: rows do not know what a fact changed."""
        if self.path is not None:
            raise Invalid(f"{what} cannot be asked for by field.", code="not_by_field")

    def put_on_record(self, reader: RequestReader, view: View) -> None:
        put_on_record(reader, view, self.recorded, (self.path, self.text))

    @property
    def recorded(self) -> Question:
        """What goes on record of it; a text may be anything, so only that there was one."""
        return Question(
            self.since,
            self.until,
            self.actors,
            self.actions,
            self.resource_types,
            self.resource_id,
            self.ip,
            by_field=self.path is not None,
            by_text=self.text is not None,
        )


def find(reader: Reader, asked: AuditQuestion, listing: Paging) -> Page[AuditEntry]:
    """One page of the entries that are asked for.

    Those of a field are sifted out of what is asked for besides: a page may then have fewer
    than its limit, or none, and go on.
    """
    rows = asked.rows(reader)
    if asked.path is None:
        found = page(reader, rows, AuditRow, listing, sorts=SORTS, key=it.position)
        return Page(entries(reader, found.items), found.next_cursor, found.total)
    if listing.include_total:
        asked.assert_of_rows("A total")
    kept: list[AuditEntry] = []
    cursor, sifted = listing.cursor, 0
    while True:
        part = listing.but(limit=MOST, cursor=cursor)
        found = page(reader, rows, AuditRow, part, sorts=SORTS, key=it.position)
        items = entries(reader, found.items)
        shown = [n for n, entry in enumerate(items) if asked.keeps(entry)]
        wanted = listing.limit - len(kept)
        kept += [items[n] for n in shown[:wanted]]
        if len(shown) > wanted:  # the page ends within this part, behind what it shows last
            ended = part.but(limit=shown[wanted - 1] + 1)
            found = page(reader, rows, AuditRow, ended, sorts=SORTS, key=it.position)
            return Page(kept, found.next_cursor)
        cursor, sifted = found.next_cursor, sifted + len(items)
        if cursor is None or len(kept) == listing.limit or sifted >= MOST_SIFTED:
            return Page(kept, cursor)


def _is_below(change: Change, steps: Sequence[str]) -> bool:
    path = change.path.split(".")
    return len(path) >= len(steps) and all(
        step in ("*", part) for step, part in zip(steps, path, strict=False)
    )


# What is asked in a query string

Since = Annotated[datetime | None, QueryParameter(name="from", description="recorded since")]
Until = Annotated[datetime | None, QueryParameter(name="to", description="recorded before")]
Actors = Annotated[
    list[str] | None,
    QueryParameter(description="ids of users or API keys, or `system` or `anonymous`"),
]
Path = Annotated[
    str | None,
    QueryParameter(
        max_length=200, description="a field that changed; `*` is any step: `content.lines.*.rate`"
    ),
]
Text = Annotated[
    str | None,
    QueryParameter(max_length=200, description="in what was recorded, the action or the reason"),
]


def asked(
    since: Since = None,
    until: Until = None,
    actor: Actors = None,
    action: FromQuery[list[str] | None] = None,
    resource_type: FromQuery[list[str] | None] = None,
    resource_id: FromQuery[UUID | None] = None,
    ip: FromQuery[str | None] = None,
    path: Path = None,
    q: Text = None,
) -> AuditQuestion:
    """The question of a query string. Raises `BadInput`, and `Invalid` for unknown names."""
    return AuditQuestion(
        _aware(since, "?from"),
        _aware(until, "?to"),
        tuple(_actor(who) for who in actor or ()),
        tuple(_action(name) for name in action or ()),
        tuple(kind_of(name) for name in resource_type or ()),
        resource_id,
        _address(ip) if ip else None,
        _field(path) if path else None,
        q or None,
    )


AskedOf = NamedDependency[AuditQuestion]
ASKED = {"asked": Provide(asked, sync_to_thread=False)}
"""Beside a route that takes `asked: AskedOf`."""


def _aware(at: datetime | None, pointer: str) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise BadInput("An instant must name its offset, such as Z.", pointer=pointer)
    return at


def _actor(text: str) -> str:
    try:
        return text if text in NOBODY else str(UUID(text))
    except ValueError:
        raise BadInput("An actor is an id, system or anonymous.", pointer="?actor") from None


def _action(name: str) -> str:
    known = sorted(event.__name__ for event in EVENTS)
    if name not in known:
        raise Invalid(f"There is no action {name!r}.", code="unknown_action", accepted=known)
    return name


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise BadInput("Give an address such as 203.0.113.7.", pointer="?ip") from None


def _field(path: str) -> str:
    if _PATH.fullmatch(path) is None:
        raise BadInput("Give a field such as content.notes.", pointer="?path")
    first = path.partition(".")[0]
    if first != "*" and first not in _fields():
        raise Invalid(f"Nothing has a field {first!r}.", code="unknown_field")
    return path


@cache
def _fields() -> frozenset[str]:
    """What the first step of a change's path can be."""
    kinds = (*KINDS.values(), *EVENTS)
    return frozenset(name for kind in kinds for name in kind.__struct_encode_fields__)
