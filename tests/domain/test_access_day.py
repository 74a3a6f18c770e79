"""Access days: one reading for what is asked again, and an end to what one can put on record."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from zeroinvoice.domain.access_day import (
    MOST_A_DAY,
    AccessDay,
    AuditLogExported,
    AuditLogRead,
    ComplianceReportSigned,
    Question,
    access_day_of,
    until_tomorrow,
)
from zeroinvoice.kernel.facts import Actor
from zeroinvoice.kernel.refusals import Throttled

TENANT, USER = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
ASKED = Question(actions=("InvoiceSent",))
READ = AuditLogRead("logs", ASKED, "mark")
EXPORTED = AuditLogExported("csv", Question(), 7)
ZONE = "Europe/Berlin"


def after(*events: tuple[AuditLogRead | AuditLogExported, datetime]) -> AccessDay:
    day = AccessDay()
    for event, at in events:
        day = day.told(event, at)
    return day


def test_what_is_asked_again_within_the_hour_is_one_reading() -> None:
    day = after((READ, NOON))
    assert list(AccessDay().read("logs", ASKED, "mark", NOON, ZONE)) == [READ]
    assert list(day.read("logs", ASKED, "mark", NOON + timedelta(minutes=60), ZONE)) == []
    later = NOON + timedelta(minutes=61)
    assert list(day.read("logs", ASKED, "mark", later, ZONE)) == [READ]
    other = READ.but(mark="other")
    assert list(day.read("logs", ASKED, "other", NOON, ZONE)) == [other]


def test_reading_on_does_not_make_the_hour_longer() -> None:
    """Who reads for a day long is on record every hour of it."""
    day, recorded = AccessDay(), 0
    for minute in range(0, 600, 10):
        now = NOON + timedelta(minutes=minute)
        for event in day.read("logs", ASKED, "mark", now, ZONE):
            day, recorded = day.told(event, now), recorded + 1
    assert recorded == 9


def test_marks_are_forgotten_after_an_hour() -> None:
    """So the state of a day stays small."""
    day = after((READ, NOON), (READ.but(mark="other"), NOON + timedelta(hours=2)))
    assert set(day.marks) == {"other"}
    assert day.count == 2


def test_every_export_and_every_report_is_on_record() -> None:
    day = after((EXPORTED, NOON))
    assert list(day.export("csv", Question(), 7, NOON, ZONE)) == [EXPORTED]
    days = (date(2026, 3, 1), date(2026, 3, 31))
    signed = ComplianceReportSigned(*days, 7, "00")
    assert list(day.sign_report(days, 7, "00", NOON, ZONE)) == [signed]
    assert day.told(signed, NOON).count == 2


def test_nobody_can_blow_the_log_up_by_reading_it() -> None:
    """One more question waits for tomorrow; going on with one that is on record does not."""
    day = AccessDay(version=MOST_A_DAY - 1, count=MOST_A_DAY - 1)
    assert list(day.read("logs", ASKED, "mark", NOON, ZONE)) == [READ]
    full = day.told(READ, NOON)
    assert list(full.read("logs", ASKED, "mark", NOON, ZONE)) == []
    with pytest.raises(Throttled) as refused:
        list(full.read("logs", ASKED, "another", NOON, ZONE))
    assert refused.value.retry_after == 10 * 3600  # from 14 o'clock there
    with pytest.raises(Throttled):
        list(full.export("csv", Question(), 7, NOON, ZONE))
    with pytest.raises(Throttled):
        list(full.sign_report((date(2026, 3, 1), date(2026, 3, 2)), 7, "00", NOON, ZONE))


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        (datetime(2026, 3, 28, 23, tzinfo=UTC), 23 * 3600),  # a day of 23 hours in Berlin
        (datetime(2026, 10, 24, 22, tzinfo=UTC), 25 * 3600),
        (datetime(2026, 1, 1, 22, 59, 59, 900_000, tzinfo=UTC), 1),
    ],
)
def test_tomorrow_begins_when_it_does_there(at: datetime, seconds: int) -> None:
    assert until_tomorrow(at, ZONE) == seconds


def test_an_actor_has_one_stream_a_day() -> None:
    user, key = Actor("user", USER), Actor("api_key", USER)
    day = date(2026, 3, 31)
    streams = {
        access_day_of(TENANT, user, day),
        access_day_of(TENANT, user, day + timedelta(days=1)),
        access_day_of(TENANT, key, day),
        access_day_of(UUID(int=3), user, day),
    }
    assert len(streams) == 4
    assert access_day_of(TENANT, user, day) in streams
