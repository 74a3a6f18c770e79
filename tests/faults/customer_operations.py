"""Operations on customers and their money: contacts, bank accounts, credits, refunds."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from documents import (
    applied,
    client_and_sent,
    credit,
    credit_and_sent,
    new_client,
    new_client_of_a_confirmed_user,
    paid,
    sent_to_generous,
)
from operation import Operation, Sent
from records import Records

from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.payment import Payment

MOVED = ("CreditEntered",)  # the ledger's leg of whatever moves a credit


def _customer(client: Any, path: str, **body: Any) -> Sent:
    return "POST", f"/api/customers/{client}/{path}", body


def _remains(amount: str) -> Callable[[Records, Any], bool]:
    """Whether so much is left of the credit that an operation was about."""
    return lambda records, it: records.state(Credit, it.need[1]).remaining.amount == Decimal(amount)


CUSTOMERS = (
    Operation(
        "add contact",
        lambda client, mark: _customer(client, "contacts", first_name=mark),
        ("ContactAdded",),
        needs=new_client,
        weight=2,
    ),
    Operation(
        "add bank account",
        lambda client, mark: _customer(
            client, "bank-accounts", type="other", account_number=mark, account_holder="Acme Corp"
        ),
        ("BankAccountAdded",),
        needs=new_client_of_a_confirmed_user,
        weight=2,
    ),
    Operation(
        "give a goodwill",
        lambda need, mark: _customer(need, "credits", type="goodwill", amount="5.00", note=mark),
        ("CreditIssued", *MOVED, "AccountCredited"),
        needs=lambda desk, office: office.a_client(),
    ),
    Operation(
        "credit note",
        lambda need, mark: _customer(
            need[0], "credits", type="credit_note", invoice_id=str(need[1]), amount="19.99"
        ),
        (
            *("CreditIssued", "NumberTaken", "InvoiceCreditNoteIssued", "AccountCredited"),
            *("CreditApplied", "InvoiceCredited", *MOVED, *MOVED),
        ),
        needs=client_and_sent,
        holds=lambda records, it: (
            records.state(Invoice, it.need[1]).balance_due == Decimal("100.00")
        ),
    ),
    Operation(
        "apply credit",
        lambda need, mark: _customer(
            need[0], f"credits/{need[1]}/apply", invoice_id=str(need[2]), amount="7.00"
        ),
        ("CreditApplied", "InvoiceCredited", *MOVED),
        needs=credit_and_sent,
        holds=_remains("3.00"),
        weight=8,
    ),
    Operation(
        "take application back",
        lambda need, mark: _customer(
            need[0], f"credits/{need[1]}/unapply", application_id=str(need[2])
        ),
        ("CreditUnapplied", "InvoiceCreditReversed", *MOVED),
        needs=applied,
        holds=_remains("10.00"),
    ),
    Operation(
        "refund credit",
        lambda need, mark: _customer(
            need[0], f"credits/{need[1]}/refund", method="cash", amount="4.00", reference=mark
        ),
        ("CreditRefunded", *MOVED, "AccountDebited"),
        needs=credit,
        holds=_remains("6.00"),
        weight=8,
    ),
    Operation(
        "void credit",
        lambda need, mark: _customer(need[0], f"credits/{need[1]}/void"),
        ("CreditVoided", *MOVED, "AccountDebited"),
        needs=credit,
        holds=_remains("0.00"),
    ),
    Operation(
        "refund payment",
        lambda payment, mark: (
            "POST",
            f"/api/payments/{payment}/refund",
            {"method": "cash", "amount": "20.00", "reference": mark},
        ),
        ("PaymentRefunded", "InvoicePaymentRefunded", "AccountDebited"),
        needs=paid,
        holds=lambda records, it: (
            records.state(Payment, it.need).refunded.amount == Decimal("20.00")
        ),
        weight=8,
    ),
    Operation(
        "overpay",
        lambda invoice, mark: (
            "POST",
            "/api/payments",
            {
                "method": "cash",
                "reference": mark,
                "invoice_id": str(invoice),
                "amount": "130.00",
            },
        ),
        (
            *("PaymentRecorded", "AccountCredited", "LikePaymentRecorded"),
            *("InvoicePaymentApplied", "InvoiceOverpaymentRecorded", "CreditIssued", *MOVED),
        ),
        needs=sent_to_generous,
        holds=lambda records, it: not records.state(Invoice, it.need).balance_due,
    ),
    Operation(
        "spend more than is left",
        lambda need, mark: _customer(
            need[0], f"credits/{need[1]}/apply", invoice_id=str(need[2]), amount="10.01"
        ),
        (),
        needs=credit_and_sent,
        holds=_remains("10.00"),
    ),
)
