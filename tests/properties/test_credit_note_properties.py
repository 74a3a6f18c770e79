"""Credit notes: in whatever parts and order an invoice is credited, they add up to it exactly."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from zeroinvoice.domain.credit_note import AMOUNTS, Note, NoteLine, NoteTotals, further
from zeroinvoice.domain.credited import Credited
from zeroinvoice.domain.lines import Discount, Line, Tax, Totals, price
from zeroinvoice.kernel.money import digits_and_unit
from zeroinvoice.kernel.refusals import Invalid

rates = st.sampled_from(["0", "2.5", "7", "19", "20", "33.3333"]).map(Decimal)
inside = st.builds(lambda rate: Tax(None, f"in {rate}", rate, inclusive=True), rates)
added = st.builds(lambda rate: Tax(None, f"on {rate}", rate), rates)
compound = st.builds(lambda rate: Tax(None, f"over {rate}", rate, compound=True), rates)
withheld = st.just(Tax("WHT", "Withheld", Decimal(15), withholding=True))
taxes = st.lists(st.one_of(inside, added, compound, withheld), max_size=3).map(tuple)
offs = st.none() | st.sampled_from([Discount("percent", Decimal("12.5"))])


@st.composite
def invoices(draw: Any) -> tuple[tuple[Line, ...], Totals]:
    """Priced lines: several currencies and taxes, discounts, withholding, adjusted totals."""
    currency = draw(st.sampled_from(["USD", "JPY", "KWD"]))
    lines = tuple(
        Line(
            description="Work",
            unit_price=draw(st.decimals(0, 500, places=3)),
            quantity=draw(st.sampled_from([Decimal(1), Decimal(3), Decimal("2.5")])),
            discount=draw(offs),
            taxes=draw(taxes),
        )
        for _ in range(draw(st.integers(1, 5)))
    )
    off = draw(st.none() | st.decimals(0, 100, places=2).map(lambda it: Discount("percent", it)))
    unit = digits_and_unit(currency)[1]
    try:
        totals = price(
            lines,
            currency,
            discount=off,
            tax_rounding=draw(st.sampled_from(["document", "line"])),
            rounding_adjustment=unit * draw(st.sampled_from([0, 0, 2, -2])),
        )
    except Invalid:
        assume(False)
    return lines, totals


def notes_of(draw: Any, totals: Totals) -> list[tuple[NoteLine, ...]]:
    """All that was charged, cut up at random over some notes in a random order."""
    unit = digits_and_unit(totals.currency)[1]
    many = draw(st.integers(1, 6))
    parts: list[list[NoteLine]] = [[] for _ in range(many)]
    for number, net in enumerate(totals.line_nets, 1):
        units = int(net / unit)
        cuts = sorted(draw(st.lists(st.integers(0, units), min_size=many - 1, max_size=many - 1)))
        edges = [0, *cuts, units]
        for note, low, high in zip(parts, edges, edges[1:], strict=False):
            if high > low:
                note.append(NoteLine(number, "Work", unit * (high - low)))
    return [tuple(it) for it in draw(st.permutations(parts))]


def noted(
    lines: tuple[Line, ...], totals: Totals, notes: list[Note], taken: tuple[NoteLine, ...]
) -> Note:
    number = len(notes) + 1
    made = further(lines, totals, notes, taken)
    return Note(UUID(int=number), f"CN-{number}", taken, made)


def assert_adds_up(notes: list[Note], totals: Totals) -> None:
    for name in AMOUNTS:
        assert sum(getattr(it.totals, name) for it in notes) == getattr(totals, name), name
    for row in totals.tax_breakdown:
        same = [
            it
            for note in notes
            for it in note.totals.tax_breakdown
            if (it.name, it.rate, it.withholding) == (row.name, row.rate, row.withholding)
        ]
        assert sum(it.base for it in same) == row.base
        assert sum(it.tax for it in same) == row.tax


def assert_whole(it: NoteTotals) -> None:
    """R-MON-10 for one note."""
    rows = [row for row in it.tax_breakdown if not row.withholding]
    included = sum(row.tax for row in rows if row.inclusive)
    assert it.subtotal - it.discount_total - included == it.net_total
    assert sum(row.tax for row in rows) == it.tax_total
    assert it.net_total + it.tax_total + it.rounding_adjustment == it.total
    assert sum(row.tax for row in it.tax_breakdown if row.withholding) == it.withheld


@given(invoices(), st.data())
def test_notes_add_up_to_their_invoice_in_any_split_and_order(
    invoice: tuple[tuple[Line, ...], Totals], data: st.DataObject
) -> None:
    """A7-4 and G27: not a cent is left, of the whole, of a tax or of its base (D17)."""
    lines, totals = invoice
    notes: list[Note] = []
    for taken in notes_of(data.draw, totals):
        notes.append(noted(lines, totals, notes, taken))
        assert_whole(notes[-1].totals)
        assert sum(it.totals.subtotal for it in notes) <= totals.subtotal
    assert_adds_up(notes, totals)


@given(invoices(), st.data())
def test_a_voided_note_leaves_the_rest_to_be_credited_exactly(
    invoice: tuple[tuple[Line, ...], Totals], data: st.DataObject
) -> None:
    """A7-4: the tax already credited is that of the notes that stand."""
    lines, totals = invoice
    notes: list[Note] = []
    for taken in notes_of(data.draw, totals)[:-1]:
        notes.append(noted(lines, totals, notes, taken))
    standing = [it for it in notes if data.draw(st.booleans())]
    rests = Credited(notes=tuple(standing)).rests(totals)
    rest = tuple(NoteLine(number, "Work", it) for number, it in enumerate(rests, 1) if it)
    assert_adds_up([*standing, noted(lines, totals, standing, rest)], totals)


@given(invoices())
def test_crediting_everything_is_the_invoice_itself(
    invoice: tuple[tuple[Line, ...], Totals],
) -> None:
    """G27: a note of the whole and its invoice sum to zero."""
    lines, totals = invoice
    whole = tuple(NoteLine(number, "Work", it) for number, it in enumerate(totals.line_nets, 1))
    made = further(lines, totals, [], whole)
    assert {name: getattr(made, name) for name in AMOUNTS} == {
        name: getattr(totals, name) for name in AMOUNTS
    }
    assert made.tax_breakdown == tuple(it for it in totals.tax_breakdown if it.base or it.tax)
