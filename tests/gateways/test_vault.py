"""The vault on a real Postgres: made once, wrapped anew while used, destroyed for good."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner

from zeroinvoice.cli import cli
from zeroinvoice.gateways import vault as gateway
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.gateways.vault import Shredder, Vault, needed, rotate
from zeroinvoice.journal.fence import READ_ROLE, within
from zeroinvoice.journal.schema import API_ROLE, KEEPER_ROLE, WORK_ROLE, conninfo, migrate
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.refusals import Refused, Unavailable

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
TENANT = UUID(int=1)


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """An empty database with the vault's table."""
    made = new_database()
    migrate(made)
    return made


def opened(url: str, *keys: bytes) -> Vault:
    """The vault as a process of the API has it."""

    @contextmanager
    def connection(tenant: UUID) -> Iterator[psycopg.Connection[Any]]:
        reads = conninfo(url, READ_ROLE, application="vault test")
        with psycopg.connect(reads, autocommit=True) as it, within(it, tenant):
            yield it

    return Vault(MasterKeys(keys or (OLD,)), connection)


def keeper(url: str) -> psycopg.Connection[Any]:
    return psycopg.connect(conninfo(url, KEEPER_ROLE, application="test"), autocommit=True)


def destroy(url: str, id: UUID) -> None:
    shredder = Shredder(conninfo(url, WORK_ROLE, application="test"), system_clock)
    asyncio.run(shredder.destroy(TENANT, id))


def test_a_subject_has_one_key_whoever_asks_first(url: str) -> None:
    """Of many that ask at once one makes it, and all read that one."""
    vault, client = opened(url), uuid4()
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda _: vault.key(TENANT, client), range(16)))
    assert {key.seal("x") for key in keys} == {opened(url).key(TENANT, client).seal("x")}
    assert vault.key(uuid4(), client).seal("x") != keys[0].seal("x")


def test_an_accounts_key_is_readable_through_its_clients(url: str) -> None:
    """A6-3."""
    vault, client, account = opened(url), uuid4(), uuid4()
    sealed = vault.key_under(TENANT, account, vault.key(TENANT, client)).seal("number")
    found = opened(url).existing(TENANT, account)
    assert found is not None
    assert found.open(sealed) == "number"
    assert vault.existing(TENANT, uuid4()) is None


def test_a_destroyed_key_takes_with_it_all_it_wrapped_and_never_comes_back(url: str) -> None:
    """A6-6: doing it twice is doing it once."""
    vault, client, account = opened(url), uuid4(), uuid4()
    owner = vault.key(TENANT, client)
    vault.key_under(TENANT, account, owner)
    other = uuid4()
    vault.key_under(TENANT, other, owner)
    destroy(url, account)
    destroy(url, account)
    with pytest.raises(Refused) as no:
        vault.existing(TENANT, account)
    assert no.value.code == "erased"
    assert vault.existing(TENANT, other) is not None
    destroy(url, client)
    for again in (lambda: vault.existing(TENANT, other), lambda: vault.key(TENANT, client)):
        with pytest.raises(Refused):
            again()
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT id FROM vault_keys WHERE wrapped IS NULL AND destroyed_at IS NOT NULL"
        ).fetchall()
    assert {row[0] for row in rows} == {client, account}


def test_a_vault_that_is_away_is_tried_again() -> None:
    shredder = Shredder("postgresql://nobody@127.0.0.1:1/none", system_clock)
    with pytest.raises(Unavailable):
        asyncio.run(shredder.destroy(TENANT, uuid4()))


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (API_ROLE, "UPDATE vault_keys SET wrapped = ''"),
        (API_ROLE, "UPDATE vault_keys SET destroyed_at = now()"),
        (API_ROLE, "DELETE FROM vault_keys"),
        (API_ROLE, "TRUNCATE vault_keys"),
        (WORK_ROLE, "SELECT wrapped FROM vault_keys"),
        (WORK_ROLE, "SELECT * FROM vault_keys"),
        (WORK_ROLE, "UPDATE vault_keys SET wrapped = ''"),
        (WORK_ROLE, "UPDATE vault_keys SET master = 'x'"),
        (WORK_ROLE, "INSERT INTO vault_keys (tenant_id, id) VALUES (gen_random_uuid(), NULL)"),
        (WORK_ROLE, "DELETE FROM vault_keys"),
        (WORK_ROLE, "ALTER TABLE vault_keys DISABLE TRIGGER ALL"),
        (KEEPER_ROLE, "UPDATE vault_keys SET destroyed_at = now()"),
        (KEEPER_ROLE, "INSERT INTO vault_keys (tenant_id, id) VALUES (gen_random_uuid(), NULL)"),
        (KEEPER_ROLE, "DELETE FROM vault_keys"),
        (KEEPER_ROLE, "SELECT count(*) FROM facts"),
    ],
)
def test_each_role_can_do_with_keys_what_is_its_own(url: str, role: str, statement: str) -> None:
    """T43."""
    opened(url).key(TENANT, TENANT)
    with psycopg.connect(conninfo(url, role, application="test"), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
    assert opened(url).existing(TENANT, TENANT) is not None


def test_not_even_the_owner_revives_a_destroyed_key(url: str) -> None:
    opened(url).key(TENANT, TENANT)
    destroy(url, TENANT)
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="stays destroyed"):
            connection.execute("UPDATE vault_keys SET wrapped = 'x', destroyed_at = NULL")


def test_a_rotation_that_is_stopped_goes_on_where_it_was(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T45: what is sealed stays sealed; only the wrapping is new, a batch at a time."""
    monkeypatch.setattr(gateway, "AT_ONCE", 4)
    before, subjects = opened(url, OLD), [uuid4() for _ in range(10)]
    sealed = {id: before.key(TENANT, id).seal("number") for id in subjects}
    masters = MasterKeys([NEW, OLD])

    def stop(done: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with keeper(url) as connection:
        with pytest.raises(KeyboardInterrupt):
            rotate(connection, masters, stop)
        assert {it.keys for it in needed(connection)} == {4, 6}
        during = opened(url, NEW, OLD)
        assert all(during.key(TENANT, id).open(sealed[id]) == "number" for id in subjects)
        rotated = rotate(connection, masters)
        assert rotated.rewrapped == 6
        assert [(it.master, it.keys) for it in rotated.needed] == [(masters.current, 10)]
        assert rotate(connection, masters).rewrapped == 0
    after = opened(url, NEW)
    assert all(after.key(TENANT, id).open(sealed[id]) == "number" for id in subjects)
    with pytest.raises(Unavailable) as no:
        before.key(TENANT, subjects[0])
    assert no.value.code == "master_key_missing"


def test_a_rotation_wraps_the_keys_of_sealed_facts_anew_as_well(url: str) -> None:
    """T45: both tables, so that the former master key is needed by neither."""
    former, masters = MasterKeys([OLD]), MasterKeys([NEW, OLD])
    opened(url, OLD).key(TENANT, TENANT)
    subjects = [uuid4() for _ in range(3)]
    made = {id: former.make(TENANT, id) for id in subjects}
    with psycopg.connect(url, autocommit=True) as connection:
        for id, (_, wrapped) in made.items():
            connection.execute(
                "INSERT INTO subject_keys (tenant_id, id, master, wrapped) VALUES (%s, %s, %s, %s)",
                [TENANT, id, former.current, wrapped],
            )
        connection.execute(
            "UPDATE subject_keys SET destroyed_at = now() WHERE id = %s", [subjects[0]]
        )
    with keeper(url) as connection:
        rotated = rotate(connection, masters)
    assert rotated.rewrapped == 3
    assert [(it.master, it.keys) for it in rotated.needed] == [(masters.current, 3)]
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT id, master, wrapped FROM subject_keys").fetchall()
    kept = {id: (master, wrapped) for id, master, wrapped in rows}
    assert kept.pop(subjects[0])[1] is None
    for id, (master, wrapped) in kept.items():
        key = MasterKeys([NEW]).unwrap(TENANT, id, master, wrapped)
        assert key.open(made[id][0].seal("Ann")) == "Ann"


def test_keys_are_made_and_used_while_they_are_wrapped_anew(url: str) -> None:
    """T45: no request fails, whichever of the two keys it finds."""
    vault, subjects = opened(url, OLD), [uuid4() for _ in range(40)]
    sealed = {id: vault.key(TENANT, id).seal("number") for id in subjects}
    during, failures, stop = opened(url, NEW, OLD), [], threading.Event()

    def use() -> None:
        while not stop.is_set():
            for id in subjects:
                try:
                    assert during.key(TENANT, id).open(sealed[id]) == "number"
                    during.key_under(TENANT, uuid4(), during.key(TENANT, uuid4()))
                except Exception as failure:
                    failures.append(failure)

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        with keeper(url) as connection:
            for _ in range(3):
                rotate(connection, MasterKeys([NEW, OLD]))
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failures == []
    assert opened(url, NEW).key(TENANT, subjects[0]).open(sealed[subjects[0]]) == "number"


def test_the_command_says_when_the_old_key_can_go(
    url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And, while some key needs one that is not known here, which one that is."""
    opened(url, OLD).key(TENANT, TENANT)
    at = psycopg.conninfo.conninfo_to_dict(url)
    place = f"{at['dbname']}?host={at['host']}&port={at['port']}"
    login = f"{at['user']}:{at['password']}"
    monkeypatch.setenv("DATABASE_URL", f"postgresql://{login}@/{place}")
    monkeypatch.setenv("ZEROINVOICE_DATA", str(tmp_path))
    monkeypatch.setenv("ZEROINVOICE_MASTER_KEY", NEW.hex())
    unknown = CliRunner().invoke(cli, ["vault", "rotate"])
    assert unknown.exit_code == 1
    assert f"Keys that still need master key {MasterKeys([OLD]).current}: 1." in unknown.output
    monkeypatch.setenv("ZEROINVOICE_MASTER_KEY", f"{NEW.hex()},{OLD.hex()}")
    done = CliRunner().invoke(cli, ["vault", "rotate"])
    assert done.exit_code == 0, done.output
    assert f"Keys wrapped anew under master key {MasterKeys([NEW]).current}: 1." in done.output
    assert "others can go" in done.output
    for key in (OLD, NEW):
        assert key.hex() not in unknown.output + done.output
