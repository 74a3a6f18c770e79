"""Credits: what a client has to their good, until it is applied to invoices or paid out."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.domain.credit_note import NoteLine, NoteTotals
from zeroinvoice.domain.taxes import TaxRow
from zeroinvoice.domain.way import Station, Way
from zeroinvoice.kernel.facts import NIL, Event, Events, Personal, State, erased
from zeroinvoice.kernel.money import ZERO, Money
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused
from zeroinvoice.kernel.value import Value

CreditType = Literal["credit_note", "goodwill", "prepayment", "overpayment"]
Reason = Literal[
    "duplicate", "product_unsatisfactory", "order_change", "fraud", "goodwill", "other"
]
RefundMethod = Literal["stripe", "bank", "cash", "other"]


class Status(StrEnum):
    ISSUED = "issued"
    PARTIALLY_APPLIED = "partially_applied"
    APPLIED = "applied"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    VOID = "void"


# Events


class CreditIssued(Personal, kw_only=True, omit_defaults=True):
    """A client was given a credit: a note on an invoice, a goodwill, or money they had paid."""

    client_id: UUID
    type: CreditType
    amount: Money  # what it is worth to the client
    issued_on: date
    reason: Reason = "other"
    note: str | None = None
    number: str | None = None  # a credit note's
    invoice_id: UUID | None = None  # that it corrects, or that was overpaid
    invoice_number: str | None = None
    payment_id: UUID | None = None  # that was more than the invoices had due
    expires_on: date | None = None  # the last day of a goodwill
    lines: tuple[NoteLine, ...] = ()  # of a credit note
    totals: NoteTotals | None = None
    taxes: tuple[TaxRow, ...] = ()  # within a prepayment
    since: int = 0  # the client's version at its latest merge that stood

    def redacted(self) -> Self:
        return self.but(note=erased(self.note))


class CreditApplied(Event):
    application_id: UUID
    invoice_id: UUID
    invoice_number: str
    amount: Decimal  # in the credit's currency
    applied_on: date


class CreditUnapplied(Event):
    """An application was taken back: the invoice is owed again, the credit is free again."""

    application_id: UUID


class CreditRefunded(Personal, kw_only=True, omit_defaults=True):
    """A part was paid out to the client."""

    refund_id: UUID
    amount: Decimal  # in the credit's currency
    method: RefundMethod
    refunded_on: date
    reference: str | None = None
    note: str | None = None
    payment_id: UUID | None = None  # that is paid back
    bank_account_id: UUID | None = None  # to which it went

    def redacted(self) -> Self:
        return self.but(reference=erased(self.reference), note=erased(self.note))


class CreditVoided(Personal):
    """It should never have been issued."""

    reason: str | None = None

    def redacted(self) -> Self:
        return self.but(reason=erased(self.reason))


class CreditReassigned(Event, omit_defaults=True):
    """What it settles belongs to another of the clients that are one; so does the credit."""

    client_id: UUID
    since: int  # that client's version at its latest merge that stood
    issued_to: UUID  # whose it is when it settles nothing, while these clients are one
    issued_since: int
    via: Way = ()  # between the two, from the former up to the latter


class CreditHolderErased(Event):
    """Whose credit it was is forgotten; what it was worth, and where it went, stays."""


CreditEvent = (
    CreditIssued
    | CreditApplied
    | CreditUnapplied
    | CreditRefunded
    | CreditVoided
    | CreditReassigned
    | CreditHolderErased
)

# State


class Application(Value):
    """What of a credit went to an invoice; once it is taken back, it is only history."""

    application_id: UUID
    invoice_id: UUID
    invoice_number: str
    amount: Decimal
    applied_on: date
    unapplied: bool = False
    unapplied_at: datetime | None = None


_BLANK = CreditIssued(
    client_id=NIL, type="goodwill", amount=Money(ZERO, "USD"), issued_on=date(1970, 1, 1)
)


class Credit(State[CreditEvent]):
    entry: CreditIssued = _BLANK  # with the client it belongs to now
    way: Way = ()  # from that client up to whose it is when it settles nothing
    applications: tuple[Application, ...] = ()
    refunds: tuple[CreditRefunded, ...] = ()
    voided: bool = False
    void_reason: str | None = None
    voided_at: datetime | None = None
    applied: Decimal = ZERO  # what settles invoices now
    refunded: Decimal = ZERO

    def subject(self, event: CreditEvent) -> UUID:
        return self.entry.client_id

    def evolve(self, event: CreditEvent) -> Self:
        match event:
            case CreditIssued():
                return self.but(entry=event, way=(Station(event.client_id, event.since),))
            case CreditApplied(amount=amount):
                part = Application(*(getattr(event, name) for name in event.__struct_fields__))
                return self.but(
                    applications=(*self.applications, part), applied=self.applied + amount
                )
            case CreditUnapplied(application_id=application_id):
                return self._unapplied(application_id)
            case CreditRefunded(amount=amount):
                return self.but(refunds=(*self.refunds, event), refunded=self.refunded + amount)
            case CreditVoided(reason=reason):
                return self.but(voided=True, void_reason=reason, voided_at=self.changed_at)
            case CreditReassigned(client_id=client_id):
                return self.but(entry=self.entry.but(client_id=client_id), way=_way(event))
            case CreditHolderErased():
                return self.but(
                    entry=self.entry.redacted(),
                    refunds=tuple(it.redacted() for it in self.refunds),
                    void_reason=erased(self.void_reason),
                )
            case _:
                assert_never(event)

    def _unapplied(self, application_id: UUID) -> Self:
        parts = tuple(
            it.but(unapplied=True, unapplied_at=self.changed_at)
            if it.application_id == application_id
            else it
            for it in self.applications
        )
        freed = sum((it.amount for it in parts if it.application_id == application_id), ZERO)
        return self.but(applications=parts, applied=self.applied - freed)

    @property
    def currency(self) -> str:
        return self.entry.amount.currency

    @property
    def remaining(self) -> Money:
        """What is neither applied nor paid out; nothing of a void credit."""
        if self.voided:
            return Money.zero(self.currency)
        return self.entry.amount - Money(self.applied + self.refunded, self.currency)

    @property
    def standing(self) -> tuple[Application, ...]:
        """The applications that were not taken back."""
        return tuple(it for it in self.applications if not it.unapplied)

    def expired(self, today: date) -> bool:
        """Whether its last day is over; on that day it can still be used."""
        return self.entry.expires_on is not None and self.entry.expires_on < today

    def status(self, today: date) -> Status:
        if self.voided:
            return Status.VOID
        if not self.remaining:
            return Status.REFUNDED if self.refunded else Status.APPLIED
        if self.expired(today):
            return Status.EXPIRED
        return Status.PARTIALLY_APPLIED if self.applied else Status.ISSUED

    # Decisions

    def issue(self, entry: CreditIssued) -> Events:
        assert self.version == 0, "a credit is issued once"
        assert entry.amount.amount > 0, "a credit is worth something"
        yield entry

    def apply(self, application: CreditApplied, today: date) -> Events:
        """Spend a part on an invoice. Raises `Invalid` `exceeds_remaining`."""
        self.assert_usable(today)
        first = min(self.entry.issued_on, today)  # today moves when the time zone is changed
        if not first <= application.applied_on <= today:
            raise Invalid(
                f"A credit of {self.entry.issued_on} is applied on a day from then to today.",
                code="applied_on_out_of_range",
                issued_on=str(self.entry.issued_on),
                today=str(today),
            )
        self._assert_left(application.amount)
        yield application

    def unapply(self, application_id: UUID) -> Events:
        """Take an application back; that it is taken back already is no error."""
        part = self.application(application_id)
        if not part.unapplied:
            yield CreditUnapplied(application_id)

    def refund(self, refund: CreditRefunded, today: date) -> Events:
        """Pay a part out. Raises `Invalid` `exceeds_remaining`."""
        self.assert_usable(today)
        self._assert_left(refund.amount)
        yield refund

    def void(self, reason: str | None) -> Events:
        """Take a credit back of which nothing is used."""
        if self.voided:
            return
        if self.applied or self.refunded:
            raise Refused(
                f"Of this credit {self.applied} is applied and {self.refunded} refunded; "
                "only an unused one is voided.",
                code="credit_spent",
                applied=str(self.applied),
                refunded=str(self.refunded),
                currency=self.currency,
            )
        yield CreditVoided(reason)

    def reassign(self, way: Way) -> Events:
        """Let it belong to another client that is one with its own: the first on this way."""
        first, last = way[0], way[-1]
        assert first.client_id != self.entry.client_id, "it goes somewhere else"
        yield CreditReassigned(first.client_id, first.since, last.client_id, last.since, way[1:-1])

    def erase(self) -> Events:
        """Forget whose it was."""
        if self.evolve(CreditHolderErased()) != self:
            yield CreditHolderErased()

    def application(self, application_id: UUID) -> Application:
        for it in self.applications:
            if it.application_id == application_id:
                return it
        raise Missing("There is no such application of this credit.")

    def assert_usable(self, today: date) -> None:
        """Raises `Refused` when nothing of it can be spent any more."""
        if self.voided:
            raise Refused("This credit is void.", code="credit_void")
        if not self.remaining:
            raise Refused("Nothing of this credit is left.", code="credit_used")
        if self.expired(today):
            raise Refused(
                f"This credit could be used until {self.entry.expires_on}.",
                code="credit_expired",
                expires_on=str(self.entry.expires_on),
            )

    def _assert_left(self, amount: Decimal) -> None:
        assert amount > 0, "what is spent lowers what is left"
        left = self.remaining
        if amount > left.amount:
            raise Invalid(
                f"Only {left} of this credit is left.",
                code="exceeds_remaining",
                remaining=left.text,
                currency=left.currency,
            )


def _way(event: CreditReassigned) -> Way:
    last = Station(event.issued_to, event.issued_since)
    if event.client_id == event.issued_to:
        return (last,)
    return (Station(event.client_id, event.since), *event.via, last)
