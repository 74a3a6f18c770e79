"""What would have been is what a life with that in it would have led to."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from projections.simulation_figures import by_client, by_document, in_all
from projections.simulation_view import SimulatedFigures
from tests.properties.simulation_world import DAY, FIRST, FIRST_STEP, Life, Step, side, told_again
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.history import History
from zeroinvoice.domain.invoice import Invoice, Status
from zeroinvoice.domain.payment import Payment, PaymentRecorded
from zeroinvoice.domain.payment import Status as PaymentStatus
from zeroinvoice.domain.supposing import Change, OtherRate, OtherTerms, WithoutPayment
from zeroinvoice.kernel.facts import Fact

cents = st.integers(1, 12_000).map(lambda it: Decimal(it) / 100)
few = st.integers(0, 5)


def steps(*verbs: str) -> st.SearchStrategy[list[Step]]:
    """A few bills, and then whatever comes."""
    bills = st.lists(st.builds(Step, st.just("bill"), few, few, cents, st.booleans()),
                     min_size=1, max_size=3)  # fmt: skip
    others = st.builds(Step, st.sampled_from(verbs), few, few, cents, st.booleans())
    return st.builds(lambda one, more: one + more, bills, st.lists(others, max_size=9))


MONEY = ("pay", "pay", "prepay", "void", "refund", "correct", "give", "apply", "unapply")
EVERYTHING = (*MONEY, "bill", "note", "note", "pay out", "write off", "reinstate", "cancel")


@contextmanager
def life(rate: str = "19") -> Iterator[Life]:
    it = Life(rate)
    try:
        yield it
    finally:
        it.close()


def told(facts: list[Fact]) -> Any:
    """All that a simulation compares, of one side."""
    one, history = side(facts), History.after(facts)
    nothing = History()
    documents = {it.id: it.actual for it in by_document(history, nothing, DAY)}
    return in_all(one, one, DAY), by_client(one, one, DAY), documents


def entered(facts: list[Fact]) -> list[PaymentRecorded]:
    return [it.event for it in facts if isinstance(it.event, PaymentRecorded)]


@given(steps(*EVERYTHING))
@settings(max_examples=60)
def test_with_no_change_nothing_differs(taken: list[Step]) -> None:
    """Every fact is told as it was recorded: what may be applied at most never bites."""
    with life() as it:
        it.live(taken)
        again = told_again(it.facts)
        assert again.facts == it.facts
        assert not again.conflicts
        assert by_document(History.after(it.facts), again.history, DAY) == []
        for figures in in_all(side(it.facts), side(again.facts), DAY).values():
            assert figures.balance.difference == figures.tax.difference == 0
            assert figures.dso.simple.actual == figures.dso.simple.simulated


@given(steps(*EVERYTHING), few)
@settings(max_examples=60)
def test_without_a_payment_is_as_if_it_had_never_been_recorded(
    taken: list[Step], which: int
) -> None:
    """Of lives in which all else is done as well without it, and no other payment split anew."""
    with life() as it, life() as other:
        decisions, past = it.live(taken), History.after(it.facts)
        payments = sorted(found.id for found in past.all(Payment))
        assume(payments)
        gone = payments[which % len(payments)]
        rests = {found.id for found in past.all(Credit) if found.entry.payment_id == gone}
        steps = {f.origin.request.int for f in it.facts if f.stream in {gone, *rests}}
        numbered = enumerate(decisions, FIRST_STEP)
        other.live_like([None if n in steps else each for n, each in numbered])
        both = enumerate(zip(it.did, other.did, strict=True), FIRST_STEP)
        assume(all(one == two or n in steps for n, (one, two) in both))
        kept = [each for each in it.facts if each.stream != gone]
        assume(entered(other.facts) == entered(kept))
        again = told_again(it.facts, WithoutPayment(payment_id=gone))
        assume(not again.conflicts)
        assert told(again.facts) == told(other.facts)


@given(steps("pay", "pay", "prepay", "note", "note", "give", "apply", "bill"))
@settings(max_examples=60)
def test_another_rate_is_as_if_documents_had_been_issued_with_it(taken: list[Step]) -> None:
    """Of lives in which there is room for the same payments and credits at both rates."""
    with life("19") as it, life("21") as other:
        other.live_like(it.live(taken))
        assume(it.did == other.did)
        assume(entered(other.facts) == entered(it.facts))
        change = OtherRate(code="VAT", rate=Decimal(21), since=FIRST)
        again = told_again(it.facts, change)
        assume(not again.conflicts)
        assert told(again.facts) == told(other.facts)


@given(steps(*EVERYTHING), st.integers(0, 60))
@settings(max_examples=40)
def test_other_terms_change_what_is_late_and_no_amount(taken: list[Step], net: int) -> None:
    with life() as it:
        it.live(taken)
        again = told_again(it.facts, OtherTerms(net_days=net))
        assert not again.conflicts
        one, other = side(it.facts), side(again.facts)
        for figures in in_all(one, other, DAY).values():
            late = figures.balance.actual if net == 0 else 0
            assert figures.overdue.simulated == late
            for name in ("invoiced", "tax", "paid", "credited", "balance", "unapplied"):
                assert getattr(figures, name).difference == 0


@given(steps(*EVERYTHING), st.sampled_from(["0", "5", "19", "21", "100"]), st.none() | few)
@settings(max_examples=80)
def test_whatever_is_supposed_no_cent_is_made_and_none_is_lost(
    taken: list[Step], percent: str, which: int | None
) -> None:
    """Both legs say the same, nothing is below nothing, and the ledger says what documents say."""
    with life() as it:
        it.live(taken)
        changes: list[Change] = [OtherRate(code="VAT", rate=Decimal(percent), since=FIRST)]
        payments = sorted(found.id for found in History.after(it.facts).all(Payment))
        if payments and which is not None:
            changes.append(WithoutPayment(payment_id=payments[which % len(payments)]))
        again = told_again(it.facts, *changes)
        assert_sound(again.history)
        for figures in in_all(side(it.facts), side(again.facts), DAY).values():
            assert_like(figures, again.history)


def assert_sound(history: History) -> None:
    credits = {it.id: it for it in history.all(Credit)}
    for invoice in history.all(Invoice):
        assert invoice.balance_due >= 0
        assert (invoice.status is Status.PAID) == (invoice.issued and not invoice.balance_due
                                                   and not invoice.written_off)  # fmt: skip
        for part in invoice.credited.parts:
            applied = credits[part.credit_id].application(part.application_id)
            assert (applied.amount, applied.unapplied) == (part.amount, False)
        for note in invoice.credited.notes:
            assert credits[note.credit_id].entry.totals == note.totals
            assert credits[note.credit_id].refunded == note.refunded
    for credit in credits.values():
        assert min(credit.applied, credit.refunded, credit.remaining.amount) >= 0
        for applied in credit.standing:
            assert history.find(Invoice, applied.invoice_id).credited.part(applied.application_id)
    for payment in history.all(Payment):
        if payment.status is PaymentStatus.VOIDED:
            continue
        over = payment.entry.overpaid
        kept = (over.amount if over else 0) - sum(it.overpaid for it in payment.refunds)
        parts = (payment.applied.amount, payment.unapplied.amount, kept, payment.worth_refunded)
        assert min(parts) >= 0
        assert sum(parts) == payment.entry.worth.amount
        for allocation in payment.allocations:
            invoice = history.find(Invoice, allocation.invoice_id)
            assert invoice.paid_by(payment.id) == allocation.amount


def assert_like(figures: SimulatedFigures, history: History) -> None:
    """What the ledger sums up to is what the documents add up to."""
    sold = [it for it in history.all(Invoice) if it.status is not Status.CANCELLED]
    notes = [note for it in sold for note in it.credited.notes]
    owed = sum(it.balance_due for it in sold)
    assert figures.invoiced.simulated == sum(it.totals.payable for it in sold)
    assert figures.balance.simulated == owed
    assert figures.written_off.simulated == sum(it.written_off for it in sold)
    unapplied = sum(it.unapplied.amount for it in history.all(Payment))
    assert figures.unapplied.simulated == unapplied
    left = sum(it.remaining.amount for it in history.all(Credit))
    assert figures.open_credit.simulated == left
    assert figures.credit_notes.simulated == sum(it.totals.payable for it in notes)
    taxes = sum(it.totals.tax_total for it in sold) - sum(it.totals.tax_total for it in notes)
    assert figures.tax.simulated == taxes
    settled = figures.paid.simulated + figures.credited.simulated
    settled += sum(it.credited.refunded for it in sold)
    assert figures.invoiced.simulated == settled + figures.written_off.simulated + owed
