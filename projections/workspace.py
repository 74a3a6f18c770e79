"""The workspace as its people see it: its settings and its tax codes, read from its stream."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from litestar.params import FromPath

from projections.client_view import AddressView
from zeroinvoice.domain.lines import Tax
from zeroinvoice.domain.workspace import PATTERNS, Seller, Workspace
from zeroinvoice.http.reading import Reading
from zeroinvoice.http.routes import get
from zeroinvoice.kernel.value import Value
from zeroinvoice.readside.paging import Page


class NumberPatternView(Value):
    pattern: str
    reset: str


class SellerView(Value):
    """Who issues the documents."""

    legal_name: str | None
    address: AddressView
    tax_id: str | None
    registration: str | None
    email: str | None
    phone: str | None
    payment_instructions: str | None

    @classmethod
    def of(cls, it: Seller) -> "SellerView":
        return cls(
            it.legal_name,
            AddressView.of(it.address),
            it.tax_id,
            it.registration,
            it.email,
            it.phone,
            it.payment_instructions,
        )


class WorkspaceView(Value, kw_only=True):
    """A workspace's settings."""

    id: UUID
    name: str
    seller: SellerView
    base_currency: str
    time_zone: str
    language: str
    fiscal_year_start: int  # month, 1 to 12
    default_terms: str
    tax_rounding: str
    overpayment: str
    chronology: str
    merge_undo_days: int
    reason_required_for: tuple[str, ...]  # what is not done without an X-Reason
    retention_years: int  # for which clients are kept after their last year of business
    numbers: dict[str, NumberPatternView]  # by kind of document, defaults included
    created_at: datetime | None
    updated_at: datetime | None
    version: int

    @classmethod
    def of(cls, it: Workspace) -> "WorkspaceView":
        settings = it.settings
        patterns = {kind: settings.numbers.get(kind) or PATTERNS[kind] for kind in PATTERNS}
        return cls(
            id=it.id,
            name=settings.name,
            seller=SellerView.of(settings.seller),
            base_currency=settings.base_currency,
            time_zone=settings.time_zone,
            language=settings.language,
            fiscal_year_start=settings.fiscal_year_start,
            default_terms=settings.default_terms,
            tax_rounding=settings.tax_rounding,
            overpayment=settings.overpayment,
            chronology=settings.chronology,
            merge_undo_days=settings.merge_undo_days,
            reason_required_for=settings.reason_required_for,
            retention_years=settings.retention_years,
            numbers={kind: NumberPatternView(p.pattern, p.reset) for kind, p in patterns.items()},
            created_at=it.created_at,
            updated_at=it.changed_at,
            version=it.version,
        )


class TaxCodeView(Value):
    code: str
    name: str
    rate: Decimal  # percent
    category: str  # EN 16931
    inclusive: bool
    compound: bool
    withholding: bool

    @classmethod
    def of(cls, it: Tax) -> "TaxCodeView":
        return cls(
            it.code or "",
            it.name,
            it.rate,
            it.category,
            it.inclusive,
            it.compound,
            it.withholding,
        )


@get("/workspace", may="workspace:read")
def show(reader: Reading) -> WorkspaceView:
    """Show the workspace's settings, now or as they were at `as_of`."""
    return WorkspaceView.of(reader.state(Workspace, reader.tenant))


@get("/workspace/tax-codes", may="workspace:read")
def browse_tax_codes(reader: Reading) -> Page[TaxCodeView]:
    """List the tax codes, in the order in which they were defined."""
    workspace = reader.state(Workspace, reader.tenant)
    return Page([TaxCodeView.of(tax) for tax in workspace.taxes])


@get("/workspace/tax-codes/{code:str}", may="workspace:read")
def show_tax_code(code: FromPath[str], reader: Reading) -> TaxCodeView:
    """Show one tax code, now or as it was at `as_of`."""
    return TaxCodeView.of(reader.state(Workspace, reader.tenant).own_tax(code))


routes = [show, browse_tax_codes, show_tax_code]
