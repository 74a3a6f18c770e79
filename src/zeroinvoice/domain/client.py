"""Clients: whom invoices are written to, and how they are expected to pay."""

from decimal import Decimal
from typing import Any, Literal, Self, assert_never, get_args
from uuid import UUID

from zeroinvoice.domain.addresses import Address, check_email, check_language, check_length
from zeroinvoice.domain.addresses import plausible_email as plausible_email
from zeroinvoice.domain.terms import parse
from zeroinvoice.domain.workspace import Settings
from zeroinvoice.kernel.clock import zone
from zeroinvoice.kernel.facts import ERASED, Erasure, Event, Events, Personal, State, erased
from zeroinvoice.kernel.money import in_units, minor_units
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused
from zeroinvoice.kernel.value import Value

PaymentMethod = Literal["card", "bank_transfer", "direct_debit", "check", "cash", "paypal", "other"]
TaxStatus = Literal["none", "exempt", "reverse_charge"]
Schedule = Literal["none", "weekly", "monthly", "quarterly"]

LONGEST = {  # characters
    "legal_name": 255,
    "phone": 50,
    "tax_id": 50,
    "tax_id_type": 30,
    "number": 64,
    "external_id": 255,
    "notes": 10_000,
    "peppol_id": 100,
}
MOST_TAGS, LONGEST_TAG = 50, 50


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

    def redacted(self) -> "Profile":
        """What remains without the person: how they were billed, and where taxes were due."""
        return Profile(
            name=ERASED,
            currency=self.currency,
            type=self.type,
            address=self.address.redacted(),
            shipping_address=self.shipping_address.redacted(),
            language=self.language,
            timezone=self.timezone,
            tax_exempt=self.tax_exempt,
            payment_terms=self.payment_terms,
            number=self.number,
            notes=erased(self.notes),
        )

    def check(self) -> None:
        """Raises `Invalid` for a value that documents could not be written with."""
        if not self.name.strip() or len(self.name) > 255:
            raise Invalid("A client's name has 1 to 255 characters.", code="bad_name")
        minor_units(self.currency)
        for name, longest in LONGEST.items():
            check_length(name, getattr(self, name), longest)
        self.address.check()
        self.shipping_address.check()
        if self.email is not None:
            check_email(self.email)
        if self.language is not None:
            check_language(self.language)
        if len(self.tags) > MOST_TAGS or any(not 1 <= len(it) <= LONGEST_TAG for it in self.tags):
            raise Invalid(
                f"There are at most {MOST_TAGS} tags of 1 to {LONGEST_TAG} characters.",
                code="bad_tags",
            )
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

    def check(self, currency: str) -> None:
        most = 100 if self.type == "percent" else None
        if self.value < 0 or (most is not None and self.value > most):
            raise Invalid(
                "A late fee is a percentage from 0 to 100, or an amount that is not negative.",
                code="late_fee_out_of_range",
            )
        if self.type == "amount":
            in_units(self.value, currency, "The late fee")
        if not 0 <= self.grace_days <= 365:
            raise Invalid("The days of grace are 0 to 365.", code="late_fee_out_of_range")


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
    statement_schedule: Schedule | None = None
    credit_limit: Decimal | None = None  # in the client's currency

    def check(self, currency: str) -> None:
        """Raises `Invalid` for what could not be used with documents in the currency."""
        if self.default_terms is not None:
            parse(self.default_terms)
        for name in ("min_partial_amount", "credit_limit"):
            amount = getattr(self, name)
            if amount is not None and amount < 0:
                raise Invalid(f"{name} is not negative.", code="negative_amount", field=name)
            if amount is not None:
                in_units(amount, currency, name)
        if self.late_fee is not None:
            self.late_fee.check(currency)
        if self.allowed_methods is not None and not self.allowed_methods:
            raise Invalid("Allow at least one method of payment.", code="no_payment_method")

    def over(self, below: "PaymentSettings") -> "PaymentSettings":
        """These settings, with what is unset taken from those below."""
        mine = {name: getattr(self, name) for name in self.__struct_fields__}
        return below.but(**{name: value for name, value in mine.items() if value is not None})


def inherited(workspace: Settings) -> PaymentSettings:
    """How a client pays for whom nothing is set: the workspace's choice, else the house's."""
    return PaymentSettings(
        default_terms=workspace.default_terms,
        late_fee=None,  # none is charged
        reminders_enabled=True,
        allowed_methods=get_args(PaymentMethod),  # every one
        autopay=False,
        auto_apply_credits=False,
        allow_partial=True,
        allow_overpayment=workspace.overpayment == "credit",
        min_partial_amount=None,  # any amount will do
        statement_schedule="none",
        credit_limit=None,  # there is none
    )


# Events


class ClientAdded(Personal):
    profile: Profile

    def redacted(self) -> Self:
        return self.but(profile=self.profile.redacted())


class ClientRevised(Personal):
    profile: Profile  # whole, as it is from now on

    def redacted(self) -> Self:
        return self.but(profile=self.profile.redacted())


class ClientPaymentSettingsRevised(Event):
    settings: PaymentSettings


class ClientArchived(Event):
    pass


class ClientRestored(Event):
    pass


class ClientDeleted(Event):
    pass


class ClientsMerged(Personal, kw_only=True):
    """Other clients became this one: what is theirs counts as its own from now on.

    No document is rewritten: it stays with the client it was written for, its home, and whoever
    wants to know whose it is follows the merges from there.
    """

    merge_id: UUID
    duplicates: tuple[UUID, ...]
    homes: tuple[UUID, ...]  # the duplicates, and all that had been merged into them before
    depth: int  # how many merges in a row lead here from the furthest of them
    aliases: tuple[str, ...]  # the duplicates' external ids
    profile: Profile  # whole, as it is from now on

    def redacted(self) -> Self:
        return self.but(profile=self.profile.redacted(), aliases=())


class ClientAbsorbed(Event):
    """This client became another one, and takes nothing new."""

    merge_id: UUID
    into: UUID


class ClientMergeUndone(Personal):
    """The clients of a merge stand for themselves again."""

    merge_id: UUID
    homes: tuple[UUID, ...]
    profile: Profile  # whole, as it is from now on

    def redacted(self) -> Self:
        return self.but(profile=self.profile.redacted())


class ClientReturned(Event):
    """This client stands for itself again, and for all that had been merged into it before."""

    merge_id: UUID
    homes: tuple[UUID, ...]  # itself first


class ClientErasureStarted(Event):
    """Who this is is being forgotten; nothing new is taken meanwhile."""


class ClientErased(Erasure):
    """Who this was is forgotten, in every copy. What they were billed and paid stays."""


ClientEvent = (
    ClientAdded
    | ClientRevised
    | ClientPaymentSettingsRevised
    | ClientArchived
    | ClientRestored
    | ClientDeleted
    | ClientsMerged
    | ClientAbsorbed
    | ClientMergeUndone
    | ClientReturned
    | ClientErasureStarted
    | ClientErased
)

# State


class Absorbed(Value):
    """A merge that stands: whom it made this client."""

    merge_id: UUID
    version: int  # of this client, since the merge
    duplicates: tuple[UUID, ...]
    homes: tuple[UUID, ...]
    depth: int
    aliases: tuple[str, ...]


class Client(State[ClientEvent]):
    profile: Profile = Profile(name="", currency="USD")
    settings: PaymentSettings = PaymentSettings()
    archived: bool = False
    deleted: bool = False
    absorbed: tuple[Absorbed, ...] = ()  # merges into this client that stand, the latest last
    merged_into: UUID | None = None
    merge_id: UUID | None = None  # the merge that made it another
    merges: tuple[UUID, ...] = ()  # every merge it took part in, undone ones among them
    erasing: bool = False
    erased: bool = False

    def subject(self, event: ClientEvent) -> UUID:
        """The client; of a merge's facts the merge, which is forgotten with any of its clients."""
        return event.merge_id if isinstance(event, ClientsMerged) else self.id

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
            case ClientsMerged(merge_id=merge_id, profile=profile):
                more = Absorbed(
                    merge_id,
                    self.version,
                    event.duplicates,
                    event.homes,
                    event.depth,
                    event.aliases,
                )
                merges = (*self.merges, merge_id)
                return self.but(profile=profile, absorbed=(*self.absorbed, more), merges=merges)
            case ClientAbsorbed(merge_id=merge_id, into=into):
                merges = (*self.merges, merge_id)
                return self.but(merged_into=into, merge_id=merge_id, merges=merges)
            case ClientMergeUndone(merge_id=merge_id, profile=profile):
                left = tuple(it for it in self.absorbed if it.merge_id != merge_id)
                return self.but(profile=profile, absorbed=left)
            case ClientReturned():
                return self.but(merged_into=None, merge_id=None)
            case ClientErasureStarted():
                return self.but(erasing=True)
            case ClientErased():
                return self.but(
                    profile=self.profile.redacted(),
                    absorbed=tuple(it.but(aliases=()) for it in self.absorbed),
                    archived=True,
                    erasing=False,
                    erased=True,
                )
            case _:
                assert_never(event)

    @property
    def homes(self) -> tuple[UUID, ...]:
        """All clients whose documents are this one's: itself first."""
        return (self.id, *(home for it in self.absorbed for home in it.homes))

    @property
    def depth(self) -> int:
        """How many merges in a row lead here from the furthest home."""
        return max((it.depth for it in self.absorbed), default=0)

    @property
    def since(self) -> int:
        """The version at which the latest merge that stands was made; 0 without one."""
        return max((it.version for it in self.absorbed), default=0)

    @property
    def aliases(self) -> tuple[str, ...]:
        """The external ids of clients that became this one."""
        return tuple(alias for it in self.absorbed for alias in it.aliases)

    @property
    def own_settings(self) -> PaymentSettings:
        """What is set for this client alone. The terms in the profile count before the others."""
        terms = self.profile.payment_terms
        return self.settings.but(default_terms=terms) if terms else self.settings

    def pays(self, workspace: Settings) -> PaymentSettings:
        """The settings that hold for this client, own or inherited."""
        return self.own_settings.over(inherited(workspace))

    def add(self, profile: Profile) -> Events:
        assert self.version == 0, "a client is added once"
        profile.check()
        yield ClientAdded(profile)

    def revise(self, profile: Profile, archived: bool | None, *, has_history: bool) -> Events:
        """Change the profile, and put the client away or bring it back.

        Raises `Refused` `currency_locked` once anything was issued, paid or credited.
        """
        self.assert_there()
        profile.check()
        if profile.currency != self.profile.currency and has_history:
            raise Refused(
                f"This client has documents in {self.profile.currency}; "
                "its currency cannot change any more.",
                code="currency_locked",
                currency=self.profile.currency,
            )
        self.settings.check(profile.currency)
        if profile != self.profile:
            yield ClientRevised(profile)
        if archived is not None and archived != self.archived:
            yield ClientArchived() if archived else ClientRestored()

    def set_payment(self, settings: PaymentSettings) -> Events:
        self.assert_there()
        settings.check(self.profile.currency)
        if settings != self.settings:
            yield ClientPaymentSettingsRevised(settings)

    def remove(self, *, has_history: bool) -> Events:
        """Delete a client without financial history; archive one with it, or with merges."""
        self.assert_there()
        if not has_history and not self.absorbed:
            yield ClientDeleted()
        elif not self.archived:
            yield ClientArchived()

    # Erasure

    def start_erasure(self) -> Events:
        """Take nothing new, so that all that is known can be found and forgotten."""
        if not self.erasing and not self.erased:
            yield ClientErasureStarted()

    def erase(self, subjects: tuple[UUID, ...]) -> Events:
        if not self.erased:
            assert self.erasing or self.merged_into, "nothing new was taken since it began"
            yield ClientErased(subjects)

    # Merging

    def absorb(self, event: ClientsMerged) -> Events:
        """Take other clients in, which have agreed to be merged into this one."""
        assert event.duplicates, "somebody is merged"
        yield event

    def merge_away(self, merge_id: UUID, into: UUID) -> Events:
        self.assert_mergeable()
        yield ClientAbsorbed(merge_id, into)

    def undo_merge(self, merge_id: UUID, profile: Profile) -> Events:
        """Let the clients of its latest merge go. Raises `Refused` `later_merge_exists`."""
        self.assert_latest(merge_id)
        yield ClientMergeUndone(merge_id, self.absorbed[-1].homes, profile)

    def come_back(self, merge_id: UUID) -> Events:
        assert self.merge_id == merge_id, "it was merged by this merge"
        yield ClientReturned(merge_id, self.homes)

    def assert_mergeable(self) -> None:
        """Raises `Refused` where it cannot take part in a merge."""
        self.assert_billable()

    def assert_latest(self, merge_id: UUID) -> None:
        """Raises `Refused` `later_merge_exists` unless this is the merge to be undone first."""
        later = self.merge_id
        if later is None and self.absorbed and self.absorbed[-1].merge_id != merge_id:
            later = self.absorbed[-1].merge_id
        if later is not None:
            raise Refused(
                "This client was merged again since; undo that merge first.",
                code="later_merge_exists",
                merge_id=str(later),
            )

    def assert_known(self) -> None:
        """Raises `Missing` for one that was deleted; one that was merged is still known."""
        if self.deleted:
            raise Missing("There is no such client.")

    def assert_not_erased(self) -> None:
        if self.erasing or self.erased:
            raise Refused("This client is erased, and takes nothing new.", code="client_erased")

    def assert_there(self) -> None:
        """Raises what refuses any change: `Missing`, or `Refused`: `client_merged`,
        `client_erased`.
        """
        self.assert_known()
        self.assert_not_erased()
        if self.merged_into is not None:
            raise Refused(
                "This client was merged into another one; write to that one.",
                code="client_merged",
                merged_into=str(self.merged_into),
            )

    def assert_billable(self) -> None:
        """Raises `Refused` when no new document may be written to this client."""
        self.assert_there()
        if self.archived:
            raise Refused("This client is archived; restore it first.", code="archived")
