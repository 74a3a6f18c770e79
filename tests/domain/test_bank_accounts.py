"""Bank accounts as a state: one default for each purpose, no account twice, no number at all."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain import banking
from zeroinvoice.domain.bank_accounts import (
    MOST_ACCOUNTS,
    AccountDetails,
    BankAccountAdded,
    BankAccountRemoved,
    BankAccountRevised,
    BankAccounts,
    DefaultAccount,
    DefaultBankAccountChosen,
)
from zeroinvoice.domain.bank_numbers import BankNumber, KeptNumber
from zeroinvoice.domain.client import Client, ClientAdded, Profile
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import NIL
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused

CLIENT, ONE, TWO, THREE, KEY = (UUID(int=it) for it in (1, 2, 3, 4, 5))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def kept(fingerprint: str, number: BankNumber | None = None) -> KeptNumber:
    number = number or BankNumber("iban", "DE89370400440532013000")
    return number.kept(fingerprint, "c2VhbGVk", sealed_by=KEY, sealed_for=CLIENT)


refunds = AccountDetails("Acme Corp", "EUR", "refunds")
debits = refunds.but(purpose="direct_debit")
one = BankAccountAdded(CLIENT, ONE, refunds, kept("1"), (DefaultAccount("refunds", ONE),))
two = BankAccountAdded(CLIENT, TWO, refunds, kept("2"))
three = BankAccountAdded(CLIENT, THREE, debits, kept("3"), (DefaultAccount("direct_debit", THREE),))


def test_the_first_account_for_a_purpose_is_its_default() -> None:
    """A6-6."""
    accounts = BankAccounts()
    assert list(accounts.add(CLIENT, ONE, refunds, kept("1"))) == [one]
    assert list(BankAccounts.after(one).add(CLIENT, TWO, refunds, kept("2"))) == [two]
    assert list(BankAccounts.after(one, two).add(CLIENT, THREE, debits, kept("3"))) == [three]


def test_a_default_takes_the_place_of_the_one_before_in_one_event() -> None:
    """A6-6: one default for each client and purpose."""
    accounts = BankAccounts.after(one, two, three)
    chosen = DefaultBankAccountChosen((DefaultAccount("refunds", TWO),))
    assert list(accounts.revise(TWO, refunds, default=True)) == [chosen]
    after = BankAccounts.after(one, two, three, chosen)
    assert (after.default("refunds"), after.default("direct_debit")) == (TWO, THREE)
    assert list(after.revise(TWO, refunds, default=True)) == []
    with pytest.raises(Refused) as no:
        list(after.revise(TWO, refunds, default=False))
    assert no.value.code == "default_needed"


def test_an_account_that_is_used_for_something_else_leaves_its_place_to_the_oldest() -> None:
    """A6-6."""
    accounts = BankAccounts.after(one, two, three)
    moved = BankAccountRevised(ONE, debits, (DefaultAccount("refunds", TWO),))
    assert list(accounts.revise(ONE, debits)) == [moved]
    alone = refunds.but(purpose="info")
    assert list(accounts.revise(THREE, alone)) == [
        BankAccountRevised(
            THREE, alone, (DefaultAccount("direct_debit", None), DefaultAccount("info", THREE))
        )
    ]


def test_removing_a_default_promotes_the_oldest_for_its_purpose() -> None:
    """A6-6: the fact keeps the fingerprint and the last four, and names the key to destroy."""
    accounts = BankAccounts.after(one, two, three)
    removed = BankAccountRemoved(ONE, "1", "3000", KEY, (DefaultAccount("refunds", TWO),))
    assert list(accounts.remove(ONE)) == [removed]
    left = BankAccounts.after(one, two, three, removed)
    assert (left.default("refunds"), [it.id for it in left.accounts]) == (TWO, [TWO, THREE])
    last = BankAccounts.after(one, BankAccountRemoved(ONE, "1", "3000", KEY, (
        DefaultAccount("refunds", None),)))  # fmt: skip
    assert (last.defaults, last.accounts) == ((), ())


def test_an_account_is_added_once() -> None:
    """A6-3: recognised by the fingerprint of its number, as long as it is there."""
    with pytest.raises(Refused) as no:
        list(BankAccounts.after(one).add(CLIENT, TWO, debits, kept("1")))
    assert (no.value.code, no.value.details) == ("duplicate_account", {"account_id": str(ONE)})
    (gone,) = BankAccounts.after(one).remove(ONE)
    assert isinstance(gone, BankAccountRemoved)
    assert list(BankAccounts.after(one, gone).add(CLIENT, ONE, refunds, kept("1"))) == [one]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account_holder": " "}, "bad_account_holder"),
        ({"account_holder": "x" * 256}, "bad_account_holder"),
        ({"currency": "XXQ"}, "unknown_currency"),
        ({"country": "ZZ"}, "unknown_country"),
        ({"country": "FR"}, "country_mismatch"),
        ({"bank_name": "x" * 256}, "text_too_long"),
        ({"mandate_ref": "x" * 36}, "text_too_long"),
    ],
)
def test_an_account_says_whose_it_is_and_where(changes: dict[str, Any], code: str) -> None:
    """A6-1, A6-2."""
    with pytest.raises(Invalid) as no:
        list(BankAccounts().add(CLIENT, ONE, refunds.but(**changes), kept("1")))
    assert no.value.code == code


def test_where_an_account_is_its_number_tells_if_it_can() -> None:
    somewhere = kept("1", BankNumber("other", "AB123456"))
    assert list(BankAccounts().add(CLIENT, ONE, refunds.but(country="JP"), somewhere))
    assert BankAccounts.after(one).account(ONE).country == "DE"


def test_there_is_a_most_of_accounts() -> None:
    many = [one.but(account_id=UUID(int=n + 10)) for n in range(MOST_ACCOUNTS)]
    with pytest.raises(Invalid) as no:
        list(BankAccounts.after(*many).add(CLIENT, TWO, refunds, kept("2")))
    assert no.value.code == "too_many_accounts"


def test_what_is_not_there_is_missing() -> None:
    for verb in (BankAccounts().remove(ONE), BankAccounts.after(one).revise(TWO, refunds)):
        with pytest.raises(Missing):
            list(verb)


def test_a_number_is_sealed_to_the_id_that_is_drawn_for_its_account() -> None:
    """A6-3: and a decision that is run again with the same ids seals the same."""

    def run(ids: list[UUID] | None = None) -> tuple[Desk, UUID]:
        known: dict[Any, Any] = {Client: Client.after(ClientAdded(Profile("Acme", "EUR")))}
        desk = Desk(
            NIL, NOW, lambda kind, place: known.get(kind, kind()).but(id=place[1]), None, ids
        )

        def seal(account_id: UUID) -> KeptNumber:
            return kept("1").but(sealed=str(account_id))

        def change(details: AccountDetails) -> AccountDetails:
            return details.but(account_holder="Acme Corp", purpose="refunds")

        _, account_id = banking.add(desk, CLIENT, change, seal, default=False)
        return desk, account_id

    desk, account_id = run()
    again, same = run([account_id])
    assert same == account_id
    assert [it[2] for it in again.recorded] == [it[2] for it in desk.recorded]
    (event,) = (it[2] for it in desk.recorded)
    assert isinstance(event, BankAccountAdded)
    assert event.number.sealed == str(account_id)
    assert event.details == refunds  # in the client's currency
