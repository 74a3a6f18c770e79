"""Lines: what a document charges, and the one calculation that makes its totals."""

from collections.abc import Sequence
from datetime import date
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Literal, NoReturn
from uuid import UUID

from zeroinvoice.domain.taxes import CATEGORIES as CATEGORIES
from zeroinvoice.domain.taxes import FULL, UNTAXED, Levy, ten_thousandths
from zeroinvoice.domain.taxes import Tax as Tax
from zeroinvoice.domain.taxes import TaxRow as TaxRow
from zeroinvoice.kernel.money import (
    EXACT,
    LIMIT,
    ROUNDING,
    ZERO,
    digits_and_unit,
    half_away,
    in_units,
    minor_units,
    shares,
)
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value

TaxRounding = Literal["document", "line"]

MAX_LINES = 1000
MAX_TAXES = 8  # on one line

_ONE = Decimal(1)
_HUNDRED = Decimal(100)
_HUNDREDTH = Decimal("0.01")
_SIX = Decimal("0.000001")
_FOUR = Decimal("0.0001")
_FITTING = Context(prec=21, traps=[Inexact, InvalidOperation])  # 15 digits, a point, 6 digits


class Discount(Value):
    type: Literal["percent", "amount"]
    value: Decimal  # percent, or an amount in the document's currency


class Line(Value, kw_only=True, omit_defaults=True):
    """One line of an invoice, an estimate, a credit note or a recurring schedule."""

    description: str
    quantity: Decimal = _ONE
    unit_price: Decimal  # in the document's currency, up to 6 decimals
    unit: str | None = None
    sku: str | None = None
    discount: Discount | None = None
    taxes: tuple[Tax, ...] = ()
    service_date: date | None = None
    time_entry_ids: tuple[UUID, ...] = ()
    expense_id: UUID | None = None


class Totals(Value, omit_defaults=True):
    """A document's amounts, each in whole minor units of its currency.

    They add up as printed: `line_nets` to `subtotal`; `line_bases` to `net_total`;
    `line_taxes`, and the taxes of the breakdown that are not withheld, to `tax_total`.
    """

    currency: str
    line_nets: tuple[Decimal, ...]  # after the line's discount; with its inclusive taxes
    line_bases: tuple[Decimal, ...]  # less its share of the document's discount, without tax
    line_taxes: tuple[Decimal, ...]  # its share of each tax of the breakdown, for display
    subtotal: Decimal
    discount_total: Decimal  # the document's discount; those of lines are in their nets
    net_total: Decimal  # without tax (BT-109)
    tax_breakdown: tuple[TaxRow, ...]
    tax_total: Decimal
    total: Decimal  # net_total + tax_total + rounding_adjustment
    withheld: Decimal = ZERO  # zero or negative
    rounding_adjustment: Decimal = ZERO  # BT-114
    tax_rounding: TaxRounding = "document"

    @property
    def payable(self) -> Decimal:
        """What the customer is to pay: the total less what they keep back."""
        return EXACT.add(self.total, self.withheld)


def price(
    lines: Sequence[Line],
    currency: str,
    *,
    discount: Discount | None = None,
    tax_rounding: TaxRounding = "document",
    rounding_adjustment: Decimal = ZERO,
    cash_step: Decimal | None = None,
    negative_quantities: bool = False,
) -> Totals:
    """Check a document's lines and compute its totals.

    `cash_step`, such as 0.05, makes the rounding adjustment that brings the total to a
    multiple of it. `negative_quantities` is for documents that may take goods back.
    Raises `Invalid`, with `line` (1 for the first) and `field` where it concerns one.
    """
    minor_units(currency)
    if len(lines) > MAX_LINES:
        raise Invalid(f"A document has at most {MAX_LINES} lines.", code="too_many_lines")
    for number, line in enumerate(lines, 1):
        _check_line(number, line, currency, negative_quantities)
    nets = _nets(lines, currency)
    if sum(map(abs, nets)) >= 10 ** (15 + minor_units(currency)):
        _too_large(None)
    subtotal = sum(nets)
    off = 0
    if discount is not None:
        _check_discount(discount, currency)
        off = _discount(discount, subtotal, currency)
        if not 0 <= off <= max(subtotal, 0):
            raise Invalid(
                "A discount is at most the subtotal of the lines.",
                code="discount_out_of_range",
                field="discount",
            )
    if rounding_adjustment:
        in_units(rounding_adjustment, currency, "The rounding adjustment")
    if cash_step is not None and in_units(cash_step, currency, "The step of rounding") <= 0:
        raise Invalid("The step of rounding must be above zero.", code="rounding_out_of_range")
    offs = shares(off, nets) if off else None
    totals = _totals(lines, nets, offs, currency, tax_rounding, rounding_adjustment, cash_step)
    least = min(totals.total, totals.payable)  # more may be withheld than there is to pay
    if least < 0:
        raise Invalid(
            f"The total of a document is never negative; this one is {least:f} {currency}.",
            code="negative_total",
            total=f"{least:f}",
            currency=currency,
        )
    if totals.total >= LIMIT:
        _too_large(None)
    return totals


def reckon(
    lines: Sequence[Line],
    currency: str,
    *,
    discount: Discount | None = None,
    tax_rounding: TaxRounding = "document",
    rounding_adjustment: Decimal = ZERO,
    cash_step: Decimal | None = None,
) -> Totals:
    """The totals of lines that `price` has let pass: the same calculation, without judging.

    For `evolve` and projections: what is on record stays readable when a limit changes or a
    currency is withdrawn.
    """
    nets = _nets(lines, currency)
    off = 0 if discount is None else _discount(discount, sum(nets), currency)
    offs = shares(off, nets) if off else None
    return _totals(lines, nets, offs, currency, tax_rounding, rounding_adjustment, cash_step)


def reckon_part(lines: Sequence[Line], totals: Totals, parts: Sequence[Decimal]) -> Totals:
    """The totals that a document would have if each line were only this part of its net.

    The same calculation again: each part bears its part of the line's share of the document's
    discount, the taxes are those of the parts together, and the rounding adjustment comes
    with the whole. So what is taken away bit by bit adds up to the document at the end.
    """
    digits = digits_and_unit(totals.currency)[0]
    nets = [int(EXACT.scaleb(it, digits)) for it in totals.line_nets]
    wanted = [int(EXACT.scaleb(it, digits)) for it in parts]
    off = int(EXACT.scaleb(totals.discount_total, digits))
    offs = None
    if off:
        whole = shares(off, nets)
        offs = [_part(*row) for row in zip(whole, wanted, nets, strict=True)]
    adjustment = totals.rounding_adjustment if wanted == nets else ZERO
    return _totals(lines, wanted, offs, totals.currency, totals.tax_rounding, adjustment, None)


def _part(share: int, wanted: int, net: int) -> int:
    """What of a line's share of the discount belongs to a part of its net."""
    if not net:
        return 0
    return half_away(share * wanted if net > 0 else -share * wanted, abs(net))


def assert_en16931(totals: Totals, *, paid: Decimal = ZERO, due: Decimal | None = None) -> None:
    """Hold the totals against EN 16931. Raises AssertionError, for only a defect breaks it.

    `due` is checked when given: the total less what is paid and what is withheld.
    """
    rows = [row for row in totals.tax_breakdown if not row.withholding]
    gross = EXACT.add(totals.net_total, totals.tax_total)
    _same("BR-CO-10", sum(totals.line_nets), totals.subtotal)
    included = sum(row.tax for row in rows if row.inclusive)
    _same("BR-CO-13", totals.subtotal - totals.discount_total - included, totals.net_total)
    _same("BR-CO-13, by line", sum(totals.line_bases), totals.net_total)
    _same("BR-CO-14", sum(row.tax for row in rows), totals.tax_total)
    _same("BR-CO-14, by line", sum(totals.line_taxes), totals.tax_total)
    _same("BR-CO-15", EXACT.add(gross, totals.rounding_adjustment), totals.total)
    if due is not None:
        _same("BR-CO-16", totals.payable - paid, due)
    unit = digits_and_unit(totals.currency)[1]
    for row in totals.tax_breakdown:
        exact = EXACT.multiply(EXACT.multiply(row.base, row.rate), _HUNDREDTH)
        levied = -row.tax if row.withholding else row.tax
        if abs(levied - exact) > unit * row.roundings:  # the standard's slack, once a rounding
            raise AssertionError(f"BR-CO-17: {row.rate} % of {row.base} is not {row.tax}")


def _same(rule: str, one: Decimal | int, other: Decimal) -> None:
    if one != other:
        raise AssertionError(f"{rule}: {one} is not {other}")


# The calculation. Everything below counts in whole minor units, as int.


def _nets(lines: Sequence[Line], currency: str) -> list[int]:
    """Each line's quantity times its price, less its discount, rounded once."""
    units = Decimal(10) ** digits_and_unit(currency)[0]
    multiply, whole = EXACT.multiply, ROUNDING.to_integral_value
    nets: list[int] = []
    for line in lines:
        gross = multiply(line.quantity, line.unit_price)
        off = line.discount
        if off is not None:
            if off.type == "percent":
                gross = multiply(gross, multiply(_HUNDRED - off.value, _HUNDREDTH))
            else:
                gross = EXACT.subtract(gross, off.value)
        nets.append(int(whole(multiply(gross, units))))
    return nets


def _discount(discount: Discount, subtotal: int, currency: str) -> int:
    if discount.type == "percent":
        return half_away(subtotal * ten_thousandths(discount.value), FULL)
    return int(EXACT.scaleb(discount.value, digits_and_unit(currency)[0]))


def _totals(
    lines: Sequence[Line],
    nets: list[int],
    offs: list[int] | None,
    currency: str,
    tax_rounding: TaxRounding,
    rounding_adjustment: Decimal,
    cash_step: Decimal | None,
) -> Totals:
    digits = digits_and_unit(currency)[0]
    amounts = nets
    if offs:
        amounts = [net - part for net, part in zip(nets, offs, strict=True)]
    levy = Levy([it.taxes for it in lines], amounts, each=tax_rounding == "line")
    bases, tax_total, withheld = levy.bases, levy.total, levy.withheld
    net_total = sum(bases)
    gross = net_total + tax_total
    adjustment = int(EXACT.scaleb(rounding_adjustment, digits)) if rounding_adjustment else 0
    if cash_step is not None:
        step = int(EXACT.scaleb(cash_step, digits))
        adjustment = half_away(gross, step) * step - gross

    scale, places = EXACT.scaleb, -digits
    line_nets = tuple([scale(it, places) for it in nets])
    subtotal = scale(sum(nets), places)
    return Totals(
        currency,
        line_nets,
        line_nets if bases is nets else tuple([scale(it, places) for it in bases]),
        tuple([scale(it, places) for it in levy.taxes]),
        subtotal,
        scale(sum(offs) if offs else 0, places),
        scale(net_total, places),
        levy.rows(digits),
        scale(tax_total, places),
        scale(gross + adjustment, places),
        scale(withheld, places) if withheld else ZERO,
        scale(adjustment, places) if adjustment else ZERO,
        tax_rounding,
    )


# The checks.


def _check_line(number: int, line: Line, currency: str, negative_quantities: bool) -> None:
    _check_number(line.quantity, _SIX, number, "quantity")
    _check_number(line.unit_price, _SIX, number, "unit_price")
    if line.quantity < 0 and not negative_quantities:
        raise Invalid(
            f"Line {number}: the quantity is negative; give a negative price for a deduction.",
            code="negative_quantity",
            line=number,
            field="quantity",
        )
    if line.discount is not None:
        _check_discount(line.discount, currency, number)
        _check_amount_off(number, line)
    if line.taxes:
        if len(line.taxes) > MAX_TAXES:
            _bad_tax(number, f"has more than {MAX_TAXES} taxes", "too_many_taxes")
        if len(line.taxes) > 1 and len({it.key for it in line.taxes}) < len(line.taxes):
            _bad_tax(number, "has the same tax twice", "duplicate_tax")
        for tax in line.taxes:
            check_tax(tax, number)


def _check_number(value: Decimal, unit: Decimal, number: int | None, field: str) -> None:
    """At most 15 digits before the point and no digit below the unit; never NaN."""
    where = f"Line {number}: the" if number else "The"
    try:
        if _FITTING.quantize(value, unit).is_finite():
            return
    except Inexact:
        raise Invalid(
            f"{where} {field.replace('_', ' ')} has too many decimals: at most "
            f"{-int(unit.as_tuple().exponent)}.",
            code="too_many_decimals",
            line=number,
            field=field,
        ) from None
    except InvalidOperation:
        pass
    _too_large(number, field)


def _too_large(number: int | None, field: str = "total") -> NoReturn:
    where = f"Line {number}: the" if number else "The"
    raise Invalid(
        f"{where} {field.replace('_', ' ')} must be smaller than 10^15.",
        code="amount_too_large",
        line=number,
        field=field,
    )


def check_tax(tax: Tax, number: int | None = None) -> None:
    """Raises `Invalid` for a tax that no line can bear; `number` is the line's."""
    _check_number(tax.rate, _FOUR, number, "rate")
    if not 0 <= tax.rate <= 100:
        _bad_tax(number, "has a tax rate outside 0 to 100 %", "rate_out_of_range")
    if tax.category not in CATEGORIES:
        _bad_tax(number, "has a tax category unknown to EN 16931", "unknown_tax_category")
    if tax.rate and tax.category in UNTAXED:
        _bad_tax(
            number,
            f"has a tax of category {tax.category}, whose rate is always 0",
            "rate_out_of_range",
        )
    if tax.compound and tax.inclusive:
        _bad_tax(number, "has a compound tax inside its price", "compound_inclusive")


def _check_discount(discount: Discount, currency: str, number: int | None = None) -> None:
    percent = discount.type == "percent"
    unit = _FOUR if percent else digits_and_unit(currency)[1]
    _check_number(discount.value, unit, number, "discount")
    if discount.value < 0 or (percent and discount.value > 100):
        raise Invalid(
            "A discount is between 0 and 100 percent, or an amount of zero or more.",
            code="discount_out_of_range",
            line=number,
            field="discount",
        )


def _check_amount_off(number: int, line: Line) -> None:
    discount = line.discount
    if discount is not None and discount.type == "amount" and discount.value:
        gross = EXACT.multiply(line.quantity, line.unit_price)
        if discount.value > max(gross, ZERO):
            raise Invalid(
                f"Line {number}: the discount is more than the line's amount.",
                code="discount_out_of_range",
                line=number,
                field="discount",
            )


def _bad_tax(number: int | None, what: str, code: str) -> NoReturn:
    where = f"Line {number}" if number else "This"
    raise Invalid(f"{where} {what}.", code=code, line=number, field="taxes")
