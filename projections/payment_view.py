"""A payment as one sees it alone: the same view for a write's answer, a read and the past."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from msgspec import UNSET, UnsetType

from projections.explaining import Explained
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.payment import Allocation, Payment, PaymentRefunded, Receipt, Status
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.value import Value


class AllocationView(Value):
    invoice_id: UUID
    invoice_number: str
    amount: Decimal
    currency: str  # the invoice's

    @classmethod
    def of(cls, it: Allocation, currency: str) -> "AllocationView":
        return cls(it.invoice_id, it.number, it.amount, currency)


class PaymentRefundView(Value):
    """What of a payment was paid back, and where it was taken from."""

    refund_id: UUID
    amount: Decimal  # in the payment's currency
    method: str
    refunded_on: date
    reference: str | None
    note: str | None
    worth: Decimal  # in the invoices' currency, as are those below; they add up to it
    unapplied: Decimal
    overpaid: Decimal
    allocations: list[AllocationView]

    @classmethod
    def of(cls, it: PaymentRefunded, currency: str) -> "PaymentRefundView":
        none = it.worth - it.worth
        return cls(
            it.refund_id,
            it.amount.amount,
            it.method,
            it.refunded_on,
            it.reference,
            it.note,
            it.worth,
            none + it.unapplied,
            none + it.overpaid,
            [AllocationView.of(part, currency) for part in it.allocations],
        )


class PaymentView(Value, kw_only=True):
    """A payment with what it settles. Where it is voided, its allocations tell what it settled."""

    id: UUID
    status: str  # succeeded, partially_refunded, refunded, voided
    client_id: UUID  # after merges
    amount: Decimal  # as received
    currency: str  # of the amount and the fee
    fee_amount: Decimal
    worth: Decimal  # the amount in `worth_currency`, at the rate
    worth_currency: str  # of the invoices, and of the three amounts below
    applied: Decimal
    unapplied: Decimal
    amount_overpaid: Decimal  # what its invoices had no use for
    credit_id: UUID | None  # that it became
    refunded: Decimal  # in the payment's currency
    refunds: list[PaymentRefundView]
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
    def of(cls, it: Payment, client_id: UUID) -> "PaymentView":
        """The view a read and a write answer with; `client_id` is whose it is after merges."""
        entry = it.entry
        allocations = [AllocationView.of(part, entry.worth.currency) for part in it.allocations]
        unapplied, over = it.unapplied, entry.overpaid
        # Before there were credits, what was paid too much stayed unapplied.
        overpaid = unapplied if entry.allocations else Money.zero(unapplied.currency)
        if over is not None and it.status is not Status.VOIDED:
            overpaid = Money(over.amount, unapplied.currency)
        return cls(
            id=it.id,
            status=it.status.value,
            client_id=client_id,
            amount=entry.amount.amount,
            currency=entry.amount.currency,
            fee_amount=Money.zero(entry.amount.currency).amount + entry.fee_amount,
            worth=entry.worth.amount,
            worth_currency=entry.worth.currency,
            applied=it.applied.amount,
            unapplied=unapplied.amount,
            amount_overpaid=overpaid.amount,
            credit_id=over.credit_id if over else None,
            refunded=it.refunded.amount,
            refunds=[PaymentRefundView.of(back, entry.worth.currency) for back in it.refunds],
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


class PaidTotal(Value, kw_only=True):
    """What an invoice asks for and what became of it. Amounts are in `currency`."""

    invoice_id: UUID
    currency: str
    total: Decimal
    paid: Decimal
    credited: Decimal
    processing: Decimal  # on its way, and not counted as paid yet
    refunded: Decimal
    written_off: Decimal
    balance_due: Decimal
    payments_count: int
    last_payment_on: date | None  # the latest day on which one was received
    last_payment_at: datetime | None  # when the latest one was recorded
    explained: Explained | UnsetType = UNSET  # how balance_due comes about; only on request

    @classmethod
    def of(cls, it: Invoice) -> "PaidTotal":
        none = it.totals.total - it.totals.total  # zero, with the currency's digits
        return cls(
            invoice_id=it.id,
            currency=it.currency,
            total=it.totals.total,
            paid=none + it.paid,
            credited=none + it.credited.amount,
            processing=none,
            refunded=none + it.refunded,
            written_off=none + it.written_off,
            balance_due=none + it.balance_due,
            payments_count=len({part.payment_id for part in it.payments}),
            last_payment_on=max((part.received_on for part in it.payments), default=None),
            last_payment_at=max((part.at for part in it.payments if part.at), default=None),
        )
