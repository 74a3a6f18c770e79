"""The workspace: revise its settings; define, replace and retire tax codes."""

from typing import Any

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from projections.workspace import TaxCodeView, WorkspaceView
from zeroinvoice.domain.addresses import AddressWritten, rewritten, text_or_none
from zeroinvoice.domain.lines import Tax, TaxRounding
from zeroinvoice.domain.series import Chronology, Reset
from zeroinvoice.domain.workspace import (
    PATTERNS,
    NumberPattern,
    Overpayment,
    Reasoned,
    Seller,
    Settings,
    Workspace,
)
from zeroinvoice.http.routes import delete, patch, post, put
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.money import Exact
from zeroinvoice.kernel.value import Value


class ReviseSeller(Value, kw_only=True, forbid_unknown_fields=True):
    legal_name: str | None | UnsetType = UNSET
    address: str | AddressWritten | None | UnsetType = UNSET
    tax_id: str | None | UnsetType = UNSET
    registration: str | None | UnsetType = UNSET
    email: str | None | UnsetType = UNSET
    phone: str | None | UnsetType = UNSET
    payment_instructions: str | None | UnsetType = UNSET

    def on(self, seller: Seller) -> Seller:
        sent = _sent(self)
        if "address" in sent:
            sent["address"] = rewritten(seller.address, sent["address"])
        texts = {name: text_or_none(it) for name, it in sent.items() if name != "address"}
        return seller.but(**{**sent, **texts})


class NumbersWanted(Value, kw_only=True, forbid_unknown_fields=True):
    pattern: str | UnsetType = UNSET
    reset: Reset | UnsetType = UNSET


class ReviseWorkspace(Value, kw_only=True, forbid_unknown_fields=True):
    """What shall change of the settings. A field that is not sent stays.

    `numbers` has one member a kind of document; null gives it its default back.
    """

    name: str | UnsetType = UNSET
    seller: ReviseSeller | UnsetType = UNSET
    base_currency: str | UnsetType = UNSET  # ISO 4217
    time_zone: str | UnsetType = UNSET  # IANA
    language: str | UnsetType = UNSET  # BCP 47
    fiscal_year_start: int | UnsetType = UNSET  # month, 1 to 12
    default_terms: str | UnsetType = UNSET
    tax_rounding: TaxRounding | UnsetType = UNSET
    overpayment: Overpayment | UnsetType = UNSET
    chronology: Chronology | UnsetType = UNSET
    merge_undo_days: int | UnsetType = UNSET
    reason_required_for: frozenset[Reasoned] | UnsetType = UNSET
    retention_years: int | UnsetType = UNSET
    numbers: dict[str, NumbersWanted | None] | UnsetType = UNSET

    def on(self, settings: Settings) -> Settings:
        sent = _sent(self)
        if self.seller is not UNSET:
            sent["seller"] = self.seller.on(settings.seller)
        if self.reason_required_for is not UNSET:
            sent["reason_required_for"] = tuple(sorted(self.reason_required_for))
        if self.numbers is not UNSET:
            sent["numbers"] = _numbers(settings.numbers, self.numbers)
        return settings.but(**sent)


class TaxWritten(Value, kw_only=True, forbid_unknown_fields=True):
    """A tax as lines may bear it; `inclusive` prices contain it."""

    name: str
    rate: Exact  # percent; 19 is 19 %
    category: str = "S"  # EN 16931
    inclusive: bool = False
    compound: bool = False
    withholding: bool = False

    def tax(self, code: str) -> Tax:
        return Tax(
            code,
            self.name,
            self.rate,
            self.category,
            self.inclusive,
            self.compound,
            self.withholding,
        )


class DefineTax(TaxWritten, kw_only=True):
    code: str


@patch("/workspace", may="workspace:write")
async def revise(data: JSONBody[ReviseWorkspace], writer: Writing) -> WorkspaceView:
    """Change some of the workspace's settings; documents on record stay as they are."""
    workspace = await writer.decide(
        Workspace, writer.tenant, lambda it: it.revise(data.on(it.settings))
    )
    return WorkspaceView.of(workspace)


@post("/workspace/tax-codes", may="taxes:write")
async def define_tax(data: JSONBody[DefineTax], writer: Writing) -> TaxCodeView:
    """Define a tax code."""
    tax = data.tax(data.code)
    workspace = await writer.decide(Workspace, writer.tenant, lambda it: it.add_tax(tax))
    return TaxCodeView.of(workspace.own_tax(data.code))


@put("/workspace/tax-codes/{code:str}", may="taxes:write")
async def replace_tax(
    code: FromPath[str], data: JSONBody[TaxWritten], writer: Writing
) -> TaxCodeView:
    """Define a tax code anew; documents keep the tax they were written with."""
    tax = data.tax(code)
    workspace = await writer.decide(Workspace, writer.tenant, lambda it: it.replace_tax(tax))
    return TaxCodeView.of(workspace.own_tax(code))


@delete("/workspace/tax-codes/{code:str}", may="taxes:write")
async def retire_tax(code: FromPath[str], writer: Writing) -> None:
    """Retire a tax code; no new line can bear it."""
    await writer.decide(Workspace, writer.tenant, lambda it: it.retire_tax(code))


def _sent(body: Value) -> dict[str, Any]:
    return {name: it for name in body.__struct_fields__ if (it := getattr(body, name)) is not UNSET}


def _numbers(
    before: dict[str, NumberPattern], wanted: dict[str, NumbersWanted | None]
) -> dict[str, NumberPattern]:
    after = dict(before)
    for kind, it in wanted.items():
        known = after.pop(kind, None) or PATTERNS.get(kind) or NumberPattern("")
        if it is not None or kind not in PATTERNS:  # the latter is refused by the settings
            after[kind] = known.but(**_sent(it)) if it else known
    return after


routes = [revise, define_tax, replace_tax, retire_tax]
