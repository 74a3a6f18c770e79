"""Credit notes: what they come to, line by line, by quantity, by amount."""

from decimal import Decimal
from uuid import UUID

import pytest

from zeroinvoice.domain.credit_note import Note, NoteLine, by_quantity, further, line_id, worth
from zeroinvoice.domain.credited import Credited
from zeroinvoice.domain.lines import Discount, Line, Tax, Totals, price, reckon_part

TWENTY = Tax(None, "20 %", Decimal(20))
NETS = [Decimal(it) for it in ("68.33", "68.33", "57.50", "85.00")]
LINES = tuple(Line(description="Work", unit_price=it, taxes=(TWENTY,)) for it in NETS)
WHOLE = price(LINES, "USD")


def noted(totals: Totals, lines: tuple[Line, ...], taken: list[NoteLine]) -> list[Note]:
    """A note for each line taken, one after the other."""
    notes: list[Note] = []
    for number, it in enumerate(taken, 1):
        made = further(lines, totals, notes, [it])
        notes.append(Note(UUID(int=number), f"CN-{number}", (it,), made))
    return notes


def test_the_tax_of_a_further_note_is_what_is_missing_of_the_tax_of_all() -> None:
    """T3: 82.00, 81.99, 69.00 and 102.00 are 334.99; each by itself they would be 335.00."""
    taken = [NoteLine(number, "Work", net) for number, net in enumerate(NETS, 1)]
    notes = noted(WHOLE, LINES, taken)
    totals = [str(it.totals.total) for it in notes]
    assert totals == ["82.00", "81.99", "69.00", "102.00"]
    assert sum(it.totals.total for it in notes) == WHOLE.total == Decimal("334.99")
    assert [str(it.totals.tax_total) for it in notes] == ["13.67", "13.66", "11.50", "17.00"]


def test_a_part_of_a_line_bears_its_part_of_the_discount() -> None:
    """R-MON-4: T6's shares of 3.33, 3.33 and 3.34."""
    prices = (Decimal("33.33"), Decimal("33.33"), Decimal("33.34"))
    lines = tuple(Line(description="Work", unit_price=it) for it in prices)
    totals = price(lines, "USD", discount=Discount("amount", Decimal(10)))
    half = reckon_part(lines, totals, [Decimal("16.67"), Decimal("0.00"), Decimal("33.34")])
    assert (str(half.discount_total), str(half.total)) == ("5.01", "45.00")
    assert reckon_part(lines, totals, totals.line_nets) == totals


def test_what_is_left_of_each_line_is_what_no_note_took() -> None:
    """A7-3."""
    notes = noted(
        WHOLE, LINES, [NoteLine(2, "Work", Decimal("8.33")), NoteLine(4, "Work", NETS[3])]
    )
    rests = Credited(notes=tuple(notes)).rests(WHOLE)
    assert [str(it) for it in rests] == ["68.33", "60.00", "57.50", "0.00"]


def test_all_of_a_quantity_is_the_net() -> None:
    parts = [
        by_quantity(Decimal("100.00"), Decimal(3), Decimal(before), Decimal(1), "USD")
        for before in range(3)
    ]
    assert [str(it) for it in parts] == ["33.33", "33.34", "33.33"]


@pytest.mark.parametrize(("wanted", "found"), [("82.00", True), ("334.99", True), ("0.03", False)])
def test_an_amount_is_met_to_the_cent_or_not_at_all(wanted: str, found: bool) -> None:
    """A tax that is put on skips amounts: 0.02 is worth 0.02, and 0.03 is worth 0.04."""

    def price_of(nets: list[Decimal]) -> Decimal:
        taken = [NoteLine(number, "", net) for number, net in enumerate(nets, 1)]
        return further(LINES, WHOLE, [], taken).payable

    nets = worth(Decimal(wanted), NETS, "USD", price_of)
    assert (nets is not None) == found
    if nets is not None:
        assert str(price_of(nets)) == wanted
        assert all(0 <= it <= net for it, net in zip(nets, NETS, strict=True))


def test_lines_are_called_by_their_place_on_their_invoice() -> None:
    ids = {line_id(UUID(int=invoice), number) for invoice in (1, 2) for number in (1, 2, 3)}
    assert len(ids) == 6
    assert line_id(UUID(int=1), 1) in ids
