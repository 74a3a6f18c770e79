"""Derivations: how a number came about, from the facts that moved it or from other numbers."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from itertools import accumulate
from uuid import UUID

from zeroinvoice.domain.receivable import Bill, Dated, Good, PaidPart, Receivables
from zeroinvoice.kernel.money import EXACT, ZERO
from zeroinvoice.kernel.value import Value

MOST_PARTS = 100  # that are told one by one


class Part(Value):
    """By how much one fact moved a number."""

    seq: int  # the fact's position in the journal
    amount: Decimal  # signed, and never nothing
    day: date  # from which it counts


class Term(Value):
    """A number that another is worked out from."""

    name: str  # under which it is explained itself, unless it is simply given
    value: Decimal | None


class Derivation(Value):
    """A number that is the sum of parts, or worked out from terms by its formula.

    What is left off is added up, so the parts that are told and the sum of those that are not
    are the number, to the last digit.
    """

    formula: str
    value: Decimal | None
    parts: tuple[Part, ...] = ()  # the earliest day first
    parts_omitted: int = 0
    sum_omitted: Decimal = ZERO
    terms: tuple[Term, ...] = ()


def added_up(
    formula: str, parts: Iterable[Part], none: Decimal = ZERO, terms: tuple[Term, ...] = ()
) -> Derivation:
    """A number that is the sum of what some facts did to it; a fact that did several counts once.

    `none` is nothing, with the digits of the currency.
    """
    by_fact: dict[int, Part] = {}
    for it in parts:
        known = by_fact.get(it.seq)
        amount = it.amount if known is None else EXACT.add(known.amount, it.amount)
        by_fact[it.seq] = Part(it.seq, amount, it.day if known is None else min(known.day, it.day))
    moved = sorted((it for it in by_fact.values() if it.amount), key=lambda it: (it.day, it.seq))
    told, left = moved[:MOST_PARTS], moved[MOST_PARTS:]
    omitted = _sum(left, none)
    return Derivation(formula, _sum(told, none) + omitted, tuple(told), len(left), omitted, terms)


def worked_out(formula: str, value: Decimal | None, *terms: Term) -> Derivation:
    """A number that is worked out from others."""
    return Derivation(formula, value, terms=terms)


def steps(after: Iterable[tuple[int, date, Decimal]]) -> Iterator[Part]:
    """Parts from what the number was after each fact, beginning with nothing."""
    before = ZERO
    for seq, day, value in after:
        yield Part(seq, value - before, day)
        before = value


# What moved the figures of receivables


def of_bills(bills: Iterable[Bill], on: date, number: Callable[[Bill], Decimal]) -> Iterator[Part]:
    """How invoices' shares of a number came about: by their issue, then by what settles them.

    `number` may look at what is settled in all, and not at by what.
    """
    for bill in bills:
        if not number(bill):
            continue  # what has come to nothing explains nothing
        made = sorted(
            (it for it in bill.settlements if it.day <= on), key=lambda it: (it.day, it.seq)
        )
        sums = accumulate(made, lambda sum, it: sum.but(amount=sum.amount + it.amount))
        after = [(bill.seq, bill.issue_date, number(bill.but(settlements=())))]
        for it, sum in zip(made, sums, strict=True):
            after.append((it.seq, it.day, number(bill.but(settlements=(sum,)))))
        yield from steps(after)


def of_unapplied(it: Receivables, on: date) -> Iterator[Part]:
    yield from _of_goods(good for good in it.goods if good.kind == "payment" and good.day <= on)
    yield from of_bills(it.bills, on, lambda bill: bill.beyond(on))


def of_credit(it: Receivables, on: date) -> Iterator[Part]:
    return _of_goods(good for good in it.goods if good.kind == "credit" and good.usable(on))


def _of_goods(goods: Iterable[Good]) -> Iterator[Part]:
    """Of each payment or credit of which something is left, what it brought and what it gave."""
    by_document: dict[UUID, list[Good]] = {}
    for it in goods:
        by_document.setdefault(it.document, []).append(it)
    for moves in by_document.values():
        if sum((it.amount for it in moves), ZERO):
            yield from (Part(it.seq, it.amount, it.day) for it in moves)


def of_invoiced(bills: Iterable[Bill], first: date, last: date) -> Iterator[Part]:
    found = (it for it in bills if first <= it.issue_date <= last)
    return (Part(it.seq, it.payable, it.issue_date) for it in found)


def of_dated(amounts: Iterable[Dated], first: date, last: date) -> Iterator[Part]:
    return (Part(it.seq, it.amount, it.day) for it in amounts if first <= it.day <= last)


def of_sales(it: Receivables, first: date, last: date, on: date) -> Iterator[Part]:
    yield from of_invoiced(it.sold(on), first, last)
    yield from taken_off(of_dated(it.notes, first, last))


def of_paid(parts: Iterable[PaidPart], *, weighted: bool) -> Iterator[Part]:
    """What was paid; weighted, each amount times the days it took."""
    for paid in parts:
        for it in paid.made:
            yield Part(it.seq, it.amount * paid.days if weighted else it.amount, it.day)


def taken_off(parts: Iterable[Part]) -> Iterator[Part]:
    return (it.but(amount=-it.amount) for it in parts)


def _sum(parts: Iterable[Part], none: Decimal) -> Decimal:
    total = none
    for it in parts:
        total = EXACT.add(total, it.amount)
    return total
