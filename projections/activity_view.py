"""An activity as one sees it: who did what to what, told in a sentence of the reader's language."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from projections.activity_facts import VERBS
from projections.activity_wording import day, money, sentence, word
from projections.audit_changes import label
from zeroinvoice.domain.api_key import ApiKey
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.contact_book import ContactBook, Person, contact_book_of
from zeroinvoice.domain.user import User
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.facts import ERASED, State
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.reader import Reader

ACTORS: dict[str, type[State[Any]]] = {"user": User, "api_key": ApiKey}


class Amount(Value):
    amount: Decimal
    currency: str  # ISO 4217


class ActivityActor(Value):
    type: str  # user, api_key, system, anonymous
    id: UUID | None
    name: str | None


class ActivityParty(Value):
    """What it happened to, or what that concerns."""

    type: str
    id: UUID
    label: str | None  # a number or a name; null where there is none any more


class Told(Value):
    """What another system told of the record; nothing but its word stands behind it."""

    source: str | None  # the other system
    note: str | None
    at: datetime
    marked: Literal["client"] = "client"  # whose word it is


class ActivityView(Value, kw_only=True):
    """Something that happened, in the words of the business."""

    id: int  # its position in the journal, which is also its place in the feed
    at: datetime  # recorded
    effective_on: date | None  # the day it counts, where it has one
    backdated: bool  # that day is an earlier one than that of the record
    icon: str
    verb: str
    importance: str
    actor: ActivityActor
    subject: ActivityParty
    object: ActivityParty | None
    amount: Amount | None
    count: int  # how often in a row it was done
    first_id: int  # the position of the first of them
    text: str  # in the language of the answer
    links: dict[str, str]
    told: Told | None  # by another system, too


class Row(Value):
    """An activity as it is kept: without names."""

    position: int
    at: datetime
    actor_kind: str
    actor_id: UUID
    verb: str
    subject_id: UUID
    client_id: UUID | None  # after merges
    number: str | None
    invoice_number: str | None
    invoice_id: UUID | None  # where it concerns just one
    currency: str | None
    amount: Decimal | None
    effective_on: date | None
    detail: str | None
    repeats: int
    first_position: int
    told_source: str | None
    told_note: str | None
    told_at: datetime | None

    @property
    def money(self) -> Money | None:
        if self.amount is None or self.currency is None:
            return None
        return Money(self.amount, self.currency).rounded()  # to have the currency's digits


class Names:
    """What those are called now whom some activities are about: read from their own streams.

    So a name is as it is today, and one that was erased or deleted is nowhere.
    """

    def __init__(self, reader: Reader, rows: Sequence[Row]) -> None:
        self._reader = reader
        if wanted := list(dict.fromkeys(_asked(reader, rows))):
            reader.states(wanted)

    def actor(self, row: Row) -> str | None:
        kind = ACTORS.get(row.actor_kind)
        return _shown(label(self._reader.find(kind, row.actor_id))) if kind else None

    def member(self, id: UUID) -> str | None:
        return _shown(self._reader.find(User, id).full_name)

    def client(self, id: UUID | None) -> str | None:
        if id is None:
            return None
        client = self._reader.find(Client, id)
        return None if client.deleted else _shown(client.profile.name)

    def contact(self, client_id: UUID | None, id: UUID) -> str | None:
        if self.client(client_id) is None or client_id is None:
            return None
        book = self._reader.find(ContactBook, contact_book_of(self._reader.tenant, client_id))
        found = (it.person for it in book.contacts if it.id == id)
        return next((_called(person) for person in found), None)


def _asked(reader: Reader, rows: Iterable[Row]) -> Iterable[tuple[type[State[Any]], UUID]]:
    """The streams in which the names stand."""
    for row in rows:
        subject = VERBS[row.verb].subject
        if row.actor_kind in ACTORS:
            yield ACTORS[row.actor_kind], row.actor_id
        if subject == "member":
            yield User, row.subject_id
        if subject == "client":
            yield Client, row.subject_id
        if row.client_id is not None:
            yield Client, row.client_id
            if subject == "contact":
                yield ContactBook, contact_book_of(reader.tenant, row.client_id)


def _called(person: Person) -> str | None:
    parts = [it for it in (person.first_name, person.last_name) if it and it != ERASED]
    return " ".join(parts) or _shown(person.email)


def _shown(name: str | None) -> str | None:
    return None if not name or name == ERASED else name


def views(reader: Reader, rows: Sequence[Row], zone: str, language: str) -> list[ActivityView]:
    """Activities in a language; all names are read in one query."""
    names = Names(reader, rows)
    return [_view(row, names, zone, language) for row in rows]


def _view(row: Row, names: Names, zone: str, language: str) -> ActivityView:
    verb, subject, object = VERBS[row.verb], _subject(row, names), _object(row, names)
    amount = row.money
    backdated = row.effective_on is not None and row.effective_on < local_day(row.at, zone)
    return ActivityView(
        id=row.position,
        at=row.at,
        effective_on=row.effective_on,
        backdated=backdated,
        icon=verb.icon,
        verb=row.verb,
        importance=verb.importance,
        actor=ActivityActor(
            row.actor_kind,
            row.actor_id if row.actor_kind in ACTORS else None,
            names.actor(row),
        ),
        subject=subject,
        object=object,
        amount=None if amount is None else Amount(amount.amount, amount.currency),
        count=row.repeats,
        first_id=row.first_position,
        text=_text(row, names, zone, language, backdated=backdated),
        links=_links(row, subject, object),
        told=Told(row.told_source, row.told_note, row.told_at) if row.told_at else None,
    )


def _subject(row: Row, names: Names) -> ActivityParty:
    kind, id = VERBS[row.verb].subject, row.subject_id
    match kind:
        case "client":
            called = names.client(id)
        case "contact":
            called = names.contact(row.client_id, id)
        case "member":
            called = names.member(id)
        case _:
            called = row.number
    return ActivityParty(kind, id, called)


def _object(row: Row, names: Names) -> ActivityParty | None:
    kind = VERBS[row.verb].subject
    if kind in ("payment", "credit") and row.invoice_id is not None:
        return ActivityParty("invoice", row.invoice_id, row.invoice_number)
    if kind != "client" and row.client_id is not None:
        return ActivityParty("client", row.client_id, names.client(row.client_id))
    return None


def _text(row: Row, names: Names, zone: str, language: str, *, backdated: bool) -> str:
    kind = VERBS[row.verb].subject
    client = row.subject_id if kind == "client" else row.client_id
    contact = names.contact(row.client_id, row.subject_id) if kind == "contact" else None
    member = names.member(row.subject_id) if kind == "member" else None
    told = {
        "actor": names.actor(row) or word(row.actor_kind, language),
        "client": names.client(client) or word("client", language),
        "contact": contact or word("contact", language),
        "member": member or word("user", language),
        "number": row.number,
        "invoice_number": row.invoice_number,
        "amount": None if row.money is None else money(row.money, language),
        "detail": row.detail if kind == "workspace" else word(row.detail or "", language),
    }
    text = sentence(row.verb, told, language)
    if backdated and row.effective_on is not None:
        on, at = day(row.effective_on, language), day(local_day(row.at, zone), language)
        text += word("dates", language).format(on=on, at=at)
    if row.repeats > 1:
        text += word("times", language).format(count=row.repeats)
    return text


PATHS = {
    "invoice": "/api/invoices/{id}",
    "payment": "/api/payments/{id}",
    "credit": "/api/customers/{client}/credits/{id}",
    "client": "/api/clients/{id}",
    "contact": "/api/customers/{client}/contacts/{id}",
    "workspace": "/api/workspace",
    "member": "/api/workspace/members",
}


def _links(row: Row, *parties: ActivityParty | None) -> dict[str, str]:
    """Where the parties can be looked at, by their kind."""
    there = (it for it in parties if it is not None)
    return {it.type: PATHS[it.type].format(id=it.id, client=row.client_id) for it in there}
