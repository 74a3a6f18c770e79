"""An invoice as one sees it alone: the same view for a write's answer, a read and the past."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import UNSET, UnsetType

from projections.explaining import Explained
from zeroinvoice.domain.credit_note import line_id
from zeroinvoice.domain.invoice import Buyer, Deposit, Invoice, Period, Status
from zeroinvoice.domain.lines import Discount, Line, TaxRow
from zeroinvoice.domain.workspace import Seller
from zeroinvoice.kernel.value import Value


class LineView(Value):
    id: UUID  # by which a credit note names it; of a draft it is the place among the lines
    description: str
    quantity: Decimal
    unit_price: Decimal
    unit: str | None
    sku: str | None
    discount: Discount | None
    tax_codes: tuple[str, ...]
    tax_rates: tuple[Decimal, ...]  # percent
    service_date: date | None
    time_entry_ids: tuple[UUID, ...]
    expense_id: UUID | None
    net: Decimal  # quantity times price less the line's discount, rounded
    tax: Decimal  # its share of the taxes below, so that the columns add up

    @classmethod
    def of(cls, id: UUID, line: Line, net: Decimal, tax: Decimal) -> "LineView":
        return cls(
            id,
            line.description,
            line.quantity,
            line.unit_price,
            line.unit,
            line.sku,
            line.discount,
            tuple([tax.code for tax in line.taxes if tax.code]),
            tuple([tax.rate for tax in line.taxes]),
            line.service_date,
            line.time_entry_ids,
            line.expense_id,
            net,
            tax,
        )


class NoteView(Value):
    """A credit note that stands against the invoice."""

    credit_id: UUID
    number: str
    total: Decimal


class InvoiceView(Value, kw_only=True):
    """An invoice with everything it says. Amounts are in `currency`; rates in percent."""

    id: UUID
    number: str | None
    status: str  # draft, sent, overdue, paid, cancelled, written_off
    payment_state: str  # unpaid, partial, paid, overpaid
    client_id: UUID  # after merges
    billed_to: UUID  # as it was drafted
    currency: str
    issue_date: date
    due_date: date
    payment_terms: str
    line_items: list[LineView]
    subtotal: Decimal
    discount: Discount | None
    discount_total: Decimal
    net_total: Decimal
    tax_mode: str
    tax_rounding: str
    tax_breakdown: tuple[TaxRow, ...]
    tax_total: Decimal
    rounding_adjustment: Decimal
    withheld: Decimal
    total: Decimal
    amount_paid: Decimal
    amount_overpaid: Decimal  # a credit of the client's since then
    amount_credited: Decimal  # by credits that are applied
    amount_refunded: Decimal  # of what was paid, also by credit notes
    amount_written_off: Decimal
    balance_due: Decimal
    is_overdue: bool
    days_overdue: int
    deposit: Deposit | None
    notes: str | None
    terms: str | None
    footer: str | None
    reference: str | None
    po_number: str | None
    series: str
    template_id: UUID | None
    project_id: UUID | None
    language: str | None
    service_period: Period | None
    fx_rate: Decimal | None
    fx_source: str | None
    seller: Seller | None  # as at issue
    buyer: Buyer | None  # as at issue
    private_notes: str | None
    tags: tuple[str, ...]
    custom: dict[str, Any]
    attachments: tuple[str, ...]
    expected_payment_date: date | None
    reminders_enabled: bool
    credit_notes: list[NoteView]
    links: dict[str, UUID | None]
    created_at: datetime | None
    updated_at: datetime | None
    sent_at: datetime | None
    paid_at: datetime | None
    cancelled_at: datetime | None
    version: int
    explained: Explained | UnsetType = UNSET  # how balance_due comes about; only on request

    @classmethod
    def of(cls, it: Invoice, today: date, client_id: UUID) -> "InvoiceView":
        """The view a read and a write answer with; `today` is the workspace's calendar day, and
        `client_id` whose it is after merges.
        """
        content, handling, totals = it.content, it.handling, it.totals
        late_since = it.overdue_since(today)
        none = totals.total - totals.total  # zero, with the currency's digits
        return cls(
            id=it.id,
            number=it.number or content.number,
            status="overdue" if late_since else it.status.value,
            payment_state=_payment_state(it),
            client_id=client_id,
            billed_to=content.client_id,
            currency=content.currency,
            issue_date=content.issue_date,
            due_date=content.due_date,
            payment_terms=content.payment_terms,
            line_items=[
                LineView.of(line_id(it.id, number), *row)
                for number, row in enumerate(
                    zip(content.lines, totals.line_nets, totals.line_taxes, strict=True), 1
                )
            ],
            subtotal=totals.subtotal,
            discount=content.discount,
            discount_total=totals.discount_total,
            net_total=totals.net_total,
            tax_mode=content.tax_mode,
            tax_rounding=totals.tax_rounding,
            tax_breakdown=totals.tax_breakdown,
            tax_total=totals.tax_total,
            rounding_adjustment=none + totals.rounding_adjustment,
            withheld=none + totals.withheld,
            total=totals.total,
            amount_paid=none + it.paid,
            amount_overpaid=none + it.received.overpaid,
            amount_credited=none + it.credited.amount,
            amount_refunded=none + it.refunded,
            amount_written_off=none + it.written_off,
            balance_due=none + it.balance_due,
            is_overdue=late_since is not None,
            days_overdue=(today - late_since).days if late_since else 0,
            deposit=content.deposit,
            notes=content.notes,
            terms=content.terms,
            footer=content.footer,
            reference=content.reference,
            po_number=content.po_number,
            series=content.series,
            template_id=content.template_id,
            project_id=content.project_id,
            language=content.language,
            service_period=content.service_period,
            fx_rate=content.fx_rate,
            fx_source=content.fx_source,
            seller=it.seller if it.issued else None,
            buyer=it.buyer,
            private_notes=handling.private_notes,
            tags=handling.tags,
            custom=handling.custom,
            attachments=handling.attachments,
            expected_payment_date=handling.expected_payment_date,
            reminders_enabled=handling.reminders_enabled,
            credit_notes=[
                NoteView(note.credit_id, note.number, note.totals.total)
                for note in it.credited.notes
            ],
            links={"corrects": content.corrects},
            created_at=it.created_at,
            updated_at=it.changed_at,
            sent_at=it.sent_at,
            paid_at=it.paid_at,
            cancelled_at=it.cancelled_at,
            version=it.version,
        )


def _payment_state(it: Invoice) -> str:
    if it.status is Status.PAID:
        return "overpaid" if it.received.overpaid else "paid"
    return "partial" if it.settled else "unpaid"
