"""Credit notes: what each takes back of its invoice's lines, and the taxes that go with it."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.lines import Line, Totals, reckon_part
from zeroinvoice.domain.taxes import TaxRow
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import (
    EXACT,
    ROUNDING,
    ZERO,
    digits_and_unit,
    rounded,
    spread,
)
from zeroinvoice.kernel.value import Value


class NoteLine(Value, omit_defaults=True):
    """What a note takes back of one line of its invoice."""

    line: int  # 1 for the first
    description: str
    amount: Decimal  # of the line's net, before its share of the document's discount
    quantity: Decimal | None = None  # where it was given by quantity


class NoteTotals(Value, omit_defaults=True):
    """A note's amounts, as positive as its invoice's; they add up as those do."""

    subtotal: Decimal
    discount_total: Decimal
    net_total: Decimal
    tax_breakdown: tuple[TaxRow, ...]
    tax_total: Decimal
    total: Decimal
    withheld: Decimal = ZERO  # zero or negative: what the customer never paid
    rounding_adjustment: Decimal = ZERO

    @property
    def payable(self) -> Decimal:
        """What the note is worth to the customer."""
        return EXACT.add(self.total, self.withheld)


class Note(Value, omit_defaults=True):
    """A credit note that stands, as its invoice knows it."""

    credit_id: UUID
    number: str
    lines: tuple[NoteLine, ...]
    totals: NoteTotals
    refunded: Decimal = ZERO  # of it, in money


AMOUNTS = (
    "subtotal",
    "discount_total",
    "net_total",
    "tax_total",
    "total",
    "withheld",
    "rounding_adjustment",
)


def line_id(invoice_id: UUID, line: int) -> UUID:
    """What a line is called; of an issued invoice it never changes."""
    return named(invoice_id, "line", str(line))


def credited_nets(totals: Totals, lines: Iterable[NoteLine]) -> list[Decimal]:
    """What notes take back of each line of the invoice, together."""
    sums = [net - net for net in totals.line_nets]  # zeros, with the currency's digits
    for it in lines:
        sums[it.line - 1] += it.amount
    return sums


def further(
    lines: Sequence[Line], totals: Totals, notes: Sequence[Note], taken: Sequence[NoteLine]
) -> NoteTotals:
    """What one more note comes to: what all come to together, less what the others came to.

    So each tax is the rounded tax of all that is credited, less the tax already credited,
    and the notes of an invoice add up to it exactly, in whatever parts and order.
    """
    earlier = [line for note in notes for line in note.lines]
    whole = reckon_part(lines, totals, credited_nets(totals, [*earlier, *taken]))
    before = [note.totals for note in notes]
    rows = (_less(row, before) for row in whole.tax_breakdown)
    return NoteTotals(
        tax_breakdown=tuple(row for row in rows if row.base or row.tax),
        **{
            name: getattr(whole, name) - sum((getattr(it, name) for it in before), ZERO)
            for name in AMOUNTS
        },
    )


def _less(row: TaxRow, before: Sequence[NoteTotals]) -> TaxRow:
    """A row of the breakdown without what the earlier notes had of it."""
    same = [it for note in before for it in note.tax_breakdown if _key(it) == _key(row)]
    return row.but(
        base=row.base - sum((it.base for it in same), ZERO),
        tax=row.tax - sum((it.tax for it in same), ZERO),
    )


def _key(row: TaxRow) -> tuple[object, ...]:
    return (
        row.code or row.name,
        row.rate,
        row.inclusive,
        row.category,
        row.compound,
        row.withholding,
    )


def by_quantity(
    net: Decimal, quantity: Decimal, before: Decimal, more: Decimal, currency: str
) -> Decimal:
    """What some more of a line's quantity comes to, so that all of it comes to its net."""
    whole = ROUNDING.divide(ROUNDING.multiply(net, before + more), quantity)
    part = ROUNDING.divide(ROUNDING.multiply(net, before), quantity)
    return rounded(whole, currency) - rounded(part, currency)


def worth(
    wanted: Decimal,
    rests: Sequence[Decimal],
    currency: str,
    price: Callable[[list[Decimal]], Decimal],
) -> list[Decimal] | None:
    """What to take of each line's rest, in proportion, for a note that is worth so much.

    `price` says what a note of some nets is worth. None when no note comes to the amount: where
    taxes are put on, some amounts are skipped.
    """
    if price(list(rests)) == wanted:
        return list(rests)
    unit = digits_and_unit(currency)[1]
    low, high = 1, int(sum(rests, ZERO) / unit)
    while low < high:  # the fewest units that are worth as much; more are never worth less
        middle = (low + high) // 2
        if price(list(spread(unit * middle, rests, currency))) < wanted:
            low = middle + 1
        else:
            high = middle
    found = list(spread(unit * low, rests, currency))
    return found if price(found) == wanted else None
