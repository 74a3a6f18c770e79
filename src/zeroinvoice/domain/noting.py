"""Noting: what a credit note takes of its invoice, as somebody asked for it."""

from decimal import Decimal
from uuid import UUID

from zeroinvoice.domain.credit_note import NoteLine, by_quantity, further, line_id, worth
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.lines import Line
from zeroinvoice.kernel.money import Exact, Money, in_units, positive
from zeroinvoice.kernel.refusals import Invalid, Refused
from zeroinvoice.kernel.value import Value


class LineCredited(Value, forbid_unknown_fields=True):
    """What to credit of an invoice's line: all that is left of it, unless said otherwise."""

    invoice_line_id: UUID
    quantity: Exact | None = None
    amount: Exact | None = None  # of the line's net


def note_lines(
    invoice: Invoice, lines: tuple[LineCredited, ...], amount: Decimal | None
) -> tuple[NoteLine, ...]:
    """What a note takes of an invoice: of some lines, an amount of all, or all that is left.

    Raises `Invalid` where that is not left of it.
    """
    rests = invoice.credited.rests(invoice.totals)
    if not any(rests):
        raise Refused(f"All of invoice {invoice.number} is credited.", code="nothing_to_credit")
    if lines:
        return tuple(_line(invoice, rests, it) for it in _each_once(lines))
    if amount is not None:
        rests = _worth(invoice, rests, positive(amount, invoice.currency))
    return tuple(
        NoteLine(number, line.description, part)
        for number, (line, part) in enumerate(zip(invoice.content.lines, rests, strict=True), 1)
        if part
    )


def _worth(invoice: Invoice, rests: list[Decimal], wanted: Money) -> list[Decimal]:
    """What to take of the lines so that the note is worth an amount, taxes and all."""
    content, notes = invoice.content, invoice.credited.notes

    def price_of(nets: list[Decimal]) -> Decimal:
        taken = [NoteLine(number, "", net) for number, net in enumerate(nets, 1)]
        return further(content.lines, invoice.totals, notes, taken).payable

    most = Money(price_of(rests), invoice.currency)
    if wanted > most:
        raise Invalid(
            f"Only {most} of invoice {invoice.number} is left to credit.",
            code="exceeds_invoice",
            creditable=most.text,
            currency=most.currency,
        )
    found = worth(wanted.amount, rests, invoice.currency, price_of)
    if found is None:
        raise Invalid(
            f"With its taxes no part of invoice {invoice.number} comes to {wanted}; "
            "say what to credit of its lines.",
            code="amount_out_of_reach",
        )
    return found


def _each_once(lines: tuple[LineCredited, ...]) -> tuple[LineCredited, ...]:
    if len({it.invoice_line_id for it in lines}) < len(lines):
        raise Invalid("A line stands twice in the credit note.", code="line_twice")
    return lines


def _line(invoice: Invoice, rests: list[Decimal], asked: LineCredited) -> NoteLine:
    numbers = {line_id(invoice.id, it): it for it in range(1, len(rests) + 1)}
    number = numbers.get(asked.invoice_line_id)
    if number is None:
        raise Invalid(
            f"Invoice {invoice.number} has no such line.",
            code="unknown_line",
            invoice_line_id=str(asked.invoice_line_id),
        )
    line, rest = invoice.content.lines[number - 1], rests[number - 1]
    if asked.quantity is not None and asked.amount is not None:
        raise Invalid("Credit a quantity or an amount of a line, not both.", code="two_amounts")
    amount = rest
    if asked.amount is not None:
        amount = in_units(asked.amount, invoice.currency)
    elif asked.quantity is not None:
        amount = _of_quantity(invoice, line, number, asked.quantity)
    if not 0 < amount * (1 if rest > 0 else -1) <= abs(rest):
        raise _beyond(invoice, number, rest)
    return NoteLine(number, line.description, amount, asked.quantity)


def _of_quantity(invoice: Invoice, line: Line, number: int, more: Decimal) -> Decimal:
    net, before = invoice.totals.line_nets[number - 1], invoice.credited.quantity(number)
    if not 0 < more <= line.quantity - before:
        raise Invalid(
            f"Of line {number} a quantity of {line.quantity - before} is left to credit.",
            code="exceeds_line",
            line=number,
            quantity=str(line.quantity - before),
        )
    return by_quantity(net, line.quantity, before, more, invoice.currency)


def _beyond(invoice: Invoice, number: int, rest: Decimal) -> Invalid:
    return Invalid(
        f"Of line {number} only {rest} {invoice.currency} is left to credit.",
        code="exceeds_line",
        line=number,
        creditable=str(rest),
        currency=invoice.currency,
    )
