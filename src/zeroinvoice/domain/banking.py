"""Banking: decisions about a client's bank accounts that also concern the client."""

from collections.abc import Callable
from uuid import UUID

from zeroinvoice.domain.bank_accounts import AccountDetails, BankAccounts, bank_accounts_of
from zeroinvoice.domain.bank_numbers import KeptNumber
from zeroinvoice.domain.client import Client
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.refusals import Invalid

Change = Callable[[AccountDetails], AccountDetails]
Seal = Callable[[UUID], KeptNumber]  # the number of an account with this id, the same each time


def opened(desk: Desk, client_id: UUID) -> tuple[BankAccounts, Client]:
    """A client's accounts, blank before the first. Raises what refuses to touch the client."""
    accounts = desk.find(BankAccounts, bank_accounts_of(desk.tenant, client_id))
    client = desk.open(Client, client_id)
    client.assert_there()
    return accounts, client


def add(
    desk: Desk, client_id: UUID, change: Change, seal: Seal, *, default: bool
) -> tuple[BankAccounts, UUID]:
    """Add an account, its number sealed to its id; in the client's currency unless another is set.

    `change` is given blank details.
    """
    accounts, client = opened(desk, client_id)
    account_id = desk.new_id()
    details = change(AccountDetails(account_holder="", currency=client.profile.currency))
    _assert_signed(desk, details)
    added = accounts.add(client_id, account_id, details, seal(account_id), default=default)
    return desk.record(accounts, added), account_id


def revise(
    desk: Desk, client_id: UUID, account_id: UUID, change: Change, *, default: bool | None
) -> BankAccounts:
    """Change some of what is written of an account."""
    accounts, _ = opened(desk, client_id)
    details = change(accounts.account(account_id).details)
    _assert_signed(desk, details)
    return desk.record(accounts, accounts.revise(account_id, details, default=default))


def remove(desk: Desk, client_id: UUID, account_id: UUID) -> BankAccounts:
    """Remove an account; its key is destroyed when the fact is on record."""
    accounts, _ = opened(desk, client_id)
    return desk.record(accounts, accounts.remove(account_id))


def _assert_signed(desk: Desk, details: AccountDetails) -> None:
    if details.mandate_signed_at is not None and details.mandate_signed_at > desk.now:
        raise Invalid("A mandate cannot have been signed in the future.", code="signed_in_future")
