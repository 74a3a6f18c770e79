"""Payment terms and the due dates they make."""

from datetime import date
from decimal import Decimal as D
from typing import Any

import pytest

from zeroinvoice.domain.terms import Terms, discount_until, due_date, parse
from zeroinvoice.kernel.refusals import Invalid


@pytest.mark.parametrize(
    ("given", "issued", "due"),
    [
        ("due_on_receipt", "2026-03-31", "2026-03-31"),
        ("Due on receipt", "2026-03-31", "2026-03-31"),
        ("net 0", "2026-03-31", "2026-03-31"),
        ("net 30", "2026-01-31", "2026-03-02"),
        ("NET30", "2028-02-01", "2028-03-02"),
        ("net_14", "2026-12-24", "2027-01-07"),
        (30, "2026-01-01", "2026-01-31"),
        ("eom", "2028-02-01", "2028-02-29"),
        ("eom", "2026-04-30", "2026-04-30"),
        ("eom + 10", "2026-02-15", "2026-03-10"),
        ("EOM+45", "2026-12-01", "2027-02-14"),
        ("day 15 of following month", "2026-12-31", "2027-01-15"),
        ("day 31 of the following month", "2026-01-05", "2026-02-28"),
        ("day 31 of following month", "2026-11-30", "2026-12-31"),
        ("day 30 of following month", "2028-01-31", "2028-02-29"),
        ("2% 10 net 30", "2026-06-01", "2026-07-01"),
        (Terms("net", 7), "2026-06-01", "2026-06-08"),
    ],
)
def test_a_due_date_follows_from_the_terms(given: Any, issued: str, due: str) -> None:
    """Invoices, rule 10: a day beyond the month's last is its last."""
    assert due_date(parse(given), date.fromisoformat(issued)) == date.fromisoformat(due)


def test_paying_early_may_be_worth_a_discount() -> None:
    """Invoices, rule 10: `N% d1 net d2`."""
    terms = parse("2.5% 10 net 30")
    assert terms == parse("2.5/10 NET 30") == Terms("net", 30, 0, D("2.5"), 10)
    assert discount_until(terms, date(2026, 6, 25)) == date(2026, 7, 5)
    assert discount_until(parse("net 30"), date(2026, 6, 25)) is None


@pytest.mark.parametrize(
    "given",
    [
        "", "net", "net -1", "net 1000", "net 3.5", "net ٣", "whenever", "eom - 1",
        "day 0 of following month",
        "day 32 of following month", "0% 10 net 30", "101% 10 net 30", "2% 31 net 30", -1, 1000,
        "net 30" + " " * 100 + "x", Terms("net", -1), Terms("eom", discount_days=3),
        Terms("day_of_following_month"), Terms("due_on_receipt", days=5), Terms("net", 5, day=3),
        Terms("eom", 0, 0, D(2), 0),
    ],
)  # fmt: skip
def test_unknown_terms_are_refused(given: Any) -> None:
    with pytest.raises(Invalid) as refusal:
        parse(given)
    assert refusal.value.code == "unknown_terms"


@pytest.mark.parametrize(
    "given", ["due_on_receipt", "net 30", "eom", "eom + 10", "day 3 of following month",
              "2% 10 net 30"],
)  # fmt: skip
def test_terms_are_written_as_they_are_read(given: str) -> None:
    assert str(parse(given)) == given
    assert parse(str(parse(given))) == parse(given)
