"""The worker: a fold that raises stops its own projection, loudly, and nothing else."""

import time
from typing import Any

import httpx
import psycopg

import projections
from zeroinvoice.domain.client import Client, ClientAdded, Profile
from zeroinvoice.kernel.desk import Desk
from zeroinvoice.kernel.facts import Fact


def poisoned(project: Any) -> Any:
    """A fold that cannot bear clients of one name."""

    def fold(*tables_and_fact: Any) -> None:
        fact: Fact = tables_and_fact[-1]
        match fact.event:
            case ClientAdded(profile=profile) if profile.name == "Poison":
                raise ValueError("this fold cannot bear it")
        project(*tables_and_fact)

    return fold


FOLDS = tuple(
    it.but(project=poisoned(it.project)) if it.name == "clients" else it
    for it in projections.projectors
)


def test_a_fold_that_raises_halts_alone_and_health_names_it(
    new_database: Any, open_house: Any
) -> None:
    """G19: the rest goes on; nothing is skipped; mended, it resumes."""
    url = new_database()
    house = open_house(url, FOLDS)
    office = house.office()
    for name in ("Before", "Poison", "After"):
        office.made("/api/clients", {"name": name})
    until = time.monotonic() + 5
    while "error" not in (standing := checks(office)["clients"]):
        assert time.monotonic() < until, standing
        time.sleep(0.05)
    assert standing["error"] == "ValueError"  # the whole of it is in the log and the CLI
    assert standing["error_at"] > 0
    assert office.get("/api/health").status_code == 200
    ready = office.get("/api/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    more = office.made("/api/clients", {"name": "Later"})
    assert office.get(f"/api/clients/{more['id']}").status_code == 200
    until = time.monotonic() + 5
    while any(checks(office)[name]["lag"] for name in ("invoices", "payments", "audit")):
        assert time.monotonic() < until, checks(office)
        time.sleep(0.05)
    assert names_listed(url) == {"Before"}, "all before it, and nothing after it"

    house.stop()
    mended = open_house(url)
    until = time.monotonic() + 8
    while names_listed(url) != {"Before", "Poison", "After", "Later"}:
        assert time.monotonic() < until, "it does not resume"
        time.sleep(0.05)
    standing = httpx.get(f"{mended.url}/api/health?verbose=1").json()["checks"]["projections"]
    assert "error" not in standing["clients"]


def checks(office: Any) -> dict[str, Any]:
    found: dict[str, Any] = office.get("/api/health?verbose=1").json()["checks"]["projections"]
    return found


def names_listed(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM clients_1.clients")}


def test_what_comes_before_a_bad_fact_in_the_same_batch_is_applied(
    new_database: Any, open_house: Any
) -> None:
    """G19: however many facts a batch holds, the read model stands at the bad one."""
    url = new_database()
    house = open_house(url, FOLDS)
    office = house.office()

    def added(desk: Desk) -> None:
        for name in ("Before", "Poison", "After"):
            client = desk.new(Client)
            desk.record(client, client.add(Profile(name, "USD")))

    house.commit(office.tenant, added)
    until = time.monotonic() + 5
    while names_listed(url) != {"Before"}:
        assert time.monotonic() < until, names_listed(url)
        time.sleep(0.05)
