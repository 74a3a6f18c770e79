"""What was open of an invoice on a day, by effective dates."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from zeroinvoice.domain.receivable import (
    Bill,
    Closing,
    Dated,
    Good,
    Receivables,
    Settlement,
    last_months,
)
from zeroinvoice.kernel.facts import NIL
from zeroinvoice.kernel.ids import new_id


def march(day: int) -> date:
    return date(2026, 3, day)


def bill(payable: int = 100, **more: Any) -> Bill:
    usual = {
        "invoice_id": NIL,
        "number": "INV-1",
        "issue_date": march(1),
        "due_date": march(20),
        "drafted_on": march(1),
    }
    return Bill(payable=Decimal(payable), **{**usual, **more})


def settled(amount: int, day: int, *, in_money: bool = True, part: Any = NIL) -> Settlement:
    at = datetime(2026, 4, 1, tzinfo=UTC)
    return Settlement(Decimal(amount), march(day), in_money, part, at)


def test_an_invoice_that_is_paid_later_is_open_until_then() -> None:
    """A8-3 and A8-8."""
    it = bill(settlements=(settled(40, 10), settled(60, 12)))
    assert [it.open(march(day)) for day in (1, 9, 10, 11, 12, 31)] == [100, 100, 60, 60, 0, 0]
    assert it.paid_on == march(12)


def test_nothing_is_open_before_it_is_issued() -> None:
    it = bill(drafted_on=date(2026, 2, 20))
    assert (it.open(date(2026, 2, 28)), it.standing(date(2026, 2, 28))) == (0, "draft")
    assert it.standing(date(2026, 2, 19)) == "none"


def test_what_is_paid_back_is_owed_again_from_that_day() -> None:
    """A8-3."""
    it = bill(settlements=(settled(100, 10), settled(-30, 15)))
    assert [it.open(march(day)) for day in (9, 10, 14, 15)] == [100, 0, 0, 30]
    assert it.paid_on is None


def test_what_is_given_up_is_open_until_that_day() -> None:
    """A8-3 and A8-7: drafts, cancelled and written-off ones stand apart."""
    lost = bill(closings=(Closing(march(8), "written_off"), Closing(march(11), "reinstated")))
    assert [lost.open(march(day)) for day in (7, 8, 10, 11)] == [100, 0, 0, 100]
    assert lost.standing(march(9)) == "written_off"
    gone = bill(closings=(Closing(march(8), "cancelled"),))
    book = Receivables(currency="USD", bills=(gone,))
    assert [book.sales(march(1), march(31), march(day)) for day in (7, 8)] == [100, 0]
    assert bill(number=None, closings=gone.closings).standing(march(9)) == "none"


def test_a_deposit_ages_by_itself_and_is_settled_first() -> None:
    """A8-3: instalments age separately."""
    plan = {"deposit": Decimal(30), "deposit_due": march(5)}
    (first, rest) = bill(**plan).instalments(march(10))
    assert (first.part, first.due_date, first.amount) == ("deposit", march(5), 30)
    assert (rest.part, rest.due_date, rest.amount) == ("balance", march(20), 70)
    parts = bill(**plan, settlements=(settled(10, 2),)).instalments(march(10))
    assert [it.amount for it in parts] == [20, 70]
    assert bill(**plan).overdue(march(6))
    (only,) = bill(**plan, settlements=(settled(40, 2),)).instalments(march(10))
    assert (only.part, only.amount) == ("balance", 60)
    assert not bill(**plan, settlements=(settled(40, 2),)).overdue(march(20))


def test_what_back_dating_settles_twice_is_unapplied_for_those_days() -> None:
    """It is never netted into a bucket: 60 came on the 10th and went back on the 20th."""
    it = bill(settlements=(settled(60, 10), settled(-60, 20), settled(100, 5)))
    book = Receivables(currency="USD", bills=(it,))
    assert [it.open(march(day)) for day in (4, 5, 10, 20)] == [100, 0, 0, 0]
    assert [book.unapplied(march(day)) for day in (4, 5, 10, 20)] == [0, 0, 60, 0]


def test_credits_stand_beside_until_they_are_used_or_expire() -> None:
    """A8-3."""
    given = Good("credit", NIL, Decimal(50), march(5), expires_on=march(20))
    used = given.but(amount=Decimal(-20), day=march(10))
    kept = Good("payment", NIL, Decimal(7), march(3))
    book = Receivables(currency="USD", goods=(given, used, kept))
    assert [book.credit(march(day)) for day in (4, 5, 10, 20, 21)] == [0, 50, 30, 30, 0]
    assert [book.unapplied(march(day)) for day in (2, 3)] == [0, 7]


def test_sales_are_less_credit_notes_by_their_own_day() -> None:
    """A8-7."""
    note = Dated(Decimal(25), march(15))
    book = Receivables(currency="USD", bills=(bill(),), notes=(note,))
    assert book.sales(march(1), march(14), march(31)) == 100
    assert book.sales(march(1), march(31), march(31)) == 75
    months = list(book.months_back(date(2026, 4, 10)))
    assert [(it.days, it.sales) for it in months] == [(10, 0), (31, 75)]


def test_days_to_pay_weigh_what_is_left_of_each_payment() -> None:
    one, other = new_id(), new_id()
    it = bill(
        settlements=(
            settled(60, 11, part=one),
            settled(40, 21, part=other),
            settled(-40, 25, part=other),
            settled(5, 31, in_money=False),
        )
    )
    book = Receivables(currency="USD", bills=(it,))
    assert book.days_to_pay(march(1), march(31)) == (10, 1)
    assert book.collected(march(1), march(31)) == 60
    assert book.days_to_pay(march(12), march(31)) == (0, 0)


def test_the_last_months_end_with_the_day_itself() -> None:
    """A8-5."""
    months = last_months(march(10), 3)
    assert months == [
        (date(2026, 1, 1), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
        (march(1), march(10)),
    ]
