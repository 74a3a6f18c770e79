"""Clients: what may be written of them, and what follows from their history."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from zeroinvoice.domain.account import Account, AccountDebited
from zeroinvoice.domain.addresses import COUNTRIES, Address, AddressWritten, rewritten
from zeroinvoice.domain.client import (
    Client,
    ClientAdded,
    ClientArchived,
    ClientDeleted,
    ClientPaymentSettingsRevised,
    ClientRestored,
    ClientRevised,
    PaymentSettings,
    Profile,
)
from zeroinvoice.domain.custom import kept
from zeroinvoice.domain.external_id import ExternalId, ExternalIdClaimed, ExternalIdReleased
from zeroinvoice.kernel.money import Money
from zeroinvoice.kernel.refusals import Invalid, Missing, Refused

ACME = Profile("Acme", "USD")
added = ClientAdded(ACME)
ONE, TWO = UUID(int=1), UUID(int=2)
owed = AccountDebited(ONE, Money(Decimal("100.00"), "USD"))
HISTORY = Account.after(owed)


def test_a_client_without_history_is_deleted_and_one_with_it_archived() -> None:
    client = Client.after(added)
    assert list(client.remove(has_history=False)) == [ClientDeleted()]
    assert list(client.remove(has_history=True)) == [ClientArchived()]
    assert list(Client.after(added, ClientArchived()).remove(has_history=True)) == []
    with pytest.raises(Missing):
        list(Client.after(added, ClientDeleted()).remove(has_history=False))


def test_the_currency_changes_only_without_history() -> None:
    euro = ACME.but(currency="EUR")
    client = Client.after(added)
    assert list(client.revise(euro, None, has_history=False)) == [ClientRevised(euro)]
    with pytest.raises(Refused, match="documents in USD") as no:
        list(client.revise(euro, None, has_history=True))
    assert no.value.code == "currency_locked"


def test_a_revision_that_changes_nothing_is_no_event() -> None:
    assert list(Client.after(added).revise(ACME, False, has_history=False)) == []
    archived = Client.after(added, ClientArchived())
    assert list(archived.revise(ACME, False, has_history=True)) == [ClientRestored()]


def test_an_archived_client_takes_no_new_document() -> None:
    Client.after(added).assert_billable()
    with pytest.raises(Refused, match="archived"):
        Client.after(added, ClientArchived()).assert_billable()


def test_the_limit_is_for_what_is_owed_together() -> None:
    limit = Money(Decimal("150.00"), "USD")
    more = Money(Decimal("50.01"), "USD")
    with pytest.raises(Refused, match="credit limit") as no:
        list(HISTORY.debit(TWO, more, limit))
    assert no.value.details["exposure"] == "150.01"
    assert list(HISTORY.debit(TWO, more, limit, over_limit=True)) == [
        AccountDebited(TWO, more, over_limit=True)
    ]
    just = Money(Decimal("50.00"), "USD")
    assert list(HISTORY.debit(TWO, just, limit)) == [AccountDebited(TWO, just)]


def test_nothing_to_owe_never_exceeds_a_limit() -> None:
    nothing, limit = Money.zero("USD"), Money(Decimal("1.00"), "USD")
    assert list(HISTORY.debit(TWO, nothing, limit)) == [AccountDebited(TWO, nothing)]


def test_settings_are_checked_in_the_currency_of_the_client() -> None:
    client = Client.after(ClientAdded(ACME.but(currency="JPY")))
    with pytest.raises(Invalid) as no:
        list(client.set_payment(PaymentSettings(credit_limit=Decimal("0.5"))))
    assert no.value.code == "too_many_decimals"
    own = PaymentSettings(credit_limit=Decimal(5000))
    assert list(client.set_payment(own)) == [ClientPaymentSettingsRevised(own)]


def test_an_external_id_goes_from_hand_to_hand() -> None:
    claimed = ExternalIdClaimed(ONE)
    assert list(ExternalId().claim(ONE)) == [claimed]
    taken = ExternalId.after(claimed)
    assert list(taken.claim(ONE)) == []
    with pytest.raises(Refused) as no:
        list(taken.claim(TWO))
    assert no.value.details["holder"] == str(ONE)
    assert list(taken.release(TWO)) == []
    assert list(taken.release(ONE)) == [ExternalIdReleased()]
    free = ExternalId.after(claimed, ExternalIdReleased())
    assert list(free.claim(TWO)) == [ExternalIdClaimed(TWO)]


def test_all_officially_assigned_countries_are_known() -> None:
    assert len(COUNTRIES) == 249
    assert {"DE", "US", "XK", "UK", "EU"} & COUNTRIES == {"DE", "US"}


@pytest.mark.parametrize(
    ("address", "block"),
    [
        (Address(), None),
        (Address("as it\nwas typed", city="Bonn"), "as it\nwas typed"),
        (Address(None, ("Am Hof 1",), "Bonn", None, "53111", "DE"), "Am Hof 1\n53111 Bonn\nDE"),
        (Address(None, (), "Reno", "NV", "89501", "US"), "Reno, NV 89501\nUS"),
        (Address(None, (), "London", None, "N1 9GU", "GB"), "London, N1 9GU\nGB"),
        (Address(None, (), None, "Ticino", None, "CH"), "Ticino\nCH"),
    ],
)
def test_an_address_is_printed_as_typed_or_by_its_parts(address: Address, block: str) -> None:
    assert address.block == block


def test_a_block_that_says_what_the_parts_say_is_not_kept_twice() -> None:
    parts = Address(None, ("Am Hof 1",), "Bonn", None, "53111", "DE")
    assert parts.but(text=parts.block).tidied() == parts
    assert rewritten(parts, parts.block) == parts
    assert rewritten(parts, "Elsewhere") == Address("Elsewhere")
    assert rewritten(parts, AddressWritten(city=" ", country="de")) == Address(country="DE")
    assert rewritten(parts, " ") == rewritten(parts, None) == Address()


@pytest.mark.parametrize(
    "address",
    [
        Address(country="XX"),
        Address(country="de"),
        Address("x" * 1001),
        Address(city="x" * 256),
        Address(address_lines=("x",) * 6),
    ],
)
def test_an_address_no_envelope_has_room_for_is_refused(address: Address) -> None:
    with pytest.raises(Invalid):
        address.check()


def test_custom_fields_keep_decimals_to_the_digit() -> None:
    given: dict[str, Any] = {"a": Decimal("1.10"), "b": [Decimal("0.1"), 2, None], "c": {"d": True}}
    once = kept(given)
    assert once == {"a": "1.10", "b": ["0.1", 2, None], "c": {"d": True}}
    assert kept(once) == once
