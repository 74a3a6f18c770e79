"""Money: exact amounts of one ISO 4217 currency, rounded once, half away from zero."""

import re
from collections.abc import Iterable, Sequence
from decimal import (
    ROUND_HALF_UP,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from functools import lru_cache
from math import lcm
from typing import TYPE_CHECKING, NoReturn, Self

import msgspec

from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value

ZERO = Decimal(0)
LIMIT = Decimal(10) ** 15  # every amount, quantity and total is smaller, either side of zero

# `decimal` calls half away from zero ROUND_HALF_UP. The default context rounds silently
# at 28 digits; these two have room for any product of what `exact` lets in, and the first
# raises where a digit would be lost.
_FATAL = [InvalidOperation, DivisionByZero, Overflow]
EXACT = Context(prec=100, rounding=ROUND_HALF_UP, traps=[*_FATAL, Inexact])
ROUNDING = Context(prec=100, rounding=ROUND_HALF_UP, traps=_FATAL)

# Currencies that left ISO 4217 lately: no new document may use them, but what is on
# record can still be read and printed.
_WITHDRAWN = {"ANG": 2, "BGN": 2, "CUC": 2, "HRK": 2, "SLL": 2, "VEF": 2, "ZWL": 2}

_as_text = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?").fullmatch
_INT_LIMIT = 10**15


if TYPE_CHECKING:
    Exact = Decimal
else:

    class _PlainDecimal(type):
        def __instancecheck__(cls, value: object) -> bool:
            return type(value) is Decimal

    class Exact(Decimal, metaclass=_PlainDecimal):
        """An amount, quantity or rate in a request body, read by `exact`.

        It is only a mark for the decoder: msgspec reads a field of type `Decimal` by
        itself ("NaN" and "1E+3000000" included), one of any other type through `dec_hook`.
        The field then holds a plain `Decimal`, which goes into an event as it is.
        """


def exact(value: object) -> Exact:
    """The Decimal that a JSON string or number spells, digit for digit.

    A number must have been decoded from its text (`parse_float=Decimal`), never through
    a binary float. Raises ValueError for anything but `-?[0-9]{1,15}(\\.[0-9]{1,6})?`.
    """
    if type(value) is str:
        if _as_text(value):
            number = Decimal(value)
            return number if number else abs(number)  # no minus before zero
    elif type(value) is Decimal:
        # An exponent shows in the text, so a huge one never reaches any arithmetic.
        if _as_text(str(value)):
            return value if value else abs(value)
    elif type(value) is int and -_INT_LIMIT < value < _INT_LIMIT:
        return Decimal(value)
    raise ValueError(
        "Expected a decimal number such as 1250 or 19.99, with at most 15 digits before "
        "the point and 6 after it, and no exponent"
    )


@lru_cache(maxsize=512)
def minor_units(currency: str) -> int:
    """The decimals of a currency by ISO 4217: EUR 2, JPY 0, KWD 3.

    Raises `Invalid` (`unknown_currency`) for a code that is unknown or withdrawn, or has
    no minor unit at all, such as gold. A new document's currency is checked with this.
    """
    from iso4217 import raw_table  # reads an XML file, hence not at import

    digits = str(raw_table.get(currency, {}).get("CcyMnrUnts"))
    if not digits.isdecimal():
        _unknown(currency)
    return int(digits)


def _unknown(currency: str) -> NoReturn:
    raise Invalid(
        f"{currency[:20]!r} is not a currency in use; give a code of ISO 4217, such as EUR.",
        code="unknown_currency",
    )


@lru_cache(maxsize=512)
def digits_and_unit(currency: str) -> tuple[int, Decimal]:
    """A currency's decimals and its minor unit, also for those withdrawn lately."""
    digits = _WITHDRAWN.get(currency)
    if digits is None:
        digits = minor_units(currency)
    return digits, Decimal(1).scaleb(-digits)


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole minor units, half away from zero."""
    near = ROUNDING.quantize(amount, digits_and_unit(currency)[1])
    return near if near else abs(near)  # no minus before zero


def in_units(amount: Decimal, currency: str, what: str = "The amount") -> Decimal:
    """The same amount with exactly the currency's digits.

    Raises `Invalid`: `too_many_decimals` where digits would be lost, `amount_too_large`
    from 10^15 on.
    """
    if not amount.is_finite() or not -LIMIT < amount < LIMIT:
        raise Invalid(f"{what} must be smaller than 10^15.", code="amount_too_large")
    near = rounded(amount, currency)
    if near != amount:
        digits = digits_and_unit(currency)[0]
        raise Invalid(
            f"{what} {amount:f} has too many decimals: {currency} has {digits}.",
            code="too_many_decimals",
            currency=currency,
            decimals=digits,
        )
    return near


def text(amount: Decimal, currency: str) -> str:
    """How an amount is written: always with exactly the currency's digits."""
    return f"{in_units(amount, currency):f}"


class Money(Value):
    """A finite amount of one currency. Sums are exact; two currencies never mix."""

    amount: Decimal
    currency: str  # ISO 4217, such as "EUR"

    def __post_init__(self) -> None:
        if not self.amount.is_finite():  # msgspec reads "NaN" as a Decimal
            raise ValueError("An amount must be a finite number")
        code = self.currency
        if not (len(code) == 3 and code.isascii() and code.isalpha() and code.isupper()):
            raise ValueError("A currency is three capital letters (ISO 4217)")

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(digits_and_unit(currency)[1] * 0, currency)

    def __add__(self, other: "Money") -> "Money":
        return Money(EXACT.add(self.amount, self._alike(other)), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(EXACT.subtract(self.amount, self._alike(other)), self.currency)

    def __neg__(self) -> "Money":
        return Money(EXACT.minus(self.amount), self.currency)

    def __abs__(self) -> "Money":
        return Money(EXACT.abs(self.amount), self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._alike(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._alike(other)

    def __gt__(self, other: "Money") -> bool:
        return self.amount > self._alike(other)

    def __ge__(self, other: "Money") -> bool:
        return self.amount >= self._alike(other)

    def __bool__(self) -> bool:
        return bool(self.amount)

    def __str__(self) -> str:
        return f"{self.currency} {self.text}"

    @property
    def text(self) -> str:
        return text(self.amount, self.currency)

    def rounded(self) -> "Money":
        return Money(rounded(self.amount, self.currency), self.currency)

    def in_units(self, what: str = "The amount") -> "Money":
        """The same, with exactly the currency's digits; `Invalid` where that would lose any."""
        return Money(in_units(self.amount, self.currency, what), self.currency)

    def _alike(self, other: "Money") -> Decimal:
        if self.currency != other.currency:
            raise Invalid(
                f"{self.currency} and {other.currency} cannot be added or compared.",
                code="currency_mismatch",
            )
        return other.amount


def positive(amount: Decimal, currency: str, what: str = "The amount") -> Money:
    """More than nothing, in whole minor units. Raises `Invalid` `amount_not_positive`."""
    exact = Money(amount, currency).in_units(what)
    if exact.amount <= 0:
        raise Invalid(f"{what} must be more than nothing.", code="amount_not_positive")
    return exact


class Sums(Value):
    """Totals by currency. Amounts of two currencies stand side by side, never added."""

    by_currency: dict[str, Decimal] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, amounts: Iterable[Money]) -> Self:
        sums: dict[str, Decimal] = {}
        for it in amounts:
            sums[it.currency] = EXACT.add(sums.get(it.currency, ZERO), it.amount)
        return cls(sums)

    def plus(self, it: Money) -> "Sums":
        total = EXACT.add(self.by_currency.get(it.currency, ZERO), it.amount)
        return Sums({**self.by_currency, it.currency: total})

    def minus(self, it: Money) -> "Sums":
        return self.plus(-it)

    def get(self, currency: str) -> Money:
        return Money(self.by_currency.get(currency, ZERO), currency)

    @property
    def text(self) -> dict[str, str]:
        return {code: text(self.by_currency[code], code) for code in sorted(self.by_currency)}


def spread(total: Decimal, weights: Sequence[Decimal], currency: str) -> tuple[Decimal, ...]:
    """Shares of a total in proportion to the weights, adding up to it exactly.

    The largest remainder method: everyone gets the whole minor units of their share, and
    what is left goes, a unit each, to the largest remainders, the earlier of two equals first.
    Raises ValueError when there is something to spread and the weights add up to nothing.
    """
    digits, _ = digits_and_unit(currency)
    units = int(EXACT.scaleb(in_units(total, currency, "The total"), digits))
    ratios: list[tuple[int, int]] = [it.as_integer_ratio() for it in weights]
    per = lcm(*(below for _, below in ratios))
    shared = shares(units, [above * (per // below) for above, below in ratios])
    return tuple(EXACT.scaleb(it, -digits) for it in shared)


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`spread` in whole units."""
    whole = sum(weights)
    if not whole:
        if total:
            raise ValueError("There is nothing to spread over")
        return [0] * len(weights)
    if whole < 0:
        weights, whole = [-it for it in weights], -whole
    return hand_out(total, [total * it for it in weights], whole)


def hand_out(total: int, parts: Sequence[int], per: int) -> list[int]:
    """Whole numbers near each `part / per` that add up to the total, by largest remainder."""
    if total < 0:  # as its mirror image, so that a credit undoes an invoice to the unit
        return [-it for it in hand_out(-total, [-it for it in parts], per)]
    floors: list[int] = []
    remainders: list[int] = []
    for part in parts:
        floor, remainder = divmod(part, per)
        floors.append(floor)
        remainders.append(remainder)
    left = total - sum(floors)
    if left:
        each, left = divmod(left, len(floors))
        largest = sorted(range(len(floors)), key=remainders.__getitem__, reverse=True)[:left]
        for position in largest:  # `reverse` keeps equals in their order
            floors[position] += 1
        if each:
            floors = [it + each for it in floors]
    return floors


def half_away(above: int, below: int) -> int:
    """The whole number nearest to `above / below` (`below` > 0), half away from zero."""
    near = (2 * abs(above) + below) // (2 * below)
    return near if above >= 0 else -near
