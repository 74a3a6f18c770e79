"""The document calculation, R-MON-4 to R-MON-10."""

from collections.abc import Sequence
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from zeroinvoice.domain.lines import (
    Discount,
    Line,
    Tax,
    Totals,
    assert_en16931,
    price,
    reckon,
)
from zeroinvoice.kernel.refusals import Invalid


def vat(rate: str, *, inclusive: bool = False, category: str = "S") -> Tax:
    return Tax(f"V{rate}", "VAT", D(rate), category, inclusive)


def line(amount: str, *taxes: Tax, quantity: str = "1", discount: Discount | None = None) -> Line:
    return Line(
        description="Work", quantity=D(quantity), unit_price=D(amount), taxes=taxes,
        discount=discount,
    )  # fmt: skip


def priced(lines: Sequence[Line], currency: str = "EUR", **how: Any) -> Totals:
    totals = price(lines, currency, **how)
    assert_en16931(totals, due=totals.payable)
    assert reckon(lines, currency, **{k: v for k, v in how.items() if k[0] != "n"}) == totals
    return totals


def refused(lines: Sequence[Line], currency: str = "EUR", **how: Any) -> str:
    with pytest.raises(Invalid) as refusal:
        price(lines, currency, **how)
    assert str(refusal.value).endswith(".")
    return refusal.value.code


def test_tax_is_computed_once_for_all_lines_of_a_rate() -> None:
    """T1 (R-MON-4): 55.55 + 11.11 at 23 %."""
    lines = [line("55.55", vat("23")), line("11.11", vat("23"))]
    totals = priced(lines)
    assert str(totals.tax_total) == "15.33"
    assert sum(totals.line_taxes) == D("15.33")
    assert str(priced(lines, tax_rounding="line").tax_total) == "15.34"  # R-MON-7


def test_a_line_is_rounded_before_the_tax() -> None:
    """T2: 348.35 × 16 less 4 %, 22 %."""
    totals = priced([line("348.35", vat("22"), quantity="16", discount=Discount("percent", D(4)))])
    assert [str(totals.net_total), str(totals.tax_total), str(totals.total)] == [
        "5350.66",
        "1177.15",
        "6527.81",
    ]


def test_four_lines_of_one_rate() -> None:
    """T3, its invoice: gross 334.99, where line by line would give 335.00."""
    totals = priced([line(it, vat("20")) for it in ("68.33", "68.33", "57.50", "85.00")])
    assert (totals.net_total, totals.tax_total, totals.total) == (
        D("279.16"),
        D("55.83"),
        D("334.99"),
    )


@pytest.mark.parametrize(
    ("typed", "rate", "tax", "net"),
    [("500.00", "10", "45.45", "454.55"), ("2.99", "4", "0.12", "2.87")],
)
def test_an_inclusive_price_is_what_the_customer_pays(
    typed: str, rate: str, tax: str, net: str
) -> None:
    """T4 (R-MON-5)."""
    totals = priced([line(typed, vat(rate, inclusive=True))])
    assert (str(totals.tax_total), str(totals.net_total), str(totals.total)) == (tax, net, typed)
    (row,) = totals.tax_breakdown
    assert (row.inclusive, row.base, row.tax) == (True, D(net), D(tax))


def test_inclusive_tax_is_grouped() -> None:
    """T5: 3 × 10.00 inclusive 20 %."""
    lines = [line("10.00", vat("20", inclusive=True))] * 3
    assert str(priced(lines).tax_total) == "5.00"
    by_line = priced(lines, tax_rounding="line")
    assert (by_line.tax_total, by_line.total) == (D("5.01"), D(30))
    assert str(priced([line("10", vat("20", inclusive=True), quantity="3")]).tax_total) == "5.00"


def test_a_documents_discount_is_spread_before_tax() -> None:
    """T6 (R-MON-4 (5))."""
    totals = priced(
        [line(it) for it in ("33.33", "33.33", "33.34")], discount=Discount("amount", D(10))
    )
    assert totals.line_bases == (D("30.00"), D("30.00"), D("30.00"))
    assert (totals.subtotal, totals.discount_total, totals.total) == (D(100), D(10), D(90))


@pytest.mark.parametrize(
    ("amount", "rate", "currency", "tax"),
    [("333", "10", "JPY", "33"), ("999", "8", "JPY", "80"), ("1.234", "5", "KWD", "0.062")],
)
def test_amounts_have_their_currencys_digits(
    amount: str, rate: str, currency: str, tax: str
) -> None:
    """T7 (R-MON-2)."""
    totals = priced([line(amount, vat(rate))], currency)
    assert str(totals.tax_total) == tax
    assert str(totals.net_total) == amount


def test_a_negative_line_takes_its_tax_along() -> None:
    """T11: 8500.00 − 7500.00 at 19 %."""
    totals = priced([line("8500.00", vat("19")), line("-7500.00", vat("19"))])
    assert str(totals.total) == "1190.00"
    assert totals.line_taxes == (D(1615), D(-1425))


def test_line_taxes_stay_sensible_when_lines_almost_cancel() -> None:
    """R-MON-6: in proportion, 0.01 of tax would be 33.33 and −33.32."""
    totals = priced([line("100.00", vat("19")), line("-99.97", vat("19"))])
    assert totals.tax_total == D("0.01")
    assert totals.line_taxes == (D("19.00"), D("-18.99"))


def test_discounts_of_lines_and_of_the_document_come_one_after_the_other() -> None:
    lines = [
        line("10.00", vat("19"), quantity="3", discount=Discount("amount", D("5.00"))),
        line("25.00", vat("7"), discount=Discount("percent", D("10"))),
    ]
    totals = priced(lines, discount=Discount("percent", D(10)))
    assert totals.line_nets == (D("25.00"), D("22.50"))
    assert totals.discount_total == D("4.75")
    assert totals.line_bases == (D("22.50"), D("20.25"))
    assert [(it.base, it.tax) for it in totals.tax_breakdown] == [
        (D("22.50"), D("4.28")),
        (D("20.25"), D("1.42")),
    ]
    assert totals.total == D("48.45")


def test_rows_are_grouped_by_code_rate_and_inclusion() -> None:
    """R-MON-4 (6): another name for the same code is the same row."""
    same = Tax("V19", "Umsatzsteuer", D("19.00"))
    totals = priced(
        [line("10", vat("19")), line("10", same), line("11.90", vat("19", inclusive=True))]
    )
    assert [(it.base, it.tax, it.inclusive) for it in totals.tax_breakdown] == [
        (D(20), D("3.80"), False),
        (D(10), D("1.90"), True),
    ]


def test_taxes_without_a_code_are_told_apart_by_name() -> None:
    state, city = Tax(None, "State", D(5)), Tax(None, "City", D(5))
    totals = priced([line("100", state, city)])
    assert [(it.name, it.base, it.tax) for it in totals.tax_breakdown] == [
        ("State", D(100), D(5)),
        ("City", D(100), D(5)),
    ]
    assert (totals.net_total, totals.tax_total) == (D(100), D(10))


def test_several_taxes_in_one_price_are_split_from_their_sum() -> None:
    """R-MON-5: r is the sum of the rates, the tax is split by largest remainder."""
    gst, pst = Tax("GST", "GST", D(5), inclusive=True), Tax("PST", "PST", D(7), inclusive=True)
    totals = priced([line("100.00", gst, pst)])
    assert totals.total == D(100)
    assert [(it.base, it.tax) for it in totals.tax_breakdown] == [
        (D("89.29"), D("4.46")),
        (D("89.29"), D("6.25")),
    ]
    assert totals.line_bases == (D("89.29"),)


def test_a_compound_tax_is_charged_on_the_taxes_before_it() -> None:
    """R-MON-8."""
    gst, qst = Tax("GST", "GST", D(5)), Tax("QST", "QST", D("9.5"), compound=True)
    totals = priced([line("100.00", gst, qst), line("20.00", gst)])
    assert [(it.code, it.base, it.tax) for it in totals.tax_breakdown] == [
        ("GST", D(120), D(6)),
        ("QST", D(105), D("9.98")),
    ]
    assert totals.line_taxes == (D("14.98"), D("1.00"))
    before = priced([line("100.00", qst, gst)])
    assert [it.base for it in before.tax_breakdown] == [D(100), D(100)]


def test_compound_taxes_pile_up() -> None:
    one = Tax("A", "A", D(10))
    two, three = (Tax(it, it, D(10), compound=True) for it in "BC")
    totals = priced([line("100.00", one, two, three)])
    assert [it.base for it in totals.tax_breakdown] == [D(100), D(110), D(121)]
    assert totals.tax_total == D("33.10")


def test_withholding_is_shown_after_the_total() -> None:
    """R-MON-8: a negative row that is in neither the tax nor the total."""
    irpf = Tax("IRPF", "IRPF", D(15), withholding=True)
    totals = priced([line("1000.00", irpf, vat("21"))])
    assert [(it.code, it.tax) for it in totals.tax_breakdown] == [
        ("V21", D(210)),
        ("IRPF", D(-150)),
    ]
    assert (totals.tax_total, totals.total, totals.withheld, totals.payable) == (
        D(210),
        D(1210),
        D(-150),
        D(1060),
    )


def test_who_gets_a_left_over_unit_is_no_matter_of_order() -> None:
    """R-MON-4: another tax is put on what is left of one of two equal lines."""
    inside, kept_back = vat("20", inclusive=True), Tax("W", "W", D(50), withholding=True)
    lines = [line("0.03", inside), line("0.03", inside, kept_back)]
    one, other = reckon(lines, "EUR"), reckon(lines[::-1], "EUR")
    assert (one.withheld, set(one.tax_breakdown)) == (other.withheld, set(other.tax_breakdown))


def test_withholding_is_never_inside_a_price() -> None:
    irpf = Tax("IRPF", "IRPF", D(15), inclusive=True, withholding=True)
    totals = priced([line("121.00", vat("21", inclusive=True), irpf)])
    assert (totals.net_total, totals.total, totals.withheld) == (D(100), D(121), D(-15))


def test_cash_rounding_is_a_figure_of_its_own() -> None:
    """R-MON-9: never by changing a tax or a line (BT-114)."""
    lines = [line("9.99", vat("8.1"))]
    totals = priced(lines, "CHF", cash_step=D("0.05"))
    assert (totals.net_total, totals.tax_total) == (D("9.99"), D("0.81"))
    assert (totals.rounding_adjustment, totals.total) == (D(0), D("10.80"))
    totals = priced([line("10.02")], "CHF", cash_step=D("0.05"))
    assert (totals.rounding_adjustment, totals.total) == (D("-0.02"), D("10.00"))
    assert priced([line("10.02")], "CHF", rounding_adjustment=D("-0.02")) == totals


def test_a_draft_may_have_no_lines() -> None:
    totals = priced([])
    assert (totals.subtotal, totals.total, totals.tax_breakdown) == (D(0), D(0), ())


def test_a_zero_rate_has_its_row() -> None:
    totals = priced([line("50", vat("0", category="AE"))])
    assert [(it.category, it.base, it.tax) for it in totals.tax_breakdown] == [("AE", D(50), D(0))]


def test_no_net_shows_a_minus_before_zero() -> None:
    totals = priced([line("0.004", quantity="1"), line("-0.004")])
    assert [str(it) for it in totals.line_nets] == ["0.00", "0.00"]


def test_totals_and_lines_survive_json() -> None:
    one = line("1.005", vat("19"), quantity="2.500000")
    assert msgspec.json.decode(msgspec.json.encode(one), type=Line) == one
    totals = priced([one], discount=Discount("percent", D("2.5")))
    assert msgspec.json.decode(msgspec.json.encode(totals), type=Totals) == totals
    assert b"E" not in msgspec.json.encode(totals).replace(b"EUR", b"")


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (line("1.0000001"), "too_many_decimals"),
        (line("1", quantity="0.0000001"), "too_many_decimals"),
        (line("1", vat("7.00001")), "too_many_decimals"),
        (line("1", discount=Discount("amount", D("0.001"))), "too_many_decimals"),
        (line("1", discount=Discount("percent", D("0.00001"))), "too_many_decimals"),
        (line("1E+15"), "amount_too_large"),
        (line("1E+3000000"), "amount_too_large"),
        (line("NaN"), "amount_too_large"),
        (line("-Infinity"), "amount_too_large"),
        (line("99999999", quantity="99999999"), "amount_too_large"),
        (line("1", quantity="-1"), "negative_quantity"),
        (line("1", discount=Discount("amount", D("1.01"))), "discount_out_of_range"),
        (line("-1", discount=Discount("amount", D("0.01"))), "discount_out_of_range"),
        (line("1", discount=Discount("amount", D(-1))), "discount_out_of_range"),
        (line("1", discount=Discount("percent", D("100.01"))), "discount_out_of_range"),
        (line("1", vat("-1")), "rate_out_of_range"),
        (line("1", vat("100.0001")), "rate_out_of_range"),
        (line("1", vat("19", category="AE")), "rate_out_of_range"),
        (line("1", vat("19", category="X")), "unknown_tax_category"),
        (line("1", vat("19"), vat("19")), "duplicate_tax"),
        (line("1", *(vat(str(it)) for it in range(9))), "too_many_taxes"),
        (line("1", Tax("Q", "Q", D(5), inclusive=True, compound=True)), "compound_inclusive"),
        (line("-0.01"), "negative_total"),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused(bad: Line, code: str) -> None:
    """R-MON-1 and the rules of invoice lines: stable codes, and no overflow of numeric(24,6)."""
    assert refused([line("0.00"), bad]) == code


def test_a_refusal_says_which_line_and_field() -> None:
    with pytest.raises(Invalid, match="Line 2: the unit price has too many decimals") as refusal:
        price([line("1"), line("1.0000001")], "EUR")
    assert (refusal.value.details["line"], refusal.value.details["field"]) == (2, "unit_price")


def test_goods_are_taken_back_only_where_that_is_allowed() -> None:
    lines = [line("5", quantity="3"), line("5", quantity="-1")]
    assert refused(lines) == "negative_quantity"
    assert price(lines, "EUR", negative_quantities=True).total == D(10)


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"discount": Discount("amount", D("10.01"))}, "discount_out_of_range"),
        ({"discount": Discount("amount", D("0.001"))}, "too_many_decimals"),
        ({"discount": Discount("percent", D(101))}, "discount_out_of_range"),
        ({"rounding_adjustment": D("0.001")}, "too_many_decimals"),
        ({"rounding_adjustment": D("-10.01")}, "negative_total"),
        ({"cash_step": D(0)}, "rounding_out_of_range"),
    ],
)
def test_a_document_that_breaks_a_rule_is_refused(how: dict[str, Any], code: str) -> None:
    assert refused([line("10")], **how) == code


def test_a_document_has_a_currency_in_use_and_at_most_a_thousand_lines() -> None:
    assert refused([line("1")], "HRK") == "unknown_currency"
    assert refused([line("1")] * 1001) == "too_many_lines"
    assert priced([line("1")] * 1000).total == D(1000)


def test_what_is_on_record_is_reckoned_without_judging() -> None:
    """A withdrawn currency stays readable; `evolve` never refuses."""
    assert reckon([line("1", vat("25"))], "HRK").total == D("1.25")


def test_a_total_that_does_not_add_up_is_a_defect() -> None:
    """R-MON-10: each equality of EN 16931 is held."""
    totals = price([line("10", vat("20"))], "EUR")
    (row,) = totals.tax_breakdown
    wrongs: dict[str, dict[str, Any]] = {
        "BR-CO-10": {"subtotal": D(11)},
        "BR-CO-13": {"net_total": D(11)},
        "BR-CO-14": {"tax_total": D(3)},
        "BR-CO-15": {"total": D("12.01")},
        "BR-CO-17": {"tax_breakdown": (msgspec.structs.replace(row, base=D(11)),)},
    }
    for rule, wrong in wrongs.items():
        with pytest.raises(AssertionError, match=rule):
            assert_en16931(msgspec.structs.replace(totals, **wrong))
    assert_en16931(totals, paid=D(5), due=D(7))
    with pytest.raises(AssertionError, match="BR-CO-16"):
        assert_en16931(totals, paid=D(5), due=D(8))
