"""Refunding: decisions that pay money back, of a payment or of a credit."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.account import owe_again
from zeroinvoice.domain.addresses import check_length
from zeroinvoice.domain.bank_accounts import BankAccounts, bank_accounts_of
from zeroinvoice.domain.belonging import credit_of, standing
from zeroinvoice.domain.credit import Credit, CreditRefunded, RefundMethod
from zeroinvoice.domain.credit_ledger import enter
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.paid import InvoicePaymentRefunded
from zeroinvoice.domain.payment import Allocation, Payment, PaymentRefunded
from zeroinvoice.domain.workspace import assert_reason, today
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.money import ZERO, Exact, Money, positive
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

LONGEST = 255  # characters of a reference


class RefundPayment(Value, kw_only=True, forbid_unknown_fields=True):
    """A refund as a user writes it: of all that can be paid back, unless an amount is given."""

    method: RefundMethod
    amount: Exact | None = None  # in the payment's currency
    refunded_on: date | None = None  # default: today
    reference: str | None = None
    note: str | None = None


class RefundCredit(Value, kw_only=True, forbid_unknown_fields=True):
    """A refund of a credit as a user writes it: of all that is left, unless an amount is given."""

    method: RefundMethod
    amount: Exact | None = None  # in the credit's currency
    payment_id: UUID | None = None  # that is paid back
    bank_account_id: UUID | None = None  # of the client's, where the money goes to a bank
    refunded_on: date | None = None  # default: today
    reference: str | None = None
    note: str | None = None


def refund_payment(desk: Desk, payment_id: UUID, asked: RefundPayment) -> Payment:
    """Pay a payment back: first what is unapplied, then its credit, then the latest allocations.

    Raises `Invalid` `exceeds_refundable`, and `Refused` for a payment that is void or paid back.
    """
    payment = desk.open(Payment, payment_id)
    assert_reason(desk, "refund")
    payment.assert_standing()
    standing(desk, payment.entry.client_id).assert_there()
    _assert_way(asked.method, payment)
    credit = _kept(desk, payment)
    free = payment.applied + payment.unapplied
    kept = credit.remaining if credit else Money.zero(free.currency)
    left = payment.refundable((free + kept).amount)
    amount = positive(asked.amount, left.currency) if asked.amount is not None else left
    if not left:
        raise Refused("Nothing of this payment can be paid back.", code="nothing_to_refund")
    worth = payment.worth_of(amount)
    if amount > left or worth > (free + kept).amount:
        raise payment.beyond(left)
    day = _day(desk, asked.refunded_on)
    if day < payment.entry.received_on:
        raise Invalid(
            f"It was received on {payment.entry.received_on} and cannot go back before.",
            code="refunded_before_received",
            received_on=str(payment.entry.received_on),
        )
    unapplied, overpaid, allocations = _taken(payment, kept.amount, worth)
    refund = PaymentRefunded(
        refund_id=desk.new_id(),
        amount=amount,
        worth=worth,
        unapplied=unapplied,
        overpaid=overpaid,
        allocations=allocations,
        method=asked.method,
        refunded_on=day,
        reference=_checked(asked.reference),
        note=asked.note,
    )
    payment = desk.record(payment, payment.refund(refund))
    _legs(desk, payment, credit, refund)
    return payment


def shares(
    desk: Desk, client_id: UUID, worth: Decimal, allocations: Iterable[Allocation]
) -> dict[UUID, Decimal]:
    """What of a payment concerns whose account: each invoice's part that of its own client."""
    parts = {client_id: worth}
    for it in allocations:
        home = desk.open(Invoice, it.invoice_id).content.client_id
        parts[client_id] -= it.amount
        parts[home] = parts.get(home, ZERO) + it.amount
    return {home: part for home, part in parts.items() if part}


def refund_credit(desk: Desk, client_id: UUID, credit_id: UUID, asked: RefundCredit) -> Credit:
    """Pay a credit out. Raises what `pay_out` raises."""
    credit = credit_of(desk, client_id, credit_id)
    credit.assert_usable(today(desk))
    payment = _paid_back(desk, credit, asked.payment_id)
    _assert_way(asked.method, payment)
    left = credit.remaining
    return pay_out(
        desk,
        credit,
        CreditRefunded(
            refund_id=desk.new_id(),
            amount=(left if asked.amount is None else positive(asked.amount, left.currency)).amount,
            method=asked.method,
            refunded_on=_day(desk, asked.refunded_on),
            reference=_checked(asked.reference),
            note=asked.note,
            payment_id=payment.id if payment else None,
            bank_account_id=_account(desk, client_id, asked),
        ),
    )


def pay_out(desk: Desk, credit: Credit, refund: CreditRefunded) -> Credit:
    """Record a refund with its legs: on what the credit came from, and on the client's account.

    Raises `Invalid` `exceeds_remaining`, `reason_required`, and of a credit note `exceeds_paid`.
    """
    assert_reason(desk, "refund")
    entry = credit.entry
    credit = enter(desk, desk.record(credit, credit.refund(refund, today(desk))))
    if entry.type == "credit_note" and entry.invoice_id is not None:
        invoice = desk.open(Invoice, entry.invoice_id)
        desk.record(invoice, invoice.credited.pay_out(credit.id, refund.amount, invoice.paid))
    if entry.payment_id is not None:
        payment = desk.open(Payment, entry.payment_id)
        back = PaymentRefunded(
            refund_id=refund.refund_id,
            amount=payment.amount_of(refund.amount),
            worth=refund.amount,
            method=refund.method,
            refunded_on=refund.refunded_on,
            overpaid=refund.amount,
            reference=refund.reference,
            note=refund.note,
        )
        _no_longer_overpaid(desk, desk.record(payment, payment.refund(back)), refund.amount)
    owe_again(desk, entry.client_id, refund.refund_id, Money(refund.amount, credit.currency))
    return credit


def _legs(desk: Desk, payment: Payment, credit: Credit | None, refund: PaymentRefunded) -> None:
    """Record a refund on its invoices, on the credit of the payment and on the account."""
    for it in refund.allocations:
        part = InvoicePaymentRefunded(payment.id, refund.refund_id, it.amount, refund.refunded_on)
        invoice = desk.open(Invoice, it.invoice_id)
        invoice = desk.record(invoice, invoice.pay_back(part))
        invoice.credited.assert_covered(invoice.paid)
    if credit is not None and refund.overpaid:
        drawn = CreditRefunded(
            refund_id=refund.refund_id,
            amount=refund.overpaid,
            method=refund.method,
            refunded_on=refund.refunded_on,
            reference=refund.reference,
            note=refund.note,
            payment_id=payment.id,
        )
        enter(desk, desk.record(credit, credit.refund(drawn, today(desk))))
        _no_longer_overpaid(desk, payment, refund.overpaid)
    currency, theirs = payment.entry.worth.currency, payment.entry.client_id
    for home, worth in shares(desk, theirs, refund.worth, refund.allocations).items():
        owe_again(desk, home, refund.refund_id, Money(worth, currency))


def _taken(
    payment: Payment, kept: Decimal, worth: Decimal
) -> tuple[Decimal, Decimal, tuple[Allocation, ...]]:
    """Where a refund of so much is taken from: of what is unapplied, kept, allocated."""
    unapplied = min(worth, payment.unapplied.amount)
    overpaid = min(worth - unapplied, kept)
    left = worth - unapplied - overpaid
    back: list[Allocation] = []
    for it in reversed(payment.allocations):
        part = min(left, it.amount)
        if part:
            back.append(it.but(amount=part))
            left -= part
    return unapplied, overpaid, tuple(back)


def _kept(desk: Desk, payment: Payment) -> Credit | None:
    """The credit that the rest of a payment became."""
    overpaid = payment.entry.overpaid
    return desk.open(Credit, overpaid.credit_id) if overpaid else None


def _no_longer_overpaid(desk: Desk, payment: Payment, amount: Decimal) -> None:
    overpaid = payment.entry.overpaid
    if overpaid is not None and overpaid.invoice_id is not None:
        invoice = desk.open(Invoice, overpaid.invoice_id)
        desk.record(invoice, invoice.reverse_overpayment(payment.id, amount))


def _paid_back(desk: Desk, credit: Credit, payment_id: UUID | None) -> Payment | None:
    """The payment that a refund of a credit goes back to, if to any."""
    own = credit.entry.payment_id
    if payment_id is None:
        return desk.open(Payment, own) if own else None
    payment = desk.open(Payment, payment_id)
    payers = {standing(desk, it.entry.client_id).id for it in (payment, credit)}
    if own not in (None, payment_id) or len(payers) > 1:
        raise Refused("The credit did not come of this payment.", code="different_payment")
    return payment


def _account(desk: Desk, client_id: UUID, asked: RefundCredit) -> UUID | None:
    """The client's bank account that the money goes to, if one is named. Raises `Missing`."""
    if asked.bank_account_id is None:
        return None
    if asked.method != "bank":
        raise Invalid("Only a refund by bank goes to an account.", code="account_not_taken")
    accounts = desk.find(BankAccounts, bank_accounts_of(desk.tenant, client_id))
    return accounts.account(asked.bank_account_id).id


def _assert_way(method: RefundMethod, payment: Payment | None) -> None:
    """Raises `Invalid` where Stripe is to pay back what it never carried."""
    if method != "stripe":
        return
    if payment is None or payment.entry.source != "stripe":
        raise Invalid(
            "Stripe pays back only what was paid through it; choose another method.",
            code="not_paid_through_stripe",
        )
    raise Invalid("Stripe is not connected; choose another method.", code="stripe_not_connected")


def _day(desk: Desk, asked: date | None) -> date:
    day = today(desk)
    if asked is not None and asked > day:
        raise Invalid(
            f"It cannot have been paid back on {asked}; today is {day}.",
            code="refunded_in_future",
            today=str(day),
        )
    return asked or day


def _checked(reference: str | None) -> str | None:
    check_length("reference", reference, LONGEST)
    return reference
