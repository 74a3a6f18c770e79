"""The proxy itself: each of its faults is what it says, and hits whom it should."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from barriers import wait_for
from proxy import LATENCY, Proxy


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    with Proxy(int(psycopg.conninfo.conninfo_to_dict(database_url)["port"])) as it:
        yield it


def through(proxy: Proxy, database_url: str, name: str = "somebody") -> psycopg.Connection[Any]:
    there = {"host": "127.0.0.1", "port": proxy.port, "connect_timeout": 2}
    return psycopg.connect(database_url, **there, application_name=name)


def test_it_passes_everything_on(proxy: Proxy, database_url: str) -> None:
    with through(proxy, database_url) as connection:
        assert connection.execute("SELECT repeat('x', 1000000)").fetchone() == ("x" * 1_000_000,)


def test_latency_and_a_black_hole_hold_up_what_passes(proxy: Proxy, database_url: str) -> None:
    with through(proxy, database_url) as connection:
        connection.execute("SELECT 1")
        proxy.fault = "latency"
        begun = time.monotonic()
        connection.execute("SELECT 1")
        assert time.monotonic() - begun >= 2 * LATENCY
        proxy.fault = "black hole"
        with pytest.raises(psycopg.OperationalError):
            through(proxy, database_url)
        proxy.fault = ""
        assert connection.execute("SELECT 2").fetchone() == (2,)


def test_it_refuses_and_it_cuts(proxy: Proxy, database_url: str) -> None:
    with through(proxy, database_url) as connection:
        connection.execute("SELECT 1")
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(5)")
    proxy.fault = "refuse"
    with pytest.raises(psycopg.OperationalError):
        through(proxy, database_url)
    proxy.fault = ""
    through(proxy, database_url).close()


def test_a_dropped_answer_to_commit_leaves_what_was_committed(
    proxy: Proxy, database_url: str
) -> None:
    """Reliability 0.4: the program hears that its connection broke, and the row is there."""
    proxy.fault, proxy.whose = "drop commit", "payer"
    with through(proxy, database_url, "payer") as payer:
        payer.execute("CREATE TABLE dropped (paid int)")
        with pytest.raises(psycopg.OperationalError):
            payer.commit()
    assert proxy.fired == 1
    with through(proxy, database_url, "bystander") as bystander:
        wait_for(
            lambda: bystander.execute("SELECT to_regclass('dropped')").fetchone() != (None,),
            "what was committed",
        )
        bystander.execute("DROP TABLE dropped")
        bystander.commit()  # not meant, so answered
    assert proxy.fired == 1


def test_nobody_listens_when_it_is_gone(database_url: str) -> None:
    with Proxy(1) as it:
        port = it.port
    with pytest.raises(OSError):  # noqa: PT011  # whatever the system says of it
        socket.create_connection(("127.0.0.1", port), timeout=1)
