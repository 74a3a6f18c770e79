"""Taxes: what a line bears, and how they are summed, taken out of prices and put on them."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import lcm

from zeroinvoice.kernel.money import EXACT, half_away, hand_out, shares
from zeroinvoice.kernel.value import Value

# EN 16931: standard, zero, exempt, reverse charge, intra-community, export, outside the
# scope, Canary Islands, Ceuta and Melilla.
CATEGORIES = frozenset({"S", "Z", "E", "AE", "K", "G", "O", "L", "M"})
UNTAXED = CATEGORIES - {"S", "L", "M"}  # whose rate is always 0

FULL = 1_000_000  # 100 %, in the ten-thousandths of a percent that rates are counted in

TaxKey = tuple[str, Decimal, bool, str, bool, bool]


class Tax(Value, omit_defaults=True):
    """A tax on a line, as it stood when the line was written."""

    code: str | None  # of the tenant's tax definition, if it is one
    name: str
    rate: Decimal  # percent; 19 is 19 %
    category: str = "S"  # EN 16931, see CATEGORIES
    inclusive: bool = False  # the price contains it
    compound: bool = False  # charged on the taxes before it, too
    withholding: bool = False  # kept back by the customer, shown after the total

    @property
    def key(self) -> TaxKey:
        """What two lines must have alike for their tax to be one row of the breakdown."""
        return (
            self.code or self.name,
            self.rate,
            self.inclusive and not self.withholding,
            self.category,
            self.compound,
            self.withholding,
        )


def bare_tax(rate: Decimal, *, inclusive: bool = False) -> Tax:
    """The tax of a line that names none of the tenant's, but only a rate."""
    return Tax(None, f"{rate} %", rate, "S" if rate else "Z", inclusive=inclusive)


class TaxRow(Value, omit_defaults=True):
    """The lines that bear one tax, summed: a row of the tax breakdown (EN 16931 BG-23)."""

    code: str | None
    name: str
    category: str
    rate: Decimal  # percent
    base: Decimal
    tax: Decimal  # negative when it is withheld
    inclusive: bool = False
    compound: bool = False
    withholding: bool = False
    roundings: int = 1  # how many amounts were rounded into `tax`


def ten_thousandths(percent: Decimal) -> int:
    """A rate as a whole number, out of `FULL`."""
    return int(EXACT.scaleb(percent, 4))


class Levy:
    """The taxes of one document, in whole minor units of its currency.

    A group is rounded once, on the sum of its lines; with `each`, on every line. The columns
    of the lines (`bases`, `taxes`) add up to the rows' figures in either case. The outcome
    does not depend on the order of the lines, but for who gets a left-over unit of a column.
    """

    __slots__ = ("_amounts", "_each", "_groups", "bases", "taxes")

    def __init__(
        self, charged: Sequence[tuple[Tax, ...]], amounts: list[int], *, each: bool
    ) -> None:
        self._amounts = amounts
        self._each = each
        self._groups: dict[TaxKey, _Group] = {}
        self.bases = amounts  # of each line: its amount without the taxes in its price
        self.taxes = [0] * len(amounts)  # of each line: its share of what is not withheld
        inside: dict[tuple[TaxKey, ...], list[int]] = {}
        for position, taxes in enumerate(charged):
            contained: tuple[TaxKey, ...] = ()
            for tax in taxes:
                key = tax.key
                group = self._groups.get(key)
                if group is None:
                    group = self._groups[key] = _Group(tax)
                if group.inside:
                    contained += (key,)
                else:
                    group.lines.append(position)
            if contained:
                inside.setdefault(contained, []).append(position)
        if inside:
            self.bases = list(amounts)
            for keys, positions in inside.items():
                # Who gets a left-over unit is no matter of order: other taxes may be put on it.
                positions.sort(key=lambda it: (amounts[it], str([tax.key for tax in charged[it]])))
                for together in self._rounded_together(positions):
                    self._take_out([self._groups[key] for key in keys], together)
        for group in self._groups.values():
            for together in self._rounded_together(group.lines):
                self._put_on(group, together, charged)

    @property
    def total(self) -> int:
        return sum([it.taxed for it in self._groups.values() if not it.tax.withholding])

    @property
    def withheld(self) -> int:
        return sum([it.taxed for it in self._groups.values() if it.tax.withholding])

    def rows(self, digits: int) -> tuple[TaxRow, ...]:
        """The breakdown in the order of the lines, with what is withheld last."""
        groups = list(self._groups.values())
        if len(groups) > 1:
            groups.sort(key=lambda it: it.tax.withholding)
        return tuple([it.row(digits) for it in groups])

    def _rounded_together(self, positions: list[int]) -> Sequence[list[int]]:
        if self._each:
            return [[it] for it in positions]
        return [positions] if positions else []

    def _take_out(self, groups: "list[_Group]", positions: list[int]) -> None:
        """Find the taxes that are in these lines' prices; what is left is their base.

        The rates are added up first, so that what the customer pays stays as it was typed.
        """
        amounts = [self._amounts[it] for it in positions]
        rates = [it.rate for it in groups]
        full = FULL + sum(rates)
        gross = sum(amounts)
        contained = half_away(gross * (full - FULL), full)
        for group, rate, part in zip(groups, rates, shares(contained, rates), strict=True):
            group.base += gross - contained
            group.taxed += part
            group.roundings += min(len(groups), 2)  # that of the sum, and that of its parts
            column = _column(part, [it * rate for it in amounts], full)
            for position, tax in zip(positions, column, strict=True):
                self.bases[position] -= tax
                self.taxes[position] += tax

    def _put_on(
        self, group: "_Group", positions: list[int], charged: Sequence[tuple[Tax, ...]]
    ) -> None:
        """Charge a tax on these lines' bases, in one rounding."""
        parts = [self.bases[it] for it in positions]
        base = sum(parts)
        per = FULL
        if group.tax.compound:
            before = [_taxes_before(group.tax, charged[it]) for it in positions]
            base += _sum_of_taxes(before, parts)
            burdened = [
                part * (1 + sum(it.values())) for part, it in zip(parts, before, strict=True)
            ]
            scale = lcm(*(it.denominator for it in burdened))
            parts = [int(it * scale) for it in burdened]
            per *= scale
        taxed = half_away(base * group.rate, FULL)
        group.base += base
        group.roundings += 1
        if group.tax.withholding:
            group.taxed -= taxed
            return
        group.taxed += taxed
        column = _column(taxed, [it * group.rate for it in parts], per)
        for position, tax in zip(positions, column, strict=True):
            self.taxes[position] += tax


class _Group:
    """The lines that bear the same tax."""

    __slots__ = ("base", "inside", "lines", "rate", "roundings", "tax", "taxed")

    def __init__(self, tax: Tax) -> None:
        self.tax = tax
        self.rate = ten_thousandths(tax.rate)
        self.inside = tax.inclusive and not tax.withholding
        self.lines: list[int] = []  # positions of the lines it is put on
        self.base = 0
        self.taxed = 0
        self.roundings = 0

    def row(self, digits: int) -> TaxRow:
        tax = self.tax
        return TaxRow(
            tax.code,
            tax.name,
            tax.category,
            tax.rate,
            EXACT.scaleb(self.base, -digits),
            EXACT.scaleb(self.taxed, -digits),
            self.inside,
            tax.compound,
            tax.withholding,
            self.roundings,
        )


def _taxes_before(tax: Tax, taxes: tuple[Tax, ...]) -> dict[TaxKey, Fraction]:
    """The taxes that a compound tax is charged on, each as a part of the line's base."""
    before: dict[TaxKey, Fraction] = {}
    for earlier in taxes:
        if earlier.key == tax.key:
            break
        if not earlier.withholding:
            part = Fraction(ten_thousandths(earlier.rate), FULL)
            before[earlier.key] = part * (1 + sum(before.values())) if earlier.compound else part
    return before


def _sum_of_taxes(before: list[dict[TaxKey, Fraction]], parts: list[int]) -> int:
    """What the earlier taxes come to on these lines, each rounded once."""
    sums: dict[TaxKey, Fraction] = {}
    for taxes, part in zip(before, parts, strict=True):
        for key, rate in taxes.items():
            sums[key] = sums.get(key, Fraction(0)) + rate * part
    return sum(half_away(it.numerator, it.denominator) for it in sums.values())


def _column(tax: int, own: list[int], per: int) -> list[int]:
    """A group's tax spread over its lines, whose own exact taxes are `own / per`."""
    if len(own) == 1:
        return [tax]
    if min(own) >= 0 or max(own) <= 0:
        return shares(tax, own)
    # Where some lines are negative, proportions run wild: 100.00 and -99.97 would share 0.01
    # as 33.33 and -33.32. So each line gets its own tax, and only the rounding is spread.
    return hand_out(tax, own, per)
