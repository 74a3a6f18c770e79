"""Access days: what somebody looked at of the workspace's own records on one day."""

from datetime import date, datetime, time, timedelta
from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.clock import local_day, zone
from zeroinvoice.kernel.facts import Actor, Event, Events, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.refusals import Throttled
from zeroinvoice.kernel.value import Value

View = Literal["logs", "search", "resource_history", "user_activity", "my_activity", "statistics"]
ExportForm = Literal["csv", "jsonl"]

ONE_READING = timedelta(hours=1)  # within which the same question is asked once, page by page
MOST_A_DAY = 1_000  # accesses on record of one actor; whoever asks for more waits for tomorrow


class Question(Value, omit_defaults=True):
    """What entries had to be like to be shown. Of a text only that there was one: it may be any."""

    since: datetime | None = None
    until: datetime | None = None
    actors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    resource_types: tuple[str, ...] = ()
    resource_id: UUID | None = None
    ip: str | None = None
    by_field: bool = False
    by_text: bool = False


# Events


class AuditLogRead(Event):
    """Entries were shown. The pages of one list, and what is asked again soon, are one reading."""

    view: View
    question: Question
    mark: str  # tells the same question from the same place again; nothing can be read from it


class AuditLogExported(Event):
    """Entries were handed out as a file."""

    form: ExportForm
    question: Question
    upto: int  # the position of the workspace's last fact in it


class ComplianceReportSigned(Event):
    """A report over a period was made, signed and handed out."""

    first_on: date
    last_on: date
    upto: int  # the position of the workspace's last fact that it answers for
    signature: str  # so that a copy can be told to be this one


AccessEvent = AuditLogRead | AuditLogExported | ComplianceReportSigned

# State


class AccessDay(State[AccessEvent]):
    """One actor's accesses on one day of the workspace; its id is made of both."""

    count: int = 0
    marks: dict[str, datetime] = {}  # of lately read questions, and when they were first asked

    def evolve(self, event: AccessEvent) -> Self:
        match event:
            case AuditLogRead(mark=mark):
                return self.but(count=self.count + 1, marks=self._marked(mark))
            case AuditLogExported() | ComplianceReportSigned():
                return self.but(count=self.count + 1)
            case _:
                assert_never(event)

    def read(
        self, view: View, question: Question, mark: str, now: datetime, zone_name: str
    ) -> Events:
        """Put a reading on record, unless it goes on with one that is there."""
        asked_at = self.marks.get(mark)
        if asked_at is None or now - asked_at > ONE_READING:
            self._assert_not_too_many(now, zone_name)
            yield AuditLogRead(view, question, mark)

    def export(
        self, form: ExportForm, question: Question, upto: int, now: datetime, zone_name: str
    ) -> Events:
        self._assert_not_too_many(now, zone_name)
        yield AuditLogExported(form, question, upto)

    def sign_report(
        self,
        period: tuple[date, date],
        upto: int,
        signature: str,
        now: datetime,
        zone_name: str,
    ) -> Events:
        self._assert_not_too_many(now, zone_name)
        yield ComplianceReportSigned(*period, upto, signature)

    def _marked(self, mark: str) -> dict[str, datetime]:
        at = self.changed_at
        if at is None:
            return self.marks
        kept = {it: then for it, then in self.marks.items() if at - then <= ONE_READING}
        return {**kept, mark: at}

    def _assert_not_too_many(self, now: datetime, zone_name: str) -> None:
        """Raises `Throttled` until tomorrow: each access is kept for ever, so they are counted."""
        if self.count >= MOST_A_DAY:
            raise Throttled(
                f"You have asked {MOST_A_DAY} things of the audit log today, and each is put on "
                "record; go on tomorrow.",
                retry_after=until_tomorrow(now, zone_name),
            )


def access_day_of(tenant: UUID, actor: Actor, day: date) -> UUID:
    """The one stream of an actor's accesses on a day."""
    return named(tenant, "access-day", actor.kind, str(actor.id), day.isoformat())


def until_tomorrow(now: datetime, zone_name: str) -> int:
    """Seconds until the next day begins in a zone, at least one."""
    tomorrow = local_day(now, zone_name) + timedelta(days=1)
    begins = datetime.combine(tomorrow, time.min, tzinfo=zone(zone_name))
    return max(1, round((begins - now).total_seconds()))
