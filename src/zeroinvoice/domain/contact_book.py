"""Contact books: the persons one writes to at a client, exactly one of them the primary one."""

from datetime import datetime
from typing import Literal, Self, assert_never
from uuid import UUID

from zeroinvoice.domain.addresses import check_email, check_language, check_length
from zeroinvoice.domain.client import Client
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import ERASED, Event, Events, Personal, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused
from zeroinvoice.kernel.value import Value

CcMode = Literal["to", "cc", "bcc"]

MOST_CONTACTS = 200  # of one client
LONGEST = {  # characters
    "first_name": 100,
    "last_name": 100,
    "phone": 50,
    "mobile": 50,
    "role": 100,
    "department": 100,
    "notes": 10_000,
}


class Receives(Value):
    """The kinds of documents that are sent to a contact."""

    invoices: bool = True
    estimates: bool = True
    reminders: bool = True
    statements: bool = True


class Person(Value, omit_defaults=True):
    """What a user writes about a contact. The E.164 forms are derived where they can be."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    phone_e164: str | None = None
    mobile: str | None = None
    mobile_e164: str | None = None
    role: str | None = None
    department: str | None = None
    locale: str | None = None  # BCP 47; the client's language when unset
    receives: Receives = Receives()
    cc_mode: CcMode = "to"
    portal_enabled: bool = False
    notes: str | None = None  # private

    def redacted(self) -> "Person":
        """What remains without the person: what was sent to them, and how."""
        return Person(
            first_name=ERASED,
            receives=self.receives,
            cc_mode=self.cc_mode,
            portal_enabled=self.portal_enabled,
        )

    def check(self) -> None:
        """Raises `Invalid` for a person without a name, or a value nobody could be reached by."""
        if not (self.first_name or self.last_name or self.email):
            raise Invalid("A contact has a name or an e-mail address.", code="contact_unnamed")
        for name, longest in LONGEST.items():
            check_length(name, getattr(self, name), longest)
        if self.email is not None:
            check_email(self.email)
        if self.locale is not None:
            check_language(self.locale)


class Contact(Value):
    """A person in the book, and since when."""

    id: UUID
    person: Person
    added_at: datetime | None
    revised_at: datetime | None

    def redacted(self) -> "Contact":
        return self.but(person=self.person.redacted())


# Events


class ContactAdded(Personal):
    """A person was taken into the book; as the primary one, whoever was it before."""

    client_id: UUID
    contact_id: UUID
    person: Person
    primary: bool

    def redacted(self) -> Self:
        return self.but(person=self.person.redacted())


class ContactRevised(Personal):
    contact_id: UUID
    person: Person  # whole, as it is from now on

    def redacted(self) -> Self:
        return self.but(person=self.person.redacted())


class PrimaryContactChosen(Event):
    """This is the primary contact from now on, and nobody else."""

    contact_id: UUID


class ContactRemoved(Event):
    contact_id: UUID
    promoted: UUID | None = None  # the primary contact from now on, where the one removed was it


class ContactsAdopted(Personal):
    """Contacts came along with clients that were merged into this one."""

    client_id: UUID
    merge_id: UUID
    contacts: tuple[Contact, ...]
    primary: UUID | None  # the primary contact from now on

    def redacted(self) -> Self:
        return self.but(contacts=tuple(it.redacted() for it in self.contacts))


class ContactsReleased(Event):
    """Contacts left with the clients they had come with."""

    merge_id: UUID
    contact_ids: tuple[UUID, ...]
    primary: UUID | None  # the primary contact from now on


class ContactsReturned(Personal):
    """Contacts are back, as they are by now; some were removed while they were away."""

    merge_id: UUID
    contacts: tuple[Contact, ...]
    removed: tuple[UUID, ...]
    primary: UUID | None  # the primary contact from now on

    def redacted(self) -> Self:
        return self.but(contacts=tuple(it.redacted() for it in self.contacts))


class ContactsErased(Event):
    """Who these persons were is forgotten."""


ContactEvent = (
    ContactAdded
    | ContactRevised
    | PrimaryContactChosen
    | ContactRemoved
    | ContactsAdopted
    | ContactsReleased
    | ContactsReturned
    | ContactsErased
)

# State


class ContactBook(State[ContactEvent]):
    contacts: tuple[Contact, ...] = ()  # the oldest first
    primary: UUID | None = None  # set as long as there is any contact
    client_id: UUID | None = None
    came_by: dict[UUID, UUID] = {}  # the merge by which a contact came, of those that did
    erased: bool = False

    def subject(self, event: ContactEvent) -> UUID | None:
        """The client; where contacts came by a merge that stands, the merge."""
        match event:
            case ContactsAdopted(merge_id=merge_id):
                return merge_id
            case ContactRevised(contact_id=id):
                return self.came_by.get(id, self.client_id)
            case _:
                return self.client_id

    def evolve(self, event: ContactEvent) -> Self:
        at = self.changed_at
        match event:
            case ContactAdded(contact_id=id, person=person, primary=primary):
                added = (*self.contacts, Contact(id, person, at, at))
                return self.but(
                    client_id=event.client_id,
                    contacts=added,
                    primary=id if primary else self.primary,
                )
            case ContactRevised(contact_id=id, person=person):
                revised = (
                    it.but(person=person, revised_at=at) if it.id == id else it
                    for it in self.contacts
                )
                return self.but(contacts=tuple(revised))
            case PrimaryContactChosen(contact_id=id):
                return self.but(primary=id)
            case ContactRemoved(contact_id=id, promoted=promoted):
                left = tuple(it for it in self.contacts if it.id != id)
                return self.but(
                    contacts=left, primary=promoted if self.primary == id else self.primary
                )
            case ContactsAdopted(contacts=contacts, primary=primary):
                came_by = self.came_by | dict.fromkeys((it.id for it in contacts), event.merge_id)
                return self.but(
                    client_id=event.client_id,
                    contacts=(*self.contacts, *contacts),
                    primary=primary,
                    came_by=came_by,
                )
            case ContactsReleased(contact_ids=ids, primary=primary):
                left = tuple(it for it in self.contacts if it.id not in ids)
                own = {id: merge for id, merge in self.came_by.items() if id not in ids}
                return self.but(contacts=left, primary=primary, came_by=own)
            case ContactsReturned(contacts=contacts, removed=removed, primary=primary):
                now = {it.id: it for it in contacts}
                there = (now.get(it.id, it) for it in self.contacts if it.id not in removed)
                return self.but(contacts=tuple(there), primary=primary)
            case ContactsErased():
                known = tuple(it.redacted() for it in self.contacts)
                return self.but(contacts=known, erased=True)
            case _:
                assert_never(event)

    def contact(self, contact_id: UUID) -> Contact:
        """Raises `Missing` for one that is not in the book, or not any more."""
        for it in self.contacts:
            if it.id == contact_id:
                return it
        raise Missing("There is no such contact.")

    # Decisions

    def add(self, client_id: UUID, contact_id: UUID, person: Person, *, primary: bool) -> Events:
        """Take a person in; the first is the primary contact in any case."""
        self._check(contact_id, person)
        if len(self.contacts) >= MOST_CONTACTS:
            raise Invalid(
                f"A client has at most {MOST_CONTACTS} contacts.", code="too_many_contacts"
            )
        yield ContactAdded(client_id, contact_id, person, primary or not self.contacts)

    def revise(self, contact_id: UUID, person: Person, *, primary: bool | None = None) -> Events:
        """Change what is written of a contact, and whether it is the primary one.

        Raises `Refused` `primary_needed` where nobody would be primary any more.
        """
        known = self.contact(contact_id)
        self._check(contact_id, person, known.person.email)
        if primary is False and self.primary == contact_id:
            raise Refused(
                "One contact is the primary one; choose another instead.", code="primary_needed"
            )
        if person != known.person:
            yield ContactRevised(contact_id, person)
        if primary:
            yield from self.choose(contact_id)

    def choose(self, contact_id: UUID) -> Events:
        """Make a contact the primary one."""
        self.contact(contact_id)
        if self.primary != contact_id:
            yield PrimaryContactChosen(contact_id)

    def remove(self, contact_id: UUID) -> Events:
        """Take a contact out; in the place of a primary one comes the oldest of the others."""
        self.contact(contact_id)
        promoted = None
        if self.primary == contact_id:
            promoted = next((it.id for it in self.contacts if it.id != contact_id), None)
        yield ContactRemoved(contact_id, promoted)

    def erase(self) -> Events:
        """Forget who these persons were, and those who were removed before."""
        if self.version and not self.erased:
            yield ContactsErased()

    # Merging

    def adopt(
        self, client_id: UUID, merge_id: UUID, contacts: tuple[Contact, ...], primary: UUID | None
    ) -> Events:
        """Take contacts of merged clients in; the primary one is theirs where there is none."""
        if contacts:
            yield ContactsAdopted(client_id, merge_id, contacts, self.primary or primary)

    def release(self, merge_id: UUID, ids: tuple[UUID, ...], primary: UUID | None) -> Events:
        """Let contacts go that came by a merge; the primary one is again who it was before."""
        gone = tuple(it.id for it in self.contacts if it.id in ids)
        left = [it.id for it in self.contacts if it.id not in ids]
        now = self.primary
        if now not in left:
            now = primary if primary in left else next(iter(left), None)
        if gone:
            yield ContactsReleased(merge_id, gone, now)

    def come_back(
        self, merge_id: UUID, contacts: tuple[Contact, ...], removed: tuple[UUID, ...]
    ) -> Events:
        """Have contacts back as they are by now, without those that were removed."""
        left = [it.id for it in self.contacts if it.id not in removed]
        primary = self.primary if self.primary in left else next(iter(left), None)
        if contacts or removed:
            yield ContactsReturned(merge_id, contacts, removed, primary)

    def _check(self, contact_id: UUID, person: Person, before: str | None = None) -> None:
        """Raises `Refused` `email_taken` for an address that another contact here has.

        One it has had before is no matter: by a merge, two contacts may share one.
        """
        person.check()
        if person.email is None or person.email.casefold() == (before or "").casefold():
            return
        for it in self.contacts:
            theirs = it.person.email or ""
            if it.id != contact_id and theirs.casefold() == person.email.casefold():
                raise Refused(
                    "Another contact of this client has this e-mail address.",
                    code="email_taken",
                    contact_id=str(it.id),
                )


def contact_book_of(tenant: UUID, client_id: UUID) -> UUID:
    """The one book of a client's contacts."""
    return named(tenant, "contacts", str(client_id))


def opened(desk: Desk, client_id: UUID) -> tuple[ContactBook, Client]:
    """A client's book, blank before the first contact. Raises what refuses to touch the client."""
    book = desk.find(ContactBook, contact_book_of(desk.tenant, client_id))
    client = desk.open(Client, client_id)
    client.assert_there()
    return book, client
