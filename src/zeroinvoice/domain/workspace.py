"""The workspace: one business, its settings and its tax codes; also the tenant of all its facts."""

from typing import Literal, Self, assert_never
from uuid import UUID
from zoneinfo import ZoneInfoNotFoundError

from zeroinvoice.domain.lines import CATEGORIES, Tax, TaxRounding
from zeroinvoice.domain.series import Chronology, Numbering, Reset
from zeroinvoice.domain.terms import parse
from zeroinvoice.kernel.clock import zone
from zeroinvoice.kernel.facts import NIL, Event, Events, State
from zeroinvoice.kernel.money import minor_units
from zeroinvoice.kernel.refusals import Invalid, Missing
from zeroinvoice.kernel.value import Value

Overpayment = Literal["refuse", "credit"]
MOST_TAX_CODES = 200


class Address(Value, omit_defaults=True):
    """A postal address as EN 16931 has it (BG-5, BG-8); `text` is the block as it was typed."""

    text: str | None = None
    address_lines: tuple[str, ...] = ()
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None  # ISO 3166-1 alpha-2


class Seller(Value, omit_defaults=True):
    """Who issues the documents (EN 16931 BG-4)."""

    legal_name: str | None = None
    address: Address = Address()
    tax_id: str | None = None  # VAT identification number
    registration: str | None = None  # in the trade register
    email: str | None = None
    phone: str | None = None
    payment_instructions: str | None = None


class NumberPattern(Value, omit_defaults=True):
    """How the numbers of one kind of document look, and when they begin again at 1."""

    pattern: str
    reset: Reset = "yearly"


PATTERNS = {
    "invoice": NumberPattern("INV-{YYYY}-{SEQ:5}"),
    "client": NumberPattern("C-{SEQ:5}", "never"),
    "receipt": NumberPattern("RCT-{YYYY}-{SEQ:5}"),
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
    numbers: dict[str, NumberPattern] = {}  # by kind of document; others have the default

    def check(self) -> None:
        """Raises `Invalid` for a setting that could not be used later."""
        minor_units(self.base_currency)
        parse(self.default_terms)
        try:
            zone(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Invalid(
                f"There is no time zone {self.time_zone!r}.", code="unknown_time_zone"
            ) from None
        if not 1 <= self.fiscal_year_start <= 12:
            raise Invalid("The fiscal year starts in a month from 1 to 12.", code="bad_month")
        for kind in self.numbers:
            if kind not in PATTERNS:
                raise Invalid(f"There are no numbers of {kind!r}.", code="unknown_number_kind")
            self.numbering(kind).check()

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


WorkspaceEvent = WorkspaceOpened | WorkspaceRevised | TaxCodeDefined | TaxCodeRetired

# State


class Workspace(State[WorkspaceEvent]):
    owner: UUID = NIL
    settings: Settings = Settings(name="")
    taxes: tuple[Tax, ...] = ()  # in the order in which they were first defined

    def evolve(self, event: WorkspaceEvent) -> Self:
        match event:
            case WorkspaceOpened(owner=owner, settings=settings):
                return self.but(owner=owner, settings=settings)
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
        if tax.category not in CATEGORIES:
            raise Invalid(
                f"{tax.category!r} is not a tax category of EN 16931.", code="unknown_category"
            )
        if not 0 <= tax.rate <= 100:
            raise Invalid("A tax rate is between 0 and 100 percent.", code="rate_out_of_range")
        if len(self.taxes) >= MOST_TAX_CODES:
            raise Invalid("A workspace has at most 200 tax codes.", code="too_many_tax_codes")
        if tax not in self.taxes:
            yield TaxCodeDefined(tax)

    def retire_tax(self, code: str) -> Events:
        if all(tax.code != code for tax in self.taxes):
            raise Missing(f"There is no tax code {code!r}.")
        yield TaxCodeRetired(code)
