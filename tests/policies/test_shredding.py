"""Shredding: after a removal the key is destroyed, at least once, whatever happens between."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from zeroinvoice.domain.bank_accounts import bank_accounts_of
from zeroinvoice.gateways.vault import Shredder
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.kernel.refusals import Refused, Unavailable
from zeroinvoice.policies.shredding import Shredding

ACCOUNT = {"type": "iban", "iban": "DE89370400440532013000", "account_holder": "Acme Corp"}


@pytest.fixture(autouse=True)
def time_as_it_is(house: Any) -> Iterator[None]:
    house.clock.moved = timedelta()
    yield
    house.clock.moved = timedelta()


def added(office: Any) -> tuple[str, str, UUID]:
    """A client and an account of it: their ids, and the id of the account's key."""
    client = office.made("/api/clients", {"name": "Acme Corp"})["id"]
    account = office.made(f"/api/customers/{client}/bank-accounts", ACCOUNT)["id"]
    (fact,) = office.facts(bank_accounts_of(office.tenant, UUID(client)))
    return client, account, fact.event.number.sealed_by


def destroyed(vault: Any, office: Any, key: UUID) -> bool:
    try:
        assert vault.existing(office.tenant, key) is not None
    except Refused:
        return True
    return False


def test_removing_an_account_destroys_its_key_and_no_other(
    office: Any, vault: Any, eventually: Any
) -> None:
    """A6-6: the ciphertext in the journal is noise from then on."""
    client, account, key = added(office)
    second = {**ACCOUNT, "iban": "FR1420041010050500013M02606"}
    other = office.made(f"/api/customers/{client}/bank-accounts", second)["id"]
    facts = office.facts(bank_accounts_of(office.tenant, UUID(client)))
    assert not destroyed(vault, office, key)
    path = f"/api/customers/{client}/bank-accounts/{account}"
    assert office.delete(path).status_code == 200
    eventually(lambda: destroyed(vault, office, key))
    assert not destroyed(vault, office, facts[1].event.number.sealed_by)
    assert facts[1].event.account_id == UUID(other)


def test_deleting_a_client_destroys_all_that_is_his(
    office: Any, vault: Any, eventually: Any
) -> None:
    client, _, key = added(office)
    assert office.delete(f"/api/clients/{client}").status_code == 204
    eventually(lambda: destroyed(vault, office, key))
    assert destroyed(vault, office, UUID(client))


def test_erasing_a_client_destroys_the_key_of_his_numbers(
    office: Any, vault: Any, eventually: Any
) -> None:
    """G30: beside the key of his facts, which is destroyed in the commit itself."""
    client, _, key = added(office)
    assert office.post(f"/api/clients/{client}/erase", json={}).status_code == 200
    eventually(lambda: destroyed(vault, office, key))
    assert destroyed(vault, office, UUID(client))


class Flaky(Shredder):
    """Fails after it has destroyed one key, as long as a test likes."""

    def __init__(self, url: str, clock: Any, key: UUID, trouble: Exception) -> None:
        super().__init__(url, clock)
        self.key = key
        self.trouble: Exception | None = trouble
        self.done: list[UUID] = []

    async def destroy(self, tenant: UUID, id: UUID) -> None:
        await super().destroy(tenant, id)
        self.done.append(id)
        if id == self.key and self.trouble is not None:
            raise self.trouble


@pytest.mark.parametrize("trouble", [Unavailable("away"), RuntimeError("a fault of ours")])
def test_a_key_is_destroyed_at_least_once_and_never_given_up(
    house: Any, office: Any, following: Any, eventually: Any, trouble: Exception
) -> None:
    """However long it fails, and whoever takes over; a second time changes nothing."""
    client, account, key = added(office)
    office.delete(f"/api/customers/{client}/bank-accounts/{account}")
    url = conninfo(house.database_url, WORK_ROLE, application="policy test")
    flaky = Flaky(url, house.clock, key, trouble)
    policy = Shredding(flaky)
    policy.name = f"policy:shredding-{uuid4().hex[:8]}"  # the house has its own
    position = office.facts(bank_accounts_of(office.tenant, UUID(client)))[-1].position

    def checkpoint() -> int:
        with psycopg.connect(house.database_url) as connection:
            row = connection.execute(
                "SELECT position FROM checkpoints WHERE name = %s", [policy.name]
            ).fetchone()
        return row[0] if row else 0

    with following(policy):
        eventually(lambda: key in flaky.done)
        house.clock.moved += timedelta(days=400)
        eventually(lambda: flaky.done.count(key) > 1)
        assert checkpoint() < position
    before, flaky.trouble = flaky.done.count(key), None
    with following(policy):
        eventually(lambda: flaky.done.count(key) > before)
        eventually(lambda: checkpoint() >= position)
