"""Derivations of any history: what is told of a number adds up to it, to the cent."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.client_figures import Period, derived, figures
from projections.receivables import Question, owed
from projections.receivables_derived import derived as derived_of
from zeroinvoice.domain.aging import Scale
from zeroinvoice.domain.derivation import MOST_PARTS, Derivation, Part, added_up
from zeroinvoice.domain.receivable import Bill, Closing, Dated, Good, Receivables, Settlement
from zeroinvoice.kernel.ids import new_id
from zeroinvoice.kernel.money import ZERO

FIRST = date(2026, 1, 1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
days = st.integers(0, 200).map(lambda it: FIRST + timedelta(it))
cents = st.integers(1, 50_000).map(lambda it: Decimal(it) / 100)
scales = st.sets(st.integers(1, 400), min_size=1, max_size=5).map(lambda it: Scale((*sorted(it),)))
bases = st.sampled_from(["due_date", "issue_date"])


@st.composite
def books(draw: Any) -> Receivables:
    """Any business of a client in one currency; every entry is a fact of its own."""
    seqs = iter(range(1, 10_000))
    goods: list[Good] = []
    for kind in draw(st.lists(st.sampled_from(["payment", "credit"]), max_size=4)):
        document, came, until = new_id(), draw(days), draw(st.none() | days)
        amount = draw(cents)
        for part in (amount, *draw(st.lists(cents.map(lambda it: -it), max_size=2))):
            expires = until if kind == "credit" else None
            goods.append(Good(kind, document, part, came, part > 0, expires, next(seqs)))
    return Receivables(
        currency="USD",
        bills=tuple(_bill(draw, seqs) for _ in range(draw(st.integers(0, 4)))),
        goods=tuple(goods),
        notes=tuple(Dated(draw(cents), draw(days), next(seqs)) for _ in range(draw(few))),
        payouts=tuple(Dated(draw(cents), draw(days), next(seqs)) for _ in range(draw(few))),
    )


few = st.integers(0, 2)


def _bill(draw: Any, seqs: Any) -> Bill:
    issued, payable, seq = draw(days), draw(cents), next(seqs)
    deposit = draw(st.none() | st.integers(1, 99))
    parts = []
    for amount in draw(st.lists(cents, max_size=3)):
        part, on, in_money = new_id(), draw(days), draw(st.booleans())
        parts.append(Settlement(amount, on, in_money, part, NOON, next(seqs)))
        if draw(st.booleans()):
            back = min(amount, draw(cents))
            late = max(on, draw(days))
            parts.append(Settlement(-back, late, in_money, part, NOON, next(seqs)))
    closed = sorted(draw(st.lists(days, max_size=2)))
    whats = draw(st.sampled_from([("written_off", "reinstated"), ("cancelled", "cancelled")]))
    return Bill(
        invoice_id=new_id(),
        number=draw(st.sampled_from(["INV-1", "INV-2", None])),
        payable=payable,
        issue_date=issued,
        due_date=issued + timedelta(draw(st.integers(0, 90))),
        drafted_on=issued,
        deposit=(payable * deposit / 100).quantize(Decimal("0.01")) if deposit else ZERO,
        deposit_due=draw(days) if deposit else None,
        settlements=tuple(parts),
        closings=tuple(Closing(on, what) for on, what in zip(closed, whats, strict=False)),
        seq=seq,
    )


def told(it: Derivation) -> Decimal:
    return sum((part.amount for part in it.parts), ZERO) + it.sum_omitted


def assert_sound(found: dict[str, Derivation]) -> None:
    """Parts add up, each fact is told once, and a term is what it is explained to be."""
    for name, it in found.items():
        assert bool(it.terms) + bool(it.parts) < 2, name
        if not it.terms and it.value is not None and name != "dso.countback":
            assert told(it) == it.value, name
        assert len({part.seq for part in it.parts}) == len(it.parts), name
        for term in it.terms:
            if term.name in found:
                assert found[term.name].value == term.value, (name, term)


@given(books(), days, scales, bases)
@settings(max_examples=300)
def test_the_figures_of_receivables_are_what_their_parts_add_up_to(
    book: Receivables, on: date, scale: Scale, basis: Any
) -> None:
    """Row 10, A8: totals, buckets, DSO and days to pay; exact, however the history went."""
    it = book.until(on)
    anybody: Any = None  # nobody is asked for the facts' names
    seen = owed(anybody, it, Question(on, basis, scale))
    found = derived_of(it, on, scale, basis)
    assert_sound(found)
    values = {name: derivation.value for name, derivation in found.items()}
    for name in ("outstanding", "overdue", "unapplied_payments", "unapplied_credit", "unapplied",
                 "net_receivable", "avg_days_to_pay_90d"):  # fmt: skip
        assert values[name] == getattr(seen, name), name
    for bucket in seen.buckets:
        assert values[f"buckets.{bucket.bucket}"] == bucket.amount
    dso = seen.dso
    assert (values["dso.sales"], values["dso.simple"]) == (dso.sales, dso.simple)
    assert values["dso.countback"] == dso.countback
    assert values["dso.best_possible"] == dso.best_possible
    assert values["dso.average_days_delinquent"] == dso.average_days_delinquent
    walked = found["dso.countback"].terms
    if dso.countback is not None:
        assert sum((term.value or ZERO for term in walked), ZERO) == dso.countback


@given(st.dictionaries(st.sampled_from(["USD", "EUR"]), books(), max_size=2), days, days)
@settings(max_examples=300)
def test_a_clients_figures_are_what_their_parts_add_up_to(
    books: dict[str, Receivables], one: date, other: date
) -> None:
    """Row 10, A3-8: exact per currency; of a quotient the parts are its terms."""
    found = {code: it.but(currency=code) for code, it in books.items()}
    period = Period(min(one, other), max(one, other))
    anybody: Any = _Nobody()
    seen = figures(anybody, new_id(), found, period)
    derivations = derived(found, period)
    assert_sound(derivations)
    for name in ("invoiced", "credit_notes", "collected", "outstanding", "overdue",
                 "credits_available", "lifetime_value"):  # fmt: skip
        for code, amount in getattr(seen, name).items():
            assert str(derivations[f"{name}.{code}"].value) == amount, name
    for code, dso in seen.dso.items():
        assert derivations[f"dso.{code}"].value == dso
    assert derivations["invoice_count"].value == seen.invoice_count
    assert derivations["paid_on_time_pct"].value == seen.paid_on_time_pct
    assert derivations["avg_days_to_pay"].value == seen.avg_days_to_pay


class _Nobody:
    as_of = None
    reached = 0


@given(st.lists(st.tuples(st.integers(1, 300), cents, days), max_size=400))
def test_what_is_left_off_is_counted_and_added_up(moves: list[tuple[int, Decimal, date]]) -> None:
    """Row 10: bounded, and the sum still holds; a fact that moved it twice is told once."""
    it = added_up("the sum of the parts", (Part(seq, amount, day) for seq, amount, day in moves))
    assert it.value == told(it) == sum((amount for _, amount, _ in moves), ZERO)
    assert len(it.parts) == min(MOST_PARTS, len({seq for seq, _, _ in moves}))
    assert len(it.parts) + it.parts_omitted == len({seq for seq, _, _ in moves})
