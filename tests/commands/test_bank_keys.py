"""Another master key, over HTTP: accounts are added and removed while all keys are wrapped anew."""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from schwifty import IBAN

from zeroinvoice.domain.bank_accounts import BankAccountAdded, bank_accounts_of
from zeroinvoice.domain.bank_numbers import bound_to
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.gateways.vault import Vault, rotate
from zeroinvoice.journal.fence import READ_ROLE, within
from zeroinvoice.journal.schema import KEEPER_ROLE, conninfo

OLD, NEW = secrets.token_hex(32), secrets.token_hex(32)


def add(office: Any, client: str, n: int) -> Any:
    iban = str(IBAN.generate("DE", bank_code="10010010", account_code=f"{n:010}"))
    body = {"type": "iban", "iban": iban, "account_holder": "Acme Corp"}
    return office.post(f"/api/customers/{client}/bank-accounts", json=body)


def readable(house: Any, tenant: UUID, client: str, *keys: str) -> int:
    """How many of a client's numbers open with some master keys."""

    @contextmanager
    def connection(tenant: UUID) -> Iterator[psycopg.Connection[Any]]:
        url = conninfo(house.database_url, READ_ROLE, application="test")
        with psycopg.connect(url, autocommit=True) as it, within(it, tenant):
            yield it

    vault = Vault(MasterKeys([bytes.fromhex(key) for key in keys]), connection)
    opened = 0
    for fact in house.parts.journal.history(tenant, bank_accounts_of(tenant, UUID(client))):
        if isinstance(fact.event, BankAccountAdded):
            kept = fact.event.number
            key = vault.existing(tenant, kept.sealed_by)
            assert key is not None
            text = key.open(kept.sealed, *bound_to(tenant, UUID(client), fact.event.account_id))
            opened += text.startswith("iban::DE")
    return opened


def test_requests_go_on_while_all_keys_are_wrapped_anew(
    new_database: Callable[[], str], open_house: Callable[..., Any], tmp_path: Path
) -> None:
    """T45: 0 failed requests, and the old key is needed by nothing afterwards."""
    url = new_database()
    (tmp_path / "master.key").write_text(OLD)
    office = open_house(url).office()
    client = office.made("/api/clients", {"name": "Acme Corp"})["id"]
    others = [office.made("/api/clients", {"name": f"Client {n}"})["id"] for n in range(20)]
    for n in range(5):
        assert add(office, client, n).status_code == 201

    (tmp_path / "master.key").write_text(f"{NEW}\n{OLD}\n")
    house = open_house(url)  # the next generation of processes, which knows both
    office.http.base_url = house.url
    answers, stop = [], threading.Event()

    def go_on() -> None:
        for n in range(5, 60):
            answers.append(add(office, client, n).status_code)
            answers.append(add(office, others[n % len(others)], n).status_code)
        stop.set()

    thread = threading.Thread(target=go_on)
    thread.start()
    masters = MasterKeys([bytes.fromhex(NEW), bytes.fromhex(OLD)])
    keeper = conninfo(url, KEEPER_ROLE, application="test")
    rewrapped = 0
    with psycopg.connect(keeper, autocommit=True) as connection:
        while not stop.is_set():
            rotated = rotate(connection, masters)
            rewrapped += rotated.rewrapped
    thread.join(30)
    assert answers == [201] * 110
    # The workspace's and the client's in the vault, and what each client's facts are sealed with;
    # what is newer never had the old one.
    assert rewrapped == 2 + 21
    assert [it.master for it in rotated.needed] == [masters.current]
    assert readable(house, office.tenant, client, NEW) == 60
