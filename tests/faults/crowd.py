"""A crowd: hundreds of clients at once, who do not wait for each other."""

import random
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from checks import settled
from installation import Installation
from load import drive, request
from offices import Office
from operations import draft, sent
from vitals import Repeating, health, memory

CLIENTS = 200
ALLOWED = {200, 201, 204, 429, 503}
SLOWEST_P99 = 2.0  # seconds
SLOWEST_HEALTH = 0.2  # seconds; missed so far: docs/benchmarks-notes.md says why
MOST_GROWTH = 200.0  # MB
NORMAL_WITHIN = 5.0  # seconds
REQUESTS, DOCUMENTS = 4_000, 300


@dataclass
class Crowded:
    """What the crowd was answered, and what it cost."""

    seconds: float
    per_s: float
    statuses: dict[int, int]
    strange: str
    p50: float  # seconds
    p99: float
    slowest_health: float
    p99_health: float
    health_failed: int
    memory_before: float  # MB, of all processes but the database
    memory_growth: float
    normal_after: float  # seconds


def crowd(
    installation: Installation, office: Office, rng: random.Random, seconds: float
) -> Crowded:
    """200 clients for so many seconds, who read and write in a mix of all there is."""
    requests = mixed(office, rng)
    drive(installation.port, requests, connections=50, count=1_000)  # warm, as it always is
    settled(installation.database())
    before = memory(installation)
    with Repeating(0.1, lambda: health(installation.port)) as pulse:
        seen = drive(installation.port, requests, connections=CLIENTS, seconds=seconds, processes=2)
    after, ended = memory(installation), time.monotonic()
    settled(installation.database(), NORMAL_WITHIN)
    with office.http() as http:
        while True:
            begun = time.monotonic()
            if http.get("/api/invoices").status_code == 200 and time.monotonic() - begun < 0.2:
                break
    strange = {status: seen.failures.get(status) for status in set(seen.statuses) - ALLOWED}
    looks = sorted(took for _, took in pulse.seen)
    return Crowded(
        seconds=seconds,
        per_s=round(seen.per_s),
        statuses=seen.statuses,
        strange=str(strange)[:500] if strange else "",
        p50=seen.p50_ms / 1_000,
        p99=seen.p99_ms / 1_000,
        slowest_health=pulse.largest,
        p99_health=looks[len(looks) * 99 // 100] if looks else 0.0,
        health_failed=len(pulse.faults),
        memory_before=before,
        memory_growth=after - before,
        normal_after=time.monotonic() - ended,
    )


def mixed(office: Office, rng: random.Random) -> list[bytes]:
    """Requests of all kinds, as bytes, each of which may be sent any number of times."""
    drafts = office.decide([lambda desk: draft(desk, office)] * DOCUMENTS)
    issued = office.decide([lambda desk: sent(desk, office)] * DOCUMENTS)
    who = {"authorization": office.headers["Authorization"]}

    def ask(method: str, path: str, body: Any = None) -> bytes:
        return request(method, path, msgspec.json.encode(body) if body else b"", **who)

    def one(kinds: list[UUID]) -> str:
        return f"/api/invoices/{rng.choice(kinds)}"

    line = {"description": "Work", "quantity": 3, "unit_price": "33.33", "tax_rate": "20"}
    kinds = {
        "show": (8, lambda: ask("GET", one(issued))),
        "browse": (4, lambda: ask("GET", "/api/invoices?limit=20")),
        "search": (2, lambda: ask("GET", "/api/clients/search?q=client")),
        "draft": (
            4,
            lambda: ask(
                "POST",
                "/api/invoices",
                {"client_id": str(office.a_client()), "line_items": [line]},
            ),
        ),
        "revise": (2, lambda: ask("PUT", one(drafts), {"notes": rng.randbytes(8).hex()})),
        "resend": (1, lambda: ask("PATCH", f"{one(issued)}/status", {"status": "sent"})),
        "prepay": (
            2,
            lambda: ask(
                "POST",
                "/api/payments",
                {
                    "client_id": str(office.a_client()),
                    "amount": "10.00",
                    "method": "cash",
                    "confirm_duplicate": True,
                },
            ),
        ),
    }
    weights = [weight for weight, _ in kinds.values()]
    makers = [maker for _, maker in kinds.values()]
    return [make() for make in rng.choices(makers, weights, k=REQUESTS)]
