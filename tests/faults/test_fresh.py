"""Reading one's writes: never stale by accident, whatever the projectors do."""

import os
import random
import signal
import threading
import time
from typing import Any

import psycopg
from barriers import progress, wait_for
from checks import settled
from figures import say
from offices import at_once
from operations import prepared

PAIRS, THREADS = 1_000, 4
RATE, SECONDS = 100, 10  # writes a second, and for how long


def test_1000_writes_are_each_seen_by_the_read_that_names_their_position(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G8: with X-Min-Position, on whichever process."""
    seen: list[float] = []

    def pair(http: Any, it: Any) -> None:
        it.carry_out(http, office.journal)
        assert it.outcome == "acked"
        ahead = {"X-Min-Position": it.answer.headers["x-position"]}
        begun = time.monotonic()
        listed = http.get(
            "/api/invoices", params={"limit": 20, "client_id": str(it.need)}, headers=ahead
        )
        seen.append(time.monotonic() - begun)
        assert listed.status_code == 200
        assert it.mark in {row["reference"] for row in listed.json()["items"]}
        assert "x-projection-lag" not in listed.headers

    attempts = prepared(office, rng, PAIRS, "draft invoice")
    at_once([lambda http, it=it: pair(http, it) for it in attempts], office, THREADS)
    assert len(seen) == PAIRS
    say(f"{PAIRS} pairs, p99 of the reads {sorted(seen)[PAIRS * 99 // 100] * 1000:.0f} ms")


def test_with_its_projector_stopped_a_read_that_names_a_position_is_503(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G8: within 2.2 s, and never stale; without a position the lag is told."""
    (it,) = prepared(office, rng, 1, "draft invoice")
    settled(installation.database())
    (work,) = installation.pids("work")
    with office.http() as http:
        http.get("/api/invoices")
        os.kill(work, signal.SIGSTOP)
        try:
            it.carry_out(http, office.journal)
            ahead = {"X-Min-Position": it.answer.headers["x-position"]}
            begun = time.monotonic()
            late = http.get("/api/invoices", headers=ahead)
            took = time.monotonic() - begun
            plain = http.get("/api/invoices")
            alone = http.get(f"/api/invoices/{it.answer.json()['id']}")
        finally:
            os.kill(work, signal.SIGCONT)
        assert (late.status_code, late.json()["code"]) == (503, "projection_lagging")
        assert int(late.headers["retry-after"]) >= 1
        assert took <= 2.2
        assert plain.status_code == 200
        assert int(plain.headers["x-projection-lag"]) >= 1
        assert alone.status_code == 200, "one thing comes from its stream"
        wait_for(
            lambda: http.get("/api/invoices", headers=ahead).status_code == 200, "the projector", 6
        )


def test_at_100_writes_a_second_the_read_models_follow_within_half_a_second(
    installation: Any, office: Any, rng: random.Random
) -> None:
    """G8: the 99th percentile of how long a fact stays unseen."""
    attempts = prepared(office, rng, RATE * SECONDS, "draft invoice", "record payment")
    url = installation.database()
    seen: list[tuple[float, int, int]] = []
    done = threading.Event()

    def watch() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not done.is_set():
                seen.append((time.monotonic(), *progress(connection)))
                time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.monotonic()

    def due(http: Any, number: int) -> None:
        time.sleep(max(0.0, begun + number / RATE - time.monotonic()))
        attempts[number].carry_out(http, office.journal)

    at_once([lambda http, n=n: due(http, n) for n in range(len(attempts))], office, 8)
    took = time.monotonic() - begun
    done.set()
    watcher.join()
    unseen = sorted(ages(seen))
    p99 = unseen[len(unseen) * 99 // 100]
    say(f"{len(attempts) / took:.0f} writes/s, p99 lag {p99 * 1000:.0f} ms")
    assert all(it.outcome == "acked" for it in attempts)
    assert p99 <= 0.5


def ages(seen: list[tuple[float, int, int]]) -> list[float]:
    """How old, at each look, the first fact was that had not been folded everywhere."""
    found = []
    for now, _, folded in seen:
        since = next(at for at, head, _ in seen if head > folded or at == now)
        found.append(now - since)
    return found
