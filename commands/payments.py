"""Payments: record, correct, void, refund."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from litestar import Response
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from projections.payment_view import PaymentView
from zeroinvoice.domain import collecting, refunding
from zeroinvoice.domain.belonging import standing
from zeroinvoice.domain.client import PaymentMethod
from zeroinvoice.domain.collecting import AllocationAsked, RecordPayment
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.refunding import RefundPayment
from zeroinvoice.http.routes import delete, post, put
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.money import Exact
from zeroinvoice.kernel.value import Value


class RevisePayment(Value, kw_only=True, forbid_unknown_fields=True):
    """What shall change of a payment. A field that is not sent stays; null clears it.

    Where money moves (amount, currency, rate, client, invoices) the payment is taken back and
    entered anew in one commit; both stay visible in its history and the invoices'.
    """

    amount: Exact | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    fx_rate: Exact | None | UnsetType = UNSET
    fee_amount: Exact | UnsetType = UNSET
    client_id: UUID | UnsetType = UNSET
    invoice_id: UUID | None | UnsetType = UNSET
    allocations: tuple[AllocationAsked, ...] | UnsetType = UNSET
    method: PaymentMethod | UnsetType = UNSET
    received_on: date | UnsetType = UNSET
    reference: str | None | UnsetType = UNSET
    note: str | None | UnsetType = UNSET
    send_receipt: bool | UnsetType = UNSET

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        sent = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in sent if value is not UNSET}


Reason = Annotated[str | None, QueryParameter(max_length=500, description="why, for the record")]
XReason = Annotated[str | None, HeaderParameter(name="X-Reason")]


@post("/payments", may="payments:write")
async def record(data: JSONBody[RecordPayment], writer: Writing) -> Response[PaymentView]:
    """Record a payment; 200 with the first one when its external id is known."""

    def decision(desk: Desk) -> tuple[Payment, UUID, bool]:
        payment, is_new = collecting.record(desk, data, has_key=writer.has_key)
        return *_shown(desk, payment), is_new

    payment, client_id, is_new = await writer.commit(decision)
    return Response(PaymentView.of(payment, client_id), status_code=201 if is_new else 200)


@put("/payments/{payment_id:uuid}", may="payments:write")
async def revise(
    payment_id: FromPath[UUID], data: JSONBody[RevisePayment], writer: Writing
) -> PaymentView:
    """Correct a payment."""

    def decision(desk: Desk) -> tuple[Payment, UUID]:
        return _shown(desk, collecting.revise(desk, payment_id, data.changes()))

    return PaymentView.of(*await writer.commit(decision, wants=[(Payment, payment_id)]))


@delete("/payments/{payment_id:uuid}", may="payments:delete", status_code=200)
async def void(
    payment_id: FromPath[UUID], writer: Writing, reason: Reason = None, x_reason: XReason = None
) -> PaymentView:
    """Void a payment that should not have been recorded; it stays readable."""

    def decision(desk: Desk) -> tuple[Payment, UUID]:
        return _shown(desk, collecting.void(desk, payment_id, reason or x_reason))

    return PaymentView.of(*await writer.commit(decision, wants=[(Payment, payment_id)]))


@post("/payments/{payment_id:uuid}/refund", may="payments:write", status_code=200)
async def refund(
    payment_id: FromPath[UUID], data: JSONBody[RefundPayment], writer: Writing
) -> PaymentView:
    """Pay a payment back: what is left over of it first, then what it settled last."""

    def decision(desk: Desk) -> tuple[Payment, UUID]:
        return _shown(desk, refunding.refund_payment(desk, payment_id, data))

    return PaymentView.of(*await writer.commit(decision, wants=[(Payment, payment_id)]))


def _shown(desk: Desk, payment: Payment) -> tuple[Payment, UUID]:
    """The payment, and whose it is after merges."""
    return payment, standing(desk, payment.entry.client_id).id


routes = [record, revise, void, refund]
