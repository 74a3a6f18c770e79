"""Settling: the legs of a payment, on its invoices, on its credit and on the client's account."""

from collections.abc import Iterable
from uuid import UUID

from zeroinvoice.domain import crediting
from zeroinvoice.domain.account import owe_again, settle
from zeroinvoice.domain.belonging import disentangle, entangle
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.merge import Link
from zeroinvoice.domain.payment import Payment, PaymentRecorded
from zeroinvoice.domain.refunding import shares
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import NIL
from zeroinvoice.kernel.money import Money


def enter(desk: Desk, payment: Payment, entry: PaymentRecorded) -> Payment:
    """Record an entry with its legs: on invoices, on its credit, on accounts, on merges."""
    over, worth = entry.overpaid, entry.worth
    if over is not None and over.credit_id == NIL:
        rest = Money(over.amount, worth.currency)
        kept = crediting.keep_overpayment(desk, entry.client_id, payment.id, rest, over.invoice_id)
        over = over.but(credit_id=kept.id)
    payment = desk.record(payment, payment.record(entry.but(overpaid=over)))
    for it in entry.allocations:
        invoice = desk.open(Invoice, it.invoice_id)
        part = Money(it.amount, worth.currency)
        desk.record(invoice, invoice.receive(payment.id, part, entry.received_on))
    if over is not None and over.invoice_id is not None:
        invoice = desk.open(Invoice, over.invoice_id)
        desk.record(invoice, invoice.overpay(payment.id, over.credit_id, over.amount))
    for home, share in shares(desk, entry.client_id, worth.amount, entry.allocations).items():
        settle(desk, home, payment.id, Money(share, worth.currency))
    entangle(desk, _links(desk, payment.id, entry))
    return payment


def take_back(desk: Desk, payment: Payment, then: PaymentRecorded | None = None) -> None:
    """Undo the legs of an entry; its credit stays where the entry after it has the same."""
    entry, over = payment.entry, payment.entry.overpaid
    for it in entry.allocations:
        invoice = desk.open(Invoice, it.invoice_id)
        desk.record(invoice, invoice.give_back(payment.id))
    if over is not None and over.invoice_id is not None:
        invoice = desk.open(Invoice, over.invoice_id)
        desk.record(invoice, invoice.reverse_overpayment(payment.id, over.amount))
    if over is not None and (then is None or then.overpaid != over):
        crediting.take_overpayment_back(desk, over.credit_id)
    for home, part in shares(desk, entry.client_id, entry.worth.amount, entry.allocations).items():
        owe_again(desk, home, payment.id, Money(part, entry.worth.currency))
    ends = [(it.home, it.invoice_home) for it in _links(desk, payment.id, entry)]
    disentangle(desk, payment.id, ends)


def _links(desk: Desk, payment_id: UUID, entry: PaymentRecorded) -> list[Link]:
    """Where an entry settles invoices of another home."""
    homes = {
        it.invoice_id: desk.open(Invoice, it.invoice_id).content.client_id
        for it in entry.allocations
    }
    return [
        Link("payment", payment_id, payment_id, entry.client_id, invoice_id, home)
        for invoice_id, home in homes.items()
        if home != entry.client_id
    ]


def assert_covered(desk: Desk, invoices: Iterable[UUID]) -> None:
    """See that what credit notes have paid out of these invoices is still paid."""
    for invoice_id in invoices:
        invoice = desk.open(Invoice, invoice_id)
        invoice.credited.assert_covered(invoice.paid)
