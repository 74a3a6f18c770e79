"""Deadlines: a database that takes everything and says nothing is not waited for."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from proxy import Proxy
from psycopg_pool import ConnectionPool

from zeroinvoice.readside.deadlines import Deadlines, assert_open
from zeroinvoice.readside.pulse import STANDS, Pulse


@pytest.fixture
def silent(database_url: str) -> Iterator[tuple[Proxy, str]]:
    """A way to the database that can fall silent."""
    with Proxy(int(psycopg.conninfo.conninfo_to_dict(database_url)["port"])) as proxy:
        there = {"host": "127.0.0.1", "port": proxy.port, "connect_timeout": 2}
        yield proxy, psycopg.conninfo.make_conninfo(database_url, **there)


def test_a_connection_that_is_late_is_cut_and_replaced(silent: Any) -> None:
    """G22: whoever waits hears of it, and the pool has another one for the next."""
    proxy, url = silent
    deadlines = Deadlines()
    with ConnectionPool(url, min_size=1, max_size=1, timeout=5) as pool:
        with pool.connection() as connection, deadlines.cut(connection, time.monotonic() + 60):
            connection.execute("SELECT 1")
        proxy.fault = "black hole"
        begun = time.monotonic()
        with pytest.raises(psycopg.OperationalError), pool.connection() as connection:
            with deadlines.cut(connection, begun + 0.5):
                connection.execute("SELECT 1")
        assert time.monotonic() - begun < 2
        proxy.fault = ""
        with pool.connection() as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_session_that_was_ended_while_idle_is_not_given_out(database_url: str) -> None:
    """G22: whoever comes after an outage does not pay for it."""
    with ConnectionPool(database_url, min_size=3, max_size=3, check=assert_open) as pool:
        pool.wait(5)
        with psycopg.connect(database_url, autocommit=True) as other:
            for connection in list(pool._pool):
                pid = [connection.info.backend_pid]
                other.execute("SELECT pg_terminate_backend(%s, 5000)", pid)
        for _ in range(6):
            with pool.connection(timeout=5) as connection:
                assert connection.execute("SELECT 1").fetchone() == (1,)


def test_health_does_not_wait_for_a_database_that_falls_silent(
    silent: Any, house: Any, tmp_path: Path
) -> None:
    """A29-7: within a second it is down, and up again as soon as it speaks."""
    proxy, url = silent

    async def watch() -> None:
        pulse = Pulse(url, {}, lambda: True, tmp_path)
        try:
            assert (await pulse.checks()).db == "up"
            proxy.fault = "black hole"
            until = time.monotonic() + STANDS + 1
            while (await asked(pulse)) != "down":
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
            proxy.fault = ""
            until = time.monotonic() + 5
            while (await asked(pulse)) != "up":
                assert time.monotonic() < until
                await asyncio.sleep(0.05)
        finally:
            await pulse.close()

    async def asked(pulse: Pulse) -> str:
        begun = time.monotonic()
        checks = await pulse.checks()
        assert time.monotonic() - begun < 0.8
        return checks.db

    asyncio.run(watch())
