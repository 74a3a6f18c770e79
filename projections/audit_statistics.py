"""Audit statistics: entries counted by day, actor, action, resource and address."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Date, Text, and_, cast, extract, func, not_

from projections.audit import AuditActor, actors, audit
from projections.audit_question import ASKED, AskedOf, AuditQuestion
from zeroinvoice.domain.session import RefreshReuseDetected
from zeroinvoice.domain.two_factor import TwoFactorCodeRefused
from zeroinvoice.domain.user import LoginFailed
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.refusals import BadInput, Invalid
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

LASTS = timedelta(days=30)  # the period unless one is asked for
LONGEST = timedelta(days=366)
MOST_ACTORS = 500
MOST_ADDRESSES = 10
OPENS, CLOSES = 7, 19  # hours between which, from Monday to Friday, people are at work
FAILED_LOGINS = (LoginFailed.__name__, TwoFactorCodeRefused.__name__)
FAILURES = (*FAILED_LOGINS, RefreshReuseDetected.__name__)

it = audit.c

# Views


class Count(Value):
    key: str
    count: int


class ActorCount(Value):
    actor: AuditActor
    count: int


class Failures(Value):
    """What went on record of those who were not let in: wrong passwords, codes and old tokens."""

    total: int
    actions: list[Count]
    addresses: list[Count]  # the most frequent


class AuditStatistics(Value, kw_only=True):
    """Entries of a period, counted. Days and hours are those of the workspace's zone.

    Off hours are all but those from 7 to 19 o'clock on Mondays to Fridays; no holidays are known.
    """

    since: datetime = msgspec.field(name="from")
    until: datetime = msgspec.field(name="to")
    time_zone: str
    total: int
    days: list[Count]  # with entries
    actors: list[ActorCount]  # the most frequent, 500 at most
    actions: list[Count]
    resources: list[Count]  # by type
    failures: Failures
    addresses: list[Count]  # the ten most frequent
    off_hours: int


# Queries


def counted(
    reader: Reader, asked: AuditQuestion, *keys: ColumnElement[Any], most: int | None = None
) -> list[tuple[Any, ...]]:
    """How many entries have each value of the keys, the most frequent first."""
    labelled = [key.label(f"zi_key{n}") for n, key in enumerate(keys)]
    names = [key.name for key in labelled]
    count = func.count().label("zi_count")
    rows = reader.mine(audit, *labelled, count).where(*asked.conditions).where(*_until(reader))
    grouped = rows.group_by(*names).order_by(count.desc(), *names)
    return reader.rows(grouped if most is None else grouped.limit(most))


def counts(
    reader: Reader, asked: AuditQuestion, key: ColumnElement[Any], most: int | None = None
) -> list[Count]:
    rows = counted(reader, asked, key, most=most)
    return [Count(str(value), count) for value, count in rows if value is not None]


def failures(reader: Reader, asked: AuditQuestion, names: tuple[str, ...] = FAILURES) -> Failures:
    """Of the actions that are asked for, those that say that somebody was not let in."""
    wanted = [name for name in names if name in (asked.actions or names)]
    if not wanted:
        return Failures(0, [], [])
    failed = asked.but(actions=tuple(wanted))
    actions = counts(reader, failed, it.action)
    addresses = counts(reader, failed, it.ip, MOST_ADDRESSES)
    return Failures(sum(one.count for one in actions), actions, addresses)


def _until(reader: Reader) -> list[ColumnElement[bool]]:
    return [] if reader.as_of is None else [it.at <= reader.as_of]


def _off_hours(local: ColumnElement[Any]) -> ColumnElement[bool]:
    hour, day = extract("hour", local), extract("isodow", local)
    return not_(and_(hour >= OPENS, hour < CLOSES, day <= 5))


# Routes


@get("/audit/statistics", may="audit:read", dependencies=ASKED)
def statistics(reader: Reading, asked: AskedOf) -> AuditStatistics:
    """Count entries by day, actor, action, resource and address.

    Of the last 30 days, unless `from` and `to` name a period of at most 366. Off hours are all
    but 7 to 19 o'clock on Mondays to Fridays in the workspace's zone; no holidays are known.
    """
    asked.assert_of_rows("Statistics")
    within, period = bounded(asked, reader.as_of or reader.now)
    zone = reader.workspace.settings.time_zone
    local: ColumnElement[Any] = func.timezone(zone, it.at)
    days = counts(reader, within, cast(local, Date))
    acted = counted(reader, within, it.actor_kind, it.actor_id, most=MOST_ACTORS)
    who = actors(reader, [(kind, id) for kind, id, _ in acted])
    off = dict(counted(reader, within, cast(_off_hours(local), Text)))
    found = AuditStatistics(
        since=period[0],
        until=period[1],
        time_zone=zone,
        total=sum(one.count for one in days),
        days=sorted(days, key=lambda one: one.key),
        actors=[ActorCount(who[kind, id], count) for kind, id, count in acted],
        actions=counts(reader, within, it.action),
        resources=counts(reader, within, it.resource_type),
        failures=failures(reader, within),
        addresses=counts(reader, within, it.ip, MOST_ADDRESSES),
        off_hours=off.get("true", 0),
    )
    asked.put_on_record(reader, "statistics")
    return found


def bounded(asked: AuditQuestion, now: datetime) -> tuple[AuditQuestion, tuple[datetime, datetime]]:
    """The question within a period that ends. Raises `BadInput`, `Invalid` if it is too long."""
    until = asked.until or now
    try:
        since = asked.since or until - LASTS
    except OverflowError:
        raise BadInput("There is no such time.", pointer="?to") from None
    if since > until:
        raise BadInput("The period ends before it begins.", pointer="?from")
    if until - since > LONGEST:
        raise Invalid(f"Ask for {LONGEST.days} days at most.", code="period_too_long")
    return asked.but(since=since, until=until), (since, until)


routes = [statistics]
