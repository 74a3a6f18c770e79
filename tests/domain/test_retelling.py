"""Facts told again with something in them changed: each change, and what cannot have been."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain.client import Client, ClientAdded, Profile
from zeroinvoice.domain.credit import Credit, CreditApplied, CreditIssued, CreditRefunded
from zeroinvoice.domain.credit_note import Note, NoteLine, NoteTotals, further
from zeroinvoice.domain.credited import (
    InvoiceCredited,
    InvoiceCreditNoteIssued,
    InvoiceCreditNoteRefunded,
)
from zeroinvoice.domain.history import TOPICS, History
from zeroinvoice.domain.invoice import (
    Buyer,
    Content,
    Handling,
    Invoice,
    InvoiceAmended,
    InvoiceDrafted,
    InvoicePaymentApplied,
    InvoiceReinstated,
    InvoiceSent,
    InvoiceWrittenOff,
    Status,
)
from zeroinvoice.domain.lines import Line, Tax, price
from zeroinvoice.domain.paid import InvoicePaymentRefunded
from zeroinvoice.domain.payment import Allocation, Payment, PaymentRecorded, PaymentRefunded
from zeroinvoice.domain.retelling import Retold, retell
from zeroinvoice.domain.supposing import Change, OtherRate, OtherTerms, Supposed, WithoutPayment
from zeroinvoice.domain.workspace import Seller, Settings, TaxCodeDefined, WorkspaceOpened
from zeroinvoice.kernel.facts import NIL, Actor, Event, Fact, Origin
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.refusals import Invalid, Missing

TENANT, CLIENT, INVOICE, PAYMENT, CREDIT, PART, BACK = (UUID(int=it) for it in range(1, 8))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VAT = Tax("VAT", "VAT", Decimal(19))


def march(day: int) -> date:
    return date(2026, 3, day)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


class Told:
    """Facts in their order; those of one `command` were recorded together."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.command(TENANT, WorkspaceOpened(NIL, Settings(name="Test")), TaxCodeDefined(VAT))
        self.command(CLIENT, ClientAdded(Profile("Acme", "USD")))

    def command(self, *told: UUID | Event) -> None:
        """Each event is recorded on the stream that is named last before it."""
        request, stream = UUID(int=1000 + len(self.facts)), NIL
        for it in told:
            if isinstance(it, UUID):
                stream = it
                continue
            version = 1 + sum(fact.stream == stream for fact in self.facts)
            position = len(self.facts) + 1
            at = NOON + timedelta(minutes=position)
            origin = Origin(Actor("system"), request)
            self.facts.append(Fact(it, TENANT, stream, version, position, at, origin))

    def bill(self, *lines: Line, issued: date = march(1)) -> None:
        lines = lines or (line(),)
        content = Content(client_id=CLIENT, currency="USD", lines=lines, issue_date=issued,
                          due_date=issued, payment_terms="net 0")  # fmt: skip
        totals = price(lines, "USD")
        sent = InvoiceSent("INV-1", issued, issued + timedelta(30), Seller(), Buyer("Acme"))
        self.command(INVOICE, InvoiceDrafted(content, Handling(), totals), sent)

    def pay(self, amount: str) -> None:
        part = Allocation(INVOICE, "INV-1", Decimal(amount))
        entry = PaymentRecorded(
            client_id=CLIENT,
            amount=usd(amount),
            worth=usd(amount),
            method="cash",
            received_on=march(5),
            allocations=(part,),
        )
        applied = InvoicePaymentApplied(PAYMENT, part.amount, march(5))
        self.command(PAYMENT, entry, INVOICE, applied)

    def give(self, amount: str, applied: str, to: UUID = INVOICE) -> None:
        """A goodwill, of which a part is applied."""
        given = CreditIssued(client_id=CLIENT, type="goodwill", amount=usd(amount),
                             issued_on=march(5))  # fmt: skip
        self.command(CREDIT, given)
        part = Decimal(applied)
        self.command(
            to,
            InvoiceCredited(CREDIT, PART, "goodwill", part, march(6)),
            CREDIT,
            CreditApplied(PART, to, "INV-1", part, march(6)),
        )

    def note(self, applied: str) -> None:
        """A credit note of the whole, a part of which settles its invoice at once."""
        invoice = self.now(Invoice, INVOICE)
        taken = (NoteLine(1, "Work", invoice.totals.line_nets[0]),)
        totals = further(invoice.content.lines, invoice.totals, (), taken)
        issued = CreditIssued(client_id=CLIENT, type="credit_note", issued_on=march(8),
                              amount=Money(totals.payable, "USD"), number="CN-1",
                              invoice_id=INVOICE, lines=taken, totals=totals)  # fmt: skip
        told: list[UUID | Event] = [INVOICE, InvoiceCreditNoteIssued(note_of(taken, totals)),
                                    CREDIT, issued]  # fmt: skip
        if part := Decimal(applied):
            credited = InvoiceCredited(CREDIT, PART, "credit_note", part, march(8))
            told += [INVOICE, credited, CREDIT, CreditApplied(PART, INVOICE, "", part, march(8))]
        self.command(*told)

    def pay_out(self, amount: str) -> None:
        refund = CreditRefunded(refund_id=BACK, amount=Decimal(amount), method="cash",
                                refunded_on=march(9))  # fmt: skip
        paid_out = InvoiceCreditNoteRefunded(CREDIT, Decimal(amount))
        self.command(CREDIT, refund, INVOICE, paid_out)

    def now(self, kind: Any, id: UUID) -> Any:
        return History.after(self.facts).find(kind, id)

    def again(self, *changes: Change) -> Retold:
        past = History.after(self.facts)
        return retell(self.facts, past, Supposed.of(changes, past))


def line(amount: str = "100", *taxes: Tax) -> Line:
    return Line(description="Work", unit_price=Decimal(amount), taxes=taxes or (VAT,))


def note_of(taken: tuple[NoteLine, ...], totals: NoteTotals) -> Note:
    return Note(CREDIT, "CN-1", taken, totals)


def rate(percent: str, since: date = march(1), **tax: str) -> OtherRate:
    return OtherRate(rate=Decimal(percent), since=since, **(tax or {"code": "VAT"}))


@pytest.fixture
def told() -> Told:
    return Told()


def owed(again: Retold) -> Invoice:
    return again.history.find(Invoice, INVOICE)


def codes(again: Retold) -> list[tuple[str, Decimal | None]]:
    return [(it.code, it.amount) for it in again.conflicts]


def test_without_changes_every_fact_is_told_as_it_was(told: Told) -> None:
    told.bill()
    told.pay("60")
    again = told.again()
    assert again.facts == told.facts
    assert again.conflicts == []


def test_a_history_is_made_of_what_documents_are_made_of() -> None:
    assert {"WorkspaceOpened", "ClientsMerged", "InvoiceSent", "CreditIssued"} < TOPICS
    assert not {"AccountDebited", "SessionStarted", "LikePaymentRecorded"} & TOPICS


# Another rate


def test_another_rate_makes_another_total(told: Told) -> None:
    """R-MON-4: the same calculation, in the same order."""
    told.bill()
    told.pay("60")
    it = owed(told.again(rate("21")))
    assert (it.totals.total, it.totals.tax_total, it.balance_due) == (121, 21, 61)
    assert it.totals == price((line("100", VAT.but(rate=Decimal(21))),), "USD")
    assert (it.number, it.content.issue_date) == ("INV-1", march(1))


def test_what_was_issued_before_the_day_keeps_its_rate(told: Told) -> None:
    """It is the day of issue that counts, however early the draft was."""
    told.bill(issued=march(10))
    assert owed(told.again(rate("21", march(10)))).totals.total == 121
    assert owed(told.again(rate("21", march(11)))).totals.total == 119


def test_of_several_rates_that_fit_the_last_one_counts(told: Told) -> None:
    told.bill()
    assert owed(told.again(rate("21"), rate("25"))).totals.total == 125
    assert owed(told.again(rate("25"), rate("21", march(2)))).totals.total == 125


def test_a_tax_inside_the_price_changes_the_net(told: Told) -> None:
    """R-MON-5: the customer pays what was written."""
    told.bill(line("119", VAT.but(inclusive=True)))
    it = owed(told.again(rate("7")))
    assert (it.totals.total, it.totals.net_total) == (119, Decimal("111.21"))


def test_only_the_tax_that_is_named_changes(told: Told) -> None:
    bare = Tax(None, "7 %", Decimal(7))
    told.bill(line(), line("10", bare))
    again = owed(told.again(rate("8", name="7 %", category="S")))
    assert [(it.name, it.tax) for it in again.totals.tax_breakdown] == [
        ("VAT", 19), ("8 %", Decimal("0.80")),
    ]  # fmt: skip


def test_less_than_nothing_is_a_conflict(told: Told) -> None:
    low = Tax("LOW", "Low", Decimal(5))
    told.bill(line("100"), line("-90", low))
    again = told.again(rate("0"), rate("100", code="LOW"))
    assert owed(again).totals.total == -80
    assert codes(again) == [("negative_total", 80)]


def test_what_an_invoice_has_no_room_for_stays_unapplied(told: Told) -> None:
    told.bill()
    told.pay("119")
    again = told.again(rate("7"))
    assert codes(again) == [("exceeds_balance", 12)]
    assert again.conflicts[0].seq == told.facts[-2].position
    payment = again.history.find(Payment, PAYMENT)
    assert (payment.applied.amount, payment.unapplied.amount) == (107, 12)
    assert (owed(again).status, owed(again).balance_due) == (Status.PAID, 0)


def test_what_was_paid_back_comes_from_what_is_unapplied_then(told: Told) -> None:
    """G13: the refund was paid, whatever it was taken from."""
    told.bill()
    told.pay("119")
    given = (Allocation(INVOICE, "INV-1", Decimal(119)),)
    refund = PaymentRefunded(refund_id=BACK, amount=usd("119"), worth=Decimal(119), method="cash",
                             refunded_on=march(7), allocations=given)  # fmt: skip
    back = InvoicePaymentRefunded(PAYMENT, BACK, Decimal(119), march(7))
    told.command(PAYMENT, refund, INVOICE, back)
    again = told.again(rate("7"))
    payment = again.history.find(Payment, PAYMENT)
    (paid_back,) = payment.refunds
    assert (paid_back.unapplied, paid_back.allocations[0].amount) == (12, 107)
    assert (payment.unapplied.amount, owed(again).balance_due) == (0, 107)


def test_a_credit_settles_as_much_as_is_owed(told: Told) -> None:
    told.bill()
    told.pay("100")
    told.give("50", "19")
    again = told.again(rate("7"))
    assert codes(again) == [("exceeds_balance", 12)]
    credit = again.history.find(Credit, CREDIT)
    assert (credit.applied, credit.remaining.amount) == (7, 43)


def test_a_note_takes_the_taxes_of_its_invoice_and_settles_it(told: Told) -> None:
    """A7-3 and A7-4."""
    told.bill()
    told.note("119")
    again = told.again(rate("21"))
    credit = again.history.find(Credit, CREDIT)
    assert (credit.entry.amount.amount, credit.remaining.amount) == (121, 0)
    assert owed(again).balance_due == 0
    assert again.conflicts == []


def test_a_note_of_a_paid_invoice_settles_what_would_be_due_first(told: Told) -> None:
    """A7-3: no user decides that, so it is told though it was not recorded."""
    told.bill()
    told.pay("119")
    told.note("0")
    again = told.again(rate("21"))
    credit = again.history.find(Credit, CREDIT)
    assert (credit.entry.amount.amount, credit.applied) == (121, 2)
    assert owed(again).balance_due == 0


def test_more_paid_out_of_a_note_than_it_is_worth_is_a_conflict(told: Told) -> None:
    told.bill()
    told.pay("119")
    told.note("0")
    told.pay_out("119")
    again = told.again(rate("7"))
    assert codes(again) == [("exceeds_balance", 12), ("exceeds_remaining", 12)]
    assert again.history.find(Credit, CREDIT).remaining.amount == 0
    assert owed(again).credited.refunded == 107


def test_a_write_off_gives_up_the_balance_there_would_be(told: Told) -> None:
    told.bill()
    told.command(INVOICE, InvoiceWrittenOff(Decimal(119)))
    it = owed(told.again(rate("21")))
    assert (it.status, it.written_off, it.balance_due) == (Status.WRITTEN_OFF, 121, 0)


def test_where_nothing_would_be_left_there_is_no_write_off_and_no_end_of_it(told: Told) -> None:
    told.bill()
    told.pay("107")
    told.command(INVOICE, InvoiceWrittenOff(Decimal(12)))
    told.command(INVOICE, InvoiceReinstated())
    again = told.again(rate("7"))
    assert codes(again) == [("nothing_to_write_off", 12)]
    assert owed(again).status is Status.PAID


# Without a payment


def test_without_a_payment_nothing_of_it_is_told(told: Told) -> None:
    told.bill()
    told.pay("119")
    again = told.again(WithoutPayment(payment_id=PAYMENT))
    assert again.facts == told.facts[:-2]
    assert again.conflicts == []
    assert (owed(again).status, owed(again).balance_due) == (Status.SENT, 119)


def test_nor_of_the_credit_that_it_left(told: Told) -> None:
    told.bill()
    entry = PaymentRecorded(client_id=CLIENT, amount=usd("50"), worth=usd("50"), method="cash",
                            received_on=march(5))  # fmt: skip
    told.command(PAYMENT, entry)
    rest = CreditIssued(client_id=CLIENT, type="overpayment", amount=usd("50"), payment_id=PAYMENT,
                        issued_on=march(5))  # fmt: skip
    part = InvoiceCredited(CREDIT, PART, "overpayment", Decimal(50), march(6))
    told.command(CREDIT, rest, INVOICE, part, CREDIT,
                 CreditApplied(PART, INVOICE, "INV-1", Decimal(50), march(6)))  # fmt: skip
    again = told.again(WithoutPayment(payment_id=PAYMENT))
    assert not again.history.find(Credit, CREDIT).version
    assert owed(again).balance_due == 119


def test_a_note_cannot_pay_out_what_was_never_paid(told: Told) -> None:
    """A7-3: no more than was paid on its invoice."""
    told.bill()
    told.pay("119")
    told.note("0")
    told.pay_out("30")
    again = told.again(WithoutPayment(payment_id=PAYMENT))
    assert codes(again) == [("exceeds_remaining", 30)]
    assert (owed(again).balance_due, owed(again).credited.refunded) == (0, 0)


def test_a_refund_that_went_through_the_payment_stands_in_the_way(told: Told) -> None:
    told.bill()
    told.pay("119")
    told.command(CREDIT, CreditIssued(client_id=CLIENT, type="goodwill", amount=usd("9"),
                                      issued_on=march(6)))  # fmt: skip
    refund = CreditRefunded(refund_id=BACK, amount=Decimal(9), method="cash",
                            refunded_on=march(7), payment_id=PAYMENT)  # fmt: skip
    told.command(CREDIT, refund)
    with pytest.raises(Invalid, match="cannot be left out") as no:
        told.again(WithoutPayment(payment_id=PAYMENT))
    assert no.value.details["credit_id"] == str(CREDIT)


def test_a_payment_that_was_never_recorded_is_missing(told: Told) -> None:
    told.bill()
    for id in (PAYMENT, INVOICE):
        with pytest.raises(Missing):
            told.again(WithoutPayment(payment_id=id))


# Other terms


def test_other_terms_count_from_the_issue(told: Told) -> None:
    """A4-10."""
    told.bill()
    assert owed(told.again(OtherTerms(net_days=14))).content.due_date == march(15)
    assert owed(told.again(OtherTerms(terms="eom"))).content.due_date == march(31)
    assert owed(told.again(OtherTerms(net_days=14, since=march(2)))).content.due_date == march(31)
    assert owed(told.again(OtherTerms(net_days=14, client_id=CLIENT))).content.due_date == march(15)
    last = told.again(OtherTerms(net_days=14), OtherTerms(net_days=3))
    assert owed(last).content.due_date == march(4)


def test_terms_of_another_client_are_none_of_its_business(told: Told) -> None:
    other = UUID(int=99)
    told.command(other, ClientAdded(Profile("Beta", "USD")))
    told.bill()
    it = owed(told.again(OtherTerms(net_days=14, client_id=other)))
    assert it.content.due_date == march(31)
    assert told.now(Client, other).profile.name == "Beta"


def test_a_due_date_that_was_put_off_stays_so(told: Told) -> None:
    """Handling alone moves no day; a day that is earlier than the new one is a conflict."""
    told.bill()
    told.command(INVOICE, InvoiceAmended(Handling(tags=("late",)), march(31)))
    assert owed(told.again(OtherTerms(net_days=14))).content.due_date == march(15)
    april = date(2026, 4, 10)
    told.command(INVOICE, InvoiceAmended(Handling(tags=("late",)), april))
    again = told.again(OtherTerms(net_days=14))
    assert (owed(again).content.due_date, again.conflicts) == (april, [])
    again = told.again(OtherTerms(net_days=60))
    assert owed(again).content.due_date == date(2026, 4, 30)
    assert codes(again) == [("due_date_later", None)]
