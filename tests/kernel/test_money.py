"""Money: reading it exactly, its digits by currency, its sums, and spreading it."""

import json
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from zeroinvoice.kernel.money import (
    _WITHDRAWN,
    Exact,
    Money,
    Sums,
    exact,
    hand_out,
    in_units,
    minor_units,
    rounded,
    shares,
    spread,
    text,
)
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value


class Body(Value):
    price: Exact
    quantity: Exact | None = None
    rate: Exact | msgspec.UnsetType = msgspec.UNSET


def read(text: str) -> Body:
    def hook(kind: type, value: Any) -> Any:
        assert kind is Exact
        return exact(value)

    return msgspec.convert(json.loads(text, parse_float=D), Body, dec_hook=hook)


@pytest.mark.parametrize("given", ["0", "-0.5", "007", "1250", "19.90", "999999999999999.999999"])
def test_a_number_keeps_the_digits_it_was_written_with(given: str) -> None:
    """R-MON-1: from text, never through a binary float."""
    assert exact(given).as_tuple() == D(given).as_tuple()
    assert type(exact(given)) is D


def test_json_numbers_are_read_from_their_text() -> None:
    """R-MON-1: a number and a string say the same."""
    assert read('{"price": 1.005, "quantity": 3, "rate": "19.00"}') == Body(
        D("1.005"), D(3), D("19.00")
    )


@pytest.mark.parametrize(
    "given",
    [
        "NaN", "sNaN", "Infinity", "-Infinity", "1_000", " 1 ", "1\n", "+1", "1.", ".5", "", "-",
        "1e3", "1E+3000000", "٣", "１", "1,5", "0x10", "1.0000001", "1234567890123456", "--1",
        1.5, True, None, [], 10**15, -(10**15), D("1E+3000000"), D("1E-7"), D("NaN"),
        D("-Infinity"), D("1E+2"), D("1.2345678"), D(10**15), b"1",
    ],
)  # fmt: skip
def test_anything_but_plain_digits_is_refused(given: object) -> None:
    """0.7 and T36: no exponent, no NaN, no spaces, ASCII digits only, no float, no bool."""
    with pytest.raises(ValueError, match="Expected a decimal number"):
        exact(given)


@pytest.mark.parametrize("given", ['"NaN"', "1E+3000000", '"1e5"', "true", "[1]", "{}"])
def test_a_body_with_another_kind_of_number_is_malformed(given: str) -> None:
    """0.7: the decoder says where, and no arithmetic is ever done with it."""
    with pytest.raises(msgspec.ValidationError, match=r"\$\.price"):
        read(f'{{"price": {given}}}')


def test_a_body_holds_plain_decimals_that_events_can_store() -> None:
    body = read('{"price": "10.50"}')
    assert type(body.price) is D
    assert msgspec.json.encode(body) == b'{"price":"10.50","quantity":null}'


def test_zero_has_no_sign() -> None:
    assert str(exact("-0.00")) == "0.00"
    assert str(exact(D("-0"))) == "0"
    assert str(rounded(D("-0.004"), "EUR")) == "0.00"


@pytest.mark.parametrize(("code", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_a_currency_has_the_digits_of_iso_4217(code: str, digits: int) -> None:
    """R-MON-2."""
    assert minor_units(code) == digits


@pytest.mark.parametrize("code", ["XYZ", "eur", "", "EURO", "DEM", "XAU", "XXX", *_WITHDRAWN])
def test_an_unknown_or_withdrawn_currency_is_refused(code: str) -> None:
    """R-MON-2: gold and the code for no currency have no minor unit, so they are none."""
    with pytest.raises(Invalid) as refusal:
        minor_units(code)
    assert refusal.value.code == "unknown_currency"


def test_what_is_on_record_in_a_withdrawn_currency_can_still_be_printed() -> None:
    assert text(D(7), "BGN") == "7.00"


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [("1500", "USD", "1500.00"), ("1500", "JPY", "1500"), ("1.5", "KWD", "1.500"),
     ("10.000000", "EUR", "10.00"), ("-3", "EUR", "-3.00"), ("0", "CLF", "0.0000")],
)  # fmt: skip
def test_an_amount_is_written_with_exactly_its_currencys_digits(
    amount: str, currency: str, written: str
) -> None:
    """R-MON-1."""
    assert text(D(amount), currency) == written
    assert Money(D(amount), currency).text == written


@pytest.mark.parametrize(("amount", "currency"), [("1.005", "EUR"), ("0.5", "JPY")])
def test_too_many_decimals_are_refused_and_never_rounded_away(amount: str, currency: str) -> None:
    """R-MON-1: 422 `too_many_decimals`."""
    with pytest.raises(Invalid, match="too many decimals") as refusal:
        in_units(D(amount), currency)
    assert refusal.value.code == "too_many_decimals"


@pytest.mark.parametrize("amount", [D("1E+15"), D("NaN"), D("-Infinity"), D("1E+3000000")])
def test_a_huge_amount_is_refused(amount: D) -> None:
    """0.8: far below what numeric(24,6) holds, and never NaN."""
    with pytest.raises(Invalid) as refusal:
        in_units(amount, "EUR")
    assert refusal.value.code == "amount_too_large"


@pytest.mark.parametrize(
    ("amount", "near"),
    [("0.005", "0.01"), ("-0.005", "-0.01"), ("0.015", "0.02"), ("0.025", "0.03"),
     ("0.0049999", "0.00"), ("2.675", "2.68")],
)  # fmt: skip
def test_rounding_is_half_away_from_zero(amount: str, near: str) -> None:
    """R-MON-3."""
    assert str(Money(D(amount), "EUR").rounded().amount) == near


def test_money_adds_subtracts_and_compares() -> None:
    one, two = Money(D("0.10"), "EUR"), Money(D("0.20"), "EUR")
    assert one + two == Money(D("0.30"), "EUR")
    assert one - two == -one == Money(D("-0.10"), "EUR")
    assert abs(-one) == one
    assert one < two <= two
    assert two > one >= one
    assert one
    assert not Money.zero("EUR")
    assert str(Money.zero("JPY")) == "JPY 0"


def test_a_sum_loses_no_digit_however_long() -> None:
    huge = Money(D("9" * 30), "EUR")
    assert (huge + Money(D("0.01"), "EUR")).amount == D("9" * 30 + ".01")


def test_two_currencies_never_mix() -> None:
    """R-MON-12."""
    with pytest.raises(Invalid, match="EUR and USD") as refusal:
        Money(D(1), "EUR") + Money(D(1), "USD")
    assert refusal.value.code == "currency_mismatch"
    with pytest.raises(Invalid):
        assert Money(D(1), "EUR") < Money(D(1), "USD")


@pytest.mark.parametrize(
    "given", ['{"amount":"NaN","currency":"EUR"}', '{"amount":"1","currency":"€€€"}']
)
def test_money_is_finite_and_of_a_currency(given: str) -> None:
    """0.8: msgspec reads "NaN" as a Decimal."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(given, type=Money)


def test_totals_stand_side_by_side_by_currency() -> None:
    """R-MON-12."""
    sums = Sums.of([Money(D(1), "USD"), Money(D("2.5"), "EUR"), Money(D(1), "USD")])
    assert sums.text == {"EUR": "2.50", "USD": "2.00"}
    assert sums.plus(Money(D(5), "JPY")).minus(Money(D(2), "USD")).text == {
        "EUR": "2.50",
        "JPY": "5",
        "USD": "0.00",
    }
    assert sums.get("CHF") == Money(D(0), "CHF")
    assert Sums() == Sums.of([])


def test_a_discount_is_spread_by_the_largest_remainder() -> None:
    """T6: lines 33.33, 33.33, 33.34, document discount 10.00."""
    parts = spread(D("10.00"), [D("33.33"), D("33.33"), D("33.34")], "EUR")
    assert [str(it) for it in parts] == ["3.33", "3.33", "3.34"]


def test_equal_remainders_go_to_the_earlier() -> None:
    """R-MON-4 (5): ties by position."""
    assert spread(D("0.05"), [D(1)] * 3, "EUR") == (D("0.02"), D("0.02"), D("0.01"))
    assert spread(D(-5), [D(1)] * 3, "JPY") == (D(-2), D(-2), D(-1))


def test_nothing_is_spread_over_nothing() -> None:
    assert spread(D(0), [D(5), D(-5)], "EUR") == (D(0), D(0))
    assert spread(D(0), [], "EUR") == ()
    with pytest.raises(ValueError, match="nothing to spread over"):
        spread(D(1), [D(5), D(-5)], "EUR")


def test_weights_may_all_be_negative() -> None:
    assert shares(10, [-1, -2]) == shares(10, [1, 2]) == [3, 7]


def test_what_is_handed_out_adds_up_even_when_the_parts_do_not() -> None:
    assert hand_out(9, [10, 10], 10) == [5, 4]
    assert hand_out(1, [10, 10], 10) == [1, 0]
