"""Outages of the database, and what its callers see of them."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from barriers import wait_for
from checks import everything_holds
from installation import Installation
from offices import Office, meanwhile
from operations import Attempt, draft, prepared
from proxy import Proxy
from records import Records
from rounds import send

LONGEST = 10.0  # seconds that any request takes, whatever happens
RECOVERED = 5.0  # seconds after which it is as it was
CALLERS = 24  # more than a process has threads to read with


@dataclass
class Seen:
    """What callers were answered while the database was away, and how long it took."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)  # seconds, by kind of request
    unlike: list[str] = field(default_factory=list)  # answers that are not what was promised
    recovered_after: float = 0.0
    attempts: list[Attempt] = field(default_factory=list)

    def __str__(self) -> str:
        slowest = {kind: round(took, 1) for kind, took in self.slowest.items()}
        return (
            f"{dict(self.statuses)}, slowest {slowest} s, recovered in {self.recovered_after:.1f} s"
        )

    def take(self, kind: str, answer: httpx.Response, took: float) -> None:
        self.statuses[answer.status_code] += 1
        self.slowest[kind] = max(self.slowest.get(kind, 0.0), took)
        if answer.status_code == 503 and kind != "health":
            told = answer.headers.get("content-type"), answer.headers.get("retry-after")
            if told[0] != "application/problem+json" or not told[1]:
                self.unlike.append(f"{kind}: {told} {answer.text[:200]}")
        elif answer.status_code >= 500 and answer.status_code != 503:
            self.unlike.append(f"{kind}: {answer.status_code} {answer.text[:200]}")


def during(
    installation: Installation,
    office: Office,
    rng: random.Random,
    *,
    seconds: float,
    begin: Callable[[], None],
    end: Callable[[], None],
    writes: int = 200,
) -> Seen:
    """An outage of so many seconds, with callers who read and write all the time."""
    seen, over = Seen(), threading.Event()
    wait_for(lambda: recovered(office), "it to work before it is broken", 20)
    seen.attempts = prepared(office, rng, writes)
    (known,) = office.decide([lambda desk: draft(desk, office)])
    paths = {
        "list": "/api/invoices",
        "single": f"/api/invoices/{known}",
        "search": "/api/clients/search?q=client",
        "health": "/api/health",
    }

    def call(kind: str, path: str) -> None:
        with office.http(timeout=30) as http:
            while not over.is_set():
                begun = time.monotonic()
                answer = http.get(path)
                seen.take(kind, answer, time.monotonic() - begun)
                time.sleep(0.05)

    kinds = [*paths.items()] * (CALLERS // len(paths))
    callers = [threading.Thread(target=call, args=it) for it in kinds]
    for caller in callers:
        caller.start()

    def outage() -> None:
        time.sleep(0.2)
        begin()
        time.sleep(seconds)
        end()
        back = time.monotonic()
        wait_for(lambda: recovered(office), "it to recover", RECOVERED)
        seen.recovered_after = time.monotonic() - back
        over.set()

    try:
        with meanwhile(outage):
            send(office, seen.attempts)
    finally:
        over.set()
        for caller in callers:
            caller.join()
    return seen


def recovered(office: Office) -> bool:
    """Whether reading one, reading many and health all work."""
    with office.http(timeout=3) as http:
        for path in ("/api/invoices", "/api/workspace", "/api/clients/search?q=x", "/api/health"):
            try:
                if http.get(path).status_code != 200:
                    return False
            except httpx.HTTPError:
                return False
    return True


def stopped(installation: Installation, office: Office, rng: random.Random, seconds: float) -> Seen:
    """Postgres is shut down in order, and started again later; nobody else is restarted."""
    return during(
        installation,
        office,
        rng,
        seconds=seconds,
        begin=installation.stop_database,
        end=lambda: bool(installation.database()) and None,
    )


def sessions_ended(
    installation: Installation, office: Office, rng: random.Random, seconds: float
) -> Seen:
    """All sessions are ended every second."""
    over = threading.Event()

    def end_all() -> None:
        while not over.wait(1):
            installation.terminate("zeroinvoice%")

    ending = threading.Thread(target=end_all)
    try:
        return during(
            installation,
            office,
            rng,
            seconds=seconds,
            begin=ending.start,
            end=over.set,
            writes=600,
        )
    finally:
        over.set()
        ending.join()


def black_hole(
    installation: Installation, office: Office, rng: random.Random, proxy: Proxy, seconds: float
) -> Seen:
    """Everything that is sent to the database is taken, and nothing ever comes back."""

    def turn(fault: Any) -> None:
        proxy.fault = fault

    return during(
        installation,
        office,
        rng,
        seconds=seconds,
        begin=lambda: turn("black hole"),
        end=lambda: turn(""),
    )


def assert_borne(seen: Seen, installation: Installation, office: Office) -> None:
    """What every outage must look like from outside, and that it cost nothing (G22)."""
    assert not seen.unlike, seen.unlike[0]
    assert set(seen.statuses) <= {200, 503}, seen.statuses
    assert all(took < LONGEST for took in seen.slowest.values()), seen.slowest
    assert seen.recovered_after <= RECOVERED
    everything_holds(installation.database(), office, seen.attempts, Records())
