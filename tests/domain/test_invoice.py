"""Invoices as a state: what each verb records, and how each refuses."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain.invoice import (
    Buyer,
    Content,
    Deposit,
    Handling,
    Invoice,
    InvoiceAmended,
    InvoiceCancelled,
    InvoiceDiscarded,
    InvoiceDrafted,
    InvoicePaymentApplied,
    InvoicePaymentReversed,
    InvoiceReinstated,
    InvoiceRevised,
    InvoiceSent,
    InvoiceSentAgain,
    InvoiceWrittenOff,
    Status,
)
from zeroinvoice.domain.lines import Line, Tax, price
from zeroinvoice.domain.workspace import Seller
from zeroinvoice.kernel.facts import Event
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.refusals import Invalid, Missing, Refusal, Refused

CLIENT, PAYMENT, OTHER_PAYMENT = (UUID(int=it) for it in (1, 2, 3))
DAY, DUE = date(2026, 3, 1), date(2026, 3, 31)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def written(*prices: str, **more: Any) -> InvoiceDrafted:
    lines = tuple(Line(description="Work", unit_price=Decimal(it)) for it in prices)
    content = Content(
        client_id=CLIENT,
        currency="USD",
        lines=lines,
        issue_date=DAY,
        due_date=DUE,
        payment_terms="net 30",
        **more,
    )
    return InvoiceDrafted(content, Handling(), price(lines, "USD"))


drafted = written("100")
empty = written()
free = written("0")
sent = InvoiceSent("INV-2026-00001", DAY, DUE, Seller("Test Ltd"), Buyer("Acme Corp"))
applied = InvoicePaymentApplied(PAYMENT, Decimal("60.00"), DAY)
settled = InvoicePaymentApplied(PAYMENT, Decimal("100.00"), DAY)
given_up = InvoiceWrittenOff(Decimal("100.00"))

AT = {
    Status.DRAFT: Invoice.after(drafted),
    Status.SENT: Invoice.after(drafted, sent),
    Status.PAID: Invoice.after(drafted, sent, settled),
    Status.CANCELLED: Invoice.after(drafted, sent, InvoiceCancelled()),
    Status.WRITTEN_OFF: Invoice.after(drafted, sent, given_up),
}
DISCARDED = Invoice.after(drafted, InvoiceDiscarded())


def refused(events: Iterable[Event], code: str, kind: type[Refusal] = Refused) -> Refusal:
    with pytest.raises(kind) as no:
        list(events)
    assert no.value.code == code
    return no.value


def send(invoice: Invoice, due: date = DUE) -> Iterable[Event]:
    return invoice.send(sent.number, DAY, due, sent.seller, Buyer("Acme Corp"))


# The state machine


def moved(invoice: Invoice, goal: Status) -> Iterable[Event]:
    """The verb that leads to a status."""
    match goal:
        case Status.SENT if invoice.status is Status.DRAFT:
            return send(invoice)
        case Status.SENT if invoice.status is Status.WRITTEN_OFF:
            return invoice.reinstate()
        case Status.SENT:
            return invoice.send_again()
        case Status.CANCELLED:
            return invoice.cancel(None)
        case Status.WRITTEN_OFF:
            return invoice.write_off(None)
        case _:
            return invoice.stay(goal)


STEPS: dict[tuple[Status, Status], list[Event] | str] = {
    (Status.DRAFT, Status.DRAFT): [],
    (Status.DRAFT, Status.SENT): [sent],
    (Status.DRAFT, Status.PAID): "wrong_state",
    (Status.DRAFT, Status.CANCELLED): [InvoiceCancelled(None)],
    (Status.DRAFT, Status.WRITTEN_OFF): "wrong_state",
    (Status.SENT, Status.DRAFT): "wrong_state",
    (Status.SENT, Status.SENT): [InvoiceSentAgain()],
    (Status.SENT, Status.PAID): "wrong_state",
    (Status.SENT, Status.CANCELLED): [InvoiceCancelled(None)],
    (Status.SENT, Status.WRITTEN_OFF): [given_up],
    (Status.PAID, Status.DRAFT): "wrong_state",
    (Status.PAID, Status.SENT): "wrong_state",
    (Status.PAID, Status.PAID): [],
    (Status.PAID, Status.CANCELLED): "has_payments",
    (Status.PAID, Status.WRITTEN_OFF): "wrong_state",
    (Status.CANCELLED, Status.DRAFT): "wrong_state",
    (Status.CANCELLED, Status.SENT): "wrong_state",
    (Status.CANCELLED, Status.PAID): "wrong_state",
    (Status.CANCELLED, Status.CANCELLED): [],
    (Status.CANCELLED, Status.WRITTEN_OFF): "wrong_state",
    (Status.WRITTEN_OFF, Status.DRAFT): "wrong_state",
    (Status.WRITTEN_OFF, Status.SENT): [InvoiceReinstated()],
    (Status.WRITTEN_OFF, Status.PAID): "wrong_state",
    (Status.WRITTEN_OFF, Status.CANCELLED): "wrong_state",
    (Status.WRITTEN_OFF, Status.WRITTEN_OFF): [],
}


@pytest.mark.parametrize("goal", list(Status))
@pytest.mark.parametrize("start", list(Status))
def test_every_step_is_taken_or_refused_as_the_table_says(start: Status, goal: Status) -> None:
    """Rule 3; a refusal names where one could go instead."""
    invoice, outcome = AT[start], STEPS[start, goal]
    if isinstance(outcome, str):
        no = refused(moved(invoice, goal), outcome)
        allowed = no.details["allowed_transitions"]
        assert str(goal) not in allowed or (start, goal) == (Status.SENT, Status.PAID)
        return
    events = list(moved(invoice, goal))
    assert events == outcome
    then = invoice
    for event in events:
        then = then.evolve(event)
    assert then.status is goal


def test_what_was_deleted_is_not_there_for_any_verb() -> None:
    it = DISCARDED
    verbs = [
        it.revise(it.content, it.handling, it.totals),
        send(it),
        it.send_again(),
        it.discard(),
        it.cancel(None),
        it.write_off(None),
        it.reinstate(),
        it.receive(PAYMENT, usd("1"), DAY),
        it.stay("draft"),
    ]
    for verb in verbs:
        refused(verb, "not_found", Missing)


# Drafts


def test_an_invoice_is_drafted_once() -> None:
    assert list(Invoice().draft(drafted.content, Handling(), drafted.totals)) == [drafted]
    with pytest.raises(AssertionError):
        list(AT[Status.DRAFT].draft(drafted.content, Handling(), drafted.totals))


def test_everything_of_a_draft_may_be_rewritten() -> None:
    """Rule 5."""
    invoice, other = AT[Status.DRAFT], written("7", notes="Thanks")
    (revised,) = invoice.revise(other.content, Handling(tags=("a",)), other.totals)
    assert revised == InvoiceRevised(other.content, Handling(tags=("a",)), other.totals)
    assert Invoice.after(drafted, revised).totals.total == 7


def test_a_revision_that_changes_nothing_is_no_event() -> None:
    invoice = AT[Status.DRAFT]
    assert list(invoice.revise(invoice.content, invoice.handling, invoice.totals)) == []


def test_a_draft_is_recomputed_when_the_way_of_rounding_has_changed() -> None:
    """R-MON-7: what is shown and what is compared are the same totals."""
    invoice = AT[Status.DRAFT]
    by_line = price(invoice.content.lines, "USD", tax_rounding="line")
    (revised,) = invoice.revise(invoice.content, invoice.handling, by_line)
    assert Invoice.after(drafted, revised).totals.tax_rounding == "line"


def test_a_draft_is_discarded_and_leaves_no_number() -> None:
    """Rule 5."""
    assert list(AT[Status.DRAFT].discard()) == [InvoiceDiscarded()]
    assert DISCARDED.number is None


@pytest.mark.parametrize("status", [Status.SENT, Status.PAID, Status.CANCELLED, Status.WRITTEN_OFF])
def test_an_issued_invoice_is_not_deleted(status: Status) -> None:
    """Rule 5."""
    refused(AT[status].discard(), "use_cancel_or_credit_note")


# Issue


def test_a_sent_invoice_has_its_number_dates_and_parties() -> None:
    """Rules 3 and 6."""
    invoice = AT[Status.SENT]
    assert (invoice.number, invoice.issued) == ("INV-2026-00001", True)
    assert (invoice.seller, invoice.buyer) == (sent.seller, sent.buyer)
    assert invoice.content.issue_date_chosen
    assert invoice.content.due_date_chosen
    assert invoice.balance_due == 100


def test_an_invoice_without_lines_is_not_sent() -> None:
    """Rule 1."""
    refused(send(Invoice.after(empty)), "no_lines", Invalid)


def test_an_invoice_is_not_due_before_it_is_issued() -> None:
    """Rules 3 and 10."""
    refused(send(AT[Status.DRAFT], date(2026, 2, 28)), "due_before_issue", Invalid)
    assert list(send(AT[Status.DRAFT], DAY))


def test_totals_that_do_not_add_up_are_never_issued() -> None:
    """R-MON-10."""
    bent = drafted.but(totals=drafted.totals.but(total=Decimal("100.01")))
    with pytest.raises(AssertionError, match="BR-CO-15"):
        list(send(Invoice.after(bent)))


def test_what_asks_for_nothing_is_paid_when_it_is_sent() -> None:
    """Rule 4."""
    invoice = Invoice.after(free, sent)
    assert (invoice.status, invoice.balance_due, invoice.payments) == (Status.PAID, 0, ())
    refused(invoice.cancel(None), "wrong_state")


def test_what_the_customer_withholds_is_not_due() -> None:
    """R-MON-8."""
    tax = Tax("IRPF", "IRPF", Decimal(15), withholding=True)
    line = Line(description="Work", unit_price=Decimal(100), taxes=(tax,))
    content = drafted.content.but(lines=(line,))
    invoice = Invoice.after(InvoiceDrafted(content, Handling(), price((line,), "USD")), sent)
    assert (invoice.totals.total, invoice.balance_due) == (Decimal("100.00"), Decimal("85.00"))


# The lock


@pytest.mark.parametrize("status", [it for it in Status if it is not Status.DRAFT])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("notes", "Other"),
        ("lines", ()),
        ("currency", "EUR"),
        ("client_id", OTHER_PAYMENT),
        ("issue_date", date(2026, 3, 2)),
        ("due_date", date(2026, 3, 30)),
        ("tax_mode", "none"),
        ("deposit", Deposit("percent", Decimal(10), DAY)),
    ],
)
def test_what_an_issued_invoice_says_is_locked(status: Status, field: str, value: Any) -> None:
    """Rule 5: a payment, a cancellation and a write-off do not open the lock either."""
    invoice = AT[status]
    content = invoice.content.but(**{field: value})
    no = refused(invoice.revise(content, invoice.handling, invoice.totals), "invoice_locked")
    assert no.details["fields"] == [field]
    assert no.details["hint"] == "issue a credit note or duplicate"


@pytest.mark.parametrize("status", [it for it in Status if it is not Status.DRAFT])
def test_how_an_issued_invoice_is_handled_is_free(status: Status) -> None:
    """Rule 5: and a later due date; nothing to do is no event."""
    invoice, later = AT[status], date(2026, 4, 15)
    handling = Handling(private_notes="Ask Jo", tags=("vip",), reminders_enabled=False)
    content = invoice.content.but(due_date=later)
    amended = InvoiceAmended(handling, later)
    assert list(invoice.revise(content, handling, invoice.totals)) == [amended]
    then = invoice.evolve(amended)
    assert (then.handling, then.content.due_date, then.status) == (handling, later, status)
    assert list(then.revise(content, handling, then.totals)) == []


# Payments


def test_a_part_payment_leaves_the_rest_due() -> None:
    """Rule 8."""
    (event,) = AT[Status.SENT].receive(PAYMENT, usd("60.00"), DAY)
    assert event == applied
    invoice = Invoice.after(drafted, sent, applied)
    assert (invoice.status, invoice.balance_due) == (Status.SENT, 40)
    assert invoice.paid_by(PAYMENT) == 60


def test_the_whole_balance_makes_it_paid_and_a_reversal_undoes_that() -> None:
    """Rule 3: paid becomes sent only by a reversal."""
    paid = AT[Status.PAID]
    assert (paid.status, paid.balance_due) == (Status.PAID, 0)
    assert list(paid.give_back(PAYMENT)) == [InvoicePaymentReversed(PAYMENT, Decimal("100.00"))]
    again = paid.evolve(InvoicePaymentReversed(PAYMENT, Decimal("100.00")))
    assert (again.status, again.balance_due, again.payments) == (Status.SENT, 100, ())
    assert again.paid_at is None


def test_a_reversal_of_what_is_not_there_is_nothing() -> None:
    assert list(AT[Status.PAID].give_back(OTHER_PAYMENT)) == []


def test_all_parts_of_one_payment_are_given_back_together() -> None:
    twice = Invoice.after(drafted, sent, applied, applied.but(amount=Decimal("15.00")))
    assert list(twice.give_back(PAYMENT)) == [InvoicePaymentReversed(PAYMENT, Decimal("75.00"))]


def test_more_than_is_due_is_refused() -> None:
    """Rule 9."""
    no = refused(AT[Status.SENT].receive(PAYMENT, usd("100.01"), DAY), "exceeds_balance", Invalid)
    assert no.details == {"balance_due": "100.00", "currency": "USD"}
    refused(AT[Status.PAID].receive(PAYMENT, usd("0.01"), DAY), "exceeds_balance", Invalid)


def test_another_currency_does_not_pay() -> None:
    """R-MON-12."""
    euros = Money(Decimal(1), "EUR")
    refused(AT[Status.SENT].receive(PAYMENT, euros, DAY), "currency_mismatch", Invalid)


@pytest.mark.parametrize("amount", ["0", "-1"])
def test_what_is_applied_is_more_than_nothing(amount: str) -> None:
    with pytest.raises(AssertionError):
        list(AT[Status.SENT].receive(PAYMENT, usd(amount), DAY))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (Status.DRAFT, "invoice_not_issued"),
        (Status.CANCELLED, "invoice_closed"),
        (Status.WRITTEN_OFF, "invoice_closed"),
    ],
)
def test_some_invoices_take_no_payment(status: Status, code: str) -> None:
    refused(AT[status].receive(PAYMENT, usd("1"), DAY), code)


# Cancelled, written off


def test_an_invoice_with_a_payment_is_not_cancelled() -> None:
    """Rule 3: use a credit note; once the payment is reversed it may be."""
    part = Invoice.after(drafted, sent, applied)
    no = refused(part.cancel(None), "has_payments")
    assert "credit note" in no.message
    back = part.evolve(InvoicePaymentReversed(PAYMENT, Decimal("60.00")))
    assert list(back.cancel("Twice")) == [InvoiceCancelled("Twice")]


def test_a_cancelled_invoice_keeps_its_number_and_a_cancelled_draft_has_none() -> None:
    """R-NUM-3; rule 3: to cancel a draft is to discard it."""
    assert AT[Status.CANCELLED].number == "INV-2026-00001"
    draft = Invoice.after(drafted, InvoiceCancelled())
    assert draft.number is None
    assert list(draft.discard()) == [InvoiceDiscarded()]


def test_the_balance_alone_is_written_off_and_comes_back() -> None:
    """Rule 3: a bad debt is reversible."""
    part = Invoice.after(drafted, sent, applied)
    (gone,) = part.write_off("Insolvent")
    assert gone == InvoiceWrittenOff(Decimal("40.00"), "Insolvent")
    off = part.evolve(gone)
    assert (off.status, off.balance_due, off.paid) == (Status.WRITTEN_OFF, 0, 60)
    again = off.evolve(InvoiceReinstated())
    assert (again.status, again.balance_due) == (Status.SENT, 40)


def test_a_payment_on_a_written_off_invoice_stays() -> None:
    off = Invoice.after(drafted, sent, applied, InvoiceWrittenOff(Decimal("40.00")))
    refused(off.give_back(PAYMENT), "invoice_written_off")
    refused(off.cancel(None), "has_payments")


# Overdue


@pytest.mark.parametrize(
    ("status", "today", "late"),
    [
        (Status.SENT, DUE, False),
        (Status.SENT, date(2026, 4, 1), True),
        (Status.DRAFT, date(2026, 4, 1), False),
        (Status.PAID, date(2026, 4, 1), False),
        (Status.CANCELLED, date(2026, 4, 1), False),
        (Status.WRITTEN_OFF, date(2026, 4, 1), False),
    ],
)
def test_only_what_is_due_since_yesterday_is_overdue(
    status: Status, today: date, late: bool
) -> None:
    """R-DAT-4: due today is not overdue."""
    assert AT[status].overdue_since(today) == (DUE if late else None)


@pytest.mark.parametrize(
    ("deposit", "amount"),
    [
        (None, "0"),
        (Deposit("amount", Decimal("25.00"), DAY), "25.00"),
        (Deposit("percent", Decimal("33.335"), DAY), "33.34"),
    ],
)
def test_a_deposit_is_an_amount_or_a_part_of_what_is_to_pay(
    deposit: Deposit | None, amount: str
) -> None:
    assert Invoice.after(written("100", deposit=deposit)).deposit_amount == Decimal(amount)


def test_the_first_instalment_that_is_unpaid_decides_what_is_overdue() -> None:
    """Rule 8."""
    deposit = Deposit("percent", Decimal(60), date(2026, 3, 10))
    invoice = Invoice.after(written("100", deposit=deposit), sent)
    assert invoice.overdue_since(date(2026, 3, 10)) is None
    assert invoice.overdue_since(date(2026, 3, 11)) == date(2026, 3, 10)
    covered = invoice.evolve(applied)
    assert covered.overdue_since(date(2026, 3, 11)) is None
    assert covered.overdue_since(date(2026, 4, 1)) == DUE
