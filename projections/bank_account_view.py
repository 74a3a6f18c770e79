"""A bank account as it may be seen: never its number, only what is left when it is masked."""

from datetime import datetime
from uuid import UUID

from zeroinvoice.domain.bank_accounts import BankAccounts
from zeroinvoice.kernel.value import Value


class BankAccountView(Value):
    """A client's bank account. `version` is that of all the client's accounts together."""

    id: UUID
    type: str  # iban, us_ach, uk, au_bsb, other
    account_holder: str
    iban: str | None  # masked, as are the four below
    account_number: str | None
    routing_number: str | None
    sort_code: str | None
    bsb: str | None
    last4: str  # of the number; two characters of a short one
    bic: str | None
    bank_name: str | None
    currency: str
    country: str | None  # ISO 3166-1 alpha-2
    purpose: str  # refunds, direct_debit, info
    is_default: bool  # for its purpose
    mandate_ref: str | None
    mandate_signed_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    version: int

    @classmethod
    def of(cls, accounts: BankAccounts, account_id: UUID) -> "BankAccountView":
        """Raises `Missing` for an account that is not among them."""
        it = accounts.account(account_id)
        masked, details = it.number.masked, it.details
        written = {name: getattr(details, name) for name in details.__struct_fields__}
        return cls(
            id=it.id,
            type=it.number.type,
            last4=it.number.last4,
            is_default=accounts.default(details.purpose) == it.id,
            created_at=it.added_at,
            updated_at=it.revised_at,
            version=accounts.version,
            **{name: getattr(masked, name) for name in masked.__struct_fields__},
            **{**written, "country": it.country},
        )
