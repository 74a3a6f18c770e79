"""The database goes away in three ways under load; nothing is lost and nobody hangs (G22)."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from figures import say
from outages import assert_borne, black_hole, sessions_ended, stopped
from proxy import Proxy

SECONDS = 12.0  # longer than any pause between two tries


@pytest.fixture
def proxied(install: Any) -> Iterator[tuple[Any, Proxy]]:
    """An installation whose API reaches its database by a proxy."""
    installation = install(api_processes=1)
    with Proxy(installation.postgres_port()) as proxy:
        installation.start_by_hand("api", database=installation.over_tcp(proxy.port))
        installation.start_by_hand("work", "policies")
        yield installation, proxy


def test_postgres_is_stopped_and_comes_back(
    proxied: Any, open_office: Any, rng: random.Random
) -> None:
    """G22: 503 with Retry-After within 3 s; all is as it was within 5 s, nothing restarted."""
    installation, _ = proxied
    office = open_office(installation)
    seen = stopped(installation, office, rng, SECONDS)
    say(seen)
    assert seen.statuses[503]
    assert all(took < 3 for took in seen.slowest.values()), seen.slowest
    assert_borne(seen, installation, office)


def test_all_sessions_are_ended_every_second(
    proxied: Any, open_office: Any, rng: random.Random
) -> None:
    """G22: connections that break on the way are replaced."""
    installation, _ = proxied
    office = open_office(installation)
    seen = sessions_ended(installation, office, rng, SECONDS / 2)
    say(seen)
    assert_borne(seen, installation, office)


def test_the_database_falls_silent(proxied: Any, open_office: Any, rng: random.Random) -> None:
    """G22: no request hangs for more than 10 s although nothing ever comes back."""
    installation, proxy = proxied
    office = open_office(installation)
    seen = black_hole(installation, office, rng, proxy, SECONDS)
    say(seen)
    assert seen.statuses[503]
    assert_borne(seen, installation, office)
