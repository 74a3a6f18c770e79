"""The compliance report: what an auditor asks of a period, checked anew, signed and on record."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import FromQuery, QueryParameter

from projections.audit import AuditActor, actors, audit
from projections.audit_question import AuditQuestion
from projections.audit_statistics import (
    FAILED_LOGINS,
    LONGEST,
    Count,
    Failures,
    counted,
    counts,
    failures,
)
from projections.compliance_checks import Anchors, ChainChecked, Checked, SeriesChecked, checked
from zeroinvoice.domain import EVENTS
from zeroinvoice.domain.bank_accounts import BankAccountRemoved
from zeroinvoice.domain.membership import Member
from zeroinvoice.domain.roles import Role
from zeroinvoice.domain.two_factor import TwoFactor, two_factor_of
from zeroinvoice.domain.user import User
from zeroinvoice.http.parts import Sharing
from zeroinvoice.http.reading import Reading, RequestReader, check_day
from zeroinvoice.http.routes import get
from zeroinvoice.journal.heads import Signer, is_signed
from zeroinvoice.kernel.clock import zone
from zeroinvoice.kernel.facts import Erasure
from zeroinvoice.kernel.refusals import BadInput, Invalid, Unavailable
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

FORMAT = "zeroinvoice-compliance-1"
LASTS = timedelta(days=30)  # the period unless one is asked for, today included
STOPPED = "SELECT name FROM checkpoints WHERE error IS NOT NULL ORDER BY name"
# A bank account that is removed takes the key of its number with it; a client, all of theirs.
ERASURES = (
    BankAccountRemoved.__name__,
    *(event.__name__ for event in EVENTS if issubclass(event, Erasure)),
)

it = audit.c
_at_work = threading.Lock()

# Views


class Period(Value):
    first_on: date
    last_on: date
    time_zone: str


class Access(Value):
    """What somebody did to bank accounts. No route shows a number in full, so none was read."""

    actor: AuditActor
    action: str
    count: int


class Uncovered(Value):
    id: UUID
    name: str | None
    role: Role


class SecondFactors(Value):
    """Which members have a second factor now."""

    members: int
    covered: int
    uncovered: list[Uncovered]


class OpenException(Value):
    """Something that an auditor should ask about."""

    code: str
    detail: str


class ComplianceReport(Value, kw_only=True):
    """The chain and the numbers are those of the whole journal; what is counted, of the period."""

    format: str = FORMAT
    workspace: UUID
    workspace_name: str
    made_at: datetime
    seq: int  # of the last fact it answers for
    period: Period
    chain: ChainChecked
    sequences: list[SeriesChecked]
    bank_data: list[Access]
    second_factors: SecondFactors
    erasures: list[Count]
    failed_logins: Failures
    accesses: list[Count]  # to the audit log, by action
    exceptions: list[OpenException]

    def text(self) -> bytes:
        """The bytes that are signed: canonical JSON (RFC 8785), names sorted and no spaces."""
        return msgspec.json.encode(self, order="sorted")


class SignedReport(Value):
    """A report and its signature, which anybody can check offline with the public key."""

    report: ComplianceReport
    key: str  # the public key (Ed25519, RFC 8032), in hexadecimal
    signature: str

    @property
    def holds(self) -> bool:
        return is_signed(self.report.text(), self.key, self.signature)


# Queries


def _period(reader: RequestReader, first: date | None, last: date | None) -> Period:
    """The days that are asked for. Raises `BadInput`, and `Invalid` where they are too many."""
    zone_name = reader.workspace.settings.time_zone
    last_on = last or reader.today(zone_name)
    check_day(last_on, "?to")
    first_on = first or last_on - LASTS + timedelta(days=1)
    check_day(first_on, "?from")
    if first_on > last_on:
        raise BadInput(f"{first_on} is after {last_on}.", pointer="?from")
    if last_on - first_on >= LONGEST:
        raise Invalid(f"Ask for {LONGEST.days} days at most.", code="period_too_long")
    return Period(first_on, last_on, zone_name)


def _within(period: Period) -> AuditQuestion:
    def begins(day: date) -> datetime:
        return datetime.combine(day, time.min, tzinfo=zone(period.time_zone))

    tomorrow = period.last_on + timedelta(days=1)
    return AuditQuestion(begins(period.first_on), begins(tomorrow))


def _bank_data(reader: Reader, within: AuditQuestion) -> list[Access]:
    asked = within.but(resource_types=("bank_accounts",))
    rows = counted(reader, asked, it.actor_kind, it.actor_id, it.action)
    who = actors(reader, [row[:2] for row in rows])
    return [Access(who[kind, id], action, count) for kind, id, action, count in rows]


def _second_factors(reader: Reader, members: Mapping[UUID, Member]) -> SecondFactors:
    factors = {id: two_factor_of(reader.tenant, id) for id in members}
    reader.states([(User, id) for id in members])
    reader.states([(TwoFactor, id) for id in factors.values()])
    uncovered = [
        Uncovered(id, reader.find(User, id).full_name or None, member.role)
        for id, member in members.items()
        if not reader.find(TwoFactor, factors[id]).on
    ]
    return SecondFactors(len(members), len(members) - len(uncovered), uncovered)


def _exceptions(reader: Reader, found: Checked) -> list[OpenException]:
    open_now = []
    if not found.chain.verified:
        open_now.append(OpenException("chain_broken", found.chain.why or ""))
    open_now += [OpenException("bad_signed_head", why) for why in found.chain.bad_anchors]
    for series in found.sequences:
        where = f"series {series.series}"
        if not series.verified:
            positions = ", ".join(map(str, series.wrong))
            open_now.append(OpenException("number_out_of_order", f"{where}, facts {positions}"))
        open_now += [
            OpenException("number_gap", f"{where} {bucket.bucket}: {gap.first} to {gap.last}")
            for bucket in series.buckets
            for gap in bucket.gaps
        ]
    with reader.books.connection() as connection:
        stopped = connection.execute(STOPPED).fetchall()
    return open_now + [OpenException("read_model_stopped", name) for (name,) in stopped]


@contextmanager
def _alone() -> Iterator[None]:
    """One report at a time in a process: it reads a whole journal. Raises `Unavailable`."""
    if not _at_work.acquire(blocking=False):
        raise Unavailable(
            "Another report is being made; ask again in a moment.",
            code="report_in_progress",
            retry_after=5,
        )
    try:
        yield
    finally:
        _at_work.release()


def _made(reader: RequestReader, period: Period, signer: Signer, anchors: Anchors) -> SignedReport:
    found = checked(reader, anchors, signer)
    # What is counted must hold all that was checked; a read has its time, and that is used up.
    position = found.chain.last_seq or 0
    counting, within = reader.anew(position), _within(period)
    report = ComplianceReport(
        workspace=reader.tenant,
        workspace_name=reader.workspace.settings.name,
        made_at=reader.now,
        seq=position,
        period=period,
        chain=found.chain,
        sequences=found.sequences,
        bank_data=_bank_data(counting, within),
        second_factors=_second_factors(counting, reader.workspace.membership.members),
        erasures=counts(counting, within.but(actions=ERASURES), it.action),
        failed_logins=failures(counting, within, FAILED_LOGINS),
        accesses=counts(counting, within.but(resource_types=("access_day",)), it.action),
        exceptions=_exceptions(counting, found),
    )
    return SignedReport(report, signer.public, signer.signature(report.text()))


# Routes

From = Annotated[date | None, QueryParameter(name="from", description="first day")]
To = Annotated[date | None, QueryParameter(name="to", description="last day")]


@get("/audit/compliance-report", may="audit:read", as_of="never")
def report(
    reader: Reading,
    parts: Sharing,
    first: From = None,
    last: To = None,
    format: FromQuery[str] = "json",
) -> SignedReport:
    """Report on a period, verifying the whole chain and all numbers; signed, and on record.

    Of the last 30 days, unless `from` and `to` name a period of at most 366. The signature is
    over the canonical JSON of `report` (RFC 8785), by the key that signs heads of the journal.
    """
    period, signer = _asked(reader, first, last, format), Signer(parts.keyring)
    with _alone():
        anchors = Anchors.of(parts.settings.heads_dir, reader.tenant, signer)
        made = _made(reader, period, signer, anchors)
    days, upto = (period.first_on, period.last_on), made.report.seq
    reader.on_record(
        lambda day, desk, zone: day.sign_report(days, upto, made.signature, desk.now, zone)
    )
    return made


def _asked(reader: RequestReader, first: date | None, last: date | None, format: str) -> Period:
    if format != "json":
        raise Invalid("A report comes as JSON only.", code="unknown_format", accepted=["json"])
    return _period(reader, first, last)


routes = [report]
