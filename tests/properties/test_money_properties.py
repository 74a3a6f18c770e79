"""What holds of every document: it adds up, in any order, in any currency, to the unit."""

import re
from decimal import Decimal as D
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from zeroinvoice.domain.lines import (
    Discount,
    Line,
    Tax,
    TaxRounding,
    assert_en16931,
    price,
    reckon,
)
from zeroinvoice.kernel.money import exact, minor_units, spread
from zeroinvoice.kernel.refusals import Invalid

currencies = st.sampled_from(["EUR", "JPY", "KWD", "CLF"])


def decimals(low: str, high: str, places: int) -> st.SearchStrategy[D]:
    return st.decimals(D(low), D(high), places=places, allow_nan=False, allow_infinity=False)


# Prices that lie half way between two units of a currency of 0, 2, 3 or 4 decimals, and rates
# that lead there: where binary floats, and rounding half to even, go wrong.
halves = st.builds(
    lambda odd, places: D(2 * odd + 1) * 5 * D(1).scaleb(-places),
    st.integers(0, 10_000),
    st.sampled_from([1, 3, 4, 5]),
)
rates = decimals("0", "100", 4) | st.sampled_from([D(0), D(7), D(19), D("9.975"), D(50)])
discounts = st.none() | st.builds(Discount, st.just("percent"), decimals("0", "100", 2))


@st.composite
def taxings(draw: st.DrawFn, *, mixed: bool = True) -> list[tuple[Tax, ...]]:
    """What lines of one document may bear: its prices are inclusive or exclusive."""
    inclusive = draw(st.booleans())
    taxes = [
        Tax(f"T{number}", "Tax", draw(rates), inclusive=inclusive)
        for number in range(draw(st.integers(1, 3)))
    ]
    choices: list[tuple[Tax, ...]] = [(), *((it,) for it in taxes)]
    if mixed:
        choices.append(tuple(taxes))
        choices.append((taxes[0], Tax("W", "Withheld", draw(rates), withholding=True)))
        if not inclusive:
            choices.append((taxes[0], Tax("C", "Compound", draw(rates), compound=True)))
    return choices


@st.composite
def documents(draw: st.DrawFn, *, mixed: bool = True, least: str = "-50") -> list[Line]:
    choices = draw(taxings(mixed=mixed))
    return draw(
        st.lists(
            st.builds(
                Line,
                description=st.just("x"),
                quantity=decimals("0", "100", 3) | st.just(D(1)),
                unit_price=decimals(least, "5000", 6) | decimals(least, "500", 2) | halves,
                discount=discounts,
                taxes=st.sampled_from(choices),
            ),
            max_size=8,
        )
    )


@given(documents(), currencies, discounts, st.sampled_from(["document", "line"]))
def test_every_document_that_can_be_priced_adds_up(
    lines: list[Line], currency: str, discount: Discount | None, tax_rounding: TaxRounding
) -> None:
    """R-MON-4, R-MON-6, R-MON-10: EN 16931's equalities, and the columns of the lines."""
    try:
        totals = price(lines, currency, discount=discount, tax_rounding=tax_rounding)
    except Invalid as refusal:
        if refusal.code in ("negative_total", "discount_out_of_range"):
            return
        raise
    assert_en16931(totals, due=totals.payable)
    assert sum(totals.line_bases) + sum(totals.line_taxes) == totals.total
    amounts = [totals.subtotal, totals.tax_total, totals.total, *totals.line_nets]
    amounts += [*totals.line_bases, *totals.line_taxes, *(it.tax for it in totals.tax_breakdown)]
    assert {-int(it.as_tuple().exponent) for it in amounts} == {minor_units(currency)}
    assert reckon(lines, currency, discount=discount, tax_rounding=tax_rounding) == totals


@given(documents(), currencies, st.randoms(use_true_random=False))
def test_the_order_of_lines_is_irrelevant_to_the_totals(
    lines: list[Line], currency: str, chance: Random
) -> None:
    """Without a discount on the document, whose left-over units go by position (R-MON-4)."""
    shuffled = list(lines)
    chance.shuffle(shuffled)
    one, other = reckon(lines, currency), reckon(shuffled, currency)
    assert (one.subtotal, one.net_total, one.tax_total, one.withheld, one.total) == (
        other.subtotal,
        other.net_total,
        other.tax_total,
        other.withheld,
        other.total,
    )
    assert set(one.tax_breakdown) == set(other.tax_breakdown)


@given(documents(mixed=False), currencies, st.sampled_from(["document", "line"]))
def test_the_calculation_is_the_one_of_the_rules(
    lines: list[Line], currency: str, tax_rounding: TaxRounding
) -> None:
    """R-MON-3 to R-MON-7, written out once more in fractions, for one tax a line."""
    unit = Fraction(1, 10 ** minor_units(currency))

    def near(value: Fraction) -> Fraction:
        whole = int(abs(value) / unit + Fraction(1, 2))
        return whole * unit if value >= 0 else -whole * unit

    groups: dict[Tax | None, list[Fraction]] = {}
    for line in lines:
        gross = Fraction(line.quantity) * Fraction(line.unit_price)
        if line.discount:
            gross *= 1 - Fraction(line.discount.value) / 100
        groups.setdefault(line.taxes[0] if line.taxes else None, []).append(near(gross))
    total = tax_total = Fraction(0)
    for tax, nets in groups.items():
        total += sum(nets)
        if tax:
            rate = Fraction(tax.rate) / 100
            part = rate / (1 + rate) if tax.inclusive else rate
            rounded_once = [sum(nets, Fraction(0))] if tax_rounding == "document" else nets
            levied = sum(near(it * part) for it in rounded_once)
            tax_total += levied
            total += 0 if tax.inclusive else levied
    totals = reckon(lines, currency, tax_rounding=tax_rounding)
    assert (Fraction(totals.tax_total), Fraction(totals.total)) == (tax_total, total)


@given(
    st.lists(decimals("0.01", "5000", 2), min_size=1, max_size=8),
    decimals("0", "100", 4),
    currencies,
)
def test_what_is_inclusive_stays_what_was_typed(prices: list[D], rate: D, currency: str) -> None:
    """R-MON-5: no tax changes what the customer pays."""
    taxes = (Tax("A", "A", rate, inclusive=True), Tax("B", "B", D(7), inclusive=True))
    plain = [Line(description="x", unit_price=it) for it in prices]
    taxed = [Line(description="x", unit_price=it, taxes=taxes) for it in prices]
    assert price(taxed, currency).total == price(plain, currency).total


@given(documents(least="0"), decimals("0", "1", 4), currencies)
def test_a_documents_discount_is_spread_to_the_unit(
    lines: list[Line], part: D, currency: str
) -> None:
    """R-MON-4 (5): the shares add up to the discount, and none is above its line."""
    before = reckon(lines, currency)
    unit = D(1).scaleb(-minor_units(currency))
    off = (before.subtotal * part).quantize(unit, "ROUND_DOWN")
    totals = price(lines, currency, discount=Discount("amount", off))
    included = sum(it.tax for it in totals.tax_breakdown if it.inclusive)
    assert totals.net_total + included == before.subtotal - off
    assert_en16931(totals)


@given(
    st.integers(-(10**14), 10**14),
    st.lists(decimals("0", "1000000", 6), min_size=1, max_size=12),
    currencies,
)
def test_a_spread_adds_up_and_strays_by_less_than_a_unit(
    units: int, weights: list[D], currency: str
) -> None:
    """R-MON-4 (5)."""
    unit = D(1).scaleb(-minor_units(currency))
    total = units * unit
    if not any(weights):
        weights = [D(1), *weights]
    parts = spread(total, weights, currency)
    assert sum(parts) == total
    whole = sum(Fraction(it) for it in weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(Fraction(part) - Fraction(total) * Fraction(weight) / whole) < Fraction(unit)
    assert spread(-total, weights, currency) == tuple(-it for it in parts)


@given(
    st.text(alphabet="0123456789.-+eE_ ٣NaN\n", max_size=24)
    | st.text(max_size=8)
    | st.from_regex(r"-?[0-9]{1,16}(\.[0-9]{0,7})?", fullmatch=True)
)
def test_only_plain_digits_are_ever_read_as_a_number(text: str) -> None:
    """0.7, T36: `exact` never accepts what the pattern refuses, and loses no digit."""
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,6})?", text):
        assert exact(text) == D(text)
        assert exact(text).as_tuple().exponent == D(text).as_tuple().exponent
    else:
        try:
            exact(text)
        except ValueError:
            return
        raise AssertionError(f"{text!r} was read as a number")
