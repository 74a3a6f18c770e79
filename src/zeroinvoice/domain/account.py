"""A client's account: what was charged and what was settled, so that limits can be decided."""

from typing import Self, assert_never
from uuid import UUID

from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Event, Events, State
from zeroinvoice.kernel.ids import named
from zeroinvoice.kernel.money import Money, Sums
from zeroinvoice.kernel.refusals import Refused

# Events


class AccountDebited(Event):
    document: UUID  # the invoice that is owed, or what was taken back or paid out
    amount: Money  # zero for an invoice that asks for nothing; it is history all the same
    over_limit: bool = False  # somebody let it lift the balance over the credit limit


class AccountCredited(Event):
    document: UUID  # the payment, credit, cancellation or write-off that settles
    amount: Money


AccountEvent = AccountDebited | AccountCredited

# State


class Account(State[AccountEvent]):
    """Has any facts at all once the client has financial history."""

    balances: Sums = Sums()  # owed by the client, each currency by itself

    def evolve(self, event: AccountEvent) -> Self:
        match event:
            case AccountDebited(amount=amount):
                return self.but(balances=self.balances.plus(amount))
            case AccountCredited(amount=amount):
                return self.but(balances=self.balances.minus(amount))
            case _:
                assert_never(event)

    def debit(
        self,
        document: UUID,
        amount: Money,
        limit: Money | None = None,
        *,
        over_limit: bool = False,
        beside: Money | None = None,
    ) -> Events:
        """Charge the client. Raises `Refused` when that lifts the balance over a limit,
        unless `over_limit` allows it. `beside` is owed on accounts of the same client.
        """
        exceeds = False
        if limit is not None and amount.currency == limit.currency and amount:
            owed = self.balances.get(amount.currency) + amount
            owed = owed + beside if beside is not None else owed
            exceeds = owed > limit
            if exceeds and not over_limit:
                raise Refused(
                    f"With this the client owes {owed}, more than the credit limit of {limit}.",
                    code="credit_limit_exceeded",
                    exposure=owed.text,
                    credit_limit=limit.text,
                    currency=amount.currency,
                )
        yield AccountDebited(document, amount, exceeds)

    def credit(self, document: UUID, amount: Money) -> Events:
        yield AccountCredited(document, amount)


def account_of(tenant: UUID, client_id: UUID) -> UUID:
    """The one account of a client."""
    return named(tenant, "account", str(client_id))


def settle(desk: Desk, client_id: UUID, document: UUID, amount: Money) -> None:
    """Lift an amount from the client's account."""
    account = desk.find(Account, account_of(desk.tenant, client_id))
    desk.record(account, account.credit(document, amount))


def owe_again(desk: Desk, client_id: UUID, document: UUID, amount: Money) -> None:
    """Put an amount back on the client's account, whatever their limit."""
    account = desk.find(Account, account_of(desk.tenant, client_id))
    desk.record(account, account.debit(document, amount))


def move(desk: Desk, source: UUID, target: UUID, document: UUID, amount: Money) -> None:
    """Let what lifts one client's account lift another's instead."""
    if source != target and amount:
        owe_again(desk, source, document, amount)
        settle(desk, target, document, amount)
