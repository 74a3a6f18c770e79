"""Barriers: wait until something is so in the database, instead of sleeping and hoping."""

import time
from collections.abc import Callable
from typing import Any

import psycopg

LOCK_WAITERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
BLOCKED = (  # sessions of a program that wait for somebody's lock, in a transaction of their own
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
    " AND wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0"
)

PROGRESS = (
    "SELECT (SELECT coalesce(max(position), 0) FROM facts), min(position) FROM checkpoints"
    " WHERE name NOT LIKE 'policy:%'"
)


def wait_for(holds: Callable[[], Any], what: str, within: float = 10.0) -> float:
    """Poll until it holds; answers how many seconds that took. Fails loudly when it does not."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < within, f"waited {within} s for {what}"
        time.sleep(0.005)
    return time.monotonic() - begun


def await_lock_waiters(url: str, count: int) -> None:
    """Until so many sessions wait for an advisory lock, such as the journal's."""
    with psycopg.connect(url, autocommit=True) as connection:
        wait_for(
            lambda: _number(connection, LOCK_WAITERS) >= count, f"{count} waiters for the lock"
        )


def await_blocked(url: str, application: str) -> None:
    """Until a session of this name waits for a lock that another one holds."""
    with psycopg.connect(url, autocommit=True) as connection:
        wait_for(lambda: _number(connection, BLOCKED, application), f"{application} to be blocked")


def head(url: str) -> int:
    """The position of the journal's last fact."""
    with psycopg.connect(url, autocommit=True) as connection:
        return _number(connection, "SELECT coalesce(max(position), 0) FROM facts")


def progress(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """The journal's head, and how far the slowest of the read models is."""
    row = connection.execute(PROGRESS).fetchone()
    assert row is not None
    return row[0], row[1]


def _number(connection: psycopg.Connection[Any], query: str, *params: Any) -> int:
    row = connection.execute(query.encode(), params).fetchone()
    assert row is not None
    return int(row[0] or 0)
