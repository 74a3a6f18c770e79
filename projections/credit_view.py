"""A credit as one sees it alone: the same view for a write's answer, a read and the past."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.credit_note import NoteLine, line_id
from zeroinvoice.domain.taxes import TaxRow
from zeroinvoice.kernel.value import Value


class CreditLineView(Value):
    """What a credit note takes back of one line of its invoice."""

    invoice_line_id: UUID
    description: str
    quantity: Decimal | None  # where it was given by quantity
    amount: Decimal  # of the line's net

    @classmethod
    def of(cls, it: NoteLine, invoice_id: UUID) -> "CreditLineView":
        return cls(line_id(invoice_id, it.line), it.description, it.quantity, it.amount)


class ApplicationView(Value):
    application_id: UUID
    invoice_id: UUID
    invoice_number: str
    amount: Decimal
    applied_on: date
    unapplied_at: datetime | None  # when it was taken back


class RefundView(Value):
    refund_id: UUID
    amount: Decimal
    method: str
    refunded_on: date
    reference: str | None
    note: str | None
    payment_id: UUID | None  # that was paid back
    bank_account_id: UUID | None  # to which it went


class CreditView(Value, kw_only=True):
    """A credit with what became of it. Amounts are in `currency`; rates in percent."""

    id: UUID
    type: str  # credit_note, goodwill, prepayment, overpayment
    status: str  # issued, partially_applied, applied, refunded, expired, void
    number: str | None  # a credit note's
    client_id: UUID
    currency: str
    amount: Decimal  # what it is worth to the client
    applied: Decimal
    refunded: Decimal
    remaining: Decimal
    reason: str
    note: str | None
    issued_on: date
    expires_on: date | None
    invoice_id: UUID | None  # that it corrects, or that was overpaid
    invoice_number: str | None
    payment_id: UUID | None  # of which it is the rest
    lines: list[CreditLineView]
    subtotal: Decimal | None  # of a credit note, as are the amounts below
    discount_total: Decimal | None
    net_total: Decimal | None
    tax_breakdown: tuple[TaxRow, ...]  # within a prepayment, too
    tax_total: Decimal | None
    rounding_adjustment: Decimal | None
    withheld: Decimal | None
    total: Decimal | None
    applications: list[ApplicationView]
    refunds: list[RefundView]
    void_reason: str | None
    voided_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    version: int

    @classmethod
    def of(cls, it: Credit, today: date, client_id: UUID) -> "CreditView":
        """The view a read and a write answer with; `today` is the workspace's calendar day, and
        `client_id` whose it is after merges.
        """
        entry, totals = it.entry, it.entry.totals
        none = entry.amount.amount - entry.amount.amount  # zero, with the currency's digits
        return cls(
            id=it.id,
            type=entry.type,
            status=it.status(today).value,
            number=entry.number,
            client_id=client_id,
            currency=it.currency,
            amount=entry.amount.amount,
            applied=none + it.applied,
            refunded=none + it.refunded,
            remaining=it.remaining.amount,
            reason=entry.reason,
            note=entry.note,
            issued_on=entry.issued_on,
            expires_on=entry.expires_on,
            invoice_id=entry.invoice_id,
            invoice_number=entry.invoice_number,
            payment_id=entry.payment_id,
            lines=[CreditLineView.of(line, entry.invoice_id or it.id) for line in entry.lines],
            subtotal=totals.subtotal if totals else None,
            discount_total=totals.discount_total if totals else None,
            net_total=totals.net_total if totals else None,
            tax_breakdown=totals.tax_breakdown if totals else entry.taxes,
            tax_total=totals.tax_total if totals else None,
            rounding_adjustment=none + totals.rounding_adjustment if totals else None,
            withheld=none + totals.withheld if totals else None,
            total=totals.total if totals else None,
            applications=[
                ApplicationView(
                    *(getattr(part, name) for name in ApplicationView.__struct_fields__)
                )
                for part in it.applications
            ],
            refunds=[
                RefundView(*(getattr(back, name) for name in RefundView.__struct_fields__))
                for back in it.refunds
            ],
            void_reason=it.void_reason,
            voided_at=it.voided_at,
            created_at=it.created_at,
            updated_at=it.changed_at,
            version=it.version,
        )
