"""A payment as one sees it alone: the same view for a write's answer, a read and the past."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.payment import Payment, Receipt
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.value import Value


class AllocationView(Value):
    invoice_id: UUID
    invoice_number: str
    amount: Decimal
    currency: str  # the invoice's


class PaymentView(Value, kw_only=True):
    """A payment with what it settles. Where it is voided, its allocations tell what it settled."""

    id: UUID
    status: str  # succeeded, voided
    client_id: UUID
    amount: Decimal  # as received
    currency: str  # of the amount and the fee
    fee_amount: Decimal
    worth: Decimal  # the amount in `worth_currency`, at the rate
    worth_currency: str  # of the invoices, and of the three amounts below
    applied: Decimal
    unapplied: Decimal
    amount_overpaid: Decimal  # what is unapplied because the invoices had less due
    fx_rate: Decimal | None  # `fx_currency` for one of `currency`
    fx_currency: str | None
    allocations: list[AllocationView]
    method: str
    received_on: date
    reference: str | None
    external_id: str | None
    source: str
    note: str | None
    receipt: Receipt | None
    void_reason: str | None
    voided_at: datetime | None
    created_at: datetime | None
    updated_at: datetime | None
    version: int

    @classmethod
    def of(cls, it: Payment) -> "PaymentView":
        entry = it.entry
        allocations = [
            AllocationView(part.invoice_id, part.number, part.amount, entry.worth.currency)
            for part in entry.allocations
        ]
        unapplied = it.unapplied
        overpaid = unapplied if allocations else Money.zero(unapplied.currency)
        return cls(
            id=it.id,
            status=it.status.value,
            client_id=entry.client_id,
            amount=entry.amount.amount,
            currency=entry.amount.currency,
            fee_amount=Money.zero(entry.amount.currency).amount + entry.fee_amount,
            worth=entry.worth.amount,
            worth_currency=entry.worth.currency,
            applied=it.applied.amount,
            unapplied=unapplied.amount,
            amount_overpaid=overpaid.amount,
            fx_rate=entry.fx_rate,
            fx_currency=entry.fx_currency,
            allocations=allocations,
            method=entry.method,
            received_on=entry.received_on,
            reference=entry.reference,
            external_id=entry.external_id,
            source=entry.source,
            note=entry.note,
            receipt=it.receipt,
            void_reason=it.void_reason,
            voided_at=it.voided_at,
            created_at=it.created_at,
            updated_at=it.changed_at,
            version=it.version,
        )
