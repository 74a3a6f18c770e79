"""Crediting: decisions about a credit that also concern invoices, the client and a series."""

from datetime import date
from decimal import Decimal
from uuid import UUID

import msgspec

from zeroinvoice.domain import refunding
from zeroinvoice.domain.account import move, owe_again, settle
from zeroinvoice.domain.addresses import check_length
from zeroinvoice.domain.belonging import credit_of, disentangle, entangle, standing, way_to
from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit import (
    Credit,
    CreditApplied,
    CreditIssued,
    CreditType,
    Reason,
    RefundMethod,
)
from zeroinvoice.domain.credit_ledger import CreditLedger, all_held, enter, hand_over, ledger_of
from zeroinvoice.domain.credit_note import Note, further
from zeroinvoice.domain.credited import InvoiceCredited
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.lines import Line, price
from zeroinvoice.domain.merge import Link
from zeroinvoice.domain.noting import LineCredited, note_lines
from zeroinvoice.domain.series import NumberSeries, series_id
from zeroinvoice.domain.taxes import TaxRow
from zeroinvoice.domain.workspace import Workspace, assert_reason, today
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.money import ZERO, Exact, Money, in_units, minor_units, positive
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value

LONGEST = 500  # characters of a reason
MOST_APPLIED = 100  # credits that one invoice takes by itself when it is issued


class Distribution(Value, forbid_unknown_fields=True):
    """What becomes of a credit note; the three add up to what it is worth."""

    apply_to_invoice: Exact = ZERO
    keep_as_credit: Exact = ZERO
    refund: Exact = ZERO


class IssueCredit(Value, kw_only=True, forbid_unknown_fields=True):
    """A credit as a user writes it.

    A credit note is for an invoice: for some of its lines, for an amount spread over all of
    them, or for all that is left. Any other credit is for an amount.
    """

    type: CreditType
    invoice_id: UUID | None = None
    lines: tuple[LineCredited, ...] = ()
    amount: Exact | None = None
    currency: str | None = None  # default: the invoice's, else the client's
    reason: Reason = "other"
    note: str | None = None
    expires_on: date | None = None  # of a goodwill: the last day on which it can be used
    tax_codes: tuple[str, ...] = ()  # within a prepayment
    distribution: Distribution | None = None  # default: to the invoice, the rest is kept
    refund_method: RefundMethod = "other"  # of what the distribution refunds


class ApplyCredit(Value, kw_only=True, forbid_unknown_fields=True):
    invoice_id: UUID
    amount: Exact | None = None  # default: what is left, or what is due where that is less
    applied_on: date | None = msgspec.field(name="date", default=None)  # default: today


def issue(desk: Desk, client_id: UUID, asked: IssueCredit) -> Credit:
    """Give a client a credit; a credit note takes its number and its place on the invoice."""
    credit = desk.new(Credit)
    client = desk.open(Client, client_id)
    assert_reason(desk, "credit")
    client.assert_billable()
    _assert_fitting(desk, asked)
    if asked.type == "credit_note":
        return _issue_note(desk, credit, client, asked)
    if asked.amount is None:
        raise Invalid("Say how much the credit is worth.", code="amount_needed")
    currency = asked.currency or client.profile.currency
    minor_units(currency)
    amount = positive(asked.amount, currency)
    entry = CreditIssued(
        client_id=client_id,
        type=asked.type,
        amount=amount,
        issued_on=today(desk),
        reason=asked.reason,
        note=asked.note,
        expires_on=asked.expires_on,
        taxes=_taxes(desk, asked, client, amount),
        since=client.since,
    )
    credit = enter(desk, desk.record(credit, credit.issue(entry)))
    settle(desk, client_id, credit.id, amount)
    return credit


def apply(desk: Desk, client_id: UUID, credit_id: UUID, asked: ApplyCredit) -> Credit:
    """Move money from a credit to an invoice of the same client: both change, or neither."""
    credit = credit_of(desk, client_id, credit_id)
    credit.assert_usable(today(desk))
    invoice = desk.open(Invoice, asked.invoice_id)
    invoice.assert_there()
    if standing(desk, invoice.content.client_id).id != client_id:
        raise Refused(
            "A credit settles invoices of its own client alone.",
            code="different_client",
            invoice_id=str(invoice.id),
        )
    if asked.amount is not None:
        amount = positive(asked.amount, credit.currency).amount
    else:
        amount = min(credit.remaining.amount, invoice.balance_due) or credit.remaining.amount
    return _apply(desk, credit, invoice, amount, asked.applied_on)


def unapply(desk: Desk, client_id: UUID, credit_id: UUID, application_id: UUID) -> Credit:
    """Take an application back: the invoice is owed again, the credit is free again."""
    credit = credit_of(desk, client_id, credit_id)
    part = credit.application(application_id)
    home = credit.entry.client_id
    invoice = desk.open(Invoice, part.invoice_id)
    desk.record(invoice, invoice.reverse_credit(application_id))
    free = enter(desk, desk.record(credit, credit.unapply(application_id)))
    if free.version == credit.version:
        return free
    theirs = invoice.content.client_id
    move(desk, theirs, home, credit.id, Money(part.amount, credit.currency))
    disentangle(desk, application_id, [(home, theirs)])
    return _passed_on(desk, free)


def void(desk: Desk, client_id: UUID, credit_id: UUID, reason: str | None) -> Credit:
    """Take a credit back that should not have been issued and of which nothing is used."""
    check_length("reason", reason, LONGEST)
    credit = credit_of(desk, client_id, credit_id)
    assert_reason(desk, "credit", reason)
    entry = credit.entry
    if entry.payment_id is not None:
        raise Refused(
            "This credit is what a payment was too much; void or refund the payment.",
            code="credit_of_payment",
            payment_id=str(entry.payment_id),
        )
    if credit.voided:
        return credit
    credit = enter(desk, desk.record(credit, credit.void(reason)))
    if entry.type == "credit_note" and entry.invoice_id is not None:
        invoice = desk.open(Invoice, entry.invoice_id)
        desk.record(invoice, invoice.credited.void(credit.id))
    owe_again(desk, entry.client_id, credit.id, entry.amount)
    return credit


def apply_open(desk: Desk, client: Client, invoice: Invoice) -> Invoice:
    """Settle an invoice with the client's open credits, the first to expire and oldest first."""
    day = today(desk)
    ledgers = (desk.find(CreditLedger, ledger_of(desk.tenant, home)) for home in client.homes)
    usable = [
        it for it in all_held(ledgers) if it.usable(day) and it.left.currency == invoice.currency
    ]
    for held in usable[:MOST_APPLIED]:
        if not invoice.balance_due:
            break
        credit = desk.open(Credit, held.credit_id)
        _apply(desk, credit, invoice, min(held.left.amount, invoice.balance_due), day)
        invoice = desk.open(Invoice, invoice.id)
    return invoice


def keep_overpayment(
    desk: Desk, client_id: UUID, payment_id: UUID, amount: Money, invoice_id: UUID | None
) -> Credit:
    """Make a credit of what a payment is too much; the payment has lifted the account already."""
    credit = desk.new(Credit)
    invoice = desk.open(Invoice, invoice_id) if invoice_id else None
    entry = CreditIssued(
        client_id=client_id,
        type="overpayment",
        amount=amount,
        issued_on=today(desk),
        invoice_id=invoice_id,
        invoice_number=invoice.number if invoice else None,
        payment_id=payment_id,
    )
    return enter(desk, desk.record(credit, credit.issue(entry)))


def take_overpayment_back(desk: Desk, credit_id: UUID) -> None:
    """Take the credit of a payment back that goes itself. Raises `Refused` `credit_spent`."""
    credit = desk.open(Credit, credit_id)
    enter(desk, desk.record(credit, credit.void("its payment was taken back")))


def _apply(
    desk: Desk, credit: Credit, invoice: Invoice, amount: Decimal, applied_on: date | None
) -> Credit:
    day = today(desk)
    application_id, on = desk.new_id(), applied_on or day
    part = InvoiceCredited(credit.id, application_id, credit.entry.type, amount, on)
    desk.record(invoice, invoice.credit(part, credit.currency))
    applied = CreditApplied(application_id, invoice.id, invoice.number or "", amount, on)
    credit = enter(desk, desk.record(credit, credit.apply(applied, day)))
    home, theirs = credit.entry.client_id, invoice.content.client_id
    if home == theirs:
        return credit
    move(desk, home, theirs, credit.id, Money(amount, credit.currency))
    passed_on = _passed_on(desk, credit)
    if passed_on.version == credit.version:
        entangle(desk, [Link("credit", application_id, credit.id, home, invoice.id, theirs)])
    return passed_on


def _passed_on(desk: Desk, credit: Credit) -> Credit:
    """Let a credit that was issued after a merge go with what it settles."""
    entry = credit.entry
    if not entry.since or entry.invoice_id is not None or entry.payment_id is not None:
        return credit
    invoices = [desk.open(Invoice, it.invoice_id) for it in credit.standing]
    homes = [it.content.client_id for it in invoices]
    way = way_to(desk, credit.way, homes)
    home = way[0].client_id
    if home == entry.client_id:
        return credit
    for part, theirs in zip(credit.standing, homes, strict=True):
        disentangle(desk, part.application_id, [(entry.client_id, theirs)])
    hand_over(desk, credit)
    move(desk, entry.client_id, home, credit.id, credit.remaining)
    credit = enter(desk, desk.record(credit, credit.reassign(way)))
    entangle(
        desk,
        [
            Link("credit", part.application_id, credit.id, home, part.invoice_id, theirs)
            for part, theirs in zip(credit.standing, homes, strict=True)
        ],
    )
    return credit


def _assert_fitting(desk: Desk, asked: IssueCredit) -> None:
    """Raises `Invalid` for what a credit of this type does not have."""
    note = asked.type == "credit_note"
    if note and asked.invoice_id is None:
        raise Invalid("Say which invoice the credit note is for.", code="invoice_needed")
    if not note and (asked.invoice_id or asked.lines or asked.distribution):
        raise Invalid(
            "Only a credit note is for an invoice, has lines and is distributed.",
            code="not_a_credit_note",
        )
    if asked.lines and asked.amount is not None:
        raise Invalid("Give lines or an amount, not both.", code="two_amounts")
    if asked.expires_on is not None and asked.type != "goodwill":
        raise Invalid("Only a goodwill expires.", code="expires_not")
    if asked.expires_on is not None and asked.expires_on < today(desk):
        raise Invalid(f"{asked.expires_on} is over already.", code="expires_in_past")
    if asked.tax_codes and asked.type != "prepayment":
        raise Invalid("Only a prepayment carries taxes of its own.", code="taxes_not_taken")


def _taxes(desk: Desk, asked: IssueCredit, client: Client, amount: Money) -> tuple[TaxRow, ...]:
    """The taxes that a prepayment contains."""
    if not asked.tax_codes or client.profile.tax_exempt != "none":
        return ()
    workspace = desk.open(Workspace, desk.tenant)
    taxes = tuple(workspace.tax(code).but(inclusive=True) for code in asked.tax_codes)
    if any(tax.withholding for tax in taxes):
        raise Invalid("Nothing is withheld of a prepayment.", code="withholding_not_taken")
    line = Line(description="Prepayment", unit_price=amount.amount, taxes=taxes)
    return price((line,), amount.currency).tax_breakdown


# Credit notes


def _issue_note(desk: Desk, credit: Credit, client: Client, asked: IssueCredit) -> Credit:
    """Credit what is asked of an invoice, and settle it first where something is due."""
    assert asked.invoice_id is not None
    invoice = desk.open(Invoice, asked.invoice_id)
    invoice.assert_there()
    _assert_same(desk, client, invoice, asked)
    invoice.assert_payable("credit note")
    lines = note_lines(invoice, asked.lines, asked.amount)
    totals = further(invoice.content.lines, invoice.totals, invoice.credited.notes, lines)
    amount = Money(totals.payable, invoice.currency)
    if amount.amount <= 0:
        raise Invalid(f"The note would be worth {amount}.", code="amount_not_positive")
    number = _number(desk, credit.id, client)
    entry = CreditIssued(
        client_id=invoice.content.client_id,
        type="credit_note",
        amount=amount,
        issued_on=today(desk),
        reason=asked.reason,
        note=asked.note,
        number=number,
        invoice_id=invoice.id,
        invoice_number=invoice.number,
        lines=lines,
        totals=totals,
    )
    note = Note(credit.id, number, lines, totals)
    invoice = desk.record(invoice, invoice.correct(note))
    credit = enter(desk, desk.record(credit, credit.issue(entry)))
    settle(desk, entry.client_id, credit.id, amount)
    return _distributed(desk, client, credit, invoice, asked)


def _assert_same(desk: Desk, client: Client, invoice: Invoice, asked: IssueCredit) -> None:
    if standing(desk, invoice.content.client_id).id != client.id:
        raise Refused(
            f"Invoice {invoice.number} is another client's.",
            code="different_client",
            invoice_id=str(invoice.id),
        )
    if asked.currency not in (None, invoice.currency):
        raise Refused(
            f"Invoice {invoice.number} is in {invoice.currency}, not {asked.currency}.",
            code="currency_mismatch",
        )


def _distributed(
    desk: Desk, client: Client, credit: Credit, invoice: Invoice, asked: IssueCredit
) -> Credit:
    """Settle the invoice, keep and pay out. Raises `Invalid` where that does not add up.

    What is due comes first: only what is more than the balance is kept or paid out.
    """
    amount = credit.entry.amount
    first = min(amount.amount, invoice.balance_due)
    refund = ZERO
    if asked.distribution is not None:
        parts = asked.distribution
        _assert_adding_up(parts, amount, first)
        refund = parts.refund
    if first:
        credit = _apply(desk, credit, invoice, first, None)
    if not refund:
        return credit
    asking = refunding.RefundCredit(method=asked.refund_method, amount=refund)
    return refunding.refund_credit(desk, client.id, credit.id, asking)


def _assert_adding_up(parts: Distribution, amount: Money, first: Decimal) -> None:
    names = ("apply_to_invoice", "keep_as_credit", "refund")
    each = [in_units(getattr(parts, name), amount.currency, name) for name in names]
    if min(each) < 0 or sum(each) != amount.amount:
        raise Invalid(
            f"What is applied, kept and refunded must add up to {amount}.",
            code="distribution_mismatch",
            total=amount.text,
            currency=amount.currency,
        )
    if parts.apply_to_invoice != first:
        raise Invalid(
            f"A credit note settles its invoice first, here with {Money(first, amount.currency)}.",
            code="balance_first",
            apply_to_invoice=str(first),
            currency=amount.currency,
        )


def _number(desk: Desk, credit_id: UUID, client: Client) -> str:
    settings = desk.open(Workspace, desk.tenant).settings
    series = desk.find(NumberSeries, series_id(desk.tenant, "credit_note"))
    numbering = settings.numbering("credit_note")
    (taken,) = series.take(credit_id, today(desk), numbering, client=client.profile.number or "")
    desk.record(series, [taken])
    return taken.number
