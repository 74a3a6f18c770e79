"""Erasing: decisions by which a client is forgotten, on every stream that speaks of them."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from zeroinvoice.domain.account import Account, account_of
from zeroinvoice.domain.activity import Tracking
from zeroinvoice.domain.bank_accounts import BankAccounts
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.clientele import let_go
from zeroinvoice.domain.contact_book import ContactBook
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.credit_ledger import CreditLedger, all_held, ledger_of
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.merge import Merge
from zeroinvoice.domain.merging import undo_until
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.workspace import Settings, Workspace, assert_reason, today
from zeroinvoice.kernel.clock import local_day
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import ERASED, State
from zeroinvoice.kernel.money import Sums
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

PART = 200  # streams that are covered in one command

Speaking = tuple[type[State[Any]], UUID]  # a stream that speaks of somebody: its kind and id


class EraseClient(Value, kw_only=True, forbid_unknown_fields=True):
    """Whom to forget. The name guards against a mistaken id: it must be the client's."""

    confirm_name: str | None = None


def start(desk: Desk, client_id: UUID, asked: EraseClient) -> tuple[Client, tuple[UUID, ...]]:
    """See that a client may be forgotten, and take nothing new; answers whose keys will go.

    All that was merged into them goes with them. Raises `Refused`: `client_merged`,
    `merge_undoable`, `credits_remain`, `balance_open`, `retention`.
    """
    client = desk.open(Client, client_id)
    client.assert_known()
    if not client.erased and not client.erasing:
        client.assert_there()
        assert_reason(desk, "erasure")
        # When this answer is given again, the name is gone already.
        if asked.confirm_name is not None and client.profile.name not in (
            asked.confirm_name,
            ERASED,
        ):
            raise Invalid("This is not the client's name.", code="name_mismatch")
        settings = desk.open(Workspace, desk.tenant).settings
        _assert_merged_for_good(desk, client, settings)
        _assert_settled(desk, client)
        _assert_kept_long_enough(desk, client, settings)
    client = desk.record(client, client.start_erasure())
    return client, subjects_of(desk, client)


def cover(desk: Desk, subjects: tuple[UUID, ...], speaking: Iterable[Speaking]) -> None:
    """Forget some subjects on streams that speak of them beside their own."""
    for kind, id in speaking:
        state = desk.find(kind, id)
        match state:
            case Invoice():
                desk.record(state, state.erase(subjects))
            case Payment() if state.entry.client_id in subjects:
                desk.record(state, state.erase())
            case Credit():
                desk.record(state, state.erase())
            case ContactBook() | BankAccounts() if state.client_id in subjects:
                desk.record(state, state.erase())
            case Tracking() if state.heard and state.heard.client_id in subjects:
                desk.record(state, state.erase())
            case Merge() if id in subjects:
                desk.record(state, state.erase())
            case _:
                continue  # of another client, who was merged with one of them for a while


def finish(desk: Desk, client_id: UUID) -> Client:
    """Forget the client itself, and those that were merged into it; their keys go with it."""
    client = desk.open(Client, client_id)
    subjects = subjects_of(desk, client)
    for home in client.homes[1:]:
        merged = desk.open(Client, home)
        let_go(desk, merged)
        desk.record(merged, merged.erase((home,)))
    let_go(desk, client)
    return desk.record(client, client.erase(subjects))


def subjects_of(desk: Desk, client: Client) -> tuple[UUID, ...]:
    """Under whose keys a client is named: their own, and those of the merges that knew them."""
    found = dict.fromkeys(client.homes)
    todo, seen = list(client.homes), set(client.homes)
    while todo:
        one = desk.open(Client, todo.pop())
        for id in one.merges:
            merge = desk.open(Merge, id)
            # Above them a merge knew them only while it was carried on, and it is over.
            if one.id in client.homes or (merge.undone and one.id in merge.made.duplicates):
                found[id] = None
                above = merge.made.primary_id
                if above not in seen:
                    seen.add(above)
                    todo.append(above)
    return tuple(found)


def retained_until(last: date, years: int) -> date | None:
    """The last day on which a client is kept: years are counted from the end of the last one's."""
    return date(last.year + years, 12, 31) if years else None


def parts(speaking: Sequence[Speaking]) -> list[Sequence[Speaking]]:
    """Streams in as many parts as there are commands."""
    return [speaking[first : first + PART] for first in range(0, len(speaking), PART)]


def _assert_merged_for_good(desk: Desk, client: Client, settings: Settings) -> None:
    if not client.absorbed:
        return
    latest = desk.open(Merge, client.absorbed[-1].merge_id)
    until = undo_until(latest, settings.merge_undo_days)
    if desk.now <= until:
        raise Refused(
            f"Others were merged into this client, which can be undone until {until.date()}.",
            code="merge_undoable",
            undo_until=until.isoformat(),
        )


def _assert_settled(desk: Desk, client: Client) -> None:
    ledgers = (desk.find(CreditLedger, ledger_of(desk.tenant, it)) for it in client.homes)
    held = all_held(ledgers)
    if any(it.usable(today(desk)) for it in held):
        raise Refused(
            "This client has credits left; apply, refund or void them first.",
            code="credits_remain",
        )
    owed = Sums.of(it.left for it in held)  # which nobody can use any more
    for home in client.homes:
        account = desk.find(Account, account_of(desk.tenant, home))
        for currency in account.balances.by_currency:
            owed = owed.plus(account.balances.get(currency))
    if any(owed.by_currency.values()):
        raise Refused(
            "Something is still owed, by this client or to them; settle it first.",
            code="balance_open",
            balances=owed.text,
        )


def _assert_kept_long_enough(desk: Desk, client: Client, settings: Settings) -> None:
    """Documents count by the day they were recorded, which no other date on them shortens."""
    accounts = (desk.find(Account, account_of(desk.tenant, it)) for it in client.homes)
    days = [local_day(it.changed_at, settings.time_zone) for it in accounts if it.changed_at]
    until = retained_until(max(days), settings.retention_years) if days else None
    if until is not None and today(desk) <= until:
        raise Refused(
            f"What was issued to this client must be kept with their name until {until}.",
            code="retention",
            retained_until=until.isoformat(),
        )
