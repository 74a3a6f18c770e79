"""The table of operations: each with what it needs, its request, its effect and its invariant.

A new area adds an entry for each of its commands: the rounds mix them, and every check then
holds for it too. Whatever a request records bears its mark as the reason, so its effect is
found by the events it leaves: all of them, each time it takes place, or it was cut in half.
"""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from access_operations import ACCESS, TIMED
from customer_operations import CUSTOMERS
from documents import TOTAL, draft, merged, paid, sent, two_clients, two_sent, written_off
from offices import PASSWORD, TAX, Office
from operation import Attempt, Operation, Sent
from people_operations import PEOPLE
from records import Records

from zeroinvoice.domain.client import Client
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.payment import Payment


def prepared(
    office: Office, rng: random.Random, count: int, *names: str, timed: bool = False
) -> list[Attempt]:
    """So many operations, drawn by their weights, with what each of them needs in place.

    Those of `TIMED` are drawn by name, or where they are sent and resolved within a minute.
    """
    table = (*TABLE, *TIMED) if names or timed else TABLE
    table = tuple(it for it in table if not names or it.name in names)
    drawn = rng.choices(table, [it.weight for it in table], k=count)
    needs = office.decide([lambda desk, it=it: it.needs(desk, office) for it in drawn])
    return [
        Attempt(it, need, rng.randbytes(16).hex(), office.email)
        for it, need in zip(drawn, needs, strict=True)
    ]


def _status(invoice: UUID, **body: Any) -> Sent:
    return "PATCH", f"/api/invoices/{invoice}/status", body


def _payment(mark: str, **body: Any) -> Sent:
    return "POST", "/api/payments", {"method": "cash", "reference": mark, **body}


def _invoice(records: Records, id: UUID) -> Invoice:
    return records.state(Invoice, id)


def _is(status: Status) -> Callable[[Records, Any], bool]:
    return lambda records, it: _invoice(records, it.need).status is status


PAID = ("PaymentRecorded", "AccountCredited", "LikePaymentRecorded")
TABLE = (
    Operation(
        "register",
        lambda _, mark: (
            "POST",
            "/api/auth/register",
            {"email": f"{mark}@example.com", "password": PASSWORD, "full_name": "Jane Dev"},
        ),
        ("AddressClaimed", "WorkspaceOpened", "UserRegistered"),
        weight=1,
    ),
    Operation(
        "log in",
        lambda _, mark: ("POST", "/api/auth/login", {"password": PASSWORD}),
        ("SessionStarted", "LoggedIn"),
        besides=("SessionEnded", "AttemptsCleared"),
        weight=1,
        form=True,
    ),
    Operation(
        "add client",
        lambda _, mark: ("POST", "/api/clients", {"name": mark}),
        ("ClientAdded", "NumberTaken"),
    ),
    Operation(
        "draft invoice",
        lambda client, mark: (
            "POST",
            "/api/invoices",
            {
                "client_id": str(client),
                "reference": mark,
                "line_items": [
                    {"description": "Work", "quantity": 3, "unit_price": 33.33, "tax_rate": "20"}
                ],
            },
        ),
        ("InvoiceDrafted",),
        needs=lambda desk, office: office.a_client(),
        holds=lambda records, it: it.answer is None or it.answer.json()["total"] == str(TOTAL),
        weight=10,
    ),
    Operation(
        "revise draft",
        lambda invoice, mark: ("PUT", f"/api/invoices/{invoice}", {"notes": mark}),
        ("InvoiceRevised",),
        needs=draft,
        holds=lambda records, it: _invoice(records, it.need).content.notes == it.mark,
    ),
    Operation(
        "send invoice",
        lambda invoice, mark: _status(invoice, status="sent"),
        ("InvoiceSent", "NumberTaken", "AccountDebited"),
        needs=draft,
        holds=lambda records, it: _invoice(records, it.need).number is not None,
        weight=10,
    ),
    Operation(
        "cancel invoice",
        lambda invoice, mark: _status(invoice, status="cancelled", reason=mark),
        ("InvoiceCancelled", "AccountCredited"),
        needs=sent,
        holds=_is(Status.CANCELLED),
    ),
    Operation(
        "write off",
        lambda invoice, mark: _status(invoice, status="written_off", reason=mark),
        ("InvoiceWrittenOff", "AccountCredited"),
        needs=sent,
        holds=_is(Status.WRITTEN_OFF),
    ),
    Operation(
        "reinstate",
        lambda invoice, mark: _status(invoice, status="sent"),
        ("InvoiceReinstated", "AccountDebited"),
        needs=written_off,
        holds=_is(Status.SENT),
    ),
    Operation(
        "record payment",
        lambda invoice, mark: _payment(mark, amount="119.99", invoice_id=str(invoice)),
        (*PAID, "InvoicePaymentApplied"),
        needs=sent,
        holds=_is(Status.PAID),
        weight=10,
    ),
    Operation(
        "split payment",
        lambda invoices, mark: _payment(
            mark,
            amount="100.01",
            allocations=[
                {"invoice_id": str(id), "amount": part}
                for id, part in zip(invoices, ("60.00", "40.01"), strict=True)
            ],
        ),
        (*PAID, "InvoicePaymentApplied", "InvoicePaymentApplied"),
        needs=two_sent,
        holds=lambda records, it: (
            sum(_invoice(records, id).paid for id in it.need) == Decimal("100.01")
        ),
    ),
    Operation(
        "payment from outside",
        lambda invoice, mark: _payment(
            mark, amount="19.99", invoice_id=str(invoice), external_id=mark
        ),
        (*PAID, "InvoicePaymentApplied", "ExternalIdClaimed"),
        needs=sent,
        holds=lambda records, it: _invoice(records, it.need).balance_due == Decimal("100.00"),
    ),
    Operation(
        "void payment",
        lambda payment, mark: ("DELETE", f"/api/payments/{payment}", None),
        ("PaymentVoided", "InvoicePaymentReversed", "AccountDebited"),
        needs=paid,
        holds=lambda records, it: not records.state(Payment, it.need).applied,
    ),
    Operation(
        "revise payment",
        lambda payment, mark: ("PUT", f"/api/payments/{payment}", {"amount": "50.00"}),
        (
            *("PaymentRetracted", "InvoicePaymentReversed", "AccountDebited"),
            *("PaymentRecorded", "InvoicePaymentApplied", "AccountCredited"),
        ),
        needs=paid,
        holds=lambda records, it: (
            records.state(Payment, it.need).applied.amount == Decimal("50.00")
        ),
    ),
    Operation(
        "merge clients",
        lambda clients, mark: (
            "POST",
            "/api/clients/merge",
            {"primary_id": str(clients[0]), "duplicate_ids": [str(clients[1])], "note": mark},
        ),
        ("MergeRecorded", "ClientsMerged", "ClientAbsorbed"),
        needs=two_clients,
        holds=lambda records, it: records.state(Client, it.need[1]).merged_into == it.need[0],
    ),
    Operation(
        "undo a merge",
        lambda it, mark: ("POST", "/api/clients/merge/undo", {"merge_id": str(it[0])}),
        ("MergeUndone", "ClientMergeUndone", "ClientReturned"),
        needs=merged,
        holds=lambda records, it: records.state(Client, it.need[1]).merged_into is None,
    ),
    Operation(
        "tell of an invoice",
        lambda invoice, mark: (
            "POST",
            "/api/activity/track/invoice-created",
            {"id": str(invoice), "source": mark},
        ),
        ("ActivityTracked",),
        needs=sent,
        holds=lambda records, it: (
            it.answer is None or it.answer.json()["told"]["source"] == it.mark
        ),
        weight=2,
    ),
    Operation(
        "change settings",
        lambda _, mark: ("PATCH", "/api/workspace", {"seller": {"registration": mark}}),
        ("WorkspaceRevised",),
    ),
    Operation(
        "define tax code",
        lambda _, mark: (
            "PUT",
            f"/api/workspace/tax-codes/{TAX}",
            {"name": mark, "rate": "20"},
        ),
        ("TaxCodeDefined",),
    ),
    Operation(
        "pay too much",
        lambda invoice, mark: _payment(mark, amount="120.00", invoice_id=str(invoice)),
        (),
        needs=sent,
        holds=_is(Status.SENT),
    ),
    Operation(
        "delete what was sent",
        lambda invoice, mark: ("DELETE", f"/api/invoices/{invoice}", None),
        (),
        needs=sent,
        holds=_is(Status.SENT),
    ),
    *CUSTOMERS,
    *ACCESS,
    *PEOPLE,
)
