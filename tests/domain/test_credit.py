"""Credits as a state: issued, applied, taken back, paid out, voided, expired."""

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from zeroinvoice.domain.credit import (
    Credit,
    CreditApplied,
    CreditIssued,
    CreditRefunded,
    CreditUnapplied,
    CreditVoided,
    Status,
)
from zeroinvoice.domain.credit_ledger import CreditEntered, CreditLedger
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.refusals import Invalid, Missing, Refusal, Refused

CLIENT, INVOICE, FIRST, SECOND, REFUND = (UUID(int=it) for it in range(1, 6))
DAY = date(2026, 3, 1)
issued = CreditIssued(
    client_id=CLIENT,
    type="goodwill",
    amount=Money(Decimal("100.00"), "USD"),
    issued_on=DAY,
    expires_on=DAY + timedelta(days=9),
)
lasting = issued.but(expires_on=None)


def applied(amount: str, application: UUID = FIRST) -> CreditApplied:
    return CreditApplied(application, INVOICE, "INV-1", Decimal(amount), DAY)


def refunded(amount: str) -> CreditRefunded:
    return CreditRefunded(refund_id=REFUND, amount=Decimal(amount), method="cash", refunded_on=DAY)


def code_of(decision: object) -> str:
    with pytest.raises(Refusal) as no:
        list(decision)  # type: ignore[call-overload]
    return no.value.code


def test_what_remains_follows_from_the_facts() -> None:
    """A7-5: it is derived."""
    credit = Credit.after(issued, applied("30.00"), refunded("20.00"))
    assert (credit.applied, credit.refunded, credit.remaining.text) == (30, 20, "50.00")
    assert Credit.after(issued, applied("30.00"), CreditUnapplied(FIRST)).remaining.text == "100.00"
    assert not Credit.after(issued, CreditVoided()).remaining


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], Status.ISSUED),
        ([applied("30.00")], Status.PARTIALLY_APPLIED),
        ([applied("30.00"), CreditUnapplied(FIRST)], Status.ISSUED),
        ([applied("100.00")], Status.APPLIED),
        ([refunded("20.00")], Status.ISSUED),
        ([refunded("100.00")], Status.REFUNDED),
        ([applied("30.00"), refunded("70.00")], Status.REFUNDED),
        ([CreditVoided()], Status.VOID),
    ],
)
def test_a_status_follows_from_the_facts(events: list[CreditApplied], status: Status) -> None:
    """A7-5."""
    assert Credit.after(issued, *events).status(DAY) is status


def test_a_credit_expires_after_its_last_day() -> None:
    """A7-5 and R-DAT-5: unless nothing of it is left anyway."""
    last = DAY + timedelta(days=9)
    after = last + timedelta(days=1)
    credit = Credit.after(issued, applied("30.00"))
    assert credit.status(last) is Status.PARTIALLY_APPLIED
    assert credit.status(after) is Status.EXPIRED
    assert Credit.after(issued, applied("100.00")).status(after) is Status.APPLIED
    assert list(credit.apply(applied("1.00", SECOND), last)) == [applied("1.00", SECOND)]
    assert code_of(credit.apply(applied("1.00", SECOND), after)) == "credit_expired"
    assert list(credit.unapply(FIRST)) == [CreditUnapplied(FIRST)]


def test_no_more_is_spent_than_is_left() -> None:
    """A7-10."""
    credit = Credit.after(lasting, applied("60.00"))
    assert list(credit.refund(refunded("40.00"), DAY)) == [refunded("40.00")]
    for decision in (credit.refund(refunded("40.01"), DAY), credit.apply(applied("41.00"), DAY)):
        assert code_of(decision) == "exceeds_remaining"
    spent = Credit.after(lasting, applied("60.00"), refunded("40.00"))
    assert code_of(spent.apply(applied("0.01"), DAY)) == "credit_used"
    with pytest.raises(AssertionError):
        list(credit.apply(applied("0.00"), DAY))


def test_an_application_is_of_a_day_since_the_credit_is_there() -> None:
    """A7-6; when the workspace has moved west, today may be before that day."""
    credit, later = Credit.after(lasting), DAY + timedelta(days=5)
    for day in (DAY - timedelta(days=1), later + timedelta(days=1)):
        with pytest.raises(Invalid, match="from then to today"):
            list(credit.apply(applied("1.00").but(applied_on=day), later))
    west = DAY - timedelta(days=1)
    assert list(credit.apply(applied("1.00").but(applied_on=west), west))


def test_an_application_is_taken_back_once() -> None:
    credit = Credit.after(lasting, applied("60.00"), CreditUnapplied(FIRST))
    assert list(credit.unapply(FIRST)) == []
    with pytest.raises(Missing):
        list(credit.unapply(SECOND))


def test_only_an_unused_credit_is_voided() -> None:
    """A7-5."""
    voided = CreditVoided("a slip")
    assert list(Credit.after(lasting).void("a slip")) == [voided]
    assert list(Credit.after(lasting, voided).void("again")) == []
    assert list(Credit.after(lasting, applied("1.00"), CreditUnapplied(FIRST)).void("a slip"))
    for event in (applied("1.00"), refunded("1.00")):
        with pytest.raises(Refused) as no:
            list(Credit.after(lasting, event).void(None))
        assert no.value.code == "credit_spent"


def test_a_ledger_holds_what_is_left_in_the_order_of_its_use() -> None:
    """A7-8: the first to expire, then the oldest."""
    hundred = Money(Decimal(100), "USD")
    late, soon = DAY + timedelta(days=9), DAY + timedelta(days=1)
    entered = [
        CreditEntered(CLIENT, UUID(int=it), hundred, day)
        for it, day in ((12, None), (11, None), (14, late), (15, soon))
    ]
    ledger = CreditLedger.after(*entered)
    assert [it.credit_id.int for it in ledger.held] == [15, 14, 11, 12]
    used = CreditEntered(CLIENT, UUID(int=14), Money.zero("USD"), late)
    assert [it.credit_id.int for it in CreditLedger.after(*entered, used).held] == [15, 11, 12]


def test_a_ledger_is_told_only_what_is_new() -> None:
    credit = Credit.after(lasting).but(id=FIRST)
    told = CreditEntered(CLIENT, FIRST, credit.remaining, None)
    assert list(CreditLedger().enter(credit)) == [told]
    assert list(CreditLedger.after(told).enter(credit)) == []
