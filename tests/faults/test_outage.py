"""Postgres away: 503 at once, nothing lost, and recovery by itself (G22)."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from zeroinvoice.gateways.embedded_postgres import EmbeddedPostgres


@pytest.fixture
def postgres() -> Iterator[EmbeddedPostgres]:
    """A cluster that the test may stop."""
    with tempfile.TemporaryDirectory(prefix="zi-outage-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)
        it = EmbeddedPostgres(Path(folder) / "postgres")
        yield it
        it.stop()


def test_an_outage_is_503_with_retry_after_and_ends_by_itself(
    postgres: EmbeddedPostgres, open_house: Any
) -> None:
    """Within 3 s while it is away; within 5 s after it is back; nothing to restart."""
    house = open_house(postgres.start())
    office = house.office()
    client = office.made("/api/clients", {"name": "Acme Corp"})
    line = {"description": "x", "unit_price": "1.00"}
    body = {"client_id": client["id"], "line_items": [line]}
    invoice = office.made("/api/invoices", body)
    assert office.get("/api/invoices").status_code == 200

    postgres.stop()
    key = {"Idempotency-Key": "during the outage".replace(" ", "-")}
    for method, path, sent in (
        ("POST", "/api/invoices", body),
        ("GET", f"/api/invoices/{invoice['id']}", None),
        ("GET", "/api/invoices", None),
        ("GET", "/api/clients/search?q=acme", None),
        ("GET", "/api/health", None),
    ):
        begun = time.monotonic()
        answer = office.http.request(method, path, json=sent, headers=key)
        assert answer.status_code == 503, f"{method} {path}: {answer.text}"
        assert time.monotonic() - begun < 3, f"{method} {path} took too long"
        if path != "/api/health":
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.headers["content-type"].startswith("application/problem+json")

    postgres.start()
    until = time.monotonic() + 5
    while (answer := recovered(office, body, key)) is None:
        assert time.monotonic() < until, "it does not recover by itself"
        time.sleep(0.05)
    again = office.post("/api/invoices", json=body, headers=key)
    assert again.json()["id"] == answer["id"], "the key had two effects"
    until = time.monotonic() + 10
    while len(listed := office.get("/api/invoices").json()["items"]) != 2:
        assert time.monotonic() < until, listed
        time.sleep(0.1)


def recovered(office: Any, body: dict[str, Any], key: dict[str, str]) -> dict[str, Any] | None:
    try:
        answer = office.post("/api/invoices", json=body, headers=key)
    except httpx.HTTPError:
        return None
    made: dict[str, Any] | None = answer.json() if answer.status_code == 201 else None
    return made
