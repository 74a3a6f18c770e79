"""Rebuilds: beside the live tables, while everything goes on, and killed on the way."""

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import psycopg
from barriers import wait_for
from checks import dump, rebuilt_alike, settled
from figures import say
from rebuilding import LONGEST_LOCK, fill, rebuilding

FACTS = 10_000
GENERATIONS = "SELECT name, generation FROM checkpoints WHERE name NOT LIKE 'policy:%'"
HALF_BUILT = "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^invoices_[0-9]+$'"


def test_a_rebuild_disturbs_neither_readers_nor_writers(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G17: no failed read, no reader goes back in time, the swap holds nobody up."""
    seen = rebuilding(installation, office, rng, FACTS)
    say(seen)
    assert set(seen.statuses) == {200}
    assert not seen.backwards
    assert seen.longest_lock <= LONGEST_LOCK
    assert seen.writes
    assert seen.reads > 20


def test_a_rebuild_that_is_killed_is_never_served_and_starts_over(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G17: what it had half built is swept away by the next one."""
    url = installation.database()
    fill(office, rng, url, FACTS)
    settled(url)
    before = dump(url)
    with psycopg.connect(url, autocommit=True) as connection:
        served = connection.execute(GENERATIONS).fetchall()
        rebuild = subprocess.Popen(
            [sys.executable, "-P", "-m", "zeroinvoice", "projections", "rebuild", "--all"],
            env={**installation.env, "DATABASE_URL": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: connection.execute(HALF_BUILT).fetchone() == (2,), "it to have begun", 20)
        time.sleep(rng.uniform(0, 0.5))
        os.kill(rebuild.pid, signal.SIGKILL)
        rebuild.wait()
        assert connection.execute(GENERATIONS).fetchall() == served
        assert dump(url) == before
        rebuilt_alike(url, installation.masters)
        wait_for(
            lambda: connection.execute(HALF_BUILT).fetchone() == (1,), "the rest to be swept", 5
        )
