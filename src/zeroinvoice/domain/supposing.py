"""Supposing: what somebody would have different in what happened, and what that concerns."""

from datetime import date
from typing import Self
from uuid import UUID

import msgspec

from zeroinvoice.domain.client import Client
from zeroinvoice.domain.credit import Credit
from zeroinvoice.domain.history import History
from zeroinvoice.domain.invoice import Invoice
from zeroinvoice.domain.lines import Line, Tax, check_tax
from zeroinvoice.domain.payment import Payment
from zeroinvoice.domain.taxes import bare_tax
from zeroinvoice.domain.terms import Terms, parse
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.kernel.money import Exact
from zeroinvoice.kernel.refusals import Invalid
from zeroinvoice.kernel.value import Value

MOST_CHANGES = 50


class OtherRate(Value, tag="tax_rate", kw_only=True, forbid_unknown_fields=True):
    """Another rate of a tax in all that was issued from a day on, and in its credit notes."""

    rate: Exact  # percent
    since: date = msgspec.field(name="from")
    code: str | None = None  # of the tax: its code, its name or both
    name: str | None = None
    category: str | None = None  # EN 16931; only where the tax is of this one

    def concerns(self, tax: Tax) -> bool:
        wanted = ((self.code, tax.code), (self.name, tax.name), (self.category, tax.category))
        return all(asked is None or asked == own for asked, own in wanted)

    def instead(self, tax: Tax) -> Tax:
        """The tax at the other rate; of one that is no more than a rate, another bare one."""
        if tax == bare_tax(tax.rate, inclusive=tax.inclusive):
            return bare_tax(self.rate, inclusive=tax.inclusive)
        return tax.but(rate=self.rate)

    def check(self, known: set[Tax]) -> None:
        """Raises `Invalid` for a tax that nobody has heard of, and for a rate it cannot have."""
        if self.code is None and self.name is None:
            raise Invalid("Say which tax: give its code or its name.", code="tax_needed")
        found = [it for it in known if self.concerns(it)]
        if not found:
            asked = self.code if self.code is not None else self.name
            raise Invalid(f"There is no such tax as {asked!r} here.", code="unknown_tax", tax=asked)
        for tax in found:
            check_tax(self.instead(tax))


class WithoutPayment(Value, tag="without_payment", kw_only=True, forbid_unknown_fields=True):
    """As if a payment had never come; nor what came of it, such as the credit of its rest."""

    payment_id: UUID


class OtherTerms(Value, tag="terms", kw_only=True, forbid_unknown_fields=True):
    """Other terms for what was issued: its due dates anew, also those that were chosen."""

    terms: str | None = None  # as a user writes them, such as `net 14`
    net_days: int | None = None  # the same for `net`
    client_id: UUID | None = None  # default: every client
    since: date | None = msgspec.field(name="from", default=None)  # by the day of issue

    def parsed(self) -> Terms:
        """Raises `Invalid` for none, two, or unknown ones."""
        given = [it for it in (self.terms, self.net_days) if it is not None]
        if len(given) != 1:
            raise Invalid("Give the terms, or the net days.", code="terms_needed")
        return parse(given[0])


Change = OtherRate | WithoutPayment | OtherTerms


class TermsFor(Value):
    """Terms, and what they are for."""

    terms: Terms
    since: date | None
    clients: tuple[UUID, ...] | None  # the client and all it stands for; None: every one


class Supposed(Value, kw_only=True):
    """Changes that were held against what happened. Of several that fit, the last one counts."""

    rates: tuple[OtherRate, ...] = ()
    terms: tuple[TermsFor, ...] = ()
    payments: frozenset[UUID] = frozenset()  # left out
    credits: frozenset[UUID] = frozenset()  # what was too much of them: left out, too

    @classmethod
    def of(cls, changes: tuple[Change, ...], past: History) -> Self:
        """Raises `Missing` and `Invalid` for changes of what is not there or cannot change."""
        if len(changes) > MOST_CHANGES:
            raise Invalid(f"Suppose at most {MOST_CHANGES} changes.", code="too_many_changes")
        rates = tuple(it for it in changes if isinstance(it, OtherRate))
        taxes = _taxes(past) if rates else set()
        for it in rates:
            it.check(taxes)
        payments = frozenset(
            past.open(Payment, it.payment_id).id for it in changes if isinstance(it, WithoutPayment)
        )
        return cls(
            rates=rates,
            terms=tuple(_terms(it, past) for it in changes if isinstance(it, OtherTerms)),
            payments=payments,
            credits=_rests(payments, past),
        )

    def line(self, line: Line, issued_on: date) -> Line:
        """A line as it would be in a document of a day."""
        if not self.rates:
            return line
        return line.but(taxes=tuple(self._tax(it, issued_on) for it in line.taxes))

    def due_terms(self, home: UUID, issued_on: date) -> Terms | None:
        """The terms that a client's document of a day would have; None: as it has them."""
        fitting = (
            it.terms
            for it in reversed(self.terms)
            if (it.since is None or it.since <= issued_on)
            and (it.clients is None or home in it.clients)
        )
        return next(fitting, None)

    def _tax(self, tax: Tax, issued_on: date) -> Tax:
        for it in reversed(self.rates):
            if it.since <= issued_on and it.concerns(tax):
                return it.instead(tax)
        return tax


def _taxes(past: History) -> set[Tax]:
    """Every tax that is defined, or that stands on some line."""
    lines = (line for it in past.all(Invoice) for line in it.content.lines)
    found = {tax for line in lines for tax in line.taxes}
    return found.union(*(it.taxes for it in past.all(Workspace)))


def _terms(asked: OtherTerms, past: History) -> TermsFor:
    clients = None if asked.client_id is None else past.open(Client, asked.client_id).homes
    return TermsFor(asked.parsed(), asked.since, clients)


def _rests(payments: frozenset[UUID], past: History) -> frozenset[UUID]:
    """The credits that payments left. Raises `Invalid` `payment_needed`.

    A credit of something else that was paid back through such a payment could not have been.
    """
    if not payments:
        return frozenset()
    credits = past.all(Credit)
    rests = frozenset(it.id for it in credits if it.entry.payment_id in payments)
    for credit in credits:
        for refund in credit.refunds:
            if refund.payment_id in payments and credit.id not in rests:
                raise Invalid(
                    f"{refund.amount} {credit.currency} of another credit was paid back through "
                    "this payment, which cannot be left out without it.",
                    code="payment_needed",
                    payment_id=str(refund.payment_id),
                    credit_id=str(credit.id),
                    refund_id=str(refund.refund_id),
                )
    return rests
