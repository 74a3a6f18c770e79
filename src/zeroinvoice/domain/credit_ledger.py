"""A client's credit ledger: what is left of each of their credits, oldest first, at any moment."""

from bisect import bisect_left
from collections.abc import Iterable
from datetime import date
from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.domain.credit import Credit
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.value import Value

# Events


class CreditEntered(Event):
    """So much is left of a credit from now on; nothing, once it is used up or void."""

    client_id: UUID
    credit_id: UUID
    left: Money
    expires_on: date | None


# State


class Held(Value):
    credit_id: UUID
    left: Money
    expires_on: date | None = None

    def usable(self, today: date) -> bool:
        return self.expires_on is None or today <= self.expires_on


class CreditLedger(State[CreditEntered]):
    """The credits with something left, in the order in which they are to be used.

    It is a leg of every fact that moves a credit, so a decision that concerns all credits of a
    client need not look for them.
    """

    held: tuple[Held, ...] = ()  # the first to expire first, then the oldest

    def evolve(self, event: CreditEntered) -> Self:
        match event:
            case CreditEntered(credit_id=credit_id, left=left, expires_on=expires_on):
                it = Held(
                    credit_id, left, expires_on
                )  # its last day never changes, so nor its turn
                at = bisect_left(self.held, _turn(it), key=_turn)
                if at < len(self.held) and self.held[at].credit_id == credit_id:
                    rest = self.held[at + 1 :]
                else:
                    rest = self.held[at:]
                return self.but(held=(*self.held[:at], *((it,) if left else ()), *rest))
            case _:
                assert_never(event)

    def enter(self, credit: Credit) -> Events:
        yield from self._enter(credit, credit.remaining)

    def hand_over(self, credit: Credit) -> Events:
        """Let go of a credit that belongs to another client from now on."""
        yield from self._enter(credit, Money.zero(credit.currency))

    def _enter(self, credit: Credit, left: Money) -> Events:
        known = next((it.left for it in self.held if it.credit_id == credit.id), None)
        if left != (known or Money.zero(left.currency)):
            yield CreditEntered(credit.entry.client_id, credit.id, left, credit.entry.expires_on)


def all_held(ledgers: Iterable[CreditLedger]) -> list[Held]:
    """What clients who are one hold together, in the order in which it is to be used."""
    return sorted((it for ledger in ledgers for it in ledger.held), key=_turn)


def _turn(it: Held) -> tuple[date, UUID]:
    """When a credit's turn is: ids are in the order of time."""
    return it.expires_on or date.max, it.credit_id


def ledger_of(tenant: UUID, client_id: UUID) -> UUID:
    """The one credit ledger of a client."""
    return named(tenant, "credits", str(client_id))


def hand_over(desk: Desk, credit: Credit) -> None:
    """Take a credit out of the ledger of the client that it is about to leave."""
    ledger = desk.find(CreditLedger, ledger_of(desk.tenant, credit.entry.client_id))
    desk.record(ledger, ledger.hand_over(credit))


def enter(desk: Desk, credit: Credit) -> Credit:
    """Write what is left of a credit into its client's ledger."""
    ledger = desk.find(CreditLedger, ledger_of(desk.tenant, credit.entry.client_id))
    desk.record(ledger, ledger.enter(credit))
    return credit
