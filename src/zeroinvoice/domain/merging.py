"""Merging: decisions that let clients become one, and let them stand for themselves again."""

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.addresses import check_length
from zeroinvoice.domain.bank_accounts import BankAccount, BankAccounts, bank_accounts_of
from zeroinvoice.domain.belonging import MOST_HOPS, parted_by
from zeroinvoice.domain.client import MOST_TAGS, Client, ClientsMerged, Profile
from zeroinvoice.domain.clientele import has_history
from zeroinvoice.domain.contact_book import Contact, ContactBook, contact_book_of
from zeroinvoice.domain.merge import (
    Brought,
    ContactStrategy,
    FieldFilled,
    Link,
    Linked,
    Merge,
    MergeRecorded,
)
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import State
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

MOST_DUPLICATES = 20
LONGEST_NOTE = 2_000  # characters
TOGETHER = {"phone": ("phone_e164",)}  # fields that go with another
OWN = ("number", "external_id", "currency", "tags")  # never another client's
CHOOSABLE = tuple(name for name in Profile.__struct_fields__ if name not in (*OWN, "phone_e164"))
PLAIN = Profile(name="", currency="")  # what an empty field holds


class MergeClients(Value, kw_only=True, forbid_unknown_fields=True):
    """Clients that are one, as a user says: who stays, and who becomes that one."""

    primary_id: UUID
    duplicate_ids: tuple[UUID, ...]  # 1 to 20, in the order in which they fill empty fields
    field_choices: dict[str, UUID] = {}  # whose value a field takes; the primary's unless said
    contact_strategy: ContactStrategy = "dedupe_by_email"
    note: str | None = None
    dry_run: bool = False  # tell what would happen, and change nothing


class UndoMerge(Value, kw_only=True, forbid_unknown_fields=True):
    merge_id: UUID
    force: bool = False  # also when its days are over
    on_entangled: Literal["refuse", "keep_with_primary"] = "refuse"


class Entangled(Value):
    """A payment or credit that settles an invoice of another client."""

    kind: Linked
    id: UUID  # the payment or the credit
    client_id: UUID
    invoice_id: UUID
    invoice_client_id: UUID

    @classmethod
    def of(cls, it: Link) -> "Entangled":
        return cls(it.kind, it.source_id, it.home, it.invoice_id, it.invoice_home)


def merge(desk: Desk, asked: MergeClients) -> tuple[Client, Merge]:
    """Let one client stand for several; nothing that was written to them is rewritten.

    Raises `Missing` for a client that is not there, `Refused` for those that cannot be one.
    """
    primary = desk.open(Client, asked.primary_id)
    _check(asked)
    primary.assert_mergeable()
    duplicates = [desk.open(Client, it) for it in asked.duplicate_ids]
    for it in duplicates:
        it.assert_mergeable()
        _assert_currency(desk, primary, it)
    depth = 1 + max(it.depth for it in duplicates)
    if depth > MOST_HOPS:
        raise Refused(
            f"Clients are merged at most {MOST_HOPS} times in a row.", code="chain_too_long"
        )
    made = desk.new(Merge)
    profile, filled = _filled(primary, duplicates, asked)
    book = desk.find(ContactBook, contact_book_of(desk.tenant, primary.id))
    accounts = desk.find(BankAccounts, bank_accounts_of(desk.tenant, primary.id))
    brought = _bring(desk, made.id, asked, book, accounts)
    event = MergeRecorded(
        primary_id=primary.id,
        duplicates=asked.duplicate_ids,
        contact_strategy=asked.contact_strategy,
        note=asked.note,
        before=primary.profile,
        after=profile,
        filled=filled,
        brought=brought,
        primary_contact=book.primary,
        defaults=accounts.defaults,
    )
    made = desk.record(made, made.make(event))
    absorbed = ClientsMerged(
        merge_id=made.id,
        duplicates=asked.duplicate_ids,
        homes=tuple(home for it in duplicates for home in it.homes),
        depth=depth,
        aliases=tuple(name for it in duplicates for name in _external_ids(it)),
        profile=profile,
    )
    primary = desk.record(primary, primary.absorb(absorbed))
    for it in duplicates:
        desk.record(it, it.merge_away(made.id, primary.id))
    return primary, made


def rehearse(desk: Desk, asked: MergeClients) -> tuple[Client, Merge]:
    """What a merge would come to; nothing of it is recorded."""
    return merge(desk.rehearsal(), asked)


def undo(desk: Desk, asked: UndoMerge) -> tuple[Client, Merge]:
    """Let the clients of a merge stand for themselves again, each with what belongs to it.

    Raises `Refused`: `merge_undone`, `later_merge_exists`, `undo_expired`, `merge_entangled`.
    """
    made, primary, parted = undoable(desk, asked)
    profile, kept = made.restored(primary.profile)
    made = desk.record(made, made.undo(kept, parted))
    primary = desk.record(primary, primary.undo_merge(made.id, profile))
    _give_back(desk, made)
    for id in made.made.duplicates:
        duplicate = desk.open(Client, id)
        desk.record(duplicate, duplicate.come_back(made.id))
    return primary, made


def undoable(desk: Desk, asked: UndoMerge) -> tuple[Merge, Client, tuple[Link, ...]]:
    """A merge that can be undone, its primary, and the links that are kept with that one.

    Raises what `undo` raises.
    """
    made = desk.open(Merge, asked.merge_id)
    made.assert_standing()
    primary = desk.open(Client, made.made.primary_id)
    primary.assert_latest(made.id)
    primary.assert_not_erased()
    days = desk.open(Workspace, desk.tenant).settings.merge_undo_days
    _assert_in_time(desk, made, days, asked)
    parted = tuple(parted_by(desk, made))
    if parted and asked.on_entangled == "refuse":
        raise _entangled(parted)
    return made, primary, parted


def _entangled(links: tuple[Link, ...]) -> Refused:
    return Refused(
        f"{len(links)} payments or credits settle invoices of another of these clients; "
        "take them back, or keep them with the primary.",
        code="merge_entangled",
        entangled=[Entangled.of(it) for it in links],
    )


def undo_until(made: Merge, days: int) -> datetime:
    """The instant up to which a merge is undone without force."""
    assert made.created_at is not None
    return made.created_at + timedelta(days=days)


def streams_of(tenant: UUID, clients: tuple[UUID, ...]) -> list[tuple[type[State[Any]], UUID]]:
    """The streams of these clients that a merge looks at."""
    return [
        stream
        for id in clients
        for stream in (
            (Client, id),
            (ContactBook, contact_book_of(tenant, id)),
            (BankAccounts, bank_accounts_of(tenant, id)),
            (Account, account_of(tenant, id)),
        )
    ]


def _check(asked: MergeClients) -> None:
    """Raises `Invalid` or `Refused` for a merge that makes no sense, whoever the clients are."""
    if not 1 <= len(asked.duplicate_ids) <= MOST_DUPLICATES:
        raise Invalid(
            f"Name 1 to {MOST_DUPLICATES} duplicates.", code="bad_duplicates", field="duplicate_ids"
        )
    clients = (asked.primary_id, *asked.duplicate_ids)
    if len(set(clients)) < len(clients):
        raise Refused("Each client is named once.", code="same_client")
    check_length("note", asked.note, LONGEST_NOTE)
    for name, id in asked.field_choices.items():
        if name not in CHOOSABLE:
            raise Invalid(
                f"The field {name!r} cannot be chosen.",
                code="unknown_field",
                field=name,
                accepted=sorted(CHOOSABLE),
            )
        if id not in clients:
            raise Invalid(
                f"{name} would be that of a client who is not merged.",
                code="not_among_clients",
                field=name,
            )


def _assert_currency(desk: Desk, primary: Client, duplicate: Client) -> None:
    mine, theirs = primary.profile.currency, duplicate.profile.currency
    if mine != theirs and has_history(desk, duplicate):
        raise Refused(
            f"One of these has documents in {theirs}, the client that stays is billed in {mine}.",
            code="currency_mismatch",
            client_id=str(duplicate.id),
        )


def _filled(
    primary: Client, duplicates: list[Client], asked: MergeClients
) -> tuple[Profile, tuple[FieldFilled, ...]]:
    """The primary's profile with what it lacks, and whose each such field is."""
    own, told = primary.profile, []
    taken: dict[str, Any] = {}
    profiles = {it.id: it.profile for it in (primary, *duplicates)}
    for name in CHOOSABLE:
        source = asked.field_choices.get(name)
        if source is None and getattr(own, name) == getattr(PLAIN, name):
            having = (it.id for it in duplicates if _has(it.profile, name))
            source = next(having, None)
        if source is None or getattr(profiles[source], name) == getattr(own, name):
            continue
        told.append(FieldFilled(name, source))
        for each in (name, *TOGETHER.get(name, ())):
            taken[each] = getattr(profiles[source], each)
    tags = dict.fromkeys(tag for it in (primary, *duplicates) for tag in it.profile.tags)
    profile = own.but(**taken, tags=tuple(tags)[: max(MOST_TAGS, len(own.tags))])
    profile.check()
    return profile, tuple(told)


def _has(profile: Profile, name: str) -> bool:
    return bool(getattr(profile, name) != getattr(PLAIN, name))


def _external_ids(client: Client) -> tuple[str, ...]:
    own = client.profile.external_id
    return (*((own,) if own else ()), *client.aliases)


def _bring(
    desk: Desk, merge_id: UUID, asked: MergeClients, book: ContactBook, accounts: BankAccounts
) -> tuple[Brought, ...]:
    """Take the duplicates' contacts and bank accounts over; each that is known already stays."""
    emails = {_email(it) for it in book.contacts}
    numbers = {it.number.fingerprint for it in accounts.accounts}
    contacts: list[Contact] = []
    banks: list[BankAccount] = []
    brought, primary = [], None
    for id in asked.duplicate_ids:
        theirs = desk.find(ContactBook, contact_book_of(desk.tenant, id))
        new: list[Contact] = []
        known: list[Contact] = []
        for it in theirs.contacts:
            same = _email(it) and _email(it) in emails
            (known if same and asked.contact_strategy == "dedupe_by_email" else new).append(it)
            emails.add(_email(it))
        owned = desk.find(BankAccounts, bank_accounts_of(desk.tenant, id)).accounts
        fresh = [it for it in owned if it.number.fingerprint not in numbers]
        numbers.update(it.number.fingerprint for it in fresh)
        if primary is None and new:
            primary = next((it.id for it in new if it.id == theirs.primary), new[0].id)
        contacts += new
        banks += fresh
        brought.append(
            Brought(
                id,
                tuple(it.id for it in new),
                tuple(it.id for it in known),
                tuple(it.id for it in fresh),
                tuple(it.id for it in owned if it not in fresh),
            )
        )
    client_id = asked.primary_id
    desk.record(book, book.adopt(client_id, merge_id, tuple(contacts), primary))
    desk.record(accounts, accounts.adopt(client_id, merge_id, tuple(banks)))
    return tuple(brought)


def _email(contact: Contact) -> str:
    return (contact.person.email or "").strip().casefold()


def _assert_in_time(desk: Desk, made: Merge, days: int, asked: UndoMerge) -> None:
    until = undo_until(made, days)
    if desk.now > until and not asked.force:
        raise Refused(
            f"A merge is undone within {days} days; force it if that is what you want.",
            code="undo_expired",
            undo_until=until.isoformat(),
        )


def _give_back(desk: Desk, made: Merge) -> None:
    """Hand contacts and bank accounts back as they are by now, those that are still there."""
    primary, brought = made.made.primary_id, made.made.brought
    book = desk.find(ContactBook, contact_book_of(desk.tenant, primary))
    accounts = desk.find(BankAccounts, bank_accounts_of(desk.tenant, primary))
    ids = tuple(id for it in brought for id in it.contacts)
    account_ids = tuple(id for it in brought for id in it.bank_accounts)
    desk.record(book, book.release(made.id, ids, made.made.primary_contact))
    desk.record(accounts, accounts.release(made.id, account_ids, made.made.defaults))
    for it in brought:
        theirs = desk.find(ContactBook, contact_book_of(desk.tenant, it.client_id))
        back = tuple(one for one in book.contacts if one.id in it.contacts)
        gone = tuple(id for id in it.contacts if id not in {one.id for one in back})
        desk.record(theirs, theirs.come_back(made.id, back, gone))
        owned = desk.find(BankAccounts, bank_accounts_of(desk.tenant, it.client_id))
        returned = tuple(one for one in accounts.accounts if one.id in it.bank_accounts)
        shut = tuple(id for id in it.bank_accounts if id not in {one.id for one in returned})
        desk.record(owned, owned.come_back(made.id, returned, shut))
