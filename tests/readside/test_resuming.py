"""Readers and policies go on from snapshots, as committers do."""

from collections.abc import Callable

import psycopg

from tests.conftest import House
from zeroinvoice.domain.workspace import Workspace
from zeroinvoice.journal.snapshots import EVERY
from zeroinvoice.kernel.desk import Desk


def test_a_process_that_starts_reads_a_long_stream_from_its_snapshot(
    open_house: Callable[..., House], new_database: Callable[[], str]
) -> None:
    """That it was the snapshot that was read shows where somebody has written into it."""
    house = open_house(new_database())
    office = house.office(name="Before")

    def rename(desk: Desk) -> None:
        for number in range(EVERY // 2):
            workspace = desk.open(Workspace, office.tenant)
            settings = workspace.settings.but(name=f"Name {number}")
            desk.record(workspace, workspace.revise(settings))

    house.commit(office.tenant, rename)
    house.commit(office.tenant, rename)
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        changed = connection.execute(
            "UPDATE snapshots SET state = replace(state, %s, 'Written into')",
            [f"Name {EVERY // 2 - 1}"],
        )
        assert changed.rowcount == 1
    assert office.http.get("/api/workspace").json()["name"] == "Written into"
