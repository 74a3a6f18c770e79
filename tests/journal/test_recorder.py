"""The recorders under the library's own test-suite: what it promises, ours must keep."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import ApplicationRecorder, StoredEvent
from eventsourcing.tests import persistence as library
from psycopg import sql

from zeroinvoice.journal.recorder import MemoryFactRecorder, PostgresFactRecorder, RolePool
from zeroinvoice.journal.schema import migrate


@pytest.fixture(scope="class")
def server(request: Any, database_url: str) -> None:
    request.cls.server = database_url


class InPostgres:
    """Each test of the library's gets a database of its own."""

    server: str
    pools: list[RolePool]

    def setUp(self) -> None:
        self.pools = []

    def tearDown(self) -> None:
        for pool in self.pools:
            pool.close()

    def create_recorder(self) -> PostgresFactRecorder:
        name = f"recorder_{uuid4().hex}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = psycopg.conninfo.make_conninfo(self.server, dbname=name)
        migrate(url)
        self.pools.append(RolePool(url, size=12, timeout=60))
        return PostgresFactRecorder(self.pools[0])


@pytest.mark.usefixtures("server")
class TestPostgresApplication(InPostgres, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    pass


@pytest.mark.usefixtures("server")
class TestPostgresOrder(InPostgres, library.NonInterleavingNotificationIDsBaseCase):
    pass


class InMemory:
    def create_recorder(self) -> MemoryFactRecorder:
        return MemoryFactRecorder()


class TestMemoryApplication(InMemory, library.ApplicationRecorderTestCase[ApplicationRecorder]):
    pass


def test_both_recorders_make_the_same_chain(database_url: str) -> None:
    """A journal kept in memory verifies like one in Postgres: same bytes, same hashes."""
    event = StoredEvent(uuid4(), 1, "Something", b'{"some":"text"}')
    memory = MemoryFactRecorder()
    memory.insert_events([event])
    case = TestPostgresOrder()
    case.server, case.pools = database_url, []
    stored = case.create_recorder()
    stored.insert_events([event])
    assert stored.rows_since(0, 10) == memory.rows
    case.tearDown()


@pytest.fixture(autouse=True)
def quiet(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    capsys.readouterr()
