"""Invoices: draft, rewrite, send, cancel, write off, delete."""

from datetime import date
from typing import Any, Literal, assert_never
from uuid import UUID

from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from projections.invoice_view import InvoiceView
from zeroinvoice.domain import billing, collecting
from zeroinvoice.domain.belonging import standing
from zeroinvoice.domain.billing import (
    DepositAsked,
    DiscountGiven,
    DraftInvoice,
    LineWritten,
    PeriodAsked,
    TaxMode,
)
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.collecting import PayInvoice
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.roles import Permission
from zeroinvoice.http.routes import delete, patch, post, put
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.money import Exact
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value


class ReviseInvoice(Value, kw_only=True, forbid_unknown_fields=True):
    """What shall change of an invoice. A field that is not sent stays; null clears it."""

    client_id: UUID | UnsetType = UNSET
    line_items: tuple[LineWritten, ...] | UnsetType = UNSET
    issue_date: date | None | UnsetType = UNSET
    due_date: date | None | UnsetType = UNSET
    payment_terms: str | None | UnsetType = UNSET
    currency: str | None | UnsetType = UNSET
    number: str | None | UnsetType = UNSET
    series: str | UnsetType = UNSET
    notes: str | None | UnsetType = UNSET
    private_notes: str | None | UnsetType = UNSET
    terms: str | None | UnsetType = UNSET
    footer: str | None | UnsetType = UNSET
    reference: str | None | UnsetType = UNSET
    po_number: str | None | UnsetType = UNSET
    template_id: UUID | None | UnsetType = UNSET
    tax_mode: TaxMode | UnsetType = UNSET
    discount: DiscountGiven | None | UnsetType = UNSET
    deposit: DepositAsked | None | UnsetType = UNSET
    attachments: tuple[str, ...] | UnsetType = UNSET
    project_id: UUID | None | UnsetType = UNSET
    language: str | None | UnsetType = UNSET
    service_period: PeriodAsked | None | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    custom: dict[str, Any] | UnsetType = UNSET
    expected_payment_date: date | None | UnsetType = UNSET
    reminders_enabled: bool | UnsetType = UNSET
    rounding_adjustment: Exact | UnsetType = UNSET
    fx_rate: Exact | None | UnsetType = UNSET
    fx_source: str | None | UnsetType = UNSET
    corrects: UUID | None | UnsetType = UNSET
    subtotal: Exact | None | UnsetType = UNSET
    tax_total: Exact | None | UnsetType = UNSET
    total: Exact | None | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        sent = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in sent if value is not UNSET}


class MoveInvoice(Value, kw_only=True, forbid_unknown_fields=True):
    """Where an invoice shall go next. `overdue` follows from the calendar and cannot be set."""

    status: Literal["draft", "sent", "paid", "cancelled", "written_off", "overdue"]
    reason: str | None = None
    override_credit_limit: bool = False
    record_payment: PayInvoice | None = None  # with `paid`: what was received
    issue_and_pay: bool = False  # with `paid`: send a draft first


BESIDES: dict[str, Permission] = {
    "cancelled": "invoices:cancel",
    "written_off": "invoices:cancel",
    "paid": "payments:write",
}
Shown = tuple[Invoice, date, UUID]  # the day it is, and whose the invoice is after merges


@post("/invoices", may="invoices:write")
async def draft(data: JSONBody[DraftInvoice], writer: Writing) -> InvoiceView:
    """Draft an invoice."""

    def decision(desk: Desk) -> Shown:
        return _shown(desk, billing.draft(desk, data))

    return InvoiceView.of(*await writer.commit(decision, wants=[(Client, data.client_id)]))


@put("/invoices/{invoice_id:uuid}", may="invoices:write")
async def revise(
    invoice_id: FromPath[UUID], data: JSONBody[ReviseInvoice], writer: Writing
) -> InvoiceView:
    """Rewrite a draft, or what may still change of an issued invoice."""

    def decision(desk: Desk) -> Shown:
        return _shown(desk, billing.revise(desk, invoice_id, data.changes()))

    return InvoiceView.of(*await writer.commit(decision, wants=[(Invoice, invoice_id)]))


@patch("/invoices/{invoice_id:uuid}/status", may="invoices:write")
async def move(
    invoice_id: FromPath[UUID], data: JSONBody[MoveInvoice], writer: Writing
) -> InvoiceView:
    """Send, cancel, write off or reinstate an invoice, or record that it is paid.

    Giving up money or recording it asks for the permission to do so.
    """
    if (more := BESIDES.get(data.status)) is not None:
        writer.needs(more)

    def decision(desk: Desk) -> Shown:
        return _shown(desk, _moved(desk, invoice_id, data, writer.has_key))

    return InvoiceView.of(*await writer.commit(decision, wants=[(Invoice, invoice_id)]))


@delete("/invoices/{invoice_id:uuid}", may="invoices:write")
async def discard(invoice_id: FromPath[UUID], writer: Writing) -> None:
    """Delete a draft."""
    await writer.decide(Invoice, invoice_id, lambda it: it.discard())


def _shown(desk: Desk, invoice: Invoice) -> Shown:
    return invoice, billing.today(desk), standing(desk, invoice.content.client_id).id


def _moved(desk: Desk, invoice_id: UUID, data: MoveInvoice, has_key: bool) -> Invoice:
    invoice = desk.open(Invoice, invoice_id)
    invoice.assert_there()
    if data.status != "paid" and (data.record_payment or data.issue_and_pay):
        raise Invalid("A payment is recorded with the status paid.", code="payment_without_paid")
    match data.status:
        case "sent" if invoice.status is Status.DRAFT:
            return billing.issue(desk, invoice_id, over_limit=data.override_credit_limit)
        case "sent" if invoice.status is Status.WRITTEN_OFF:
            return billing.reinstate(desk, invoice_id)
        case "sent":
            return desk.record(invoice, invoice.send_again())
        case "cancelled":
            return billing.cancel(desk, invoice_id, data.reason)
        case "written_off":
            return billing.write_off(desk, invoice_id, data.reason)
        case "overdue":
            raise Invalid(
                "An invoice is overdue by the calendar; nobody sets it.", code="derived_status"
            )
        case "paid":
            if data.issue_and_pay and invoice.status is Status.DRAFT:
                billing.issue(desk, invoice_id, over_limit=data.override_credit_limit)
            return collecting.pay(desk, invoice_id, data.record_payment, has_key=has_key)
        case "draft":
            return desk.record(invoice, invoice.stay(data.status))
        case _:
            assert_never(data.status)


routes = [draft, revise, move, discard]
