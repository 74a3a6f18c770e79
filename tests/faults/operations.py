"""The table of operations: each with what it needs, its request, its effect and its invariant.

A new area adds an entry for each of its commands: the rounds mix them, and every check then
holds for it too. Whatever a request records bears its mark as the reason, so its effect is
found by the events it leaves: all of them, each time it takes place, or it was cut in half.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from offices import PASSWORD, TAX, Office, Request
from records import Records

from zeroinvoice.domain import billing, collecting, merging
from zeroinvoice.domain.billing import DraftInvoice, LineWritten
from zeroinvoice.domain.client import Client, Profile
from zeroinvoice.domain.collecting import RecordPayment
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.merging import MergeClients
from zeroinvoice.domain.payment import Payment
from zeroinvoice.kernel.desk import Desk

PRICE = Decimal("33.33")  # three of them with 20 % tax are 119.99
TOTAL = Decimal("119.99")

Sent = tuple[str, str, Any]  # method, path, JSON body


def nothing(desk: Desk, office: Office) -> None:
    return None


def draft(desk: Desk, office: Office, client: UUID | None = None) -> UUID:
    line = LineWritten(
        description="Work", quantity=Decimal(3), unit_price=PRICE, tax_rate=Decimal(20)
    )
    asked = DraftInvoice(client_id=client or office.a_client(), line_items=(line,))
    return billing.draft(desk, asked).id


def sent(desk: Desk, office: Office, client: UUID | None = None) -> UUID:
    return billing.issue(desk, draft(desk, office, client)).id


def two_sent(desk: Desk, office: Office) -> tuple[UUID, UUID]:
    client = office.a_client()
    return sent(desk, office, client), sent(desk, office, client)


def written_off(desk: Desk, office: Office) -> UUID:
    return billing.write_off(desk, sent(desk, office), "bad debt").id


def paid(desk: Desk, office: Office) -> UUID:
    asked = RecordPayment(amount=TOTAL, method="cash", invoice_id=sent(desk, office))
    payment, _ = collecting.record(desk, asked, has_key=True)
    return payment.id


def two_clients(desk: Desk, office: Office) -> tuple[UUID, UUID]:
    """Two of their own: whoever is merged takes nothing new, and others are billed meanwhile."""
    made = [desk.new(Client), desk.new(Client)]
    first, second = [desk.record(it, it.add(Profile("Twin", "USD"))).id for it in made]
    sent(desk, office, second)
    return first, second


def merged(desk: Desk, office: Office) -> tuple[UUID, UUID]:
    primary, duplicate = two_clients(desk, office)
    asked = MergeClients(primary_id=primary, duplicate_ids=(duplicate,))
    return merging.merge(desk, asked)[1].id, duplicate


@dataclass(frozen=True)
class Operation:
    """One command of the API. Without an effect it is one that is always refused."""

    name: str
    request: Callable[[Any, str], Sent]  # of what it needs, and its mark
    effect: tuple[str, ...]  # the events it leaves, each as often as it leaves it
    needs: Callable[[Desk, Office], Any] = nothing
    holds: Callable[[Records, Any], bool] = lambda records, it: True  # once it took place
    besides: tuple[str, ...] = ()  # events it may leave, too
    weight: int = 4  # how often it is drawn
    form: bool = False

    def effects(self, left: Counter[str]) -> int:
        """How often it took place, by the events that bear its mark; it is never half done."""
        kept = Counter({name: n for name, n in left.items() if name not in self.besides})
        times = kept[self.effect[0]] // self.effect.count(self.effect[0]) if self.effect else 0
        whole = Counter({name: times * n for name, n in Counter(self.effect).items()})
        assert kept == +whole, f"{self.name} is half done: {dict(kept)}"
        return times


class Attempt(Request):
    """An operation that is carried out once, however often it is sent."""

    def __init__(self, operation: Operation, need: Any, mark: str, email: str) -> None:
        method, path, body = operation.request(need, mark)
        if operation.form:
            super().__init__(mark, method, path, data={**body, "username": email})
        else:
            super().__init__(mark, method, path, json=body)
        self.operation = operation
        self.need = need

    @property
    def told(self) -> str:
        """What it is and was answered, for whoever reads why a check failed."""
        answer = f"{self.answer.status_code} {self.answer.text[:300]}" if self.answer else "nothing"
        return f"{self.operation.name} is {self.outcome}, answered {answer},"


def prepared(office: Office, rng: random.Random, count: int, *names: str) -> list[Attempt]:
    """So many operations, drawn by their weights, with what each of them needs in place."""
    table = [it for it in TABLE if not names or it.name in names]
    drawn = rng.choices(table, [it.weight for it in table], k=count)
    needs = office.decide([steady(lambda desk, it=it: it.needs(desk, office)) for it in drawn])
    return [
        Attempt(it, need, rng.randbytes(16).hex(), office.email)
        for it, need in zip(drawn, needs, strict=True)
    ]


def steady(decision: Callable[[Desk], Any]) -> Callable[[Desk], Any]:
    """A decision that draws the same ids whenever it is run again.

    Else one that makes a client and then looks at its account would ask for another each time.
    """
    drawn: list[UUID] = []

    def again(desk: Desk) -> Any:
        desk._ids = tuple(drawn)
        try:
            return decision(desk)
        finally:
            drawn[:] = desk.drawn

    return again


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
)
