"""Buckets: what is open, by the days it is past due."""

from datetime import date
from decimal import Decimal

import pytest

from zeroinvoice.domain.aging import Instalment, Scale, aged
from zeroinvoice.kernel.facts import NIL

AS_OF = date(2026, 6, 30)


def due(day: str, amount: str = "1.00", issued: str = "2026-01-01") -> Instalment:
    dates = date.fromisoformat(issued), date.fromisoformat(day)
    return Instalment(NIL, "INV-1", "balance", *dates, Decimal(amount))


@pytest.mark.parametrize(
    ("day", "bucket"),
    [
        ("2026-07-01", "current"),
        ("2026-06-30", "current"),
        ("2026-06-29", "1-30"),
        ("2026-05-31", "1-30"),
        ("2026-05-30", "31-60"),
        ("2026-05-01", "31-60"),
        ("2026-04-30", "61-90"),
        ("2026-04-01", "61-90"),
        ("2026-03-31", "90+"),
        ("1990-01-01", "90+"),
    ],
)
def test_an_amount_falls_into_the_bucket_of_its_days(day: str, bucket: str) -> None:
    """A8-2, test vector T9; D9: due today is current, and the last bucket has no end."""
    scale = Scale()
    assert scale.name(due(day).age(AS_OF)) == bucket
    sums = dict(zip(scale.names, aged([due(day)], AS_OF, scale), strict=True))
    assert sums == {name: Decimal("1.00") if name == bucket else 0 for name in scale.names}


def test_the_age_may_count_from_the_issue_date() -> None:
    """A8-1."""
    late = due("2026-07-30", issued="2026-05-30")
    assert (late.age(AS_OF), late.age(AS_OF, "issue_date")) == (-30, 31)
    assert aged([late], AS_OF, Scale(), "issue_date")[2] == 1


def test_the_buckets_are_those_that_are_asked_for() -> None:
    """A8-1."""
    scale = Scale((7, 14))
    assert scale.names == ("current", "1-7", "8-14", "14+")
    assert [scale.place(days) for days in (-3, 0, 1, 7, 8, 14, 15)] == [0, 0, 1, 1, 2, 2, 3]


def test_nothing_is_open_in_any_bucket_where_nothing_is_open() -> None:
    assert aged([], AS_OF, Scale()) == (0, 0, 0, 0, 0)
