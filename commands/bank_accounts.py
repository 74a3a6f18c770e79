"""Bank accounts: add, revise and remove them; a number is sealed before anything is recorded."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from anyio import to_thread
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, UnsetType

from projections.bank_account_view import BankAccountView
from projections.clients import client_of
from zeroinvoice.domain import banking
from zeroinvoice.domain.addresses import text_or_none
from zeroinvoice.domain.bank_accounts import (
    AccountDetails,
    BankAccounts,
    Purpose,
    bank_accounts_of,
)
from zeroinvoice.domain.bank_numbers import (
    AccountType,
    BankNumber,
    KeptNumber,
    NumberWritten,
    bound_to,
    check_bic,
    read,
)
from zeroinvoice.domain.client import Client
from zeroinvoice.gateways.vault import Vault
from zeroinvoice.http.parts import Sharing, idempotency_secret
from zeroinvoice.http.reading import Reading, RequestReader
from zeroinvoice.http.routes import delete, patch, post
from zeroinvoice.http.writing import Writer, Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value

T = TypeVar("T")
Instant = Annotated[datetime, Meta(tz=True)]


class BankAccountWritten(Value, kw_only=True, forbid_unknown_fields=True):
    """What a user writes of a bank account."""

    iban: str | None = None
    account_number: str | None = None
    routing_number: str | None = None
    sort_code: str | None = None
    bsb: str | None = None
    bic: str | None | UnsetType = UNSET
    bank_name: str | None | UnsetType = UNSET
    currency: str | UnsetType = UNSET  # ISO 4217; the client's unless given
    country: str | None | UnsetType = UNSET  # ISO 3166-1 alpha-2, where the number does not tell
    purpose: Purpose | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET  # for its purpose
    mandate_ref: str | None | UnsetType = UNSET
    mandate_signed_at: Instant | None | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # it may hold a number

    @property
    def written(self) -> NumberWritten:
        """The number, in whichever fields it was sent."""
        names = NumberWritten.__struct_fields__
        return NumberWritten(**{name: getattr(self, name) for name in names})

    @property
    def default(self) -> bool | None:
        return None if self.is_default is UNSET else self.is_default

    def on(self, details: AccountDetails) -> AccountDetails:
        """The details with what was sent."""
        names = (name for name in self.__struct_fields__ if name in details.__struct_fields__)
        sent = {name: it for name in names if (it := getattr(self, name)) is not UNSET}
        for name, value in sent.items():
            if isinstance(value, str) and name not in ("account_holder", "currency"):
                sent[name] = text_or_none(value)
        if sent.get("bic"):
            sent["bic"] = check_bic(sent["bic"])
        return details.but(**sent)


class AddBankAccount(BankAccountWritten, kw_only=True):
    """A new bank account: an `iban`, or an `account_number` and what its type has beside it."""

    type: AccountType
    account_holder: str


class ReviseBankAccount(BankAccountWritten, kw_only=True):
    """What shall change of an account; not its number. What is not sent stays; null clears it."""

    account_holder: str | UnsetType = UNSET


class BankAccountGone(Value):
    """An account was removed; `promoted` says whether another is the default in its place."""

    id: UUID
    promoted: bool
    default_account_id: UUID | None  # for its purpose, from now on


@post("/customers/{client_id:uuid}/bank-accounts", may="bank_accounts:write")
async def add(
    client_id: FromPath[UUID],
    data: JSONBody[AddBankAccount],
    writer: Writing,
    reader: Reading,
    parts: Sharing,
) -> BankAccountView:
    """Add a bank account; its number is encrypted, and never shown again."""
    number = read(data.type, data.written)
    seal = await to_thread.run_sync(_sealing, reader, parts.vault, client_id, number)

    def decision(desk: Desk) -> tuple[BankAccounts, UUID]:
        return banking.add(desk, client_id, data.on, seal, default=data.default is True)

    added = await _commit(writer, client_id, decision, bound=idempotency_secret(parts))
    return BankAccountView.of(*added)


@patch("/customers/{client_id:uuid}/bank-accounts/{account_id:uuid}", may="bank_accounts:write")
async def revise(
    client_id: FromPath[UUID],
    account_id: FromPath[UUID],
    data: JSONBody[ReviseBankAccount],
    writer: Writing,
    parts: Sharing,
) -> BankAccountView:
    """Change what is written of a bank account, or make it the default; its number stays."""

    def decision(desk: Desk) -> BankAccounts:
        _assert_no_number(data)
        return banking.revise(desk, client_id, account_id, data.on, default=data.default)

    accounts = await _commit(writer, client_id, decision, bound=idempotency_secret(parts))
    return BankAccountView.of(accounts, account_id)


@delete(
    "/customers/{client_id:uuid}/bank-accounts/{account_id:uuid}",
    may="bank_accounts:write",
    status_code=200,
)
async def remove(
    client_id: FromPath[UUID], account_id: FromPath[UUID], writer: Writing
) -> BankAccountGone:
    """Remove a bank account; its key is destroyed, and nobody can read its number any more."""

    def decision(desk: Desk) -> tuple[BankAccounts, bool, UUID | None]:
        before, _ = banking.opened(desk, client_id)
        purpose = before.account(account_id).details.purpose
        after = banking.remove(desk, client_id, account_id)
        default = after.default(purpose)
        return after, default not in (None, before.default(purpose)), default

    _, promoted, default = await _commit(writer, client_id, decision)
    return BankAccountGone(account_id, promoted, default)


async def _commit(
    writer: Writer,
    client_id: UUID,
    decision: Callable[[Desk], T],
    *,
    bound: str | tuple[str, ...] = "",
) -> T:
    accounts = bank_accounts_of(writer.tenant, client_id)
    wants: list[tuple[Any, UUID]] = [(BankAccounts, accounts), (Client, client_id)]
    return await writer.commit(decision, wants=wants, bound=bound)


def _sealing(
    reader: RequestReader, vault: Vault, client_id: UUID, number: BankNumber
) -> banking.Seal:
    """What seals a number with a key of its own, which is in the vault by now.

    A key that nothing is sealed with in the end, since the decision refused, harms nobody.
    """
    tenant, client = reader.tenant, client_of(reader, client_id)
    recognised = vault.key(tenant, tenant).fingerprint("bank-number", number.text)
    key = vault.key_under(tenant, new_id(), vault.key(tenant, client.id))

    def seal(account_id: UUID) -> KeptNumber:
        about = bound_to(tenant, client_id, account_id)
        sealed = key.seal(number.text, *about)
        return number.kept(recognised, sealed, sealed_by=key.id, sealed_for=client_id)

    return seal


def _assert_no_number(data: ReviseBankAccount) -> None:
    written = data.written
    for name in written.__struct_fields__:
        if getattr(written, name) is not None:
            raise Invalid(
                "An account's number cannot change; add the new one and delete this one.",
                code="number_fixed",
                field=name,
            )


routes = [add, revise, remove]
