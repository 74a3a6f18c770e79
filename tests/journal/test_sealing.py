"""Sealing: facts about somebody lie under that one's key, until an erasure destroys it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from zeroinvoice.domain.client import Client, ClientAdded, ClientRevised, Profile
from zeroinvoice.domain.contact_book import ContactBook, Person, contact_book_of
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.command import Command
from zeroinvoice.journal.committer import Committer
from zeroinvoice.journal.mapper import Unreadable
from zeroinvoice.journal.memory import MemoryStore
from zeroinvoice.journal.recorder import MemoryFactRecorder
from zeroinvoice.journal.schema import (
    API_ROLE,
    KEEPER_ROLE,
    READ_ROLE,
    WORK_ROLE,
    conninfo,
    migrate,
)
from zeroinvoice.journal.store import PostgresStore, Store
from zeroinvoice.journal.subjects import Subject, Wrapped
from zeroinvoice.kernel.clock import system_clock
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Actor, Origin
from zeroinvoice.kernel.ids import new_id

MASTERS = MasterKeys([bytes(range(32))])
TENANT = UUID(int=7)
ANN = Profile(name="Ann Example", currency="EUR", email="ann@example.com")
BOB = Person(first_name="Bob")


class Office:
    """A committer of its own on a journal that it may share, and how often it asks for keys."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self.journal = journal
        self.asked: list[Sequence[Subject]] = []
        find = store.keys

        def keys(subjects: Sequence[Subject]) -> dict[Subject, Wrapped]:
            self.asked.append(subjects)
            return find(subjects)

        store.keys = keys  # type: ignore[method-assign]  # to count
        self._store = store
        self._committer = Committer(store, journal.facts_mapper, system_clock)

    def do(self, *decisions: Callable[[Desk], Any]) -> list[Any]:
        """Carry decisions out as one batch, on this thread."""

        async def some() -> list[Any]:
            origin = Origin(Actor("system"), new_id())
            commands = [Command(TENANT, origin, it) for it in decisions]
            self._committer.carry_out(commands)
            done = [await it.future for it in commands]
            return [it.answer for it in done]

        return asyncio.run(some())

    def close(self) -> None:
        self._store.close()
        self.journal.close()


@pytest.fixture(params=["memory", "postgres"])
def opened(
    request: pytest.FixtureRequest, new_database: Callable[[], str]
) -> Iterator[Callable[[], Office]]:
    """Opens offices on one journal."""
    made: list[Office] = []
    if request.param == "memory":
        recorder = MemoryFactRecorder()

        def opening() -> Office:
            made.append(Office(MemoryStore(recorder), Journal(recorder, masters=MASTERS)))
            return made[-1]
    else:
        url = new_database()
        migrate(url)
        writes = conninfo(url, API_ROLE, application="test")

        def opening() -> Office:
            made.append(Office(PostgresStore(writes), Journal.at(writes, MASTERS, size=1)))
            return made[-1]

    yield opening
    for it in made:
        it.close()


def add(id: UUID) -> Callable[[Desk], Client]:
    def decision(desk: Desk) -> Client:
        client = desk.new(Client, id)
        return desk.record(client, [ClientAdded(ANN)])

    return decision


def revise(id: UUID, name: str) -> Callable[[Desk], Client]:
    def decision(desk: Desk) -> Client:
        client = desk.open(Client, id)
        return desk.record(client, [ClientRevised(client.profile.but(name=name))])

    return decision


def befriend(id: UUID) -> Callable[[Desk], ContactBook]:
    def decision(desk: Desk) -> ContactBook:
        desk.open(Client, id)
        book = desk.find(ContactBook, contact_book_of(TENANT, id))
        return desk.record(book, book.add(id, desk.new_id(), BOB, primary=True))

    return decision


def erase(id: UUID) -> Callable[[Desk], Client]:
    def decision(desk: Desk) -> Client:
        client = desk.open(Client, id)
        client = desk.record(client, client.start_erasure())
        return desk.record(client, client.erase((id,)))

    return decision


def look(id: UUID) -> Callable[[Desk], Client]:
    return lambda desk: desk.open(Client, id)


def names(office: Office, id: UUID) -> list[str]:
    profiles = (getattr(it.event, "profile", None) for it in office.journal.history(TENANT, id))
    return [it.name for it in profiles if it is not None]


def stored(office: Office) -> str:
    return "\n".join(row[5] for row in office.journal.every_row())


def test_a_personal_event_is_stored_without_the_person_and_read_with_its_key(
    opened: Callable[[], Office],
) -> None:
    office, id = opened(), new_id()
    office.do(add(id))
    office.do(befriend(id), revise(id, "Ann Other"))
    assert "Ann" not in stored(office)
    assert "Bob" not in stored(office)
    assert "[erased]" in stored(office)
    assert names(office, id) == ["Ann Example", "Ann Other"]
    (fact,) = office.journal.history(TENANT, contact_book_of(TENANT, id))
    assert fact.subject == id
    assert fact.event.person == BOB  # type: ignore[attr-defined]


def test_without_master_keys_facts_say_what_remains(opened: Callable[[], Office]) -> None:
    """As an auditor reads them, and as everybody does after the erasure."""
    office, id = opened(), new_id()
    office.do(add(id))
    bare = Journal(office.journal._recorder)
    (fact,) = bare.history(TENANT, id)
    assert fact.event == ClientAdded(ANN.redacted())
    assert fact.subject == id


def test_a_known_client_costs_no_round_trip_for_its_key(opened: Callable[[], Office]) -> None:
    """A new one's key is made; others' come along with the facts that decisions read."""
    one, other, id = opened(), opened(), new_id()
    one.do(add(id))
    one.do(befriend(id), revise(id, "Ann 2"))
    other.do(befriend(id))
    one.do(befriend(id))
    other.do(revise(id, "Ann 3"))
    assert one.asked == other.asked == []
    assert names(one, id) == ["Ann Example", "Ann 2", "Ann 3"]


def test_a_key_that_is_not_known_is_asked_for_once_a_batch(opened: Callable[[], Office]) -> None:
    office, first, second = opened(), new_id(), new_id()
    office.do(add(first), add(second))
    office._committer._cache.keys.clear()
    office.do(revise(first, "A"), revise(second, "B"), revise(first, "C"))
    assert [len(it) for it in office.asked] == [2]
    assert names(office, first) == ["Ann Example", "A", "C"]


def test_after_the_erasure_nobody_can_read_what_was_sealed(opened: Callable[[], Office]) -> None:
    one, other, id = opened(), opened(), new_id()
    one.do(add(id))
    other.do(revise(id, "Ann 2"))
    one.do(erase(id))
    for office in (one, other, opened()):
        assert names(office, id) == ["[erased]", "[erased]"]
        assert office.do(look(id))[0].profile.name == "[erased]"


def test_what_comes_after_an_erasure_is_stored_without_the_person(
    opened: Callable[[], Office],
) -> None:
    """In the same batch, in a later one and by another process whose key was known."""
    one, other, id = opened(), opened(), new_id()
    one.do(add(id))
    other.do(befriend(id))
    one.do(erase(id), revise(id, "Ann in the same batch"))
    one.do(revise(id, "Ann later"))
    other.do(revise(id, "Ann elsewhere"))
    rows = [row[5] for row in one.journal.every_row() if row[2] == id]
    assert [('"sealed"' in row) for row in rows] == [True, False, False, False, False, False]
    assert not any("Ann" in row for row in rows)
    for office in (one, other):
        (now,) = office.do(look(id))
        assert now.profile.name == "[erased]", "no state keeps what was not stored"
        assert now.version == 6


def test_one_who_was_only_on_record_in_clear_gets_no_key_once_erased(
    opened: Callable[[], Office],
) -> None:
    """Facts from before this was sealed read as ever; nothing is sealed for them afterwards."""
    office, id = opened(), new_id()
    plain = Journal(office.journal._recorder)
    store = office._store
    Office(store, plain).do(add(id))
    assert "Ann Example" in stored(office)
    office.do(erase(id))
    office.do(revise(id, "Ann again"))
    assert "Ann again" not in stored(office)
    assert names(office, id) == ["Ann Example", "[erased]"]


def test_what_was_moved_elsewhere_or_needs_another_master_key_is_not_read(
    opened: Callable[[], Office],
) -> None:
    """A sealed event opens only where it was sealed, and its stream alone is concerned."""
    office, id, other = opened(), new_id(), new_id()
    office.do(add(id))
    (row,) = office.journal._recorder.rows_of(id)
    mapper = office.journal.facts_mapper
    assert mapper.read(row).event == ClientAdded(ANN)
    for moved in (
        (*row[:2], other, *row[3:]),
        (*row[:3], 2, *row[4:]),
        (row[0], uuid4(), *row[2:]),
        (*row[:4], "ClientRevised", *row[5:]),
    ):
        with pytest.raises(Unreadable):
            mapper.read(moved)
    with pytest.raises(Unreadable, match="master key"):
        Journal(masters=MasterKeys([bytes(32)])).facts_mapper.read(row)


REFUSED = [
    (API_ROLE, "UPDATE subject_keys SET wrapped = 'x'"),
    (API_ROLE, "DELETE FROM subject_keys"),
    (WORK_ROLE, "UPDATE subject_keys SET destroyed_at = now()"),
    (WORK_ROLE, "INSERT INTO subject_keys (tenant_id, id) VALUES (gen_random_uuid(), NULL)"),
    (WORK_ROLE, "DELETE FROM subject_keys"),
    (READ_ROLE, "UPDATE subject_keys SET destroyed_at = now()"),
    (READ_ROLE, "INSERT INTO subject_keys (tenant_id, id) VALUES (gen_random_uuid(), NULL)"),
    (KEEPER_ROLE, "UPDATE subject_keys SET destroyed_at = now()"),
    (KEEPER_ROLE, "DELETE FROM subject_keys"),
]


@pytest.mark.parametrize(("role", "statement"), REFUSED)
def test_each_role_does_with_keys_what_it_must_and_no_more(
    new_database: Callable[[], str], role: str, statement: str
) -> None:
    """T43: the committer makes and destroys, readers and workers read, the keeper wraps anew."""
    url = new_database()
    migrate(url)
    with psycopg.connect(conninfo(url, role, application="test"), autocommit=True) as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_a_key_that_was_destroyed_is_gone_for_good(new_database: Callable[[], str]) -> None:
    """Not even the owner brings it back: the trigger has emptied it."""
    url, id = new_database(), uuid4()
    migrate(url)
    office = Office(
        PostgresStore(conninfo(url, API_ROLE, application="test")), Journal.at(url, MASTERS)
    )
    office.do(add(id))
    office.do(erase(id))
    office.close()
    with psycopg.connect(url, autocommit=True) as connection:
        kept = "SELECT wrapped FROM subject_keys WHERE id = %s"
        assert connection.execute(kept, [id]).fetchone() == (None,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="stays destroyed"):
            connection.execute("UPDATE subject_keys SET wrapped = 'x', destroyed_at = NULL")


def test_requests_are_shown_the_keys_of_their_tenant_alone(
    new_database: Callable[[], str],
) -> None:
    """T1: the fence stands around them as well."""
    url, id = new_database(), uuid4()
    migrate(url)
    office = Office(
        PostgresStore(conninfo(url, API_ROLE, application="test")), Journal.at(url, MASTERS)
    )
    office.do(add(id))
    office.close()
    counted = "SELECT count(*) FROM subject_keys"
    with psycopg.connect(conninfo(url, READ_ROLE, application="test")) as connection:
        assert connection.execute(counted).fetchone() == (0,)
        name = "SELECT set_config('zeroinvoice.tenant', %s, true)"
        connection.execute(name, [str(uuid4())])
        assert connection.execute(counted).fetchone() == (0,)
        connection.execute(name, [str(TENANT)])
        assert connection.execute(counted).fetchone() == (1,)
