"""Bank accounts of a client: what each is used for, and the one that is used unless another is."""

from datetime import datetime
from typing import Literal, Self, assert_never, get_args
from uuid import UUID

from zeroinvoice.domain.addresses import COUNTRIES, check_length
from zeroinvoice.domain.bank_numbers import KeptNumber
from zeroinvoice.kernel.facts import ERASED, Event, Events, Personal, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import minor_units
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused
from zeroinvoice.kernel.value import Value

Purpose = Literal["refunds", "direct_debit", "info"]

MOST_ACCOUNTS = 100  # of one client
LONGEST = {"bank_name": 255, "mandate_ref": 35}  # characters; a SEPA mandate's id has 35


class AccountDetails(Value, omit_defaults=True):
    """What a user writes about an account, apart from its number."""

    account_holder: str
    currency: str  # ISO 4217
    purpose: Purpose = "info"
    bic: str | None = None  # ISO 9362
    bank_name: str | None = None
    country: str | None = None  # ISO 3166-1 alpha-2; where the number does not tell
    mandate_ref: str | None = None
    mandate_signed_at: datetime | None = None

    def redacted(self) -> "AccountDetails":
        return self.but(account_holder=ERASED, bic=None, bank_name=None, mandate_ref=None)

    def check(self, number: KeptNumber) -> None:
        """Raises `Invalid` for what no payment could be made with."""
        if not self.account_holder.strip() or len(self.account_holder) > 255:
            raise Invalid("An account holder has 1 to 255 characters.", code="bad_account_holder")
        minor_units(self.currency)
        for name, longest in LONGEST.items():
            check_length(name, getattr(self, name), longest)
        if self.country is not None and self.country not in COUNTRIES:
            raise Invalid("Name the country by its code, such as DE.", code="unknown_country")
        if number.country is not None and self.country not in (None, number.country):
            raise Invalid(
                f"By its number the account is in {number.country}.", code="country_mismatch"
            )


class BankAccount(Value):
    id: UUID
    details: AccountDetails
    number: KeptNumber
    added_at: datetime | None
    revised_at: datetime | None

    @property
    def country(self) -> str | None:
        return self.number.country or self.details.country

    def redacted(self) -> "BankAccount":
        return self.but(details=self.details.redacted(), number=self.number.redacted())


class DefaultAccount(Value):
    """The account that is used for a purpose from now on; None where none is left."""

    purpose: Purpose
    account_id: UUID | None


# Events


class BankAccountAdded(Personal):
    """An account was added; its number is only on record as it was sealed."""

    client_id: UUID
    account_id: UUID
    details: AccountDetails
    number: KeptNumber
    defaults: tuple[DefaultAccount, ...] = ()

    def redacted(self) -> Self:
        return self.but(details=self.details.redacted(), number=self.number.redacted())


class BankAccountRevised(Personal):
    account_id: UUID
    details: AccountDetails  # whole, as they are from now on
    defaults: tuple[DefaultAccount, ...] = ()

    def redacted(self) -> Self:
        return self.but(details=self.details.redacted())


class DefaultBankAccountChosen(Event):
    """This account is used for its purpose from now on, and no other unless it is named."""

    defaults: tuple[DefaultAccount, ...]


class BankAccountRemoved(Personal):
    """An account was removed; its key is destroyed, and with it the number."""

    account_id: UUID
    fingerprint: str
    last4: str
    sealed_by: UUID  # the key that is to be destroyed
    defaults: tuple[DefaultAccount, ...] = ()

    def redacted(self) -> Self:
        return self.but(last4="")


class BankAccountsAdopted(Personal):
    """Accounts came along with clients that were merged into this one; they stay sealed."""

    client_id: UUID
    merge_id: UUID
    accounts: tuple[BankAccount, ...]
    defaults: tuple[DefaultAccount, ...] = ()

    def redacted(self) -> Self:
        return self.but(accounts=tuple(it.redacted() for it in self.accounts))


class BankAccountsReleased(Event):
    """Accounts left with the clients they had come with."""

    merge_id: UUID
    account_ids: tuple[UUID, ...]
    defaults: tuple[DefaultAccount, ...] = ()


class BankAccountsReturned(Personal):
    """Accounts are back, as they are by now; some were removed while they were away."""

    merge_id: UUID
    accounts: tuple[BankAccount, ...]
    removed: tuple[UUID, ...]
    defaults: tuple[DefaultAccount, ...] = ()

    def redacted(self) -> Self:
        return self.but(accounts=tuple(it.redacted() for it in self.accounts))


class BankAccountsErased(Event):
    """Whose accounts these were is forgotten, and every number with it."""

    defaults: tuple[DefaultAccount, ...] = ()


BankAccountEvent = (
    BankAccountAdded
    | BankAccountRevised
    | DefaultBankAccountChosen
    | BankAccountRemoved
    | BankAccountsAdopted
    | BankAccountsReleased
    | BankAccountsReturned
    | BankAccountsErased
)

# State


class BankAccounts(State[BankAccountEvent]):
    client_id: UUID | None = None
    accounts: tuple[BankAccount, ...] = ()  # the oldest first
    defaults: tuple[DefaultAccount, ...] = ()  # one for each purpose that has any account
    came_by: dict[UUID, UUID] = {}  # the merge by which an account came, of those that did
    erased: bool = False

    def subject(self, event: BankAccountEvent) -> UUID | None:
        """The client; where accounts came by a merge that stands, the merge."""
        match event:
            case BankAccountsAdopted(merge_id=merge_id):
                return merge_id
            case BankAccountRevised(account_id=id) | BankAccountRemoved(account_id=id):
                return self.came_by.get(id, self.client_id)
            case _:
                return self.client_id

    def evolve(self, event: BankAccountEvent) -> Self:
        at, after = self.changed_at, self.but(defaults=_after(self.defaults, event.defaults))
        match event:
            case BankAccountAdded(client_id=client_id, account_id=id):
                added = BankAccount(id, event.details, event.number, at, at)
                return after.but(client_id=client_id, accounts=(*self.accounts, added))
            case BankAccountRevised(account_id=id, details=details):
                revised = (
                    it.but(details=details, revised_at=at) if it.id == id else it
                    for it in self.accounts
                )
                return after.but(accounts=tuple(revised))
            case DefaultBankAccountChosen():
                return after
            case BankAccountRemoved(account_id=id):
                return after.but(accounts=tuple(it for it in self.accounts if it.id != id))
            case BankAccountsAdopted(client_id=client_id, accounts=accounts):
                came_by = self.came_by | dict.fromkeys((it.id for it in accounts), event.merge_id)
                there = (*self.accounts, *accounts)
                return after.but(client_id=client_id, accounts=there, came_by=came_by)
            case BankAccountsReleased(account_ids=ids):
                left = tuple(it for it in self.accounts if it.id not in ids)
                own = {id: merge for id, merge in self.came_by.items() if id not in ids}
                return after.but(accounts=left, came_by=own)
            case BankAccountsReturned(accounts=accounts, removed=removed):
                now = {it.id: it for it in accounts}
                back = (now.get(it.id, it) for it in self.accounts if it.id not in removed)
                return after.but(accounts=tuple(back))
            case BankAccountsErased():
                known = tuple(it.redacted() for it in self.accounts)
                return after.but(accounts=known, erased=True)
            case _:
                assert_never(event)

    def account(self, account_id: UUID) -> BankAccount:
        """Raises `Missing` for one that is not there, or not any more."""
        for it in self.accounts:
            if it.id == account_id:
                return it
        raise Missing("There is no such bank account.")

    def default(self, purpose: Purpose) -> UUID | None:
        return next((it.account_id for it in self.defaults if it.purpose == purpose), None)

    # Decisions

    def add(
        self,
        client_id: UUID,
        account_id: UUID,
        details: AccountDetails,
        number: KeptNumber,
        *,
        default: bool = False,
    ) -> Events:
        """Add an account; the first for a purpose is the default in any case.

        Raises `Refused` `duplicate_account` where the client has it already.
        """
        details.check(number)
        for it in self.accounts:
            if it.number.fingerprint == number.fingerprint:
                raise Refused(
                    "The client has this account already.",
                    code="duplicate_account",
                    account_id=str(it.id),
                )
        if len(self.accounts) >= MOST_ACCOUNTS:
            raise Invalid(
                f"A client has at most {MOST_ACCOUNTS} bank accounts.", code="too_many_accounts"
            )
        chosen = default or self.default(details.purpose) is None
        defaults = (DefaultAccount(details.purpose, account_id),) if chosen else ()
        yield BankAccountAdded(client_id, account_id, details, number, defaults)

    def revise(
        self, account_id: UUID, details: AccountDetails, *, default: bool | None = None
    ) -> Events:
        """Change what is written of an account, and whether it is the default for its purpose.

        Raises `Refused` `default_needed` where a purpose would have accounts and no default.
        """
        known = self.account(account_id)
        details.check(known.number)
        before, now = known.details.purpose, details.purpose
        held = self.default(before) == account_id
        if default is False and held and before == now:
            raise Refused(
                f"One account is the default for {now}; choose another instead.",
                code="default_needed",
            )
        changed = []
        if held and before != now:
            changed.append(DefaultAccount(before, self._next(before, account_id)))
        if self.default(now) != account_id and (default or self.default(now) is None):
            changed.append(DefaultAccount(now, account_id))
        if details != known.details:
            yield BankAccountRevised(account_id, details, tuple(changed))
        elif changed:
            yield DefaultBankAccountChosen(tuple(changed))

    def remove(self, account_id: UUID) -> Events:
        """Remove an account; in the place of a default comes the oldest other for its purpose."""
        account = self.account(account_id)
        number, purpose = account.number, account.details.purpose
        defaults: tuple[DefaultAccount, ...] = ()
        if self.default(purpose) == account_id:
            defaults = (DefaultAccount(purpose, self._next(purpose, account_id)),)
        yield BankAccountRemoved(
            account_id, number.fingerprint, number.last4, number.sealed_by, defaults
        )

    def erase(self) -> Events:
        """Forget whose accounts these were, and those that were removed before."""
        if self.version and not self.erased:
            yield BankAccountsErased()

    # Merging

    def adopt(self, client_id: UUID, merge_id: UUID, accounts: tuple[BankAccount, ...]) -> Events:
        """Take accounts of merged clients in; a purpose without a default gets its first."""
        if accounts:
            there = (*self.accounts, *accounts)
            yield BankAccountsAdopted(client_id, merge_id, accounts, self._defaults(there))

    def release(
        self, merge_id: UUID, ids: tuple[UUID, ...], before: tuple[DefaultAccount, ...]
    ) -> Events:
        """Let accounts go that came by a merge; defaults are again what they were before."""
        gone = tuple(it.id for it in self.accounts if it.id in ids)
        left = tuple(it for it in self.accounts if it.id not in ids)
        if gone:
            yield BankAccountsReleased(merge_id, gone, self._defaults(left, before))

    def come_back(
        self, merge_id: UUID, accounts: tuple[BankAccount, ...], removed: tuple[UUID, ...]
    ) -> Events:
        """Have accounts back as they are by now, without those that were removed."""
        now = {it.id: it for it in accounts}
        there = tuple(now.get(it.id, it) for it in self.accounts if it.id not in removed)
        if accounts or removed:
            yield BankAccountsReturned(merge_id, accounts, removed, self._defaults(there))

    def _defaults(
        self, there: tuple[BankAccount, ...], before: tuple[DefaultAccount, ...] = ()
    ) -> tuple[DefaultAccount, ...]:
        """What changes of the defaults when these accounts are there."""
        changed = []
        for purpose in get_args(Purpose):
            fitting = [it.id for it in there if it.details.purpose == purpose]
            first = (it.account_id for it in before if it.purpose == purpose)
            wanted = [self.default(purpose), *first]
            chosen = next((it for it in (*wanted, *fitting) if it in fitting), None)
            if chosen != self.default(purpose):
                changed.append(DefaultAccount(purpose, chosen))
        return tuple(changed)

    def _next(self, purpose: Purpose, but: UUID) -> UUID | None:
        others = (it for it in self.accounts if it.details.purpose == purpose and it.id != but)
        return next((it.id for it in others), None)


def _after(
    before: tuple[DefaultAccount, ...], changed: tuple[DefaultAccount, ...]
) -> tuple[DefaultAccount, ...]:
    purposes = {it.purpose for it in changed}
    kept = (it for it in before if it.purpose not in purposes)
    return (*kept, *(it for it in changed if it.account_id is not None))


def bank_accounts_of(tenant: UUID, client_id: UUID) -> UUID:
    """The one stream of a client's bank accounts."""
    return named(tenant, "bank-accounts", str(client_id))
