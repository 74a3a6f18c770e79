"""Comparison: a read model that somebody tampered with is told from what the journal says."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import projections
from zeroinvoice.gateways.sealing import MasterKeys
from zeroinvoice.journal.application import Journal
from zeroinvoice.journal.schema import WORK_ROLE, conninfo
from zeroinvoice.readside.comparison import Difference, compare

TAMPERED = "UPDATE invoices_1.invoices SET total = total + 1, notes = 'canary' WHERE id = %s"


@pytest.fixture
def filled(new_database: Any, open_house: Any, eventually: Any) -> Any:
    """A house of its own, with three clients and an invoice for each."""
    house = open_house(new_database())
    office = house.office()
    lines = [{"description": "Plumbing", "unit_price": "10.00"}]
    for name in ("Acme", "Bolt", "Cork"):
        client = office.made("/api/clients", {"name": name})
        office.made("/api/invoices", {"client_id": client["id"], "line_items": lines})
    eventually(lambda: len(office.get("/api/invoices").json()["items"]) == 3)
    house.ids = sorted(it["id"] for it in office.get("/api/invoices").json()["items"])
    return house


@pytest.fixture
def work(filled: Any) -> Iterator[psycopg.Connection[Any]]:
    url = conninfo(filled.database_url, WORK_ROLE, application="test")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def found(house: Any, work: psycopg.Connection[Any]) -> list[Difference]:
    masters = MasterKeys(house.settings.master_keys)
    journal = Journal.at(house.database_url, masters, size=1)
    try:
        every = [compare(work, it, journal) for it in projections.projectors]
        return [difference for it in every for difference in it.differences]
    finally:
        journal.close()


def test_what_nobody_touched_is_as_the_journal_has_it(filled: Any, work: Any) -> None:
    """G17: byte-equal to a fresh, single-threaded fold; nothing is left behind."""
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname ~ '_[0-9]+$' ORDER BY 1"
    before = work.execute(schemas).fetchall()
    assert found(filled, work) == []
    assert work.execute(schemas).fetchall() == before


def test_a_row_that_was_tampered_with_is_named(filled: Any, work: Any) -> None:
    """Changed, deleted or put in; what it holds is not told."""
    changed, deleted, copied = filled.ids
    with psycopg.connect(filled.database_url, autocommit=True) as owner:
        owner.execute(TAMPERED, [changed])
        owner.execute("DELETE FROM invoices_1.invoices WHERE id = %s", [deleted])
        owner.execute(
            "INSERT INTO invoices_1.invoices SELECT (jsonb_populate_record(r,"
            " jsonb_build_object('id', gen_random_uuid()))).* FROM invoices_1.invoices r"
            " WHERE id = %s",
            [copied],
        )
    seen = found(filled, work)
    assert len(seen) == 3
    assert {(it.key, it.why) for it in seen} >= {
        (changed, "notes, total"), (deleted, "missing")
    }  # fmt: skip
    assert {it.why for it in seen} == {"notes, total", "missing", "not of the journal"}
    assert {it.table for it in seen} == {"invoices"}


def test_the_command_line_says_what_differs(filled: Any) -> None:
    """An operator is told the row and its columns, and the exit code says it."""

    def run(*names: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "zeroinvoice", "projections", "verify", *names],
            env={
                "DATABASE_URL": filled.database_url,
                "ZEROINVOICE_DATA": str(filled.settings.data),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    alike = run()
    assert alike.returncode == 0, alike.stderr
    assert "as the journal has them" in alike.stdout
    with psycopg.connect(filled.database_url, autocommit=True) as owner:
        owner.execute(TAMPERED, [filled.ids[0]])
    wrong = run("clients", "invoices")
    assert wrong.returncode == 1
    assert wrong.stderr.strip() == f"invoices {filled.ids[0]}: notes, total"
    assert "canary" not in wrong.stdout + wrong.stderr
    assert run("nothing").returncode == 2
