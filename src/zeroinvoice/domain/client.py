"""Clients: whom invoices are written to, and how they are expected to pay."""

from decimal import Decimal
from typing import Any, Literal, Self, assert_never

from zeroinvoice.domain.account import Account
from zeroinvoice.domain.terms import parse
from zeroinvoice.domain.workspace import Address
from zeroinvoice.kernel.clock import zone
from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.money import minor_units
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused
from zeroinvoice.kernel.value import Value

PaymentMethod = Literal["card", "bank_transfer", "direct_debit", "check", "cash", "paypal", "other"]
TaxStatus = Literal["none", "exempt", "reverse_charge"]


class Profile(Value, omit_defaults=True):
    """Everything a user may write about a client. `phone_e164` is derived where it can be."""

    name: str
    currency: str  # ISO 4217
    legal_name: str | None = None
    type: Literal["company", "person"] = "company"
    email: str | None = None
    phone: str | None = None
    phone_e164: str | None = None
    address: Address = Address()
    shipping_address: Address = Address()
    language: str | None = None
    timezone: str | None = None  # IANA; for reminders, the workspace's when unset
    tax_id: str | None = None
    tax_id_type: str | None = None
    tax_exempt: TaxStatus = "none"
    payment_terms: str | None = None
    number: str | None = None
    external_id: str | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None  # private
    custom: dict[str, Any] = {}
    peppol_id: str | None = None

    def check(self) -> None:
        """Raises `Invalid` for a value that documents could not be written with."""
        if not self.name.strip() or len(self.name) > 255:
            raise Invalid("A client's name has 1 to 255 characters.", code="bad_name")
        minor_units(self.currency)
        if self.email is not None and not plausible_email(self.email):
            raise Invalid(f"{self.email!r} is not an e-mail address.", code="bad_email")
        if self.payment_terms is not None:
            parse(self.payment_terms)
        if self.timezone is not None:
            try:
                zone(self.timezone)
            except (KeyError, ValueError, OSError):
                raise Invalid(
                    f"There is no time zone {self.timezone!r}.", code="unknown_time_zone"
                ) from None


class LateFee(Value):
    type: Literal["percent", "amount"]
    value: Decimal  # percent of the balance, or an amount in the client's currency
    grace_days: int = 0


class PaymentSettings(Value, omit_defaults=True):
    """How one client pays; what is unset is inherited from the workspace."""

    default_terms: str | None = None
    late_fee: LateFee | None = None
    reminders_enabled: bool | None = None
    allowed_methods: tuple[PaymentMethod, ...] | None = None
    autopay: bool | None = None
    auto_apply_credits: bool | None = None
    allow_partial: bool | None = None
    allow_overpayment: bool | None = None
    min_partial_amount: Decimal | None = None  # in the client's currency
    statement_schedule: Literal["none", "weekly", "monthly", "quarterly"] | None = None
    credit_limit: Decimal | None = None  # in the client's currency

    def check(self) -> None:
        if self.default_terms is not None:
            parse(self.default_terms)
        for name in ("min_partial_amount", "credit_limit"):
            amount = getattr(self, name)
            if amount is not None and amount < 0:
                raise Invalid(f"{name} is not negative.", code="negative_amount", field=name)


# Events


class ClientAdded(Event):
    profile: Profile


class ClientRevised(Event):
    profile: Profile  # whole, as it is from now on


class ClientPaymentSettingsRevised(Event):
    settings: PaymentSettings


class ClientArchived(Event):
    pass


class ClientRestored(Event):
    pass


class ClientDeleted(Event):
    pass


ClientEvent = (
    ClientAdded
    | ClientRevised
    | ClientPaymentSettingsRevised
    | ClientArchived
    | ClientRestored
    | ClientDeleted
)

# State


class Client(State[ClientEvent]):
    profile: Profile = Profile(name="", currency="USD")
    settings: PaymentSettings = PaymentSettings()
    archived: bool = False
    deleted: bool = False

    def evolve(self, event: ClientEvent) -> Self:
        match event:
            case ClientAdded(profile=profile) | ClientRevised(profile=profile):
                return self.but(profile=profile)
            case ClientPaymentSettingsRevised(settings=settings):
                return self.but(settings=settings)
            case ClientArchived():
                return self.but(archived=True)
            case ClientRestored():
                return self.but(archived=False)
            case ClientDeleted():
                return self.but(deleted=True)
            case _:
                assert_never(event)

    def add(self, profile: Profile) -> Events:
        assert self.version == 0, "a client is added once"
        profile.check()
        yield ClientAdded(profile)

    def revise(self, profile: Profile, archived: bool | None, account: Account) -> Events:
        """Change the profile, and put the client away or bring it back.

        Raises `Refused` `currency_locked` once anything was issued, paid or credited.
        """
        self.assert_there()
        profile.check()
        if profile.currency != self.profile.currency and account.version:
            raise Refused(
                f"{self.profile.name} has documents in {self.profile.currency}; "
                "its currency cannot change any more.",
                code="currency_locked",
                currency=self.profile.currency,
            )
        if profile != self.profile:
            yield ClientRevised(profile)
        if archived is not None and archived != self.archived:
            yield ClientArchived() if archived else ClientRestored()

    def set_payment(self, settings: PaymentSettings) -> Events:
        self.assert_there()
        settings.check()
        if settings != self.settings:
            yield ClientPaymentSettingsRevised(settings)

    def remove(self, account: Account) -> Events:
        """Delete a client without financial history; archive one with it."""
        self.assert_there()
        if not account.version:
            yield ClientDeleted()
        elif not self.archived:
            yield ClientArchived()

    def assert_there(self) -> None:
        if self.deleted:
            raise Missing("There is no such client.")

    def assert_billable(self) -> None:
        """Raises `Refused` when no new document may be written to this client."""
        self.assert_there()
        if self.archived:
            raise Refused(f"{self.profile.name} is archived; restore it first.", code="archived")


def plausible_email(address: str) -> bool:
    """Whether mail could be sent there (RFC 5321 lengths; the rest only a server can tell)."""
    local, at, domain = address.rpartition("@")
    return (
        bool(at and local and domain)
        and len(address) <= 254
        and "." in domain.strip(".")
        and not any(c.isspace() or c in '<>()[]\\,;:"' for c in address)
        and "@" not in local
    )
