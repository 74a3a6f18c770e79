"""Health: quick, quiet and honest, whatever else is going on."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from zeroinvoice.app import create_app
from zeroinvoice.readside.pulse import Pulse
from zeroinvoice.settings import Settings


def test_health_is_what_the_api_document_prints(house: Any) -> None:
    """A29-6: exactly this, without a login."""
    answer = httpx.get(f"{house.url}/api/health")
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "service": "ZeroInvoice API"}
    assert httpx.get(f"{house.url}/api/health/").json() == answer.json()
    assert httpx.get(f"{house.url}/api/health?verbose=maybe").status_code == 400


def test_verbose_health_shows_each_read_model(house: Any, office: Any) -> None:
    """A29-6; versions, host names and positions of the journal stay inside."""
    office.get("/api/invoices")
    body = httpx.get(f"{house.url}/api/health?verbose=1").json()
    assert body["status"] == "healthy"
    checks = body["checks"]
    assert (checks["db"], checks["writes"], checks["disk"]) == ("up", "accepted", "ok")
    assert set(checks["projections"]) == set(house.parts.books.shapes)
    assert all(set(it) == {"lag"} for it in checks["projections"].values())
    ready = httpx.get(f"{house.url}/api/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")


def test_a_read_model_that_stands_still_shows_where_and_why(house: Any) -> None:
    """G19: named with its position; the service itself stays healthy, as A29-7 says."""
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        mark = "UPDATE checkpoints SET error = %s, error_at = %s WHERE name = 'invoices'"
        connection.execute(mark, ["KeyError: jane@example.com", 7])
        try:
            time.sleep(0.15)
            verbose = httpx.get(f"{house.url}/api/health?verbose=1")
            plain = httpx.get(f"{house.url}/api/health")
            ready = httpx.get(f"{house.url}/api/ready")
        finally:
            connection.execute(mark, [None, None])
    assert verbose.status_code == 200
    assert verbose.json()["status"] == "degraded"
    shown = verbose.json()["checks"]["projections"]["invoices"]
    assert (shown["error"], shown["error_at"]) == ("KeyError", 7)
    assert "jane" not in verbose.text
    assert plain.json() == {"status": "healthy", "service": "ZeroInvoice API"}
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")


def test_health_answers_quickly_when_every_reader_waits(house: Any, office: Any) -> None:
    """G20, T9: it does not queue behind slow reads, whatever holds them up."""
    office.get("/api/invoices")

    def wait() -> None:
        ahead = {"X-Min-Position": "1000000000"}
        httpx.get(f"{house.url}/api/invoices", headers={**office.http.headers, **ahead}, timeout=30)

    waiting = [threading.Thread(target=wait) for _ in range(20)]
    for thread in waiting:
        thread.start()
    took = []
    try:
        with httpx.Client(base_url=house.url) as http:
            for _ in range(20):
                begun = time.perf_counter()
                assert http.get("/api/health").status_code == 200
                took.append(time.perf_counter() - begun)
    finally:
        for thread in waiting:
            thread.join()
    assert sorted(took)[len(took) // 2] < 0.2
    assert max(took) < 1


def test_health_answers_quickly_while_fifty_people_log_in(house: Any) -> None:
    """T9: hashing passwords is slow on purpose, and must not hold up anything else."""

    def log_in(number: int) -> None:
        body = {"username": f"user+{number}@example.com", "password": "not the right one"}
        httpx.post(f"{house.url}/api/auth/login", data=body, timeout=30)

    logging_in = [threading.Thread(target=log_in, args=(number,)) for number in range(50)]
    took = []
    for thread in logging_in:
        thread.start()
    try:
        with httpx.Client(base_url=house.url) as http:
            while any(thread.is_alive() for thread in logging_in) and len(took) < 200:
                begun = time.perf_counter()
                assert http.get("/api/health").status_code == 200
                took.append(time.perf_counter() - begun)
    finally:
        for thread in logging_in:
            thread.join()
    assert sorted(took)[len(took) // 2] < 0.2
    assert max(took) < 1


def test_health_is_503_soon_when_the_database_is_away(house: Any, tmp_path: Path) -> None:
    """A29-7: only when writes cannot be accepted."""
    settings = Settings.from_env({"ZEROINVOICE_DATA": str(tmp_path)})
    app = create_app(settings, "postgresql://nobody@127.0.0.1:1/none")

    async def ask() -> tuple[httpx.Response, httpx.Response, float]:
        transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]  # our ASGI types
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            begun = time.perf_counter()
            health = await http.get("/api/health")
            ready = await http.get("/api/ready")
            return health, ready, time.perf_counter() - begun

    health, ready, took = asyncio.run(ask())
    assert health.status_code == 503
    assert health.json() == {"status": "degraded", "service": "ZeroInvoice API"}
    assert (ready.status_code, ready.json()["status"]) == (503, "refusing")
    assert ready.json()["checks"]["db"] == "down"
    assert took < 1


def test_a_silent_database_is_given_up_soon(tmp_path: Path) -> None:
    """A29-7: an address that takes the connection and never answers."""

    async def ask() -> tuple[str, float]:
        async def silent(reader: Any, writer: Any) -> None:
            await asyncio.sleep(30)

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        pulse = Pulse(f"postgresql://u@127.0.0.1:{port}/d", {"x": 1}, lambda: True, tmp_path)
        begun = time.perf_counter()
        checks = await pulse.checks()
        took = time.perf_counter() - begun
        server.close()
        return checks.db, took

    db, took = asyncio.run(ask())
    assert db == "down"
    assert took < 1


def test_a_process_that_takes_no_commands_is_not_healthy(house: Any, tmp_path: Path) -> None:
    """A29-7."""

    async def ask() -> tuple[str, bool]:
        pulse = Pulse(house.database_url, {}, lambda: False, tmp_path)
        try:
            checks = await pulse.checks()
            return checks.writes, checks.accepting
        finally:
            await pulse.close()

    assert asyncio.run(ask()) == ("refused", False)


@pytest.mark.parametrize("shape", [99, None])
def test_a_read_model_that_is_not_built_yet_has_no_lag(
    house: Any, tmp_path: Path, shape: int | None
) -> None:
    name = "invoices" if shape else "unheard_of"

    async def ask() -> Any:
        pulse = Pulse(house.database_url, {name: shape or 1}, lambda: True, tmp_path)
        try:
            return await pulse.checks()
        finally:
            await pulse.close()

    checks = asyncio.run(ask())
    assert checks.projections[name].lag is None
    assert not checks.sound
    assert checks.accepting
