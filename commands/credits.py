"""Credits: issue, apply, take back, refund, void."""

from datetime import date
from typing import Any
from uuid import UUID

from litestar.params import FromPath, JSONBody

from projections.credit_view import CreditView
from zeroinvoice.domain import crediting, refunding
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.crediting import ApplyCredit, IssueCredit
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.refunding import RefundCredit
from zeroinvoice.domain.workspace import today
from zeroinvoice.http.routes import post
from zeroinvoice.http.writing import Writing
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import State
from zeroinvoice.kernel.value import Value


class UnapplyCredit(Value, forbid_unknown_fields=True):
    application_id: UUID


class VoidCredit(Value, forbid_unknown_fields=True):
    reason: str | None = None


@post("/customers/{client_id:uuid}/credits", may="credits:write")
async def issue(
    client_id: FromPath[UUID], data: JSONBody[IssueCredit], writer: Writing
) -> CreditView:
    """Issue a credit note, a goodwill or a prepayment."""

    def decision(desk: Desk) -> tuple[Credit, date, UUID]:
        return crediting.issue(desk, client_id, data), today(desk), client_id

    return CreditView.of(*await writer.commit(decision, wants=[(Client, client_id)]))


@post(
    "/customers/{client_id:uuid}/credits/{credit_id:uuid}/apply",
    may="credits:write",
    status_code=200,
)
async def apply(
    client_id: FromPath[UUID],
    credit_id: FromPath[UUID],
    data: JSONBody[ApplyCredit],
    writer: Writing,
) -> CreditView:
    """Apply a credit to an invoice: both change, or neither."""

    def decision(desk: Desk) -> tuple[Credit, date, UUID]:
        return crediting.apply(desk, client_id, credit_id, data), today(desk), client_id

    wants = _wants(client_id, credit_id)
    return CreditView.of(*await writer.commit(decision, wants=[*wants, (Invoice, data.invoice_id)]))


@post(
    "/customers/{client_id:uuid}/credits/{credit_id:uuid}/unapply",
    may="credits:write",
    status_code=200,
)
async def unapply(
    client_id: FromPath[UUID],
    credit_id: FromPath[UUID],
    data: JSONBody[UnapplyCredit],
    writer: Writing,
) -> CreditView:
    """Take an application of a credit back."""

    def decision(desk: Desk) -> tuple[Credit, date, UUID]:
        return (
            crediting.unapply(desk, client_id, credit_id, data.application_id),
            today(desk),
            client_id,
        )

    return CreditView.of(*await writer.commit(decision, wants=_wants(client_id, credit_id)))


@post(
    "/customers/{client_id:uuid}/credits/{credit_id:uuid}/refund",
    may="credits:write",
    status_code=200,
)
async def refund(
    client_id: FromPath[UUID],
    credit_id: FromPath[UUID],
    data: JSONBody[RefundCredit],
    writer: Writing,
) -> CreditView:
    """Pay a credit out to its client."""

    def decision(desk: Desk) -> tuple[Credit, date, UUID]:
        return refunding.refund_credit(desk, client_id, credit_id, data), today(desk), client_id

    return CreditView.of(*await writer.commit(decision, wants=_wants(client_id, credit_id)))


@post(
    "/customers/{client_id:uuid}/credits/{credit_id:uuid}/void",
    may="credits:write",
    status_code=200,
)
async def void(
    client_id: FromPath[UUID],
    credit_id: FromPath[UUID],
    data: JSONBody[VoidCredit],
    writer: Writing,
) -> CreditView:
    """Void a credit of which nothing is used; it stays readable."""

    def decision(desk: Desk) -> tuple[Credit, date, UUID]:
        return crediting.void(desk, client_id, credit_id, data.reason), today(desk), client_id

    return CreditView.of(*await writer.commit(decision, wants=_wants(client_id, credit_id)))


def _wants(client_id: UUID, credit_id: UUID) -> list[tuple[type[State[Any]], UUID]]:
    return [(Credit, credit_id), (Client, client_id)]


routes = [issue, apply, unapply, refund, void]
