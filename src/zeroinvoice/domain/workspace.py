"""The workspace: one business, its settings and its tax codes; also the tenant of all its facts."""

import re
from datetime import date
from typing import Literal, Self, assert_never
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

from zeroinvoice.domain.addresses import Address as Address
from zeroinvoice.domain.addresses import check_email, check_language, check_length
from zeroinvoice.domain.lines import Tax, TaxRounding, check_tax
from zeroinvoice.domain.membership import Membership, MembershipEvent
from zeroinvoice.domain.roles import Role
from zeroinvoice.domain.series import Chronology, Numbering, Reset
from zeroinvoice.domain.terms import parse
from zeroinvoice.kernel.clock import local_day, zone
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.money import minor_units
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused
from zeroinvoice.kernel.value import Value

Overpayment = Literal["refuse", "credit"]
Reasoned = Literal["cancel", "credit", "refund", "reopen", "erasure"]  # acts that may want a reason
MOST_TAX_CODES = 200

_CODE = re.compile(r"[A-Za-z0-9._-]{1,32}")


class Seller(Value, omit_defaults=True):
    """Who issues the documents (EN 16931 BG-4)."""

    legal_name: str | None = None
    address: Address = Address()
    tax_id: str | None = None  # VAT identification number
    registration: str | None = None  # in the trade register
    email: str | None = None
    phone: str | None = None
    payment_instructions: str | None = None

    def check(self) -> None:
        for name in ("legal_name", "tax_id", "registration", "phone"):
            check_length(name, getattr(self, name), 255)
        check_length("payment_instructions", self.payment_instructions, 2_000)
        self.address.check()
        if self.email is not None:
            check_email(self.email)


class NumberPattern(Value, omit_defaults=True):
    """How the numbers of one kind of document look, and when they begin again at 1."""

    pattern: str
    reset: Reset = "yearly"


PATTERNS = {
    "invoice": NumberPattern("INV-{YYYY}-{SEQ:5}"),
    "client": NumberPattern("C-{SEQ:5}", "never"),
    "receipt": NumberPattern("RCT-{YYYY}-{SEQ:5}"),
    "credit_note": NumberPattern("CN-{YYYY}-{SEQ:5}"),
}


class Settings(Value, omit_defaults=True):
    """What a workspace decides once for all its documents."""

    name: str
    seller: Seller = Seller()
    base_currency: str = "USD"  # ISO 4217
    time_zone: str = "UTC"  # IANA
    language: str = "en"  # BCP 47
    fiscal_year_start: int = 1  # month, 1 to 12
    default_terms: str = "net 30"
    tax_rounding: TaxRounding = "document"
    overpayment: Overpayment = "refuse"
    chronology: Chronology = "warn"  # an issue date before the last one's
    merge_undo_days: int = 30  # within which a merge of clients is undone without force
    reason_required_for: tuple[Reasoned, ...] = ()  # each once, in the order of the alphabet
    retention_years: int = 10  # for which clients are kept after their last year of business
    numbers: dict[str, NumberPattern] = {}  # by kind of document; others have the default

    def check(self) -> None:
        """Raises `Invalid` for a setting that could not be used later."""
        if not self.name.strip() or len(self.name) > 255:
            raise Invalid("A workspace's name has 1 to 255 characters.", code="bad_name")
        self.seller.check()
        check_language(self.language)
        minor_units(self.base_currency)
        parse(self.default_terms)
        try:
            zone(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Invalid(
                f"There is no time zone {self.time_zone!r}.", code="unknown_time_zone"
            ) from None
        if not 0 <= self.merge_undo_days <= 3650:
            raise Invalid("A merge can be undone for 0 to 3650 days.", code="bad_merge_undo_days")
        if not 0 <= self.retention_years <= 30:
            raise Invalid("Clients are kept for 0 to 30 years.", code="bad_retention_years")
        if not 1 <= self.fiscal_year_start <= 12:
            raise Invalid("The fiscal year starts in a month from 1 to 12.", code="bad_month")
        for kind in self.numbers:
            if kind not in PATTERNS:
                raise Invalid(f"There are no numbers of {kind!r}.", code="unknown_number_kind")
            self.numbering(kind).check()
        clients = self.numbering("client").pattern
        if "{CLIENT}" in clients or "{SERIES}" in clients:
            raise Invalid(
                "A client's number cannot show {CLIENT} or {SERIES}: it is the client's code.",
                code="bad_number_pattern",
            )

    def numbering(self, kind: str) -> Numbering:
        """How documents of a kind are numbered."""
        it = self.numbers.get(kind) or PATTERNS[kind]
        return Numbering(it.pattern, it.reset, self.fiscal_year_start, self.chronology)


# Events


class WorkspaceOpened(Event):
    owner: UUID  # the user who registered it
    settings: Settings


class WorkspaceRevised(Event):
    settings: Settings


class TaxCodeDefined(Event):
    tax: Tax  # `code` is set; a second definition of a code replaces the first


class TaxCodeRetired(Event):
    code: str


WorkspaceEvent = (
    WorkspaceOpened | WorkspaceRevised | TaxCodeDefined | TaxCodeRetired | MembershipEvent
)

# State


class Workspace(State[WorkspaceEvent]):
    membership: Membership = Membership()
    settings: Settings = Settings(name="")
    taxes: tuple[Tax, ...] = ()  # in the order in which they were first defined

    def evolve(self, event: WorkspaceEvent) -> Self:
        if isinstance(event, MembershipEvent):
            membership = self.membership.evolve(event, self.version, self.changed_at)
            return self.but(membership=membership)
        match event:
            case WorkspaceOpened(owner=owner, settings=settings):
                membership = Membership().joined(owner, "owner", self.changed_at)
                return self.but(membership=membership, settings=settings)
            case WorkspaceRevised(settings=settings):
                return self.but(settings=settings)
            case TaxCodeDefined(tax=tax):
                if any(known.code == tax.code for known in self.taxes):
                    taxes = tuple(tax if it.code == tax.code else it for it in self.taxes)
                else:
                    taxes = (*self.taxes, tax)
                return self.but(taxes=taxes)
            case TaxCodeRetired(code=code):
                return self.but(taxes=tuple(it for it in self.taxes if it.code != code))
            case _:
                assert_never(event)

    def role_of(self, user: UUID) -> Role | None:
        """What somebody is here; None when they are no member."""
        member = self.membership.members.get(user)
        return member.role if member else None

    def tax(self, code: str) -> Tax:
        """The tax of a code. Raises `Invalid` for one that is not defined."""
        for tax in self.taxes:
            if tax.code == code:
                return tax
        raise Invalid(f"There is no tax code {code!r}.", code="unknown_tax_code", tax_code=code)

    def open(self, owner: UUID, settings: Settings) -> Events:
        assert self.version == 0, "a workspace is opened once"
        settings.check()
        yield WorkspaceOpened(owner, settings)

    def revise(self, settings: Settings) -> Events:
        settings.check()
        if settings != self.settings:
            yield WorkspaceRevised(settings)

    def define_tax(self, tax: Tax) -> Events:
        """Define or replace a tax code; documents keep the tax they were written with."""
        if tax.code is None or _CODE.fullmatch(tax.code) is None:
            raise Invalid(
                "A tax code has 1 to 32 letters, digits, points, dashes and underscores.",
                code="bad_tax_code",
            )
        if not tax.name.strip() or len(tax.name) > 100:
            raise Invalid("A tax has a name of 1 to 100 characters.", code="bad_name")
        check_tax(tax)
        known = any(it.code == tax.code for it in self.taxes)
        if not known and len(self.taxes) >= MOST_TAX_CODES:
            raise Invalid(
                f"A workspace has at most {MOST_TAX_CODES} tax codes.", code="too_many_tax_codes"
            )
        if tax not in self.taxes:
            yield TaxCodeDefined(tax)

    def add_tax(self, tax: Tax) -> Events:
        """Define a tax code that is not there yet. Raises `Refused` `tax_code_taken`."""
        if any(it.code == tax.code for it in self.taxes):
            raise Refused(f"There is a tax code {tax.code} already.", code="tax_code_taken")
        yield from self.define_tax(tax)

    def replace_tax(self, tax: Tax) -> Events:
        """Define a tax code anew. Raises `Missing` when there is none."""
        self.own_tax(tax.code)
        yield from self.define_tax(tax)

    def retire_tax(self, code: str) -> Events:
        self.own_tax(code)
        yield TaxCodeRetired(code)

    def own_tax(self, code: str | None) -> Tax:
        """The tax of a code that an address names. Raises `Missing`."""
        for tax in self.taxes:
            if tax.code == code:
                return tax
        raise Missing("There is no such tax code.")


def today(desk: Desk) -> date:
    """The calendar day it is in the workspace's time zone."""
    settings = desk.open(Workspace, desk.tenant).settings
    return local_day(desk.now, settings.time_zone)


def assert_reason(desk: Desk, act: Reasoned, given: str | None = None) -> None:
    """Raises `Invalid` `reason_required` where the workspace wants to know why, and nobody says.

    A reason is the command's own, or one that is `given` with what is asked.
    """
    if act not in desk.find(Workspace, desk.tenant).settings.reason_required_for:
        return
    if not any(text and text.strip() for text in (desk.reason, given)):
        raise Invalid(
            f"Here a reason is needed for this ({act}); send it as X-Reason.",
            code="reason_required",
            act=act,
        )
